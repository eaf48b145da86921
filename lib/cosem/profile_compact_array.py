# SPDX-License-Identifier: MIT
"""The buffer of a Profile generic as a compact-array (IEC 62056-6-2, 4.3.6; IEC 62056-5-3), where
the definition asks for it: what a row is stands there once, then their contents without tags.

The length of all of it comes first. So all rows have to be of one type and one length, those of
the first, and none is looked at before it is sent. Project-defined: where another one is found (a
string of another length, a value that could not be read at capture, a damaged row), the answer
ends with long-get-aborted, and until that row has left the ring the buffer comes as an array. So
it does if there are no rows to show, if they do not follow one another in the ring (a range that
has to be searched, a sorted profile), and where the meter itself reads them to take them apart.

Deltas do not go in: a TypeDescription has one type for a column, and the first row has no other
before it. Public texts do not say how the two would go together.

One for each profile; a row and its type are in buffers for all. Nothing is allocated after boot.
"""

from dlms.axdr import put_length
from dlms.compact import put_contents, put_type
from dlms.prim import copy
from dlms.types import check
from micropython import const

_COMPACT_ARRAY = const(0x13)
_LIFO = const(2)
_NOTHING = const(-1)
_FAILED = const(-1)
# s.b of a view that is one run of rows, see profile_generic.py; of one that is a compact-array.
_RUN = const(-2)
_COMPACT = const(-3)
# The types of 60 columns, of which most are simple.
_TYPE_LEN = const(128)


class CompactArray:
    def __init__(self, handler, p, other):
        """other: a CompactArray that has buffers to share, or None."""
        self.handler = handler
        self.p = p
        self.uneven = _NOTHING  # sequence number of a row that was not as the first
        self.rows = other.rows if other is not None else Rows()
        if len(self.rows.row) < p.ring.row_len + 2:
            self.rows.row = bytearray(p.ring.row_len + 2)

    def form(self, s, n):
        """s.b of the answer with n rows, the first of which has the place s.a."""
        p = self.p
        if s.plain or not n or p.sort > _LIFO or self.uneven >= p.ring.first:
            return _RUN
        return _COMPACT if self.rows.learn(self.handler, p, s) else _RUN

    def item(self, s, buf, pos):
        """As handler.item()."""
        h = self.handler
        p = self.p
        if s.b != _COMPACT:
            return h.put_row(p, s, h.number(p, s), buf, pos)
        rows = self.rows
        if not rows.learn(h, p, s):
            return _FAILED
        if s.k == 0:
            buf[pos] = _COMPACT_ARRAY
            n = rows.types_len
            copy(buf, pos + 1, rows.types, 0, n)
            return put_length(buf, pos + 1 + n, rows.len * (s.n - 1))
        k = h.number(p, s)
        after = h.put_row(p, s, k, buf, pos)
        if check(rows.types, 0, buf, pos, after) == after:
            after = put_contents(buf, pos, after, buf, pos)
            if after - pos == rows.len:
                return after
        self.uneven = p.ring.first + k
        return _FAILED


class Rows:
    """What the rows of an answer are, by the first of them."""

    def __init__(self):
        self.row = b""
        self.types = bytearray(_TYPE_LEN)
        self.types_len = self.len = 0
        # Of which answer.
        self._p = None
        self._place = self._low = self._high = 0

    def learn(self, h, p, s):
        """Look at the first row of the answer, unless it is the one that is known; False: there is
        no description of it."""
        if self._p is p and self._place == s.a and self._low == s.c and self._high == s.d:
            return True
        row = self.row
        k = s.a - p.ring.first
        end = h.put_row(p, s, k, row, 0)
        self._p = None
        self.types_len = put_type(row, 0, end, self.types, 0, _TYPE_LEN)
        # Without tags and without a value it would be nothing at all.
        self.len = put_contents(row, 0, end, row, 0)
        if self.types_len < 0 or not self.len or not 0 <= k < p.ring.n:
            return False
        self._p = p
        self._place = s.a
        self._low = s.c
        self._high = s.d
        return True
