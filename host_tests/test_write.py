# SPDX-License-Identifier: MIT
"""The Write and UnconfirmedWrite services, in conversations with the meter of short_names.toml.

Names: 2A48 an unsigned, 0138 a long-unsigned, 0148 an octet-string of up to 500, 0168 what may
only be written, FD08 what may only be read, FB20 execute of a script table, 0128 reset of a
Register.
"""

import pytest
from short import ShortMeter


@pytest.fixture
def meter():
    return ShortMeter()


@pytest.fixture
def client(meter):
    return meter.short()


def test_a_variable(client):
    assert client.say("0601 02 2A48 01 1163") == "0D0100"
    assert client.read("2A48") == "1163"


def test_refused_one_by_one(client):
    assert client.say("0601 02 2A48 01 120063") == "0D01010C"  # type-unmatched
    assert client.say("0601 02 FD08 01 0900") == "0D010103"  # read-write-denied
    assert client.say("0601 02 0100 01 0906000000000000") == "0D010103"  # logical_name
    assert client.say("0601 02 0118 01 1163") == "0D010104"  # object-undefined
    assert client.say("0601 04 2A48 01 00 01 1163") == "0D01010D"  # scope-of-access-violated
    assert client.read("2A48") == "1107"
    assert client.say("0601 02 0168 01 1109") == "0D0100"


def test_lists(client):
    got = client.say("0604 02 2A48 02 FD08 02 0138 04 2A48 01 00 04 1101 0900 120002 1163")
    assert got == "0D0400010300010D"
    assert client.say("0502 02 2A48 02 0138") == "0C0200110100120002"


def test_an_answer_that_would_not_fit_writes_nothing(meter):
    client = meter.short(max_pdu=12)
    assert client.say("0605" + 5 * "022A48" + "05" + 5 * "1163") == "0E060301"
    assert client.read("2A48") == "1107"
    assert client.say("0604" + 4 * "022A48" + "04" + 4 * "1163") == "0D0400000000"


def test_methods(client):
    assert client.say("0601 02 FB20 01 120001") == "0D0100"
    assert client.read("0138") == "120011"
    assert client.say("0601 02 0128 01 0F00") == "0D0100"
    assert client.say("0601 02 0128 01 00") == "0D0100"
    assert client.say("0601 02 FB20 01 00") == "0D01010C"
    assert client.say("0601 02 FB20 01 120009") == "0D0101FA"
    assert client.say("0602 02 FB20 02 2A48 02 120001 1105") == "0D020000"
    # What a method returns is dropped.
    assert client.say("0601 02 FA38 01 0100") == "0D010104"


def test_without_a_reply(client):
    assert client.say("1601 02 2A48 01 1163") == ""
    assert client.read("2A48") == "1163"
    assert client.say("1602 02 2A48 02 FD08 02 1164 0900") == ""
    assert client.read("2A48") == "1164"
    assert client.say("1601 02 FB20 01 120001") == ""
    assert client.read("0138") == "120011"
    for wrong in ("16", "1601", "1601022A48", "160102FFFF01", "1601022A4802 1163"):
        assert client.say(wrong) == ""
    assert client.read("2A48") == "1164"


def test_in_blocks(client):
    value = bytes(range(200))
    raw = bytes.fromhex("01 02 0148 01 0981C8") + value
    assert client.say("0601 07 00 0001 01 0950" + raw[:80].hex()) == "0D01020001"
    assert client.say("0601 07 00 0002 01 0950" + raw[80:160].hex()) == "0D01020002"
    assert client.say("0601 07 01 0003 01 09%02X" % len(raw[160:]) + raw[160:].hex()) == "0D0100"
    assert client.read("0148") == "0981C8" + value.hex().upper()
    assert client.say("0601 07 01 0004 01 0900") == "0D010112"  # no-long-set-in-progress


def test_a_list_in_blocks(client):
    assert client.say("0601 07 00 0001 01 09 07 02 022A48 020138") == "0D01020001"
    assert client.say("0601 07 01 0002 01 09 05 02 1105 1200") == "0E060300"
    assert client.read("2A48") == "1107"
    assert client.say("0601 07 00 0001 01 09 07 02 022A48 020138") == "0D01020001"
    assert client.say("0601 07 01 0002 01 09 06 02 1105 120006") == "0D020000"
    assert client.say("0502 02 2A48 02 0138") == "0C0200110500120006"


def test_a_method_in_blocks(client):
    assert client.say("0601 07 01 0001 01 09 08 01 02FB20 01 120001") == "0D0100"
    assert client.read("0138") == "120011"


def test_block_numbers(client):
    assert client.say("0601 07 00 0002 01 0900") == "0D010112"
    assert client.say("0601 07 00 0001 01 0900") == "0D01020001"
    assert client.say("0601 07 00 0003 01 0900") == "0D010113"  # data-block-number-invalid
    assert client.say("0601 07 00 0002 01 0900") == "0D010112"
    # Another request ends what runs.
    assert client.say("0601 07 00 0001 01 0900") == "0D01020001"
    assert client.read("2A48") == "1107"
    assert client.say("0601 07 01 0002 01 0900") == "0D010112"
    # The first block again: anew.
    assert client.say("0601 07 00 0001 01 09 03 01022A") == "0D01020001"
    assert client.say("0601 07 01 0001 01 09 07 01 022A48 01 1109") == "0D0100"


def test_longer_than_the_work_buffer(client):
    for number in range(1, 4):
        got = client.say("0601 07 00 %04X 01 0981C8" % number + 200 * "00")
        assert got == "0D0102%04X" % number
    assert client.say("0601 07 00 0004 01 0981C8" + 200 * "00") == "0D010111"


@pytest.mark.parametrize(
    "request_, answer",
    [
        ("06", "0E060300"),
        ("0601", "0E060300"),
        ("0601022A48", "0E060300"),
        ("0601022A4801", "0E060300"),
        ("0601022A480111", "0E060300"),
        ("0601022A48011163FF", "0E060300"),
        ("0601022A4802 1163 1163", "0E060300"),
        ("0602022A48022A4801 1163", "0E060300"),
        ("0601072A48", "0E060302"),
        ("0601 07 01 0001 01 0A00", "0E060300"),
        ("0601 07 01 0001 02 0900", "0E060300"),
        ("0601 07 01 0001 01 0905", "0E060300"),
        ("0601 05 0001 01 00", "0E060302"),
        ("0601 03 2A48 01 1163", "0E060302"),
    ],
)
def test_refused(client, request_, answer):
    assert client.say(request_) == answer
    assert client.read("2A48") == "1107"
