# SPDX-License-Identifier: MIT
"""tools/decoding/trace.py: octets in whatever layout somebody pastes them."""

import io

import pytest
from decoding.run import lines_of
from decoding.trace import Reader
from hypothesis import given, settings
from hypothesis import strategies as st

SNRM = bytes.fromhex("7EA00802232193BD647E")
RR = bytes.fromhex("7EA00721033533677E")
GET = bytes.fromhex("C001C100030100010800FF0200")


def read(text):
    return list(Reader().read(text.splitlines(True)))


def one(text):
    (said,) = read(text)
    return said


@pytest.mark.parametrize(
    "text, direction, time",
    [
        ("TX: 7E A0 08 02 23 21 93 BD 64 7E", "TX", None),
        ("RX: 10:20:18 7E A0 08 02 23 21 93 BD 64 7E", "RX", "10:20:18"),
        ("TX:\t10:20:18.123\t7E A0 08 02 23 21 93 BD 64 7E", "TX", "10:20:18.123"),
        ("10:20:18 TX: 7EA008022321 93BD647E", "TX", "10:20:18"),
        ("[2026-11-21 10:20:18,5] Sent: 7E-A0-08-02-23-21-93-BD-64-7E", "TX", "10:20:18,5"),
        ("Received 7ea008022 32193bd647e", "RX", None),
        ("-> 7E A0 08 02 23 21 93 BD 64 7E", "TX", None),
        ("<< 7E A0 08 02 23 21 93 BD 64 7E", "RX", None),
        ("10:20:18 Send <7E A0 08 02 23 21 93 BD 64 7E>", "TX", "10:20:18"),
        ("client: 7E:A0:08:02:23:21:93:BD:64:7E", "client", None),
        ("S->C: [7E, A0, 08, 02, 23, 21, 93, BD, 64, 7E]", "meter", None),
        ("2026-11-21 10:20:18.5 DEBUG [x] TX: 7EA00802232193BD647E", "TX", "10:20:18.5"),
        ("main - INFO - Received: 7EA00802232193BD647E", "RX", None),
        ("7E A0 08 02 23 21 93 BD 64 7E", None, None),
        ("7ea00802232193bd647e", None, None),
        ("0x7E, 0xA0, 0x08, 0x02, 0x23, 0x21, 0x93, 0xBD, 0x64, 0x7E", None, None),
        ('"\\x7e\\xa0\\x08\\x02\\x23\\x21\\x93\\xbd\\x64\\x7e"', None, None),
        ("10:20:18 7E A0 08 02 23 21 93 BD 64 7E", None, "10:20:18"),
        ("0000  7e a0 08 02 23 21 93 bd  64 7e                    ~...#!..d~", None, None),
        ("0000   7e a0 08 02 23 21 93 bd 64 7e   ~...#!..d~", None, None),
        ("\t0x0000:  7ea0 0802 2321 93bd 647e                 ~...#!..d~", None, None),
        ("00000000: 7ea0 0802 2321 93bd 647e                 ~...#!..d~", None, None),
        ("00000000  7e a0 08 02 23 21 93 bd  64 7e     |~...#!..d~|", None, None),
    ],
)
def test_a_frame_in_a_line(text, direction, time):
    said = one(text)
    assert (said.octets, said.direction, said.time) == (SNRM, direction, time)
    assert said.hidden == () and said.trouble is None


def test_lines_of_octets_belong_together():
    assert one("7E A0 08 02\n23 21 93 BD\n64 7E\n").octets == SNRM


def test_a_message_of_a_trace_goes_on_in_the_next_line():
    said = one("TX: 10:20:18 7E A0 08 02\n     23 21 93 BD 64 7E\n")
    assert (said.octets, said.direction) == (SNRM, "TX")


def test_a_dump_of_lines_with_offsets():
    octets = bytes(range(40))
    rows = ["%04x  %s  ..." % (k, octets[k : k + 16].hex(" ")) for k in range(0, 40, 16)]
    assert one("\n".join(rows)).octets == octets


def test_a_dump_that_begins_again_is_another_message():
    assert [s.octets for s in read("0000  7e a0\n0000  7e a1\n")] == [b"\x7e\xa0", b"\x7e\xa1"]


def test_the_two_sides_of_a_stream_that_is_followed():
    text = "00000000  00 01 00 10                    ....\n"
    text += "    00000000  00 01 00 01                    ....\n"
    assert [s.octets for s in read(text)] == [b"\0\1\0\x10", b"\0\1\0\1"]


def test_frames_and_apdus_on_lines_of_their_own():
    messages = [SNRM, RR, GET, GET, SNRM]
    text = "".join(octets.hex() + "\n" for octets in messages)
    assert [said.octets for said in read(text)] == messages


def test_hidden_octets():
    said = one("RX: 10:20:18 C1 01 ** ** 05")
    assert (said.octets, said.hidden) == (b"\xc1\1\0\0\5", (2, 3))


@pytest.mark.parametrize(
    "text, octets, hidden",
    [
        ("/?!<CR><LF>", b"/?!\r\n", ()),
        ("<ACK>050<CR><LF>", b"\x06050\r\n", ()),
        ("<SOH>R1<STX>1.8.0()<ETX><5A>", b"\x01R1\x021.8.0()\x03\x5a", ()),
        ("<SOH>P1<STX>(**", b"\x01P1\x02(*", (5,)),
        ("<NAK>", b"\x15", ()),
    ],
)
def test_the_text_of_an_optical_port(text, octets, hidden):
    said = one("TX: 10:20:18 " + text)
    assert (said.octets, said.hidden, said.direction) == (octets, hidden, "TX")


OCTETS = "; expected two hexadecimal digits for each octet"
CHARACTERS = "; expected characters of 7 bits, controls as <CR> or <0D>"


@pytest.mark.parametrize(
    "text, octets, trouble",
    [
        ("TX: 7E A0 0", "7ea0", "'0' in column 11" + OCTETS),
        ("TX: 7E A0 08 0G 23 21", "7ea008", "'0G' in column 14" + OCTETS),
        ("TX: 7EA008 02 2 32", "7ea00802", "'2' in column 15" + OCTETS),
        ("7E A0 08 02\n23 2 93 BD\n", "7ea0080223", "'2' in column 4" + OCTETS),
        ("7EA0G802232193BD647E", "7ea0", "'G8022321' in column 5" + OCTETS),
        ("0x7E, 0xA0, 0xZ8, 0x02", "7ea0", "'Z8,' in column 15" + OCTETS),
        ("RX: 10:20:18 /PM\xdf5", "2f504d", "'\xdf' in column 17" + CHARACTERS),
        ("RX: <SOH>P0<XY>", "015030", "'<' in column 12" + CHARACTERS),
        (
            "RX: 10:20:18 (17 octets that are no frame)", "",
            "17 octets that are no frame; the trace does not show them",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_with_a_line(text, octets, trouble):
    """What comes before it is told, too."""
    *before, wrong = read(text)
    assert (wrong.trouble, wrong.octets) == (trouble, b"")
    assert b"".join(said.octets for said in before).hex() == octets
    assert [said.trouble for said in before] == [None] * bool(octets)
    assert {said.direction for said in before} <= {wrong.direction}


@pytest.mark.parametrize("between", ["", " ", ", 0x", ":"])
@pytest.mark.parametrize("front", ["", "RX: ", "RX: 10:20:18 ", "a: RX: "])
def test_a_line_longer_than_what_is_read_at_a_time(between, front):
    """It comes in parts that are cut between octets, and is one line all the same."""
    octets = GET * 12000
    text = front + octets.hex(" ").replace(" ", between) + "\nRX: 7E 7\n"
    *parts, flag, wrong = Reader().read(lines_of(io.StringIO(text)))
    assert b"".join(said.octets for said in parts) == octets and len(parts) > 1
    assert {(s.line, s.direction, s.trouble) for s in parts} == {
        (1, "RX" if front else None, None)
    }
    assert (flag.octets, flag.line) == (b"\x7e", 2)
    assert wrong.line == 2 and "'7' in column 8;" in wrong.trouble


def test_columns_are_counted_on():
    before, wrong = Reader().read(["RX: C0", " 01 C", "\n"])
    assert (before.octets, wrong.line) == (b"\xc0\x01", 1)
    assert "'C' in column 11;" in wrong.trouble


def test_what_else_there_is_is_left_out_and_counted():
    reader = Reader()
    text = "Meter PMT1000000000001\nwrapper-tcp 127.0.0.1:4059\nready\nTX: 7E A0\n"
    (said,) = reader.read(text.splitlines(True))
    assert said.line == 4
    assert (reader.n_skipped, reader.n_first) == (3, 1)
    assert reader.first == "Meter PMT1000000000001"


ALPHABET = "0123456789abcdefABCDEF *<>:;,TXRx->\t\n/()[]|~"


@settings(max_examples=300, deadline=None)
@given(st.one_of(st.text(max_size=200), st.text(ALPHABET, max_size=200)))
def test_any_text_is_read(text):
    for said in read(text):
        assert isinstance(said.octets, bytes)
        assert all(0 <= k < len(said.octets) for k in said.hidden)


@settings(max_examples=100, deadline=None)
@given(
    st.binary(min_size=1, max_size=80), st.integers(1, 20), st.sampled_from([" ", "", ":", ", "])
)
def test_octets_come_back_from_lines_of_any_width(octets, width, between):
    rows = [octets[k : k + width].hex(between) if between in (" ", ":") else
            between.join("%02x" % x for x in octets[k : k + width])
            for k in range(0, len(octets), width)]  # fmt: skip
    said = read("TX: " + "\n".join(rows))
    assert b"".join(s.octets for s in said) == octets


def test_a_whole_frame_is_told_before_the_next_line_comes():
    lines = iter(["TX: 10:20:18 %s\n" % SNRM.hex(" ").upper(), "RX: /?!<CR><LF>\n"])
    told = []

    def watched():
        for line in lines:
            yield line
            told.append(len(found))

    found = []
    for said in Reader().read(watched()):
        found.append(said)
    assert told == [1, 2]
