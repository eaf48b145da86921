# SPDX-License-Identifier: MIT
"""lib/profiles/sntp.py: questions and answers of NTP, octet by octet. Layouts and the digest are
those of RFC 5905 (7.3, 7.4, 14); its text has no example packets, so these are put together here.
"""

import hashlib

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles import sntp

COOKIE = bytes.fromhex("0123456789ABCDEF")
GOOD, NOT_OURS, UNUSABLE, SLOWER, NEVER = range(5)


def answer(first=0x24, stratum=2, code=bytes(4), origin=COOKIE, seconds=0xBC17C200, fraction=0):
    """A packet of a server: version 4, mode 4, as long as nothing else is said."""
    head = bytes((first, stratum, 6, 0xEC)) + bytes(8) + code + bytes(8)
    transmit = seconds.to_bytes(4, "big") + fraction.to_bytes(4, "big")
    return head + origin + bytes(8) + transmit


def digest(name, octets):
    return hashlib.new(name, octets).digest()


def test_a_question_says_nothing_of_our_clock():
    buf = bytearray(b"\xaa" * 60)
    assert sntp.question(buf, COOKIE) == 48
    assert buf[:48] == b"\x23" + bytes(39) + COOKIE and buf[48:] == b"\xaa" * 12


@pytest.mark.parametrize(
    "packet, found",
    [
        (answer(), GOOD),
        (answer(first=0x1C), GOOD),  # version 3
        (answer(first=0x64), GOOD),  # a leap second at the end of this day
        (answer(stratum=15), GOOD),
        (answer()[:47], NOT_OURS),
        (b"", NOT_OURS),
        (answer(first=0x23), NOT_OURS),  # a question, of a client
        (answer(first=0x25), NOT_OURS),  # broadcast
        (answer(origin=bytes(8)), NOT_OURS),
        (answer(origin=COOKIE[:7] + b"\xee"), NOT_OURS),
        (answer(first=0xE4), UNUSABLE),  # its clock is not synchronized
        (answer(stratum=16), UNUSABLE),
        (answer(seconds=0), UNUSABLE),
        (answer(stratum=0, code=b"RATE"), SLOWER),
        (answer(stratum=0, code=b"DENY"), NEVER),
        (answer(stratum=0, code=b"RSTR"), NEVER),
        (answer(stratum=0, code=b"INIT"), UNUSABLE),
    ],
)
def test_what_comes(packet, found):
    assert sntp.check(packet, len(packet), COOKIE) == found


@pytest.mark.parametrize(
    "seconds, fraction, later_ms, time",
    [
        (0xBC17C200, 0, 0, (0, 0, 0)),  # 2000-01-01 00:00:00 UTC
        (0xBC17C200, 0x80000000, 0, (0, 0, 500)),
        (0xBC17C200 + 59, 0xC0000000, 260, (1, 0, 10)),
        (0xFFFFFFFF, 0, 0, (18988228, 15, 0)),  # 2036-02-07 06:28:15, the last of the era
        (0, 1 << 31, 0, (18988228, 16, 500)),
        (1, 0, 0, (18988228, 17, 0)),
    ],
)
def test_the_time(seconds, fraction, later_ms, time):
    assert sntp.time(answer(seconds=seconds, fraction=fraction), later_ms) == time


@pytest.mark.parametrize("name", ["md5", "sha1"])
def test_shared_secret(name):
    key_id, key = b"\0\0\0\x2a", b"secret"
    packet = bytearray(answer())
    packet += key_id + digest(name, key + packet)
    assert sntp.is_signed(packet, len(packet), key_id, key, digest)
    assert not sntp.is_signed(packet, len(packet), key_id, b"Secret", digest)
    assert not sntp.is_signed(packet, len(packet), b"\0\0\0\x2b", key, digest)
    assert not sntp.is_signed(packet, 48, key_id, key, digest)
    assert not sntp.is_signed(packet, len(packet) - 1, key_id, key, digest)
    for k in (0, 40, 52, len(packet) - 1):
        packet[k] ^= 1
        assert not sntp.is_signed(packet, len(packet), key_id, key, digest)
        packet[k] ^= 1


def test_a_signed_question():
    buf = bytearray(80)
    sntp.question(buf, COOKIE)
    assert sntp.sign(buf, b"\0\0\0\x07", b"key", digest) == 68
    assert buf[48:68] == b"\0\0\0\x07" + hashlib.md5(b"key" + buf[:48]).digest()


@given(st.binary(max_size=80))
def test_anything(packet):
    assert sntp.check(packet, len(packet), COOKIE) in range(5)
    assert not sntp.is_signed(packet, len(packet), b"\0\0\0\1", b"k", digest)
