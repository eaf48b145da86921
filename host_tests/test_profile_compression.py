# SPDX-License-Identifier: MIT
"""cosem/profile_compression.py: what a client makes of a compressed buffer is what was captured.

The reader below follows IEC 62056-6-2, 4.3.6 and the tags of IEC 62056-5-3 and takes nothing from
lib: null-data is the value of the row before (of the clock, its time and a capture_period), a
delta type is added to it. Two profiles capture the same objects, one of them without compression.
"""

import datetime
import json
import types
from pathlib import Path

import fakes
import pytest
from fakes import CLOCK, array, capture_object, date_time, enum, octets, struct_, u16, u32, u64
from hypothesis import given, settings
from hypothesis import strategies as st
from tables import show
from tables.source import TableError

BUFFER, PERIOD, SORT_METHOD, CAPTURE = 2, 4, 5, 2
FIFO, LIFO, LARGEST = 1, 2, 3
RANGE, ENTRY = 1, 2
DELTA_VALUE_ENCODING = 0x800000 >> 6
NOTHING = octets(b"")

COLUMNS = {
    "1.0.1.8.0.255": ("double-long-unsigned", "06", 4),
    "1.0.2.8.0.255": ("long64", "14", 8),
    "1.0.3.8.0.255": ("long", "10", 2),
    "1.0.4.8.0.255": ("unsigned", "11", 1),
    "1.0.5.8.0.255": ("long64-unsigned", "15", 8),
    "1.0.6.8.0.255": ("double-long", "05", 4),
    "1.0.7.8.0.255": ("long-unsigned", "12", 2),
}
CAPTURED = ["8/0.0.1.0.0/2", *("3/%s/2" % name for name in COLUMNS), "1/0.0.96.1.0/2"]
PROFILE = """
    {class = 7, obis = "%s", capture_objects = %s, capture_period = 900, sort_method = 1,
     profile_entries = %d%s},
"""
PLAIN, NULLS, DELTAS = "1.0.99.1.0.255", "1.0.99.2.0.255", "1.0.99.3.0.255"


def definition(entries):
    text = CLOCK
    for name, (kind, _tag, _size) in COLUMNS.items():
        text += '    {class = 3, obis = "%s", data_type = "%s", value = 0, ' % (name, kind)
        text += 'scaler = 0, unit = "Wh", ram = ["value"]},\n'
    text += '    {class = 1, obis = "0.0.96.1.0.255", data_type = "octet-string", value = "x", '
    text += "capacity = {value = 20}},\n"
    how = {PLAIN: "", NULLS: ', compression = ["null-data"]',
           DELTAS: ', compression = ["null-data", "delta"]'}  # fmt: skip
    for name in how:
        text += PROFILE % (name, json.dumps(CAPTURED), entries, how[name])
    return text


class Talk(fakes.Meter):
    def __init__(self, entries=20):
        super().__init__(definition(entries))
        self.profiles = {name: self.row(7, name) for name in (PLAIN, NULLS, DELTAS)}
        self.text = self.row(1, "0.0.96.1.0.255")
        self.client = types.SimpleNamespace(conformance=DELTA_VALUE_ENCODING)
        self.set_local("2026-06-15 12:00:00")

    def put(self, column, octets_):
        """A register gets a value, as octets behind its tag."""
        name = list(COLUMNS)[column]
        at = self.model.slot(self.row(3, name), 2)
        self.model.image[at + 1 : at + 1 + len(octets_)] = octets_

    def capture(self):
        for row in self.profiles.values():
            assert self.act(row, CAPTURE) == 0

    def get(self, row, attribute, selector=0, data=b"", association=None):
        """As in fakes.py, for a client."""
        s = self.stream
        s.association = association
        s.index = s.count = s.last_part = s.torn = 0
        s.result = -1
        s.selector, s.buf, s.sel_pos, s.sel_end = selector, bytearray(data), 0, len(data)
        s.row = s.found = row
        s.attribute = attribute
        dar = s._open_value()
        if dar:
            return dar
        out = bytearray(300000)
        # In portions, as blocks come: an item that is torn is made twice.
        end = 0
        while s.result < 0:
            end = s.fill(out, end, min(end + self.portion, len(out)))
        assert s.result == 0
        return bytes(out[:end])

    portion = 100000

    def answers(self, selector=0, data=b""):
        """What the three profiles answer: plain, with nulls, with deltas."""
        rows = self.profiles
        return (
            self.get(rows[PLAIN], BUFFER, selector, data),
            self.get(rows[NULLS], BUFFER, selector, data, self.client),
            self.get(rows[DELTAS], BUFFER, selector, data, self.client),
        )


# --- A reader of one's own ------------------------------------------------------------------

WIDTH = {
    0: 0,
    5: 4,
    6: 4,
    16: 2,
    17: 1,
    18: 2,
    20: 8,
    21: 8,
    28: 1,
    29: 2,
    30: 4,
    31: 1,
    32: 2,
    33: 4,
}
SIGNED = {5, 16, 20, 28, 29, 30}


def rows_of(data):
    """Rows of (tag, content) of an array of structures."""
    n, at = fakes._length(data, 1)
    rows = []
    for _ in range(n):
        assert data[at] == 2
        count, at, row = data[at + 1], at + 2, []
        for _ in range(count):
            tag = data[at]
            size = 1 + data[at + 1] if tag == 9 else WIDTH[tag]
            row.append((tag, data[at + 1 : at + 1 + size]))
            at += 1 + size
        rows.append(row)
    assert at == len(data)
    return rows


def number(tag, content):
    return int.from_bytes(content, "big", signed=tag in SIGNED)


def later(content, period):
    """The time of a date-time (with its length in front), some seconds on."""
    y, month, d, _dow, h, m, s = (content[1] << 8 | content[2], *content[3:9])
    t = datetime.datetime(y, month, d, h, m, s) + datetime.timedelta(seconds=period)
    start = bytes((t.year >> 8, t.year & 255, t.month, t.day, t.isoweekday(), t.hour, t.minute))
    return b"\x0c" + start + bytes((t.second,)) + content[9:]


def expand(data, clock, period):
    """The rows that a compressed buffer stands for; clock: the column, or -1."""
    whole = []
    for row in rows_of(data):
        made = []
        for j, (tag, content) in enumerate(row):
            if tag == 0:
                tag, content = whole[-1][j]
                assert (tag, content) != (9, b"\x00"), "as before: but nothing was there"
                if j == clock and period:
                    content = later(content, period)
            elif tag >= 28:
                old_tag, old = whole[-1][j]
                value = number(old_tag, old) + number(tag, content)
                tag = old_tag
                content = value.to_bytes(len(old), "big", signed=tag in SIGNED)
            made.append((tag, content))
        whole.append(made)
    return whole


def known(data):
    """Rows without compression; what has no value is an empty octet-string in the others."""
    return [[(9, b"\x00") if v == (0, b"") else v for v in row] for row in rows_of(data)]


@pytest.fixture
def meter():
    return Talk()


def captured(meter, n, step=1, start=10):
    for k in range(n):
        meter.set_local("2026-06-15 %02d:%02d:00" % divmod(start * 60 + 15 * k * step, 60))
        meter.put(0, u32(1000 + 3 * k)[1:])
        meter.capture()


# --- By hand --------------------------------------------------------------------------------


def test_a_register_that_stands_still_and_a_clock_that_goes_on_are_null_data(meter):
    captured(meter, 3)
    _, nulls, deltas = (rows_of(a) for a in meter.answers())
    zeros = [(t, bytes(n)) for t, n in ((20, 8), (16, 2), (17, 1), (21, 8), (5, 4), (18, 2))]
    zeros.append((9, b"\x01x"))
    whole = (9, b"\x0c" + date_time(2026, 6, 15, 10, 0, 0, -120, 0x80, 1))
    assert [v if j else v[1][:8] for j, v in enumerate(nulls[0])] == [
        whole[1][:8], (6, u32(1000)[1:]), *zeros]  # fmt: skip
    assert nulls[1] == [(0, b""), (6, u32(1003)[1:])] + [(0, b"")] * 7
    assert deltas[1] == [(0, b""), (31, b"\x03")] + [(0, b"")] * 7
    assert deltas[2] == deltas[1]


def test_a_delta_is_for_who_has_negotiated_it(meter):
    captured(meter, 3)
    row = meter.profiles[DELTAS]
    _, nulls, deltas = meter.answers()
    assert deltas != nulls
    assert meter.get(row, BUFFER, association=types.SimpleNamespace(conformance=0x7E1F)) == nulls
    assert meter.get(row, BUFFER) == nulls


UPS = {  # column, values before and now (hex) -> the delta
    "one up": (0, "00000000", "00000001", "1F01"),
    "one down": (0, "00000001", "00000000", "1CFF"),
    "255 up": (0, "00000000", "000000FF", "1FFF"),
    "256 up": (0, "00000000", "00000100", "200100"),
    "65535 up": (0, "00000001", "00010000", "20FFFF"),
    "65536 up": (0, "00000000", "00010000", "0600010000"),
    "128 down": (0, "00000080", "00000000", "1C80"),
    "129 down": (0, "00000081", "00000000", "1DFF7F"),
    "32769 down": (0, "00008001", "00000000", "0600000000"),
    "over the end": (0, "FFFFFFFF", "00000000", "0600000000"),
    "from the end": (0, "FFFFFFFE", "FFFFFFFF", "1F01"),
    "64 bits": (4, "00000000FFFFFFFF", "00000001FFFFFFFE", "21FFFFFFFF"),
    "64 bits down": (4, "0000000180000000", "0000000100000000", "1E80000000"),
    "64 bits far down": (4, "0000000180000001", "0000000100000000", "150000000100000000"),
    "64 bits from below zero": (1, "FFFFFFFFFFFFFFFF", "0000000000000000", "1F01"),
    "64 bits to below zero": (1, "0000000000000000", "FFFFFFFFFFFFFFFF", "1CFF"),
    "all 64 bits": (1, "8000000000000000", "7FFFFFFFFFFFFFFF", "147FFFFFFFFFFFFFFF"),
    "16 bits": (2, "FFF0", "0010", "1F20"),
    "16 bits and more": (2, "8000", "7FFF", "107FFF"),
    "16 bits down": (2, "0010", "FFF0", "1CE0"),
    "8 bits are no shorter": (3, "01", "02", "1102"),
    "32 bits, signed": (5, "80000000", "800000FF", "1FFF"),
    "32 bits, signed, far": (5, "80000000", "7FFFFFFF", "057FFFFFFF"),
    "16 bits, unsigned": (6, "0000", "0100", "120100"),
    "16 bits, unsigned, near": (6, "0100", "0000", "120000"),
    "16 bits, unsigned, down": (6, "0100", "00FF", "1CFF"),
}


@pytest.mark.parametrize("case", UPS)
def test_a_number_as_its_difference(meter, case):
    column, before, now, wanted = UPS[case]
    for value in (before, now):
        meter.put(column, bytes.fromhex(value))
        meter.capture()
    tag, content = rows_of(meter.answers()[2])[1][1 + column]
    assert (bytes((tag,)) + content).hex().upper() == wanted


def test_the_first_row_of_each_answer_is_whole(meter):
    captured(meter, 6)
    whole = rows_of(meter.answers()[0])
    for first in (1, 3, 6):
        _, nulls, deltas = meter.answers(ENTRY, struct_(u32(first), u32(0), u16(1), u16(0)))
        assert rows_of(nulls)[0] == rows_of(deltas)[0] == whole[first - 1]


def test_a_time_that_is_not_the_next_is_written(meter):
    captured(meter, 3, step=2)
    _, nulls, _ = (rows_of(a) for a in meter.answers())
    assert [row[0][0] for row in nulls] == [9, 9, 9]


def test_where_summer_ends_the_time_is_written(meter):
    start = meter.clock.minute_of(date_time(2026, 10, 25, 1, 30, deviation=-120), 0)
    for k in range(10):
        meter.clock.set_utc(start + 15 * k, 0)
        meter.capture()
    plain, nulls, _ = meter.answers()
    # From 03:00 of summer time to 02:00 of winter time
    assert [row[0][0] for row in rows_of(nulls)] == [9, 0, 0, 0, 0, 0, 9, 0, 0, 0]
    assert expand(nulls, 0, 900) == known(plain)


def test_without_a_period_null_data_is_the_same_time(meter):
    for row in meter.profiles.values():
        assert meter.set(row, PERIOD, u32(0)) == 0
    for second in (0, 0, 5, 5, 5):
        meter.set_local("2026-06-15 12:00:%02d" % second)
        meter.capture()
    plain, nulls, _ = meter.answers()
    assert [row[0][0] for row in rows_of(nulls)] == [9, 0, 9, 0, 0]
    assert expand(nulls, 0, 0) == known(plain)


def test_a_clock_in_lifo_order_is_written(meter):
    for row in meter.profiles.values():
        assert meter.set(row, SORT_METHOD, enum(LIFO)) == 0
    captured(meter, 4)
    plain, nulls, deltas = meter.answers()
    assert [row[0][0] for row in rows_of(nulls)] == [9] * 4
    assert [row[1] for row in rows_of(deltas)[1:]] == [(28, b"\xfd")] * 3
    assert expand(deltas, 0, 900) == known(plain)


def test_a_damaged_row_and_the_next_are_no_repetition(meter):
    captured(meter, 6)
    for row in meter.profiles.values():
        meter.storage.rings[row].damaged = {2}
    for answer in meter.answers()[1:]:
        rows = rows_of(answer)
        assert rows[2] == [(9, b"\x00")] * 9
        assert 0 not in [tag for tag, _ in rows[3]] and 0 in [tag for tag, _ in rows[4]]


def test_rows_that_a_search_finds_are_whole(meter):
    captured(meter, 6)
    of = capture_object(3, "1.0.1.8.0.255", 2)
    answers = meter.answers(RANGE, struct_(of, u32(1003), u32(1009), array()))
    assert answers[0] == answers[1] == answers[2]
    assert len(rows_of(answers[0])) == 3


def test_a_sorted_profile_is_not_compressed():
    meter = Talk()
    for row in meter.profiles.values():
        assert meter.set(row, 6, capture_object(3, "1.0.1.8.0.255", 2)) == 0
        assert meter.set(row, SORT_METHOD, enum(LARGEST)) == 0
    captured(meter, 5)
    answers = meter.answers()
    assert answers[0] == answers[1] == answers[2]


def test_rows_that_come_in_meanwhile_do_not_change_what_null_data_means():
    meter = Talk(entries=6)
    captured(meter, 9)
    wanted = known(meter.answers()[0])
    s = meter.stream
    s.association, s.selector = meter.client, 0
    s.row, s.attribute = meter.profiles[DELTAS], BUFFER
    h = meter.model.handler("profile_generic")
    assert h.open(s) == 0 and s.n == 7
    out = bytearray(400)
    data = b"\x01\x06"
    for s.k in range(1, 7):
        data += bytes(out[: h.item(s, out, 0)])
        if s.k == 2:
            # Row 3 is overwritten, and 4 with it.
            captured(meter, 4, start=20)
    rows = expand(data, 0, 900)
    assert rows[:2] == wanted[:2] and rows[4:] == wanted[4:]
    assert rows[2] == rows[3] == [(9, b"\x00")] * 9


def test_two_clients_at_once():
    meter = Talk()
    captured(meter, 12)
    wanted = meter.answers()[2]
    h = meter.model.handler("profile_generic")
    streams = [fakes.Stream(meter.model) for _ in range(2)]
    data = [b"\x01\x0c", b"\x01\x0c"]
    out = bytearray(400)
    for s in streams:
        s.association, s.row, s.attribute = meter.client, meter.profiles[DELTAS], BUFFER
        assert h.open(s) == 0
    for k in range(1, 13):
        for i, s in enumerate(streams):
            s.k = k
            data[i] += bytes(out[: h.item(s, out, 0)])
    assert data == [wanted, wanted]


def test_the_published_example_is_read_the_same_way():
    """axdr-31-load-profile (u9n/dlms-cosem tests): the clock is null-data from the second row."""
    path = Path(fakes.ROOT) / "host_tests/vectors/axdr.jsonl"
    vectors = {v["id"]: v for v in map(json.loads, path.read_text().splitlines())}
    data = bytes.fromhex(vectors["axdr-31-load-profile"]["hex"])
    rows = expand(data, 0, 3600)
    assert [row[0][1][1:9].hex() for row in rows] == [
        "07e30c1f02170000",
        "07e4010103000000",
        "07e4010103010000",
        "07e4010103020000",
    ]


# --- Against any history --------------------------------------------------------------------

steps = st.lists(
    st.tuples(
        st.sampled_from([15, 15, 15, 15, 30, 0, -15, 1]),  # minutes
        st.integers(0, 6),  # which column changes
        st.one_of(st.integers(-3, 3), st.sampled_from([200, -200, 1 << 17, -(1 << 40), 1 << 63])),
        st.booleans(),  # the text changes
        st.sampled_from([0, 0, 0, 0, 1]),  # the row is damaged later
    ),
    max_size=30,
)


@given(
    steps,
    st.sampled_from([FIFO, LIFO]),
    st.sampled_from([0, 900]),
    st.integers(0, 3),
    st.tuples(st.integers(1, 12), st.integers(0, 12), st.integers(1, 9), st.integers(0, 9)),
    st.sampled_from([40, 64, 97, 1000]),
)
@settings(max_examples=150, deadline=None)
def test_any_history_any_selection(history, order, period, how, entries, portion):
    meter = Talk(entries=12)
    for row in meter.profiles.values():
        assert meter.set(row, SORT_METHOD, enum(order)) == 0
        assert meter.set(row, PERIOD, u32(period)) == 0
    start = meter.clock.minute_of(date_time(2026, 10, 25, 0, 0, deviation=-120), 0)
    now, values, damaged = start, [0] * 7, set()
    for n, (minutes, column, change, text, broken) in enumerate(history):
        now += minutes
        meter.clock.set_utc(now, 0)
        size = list(COLUMNS.values())[column][2]
        values[column] = (values[column] + change) % (1 << 8 * size)
        meter.put(column, values[column].to_bytes(size, "big"))
        if text:
            assert meter.set(meter.text, 2, octets(b"x" * (1 + n % 19))) == 0
        meter.capture()
        damaged |= {n} if broken else set()
    for row in meter.profiles.values():
        meter.storage.rings[row].damaged = damaged
    meter.portion = portion
    first, last, column, last_column = entries
    selector, data = 0, b""
    if how == 1:
        last = last if last >= first else 0
        last_column = last_column if last_column >= column else 0
        selector, data = ENTRY, struct_(u32(first), u32(last), u16(column), u16(last_column))
    elif how == 2:
        low, high = bytearray(12), bytearray(12)
        meter.clock.local_of(start + 15 * first, 0, low, 0)
        meter.clock.local_of(start + 15 * (first + last), 0, high, 0)
        of = capture_object(8, "0.0.1.0.0.255", 2)
        selector, data = RANGE, struct_(of, octets(low), octets(high), array())
    elif how == 3:
        of = capture_object(3, "1.0.4.8.0.255", 2)
        columns = [capture_object(3, name, 2) for name in list(COLUMNS)[:column]]
        selector, data = RANGE, struct_(of, fakes.u8(0), fakes.u8(first), array(*columns))
    plain, nulls, deltas = meter.answers(selector, data)
    clock = -1 if how == 3 or (how == 1 and column > 1) else 0
    assert expand(nulls, clock, period) == known(plain)
    assert expand(deltas, clock, period) == known(plain)
    if not damaged:
        assert len(deltas) <= len(nulls) <= len(plain)


# --- Long profiles --------------------------------------------------------------------------


def test_three_thousand_rows_are_read_once_each():
    """And take less than a third: a row of 55 octets is one of 11 to 14."""
    meter = Talk(entries=3000)
    meter.portion = 300000
    start = meter.clock.minute
    for k in range(3000):
        meter.clock.set_utc(start + 15 * k, 0)
        meter.put(0, u32(7 * k)[1:])
        meter.put(4, u64(k * k)[1:])
        meter.capture()
    rings = [meter.storage.rings[row] for row in meter.profiles.values()]
    for ring in rings:
        ring.n_reads = 0
    plain, nulls, deltas = meter.answers()
    assert [ring.n_reads for ring in rings] == [3000] * 3
    assert expand(nulls, 0, 900) == expand(deltas, 0, 900) == known(plain)
    assert len(deltas) * 3 < len(plain) and len(deltas) < len(nulls)
    for selector, data in (
        (ENTRY, struct_(u32(100), u32(2900), u16(1), u16(0))),
        (ENTRY, struct_(u32(1), u32(0), u16(2), u16(4))),
        (
            RANGE,
            struct_(
                capture_object(8, "0.0.1.0.0.255", 2),
                octets(date_time(2026, 6, 20, 0, 0)),
                octets(date_time(2026, 7, 10, 0, 0)),
                array(),
            ),
        ),
    ):
        plain, nulls, deltas = meter.answers(selector, data)
        clock = -1 if data.endswith(u16(2) + u16(4)) else 0
        assert len(rows_of(plain)) > 1900
        assert expand(nulls, clock, 900) == expand(deltas, clock, 900) == known(plain)


# --- Definitions ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "line, message",
    [
        (PROFILE % ("1.0.99.4.0", '["8/0.0.1.0.0/2"]', 5, ', compression = ["zip"]'), "'zip' is"),
        (
            '{class = 1, obis = "0.0.96.1.5", data_type = "unsigned", compression = ["delta"]},',
            "compression of Data 0.0.96.1.5.255; expected it of a profile",
        ),
    ],
)
def test_mistakes_of_a_definition(line, message):
    with pytest.raises(TableError) as e:
        fakes.define(CLOCK + line)
    assert message in str(e.value)


def test_the_generated_module_says_which_profiles():
    tables = types.SimpleNamespace(
        **{k.lower(): v for k, v in vars(fakes.define(definition(5))).items()}
    )
    rows = [o.row for o in tables.definition.objects if o.version.class_id == 7]
    said = {}
    exec(show.module(tables), said)
    assert said["COMPRESSION"] == ((rows[1], 1), (rows[2], 3))
