# SPDX-License-Identifier: MIT
"""Array manager (class_id 123, version 0; IEC 62056-6-2, 4.4.11): entries of attributes of other
objects that are arrays.

    retrieve_number_of_entries    how many there are: unsigned or long-unsigned
    retrieve_entries              those from from_index to to_index (0: to the last), as an array
    insert_entry                  the new one becomes entry entry_index; 1 more than there are: the
                                  last one
    update_entry                  in the place of entry entry_index
    remove_entries                those from from_index to to_index (0: to the last)

The first entry has index 1. What is changed is written as by a SET of the whole attribute: its
type, its room and its class module are asked, and nothing has changed if one of them refuses.

Uncertain: where insert_entry puts an entry, and what 0 means; public texts give the parameters
alone. Project-defined: the client needs the right to read the array, and to write it to change
it. An array_object_id that is not in the list, and one whose object is not there, is
object-undefined; an attribute that is no array type-unmatched; an index that does not exist
scope-of-access-violated, but a to_index behind the last entry is the last one. The array is put
together in the work buffer of the association, with what comes back: what does not fit there is
other-reason, and so is all of it in a script, which has none. In array_object_list each id stands
once (other-reason), for an attribute that can be an array (type-unmatched). Nothing is allocated.
"""

from cosem import handler, slots
from dlms.axdr import get_u16, length, length_size, put_length, put_u16, skip
from dlms.prim import copy
from micropython import const

_ARRAY_OBJECT_LIST = const(2)

_RETRIEVE_NUMBER_OF_ENTRIES = const(1)
_RETRIEVE_ENTRIES = const(2)
_INSERT_ENTRY = const(3)
_UPDATE_ENTRY = const(4)
_REMOVE_ENTRIES = const(5)

# An element of array_object_list: 02 02 11 id 02 03 12 class_id 09 06 logical_name 0F index.
_ELEMENT_LEN = const(19)
_ID_AT = const(3)
_CLASS_AT = const(7)
_NAME_AT = const(11)
_INDEX_AT = const(18)
# A parameter: 11 id; or 02 02 11 id 02 02 12 first 12 last, or 12 entry_index entry_value.
_FIRST_AT = const(7)
_LAST_AT = const(10)
_VALUE_AT = const(9)
# Octets that the head of an array takes at most here.
_HEAD_LEN = const(4)

_COMPUTED = const(0)
_ARRAY = const(0x01)
_UNSIGNED = const(0x11)
_LONG_UNSIGNED = const(0x12)
_CHOICE = const(0x81)
_ANY = const(0x82)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_SCOPE_VIOLATED = const(13)
_OTHER_REASON = const(250)
_LAST_RESULT = const(-251)  # of model.read()


class Handler(handler.Handler):
    """The array that a method is about: attribute _attribute of the object at _target lies in
    _src, its entries from _first to _end, and there are _n."""

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self._src = model.rom
        self._target = self._attribute = self._first = self._end = self._n = 0

    def sleeps(self):
        return True

    def check(self, row, attribute, buf, pos, end):
        """May this be array_object_list?"""
        model = self.model
        n = length(buf, pos + 1, end)
        first = pos + 1 + length_size(buf, pos + 1)
        for k in range(n):
            at = first + k * _ELEMENT_LEN
            if _find(buf, first, k, buf[at + _ID_AT]) >= 0:
                return _OTHER_REASON
            result = self._locate(slots.device_of(model, row), buf, at)
            if result:
                return result
            tag = model.types[model.type_at(self._target, self._attribute)]
            if tag != _ARRAY and tag != _CHOICE and tag != _ANY:
                return _TYPE_UNMATCHED
        return _SUCCESS

    def invoke(self, s, method, buf, pos, end):
        if method > _REMOVE_ENTRIES:
            return _OBJECT_UNDEFINED
        result = self._open(s, method, buf, pos, end)
        if result:
            return result
        if method == _RETRIEVE_NUMBER_OF_ENTRIES:
            return self._put_number(s)
        n = self._n
        first = get_u16(buf, pos + _FIRST_AT)
        last = first
        if method == _INSERT_ENTRY:
            last -= 1
            n += 1
        elif method != _UPDATE_ENTRY:
            last = get_u16(buf, pos + _LAST_AT)
            if not last or last > n:
                last = n
        if not 0 < first <= n or last < first - (method == _INSERT_ENTRY):
            return _SCOPE_VIOLATED
        cut = _behind(self._src, self._first, self._end, first - 1)
        rest = _behind(self._src, cut, self._end, last - first + 1)
        out = s.out
        start = s.out_pos
        if method == _RETRIEVE_ENTRIES:
            after = _put_head(out, start, last - first + 1, rest - cut)
            if after < 0:
                return _OTHER_REASON
            copy(out, after, self._src, cut, rest - cut)
            s.out_pos = after + rest - cut
            return _SUCCESS
        value = end
        if method == _REMOVE_ENTRIES:
            n -= last - first + 1
        else:
            value = pos + _VALUE_AT
        before = cut - self._first
        n_octets = before + end - value + self._end - rest
        after = _put_head(out, start, n, n_octets)
        if after < 0:
            return _OTHER_REASON
        copy(out, after, self._src, self._first, before)
        copy(out, after + before, buf, value, end - value)
        copy(out, after + before + end - value, self._src, rest, self._end - rest)
        return self.model.write(self._target, self._attribute, out, start, after + n_octets)

    def _open(self, s, method, buf, pos, end):
        """Find the array that the parameter names; action_result."""
        model = self.model
        row = s.row
        src = slots.source(model, row, _ARRAY_OBJECT_LIST)
        at = slots.offset(model, row, _ARRAY_OBJECT_LIST)
        number = method == _RETRIEVE_NUMBER_OF_ENTRIES
        n = length(src, at + 1, len(src))
        at += 1 + length_size(src, at + 1)
        at = _find(src, at, n, buf[pos + 1 if number else pos + _ID_AT])
        if at < 0:
            return _OBJECT_UNDEFINED
        result = self._locate(slots.device_of(model, row), src, at)
        if result:
            return result
        a = s.association
        if a is not None:
            result = a.may_read(self._target, self._attribute)
            if not result and method > _RETRIEVE_ENTRIES:
                result = a.may_write(self._target, self._attribute)
            if result:
                return result
        if model.kind(self._target, self._attribute) == _COMPUTED:
            # So far behind the place where it is put together that all copies go to the left.
            src = s.out
            at = s.out_pos + end - pos + _HEAD_LEN
            after = model.read(self._target, self._attribute, src, at, len(src))
            if after < 0:
                return -1 - after if after >= _LAST_RESULT else _OTHER_REASON
        else:
            src = slots.source(model, self._target, self._attribute)
            at = slots.offset(model, self._target, self._attribute)
            after = at + model.value_len(self._target, self._attribute)
        if src[at] != _ARRAY:
            return _TYPE_UNMATCHED
        self._src = src
        self._n = length(src, at + 1, after)
        self._first = at + 1 + length_size(src, at + 1)
        self._end = after
        return _SUCCESS

    def _locate(self, device, buf, at):
        """Find the attribute that the element buf[at:] of array_object_list names."""
        model = self.model
        row = slots.find_object(model, device, buf, at + _CLASS_AT, at + _NAME_AT)
        index = buf[at + _INDEX_AT]
        if row < 0 or not 0 < index <= model.n_attributes(row):
            return _OBJECT_UNDEFINED
        self._target = row
        self._attribute = index
        return _SUCCESS

    def _put_number(self, s):
        out = s.out
        pos = s.out_pos
        if pos + 3 > len(out):
            return _OTHER_REASON
        if self._n > 0xFF:
            out[pos] = _LONG_UNSIGNED
            s.out_pos = put_u16(out, pos + 1, self._n)
        else:
            out[pos] = _UNSIGNED
            out[pos + 1] = self._n
            s.out_pos = pos + 2
        return _SUCCESS


def _find(buf, at, n, number):
    """The element with this array_object_id among the n elements at buf[at:], or -1."""
    while n:
        if buf[at + _ID_AT] == number:
            return at
        at += _ELEMENT_LEN
        n -= 1
    return -1


def _behind(buf, pos, end, n):
    """Position behind n Data at buf[pos:end]."""
    while n > 0:
        pos = skip(buf, pos, end)
        n -= 1
    return pos


def _put_head(out, pos, n, n_octets):
    """Write the head of an array of n entries at out[pos:]; its end, or -1: n_octets of entries
    do not fit behind it."""
    if pos + _HEAD_LEN + n_octets > len(out):
        return -1
    out[pos] = _ARRAY
    return put_length(out, pos + 1, n)
