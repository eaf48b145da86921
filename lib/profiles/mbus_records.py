# SPDX-License-Identifier: MIT
"""Data records of the M-Bus (EN 13757-3; the public "The M-Bus: A Documentation", rev. 4.8,
chapter 6 and 8.4): where each is in the octets of an answer, and what its value means.

    record      DIF DIFE* VIF VIFE* data            DIF DIFE* is the data information block (DIB),
                                                    VIF VIFE* the value information block (VIB)
    DIF & 0F    0 none  1 to 4, 6, 7 an integer of 1 to 4, 6, 8 octets  5 a real of 4 octets
                8 none, it selects  9 to C, E a BCD of 1 to 4, 6 octets  D as LVAR says
                F: 0F, 1F manufacturer's data to the end (1F: and another answer follows), 2F idle
    VIF         unit and power of ten, see _VIFS; 7C, FC: a length and text, then VIFEs
    LVAR        the first octet of the data: 00 to BF so many characters, C0 to C9 positive BCD, D0
                to D9 negative BCD, E0 to EF a binary number of so many octets (low nibble)

Numbers, text included, have their last octet first. Answers have no more than 252 octets; this is
between requests, and allocates.
"""

import struct

from micropython import const

_CODING = const(0x0F)
_MORE = const(0x80)
_REAL = const(5)
_VARIABLE = const(0x0D)
_SPECIAL = const(0x0F)
_BLOCK_MAX = const(11)  # a DIF or VIF, and ten of its extensions

# Octets of data by coding.
_LENGTHS = b"\x00\x01\x02\x03\x04\x04\x06\x08\x00\x01\x02\x03\x04\x00\x06\x00"
_IS_BCD = const(0x5E00)  # codings, a bit each

_REST = const(0x0F)  # a whole DIF
_REST_AND_MORE = const(0x1F)
_IDLE = const(0x2F)

_TEXT_VIF = const(0x7C)
_FIRST_EXTENSION = const(0xFB)
_SECOND_EXTENSION = const(0xFD)
_FACTOR = const(0x70)  # VIFE 70 to 77: 10**(n - 6)
_THOUSAND = const(0x7D)

_NO_UNIT = const(255)
# VIF, mask, exponent, DLMS unit; bits that are not masked are added to the exponent.
_VIFS = (
    (0x00, 0x78, -3, 30),  # energy, Wh
    (0x08, 0x78, 0, 25),  # J
    (0x10, 0x78, -6, 13),  # volume, m3
    (0x18, 0x78, -3, 20),  # mass, kg
    (0x28, 0x78, -3, 27),  # power, W
    (0x30, 0x78, 0, 26),  # J/h
    (0x38, 0x78, -6, 15),  # volume flow, m3/h
    (0x58, 0x7C, -3, 9),  # flow temperature, degC
    (0x5C, 0x7C, -3, 9),  # return temperature
    (0x60, 0x7C, -3, 52),  # temperature difference, K
    (0x64, 0x7C, -3, 9),  # external temperature
    (0x68, 0x7C, -3, 24),  # pressure, bar
)
# On time, operating time, averaging and actuality duration: s, min, h, d.
_TIMES = (0x20, 0x24, 0x70, 0x74)
_TIME_UNITS = b"\x07\x06\x05\x04"
_VIF_DATE = const(0x6C)
_VIF_DATE_TIME = const(0x6D)


class Record:
    """The record at buf[start:end]: the DIB is buf[start:vib], the VIB buf[vib:data]; coding."""

    start = vib = data = end = coding = 0


def block_end(buf, pos, end):
    """End of a DIB or VIB (without text) at buf[pos:], -1 if it has none."""
    at = pos
    while at < end and at < pos + _BLOCK_MAX:
        at += 1
        if not buf[at - 1] & _MORE:
            return at
    return -1


def vib_end(buf, pos, end):
    """As block_end(), of a VIB that may have text."""
    if pos < end and buf[pos] & 0x7F == _TEXT_VIF and pos + 1 < end:
        after = pos + 2 + buf[pos + 1]
        if not buf[pos] & _MORE:
            return after if after <= end else -1
        return block_end(buf, after, end)
    return block_end(buf, pos, end)


def data_end(buf, pos, end, coding):
    """End of the data at buf[pos:], -1 if it is not there."""
    n = _LENGTHS[coding]
    if coding == _VARIABLE:
        if pos >= end:
            return -1
        n = buf[pos]
        if n >= 0xC0:
            n = n & 0x0F if n < 0xE0 and n & 0x0F <= 9 or 0xE0 <= n < 0xF0 else 0xFF
        n += 1
    return pos + n if pos + n <= end else -1


def following(record, buf, pos, end):
    """Have the next record at buf[pos:end], passing idle fillers; where to go on. -1: there is no
    more, and record.coding says why: 0 the end, 1F another answer has more, F0 it is malformed."""
    while pos < end and buf[pos] == _IDLE:
        pos += 1
    record.coding = 0
    if pos >= end or buf[pos] == _REST:
        return -1
    if buf[pos] == _REST_AND_MORE:
        record.coding = _REST_AND_MORE
        return -1
    record.coding = 0xF0
    record.start = pos
    coding = buf[pos] & _CODING
    record.vib = block_end(buf, pos, end)
    if record.vib < 0 or coding == _SPECIAL:
        return -1
    record.data = vib_end(buf, record.vib, end)
    if record.data < 0:
        return -1
    record.end = data_end(buf, record.data, end, coding)
    if record.end >= 0:
        record.coding = coding
    return record.end


def scaler_unit(buf, pos, end):
    """(scaler, unit) of the VIB buf[pos:end], as COSEM has them; unit 255 for none, and for what
    COSEM has none for."""
    vif = buf[pos] & 0x7F
    scaler = 0
    unit = _NO_UNIT
    if buf[pos] in (_FIRST_EXTENSION, _SECOND_EXTENSION):
        code = buf[pos + 1] & 0x7F
        if buf[pos] == _FIRST_EXTENSION:
            if code < 2:
                scaler, unit = code + 5, 30  # 0.1 MWh and 1 MWh
        elif code & 0x70 == 0x40:
            scaler, unit = (code & 0x0F) - 9, 35
        elif code & 0x70 == 0x50:
            scaler, unit = (code & 0x0F) - 12, 33
        pos += 1
    elif vif & 0x7C in _TIMES:
        unit = _TIME_UNITS[vif & 3]
    else:
        for first, mask, exponent, of in _VIFS:
            if vif & mask == first:
                scaler, unit = (vif & ~mask & 0x7F) + exponent, of
    for at in range(pos + 1, end):
        code = buf[at] & 0x7F
        if code & 0x78 == _FACTOR:
            scaler += (code & 7) - 6
        elif code == _THOUSAND:
            scaler += 3
    return scaler, unit


def number(record, buf):
    """The value of a record as an int; a float for a real; None: it is no number."""
    coding = record.coding
    pos, end = record.data, record.end
    bcd = _IS_BCD >> coding & 1
    negative = False
    if coding == _VARIABLE:
        kind = buf[pos] & 0xF0
        if kind < 0xC0:
            return None
        bcd = kind < 0xE0
        negative = kind == 0xD0
        pos += 1
    if coding == _REAL:
        if buf[end - 1] & 0x7F == 0x7F and buf[end - 2] & 0x80:
            return None  # infinite, or none
        return struct.unpack("<f", bytes(buf[pos:end]))[0]
    if pos == end:
        return None
    value = 0
    for at in range(end - 1, pos - 1, -1):
        octet = buf[at]
        if not bcd:
            value = value << 8 | octet
            continue
        if at == end - 1 and octet >> 4 == 0x0F:
            negative = True  # the sign stands for the highest digit
            octet &= 0x0F
        if octet >> 4 > 9 or octet & 0x0F > 9:
            return None
        value = value * 100 + (octet >> 4) * 10 + (octet & 0x0F)
    if bcd:
        return -value if negative else value
    bits = 8 * (end - pos)
    return value - (1 << bits) if value >> bits - 1 else value


def text(record, buf):
    """The characters of a record, the first one first; None: it has none."""
    if record.coding != _VARIABLE or buf[record.data] >= 0xC0:
        return None
    return bytes(buf[at] for at in range(record.end - 1, record.data, -1))


def date_time(record, buf):
    """Twelve octets of a COSEM date-time: type F behind VIF 6D, type G behind 6C; None: it is no
    time, or an invalid one."""
    vif = buf[record.vib]
    at = record.data
    if vif == _VIF_DATE and record.coding == 2:
        day, hour, minute = at, 0xFF, 0xFF
    elif vif == _VIF_DATE_TIME and record.coding == 4 and not buf[at] & 0x80:
        day, hour, minute = at + 2, buf[at + 1] & 0x1F, buf[at] & 0x3F
    else:
        return None
    year = buf[day] >> 5 | buf[day + 1] >> 4 << 3
    month = buf[day + 1] & 0x0F
    day = buf[day] & 0x1F
    if not 1 <= month <= 12 or not day or year > 99 or hour != 0xFF and (hour > 23 or minute > 59):
        return None
    century = 0 if hour == 0xFF else buf[at + 1] >> 5 & 3
    year += 1900 + 100 * century if century else 2000 if year <= 80 else 1900
    second = 0xFF if hour == 0xFF else 0
    summer = hour != 0xFF and buf[at + 1] & 0x80
    head = (year >> 8, year & 0xFF, month, day, 0xFF, hour, minute, second, 0xFF, 0x80, 0)
    return bytes(head + (0x80 if summer else 0,))


def put_time(buf, pos, local):
    """Write 04 6D and a type F for a COSEM date-time to buf[pos:]; its end."""
    year = (local[0] << 8 | local[1]) % 100
    buf[pos] = 0x04
    buf[pos + 1] = _VIF_DATE_TIME
    buf[pos + 2] = local[6] | (0x80 if local[11] & 1 else 0)  # invalid
    # The twenty-first century, and summer time.
    buf[pos + 3] = local[5] | 0x20 | (0x80 if local[11] & 0x80 else 0)
    buf[pos + 4] = local[3] | (year & 7) << 5
    buf[pos + 5] = local[2] | year >> 3 << 4
    return pos + 6


def put_number(buf, pos, coding, value):
    """Write a value as the data of a record of this coding to buf[pos:]; its end, -1 if it does
    not fit."""
    n = _LENGTHS[coding]
    if not n or coding == _REAL:
        return -1
    if _IS_BCD >> coding & 1:
        if not 0 <= value < 100**n:
            return -1
        for k in range(n):
            digits = value % 100
            buf[pos + k] = digits // 10 << 4 | digits % 10
            value //= 100
        return pos + n
    # As unsigned ones, too: what is meant the slave knows.
    if not -(1 << 8 * n - 1) <= value < 1 << 8 * n:
        return -1
    for k in range(n):
        buf[pos + k] = value >> 8 * k & 0xFF
    return pos + n


def decipher(aes, buf, pos, end, n_blocks, address, access_number):
    """Decipher, where they lie, the first blocks of 16 octets of buf[pos:end], in mode 5: AES-128
    in CBC mode; the initial value is the address of the slave (manufacturer, identification,
    version, device type, as in a long header but that the manufacturer comes first) and eight
    times the access number. False: there are not as many, or it was another key."""
    if pos + 16 * n_blocks > end:
        return False
    last = bytes(address) + bytes((access_number,)) * 8
    plain = bytearray(16)
    for at in range(pos, pos + 16 * n_blocks, 16):
        block = bytes(buf[at : at + 16])
        aes.decrypt(block, plain)
        for k in range(16):
            buf[at + k] = plain[k] ^ last[k]
        last = block
    return buf[pos] == _IDLE and buf[pos + 1] == _IDLE
