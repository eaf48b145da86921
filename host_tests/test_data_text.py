# SPDX-License-Identifier: MIT
"""Names, values and units as characters. Reduced names: IEC 62056-6-1, as public readers do."""

import pytest
from fakes import array, boolean, enum, i8, i16, obis, octets, struct_, u8, u16, u32
from hypothesis import given
from hypothesis import strategies as st

from cosem import data_text as text

NAMES = [
    ("1.0.1.8.0.255", "1.8.0"),
    ("1.0.1.8.1.255", "1.8.1"),
    ("1.0.1.8.0.1", "1.8.0*1"),
    ("1.0.1.8.0.101", "1.8.0*101"),
    ("1.0.99.1.0.255", "99.1.0"),
    ("1.1.1.8.0.255", "1-1:1.8.0"),
    ("0.0.1.0.0.255", "0-0:1.0.0"),
    ("0.0.96.1.0.255", "C.1.0"),
    ("0.0.97.97.0.255", "F.97.0"),
    ("0.0.98.1.0.255", "L.1.0"),
    ("0.0.99.98.0.255", "P.98.0"),
    ("0.0.100.1.0.255", "0-0:100.1.0"),
    ("0.1.96.1.0.255", "0-1:96.1.0"),
    ("1.0.96.1.0.255", "96.1.0"),
]


def name_of(logical_name):
    out = bytearray(40)
    end = text.put_name(out, 2, b"--" + logical_name, 2)
    return out[2:end].decode()


def parsed(characters, then=b"()"):
    name = bytearray(8)
    octets_ = characters.encode() + then
    end = text.get_name(octets_, 0, len(octets_), name, 2)
    return None if end < 0 else (bytes(name[2:]), octets_[end:])


@pytest.mark.parametrize("logical_name, shown", NAMES)
def test_names(logical_name, shown):
    assert name_of(obis(logical_name)) == shown
    assert parsed(shown) == (obis(logical_name), b"()")


@given(st.binary(min_size=6, max_size=6))
def test_any_name(logical_name):
    shown = name_of(logical_name)
    assert len(shown) <= 23
    assert parsed(shown) == (logical_name, b"()")


def test_other_forms_of_a_name():
    assert parsed("1-0:1.8.0")[0] == obis("1.0.1.8.0.255")
    assert parsed("1.8.0&1")[0] == obis("1.0.1.8.0.1")
    assert parsed("1-0:1.8.0*255")[0] == obis("1.0.1.8.0.255")
    assert parsed("0-0:96.1.0")[0] == obis("0.0.96.1.0.255")
    assert parsed("001.008.000")[0] == obis("1.0.1.8.0.255")


@pytest.mark.parametrize(
    "characters",
    ["", "1", "1.8", "1.8.", "1..0", "C003", "C.1", "X.1.0", "256.1.0", "1-0.1.8.0", "1:1.8.0",
     "1-:1.8.0", "-0:1.8.0", "1.8.0*", "1.8.0*256", "0001.8.0", "1-0:C.1.0"],
)  # fmt: skip
def test_what_is_no_name(characters):
    assert parsed(characters) is None


def test_a_name_without_anything_behind_it():
    assert parsed("1.8.0", b"") == (obis("1.0.1.8.0.255"), b"")


# --- Values ---------------------------------------------------------------------------------


def visible(data):
    return bytes((0x0A, len(data))) + data


def bits(n, data):
    return bytes((0x04, n)) + data


NOON = bytes.fromhex("07EA0302010C223800800000")


def shown(value, shift=0, limit=64):
    out = bytearray(100)
    end = text.put_value(out, 4, 4 + limit, b"??" + value, 2, 2 + len(value), shift)
    return None if end < 0 else out[4:end].decode()


@pytest.mark.parametrize(
    "value, expected",
    [
        (b"\x00", ""),
        (boolean(True), "1"),
        (u8(200), "200"),
        (i16(-5), "-5"),
        (u32(4294967295), "4294967295"),
        (octets(b"hello"), "hello"),
        (octets(b""), ""),
        (octets(b"a\x00b"), "610062"),
        (octets(bytes.fromhex("DEADBEEF")), "DEADBEEF"),
        (octets(NOON), "260302123456"),
        (b"\x19" + NOON, "260302123456"),
        (octets(b"\x07\xd0\xff\xff\xff\xff\xff\xff\xff\x80\x00\xff"), "07D0FFFFFFFFFFFFFF8000FF"),
        (octets(b"ABCDEFGHIJKL"), "ABCDEFGHIJKL"),
        (visible(b"3x230/400 V (!*)"), "3x230_400 V ____"),
        (visible(b"a\r\nb"), "a__b"),
        (bits(10, b"\xa5\x40"), "1010010101"),
        (b"\x17\x3f\x80\x00\x00", "3F800000"),
        (array(u8(1), u8(2)), "1)(2"),
        (array(), ""),
        (struct_(u8(1), array(u8(2), octets(b"x"))), "1)(2)(x"),
    ],
)
def test_values(value, expected):
    assert shown(value) == expected


def test_the_scaler_is_applied_to_numbers():
    assert shown(u16(2301), -1) == "230.1"
    assert shown(i8(-5), 2) == "-500"
    assert shown(enum(5), 2) == "5"
    assert shown(octets(b"5"), 2) == "5"
    assert shown(struct_(u8(5)), 2) == "5", "whose elements have none"


@pytest.mark.parametrize(
    "value",
    [
        u32(12345),
        octets(b"hello"),
        octets(b"\x00\x01\x02"),
        octets(NOON),
        bits(5, b"\xff"),
        array(u8(12), u8(34)),
    ],
)
def test_a_value_that_does_not_fit(value):
    n = len(shown(value))
    assert shown(value, limit=n) is not None
    assert shown(value, limit=n - 1) is None


def taken(characters, was, shift=0):
    buf = bytearray(200)
    buf[10 : 10 + len(was)] = was
    octets_ = characters.encode()
    end = text.get_value(octets_, 0, len(octets_), buf, 60, 200, 10, shift)
    return None if end < 0 else bytes(buf[60:end])


@pytest.mark.parametrize(
    "value",
    [u8(7), u16(65535), i16(-5), enum(3), octets(b"hello"), octets(b"\x00\xff"), visible(b"text")]
    + [octets(NOON[:8] + b"\xff\x80\x00\x00")],
)
def test_what_is_shown_can_be_written(value):
    if value[:2] == b"\x09\x0c":
        value = value[:6] + b"\xff" + value[7:]  # the day of the week is not shown
    assert taken(shown(value), value) == value


def test_what_cannot_be_written():
    assert taken("x", u8(0)) is None
    assert taken("256", u8(0)) is None
    assert taken("ABC", octets(b"\x00")) is None, "half an octet"
    assert taken("GG", octets(b"\x00")) is None
    assert taken("260302123460", octets(NOON)) is None
    assert taken("261302123456", octets(NOON)) is None
    assert taken("26030212345", octets(NOON)) is None
    assert taken("2603021234xx", octets(NOON)) is None
    assert taken("1", array(u8(1))) is None
    assert taken("101", bits(3, b"\xa0")) is None
    assert taken("x" * 128, octets(b"x")) is None


def test_units():
    out = bytearray(20)
    assert out[: text.put_unit(out, 0, 20, 30)] == b"*kWh"
    assert text.thousands(30) == 3 and text.thousands(35) == 0 and text.thousands(255) == 0
    assert text.put_unit(out, 5, 20, 255) == 5, "none"
    assert text.put_unit(out, 5, 20, 10) == 5, "one that has no name here"
    assert text.put_unit(out, 0, 3, 30) == -1
    assert text.is_unit(b"kWh", 0, 3, 30) and not text.is_unit(b"kW", 0, 2, 30)
    assert not text.is_unit(b"kVh", 0, 3, 30) and not text.is_unit(b"x", 0, 1, 255)


@given(st.binary(max_size=24))
def test_any_octets_as_a_value(data):
    """What is no value is not asked for; strings of any octets have seven bits that may stand."""
    for value in (octets(data), visible(data)):
        characters = shown(value, limit=96)
        assert characters is not None
        assert all(0x20 <= ord(c) < 0x7F for c in characters)
        assert not set(characters) & set("()*/!") or value[0] == 0x09
