# SPDX-License-Identifier: MIT
"""As much of IPv6 (RFC 8200) and UDP (RFC 768) as a meter behind a G3 modem needs: one header, no
extension headers, no fragments; the checksum, which IPv6 makes mandatory; link-local addresses.

    60 | class, flow (3) | length (2) | 11 | hop limit | source (16) | destination (16)
    source port (2) | destination port (2) | length (2) | checksum (2) | payload

Nothing is allocated.
"""

from dlms.prim import copy, fill
from micropython import const

_HEADERS_LEN = const(48)
_ADDRESS_LEN = const(16)
_IPV6_LEN = const(40)
_VERSION = const(0x60)
_UDP = const(17)
_HOP_LIMIT = const(64)
_SOURCE = const(8)
_DESTINATION = const(24)
_LINK_LOCAL = const(0xFE)
_LINK_LOCAL_TOO = const(0x80)


def link_local(buf, pos, pan, short_address):
    """Write fe80::PAN:ff:fe00:short address, as RFC 4944 has it; returns its end.

    uncertain: that G3 takes its PAN id as it is; public sources say so at second hand.
    """
    fill(buf, pos, _ADDRESS_LEN, 0)
    buf[pos] = _LINK_LOCAL
    buf[pos + 1] = _LINK_LOCAL_TOO
    buf[pos + 8] = pan >> 8
    buf[pos + 9] = pan & 0xFF
    buf[pos + 11] = 0xFF
    buf[pos + 12] = 0xFE
    buf[pos + 14] = short_address >> 8
    buf[pos + 15] = short_address & 0xFF
    return pos + _ADDRESS_LEN


def checksum(buf, pos, end):
    """Of the UDP datagram in the packet buf[pos:end], as if its field were what it is: 0 if that
    is right. The pseudo-header is the addresses, the length and the protocol."""
    at = pos + _SOURCE
    total = end - pos - _IPV6_LEN + _UDP
    last = end - 1
    while at < last:
        total += buf[at] << 8 | buf[at + 1]
        at += 2
    if at == last:
        total += buf[at] << 8
    # A packet of 64 KiB fits into 30 bits; twice, for a carry of the carries.
    total = (total >> 16) + (total & 0xFFFF)
    total = (total >> 16) + (total & 0xFFFF)
    return ~total & 0xFFFF


def check(buf, pos, end):
    """Is buf[pos:end] an IPv6 packet with a whole UDP datagram that is right?"""
    n = end - pos
    if n <= _HEADERS_LEN or buf[pos] & 0xF0 != _VERSION or buf[pos + 6] != _UDP:
        return False
    length = n - _IPV6_LEN
    at = pos + _IPV6_LEN
    if buf[pos + 4] << 8 | buf[pos + 5] != length:
        return False
    if buf[at + 4] << 8 | buf[at + 5] != length:
        return False
    # A datagram without a checksum is not allowed over IPv6.
    if not buf[at + 6] and not buf[at + 7]:
        return False
    return checksum(buf, pos, end) == 0


def put_headers(buf, pos, end, source, source_port, destination, destination_port):
    """Write both headers at buf[pos:], in front of the payload buf[pos + 48:end]; source and
    destination: buffers of 16 octets."""
    length = end - pos - _IPV6_LEN
    fill(buf, pos, _HEADERS_LEN, 0)
    buf[pos] = _VERSION
    buf[pos + 4] = length >> 8
    buf[pos + 5] = length & 0xFF
    buf[pos + 6] = _UDP
    buf[pos + 7] = _HOP_LIMIT
    copy(buf, pos + _SOURCE, source, 0, _ADDRESS_LEN)
    copy(buf, pos + _DESTINATION, destination, 0, _ADDRESS_LEN)
    at = pos + _IPV6_LEN
    buf[at] = source_port >> 8
    buf[at + 1] = source_port & 0xFF
    buf[at + 2] = destination_port >> 8
    buf[at + 3] = destination_port & 0xFF
    buf[at + 4] = length >> 8
    buf[at + 5] = length & 0xFF
    total = checksum(buf, pos, end) or 0xFFFF
    buf[at + 6] = total >> 8
    buf[at + 7] = total & 0xFF
