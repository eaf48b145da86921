# SPDX-License-Identifier: MIT
"""The client's side of a link, as a gateway needs it: one request at a time, and what became of
it. wrapper_client.py and hdlc_client.py say how it gets there; dlms/gateway.py asks.

A conversation is what one channel of this meter has with one logical device on the other side:
begin(), then ask() as often as wanted, then release(), which also ends the associations there.
Allocates at construction a buffer for a request and its answer (max_pdu + 8 octets), nothing
later.

    receive(buf, pos, end, now_ms) -> pos, transmit(now_ms) -> n, tick(now_ms), reset(), closed:
    as every profile has them, see wrapper.py
"""

from dlms.prim import copy
from micropython import const

# state: what became of the request that ask() has taken.
_NOTHING = const(0)  # there is none
_WAITS = const(1)  # it is to be sent
_UNANSWERED = const(2)  # it is to be sent, and that is all
_SENT = const(3)  # the answer is awaited
_ANSWERED = const(4)  # buf[pos:end] is the answer
_LOST = const(5)  # there is no link, or it broke
_LATE = const(6)  # the time is over
_TOO_LONG = const(7)  # the answer has no room in buf

_ROOM = const(8)  # in front of a request, for a header
_TICKS_MASK = const(0x3FFFFFFF)
# A conversation in which nobody says anything for so long is over; the time of the standard's
# inactivity_time_out of HDLC.
_INACTIVITY_MS = const(120000)


class Client:
    """owner: the channel whose conversation it is, None: nobody's."""

    def __init__(self, max_pdu, time_out_ms):
        """time_out_ms: how long an answer may take, the link to be made included (< 2**29)."""
        self.buf = bytearray(_ROOM + max_pdu)
        self.time_out_ms = time_out_ms
        self.owner = None
        self.client_sap = self.server_sap = self.number = 0
        self.state = _NOTHING
        self.pos = self.end = 0
        self.closed = False
        self._since_ms = 0
        self._timed = False

    def ready(self):
        """Can a conversation begin, the one before being over for the other side, too?"""
        return self.owner is None and not self.closed

    def begin(self, owner, client_sap, server_sap, number):
        self.owner = owner
        self.client_sap = client_sap
        self.server_sap = server_sap
        self.number = number

    def is_of(self, client_sap, server_sap, number):
        return (
            self.client_sap == client_sap
            and self.server_sap == server_sap
            and self.number == number
        )

    def ask(self, buf, pos, end, answered):
        """Take the request buf[pos:end]; False: it is too long."""
        n = end - pos
        if n > len(self.buf) - _ROOM:
            return False
        copy(self.buf, _ROOM, buf, pos, n)
        self.pos = _ROOM
        self.end = _ROOM + n
        self.state = _WAITS if answered else _UNANSWERED
        self._timed = False
        return True

    def taken(self):
        """The answer has been fetched: there is room for the next request."""
        self.state = _NOTHING
        self._timed = False

    def release(self):
        """The conversation is over, whatever was under way."""
        self.owner = None
        self.state = _NOTHING
        self.leave()

    def is_due(self):
        """Is there something to do for the link at once?"""
        return self.closed or self.is_waiting()

    def is_waiting(self):
        return self.state == _WAITS or self.state == _UNANSWERED

    def fail(self, state=_LOST):
        """What was asked has come to nothing."""
        if self.state == _UNANSWERED:
            self.state = _NOTHING
        elif self.state == _WAITS or self.state == _SENT:
            self.state = state

    def pass_time(self, now_ms):
        if not self._timed:
            self._timed = True
            self._since_ms = now_ms
        elif self.owner is not None:
            n = (now_ms - self._since_ms) & _TICKS_MASK
            if self.is_waiting() or self.state == _SENT:
                if n >= self.time_out_ms:
                    # What comes after this is the answer to nothing any more.
                    self.fail(_LATE)
                    self.leave()
            elif n >= _INACTIVITY_MS:
                self.release()
