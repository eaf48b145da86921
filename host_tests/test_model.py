# SPDX-License-Identifier: MIT
"""lib/cosem/model.py: late values, which are in ROM until somebody changes them.

What else it does is seen in the tests of the services and of the classes.
"""

from pathlib import Path

import pytest
from fakes import CLOCK, define, octets, u8, u16
from cosem import users
from hypothesis import given, settings
from hypothesis import strategies as st
from small import Meter as Small
from small import packed
from test_class_modules import Log

SMALL = Path(__file__).parent / "definitions/small.toml"

HEAD_LEN = 6  # octets of the room that a changed value takes beside its capacity
ROOM = 100
NO_ROOM = 250

ONE, TWO, THREE, LONG, SCRIPTS = (
    "0.0.96.1.1.255", "0.0.96.1.2.255", "0.0.96.1.3.255", "0.0.96.1.4.255", "0.0.10.0.0.255",
)  # fmt: skip
OBJECTS = (
    CLOCK
    + """
    {class = 1, obis = "0.0.96.1.1.255", data_type = "octet-string", value = "first",
     capacity = {value = 20}},
    {class = 1, obis = "0.0.96.1.2.255", data_type = "octet-string", value = "second",
     capacity = {value = 30}},
    {class = 1, obis = "0.0.96.1.3.255", data_type = "octet-string", value = "third",
     capacity = {value = 30}},
    {class = 1, obis = "0.0.96.1.4.255", data_type = "double-long-unsigned", value = 7},
    {class = 1, obis = "0.0.96.1.5.255", data_type = "octet-string", value = "patched",
     ram = ["value"]},
    {class = 1, obis = "0.0.96.1.6.255", data_type = "octet-string", value = "by a script"},
    {class = 9, obis = "0.0.10.0.0.255", scripts = [[1, ["1/1/0.0.96.1.6/2/octet-string:x"]]]},
"""
)
USERS = """
    {class = 15, version = 3, obis = "0.0.40.0.1.255", capacity = {user_list = "50 octets"}},
"""


def meter(late_len=ROOM):
    return Log(OBJECTS, late_len)


def free(m):
    """Octets of the room that are not taken."""
    at = m.definition.LATE
    image = m.model.image
    while at < m.definition.PERSISTENT and (image[at] or image[at + 1]):
        at += HEAD_LEN + int.from_bytes(image[at + 2 : at + 4], "big")
    return m.definition.PERSISTENT - at


def test_which_values_are_late():
    """Those that the class says, of no fixed length, and that nobody but a client changes."""
    m = meter()
    kinds = [m.model.attributes[m.model.entry(row, 2)] & 15 for row in m.model.rows(1)]
    assert kinds == [5, 5, 5, 5, 2, 2, 2]
    # Nobody may change the scripts: they are in ROM for good.
    assert m.model.attributes[m.model.entry(m.row(9, SCRIPTS), 2)] & 15 == 1
    assert 5 not in define(OBJECTS).ATTRIBUTES[::4]
    assert len(m.definition.RAM) == m.definition.PERSISTENT == m.definition.LATE + ROOM


def test_the_first_change_takes_room_and_others_do_not():
    m = meter()
    row = m.row(1, ONE)
    assert m.read(row, 2) == b"first" and free(m) == ROOM
    for text in (b"other", b"", b"x" * 20, b"first"):
        assert m.set(row, 2, octets(text)) == 0
        assert m.read(row, 2) == text
        assert free(m) == ROOM - HEAD_LEN - 22
    assert m.set(row, 2, octets(b"x" * 21)) == NO_ROOM


def test_what_it_is_already_takes_no_room():
    m = meter()
    for name in (ONE, TWO, THREE):
        row = m.row(1, name)
        assert m.set(row, 2, m.get(row, 2)) == 0
    assert free(m) == ROOM and m.edits == [(m.row(1, n), 2) for n in (ONE, TWO, THREE)]


def test_no_room():
    """Twice 30 octets fit, and then nothing; what has room keeps it."""
    m = meter()
    one, two, three = (m.row(1, name) for name in (ONE, TWO, THREE))
    assert m.set(two, 2, octets(b"new")) == m.set(three, 2, octets(b"new")) == 0
    before = bytes(m.model.image)
    assert m.set(one, 2, octets(b"new")) == NO_ROOM
    assert m.set(one, 2, octets(b"first")) == 0
    assert bytes(m.model.image) == before
    assert m.read(one, 2) == b"first"
    assert m.set(three, 2, octets(b"newer")) == 0 and m.read(three, 2) == b"newer"
    assert m.read(two, 2) == b"new"
    # A shorter one has room, to the last octet.
    assert free(m) == HEAD_LEN + 18
    assert m.set(m.row(1, "0.0.42.0.0.255"), 2, octets(b"new")) == free(m) == 0


@pytest.mark.parametrize("late_len", [28, 27, 5, 4, 3, 1])
def test_room_of_any_size(late_len):
    m = meter(late_len)
    row = m.row(1, ONE)
    fits = late_len >= HEAD_LEN + 22
    assert m.set(row, 2, octets(b"new")) == (0 if fits else NO_ROOM)
    assert m.read(row, 2) == (b"new" if fits else b"first")


def test_a_script_changes_one_and_what_is_patched_is_where_it_was():
    m = meter()
    assert m.act(m.row(9, SCRIPTS), 1, u16(1)) == 0
    assert m.read(m.row(1, "0.0.96.1.6.255"), 2) == b"x"
    assert free(m) == ROOM


def test_it_is_saved_with_the_image():
    m = meter()
    row = m.row(1, TWO)
    assert m.set(row, 2, octets(b"kept")) == 0
    again = m.restart()
    assert again.read(row, 2) == b"kept" and again.read(m.row(1, ONE), 2) == b"first"


def test_methods_change_them_too():
    """Users of an association; a list that has no room takes none."""
    ann = b"\x02\x02" + u8(5) + b"\x0a\x03Ann"
    for room, result in ((100, 0), (20, NO_ROOM)):
        m = Log(OBJECTS + USERS, room)
        row = m.row(15, "0.0.40.0.1.255")
        assert users.add(m.model, row, 10, ann, 0, len(ann)) == result
        assert m.read(row, 10) == ([] if result else [[5, b"Ann"]])
        if not result:
            assert users.remove(m.model, row, 10, ann, 0, len(ann)) == 0
            assert m.read(row, 10) == []


# --- As a client sees it ----------------------------------------------------------------------

NAMES = [ONE, TWO, THREE]


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NAMES), st.binary(max_size=32), st.booleans()), max_size=12)
)
def test_with_room_enough_nobody_notices(steps):
    """The same answers as of a meter where all of them are in RAM; restarts included."""
    late, plain = meter(1000), Log(OBJECTS)
    assert plain.definition.LATE == plain.definition.PERSISTENT
    for name, text, again in steps:
        if again:
            late.model.image[:] = bytes(late.model.image)
        for m in (late, plain):
            m.set(m.row(1, name), 2, octets(text))
            for other in NAMES:
                m.get(m.row(1, other), 2)
    assert late.log == plain.log


DATA = "0001 0000603203FF 02 00"
BOOLEAN = "0001 0000603204FF 02 00"


@pytest.fixture
def reader(tmp_path):
    """The small meter, whose 0.0.96.50.3 is late; function of its value and max_pdu."""

    def begin(value, max_pdu):
        text = SMALL.read_text().replace("[limits]", "[limits]\nlate_len = 500")
        text = text.replace('value = "0x0102030405"', 'value = "0x%s"' % value.hex())
        path = tmp_path / "late.toml"
        path.write_text(text)
        packed.cache_clear()
        m = Small(path)
        m.row = m.model.find(0, bytes.fromhex(DATA[:17].replace(" ", "")), 0)
        m.change = lambda new: m.model.write(m.row, 2, octets(new), 0, len(new) + 2)
        return m, m.management(max_pdu=max_pdu)

    return begin


def test_long_value_that_is_changed_half_way_is_aborted(reader):
    m, t = reader(b"a" * 100, 40)
    assert t.say("C001C1" + DATA).startswith("C402C100")
    assert m.change(b"new") == 0
    assert t.say("C002C100000001") == "C402C101" + "00000002" + "010F"  # long-get-aborted
    assert t.say("C001C1" + DATA) == "C401C10009036E6577"


def test_value_that_is_changed_before_its_block_is_the_new_one(reader):
    """Where only its choice had room in the block before."""
    m, t = reader(b"a" * 20, 32)
    first = t.say("C003C104" + BOOLEAN * 3 + DATA)
    assert first == "C402C100" + "00000001" + "000B" + "04" + 3 * "000301" + "00"
    assert m.change(b"new") == 0
    assert t.say("C002C100000001") == "C402C101" + "00000002" + "0005" + "09036E6577"


def test_it_is_read_in_every_way(reader):
    """Without a list, in lists, as part of the whole object: it is the same value."""
    m, t = reader(b"a", 200)
    for text in (b"a", b"other"):
        m.change(text)
        value = octets(text).hex().upper()
        assert t.say("C001C1" + DATA) == "C401C100" + value
        assert t.say("C003C102" + DATA + BOOLEAN) == "C403C10200" + value + "000301"
        assert t.say("C001C1" + DATA.replace("02 00", "00 00")).endswith(
            "0906000060" + "3203FF" + value
        )
