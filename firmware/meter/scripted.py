# SPDX-License-Identifier: MIT
"""The simulated household, and what happens to it by a script: sags, failures, open covers, ...

A script is a list of (start, end, what, value), in seconds since the meter was started, whatever
its clock says; tools/scripts.py reads one from a file. What:

    0..2   voltage of L1..L3, 0.1 V; at 0 that phase takes and feeds nothing
    3..5   power that L1..L3 takes besides (a negative one: feeds), W
    6      contacts, bits of contacts.py
    7      the order of phases is reversed
    8      the neutral is displaced by so much, 0.1 V
    9      power that L1 takes past the disconnector, W

Energies change at the second, in steps of any size.
"""

from array import array

from firmware.meter.household import Household
from firmware.meter.numbers import phase_angle, root, sine
from micropython import const

_VOLTAGE = const(0)
_POWER = const(3)
_CONTACTS = const(6)
_REVERSED = const(7)
_NEUTRAL = const(8)
_BYPASS = const(9)
_N_KINDS = const(10)

_N_ENERGIES = const(14)
_I = const(3)
_S = const(13)
_ANGLE_U = const(26)
_ANGLE_I = const(29)
_FAR = const(0x3FFFFFFF)
_NOTHING = const(-1000000)


class Scripted(Household):
    """now: seconds since the start"""

    def __init__(self, seed, script, solar_w=6000, car=None):
        Household.__init__(self, seed, solar_w, car)
        self.now = 0
        self._script = script
        self._next = 0
        # What is so now, by kind.
        self._is = array("i", [_NOTHING] * _N_KINDS)
        self._base = array("i", [0] * 6)
        self._total = array("i", [0] * _N_ENERGIES)
        self._find()

    def _find(self):
        """What is so now, and until when."""
        self._next = _FAR
        self.bounds = Household.bounds
        for k in range(_N_KINDS):
            self._is[k] = _NOTHING
        for start, end, what, value in self._script:
            if start <= self.now < end:
                self._is[what] = value
                self.bounds = None
                self._next = min(self._next, end)
            elif self.now < start:
                self._next = min(self._next, start)

    def contacts(self):
        return max(self._is[_CONTACTS], 0)

    def _settle(self):
        """begin() has worked out the power of this minute."""
        for k in range(3):
            self._base[k] = self._p[k]
            self._base[3 + k] = self._q[k]
        self._apply()

    def _apply(self):
        for k in range(3):
            self._p[k] = self._base[k]
            self._q[k] = self._base[3 + k]
            if self._connected and self._is[_POWER + k] != _NOTHING:
                self._p[k] += self._is[_POWER + k]
            if k == 0 and self._is[_BYPASS] > 0:
                self._p[k] += self._is[_BYPASS]
            if self._is[_VOLTAGE + k] == 0:
                self._p[k] = self._q[k] = 0
        Household._settle(self)

    def take(self, seconds):
        total = self._total
        for k in range(_N_ENERGIES):
            total[k] = 0
        quanta = self.quanta
        while True:
            n = min(seconds, self._next - self.now)
            Household.take(self, n)
            for k in range(_N_ENERGIES):
                total[k] += quanta[k]
            self.now += n
            seconds -= n
            if self.now == self._next:
                self._find()
                self._apply()
            if not seconds:
                break
        for k in range(_N_ENERGIES):
            quanta[k] = total[k]

    def steady(self):
        return min(Household.steady(self), self._next - self.now)

    def measure(self):
        Household.measure(self)
        v = self.values
        for k in range(3):
            u = self._is[_VOLTAGE + k]
            if u >= 0:
                v[k] = u
                v[_I + k] = v[_S + k] * 10000 // u if u else 0
        if self._is[_REVERSED] != _NOTHING:
            for k in (1, 2):
                v[_ANGLE_U + k] = 3600 - v[_ANGLE_U + k]
                v[_ANGLE_I + k] = (v[_ANGLE_I + k] + 3600 - 2400 * k) % 3600
        if self._is[_NEUTRAL] > 0:
            for k in range(3):
                x = v[k] * sine(v[_ANGLE_U + k] + 900) // 10000 - self._is[_NEUTRAL]
                y = v[k] * sine(v[_ANGLE_U + k]) // 10000
                v[k] = root(x * x + y * y)
                v[_ANGLE_U + k] = phase_angle(x, y, v[k]) % 3600
