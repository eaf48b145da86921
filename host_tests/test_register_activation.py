# SPDX-License-Identifier: MIT
"""cosem/register_activation.py: which registers count."""

import pytest
import timed
from fakes import CLOCK, Meter, array, obis, octets, struct_, u8, u16
from served import Served

sleep = timed.sleep  # a fixture

ASSIGNMENT, MASKS, ACTIVE = 2, 3, 4
ADD_REGISTER, ADD_MASK, DELETE_MASK = 1, 2, 3
OBJECT_UNDEFINED, TYPE_UNMATCHED, OTHER_REASON = 4, 12, 250

RATES = ["1.0.1.8.1.255", "1.0.1.8.2.255", "1.0.1.8.3.255"]
TOTAL = "1.0.1.8.0.255"

OBJECTS = (
    CLOCK
    + "".join(
        """
    {class = 3, obis = "%s", data_type = "double-long-unsigned", value = 0, scaler = 0,
     unit = "Wh"},
"""
        % name
        for name in [TOTAL, *RATES]
    )
    + """
    {class = 6, obis = "0.0.14.0.0.255",
     register_assignment = [[3, "1.0.1.8.1.255"], [3, "1.0.1.8.2.255"]],
     mask_list = [["R1", [1]], ["R2", [2]], ["both", [1, 2]]], active_mask = "R1",
     capacity = {register_assignment = 3, mask_list = "60 octets", active_mask = 8}},
"""
)


@pytest.fixture
def meter():
    m = Meter(OBJECTS)
    m.object = m.row(6, "0.0.14.0.0.255")
    m.activation = m.model.handler("register_activation")
    m.counting = lambda: [counts(m, m.row(3, name)) for name in [TOTAL, *RATES]]
    return m


def counts(meter, row):
    meter.activation.tick(0)
    return meter.model.counting[row >> 3] >> (row & 7) & 1 == 1


def register(name, class_id=3):
    return struct_(u16(class_id), octets(obis(name)))


def mask(name, *indexes):
    return struct_(octets(name), array(*map(u8, indexes)))


def test_the_active_mask_says_which_registers_count(meter):
    assert meter.counting() == [True, True, False, True]
    assert meter.set(meter.object, ACTIVE, octets(b"R2")) == 0
    assert meter.counting() == [True, False, True, True]
    assert meter.set(meter.object, ACTIVE, octets(b"both")) == 0
    assert meter.counting() == [True, True, True, True]
    assert meter.set(meter.object, ACTIVE, octets(b"")) == 0
    assert meter.counting() == [True, False, False, True]


def test_a_mask_that_is_not_there_cannot_be_active(meter):
    assert meter.set(meter.object, ACTIVE, octets(b"R3")) == OTHER_REASON
    assert meter.set(meter.object, ACTIVE, octets(b"R")) == OTHER_REASON
    assert meter.counting() == [True, True, False, True]


def test_a_register_is_added_and_a_mask_for_it(meter):
    assert meter.act(meter.object, ADD_REGISTER, register(RATES[2])) == 0
    assert meter.read(meter.object, ASSIGNMENT)[2] == [3, obis(RATES[2])]
    assert meter.counting() == [True, True, False, False]
    assert meter.act(meter.object, ADD_MASK, mask(b"R3", 3, 1)) == 0
    assert meter.set(meter.object, ACTIVE, octets(b"R3")) == 0
    assert meter.counting() == [True, True, False, True]


@pytest.mark.parametrize(
    "data, result",
    [
        (register(RATES[0]), OTHER_REASON),
        (register("1.0.2.8.0.255"), OBJECT_UNDEFINED),
        (register(RATES[2], 4), OBJECT_UNDEFINED),
        (register("0.0.1.0.0.255", 8), OTHER_REASON),
        (struct_(u16(3), octets(b"12345")), TYPE_UNMATCHED),
        (u8(1), TYPE_UNMATCHED),
        (b"", TYPE_UNMATCHED),
    ],
)
def test_registers_that_cannot_be_added(meter, data, result):
    before = meter.get(meter.object, ASSIGNMENT)
    assert meter.act(meter.object, ADD_REGISTER, data) == result
    assert meter.get(meter.object, ASSIGNMENT) == before


def test_the_assignment_is_full(meter):
    assert meter.act(meter.object, ADD_REGISTER, register(RATES[2])) == 0
    assert meter.act(meter.object, ADD_REGISTER, register(TOTAL)) == OTHER_REASON


def test_a_mask_of_the_same_name_is_replaced(meter):
    assert meter.act(meter.object, ADD_MASK, mask(b"R1", 2)) == 0
    assert meter.read(meter.object, MASKS) == [[b"R2", [2]], [b"both", [1, 2]], [b"R1", [2]]]
    assert meter.counting() == [True, False, True, True]


@pytest.mark.parametrize(
    "data, result",
    [
        (mask(b"R4", 3), OTHER_REASON),
        (mask(b"R4", 0), OTHER_REASON),
        (mask(b"R1", 1, 3), OTHER_REASON),
        (mask(b"a name that is too long for the room", 1), OTHER_REASON),
        (mask(b"R4", 1)[:-1], TYPE_UNMATCHED),
        (struct_(octets(b"R4"), array(u16(1))), TYPE_UNMATCHED),
        (octets(b"R4"), TYPE_UNMATCHED),
    ],
)
def test_masks_that_cannot_be_added(meter, data, result):
    before = meter.get(meter.object, MASKS)
    assert meter.act(meter.object, ADD_MASK, data) == result
    assert meter.get(meter.object, MASKS) == before
    assert meter.counting() == [True, True, False, True]


def test_a_mask_is_deleted_but_not_the_active_one(meter):
    assert meter.act(meter.object, DELETE_MASK, octets(b"R2")) == 0
    assert meter.read(meter.object, MASKS) == [[b"R1", [1]], [b"both", [1, 2]]]
    assert meter.act(meter.object, DELETE_MASK, octets(b"R2")) == OTHER_REASON
    assert meter.act(meter.object, DELETE_MASK, octets(b"R1")) == OTHER_REASON
    assert meter.act(meter.object, DELETE_MASK, u8(1)) == TYPE_UNMATCHED
    assert meter.read(meter.object, MASKS) == [[b"R1", [1]], [b"both", [1, 2]]]


def test_a_mask_list_is_checked(meter):
    def set_masks(*masks):
        return meter.set(meter.object, MASKS, array(*masks))

    assert set_masks(mask(b"R1", 2)) == 0
    assert meter.counting() == [True, False, True, True]
    assert set_masks(mask(b"R1", 3)) == OTHER_REASON
    assert set_masks(mask(b"R1", 1), mask(b"R1", 2)) == OTHER_REASON
    # The active mask may be gone: then nothing counts.
    assert set_masks(mask(b"R9", 1)) == 0
    assert meter.counting() == [True, False, False, True]


def test_a_register_assignment_is_checked(meter):
    def set_registers(*registers):
        return meter.set(meter.object, ASSIGNMENT, array(*registers))

    assert set_registers(register(RATES[2]), register(RATES[1])) == 0
    assert meter.counting() == [True, True, False, True]
    assert set_registers(register(RATES[2]), register(RATES[2])) == OTHER_REASON
    assert set_registers(register("1.0.2.8.0.255"), register(RATES[1])) == OBJECT_UNDEFINED
    # The masks name a second register.
    assert set_registers(register(RATES[2])) == OTHER_REASON


def test_after_power_up_it_is_as_it_was(meter):
    assert meter.set(meter.object, ACTIVE, octets(b"R2")) == 0
    again = meter.restart()
    again.activation = again.model.handler("register_activation")
    assert [counts(again, meter.row(3, name)) for name in RATES] == [False, True, True]


def test_a_conversation():
    c = Served(OBJECTS)
    about = (6, "0.0.14.0.0.255")
    assert c.get(*about, ACTIVE) == b"R1"
    assert c.act(*about, ADD_REGISTER, register(RATES[2])) == 0
    assert c.act(*about, ADD_MASK, mask(b"R3", 3)) == 0
    assert c.set(*about, ACTIVE, octets(b"R3"), client=17) == 3
    assert c.set(*about, ACTIVE, octets(b"R4")) == OTHER_REASON
    assert c.set(*about, ACTIVE, octets(b"R3")) == 0
    assert c.act(*about, DELETE_MASK, octets(b"R3")) != 0  # it is active
    assert c.act(*about, DELETE_MASK, octets(b"both")) == 0
    assert c.get(*about, MASKS, client=17) == [[b"R1", [1]], [b"R2", [2]], [b"R3", [3]]]
    assert [name for _, name in c.get(*about, ASSIGNMENT)] == [obis(name) for name in RATES]
    assert c.get(*about, ACTIVE) == b"R3"
