# SPDX-License-Identifier: MIT
"""cosem/activity_calendar.py: the tariff of every hour, over the server of a meter whose clock is
set, stops without power, and has summer time.

The calendar of definitions/timing.toml. Summer, from 1 April: T1 from 6:00, T2 from 22:00; winter,
from 1 October: from 7:00 and 21:00; Saturday and Sunday in both: T3 from 8:00. The passive one:
T2 from 0:00, T1 from 12:00. Expected tariffs are worked out by hand.
"""

from types import SimpleNamespace

import pytest
import timed
import small
import test_program
from fakes import array, octets, obis, struct_, u8, u16
from timed import (
    DEFINITION,
    EXCEPTION,
    OTHER_REASON,
    TYPE_UNMATCHED,
    UNDEFINED,
    Timed,
    refuses,
    when,
)

sleep = timed.sleep  # a fixture

CALENDAR, SPECIAL = (20, "0.0.13.0.0"), (11, "0.0.11.0.0")
NAME, SEASONS, WEEKS, DAYS, PASSIVE, TIME = 2, 3, 4, 5, 4, 10
ANY = b"\xff" * 8 + b"\xff\x80\x00\xff"


class Talk(Timed):
    WATCHED = 6, "0.0.14.0.0", 4  # active_mask

    def tariff(self):
        return self.get(6, "0.0.14.0.0", 4).decode()

    def has_days(self, *days):
        assert self.set(*CALENDAR, DAYS, array(*days)) == 0

    def changes(self):
        return [(t, mask.decode()) for t, mask in self.said()]


@pytest.fixture
def meter():
    m = Talk()  # 2026-06-15 12:00:00, a Monday
    assert m.changes() == [("06-15 12:00:00", "T1")]
    return m


def time(text):
    return octets(bytes(0xFF if t == "**" else int(t) for t in text.split(":")) + b"\0")


def action(text, script, table="0.0.10.0.100"):
    return struct_(time(text), octets(obis(table + ".255")), u16(script))


def day(day_id, *actions):
    return struct_(u8(day_id), array(*actions))


def week(name, *ids):
    return struct_(octets(name), *(u8(k) for k in (ids if len(ids) == 7 else ids * 7)))


def season(name, start, week_name):
    return struct_(octets(name), octets(start), octets(week_name))


def pattern(year=0xFFFF, month=1, day=1, weekday=0xFF, hour=0, minute=0, second=0):
    return bytes((year >> 8, year & 0xFF, month, day, weekday, hour, minute, second, 0)) + (
        b"\x80\x00\xff"
    )


# --- A year -----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "now, tariff",
    [
        ("2026-06-15 05:59:59", "T3"),  # Monday: since Saturday, 8:00
        ("2026-06-15 06:00:00", "T1"),
        ("2026-06-15 21:59:59", "T1"),
        ("2026-06-15 22:00:00", "T2"),
        ("2026-06-16 05:59:00", "T2"),
        ("2026-06-20 07:59:59", "T2"),
        ("2026-06-20 08:00:00", "T3"),
        ("2026-09-30 06:30:00", "T1"),  # the last day of summer
        ("2026-10-01 06:30:00", "T2"),  # winter
        ("2026-10-01 07:00:00", "T1"),
        ("2026-01-01 21:00:00", "T2"),  # winter began the year before
        ("2028-02-29 12:00:00", "T1"),
        ("2099-07-01 12:00:00", "T1"),
    ],
)
def test_the_tariff_is_that_of_the_calendar_from_the_first_second_on(now, tariff):
    meter = Talk(now)
    assert meter.tariff() == tariff
    assert len(meter.changes()) == 1


def test_a_week_goes_by(meter):
    meter.run(7 * 86400, step=100)
    expected = []
    for d in (15, 16, 17, 18, 19):
        expected += [("06-%d 06:00:00" % d, "T1"), ("06-%d 22:00:00" % d, "T2")]
    expected += [("06-20 08:00:00", "T3"), ("06-21 08:00:00", "T3"), ("06-22 06:00:00", "T1")]
    assert [(t[:11], m) for t, m in meter.changes()] == [(t[:11], m) for t, m in expected[1:]]


def test_to_the_second(meter):
    meter.has_days(day(1, action("00:00:00", 2), action("12:01:30", 3)))
    meter.run(120)
    assert meter.changes() == [("06-15 12:00:01", "T2"), ("06-15 12:01:30", "T3")]


def test_all_actions_of_one_time_are_executed_in_their_order(meter):
    actions = [action("12:01:00", script) for script in (1, 3, 2, 99)]
    meter.has_days(day(1, *actions))
    results = []
    meter.model.on_executed = lambda row, r: results.append(r)
    meter.run(60)
    # At once those of Friday, for Saturday and Sunday have none any more.
    assert [m for _, m in meter.changes()] == ["T1", "T3", "T2"] * 2
    assert results == [0, 0, 0, OTHER_REASON] * 2


def test_a_season_may_begin_within_a_day(meter):
    evening = season(b"b", pattern(month=6, day=15, hour=18), b"W")
    assert meter.set(*CALENDAR, SEASONS, array(season(b"a", pattern(), b"S"), evening)) == 0
    meter.run(86400, step=60)
    assert [t for t in meter.changes() if t[0] > "06-15 17"] == [
        ("06-15 21:00:00", "T2"), ("06-16 07:00:00", "T1")]  # fmt: skip


@pytest.mark.parametrize(
    "now, start, first",
    [
        ("2026-06-15 12:00:00", pattern(2026, 6, 16), "06-16"),
        ("2026-06-15 12:00:00", pattern(2027, 6, 16), None),
        ("2026-06-15 12:00:00", pattern(month=6, day=0xFE), "06-30"),
        ("2026-06-15 12:00:00", pattern(month=6, day=0xFE, weekday=7), "06-28"),
        ("2026-06-15 12:00:00", pattern(month=6, day=16, weekday=1), "06-22"),
        ("2026-03-15 12:00:00", pattern(month=0xFE, day=0xFF), "03-29"),  # summer time begins
        ("2026-10-15 12:00:00", pattern(month=0xFD, day=0xFF), "10-25"),
        ("2028-02-15 12:00:00", pattern(month=2, day=29), "02-29"),
    ],
)
def test_when_a_season_begins(now, start, first):
    """Since the first of the month there is nothing to do; in the new season T3 from 12:30 on."""
    meter = Talk(now)
    meter.has_days(day(9, action("12:30:00", 3)))
    assert meter.set(*CALENDAR, WEEKS, array(week(b"new", 9))) == 0
    old = season(b"old", pattern(month=int(now[5:7])), b"none")
    assert meter.set(*CALENDAR, SEASONS, array(old, season(b"new", start, b"new"))) == 0
    meter.changes()
    meter.run(16 * 86400, step=600)
    assert [t[:5] for t, _ in meter.changes()][:1] == ([first] if first else [])


# --- Special days -----------------------------------------------------------------------------


def special(meter, month, day, day_id):
    pattern = bytes((0xFF, 0xFF, month, day, 0xFF))
    return meter.act(*SPECIAL, 1, struct_(u16(day), octets(pattern), u8(day_id)))


def test_a_special_day_has_the_day_profile_of_its_day_id(meter):
    assert special(meter, 6, 16, 2) == 0
    meter.run(2 * 86400, step=60)
    assert meter.changes() == [
        ("06-15 12:01:00", "T1"), ("06-15 22:00:00", "T2"), ("06-16 08:00:00", "T3"),
        ("06-17 06:00:00", "T1")]  # fmt: skip


def test_today_becomes_special(meter):
    assert special(meter, 6, 15, 2) == 0
    meter.run(1)
    assert meter.changes() == [("06-15 12:00:01", "T3")]
    assert meter.act(*SPECIAL, 2, u16(15)) == 0
    meter.run(1)
    assert meter.changes() == [("06-15 12:00:02", "T1")]


def test_a_day_id_that_is_not_there_leaves_the_day_as_it_is(meter):
    assert special(meter, 6, 16, 77) == 0
    meter.run(86400, step=60)
    assert meter.changes()[-1] == ("06-16 06:00:00", "T1")


# --- The clock: the table of timetable.py -----------------------------------------------------


@pytest.mark.parametrize(
    "back, done",
    [
        ("2026-06-15 12:00:00", []),
        ("2026-06-15 21:59:59", []),
        ("2026-06-15 22:00:00", ["T2"]),
        ("2026-06-16 05:00:00", ["T2"]),
        ("2026-06-16 07:00:00", ["T1"]),  # T2 was missed, too: only the last counts
        ("2026-06-23 07:00:00", ["T1"]),
        ("2027-01-05 22:00:00", ["T2"]),
    ],
)
@pytest.mark.parametrize("how", ["power failure", "set forward"])
def test_of_what_was_missed_the_last_action_is_executed(meter, how, back, done):
    if how == "set forward":
        meter.set_clock(back)
    else:
        meter = meter.off(back)
    assert [m for _, m in meter.changes()] == done


def test_a_tariff_that_somebody_has_set_survives_a_power_failure(meter):
    assert meter.set(6, "0.0.14.0.0", 4, octets(b"T3")) == 0
    again = meter.off("2026-06-15 21:00:00")
    assert again.tariff() == "T3"
    assert again.changes() == []


@pytest.mark.parametrize(
    "to, tariff",
    [("2026-06-15 05:00:00", "T3"), ("2026-06-15 11:00:00", "T1"), ("2026-06-11 23:00:00", "T2"),
     ("2001-01-01 00:00:00", "T3"), ("2000-01-04 23:00:00", "T2")],
)  # fmt: skip
def test_set_back_the_tariff_is_that_of_the_new_time(meter, to, tariff):
    meter.set_clock(to)
    assert meter.tariff() == tariff


def test_set_back_and_on_again(meter):
    meter.run(10 * 3600, step=60)
    meter.set_clock("2026-06-15 21:00:00")
    meter.run(2 * 3600, step=60)
    assert [m for _, m in meter.changes()] == ["T2", "T1", "T2"]


@pytest.mark.parametrize("seconds", [-60, -30, -1, 1, 30, 60])
def test_synchronized_nothing_comes_twice(seconds):
    meter = Talk("2026-06-15 21:59:30")
    meter.run(30 if seconds < 0 else 20)
    t = 60 * 22 * 60 - (0 if seconds < 0 else 10) + seconds
    meter.set_clock("2026-06-15 %02d:%02d:%02d" % (t // 3600, t // 60 % 60, t % 60))
    meter.run(300)
    assert [m for _, m in meter.changes()] == ["T1", "T2"]


@pytest.mark.parametrize("hour", [1, 2, 3])
def test_summer_time_begins(hour):
    meter = Talk("2026-03-28 12:00:00")
    meter.changes()
    meter.has_days(day(2, action("00:00:00", 1), action("0%d:30:00" % hour, 2)))
    meter.run(86400, step=60)
    night = [t for t in meter.changes() if t[0][:5] == "03-29"]
    at = "03:00:00" if hour == 2 else "0%d:30:00" % hour
    assert night == [("03-29 00:00:00", "T1"), ("03-29 " + at, "T2")]


@pytest.mark.parametrize("hour", [1, 2, 3])
def test_summer_time_ends(hour):
    meter = Talk("2026-10-24 12:00:00")
    meter.changes()
    meter.has_days(day(2, action("00:00:00", 1), action("0%d:30:00" % hour, 2)))
    meter.run(86400, step=60)
    night = [t for t in meter.changes() if t[0][:5] == "10-25"]
    assert night == [("10-25 00:00:00", "T1"), ("10-25 0%d:30:00" % hour, "T2")]


# --- From passive to active ---------------------------------------------------------------------


def both(meter):
    """Active and passive calendar."""
    both = (NAME, SEASONS, WEEKS, DAYS), (6, 7, 8, 9)
    return [[meter.octets(*CALENDAR, k) for k in attributes] for attributes in both]


def test_the_method_activates_the_passive_calendar(meter):
    passive = both(meter)[1]
    assert meter.act(*CALENDAR, 1) == 0
    assert both(meter) == [passive, passive]
    assert meter.events == [9]
    meter.run(86400, step=60)
    assert meter.changes() == [
        ("06-15 12:01:00", "T1"), ("06-16 00:00:00", "T2"), ("06-16 12:00:00", "T1")]  # fmt: skip


def test_a_script_activates_it(meter):
    assert meter.act(9, "0.0.10.0.0", 1, u16(10)) == 0
    assert meter.get(*CALENDAR, NAME) == b"C2"


def test_at_its_time_it_happens_by_itself_to_the_second(meter):
    assert meter.set(*CALENDAR, TIME, octets(when("2026-06-15 13:00:30"))) == 0
    meter.run(3629)
    assert meter.get(*CALENDAR, NAME) == b"C1"
    meter.run(1)
    assert meter.get(*CALENDAR, NAME) == b"C2"
    assert meter.changes() == [("06-15 13:00:30", "T1")]
    assert meter.events == [9]


def test_it_happens_once(meter):
    assert meter.set(*CALENDAR, TIME, octets(when("2026-06-15 12:01:00"))) == 0
    meter.run(60)
    assert meter.set(*CALENDAR, NAME, octets(b"C3")) == 0
    meter.set_clock("2026-06-15 12:00:00")
    meter.run(86400, step=60)
    assert meter.off("2026-06-20 12:00:00").get(*CALENDAR, NAME) == b"C3"


@pytest.mark.parametrize("how", ["power failure", "set forward"])
def test_its_time_may_be_missed(meter, how):
    assert meter.set(*CALENDAR, TIME, octets(when("2026-06-16 00:00:00"))) == 0
    meter.run(1)
    if how == "set forward":
        meter.set_clock("2026-06-17 03:00:00")
    else:
        meter = meter.off("2026-06-17 03:00:00")
    assert meter.get(*CALENDAR, NAME) == b"C2"
    assert meter.tariff() == "T2"


def test_a_time_that_has_gone_by_is_now(meter):
    assert meter.set(*CALENDAR, TIME, octets(when("2026-06-01 00:00:00"))) == 0
    meter.run(1)
    assert meter.get(*CALENDAR, NAME) == b"C2"


def test_nothing_specified_is_never(meter):
    assert meter.set(*CALENDAR, TIME, octets(when("2026-06-15 13:00:00"))) == 0
    assert meter.set(*CALENDAR, TIME, octets(ANY)) == 0
    meter.run(7200, step=60)
    assert meter.get(*CALENDAR, NAME) == b"C1"


def test_a_passive_calendar_that_finds_no_room_is_not_activated(meter):
    five = array(*(season(b"s%d" % k, pattern(month=k), b"S") for k in range(1, 6)))
    assert meter.set(*CALENDAR, SEASONS + PASSIVE, five) == 0
    refuses(meter, "act", *CALENDAR, 1, b"\x0f\x00", OTHER_REASON)
    assert meter.set(*CALENDAR, TIME, octets(when("2026-06-15 12:01:00"))) == 0
    meter.run(120)
    assert meter.get(*CALENDAR, NAME) == b"C1" and meter.events == []


def test_what_is_set_passively_changes_no_tariff(meter):
    assert meter.set(*CALENDAR, DAYS + PASSIVE, array(day(1, action("12:00:00", 3)))) == 0
    meter.run(60)
    assert meter.changes() == []


def test_a_calendar_that_is_switched_off_changes_no_tariff_and_waits_to_be_activated(meter):
    assert meter.set(*CALENDAR, TIME, octets(when("2026-06-15 13:00:00"))) == 0
    meter.switch(b"calendar", False)
    meter.run(86400, step=60)
    assert meter.changes() == [] and meter.get(*CALENDAR, NAME) == b"C1"
    meter.switch(b"calendar", True)
    meter.run(86400, step=60)
    assert meter.get(*CALENDAR, NAME) == b"C2"
    assert meter.changes()[-1] == ("06-17 12:00:00", "T1")


# --- Registers that count by the tariff ---------------------------------------------------------


def hours(start, n, step):
    """Wh of 1000 W in the registers of T1, T2, T3, when so many hours after `start` (UTC)."""
    meter = test_program.Meter(
        SimpleNamespace(**small.packed(DEFINITION)), start, test_program.Constant(a_plus=1000)
    )
    for _ in range(n * 3600 // step):
        meter.program.step(step)
    return [meter.energy("1.0.1.8.%d" % k) for k in (1, 2, 3)]


@pytest.mark.parametrize(
    "start, n, expected",
    [
        ("2026-06-14T22:00", 24, [16, 2, 6]),  # a Monday in summer; until 6:00 it is Sunday's
        ("2026-06-15T22:00", 24, [16, 8, 0]),
        ("2026-06-14T22:00", 7 * 24, [80, 4 * 8 + 10, 6 + 40]),
        ("2026-01-12T23:00", 24, [14, 10, 0]),  # a Tuesday in winter
        ("2026-03-28T23:00", 23, [0, 0, 23]),  # Sunday, 23 hours
        ("2026-10-24T22:00", 25, [0, 0, 25]),
        ("2026-09-29T22:00", 48, [30, 18, 0]),  # the last day of summer, the first of winter
    ],
)
def test_energies_are_exact_to_the_second_of_the_change(start, n, expected):
    assert hours(start, n, 900) == [h * 1000 for h in expected]


def test_however_time_is_stepped():
    assert hours("2026-06-14T22:00", 24, 3600) == hours("2026-06-14T22:00", 24, 50)


# --- What is refused ----------------------------------------------------------------------------


def one_day(*parts):
    return array(day(1, struct_(*parts)))


LONG = b"\x09\x81\x80" + b"x" * 128
BAD = {
    NAME: {
        "of another type": (u8(1), TYPE_UNMATCHED),
        "no room": (octets(b"123456789"), OTHER_REASON),
    },
    SEASONS: {
        "no array": (season(b"s", pattern(), b"S"), TYPE_UNMATCHED),
        "an element missing": (array(struct_(octets(b"s"), octets(pattern()))), TYPE_UNMATCHED),
        "a date-time of 11": (array(season(b"s", pattern()[:11], b"S")), TYPE_UNMATCHED),
        "no month": (array(season(b"s", pattern(month=0xFF), b"S")), OTHER_REASON),
        "no day": (array(season(b"s", pattern(day=0xFF), b"S")), OTHER_REASON),
        "month 13": (array(season(b"s", pattern(month=13), b"S")), OTHER_REASON),
        "30 February": (array(season(b"s", pattern(month=2, day=30), b"S")), OTHER_REASON),
        "hour 24": (array(season(b"s", pattern(hour=24), b"S")), OTHER_REASON),
        "the year 1999": (array(season(b"s", pattern(1999), b"S")), OTHER_REASON),
        "no room": (array(*[season(b"summer", pattern(), b"S")] * 7), OTHER_REASON),
        "a long name": (array(struct_(LONG, octets(pattern()), octets(b""))), OTHER_REASON),
    },
    WEEKS: {
        "six days": (array(struct_(octets(b"S"), *[u8(1)] * 6)), TYPE_UNMATCHED),
        "a day of another type": (array(struct_(octets(b"S"), *[u16(1)] * 7)), TYPE_UNMATCHED),
        "no room": (array(*(week(b"%04d" % k, 1) for k in range(5))), OTHER_REASON),
    },
    DAYS: {
        "hour 24": (array(day(1, action("24:00:00", 1))), OTHER_REASON),
        "every hour": (array(day(1, action("**:00:00", 1))), OTHER_REASON),
        "no second": (array(day(1, action("00:00:**", 1))), OTHER_REASON),
        "a short time": (one_day(octets(b"123"), octets(bytes(6)), u16(1)), TYPE_UNMATCHED),
        "a short name": (one_day(time("00:00:00"), octets(bytes(5)), u16(1)), TYPE_UNMATCHED),
        "no selector": (one_day(time("00:00:00"), octets(bytes(6))), TYPE_UNMATCHED),
        "no actions": (array(struct_(u8(1))), TYPE_UNMATCHED),
        "a wide day_id": (array(struct_(u16(1), array())), TYPE_UNMATCHED),
        "no room": (array(*[day(1, *[action("00:00:00", 1)] * 3)] * 7), OTHER_REASON),
        "cut off": (array(day(1, action("00:00:00", 1)))[:-1], EXCEPTION),
    },
}  # fmt: skip
CASES = [(k + of, name) for k in BAD for name in BAD[k] for of in (0, PASSIVE)]


@pytest.mark.parametrize("attribute, name", CASES)
def test_bad_calendars_change_nothing(meter, attribute, name):
    data, result = BAD[attribute if attribute in BAD else attribute - PASSIVE][name]
    refuses(meter, "set", *CALENDAR, attribute, data, result)
    meter.run(10)
    assert meter.changes() == []


BAD_TIMES = {
    "no year": (pattern(), OTHER_REASON),
    "no day": (pattern(2026, day=0xFF), OTHER_REASON),
    "no hour": (pattern(2026, hour=0xFF), OTHER_REASON),
    "no second": (pattern(2026, second=0xFF), OTHER_REASON),
    "month 13": (pattern(2026, month=13), OTHER_REASON),
    "another weekday": (pattern(2026, 6, 15, 2), OTHER_REASON),
    "11 octets": (pattern(2026)[:11], TYPE_UNMATCHED),
    "13 octets": (pattern(2026) + b"\0", TYPE_UNMATCHED),
}


@pytest.mark.parametrize("name", BAD_TIMES)
def test_bad_activation_times_change_nothing(meter, name):
    data, result = BAD_TIMES[name]
    refuses(meter, "set", *CALENDAR, TIME, octets(data), result)


@pytest.mark.parametrize(
    "method, data, result",
    [(1, u8(0), TYPE_UNMATCHED), (1, b"\x0f\x01", TYPE_UNMATCHED), (2, b"\x0f\x00", UNDEFINED)],
)
def test_bad_actions_change_nothing(meter, method, data, result):
    refuses(meter, "act", *CALENDAR, method, data, result)


def test_calendars_that_lead_nowhere_do_nothing(meter):
    for attribute, data in (
        (SEASONS, array()),
        (SEASONS, array(season(b"s", pattern(), b"nowhere"))),
        (WEEKS, array()),
        (DAYS, array()),
        (DAYS, array(day(1), day(2), day(3))),
    ):
        m = Talk()
        m.changes()
        assert m.set(*CALENDAR, attribute, data) == 0
        m.run(86400, step=60)
        assert m.changes() == [], attribute


def test_a_tick_with_nothing_due_looks_at_nothing(meter):
    meter.model.sleep = lambda: None  # whose looks are counted stays
    looks = []
    calendar = meter.model.handler("activity_calendar")
    look, calendar.look = calendar.look, lambda *how: looks.append(meter.now()) or look(*how)
    meter.run(12 * 3600 - 1, step=1)
    assert looks == ["06-15 22:00:00"]
    meter.run(1)
    assert looks[1:] == ["06-16 00:00:00"]
