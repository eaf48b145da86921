# SPDX-License-Identifier: MIT
"""cosem/utility_tables.py: length says how long buffer is."""

import pytest
from fakes import Meter, octets, u16, u32, value
from served import Served

NAME = "0.0.65.0.0.255"
TABLE_ID, LENGTH, BUFFER = 2, 3, 4
READ_WRITE_DENIED, OBJECT_UNDEFINED, TYPE_UNMATCHED, OTHER_REASON = 3, 4, 12, 250

OBJECTS = """
    {class = 26, obis = "0.0.65.0.0.255", table_ID = 5, buffer = "0x0102030405",
     capacity = {buffer = 300}},
    {class = 26, obis = "0.0.65.0.1.255", table_ID = 2048, buffer = ""},
"""


def long_octets(n):
    head = b"\x09" + (bytes((n,)) if n < 128 else b"\x81" + bytes((n,)) if n < 256 else b"")
    return (head if n < 256 else b"\x09\x82" + n.to_bytes(2, "big")) + bytes(range(256)) * 2


@pytest.fixture
def m():
    meter = Meter(OBJECTS)
    meter.object = meter.row(26, NAME)
    return meter


def test_what_the_definition_says(m):
    assert m.read(m.object, TABLE_ID) == 5
    assert m.read(m.object, LENGTH) == 5
    other = m.row(26, "0.0.65.0.1.255")
    assert (m.read(other, TABLE_ID), m.read(other, LENGTH)) == (2048, 0)


@pytest.mark.parametrize("n", [0, 1, 127, 128, 255, 256, 300])
def test_length_follows_the_buffer(m, n):
    data = long_octets(n)[: {True: 2, False: 3}[n < 128] + (n > 255) + n]
    assert m.set(m.object, BUFFER, data) == 0
    assert m.get(m.object, LENGTH) == u32(n)
    assert len(value(m.get(m.object, BUFFER))) == n


@pytest.mark.parametrize(
    "attribute,data,result",
    [
        (BUFFER, b"\x09\x82\x01\x2d" + bytes(301), OTHER_REASON),
        (BUFFER, b"\x0a\x01A", TYPE_UNMATCHED),
        (LENGTH, u32(5), READ_WRITE_DENIED),
        (TABLE_ID, u16(6), READ_WRITE_DENIED),
    ],
)
def test_refused(m, attribute, data, result):
    before = m.get(m.object, BUFFER)
    assert m.set(m.object, attribute, data) == result
    assert m.get(m.object, BUFFER) == before and m.read(m.object, LENGTH) == 5


def test_a_conversation():
    c = Served(OBJECTS)
    assert c.get(26, NAME, LENGTH) == 5
    assert c.set(26, NAME, BUFFER, octets(b"new")) == 0
    assert (c.get(26, NAME, LENGTH), c.get(26, NAME, BUFFER)) == (3, b"new")
    assert c.set(26, NAME, BUFFER, octets(b"older"), client=17) == READ_WRITE_DENIED
    assert c.set(26, NAME, LENGTH, u32(9)) == READ_WRITE_DENIED
    assert c.act(26, NAME, 1) == OBJECT_UNDEFINED
    assert c.get(26, NAME, LENGTH, client=17) == 3
