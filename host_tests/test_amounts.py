# SPDX-License-Identifier: MIT
"""cosem/amounts.py: double-longs in octets, against Python's integers."""

import struct

from cosem import amounts
from hypothesis import example, given
from hypothesis import strategies as st

LEAST, MOST = -(1 << 31), (1 << 31) - 1
numbers = st.integers(LEAST, MOST) | st.sampled_from([LEAST, -0x10000, -1, 0, 1, 0xFFFF, MOST])


def pack(n):
    return struct.pack(">i", n)


@given(numbers, numbers)
@example(MOST, 1)
@example(LEAST, -1)
@example(0x0000FFFF, 1)
def test_add(a, b):
    buf = bytearray(b"?" + pack(a) + b"?")
    fits = LEAST <= a + b <= MOST
    assert amounts.add(buf, 1, b"??" + pack(b), 2) is fits
    assert buf == b"?" + pack(a + b if fits else a) + b"?"


@given(numbers, numbers)
def test_add_what_must_not_become_negative(a, b):
    buf = bytearray(pack(a))
    fits = 0 <= a + b <= MOST
    assert amounts.add(buf, 0, pack(b), 0, 0) is fits
    assert buf == pack(a + b if fits else a)


@given(numbers, numbers)
def test_is_less(a, b):
    assert amounts.is_less(b"?" + pack(a), 1, pack(b), 0) is (a < b)


@given(st.integers(-(1 << 63), (1 << 63) - 1))
def test_get_and_put(n):
    buf = bytearray(10)
    amounts.put(buf, 1, 8, n)
    assert buf == b"\0" + struct.pack(">q", n) + b"\0"
    assert amounts.get(buf, 1, 8) == n


@given(st.integers(-(1 << 90), 1 << 90))
def test_what_does_not_fit_stays_at_the_limits(n):
    buf = bytearray(4)
    amounts.put(buf, 0, 4, n)
    assert amounts.get(buf, 0, 4) == min(max(n, LEAST), MOST)
