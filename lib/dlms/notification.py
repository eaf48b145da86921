# SPDX-License-Identifier: MIT
"""DataNotification and EventNotification (IEC 62056-5-3): APDUs that the meter sends unasked.

    0F  long-invoke-id-and-priority (4)  date-time: length, octets  Data
    10  long-invoke-id-and-priority (4)  date-time: length, octets          from the client
    C2  00, or 01 0C and the time (12)   class_id (2)  logical_name (6)  attribute_index  Data

Bit 30 of the long-invoke-id-and-priority says that the client is to confirm. DataNotification had
no confirmation at first; the APDU 10 is that of later editions (three public ASN.1 texts agree).
Uncertain: its date-time is taken to be the client's, and is not looked at; the length octet 0C of
the time in C2 is that of the newer ASN.1. DataNotification has no service-specific ciphering: it
is protected by general-glo, general-ciphering or general-signing. Nothing is allocated.
"""

from dlms.axdr import length, length_size
from dlms.prim import copy
from micropython import const

_DATA_NOTIFICATION = const(0x0F)
_DATA_NOTIFICATION_CONFIRM = const(0x10)
_EVENT_NOTIFICATION_REQUEST = const(0xC2)

_CONFIRMED = const(0x40)  # bit 30 of the long-invoke-id-and-priority
_ID_AT = const(2)
_TIME_LEN = const(12)
_NULL_DATA = const(0)
_DESCRIPTOR_LEN = const(9)


def put_head(buf, pos, end, number, confirmed, time):
    """Write a DataNotification up to its Data; returns the end of that, or -1: there is no room.

    number: long-invoke-id, 0 to 2**24 - 1. time: the twelve octets of a date-time, or None.
    """
    n = 6 if time is None else 6 + _TIME_LEN
    if pos + n > end:
        return -1
    buf[pos] = _DATA_NOTIFICATION
    buf[pos + 1] = _CONFIRMED if confirmed else 0
    buf[pos + 2] = number >> 16
    buf[pos + 3] = number >> 8 & 0xFF
    buf[pos + 4] = number & 0xFF
    buf[pos + 5] = n - 6
    if time is not None:
        copy(buf, pos + 6, time, 0, _TIME_LEN)
    return pos + n


def wants_confirmation(buf, pos):
    """Does the APDU at buf[pos:] ask the client to confirm?"""
    return buf[pos] == _DATA_NOTIFICATION and buf[pos + 1] & _CONFIRMED


def confirms(buf, pos, end, notification, at):
    """Is buf[pos:end] the confirmation of the DataNotification notification[at:]?"""
    if end - pos < 6 or buf[pos] != _DATA_NOTIFICATION_CONFIRM:
        return False
    n = length(buf, pos + 5, end)
    if n < 0 or pos + 5 + length_size(buf, pos + 5) + n != end:
        return False
    for i in range(_ID_AT, 5):
        if buf[pos + i] != notification[at + i]:
            return False
    return True


def put_event(a, buf, pos, end, row, attribute, time):
    """Write the EventNotification of an attribute for the client of association a; its end, or -1:
    there is no room. What the client may not read is null-data. time: as in put_head()."""
    n = _DESCRIPTOR_LEN + (2 if time is None else 3 + _TIME_LEN)
    if pos + n >= end:
        return -1
    buf[pos] = _EVENT_NOTIFICATION_REQUEST
    buf[pos + 1] = 0
    pos += 2
    if time is not None:
        buf[pos - 1] = 1
        buf[pos] = _TIME_LEN
        copy(buf, pos + 1, time, 0, _TIME_LEN)
        pos += 1 + _TIME_LEN
    copy(buf, pos, a.model.objects, row << 4, 8)
    buf[pos + 8] = attribute
    pos += _DESCRIPTOR_LEN
    if a.may_read(row, attribute):
        buf[pos] = _NULL_DATA
        return pos + 1
    pos = a.model.read(row, attribute, buf, pos, end)
    return pos if pos > 0 else -1
