# SPDX-License-Identifier: MIT
"""The values of push_object_list (Push setup, class 40, versions 0 to 2; IEC 62056-6-2).

    structure{class_id, logical_name, attribute_index, data_index
              version 1, 2: , restriction: structure{restriction_type, restriction_value}
              version 2:    , columns: array of capture object definitions}

What is sent is a structure with a value for each element, in their order. Attribute 0 is a
structure of all attributes. data_index: 0 the whole value; 1 to 0FFF that element of an array or
structure, in the buffer of a profile that row; Fcnn the newest nn rows of a buffer, and of them
the first c columns, all if c is 0 (uncertain: from memory, no public source). A restriction is
selective access to a buffer by range of the clock 0.0.1.0.0.255, or by entry; columns are those of
a buffer that are sent, in the order of capture_objects.

Project-defined: null-data stands for what is not there, may not be read by the client, cannot be
restricted as it says, or has another data_index. Nothing is allocated but by PushList() and
exceeds().
"""

from cosem import profile_selection, slots
from dlms.axdr import length, length_size, put_length, put_u16, skip
from dlms.descriptors import quick
from dlms.prim import copy
from micropython import const

_PUSH_OBJECT_LIST = const(2)
_PROFILE_GENERIC = const(7)
_BUFFER = const(2)
_LIFO = const(2)

_NULL_DATA = const(0)
_STRUCTURE = const(2)
_ENTRY_LEN = const(18)
# Within an element.
_CLASS_AT = const(3)
_NAME_AT = const(7)
_ATTRIBUTE_AT = const(14)
_DATA_INDEX_AT = const(16)
_RESTRICTION_TYPE_AT = const(21)
_RESTRICTION_VALUE_AT = const(22)
_N_WITH_RESTRICTION = const(5)
_N_WITH_COLUMNS = const(6)

_BY_DATE = const(1)
_BY_ENTRY = const(2)
_RANGE_DESCRIPTOR = (
    b"\x02\x04\x02\x04\x12\x00\x08\x09\x06\x00\x00\x01\x00\x00\xff\x0f\x02\x12\x00\x00"
)
_RANGE_LEN = const(20)
_ENTRY_DESCRIPTOR = b"\x02\x04"
_ALL_COLUMNS = b"\x12\x00\x01\x12\x00\x00"
_SELECTION_AT = const(10)  # of the descriptor
_LONGEST_TIME = const(14)
_DESCRIPTOR_LEN = const(62)
_WINDOW_LEN = const(64)

_FIRST_RELATIVE = const(0x1000)
_NEWEST_ROWS = const(0xF000)

_SUCCESS = const(0)
_SCOPE_VIOLATED = const(13)


def _plain_end(src, at):
    """The end of the element src[at:] if it has neither restriction nor columns, else 0."""
    n = src[at + 1]
    if n < _N_WITH_RESTRICTION:
        return at + _ENTRY_LEN
    if src[at + _RESTRICTION_TYPE_AT] or src[at + _RESTRICTION_VALUE_AT]:
        return 0
    at += _RESTRICTION_VALUE_AT + 1
    if n < _N_WITH_COLUMNS:
        return at
    return 0 if src[at + 1] else at + 2


class PushList:
    """Reads with the rights of association a, by its stream."""

    def __init__(self, a):
        self.a = a
        self.model = a.model
        self.descriptor = bytearray(_DESCRIPTOR_LEN)

    def put(self, row, buf, pos, end):
        """Write what the Push setup object at row sends; its end, or -1: there is no room."""
        src = slots.source(self.model, row, _PUSH_OBJECT_LIST)
        at = slots.offset(self.model, row, _PUSH_OBJECT_LIST)
        n = length(src, at + 1, len(src))
        at += 1 + length_size(src, at + 1)
        if pos + 4 > end:
            return -1
        buf[pos] = _STRUCTURE
        pos = put_length(buf, pos + 1, n)
        a = self.a
        d = self.descriptor
        while n:
            index = self._describe(src, at)
            after = _plain_end(src, at)
            # The short way for what is there most often, a whole stored value.
            behind = quick(a, d, 0, 0, buf, pos, end) if after and not index else -1
            if behind < 0:
                behind = self._put_one(src, at, index, buf, pos, end)
                if behind < 0:
                    return -1
            pos = behind
            at = after or skip(src, at, len(src))
            n -= 1
        return pos

    def exceeds(self, row, most):
        """Does put() write more than this many octets at least? Of an element that data_index
        names nothing is counted."""
        src = slots.source(self.model, row, _PUSH_OBJECT_LIST)
        at = slots.offset(self.model, row, _PUSH_OBJECT_LIST)
        n = length(src, at + 1, len(src))
        at += 1 + length_size(src, at + 1)
        window = bytearray(_WINDOW_LEN)
        s = self.a.stream
        while n and most >= 0:
            index = self._describe(src, at)
            if 0 < index < _FIRST_RELATIVE or self._open(s, src, at, index):
                most -= 1
            else:
                while s.result < 0 and most >= 0:
                    most -= s.fill(window, 0, _WINDOW_LEN) or 1
            at = skip(src, at, len(src))
            n -= 1
        return most < 0

    def _describe(self, src, at):
        """Make a descriptor of the element src[at:]; its data_index."""
        d = self.descriptor
        copy(d, 0, src, at + _CLASS_AT, 2)
        copy(d, 2, src, at + _NAME_AT, 6)
        d[8] = src[at + _ATTRIBUTE_AT]
        d[9] = 0
        return src[at + _DATA_INDEX_AT] << 8 | src[at + _DATA_INDEX_AT + 1]

    def _put_one(self, src, at, index, buf, pos, end):
        start = pos
        s = self.a.stream
        dar = self._open(s, src, at, index)
        if not dar:
            pos = s.copy_all(buf, pos, end)
            if pos < 0 and s.result <= 0:
                return -1
            if pos >= 0 and index and index < _FIRST_RELATIVE:
                if self._is_buffer(s):
                    index = 1  # of that row
                at = profile_selection.element(buf, start, pos, index)
                if at >= 0:
                    n = skip(buf, at, pos) - at
                    copy(buf, start, buf, at, n)
                    return start + n
                pos = -1
            if pos >= 0:
                return pos
        if start >= end:
            return -1
        buf[start] = _NULL_DATA
        return start + 1

    def _is_buffer(self, s):
        return s.attribute == _BUFFER and self.model.class_id(s.row) == _PROFILE_GENERIC

    def _open(self, s, src, at, index):
        """Begin the value of the element src[at:]; data_access_result."""
        d = self.descriptor
        a = self.a
        s.begin(a, d, 0, 0)
        n = src[at + 1]
        kind = src[at + _RESTRICTION_TYPE_AT] if n >= _N_WITH_RESTRICTION else 0
        if d[8] == 0:
            # All attributes: the walk begins with the descriptor.
            return _SCOPE_VIOLATED if kind or index else _SUCCESS
        row = a.locate(d, 0)
        if row < 0:
            return -1 - row
        s.row = s.found = row
        s.attribute = d[8]
        s.selector = 0
        if kind:
            s.selector = kind
            s.sel_pos = _SELECTION_AT
            s.sel_end = self._select(kind, src, at + _RESTRICTION_VALUE_AT)
            if s.sel_end < 0:
                return _SCOPE_VIOLATED
        dar = s.open_part()
        if dar or not self._is_buffer(s):
            return dar or (_SCOPE_VIOLATED if index >= _FIRST_RELATIVE else _SUCCESS)
        handler = self.model.handler_of(row)
        p = handler.profiles[row]
        if n >= _N_WITH_COLUMNS:
            columns = skip(src, at + _RESTRICTION_VALUE_AT, len(src))
            if src[columns + 1]:
                dar = handler.range.select(p, s, src, columns, len(src))
        if not index or dar:
            return dar
        if kind:
            return _SCOPE_VIOLATED
        return self._rows(handler, p, s, index)

    def _select(self, kind, src, at):
        """Write the access parameters of a restriction; their end, or -1: it is none."""
        d = self.descriptor
        pos = _SELECTION_AT
        end = skip(src, at, len(src))
        if src[at] != _STRUCTURE or src[at + 1] != 2:
            return -1
        n = end - at - 2
        if kind == _BY_DATE:
            if n > 2 * _LONGEST_TIME:
                return -1
            copy(d, pos, _RANGE_DESCRIPTOR, 0, _RANGE_LEN)
            copy(d, pos + _RANGE_LEN, src, at + 2, n)
            pos += _RANGE_LEN + n
            return put_u16(d, pos, 0x0100)  # an empty array: all columns
        if kind != _BY_ENTRY or n != 10:
            return -1
        copy(d, pos, _ENTRY_DESCRIPTOR, 0, 2)
        copy(d, pos + 2, src, at + 2, 10)
        copy(d, pos + 12, _ALL_COLUMNS, 0, 6)
        return pos + _ENTRY_LEN

    def _rows(self, handler, p, s, index):
        """Of a buffer, the row that data_index names, or the newest ones."""
        visible = handler.visible(p)
        if index < _FIRST_RELATIVE:
            return _SCOPE_VIOLATED if index > visible else handler.open_run(p, s, index - 1, 1)
        if index < _NEWEST_ROWS:
            return _SCOPE_VIOLATED
        n = min(index & 0xFF, visible)
        columns = index >> 8 & 0x0F
        if columns:
            s.c &= (1 << columns) - 1
            s.d = 0
        return handler.open_run(p, s, 0 if p.sort == _LIFO else visible - n, n)
