# SPDX-License-Identifier: MIT
"""Where a stored attribute lies, in the image or in ROM, and its small numbers.

A definition may keep an attribute that nobody writes in ROM: a class module that reads its own
attributes asks here and need not care. Nothing is allocated.
"""

from dlms import axdr, prim, types
from micropython import const

_COMPUTED = const(0)
_RAM = const(2)
_LOGICAL_NAME = const(3)

# Marks of a type description, see dlms/types.py.
_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_OCTETS_N = const(0x80)
_RANGE = const(0x83)
_VISIBLE_N = const(0x84)
_BITS_N = const(0x85)
_OCTETS_MAX = const(0x86)
_RANGES = const(0x87)
_VARIABLE = const(0xFE)
_BIT_STRING = const(0x04)
_OCTET_STRING = const(0x09)
_VISIBLE_STRING = const(0x0A)
_UTF8_STRING = const(0x0C)

# The largest int that no board allocates.
_TOP = const(0x3FFFFFFF)

# Where find_object() puts a key together.
_KEY = bytearray(8)


def source(model, row, attribute):
    """The buffer that holds the attribute."""
    return model.image if model.kind(row, attribute) == _RAM else model.rom


def offset(model, row, attribute):
    """Position of its encoding in source()."""
    return model.place(row, attribute) + 2


def unsigned32(buf, pos):
    """Four octets as an int, at most 2**30 - 1: periods and counts, where more means the same."""
    if buf[pos] >= 0x40:
        return _TOP
    return buf[pos] << 24 | buf[pos + 1] << 16 | buf[pos + 2] << 8 | buf[pos + 3]


def octet(model, row, attribute):
    """Content of a boolean, enum or unsigned."""
    return source(model, row, attribute)[offset(model, row, attribute) + 1]


def long_unsigned(model, row, attribute):
    buf = source(model, row, attribute)
    at = offset(model, row, attribute)
    return buf[at + 1] << 8 | buf[at + 2]


def double_long_unsigned(model, row, attribute):
    """Content of a double-long-unsigned, at most 2**30 - 1."""
    return unsigned32(source(model, row, attribute), offset(model, row, attribute) + 1)


def set_len(image, at, n):
    """Set the length of the slot whose encoding is at image[at:]."""
    image[at - 2] = n >> 8
    image[at - 1] = n & 0xFF


def put_empty(image, at):
    """Make the slot whose encoding is at image[at:] an octet-string of no octets."""
    image[at] = _OCTET_STRING
    image[at + 1] = 0
    set_len(image, at, 2)


def longest(model, row, attribute):
    """Octets of the longest encoding of an attribute, stored or not; -1: there is no limit."""
    kind = model.kind(row, attribute)
    if kind == _LOGICAL_NAME:
        return 8
    if kind == _COMPUTED:
        return type_len(model.types, model.type_at(row, attribute))
    return model.capacity(row, attribute)


def longest_element(model, row, attribute, data_index):
    """Octets of the longest encoding of element data_index (1..) of an attribute; -1: no limit."""
    t = model.types
    tp = model.type_at(row, attribute)
    if t[tp] == _ARRAY:
        return type_len(t, tp + 3)
    if t[tp] != _STRUCTURE or data_index > t[tp + 1]:
        return -1
    tp += 2
    while data_index > 1:
        tp = types.skip_type(t, tp)
        data_index -= 1
    return type_len(t, tp)


def type_len(t, tp):
    """Octets of the longest value of the type at tp; -1: there is no limit."""
    tag = t[tp]
    if tag == _STRUCTURE:
        total = 2
        n = t[tp + 1]
        tp += 2
        while n:
            one = type_len(t, tp)
            if one < 0:
                return -1
            total += one
            tp = types.skip_type(t, tp)
            n -= 1
        return total
    if tag == _RANGE or tag == _RANGES:
        return 2
    if tag == _OCTETS_N or tag == _VISIBLE_N or tag == _OCTETS_MAX:
        n = t[tp + 1]
        return n + 2 if n < 0x80 else n + 3
    if tag == _BITS_N:
        n = t[tp + 1]
        return (n + 7 >> 3) + 2 if n < 0x80 else (n + 7 >> 3) + 3
    if tag >= _OCTETS_N or tag == _ARRAY:
        return -1
    n = axdr.width(tag)
    return n + 1 if n < _VARIABLE else -1


def find_object(model, device, buf, class_pos, name_pos):
    """Row of the object whose class_id and logical_name lie apart, in a device or (-1) in any."""
    _KEY[0] = buf[class_pos]
    _KEY[1] = buf[class_pos + 1]
    for i in range(6):
        _KEY[2 + i] = buf[name_pos + i]
    if device < 0:
        return model.find_any(_KEY, 0)
    return model.find(device, _KEY, 0)


def device_of(model, row):
    """Index of the logical device that has the object."""
    for i in range(len(model.devices)):
        d = model.devices[i]
        if d[1] <= row and row < d[1] + d[2]:
            return i
    return -1


def clear_value(model, row, attribute):
    """Set a value in the image to zero, a string to no octets; False if it is not in the image."""
    at = model.slot(row, attribute)
    if at < 0:
        return False
    image = model.image
    tag = image[at]
    n = axdr.width(tag)
    if n < _VARIABLE:
        prim.fill(image, at + 1, n, 0)
    elif tag == _BIT_STRING:
        size = 1 + axdr.length_size(image, at + 1)
        prim.fill(image, at + size, model.value_len(row, attribute) - size, 0)
    elif tag == _OCTET_STRING or tag == _VISIBLE_STRING or tag == _UTF8_STRING:
        image[at + 1] = 0
        set_len(image, at, 2)
    return True


def put_now(model, row, attribute, clock):
    """Write the local time into an octet-string[12] of the image."""
    at = model.slot(row, attribute)
    if at >= 0 and clock is not None:
        prim.copy(model.image, at + 2, clock.local, 0, 12)
