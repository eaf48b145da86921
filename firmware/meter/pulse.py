# SPDX-License-Identifier: MIT
"""Pulse outputs: a LED, or S0 (IEC 62053-31: 30 ms at least, on and off), from the energies.

Pulses stands between the program and its metrology, and counts what passes; each Output has the
watt-seconds of its energies that make no pulse yet, and the pulses that it owes. So none is lost
or invented, however late somebody looks; after a start the first one is counted from zero. What
a second brings is spread over the next one, if there is time for it. A definition without
[[pulse]] does not load this.
"""

from micropython import const

_TICKS_MASK = const(0x3FFFFFFF)
_SECOND_MS = const(1000)


class Output:
    """pin: set(on). energies: their numbers in the order of metrology.py. A pulse is numerator /
    denominator watt-seconds. owed: pulses that are still to be given; given: since the start."""

    def __init__(self, pin, energies, numerator, denominator, length_ms):
        self._pin = pin
        self._energies = energies
        self._numerator = numerator
        self._denominator = denominator
        self._length_ms = length_ms
        self._pause_ms = length_ms
        self._rest = 0
        self._on = False
        self._since = 0
        self.owed = 0
        self.given = 0
        pin.set(False)

    def add(self, quanta):
        n = 0
        for k in self._energies:
            n += quanta[k]
        n = n * self._denominator + self._rest
        self._rest = n % self._numerator
        self.owed += n // self._numerator
        if self.owed:
            pause_ms = _SECOND_MS // self.owed - self._length_ms
            self._pause_ms = pause_ms if pause_ms > self._length_ms else self._length_ms

    def turn(self, now_ms):
        passed = now_ms - self._since & _TICKS_MASK
        if self._on:
            if passed >= self._length_ms:
                self._switch(False, now_ms)
        elif self.owed and passed >= self._pause_ms:
            self.owed -= 1
            self.given += 1
            self._switch(True, now_ms)

    def _switch(self, on, now_ms):
        self._on = on
        self._since = now_ms
        self._pin.set(on)

    def wait_ms(self, now_ms):
        """How long nothing has to be done here."""
        if not self._on and not self.owed:
            return _SECOND_MS
        ms = self._length_ms if self._on else self._pause_ms
        ms -= now_ms - self._since & _TICKS_MASK
        return ms if ms > 0 else 0

    def close(self):
        self._on = False
        self._pin.set(False)


class Pulses:
    """A metrology that hands on what another one measures."""

    def __init__(self, metrology, outputs):
        self._metrology = metrology
        self._outputs = outputs
        self.quanta = metrology.quanta
        self.values = metrology.values
        self.measures = metrology.measures
        self.contacts = metrology.contacts

    def begin(self, minute, local):
        self._metrology.begin(minute, local)

    def take(self, seconds):
        self._metrology.take(seconds)
        for output in self._outputs:
            output.add(self.quanta)

    def measure(self):
        self._metrology.measure()
        self.measures = self._metrology.measures

    def supply(self, connected):
        self._metrology.supply(connected)
