# SPDX-License-Identifier: MIT
"""Function control (class_id 122, version 0; IEC 62056-6-2, 4.4.10): functions of the meter, each
a name and the objects that it consists of, enabled or disabled by name.

What a disabled function takes from each of its objects, in this meter (project-defined: public
texts say that the objects belong to it, and no more):

    methods    clients, scripts, schedules and monitors hear temporary-failure
    time       a profile captures no row at the end of its period, and makes up for none;
               schedules, calendars, monitors, a Limiter and an alarm's Push setup do nothing
    attributes stay as they are, and as readable and writable

activation_status is computed: every function of function_list, in its order. The names of those
that are disabled are kept in a hidden state, so that a SET of function_list leaves them as they
were; one that is new is enabled.

Project-defined: an object of several functions is off when one of them is. set_function_status
changes all or nothing. A function that is unknown, there already, or has no name or one of more
than 126 octets, more than 127 functions, and names for which there is no room: other-reason; an
object that is not there: object-undefined; a Function control among the objects, which nobody
could enable again: read-write-denied. Only start() allocates.
"""

from cosem import elements, handler, slots
from dlms.axdr import get_u16, length, length_size, put_length, skip
from dlms.prim import compare, copy, fill
from micropython import const

_ACTIVATION_STATUS = const(2)
_FUNCTION_LIST = const(3)

_SET_FUNCTION_STATUS = const(1)
_ADD_FUNCTION = const(2)
_REMOVE_FUNCTION = const(3)

_FUNCTION_CONTROL = const(122)

# 02 02 09 length name, then: 01 n and of each object 02 02 12 class_id 09 06 logical_name; or 03
# status.
_NAME_AT = const(3)  # its length
_CLASS_AT = const(3)
_LOGICAL_NAME_AT = const(7)
_OBJECT_LEN = const(13)
_MOST = const(127)
_LONGEST_NAME = const(126)  # that the hidden state has room for

_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_BOOLEAN = const(0x03)
_OCTET_STRING = const(0x09)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)


class Handler(handler.Handler):
    """The hidden state of an object: length and name of each disabled function, then zeros."""

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self._rows = []

    def start(self, row):
        model = self.model
        if model.off is None:
            model.off = bytearray(model.n_rows() + 7 >> 3)
        self._rows.append(row)
        self._switch()

    def _switch(self):
        """Say of each object of the meter whether it is off."""
        model = self.model
        off = model.off
        fill(off, 0, len(off), 0)
        for row in self._rows:
            device = slots.device_of(model, row)
            src = slots.source(model, row, _FUNCTION_LIST)
            at = slots.offset(model, row, _FUNCTION_LIST)
            n = src[at + 1]
            at += 2
            while n:
                if self._disabled(row, src, at + _NAME_AT) >= 0:
                    one, left = _objects(src, at), _n_objects(src, at)
                    while left:
                        k = _locate(model, device, src, one)
                        if k >= 0:
                            off[k >> 3] |= 1 << (k & 7)
                        one += _OBJECT_LEN
                        left -= 1
                at = skip(src, at, len(src))
                n -= 1

    # --- The hidden state -------------------------------------------------------------------

    def _disabled(self, row, buf, name):
        """Where the hidden state has the name buf[name:], or -1: it is enabled."""
        image = self.model.image
        at = self.model.state(row, 0)
        n = buf[name] + 1
        while image[at]:
            if compare(image, at, buf, name, n) == 0:
                return at
            at += 1 + image[at]
        return -1

    def _room(self, row):
        """Octets that the hidden state has left; a zero stays behind the names."""
        image = self.model.image
        at = self.model.state(row, 0)
        end = at + get_u16(image, at - 2)
        while image[at]:
            at += 1 + image[at]
        return end - at - 1

    def _disable(self, row, buf, name):
        """There is room for it."""
        image = self.model.image
        at = self.model.state(row, 0)
        if self._disabled(row, buf, name) < 0:
            copy(
                image, at + get_u16(image, at - 2) - 1 - self._room(row), buf, name, buf[name] + 1
            )

    def _enable(self, row, at):
        """Take the name at image[at:] out of the hidden state."""
        image = self.model.image
        start = self.model.state(row, 0)
        end = start + get_u16(image, start - 2)
        n = 1 + image[at]
        copy(image, at, image, at + n, end - at - n)
        fill(image, end - n, n, 0)

    # --- Attributes -------------------------------------------------------------------------

    def open(self, s):
        if s.attribute != _ACTIVATION_STATUS:
            return _OBJECT_UNDEFINED
        model = self.model
        src = slots.source(model, s.row, _FUNCTION_LIST)
        s.n = 1 + src[slots.offset(model, s.row, _FUNCTION_LIST) + 1]
        return _SUCCESS

    def item(self, s, buf, pos):
        model = self.model
        if s.k == 0:
            buf[pos] = _ARRAY
            return put_length(buf, pos + 1, s.n - 1)
        src = slots.source(model, s.row, _FUNCTION_LIST)
        at = slots.offset(model, s.row, _FUNCTION_LIST)
        if s.k > src[at + 1]:
            return -1  # the list has become shorter
        at += 2
        for _ in range(s.k - 1):
            at = skip(src, at, len(src))
        name = at + _NAME_AT
        n = 1 + src[name]
        buf[pos] = _STRUCTURE
        buf[pos + 1] = 2
        buf[pos + 2] = _OCTET_STRING
        copy(buf, pos + 3, src, name, n)
        pos += 3 + n
        buf[pos] = _BOOLEAN
        buf[pos + 1] = 0 if self._disabled(s.row, src, name) >= 0 else 1
        return pos + 2

    def check(self, row, attribute, buf, pos, end):
        """May this be function_list?"""
        n = length(buf, pos + 1, end)
        if n > _MOST:
            return _OTHER_REASON
        at = pos + 2
        for k in range(n):
            result = self._judge(row, buf, at)
            if result:
                return result
            if _find(buf, pos, k, buf, at + _NAME_AT) >= 0:
                return _OTHER_REASON
            at = skip(buf, at, end)
        return _SUCCESS

    def changed(self, row, attribute):
        self._forget(row)
        self._switch()

    def _forget(self, row):
        """What is no function any more is not disabled either."""
        model = self.model
        image = model.image
        src = slots.source(model, row, _FUNCTION_LIST)
        functions = slots.offset(model, row, _FUNCTION_LIST)
        at = model.state(row, 0)
        while image[at]:
            if _find(src, functions, src[functions + 1], image, at) < 0:
                self._enable(row, at)
            else:
                at += 1 + image[at]

    def _judge(self, row, buf, at):
        """May the function buf[at:] be one? data_access_result."""
        if not 0 < buf[at + _NAME_AT] <= _LONGEST_NAME:
            return _OTHER_REASON
        model = self.model
        device = slots.device_of(model, row)
        one, n = _objects(buf, at), _n_objects(buf, at)
        while n:
            k = _locate(model, device, buf, one)
            if k < 0:
                return _OBJECT_UNDEFINED
            if model.class_id(k) == _FUNCTION_CONTROL:
                return _READ_WRITE_DENIED
            one += _OBJECT_LEN
            n -= 1
        return _SUCCESS

    # --- Methods ----------------------------------------------------------------------------

    def invoke(self, s, method, buf, pos, end):
        if method == _SET_FUNCTION_STATUS:
            result = self._set_status(s.row, buf, pos, end)
        elif method == _ADD_FUNCTION:
            result = self._add(s.row, buf, pos, end)
        elif method == _REMOVE_FUNCTION:
            result = self._remove(s.row, buf, pos)
        else:
            return _OBJECT_UNDEFINED
        if not result:
            self._switch()
        return result

    def _set_status(self, row, buf, pos, end):
        model = self.model
        src = slots.source(model, row, _FUNCTION_LIST)
        functions = slots.offset(model, row, _FUNCTION_LIST)
        first = pos + 1 + length_size(buf, pos + 1)
        room = self._room(row)
        at = first
        while at < end:
            name = at + _NAME_AT
            if _find(src, functions, src[functions + 1], buf, name) < 0:
                return _OTHER_REASON
            if not buf[name + 2 + buf[name]] and self._disabled(row, buf, name) < 0:
                room -= 1 + buf[name]
            at = skip(buf, at, end)
        if room < 0:
            return _OTHER_REASON
        at = first
        while at < end:
            name = at + _NAME_AT
            if not buf[name + 2 + buf[name]]:
                self._disable(row, buf, name)
            else:
                found = self._disabled(row, buf, name)
                if found >= 0:
                    self._enable(row, found)
            at = skip(buf, at, end)
        return _SUCCESS

    def _add(self, row, buf, pos, end):
        model = self.model
        at = model.slot(row, _FUNCTION_LIST)
        if at < 0:
            return _READ_WRITE_DENIED
        result = self._judge(row, buf, pos)
        if result:
            return result
        if _find(model.image, at, model.image[at + 1], buf, pos + _NAME_AT) >= 0:
            return _OTHER_REASON
        return elements.add(model, row, _FUNCTION_LIST, buf, pos, end)

    def _remove(self, row, buf, pos):
        model = self.model
        at = model.slot(row, _FUNCTION_LIST)
        if at < 0:
            return _READ_WRITE_DENIED
        image = model.image
        if buf[pos + 1] > _LONGEST_NAME:
            return _OTHER_REASON
        found = _find(image, at, image[at + 1], buf, pos + 1)
        if found < 0:
            return _OTHER_REASON
        elements.remove(model, row, _FUNCTION_LIST, found)
        self._forget(row)
        return _SUCCESS


def _find(src, at, n, buf, name):
    """The function among the first n of the array src[at:] with the name buf[name:], its length
    first; -1: there is none."""
    at += 2
    while n:
        if src[at + _NAME_AT] == buf[name] and (
            compare(src, at + _NAME_AT + 1, buf, name + 1, buf[name]) == 0
        ):
            return at
        at = skip(src, at, len(src))
        n -= 1
    return -1


def _n_objects(buf, at):
    """Objects of the function buf[at:]."""
    at += _NAME_AT + 1 + buf[at + _NAME_AT]
    return length(buf, at + 1, len(buf))


def _objects(buf, at):
    """Where the first of them is."""
    at += _NAME_AT + 1 + buf[at + _NAME_AT]
    return at + 1 + length_size(buf, at + 1)


def _locate(model, device, buf, at):
    """Row of the object buf[at:] of a function, or -1."""
    return slots.find_object(model, device, buf, at + _CLASS_AT, at + _LOGICAL_NAME_AT)
