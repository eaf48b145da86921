# SPDX-License-Identifier: MIT
"""Integers as decimal characters, and back, of any width up to 64 bits and times a power of ten:
nothing is allocated on boards of 32 bits either. One number at a time is worked on.
"""

from dlms.prim import copy, fill
from micropython import const

_ENUM = const(0x16)
# Tags of numbers, and of those that have a sign, as bits: boolean, bcd, integers, enum.
_NUMBERS = const(0x77A068)
_SIGNED = const(0x11A020)

# A number, with room for what a power of ten adds to it, and its digits, the last one first.
_SIZE = const(12)
_number = bytearray(_SIZE)
_digits = bytearray(29)


def is_signed(tag):
    return _SIGNED >> tag & 1


def is_number(tag):
    return tag <= _ENUM and _NUMBERS >> tag & 1


def _load(buf, at, n, signed):
    """Make _number the magnitude of n octets; True: it is negative."""
    fill(_number, 0, _SIZE - n, 0)
    copy(_number, _SIZE - n, buf, at, n)
    if not signed or buf[at] < 0x80:
        return False
    _negate(_SIZE - n)
    return True


def _negate(first):
    """_number[first:] becomes its two's complement."""
    carry = 1
    i = _SIZE - 1
    while i >= first:
        x = (_number[i] ^ 0xFF) + carry
        _number[i] = x & 0xFF
        carry = x >> 8
        i -= 1


def _divide():
    """_number // 10; the remainder."""
    rest = 0
    for i in range(_SIZE):
        x = rest << 8 | _number[i]
        _number[i] = x // 10
        rest = x % 10
    return rest


def _multiply(digit):
    """_number * 10 + digit; False: it does not fit."""
    i = _SIZE - 1
    while i >= 0:
        x = _number[i] * 10 + digit
        _number[i] = x & 0xFF
        digit = x >> 8
        i -= 1
    return digit == 0


def _is_zero():
    for i in range(_SIZE):
        if _number[i]:
            return False
    return True


def put_number(out, pos, limit, buf, at, n, signed, shift):
    """The integer of n octets, times ten to the power of shift."""
    negative = _load(buf, at, n, signed)
    k = 0
    while not _is_zero():
        _digits[k] = _divide()
        k += 1
    if not k:
        _digits[0] = 0
        k = 1
        shift = min(shift, 0)
    # Digits in front of the point, and behind it.
    whole = max(k + shift, 1)
    places = max(-shift, 0)
    if pos + negative + whole + (places + 1 if places else 0) > limit:
        return -1
    if negative:
        out[pos] = 0x2D
        pos += 1
    i = whole + places
    while i:
        i -= 1
        if i == places - 1:
            out[pos] = 0x2E
            pos += 1
        # Digit i of the number in units of its last place: the zeros of a shift come last.
        j = i - max(shift, 0)
        out[pos] = 0x30 + (_digits[j] if 0 <= j < k else 0)
        pos += 1
    return pos


def get_number(buf, pos, end, out, at, n, signed, shift):
    """The decimal number buf[pos:end] as an integer of n octets, in units of ten to the power of
    shift, at out[at:]. False: it is none, has more places than there are, or does not fit."""
    fill(_number, 0, _SIZE, 0)
    negative = pos < end and buf[pos] == 0x2D
    if negative:
        pos += 1
    places = -1
    some = False
    while pos < end:
        x = buf[pos] - 0x30
        pos += 1
        if x == -2 and places < 0:
            places = 0
        elif 0 <= x <= 9:
            if not _multiply(x):
                return False
            some = True
            if places >= 0:
                places += 1
        else:
            return False
    if not some:
        return False
    shift += max(places, 0)
    if _is_zero():
        shift = 0
    while shift > 0:
        if _divide():
            return False
        shift -= 1
    while shift < 0:
        if not _multiply(0):
            return False
        shift += 1
    for i in range(_SIZE - n):
        if _number[i]:
            return False
    if negative and not _is_zero():
        if not signed:
            return False
        _negate(_SIZE - n)
        if _number[_SIZE - n] < 0x80:
            return False
    elif signed and _number[_SIZE - n] >= 0x80:
        return False
    copy(out, at, _number, _SIZE - n, n)
    return True
