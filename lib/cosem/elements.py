# SPDX-License-Identifier: MIT
"""Elements of an array in the image that come and go: what methods such as insert and delete do.
find(), index_of() and are_different() are for structures with a number, an index (02 n 12 index
...), as their first element: the entries of Schedule and Special days table (IEC 62056-6-2).

An array has at most 127 elements, and no index twice. Nothing is allocated.
"""

from cosem import slots
from dlms.axdr import get_u16, skip
from dlms.prim import compare, copy
from micropython import const

_SUCCESS = const(0)
_OTHER_REASON = const(250)

_MAX = const(127)
_INDEX_AT = const(3)
_FIRST_AT = const(2)


def index_of(buf, at):
    return get_u16(buf, at + _INDEX_AT)


def find(buf, at, n, end, index):
    """Position of the element with this index among n at buf[at:end], or -1."""
    while n:
        if index_of(buf, at) == index:
            return at
        at = skip(buf, at, end)
        n -= 1
    return -1


def are_different(buf, pos, end):
    """Has the array buf[pos:end] at most 127 elements, and no index twice?"""
    n = buf[pos + 1]
    if n > _MAX:
        return False
    at = pos + _FIRST_AT
    while n:
        after = skip(buf, at, end)
        n -= 1
        if find(buf, after, n, end, index_of(buf, at)) >= 0:
            return False
        at = after
    return True


def find_equal(buf, at, n, size, key, pos):
    """Position of the element key[pos:pos + size] among the first n of the array buf[at:], which
    are all so long, or -1."""
    at += _FIRST_AT
    while n:
        if compare(buf, at, key, pos, size) == 0:
            return at
        at += size
        n -= 1
    return -1


def remove(model, row, attribute, first):
    """Take the element at image[first:] out of an array in the image."""
    image = model.image
    at = model.slot(row, attribute)
    end = at + model.value_len(row, attribute)
    after = skip(image, first, end)
    copy(image, first, image, after, end - after)
    image[at + 1] -= 1
    slots.set_len(image, at, end - at - (after - first))


def append(model, row, attribute, buf, pos, end):
    """Put buf[pos:end] behind the elements of an array in the image; may_append() has said that
    there is room."""
    image = model.image
    at = model.slot(row, attribute)
    n = model.value_len(row, attribute)
    copy(image, at + n, buf, pos, end - pos)
    image[at + 1] += 1
    slots.set_len(image, at, n + end - pos)


def add(model, row, attribute, buf, pos, end):
    """Put buf[pos:end] behind the elements of an array, if there is room; data_access_result."""
    result = may_append(model, row, attribute, end - pos, 0, 0)
    if not result:
        append(model, row, attribute, buf, pos, end)
    return result


def may_append(model, row, attribute, size, n_gone, gone):
    """Is there room for an element of so many octets, where n_gone elements, which take `gone`
    octets, go? data_access_result; with success the array is in the image now."""
    n = slots.source(model, row, attribute)[slots.offset(model, row, attribute) + 1]
    if n - n_gone >= _MAX:
        return _OTHER_REASON
    if model.value_len(row, attribute) - gone + size > model.capacity(row, attribute):
        return _OTHER_REASON
    at = model.own(row, attribute)
    return _SUCCESS if at >= 0 else -1 - at
