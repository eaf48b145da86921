# SPDX-License-Identifier: MIT
"""cosem/profile_*.py as a client sees them; selections against a list of rows in Python."""

import pytest
from fakes import CLOCK, Meter, array, capture_object, date_time, enum, i8, i32, octets, struct_
from fakes import u16, u32, u64, value
from hypothesis import given, settings
from hypothesis import strategies as st

BUFFER, CAPTURE_OBJECTS, PERIOD, SORT_METHOD, SORT_OBJECT, IN_USE, ENTRIES = 2, 3, 4, 5, 6, 7, 8
RESET, CAPTURE = 1, 2
FIFO, LIFO, LARGEST, SMALLEST, NEAREST, FARTHEST = 1, 2, 3, 4, 5, 6
RANGE, ENTRY = 1, 2
OBJECT_UNDEFINED, TYPE_UNMATCHED, SCOPE_VIOLATED, OTHER_REASON = 4, 12, 13, 250

ENERGY = "1.0.1.8.0.255"
POWER = "1.0.16.7.0.255"
LIST = "0.0.96.1.0.255"
NAME = "1.0.99.1.0.255"

THE_CLOCK = capture_object(8, "0.0.1.0.0.255", 2)
THE_ENERGY = capture_object(3, ENERGY, 2)
THE_POWER = capture_object(3, POWER, 2)
NO_ARRAY = b"\x11\x01"

OBJECTS = (
    CLOCK
    + """
    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long-unsigned", value = 0, scaler = 0,
     unit = "Wh", ram = ["value"]},
    {class = 3, obis = "1.0.16.7.0.255", data_type = "double-long", value = 0, scaler = 0,
     unit = "W", ram = ["value"]},
    {class = 1, obis = "0.0.96.1.0.255", data_type = "array[long-unsigned]", value = [5, 6, 7],
     ram = ["value"]},
    {class = 7, obis = "1.0.99.1.0.255",
     capture_objects = [[8, "0.0.1.0.0.255", 2, 0], [3, "1.0.1.8.0.255", 2, 0],
      [3, "1.0.16.7.0.255", 2, 0]],
     capture_period = 900, sort_method = 1, sort_object = [0, "0.0.0.0.0.0", 0, 0],
     profile_entries = %d, capacity = {capture_objects = 6}},
"""
)


class Talk(Meter):
    def __init__(self, entries=20, **kwargs):
        super().__init__(OBJECTS % entries, **kwargs)
        self.object = self.row(7, NAME)
        self.energy = self.row(3, ENERGY)
        self.power = self.row(3, POWER)
        self.profile = self.model.handler("profile_generic")
        self.set_local("2026-06-15 12:00:00")

    @property
    def ring(self):
        return self.storage.rings[self.object]

    def take(self, energy=0, power=0):
        """Capture a row with these values."""
        self.model.put_int(self.energy, 2, energy)
        self.model.put_int(self.power, 2, power)
        assert self.act(self.object, CAPTURE) == 0

    def buffer(self, selector=0, data=b""):
        return self.read(self.object, BUFFER, selector, data)

    def energies(self, selector=0, data=b""):
        return [row[1] for row in self.buffer(selector, data)]

    def times(self, selector=0, data=b""):
        return ["%02d:%02d:%02d" % tuple(row[0][5:8]) for row in self.buffer(selector, data)]


@pytest.fixture
def meter():
    return Talk()


def by_range(low, high, *columns, of=THE_CLOCK):
    return struct_(of, low, high, array(*columns))


def by_entry(first, last, first_column=1, last_column=0):
    return struct_(u32(first), u32(last), u16(first_column), u16(last_column))


def at(hour, minute, second=0, **kwargs):
    return octets(date_time(2026, 6, 15, hour, minute, second, **kwargs))


# --- Capture --------------------------------------------------------------------------------


def test_an_empty_buffer(meter):
    assert meter.get(meter.object, BUFFER) == b"\x01\x00"
    assert meter.get(meter.object, IN_USE) == u32(0)


def test_a_row_is_a_structure_of_the_columns(meter):
    meter.take(1234, -5)
    row = struct_(octets(meter.clock.local), u32(1234), i32(-5))
    assert meter.get(meter.object, BUFFER) == b"\x01\x01" + row
    assert meter.get(meter.object, IN_USE) == u32(1)


def test_rows_are_captured_at_boundaries_of_local_time(meter):
    meter.set_local("2026-06-15 12:07:00")
    meter.run(2280)
    assert meter.times() == ["12:15:00", "12:30:00", "12:45:00"]


def test_a_period_of_a_day_begins_at_local_midnight_in_summer_and_winter(meter):
    assert meter.set(meter.object, PERIOD, u32(86400)) == 0
    meter.set_local("2026-10-24 12:00:00")
    meter.run(3 * 86400, step=60)
    assert [bytes(r[0][3:7]).hex() for r in meter.buffer()] == ["19070000", "1a010000", "1b020000"]


def test_hours_go_on_through_the_hour_that_comes_twice(meter):
    assert meter.set(meter.object, PERIOD, u32(3600)) == 0
    meter.set_local("2026-10-25 01:30:00")
    meter.run(3 * 3600, step=60)
    assert meter.times() == ["02:00:00", "02:00:00", "03:00:00"]


def test_after_a_power_cut_the_next_row_is_that_of_the_next_boundary(meter):
    meter.run(1800, step=60)
    again = meter.restart()
    again.set_local("2026-06-15 14:05:00")
    again.run(1200, step=60)
    assert ["%02d:%02d" % tuple(r[0][5:7]) for r in again.read(meter.object, BUFFER)] == [
        "12:15",
        "12:30",
        "14:15",
    ]


@pytest.mark.parametrize(
    "jump, rows", [("14:05:00", ["12:15:00", "14:15:00"]), ("12:05:00", ["12:15:00", "12:15:00"])]
)
def test_after_the_clock_was_set_too(meter, jump, rows):
    meter.run(1020)
    meter.clock.adjust(
        meter.clock.minute_of(date_time(2026, 6, 15, *map(int, jump.split(":"))), 0), 0
    )
    meter.run(660)
    assert meter.times() == rows


def test_without_a_period_only_the_method_captures(meter):
    assert meter.set(meter.object, PERIOD, u32(0)) == 0
    meter.run(3600, step=60)
    assert meter.buffer() == []
    meter.take(1)
    assert meter.energies() == [1]


def test_the_program_is_asked_before_and_told_after(meter):
    heard = []
    meter.profile.on_capture = lambda row: heard.append(("before", meter.ring.n))
    meter.profile.on_captured = lambda row: heard.append(("after", meter.ring.n))
    meter.profile.on_clear = lambda row: heard.append(("clear", row))
    meter.take(1)
    assert meter.act(meter.object, RESET) == 0
    assert heard == [("before", 0), ("after", 1), ("clear", meter.object)]
    assert meter.buffer() == []


def test_a_full_storage_is_a_hardware_fault(meter):
    meter.ring.append = lambda buf, pos: False
    assert meter.act(meter.object, CAPTURE) == 1


def test_an_element_of_an_array_is_captured_by_data_index(meter):
    objects = array(capture_object(1, LIST, 2, 2), capture_object(1, LIST, 2, 4), THE_ENERGY)
    assert meter.set(meter.object, CAPTURE_OBJECTS, objects) == 0
    meter.take(9)
    # The array has no element 4.
    assert meter.buffer() == [[6, None, 9]]


def test_logical_names_and_computed_attributes_are_columns(meter):
    objects = array(
        capture_object(3, ENERGY, 1),
        capture_object(8, "0.0.1.0.0.255", 4),
        capture_object(3, ENERGY, 3),
    )
    assert meter.set(meter.object, CAPTURE_OBJECTS, objects) == 0
    meter.take()
    assert meter.buffer() == [[bytes((1, 0, 1, 8, 0, 255)), 0x80, [0, 30]]]


# --- Settings -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "objects, dar",
    [
        ((capture_object(3, ENERGY, 0),), OTHER_REASON),
        ((capture_object(3, "1.0.2.8.0.255", 2),), OBJECT_UNDEFINED),
        ((capture_object(4, ENERGY, 2),), OBJECT_UNDEFINED),
        ((capture_object(3, ENERGY, 4),), OBJECT_UNDEFINED),
        ((capture_object(3, ENERGY, -1),), OBJECT_UNDEFINED),
        ((capture_object(7, NAME, 2),), OTHER_REASON),
        ((THE_CLOCK,) * 4, OTHER_REASON),
        ((THE_ENERGY,) * 7, OTHER_REASON),
        ((THE_ENERGY,) * 5, OTHER_REASON),
        ((THE_ENERGY,) * 4, 0),
        ((), 0),
    ],
)
def test_capture_objects_must_be_there_and_fit(meter, objects, dar):
    meter.take(1)
    assert meter.set(meter.object, CAPTURE_OBJECTS, array(*objects)) == dar
    assert meter.read(meter.object, IN_USE) == (1 if dar else 0)


def test_nothing_to_capture_is_refused(meter):
    assert meter.set(meter.object, CAPTURE_OBJECTS, array()) == 0
    assert meter.act(meter.object, CAPTURE) == OTHER_REASON
    assert meter.buffer() == []


@pytest.mark.parametrize(
    "attribute, same, other",
    [
        (
            CAPTURE_OBJECTS,
            array(THE_CLOCK, THE_ENERGY, THE_POWER),
            array(THE_CLOCK, THE_POWER, THE_ENERGY),
        ),
        (PERIOD, u32(900), u32(1800)),
        (SORT_METHOD, enum(1), enum(2)),
        (ENTRIES, u32(20), u32(19)),
    ],
)
def test_a_change_clears_the_buffer_the_same_value_does_not(meter, attribute, same, other):
    meter.take(1)
    assert meter.set(meter.object, attribute, same) == 0
    assert meter.energies() == [1]
    assert meter.set(meter.object, attribute, other) == 0
    assert meter.buffer() == []
    meter.take(2)
    assert len(meter.buffer()) == 1


def test_profile_entries_within_the_ring(meter):
    assert meter.set(meter.object, ENTRIES, u32(3)) == 0
    for n in range(5):
        meter.take(n)
    assert meter.energies() == [2, 3, 4]
    assert meter.read(meter.object, IN_USE) == 3
    assert meter.energies(ENTRY, by_entry(2, 0)) == [3, 4]
    for more in (21, 4000000000):
        assert meter.set(meter.object, ENTRIES, u32(more)) == OTHER_REASON
    assert meter.read(meter.object, ENTRIES) == 3
    assert meter.set(meter.object, ENTRIES, u32(20)) == 0


@pytest.mark.parametrize("method", [0, 7, 255])
def test_no_other_sort_methods(meter, method):
    assert meter.set(meter.object, SORT_METHOD, enum(method)) == TYPE_UNMATCHED


def test_a_large_profile_is_not_sorted_unless_it_was_defined_so():
    meter = Talk(entries=65)
    assert meter.set(meter.object, SORT_METHOD, enum(LARGEST)) == OTHER_REASON
    assert meter.set(meter.object, SORT_METHOD, enum(LIFO)) == 0


# --- Order ----------------------------------------------------------------------------------

KEYS = {
    LARGEST: lambda x: -x,
    SMALLEST: lambda x: x,
    NEAREST: abs,
    FARTHEST: lambda x: -abs(x),
}


def sort(meter, method, of=THE_POWER):
    assert meter.set(meter.object, SORT_METHOD, enum(method)) == 0
    assert meter.set(meter.object, SORT_OBJECT, of) == 0


def test_lifo_shows_the_newest_first(meter):
    sort(meter, LIFO)
    for n in range(25):
        meter.take(n)
    assert meter.energies() == list(range(24, 4, -1))
    assert meter.energies(ENTRY, by_entry(1, 2)) == [24, 23]


@given(st.sampled_from(sorted(KEYS)), st.lists(st.integers(-9, 9), max_size=40))
@settings(max_examples=60, deadline=None)
def test_a_sorted_profile_keeps_the_most_interesting_rows(method, powers):
    meter = Talk(entries=8)
    sort(meter, method)
    expected = []
    for n, power in enumerate(powers):
        meter.take(n, power)
        # sorted() is stable: of equals the older one comes first, and stays.
        expected = sorted([*expected, (n, power)], key=lambda r: KEYS[method](r[1]))[:8]
        assert [(r[1], r[2]) for r in meter.buffer()] == expected
    again = meter.restart()
    shown = [(r[1], r[2]) for r in again.read(meter.object, BUFFER)]
    assert sorted(shown) == sorted(expected)
    assert [KEYS[method](r[1]) for r in shown] == [KEYS[method](r[1]) for r in expected]


def test_sorted_by_the_clock(meter):
    sort(meter, LARGEST, THE_CLOCK)
    for text in ("12:00:00", "11:00:00", "12:30:00", "11:30:00"):
        meter.set_local("2026-06-15 " + text)
        meter.take()
    assert meter.times() == ["12:30:00", "12:00:00", "11:30:00", "11:00:00"]


def test_sorted_by_what_is_no_column_it_is_as_captured(meter):
    sort(meter, LARGEST, capture_object(3, ENERGY, 3))
    for n in (1, 3, 2):
        meter.take(n)
    assert meter.energies() == [1, 3, 2]


# --- Selective access -----------------------------------------------------------------------


@pytest.fixture
def day():
    """One row an hour, 00:00 to 19:00, its energy the hour, its power around zero."""
    meter = Talk()
    for hour in range(20):
        meter.set_local("2026-06-15 %02d:00:00" % hour)
        meter.take(hour, hour - 10)
    return meter


@pytest.mark.parametrize(
    "low, high, hours",
    [
        (at(3, 0), at(5, 0), [3, 4, 5]),
        (at(3, 0, 1), at(4, 59, 59), [4]),
        (at(2, 59, 59), at(3, 0, 0), [3]),
        (at(3, 30), at(3, 40), []),
        (at(5, 0), at(3, 0), []),
        (at(20, 0), at(23, 0), []),
        (
            octets(date_time(2020, 1, 1, 0, 0)),
            octets(date_time(2030, 1, 1, 0, 0)),
            list(range(20)),
        ),
        # Five o'clock UTC is seven here.
        (at(5, 0, deviation=0), at(6, 0, deviation=0), [7, 8]),
        # Open seconds, and the date-time type instead of an octet-string.
        (at(3, 0, 255), at(4, 0, 255), [3, 4]),
        (b"\x19" + at(3, 0)[2:], b"\x19" + at(4, 0)[2:], [3, 4]),
        (octets(b"\xff" * 9 + b"\x80\x00\xff"), at(1, 0), [0, 1]),
        (at(18, 0), octets(b"\xff" * 9 + b"\x80\x00\xff"), [18, 19]),
    ],
)
@pytest.mark.parametrize("order", [FIFO, LIFO])
def test_a_range_of_time(day, order, low, high, hours):
    if order == LIFO:
        # Not by SET: that would clear the buffer.
        day.profile.profiles[day.object].sort = LIFO
        hours = hours[::-1]
    assert day.energies(RANGE, by_range(low, high)) == hours


def test_a_range_of_time_is_found_by_halves(day):
    day.ring.n_reads = 0
    assert day.energies(RANGE, by_range(at(3, 0), at(5, 0))) == [3, 4, 5]
    assert day.ring.n_reads <= 2 * 5 + 3


def test_a_range_of_another_column(day):
    assert day.energies(RANGE, by_range(i32(-2), i32(1), of=THE_POWER)) == [8, 9, 10, 11]
    # Numbers of another width are the same numbers.
    assert day.energies(RANGE, by_range(i8(-2), u64(1), of=THE_POWER)) == [8, 9, 10, 11]
    assert day.energies(RANGE, by_range(i8(5), i8(4), of=THE_POWER)) == []


def test_selected_values_come_in_the_order_of_capture_objects(day):
    data = by_range(at(3, 0), at(4, 0), THE_POWER, THE_ENERGY)
    assert day.buffer(RANGE, data) == [[3, -7], [4, -6]]
    assert day.buffer(RANGE, by_range(i8(0), i8(0), THE_POWER, of=THE_POWER)) == [[0]]


@pytest.mark.parametrize(
    "data, dar",
    [
        (by_range(at(1, 0), at(2, 0), of=capture_object(8, "0.0.1.0.0.255", 4)), SCOPE_VIOLATED),
        (by_range(at(1, 0), at(2, 0), capture_object(3, ENERGY, 3)), SCOPE_VIOLATED),
        (by_range(u32(1), at(2, 0)), TYPE_UNMATCHED),
        (by_range(at(1, 0), u32(2)), TYPE_UNMATCHED),
        (by_range(at(1, 0), octets(b"\x07\xea\x0d\x01\xff" + b"\x00" * 7)), TYPE_UNMATCHED),
        (by_range(array(), array(), of=THE_POWER), TYPE_UNMATCHED),
        (by_range(at(1, 0), at(2, 0), NO_ARRAY), TYPE_UNMATCHED),
        (struct_(THE_CLOCK, at(1, 0), at(2, 0)), TYPE_UNMATCHED),
        (struct_(THE_CLOCK, at(1, 0), at(2, 0), NO_ARRAY), TYPE_UNMATCHED),
        (array(), TYPE_UNMATCHED),
        (by_range(at(1, 0), at(2, 0))[:-2], TYPE_UNMATCHED),
    ],
)
def test_ranges_that_say_nothing(day, data, dar):
    assert day.get(day.object, BUFFER, RANGE, data) == dar


@pytest.mark.parametrize(
    "first, last, hours",
    [
        (1, 0, list(range(20))),
        (1, 1, [0]),
        (3, 5, [2, 3, 4]),
        (19, 4000000000, [18, 19]),
        (20, 0, [19]),
        (21, 0, []),
        (4000000000, 0, []),
    ],
)
def test_a_range_of_entries(day, first, last, hours):
    assert day.energies(ENTRY, by_entry(first, last)) == hours


def test_a_range_of_columns(day):
    assert day.buffer(ENTRY, by_entry(4, 4, 2, 2)) == [[3]]
    assert day.buffer(ENTRY, by_entry(4, 4, 2, 0)) == [[3, -7]]
    assert day.buffer(ENTRY, by_entry(4, 4, 2, 9)) == [[3, -7]]
    assert day.buffer(ENTRY, by_entry(4, 4, 3, 3)) == [[-7]]


@pytest.mark.parametrize(
    "data, dar",
    [
        (by_entry(0, 5), SCOPE_VIOLATED),
        (by_entry(5, 4), SCOPE_VIOLATED),
        (by_entry(1, 1, 0, 1), SCOPE_VIOLATED),
        (by_entry(1, 1, 2, 1), SCOPE_VIOLATED),
        (by_entry(1, 1, 4, 0), SCOPE_VIOLATED),
        (struct_(u16(1), u32(1), u16(1), u16(0)), TYPE_UNMATCHED),
        (struct_(u32(1), u32(1), u32(1), u16(0)), TYPE_UNMATCHED),
        (struct_(u32(1), u32(1), u16(1)), TYPE_UNMATCHED),
        (by_entry(1, 1) + b"\x00", TYPE_UNMATCHED),
    ],
)
def test_entries_that_are_none(day, data, dar):
    assert day.get(day.object, BUFFER, ENTRY, data) == dar


def test_there_is_no_third_selector(day):
    assert day.get(day.object, BUFFER, 3, by_entry(1, 1)) == SCOPE_VIOLATED


steps = st.lists(st.tuples(st.integers(-120, 240), st.integers(-3, 3)), max_size=30)


@given(
    steps,
    st.integers(0, 3000),
    st.integers(0, 3000),
    st.integers(0, 7),
    st.sampled_from([FIFO, LIFO]),
    st.booleans(),
)
@settings(max_examples=150, deadline=None)
def test_any_range_after_any_history(history, low, high, columns, order, by_power):
    """The clock jumps about, the ring overflows: what a list comprehension says is right."""
    meter = Talk(entries=12)
    sort(meter, order)
    start = meter.clock.minute_of(date_time(2026, 10, 25, 0, 0, deviation=-120), 0)
    now = start + 20
    rows = []
    for n, (minutes, power) in enumerate(history):
        now += minutes
        meter.clock.set_utc(now, n % 60)
        meter.take(n, power)
        rows.append((now * 60 + n % 60, bytes(meter.clock.local), n, power))
    rows = rows[-12:]
    if order == LIFO:
        rows.reverse()
    wanted = [c for j, c in enumerate((THE_CLOCK, THE_ENERGY, THE_POWER)) if columns >> j & 1]
    if by_power:
        low, high = low % 7 - 3, high % 7 - 3
        data = by_range(i8(low), i8(high), *wanted, of=THE_POWER)
        rows = [r for r in rows if low <= r[3] <= high]
    else:
        ends = []
        for minute in (low, high):
            end = bytearray(12)
            meter.clock.local_of(start + minute, 30, end, 0)
            ends.append(octets(end))
        data = by_range(*ends, *wanted)
        low, high = ((start + minute) * 60 + 30 for minute in (low, high))
        rows = [r for r in rows if low <= r[0] <= high]
    shown = columns or 7
    expected = [[v for j, v in enumerate(r[1:]) if shown >> j & 1] for r in rows]
    assert meter.buffer(RANGE, data) == expected
    # The same after power-up: what is known about the order of rows is kept.
    assert meter.restart().read(meter.object, BUFFER, RANGE, data) == expected


# --- Long answers ---------------------------------------------------------------------------


def test_items_may_be_asked_for_in_any_order(day):
    data = by_range(i8(-5), i8(5), of=THE_POWER)
    expected = day.get(day.object, BUFFER, RANGE, data)
    s = day.stream
    s.row, s.attribute, s.selector = day.object, BUFFER, RANGE
    s.buf, s.sel_pos, s.sel_end = bytearray(data), 0, len(data)
    assert day.profile.open(s) == 0
    items = {}
    out = bytearray(1000)
    for s.k in (0, 5, 5, 4, 11, 3, 1, 2, 1, 6, 7, 8, 9, 10):
        end = day.profile.item(s, out, 7)
        items[s.k] = bytes(out[7:end])
    assert b"".join(items[k] for k in sorted(items)) == expected


@pytest.mark.parametrize("order", [FIFO, LIFO])
@pytest.mark.parametrize("selected", [False, True])
def test_rows_that_come_in_meanwhile_do_not_move_the_answer(order, selected):
    meter = Talk(entries=10)
    sort(meter, order)
    for n in range(12):
        meter.set_local("2026-06-15 %02d:00:00" % n)
        meter.take(n)
    data = by_range(i8(0), i8(0), of=THE_POWER)
    s = meter.stream
    s.row, s.attribute, s.selector = meter.object, BUFFER, RANGE if selected else 0
    s.buf, s.sel_pos, s.sel_end = bytearray(data), 0, len(data)
    assert meter.profile.open(s) == 0
    assert s.n == 11
    energies = []
    out = bytearray(1000)
    for s.k in range(1, 11):
        end = meter.profile.item(s, out, 0)
        energies.append(value(out[:end])[1])
        if s.k == 5:
            meter.take(99)
            meter.take(98)
    assert energies == (
        list(range(2, 12)) if order == FIFO else [11, 10, 9, 8, 7, 6, 5, 4, None, None]
    )


def test_a_damaged_row_is_null_data_and_the_others_are_there(day):
    day.ring.damaged = {4, 5}
    rows = day.buffer()
    assert rows[4] == rows[5] == [None, None, None]
    assert [r[1] for r in rows[:4] + rows[6:]] == [0, 1, 2, 3, *range(6, 20)]
    # It has no time, but the search gets past it.
    assert day.energies(RANGE, by_range(at(2, 0), at(7, 0))) == [2, 3, None, None, 6, 7]
    # By value it does not fit.
    assert day.energies(RANGE, by_range(i8(-8), i8(-3), of=THE_POWER)) == [2, 3, 6, 7]


def test_a_long_profile():
    meter = Talk(entries=70000)
    meter.take()
    row = meter.ring.rows[0]
    meter.ring.rows = [row] * 65536
    s = meter.stream
    s.row, s.attribute, s.selector = meter.object, BUFFER, 0
    assert meter.profile.open(s) == 0 and s.n == 65537
    s.k = 0
    out = bytearray(400)
    assert meter.profile.item(s, out, 0) == 5
    assert out[:5] == b"\x01\x83\x01\x00\x00"
