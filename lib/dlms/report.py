# SPDX-License-Identifier: MIT
"""InformationReport (IEC 62056-5-3): the APDU with which a meter tells variables, unasked.

    18  00, or 01 and a GeneralizedTime: length, octets  n  02 name ...  n  Data ...

null-data stands for what the client may not read, or what does not exist. The time is
YYYYMMDDhhmmss, then Z, +hhmm or -hhmm, if it is known how far from UTC it is.

Whoever sends it loads this, see cosem/notifier.py. Nothing is allocated.
"""

from dlms.axdr import get_u16, put_length, put_u16
from dlms.prim import copy
from dlms.variables import named
from micropython import const

_INFORMATION_REPORT_REQUEST = const(0x18)
_VARIABLE_NAME = const(2)
_METHOD = const(0x80)
_NULL_DATA = const(0)
_NO_NAME = const(-1)

_TIME_LEN = const(14)
_UNSPECIFIED = const(0x8000)  # deviation
_DEVIATION = const(9)
_DIGIT = const(0x30)
_PLUS = const(0x2B)
_MINUS = const(0x2D)
_Z = const(0x5A)

# Octets of a date-time that follow the year.
_PARTS = b"\x02\x03\x05\x06\x07"


def put(a, tx, pos, end, names, at, n, date_time=None):
    """Write the report of n variables, names[at : at + 2 * n], to the client of association a at
    tx[pos:end]; returns its end, or -1: there is no room.

    date_time: twelve octets, or None.
    """
    n_time = 0 if date_time is None else _time_len(date_time)
    if pos + 8 + n_time + 4 * n > end:
        return -1
    tx[pos] = _INFORMATION_REPORT_REQUEST
    tx[pos + 1] = 1 if n_time else 0
    pos += 2
    if n_time:
        _put_time(tx, put_length(tx, pos, n_time), date_time)
        pos += 1 + n_time
    pos = put_length(tx, pos, n)
    for k in range(n):
        tx[pos] = _VARIABLE_NAME
        copy(tx, pos + 1, names, at + 2 * k, 2)
        pos += 3
    pos = put_length(tx, pos, n)
    model = a.model
    for k in range(n):
        if pos >= end:
            return -1
        found = named(a, names, at + 2 * k)
        if found < 0 or found & _METHOD or a.may_read(found >> 8, found & 0xFF):
            tx[pos] = _NULL_DATA
            pos += 1
            continue
        pos = model.read(found >> 8, found & 0xFF, tx, pos, end)
        if pos < 0:
            return -1
    return pos


def put_value(a, tx, pos, end, row, attribute, date_time):
    """As put(), of one attribute of an object; 0: it has no name."""
    name = name_of(a, row, attribute)
    if name < 0:
        return 0
    if pos + 2 > end:
        return -1
    put_u16(tx, end - 2, name)
    return put(a, tx, pos, end - 2, tx, end - 2, 1, date_time)


def name_of(a, row, attribute):
    """The name of an attribute (1..), or -1."""
    model = a.model
    names = model.names
    members = model.members
    for at in range(6 * a.first_row, 6 * (a.first_row + a.n_rows), 6):
        if get_u16(names, at + 2) == row:
            place = get_u16(names, at + 4)
            for k in range(members[place]):
                if members[place + 1 + k] == attribute:
                    return get_u16(names, at) + 8 * k
    return _NO_NAME


def _deviation(date_time):
    return get_u16(date_time, _DEVIATION)


def _time_len(date_time):
    deviation = _deviation(date_time)
    return _TIME_LEN + (0 if deviation == _UNSPECIFIED else 5 if deviation else 1)


def _put_time(tx, pos, date_time):
    year = get_u16(date_time, 0)
    pos = _digits(tx, _digits(tx, pos, year // 100), year % 100)
    for i in _PARTS:
        pos = _digits(tx, pos, date_time[i])
    deviation = _deviation(date_time)
    if deviation == _UNSPECIFIED:
        return
    if not deviation:
        tx[pos] = _Z
        return
    # UTC = local time + deviation: what is ahead of UTC has a negative one.
    ahead = deviation > _UNSPECIFIED
    tx[pos] = _PLUS if ahead else _MINUS
    minutes = 0x10000 - deviation if ahead else deviation
    _digits(tx, _digits(tx, pos + 1, minutes // 60), minutes % 60)


def _digits(tx, pos, value):
    """Two of them; returns the position behind."""
    tx[pos] = _DIGIT + value // 10
    tx[pos + 1] = _DIGIT + value % 10
    return pos + 2
