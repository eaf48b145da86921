# SPDX-License-Identifier: MIT
"""G3-PLC (IEC 62056-8-5), the server's side, over a modem that does PHY, MAC, 6LoWPAN, routes and
the joining: profiles/modems/g3_adp.py, or what behaves like it.

    application layer | wrapper (wrapper.py) | UDP, port 4059 | IPv6 | ADP of the modem
                                               ipv6_udp.py

The meter has the link-local address that its PAN and short address make, and one with a prefix
if it is given one. An answer goes to where its request came from. One client at a time: while it
has an association, others are not heard (n_foreign). A datagram to a multicast address is for
many, and not answered. station.py has the rest.

Allocates a buffer for a packet at construction, nothing later.
"""

from dlms.prim import compare, copy
from micropython import const
from profiles import ipv6_udp
from profiles.modems import more
from profiles.station import Station

_PORT = const(4059)
_HEADERS_LEN = const(48)
_ADDRESS_LEN = const(16)
_PREFIX_LEN = const(8)
_WRAPPER_LEN = const(8)
_SOURCE = const(8)
_DESTINATION = const(24)
_PORTS = const(40)
_MULTICAST = const(0xFF)
_COORDINATOR = const(0x0000)
_NOBODY = const(0xFFFF)


class Packets:
    """What is below the wrapper, with the interface of an LLC: packets out of wpdus, and back.

    n_bad: packets that are none, or have no good datagram in them
    """

    def __init__(self, channel, wrapper, max_data, prefix):
        self.channel = channel
        self.wrapper = wrapper
        self.capacity = max_data - _HEADERS_LEN - _WRAPPER_LEN
        channel.max_pdu = min(channel.max_pdu, self.capacity)
        self.out = bytearray(max_data)
        self.out_pos = 0
        self.note_good = False
        self.n_bad = 0
        self._note = False  # what notify() has taken is not yet sent
        self._leaves = False
        self._prefix = prefix
        self._own = bytearray(_ADDRESS_LEN)  # link-local
        self._from = bytearray(_ADDRESS_LEN)  # that the client has used
        self._peer = bytearray(_ADDRESS_LEN)
        self._peer_port = 0  # 0: nobody

    @property
    def is_busy(self):
        return self.wrapper.is_sending() or self.wrapper.waits()

    def release(self):
        self._peer_port = 0
        self._note = self._leaves = False
        self.wrapper.reset()

    def is_at(self, pan, address):
        """These are the numbers of the meter now."""
        ipv6_udp.link_local(self._own, 0, pan, address)

    def receive(self, buf, pos, end, now_ms):
        """Take a packet; False: it is not for us, or not from our client."""
        if not ipv6_udp.check(buf, pos, end):
            self.n_bad = more(self.n_bad)
            return True
        at = pos + _PORTS
        to_all = buf[pos + _DESTINATION] == _MULTICAST
        if buf[at + 2] << 8 | buf[at + 3] != _PORT:
            return False
        wrapper = self.wrapper
        if not to_all:
            port = buf[at] << 8 | buf[at + 1]
            if not port or not self._is_own(buf, pos + _DESTINATION):
                return False
            if port != self._peer_port or compare(buf, pos + _SOURCE, self._peer, 0, _ADDRESS_LEN):
                if self.channel.in_use() or self.is_busy or self._note:
                    return False
                wrapper.reset()
                copy(self._peer, 0, buf, pos + _SOURCE, _ADDRESS_LEN)
                self._peer_port = port
            copy(self._from, 0, buf, pos + _DESTINATION, _ADDRESS_LEN)
        wrapper.answers = not to_all
        return wrapper.receive(buf, pos + _HEADERS_LEN, end, now_ms) == end

    def _is_own(self, buf, at):
        if compare(buf, at + _PREFIX_LEN, self._own, _PREFIX_LEN, _PREFIX_LEN):
            return False
        if not compare(buf, at, self._own, 0, _PREFIX_LEN):
            return True
        return len(self._prefix) > 0 and not compare(buf, at, self._prefix, 0, _PREFIX_LEN)

    def transmit(self, now_ms):
        wrapper = self.wrapper
        n = wrapper.transmit(now_ms)
        if not n:
            return 0
        self._leaves = self._note
        if n > len(self.out) - _HEADERS_LEN or not self._peer_port:
            self.sent(False)
            return 0
        n += _HEADERS_LEN
        copy(self.out, _HEADERS_LEN, wrapper.out, wrapper.out_pos, n - _HEADERS_LEN)
        ipv6_udp.put_headers(self.out, 0, n, self._from, _PORT, self._peer, self._peer_port)
        return n

    def is_leaving(self):
        """Was what transmit() gave last not asked for?"""
        return self._leaves

    def sent(self, good):
        if self._leaves:
            self._note = self._leaves = False
            self.note_good = good

    def tick(self, now_ms):
        self.wrapper.tick(now_ms)

    # --- Unasked --------------------------------------------------------------------------------

    def notify(self, client_sap, server_sap, buf, pos, n):
        """To the client, or, if nobody has been heard, to the coordinator."""
        if self._note or not 0 < n <= self.capacity:
            return False
        if not self.wrapper.notify(client_sap, server_sap, buf, pos, n):
            return False
        if not self._peer_port:
            copy(self._from, 0, self._own, 0, _ADDRESS_LEN)
            pan = self._own[8] << 8 | self._own[9]
            ipv6_udp.link_local(self._peer, 0, pan, _COORDINATOR)
            self._peer_port = _PORT
        self._note = True
        self.note_good = False
        return True

    def is_notifying(self):
        return self._note

    def forget_note(self):
        """What notify() has taken leaves all the same, and nobody asks what becomes of it."""


class G3(Station):
    """One meter on one modem."""

    name = "g3"

    def __init__(self, channel, modem, wrapper, prefix=b"", attributes=None):
        """wrapper: a Wrapper for datagrams. prefix: 8 octets of an address beside the link-local
        one, or none."""
        if len(prefix) not in (0, _PREFIX_LEN):
            raise ValueError("a prefix of 8 octets")
        packets = Packets(channel, wrapper, modem.max_data, prefix)
        Station.__init__(self, channel, modem, packets, attributes)
        self.address = self.pan = _NOBODY

    def _up(self):
        modem = self.modem
        if modem.address != self.address or modem.pan != self.pan:
            self.address = modem.address
            self.pan = modem.pan
            self.reset()
            self.llc.is_at(self.pan, self.address)

    def _receive(self, now_ms):
        modem = self.modem
        if self.muted or not self.llc.receive(modem.buf, modem.pos, modem.end, now_ms):
            self.n_foreign = more(self.n_foreign)

    def _hand_over(self):
        return self.modem.send(self.llc.out, 0, self._n, -1, 0)
