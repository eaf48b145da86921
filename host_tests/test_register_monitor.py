# SPDX-License-Identifier: MIT
"""cosem/register_monitor.py: scripts that are executed when a value crosses a threshold."""

import struct

import pytest
from fakes import CLOCK, Meter, array, i32, obis, struct_

THRESHOLDS, MONITORED, ACTIONS = 2, 3, 4
OTHER_REASON, TYPE_UNMATCHED = 250, 12

# Scripts 1 and 2 write 1 and 2 where one can see it; script 3 takes the thresholds away.
OBJECTS = (
    CLOCK
    + """
    {class = 1, obis = "0.0.96.1.0.255", data_type = "unsigned", value = 0, ram = ["value"]},
    {class = 3, obis = "1.0.1.7.0.255", data_type = "double-long", value = 0, ram = ["value"]},
    {class = 9, obis = "0.0.10.0.0.255", scripts = [
      [1, [[1, 1, "0.0.96.1.0.255", 2, {type = "unsigned", value = 1}]]],
      [2, [[1, 1, "0.0.96.1.0.255", 2, {type = "unsigned", value = 2}]]],
      [3, [[1, 21, "0.0.16.0.0.255", 2, {type = "array[double-long]", value = []}]]]]},
    {class = 21, obis = "0.0.16.0.0.255", ram = ["thresholds", "monitored_value", "actions"],
     thresholds = [{type = "double-long", value = 100}],
     monitored_value = [3, "1.0.1.7.0.255", 2],
     actions = [[["0.0.10.0.0.255", 1], ["0.0.10.0.0.255", 2]]],
     capacity = {thresholds = 4, actions = 4}},
"""
)


def script(n):
    return struct_(b"\x09\x06" + obis("0.0.10.0.0.255"), b"\x12" + struct.pack(">H", n))


def monitored(class_id, name, index):
    return struct_(
        b"\x12" + struct.pack(">H", class_id), b"\x09\x06" + obis(name), bytes((15, index))
    )


class Talk(Meter):
    def __init__(self, objects=OBJECTS, **how):
        super().__init__(objects, **how)
        self.monitor = self.row(21, "0.0.16.0.0.255")
        self.seen = self.row(1, "0.0.96.1.0.255")
        self.register = self.row(3, "1.0.1.7.0.255")
        self.done = []
        handler = self.model.handler("register_monitor")
        handler.model.on_executed = lambda row, result: self.done.append(result)
        self.look = lambda: handler.tick(0)

    def come(self, *values):
        """The register has these values at one look each; what the scripts have written."""
        said = []
        for n in values:
            assert self.set(self.register, 2, i32(n)) == 0
            assert self.set(self.seen, 2, b"\x11\x00") == 0
            self.look()
            said.append(self.read(self.seen, 2))
        return said


@pytest.fixture
def meter():
    return Talk()


def test_up_and_down(meter):
    assert meter.come(0, 99, 101, 500, 100, -5, 101) == [0, 0, 1, 0, 2, 0, 1]
    assert meter.done == [0, 0, 0]


def test_what_is_there_at_the_start_has_crossed_nothing(meter):
    assert meter.come(500, 101, 50) == [0, 0, 2]


def test_equal_is_not_above(meter):
    assert meter.come(99, 100, 101, 100) == [0, 0, 1, 2]


def test_several_thresholds_each_has_its_actions(meter):
    assert meter.set(meter.monitor, THRESHOLDS, array(i32(-10), i32(10))) == 0
    up_only = struct_(script(1), script(0))
    down_only = struct_(script(0), script(2))
    assert meter.set(meter.monitor, ACTIONS, array(up_only, down_only)) == 0
    assert meter.come(-20, 0, 20, 0, -20) == [0, 1, 0, 2, 0]


def test_a_threshold_without_actions_does_nothing(meter):
    assert meter.set(meter.monitor, ACTIONS, array()) == 0
    assert meter.come(0, 200, 0) == [0, 0, 0]
    assert meter.done == []


def test_a_script_that_is_not_there_is_a_result(meter):
    assert meter.set(meter.monitor, ACTIONS, array(struct_(script(9), script(2)))) == 0
    assert meter.come(0, 200, 0) == [0, 0, 2]
    assert meter.done == [OTHER_REASON, 0]


def test_thresholds_that_are_set_begin_anew(meter):
    assert meter.come(0, 50) == [0, 0]
    assert meter.set(meter.monitor, THRESHOLDS, array(i32(20))) == 0
    assert meter.come(50, 10) == [0, 2]


def test_a_threshold_of_another_type_is_refused_and_passed_over_if_it_is_there(meter):
    assert meter.set(meter.monitor, THRESHOLDS, array(i32(20), b"\x11\x05")) == TYPE_UNMATCHED
    assert meter.come(0, 200) == [0, 1]
    assert meter.set(meter.monitor, MONITORED, monitored(1, "0.0.96.1.0.255", 2)) == 0
    assert meter.come(0, 200) == [0, 0]


def test_a_script_may_set_the_monitor_itself(meter):
    assert meter.set(meter.monitor, THRESHOLDS, array(i32(1), i32(2))) == 0
    assert meter.set(meter.monitor, ACTIONS, array(struct_(script(3), script(0)))) == 0
    assert meter.come(0, 5, 0, 5) == [0, 0, 0, 0]
    assert meter.done == [0]
    assert meter.read(meter.monitor, THRESHOLDS) == []


@pytest.mark.parametrize("what", [
    (3, "1.0.1.7.1.255", 2),  # no such object
    (1, "1.0.1.7.0.255", 2),  # of another class
    (3, "1.0.1.7.0.255", 1),  # a name
    (3, "1.0.1.7.0.255", 9),  # no such attribute
    (3, "1.0.1.7.0.255", 0),
    (8, "0.0.1.0.0.255", 2),  # computed
])  # fmt: skip
def test_what_cannot_be_monitored_is_refused(meter, what):
    before = meter.get(meter.monitor, MONITORED)
    assert meter.set(meter.monitor, MONITORED, monitored(*what)) == OTHER_REASON
    assert meter.get(meter.monitor, MONITORED) == before


def test_another_value_can_be_monitored(meter):
    assert meter.set(meter.monitor, MONITORED, monitored(1, "0.0.96.1.0.255", 2)) == 0
    assert meter.set(meter.monitor, THRESHOLDS, array(b"\x11\x05")) == 0
    meter.look()
    assert meter.set(meter.seen, 2, b"\x11\x09") == 0
    meter.look()
    assert meter.read(meter.seen, 2) == 1


def test_thresholds_are_numbers(meter):
    text = b"\x0a\x01x"
    assert meter.set(meter.monitor, THRESHOLDS, array(text)) == TYPE_UNMATCHED
    assert meter.set(meter.monitor, THRESHOLDS, i32(1)) == TYPE_UNMATCHED
    assert meter.read(meter.monitor, THRESHOLDS) == [100]


def test_a_definition_may_have_what_is_no_number():
    """It is passed over, and what is behind it."""
    text = '{type = "visible-string", value = "x"}, {type = "double-long", value = 100}'
    meter = Talk(OBJECTS.replace('{type = "double-long", value = 100}', text))
    assert meter.come(0, 200, 0) == [0, 0, 0]
