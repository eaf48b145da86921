# SPDX-License-Identifier: MIT
"""The columns of a Profile generic: from capture_objects to the octets of a row.

capture_objects is resolved when it changes, so that a capture looks nothing up: a column is the
row of its object, the attribute and the data_index, five octets. Nothing is allocated after boot.
"""

from cosem import slots
from cosem.profile_selection import element
from dlms.axdr import get_u16, put_u16, skip
from dlms.prim import copy
from micropython import const

_BUFFER = const(2)
_CAPTURE_OBJECTS = const(3)

_FIFO = const(1)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

_NULL = const(0x00)

_CLOCK = const(8)
_TIME = const(2)
_TIME_LEN = const(14)
_OCTET_STRING = const(0x09)
_PROFILE = const(7)
_COMPACT_DATA = const(62)
_COMPACT_BUFFER = const(2)
_TEMPLATE_DESCRIPTION = const(5)
# Fields of a row of ASSOCIATIONS, and what stands in them.
_DEVICE = const(1)
_ACCESS = const(6)
_NOT_VISIBLE = const(0xFFFF)
_MAY_READ = const(1)
# Fields of the object table and of an attribute entry, see model.py.
_ROW_SHIFT = const(4)
_ROW_FIRST_ENTRY = const(12)
_ENTRY_SHIFT = const(2)
_KIND = const(0x0F)
_ROM = const(1)
_RAM = const(2)

_MAX_COLUMNS = const(60)
# A column: u16 row of the object, attribute, u16 data_index.
_COLUMN_LEN = const(5)
_NOBODY = const(0xFFFF)
# A capture object definition in capture_objects, after the two octets of the array.
_DEFINITION_LEN = const(18)

UNKNOWN = -0x20000000


class Profile:
    """The small numbers of one object.

    compression None, or what makes the buffer shorter (profile_compression)
    limit       rows a client may see: profile_entries
    boundary    number of the last period that began, UNKNOWN at first and after a jump
    last_minute, last_second   time of the newest row, to see that rows go back in time
    """

    compression = None  # of the class: few have some

    def __init__(self, model, row, ring):
        n = (model.capacity(row, _CAPTURE_OBJECTS) - 2) // _DEFINITION_LEN
        if n > _MAX_COLUMNS:
            n = _MAX_COLUMNS
        self.row = row
        self.ring = ring
        self.columns = bytearray(_COLUMN_LEN * n)
        self.n_columns = -1
        self.clock_column = -1
        self.sort_column = -1
        self.period = -1
        self.sort = _FIFO
        self.limit = 0
        self.boundary = UNKNOWN
        self.last_minute = self.last_second = -1


def load(model, p):
    """Fill the column table from capture_objects; True if it is another one than before."""
    buf = slots.source(model, p.row, _CAPTURE_OBJECTS)
    at = slots.offset(model, p.row, _CAPTURE_OBJECTS) + 2
    n = buf[at - 1]
    changed = n != p.n_columns
    device = slots.device_of(model, p.row)
    t = p.columns
    c = 0
    p.clock_column = -1
    for j in range(n):
        row = slots.find_object(model, device, buf, at + 3, at + 7)
        attribute = buf[at + 14]
        if row < 0 or attribute < 1 or attribute > model.n_attributes(row):
            row = _NOBODY
        if get_u16(t, c) != row or t[c + 2] != attribute:
            changed = True
        if t[c + 3] != buf[at + 16] or t[c + 4] != buf[at + 17]:
            changed = True
        put_u16(t, c, row)
        copy(t, c + 3, buf, at + 16, 2)
        t[c + 2] = attribute
        if p.clock_column < 0 and get_u16(buf, at + 3) == _CLOCK and attribute == _TIME:
            p.clock_column = j
        c += _COLUMN_LEN
        at += _DEFINITION_LEN
    p.n_columns = n
    return changed


def judge(model, device, row, attribute):
    """May this attribute be captured at all? data_access_result. row: -1 if there is no object."""
    if attribute == 0:
        return _OTHER_REASON
    if row < 0 or attribute > model.n_attributes(row):
        return _OBJECT_UNDEFINED
    if model.class_id(row) == _COMPACT_DATA and (
        attribute == _COMPACT_BUFFER or attribute == _TEMPLATE_DESCRIPTION
    ):
        return _OTHER_REASON
    # What nobody may read (a secret) does not come out this way either.
    at = row - model.devices[device][1] << 1
    for config in model.configs:
        if config[_DEVICE] == device:
            access = config[_ACCESS]
            first = access[at] << 8 | access[at + 1]
            if first != _NOT_VISIBLE and model.access[first + attribute - 1] & _MAY_READ:
                return _SUCCESS
    return _READ_WRITE_DENIED


def check(model, p, buf, pos):
    """May this be capture_objects? data_access_result."""
    n = buf[pos + 1]
    if n * _COLUMN_LEN > len(p.columns):
        return _OTHER_REASON
    device = slots.device_of(model, p.row)
    total = 0
    pos += 2
    for _ in range(n):
        row = slots.find_object(model, device, buf, pos + 3, pos + 7)
        attribute = buf[pos + 14]
        result = judge(model, device, row, attribute)
        if result:
            return result
        if attribute == _BUFFER and model.class_id(row) == _PROFILE:
            return _OTHER_REASON
        data_index = get_u16(buf, pos + 16)
        if data_index:
            one = slots.longest_element(model, row, attribute, data_index)
        else:
            one = slots.longest(model, row, attribute)
        if one < 0:
            return _OTHER_REASON
        total += one
        pos += _DEFINITION_LEN
    # The last two octets of a row hold its length.
    return _SUCCESS if total + 2 <= p.ring.row_len else _OTHER_REASON


def put(model, p, buf, end):
    """Write the values of all columns at buf[:end], null-data for what cannot be had; their end.

    Written out what model and slots do elsewhere: a row of many columns would take too long.
    """
    objects = model.objects
    attributes = model.attributes
    columns = p.columns
    pos = 0
    c = 0
    left = p.n_columns
    while left:
        left -= 1
        row = columns[c] << 8 | columns[c + 1]
        attribute = columns[c + 2]
        data_index = columns[c + 3] << 8 | columns[c + 4]
        c += _COLUMN_LEN
        after = -1
        if row != _NOBODY:
            at = row << _ROW_SHIFT
            e = objects[at + _ROW_FIRST_ENTRY] << 8 | objects[at + _ROW_FIRST_ENTRY + 1]
            e = e + attribute - 1 << _ENTRY_SHIFT
            kind = attributes[e] & _KIND
            if kind != _RAM and kind != _ROM:
                if p.n_columns - left - 1 == p.clock_column and end - pos > _TIME_LEN:
                    buf[pos] = _OCTET_STRING
                    buf[pos + 1] = _TIME_LEN - 2
                    copy(buf, pos + 2, model.clock.local, 0, _TIME_LEN - 2)
                    after = pos + _TIME_LEN
                else:
                    after = model.read(row, attribute, buf, pos, len(buf))
                src = buf
                at = pos
            else:
                src = model.image if kind == _RAM else model.rom
                at = attributes[e + 2] << 8 | attributes[e + 3]
                after = at + 2 + (src[at] << 8 | src[at + 1])
                at += 2
            if after > at and data_index:
                at = element(src, at, after, data_index)
                after = skip(src, at, after) if at >= 0 else -1
        # Every column to come is at least a null-data.
        if after > at and after - at <= end - left - pos:
            if src is not buf or at != pos:
                copy(buf, pos, src, at, after - at)
            pos += after - at
        else:
            buf[pos] = _NULL
            pos += 1
    return pos
