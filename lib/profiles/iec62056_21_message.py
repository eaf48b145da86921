# SPDX-License-Identifier: MIT
"""Messages of IEC 62056-21: octets to messages, block check and parity (clause 6).

    request         / ? address ! CR LF
    option select   ACK V Z Y CR LF
    command         SOH C D STX data ETX BCC, or without STX and data; EOT instead of ETX says that
                    more blocks follow
    ACK, NAK        alone

BCC is the exclusive or of all characters behind SOH or STX, ETX included. Whatever stands between
messages is dropped. Nothing is allocated after construction.
"""

from micropython import const

_SOH = const(0x01)
_STX = const(0x02)
_ETX = const(0x03)
_EOT = const(0x04)
_ACK = const(0x06)
_LF = const(0x0A)
_CR = const(0x0D)
_NAK = const(0x15)
_EXCLAMATION_MARK = const(0x21)
_SLASH = const(0x2F)
_QUESTION_MARK = const(0x3F)
_LETTER_B = const(0x42)

# Events of iec62056_21.py.
_EV_REQUEST = const(1)
_EV_WRONG = const(5)
_EV_COMMAND = const(6)
_EV_BREAK = const(7)
_EV_ACK = const(8)
_EV_NAK = const(9)
_EV_BAD = const(10)
_EV_OPTION = const(14)  # an option select message that is one, whatever it asks for

_LONGEST_ADDRESS = const(32)
_COUNT_MASK = const(0x3FFFFFFF)

# SOH B 0 ETX BCC: the session is over.
BREAK = b"\x01B0\x03q"


def is_even(octet):
    """Has it an even number of ones?"""
    octet ^= octet >> 4
    return not 0x6996 >> (octet & 15) & 1


def even(buf, pos, end):
    """Set bit 7 of the characters buf[pos:end] so that their parity is even."""
    while pos < end:
        x = buf[pos] & 0x7F
        buf[pos] = x if is_even(x) else x | 0x80
        pos += 1


def block_check(buf, pos, end):
    bcc = 0
    while pos < end:
        bcc ^= buf[pos]
        pos += 1
    return bcc & 0x7F


def address_len(buf, n):
    """buf[0:n] is a request message between its / and its LF: octets of the device address, which
    begins at 1; -1: it is none. An address has digits, letters and spaces."""
    n -= 3
    if n < 0 or n > _LONGEST_ADDRESS or buf[0] != _QUESTION_MARK:
        return -1
    if buf[n + 1] != _EXCLAMATION_MARK or buf[n + 2] != _CR:
        return -1
    for i in range(1, n + 1):
        x = buf[i]
        if x != 0x20 and not 0x30 <= x <= 0x39 and not 0x41 <= x & 0x5F <= 0x5A:
            return -1
    return n


class Messages:
    """What the profile inherits.

    buf, n    the message in hand: buf[0:n] behind its first character, without LF, ETX and BCC
    kind      first character of a message that is not whole yet; 0: there is none
    partial   the command ended with EOT
    dropped   messages that were damaged, since the start (30 bits)
    """

    def __init__(self, buf, parity):
        """parity: the eighth bit of a character is its parity; else it is 0."""
        self.buf = buf
        self.parity = parity
        self.n = 0
        self.kind = 0
        self.partial = False
        self.dropped = 0
        self._bcc = 0
        self._tail = False  # BCC comes next
        self._damaged = False

    def take(self, octet, selects):
        """Take an octet. selects: ACK begins an option select message. The event that a message
        is, or -1."""
        x = octet & 0x7F
        bad = not is_even(octet) if self.parity else octet > 0x7F
        kind = self.kind
        if not kind or (x == _SLASH and kind != _SOH):
            if bad:
                return -1
            if x == _NAK:
                return _EV_NAK
            if x == _ACK and not selects:
                return _EV_ACK
            if x == _SLASH or x == _SOH or x == _ACK:
                self.kind = x
                self.n = self._bcc = 0
                self._tail = self._damaged = False
            return -1
        if bad:
            self._damaged = True
        if kind == _SOH:
            return self._command(x)
        if x != _LF:
            self._keep(x)
            return -1
        self.kind = 0
        if kind == _ACK:
            whole = not self._damaged and self.n == 4 and self.buf[3] == _CR
            return _EV_OPTION if whole else self.drop(_ACK)
        if self._damaged or address_len(self.buf, self.n) < 0:
            return self.drop(_SLASH)
        return _EV_REQUEST

    def _keep(self, x):
        if self.n < len(self.buf):
            self.buf[self.n] = x
            self.n += 1
        else:
            self._damaged = True

    def _command(self, x):
        if not self._tail:
            self._bcc ^= x
            if x == _ETX or x == _EOT:
                self._tail = True
                self.partial = x == _EOT
            else:
                self._keep(x)
            return -1
        self.kind = 0
        n = self.n
        buf = self.buf
        if self._damaged or x != self._bcc or n < 2 or (n > 2 and buf[2] != _STX):
            return self.drop(_SOH)
        if buf[0] == _LETTER_B and 0x30 <= buf[1] <= 0x31:
            return _EV_BREAK
        return _EV_COMMAND

    def drop(self, kind):
        """A message of this kind is damaged, or does not end: the event that this is, or -1."""
        self.kind = 0
        self.dropped = self.dropped + 1 & _COUNT_MASK
        if kind == _SLASH:
            return -1
        return _EV_BAD if kind == _SOH else _EV_WRONG
