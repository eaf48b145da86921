# SPDX-License-Identifier: MIT
"""The gateway protocol (IEC 62056-5-3): APDUs for a meter on another link of this one.

    E6 network_id (u8) physical_device_address (octet-string) APDU     request
    E7 network_id      physical_device_address                APDU     response

A request goes on without its prefix, with the same client SAP and the same server SAP; its answer
comes back behind a prefix of its own. What is inside is nobody's business here: it may be
ciphered, for keys that this meter does not have, and it may have a prefix of the next gateway.
Rights are the other meter's to check.

A network carries one conversation at a time: of one client here with one logical device there.
It ends when its client releases the association or its link goes, when it asks for another
device, and after two minutes of silence; the association there ends with it, so that nobody finds
himself in somebody else's. Nothing is allocated.

uncertain: public sources have the prefix, but not what answers a request that cannot be passed on.
Here it is an exception-response without a prefix, as _OUTCOMES has it: with one it would be the
other meter's. Until there is an answer, or the time is over, nothing else is read from the line
that it goes to (of UDP: from the port). What came by broadcast or unconfirmed frame is not passed
on. Of an answer in several APDUs the first would be; so the window of a general block transfer,
which is not protected, is made 1 on the way there: then each has one.
"""

from dlms import exceptions
from dlms.axdr import length, length_size
from dlms.prim import compare, copy
from micropython import const

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)

_RESPONSE = const(0xE7)
_RLRE = const(0x63)
_SET_REQUEST = const(0xC1)
_ACTION_REQUEST = const(0xC3)
_UNCONFIRMED_WRITE = const(0x16)
_GENERAL_BLOCK_TRANSFER = const(0xE0)
_STREAMING = const(0x40)
_WINDOW = const(0x3F)
_CONFIRMED = const(0x40)  # in invoke-id-and-priority
_LONGEST_ADDRESS = const(16)

# States of profiles/client.py.
_NOTHING = const(0)
_UNANSWERED = const(2)
_SENT = const(3)
_ANSWERED = const(4)
_LATE = const(6)
_TOO_LONG = const(7)

# What becomes of a request that is not answered: state-error and service-error.
_MALFORMED = const(0)
_UNKNOWN = const(1)
_BUSY = const(2)
_OUTCOMES = (
    (1, 3),  # MALFORMED: a prefix that is none, or nothing behind it
    (1, 2),  # UNKNOWN: no network of this id, or no such device there
    (1, 1),  # BUSY: the network carries somebody else's conversation
    (),
    (),
    (1, 1),  # LOST: there is no way there, or it broke; the association there is gone
    (1, 3),  # LATE: no answer in time; the association there is gone
    (1, 4),  # TOO_LONG: the answer has no room; the association there is gone
)


class Gateway:
    """routes: [network_id, physical_device_address or None for any, client], client as in
    profiles/client.py; the first that fits counts."""

    def __init__(self):
        self.routes = []

    def request(self, channel, client_sap, server_sap, buf, pos, end, confirmed):
        """Serve the APDU buf[pos:end], which begins with the prefix; as Server.request()."""
        if not confirmed:
            return 0
        at = pos + 2
        n = length(buf, at, end) if at < end else -1
        if n < 0 or n > _LONGEST_ADDRESS:
            return self._refuse(channel, _MALFORMED)
        at += length_size(buf, at)
        apdu = at + n
        if apdu >= end:
            return self._refuse(channel, _MALFORMED)
        number = -1
        client = None
        for route in self.routes:
            address = route[1]
            if route[0] == buf[pos + 1] and (
                address is None or len(address) == n and compare(address, 0, buf, at, n) == 0
            ):
                client = route[2]
                number = client.number_of(client_sap, server_sap, buf, at, n)
                if number >= 0:
                    break
        if number < 0:
            return self._refuse(channel, _UNKNOWN)
        if channel.full or client.owner is not None and client.owner is not channel:
            return self._refuse(channel, _BUSY)
        state = client.state
        if client.owner is channel:
            if state == _NOTHING and not client.is_of(client_sap, server_sap, number):
                client.release()
            elif _NOTHING < state <= _SENT:
                return -1
            elif state == _ANSWERED:
                return self._answer(channel, client, buf, pos, apdu)
            elif state > _ANSWERED:
                client.release()
                return self._refuse(channel, state)
        if client.owner is None:
            if not client.ready():
                return -1
            client.begin(channel, client_sap, server_sap, number)
        answered = _has_answer(buf, apdu, end)
        if buf[apdu] == _GENERAL_BLOCK_TRANSFER and end - apdu > 1 and buf[apdu + 1] & _WINDOW:
            buf[apdu + 1] = buf[apdu + 1] & ~_WINDOW | 1
        if not client.ask(buf, apdu, end, answered):
            return exceptions.too_long(channel) if answered else 0
        return -1 if answered else 0

    def _refuse(self, channel, why):
        return exceptions.put(channel, _OUTCOMES[why][0], _OUTCOMES[why][1])

    def _answer(self, channel, client, buf, pos, apdu):
        """The answer, behind the prefix that its request had but for the tag."""
        n = client.end - client.pos
        tx = channel.tx
        if _HEADROOM + n > len(tx):
            client.release()
            return exceptions.too_long(channel)
        copy(tx, _HEADROOM, client.buf, client.pos, n)
        start = _HEADROOM - (apdu - pos)
        copy(tx, start, buf, pos, apdu - pos)
        tx[start] = _RESPONSE
        if tx[_HEADROOM] == _RLRE:
            client.release()
        else:
            client.taken()
        return channel.reply(start, _HEADROOM + n)

    def serves(self, channel):
        """Does this channel carry a conversation?"""
        for route in self.routes:
            if route[2].owner is channel:
                return True
        return False

    def release(self, channel):
        """The channel's link is gone."""
        for route in self.routes:
            if route[2].owner is channel:
                route[2].release()


def _has_answer(buf, pos, end):
    """Is the request buf[pos:end] answered, so far as can be seen? A ciphered one always is, and a
    GET, whatever service class it says; no block that others follow."""
    tag = buf[pos]
    if tag == _GENERAL_BLOCK_TRANSFER:
        return end - pos < 2 or buf[pos + 1] & _STREAMING == 0
    if tag == _SET_REQUEST or tag == _ACTION_REQUEST:
        return end - pos < 3 or buf[pos + 2] & _CONFIRMED != 0
    return tag != _UNCONFIRMED_WRITE
