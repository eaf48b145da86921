# SPDX-License-Identifier: MIT
"""What Schedule and Activity calendar share: when to look (IEC 62056-6-2, 4.5.3 and 4.5.5).

An object is looked at when it is due, which the look before has found out, and at midnight. What
lies between the two looks, in local time, has its turn then. Local time goes forward only: in the
hour that comes twice, the second time nothing happens; what lies in the hour that is left out
happens at its end.

    the clock                            Schedule                        Activity calendar
    goes on                              what is due                     what is due
    starts (power failure)               missed, within validity_window  the last action, if missed
      earlier than it stopped            nothing comes twice             nothing comes twice
    is set forward                       missed, within validity_window  the last action, if missed
    is set back                          comes again                     action of the new time
    is set by a minute or less, forward  missed, whatever the window     the last action, if missed
    is set by a minute or less, back     nothing comes twice             nothing comes twice
    summer time begins                   missed, whatever the window     the last action, if missed
    summer time ends                     nothing comes twice             nothing comes twice
    attributes are set                   from now on                     action of the new calendar

(uncertain: public texts say so much, not how long a time is that is set to synchronize; a minute
is project-defined. That the action of an earlier time is taken again is, too; and that a clock
which starts more than a day earlier, and knows the time, has been set back.)

The hidden slot `last` is the time of the last look (u32, 1 + minute in UTC; second). A tick at
which nothing is due compares a few numbers. One at which something is may allocate.
"""

from cosem import handler, slots, special_days
from dlms.axdr import put_u32
from micropython import const

# How the clock has come to where it is.
_ON = const(0)
_LATE = const(1)  # power failure, or set forward
_ANEW = const(2)  # set back, or another object: what was before does not count

_CHANGED = const(1)  # see Handler.resume()
_SECOND_AT = const(4)
_SYNCHRONIZED_S = const(60)
_DAY = const(1440)
_INVALID = const(0x01)  # clock status
_FAR = const(0x1FFFFFFF)


class Timetable(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.rows = []
        self.clock = None
        # By the place in rows: the special days, and an octet: it was set since the last look.
        self.tables = []
        self.stale = None
        self.asked = True  # to look now
        self._shifts = -1
        self._deviation = 0
        # When something is due, UTC.
        self._due = -1
        self._due_s = 0

    def sleeps(self):
        clock = self.clock
        return (
            clock is not None
            and self._due > clock.minute
            and clock.shifts == self._shifts
            and clock.deviation == self._deviation
            and not self.asked
        )

    def due(self):
        return self._due

    def resume(self, due):
        self._shifts = self.model.shifts
        self._deviation = self.model.deviation
        self.asked = False
        if due == _CHANGED:
            self.renew()

    def start(self, row):
        self.rows.append(row)
        self.tables.append(special_days.table_of(self.model, row))
        self.stale = bytearray(len(self.rows))
        if self.clock is None:
            self.clock = self.model.handler("clock")

    def look(self, row, table, how, since, since_s, now, now_s):
        """Do what lies after since, up to now: minutes of local time, and a second; table: row of
        the special days, or -1. Returns the second of the day of `now` at which to look again;
        86400 if it is the next day."""

    def renew(self, row=-1):
        """This object, or what all of them depend on, has been set."""
        self.asked = True
        for i in range(len(self.rows)):
            if self.rows[i] == row or row < 0:
                self.stale[i] = 1

    def changed(self, row, attribute):
        self.renew(row)

    def tick(self, now):
        # As short as can be: MicroPython takes heap for the frame of a longer function.
        clock = self.clock
        if clock is not None and (
            clock.minute >= self._due
            or clock.shifts != self._shifts
            or clock.deviation != self._deviation
            or self.asked
        ):
            self._turn(clock, clock.minute, clock.second)

    def _turn(self, clock, minute, second):
        """Look, unless nothing is due in this minute yet."""
        how = _ON
        if clock.shifts != self._shifts:
            how = self._how(minute, second)
        elif clock.deviation == self._deviation and not self.asked:
            if minute == self._due and second < self._due_s:
                return
        self._shifts = clock.shifts
        self._deviation = clock.deviation
        self.asked = False
        self._due = _FAR
        for i, row in enumerate(self.rows):
            anew = self.stale[i]
            self.stale[i] = 0
            try:
                self._look(row, self.tables[i], _ANEW if anew else how, minute, second)
            except MemoryError:
                self.stale[i] = anew
                self.asked = True
                raise

    def _how(self, minute, second):
        """How the clock has come here."""
        if self._shifts < 0:
            return _LATE
        by = minute - self.clock.old_minute
        if -3 < by < 3:
            by = by * 60 + second - self.clock.old_second
            # A second has passed, too.
            if -_SYNCHRONIZED_S <= by <= _SYNCHRONIZED_S + 1:
                return _ON
        return _LATE if by > 0 else _ANEW

    def _look(self, row, table, how, minute, second):
        clock = self.clock
        image = self.model.image
        at = self.model.state(row, 0)
        last = slots.unsigned32(image, at)
        last_s = image[at + _SECOND_AT]
        since = last - 1
        since_s = last_s
        if how == _LATE and since - minute > _DAY and not clock.flags & _INVALID:
            how = _ANEW
        if since < 0 or how == _ANEW:
            how = _ANEW
            since = minute if second else minute - 1
            since_s = second - 1 if second else 59
        elif since > minute or (since == minute and since_s > second):
            # It is earlier than it was: all that has had its turn.
            minute = since
            second = since_s
        # Before anything is done: it must not come twice.
        put_u32(image, at, minute + 1)
        image[at + _SECOND_AT] = second
        local = reached(clock, minute)
        if local != minute - clock.deviation_at(minute):
            second = 59
        before = reached(clock, since)
        if before != since - clock.deviation_at(since):
            since_s = 59
        try:
            again = self.look(row, table, how, before, since_s, local, second)
        except MemoryError:
            # There was no room for a script: it has its turn with the next second.
            put_u32(image, at, last)
            image[at + _SECOND_AT] = last_s
            raise
        self.due_at(local // _DAY * _DAY + again // 60 + clock.deviation, again % 60)

    def due_at(self, minute, second):
        """Look again then (UTC), or earlier."""
        if minute < self._due or (minute == self._due and second < self._due_s):
            self._due = minute
            self._due_s = second

    def execute(self, row, script, buf, at):
        """Execute a script, unless a Function control has switched this object off; script:
        script_table.py."""
        if not self.model.is_off(row):
            script.run(self.model, row, buf, at)


def reached(clock, minute):
    """The latest minute of local time that there has been by this one (UTC)."""
    deviation = clock.deviation_at(minute)
    first = minute - abs(clock.dst_deviation)
    if clock.deviation_at(first) >= deviation:
        return minute - deviation
    # The clock was put back in between: find when.
    while minute - first > 1:
        half = (minute + first) // 2
        if clock.deviation_at(half) == deviation:
            minute = half
        else:
            first = half
    return first - clock.deviation_at(first)
