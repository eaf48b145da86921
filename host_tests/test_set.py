# SPDX-License-Identifier: MIT
"""lib/dlms/set.py: SET in all its forms. The small meter: definitions/small.toml."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from small import Meter

UNSIGNED = "0001 0000603201FF "
LONG_UNSIGNED = "0001 0000603202FF "
LONG = "0001 0000603203FF "
BOOLEAN = "0001 0000603204FF "
WRITE_ONLY = "0001 0000603302FF "
LDN = "0001 00002A0000FF "
REGISTER = "0003 0100010800FF "
NOWHERE = "0001 0000630101FF "
N = "C1 01 C1 "


def read(t, what):
    reply = t.say("C0 01 C1 " + what + "02 00")
    assert reply.startswith("C401C100")
    return reply[8:]


# --- One attribute ----------------------------------------------------------------------------


def test_normal():
    t = Meter().management()
    assert t.say(N + UNSIGNED + "02 00 11 2A") == "C501C100"
    assert read(t, UNSIGNED) == "112A"


@pytest.mark.parametrize(
    "what, result",
    [
        (UNSIGNED + "02 00 12 002A", 12),  # type-unmatched
        (UNSIGNED + "02 00 00", 12),
        (LONG + "02 00 0A 01 41", 12),
        (UNSIGNED + "01 00 09060000603202FF", 3),  # logical_name: read-write-denied
        (REGISTER + "03 00 02020F00161E", 3),  # in ROM
        (LDN + "02 00 0900", 3),  # no right
        (UNSIGNED + "03 00 11 00", 4),  # no such attribute
        (NOWHERE + "02 00 11 00", 4),
        ("0003 0000603201FF 02 00 11 00", 9),
        (UNSIGNED + "02 01 01 00 11 05", 13),  # nothing is written in parts
    ],
)
def test_what_is_refused_changes_nothing(what, result):
    meter = Meter()
    t = meter.management()
    before = bytes(meter.model.image)
    assert t.say(N + what) == "C501C1%02X" % result
    assert bytes(meter.model.image) == before


def test_longer_than_its_capacity():
    meter = Meter()
    t = meter.management()
    before = bytes(meter.model.image)
    row = meter.model.find(0, bytes.fromhex(LONG.replace(" ", "")), 0)
    room = meter.model.capacity(row, 2) - 4
    assert t.say(N + LONG + "02 00 09 82 %04X" % room + "55" * room) == "C501C100"
    assert read(t, LONG) == "0982%04X" % room + "55" * room
    assert t.say(N + LONG + "02 00 0902 AABB") == "C501C100"
    assert t.say(N + LONG + "02 00 09 82 %04X" % (room + 1) + "55" * (room + 1)) == "C501C1FA"
    assert read(t, LONG) == "0902AABB"
    assert len(meter.model.image) == len(before)


def test_write_only():
    meter = Meter()
    t = meter.management()
    assert t.say(N + WRITE_ONLY + "02 00 11 63") == "C501C100"
    row = meter.model.find(0, bytes.fromhex(WRITE_ONLY.replace(" ", "")), 0)
    assert meter.model.get_int(row, 2) == 0x63


def test_secret_is_written_and_used_at_the_next_opening():
    meter = Meter()
    t = meter.management()
    assert t.say(N + "000F 0000280000FF 07 00 0904 6E657721") == "C501C100"
    assert "A203020101" in meter.talk().open(b"12345678")
    assert "A203020100" in meter.talk().open(b"new!")


@pytest.mark.parametrize("secret", ["0900", "09 41" + "55" * 65])
def test_secret_that_nobody_could_use(secret):
    meter = Meter()
    t = meter.management()
    assert t.say(N + "000F 0000280000FF 07 00" + secret) == "C501C1FA"
    assert "A203020100" in meter.talk().open(b"12345678")


@pytest.mark.parametrize("what", ["", "11", "12 00", "11 01 00", "02 02 11 01", "08"])
def test_data_that_is_not_whole(what):
    meter = Meter()
    t = meter.management()
    before = bytes(meter.model.image)
    assert t.say(N + UNSIGNED + "02 00" + what) == "D80103"
    assert bytes(meter.model.image) == before


def test_unconfirmed_is_done_in_silence():
    t = Meter().management()
    assert t.say("C1 01 81 " + UNSIGNED + "02 00 11 09") == ""
    assert read(t, UNSIGNED) == "1109"


def test_changes_are_announced():
    meter = Meter()
    seen = []
    meter.model.on_edit = lambda row, attribute: seen.append((row, attribute))
    t = meter.management()
    t.say(N + UNSIGNED + "02 00 11 2A")
    t.say(N + UNSIGNED + "02 00 12 002A")
    assert seen == [(meter.model.find(0, bytes.fromhex(UNSIGNED.replace(" ", "")), 0), 2)]


# --- Attribute 0 ------------------------------------------------------------------------------


def test_attribute_0():
    t = Meter().management()
    assert t.say(N + UNSIGNED + "00 00 0202 00 1155") == "C501C100"
    assert read(t, UNSIGNED) == "1155"


@pytest.mark.parametrize(
    "value, result",
    [
        ("0202 09060000603201FF 1155", 3),  # logical_name may not be written: nothing is
        ("0202 00 12 0055", 12),
        ("0201 1155", 12),
        ("0203 00 00 00", 12),
        ("1155", 12),
    ],
)
def test_attribute_0_is_all_or_nothing(value, result):
    t = Meter().management()
    assert t.say(N + UNSIGNED + "00 00" + value) == "C501C1%02X" % result
    assert read(t, UNSIGNED) == "1107"


def test_attribute_0_must_be_negotiated():
    t = Meter().management(conformance="00101D")
    assert t.say(N + UNSIGNED + "00 00 0202 00 1155") == "C501C103"


# --- Lists ------------------------------------------------------------------------------------


def test_list():
    t = Meter().management()
    what = "02" + UNSIGNED + "02 00" + LONG_UNSIGNED + "02 00" + "02 11 05 12 0006"
    assert t.say("C1 04 C1 " + what) == "C505C1020000"
    assert (read(t, UNSIGNED), read(t, LONG_UNSIGNED)) == ("1105", "120006")


def test_list_with_failures_writes_the_others():
    t = Meter().management()
    what = (
        "03" + UNSIGNED + "02 00" + NOWHERE + "02 00" + BOOLEAN + "02 00" + "03 11 05 11 00 11 00"
    )
    assert t.say("C1 04 C1 " + what) == "C505C10300040C"
    assert (read(t, UNSIGNED), read(t, BOOLEAN)) == ("1105", "0301")


@pytest.mark.parametrize(
    "data", ["01 11 05", "03 11 05 11 06 11 07", "02 11 05", "02 11 05 12 00", ""]
)
def test_list_with_another_number_of_data(data):
    t = Meter().management()
    what = "02" + UNSIGNED + "02 00" + LONG_UNSIGNED + "02 00"
    assert t.say("C1 04 C1 " + what + data) == "D80103"
    assert read(t, UNSIGNED) == "1107"


# --- Blocks -----------------------------------------------------------------------------------


def in_blocks(t, first, raw, size, iip="C1", rest="C103"):
    """Send raw in blocks of size behind the head of the first; the last reply."""
    n = 1
    head = first
    while True:
        part, raw = raw[:size], raw[size:]
        length = "%02X" % len(part) if len(part) < 128 else "82%04X" % len(part)
        reply = t.say(head + ("00" if raw else "01") + "%08X" % n + length + part.hex())
        if not raw:
            return reply
        assert reply == "C502" + iip + "%08X" % n
        head = rest + iip
        n += 1


@settings(max_examples=60, deadline=None)
@given(st.integers(1, 390), st.integers(1, 400))
def test_long_value_in_blocks_of_any_size(n, size):
    t = METER.management()
    value = bytes(i * 7 & 0xFF for i in range(n))
    length = (
        bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else bytes([0x82, n >> 8, n & 255])
    )
    raw = b"\x09" + length + value
    reply = in_blocks(t, "C102C1" + LONG + "0200", raw, size)
    assert reply == "C503C100%08X" % -(-len(raw) // size)
    assert METER.model.image[slot(METER) : slot(METER) + len(raw)] == raw
    t.channel.release()


METER = Meter()


def slot(meter):
    return meter.model.slot(meter.model.find(0, bytes.fromhex(LONG.replace(" ", "")), 0), 2)


def test_list_and_first_block():
    t = Meter().management()
    names = "02" + UNSIGNED + "02 00" + LONG + "02 00"
    raw = bytes.fromhex("02 1105 090401020304")
    assert in_blocks(t, "C105C1" + names, raw, 4) == "C504C102000000000003"
    assert (read(t, UNSIGNED), read(t, LONG)) == ("1105", "090401020304")


def test_list_in_blocks_with_data_that_is_no_list():
    t = Meter().management()
    names = "02" + UNSIGNED + "02 00" + LONG + "02 00"
    assert in_blocks(t, "C105C1" + names, bytes.fromhex("011105"), 2) == "C503C1FA00000002"
    assert read(t, UNSIGNED) == "1107"


def test_nothing_is_written_before_the_last_block():
    t = Meter().management()
    assert t.say("C102C1" + UNSIGNED + "0200 00 00000001 01 11") == "C502C100000001"
    assert t.say("C103C1" + "00 00000002 01 2A") == "C502C100000002"
    assert t.say("C103C1" + "01 00000003 00") == "C503C10000000003"
    assert read(t, UNSIGNED) == "112A"


@pytest.mark.parametrize("number", [0, 1, 3, 0xFFFFFFFF])
def test_wrong_block_number_ends_the_transfer(number):
    t = Meter().management()
    assert t.say("C102C1" + UNSIGNED + "0200 00 00000001 01 11") == "C502C100000001"
    echoed = number if number < 1 << 24 else 0
    assert t.say("C103C1" + "01 %08X 01 2A" % number) == "C503C113%08X" % echoed
    assert t.say("C103C1" + "01 00000002 01 2A") == "C503C11200000002"  # no-long-set-in-progress
    assert read(t, UNSIGNED) == "1107"


def test_first_block_must_be_number_1():
    t = Meter().management()
    assert t.say("C102C1" + UNSIGNED + "0200 01 00000002 02 112A") == "C503C11300000002"


def test_block_without_a_first_one():
    assert Meter().management().say("C103C1 01 00000001 02 112A") == "C503C11200000001"


def test_block_of_another_invoke_id():
    t = Meter().management()
    t.say("C102C1" + UNSIGNED + "0200 00 00000001 01 11")
    assert t.say("C103C2 01 00000002 01 2A") == "C503C21200000002"
    assert read(t, UNSIGNED) == "1107"


def test_more_than_there_is_room_for():
    t = Meter().management()
    raw = bytes.fromhex("09820400") + bytes(1024)
    n, sent = 1, "C102C1" + LONG + "0200"
    replies = []
    while raw:
        part, raw = raw[:200], raw[200:]
        replies.append(
            t.say(
                sent + "00 %08X 81C8" % n + part.hex()
                if len(part) == 200
                else sent + "01 %08X %02X" % (n, len(part)) + part.hex()
            )
        )
        n, sent = n + 1, "C103C1"
    assert replies[:2] == ["C502C100000001", "C502C100000002"]
    assert replies[2] == "C503C11100000003"  # long-set-aborted
    assert replies[3] == "C503C11200000004"
    assert read(t, LONG) == "09050102030405"


def test_raw_data_that_is_no_data():
    t = Meter().management()
    assert t.say("C102C1" + UNSIGNED + "0200 01 00000001 03 112A00") == "C503C10C00000001"
    assert t.say("C102C1" + UNSIGNED + "0200 01 00000001 00") == "C503C10C00000001"
    assert read(t, UNSIGNED) == "1107"


@pytest.mark.parametrize(
    "block", ["01 00000001 05 112A", "01 00000001", "01 000001", "01 00000001 01 112A"]
)
def test_block_that_is_not_whole(block):
    t = Meter().management()
    assert t.say("C102C1" + UNSIGNED + "0200" + block) == "D80103"
    assert t.say("C103C1 01 00000002 02 112A") == "C503C11200000002"
    assert read(t, UNSIGNED) == "1107"


def test_blocks_must_be_negotiated():
    t = Meter().management(conformance="00101D")
    assert t.say("C102C1" + UNSIGNED + "0200 01 00000001 02 112A") == "D80102"
    assert t.say("C105C1 01" + UNSIGNED + "0200 01 00000001 03 01112A") == "D80102"
    assert t.say("C104C1 01" + UNSIGNED + "0200 01112A") == "D80102"
