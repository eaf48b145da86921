# SPDX-License-Identifier: MIT
"""lib/dlms/action.py: ACTION in all its forms.

A stand-in for a class module answers on the small meter's Register: method 1 keeps its parameter
and returns what its test has put into `returns`.
"""

import pytest
from small import Meter

REGISTER = "0003 0100010800FF "
N = "C3 01 C1 "


class Double:
    """Method 1 of the register: calls as they came, and what to return."""

    def __init__(self):
        self.calls = []
        self.result = 0
        self.returns = b""
        self.items = []

    def start(self, row):
        pass

    def invoke(self, s, method, buf, pos, end):
        self.calls.append(bytes(buf[pos:end]).hex().upper())
        if s.out_pos + len(self.returns) > len(s.out):
            return 250
        s.out[s.out_pos : s.out_pos + len(self.returns)] = self.returns
        s.out_pos += len(self.returns)
        s.n = len(self.items)
        return self.result

    def item(self, s, buf, pos):
        part = self.items[s.k]
        buf[pos : pos + len(part)] = part
        return pos + len(part)


@pytest.fixture
def meter():
    m = Meter()
    row = m.model.find(0, bytes.fromhex(REGISTER.replace(" ", "")), 0)
    m.double = Double()
    m.model.handlers.append(m.double)
    table = bytearray(m.model.objects)
    table[row * 16 + 9] = len(m.model.handlers) - 1
    m.model.objects = bytes(table)
    # What it is handed is the test's affair.
    at = m.model.methods.index(b"\x00\x03\x00\x01") + 4
    methods = bytearray(m.model.methods)
    methods[at : at + 2] = b"\xff\xff"
    m.model.methods = bytes(methods)
    return m


def test_method_without_return_data(meter):
    t = meter.management()
    assert t.say(N + REGISTER + "01 01 0F00") == "C701C10000"
    assert t.say(N + REGISTER + "01 00") == "C701C10000"
    assert meter.double.calls == ["0F00", ""]


def test_parameter_of_the_wrong_type():
    t = Meter().management()
    model = t.meter.model
    # reply_to_HLS_authentication takes an octet-string, reset the dummy integer(0).
    at = model.find(0, bytes.fromhex("000F0000280000FF"), 0)
    assert model.takes(at, 1, b"\x11\x05", 0, 2) == 12
    assert model.takes(at, 1, b"\x09\x01\x05", 0, 3) == 0
    assert model.takes(at, 1, b"", 0, 0) == 12
    register = model.find(0, bytes.fromhex(REGISTER.replace(" ", "")), 0)
    assert [model.takes(register, 1, p, 0, len(p)) for p in (b"", b"\x0f\x00")] == [0, 0]
    assert [model.takes(register, 1, p, 0, len(p)) for p in (b"\x0f\x05", b"\x00")] == [12, 12]


def test_method_with_return_data(meter):
    meter.double.returns = bytes.fromhex("1101")
    assert meter.management().say(N + REGISTER + "01 01 0F00") == "C701C100" + "0100" + "1101"


def test_method_that_fails(meter):
    meter.double.result = 2
    assert meter.management().say(N + REGISTER + "01 01 0F00") == "C701C10200"


@pytest.mark.parametrize(
    "what, result",
    [
        (REGISTER + "02 00", 4),  # no such method
        (REGISTER + "00 00", 4),
        ("0001 0000603201FF 01 00", 4),  # a class without methods
        ("0001 0000630101FF 01 00", 4),
        ("0001 0100010800FF 01 00", 9),
        ("000F 0000280000FF 01 00", 3),  # no right
    ],
)
def test_what_is_refused(meter, what, result):
    assert meter.management().say(N + what) == "C701C1%02X00" % result
    assert meter.double.calls == []


@pytest.mark.parametrize("what", ["", "02", "01", "01 0F", "01 0F00 00", "00 0F00", "01 08"])
def test_parameter_that_is_not_whole(meter, what):
    t = meter.management()
    assert t.say(N + REGISTER + "01" + what) == "D80103"
    assert meter.double.calls == []
    assert t.say(N + REGISTER + "01 00") == "C701C10000"


def test_unconfirmed_is_done_in_silence(meter):
    assert meter.management().say("C3 01 81 " + REGISTER + "01 01 0F00") == ""
    assert meter.double.calls == ["0F00"]


# --- Lists ------------------------------------------------------------------------------------


def test_list_runs_in_order_and_null_data_is_no_parameter(meter):
    t = meter.management()
    what = "03" + REGISTER + "01" + "0001 0000630101FF 01" + REGISTER + "01" + "03 0F01 00 00"
    assert t.say("C3 03 C1 " + what) == "C703C103" + "0000" + "0400" + "0000"
    assert meter.double.calls == ["0F01", ""]


def test_list_with_return_data(meter):
    meter.double.returns = bytes.fromhex("120005")
    t = meter.management()
    assert t.say("C3 03 C1 02" + REGISTER + "01" + REGISTER + "01" + "02 0F01 0F02") == (
        "C703C102" + "000100120005" * 2
    )


@pytest.mark.parametrize("data", ["", "01 0F00", "03 0F00 0F00 0F00", "02 0F00 0F"])
def test_list_with_another_number_of_parameters(meter, data):
    t = meter.management()
    assert t.say("C3 03 C1 02" + REGISTER + "01" + REGISTER + "01" + data) == "D80103"
    assert meter.double.calls == []


# --- Requests in blocks -----------------------------------------------------------------------


def test_parameter_in_blocks(meter):
    t = meter.management()
    assert t.say("C304C1" + REGISTER + "01" + "00 00000001 02 0903") == "C704C100000001"
    assert t.say("C306C1" + "00 00000002 02 AABB") == "C704C100000002"
    assert meter.double.calls == []
    meter.double.returns = b"\x11\x07"
    assert t.say("C306C1" + "01 00000003 01 CC") == "C701C100" + "0100" + "1107"
    assert meter.double.calls == ["0903AABBCC"]


def test_list_in_blocks(meter):
    t = meter.management()
    names = "02" + REGISTER + "01" + REGISTER + "01"
    assert t.say("C305C1" + names + "00 00000001 02 020F") == "C704C100000001"
    assert t.say("C306C1" + "01 00000002 02 0100") == "C703C102" + "0000" + "0000"
    assert meter.double.calls == ["0F01", ""]


@pytest.mark.parametrize(
    "block, reply",
    [
        ("01 00000003 01 CC", "C701C10F00"),  # long-action-aborted
        ("01 00000001 01 CC", "C701C10F00"),
        ("01 00000002 02 CC", "D80103"),
        ("01 00000002", "D80103"),
        ("01 00000002 01 AA", "C701C10C00"),  # all in all no Data
    ],
)
def test_block_that_does_not_fit(meter, block, reply):
    t = meter.management()
    t.say("C304C1" + REGISTER + "01" + "00 00000001 02 0903")
    assert t.say("C306C1" + block) == reply
    assert t.say("C306C1" + "01 00000002 03 AABBCC") == "C701C11000"  # nothing in progress
    assert meter.double.calls == []


def test_more_parameter_than_there_is_room_for(meter):
    t = meter.management()
    assert (
        t.say("C304C1" + REGISTER + "01" + "00 00000001 8201F0" + "AA" * 0x1F0) == "C704C100000001"
    )
    assert t.say("C306C1" + "00 00000002 8201F0" + "AA" * 0x1F0) == "C701C10F00"
    assert t.say("C306C1" + "00 00000003 01 AA") == "C701C11000"


# --- Answers in blocks ------------------------------------------------------------------------


def response_blocks(t, reply):
    raw, n = b"", 1
    while True:
        reply = bytes.fromhex(reply)
        assert reply[:3] == b"\xc7\x02\xc1" and int.from_bytes(reply[4:8], "big") == n
        head, size = 9, reply[8]
        if size > 0x80:
            head += size - 0x80
            size = int.from_bytes(reply[9:head], "big")
        assert len(reply) == head + size
        raw += reply[head:]
        if reply[3]:
            return raw, n
        reply = t.say("C302C1%08X" % n)
        n += 1


@pytest.mark.parametrize("max_pdu", [12, 40, 140, 300])
def test_return_data_in_blocks(meter, max_pdu):
    value = b"\x09\x82\x01\x2c" + bytes(i & 255 for i in range(300))
    meter.double.returns = value
    t = meter.management(max_pdu=max_pdu)
    raw, n = response_blocks(t, t.say(N + REGISTER + "01 01 0F00"))
    # What the raw data begin with is an assumption, named in action.py.
    assert raw == b"\x00\x01\x00" + value
    assert meter.double.calls == ["0F00"]
    assert t.say("C302C1%08X" % n) == "C701C11000"


def test_list_with_long_return_data_in_blocks(meter):
    meter.double.returns = b"\x09\x7f" + bytes(127)
    t = meter.management(max_pdu=64)
    raw, _ = response_blocks(
        t, t.say("C3 03 C1 02" + REGISTER + "01" + REGISTER + "01" + "02 00 00")
    )
    assert raw == b"\x02" + (b"\x00\x01\x00" + meter.double.returns) * 2


def test_return_data_as_items(meter):
    meter.double.items = [b"\x01\x02", b"\x11\x05", b"\x11\x06"]
    t = meter.management()
    assert t.say(N + REGISTER + "01 00") == "C701C100" + "0100" + "010211051106"


def test_return_data_that_has_no_room(meter):
    meter.double.returns = bytes(700)
    assert meter.management().say(N + REGISTER + "01 00") == "C701C1FA00"


def test_blocks_must_be_negotiated(meter):
    meter.double.returns = b"\x09\x7f" + bytes(127)
    t = meter.management(conformance="00121D", max_pdu=64)
    assert t.say(N + REGISTER + "01 00") == "D80104"
    assert t.say("C304C1" + REGISTER + "01 01 00000001 02 0F00") == "D80102"


def test_changes_elsewhere_do_not_touch_a_long_answer(meter):
    meter.double.returns = b"\x09\x7f" + bytes(127)
    t, other = meter.management(max_pdu=64), meter.management()
    first = t.say(N + REGISTER + "01 00")
    assert other.say("C1 01 C1 0001 0000603201FF 02 00 11 2A") == "C501C100"
    assert response_blocks(t, first)[0] == b"\x00\x01\x00" + meter.double.returns


@pytest.mark.parametrize("number", [0, 2, 0xFFFFFFFF])
def test_wrong_block_number_ends_the_answer(meter, number):
    meter.double.returns = b"\x09\x7f" + bytes(127)
    t = meter.management(max_pdu=64)
    t.say(N + REGISTER + "01 00")
    assert t.say("C302C1%08X" % number) == "C701C10F00"
    assert t.say("C302C100000001") == "C701C11000"
