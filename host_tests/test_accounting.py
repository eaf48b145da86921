# SPDX-License-Identifier: MIT
"""cosem/accounting.py: sums and payments; and the whole of it against a small model in Python."""

from fractions import Fraction

import pytest
from fakes import array, i32
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from payment import (
    CLOSED,
    CREDIT_MODE,
    ENABLED,
    EXHAUSTED,
    IN_USE,
    LEAST,
    MOST,
    NEW,
    PAYMENT,
    SELECTABLE,
    SELECTED,
    TIME,
    Raw,
    Talk,
    account,
    charge,
    credit,
    emergency,
    proportion,
)

IN_USE_CREDIT, AVAILABLE, TO_CLEAR, DEBT, LOW, NEXT = 3, 5, 6, 8, 16, 17
PROPORTIONS = 12
NONE = 255


def sums(m):
    return [m.number(m.account, a) for a in (IN_USE_CREDIT, AVAILABLE, TO_CLEAR, LOW, NEXT)]


@pytest.fixture
def meter():
    return Talk(
        credit(0, current_credit_amount=1000, warning_threshold=300),
        emergency(1, warning_threshold=50),
        account(2, 0, clearance_threshold=20),
    )


# --- Sums ------------------------------------------------------------------------------------


def test_sums_in_the_life_of_an_account(meter):
    m = meter
    assert sums(m) == [0, 1000, 0, 300, 100]
    assert m.bits() == {"in_credit", "next_enabled"}
    m.put(0, 300)
    assert m.bits() == {"in_credit", "next_enabled"}
    m.put(0, 299)
    assert m.bits() == {"in_credit", "low_credit", "next_enabled"}
    m.put(0, 100)
    assert m.bits() == {"in_credit", "low_credit", "next_selectable"}
    assert m.act(m.credit(1), 3) == 0
    m.run(1)
    assert sums(m) == [0, 600, 0, 300, 100]
    assert m.bits() == {"in_credit", "next_selected"}
    m.put(0, -7)
    assert sums(m) == [1, 500, -7, 50, LEAST]
    assert m.bits() == {"in_credit", "selectable_in_use"}
    m.put(1, 30)
    assert sums(m) == [1, 30, -7 - 470, 50, LEAST]
    assert m.bits() == {"in_credit", "low_credit", "selectable_in_use"}
    m.put(1, -2)
    assert sums(m) == [NONE, 0, -7 - 502 - 20, 0, LEAST]
    assert m.bits() == {"out_of_credit"}


def test_out_of_credit_ends_with_the_clearance_threshold(meter):
    meter.put(0, 0)
    assert meter.bits() == {"out_of_credit", "next_selectable"}
    meter.put(0, 19)
    assert meter.bits() == {"in_credit", "low_credit", "next_selectable", "out_of_credit"}
    assert sums(meter) == [0, 19, -20, 300, 100]
    again = meter.restart()
    assert "out_of_credit" in again.bits()
    again.put(0, 20)
    assert again.bits() == {"in_credit", "low_credit", "next_selectable"}
    again.put(0, 19)
    assert "out_of_credit" not in again.bits()


def test_paying_what_is_to_be_cleared_clears_it(meter):
    meter.put(0, -300)
    assert meter.number(meter.account, TO_CLEAR) == -320
    assert meter.accounting.pay(319)
    assert "out_of_credit" in meter.bits()
    assert meter.accounting.pay(1)
    assert "out_of_credit" not in meter.bits()


def test_sums_stay_at_the_limits_of_their_type():
    m = Talk(
        credit(0, current_credit_amount=MOST),
        credit(1, current_credit_amount=MOST, credit_available_threshold=MOST),
        account(2, 0),
    )
    assert [m.status(k) for k in (0, 1)] == [IN_USE, SELECTED]
    assert m.number(m.account, AVAILABLE) == MOST
    m.put(0, LEAST)
    m.put(1, LEAST)
    assert m.number(m.account, TO_CLEAR) == LEAST


@pytest.mark.parametrize("status", (NEW, CLOSED))
def test_an_account_that_is_not_active_has_no_credit_in_use(status):
    m = Talk(credit(0, current_credit_amount=9), account(1, 0, status=status))
    assert sums(m)[0] == NONE
    assert m.bits() == {"next_enabled"}


# --- Payments --------------------------------------------------------------------------------

ALL = "00001"
PAY_BACK = "00100"

PAYMENTS = [
    # credits as (amount, status, configuration, preset given), proportions, payment, after
    ([(0, EXHAUSTED, ALL, 0)], {}, 100, [100]),
    ([(-50, EXHAUSTED, ALL, 0)], {}, 100, [50]),
    # the lowest priority that is in use or exhausted first
    ([(0, EXHAUSTED, ALL, 0), (5, IN_USE, ALL, 0)], {}, 100, [0, 105]),
    ([(9, IN_USE, ALL, 0), (5, ENABLED, ALL, 0)], {}, 100, [109, 5]),
    ([(0, EXHAUSTED, ALL, 0), (200, IN_USE, PAY_BACK, 500)], {}, 400, [100, 500]),
    ([(0, EXHAUSTED, ALL, 0), (200, IN_USE, PAY_BACK, 500)], {}, 300, [0, 500]),
    ([(0, EXHAUSTED, ALL, 0), (-8, EXHAUSTED, PAY_BACK, 500)], {}, 7, [0, -1]),
    # what has not been given need not be paid back
    ([(9, IN_USE, ALL, 0), (0, ENABLED, PAY_BACK, 0)], {}, 100, [109, 0]),
    # what was used before it was no more in use comes after that which is
    ([(9, IN_USE, ALL, 0), (400, ENABLED, PAY_BACK, 500)], {}, 100, [109, 400]),
    # credits that take nothing from tokens
    ([(9, IN_USE, "00000", 0), (5, ENABLED, ALL, 0)], {}, 100, [9, 105]),
    ([(9, IN_USE, "00000", 0)], {}, 100, None),
    ([(450, IN_USE, PAY_BACK, 500)], {}, 51, None),
    # proportions
    ([(0, IN_USE, ALL, 0), (0, ENABLED, ALL, 0)], {1: 30}, 99, [70, 29]),
    ([(0, IN_USE, ALL, 0), (0, ENABLED, ALL, 0)], {0: 50, 1: 50}, 99, [50, 49]),
    ([(0, IN_USE, ALL, 0), (0, ENABLED, "00000", 0)], {1: 30}, 99, [99, 0]),
    ([(0, IN_USE, ALL, 0), (480, IN_USE, PAY_BACK, 500)], {1: 30}, 100, [80, 500]),
    # as much as there is room
    ([(MOST - 5, IN_USE, ALL, 0), (0, ENABLED, ALL, 0)], {}, 9, [MOST, 4]),
    ([(MOST - 5, IN_USE, ALL, 0)], {}, 6, None),
    ([(LEAST, EXHAUSTED, ALL, 0)], {}, MOST, [-1]),
    ([(5, IN_USE, ALL, 0)], {}, 0, None),
    ([(5, IN_USE, ALL, 0)], {}, -1, None),
    ([], {}, 1, None),
]


@pytest.mark.parametrize("credits, proportions, amount, after", PAYMENTS)
def test_payments(credits, proportions, amount, after):
    lines = [
        credit(k, credit_configuration=c[2], preset_credit_amount=c[3])
        for k, c in enumerate(credits)
    ]
    m = Talk(*lines, account(len(lines), 0))
    parts = array(*(proportion(k, p) for k, p in proportions.items()))
    assert m.set(m.account, PROPORTIONS, parts) == 0
    m.run(1)
    for k, (before, status, _configuration, given) in enumerate(credits):
        row = m.credit(k)
        m.model.put_int(row, 2, before)
        m.model.put_int(row, 8, status)
        m.model.image[m.model.state(row, 0)] = given > 0
    assert m.accounting.pay(amount) is (after is not None)
    assert m.amounts() == (after or [c[0] for c in credits])


@pytest.mark.parametrize("status", (NEW, CLOSED))
def test_nobody_pays_to_an_account_that_is_not_active(status):
    m = Talk(credit(0), account(1, 0, status=status))
    assert not m.accounting.pay(100)
    assert m.amounts() == [0]


# --- Everything at once, against a model -----------------------------------------------------

CREDITS = (
    credit(0, current_credit_amount=300, warning_threshold=50, limit=-20),
    emergency(1, preset_credit_amount=120, credit_available_threshold=60),
    credit(2, credit_type=1, preset_credit_amount=80, credit_configuration="00101",
           credit_available_threshold=-5),
)  # fmt: skip
CHARGES = (
    charge(0, unit_charge=Raw('[[1, -3], [3, "1.0.1.8.0.255", 2], [["", 37]]]')),
    charge(1, 11, charge_type=TIME, period=600),
    charge(2, charge_type=PAYMENT, charge_configuration="10", proportion=1234,
           total_amount_remaining=90),
    charge(3, 5, charge_type=PAYMENT, charge_configuration="01"),
)  # fmt: skip


class Model:
    """What the account should be, in whole amounts and fractions. Credits 0, 1 (emergency) and 2
    (reserved) have the priorities 1, 2, 3; charges are of consumption, time, payments (a part, and
    5 of each)."""

    PRESET, THRESHOLD, LIMIT = (0, 120, 80), (0, 60, -5), (-20, 0, 0)
    ASKS, PAYS_BACK = (False, True, False), (False, True, True)

    def __init__(self):
        self.amounts = [300, 0, 0]
        self.status = [ENABLED] * 3
        self.given = [False] * 3
        self.granted = 0  # by preset amounts
        self.due = [Fraction(0)] * 4
        self.paid = [0] * 4
        self.remaining = 90
        self.active = True
        self.out = False
        self.in_use = None
        self.select()

    def give(self, k):
        if k and not self.given[k]:
            self.given[k] = True
            self.granted += max(0, self.PRESET[k] - self.amounts[k])
            self.amounts[k] = max(self.amounts[k], self.PRESET[k])

    def step(self, k, spent, turn, near):
        """The next status, from the diagram; None: it stays."""
        s, asks = self.status[k], self.ASKS[k]
        if s == IN_USE:
            return EXHAUSTED if spent else None if turn else ENABLED
        if s == EXHAUSTED:
            return None if spent else ENABLED
        if s == ENABLED:
            if asks:
                return SELECTABLE if near else None
            return IN_USE if turn else SELECTED if near else None
        if s == SELECTED and turn:
            return IN_USE
        return None if near else ENABLED

    def select(self):
        self.in_use = None
        for k in range(3):
            while True:
                ahead = sum(self.amounts[j] for j in range(k)
                            if self.status[j] in (SELECTED, IN_USE))  # fmt: skip
                turn = self.in_use is None
                near = turn or ahead <= self.THRESHOLD[k]
                after = self.step(k, self.amounts[k] <= self.LIMIT[k], turn, near)
                if after is None:
                    break
                self.status[k] = after
                if after in (SELECTED, IN_USE):
                    self.give(k)
            if self.status[k] == IN_USE:
                self.in_use = k
        available = sum(
            max(0, self.amounts[k]) for k in range(3) if self.status[k] in (SELECTED, IN_USE)
        )
        self.available = available
        self.out = self.in_use is None or (self.out and available < 0)

    def collect(self, j):
        whole = self.due[j].numerator // self.due[j].denominator
        self.due[j] -= whole
        if whole:
            k = 0 if self.in_use is None else self.in_use
            self.amounts[k] -= whole
            self.paid[j] += whole
            self.select()

    def owed(self, k):
        return max(0, self.PRESET[k] - self.amounts[k]) if self.given[k] else 0

    def pay(self, amount):
        """Nothing is left over: credit 0 takes all."""
        for used in (True, False):
            for k in (2, 1, 0):
                if (self.status[k] in (IN_USE, EXHAUSTED)) is used:
                    part = min(amount, self.owed(k)) if self.PAYS_BACK[k] else amount
                    self.amounts[k] += part
                    amount -= part
        assert amount == 0


class Machine(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.meter = Talk(*CREDITS, *CHARGES, account(3, 4, CREDIT_MODE))
        self.model = Model()
        self.put_in = 0  # what was not collected, and not given as a preset amount
        self.seconds = 43201

    def second(self, begun=0):
        m = self.model
        if m.active:
            m.select()
            m.collect(0)
            m.due[1] += 11 * begun
            m.collect(1)
            for j in (2, 3):
                m.collect(j)
            m.select()

    @rule(wh=st.integers(0, 3000))
    def consume(self, wh):
        if self.model.active:
            self.model.due[0] += Fraction(wh * 37, 100)
        self.seconds += 1
        self.second(self.seconds % 600 == 0)
        self.meter.consume(wh)

    @rule(minutes=st.integers(1, 40))
    def wait(self, minutes):
        for _ in range(minutes):
            before = self.seconds
            self.seconds += 60
            self.second(self.seconds // 600 - before // 600)
        self.meter.run(60 * minutes, step=60)

    @rule(amount=st.integers(1, 700))
    def pay(self, amount):
        m = self.model
        assert self.meter.accounting.pay(amount) is m.active
        if m.active:
            self.put_in += amount
            m.pay(amount)
            m.select()
            m.due[2] = min(m.due[2] + Fraction(amount * 1234, 10000), Fraction(m.remaining))
            before = m.paid[2]
            m.collect(2)
            m.remaining -= m.paid[2] - before
            m.due[3] += 5
            m.collect(3)
            m.select()

    @rule(k=st.integers(0, 2), amount=st.integers(-400, 400))
    def update(self, k, amount):
        assert self.meter.act(self.meter.credit(k), 1, i32(amount)) == 0
        self.put_in += amount
        self.model.amounts[k] += amount
        self.seconds += 1
        self.second(self.seconds % 600 == 0)
        self.meter.run(1)

    @rule(k=st.integers(0, 2), amount=st.sampled_from([-20, -19, -6, 0, 1, 59, 60, 61, 300]))
    def set_to(self, k, amount):
        assert self.meter.act(self.meter.credit(k), 2, i32(amount)) == 0
        self.put_in += amount - self.model.amounts[k]
        self.model.amounts[k] = amount
        self.seconds += 1
        self.second(self.seconds % 600 == 0)
        self.meter.run(1)

    @rule()
    def invoke(self):
        selectable = self.model.status[1] == SELECTABLE
        fine = self.model.status[1] in (SELECTABLE, SELECTED, IN_USE)
        assert (self.meter.act(self.meter.credit(1), 3) == 0) is fine
        if selectable:
            self.model.status[1] = SELECTED
            self.model.give(1)
        self.seconds += 1
        self.second(self.seconds % 600 == 0)
        self.meter.run(1)

    @rule()
    def collect(self):
        assert self.meter.act(self.meter.charge(1), 3) == 0
        if self.model.active:
            self.model.due[1] += 11
        self.seconds += 1
        self.second(self.seconds % 600 == 0)
        self.meter.run(1)

    @precondition(lambda self: self.model.active)
    @rule()
    def power_fails(self):
        self.meter = self.meter.restart()
        self.seconds += 1
        self.second(self.seconds % 600 == 0)

    @invariant()
    def the_meter_is_as_the_model(self):
        meter, model = self.meter, self.model
        assert meter.amounts() == model.amounts
        assert [meter.status(k) for k in range(3)] == model.status
        assert [meter.paid(k) for k in range(4)] == model.paid
        assert meter.number(meter.charge(2), 12) == model.remaining
        in_use = NONE if model.in_use is None else model.in_use
        assert meter.number(meter.account, IN_USE_CREDIT) == in_use
        assert meter.number(meter.account, AVAILABLE) == model.available
        assert ("out_of_credit" in meter.bits()) is (model.in_use is None)

    @invariant()
    def what_was_collected_is_what_the_credits_have_lost(self):
        lost = 300 + self.put_in + self.model.granted - sum(self.meter.amounts())
        assert lost == sum(self.meter.paid(k) for k in range(4))


Machine.TestCase.settings = settings(
    max_examples=60, stateful_step_count=40, deadline=None,
    suppress_health_check=list(HealthCheck),
)  # fmt: skip
TestAgainstAModel = Machine.TestCase
