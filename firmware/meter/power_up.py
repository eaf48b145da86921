# SPDX-License-Identifier: MIT
"""The meter has power: what there was before, and what that means for counters, logs, and what
lasts. The beginning of program.py, whose private names it uses; after the start only a failure
that was too short to end the program needs this module.
"""

from micropython import const

# In storage.extra, see program.py.
_KEPT_MINUTE = const(28)
_KEPT_SECOND = const(32)
_KEPT_FLAGS = const(33)
_WAS_SAVED = const(1)
_WAS_POWERED_DOWN = const(2)

# Counters, see sources.py.
_POWER_FAILURES = const(0)
_BOOTS = const(1)
_PHASE_FAILURES = const(10)

_POWER_WAS_DOWN = const(0x80)  # status of a profile

# Codes of events.py.
_POWER_DOWN = const(1)
_POWER_UP = const(2)
_CLOCK_INVALID = const(6)

_INVALID_OR_DOUBTFUL = const(0x03)  # clock status


def saved_time(kept):
    """UTC minute and second of the last save, (-1, 0): there was none. kept: storage.extra."""
    if not kept[_KEPT_FLAGS] & _WAS_SAVED:
        return -1, 0
    minute = 0
    for k in range(4):
        minute = minute << 8 | kept[_KEPT_MINUTE + k]
    return minute, kept[_KEPT_SECOND]


def power_up(program):
    kept = program.kept
    clock = program.clock
    program._acting = True
    # Nothing is saved before the state of before is understood.
    program._saved = True
    minute, second = saved_time(kept)
    program.saved_minute = minute
    if minute >= 0:
        failed_for(program, (clock.minute - minute) * 60 + clock.second - second)
    program._resync()
    program._measure()
    if minute >= 0 and not kept[_KEPT_FLAGS] & _WAS_POWERED_DOWN:
        # Nothing was left to note it with: the last time that is known stands for it.
        program._note_at(_POWER_DOWN, minute, second)
    program.registers.count(_BOOTS, 1)
    program._note_damage()
    if clock.flags & _INVALID_OR_DOUBTFUL:
        program.events.note(_CLOCK_INVALID)
    program.events.note(_POWER_UP)
    program._dirty = True
    # Handlers begin their periods; the first boundary then ends one.
    program.work = program._instant(False, False)
    program._finish()


def failed_for(program, seconds):
    """There was no power for so long, as far as the clock knows."""
    program.registers.count(_POWER_FAILURES, 1)
    program.registers.count(_PHASE_FAILURES, 1)
    for k in range(len(program._status_bits)):
        program._status_bits[k] |= _POWER_WAS_DOWN
    if program.episodes is not None:
        program.episodes.power_was_off(max(seconds, 0))


def is_back(program):
    """Power has failed, and all was stored, and it was not gone."""
    program._finish()
    failed_for(program, 0)
    program.events.later(_POWER_DOWN)
    program.events.later(_POWER_UP)
    program._dirty = True
