# SPDX-License-Identifier: MIT
"""profiles/mbus_records.py: data records of the M-Bus and what they mean.

Examples of the public "The M-Bus: A Documentation", rev. 4.8 (6.6, 8.4, appendix), and of OMS
Specification, volume 2, annex N (a gas meter in mode 5, with its key).
"""

import random
import struct

import pytest
from profiles import mbus_records as records

from firmware.ports import ciphers

KWH = 30
NONE = 255


def all_of(text):
    """[(DIB, VIB, value)] of hexadecimal octets, and why it ends."""
    buf = bytearray.fromhex(text)
    record = records.Record()
    found = []
    pos = 0
    while True:
        pos = records.following(record, buf, pos, len(buf))
        if pos < 0:
            return found, record.coding
        value = records.number(record, buf)
        if value is None:
            value = records.text(record, buf)
        dib, vib = buf[record.start : record.vib], buf[record.vib : record.data]
        found.append((dib.hex().upper(), vib.hex().upper(), value))


def test_a_published_answer():
    """Appendix: a water meter, with a BCD, a date, and volumes of the past."""
    found, why = all_of("0C 14 27 04 85 02  04 6D 32 37 1F 15  02 FD 17 00 00  4C 13 01 00 00 00")
    assert found == [
        ("0C", "14", 2850427),
        ("04", "6D", 0x151F3732),
        ("02", "FD17", 0),
        ("4C", "13", 1),
    ]
    assert why == 0


@pytest.mark.parametrize(
    "text, value",
    [
        ("01 13 FE", -2),
        ("02 13 00 80", -32768),
        ("03 13 FF FF 7F", 0x7FFFFF),
        ("04 13 78 56 34 12", 0x12345678),
        ("06 13 01 00 00 00 00 80", -(1 << 47) + 1),
        ("07 13 FF FF FF FF FF FF FF 7F", (1 << 63) - 1),
        ("05 13 00 00 C0 3F", 1.5),
        ("05 13 00 00 80 7F", None),  # infinity
        ("05 13 00 00 C0 7F", None),  # no number
        ("09 13 99", 99),
        ("0A 13 34 12", 1234),
        ("0B 13 56 34 12", 123456),
        ("0C 13 78 56 34 12", 12345678),
        ("0E 13 12 90 78 56 34 12", 123456789012),
        ("0C 13 23 01 00 F0", -123),
        ("0C 13 78 56 34 1A", None),  # no digit
        ("0C 13 FF FF FF FF", None),
        ("0D 13 C2 34 12", 1234),
        ("0D 13 D2 34 12", -1234),
        ("0D 13 E2 FE FF", -2),
        ("0D 13 C0", None),
        ("0D 78 03 43 42 41", b"ABC"),
        ("00 13", None),
        ("08 13", None),
        ("81 01 FD 08 05", 5),
        ("01 FC 03 48 52 25 74 07", 7),  # VIB: %RH, in text, with a VIFE
        ("01 7C 02 48 52 07", 7),
    ],
)
def test_values(text, value):
    found, why = all_of(text)
    assert len(found) == 1 and found[0][2] == value and why == 0


@pytest.mark.parametrize(
    "text, why",
    [
        ("", 0),
        ("2F 2F 2F", 0),
        ("0F 01 02", 0),
        ("1F", 0x1F),
        ("1F 99", 0x1F),
        ("2F 01 13", 0xF0),  # no data
        ("04 13 01 02 03", 0xF0),
        ("81", 0xF0),
        ("81 01", 0xF0),
        ("01 FD", 0xF0),
        ("01 7C 09 41", 0xF0),
        ("3F 13", 0xF0),
        ("7F", 0xF0),
        ("0D 13", 0xF0),
        ("0D 13 04 41", 0xF0),
        ("0D 13 CA" + "00" * 200, 0xF0),
        ("0D 13 F0" + "00" * 200, 0xF0),
        ("81" * 12 + "01 13 01", 0xF0),
    ],
)
def test_ends(text, why):
    assert all_of(text) == ([], why)


@pytest.mark.parametrize(
    "vib, scaler, unit",
    [
        ("00", -3, KWH), ("07", 4, KWH), ("08", 0, 25), ("10", -6, 13), ("13", -3, 13),
        ("16", 0, 13),
        ("1B", 0, 20), ("20", 0, 7), ("23", 0, 4), ("25", 0, 6), ("2B", 0, 27), ("37", 7, 26),
        ("3B", -3, 15), ("5A", -1, 9), ("5E", -1, 9), ("63", 0, 52), ("67", 0, 9), ("6A", -1, 24),
        ("70", 0, 7), ("76", 0, 5), ("6D", 0, NONE), ("6E", 0, NONE), ("44", 0, NONE),
        ("78", 0, NONE),
        ("FB00", 5, KWH), ("FB01", 6, KWH), ("FD48", -1, 35), ("FD59", -3, 33), ("FD17", 0, NONE),
        ("93 75", -4, 13), ("937D", 0, 13), ("93 3B", -3, 13), ("FDC8 7D", 2, 35),
    ],
)  # fmt: skip
def test_scalers_and_units(vib, scaler, unit):
    buf = bytes.fromhex(vib)
    assert records.scaler_unit(buf, 0, len(buf)) == (scaler, unit)


@pytest.mark.parametrize(
    "text, expected",
    [
        ("04 6D 32 37 1F 15", "07D8051FFF173200FF800000"),  # 2008-05-31 23:50
        ("04 6D 00 81 41 3A", "07EA0A01FF010000FF800080"),  # 2026-10-01 01:00, summer time
        ("02 6C 5F 3C", "07EA0C1FFFFFFFFFFF800000"),  # 2026-12-31
        ("04 6D B2 37 1F 15", None),  # invalid
        ("04 6D 3F 37 1F 15", None),  # minute 63
        ("02 6C 00 00", None),
        ("02 6C FF FF", None),
        ("04 13 32 37 1F 15", None),  # no time
        ("02 6D 32 37", None),
    ],
)
def test_times(text, expected):
    buf = bytearray.fromhex(text)
    record = records.Record()
    assert records.following(record, buf, 0, len(buf)) == len(buf)
    found = records.date_time(record, buf)
    assert (found and found.hex().upper()) == expected


def test_times_there_and_back():
    rng = random.Random(3)
    buf = bytearray(6)
    record = records.Record()
    for _ in range(200):
        status = rng.choice((0, 0x80))
        day = rng.randint(1, 12), rng.randint(1, 28), 0xFF, rng.randint(0, 23), rng.randint(0, 59)
        local = struct.pack(">HBBBBBBB", rng.randint(2000, 2080), *day, 0, 0xFF)
        local += bytes((0x80, 0, status))
        assert records.put_time(buf, 0, local) == 6
        assert records.following(record, buf, 0, 6) == 6
        assert records.date_time(record, buf) == local


@pytest.mark.parametrize(
    "coding, value, octets",
    [
        (1, -1, "FF"), (1, 255, "FF"), (1, 256, None), (1, -129, None), (2, 0x1234, "3412"),
        (7, -2, "FEFFFFFFFFFFFFFF"), (9, 99, "99"), (9, 100, None), (12, 12345678, "78563412"),
        (12, -1, None), (0, 0, None), (5, 1, None), (13, 1, None), (15, 1, None),
    ],
)  # fmt: skip
def test_numbers_to_be_sent(coding, value, octets):
    buf = bytearray(12)
    end = records.put_number(buf, 0, coding, value)
    assert (None if end < 0 else bytes(buf[:end]).hex().upper()) == octets


# OMS, volume 2, annex N.2.1: what is behind the header, without the frame's own checksums.
CIPHERED = "5923C95AAA26D1B2E7493B013EC4A6F6D3529B520EDFF0EA6DEFC99D6D69EBF3"
PLAIN = "2F2F0C1427048502046D32371F1502FD1700002F2F2F2F2F2F2F2F2F2F2F2F2F"
KEY = "0102030405060708090A0B0C0D0E0F11"
ADDRESS = "9315785634123303"
ACCESS_NUMBER = 0x2A


def test_mode_5():
    buf = bytearray.fromhex(CIPHERED)
    aes = ciphers.aes(bytes.fromhex(KEY))
    who = bytes.fromhex(ADDRESS)
    assert records.decipher(aes, buf, 0, len(buf), 2, who, ACCESS_NUMBER)
    assert buf.hex().upper() == PLAIN


@pytest.mark.parametrize("what", ["key", "address", "access number", "blocks"])
def test_mode_5_with_something_else(what):
    buf = bytearray.fromhex(CIPHERED)
    key, who = bytearray.fromhex(KEY), bytearray.fromhex(ADDRESS)
    key[0] ^= what == "key"
    who[0] ^= what == "address"
    access_number = ACCESS_NUMBER ^ (what == "access number")
    n = 3 if what == "blocks" else 2
    good = records.decipher(ciphers.aes(bytes(key)), buf, 0, len(buf), n, who, access_number)
    # The access number is in the second half of the block: what it spoils is no filler.
    assert good is (what == "access number")
    assert buf.hex().upper() != PLAIN


def test_any_octets():
    rng = random.Random(2)
    record = records.Record()
    for _ in range(2000):
        buf = bytes(rng.randrange(256) for _ in range(rng.randrange(40)))
        pos = 0
        while pos >= 0:
            pos = records.following(record, buf, pos, len(buf))
            if pos >= 0:
                assert record.start < record.vib < record.data <= record.end == pos <= len(buf)
                records.number(record, buf)
                records.text(record, buf)
                records.date_time(record, buf)
                records.scaler_unit(buf, record.vib, record.data)
