# SPDX-License-Identifier: MIT
"""What a definition wants around the meter: energy chip, pulse outputs, display, contacts of the
case. Only the start needs this, and only for a meter that has one of them.

    METROLOGY  (driver, settings ...)                     of [metrology]
    PULSES     ((energies, numerator, denominator, length_ms, pin), ...)     of [[pulse]]
    DISPLAY    (octets, ...)                              of [display]

On a PC, which has no pins, the household is simulated whatever [metrology] says, and nothing
pulses; the display is a terminal. On a board nothing is left out silently: ValueError.
"""

import sys

from firmware.meter.running import forget

# What an energy chip takes the place of.
_SIMULATED = ("firmware.meter.household", "firmware.meter.sky")


def pins_of():
    """The module with the pins of this board; None: a PC."""
    try:
        if sys.implementation.name == "circuitpython":
            from firmware.circuitpython import pins
        else:
            from firmware.ports import pins
    except ImportError:
        return None
    return pins


class Fittings:
    """chip: the metrology, None where the household is simulated. kept: storage.extra."""

    def __init__(self, definition, kept, port):
        self._definition = definition
        self._port = port
        self._pins = pins_of()
        self.chip = None
        self.outputs = []
        settings = getattr(definition, "METROLOGY", None)
        if settings is not None and self._pins is None:
            port.out("No pins here: the energy chip of the definition is simulated.")
        elif settings is not None:
            self.chip = self._chip_of(settings, kept)

    def _chip_of(self, settings, kept):
        from firmware.drivers import atm90e32

        pins = self._pins
        relay = None
        try:
            relay = pins.output("RELAY")
        except ValueError:
            pass  # the disconnector has none
        return atm90e32.ATM90E32(pins.spi(atm90e32.BAUD), settings[1:], kept, relay)

    def counted(self, metrology):
        """The metrology with the contacts, by way of the pulse outputs if there are any."""
        if self._pins is not None:
            from firmware.meter import contacts

            metrology.contacts = contacts.of_pins(self._pins)
        pulses = getattr(self._definition, "PULSES", ())
        if self._pins is None or not pulses:
            return metrology
        from firmware.meter.pulse import Output, Pulses

        self.outputs += [Output(self._pins.output(p[4]), *p[:4]) for p in pulses]
        return Pulses(metrology, tuple(self.outputs))

    def attach(self, program):
        if self.chip is not None:
            self.chip.attach(program)
            forget(_SIMULATED)

    def show(self, model, kind):
        """The display begins; kind: terminal, ssd1306, or none: only a feed tells of it."""
        from firmware.meter.display import Display, Terminal

        pins = self._pins
        entries = getattr(self._definition, "DISPLAY", ())
        if not entries:
            raise ValueError("it has no list [display].")
        button = None
        if pins is not None:
            try:
                button = pins.button()
            except ValueError:
                pass  # the list goes on by itself
        if kind == "terminal":
            screen = Terminal(self._port.out)
        elif kind == "none":
            screen = Terminal(len)
        elif kind == "ssd1306" and pins is not None:
            try:
                from firmware.drivers.ssd1306 import SSD1306
            except ImportError:
                raise ValueError("an SSD1306 needs framebuf, which this runtime does not have.")
            screen = SSD1306(pins.i2c())
        else:
            raise ValueError("there is no display %s here." % kind)
        self.outputs.append(Display(model, entries, screen, button))
