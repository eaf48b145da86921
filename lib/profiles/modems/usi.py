# SPDX-License-Identifier: MIT
"""USI, the serial interface of Microchip's PRIME and G3 firmware: frames on a UART or USB CDC.

    7E | header | data | check | 7E        7D 5E and 7D 5D are 7E and 7D between the flags
    header: 10 bits, the length of data; 6 bits, the protocol

Protocols 25 (G3 ADP), 26 and 30 (PRIME API): the first octet of data is a command of 7 bits under
the 11th bit of the length. check, over header and data, high octet first:

    00 to 07, PRIME management     32 bits   polynomial 04C11DB7, from 0
    1F, 22 to 26                   16 bits   polynomial 1021, from 0, no zeros appended
    30                              8 bits   all octets xor'ed

Sources: Microchip's USI guide and public code; uncertain: the order of octets of check. There are
no acknowledgements: what is damaged is lost, and the drivers have time-outs. Allocates buffers
for one message each way at construction; each poll does the work of some chunks.
"""

from dlms.prim import copy
from micropython import const
from profiles.modems import more

_FLAG = const(0x7E)
_ESCAPE = const(0x7D)
_ESCAPED = const(0x20)

_HEADER_LEN = const(2)
_CHUNK_LEN = const(64)
_ROUNDS = const(4)  # chunks that one poll reads at most
_MAX_LEN = const(0x7FF)

_MANAGEMENT = const(0x07)
_G3_ADP = const(0x25)
_G3_COORDINATOR = const(0x26)
_PRIME_API = const(0x30)


def check_len(protocol):
    """Octets of check."""
    if protocol <= _MANAGEMENT:
        return 4
    return 1 if protocol == _PRIME_API else 2


class Check:
    """The check of one frame, octet by octet: value, of 32 bits in halves: high and value."""

    def __init__(self, protocol):
        self.n = check_len(protocol)
        self.high = self.value = 0

    def clear(self):
        self.high = self.value = 0

    def feed(self, octet):
        n = self.n
        if n == 1:
            self.value ^= octet
        elif n == 2:
            top = self.value >> 8
            top ^= top >> 4
            self.value = ((self.value << 8 | octet) ^ top << 12 ^ top << 5 ^ top) & 0xFFFF
        else:
            high = self.high ^ octet << 8
            value = self.value
            for _ in range(8):
                carry = high & 0x8000
                high = (high << 1 | value >> 15) & 0xFFFF
                value = value << 1 & 0xFFFF
                if carry:
                    high ^= 0x04C1
                    value ^= 0x1DB7
            self.high = high
            self.value = value

    def octet(self, i):
        """Octet i of the check as it is sent."""
        i = self.n - 1 - i
        if i > 1:
            return self.high >> 8 * (i - 2) & 0xFF
        return self.value >> 8 * i & 0xFF


class USI:
    """One protocol on a line: tx[2:] takes a message, rx[2:end] has one.

    n_frames, n_garbled (bad check, length, escape), n_long (longer than the buffer), n_other (of
    another protocol) count what has come.
    """

    def __init__(self, uart, protocol, size):
        """size: the longest data either way."""
        self.uart = uart
        self.protocol = protocol
        self._extended = protocol in (_G3_ADP, _G3_COORDINATOR, _PRIME_API)
        self.rx = bytearray(_HEADER_LEN + size + 4)
        self.tx = bytearray(_HEADER_LEN + size)
        self.end = 0
        self._check_in = Check(protocol)
        self._check_out = Check(protocol)
        self._chunk = bytearray(_CHUNK_LEN)
        self._at = self._n_chunk = 0
        self._n = -1  # octets since the flag, -1: none has come
        self._escaped = False
        self._out = bytearray(_CHUNK_LEN)
        self._out_pos = self._out_end = 0
        self._tx_pos = self._tx_end = 0  # of the check, too
        self._flags = 0  # that have not been written
        self.n_frames = self.n_garbled = self.n_long = self.n_other = 0

    def reset(self):
        self._at = self._n_chunk = 0
        self._n = -1
        self._out_pos = self._out_end = self._tx_pos = self._tx_end = self._flags = 0

    def is_sending(self):
        return self._flags != 0 or self._out_pos < self._out_end

    def send(self, n):
        """Send the n octets of data at tx[2:]. Not while something is being sent."""
        tx = self.tx
        tx[0] = n >> 2 & 0xFF
        tx[1] = (n & 3) << 6 | self.protocol
        if self._extended and n > 0x3FF:
            tx[2] |= 0x80
        self._check_out.clear()
        self._tx_pos = 0
        self._tx_end = _HEADER_LEN + n
        self._flags = 2
        self.flush()

    def flush(self):
        """Write as much as the line takes."""
        while self.is_sending():
            if self._out_pos == self._out_end:
                self._fill()
            n = self.uart.write(self._out, self._out_pos, self._out_end - self._out_pos)
            if not n:
                return
            self._out_pos += n

    def _fill(self):
        """The next octets of the frame, escaped."""
        out = self._out
        check = self._check_out
        n = 0
        if self._flags == 2:
            out[0] = _FLAG
            n = 1
            self._flags = 1
        pos = self._tx_pos
        end = self._tx_end
        all_end = end + check.n
        while n < _CHUNK_LEN - 1 and pos < all_end:
            if pos < end:
                octet = self.tx[pos]
                check.feed(octet)
            else:
                octet = check.octet(pos - end)
            pos += 1
            if octet == _FLAG or octet == _ESCAPE:
                out[n] = _ESCAPE
                n += 1
                octet ^= _ESCAPED
            out[n] = octet
            n += 1
        self._tx_pos = pos
        if pos == all_end and n < _CHUNK_LEN:
            out[n] = _FLAG
            n += 1
            self._flags = 0
        self._out_pos = 0
        self._out_end = n

    def poll(self):
        """True: rx[2:end] is a message, until the next poll; rx[2] its command, with the bit of
        the length taken off."""
        if self._flags or self._out_pos < self._out_end:
            self.flush()
        if self._at < self._n_chunk and self._read():
            return True
        rounds = _ROUNDS
        while rounds:
            rounds -= 1
            n = self.uart.readinto(self._chunk)
            if not n:
                return False
            self._at = 0
            self._n_chunk = n
            if self._read():
                return True
        return False

    def _read(self):
        """Take the octets of the chunk up to the end of a frame; True: it is a good one."""
        chunk = self._chunk
        rx = self.rx
        check = self._check_in
        size = len(rx)
        at = self._at
        n = self._n
        while at < self._n_chunk:
            octet = chunk[at]
            at += 1
            if octet == _FLAG:
                good = n > 0 and self._is_good(n)
                n = 0
                self._escaped = False
                check.clear()
                if good:
                    self._at = at
                    self._n = n
                    return True
                continue
            if n < 0:
                continue
            if octet == _ESCAPE:
                self._escaped = True
                continue
            if self._escaped:
                self._escaped = False
                octet ^= _ESCAPED
            if n < size:
                # The check is over all but itself, and where it begins shows only at the end.
                if n >= check.n:
                    check.feed(rx[n - check.n])
                rx[n] = octet
            n += 1
        self._at = at
        self._n = n
        return False

    def _is_good(self, n):
        """Are the n octets of rx a frame for us?"""
        rx = self.rx
        check = self._check_in
        if n > len(rx):
            self.n_long = more(self.n_long)
            return False
        end = n - check.n
        if end <= _HEADER_LEN or self._escaped:
            self.n_garbled = more(self.n_garbled)
            return False
        if rx[1] & 0x3F != self.protocol:
            self.n_other = more(self.n_other)
            return False
        length = rx[0] << 2 | rx[1] >> 6
        if self._extended:
            length |= (rx[2] & 0x80) << 3
        good = length == end - _HEADER_LEN
        for i in range(check.n):
            if rx[end + i] != check.octet(i):
                good = False
        if not good:
            self.n_garbled = more(self.n_garbled)
            return False
        if self._extended:
            rx[2] &= 0x7F
        self.end = end
        self.n_frames = more(self.n_frames)
        return True

    def put(self, at, buf, pos, end):
        """Copy octets of a message to tx[at:]; returns where they end."""
        copy(self.tx, at, buf, pos, end - pos)
        return at + end - pos
