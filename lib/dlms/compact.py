# SPDX-License-Identifier: MIT
"""A Data taken apart as compact-array does it (IEC 62056-5-3): what it is, and what it holds.

A TypeDescription is a tag; for an array 01, u16 count and the type of its elements; for a
structure 02, count and the types of its elements. The contents are the octets of the Data without
its tags and without the counts of arrays and structures; a string keeps its length, and null-data
occupies nothing. Nothing is allocated.
"""

from dlms.axdr import length, length_size, skip, width
from dlms.prim import copy
from dlms.types import check
from micropython import const

_NULL = const(0x00)
_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_BIT_STRING = const(0x04)
_COMPACT_ARRAY = const(0x13)
_VARIABLE = const(0xFE)

# In one octet, and without the length forms that a count of more might have.
_MOST_ELEMENTS = const(127)


def put_type(buf, pos, end, out, at, limit):
    """Write the TypeDescription of the Data at buf[pos:end], which is whole, to out[at:limit];
    returns its end, or -1: there is no room, or no description of such a value.

    There is none of an array whose elements differ in type, and of a compact-array inside. The
    elements of an empty array are described as null-data.
    """
    if at >= limit:
        return -1
    tag = buf[pos]
    out[at] = tag
    at += 1
    if tag == _COMPACT_ARRAY:
        return -1
    if tag != _ARRAY and tag != _STRUCTURE:
        return at
    n = length(buf, pos + 1, end)
    pos += 1 + length_size(buf, pos + 1)
    if tag == _STRUCTURE:
        if n > _MOST_ELEMENTS or at >= limit:
            return -1
        out[at] = n
        at += 1
        while n and at >= 0:
            at = put_type(buf, pos, end, out, at, limit)
            pos = skip(buf, pos, end)
            n -= 1
        return at
    if n >= 0xFFFF or limit - at < 3:
        return -1
    out[at] = n >> 8
    out[at + 1] = n & 0xFF
    at += 2
    if not n:
        out[at] = _NULL
        return at + 1
    first = at
    at = put_type(buf, pos, end, out, first, limit)
    if at < 0:
        return -1
    pos = skip(buf, pos, end)
    while n > 1:
        pos = check(out, first, buf, pos, end)
        if pos < 0:
            return -1
        n -= 1
    return at


def put_contents(buf, pos, end, out, at):
    """Write the contents of the values at buf[pos:end], which are whole, to out[at:]; their end.

    out may be buf: the contents are shorter, and may take the place of what they were.
    """
    while pos < end:
        tag = buf[pos]
        pos += 1
        if tag == _ARRAY or tag == _STRUCTURE:
            pos += length_size(buf, pos)
            continue
        n = width(tag)
        if n == _VARIABLE:
            n = length(buf, pos, end)
            if tag == _BIT_STRING:
                n = n + 7 >> 3
            n += length_size(buf, pos)
        if n:
            copy(out, at, buf, pos, n)
            at += n
            pos += n
    return at
