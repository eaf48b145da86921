# SPDX-License-Identifier: MIT
"""The reference meter when its clock is set by minutes, months, decades, forward and back, or to
what is no time: nothing is made up for row by row, nothing is lost, and all goes on from there."""

import pytest
import test_program
from test_program import BILLING, DAILY, LOAD, STANDARD, Counting, Meter, utc

residential = test_program.residential  # a fixture
START = "2026-06-15T10:05"
HOUR = 3600
CLOCK_OLD, CLOCK_NEW = 4, 5
PERIODS = "0.0.0.1.0"

JUMPS = [
    "2026-06-15T10:06", "2026-06-15T13:00", "2026-06-16T10:05", "2026-07-20T10:05",
    "2031-06-15T10:05", "2098-12-31T23:59", "2026-06-15T10:04", "2026-06-15T08:00",
    "2026-06-14T10:05", "2026-05-03T10:05", "2021-06-15T10:05", "2000-01-02T00:00",
]  # fmt: skip


def sums(meter):
    """Nothing that was consumed is lost, and tariffs add up."""
    kept = meter.program.kept
    for k, c in enumerate((1, 2)):
        whole = meter.energy("1.0.%d.8.0" % c)
        rest = kept[2 * k] << 8 | kept[2 * k + 1]
        assert whole * 3600 + rest == meter.program.metrology.total[k]
        assert whole == sum(meter.energy("1.0.%d.8.%d" % (c, t)) for t in range(1, 5))


def started(residential):
    meter = Meter(residential, START, Counting(3))
    meter.program.step(3 * HOUR)
    return meter


def set_clock(meter, to):
    meter.clock.adjust(utc(to), 20)


def counted(meter):
    return {
        "load": len(meter.rows(LOAD)),
        "daily": len(meter.rows(DAILY)),
        "billing": len(meter.rows(BILLING)),
        "log": len(meter.rows(STANDARD)),
        "periods": meter.number(1, PERIODS),
    }


@pytest.mark.parametrize("to", JUMPS)
def test_a_jump(residential, to):
    meter = started(residential)
    before = counted(meter)
    rows = meter.rows(LOAD)
    set_clock(meter, to)
    meter.program.step(1)
    at_once = counted(meter)
    # At that second, at most what has been missed last of each: no row a period in between.
    assert at_once["load"] == before["load"] and at_once["daily"] - before["daily"] <= 1
    assert at_once["billing"] - before["billing"] <= 1
    assert at_once["periods"] - before["periods"] <= 1
    codes = [code for _, code in meter.log(STANDARD)][before["log"] :]
    assert codes[:2] == [CLOCK_OLD, CLOCK_NEW] and len(codes) <= 6, codes
    for _ in range(4):
        meter.program.step(HOUR)
        sums(meter)
    after = counted(meter)
    # A row each quarter of an hour from there, and one each midnight.
    quarters = (utc(to) * 60 + 21 + 4 * HOUR) // 900 - (utc(to) * 60 + 20) // 900
    assert after["load"] - before["load"] == quarters
    assert after["daily"] - before["daily"] <= 2 and after["billing"] - before["billing"] <= 2
    assert after["log"] - before["log"] <= 12
    # What was captured stays, and no row says less than the one before it.
    assert meter.rows(LOAD)[: len(rows)] == rows
    energies = [row[2] for row in meter.rows(LOAD)]
    assert energies == sorted(energies)
    # The first row after it says that the clock was set, the next one does not.
    flags = [row[1] for row in meter.rows(LOAD)][len(rows) :]
    assert flags[0] & 0x20 and not any(f & 0x20 for f in flags[1:])
    # Demands: the period that was cut short is one, and those after it are whole again.
    average = meter.number(5, "1.0.1.4.0", 3)
    assert 0 <= average <= 30000


@pytest.mark.parametrize("by", [86400 * 400, -86400 * 400])
def test_again_and_again(residential, by):
    """Each time it is the same."""
    meter = started(residential)
    for _ in range(12):
        meter.clock.adjust(
            meter.clock.minute + (by // 60 if meter.clock.minute > 700000 else 9), 7
        )
        meter.program.step(HOUR)
        sums(meter)
    assert len(meter.rows(LOAD)) <= 12 + 12 * 4 and meter.number(1, PERIODS) <= 12


def test_there_and_back(residential):
    """Set by mistake, and right again: the day goes on as if nothing had been."""
    meter = started(residential)
    before = counted(meter)
    set_clock(meter, "2043-02-28T23:59")
    meter.program.step(10)
    set_clock(meter, "2026-06-15T13:06")
    meter.program.step(HOUR)
    sums(meter)
    after = counted(meter)
    assert after["load"] - before["load"] == 4
    assert after["daily"] - before["daily"] <= 1 and after["periods"] - before["periods"] <= 1
    days = 3
    meter.program.step(86400 * days)
    assert counted(meter)["daily"] - after["daily"] == days
    assert counted(meter)["load"] - after["load"] == 96 * days
    sums(meter)


FIELDS = [
    ("year", 0, b"\xff\xff"), ("month", 2, b"\xff"), ("month", 2, b"\x0d"), ("month", 2, b"\xfe"),
    ("day", 3, b"\xff"), ("day", 3, b"\xfe"), ("day", 3, b"\x20"), ("hour", 5, b"\xff"),
    ("hour", 5, b"\x18"), ("minute", 6, b"\xff"), ("minute", 6, b"\x3c"), ("year", 0, b"\x07\xcf"),
    ("second", 7, b"\xff"), ("second", 7, b"\x3c"), ("year", 0, b"\x7f\xff"),
    ("deviation", 9, b"\x20\x00"),
]  # fmt: skip


@pytest.mark.parametrize("name, at, octets", FIELDS)
def test_what_is_no_time_changes_nothing(residential, name, at, octets):
    meter = started(residential)
    row = meter.row(8, "0.0.1.0.0")
    time = bytearray(b"\x09\x0c" + meter.clock.local)
    time[2 + at : 2 + at + len(octets)] = octets
    minute, before = meter.clock.minute, counted(meter)
    assert meter.model.write(row, 2, time, 0, len(time)) == 250
    meter.program.step(1)
    assert meter.clock.minute == minute and counted(meter) == before
