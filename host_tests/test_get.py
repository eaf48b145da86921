# SPDX-License-Identifier: MIT
"""lib/dlms/get.py and stream.py: GET in all its forms. The small meter: definitions/small.toml."""

import json
from pathlib import Path

import pytest
from small import Meter

ROOT = Path(__file__).parent.parent
XDLMS = {
    v["id"]: v
    for v in map(json.loads, (ROOT / "host_tests/vectors/xdlms.jsonl").read_text().splitlines())
}

REGISTER = "0003 0100010800FF "
UNSIGNED = "0001 0000603201FF "
LONG = "0001 0000603203FF "  # octet-string with room for 400 octets
BOOLEAN = "0001 0000603204FF "
HIDDEN = "0001 0000603301FF "
WRITE_ONLY = "0001 0000603302FF "
LDN = "0001 00002A0000FF "
CURRENT = "000F 0000280000FF "
NOWHERE = "0001 0000630101FF "

N = "C0 01 C1 "
LIST = "C0 03 C1 "


def blocks(t, reply, next_="C002C1%08X"):
    """All raw data of a long answer that begins with reply, and the number of its blocks."""
    raw, n = b"", 1
    while True:
        reply = bytes.fromhex(reply)
        assert reply[0:2] == b"\xc4\x02" and int.from_bytes(reply[4:8], "big") == n
        assert reply[8] == 0
        size = reply[9]
        head = 10
        if size > 0x80:
            head += size - 0x80
            size = int.from_bytes(reply[10:head], "big")
        assert len(reply) == head + size
        raw += reply[head:]
        if reply[3]:
            return raw, n
        reply = t.say(next_ % n)
        n += 1


# --- One attribute ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    "what, reply",
    [
        (REGISTER + "02 00", "C401C10006 00001391"),  # xdlms-get-resp-ddlu: 5009
        (REGISTER + "03 00", "C401C10002020F00161E"),
        (REGISTER + "01 00", "C401C100 09060100010800FF"),
        (BOOLEAN + "02 00", "C401C100 0301"),
        (REGISTER + "04 00", "C401C101 04"),  # no such attribute
        (REGISTER + "FF 00", "C401C101 04"),
        (NOWHERE + "02 00", "C401C101 04"),  # object-undefined
        ("0003 00002A0000FF 02 00", "C401C101 09"),  # object-class-inconsistent
        (WRITE_ONLY + "02 00", "C401C101 03"),  # read-write-denied
        (CURRENT + "07 00", "C401C101 03"),  # a secret
        (UNSIGNED + "02 01 01 00", "C401C101 0D"),  # scope-of-access-violated: no selector
    ],
)
def test_normal(what, reply):
    assert Meter().management().say(N + what) == reply.replace(" ", "")


def test_published_reply():
    """xdlms-get-resp-ddlu of vectors/xdlms.jsonl."""
    assert (
        Meter().management().say(N + REGISTER + "02 00")
        == XDLMS["xdlms-get-resp-ddlu"]["hex"].upper()
    )


def test_invoke_id_and_priority_come_back_whole():
    t = Meter().management()
    for iip in (0x00, 0x41, 0x8F, 0xC5):
        assert t.say("C0 01 %02X " % iip + BOOLEAN + "02 00") == "C401%02X000301" % iip


def test_object_that_the_client_does_not_see():
    meter = Meter()
    public = meter.talk(client=16)
    public.open(secret=None)
    assert public.say(N + HIDDEN + "02 00") == "C401C10104"
    assert meter.management().say(N + HIDDEN + "02 00") == "C401C1001101"


def test_selective_access_must_be_negotiated():
    t = Meter().management(conformance="00101D")
    assert t.say(N + CURRENT + "02 01 01 00").startswith("C401C100")
    t.open(conformance="001018")
    assert t.say(N + CURRENT + "02 01 01 00") == "C401C1010D"


# --- Attribute 0 ------------------------------------------------------------------------------


def test_attribute_0_is_a_structure_of_all():
    assert Meter().management().say(N + REGISTER + "00 00") == (
        "C401C100" + "0203" + "09060100010800FF" + "0600001391" + "02020F00161E"
    )


def test_attribute_0_has_null_data_for_what_may_not_be_read():
    assert Meter().management().say(N + WRITE_ONLY + "00 00") == "C401C100" + "0202" + "0000"


def test_attribute_0_must_be_negotiated():
    t = Meter().management(conformance="00101D")
    assert t.say(N + REGISTER + "00 00") == "C401C10103"


def test_attribute_0_of_a_hidden_object():
    t = Meter().talk(client=16)
    t.open(secret=None)
    assert t.say(N + HIDDEN + "00 00") == "C401C10103"  # not negotiated by this one


# --- Lists ------------------------------------------------------------------------------------


def test_list():
    t = Meter().management()
    assert t.say(LIST + "02" + BOOLEAN + "02 00" + REGISTER + "02 00") == (
        "C403C102" + "000301" + "000600001391"
    )


def test_list_keeps_its_order_when_some_fail():
    t = Meter().management()
    what = "04" + NOWHERE + "02 00" + BOOLEAN + "02 00" + WRITE_ONLY + "02 00" + REGISTER + "03 00"
    assert t.say(LIST + what) == "C403C104" + "0104" + "000301" + "0103" + "0002020F00161E"


def test_list_of_one():
    assert Meter().management().say(LIST + "01" + BOOLEAN + "02 00") == "C403C101000301"


def test_list_with_attribute_0():
    t = Meter().management()
    assert t.say(LIST + "02" + WRITE_ONLY + "00 00" + BOOLEAN + "02 00") == (
        "C403C102" + "0002020000" + "000301"
    )


@pytest.mark.parametrize(
    "what", ["00", "02" + BOOLEAN + "02 00", "01" + BOOLEAN + "02", "84FFFFFFFF"]
)
def test_list_that_is_not_whole(what):
    t = Meter().management()
    assert t.say(LIST + what) == "D80103"
    assert t.say(N + BOOLEAN + "02 00") == "C401C1000301"


# --- Blocks -----------------------------------------------------------------------------------


def filled(meter, n):
    data = bytes(i & 0xFF for i in range(n))
    row = meter.model.find(0, bytes.fromhex(LONG.replace(" ", "")), 0)
    head = (
        bytes([9, n])
        if n < 128
        else bytes([9, 0x81, n])
        if n < 256
        else bytes([9, 0x82, n >> 8, n & 255])
    )
    assert meter.model.write(row, 2, head + data, 0, n + len(head)) == 0
    return head + data


@pytest.mark.parametrize("max_pdu", [12, 13, 20, 64, 128, 137, 138, 200, 265, 266, 267, 300])
def test_long_value_comes_whole_in_blocks_of_any_size(max_pdu):
    meter = Meter()
    value = filled(meter, 390)
    t = meter.management(max_pdu=max_pdu)
    reply = t.say(N + LONG + "02 00")
    raw, n = blocks(t, reply)
    assert raw == value
    # A stored value fills its blocks.
    head = 10 if max_pdu - 9 <= 0x80 else 11 if max_pdu - 9 <= 0x101 else 12
    assert n == -(-len(value) // (max_pdu - head))
    assert t.say("C002C1%08X" % n) == "C402C101" + "%08X" % n + "0110"  # no-long-get-in-progress


@pytest.mark.parametrize("n", range(118, 128))
def test_one_octet_more_and_it_is_blocks(n):
    meter = Meter()
    value = filled(meter, n)
    t = meter.management(max_pdu=128)
    reply = t.say(N + LONG + "02 00")
    if len(value) + 4 <= 128:
        assert reply == "C401C100" + value.hex().upper()
    else:
        assert blocks(t, reply)[0] == value


def test_published_first_block():
    """xdlms-get-resp-block1: 30 octets of raw data in block 1, the string's length inside."""
    v = XDLMS["xdlms-get-resp-block1"]["hex"].upper()
    meter = Meter()
    row = meter.model.find(0, bytes.fromhex(LONG.replace(" ", "")), 0)
    value = bytes.fromhex(XDLMS["xdlms-get-resp-normal"]["hex"])[4:]
    assert meter.model.write(row, 2, value, 0, len(value)) == 0
    t = meter.management(max_pdu=40)
    reply = t.say(N.replace("C1", "81") + LONG + "02 00")
    assert reply == v
    assert blocks(t, reply, "C00281%08X")[0] == value


@pytest.mark.parametrize("max_pdu", [12, 40, 100])
def test_list_in_blocks(max_pdu):
    meter = Meter()
    value = filled(meter, 150)
    t = meter.management(max_pdu=max_pdu)
    what = (
        "06"
        + REGISTER
        + "00 00"
        + BOOLEAN
        + "02 00"
        + LONG
        + "02 00"
        + NOWHERE
        + "02 00"
        + REGISTER
        + "03 00"
        + LDN
        + "01 00"
    )
    raw, _ = blocks(t, t.say(LIST + what))
    assert raw.hex() == (
        "06"
        + "00020309060100010800ff060000139102020f00161e"
        + "000301"
        + "00"
        + value.hex()
        + "0104"
        + "0002020f00161e"
        + "00090600002a0000ff"
    )


@pytest.mark.parametrize("max_pdu", [12, 30, 64, 200, 480])
def test_object_list_in_blocks(max_pdu):
    meter = Meter()
    t = meter.management()
    whole, _ = blocks(t, t.say(N + CURRENT + "02 00"))
    t.open(max_pdu=max_pdu)
    assert blocks(t, t.say(N + CURRENT + "02 00"))[0] == whole


def test_blocks_must_be_negotiated():
    meter = Meter()
    filled(meter, 200)
    t = meter.management(conformance="00061D", max_pdu=100)
    assert t.say(N + LONG + "02 00") == "C401C101FA"
    assert t.say(LIST + "01" + LONG + "02 00") == "D80104"  # pdu-too-long
    assert t.say(N + BOOLEAN + "02 00") == "C401C1000301"


@pytest.mark.parametrize("wrong", [0, 2, 3, 0xFFFFFFFF])
def test_wrong_block_number_ends_the_transfer(wrong):
    meter = Meter()
    filled(meter, 200)
    t = meter.management(max_pdu=64)
    t.say(N + LONG + "02 00")
    echoed = wrong if wrong < 1 << 24 else 0
    assert t.say("C002C1%08X" % wrong) == "C402C101" + "%08X" % echoed + "0113"
    assert t.say("C002C100000001") == "C402C101" + "00000001" + "0110"


def test_next_with_another_invoke_id():
    meter = Meter()
    filled(meter, 200)
    t = meter.management(max_pdu=64)
    t.say(N + LONG + "02 00")
    assert t.say("C002C200000001") == "C402C201" + "00000001" + "0110"


def test_new_request_ends_a_long_one():
    meter = Meter()
    filled(meter, 200)
    t = meter.management(max_pdu=64)
    t.say(N + LONG + "02 00")
    assert t.say(N + BOOLEAN + "02 00") == "C401C1000301"
    assert t.say("C002C100000001") == "C402C101" + "00000001" + "0110"


def test_next_that_is_not_whole_leaves_the_transfer():
    meter = Meter()
    value = filled(meter, 200)
    t = meter.management(max_pdu=128)
    first = t.say(N + LONG + "02 00")
    assert t.say("C002C1000001") == "D80103"
    assert t.say("C002C10000000100") == "D80103"
    assert blocks(t, first)[0] == value


def test_long_value_that_changes_half_way_is_aborted():
    meter = Meter()
    filled(meter, 200)
    t, other = meter.management(max_pdu=64), meter.management()
    t.say(N + LONG + "02 00")
    assert other.say("C1 01 C1 " + LONG + "02 00 0902AABB") == "C501C100"
    assert t.say("C002C100000001") == "C402C101" + "00000002" + "010F"  # long-get-aborted
    assert t.say(N + LONG + "02 00") == "C401C1000902AABB"


def test_value_that_changes_before_its_first_octet_is_the_new_one():
    """Of 20 octets, when its choice ends a block; of 5, when it begins the next one."""
    meter = Meter()
    t, other = meter.management(max_pdu=64), meter.management()
    other.say("C101C1" + LONG + "0200 0914" + "11" * 20)
    first = t.say(LIST + "06" + (LONG + "0200") * 6)
    assert first == "C402C10000000001003006" + ("000914" + "11" * 20) * 2 + "00"
    other.say("C101C1" + LONG + "0200 0905" + "22" * 5)
    second = t.say("C002C100000001")
    assert second == "C402C1010000000200" + "1F" + "0905" + "22" * 5 + ("000905" + "22" * 5) * 3


def test_changes_elsewhere_do_not_touch_a_long_answer():
    meter = Meter()
    value = filled(meter, 200)
    t, other = meter.management(max_pdu=64), meter.management()
    first = t.say(N + LONG + "02 00")
    assert other.say("C1 01 C1 " + UNSIGNED + "02 00 11 2A") == "C501C100"
    assert blocks(t, first)[0] == value


def test_hidden_objects_are_not_betrayed_by_their_class():
    public = Meter().talk(client=16)
    public.open(secret=None)
    assert public.say(N + "0003 0000603301FF 02 00") == "C401C10104"
    assert public.say(N + "0003 0000603201FF 02 00") == "C401C10109"


def test_two_clients_in_long_answers_at_once():
    meter = Meter()
    value = filled(meter, 300)
    a, b = meter.management(max_pdu=64), meter.management(max_pdu=50)
    first, second = a.say(N + LONG + "02 00"), b.say(N + LONG + "02 00")
    assert blocks(b, second)[0] == value
    assert blocks(a, first)[0] == value


# --- Access selectors of object_list ----------------------------------------------------------


def test_object_list_without_rights():
    raw = Meter().management().say(N + CURRENT + "02 01 01 00")
    assert raw.startswith("C401C100" + "010B" + "0203" + "120001" + "1100" + "09060000")
    assert len(raw) == 2 * (4 + 2 + 11 * 15)


def test_object_list_by_class():
    t = Meter().management()
    raw = t.say(N + CURRENT + "02 01 02 01 01 12 0003")
    assert raw.startswith("C401C100" + "0101" + "0204" + "120003" + "1100" + "09060100010800FF")


def test_object_list_by_object_id_and_one_object():
    t = Meter().management()
    one = "02 02 12 0001 09 06 0000603201FF"
    by_list = t.say(N + CURRENT + "02 01 03 01 01" + one)
    assert by_list == t.say(N + CURRENT + "02 01 04" + one)
    assert by_list == (
        "C401C100" + "0101" + "0204" + "120001" + "1100" + "09060000603201FF" + "0202"
        "0102" + "02030F01160300" + "02030F02160300" + "0100"
    ).replace("0F011603", "0F011601")


def test_object_list_of_nothing():
    assert Meter().management().say(N + CURRENT + "02 01 02 01 00") == "C401C1000100"


@pytest.mark.parametrize(
    "selection", ["01 11 01", "02 00", "02 01 01 11 03", "03 01 01 12 0003", "04 02 01 12 0001"]
)
def test_selection_of_the_wrong_form(selection):
    assert Meter().management().say(N + CURRENT + "02 01" + selection) == "C401C1010C"


def test_selector_that_does_not_exist():
    assert Meter().management().say(N + CURRENT + "02 01 05 00") == "C401C1010D"
    assert Meter().management().say(N + CURRENT + "02 01 FF 00") == "C401C1010D"


def test_current_association_is_that_of_the_client():
    meter = Meter()
    public = meter.talk(client=16)
    public.open(secret=None)
    assert public.say(N + CURRENT + "03 00") == "C401C100" + "02020F10120001"
    management = meter.management()
    assert management.say(N + CURRENT + "03 00") == "C401C100" + "02020F01120001"
    assert management.say(N + CURRENT + "01 00") == "C401C100" + "09060000280000FF"
    assert management.say(N + "000F 0000280001FF 03 00") == "C401C100" + "02020F10120001"
    assert management.say(N + "000F 0000280001FF 08 00") == "C401C1001602"
    public.say("6200")
    assert management.say(N + "000F 0000280001FF 08 00") == "C401C1001600"
