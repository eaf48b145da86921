# SPDX-License-Identifier: MIT
"""cosem/single_action_schedule.py: when scripts are executed, and when not."""

import pytest
import timed
from fakes import CLOCK, Meter, array, date_time, enum, octets, struct_

sleep = timed.sleep  # a fixture

SCRIPT, TYPE, TIMES = 2, 3, 4
ONE, SAME_TIME_FIXED, SAME_TIME, FIXED, ANY = 1, 2, 3, 4, 5
TYPE_UNMATCHED, OTHER_REASON = 12, 250

OBJECTS = (
    CLOCK
    + """
    {class = 1, obis = "0.0.96.1.0.255", data_type = "unsigned", value = 1, ram = ["value"]},
    {class = 9, obis = "0.0.10.0.0.255", scripts = [
      [7, [[1, 1, "0.0.96.1.0.255", 2, {type = "unsigned", value = 42}]]]]},
    {class = 22, obis = "0.0.15.0.0.255", executed_script = ["0.0.10.0.0.255", 7], type = 1,
     execution_time = [], capacity = {execution_time = 8}},
"""
)


class Talk(Meter):
    def __init__(self, objects=OBJECTS, **kwargs):
        super().__init__(objects, **kwargs)
        self.object = self.row(22, "0.0.15.0.0.255")
        self.schedule = self.model.handler("single_action_schedule")
        self.done = []
        self.model.on_executed = lambda row, result: self.done.append(self.local()[5:])
        self.set_local("2026-06-15 12:00:00")

    def times(self, *entries, type=ONE):
        """Set type and execution_time."""
        assert self.set(self.object, TIMES, array()) == 0
        assert self.set(self.object, TYPE, enum(type)) == 0
        assert self.set(self.object, TIMES, array(*entries)) == 0


@pytest.fixture
def meter():
    return Talk()


def entry(hour, minute, second=0, year=0xFFFF, month=0xFF, day=0xFF, weekday=0xFF):
    return struct_(
        octets(bytes((hour, minute, second, 0))),
        octets(bytes((year >> 8, year & 0xFF, month, day, weekday))),
    )


def test_the_script_is_executed_at_its_minute_once(meter):
    meter.times(entry(12, 2))
    meter.run(119)
    assert meter.done == []
    meter.run(1)
    assert meter.done == ["06-15 12:02:00"]
    assert meter.read(meter.row(1, "0.0.96.1.0.255"), 2) == 42
    meter.run(180)
    assert len(meter.done) == 1


def test_every_day_every_hour_every_month(meter):
    meter.times(entry(0, 0))
    meter.run(2 * 86400, step=60)
    assert meter.done == ["06-16 00:00:00", "06-17 00:00:00"]
    meter.done.clear()
    meter.times(entry(0xFF, 30))
    meter.run(2 * 3600, step=60)
    assert meter.done == ["06-17 12:30:00", "06-17 13:30:00"]
    meter.done.clear()
    meter.times(entry(0, 0, day=1))
    meter.run(60 * 86400, step=60)
    assert meter.done == ["07-01 00:00:00", "08-01 00:00:00"]


def test_the_second_of_the_minute(meter):
    meter.times(entry(12, 1, 30), entry(12, 2, 0xFF), type=ANY)
    meter.run(180)
    assert meter.done == ["06-15 12:01:30", "06-15 12:02:00"]


def test_last_sunday_and_the_day_daylight_saving_ends(meter):
    meter.set_local("2026-10-01 00:00:00")
    meter.times(entry(6, 0, day=0xFE, weekday=7), entry(7, 0, month=0xFD), type=ANY)
    meter.run(31 * 86400, step=60)
    assert meter.done == ["10-25 06:00:00", "10-25 07:00:00"]


def test_several_fixed_times(meter):
    meter.times(
        entry(12, 5, year=2026, month=6, day=15),
        entry(12, 7, year=2026, month=6, day=15),
        type=FIXED,
    )
    meter.run(600, step=60)
    assert meter.done == ["06-15 12:05:00", "06-15 12:07:00"]


@pytest.mark.parametrize(
    "type, entries, good",
    [
        (ONE, [entry(1, 0)], True),
        (ONE, [entry(1, 0), entry(1, 0, day=2)], False),
        (SAME_TIME_FIXED, [entry(1, 0, 0, 2026, 1, 1), entry(1, 0, 0, 2026, 1, 2)], True),
        (SAME_TIME_FIXED, [entry(1, 0, 0, 2026, 1, 1), entry(2, 0, 0, 2026, 1, 2)], False),
        (SAME_TIME_FIXED, [entry(1, 0)], False),
        (SAME_TIME, [entry(1, 0, day=1), entry(1, 0, day=2)], True),
        (SAME_TIME, [entry(1, 0, day=1), entry(1, 0, 1, day=2)], False),
        (FIXED, [entry(1, 0, 0, 2026, 1, 1), entry(2, 0, 0, 2026, 1, 2)], True),
        (FIXED, [entry(1, 0, 0, 2026, 1, 1), entry(2, 0, 0, 2026, 1)], False),
        (ANY, [entry(1, 0, day=1), entry(2, 0)], True),
        (ANY, [entry(24, 0)], False),
        (ANY, [entry(1, 60)], False),
        (ANY, [entry(1, 0, month=13)], False),
        (ANY, [entry(1, 0, year=2026, month=2, day=29)], False),
    ],
)
def test_the_type_says_what_entries_there_may_be(meter, type, entries, good):
    assert meter.set(meter.object, TYPE, enum(type)) == 0
    result = meter.set(meter.object, TIMES, array(*entries))
    assert result == (0 if good else OTHER_REASON)


def test_entries_that_the_type_does_not_allow_any_more_are_passed_over(meter):
    meter.times(entry(12, 1), entry(12, 2), type=ANY)
    assert meter.set(meter.object, TYPE, enum(ONE)) == 0
    meter.run(300)
    assert meter.done == ["06-15 12:01:00"]


@pytest.mark.parametrize("type", [0, 6])
def test_no_other_type(meter, type):
    assert meter.set(meter.object, TYPE, enum(type)) in (TYPE_UNMATCHED, OTHER_REASON)


# --- The clock is set -----------------------------------------------------------------------


def set_clock(meter, *time):
    meter.clock.adjust(meter.clock.minute_of(date_time(2026, 6, 15, *time), 0), 0)


def test_minutes_that_the_clock_was_set_over_are_not_made_up_for(meter):
    meter.times(entry(0xFF, 0xFF))
    meter.run(1)
    set_clock(meter, 18, 0)
    meter.run(1)
    assert meter.done == ["06-15 12:00:01", "06-15 18:00:01"]


def test_set_back_no_minute_counts_twice(meter):
    meter.times(entry(12, 2))
    meter.run(180)
    set_clock(meter, 11, 58)
    meter.run(600)
    assert len(meter.done) == 1
    # The next day it does.
    meter.run(86400, step=60)
    assert len(meter.done) == 2


def test_set_back_by_more_than_a_day_it_begins_again(meter):
    meter.times(entry(12, 2))
    meter.run(180)
    meter.clock.adjust(meter.clock.minute_of(date_time(2026, 6, 10, 12, 0), 0), 0)
    meter.run(180)
    assert meter.done == ["06-15 12:02:00", "06-10 12:02:00"]


def test_the_hour_that_comes_twice(meter):
    meter.set_local("2026-10-25 02:10:00", status=0x80)
    meter.times(entry(2, 30))
    meter.run(7200, step=60)
    assert meter.done == ["10-25 02:30:00"]


def test_the_hour_that_is_left_out(meter):
    meter.set_local("2026-03-29 01:30:00")
    meter.times(entry(2, 30))
    meter.run(7200, step=60)
    assert meter.done == []


def test_a_slow_loop_misses_nothing(meter):
    meter.times(entry(0xFF, 0xFF))
    meter.run(1)
    meter.run(300, step=150)
    assert len(meter.done) == 6


def test_power_failure_in_the_minute_does_not_execute_twice(meter):
    meter.times(entry(12, 2))
    meter.run(130)
    image = bytes(meter.model.image)
    again = Talk(meter.definition, storage=meter.storage, image=image)
    again.set_local("2026-06-15 12:01:30")
    again.run(60)
    assert again.done == []
    # Without the saved state it would.
    again = Talk(meter.definition, storage=meter.storage)
    again.times(entry(12, 2))
    again.set_local("2026-06-15 12:01:30")
    again.run(60)
    assert again.done == ["06-15 12:02:00"]


def test_a_script_that_is_not_there(meter):
    result = []
    meter.model.on_executed = lambda row, r: result.append(r)
    name = b"\x00\x00\x0a\x00\x01\xff"
    assert meter.set(meter.object, SCRIPT, struct_(octets(name), b"\x12\x00\x07")) == 0
    meter.times(entry(12, 1))
    meter.run(60)
    assert result == [OTHER_REASON]
