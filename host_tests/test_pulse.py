# SPDX-License-Identifier: MIT
"""firmware/meter/pulse.py: every pulse is given once, in its time, however late somebody looks."""

import random
import re
import types

import pytest
import tables
from fakes import CLOCK, HEAD
from tables import TableError, show, source

from firmware.meter import metrology
from firmware.meter.household import Household
from firmware.meter.pulse import Output, Pulses

NAMES = metrology.ENERGIES.split()
A_PLUS, A_MINUS = 0, 1


class Pin:
    """Remembers when it was set."""

    def __init__(self):
        self.now = 0
        self.edges = []

    def set(self, on):
        self.edges.append((self.now, on))

    def high(self):
        """(start, length) of each pulse."""
        times = self.edges[1:]
        assert [on for _t, on in times] == [bool(k % 2 == 0) for k in range(len(times))]
        return [(a[0], b[0] - a[0]) for a, b in zip(times[::2], times[1::2])]


class Source(metrology.Metrology):
    def __init__(self):
        metrology.Metrology.__init__(self)
        self.watts = 0

    def take(self, seconds):
        self.quanta[A_PLUS] = self.watts * seconds


def output(constant=1000, length_ms=30, energies=(A_PLUS,)):
    pin = Pin()
    from math import gcd

    common = gcd(3600000, constant)
    made = Output(pin, bytes(energies), 3600000 // common, constant // common, length_ms)
    return pin, made


def play(pin, made, source, ms, step_ms=5, second=1000):
    """Let time pass; energy is taken every second."""
    meter = Pulses(source, (made,))
    for _ in range(ms // step_ms):
        pin.now += step_ms
        if pin.now % second == 0:
            meter.take(second // 1000)
        made.turn(pin.now & 0x3FFFFFFF)


@pytest.mark.parametrize("constant", (1000, 10000, 1600, 3300, 7))
@pytest.mark.parametrize("watts", (0, 100, 2300, 11000))
def test_pulses_are_the_energy(constant, watts):
    pin, made = output(constant)
    source = Source()
    source.watts = watts
    play(pin, made, source, 200000)
    source.watts = 0
    while made.owed:  # more than fit into the time
        play(pin, made, source, 10000)
    play(pin, made, source, 1000)
    assert made.given == len(pin.high()) == watts * 200 * constant // 3600000


def test_a_year_of_a_household_does_not_drift():
    pin, made = output(1000, 30, (A_PLUS, A_MINUS))
    house = Household(3)
    meter = Pulses(house, (made,))
    total = 0
    minute = 13675680
    for day in range(2000):
        house.begin(minute + day * 263, minute + day * 263)
        meter.take(60)
        total += house.quanta[A_PLUS] + house.quanta[A_MINUS]
    assert made.owed == total // 3600


def test_pulses_have_their_length_and_are_spread():
    """7200 W at 1000 pulses a kWh are two a second."""
    pin, made = output()
    source = Source()
    source.watts = 7200
    play(pin, made, source, 20000)
    pulses = pin.high()
    assert all(length == 30 for _start, length in pulses)
    gaps = {b[0] - a[0] for a, b in zip(pulses[2:], pulses[3:])}
    assert gaps <= set(range(480, 525, 5))


def test_on_and_off_are_never_shorter_than_the_standard_asks():
    pin, made = output(10000)
    source = Source()
    source.watts = 30000  # 83 a second: more than fit
    play(pin, made, source, 5000)
    times = [t for t, _on in pin.edges[1:]]
    assert min(b - a for a, b in zip(times, times[1:])) >= 30
    assert made.owed > 0
    source.watts = 0
    play(pin, made, source, 30000)
    assert made.given == 5 * 30000 * 10000 // 3600000 and made.owed == 0


def test_somebody_looks_late():
    rng = random.Random(2)
    pin, made = output()
    quanta = [0] * 14
    for _ in range(1000):
        quanta[A_PLUS] = 5000
        made.add(quanta)
        pin.now += rng.randrange(200, 1500)
        for _ in range(8):
            made.turn(pin.now)
            pin.now += made.wait_ms(pin.now)
    assert made.given + made.owed == 1000 * 5000 // 3600


def test_ticks_wrap():
    pin, made = output()
    made.add([3600 * 3] + [0] * 13)
    now = 0x3FFFFFFF - 400
    for _ in range(400):
        made.turn(now & 0x3FFFFFFF)
        now += 10
    assert made.given == 3


def test_it_says_when_it_wants_to_be_looked_at():
    pin, made = output()
    made.turn(0)
    assert made.wait_ms(0) == 1000
    made.add([7200] + [0] * 13)
    assert made.wait_ms(0) == 470
    made.turn(470)
    assert made.wait_ms(470) == 30 and made.wait_ms(480) == 20 and made.wait_ms(900) == 0
    made.turn(500)
    assert made.wait_ms(500) == 470


def test_the_end_leaves_the_output_off():
    pin, made = output()
    made.add([3600] + [0] * 13)
    made.turn(2000)
    made.close()
    assert pin.edges[-1][1] is False


def test_what_passes_is_handed_on():
    calls = []
    inner = Source()
    inner.begin = lambda minute, local: calls.append(("begin", minute, local))
    inner.supply = lambda connected: calls.append(("supply", connected))
    meter = Pulses(inner, ())
    meter.begin(5, 6)
    meter.supply(False)
    inner.watts = 7
    meter.take(2)
    inner.measures = False
    meter.measure()
    assert calls == [("begin", 5, 6), ("supply", False)]
    assert meter.quanta[A_PLUS] == 14 and meter.values is inner.values
    assert not meter.measures


# --- The definition --------------------------------------------------------------------------

PULSE = """
[[pulse]]
energies = ["a_plus", "a_minus"]
constant = 10000
length_ms = 40
pin = "PULSE_LED"
"""


def packed(text):
    objects = re.sub(r",\n {5,}", ", ", CLOCK)
    document = source.Document("%s\n%s]\n%s" % (HEAD, objects, text), "test.toml")
    return tables.compile(tables.load_definition(document))


def test_an_output_of_the_definition():
    module = {}
    exec(show.module(packed(PULSE)), module)
    assert module["PULSES"] == ((b"\x00\x01", 360, 1, 40, "PULSE_LED"),)
    assert "PULSES" not in show.module(packed(""))


@pytest.mark.parametrize(
    "wrong, says",
    [
        (PULSE.replace("a_minus", "r_plus"), "'r_plus' is unknown"),
        (PULSE.replace("10000", "0"), "constant is 0; expected 1 to 100000"),
        (PULSE.replace("40", "29"), "length_ms is 29; expected 30 to 1000"),
        (PULSE.replace('pin = "PULSE_LED"', ""), "no pin; expected the key pin"),
    ],
)
def test_a_mistake_is_said(wrong, says):
    with pytest.raises(TableError, match=re.escape(says)):
        packed(wrong)


def no_pin(name):
    raise ValueError


def test_pins_come_from_the_wiring_and_a_pc_has_none(monkeypatch):
    from firmware.meter import fittings

    definition = types.SimpleNamespace(PULSES=((b"\x00", 3600, 1, 30, "PULSE_LED"),))
    wanted = []
    pins = types.SimpleNamespace(output=lambda name: wanted.append(name) or Pin(), contact=no_pin)
    inner = Source()
    monkeypatch.setattr(fittings, "pins_of", lambda: pins)
    fitted = fittings.Fittings(definition, bytearray(64), None)
    assert fitted.counted(inner).quanta is inner.quanta
    assert wanted == ["PULSE_LED"] and len(fitted.outputs) == 1
    monkeypatch.setattr(fittings, "pins_of", lambda: None)
    fitted = fittings.Fittings(definition, bytearray(64), None)
    assert fitted.counted(inner) is inner and fitted.outputs == []
