# SPDX-License-Identifier: MIT
"""cosem/script_table.py: scripts that write, run methods, run scripts, and fail half-way."""

import pytest
from fakes import CLOCK, Meter, array, boolean, enum, i8, obis, octets, struct_, u8, u16
from served import Served

SCRIPTS = 2
TEMPORARY_FAILURE, OBJECT_UNDEFINED, TYPE_UNMATCHED, OTHER_REASON = 2, 4, 12, 250

OBJECTS = (
    CLOCK
    + """
    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long-unsigned", value = 5, scaler = 0,
     unit = "Wh", ram = ["value"]},
    {class = 1, obis = "0.0.96.1.0.255", data_type = "unsigned", value = 1, ram = ["value"]},
    {class = 1, obis = "0.0.96.1.1.255", data_type = "unsigned", value = 1, ram = ["value"]},
    {class = 29, obis = "0.0.2.1.0.255"},
    {class = 9, obis = "0.0.10.0.0.255", scripts = [
      [1, [[1, 1, "0.0.96.1.0.255", 2, {type = "unsigned", value = 42}],
      [2, 3, "1.0.1.8.0.255", 1, {type = "integer", value = 0}]]],
      [2, [[1, 1, "0.0.96.1.0.255", 2, {type = "long-unsigned", value = 42}],
      [1, 1, "0.0.96.1.1.255", 2, {type = "unsigned", value = 43}]]],
      [3, [[2, 9, "0.0.10.0.0.255", 1, {type = "long-unsigned", value = 1}],
      [1, 1, "0.0.96.1.1.255", 2, {type = "unsigned", value = 44}]]],
      [4, [[2, 9, "0.0.10.0.0.255", 1, {type = "long-unsigned", value = 4}]]],
      [500, []]]},
"""
)


@pytest.fixture
def meter():
    m = Meter(OBJECTS)
    m.object = m.row(9, "0.0.10.0.0.255")
    m.energy = m.row(3, "1.0.1.8.0.255")
    m.first = m.row(1, "0.0.96.1.0.255")
    m.second = m.row(1, "0.0.96.1.1.255")
    m.values = lambda: [m.read(r, 2) for r in (m.energy, m.first, m.second)]
    return m


def test_a_script_writes_and_runs_methods(meter):
    assert meter.act(meter.object, 1, u16(1)) == 0
    assert meter.values() == [0, 42, 1]


def test_the_first_action_that_fails_ends_the_script(meter):
    assert meter.act(meter.object, 1, u16(2)) == TYPE_UNMATCHED
    assert meter.values() == [5, 1, 1]


def test_a_script_runs_a_script(meter):
    assert meter.act(meter.object, 1, u16(3)) == 0
    assert meter.values() == [0, 42, 44]


def test_a_script_that_runs_itself_comes_to_an_end(meter):
    assert meter.act(meter.object, 1, u16(4)) == OTHER_REASON
    # And the next one runs.
    assert meter.act(meter.object, 1, u16(1)) == 0


@pytest.mark.parametrize(
    "data, result",
    [
        (u16(0), 0),
        (u16(500), 0),
        (u16(5), OTHER_REASON),
        (u8(1), TYPE_UNMATCHED),
        (b"", TYPE_UNMATCHED),
        (boolean(True), TYPE_UNMATCHED),
    ],
)
def test_scripts_that_do_nothing(meter, data, result):
    assert meter.act(meter.object, 1, data) == result
    assert meter.values() == [5, 1, 1]


def test_a_script_does_not_change_scripts(meter):
    table = meter.model.handler("script_table")
    assert table.check(meter.object, SCRIPTS, b"", 0, 0) == 0
    table._depth = 1
    assert table.check(meter.object, SCRIPTS, b"", 0, 0) == TEMPORARY_FAILURE


def test_no_other_method(meter):
    assert meter.act(meter.object, 2, u16(1)) == OBJECT_UNDEFINED


# --- Each mistake that a step can have ----------------------------------------------------------

TABLE, FIRST, SECOND = "0.0.10.0.0.255", "0.0.96.1.0.255", "0.0.96.1.1.255"
ENERGY = "1.0.1.8.0.255"
READ_WRITE_DENIED = 3


def step(service, class_id, name, index, parameter):
    return struct_(enum(service), u16(class_id), octets(obis(name)), i8(index), parameter)


@pytest.mark.parametrize(
    "bad, result",
    [
        (step(0, 1, FIRST, 2, u8(9)), OTHER_REASON),  # no such service
        (step(3, 1, FIRST, 2, u8(9)), OTHER_REASON),
        (step(1, 1, "0.0.96.1.9.255", 2, u8(9)), OBJECT_UNDEFINED),
        (step(1, 3, FIRST, 2, u8(9)), OBJECT_UNDEFINED),  # of another class
        (step(1, 1, FIRST, 0, u8(9)), OBJECT_UNDEFINED),
        (step(1, 1, FIRST, 3, u8(9)), OBJECT_UNDEFINED),
        (step(1, 1, FIRST, -1, u8(9)), OBJECT_UNDEFINED),
        (step(1, 1, FIRST, 2, u16(9)), TYPE_UNMATCHED),
        (step(2, 3, ENERGY, 0, i8(0)), OBJECT_UNDEFINED),
        (step(2, 3, ENERGY, 2, i8(0)), OBJECT_UNDEFINED),
        (step(2, 3, ENERGY, 1, u8(0)), TYPE_UNMATCHED),
        (step(2, 1, FIRST, 1, i8(0)), OBJECT_UNDEFINED),  # a class without methods
        (step(2, 29, "0.0.2.1.0.255", 1, i8(0)), OTHER_REASON),  # that only stores
        (step(2, 29, "0.0.2.1.0.255", 2, i8(0)), OBJECT_UNDEFINED),
    ],
)
def test_a_step_that_cannot_be_done_ends_the_script(bad, result):
    """The tables of a definition have no such steps; they come by a SET, where that is allowed."""
    room = 'ram = ["scripts"], capacity = {scripts = "300 octets"}, scripts = ['
    m = Meter(OBJECTS.replace("scripts = [", room, 1))
    row = m.row(9, TABLE)
    good = step(1, 1, FIRST, 2, u8(7)), step(1, 1, SECOND, 2, u8(8))
    assert m.set(row, SCRIPTS, array(struct_(u16(1), array(good[0], bad, good[1])))) == 0
    assert m.act(row, 1, u16(1)) == result
    values = ((1, FIRST), (1, SECOND), (3, ENERGY))
    assert [m.read(m.row(*which), 2) for which in values] == [7, 1, 5]


def test_a_method_that_has_to_be_loaded_first(meter):
    """The request does not come again by itself: the steps before would be done twice."""
    meter.model.handler("register").invoke = lambda *about: -1
    assert meter.act(meter.object, 1, u16(1)) == TEMPORARY_FAILURE
    assert meter.values() == [5, 42, 1]


def test_a_conversation():
    """Client 17 may not write; the right to execute is the right to what the script does."""
    c = Served(OBJECTS)
    assert c.set(1, FIRST, 2, u8(7), client=17) == READ_WRITE_DENIED
    assert [number for number, _ in c.get(9, TABLE, 2, client=17)] == [1, 2, 3, 4, 500]
    assert c.act(9, TABLE, 1, u16(1), client=17) == 0
    assert (c.get(1, FIRST, 2), c.get(3, ENERGY, 2)) == (42, 0)
    assert c.act(9, TABLE, 1, u16(7)) == OTHER_REASON
    assert c.act(9, TABLE, 1, u8(1)) == TYPE_UNMATCHED
    assert c.act(9, TABLE, 2, u16(1)) == OBJECT_UNDEFINED
    assert c.set(9, TABLE, 2, b"\x01\x00") == READ_WRITE_DENIED
