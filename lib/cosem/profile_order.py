# SPDX-License-Identifier: MIT
"""The order of a sorted Profile generic (sort_method 3 to 6): most interesting row first.

Two octets a row: the low half of its sequence number in the ring. Rows stay in the ring where they
were written. Once the ring is full and a new row is better than the last of the order, that last
row is made the oldest, by appending the rows before it once more, and is then overwritten.
Allocates at boot only: the order.
"""

from cosem.profile_selection import column
from cosem.values import compare
from dlms.axdr import get_u16, put_u16
from dlms.prim import fill
from micropython import const

_SMALLEST = const(4)
_NEAREST = const(5)


class Order:
    def __init__(self, handler, p):
        self.handler = handler
        self.p = p
        self.n = 0
        self.table = bytearray(2 * p.ring.capacity)
        # A second row, where the model makes items: nothing makes one while a row is compared.
        self.other = handler.model.item

    def index(self, v):
        """Number in the ring of row v of the order."""
        return get_u16(self.table, 2 * v) - self.p.ring.first & 0xFFFF

    def rebuild(self):
        """Sort the rows that the ring holds (boot)."""
        p = self.p
        self.n = 0
        if p.sort_column < 0:
            return
        for k in range(p.ring.n):
            if p.ring.read(k, self.handler.row, 0):
                self._put(self._place(), p.ring.first + k)
            else:
                self._put(self.n, p.ring.first + k)

    def insert(self):
        """Take the row in handler.row into the ring, if it is among the best.

        False: it could not be written.
        """
        p = self.p
        ring = p.ring
        place = self._place()
        if ring.n < ring.capacity:
            if not ring.append(self.handler.row, 0):
                return False
            self._put(place, ring.first + ring.n - 1)
            return True
        if place >= self.n:
            return True
        self.n -= 1
        worst = self.index(self.n)
        first = ring.first
        for _ in range(worst):
            # A damaged row is carried on as it was read, and its new copy will read as sound:
            # it is made empty instead.
            if not ring.read(0, self.other, 0):
                fill(self.other, 0, ring.row_len, 0)
            if not ring.append(self.other, 0):
                # Half-way: the order is made anew, and the new row is lost.
                self.rebuild()
                return False
        for v in range(self.n):
            sequence = get_u16(self.table, 2 * v)
            if (sequence - first & 0xFFFF) < worst:
                put_u16(self.table, 2 * v, sequence + ring.capacity)
        if not ring.append(self.handler.row, 0):
            self.rebuild()
            return False
        self._put(place, ring.first + ring.n - 1)
        return True

    def _put(self, place, sequence):
        t = self.table
        i = 2 * self.n
        while i > 2 * place:
            t[i] = t[i - 2]
            t[i + 1] = t[i - 1]
            i -= 2
        put_u16(t, i, sequence & 0xFFFF)
        self.n += 1

    def _place(self):
        """Place of the row in handler.row: after all that are as good."""
        low = 0
        high = self.n
        while low < high:
            middle = low + high >> 1
            if self._before(middle):
                high = middle
            else:
                low = middle + 1
        return low

    def _before(self, v):
        """Is the row in handler.row better than row v?"""
        h = self.handler
        p = self.p
        if not p.ring.read(self.index(v), self.other, 0):
            return True
        a = column(h.row, 0, p.sort_column, p.ring.row_len)
        b = column(self.other, 0, p.sort_column, p.ring.row_len)
        if a < 0 or b < 0:
            return b < 0
        if p.sort_column == p.clock_column:
            d = self._compare_time(h.row, a, self.other, b)
        else:
            d = compare(h.row, a, self.other, b, p.sort >= _NEAREST)
        if p.sort == _SMALLEST or p.sort == _NEAREST:
            return d == -1
        return d == 1

    def _compare_time(self, a, apos, b, bpos):
        clock = self.handler.clock
        minute = clock.minute_of(a, apos + 2)
        second = clock.last_second
        other = clock.minute_of(b, bpos + 2)
        if minute != other:
            return -1 if minute < other else 1
        if second != clock.last_second:
            return -1 if second < clock.last_second else 1
        return 0
