# SPDX-License-Identifier: MIT
"""Weeks of bad voltage (EN 50160:2010, 4.2.2); see episodes.py.

    22..24   a week of L1..L3 has ended in which more than five per cent of the means of ten
             minutes were out of the band, or one was far below it: one look long

The band is that of sags and swells (1.0.12.31.0, 1.0.12.35.0: ten per cent), far below are 85/90
of its lower end. Ten minutes in which the voltage was missing do not count. A week is 1008 times
ten minutes that have passed, from the start of the program on; a restart begins another one.
"""

from array import array

from micropython import const

_SHIFT = const(22)
_INTERVAL_S = const(600)
_WEEK = const(1008)
_MOST_BAD = const(50)  # five per cent of it

# Three numbers of each: of now, and of the week.
_SUM = const(0)
_BAD = const(3)
_WORST = const(6)
_N = const(9)


class Quality:
    """events: whose limits count. seconds: of these ten minutes; intervals: of this week"""

    def __init__(self, events):
        self._events = events
        self._t = array("i", [0] * _N)
        self._missing = 0
        self.seconds = 0
        self.intervals = 0

    def refresh(self, episodes):
        pass

    def is_calm(self, bounds):
        return True

    def look(self, values, missing, seconds):
        """What is measured now is taken to have been so since the last look."""
        t = self._t
        bits = 0
        self._missing |= missing
        while seconds:
            n = min(seconds, _INTERVAL_S - self.seconds)
            for k in range(3):
                t[_SUM + k] += values[k] * n
            seconds -= n
            self.seconds += n
            if self.seconds == _INTERVAL_S:
                bits |= self._end()
        return bits << _SHIFT

    def _end(self):
        """Ten minutes have ended; bits of the phases that have had a bad week."""
        t = self._t
        low, high = self._events.limits[:2]
        for k in range(3):
            mean = t[_SUM + k] // _INTERVAL_S
            t[_SUM + k] = 0
            if not self._missing >> k & 1:
                if mean < low or mean > high:
                    t[_BAD + k] += 1
                if mean * 90 < low * 85:
                    t[_WORST + k] = 1
        self._missing = 0
        self.seconds = 0
        self.intervals += 1
        if self.intervals < _WEEK:
            return 0
        self.intervals = 0
        bits = 0
        for k in range(3):
            if t[_BAD + k] > _MOST_BAD or t[_WORST + k]:
                bits |= 1 << k
            t[_BAD + k] = t[_WORST + k] = 0
        return bits
