# SPDX-License-Identifier: MIT
"""Values of COSEM as data records of the M-Bus, and back: what data_send of an M-Bus client says,
and what is captured to its Extended registers 0.b.24.2.e.

A value comes to its Extended register if its blocks are those of the element, octet by octet.
With it go the status of the answer's header, the time, and scaler and unit of the VIB if
scaler_unit is in RAM. If not, the value is brought to the scaler there, and not taken if its unit
is another; nor is one that does not fit. An octet-string of twelve octets takes times, strings
take texts. This is between requests, and allocates.
"""

import struct

from cosem import slots
from micropython import const
from profiles import mbus, mbus_records

_CAPTURE_DEFINITION = const(3)

# Of an Extended register.
_EXTENDED_REGISTER = const(4)
_VALUE = const(2)
_SCALER_UNIT = const(3)
_VALUE_STATUS = const(4)
_CAPTURE_TIME = const(5)

# Tags of A-XDR.
_OCTET_STRING = const(0x09)
_VISIBLE_STRING = const(0x0A)
_FLOAT32 = const(0x17)
_SIGNED = (0x05, 0x0F, 0x10, 0x14)
_MOST = const(127)  # a length of one octet


def capture(model, row, record, rx, status):
    """Capture a record of rx for the client at row, if it is one of capture_definition. status: of
    the answer."""
    for e, (dib, vib) in enumerate(_definition(model, row), 1):
        if (
            bytes(rx[record.start : record.vib]) == dib
            and bytes(rx[record.vib : record.data]) == vib
        ):
            target = _value_row(model, row, e)
            if target >= 0:
                _capture_value(model, target, record, rx, status)


def _definition(model, row):
    """(DIB, VIB) of each element of capture_definition."""
    src = slots.source(model, row, _CAPTURE_DEFINITION)
    at = slots.offset(model, row, _CAPTURE_DEFINITION)
    n = src[at + 1]
    at += 2
    for _ in range(n):
        at += 2
        pair = []
        for _ in range(2):
            pair.append(bytes(src[at + 2 : at + 2 + src[at + 1]]))
            at += 2 + src[at + 1]
        yield pair


def _value_row(model, row, e):
    """Row of Extended register 0.b.24.2.e, -1 if there is none."""
    b = model.objects[(row << 4) + 3]
    key = bytes((0, _EXTENDED_REGISTER, 0, b, 24, 2, e, 255))
    return model.find(slots.device_of(model, row), key, 0)


def _capture_value(model, row, record, rx, status):
    at = model.slot(row, _VALUE)
    if at < 0:
        return
    image = model.image
    tag = image[at]
    if tag == _OCTET_STRING or tag == _VISIBLE_STRING:
        n = model.value_len(row, _VALUE) - 2
        found = mbus_records.date_time(record, rx)
        if found is None or tag != _OCTET_STRING or n != len(found):
            found = mbus_records.text(record, rx)
        if found is None or not model.put_bytes(row, _VALUE, found):
            return
    else:
        value = mbus_records.number(record, rx)
        if value is None:
            return
        scaler, unit = mbus_records.scaler_unit(rx, record.vib, record.data)
        place = model.slot(row, _SCALER_UNIT)
        if place >= 0:
            there = scaler
        else:
            src = slots.source(model, row, _SCALER_UNIT)
            place = slots.offset(model, row, _SCALER_UNIT)
            there = src[place + 3] - (src[place + 3] >> 7 << 8)
            if src[place + 5] != unit:
                return
        value = _scaled(value, scaler - there, tag == _FLOAT32)
        if not _store(image, at, tag, value):
            return
        if model.slot(row, _SCALER_UNIT) >= 0:
            image[place + 3] = scaler & 0xFF
            image[place + 5] = unit
    if model.slot(row, _VALUE_STATUS) >= 0 and model.value_len(row, _VALUE_STATUS) == 2:
        model.put_int(row, _VALUE_STATUS, status)
    slots.put_now(model, row, _CAPTURE_TIME, model.handler("clock"))
    model.edited(row, 0)


def put(out, end, limit, octets):
    """Write the elements of data_send, A-XDR, as records to out[end:limit]; their end, -1 if that
    cannot be."""
    pos = 2
    for _ in range(octets[1]):
        pos += 2
        block = octets[pos + 2 : pos + 2 + octets[pos + 1]]
        dib = len(block)
        pos += 2 + dib
        if octets[1] > _MOST or dib > _MOST or octets[pos + 1] > _MOST:
            return -1
        block += octets[pos + 2 : pos + 2 + octets[pos + 1]]
        pos += 2 + octets[pos + 1]
        good = 0 < dib == mbus_records.block_end(block, 0, dib)
        if not good or mbus_records.vib_end(block, dib, len(block)) != len(block):
            return -1
        coding = block[0] & 0x0F
        tag = octets[pos]
        if end + len(block) + 10 > limit:
            return -1
        end = mbus.put(out, end, block)
        if tag == _OCTET_STRING or tag == _VISIBLE_STRING:
            n = octets[pos + 1]
            if coding != 0x0D or n > _MOST or end + 1 + n > limit:
                return -1
            out[end] = n
            text = octets[pos + 2 : pos + 2 + n]
            end = mbus.put(out, end + 1, bytes(reversed(text)))
            pos += 2 + n
        else:
            n = _width(tag)
            value = _integer(octets, pos + 1, n, tag in _SIGNED)
            end = mbus_records.put_number(out, end, coding, value) if n else -1
            if end < 0:
                return -1
            pos += 1 + n
    return end


def _width(tag):
    """Octets of an integer, 0 if it is none."""
    for n, tags in ((1, b"\x0f\x11\x16"), (2, b"\x10\x12"), (4, b"\x05\x06"), (8, b"\x14\x15")):
        if tag in tags:
            return n
    return 0


def _integer(buf, pos, n, signed):
    value = 0
    for octet in buf[pos : pos + n]:
        value = value << 8 | octet
    return value - (1 << 8 * n) if signed and value >> 8 * n - 1 else value


def _scaled(value, exponent, keep):
    """value * 10**exponent; an integer, rounded down, unless a float is to stay one."""
    if exponent > 0:
        value *= 10**exponent
    elif exponent < 0 and isinstance(value, float):
        value /= 10**-exponent
    elif exponent < 0:
        value //= 10**-exponent
    return value if keep else int(value)


def _store(image, at, tag, value):
    """Put a number where one of its type is; False if it does not fit."""
    if tag == _FLOAT32:
        image[at + 1 : at + 5] = struct.pack(">f", value)
        return True
    n = _width(tag)
    low = -(1 << 8 * n - 1) if tag in _SIGNED else 0
    if not n or not low <= value < (1 << 8 * n) + low:
        return False
    for k in range(n):
        image[at + n - k] = value >> 8 * k & 0xFF
    return True
