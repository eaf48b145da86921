# SPDX-License-Identifier: MIT
"""G3-PLC (IEC 62056-8-5), the server's side, over a modem that does PHY, MAC, 6LoWPAN, routes and
the joining: profiles/modems/g3_adp.py, or what behaves like it.

    application layer | wrapper (wrapper.py) | UDP, port 4059 | IPv6 | ADP of the modem
                                               ipv6_udp.py

The meter has the link-local address that its PAN and short address make, and one with a prefix
if it is given one. An answer goes to where its request came from. One client at a time: while it
has an association, others are not heard (n_foreign). A datagram to a multicast address is for
many, and not answered.

    poll(now_ms)  takes an event of the modem, serves, sends; True: there may be more at once

Allocates a buffer for a packet at construction, nothing later.
"""

from dlms.prim import compare, copy
from micropython import const
from profiles import ipv6_udp
from profiles.modems import more

# Events of a modem.
_MODEM_UP = const(1)
_MODEM_DOWN = const(2)
_MODEM_DATA = const(3)
_MODEM_CONFIRM = const(4)
_MODEM_FAULT = const(5)

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


class G3:
    """One meter on one modem.

    n_lost     datagrams that the modem did not take or send
    n_bad      packets that are none, or have no good datagram in them
    n_foreign  datagrams for another address or port, or of another client
    """

    name = "g3"
    closed = False

    def __init__(self, channel, modem, wrapper, prefix=b"", attributes=None):
        """wrapper: a Wrapper for datagrams. prefix: 8 octets of an address beside the link-local
        one, or none. attributes: see PRIME."""
        if len(prefix) not in (0, _PREFIX_LEN):
            raise ValueError("a prefix of 8 octets")
        longest = modem.max_data - _HEADERS_LEN - _WRAPPER_LEN
        channel.max_pdu = min(channel.max_pdu, longest)
        self.capacity = longest
        self.channel = channel
        self.modem = modem
        self.wrapper = wrapper
        self.attributes = attributes
        self.muted = False  # the port is locked, see dlms/guard.py
        self.address = self.pan = _NOBODY
        self.n_lost = self.n_bad = self.n_foreign = 0
        self._prefix = prefix
        self._own = bytearray(_ADDRESS_LEN)  # link-local
        self._from = bytearray(_ADDRESS_LEN)  # that the client has used
        self._peer = bytearray(_ADDRESS_LEN)
        self._peer_port = 0  # 0: nobody
        self._out = bytearray(modem.max_data)
        self._n = 0  # octets of a packet that waits for the modem

    def open(self, now_ms):
        self.reset()
        self.modem.open(now_ms)

    def reset(self):
        """The link goes: what was on its way is forgotten."""
        self._n = 0
        self._peer_port = 0
        self.wrapper.reset()

    def poll(self, now_ms):
        modem = self.modem
        event = modem.poll(now_ms)
        if event == _MODEM_DATA:
            self._receive(now_ms)
        elif event == _MODEM_CONFIRM:
            if modem.status:
                self.n_lost = more(self.n_lost)  # the client asks again
        elif event == _MODEM_UP:
            self._up()
        elif event == _MODEM_DOWN or event == _MODEM_FAULT:
            if self._n:
                self._left(-1)
        self.wrapper.tick(now_ms)
        self._send(now_ms)
        if self.attributes is not None:
            self.attributes.poll(now_ms)
        return event != 0

    def is_busy(self):
        """Is there something that waits for the modem, or for the server?"""
        return self._n != 0 or self.wrapper.is_sending() or self.wrapper.waits()

    def _up(self):
        modem = self.modem
        if modem.address != self.address or modem.pan != self.pan:
            self.address = modem.address
            self.pan = modem.pan
            self.reset()
            ipv6_udp.link_local(self._own, 0, self.pan, self.address)
        if self.attributes is not None:
            self.attributes.up()

    def _receive(self, now_ms):
        buf = self.modem.buf
        pos = self.modem.pos
        end = self.modem.end
        if not ipv6_udp.check(buf, pos, end):
            self.n_bad = more(self.n_bad)
            return
        at = pos + _PORTS
        to_all = buf[pos + _DESTINATION] == _MULTICAST
        good = buf[at + 2] << 8 | buf[at + 3] == _PORT and not self.muted
        if not good or not to_all and not self._is_own(buf, pos + _DESTINATION):
            self.n_foreign = more(self.n_foreign)
            return
        port = buf[at] << 8 | buf[at + 1]
        wrapper = self.wrapper
        if not to_all and not self._is_peer(buf, pos + _SOURCE, port):
            if self.channel.in_use() or self.is_busy() or not port:
                self.n_foreign = more(self.n_foreign)
                return
            wrapper.reset()
            copy(self._peer, 0, buf, pos + _SOURCE, _ADDRESS_LEN)
            self._peer_port = port
        if not to_all:
            copy(self._from, 0, buf, pos + _DESTINATION, _ADDRESS_LEN)
        wrapper.answers = not to_all
        if wrapper.receive(buf, pos + _HEADERS_LEN, end, now_ms) != end:
            self.n_lost = more(self.n_lost)  # the one before is not yet answered

    def _is_own(self, buf, at):
        if compare(buf, at + _PREFIX_LEN, self._own, _PREFIX_LEN, _PREFIX_LEN):
            return False
        if not compare(buf, at, self._own, 0, _PREFIX_LEN):
            return True
        return len(self._prefix) > 0 and not compare(buf, at, self._prefix, 0, _PREFIX_LEN)

    def _is_peer(self, buf, at, port):
        return port == self._peer_port and not compare(buf, at, self._peer, 0, _ADDRESS_LEN)

    def _left(self, taken):
        """The modem has what was to be sent, or never will."""
        if taken < 0:
            self.n_lost = more(self.n_lost)
        self._n = 0

    def _send(self, now_ms):
        if not self._n:
            wrapper = self.wrapper
            n = wrapper.transmit(now_ms)
            if not n:
                return
            if n > len(self._out) - _HEADERS_LEN or not self._peer_port:
                self.n_lost = more(self.n_lost)
                return
            self._n = n + _HEADERS_LEN
            copy(self._out, _HEADERS_LEN, wrapper.out, wrapper.out_pos, n)
            ipv6_udp.put_headers(
                self._out, 0, self._n, self._from, _PORT, self._peer, self._peer_port
            )
        if not self.modem.is_up:
            return
        taken = self.modem.send(self._out, 0, self._n, -1, 0)
        if taken:
            self._left(taken)

    # --- Unasked --------------------------------------------------------------------------------

    def can_notify(self):
        """Is there a network, and nothing that waits?"""
        return self.modem.is_up and not self.is_busy()

    def notify(self, client_sap, server_sap, buf, pos, n):
        """Send the APDU buf[pos:pos + n] to the client, or, if nobody has been heard, to the
        coordinator; False: not now, or too long. buf[pos - 8:pos] is overwritten."""
        if not self.can_notify() or n > self.capacity:
            return False
        if not self._peer_port:
            ipv6_udp.link_local(self._peer, 0, self.pan, _COORDINATOR)
            copy(self._from, 0, self._own, 0, _ADDRESS_LEN)
            self._peer_port = _PORT
        return self.wrapper.notify(client_sap, server_sap, buf, pos, n)
