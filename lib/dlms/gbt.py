# SPDX-License-Identifier: MIT
"""General block transfer (IEC 62056-5-3): any APDU, in either direction, in blocks.

    E0  control  block_number u16  block_number_ack u16  length  octets
    control: 0x80 last_block, 0x40 streaming (more blocks of this window follow), 0..63 window

Each side numbers its own blocks from 1, those included that only acknowledge, and says which of
the other's it has without a gap. The sender of an APDU sends as many blocks as the other's window
takes, or as many as fit into `out`, all but the last of them streaming; then it waits. What was
not acknowledged is sent again, from `out`: it is never made a second time. Nothing is said between
the blocks of a client's window; a last block ends it.

A long answer of a GET, Read or ACTION that came in blocks, or whose client has no blocks of that
service, is one APDU of any length, made window by window. It is protected on its way (see
sealed.py), in the form of the request, by keys that the meter has. What is signed, or has a key
that is agreed or wrapped, and so has to be there as a whole, is as long as a buffer; longer, it
goes out in blocks of its own service, each of which takes several of these; so does a long
answer of a method in an association that ciphers, for the method runs once.

[?] A window of 0 is taken for 1. What ends a transfer, and that a client need not acknowledge the
last block, is not settled in public sources.

A Transfer, two buffers, is made when an association first needs one, and goes with it; where there
is no room for it, the request hears operation-not-possible. Nothing else is allocated. The answers
are in gbt_answer.py. A part of the server: it is there when a client needs it.
"""

from dlms.axdr import get_u16, length, length_size
from dlms.gbt_answer import Answer
from dlms.prim import compare, copy
from micropython import const

_GENERAL_BLOCK_TRANSFER = const(0xE0)
_LAST_BLOCK = const(0x80)
_STREAMING = const(0x40)
_WINDOW = const(0x3F)

_HEAD_LEN = const(6)  # but for the length

# service-error of the exception-response
_OTHER_REASON = const(3)
_PDU_TOO_LONG = const(4)

# --- States of a transfer ---------------------------------------------------------------------
_IDLE = const(0)  # none, or one that has come to its end
_RECEIVING = const(1)  # blocks of a request: rx[0:n_rx]
_SERVING = const(2)  # the request is whole, and its last block comes again until it is served
_SENDING = const(3)  # blocks of an answer: out[0:n_out] begins with block acked + 1
_REFUSED = const(4)  # what came is refused; its window is passed over, and then told so

# --- What a block of the client can be --------------------------------------------------------
_FIRST = const(0)  # octets, number 1
_NEXT = const(1)  # the one after those that have come
_AGAIN = const(2)  # has come before; or the request that is being answered, with its counter
_AHEAD = const(3)  # behind a gap
_EMPTY = const(4)  # no octets: says how far our blocks have come, or that there is no request
_UNSENT = const(5)  # acknowledges a block that was never sent
_MALFORMED = const(6)

# --- What becomes of it -----------------------------------------------------------------------
_PASS = const(0)  # nothing
_BEGIN = const(1)  # a new request begins; what was is over. IDLE, RECEIVING, SERVING or REFUSED
_TAKE = const(2)  # the request goes on: RECEIVING, SERVING, or REFUSED (pdu-too-long)
_GAP = const(3)  # a request whose beginning was lost: RECEIVING
_KEEP = const(4)  # it has its place, if all blocks but the last are of one size; then the window
# that we offer is 1 until the gap is closed: RECEIVING
_GO_ON = const(5)  # the answer goes on behind what is acknowledged: SENDING, or IDLE
_ABORT = const(6)  # REFUSED (other-reason)

# By state and block. After the last block of the client's window the answer is, by the new state:
# IDLE none, RECEIVING a block that only acknowledges, SERVING that of the service, SENDING the
# next window, REFUSED an exception-response, and IDLE again. None: that cannot be; an empty block
# of a request, too, is one of the first four.
OUTCOMES = (
    # FIRST  NEXT    AGAIN   AHEAD   EMPTY   UNSENT  MALFORMED
    (_BEGIN, _GAP, _GAP, _GAP, _PASS, _ABORT, _ABORT),  # IDLE
    (_BEGIN, _TAKE, _PASS, _KEEP, None, None, _ABORT),  # RECEIVING; after _GAP, FIRST is NEXT
    None,  # SERVING: nothing else comes
    (_BEGIN, _ABORT, _GO_ON, _ABORT, _GO_ON, _ABORT, _ABORT),  # SENDING
    (_BEGIN, None, _PASS, _PASS, _PASS, _PASS, _PASS),  # REFUSED
)
# Any other request of the association, its end, and that of the link: IDLE, without a word.


class Transfer(Answer):
    """State of an association's general block transfer; see gbt_answer.py for its answers.

    rx_number   last block of the client without a gap
    rx_size     octets of every block of a request but the last, 0: they are not alike
    held        which blocks behind a gap are in rx, by the six lowest bits of their numbers;
                n_held of them; rx_last: the last one, of n_last octets, 0: not held
    whole       rx is the request
    """

    def __init__(self, rx, out):
        Answer.__init__(self, out, len(rx))
        self.rx = rx
        self.held = bytearray(_WINDOW + 1)
        self.rx_size = self.n_held = self.n_last = 0
        self.begin()

    def begin(self):
        self.state = _IDLE
        self.rx_number = self.number = self.acked = self.n_rx = 0
        self.whole = False
        self.source = None
        self._let_go()

    def what(self, a, number, ack, buf, pos, n):
        """Which block this is, of those above."""
        state = self.state
        if number == 1 and (self.rx_number if state == _RECEIVING else n):
            if state != _SENDING or not self._is_being_answered(a, buf, pos, n):
                return _FIRST
        if state != _RECEIVING:
            if ack > self.number:
                return _UNSENT
            if n == 0:
                return _EMPTY
        if number == self.rx_number + 1:
            return _NEXT
        return _AGAIN if number <= self.rx_number else _AHEAD

    def _is_being_answered(self, a, buf, pos, n):
        """Has a protected request the invocation counter of the one that is being answered? What
        is in front of its plain text lies in rx as it came."""
        if a.context is None or not a.protection:
            return False
        head = a.plain_pos
        return 0 < head <= n and head <= self.n_rx and compare(buf, pos, self.rx, 0, head) == 0

    def take(self, a, number, last, buf, pos, n):
        """The next block of the request, and those behind it that are there."""
        if self.whole:
            return
        if n > self.room - self.n_rx:
            self.refuse(a, _PDU_TOO_LONG)
            return
        if number == 1:
            self.rx_size = n
        elif n != self.rx_size and not last:
            self.rx_size = 0
            self._let_go()
        copy(self.rx, self.n_rx, buf, pos, n)
        self.n_rx += n
        self.whole = last
        held = self.held
        while self.n_held and not self.whole and held[number + 1 & _WINDOW]:
            number += 1
            held[number & _WINDOW] = 0
            self.n_held -= 1
            self.whole = number == self.rx_last
            self.n_rx += self.n_last if self.whole else self.rx_size
        self.rx_number = number

    def keep(self, number, last, buf, pos, n):
        """A block behind a gap."""
        size = self.rx_size
        at = (number - 1) * size
        if (
            not size
            or self.whole
            or n != size
            and not (last and n < size)
            or number - self.rx_number > _WINDOW
            or at + n > self.room
        ):
            return
        if last:
            self.rx_last = number
            self.n_last = n
        if not self.held[number & _WINDOW]:
            self.held[number & _WINDOW] = 1
            self.n_held += 1
        copy(self.rx, at, buf, pos, n)

    def _let_go(self):
        self.n_held = self.rx_last = 0
        for i in range(_WINDOW + 1):
            self.held[i] = 0


def request(server, a, buf, pos, end):
    """Serve the block buf[pos:end] of a client; length of the reply, or -1: it comes again."""
    t = a.gbt
    if a.channel.more is a:
        a.channel.more = None
    control = buf[pos + 1] if end - pos > 1 else 0
    window = control & _WINDOW or 1
    if t.state == _SERVING:
        return _serve(server, a, t, window)
    number = ack = 0
    at = pos + _HEAD_LEN
    n = length(buf, at, end)
    what = _MALFORMED
    if n >= 0 and at + length_size(buf, at) + n == end:
        at = end - n
        number = get_u16(buf, pos + 2)
        ack = get_u16(buf, pos + 4)
        what = t.what(a, number, ack, buf, at, n)
    outcome = OUTCOMES[t.state][what]
    if outcome == _BEGIN or outcome == _GAP:
        t.begin()
        t.state = _RECEIVING
    elif outcome == _ABORT:
        t.refuse(a, _OTHER_REASON)
    if outcome == _BEGIN or outcome == _TAKE:
        t.take(a, number, control & _LAST_BLOCK != 0, buf, at, n)
    elif outcome == _KEEP:
        t.keep(number, control & _LAST_BLOCK != 0, buf, at, n)
    if t.state == _RECEIVING:
        t.acked = ack if ack < t.number else t.number
    elif outcome == _GO_ON and number == t.rx_number + 1:
        t.rx_number = number
    if control & (_STREAMING | _LAST_BLOCK) == _STREAMING:
        return 0
    if t.state == _SENDING:
        return t.go_on(a, ack, window)
    if t.state == _RECEIVING:
        if not t.whole:
            return t.acknowledge(a)
        if not t.n_rx or t.rx[0] == _GENERAL_BLOCK_TRANSFER:
            t.refuse(a, _OTHER_REASON)
    if t.state == _REFUSED:
        return t.refused(a)
    if t.state == _IDLE:
        return 0
    t.state = _SERVING
    return _serve(server, a, t, window)


def _serve(server, a, t, window):
    """The request is whole: serve it as any other, and begin with the answer."""
    channel = a.channel
    limit = a.limit
    a.window = window
    a.limit = channel.max_pdu if channel.max_pdu < t.room else t.room
    if a.context is not None:
        full_limit = a.full_limit
        a.full_limit = a.limit
        n = server.secured.request(channel, a, t.rx, 0, t.n_rx)
        a.full_limit = full_limit
    else:
        n = server.service(channel, a, t.rx, 0, t.n_rx)
    a.limit = limit
    a.window = 0
    if n < 0 or t.state != _SERVING:
        # It is to come again; or a long answer has been begun; or the association is over.
        return n
    if not n:
        t.state = _IDLE
        return 0
    return t.answer(a, channel.tx, channel.tx_pos, n, window)
