# SPDX-License-Identifier: MIT
"""lib/profiles/modems/usi.py: frames, both ways, whole and damaged.

Check values: reference of the USI guide's algorithms over "123456789": 31 xor'ed, BEEF of 16 bits
with the message shifted in at the bottom, and 89A1897F of 32 bits, which is the cksum of POSIX
(765E7680) before its length and its complement.
"""

import pytest
from doubles import usi as other
from doubles.wire import Wire
from hypothesis import given
from hypothesis import strategies as st
from profiles.modems import usi

PROTOCOLS = (0x00, 0x07, 0x1F, 0x22, 0x25, 0x26, 0x30)


def line(protocol, size=64):
    wire = Wire()
    return usi.USI(wire, protocol, size), wire


def told(link):
    """Messages that have come, each as octets."""
    found = []
    while True:
        if link.poll():
            found.append(bytes(link.rx[2 : link.end]))
        elif not link.uart.any():
            return found


def say(link, wire, data):
    link.tx[2 : 2 + len(data)] = data
    link.send(len(data))
    while link.is_sending():
        link.poll()
    return wire.heard()


@pytest.mark.parametrize("protocol, value", [(0x30, "31"), (0x25, "BEEF"), (0x00, "89A1897F")])
def test_checks(protocol, value):
    check = usi.Check(protocol)
    for octet in b"123456789":
        check.feed(octet)
    assert bytes(check.octet(i) for i in range(check.n)) == bytes.fromhex(value)
    assert other.check(protocol, b"123456789") == bytes.fromhex(value)


def test_frames_as_the_guide_draws_them():
    """Get of attribute 0024 over the PRIME API: 3 octets, so header 00 F0; the check is F9."""
    link, wire = line(0x30)
    assert say(link, wire, b"\x2d\x00\x24") == bytes.fromhex("7E 00F0 2D0024 F9 7E")
    # Its answer would be 7E, which is escaped: check 01^70^2E^00^00^24^7E.
    wire.to_host += bytes.fromhex("7E 0170 2E0000247D5E 05 7E")
    assert told(link) == [b"\x2e\x00\x00\x24\x7e"]


@pytest.mark.parametrize("protocol", PROTOCOLS)
@given(data=st.binary(min_size=1, max_size=60), piece=st.integers(1, 70))
def test_what_is_said_is_heard(protocol, data, piece):
    if protocol in other.EXTENDED:
        data = bytes((data[0] & 0x7F,)) + data[1:]
    link, wire = line(protocol)
    wire.room = piece
    octets = say(link, wire, data)
    assert octets == other.pack(protocol, data)
    assert other.unpack(protocol, octets[1:-1]) == data
    wire.piece = piece
    wire.to_host += octets * 2
    assert told(link) == [data, data] and link.n_frames == 2


def test_more_than_1023_octets_have_the_11th_bit():
    link, wire = line(0x25, 1300)
    data = b"\x0b" + bytes(1279)
    octets = say(link, wire, data)
    assert octets[1:4] == bytes.fromhex("40258B")
    wire.to_host += octets
    assert told(link) == [data]


@given(st.integers(1, 25), st.integers(1, 255))
def test_a_damaged_frame_is_none_and_the_next_one_is_there(at, how):
    link, wire = line(0x25)
    good = other.pack(0x25, b"\x1f" + bytes(range(20)))
    bad = bytearray(other.pack(0x25, b"\x1e" + bytes(range(20))))
    bad[at] ^= how
    wire.to_host += bytes(bad) + good
    found = told(link)
    assert found == [b"\x1f" + bytes(range(20))]


@pytest.mark.parametrize(
    "octets, counter",
    [
        (b"\x7e" + b"\x00" * 80 + b"\x7e", "n_long"),
        (b"\x7e\x7e\x7e\x01\x7e", "n_garbled"),
        (b"\x7e\x00\x40\x7d\x7e", "n_garbled"),
        (other.pack(0x25, b"\x1f\x01"), "n_other"),
    ],
)
def test_what_is_no_frame_is_counted(octets, counter):
    link, wire = line(0x30)
    wire.to_host += octets
    assert told(link) == [] and getattr(link, counter) == 1
    wire.to_host += other.pack(0x30, b"\x21\x01")
    assert told(link) == [b"\x21\x01"]


def test_what_was_there_before_the_first_flag_is_not_looked_at():
    link, wire = line(0x30)
    wire.to_host += b"\x00\xf0\x2d\x00\x24\xf9\x7e" + other.pack(0x30, b"\x21\x01")
    assert told(link) == [b"\x21\x01"] and link.n_garbled == 0
