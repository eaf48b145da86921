# SPDX-License-Identifier: MIT
"""InformationReport as it is written: octets as published, the rest by rule."""

import pytest
from dlms import report
from short import ShortMeter


@pytest.fixture
def a():
    meter = ShortMeter()
    meter.short()
    return next(a for a in meter.server.associations if a.client_sap == 2)


def put(a, names, time=b"", room=200):
    tx = bytearray(room + 8)
    names = bytes.fromhex(names)
    end = report.put(a, tx, 4, 4 + room, names, len(names) // 2, time)
    return end if end < 0 else bytes(tx[4:end]).hex().upper()


def test_one(a):
    assert put(a, "0108") == "18 00 01 02 0108 01 0600001391".replace(" ", "")


def test_as_published(a):
    """18 00 01 02 0100 01 12 00FF, and with a time; of another variable with such a value."""
    a.model.write(2, 2, bytes.fromhex("1200FF"), 0, 3)
    assert put(a, "0138") == "180001020138011200FF"
    time = b"20250118144857Z"
    assert put(a, "0138", time) == "18010F" + time.hex().upper() + "01020138011200FF"


def test_several_and_what_may_not_be_read(a):
    assert put(a, "2A48 0168 0128 FFF8 FD00".replace(" ", "")) == (
        "18 00 05 022A48 020168 020128 02FFF8 02FD00 05 1107 00 00 00 090600002A0000FF"
    ).replace(" ", "")


def test_no_room(a):
    whole = len(put(a, "FD08")) // 2
    assert put(a, "FD08", room=whole - 1) == -1 and put(a, "FD08", room=4) == -1
    assert put(a, "FD08", room=400) == put(a, "FD08", room=200)
