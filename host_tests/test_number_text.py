# SPDX-License-Identifier: MIT
"""Integers of any width as decimal characters, against Python's own."""

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from cosem import number_text as text

WIDTHS = st.sampled_from([(n, signed) for n in (1, 2, 4, 8) for signed in (False, True)])


def put(value, n, signed, shift, limit=64):
    out = bytearray(80)
    octets = value.to_bytes(n, "big", signed=signed)
    end = text.put_number(out, 3, 3 + limit, octets, 0, n, signed, shift)
    return None if end < 0 else out[3:end].decode()


def get(characters, n, signed, shift):
    out = bytearray(16)
    octets = characters.encode()
    if not text.get_number(octets, 0, len(octets), out, 2, n, signed, shift):
        return None
    return int.from_bytes(out[2 : 2 + n], "big", signed=signed)


def numbers(width):
    n, signed = width
    low = -(1 << 8 * n - 1) if signed else 0
    return st.tuples(st.just(width), st.integers(low, low + (1 << 8 * n) - 1))


@given(WIDTHS.flatmap(numbers), st.integers(-12, 6))
def test_there_and_back(number, shift):
    (n, signed), value = number
    shown = put(value, n, signed, shift)
    assert Decimal(shown) == Decimal(value).scaleb(shift)
    assert len(shown.partition(".")[2]) == max(-shift, 0), "all places are shown"
    assert get(shown, n, signed, shift) == value


def test_forms():
    assert put(0, 4, False, 0) == "0"
    assert put(0, 4, False, -3) == "0.000"
    assert put(0, 4, False, 3) == "0"
    assert put(5, 1, False, -3) == "0.005"
    assert put(12345, 2, False, -3) == "12.345"
    assert put(12, 1, False, 2) == "1200"
    assert put(-128, 1, True, -1) == "-12.8"
    assert put(2**64 - 1, 8, False, 0) == "18446744073709551615"
    assert put(-(2**63), 8, True, 0) == "-9223372036854775808"


def test_what_does_not_fit_is_not_written():
    assert put(12345, 2, False, -3, limit=6) == "12.345"
    assert put(12345, 2, False, -3, limit=5) is None
    assert put(-1, 1, True, 0, limit=1) is None
    assert put(1, 1, False, 127, limit=64) is None
    assert put(1, 1, False, -128, limit=64) is None


def test_numbers_that_are_taken():
    assert get("1.5", 2, False, -1) == 15
    assert get("1.50", 2, False, -1) == 15
    assert get("1", 2, False, -1) == 10
    assert get(".5", 2, False, -1) == 5
    assert get("5.", 2, False, 0) == 5
    assert get("1200", 1, False, 2) == 12
    assert get("0012", 1, False, 0) == 12
    assert get("-0", 1, False, 0) == 0
    assert get("0", 1, False, -128) == 0
    assert get("255", 1, False, 0) == 255
    assert get("-128", 1, True, 0) == -128


def test_numbers_that_are_not():
    for characters in ("", "-", ".", "1.2.3", "1,5", "+1", " 1", "1e3", "--1", "1-"):
        assert get(characters, 4, True, 0) is None, characters
    assert get("1.55", 2, False, -1) is None, "places that there are not"
    assert get("1250", 1, False, 2) is None
    assert get("256", 1, False, 0) is None
    assert get("-1", 1, False, 0) is None
    assert get("128", 1, True, 0) is None
    assert get("-129", 1, True, 0) is None
    assert get("18446744073709551616", 8, False, 0) is None
    assert get("9" * 40, 8, False, 0) is None
    assert get("1", 8, False, -20) is None
