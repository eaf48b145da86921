# SPDX-License-Identifier: MIT
"""Contacts of the case: terminal cover, magnetic field, meter cover; see episodes.py. A script of
the simulated household (scripted.py) opens them, or pins of a board do:

Connect: TERMINAL_COVER, METER_COVER    a switch to ground that the cover keeps closed
         MAGNET                         output of a Hall sensor or reed contact, low in a field
"""

from micropython import const

_SHIFT = const(11)
# By bit: name in wiring.py, and whether the pin is low when it is so.
_PINS = (("TERMINAL_COVER", False), ("MAGNET", True), ("METER_COVER", False))


class Contacts:
    """read() -> bits, 1 terminal cover is off, 2 there is a field, 4 meter cover is off"""

    def __init__(self, read):
        self._read = read

    def refresh(self, episodes):
        pass

    def is_calm(self, bounds):
        return True

    def look(self, values, missing, seconds):
        return self._read() << _SHIFT


class Pins:
    """found: (bit, button of pins.py, is it pressed when the bit is set?)"""

    def __init__(self, found):
        self._found = found

    def read(self):
        bits = 0
        for bit, pin, low in self._found:
            if pin.pressed() == low:
                bits |= bit
        return bits


def of_pins(pins):
    """read() of what the wiring names, None: nothing. pins: the module, see ports/pins.py."""
    found = []
    for k in range(len(_PINS)):
        try:
            found.append((1 << k, pins.contact(_PINS[k][0]), _PINS[k][1]))
        except ValueError:
            pass  # this board has none
    return Pins(found).read if found else None
