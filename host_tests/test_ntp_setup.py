# SPDX-License-Identifier: MIT
"""lib/cosem/ntp_setup.py as a client sees it, through the model."""

import fakes
import pytest
from fakes import array, boolean, enum, octets, struct_, u16, u32

SETUP = "0.0.25.10.0.255"
ACTIVATED, ADDRESS, PORT, METHOD, KEYS = 2, 3, 4, 5, 6
SYNCHRONIZE, ADD, DELETE = 1, 2, 3
READ_WRITE_DENIED, OBJECT_UNDEFINED, TYPE_UNMATCHED, OTHER_REASON = 3, 4, 12, 250

LINES = (
    """
    {class = 100, obis = "%s", server_address = "192.0.2.1", server_port = 123,
     capacity = {authentication_keys = "64 octets", server_address = 40}},
"""
    % SETUP
)


def key(number, octets_):
    return struct_(u32(number), octets(octets_))


class Meter(fakes.Meter):
    def __init__(self, lines=LINES, head=fakes.HEAD):
        super().__init__(lines, head)
        self.at = self.row(100, SETUP)
        self.handler = self.model.handler("ntp_setup")


def test_synchronize_is_for_an_object_that_is_on():
    m = Meter()
    assert m.act(m.at, SYNCHRONIZE) == OTHER_REASON and not m.handler.asked
    assert m.set(m.at, ACTIVATED, boolean(True)) == 0
    assert m.act(m.at, SYNCHRONIZE) == 0
    assert m.handler.asked == 2 and m.setups == [m.at] * 2
    assert m.set(m.at, PORT, u16(0)) == 0
    assert m.act(m.at, SYNCHRONIZE) == OTHER_REASON
    assert m.set(m.at, PORT, u16(123)) == 0 and m.set(m.at, ADDRESS, octets(b"")) == 0
    assert m.act(m.at, SYNCHRONIZE) == OTHER_REASON


def test_keys_come_and_go():
    m = Meter()
    assert m.act(m.at, ADD, key(7, b"seven")) == 0
    assert m.act(m.at, ADD, key(0xFFFFFFFF, b"most")) == 0
    assert m.get(m.at, KEYS) == array(key(7, b"seven"), key(0xFFFFFFFF, b"most"))
    assert m.act(m.at, ADD, key(7, b"other")) == OTHER_REASON
    assert m.act(m.at, ADD, key(8, b"")) == OTHER_REASON
    assert m.act(m.at, ADD, key(8, b"x" * 60)) == OTHER_REASON  # no room
    assert m.act(m.at, DELETE, u32(8)) == OBJECT_UNDEFINED
    assert m.act(m.at, DELETE, u32(7)) == 0
    assert m.get(m.at, KEYS) == array(key(0xFFFFFFFF, b"most"))
    assert m.act(m.at, DELETE, u32(0xFFFFFFFF)) == 0
    assert m.get(m.at, KEYS) == array()


@pytest.mark.parametrize(
    "attribute, data, result",
    [
        (METHOD, enum(0), 0),
        (METHOD, enum(1), 0),
        (METHOD, enum(2), OTHER_REASON),  # autokey: the meter has none
        (METHOD, enum(3), TYPE_UNMATCHED),
        (PORT, u32(123), TYPE_UNMATCHED),
        (ADDRESS, octets(b"time.example"), 0),
        (ADDRESS, octets(b"x" * 41), OTHER_REASON),
        (KEYS, array(key(1, b"one"), key(2, b"two")), 0),
        (KEYS, array(key(1, b"one"), key(1, b"two")), OTHER_REASON),
        (KEYS, array(key(1, b"")), OTHER_REASON),
        (KEYS, array(u32(1)), TYPE_UNMATCHED),
    ],
)
def test_what_may_be_set(attribute, data, result):
    m = Meter()
    before = m.get(m.at, attribute)
    assert m.set(m.at, attribute, data) == result
    assert m.get(m.at, attribute) == (before if result else data)
    assert len(m.setups) == (not result)


@pytest.mark.parametrize(
    "method, data",
    [
        (ADD, u32(1)),
        (ADD, struct_(u32(1))),
        (ADD, struct_(u16(1), octets(b"k"))),
        (DELETE, u16(1)),
    ],
)
def test_parameters_of_another_type(method, data):
    m = Meter()
    image = bytes(m.model.image)
    assert m.act(m.at, method, data) == TYPE_UNMATCHED
    assert bytes(m.model.image) == image and not m.setups


def test_keys_in_rom_stay():
    head = fakes.HEAD.replace("[access]", '[access]\nkeys = {client = "r x"}')
    m = Meter(LINES.replace("class = 100,", 'class = 100, access = "keys",'), head)
    assert m.act(m.at, ADD, key(1, b"one")) == READ_WRITE_DENIED


def test_the_first_object_is_the_one_that_is_used():
    second = '    {class = 100, obis = "0.0.25.10.1.255"},\n'
    m = Meter(LINES + second)
    assert m.handler.row == m.at
