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

    def look(self, values, missing):
        return self._read() << _SHIFT


class Pins:
    """pins: module with contact(name); what the wiring does not have is never open."""

    def __init__(self, pins):
        self._found = []
        for k in range(len(_PINS)):
            try:
                self._found.append((1 << k, pins.contact(_PINS[k][0]), _PINS[k][1]))
            except ValueError:
                pass  # this board has none

    def read(self):
        bits = 0
        for bit, pin, low in self._found:
            if pin.pressed() == low:
                bits |= bit
        return bits
