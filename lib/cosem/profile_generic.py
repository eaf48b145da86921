# SPDX-License-Identifier: MIT
"""Profile generic (class_id 7, versions 0 and 1; IEC 62056-6-2, 5.3.1, 4.3.6).

Rows live in a ring of the storage: a row is the A-XDR of its columns one after the other, and in
its last two octets their length, so that a whole row is copied without looking at it. What a
client sees is a view of that ring, by sort_method: FIFO, LIFO, or an order kept as two octets a
row (profile_order). Reading streams one row at a time through one row buffer, so memory does not
depend on the number of rows; nothing is allocated on the path of a request.

Periods are boundaries of local time: of local normal time if capture_period divides an hour, of
local time if it divides a day, else of minutes since 2000. After power-up or a jump of the clock
the next row is that of the next boundary: nothing is made up for the periods in between.

A change of capture_objects, capture_period, sort_method, sort_object or profile_entries clears
the buffer; writing the value that was there does not. profile_entries above the capacity of the
ring is refused (other-reason).

Project-defined. At most 60 columns, fewer if row_len of the definition is used up (other-reason).
Attribute 0 and the buffer of a profile cannot be captured (other-reason); what does not exist is
object-undefined. What could not be read at capture, and a row that storage gives back damaged, is
null-data; so is an element of a computed attribute that is longer than a row and 128 octets.
Version 0 has two methods where version 1 has selective access, with the same parameters; of the
rows that come back, the client may have as many as fit one APDU, or one in general blocks.
Selected columns come in the order of capture_objects. A range or entry that lies outside of the
buffer gives an empty array; a column that is not captured, entry 0, or from above to: scope-of-
access-violated; a descriptor of another form: type-unmatched.
"""

from cosem import handler, profile_columns, slots
from cosem import profile_selection as selection
from dlms.axdr import get_u16, put_length, put_u16, put_u32
from dlms.prim import copy, fill
from micropython import const

_BUFFER = const(2)
_CAPTURE_OBJECTS = const(3)
_CAPTURE_PERIOD = const(4)
_SORT_METHOD = const(5)
_SORT_OBJECT = const(6)
_ENTRIES_IN_USE = const(7)
_PROFILE_ENTRIES = const(8)

_RESET = const(1)
_CAPTURE = const(2)
_GET_BUFFER_BY_RANGE = const(3)  # version 0; its parameter is that of selector 1
_GET_BUFFER_BY_INDEX = const(4)  # of selector 2

_FIFO = const(1)
_LIFO = const(2)
_FARTHEST = const(6)

_RANGE = const(1)
_ENTRY = const(2)

_SUCCESS = const(0)
_HARDWARE_FAULT = const(1)
_OBJECT_UNDEFINED = const(4)
_SCOPE_VIOLATED = const(13)
_ASLEEP = const(254)  # of dlms/stream.py
_OTHER_REASON = const(250)

_NULL = const(0x00)
_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_DOUBLE_LONG_UNSIGNED = const(0x06)

_ALL = const(0x3FFFFFFF)  # columns, of the first 30 and of the next
# Behind a row: an item of a computed attribute of which one element is captured.
_SLACK = const(128)
# s.b of a view that is one run of rows, and as a compact-array; above, the place of row s.a.
_RUN = const(-2)
_COMPACT = const(-3)
# A bit of COMPRESSION.
_AS_COMPACT_ARRAY = const(4)


def _put_row(self, p, s, k, buf, pos):
    """Write row k of the ring with the columns that are selected; its end."""
    ring = p.ring
    buf[pos] = _STRUCTURE
    pos += 2
    if s.c == _ALL and s.d == _ALL:
        n = p.n_columns
        buf[pos - 1] = n
        if 0 <= k < ring.n and ring.read(k, buf, pos):
            return pos + get_u16(buf, pos + ring.row_len - 2)
        fill(buf, pos, n, _NULL)
        return pos + n
    n = selection.count_columns(s.c, s.d, p.n_columns)
    buf[pos - 1] = n
    if 0 <= k < ring.n and ring.read(k, self.row, 0):
        after = selection.put_columns(buf, pos, self.row, p.n_columns, s.c, s.d, ring.row_len)
        if after >= 0:
            return after
    # The row is damaged, or the ring has overwritten it since the answer began.
    fill(buf, pos, n, _NULL)
    return pos + n


class Handler(handler.Handler):
    """All profiles of the meter.

    on_capture(row)   called before a row is made: the program settles status objects
    on_captured(row)  called after it
    on_clear(row)     called after the buffer was cleared
    """

    _compression = _compact = None  # of a profile that has it

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.profiles = {}
        self._orders = {}  # of those that may be sorted, by row
        self._shifts = 0  # jumps of the clock that have been seen
        self.clock = None
        self.on_capture = None
        self.on_captured = None
        self.on_clear = None
        self.row = bytearray(_SLACK)
        self.range = None  # of profile_range.py

    # --- Boot and settings ------------------------------------------------------------------

    def start(self, row):
        model = self.model
        if self.clock is None:
            self.clock = model.handler("clock")
        ring = None
        for r in model.definition.RINGS:
            if r[0] == row:
                ring = model.storage.ring(r[0], r[1], r[2])
        if ring is None:
            raise ValueError("profile %d has no ring" % row)
        if ring.row_len + _SLACK > len(self.row):
            self.row = bytearray(ring.row_len + _SLACK)
        p = profile_columns.Profile(model, row, ring)
        self.profiles[row] = p
        for r in getattr(model.definition, "COMPRESSION", ()):
            if r[0] == row:
                if r[1] & _AS_COMPACT_ARRAY:
                    from cosem.profile_compact_array import CompactArray

                    p.compression = self._compact = CompactArray(self, p, self._compact)
                else:
                    from cosem.profile_compression import Compression

                    how = Compression(self, p, r[1], self._compression)
                    p.compression = self._compression = how
        profile_columns.load(self.model, p)
        self._load_numbers(p)
        if p.sort > _LIFO or (model.slot(row, _SORT_METHOD) >= 0 and ring.capacity <= 64):
            from cosem.profile_order import Order

            self._orders[row] = Order(self, p)
            self._orders[row].rebuild()
        if ring.n > 1 and p.clock_column >= 0:
            # A power cut may have come between the last row and what is known about it.
            for k in range(ring.n - 2, ring.n):
                fill(self.row, 0, ring.row_len, _NULL)
                ring.read(k, self.row, 0)
                self._note_time(p, ring.first + k)

    def _load_numbers(self, p):
        """Take over the other settings; True if one of them is another than before."""
        model = self.model
        capacity = p.ring.capacity
        limit = slots.double_long_unsigned(model, p.row, _PROFILE_ENTRIES)
        if limit > capacity:
            limit = capacity
            at = model.slot(p.row, _PROFILE_ENTRIES)
            if at >= 0:
                put_u32(model.image, at + 1, limit)
        period = slots.double_long_unsigned(model, p.row, _CAPTURE_PERIOD)
        sort = slots.octet(model, p.row, _SORT_METHOD)
        buf = slots.source(model, p.row, _CAPTURE_OBJECTS)
        at = slots.offset(model, p.row, _CAPTURE_OBJECTS) + 2
        sort_column = selection.find_definition(
            buf,
            at,
            p.n_columns,
            slots.source(model, p.row, _SORT_OBJECT),
            slots.offset(model, p.row, _SORT_OBJECT),
        )
        changed = limit != p.limit or period != p.period or sort != p.sort
        changed = changed or sort_column != p.sort_column
        if period != p.period:
            p.boundary = profile_columns.UNKNOWN
        p.limit = limit
        p.period = period
        p.sort = sort
        p.sort_column = sort_column
        return changed

    def check(self, row, attribute, buf, pos, end):
        if attribute == _SORT_METHOD:
            n = buf[pos + 1]
            if n < _FIFO or n > _FARTHEST:
                return _OTHER_REASON
            if n > _LIFO and row not in self._orders:
                return _OTHER_REASON
        elif attribute == _PROFILE_ENTRIES:
            if slots.unsigned32(buf, pos + 1) > self.profiles[row].ring.capacity:
                return _OTHER_REASON
        elif attribute == _CAPTURE_OBJECTS:
            return profile_columns.check(self.model, self.profiles[row], buf, pos)
        return _SUCCESS

    def sleeps(self):
        self.range = None
        return False

    def wake(self):
        from cosem import profile_range

        self.range = self.range or profile_range.Range(self)

    def changed(self, row, attribute):
        p = self.profiles[row]
        if attribute == _CAPTURE_OBJECTS:
            changed = profile_columns.load(self.model, p)
            # The sort object may be another column now, or none.
            changed = self._load_numbers(p) or changed
        else:
            changed = self._load_numbers(p)
        # Its rows would be taken for others.
        return changed and not self.clear(row)

    # --- Capture ----------------------------------------------------------------------------

    def clear(self, row):
        """Remove all rows; False if storage could not."""
        p = self.profiles[row]
        if not p.ring.clear():
            return False
        p.last_minute = -1
        self._put_disorder(p, 0)
        if row in self._orders:
            self._orders[row].n = 0
        if self.on_clear is not None:
            self.on_clear(row)
        return True

    def capture(self, row):
        """Store the values of the columns now; action_result."""
        p = self.profiles[row]
        if p.n_columns == 0:
            return _OTHER_REASON
        if self.on_capture is not None:
            self.on_capture(row)
        buf = self.row
        end = p.ring.row_len - 2
        pos = profile_columns.put(self.model, p, buf, end)
        fill(buf, pos, end - pos, 0)
        put_u16(buf, end, pos)
        sequence = p.ring.first + p.ring.n
        if self._sorted(p):
            if not self._orders[row].insert():
                return _HARDWARE_FAULT
        else:
            if not p.ring.append(buf, 0):
                return _HARDWARE_FAULT
            self._note_time(p, sequence)
        if self.on_captured is not None:
            self.on_captured(row)
        return _SUCCESS

    def _note_time(self, p, sequence):
        """The row in self.row is the newest: is its clock ahead of the row before it?"""
        if p.clock_column < 0:
            return
        minute = self.time_in(p, p.clock_column)
        if minute < 0:
            self._put_disorder(p, sequence + 1)
            return
        second = self.clock.last_second
        if minute < p.last_minute or (minute == p.last_minute and second < p.last_second):
            self._put_disorder(p, sequence + 1)
        p.last_minute = minute
        p.last_second = second

    def _put_disorder(self, p, sequence):
        at = self.model.state(p.row, 0)
        if at >= 0:
            put_u32(self.model.image, at, sequence)

    def is_ordered(self, p):
        """Do the times of all rows ascend? (the last that did not may be gone meanwhile)"""
        if p.clock_column < 0 or p.sort > _LIFO:
            return False
        at = self.model.state(p.row, 0)
        if at < 0:
            return False
        return slots.unsigned32(self.model.image, at) <= p.ring.first + 1

    def find_column(self, p, key, pos):
        """Column with the capture object definition key[pos:], or -1."""
        buf = slots.source(self.model, p.row, _CAPTURE_OBJECTS)
        at = slots.offset(self.model, p.row, _CAPTURE_OBJECTS) + 2
        return selection.find_definition(buf, at, p.n_columns, key, pos)

    def time_in(self, p, j):
        """Minute (UTC) of the date-time in column j of self.row, second in clock.last_second."""
        at = selection.column(self.row, 0, j, p.ring.row_len)
        if at < 0 or self.row[at] != 0x09 or self.row[at + 1] != 12:
            return -1
        return self.clock.minute_of(self.row, at + 2)

    def invoke(self, s, method, buf, pos, end):
        if method == _RESET:
            return _SUCCESS if self.clear(s.row) else _HARDWARE_FAULT
        if method == _CAPTURE:
            return self.capture(s.row)
        if method != _GET_BUFFER_BY_RANGE and method != _GET_BUFFER_BY_INDEX:
            return _OBJECT_UNDEFINED
        # The parameter is read again while the rows go out.
        n = end - pos
        if n > len(s.out) - s.out_pos:
            return _OTHER_REASON
        copy(s.out, s.out_pos, buf, pos, n)
        s.buf = s.out
        s.sel_pos = s.out_pos
        s.sel_end = s.out_pos + n
        s.attribute = _BUFFER
        s.selector = method - _CAPTURE
        result = self.open(s)
        return -1 if result == _ASLEEP else result

    # --- Periods ----------------------------------------------------------------------------

    def tick(self, now):
        for row in self.profiles:
            if self.is_due(row):
                self.capture(row)

    def is_due(self, row):
        """Has a period of this profile ended since the last look?"""
        p = self.profiles[row]
        clock = self.clock
        if clock is None or not p.period:
            return False
        if self._shifts != clock.shifts:
            self._shifts = clock.shifts
            for r in self.profiles:
                self.profiles[r].boundary = profile_columns.UNKNOWN
        before = p.boundary
        boundary = clock.period_number(p.period)
        if before == profile_columns.UNKNOWN or boundary > before:
            p.boundary = boundary
        if before == profile_columns.UNKNOWN or self.model.is_off(row):
            return False
        return boundary > before

    # --- What clients see -------------------------------------------------------------------

    def visible(self, p):
        """Rows that the view has."""
        n = p.ring.n
        return n if n < p.limit else p.limit

    def _sorted(self, p):
        return p.sort > _LIFO and p.sort_column >= 0 and p.row in self._orders

    def index(self, p, v):
        """Number in the ring of row v of the view."""
        if self._sorted(p):
            return self._orders[p.row].index(v)
        if p.sort == _LIFO:
            return p.ring.n - 1 - v
        return p.ring.n - self.visible(p) + v

    def place(self, p, v):
        """What stays with row v of the view while rows come in: its sequence number."""
        if self._sorted(p):
            return v
        return p.ring.first + self.index(p, v)

    def view(self, p, place):
        """Row of the view that has this place now; negative: it is gone."""
        if self._sorted(p):
            return place
        k = place - p.ring.first
        if p.sort == _LIFO:
            return p.ring.n - 1 - k
        return k - p.ring.n + self.visible(p)

    def open(self, s):
        if s.attribute == _ENTRIES_IN_USE:
            s.n = 1
            return _SUCCESS
        if s.attribute != _BUFFER:
            return _OBJECT_UNDEFINED
        p = self.profiles[s.row]
        s.c = s.d = _ALL
        s.b = _RUN
        if s.selector == 0:
            return self.open_run(p, s, 0, self.visible(p))
        if s.selector == _RANGE:
            if self.range is not None:
                return self.range.open(p, s)
            self.model.wants("profile_generic")
            return _ASLEEP
        if s.selector == _ENTRY:
            return self._open_entry(p, s)
        return _SCOPE_VIOLATED

    def open_run(self, p, s, v, n):
        """Answer with the n rows from row v of the view."""
        s.a = self.place(p, v) if n else 0
        s.b = _RUN if p.compression is None else p.compression.form(s, n)
        s.n = n + 1
        return _SUCCESS

    def _open_entry(self, p, s):
        result = selection.parse_entries(s, p.n_columns)
        if result:
            return result
        n = self.visible(p)
        first = s.a
        last = n if not s.b or s.b > n else s.b
        if first > last:
            return self.open_run(p, s, 0, 0)
        return self.open_run(p, s, first - 1, last - first + 1)

    def item(self, s, buf, pos):
        p = self.profiles[s.row]
        if s.k and s.b == _RUN and p.sort == _FIFO and p.compression is None:
            # The usual way, with one call: a row of the buffer, as they lie in the ring.
            return _put_row(self, p, s, s.a + s.k - 1 - p.ring.first, buf, pos)
        if s.attribute == _ENTRIES_IN_USE:
            buf[pos] = _DOUBLE_LONG_UNSIGNED
            return put_u32(buf, pos + 1, self.visible(p))
        if s.k == 0 and s.b != _COMPACT:
            buf[pos] = _ARRAY
            return put_length(buf, pos + 1, s.n - 1)
        if p.compression is not None:
            return p.compression.item(s, buf, pos)
        return _put_row(self, p, s, self.number(p, s), buf, pos)

    put_row = _put_row

    def number(self, p, s):
        """Number in the ring of the row that is item s.k; outside of the ring if it is gone."""
        if s.b > _RUN:
            k = self.range.seek(p, s)
            return self.index(p, k) if 0 <= k < self.visible(p) else -1
        if p.sort == _FIFO:
            return s.a + s.k - 1 - p.ring.first
        if p.sort == _LIFO:
            return s.a - s.k + 1 - p.ring.first
        return self.index(p, self.view(p, s.a + s.k - 1))
