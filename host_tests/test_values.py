# SPDX-License-Identifier: MIT
"""cosem/values.py: comparing encodings against comparing the Python values."""

import struct

import pytest
from cosem.values import compare
from fakes import array, boolean, enum, i8, i16, i32, i64, octets
from fakes import u8, u16, u32, u64
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = (
    (u8, 0, 255),
    (enum, 0, 255),
    (i8, -128, 127),
    (u16, 0, 0xFFFF),
    (i16, -0x8000, 0x7FFF),
    (u32, 0, 0xFFFFFFFF),
    (i32, -0x80000000, 0x7FFFFFFF),
    (u64, 0, 2**64 - 1),
    (i64, -(2**63), 2**63 - 1),
)


@st.composite
def number(draw):
    make, low, high = draw(st.sampled_from(NUMBERS))
    edge = st.sampled_from(
        [x for x in (low, -256, -255, -1, 0, 1, 255, 256, high) if low <= x <= high]
    )
    n = draw(edge | st.integers(low, high))
    return n, make(n)


def sign(x):
    return (x > 0) - (x < 0)


@given(number(), number())
def test_numbers_of_any_width(a, b):
    assert compare(b"x" + a[1], 1, b"yy" + b[1], 2, False) == sign(a[0] - b[0])
    assert compare(a[1], 0, b[1], 0, True) == sign(abs(a[0]) - abs(b[0]))


floats = st.floats(width=32, allow_nan=False)


@given(floats, floats)
def test_floats(a, b):
    for tag, form in ((b"\x17", ">f"), (b"\x18", ">d")):
        x = tag + struct.pack(form, a)
        y = tag + struct.pack(form, b)
        assert compare(x, 0, y, 0, False) == (a > b) - (a < b)
        assert compare(x, 0, y, 0, True) == (abs(a) > abs(b)) - (abs(a) < abs(b))


@given(st.binary(max_size=5), st.binary(max_size=5))
def test_strings_octet_by_octet(a, b):
    assert compare(octets(a), 0, octets(b), 0, False) == (a > b) - (a < b)


@pytest.mark.parametrize(
    "a, b",
    [
        (u8(1), octets(b"\x01")),
        (b"\x00", u8(0)),
        (b"\x09\x01a", b"\x0a\x01a"),
        (b"\x17\x00\x00\x00\x00", u8(0)),
        (array(), array()),
    ],
)
def test_what_cannot_be_compared(a, b):
    assert compare(a, 0, b, 0, False) == 2


def test_a_boolean_is_a_number():
    assert compare(boolean(False), 0, boolean(True), 0, False) == -1
