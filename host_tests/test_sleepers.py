# SPDX-License-Identifier: MIT
"""Class modules that act, and sleep until they are due (cosem/class_modules.py): with the meter of
timing.toml, and with the reference meter, of which one that never sleeps is what it has to be."""

import types

import pytest
import test_program
from fakes import array, octets, struct_, u16, u32
from test_activity_calendar import Talk as Calendar
from test_activity_calendar import action, day
from test_ahead import outcome
from test_program import LOAD, Meter
from timed import Timed

from firmware.meter.household import Household
from firmware.meter.running import Meter as Running

residential = test_program.residential  # a fixture
ACT = ("activity_calendar", "limiter", "push_setup", "register_activation")
ACT += ("single_action_schedule",)
SCHEDULE = 10, "0.0.12.0.0"
SPECIAL_DAYS = 11, "0.0.11.0.0"
LIMITER = 71, "0.0.17.0.0"
POWER = 3, "1.0.1.7.0"


def awake(model):
    """Names of the modules that are there, of those that act."""
    return [n for n, h in zip(model.handler_names, model.handlers) if h is not None and n in ACT]


def woken(model):
    """A list that grows with each class module that is loaded."""
    loaded = []
    load = model.load
    model.load = lambda name: loaded.append(name[6:]) or load(name)
    return loaded


class Full:
    """No room for a module, as often as it is asked for; then there is."""

    def __init__(self, model, name, times):
        self.model, self.name, self.times = model, name, times
        self.load = model.load
        model.load = self

    def __call__(self, name):
        if name == self.name and self.times:
            self.times -= 1
            raise MemoryError
        return self.load(name)


# --- A meter that sleeps does what one does that never does ------------------------------------


def asks(meter, k):
    """What clients do in the course of the day."""
    if k == 2:
        meter.set(70, "0.0.96.3.10", 4, b"\x16\x05")
        meter.set(*LIMITER, 4, u32(2500))
    elif k == 3:
        meter.clock.adjust(meter.clock.minute - 7, 23)
    elif k == 4:
        entry = struct_(octets(b"\x05\x2f\x01\x00"), octets(b"\xff" * 5))
        meter.set(22, "0.0.15.0.0", 4, array(entry))
    elif k == 5:
        meter.clock.adjust(meter.clock.minute + 300, 11)
    elif k == 6:
        meter.set(6, "0.0.14.0.0", 4, octets(b"RATE3"))


@pytest.mark.parametrize("start", ["2026-03-27T21:10", "2026-10-24T21:10", "2027-12-30T21:10"])
def test_it_makes_no_difference(residential, start):
    """Tariffs, captures, the end of a month or not: every octet, over a change of the clock."""
    plain, sleeper = (Meter(residential, start, Household(7)) for _ in range(2))
    loaded = woken(sleeper.model)
    for k in range(8):
        for _ in range(240):
            plain.program.step(60)
            sleeper.program.step(60)
            sleeper.model.sleep()
        assert outcome(plain) == outcome(sleeper), k
        asks(plain, k)
        asks(sleeper, k)
        sleeper.model.sleep()
    assert len(plain.rows(LOAD)) > 100
    # Twice an hour, later three times; at four times of a day, and midnight; and when asked.
    assert 60 < loaded.count("single_action_schedule") < 100
    assert 5 < loaded.count("activity_calendar") < 20
    assert awake(plain.model) == list(ACT) and awake(sleeper.model) == []


def test_who_has_acted_goes_again_by_himself(residential):
    """Without a word of the board, once all that nobody needs has gone."""
    meter = Meter(residential, "2026-06-15T03:58", Household(7))
    meter.model.sleep()
    loaded = woken(meter.model)
    assert awake(meter.model) == []
    meter.program.step(60)
    assert loaded == []
    meter.model.stirred = False
    meter.program.step(60)  # 06:00 local time
    assert loaded[:2] == ["activity_calendar", "register_activation"]
    assert awake(meter.model) == [] and meter.model.stirred
    assert meter.model.image.find(b"\x09\x05RATE1") > 0


def test_the_board_hears_of_it(residential):
    """It lets go of the code, then."""
    meter = Meter(residential, "2026-06-15T03:58", Household(7))
    meter.model.sleep()
    guard = types.SimpleNamespace(tick=lambda ms: None)
    server = types.SimpleNamespace(guard=guard, todo=0)
    whole = Running(meter.model, server, meter.program, meter.storage, 0, 1)
    meter.model.stirred = False
    whole.tick(60000)
    assert not whole.rests
    whole.tick(120000)
    assert whole.rests and not meter.model.stirred


def test_a_request_that_wakes_all_has_them_until_they_sleep_again(residential):
    """A SET in blocks, or a list, goes on with what it has found."""
    meter = Meter(residential, "2026-06-15T03:58", Household(7))
    meter.model.sleep()
    meter.model.wake()
    meter.program.step(180)
    assert awake(meter.model) == list(ACT)
    meter.model.sleep()
    meter.program.step(1)
    assert awake(meter.model) == []


# --- What wakes them ----------------------------------------------------------------------------


def limited(*now):
    """A meter whose limiters both have thresholds: one without looks each second."""
    meter = Timed(*now)
    for attribute in 4, 5:
        assert meter.set(71, "0.0.17.0.1", attribute, u32(7000)) == 0
    meter.run(2)
    return meter


def test_a_value_that_crosses_the_threshold():
    meter = limited()
    limiter, power = meter.row(*LIMITER), meter.row(*POWER)
    meter.tick()
    meter.model.sleep()
    loaded = woken(meter.model)
    for watts, seconds in ((2999, 5), (3000, 5), (3001, 5), (0, 5), (3001, 10), (5000, 20)):
        meter.model.put_int(power, 2, watts)
        for _ in range(seconds):
            meter.run(1)
            meter.model.sleep()
    # Above it, and back before it had lasted; then again, for good: it sleeps while it stays so.
    assert loaded.count("limiter") == 2
    assert meter.model.image[meter.model.state(limiter, 0)] == 1


def test_special_days_that_are_set_while_the_calendar_sleeps():
    meter = Calendar()
    assert meter.said() and meter.tariff() == "T1"
    meter.model.sleep()
    loaded = woken(meter.model)
    today = struct_(u16(1), octets(b"\x07\xea\x06\x0f\xff"), b"\x11\x02")
    assert meter.set(*SPECIAL_DAYS, 2, array(today)) == 0
    assert "activity_calendar" not in loaded
    meter.run(1)
    assert meter.tariff() == "T3" and "activity_calendar" in loaded


def test_the_clock():
    """All that act see that it was set, and that daylight saving begins."""
    meter = limited("2026-03-29 01:58:30")
    for change in (lambda: meter.run(100), lambda: meter.set_clock("2026-03-29 05:00:00")):
        meter.model.sleep()
        assert awake(meter.model) == []
        loaded = woken(meter.model)
        change()
        assert {"activity_calendar", "schedule", "limiter"} <= set(loaded)
        meter.run(2)


# --- No room for it -----------------------------------------------------------------------------


def test_a_module_that_finds_no_room_comes_with_the_next_second():
    meter = Calendar()
    meter.said()
    meter.has_days(day(1, action("12:01:00", 3)))
    meter.run(30)
    meter.said()
    meter.model.sleep()
    Full(meter.model, "cosem.activity_calendar", 2)
    meter.run(29)
    for _ in range(2):
        with pytest.raises(MemoryError):
            meter.run(1)
    meter.run(3)
    assert [mark for _, mark in meter.said()] == [b"T3"]


def test_who_finds_no_room_does_not_keep_it_from_the_others(residential):
    """The clock was set: all are to see it, one after the other, and each goes when it has."""
    meter = Meter(residential, "2026-06-15T03:58", Household(7))
    meter.model.sleep()
    loaded = woken(meter.model)
    meter.clock.adjust(meter.clock.minute + 61, 0)
    Full(meter.model, "cosem.limiter", 2)
    for _ in range(2):
        with pytest.raises(MemoryError):
            meter.program.step(1)
        assert awake(meter.model) == []
    meter.program.step(1)
    assert awake(meter.model) == [] and meter.log("0.0.99.98.0")[-1][1] == 5
    assert sorted(loaded) == sorted(ACT)
    meter.program.step(1)
    assert len(loaded) == len(ACT)


@pytest.mark.parametrize("by", ["calendar", "schedule"])
def test_nor_is_a_script_lost_whose_object_finds_none(by):
    meter = Calendar()
    if by == "calendar":
        meter.has_days(day(1, action("12:01:00", 3)))
    else:
        entry = struct_(octets(b"\x0c\x01\x00\x00"), octets(b"\xff" * 5))
        assert meter.set(22, "0.0.15.0.0", 2, struct_(octets(NAME), u16(3))) == 0
        assert meter.set(22, "0.0.15.0.0", 4, array(entry)) == 0
    meter.run(30)
    meter.said()
    meter.model.sleep()
    Full(meter.model, "cosem.register_activation", 2)
    meter.run(29)
    for _ in range(2):
        with pytest.raises(MemoryError):
            meter.run(1)
    meter.run(60)
    assert [mark for _, mark in meter.said()] == [b"T3"]


NAME = bytes((0, 0, 10, 0, 100, 255))
