# SPDX-License-Identifier: MIT
"""lib/profiles/ipv6_udp.py. The RFCs have no packets to compare with; headers are put together
here field by field, and the checksum is a sum of its own over the pseudo-header of RFC 8200, 8.1.
"""

import struct

import pytest
from doubles.meters import packet, summed
from hypothesis import given
from hypothesis import strategies as st
from profiles import ipv6_udp

A = bytes.fromhex("FE80000000000000781D00FFFE000005")
B = bytes.fromhex("FE80000000000000781D00FFFE000000")


def test_addresses_from_pan_and_short_address():
    buf = bytearray(20)
    assert ipv6_udp.link_local(buf, 2, 0x781D, 0x0005) == 18
    assert buf == bytes(2) + A + bytes(2)


@given(st.binary(min_size=1, max_size=300))
def test_headers(payload):
    buf = bytearray(b"\xaa" * 50 + payload + b"\xaa")
    ipv6_udp.put_headers(buf, 2, 50 + len(payload), A, 4059, B, 5000)
    assert buf == b"\xaa\xaa" + packet(payload) + b"\xaa"
    assert ipv6_udp.check(buf, 2, 50 + len(payload))


def test_a_checksum_of_0_is_sent_as_ffff():
    # The last two octets make the sum what the others want.
    value = summed(A, B, struct.pack(">HHHHH", 4059, 5000, 10, 0, 0))
    payload = struct.pack(">H", value)
    found = packet(payload)
    assert found[46:48] == b"\xff\xff"
    buf = bytearray(48) + payload
    ipv6_udp.put_headers(buf, 0, 50, A, 4059, B, 5000)
    assert buf == found and ipv6_udp.check(buf, 0, 50)


GOOD = packet(b"0123456789")


@pytest.mark.parametrize(
    "octets",
    [
        b"",
        GOOD[:48],
        packet(b""),
        packet(b"0123456789", wrong=1),
        GOOD[:-1],
        GOOD + b"0",
        b"\x40" + GOOD[1:],  # version 4
        GOOD[:6] + b"\x06" + GOOD[7:],  # TCP
        GOOD[:6] + b"\x00" + GOOD[7:],  # a hop-by-hop header
        GOOD[:46] + b"\x00\x00" + GOOD[48:],  # without a checksum
        GOOD[:44] + b"\x00\x11" + GOOD[46:],
    ],
)
def test_what_is_no_packet_for_us(octets):
    assert not ipv6_udp.check(octets, 0, len(octets))


@given(st.integers(0, len(GOOD) - 1), st.integers(1, 255))
def test_what_is_damaged_is_seen(at, how):
    octets = bytearray(GOOD)
    octets[at] ^= how
    # Class, flow label and hop limit are in no checksum.
    assert ipv6_udp.check(octets, 0, len(octets)) == (at in (1, 2, 3, 7) or at == 0 and how < 16)
