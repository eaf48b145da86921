# SPDX-License-Identifier: MIT
"""The meter program: it lets time pass, and keeps the order of what happens in it.

At a minute boundary: energies up to it (registers.py); the clock; demand periods and their maxima;
state saved; captures; then all that acts: calendars, schedules, billing, and the events of it.
State is saved before a capture, so registers are never behind rows after a power failure.

A row of the billing profile, the one without a period that captures a maximum or the number of
billing periods, ends the billing period: the maxima begin anew. Status octet of a profile
(project-defined): bit 1 clock invalid, 3 daylight saving, 5 clock adjusted, 7 power was down
within the period.

What happens at an instant may take longer than a peer waits between two octets, so a live meter
does it in parts (in_parts): one with each tick(), which the main loop calls again at once while
`work` is there, and serves its links in between. All of it is done before the next second begins.

tick() and step() may allocate. What a request can reach (the hooks on_edit, event, on_capture,
on_captured) allocates nothing.
"""

from cosem.handler import Handler
from firmware.meter import events, registers
from micropython import const

# Counters, in the order of registers.py.
_EVENTS = const(2)
_PROGRAM_CHANGES = const(3)
_BILLING_PERIODS = const(4)
_CLOCK_CHANGES = const(5)

# What is saved beside the image, in storage.extra: the remainders (28 octets); UTC minute and
# second of the save; flags. From 40 to 59 it is free for a driver of metrology; from 60 on it is
# provisioning.py's.
_KEPT_LEN = const(64)
_KEPT_MINUTE = const(28)
_KEPT_SECOND = const(32)
_KEPT_FLAGS = const(33)
_WAS_SAVED = const(1)
_WAS_POWERED_DOWN = const(2)

# Saved at least so often, without any capture; pages at a time that are written ahead of that.
_SAVE_MINUTES = const(60)
_AHEAD = const(6)

_REGISTER_ACTIVATION = "register_activation"
_CLOCK = const(8)
_TIME = const(2)
_DISCONNECT_CONTROL = const(70)
_OUTPUT_STATE = const(2)

# 2000-01-01 in seconds since 1970.
_EPOCH = const(946684800)

# Status octet of a profile.
_CLOCK_INVALID = const(0x02)
_DAYLIGHT_SAVING = const(0x08)
_CLOCK_ADJUSTED = const(0x20)

# Clock status.
_INVALID = const(0x01)
_DST_ACTIVE = const(0x80)

# A log, and codes, of events.py.
_POWER_QUALITY = const(3)
_POWER_DOWN = const(1)
_DST_CHANGE = const(3)
_CLOCK_OLD = const(4)
_CLOCK_NEW = const(5)
_MEMORY_ERROR = const(14)
_CONFIGURED = const(47)
_PROFILE_CLEARED = const(254)
_LOG_CLEARED = const(255)


class Program:
    """Drives a model that is started, with its clock set and storage loaded.

    It takes the hooks model.on_edit, model.event, clock.on_shift and those of the profiles, and
    nobody else ticks handlers, advances the clock or saves.

    saved_minute  UTC minute of the state that was loaded, -1 if there was none
    interval_s    real time: energies and instantaneous values are taken as often as this
    unsaved       attempts to save that failed since the last one that did not
    supervises    there is something to do with instantaneous values
    in_parts      a tick does one part of what happens at an instant, else all of it
    work          what is left to do of this instant, None if nothing is
    """

    def __init__(self, model, metrology):
        from firmware.meter.power_up import power_up
        from firmware.meter.sources import connect

        self.model = model
        self.metrology = metrology
        self.clock = model.handler("clock")
        if self.clock is None:
            raise ValueError("The definition has no clock: a meter needs one.")
        self.kept = bytearray(_KEPT_LEN) if model.storage is None else model.storage.extra
        self.events = events.Events(model)
        self.registers = registers.Registers(model, metrology, self.kept)
        # What lasts, see episodes.py; seconds since somebody looked.
        self.episodes = connect(
            model, model.definition.SOURCES, self.registers, self.events, metrology.contacts
        )
        self._unseen = 0
        self.supervises = self.events.objects[_POWER_QUALITY] >= 0 or self.episodes is not None
        self.saved_minute = -1
        self.unsaved = 0
        self.interval_s = 1
        self._demand = model.handler("demand_register")
        self._profiles = model.handler("profile_generic")
        # Those that act, after the captures.
        known = (self.clock, self._demand, self._profiles)
        names = model.handler_names
        rest = [
            i
            for i, h in enumerate(model.handlers)
            if h is not None
            and h not in known
            and type(h).tick is not Handler.tick
            and (type(h).due is not Handler.due or not h.sleeps())
        ]
        if _REGISTER_ACTIVATION in names:
            # Scripts that the others run have set its masks: what follows from that comes last.
            last = names.index(_REGISTER_ACTIVATION)
            rest.remove(last)
            rest.append(last)
        model.acting = bytes(rest)
        # Some compare instantaneous values all the time.
        self._watched = False
        for name in ("limiter", "register_monitor", "sensor_manager"):
            self._watched = self._watched or name in names
        # Seconds whose energy is still with the metrology; milliseconds of a second.
        self._pending = 0
        self._ms = 0
        self._shifts = 0
        # When demands and profiles are due (registers.minutes()), and of when that is known.
        self._minutes = 0
        self._edits = -1
        self._due_shifts = -1
        self._dst = 0
        self.in_parts = False
        self.work = None
        # Within _instant(): not on the path of a request.
        self._acting = False
        # Of this instant: values are measured, state is saved.
        self._fresh = False
        self._saved = False
        # A row of the billing profile was captured.
        self._billed = False
        # Something was changed that must survive; configuration that clients have changed.
        self._dirty = False
        self._changes = 0
        self._failed = 0
        self._damaged = False
        self._status_bits = bytearray(2)
        model.on_edit = self._on_edit
        model.event = self.events.later
        self.clock.on_shift = self._on_shift
        if self._profiles is not None:
            self._profiles.on_capture = self._on_capture
            self._profiles.on_captured = self._on_captured
            self._profiles.on_clear = self._on_clear
        # The output of the disconnector; its relay is the metrology's when that is simulated.
        self._connected = True
        self._output = True
        handler = model.handler("disconnect_control")
        if handler is not None:
            for row in model.rows(_DISCONNECT_CONTROL):
                self._output = model.get_int(row, _OUTPUT_STATE) != 0
            handler.on_output = self._on_output
        self.events.on_event = self._on_event
        power_up(self)

    # --- Time -------------------------------------------------------------------------------

    def tick(self, elapsed_ms):
        """Real time: elapsed_ms of the meter's time have passed since the last call."""
        ms = self._ms + elapsed_ms
        clock = self.clock
        if ms < 1000 and clock.hundredths * 10 + elapsed_ms < 990 and clock.shifts == self._shifts:
            # No second begins, ours or the clock's: the usual case, and it is to be short.
            self._ms = ms
            if elapsed_ms:
                clock.advance(elapsed_ms)
            if self.work is not None:
                self._go_on(False)
            return
        seconds = ms // 1000
        self._ms = ms - seconds * 1000
        self._run(seconds, elapsed_ms, True)

    def step(self, seconds):
        """Simulated time: as many seconds pass, with all that happens in them, at once."""
        self._run(seconds, seconds * 1000, False)
        self._finish()
        self._feed()
        self.registers.give_demands()
        self._measure()

    def _run(self, seconds, ms, live):
        """Seconds of energy, ms of the clock (it may have been set in between), by minutes."""
        clock = self.clock
        while True:
            self._finish()
            if clock.shifts != self._shifts or self._output != self._connected:
                self._resync()
            n = 60 - clock.second
            if seconds > 1:
                from firmware.meter.steady import steady

                n = min(n, steady(self))
            part = n * 1000
            if n >= seconds:
                n = seconds
                part = ms
            self._pending += n
            self._unseen += n
            minute = clock.minute
            began = clock.advance(part)
            if began:
                if self.registers.unix:
                    registers.add(self.model.image, self.registers.unix, 4, began)
                self._fresh = False
                self.work = self._instant(clock.minute != minute, live)
                self._go_on(not self.in_parts)
            seconds -= n
            if not seconds:
                return
            ms -= part

    def _resync(self):
        """The clock or the disconnector was set: what has passed belongs to the time before."""
        clock = self.clock
        self._feed()
        self._connected = self._output
        self.metrology.supply(self._connected)
        if clock.shifts != self._shifts and self._profiles is not None:
            # They look at the time that was set: a boundary right behind it is one.
            for row in self._profiles.profiles:
                self._profiles.is_due(row)
        self._shifts = clock.shifts
        self._dst = clock.local[11] & _DST_ACTIVE
        self.metrology.begin(clock.minute, clock.minute - clock.deviation)
        if self.registers.unix:
            seconds = clock.minute * 60 + clock.second + _EPOCH
            registers.put(self.model.image, self.registers.unix, 4, 0, seconds)

    def _go_on(self, to_the_end):
        """Do the next part of this instant, or all that are left."""
        clock = self.clock
        # What this tick comes late by is not part of the instant.
        clock.local[8] = 0
        self._acting = True
        work = self.work
        self.work = None
        try:
            for _ in work:
                if not to_the_end:
                    self.work = work
                    break
        finally:
            self._acting = False
            clock.local[8] = clock.hundredths

    def _finish(self):
        if self.work is not None:
            self._go_on(True)

    def _instant(self, boundary, live):
        """Everything that happens at an instant, in its order. A part ends where a yield is."""
        model = self.model
        clock = self.clock
        now = clock.minute
        self._saved = False
        if boundary:
            self._feed()
            if live:
                yield
                self.registers.give_demands()
        elif self._pending >= self.interval_s:
            self._feed()
            yield
            self._measure()
        yield
        if clock.shifted:
            clock.tick(now)
        due = False
        if (
            boundary
            or not self._minutes
            or self._edits != model.edits
            or self._due_shifts != clock.shifts
        ):
            due = self._is_due(boundary)
        if due and self._demand is not None:
            self.registers.give_demands()
            flag = self._demand.jump()
            for row in self._demand.rows:
                yield
                if self._demand.tick_one(row, flag):
                    yield
                    self.registers.period_ended(row)
            yield
        if boundary:
            if self._watched:
                self._measure()
                yield
            if clock.local[11] & _DST_ACTIVE != self._dst:
                self._dst ^= _DST_ACTIVE
                self.events.note(_DST_CHANGE)
            self._note_damage()
            if now % _SAVE_MINUTES == 0:
                yield from self._saving()
        if due and self._profiles is not None:
            for row in self._profiles.profiles:
                if self._profiles.is_due(row):
                    # What _on_capture() would do at once.
                    if not self._fresh:
                        yield
                        self._measure()
                    yield from self._saving()
                    yield
                    self._profiles.capture(row)
                    yield
        cramped = False
        if model.look(now):
            for i in model.acting:
                if model.is_due(i, now):
                    if boundary:
                        yield
                    try:
                        if model.handlers[i] is None:
                            model.rouse(i)
                            yield
                        model.tick_one(i, now)
                    except MemoryError:
                        # It comes with the next second; the others have their turn now.
                        cramped = True
            model.looked()
        if self._billed:
            yield
            self._end_billing()
        if self._changes:
            self.registers.count(_PROGRAM_CHANGES, self._changes)
            self._changes = 0
            self.events.note(_CONFIGURED)
        episodes = self.episodes
        if self.events.n or self._dirty or (episodes is not None and episodes.log_due):
            yield
            self._note()
        if boundary:
            yield
            self.metrology.begin(clock.minute, clock.minute - clock.deviation)
            # What changes with a minute is seen now, and noted.
            yield
            self._measure()
            yield
            self._note()
        if cramped:
            raise MemoryError

    def _note(self):
        """Events of this instant into their logs, and what must survive to the storage."""
        self.events.flush()
        if self.episodes is not None:
            self.episodes.flush()
        if self._dirty:
            self.save()

    def _is_due(self, boundary):
        """May a demand period end or a profile capture now? Asking all of them takes longer."""
        if self._edits != self.model.edits:
            self._edits = self.model.edits
            self._minutes = self.registers.minutes()
            return True
        if self._due_shifts != self.clock.shifts:
            self._due_shifts = self.clock.shifts
            return True
        if not self._minutes:
            return True
        return boundary and self.clock.minute % self._minutes == 0

    def _feed(self):
        if self._pending:
            self.registers.take(self._pending)
            self._pending = 0

    def _measure(self):
        self._fresh = True
        self.registers.measure()
        if not self.supervises or not self.metrology.measures:
            return
        values = self.metrology.values
        seconds = self._unseen
        self._unseen = 0
        bits = self.events.supervise(values, seconds)
        if self.episodes is not None:
            self.episodes.look(values, bits, seconds)
            self._dirty |= self.episodes.changed
            self.episodes.changed = False

    # --- Events -----------------------------------------------------------------------------

    def event(self, log, code):
        """Note an event in the log of this name; False if it could not be captured."""
        acting = self._acting
        self._acting = True
        done = self.events.note_in(log, code)
        self._acting = acting
        return done

    def _on_event(self, code):
        self.registers.count(_EVENTS, 1)
        self._dirty = True

    def _on_edit(self, row, attribute):
        """A client, or a handler that acts, has changed something. No allocation."""
        self._dirty = True
        if self._acting or not attribute:
            return
        for register in self.events.registers:
            if register[0] == row:
                self.events.later(register[3])
                return
        if self.model.class_id(row) != _CLOCK or attribute != _TIME:
            self._changes += 1

    def _on_clear(self, row):
        """The buffer of a profile was cleared. No allocation."""
        self.events.later(_LOG_CLEARED if self.events.is_log(row) else _PROFILE_CLEARED)

    def _on_output(self, row, connected):
        self._output = connected

    def _on_shift(self, old_minute, new_minute):
        """The clock was set: two events, and the first one bears the time before."""
        clock = self.clock
        self.registers.count(_CLOCK_CHANGES, 1)
        for k in range(len(self._status_bits)):
            self._status_bits[k] |= _CLOCK_ADJUSTED
        self._note_at(_CLOCK_OLD, old_minute, clock.old_second)
        self.events.note(_CLOCK_NEW)

    def _note_at(self, code, minute, second):
        """Note an event with another time than now."""
        clock = self.clock
        clock.local_of(minute, second, clock.local, 0)
        self.events.note(code)
        clock.local_of(clock.minute, clock.second, clock.local, 0)
        clock.local[8] = clock.hundredths

    # --- Captures ---------------------------------------------------------------------------

    def _on_capture(self, row):
        """A row is about to be made: what it captures must be of now, and saved before."""
        local = self.clock.local[11]
        t = self.registers.status
        for k in range(0, len(t), 2):
            if t[k + 1] == row:
                bits = self._status_bits[k >> 1]
                if local & _INVALID:
                    bits |= _CLOCK_INVALID
                if local & _DST_ACTIVE:
                    bits |= _DAYLIGHT_SAVING
                self.model.image[t[k]] = bits
        if self._acting:
            if not self._fresh:
                self._measure()
            self._save_once()

    def _on_captured(self, row):
        t = self.registers.status
        for k in range(0, len(t), 2):
            if t[k + 1] == row:
                self._status_bits[k >> 1] = 0
        if row == self.registers.billing:
            self._billed = True
            if not self._acting:
                self._end_billing()
        storage = self.model.storage
        if storage is not None and storage.failed != self._failed:
            # The row is lost. Said once; as long as it lasts the log cannot take it either.
            if not self._failed:
                self.events.later(_MEMORY_ERROR)
            self._failed = storage.failed

    def _end_billing(self):
        self._billed = False
        self.registers.count(_BILLING_PERIODS, 1)
        self.registers.reset_maxima()
        self._dirty = True

    # --- Power and state --------------------------------------------------------------------

    def _note_damage(self):
        """Something stored cannot be read: seen at the start, or when a client read a row."""
        storage = self.model.storage
        if storage is not None and storage.damaged and not self._damaged:
            self._damaged = True
            self.events.note(_MEMORY_ERROR)

    def power_down(self):
        """The orderly end: note it and save; False if that failed."""
        self._finish()
        self._feed()
        self.event("standard", _POWER_DOWN)
        return self.power_fails(_WAS_SAVED | _WAS_POWERED_DOWN)

    def power_fails(self, flags=_WAS_SAVED):
        """Power will be gone in some milliseconds: take the energies up to now and save all,
        before anything else that this instant has left to do. The next start notes when that was.
        False: it could not be saved."""
        self.registers.take(self._pending)
        self._pending = 0
        self.registers.give_demands()
        security = self.model.handler("security_setup")
        if security is not None:
            security.settle()
        return self._save(flags)

    def save(self):
        """Save the state; False if that failed. It is tried again with the next reason to."""
        return self._save(_WAS_SAVED)

    def save_now(self):
        """For what has to be saved before an answer: an instant that has begun is ended first."""
        self._finish()
        return self.save()

    def _saving(self):
        """Generator: _save_once(), in parts where a save takes long."""
        storage = self.model.storage
        if not self._saved:
            yield
            if hasattr(storage, "ahead"):
                self._keep()
                while storage.ahead(self.model.image, _AHEAD):
                    yield
                yield
            self._save_once()

    def _keep(self):
        if self.episodes is not None:
            self.episodes.keep(self._unseen)

    def _save_once(self):
        """At most one save an instant, before the first of its captures."""
        if not self._saved:
            self._saved = True
            self.save()

    def _save(self, flags):
        self._dirty = False
        storage = self.model.storage
        if storage is None:
            return True
        self._keep()
        kept = self.kept
        registers.put(kept, _KEPT_MINUTE, 4, 0, self.clock.minute)
        kept[_KEPT_SECOND] = self.clock.second
        kept[_KEPT_FLAGS] = flags
        self.model.full = not storage.save(self.model.image)
        if not self.model.full:
            self.unsaved = 0
            return True
        self.unsaved += 1
        if self.unsaved == 1:
            self.events.later(_MEMORY_ERROR)
        return False
