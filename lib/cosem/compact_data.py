# SPDX-License-Identifier: MIT
"""Compact data (class_id 62, versions 0 and 1; IEC 62056-6-2, 4.3.10): values of other objects as
one octet-string, without their tags.

compact_buffer holds the contents of the captured values one after the other, and
template_description the TypeDescription of the structure that they are together: both are as in a
compact-array (see dlms/compact.py). They lie in hidden states of the object, whose room the
definition gives (capacity), and are saved with the image. capture_method says when they are made:
by the method capture, or each time that compact_buffer is read (see compact_capture.py).

Who reads a buffer that is captured implicitly, or has one captured, must have the right to read
all that is captured; the meter itself (scripts, pushes) captures what anybody may read.

Uncertain: that the contents have no head (a template_id in front is there if capture_objects
begins with attribute 4 of the object itself). Of data_index, 1 to 0FFF is an element of an array
or structure; the relative selections from 1000 up are not settled in public texts, and refused.

Project-defined. A capture that fails leaves both octet-strings empty, and gives the result of the
first value that could not be had: object-undefined, read-write-denied, scope-of-access-violated
(no such element), what the object says; other-reason if there is no room, or a value of which
there is no TypeDescription. Before a capture, template_description says what one would give now.
Where capture_objects has changed, both are empty and template_id is one more than before (0 after
255). Attribute 0, and compact_buffer and template_description of any Compact data, cannot be
captured (other-reason), nor what nobody may read (read-write-denied). Only the buffer of a profile
can be restricted (other-reason); a restriction_value of another type than its restriction_type
says is type-unmatched.
"""

from cosem import handler, slots
from cosem.compact_capture import Capture, clear
from cosem.profile_columns import judge
from dlms.axdr import get_u16, length, length_size, skip
from dlms.prim import compare
from micropython import const

_BUFFER = const(2)
_TEMPLATE_ID = const(4)
_CAPTURE_METHOD = const(6)

_RESET = const(1)
_CAPTURE = const(2)

_IMPLICIT = const(1)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)

_PROFILE = const(7)
_OCTET_STRING = const(0x09)
_STRUCTURE = const(0x02)
_DATE_TIME_LEN = const(12)
_BY_ENTRY = const(2)
_RELATIVE = const(0x1000)
_MOST_COLUMNS = const(127)

# What a stored value is to a Stream.
_BYTES = const(3)


class Handler(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self._capture = Capture(model)
        self._same = -1  # the row whose capture_objects are about to be written as they are

    def sleeps(self):
        return True

    def open(self, s):
        image = self.model.image
        at = self.model.state(s.row, 0 if s.attribute == _BUFFER else 1)
        implicit = slots.octet(self.model, s.row, _CAPTURE_METHOD) == _IMPLICIT
        if implicit or (s.attribute != _BUFFER and not image[at + 1]):
            result = self._capture.run(s.association, s.row)
            if result:
                return result
            if not implicit:
                # Nobody has asked for the values.
                slots.put_empty(image, self.model.state(s.row, 0))
        s.src = image
        s.src_pos = at
        s.src_end = at + (image[at - 2] << 8 | image[at - 1])
        s.phase = _BYTES
        return _SUCCESS

    def invoke(self, s, method, buf, pos, end):
        if method == _RESET:
            clear(self.model, s.row)
            return _SUCCESS
        if method != _CAPTURE:
            return _OBJECT_UNDEFINED
        return self._capture.run(s.association, s.row)

    def check(self, row, attribute, buf, pos, end):
        """May this be capture_objects?"""
        model = self.model
        n = end - pos
        self._same = -1
        at = slots.offset(model, row, attribute)
        if n == model.value_len(row, attribute) and not compare(
            buf, pos, slots.source(model, row, attribute), at, n
        ):
            self._same = row
            return _SUCCESS
        return _check(model, row, buf, pos, end)

    def changed(self, row, attribute):
        if row != self._same:
            model = self.model
            clear(model, row)
            model.put_int(row, _TEMPLATE_ID, model.get_int(row, _TEMPLATE_ID) + 1 & 0xFF)


def _check(model, row, buf, pos, end):
    """May the array of capture object definitions at buf[pos:end] be capture_objects?
    data_access_result."""
    n = length(buf, pos + 1, end)
    if n > _MOST_COLUMNS:
        return _OTHER_REASON
    pos += 1 + length_size(buf, pos + 1)
    device = slots.device_of(model, row)
    while n:
        captured = slots.find_object(model, device, buf, pos + 3, pos + 7)
        index = buf[pos + 14]
        result = judge(model, device, captured, index)
        if not result and get_u16(buf, pos + 16) >= _RELATIVE:
            result = _OTHER_REASON
        after = skip(buf, pos, end)
        if not result and buf[pos + 1] > 4 and buf[pos + 21]:
            if index != _BUFFER or model.class_id(captured) != _PROFILE:
                result = _OTHER_REASON
            else:
                result = _judge_restriction(buf[pos + 21], buf, pos + 22, after)
        if result:
            return result
        pos = after
        n -= 1
    return _SUCCESS


def _judge_restriction(kind, buf, pos, end):
    """data_access_result of the restriction_value at buf[pos:end]."""
    if buf[pos] != _STRUCTURE:
        return _TYPE_UNMATCHED
    if kind == _BY_ENTRY:
        return _TYPE_UNMATCHED if buf[pos + 2] == _OCTET_STRING else _SUCCESS
    if end - pos != 2 + 2 * (2 + _DATE_TIME_LEN) or buf[pos + 3] != _DATE_TIME_LEN:
        return _TYPE_UNMATCHED
    return _SUCCESS
