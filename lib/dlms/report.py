# SPDX-License-Identifier: MIT
"""InformationReport (IEC 62056-5-3): the APDU with which a meter tells variables, unasked. Whoever
sends it loads this. Nothing is allocated.
"""

from dlms.axdr import put_length
from dlms.prim import copy
from dlms.variables import named
from micropython import const

_INFORMATION_REPORT_REQUEST = const(0x18)
_VARIABLE_NAME = const(2)
_METHOD = const(0x80)
_NULL_DATA = const(0)


def put(a, tx, pos, end, names, n, time=b""):
    """Write the report of n variables, names[0 : 2 * n], to the client of association a at
    tx[pos:end]; returns its end, or -1: there is no room.

    time: octets of a GeneralizedTime, or none. What the client may not read is null-data.
    """
    n_time = len(time)
    if pos + 8 + n_time + 4 * n > end:
        return -1
    tx[pos] = _INFORMATION_REPORT_REQUEST
    tx[pos + 1] = 1 if n_time else 0
    pos += 2
    if n_time:
        pos = put_length(tx, pos, n_time)
        copy(tx, pos, time, 0, n_time)
        pos += n_time
    pos = put_length(tx, pos, n)
    for k in range(n):
        tx[pos] = _VARIABLE_NAME
        copy(tx, pos + 1, names, 2 * k, 2)
        pos += 3
    pos = put_length(tx, pos, n)
    model = a.model
    for k in range(n):
        if pos >= end:
            return -1
        found = named(a, names, 2 * k)
        if found < 0 or found & _METHOD or a.may_read(found >> 8, found & 0xFF):
            tx[pos] = _NULL_DATA
            pos += 1
            continue
        pos = model.read(found >> 8, found & 0xFF, tx, pos, end)
        if pos < 0:
            return -1
    return pos
