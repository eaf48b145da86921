# SPDX-License-Identifier: MIT
"""dlms/notification.py: the APDUs, against the vectors (their sources stand there) and by rule."""

import json
from pathlib import Path

import pytest
from dlms import notification
from small import Meter

LINES = (Path(__file__).parent / "vectors" / "xdlms.jsonl").read_text().splitlines()
VECTORS = {v["id"]: bytes.fromhex(v["hex"]) for v in map(json.loads, LINES)}
TIME = bytes.fromhex("07E50118FF0E303950FFC400")


def head(number, confirmed, time, room=100):
    buf = bytearray(room + 3)
    end = notification.put_head(buf, 3, 3 + room, number, confirmed, time)
    return end if end < 0 else bytes(buf[3:end])


def test_a_data_notification_as_in_the_vector():
    body = bytes.fromhex("0202060000006409060100010800FF")
    assert head(1, True, TIME) + body == VECTORS["xdlms-datanotif-dt"]


def test_without_time_and_unconfirmed():
    assert head(475, False, None).hex().upper() == "0F000001DB00"
    assert head(0xFFFFFF, False, None).hex().upper() == "0F00FFFFFF00"


@pytest.mark.parametrize("time,n", [(None, 6), (TIME, 18)])
def test_room_for_the_head(time, n):
    assert len(head(1, True, time, n)) == n
    assert head(1, True, time, n - 1) == -1


def test_which_ones_are_to_be_confirmed():
    for apdu, confirmed in (
        (head(1, True, None), True),
        (head(1, False, TIME), False),
        (b"\xc2\x40", False),
    ):
        assert bool(notification.wants_confirmation(apdu, 0)) is confirmed


SENT = head(0x010203, True, TIME)


@pytest.mark.parametrize(
    "apdu,good",
    [
        ("10 40010203 00", True),
        ("10 40010203 0C 07E50118FF0E303950FFC400", True),
        # Whatever the other bits are: it is about that notification.
        ("10 00010203 00", True),
        ("10 40010204 00", False),
        ("10 40020203 00", False),
        ("10 40010203", False),
        ("10 40010203 00 00", False),
        ("10 40010203 0C 07E5", False),
        ("10 40010203 84FFFFFFFF", False),
        ("0F 40010203 00", False),
        ("10", False),
    ],
)
def test_confirmations(apdu, good):
    apdu = b"???" + bytes.fromhex(apdu)
    assert notification.confirms(apdu, 3, len(apdu), b"??" + SENT, 2) is good


# --- EventNotification --------------------------------------------------------------------------


@pytest.fixture
def a():
    meter = Meter()
    meter.management()
    return next(a for a in meter.server.associations if a.state)


def event(a, name, time, room=200, attribute=2):
    model = a.model
    row = model.find(a.device, bytes.fromhex(name), 0)
    assert row >= 0
    buf = bytearray(room + 3)
    end = notification.put_event(a, buf, 3, 3 + room, row, attribute, time)
    return end if end < 0 else bytes(buf[3:end])


def test_an_event_with_time(a):
    """As the vector has it: the object and the value are others."""
    vector = VECTORS["xdlms-evn-time"]
    made = event(a, "000100002A0000FF", TIME)
    assert made[:15] == vector[:15]
    assert made[15:24] == bytes.fromhex("000100002A0000FF02")
    assert made[24] == 9 and len(made) == 24 + 2 + made[25]


def test_an_event_without_time(a):
    whole = event(a, "000100002A0000FF", None)
    assert whole[:11] == bytes.fromhex("C200000100002A0000FF02")
    assert event(a, "000100002A0000FF", None, len(whole)) == whole
    for room in range(len(whole)):
        assert event(a, "000100002A0000FF", None, room) == -1


def test_what_the_client_may_not_read_is_null_data(a):
    made = event(a, "000F0000280002FF", None, attribute=7)
    assert made == bytes.fromhex("C200000F0000280002FF0700")
