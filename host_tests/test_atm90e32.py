# SPDX-License-Identifier: MIT
"""firmware/drivers/atm90e32.py against a double of the chip (energy_chip.py), octet by octet.

What a bad transfer may cost is tried for each transfer of a poll and each way to spoil it: what
the meter has counted in the end is what the chip has counted. The outcomes are those of the table
in the driver's docstring. 0861C468 for 3200 pulses a kWh is the application note's (Atmel-46103).
"""

import os
import random
import re
import subprocess
import sys
import types

import pytest
import tables
from conftest import ROOT
from energy_chip import CFG_REG_ACC_EN, ENERGY, LAST_SPI_DATA, METER_EN, Bus, Chip, Machine
from fakes import CLOCK, HEAD, obis
from tables import TableError, pack, show, source

from cosem.model import Model
from firmware import app
from firmware.drivers import atm90e32
from firmware.drivers.atm90e32 import ATM90E32
from firmware.meter import fittings, metrology
from firmware.meter.fittings import Fittings
from firmware.meter.program import Program
from firmware.meter.running import forget
from firmware.ports import cpython
from firmware.store import RAMStorage

DEFINITION = os.path.join(ROOT, "host_tests", "definitions", "energy.toml")
NAMES = metrology.ENERGIES.split()
VALUES = metrology.VALUES.split()
AP, AN, RP, RN, SA = 0x81, 0x85, 0x89, 0x8D, 0x91
P_MEAN_T, Q_MEAN_T = 0xB0, 0xB4

METROLOGY = """
[metrology]
driver = "atm90e32"
pulses_per_kwh = 3200
registers = {MMode0 = 0x0087, MMode1 = 0x002A, UgainA = 31000, IgainA = 25498, PStartTh = 0x1D4C}
"""
REGISTERS = {0x31: 0x0861, 0x32: 0xC468, 0x33: 0x87, 0x34: 0x2A, 0x35: 0x1D4C, 0x61: 31000,
             0x62: 25498}  # fmt: skip


def tables_of(extra):
    objects = re.sub(r",\n {5,}", ", ", CLOCK)  # an inline table of TOML is one line
    text = "%s\n%s]\n%s" % (HEAD, objects, extra)
    return pack.compile(tables.load_definition(source.Document(text, "test.toml")))


SETTINGS = tables_of(METROLOGY).fittings.metrology[1:]


class Meter:
    """A driver and the sums of what it has handed out, in quarters of a watt-second."""

    def __init__(self, chip=None, kept=None):
        self.chip = chip or Chip()
        self.kept = kept or bytearray(64)
        self.driver = ATM90E32(Bus(self.chip), SETTINGS, self.kept)
        self.total = [0] * 14

    def poll(self, n=1):
        for _ in range(n):
            self.driver.take(1)
            for k in range(14):
                assert self.driver.quanta[k] >= 0
                self.total[k] += self.driver.quanta[k]

    def running(self):
        self.poll()
        assert self.chip.word[METER_EN] == 0xA5
        return self

    def quarters(self, *names):
        """Watt-seconds times four of these energies, what is kept below one included."""
        return sum(4 * self.total[k] + self.kept[40 + k] for k in map(NAMES.index, names))


# --- The definition --------------------------------------------------------------------------


def test_settings_are_the_octets_that_the_driver_writes():
    numerator, denominator, octets = SETTINGS
    assert (numerator, denominator) == (45, 4)  # 0.01 pulses of 3200 a kWh: 11.25 Ws
    written = {octets[k]: octets[k + 1] << 8 | octets[k + 2] for k in range(0, len(octets), 3)}
    assert written == REGISTERS


def test_the_generated_module_has_them():
    text = show.module(tables_of(METROLOGY))
    module = {}
    exec(text, module)
    assert module["METROLOGY"] == ("atm90e32", *SETTINGS)
    assert "METROLOGY" not in show.module(tables_of(""))


@pytest.mark.parametrize(
    "wrong, says",
    [
        (METROLOGY.replace("atm90e32", "cs5463"), "'cs5463' is unknown; expected one of atm90e32"),
        (METROLOGY.replace("3200", "3201"), "expected one that 36000 divides"),
        (METROLOGY.replace("3200", "9"), "pulses_per_kwh is 9; expected 105 to 100000"),
        (METROLOGY.replace("MMode1", "MMode7"), "'MMode7' is unknown"),
        (METROLOGY.replace("0x002A", "65536"), "MMode1 is 65536; expected 0 to 65535"),
        (METROLOGY.replace("pulses_per_kwh", "pulses"), "unknown key pulses"),
    ],
)
def test_a_mistake_is_said(wrong, says):
    with pytest.raises(TableError, match=re.escape(says)):
        tables_of(wrong)


# --- The start --------------------------------------------------------------------------------


def test_it_is_reset_then_configured_then_locked_and_measures():
    m = Meter()
    assert m.chip.resets == 1 and m.chip.word[METER_EN] == 0
    m.running()
    for register, word in REGISTERS.items():
        assert m.chip.word[register] == word
    assert m.chip.word[CFG_REG_ACC_EN] == 0
    assert m.driver.faults == 0
    assert not m.driver.measures
    m.driver.measure()
    assert m.driver.measures


def test_a_program_that_starts_again_takes_what_the_chip_has_counted_meanwhile():
    m = Meter().running()
    m.chip.count(AP, 1000)
    again = Meter(m.chip, m.kept)
    assert m.chip.resets == 1
    again.poll()
    assert again.quarters("a_plus_l1") == 1000 * 45


# --- Energies ---------------------------------------------------------------------------------


def test_every_tick_is_counted_once():
    rng = random.Random(5)
    m = Meter().running()
    counted = dict.fromkeys(ENERGY, 0)
    for second in range(400):
        for register in ENERGY:
            n = rng.choice((0, 0, 1, 2, 700))
            counted[register] += n
            m.chip.count(register, n)
        m.chip.word[P_MEAN_T] = 5
        m.poll(rng.choice((1, 1, 3)))
    for k, name in enumerate(("l1", "l2", "l3")):
        assert m.quarters("a_plus_" + name) == counted[AP + k] * 45
        assert m.quarters("a_minus_" + name) == counted[AN + k] * 45
    net = sum(counted[AP + k] - counted[AN + k] for k in range(3))
    rest = balance(m, 54)
    assert m.quarters("a_plus") - m.quarters("a_minus") + rest * 45 == net * 45
    net = sum(counted[RP + k] - counted[RN + k] for k in range(3))
    reactive = m.quarters("r_q1", "r_q2") - m.quarters("r_q3", "r_q4")
    assert reactive + balance(m, 56) * 45 == net * 45
    assert m.quarters("s_plus", "s_minus") == sum(counted[SA + k] for k in range(3)) * 45


def balance(m, at):
    return int.from_bytes(m.kept[at : at + 2], "big", signed=True)


def test_remainders_live_through_a_restart():
    chip = Chip()
    m = Meter(chip).running()
    total = 0
    for _ in range(100):
        m.chip.count(AP, 1)
        m.poll()
        total += m.total[NAMES.index("a_plus_l1")]
        m = Meter(chip, m.kept)
    assert total == 100 * 45 // 4


def test_phases_that_do_not_count_at_the_same_instant_are_no_import_and_no_export():
    """L1 takes what the panels on L2 give: nothing passes, though ticks come one by one."""
    m = Meter().running()
    for second in range(60):
        m.chip.count(AP if second % 2 else AN + 1, 1)
        m.poll()
    assert m.total[NAMES.index("a_plus")] == m.total[NAMES.index("a_minus")] == 0
    assert m.quarters("a_plus_l1") == m.quarters("a_minus_l2") == 30 * 45


def test_what_only_looks_like_the_other_direction_for_long_is_counted_in_it():
    m = Meter().running()
    m.chip.word[P_MEAN_T] = 0
    for _ in range(70):
        m.chip.count(AN, 1)
        m.poll()
    assert m.quarters("a_minus") == 64 * 45 and balance(m, 54) == -6


@pytest.mark.parametrize(
    "p, q, quadrant",
    [(1, 1, "r_q1"), (-1, 1, "r_q2"), (-1, -1, "r_q3"), (1, -1, "r_q4")],
)
def test_quadrants(p, q, quadrant):
    m = Meter().running()
    m.chip.word[P_MEAN_T] = p & 0xFFFF
    m.chip.word[Q_MEAN_T] = q & 0xFFFF
    m.chip.count(AP if p > 0 else AN, 40)
    m.chip.count(RP if q > 0 else RN, 20)
    m.chip.count(SA, 44)
    m.poll()
    assert m.total[NAMES.index(quadrant)] == 20 * 45 // 4
    assert m.total[NAMES.index("a_plus" if p > 0 else "a_minus")] == 40 * 45 // 4
    assert m.total[NAMES.index("s_plus" if p > 0 else "s_minus")] == 44 * 45 // 4
    assert sum(1 for k in range(8) if m.total[k]) == 3


# --- Transfers that fail ---------------------------------------------------------------------


def flip(transfer):
    """An octet of the answer is spoiled."""

    def wire(n, k, octet):
        return octet ^ 0x10 if n == transfer and k == 3 else octet

    return {"wire": wire}


def stuck(transfer, n_transfers, level):
    """From this transfer on the answer is all of one level, for as many transfers."""

    def wire(n, k, octet):
        return level if transfer <= n < transfer + n_transfers else octet

    return {"wire": wire}


def short(transfer):
    """The chip has not seen the last octet."""
    return {"clocks": lambda n: 3 if n == transfer else 4}


def raising(transfer):
    return {"fails": lambda n: n == transfer}


FAULTS = {
    "one octet": flip,
    "clocks missing": short,
    "the bus raises": raising,
    "floating once": lambda n: stuck(n, 1, 0xFF),
    "floating for a poll": lambda n: stuck(n, 60, 0xFF),
    "floating for long": lambda n: stuck(n, 150, 0xFF),
    "noise": lambda n: noise(n, 30),
    "noise for long": lambda n: noise(n, 400),
}


def noise(transfer, n_transfers):
    rng = random.Random(transfer)

    def wire(n, k, octet):
        return rng.randrange(256) if transfer <= n < transfer + n_transfers else octet

    return {"wire": wire}


@pytest.mark.parametrize("kind", FAULTS)
def test_no_energy_is_lost_or_invented_whichever_transfer_fails(kind):
    """All registers hold something, the same in neighbours too."""
    clean = Meter().running()
    load(clean.chip)
    before = clean.chip.transfers
    clean.poll()
    in_a_poll = clean.chip.transfers - before
    assert in_a_poll > 45
    for k in range(in_a_poll):
        m = Meter().running()
        load(m.chip)
        first = m.chip.transfers + k
        for name, hook in FAULTS[kind](first).items():
            setattr(m.chip, name, hook)
        m.poll(90)
        assert m.chip.resets == 1, "the chip was there all the time"
        assert m.chip.uncounted == 0
        for name, ticks in LOAD.items():
            assert m.quarters(name) == ticks * 45, (k, name)
        # If a poll has been cut in two, what came later may still have to be balanced.
        assert m.quarters("a_plus") - m.quarters("a_minus") + balance(m, 54) * 45 == 310 * 45, k
        reactive = m.quarters("r_q1") - m.quarters("r_q3", "r_q4")
        assert reactive + balance(m, 56) * 45 == 9 * 45, k
        # And afterwards it goes on.
        m.chip.count(AP, 4)
        m.poll()
        assert m.quarters("a_plus_l1") == (LOAD["a_plus_l1"] + 4) * 45


LOAD = {"a_plus_l1": 7, "a_plus_l2": 7, "a_plus_l3": 300, "a_minus_l1": 0, "a_minus_l2": 2,
        "a_minus_l3": 2, "s_plus": 314}  # fmt: skip


def load(chip):
    for register, ticks in ((AP, 7), (AP + 1, 7), (AP + 2, 300), (AN + 1, 2), (AN + 2, 2),
                            (RP, 5), (RP + 1, 5), (RN + 2, 1), (SA, 7), (SA + 1, 7),
                            (SA + 2, 300)):  # fmt: skip
        chip.count(register, ticks)


# --- A chip that is not there, is reset, or talks nonsense -----------------------------------


def table():
    """{(state, answer): outcome} of the driver's docstring."""
    rows = re.findall(r"^    (SILENT|RESET|RUNNING) +(\w+) +(\w+) +(\w+)", atm90e32.__doc__, re.M)
    assert len(rows) == 3
    return {
        (row[0], answer): outcome
        for row in rows
        for answer, outcome in zip(("ours", "other", "nothing"), row[1:])
    }


STATES = {"SILENT": 0, "RESET": 1, "RUNNING": 2}


@pytest.mark.parametrize("state, answer", table())
def test_outcomes(state, answer):
    m = Meter().running()
    m.driver._state = STATES[state]
    resets = m.chip.resets
    if answer == "other":
        m.chip.word[METER_EN] = 0
    if answer == "nothing":
        m.chip.power = False
    m.poll()
    outcome = table()[state, answer]
    now = {"SILENT": 0, "reset": 1, "configure": 2, "read": 2}[outcome]
    assert m.driver._state == now
    assert m.chip.resets - resets == (outcome == "reset")
    assert m.chip.word[METER_EN] == (0xA5 if now == 2 or answer == "nothing" else 0)
    gone = state == "RUNNING" and now != 2 or now == 0
    assert m.driver.faults == gone


def test_a_chip_that_was_reset_is_configured_again_and_counts():
    m = Meter().running()
    m.chip.count(AP, 10)
    m.poll()
    m.chip.count(AP, 3)
    m.chip.reset()  # a dip of its supply
    m.poll(2)
    assert m.chip.word[METER_EN] == 0xA5 and m.chip.word[0x61] == 31000
    m.chip.count(AP, 5)
    m.poll()
    assert m.quarters("a_plus_l1") == 15 * 45
    assert m.driver.faults == 1


def test_a_wire_that_was_loose_costs_nothing():
    m = Meter().running()
    m.chip.wire = lambda n, k, octet: 0xFF
    for _ in range(20):
        m.chip.count(AP, 100)
        m.poll()
    m.chip.wire = None
    m.poll(2)
    assert m.quarters("a_plus_l1") == 2000 * 45
    assert m.driver.faults == 1 and m.chip.resets == 1


def test_no_chip_at_all_is_said_once_and_measures_nothing():
    chip = Chip()
    chip.power = False
    m = Meter(chip)
    m.poll(5)
    m.driver.measure()
    assert m.driver.faults == 1
    assert not m.driver.measures
    assert not any(m.total) and not any(m.driver.values)


def test_a_line_that_is_always_low_is_no_chip():
    chip = Chip()
    chip.wire = lambda n, k, octet: 0
    m = Meter(chip)
    m.poll(9)
    assert not m.driver.measures and m.driver.faults == 1


def test_one_that_never_takes_its_configuration_does_not_run():
    chip = Chip()
    m = Meter(chip)
    chip._write = lambda register, value: chip.word.__setitem__(LAST_SPI_DATA, value)
    m.poll(6)
    assert not m.driver.measures and m.driver.faults == 1


def test_a_configuration_that_has_changed_by_itself_is_written_again():
    m = Meter().running()
    m.chip.count(AP, 8)
    m.chip.word[0x61] ^= 0x0400
    m.poll(2)
    assert m.chip.word[0x61] == 31000
    assert m.quarters("a_plus_l1") == 8 * 45, "what it had counted is taken first"
    assert m.driver.faults == 1


def test_a_question_that_cannot_be_settled_is_given_up_at_last():
    """LastSPIData that really is FFFF cannot be told from an open line."""
    m = Meter().running()
    m.chip.count(AP, 0xFFFF)
    m.poll(125)
    m.chip.count(AP + 1, 4)
    m.poll()
    assert m.quarters("a_plus_l2") == 4 * 45


# --- Values -----------------------------------------------------------------------------------


def put_power(chip, register, watts):
    raw = round(watts / 0.00032) & 0xFFFFFFFF
    chip.word[register] = raw >> 16
    chip.word[register + 0x10] = raw & 0xFFFF


def test_values():
    m = Meter().running()
    w = m.chip.word
    for k, (u, i, p, q, s) in enumerate(
        ((230.12, 10.0, 2000, 1000, 2301), (229.98, 5.5, -1200, 350, 1265), (231.5, 0, 0, 0, 0))
    ):
        w[0xD9 + k] = round(u * 100)
        w[0xDD + k] = round(i * 1000)
        put_power(m.chip, 0xB1 + k, p)
        put_power(m.chip, 0xB5 + k, q)
        put_power(m.chip, 0xB9 + k, s)
    w[0xDC] = 4321
    w[0xF8] = 5003
    w[0xFE] = 1200
    w[0xFF] = -1200 & 0xFFFF
    m.driver.measure()
    v = dict(zip(VALUES, m.driver.values))
    assert (v["u_l1"], v["u_l2"], v["u_l3"]) == (2301, 2300, 2315)
    assert (v["i_l1"], v["i_l2"], v["i_l3"], v["i_n"]) == (10000, 5500, 0, 4321)
    assert (v["p_l1"], v["p_l2"], v["p_l3"]) == (2000, -1200, 0)
    assert (v["q_l1"], v["q_l2"], v["s_l2"]) == (1000, 350, 1265)
    assert (v["p_plus"], v["p_minus"], v["q_plus"], v["q_minus"]) == (800, 0, 1350, 0)
    assert v["s_total"] == 2301 + 1265
    assert (v["pf_total"], v["pf_l1"], v["pf_l2"], v["pf_l3"]) == (224, 869, -948, 1000)
    assert v["freq"] == 5003
    assert (v["angle_u_l1"], v["angle_u_l2"], v["angle_u_l3"]) == (0, 1200, 2400)
    assert abs(v["angle_i_l1"] - 266) <= 1  # atan(1/2) = 26.57 degrees behind


def test_a_value_that_is_read_badly_is_no_reason_for_an_event():
    m = Meter().running()
    m.chip.word[0xD9] = 23000
    m.driver.measure()
    rng = random.Random(1)
    m.chip.wire = lambda n, k, octet: rng.randrange(256)
    m.driver.measure()
    assert not m.driver.measures
    m.chip.wire = None
    m.driver.measure()
    assert m.driver.measures and m.driver.values[0] == 2300


def test_a_carry_between_the_words_of_a_power():
    """It grows over a carry after the high word was read."""
    m = Meter().running()
    put_power(m.chip, 0xB1, 20.97)
    first = m.chip.transfers

    def clocks(n):
        if n == first + 2:
            put_power(m.chip, 0xB1, 20.98)
        return 4

    m.chip.clocks = clocks
    assert m.driver._power(0xB1) == 21


# --- In a meter -------------------------------------------------------------------------------


def definition():
    module = types.ModuleType("definition")
    exec(show.module(pack.compile(DEFINITION)), module.__dict__)
    return module


def meter(chip):
    storage = RAMStorage()
    storage.prepare(None)
    model = Model(definition())
    model.storage = storage
    model.handler("clock").set_utc(13675680, 0)
    model.start()
    driver = ATM90E32(Bus(chip), SETTINGS, storage.extra)
    program = Program(model, driver)
    driver.attach(program)
    return program


def number(program, class_id, name):
    model = program.model
    row = model.find(0, bytes((0, class_id)) + obis(name + ".255"), 0)
    return model.get_int(row, 2)


def run(program, seconds):
    for _ in range(seconds):
        program.tick(1000)


def test_a_meter_counts_with_it():
    chip = Chip()
    chip.word[0xD9] = 0
    program = meter(chip)
    run(program, 2)
    chip.word[0xD9] = 23050
    for _ in range(320):
        chip.count(AP, 10)
        run(program, 1)
    assert number(program, 3, "1.0.1.8.0") == 320 * 10 * 45 // 4 // 3600
    assert number(program, 3, "1.0.32.7.0") == 2305
    assert number(program, 1, "0.0.96.15.9") == 0


def test_a_fault_is_an_event_an_error_bit_and_a_count_but_no_missing_voltage():
    chip = Chip()
    for k in range(3):
        chip.word[0xD9 + k] = 23000
    program = meter(chip)
    for k in range(3):
        chip.word[0xD9 + k] = 23000  # the reset has cleared them
    run(program, 3)
    voltages = number(program, 1, "0.0.96.11.3")
    chip.power = False
    run(program, 3)
    assert number(program, 1, "0.0.96.11.0") == 16
    assert number(program, 1, "0.0.97.97.0") == 1 << 11
    assert number(program, 1, "0.0.96.15.9") == 1
    assert number(program, 1, "0.0.96.11.3") == voltages == 0
    run(program, 20)
    assert number(program, 1, "0.0.96.15.9") == 1, "said once"


# --- On a board -------------------------------------------------------------------------------


def wired(monkeypatch, chip, **more):
    machine = Machine(chip)
    machine.selects.append(17)
    wiring = types.ModuleType("wiring")
    wiring.__dict__.update(ENERGY_SPI=(0, 18, 19, 16), ENERGY_CS=17, RELAY=22, **more)
    monkeypatch.setitem(sys.modules, "machine", machine)
    monkeypatch.setitem(sys.modules, "wiring", wiring)
    return machine


@pytest.fixture(autouse=True)
def no_pins_left():
    yield
    forget(("firmware.ports.pins",))


def test_pins_of_the_wiring_and_the_relay(monkeypatch):
    chip = Chip()
    machine = wired(monkeypatch, chip)
    wants = types.SimpleNamespace(METROLOGY=("atm90e32", *SETTINGS))
    fitted = Fittings(wants, bytearray(64), cpython)
    fitted.chip.take(1)
    assert chip.word[METER_EN] == 0xA5
    (spi,) = machine.made
    assert (spi.settings["polarity"], spi.settings["phase"]) == (1, 1)
    assert machine.pins[17] == 1
    fitted.chip.supply(True)
    assert machine.pins[22] == 1
    fitted.chip.supply(False)
    assert machine.pins[22] == 0


def test_a_board_without_the_pins_does_not_simulate(monkeypatch):
    wired(monkeypatch, Chip())
    del sys.modules["wiring"].ENERGY_CS
    wants = types.SimpleNamespace(METROLOGY=("atm90e32", *SETTINGS))
    with pytest.raises(ValueError, match="wiring.py has no ENERGY_CS"):
        Fittings(wants, bytearray(64), cpython)


def test_a_whole_meter_with_chip_pulses_and_display(monkeypatch):
    """As board_main.py makes it, on fake pins."""
    chip = Chip()
    machine = wired(monkeypatch, chip, PULSE_LED=15, BUTTON=14)
    lines = []
    monkeypatch.setattr(cpython, "out", lines.append)
    monkeypatch.setattr(fittings, "_SIMULATED", ())  # other tests need them
    monkeypatch.setitem(sys.modules, "energy_definition", definition())
    made = app.build(
        app.Tables("energy_definition"), RAMStorage(), cpython, start_minute=13675680,
        display="terminal",
    )  # fmt: skip
    machine.pins[14] = 1
    now_ms = made._last_ms
    pulses = 0
    on = False
    for _ in range(12000):
        now_ms = now_ms + 5 & 0x3FFFFFFF
        if now_ms % 1000 < 5:
            chip.count(AP, 160)  # 1800 Ws: five pulses
        made.tick(now_ms)
        assert 0 <= made.wait_ms() <= 1000
        pulses += machine.pins[15] and not on
        on = machine.pins[15]
    # The first second is the reset's, the last one's pulses are still to come.
    assert abs(pulses - 58 * 5) <= 5
    assert 25 <= number(made, 3, "1.0.1.8.0") <= 30
    assert lines[0] == "display 1.8.0                        0 Wh"
    assert len(lines) == 12 and lines[1].startswith("display 32.7.0")
    machine.pins[14] = 0
    made.tick(now_ms + 5 & 0x3FFFFFFF)
    assert len(lines) == 13
    made.close()
    assert machine.pins[15] == 0
    assert made.program.event("standard", 1)


def test_a_pc_simulates_and_says_so():
    lines = []
    wants = types.SimpleNamespace(METROLOGY=("atm90e32", *SETTINGS))
    port = types.SimpleNamespace(out=lines.append)
    assert Fittings(wants, bytearray(64), port).chip is None
    assert lines == ["No pins here: the energy chip of the definition is simulated."]


def test_on_micropython_a_poll_takes_no_heap(micropython):
    """The double is a fake machine.SPI there; polls and measurements under a locked heap."""
    paths = [os.path.join(ROOT, p) for p in ("host_tests", "host_tests/device", "lib", "")]
    out = subprocess.run(
        [micropython, os.path.join(ROOT, "host_tests/device/energy.py"), SETTINGS[2].hex()],
        env={"MICROPYPATH": ":".join(paths)},
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert out.stdout.split() == [str(200 * 10 * 45 // 4), "2300", "0"], out.stderr
