# SPDX-License-Identifier: MIT
"""Attributes that live in a PLC modem: what the meter knows of them, and how it gets there.

The modem is read all the time, one attribute each half second while it is up, and what came is
kept; a GET hears what was read last (a round takes 20 s), 0 and empty arrays before that. What
clients may set is stored in the meter, and given to the modem when it is up and whenever it
changes. profiles/modems/usi_modem.py says how a modem is asked.

Rows say what is where, in class modules (prime_setup.py, g3_setup.py), as bytes:

    READ   class_id, attribute, id (2), length, records, (code, tag) of each field
           records 0: one value; else an array of so many at most, of structures if there are
           several fields; length: octets of a value or record
           code: octets of a number (1, 2, 4); 40 + n: n octets of text, 40: all that came;
           10, 11: high, low half of an octet
    WRITE  class_id, attribute, place of the value in its encoding, id (2), octets; 0: a bit-string

Counters count from their reset on: what they were then is taken off. It does that too, when the
modem was reset and they began anew. Allocates buffers for all rows at construction.
"""

from cosem import slots, station_setup
from dlms.axdr import put_length, width
from dlms.prim import compare, copy, fill
from micropython import const

_CLASS = const(0)
_ATTRIBUTE = const(1)
_ID = const(2)
_LENGTH = const(4)
_RECORDS = const(5)
_FIELDS = const(6)
_PLACE = const(2)
_WRITE_ID = const(3)
_WRITE_LENGTH = const(5)

_TEXT = const(0x40)
_HIGH_HALF = const(0x10)
_LOW_HALF = const(0x11)
_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_BIT_STRING_PLACE = const(2)

_UNDER_WAY = const(1)
_DONE = const(2)
_EVERY_MS = const(500)
_TICKS_MASK = const(0x3FFFFFFF)
_MAX_WRITTEN = const(16)


class ModemValues:
    """n_refused: attributes that the modem does not have, or not with that value."""

    def __init__(self, modem, reads, writes, lists):
        """lists: an array comes as a whole (PRIME); else by index, one record a time (G3)."""
        self.modem = modem
        self._reads = reads
        self._writes = writes
        self._lists = lists
        size = 0
        self._at = [0] * len(reads)
        for i in range(len(reads)):
            self._at[i] = size
            size += reads[i][_LENGTH] * max(reads[i][_RECORDS], 1)
        self._values = bytearray(size)
        self._bases = bytearray(size)  # what counters were at their reset
        self._n = bytearray(len(reads))  # records, or octets of text
        self._written = bytearray(_MAX_WRITTEN * len(writes))
        self._sizes = bytearray(len(writes))  # octets of each, 0: there is none
        self._dirty = bytearray(len(writes))
        self._n_dirty = 0
        self._row = 0  # that is read next
        self._index = 0
        self._asked = 0  # 1: a read is under way, 2: a write
        self._last_ms = 0
        self.n_refused = 0

    # --- From and to the modem ------------------------------------------------------------------

    def apply(self, model):
        """Take what the objects of the definition say, of each class the first. Allocates."""
        for i in range(len(self._writes)):
            row = self._writes[i]
            found = model.rows(row[_CLASS])
            if found and row[_ATTRIBUTE] <= model.n_attributes(found[0]):
                self._take(i, row, model, found[0])

    def changed(self, model, object_row, attribute):
        """A client has set an attribute."""
        class_id = model.class_id(object_row)
        for i in range(len(self._writes)):
            row = self._writes[i]
            if row[_CLASS] == class_id and row[_ATTRIBUTE] == attribute:
                self._take(i, row, model, object_row)

    def _take(self, i, row, model, object_row):
        buf = slots.source(model, object_row, row[_ATTRIBUTE])
        pos = slots.offset(model, object_row, row[_ATTRIBUTE])
        n = row[_WRITE_LENGTH]
        if row[_PLACE] > _BIT_STRING_PLACE and not buf[pos + 1]:
            n = 0  # an empty array
        elif not n:
            n = min(buf[pos + 1] + 7 >> 3, _MAX_WRITTEN)
        pos += row[_PLACE]
        at = i * _MAX_WRITTEN
        if n and (n != self._sizes[i] or compare(self._written, at, buf, pos, n)):
            copy(self._written, at, buf, pos, n)
            self._touch(i)
        self._sizes[i] = n

    def _touch(self, i):
        """Row i of those that are written is to be written."""
        if not self._dirty[i]:
            self._dirty[i] = 1
            self._n_dirty += 1

    def up(self):
        """The modem is up: it may have been reset, and has what it has by itself."""
        for i in range(len(self._writes)):
            if self._sizes[i]:
                self._touch(i)

    def poll(self, now_ms):
        modem = self.modem
        if modem.value_state == _UNDER_WAY:
            return
        if self._asked:
            asked = self._asked
            self._asked = 0
            good = modem.value_state == _DONE
            if asked == 1:
                self._came(good)
            elif not good:
                self.n_refused = self.n_refused + 1 & 0xFFFFFF
        if not modem.is_up:
            return
        if self._n_dirty:
            self._write()
        elif (now_ms - self._last_ms) & _TICKS_MASK >= _EVERY_MS:
            self._last_ms = now_ms
            row = self._reads[self._row]
            if modem.read(row[_ID] << 8 | row[_ID + 1], self._index) > 0:
                self._asked = 1

    def _write(self):
        i = 0
        while not self._dirty[i]:
            i += 1
        row = self._writes[i]
        at = i * _MAX_WRITTEN
        taken = self.modem.write(
            row[_WRITE_ID] << 8 | row[_WRITE_ID + 1], 0, self._written, at, at + self._sizes[i]
        )
        if taken:
            self._dirty[i] = 0
            self._n_dirty -= 1
            self._asked = 2 if taken > 0 else 0

    def _came(self, good):
        """What was asked for has come, or will not."""
        modem = self.modem
        k = self._row
        row = self._reads[k]
        length = row[_LENGTH]
        records = row[_RECORDS]
        at = self._at[k]
        n = modem.value_len if good else 0
        if not records:
            if good:
                self._value(k, row, at, n)
            else:
                self.n_refused = self.n_refused + 1 & 0xFFFFFF
        elif self._lists:
            n = min(n // length, records)
            copy(self._values, at, modem.value, 0, n * length)
            self._n[k] = n
        else:
            if n == length:
                copy(self._values, at + self._index * length, modem.value, 0, n)
                self._index += 1
                if self._index < records:
                    return
            self._n[k] = self._index
        self._index = 0
        self._row = 0 if k + 1 == len(self._reads) else k + 1

    def _value(self, k, row, at, n):
        """A single value of n octets, to the right of its place."""
        length = row[_LENGTH]
        if row[_FIELDS] >= _TEXT:
            n = min(n, length)
            copy(self._values, at, self.modem.value, 0, n)
            self._n[k] = n
            return
        skipped = n - length if n > length else 0
        n -= skipped
        fill(self._values, at, length, 0)
        copy(self._values, at + length - n, self.modem.value, skipped, n)
        if compare(self._values, at, self._bases, at, length) < 0:
            fill(self._bases, at, length, 0)

    # --- For the class modules ------------------------------------------------------------------

    def reset(self, class_id):
        """Counters of a class begin at 0; arrays are empty until they are read again."""
        for k in range(len(self._reads)):
            row = self._reads[k]
            if row[_CLASS] == class_id:
                if row[_RECORDS]:
                    self._n[k] = 0
                else:
                    copy(self._bases, self._at[k], self._values, self._at[k], row[_LENGTH])

    def encode(self, k, buf, pos):
        """Write what is known of row k at buf[pos:]; its end."""
        row = self._reads[k]
        at = self._at[k]
        if not row[_RECORDS]:
            return self._field(row, _FIELDS, self._n[k], at, True, buf, pos)
        n = self._n[k]
        buf[pos] = _ARRAY
        buf[pos + 1] = n
        pos += 2
        n_fields = len(row) - _FIELDS >> 1
        while n:
            n -= 1
            if n_fields > 1:
                buf[pos] = _STRUCTURE
                buf[pos + 1] = n_fields
                pos += 2
            field = _FIELDS
            where = at
            while field < len(row):
                pos = self._field(row, field, 0, where, False, buf, pos)
                code = row[field]
                if code != _HIGH_HALF:
                    where += 1 if code == _LOW_HALF else code & ~_TEXT
                field += 2
            at += row[_LENGTH]
        return pos

    def _field(self, row, field, n, at, counts, buf, pos):
        code = row[field]
        tag = row[field + 1]
        values = self._values
        buf[pos] = tag
        pos += 1
        if code >= _TEXT:
            n = code - _TEXT or n
            pos = put_length(buf, pos, n)
            copy(buf, pos, values, at, n)
            return pos + n
        if code == _HIGH_HALF or code == _LOW_HALF:
            buf[pos] = values[at] >> 4 if code == _HIGH_HALF else values[at] & 0xF
            return pos + 1
        size = width(tag)
        # To the right, less what it was at the last reset.
        borrow = 0
        i = size
        while i:
            i -= 1
            code -= 1
            octet = 0
            if code >= 0:
                octet = values[at + code] - borrow
                if counts:
                    octet -= self._bases[at + code]
                borrow = 1 if octet < 0 else 0
            buf[pos + i] = octet & 0xFF
        return pos + size


class Handler(station_setup.Handler):
    """Of a class module: reads, its rows."""

    reads = ()

    def changed(self, row, attribute):
        station = self.station()
        if station is not None:
            station.attributes.changed(self.model, row, attribute)

    def item(self, s, buf, pos):
        k = _find(self.reads, self.model.class_id(s.row), s.attribute)
        station = self.station()
        if station is None:
            return _nothing(self.reads[k], buf, pos)
        return station.attributes.encode(k, buf, pos)


def _nothing(row, buf, pos):
    """Write the value of a row when there is no modem: 0, or nothing."""
    if row[_RECORDS]:
        buf[pos] = _ARRAY
        buf[pos + 1] = 0
        return pos + 2
    buf[pos] = row[_FIELDS + 1]
    n = 1 if row[_FIELDS] >= _TEXT else width(row[_FIELDS + 1])
    fill(buf, pos + 1, n, 0)
    return pos + 1 + n


def _find(rows, class_id, attribute):
    """The row of an attribute, or -1."""
    for k in range(len(rows)):
        if rows[k][_CLASS] == class_id and rows[k][_ATTRIBUTE] == attribute:
            return k
    return -1
