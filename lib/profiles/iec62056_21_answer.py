# SPDX-License-Identifier: MIT
"""What a tariff device says in IEC 62056-21: identification, data message, answers to commands.

    identification  / X X X Z \\ 2 text CR LF       \\ 2 in mode E only
    data message    STX lines, each with CR LF ! CR LF ETX BCC
    answer          STX data set ETX BCC; ACK; NAK
    password        SOH P0 STX (operand) ETX BCC

Everything is made in tx; a data message line by line, so that it may be of any length. Nothing is
allocated after construction.
"""

from micropython import const

from profiles.iec62056_21_message import Messages, block_check

_SOH = const(0x01)
_STX = const(0x02)
_ETX = const(0x03)
_ACK = const(0x06)
_LF = const(0x0A)
_CR = const(0x0D)
_NAK = const(0x15)
_SLASH = const(0x2F)

_MODE_A = const(0x41)
_MODE_B = const(0x42)
_MODE_E = const(0x45)

# Of data.line().
_AGAIN = const(-1)
_NO_MORE = const(-2)

LINE_LEN = 160  # the longest line of a data message; behind it data has room to work in


class Answers(Messages):
    """What the profile inherits: tx[at:at + n_out] is to be sent."""

    def __init__(self, buf, tx, data, parity):
        Messages.__init__(self, buf, parity)
        self.tx = tx
        self.data = data
        self.at = self.n_out = 0
        # tx[0:again] is the last answer, for it may be asked for again.
        self.again = 0
        # Of a data message: STX has been sent; all of it is made; its block check.
        self.begun = self.ended = False
        self._bcc_out = 0

    def send(self, n):
        self.at = 0
        self.n_out = n

    def identify(self, mode, rate, fast):
        """The identification message of a protocol mode, as its letter."""
        data = self.data
        tx = self.tx
        tx[0] = _SLASH
        for i in range(3):
            tx[1 + i] = data.flag[i]
        if fast:
            tx[3] |= 0x20  # a small letter: it may react within 20 ms
        tx[4] = 0x40 if mode == _MODE_A else (0x40 if mode == _MODE_B else 0x30) + rate
        n = 5
        if mode == _MODE_E:
            tx[5] = 0x5C
            tx[6] = 0x32
            n = 7
        for x in data.identification:
            tx[n] = x
            n += 1
        tx[n] = _CR
        tx[n + 1] = _LF
        self.send(n + 2)

    def confirm(self, rate):
        """ACK 2 Z 2 CR LF"""
        tx = self.tx
        tx[0] = _ACK
        tx[1] = tx[3] = 0x32
        tx[2] = 0x30 + rate
        tx[4] = _CR
        tx[5] = _LF
        self.send(6)

    def ask_password(self):
        """P0 with the operand."""
        tx = self.tx
        tx[0] = _SOH
        tx[1] = 0x50
        tx[2] = 0x30
        tx[3] = _STX
        tx[4] = 0x28
        n = self.data.operand(tx, 5)
        tx[n] = 0x29
        self.close(n + 1)

    def close(self, end):
        """The message at tx[0:end], from STX or SOH on, is whole but for ETX and BCC."""
        self.tx[end] = _ETX
        self.tx[end + 1] = block_check(self.tx, 1, end + 1)
        self.again = end + 2
        self.send(end + 2)

    def answer(self, end):
        """The data set tx[1:end], or ACK if end is 0."""
        if end:
            self.tx[0] = _STX
            self.close(end)
        else:
            self.tx[0] = _ACK
            self.again = 1
            self.send(1)

    def refuse(self):
        """NAK, elsewhere than the last answer."""
        self.at = len(self.tx) - 1
        self.tx[self.at] = _NAK
        self.n_out = 1

    def part(self):
        """The next line of the data message, or its end; nothing: it is not known yet."""
        tx = self.tx
        pos = 0 if self.begun else 1
        end = self.data.line(tx, pos, LINE_LEN)
        if end == _AGAIN:
            return
        if not self.begun:
            self.begun = True
            self._bcc_out = 0
            tx[0] = _STX
        if end == _NO_MORE:
            self.ended = True
            tx[pos] = 0x21
            end = pos + 1
        tx[end] = _CR
        tx[end + 1] = _LF
        end += 2
        if self.ended:
            tx[end] = _ETX
            end += 1
        self._bcc_out ^= block_check(tx, pos, end)
        if self.ended:
            tx[end] = self._bcc_out
            end += 1
        self.send(end)
