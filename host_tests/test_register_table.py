# SPDX-License-Identifier: MIT
"""cosem/register_table.py: cells that are captured, from the table of class 61 and as a client."""

import pytest
from fakes import HEAD, Meter, array, i8, obis, octets, struct_, u8, u16, u32
from served import Served

NAME = "1.0.1.8.255.255"
VALUES, CELLS, SCALER_UNIT = 2, 3, 4
RESET, CAPTURE = 1, 2
READ_WRITE_DENIED, OBJECT_UNDEFINED, TYPE_UNMATCHED, OTHER_REASON = 3, 4, 12, 250

OBJECTS = (
    "".join(
        """
    {class = 3, obis = "1.0.1.8.%d.255", data_type = "double-long-unsigned", value = %d,
     scaler = 0, unit = "Wh", ram = ["value"]},
"""
        % (e, 1000 * e)
        for e in range(5)
    )
    + """
    {class = 1, obis = "0.0.96.1.0.255", data_type = "octet-string", value = "0x00112233445566778899AABBCCDDEEFF"},
    {class = 1, obis = "0.0.96.1.1.255", data_type = "octet-string", value = "", access = "%s"},
    {class = 61, obis = "1.0.1.8.255.255", table_cell_definition = [3, "1.0.1.8.255.255", [0, 2, 4], 2],
     table_cell_values = {type = "array[double-long-unsigned]", value = []}, scaler_unit = [0, "Wh"],
     capacity = {table_cell_values = "40 octets", table_cell_definition = "80 octets"}},
"""  # noqa: E501
)
PLAIN = OBJECTS % "all"
HIDDEN = HEAD.replace("[access]", '[access]\nhidden = {client = "x"}')


def cells(class_id, name, groups, attribute=2):
    parts = (u16(class_id), octets(obis(name)), array(*map(u8, groups)), i8(attribute))
    return struct_(*parts)


@pytest.fixture
def m():
    meter = Meter(PLAIN)
    meter.object = meter.row(61, NAME)
    return meter


def registers(m, *values):
    for e, n in enumerate(values):
        assert m.set(m.row(3, "1.0.1.8.%d.255" % e), 2, u32(n)) == 0


def test_nothing_before_a_capture(m):
    assert m.read(m.object, VALUES) == []
    assert m.read(m.object, CELLS) == [3, obis(NAME), [0, 2, 4], 2]


def test_a_capture_keeps_the_values(m):
    assert m.act(m.object, CAPTURE) == 0
    assert m.read(m.object, VALUES) == [0, 2000, 4000]
    registers(m, 7, 8, 9)
    assert m.read(m.object, VALUES) == [0, 2000, 4000]
    assert m.act(m.object, CAPTURE) == 0
    assert m.read(m.object, VALUES) == [7, 9, 4000]


def test_reset_leaves_the_objects_alone(m):
    m.act(m.object, CAPTURE)
    assert m.act(m.object, RESET) == 0
    assert m.read(m.object, VALUES) == []
    assert m.read(m.row(3, "1.0.1.8.2.255"), 2) == 2000


@pytest.mark.parametrize(
    "definition,values",
    [
        (cells(3, NAME, []), []),
        (cells(3, NAME, [4, 4, 1]), [4000, 4000, 1000]),
        (cells(3, "1.0.1.8.9.255", [3]), [3000]),
        (cells(3, NAME, [1, 2], 3), [[0, 30], [0, 30]]),
        (cells(3, NAME, [1], 1), [obis("1.0.1.8.1.255")]),
        (cells(1, "0.0.96.1.9.255", [0]), [bytes(17 * k for k in range(16))]),
    ],
)
def test_other_cells(m, definition, values):
    """Setting them empties the table; the next capture fills it."""
    m.act(m.object, CAPTURE)
    assert m.set(m.object, CELLS, definition) == 0
    assert m.read(m.object, VALUES) == []
    assert m.act(m.object, CAPTURE) == 0
    assert m.read(m.object, VALUES) == values


def test_the_same_cells_again_keep_the_values(m):
    m.act(m.object, CAPTURE)
    assert m.set(m.object, CELLS, cells(3, NAME, [0, 2, 4])) == 0
    assert m.read(m.object, VALUES) == [0, 2000, 4000]


REFUSED = [
    (cells(3, NAME, [0, 5]), OBJECT_UNDEFINED),
    (cells(4, NAME, [0]), OBJECT_UNDEFINED),
    (cells(3, NAME, [0], 9), OBJECT_UNDEFINED),
    (cells(3, NAME, [0], -1), OBJECT_UNDEFINED),
    (cells(3, NAME, [0], 0), OTHER_REASON),
    (cells(61, NAME, [255]), OTHER_REASON),
    (cells(3, NAME, [0] * 40), OTHER_REASON),
    (struct_(u16(3), octets(obis(NAME)), array(u16(0)), i8(2)), TYPE_UNMATCHED),
    (struct_(u16(3), octets(b"12345"), array(u8(0)), i8(2)), TYPE_UNMATCHED),
]


@pytest.mark.parametrize("definition,result", REFUSED)
def test_what_cannot_be_cells(m, definition, result):
    m.act(m.object, CAPTURE)
    assert m.set(m.object, CELLS, definition) == result
    assert m.read(m.object, VALUES) == [0, 2000, 4000]


def test_what_nobody_may_read_is_no_cell():
    m = Meter(OBJECTS % "hidden", head=HIDDEN)
    assert m.set(m.row(61, NAME), CELLS, cells(1, "0.0.96.1.0.255", [1])) == READ_WRITE_DENIED


def test_no_room_for_all_cells(m):
    """The table stays empty, rather than old or half."""
    m.act(m.object, CAPTURE)
    assert m.set(m.object, CELLS, cells(3, NAME, [0, 1, 2, 3, 4, 0, 1])) == 0
    assert m.act(m.object, CAPTURE) == 0
    assert m.set(m.object, CELLS, cells(3, NAME, [0, 1, 2, 3, 4, 0, 1, 2])) == 0
    assert m.act(m.object, CAPTURE) == OTHER_REASON
    assert m.read(m.object, VALUES) == []
    assert m.set(m.object, CELLS, cells(1, "0.0.96.1.0.255", [0, 0, 0])) == 0
    assert m.act(m.object, CAPTURE) == OTHER_REASON
    assert m.read(m.object, VALUES) == []


def test_a_table_that_is_full_to_the_last_octet(m):
    """38 octets for values, of which numbers of five leave three over: null-data has no room."""
    assert m.set(m.object, CELLS, cells(3, NAME, [1] * 7)) == 0
    assert m.act(m.object, CAPTURE) == 0
    assert m.read(m.object, VALUES) == [1000] * 7


def test_a_conversation():
    c = Served(OBJECTS % "hidden")
    assert c.get(61, NAME, SCALER_UNIT) == [0, 30]
    assert c.act(61, NAME, CAPTURE, client=17) == 0
    assert c.get(61, NAME, VALUES) == [0, 2000, 4000]
    assert c.set(61, NAME, CELLS, cells(3, NAME, [1, 3])) == 0
    assert c.get(61, NAME, VALUES) == []
    assert c.set(61, NAME, CELLS, cells(1, "0.0.96.1.0.255", [1])) == READ_WRITE_DENIED
    assert c.set(61, NAME, VALUES, array()) == READ_WRITE_DENIED
    assert c.act(61, NAME, CAPTURE) == 0
    assert c.get(61, NAME, VALUES, client=17) == [1000, 3000]
    assert c.act(61, NAME, RESET) == 0 and c.get(61, NAME, VALUES) == []
    assert c.act(61, NAME, CAPTURE, u8(0)) == TYPE_UNMATCHED
    assert c.act(61, NAME, 3) == OBJECT_UNDEFINED
