# SPDX-License-Identifier: MIT
"""cosem/charge.py: values and methods of a charge. What is due: test_collection.py."""

import pytest
from fakes import array, date_time, enum, i32, octets, u8, u16, u32
from payment import (
    ENERGY,
    LEAST,
    MOST,
    OTHER_REASON,
    PAYMENT,
    TEMPORARY_FAILURE,
    TIME,
    TYPE_UNMATCHED,
    UNSPECIFIED,
    Talk,
    account,
    charge,
    credit,
    entry,
    unit_charge,
)

PAID, TYPE, PRIORITY, ACTIVE, PASSIVE, ACTIVATION, PERIOD, CONFIGURATION = range(2, 10)
LAST_TIME, LAST_AMOUNT, REMAINING, PROPORTION = range(10, 14)
UPDATE, ACTIVATE, COLLECT, UPDATE_REMAINING, SET_REMAINING = range(1, 6)

CONTINUOUS, ENDING, PERCENTAGE = "01", "00", "10"


@pytest.fixture
def meter():
    return Talk(credit(0), charge(0, '["A", 5], ["", 1]'), account(1, 1))


def one(**values):
    return Talk(credit(0, current_credit_amount=1000), charge(0, **values), account(1, 1))


def table(meter, attribute=PASSIVE):
    return meter.read(meter.charge(), attribute)[2]


# --- Unit charges ----------------------------------------------------------------------------


def test_a_passive_unit_charge_becomes_active(meter):
    new = unit_charge(entry(b"B", -7), commodity_scale=3, price_scale=-4)
    assert meter.set(meter.charge(), PASSIVE, new) == 0
    assert table(meter, ACTIVE) == [[b"A", 5], [b"", 1]]
    assert meter.act(meter.charge(), ACTIVATE) == 0
    assert meter.get(meter.charge(), ACTIVE) == new


def test_prices_are_updated_and_added(meter):
    assert meter.act(meter.charge(), UPDATE, array(entry(b"", 9), entry(b"B", -3))) == 0
    assert table(meter) == [[b"A", 5], [b"", 9], [b"B", -3]]
    assert table(meter, ACTIVE) == [[b"A", 5], [b"", 1]]
    assert meter.act(meter.charge(), UPDATE, array()) == 0
    assert meter.act(meter.charge(), ACTIVATE) == 0
    assert table(meter, ACTIVE) == [[b"A", 5], [b"", 9], [b"B", -3]]


@pytest.mark.parametrize(
    "data, result",
    [
        (array(entry(b"C" * 40, 1), entry(b"D" * 40, 1)), OTHER_REASON),  # no room for both
        (array(entry(b"A", 1), entry(b"A", 2)), OTHER_REASON),  # twice
        (array(*[entry(b"%d" % k, k) for k in range(128)]), TYPE_UNMATCHED),  # a longer count
        (entry(b"A", 1), TYPE_UNMATCHED),
        (array(u8(1)), TYPE_UNMATCHED),
        (array(entry(b"A", 1)[:-1]), TYPE_UNMATCHED),
        (b"", TYPE_UNMATCHED),
    ],
)
def test_prices_that_cannot_be_updated(meter, data, result):
    image = bytes(meter.model.image)
    assert meter.act(meter.charge(), UPDATE, data) == result
    assert meter.model.image == image


@pytest.mark.parametrize(
    "data, result",
    [
        (unit_charge(entry(b"A", 32767), commodity_scale=12), 0),
        (unit_charge(entry(b"A", 1), commodity_scale=13), OTHER_REASON),
        (unit_charge(entry(b"A", 1), price_scale=10), 0),
        (unit_charge(entry(b"A", 1), price_scale=11), OTHER_REASON),
        (unit_charge(entry(b"A", 1), commodity_scale=-12), 0),
        (unit_charge(entry(b"A", 1), commodity_scale=-13), OTHER_REASON),
        (unit_charge(entry(b"A", 1), price_scale=-14), 0),
        (unit_charge(entry(b"A", 1), price_scale=-15), OTHER_REASON),
        (unit_charge(entry(b"A", 1), commodity_scale=127, price_scale=-128), OTHER_REASON),
        (unit_charge(), 0),
        (unit_charge(entry(b"A", 1), entry(b"A", 1)), OTHER_REASON),
        (unit_charge(entry(b"A" * 120, 1)), OTHER_REASON),  # capacity
        (unit_charge(commodity=(0, "0.0.0.0.0.0", 0)), 0),
        (unit_charge(commodity=(3, "1.0.1.8.9.255", 2)), OTHER_REASON),  # no such object
        (unit_charge(commodity=(1, ENERGY, 2)), OTHER_REASON),  # of another class
        (unit_charge(commodity=(3, ENERGY, 1)), OTHER_REASON),  # a name
        (unit_charge(commodity=(3, ENERGY, 3)), OTHER_REASON),  # a structure
        (unit_charge(commodity=(3, ENERGY, 4)), OTHER_REASON),  # no such attribute
        (unit_charge(commodity=(8, "0.0.1.0.0.255", 2)), OTHER_REASON),  # computed
        (unit_charge(commodity=(8, "0.0.1.0.0.255", 3)), 0),
        (array(entry(b"A", 1)), TYPE_UNMATCHED),
        (unit_charge(entry(b"A", 1)) + b"\0", TYPE_UNMATCHED),
        (unit_charge(entry(b"A", 1))[:-1], TYPE_UNMATCHED),
    ],
)
def test_what_a_passive_unit_charge_can_be(meter, data, result):
    image = bytes(meter.model.image)
    assert meter.set(meter.charge(), PASSIVE, data) == result
    if result:
        assert meter.model.image == image


def test_the_scaler_of_the_register_counts(meter):
    """1.0.2.8.0 has scaler 1: the last price_scale of above is one too many."""
    assert meter.set(meter.charge(), PASSIVE, unit_charge(price_scale=10)) == 0
    other = unit_charge(price_scale=10, commodity=(3, "1.0.2.8.0.255", 2))
    assert meter.set(meter.charge(), PASSIVE, other) == OTHER_REASON


def test_what_is_active_has_no_room(meter):
    row = meter.charge()
    model = meter.model
    e = model.shape(row, ACTIVE) + 4
    shapes = bytearray(model.shapes)
    model.shapes = shapes
    assert meter.act(row, UPDATE, array(entry(b"0123456789", 1))) == 0
    n = model.value_len(row, PASSIVE)
    own = model.shape(row, PASSIVE)
    assert own == model.shape(row, ACTIVE)  # one shape: make the capacity of both too small
    shapes[e - 1], shapes[e] = 0, n - 1
    image = bytes(model.image)
    assert meter.act(row, ACTIVATE) == OTHER_REASON
    assert model.image == image


# --- Activation by time ----------------------------------------------------------------------


def test_new_prices_come_at_their_time_once():
    m = one()
    assert m.set(m.charge(), PASSIVE, unit_charge(entry(b"", 2))) == 0
    soon = octets(date_time(2026, 6, 1, 12, 2, 0))
    assert m.set(m.charge(), ACTIVATION, soon) == 0
    m.consume(10, 118)
    assert (m.local(), m.paid()) == ("2026-06-01 12:01:59", 10)
    m.consume(10, 2)
    assert m.paid() == 20
    m.consume(10)
    assert m.paid() == 40
    assert m.set(m.charge(), PASSIVE, unit_charge(entry(b"", 50))) == 0
    m.consume(1, 200)
    assert m.paid() == 42
    again = m.restart()
    again.consume(1, 200)
    assert again.paid() == 44
    # A time that has gone by is one that has come.
    assert again.set(again.charge(), ACTIVATION, soon) == 0
    again.run(1)
    again.consume(1)
    assert again.paid() == 94


@pytest.mark.parametrize(
    "time, result",
    [
        (octets(date_time(2026, 6, 1, 12, 2, 0)), 0),
        (octets(UNSPECIFIED), 0),
        (octets(date_time(2026, 6, 31, 12, 2, 0)), OTHER_REASON),
        (octets(date_time(0xFFFF, 6, 1, 12, 2, 0)), OTHER_REASON),
        (octets(date_time(2026, 6, 1, 12, 2, 255)), OTHER_REASON),
        (octets(date_time(2026, 6, 1, 12, 2, 0, deviation=2000)), OTHER_REASON),
        (octets(UNSPECIFIED[:-1]), TYPE_UNMATCHED),
        (b"\x19" + UNSPECIFIED, TYPE_UNMATCHED),
    ],
)
def test_times_that_can_be_set(meter, time, result):
    image = bytes(meter.model.image)
    assert meter.set(meter.charge(), ACTIVATION, time) == result
    if result:
        assert meter.model.image == image


# --- Methods ---------------------------------------------------------------------------------


def test_collect_collects_once_more_for_a_period():
    m = one(charge_type=TIME, price=7)
    assert m.act(m.charge(), COLLECT) == 0
    assert m.act(m.charge(), COLLECT) == 0
    assert m.paid() == 0
    m.run(1)
    assert (m.paid(), m.amount()) == (14, 986)
    m.run(100)
    assert m.paid() == 14


def test_collect_collects_once_more_for_a_payment():
    m = one(charge_type=PAYMENT, price=7)
    assert m.act(m.charge(), COLLECT) == 0
    m.run(1)
    assert m.paid() == 7


@pytest.mark.parametrize(
    "values", [{"charge_type": 0}, {"charge_type": PAYMENT, "charge_configuration": PERCENTAGE}]
)
def test_what_cannot_be_collected_by_hand(values):
    m = one(**values)
    assert m.act(m.charge(), COLLECT) == OTHER_REASON


def test_collect_is_counted_as_far_as_there_is_room():
    m = one(charge_type=TIME)
    for _ in range(255):
        assert m.act(m.charge(), COLLECT) == 0
    assert m.act(m.charge(), COLLECT) == TEMPORARY_FAILURE
    m.run(1)
    assert m.paid() == 255


@pytest.mark.parametrize(
    "before, method, data, result, after",
    [
        (100, UPDATE_REMAINING, i32(-100), 0, 0),
        (100, UPDATE_REMAINING, i32(-101), OTHER_REASON, 100),
        (100, UPDATE_REMAINING, i32(LEAST), OTHER_REASON, 100),
        (100, UPDATE_REMAINING, i32(MOST), OTHER_REASON, 100),
        (100, UPDATE_REMAINING, i32(MOST - 100), 0, MOST),
        (100, SET_REMAINING, i32(0), 0, 0),
        (100, SET_REMAINING, i32(MOST), 0, MOST),
        (100, SET_REMAINING, i32(-1), OTHER_REASON, 100),
        (100, SET_REMAINING, u32(1), TYPE_UNMATCHED, 100),
        (100, UPDATE_REMAINING, b"", TYPE_UNMATCHED, 100),
    ],
)
def test_total_amount_remaining(before, method, data, result, after):
    m = one(charge_type=PAYMENT, charge_configuration=ENDING, total_amount_remaining=before)
    assert m.act(m.charge(), method, data) == result
    assert m.number(m.charge(), REMAINING) == after
    m.run(1)
    assert m.number(m.account, 8) == after  # aggregated_debt


@pytest.mark.parametrize("method", [UPDATE_REMAINING, SET_REMAINING])
def test_nothing_remains_of_what_never_ends(method):
    m = one()
    assert m.act(m.charge(), method, i32(5)) == OTHER_REASON
    assert m.number(m.charge(), REMAINING) == 0


# --- Attributes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attribute, data, result",
    [
        (TYPE, enum(2), 0),
        (TYPE, enum(3), TYPE_UNMATCHED),
        (PRIORITY, u8(9), 0),
        (PERIOD, u32(0xFFFFFF), 0),
        (PERIOD, u32(0x1000000), OTHER_REASON),
        (PERIOD, u16(5), TYPE_UNMATCHED),
        (CONFIGURATION, b"\x04\x02\xc0", 0),
        (CONFIGURATION, b"\x04\x03\xc0", TYPE_UNMATCHED),
        (PROPORTION, u16(10000), 0),
        (PROPORTION, u16(10001), OTHER_REASON),
        (PROPORTION, u8(1), TYPE_UNMATCHED),
    ],
)
def test_what_can_be_set(meter, attribute, data, result):
    image = bytes(meter.model.image)
    assert meter.set(meter.charge(), attribute, data) == result
    if result:
        assert meter.model.image == image
    else:
        assert meter.get(meter.charge(), attribute) == data
