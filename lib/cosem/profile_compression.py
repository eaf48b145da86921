# SPDX-License-Identifier: MIT
"""The buffer of a Profile generic in fewer octets (IEC 62056-6-2, 4.3.6; IEC 62056-5-3), where
the definition turns it on (compression). Rows in storage are as they are without it.

null-data. What is octet for octet what it was in the row before of the same answer is null-data.
The first clock column is null-data if it is the time of the row before and capture_period, with
the same deviation and status; in a profile without a period, if it is the same time.
delta. A number is the difference to the row before, of a delta type, where that is shorter: of an
unsigned one upwards, of a signed one downwards. Only for clients that have negotiated
delta-value-encoding.

The first row of an answer is whole, and so is a column of which the row before has no value. Rows
are whole, too, where they do not follow one another in the ring (a range that has to be searched,
a sorted profile), and where the meter itself reads them to take them apart.

Uncertain: that a delta is added to the value of the row before, itself perhaps a sum (public texts
have the types, and no example of a buffer); that the next time is meant by null-data also where
the local time of normal and of summer time meet: there the time is written.

Project-defined. What could not be read at capture, and what a damaged row held, is an octet-string
of no octets here, for null-data would say that nothing has changed. A clock in LIFO order is
written.

One for each profile; the rows that it compares are in two buffers for all. Nothing is allocated
after boot.
"""

from cosem import profile_selection as selection
from dlms.axdr import skip
from dlms.prim import compare, copy
from micropython import const

_REPEATED = const(1)
_DELTA = const(2)
_DELTA_VALUE_ENCODING = const(0x020000)  # of the conformance

_FIFO = const(1)
_LIFO = const(2)
_RUN = const(-2)  # see profile_generic.py

_NULL = const(0x00)
_OCTET_STRING = const(0x09)
_DATE_TIME_LEN = const(12)
# In a date-time: hundredths, deviation and clock status.
_HUNDREDTHS = const(8)

_DELTA_INTEGER = const(0x1C)
_DELTA_UNSIGNED = const(0x1F)

# Numbers that a delta can be shorter than: double-long(-unsigned), long(-unsigned), long64(...).
_NUMBERS = const(0x370060)  # bits 5, 6, 16, 17 (unsigned: never shorter), 18, 20, 21
_SIGNED = const(0x110020)  # bits 5, 16, 20

_NOTHING = const(-1)


class Compression:
    def __init__(self, handler, p, how, other):
        """how: bits of what is done; other: a Compression that has buffers to share, or None."""
        self.handler = handler
        self.p = p
        self.how = how
        self.rows = other.rows if other is not None else Rows()
        self.rows.make_room(p.ring.row_len)

    def form(self, s, n):
        """s.b of an answer with n rows."""
        return _RUN

    def item(self, s, buf, pos):
        """As handler.item(), of a row."""
        h = self.handler
        p = self.p
        k = h.number(p, s)
        if s.plain:
            return h.put_row(p, s, k, buf, pos)
        before = None
        if s.k > 1 and s.b == _RUN and p.sort <= _LIFO:
            before = self.rows.get(h, p, s, k - 1 if p.sort == _FIFO else k + 1)
        now = self.rows.get(h, p, s, k)
        a = s.association
        delta = self.how & _DELTA and a is not None and a.conformance & _DELTA_VALUE_ENCODING
        return self._put(s, now, before, delta, buf, pos)

    def _put(self, s, now, before, delta, buf, pos):
        p = self.p
        end = len(now)
        copy(buf, pos, now, 0, 2)
        pos += 2
        at = old = 2
        for j in range(p.n_columns):
            if not selection.is_set(s.c, s.d, j):
                continue
            after = skip(now, at, end)
            n = after - at
            if now[at] == _NULL:
                buf[pos] = _OCTET_STRING
                buf[pos + 1] = 0
                pos += 2
            elif before is None or before[old] == _NULL:
                copy(buf, pos, now, at, n)
                pos += n
            elif self.how & _REPEATED and self._is_known(j, now, at, n, before, old):
                buf[pos] = _NULL
                pos += 1
            else:
                length = 0
                if delta and now[at] == before[old]:
                    length = self.rows.put_delta(now, at, n - 1, before, old, buf, pos)
                if not length:
                    copy(buf, pos, now, at, n)
                    length = n
                pos += length
            at = after
            if before is not None:
                old = skip(before, old, end)
        return pos

    def _is_known(self, j, now, at, n, before, old):
        """Does the row before say what this column is?"""
        p = self.p
        if j != p.clock_column or not p.period:
            return compare(now, at, before, old, n) == 0
        if p.sort != _FIFO or n != 2 + _DATE_TIME_LEN or before[old] != _OCTET_STRING:
            return False
        at += 2
        old += 2
        left = _DATE_TIME_LEN - _HUNDREDTHS
        if compare(now, at + _HUNDREDTHS, before, old + _HUNDREDTHS, left):
            return False
        clock = self.handler.clock
        minutes = clock.minute_of(before, old)
        seconds = clock.last_second
        later = clock.minute_of(now, at)
        if minutes < 0 or later < 0:
            return False
        minutes = later - minutes
        seconds = clock.last_second - seconds
        # Seconds of more than the period would not fit a small int.
        if minutes < 0 or minutes > p.period // 60 + 1:
            return False
        return minutes * 60 + seconds == p.period


class Rows:
    """Two rows, as they are without compression, and which they are."""

    def __init__(self):
        self.newer = Row()
        self.older = Row()
        self.difference = bytearray(9)

    def make_room(self, row_len):
        for row in (self.newer, self.older):
            if len(row.octets) < row_len + 2:
                row.octets = bytearray(row_len + 2)

    def get(self, h, p, s, k):
        """The octets of row k of the ring of p, with the columns that are selected."""
        row = self.newer
        sequence = p.ring.first + k
        if not row.holds(p, s, sequence):
            row = self.older
            self.older = self.newer
            self.newer = row
            if not row.holds(p, s, sequence):
                h.put_row(p, s, k, row.octets, 0)
                row.p = p
                row.sequence = sequence
                row.low = s.c
                row.high = s.d
        return row.octets

    def put_delta(self, now, at, n, before, old, buf, pos):
        """Write the difference of two numbers of n octets behind tags of one type; its octets, 0
        if it would not be shorter."""
        tag = now[at]
        if tag > 0x15 or not _NUMBERS >> tag & 1:
            return 0
        difference = self.difference
        signed = _SIGNED >> tag & 1
        borrow = 0
        for i in range(n, 0, -1):
            d = now[at + i] - before[old + i] - borrow
            difference[i] = d & 0xFF
            borrow = 1 if d < 0 else 0
        # What a longer number would have in front.
        d = -borrow
        if signed:
            d += (before[old + 1] >> 7) - (now[at + 1] >> 7)
        front = d & 0xFF
        size = 1
        code = 0
        while size < n:
            i = 1
            while i <= n - size and difference[i] == front:
                i += 1
            if i > n - size and (not front or difference[i] & 0x80):
                buf[pos] = code + (_DELTA_INTEGER if front else _DELTA_UNSIGNED)
                copy(buf, pos + 1, difference, i, size)
                return 1 + size
            size <<= 1
            code += 1
        return 0


class Row:
    def __init__(self):
        self.octets = b""
        self.p = None
        self.sequence = _NOTHING
        self.low = self.high = 0

    def holds(self, p, s, sequence):
        return self.p is p and self.sequence == sequence and self.low == s.c and self.high == s.d
