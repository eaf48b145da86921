# SPDX-License-Identifier: MIT
"""Special days table (class_id 11, version 0; IEC 62056-6-2, 4.5.4).

On a day that fits specialday_date, which may have wildcards (see calendar.py), Schedule and
Activity calendar of the same logical device act by day_id instead of the weekday. If a day fits
several entries, the one with the lowest index counts (project-defined). They take the table whose
logical name has the B and E of theirs, else the first of the device (project-defined).

insert replaces entries that have the index or the date of the new one. Refused with other-reason
are dates that cannot be, an index twice, more than 127 entries, and to delete what is not there.
Nothing is allocated.
"""

from cosem import calendar, elements, handler, slots
from dlms.axdr import get_u16
from dlms.prim import compare
from micropython import const

_ENTRIES = const(2)

_INSERT = const(1)
_DELETE = const(2)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

_CLASS_ID = const(11)
# An entry: 02 03 12 index 09 05 specialday_date 11 day_id.
_ENTRY_LEN = const(14)
_DATE_AT = const(7)
_DAY_ID_AT = const(13)

# Of a row of the object table.
_ROW_SHIFT = const(4)
_B_AT = const(3)
_E_AT = const(6)


class Handler(handler.Handler):
    def sleeps(self):
        return True

    def check(self, row, attribute, buf, pos, end):
        if not elements.are_different(buf, pos, end):
            return _OTHER_REASON
        for at in range(pos + 2, end, _ENTRY_LEN):
            if calendar.check_date(buf, at + _DATE_AT) < 0:
                return _OTHER_REASON
        return _SUCCESS

    def changed(self, row, attribute):
        for name in _USERS:
            self.model.renew(name)

    def invoke(self, s, method, buf, pos, end):
        row = s.row
        if method == _INSERT:
            result = self._insert(row, buf, pos, end)
        elif method == _DELETE:
            result = self._delete(row, get_u16(buf, pos + 1))
        else:
            return _OBJECT_UNDEFINED
        if not result:
            self.changed(row, _ENTRIES)
        return result

    def _insert(self, row, buf, pos, end):
        if calendar.check_date(buf, pos + _DATE_AT) < 0:
            return _OTHER_REASON
        model = self.model
        n = 0
        at = self._like(row, buf, pos, 0)
        while at:
            n += 1
            at = self._like(row, buf, pos, at + _ENTRY_LEN)
        gone = n * _ENTRY_LEN
        result = elements.may_append(model, row, _ENTRIES, _ENTRY_LEN, n, gone)
        if result:
            return result
        while n:
            elements.remove(model, row, _ENTRIES, self._like(row, buf, pos, 0))
            n -= 1
        elements.append(model, row, _ENTRIES, buf, pos, end)
        return _SUCCESS

    def _like(self, row, buf, pos, at):
        """Position of the first entry from `at` on that buf[pos:] replaces; 0: there is none."""
        model = self.model
        entries = slots.source(model, row, _ENTRIES)
        first = slots.offset(model, row, _ENTRIES)
        end = first + model.value_len(row, _ENTRIES)
        if not at:
            at = first + 2
        while at < end:
            if elements.index_of(entries, at) == elements.index_of(buf, pos):
                return at
            if compare(entries, at + _DATE_AT, buf, pos + _DATE_AT, 5) == 0:
                return at
            at += _ENTRY_LEN
        return 0

    def _delete(self, row, index):
        model = self.model
        at = model.own(row, _ENTRIES)
        if at < 0:
            return -1 - at
        image = model.image
        end = at + model.value_len(row, _ENTRIES)
        at = elements.find(image, at + 2, image[at + 1], end, index)
        if at < 0:
            return _OTHER_REASON
        elements.remove(model, row, _ENTRIES, at)
        return _SUCCESS


# The modules that ask for day_id().
_USERS = ("schedule", "activity_calendar")


def table_of(model, user):
    """Row of the table that an object acts by, or -1."""
    table = -1
    t = model.objects
    u = user << _ROW_SHIFT
    d = model.devices[slots.device_of(model, user)]
    for row in range(d[1], d[1] + d[2]):
        if model.class_id(row) == _CLASS_ID:
            at = row << _ROW_SHIFT
            if t[at + _B_AT] == t[u + _B_AT] and t[at + _E_AT] == t[u + _E_AT]:
                return row
            if table < 0:
                table = row
    return table


def day_id(model, table, date, clock):
    """day_id of the complete date date[:5] in the table at this row; -1: it is no special day."""
    if table < 0:
        return -1
    buf = slots.source(model, table, _ENTRIES)
    first = slots.offset(model, table, _ENTRIES)
    end = first + model.value_len(table, _ENTRIES)
    if end - first == 2:
        return -1
    year = date[0] << 8 | date[1]
    begin = clock.dst_day(False, year)
    stop = clock.dst_day(True, year)
    found = -1
    lowest = 0x10000
    for at in range(first + 2, end, _ENTRY_LEN):
        index = elements.index_of(buf, at)
        if index < lowest and calendar.matches(buf, at + _DATE_AT, date, 0, begin, stop):
            lowest = index
            found = buf[at + _DAY_ID_AT]
    return found
