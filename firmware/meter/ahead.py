# SPDX-License-Identifier: MIT
"""Time that is stepped, not waited for: a year of a meter in seconds.

Ahead.step(seconds) is Program.step(seconds), with the same outcome in every octet. Minutes in
which nothing can happen but that energy is counted are not gone through one by one: the metrology
hands in the energy of each, and all of it goes into the registers at once. A part of program.py
and running.py, whose private names it uses, that a board has no need of. May allocate.
"""

from array import array

from cosem import calendar, handler
from firmware.meter.registers import add, put
from firmware.meter.steady import is_calm, steady
from micropython import const

# Classes whose tick() has something to do only after something else has happened in that minute.
_QUIET = ("parameter_monitor", "push_setup", "register_activation", "security_setup")

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
        # Those that know when they have something to do: who may sleep until then.
        self._sleepers = []
        # What they watch, and what of metrology each of that is: a feed of registers.py.
        self._watches = ()
        values = program.registers.values
        self._feeds = {values[k + 1]: values[k] for k in range(0, len(values), 2)}
        # Who else looks at every minute has to see it.
        self._may = True
        for i in model.acting:
            h = model.handlers[i]
            if model.handler_names[i] in _QUIET:
                continue
            if type(h).due is handler.Handler.due:
                self._may = False
            else:
                self._sleepers.append(h)

    def step(self, seconds):
        program = self.program
        while seconds:
            n = min(seconds, 60 - program.clock.second)
            program._run(n, n * 1000, False)
            program._finish()
            seconds -= n
            n = self._quiet(seconds // 60)
            if n:
                seconds -= 60 * self._skip(n)
        program.step(0)

    def _quiet(self, most):
        """How many of the minutes that come have nothing to do but to count energy, if no value
        crosses a threshold."""
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
            or program.events.n
            or not is_calm(program)
        ):
            return 0
        n = min(most, step - 1 - clock.minute % step)
        if program.supervises:
            n = min(n, (steady(program) - 1) // 60)
        self._watches = ()
        for sleeper in self._sleepers:
            if not sleeper.sleeps():
                return 0
            n = min(n, sleeper.due() - 1 - clock.minute)
            for watch in sleeper.watches():
                if watch[0] not in self._feeds:
                    return 0  # energy, or a demand
                self._watches += (watch,)
        if n <= 0 or clock.deviation_at(clock.minute + n) != clock.deviation:
            return 0
        return n

    def _skip(self, n):
        """Do so, up to the first minute in which a value crosses one; returns how many."""
        program = self.program
        clock = program.clock
        metrology = program.metrology
        total = self._total
        for k in range(len(total)):
            total[k] = 0
        minute = first = clock.minute
        crossed = False
        while minute < first + n and not crossed:
            metrology.take(60)
            for k, q in enumerate(metrology.quanta):
                if q:
                    total[k] += q
            minute += 1
            crossed = self._watches and self._has_crossed()
            if not crossed:
                metrology.begin(minute, minute - clock.deviation)
        n = minute - first
        program.registers.spread(total)
        if program.registers.unix:
            add(program.model.image, program.registers.unix, 4, 60 * n)
        clock.advance(n * _MINUTE_MS)
        program._unseen += 60 * n
        if crossed:
            program._fresh = False
            program.work = program._instant(True, False)
            program._finish()
            n -= 1
        else:
            # They need not look at these minutes again.
            for sleeper in self._sleepers:
                sleeper.resume(sleeper.due())
        self.skipped += n
        return minute - first

    def _has_crossed(self):
        """Measure no more than what is watched: has it crossed its threshold?"""
        model = self.program.model
        metrology = self.program.metrology
        metrology.measure()
        for watch in self._watches:
            feed = self._feeds[watch[0]]
            value = metrology.values[feed >> 8]
            put(model.image, watch[0], feed & 0x0F, feed >> 4 & 1, value)
        return model.has_crossed(self._watches)


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
