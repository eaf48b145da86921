# SPDX-License-Identifier: MIT
"""Register table (class_id 61, version 0; IEC 62056-6-2, 4.3.8): one attribute of many objects of
one class, whose logical names differ in value group E alone.

    table_cell_definition    class_id, logical_name (its value group E does not matter), the values
                             of group E, attribute_index
    capture    copies the values of the cells into table_cell_values, an array in their order
    reset      makes that empty; the objects stay as they are

Uncertain: that table_cell_values are those of the last capture, not those of now; that reset
leaves no elements rather than values of 0. As a compact-array they are not offered: one of the
CHOICE is enough.

Project-defined: whoever may execute capture has the right to all of it, as with a profile; what
nobody may read cannot be a cell (read-write-denied), nor attribute 0 (other-reason), nor what does
not exist (object-undefined). A cell that cannot be read at capture is null-data. A capture that
finds no room in the definition's capacity leaves the table empty: other-reason. So does a change
of table_cell_definition. Nothing is allocated.
"""

from cosem import handler, slots
from cosem.profile_columns import judge
from dlms.axdr import length, length_size, put_length
from dlms.prim import compare, copy
from micropython import const

_TABLE_CELL_VALUES = const(2)
_TABLE_CELL_DEFINITION = const(3)

_RESET = const(1)
_CAPTURE = const(2)

# 02 04 12 class_id 09 06 logical_name 01 n (11 group_E_value) ... 0F attribute_index
_CLASS_AT = const(3)
_NAME_AT = const(7)
_N_AT = const(14)
_E_AT = const(6)  # of class_id and logical_name in a row
_KEY_LEN = const(8)

_ARRAY = const(0x01)
_NULL_DATA = const(0x00)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)
_NO_ROOM = const(-251)  # model.read(): -1 - other-reason


class Handler(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self._key = bytearray(_KEY_LEN)
        self._same = -1  # the row whose definition is about to be written as it is

    def sleeps(self):
        return True

    def invoke(self, s, method, buf, pos, end):
        if method == _RESET:
            return self._clear(s.row)
        if method == _CAPTURE:
            return self.capture(s.row)
        return _OBJECT_UNDEFINED

    def _clear(self, row):
        model = self.model
        at = model.slot(row, _TABLE_CELL_VALUES)
        if at < 0:
            return _READ_WRITE_DENIED
        model.image[at] = _ARRAY
        model.image[at + 1] = 0
        slots.set_len(model.image, at, 2)
        return _SUCCESS

    def capture(self, row):
        """Take over the values of now; action_result."""
        result = self._clear(row)
        if result:
            return result
        model = self.model
        image = model.image
        start = model.slot(row, _TABLE_CELL_VALUES)
        limit = start + model.capacity(row, _TABLE_CELL_VALUES)
        src = slots.source(model, row, _TABLE_CELL_DEFINITION)
        at = slots.offset(model, row, _TABLE_CELL_DEFINITION)
        device = slots.device_of(model, row)
        n = length(src, at + _N_AT, len(src))
        cells = at + _N_AT + length_size(src, at + _N_AT)
        pos = start + 1 + (1 if n < 0x80 else 2)
        index = src[cells + 2 * n + 1]
        for k in range(n):
            target = self._find(device, src, at, src[cells + 2 * k + 1])
            after = -1 if target < 0 else model.read(target, index, image, pos, limit)
            if after == _NO_ROOM or after < 0 and pos >= limit:
                return _OTHER_REASON
            if after < 0:
                image[pos] = _NULL_DATA
                after = pos + 1
            pos = after
        put_length(image, start + 1, n)
        slots.set_len(image, start, pos - start)
        return _SUCCESS

    def _find(self, device, buf, at, e):
        """Row of the object of the cell with this value of group E, or -1."""
        key = self._key
        copy(key, 0, buf, at + _CLASS_AT, 2)
        copy(key, 2, buf, at + _NAME_AT, 6)
        key[_E_AT] = e
        return self.model.find(device, key, 0)

    def check(self, row, attribute, buf, pos, end):
        """May this be table_cell_definition?"""
        model = self.model
        n = end - pos
        self._same = -1
        if n == model.value_len(row, attribute) and not compare(
            buf, pos, model.image, model.slot(row, attribute), n
        ):
            self._same = row
            return _SUCCESS
        n = length(buf, pos + _N_AT, end)
        if n > 0xFF:
            return _OTHER_REASON
        cells = pos + _N_AT + length_size(buf, pos + _N_AT)
        device = slots.device_of(model, row)
        for k in range(n):
            target = self._find(device, buf, pos, buf[cells + 2 * k + 1])
            result = judge(model, device, target, buf[cells + 2 * n + 1])
            if result:
                return result
            if target == row:
                return _OTHER_REASON
        return _SUCCESS

    def changed(self, row, attribute):
        if row != self._same:
            self._clear(row)
