# SPDX-License-Identifier: MIT
"""Capturing for Compact data (see compact_data.py). It allocates when it is made."""

from cosem import slots
from cosem.profile_columns import judge
from cosem.profile_selection import element
from dlms.axdr import get_u16, length, length_size, put_length, skip
from dlms.compact import put_contents, put_type
from dlms.prim import copy
from dlms.stream import Stream
from micropython import const

_CAPTURE_OBJECTS = const(3)

_SUCCESS = const(0)
_SCOPE_VIOLATED = const(13)
_OTHER_REASON = const(250)
_ASLEEP = const(254)  # of stream.py: a class module has to be loaded first

_COMPUTED = const(0)  # kind of the attribute table, see cosem/model.py

_STRUCTURE = const(0x02)
_OCTET_STRING = const(0x09)
# An octet-string with the longest head that a slot can need: tag, 82, u16.
_HEAD_LEN = const(4)

_BY_DATE = const(1)
_BY_ENTRY = const(2)
# Selective access by range, to the clock's time; by entry, to all columns.
_RANGE = b"\x02\x04\x02\x04\x12\x00\x08\x09\x06\x00\x00\x01\x00\x00\xff\x0f\x02\x12\x00\x00"
_NO_COLUMNS = b"\x01\x00"
_ENTRY = b"\x02\x04"
_ALL_COLUMNS = b"\x12\x00\x01\x12\x00\x00"


class Capture:
    """One for all objects: what is read for them, and how."""

    def __init__(self, model):
        self.model = model
        self.stream = Stream(model)
        self.stream.plain = 1
        self._selection = bytearray(len(_RANGE) + 28 + len(_NO_COLUMNS))

    def run(self, a, row):
        """Capture for an association, or None (the meter itself); data_access_result."""
        model = self.model
        result = self._run(a, row, model.state(row, 0), model.state(row, 1))
        if result:
            clear(model, row)
        # Half of the old one may be on its way to somebody.
        for other in model.associations:
            other.stream.edited(row, 0)
        return result

    def _run(self, a, row, buffer, template):
        """Put the values of capture_objects into the slots buffer and template of the image.

        Association a has to have the right to read each of them (None: the meter itself).
        data_access_result; if it is not success, the slots hold rubbish.
        """
        model = self.model
        image = model.image
        objects = slots.source(model, row, _CAPTURE_OBJECTS)
        at = slots.offset(model, row, _CAPTURE_OBJECTS)
        end = at + model.value_len(row, _CAPTURE_OBJECTS)
        device = slots.device_of(model, row)
        n = length(objects, at + 1, end)
        at += 1 + length_size(objects, at + 1)
        extra = model.n_attributes(row) + 1
        limit = buffer + model.capacity(row, extra)
        types_limit = template + model.capacity(row, extra + 1)
        pos = buffer + _HEAD_LEN
        types = template + _HEAD_LEN
        if types + 2 > types_limit:
            return _OTHER_REASON
        image[types] = _STRUCTURE
        image[types + 1] = n
        types += 2
        while n:
            result = self._open(a, device, objects, at, end)
            if result:
                return result
            s = self.stream
            after = s.copy_all(image, pos, limit)
            if after < 0:
                return s.result if s.result > 0 else _OTHER_REASON
            start = pos
            index = get_u16(objects, at + 16)
            if index:
                start = element(image, pos, after, index)
                if start < 0:
                    return _SCOPE_VIOLATED
                after = skip(image, start, after)
            types = put_type(image, start, after, image, types, types_limit)
            if types < 0:
                return _OTHER_REASON
            pos = put_contents(image, start, after, image, pos)
            at = skip(objects, at, end)
            n -= 1
        _close(image, buffer, pos)
        _close(image, template, types)
        return _SUCCESS

    def _open(self, a, device, objects, at, end):
        """Begin to read what the capture object definition objects[at:] names."""
        model = self.model
        row = slots.find_object(model, device, objects, at + 3, at + 7)
        attribute = objects[at + 14]
        result = judge(model, device, row, attribute)
        if not result and a is not None:
            result = a.may_read(row, attribute)
        if result:
            return result
        if a is not None and model.asleep and model.kind(row, attribute) == _COMPUTED:
            if model.wakes(row):
                return _ASLEEP
        s = self.stream
        selector = 0
        if objects[at + 1] > 4:
            # 02 02 16 restriction_type restriction_value, behind the four elements of version 0
            selector = objects[at + 21]
            if selector:
                s.sel_end = self._select(selector, objects, at + 22, end)
        s.buf = self._selection
        s.sel_pos = 0
        return s.open_attribute(row, attribute, selector)

    def _select(self, kind, objects, at, end):
        """Write the selective access that a restriction_value stands for; its end."""
        buf = self._selection
        head = _RANGE if kind == _BY_DATE else _ENTRY
        tail = _NO_COLUMNS if kind == _BY_DATE else _ALL_COLUMNS
        n = len(head)
        copy(buf, 0, head, 0, n)
        # Both values of the structure, as they are.
        after = skip(objects, at, end)
        copy(buf, n, objects, at + 2, after - at - 2)
        n += after - at - 2
        copy(buf, n, tail, 0, len(tail))
        return n + len(tail)


def clear(model, row):
    """Make compact_buffer and template_description octet-strings of no octets."""
    for j in range(2):
        slots.put_empty(model.image, model.state(row, j))


def _close(image, at, end):
    """Make the octets image[at + 4:end] the octet-string of the slot at image[at:]."""
    n = end - at - _HEAD_LEN
    image[at] = _OCTET_STRING
    pos = put_length(image, at + 1, n)
    copy(image, pos, image, at + _HEAD_LEN, n)
    slots.set_len(image, at, pos + n - at)
