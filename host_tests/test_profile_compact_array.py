# SPDX-License-Identifier: MIT
"""cosem/profile_compact_array.py: a buffer as one compact-array is the rows that were captured.

The decoder is that of test_compact_data.py, written from the ASN.1 of IEC 62056-5-3. Two profiles
capture the same objects, one of them as an array.
"""

import json

import fakes
import pytest
from fakes import CLOCK, array, capture_object, date_time, enum, octets, struct_, u16, u32
from hypothesis import given, settings
from hypothesis import strategies as st
from tables.source import TableError
from test_compact_data import length, parse_length, parse_type, take

BUFFER, SORT_METHOD, CAPTURE = 2, 4 + 1, 2
FIFO, LIFO, LARGEST = 1, 2, 3
RANGE, ENTRY = 1, 2
LONG_GET_ABORTED = 15

ENERGY, SMALL, TEXT = "1.0.1.8.0.255", "1.0.2.8.0.255", "0.0.96.1.0.255"
CAPTURED = ["8/0.0.1.0.0/2", "3/1.0.1.8.0/2", "3/1.0.2.8.0/2", "1/0.0.96.1.0/2", "3/1.0.1.8.0/3"]
PLAIN, COMPACT, SNAPSHOT = "1.0.99.1.0.255", "1.0.99.2.0.255", "0.0.66.0.1.255"
PROFILE = """
    {class = 7, obis = "%s", capture_objects = %s, capture_period = 0, sort_method = 1,
     profile_entries = %d%s},
"""


def definition(entries):
    text = (
        CLOCK
        + """
    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long-unsigned", value = 0,
     scaler = 0, unit = "Wh", ram = ["value"]},
    {class = 3, obis = "1.0.2.8.0.255", data_type = "long", value = 0, scaler = 0, unit = "Wh",
     ram = ["value"]},
    {class = 1, obis = "0.0.96.1.0.255", data_type = "visible-string", value = "abc",
     capacity = {value = 150}},
    {class = 62, obis = "0.0.66.0.1.255", capture_method = 1,
     capacity = {compact_buffer = 700, template_description = 60},
     capture_objects = ["7/1.0.99.2.0/2"]},
"""
    )
    for name, more in ((PLAIN, ""), (COMPACT, ', compression = ["compact-array"]')):
        text += PROFILE % (name, json.dumps(CAPTURED), entries, more)
    return text


class Talk(fakes.Meter):
    def __init__(self, entries=20):
        super().__init__(definition(entries))
        self.plain, self.compact = self.row(7, PLAIN), self.row(7, COMPACT)
        self.energy, self.small = self.row(3, ENERGY), self.row(3, SMALL)
        self.text = self.row(1, TEXT)
        self.set_local("2026-06-15 12:00:00")

    def say(self, text):
        assert self.set(self.text, 2, b"\x0a" + length(len(text)) + text) == 0

    def capture(self, n=1, energy=0, small=0):
        for k in range(n):
            self.model.put_int(self.energy, 2, energy + k)
            self.model.put_int(self.small, 2, small - k)
            for row in (self.plain, self.compact):
                assert self.act(row, CAPTURE) == 0
            self.run(900, 900)

    def get(self, row, attribute, selector=0, data=b""):
        """As in fakes.py, but what ends an answer half-way is a result."""
        try:
            return super().get(row, attribute, selector, data)
        except AssertionError:
            return self.stream.result

    def asked(self, selector=0, data=b""):
        """(as an array, as a compact-array or a result)"""
        return tuple(self.get(row, BUFFER, selector, data) for row in (self.plain, self.compact))

    @property
    def ring(self):
        return self.storage.rings[self.compact]


def expand(data):
    """The array that a compact-array stands for."""
    assert data[0] == 0x13
    element, after = parse_type(data, 1)
    n, at = parse_length(data, after)
    assert at + n == len(data)
    rows = []
    while at < len(data):
        row, at = take(element, data, at)
        rows.append(row)
    return b"\x01" + length(len(rows)) + b"".join(rows)


@pytest.fixture
def meter():
    return Talk()


def by_entry(first, last, column=1, last_column=0):
    return struct_(u32(first), u32(last), u16(column), u16(last_column))


# --- As it should be ------------------------------------------------------------------------


def test_a_type_a_length_and_rows_without_tags(meter):
    meter.capture(2, energy=1000, small=-3)
    answer = meter.asked()[1]
    #                 structure of 5: octet-string, u32, i16, visible-string, {integer, enum}
    assert answer[:12].hex() == "13" + "0205" + "09" + "06" + "10" + "0a" + "02020f16" + "32"
    row = answer[12 : 12 + 25]
    assert row[:6] == b"\x0c\x07\xea\x06\x0f\x01"
    assert row[13:].hex() == "000003e8" + "fffd" + "03616263" + "001e"
    assert len(answer) == 12 + 2 * 25


def test_rows_of_every_selection(meter):
    meter.capture(9)
    for selector, data in (
        (0, b""),
        (ENTRY, by_entry(1, 0)),
        (ENTRY, by_entry(3, 7)),
        (ENTRY, by_entry(9, 9, 2, 3)),
        (ENTRY, by_entry(1, 0, 4, 4)),
    ):
        plain, compact = meter.asked(selector, data)
        assert expand(compact) == plain


def test_without_rows_it_is_an_empty_array(meter):
    assert meter.asked() == (b"\x01\x00", b"\x01\x00")
    meter.capture(3)
    assert meter.asked(ENTRY, by_entry(4, 9)) == (b"\x01\x00", b"\x01\x00")


def test_rows_of_a_search_and_of_an_order_are_an_array(meter):
    meter.capture(5)
    of = capture_object(3, ENERGY, 2)
    plain, compact = meter.asked(RANGE, struct_(of, u32(1), u32(3), array()))
    assert compact == plain and len(fakes.value(plain)) == 3
    for row in (meter.plain, meter.compact):
        assert meter.set(row, 6, capture_object(3, ENERGY, 2)) == 0
        assert meter.set(row, SORT_METHOD, enum(LARGEST)) == 0
    meter.capture(5)
    plain, compact = meter.asked()
    assert compact == plain and len(fakes.value(plain)) == 5


def test_the_meter_itself_reads_an_array(meter):
    """Compact data takes it apart: no compact-array can be in one."""
    meter.capture(3)
    row = meter.row(62, SNAPSHOT)
    contents = fakes.value(meter.get(row, 2))
    (column,), _ = parse_type(fakes.value(meter.get(row, 5)))[0][1], None
    assert take(column, contents, 0)[0] == meter.asked()[0]


# --- Rows that are not as the others --------------------------------------------------------


def test_another_length_ends_the_answer_and_then_it_is_an_array(meter):
    meter.capture(2)
    meter.say(b"abcd")
    meter.capture(1)
    meter.say(b"abc")
    meter.capture(2)
    assert meter.get(meter.compact, BUFFER) == LONG_GET_ABORTED
    plain, compact = meter.asked()
    assert compact == plain and len(fakes.value(plain)) == 5
    # Until the row has left the ring.
    meter.capture(17)
    plain, compact = meter.asked()
    assert compact == plain and len(fakes.value(plain)) == 20
    meter.capture(1)
    plain, compact = meter.asked()
    assert compact[0] == 0x13 and expand(compact) == plain


def test_an_answer_without_that_row_is_a_compact_array_as_long_as_nobody_has_seen_it(meter):
    meter.capture(2)
    meter.say(b"abcd")
    meter.capture(1)
    for data in (by_entry(1, 2), by_entry(3, 3), by_entry(1, 3, 1, 3)):
        plain, compact = meter.asked(ENTRY, data)
        assert compact[0] == 0x13 and expand(compact) == plain


@pytest.mark.parametrize("damaged", [{0}, {2}, {4}, {0, 1, 2, 3, 4}])
def test_a_damaged_row(meter, damaged):
    meter.capture(5)
    meter.ring.damaged = damaged
    first = meter.get(meter.compact, BUFFER)
    if 0 not in damaged:
        assert first == LONG_GET_ABORTED
        first = meter.get(meter.compact, BUFFER)
    assert [row == [None] * 5 for row in fakes.value(first)] == [k in damaged for k in range(5)]


def test_reset_begins_anew(meter):
    meter.capture(1)
    meter.say(b"abcd")
    meter.capture(1)
    assert meter.get(meter.compact, BUFFER) == LONG_GET_ABORTED
    for row in (meter.plain, meter.compact):
        assert meter.act(row, 1) == 0
    meter.capture(3)
    plain, compact = meter.asked()
    assert compact[0] == 0x13 and expand(compact) == plain


# --- Answers that take their time -----------------------------------------------------------


def begun(meter, s):
    s.association, s.selector = None, 0
    s.row, s.attribute = meter.compact, BUFFER
    h = meter.model.handler("profile_generic")
    assert h.open(s) == 0
    return h


def test_rows_that_come_in_meanwhile_are_not_in_it(meter):
    meter.capture(8)
    wanted = meter.asked()[0]
    h = begun(meter, meter.stream)
    out, data = bytearray(400), b""
    for k in range(meter.stream.n):
        meter.stream.k = k
        data += bytes(out[: h.item(meter.stream, out, 0)])
        meter.capture(1, energy=77)
    assert expand(data) == wanted


def test_rows_that_are_overwritten_meanwhile_end_it():
    meter = Talk(entries=5)
    meter.capture(5)
    h = begun(meter, meter.stream)
    out = bytearray(400)
    for k in (0, 1, 2):
        meter.stream.k = k
        assert h.item(meter.stream, out, 0) > 0
    meter.capture(4)
    meter.stream.k = 3
    assert h.item(meter.stream, out, 0) == -1
    # Nothing is wrong with any row: asked again, it is a compact-array.
    plain, compact = meter.asked()
    assert compact[0] == 0x13 and expand(compact) == plain


def test_an_answer_keeps_its_form():
    """Whatever other answers find out, and whatever leaves the ring."""
    meter = Talk(entries=8)
    meter.capture(3)
    early = fakes.Stream(meter.model)
    h = begun(meter, early)
    meter.say(b"abcd")
    meter.capture(1)
    assert meter.get(meter.compact, BUFFER) == LONG_GET_ABORTED
    late = fakes.Stream(meter.model)
    begun(meter, late)
    out = bytearray(400)
    data = {early: b"", late: b""}
    for s in (early, late):
        for k in range(s.n):
            s.k = k
            data[s] += bytes(out[: h.item(s, out, 0)])
    assert expand(data[early])[2:] == meter.asked()[0][2 : len(expand(data[early]))]
    assert data[late] == meter.asked()[0]


def test_two_clients_at_once(meter):
    meter.capture(12)
    streams = [fakes.Stream(meter.model) for _ in range(2)]
    h = None
    for s in streams:
        h = begun(meter, s)
    # The second has selected other columns.
    streams[1].c = 0b00110
    streams[1].d = 0
    out, data = bytearray(400), [b"", b""]
    for k in range(13):
        for i, s in enumerate(streams):
            s.k = k
            data[i] += bytes(out[: h.item(s, out, 0)])
    assert expand(data[0]) == meter.asked()[0]
    assert expand(data[1]) == meter.asked(ENTRY, by_entry(1, 0, 2, 3))[0]


@given(
    st.integers(0, 30),
    st.sampled_from([FIFO, LIFO]),
    st.tuples(st.integers(1, 12), st.integers(0, 12), st.integers(1, 5), st.integers(0, 5)),
    st.booleans(),
    st.integers(0, 140),
)
@settings(max_examples=100, deadline=None)
def test_any_rows_any_selection(n, order, entries, by_time, size):
    meter = Talk(entries=12)
    for row in (meter.plain, meter.compact):
        assert meter.set(row, SORT_METHOD, enum(order)) == 0
    meter.say(b"x" * size)
    meter.capture(n, energy=size << 20, small=-size)
    first, last, column, last_column = entries
    if by_time:
        of = capture_object(8, "0.0.1.0.0.255", 2)
        ends = [octets(date_time(2026, 6, 15, 12 + h // 3, 0)) for h in (first, first + last)]
        selector, data = RANGE, struct_(of, *ends, array())
    else:
        last = last if last >= first else 0
        last_column = last_column if last_column >= column else 0
        selector, data = ENTRY, by_entry(first, last, column, last_column)
    plain, compact = meter.asked(selector, data)
    if len(fakes.value(plain)):
        plain, compact = plain, expand(compact)
    assert compact == plain


def test_three_thousand_rows_are_read_once_each_and_the_first_once_more():
    meter = Talk(entries=3000)
    meter.capture(3000)
    meter.ring.n_reads = 0
    out = bytearray(200000)
    s = meter.stream
    h = begun(meter, s)
    at = 0
    for k in range(s.n):
        s.k = k
        at = h.item(s, out, at)
    assert meter.ring.n_reads == 3001
    assert expand(bytes(out[:at])) == meter.asked()[0]


# --- Definitions ----------------------------------------------------------------------------


def test_it_stands_alone():
    line = PROFILE % ("1.0.99.4.0", '["8/0.0.1.0.0/2"]', 5, "")
    line = line.replace("sort_method", 'compression = ["delta", "compact-array"], sort_method')
    with pytest.raises(TableError, match="expected compact-array alone"):
        fakes.define(CLOCK + line)
