# SPDX-License-Identifier: MIT
"""Packets around what has passed a socket, as they would have been on the network: IPv4 and IPv6,
UDP and TCP, with checksums and sequence numbers that are right.

    udp(source, destination, octets) -> octets of a packet
    talk = TCP(client, server);  talk.open(), talk.data(by_client, octets), talk.close(by_client)
                                 -> packets

An address is (host, port): a host in digits, as in endpoint("[::1]:4059").
"""

import ipaddress
import struct

_UDP, _TCP = 17, 6
_HOPS = 64
_WINDOW = 0xFFFF
_FIN, _SYN, _RST, _PSH, _ACK = 0x01, 0x02, 0x04, 0x08, 0x10
_MSS = bytes((2, 4, 0xFF, 0xD7))  # option of a SYN: as much as _MOST
_MOST = 0xFFD7  # octets of a segment: the longest packet less the headers


def endpoint(text):
    """(host, port) of "127.0.0.1:4059" or "[::1]:4059"; ValueError: it is neither."""
    host, colon, number = text.rpartition(":")
    host = host.strip("[]").partition("%")[0]
    if not colon or not number.isdigit() or int(number) > 0xFFFF:
        raise ValueError("%r is no address and port" % text)
    return str(ipaddress.ip_address(host)), int(number)


def checksum(octets):
    """The Internet checksum (RFC 1071)."""
    if len(octets) & 1:
        octets += b"\0"
    total = sum(struct.unpack(">%dH" % (len(octets) // 2), octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return total ^ 0xFFFF


def _packet(source, destination, protocol, header, at, octets):
    """The IP packet with a header of UDP or TCP, whose checksum goes to header[at:]."""
    a, b = (ipaddress.ip_address(host) for host, _number in (source, destination))
    if a.version != b.version:
        # A socket of IPv6 that is heard by IPv4 too.
        a, b = (_mapped(address) for address in (a, b))
    n = len(header) + len(octets)
    if a.version == 4:
        pseudo = a.packed + b.packed + struct.pack(">BBH", 0, protocol, n)
    else:
        pseudo = a.packed + b.packed + struct.pack(">IxxxB", n, protocol)
    check = checksum(pseudo + header + octets)
    if not check and protocol == _UDP:
        check = 0xFFFF  # 0 says that there is none (RFC 768)
    body = header[:at] + struct.pack(">H", check) + header[at + 2 :] + octets
    if a.version == 6:
        return struct.pack(">IHBB", 6 << 28, n, protocol, _HOPS) + a.packed + b.packed + body
    ip = struct.pack(">BBHHHBBH", 0x45, 0, 20 + n, 0, 0x4000, _HOPS, protocol, 0)
    ip += a.packed + b.packed
    return ip[:10] + struct.pack(">H", checksum(ip)) + ip[12:] + body


def _mapped(address):
    if address.version == 6:
        return address
    return ipaddress.ip_address("::ffff:%s" % address)


def udp(source, destination, octets):
    header = struct.pack(">HHHH", source[1], destination[1], 8 + len(octets), 0)
    return _packet(source, destination, _UDP, header, 6, octets)


class TCP:
    """A connection: its packets, by whoever sends them."""

    def __init__(self, client, server, first=1000):
        """first: sequence numbers begin there."""
        self._ends = (server, client)
        self._next = [first, first]  # sequence numbers, by whether it is the client
        self._is_open = False
        self._ended = [False, False]

    def _segment(self, by_client, flags, octets=b"", options=b""):
        source, destination = self._ends[by_client], self._ends[not by_client]
        acknowledged = self._next[not by_client] if flags & _ACK else 0
        header = struct.pack(
            ">HHIIBBHHH",
            source[1],
            destination[1],
            self._next[by_client],
            acknowledged,
            (20 + len(options)) << 2,
            flags,
            _WINDOW,
            0,
            0,
        )
        n = len(octets) + (1 if flags & (_SYN | _FIN) else 0)
        self._next[by_client] = (self._next[by_client] + n) & 0xFFFFFFFF
        return _packet(source, destination, _TCP, header + options, 16, octets)

    def open(self):
        self._is_open = True
        return [
            self._segment(True, _SYN, options=_MSS),
            self._segment(False, _SYN | _ACK, options=_MSS),
            self._segment(True, _ACK),
        ]

    def data(self, by_client, octets):
        packets = [] if self._is_open else self.open()
        for at in range(0, len(octets), _MOST):
            packets.append(self._segment(by_client, _PSH | _ACK, octets[at : at + _MOST]))
        return packets

    def close(self, by_client):
        """by_client ends it, and so does the other side."""
        return [
            self._segment(by_client, _FIN | _ACK),
            self._segment(not by_client, _FIN | _ACK),
            self._segment(by_client, _ACK),
        ]

    def reset(self, by_client):
        return [self._segment(by_client, _RST | _ACK)]
