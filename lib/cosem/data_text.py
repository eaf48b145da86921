# SPDX-License-Identifier: MIT
"""Data sets of IEC 62056-21: names, values and units as characters, and back.

    C.D.E(value*unit)      A-B:C.D.E*F(value)      C.1.0(value)

The name is the reduced identification code of IEC 62056-6-1: A-B: is left out for 1-0: and, where
C is one of the letters C, F, L, P (96 to 99), for 0-0:; *F is left out for 255. On the way in & is
taken for *.

Values. Numbers are decimal, with the scaler applied exactly; W, VA, var and their hours come in
thousands, as kW, kVA, ... Strings of printable characters are themselves, with _ for those that
a value must not have: ( ) * / !. An octet-string of twelve octets that is a date-time is
YYMMDDhhmmss, another one is hexadecimal; so are floating-point numbers. A bit-string is zeros and
ones, null-data is nothing. Elements of arrays and structures follow one another as value)(value.

Uncertain: public texts leave the form of strings, times and structures to the manufacturer; these
are project-defined, and so is the list of units.

Functions take (out, pos, limit) and return the end, or -1: it does not fit, or has no such form.
Nothing is allocated; one value at a time is worked on.
"""

from cosem.number_text import get_number, is_number, is_signed, put_number
from dlms import axdr
from dlms.prim import compare, copy, fill
from micropython import const

_NULL_DATA = const(0x00)
_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_BIT_STRING = const(0x04)
_OCTET_STRING = const(0x09)
_VISIBLE_STRING = const(0x0A)
_UTF8_STRING = const(0x0C)
_ENUM = const(0x16)
_DATE_TIME = const(0x19)
_DATE_TIME_LEN = const(12)
_CENTURY = const(2000)
_UNSPECIFIED = const(0xFF)
_NO_DEVIATION = const(0x80)

_FIRST_LETTER = const(96)
_LETTERS = b"CFLP"
_SEPARATORS = b"\0-:..*"  # in front of A to F
_NO_F = const(255)

# Units by their number in scaler_unit, and whether the value is in thousands.
_UNITS = (
    (30, b"kWh", 3),
    (32, b"kvarh", 3),
    (31, b"kVAh", 3),
    (27, b"kW", 3),
    (29, b"kvar", 3),
    (28, b"kVA", 3),
    (35, b"V", 0),
    (33, b"A", 0),
    (44, b"Hz", 0),
    (5, b"h", 0),
    (6, b"min", 0),
    (7, b"s", 0),
    (9, b"C", 0),
    (13, b"m3", 0),
    (56, b"%", 0),
)
_HEX = b"0123456789ABCDEF"
_NOT_IN_VALUES = b"()*/!"


# --- Names ----------------------------------------------------------------------------------


def _put_count(out, pos, x):
    """An octet as decimal digits."""
    if x > 99:
        out[pos] = 0x30 + x // 100
        pos += 1
    if x > 9:
        out[pos] = 0x30 + x // 10 % 10
        pos += 1
    out[pos] = 0x30 + x % 10
    return pos + 1


def put_name(out, pos, buf, at):
    """The logical name buf[at:at + 6]: at most 23 characters."""
    c = buf[at + 2]
    letter = c - _FIRST_LETTER
    if buf[at] == 0 and buf[at + 1] == 0 and 0 <= letter < len(_LETTERS):
        out[pos] = _LETTERS[letter]
        pos += 1
    else:
        if buf[at] != 1 or buf[at + 1] != 0:
            pos = _put_count(out, pos, buf[at])
            out[pos] = 0x2D
            pos = _put_count(out, pos + 1, buf[at + 1])
            out[pos] = 0x3A
            pos += 1
        pos = _put_count(out, pos, c)
    out[pos] = 0x2E
    pos = _put_count(out, pos + 1, buf[at + 3])
    out[pos] = 0x2E
    pos = _put_count(out, pos + 1, buf[at + 4])
    if buf[at + 5] != _NO_F:
        out[pos] = 0x2A
        pos = _put_count(out, pos + 1, buf[at + 5])
    return pos


def _count_end(buf, pos, end):
    """End of a number of one to three digits at buf[pos:end]; -1: there is none."""
    start = pos
    while pos < end and pos < start + 3 and 0x30 <= buf[pos] <= 0x39:
        pos += 1
    return -1 if pos == start else pos


def _count(buf, pos, end):
    x = 0
    while pos < end:
        x = x * 10 + buf[pos] - 0x30
        pos += 1
    return x


def get_name(buf, pos, end, name, at):
    """The name at buf[pos:end] as six octets at name[at:]; the end of it, or -1: it is none."""
    name[at] = 1
    name[at + 1] = 0
    name[at + 5] = _NO_F
    field = 2
    for i in range(pos, end):
        if buf[i] == 0x3A:
            field = 0
    letter = -1
    if field and pos < end:
        for k in range(len(_LETTERS)):
            if buf[pos] == _LETTERS[k]:
                letter = k
    while True:
        if letter >= 0:
            name[at] = 0
            name[at + 2] = _FIRST_LETTER + letter
            letter = -1
            pos += 1
        else:
            after = _count_end(buf, pos, end)
            x = -1 if after < 0 else _count(buf, pos, after)
            if x < 0 or x > 255:
                return -1
            name[at + field] = x
            pos = after
        field += 1
        if field == 6:
            return pos
        if pos < end and (buf[pos] == _SEPARATORS[field] or (field == 5 and buf[pos] == 0x26)):
            pos += 1
        else:
            return pos if field == 5 else -1


# --- Values ---------------------------------------------------------------------------------


def _is_printable(x):
    return 0x20 <= x < 0x7F


def _are_printable(buf, at, n):
    for i in range(at, at + n):
        if not _is_printable(buf[i]):
            return False
    return True


def is_date_time(buf, at, n):
    """Are these octets the date-time of a year from 2000 to 2099, to the second?"""
    if n != _DATE_TIME_LEN:
        return False
    year = axdr.get_u16(buf, at)
    return (
        _CENTURY <= year < _CENTURY + 100
        and 1 <= buf[at + 2] <= 12
        and 1 <= buf[at + 3] <= 31
        and buf[at + 5] < 24
        and buf[at + 6] < 60
        and buf[at + 7] < 60
    )


def _put_date_time(out, pos, buf, at):
    pos = _put_two(out, pos, axdr.get_u16(buf, at) - _CENTURY)
    for i in range(2, 8):
        if i != 4:  # day of week
            pos = _put_two(out, pos, buf[at + i])
    return pos


def _put_two(out, pos, x):
    out[pos] = 0x30 + x // 10
    out[pos + 1] = 0x30 + x % 10
    return pos + 2


def _put_text(out, pos, buf, at, n):
    for i in range(at, at + n):
        x = buf[i]
        bad = not _is_printable(x)
        for y in _NOT_IN_VALUES:
            bad = bad or x == y
        out[pos] = 0x5F if bad else x
        pos += 1
    return pos


def put_value(out, pos, limit, buf, at, end, shift):
    """The A-XDR value buf[at:end]; numbers times ten to the power of shift."""
    tag = buf[at]
    if tag == _NULL_DATA:
        return pos
    if tag == _ARRAY or tag == _STRUCTURE:
        n = axdr.length(buf, at + 1, end)
        at += 1 + axdr.length_size(buf, at + 1)
        for k in range(n):
            after = axdr.skip(buf, at, end)
            if k:
                if limit - pos < 2:
                    return -1
                out[pos] = 0x29
                out[pos + 1] = 0x28
                pos += 2
            pos = put_value(out, pos, limit, buf, at, after, 0)
            if pos < 0:
                return -1
            at = after
        return pos
    if is_number(tag):
        scaled = 0 if tag == _ENUM else shift
        return put_number(out, pos, limit, buf, at + 1, axdr.width(tag), is_signed(tag), scaled)
    n = axdr.width(tag)
    at += 1
    if n >= 0xFE:
        n = axdr.length(buf, at, end)
        if n < 0:
            return -1
        at += axdr.length_size(buf, at)
    if tag == _BIT_STRING:
        if n > limit - pos:
            return -1
        for i in range(n):
            out[pos] = 0x31 if buf[at + (i >> 3)] << (i & 7) & 0x80 else 0x30
            pos += 1
        return pos
    if (tag == _OCTET_STRING or tag == _DATE_TIME) and is_date_time(buf, at, n):
        return -1 if limit - pos < _DATE_TIME_LEN else _put_date_time(out, pos, buf, at)
    if (
        tag == _VISIBLE_STRING
        or tag == _UTF8_STRING
        or (tag == _OCTET_STRING and _are_printable(buf, at, n))
    ):
        return -1 if n > limit - pos else _put_text(out, pos, buf, at, n)
    if 2 * n > limit - pos:
        return -1
    for i in range(at, at + n):
        out[pos] = _HEX[buf[i] >> 4]
        out[pos + 1] = _HEX[buf[i] & 15]
        pos += 2
    return pos


def thousands(unit):
    """The power of ten that a value of this unit is shown in: 3 or 0."""
    for row in _UNITS:
        if row[0] == unit:
            return row[2]
    return 0


def put_unit(out, pos, limit, unit):
    """* and the unit; nothing if it has no name here."""
    for row in _UNITS:
        if row[0] == unit:
            n = len(row[1])
            if limit - pos < n + 1:
                return -1
            out[pos] = 0x2A
            copy(out, pos + 1, row[1], 0, n)
            return pos + 1 + n
    return pos


def is_unit(buf, pos, end, unit):
    """Is buf[pos:end] the name of this unit?"""
    for row in _UNITS:
        if row[0] == unit:
            n = len(row[1])
            return end - pos == n and compare(buf, pos, row[1], 0, n) == 0
    return False


def _two(buf, pos):
    """Two decimal digits as a number; -1: they are none."""
    tens = buf[pos] - 0x30
    ones = buf[pos + 1] - 0x30
    return tens * 10 + ones if 0 <= tens <= 9 and 0 <= ones <= 9 else -1


def _nibble(x):
    if 0x30 <= x <= 0x39:
        return x - 0x30
    x &= 0xDF
    return x - 0x37 if 0x41 <= x <= 0x46 else -1


def _get_date_time(buf, pos, end, out, at):
    """YYMMDDhhmmss as a date-time without day of week, hundredths and deviation."""
    if end - pos != _DATE_TIME_LEN:
        return False
    fill(out, at, _DATE_TIME_LEN, _UNSPECIFIED)
    for i in range(6):
        x = _two(buf, pos + 2 * i)
        if x < 0:
            return False
        if i == 0:
            axdr.put_u16(out, at, _CENTURY + x)
        else:
            out[at + (i + 1 if i < 3 else i + 2)] = x
    out[at + 9] = _NO_DEVIATION
    out[at + 10] = 0
    out[at + 11] = 0
    return is_date_time(out, at, _DATE_TIME_LEN)


def get_value(buf, pos, end, out, at, limit, old, shift):
    """The characters buf[pos:end] as an A-XDR value at out[at:limit], of the type and in the form
    of the value that is there already, out[old:]; the end, or -1: that is not possible."""
    tag = out[old]
    n = end - pos
    if is_number(tag):
        width = axdr.width(tag)
        out[at] = tag
        scaled = 0 if tag == _ENUM else shift
        good = get_number(buf, pos, end, out, at + 1, width, is_signed(tag), scaled)
        return at + 1 + width if good else -1
    if tag != _OCTET_STRING and tag != _VISIBLE_STRING and tag != _UTF8_STRING:
        return -1
    if n > 127 or limit - at < n + 2:
        return -1
    was = axdr.length(out, old + 1, limit)
    first = old + 1 + axdr.length_size(out, old + 1)
    out[at] = tag
    start = at + 2
    if tag == _OCTET_STRING and is_date_time(out, first, was):
        if not _get_date_time(buf, pos, end, out, start):
            return -1
        n = _DATE_TIME_LEN
    elif tag == _OCTET_STRING and not _are_printable(out, first, was):
        if n & 1:
            return -1
        n >>= 1
        for i in range(n):
            high = _nibble(buf[pos + 2 * i])
            low = _nibble(buf[pos + 2 * i + 1])
            if high < 0 or low < 0:
                return -1
            out[start + i] = high << 4 | low
    else:
        copy(out, start, buf, pos, n)
    out[at + 1] = n
    return start + n
