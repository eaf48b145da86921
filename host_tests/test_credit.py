# SPDX-License-Identifier: MIT
"""cosem/credit.py: states by the table in its docstring, methods, and what can be set."""

import re

import pytest
from cosem import credit
from fakes import date_time, enum, i32, u8
from payment import (
    ACTIVE,
    EMERGENCY,
    ENABLED,
    EXHAUSTED,
    IN_USE,
    LEAST,
    MOST,
    NEW,
    OTHER_REASON,
    RESERVED,
    SELECTABLE,
    SELECTED,
    TYPE_UNMATCHED,
    UNSPECIFIED,
    Talk,
    account,
    emergency,
)
from payment import credit as token

AMOUNT, TYPE, PRIORITY, WARNING, LIMIT, CONFIGURATION, STATUS, PRESET, THRESHOLD, PERIOD = range(
    2, 12
)
UPDATE, SET_TO, INVOKE = 1, 2, 3
SPENT, TURN, NEAR, ASKS = 1, 2, 4, 8

# Letter -> from, to: as the docstring has them; and when, in the words of the docstring, again.
TABLE = {
    letter: (int(before), int(after))
    for letter, before, after in re.findall(
        r"^    ([A-J])  (\d) [a-z ]+-> (\d)", credit.__doc__, re.M
    )
}
WHEN = {
    "A": lambda c: c & NEAR and c & ASKS,
    "C": lambda c: c & TURN,
    "D": lambda c: c & SPENT,
    "E": lambda c: not c & SPENT,
    "F": lambda c: not c & NEAR,
    "G": lambda c: not c & NEAR,
    "H": lambda c: not c & TURN,
    "I": lambda c: c & TURN and not c & ASKS,
    "J": lambda c: c & NEAR and not c & ASKS,
}
# One that is its turn is near.
CONDITIONS = [c for c in range(16) if c & NEAR or not c & TURN]
# Where two rows fit: the first of the code's table.
FIRST = {frozenset("DH"): "D", frozenset("IJ"): "I"}


def expected(status, conditions):
    fit = {x for x in WHEN if TABLE[x][0] == status and WHEN[x](conditions)}
    if len(fit) > 1:
        fit = {FIRST[frozenset(fit)]}
    return TABLE[fit.pop()][1] if fit else -1


def test_the_table_is_whole():
    assert sorted(TABLE) == list("ABCDEFGHIJ")
    assert TABLE["B"] == (SELECTABLE, SELECTED)
    assert set(WHEN) == set(TABLE) - {"B"}


@pytest.mark.parametrize("status", range(5))
@pytest.mark.parametrize("conditions", CONDITIONS)
def test_every_status_in_all_conditions(status, conditions):
    assert credit.next_status(status, conditions) == expected(status, conditions)


@pytest.mark.parametrize("status", range(5))
@pytest.mark.parametrize("conditions", CONDITIONS)
def test_states_come_to_rest(status, conditions):
    """What changes is the status alone: it does not go round for ever."""
    seen = []
    while status >= 0:
        assert status not in seen
        seen.append(status)
        status = credit.next_status(status, conditions)


# --- In a meter -----------------------------------------------------------------------------


@pytest.fixture
def meter():
    return Talk(token(0, current_credit_amount=1000), emergency(1), account(2, 0))


def statuses(m):
    return m.status(0), m.status(1)


def test_a_life(meter):
    assert statuses(meter) == (IN_USE, ENABLED)
    meter.put(0, 100)
    assert statuses(meter) == (IN_USE, SELECTABLE)  # A
    meter.put(0, 101)
    assert statuses(meter) == (IN_USE, ENABLED)  # F
    meter.put(0, 99)
    assert meter.act(meter.credit(1), INVOKE) == 0
    assert meter.status(1) == SELECTED  # B, at once
    assert meter.amount(1) == 500
    meter.put(0, 200)
    assert statuses(meter) == (IN_USE, ENABLED)  # G
    meter.put(0, 50)
    assert meter.act(meter.credit(1), INVOKE) == 0
    assert meter.amount(1) == 500
    meter.put(0, 0)
    assert statuses(meter) == (EXHAUSTED, IN_USE)  # D, C
    meter.put(1, 0)
    assert statuses(meter) == (EXHAUSTED, EXHAUSTED)  # D
    meter.put(1, 1)
    assert statuses(meter) == (EXHAUSTED, SELECTABLE)  # E, A
    assert meter.act(meter.credit(1), INVOKE) == 0
    meter.run(1)
    assert (meter.amount(1), meter.status(1)) == (1, IN_USE)  # B, C: nothing is given again
    meter.put(0, 1000)
    assert statuses(meter) == (IN_USE, ENABLED)  # E, I, H


def test_what_need_not_be_confirmed_comes_by_itself():
    m = Talk(
        token(0, current_credit_amount=1000),
        token(1, credit_type=RESERVED, preset_credit_amount=30, credit_available_threshold=10),
        account(2, 0),
    )
    assert (m.status(1), m.amount(1)) == (ENABLED, 0)
    m.put(0, 10)
    assert (m.status(1), m.amount(1)) == (SELECTED, 30)  # J
    m.put(0, -5)
    assert statuses(m) == (EXHAUSTED, IN_USE)  # C
    n = Talk(token(0), token(1, current_credit_amount=5), account(2, 0))
    assert statuses(n) == (EXHAUSTED, IN_USE)  # I, D, I


def test_one_credit_is_in_use_the_first_by_priority():
    m = Talk(
        token(0, priority=7, current_credit_amount=5),
        token(1, priority=3, current_credit_amount=5),
        token(2, priority=3, current_credit_amount=5),
        account(3, 0),
    )
    assert [m.status(k) for k in range(3)] == [ENABLED, IN_USE, ENABLED]
    m.put(1, 0)
    assert [m.status(k) for k in range(3)] == [ENABLED, EXHAUSTED, IN_USE]
    m.put(2, -1)
    assert [m.status(k) for k in range(3)] == [IN_USE, EXHAUSTED, EXHAUSTED]
    assert m.set(m.credit(0), PRIORITY, u8(1)) == 0
    assert m.act(m.credit(1), UPDATE, i32(1)) == 0
    m.run(1)
    assert [m.status(k) for k in range(3)] == [IN_USE, ENABLED, EXHAUSTED]


def test_a_limit_below_zero_is_used_up_before_it_is_exhausted():
    m = Talk(token(0, limit=-100), account(1, 0))
    m.put(0, -99)
    assert m.status() == IN_USE
    m.put(0, -100)
    assert m.status() == EXHAUSTED
    assert m.set(m.credit(), LIMIT, i32(-101)) == 0
    m.run(1)
    assert m.status() == IN_USE


def test_nothing_happens_in_an_account_that_is_not_active():
    m = Talk(token(0, current_credit_amount=5), account(1, 0, status=NEW))
    m.run(100)
    assert m.status() == ENABLED


# --- Methods ---------------------------------------------------------------------------------


def test_amounts_are_updated_and_set_at_once(meter):
    row = meter.credit()
    assert meter.act(row, UPDATE, i32(-300)) == 0
    assert meter.amount() == 700
    assert meter.act(row, SET_TO, i32(LEAST)) == 0
    assert meter.amount() == LEAST
    assert meter.act(row, UPDATE, i32(MOST)) == 0
    assert meter.amount() == -1


@pytest.mark.parametrize(
    "method, data, before, result",
    [
        (UPDATE, i32(1), MOST, OTHER_REASON),
        (UPDATE, i32(-1), LEAST, OTHER_REASON),
        (UPDATE, i32(MOST), 1, OTHER_REASON),
        (UPDATE, u8(1), 5, TYPE_UNMATCHED),
        (UPDATE, i32(1)[:-1], 5, TYPE_UNMATCHED),
        (UPDATE, i32(1) + b"\0", 5, TYPE_UNMATCHED),
        (UPDATE, b"", 5, TYPE_UNMATCHED),
        (SET_TO, u8(1), 5, TYPE_UNMATCHED),
        (SET_TO, b"\0", 5, TYPE_UNMATCHED),
        (INVOKE, i32(0), 5, TYPE_UNMATCHED),
    ],
)
def test_what_a_method_refuses_changes_nothing(meter, method, data, before, result):
    meter.put(0, before)
    image = bytes(meter.model.image)
    assert meter.act(meter.credit(), method, data) == result
    assert meter.model.image == image


@pytest.mark.parametrize(
    "status, result, after",
    [
        (ENABLED, OTHER_REASON, ENABLED),
        (SELECTABLE, 0, SELECTED),
        (SELECTED, 0, SELECTED),
        (IN_USE, 0, IN_USE),
        (EXHAUSTED, OTHER_REASON, EXHAUSTED),
    ],
)
def test_invoke_credit_in_every_status(meter, status, result, after):
    at = meter.model.slot(meter.credit(1), STATUS) + 1
    meter.model.image[at] = status
    assert meter.act(meter.credit(1), INVOKE) == result
    assert meter.model.image[at] == after


def test_nothing_is_given_to_what_has_more_already(meter):
    meter.put(1, 600)
    meter.put(0, 50)
    assert meter.act(meter.credit(1), INVOKE) == 0
    assert meter.amount(1) == 600


# --- Attributes ------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "attribute, data, result",
    [
        (TYPE, enum(EMERGENCY), 0),
        (TYPE, enum(5), TYPE_UNMATCHED),
        (PRIORITY, u8(255), 0),
        (WARNING, i32(LEAST), 0),
        (LIMIT, i32(MOST), 0),
        (LIMIT, u8(1), TYPE_UNMATCHED),
        (CONFIGURATION, b"\x04\x05\xf8", 0),
        (CONFIGURATION, b"\x04\x08\xf8", TYPE_UNMATCHED),
        (PRESET, i32(MOST), 0),
        (PRESET, i32(-1), OTHER_REASON),
        (THRESHOLD, i32(-5), 0),
        (PERIOD, b"\x19" + date_time(0xFFFF, 0xFF, 1, 0, 0), 0),
        (PERIOD, b"\x19" + UNSPECIFIED, 0),
        (PERIOD, b"\x19" + date_time(2026, 13, 1, 0, 0), OTHER_REASON),
        (PERIOD, b"\x19" + date_time(2026, 1, 1, 24, 0), OTHER_REASON),
        (PERIOD, b"\x09\x0c" + UNSPECIFIED, TYPE_UNMATCHED),
        (AMOUNT, u8(1), TYPE_UNMATCHED),
    ],
)
def test_what_can_be_set(meter, attribute, data, result):
    image = bytes(meter.model.image)
    assert meter.set(meter.credit(1), attribute, data) == result
    if result:
        assert meter.model.image == image
    else:
        assert meter.get(meter.credit(1), attribute) == data


def test_it_survives_a_restart():
    m = Talk(token(0, current_credit_amount=1000), emergency(1), account(2, 0))
    m.put(0, 50)
    m.act(m.credit(1), INVOKE)
    m.put(0, 0)
    m.put(1, 123)
    again = m.restart()
    assert (statuses(again), again.amounts()) == ((EXHAUSTED, IN_USE), [0, 123])
    assert again.read(again.account, 2) == [2, ACTIVE]
