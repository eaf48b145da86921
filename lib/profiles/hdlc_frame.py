# SPDX-License-Identifier: MIT
"""HDLC frames: octets to frames, and frames to octets (ISO/IEC 13239, frame format type 3).

    7E | A S length | destination | source | control | HCS | information | FCS | 7E

Allocates at construction a buffer for a received frame and one for a frame to send, each
max_info + 16 octets; nothing later.
"""

from micropython import const

from dlms.prim import copy, crc16

_FLAG = const(0x7E)
_GOOD = const(0xF0B8)  # the CRC register after a check sequence that fits
_MIN_LEN = const(7)  # format 2, addresses 1 + 1, control 1, FCS 2
_OVERHEAD = const(16)  # flags 2, format 2, addresses 4 + 1, control 1, HCS 2, FCS 2; rounded up
_TICKS_MASK = const(0x3FFFFFFF)
# reply, when the server asks for the same request again: the frame stays in hand.
_AGAIN = const(-1)
_COUNT_MASK = const(0x3FFFFFFF)


class Frames:
    """What HDLC inherits. It must have _frame(now_ms): a frame is in rx, its header _head long."""

    def __init__(self, max_info):
        self.rx = bytearray(max_info + _OVERHEAD)
        self.out = bytearray(max_info + _OVERHEAD)
        self.out_pos = 0
        self.capacity = max_info
        self.inter_octet_ms = 25

        # The frame in hand: its information field is rx[info:info_end], empty if there is none.
        self.info = 0
        self.info_end = 0
        # The information field did not fit into the buffer; only its check sequence was looked at.
        self.over = False
        self.client = 0
        self._address = bytearray(4)  # our address as the client wrote it, echoed in answers
        self._address_n = 1

        # The control octet, with F = 1, of the answer that is due; 0 = none. Input waits for it.
        self.reply = 0
        self._known = False

        # What was no frame although it began with a flag, since the start (30 bits): noise on the
        # line, octets that were lost.
        self.dropped = 0

        # Receiver. _n: -1 no flag seen, else octets collected in rx since the flag.
        # _need: octets at which _parse can get on. _head: length of a header found good, or 0.
        # _skip: octets still to come of a frame that is too long for the buffer, or 0.
        # _left: complete frames may wait in rx until the output is gone.
        self._n = -1
        self._need = _MIN_LEN + 1
        self._head = 0
        self._skip = 0
        self._crc = 0
        self._left = False
        self._last_ms = 0
        self._late = False

    def _forget(self):
        """Drop what has come in."""
        self._n = -1
        self._head = 0
        self._skip = 0
        self._left = False
        self._late = False
        self._known = False

    # Octets to frames

    def receive(self, buf, pos, end, now_ms):
        while pos < end and not self.reply:
            n = self._n
            if self._skip:
                pos = self._pass(buf, pos, end, now_ms)
            elif n < 0:
                while pos < end and buf[pos] != _FLAG:
                    pos += 1
                if pos < end:
                    pos += 1
                    self._n = 0
                    self._need = _MIN_LEN + 1
            else:
                k = self._need - n
                if k > end - pos:
                    k = end - pos
                elif not n:
                    # Often the whole frame is there: then there is no need to look at it twice.
                    length = (buf[pos] & 7) << 8 | buf[pos + 1]
                    if _MIN_LEN < length < end - pos and length < len(self.rx):
                        k = self._need = length + 1
                copy(self.rx, n, buf, pos, k)
                pos += k
                self._n = n + k
                if n + k == self._need:
                    self._parse(now_ms)
        self._last_ms = now_ms
        self._late = False
        return pos

    def _parse(self, now_ms):
        """Make what can be made of rx[0:_n]: frames, or the number of octets to wait for.

        Depends on nothing but the octets, so that their portions make no difference.
        """
        rx = self.rx
        self._left = False
        while True:
            n = self._n
            k = 0
            while k < n and rx[k] == _FLAG:  # shared flags, and flags between frames
                k += 1
            if k:
                self._shift(k)
                n -= k
            if self.reply:
                self._left = n > 0
                return
            if n < _MIN_LEN + 1:
                self._need = _MIN_LEN + 1
                return
            length = (rx[0] & 7) << 8 | rx[1]
            head = self._head
            if not head:
                head = self._header(length)
                if head > 0 and n < head + 2:
                    self._need = head + 2
                    return
                if head < 0 or crc16(rx, 0, head + 2, 0xFFFF) != _GOOD:
                    if not self._resync():
                        return
                    continue
                self._head = head
            if length >= len(rx):
                self._skip = length + 1 - n
                self._crc = crc16(rx, head + 2, n, _GOOD)
                return
            if n < length + 1:
                self._need = length + 1
                return
            if not self._known and (
                rx[length] != _FLAG
                or (length > head + 2 and crc16(rx, head + 2, length, _GOOD) != _GOOD)
            ):
                if not self._resync():
                    return
                continue
            self.over = False
            self.info = head + 2
            self.info_end = length - 2 if length > head + 2 else head + 2
            self._frame(now_ms)
            # Asked again, the server wants it as it has left it: deciphered, perhaps.
            self._known = self.reply == _AGAIN
            if self._known:
                return
            self._shift(length + 1)

    def _header(self, length):
        """Octets from format to control of the frame at rx[0], or -1."""
        rx = self.rx
        if rx[0] & 0xF0 != 0xA0:
            return -1
        if rx[2] & 1:
            head = 5
        elif rx[3] & 1:
            head = 6
        elif not rx[4] & 1 and rx[5] & 1:
            head = 8
        else:
            return -1  # three octets, or more than four
        if length != head + 2 and length < head + 5:
            return -1
        if not rx[head - 2] & 1:
            return -1  # a client has one octet
        return head

    def _shift(self, k):
        """Drop k octets in front."""
        n = self._n - k
        if n:
            copy(self.rx, 0, self.rx, k, n)
        self._n = n
        self._head = 0
        self._need = _MIN_LEN + 1

    def _resync(self):
        """What began at the last flag is no frame: go on behind the next flag, or wait for one."""
        self.dropped = self.dropped + 1 & _COUNT_MASK
        rx = self.rx
        n = self._n
        k = 0
        while k < n and rx[k] != _FLAG:
            k += 1
        if k == n:
            self._n = -1
            self._head = 0
            return False
        self._shift(k + 1)
        return True

    def _pass(self, buf, pos, end, now_ms):
        """Take octets of a frame longer than the buffer, for the check sequence only."""
        k = self._skip - 1
        if k:
            if k > end - pos:
                k = end - pos
            self._crc = crc16(buf, pos, pos + k, self._crc)
            self._skip -= k
            return pos + k
        self._skip = 0
        self._n = -1
        if buf[pos] == _FLAG:
            if self._crc == _GOOD:
                self.over = True
                self.info = self.info_end = self._head + 2
                self._frame(now_ms)
            self._n = 0
            self._need = _MIN_LEN + 1
        self._head = 0
        return pos + 1

    # Time

    def _overdue(self, now_ms):
        """Inter-octet time-out: give up a part of a frame.

        At the second tick that finds the octets overdue: they may have been waiting outside while
        the caller was busy elsewhere.
        """
        if self._n > 0 or self._skip:
            if (now_ms - self._last_ms) & _TICKS_MASK > self.inter_octet_ms:
                if self._late:
                    self._expire(now_ms)
                self._late = not self._late

    def _expire(self, now_ms):
        """Drop the part of a frame; frames that a false header had swallowed are still taken."""
        if self._skip:
            self._skip = 0
            self._n = -1
            self._head = 0
        while self._n > 0 and not self.reply and self._resync():
            self._parse(now_ms)

    # Frames to octets

    def begin(self, control, info_len, segmented):
        """Write flag, header and HCS; the position of the information field in out."""
        out = self.out
        n = self._address_n
        length = n + 6
        if info_len:
            length += info_len + 2
        out[0] = _FLAG
        out[1] = 0xA0 | (8 if segmented else 0) | length >> 8
        out[2] = length & 0xFF
        out[3] = self.client << 1 | 1
        copy(out, 4, self._address, 0, n)
        n += 4
        out[n] = control
        crc = crc16(out, 1, n + 1, 0xFFFF) ^ 0xFFFF
        out[n + 1] = crc & 0xFF
        out[n + 2] = crc >> 8
        return n + 3

    def finish(self, pos, n):
        """Write FCS and flag behind the information field out[pos:pos + n]; frame's length."""
        out = self.out
        if n:
            crc = crc16(out, pos, pos + n, _GOOD) ^ 0xFFFF
            pos += n
            out[pos] = crc & 0xFF
            out[pos + 1] = crc >> 8
            pos += 2
        out[pos] = _FLAG
        return pos + 1
