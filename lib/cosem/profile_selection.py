# SPDX-License-Identifier: MIT
"""Comparing values and finding columns and rows: the arithmetic of Profile generic.

Values stay A-XDR and are compared where they lie, whatever their width, so that a 64-bit register
on a 32-bit board allocates nothing. Rows come from a ring (see firmware/store.py): read(k, buf,
pos), n, first.
"""

from cosem.slots import unsigned32
from dlms import prim
from dlms.axdr import get_u16, length, length_size, skip
from micropython import const

_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_BOOLEAN = const(0x03)
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

_SUCCESS = const(0)
_TYPE_UNMATCHED = const(12)
_SCOPE_VIOLATED = const(13)

# A capture object definition: 02 04 12 class class 09 06 logical_name 0F attribute 12 index index.
_DEFINITION_LEN = const(18)


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


def column(buf, pos, j, end):
    """Position of column j of the row whose columns start at buf[pos:]; -1 if it is not whole."""
    while j:
        pos = skip(buf, pos, end)
        if pos < 0:
            return -1
        j -= 1
    return pos if pos < end else -1


def element(buf, pos, end, data_index):
    """Position of element data_index (1..) of the array or structure at pos; -1: there is none."""
    if buf[pos] != _ARRAY and buf[pos] != _STRUCTURE:
        return -1
    n = length(buf, pos + 1, end)
    if data_index > n:
        return -1
    return column(buf, pos + 1 + length_size(buf, pos + 1), data_index - 1, end)


def is_definition(buf, pos, end):
    """Is there a capture object definition at buf[pos:end]?"""
    return (
        end - pos >= _DEFINITION_LEN
        and buf[pos] == _STRUCTURE
        and buf[pos + 1] == 4
        and buf[pos + 2] == 0x12
        and buf[pos + 5] == _OCTET_STRING
        and buf[pos + 6] == 6
        and buf[pos + 13] == 0x0F
        and buf[pos + 15] == 0x12
    )


def find_definition(buf, pos, n, key, kpos):
    """Number of the capture object definition key[kpos:] among the n at buf[pos:], or -1."""
    for j in range(n):
        if prim.compare(buf, pos + j * _DEFINITION_LEN, key, kpos, _DEFINITION_LEN) == 0:
            return j
    return -1


def bits(first, last, low):
    """Columns first..last as a set of bits: columns 0..29 if low, else 30..59."""
    if not low:
        first -= 30
        last -= 30
    if first < 0:
        first = 0
    if last > 29:
        last = 29
    if last < first:
        return 0
    # 1 << 30 would be allocated on a 32-bit board.
    return (((1 << last) - 1) << 1 | 1) & ~((1 << first) - 1)


def is_set(low, high, j):
    return low >> j & 1 if j < 30 else high >> (j - 30) & 1


def count_columns(low, high, n):
    """How many of the n columns are in the set."""
    count = 0
    for j in range(n):
        count += is_set(low, high, j)
    return count


def put_columns(buf, pos, row, n, low, high, end):
    """Write the columns in the set of the row at row[0:end]; returns the end, -1: damaged.

    Columns that the row does not hold (it was cut short) become null-data.
    """
    at = 0
    for j in range(n):
        after = skip(row, at, end)
        if after < 0:
            return -1
        if is_set(low, high, j):
            prim.copy(buf, pos, row, at, after - at)
            pos += after - at
        at = after
    return pos


def parse_entries(s, n_columns):
    """Read the entry_descriptor of a Stream: s.a and s.b become from_entry and to_entry (0: the
    last), s.c and s.d, that are all columns, those which are selected; data_access_result."""
    buf = s.buf
    pos = s.sel_pos
    if s.sel_end - pos != 18 or buf[pos] != _STRUCTURE or buf[pos + 1] != 4:
        return _TYPE_UNMATCHED
    if buf[pos + 2] != 0x06 or buf[pos + 7] != 0x06:
        return _TYPE_UNMATCHED
    if buf[pos + 12] != 0x12 or buf[pos + 15] != 0x12:
        return _TYPE_UNMATCHED
    first = unsigned32(buf, pos + 3)
    last = unsigned32(buf, pos + 8)
    first_column = get_u16(buf, pos + 13)
    last_column = get_u16(buf, pos + 16)
    if first == 0 or (last and last < first):
        return _SCOPE_VIOLATED
    if first_column == 0 or (last_column and last_column < first_column):
        return _SCOPE_VIOLATED
    if first_column > n_columns and n_columns:
        return _SCOPE_VIOLATED
    if last_column == 0 or last_column > n_columns:
        last_column = n_columns
    if first_column > 1 or last_column < n_columns:
        s.c = bits(first_column - 1, last_column - 1, True)
        s.d = bits(first_column - 1, last_column - 1, False)
    s.a = first
    s.b = last
    return _SUCCESS
