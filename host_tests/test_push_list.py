# SPDX-License-Identifier: MIT
"""cosem/push_list.py: the values that are pushed: elements, rights, ranges, columns."""

import subprocess

import fakes
import pushing
import pytest
import tables
from fakes import array, capture_object, octets, struct_
from pushing import NULL, V0, V1, V2, PushMeter, body, element, entries
from tables import dates, show

PROFILE = "1.0.99.1.0.255"
CLOCK = "0.0.1.0.0.255"
FIRST = 13936920  # 12:00 local time


@pytest.fixture
def m():
    """Five rows: 12:00 to 12:04, energies 100 to 104, and 7."""
    m = PushMeter()
    row = m.row(PROFILE, 7)
    profiles = m.model.handler("profile_generic")
    for k in range(5):
        m.clock.set_utc(FIRST + k, 0)
        m.model.put_int(m.row("1.0.1.8.0.255", 3), 2, 100 + k)
        m.model.put_int(m.row("1.0.1.8.1.255", 3), 2, 7)
        assert profiles.capture(row) == 0
    return m


def pushed(m, name, *elements):
    m.put(name, 2, array(*elements))
    m.put(name, 3, pushing.destination(b"127.0.0.1:4059"))
    assert m.push(name) == 0
    m.second()
    assert m.notifier.lost == 0
    return body(m.paths.apdus[-1])


def energies(rows):
    """Of rows of time, energy 0 and energy 1, the first energies."""
    return [row[1] for row in rows]


# class_id, logical_name, attribute, data_index -> the value, for client 1.
ELEMENTS = [
    (3, "1.0.1.8.0.255", 2, 0, 104),
    (3, "1.0.1.8.0.255", 1, 0, bytes((1, 0, 1, 8, 0, 255))),
    (3, "1.0.1.8.0.255", 3, 0, [0, 30]),
    (3, "1.0.1.8.0.255", 3, 1, 0),
    (3, "1.0.1.8.0.255", 3, 2, 30),
    (3, "1.0.1.8.0.255", 3, 3, None),
    (3, "1.0.1.8.0.255", 2, 1, None),  # not an array or structure
    (3, "1.0.1.8.0.255", 2, 0x1001, None),
    (3, "1.0.1.8.0.255", 0, 0, [bytes((1, 0, 1, 8, 0, 255)), 104, [0, 30]]),
    (3, "1.0.1.8.0.255", 0, 1, None),
    (3, "1.0.1.8.0.255", 4, 0, None),
    (3, "1.0.1.8.0.255", -1, 0, None),
    (3, "1.0.1.8.77.255", 2, 0, None),
    (1, "1.0.1.8.0.255", 2, 0, None),
    (1, "0.0.96.1.1.255", 2, 0, b"for few"),
    (7, PROFILE, 7, 0, 5),
    (7, PROFILE, 3, 2, [3, bytes((1, 0, 1, 8, 0, 255)), 2, 0]),
]


@pytest.mark.parametrize("version,name", [(0, V0), (2, V2)])
@pytest.mark.parametrize("case", ELEMENTS, ids=lambda c: "%d/%s/%d/%X" % c[:4])
def test_element(m, version, name, case):
    class_id, obis, attribute, index, value = case
    e = element(class_id, obis, attribute, index, version=version)
    last = element(1, "0.0.96.1.0.255", version=version)
    assert pushed(m, name, e, last) == [value, b"42"]


def test_nothing_and_many(m):
    ten = [element(3, "1.0.1.8.%d.255" % k) for k in range(10)]
    assert pushed(m, V0, *ten) == [104, 7] + [5009] * 8


def test_rights_are_those_of_the_client(m):
    """Client 16 does not see that object; what it sees goes out."""
    m.put(V1, 9, b"\x0f\x10")
    few = element(1, "0.0.96.1.1.255", version=1)
    assert pushed(m, V1, few, element(1, "0.0.96.1.0.255", version=1)) == [None, b"42"]
    m.put(V1, 9, b"\x0f\x01")
    assert pushed(m, V1, few) == [b"for few"]


# --- Profiles ---------------------------------------------------------------------------------


def date(text):
    return dates.parse(text, "date-time")


RANGE = struct_(octets(date("2026-07-01 12:01:00")), octets(date("2026-07-01 12:03:00")))
RESTRICTIONS = [
    (0, NULL, [100, 101, 102, 103, 104]),
    (1, RANGE, [101, 102, 103]),
    (1, struct_(octets(date("2027-01-01 00:00:00")), octets(date("2028-01-01 00:00:00"))), []),
    (2, entries(2, 3), [101, 102]),
    (2, entries(4, 0), [103, 104]),
    (2, entries(9, 10), []),
    (2, entries(0, 3), None),
    (2, entries(3, 2), None),
    (2, NULL, None),
    (1, NULL, None),
    (1, entries(2, 3), None),
    (2, RANGE, None),
    (1, struct_(octets(b""), octets(b"")), None),
    (1, struct_(octets(b"\xff" * 20), octets(b"\xff" * 20)), None),
]


@pytest.mark.parametrize("version,name", [(1, V1), (2, V2)])
@pytest.mark.parametrize("kind,limits,found", RESTRICTIONS)
def test_restrictions(m, version, name, kind, limits, found):
    m.put(name, 9, b"\x0f\x01")
    e = element(7, PROFILE, 2, 0, kind, limits, version=version)
    value, behind = pushed(m, name, e, element(1, "0.0.96.1.0.255", version=version))
    assert behind == b"42"
    assert value is None if found is None else energies(value) == found


def test_restrictions_of_what_is_no_buffer(m):
    for kind, limits in ((1, RANGE), (2, entries(1, 1))):
        assert pushed(m, V2, element(3, "1.0.1.8.0.255", 2, 0, kind, limits, version=2)) == [None]


COLUMNS = [
    ([capture_object(3, "1.0.1.8.0.255", 2)], [1]),
    ([capture_object(3, "1.0.1.8.1.255", 2), capture_object(8, CLOCK, 2)], [0, 2]),
    ([capture_object(3, "1.0.1.8.5.255", 2)], None),
    ([capture_object(3, "1.0.1.8.0.255", 2, 1)], None),
]


@pytest.mark.parametrize("columns,chosen", COLUMNS)
@pytest.mark.parametrize("kind,limits,found", RESTRICTIONS[:4])
def test_columns(m, columns, chosen, kind, limits, found):
    whole = pushed(m, V2, element(7, PROFILE, 2, 0, kind, limits, version=2))[0]
    assert energies(whole) == found
    (value,) = pushed(m, V2, element(7, PROFILE, 2, 0, kind, limits, columns, version=2))
    if chosen is None:
        assert value is None
    else:
        assert value == [[row[k] for k in chosen] for row in whole]


@pytest.mark.parametrize(
    "index,rows",
    [
        (0xF001, [104]),
        (0xF003, [102, 103, 104]),
        (0xF0FF, [100, 101, 102, 103, 104]),
        (0xF000, []),
        (0x1001, None),
        (0xE001, None),
    ],
)
@pytest.mark.parametrize("name,version", [(V0, 0), (V2, 2)])
def test_newest_rows(m, index, rows, name, version):
    (value,) = pushed(m, name, element(7, PROFILE, 2, index, version=version))
    assert value is None if rows is None else energies(value) == rows


def test_newest_rows_with_the_first_columns(m):
    (value,) = pushed(m, V0, element(7, PROFILE, 2, 0xF202))
    assert [len(row) for row in value] == [2, 2] and energies(value) == [103, 104]


def test_newest_rows_of_a_buffer_in_lifo_order(m):
    at = m.model.place(m.row(PROFILE, 7), 5)
    profile = m.model.handler("profile_generic").profiles[m.row(PROFILE, 7)]
    assert at
    profile.sort = 2
    (value,) = pushed(m, V0, element(7, PROFILE, 2, 0xF002))
    assert energies(value) == [104, 103]


@pytest.mark.parametrize("index,energy", [(1, 100), (5, 104), (6, None), (0xFFF, None)])
def test_one_row(m, index, energy):
    (value,) = pushed(m, V0, element(7, PROFILE, 2, index))
    assert value is None if energy is None else value[1] == energy


def test_a_restriction_and_newest_rows_together(m):
    e = element(7, PROFILE, 2, 0xF001, 2, entries(1, 2), version=2)
    assert pushed(m, V2, e) == [None]


# --- Room -------------------------------------------------------------------------------------


def test_room(m):
    """Octet by octet: it fits whole, or -1 says that it does not; nothing is written behind."""
    elements = [
        element(3, "1.0.1.8.0.255", 3, 2),
        element(7, PROFILE, 2, 0xF002),
        element(3, "1.0.1.8.77.255"),
        element(1, "0.0.42.0.0.255"),
    ]
    m.put(V0, 2, array(*elements))
    n = m.notifier
    assert n.envelope.become(m.row(V0))
    buf = bytearray(600)
    end = n.values.put(m.row(V0), buf, 5, 600)
    whole = bytes(buf[5:end])
    assert fakes.value(whole)[2] is None
    for room in range(len(whole) + 1):
        buf = bytearray(b"\xee" * 600)
        end = n.values.put(m.row(V0), buf, 5, 5 + room)
        # An element is cut out of a whole value, which needs its room for a while.
        assert end in (-1, 5 + len(whole))
        if room < len(whole):
            assert end == -1
        assert set(buf[5 + room :]) == {0xEE}


# --- MicroPython ------------------------------------------------------------------------------


def test_on_micropython_with_the_heap_locked(micropython, tmp_path):
    """Made, protected, handed over and confirmed; what comes out is what comes out here."""
    packed = tables.compile(str(pushing.HERE / "definitions/push.toml"))
    (tmp_path / "definition.py").write_text(show.module(packed))
    run = subprocess.run(
        [micropython, str(pushing.HERE / "device/pushes.py"), str(tmp_path)],
        capture_output=True,
        text=True,
        env={"MICROPYPATH": "%s:%s" % (pushing.HERE.parent / "lib", pushing.HERE.parent)},
    )
    assert run.returncode == 0 and not run.stderr, run.stderr + run.stdout
    *lines, end = [line.split() for line in run.stdout.splitlines()]
    made = [bytes.fromhex(text) for _, text in lines]
    assert [what for what, _ in lines] == ["made"] * 4 + ["sent"]
    for plain, sealed in (made[:2], made[2:4]):
        assert pushing.opened(sealed) == (plain, True)
    assert body(made[0]) == [5009] * 10
    newest, entries_ = body(made[2])
    assert energies(newest) == [5009, 5009] and entries_ == [[5009], [5009]]
    assert made[4][1] == 0x40 and body(made[4]) == body(made[2])
    assert end == "answer 0 done 1 lost 0 idle True".split()
