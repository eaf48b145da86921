# SPDX-License-Identifier: MIT
"""lib/dlms/types.py: what is of a type, and what is not."""

import fakes
import pytest
from dlms import types
from hypothesis import given
from hypothesis import strategies as st

TYPE_UNMATCHED = 12

SCALER_UNIT = "02 02 0F 16"
OBJECT_ID = "02 02 12 80 06"
ANY_NUMBER_OF = "01 FFFF "

GOOD = [
    ("11", "11 FF"),
    (SCALER_UNIT, "02 02 0F FE 16 1B"),
    (ANY_NUMBER_OF + OBJECT_ID, "01 00"),
    (ANY_NUMBER_OF + OBJECT_ID, "01 01 02 02 12 00 03 09 06 01 00 01 08 00 FF"),
    ("01 0002 11", "01 02 11 01 11 02"),
    ("80 0C", "09 0C 07E50118FF0E303950FFC400"),
    ("81 03 00 06 80 02", "00"),
    ("81 03 00 06 80 02", "06 00000001"),
    ("81 03 00 06 80 02", "09 02 AABB"),
    ("82", "02 01 01 01 13 12 02 0001"),
    ("83 16 01 06", "16 01"),
    ("83 16 01 06", "16 06"),
    ("87 16 02 01 06 C8 FF", "16 01"),
    ("87 16 02 01 06 C8 FF", "16 06"),
    ("87 16 02 01 06 C8 FF", "16 C8"),
    ("87 16 02 01 06 C8 FF", "16 FF"),
    ("02 02 87 11 01 05 07 11", "02 02 11 06 11 00"),
    ("84 03", "0A 03 505954"),
    ("85 18", "04 18 001E1D"),
    ("86 04", "09 00"),
    ("86 04", "09 04 01020304"),
    ("FF", "FF"),
    ("1C", "1C 80"),
    ("1D", "1D 8000"),
    ("1E", "1E 80000000"),
    ("1F", "1F FF"),
    ("20", "20 FFFF"),
    ("21", "21 FFFFFFFF"),
    (ANY_NUMBER_OF + "02 02 06 1F", "01 01 02 02 06 00000001 1F 05"),
    ("82", "13 02 02 06 1F 05 0000000105"),
    ("82", "13 FF 00"),
    ("02 02 81 02 00 02 01 11 11", "02 02 02 01 11 05 11 06"),
    ("0C", "0C 02 C3A9"),
    ("02 01 " * 8 + "82", "02 01 " * 9 + "11 05"),
]

BAD = [
    ("11", "12 00 FF", "another tag"),
    ("11", "11", "truncated"),
    ("11", "", "nothing"),
    (SCALER_UNIT, "02 03 0F FE 16 1B 11 00", "an element too many"),
    (SCALER_UNIT, "02 01 0F FE", "an element missing"),
    (SCALER_UNIT, "02 02 16 1B 0F FE", "elements exchanged"),
    (SCALER_UNIT, "02 81 02 0F FE 16 1B", "the length in its long form"),
    ("01 0002 11", "01 03 11 01 11 02 11 03", "another count"),
    (ANY_NUMBER_OF + "11", "01 82 0001 11 01", "the count in its long form"),
    (ANY_NUMBER_OF + "11", "01 02 11 01 12 0002", "an element of another type"),
    ("80 0C", "09 05 07E50118FF", "another length"),
    ("81 02 00 06", "05 00000001", "no choice of the list"),
    ("83 16 01 06", "16 00", "below the range"),
    ("83 16 01 06", "16 07", "above the range"),
    ("87 16 02 01 06 C8 FF", "16 00", "below all ranges"),
    ("87 16 02 01 06 C8 FE", "16 FF", "above all ranges"),
    ("87 16 02 01 06 C8 FF", "16 07", "between two ranges"),
    ("87 16 02 01 06 C8 FF", "16 C7", "between two ranges, at their end"),
    ("87 16 02 01 06 C8 FF", "11 01", "in a range, and another tag"),
    ("84 03", "0A 04 50595400", "too long"),
    ("85 18", "04 17 001E1C", "a bit missing"),
    ("86 04", "09 05 0102030405", "above the maximum"),
    ("1D", "10 0001", "a long instead of its delta"),
    ("1D", "1D 00", "a delta cut short"),
    ("1F", "1C 05", "a signed delta"),
    ("09", "09 81 01 AA", "the length in its long form"),
    ("82", "08 00", "no Data at all"),
    ("02 01 " * 8 + "82", "02 01 " * 10 + "11 05", "deeper than anybody reads it"),
    ("02 01 " * 10 + "11", "02 01 " * 10 + "11 05", "a description deeper than that"),
]


@pytest.mark.parametrize("type_, value", GOOD)
def test_of_the_type(type_, value):
    t, v = bytes.fromhex(type_), bytes.fromhex(value)
    assert types.check(t, 0, v, 0, len(v)) == len(v)
    assert types.skip_type(t, 0) == len(t)


@pytest.mark.parametrize("type_, value, why", BAD, ids=[b[2] for b in BAD])
def test_not_of_the_type(type_, value, why):
    t, v = bytes.fromhex(type_), bytes.fromhex(value)
    assert types.check(t, 0, v, 0, len(v)) == -1


@pytest.mark.parametrize("type_, value", GOOD)
def test_truncated_is_not_of_the_type(type_, value):
    t, v = bytes.fromhex(type_), bytes.fromhex(value)
    for n in range(len(v)):
        assert types.check(t, 0, v, 0, n) == -1


@given(st.binary(max_size=40), st.sampled_from([g[0] for g in GOOD]))
def test_garbage_ends_within(value, type_):
    assert -1 <= types.check(bytes.fromhex(type_), 0, value, 0, len(value)) <= len(value)


@pytest.mark.parametrize(
    "name, good, bad",
    [
        ("delta-integer", "1C 80", "0F 80"),
        ("delta-long", "1D 8000", "1D 80"),
        ("delta-double-long", "1E 80000000", "05 80000000"),
        ("delta-unsigned", "1F FF", "1C FF"),
        ("delta-long-unsigned", "20 FFFF", "12 FFFF"),
        ("delta-double-long-unsigned", "21 FFFFFFFF", "21 FFFFFFFFFF"),
    ],
)
def test_a_delta_is_set_where_the_definition_says_so(name, good, bad):
    line = '{class = 1, obis = "0.0.96.1.0", data_type = "%s", value = 1},' % name
    meter = fakes.Meter(line)
    row = meter.row(1, "0.0.96.1.0.255")
    assert meter.read(row, 2) == 1
    assert meter.set(row, 2, bytes.fromhex(good)) == 0
    assert meter.set(row, 2, bytes.fromhex(bad)) == TYPE_UNMATCHED
    assert meter.get(row, 2) == bytes.fromhex(good)
