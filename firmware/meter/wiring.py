# SPDX-License-Identifier: MIT
"""What is wrong around a meter: currents, the order of phases, the neutral; see episodes.py.

    14..16 current of L1..L3 above its limit     17 voltages unbalanced     18 phases reversed
    19 neutral missing     20 more export than allowed     21 current with an open disconnector

The limits are objects; what has none is not looked at (those in the manufacturer's range of E are
the project's choice):

    1.0.11.35.0    over limit threshold current, any phase, mA
    1.0.11.35.128  current that is none, while the disconnector is open, mA
    1.0.12.35.128  unbalance: the largest distance of a voltage from their mean, 0.1 % of it; who
                   has it is told of reversed phases too
    1.0.12.35.129  displacement of the neutral: a third of the sum of the phasors of the voltages,
                   0.1 V. Only what is unbalanced is looked at
    1.0.2.35.0     over limit threshold of exported power, W

While a phase is missing there is no word about voltages against each other.
"""

from firmware.meter.numbers import root, sine
from micropython import const

_OVER_CURRENT = const(0x004000)
_UNBALANCED = const(0x020000)
_REVERSED = const(0x040000)
_NO_NEUTRAL = const(0x080000)
_EXPORT = const(0x100000)
_OPEN = const(0x200000)

# Indices of values, in the order of metrology.py.
_I = const(3)
_P_MINUS = const(17)
_ANGLE_U = const(26)

_NO_ROW = const(0xFFFF)
_NEVER = const(0x3FFFFFFF)


class Wiring:
    """rows: of the limits, in the order above (FFFF: not there). output: position of output_state
    of the disconnector in the image, 0: there is none."""

    def __init__(self, model, rows, output):
        self.model = model
        self.rows = rows
        self.limits = ()
        self._output = output

    def refresh(self, episodes):
        self.limits = tuple([_NEVER if r == _NO_ROW else episodes.limit(r) for r in self.rows])

    def is_calm(self, bounds):
        """Of a simulated household, through whose open disconnector nothing flows."""
        current, _leak, unbalance, _neutral, export = self.limits
        return current >= bounds[2] and unbalance >= bounds[3] and export >= bounds[4]

    def look(self, values, missing, seconds):
        current, leak, unbalance, neutral, export = self.limits
        bits = 0
        is_open = self._output and not self.model.image[self._output]
        for k in range(3):
            i = values[_I + k]
            if i > current:
                bits |= _OVER_CURRENT << k
            if is_open and i > leak:
                bits |= _OPEN
        if values[_P_MINUS] > export:
            bits |= _EXPORT
        if not missing and unbalance != _NEVER:
            mean = (values[0] + values[1] + values[2]) // 3
            most = 0
            for k in range(3):
                most = max(most, abs(values[k] - mean))
            if most * 1000 > unbalance * mean:
                bits |= _UNBALANCED
                if neutral != _NEVER and _displacement(values) > neutral:
                    bits |= _NO_NEUTRAL
            if (values[_ANGLE_U + 1] - values[_ANGLE_U]) % 3600 > 1800:
                bits |= _REVERSED
        return bits


def _displacement(values):
    """A third of the sum of the phasors of the voltages, 0.1 V."""
    x = y = 0
    for k in range(3):
        angle = values[_ANGLE_U + k]
        x += values[k] * sine(angle + 900)
        y += values[k] * sine(angle)
    x //= 30000
    y //= 30000
    return root(x * x + y * y)
