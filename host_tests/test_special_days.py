# SPDX-License-Identifier: MIT
"""cosem/special_days.py: which days are special, and the table of them over the server."""

import pytest
import timed
from cosem import special_days
from fakes import array, i8, octets, struct_, u8, u16
from timed import EXCEPTION, OTHER_REASON, TYPE_UNMATCHED, UNDEFINED, Timed, refuses, when

sleep = timed.sleep  # a fixture

TABLE = (11, "0.0.11.0.0")
ENTRIES, INSERT, DELETE = 2, 1, 2


def date(year=0xFFFF, month=0xFF, day=0xFF, weekday=0xFF):
    return bytes((year >> 8, year & 0xFF, month, day, weekday))


def entry(index, day_id, *pattern, **fields):
    return struct_(u16(index), octets(date(*pattern, **fields)), u8(day_id))


CHRISTMAS = entry(1, 9, month=12, day=25)
NEW_YEAR = entry(2, 8, month=1, day=1)


@pytest.fixture
def meter():
    return Timed()


def of(meter, day):
    """day_id of this day; -1: it is not special."""
    meter.clock.set_utc(meter.clock.minute_of(when(day + " 00:00:00"), 0), 0)
    table = meter.row(*TABLE)
    return special_days.day_id(meter.model, table, meter.clock.local, meter.clock)


def test_an_empty_table_knows_no_special_day(meter):
    assert of(meter, "2026-12-25") == -1


def test_days_are_patterns(meter):
    last_sunday = entry(3, 7, month=0xFE, day=0xFE, weekday=7)
    once = entry(4, 6, 2026, 6, 15, 1)
    assert meter.set(*TABLE, ENTRIES, array(CHRISTMAS, NEW_YEAR, last_sunday, once)) == 0
    days = "2026-12-25 2027-12-25 2026-01-01 2026-03-29 2026-03-22 2026-06-15 2027-06-15".split()
    assert [of(meter, d) for d in days] == [9, 9, 8, 7, -1, 6, -1]


def test_of_two_entries_the_lowest_index_counts(meter):
    holidays = entry(3, 5, month=12)
    assert meter.set(*TABLE, ENTRIES, array(holidays, CHRISTMAS)) == 0
    assert [of(meter, d) for d in ("2026-12-24", "2026-12-25")] == [5, 9]


def test_insert_and_delete(meter):
    assert meter.act(*TABLE, INSERT, CHRISTMAS) == 0
    assert meter.act(*TABLE, INSERT, NEW_YEAR) == 0
    assert meter.get(*TABLE, ENTRIES) == [
        [1, date(month=12, day=25), 9], [2, date(month=1, day=1), 8]]  # fmt: skip
    assert meter.act(*TABLE, DELETE, u16(1)) == 0
    assert meter.get(*TABLE, ENTRIES) == [[2, date(month=1, day=1), 8]]


def test_insert_replaces_what_has_the_index_or_the_date(meter):
    three = [CHRISTMAS, NEW_YEAR, entry(3, 7, month=5, day=1)]
    assert meter.set(*TABLE, ENTRIES, array(*three)) == 0
    assert meter.act(*TABLE, INSERT, entry(1, 4, month=1, day=1)) == 0
    assert meter.octets(*TABLE, ENTRIES) == array(three[2], entry(1, 4, month=1, day=1))


def test_insert_replaces_where_the_table_is_full(meter):
    four = [entry(k, k, month=k, day=1) for k in (1, 2, 3, 4)]
    assert meter.set(*TABLE, ENTRIES, array(*four)) == 0
    refuses(meter, "act", *TABLE, INSERT, entry(5, 5, month=5, day=1), OTHER_REASON)
    assert meter.act(*TABLE, INSERT, entry(4, 5, month=5, day=1)) == 0
    assert of(meter, "2026-05-01") == 5


BAD = {
    "no array": (CHRISTMAS, TYPE_UNMATCHED),
    "an element missing": (array(struct_(u16(1), octets(date()))), TYPE_UNMATCHED),
    "an element too many": (array(CHRISTMAS[:1] + b"\4" + CHRISTMAS[2:] + u8(1)), TYPE_UNMATCHED),
    "an index of another type": (array(struct_(u8(1), octets(date()), u8(1))), TYPE_UNMATCHED),
    "a signed day_id": (array(struct_(u16(1), octets(date()), i8(1))), TYPE_UNMATCHED),
    "a date of four octets": (array(struct_(u16(1), octets(date()[:4]), u8(1))), TYPE_UNMATCHED),
    "no such month": (array(entry(1, 1, month=13)), OTHER_REASON),
    "no such day": (array(entry(1, 1, month=2, day=30)), OTHER_REASON),
    "no such weekday": (array(entry(1, 1, weekday=8)), OTHER_REASON),
    "the weekday of another day": (array(entry(1, 1, 2026, 6, 15, 2)), OTHER_REASON),
    "an index twice": (array(CHRISTMAS, entry(1, 1, month=1)), OTHER_REASON),
    "more than there is room": (array(*(entry(k, 1) for k in range(5))), OTHER_REASON),
    "an octet left over": (array(CHRISTMAS) + b"\0", EXCEPTION),
    "cut off": (array(CHRISTMAS)[:-1], EXCEPTION),
}


@pytest.mark.parametrize("name", BAD)
def test_bad_tables_change_nothing(meter, name):
    data, result = BAD[name]
    assert meter.set(*TABLE, ENTRIES, array(NEW_YEAR)) == 0
    refuses(meter, "set", *TABLE, ENTRIES, data, result)


BAD_ACTIONS = {
    "insert: no such date": (INSERT, entry(3, 1, month=13), OTHER_REASON),
    "insert: an element missing": (INSERT, struct_(u16(1), octets(date())), TYPE_UNMATCHED),
    "insert: an array": (INSERT, array(CHRISTMAS), TYPE_UNMATCHED),
    "insert: nothing": (INSERT, b"", TYPE_UNMATCHED),
    "delete: no such index": (DELETE, u16(7), OTHER_REASON),
    "delete: of another type": (DELETE, u8(2), TYPE_UNMATCHED),
    "no such method": (3, u16(2), UNDEFINED),
}


@pytest.mark.parametrize("name", BAD_ACTIONS)
def test_bad_actions_change_nothing(meter, name):
    method, data, result = BAD_ACTIONS[name]
    assert meter.set(*TABLE, ENTRIES, array(NEW_YEAR)) == 0
    refuses(meter, "act", *TABLE, method, data, result)
