# SPDX-License-Identifier: MIT
"""A stream of octets under a profile: serial port, pseudo-terminal, one TCP connection.

All output of the profile is written before more input is handed to it, and input waits where it
came from: whoever sends faster than it is answered fills its own buffers, not ours.
"""

from micropython import const

_IDLE_MS = const(1000)
_BUSY_MS = const(10)
_QUIET_MS = const(5000)  # a profile with time-outs is looked after this long after the last octet
_TICKS_MASK = const(0x3FFFFFFF)
_ROUNDS = const(16)  # turns for one stream before the others have theirs


class Stream:
    # The communication port that this stream is, see dlms/guard.py; None: part of a link that is
    # one, or none.
    gate = None
    on_end = (
        None  # (broken): told before the stream is closed; broken: it has failed, or was reset
    )

    def __init__(self, port, profile, chunk_len, timed, trace=None):
        """timed: the profile has time-outs between octets and frames (HDLC)."""
        self.port = port
        self.profile = profile
        self.chunk = bytearray(chunk_len)
        self.timed = timed
        self.trace = trace
        self.stream = None
        self.poller = None
        self.ready = False
        self.heard_ms = 0
        self.quiet = True
        self._pos = 0  # chunk[_pos:_end]: received, not yet taken by the profile
        self._end = 0
        self._out_pos = 0  # profile.out[_out_pos:+_out_n]: not yet written
        self._out_n = 0
        self._blocked = False

    def attach(self, stream, poller, now_ms):
        """Serve a stream that has just come up."""
        self._forget()
        self.profile.reset()
        if self.trace is not None:
            self.trace.begin()
        self.stream = stream
        self.poller = poller
        self.heard_ms = now_ms
        self.quiet = False
        self.ready = True
        poller.add(stream, self)

    def _forget(self):
        self._pos = self._end = self._out_n = 0
        self._blocked = False

    def detach(self, broken=False):
        """The stream is gone or to be closed; the profile drops its associations."""
        if self.stream is not None:
            if self.on_end is not None:
                self.on_end(broken)
            self.poller.remove(self.stream)
            self.port.close(self.stream)
            self.stream = None
            self.ready = False
            self._forget()
            self.profile.reset()

    def wait_ms(self):
        if self.ready:
            return 0
        return _BUSY_MS if self.timed and self.stream is not None and not self.quiet else _IDLE_MS

    def is_written(self):
        """Has the stream taken all that the profile has handed out?"""
        return not self._out_n

    def poll(self, now_ms):
        if self.stream is None:
            return
        self.profile.tick(now_ms)
        rounds = _ROUNDS
        stuck = 0
        while rounds:
            if not self._flush(now_ms):
                return
            if self.profile.closed:
                self.detach()
                return
            if self._pos < self._end:
                pos = self.profile.receive(self.chunk, self._pos, self._end, now_ms)
                # Twice without progress: the profile waits for something that only time brings.
                stuck = stuck + 1 if pos == self._pos else 0
                self._pos = pos
                if stuck == 2:
                    break
            elif self.ready:
                n = self.port.readinto(self.stream, self.chunk)
                if n < 0:
                    self.detach(n < -1)
                    return
                if n == 0:
                    self.ready = False
                else:
                    self.heard_ms = now_ms
                    self.quiet = False
                    self._pos = 0
                    self._end = n
                    # A part of a chunk means that nothing more is there now.
                    self.ready = n == len(self.chunk)
                    if self.trace is not None:
                        self.trace.received(self.chunk, 0, n)
                    if self.gate is not None and self.gate.shut():
                        self._pos = self._end = 0
            else:
                break
            rounds -= 1
        self.quiet = (now_ms - self.heard_ms) & _TICKS_MASK > _QUIET_MS
        if not rounds:
            self.ready = True

    def _flush(self, now_ms):
        """Write what the profile has to say; False if the stream is full or gone."""
        while True:
            while self._out_n:
                n = self.port.write(self.stream, self.profile.out, self._out_pos, self._out_n)
                if n < 0:
                    self.detach(True)
                    return False
                if n == 0:
                    if not self._blocked:
                        self._blocked = True
                        self.poller.want_write(self.stream, True)
                    self.ready = False
                    return False
                self._out_pos += n
                self._out_n -= n
            if self._blocked:
                self._blocked = False
                self.poller.want_write(self.stream, False)
                self.ready = True
            self._out_n = self.profile.transmit(now_ms)
            if not self._out_n:
                return True
            self._out_pos = self.profile.out_pos
            if self.trace is not None:
                self.trace.sent(self.profile.out, self._out_pos, self._out_n)


class Serial(Stream):
    """A stream that is always there: a UART, or the master side of a pseudo-terminal."""

    def __init__(self, port, name, address, opened, profile, chunk_len, trace=None):
        Stream.__init__(self, port, profile, chunk_len, True, trace)
        self.name = name
        self.address = address
        self._opened = opened

    def open(self, poller):
        self.attach(self._opened, poller, self.port.ticks_ms())

    def profiles(self):
        return [self.profile]

    def close(self):
        self.detach()
