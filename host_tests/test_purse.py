# SPDX-License-Identifier: MIT
"""cosem/purse.py: what becomes of the amount of a credit. Its states: test_credit.py; payments:
test_accounting.py."""

import pytest
from cosem.purse import Purse, _latest
from payment import MOST, Talk, account, emergency
from payment import credit as token

PAY_BACK = "00100"


def purse(amount, given=False, **values):
    m = Talk(emergency(0, current_credit_amount=amount, **values), account(1, 0))
    row = m.credit()
    m.model.image[m.model.state(row, 0)] = given
    m.model.put_int(row, 2, amount)
    return Purse(m.model, row, 0)


@pytest.mark.parametrize(
    "amount, given, configuration, owed",
    [
        (0, False, PAY_BACK, 0),
        (0, True, PAY_BACK, 500),
        (-3, True, PAY_BACK, 503),
        (499, True, PAY_BACK, 1),
        (500, True, PAY_BACK, 0),
        (900, True, PAY_BACK, 0),
        (0, True, "00001", 0),
    ],
)
def test_what_is_owed(amount, given, configuration, owed):
    assert purse(amount, given, credit_configuration=configuration).owed() == owed


@pytest.mark.parametrize(
    "amount, configuration, part, room",
    [
        (100, "00101", 0, 400),
        (100, "00101", 150, 250),
        (100, "00101", 400, 0),
        (100, "00001", 0, MOST - 100),
        (100, "00001", 50, MOST - 150),
        (-100, "00001", 0, MOST),
        (100, "00000", 0, 0),
    ],
)
def test_room_for_a_payment(amount, configuration, part, room):
    assert purse(amount, True, credit_configuration=configuration).room(part) == room


# --- Period ----------------------------------------------------------------------------------


def monthly(**values):
    values = {"preset_credit_amount": 300, "period": "*-*-01 00:30:00", **values}
    values = {"credit_type": 3, "credit_configuration": "00010", **values}
    return Talk(
        token(0, current_credit_amount=7, **values),
        account(1, 0),
        start="2026-06-30 23:58:00",
    )


def test_an_amount_begins_anew_with_its_period():
    m = monthly()
    m.run(31 * 60)
    assert (m.local(), m.amount()) == ("2026-07-01 00:29:01", 7)
    m.run(59)
    assert m.amount() == 300
    m.put(0, 5)
    m.run(3600)
    assert m.amount() == 5


@pytest.mark.parametrize(
    "values",
    [{"credit_configuration": "00000"}, {"period": "*"}, {"period": "2027-07-01 00:30:00"}],
)
def test_what_does_not_begin_anew(values):
    m = monthly(**values)
    m.run(3600)
    assert m.amount() == 7


def test_a_period_is_not_had_twice():
    m = monthly()
    m.run(33 * 60)
    m.put(0, 5)
    m.set_local("2026-07-01 00:29:00")
    m.run(120)
    assert m.amount() == 5
    again = m.restart()
    again.set_local("2026-07-01 00:29:00")
    again.run(120)
    assert again.amount() == 5


def test_a_slow_loop_sees_a_minute_that_has_gone_by():
    m = monthly()
    m.run(5000, step=5000)
    assert m.amount() == 300


@pytest.mark.parametrize(
    "period, days, amount",
    [
        ("*-*-01 00:30:00", 0, 7),
        ("*-*-01 00:30:00", 1, 300),
        ("*-*-01 00:30:00", 40, 300),
        ("*-*-01 00:30:00", 62, 300),
        ("*-*-02 00:30:00", 1, 7),
        ("*-*-* *:30:00", 1, 300),
        ("*-*-01 *:*:00", 1, 300),
        ("*-*-last 23:57:00", 1, 7),
        ("2026-08-05 12:00:00", 30, 7),
        ("2026-08-05 12:00:00", 37, 300),
        ("2026-07-01 12:00:00", 70, 7),  # too long ago
    ],
)
def test_a_period_that_begins_without_power(period, days, amount):
    m = monthly(period=period)
    assert m.local() == "2026-06-30 23:58:01"
    m.clock.minute += days * 1440  # time goes on while there is no meter
    assert m.restart().amount() == amount


def test_a_clock_that_is_set_back_gives_nothing():
    m = monthly()
    m.run(40 * 60)
    assert m.amount() == 300
    m.put(0, 5)
    m.set_local("2026-06-30 23:00:00")
    m.run(7200)
    assert m.amount() == 5


@pytest.mark.parametrize("hour", [0, 13, 23, 0xFF])
@pytest.mark.parametrize("minute", [0, 17, 59, 0xFF])
def test_the_latest_minute_of_a_day(hour, minute):
    for top in [*range(0, 1440, 97), *range(770, 800), 1438, 1439]:
        fits = [
            m
            for m in range(top + 1)
            if hour in (m // 60, 0xFF) and minute in (m % 60, 0xFF)
        ]  # fmt: skip
        found = _latest(top, hour, minute)
        assert found == fits[-1] if fits else found < 0
