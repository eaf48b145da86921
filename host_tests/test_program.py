# SPDX-License-Identifier: MIT
"""The meter program on the residential definition: nothing lost, everything at its instant.

Expected values are sums that must agree with each other (rows, registers, tariffs, what the
metrology handed out) and local times worked out with the datetime and zoneinfo-free rules of CET.
"""

import datetime
import os
import subprocess
import time
import types

import pytest
from conftest import ROOT
from fakes import HEAD, CLOCK, define, obis, value
from test_store import MemoryFiles, PowerCut

from cosem import slots
from cosem.model import Model
from firmware import app
from firmware.meter import metrology
from firmware.meter.ahead import Ahead
from firmware.meter.household import Household
from firmware.meter.program import Program
from firmware.ports import ciphers, cpython
from firmware.store import FileStorage, RAMStorage

ENERGIES = metrology.ENERGIES.split()
RESIDENTIAL = os.path.join(ROOT, "firmware", "definitions", "residential.toml")

MONTH_D = datetime.datetime(2000, 1, 1)


def utc(text):
    """Minutes since 2000 of a UTC time."""
    return int((datetime.datetime.fromisoformat(text) - MONTH_D).total_seconds()) // 60


@pytest.fixture(scope="session")
def residential():
    from tables import pack, show

    module = types.ModuleType("definition")
    module.TEXT = show.module(pack.compile(RESIDENTIAL))
    exec(module.TEXT, module.__dict__)
    return module


class Counting(Household):
    """A household that remembers all that it has handed out."""

    def __init__(self, *args):
        Household.__init__(self, *args)
        self.total = [0] * 14

    def take(self, seconds):
        Household.take(self, seconds)
        for k in range(14):
            self.total[k] += self.quanta[k]


class Constant(metrology.Metrology):
    """The same power all the time, W by name of the energy."""

    def __init__(self, **watts):
        metrology.Metrology.__init__(self)
        self.watts = watts
        self.volts = 2300

    def take(self, seconds):
        for k, name in enumerate(ENERGIES):
            self.quanta[k] = self.watts.get(name, 0) * seconds

    def measure(self):
        for k in range(3):
            self.values[k] = self.volts


class Meter:
    def __init__(self, definition, start, source=None, storage=None):
        self.storage = storage or RAMStorage()
        self.storage.prepare(definition)
        self.model = Model(definition)
        self.model.aes = ciphers.aes
        self.model.storage = self.storage
        self.loaded = self.storage.load(self.model.image)
        self.clock = self.model.handler("clock")
        self.clock.set_utc(utc(start) if isinstance(start, str) else start, 0)
        self.model.start()
        self.program = Program(self.model, source or Counting(7))

    def row(self, class_id, name):
        row = self.model.find(0, bytes((0, class_id)) + obis(name + ".255"), 0)
        assert row >= 0, name
        return row

    def number(self, class_id, name, attribute=2):
        return self.model.get_int(self.row(class_id, name), attribute)

    def energy(self, name):
        return self.number(3, name)

    def set(self, class_id, name, attribute, data):
        row = self.row(class_id, name)
        assert self.model.write(row, attribute, bytearray(data), 0, len(data)) == 0

    def rows(self, name):
        """Rows of a profile, as lists of Python values."""
        ring = self.model.handler("profile_generic").profiles[self.row(7, name)].ring
        n = self.columns(name)
        out = []
        buf = bytearray(ring.row_len)
        for k in range(ring.n):
            assert ring.read(k, buf, 0)
            out.append(value(b"\x02" + bytes((n,)) + self.cut(buf, n)))
        return out

    def columns(self, name):
        row = self.row(7, name)
        return slots.source(self.model, row, 3)[slots.offset(self.model, row, 3) + 1]

    def cut(self, buf, n):
        from dlms.axdr import skip

        pos = 0
        for _ in range(n):
            pos = skip(buf, pos, len(buf))
        return bytes(buf[:pos])

    def log(self, name):
        """(local time, code) of a log."""
        return [(local(r[0]), r[1]) for r in self.rows(name)]

    def now(self):
        return local(self.clock.local)


def local(t):
    return "%04d-%02d-%02d %02d:%02d:%02d" % ((t[0] << 8 | t[1],) + tuple(t[2:4]) + tuple(t[5:8]))


LOAD = "1.0.99.1.0"
DAILY = "1.0.99.2.0"
BILLING = "0.0.98.1.0"
STANDARD = "0.0.99.98.0"


# --- Sums -------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def month(residential):
    """A meter after February and March of a leap year: with 29 days and daylight saving."""
    meter = Meter(residential, "2028-01-31T22:30")
    meter.first = {c: meter.energy("1.0.%d.8.0" % c) for c in (1, 2, 3, 4)}
    Ahead(meter.program).step(60 * 86400)
    return meter


def test_no_watt_second_is_lost(month):
    names = ["1", "2", "5", "6", "7", "8", "9", "10", "21", "41", "61", "22", "42", "62"]
    kept = month.program.kept
    for k, c in enumerate(names):
        rest = kept[2 * k] << 8 | kept[2 * k + 1]
        assert rest < 3600
        whole = month.energy("1.0.%s.8.0" % c)
        assert whole * 3600 + rest == month.program.metrology.total[k], ENERGIES[k]
    assert month.energy("1.0.1.8.0") > 100000


def test_reactive_energy_is_the_sum_of_its_quadrants(month):
    quadrant = [month.energy("1.0.%d.8.0" % c) for c in (5, 6, 7, 8)]
    assert month.energy("1.0.3.8.0") == quadrant[0] + quadrant[1]
    assert month.energy("1.0.4.8.0") == quadrant[2] + quadrant[3]
    assert min(quadrant) > 0


def test_tariffs_sum_up_to_the_total(month):
    for c in (1, 2, 3, 4):
        tariffs = [month.energy("1.0.%d.8.%d" % (c, t)) for t in (1, 2, 3, 4)]
        assert sum(tariffs) == month.energy("1.0.%d.8.0" % c), c
    # All of them were used.
    assert all(month.energy("1.0.1.8.%d" % t) > 0 for t in (1, 2, 3, 4))


def test_every_daily_row_adds_up_too(month):
    for r in month.rows(DAILY):
        for k in (2, 7, 12, 17):
            assert r[k] == sum(r[k + 1 : k + 5])


def test_rows_of_the_load_profile_sum_up_to_the_register(month):
    rows = month.rows(LOAD)
    for k, c in ((2, 1), (3, 2), (4, 3), (5, 4)):
        values = [r[k] for r in rows]
        steps = [b - a for a, b in zip(values, values[1:])]
        assert min(steps) >= 0
        assert values[0] + sum(steps) == values[-1]
        # The last row is of the last quarter of an hour, and so is the register now.
        assert values[-1] == month.energy("1.0.%d.8.0" % c)


def test_demand_is_the_energy_of_its_period(month):
    rows = month.rows(LOAD)
    for a, b in zip(rows, rows[1:]):
        # Wh of a quarter of an hour, times 4; each Wh has a remainder.
        assert abs((b[2] - a[2]) * 4 - b[6]) <= 5


def test_the_display_shows_the_same_energy(month):
    key = b"\x00\x03" + obis("1.0.1.8.0.255")
    row = month.model.find(1, key, 0)
    assert month.model.get_int(row, 2) == month.energy("1.0.1.8.0")


# --- Parts ------------------------------------------------------------------------------------


def test_in_parts_everything_is_the_same(residential):
    """An hour with all that ends in it, the last of a month, in ticks of every length."""
    meters = [Meter(residential, "2028-01-31T22:20") for _ in range(2)]
    meters[1].program.in_parts = True
    most = 0
    for k in range(3300):
        for meter in meters:
            meter.program.tick((100, 1000, 2900, 400)[k & 3])
            parts = 1
            while meter.program.work is not None:
                meter.program.tick(0)
                parts += 1
            assert parts == 1 or meter is meters[1]
            most = max(most, parts)
        if k % 100 == 0:
            assert meters[0].model.image == meters[1].model.image
    assert most > 20
    assert meters[0].model.image == meters[1].model.image
    for name in (LOAD, DAILY, BILLING, STANDARD):
        assert meters[0].rows(name) == meters[1].rows(name)
    assert len(meters[0].rows(BILLING)) == 1 and len(meters[0].rows(LOAD)) == 4


def test_an_instant_ends_before_the_next_second(residential):
    """Whoever comes late for the parts gets all of them at once, with their own time."""
    meter = Meter(residential, "2026-03-01T11:14")
    meter.program.in_parts = True
    meter.program.tick(60000)
    while meter.program.work is not None:
        # 20 ms pass with every part: the row is of the instant nevertheless.
        meter.program.tick(20)
    assert meter.rows(LOAD)[-1][0][5:9] == bytes((12, 15, 0, 0))
    meter.program.tick(15 * 60000 - 500)
    assert meter.program.work is not None
    meter.program.tick(1000)
    meter.program.tick(1000)
    assert [r[0][5:9] for r in meter.rows(LOAD)] == [bytes((12, 15, 0, 0)), bytes((12, 30, 0, 0))]


def test_a_save_before_captures_comes_in_parts(residential):
    """Pages that storage writes ahead, then what is left, with the links served in between."""
    meter = Meter(residential, "2026-03-01T11:14")
    meter.program.in_parts = True
    storage = meter.model.storage
    said = []
    save = storage.save

    def ahead(image, most):
        said.append("ahead")
        return said.count("ahead") < 3

    def saved(image):
        said.append("save")
        return save(image)

    storage.ahead, storage.save = ahead, saved
    meter.program.tick(60000)
    parts = []
    while meter.program.work is not None:
        n = len(said)
        meter.program.tick(0)
        parts.append(said[n:])
    assert [part for part in parts if part] == [["ahead"], ["ahead"], ["ahead"], ["save"]]
    assert len(meter.rows(LOAD)) == 1


# --- Instants ---------------------------------------------------------------------------------


def test_daily_rows_are_of_local_midnight(month):
    times = [local(r[0]) for r in month.rows(DAILY)]
    day = datetime.date(2028, 2, 1)
    expected = []
    while len(expected) < len(times):
        expected.append("%s 00:00:00" % day)
        day += datetime.timedelta(1)
    assert times == expected
    assert "2028-02-29 00:00:00" in times and times[-1] == "2028-04-01 00:00:00"


def test_billing_rows_are_of_the_first_of_the_month(month):
    rows = month.rows(BILLING)
    times = [local(r[0]) for r in rows]
    assert times == ["2028-02-01 00:00:00", "2028-03-01 00:00:00", "2028-04-01 00:00:00"]
    assert month.number(1, "0.0.0.1.0") == 3
    daily = {local(r[0]): r for r in month.rows(DAILY)}
    for r in rows:
        assert r[1:21] == daily[local(r[0])][2:22]


def test_the_maximum_is_the_highest_demand_of_the_month(month):
    load = month.rows(LOAD)
    billing = month.rows(BILLING)
    of_march = [r for r in load if "2028-03-01 00:00:00" < local(r[0]) <= "2028-04-01 00:00:00"]
    # The ring keeps 35 days: all of March.
    assert len(of_march) == 31 * 96 - 4
    highest = max(of_march, key=lambda r: r[6])
    assert billing[2][21] == highest[6]
    assert local(billing[2][22]) == local(highest[0])


def test_maxima_of_tariffs_are_below_that_of_all(month):
    total = month.number(4, "1.0.1.6.0")
    tariffs = [month.number(4, "1.0.1.6.%d" % t) for t in (1, 2, 3, 4)]
    assert max(tariffs) == total


@pytest.mark.parametrize(
    "start, n, first, last",
    [
        ("2026-03-28T23:00", 92, "00:15:00", "00:00:00"),
        ("2026-10-24T22:00", 100, "00:15:00", "00:00:00"),
        ("2028-02-28T23:00", 96, "00:15:00", "00:00:00"),
    ],
)
def test_days_of_23_24_and_25_hours(residential, start, n, first, last):
    meter = Meter(residential, start)
    meter.program.step(n * 900)
    rows = meter.rows(LOAD)
    assert len(rows) == n
    times = [local(r[0])[11:] for r in rows]
    assert times[0] == first and times[-1] == last
    assert len(meter.rows(DAILY)) == 1
    codes = [code for _, code in meter.log(STANDARD)]
    assert codes == ([2] if n == 96 else [2, 3])
    # All rows follow each other by 15 minutes of UTC.
    minutes = [meter.clock.minute_of(r[0], 0) for r in rows]
    assert [b - a for a, b in zip(minutes, minutes[1:])] == [15] * (n - 1)


def test_energy_up_to_the_boundary_is_in_the_row(residential):
    meter = Meter(residential, "2026-06-01T00:07", Constant(a_plus=3600))
    meter.program.step(24 * 60)
    rows = meter.rows(LOAD)
    # 3600 W are a Wh a second: 8 minutes, then 15.
    assert [r[2] for r in rows] == [8 * 60, 23 * 60]
    # The first period was not a whole one; its energy counts over all of it.
    assert [r[6] for r in rows] == [3600 * 8 // 15, 3600]
    assert meter.energy("1.0.1.8.0") == 24 * 60


@pytest.mark.parametrize(
    "day, tariffs",
    [
        ("2026-12-24", [(6, 1), (17, 4), (20, 1), (22, 2)]),  # a Thursday
        ("2026-12-25", [(6, 3), (22, 2)]),
        ("2026-12-26", [(6, 3), (22, 2)]),  # a Saturday
        ("2027-01-01", [(6, 3), (22, 2)]),  # a Friday
        ("2026-04-01", [(6, 1), (17, 4), (20, 1), (22, 2)]),  # a season begins
    ],
)
def test_tariffs_of_a_day(residential, day, tariffs):
    """By the calendar and its special days: which registers count, hour by hour."""
    first = datetime.datetime.fromisoformat(day) - datetime.timedelta(hours=8)
    meter = Meter(residential, first.isoformat()[:16], Constant(a_plus=3600))
    while meter.clock.local[5]:
        meter.program.step(60)
    assert meter.now() == day + " 00:00:00"
    expected = 2
    for hour in range(24):
        expected = dict(tariffs).get(hour, expected)
        before = [meter.energy("1.0.1.8.%d" % t) for t in range(5)]
        meter.program.step(3600)
        after = [meter.energy("1.0.1.8.%d" % t) for t in range(5)]
        counted = [t for t in range(1, 5) if after[t] - before[t] == 3600]
        assert counted == [expected] and after[0] - before[0] == 3600, hour


def test_tariff_changes_at_its_instant(residential):
    # A Monday; 06:00 local time is 04:00 UTC.
    meter = Meter(residential, "2026-06-01T03:00", Constant(a_plus=3600, a_minus=7200))
    meter.set(6, "0.0.14.0.0", 4, b"\x09\x05RATE2")
    meter.program.step(3600)
    meter.program.step(1800)
    assert meter.energy("1.0.1.8.2") == 3600 and meter.energy("1.0.1.8.1") == 1800
    assert meter.energy("1.0.2.8.2") == 7200 and meter.energy("1.0.2.8.1") == 3600
    assert meter.energy("1.0.1.8.0") == 5400


def test_registers_hold_a_share_of_the_remainder(residential):
    meter = Meter(residential, "2026-06-01T03:58", Constant(a_plus=1234))
    meter.set(6, "0.0.14.0.0", 4, b"\x09\x05RATE2")
    for n in range(7):
        meter.program.step(31)
        tariffs = [meter.energy("1.0.1.8.%d" % t) for t in (1, 2, 3, 4)]
        assert sum(tariffs) == meter.energy("1.0.1.8.0") == 1234 * 31 * (n + 1) // 3600


# --- The size of a step -----------------------------------------------------------------------


@pytest.mark.parametrize("pieces", [[1] * 4000, [60, 7, 13] * 50, [4000]])
def test_steps_of_any_size_give_the_same(residential, pieces):
    def outcome(meter):
        meter.program.step(1)
        return [
            meter.rows(LOAD),
            [meter.energy("1.0.%d.8.0" % c) for c in range(1, 11)],
            bytes(meter.program.kept[:28]),
            meter.number(5, "1.0.1.4.0", 3),
            meter.number(3, "1.0.1.7.0"),
            meter.number(1, "0.0.1.1.0"),
            meter.now(),
        ]

    a = Meter(residential, "2026-06-01T10:05")
    b = Meter(residential, "2026-06-01T10:05")
    a.program.step(4000)
    for n in pieces:
        b.program.step(n)
    assert outcome(a) == outcome(b)


def test_real_time_is_the_same_as_simulated(residential):
    a = Meter(residential, "2026-06-01T10:05")
    b = Meter(residential, "2026-06-01T10:05")
    a.program.step(1800)
    left = 1800000
    k = 0
    while left:
        ms = min(left, (17, 250, 999, 1000, 3, 2500)[k % 6])
        b.program.tick(ms)
        left -= ms
        k += 1
    assert a.rows(LOAD) == b.rows(LOAD)
    assert a.now() == b.now()
    assert bytes(a.program.kept[:28]) == bytes(b.program.kept[:28])


def test_a_tick_with_nothing_due_is_short(residential):
    meter = Meter(residential, "2026-06-01T10:05")
    started = time.perf_counter()
    for _ in range(1000):
        meter.program.tick(0)
    us = (time.perf_counter() - started) * 1000
    print("a tick with nothing due: %.1f us" % us)
    assert us < 100


def test_unix_clock(residential):
    meter = Meter(residential, "2026-06-01T10:05")
    meter.program.step(3723)
    expected = datetime.datetime(2026, 6, 1, 11, 7, 3, tzinfo=datetime.timezone.utc)
    assert meter.number(1, "0.0.1.1.0") == expected.timestamp()
    meter.clock.adjust(utc("2027-01-01T00:00"), 0)
    meter.program.step(5)
    expected = datetime.datetime(2027, 1, 1, 0, 0, 5, tzinfo=datetime.timezone.utc)
    assert meter.number(1, "0.0.1.1.0") == expected.timestamp()


# --- Values -----------------------------------------------------------------------------------


def test_instantaneous_values_have_their_types(residential):
    meter = Meter(residential, "2026-06-01T11:05")
    meter.program.step(120)
    v = dict(zip(metrology.VALUES.split(), meter.program.metrology.values))
    for k, c in enumerate((32, 52, 72)):
        assert meter.number(3, "1.0.%d.7.0" % c) == v["u_l%d" % (k + 1)]
    for k, c in enumerate((36, 56, 76)):
        assert meter.number(3, "1.0.%d.7.0" % c) == v["p_l%d" % (k + 1)]
    for k, c in enumerate((21, 41, 61)):
        assert meter.number(3, "1.0.%d.7.0" % c) == max(0, v["p_l%d" % (k + 1)])
    assert meter.number(3, "1.0.13.7.0") == v["pf_total"]
    assert meter.number(3, "1.0.14.7.0") == v["freq"]


def test_a_register_wraps_at_32_bits(residential):
    meter = Meter(residential, "2026-06-01T11:05", Constant(a_plus=36000))
    at = meter.model.slot(meter.row(3, "1.0.1.8.0"), 2)
    meter.model.image[at + 1 : at + 5] = b"\xff\xff\xff\xfe"
    meter.program.step(1)
    assert meter.energy("1.0.1.8.0") == 8


# --- Events -----------------------------------------------------------------------------------


def test_power_up_is_the_first_event(residential):
    meter = Meter(residential, "2026-06-01T10:05")
    assert meter.log(STANDARD) == [("2026-06-01 12:05:00", 2)]
    assert meter.number(1, "0.0.96.7.0") == 0
    assert meter.number(1, "0.0.96.15.1") == 1


@pytest.mark.parametrize(
    "log, profile", [("fraud", 1), ("disconnect", 2), ("power_quality", 3), ("communication", 4)]
)
def test_each_event_goes_to_its_log(residential, log, profile):
    meter = Meter(residential, "2026-06-01T10:05")
    code = {"fraud": 44, "disconnect": 62, "power_quality": 88, "communication": 140}[log]
    before = meter.number(1, "0.0.96.15.0")
    meter.program.step(30)
    assert meter.program.event(log, code)
    assert meter.log("0.0.99.98.%d" % profile)[-1] == ("2026-06-01 12:05:30", code)
    assert meter.number(1, "0.0.96.11.%d" % profile) == code
    assert meter.number(1, "0.0.96.15.0") == before + 1
    # The same through the hook, a second later.
    meter.model.event(code + 1)
    meter.program.step(1)
    assert meter.log("0.0.99.98.%d" % profile)[-1] == ("2026-06-01 12:05:31", code + 1)


def test_setting_the_clock_is_two_events(residential):
    meter = Meter(residential, "2026-06-01T10:05")
    meter.program.step(20)
    meter.clock.adjust(utc("2026-06-01T10:30"), 0)
    meter.program.step(10)
    assert meter.log(STANDARD)[1:] == [("2026-06-01 12:05:20", 4), ("2026-06-01 12:30:10", 5)]
    assert meter.now() == "2026-06-01 12:30:10"
    # The row of that period says so, the one after it does not.
    meter.program.step(3600)
    status = [r[1] for r in meter.rows(LOAD)]
    assert [s & 0x20 for s in status] == [0x20, 0, 0, 0]
    assert [s & 0x08 for s in status] == [8] * 4


def test_no_energy_is_lost_when_the_clock_is_set(residential):
    meter = Meter(residential, "2026-06-01T10:05")
    for target in ("2026-06-01T10:00", "2027-02-28T23:59", "2020-01-01T00:00"):
        meter.program.step(1234)
        meter.clock.adjust(utc(target), 17)
    meter.program.step(60)
    kept = meter.program.kept
    total = meter.energy("1.0.1.8.0") * 3600 + (kept[0] << 8 | kept[1])
    assert total == meter.program.metrology.total[0]


FAR = ["2099-12-31T22:50", "2000-01-31T22:50", "2026-12-31T22:50", "2026-06-30T21:50"]


@pytest.mark.parametrize("first", range(len(FAR)))
def test_a_clock_that_is_set_far_away(residential, first):
    """Forward and back over many years, each time to ten minutes before a month ends: rows are
    those of the time that has passed, the billing period that ends is one, nothing is made up for
    or left out, and the meter starts again with it."""
    files = MemoryFiles()
    source = Constant(a_plus=3600)
    meter = Meter(residential, "2026-06-01T10:05", source, stored(files))
    meter.program.step(3600)
    for k in range(len(FAR)):
        target = FAR[(first + k) % len(FAR)]
        before = {name: len(meter.rows(name)) for name in (LOAD, DAILY, BILLING)}
        meter.clock.adjust(utc(target), 0)
        meter.program.step(3600)
        new = {name: meter.rows(name)[n:] for name, n in before.items()}
        # A boundary at which the clock is set, then quarters of an hour; midnight is one of them.
        assert len(new[LOAD]) in (4, 5) and len(new[DAILY]) in (1, 2), target
        assert len(new[BILLING]) == 1, target
        midnight = local(meter.clock.local)[:10] + " 00:00:00"
        assert local(new[BILLING][0][0]) == local(new[DAILY][-1][0]) == midnight
        assert new[LOAD][0][1] & 0x20 and not new[LOAD][-1][1] & 0x20
        assert meter.energy("1.0.1.8.0") == 3600 * (k + 2)
        codes = [code for _, code in meter.log(STANDARD)]
        assert codes.count(4) == codes.count(5) == k + 1
        assert [r[2] for r in meter.rows(LOAD)] == sorted(r[2] for r in meter.rows(LOAD))
    again = Meter(residential, meter.clock.minute, Constant(), stored(files))
    assert again.rows(BILLING) == meter.rows(BILLING)
    assert again.number(1, "0.0.0.1.0") == len(FAR)


def test_configuration_changes_are_counted_and_noted(residential):
    meter = Meter(residential, "2026-06-01T10:05")
    meter.set(1, "0.0.96.13.0", 2, b"\x09\x05hello")
    meter.set(1, "0.0.96.13.1", 2, b"\x09\x05hello")
    meter.program.step(1)
    assert meter.number(1, "0.0.96.2.0") == 2
    assert [code for _, code in meter.log(STANDARD)] == [2, 47]
    # What the meter does by itself is none.
    meter.program.step(86400)
    assert meter.number(1, "0.0.96.2.0") == 2


def test_fraud_raises_the_alarm_through_its_filter(residential):
    meter = Meter(residential, "2026-06-01T10:05")
    meter.program.event("fraud", 44)
    assert meter.number(1, "0.0.97.98.0") == 1 << 13
    assert meter.number(1, "0.0.97.98.20") == 1 << 13
    assert meter.number(1, "0.0.97.97.0") == 0
    meter = Meter(residential, "2026-06-01T10:05")
    meter.set(1, "0.0.97.98.10", 2, b"\x06\x00\x00\x10\x00")
    meter.program.event("fraud", 44)
    assert meter.number(1, "0.0.97.98.0") == 0
    meter.program.event("standard", 15)
    assert meter.number(1, "0.0.97.98.0") == meter.number(1, "0.0.97.97.0") == 1 << 12


def test_voltage_events(residential):
    source = Constant(a_plus=100)
    meter = Meter(residential, "2026-06-01T10:05", source)
    for volts in (2300, 2000, 2300, 2600, 100):
        source.volts = volts
        meter.program.step(60)
    meter.program.step(60)
    codes = [code for _, code in meter.log("0.0.99.98.3")]
    assert codes == [76, 77, 78, 85, 86, 87, 79, 80, 81, 82, 83, 84]


def test_a_flood_of_events_is_bounded(residential):
    meter = Meter(residential, "2026-06-01T10:05")
    for _ in range(100):
        meter.model.event(46)
    meter.program.step(1)
    assert len(meter.rows("0.0.99.98.1")) == 16
    assert meter.program.events.lost == 84


def test_what_was_cleared_is_noted(residential):
    meter = Meter(residential, "2026-06-01T10:05")
    assert meter.model.act(meter.row(7, LOAD), 1, b"\x0f\x00", 0, 2) == 0
    meter.program.step(1)
    assert meter.log(STANDARD)[-1] == ("2026-06-01 12:05:01", 254)
    assert meter.model.act(meter.row(7, STANDARD), 1, b"\x0f\x00", 0, 2) == 0
    meter.program.step(1)
    # The log that was cleared says that it was.
    assert meter.log(STANDARD) == [("2026-06-01 12:05:02", 255)]


def test_a_house_that_is_disconnected_takes_nothing(residential):
    meter = Meter(residential, "2026-06-01T18:05")
    meter.program.step(600)
    row = meter.row(70, "0.0.96.3.10")
    before = meter.energy("1.0.1.8.0")
    assert before > 0
    assert meter.model.act(row, 1, b"\x0f\x00", 0, 2) == 0
    meter.program.step(3600)
    assert meter.energy("1.0.1.8.0") - before <= 1
    assert meter.number(3, "1.0.1.7.0") == meter.number(3, "1.0.31.7.0") == 0
    assert meter.log("0.0.99.98.2")[-1][1] == 62
    assert meter.model.act(row, 2, b"\x0f\x00", 0, 2) == 0
    meter.program.step(3600)
    assert meter.energy("1.0.1.8.0") > before + 50


# --- Power failures ---------------------------------------------------------------------------


def stored(files):
    return FileStorage("state", files)


def test_an_orderly_end_loses_nothing(residential):
    files = MemoryFiles()
    meter = Meter(residential, "2026-06-01T10:05", storage=stored(files))
    assert meter.program.saved_minute == -1
    meter.program.step(40000)
    assert meter.program.power_down()
    again = Meter(residential, "2026-06-02T10:05", storage=stored(files))
    assert again.loaded and again.program.saved_minute == meter.clock.minute
    for c in range(1, 11):
        assert again.energy("1.0.%d.8.0" % c) == meter.energy("1.0.%d.8.0" % c)
    assert bytes(again.program.kept[:28]) == bytes(meter.program.kept[:28])
    assert again.rows(LOAD) == meter.rows(LOAD)
    assert [code for _, code in again.log(STANDARD)][-2:] == [1, 2]
    assert again.number(1, "0.0.96.7.0") == 1
    assert again.number(1, "0.0.96.15.1") == 2
    again.program.step(900)
    assert again.rows(LOAD)[-1][1] & 0x80


def test_power_that_just_goes_is_noted_with_the_last_known_time(residential):
    files = MemoryFiles()
    meter = Meter(residential, "2026-06-01T10:05", storage=stored(files))
    meter.program.step(3600 + 1200)
    again = Meter(residential, "2026-06-02T10:05", storage=stored(files))
    assert again.log(STANDARD)[-2:] == [("2026-06-01 13:15:00", 1), ("2026-06-02 12:05:00", 2)]


@pytest.mark.parametrize("minute, goes_on", [(0, True), (-1, True), (1, False)])
def test_time_does_not_go_back(residential, monkeypatch, minute, goes_on):
    """Without power the port's clock may have begun anew, or lost some time; or it is right."""
    files = MemoryFiles()
    meter = Meter(residential, "2026-06-01T10:05", storage=stored(files))
    meter.program.step(3600)
    assert meter.program.power_down()
    last = (meter.clock.minute, meter.clock.second)
    utc = (last[0] + minute, last[1]) if minute else (13675680, 0)
    monkeypatch.setattr(cpython, "utc", lambda: utc)
    again = app.build(residential, stored(files), cpython, 1)
    clock = again.program.clock
    assert (clock.minute, clock.second) == (last if goes_on else utc)
    assert clock.local[11] & 0x03 == (0x02 if goes_on else 0)


def test_a_start_that_is_told_the_time_takes_it(residential):
    files = MemoryFiles()
    meter = Meter(residential, "2026-06-01T10:05", storage=stored(files))
    assert meter.program.power_down()
    again = app.build(residential, stored(files), cpython, 1, 13675680)
    assert again.program.clock.minute == 13675680 and not again.program.clock.local[11] & 0x03


def test_power_cut_at_any_write_of_a_day(residential):
    """Registers are never behind rows, tariffs still sum up, rows stay."""
    start = "2026-06-30T20:55"
    day = 4 * 3600 + 1200

    def source():
        return Constant(a_plus=2345, r_q1=777, r_q4=3)

    files = MemoryFiles()
    meter = Meter(residential, start, source(), stored(files))
    meter.program.step(day)
    total = files.n_writes
    whole = meter.rows(LOAD)
    assert meter.rows(BILLING)
    tried = 0
    for cut_at in range(total):
        files = MemoryFiles()
        files.cut_at = cut_at
        files.part = cut_at * 5 % 9
        meter = None
        try:
            meter = Meter(residential, start, source(), stored(files))
            meter.program.step(day)
        except PowerCut:
            pass
        assert files.off
        files = MemoryFiles(files.data)
        again = Meter(residential, "2026-07-01T08:00", Constant(), stored(files))
        rows = again.rows(LOAD)
        assert rows == whole[: len(rows)]
        if rows:
            assert again.energy("1.0.1.8.0") >= rows[-1][2]
            assert again.energy("1.0.3.8.0") >= rows[-1][4]
        tariffs = [again.energy("1.0.1.8.%d" % t) for t in (1, 2, 3, 4)]
        assert sum(tariffs) == again.energy("1.0.1.8.0")
        if meter is not None:
            # A quarter of an hour at most, and the row that was being written.
            lost = meter.energy("1.0.1.8.0") - again.energy("1.0.1.8.0")
            assert 0 <= lost <= 2345 // 4 + 1
            assert meter.clock.minute - 15 <= again.program.saved_minute <= meter.clock.minute
        tried += 1
    print("power cuts tried: %d of %d writes" % (tried, total))


@pytest.mark.parametrize("second", [0, 7, 59])
@pytest.mark.parametrize("to", ["2026-05-02T09:14", "2026-06-01T10:14", "2031-08-08T16:44"])
def test_a_boundary_right_behind_the_time_that_was_set_has_its_row(residential, to, second):
    meter = Meter(residential, "2026-06-01T10:05")
    meter.clock.adjust(utc(to), second)
    meter.program.step(60)
    assert len(meter.rows(LOAD)) == 1
    meter.program.step(900)
    assert len(meter.rows(LOAD)) == 2


def test_storage_that_fails_is_an_event_and_not_the_end(residential):
    files = MemoryFiles()
    meter = Meter(residential, "2026-06-01T10:05", storage=stored(files))
    meter.program.step(1800)
    rows = len(meter.rows(LOAD))
    files.full = True
    meter.program.step(3600)
    assert meter.program.unsaved > 0 and meter.storage.failed > 0
    assert meter.number(1, "0.0.97.97.0") & 1 << 10
    files.full = False
    meter.program.step(3600)
    assert meter.program.unsaved == 0
    assert len(meter.rows(LOAD)) == rows + 4
    kept = meter.program.kept
    total = meter.energy("1.0.1.8.0") * 3600 + (kept[0] << 8 | kept[1])
    assert total == meter.program.metrology.total[0]


def test_lost_rows_are_an_event(residential):
    """Whether the start has seen that they are gone, or a client when it read them."""
    files = MemoryFiles()
    meter = Meter(residential, "2026-06-01T10:05", storage=stored(files))
    meter.program.step(3600)
    rows = files.data[next(path for path in files.data if "/%d-" % meter.row(7, LOAD) in path)]
    rows[64 + 70 + 30] ^= 1
    meter.program.step(3600)
    assert 14 not in [code for _, code in meter.log(STANDARD)]
    buf = bytearray(2000)
    assert meter.model.read(meter.row(7, LOAD), 2, buf, 0, len(buf)) > 0
    for _ in range(2):
        meter.program.step(3600)
        assert [code for _, code in meter.log(STANDARD)].count(14) == 1
    del rows[:]
    again = Meter(residential, "2026-06-02T10:05", storage=stored(files))
    assert [code for _, code in again.log(STANDARD)][-3:] == [1, 14, 2]
    assert again.rows(LOAD) == []
    again.program.step(900)
    assert len(again.rows(LOAD)) == 1


# --- Definitions that do not fit --------------------------------------------------------------


def small(lines, clock=CLOCK):
    return define(clock + lines, HEAD)


def register(source, data_type="double-long-unsigned"):
    line = (
        '    {class = 3, obis = "1.0.1.8.0.255", data_type = "%s", unit = "Wh", source = "%s"},\n'
    )
    return line % (data_type, source)


def test_a_small_definition_is_fed_too():
    meter = Meter(small(register("energy.a_plus")), "2026-06-01T10:05", Constant(a_plus=3600))
    meter.program.step(100)
    assert meter.energy("1.0.1.8.0") == 100
    assert meter.program.event("fraud", 44)


def test_an_unknown_source_is_a_sentence():
    with pytest.raises(ValueError, match="from energy.magic: this meter has no such source"):
        Meter(small(register("energy.magic")), "2026-06-01T10:05")


def test_a_type_that_is_too_small_is_a_sentence():
    with pytest.raises(ValueError, match="energy.a_plus needs an integer of 4 octets"):
        Meter(small(register("energy.a_plus", "long-unsigned")), "2026-06-01T10:05")


def test_a_maximum_needs_its_demand():
    line = (
        '    {class = 4, obis = "1.0.1.6.0.255", data_type = "double-long-unsigned",'
        ' unit = "W", source = "max.a_plus"},\n'
    )
    with pytest.raises(ValueError, match="no such demand"):
        Meter(small(line), "2026-06-01T10:05")


def test_a_meter_needs_a_clock():
    with pytest.raises(ValueError, match="no clock"):
        model = Model(small("", clock=""))
        Program(model, Constant())


# --- MicroPython ------------------------------------------------------------------------------

SCRIPT = """
import sys
sys.path[:0] = [{lib!r}, {root!r}, {here!r}]
try:
    import micropython
except ImportError:
    sys.path.append({shim!r})
    import micropython
from binascii import crc32
import definition
from cosem import slots
from cosem.model import Model
from firmware.meter.household import Household
from firmware.meter.program import Program
from firmware.ports import ciphers
from firmware.store import RAMStorage
storage = RAMStorage()
storage.prepare(definition)
model = Model(definition)
model.aes = ciphers.aes
model.storage = storage
model.handler("clock").set_utc({minute}, 0)
model.start()
program = Program(model, Household(3))
program.step(2 * 86400)
lock = getattr(micropython, "heap_lock", int)
unlock = getattr(micropython, "heap_unlock", int)
row = model.rows(7)[0]
lock()
# What requests reach.
model.event(46)
model.on_edit(row, 2)
program._on_capture(row)
program._on_captured(row)
unlock()
program.step(3600)
print(crc32(model.image), crc32(program.kept))
"""


def test_micropython_counts_the_same(residential, micropython, tmp_path):
    import sys

    (tmp_path / "definition.py").write_text(residential.TEXT)
    path = tmp_path / "run.py"
    path.write_text(
        SCRIPT.format(
            lib=os.path.join(ROOT, "lib"),
            root=ROOT,
            here=str(tmp_path),
            shim=os.path.join(ROOT, "firmware", "ports", "shim"),
            minute=utc("2026-06-30T20:00"),
        )
    )
    answers = []
    for runtime in (sys.executable, micropython):
        answer = subprocess.run(
            [runtime, str(path)], capture_output=True, text=True, timeout=300, check=False
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        answers.append(answer.stdout)
    assert answers[0] == answers[1]


# --- No room ----------------------------------------------------------------------------------


class Seen(Meter):
    """A meter that somebody else has built."""

    def __init__(self, model):
        self.model = model


def test_an_instant_without_room_is_not_the_end_of_the_meter(residential):
    """What was left to do of it is not done; the energy and all later instants are there."""
    meter = app.build(residential, RAMStorage(), cpython, 1, utc("2026-06-01T10:13"), 0, 0)
    program = meter.program
    capture = program._profiles.capture
    calls = []

    def full(row):
        calls.append(row)
        if len(calls) == 1:
            raise MemoryError
        return capture(row)

    program._profiles.capture = full
    ms = 0
    meter.speed = 1
    for _ in range(40 * 60 * 2):
        ms += 500
        meter.tick(ms)
    # At 10:15 nothing was captured; at 10:30 and 10:45 there was room again.
    seen = Seen(meter.model)
    assert [local(row[0])[11:] for row in seen.rows(LOAD)] == ["12:30:00", "12:45:00"]
    assert 13 in [code for _, code in seen.log(STANDARD)]
