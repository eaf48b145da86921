# SPDX-License-Identifier: MIT
"""How far time may be stepped at once: what events.py and episodes.py wait for comes at its
second, and so does what happens to a simulated household. A part of program.py, whose private
names it uses, for time that is not real: loaded when more than a second has passed.
"""

from micropython import const

_VOLTAGE_NORMAL = const(85)
_VOLTAGE_LOW = const(76)
_N_PHASES = const(3)
_MINUTE_S = const(60)


def steady(program):
    """Seconds in which no more can happen than that energy is counted, 1 at least."""
    n = _MINUTE_S
    metrology = program.metrology
    if hasattr(metrology, "steady"):
        n = metrology.steady()
    if program.supervises:
        n = min(n, _due(program.events) - program._unseen)
        if program.episodes is not None:
            n = min(n, program.episodes.due() - program._unseen)
    return max(n, 1)


def _due(events):
    """Seconds from the last look until an event comes if the voltages stay as they are."""
    n = 0x3FFFFFFF
    for k in range(_N_PHASES):
        code = events.voltage[_N_PHASES + k]
        if code != events.voltage[k]:
            n = min(n, events.limits[3 + (code - _VOLTAGE_LOW) // 3] - events.seconds[k])
    return n


def is_calm(program):
    """Does nothing wait, and do values within the bounds of the metrology bring nothing?"""
    if not program.supervises:
        return True
    bounds = program.metrology.bounds
    events = program.events
    if bounds is None or events.edits != program.model.edits:
        return False
    for code in events.voltage[: 2 * _N_PHASES]:
        if code != _VOLTAGE_NORMAL:
            return False
    low, high = events.limits[:2]
    return (
        low <= bounds[0]
        and high >= bounds[1]
        and (program.episodes is None or program.episodes.is_calm(bounds))
    )
