# SPDX-License-Identifier: MIT
"""Type descriptions and the walker that holds a Data against one.

The language is the TypeDescription of compact-array (IEC 62056-5-3: a tag; array = 01, u16 count,
type; structure = 02, count, types), with marks of the project's own, which never go on the wire:

    array count FFFF   any number of elements
    80 n               octet-string of exactly n octets
    81 n TYPE...       CHOICE of n types, told apart by their tag
    82                 any Data
    83 tag lo hi       a one-octet type whose octet lies in lo..hi (enum, unsigned)
    84 n               visible-string of exactly n octets
    85 n               bit-string of exactly n bits
    86 n               octet-string of at most n octets
    87 tag n (lo hi)   as 83, in one of n such ranges

Descriptions come from the generator and are trusted; the Data is not. Nothing is allocated.
"""

from dlms.axdr import length, length_size, skip, width
from micropython import const

_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_BIT_STRING = const(0x04)
_OCTET_STRING = const(0x09)
_VISIBLE_STRING = const(0x0A)

_OCTETS_N = const(0x80)
_CHOICE = const(0x81)
_ANY = const(0x82)
_RANGE = const(0x83)
_VISIBLE_N = const(0x84)
_BITS_N = const(0x85)
_OCTETS_MAX = const(0x86)
_RANGES = const(0x87)

_ANY_COUNT = const(0xFFFF)
_MAX_DEPTH = const(10)  # as in axdr.py: what is accepted here can be skipped there
_VARIABLE = const(0xFE)


def shortest(buf, pos, n):
    """True if length n at pos has its shortest form: stored values are read at fixed places."""
    return length_size(buf, pos) == (1 if n < 0x80 else 2 if n < 0x100 else 3)


def skip_type(types, tp):
    """Position after the type description at tp."""
    tag = types[tp]
    if tag == _ARRAY:
        return skip_type(types, tp + 3)
    if tag == _STRUCTURE or tag == _CHOICE:
        n = types[tp + 1]
        tp += 2
        while n:
            tp = skip_type(types, tp)
            n -= 1
        return tp
    if tag == _RANGE:
        return tp + 4
    if tag == _RANGES:
        return tp + 3 + 2 * types[tp + 2]
    if _OCTETS_N <= tag <= _OCTETS_MAX and tag != _ANY:
        return tp + 2
    return tp + 1


def tag_of(types, tp):
    """The A-XDR tag that a value of the type at tp starts with; -1 for CHOICE and any."""
    tag = types[tp]
    if tag == _OCTETS_N or tag == _OCTETS_MAX:
        return _OCTET_STRING
    if tag == _RANGE or tag == _RANGES:
        return types[tp + 1]
    if tag == _VISIBLE_N:
        return _VISIBLE_STRING
    if tag == _BITS_N:
        return _BIT_STRING
    if tag == _CHOICE or tag == _ANY:
        return -1
    return tag


def check(types, tp, buf, pos, end, depth=_MAX_DEPTH):
    """Position after the Data at buf[pos:end] if it is of the type at tp, else -1."""
    if pos >= end or depth == 0:
        return -1
    tag = types[tp]
    if tag == _ANY:
        return skip(buf, pos, end, depth)
    if tag == _CHOICE:
        n = types[tp + 1]
        tp += 2
        first = buf[pos]
        while n:
            if tag_of(types, tp) == first:
                return check(types, tp, buf, pos, end, depth)
            tp = skip_type(types, tp)
            n -= 1
        return -1
    if buf[pos] != tag_of(types, tp):
        return -1
    if tag == _STRUCTURE:
        n = types[tp + 1]
        pos += 1
        if pos >= end or buf[pos] != n:
            return -1
        pos += 1
        tp += 2
        while n:
            pos = check(types, tp, buf, pos, end, depth - 1)
            if pos < 0:
                return -1
            tp = skip_type(types, tp)
            n -= 1
        return pos
    if tag == _ARRAY:
        wanted = types[tp + 1] << 8 | types[tp + 2]
        pos += 1
        n = length(buf, pos, end)
        if n < 0 or n > end - pos or (wanted != _ANY_COUNT and n != wanted):
            return -1
        if not shortest(buf, pos, n):
            return -1
        pos += length_size(buf, pos)
        tp += 3
        while n:
            pos = check(types, tp, buf, pos, end, depth - 1)
            if pos < 0:
                return -1
            n -= 1
        return pos
    after = skip(buf, pos, end)
    if after < 0 or width(buf[pos]) != _VARIABLE:
        if after >= 0 and tag == _RANGE:
            return after if types[tp + 2] <= buf[pos + 1] <= types[tp + 3] else -1
        if after >= 0 and tag == _RANGES:
            n = types[tp + 2]
            tp += 3
            while n and not types[tp] <= buf[pos + 1] <= types[tp + 1]:
                tp += 2
                n -= 1
            return after if n else -1
        return after
    n = length(buf, pos + 1, end)
    if not shortest(buf, pos + 1, n):
        return -1
    if tag < _OCTETS_N:
        return after
    if tag == _OCTETS_MAX:
        return after if n <= types[tp + 1] else -1
    return after if n == types[tp + 1] else -1
