# SPDX-License-Identifier: MIT
"""cosem/windows.py: is a communication window open? By a table of windows and times."""

import pytest
from cosem import calendar, windows
from fakes import array, octets, struct_
from pushing import PushMeter
from tables import dates

# Windows (start, end), then local times: open, closed. 2026-07-01 is a Wednesday.
CASES = [
    ([], ["2026-07-01 00:00", "2030-01-01 12:34"], []),
    # Every night.
    (
        [("*-*-* 22:00:00", "*-*-* 06:00:00")],
        ["2026-07-01 22:00", "2026-07-01 23:59", "2026-07-02 00:00", "2026-07-02 05:59"],
        ["2026-07-01 06:00", "2026-07-01 12:00", "2026-07-01 21:59"],
    ),
    # Every day, and the first quarter of each hour.
    (
        [("*-*-* 08:00:00", "*-*-* 09:30:00"), ("*-*-* *:00:00", "*-*-* *:15:00")],
        ["2026-07-01 08:00", "2026-07-01 09:29", "2026-07-01 13:14"],
        ["2026-07-01 09:30", "2026-07-01 07:59", "2026-07-01 13:15"],
    ),
    # Once.
    (
        [("2026-07-01 10:00:00", "2026-07-03 11:00:00")],
        ["2026-07-01 10:00", "2026-07-02 23:00", "2026-07-03 10:59"],
        ["2026-07-01 09:59", "2026-07-03 11:00", "2027-07-02 12:00"],
    ),
    # The wrong way round: never.
    (
        [("2026-07-03 10:00:00", "2026-07-01 10:00:00")],
        [],
        ["2026-07-02 12:00", "2026-07-04 00:00"],
    ),
    # At the same time: never.
    ([("*-*-* 10:00:00", "*-*-* 10:00:00")], [], ["2026-07-02 10:00", "2026-07-02 09:59"]),
    # The middle of each month, and around its end.
    (
        [("*-*-15 00:00:00", "*-*-17 00:00:00")],
        ["2026-07-15 00:00", "2026-02-16 23:59"],
        ["2026-07-14 23:59", "2026-07-17 00:00"],
    ),
    (
        [("*-*-last 12:00:00", "*-*-02 00:00:00")],
        ["2026-06-30 12:00", "2026-07-01 23:59", "2026-02-28 13:00"],
        ["2026-06-30 11:59", "2026-07-02 00:00", "2026-02-27 13:00"],
    ),
    (
        [("*-*-31 00:00:00", "*-*-01 00:00:00")],
        ["2026-06-30 00:00"],
        ["2026-06-29 23:59", "2026-06-01 00:00"],
    ),
    # Weekends; Monday to Friday.
    (
        [("*-*-* sat 00:00:00", "*-*-* mon 00:00:00")],
        ["2026-07-04 00:00", "2026-07-05 23:59"],
        ["2026-07-03 23:59", "2026-07-06 00:00"],
    ),
    (
        [("*-*-* mon 08:00:00", "*-*-* fri 17:00:00")],
        ["2026-07-01 03:00", "2026-07-03 16:59"],
        ["2026-07-03 17:00", "2026-07-05 12:00", "2026-06-29 07:59"],
    ),
    # From one day on; until one; always.
    (
        [("2026-07-01 10:00:00", None)],
        ["2026-07-01 10:00", "2099-01-01 00:00"],
        ["2026-07-01 09:59"],
    ),
    (
        [(None, "2026-07-01 10:00:00")],
        ["2000-01-01 00:00", "2026-07-01 09:59"],
        ["2026-07-01 10:00"],
    ),
    ([(None, None)], ["2026-07-01 10:00"], []),
    # The day on which daylight saving begins: 2026-03-29.
    (
        [("*-begin-* 00:00:00", "*-begin-* 12:00:00")],
        ["2026-03-29 11:59"],
        ["2026-03-29 12:00", "2026-03-28 11:00", "2026-10-25 11:00"],
    ),
]


def octets_of(text):
    return dates.parse("*" if text is None else text, "date-time")


@pytest.fixture(scope="module")
def clock():
    return PushMeter().clock


def at(clock, text):
    """A clock that stands at a local time."""
    clock.local[:] = octets_of(text + ":00")


@pytest.mark.parametrize("case", CASES, ids=lambda c: str(c[0]))
def test_open_and_closed(clock, case):
    made = array(*(struct_(octets(octets_of(a)), octets(octets_of(b))) for a, b in case[0]))
    assert calendar.windows_are_good(made, 0)
    for times, is_open in ((case[1], True), (case[2], False)):
        for text in times:
            at(clock, text)
            assert windows.is_open(b"???" + made, 3, clock) is is_open, text


@pytest.mark.parametrize("spoiled", [(2, 13), (3, 32), (4, 8), (5, 24), (6, 60), (7, 61)])
def test_what_is_no_date_time(spoiled):
    at, value = spoiled
    good = octets_of("2026-07-01 10:00:00")
    bad = bytearray(good)
    bad[at] = value
    for a, b in ((good, bytes(bad)), (bytes(bad), good)):
        assert not calendar.windows_are_good(array(struct_(octets(a), octets(b))), 0)
