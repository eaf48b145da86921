# SPDX-License-Identifier: MIT
"""Schedule (class_id 10, version 0; IEC 62056-6-2, 4.5.3).

An entry executes its script at each switch_time (FF in hour or minute is every one, FF in the
second is 0) of the days from begin_date to end_date whose weekday exec_weekdays has; on a special
day (special_days.py) exec_specdays decides, whose bit n, from 0, stands for day_id n (uncertain:
public texts do not say which bit is the first). What is open in begin_date and end_date is as on
the day in question, and a range that ends before it begins goes over the end of the year.

Entries that are due together are executed by their index, a script that several of them name
once. What was missed, see timetable.py, is made up for in its order if it is not older than
validity_window, in minutes; FFFF: however old, but not more than 366 days (project-defined); an
entry that was missed several times is executed once, as of the last time (project-defined).

The ranges of enable_disable and delete: nothing if the first index is above the last, or both are
above 9999. insert replaces the entry of that index. Refused with other-reason are an index of 0
or above 9999 (uncertain) or twice, times and dates that cannot be, more than 127 entries.
Ticks may allocate, requests do not.
"""

from cosem import calendar, elements, script_table, slots, special_days, timetable, windows
from dlms.axdr import get_u16, length, length_size, skip
from dlms.prim import compare
from micropython import const

_ENTRIES = const(2)

_ENABLE_DISABLE = const(1)
_INSERT = const(2)
_DELETE = const(3)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

_MAX_INDEX = const(9999)
_ALWAYS = const(0xFFFF)
_LATE = const(1)
_DAY = const(1440)
_DAY_S = const(86400)
_MAX_DAYS = const(366)

# An entry: 02 0A 12 index 03 enable 09 06 script_logical_name 12 script_selector 09 04
# switch_time 12 validity_window 04 07 exec_weekdays 04 n exec_specdays 09 05 begin 09 05 end.
_ENABLE_AT = const(6)
_SCRIPT_AT = const(7)
_SCRIPT_LEN = const(11)
_TIME_AT = const(20)
_WINDOW_AT = const(25)
_WEEKDAYS_AT = const(29)
_SPECIAL_AT = const(31)
_BEGIN = const(-12)  # from the end of the entry
_END = const(-5)


class Handler(timetable.Timetable):
    def __init__(self, model):
        timetable.Timetable.__init__(self, model)
        self._date = bytearray(5)
        self._special = -1  # day_id of that day

    # --- Time -------------------------------------------------------------------------------

    def look(self, row, table, how, since, since_s, now, now_s):
        model = self.model
        first = since // _DAY
        since_s += since % _DAY * 60
        day = now // _DAY
        now_s += now % _DAY * 60
        again = self._next(row, table, day, now_s)
        for _second, _index, at in self._missed(row, table, how, first, since_s, day, now_s):
            buf = slots.source(model, row, _ENTRIES)
            self.execute(row, script_table, buf, at + _SCRIPT_AT - 2)
            model.edited(row, 0)
            if self.stale[self.rows.index(row)]:
                break  # the script has set this object
        return again

    def _missed(self, row, table, how, first, since_s, day, now_s):
        """What lies after a second of day `first`, up to one of `day`: (second, index, position)
        of entries, in their order."""
        model = self.model
        buf = slots.source(model, row, _ENTRIES)
        start = slots.offset(model, row, _ENTRIES)
        end = start + model.value_len(row, _ENTRIES)
        n = buf[start + 1]
        found = []
        seen = bytearray(n)
        left = n
        limit = now_s
        for d in range(day, max(first, day - _MAX_DAYS) - 1, -1):
            self._begin_day(table, d)
            at = start + 2
            for k in range(n):
                after = skip(buf, at, end)
                if not seen[k] and self._is_valid(buf, at, after):
                    s = _time_before(buf, at + _TIME_AT, limit)
                    if s >= 0 and (d > first or s > since_s):
                        seen[k] = 1
                        left -= 1
                        late = ((day - d) * _DAY_S + now_s - s) // 60
                        window = get_u16(buf, at + _WINDOW_AT)
                        if how != _LATE or window == _ALWAYS or late <= window:
                            found.append(((d - day) * _DAY_S + s, elements.index_of(buf, at), at))
                at = after
            limit = _DAY_S - 1
            if not left:
                break
        found.sort()
        return [one for k, one in enumerate(found) if not _is_there(buf, found[:k], one)]

    def _next(self, row, table, day, second):
        """The next second of this day at which an entry is due; 86400: there is none."""
        model = self.model
        buf = slots.source(model, row, _ENTRIES)
        at = slots.offset(model, row, _ENTRIES)
        end = at + model.value_len(row, _ENTRIES)
        self._begin_day(table, day)
        due = _DAY_S
        at += 2
        while at < end:
            after = skip(buf, at, end)
            if self._is_valid(buf, at, after):
                s = _time_after(buf, at + _TIME_AT, second)
                if 0 <= s < due:
                    due = s
            at = after
        return due

    def _begin_day(self, table, day):
        calendar.put_date(day, self._date, 0)
        self._special = special_days.day_id(self.model, table, self._date, self.clock)

    def _is_valid(self, buf, at, end):
        """Does the entry buf[at:end] count on the day of self._date?"""
        if not buf[at + _ENABLE_AT]:
            return False
        date = self._date
        k = self._special
        if k < 0:
            bits = at + _WEEKDAYS_AT
            k = date[4] - 1
        else:
            bits = at + _SPECIAL_AT
            if k >= length(buf, bits, end):
                return False
            bits += length_size(buf, bits)
        if not buf[bits + (k >> 3)] << (k & 7) & 0x80:
            return False
        return is_day_in(buf, end + _BEGIN, end + _END, date, self.clock)

    # --- Attributes and methods -------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        if not elements.are_different(buf, pos, end):
            return _OTHER_REASON
        at = pos + 2
        while at < end:
            after = skip(buf, at, end)
            if not _is_good(buf, at, after):
                return _OTHER_REASON
            at = after
        return _SUCCESS

    def invoke(self, s, method, buf, pos, end):
        row = s.row
        if method == _INSERT:
            result = self._insert(row, buf, pos, end)
        elif method == _ENABLE_DISABLE or method == _DELETE:
            at = self.model.own(row, _ENTRIES)
            result = _SUCCESS if at >= 0 else -1 - at
            if not result and method == _DELETE:
                self._each(row, buf, pos + 2, -1)
            elif not result:
                self._each(row, buf, pos + 2, 0)
                self._each(row, buf, pos + 8, 1)
        else:
            return _OBJECT_UNDEFINED
        if not result:
            self.renew(row)
        return result

    def _insert(self, row, buf, pos, end):
        if not _is_good(buf, pos, end):
            return _OTHER_REASON
        model = self.model
        old = self._find(row, buf, pos)
        entries = slots.source(model, row, _ENTRIES)
        gone = 0 if old < 0 else skip(entries, old, len(entries)) - old
        result = elements.may_append(model, row, _ENTRIES, end - pos, old >= 0, gone)
        if result:
            return result
        if old >= 0:
            elements.remove(model, row, _ENTRIES, self._find(row, buf, pos))
        elements.append(model, row, _ENTRIES, buf, pos, end)
        return _SUCCESS

    def _find(self, row, buf, pos):
        """Position of the entry that has the index of the one at buf[pos:], or -1."""
        model = self.model
        entries = slots.source(model, row, _ENTRIES)
        at = slots.offset(model, row, _ENTRIES)
        end = at + model.value_len(row, _ENTRIES)
        return elements.find(entries, at + 2, entries[at + 1], end, elements.index_of(buf, pos))

    def _each(self, row, buf, pos, what):
        """Disable (0), enable (1) or delete (-1) the entries of a range: 12 first 12 last."""
        first = get_u16(buf, pos + 1)
        last = get_u16(buf, pos + 4)
        if first > _MAX_INDEX and last > _MAX_INDEX:
            return
        model = self.model
        image = model.image
        start = model.slot(row, _ENTRIES)
        at = start + 2
        n = image[start + 1]
        while n:
            n -= 1
            if first <= elements.index_of(image, at) <= last:
                if what < 0:
                    elements.remove(model, row, _ENTRIES, at)
                    continue
                image[at + _ENABLE_AT] = what
            at = skip(image, at, start + model.value_len(row, _ENTRIES))


# --- Octets -----------------------------------------------------------------------------------


def _is_good(buf, at, end):
    """May this entry, which is of the right type, be in a schedule?"""
    index = elements.index_of(buf, at)
    if index == 0 or index > _MAX_INDEX or calendar.check_time(buf, at + _TIME_AT) < 0:
        return False
    return (
        calendar.check_date(buf, end + _BEGIN) >= 0 and calendar.check_date(buf, end + _END) >= 0
    )


def _is_there(buf, found, one):
    """Is the script of this entry among those that are due with it, and before it?"""
    for other in found:
        if other[0] == one[0]:
            at = one[2] + _SCRIPT_AT
            if compare(buf, other[2] + _SCRIPT_AT, buf, at, _SCRIPT_LEN) == 0:
                return True
    return False


def is_day_in(buf, begin, end, date, clock):
    """Is the day date[:5] one of those from the date buf[begin:] to buf[end:]?"""
    day = calendar.day_of(date, 0)
    begins = _is_open(buf, begin)
    ends = _is_open(buf, end)
    first = day if begins else windows.day_of(buf, begin, date, clock)
    last = day if ends else windows.day_of(buf, end, date, clock)
    if first <= day <= last:
        return True
    if begins or ends or first <= last or windows.is_fixed(buf, begin, end):
        return False
    return day >= first or day <= last


def _is_open(buf, pos):
    """Is nothing of this date specified?"""
    for i in range(pos, pos + 5):
        if buf[i] != 0xFF:
            return False
    return True


# A switch_time is `count` seconds of a day, `step` apart, from `base` on.


def _base(buf, pos):
    s = buf[pos + 2] if buf[pos + 2] < 60 else 0
    if buf[pos + 1] < 60:
        s += buf[pos + 1] * 60
    return s + buf[pos] * 3600 if buf[pos] < 24 else s


def _step(buf, pos):
    return 3600 if buf[pos + 1] < 60 else 60


def _count(buf, pos):
    n = 1 if buf[pos] < 24 else 24
    return n if buf[pos + 1] < 60 else n * 60


def _time_before(buf, pos, limit):
    """The last second of a day, up to limit, that fits the switch_time at buf[pos:]; or -1."""
    base = _base(buf, pos)
    if base > limit:
        return -1
    step = _step(buf, pos)
    return base + min((limit - base) // step, _count(buf, pos) - 1) * step


def _time_after(buf, pos, second):
    """The first second of a day after this one that fits, or -1."""
    base = _base(buf, pos)
    if base > second:
        return base
    step = _step(buf, pos)
    k = (second - base) // step + 1
    return base + k * step if k < _count(buf, pos) else -1
