# SPDX-License-Identifier: MIT
"""Register monitor (class_id 21, version 0; IEC 62056-6-2, 4.5.6).

Each second monitored_value is held against the thresholds. When it has come above one since the
last look, the script action_up of the same place in `actions` is executed; when it is no longer
above it, action_down. A value that is equal to a threshold is not above it (uncertain: public
texts only say that it crosses it). A threshold without actions does nothing.

What is there at the start, or after one of the attributes was set, has crossed nothing. Passed
over are thresholds of another type than the value, and values that are no stored number. Ticks
may allocate, requests do not.
"""

from cosem import handler, script_table, slots
from dlms.axdr import skip
from dlms.prim import compare
from micropython import const

_THRESHOLDS = const(2)
_MONITORED_VALUE = const(3)
_ACTIONS = const(4)

# Tags of numbers, a bit each from 0 on: in two's complement, with a sign of their own, without.
_TAGS_SIGNED = const(1 << 5 | 1 << 15 | 1 << 16 | 1 << 20)
_TAGS_FLOAT = const(1 << 23 | 1 << 24)
_TAGS_UNSIGNED = const(1 << 6 | 1 << 17 | 1 << 18 | 1 << 21 | 1 << 22)

# monitored_value: 02 03 12 class_id 09 06 logical_name 0F attribute_index.
_CLASS_AT = const(3)
_NAME_AT = const(7)
_INDEX_AT = const(14)
# An entry of actions: 02 02 and two of 02 02 09 06 script_logical_name 12 script_selector.
_ACTIONS_LEN = const(28)
_UP_AT = const(2)
_DOWN_AT = const(15)

# States of a threshold.
_UNKNOWN = const(0)
_NOT_ABOVE = const(1)
_ABOVE = const(2)

_COMPUTED = const(0)
_SUCCESS = const(0)
_OTHER_REASON = const(250)


class Handler(handler.Handler):
    """on_executed(row, action_result) is called after a script was executed."""

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self._states = {}  # an octet a threshold, by row
        self.on_executed = None

    def start(self, row):
        self._states[row] = b""

    def tick(self, now):
        for row in self._states:
            self._look(row)

    def _look(self, row):
        model = self.model
        buf = slots.source(model, row, _MONITORED_VALUE)
        at = slots.offset(model, row, _MONITORED_VALUE)
        target = self._monitored(row, buf, at)
        if target < 0:
            return
        index = buf[at + _INDEX_AT]
        value = slots.source(model, target, index)
        pos = slots.offset(model, target, index)
        buf = slots.source(model, row, _THRESHOLDS)
        at = slots.offset(model, row, _THRESHOLDS)
        end = at + model.value_len(row, _THRESHOLDS)
        n = buf[at + 1]
        if len(self._states[row]) != n:
            self._states[row] = bytearray(n)
        at += 2
        for k in range(n):
            if buf[at] == value[pos]:
                self._hold(row, k, _ABOVE if is_above(value, pos, buf, at) else _NOT_ABOVE)
            at = skip(buf, at, end)
            if len(self._states[row]) != n:
                return  # the script has set this object

    def _hold(self, row, k, state):
        """Threshold k is in this state now: execute what belongs to the change."""
        states = self._states[row]
        before = states[k]
        states[k] = state
        if before == _UNKNOWN or before == state:
            return
        model = self.model
        buf = slots.source(model, row, _ACTIONS)
        at = slots.offset(model, row, _ACTIONS)
        if k < buf[at + 1]:
            at += 2 + k * _ACTIONS_LEN + (_UP_AT if state == _ABOVE else _DOWN_AT)
            result = script_table.run(model, slots.device_of(model, row), buf, at)
            if self.on_executed is not None:
                self.on_executed(row, result)

    def _monitored(self, row, buf, at):
        """Row of the object whose stored attribute buf[at:] names; -1: there is none."""
        model = self.model
        device = slots.device_of(model, row)
        target = slots.find_object(model, device, buf, at + _CLASS_AT, at + _NAME_AT)
        index = buf[at + _INDEX_AT]
        if target >= 0 and 0 < index <= model.n_attributes(target):
            if model.kind(target, index) != _COMPUTED and index != 1:
                return target
        return -1

    # --- Attributes -------------------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        if attribute == _MONITORED_VALUE:
            return _SUCCESS if self._monitored(row, buf, pos) >= 0 else _OTHER_REASON
        if buf[pos + 1] > 127:
            return _OTHER_REASON
        if attribute == _THRESHOLDS:
            at = pos + 2
            while at < end:
                if not is_number(buf[at]):
                    return _OTHER_REASON
                at = skip(buf, at, end)
        return _SUCCESS

    def changed(self, row, attribute):
        self._states[row] = b""


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
