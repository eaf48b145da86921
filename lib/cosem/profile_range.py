# SPDX-License-Identifier: MIT
"""Selective access to the buffer of Profile generic by range (IEC 62056-6-2, 4.3.6, selector 1).

The range_descriptor: restricting_object, from_value, to_value, selected_values. With the clock as
restricting object and rows whose times ascend, the ends are found by binary search. Otherwise
open() counts the rows that fit, and seek() looks for them one by one. What is asked is read from
the request again whenever it is needed: any number of answers may be under way.

A time is compared as a point in time, whatever deviation it is given in. Fields left open at the
ends of the range widen it: a from_value without seconds begins at :00, a to_value ends at :59.
"""

from cosem.profile_selection import column, is_definition
from cosem.values import compare, is_string, number_len
from dlms.axdr import get_u16, length, length_size, skip
from micropython import const

_SUCCESS = const(0)
_TYPE_UNMATCHED = const(12)
_SCOPE_VIOLATED = const(13)

_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_OCTET_STRING = const(0x09)
_FLOAT32 = const(0x17)
_FLOAT64 = const(0x18)
_DATE_TIME = const(0x19)

_CLOCK = const(8)
_EXTENDED_REGISTER = const(4)
_DEMAND_REGISTER = const(5)

_DEFINITION_LEN = const(18)
_NEVER = const(-0x20000000)
_LIFO = const(2)

_BELOW = const(-1)
_WITHIN = const(0)
_ABOVE = const(1)
_OUTSIDE = const(2)

# s.b when the rows that fit have come to an end before s.n.
_NONE_LEFT = const(-1)


class Range:
    """The range that is being looked at; set again by parse() for every item that needs it."""

    def __init__(self, handler):
        self.handler = handler
        self.buf = handler.model.rom
        self.column = 0
        self.is_time = False
        self.low_pos = self.high_pos = self.selected_pos = 0
        self.low = self.low_second = self.high = self.high_second = 0

    def parse(self, p, s):
        """Read the range_descriptor of s; data_access_result."""
        h = self.handler
        self.buf = buf = s.buf
        pos = s.sel_pos
        end = s.sel_end
        if end - pos < 24 or buf[pos] != _STRUCTURE or buf[pos + 1] != 4:
            return _TYPE_UNMATCHED
        if not is_definition(buf, pos + 2, end):
            return _TYPE_UNMATCHED
        self.low_pos = pos + 2 + _DEFINITION_LEN
        self.high_pos = skip(buf, self.low_pos, end)
        if self.high_pos < 0:
            return _TYPE_UNMATCHED
        self.selected_pos = skip(buf, self.high_pos, end)
        if self.selected_pos < 0 or skip(buf, self.selected_pos, end) != end:
            return _TYPE_UNMATCHED
        self.column = h.find_column(p, buf, pos + 2)
        if self.column < 0:
            return _SCOPE_VIOLATED
        class_id = get_u16(buf, pos + 5)
        attribute = buf[pos + 16]
        self.is_time = (
            (class_id == _CLOCK and attribute == 2)
            or (class_id == _EXTENDED_REGISTER and attribute == 5)
            or (class_id == _DEMAND_REGISTER and (attribute == 6 or attribute == 7))
        )
        if not self.is_time:
            if _is_simple(buf[self.low_pos]) and _is_simple(buf[self.high_pos]):
                return _SUCCESS
            return _TYPE_UNMATCHED
        clock = h.clock
        at = _date_time(buf, self.low_pos)
        if at < 0:
            return _TYPE_UNMATCHED
        self.low = clock.bound_of(buf, at, False)
        self.low_second = clock.last_second
        at = _date_time(buf, self.high_pos)
        if at < 0:
            return _TYPE_UNMATCHED
        self.high = clock.bound_of(buf, at, True)
        self.high_second = clock.last_second
        if self.low == _NEVER or self.high == _NEVER:
            return _TYPE_UNMATCHED
        return _SUCCESS

    def open(self, p, s):
        dar = self.parse(p, s)
        if dar:
            return dar
        dar = self.select(p, s, self.buf, self.selected_pos, s.sel_end)
        if dar:
            return dar
        h = self.handler
        n = h.visible(p)
        if self.is_time and self.column == p.clock_column and h.is_ordered(p):
            total = p.ring.n
            first = self._search(p, total, _BELOW)
            after = self._search(p, total, _WITHIN)
            if first < total - n:
                first = total - n
            if after <= first:
                return h.open_run(p, s, 0, 0)
            if p.sort == _LIFO:
                return h.open_run(p, s, total - after, after - first)
            return h.open_run(p, s, first - total + n, after - first)
        count = 0
        for v in range(n):
            if self._where(p, h.index(p, v)) == _WITHIN:
                count += 1
        s.a = s.b = 0
        s.n = count + 1
        return _SUCCESS

    def seek(self, p, s):
        """Row of the view that is number s.k (1..) of those that fit, -1 if there is none.

        s.a is the number found last and s.b its place: the next is looked for from there.
        """
        h = self.handler
        if self.parse(p, s):
            return -1
        v = 0
        found = 0
        if s.a and s.k >= s.a and s.b == _NONE_LEFT:
            return -1
        if s.a:
            v = h.view(p, s.b)
            if s.k == s.a:
                return v
            if s.k == s.a + 1:
                found = s.a
                v = v + 1 if v >= 0 else 0
            else:
                v = 0
        n = h.visible(p)
        while v < n:
            if self._where(p, h.index(p, v)) == _WITHIN:
                found += 1
                if found == s.k:
                    s.a = found
                    s.b = h.place(p, v)
                    return v
            v += 1
        # Fewer than open() has counted: rows were overwritten.
        s.a = s.k
        s.b = _NONE_LEFT
        return -1

    def select(self, p, s, buf, pos, end):
        """Read selected_values at buf[pos:end] into the set of columns s.c, s.d; all if empty."""
        if buf[pos] != _ARRAY:
            return _TYPE_UNMATCHED
        n = length(buf, pos + 1, end)
        pos += 1 + length_size(buf, pos + 1)
        if n == 0:
            return _SUCCESS
        low = high = 0
        while n:
            if not is_definition(buf, pos, end):
                return _TYPE_UNMATCHED
            j = self.handler.find_column(p, buf, pos)
            if j < 0:
                return _SCOPE_VIOLATED
            if j < 30:
                low |= 1 << j
            else:
                high |= 1 << (j - 30)
            pos += _DEFINITION_LEN
            n -= 1
        s.c = low
        s.d = high
        return _SUCCESS

    def _where(self, p, k):
        """Where row k of the ring lies: below, within, above, or (damaged, no value) outside."""
        h = self.handler
        if not p.ring.read(k, h.row, 0):
            return _OUTSIDE
        if self.is_time:
            minute = h.time_in(p, self.column)
            if minute < 0:
                return _OUTSIDE
            second = h.clock.last_second
            if minute < self.low or (minute == self.low and second < self.low_second):
                return _BELOW
            if minute > self.high or (minute == self.high and second > self.high_second):
                return _ABOVE
            return _WITHIN
        at = column(h.row, 0, self.column, p.ring.row_len)
        if at < 0:
            return _OUTSIDE
        d = compare(h.row, at, self.buf, self.low_pos, False)
        if d < 0 or d > 1:
            return d
        d = compare(h.row, at, self.buf, self.high_pos, False)
        return d if d > 0 else _WITHIN

    def _search(self, p, n, last):
        """First of the n rows of the ring that lies after `last` (below or within)."""
        low = 0
        high = n
        while low < high:
            middle = low + high >> 1
            k = middle
            where = _OUTSIDE
            while k < high:
                where = self._where(p, k)
                if where != _OUTSIDE:
                    break
                # A damaged row has no time: the next one tells.
                k += 1
            if where <= last:
                low = k + 1
            else:
                high = middle
        return low


def _is_simple(tag):
    return number_len(tag) or is_string(tag) or tag == _FLOAT32 or tag == _FLOAT64


def _date_time(buf, pos):
    """Position of the twelve octets of the date-time at pos, or -1."""
    if buf[pos] == _OCTET_STRING and buf[pos + 1] == 12:
        return pos + 2
    if buf[pos] == _DATE_TIME:
        return pos + 1
    return -1
