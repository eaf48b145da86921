# SPDX-License-Identifier: MIT
"""firmware/meter/contacts.py: covers and a magnetic field at the pins of a board.

The levels are those of the module's header: a cover keeps a switch to ground closed, a Hall sensor
is low in a field; inputs are pulled up.
"""

import importlib
import sys
import types

import pytest
from test_program import Constant

from firmware.meter import contacts
from firmware.meter.fittings import Fittings
from firmware.meter.running import forget


class Machine(types.ModuleType):
    """machine, as far as inputs go."""

    def __init__(self, levels):
        types.ModuleType.__init__(self, "machine")
        machine = self

        class Pin:
            IN, OUT, PULL_UP, IRQ_FALLING = 0, 1, 2, 4

            def __init__(self, number, mode, pull=None, value=0):
                assert mode == self.IN and pull == self.PULL_UP
                self.number = number
                machine.handler = None

            def __call__(self):
                return levels.get(self.number, 1)

            def irq(self, handler, trigger):
                assert trigger == self.IRQ_FALLING
                machine.handler = handler

        self.Pin = Pin
        self.SPI = self.I2C = None


@pytest.fixture
def board(monkeypatch):
    """wiring.py with these names; (module pins, levels by number)."""

    def make(**names):
        levels = {}
        wiring = types.ModuleType("wiring")
        wiring.__dict__.update(names)
        monkeypatch.setitem(sys.modules, "machine", Machine(levels))
        monkeypatch.setitem(sys.modules, "wiring", wiring)
        pins = importlib.import_module("firmware.ports.pins")
        forget(("firmware.ports.pins",))
        return pins, levels

    return make


@pytest.mark.parametrize(
    "terminal, magnet, meter, bits",
    [(0, 1, 0, 0), (1, 1, 0, 1), (0, 0, 0, 2), (0, 1, 1, 4), (1, 0, 1, 7)],
)
def test_levels(board, terminal, magnet, meter, bits):
    pins, levels = board(TERMINAL_COVER=3, MAGNET=4, METER_COVER=5)
    levels.update({3: terminal, 4: magnet, 5: meter})
    assert contacts.of_pins(pins)() == bits


def test_what_is_not_wired_is_never_open(board):
    pins, levels = board(METER_COVER=5)
    read = contacts.of_pins(pins)
    levels[5] = 0
    assert read() == 0
    levels[5] = 1
    assert read() == 4
    assert contacts.of_pins(board()[0]) is None


def test_the_metrology_of_a_board_has_them(board, monkeypatch):
    from firmware.meter import fittings

    pins, levels = board(MAGNET=4)
    monkeypatch.setattr(fittings, "pins_of", lambda: pins)
    source = Fittings(types.SimpleNamespace(), bytearray(64), None).counted(Constant())
    levels[4] = 0
    assert source.contacts() == 2
    assert contacts.Contacts(source.contacts).look((), 0, 1) == 1 << 12


def test_a_cut_wire_of_a_cover_is_an_open_cover(board):
    pins, _levels = board(TERMINAL_COVER=3, MAGNET=4)
    assert contacts.of_pins(pins)() == 1


def test_the_pin_that_says_that_power_fails(board):
    from firmware.ports import board as port

    board()
    assert not port.power_fail(print)
    board(POWER_FAIL=21)
    said = []
    assert port.power_fail(said.append)
    sys.modules["machine"].handler("pin")
    assert said == ["pin"]


@pytest.mark.parametrize("cause, bitten", [(3, True), (1, False)])
def test_a_reset_by_the_watchdog_is_known(monkeypatch, cause, bitten):
    from firmware.ports.cause import by_watchdog

    machine = types.ModuleType("machine")
    machine.WDT_RESET, machine.reset_cause = 3, lambda: cause
    monkeypatch.setitem(sys.modules, "machine", machine)
    assert by_watchdog() is bitten
    monkeypatch.setattr(sys, "platform", "rp2")
    assert not by_watchdog()


def test_a_pc_has_no_watchdog():
    from firmware.ports.cause import by_watchdog

    assert not by_watchdog()
