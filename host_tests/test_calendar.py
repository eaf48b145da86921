# SPDX-License-Identifier: MIT
"""cosem/calendar.py: days and patterns against CPython's datetime; patterns by hand."""

import calendar as months
import datetime

import fakes  # noqa: F401  (paths)
import pytest
from cosem import calendar
from hypothesis import given
from hypothesis import strategies as st

EPOCH = datetime.date(2000, 1, 1)
ANY = 0xFF
LAST = 0xFE
SECOND_LAST = 0xFD
BEGIN = 0xFE
END = 0xFD
NEVER = calendar.never()

dates = st.dates(datetime.date(1999, 1, 1), datetime.date(2999, 12, 31))


def octets(year=0xFFFF, month=ANY, day=ANY, weekday=ANY):
    return bytes((year >> 8, year & 0xFF, month, day, weekday))


def of(date):
    return octets(date.year, date.month, date.day, date.isoweekday())


@given(dates)
def test_a_date_has_a_number_and_the_number_gives_the_date(date):
    n = calendar.day_number(date.year, date.month, date.day)
    assert n == (date - EPOCH).days
    out = bytearray(7)
    assert calendar.put_date(n, out, 1) == 6
    assert out[1:6] == of(date)
    assert calendar.year_of(n) == date.year


@given(dates)
def test_a_complete_date_is_read_back(date):
    expected = (date - EPOCH).days if date.year >= 2000 else NEVER
    assert calendar.day_of(of(date), 0) == expected
    assert calendar.day_of(octets(date.year, date.month, date.day), 0) == expected


@given(st.binary(min_size=5, max_size=5))
def test_a_complete_date_is_one_that_datetime_knows(data):
    year, month, day, weekday = data[0] << 8 | data[1], data[2], data[3], data[4]
    try:
        date = datetime.date(year, month, day)
        good = year >= 2000 and year < 3000 and weekday in (0xFF, date.isoweekday())
    except ValueError:
        good = False
    assert (calendar.day_of(data, 0) != NEVER) == good


@pytest.mark.parametrize(
    "date, kind",
    [
        (octets(2024, 2, 29), 0),
        (octets(2023, 2, 29), -1),
        (octets(2100, 2, 29), -1),
        (octets(0xFFFF, 2, 29), 1),
        (octets(0xFFFF, 2, 30), -1),
        (octets(2024, 4, 31), -1),
        (octets(2024, 0, 1), -1),
        (octets(2024, 13, 1), -1),
        (octets(2024, 1, 0), -1),
        (octets(2024, 1, 0xE0), -1),
        (octets(2024, 1, 1, 0), -1),
        (octets(2024, 1, 1, 8), -1),
        (octets(2024, 1, 1, 1), 0),
        (octets(2024, 1, 1, 2), -1),
        (octets(2024, 1, LAST), 1),
        (octets(2024, BEGIN, ANY), 1),
        (octets(), 1),
    ],
)
def test_dates_patterns_and_neither(date, kind):
    assert calendar.check_date(date, 0) == kind


@pytest.mark.parametrize(
    "time, kind",
    [
        (b"\x17\x3b\x3b\x63", 0),
        (b"\x17\x3b\x3b\xff", 0),
        (b"\x18\x00\x00\x00", -1),
        (b"\x00\x3c\x00\x00", -1),
        (b"\x00\x00\x3c\x00", -1),
        (b"\x00\x00\x00\x64", -1),
        (b"\xff\x00\x00\x00", 1),
        (b"\x00\xff\x00\x00", 1),
        (b"\x00\x00\xff\x00", 1),
    ],
)
def test_times_of_day(time, kind):
    assert calendar.check_time(time, 0) == kind


@given(
    dates,
    st.sampled_from([None, 0, 1]),
    st.sampled_from(["any", "same", "other"]),
    st.sampled_from(["any", "same", "other", "last", "second last"]),
    st.sampled_from(["any", "same", "other"]),
)
def test_a_pattern_matches_field_by_field(date, year, month, day, weekday):
    other_day = date.day % 28 + 1
    if other_day == date.day:
        other_day += 1
    pattern = octets(
        0xFFFF if year is None else date.year + year,
        {"any": ANY, "same": date.month, "other": date.month % 12 + 1}[month],
        {"any": ANY, "same": date.day, "other": other_day}.get(
            day, LAST if day == "last" else SECOND_LAST
        ),
        {"any": ANY, "same": date.isoweekday(), "other": date.isoweekday() % 7 + 1}[weekday],
    )
    length = months.monthrange(date.year, date.month)[1]
    expected = year in (None, 0) and month != "other" and weekday != "other" and day != "other"
    back = 0 if day == "last" else 1
    if day in ("last", "second last"):
        if weekday == "any":
            expected = expected and date.day == length - back
        else:
            expected = expected and length - 7 * (back + 1) < date.day <= length - 7 * back
    assert calendar.matches(pattern, 0, of(date), 0, NEVER, NEVER) == expected


def test_the_day_daylight_saving_begins_is_a_pattern_too():
    begin = calendar.day_number(2026, 3, 29)
    end = calendar.day_number(2026, 10, 25)

    def matches(pattern, month, day):
        date = of(datetime.date(2026, month, day))
        return calendar.matches(pattern, 0, date, 0, begin, end)

    the_day = octets(month=BEGIN)
    assert matches(the_day, 3, 29) and not matches(the_day, 3, 28)
    assert not matches(the_day, 10, 25)
    assert matches(octets(month=END), 10, 25)
    # With a day it is the month.
    first = octets(month=BEGIN, day=1)
    assert matches(first, 3, 1) and not matches(first, 3, 29) and not matches(first, 4, 1)
    assert matches(octets(month=END, day=31), 10, 31)
    assert not matches(octets(month=END, day=30), 9, 30)


@given(st.integers(2000, 2500), st.integers(1, 12), st.integers(1, 7))
def test_rules_for_weekdays_of_a_month(year, month, weekday):
    days = [
        d
        for d in range(1, months.monthrange(year, month)[1] + 1)
        if datetime.date(year, month, d).isoweekday() == weekday
    ]
    length = months.monthrange(year, month)[1]

    def day(d, wday):
        rule = octets(0xFFFF, month, d, wday) + b"\x02\x00\x00\x00\x80\x00\xff"
        assert calendar.check_rule(rule, 0) == 0
        return calendar.rule_day(rule, 0, year) - calendar.day_number(year, month, 1) + 1

    assert day(LAST, weekday) == days[-1]
    assert day(SECOND_LAST, weekday) == days[-2]
    assert day(1, weekday) == days[0]
    assert day(8, weekday) == days[1]
    assert day(LAST, ANY) == length
    assert day(SECOND_LAST, ANY) == length - 1
    assert day(15, ANY) == 15


@pytest.mark.parametrize(
    "rule",
    [
        octets(0xFFFF, ANY, LAST, 7) + b"\x02\x00\x00\x00\x80\x00\xff",
        octets(0xFFFF, BEGIN, LAST, 7) + b"\x02\x00\x00\x00\x80\x00\xff",
        octets(0xFFFF, 3, ANY, 7) + b"\x02\x00\x00\x00\x80\x00\xff",
        octets(0xFFFF, 3, LAST, 8) + b"\x02\x00\x00\x00\x80\x00\xff",
        octets(0xFFFF, 2, 30, ANY) + b"\x02\x00\x00\x00\x80\x00\xff",
        octets(0xFFFF, 3, LAST, 7) + b"\xff\x00\x00\x00\x80\x00\xff",
        octets(0xFFFF, 3, LAST, 7) + b"\x02\xff\x00\x00\x80\x00\xff",
        octets(0xFFFF, 3, LAST, 7) + b"\x02\x00\x00\x00\x7f\xff\xff",
        octets(1999, 3, LAST, 7) + b"\x02\x00\x00\x00\x80\x00\xff",
    ],
)
def test_a_rule_that_names_no_instant_is_refused(rule):
    assert calendar.check_rule(rule, 0) == -1


def test_a_rule_may_be_for_one_year_only():
    rule = octets(2026, 3, 29, 7) + b"\x02\x00\x00\x00\x80\x00\xff"
    assert calendar.check_rule(rule, 0) == 0
    assert calendar.rule_is_fixed(rule, 0)
    assert calendar.rule_day(rule, 0, 2020) == calendar.day_number(2026, 3, 29)
