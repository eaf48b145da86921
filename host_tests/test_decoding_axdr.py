# SPDX-License-Identifier: MIT
"""tools/decoding/axdr.py, data.py, compact.py, shown.py: Data there and back, and those that are
wrong. Vectors: vectors/axdr.jsonl (sources stand there)."""

import pytest
import told
from decoding import axdr, shown
from decoding.data import DEEPEST, KINDS
from dlms import axdr as meter
from hypothesis import given, settings
from hypothesis import strategies as st
from tables.notation import CODES, TAGS

VECTORS = told.vectors("axdr")


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_vector(vector):
    octets = bytes.fromhex(vector["hex"])
    node = axdr.decode_data(octets)
    assert node.faults() == []
    assert told.data(node) == vector["fields"]
    assert axdr.encode_data(node) == octets
    assert axdr.encode_data(node.plain()) == octets


@pytest.mark.parametrize("vector", VECTORS, ids=lambda v: v["id"])
def test_cut_off_anywhere(vector):
    octets = bytes.fromhex(vector["hex"])
    assert sum(1 for _ in told.cut_off(axdr.decode_data, octets)) == len(octets)


def test_a_part_of_octets():
    node = axdr.decode_data(b"\xee\x12\x00\x05\xee", 1, 4, "value")
    assert (node.name, node.type, node.value, node.start, node.end) == (
        "value", "long-unsigned", 5, 1, 4)  # fmt: skip


def test_it_knows_the_tags_that_the_meter_knows():
    assert [tag for tag in range(256) if KINDS[tag]] == [
        tag for tag in range(256) if meter.width(tag) != 0xFF
    ]


# --- There and back ---------------------------------------------------------------------------

NUMBERS = {name: CODES[tag] for name, tag in TAGS.items() if CODES.get(tag, "f") not in "fd"}
RANGES = {"b": (-128, 127), "B": (0, 255), "h": (-(2**15), 2**15 - 1), "H": (0, 2**16 - 1),
          "i": (-(2**31), 2**31 - 1), "I": (0, 2**32 - 1), "q": (-(2**63), 2**63 - 1),
          "Q": (0, 2**64 - 1)}  # fmt: skip
SIMPLE = {
    "null-data": st.none(),
    "dont-care": st.none(),
    "boolean": st.booleans(),
    "bit-string": st.text("01", max_size=20),
    "octet-string": st.binary(max_size=140),
    "visible-string": st.text(st.characters(max_codepoint=127), max_size=10),
    "utf8-string": st.text(max_size=10),
    "float32": st.floats(width=32, allow_nan=False),
    "float64": st.floats(allow_nan=False),
    "date-time": st.binary(min_size=12, max_size=12),
    "date": st.binary(min_size=5, max_size=5),
    "time": st.binary(min_size=4, max_size=4),
}
for _name, _code in NUMBERS.items():
    SIMPLE.setdefault(_name, st.integers(*RANGES[_code]))


def values(name):
    return st.tuples(st.just(name), SIMPLE[name])


DATA = st.recursive(
    st.sampled_from(sorted(SIMPLE)).flatmap(values),
    lambda inner: st.tuples(st.sampled_from(("array", "structure")), st.lists(inner, max_size=4)),
    max_leaves=12,
)
DESCRIPTIONS = st.recursive(
    st.sampled_from(sorted(SIMPLE)),
    lambda inner: st.one_of(
        st.tuples(st.just("structure"), st.lists(inner, min_size=1, max_size=3)),
        st.tuples(st.just("array"), st.integers(0, 3), inner),
    ),
    max_leaves=5,
)


def described(description):
    """Values of a TypeDescription."""
    if isinstance(description, str):
        return SIMPLE[description]
    if description[0] == "array":
        n = description[1]
        return st.lists(described(description[2]), min_size=n, max_size=n)
    return st.tuples(*map(described, description[1])).map(list)


@settings(deadline=None)
@given(DATA)
def test_any_data(value):
    octets = axdr.encode_data(value)
    assert meter.skip(octets, 0, len(octets)) == len(octets)
    node = axdr.decode_data(octets)
    assert node.faults() == []
    assert axdr.encode_data(node) == octets
    assert axdr.encode_data(node.plain()) == octets
    assert node.plain() == value


@settings(deadline=None)
@given(st.data())
def test_any_compact_array(data):
    description = data.draw(DESCRIPTIONS)
    elements = data.draw(st.lists(described(description), max_size=3))
    value = ("compact-array", (description, elements))
    octets = axdr.encode_data(value)
    node = axdr.decode_data(octets)
    if axdr.encode_data(("compact-array", (description, elements[:1])))[-1:] == b"\0":
        return  # elements that take no octets: they are not there
    assert node.faults() == []
    assert node.plain() == value
    assert axdr.encode_data(node) == octets


@settings(deadline=None, max_examples=300)
@given(st.binary(max_size=40))
def test_any_octets(octets):
    node = axdr.decode_data(octets)
    told.nested(node, 0, len(octets))
    if not node.faults():
        assert axdr.encode_data(node) == octets


# --- What is wrong ----------------------------------------------------------------------------

WRONG = {
    "07": (0, "0x07 is no tag of a Data; expected 0 (null-data), 1 (array), 2 (structure)"),
    "0d": (1, "expected 1 octet of bcd, found the end"),
    "05000000": (4, "expected 4 octets of double-long, found 3 and the end"),
    "0205120001": (5, "expected 5 elements, found 1 and the end"),
    "0202110112": (5, "expected 2 octets of long-unsigned, found the end"),
    "0202110108": (4, "0x08 is no tag of a Data"),
    "04060f": (2, "bits are set behind the last of 6; expected 0"),
    "0a03412042ff": (5, "1 octet behind the end; expected none"),
    "0a0341ff42": (3, "0xFF is no character of a visible-string"),
    "0c02c328": (2, "0xC3 is no character of a utf8-string"),
    "0985000000000100": (1, "0x85 is no length"),
    "090080": (2, "1 octet behind the end; expected none"),
    "131306000100020003": (1, "0x13 is no type of a compact-array"),
    "13020211070601": (4, "0x07 is no type of a compact-array"),
    "130100": (3, "expected the number of elements, found the end"),
    "131205000100020003": (8, "expected 2 octets of long-unsigned, found 1 and the end"),
    "1312080001000200": (8, "expected 8 octets, found 5 and the end"),
    "13000100": (3, "an element without octets; expected none of those"),
}


@pytest.mark.parametrize("case", WRONG)
def test_what_is_wrong_is_said_where_it_is(case):
    at, sentence = WRONG[case]
    assert sentence in told.blamed(axdr.decode_data, bytes.fromhex(case), at)


def test_levels_are_bounded():
    deep = b"\x02\x01" * (DEEPEST - 1) + b"\x00"
    assert axdr.decode_data(deep).faults() == []
    faults = axdr.decode_data(b"\x02\x01" + deep).faults()
    assert [str(fault) for _, fault in faults] == ["more than 32 levels; nobody means that"]
    described = b"\x13" + b"\x01\x00\x01" * 40 + b"\x11\x01\x05"
    assert "more than 32 levels" in axdr.decode_data(described).faults()[0][1]


def test_a_compact_array_of_nothing_ends():
    """65,535 times 65,535 times null-data, in an octet of contents that is somewhere else, or that
    is not there for the most part."""
    for length in ("01", "84FFFFFFFF"):
        octets = bytes.fromhex("13 0202 01FFFF01FFFF00 11 %s 05" % length)
        node = axdr.decode_data(octets)
        assert "more elements than that many octets can mean" in node.faults()[-1][1]
        assert sum(1 for _ in node.walk()) < 3000


@pytest.mark.parametrize("value", [
    5, ("long-unsigned", 65536), ("integer", "x"), ("octet-string", 5), ("octet-string", "xy"),
    ("bit-string", "012"), ("array", 5), ("structure", [5]), ("date", b"1234"), ("lang", 1),
    ("compact-array", 5), ("compact-array", ("lang", [])),
    ("compact-array", (("array", 2, "unsigned"), [[1]])),
])  # fmt: skip
def test_what_cannot_be_encoded(value):
    with pytest.raises(ValueError):
        axdr.encode_data(value)


# --- For people -------------------------------------------------------------------------------

TEXTS = {
    "090c07e50118ff0e303950ffc400": "2021-01-24 14:48:57.80 UTC+01:00",
    "090c07e50118070e303900003c80": "2021-01-24 Sun 14:48:57 UTC-01:00 status 0x80",
    "090cffff03fe0702000000800000": "*-03-last Sun 02:00:00",
    "19fffffffdff0f00ff00800000": "*-*-last2 15:00:*",
    "1a07e80b15ff": "2024-11-21",
    "1b081e0f17": "08:30:15.23",
    "09060100010800ff": "1.0.1.8.0.255",
    "0903414243": '"ABC"',
    "0903410043": "",
    "090cff000000000000000000ffff": "",
}


@pytest.mark.parametrize("octets", TEXTS)
def test_text(octets):
    assert axdr.decode_data(bytes.fromhex(octets)).text == TEXTS[octets]


def test_a_system_title():
    assert shown.title(bytes.fromhex("4d4d4d0000bc614e")) == "MMM 0000bc614e"
    assert shown.title(bytes(8)) == ""
