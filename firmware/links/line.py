# SPDX-License-Identifier: MIT
"""A serial line on which more than octets matters: its rate changes in mid-session, it is
half-duplex, or its head hears what it sends.

Pace stands between the stream and the profile. The next part of the profile's output is asked
for when the one before has left the line: by the time that so many octets take at the rate, and by
what the runtime says, where it can. So a change of the rate, and the switch to receiving, come
after the last octet at the old rate, and an answer of many parts needs no long buffer.
"""

from firmware.links.stream import Serial
from firmware.ports import lines
from micropython import const

_CHUNK_LEN = const(64)
_TICKS_MASK = const(0x3FFFFFFF)
_BITS_MS = const(10000)  # ten bits an octet, and a thousand milliseconds a second
_MARGIN_MS = const(2)
_ECHO_MS = const(100)
_LEAVING_MS = const(5)
_BUSY_MS = const(10)


class Pace:
    """
    profile   the one behind; the rate is what it says in `baud`, if it does
    rate      of the line; 0: it has none, as a pseudo-terminal
    echo      octets that were sent and are to come back: what comes is dropped, up to so many,
              until _ECHO_MS after the last of them has left
    leaving   something that was written has not left the line
    """

    closed = False

    def __init__(self, profile, rate, echoes, driver):
        self.profile = profile
        self.rate = rate
        self.stream = None
        self.out = profile.out
        self.out_pos = 0
        self.echo = 0
        self.leaving = False
        self._changes = rate and hasattr(profile, "baud")
        self._echoes = echoes
        self._driver = driver
        # What leaves, or has left: since when, and how long that takes.
        self._begun_ms = 0
        self._takes_ms = 0

    def reset(self):
        self.profile.reset()
        self.echo = 0
        self.leaving = False

    def tick(self, now_ms):
        self.profile.tick(now_ms)
        if self.echo and not self.leaving:
            if (now_ms - self._begun_ms) & _TICKS_MASK > self._takes_ms + _ECHO_MS:
                self.echo = 0

    def receive(self, buf, pos, end, now_ms):
        k = min(self.echo, end - pos)
        self.echo -= k
        pos += k
        # While something leaves, what comes waits.
        return pos if self.leaving else self.profile.receive(buf, pos, end, now_ms)

    def transmit(self, now_ms):
        if self.leaving and not self._has_left(now_ms):
            return 0
        profile = self.profile
        # What has come in may have changed it, and so may that all of this has left.
        if self._changes and profile.baud != self.rate:
            self._set_rate()
        n = profile.transmit(now_ms)
        if not n:
            if self._changes and profile.baud != self.rate:
                self._set_rate()
            return 0
        self.out = profile.out
        self.out_pos = profile.out_pos
        self.leaving = True
        self._begun_ms = now_ms
        self._takes_ms = n * _BITS_MS // self.rate + _MARGIN_MS if self.rate else 0
        if self._driver is not None:
            self._driver.set(True)
        if self._echoes:
            self.echo += n
        return n

    def _has_left(self, now_ms):
        if self.rate:
            taken_ms = (now_ms - self._begun_ms) & _TICKS_MASK
            if taken_ms < self._takes_ms or lines.is_sending(self.stream):
                return False
        self.leaving = False
        if self._driver is not None:
            self._driver.set(False)
        return True

    def _set_rate(self):
        self.rate = self.profile.baud
        try:
            lines.set_rate(self.stream, self.rate)
        except OSError:
            pass  # who has signed on hears nothing, and the session ends


class Line(Serial):
    """overruns: times that octets were lost for want of room, where the runtime knows."""

    def __init__(self, port, want, address, opened, profile, trace, rate):
        """want: of make.py, its kind first; `echo` and `rs-485` are options in it."""
        driver = lines.driver(want[1]) if "rs-485" in want else None
        self.pace = Pace(profile, rate, "echo" in want, driver)
        self.overruns = 0
        self._waits = hasattr(profile, "is_waiting")
        Serial.__init__(self, port, want[0], address, opened, self.pace, _CHUNK_LEN, trace)
        self.pace.stream = opened

    def profiles(self):
        return [self.pace.profile]

    def poll(self, now_ms):
        if self.ready and self.stream is not None:
            self.overruns = self.overruns + lines.overruns(self.stream) & _TICKS_MASK
        Serial.poll(self, now_ms)

    def wait_ms(self):
        if self.pace.leaving:
            return _LEAVING_MS
        ms = Serial.wait_ms(self)
        return min(ms, _BUSY_MS) if self._waits and self.pace.profile.is_waiting() else ms
