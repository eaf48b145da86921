# SPDX-License-Identifier: MIT
"""Finding columns, elements and rows of a Profile generic, where they lie. Rows come from a ring
(see firmware/store.py): read(k, buf, pos), n, first.
"""

from cosem.slots import unsigned32
from dlms import prim
from dlms.axdr import get_u16, length, length_size, skip
from micropython import const

_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_OCTET_STRING = const(0x09)

_SUCCESS = const(0)
_TYPE_UNMATCHED = const(12)
_SCOPE_VIOLATED = const(13)

# A capture object definition: 02 04 12 class class 09 06 logical_name 0F attribute 12 index index.
_DEFINITION_LEN = const(18)


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
