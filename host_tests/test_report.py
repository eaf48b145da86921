# SPDX-License-Identifier: MIT
"""InformationReport: how it is written, when it is sent, and that it arrives; octets as published,
the rest by rule."""

import pytest
import tables
from cosem.notifier import Notifier
from dlms import report
from pushing import GONE, NOT_NOW, Paths
from running import DEFAULT_DEFINITION, HDLC, SHORT, Running, Wrapper
from short import ShortClient, ShortMeter
from small import aarq

UTC = bytes.fromhex("07E90112FF0E3039FF000000")  # as published: 2025-01-18 14:48:57
ALARM = "0.0.97.98.20.255"  # alarm descriptor


@pytest.fixture
def meter():
    return ShortMeter()


def association(meter, client=2):
    return next(a for a in meter.server.associations if a.client_sap == client)


@pytest.fixture
def a(meter):
    meter.short()
    return association(meter)


def put(a, names, time=None, room=200):
    tx = bytearray(room + 8)
    names = bytes.fromhex(names)
    end = report.put(a, tx, 4, 4 + room, b"\0" + names, 1, len(names) // 2, time)
    return end if end < 0 else bytes(tx[4:end]).hex().upper()


def test_one(a):
    assert put(a, "0108") == "18 00 01 02 0108 01 0600001391".replace(" ", "")


def test_as_published(a):
    """18 00 01 02 0100 01 12 00FF, and with a time; of another variable with such a value."""
    a.model.write(2, 2, bytes.fromhex("1200FF"), 0, 3)
    assert put(a, "0138") == "180001020138011200FF"
    time = b"20250118144857Z".hex().upper()
    assert put(a, "0138", UTC) == "18010F" + time + "01020138011200FF"


@pytest.mark.parametrize(
    "deviation, text",
    [("8000", ""), ("0000", "Z"), ("FFC4", "+0100"), ("005A", "-0130"), ("FD30", "+1200")],
)
def test_times(a, deviation, text):
    """UTC = local time + deviation."""
    time = UTC[:9] + bytes.fromhex(deviation) + b"\0"
    octets = (b"20250118144857" + text.encode()).hex().upper()
    expected = "1801%02X" % (len(octets) // 2) + octets + "01022A48011107"
    assert put(a, "2A48", time) == expected


def test_several_and_what_may_not_be_read(a):
    assert put(a, "2A48 0168 0128 FFF8 FD00".replace(" ", "")) == (
        "18 00 05 022A48 020168 020128 02FFF8 02FD00 05 1107 00 00 00 090600002A0000FF"
    ).replace(" ", "")


@pytest.mark.parametrize("time", [None, UTC])
def test_no_room(a, time):
    whole = len(put(a, "FD08", time)) // 2
    assert put(a, "FD08", time, whole - 1) == -1 and put(a, "FD08", time, 4) == -1
    assert put(a, "FD08", time, 400) == put(a, "FD08", time, whole)


def test_the_name_of_every_attribute(meter, a):
    """name_of() is the way back from named()."""
    n = 0
    for row in range(a.first_row, a.first_row + a.n_rows):
        for k in range(1, meter.model.n_attributes(row) + 1):
            name = report.name_of(a, row, k)
            key = name.to_bytes(2, "big")
            if name >> 8 != 0xFA:  # there the own object is meant
                assert report.named(a, key, 0) == row << 8 | k
            n += 1
    assert n > 60
    assert report.name_of(a, a.first_row, 99) == -1 and report.name_of(a, 9999, 1) == -1


# --- Sending ---------------------------------------------------------------------------------


@pytest.fixture
def notifier(meter):
    return Notifier(meter.model, meter.server, Paths(), 64, 0)


def sends(notifier):
    """What reaches a client of each turn, up to when nothing is left."""
    told = notifier.paths.told = []
    for _ in range(8):
        notifier.turn()
    return [(client, apdu.hex().upper()) for client, apdu in told]


def test_a_client_with_short_names_is_told_by_information_report(meter, a, notifier):
    row = meter.model.find(0, bytes.fromhex("00010000603201FF"), 0)
    meter.model.handler("clock").set_utc(13202088, 57)
    notifier.event(a, row, 2)
    ((client, apdu),) = sends(notifier)
    assert client == 2 and apdu.startswith("180113" + b"2025".hex())
    assert apdu.endswith(b"57+0100".hex().upper() + "01022A48011107")
    # What it may not read, an attribute that does not exist: null-data, nothing.
    notifier.event(a, meter.model.find(0, bytes.fromhex("00010000603302FF"), 0), 2)
    notifier.event(a, row, 3)
    ((_, apdu),) = sends(notifier)
    assert apdu.endswith("0102016801" + "00")
    assert notifier.done == 2 and notifier.lost == 0


def test_it_waits_and_is_lost_with_its_association(meter, a, notifier):
    notifier.paths.says = [NOT_NOW, GONE]
    notifier.event(a, 2, 2)
    assert len(sends(notifier)) == 2
    notifier.event(a, 2, 2)
    a.channel.release()
    assert sends(notifier) == [] and notifier.lost == 1


def test_no_room_in_the_outbox(meter, a, notifier):
    row = meter.model.find(0, bytes.fromhex("00010000603203FF"), 0)
    meter.model.write(row, 2, b"\x09\x40" + bytes(64), 0, 66)
    notifier.event(a, row, 2)
    assert sends(notifier) == [] and notifier.lost == 1


@pytest.mark.parametrize("dedicated, tag", [(None, "38"), (bytes(range(16, 32)), "58")])
def test_it_is_ciphered_as_answers_are(meter, notifier, dedicated, tag):
    """In its service-specific form, where the policy asks for protection; else it is plain."""
    kind = "ded" if dedicated else "glo"
    c = ShortClient(meter, 41, kind=kind, dedicated=dedicated).open()
    a = association(meter, 41)
    row = meter.model.find(1, bytes.fromhex("00010000603C01FF"), 0)
    notifier.event(a, row, 2)
    ((_, apdu),) = sends(notifier)
    assert apdu.startswith(tag)
    plain = c.unprotect(bytes.fromhex(apdu)).hex().upper()
    assert plain.startswith("180113") and plain.endswith("0102011801" + "09020102")


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
@pytest.mark.parametrize("link", ["wrapper-tcp", "hdlc-tcp"])
def test_an_alarm_arrives(runtime, link, request):
    """A broken APDU of client 6 is an alarm of the reference meter: client 8 hears of it."""
    if runtime == "micropython":
        request.getfixturevalue("micropython")
    with Running("--runtime", runtime, "--wrapper-tcp", "0", "--hdlc-tcp", "0") as meter:
        s = meter.connect(link)
        if link == "hdlc-tcp":
            client = HDLC(s.sendall, lambda: s.recv(512), SHORT)
            assert client.connect() == 0x73
        else:
            client = Wrapper(s, SHORT)
        assert client.ask(aarq(b"demo-short", "1CFF3F", context=2))[:1] == b"\x61"
        assert client.ask(bytes.fromhex("050102FD08")).startswith(b"\x0c\x01\x00\x09")
        other = Wrapper(meter.connect("wrapper-tcp"), 6)
        other.ask(bytes.fromhex("C81E3000000001" + 25 * "00"))
        heard = client.answer() if link == "wrapper-tcp" else s.recv(512)
        objects = tables.compile(DEFAULT_DEFINITION).definition.objects
        name = next(o.base_name for o in objects if o.text.endswith(ALARM)) + 8
        at = heard.index(b"\x01\x02" + name.to_bytes(2, "big") + b"\x01\x06")
        assert heard[:at].endswith(b"+0100") and b"\x18\x01\x13" in heard[:at]
        assert any(heard[at + 6 : at + 10])
    assert meter.errors == ""
