# SPDX-License-Identifier: MIT
"""lib/dlms/axdr.py: where a Data ends. Vectors: vectors/axdr.jsonl (sources stand there)."""

import json
from pathlib import Path

import pytest
from dlms import axdr
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).parent.parent
VECTORS = [
    json.loads(line) for line in (ROOT / "host_tests/vectors/axdr.jsonl").read_text().splitlines()
]


@pytest.mark.parametrize("v", VECTORS, ids=[v["id"] for v in VECTORS])
def test_vector_ends_where_it_ends(v):
    data = bytes.fromhex(v["hex"])
    assert axdr.skip(data, 0, len(data)) == len(data)
    assert axdr.skip(b"\xee" + data + b"\xee", 1, len(data) + 2) == len(data) + 1


@pytest.mark.parametrize("v", VECTORS, ids=[v["id"] for v in VECTORS])
def test_no_truncated_vector_is_whole(v):
    data = bytes.fromhex(v["hex"])
    for n in range(len(data)):
        assert axdr.skip(data, 0, n) == -1


@pytest.mark.parametrize("tag", [t for t in range(256) if axdr.width(t) == 0xFF])
def test_unknown_tag(tag):
    assert axdr.skip(bytes([tag]) + bytes(20), 0, 21) == -1


def test_unknown_tags_are_those_of_the_standard():
    known = {0, 1, 2, 3, 4, 5, 6, 9, 10, 12, 13, 15, 16, 17, 18, 19} | set(range(20, 34)) | {255}
    assert {t for t in range(256) if axdr.width(t) != 0xFF} == known


def test_nesting_is_bounded():
    deep = b"\x02\x01" * 9 + b"\x00"
    assert axdr.skip(deep, 0, len(deep)) == len(deep)
    deeper = b"\x02\x01" * 10 + b"\x00"
    assert axdr.skip(deeper, 0, len(deeper)) == -1


def test_counts_that_cannot_be_true_are_refused_at_once():
    assert axdr.skip(b"\x01\x84\xff\xff\xff\xff\x00", 0, 7) == -1
    assert axdr.skip(b"\x02\x05\x00\x00", 0, 4) == -1
    assert axdr.skip(b"\x09\x80", 0, 2) == -1
    assert axdr.skip(b"\x09\x85\x00\x00\x00\x00\x01\x00", 0, 8) == -1


def test_compact_array_of_structures_with_an_array_inside():
    #    13, structure of 2: array of 2 unsigned, octet-string; 5 octets of contents
    data = bytes.fromhex("13 02 02 01 0002 11 09 05 01 02 02 AA BB")
    assert axdr.skip(data, 0, len(data)) == len(data)
    assert axdr.skip(bytes.fromhex("13 13 11 00 00"), 0, 5) == -1


@given(st.integers(0, 0xFFFF))
def test_lengths_go_there_and_back(n):
    buf = bytearray(6)
    end = axdr.put_length(buf, 1, n)
    assert axdr.length(buf, 1, end) == n
    assert axdr.length_size(buf, 1) == end - 1 == (1 if n < 128 else 2 if n < 256 else 3)


def _data(children):
    return st.one_of(
        st.lists(children, max_size=4).map(lambda c: bytes([2, len(c)]) + b"".join(c)),
        st.lists(children, max_size=4).map(lambda c: bytes([1, len(c)]) + b"".join(c)),
    )


DATA = st.recursive(
    st.one_of(
        st.just(b"\x00"),
        st.binary(min_size=1, max_size=1).map(lambda b: b"\x11" + b),
        st.binary(min_size=4, max_size=4).map(lambda b: b"\x06" + b),
        st.binary(min_size=12, max_size=12).map(lambda b: b"\x19" + b),
        st.binary(max_size=100).map(lambda b: bytes([9, len(b)]) + b),
        st.binary(min_size=2, max_size=2).map(lambda b: b"\x04\x0c" + b),
    ),
    _data,
    max_leaves=12,
)


@given(DATA)
def test_every_data_ends_where_it_ends(data):
    if data.count(b"\x02") + data.count(b"\x01") < 9:
        assert axdr.skip(data, 0, len(data)) == len(data)


@given(st.binary(max_size=60))
def test_garbage_never_ends_outside(data):
    assert -1 <= axdr.skip(data, 0, len(data)) <= len(data)
