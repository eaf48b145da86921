# SPDX-License-Identifier: MIT
"""Single action schedule (class_id 22, version 0; IEC 62056-6-2, 4.5.7).

A script is executed when the local time reaches an entry of execution_time. FF in hour or minute
is every hour or minute, in the date it is as calendar.matches() says; FF in the second is 0.

What counts is the local minute that the clock reaches. Minutes over which the clock was set, or
which passed without power, or which daylight saving leaves out, are not made up for. In the hour
that comes twice, and after the clock was set back by a day or less, no minute counts twice: the
hidden slot `last` holds the last minute in which the script was executed (u32, 1 + minutes of
local time since 2000), and is saved.

An execution_time must fit the type when it is set (other-reason); when the type is changed later,
entries that do not fit the new one are passed over. Ticks may allocate, requests do not.
"""

from cosem import calendar, handler, script_table, slots
from dlms.axdr import put_u32
from dlms.prim import fill
from micropython import const

_EXECUTED_SCRIPT = const(2)
_TYPE = const(3)
_EXECUTION_TIME = const(4)

# type: which entries may be there.
_ONE = const(1)  # one, date with wildcards
_SAME_TIME_FIXED = const(2)  # one time of day, whole dates
_SAME_TIME = const(3)  # one time of day, dates with wildcards
_FIXED = const(4)  # any times, whole dates
_ANY = const(5)  # any times, dates with wildcards

_SUCCESS = const(0)
_OTHER_REASON = const(250)

# An entry: 02 02 09 04 time 09 05 date.
_ENTRY_LEN = const(15)
_TIME_AT = const(4)
_DATE_AT = const(10)

_NOT_DUE = const(60)
_DAY = const(1440)
# More minutes than that have not just gone by unnoticed.
_MAX_MISSED = const(1440)


class Handler(handler.Handler):
    """
    minute   the last one (UTC) that was looked at
    waits    in it one of the schedules will be due
    minutes  a bit for each local minute of an hour in which one may be due
    """

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.rows = []
        # Second of this minute from which each schedule is due, if one waits.
        self._due = None
        self.waits = False
        self.minutes = bytearray(8)
        self._stale = True  # they are to be gathered
        self.clock = None
        self.minute = -1
        self._shifts = -1
        self._date = bytearray(12)

    def start(self, row):
        self.rows.append(row)
        self._due = bytearray(len(self.rows))
        for i in range(len(self._due)):
            self._due[i] = _NOT_DUE
        if self.clock is None:
            self.clock = self.model.handler("clock")

    def sleeps(self):
        clock = self.clock
        return (
            clock is not None
            and self.minute == clock.minute
            and self._shifts == clock.shifts
            and not self.waits
            and not self._stale
        )

    def due(self):
        """The next minute in which one may be due, within an hour."""
        minute = self.minute + 1
        last = minute + 59
        clock = self.clock
        minutes = self.minutes
        local = minute - clock.deviation
        while minute < last and not minutes[local % 60 >> 3] & 1 << (local % 60 & 7):
            minute += 1
            local += 1
        if clock.deviation_at(minute) != clock.deviation:
            minute = self.minute + 1
            while minute < last and not self._is_wanted(minute):
                minute += 1
        return minute

    def resume(self, due):
        self._shifts = self.model.shifts
        self.minute = min(due - 1, self.clock.minute)

    # --- Time -------------------------------------------------------------------------------

    def tick(self, now):
        clock = self.clock
        if clock is None or not self.rows:
            return
        minute = clock.minute
        if clock.shifts != self._shifts:
            self._shifts = clock.shifts
            self._look(minute)
        elif minute != self.minute:
            # The rest of the minute before, then those that a slow loop has left out.
            self._run(self.minute, 59)
            missed = minute - self.minute - 1
            while 0 < missed <= _MAX_MISSED:
                self._look(minute - missed)
                self._run(minute - missed, 59)
                missed -= 1
            self._look(minute)
        self.minute = minute
        self._run(minute, clock.second)

    def _look(self, minute):
        """Which schedules are due in this minute (UTC)?"""
        clock = self.clock
        if self._stale:
            self._gather()
        # Most minutes are nobody's.
        self.waits = False
        if self._is_wanted(minute):
            clock.local_of(minute, 0, self._date, 0)
            for i, row in enumerate(self.rows):
                self._due[i] = _NOT_DUE if self.model.is_off(row) else self._second(row)
                self.waits = self.waits or self._due[i] < _NOT_DUE

    def _is_wanted(self, minute):
        """May one of the schedules be due in this minute (UTC)?"""
        local = (minute - self.clock.deviation_at(minute)) % 60
        return self.minutes[local >> 3] & 1 << (local & 7) != 0

    def _gather(self):
        """In which minutes of an hour may one of the schedules be due?"""
        self._stale = False
        minutes = self.minutes
        fill(minutes, 0, len(minutes), 0)
        for row in self.rows:
            buf = slots.source(self.model, row, _EXECUTION_TIME)
            at = slots.offset(self.model, row, _EXECUTION_TIME)
            for _ in range(buf[at + 1]):
                minute = buf[at + 2 + _TIME_AT + 1]
                if minute == 0xFF:
                    fill(minutes, 0, len(minutes), 0xFF)
                elif minute < 60:
                    minutes[minute >> 3] |= 1 << (minute & 7)
                at += _ENTRY_LEN

    def _second(self, row):
        """Second from which a schedule is due in the minute of self._date."""
        model = self.model
        buf = slots.source(model, row, _EXECUTION_TIME)
        at = slots.offset(model, row, _EXECUTION_TIME)
        kind = slots.octet(model, row, _TYPE)
        date = self._date
        first = at + 2
        due = _NOT_DUE
        n = buf[at + 1]
        at = first
        while n:
            hour = buf[at + _TIME_AT]
            minute = buf[at + _TIME_AT + 1]
            second = buf[at + _TIME_AT + 2]
            if second > 59:
                second = 0
            # What costs least, and is seldom true, comes first.
            if (
                (minute == 0xFF or minute == date[6])
                and (hour == 0xFF or hour == date[5])
                and second < due
                and _fits(kind, buf, at, first)
                and self._is_day(buf, at + _DATE_AT)
            ):
                due = second
            at += _ENTRY_LEN
            n -= 1
        return due

    def _is_day(self, buf, pos):
        """Is self._date a day that buf[pos:] names?"""
        date = self._date
        year = date[0] << 8 | date[1]
        begin = self.clock.dst_day(False, year)
        end = self.clock.dst_day(True, year)
        return calendar.matches(buf, pos, date, 0, begin, end)

    def _run(self, minute, second):
        if not self.waits:
            return
        self.waits = False
        for i in range(len(self.rows)):
            if self._due[i] <= second:
                self._due[i] = _NOT_DUE
                self._execute(self.rows[i], minute - self.clock.deviation_at(minute))
            self.waits = self.waits or self._due[i] < _NOT_DUE

    def _execute(self, row, local):
        """Execute the script, unless this local minute (or a little later one) had its turn."""
        model = self.model
        at = model.state(row, 0)
        last = slots.unsigned32(model.image, at) - 1
        if last >= local and last - local <= _DAY:
            return
        # Before the script: it must not come twice, whatever happens in it.
        put_u32(model.image, at, local + 1)
        try:
            self.execute(row)
        except MemoryError:
            # There was no room for it: with the next second.
            put_u32(model.image, at, last + 1)
            self._due[self.rows.index(row)] = 0
            self.waits = True
            raise
        model.edited(row, 0)

    def execute(self, row):
        """Execute the script now; action_result."""
        model = self.model
        buf = slots.source(model, row, _EXECUTED_SCRIPT)
        at = slots.offset(model, row, _EXECUTED_SCRIPT)
        return script_table.run(model, row, buf, at)

    # --- Attributes -------------------------------------------------------------------------

    def changed(self, row, attribute):
        self._stale = True

    def check(self, row, attribute, buf, pos, end):
        if attribute == _TYPE:
            if buf[pos + 1] < _ONE or buf[pos + 1] > _ANY:
                return _OTHER_REASON
        elif attribute == _EXECUTION_TIME:
            if buf[pos + 1] > 127:
                return _OTHER_REASON
            kind = slots.octet(self.model, row, _TYPE)
            for at in range(pos + 2, end, _ENTRY_LEN):
                if calendar.check_time(buf, at + _TIME_AT) < 0:
                    return _OTHER_REASON
                if not _fits(kind, buf, at, pos + 2):
                    return _OTHER_REASON
        return _SUCCESS


def _fits(kind, buf, at, first):
    """Is the entry at `at` of the array that begins at `first` one that the type allows?"""
    date = calendar.check_date(buf, at + _DATE_AT)
    if date < 0 or (date > 0 and (kind == _SAME_TIME_FIXED or kind == _FIXED)):
        return False
    if at == first or kind == _FIXED or kind == _ANY:
        return True
    if kind == _ONE:
        return False
    for i in range(_TIME_AT, _TIME_AT + 4):
        if buf[at + i] != buf[first + i]:
            return False
    return True
