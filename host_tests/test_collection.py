# SPDX-License-Identifier: MIT
"""cosem/collection.py: what becomes due by consumption, time and payment, and from which credit it
is taken. Expected amounts are worked out by hand, or in fractions."""

import struct
from fractions import Fraction

import pytest
from fakes import array, enum, i16, octets, u32
from hypothesis import given, settings
from hypothesis import strategies as st
from payment import (
    BESIDE,
    CHARGE,
    CREDIT_MODE,
    ENERGY,
    LEAST,
    MOST,
    OTHER,
    PAYMENT,
    TIME,
    Raw,
    Talk,
    account,
    charge,
    credit,
    entry,
    names,
    pair,
    unit_charge,
)

CHARGES, PAIRS, MAX_PROVISION = 10, 11, 18
ACTIVE_UNIT_CHARGE, PASSIVE, PERIOD, LAST_TIME, LAST_AMOUNT, REMAINING = 5, 6, 8, 10, 11, 12
DAY = 86400


def ledger(m, k=0):
    """(remainder in 10**-12, what is due and not collected)."""
    at = m.model.state(m.charge(k), 0)
    return struct.unpack(">qq", m.model.image[at : at + 16])


def one(amount=1000, account_values=None, credits=1, beside=BESIDE, **values):
    lines = [credit(k, current_credit_amount=amount) for k in range(credits)]
    return Talk(*lines, charge(0, **values), account(credits, 1, **(account_values or {})),
                beside=beside)  # fmt: skip


def scaled(commodity_scale, price_scale, price, name=ENERGY):
    return Raw('[[%d, %d], [3, "%s", 2], [["", %d]]]' % (
        commodity_scale, price_scale, name, price))  # fmt: skip


# --- Consumption -----------------------------------------------------------------------------


def test_the_price_of_a_kilowatt_hour():
    """0.3125 EUR a kWh, in cents: a watt-hour is 1/32 of a cent."""
    m = one(unit_charge=scaled(3, -4, 3125))
    for k in range(1, 100):
        m.consume(1)
        assert m.paid() == k // 32
        assert m.amount() == 1000 - k // 32
        assert Fraction(ledger(m)[0], 10**12) == Fraction(k % 32, 32)
    assert m.number(m.charge(), LAST_AMOUNT) == 1
    assert m.get(m.charge(), LAST_TIME)[6:9] == bytes((12, 1, 37))


def test_what_is_there_at_the_start_is_nobodys():
    m = one(beside=BESIDE.replace("value = 0,\n     unit", "value = 7000,\n     unit"))
    assert m.number(m.energy, 2) == 7000
    assert m.paid() == 0
    m.consume(3)
    assert m.paid() == 3


@settings(deadline=None)
@given(st.lists(st.integers(0, 5000), max_size=6), st.integers(-32768, 32767), st.integers(-6, 6),
       st.integers(-5, 0))  # fmt: skip
def test_nothing_is_lost(portions, price, commodity_scale, price_scale):
    m = one(0)
    scales = {"commodity_scale": commodity_scale, "price_scale": price_scale}
    assert m.set(m.charge(), PASSIVE, unit_charge(entry(b"", price), **scales)) == 0
    assert m.act(m.charge(), 2) == 0
    m.run(1)
    total = Fraction(0)
    for wh in portions:
        m.consume(wh)
        total += wh * price * Fraction(10) ** (price_scale - commodity_scale + 2)
        remainder, due = ledger(m)
        assert 0 <= remainder < 10**12
        assert -m.amount() + due + Fraction(remainder, 10**12) == total


def test_a_register_with_a_scaler_and_a_sign():
    m = one(unit_charge=scaled(0, -2, 1, OTHER))
    row = m.row(3, OTHER)
    for value, amount in ((5, 950), (-3, 1030), (-32768, 328680), (32767, -326670)):
        at = m.model.slot(row, 2) + 1
        m.model.image[at : at + 2] = struct.pack(">h", value)
        m.run(1)
        assert m.amount() == amount


def test_a_register_goes_round():
    m = one()
    at = m.model.state(m.charge(), 0)
    m.model.image[at + 16 : at + 24] = b"\0\0\0\0\xff\xff\xff\xf0"  # seen last
    m.consume(4)
    assert m.paid() == 20


def test_a_register_that_is_set_back_takes_nothing_along():
    m = one()
    m.consume(500)
    slot = m.model.slot(m.energy, 2) + 1
    m.model.image[slot : slot + 4] = bytes(4)
    m.run(1)
    assert m.paid() == 500
    m.consume(3)
    assert m.paid() == 503


def test_consumption_is_collected_at_the_end_of_its_period():
    m = one(period=900)
    m.consume(10, 800)
    assert (m.paid(), ledger(m)) == (0, (0, 10))
    m.consume(5, 100)
    assert (m.local(), m.paid()) == ("2026-06-01 12:15:01", 15)
    m.consume(1, 800)
    assert m.paid() == 15
    assert m.act(m.account, 2) == 0  # closed: all of it, now
    m.run(1)
    assert m.paid() == 16


TARIFFS = (
    BESIDE
    + """
    {class = 6, obis = "0.0.14.0.0.255", register_assignment = [[3, "1.0.1.8.0.255"]],
     mask_list = [["DAY", [1]], ["NIGHT", [1]], ["OTHER", [1]]], active_mask = "DAY",
     capacity = {active_mask = 8}},
"""
)


def tariff(m, name):
    assert m.set(m.row(6, "0.0.14.0.0.255"), 4, octets(name)) == 0


def test_the_tariff_chooses_the_price():
    m = one(beside=TARIFFS, price='["", 1], ["DAY", 3], ["NIGHT", 2]')
    m.consume(10)
    assert m.paid() == 30
    tariff(m, b"NIGHT")
    m.consume(10)
    assert m.paid() == 50
    tariff(m, b"OTHER")
    m.consume(10)
    assert m.paid() == 60


def test_a_tariff_without_a_price_is_free():
    m = one(beside=TARIFFS, price='["NIGHT", 2]')
    m.consume(10)
    tariff(m, b"NIGHT")
    m.consume(1)
    assert m.paid() == 2


def test_a_period_has_the_prices_of_its_seconds():
    m = one(beside=TARIFFS, price='["DAY", 3], ["NIGHT", 2]', period=3600)
    m.consume(10)
    tariff(m, b"NIGHT")
    m.consume(10, 3600)
    assert m.paid() == 50


def test_new_scales_take_the_remainder_along():
    m = one(unit_charge=scaled(3, -2, 1))
    m.consume(999)
    assert (m.paid(), ledger(m)[0]) == (0, 999 * 10**9)
    new = unit_charge(entry(b"", 1), commodity_scale=1, price_scale=-3)
    assert m.set(m.charge(), PASSIVE, new) == 0
    assert m.act(m.charge(), 2) == 0
    m.run(1)
    m.consume(1)
    assert (m.paid(), ledger(m)[0]) == (1, 9 * 10**9)


def test_another_commodity_begins_where_it_stands():
    m = one()
    m.consume(700)
    other = unit_charge(entry(b"", 1), commodity=(3, OTHER, 2))
    assert m.set(m.charge(), PASSIVE, other) == 0
    assert m.act(m.charge(), 2) == 0
    m.run(2)
    assert m.paid() == 700
    at = m.model.slot(m.row(3, OTHER), 2) + 1
    m.model.image[at : at + 2] = struct.pack(">h", 3)
    m.run(1)
    assert m.paid() == 730


def test_what_is_consumed_while_nobody_charges_it_is_free():
    m = one()
    assert m.set(m.charge(), 3, enum(TIME)) == 0
    m.consume(50)
    assert m.set(m.charge(), 3, enum(0)) == 0
    m.run(1)
    m.consume(1)
    assert m.paid() == 1
    assert m.set(m.account, CHARGES, array()) == 0
    m.consume(50)
    assert m.set(m.account, CHARGES, names(CHARGE, 0)) == 0
    m.run(1)
    m.consume(1)
    assert m.paid() == 2
    again = m.restart()
    again.consume(1)
    assert again.paid() == 3


# --- Time ------------------------------------------------------------------------------------


def daily(**values):
    return one(charge_type=TIME, price=48, period=DAY, **values)


def test_a_standing_charge_is_collected_when_the_day_begins():
    m = daily()
    m.run(43198)
    assert (m.local(), m.paid()) == ("2026-06-01 23:59:59", 0)
    m.run(1)
    assert (m.local(), m.paid(), m.amount()) == ("2026-06-02 00:00:00", 48, 952)
    m.run(2 * DAY - 1, step=60)
    assert m.paid() == 96


def test_seconds():
    m = one(charge_type=TIME, period=7)
    m.run(700)
    assert m.paid() == 100


def test_after_a_power_failure_all_that_began_is_collected():
    m = daily()
    m.run(43200)
    m.clock.minute += 3 * 1440  # time goes on while there is no meter
    again = m.restart()
    assert again.paid() == 48 * 4


@pytest.mark.parametrize(
    "time, paid_then, paid_next",
    [
        ("2026-06-10 12:00:00", 96, 144),  # forward by days: the one that runs now
        ("2026-06-02 13:00:00", 48, 96),  # within the day
        ("2026-06-01 23:00:00", 48, 48),  # back over the boundary: not twice
        ("2026-05-20 12:00:00", 48, 48),  # back by days: it waits
        ("2026-02-01 12:00:00", 48, 96),  # back by months: the clock was wrong before
    ],
)
def test_a_clock_that_is_set(time, paid_then, paid_next):
    m = daily()
    m.run(43200)
    assert m.paid() == 48
    m.set_local(time)
    m.run(1)
    assert m.paid() == paid_then
    m.run(DAY, step=60)
    assert m.paid() == paid_next


def test_a_period_of_nothing_is_never():
    m = daily()
    assert m.set(m.charge(), PERIOD, u32(0)) == 0
    m.run(2 * DAY, step=60)
    assert m.paid() == 0
    assert m.set(m.charge(), PERIOD, u32(3600)) == 0
    m.run(1)
    assert m.paid() == 0
    m.run(3600)
    assert m.paid() == 48


# --- Payments --------------------------------------------------------------------------------


def debt(remaining, **values):
    values = {"charge_configuration": "10", "proportion": 2500, **values}
    return one(0, charge_type=PAYMENT, total_amount_remaining=remaining,
               account_values=values.pop("of_account", {}), **values)  # fmt: skip


def test_a_part_of_each_payment_until_nothing_remains():
    m = debt(300)
    assert m.accounting.pay(1000)
    assert (m.amount(), m.paid(), m.number(m.charge(), REMAINING)) == (750, 250, 50)
    assert m.number(m.account, 8) == 50
    assert m.accounting.pay(1000)
    assert (m.amount(), m.paid(), m.number(m.charge(), REMAINING)) == (1700, 300, 0)
    assert m.accounting.pay(1000)
    assert (m.amount(), m.paid()) == (2700, 300)


def test_parts_of_small_payments_add_up():
    m = debt(0, charge_configuration="11", proportion=3333)
    for _ in range(30):
        assert m.accounting.pay(1)
    assert m.paid() == 30 * 3333 // 10000
    assert Fraction(ledger(m)[0], 10**12) + m.paid() == Fraction(30 * 3333, 10000)
    assert m.number(m.charge(), REMAINING) == 0


def test_a_fixed_sum_of_each_payment():
    m = debt(100, charge_configuration="00", price=40)
    for amount, remaining in ((960, 60), (1920, 20), (2900, 0), (3900, 0)):
        assert m.accounting.pay(1000)
        assert (m.amount(), m.number(m.charge(), REMAINING)) == (amount, remaining)


def test_max_provision():
    m = debt(10000, of_account={"max_provision": 300, "max_provision_period": 3600})
    for paid in (250, 300, 300):
        assert m.accounting.pay(1000)
        assert m.paid() == paid
    assert m.number(m.charge(), REMAINING) == 9700
    m.run(3600)
    assert m.accounting.pay(1000)
    assert m.paid() == 550
    again = m.restart()
    assert again.accounting.pay(1000)
    assert again.paid() == 600


# --- From which credit -----------------------------------------------------------------------


def test_a_collection_is_not_divided():
    m = one(5, credits=2)
    m.consume(8)
    assert m.amounts() == [-3, 5]
    m.consume(2)
    assert m.amounts() == [-3, 3]


def test_charges_take_their_turn_by_priority():
    m = Talk(
        credit(0, current_credit_amount=5), credit(1, current_credit_amount=100),
        charge(0, 1, priority=9), charge(1, 6, priority=1), account(2, 2),
    )  # fmt: skip
    m.consume(1)
    assert m.amounts() == [-1, 99]
    m.consume(1)
    assert m.amounts() == [-1, 92]


def test_without_credit_the_first_one_pays():
    m = one(5, credits=2)
    m.consume(5)
    m.consume(5)
    assert m.amounts() == [0, 0]
    m.consume(7)
    assert m.amounts() == [-7, 0]


def configured(*pairs, mode=CREDIT_MODE):
    m = one(5, credits=2, account_values={"mode": mode})
    assert m.set(m.account, PAIRS, array(*pairs)) == 0
    m.run(1)
    return m


def test_a_charge_waits_for_a_credit_that_it_may_be_taken_from():
    m = configured(pair(1, 0, "100"))
    m.consume(3)
    assert (m.amounts(), ledger(m)) == ([5, 5], (0, 3))
    m.put(0, 0)
    m.run(1)
    assert (m.amounts(), m.paid(), ledger(m)) == ([0, 2], 3, (0, 0))
    m.consume(9)
    assert m.amounts() == [0, -7]
    m.consume(9)
    assert m.amounts() == [0, -16]


def test_bit_0_says_whether_it_is_collected_without_supply():
    m = configured(pair(0, 0, "011"))
    m.consume(1)
    assert m.amount() == 4
    control = m.row(70, "0.0.96.3.10.255")
    assert m.act(control, 1) == 0
    m.consume(1)
    assert (m.amount(), ledger(m)) == (4, (0, 1))
    assert m.act(control, 2) == 0
    m.model.handler("disconnect_control").manual_reconnect(control)
    m.run(1)
    assert (m.amount(), ledger(m)) == (3, (0, 0))


def test_what_does_not_fit_waits():
    m = one(LEAST + 5)
    m.consume(8)
    assert (m.amount(), m.paid(), ledger(m)) == (LEAST, 5, (0, 3))
    assert m.act(m.credit(), 1, b"\x05\0\0\0\x0a") == 0
    m.run(1)
    assert (m.amount(), m.paid(), ledger(m)) == (LEAST + 7, 8, (0, 0))
    n = one(MOST - 5, price=-2)
    n.consume(4)
    assert (n.amount(), n.paid(), ledger(n)) == (MOST, -5, (0, -3))


def test_no_consumption_is_so_large_that_it_becomes_a_gain():
    wide = BESIDE.replace('data_type = "double-long-unsigned"', 'data_type = "long64-unsigned"', 1)
    m = Talk(account(1, 1), credit(0, current_credit_amount=1000), charge(0, 30000), beside=wide)
    at = m.model.slot(m.energy, 2) + 1
    before = 1000
    for value in (10, 1 << 62, (1 << 63) + (1 << 62)):
        m.model.image[at : at + 8] = struct.pack(">Q", value)
        m.run(1)
        assert m.amount() < before or m.amount() == LEAST
        before = m.amount()
    assert ledger(m)[1] > 0  # what waits


def test_a_price_may_be_negative():
    m = one(price=-3)
    m.consume(10)
    assert (m.amount(), m.paid()) == (1030, -30)
    assert i16(-3) in m.get(m.charge(), ACTIVE_UNIT_CHARGE)


def test_what_remains_may_get_less_meanwhile():
    m = one(period=3600, charge_configuration="00", total_amount_remaining=50)
    m.consume(40, 60)
    assert m.act(m.charge(), 5, b"\x05\0\0\0\x0a") == 0
    m.run(3600)
    assert (m.paid(), m.number(m.charge(), REMAINING), ledger(m)) == (10, 0, (0, 0))
