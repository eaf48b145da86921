# SPDX-License-Identifier: MIT
"""cosem/compact_data.py and dlms/compact.py as a client sees them, by captures and what they give.

The decoder is written here from the ASN.1 of IEC 62056-5-3 (TypeDescription, compact-array) and
takes nothing from lib. Public texts have no example of this class; axdr.jsonl has two
compact-arrays, "constructed for this set from the public ASN.1 layout".
"""

import json
import struct
import types
from pathlib import Path

import fakes
import pytest
import small
from dlms import compact
from dlms.server import Server
from fakes import (
    CLOCK,
    array,
    capture_object,
    date_time,
    enum,
    i8,
    octets,
    struct_,
    u16,
    u32,
    value,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from tables.source import TableError

LOGICAL_NAME, BUFFER, CAPTURE_OBJECTS, TEMPLATE_ID, TEMPLATE, METHOD = 1, 2, 3, 4, 5, 6
RESET, CAPTURE = 1, 2
INVOKE, IMPLICIT = 0, 1
READ_WRITE_DENIED, OBJECT_UNDEFINED, TYPE_UNMATCHED = 3, 4, 12
SCOPE_VIOLATED, LONG_GET_ABORTED, OTHER_REASON = 13, 15, 250

ENERGY, LIST, TEXT, BITS = "1.0.1.8.0.255", "0.0.96.1.0.255", "0.0.96.1.1.255", "0.0.96.1.2.255"
MIXED, SECRET, PROFILE = "0.0.96.1.3.255", "0.0.40.0.0.255", "1.0.99.1.0.255"
CALLED, IMPLIED, RESTRICTED, NARROW = ("0.0.66.0.%d.255" % e for e in (1, 2, 3, 4))

HEAD = """
name = "test"
limits = {associations = 3, work_len = 512, max_send_pdu = 200, max_receive_pdu = 200}
[[device]]
name = "meter"
sap = 1
[access]
all = {client = "r w x", reader = "r"}
association = {client = "r:1-6", reader = "r:1-6", secret = "r:1-6"}
own = {client = "r w x", secret = "r"}
buffer = {client = "r w x", reader = "r x"}
[[association]]
device = "meter"
client_sap = 16
object = "0.0.40.0.0.255"
mechanism = 0
role = "client"
conformance = ["get", "set", "action", "selective-access", "multiple-references", "block-transfer-with-get-or-read", "attribute0-supported-with-get"]
[[association]]
device = "meter"
client_sap = 17
object = "0.0.40.0.0.255"
mechanism = 0
role = "reader"
conformance = ["get", "action", "block-transfer-with-get-or-read"]
[[association]]
note = "jobs are for meters that have security"
device = "meter"
client_sap = 18
object = "0.0.40.0.0.255"
mechanism = 6
role = "secret"
conformance = ["get"]
[[objects]]
device = "meter"
access = "all"
list = [
    {class = 15, access = "association", obis = "0.0.40.0.0.255"},
    {class = 1, obis = "0.0.42.0.0.255", data_type = "octet-string", value = "TST0000000000001"},
    {class = 1, access = "own", obis = "0.0.96.1.9.255", data_type = "unsigned", value = 9},
    {class = 9, obis = "0.0.10.0.0.255", scripts = [[1, ["2/62/0.0.66.0.1/2/integer:0"]]]},
"""  # noqa: E501

OBJECTS = (
    CLOCK
    + """
    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long-unsigned", value = 123456,
     scaler = -1, unit = "Wh", ram = ["value"]},
    {class = 1, obis = "0.0.96.1.0.255", data_type = "array[long-unsigned]", value = [5, 6, 7],
     capacity = {value = 10}},
    {class = 1, obis = "0.0.96.1.1.255", data_type = "visible-string", value = "metre",
     capacity = {value = 300}},
    {class = 1, obis = "0.0.96.1.2.255", data_type = "bit-string", value = "1010000001",
     ram = ["value"]},
    {class = 1, obis = "0.0.96.1.3.255", capacity = {value = "200 octets"},
     value = {type = "structure{a:unsigned,b:array[structure{c:long,d:octet-string}]}",
     value = [1, [[-2, "0xAABB"], [3, ""]]]}},
    {class = 7, obis = "1.0.99.1.0.255", capture_objects = ["8/0.0.1.0.0/2", "3/1.0.1.8.0/2"],
     capture_period = 900, sort_method = 1, profile_entries = 50},
    {class = 62, obis = "0.0.66.0.1.255", version = 0, template_id = 7, capture_method = 0,
     capacity = {capture_objects = 10, compact_buffer = 400, template_description = 80},
     capture_objects = ["62/0.0.66.0.1/4", "8/0.0.1.0.0/2", "3/1.0.1.8.0/2", "3/1.0.1.8.0/3",
      "1/0.0.96.1.0/2"]},
    {class = 62, obis = "0.0.66.0.2.255", template_id = 255, capture_method = 1,
     capacity = {capture_objects = "400 octets", compact_buffer = 700, template_description = 80},
     capture_objects = ["8/0.0.1.0.0/2", "3/1.0.1.8.0/2"]},
    {class = 62, obis = "0.0.66.0.3.255", capture_method = 1,
     capacity = {compact_buffer = 700, template_description = 30},
     capture_objects = [[7, "1.0.99.1.0", 2, 0, [2,
      {type = "structure{from_entry:double-long-unsigned,to_entry:double-long-unsigned}",
      value = [2, 4]}]]]},
    {class = 62, obis = "0.0.66.0.4.255", capture_method = 1, capacity = {capture_objects = 200},
     capture_objects = ["3/1.0.1.8.0/2"]},
"""
)


# --- A decoder of one's own -----------------------------------------------------------------

FIXED = {3: ">B", 5: ">i", 6: ">I", 13: ">b", 15: ">b", 16: ">h", 17: ">B", 18: ">H", 20: ">q",
         21: ">Q", 22: ">B", 23: ">f", 24: ">d", 28: ">b", 29: ">h", 30: ">i", 31: ">B", 32: ">H",
         33: ">I"}  # fmt: skip


def parse_type(data, at=0):
    """(description, next position): a tag, (1, n, description) or (2, descriptions)."""
    tag = data[at]
    if tag == 1:
        inner, after = parse_type(data, at + 3)
        return (1, int.from_bytes(data[at + 1 : at + 3], "big"), inner), after
    if tag == 2:
        n, at, inner = data[at + 1], at + 2, []
        for _ in range(n):
            one, at = parse_type(data, at)
            inner.append(one)
        return (2, inner), at
    return tag, at + 1


def parse_length(data, at):
    n = data[at]
    if n < 0x80:
        return n, at + 1
    return int.from_bytes(data[at + 1 : at + 1 + n - 0x80], "big"), at + 1 + n - 0x80


def take(description, data, at):
    """(A-XDR octets of the value, next position): the tags are put back."""
    if isinstance(description, tuple):
        parts = [description[2]] * description[1] if description[0] == 1 else description[1]
        made = bytes((description[0],)) + length(len(parts))
        for part in parts:
            one, at = take(part, data, at)
            made += one
        return made, at
    tag = bytes((description,))
    if description in (0, 255):
        return tag, at
    if description in FIXED:
        n = struct.calcsize(FIXED[description])
        return tag + data[at : at + n], at + n
    if description in (25, 26, 27):
        n = {25: 12, 26: 5, 27: 4}[description]
        return tag + data[at : at + n], at + n
    n, after = parse_length(data, at)
    after += (n + 7) // 8 if description == 4 else n
    return tag + data[at:after], after


def length(n):
    return bytes((n,)) if n < 128 else b"\x81" + bytes((n,)) if n < 256 else b"\x82" + u16(n)[1:]


def unpack(template, contents):
    """The values, as A-XDR, of which these octets are the contents."""
    description, end = parse_type(template)
    assert end == len(template) and description[0] == 2
    found, at = [], 0
    for one in description[1]:
        data, at = take(one, contents, at)
        found.append(data)
    assert at == len(contents)
    return found


# --- The meter ------------------------------------------------------------------------------


class Talk(fakes.Meter):
    def __init__(self, objects=OBJECTS):
        super().__init__(objects, HEAD)
        self.called, self.implied, self.restricted, self.narrow = (
            self.row(62, name) for name in (CALLED, IMPLIED, RESTRICTED, NARROW)
        )
        self.energy = self.row(3, ENERGY)
        self.set_local("2026-06-15 12:00:00")

    def unpacked(self, row):
        contents = value(self.get(row, BUFFER))
        return unpack(value(self.get(row, TEMPLATE)), contents)


@pytest.fixture
def meter():
    return Talk()


def v1(class_id, name, attribute, data_index=0, restriction=None):
    return struct_(
        u16(class_id),
        octets(fakes.obis(name)),
        i8(attribute),
        u16(data_index),
        restriction or struct_(enum(0), b"\x00"),
    )


def by_entry(first, last):
    return struct_(enum(2), struct_(u32(first), u32(last)))


def by_date(first, last):
    return struct_(enum(1), struct_(octets(first), octets(last)))


NOON = date_time(2026, 6, 15, 12, 0)
EVENING = date_time(2026, 6, 15, 18, 0)


# --- Captured by the method -----------------------------------------------------------------


def test_before_a_capture_there_are_no_values_but_it_is_known_what_they_would_be(meter):
    assert meter.get(meter.called, BUFFER) == octets(b"")
    template = meter.get(meter.called, TEMPLATE)
    #                              unsigned, octet-string, u32, {integer, enum}, array of 3 u16
    assert value(template).hex() == "0205" + "11" + "09" + "06" + "02020f16" + "01000312"
    assert meter.get(meter.called, BUFFER) == octets(b"")


def test_the_method_captures_and_the_values_stay(meter):
    assert meter.act(meter.called, CAPTURE) == 0
    captured = value(meter.get(meter.called, BUFFER))
    wanted = (
        b"\x07" + b"\x0c" + bytes(meter.clock.local) + bytes.fromhex("0001e240 ff1e 000500060007")
    )
    assert captured == wanted
    meter.model.put_int(meter.energy, 2, 5)
    meter.run(60)
    assert value(meter.get(meter.called, BUFFER)) == wanted
    assert meter.act(meter.called, CAPTURE) == 0
    assert unpack(
        value(meter.get(meter.called, TEMPLATE)), value(meter.get(meter.called, BUFFER))
    )[2] == u32(5)


def test_reset_leaves_an_empty_octet_string(meter):
    meter.act(meter.called, CAPTURE)
    assert meter.act(meter.called, RESET) == 0
    assert meter.get(meter.called, BUFFER) == octets(b"")


def test_it_is_there_after_power_up(meter):
    meter.act(meter.called, CAPTURE)
    before = meter.get(meter.called, BUFFER), meter.get(meter.called, TEMPLATE)
    again = fakes.Meter(meter.definition, storage=meter.storage, image=meter.model.image)
    assert (again.get(meter.called, BUFFER), again.get(meter.called, TEMPLATE)) == before


def test_selective_access_is_none(meter):
    assert meter.get(meter.called, BUFFER, 1, u16(1)) == SCOPE_VIOLATED
    assert meter.get(meter.called, BUFFER, 2, u16(1)) == SCOPE_VIOLATED


# --- Captured by reading --------------------------------------------------------------------


def test_each_reading_is_a_capture(meter):
    for energy in (5, 6):
        meter.model.put_int(meter.energy, 2, energy)
        meter.run(1)
        assert meter.unpacked(meter.implied) == [octets(meter.clock.local), u32(energy)]


def test_capture_method_may_be_changed(meter):
    assert meter.set(meter.implied, METHOD, enum(INVOKE)) == 0
    assert meter.get(meter.implied, BUFFER) == octets(b"")
    assert meter.act(meter.implied, CAPTURE) == 0
    held = meter.get(meter.implied, BUFFER)
    meter.run(5)
    assert meter.get(meter.implied, BUFFER) == held
    assert meter.set(meter.implied, METHOD, enum(IMPLICIT)) == 0
    assert meter.get(meter.implied, BUFFER) != held
    assert meter.set(meter.implied, METHOD, enum(2)) == TYPE_UNMATCHED


# --- What is captured -----------------------------------------------------------------------


def test_any_value_comes_back_as_it_was(meter):
    columns = [
        (3, ENERGY, 2),
        (1, TEXT, 2),
        (1, BITS, 2),
        (1, MIXED, 2),
        (1, LIST, 2),
        (3, ENERGY, 1),
    ]
    assert meter.set(meter.implied, CAPTURE_OBJECTS, array(*(v1(*c) for c in columns))) == 0
    assert meter.unpacked(meter.implied) == [meter.get(meter.row(*c[:2]), c[2]) for c in columns]


def test_an_element_by_data_index(meter):
    objects = array(v1(3, ENERGY, 3, 2), v1(1, LIST, 2, 3), v1(1, MIXED, 2, 2))
    assert meter.set(meter.implied, CAPTURE_OBJECTS, objects) == 0
    inner = array(struct_(fakes.i16(-2), octets(b"\xaa\xbb")), struct_(fakes.i16(3), octets(b"")))
    assert meter.unpacked(meter.implied) == [enum(30), u16(7), inner]


def test_an_empty_array_is_one_of_null_data(meter):
    assert meter.set(meter.row(1, LIST), 2, b"\x01\x00") == 0
    assert meter.set(meter.implied, CAPTURE_OBJECTS, array(v1(1, LIST, 2))) == 0
    assert value(meter.get(meter.implied, TEMPLATE)).hex() == "0201" + "01000000"
    assert meter.unpacked(meter.implied) == [b"\x01\x00"]


def test_nothing_at_all(meter):
    assert meter.set(meter.implied, CAPTURE_OBJECTS, array()) == 0
    assert meter.unpacked(meter.implied) == []


def rows_of(meter, n):
    for k in range(n):
        meter.set_local("2026-06-15 %02d:00:00" % (10 + k))
        meter.model.put_int(meter.energy, 2, 100 + k)
        assert meter.act(meter.row(7, PROFILE), CAPTURE) == 0


def test_rows_of_a_profile_by_entry(meter):
    rows_of(meter, 6)
    (rows,) = meter.unpacked(meter.restricted)
    assert [row[1] for row in value(rows)] == [101, 102, 103]


def test_rows_of_a_profile_by_date(meter):
    rows_of(meter, 9)
    objects = array(v1(7, PROFILE, 2, 0, by_date(NOON, date_time(2026, 6, 15, 14, 0))))
    assert meter.set(meter.implied, CAPTURE_OBJECTS, objects) == 0
    (rows,) = meter.unpacked(meter.implied)
    assert [row[1] for row in value(rows)] == [102, 103, 104]


def test_a_buffer_with_all_its_rows_and_one_row_of_it(meter):
    rows_of(meter, 3)
    profile = meter.row(7, PROFILE)
    assert (
        meter.set(meter.implied, CAPTURE_OBJECTS, array(v1(7, PROFILE, 2), v1(7, PROFILE, 2, 2)))
        == 0
    )
    rows = meter.get(profile, 2)
    assert [value(v) for v in meter.unpacked(meter.implied)] == [value(rows), value(rows)[1]]


# --- What cannot be captured ----------------------------------------------------------------

REFUSED = {
    "no such object": (v1(3, "1.0.2.8.0.255", 2), OBJECT_UNDEFINED),
    "no such attribute": (v1(3, ENERGY, 4), OBJECT_UNDEFINED),
    "an attribute below 0": (v1(3, ENERGY, -1), OBJECT_UNDEFINED),
    "attribute 0": (v1(3, ENERGY, 0), OTHER_REASON),
    "its own buffer": (v1(62, IMPLIED, BUFFER), OTHER_REASON),
    "the buffer of another": (v1(62, CALLED, BUFFER), OTHER_REASON),
    "the template of another": (v1(62, CALLED, TEMPLATE), OTHER_REASON),
    "what nobody may read": (v1(15, SECRET, 7), READ_WRITE_DENIED),
    "a relative selection": (v1(7, PROFILE, 2, 0x1000), OTHER_REASON),
    "a restriction of a register": (v1(3, ENERGY, 2, 0, by_entry(1, 2)), OTHER_REASON),
    "a restriction of other rows": (v1(7, PROFILE, 3, 0, by_entry(1, 2)), OTHER_REASON),
    "an unknown restriction": (
        v1(7, PROFILE, 2, 0, struct_(enum(3), struct_(u32(1), u32(2)))),
        TYPE_UNMATCHED,
    ),
    "a restriction without a value": (
        v1(7, PROFILE, 2, 0, struct_(enum(2), b"\x00")),
        TYPE_UNMATCHED,
    ),
    "dates that are entries": (
        v1(7, PROFILE, 2, 0, struct_(enum(1), struct_(u32(1), u32(2)))),
        TYPE_UNMATCHED,
    ),
    "entries that are dates": (
        v1(7, PROFILE, 2, 0, struct_(enum(2), struct_(octets(NOON), octets(EVENING)))),
        TYPE_UNMATCHED,
    ),
    "dates that are too long": (
        v1(7, PROFILE, 2, 0, by_date(NOON + b"\x00", EVENING)),
        TYPE_UNMATCHED,
    ),
    "dates of another length together": (
        v1(7, PROFILE, 2, 0, by_date(NOON + b"\x00", EVENING[1:])),
        TYPE_UNMATCHED,
    ),
    "four elements instead of five": (capture_object(3, ENERGY, 2), TYPE_UNMATCHED),
    "a longer structure": (
        struct_(u16(3), octets(bytes(6)), i8(2), u16(0), b"\x00"),
        TYPE_UNMATCHED,
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_capture_objects_that_are_refused_change_nothing(meter, case):
    one, dar = REFUSED[case]
    before = meter.get(meter.implied, CAPTURE_OBJECTS), meter.get(meter.implied, TEMPLATE_ID)
    assert meter.set(meter.implied, CAPTURE_OBJECTS, array(v1(3, ENERGY, 2), one)) == dar
    assert (
        meter.get(meter.implied, CAPTURE_OBJECTS),
        meter.get(meter.implied, TEMPLATE_ID),
    ) == before


def test_version_0_has_four_elements(meter):
    objects = array(capture_object(3, ENERGY, 2))
    assert meter.set(meter.called, CAPTURE_OBJECTS, objects) == 0
    assert meter.set(meter.called, CAPTURE_OBJECTS, array(v1(3, ENERGY, 2))) == TYPE_UNMATCHED
    assert meter.act(meter.called, CAPTURE) == 0
    assert value(meter.get(meter.called, BUFFER)) == u32(123456)[1:]


def test_more_columns_than_a_structure_has_elements(meter):
    def many(n):
        return b"\x01" + length(n) + v1(3, ENERGY, 2) * n

    assert meter.set(meter.narrow, CAPTURE_OBJECTS, many(128)) == OTHER_REASON
    assert meter.set(meter.narrow, CAPTURE_OBJECTS, many(127)) == 0


FAILS = {
    "no such element": (v1(1, LIST, 2, 4), SCOPE_VIOLATED),
    "an element of what has none": (v1(3, ENERGY, 2, 1), SCOPE_VIOLATED),
    "a range without rows": (v1(7, PROFILE, 2, 0, by_entry(0, 2)), SCOPE_VIOLATED),
    "a date that is none": (
        v1(7, PROFILE, 2, 0, by_date(date_time(2026, 13, 1, 0, 0), NOON)),
        TYPE_UNMATCHED,
    ),
    "more than there is room for": (v1(1, TEXT, 2), OTHER_REASON),
}


@pytest.mark.parametrize("case", FAILS)
def test_a_capture_that_fails_leaves_nothing(meter, case):
    one, dar = FAILS[case]
    if dar == OTHER_REASON:
        assert meter.set(meter.row(1, TEXT), 2, b"\x0a\x82\x01\x2c" + bytes(300)) == 0
    columns = [v1(3, ENERGY, 2), one, one, one]
    assert meter.set(meter.implied, CAPTURE_OBJECTS, array(*columns)) == 0
    assert meter.get(meter.implied, BUFFER) == dar
    assert meter.get(meter.implied, TEMPLATE) == dar
    assert meter.set(meter.implied, METHOD, enum(INVOKE)) == 0
    assert meter.get(meter.implied, BUFFER) == octets(b"")
    assert meter.act(meter.implied, CAPTURE) == dar
    assert meter.get(meter.implied, BUFFER) == octets(b"")


@pytest.mark.parametrize("data", [
    array(u16(1), fakes.u8(2)),
    array(u16(1), b"\x00"),
    array(octets(b"1"), array()),
    array(array(u16(1)), array()),
    array(struct_(u16(1)), struct_(u32(1))),
    b"\x13\x12\x02\x00\x01",
    struct_(b"\x13\x12\x02\x00\x01"),
], ids=bytes.hex)  # fmt: skip
def test_there_are_values_without_a_description(data):
    out = bytearray(50)
    assert compact.put_type(data, 0, len(data), out, 0, len(out)) == -1


def test_the_room_for_the_template_is_kept():
    data = struct_(u16(1), array(u16(1), u16(2)), octets(b"12"))
    whole = bytearray(40)
    n = compact.put_type(data, 0, len(data), whole, 0, 40)
    for limit in range(n):
        out = bytearray(40)
        assert compact.put_type(data, 0, len(data), out, 0, limit) == -1
        assert out[limit:] == bytes(40 - limit)
    assert compact.put_type(data, 0, len(data), bytearray(40), 0, n) == n


# --- Other templates ------------------------------------------------------------------------


def test_other_capture_objects_are_another_template(meter):
    meter.act(meter.called, CAPTURE)
    before = meter.get(meter.called, CAPTURE_OBJECTS)
    # What is there already is no change,
    assert meter.set(meter.called, CAPTURE_OBJECTS, before) == 0
    assert meter.read(meter.called, TEMPLATE_ID) == 7
    assert len(value(meter.get(meter.called, BUFFER))) > 0
    # something else is,
    assert meter.set(meter.called, CAPTURE_OBJECTS, array(capture_object(3, ENERGY, 2))) == 0
    assert meter.read(meter.called, TEMPLATE_ID) == 8
    assert meter.get(meter.called, BUFFER) == octets(b"")
    # and so is what was there first.
    assert meter.set(meter.called, CAPTURE_OBJECTS, before) == 0
    assert meter.read(meter.called, TEMPLATE_ID) == 9


def test_template_255_is_followed_by_0(meter):
    assert meter.set(meter.implied, CAPTURE_OBJECTS, array(v1(3, ENERGY, 2))) == 0
    assert meter.read(meter.implied, TEMPLATE_ID) == 0


# --- Any values -----------------------------------------------------------------------------


def number(code):
    tag, bits = {v[1]: (k, 8 * struct.calcsize(v)) for k, v in FIXED.items()}[code]
    low = -(1 << bits - 1) if code.islower() else 0
    return st.integers(low, low + (1 << bits) - 1).map(
        lambda n: bytes((tag,)) + struct.pack(">" + code, n)
    )


leaves = st.one_of(
    *(number(code) for code in "IiHhBbQq"),
    st.binary(max_size=200).map(lambda b: b"\x09" + length(len(b)) + b),
    st.binary(max_size=3).map(lambda b: b"\x04" + length(8 * len(b)) + b),
    st.just(b"\x00"),
    st.just(b"\xff"),
)
any_data = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4).map(lambda p: struct_(*p)),
        st.tuples(inner, st.integers(0, 5)).map(lambda p: array(*[p[0]] * p[1])),
    ),
    max_leaves=12,
)


@given(st.lists(any_data, min_size=1, max_size=6))
@settings(max_examples=300, deadline=None)
def test_types_and_contents_make_the_values_again(parts):
    data = struct_(*parts)
    out = bytearray(200)
    end = compact.put_type(data, 0, len(data), out, 0, len(out))
    packed = bytearray(data)
    n = compact.put_contents(packed, 0, len(packed), packed, 0)
    assert n < len(data)
    again = unpack(bytes(out[:end]), bytes(packed[:n]))
    # An empty array has lost what it had no elements of, and nothing else.
    assert again == parts


@given(st.data())
@settings(max_examples=60, deadline=None)
def test_what_is_captured_is_what_get_reads(data):
    """Any columns, any values: decoded by the template, they are what a client reads."""
    meter = Talk()
    rows_of(meter, data.draw(st.integers(0, 5)))
    meter.model.put_int(meter.energy, 2, data.draw(st.integers(0, 2**32 - 1)))
    numbers = data.draw(st.lists(st.integers(0, 0xFFFF), max_size=10))
    assert meter.set(meter.row(1, LIST), 2, array(*map(u16, numbers))) == 0
    anything = data.draw(any_data.filter(lambda d: len(d) <= 200))
    free = meter.row(1, MIXED)
    model = meter.model
    at = model.slot(free, 2)
    model.image[at - 2 : at + len(anything)] = u16(len(anything))[1:] + anything
    columns = data.draw(
        st.lists(
            st.sampled_from(
                [
                    (3, ENERGY, 2),
                    (3, ENERGY, 3),
                    (1, LIST, 2),
                    (8, "0.0.1.0.0.255", 2),
                    (1, MIXED, 2),
                    (7, PROFILE, 7),
                    (7, PROFILE, 3),
                    (3, ENERGY, 1),
                    (62, IMPLIED, 4),
                    (9, "0.0.10.0.0.255", 2),
                ]  # fmt: skip
            ),
            max_size=6,
        )
    )
    assert meter.set(meter.implied, CAPTURE_OBJECTS, array(*(v1(*c) for c in columns))) == 0
    read = [meter.get(meter.row(*c[:2]), c[2]) for c in columns]
    if sum(map(len, read)) > 650:
        assert (
            meter.get(meter.implied, BUFFER) in (OTHER_REASON,)
            or meter.unpacked(meter.implied) == read
        )
    else:
        assert meter.unpacked(meter.implied) == read


@pytest.mark.parametrize("id", ["axdr-24-compact-array", "axdr-25-compact-array"])
def test_contents_of_published_compact_arrays(id):
    path = Path(fakes.ROOT) / "host_tests/vectors/axdr.jsonl"
    vectors = {v["id"]: v for v in map(json.loads, path.read_text().splitlines())}
    data = bytes.fromhex(vectors[id]["hex"])
    element, after = parse_type(data, 1)
    n, start = parse_length(data, after)
    values, at = [], start
    while at < len(data):
        one, at = take(element, data, at)
        values.append(one)
    assert at == start + n
    plain = b"".join(values)
    out = bytearray(40)
    end = compact.put_type(values[0], 0, len(values[0]), out, 0, 40)
    assert out[:end] == data[1:after]
    assert compact.put_contents(plain, 0, len(plain), out, 0) == n
    assert out[:n] == data[start:]


# --- Clients --------------------------------------------------------------------------------

RIGHTS = OBJECTS.replace("{class = 62,", '{class = 62, access = "buffer",')


class Served:
    """Clients 16 and 17 of a server, on a channel each."""

    def __init__(self):
        definition = types.SimpleNamespace(**vars(fakes.define(RIGHTS, HEAD)))
        # The first of them by name, which fakes.py leaves out.
        assert definition.HANDLERS[:3] == ("", "", "clock")
        definition.HANDLERS = ("", "association_ln", *definition.HANDLERS[2:])
        self.meter = Talk(definition)
        self.server = Server(self.meter.model)
        self.client, self.reader = (
            small.Talk(self, self.server.channel(), sap, 1) for sap in (16, 17)
        )
        for talk in (self.client, self.reader):
            assert talk.open(None).startswith("6129A109060760857405080101A203020100")

    def columns(self, name, *columns):
        row = self.meter.row(62, name)
        assert self.meter.set(row, CAPTURE_OBJECTS, array(*columns)) == 0

    def get(self, talk, attribute, name):
        return talk.say("C0 01 C1" + descriptor(62, name, attribute) + "00")

    def act(self, talk, method, name, class_id=62, parameter="00"):
        return talk.say("C3 01 C1" + descriptor(class_id, name, method) + parameter)


def descriptor(class_id, name, index):
    return "%04X%s%02X" % (class_id, fakes.obis(name).hex(), index)


@pytest.fixture
def served():
    return Served()


def test_who_reads_a_buffer_must_have_the_right_to_read_what_is_captured(served):
    served.columns(IMPLIED, v1(3, ENERGY, 2), v1(1, "0.0.96.1.9.255", 2))
    assert served.get(served.client, BUFFER, IMPLIED) == "C401C100" + "0905" + "0001E240" + "09"
    assert served.get(served.reader, BUFFER, IMPLIED) == "C401C101%02X" % OBJECT_UNDEFINED
    assert served.get(served.client, BUFFER, IMPLIED) == "C401C100" + "0905" + "0001E240" + "09"


def test_who_captures_must_have_it_too_but_not_who_reads_what_was_captured(served):
    served.columns(CALLED, capture_object(1, "0.0.96.1.9.255", 2))
    assert served.act(served.client, CAPTURE, CALLED) == "C701C10000"
    assert served.get(served.reader, BUFFER, CALLED) == "C401C100" + "090109"
    assert served.act(served.reader, CAPTURE, CALLED) == "C701C1%02X00" % OBJECT_UNDEFINED
    assert served.get(served.reader, BUFFER, CALLED) == "C401C100" + "0900"


def test_selective_access_by_a_client(served):
    request = "C0 01 C1" + descriptor(62, CALLED, BUFFER) + "01 02 00"
    assert served.client.say(request) == "C401C101%02X" % SCOPE_VIOLATED


def test_a_class_that_sleeps_is_woken_for_what_is_captured(served):
    """And no other: here that of associated_partners_id, which is made when it is asked for."""
    served.columns(IMPLIED, v1(15, SECRET, 3), v1(3, ENERGY, 2))
    awake = served.get(served.client, BUFFER, IMPLIED)
    assert awake == "C401C100" + "0907" + "100001" + "0001E240"
    names = [n for n in served.meter.model.handler_names if n]
    served.meter.model.sleep()
    sleeping = [n for n in names if served.meter.model.handler(n) is None]
    assert {"association_ln", "compact_data", "register"} <= set(sleeping)
    assert served.get(served.client, BUFFER, IMPLIED) == awake
    sleeping = [n for n in names if served.meter.model.handler(n) is None]
    assert "register" in sleeping and "association_ln" not in sleeping
    # By a method, which needs all; and the meter itself.
    served.meter.model.sleep()
    assert served.act(served.client, CAPTURE, IMPLIED) == "C701C10000"
    assert "register" not in [n for n in names if served.meter.model.handler(n) is None]
    served.meter.model.sleep()
    assert served.meter.act(served.meter.implied, CAPTURE) == 0


def long_value(served):
    meter = served.meter
    assert meter.set(meter.row(1, TEXT), 2, b"\x0a\x82\x01\x2c" + bytes(range(150)) * 2) == 0
    served.columns(IMPLIED, v1(1, TEXT, 2), v1(3, ENERGY, 2))


def blocks(served, talk, between=lambda: None):
    """A long GET; the raw data, or the result that ended it."""
    raw, answer, number = "", served.get(talk, BUFFER, IMPLIED), 1
    while True:
        assert answer.startswith("C402C1")
        if answer[16:18] == "01":
            return int(answer[18:20], 16)
        n, at = parse_length(bytes.fromhex(answer[18:]), 0)
        raw += answer[18 + 2 * at :]
        assert len(answer) == 18 + 2 * at + 2 * n
        if answer[6:8] == "01":
            return bytes.fromhex(raw)
        between()
        answer = talk.say("C0 02 C1 %08X" % number)
        number += 1


def test_a_long_buffer_comes_in_blocks(served):
    long_value(served)
    data = blocks(served, served.client)
    template = value(served.meter.get(served.meter.implied, TEMPLATE))
    text = b"\x0a\x82\x01\x2c" + bytes(range(150)) * 2
    assert unpack(template, value(data)) == [text, u32(123456)]


def test_a_capture_while_half_of_the_last_one_is_on_its_way_ends_that(served):
    long_value(served)
    again = lambda: served.act(served.client, CAPTURE, IMPLIED)  # noqa: E731
    assert blocks(served, served.reader, again) == LONG_GET_ABORTED
    # Another value of the object, and other objects, do not.
    other = lambda: served.act(served.client, CAPTURE, CALLED)  # noqa: E731
    assert isinstance(blocks(served, served.reader, other), bytes)


def test_attribute_0_has_buffer_and_template_of_one_capture(served):
    answer = served.client.say("C0 01 C1" + descriptor(62, IMPLIED, 0) + "00")
    name, buffer, _objects, _id, template, method = value(bytes.fromhex(answer[8:]))
    assert (name, method) == (fakes.obis(IMPLIED), IMPLICIT)
    assert unpack(template, buffer)[1] == u32(123456)


# --- Code that is there when it is needed ---------------------------------------------------


def lean(served):
    """As on a board when the last client has gone."""
    for talk in (served.client, served.reader):
        talk.say("62 00")
    served.server.forget()
    assert served.meter.model.handler("compact_data") is None
    for talk in (served.client, served.reader):
        assert talk.open(None).startswith("6129A1")


@pytest.mark.parametrize("what", ["read", "capture", "script", "meter"])
def test_a_board_that_has_let_go_of_the_code_answers_as_any_other(served, what):
    meter = served.meter
    ask = {
        "read": lambda: served.get(served.client, BUFFER, IMPLIED)[24:],
        "capture": lambda: served.act(served.client, CAPTURE, CALLED),
        "script": lambda: served.act(served.client, 1, "0.0.10.0.0.255", 9, "01120001"),
        "meter": lambda: meter.act(meter.called, CAPTURE),
    }[what]
    wanted = ask()
    captured = meter.get(meter.called, BUFFER)
    assert meter.act(meter.called, RESET) == 0
    lean(served)
    assert ask() == wanted
    assert meter.get(meter.called, BUFFER) == captured


# --- Definitions ----------------------------------------------------------------------------

LINE = '{class = 62, obis = "0.0.66.0.9.255", %s},'


@pytest.mark.parametrize(
    "keys, message",
    [
        ('capture_objects = ["3/1.0.9.8.0/2"]', "names object 3 1.0.9.8.0.255; expected one"),
        ('capture_objects = ["3/1.0.1.8.0/7"]', "names attribute 7 of Register 1.0.1.8.0.255"),
        ('capture_objects = ["62/0.0.66.0.1/2"]', "compact_buffer of Compact data 0.0.66.0.1.255"),
        ('capture_objects = ["3/1.0.1.8.0/2/4096"]', "data_index 4096"),
        ('capture_objects = ["7/1.0.99.1.0/2"]', "has no fixed size; expected capacity"),
        (
            'capture_objects = ["3/1.0.1.8.0/2"], capacity = {compact_buffer = 3}',
            "capacity compact_buffer = 3; expected at least 5",
        ),
        (
            'capture_objects = ["3/1.0.1.8.0/2"], capacity = {template_description = "2 octets"}',
            "expected at least 3",
        ),
        (
            'capture_objects = [[3, "1.0.1.8.0", 2, 0, [1, "null-data"]]]',
            "expected the buffer of a profile",
        ),
        (
            'capture_objects = [[7, "1.0.99.1.0", 2, 0, [1, "null-data"]]]',
            "expected 1 with two date-times, 2 with entries",
        ),
        (
            'capture_objects = [[7, "1.0.99.1.0", 2, 0, [1, {type = '
            '"structure{from_date:octet-string,to_date:octet-string}", value = ["ab", "cd"]}]]]',
            "expected 1 with two date-times",
        ),
    ],
)
def test_mistakes_of_a_definition(keys, message):
    with pytest.raises(TableError) as e:
        fakes.define(OBJECTS + LINE % keys, HEAD)
    assert message in str(e.value)


def test_room_is_made_for_what_is_captured():
    """Without a capacity: the longest values, and what they are."""
    meter = Talk(
        OBJECTS
        + LINE % 'capture_objects = ["1/0.0.96.1.1/2", "8/0.0.1.0.0/2"], capture_method = 1'
    )
    row = meter.row(62, "0.0.66.0.9.255")
    assert meter.set(meter.row(1, TEXT), 2, b"\x0a\x82\x01\x2c" + bytes(300)) == 0
    text, time = meter.unpacked(row)
    assert len(text) == 304 and time == octets(meter.clock.local)
