# SPDX-License-Identifier: MIT
"""cosem/schedule.py: what is executed when, over the server of a meter whose clock is set, stops
without power, and has summer time.

Expected times are worked out by hand from the rules in the docstrings of schedule.py and
timetable.py.
"""

from datetime import datetime, timedelta

import pytest
import timed
from fakes import array, boolean, octets, obis, struct_, u8, u16
from hypothesis import given, settings
from hypothesis import strategies as st
from tables.notation import length
from timed import EXCEPTION, OTHER_REASON, TYPE_UNMATCHED, UNDEFINED, Timed, refuses

sleep = timed.sleep  # a fixture

SCHEDULE, SPECIAL = (10, "0.0.12.0.0"), (11, "0.0.11.0.0")
ENTRIES, ENABLE_DISABLE, INSERT, DELETE = 2, 1, 2, 3
EVERY_DAY, ALWAYS = "1111111", 0xFFFF


def bits(text):
    n = len(text)
    octets_ = bytes(int(text[k : k + 8].ljust(8, "0"), 2) for k in range(0, n, 8))
    return b"\x04" + length(n) + octets_


def date(year=0xFFFF, month=0xFF, day=0xFF, weekday=0xFF):
    return bytes((year >> 8, year & 0xFF, month, day, weekday))


ANY_DAY = date()


def entry(
    index, time, script=None, enable=True, window=ALWAYS, days=EVERY_DAY, special="",
    begin=ANY_DAY, end=ANY_DAY, table="0.0.10.0.0",
):  # fmt: skip
    """time: "12:00:00", ** for every hour or minute. Index n has script n, unless it is said."""
    hms = bytes(0xFF if t == "**" else int(t) for t in time.split(":"))
    return struct_(
        u16(index), boolean(enable), octets(obis(table + ".255")),
        u16(index if script is None else script), octets(hms + b"\0"), u16(window), bits(days),
        bits(special), octets(begin), octets(end),
    )  # fmt: skip


class Talk(Timed):
    def has(self, *entries):
        assert self.set(*SCHEDULE, ENTRIES, array(*entries)) == 0
        self.tick()
        return self


@pytest.fixture
def meter():
    return Talk()  # 2026-06-15 12:00:00, a Monday


def days(meter, n):
    """Days on which a mark was left, of the next n."""
    meter.run(n * 86400, step=1800)
    return [when[:5] for when, _ in meter.said()]


# --- When an entry is due -------------------------------------------------------------------


def test_an_entry_is_executed_at_its_second_every_day(meter):
    meter.has(entry(1, "12:02:30"))
    meter.run(200)
    assert meter.said() == [("06-15 12:02:30", 1)]
    meter.run(86400, step=10)
    assert meter.said() == [("06-16 12:02:30", 1)]


def test_every_hour_and_every_minute(meter):
    meter.has(entry(1, "**:30:00"))
    meter.run(2 * 3600)
    assert meter.said() == [("06-15 12:30:00", 1), ("06-15 13:30:00", 1)]
    meter.has(entry(2, "14:**:10"))
    meter.run(100)
    assert meter.said() == [("06-15 14:00:10", 2), ("06-15 14:01:10", 2)]
    meter.has(entry(3, "**:**:00"))
    meter.run(180)
    assert [m for _, m in meter.said()] == [3, 3, 3]


def test_what_is_not_enabled_waits(meter):
    meter.has(entry(1, "12:01:00", enable=False))
    meter.run(120)
    assert meter.said() == []


@pytest.mark.parametrize(
    "what, expected",
    [
        ({"days": "1000001"}, "06-15 06-21 06-22"),
        ({"days": "0000000"}, ""),
        ({"begin": date(2026, 6, 17), "end": date(2026, 6, 18)}, "06-17 06-18"),
        ({"begin": date(2026, 6, 20)}, "06-20 06-21 06-22 06-23 06-24"),
        ({"end": date(2026, 6, 16)}, "06-15 06-16"),
        ({"begin": date(month=6, day=17), "end": date(month=6, day=18)}, "06-17 06-18"),
        ({"begin": date(month=6, day=23), "end": date(month=6, day=16)},
         "06-15 06-16 06-23 06-24"),
        ({"begin": date(2026, 6, 23), "end": date(2026, 6, 16)}, ""),
        ({"begin": date(day=22), "end": date(day=23), "days": "0100000"}, "06-23"),
        ({"begin": date(month=6, day=0xFE, weekday=7)}, ""),
    ],
)  # fmt: skip
def test_the_days_of_an_entry(meter, what, expected):
    meter.has(entry(1, "18:00:00", **what))
    assert days(meter, 10) == expected.split()


def test_on_a_special_day_its_day_id_decides(meter):
    special = struct_(u16(1), octets(date(month=6, day=17)), u8(3))
    assert meter.set(*SPECIAL, 2, array(special)) == 0
    meter.has(entry(1, "18:00:00"), entry(2, "18:00:00", days="0000000", special="0001"))
    meter.run(4 * 86400, step=1800)
    assert [(t[:5], m) for t, m in meter.said()] == [
        ("06-15", 1), ("06-16", 1), ("06-17", 2), ("06-18", 1)]  # fmt: skip


def test_a_special_day_that_comes_in_the_last_minute(meter):
    meter.has(entry(1, "12:10:00"), entry(2, "12:10:00", days="0000000", special="01"))
    meter.run(599)
    today = struct_(u16(1), octets(date(month=6, day=15)), u8(1))
    assert meter.act(*SPECIAL, 1, today) == 0
    meter.run(1)
    assert meter.said() == [("06-15 12:10:00", 2)]


# --- Several at once --------------------------------------------------------------------------


def test_entries_that_are_due_together_go_by_their_index(meter):
    meter.has(entry(3, "12:01:00"), entry(1, "12:01:00"), entry(2, "12:01:00"))
    meter.run(60)
    assert [m for _, m in meter.said()] == [1, 2, 3]


def test_the_same_script_at_the_same_time_is_executed_once(meter):
    meter.has(entry(1, "12:01:00", 5), entry(2, "12:01:00", 4), entry(3, "12:01:00", 5))
    meter.run(60)
    assert [m for _, m in meter.said()] == [5, 4]


def test_a_script_that_fails_or_is_not_there_does_not_hold_up_the_next(meter):
    results = []
    meter.model.on_executed = lambda row, result: results.append(result)
    nowhere = entry(3, "12:01:00", table="0.0.10.0.9")
    meter.has(entry(1, "12:01:00", 9), entry(2, "12:01:00", 77), nowhere, entry(4, "12:01:00"))
    meter.run(60)
    assert results == [TYPE_UNMATCHED, OTHER_REASON, OTHER_REASON, 0]
    assert [m for _, m in meter.said()] == [4]


def test_a_script_may_take_the_schedule_away(meter):
    """Script 8 does: what was due with it is not executed any more."""
    meter.has(entry(1, "12:01:00", 8), entry(2, "12:01:00"))
    meter.run(60)
    assert [m for _, m in meter.said()] == [8]
    assert meter.get(*SCHEDULE, ENTRIES) == []


def test_a_schedule_that_is_switched_off_executes_nothing_and_makes_up_for_nothing(meter):
    meter.has(entry(1, "12:01:00"), entry(2, "12:03:00"))
    meter.switch(b"schedule", False)
    meter.run(120)
    meter.switch(b"schedule", True)
    meter.run(120)
    assert [m for _, m in meter.said()] == [2]


# --- What was missed: the table of timetable.py -----------------------------------------------

# Entries 1 at 13:00, 2 at 14:00 with a validity_window of 30 minutes, 3 at 14:30, 4 at 15:00.
MISSED = (
    entry(4, "15:00:00"), entry(3, "14:30:00", window=0), entry(2, "14:00:00", window=30),
    entry(1, "13:00:00"),
)  # fmt: skip


@pytest.mark.parametrize(
    "back, marks",
    [
        ("2026-06-15 12:59:50", []),
        ("2026-06-15 13:00:00", [1]),
        ("2026-06-15 14:00:00", [1, 2]),
        ("2026-06-15 14:30:59", [1, 2, 3]),
        ("2026-06-15 14:31:00", [1]),
        ("2026-06-15 16:00:00", [1, 4]),
        ("2026-06-16 14:20:00", [4, 1, 2]),
        ("2026-06-25 16:00:00", [1, 4]),
    ],
)
@pytest.mark.parametrize("how", ["power failure", "set forward"])
def test_what_was_missed_is_made_up_for_within_its_validity_window(meter, how, back, marks):
    meter.has(*MISSED)
    meter.run(30)
    if how == "set forward":
        meter.set_clock(back)
    else:
        meter = meter.off(back)
    assert [m for _, m in meter.said()] == marks
    meter.run(5)
    assert meter.said() == []


@pytest.mark.parametrize(
    "back, marks", [("06-15 11:50:00", [2]), ("06-14 12:30:00", [2]), ("06-14 11:50:00", [1, 2])]
)
def test_a_clock_that_starts_earlier_than_it_stopped(meter, back, marks):
    """Up to a day nothing comes twice."""
    meter.has(entry(1, "12:00:00"), entry(2, "12:02:00"))
    meter.run(60)
    again = meter.off("2026-" + back)
    again.run(86400 + 900, step=30)
    assert [m for _, m in again.said()][: len(marks)] == marks


def test_a_clock_that_does_not_know_the_time_executes_nothing(meter):
    meter.has(entry(1, "12:02:00"))
    again = meter.off("2001-01-01 00:00:00", flags=1)
    again.run(86400, step=60)
    assert again.said() == []
    again.set_clock("2026-06-15 13:00:00")
    assert again.said() == [("06-15 13:00:00", 1)]


def test_the_start_of_the_first_day_is_no_power_failure():
    meter = Talk("2026-06-15 12:00:00").has(entry(1, "11:00:00"))
    meter.run(60)
    assert meter.said() == []


def test_a_new_entry_is_not_late(meter):
    meter.has(entry(1, "11:00:00"), entry(2, "00:00:00"))
    meter.run(60)
    assert meter.said() == []


def test_a_power_failure_at_the_second_of_an_entry_does_not_execute_it_twice(meter):
    meter.has(entry(1, "12:01:00"))
    meter.run(60)
    assert meter.said() == [("06-15 12:01:00", 1)]
    for back in ("12:01:00", "12:01:01", "13:00:00"):
        again = meter.off("2026-06-15 " + back)
        again.run(10)
        assert again.said() == []


def test_set_back_what_is_repeated_is_executed_again(meter):
    meter.has(entry(1, "12:01:00"), entry(2, "11:30:00"))
    meter.run(120)
    meter.said()
    meter.set_clock("2026-06-15 11:29:00")
    meter.run(7200)
    assert meter.said() == [("06-15 11:30:00", 2), ("06-15 12:01:00", 1)]


def test_set_back_to_the_very_second(meter):
    meter.has(entry(1, "12:01:00"))
    meter.run(180)
    meter.said()
    meter.set_clock("2026-06-15 12:01:00")
    meter.run(60)
    assert meter.said() == [("06-15 12:01:00", 1)]


@pytest.mark.parametrize("seconds", [1, 30, 60])
def test_synchronized_back_nothing_comes_twice(meter, seconds):
    meter.has(entry(1, "12:01:00"), entry(2, "12:03:00"))
    meter.run(70)
    meter.set_clock("2026-06-15 12:%02d:%02d" % divmod(70 - seconds, 60))
    meter.run(300)
    assert [m for _, m in meter.said()] == [1, 2]


@pytest.mark.parametrize("seconds", [1, 30, 60])
def test_synchronized_forward_nothing_is_lost_however_narrow_the_window(meter, seconds):
    meter.has(entry(1, "12:01:00", window=0), entry(2, "12:03:00"))
    meter.run(55)
    meter.set_clock("2026-06-15 12:%02d:%02d" % divmod(55 + seconds, 60))
    meter.run(300)
    assert [m for _, m in meter.said()] == [1, 2]


def test_set_far_back_and_far_forward(meter):
    meter.has(entry(1, "12:01:00"), entry(2, "18:00:00", window=60))
    meter.set_clock("2001-01-01 00:00:00")
    meter.run(60)
    assert meter.said() == []
    meter.set_clock("2099-12-31 23:00:00")
    assert meter.said() == [("12-31 23:00:00", 1)]
    meter.set_clock("2026-06-15 12:00:59")
    meter.run(10)
    assert meter.said() == [("06-15 12:01:00", 1)]


def test_what_was_missed_more_than_a_year_ago_is_not_made_up_for(meter):
    meter.has(entry(1, "12:00:00", begin=date(2026, 6, 20), end=date(2026, 6, 20)))
    assert [m for _, m in meter.off("2027-06-21 11:00:00").said()] == [1]
    assert meter.off("2027-06-22 11:00:00").said() == []


# --- Summer time ------------------------------------------------------------------------------

NIGHT = (entry(1, "01:30:00"), entry(2, "02:30:00", window=0), entry(3, "03:30:00"))


def test_what_lies_in_the_hour_that_is_left_out_is_executed_at_its_end():
    meter = Talk("2026-03-29 01:00:00").has(*NIGHT)
    meter.run(3 * 3600, step=10)
    assert meter.said() == [
        ("03-29 01:30:00", 1), ("03-29 03:00:00", 2), ("03-29 03:30:00", 3)]  # fmt: skip


def test_in_the_hour_that_comes_twice_nothing_comes_twice():
    meter = Talk("2026-10-25 01:00:00").has(*NIGHT)
    meter.run(4 * 3600, step=10)
    assert meter.said() == [
        ("10-25 01:30:00", 1), ("10-25 02:30:00", 2), ("10-25 03:30:00", 3)]  # fmt: skip


def test_a_power_failure_over_the_hour_that_comes_twice():
    meter = Talk("2026-10-25 02:40:00", status=0x80).has(*NIGHT, entry(4, "02:50:00"))
    meter = meter.off("2026-10-25 02:10:00", status=0)
    meter.run(2 * 3600, step=10)
    assert meter.said() == [("10-25 02:10:00", 4), ("10-25 03:30:00", 3)]


def test_set_back_into_the_first_of_the_two_hours_they_are_repeated():
    meter = Talk("2026-10-25 02:40:00", status=0).has(*NIGHT)
    meter.set_clock("2026-10-25 02:20:00", status=0x80)
    meter.run(3600, step=10)
    assert meter.said() == [("10-25 02:30:00", 2)]


# --- Against a simple model --------------------------------------------------------------------

UTC_HOURS = {  # the start, local and UTC
    "2026-06-15 12:00:00": 2, "2026-03-28 20:00:00": 1, "2026-10-24 20:00:00": 2,
    "2026-12-31 18:00:00": 1, "2028-02-28 23:00:00": 1,
}  # fmt: skip
SWITCHES = ((datetime(2026, 3, 29, 1), 1), (datetime(2026, 10, 25, 1), -1))


def local_of(start, minutes):
    """The latest local time so many minutes after the start: it only goes forward."""
    begin = datetime.fromisoformat(start)
    utc = begin - timedelta(hours=UTC_HOURS[start])
    offset, latest = UTC_HOURS[start], begin
    for when, hours in SWITCHES:
        if utc < when <= utc + timedelta(minutes=minutes):
            if hours < 0:
                latest = when + timedelta(hours=offset, minutes=-1)
            offset += hours
    return max(latest, utc + timedelta(minutes=minutes, hours=offset))


def expected(entries, start, legs):
    """Indexes in the order in which the entries are executed; of what lies between two looks each
    entry counts once, at its last time."""
    marks, past, before = [], 0, datetime.fromisoformat(start)
    for minutes, is_on in legs:
        for _ in range(minutes if is_on else 1):
            past += 1 if is_on else minutes
            now, found = local_of(start, past), {}
            while before < now:
                before += timedelta(minutes=1)
                for index, (h, m, days) in entries.items():
                    if h in ("**", "%02d" % before.hour) and m in ("**", "%02d" % before.minute):
                        if days[before.weekday()] == "1":
                            found[index] = before
            marks += [k for _, k in sorted((t, k) for k, t in found.items())]
    return marks


ENTRY = st.tuples(
    st.sampled_from(["**", "00", "01", "02", "03", "12", "23"]),
    st.sampled_from(["**", "00", "01", "30", "59"]),
    st.sampled_from(["1111111", "1000001", "0000010", "0111110"]),
)


@settings(max_examples=40, deadline=None)
@given(
    start=st.sampled_from(sorted(UTC_HOURS)),
    entries=st.lists(ENTRY, min_size=1, max_size=5),
    legs=st.lists(st.tuples(st.integers(1, 400), st.booleans()), min_size=1, max_size=5),
)
def test_any_entries_at_any_time_with_power_and_without(start, entries, legs):
    named = {k + 1: e for k, e in enumerate(entries)}
    meter = Talk(start)
    meter.has(*(entry(k, "%s:%s:00" % e[:2], days=e[2]) for k, e in named.items()))
    meter.said()  # what is due this very second
    marks, utc = [], meter.clock.minute
    for minutes, is_on in legs:
        utc += minutes
        if is_on:
            meter.run(minutes * 60, step=60)
        else:
            kept = meter
            out = bytearray(12)
            meter.clock.local_of(utc, 0, out, 0)
            now = "%04d-%02d-%02d %02d:%02d:00" % (out[0] << 8 | out[1], *out[2:4], *out[5:7])
            meter = kept.off(now, status=out[11])
        assert meter.clock.minute == utc
        marks += [m for _, m in meter.said()]
    assert marks == expected(named, start, legs)


# --- Ranges of entries ------------------------------------------------------------------------


def enabled(meter):
    return {e[0] for e in meter.get(*SCHEDULE, ENTRIES) if e[1]}


def four(*off):
    return [entry(k, "12:0%d:00" % k, enable=k not in off) for k in (1, 2, 3, 4)]


@pytest.mark.parametrize(
    "a, b, left",
    [
        ((1, 2), (0, 0), {3, 4}),
        ((2, 2), (0, 0), {1, 3, 4}),
        ((3, 2), (0, 0), {1, 2, 3, 4}),
        ((1, 9999), (2, 3), {2, 3}),
        ((1, 10000), (4, 20000), {4}),
        ((10000, 20000), (0, 0), {1, 2, 3, 4}),
    ],
)
def test_enable_disable(meter, a, b, left):
    meter.has(*four())
    ranges = struct_(*map(u16, a + b))
    assert meter.act(*SCHEDULE, ENABLE_DISABLE, ranges) == 0
    assert enabled(meter) == left
    meter.run(300)
    assert {m for _, m in meter.said()} == left


@pytest.mark.parametrize(
    "first, last, left",
    [(1, 2, [3, 4]), (2, 2, [1, 3, 4]), (3, 2, [1, 2, 3, 4]), (1, 9999, []),
     (10000, 10001, [1, 2, 3, 4])],
)  # fmt: skip
def test_delete(meter, first, last, left):
    meter.has(*four())
    assert meter.act(*SCHEDULE, DELETE, struct_(u16(first), u16(last))) == 0
    assert [e[0] for e in meter.get(*SCHEDULE, ENTRIES)] == left
    meter.run(300)
    assert [m for _, m in meter.said()] == left


def test_insert_adds_or_replaces(meter):
    meter.has(*four())
    assert meter.act(*SCHEDULE, INSERT, entry(5, "12:05:00")) == 0
    assert meter.act(*SCHEDULE, INSERT, entry(2, "12:06:00", special="1" * 40)) == 0
    meter.run(600)
    assert [m for _, m in meter.said()] == [1, 3, 4, 5, 2]


# --- What is refused --------------------------------------------------------------------------

GOOD = entry(1, "12:01:00")


def without(k):
    """An entry without its element k."""
    parts = [u16(1), boolean(1), octets(obis("0.0.10.0.0.255")), u16(1), octets(bytes(4)), u16(0),
             bits(EVERY_DAY), bits(""), octets(date()), octets(date())]  # fmt: skip
    del parts[k]
    return struct_(*parts)


BAD = {
    "no array": (GOOD, TYPE_UNMATCHED),
    "index 0": (array(entry(0, "12:01:00")), OTHER_REASON),
    "index 10000": (array(entry(10000, "12:01:00")), OTHER_REASON),
    "an index twice": (array(GOOD, entry(2, "12:00:00"), GOOD), OTHER_REASON),
    "hour 24": (array(entry(1, "24:00:00")), OTHER_REASON),
    "minute 60": (array(entry(1, "12:60:00")), OTHER_REASON),
    "second 60": (array(entry(1, "12:00:60")), OTHER_REASON),
    "begin_date is none": (array(entry(1, "12:00:00", begin=date(month=13))), OTHER_REASON),
    "end_date is none": (array(entry(1, "12:00:00", end=date(2026, 2, 29))), OTHER_REASON),
    "six weekdays": (array(entry(1, "12:00:00", days="111111")), TYPE_UNMATCHED),
    "eight weekdays": (array(entry(1, "12:00:00", days="11111111")), TYPE_UNMATCHED),
    "a name of five octets": (array(GOOD.replace(b"\x09\x06\0", b"\x09\x05")), TYPE_UNMATCHED),
    "no room": (array(*(entry(k, "12:00:00") for k in range(1, 13))), OTHER_REASON),
    "128 entries": (b"\x01\x81\x80" + GOOD * 128, OTHER_REASON),
    "a long form of the count": (b"\x01\x81\x01" + GOOD, TYPE_UNMATCHED),
    "cut off": (array(GOOD)[:-1], EXCEPTION),
}
BAD.update(("without element %d" % k, (array(without(k)), TYPE_UNMATCHED)) for k in range(10))


@pytest.mark.parametrize("name", BAD)
def test_bad_entries_change_nothing(meter, name):
    data, result = BAD[name]
    meter.has(entry(7, "12:07:00", 5))
    if len(data) < 1400:
        refuses(meter, "set", *SCHEDULE, ENTRIES, data, result)
    else:  # longer than a PDU, and in blocks the same
        row = meter.row(*SCHEDULE)
        assert meter.model.write(row, ENTRIES, bytearray(data), 0, len(data)) == result
    meter.run(600)
    assert meter.said() == [("06-15 12:07:00", 5)]


BAD_ACTIONS = {
    "insert: hour 24": (INSERT, entry(1, "24:00:00"), OTHER_REASON),
    "insert: index 0": (INSERT, entry(0, "12:00:00"), OTHER_REASON),
    "insert: an array": (INSERT, array(GOOD), TYPE_UNMATCHED),
    "insert: nothing": (INSERT, b"", TYPE_UNMATCHED),
    "insert: too long": (INSERT, entry(1, "12:00:00", special="1" * 3600), OTHER_REASON),
    "delete: one number": (DELETE, u16(1), TYPE_UNMATCHED),
    "delete: other numbers": (DELETE, struct_(u8(1), u8(2)), TYPE_UNMATCHED),
    "enable_disable: two numbers": (ENABLE_DISABLE, struct_(u16(1), u16(2)), TYPE_UNMATCHED),
    "no such method": (4, u16(1), UNDEFINED),
}
BAD_ACTIONS.update(
    ("insert: without element %d" % k, (INSERT, without(k), TYPE_UNMATCHED)) for k in range(10)
)


@pytest.mark.parametrize("name", BAD_ACTIONS)
def test_bad_actions_change_nothing(meter, name):
    method, data, result = BAD_ACTIONS[name]
    meter.has(entry(7, "12:07:00", 5))
    refuses(meter, "act", *SCHEDULE, method, data, result)


def test_a_tick_with_nothing_due_looks_at_nothing(meter):
    meter.model.sleep = lambda: None  # whose looks are counted stays
    meter.has(entry(1, "12:05:00"))
    looks = []
    schedule = meter.model.handler("schedule")
    look, schedule.look = schedule.look, lambda *how: looks.append(meter.now()) or look(*how)
    meter.run(299)
    assert looks == []
    meter.run(1)
    assert looks == ["06-15 12:05:00"]
