# SPDX-License-Identifier: MIT
"""cosem/register.py: reset of Register and Extended register."""

import pytest
from fakes import CLOCK, Meter, i8, u8, u16, u32
from served import Served

READ_WRITE_DENIED, OBJECT_UNDEFINED, TYPE_UNMATCHED = 3, 4, 12

OBJECTS = (
    CLOCK
    + """
    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long-unsigned", value = 77, scaler = 0,
     unit = "Wh", ram = ["value"]},
    {class = 3, obis = "1.0.2.8.0.255", scaler = 0, unit = "Wh"},
    {class = 3, obis = "1.0.3.8.0.255", data_type = "octet-string", value = "abc", scaler = 0,
     unit = "Wh", ram = ["value"]},
    {class = 4, obis = "1.0.1.6.0.255", data_type = "long64", value = -5, scaler = 0, unit = "W",
     data_types = {status = "unsigned"}, status = 3, ram = ["value", "status", "capture_time"]},
"""
)


@pytest.fixture
def meter():
    m = Meter(OBJECTS)
    m.set_local("2026-06-15 12:34:56")
    return m


def test_reset_of_a_register(meter):
    row = meter.row(3, "1.0.1.8.0.255")
    assert meter.act(row, 1) == 0
    assert meter.get(row, 2) == b"\x06\0\0\0\0"


def test_reset_of_a_string(meter):
    row = meter.row(3, "1.0.3.8.0.255")
    assert meter.act(row, 1) == 0
    assert meter.get(row, 2) == b"\x09\x00"


def test_reset_of_an_extended_register(meter):
    row = meter.row(4, "1.0.1.6.0.255")
    assert meter.act(row, 1) == 0
    assert meter.get(row, 2) == b"\x14" + bytes(8)
    assert meter.get(row, 4) == b"\x11\x00"
    assert meter.read(row, 5) == bytes(meter.clock.local)


def test_a_value_that_is_not_in_the_image_stays(meter):
    row = meter.row(3, "1.0.2.8.0.255")
    assert meter.act(row, 1) == 3
    assert meter.read(row, 2) is None


def test_the_program_is_told(meter):
    told = []
    meter.model.handler("register").on_reset = told.append
    row = meter.row(3, "1.0.1.8.0.255")
    meter.act(row, 1)
    assert told == [row]


def test_no_other_method(meter):
    assert meter.act(meter.row(3, "1.0.1.8.0.255"), 2) == 4


def test_a_conversation():
    c = Served(OBJECTS)
    energy, peak = (3, "1.0.1.8.0.255"), (4, "1.0.1.6.0.255")
    assert (c.get(*energy, 2), c.get(*energy, 3)) == (77, [0, 30])
    assert c.set(*energy, 2, u32(5), client=17) == READ_WRITE_DENIED
    assert c.set(*energy, 3, b"\x02\x02" + i8(0) + b"\x16\x1e") == READ_WRITE_DENIED
    assert c.act(*energy, 1, u8(0)) == TYPE_UNMATCHED and c.get(*energy, 2) == 77
    assert c.act(*energy, 1, client=17) == 0 and c.get(*energy, 2) == 0
    assert [c.get(*peak, k) for k in (2, 3, 4)] == [-5, [0, 27], 3]
    assert c.act(*peak, 1, u16(0)) == TYPE_UNMATCHED and c.get(*peak, 2) == -5
    assert c.act(*peak, 1) == 0 and [c.get(*peak, k) for k in (2, 4)] == [0, 0]
    assert len(c.get(*peak, 5)) == 12
    assert c.get(*peak, 6) == [OBJECT_UNDEFINED]
