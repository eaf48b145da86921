# SPDX-License-Identifier: MIT
"""tools/decoding/plc.py and modems.py: frames below the application layer on power lines, and of
modems. What the project's own drivers and networks say is in the examples of lib/profiles/*.md,
which the same decoder explains; here are the sums, and what is wrong."""

import json

import pytest
from decoding import modems
from decoding import plc as layers
from decoding.conversation import Conversation
from decoding.show import Text, lines
from doubles import shown
from hypothesis import given, settings
from hypothesis import strategies as st
from plc import page

GET = bytes.fromhex("C001C100030100010800FF0200")
# plc.md, from a manual of ST.
LOCAL = bytes.fromhex("02094101000100000C5800")


def frames(profile):
    """What passes in the examples of a profile's page."""
    if profile == "sfsk":
        return [frame.octets() for _, said in page.conversation() for _, frame in said]
    return [octets for _, said in shown.steps(profile) for _, octets, _ in said]


def one(octets, layer=None):
    (unit,) = Conversation(layer=layer).octets(None, octets, whole=True)
    return unit


@pytest.mark.parametrize(
    "profile, layer, labels",
    [
        ("prime", "usi", {"USI", "LLC", "APDU"}),
        ("g3", "usi", {"USI", "IPv6", "wrapper", "APDU"}),
        ("st7580", "local", {"local frame", "HDLC", "APDU", ""}),
        ("sfsk", "mac_frame", {"MAC", "LLC", "CIASE", "APDU"}),
    ],
)
def test_the_examples_of_the_pages(profile, layer, labels):
    found = set()
    for octets in frames(profile):
        unit = one(octets, layer)
        assert not unit.faults(), (octets.hex(), unit.faults())
        found |= {label for label, _ in unit.layers}
        if profile != "st7580":
            assert one(octets).layers == unit.layers, "it is found, too"
    assert found == labels


def test_a_frame_of_a_manual():
    unit = one(LOCAL)
    assert unit.layers == [("local frame", "41 database request")] and not unit.faults()


def test_a_wrong_sum():
    unit = one(LOCAL[:-1] + b"\1", "local")
    ((node, fault),) = unit.faults()
    assert fault == "58 01; expected 58 00" and node.name == "sum"


@pytest.mark.parametrize(
    "ci_pdu, text",
    [
        ("1D64000A0302", "Discover: probability 100 %, 10 time slots, initial credit 3, "
         "IC_equal_credit 2"),
        ("1E014D455445523100", "DiscoverReport: system title METER1, no alarm"),
        ("1E014D45544552310105", "DiscoverReport: system title METER1, alarm 05"),
        ("1C434F4E433031014D45544552310005", "Register by CONC01: METER1 gets 005"),
        ("194D4554455231", "Ping: system title METER1"),
        ("1F00100A10", "RepeaterCall: up to MAC address 16, 10 slots for NEW, threshold 16"),
    ],
)  # fmt: skip
def test_ciase(ci_pdu, text):
    piece = layers.ciase(bytes.fromhex(ci_pdu))
    assert piece.text == text and not piece.node.faults()


@pytest.mark.parametrize("ci_pdu", ["", "1D64", "1E024D455445523100", "55", "1C434F4E43"])
def test_ciase_that_is_cut_off_or_unknown(ci_pdu):
    assert layers.ciase(bytes.fromhex(ci_pdu)).node.faults()


@pytest.mark.parametrize("status, n", [("3F020304", 4), ("3F02", 2)])
def test_what_a_modem_says_between_frames(status, n):
    """An AMIS-49587's status has four octets, an ST7580's two: told by its frames."""
    frame = LOCAL if n == 4 else bytes.fromhex("020009" + "0900")
    octets = frame + b"\x06" + bytes.fromhex(status) + frame + b"\x15"
    c = Conversation(layer="local")
    found = [len(u.octets) for u in c.octets(None, octets)]
    assert found == [len(frame), 1, n, len(frame), 1]


@pytest.mark.parametrize(
    "layer, good",
    [("local", LOCAL), ("usi", bytes.fromhex("7E00702B5B7E")), ("mip", None)],
)
def test_after_what_is_damaged_it_goes_on(layer, good):
    good = good or mip(bytes.fromhex("00190185038251022D100101") + GET)
    bad = bytearray(good)
    bad[4 if layer == "usi" else -1] ^= 1
    c = Conversation(layer=layer)
    units = c.octets(None, b"\xff\xfe" + bytes(bad) + good + good[:2])
    assert [u.name for u in units][0] == "octets"
    assert [bool(u.faults()) for u in units[1:]] == [True, False]


def test_hdlc_on_a_power_line():
    frame = bytes.fromhex("7EA00802232193BD647E")
    for layer in (None, "mac_frame"):
        unit = one(bytes.fromhex("6CC0000500") + frame, layer)
        assert [label for label, _ in unit.layers] == ["MAC", "HDLC"] and not unit.faults()


def test_an_llc_frame_alone():
    unit = one(b"\x90\x01\x10" + GET)
    assert [label for label, _ in unit.layers] == ["LLC", "APDU"]
    assert (unit.direction, unit.client, unit.server) == ("rx", 16, 1)


def test_a_frame_of_the_mac_layer():
    unit = one(bytes.fromhex("6CC0000500900110") + GET)
    assert lines(unit)[0] == "MAC  C00 initiator -> 005 meter, IC 3 CC 3 DC 0, 1 sub-frame"


def spdu(kind, number, segment, more, octets):
    """A segment of the project's own messages over ISO/IEC 14908."""
    ends = bytes.fromhex("01850382" if kind == 0 else "03820185")
    head = b"\x00\x19" + ends + b"\x51" + bytes((kind << 4 | number, 0x2D))
    return head + bytes((0x12 | more << 3, 1, 1, segment)) + octets


def test_segments_of_lon_are_put_together():
    c = Conversation(layer="lon")
    units = []
    for frame in (
        spdu(0, 1, 0, True, GET[:5]),
        spdu(0, 1, 0, True, GET[:5]),
        spdu(0, 2, 1, False, GET[5:]),
    ):
        units += c.octets(None, frame, whole=True)
    assert [u.apdu is not None for u in units] == [False, False, True]
    assert units[2].apdu.octets == GET and units[2].direction == "rx"


def mip(pdu, command=0x12):
    body = bytes((len(pdu) + 1, command)) + pdu
    body += bytes((-sum(body) & 0xFF,))
    return b"\x7e\x00" + body.replace(b"\x7e", b"\x7e\x7e")


def test_a_frame_to_a_lon_interface():
    lpdu = bytes.fromhex("00190185038251022D100101") + GET
    unit = one(mip(lpdu))
    assert [label for label, _ in unit.layers] == ["MIP/U61", "LON", "message", "APDU"]
    assert unit.apdu.name == "get-request-normal"


def test_the_doubled_octet_and_a_wrong_checksum():
    octets = mip(b"\x7e\x7e\x01\x02\x03")
    assert one(octets).name == "mip-frame"
    piece = modems.mip(octets[:-1] + bytes((octets[-1] ^ 1,)))
    assert any(fault.startswith("0") or "expected" in fault for _, fault in piece.node.faults())


@pytest.mark.parametrize("octets", ["7E000000", "7E00FF010000"])
def test_a_length_that_has_no_room_for_a_command(octets):
    node = modems.mip(bytes.fromhex(octets)).node
    assert [fault for _, fault in node.faults()] == [
        "no frame; expected 7E 00, length, command, PDU and checksum"
    ]
    assert not node.children


@settings(max_examples=300, deadline=None)
@given(
    st.sampled_from(sorted({**layers.DECODERS, **modems.DECODERS})),
    st.binary(min_size=1, max_size=90),
)
def test_any_octets_of_any_layer(layer, octets):
    out = []
    c = Conversation(layer=layer)
    for unit in c.octets(None, octets, whole=True) + c.end():
        Text(out.append).unit(unit)
        json.loads(unit.json())
