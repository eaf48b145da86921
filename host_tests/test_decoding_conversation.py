# SPDX-License-Identifier: MIT
"""tools/decoding: what two parties say on a link, explained. Vectors: host_tests/vectors, whose
sources stand there; other frames are made here, with the meter's own sums."""

import json

import pytest
import told
from decoding import apdu, show
from decoding.ciphering import Keys
from decoding.conversation import Conversation
from decoding.layers import LAYERS
from decoding.names import Names
from dlms.prim import crc16
from hypothesis import example, given, settings
from hypothesis import strategies as st

APDUS = told.vectors("acse", "xdlms", "sn", "gbt", "security", "general")
LINES = told.lines("hdlc", "wrapper", "iec21")
GET = bytes.fromhex("C001C100030100010800FF0200")
GOT = bytes.fromhex("C401C1000600000007")
LIST = bytes.fromhex("C003C10200030100010800FF020000030100020800FF0200")
KEYS = {"guek": "000102030405060708090A0B0C0D0E0F", "gak": "D0D1D2D3D4D5D6D7D8D9DADBDCDDDEDF"}
TITLE = "4D4D4D0000BC614E"
CIPHERED = bytes.fromhex("C81E3001234567411312FF935A47566827C467BC7D825C3BE4A77C3FCC056B6B")


def ids(v):
    return v["id"]


def said(*messages, keys=None, names=None):
    """Units of (direction, octets); a conversation that is over then."""
    c = Conversation(keys, names)
    units = [u for direction, octets in messages for u in c.octets(direction, octets)]
    return units + c.end()


def one(octets, **how):
    (unit,) = said((None, octets), **how)
    return unit


def wpdu(source, destination, octets):
    head = b"\0\1" + b"".join(n.to_bytes(2, "big") for n in (source, destination, len(octets)))
    return head + octets


def with_crc(part):
    crc = crc16(part, 0, len(part), 0xFFFF) ^ 0xFFFF
    return part + bytes((crc & 0xFF, crc >> 8))


def frame(destination, source, control, info=b"", more=False):
    n = 5 + len(destination) + len(source) - 2 + 2 + (len(info) + 2 if info else 0)
    head = bytes((0xA8 if more else 0xA0, n)) + destination + source + bytes((control,))
    return b"\x7e" + with_crc(with_crc(head) + info if info else head) + b"\x7e"


def client(control, info=b"", more=False):
    return "rx", frame(b"\x03", b"\x21", control, info, more)


def meter(control, info=b"", more=False):
    return "tx", frame(b"\x21", b"\x03", control, info, more)


# --- Vectors -------------------------------------------------------------------------------------


@pytest.mark.parametrize("v", APDUS, ids=ids)
def test_every_apdu(v):
    octets = bytes.fromhex(v["hex"])
    unit = one(octets)
    assert unit.octets == octets
    assert unit.apdu is not None and unit.apdu.name == apdu.decode(octets).name
    # Without keys what is protected stays closed, and that is said; it is no fault.
    assert not unit.faults()
    wanted = {"c2s": "rx", "s2c": "tx"}.get(v.get("way"))
    if wanted and not unit.apdu.name.startswith("general"):
        assert unit.direction == wanted


@pytest.mark.parametrize("v", LINES, ids=ids)
def test_every_frame_wpdu_and_message(v):
    octets = bytes.fromhex(v.get("hex") or v["input_hex"])
    unit = one(octets)
    assert unit.octets == octets
    assert unit.name in NAMES[v["layer"]]
    assert bool(unit.faults()) == (v.get("expect") == "reject")
    if unit.direction and v.get("expect") != "reject":
        assert unit.direction == {"c2s": "rx", "s2c": "tx"}[v["direction"]]


NAMES = {
    "hdlc": ("hdlc-frame",),
    "wrapper": ("wpdu",),
    "iec21": ("request", "identification", "option-select", "command", "data-message", "nak"),
}


@pytest.mark.parametrize("v", told.lines("axdr"), ids=ids)
def test_every_data(v):
    octets = bytes.fromhex(v["hex"])
    c = Conversation(layer="data")
    (unit,) = c.octets(None, octets)
    assert not unit.faults() and unit.children[0].type == v["fields"][0]


@pytest.mark.parametrize("v", LINES, ids=ids)
def test_octet_by_octet_it_is_the_same(v):
    if v.get("expect"):
        return
    octets = bytes.fromhex(v.get("hex") or v["input_hex"])
    whole = one(octets)
    units = said(*((None, octets[k : k + 1]) for k in range(len(octets))))
    assert [u.octets for u in units] == [octets]
    assert units[0].json() == whole.json()


# --- HDLC ----------------------------------------------------------------------------------------


def test_frames_in_a_row_share_their_flags():
    octets = client(0x93)[1][:-1] + client(0x53)[1]
    units = said(("rx", octets))
    assert [u.layers[0] for u in units] == [("HDLC", "SNRM, P/F"), ("HDLC", "DISC, P/F")]


def test_a_shared_flag_that_comes_with_the_next_frame():
    units = said(("rx", client(0x93)[1]), ("rx", client(0x53)[1][1:]))
    assert [u.layers[0][1] for u in units] == ["SNRM, P/F", "DISC, P/F"]


def test_segments_are_put_together():
    apdu = b"\xe6\xe7\x00" + GOT
    units = said(
        client(0x10, b"\xe6\xe6\x00" + GET),
        meter(0x30, apdu[:7], more=True),
        client(0x31),
        meter(0x32, apdu[7:]),
    )
    assert [u.apdu is not None for u in units] == [True, False, False, True]
    assert units[1].layers[1] == ("HDLC", "segment 1, 4 octets so far")
    assert units[3].apdu.octets == GOT
    assert units[3].apdu.text.startswith("to Register 1.0.1.8.0.255")


def test_a_frame_that_comes_again_counts_once():
    first = meter(0x30, (b"\xe6\xe7\x00" + GOT)[:7], more=True)
    units = said(
        client(0x10, b"\xe6\xe6\x00" + GET),
        *(first, client(0x11), first, client(0x31)),
        meter(0x32, GOT[4:]),
    )
    assert units[3].layers[1] == ("HDLC", "the same frame again")
    assert units[-1].apdu.octets == GOT


def test_a_window_that_comes_again_counts_once():
    apdu = b"\xe6\xe7\x00" + GOT
    window = (meter(0x20, apdu[:5], more=True), meter(0x32, apdu[5:8], more=True))
    asked = client(0x10, b"\xe6\xe6\x00" + GET)
    units = said(asked, *window, client(0x11), *window, client(0x51), meter(0x34, apdu[8:]))
    assert units[-1].apdu.octets == GOT
    assert not any(u.faults() for u in units)


def test_a_frame_that_is_missing_is_said():
    units = said(client(0x10, b"\xe6\xe6\x00" + GET), client(0x14, b"\xe6\xe6\x00" + GET))
    ((node, fault),) = units[1].faults()
    assert node.name == "control" and fault == "N(S) 2; expected 1: a frame is missing"


def test_half_a_frame_and_then_another():
    units = said(("rx", client(0x93)[1][:5]), client(0x93))
    assert units[0].error is not None or units[0].faults()
    assert not units[1].faults()


def test_the_other_one_speaks_before_a_frame_is_whole():
    units = said(("rx", client(0x93)[1][:5]), meter(0x73))
    assert [bool(u.faults()) for u in units] == [True, False]


@pytest.mark.parametrize("cut", range(1, 25))
def test_a_frame_that_is_cut_off_anywhere(cut):
    octets = client(0x10, b"\xe6\xe6\x00" + GET)[1]
    units = said(("rx", octets[:cut]))
    assert all(u.faults() for u in units)
    assert b"".join(u.octets for u in units) == (octets[:cut] if cut > 1 else b"")


@pytest.mark.parametrize(
    "part", ["7E", "7EA0", "7EA7FF", "0001", "02", "06", "7E00", "C401C10001"]
)
def test_much_of_the_same(part):
    octets = bytes.fromhex(part) * 3000
    units = said(("rx", octets))
    assert sum(len(u.octets) for u in units) <= 2 * len(octets)


def test_garbage_between_frames():
    units = said(("rx", b"\xff\xfe" + client(0x93)[1] + b"\x55\xaa" + client(0x53)[1]))
    assert [u.name for u in units] == ["octets", "hdlc-frame", "octets", "hdlc-frame"]
    assert "expected 7E" in units[0].error


def test_addresses_tell_who_speaks():
    """Without a direction: 4 octets are a server's; of 1 it is known from the LLC."""
    units = said((None, client(0x10, b"\xe6\xe6\x00" + GET)[1]), (None, meter(0x31)[1]))
    assert [(u.direction, u.client, u.server) for u in units] == [("rx", 16, 1), ("tx", 16, 1)]


# --- Wrapper -------------------------------------------------------------------------------------


def test_several_wpdus_and_parts_of_them():
    octets = wpdu(16, 1, GET) * 3
    c = Conversation()
    counts = [len(c.octets("rx", part)) for part in (octets[:30], octets[30:45], octets[45:])]
    assert counts == [1, 1, 1] and c.end() == []


def test_a_wpdu_of_another_version_and_then_a_good_one():
    bad = b"\x10\x01" + wpdu(16, 1, GET)[2:]
    units = said(("rx", wpdu(16, 1, GET) + bad + wpdu(16, 1, GET)))
    assert [bool(u.faults()) for u in units] == [False, True, False]


def test_an_answer_is_told_from_its_addresses():
    units = said((None, wpdu(16, 1, GET)), (None, wpdu(1, 16, GOT)))
    assert [(u.direction, u.client, u.server) for u in units] == [("rx", 16, 1), ("tx", 16, 1)]


def test_a_push_comes_from_the_meter_whatever_its_port():
    note = bytes.fromhex("0F00000001000600000007")
    for way in ("rx", None):
        unit, asked = said((way, wpdu(1, 16, note)), (None, wpdu(16, 1, GET)))
        assert (unit.direction, unit.client, unit.server) == ("tx", 16, 1)
        assert asked.direction == "rx"


# --- Malformed APDUs -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "octets, at, expected",
    [
        ("C004C1", 1, "expected 1 (normal), 2 (next), 3 (with-list)"),
        ("C001C10003010001", 8, "expected 6 octets of Cosem-Object-Instance-Id"),
        ("C401C10007", 4, "0x07 is no tag of a Data; expected"),
        ("C001C100030100010800FF020007", 13, "1 octet behind the end"),
        ("C001C100030100010800FF02020000", 12, "expected 00 (absent) or 01 (present)"),
    ],
)
def test_where_an_apdu_goes_wrong(octets, at, expected):
    unit = one(wpdu(16, 1, bytes.fromhex(octets)))
    fault = next(f for _, f in unit.faults())
    assert fault.at == 8 + at
    assert expected in fault


def test_after_what_is_wrong_it_goes_on():
    units = said(("rx", wpdu(16, 1, b"\xc0\x04\xc1") + wpdu(16, 1, GET)))
    assert [bool(u.faults()) for u in units] == [True, False]


# --- Long answers --------------------------------------------------------------------------------


def block(number, raw, last=False):
    head = b"\xc4\x02\xc1" + bytes((last,)) + number.to_bytes(4, "big") + b"\0"
    return "tx", wpdu(1, 16, head + bytes((len(raw),)) + raw)


def asked(octets=GET):
    return "rx", wpdu(16, 1, octets)


def next_one(number):
    return asked(b"\xc0\x02\xc1" + number.to_bytes(4, "big"))


def test_blocks_of_a_get_are_put_together():
    data = bytes.fromhex("0103110111021103")
    units = said(asked(), block(1, data[:3]), next_one(1), block(2, data[3:], last=True))
    whole = units[-1].apdu.children[-1]
    assert (whole.name, whole.octets) == ("2-blocks", data)
    assert whole.children[0].type == "array" and not units[-1].faults()
    assert units[-1].layers[-1][1].endswith("2-blocks: array of 3")


def test_blocks_of_a_list_hold_results():
    data = bytes.fromhex("02001101010B")
    units = said(asked(LIST), block(1, data[:2]), next_one(1), block(2, data[2:], last=True))
    results = units[-1].apdu.children[-1].children[0]
    assert [r.children[0].name for r in results.children] == ["data", "data-access-result"]


def test_a_block_that_is_missing_is_said():
    units = said(asked(), block(1, b"\x01"), next_one(1), block(3, b"\x03", last=True))
    ((node, fault),) = units[-1].faults()
    assert fault == "block 3; expected 2" and node.name == "block-number"


def test_blocks_whose_beginning_nobody_has_seen():
    (unit,) = said(block(4, b"\x01\x02", last=True))
    assert unit.apdu.text == "block 4; those before it are not here" and not unit.faults()


def test_short_names():
    read = bytes.fromhex("050102FA08")
    answers = [bytes.fromhex("0C0102%02X%04X02" % (k == 2, k)) + part
               for k, part in ((1, b"\x01\x00"), (2, b"\x11\x07"))]  # fmt: skip
    units = said(asked(read), ("tx", wpdu(1, 16, answers[0])), ("tx", wpdu(1, 16, answers[1])))
    assert units[1].apdu.text == "to 0xFA08"
    results = units[2].apdu.children[-1].children[0]
    assert results.children[0].children[0].value == 7
    assert not any(u.faults() for u in units)


def test_a_request_with_short_names_in_blocks():
    write = bytes.fromhex("0102FA0801" + "1105")
    parts = [(1, write[:3]), (2, write[3:])]
    units = said(*(
        asked(bytes.fromhex("060107%02X%04X0109" % (k == 2, k)) + bytes((len(part),)) + part)
        for k, part in parts
    ))  # fmt: skip
    whole = units[1].apdu.children[-1]
    assert whole.octets == write and not units[1].faults()
    assert whole.children[0].get("list-of-data").children[0].value == 5


def general(number, raw, last=False, acknowledged=0):
    head = bytes((0xE0, 0x81 if last else 1))
    return (
        head
        + number.to_bytes(2, "big")
        + acknowledged.to_bytes(2, "big")
        + bytes((len(raw),))
        + raw
    )


def test_general_blocks_are_put_together_and_one_is_sent_again():
    units = said(
        asked(),
        ("tx", wpdu(1, 16, general(1, GOT[:3]))),
        ("tx", wpdu(1, 16, general(3, GOT[6:], last=True))),
        asked(general(1, b"", True, 1)),
        ("tx", wpdu(1, 16, general(2, GOT[3:6]))),
    )
    assert [len(u.apdu.children) for u in units[1:]] == [4, 4, 4, 5]
    inner = units[-1].apdu.children[-1].children[0]
    assert inner.name == "get-response-normal" and inner.text.startswith("to Register")


def test_acknowledgements_are_counted_as_blocks():
    """A client that has acknowledged sends its next request from the number that follows."""
    units = said(
        asked(general(1, b"", True, 1)),
        asked(general(2, GET[:5])),
        asked(general(3, GET[5:], True)),
    )
    assert units[-1].apdu.children[-1].octets == GET


# --- Ciphering -----------------------------------------------------------------------------------


def protected(**keys):
    found = Keys()
    found.add(TITLE, **keys)
    (unit,) = said((None, CIPHERED), keys=found)
    return unit


def test_with_keys_it_is_opened():
    vector = next(v for v in APDUS if v["id"] == "sec-glo-authenc")
    keys = Keys()
    keys.add(vector["keys"]["system_title"], guek=vector["keys"]["ek"], gak=vector["keys"]["ak"])
    unit = one(bytes.fromhex(vector["hex"]), keys=keys)
    assert not unit.faults()
    assert "> get-request-normal: Clock 0.0.1.0.0.255 time" in unit.layers[-1][1]


def test_a_wrong_key_is_said():
    wrong = dict(KEYS, guek="FF" * 16)
    faults = protected(**wrong).faults()
    assert len(faults) == 1 and "wrong key" in faults[0][1]


def test_no_key_is_said_and_is_no_fault():
    unit = one(CIPHERED)
    assert not unit.faults()
    assert "not deciphered" in unit.layers[-1][1]


# --- 62056-21 ------------------------------------------------------------------------------------


def test_the_way_from_sign_on_to_hdlc():
    units = said(
        ("rx", b"/?!\r\n"),
        ("tx", b"/PMT5\\2PICOMETER\r\n"),
        ("rx", b"\x06252\r\n"),
        ("tx", b"\x06252\r\n"),
        client(0x93),
    )
    assert [u.layers[0][0] for u in units] == ["62056-21"] * 4 + ["HDLC"]
    assert units[2].layers[0][1].endswith("then frames of HDLC")


def test_parity_that_a_line_has_left():
    octets = bytes(x | (0x80 if x.bit_count() & 1 else 0) for x in b"/?45678!\r\n")
    (unit,) = said(("rx", octets))
    assert (unit.name, unit.text) == ("request", "sign-on, device address 45678")


def test_a_wrong_block_check():
    (unit,) = said(("tx", b"\x021.8.0(2)\x03\x10"))
    ((node, fault),) = unit.faults()
    assert node.name == "BCC" and fault.startswith("BCC 10; expected ")


def test_a_data_message_with_something_else_in_it():
    (unit,) = said(("tx", b"\x021.8.0(2*kWh)\r\nrubbish\r\n!\r\n\x03\x00"))
    texts = [c.text for c in unit.get("data").children]
    assert texts == ["1.8.0 = 2 kWh", "rubbish"]
    assert any("expected address(value*unit)" in fault for _, fault in unit.faults())


# --- What a trace hides --------------------------------------------------------------------------


def test_hidden_octets_are_no_faults():
    apdu = bytes.fromhex("C101C1000F0000280000FF07000910") + bytes(16)
    octets = client(0x10, b"\xe6\xe6\x00" + apdu)[1]
    hidden = tuple(range(octets.index(b"\xff\x07") + 2, len(octets) - 1))
    shown = bytes(0 if k in hidden else x for k, x in enumerate(octets))
    c = Conversation()
    (unit,) = c.octets("rx", shown, hidden=hidden)
    assert not unit.faults()
    assert unit.apdu.children[-1].name == "hidden"
    assert json.loads(unit.json())["octets"].endswith("**" * len(hidden) + "7e")


@pytest.mark.parametrize("mechanism", [1, 0, 9, None, 5])
def test_a_password_does_not_show(mechanism):
    vector = next(v for v in APDUS if v["id"] == "acse-aarq-ln-lls")
    octets = bytes.fromhex(vector["hex"])
    assert b"12345678" in octets
    name = bytes.fromhex("8B0760857405080201")
    octets = octets.replace(name, b"" if mechanism is None else name[:-1] + bytes((mechanism,)))
    if mechanism is None:
        octets = octets[:1] + bytes((octets[1] - len(name),)) + octets[2:]
    unit = one(octets)
    assert not unit.faults()
    shown = unit.json() + text_of(unit)
    is_challenge = mechanism == 5
    for form in (b"12345678".hex(), b"12345678".hex(" "), "12345678"):
        assert is_challenge or form not in shown and form.upper() not in shown
    assert is_challenge == ("12345678" in shown)


# --- Names, and how it looks ---------------------------------------------------------------------


def test_objects_have_names():
    unit = one(GET, names=Names())
    assert unit.layers[-1][1].startswith(
        "get-request-normal: Register 1.0.1.8.0.255 value: active import +A energy"
    )


def text_of(unit):
    said = []
    show.Text(said.append).unit(unit)
    return "".join(said)


def test_a_fault_is_shown_at_its_octet():
    text = text_of(one(wpdu(16, 1, bytes.fromhex("C401C10007"))))
    row = next(line for line in text.splitlines() if "^" in line)
    assert row.split()[:3] == ["12", "07", "^"] and "expected" in row


def test_what_was_sent_does_not_reach_the_terminal_as_it_is():
    unit = one(wpdu(16, 1, bytes.fromhex("C401C1000A04") + b"\x1b[2J"))
    assert "\x1b" not in text_of(unit)


# --- Anything ------------------------------------------------------------------------------------

SOME = [bytes.fromhex(v.get("hex") or v["input_hex"]) for v in APDUS[::7] + LINES[::3]]
PART = st.one_of(st.binary(max_size=60), st.sampled_from(SOME))


@st.composite
def damaged(draw):
    octets = bytearray(draw(PART))
    for _ in range(draw(st.integers(0, 3))):
        if octets:
            k = draw(st.integers(0, len(octets) - 1))
            octets[k : k + draw(st.integers(0, 3))] = draw(st.binary(max_size=3))
    return bytes(octets)


SENT = st.tuples(st.sampled_from(["rx", "tx", None, "a"]), damaged(), st.booleans())
SOME_KEYS = Keys()
SOME_KEYS.add(TITLE, **KEYS)


@settings(max_examples=300, deadline=None)
@given(st.lists(SENT, max_size=5))
def test_nothing_that_is_said_is_too_much(messages):
    """No exception; all octets come out again, in their order, but for flags between frames."""
    c = Conversation(SOME_KEYS, Names(), turns=False)
    out = {}
    units = []
    for direction, octets, whole in messages:
        units += [(direction, u) for u in c.octets(direction, octets, whole=whole)]
    units += [(None, u) for u in c.end()]
    for direction, unit in units:
        out[direction] = out.get(direction, b"") + unit.octets
        text_of(unit)
        json.loads(unit.json())
    total = sum(len(octets) for _, octets, _ in messages)
    flags = sum(octets.count(b"\x7e") for _, octets, _ in messages)
    assert total - flags <= sum(map(len, out.values())) <= total + flags


@pytest.mark.parametrize(
    "octets, at", [("1a", 0), ("e6", 1), ("e6e6", 2), ("e6e501", 1), ("e6e701c0", 2)]
)
def test_what_is_no_llc(octets, at):
    (unit,) = Conversation(layer="llc").octets(None, bytes.fromhex(octets))
    assert unit.error.at == at and "expected E6 E6 00 or E6 E7 00" in unit.error


@settings(max_examples=300, deadline=None)
@given(st.sampled_from(LAYERS), st.lists(SENT, max_size=3))
@example("62056-21", [("tx", b"\x80", True)])
@example("llc", [("tx", b"", True), ("tx", b"\x1a", False)])
def test_any_octets_in_a_layer_that_is_given(layer, messages):
    c = Conversation(layer=layer)
    units = [u for way, octets, whole in messages for u in c.octets(way, octets, whole=whole)]
    for unit in units + c.end():
        assert unit.octets
        text_of(unit)
        json.loads(unit.json())


@settings(max_examples=100, deadline=None)
@given(damaged(), st.data())
def test_any_octets_of_it_may_be_hidden(octets, data):
    hidden = sorted(data.draw(st.sets(st.integers(0, max(len(octets) - 1, 0)), max_size=8)))
    hidden = tuple(k for k in hidden if k < len(octets))
    c = Conversation(SOME_KEYS, Names())
    for unit in c.octets("rx", octets, hidden=hidden) + c.end():
        text_of(unit)
        json.loads(unit.json())
