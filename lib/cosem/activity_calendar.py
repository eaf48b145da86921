# SPDX-License-Identifier: MIT
"""Activity calendar (class_id 20, version 0; IEC 62056-6-2, 4.5.5).

The season in force is the one whose season_start, in local time, was the last; its week profile
names the day profile of each weekday, and a special day (special_days.py) names another. Of a day
profile the action with the latest start_time until now is in force, before the first one that of
the day before, up to eight days back. Whenever another one comes to be in force its script is
executed, and those of all actions with that start_time, in their order; see timetable.py for what
happens when the clock is set. After power failure the last action is executed if it was missed.

A season_start needs month and day; open are the year (every year), hour and minute (0), a day may
be the last, a month that of daylight saving, a weekday beside a day is the first one from it on.
Names and day_ids that lead nowhere are passed over: no action, or the day of an ordinary week.

activate_passive_calendar copies the four passive attributes, if all of them have room. At
activate_passive_calendar_time this happens by itself, once for each time that is set; at once if
the time has gone by (project-defined). Nothing specified in it: never; else all of it must be.
When attributes of the active calendar, or special days, have changed, the action that is in force
then is executed (project-defined): the tariff is that of the new calendar.

Refused with other-reason: start_times that are not complete, dates that cannot be, arrays of more
than 127 elements, names of more than 127 octets. Ticks may allocate, requests do not.
"""

from cosem import calendar, script_table, slots, special_days, timetable
from dlms.axdr import skip
from dlms.prim import compare, copy
from micropython import const

_CALENDAR_NAME = const(2)
_SEASON_PROFILE = const(3)
_WEEK_PROFILE_TABLE = const(4)
_DAY_PROFILE_TABLE = const(5)
_PASSIVE = const(4)  # from an attribute of the active calendar to the passive one
_ACTIVATE_TIME = const(10)

_ACTIVATE = const(1)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

_ANEW = const(2)
_DAY = const(1440)
_DAY_S = const(86400)
_MAX_DAYS = const(8)
_CALENDAR_ACTIVATED = const(9)  # event, see firmware/meter/events.py

# Hidden state, behind the five octets of timetable.py: activate_passive_calendar_time is done.
_DONE_AT = const(5)

# A season: 02 03 09 n name 09 0C season_start 09 n week_name. A week: 02 08 09 n name, seven
# 11 day_id. A day: 02 02 11 day_id 01 n actions. An action: 02 03 09 04 start_time 09 06
# script_logical_name 12 script_selector.
_NAME_AT = const(2)
_DAY_ID_AT = const(3)
_ACTIONS_AT = const(4)
_ACTION_LEN = const(19)
_TIME_AT = const(4)
_SCRIPT_AT = const(8)


class Handler(timetable.Timetable):
    def __init__(self, model):
        timetable.Timetable.__init__(self, model)
        self._date = bytearray(5)

    # --- Time -------------------------------------------------------------------------------

    def look(self, row, table, how, since, since_s, now, now_s):
        if self._activate_in_time(row):
            how = _ANEW
        day = now // _DAY
        now_s += now % _DAY * 60
        at = self._day_profile(row, table, day, now_s)
        again = self._next(row, at, day, now_s)
        for d in range(day, day - _MAX_DAYS, -1):
            after = -1
            if how != _ANEW:
                if d < since // _DAY:
                    break
                if d == since // _DAY:
                    after = since % _DAY * 60 + since_s
            if at >= 0 and self._execute_last(row, at, now_s, after):
                break
            now_s = _DAY_S - 1
            at = self._day_profile(row, table, d - 1, now_s)
        return again

    def _execute_last(self, row, at, limit, after):
        """Execute the last action of the day profile at `at` up to second `limit`, if it lies
        behind second `after`; False: there is none."""
        model = self.model
        buf = slots.source(model, row, _DAY_PROFILE_TABLE)
        n = buf[at + _ACTIONS_AT + 1]
        first = at + _ACTIONS_AT + 2
        last = -1
        for at in range(first, first + n * _ACTION_LEN, _ACTION_LEN):
            s = _second(buf, at + _TIME_AT)
            if last < s <= limit:
                last = s
        if last < 0:
            return False
        if last <= after:
            return True
        for at in range(first, first + n * _ACTION_LEN, _ACTION_LEN):
            if _second(buf, at + _TIME_AT) == last:
                self.execute(row, script_table, buf, at + _SCRIPT_AT - 2)
                if self.stale[self.rows.index(row)]:
                    break  # the script has set this object
        model.edited(row, 0)
        return True

    def _next(self, row, at, day, second):
        """The next second of this day, whose day profile is at `at`, at which something can
        begin; 86400: nothing does."""
        model = self.model
        due = _DAY_S
        if at >= 0:
            buf = slots.source(model, row, _DAY_PROFILE_TABLE)
            n = buf[at + _ACTIONS_AT + 1]
            at += _ACTIONS_AT + 2 + _TIME_AT
            for k in range(n):
                s = _second(buf, at + k * _ACTION_LEN)
                if second < s < due:
                    due = s
        buf = slots.source(model, row, _SEASON_PROFILE)
        at = slots.offset(model, row, _SEASON_PROFILE)
        end = at + model.value_len(row, _SEASON_PROFILE)
        year = calendar.year_of(day)
        at += 2
        while at < end:
            start = _after(buf, at + _NAME_AT) + 2
            if self._season_day(buf, start, year) == day:
                s = _second(buf, start + 5)
                if second < s < due:
                    due = s
            at = skip(buf, at, end)
        return due

    # --- What is in force -------------------------------------------------------------------

    def _day_profile(self, row, table, day, second):
        """Position of the day profile in force at this second of a day, or -1."""
        date = self._date
        calendar.put_date(day, date, 0)
        day_id = special_days.day_id(self.model, table, date, self.clock)
        if day_id >= 0:
            at = self._find_day(row, day_id)
            if at >= 0:
                return at
        season = self._season(row, day, second)
        if season < 0:
            return -1
        model = self.model
        names = slots.source(model, row, _SEASON_PROFILE)
        name = _after(names, season + _NAME_AT) + 14
        buf = slots.source(model, row, _WEEK_PROFILE_TABLE)
        at = slots.offset(model, row, _WEEK_PROFILE_TABLE)
        end = at + model.value_len(row, _WEEK_PROFILE_TABLE)
        at += 2
        while at < end:
            if compare(buf, at + _NAME_AT + 1, names, name + 1, buf[at + _NAME_AT + 1] + 1) == 0:
                at = _after(buf, at + _NAME_AT) + 2 * (calendar.weekday(day) - 1)
                return self._find_day(row, buf[at + 1])
            at = skip(buf, at, end)
        return -1

    def _season(self, row, day, second):
        """Position of the season in force at this second of a day, or -1."""
        model = self.model
        buf = slots.source(model, row, _SEASON_PROFILE)
        at = slots.offset(model, row, _SEASON_PROFILE)
        end = at + model.value_len(row, _SEASON_PROFILE)
        year = calendar.year_of(day)
        found = -1
        latest = latest_s = calendar.never()
        at += 2
        while at < end:
            start = _after(buf, at + _NAME_AT) + 2
            s = _second(buf, start + 5)
            d = self._season_day(buf, start, year)
            if d > day or (d == day and s > second):
                d = self._season_day(buf, start, year - 1)
            if d <= day and (d > latest or (d == latest and s > latest_s)):
                found = at
                latest = d
                latest_s = s
            at = skip(buf, at, end)
        return found

    def _season_day(self, buf, pos, year):
        """The day on which a season begins in this year, or never()."""
        if not _is_start(buf, pos):
            return calendar.never()
        if buf[pos + 2] > 12:
            return self.clock.dst_day(buf[pos + 2] == 0xFD, year)
        return calendar.rule_day(buf, pos, year)

    def _find_day(self, row, day_id):
        model = self.model
        buf = slots.source(model, row, _DAY_PROFILE_TABLE)
        at = slots.offset(model, row, _DAY_PROFILE_TABLE)
        end = at + model.value_len(row, _DAY_PROFILE_TABLE)
        at += 2
        while at < end:
            if buf[at + _DAY_ID_AT] == day_id:
                return at
            at = skip(buf, at, end)
        return -1

    # --- Passive to active --------------------------------------------------------------------

    def _activate_in_time(self, row):
        """Activate the passive calendar if its time has come, else see to it that it does."""
        model = self.model
        done = model.state(row, 0) + _DONE_AT
        if model.image[done] or model.is_off(row):
            return False
        buf = slots.source(model, row, _ACTIVATE_TIME)
        clock = self.clock
        minute = clock.minute_of(buf, slots.offset(model, row, _ACTIVATE_TIME) + 2)
        if minute < 0:
            return False
        second = clock.last_second
        if clock.minute < minute or (clock.minute == minute and clock.second < second):
            self.due_at(minute, second)
            return False
        model.image[done] = 1
        done = self._activate(row) == _SUCCESS
        model.edited(row, 0)
        return done

    def _activate(self, row):
        model = self.model
        image = model.image
        for k in range(_CALENDAR_NAME, _DAY_PROFILE_TABLE + 1):
            if model.value_len(row, k + _PASSIVE) > model.capacity(row, k):
                return _OTHER_REASON
            at = model.own(row, k)
            if at < 0:
                return -1 - at
        for k in range(_CALENDAR_NAME, _DAY_PROFILE_TABLE + 1):
            at = model.slot(row, k)
            n = model.value_len(row, k + _PASSIVE)
            buf = slots.source(model, row, k + _PASSIVE)
            copy(image, at, buf, slots.offset(model, row, k + _PASSIVE), n)
            slots.set_len(image, at, n)
        if model.event is not None:
            model.event(_CALENDAR_ACTIVATED)
        return _SUCCESS

    def invoke(self, s, method, buf, pos, end):
        if method != _ACTIVATE:
            return _OBJECT_UNDEFINED
        result = self._activate(s.row)
        if not result:
            self.renew(s.row)
        return result

    # --- Attributes ---------------------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        if attribute == _ACTIVATE_TIME:
            if calendar.is_unspecified(buf, pos + 2) or self._is_time(buf, pos + 2):
                return _SUCCESS
            return _OTHER_REASON
        if buf[pos + 1] > 127:
            return _OTHER_REASON
        if attribute > _DAY_PROFILE_TABLE:
            attribute -= _PASSIVE
        at = pos + 2
        while at < end and attribute != _CALENDAR_NAME:
            if not _is_good(attribute, buf, at):
                return _OTHER_REASON
            at = skip(buf, at, end)
        return _SUCCESS

    def _is_time(self, buf, pos):
        return self.clock is not None and self.clock.minute_of(buf, pos) >= 0

    def changed(self, row, attribute):
        if attribute == _ACTIVATE_TIME:
            model = self.model
            model.image[model.state(row, 0) + _DONE_AT] = 0
            self.asked = True
        else:
            self.renew(row)


# --- Octets -----------------------------------------------------------------------------------


def _after(buf, at):
    """Position after an octet-string of up to 127 octets."""
    return at + 2 + buf[at + 1]


def _second(buf, pos):
    """Second of the day of a time, where what is open is 0."""
    s = buf[pos + 2] if buf[pos + 2] < 60 else 0
    if buf[pos + 1] < 60:
        s += buf[pos + 1] * 60
    return s + buf[pos] * 3600 if buf[pos] < 24 else s


def _is_start(buf, pos):
    """Is this date-time a season_start?"""
    year = buf[pos] << 8 | buf[pos + 1]
    if year != 0xFFFF and year < 2000:
        return False
    if calendar.check_date(buf, pos) < 0 or calendar.check_time(buf, pos + 5) < 0:
        return False
    if buf[pos + 2] > 12:
        return buf[pos + 2] != 0xFF
    return buf[pos + 3] != 0xFF


def _is_good(attribute, buf, at):
    """May this element, which is of the right type, be in an array of the calendar?"""
    if attribute == _DAY_PROFILE_TABLE:
        n = buf[at + _ACTIONS_AT + 1]
        if n > 127:
            return False
        at += _ACTIONS_AT + 2 + _TIME_AT
        for k in range(n):
            if calendar.check_time(buf, at + k * _ACTION_LEN) != 0:
                return False
        return True
    at += _NAME_AT
    if buf[at + 1] > 127:
        return False
    if attribute == _WEEK_PROFILE_TABLE:
        return True
    at = _after(buf, at)
    return _is_start(buf, at + 2) and buf[at + 15] <= 127
