# SPDX-License-Identifier: MIT
"""The link layer of the M-Bus, master's side (EN 13757-2; the public "The M-Bus: A Documentation",
rev. 4.8, chapters 5 to 7), without I/O: one frame out, one answer in, repeated when it is not
good. See mbus.md.

    E5                                  single character: acknowledged
    10 C A CS 16                        short frame
    68 L L 68 C A CI data CS 16         long frame; L counts C to data, CS is their sum

    C   40 SND_NKE   53, 73 SND_UD   5B, 7B REQ_UD2   5A, 7A REQ_UD1   08, 18, 28, 38 RSP_UD
        (20 of a master's: FCB, which the next request to the same slave has toggled)
    A   0 not installed, 1 to 250, FD who was selected, FE whoever hears it, FF all, no answer

    master.short(C, address, want)      begins; master.long(C, address, CI, n, want), with n octets
                                        of data at master.out[DATA:], too
    master.result                       BUSY, and then what has become of it
    master.rx[:master.n]                the answer, if it was good

receive, transmit, tick, reset, closed, out, out_pos: as every profile has them, see wrapper.py.
Allocates two buffers of a frame at construction, nothing later.
"""

from dlms.prim import copy
from micropython import const

# want: what is to come.
_NOTHING = const(0)  # it is a broadcast
_ACKNOWLEDGED = const(1)
_ANSWER = const(2)

# result
_BUSY = const(-1)
_GOOD = const(0)
_SILENT = const(1)
_DAMAGED = const(2)  # something came, each time, and it was no answer
_NO_DATA = const(3)  # it has none to give: E5

_IDLE = const(0)
_TO_SEND = const(1)
_WAITS = const(2)

_SINGLE = const(0xE5)
_SHORT_FRAME = const(0x10)
_LONG_FRAME = const(0x68)
_STOP = const(0x16)
_RSP_UD = const(0x08)
_RSP_MASK = const(0x4F)  # without ACD and DFC
_SELECTED = const(0xFD)
_WHOEVER = const(0xFE)

_DATA = const(7)
_FRAME_MAX = const(261)
_REPEATS = const(2)
# A slave answers within 330 bit times and 50 ms; what lies between may take some more.
_PATIENCE_BITS = const(330)
_PATIENCE_MS = const(200)
_BITS = const(11)  # of an octet
_TICKS_MASK = const(0x3FFFFFFF)


class Master:
    """sent, good, bad: frames since the start (they go round). closed: never, it is for links."""

    def __init__(self):
        self.out = bytearray(_FRAME_MAX)
        self.rx = bytearray(_FRAME_MAX)
        self.out_pos = 0
        self.n = 0
        self.closed = False
        self.result = _GOOD
        self.sent = self.good = self.bad = 0
        self._state = _IDLE
        self._out_n = 0
        self._want = _NOTHING
        self._address = 0
        self._repeats = 0
        self._noise = False
        self._since_ms = 0
        self._bauds = 2400

    def configure(self, bauds):
        self._bauds = bauds

    # --- Requests ---------------------------------------------------------------------------

    def short(self, c, address, want):
        out = self.out
        out[0] = _SHORT_FRAME
        out[1] = c
        out[2] = address
        out[3] = c + address & 0xFF
        out[4] = _STOP
        self._begin(address, want, 5)

    def long(self, c, address, ci, n, want):
        """n octets of data, at most 252, are at out[7:]."""
        out = self.out
        out[0] = out[3] = _LONG_FRAME
        out[1] = out[2] = n + 3
        out[4] = c
        out[5] = address
        out[6] = ci
        out[_DATA + n] = _sum(out, 4, _DATA + n)
        out[_DATA + n + 1] = _STOP
        self._begin(address, want, _DATA + n + 2)

    def once(self):
        """What has been begun is not repeated."""
        self._repeats = 0

    def _begin(self, address, want, n):
        self._address = address
        self._want = want
        self._out_n = n
        self._repeats = _REPEATS
        self._state = _TO_SEND
        self.result = _BUSY

    def _end(self, result):
        self._state = _IDLE
        self.result = result

    # --- As a profile -----------------------------------------------------------------------

    def reset(self):
        """The line came or went."""
        if self._state == _WAITS:
            self.fail()

    def fail(self):
        """There is no line: nothing comes."""
        self._end(_SILENT)

    def transmit(self, now_ms):
        if self._state != _TO_SEND:
            return 0
        self._state = _WAITS
        self._since_ms = now_ms
        self._noise = False
        self.n = 0
        self.sent = self.sent + 1 & _TICKS_MASK
        if self._want == _NOTHING:
            self._end(_GOOD)
        return self._out_n

    def receive(self, buf, pos, end, now_ms):
        if self._state == _WAITS:
            self._since_ms = now_ms
            while pos < end and self._state == _WAITS:
                if not self._noise:
                    self._take(buf[pos])
                pos += 1
        return end

    def tick(self, now_ms):
        if self._state != _WAITS:
            return
        bits = _PATIENCE_BITS if self.n or self._noise else _PATIENCE_BITS + _BITS * self._out_n
        patience_ms = bits * 1000 // self._bauds + _PATIENCE_MS
        if (now_ms - self._since_ms) & _TICKS_MASK < patience_ms:
            return
        if self.n and not self._noise:
            self._spoilt()  # a frame that has no end
        if self._repeats:
            self._repeats -= 1
            self._state = _TO_SEND
        else:
            self._end(_DAMAGED if self._noise else _SILENT)

    # --- Answers ----------------------------------------------------------------------------

    def _spoilt(self):
        """No answer: what else comes of it passes by, then the request is repeated."""
        self._noise = True
        self.bad = self.bad + 1 & _TICKS_MASK

    def _take(self, octet):
        rx = self.rx
        rx[self.n] = octet
        self.n += 1
        n = self.n
        if n == 1:
            if octet == _SINGLE:
                self._heard(_GOOD if self._want == _ACKNOWLEDGED else _NO_DATA)
            elif octet != _LONG_FRAME:
                self._spoilt()
        elif n == 4:
            if rx[1] != rx[2] or rx[3] != _LONG_FRAME or rx[1] < 3:
                self._spoilt()
        elif n > 4 and n == rx[1] + 6:
            if octet != _STOP or rx[n - 2] != _sum(rx, 4, n - 2) or not self._is_answer():
                self._spoilt()
            else:
                self._heard(_GOOD)

    def _heard(self, result):
        self.good = self.good + 1 & _TICKS_MASK
        self._end(result)

    def _is_answer(self):
        """Is this long frame the answer of whom it was asked of?"""
        to = self._address
        return (
            self._want == _ANSWER
            and self.rx[4] & _RSP_MASK == _RSP_UD
            and (self.rx[5] == to or to == _SELECTED or to == _WHOEVER)
        )


def _sum(buf, pos, end):
    total = 0
    while pos < end:
        total += buf[pos]
        pos += 1
    return total & 0xFF


def secondary(buf, pos, identification, manufacturer_id, version, device_type):
    """Write a secondary address to buf[pos:], eight octets: identification (four octets of BCD)
    and manufacturer_id with the last octet first. Nibbles F, octets FF, and FFFF are any."""
    for k in range(4):
        buf[pos + k] = identification[3 - k]
    buf[pos + 4] = manufacturer_id & 0xFF
    buf[pos + 5] = manufacturer_id >> 8
    buf[pos + 6] = version
    buf[pos + 7] = device_type
    return pos + 8


def put(buf, pos, octets):
    """Put octets at buf[pos:]; their end."""
    copy(buf, pos, octets, 0, len(octets))
    return pos + len(octets)
