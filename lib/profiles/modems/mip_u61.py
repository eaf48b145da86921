# SPDX-License-Identifier: MIT
"""LON network interfaces for power lines (U20, U70), in the serial protocol MIP/U61.

    7E 00 | length u8 | command u8 | PDU | checksum u8
          | FF | command u8 | length u16 | PDU | checksum u8

length is that of command and PDU; the sum of all from length to checksum is 0 mod 256. A 7E among
these is sent twice. Nothing is acknowledged. LPDUs go down (12) without their CRC, which the
interface makes; they come up (1C) as zero crossing u8, LPDU, CRC u16, two octets of signal.
Sources: plain code of the interfaces' makers. uncertain: a length of FF counts command and PDU,
too; and the sum begins behind the header.

    OFF -> RESET (50 is sent) -- 50 comes --> PHASE (42: phase mode) -> RUN
             ^ _RESET_MS without it                                      | 50 comes: it was reset;
             |____________________________________________________________| or _QUIET_MS of silence

In RUN it is up. An indication of another layer-2 mode (1A, 1B) says that the phase mode has been
forgotten: it is sent again. Nothing tells that a frame has left: it is confirmed when the line
has taken it; nor that the interface has died: when it has said nothing for _QUIET_MS it is reset,
which it answers. Allocates a buffer for a frame each way at construction.
"""

from micropython import const
from profiles.modems import more

_MODEM_UP = const(1)
_MODEM_DATA = const(3)
_MODEM_CONFIRM = const(4)
_MODEM_FAULT = const(5)

_SYNC = const(0x7E)
_EXTENDED = const(0xFF)

# Commands of the network interface.
_SEND = const(0x12)
_CAME_1 = const(0x1A)
_CAME_1_ERROR = const(0x1B)
_CAME = const(0x1C)
_ERROR = const(0x30)
_ERROR_2 = const(0x31)
_PHASE_MODE = const(0x42)
_RESET = const(0x50)

# Octets around an LPDU in 1C.
_BEFORE = const(1)
_CRC_LEN = const(2)
_AFTER = const(4)
_SHORTEST_LPDU = const(5)

_MAX_DATA = const(246)
_HEAD_LEN = const(4)  # header, length, command
_CHUNK_LEN = const(64)
_ROUNDS = const(4)  # chunks that one poll reads at most
_RESET_MS = const(800)
_QUIET_MS = const(300000)
_MAX_WAIT_MS = const(25600)
_TICKS_MASK = const(0x3FFFFFFF)

# Phases.
_OFF = const(0)
_WAITS = const(1)
_RUNS = const(2)

_NO_ANSWER = const(4)


def crc16(buf, pos, end):
    """CRC-16 of ISO/IEC 14908-1: polynomial 1021, from FFFF, complement; high octet first."""
    crc = 0xFFFF
    for i in range(pos, end):
        top = crc >> 8 ^ buf[i]
        top ^= top >> 4
        crc = (crc << 8 ^ top << 12 ^ top << 5 ^ top) & 0xFFFF
    return crc ^ 0xFFFF


class MIPU61:
    """Counts n_sent, n_ok (LPDUs with a good CRC), n_bad_crc (transmission_errors), n_garbled (bad
    checksum or length), n_long, n_errors (that it reported), n_faults."""

    max_data = _MAX_DATA

    def __init__(self, uart):
        self.uart = uart
        self.buf = bytearray(_HEAD_LEN + 2 + _MAX_DATA + _BEFORE + _AFTER + 1)
        self.pos = self.end = 0
        self.source = self.destination = self.options = self.status = 0
        self.quality = -1
        self.is_up = False
        self._tx = bytearray(2 * (_HEAD_LEN + _MAX_DATA + 1))
        self._tx_pos = self._tx_end = 0
        self._waiting = False  # for a confirm of what is in _tx
        self._chunk = bytearray(_CHUNK_LEN)
        self._at = self._n_chunk = 0
        self._n = -1  # octets behind the header, -1: none has come
        self._escaped = False
        self._phase = _OFF
        self._since_ms = 0
        self._wait_ms = _RESET_MS
        self._later = 0
        self.n_sent = self.n_ok = self.n_bad_crc = self.n_garbled = self.n_long = 0
        self.n_errors = self.n_faults = 0

    # --- The interface --------------------------------------------------------------------------

    def open(self, now_ms):
        self._at = self._n_chunk = 0
        self._n = -1
        self._tx_pos = self._tx_end = 0
        self.is_up = self._waiting = False
        self._later = 0
        self._phase = _WAITS
        self._since_ms = now_ms
        self._command(_RESET)

    def poll(self, now_ms):
        if self._later:
            event = self._later
            self._later = 0
            self.status = _NO_ANSWER
            return event
        self._flush()
        if self._waiting and self._tx_pos == self._tx_end:
            self._waiting = False
            self.status = 0
            self.n_sent = more(self.n_sent)
            return _MODEM_CONFIRM
        rounds = _ROUNDS
        while True:
            if self._at < self._n_chunk and self._read():
                event = self._message(now_ms)
                if event:
                    return event
                continue
            if not rounds:
                break
            rounds -= 1
            n = self.uart.readinto(self._chunk)
            if not n:
                break
            self._at = 0
            self._n_chunk = n
        quiet_ms = now_ms - self._since_ms & _TICKS_MASK
        if self._phase == _WAITS and quiet_ms >= self._wait_ms:
            if self._wait_ms < _MAX_WAIT_MS:
                self._wait_ms *= 2
            self.n_faults = more(self.n_faults)
            self.open(now_ms)
            self.status = _NO_ANSWER
            return _MODEM_FAULT
        if self._phase == _RUNS and quiet_ms >= _QUIET_MS:
            waiting = self._waiting
            self.open(now_ms)
            if waiting:
                # The line has not even taken it.
                self.status = _NO_ANSWER
                return _MODEM_CONFIRM
        return 0

    def send(self, buf, pos, end, destination=0, options=0):
        if end - pos > _MAX_DATA:
            return -1
        if not self.is_up or self._waiting or self._tx_pos < self._tx_end:
            return 0
        self._write(_SEND, buf, pos, end)
        self._waiting = True
        self._flush()
        return 1

    # --- Messages -------------------------------------------------------------------------------

    def _command(self, command):
        self._write(command, self._chunk, 0, 0)
        self._flush()

    def _write(self, command, buf, pos, end):
        tx = self._tx
        n = end - pos + 1
        tx[0] = _SYNC
        tx[1] = 0
        at = self._put(self._put(2, n), command)
        total = n + command
        while pos < end:
            octet = buf[pos]
            total += octet
            at = self._put(at, octet)
            pos += 1
        self._tx_end = self._put(at, -total & 0xFF)
        self._tx_pos = 0

    def _put(self, at, octet):
        self._tx[at] = octet
        if octet == _SYNC:
            at += 1
            self._tx[at] = octet
        return at + 1

    def _flush(self):
        while self._tx_pos < self._tx_end:
            n = self.uart.write(self._tx, self._tx_pos, self._tx_end - self._tx_pos)
            if not n:
                return
            self._tx_pos += n

    def _read(self):
        """Take octets of the chunk up to the end of a message; True: buf[:_n] is a good one, from
        its length on."""
        chunk = self._chunk
        buf = self.buf
        while self._at < self._n_chunk:
            octet = chunk[self._at]
            self._at += 1
            if self._escaped:
                self._escaped = False
                if octet != _SYNC:
                    # A header; what there was before has been cut short.
                    if self._n > 0:
                        self.n_garbled = more(self.n_garbled)
                    self._n = 0 if octet == 0 else -1
                    continue
            elif octet == _SYNC:
                self._escaped = True
                continue
            n = self._n
            if n < 0:
                continue
            if n < len(buf):
                buf[n] = octet
            n += 1
            self._n = n
            if n > 2 and n == self._length(n):
                self._n = -1
                if self._is_good(n):
                    return True
        return False

    def _length(self, n):
        """Octets of the message in buf, from its length to its checksum, if its head is there."""
        if self.buf[0] == _EXTENDED:
            if n < 4:
                return 0
            return (self.buf[2] << 8 | self.buf[3]) + 4
        return self.buf[0] + 2

    def _is_good(self, n):
        buf = self.buf
        if n > len(buf):
            self.n_long = more(self.n_long)
            return False
        total = 0
        for i in range(n):
            total += buf[i]
        if total & 0xFF:
            self.n_garbled = more(self.n_garbled)
            return False
        self.pos = 4 if buf[0] == _EXTENDED else 2
        self.end = n - 1
        return True

    def _message(self, now_ms):
        command = self.buf[1]
        if self._phase == _RUNS:
            self._since_ms = now_ms
        if command == _CAME:
            return self._came()
        if command == _RESET:
            return self._was_reset(now_ms)
        if command == _CAME_1 or command == _CAME_1_ERROR:
            if self.is_up and self._tx_pos == self._tx_end:
                self._command(_PHASE_MODE)
        elif command == _ERROR or command == _ERROR_2:
            self.n_errors = more(self.n_errors)
        return 0

    def _came(self):
        pos = self.pos + _BEFORE
        end = self.end - _AFTER
        if end - pos < _SHORTEST_LPDU:
            # The interface reports a CRC that did not fit by a frame that is too short for one.
            self.n_bad_crc = more(self.n_bad_crc)
            return 0
        crc = crc16(self.buf, pos, end)
        if crc >> 8 != self.buf[end] or crc & 0xFF != self.buf[end + 1]:
            self.n_bad_crc = more(self.n_bad_crc)
            return 0
        if not self.is_up:
            return 0
        self.n_ok = more(self.n_ok)
        # uncertain: what the octets of signal say; the higher of them is taken as its quality.
        self.quality = max(self.buf[end + _CRC_LEN], self.buf[end + _CRC_LEN + 1])
        self.pos = pos
        self.end = end
        return _MODEM_DATA

    def _was_reset(self, now_ms):
        """It has said that it begins: by itself, or since it was asked to."""
        waiting = self._waiting
        expected = self._phase == _WAITS
        self._waiting = False
        self._phase = _RUNS
        self._since_ms = now_ms
        self._wait_ms = _RESET_MS
        self.is_up = True
        self._command(_PHASE_MODE)
        if expected:
            return _MODEM_UP
        self.n_faults = more(self.n_faults)
        self.status = _NO_ANSWER
        self._later = _MODEM_UP
        if waiting:
            # What was on its way is lost; that it is up again is said anyway.
            return _MODEM_CONFIRM
        return _MODEM_FAULT
