# SPDX-License-Identifier: MIT
"""Clock (class_id 8, version 0; IEC 62056-6-2, 4.5.1).

Inside, a time is whole minutes since 2000-01-01 00:00 UTC and a second of that minute. The local
time with deviation and status is kept ready as the twelve octets of a date-time, so that GET
copies and a capture copies. A deviation is DLMS's: UTC = local + deviation, -60 for CET.

Daylight saving runs from daylight_savings_begin, in local normal time, to daylight_savings_end,
in the deviated time (unless the two carry a deviation of their own). They are rules for every
year (last Sunday in March), or both name their year. Local = UTC - time_zone, and while it is
active + daylight_savings_deviation. One rule with a year and one without: never active.

The first clock object of the definition is the meter's clock; others show it.

Project-defined: a value that is of the right type but means no time, or a method that can do
nothing, is answered with other-reason. SET of time takes any deviation from -840 to 840 and 8000
(the meter's own local time; in the hour that comes twice bit 7 of the status octet chooses, the
first pass if that octet is FF). It needs every field from the year to the second; hundredths and
weekday may be FF, a wrong weekday is refused.

Nothing is allocated on the request path. on_shift(old_minute, new_minute), old_second beside it,
is called by the next tick() after the clock was set or shifted, not in the request.
"""

from cosem import calendar, handler, slots
from dlms.axdr import get_u16
from dlms.prim import copy
from micropython import const

_TIME = const(2)
_TIME_ZONE = const(3)
_STATUS = const(4)
_BEGIN = const(5)
_END = const(6)
_DEVIATION = const(7)
_ENABLED = const(8)

_ADJUST_TO_QUARTER = const(1)
_ADJUST_TO_MEASURING_PERIOD = const(2)
_ADJUST_TO_MINUTE = const(3)
_ADJUST_TO_PRESET_TIME = const(4)
_PRESET_ADJUSTING_TIME = const(5)
_SHIFT_TIME = const(6)

_INVALID = const(0x01)
_DOUBTFUL = const(0x02)
_DST_ACTIVE = const(0x80)
_STATUS_NOT_SPECIFIED = const(0xFF)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)

_OCTET_STRING = const(0x09)
_LONG = const(0x10)
_UNSIGNED = const(0x11)

_UNSPECIFIED = const(-0x8000)
_NEVER = const(-0x20000000)
# Before and after every time: open ends of a range.
_FIRST = const(-0x1FFFFFFF)
_LAST = const(0x1FFFFFFF)

_MAX_SHIFT_S = const(900)
_MAX_DST_DEVIATION = const(120)


class Handler(handler.Handler):
    """The meter's clock.

    minute, second, hundredths   now, UTC
    local        the same as the twelve octets of a date-time, local
    deviation    of local now, minutes
    flags        status bits other than daylight saving
    shifts       counts the jumps (30 bits, wraps): a module that counts periods compares it
    shifted      the next tick() calls on_shift()
    old_minute, old_second   the time when the clock was last set in service
    """

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.row = -1
        self.minute = 0
        self.second = 0
        self.hundredths = 0
        self._ms = 0
        self.local = bytearray(12)
        self.deviation = 0
        self.flags = _INVALID
        self.last_second = 0
        self.shifts = 0
        self.on_shift = None
        self.shifted = False
        self.old_minute = 0
        self.old_second = 0
        # The preset of adjust_to_preset_time; not kept over a power failure.
        self._preset = self._from = self._to = _NEVER
        self._preset_s = self._from_s = self._to_s = 0
        # Settings, from the attributes.
        self.time_zone = 0
        self.dst_deviation = 0
        self._usable = False
        self._fixed = False
        # Daylight saving of the year of local normal time whose days are _first_day.._next_day-1.
        self._first_day = self._next_day = 0
        self._begin = self._end = _NEVER
        self._refresh()

    def start(self, row):
        if self.row < 0:
            self.row = row
            self._load()

    # --- Time -------------------------------------------------------------------------------

    def advance(self, ms):
        """Let ms milliseconds pass; returns the number of whole seconds that began."""
        ms += self._ms
        n = ms // 1000
        self._ms = ms = ms - n * 1000
        self.hundredths = ms // 10
        if n:
            second = self.second + n
            if second >= 60:
                self.minute += second // 60
                self.second = second % 60
                self._refresh()
            else:
                self.second = second
                self.local[7] = second
        self.local[8] = self.hundredths
        return n

    def set_utc(self, minute, second):
        """Set the clock without a word to the program: at boot, from a battery-backed clock."""
        self.flags &= ~_INVALID
        self.minute = minute
        self.second = second
        self.hundredths = self._ms = 0
        self.shifts = self.shifts + 1 & 0x3FFFFFFF
        self._refresh()

    def confirm(self):
        """The time is good."""
        self.set_flags(self.flags & ~(_INVALID | _DOUBTFUL))

    def adjust(self, minute, second, ms=0):
        """Set the clock in service: the time is good again, and the program hears of it."""
        if not self.shifted:
            self.shifted = True
            self.old_minute = self.minute
            self.old_second = self.second
        self.flags &= ~(_INVALID | _DOUBTFUL)
        self.set_utc(minute, second)
        self.advance(ms)

    def set_flags(self, flags):
        """Set the status bits other than daylight saving: 1 invalid, 2 doubtful, 4, 8."""
        self.flags = flags & 0x0F
        self._refresh()

    def tick(self, now):
        if self.shifted:
            self.shifted = False
            if self.on_shift is not None:
                self.on_shift(self.old_minute, self.minute)

    def in_dst(self, minute):
        """Is daylight saving active at this minute (UTC)?"""
        if not self._usable:
            return False
        if not self._fixed:
            day = (minute - self.time_zone) // 1440
            if day < self._first_day or day >= self._next_day:
                self._load_year(calendar.year_of(day))
            if self._begin > self._end:
                return minute >= self._begin or minute < self._end
        return minute >= self._begin and minute < self._end

    def deviation_at(self, minute):
        """Deviation of the local time at this minute (UTC)."""
        if self.in_dst(minute):
            return self.time_zone - self.dst_deviation
        return self.time_zone

    def period_number(self, period):
        """Number of the period of this many seconds that runs now; a boundary is where it grows.

        Boundaries lie in local normal time if the period divides an hour: daylight saving does not
        matter there, and the hour that comes twice has its own. They lie in local time if it
        divides a day, else they are counted from 2000 in whole minutes. No allocation for periods
        that divide a day, on any board.
        """
        minute = self.minute - (self.deviation if 3600 % period else self.time_zone)
        if 86400 % period == 0:
            # By day: 32-bit boards allocate ints of 30 bits, and seconds since 2000 will be.
            number = (minute % 1440 * 60 + self.second) // period
            return minute // 1440 * (86400 // period) + number
        return (minute * 60 + self.second) // period

    def local_of(self, minute, second, out, pos):
        """Write the date-time of a time as local time (12 octets); returns the end."""
        dst = self.in_dst(minute)
        deviation = self.time_zone - self.dst_deviation if dst else self.time_zone
        minute -= deviation
        calendar.put_date(minute // 1440, out, pos)
        minute %= 1440
        out[pos + 5] = minute // 60
        out[pos + 6] = minute % 60
        out[pos + 7] = second
        out[pos + 8] = 0
        out[pos + 9] = deviation >> 8 & 0xFF
        out[pos + 10] = deviation & 0xFF
        out[pos + 11] = self.flags | _DST_ACTIVE if dst else self.flags
        return pos + 12

    def minute_of(self, buf, pos):
        """Minute (UTC) of a date-time, its second in last_second; -1 if it names no one time."""
        day = calendar.day_of(buf, pos)
        if day == _NEVER or calendar.check_time(buf, pos + 5) != 0:
            return -1
        if not calendar.deviation_ok(buf, pos + 9):
            return -1
        self.last_second = buf[pos + 7]
        return self._utc(buf, pos, day, buf[pos + 5] * 60 + buf[pos + 6], False)

    def bound_of(self, buf, pos, high):
        """First (or, if high, last) minute that fits a date-time with wildcards.

        For the ends of a range; the second is in last_second. never() if it is no date-time.
        """
        if calendar.check_date(buf, pos) < 0 or calendar.check_time(buf, pos + 5) < 0:
            return _NEVER
        if not calendar.deviation_ok(buf, pos + 9):
            return _NEVER
        year = get_u16(buf, pos)
        self.last_second = buf[pos + 7]
        if self.last_second > 59:
            self.last_second = 59 if high else 0
        if year == 0xFFFF or year > 2999:
            return _LAST if high or year != 0xFFFF else _FIRST
        if year < 2000:
            return _FIRST
        hour = buf[pos + 5]
        if hour > 23:
            hour = 23 if high else 0
        minute = buf[pos + 6]
        if minute > 59:
            minute = 59 if high else 0
        day = calendar.bound_of(buf, pos, high)
        return self._utc(buf, pos, day, hour * 60 + minute, high)

    def dst_day(self, end, year):
        """Day on which daylight saving begins (or ends) in a year, the day never() if not."""
        if not self._usable:
            return _NEVER
        attribute = _END if end else _BEGIN
        buf = slots.source(self.model, self.row, attribute)
        at = slots.offset(self.model, self.row, attribute) + 2
        return calendar.rule_day(buf, at, year)

    def _utc(self, buf, pos, day, minute, high):
        local = day * 1440 + minute
        deviation = calendar.deviation(buf, pos + 9)
        if deviation != _UNSPECIFIED:
            return local + deviation
        standard = local + self.time_zone
        summer = standard - self.dst_deviation
        if not self.in_dst(summer):
            # Also the hour that never comes: it is counted on from the time before it.
            return standard
        if self.in_dst(standard):
            return summer
        # The hour that comes twice.
        status = buf[pos + 11]
        if status != _STATUS_NOT_SPECIFIED:
            return summer if status & _DST_ACTIVE else standard
        return standard if high else summer

    def _refresh(self):
        self.local_of(self.minute, self.second, self.local, 0)
        self.local[8] = self.hundredths
        self.deviation = calendar.deviation(self.local, 9)

    # --- Settings ---------------------------------------------------------------------------

    def _load(self):
        model = self.model
        row = self.row
        self.time_zone = calendar.deviation(
            slots.source(model, row, _TIME_ZONE), slots.offset(model, row, _TIME_ZONE) + 1
        )
        n = slots.octet(model, row, _DEVIATION)
        self.dst_deviation = n - 0x100 if n & 0x80 else n
        begin = slots.source(model, row, _BEGIN)
        at = slots.offset(model, row, _BEGIN) + 2
        end = slots.source(model, row, _END)
        end_at = slots.offset(model, row, _END) + 2
        self._usable = False
        if slots.octet(model, row, _ENABLED) and self.dst_deviation:
            if calendar.check_rule(begin, at) == 0 and calendar.check_rule(end, end_at) == 0:
                self._fixed = calendar.rule_is_fixed(begin, at)
                self._usable = self._fixed == calendar.rule_is_fixed(end, end_at)
        self._first_day = self._next_day = 0
        if self._usable and self._fixed:
            self._load_year(2000)
        self._refresh()

    def _load_year(self, year):
        self._first_day = calendar.day_number(year, 1, 1)
        self._next_day = calendar.day_number(year + 1, 1, 1)
        self._begin = self._switch(_BEGIN, year, self.time_zone)
        self._end = self._switch(_END, year, self.time_zone - self.dst_deviation)

    def _switch(self, attribute, year, deviation):
        buf = slots.source(self.model, self.row, attribute)
        at = slots.offset(self.model, self.row, attribute) + 2
        own = calendar.deviation(buf, at + 9)
        if own != _UNSPECIFIED:
            deviation = own
        day = calendar.rule_day(buf, at, year)
        return day * 1440 + buf[at + 5] * 60 + buf[at + 6] + deviation

    # --- Attributes -------------------------------------------------------------------------

    def open(self, s):
        if s.attribute != _TIME and s.attribute != _STATUS:
            return _OBJECT_UNDEFINED
        s.n = 1
        return _SUCCESS

    def item(self, s, buf, pos):
        if s.attribute == _STATUS:
            buf[pos] = _UNSIGNED
            buf[pos + 1] = self.local[11]
            return pos + 2
        buf[pos] = _OCTET_STRING
        buf[pos + 1] = 12
        copy(buf, pos + 2, self.local, 0, 12)
        return pos + 14

    def set(self, row, attribute, buf, pos, end):
        if attribute != _TIME:
            return _OBJECT_UNDEFINED
        minute = self.minute_of(buf, pos + 2)
        if minute < 0:
            return _OTHER_REASON
        self.adjust(minute, self.last_second)
        return _SUCCESS

    def check(self, row, attribute, buf, pos, end):
        if attribute == _TIME_ZONE:
            n = calendar.deviation(buf, pos + 1)
            if n < -840 or n > 840:
                return _OTHER_REASON
        elif attribute == _DEVIATION:
            n = buf[pos + 1]
            if n > _MAX_DST_DEVIATION and n < 0x100 - _MAX_DST_DEVIATION:
                return _OTHER_REASON
        elif attribute == _BEGIN or attribute == _END:
            if calendar.check_rule(buf, pos + 2) and not calendar.is_unspecified(buf, pos + 2):
                return _OTHER_REASON
        return _SUCCESS

    def changed(self, row, attribute):
        if row == self.row:
            self._load()

    # --- Methods ----------------------------------------------------------------------------

    def invoke(self, s, method, buf, pos, end):
        if method == _ADJUST_TO_QUARTER:
            self._round(900)
        elif method == _ADJUST_TO_MEASURING_PERIOD:
            self._round(self._measuring_period())
        elif method == _ADJUST_TO_MINUTE:
            self._round(60)
        elif method == _ADJUST_TO_PRESET_TIME:
            if self._preset == _NEVER:
                return _OTHER_REASON
            if self._is_before(self._from, self._from_s) or not (
                self._is_before(self._to, self._to_s)
                or (self.minute == self._to and self.second == self._to_s)
            ):
                return _OTHER_REASON
            self.adjust(self._preset, self._preset_s)
        elif method == _PRESET_ADJUSTING_TIME:
            return self._set_preset(buf, pos, end)
        elif method == _SHIFT_TIME:
            if end - pos != 3 or buf[pos] != _LONG:
                return _TYPE_UNMATCHED
            n = calendar.deviation(buf, pos + 1)
            if n < -_MAX_SHIFT_S or n > _MAX_SHIFT_S:
                return _OTHER_REASON
            self._move(n)
        else:
            return _OBJECT_UNDEFINED
        return _SUCCESS

    def _set_preset(self, buf, pos, end):
        if end - pos != 44 or buf[pos] != 2 or buf[pos + 1] != 3:
            return _TYPE_UNMATCHED
        for i in range(pos + 2, end, 14):
            if buf[i] != _OCTET_STRING or buf[i + 1] != 12:
                return _TYPE_UNMATCHED
        preset = self.minute_of(buf, pos + 4)
        preset_s = self.last_second
        start = self.minute_of(buf, pos + 18)
        start_s = self.last_second
        stop = self.minute_of(buf, pos + 32)
        if preset < 0 or start < 0 or stop < 0:
            return _OTHER_REASON
        self._preset = preset
        self._preset_s = preset_s
        self._from = start
        self._from_s = start_s
        self._to = stop
        self._to_s = self.last_second
        return _SUCCESS

    def _is_before(self, minute, second):
        """Is now before that time?"""
        return self.minute < minute or (self.minute == minute and self.second < second)

    def _move(self, seconds):
        total = self.second + seconds
        self.adjust(self.minute + total // 60, total % 60)

    def _round(self, period):
        """To the nearest multiple of period seconds since local midnight; half goes up."""
        rest = ((self.minute - self.deviation) % 1440 * 60 + self.second) % period
        self._move(period - rest if rest * 2 >= period else -rest)

    def _measuring_period(self):
        """Capture period of the first load profile that divides a day, else 15 minutes."""
        model = self.model
        for row in range(model.n_rows()):
            if model.class_id(row) == 7:
                n = slots.double_long_unsigned(model, row, 4)
                if n and n <= 86400 and 86400 % n == 0:
                    return n
        return 900
