# SPDX-License-Identifier: MIT
"""lib/dlms/gbt.py with the server: blocks both ways, windows, what is lost and what comes twice.
The client here keeps the rules of IEC 62056-5-3 by itself. The published sequence is of public
tests of a head-end system (see the vectors' source there): a GET whose client has not asked for
blocks is answered with one, waits, and then goes on in windows of 5."""

import random

import pytest
from dlms import gbt
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles.hdlc import HDLC
from profiles.wrapper import Wrapper
from blocks import (
    on_device,
    GET_LONG,
    GET_SHORT,
    HEAD,
    LONG,
    SHORT,
    Block,
    Blocks,
    block,
    meter_with,
)
from secure import SERVER_TITLE, Client
from short import ShortMeter
from small import aarq
from suites import SigningClient, SuitesMeter
from test_hdlc import Frame, address, rr
from test_hdlc_server import Line

# --- Answers


def test_a_short_one_in_one_block():
    c = Blocks(SuitesMeter())
    got = [Block(o) for o in c.say(block(0x85, 1, 0, GET_SHORT))]
    assert [(b.last, b.streaming, b.number, b.ack, b.octets.hex()) for b in got] == [
        (True, False, 1, 1, "c401410009020102")
    ]


@pytest.mark.parametrize("window", [1, 2, 5, 8, 63])
@pytest.mark.parametrize("max_pdu", [32, 128, 500])
def test_a_long_one_in_windows(window, max_pdu):
    meter, value = meter_with(5000)
    c = Blocks(meter, max_pdu=max_pdu, window=window)
    assert c.ask(GET_LONG) == HEAD + value
    size = max_pdu - 9
    assert c.sent == -(-(4 + len(value)) // size)


def test_a_window_of_0_is_taken_for_1():
    meter, value = meter_with(500)
    c = Blocks(meter, max_pdu=109)
    got = [Block(o) for o in c.say(block(0x80, 1, 0, GET_LONG))]
    assert [(b.number, b.streaming, b.last) for b in got] == [(1, False, False)]
    assert [Block(o).number for o in c.say(block(0x80, 2, 1))] == [2]


def test_streaming_and_last_block_are_said():
    meter, value = meter_with(500)
    c = Blocks(meter, max_pdu=109, window=3)
    first = [Block(o) for o in c.say(block(0x83, 1, 0, GET_LONG))]
    assert [(b.number, b.streaming, b.last) for b in first] == [
        (1, True, False), (2, True, False), (3, False, False),
    ]  # fmt: skip
    second = [Block(o) for o in c.say(block(0x83, 2, 3))]
    assert [(b.number, b.streaming, b.last) for b in second] == [
        (4, True, False), (5, True, False), (6, False, True),
    ]  # fmt: skip
    assert b"".join(b.octets for b in first + second) == HEAD + value


def test_what_has_not_arrived_is_sent_again():
    meter, value = meter_with(2000)
    c = Blocks(meter, max_pdu=109, window=5)
    lost = {3, 4, 9, 15, 20}
    c.lose = lambda number: number in lost and not lost.discard(number)
    assert c.ask(GET_LONG) == HEAD + value


@pytest.mark.parametrize("what", [aarq(None).hex(), "62 00"])
def test_who_begins_anew_hears_no_more_of_it(what):
    """Behind the AARE, or RLRE, come no blocks of what was under way, nor of what lies around."""
    c = Blocks(meter_with(2000)[0], max_pdu=109, window=5)
    c.talk.say(block(0x85, 1, 0, GET_LONG).hex())
    assert c.channel.more is not None
    assert c.talk.say(what)[:2] in ("61", "63")
    assert c.channel.more is None


def test_a_request_that_did_not_come_again_is_not_served_later():
    """Unconfirmed, of a method that needs a job: it is given up, and the next one is another."""
    meter = SuitesMeter()
    c = SigningClient(meter, 1).open()
    ask, channel = meter.server.request, c.talk.channel
    assert c.talk.say(block(0x85, 1, 0, GET_SHORT).hex()) != ""
    transfer = bytes.fromhex("C30141 0040 00002B0001FF 02 01 0100")
    first = bytearray(block(0x85, 1, 0, transfer))
    assert ask(channel, 51, 17, first, 0, len(first), 0) == -1
    got = Block(bytes.fromhex(c.talk.say(block(0x85, 1, 0, GET_SHORT).hex())))
    assert got.octets.hex() == "c401410009020102"


def test_who_is_released_in_blocks_hears_so_in_one():
    meter = SuitesMeter()
    c = SigningClient(meter, 1).open()
    assert c.talk.say(block(0x85, 1, 0, bytes.fromhex("6200")).hex()) == "6303800100"
    assert not any(a.state for a in meter.server.associations)


# A list of 18 values of 6,000 octets: more than 100 KiB.
N = 18
REFERENCES = bytes([N]) + bytes.fromhex(LONG + "00") * N
WINDOWS = pytest.mark.parametrize("window", [1, 2, 8, 63])


def lossy(c, seed):
    """One block in twenty is lost, whoever has sent it."""
    dice = random.Random(seed)
    c.lose = c.drop = lambda number: dice.random() < 0.05


@WINDOWS
def test_one_in_twenty_lost_costs_no_more_than_1_3_times_the_blocks(window):
    meter, value = meter_with(5996)
    c = Blocks(meter, max_pdu=300, window=window)
    lossy(c, 5)
    whole = c.ask(bytes.fromhex("C00341") + REFERENCES)
    assert whole == bytes.fromhex("C40341") + bytes([N]) + (b"\0" + value) * N
    assert len(whole) > 100 * 1024
    assert c.sent <= 1.3 * -(-len(whole) // 291)


@WINDOWS
def test_and_the_other_way(window):
    """In a meter that has room for 100 KiB. Blocks behind a gap are kept."""
    meter = SuitesMeter()
    meter.server.gbt_len = 112640
    c = Blocks(meter, max_pdu=300, window=window)
    lossy(c, 5)
    values = b"".join(b"\x09\x82\x17\x6c" + bytes([k + i & 255 for i in range(5996)])
                      for k in range(N))  # fmt: skip
    apdu = bytes.fromhex("C10441") + REFERENCES + bytes([N]) + values
    assert len(apdu) > 100 * 1024
    assert c.ask(apdu, 291) == bytes.fromhex("C50541") + bytes([N]) + bytes(N)
    assert c.said <= 1.3 * -(-len(apdu) // 291)
    assert c.ask(GET_LONG) == HEAD + values[-6000:]


def test_the_last_block_lost():
    meter, value = meter_with(500)
    c = Blocks(meter, max_pdu=109, window=3)
    lost = {6}
    c.lose = lambda number: number in lost and not lost.discard(number)
    assert c.ask(GET_LONG) == HEAD + value


def test_the_published_sequence():
    """Window and numbers as there; sizes are those of our blocks."""
    meter, value = meter_with(300)
    c = Blocks(meter, max_pdu=59, window=5)
    got = [Block(o) for o in c.say(GET_LONG)]
    assert [(b.number, b.ack, b.streaming, b.last) for b in got] == [(1, 0, False, False)]
    got = [Block(o) for o in c.say(bytes.fromhex("E0850001000100"))]
    assert [(b.number, b.streaming) for b in got] == [
        (2, True), (3, True), (4, True), (5, True), (6, False),
    ]  # fmt: skip
    # Block 4 was lost: one of it, then the rest.
    got = [Block(o) for o in c.say(bytes.fromhex("E0810002000300"))]
    assert [(b.number, b.streaming) for b in got] == [(4, False)]
    got = [Block(o) for o in c.say(bytes.fromhex("E0850003000600"))]
    assert [(b.number, b.last) for b in got] == [(7, True)]


def test_blocks_of_get_where_they_are_negotiated_and_not_asked_otherwise():
    meter, value = meter_with(500)
    c = Blocks(meter, client=56, max_pdu=109)
    assert c.say(GET_LONG)[0][:2] == b"\xc4\x02"
    assert c.ask(GET_LONG) == HEAD + value


def test_another_request_ends_it():
    meter, value = meter_with(2000)
    c = Blocks(meter, max_pdu=109, window=1)
    c.say(block(0x81, 1, 0, GET_LONG))
    assert c.say(GET_SHORT)[0].hex() == "c401410009020102"
    assert c.say(block(0x81, 2, 1)) == [bytes.fromhex("D80103")]
    assert c.ask(GET_LONG) == HEAD + value


def test_a_value_that_changes_on_the_way_ends_it():
    meter, _ = meter_with(5000)
    c = Blocks(meter, max_pdu=109, window=1)
    c.say(block(0x81, 1, 0, GET_LONG))
    row = meter.model.find_any(bytes.fromhex("00010000603C02FF"), 0)
    assert meter.model.write(row, 2, b"\x09\x01\x00", 0, 3) == 0
    assert c.say(block(0x81, 2, 1)) == [bytes.fromhex("D80103")]


# --- What becomes of each block in each state -----------------------------------------------

NOT_SO = bytes.fromhex("D80103")
STATES = {"idle": gbt._IDLE, "over": gbt._IDLE, "receiving": gbt._RECEIVING,
          "sending": gbt._SENDING, "refused": gbt._REFUSED}  # fmt: skip
# A block of each kind, where two blocks of ours have come, and at most seven of the meter.
KINDS = {
    "first": (gbt._FIRST, block(0x01, 1, 0, GET_SHORT[:5])),
    "next": (gbt._NEXT, block(0x01, 3, 0, GET_LONG[10:12])),
    "again": (gbt._AGAIN, block(0x01, 2, 0, GET_LONG[5:10])),
    "ahead": (gbt._AHEAD, block(0x01, 4, 0, GET_LONG[12:])),
    "empty": (gbt._EMPTY, block(0x01, 3, 0)),
    "unsent": (gbt._UNSENT, block(0x01, 3, 9)),
    "malformed": (gbt._MALFORMED, block(0x01, 3, 0, b"abc")[:-1]),
}


def transfer_that_is(state):
    """(client, its Transfer, the association)"""
    meter, _ = meter_with(500)
    c = Blocks(meter, max_pdu=109, window=1)
    assert c.say(block(0x81, 1, 0)) == []
    a = next(a for a in meter.server.associations if a.channel is c.channel)
    if state == "over":
        assert len(c.ask(GET_LONG, 10)) == 508
    elif state == "receiving":
        assert c.say(block(0x41, 1, 0, GET_LONG[:5])) == []
        assert c.say(block(0x41, 2, 0, GET_LONG[5:10])) == []
    elif state == "sending":
        assert c.say(block(0x01, 1, 0, GET_LONG[:10])) == [block(0xBF, 1, 1)]
        assert Block(c.say(block(0x81, 2, 1, GET_LONG[10:]))[0]).number == 2
    elif state == "refused":
        assert c.say(block(0x41, 3, 0, b"abc")[:-1]) == []
    assert a.gbt.state == STATES[state]
    return c, a.gbt, a


def heard(outcome, state):
    """What is said at the end of that window."""
    if outcome == gbt._ABORT or state == "refused" and outcome == gbt._PASS:
        return NOT_SO, gbt._IDLE
    if outcome == gbt._BEGIN:
        return block(0xBF, 1, 1), gbt._RECEIVING
    if outcome == gbt._TAKE:
        return block(0xBF, 1, 3), gbt._RECEIVING
    if outcome == gbt._KEEP:
        # No last block, and so not of the size of the others.
        return block(0xBF, 1, 2), gbt._RECEIVING
    if outcome == gbt._GAP:
        return block(0xBF, 1, 0), gbt._RECEIVING
    if outcome == gbt._GO_ON:
        return "block 2", gbt._SENDING
    assert outcome == gbt._PASS
    return (block(0xBF, 1, 2), gbt._RECEIVING) if state == "receiving" else (None, gbt._IDLE)


@pytest.mark.parametrize("streaming", [0, 0x40], ids=["end of window", "streaming"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("state", STATES)
def test_outcomes(state, kind, streaming):
    """Each block has one outcome, of the table; nothing is said between those of a window; and the
    association is usable after it."""
    c, t, _ = transfer_that_is(state)
    what, octets = KINDS[kind]
    outcome = gbt.OUTCOMES[STATES[state]][what]
    if outcome is None:
        # There this block is of another kind.
        return
    expected, after = heard(outcome, state)
    if streaming:
        assert c.say(octets[:1] + bytes([octets[1] | streaming]) + octets[2:]) == []
        assert t.state == (gbt._REFUSED if expected == NOT_SO else after)
    got = c.say(octets)
    if expected == "block 2":
        assert [Block(o).number for o in got] == [2]
    else:
        assert got == ([expected] if expected else [])
    assert t.state == after
    assert c.ask(GET_SHORT).hex() == "c401410009020102"


def test_the_table_is_whole():
    """Each state and each kind of block stands in it, and each outcome is used."""
    states = [gbt._IDLE, gbt._RECEIVING, gbt._SERVING, gbt._SENDING, gbt._REFUSED]
    assert sorted(states) == list(range(len(gbt.OUTCOMES)))
    rows = [row for row in gbt.OUTCOMES if row is not None]
    assert all(len(row) == gbt._MALFORMED + 1 for row in rows)
    assert {x for row in rows for x in row} - {None} == set(range(gbt._ABORT + 1))


WHAT_ENDS = {
    "another request": GET_SHORT,
    "an AARQ": aarq(None, conformance="7EFF1F", max_pdu=128),
    "a release": bytes.fromhex("6200"),
    "what is no service": b"\xff",
}


@pytest.mark.parametrize("ending", [*WHAT_ENDS, "the link is lost"])
@pytest.mark.parametrize("state", STATES)
def test_what_ends_a_transfer_in_every_state(state, ending):
    c, t, a = transfer_that_is(state)
    if state == "sending":
        # In the middle of a window.
        c.talk.say(block(0x85, 3, 2).hex())
        assert c.channel.more is a
    if ending in WHAT_ENDS:
        assert c.talk.say(WHAT_ENDS[ending].hex()) != ""
    else:
        c.channel.release()
        assert a.state == 0 and a.gbt is None
    assert (c.channel.more, t.state, t.source, a.transfer) == (None, gbt._IDLE, None, 0)
    again = Blocks(c.meter, max_pdu=109)
    assert again.ask(GET_SHORT).hex() == "c401410009020102"


# --- Requests


@pytest.mark.parametrize("size", [1, 7, 50, 110])
def test_a_request_in_blocks(size):
    meter, _ = meter_with(1)
    c = Blocks(meter, max_pdu=128)
    value = b"\x09\x82\x07\xd0" + bytes(k & 0xFF for k in range(2000))
    set_long = bytes.fromhex("C10141" + LONG + "00") + value
    assert c.ask(set_long, size).hex() == "c5014100"
    assert c.ask(GET_LONG, size) == HEAD + value


def test_blocks_of_ours_that_are_lost():
    meter, _ = meter_with(1)
    c = Blocks(meter)
    lost = {2, 5, 6, 11}
    c.drop = lambda number: number in lost and not lost.discard(number)
    value = b"\x09\x82\x03\xe8" + bytes(1000)
    assert c.ask(bytes.fromhex("C10141" + LONG + "00") + value).hex() == "c5014100"
    assert c.ask(GET_LONG) == HEAD + value


def test_the_same_block_twice_and_one_too_early():
    c = Blocks(SuitesMeter())
    assert c.say(block(0x45, 1, 0, GET_SHORT[:4])) == []
    assert c.say(block(0x45, 1, 0, GET_SHORT[:4])) == []
    assert c.say(block(0x45, 3, 0, GET_SHORT[8:])) == []
    got = Block(c.say(block(0x05, 3, 0, GET_SHORT[8:]))[0])
    assert (got.last, got.number, got.ack, got.octets) == (True, 1, 1, b"")
    assert c.say(block(0x45, 2, 1, GET_SHORT[4:8])) == []
    got = Block(c.say(block(0x85, 3, 1, GET_SHORT[8:]))[0])
    assert got.octets.hex() == "c401410009020102"


def test_a_request_that_has_no_room():
    c = Blocks(SuitesMeter())
    for k in range(33):
        assert c.say(block(0x45, 1 + k, 0, bytes(100))) == []
    # Said when the window is over; what comes after that is no transfer any more.
    assert c.say(block(0x05, 34, 0, bytes(100))) == [bytes.fromhex("D80104")]
    assert c.ask(GET_SHORT).hex() == "c401410009020102"


def test_unconfirmed_nothing_comes_back():
    c = Blocks(SuitesMeter())
    assert c.say(block(0x85, 1, 0, bytes.fromhex("C10101" + SHORT + "00 09020304"))) == []
    assert c.ask(GET_SHORT).hex() == "c401410009020304"


@pytest.mark.parametrize(
    "octets",
    ["E0", "E085", "E08500010000", "E0850001000005C001", "E085000100000100C0", "E085000100008400"],
)
def test_malformed(octets):
    c = Blocks(SuitesMeter())
    assert c.say(bytes.fromhex(octets)) == [bytes.fromhex("D80103")]
    assert c.ask(GET_SHORT).hex() == "c401410009020102"


def test_what_belongs_to_no_transfer():
    c = Blocks(SuitesMeter())
    assert c.say(block(0x85, 1, 0)) == []
    assert c.say(block(0x85, 7, 3)) == [bytes.fromhex("D80103")]
    assert c.say(block(0x85, 7, 0, b"abc")) == [block(0xBF, 1, 0)]
    meter, _ = meter_with(2000)
    c = Blocks(meter, max_pdu=109, window=1)
    c.say(block(0x81, 1, 0, GET_LONG))
    assert c.say(block(0x85, 7, 3, b"abc")) == [bytes.fromhex("D80103")]


def test_an_acknowledgement_of_what_was_never_sent():
    meter, _ = meter_with(500)
    c = Blocks(meter, max_pdu=109, window=1)
    c.say(block(0x81, 1, 0, GET_LONG))
    assert c.say(block(0x81, 2, 9)) == [bytes.fromhex("D80103")]


def test_one_in_another_is_none():
    c = Blocks(SuitesMeter())
    inner = block(0x85, 1, 0, GET_SHORT)
    assert c.say(block(0x85, 1, 0, inner)) == [bytes.fromhex("D80103")]


def test_not_negotiated():
    c = Blocks(SuitesMeter())
    c.talk.say(aarq(None, conformance="00101F", max_pdu=128).hex())
    assert c.say(block(0x85, 1, 0, GET_SHORT)) == [bytes.fromhex("D80102")]


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_any_losses_and_sizes(data):
    n = data.draw(st.integers(1, 1800))
    meter, value = meter_with(n)
    c = Blocks(
        meter,
        max_pdu=data.draw(st.integers(12, 400)),
        window=data.draw(st.integers(0, 63)),
    )
    dice = random.Random(data.draw(st.integers(0, 999)))
    share = data.draw(st.floats(0, 0.4))
    c.lose = lambda number: dice.random() < share
    c.drop = lambda number: dice.random() < share
    assert c.ask(GET_LONG, data.draw(st.integers(1, 60))) == HEAD + value


@settings(max_examples=200, deadline=None)
@given(st.lists(st.binary(max_size=24), max_size=12))
def test_any_octets_leave_it_usable(octets):
    c = Blocks(SuitesMeter())
    for some in octets:
        c.say(b"\xe0" + some)
        c.channel.more = None
    assert c.ask(GET_SHORT).hex() == "c401410009020102"


# --- Every service


def on_a_small_channel(meter, client, opened, max_pdu=128):
    """Blocks over a channel whose buffer is small, after what `opened` says on it."""
    c = Blocks(meter, client=0)
    c.channel = meter.server.channel(max_pdu)
    c.talk = meter.talk(client=client, server=17, channel=c.channel)
    c.max_pdu = max_pdu
    opened(c.talk)
    return c


def open_plain(talk):
    assert "A203020100" in talk.say(aarq(None, conformance="7EFF1F").hex())


NAMES = bytes.fromhex(LONG + "00" + SHORT + "00")
SETUP = "0040 00002B0001FF"
EXPORT = bytes.fromhex("C30141" + SETUP + "07 01 0202 1600 0203 1600 1600 0908") + SERVER_TITLE
SERVICES = {
    "GET": GET_SHORT,
    "GET of what is not there": bytes.fromhex("C00141 0001 0000603C09FF 02 00"),
    "GET with list": bytes.fromhex("C0034102") + NAMES,
    "SET": bytes.fromhex("C10141" + SHORT + "00 0904 0A0B0C0D"),
    "SET with list": bytes.fromhex("C1044102") + NAMES + bytes.fromhex("02 09020102 09020304"),
    "long SET": bytes.fromhex("C10141" + LONG + "00") + b"\x09\x82\x07\xd0" + bytes(2000),
    "ACTION": EXPORT,
    "ACTION with list": bytes.fromhex("C303411E") + bytes.fromhex(SETUP + "09") * 30
    + b"\x1e" + bytes(30),
    "long ACTION": bytes.fromhex("C30141" + SETUP + "06 01") + b"\x09\x82\x03\xe8" + bytes(1000),
    "malformed": GET_SHORT[:-1],
    "no service": b"\xc2\0\0",
    "not negotiated": bytes.fromhex("C00241 00000001"),
}  # fmt: skip


@pytest.mark.parametrize("service", SERVICES)
def test_a_service_in_blocks_does_what_it_does_without(service):
    """Its answer is that of a meter whose buffers are large enough."""
    apdu = SERVICES[service]
    large = SuitesMeter()
    talk = large.talk(client=55, server=17)
    open_plain(talk)
    expected = bytes.fromhex(talk.say(apdu.hex()))
    meter = SuitesMeter()
    c = on_a_small_channel(meter, 55, open_plain)
    lost = random.Random(1)
    c.lose = c.drop = lambda number: lost.random() < 0.2
    assert c.ask(apdu, 40) == expected
    assert meter.model.image == large.model.image


def test_what_a_method_returns_is_as_long_as_it_likes():
    c = on_a_small_channel(SuitesMeter(), 55, open_plain)
    got = c.ask(EXPORT)
    n = int.from_bytes(got[8:10], "big")
    assert got[:8] == bytes.fromhex("C701410001000982") and len(got) == 10 + n > 300
    assert c.sent > 3


def test_in_an_association_that_ciphers_a_method_is_answered_in_blocks_of_action():
    """It runs once; the answer cannot be counted before it is made."""
    meter = SuitesMeter()
    c = Blocks(meter, client=0)
    c.channel = meter.server.channel(300)
    p = SigningClient(meter, 1)
    p.talk = c.talk = meter.talk(client=51, server=17, channel=c.channel)
    c.max_pdu = 300
    p.open()
    got = p.unprotect(c.ask(p.protect(EXPORT)))
    assert got[:8] == bytes.fromhex("C702410000000001")


def short_blocks(max_pdu=300):
    meter = ShortMeter()
    c = Blocks(meter, client=0, max_pdu=max_pdu)
    c.talk = meter.talk(client=2, server=1, channel=c.channel)
    c.talk.open_short(conformance="3CFF3F", max_pdu=max_pdu)
    return c


@pytest.mark.parametrize(
    "apdu", ["050102FA00", "050202FA0002FA08", "06010 2 2A48 01 1107".replace(" ", ""), "0500",
             "050104 FA08 01 00".replace(" ", "")],
)  # fmt: skip
def test_short_names(apdu):
    expected = ""
    large = short_blocks()
    for part in large.say(bytes.fromhex(apdu)):
        expected += part.hex()
    got = short_blocks().ask(bytes.fromhex(apdu), 2).hex()
    if expected[:6] == "0c0102":
        # Without general blocks it comes in those of Read.
        assert got.startswith("0c") and len(got) > 600
    else:
        assert got == expected


def test_a_long_read():
    meter = short_blocks()
    value = ShortMeter().short().read("FA08")
    assert meter.ask(bytes.fromhex("050102FA08")).hex().upper() == "0C0100" + value
    assert len(value) > 600


# --- Who is not answered, and who asks at the same time

BROADCAST = 4  # of server.py: there is no reply, but what has to wait comes again


def test_an_unconfirmed_request_in_blocks():
    """By broadcast, or in frames that nobody answers: blocks come, nothing goes, it is done."""
    c = Blocks(SuitesMeter())
    apdu = bytes.fromhex("C10141" + SHORT + "00 0904 0A0B0C0D")
    for k in range(0, len(apdu), 5):
        last = k + 5 >= len(apdu)
        control = 0x81 if last else 0x41
        assert c.talk.say(block(control, k // 5 + 1, 0, apdu[k : k + 5]).hex(), BROADCAST) == ""
    assert c.ask(GET_SHORT).hex() == "c40141000904" + "0a0b0c0d"


def test_an_unconfirmed_request_of_which_a_block_is_lost_is_not_done():
    c = Blocks(SuitesMeter())
    apdu = bytes.fromhex("C10141" + SHORT + "00 0904 0A0B0C0D")
    for k in (0, 10, 15):
        c.talk.say(
            block(0x81 if k == 15 else 0x41, k // 5 + 1, 0, apdu[k : k + 5]).hex(), BROADCAST
        )
    assert c.ask(GET_SHORT).hex() == "c401410009020102"


def test_a_long_answer_that_nobody_hears_is_not_sent():
    c = Blocks(meter_with(2000)[0], max_pdu=109)
    assert c.talk.say(block(0x85, 1, 0, GET_LONG).hex(), BROADCAST) == ""
    assert c.channel.more is None
    assert c.say(block(0x85, 2, 1)) == [NOT_SO]


def test_two_clients_in_long_transfers_at_once():
    """On one link, and on two: each has its own blocks, numbers and losses."""
    meter, value = meter_with(5000)
    clients = [Blocks(meter, max_pdu=109, window=3), Blocks(meter, client=56, max_pdu=90)]
    one, other = clients
    asked = []

    def between(octets, say=one.say):
        back = say(octets)
        if not asked:
            asked.append(1)
            assert other.ask(GET_LONG) == HEAD + value
        return back

    one.say = between
    assert one.ask(GET_LONG) == HEAD + value
    other.channel.release()
    # The same on one link: what streams is not cut off by the other's request.
    shared = meter.talk(56, 17, one.channel)
    assert "A203020100" in shared.say(aarq(None, conformance="7EFF1F").hex())
    one.talk.say(block(0x83, 1, 0, GET_LONG).hex())
    a = one.channel.more
    assert a.client_sap == 55
    assert shared.say(GET_SHORT.hex()) == "C401410009020102"
    assert one.channel.more is a


def test_no_room_for_buffers(monkeypatch):
    """The request is told so, once; what was open stays so."""
    c = Blocks(SuitesMeter())

    def none(rx, out):
        raise MemoryError

    monkeypatch.setattr(gbt, "Transfer", none)
    assert c.say(block(0x81, 1, 0, GET_SHORT)) == [bytes.fromhex("D80101")]
    assert c.talk.say(GET_SHORT.hex()) == "C401410009020102"
    monkeypatch.undo()
    assert c.ask(GET_SHORT).hex() == "c401410009020102"


# --- With protection


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("kind", ["glo", "general-glo"])
def test_protected_apdus_in_blocks(suite, kind):
    """Ciphered first, and cut then; what is longer than the buffers goes in blocks of GET, which
    are protected one by one."""
    meter, value = meter_with(700)
    c = Blocks(meter, client={1: 51, 2: 52}[suite], max_pdu=1024)
    signing = SigningClient(meter, suite, kind=kind)
    signing.talk = c.talk
    signing.open()
    got = c.ask(signing.protect(GET_LONG))
    assert signing.unprotect(got) == HEAD + value


def test_a_protected_set_and_its_replay():
    meter, _ = meter_with(1)
    c = Blocks(meter, client=51, max_pdu=1024)
    signing = SigningClient(meter, 1)
    signing.talk = c.talk
    signing.open()
    value = b"\x09\x82\x05\xdc" + bytes(1500)
    apdu = signing.protect(bytes.fromhex("C10141" + LONG + "00") + value)
    assert signing.unprotect(c.ask(apdu)).hex() == "c5014100"
    assert c.ask(apdu).hex().startswith("d80106")
    # 1,500 octets are more than a buffer of the meter has room for.
    assert signing.unprotect(c.ask(signing.protect(GET_LONG))) == HEAD + value


# --- Over the profiles


def test_windows_over_the_wrapper():
    meter, value = meter_with(3000)
    c = Blocks(meter, max_pdu=200, window=6)
    wrapper = Wrapper(meter.server, c.channel)
    clock = [0]

    def say(octets):
        wpdu = bytes.fromhex("0001 0037 0011") + len(octets).to_bytes(2, "big") + octets
        assert wrapper.receive(wpdu, 0, len(wpdu), clock[0]) == len(wpdu)
        back = []
        while True:
            n = wrapper.transmit(clock[0])
            if not n and meter.server.todo:
                meter.server.work()
                continue
            if not n:
                return back
            octets = bytes(wrapper.out[wrapper.out_pos : wrapper.out_pos + n])
            assert octets[:6] == bytes.fromhex("0001 0011 0037")
            back.append(octets[8:])

    c.say = say
    assert c.ask(GET_LONG) == HEAD + value


def test_windows_over_hdlc():
    """The next block of a window follows when the client polls for it."""
    meter, value = meter_with(3000)
    line = Line(info=(128, 128), client=55, meter=meter)
    line.hdlc = HDLC(line.server, line.channel, saps=(17,))
    line.link = line.hdlc.links[0]
    line.who["server"] = address(17, 17)
    line.snrm()
    assert "A203020100" in line.ask(aarq(None, conformance="7EFF1F", max_pdu=300).hex())
    c = Blocks(SuitesMeter(), window=4)

    def say(octets):
        frames = line.send(octets.hex())
        while meter.server.todo:
            meter.server.work()
            frames += [Frame(octets) for octets in line.flush()]
        back = []
        while any(f.kind == "I" for f in frames):
            back.append(bytes.fromhex(line.join(frames)))
            if back[-1][0] != 0xE0 or not Block(back[-1]).streaming:
                # The last of the window is acknowledged with what comes next.
                break
            frames = line.say(rr(line.nr, **line.who))
        return back

    c.say = say
    assert c.ask(GET_LONG) == HEAD + value


def test_a_client_that_goes_away():
    meter, value = meter_with(500)
    c = Blocks(meter, max_pdu=109, window=3)
    c.talk.say(block(0x83, 1, 0, GET_LONG).hex())
    assert c.channel.more is not None
    c.channel.release()
    assert c.channel.more is None
    again = Blocks(meter, max_pdu=109)
    assert again.ask(GET_LONG) == HEAD + value


def test_in_an_association_that_needs_no_opening():
    meter = SuitesMeter()
    c = Client(meter.talk(client=53, server=17), 0, kind="general-glo")
    assert c.talk.say(block(0x85, 1, 0, c.protect(GET_SHORT)).hex()).startswith("D801")


# --- On MicroPython -------------------------------------------------------------------------


def test_nothing_is_allocated(micropython, tmp_path):
    blocks, same = on_device(micropython, tmp_path)
    assert same == "True"
    assert 7 <= int(blocks) <= 12
