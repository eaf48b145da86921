# SPDX-License-Identifier: MIT
"""Time that is stepped: the same as time that passes, and what is counted in it adds up.

The sums are held against a household of the test's own, that is asked minute by minute with local
times worked out here, and added up here: to what a register and every row of every profile must
say. A whole year takes a minute: with PICOMETER_ALL=1 it is tried, else some weeks of it.
"""

import datetime
import functools
import glob
import json
import os
import subprocess
import sys
import types

import pytest
import test_program
from conftest import ROOT
from fakes import CLOCK, HEAD, define, obis, value
from running import AARQ, GET_TIME, METER, Running, Wrapper
from test_program import BILLING, LOAD, Constant, Meter, local, utc

from cosem import slots
from cosem.model import Model
from dlms.axdr import skip
from firmware.meter.ahead import Ahead
from firmware.meter.household import Household
from firmware.meter.metrology import ENERGIES
from tables import pack, show

residential = test_program.residential  # a fixture
ALL = bool(os.environ.get("PICOMETER_ALL"))
NAMES = ENERGIES.split()
SEED = 7
TIMING = os.path.join(ROOT, "host_tests", "definitions", "timing.toml")
DEFINITIONS = sorted(
    glob.glob(os.path.join(ROOT, "firmware/definitions/*.toml"))
    + glob.glob(os.path.join(ROOT, "host_tests/definitions/*.toml"))
)


def load(path):
    module = types.ModuleType("definition")
    exec(show.module(pack.compile(str(path))), module.__dict__)
    return module


def outcome(meter):
    """Everything that there is, or comes to be seen."""
    handler = meter.model.handler("profile_generic")
    rings = [handler.profiles[row].ring for row in sorted(handler.profiles)]
    rows = []
    for ring in rings:
        for k in range(ring.n):
            buf = bytearray(ring.row_len)
            assert ring.read(k, buf, 0)
            rows.append((ring.first + k, bytes(buf)))
    return bytes(meter.model.image), bytes(meter.program.kept), meter.now(), rows


# --- The same as minute by minute ---------------------------------------------------------------


@pytest.mark.parametrize("start", ["2026-03-27T21:10", "2026-10-24T21:10", "2028-02-28T21:10"])
def test_it_is_the_same_as_minute_by_minute(residential, start):
    plain, ahead = (Meter(residential, start, Household(SEED)) for _ in range(2))
    step = Ahead(ahead.program).step
    for seconds in (17, 43, 3600, 86400 + 12345, 1, 2 * 86400, 899, 60, 3 * 3600 + 5):
        plain.program.step(seconds)
        step(seconds)
        assert outcome(plain) == outcome(ahead), seconds
    assert len(plain.rows(LOAD)) > 300


def test_values_that_cross_a_threshold_are_seen(residential):
    """A limiter of 2.5 kW, which the household exceeds now and then: it disconnects after half a
    minute, and connects again a minute later."""
    plain, ahead = (Meter(residential, "2026-06-01T00:00", Household(SEED)) for _ in range(2))
    stepped = Ahead(ahead.program)
    for meter in plain, ahead:
        meter.set(70, "0.0.96.3.10", 4, b"\x16\x05")
        meter.set(71, "0.0.17.0.0", 4, b"\x06" + (2500).to_bytes(4, "big"))
    for seconds in (3600, 86400 + 77, 2 * 86400):
        plain.program.step(seconds)
        stepped.step(seconds)
        assert outcome(plain) == outcome(ahead), seconds
    events = [r[1] for r in plain.rows("0.0.99.98.2")]
    assert events.count(65) > 3 and events.count(66) > 3
    assert stepped.skipped > 2000


@pytest.mark.parametrize(
    "watched, codes", [("3/1.0.1.8.0/2", [67, 65, 64]), ("5/1.0.1.4.0/3", [67, 65, 64])]
)
def test_energies_and_demands_that_cross_one(residential, watched, codes):
    class_id, name, attribute = watched.split("/")
    reference = b"\x02\x03\x12\x00" + bytes((int(class_id),)) + b"\x09\x06"
    reference += obis(name + ".255") + b"\x0f" + bytes((int(attribute),))
    plain, ahead = (Meter(residential, "2026-06-01T00:00", Constant(a_plus=720)) for _ in range(2))
    for meter in plain, ahead:
        meter.set(71, "0.0.17.0.0", 2, reference)
        meter.set(71, "0.0.17.0.0", 4, b"\x06" + (500).to_bytes(4, "big"))
    plain.program.step(7200)
    Ahead(ahead.program).step(7200)
    assert outcome(plain) == outcome(ahead)
    assert [r[1] for r in plain.rows("0.0.99.98.2")] == codes


def test_most_minutes_are_skipped(residential):
    ahead = Ahead(Meter(residential, "2026-06-01T00:00").program)
    ahead.step(86400)
    assert 1440 - 96 - 24 - 96 <= ahead.skipped <= 1440 - 96


def test_what_a_client_or_the_clock_changes_is_seen(residential):
    """A schedule that is set for a minute that would be skipped; a clock that is set; the
    disconnector; a period that is no quarter of an hour."""
    plain, ahead = (Meter(residential, "2026-06-01T00:00", Household(SEED)) for _ in range(2))
    steps = plain.program.step, Ahead(ahead.program).step
    for seconds in (3600, 3600):
        for meter, step in zip((plain, ahead), steps):
            step(seconds)
            meter.clock.adjust(meter.clock.minute - 7, 23)
            step(seconds)
            # 0.0.15.0.0: every day at 05:47 and a second, local time.
            schedule = b"\x01\x01\x02\x02\x09\x04\x05\x2f\x01\x00\x09\x05\xff\xff\xff\xff\xff"
            meter.set(22, "0.0.15.0.0", 4, schedule)
            step(4 * 3600)
            assert meter.model.act(meter.row(70, "0.0.96.3.10"), 1, b"\x0f\x00", 0, 2) == 0
            step(3600)
            meter.set(7, LOAD, 4, b"\x06" + (420).to_bytes(4, "big"))
            step(5000)
        assert outcome(plain) == outcome(ahead)
    assert len(plain.rows(BILLING)) == len(ahead.rows(BILLING)) == 1


@pytest.mark.parametrize("start", ["2026-03-27T21:10", "2026-10-24T21:10"])
def test_schedules_and_calendars_have_their_time(start, tmp_path):
    """Schedule, Activity calendar and their tariffs; a clock that is set by half a minute. The
    meter of timing.toml without those that look at every minute."""
    with open(TIMING) as f:
        looking = ("Limiter", "Sensor manager", "Register monitor")
        lines = [line for line in f if not any(name in line for name in looking)]
    path = tmp_path / "timing.toml"
    path.write_text("".join(lines))
    plain, ahead = (Meter(load(path), start, Household(SEED)) for _ in range(2))
    steps = plain.program.step, Ahead(ahead.program)
    for seconds in (3600, 86400, 840, 86400):
        for meter, step in zip((plain, ahead), (steps[0], steps[1].step)):
            step(seconds)
            meter.clock.adjust(meter.clock.minute - 1, (meter.clock.second + 30) % 60)
            step(seconds)
        assert bytes(plain.model.image) == bytes(ahead.model.image)
        assert plain.now() == ahead.now()
    assert steps[1].skipped > 3000


def test_who_looks_at_every_minute_sees_it():
    """A Register monitor compares all the time."""
    line = (
        '    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long-unsigned", unit = "Wh",'
        ' source = "energy.a_plus"},\n'
        '    {class = 21, obis = "0.0.16.0.0.255", monitored_value = "3/1.0.1.8.0/2",'
        " thresholds = [], actions = []},\n"
    )
    meter = Meter(define(CLOCK + line, HEAD), "2026-06-01T10:05", Constant(a_plus=3600))
    ahead = Ahead(meter.program)
    ahead.step(7200)
    assert ahead.skipped == 0 and meter.energy("1.0.1.8.0") == 7200


# --- Sums -------------------------------------------------------------------------------------


def last_sunday(year, month):
    day = datetime.datetime(year, month, 31)
    return day - datetime.timedelta((day.weekday() + 1) % 7)


def local_of(minute):
    """Local time of Central Europe, both in minutes since 2000."""
    t = datetime.datetime(2000, 1, 1) + datetime.timedelta(minutes=minute)
    begin = last_sunday(t.year, 3) + datetime.timedelta(hours=1)
    end = last_sunday(t.year, 10) + datetime.timedelta(hours=1)
    return minute + (120 if begin <= t < end else 60)


class Uninterrupted(Household):
    """It goes on when a prepayment meter disconnects it."""

    def supply(self, connected):
        pass


@functools.lru_cache(maxsize=None)
def taken(start, end):
    """Wh that each source of a register has had at each quarter of an hour, by minute."""
    house = Household(SEED)
    sums = [0] * len(NAMES)
    out = {}
    for minute in range(start, end + 1):
        if minute % 15 == 0:
            wh = out[minute] = {name: ws // 3600 for name, ws in zip(NAMES, sums)}
            wh["r_plus"] = wh["r_q1"] + wh["r_q2"]
            wh["r_minus"] = wh["r_q3"] + wh["r_q4"]
        house.begin(minute, local_of(minute))
        house.take(60)
        sums = [a + q for a, q in zip(sums, house.quanta)]
    return out


def captured(model, profile):
    """The rows of the objects that a profile captures, by number of the column."""
    buf = slots.source(model, profile, 3)
    at = slots.offset(model, profile, 3)
    out = {}
    for k in range(buf[at + 1]):
        o = at + 2 + 18 * k
        key = bytes((buf[o + 3], buf[o + 4])) + bytes(buf[o + 7 : o + 13])
        out[k] = model.find_any(key, 0)
    return out


class Columns:
    """All rows that a profile captures, also those that its ring has dropped, by register."""

    def __init__(self, meter, profile):
        model = self.model = meter.model
        self.clock = meter.clock
        self.rows = []
        columns = captured(model, profile)
        self.n = len(columns)
        self.time = next((k for k, row in columns.items() if model.class_id(row) == 8), None)
        self.registers = {k: row for k, row in columns.items() if model.class_id(row) == 3}
        self.ring = model.handler("profile_generic").profiles[profile].ring
        append = self.ring.append

        def appended(octets, pos):
            done = append(octets, pos)
            self.rows.append(bytes(octets[pos : pos + self.ring.row_len]))
            return done

        self.ring.append = appended

    def values(self):
        """(minute, {row of the register: its value}) of each row."""
        for octets in self.rows:
            pos = 0
            out = []
            for _ in range(self.n):
                end = skip(octets, pos, len(octets))
                out.append(octets[pos:end])
                pos = end
            minute = self.clock.minute_of(value(out[self.time]), 0)
            yield minute, {row: value(out[k]) for k, row in self.registers.items()}


def with_profiles():
    for path in DEFINITIONS:
        with open(path) as f:
            if '"energy.' not in f.read():
                continue
        definition = load(path)
        fed = {row for name, row, _ in definition.SOURCES if name.startswith("energy.")}
        model = Model(definition)
        if any(
            slots.double_long_unsigned(model, row, 4) and fed & set(captured(model, row).values())
            for row in model.rows(7)
        ):
            yield os.path.basename(path)[:-5], definition, fed


CASES = list(with_profiles())


def test_the_definitions_with_profiles():
    assert {"residential", "compact"} <= {name for name, _, _ in CASES}


SPANS = [
    ("2028-02-27T00:00", "2028-03-02T00:00"),
    ("2028-03-25T00:00", "2028-03-27T00:00"),
    ("2026-10-24T00:00", "2026-10-26T00:00"),
]
if ALL:
    SPANS = [("2027-06-01T00:00", "2028-06-01T00:00")]


@pytest.mark.parametrize("start, end", SPANS)
@pytest.mark.parametrize("name, definition, fed", CASES, ids=[c[0] for c in CASES])
def test_rows_and_registers_add_up(name, definition, fed, start, end):
    """For every register of every profile: what it has counted from row to row is what the house
    took meanwhile, and all rows together say what the register says."""
    meter = Meter(definition, start, Uninterrupted(SEED))
    model = meter.model
    sources = {row: s[7:] for s, row, _ in definition.SOURCES if s.startswith("energy.")}
    profiles = [Columns(meter, row) for row in sorted(model.handler("profile_generic").profiles)]
    before = {row: model.get_int(row, 2) for row in fed}
    Ahead(meter.program).step(60 * (utc(end) - utc(start)))
    total = taken(utc(start), utc(end))
    by_source = {}
    for row in fed:
        by_source.setdefault((model.objects[row * 16 + 4], sources[row]), []).append(row)
    for (_, source), rows in by_source.items():
        # One of a source, or a total and its tariffs, or the same in two devices.
        counted = [model.get_int(row, 2) - before[row] for row in rows]
        assert max(counted) == total[utc(end)][source], source
    checked = whole_span = 0
    for profile in profiles:
        if profile.time is None:
            continue  # a log, which does not say when
        sums = dict.fromkeys(set(profile.registers.values()) & fed, 0)
        last = {row: before[row] for row in sums}
        minute = 0
        for minute, values in profile.values():
            whole = total.get(minute)  # None: of an event within a quarter of an hour
            tariffs = {}
            for row in sums:
                sums[row] += values[row] - last[row]
                assert values[row] >= last[row]
                last[row] = values[row]
                e = model.objects[row * 16 + 6]
                if e:
                    tariffs[sources[row]] = tariffs.get(sources[row], 0) + values[row]
                elif whole:
                    assert values[row] == whole[sources[row]], (name, minute, sources[row])
                checked += 1
            for source, tariff in tariffs.items() if whole else ():
                assert tariff == whole[source], (name, minute, source)
        if minute == utc(end):
            for row, n in sums.items():
                assert before[row] + n == model.get_int(row, 2)
                whole_span += 1
    quarters = (utc(end) - utc(start)) // 15
    assert checked >= quarters // 4 and whole_span
    print("%s: %d values of %d quarters of an hour" % (name, checked, quarters))


def test_a_year_of_billing(residential):
    """Twenty-six months end; the clock is set to shortly before. The history holds 24."""
    source = Constant(a_plus=3600, r_q1=600)
    meter = Meter(residential, "2026-01-31T22:30", source)
    ahead = Ahead(meter.program)
    kept = []
    for k in range(26):
        year, month = 2026 + (k + 1) // 12, (k + 1) % 12 + 1
        first = datetime.datetime(year, month, 1)
        utc_minute = next(m for m in range(utc(first.isoformat()) - 180, utc(first.isoformat()))
                          if local_of(m) == utc(first.isoformat()))  # fmt: skip
        meter.clock.adjust(utc_minute - 35, 0)
        source.watts["a_plus"] = 3600 + 36 * k
        ahead.step(15 * 60)
        source.watts["a_plus"] = 3000
        ahead.step(25 * 60)
        kept.append((first.strftime("%Y-%m-%d %H:%M:%S"), meter.energy("1.0.1.8.0"), k))
    rows = meter.rows(BILLING)
    assert len(rows) == 24 and meter.number(1, "0.0.0.1.0") == 26
    for r, (time, energy, k) in zip(rows, kept[2:]):
        assert local(r[0]) == time
        for c in (1, 6, 11, 16):
            assert r[c] == sum(r[c + 1 : c + 5])
        # The five minutes after midnight are the next month's.
        assert r[1] == energy - 300 * 3000 // 3600
        # The highest quarter of an hour, and when it ended.
        assert local(r[22])[:10] == local_day_before(time) and local(r[22])[11:] == "23:45:00"
        assert 3000 < r[21] <= 3600 + 36 * k


def local_day_before(text):
    day = datetime.datetime.fromisoformat(text) - datetime.timedelta(1)
    return day.strftime("%Y-%m-%d")


# --- tools/meter.py run --until -----------------------------------------------------------------

RUNTIMES = ("cpython", "micropython")


def report(*args):
    out = subprocess.run(
        [sys.executable, METER, "run", "--json", "--seed", "7", *args],
        cwd=ROOT, capture_output=True, text=True, timeout=900,
    )  # fmt: skip
    assert out.returncode == 0 and out.stdout.count("\n") == 1, out.stderr
    return json.loads(out.stdout)


def test_every_runtime_comes_to_the_same(micropython, tmp_path):
    """A leap day and daylight saving: all files of the state are the same in every octet."""
    reports = []
    states = []
    for runtime in RUNTIMES:
        state = tmp_path / runtime
        options = ("--runtime", runtime, "--state", str(state))
        one = report(*options, "--start", "2028-02-28", "--until", "2028-03-01")
        two = report(*options, "--start", "2028-03-25T12:00", "--until", "2028-03-26T12:00")
        reports.append((one, two))
        files = [path for path in state.rglob("*") if path.is_file() and "lock" not in path.name]
        states.append({path.name: path.read_bytes() for path in files})
    assert reports[0] == reports[1] and len(states[0]) > 10
    assert [name for name in states[0] if states[0][name] != states[1].get(name)] == []
    one, two = reports[0]
    assert (one["from"], one["until"]) == ("2028-02-28T00:00", "2028-03-01T00:00")
    assert one["profiles"]["1.0.99.1.0"] == {"captured": 192, "entries_in_use": 192}
    assert two["profiles"]["1.0.99.1.0"] == {"captured": 96, "entries_in_use": 288}
    wh = taken(utc("2028-02-28T00:00"), utc("2028-03-01T00:00"))[utc("2028-03-01T00:00")]
    assert one["registers"]["1.0.1.8.0"] == [0, wh["a_plus"]]
    assert two["registers"]["1.0.1.8.0"][0] == wh["a_plus"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_then_it_serves(runtime):
    """Its clock goes on from there, and no second of the stepping counts twice."""
    options = ("--start", "2026-06-01", "--until", "2026-06-01T10:15:30", "--speed", "0")
    with Running("--runtime", runtime, "--wrapper-tcp", "0", *options) as meter:
        client = Wrapper(meter.connect("wrapper-tcp"))
        client.ask(AARQ)
        assert client.ask(GET_TIME).hex().startswith("c401c100090c07ea0601010c0f1e")


def test_it_ends_when_it_is_told_to():
    meter = Running("--start", "2001-01-01", "--until", "2099-01-01", wait=False)
    assert meter.wait_for("") is not None
    assert meter.stop() == 0


@pytest.mark.parametrize(
    "args, said",
    [
        (["--json"], "--json prints what came of --until, which is not there."),
        (["--until", "tomorrow"], "'tomorrow' is no time"),
        (
            ["--start", "2026-06-01T10:00", "--until", "2026-06-01"],
            "The meter's clock is already at 2026-06-01T10:00 UTC.",
        ),
    ],
)
def test_mistakes(args, said):
    out = subprocess.run(
        [sys.executable, METER, "run", "--runtime", "cpython", *args],
        cwd=ROOT, capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert out.returncode in (1, 2) and said in out.stderr and "Traceback" not in out.stderr
