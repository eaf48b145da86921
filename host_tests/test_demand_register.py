# SPDX-License-Identifier: MIT
"""cosem/demand_register.py: block and sliding demand, by hand and against a list of energies."""

import pytest
from fakes import CLOCK, Meter, date_time, u16, u32
from hypothesis import given, settings
from hypothesis import strategies as st

CURRENT, LAST, STATUS, CAPTURE_TIME, START_TIME, PERIOD, PERIODS = 2, 3, 5, 6, 7, 8, 9
RESET, NEXT_PERIOD = 1, 2
PARTIAL, CLOCK_SET, POWER_FAILED = 1, 2, 4
OTHER_REASON = 250

OBJECTS = (
    CLOCK
    + """
    {class = 5, obis = "1.0.1.4.0.255",
     data_types = {current_average_value = "%s", last_average_value = "%s", status = "unsigned"},
     current_average_value = 0, last_average_value = 0, status = 0, scaler = %d, unit = "W",
     period = 900, number_of_periods = %d},
"""
)


class Talk(Meter):
    def __init__(self, periods=1, scaler=0, type="double-long-unsigned", **kwargs):
        super().__init__(OBJECTS % (type, type, scaler, periods), **kwargs)
        self.object = self.row(5, "1.0.1.4.0.255")
        self.demand = self.model.handler("demand_register")
        self.set_local("2026-06-15 12:00:00")
        self.run(1)
        self.run(899)

    def use(self, watts, seconds=900):
        """A constant load; second by second, the last of them on a boundary or not."""
        for _ in range(seconds // 60):
            self.demand.add(self.object, watts * 60)
            self.run(60, step=60)

    def now(self, *attributes):
        return [self.read(self.object, a) for a in attributes]

    def time(self, attribute):
        t = self.read(self.object, attribute)
        return "%02d:%02d:%02d" % tuple(t[5:8])


@pytest.fixture
def meter():
    return Talk()


def test_block_demand(meter):
    assert meter.time(START_TIME) == "12:15:00"
    meter.use(1000, 840)
    assert meter.now(CURRENT, LAST) == [933, 0]
    meter.use(1000, 60)
    assert meter.now(CURRENT, LAST, STATUS) == [0, 1000, 0]
    assert meter.time(CAPTURE_TIME) == meter.time(START_TIME) == "12:30:00"
    meter.use(500)
    assert meter.now(CURRENT, LAST) == [0, 500]


def test_sliding_demand():
    meter = Talk(periods=3)
    meter.use(900)
    assert meter.now(CURRENT, LAST) == [300, 300]
    meter.use(900)
    assert meter.now(CURRENT, LAST) == [600, 600]
    meter.use(900)
    # Of the three periods the first is left behind at once.
    assert meter.now(CURRENT, LAST) == [600, 900]
    assert (meter.time(CAPTURE_TIME), meter.time(START_TIME)) == ("13:00:00", "12:30:00")
    meter.use(0)
    assert meter.now(CURRENT, LAST) == [300, 600]


@given(st.integers(1, 15), st.lists(st.integers(0, 20000), max_size=25))
@settings(max_examples=40, deadline=None)
def test_sliding_demand_is_the_mean_of_the_last_periods(n, loads):
    meter = Talk(periods=n)
    for k, watts in enumerate(loads):
        meter.demand.add(meter.object, watts * 900)
        meter.run(900, step=900)
        window = loads[max(0, k + 1 - n) : k + 1]
        assert meter.read(meter.object, LAST) == (sum(window) * 2 + n) // (2 * n)


@pytest.mark.parametrize(
    "scaler, type, watts, shown",
    [
        (0, "double-long-unsigned", 1499, 1499),
        (1, "double-long-unsigned", 1499, 150),
        (-1, "double-long-unsigned", 1499, 14990),
        (0, "double-long", -1499, -1499),
        (0, "long", -40000, -32768),
        (0, "double-long-unsigned", 3000000, 3000000),
    ],
)
def test_scaler_and_type(scaler, type, watts, shown):
    meter = Talk(scaler=scaler, type=type)
    meter.use(watts)
    assert meter.read(meter.object, LAST) == shown


def test_energy_of_a_period_that_four_octets_do_not_hold_is_held_at_the_limit():
    meter = Talk(periods=2)
    meter.use(4000000)
    assert meter.read(meter.object, LAST) == 2000000
    assert meter.read(meter.object, CURRENT) == (2**31 - 1 + 900) // 1800


def test_next_period_ends_the_running_one(meter):
    meter.use(1000, 600)
    before = meter.read(meter.object, CURRENT)
    assert meter.act(meter.object, NEXT_PERIOD) == 0
    assert meter.now(CURRENT, LAST, STATUS) == [0, before, PARTIAL]
    assert meter.time(CAPTURE_TIME) == meter.time(START_TIME) == "12:25:00"
    meter.use(1000, 300)
    assert meter.now(LAST, STATUS) == [333, PARTIAL]
    meter.use(1000)
    assert meter.now(LAST, STATUS) == [1000, 0]


def test_reset_forgets(meter):
    meter.use(1000, 1200)
    assert meter.act(meter.object, RESET) == 0
    assert meter.now(CURRENT, LAST, STATUS) == [0, 0, 0]
    assert meter.time(CAPTURE_TIME) == meter.time(START_TIME) == "12:35:00"
    meter.use(900, 600)
    assert meter.now(LAST, STATUS) == [600, PARTIAL]


def test_reset_of_a_sliding_demand_forgets_all_periods():
    meter = Talk(periods=3)
    meter.use(900, 3600)
    assert meter.act(meter.object, RESET) == 0
    meter.use(900)
    assert meter.read(meter.object, LAST) == 300


def test_another_period_begins_anew(meter):
    meter.use(1000, 600)
    assert meter.set(meter.object, PERIOD, u32(300)) == 0
    assert meter.now(CURRENT, LAST) == [0, 0]
    meter.use(600, 300)
    assert meter.now(LAST, STATUS) == [600, PARTIAL]
    meter.use(600, 300)
    assert meter.now(LAST, STATUS) == [600, 0]


@pytest.mark.parametrize(
    "attribute, data",
    [(PERIOD, u32(0)), (PERIOD, u32(0xFFFFFFFF)), (PERIODS, u16(0)), (PERIODS, u16(16))],
)
def test_periods_that_make_no_demand(meter, attribute, data):
    assert meter.set(meter.object, attribute, data) == OTHER_REASON


def test_a_short_power_cut_goes_on_with_the_period(meter):
    meter.use(1000, 600)
    again = meter.restart()
    again.object, again.demand = meter.object, again.model.handler("demand_register")
    again.set_local("2026-06-15 12:27:00")
    again.run(180, step=60)
    assert again.read(meter.object, LAST) == 667
    assert again.read(meter.object, STATUS) == POWER_FAILED


def test_after_a_long_power_cut_the_old_period_is_closed(meter):
    meter.use(1000, 600)
    again = meter.restart()
    again.set_local("2026-06-15 18:07:00")
    again.run(1)
    assert again.read(meter.object, LAST) == 667
    assert again.read(meter.object, STATUS) == POWER_FAILED
    assert bytes(again.read(meter.object, START_TIME)[5:8]) == bytes((18, 7, 1))
    again.run(479)
    assert again.read(meter.object, STATUS) == POWER_FAILED
    again.run(900)
    assert again.read(meter.object, STATUS) == 0


@pytest.mark.parametrize("hour", [11, 15])
def test_the_clock_is_set_into_another_period(meter, hour):
    meter.use(1000, 600)
    meter.clock.adjust(meter.clock.minute_of(date_time(2026, 6, 15, hour, 5, 0), 0), 0)
    meter.run(1)
    assert meter.now(LAST, STATUS) == [667, CLOCK_SET]


def test_the_clock_is_set_within_the_period(meter):
    meter.use(1000, 600)
    meter.clock.adjust(meter.clock.minute - 5, 0)
    meter.run(1)
    # Still the status of the first period, which began late.
    assert meter.now(LAST, STATUS) == [0, PARTIAL]
    meter.run(600)
    assert meter.now(LAST, STATUS) == [667, CLOCK_SET]


def test_the_program_is_told_of_the_end_of_a_period(meter):
    told = []
    meter.demand.on_period = lambda row: told.append(meter.read(row, LAST))
    meter.use(1000, 1800)
    assert told == [1000, 1000]
