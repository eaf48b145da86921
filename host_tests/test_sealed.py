# SPDX-License-Identifier: MIT
"""lib/dlms/sealed.py with the server: long answers that are one protected APDU, and are made as
they go out in blocks. What they are unprotected with is `cryptography`."""

import random

import pytest
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
from dlms.secured_association import SecuredAssociation
from secure import AE, A, Client, E
from secure_general import General0, General12
from short import ShortClient, ShortMeter
from suites import CLIENTS, SigningClient

N = 18
NAMES = bytes.fromhex(LONG + "00") * N
GET_LIST = bytes.fromhex("C00341") + bytes([N]) + NAMES
DED = bytes(range(0x40, 0x50))


def opened(meter, kind, suite=1, window=5, **how):
    """(Blocks, the client that protects)"""
    c = Blocks(meter, client=CLIENTS.get(suite, 57), max_pdu=1024, window=window)
    if suite == 0:
        return c, General0(c.talk, kind=kind, mechanism=0)
    if "ded" in kind:
        how["dedicated"] = DED * suite
    protects = General12(meter, suite, kind=kind, **how)
    protects.talk = c.talk
    return c, protects.open()


def lossy(c, seed=1, share=0.05):
    dice = random.Random(seed)
    c.lose = c.drop = lambda number: dice.random() < share


# --- Of any length, in every form that keys of the meter have


@pytest.mark.parametrize("sc", [A, E, AE], ids=["authenticated", "encrypted", "both"])
@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("kind", ["glo", "ded", "general-glo", "general-ded", "identified"])
def test_a_long_answer_is_one_apdu(kind, suite, sc):
    meter, value = meter_with(3000)
    c, p = opened(meter, kind, suite)
    p.sc = sc
    for _ in range(2):
        assert p.unprotect(c.ask(p.protect(GET_LONG))) == HEAD + value
        assert p.answer_sc & AE == sc
    n = len(p.seen) + len(p.server_ics)
    assert n == len(set(p.seen)) + len(set(p.server_ics))


def test_in_a_pre_established_association():
    meter, value = meter_with(3000)
    c, p = opened(meter, "general-glo", suite=0)
    assert p.unprotect(c.ask(p.protect(GET_LONG))) == HEAD + value
    # Its client has no blocks of GET: it hears of it in general blocks, asked for or not.
    got = [Block(o) for o in c.say(p.protect(GET_LONG))]
    assert [(b.number, b.last) for b in got] == [(1, False)]


@pytest.mark.parametrize("window", [1, 8, 63])
def test_100_kib_with_one_in_twenty_lost(window):
    meter, value = meter_with(5996)
    c, p = opened(meter, "glo", window=window)
    meter.server.associations[0].max_pdu = 0
    lossy(c)
    whole = c.ask(p.protect(GET_LIST))
    assert p.unprotect(whole) == bytes.fromhex("C40341") + bytes([N]) + (b"\0" + value) * N
    assert c.sent <= 1.3 * -(-len(whole) // 1015)


@pytest.mark.parametrize("n", [980, 981, 982, 983, 984, 985, 1000, 2000, 2004, 2005, 2006])
def test_around_the_ends_of_blocks(n):
    for kind in ("glo", "general-glo", "identified"):
        meter, value = meter_with(n)
        c, p = opened(meter, kind)
        assert p.unprotect(c.ask(p.protect(GET_LONG))) == HEAD + value


def test_what_has_to_be_there_as_a_whole_goes_in_blocks_of_get():
    """Each of them is protected by itself, and takes several general blocks if it must."""
    for kind in ("wrapped", "one-pass", "static", "signed"):
        meter, value = meter_with(2500)
        c, p = opened(meter, "general-glo" if kind == "signed" else kind)
        p.signs = kind == "signed"
        request, whole, number = GET_LONG, b"", 0
        while request:
            got = p.unprotect(c.ask(p.protect(request), 400))
            assert got[:3] == bytes.fromhex("C40241")
            number += 1
            assert got[4:9] == number.to_bytes(4, "big") + b"\0"
            n = 1 if got[9] < 128 else 1 + (got[9] & 0x7F)
            whole += got[9 + n :]
            request = bytes.fromhex("C00241") + got[4:8] if not got[3] else None
        assert whole == value and number >= 3


# --- Nothing is made twice


def test_lost_blocks_come_as_they_were_although_a_value_has_changed():
    """A counter among long values: the answer has the old one or the new one, under one tag."""
    meter, value = meter_with(2000)
    counter = "0001 00002B0101FF 02"
    names = (LONG + "00", counter + "00", LONG + "00")
    apdu = bytes.fromhex("C0034103" + "".join(names))
    c, p = opened(meter, "glo", window=1)
    row = meter.model.find_any(bytes.fromhex("000100002B0101FF"), 0)
    seen = {}
    say = c.say

    def saying(octets):
        back = say(octets)
        for got in back:
            b = Block(got)
            assert seen.setdefault(b.number, b.octets) == b.octets
        new = b"\6" + len(seen).to_bytes(4, "big")
        assert meter.model.write(row, 2, new, 0, 5) == 0
        return back

    c.say = saying
    lossy(c, 3, 0.4)
    got = p.unprotect(c.ask(p.protect(apdu)))
    at = 4 + 1 + len(value) + 1
    assert got[4:at] == b"\0" + value + b"\0" and got[at] == 6
    assert got[at + 5 :] == b"\0" + value


@pytest.mark.parametrize("n", [1, 300])
def test_another_length_than_was_counted_ends_it_before_the_tag(n):
    meter, value = meter_with(5000)
    apdu = bytes.fromhex("C0034102" + LONG + "00" + SHORT + "00")
    c, p = opened(meter, "glo", window=1)
    got = c.say(block(0x81, 1, 0, p.protect(apdu)))
    row = meter.model.find_any(bytes.fromhex("00010000603C01FF"), 0)
    new = (b"\x09\x01" if n == 1 else b"\x09\x82" + n.to_bytes(2, "big")) + bytes(n)
    assert meter.model.write(row, 2, new, 0, len(new)) == 0
    number = 1
    while got[0][0] == 0xE0:
        assert not Block(got[0]).last
        number += 1
        got = c.say(block(0x81, number, number - 1))
    assert got == [bytes.fromhex("D80103")]
    assert p.unprotect(c.ask(p.protect(GET_LONG))) == HEAD + value


def test_a_value_that_changes_half_written_ends_it():
    meter, value = meter_with(5000)
    c, p = opened(meter, "glo", window=1)
    c.say(block(0x81, 1, 0, p.protect(GET_LONG)))
    row = meter.model.find_any(bytes.fromhex("00010000603C02FF"), 0)
    assert meter.model.write(row, 2, value, 0, len(value)) == 0
    got, number = [b"\xe0"], 1
    while got[0][0] == 0xE0:
        number += 1
        got = c.say(block(0x81, number, number - 1))
    assert got == [bytes.fromhex("D80103")]


def test_others_are_served_while_it_is_counted():
    meter, value = meter_with(5000)
    c, p = opened(meter, "glo")
    other = Blocks(meter)
    server = meter.server
    octets = bytearray(block(0x85, 1, 0, p.protect(GET_LONG)))

    def ask():
        return server.request(c.channel, 51, 17, octets, 0, len(octets))

    steps = 0
    while ask() < 0:
        server.work()
        if server.todo:
            steps += 1
            assert other.talk.say(GET_SHORT.hex()) == "C401410009020102"
    assert steps >= 1


def test_the_same_request_again_is_the_same_answer_again():
    """A client that has not heard it repeats its block; anybody else's replay is refused."""
    meter, value = meter_with(3000)
    c, p = opened(meter, "glo", window=1)
    asked = block(0x81, 1, 0, p.protect(GET_LONG))
    first = c.say(asked)
    assert Block(first[0]).number == 1
    assert c.say(asked) == first
    second = c.say(block(0x81, 2, 1))
    assert Block(second[0]).number == 2
    assert c.say(asked) == second  # of block 1 it has been said that it has come
    c.say(GET_SHORT)  # ended by another request
    assert Block(c.say(asked)[0]).octets.hex().startswith("d80106")


def test_a_plain_request_where_none_has_to_be_protected():
    meter, value = meter_with(3000)
    c, p = opened(meter, "glo")
    assert c.ask(GET_LONG) == HEAD + value


@pytest.mark.parametrize("kind", ["glo", "wrapped", None])
def test_a_value_that_needs_a_job(kind):
    """The certificates of the meter: what shows them is loaded first, and then they are counted;
    with a key that is wrapped they go in blocks of GET."""
    apdu = bytes.fromhex("C00141 0040 00002B0001FF 06 00")
    meter, _ = meter_with(1)
    c, p = opened(meter, kind or "glo")
    p.kind = kind
    meter.server.associations[0].max_pdu = c.max_pdu = 200
    c.channel.max_pdu = 200
    got = c.ask(p.protect(apdu) if kind else apdu)
    got = p.unprotect(got) if kind else got
    if kind == "wrapped":
        assert got[:8] == bytes.fromhex("C402410000000001")
    else:
        assert got[:6] == bytes.fromhex("C4014100 01 05") and len(got) > 250


# --- Short names


@pytest.mark.parametrize("kind", ["glo", "ded", "general-glo"])
def test_a_long_read(kind):
    meter = ShortMeter()
    p = ShortClient(meter, 40, kind=kind, dedicated=DED if kind == "ded" else None)
    p.open(initiate="01 000000 065F1F0400 7CFF3F FFFF")
    c = Blocks(meter, client=40, max_pdu=300)
    c.talk = p.talk
    c.channel = p.talk.channel
    short = bytes.fromhex(p.ask("050102FA00"))
    assert short[:3] == bytes.fromhex("0C0100")
    n = 40
    got = p.unprotect(c.ask(p.protect(bytes([5, n]) + b"\2\xfa\0" * n)))
    assert got == bytes([0x0C, n]) + short[2:] * n
    assert len(got) > 300


def test_no_answer_is_longer_than_its_client_may_have_it():
    """max_pdu of the client is the limit of a block, protected or not."""
    meter, value = meter_with(3000)
    c = Blocks(meter, client=51, max_pdu=200)
    p = SigningClient(meter, 1)
    p.talk = c.talk
    c.max_pdu = 1024
    p.open(initiate="01 000000 065F1F0400 7EFF1F 00C8")
    c.max_pdu = 200
    assert p.unprotect(c.ask(p.protect(GET_LONG))) == HEAD + value


def test_on_micropython_nothing_is_allocated(micropython, tmp_path):
    """A list of three long values, in windows, one block of which is lost."""
    p = Client(meter_with(1)[0].talk(client=57, server=17), 0, kind="general-glo")
    apdu = p.protect(bytes.fromhex("C0034103" + (LONG + "00") * 3))
    _blocks, same, answer = on_device(micropython, tmp_path, apdu.hex())
    assert same == "True"
    value = b"\x09\x82\x0b\x54" + bytes(k * 7 & 0xFF for k in range(2900))
    assert p.unprotect(bytes.fromhex(answer)) == bytes.fromhex("C4034103") + (b"\0" + value) * 3


def test_where_there_is_no_room_for_it_it_goes_in_blocks_of_get(monkeypatch):
    meter, value = meter_with(2500)
    c, p = opened(meter, "glo")
    faults = []

    def full(a):
        raise MemoryError
        yield

    def step(a, plain=SecuredAssociation.step):
        plain(a)
        faults.append(meter.server.fault)
        meter.server.fault = None

    monkeypatch.setattr("dlms.sealed.prepare", full)
    monkeypatch.setattr(SecuredAssociation, "step", step)
    got = p.unprotect(c.ask(p.protect(GET_LONG), 400))
    assert got[:8] == bytes.fromhex("C402410000000001")
    assert [type(e) for e in faults] == [MemoryError]


@pytest.mark.parametrize("signed", [False, True], ids=["wrapped", "signed"])
def test_blocks_of_get_go_on_without_general_blocks(signed):
    """The first of them came in general blocks; its client may ask for the next by itself."""
    meter, value = meter_with(2500)
    c, p = opened(meter, "general-glo" if signed else "wrapped")
    p.signs = signed
    first = p.unprotect(c.ask(p.protect(GET_LONG), 400))
    assert first[:8] == bytes.fromhex("C402410000000001")
    request = p.protect(bytes.fromhex("C0024100000001"))
    got = p.unprotect(bytes.fromhex(c.talk.say(request.hex())))
    assert got[:8] == bytes.fromhex("C402410000000002")
