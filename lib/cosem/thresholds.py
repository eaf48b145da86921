# SPDX-License-Identifier: MIT
"""Values that are supervised: what Register monitor, Limiter and Sensor manager share
(IEC 62056-6-2, 4.5.6, 4.5.9, 4.5.11).

A value that is equal to a threshold is not above it (uncertain: public texts only say that it
crosses it). A threshold of another type than the value is refused when it is set (type-unmatched),
and passed over if it is there; so are values that are no stored number. Ticks may allocate,
requests do not.
"""

from cosem import script_table, slots
from dlms.axdr import skip
from dlms.prim import compare, copy
from micropython import const

# Tags of numbers, a bit each from 0 on: in two's complement, with a sign of their own, without.
_TAGS_SIGNED = const(1 << 5 | 1 << 15 | 1 << 16 | 1 << 20)
_TAGS_FLOAT = const(1 << 23 | 1 << 24)
_TAGS_UNSIGNED = const(1 << 6 | 1 << 17 | 1 << 18 | 1 << 21 | 1 << 22)

# A reference to a value: 02 03 12 class_id 09 06 logical_name 0F attribute_index.
_CLASS_AT = const(3)
_NAME_AT = const(7)
_INDEX_AT = const(14)
# An element of actions: 02 02 and two of 02 02 09 06 script_logical_name 12 script_selector.
_ACTIONS_LEN = const(28)
_UP_AT = const(2)
_DOWN_AT = const(15)
_MAX = const(127)
_NUMBER_LEN = const(9)  # the longest one, with its tag

# States of a threshold.
_UNKNOWN = const(0)
_NOT_ABOVE = const(1)
_ABOVE = const(2)

_COMPUTED = const(0)
_SUCCESS = const(0)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)


class Monitored:
    """A value that is held against thresholds: what an attribute of an object refers to, or
    another attribute of it (is_own).

    row        of the object that has it, -1: none, -2: nobody has looked yet
    buf, pos   where it is
    """

    def __init__(self, model, owner, attribute, is_own=False):
        self.model = model
        self.owner = owner
        self.attribute = attribute
        self.row = -2
        self.buf = model.rom
        self.pos = 0
        self._is_own = is_own
        self._last = bytearray(_NUMBER_LEN)
        self._n = 0  # octets that is_new() compares

    def is_there(self):
        return self.row >= 0 if self.row > -2 else self._find()

    def _find(self):
        model = self.model
        row = self.owner
        index = self.attribute
        if not self._is_own:
            buf = slots.source(model, row, index)
            at = slots.offset(model, row, index)
            row = target(model, row, buf, at)
            index = buf[at + _INDEX_AT]
        self._n = 0
        if row < 0:
            self.row = -1
            return False
        self.buf = slots.source(model, row, index)
        self.pos = slots.offset(model, row, index)
        if self.buf is model.image:
            self.row = row
            self._n = min(model.capacity(row, index), _NUMBER_LEN)
        # Else it may come to the image when somebody sets it: it is looked for again.
        return True

    def tag(self):
        """Of its type; -1: it is not there."""
        return self.buf[self.pos] if self.is_there() else -1

    def unsigned_len(self):
        """Octets of a number without sign; 0: it is another value."""
        tag = self.tag()
        return _LENGTHS[tag] if 0 <= tag < 25 and _TAGS_UNSIGNED >> tag & 1 else 0

    def renew(self):
        """The reference has been set: look for it again."""
        self.row = -2
        self._n = 0

    def is_new(self):
        """Is it there, and another than at the last call?"""
        if self._n and not compare(self._last, 0, self.buf, self.pos, self._n):
            return False
        if not self.is_there():
            return False
        copy(self._last, 0, self.buf, self.pos, self._n)
        return True


class Thresholds:
    """An array of thresholds, and one of the actions that belong to them, of an object."""

    def __init__(self, model, row, thresholds, actions):
        self.model = model
        self.row = row
        self.actions = actions
        self._buf = slots.source(model, row, thresholds)
        self._at = slots.offset(model, row, thresholds)
        self.states = b""  # an octet a threshold; empty: nothing has been crossed yet

    def look(self, value):
        """hold() if there is something new."""
        if value.is_new() or (not self.states and value.is_there()):
            self.hold(value)

    def hold(self, value):
        """Hold a Monitored against them: the scripts of those that it has crossed are executed."""
        buf = self._buf
        at = self._at
        n = buf[at + 1]
        states = self.states
        if len(states) != n:
            states = self.states = bytearray(n)
        at += 2
        for k in range(n):
            if not is_number(buf[at]):
                return  # of a definition
            if buf[at] == value.buf[value.pos]:
                state = _ABOVE if is_above(value.buf, value.pos, buf, at) else _NOT_ABOVE
                before = states[k]
                if state != before:
                    states[k] = state
                    if before != _UNKNOWN:
                        self._execute(k, _UP_AT if state == _ABOVE else _DOWN_AT)
                        if self.states is not states:
                            return  # the script has set this object
            at += 1 + _LENGTHS[buf[at]]

    def _execute(self, k, which):
        model = self.model
        buf = slots.source(model, self.row, self.actions)
        at = slots.offset(model, self.row, self.actions)
        if k < buf[at + 1]:
            script_table.run(model, self.row, buf, at + 2 + k * _ACTIONS_LEN + which, True)


def target(model, row, buf, at):
    """Row of the object, in the device of `row`, whose stored attribute buf[at:] refers to; -1:
    there is none."""
    found = slots.find_object(
        model, slots.device_of(model, row), buf, at + _CLASS_AT, at + _NAME_AT
    )
    index = buf[at + _INDEX_AT]
    if found >= 0 and 1 < index <= model.n_attributes(found):
        if model.kind(found, index) != _COMPUTED:
            return found
    return -1


def check_numbers(buf, pos, end, tag):
    """May this array be thresholds of a value with this tag (-1: of any)? data_access_result."""
    if buf[pos + 1] > _MAX:
        return _OTHER_REASON
    at = pos + 2
    while at < end:
        result = check_number(buf, at, tag)
        if result:
            return result
        at = skip(buf, at, end)
    return _SUCCESS


def check_number(buf, at, tag):
    """May this be a threshold of a value with this tag (-1: of any)? data_access_result."""
    if tag >= 0 and buf[at] != tag:
        return _TYPE_UNMATCHED
    return _SUCCESS if is_number(buf[at]) else _OTHER_REASON


def check_count(buf, pos):
    """May this array, of structures of the right type, be actions? data_access_result."""
    return _OTHER_REASON if buf[pos + 1] > _MAX else _SUCCESS


def is_number(tag):
    return tag < 25 and (_TAGS_SIGNED | _TAGS_FLOAT | _TAGS_UNSIGNED) >> tag & 1


def is_above(a, apos, b, bpos):
    """Is the number at a[apos:] greater than the one of the same type at b[bpos:]?"""
    tag = a[apos]
    if not is_number(tag):
        return False
    n = _LENGTHS[tag]
    apos += 1
    bpos += 1
    if not _TAGS_UNSIGNED >> tag & 1 and (a[apos] ^ b[bpos]) & 0x80:
        # One of them is negative.
        return b[bpos] & 0x80 != 0
    d = compare(a, apos, b, bpos, n)
    if _TAGS_FLOAT >> tag & 1 and a[apos] & 0x80:
        d = -d
    return d > 0


# Octets of the content, by tag.
_LENGTHS = (
    b"\0\0\0\0\0\x04\x04\0\0\0\0\0\0\0\0\x01"  # double-long, double-long-unsigned, integer
    b"\x02\x01\x02\0\x08\x08\x01\x04\x08"  # long, unsigned, long-unsigned, long64, enum, floats
)
