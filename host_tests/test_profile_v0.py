# SPDX-License-Identifier: MIT
"""Profile generic version 0 (cosem/profile_generic.py): what version 1 is, but its buffer is
selected by methods."""

import pytest
import test_profile_generic as v1
from fakes import Meter, array, octets, u32, value
from served import Served
from test_profile_generic import BUFFER, CAPTURE, ENTRIES, FIFO, IN_USE, LIFO, NAME, RESET
from test_profile_generic import SORT_METHOD, by_entry, by_range, date_time, enum

GET_BUFFER_BY_RANGE, GET_BUFFER_BY_INDEX = 3, 4
OBJECT_UNDEFINED, TYPE_UNMATCHED, SCOPE_VIOLATED, OTHER_REASON = 4, 12, 13, 250

OBJECTS = v1.OBJECTS.replace("{class = 7,", "{class = 7, version = 0,")


@pytest.fixture(params=[FIFO, LIFO])
def m(request):
    """Rows with energies 0 to 9, a quarter of an hour apart from 12:00 on."""
    meter = Meter(OBJECTS % 20)
    meter.object = meter.row(7, NAME)
    meter.energy = meter.row(3, v1.ENERGY)
    assert meter.set(meter.object, SORT_METHOD, enum(request.param)) == 0
    for k in range(10):
        meter.set_local("2026-06-15 %02d:%02d:00" % (12 + k // 4, k % 4 * 15))
        assert meter.set(meter.energy, 2, u32(k)) == 0
        assert meter.act(meter.object, CAPTURE) == 0
    meter.order = list(range(10)) if request.param == FIFO else list(range(10))[::-1]
    return meter


def energies(m, method, data):
    result, made = m.call(m.object, method, data)
    return result or [row[-2] for row in value(made)]


def at(hour, minute):
    return octets(date_time(2026, 6, 15, hour, minute))


def test_the_buffer(m):
    assert [row[1] for row in m.read(m.object, BUFFER)] == m.order
    assert m.read(m.object, IN_USE) == 10
    assert m.act(m.object, RESET) == 0 and m.read(m.object, BUFFER) == []


def test_it_has_no_selective_access(m):
    assert m.get(m.object, BUFFER, 1, by_range(at(12, 0), at(13, 0))) == SCOPE_VIOLATED
    assert m.get(m.object, BUFFER, 2, by_entry(1, 2)) == SCOPE_VIOLATED


@pytest.mark.parametrize(
    "first,last,wanted",
    [(1, 0, slice(0, 10)), (3, 5, slice(2, 5)), (10, 20, slice(9, 10)), (11, 12, slice(0, 0))],
)
def test_by_index(m, first, last, wanted):
    assert energies(m, GET_BUFFER_BY_INDEX, by_entry(first, last)) == m.order[wanted]


def test_by_range(m):
    found = energies(m, GET_BUFFER_BY_RANGE, by_range(at(12, 30), at(13, 15)))
    assert found == [k for k in m.order if 2 <= k <= 5]


def test_by_range_of_another_column(m):
    """Each row is looked at, and the parameter read again for each."""
    data = by_range(u32(3), u32(4), of=v1.THE_ENERGY)
    assert energies(m, GET_BUFFER_BY_RANGE, data) == [k for k in m.order if 3 <= k <= 4]


def test_columns(m):
    result, made = m.call(m.object, GET_BUFFER_BY_INDEX, by_entry(1, 2, 2, 2))
    assert result == 0 and value(made) == [[k] for k in m.order[:2]]
    data = by_range(at(12, 0), at(12, 15), v1.THE_ENERGY)
    result, made = m.call(m.object, GET_BUFFER_BY_RANGE, data)
    assert result == 0 and sorted(value(made)) == [[0], [1]]


@pytest.mark.parametrize(
    "method,data,result",
    [
        (GET_BUFFER_BY_INDEX, by_entry(0, 1), SCOPE_VIOLATED),
        (GET_BUFFER_BY_INDEX, by_entry(2, 1), SCOPE_VIOLATED),
        (GET_BUFFER_BY_INDEX, by_entry(1, 2, 9, 9), SCOPE_VIOLATED),
        (GET_BUFFER_BY_INDEX, array(), TYPE_UNMATCHED),
        (GET_BUFFER_BY_RANGE, by_range(u32(1), u32(2)), TYPE_UNMATCHED),
        (GET_BUFFER_BY_RANGE, by_range(u32(1), u32(2), of=v1.capture_object(3, NAME, 2)),
         SCOPE_VIOLATED),
        (5, by_entry(1, 2), OBJECT_UNDEFINED),
    ],
)  # fmt: skip
def test_refused(m, method, data, result):
    assert m.call(m.object, method, data) == (result, b"")


def test_entries_and_periods_are_those_of_version_1(m):
    assert m.set(m.object, ENTRIES, u32(21)) == OTHER_REASON
    assert m.set(m.object, ENTRIES, u32(5)) == 0 and m.read(m.object, IN_USE) == 0


def test_a_conversation():
    c = Served(OBJECTS % 20)
    for _ in range(4):
        assert c.act(7, NAME, CAPTURE) == 0
    assert len(c.get(7, NAME, BUFFER)) == 4
    result, rows = c.act(7, NAME, GET_BUFFER_BY_INDEX, by_entry(2, 3))
    assert result == 0 and rows == c.get(7, NAME, BUFFER)[1:3]
    result, rows = c.act(7, NAME, GET_BUFFER_BY_RANGE, by_range(u32(0), u32(0), of=v1.THE_ENERGY))
    assert result == 0 and len(rows) == 4
    assert c.act(7, NAME, GET_BUFFER_BY_INDEX, by_entry(0, 3)) == SCOPE_VIOLATED
    assert c.act(7, NAME, GET_BUFFER_BY_INDEX, u32(1)) == TYPE_UNMATCHED
    assert c.act(7, NAME, RESET) == 0 and c.get(7, NAME, IN_USE) == 0
