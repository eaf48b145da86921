# SPDX-License-Identifier: MIT
"""Comparing values as they lie in A-XDR, whatever their width, so that a 64-bit register on a
32-bit board allocates nothing: for sorted profiles, and ranges of their buffers.
"""

from dlms import prim
from dlms.axdr import length, length_size
from micropython import const

_BIT_STRING = const(0x04)
_OCTET_STRING = const(0x09)
_VISIBLE_STRING = const(0x0A)
_UTF8_STRING = const(0x0C)
_FLOAT32 = const(0x17)
_FLOAT64 = const(0x18)

# Octets of the numbers by tag, and which of them are signed: bool i32 u32 bcd i8 i16 u8 u16 - i64
# u64 enum.
_NUMBER_LEN = (
    b"\x00\x00\x00\x01\x00\x04\x04\x00\x00\x00\x00\x00\x00\x01\x00\x01\x02\x01\x02\x00\x08\x08\x01"
)
_LAST_NUMBER = const(0x16)
_SIGNED = const(0x11A020)  # bits 5, 13, 15, 16, 20

_INCOMPARABLE = const(2)


def number_len(tag):
    """Octets of a number of this tag (not float), 0 if it is none."""
    return _NUMBER_LEN[tag] if tag <= _LAST_NUMBER else 0


def _octet_of(buf, pos, n, negative, i):
    """Octet i (0 the most significant of 8) of the number of n octets at pos, sign extended."""
    if i < 8 - n:
        return 0xFF if negative else 0
    return buf[pos + i - 8 + n]


def _magnitude_of(buf, pos, n, negative, i):
    """Octet i of the magnitude of the number."""
    if not negative:
        return _octet_of(buf, pos, n, False, i)
    x = _octet_of(buf, pos, n, True, i) ^ 0xFF
    # Two's complement: the one that is added comes through if all lower octets are 0.
    for j in range(i + 1, 8):
        if _octet_of(buf, pos, n, True, j):
            return x
    return x + 1 & 0xFF


def compare(a, apos, b, bpos, absolute):
    """-1, 0, 1 for the values (Data) at a[apos:] and b[bpos:], 2 if they cannot be compared.

    Integers, enums and booleans of any width compare as numbers, floats with floats of their
    width, strings with strings of their kind octet by octet. absolute: by distance from zero.
    """
    tag = a[apos]
    other = b[bpos]
    if tag == _FLOAT32 or tag == _FLOAT64:
        if other != tag:
            return _INCOMPARABLE
        return _compare_float(a, apos + 1, b, bpos + 1, 4 if tag == _FLOAT32 else 8, absolute)
    n = number_len(tag)
    m = number_len(other)
    if n and m:
        return _compare_number(
            a,
            apos + 1,
            n,
            _SIGNED >> tag & 1 and a[apos + 1] >= 0x80,
            b,
            bpos + 1,
            m,
            _SIGNED >> other & 1 and b[bpos + 1] >= 0x80,
            absolute,
        )
    if tag != other or not is_string(tag):
        return _INCOMPARABLE
    # Lengths were checked when the values came in.
    n = length(a, apos + 1, len(a))
    m = length(b, bpos + 1, len(b))
    apos += 1 + length_size(a, apos + 1)
    bpos += 1 + length_size(b, bpos + 1)
    if tag == _BIT_STRING:
        n = n + 7 >> 3
        m = m + 7 >> 3
    d = prim.compare(a, apos, b, bpos, n if n < m else m)
    if d or n == m:
        return d
    return -1 if n < m else 1


def is_string(tag):
    return (
        tag == _OCTET_STRING or tag == _VISIBLE_STRING or tag == _UTF8_STRING or tag == _BIT_STRING
    )


def _compare_number(a, apos, n, a_negative, b, bpos, m, b_negative, absolute):
    if not absolute and a_negative != b_negative:
        return -1 if a_negative else 1
    for i in range(8):
        if absolute:
            x = _magnitude_of(a, apos, n, a_negative, i)
            y = _magnitude_of(b, bpos, m, b_negative, i)
        else:
            x = _octet_of(a, apos, n, a_negative, i)
            y = _octet_of(b, bpos, m, b_negative, i)
        if x != y:
            return -1 if x < y else 1
    return 0


def _compare_float(a, apos, b, bpos, n, absolute):
    # IEEE 754 numbers of one sign order as their octets do.
    d = (a[apos] & 0x7F) - (b[bpos] & 0x7F)
    if d == 0:
        d = prim.compare(a, apos + 1, b, bpos + 1, n - 1)
    d = -1 if d < 0 else 1 if d > 0 else 0
    if absolute or (d == 0 and a[apos] == b[bpos]):
        return d
    if (a[apos] ^ b[bpos]) & 0x80:
        if d == 0 and _is_zero(a, apos, n):
            return 0
        return -1 if a[apos] & 0x80 else 1
    return -d if a[apos] & 0x80 else d


def _is_zero(buf, pos, n):
    if buf[pos] & 0x7F:
        return False
    for i in range(1, n):
        if buf[pos + i]:
            return False
    return True
