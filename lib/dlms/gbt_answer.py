# SPDX-License-Identifier: MIT
"""The answers of general block transfer, and the blocks that only acknowledge: see gbt.py.

What is not acknowledged stays in `out`, with the octets of the next blocks behind it; a long
answer is written into it as room comes. Nothing is allocated but by __init__().
"""

from dlms import exceptions
from dlms.axdr import put_length
from dlms.prim import copy
from micropython import const

_GENERAL_BLOCK_TRANSFER = const(0xE0)
_LAST_BLOCK = const(0x80)
_STREAMING = const(0x40)
_WINDOW = const(0x3F)
_LAST_NUMBER = const(0xFFFF)

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)
_HEAD_LEN = const(6)  # but for the length
_MOST_HEAD_LEN = const(9)
_LONGEST_HEAD = const(19)  # of a long answer

_OTHER_REASON = const(3)  # service-error of the exception-response

# States of gbt.py.
_IDLE = const(0)
_SENDING = const(3)
_REFUSED = const(4)

# Of association.py: the answer is made as it goes out.
_BY_BLOCKS = const(5)

# Of secured.py and secured_association.py, and what that job says.
_SIGNED = const(4)
_BY_JOB = const(6)
_COUNT = const(5)
_SEALED = const(0)
_NOT_POSSIBLE = const(1)

# The stream may need so many octets at once to go on.
_SLACK = const(8)


class Answer:
    """The half of a Transfer that sends.

    number      the highest of our blocks that was sent; acked: the last that the client has
    next        the next to be sent
    size        octets of every block of an answer but the last; ended: out has its end
    head        what a long answer begins with, before what the source writes: n_head octets
    source      a Stream, or sealed.Sealed, which has the same fill() and result
    why         service-error of what is refused
    """

    def __init__(self, out, size):
        self.out = out
        self.head = bytearray(_LONGEST_HEAD)
        self.n_head = 0
        self.room = self.size = size
        self.n_out = self.next = self.window_end = self.why = 0
        self.ended = False

    def end(self, a):
        """Whatever there is, is over."""
        if self.source is not None:
            a.transfer = 0
        if a.channel is not None and a.channel.more is a:
            a.channel.more = None
        self.begin()

    def answer(self, a, src, pos, n, window):
        """src[pos:pos + n] is the answer; its first block."""
        copy(self.out, 0, src, pos, n)
        self.n_out = n
        self.ended = True
        return self._first(a, window)

    def stream(self, a, n_head, again):
        """The answer is head[:n_head] and what a.stream, which has just begun, writes; its first
        block, -1: the request is to come again, 0: it cannot go out like this.

        again: it may come again, nothing has been done yet.
        """
        self.n_head = n_head
        source = a.stream
        if a.context is not None:
            if not again or a.form >= _BY_JOB or a.protection & _SIGNED:
                return 0
            if a.asks != _COUNT:
                return a.ask(_COUNT, self.head, 0, 0)
            code = a.code
            made = a.octets
            a.forget_job()
            if code == _NOT_POSSIBLE:
                return 0
            if code == _SEALED:
                source = made
                n_head = 0
        return self._start(a, source, self.head, 0, n_head)

    def begins_with(self, a, src, pos, end):
        """src[pos:end] is the beginning of an answer in plain text that a.stream goes on with; its
        first block."""
        return self._start(a, a.stream, src, pos, end - pos)

    def _start(self, a, source, src, pos, n):
        self.source = source
        copy(self.out, 0, src, pos, n)
        self.n_out = n
        self.ended = False
        a.transfer = _BY_BLOCKS
        return self._first(a, a.window or 1)

    def _first(self, a, window):
        self.state = _SENDING
        limit = a.channel.max_pdu
        if a.max_pdu and a.max_pdu < limit:
            limit = a.max_pdu
        limit -= _MOST_HEAD_LEN
        self.size = limit if limit < self.room else self.room
        return self._window(a, window)

    def go_on(self, a, number, window):
        """The client has our blocks up to this one: the next of them, or 0: it has all."""
        if number > self.acked:
            n = (number - self.acked) * self.size
            self.acked = number
            self.n_out -= n
            if self.n_out > 0:
                copy(self.out, 0, self.out, n, self.n_out)
            elif self.ended:
                self.state = _IDLE
                return 0
            else:
                self.n_out = 0
        return self._window(a, window)

    def _window(self, a, window):
        """Fill `out` for the next window; its first block."""
        size = self.size
        most = self.room // size
        if window > most:
            window = most
        source = self.source
        while not self.ended and self.n_out < window * size:
            before = self.n_out
            # What is written beyond the window is the beginning of the next.
            self.n_out = source.fill(self.out, before, window * size + _SLACK)
            if source.result == 0:
                self.ended = True
                self.source = None
                a.transfer = 0
            elif source.result > 0 or self.n_out == before:
                return self._abort(a)
        self.next = self.acked + 1
        self.window_end = self.acked + window
        return self.block(a)

    def block(self, a):
        """The next block of the window; length of the reply in the channel of a."""
        number = self.next
        if number > _LAST_NUMBER:
            return self._abort(a)
        pos = (number - self.acked - 1) * self.size
        n = self.n_out - pos
        control = _WINDOW  # blocks are copied away as they come
        if n > self.size:
            n = self.size
            if number < self.window_end:
                control |= _STREAMING
        elif self.ended:
            control |= _LAST_BLOCK
        self.next = number + 1
        if control & _STREAMING:
            a.channel.more = a
        elif a.channel.more is a:
            a.channel.more = None
        return self._put(a, control, number, self.out, pos, n)

    def acknowledge(self, a):
        """A block that only says how far the request has come. If the one before was lost, it has
        the number of that."""
        if self.acked == _LAST_NUMBER:
            return self._abort(a)
        control = _LAST_BLOCK | (1 if self.n_held else _WINDOW)
        return self._put(a, control, self.acked + 1, self.out, 0, 0)

    def _put(self, a, control, number, src, pos, n):
        if number > self.number:
            self.number = number
        tx = a.channel.tx
        at = _HEADROOM
        tx[at] = _GENERAL_BLOCK_TRANSFER
        tx[at + 1] = control
        tx[at + 2] = number >> 8
        tx[at + 3] = number & 0xFF
        tx[at + 4] = self.rx_number >> 8
        tx[at + 5] = self.rx_number & 0xFF
        at = put_length(tx, at + _HEAD_LEN, n)
        copy(tx, at, src, pos, n)
        return a.channel.reply(_HEADROOM, at + n)

    def unheard(self, a):
        """Nobody hears the answer that has been begun."""
        if self.state == _SENDING:
            self.end(a)

    def refuse(self, a, why):
        self.end(a)
        self.state = _REFUSED
        self.why = why

    def _abort(self, a):
        self.refuse(a, _OTHER_REASON)
        return self.refused(a)

    def refused(self, a):
        self.begin()
        return exceptions.put(a.channel, 1, self.why)
