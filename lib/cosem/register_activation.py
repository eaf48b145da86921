# SPDX-License-Identifier: MIT
"""Register activation (class_id 6, version 0; IEC 62056-6-2, 4.3.5).

register_assignment names registers, mask_list names sets of them by their index (from 1), and
active_mask says which set counts. model.counting, a bit a row, says which registers count; the
tick after one of the three has changed makes it anew. A register that no object assigns always
counts; one that several objects assign counts if one of them has it active.

Project-defined: add_mask replaces a mask of the same name; the active mask and masks that are not
there cannot be deleted, active_mask must be in mask_list or empty (nothing counts), an index must
be in register_assignment, a name occurs once, all arrays have at most 127 elements: other-reason.
Ticks may allocate, requests do not.
"""

from cosem import handler, slots
from dlms.axdr import get_u16
from dlms.prim import compare, copy
from micropython import const

_REGISTER_ASSIGNMENT = const(2)
_MASK_LIST = const(3)
_ACTIVE_MASK = const(4)

_ADD_REGISTER = const(1)
_ADD_MASK = const(2)
_DELETE_MASK = const(3)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)

_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_OCTET_STRING = const(0x09)
_UNSIGNED = const(0x11)
_LONG_UNSIGNED = const(0x12)

_REGISTER = const(3)
_DEMAND_REGISTER = const(5)

_FAR = const(0x3FFFFFFF)

# An element of register_assignment: 02 02 12 class class 09 06 logical_name.
_OBJECT_LEN = const(13)


class Handler(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.rows = []
        self._stale = True

    def start(self, row):
        self.rows.append(row)

    def sleeps(self):
        return not self._stale

    def due(self):
        return _FAR

    def resume(self, due):
        self._stale = False

    def _load(self):
        # Not when a mask is set: a script sets several, and whoever runs it may have to hurry.
        model = self.model
        # A bit for each row: it is in a register_assignment; it is in a mask that is active.
        counts = bytearray(model.n_rows() + 7 >> 3)
        listed = bytearray(len(counts))
        for r in self.rows:
            buf = slots.source(model, r, _REGISTER_ASSIGNMENT)
            at = slots.offset(model, r, _REGISTER_ASSIGNMENT)
            masks = slots.source(model, r, _MASK_LIST)
            mask = _find_mask(
                masks,
                slots.offset(model, r, _MASK_LIST),
                slots.source(model, r, _ACTIVE_MASK),
                slots.offset(model, r, _ACTIVE_MASK),
            )
            device = slots.device_of(model, r)
            o = at + 2
            for j in range(buf[at + 1]):
                row = slots.find_object(model, device, buf, o + 3, o + 7)
                if row >= 0:
                    bit = 1 << (row & 7)
                    listed[row >> 3] |= bit
                    if mask >= 0 and _has_index(masks, mask, j + 1):
                        counts[row >> 3] |= bit
                o += _OBJECT_LEN
        for k in range(len(counts)):
            counts[k] |= ~listed[k] & 0xFF
        if model.counting is None:
            model.counting = counts
        else:
            copy(model.counting, 0, counts, 0, len(counts))
        self._stale = False

    def tick(self, now):
        if self._stale:
            self._load()

    # --- Attributes -------------------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        model = self.model
        if attribute == _ACTIVE_MASK:
            if buf[pos + 1] == 0:
                return _SUCCESS
            masks = slots.source(model, row, _MASK_LIST)
            if _find_mask(masks, slots.offset(model, row, _MASK_LIST), buf, pos) < 0:
                return _OTHER_REASON
            return _SUCCESS
        if buf[pos + 1] > 127:
            return _OTHER_REASON
        if attribute == _MASK_LIST:
            return self._check_masks(row, buf, pos, self._n_registers(row))
        for j in range(buf[pos + 1]):
            o = pos + 2 + j * _OBJECT_LEN
            dar = self._check_object(row, buf, o)
            if dar:
                return dar
            if _find_object(buf, pos + 2, j, buf, o) >= 0:
                return _OTHER_REASON
        # The masks that are there must stay true.
        masks = slots.source(model, row, _MASK_LIST)
        at = slots.offset(model, row, _MASK_LIST)
        return self._check_masks(row, masks, at, buf[pos + 1])

    def _check_object(self, row, buf, pos):
        class_id = get_u16(buf, pos + 3)
        if class_id < _REGISTER or class_id > _DEMAND_REGISTER:
            return _OTHER_REASON
        device = slots.device_of(self.model, row)
        if slots.find_object(self.model, device, buf, pos + 3, pos + 7) < 0:
            return _OBJECT_UNDEFINED
        return _SUCCESS

    def _check_masks(self, row, buf, pos, n_registers):
        n = buf[pos + 1]
        at = pos + 2
        for j in range(n):
            if buf[at + 3] > 127:
                return _OTHER_REASON
            first = _find_mask(buf, pos, buf, at + 2)
            if first != at:
                return _OTHER_REASON
            at = _indexes(buf, at, n_registers)
            if at < 0:
                return _OTHER_REASON
        return _SUCCESS

    def changed(self, row, attribute):
        self._stale = True

    def _n_registers(self, row):
        model = self.model
        at = slots.offset(model, row, _REGISTER_ASSIGNMENT)
        return slots.source(model, row, _REGISTER_ASSIGNMENT)[at + 1]

    # --- Methods ----------------------------------------------------------------------------

    def invoke(self, s, method, buf, pos, end):
        row = s.row
        if method == _ADD_REGISTER:
            result = self._add_register(row, buf, pos, end)
        elif method == _ADD_MASK:
            result = self._add_mask(row, buf, pos, end)
        elif method == _DELETE_MASK:
            result = self._delete_mask(row, buf, pos, end)
        else:
            return _OBJECT_UNDEFINED
        if not result:
            self._stale = True
        return result

    def _add_register(self, row, buf, pos, end):
        model = self.model
        if (
            end - pos != _OBJECT_LEN
            or buf[pos] != _STRUCTURE
            or buf[pos + 1] != 2
            or buf[pos + 2] != _LONG_UNSIGNED
            or buf[pos + 5] != _OCTET_STRING
            or buf[pos + 6] != 6
        ):
            return _TYPE_UNMATCHED
        result = self._check_object(row, buf, pos)
        if result:
            return result
        at = model.own(row, _REGISTER_ASSIGNMENT)
        if at < 0:
            return -1 - at
        image = model.image
        n = image[at + 1]
        size = model.value_len(row, _REGISTER_ASSIGNMENT)
        if n >= 127 or size + _OBJECT_LEN > model.capacity(row, _REGISTER_ASSIGNMENT):
            return _OTHER_REASON
        if _find_object(image, at + 2, n, buf, pos) >= 0:
            return _OTHER_REASON
        copy(image, at + size, buf, pos, _OBJECT_LEN)
        image[at + 1] = n + 1
        slots.set_len(image, at, size + _OBJECT_LEN)
        return _SUCCESS

    def _add_mask(self, row, buf, pos, end):
        model = self.model
        if not _is_mask(buf, pos, end):
            return _TYPE_UNMATCHED
        if _indexes(buf, pos, self._n_registers(row)) != end:
            return _OTHER_REASON
        at = model.own(row, _MASK_LIST)
        if at < 0:
            return -1 - at
        image = model.image
        size = model.value_len(row, _MASK_LIST)
        old = _find_mask(image, at, buf, pos + 2)
        gone = _mask_len(image, old) if old >= 0 else 0
        if size - gone + end - pos > model.capacity(row, _MASK_LIST):
            return _OTHER_REASON
        if old < 0 and image[at + 1] >= 127:
            return _OTHER_REASON
        if old >= 0:
            copy(image, old, image, old + gone, at + size - old - gone)
            size -= gone
        else:
            image[at + 1] += 1
        copy(image, at + size, buf, pos, end - pos)
        slots.set_len(image, at, size + end - pos)
        return _SUCCESS

    def _delete_mask(self, row, buf, pos, end):
        model = self.model
        if end - pos < 2 or buf[pos] != _OCTET_STRING or end - pos != 2 + buf[pos + 1]:
            return _TYPE_UNMATCHED
        at = model.own(row, _MASK_LIST)
        if at < 0:
            return -1 - at
        image = model.image
        old = _find_mask(image, at, buf, pos)
        active = slots.source(model, row, _ACTIVE_MASK)
        if old < 0 or _same_name(active, slots.offset(model, row, _ACTIVE_MASK), buf, pos):
            return _OTHER_REASON
        gone = _mask_len(image, old)
        size = model.value_len(row, _MASK_LIST)
        copy(image, old, image, old + gone, at + size - old - gone)
        image[at + 1] -= 1
        slots.set_len(image, at, size - gone)
        return _SUCCESS


# --- Octets: a mask is 02 02 09 n name 01 n (11 index)* ---------------------------------------


def _is_mask(buf, pos, end):
    if end - pos < 6 or buf[pos] != _STRUCTURE or buf[pos + 1] != 2:
        return False
    if buf[pos + 2] != _OCTET_STRING or buf[pos + 3] > 127:
        return False
    at = pos + 4 + buf[pos + 3]
    if at + 2 > end or buf[at] != _ARRAY or buf[at + 1] > 127:
        return False
    if at + 2 + 2 * buf[at + 1] != end:
        return False
    for i in range(at + 2, end, 2):
        if buf[i] != _UNSIGNED:
            return False
    return True


def _mask_len(buf, pos):
    at = pos + 4 + buf[pos + 3]
    return at + 2 + 2 * buf[at + 1] - pos


def _has_index(buf, pos, index):
    """Does the mask at pos list this register?"""
    at = pos + 4 + buf[pos + 3]
    for i in range(at + 3, at + 3 + 2 * buf[at + 1], 2):
        if buf[i] == index:
            return True
    return False


def _indexes(buf, pos, n_registers):
    """Position after the mask at pos, -1 if one of its indexes names no register."""
    at = pos + 4 + buf[pos + 3]
    n = buf[at + 1]
    if n > 127:
        return -1
    at += 2
    while n:
        if buf[at + 1] == 0 or buf[at + 1] > n_registers:
            return -1
        at += 2
        n -= 1
    return at


def _same_name(a, apos, b, bpos):
    """Are these two octet-strings of up to 127 octets the same?"""
    return a[apos + 1] == b[bpos + 1] and compare(a, apos + 2, b, bpos + 2, a[apos + 1]) == 0


def _find_mask(buf, pos, name, name_pos):
    """Position of the mask with the name (octet-string) in the mask_list at pos, or -1."""
    n = buf[pos + 1]
    pos += 2
    while n:
        if _same_name(buf, pos + 2, name, name_pos):
            return pos
        pos += _mask_len(buf, pos)
        n -= 1
    return -1


def _find_object(buf, pos, n, key, key_pos):
    """Number of the element key[key_pos:] among the n of a register_assignment, or -1."""
    for j in range(n):
        if compare(buf, pos + j * _OBJECT_LEN, key, key_pos, _OBJECT_LEN) == 0:
            return j
    return -1
