# SPDX-License-Identifier: MIT
"""Time that is stepped, not waited for: a year of a meter in seconds.

Ahead.step(seconds) is Program.step(seconds), with the same outcome in every octet. Minutes in
which nothing can happen but that energy is counted are not gone through one by one: the metrology
hands in the energy of each, and all of it goes into the registers at once. A part of program.py
and running.py, whose private names it uses, that a board has no need of. May allocate.
"""

from array import array

from cosem import calendar, handler
from firmware.meter.registers import add
from firmware.meter.steady import is_calm, steady
from micropython import const

# Classes whose tick() has something to do only after something else has happened in that minute.
_QUIET = ("parameter_monitor", "push_setup", "register_activation", "security_setup")
# And those that know when they have: see cosem/timetable.py; in which minutes of an hour.
_TIMETABLES = ("schedule", "activity_calendar")
_SCHEDULE = "single_action_schedule"

_MINUTE_MS = const(60000)
_DAY = const(1440)
_VALUE = const(2)
_ROW_SHIFT = const(4)


class Ahead:
    """skipped: minutes that were not gone through one by one, so far"""

    def __init__(self, program):
        self.program = program
        self.skipped = 0
        self._total = array("i", program.metrology.quanta)
        model = program.model
        self._schedule = model.handler(_SCHEDULE)
        self._timetables = []
        # Who else looks at every minute has to see it.
        self._may = not program._watched
        for name, h in zip(model.handler_names, model.handlers):
            if name in _TIMETABLES:
                self._timetables.append(h)
            elif h in program._rest and name != _SCHEDULE and name not in _QUIET:
                self._may = self._may and type(h).tick is handler.Handler.tick

    def step(self, seconds):
        program = self.program
        while seconds:
            n = min(seconds, 60 - program.clock.second)
            program._run(n, n * 1000, False)
            program._finish()
            seconds -= n
            n = self._quiet(seconds // 60)
            if n:
                self._skip(n)
                seconds -= 60 * n
        program.step(0)

    def _quiet(self, most):
        """How many of the minutes that come have nothing to do but to count energy."""
        program = self.program
        clock = program.clock
        step = program._minutes
        if (
            not self._may
            or not step
            or clock.second
            or program._pending
            or program._dirty
            or program._changes
            or program._edits != program.model.edits
            or program._due_shifts != clock.shifts
            or program._output != program._connected
            or program.events._n
            or not is_calm(program)
        ):
            return 0
        n = min(most, step - 1 - clock.minute % step)
        if program.supervises:
            n = min(n, (steady(program) - 1) // 60)
        for timetable in self._timetables:
            n = 0 if timetable.asked else min(n, timetable._due - 1 - clock.minute)
        if n <= 0 or clock.deviation_at(clock.minute + n) != clock.deviation:
            return 0
        if self._schedule is not None:
            if self._schedule.waits:
                return 0
            minutes = self._schedule.minutes
            local = clock.minute - clock.deviation
            for k in range(n):
                minute = (local + k + 1) % 60
                if minutes[minute >> 3] & 1 << (minute & 7):
                    return k
        return n

    def _skip(self, n):
        program = self.program
        clock = program.clock
        metrology = program.metrology
        total = self._total
        for k in range(len(total)):
            total[k] = 0
        minute = clock.minute
        for _ in range(n):
            metrology.take(60)
            for k, q in enumerate(metrology.quanta):
                if q:
                    total[k] += q
            minute += 1
            metrology.begin(minute, minute - clock.deviation)
        program.registers.spread(total)
        if program.registers.unix:
            add(program.model.image, program.registers.unix, 4, 60 * n)
        clock.advance(n * _MINUTE_MS)
        program._unseen += 60 * n
        # They need not look at these minutes again.
        if self._schedule is not None:
            self._schedule.minute = clock.minute
        for timetable in self._timetables:
            timetable._minute = clock.minute
            timetable._second = 0
        self.skipped += n


def date(minute):
    """A time in UTC as text."""
    octets = bytearray(5)
    calendar.put_date(minute // _DAY, octets, 0)
    return "%04d-%02d-%02dT%02d:%02d" % (
        octets[0] << 8 | octets[1],
        octets[2],
        octets[3],
        minute % _DAY // 60,
        minute % 60,
    )


def run(meter, until, port, goes_on):
    """Step a meter to its time until = [minute, second] (UTC), a day at a time, and report.

    goes_on(minute, percent) hears of each day; False ends it, and None is returned instead of the
    report: a dictionary for json. ValueError: the meter's clock is past that time.
    """
    program = meter.program
    clock = program.clock
    first = clock.minute
    seconds = (until[0] - first) * 60 + until[1] - clock.second
    if seconds < 0:
        raise ValueError("The meter's clock is already at %s UTC." % date(first))
    before = _energies(program)
    ends = [ring.first + ring.n for _, ring in _profiles(meter.model)]
    ahead = Ahead(program)
    left = seconds
    while left:
        if not goes_on(clock.minute, (seconds - left) * 100 // seconds):
            return None
        n = min(left, _DAY * 60)
        ahead.step(n)
        left -= n
    meter._last_ms = port.ticks_ms()
    after = _energies(program)
    return {
        "from": date(first),
        "until": date(clock.minute),
        "registers": {name: [before[name], after[name]] for name in after},
        "profiles": {
            name: {"captured": ring.first + ring.n - end, "entries_in_use": ring.n}
            for (name, ring), end in zip(_profiles(meter.model), ends)
        },
    }


def _energies(program):
    """The registers that count energy: their numbers by name."""
    model = program.model
    t = program.registers.energies
    rows = [t[k + 2] for k in range(0, len(t), 3)]
    return {_name(model, row): model.get_int(row, _VALUE) for row in rows}


def _profiles(model):
    handler = model.handler("profile_generic")
    profiles = {} if handler is None else handler.profiles
    return [(_name(model, row), profiles[row].ring) for row in sorted(profiles)]


def _name(model, row):
    at = (row << _ROW_SHIFT) + 2
    return "%d.%d.%d.%d.%d" % tuple(model.objects[at : at + 5])
