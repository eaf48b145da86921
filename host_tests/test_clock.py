# SPDX-License-Identifier: MIT
"""cosem/clock.py as a client sees it; local time against CPython's datetime and zoneinfo."""

import datetime
import zoneinfo

import pytest
from fakes import CLOCK, Meter, boolean, date_time, i8, i16, octets, struct_
from hypothesis import given, settings
from hypothesis import strategies as st
from served import Served

UTC = datetime.timezone.utc
EPOCH = datetime.datetime(2000, 1, 1, tzinfo=UTC)
BERLIN = zoneinfo.ZoneInfo("Europe/Berlin")

TIME, TIME_ZONE, STATUS, BEGIN, END, DEVIATION, ENABLED = 2, 3, 4, 5, 6, 7, 8
OTHER_REASON = 250
TYPE_UNMATCHED = 12

METER = Meter(CLOCK)
moments = st.datetimes(
    datetime.datetime(2000, 1, 1), datetime.datetime(2999, 12, 30), timezones=st.just(UTC)
)
# zoneinfo and the rule of the meter agree once the rule of the European Union held.
recent = st.datetimes(
    datetime.datetime(2000, 1, 1), datetime.datetime(2037, 12, 30), timezones=st.just(UTC)
)


@pytest.fixture
def meter():
    m = Meter(CLOCK)
    m.object = m.row(8, "0.0.1.0.0.255")
    m.set_local("2026-06-15 12:34:56")
    return m


def minute_of(moment):
    return int((moment - EPOCH).total_seconds()) // 60


def rule(month, day, hour, year=0xFFFF, weekday=7, deviation=-0x8000):
    return octets(date_time(year, month, day, hour, 0, 0, deviation, weekday=weekday))


def local_octets(moment, deviation, dst):
    t = moment
    return bytes((t.year >> 8, t.year & 0xFF, t.month, t.day, t.isoweekday())) + bytes(
        (
            t.hour,
            t.minute,
            t.second,
            0,
            deviation >> 8 & 0xFF,
            deviation & 0xFF,
            0x80 if dst else 0,
        )
    )


# --- Local time -----------------------------------------------------------------------------


@given(recent)
def test_local_time_is_that_of_europe(moment):
    local = moment.astimezone(BERLIN)
    dst = bool(local.dst())
    out = bytearray(14)
    METER.clock.flags = 0
    assert METER.clock.local_of(minute_of(moment), moment.second, out, 1) == 13
    assert out[1:13] == local_octets(local, -120 if dst else -60, dst)


@given(moments)
def test_a_local_time_with_its_deviation_names_its_moment(moment):
    out = bytearray(12)
    METER.clock.local_of(minute_of(moment), moment.second, out, 0)
    assert METER.clock.minute_of(out, 0) == minute_of(moment)
    assert METER.clock.last_second == moment.second
    # Without it, the daylight saving bit is enough.
    out[9:11] = b"\x80\x00"
    assert METER.clock.minute_of(out, 0) == minute_of(moment)


@given(
    st.datetimes(datetime.datetime(2000, 1, 2), datetime.datetime(2037, 12, 30)),
    st.sampled_from([0, 1]),
)
def test_local_time_without_deviation_is_read_as_datetime_does(naive, fold):
    local = naive.replace(tzinfo=BERLIN, fold=fold)
    text = date_time(*naive.timetuple()[:6], status=0xFF if fold == 0 else 0x00)
    there = local.astimezone(UTC).astimezone(BERLIN).replace(tzinfo=None) == naive
    if there or fold == 0:
        assert METER.clock.minute_of(text, 0) == minute_of(local.astimezone(UTC))


@given(moments, st.integers(-720, 840))
def test_any_deviation_names_the_same_moment(moment, deviation):
    local = moment.replace(tzinfo=None) - datetime.timedelta(minutes=deviation)
    if 2000 <= local.year:
        data = date_time(*local.timetuple()[:6], deviation=deviation)
        assert METER.clock.minute_of(data, 0) == minute_of(moment)


def test_daylight_saving_begins_and_ends(meter):
    meter.set_local("2026-03-29 01:59:59")
    meter.run(1)
    assert meter.local() == "2026-03-29 03:00:00"
    assert meter.read(meter.object, STATUS) == 0x80
    meter.set_local("2026-10-25 02:59:59", status=0x80)
    meter.run(1)
    assert meter.local() == "2026-10-25 02:00:00"
    assert meter.read(meter.object, STATUS) == 0
    assert meter.get(meter.object, TIME)[2:] == bytes.fromhex("07EA0A1907 02000000 FFC4 00")


def test_the_hour_that_comes_twice_is_told_apart_by_the_status(meter):
    first = meter.clock.minute_of(date_time(2026, 10, 25, 2, 30, status=0x80), 0)
    second = meter.clock.minute_of(date_time(2026, 10, 25, 2, 30, status=0x00), 0)
    assert second == first + 60
    assert meter.clock.minute_of(date_time(2026, 10, 25, 2, 30), 0) == first


def test_south_of_the_equator_it_is_active_over_new_year(meter):
    # New South Wales: first Sunday of October 02:00 to first Sunday of April 03:00.
    sydney = zoneinfo.ZoneInfo("Australia/Sydney")
    assert meter.set(meter.object, TIME_ZONE, i16(-600)) == 0
    assert meter.set(meter.object, BEGIN, rule(10, 1, 2)) == 0
    assert meter.set(meter.object, END, rule(4, 1, 3)) == 0
    for day in range(0, 800):
        moment = datetime.datetime(2020, 1, 1, 3, 7, tzinfo=UTC) + datetime.timedelta(
            hours=7 * day
        )
        local = moment.astimezone(sydney)
        out = bytearray(12)
        meter.clock.local_of(minute_of(moment), 0, out, 0)
        dst = bool(local.dst())
        assert out == local_octets(local, -660 if dst else -600, dst)


def test_rules_with_a_year_hold_in_it_only(meter):
    assert meter.set(meter.object, BEGIN, rule(3, 29, 2, year=2026)) == 0
    # A rule for every year and one for a single year: not active.
    meter.set_local("2026-07-01 00:00:00")
    assert meter.read(meter.object, STATUS) == 0
    assert meter.set(meter.object, END, rule(10, 25, 3, year=2026)) == 0
    assert meter.read(meter.object, STATUS) == 0x80
    meter.set_local("2027-07-01 00:00:00")
    assert meter.read(meter.object, STATUS) == 0


def test_a_rule_with_a_deviation_of_its_own_means_that_moment(meter):
    # 01:00 UTC, as the directive of the European Union says it.
    assert meter.set(meter.object, BEGIN, rule(3, 0xFE, 1, deviation=0)) == 0
    assert meter.set(meter.object, END, rule(10, 0xFE, 1, deviation=0)) == 0
    meter.set_local("2026-03-29 01:59:00")
    meter.run(60)
    assert meter.local() == "2026-03-29 03:00:00"


def test_daylight_saving_switched_off(meter):
    assert meter.read(meter.object, STATUS) == 0x80
    assert meter.set(meter.object, ENABLED, boolean(False)) == 0
    assert meter.local() == "2026-06-15 11:34:56"
    assert meter.read(meter.object, STATUS) == 0
    assert meter.set(meter.object, ENABLED, boolean(True)) == 0
    assert meter.local() == "2026-06-15 12:34:56"


def test_enabled_without_rules_it_is_never_active(meter):
    nothing = octets(b"\xff" * 9 + b"\x80\x00\xff")
    assert meter.set(meter.object, BEGIN, nothing) == 0
    assert meter.read(meter.object, STATUS) == 0


def test_another_time_zone_moves_local_time_not_the_moment(meter):
    before = meter.clock.minute
    assert meter.set(meter.object, TIME_ZONE, i16(0)) == 0
    assert meter.local() == "2026-06-15 11:34:56"
    assert meter.clock.minute == before


# --- Time passes ----------------------------------------------------------------------------


def test_a_year_rolls(meter):
    meter.set_local("2027-12-31 23:59:58")
    assert meter.clock.advance(1999) == 1
    assert meter.local() == "2027-12-31 23:59:59"
    assert meter.clock.advance(1) == 1
    assert meter.local() == "2028-01-01 00:00:00"
    assert meter.clock.local[4] == 6


@given(st.lists(st.integers(0, 90000), max_size=30))
@settings(max_examples=50)
def test_milliseconds_add_up(steps):
    clock = METER.clock
    clock.set_utc(1000, 0)
    seconds = sum(clock.advance(ms) for ms in steps)
    total = sum(steps)
    assert seconds == total // 1000
    assert clock.minute * 60 + clock.second == 60000 + total // 1000
    assert clock.hundredths == clock.local[8] == total % 1000 // 10


# --- SET and GET of time --------------------------------------------------------------------


def test_time_is_set_in_any_deviation(meter):
    set_to = date_time(2026, 1, 2, 3, 4, 5, deviation=300)
    assert meter.set(meter.object, TIME, octets(set_to)) == 0
    # 03:04:05 five hours west of Greenwich is 08:04:05 UTC, 09:04:05 here.
    assert meter.local() == "2026-01-02 09:04:05"
    assert meter.get(meter.object, TIME) == bytes.fromhex("090C 07EA010205 09040500 FFC4 00")


def test_time_without_deviation_is_the_time_of_the_meter(meter):
    assert meter.set(meter.object, TIME, octets(date_time(2026, 7, 2, 3, 4, 5))) == 0
    assert meter.local() == "2026-07-02 03:04:05"
    assert meter.clock.deviation == -120


def test_setting_the_time_makes_it_valid(meter):
    meter.clock.set_flags(0x03)
    assert meter.read(meter.object, STATUS) == 0x83
    assert meter.set(meter.object, TIME, octets(date_time(2026, 1, 1, 0, 0, 0))) == 0
    assert meter.read(meter.object, STATUS) == 0


@pytest.mark.parametrize(
    "data",
    [
        date_time(0xFFFF, 1, 2, 3, 4, 5),
        date_time(2026, 0xFF, 2, 3, 4, 5),
        date_time(2026, 1, 0xFF, 3, 4, 5),
        date_time(2026, 1, 0xFE, 3, 4, 5),
        date_time(2026, 0xFE, 2, 3, 4, 5),
        date_time(2026, 1, 2, 0xFF, 4, 5),
        date_time(2026, 1, 2, 3, 0xFF, 5),
        date_time(2026, 1, 2, 3, 4, 0xFF),
        date_time(2026, 2, 29, 3, 4, 5),
        date_time(2026, 1, 2, 24, 4, 5),
        date_time(2026, 1, 2, 3, 60, 5),
        date_time(2026, 1, 2, 3, 4, 60),
        date_time(2026, 1, 2, 3, 4, 5, weekday=1),
        date_time(2026, 1, 2, 3, 4, 5, deviation=841),
        date_time(2026, 1, 2, 3, 4, 5, deviation=-0x7FFF),
        date_time(1999, 1, 2, 3, 4, 5),
        date_time(3000, 1, 2, 3, 4, 5),
    ],
)
def test_what_is_not_one_moment_is_refused(meter, data):
    assert meter.set(meter.object, TIME, octets(data)) == OTHER_REASON
    assert meter.local() == "2026-06-15 12:34:56"


def test_settings_out_of_range_are_refused(meter):
    assert meter.set(meter.object, TIME_ZONE, i16(841)) == OTHER_REASON
    assert meter.set(meter.object, TIME_ZONE, i16(-841)) == OTHER_REASON
    assert meter.set(meter.object, DEVIATION, i8(121)) == OTHER_REASON
    assert meter.set(meter.object, DEVIATION, i8(-121)) == OTHER_REASON
    assert meter.set(meter.object, DEVIATION, i8(-120)) == 0
    assert meter.set(meter.object, BEGIN, rule(13, 1, 2)) == OTHER_REASON
    assert meter.set(meter.object, END, rule(3, 0xFF, 2)) == OTHER_REASON
    assert meter.set(meter.object, TIME, b"\x09\x05\x07\xea\x01\x01\xff") == TYPE_UNMATCHED


# --- Methods --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "method, before, after",
    [
        (1, "12:07:29", "12:00:00"),
        (1, "12:07:30", "12:15:00"),
        (1, "23:58:00", "00:00:00"),
        (2, "12:07:30", "12:15:00"),
        (3, "12:07:29", "12:07:00"),
        (3, "12:07:30", "12:08:00"),
        (3, "12:08:00", "12:08:00"),
    ],
)
def test_adjust_to_the_nearest(meter, method, before, after):
    meter.set_local("2026-06-15 " + before)
    assert meter.act(meter.object, method) == 0
    assert meter.local()[11:] == after


def test_the_measuring_period_is_that_of_the_load_profile():
    m = Meter(CLOCK + PROFILE)
    m.set_local("2026-06-15 12:29:00")
    assert m.act(m.row(8, "0.0.1.0.0.255"), 2) == 0
    assert m.local() == "2026-06-15 12:00:00"


PROFILE = """
    {class = 7, obis = "1.0.99.1.0.255", capture_objects = [[8, "0.0.1.0.0.255", 2, 0]],
     capture_period = 3600, sort_method = 1, sort_object = [0, "0.0.0.0.0.0", 0, 0],
     profile_entries = 4},
"""


def preset(time, start, end):
    return struct_(octets(time), octets(start), octets(end))


def test_a_preset_time_within_its_interval(meter):
    day = (2026, 6, 15)
    assert meter.act(meter.object, 4) == OTHER_REASON  # nothing was preset
    start = date_time(*day, 12, 30)
    end = date_time(*day, 12, 40)
    assert meter.act(meter.object, 5, preset(date_time(*day, 13, 0, 7), start, end)) == 0
    assert meter.local() == "2026-06-15 12:34:56"
    assert meter.act(meter.object, 4) == 0
    assert meter.local() == "2026-06-15 13:00:07"
    # Now it is outside of the interval.
    assert meter.act(meter.object, 4) == OTHER_REASON
    assert meter.local() == "2026-06-15 13:00:07"


def test_a_preset_time_that_is_none(meter):
    day = (2026, 6, 15)
    good = date_time(*day, 12, 30)
    bad = date_time(2026, 6, 0xFF, 12, 30)
    assert meter.act(meter.object, 5, preset(good, bad, good)) == OTHER_REASON
    assert meter.act(meter.object, 5, struct_(octets(good))) == TYPE_UNMATCHED
    assert meter.act(meter.object, 4) == OTHER_REASON


@pytest.mark.parametrize(
    "seconds, after", [(900, "12:49:56"), (-900, "12:19:56"), (4, "12:35:00"), (-57, "12:33:59")]
)
def test_shift_time(meter, seconds, after):
    assert meter.act(meter.object, 6, i16(seconds)) == 0
    assert meter.local()[11:] == after


def test_shift_time_has_limits(meter):
    assert meter.act(meter.object, 6, i16(901)) == OTHER_REASON
    assert meter.act(meter.object, 6, i16(-901)) == OTHER_REASON
    assert meter.act(meter.object, 6, i8(1)) == TYPE_UNMATCHED
    assert meter.act(meter.object, 7) == 4
    assert meter.local()[11:] == "12:34:56"


# --- The program ----------------------------------------------------------------------------


def test_the_program_hears_of_a_shift_at_the_next_tick_once(meter):
    heard = []
    meter.clock.on_shift = lambda old, new: heard.append((new - old, meter.clock.old_second))
    shifts = meter.clock.shifts
    assert meter.act(meter.object, 6, i16(600)) == 0
    assert meter.act(meter.object, 6, i16(600)) == 0
    assert heard == []
    assert meter.clock.shifts == shifts + 2
    meter.run(2)
    assert heard == [(20, 56)]


def test_at_boot_nobody_is_told(meter):
    heard = []
    meter.clock.on_shift = lambda old, new: heard.append(new)
    meter.clock.set_utc(1000, 0)
    meter.run(1)
    assert heard == []


@pytest.mark.parametrize(
    "data, low, high",
    [
        (date_time(2026, 1, 2, 3, 4, 0xFF), "2026-01-02 03:04:00", "2026-01-02 03:04:59"),
        (date_time(2026, 1, 2, 0xFF, 0xFF, 0xFF), "2026-01-02 00:00:00", "2026-01-02 23:59:59"),
        (date_time(2026, 2, 0xFF, 0xFF, 0xFF, 0xFF), "2026-02-01 00:00:00", "2026-02-28 23:59:59"),
        (date_time(2026, 0xFF, 0xFF, 5, 0, 0), "2026-01-01 05:00:00", "2026-12-31 05:00:00"),
        (date_time(2026, 2, 0xFE, 5, 0, 0), "2026-02-28 05:00:00", "2026-02-28 05:00:00"),
        (date_time(2026, 10, 25, 2, 30, 0), "2026-10-25 02:30:00", "2026-10-25 02:30:00"),
    ],
)
def test_the_ends_of_a_range_with_wildcards(meter, data, low, high):
    for text, is_high in ((low, False), (high, True)):
        minute = meter.clock.bound_of(data, 0, is_high)
        meter.clock.set_utc(minute, meter.clock.last_second)
        assert meter.local() == text


def test_a_conversation():
    c = Served(CLOCK)
    about = (8, "0.0.1.0.0.255")
    noon = octets(date_time(2026, 6, 15, 12, 0, 0, -120, 0x80, weekday=1))
    shown = noon[2:10] + b"\0" + noon[11:]  # with hundredths
    assert c.set(*about, TIME, noon, client=17) == 3
    assert c.set(*about, TIME, noon) == 0
    assert c.get(*about, TIME, client=17) == shown
    assert (c.get(*about, TIME_ZONE), c.get(*about, STATUS)) == (-60, 0x80)
    assert c.act(*about, 6, i16(-300)) == 0
    assert c.get(*about, TIME)[5:8] == bytes((11, 55, 0))
    assert c.act(*about, 1) == 0  # to the nearest quarter
    assert c.act(*about, 6, i16(901)) == OTHER_REASON
    assert c.act(*about, 6, boolean(True)) == TYPE_UNMATCHED
    assert c.set(*about, TIME, octets(bytes(11))) == TYPE_UNMATCHED
    assert c.set(*about, STATUS, b"\x11\x00") == 3
    assert c.act(*about, 7) == 4
    assert c.get(*about, TIME) == shown
