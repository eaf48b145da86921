# SPDX-License-Identifier: MIT
"""The server's side of one link: the buffer of its replies, and whose APDUs come by it. Made by
Server.channel(), at boot; nothing is allocated after that.
"""

from micropython import const

# Room in tx before the body of a reply: APDU headers, ciphering, frame header.
_HEADROOM = const(64)
_ABORTED = const(6)  # event of association.py


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

    def reply(self, start, end):
        """tx[start:end] is the reply; returns its length."""
        self.tx_pos = start
        return end - start
