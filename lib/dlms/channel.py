# SPDX-License-Identifier: MIT
"""The server's side of one link: the buffer of its replies, and whose APDUs come by it. Made by
Server.channel(), at boot; nothing is allocated after that.
"""

from dlms import exceptions
from micropython import const

# Room in tx before the body of a reply: APDU headers, ciphering, frame header.
_HEADROOM = const(64)
_ABORTED = const(6)  # event of association.py
_SAVE = const(32768)  # todo, of server.py


class Channel:
    """The server's side of one link.

    tx, tx_pos       the reply; max_pdu: the longest
    more             not None: another reply follows without a request, see Server.more()
    max_receive_pdu  the longest request, for the profile to make its buffer
    gate             the communication port that it is part of, see guard.py
    full             nobody gets an association here, but hears so
    """

    full = False

    def __init__(self, server, max_pdu, max_receive_pdu, tx=None):
        self.server = server
        self.max_pdu = max_pdu
        self.max_receive_pdu = max_receive_pdu
        self.tx = tx or bytearray(_HEADROOM + max_pdu)
        self.tx_pos = _HEADROOM
        self.last = None
        self.more = None  # the association whose next reply follows without a request
        self.gate = server.guard.anywhere
        self.held_n = self.held_end = 0  # of an answer that waits, and its request

    def in_use(self):
        """Has a client an association here?"""
        for a in self.server.associations:
            if a.channel is self:
                return True
        gateway = self.server.gateway
        return gateway is not None and gateway.serves(self)

    def release(self):
        """The link is gone: drop its associations."""
        self.last = self.more = None
        if self.server.held is self:
            self.server.held = None
        if self.server.gateway is not None:
            self.server.gateway.release(self)
        for a in self.server.associations:
            if a.channel is self:
                a.event(_ABORTED)

    def hold(self, n, end, heard):
        """A request with its end at `end` has changed something: that is saved before its answer
        of n octets leaves. -1: it does not leave yet; n."""
        server = self.server
        if not server.keeps:
            return n
        server.unsaved = True
        if n <= 0 or not heard:
            undo = server.parts.get("dlms.undo")
            if undo is not None:
                undo.end = 0  # nobody hears that it could not be saved
            return n
        server.todo |= _SAVE
        server.held = self
        self.held_n = n
        self.held_end = end
        return -1

    def fetch(self, end):
        """A request comes while an answer is held: the length of that if it is its own, -1 if it
        has to wait for another's, else 0."""
        server = self.server
        if server.held is not self:
            server.todo |= _SAVE
            return -1
        server.held = None
        return self.held_n if self.held_end == end else 0

    def reply(self, start, end):
        """tx[start:end] is the reply; returns its length."""
        self.tx_pos = start
        return end - start


def save(server):
    """Store what was changed; what cannot be stored is not acknowledged, and a value that was set
    is as before. Allocates."""
    channel = server.held
    undo = server.parts.get("dlms.undo")
    if not server.unsaved:
        server.held = None  # its answer is not asked for any more
    elif server.model.save():
        if undo is not None:
            undo.end = 0
    else:
        if undo is not None:
            undo.restore(0)
        if channel is not None:
            channel.held_n = exceptions.failed(channel)
    server.unsaved = False
    server.todo &= ~_SAVE
