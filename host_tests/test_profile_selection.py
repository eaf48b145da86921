# SPDX-License-Identifier: MIT
"""cosem/profile_selection.py: columns, elements and definitions, found where they lie."""

from cosem import profile_selection as selection
from fakes import array, capture_object, octets, struct_, u8, u16
from hypothesis import given
from hypothesis import strategies as st


@given(st.integers(0, 59), st.integers(0, 59))
def test_sets_of_columns(a, b):
    first, last = min(a, b), max(a, b)
    low = selection.bits(first, last, True)
    high = selection.bits(first, last, False)
    assert 0 <= low < 1 << 30 and 0 <= high < 1 << 30
    assert high << 30 | low == sum(1 << j for j in range(first, last + 1))
    assert selection.count_columns(low, high, 60) == last - first + 1


def test_elements_of_a_structure():
    data = b"--" + struct_(u8(1), octets(b"abc"), array(u16(7), u16(8)))
    end = len(data)
    assert selection.element(data, 2, end, 1) == 4
    assert data[selection.element(data, 2, end, 2) :][:5] == octets(b"abc")
    at = selection.element(data, 2, end, 3)
    assert data[selection.element(data, at, end, 2) :] == u16(8)
    assert selection.element(data, 2, end, 4) == -1
    assert selection.element(data, 4, end, 1) == -1


def test_a_capture_object_definition_is_known_by_its_form():
    good = capture_object(8, "0.0.1.0.0.255", 2)
    assert len(good) == 18 and selection.is_definition(good, 0, 18)
    for i in (0, 1, 2, 5, 6, 13, 15):
        bad = bytearray(good)
        bad[i] ^= 0x40
        assert not selection.is_definition(bad, 0, 18)
    assert not selection.is_definition(good, 0, 17)
