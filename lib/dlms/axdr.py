# SPDX-License-Identifier: MIT
"""A-XDR (IEC 61334-6) as IEC 62056-5-3 uses it: lengths, and how long a Data is.

Functions take (buf, pos, end) and return positions; -1 says that the octets do not form what was
asked for (truncated, unknown tag, nested too deeply, length out of bounds). Nothing is allocated.
"""

from micropython import const

_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_BIT_STRING = const(0x04)
_COMPACT_ARRAY = const(0x13)
_LAST_TAG = const(0x21)
_DONT_CARE = const(0xFF)

# The deepest nesting that is followed. Association object_list needs 6, a script's data 4.
_MAX_DEPTH = const(10)

# Octets after the tag, by tag; 0xFE: a length comes first; 0xFF: no such tag.
# array, structure, bit-string and compact-array are handled apart.
_WIDTH = (
    b"\x00\xfe\xfe\x01\xfe\x04\x04\xff\xff\xfe\xfe\xff\xfe\x01\xff\x01"
    b"\x02\x01\x02\xfe\x08\x08\x01\x04\x08\x0c\x05\x04\x01\x02\x04\x01\x02\x04"
)
_VARIABLE = const(0xFE)
_UNKNOWN = const(0xFF)


def width(tag):
    """Octets that follow the tag of a fixed-size type; 0xFE variable, 0xFF unknown."""
    if tag <= _LAST_TAG:
        return _WIDTH[tag]
    return 0 if tag == _DONT_CARE else _UNKNOWN


def length(buf, pos, end):
    """Value of the length field at pos, or -1. Its own size is length_size()."""
    if pos >= end:
        return -1
    n = buf[pos]
    if n < 0x80:
        return n
    size = n & 0x7F
    if size == 0 or size > 4 or pos + size >= end:
        return -1
    n = 0
    while size:
        pos += 1
        # Nothing that long fits a buffer; and a larger int would be allocated on 32 bits.
        if n > 0xFFFF:
            return -1
        n = n << 8 | buf[pos]
        size -= 1
    return n


def length_size(buf, pos):
    """Octets of the length field at pos (1 to 5)."""
    n = buf[pos]
    return 1 if n < 0x80 else 1 + (n & 0x7F)


def put_length(buf, pos, n):
    """Write n, up to 2**24 - 1, as a length in its shortest form; returns the end."""
    if n < 0x80:
        buf[pos] = n
        return pos + 1
    if n < 0x100:
        buf[pos] = 0x81
        buf[pos + 1] = n
        return pos + 2
    if n < 0x10000:
        buf[pos] = 0x82
        return put_u16(buf, pos + 1, n)
    buf[pos] = 0x83
    buf[pos + 1] = n >> 16
    return put_u16(buf, pos + 2, n)


def get_u16(buf, pos):
    return buf[pos] << 8 | buf[pos + 1]


def put_u16(buf, pos, value):
    buf[pos] = value >> 8 & 0xFF
    buf[pos + 1] = value & 0xFF
    return pos + 2


def get_u32(buf, pos):
    """An unsigned of four octets; above 2**30 it is allocated on 32-bit boards."""
    return buf[pos] << 24 | buf[pos + 1] << 16 | buf[pos + 2] << 8 | buf[pos + 3]


def get_small_u32(buf, pos):
    """An unsigned of four octets, or -1 if it is 2**24 or more: for counts and block numbers."""
    if buf[pos]:
        return -1
    return buf[pos + 1] << 16 | buf[pos + 2] << 8 | buf[pos + 3]


def put_u32(buf, pos, value):
    buf[pos] = value >> 24 & 0xFF
    buf[pos + 1] = value >> 16 & 0xFF
    buf[pos + 2] = value >> 8 & 0xFF
    buf[pos + 3] = value & 0xFF
    return pos + 4


def skip(buf, pos, end, depth=_MAX_DEPTH):
    """Position after the Data at pos, or -1."""
    if pos >= end or depth == 0:
        return -1
    tag = buf[pos]
    if tag > _LAST_TAG:
        return pos + 1 if tag == _DONT_CARE else -1
    w = _WIDTH[tag]
    pos += 1
    if w < _VARIABLE:
        pos += w
        return pos if pos <= end else -1
    if w == _UNKNOWN:
        return -1
    if tag == _COMPACT_ARRAY:
        pos = skip_type(buf, pos, end, depth)
        if pos < 0:
            return -1
    n = length(buf, pos, end)
    if n < 0:
        return -1
    pos += length_size(buf, pos)
    if tag == _ARRAY or tag == _STRUCTURE:
        # An element takes at least one octet: a count that cannot be true is refused at once.
        if n > end - pos:
            return -1
        while n:
            pos = skip(buf, pos, end, depth - 1)
            if pos < 0:
                return -1
            n -= 1
        return pos
    if tag == _BIT_STRING:
        n = (n + 7) >> 3
    pos += n
    return pos if pos <= end else -1


def skip_type(buf, pos, end, depth=_MAX_DEPTH):
    """Position after the TypeDescription of a compact-array at pos, or -1."""
    if pos >= end or depth == 0:
        return -1
    tag = buf[pos]
    pos += 1
    if tag == _ARRAY:
        return skip_type(buf, pos + 2, end, depth - 1)
    if tag == _STRUCTURE:
        if pos >= end:
            return -1
        n = buf[pos]
        pos += 1
        while n:
            pos = skip_type(buf, pos, end, depth - 1)
            if pos < 0:
                return -1
            n -= 1
        return pos
    return -1 if tag == _COMPACT_ARRAY or width(tag) == _UNKNOWN else pos


def is_list_of(buf, pos, end, n):
    """True if buf[pos:end] is a SEQUENCE OF exactly n Data."""
    if length(buf, pos, end) != n:
        return False
    pos += length_size(buf, pos)
    while n:
        pos = skip(buf, pos, end)
        if pos < 0:
            return False
        n -= 1
    return pos == end
