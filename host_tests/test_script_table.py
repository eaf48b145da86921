# SPDX-License-Identifier: MIT
"""cosem/script_table.py: scripts that write, run methods, run scripts, and fail half-way."""

import pytest
from fakes import CLOCK, Meter, boolean, u8, u16

SCRIPTS = 2
TEMPORARY_FAILURE, OBJECT_UNDEFINED, TYPE_UNMATCHED, OTHER_REASON = 2, 4, 12, 250

OBJECTS = (
    CLOCK
    + """
    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long-unsigned", value = 5, scaler = 0,
     unit = "Wh", ram = ["value"]},
    {class = 1, obis = "0.0.96.1.0.255", data_type = "unsigned", value = 1, ram = ["value"]},
    {class = 1, obis = "0.0.96.1.1.255", data_type = "unsigned", value = 1, ram = ["value"]},
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
