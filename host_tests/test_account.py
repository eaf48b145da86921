# SPDX-License-Identifier: MIT
"""cosem/account.py: the life of an account by the table in its docstring, and what can be set."""

import re

import pytest
from cosem import account as module
from fakes import array, date_time, i8, i32, octets, struct_, u8, u16
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from payment import (
    ACCOUNT,
    ACTIVE,
    CHARGE,
    CLOSED,
    CREDIT,
    GATEWAY,
    IN_USE,
    NEW,
    OTHER_REASON,
    TYPE_UNMATCHED,
    UNSPECIFIED,
    Talk,
    account,
    charge,
    credit,
    emergency,
    entry,
    names,
    pair,
    proportion,
    text,
    unit_charge,
)

MODE_AND_STATUS, IN_USE_CREDIT = 2, 3
CREDITS, CHARGES, PAIRS, PROPORTIONS, ACTIVATION, CLOSURE, CURRENCY = range(9, 16)
MAX_PROVISION, PROVISION_PERIOD = 18, 19
METHODS = {"activate_account": 1, "close_account": 2, "reset_account": 3}

TABLE = {
    (method, int(before)): int(after)
    for method, before, after in re.findall(r"^    (\w+) +(\d) \w+ +-> (\d)", module.__doc__, re.M)
}


def one(status=ACTIVE, **values):
    return Talk(
        credit(0, current_credit_amount=1000),
        credit(1),
        emergency(2),
        charge(0, 2),
        charge(1, charge_type=2),
        account(2, 2, status=status, **values),
    )


@pytest.fixture
def meter():
    return one()


def status(m):
    return m.read(m.account, MODE_AND_STATUS)[1]


def test_the_table_is_whole():
    assert len(TABLE) == 4


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("before", (NEW, ACTIVE, CLOSED))
def test_every_method_in_every_status(method, before):
    m = one(before)
    image = bytes(m.model.image)
    after = TABLE.get((method, before))
    assert m.act(m.account, METHODS[method]) == (0 if after else OTHER_REASON)
    assert status(m) == (after or before)
    if not after:
        assert m.model.image == image
    m.run(1)
    assert status(m) == (after or before)


def test_a_method_that_is_none_or_has_a_wrong_parameter(meter):
    assert meter.act(meter.account, 4) == 4
    assert meter.act(meter.account, 1, i8(1)) == 0 or status(meter) == ACTIVE
    assert meter.act(meter.account, 2, u8(0)) == TYPE_UNMATCHED
    assert status(meter) == ACTIVE


def test_a_life():
    m = one(NEW)
    m.consume(100)
    assert (m.amounts(), m.paid(), m.bits()) == ([1000, 0], 0, {"next_enabled"})
    assert m.act(m.account, 1) == 0
    m.run(1)
    assert m.read(m.account, ACTIVATION)[5:8] == bytes((12, 0, 2))
    assert m.number(m.account, IN_USE_CREDIT) == 0
    m.consume(10)
    assert (m.amount(), m.paid()) == (980, 20)  # not what was consumed before
    at = m.model.slot(m.energy, 2) + 4
    m.model.image[at] += 5
    assert m.act(m.account, 2) == 0
    m.run(1)
    assert (m.amount(), m.paid()) == (970, 30)  # what was consumed until then
    m.consume(10)
    assert (m.amount(), m.paid()) == (970, 30)
    assert m.status() == IN_USE  # it stays as it was
    assert m.act(m.account, 3) == 0
    assert (m.amounts(), m.paid(), m.status()) == ([0, 0], 0, 0)
    assert m.read(m.account, ACTIVATION) == m.read(m.account, CLOSURE) == UNSPECIFIED
    m.run(1)
    assert m.number(m.account, 5) == 0
    assert m.act(m.account, 1) == 0
    m.consume(50)
    assert m.paid() == 0
    m.consume(1)
    assert (m.amount(), m.paid()) == (-2, 2)


def test_a_reset_forgets_what_is_due_and_remains():
    m = Talk(
        credit(0),
        charge(0, unit_charge='[[3, -2], [3, "1.0.1.8.0.255", 2], [["", 1]]]'),
        charge(1, charge_type=2, charge_configuration="00", total_amount_remaining=50),
        account(1, 2),
    )
    m.consume(999)
    assert m.act(m.account, 3) == 0
    m.run(1)
    assert m.number(m.account, 8) == 0
    assert m.get(m.charge(), 10)[1:] == UNSPECIFIED
    assert m.act(m.account, 1) == 0
    m.run(1)
    m.consume(1)
    assert m.paid() == 0


def test_times():
    m = one(NEW)
    begin = octets(date_time(2026, 6, 1, 12, 2, 30))
    assert m.set(m.account, ACTIVATION, begin) == 0
    assert m.set(m.account, CLOSURE, octets(date_time(2026, 6, 1, 12, 5, 0))) == 0
    m.run(120)
    assert (m.local(), status(m)) == ("2026-06-01 12:02:01", NEW)
    m.run(60)
    assert (m.local(), status(m)) == ("2026-06-01 12:03:01", ACTIVE)  # with the next minute
    m.run(118)
    assert (m.local(), status(m)) == ("2026-06-01 12:04:59", ACTIVE)
    m.run(1)
    assert (m.local(), status(m)) == ("2026-06-01 12:05:00", CLOSED)
    m.run(3600)
    assert status(m) == CLOSED
    assert m.act(m.account, 3) == 0
    m.run(3600)
    assert status(m) == NEW  # the old times are gone


def test_a_time_that_has_gone_by_is_one_that_has_come():
    m = one(NEW)
    assert m.set(m.account, ACTIVATION, octets(date_time(2025, 1, 1, 0, 0))) == 0
    m.run(1)
    assert status(m) == ACTIVE


def test_an_account_that_the_definition_leaves_open_does_nothing():
    m = Talk(credit(0), account(1, 0, account_mode_and_status=[0, 0]))
    m.run(100)
    for method in (1, 2, 3):
        assert m.act(m.account, method) == OTHER_REASON


# --- Attributes ------------------------------------------------------------------------------


def currency(name=b"USD", scale=-2, unit=2):
    return struct_(b"\x0c" + bytes((len(name),)) + name, i8(scale), bytes((0x16, unit)))


SETS = [
    (CREDITS, names(CREDIT, 1, 0), 0),
    (CREDITS, names(CREDIT, 0, 1, 2), 0),
    (CREDITS, array(), 0),
    (CREDITS, names(CREDIT, 0, 0), OTHER_REASON),
    (CREDITS, names(CREDIT, 0, 3), OTHER_REASON),
    (CREDITS, names(CHARGE, 0), OTHER_REASON),
    (CREDITS, names(CREDIT, *([0] * 5)), OTHER_REASON),  # capacity
    (CREDITS, array(octets(b"12345")), TYPE_UNMATCHED),
    (CREDITS, names(CREDIT, 0)[:-1], TYPE_UNMATCHED),
    (CHARGES, names(CHARGE, 1), 0),
    (CHARGES, names(CHARGE, 1, 2), OTHER_REASON),
    (CHARGES, names(CREDIT, 1), OTHER_REASON),
    (PAIRS, array(pair(0, 0, "100"), pair(1, 0, "000")), 0),
    (PAIRS, array(), 0),
    (PAIRS, array(pair(0, 0, "100"), pair(0, 0, "000")), OTHER_REASON),
    (PAIRS, array(pair(2, 0, "100")), OTHER_REASON),  # not in the list
    (PAIRS, array(pair(0, 2, "100")), OTHER_REASON),
    (PAIRS, array(*[pair(0, 0, "100")] * 7), OTHER_REASON),  # capacity
    (PAIRS, array(pair(0, 0, "100")[:-3] + b"\x04\x04\x00"), TYPE_UNMATCHED),
    (PROPORTIONS, array(proportion(0, 100)), 0),
    (PROPORTIONS, array(proportion(0, 60), proportion(1, 40)), 0),
    (PROPORTIONS, array(proportion(0, 60), proportion(1, 41)), OTHER_REASON),
    (PROPORTIONS, array(proportion(0, 1), proportion(0, 1)), OTHER_REASON),
    (PROPORTIONS, array(proportion(2, 1)), OTHER_REASON),
    (PROPORTIONS, array(u8(1)), TYPE_UNMATCHED),
    (ACTIVATION, octets(UNSPECIFIED), 0),
    (ACTIVATION, octets(date_time(2026, 2, 30, 0, 0)), OTHER_REASON),
    (ACTIVATION, octets(date_time(0xFFFF, 2, 1, 0, 0)), OTHER_REASON),
    (CLOSURE, octets(date_time(2026, 2, 28, 0, 0)), 0),
    (CLOSURE, octets(UNSPECIFIED[:-1]), TYPE_UNMATCHED),
    (7, i32(-5), 0),
    (7, u16(5), TYPE_UNMATCHED),
    (MAX_PROVISION, u16(0xFFFF), 0),
    (PROVISION_PERIOD, i32(0), 0),
    (PROVISION_PERIOD, i32(-1), OTHER_REASON),
    (MODE_AND_STATUS, u8(1), TYPE_UNMATCHED),
]
NEW_SETS = [
    (CURRENCY, currency(), 0),
    (CURRENCY, currency(b"", 6, 0), 0),
    (CURRENCY, currency(scale=-6), 0),
    (CURRENCY, currency(scale=7), OTHER_REASON),
    (CURRENCY, currency(scale=-7), OTHER_REASON),
    (CURRENCY, currency(unit=3), TYPE_UNMATCHED),
    (CURRENCY, currency(b"far too long"), OTHER_REASON),
    (CURRENCY, struct_(octets(b"EUR"), i8(0), b"\x16\x02"), TYPE_UNMATCHED),
]


@pytest.mark.parametrize("state, attribute, data, result", [
    *((ACTIVE, *row) for row in SETS),
    *((NEW, *row) for row in NEW_SETS),
    *((CLOSED, *row) for row in NEW_SETS),
    (ACTIVE, CURRENCY, currency(), OTHER_REASON),
])  # fmt: skip
def test_what_can_be_set(state, attribute, data, result):
    m = one(state)
    image = bytes(m.model.image)
    assert m.set(m.account, attribute, data) == result
    if result:
        assert m.model.image == image
    else:
        assert m.get(m.account, attribute) == data
    m.run(1)


def test_a_credit_has_one_account():
    second = account(1, 0).replace(text(ACCOUNT), text("0.0.19.1.0.255")).replace("'", '"')
    second = second.replace("0.0.19.0.0.255", "0.0.19.1.0.255").replace(CREDIT % 0, CREDIT % 1)
    m = Talk(credit(0), credit(1), account(1, 0), second)
    other = m.row(111, "0.0.19.1.0.255")
    assert m.set(other, CREDITS, names(CREDIT, 0)) == OTHER_REASON
    assert m.set(other, CREDITS, names(CREDIT, 1)) == 0
    assert m.set(m.account, CREDITS, array()) == 0
    assert m.set(other, CREDITS, names(CREDIT, 0)) == 0


def test_a_credit_that_leaves_the_list_is_left_alone(meter):
    assert meter.set(meter.account, CREDITS, names(CREDIT, 1)) == 0
    meter.consume(10)
    assert (meter.amount(0), meter.amount(1)) == (1000, -20)
    assert meter.number(meter.account, IN_USE_CREDIT) == 255


def test_the_place_in_the_list_is_shown_not_the_priority(meter):
    assert meter.set(meter.account, CREDITS, names(CREDIT, 1, 0)) == 0
    meter.run(1)
    assert meter.number(meter.account, IN_USE_CREDIT) == 1


# --- Anything at all -------------------------------------------------------------------------

# What clients may send: values that fit (of SET, of methods; by class), mutations of them, and all
# of them to something else.
NUMBERS = [i32(n) for n in (0, 5, -5, 400, -(1 << 31), (1 << 31) - 1)]
PRICES = [array(entry(b"A", 9)), array(entry(b"", 1), entry(b"B", 2))]
UNIT_CHARGES = [unit_charge(entry(b"", 3)), unit_charge(entry(b"A", 3), commodity_scale=2)]
TIMES = [octets(UNSPECIFIED), octets(date_time(2026, 6, 1, 12, 0, 0))]
DUMMY = [i8(0)]
FITTING = {
    111: (
        {
            k: [row[1] for row in SETS + NEW_SETS if row[0] == k]
            for k in (7, *range(9, 16), 18, 19)
        },
        {1: DUMMY, 2: DUMMY, 3: DUMMY},
    ),
    112: (
        {
            3: [bytes((0x16, k)) for k in range(6)],
            4: [u8(1), u8(9)],
            7: [bytes((4, 5, k << 3)) for k in range(32)],
            11: [b"\x19" + UNSPECIFIED, b"\x19" + date_time(0xFFFF, 0xFF, 0xFF, 0xFF, 0xFF)],
            **{k: NUMBERS for k in (5, 6, 9, 10)},
        },
        {1: NUMBERS, 2: NUMBERS, 3: DUMMY},
    ),
    113: (
        {
            3: [bytes((0x16, k)) for k in range(4)],
            4: [u8(1), u8(9)],
            6: UNIT_CHARGES,
            7: TIMES,
            8: [b"\x06\0\0\0\x00", b"\x06\0\0\0\x05", b"\x06\0\0\0\x3c"],
            9: [bytes((4, 2, k << 6)) for k in range(4)],
            13: [u16(500), u16(10000)],
        },
        {1: PRICES, 2: DUMMY, 3: DUMMY, 4: NUMBERS, 5: NUMBERS},
    ),
    115: ({}, {1: [octets(b"token %d" % k) for k in range(20)]}),
}
ALL = [
    (class_id, sets, index, value)
    for class_id, tables in FITTING.items()
    for sets, table in zip((True, False), tables)
    for index, values in table.items()
    for value in values
]


@st.composite
def requests(draw):
    class_id, sets, index, value = draw(st.sampled_from(ALL))
    chance = draw(st.integers(0, 9))
    if chance == 0:
        value = draw(st.sampled_from(ALL))[3]
    elif chance == 1:
        value = bytearray(value)
        value[draw(st.integers(0, len(value) - 1))] = draw(st.integers(0, 255))
    elif chance == 2:
        value = value[:-1]
    return class_id, sets, index, bytes(value), draw(st.integers(0, 1))


@settings(max_examples=60, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(requests(), min_size=150, max_size=200))
def test_ten_thousand_requests(many):
    """What is refused changes nothing, what is taken leaves an account that adds up."""
    m = one()
    m.model.tokens = lambda row, octets: (2, 100 * octets[-1], octets[-1], ())
    rows = {111: [m.account] * 2, 112: [m.credit(0), m.credit(1)],
            113: [m.charge(0), m.charge(1)], 115: [m.row(115, GATEWAY)] * 2}  # fmt: skip
    for k, (class_id, sets, index, value, which) in enumerate(many):
        image = bytes(m.model.image)
        result = (m.set if sets else m.act)(rows[class_id][which], index, value)
        assert result in (0, 2, 3, 4, 11, 12, 250)
        if result:
            assert m.model.image == image
        if k % 4 == 0:
            m.consume(3)
    m.run(2)
    listed = m.read(m.account, CREDITS)
    rows = [m.row(112, ".".join(map(str, name))) for name in listed]
    used = [k for k, row in enumerate(rows) if m.number(row, 8) == IN_USE]
    if status(m) == ACTIVE:
        assert [m.number(m.account, IN_USE_CREDIT)] == (used or [255])
    assert all(m.status(k) <= 4 for k in (0, 1))
