# SPDX-License-Identifier: MIT
"""tools/live/talk.py, trees.py: a conversation as lines and trees, in which no secret is."""

import functools
import json

import feeds
import pytest
import running
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from decoding.keys import Keys
from live import facts, talk

SECRET = b"Xq7!zP0w-k3J"
GET_SECRET = "C001C1 000F 0000280002FF 07 00"
SECRET_GOT = "C401C100 090C" + SECRET.hex()


@functools.cache
def residential():
    return facts.load(running.DEFAULT_DEFINITION)


class Talk:
    """A link of a kind, and what is said on it as lines."""

    def __init__(self, kind="wrapper-tcp", keys=None):
        self.talk = talk.Talk(residential(), keys)
        self.link = feeds.Link(1, kind, "127.0.0.1:4059", "127.0.0.1:50000")
        self.talk.open(self.link)
        self.hdlc = running.HDLC(None, None)

    def octets(self, octets, sent=False, fault=None):
        event = feeds.Octets(self.link, sent, octets, fault)
        event.time, event.ms = 1700000000.25, 0
        return self.talk.octets(event)

    def say(self, apdu, sent=False):
        """The line of an APDU in a wpdu of client 2."""
        apdu = bytes.fromhex(apdu)
        ends = (1, 2) if sent else (2, 1)
        head = b"".join(n.to_bytes(2, "big") for n in (1, *ends, len(apdu)))
        (line,) = self.octets(head + apdu, sent)
        return line

    def frame(self, control, info=b"", sent=False):
        (line,) = self.octets(self.hdlc.frame(control, info), sent)
        return line

    def seen(self, *lines):
        """All that a browser can get of these lines, as text; octets as they would be there."""
        return json.dumps([[line, self.talk.tree(line["n"])] for line in lines])


def hides(t, secret, *lines):
    text = t.seen(*lines)
    return all(
        s not in text for s in (secret.decode("latin-1"), secret.hex(), secret.hex().upper())
    ) and (secret.hex(" ") not in text)


# --- Lines ----------------------------------------------------------------------------------


def test_a_value_has_the_unit_that_the_definition_gives_it():
    t = Talk()
    line = t.say("C001C1 0003 0100010800FF 02 00")
    assert (line["way"], line["service"], line["what"]) == ("rx", "get", "get-request-normal")
    assert (line["label"], line["text"]) == ("get", "1.0.1.8.0 value")
    assert line["note"] == "active energy import, tariff 0"
    assert (line["client"], line["octets"], line["bad"]) == (2, 21, False)
    assert t.say("C401C100 06 0000303A", True)["result"] == "12.346 kWh"
    assert t.say("C401C101 03", True) | {"n": 0, "time": 0} == {
        **t.say("C401C101 03", True), "result": "read-write-denied", "bad": True, "n": 0, "time": 0
    }  # fmt: skip


def test_lists_and_blocks():
    t = Talk()
    line = t.say("C003C102 0003 0100200700FF 02 00 0001 0000600100FF 02 00")
    assert line["note"] == "voltage L1, and 1 more"
    line = t.say("C403C102 00 12 0902 01 03", True)
    assert (line["text"], line["result"]) == ("2 results", "230.6 V, read-write-denied")
    assert t.say("C002C100000007")["text"] == " block 7"


def test_an_association():
    t = Talk()
    line = t.say(running.AARQ.hex())
    assert (line["service"], line["label"]) == ("association", "aarq")
    assert "LN referencing" in line["text"]
    rejected = "6129A109060760857405080101A203020101A305A10302010DBE10"
    line = t.say(rejected + "040E0800065F1F040000101802000007", True)
    assert line["bad"] and line["result"] == "rejected-permanent, authentication-failure"


def test_an_error_and_what_is_no_message():
    t = Talk()
    assert t.say("D80102", True)["bad"]
    (line,) = t.octets(b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff")
    assert line["bad"] and line["service"] == "octets" and "expected" in line["result"]
    assert t.talk.tree(line["n"])["hex"] == ["**" * 10]


def test_frames():
    t = Talk("hdlc-tcp")
    assert t.frame(0x93)["label"] == "SNRM"
    line = t.frame(0x10, b"\xe6\xe6\x00" + running.GET_TIME)
    assert (line["service"], line["text"]) == ("get", "Clock 0.0.1.0.0 time")
    line = t.frame(0x31)
    assert (line["service"], line["label"], line["text"]) == ("frame", "RR", "N(R) 1, P/F")


def test_a_tree_marks_its_octets():
    t = Talk()
    line = t.say("C001C1 0003 0100010800FF 02 00")
    tree = t.talk.tree(line["n"])
    (text,) = tree["hex"]
    apdu = tree["nodes"][0]["children"][-1]
    name = apdu["children"][1]["children"][1]
    assert (name["name"], name["text"]) == ("instance-id", "1.0.1.8.0.255")
    assert text[2 * name["start"] : 2 * name["end"]] == "0100010800FF" and name["b"] == 0


def test_what_a_fault_has_kept():
    t = Talk()
    (line,) = t.octets(b"\0\1", True, "drop")
    assert line["service"] == "fault" and line["bad"]
    assert t.octets(b"\0\1", True, "crc") == []


def test_trees_are_kept_for_a_while():
    t = Talk()
    first = t.say("C002C100000007")["n"]
    for _ in range(2000):
        t.say("C002C100000007")
    assert t.talk.tree(first) is None and t.talk.tree(first + 1)
    assert t.talk.tree("1") is None and t.talk.tree(None) is None


# --- Secrets --------------------------------------------------------------------------------


def test_the_password_of_an_aarq():
    t = Talk()
    assert hides(t, SECRET, t.say(running.aarq_with(SECRET).hex()))


def test_a_dedicated_key():
    key = bytes(range(0x30, 0x40))
    t = Talk()
    line = t.say("6030A1090607608574050801 03BE23 0421 01 01 10" + key.hex()
                 + "00 00 06 5F1F0400FFFFFF 0400")  # fmt: skip
    assert "initiateRequest" in t.seen(line) and hides(t, key, line)


@pytest.mark.parametrize(
    "request_, response",
    [
        (GET_SECRET, SECRET_GOT),
        ("C003C102 0003 0100200700FF 02 00 000F 0000280002FF 07 00",
         "C403C102 00 12 0902 00 090C" + SECRET.hex()),
        ("C101C1 000F 0000280002FF 07 00 090C" + SECRET.hex(), "C501C100"),
        ("C301C1 000F 0000280002FF 02 01 090C" + SECRET.hex(), "C701C1 00 00"),
        ("C301C1 0040 00002B0001FF 02 01 090C" + SECRET.hex(),
         "C701C1 00 01 00 090C" + SECRET.hex()),
    ],
)  # fmt: skip
def test_secret_attributes_and_methods(request_, response):
    t = Talk()
    lines = t.say(request_), t.say(response, True)
    assert "0.0.4" in t.seen(lines[0]) and hides(t, SECRET, *lines)
    assert lines[1]["result"] in ("hidden", "success")
    # What comes next is none.
    t.say("C001C1 0001 0000600100FF 02 00")
    assert SECRET.decode() in t.say(SECRET_GOT, True)["result"]


def test_the_answer_to_nobody_knows_what():
    """A request that is cut off may have been about a secret."""
    t = Talk()
    assert t.say("C001C1 000F 0000280002")["bad"]
    assert hides(t, SECRET, t.say(SECRET_GOT, True))


def test_answers_after_something_was_lost():
    t = Talk()
    t.say(GET_SECRET)
    t.talk.lost()
    assert hides(t, SECRET, t.say(SECRET_GOT, True))
    t.say("C001C1 0001 0000600100FF 02 00")
    assert SECRET.decode() in t.say(SECRET_GOT, True)["result"]


def test_requests_that_do_not_wait_for_answers():
    other = "C001C1 0001 0000600100FF 02 00"
    t = Talk()
    t.say(GET_SECRET)
    t.say(other)
    assert hides(t, SECRET, t.say(SECRET_GOT, True))
    t.say(other)
    assert hides(t, SECRET, t.say(SECRET_GOT, True), t.say(SECRET_GOT, True))
    t.say(other)
    assert SECRET.decode() in t.say(SECRET_GOT, True)["result"]


def test_what_has_no_answer_is_not_waited_for():
    """A request without confirmation; blocks that are acknowledged; what a meter says unasked."""
    t = Talk()
    t.say("C101 81 0008 0000010000FF 02 00 00")
    t.say(GET_SECRET)
    event = t.say("C201 00 0003 0100200700FF 02 12 0902", True)
    assert (event["text"], event["note"]) == ("1.0.32.7.0 value", "voltage L1")
    assert hides(t, SECRET, event, t.say(SECRET_GOT, True))
    t.say("E0 81 0002 0001 00")
    t.say("C001C1 0001 0000600100FF 02 00")
    assert SECRET.decode() in t.say(SECRET_GOT, True)["result"]


def test_a_secret_that_comes_in_general_blocks():
    t = Talk()
    t.say(GET_SECRET)
    blocks = [
        t.say("E0 01 0001 0000 06 C401C100 090C", True),
        t.say("C001C1 0001 0000600100FF 02 00"),
        t.say("E0 81 0002 0000 0C" + SECRET.hex(), True),
    ]
    assert blocks[2]["service"] == "get" and hides(t, SECRET, *blocks)


def test_a_notification_about_a_secret():
    t = Talk()
    assert hides(t, SECRET, t.say("C201 00 000F 0000280002FF 07 090C" + SECRET.hex(), True))
    event = t.say("C201 00 0003 0100200700FF 02 12 0902", True)
    assert event["result"] == "230.6 V"


@pytest.mark.parametrize("other", [running.AARQ.hex(), "6200"])
def test_the_answer_comes_after_the_association(other):
    t = Talk()
    t.say(GET_SECRET)
    t.say(other)
    assert hides(t, SECRET, t.say(SECRET_GOT, True))
    t.say("6300", True)
    t.say("C001C1 0001 0000600100FF 02 00")
    assert SECRET.decode() in t.say(SECRET_GOT, True)["result"]


def test_a_secret_in_blocks():
    t = Talk()
    lines = [
        t.say("C001C1 000F 0000280002FF 07 00"),
        t.say("C402C1 00 00000001 00 08 090C" + SECRET[:6].hex(), True),
        t.say("C002C1 00000001"),
        t.say("C402C1 01 00000002 00 06" + SECRET[6:].hex(), True),
    ]
    assert (
        hides(t, SECRET, *lines) and hides(t, SECRET[:6], *lines) and hides(t, SECRET[6:], *lines)
    )


def test_a_secret_in_blocks_of_a_set():
    t = Talk()
    lines = [
        t.say("C102C1 000F 0000280002FF 07 00 00 00000001 08 090C" + SECRET[:6].hex()),
        t.say("C502C1 00000001", True),
        t.say("C103C1 01 00000002 06" + SECRET[6:].hex()),
    ]
    assert (
        hides(t, SECRET, *lines) and hides(t, SECRET[:6], *lines) and hides(t, SECRET[6:], *lines)
    )


def test_a_secret_in_general_blocks():
    apdu = bytes.fromhex("C101C1 000F 0000280002FF 07 00 090C") + SECRET
    t = Talk()
    lines = [
        t.say("E0 01 0001 0000 14" + apdu[:20].hex()),
        t.say("E0 80 0002 0000 %02X" % (len(apdu) - 20) + apdu[20:].hex()),
    ]
    assert hides(t, SECRET[:4], *lines) and hides(t, SECRET[5:], *lines)
    assert lines[1]["text"].startswith("0.0.40.0.2")


def test_a_secret_in_segments():
    t = Talk("hdlc-tcp")
    t.frame(0x93)
    apdu = b"\xe6\xe6\x00" + bytes.fromhex("C101C1 000F 0000280002FF 07 00 090C") + SECRET
    frame = bytearray(t.hdlc.frame(0x00, apdu[:21]))
    frame[1] |= 8
    frame[6:8] = crc(frame[1:6])
    frame[-3:-1] = crc(frame[1:-3])
    lines = [*t.octets(bytes(frame)), t.frame(0x12, apdu[21:])]
    assert lines[0]["text"].endswith("18 octets so far")
    assert "0.0.40.0.2.255" in t.seen(lines[1])
    assert hides(t, SECRET[:4], *lines) and hides(t, SECRET[5:], *lines)


def test_what_began_before_a_gap_does_not_go_on():
    t = Talk()
    t.say("C001C1 0007 0100630100FF 02 00")
    t.say("C402C1 00 00000001 00 03 09050A", True)
    t.talk.lost()
    t.say("C002C1 00000001")
    line = t.say("C402C1 01 00000002 00 03 616263", True)
    assert "those before it are not here" in t.seen(line)
    blocks = Talk()
    blocks.say("E0 01 0001 0000 04 C4010000", True)
    blocks.talk.lost()
    line = blocks.say("E0 81 0002 0000 03 120001", True)
    assert line["service"] == "protected" and "those before it are not here" in blocks.seen(line)


def crc(octets):
    octets = running.HDLC._with_crc(bytes(octets))
    return octets[-2:]


def test_a_secret_in_what_is_no_frame():
    t = Talk("hdlc-tcp")
    frame = t.hdlc.frame(0x10, b"\xe6\xe6\x00" + bytes.fromhex("C101C1 000F") + SECRET)
    other = frame.replace(b"\xc1\x00\x0f", b"\xc1\x00\x03")  # of no secret, but a wrong check
    assert other != frame
    cut = frame[:8] + b"\x02" + frame[9:]  # of no LLC
    for broken in (other, cut, frame[:-9] + b"\x7e", frame[:3] + frame[4:], b"\x7e" + frame[8:]):
        lines = t.octets(broken) + t.octets(t.hdlc.frame(0x93))
        assert lines and hides(t, SECRET, *lines)


def test_the_check_of_a_frame_with_a_secret():
    """Sixteen bits of it would be given away."""
    t = Talk("hdlc-tcp")
    t.frame(0x93)
    t.frame(0x10, b"\xe6\xe6\x00" + bytes.fromhex(GET_SECRET))
    line = t.frame(0x30, b"\xe6\xe7\x00" + bytes.fromhex(SECRET_GOT), True)
    (text,) = t.talk.tree(line["n"])["hex"]
    assert text.endswith("****7E") and hides(t, SECRET, line)


def test_a_secret_inside_of_a_cipher():
    sheet = running.sheet()
    keys = Keys()
    keys.add_sheet(sheet)
    t = Talk(keys=keys)
    (a,) = (x for x in sheet["associations"] if x["client_sap"] == 1)
    guek, gak = bytes.fromhex(a["guek_hex"]), bytes.fromhex(a["gak_hex"])
    title = bytes.fromhex(sheet["system_title"])
    aare = "6148A109060760857405080103A203020100A305A103020100A40A0408" + title.hex()
    t.say(aare + "BE23 0421" + sealed(guek, gak, title, 1, bytes(14), 0x28), True)
    lines = [
        t.say(sealed(guek, gak, title, 2, bytes.fromhex(GET_SECRET), 0xC8)),
        t.say(sealed(guek, gak, title, 3, bytes.fromhex(SECRET_GOT), 0xCC), True),
    ]
    assert "0.0.40.0.2.255" in t.seen(lines[0]), t.seen(lines[0])
    assert hides(t, SECRET, *lines) and guek.hex() not in t.seen(*lines).lower()
    # Who they are is still known after a gap.
    t.talk.lost()
    line = t.say(sealed(guek, gak, title, 9, running.GET_TIME, 0xC8))
    assert line["text"] == "Clock 0.0.1.0.0 time"


def sealed(guek, gak, title, counter, apdu, tag):
    """An APDU with this tag, authenticated and encrypted, suite 0."""
    head = bytes((0x30,)) + counter.to_bytes(4, "big")
    text = AESGCM(guek).encrypt(title + head[1:], apdu, head[:1] + gak)
    body = head + text[: len(apdu) + 12]
    return (bytes((tag, len(body))) + body).hex()


def test_a_secret_by_short_names():
    t = Talk()
    (name, *_rest) = sorted(residential().secret_names)
    lines = [
        t.say("0501 02 %04X" % name),
        t.say("0C01 00 090C" + SECRET.hex(), True),
        t.say("0601 02 %04X 01 090C" % name + SECRET.hex()),
    ]
    assert hides(t, SECRET, *lines)


def test_passwords_of_the_optical_port():
    t = Talk("optical-pty")
    lines = t.octets(b"\x01P1\x02(demo-password)\x03\x10")
    lines += t.octets(b"\x01R1\x021.8.0()\x03\x6a")
    assert [line["text"] for line in lines][0] == "hidden"
    assert hides(t, b"demo-password", *lines) and "1.8.0" in t.seen(lines[1])
    lines = t.octets(bytes(x | 0x80 for x in b"\x01P1\x02(demo-password)\x03\x10"))
    assert hides(t, b"demo-password", *lines) and hides(
        t, bytes(x | 0x80 for x in b"demo-password"), *lines
    )
