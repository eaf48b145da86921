# SPDX-License-Identifier: MIT
"""cosem/array_manager.py: against lists in Python, and as a client. Which index means what is not
settled in public texts: these are the rules of the module."""

import pytest
from fakes import CLOCK, Meter, array, i8, obis, octets, struct_, u8, u16, u32, value
from hypothesis import given, settings
from hypothesis import strategies as st
from served import Served

NAME = "0.0.18.0.0.255"
LIST = 2
NUMBER, RETRIEVE, INSERT, UPDATE, REMOVE = 1, 2, 3, 4, 5
READ_WRITE_DENIED, OBJECT_UNDEFINED, TYPE_UNMATCHED = 3, 4, 12
SCOPE_VIOLATED, OTHER_REASON = 13, 250
# Ids in array_object_list.
NUMBERS, SCRIPTS, LONG, ROM, ABSENT, SCALAR, HIDDEN, MASKS = range(1, 9)

OBJECTS = (
    CLOCK
    + """
    {class = 1, obis = "0.0.96.1.0.255", data_type = "array[long-unsigned]", value = [5, 6, 7],
     capacity = {value = 8}},
    {class = 1, obis = "0.0.96.1.1.255", data_type = "array[long-unsigned]", value = [1, 2],
     access = "%s", ram = ["value"]},
    {class = 1, obis = "0.0.96.1.2.255", data_type = "array[octet-string]", value = [],
     capacity = {value = "1200 octets"}},
    {class = 9, obis = "0.0.10.0.1.255", scripts = [[1, []], [2, []]]},
    {class = 1, obis = "0.0.96.1.4.255", data_type = "unsigned", value = 9, ram = ["value"]},
    {class = 9, obis = "0.0.10.0.0.255", scripts = [[1, ["2/3/1.0.1.8.0/1/integer:0"]]],
     ram = ["scripts"], capacity = {scripts = "200 octets"}},
    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long-unsigned", value = 5, scaler = 0,
     unit = "Wh", ram = ["value"]},
    {class = 6, obis = "0.0.14.0.0.255", register_assignment = [[3, "1.0.1.8.0.255"]],
     mask_list = [["R1", [1]]], active_mask = "",
     capacity = {register_assignment = 3, mask_list = "60 octets", active_mask = 8}},
    {class = 123, obis = "0.0.18.0.0.255", array_object_list = [[1, [1, "0.0.96.1.0.255", 2]],
     [2, [9, "0.0.10.0.0.255", 2]], [3, [1, "0.0.96.1.2.255", 2]], [4, [9, "0.0.10.0.1.255", 2]],
     [5, [1, "0.0.96.9.9.255", 2]], [6, [1, "0.0.96.1.4.255", 2]], [7, [1, "0.0.96.1.1.255", 2]],
     [8, [6, "0.0.14.0.0.255", 3]]],
     capacity = {array_object_list = 20}},
"""
)
PLAIN = OBJECTS % "all"
ALL = range(1, 9)


def entries(number, first, last):
    return struct_(u8(number), struct_(u16(first), u16(last)))


def entry(number, index, data):
    return struct_(u8(number), struct_(u16(index), data))


def element(number, class_id, name, attribute):
    return struct_(u8(number), struct_(u16(class_id), octets(obis(name)), i8(attribute)))


@pytest.fixture
def m():
    return made()


def made():
    meter = Meter(PLAIN)
    meter.object = meter.row(123, NAME)
    meter.numbers = meter.row(1, "0.0.96.1.0.255")
    return meter


def retrieved(m, number, first=1, last=0):
    result, data = m.call(m.object, RETRIEVE, entries(number, first, last))
    return result or value(data)


def change(m, method, data):
    return m.call(m.object, method, data)


# --- What comes back ----------------------------------------------------------------------------


def test_numbers_of_entries(m):
    for number, n in ((NUMBERS, 3), (SCRIPTS, 1), (LONG, 0), (ROM, 2)):
        assert m.call(m.object, NUMBER, u8(number)) == (0, u8(n))


def test_a_number_of_two_octets(m):
    row = m.row(1, "0.0.96.1.2.255")
    assert m.set(row, 2, b"\x01\x82\x01\x00" + b"\x09\x00" * 256) == 0
    assert m.call(m.object, NUMBER, u8(LONG)) == (0, u16(256))


@pytest.mark.parametrize(
    "first,last,wanted",
    [
        (1, 1, [5]), (1, 3, [5, 6, 7]), (2, 3, [6, 7]), (3, 3, [7]), (1, 0, [5, 6, 7]),
        (3, 0, [7]), (2, 99, [6, 7]), (0, 1, SCOPE_VIOLATED), (4, 4, SCOPE_VIOLATED),
        (4, 0, SCOPE_VIOLATED), (3, 2, SCOPE_VIOLATED), (0, 0, SCOPE_VIOLATED),
    ],
)  # fmt: skip
def test_retrieved(m, first, last, wanted):
    assert retrieved(m, NUMBERS, first, last) == wanted


def test_retrieved_of_nothing(m):
    assert retrieved(m, LONG) == SCOPE_VIOLATED


def test_parts_of_what_is_too_long_at_once(m):
    """Twelve strings of 50 octets: of the fake's 400, seven have room."""
    strings = [bytes((k,)) * 50 for k in range(12)]
    data = b"\x01\x0c" + b"".join(b"\x09\x32" + x for x in strings)
    assert m.set(m.row(1, "0.0.96.1.2.255"), 2, data) == 0
    assert retrieved(m, LONG) == OTHER_REASON
    assert retrieved(m, LONG, 1, 7) == strings[:7]
    assert retrieved(m, LONG, 8) == strings[7:]


# --- What is changed ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method,parameter,wanted",
    [
        (INSERT, entry(NUMBERS, 1, u16(9)), [9, 5, 6, 7]),
        (INSERT, entry(NUMBERS, 3, u16(9)), [5, 6, 9, 7]),
        (INSERT, entry(NUMBERS, 4, u16(9)), [5, 6, 7, 9]),
        (UPDATE, entry(NUMBERS, 1, u16(9)), [9, 6, 7]),
        (UPDATE, entry(NUMBERS, 3, u16(9)), [5, 6, 9]),
        (REMOVE, entries(NUMBERS, 1, 1), [6, 7]),
        (REMOVE, entries(NUMBERS, 2, 3), [5]),
        (REMOVE, entries(NUMBERS, 2, 0), [5]),
        (REMOVE, entries(NUMBERS, 1, 0), []),
    ],
)
def test_changed(m, method, parameter, wanted):
    assert change(m, method, parameter) == (0, b"")
    assert m.read(m.numbers, 2) == wanted
    assert (m.numbers, 2) in m.edits


REFUSED = [
    (INSERT, entry(NUMBERS, 0, u16(9)), SCOPE_VIOLATED),
    (INSERT, entry(NUMBERS, 5, u16(9)), SCOPE_VIOLATED),
    (INSERT, entry(NUMBERS, 1, u8(9)), TYPE_UNMATCHED),
    (INSERT, entry(ROM, 1, u8(9)), READ_WRITE_DENIED),
    (INSERT, entry(ABSENT, 1, u8(9)), OBJECT_UNDEFINED),
    (INSERT, entry(99, 1, u8(9)), OBJECT_UNDEFINED),
    (INSERT, entry(SCALAR, 1, u8(9)), TYPE_UNMATCHED),
    (UPDATE, entry(NUMBERS, 0, u16(9)), SCOPE_VIOLATED),
    (UPDATE, entry(NUMBERS, 4, u16(9)), SCOPE_VIOLATED),
    (UPDATE, entry(NUMBERS, 1, u32(9)), TYPE_UNMATCHED),
    (UPDATE, entry(LONG, 1, octets(b"")), SCOPE_VIOLATED),
    (REMOVE, entries(NUMBERS, 4, 4), SCOPE_VIOLATED),
    (REMOVE, entries(NUMBERS, 0, 1), SCOPE_VIOLATED),
    (REMOVE, entries(NUMBERS, 2, 1), SCOPE_VIOLATED),
    (REMOVE, entries(ABSENT, 1, 1), OBJECT_UNDEFINED),
    (REMOVE, entries(SCALAR, 1, 1), TYPE_UNMATCHED),
    (6, entries(NUMBERS, 1, 1), OBJECT_UNDEFINED),
]


@pytest.mark.parametrize("method,parameter,result", REFUSED)
def test_refused_and_nothing_changed(m, method, parameter, result):
    before = bytes(m.model.image)
    assert change(m, method, parameter) == (result, b"")
    assert m.model.image == before and not m.edits


def test_a_full_array(m):
    for n in range(5):
        assert change(m, INSERT, entry(NUMBERS, 1, u16(n)))[0] == 0
    assert change(m, INSERT, entry(NUMBERS, 1, u16(9)))[0] == OTHER_REASON
    assert m.read(m.numbers, 2) == [4, 3, 2, 1, 0, 5, 6, 7]
    assert change(m, UPDATE, entry(NUMBERS, 8, u16(9)))[0] == 0


def test_the_class_of_the_array_is_asked(m):
    """A mask that names a register which is not assigned, or the name of another mask."""
    row = m.row(6, "0.0.14.0.0.255")
    mask = struct_(octets(b"R2"), array(u8(1)))
    assert change(m, INSERT, entry(MASKS, 2, mask))[0] == 0
    assert m.read(row, 3) == [[b"R1", [1]], [b"R2", [1]]]
    wrong = struct_(octets(b"R3"), array(u8(9)))
    assert m.set(row, 3, array(wrong)) == OTHER_REASON
    assert change(m, UPDATE, entry(MASKS, 2, wrong))[0] == OTHER_REASON
    assert m.read(row, 3) == [[b"R1", [1]], [b"R2", [1]]]


def test_a_script(m):
    """An array of structures: an entry of any length."""
    row = m.row(9, "0.0.10.0.0.255")
    script = struct_(u16(7), array())
    assert change(m, INSERT, entry(SCRIPTS, 1, script))[0] == 0
    assert [x[0] for x in m.read(row, 2)] == [7, 1]
    assert m.act(row, 1, u16(7)) == 0
    assert change(m, REMOVE, entries(SCRIPTS, 1, 1))[0] == 0
    assert [x[0] for x in retrieved(m, SCRIPTS)] == [1]


def test_in_a_script_there_is_no_room(m):
    before = bytes(m.model.image)
    assert m.act(m.object, REMOVE, entries(NUMBERS, 1, 1)) == OTHER_REASON
    assert m.act(m.object, RETRIEVE, entries(NUMBERS, 1, 1)) == OTHER_REASON
    assert m.act(m.object, NUMBER, u8(NUMBERS)) == OTHER_REASON
    assert m.model.image == before


indexes = st.integers(0, 9)
operations = st.one_of(
    st.tuples(st.just(INSERT), indexes, st.integers(0, 65535)),
    st.tuples(st.just(UPDATE), indexes, st.integers(0, 65535)),
    st.tuples(st.just(REMOVE), indexes, indexes),
    st.tuples(st.just(RETRIEVE), indexes, indexes),
)


@given(st.lists(operations, max_size=20))
@settings(max_examples=60, deadline=None)
def test_any_operations(todo):
    """As a list of at most eight would have it."""
    m = made()
    model = [5, 6, 7]
    for method, index, other in todo:
        n = len(model)
        last = n if other == 0 else min(other, n)
        if method in (INSERT, UPDATE):
            good = 1 <= index <= n + (method == INSERT)
            full = method == INSERT and n == 8
            result = change(m, method, entry(NUMBERS, index, u16(other)))[0]
            assert result == (SCOPE_VIOLATED if not good else OTHER_REASON if full else 0)
            if not result:
                model[index - 1 : index - (method == INSERT)] = [other]
        else:
            good = 1 <= index <= last
            if method == RETRIEVE:
                found = retrieved(m, NUMBERS, index, other)
                assert found == (model[index - 1 : last] if good else SCOPE_VIOLATED)
            else:
                assert change(m, REMOVE, entries(NUMBERS, index, other))[0] == (
                    0 if good else SCOPE_VIOLATED
                )
                if good:
                    del model[index - 1 : last]
        assert m.read(m.numbers, 2) == model


# --- array_object_list --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "parts,result",
    [
        ([], 0),
        ([element(1, 1, "0.0.96.1.0.255", 2), element(2, 123, NAME, 2)], 0),
        ([element(1, 1, "0.0.96.1.0.255", 2), element(1, 9, "0.0.10.0.0.255", 2)], OTHER_REASON),
        ([element(1, 1, "0.0.96.9.0.255", 2)], OBJECT_UNDEFINED),
        ([element(1, 1, "0.0.96.1.0.255", 3)], OBJECT_UNDEFINED),
        ([element(1, 1, "0.0.96.1.0.255", 0)], OBJECT_UNDEFINED),
        ([element(1, 1, "0.0.96.1.0.255", -1)], OBJECT_UNDEFINED),
        ([element(1, 1, "0.0.96.1.4.255", 2)], TYPE_UNMATCHED),
        ([element(1, 1, "0.0.96.1.0.255", 1)], TYPE_UNMATCHED),
        ([element(k, 1, "0.0.96.1.0.255", 2) for k in range(21)], OTHER_REASON),
        ([struct_(u8(1), u8(1))], TYPE_UNMATCHED),
    ],
)
def test_lists(m, parts, result):
    before = m.get(m.object, LIST)
    assert m.set(m.object, LIST, array(*parts)) == result
    assert m.get(m.object, LIST) == (before if result else array(*parts))


def test_it_manages_its_own_list(m):
    assert m.set(m.object, LIST, array(element(1, 123, NAME, 2))) == 0
    new = element(2, 1, "0.0.96.1.0.255", 2)
    assert change(m, INSERT, entry(1, 1, new))[0] == 0
    assert change(m, INSERT, entry(1, 1, new))[0] == OTHER_REASON
    assert retrieved(m, 2) == [5, 6, 7]


# --- As a client --------------------------------------------------------------------------------


def test_a_conversation():
    c = Served(OBJECTS % "hidden")
    assert c.act(123, NAME, NUMBER, u8(NUMBERS)) == (0, 3)
    assert c.act(123, NAME, INSERT, entry(NUMBERS, 2, u16(300))) == 0
    assert c.act(123, NAME, RETRIEVE, entries(NUMBERS, 1, 2)) == (0, [5, 300])
    assert c.get(1, "0.0.96.1.0.255", 2) == [5, 300, 6, 7]
    assert c.act(123, NAME, UPDATE, entry(NUMBERS, 9, u16(1))) == SCOPE_VIOLATED
    assert c.act(123, NAME, REMOVE, entries(NUMBERS, 2, 3)) == 0
    assert c.get(1, "0.0.96.1.0.255", 2) == [5, 7]
    assert c.act(123, NAME, NUMBER, u16(NUMBERS)) == TYPE_UNMATCHED


def test_a_client_needs_the_rights_to_the_array():
    """Client 17 reads and executes, but writes nothing; the hidden one nobody reads."""
    c = Served(OBJECTS % "hidden")
    assert c.act(123, NAME, RETRIEVE, entries(NUMBERS, 1, 0), client=17) == (0, [5, 6, 7])
    for method, data in ((INSERT, entry(NUMBERS, 1, u16(1))), (REMOVE, entries(NUMBERS, 1, 1))):
        assert c.act(123, NAME, method, data, client=17) == READ_WRITE_DENIED
    for client in (16, 17):
        result = c.act(123, NAME, NUMBER, u8(HIDDEN), client=client)
        assert result == (READ_WRITE_DENIED if client == 16 else OBJECT_UNDEFINED)
    assert c.get(1, "0.0.96.1.0.255", 2) == [5, 6, 7]
