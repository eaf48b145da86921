# SPDX-License-Identifier: MIT
"""General block transfer (IEC 62056-5-3): any APDU, in either direction, in blocks.

    E0  control  block_number u16  block_number_ack u16  length  octets
    control: 0x80 last_block, 0x40 streaming (more blocks of this window follow), 0..63 window

Each side numbers its own blocks from 1, those included that only acknowledge, and says which of
the other's it has without a gap. The sender of an APDU sends as many blocks as the other's window
takes, or as many as fit into `out`, all but the last of them streaming; then it waits. What was
not acknowledged is sent again. Blocks of a request that come twice, or behind a gap, are passed
over. A transfer that cannot go on ends with an exception-response.

A GET in plain text that is asked for so, or whose client has negotiated no blocks of GET, is
answered as one APDU of any length, which is made block by block. Every other answer is as long as
the channel's buffer takes; one that is protected and longer goes out in blocks of its own service,
each of which may take several of these.

[?] A window of 0 is taken for 1; what else ends a transfer is not settled in public sources.

A Transfer, two buffers, is made when an association first needs one; nothing else is allocated.
"""

from dlms import exceptions
from dlms.axdr import get_u16, length, length_size, put_length
from dlms.prim import copy
from micropython import const

_GENERAL_BLOCK_TRANSFER = const(0xE0)
_GET_RESPONSE = const(0xC4)
_RESPONSE_NORMAL = const(1)
_RESPONSE_WITH_LIST = const(3)
_LAST_BLOCK = const(0x80)
_STREAMING = const(0x40)
_WINDOW = const(0x3F)
_LAST_NUMBER = const(0xFFFF)

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)
_HEAD_LEN = const(6)  # but for the length
_MOST_HEAD_LEN = const(9)

# state: what is going on.
_IDLE = const(0)
_RECEIVING = const(1)  # blocks of a request: rx[0:n_rx]
_SERVING = const(2)  # the request is whole, and is being served
_SENDING = const(3)  # blocks of an answer: out[0:n_out] begins with block acked + 1

# Of association.py: the answer is made as it goes out.
_BY_BLOCKS = const(5)


class Transfer:
    """State of an association's general block transfer.

    rx_number   last block of the client without a gap; number: last block of ours, sent once
    acked       last block of ours that the client has; next: the next to be sent
    size        octets of every block of an answer but the last; ended: out has its end
    """

    def __init__(self, size):
        self.rx = bytearray(size)
        self.out = bytearray(size)
        self.n_rx = self.n_out = 0
        self.size = self.window_end = 0
        self.streamed = self.ended = self.whole = False
        self.begin()

    def begin(self):
        self.state = _IDLE
        self.rx_number = self.number = self.acked = self.next = 0
        self.n_rx = 0
        self.whole = False

    # --- The answer

    def answer(self, a, src, pos, n, window):
        """src[pos:pos + n] is the answer; its first block."""
        copy(self.out, 0, src, pos, n)
        self.n_out = n
        self.ended = True
        self.streamed = False
        return self._first(a, window)

    def stream(self, a, count, window):
        """a.stream is the value, or the results of a list, of a get-response; its first block."""
        out = self.out
        out[0] = _GET_RESPONSE
        out[1] = _RESPONSE_WITH_LIST if count else _RESPONSE_NORMAL
        out[2] = a.iip
        out[3] = 0
        self.n_out = 3 if count else 4
        self.ended = False
        self.streamed = True
        a.transfer = _BY_BLOCKS
        return self._first(a, window)

    def _first(self, a, window):
        self.state = _SENDING
        self.acked = self.number
        limit = a.channel.max_pdu
        if a.max_pdu and a.max_pdu < limit:
            limit = a.max_pdu
        limit -= _MOST_HEAD_LEN
        self.size = limit if limit < len(self.out) else len(self.out)
        return self._window(a, window)

    def acknowledged(self, a, number, window):
        """The client has our blocks up to this one: the next of them, or 0: it has all."""
        if number > self.number or (self.streamed and a.transfer != _BY_BLOCKS):
            return self.abort(a)
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
        most = len(self.out) // size
        if window > most:
            window = most
        s = a.stream
        while not self.ended and self.n_out < window * size:
            before = self.n_out
            self.n_out = s.fill(self.out, before, window * size)
            if s.result == 0:
                self.ended = True
                a.transfer = 0
                self.streamed = False
            elif s.result > 0 or self.n_out == before:
                return self.abort(a)
        self.next = self.acked + 1
        self.window_end = self.acked + window
        return self.block(a)

    def block(self, a):
        """The next block of the window; length of the reply in the channel of a."""
        number = self.next
        if number > _LAST_NUMBER:
            return self.abort(a)
        pos = (number - self.acked - 1) * self.size
        n = self.n_out - pos
        control = self.own_window()
        if n > self.size:
            n = self.size
            if number < self.window_end:
                control |= _STREAMING
        elif self.ended:
            control |= _LAST_BLOCK
        self.next = number + 1
        if number > self.number:
            self.number = number
        a.channel.more = a if control & _STREAMING else None
        return _put(a, control, number, self.rx_number, self.out, pos, n)

    def acknowledge(self, a):
        """A block that only says how far the request has come."""
        self.number += 1
        control = _LAST_BLOCK | self.own_window()
        return _put(a, control, self.number, self.rx_number, self.out, 0, 0)

    def own_window(self):
        """Blocks are copied away as they come: there may be as many as they like."""
        return _WINDOW

    def abort(self, a):
        self.begin()
        a.transfer = 0
        return exceptions.malformed(a.channel)

    # --- The request

    def take(self, number, last_block, buf, pos, n):
        """A block of the request; False: there is no room for it."""
        if number != self.rx_number + 1 or self.whole:
            return True
        if n > len(self.rx) - self.n_rx:
            return False
        copy(self.rx, self.n_rx, buf, pos, n)
        self.n_rx += n
        self.rx_number = number
        self.whole = last_block
        return True


def _put(a, control, number, ack, src, pos, n):
    tx = a.channel.tx
    at = _HEADROOM
    tx[at] = _GENERAL_BLOCK_TRANSFER
    tx[at + 1] = control
    tx[at + 2] = number >> 8
    tx[at + 3] = number & 0xFF
    tx[at + 4] = ack >> 8
    tx[at + 5] = ack & 0xFF
    at = put_length(tx, at + _HEAD_LEN, n)
    copy(tx, at, src, pos, n)
    return a.channel.reply(_HEADROOM, at + n)


def request(server, a, buf, pos, end):
    """Serve the block buf[pos:end] of a client; length of the reply, or -1: it comes again."""
    t = a.gbt
    if t is None:
        return server.wants_transfer(a)
    at = pos + _HEAD_LEN
    n = length(buf, at, end)
    if n < 0 or at + length_size(buf, at) + n != end:
        return exceptions.malformed(a.channel)
    at = end - n
    control = buf[pos + 1]
    number = get_u16(buf, pos + 2)
    window = control & _WINDOW or 1
    a.channel.more = None
    if t.state != _SERVING:
        if t.state == _SENDING and n == 0:
            return t.acknowledged(a, get_u16(buf, pos + 4), window)
        begun = t.state == _RECEIVING and not t.rx_number
        if n and not begun and (number == 1 or t.state == _IDLE):
            # If it is not the first one, those before were lost, and will be asked for.
            t.begin()
            t.state = _RECEIVING
        elif t.state != _RECEIVING:
            # What ends a transfer that is over is not answered.
            return t.abort(a) if n else 0
        if not t.take(number, control & _LAST_BLOCK != 0, buf, at, n):
            t.begin()
            return exceptions.too_long(a.channel)
        if control & _STREAMING:
            return 0
        if not t.whole:
            return t.acknowledge(a)
        if t.rx[0] == _GENERAL_BLOCK_TRANSFER:
            return t.abort(a)
        t.state = _SERVING
    return _serve(server, a, t, window)


def _serve(server, a, t, window):
    """The request is whole: serve it as any other, and begin with the answer."""
    channel = a.channel
    limit = a.limit
    a.window = window
    a.limit = channel.max_pdu if channel.max_pdu < len(t.out) else len(t.out)
    if a.context is not None:
        full_limit = a.full_limit
        a.full_limit = a.limit
        n = server.secured.request(channel, a, t.rx, 0, t.n_rx)
        a.full_limit = full_limit
    else:
        n = server.service(channel, a, t.rx, 0, t.n_rx)
    a.limit = limit
    a.window = 0
    if n < 0 or t.state == _SENDING or a.channel is None:
        # It is to come again; or a long answer has been begun; or the association is over.
        return n
    t.state = _IDLE
    return t.answer(a, channel.tx, channel.tx_pos, n, window) if n else 0
