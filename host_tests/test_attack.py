# SPDX-License-Identifier: MIT
"""Attacks on protected APDUs and on the four passes, whatever form they have. The client is
secure.py.

What holds for each: nothing is done, the answer does not say which part was wrong, and the
association is as before: the next good request is served, under the counter that it has.
"""

import ast
import gc
import itertools
import socket
import subprocess
import types
from pathlib import Path

import pytest
import tables
from cryptography.hazmat.primitives import keywrap
from firmware.links.trace import Trace
from peer_sessions import RunningMeter
from secure import AE, GAK, GBEK, GUEK, KEK, SERVER_TITLE, TITLE, A, Client, E, gcm
from secure_general import General0, General12, field
from small import Meter, that_runs
from suites import SIZES, SuitesMeter, public, sign
from tables import show

from dlms.prim import crc16

ROOT = Path(__file__).parents[1]

FREE = 40  # client of Security setup 1: policy 0
STRICT = 41  # of Security setup 2: requests and answers authenticated and encrypted
LLS = 48  # of Security setup 1 as well
DEDICATED = bytes(range(16, 32))
SECRET = b"secret of small"

OBJECT = "0001 0000603C01FF 02"
GET = "C00141 " + OBJECT + " 00"
SET = "C10141 " + OBJECT + " 00 0904CAFE0102"
# security_activate, of a policy that would keep this client out.
ACTION = "C30141 0040 00002B0001FF 01 01 16EC"
VALUE = "C401410009020102"
ANSWERS = {GET: VALUE, SET: "C5014100", ACTION: "C701410300"}

DECIPHERING = "D80105"
REPLAYED = "D80106"
REFUSED = "D80101"
# Of P-256 and P-384 (FIPS 186-4): the order, and the prime.
ORDERS = {
    1: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    2: 2**384 - 0x389CB27E0BC8D220A7E5F24DB74F58851313E695333AD68D,
}
FIELDS = {
    1: 2**256 - 2**224 + 2**192 + 2**96 - 1,
    2: 2**384 - 2**128 - 2**96 + 2**32 - 1,
}
KINDS = ("glo", "ded", "general-glo", "general-ded")


def opened(kind="glo", sc=AE, sap=FREE, meter=None, **how):
    """An open association, whose client then protects as kind and sc say."""
    talk = (meter or Meter()).talk(client=sap, server=17)
    c = Client(talk, dedicated=DEDICATED if "ded" in kind else None, **how).open()
    c.kind, c.sc = kind, sc
    return with_all_keys(c)


def with_all_keys(c):
    """With the broadcast key, too, which else is made when a broadcast comes."""
    c.talk.meter.model.handler_of(context(c).row).load(context(c))
    return c


def context(c):
    return c.talk.channel.last.context


def keys(c):
    a = c.talk.channel.last
    return [k for k in (a.context.unicast, a.context.broadcast, a.dedicated) if k]


def standing(c):
    """All that a request could have changed: image, counters, and the association."""
    model = c.talk.meter.model
    a = c.talk.channel.last
    counters = [(bytes(k.rx), bytes(k.tx), bytes(k.rx_end), bytes(k.tx_end)) for k in keys(c)]
    state = (a.state, a.config, a.transfer, a.block_number, a.conformance, bytes(a.title))
    return bytes(model.image), counters, state, len(c.talk.meter.saved), model.edits


def flips(octets, first=0):
    """(place, the octets with one bit of that place turned), for each bit."""
    for at in range(first, len(octets)):
        for bit in range(8):
            bad = bytearray(octets)
            bad[at] ^= 1 << bit
            yield at, bit, bad.hex()


# --- One bit --------------------------------------------------------------------------------


@pytest.mark.parametrize("request_", [GET, SET, ACTION], ids=["get", "set", "action"])
@pytest.mark.parametrize("sc", [A, AE], ids=["authenticated", "both"])
@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_of_a_request(kind, sc, request_):
    """One answer to them all; but another tag is another service, and is refused as that."""
    c = opened(kind, sc)
    request = c.protect(bytes.fromhex(request_))
    control = len(request) - len(bytes.fromhex(request_)) - 12 - 5
    before = standing(c)
    for at, bit, bad in flips(request):
        if at == control and bit == 4 and sc == AE:
            continue  # now it says that it has no tag: see "Encrypted only"
        got = c.talk.say(bad)
        if at == 0:
            # Silence: what is now a plain request says that it wants no answer.
            assert got in (DECIPHERING, "D80102", "D80103", "D80202", ""), (bit, got)
        else:
            assert got == DECIPHERING, (at, bit, got)
        assert standing(c) == before, (at, bit)
    got = c.unprotect(bytes.fromhex(c.talk.say(request.hex())))
    assert got.hex().upper() == ANSWERS[request_]


@pytest.mark.parametrize("kind", KINDS)
def test_every_bit_where_the_policy_asks_for_both(kind):
    """The answer says no more than what anybody sees: that the request claims too little."""
    c = opened(kind, sap=STRICT)
    request = c.protect(bytes.fromhex(SET))
    control = len(request) - len(bytes.fromhex(SET)) - 12 - 5
    before = standing(c)
    for at, bit, bad in flips(request):
        got = c.talk.say(bad)
        if at == 0:
            assert got in (DECIPHERING, REFUSED), (bit, got)
        elif at == control and bit in (4, 5):
            assert got == REFUSED
        else:
            assert got == DECIPHERING, (at, bit, got)
        assert standing(c) == before, (at, bit)
    assert c.unprotect(bytes.fromhex(c.talk.say(request.hex()))).hex().upper() == "C5014100"


@pytest.mark.parametrize("sc", [A, AE], ids=["authenticated", "both"])
@pytest.mark.parametrize("kind", ["glo", "general-glo"])
def test_every_bit_of_an_initiate_request(kind, sc):
    """In an AARQ; who has an association open keeps it, and can open another one."""
    meter = Meter()
    failures = []
    meter.server.on_authentication_failed = failures.append
    c = opened(kind, sc, meter=meter)
    aarq = c.aarq()
    control = len(aarq) - 14 - 12 - 5
    before = standing(c)
    for at, bit, bad in flips(aarq, first=len(aarq) - 14 - 12 - 5 - (11 if kind != "glo" else 2)):
        if at == control and bit == 4 and sc == AE:
            continue
        got = c.talk.say(bad)
        if got.startswith("61"):
            assert "A203020101" in got, (at, bit, got)
        else:
            assert got.startswith("D801"), (at, bit, got)
        meter.forgive()
        assert standing(c) == before, (at, bit)
    assert len(failures) > 8 * 17
    assert c.ask(GET) == VALUE
    c.open()
    assert c.ask(GET) == VALUE


@pytest.mark.parametrize("sc", [A, AE], ids=["authenticated", "both"])
def test_every_bit_of_a_release(sc):
    """Nobody else can end the association: the user-information has to be right."""
    c = opened(sc=sc, sap=STRICT if sc == AE else FREE)
    inner = c.protect(bytes.fromhex("01000000065F1F04007EFF1FFFFF"))
    rlrq = bytes([0x62, len(inner) + 7, 0x80, 1, 0, 0xBE, len(inner) + 2, 4, len(inner)]) + inner
    before = standing(c)
    for at, bit, bad in flips(rlrq, first=9):
        if at == 9 or (at == 11 and bit in (4, 5)):
            continue  # what is not protected is another question, asked in test_symsec.py
        assert c.talk.say(bad) == DECIPHERING, (at, bit)
        assert standing(c) == before, (at, bit)
    assert c.talk.say(rlrq.hex()).startswith("63")


@pytest.mark.parametrize("mechanism, sap", [(3, 43), (4, 44), (5, 47), (6, 46)])
def test_every_bit_of_a_proof(mechanism, sap):
    meter = Meter()
    talk = meter.talk(client=sap, server=17)
    c = Client(talk, mechanism, context=1, kind=None, secret=b"secret of small")
    c.begin()
    n = len(c.f())
    for at in range(n):
        for bit in range(8):
            c.begin()
            proof = bytearray(c.f())
            proof[at] ^= 1 << bit
            assert c.finish(bytes(proof)) == "C701410300", (at, bit)
            assert c.ask(GET).startswith("D801")
            meter.forgive()
    assert c.open().ask("C00141 0001 00002A0000FF 02 00").startswith("C40141")


# --- General-ciphering and general-signing --------------------------------------------------

# (suite, kind of key, signed)
GENERAL = [
    (suite, kind, signs)
    for suite in (0, 1, 2)
    for kind in ("identified", "broadcast", "wrapped", "one-pass", "static", "signed only")
    for signs in (False, True)
    if (suite or not signs and kind in ("identified", "wrapped", "broadcast"))
    and signs >= (kind == "signed only")
    and not (suite and kind == "broadcast")
]
GENERALS = pytest.mark.parametrize(
    "suite, kind, signs", GENERAL, ids=["%d %s%s" % (s, k, " signed" * g) for s, k, g in GENERAL]
)


def general(suite, kind, signs, sap=FREE):
    """An open association, whose client then protects so."""
    if suite:
        c = General12(SuitesMeter(), suite, kind="glo")
    else:
        c = General0(Meter().talk(client=sap, server=17), kind="glo")
    c.open()
    c.kind, c.signs = kind, signs
    if kind == "signed only":
        c.kind, c.sc = "identified", 0
    return with_all_keys(c)


def unconfirmed(request, kind):
    """The broadcast key is for what is not answered."""
    return request.replace("C10141", "C10101") if kind == "broadcast" else request


def taken(c, request, kind):
    got = bytes.fromhex(c.talk.say(request.hex()))
    if kind == "broadcast":
        return got == b""
    return c.unprotect(got).hex().upper() == "C5014100"


@GENERALS
def test_every_bit_of_general_protection(suite, kind, signs):
    """Of every octet: fields, key-info, wrapped and ephemeral keys, signatures, tags."""
    c = general(suite, kind, signs)
    request = c.protect(bytes.fromhex(unconfirmed(SET, kind)))
    control = bytes([AE | suite])
    before = standing(c)
    n = 0
    for at, bit, bad in flips(request):
        if bit != at % 8 and len(request) > 200:
            continue  # with elliptic curves in it, one of each octet
        weaker = bytes.fromhex(bad)[at] == (AE | suite) ^ 0x10 and request[at : at + 1] == control
        if weaker and c.sc:
            continue  # encrypted only, now: see below
        got = c.talk.say(bad)
        if at == 0:
            assert got in (DECIPHERING, "D80102", "D80103", "D80202"), (bit, got)
        else:
            assert got == DECIPHERING, (at, bit, got)
        assert standing(c) == before, (at, bit)
        n += 1
    assert n >= len(request) - 3
    assert taken(c, request, kind)
    # It was taken once.
    assert c.talk.say(request.hex())[:6] in (REPLAYED, DECIPHERING)
    c.kind = "identified" if kind == "broadcast" else c.kind
    assert c.ask(GET) == "C40141000904CAFE0102"


@GENERALS
def test_every_truncation_of_general_protection(suite, kind, signs):
    c = general(suite, kind, signs)
    request = c.protect(bytes.fromhex(unconfirmed(SET, kind)))
    before = standing(c)
    for n in range(1, len(request)):
        assert c.talk.say(request[:n].hex()) == DECIPHERING, n
    for n in (1, 2, 12, 64):
        assert c.talk.say((request + bytes(n)).hex()) == DECIPHERING, n
    assert standing(c) == before
    assert taken(c, request, kind)


@pytest.mark.parametrize("suite", [1, 2])
def test_signatures_that_are_none(suite):
    """r and s of 0, of the order of the curve, above it, and of each other; another's, none."""
    c = general(suite, "signed only", True)
    n = SIZES[suite]
    order = ORDERS[suite]
    before = standing(c)
    request = c.protect(bytes.fromhex(SET))
    head, r, s = request[: -2 * n], request[-2 * n : -n], request[-n:]
    zero, one = bytes(n), bytes(n - 1) + b"\1"
    high = order.to_bytes(n, "big")
    higher = (order + 1).to_bytes(n, "big")
    # The mirror of a good s is a good signature of the same text: it is the counter that counts.
    mirror = (order - int.from_bytes(s, "big")).to_bytes(n, "big")
    for bad in (
        zero + zero, zero + s, r + zero, high + s, r + high, high + high, one + one, s + r,
        higher + s, r + higher, b"\xff" * 2 * n, mirror + r,
    ):  # fmt: skip
        assert c.talk.say((head + bad).hex()) == DECIPHERING, bad.hex()
    # By another key, over another text.
    fields = c.fields()
    text = fields + bytes([len(bytes.fromhex(SET))]) + bytes.fromhex(SET)
    tail = request[-2 * n - (2 if 2 * n >= 128 else 1) : -2 * n]
    for key, signed in (("server sign", text), ("client agree", text), ("client sign", text[1:])):
        bad = b"\xdf" + text + tail + sign(suite, key, signed)
        assert c.talk.say(bad.hex()) == DECIPHERING
    assert standing(c) == before
    assert c.unprotect(bytes.fromhex(c.talk.say(request.hex()))).hex().upper() == "C5014100"
    assert c.talk.say((head + r + mirror).hex()) == DECIPHERING


@pytest.mark.parametrize("suite", [1, 2])
def test_ephemeral_keys_that_are_no_points(suite):
    """Signed as they should be: off the curve, the point at infinity, outside of the field."""
    c = general(suite, "one-pass", False)
    n = SIZES[suite]
    good = public(suite, "client agree")
    before = standing(c)
    p = FIELDS[suite].to_bytes(n, "big")
    for point in (
        good[:-1] + bytes([good[-1] ^ 1]),
        bytes(2 * n),
        good[:n] + bytes(n),
        bytes(n) + good[n:],
        p + p,
        b"\xff" * 2 * n,
        good[:n] + p,
    ):
        data = point + sign(suite, "client sign", point)
        info = b"\1\2\1\1" + field(data), bytes(32 if suite == 2 else 16)
        request = c.ciphered(bytes.fromhex(SET), "one-pass", AE | suite, c.fresh_ic, info=info)
        assert c.talk.say(request.hex()) == DECIPHERING, point.hex()
    assert standing(c) == before
    assert c.ask(GET) == VALUE


@pytest.mark.parametrize("suite", [1, 2])
def test_every_octet_of_a_signed_proof(suite):
    """f(StoC) of ECDSA, and what is no signature at all."""
    c = General12(SuitesMeter(), suite, kind="glo")
    n = SIZES[suite]
    c.begin()
    for at in range(0, 2 * n, 5):
        c.begin()
        proof = bytearray(c.f())
        proof[at] ^= 1 << at % 8
        assert c.finish(bytes(proof)) == "C701410300", at
        c.meter.forgive()
    order = ORDERS[suite].to_bytes(n, "big")
    for proof in (b"", bytes(2 * n), order * 2, bytes(n), b"\xff" * 2 * n, bytes(2 * n + 1)):
        c.begin()
        assert c.finish(proof) == "C701410300"
        c.meter.forgive()
    # A proof of the meter, for another association, or for itself.
    c.begin()
    assert c.finish(sign(suite, "client sign", c.f(to_server=False))) == "C701410300"
    assert c.open().ask(GET) == VALUE


# --- Encrypted only: there is no tag --------------------------------------------------------
# Whoever asks for no more than that has no proof of who sent what: the Book's mode, for policies
# that let anybody send plain requests too. What is defined then: the octets in front of the
# ciphertext have to be right, the first octet of the plain text has to be that of the service, a
# counter counts once; and whatever comes out is a request like any other, with all its answers.


def test_every_bit_of_what_is_encrypted_only():
    for at in range(2 + 5 + len(bytes.fromhex(GET))):
        c = opened(sc=E)
        for bit in range(8):
            request = c.protect(bytes.fromhex(GET))
            bad = bytearray(request)
            bad[at] ^= 1 << bit
            before = standing(c)
            got = c.talk.say(bad.hex())
            if at < 8:
                # In front of the ciphertext, or the first octet of what comes out.
                assert got == DECIPHERING or (at == 0 and got[:3] == "D80"), (at, bit, got)
                assert standing(c) == before, (at, bit)
                assert c.unprotect(bytes.fromhex(c.talk.say(request.hex())))[0] == 0xC4
            else:
                # Another request under the same counter: the right one comes too late.
                if got[:2] not in ("D8", ""):
                    assert c.unprotect(bytes.fromhex(got))[0] == 0xC4
                assert c.talk.say(request.hex())[:6] == REPLAYED
        assert c.ask(GET) == VALUE


@pytest.mark.parametrize("kind", KINDS)
def test_a_request_that_was_both_is_made_one_that_is_encrypted_only(kind):
    """Its tag cut off, and its control octet and lengths made to fit: the same key stream."""

    def weaker(c):
        request = bytearray(c.protect(bytes.fromhex(SET)))
        control = len(request) - len(bytes.fromhex(SET)) - 12 - 5
        request[control] = E
        request[control - 1] -= 12
        return request, control

    # Where the policy asks for both it is refused, and the counter is free for the right one.
    c = opened(kind, sap=STRICT)
    before = standing(c)
    request, control = weaker(c)
    assert c.talk.say(request[:-12].hex()) == REFUSED
    assert standing(c) == before
    # Where it asks for nothing, this is one of the requests that anybody may send.
    c = opened(kind)
    request, control = weaker(c)
    assert c.unprotect(bytes.fromhex(c.talk.say(request[:-12].hex())))[0] == 0xC5


@pytest.mark.parametrize("sc", [A, E], ids=["authenticated", "encrypted"])
def test_nobody_without_the_key_wears_it_out(sc):
    """The highest counter, in a request that claims too little: nothing was checked, so nothing
    counts."""
    c = opened(sap=STRICT)
    before = standing(c)
    for kind in ("glo", "general-glo"):
        for first in range(256):
            body = bytes([sc]) + b"\xff\xff\xff\xfe" + bytes([first]) + bytes(24)
            head = b"\xc8" if kind == "glo" else b"\xdb\x08" + TITLE
            assert c.talk.say((head + bytes([len(body)]) + body).hex()) == REFUSED
            inner = b"\x21" + bytes([len(body)]) + body
            aarq = bytes.fromhex("A109060760857405080103A60A0408") + TITLE
            aarq += bytes.fromhex("8A0207808B0760857405080205AC0A8008") + bytes(8)
            aarq += bytes([0xBE, len(inner) + 2, 4, len(inner)]) + inner
            got = c.talk.say((bytes([0x60, len(aarq)]) + aarq).hex())
            assert "A203020101A305A10302010D" in got
            c.talk.meter.forgive()
    assert standing(c) == before
    assert c.ask(GET) == VALUE


# --- Again, in another order, of somebody else ----------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_again_and_in_another_order(kind):
    c = opened(kind)
    first, second = (c.protect(bytes.fromhex(text)) for text in (SET, GET))
    got = c.unprotect(bytes.fromhex(c.talk.say(second.hex())))
    assert got.hex().upper() == VALUE
    before = standing(c)
    for request in (first, second, first):
        assert c.talk.say(request.hex())[:6] == REPLAYED
        assert standing(c) == before
    assert c.ask(GET) == VALUE


def test_again_after_another_association():
    """Nor of the other associations of the same key, nor after a release."""
    meter = Meter()
    c = opened(meter=meter)
    request = c.protect(bytes.fromhex(SET))
    c.talk.say(request.hex())
    other = Client(meter.talk(client=LLS, server=17), 1, secret=b"secret of small", ic=c.ic)
    other.open()
    assert other.talk.say(request.hex())[:6] == REPLAYED
    c.ic = other.ic
    assert c.ask(GET) == "C40141000904CAFE0102"
    assert c.talk.say("6200").startswith("63")
    c.open()
    assert c.talk.say(request.hex())[:6] == REPLAYED
    # An AARQ that was heard opens nothing.
    d = Client(meter.talk(client=LLS, server=17), 1, secret=b"secret of small", ic=c.ic)
    aarq = d.aarq().hex()
    assert "A203020100" in d.talk.say(aarq)
    assert "A203020101A305A10302010D" in d.talk.say(aarq)


def test_blocks_again_and_in_another_order():
    """A block that is heard and repeated does not get in twice, nor ends the transfer."""
    c = opened()
    data = "0982012C" + "5A" * 300
    apdus = ["C10241 " + OBJECT + " 00 00 00000001 50" + data[:160]]
    apdus.append("C1034100 00000002 50" + data[160:320])
    apdus.append("C1034101 00000003 8190" + data[320:])
    sent = [c.protect(bytes.fromhex(text)) for text in apdus]
    for request, answer in zip(sent, ("C5024100000001", "C5024100000002", "C503410000000003")):
        got = c.unprotect(bytes.fromhex(c.talk.say(request.hex())))
        assert got.hex().upper() == answer
        for old in sent[: sent.index(request) + 1]:
            assert c.talk.say(old.hex())[:6] == REPLAYED
    assert c.ask(GET)[:8] == "C4014100"


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_meter_says_is_nothing_to_say_to_it(kind):
    """Its own answers, as they are and under the tags of requests: the titles differ."""
    c = opened(kind)
    answer = bytes.fromhex(c.talk.say(c.protect(bytes.fromhex(GET)).hex()))
    before = standing(c)
    tags = (0xC8, 0xC9, 0xCB, 0xCC, 0xD0, 0xD1, 0xD3, 0xD4)
    for tag in tags if not kind.startswith("general") else (0xDB, 0xDC):
        got = c.talk.say((bytes([tag]) + answer[1:]).hex())
        assert got == DECIPHERING
        assert standing(c) == before
    assert c.ask(GET) == VALUE


def test_what_the_meter_says_proves_nothing_to_it():
    """A relay makes its StoC the CtoS of a client that the meter believes. With the title of the
    meter as its own, f(CtoS) would be its f(StoC)."""
    meter = Meter()
    relay = Client(meter.talk(client=47, server=17), 5, 1, kind=None, title=SERVER_TITLE)
    got = relay.begin()
    assert (got["result"], got["diagnostic"]) == (1, 3)
    # In an association that is open from the start.
    c = Client(SuitesMeter().talk(client=53, server=17), 0, kind="general-glo")
    answer = c.talk.say(c.protect(bytes.fromhex(GET)).hex())
    assert c.talk.say(answer) == DECIPHERING
    assert c.ask(GET) == VALUE


def test_a_service_in_the_clothes_of_another():
    """Right in all that is protected; the tag in front, which is not, says another service."""
    for kind, tags in (("glo", (0xC8, 0xC9, 0xCB, 0xCA, 0xCC)), ("ded", (0xD0, 0xD1, 0xD3))):
        c = opened(kind)
        for request_ in (GET, SET, ACTION):
            request = c.protect(bytes.fromhex(request_))
            before = standing(c)
            for tag in tags:
                if tag != request[0]:
                    assert c.talk.say((bytes([tag]) + request[1:]).hex()) == DECIPHERING
                    assert standing(c) == before
        assert c.ask(GET) == VALUE


def test_glo_and_ded_do_not_mix():
    """An APDU under one key, in the form that stands for the other."""
    c = opened("ded")
    before = standing(c)
    for kind, key in (("glo", DEDICATED), ("general-glo", DEDICATED), ("ded", GUEK)):
        assert c.ask(GET, kind=kind, key=key, ic=50)[1:] == DECIPHERING
    assert c.ask(GET, kind="general-ded", key=GUEK, ic=50)[1:] == DECIPHERING
    # The broadcast key is none of a dedicated form.
    assert c.ask(GET, kind="ded", sc=0x70, ic=50)[1:] == DECIPHERING
    assert standing(c) == before
    assert c.ask(GET) == VALUE


# --- One answer, whichever part was wrong ---------------------------------------------------


def test_one_answer_whichever_part_was_wrong():
    c = opened("general-glo")
    good = c.protect(bytes.fromhex(GET))
    c.ic -= 1
    other = {
        "key": dict(key=bytes(16)),
        "suite": dict(sc=0x31),
        "no protection": dict(sc=0x00),
        "compressed": dict(sc=0xB0),
        "broadcast key": dict(sc=0x70),
        "counter of before": dict(key=bytes(16), ic=0),
        "highest counter": dict(key=bytes(16), ic=0xFFFFFFFF),
    }
    before = standing(c)
    for what, how in other.items():
        how.setdefault("ic", c.ic)
        assert c.ask(GET, **how)[1:] == DECIPHERING, what
    for title in (b"OTHER..\0", bytes(8), TITLE[::-1], b"PMT\0\0\0\0\1"):
        c.title = title
        assert c.ask(GET, ic=c.ic)[1:] == DECIPHERING, title
    c.title = TITLE
    c.gak = bytes(16)
    assert c.ask(GET, ic=c.ic)[1:] == DECIPHERING
    c.gak = GAK
    for cut in range(1, len(good)):
        assert c.talk.say(good[:cut].hex()) == DECIPHERING
        assert c.talk.say((good + bytes(cut)).hex()) == DECIPHERING
    for at in (1, 10):  # lengths that do not fit, in all their forms
        for n in (
            "00",
            "7F",
            "80",
            "81",
            "8100",
            "81FF",
            "82FFFF",
            "83FFFFFF",
            "84FFFFFFFF",
            "FF",
        ):
            bad = good[:at] + bytes.fromhex(n) + good[at + 1 :]
            assert c.talk.say(bad.hex()) == DECIPHERING, (at, n)
    for size in range(12):  # a shorter tag, honestly said
        bad = bytearray(good[: len(good) - 12 + size])
        bad[10] -= 12 - size
        assert c.talk.say(bad.hex()) == DECIPHERING, size
    assert standing(c) == before
    assert c.unprotect(bytes.fromhex(c.talk.say(good.hex()))).hex().upper() == VALUE


@pytest.mark.parametrize("title", [None, b"", b"CLI\0\0\0\7", b"CLI\0\0\0\0\0\7"])
def test_system_titles_that_are_none(title):
    c = Client(Meter().talk(client=FREE, server=17), title=TITLE)
    aarq = c.aarq()
    at = aarq.index(b"\xa6\x0a\x04\x08")
    field = b"" if title is None else bytes([0xA6, len(title) + 2, 4, len(title)]) + title
    body = aarq[2:at] + field + aarq[at + 12 :]
    got = c.talk.say((b"\x60" + bytes([len(body)]) + body).hex())
    assert "A203020101A305A103020103" in got


@pytest.mark.parametrize("kind", ["glo", "general-glo"])
def test_the_broadcast_key_opens_and_ends_nothing(kind):
    """Many meters have it. With a dedicated key, who has taken it would hear answers, too."""
    meter = Meter()
    thief = Client(meter.talk(client=LLS, server=17), 1, kind=kind, secret=b"secret of small",
                   guek=GBEK, sc=AE | 0x40, dedicated=DEDICATED)  # fmt: skip
    got = thief.begin()
    assert (got["result"], got["diagnostic"]) == (1, 13)
    honest = opened(sap=STRICT, meter=meter)
    initiate = thief.protect(bytes.fromhex("01 000000 065F1F0400 7EFF1F FFFF"), ic=500)
    field = bytes([0xBE, len(initiate) + 2, 4, len(initiate)]) + initiate
    talk = honest.talk
    assert talk.say((b"\x62" + bytes([len(field)]) + field).hex()) == DECIPHERING
    assert honest.ask(GET) == VALUE


# --- Counters at their limits ---------------------------------------------------------------


@pytest.mark.parametrize("kind", ["general-glo", "identified"])
@pytest.mark.parametrize("ic", [257, 0xFFFF, 0x10000, 0xFFFFFF, 0x1000000, 0xFFFFFFFE])
def test_who_has_no_key_uses_none_up(kind, ic):
    """Encrypted without a tag, anybody's octets are something. Where the policy takes that, they
    move the counter a little way, in an AARQ and after it."""
    meter = Meter()
    honest = General0(meter.talk(client=FREE, server=17), kind="glo").open()
    rx = honest.ic
    thief = General0(meter.talk(client=FREE, server=17), kind=kind, guek=bytes(16))
    thief.sc, thief.ic = E, rx + ic - (ic > 0xFFFFF000) * rx
    got = thief.talk.say(thief.aarq().hex())
    assert got.startswith("61") and "A203020101" in got
    thief.talk = honest.talk
    got = thief.talk.say(thief.protect(bytes.fromhex(GET), ic=thief.ic - 1).hex())
    assert got == REPLAYED + "%08X" % rx
    assert honest.ask(GET) == VALUE
    # Who has the key says so by a tag, or goes there step by step.
    honest.ic += 256
    assert honest.ask(GET, sc=E) == VALUE
    honest.ic += 100000
    assert honest.ask(GET, sc=AE) == VALUE


def set_counter(c, which, value):
    """As after so many requests: in force, and saved."""
    key = context(c).unicast
    getattr(key, which)[:] = value.to_bytes(4, "big")
    getattr(key, which + "_end")[:] = value.to_bytes(4, "big")


def test_the_last_counters_of_a_client():
    c = opened()
    set_counter(c, "rx", 0xFFFFFFFD)
    assert c.ask(GET, ic=0xFFFFFFFD) == VALUE
    assert c.ask(GET, ic=0xFFFFFFFE) == VALUE
    for ic in (0xFFFFFFFF, 0xFFFFFFFE, 0, 1):
        assert c.ask(GET, ic=ic) == "!" + REPLAYED + "FFFFFFFF"
    # That holds after a restart too.
    meter = Meter()
    meter.model.image[:] = c.talk.meter.saved[-1]
    for row in meter.model.rows(64):
        meter.model.handler_of(row).start(row)
    again = Client(meter.talk(client=FREE, server=17), ic=0xFFFFFFFE)
    assert again.begin()["diagnostic"] == 13


def test_the_last_counters_of_the_meter():
    """No answer is made with a counter that was used; there is none left, so there is none."""
    c = opened()
    set_counter(c, "tx", 0xFFFFFFF0)
    c.server_ics = []
    answers = [c.ask(GET) for _ in range(30)]
    n = len(c.server_ics)
    assert answers == [VALUE] * n + ["!" + REFUSED] * (30 - n)
    assert 0 < n < 15 and len(set(c.server_ics)) == n
    assert max(ic for _, ic in c.server_ics) < b"\xff\xff\xff\xff"
    # Nor does a client get in that could not be answered.
    c.talk.channel.release()
    for _ in range(3):
        assert "A203020100" not in c.talk.say(c.aarq().hex())
    # Without protection the meter goes on.
    other = c.talk.meter.talk(client=1)
    assert "A203020100" in other.open()


def test_the_last_counters_of_the_meter_in_pass_4():
    meter = Meter()
    c = Client(meter.talk(client=47, server=17), 5, context=1, kind=None)
    c.begin()
    set_counter(c, "tx", 0xFFFFFFFF)
    assert c.finish() == "C701410300"
    assert c.ask("C00141 0001 00002A0000FF 02 00") == REFUSED


@pytest.mark.parametrize("n", [0, 1, 2, 63, 64, 65, 1000, 1 << 31, (1 << 31) + 1])
def test_counters_beyond_those_that_are_saved(n):
    """One that is taken is saved before it counts; a wrong one saves nothing."""
    c = opened()
    meter = c.talk.meter
    c.ic += n
    request = bytearray(c.protect(bytes.fromhex(GET)))
    saved = len(meter.saved)
    request[-1] ^= 1
    assert c.talk.say(request.hex()) == DECIPHERING
    assert len(meter.saved) == saved
    request[-1] ^= 1
    got = c.unprotect(bytes.fromhex(c.talk.say(request.hex())))
    assert got.hex().upper() == VALUE
    row = context(c).row
    at = meter.model.state(row, 1) + 4
    assert int.from_bytes(meter.saved[-1][at : at + 4], "big") > c.ic - 1


# --- Four passes ----------------------------------------------------------------------------


def test_two_associations_do_not_prove_each_other():
    """Who knows no secret opens a second association with the meter's challenge of the first as
    its own, to hear the proof: it hears nothing before it has proved something."""
    for mechanism, sap in ((3, 43), (4, 44), (5, 47), (6, 46)):
        meter = Meter()
        first, second = (
            Client(meter.talk(client=sap, server=17), mechanism, context=1, kind=None)
            for _ in range(2)
        )
        first.begin()
        second.challenge = first.stoc
        second.begin()
        n = {3: 16, 4: 20, 5: 17, 6: 32}[mechanism]
        assert second.finish(bytes(n)) == "C701410300"
        assert first.finish(first.challenge + bytes(n - 16)) == "C701410300"


@pytest.mark.parametrize("mechanism, sap", [(3, 43), (4, 44), (5, 47), (6, 46)])
def test_the_clients_challenge_is_not_ours(mechanism, sap):
    """StoC = CtoS, in a meter whose random numbers somebody foresees; of all lengths."""
    for n in (16, 17, 32, 64):
        meter = Meter()
        meter.model.random_fill = lambda buf: [buf.__setitem__(i, 7) for i in range(len(buf))]
        c = Client(
            meter.talk(client=sap, server=17), mechanism, context=1, kind=None,
            secret=b"secret of small", challenge=bytes([7]) * n,
        )  # fmt: skip
        c.begin()
        assert c.stoc == c.challenge
        assert c.finish() == "C701410300"


def test_a_proof_under_a_key_of_zeros_or_none():
    """What somebody has who knows the formula, and no key."""
    c = Client(Meter().talk(client=47, server=17), 5, context=1, kind=None)
    for key, gak in ((bytes(16), bytes(16)), (bytes(16), GAK), (GBEK, GAK), (GUEK, b"")):
        c.begin()
        ic = c.ic.to_bytes(4, "big")
        tag = gcm(key, TITLE + ic, b"\x10" + gak + c.stoc)[1][:12]
        assert c.finish(b"\x10" + ic + tag) == "C701410300"
    c.talk.meter.forgive()
    assert c.open()


# --- Constant time --------------------------------------------------------------------------
# Not by a clock, which would prove little and fail now and then, but by what is written: octets
# that are secret, or a tag, meet octets of a peer in same() alone.

# Functions that may compare() octets of a peer, for neither side is a secret there.
_NOT_SECRET = {
    ("lib/dlms/opening.py", "_acse_diagnostic"),  # system titles
    ("lib/dlms/hls.py", "_proof"),  # a method descriptor
    ("lib/dlms/secured.py", "_peel"),  # system titles
    ("lib/dlms/ciphering.py", "unprotect"),  # system titles, counters after the tag
    ("lib/dlms/secured.py", "has_certificate"),
    ("lib/dlms/identified.py", "_titled"),
    ("lib/dlms/hls.py", "passes"),  # two challenges, counters
}
_SECURITY_MODULES = ("lib/dlms/opening.py", "lib/dlms/secured.py", "lib/dlms/ciphering.py",
                     "lib/dlms/identified.py", "lib/dlms/general.py", "lib/dlms/marks.py",
                     "lib/dlms/agreed.py", "lib/dlms/hls.py", "lib/crypto/gcm.py",
                     "lib/crypto/keywrap.py")  # fmt: skip


def calls(tree, name):
    """Functions of a module that call `name`."""
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef):
            for node in ast.walk(function):
                if isinstance(node, ast.Call) and getattr(node.func, "id", "") == name:
                    yield function.name


@pytest.mark.parametrize("path", _SECURITY_MODULES)
def test_compare_is_for_what_is_no_secret(path):
    tree = ast.parse((ROOT / path).read_text())
    assert {(path, name) for name in calls(tree, "compare")} <= _NOT_SECRET


@pytest.mark.parametrize(
    "path, function, name",
    [
        ("lib/dlms/opening.py", "_is_secret", "same"),
        ("lib/dlms/hls.py", "passes", "same"),
        ("lib/crypto/gcm.py", "decrypt", "reveal"),
        ("lib/crypto/gcm.py", "open", "reveal"),
        ("lib/crypto/keywrap.py", "unwrap", "reveal"),
    ],
)
def test_secrets_and_tags_are_compared_in_constant_time(path, function, name):
    assert function in set(calls(ast.parse((ROOT / path).read_text()), name))


@pytest.mark.parametrize("form", ["dlms/_prim_loop", "dlms/_prim_viper", "crypto/_gcm_loop",
                                  "crypto/_gcm_viper"])  # fmt: skip
def test_every_octet_is_looked_at(form):
    """No way out of the loop, and no condition in it."""
    for node in ast.parse((ROOT / "lib" / (form + ".py")).read_text()).body:
        if isinstance(node, ast.FunctionDef) and node.name in ("same", "reveal"):
            loops = [n for n in ast.walk(node) if isinstance(n, (ast.For, ast.While))]
            assert loops
            for n in (n for loop in loops for n in ast.walk(loop)):
                assert not isinstance(n, (ast.Return, ast.Break, ast.If, ast.IfExp))
            return
    pytest.fail("%s compares nothing" % form)


# --- On MicroPython -------------------------------------------------------------------------
# Where nothing checks positions: the same answers, whatever lies behind an APDU in its buffer.


def attacks(c):
    """Good APDUs, and before each all that it becomes by a turned bit, cut, or made longer."""
    for kind, sc in itertools.product((*KINDS[::2], "identified", "wrapped"), (A, E, AE)):
        for text in (GET, SET):
            good = c.protect(bytes.fromhex(text), kind=kind, sc=sc)
            if sc != E:
                for at, bit, bad in flips(good):
                    if bit == at % 8:
                        yield bad
            for n in range(1, len(good)):
                yield good[:n].hex()
            yield (good + bytes(7)).hex()
            yield good.hex()
            yield good.hex()


@pytest.mark.parametrize("poison", [0x00, 0xFF])
def test_attacks_on_micropython(micropython, tmp_path, poison):
    t = tables.compile(str(ROOT / "host_tests/definitions/small.toml"))
    (tmp_path / "definition.py").write_text(show.module(t))
    talk = Meter().talk(client=LLS, server=17)
    c = General0(talk, "glo", mechanism=1, secret=SECRET)
    apdus = [c.aarq().hex(), *attacks(c)]
    wanted = [talk.say(apdu) for apdu in apdus]
    assert len(apdus) > 1500 and wanted.count(DECIPHERING) > 1200
    assert sum(w[:2] in ("CC", "CD", "DB", "DD") for w in wanted) >= 24
    path = ":".join(str(ROOT / part) for part in ("lib", "."))
    done = subprocess.run(
        [micropython, str(ROOT / "host_tests/device/attacked.py"), str(tmp_path), str(LLS),
         str(poison)],
        input="\n".join(apdus) + "\n", capture_output=True, text=True, timeout=120,
        env={"MICROPYPATH": path + ":.frozen"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-500:] + done.stderr
    for apdu, got, want in zip(apdus, done.stdout.splitlines(), wanted):
        assert got == want, apdu
    assert len(done.stdout.splitlines()) == len(apdus)


# --- Nothing shows a key --------------------------------------------------------------------

NEW_KEY = bytes(range(0x40, 0x50))
NEW_SECRET = b"another secret!!"
_OURS = ("dlms", "cosem", "crypto", "profiles", "firmware")
# What has to do with keys, and may not say a word that is not written in it.
_SILENT = ("lib/crypto", "lib/dlms", "lib/cosem", "firmware/provisioning.py", "firmware/vault.py",
           "firmware/ports/ciphers")  # fmt: skip


def shown(text):
    """Names of the keys and secrets that a text has in it, as octets, hex, or numbers."""
    packed = "".join(c for c in text.upper() if c in "0123456789ABCDEF")
    found = []
    for name, octets in {
        "guek": GUEK, "gak": GAK, "gbek": GBEK, "kek": KEK, "dedicated": DEDICATED,
        "new key": NEW_KEY, "secret": SECRET, "new secret": NEW_SECRET,
    }.items():  # fmt: skip
        some = octets[:8]  # half a key is too much
        if (
            some.hex().upper() in packed
            or repr(some)[2:-1] in text
            or (some.isascii() and some.decode("latin-1") in text)
            or str(list(some))[1:-1] in text
        ):
            found.append(name)
    return found


def test_shown_finds_what_it_looks_for():
    for text in (GAK.hex(), GAK.hex(" ").upper(), repr(GAK), str(list(GAK)), "x%sx" % repr(GAK)):
        assert shown("RX: %s" % text) == ["gak"]
    assert shown("the secret of small is out") == ["secret"]
    assert shown("RX: 00 01 00 02 and nothing else") == []


def reachable(start):
    """All objects that can be got at from some, but for modules and what is not the program's."""
    seen, todo = {}, list(start)
    while todo:
        thing = todo.pop()
        if id(thing) in seen or isinstance(thing, (type, types.ModuleType)):
            continue
        seen[id(thing)] = thing
        todo += gc.get_referents(thing)
    return seen.values()


def everything(c):
    """A client that does all that can be done with keys, and much that cannot."""
    c.open()
    for sc in (A, E, AE):
        c.ask(GET, sc=sc)
    c.ask(SET)
    c.ask("C00141 0040 00002B0001FF 00 00")
    c.ask(GET, key=bytes(16))
    for kind in KINDS:
        c.ask(GET, kind=kind)
    secret = "C10141 000F 0000280000FF 07 00 0910" + NEW_SECRET.hex()
    c.ask(secret)
    c.ask("C00141 000F 0000280000FF 07 00")
    wrapped = keywrap.aes_key_wrap(KEK, NEW_KEY).hex()
    c.ask("C30141 0040 00002B0001FF 02 01 0101 0202 1602 0918" + wrapped)
    c.gak = NEW_KEY
    assert c.ask(GET)[:8] == "C4014100"
    wrapped = keywrap.aes_key_wrap(bytes(16), NEW_KEY).hex()
    c.ask("C30141 0040 00002B0001FF 02 01 0101 0202 1600 0918" + wrapped)
    # A key that nobody has wrapped, by mistake.
    c.ask("C30141 0040 00002B0001FF 02 01 0101 0202 1600 0910" + NEW_KEY.hex())


def passes(talk, mechanism, secret=SECRET):
    c = Client(talk, mechanism, context=1, kind=None, secret=secret, ic=1000)
    c.begin()
    c.finish()
    c.ask("C10141 000F 0000280000FF 07 00 0910" + NEW_SECRET.hex())
    return c


def test_no_object_shows_a_key():
    """The repr of everything that the program has made, in the middle of what it does."""
    meter = Meter()
    everything(Client(meter.talk(client=FREE, server=17), dedicated=DEDICATED))
    for mechanism, sap in ((3, 43), (6, 46)):
        passes(meter.talk(client=sap, server=17), mechanism)
    seen = set()
    for thing in reachable([meter.server, meter.model, *meter.server.associations]):
        if type(thing).__module__.partition(".")[0] in _OURS:
            seen.add(type(thing).__name__)
            assert not shown(repr(thing) + str(thing)), type(thing)
    assert seen >= {"Server", "Model", "Security", "SecuredAssociation", "Context", "Key", "GCM"}


def outside_of_len(node):
    if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "len":
        return
    yield node
    for child in ast.iter_child_nodes(node):
        yield from outside_of_len(child)


def sources():
    for path in _SILENT:
        whole = ROOT / path
        yield from sorted(whole.rglob("*.py")) if whole.is_dir() else [whole] * whole.exists()


@pytest.mark.parametrize("path", list(sources()), ids=lambda path: str(path.relative_to(ROOT)))
def test_errors_are_said_in_words_that_are_written_there(path):
    """Nothing is put into the text of an exception, nothing printed, no __repr__ written."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Raise) and isinstance(node.exc, ast.Call):
            if getattr(node.exc.func, "id", "") == "ImportError":
                continue  # of a package that is missing
            for argument in node.exc.args:
                # Of octets their length at most; else numbers and names of what has a name.
                names = {n.id for n in outside_of_len(argument) if isinstance(n, ast.Name)}
                names -= {"name", "obis", "row", "d", "setup", "_text"} | {
                    n for n in names if n.isupper()
                }
                assert not names, (node.lineno, names)
        if isinstance(node, ast.Call):
            assert getattr(node.func, "id", "") != "print", node.lineno
        if isinstance(node, ast.FunctionDef):
            assert node.name not in ("__repr__", "__str__"), node.lineno


class Heard:
    """Stands in for the port of a trace: what it would print."""

    def __init__(self):
        self.text = []
        self.out = self.text.append

    def time_of_day(self):
        return 1, 2, 3


class Traced:
    """A way to talk whose trace is kept: each APDU in a frame of HDLC, or in a wpdu."""

    def __init__(self, talk, hdlc):
        self.talk, self.channel, self.meter = talk, talk.channel, talk.meter
        self.heard = Heard()
        self.trace = Trace(self.heard, hdlc)
        self.hdlc = hdlc
        self.n = 0

    def unit(self, apdu, sent):
        if not self.hdlc:
            return bytes.fromhex("0001 0028 0011 %04X" % len(apdu)) + apdu
        head = b"\x51\x23" if not sent else b"\x23\x51"
        info = (b"\xe6\xe7\x00" if sent else b"\xe6\xe6\x00") + apdu
        n = len(info) + 2 + len(head) + 1 + 2 + 2
        octets = bytes([0xA0 | n >> 8, n & 0xFF]) + head + b"\x10"
        hcs = crc16(octets, 0, len(octets), 0xFFFF) ^ 0xFFFF
        octets += hcs.to_bytes(2, "little") + info
        fcs = crc16(octets, 0, len(octets), 0xFFFF) ^ 0xFFFF
        return b"\x7e" + octets + fcs.to_bytes(2, "little") + b"\x7e"

    def say(self, request, confirmed=1):
        unit = self.unit(bytes.fromhex(request.replace(" ", "")), False)
        self.trace.received(unit, 0, len(unit))
        got = self.talk.say(request, confirmed)
        if got:
            unit = self.unit(bytes.fromhex(got), True)
            self.trace.sent(unit, 0, len(unit))
        return got


@pytest.mark.parametrize("hdlc", [False, True], ids=["wrapper", "hdlc"])
def test_no_trace_shows_a_key(hdlc):
    """Of a session with everything, and of a client that says its secrets in plain text."""
    meter = Meter()
    talks = [Traced(meter.talk(client=FREE, server=17), hdlc)]
    everything(Client(talks[0], dedicated=DEDICATED))
    talks.append(Traced(meter.talk(client=FREE, server=17), hdlc))
    plain = Client(talks[1], dedicated=DEDICATED, gak=NEW_KEY, ic=500)
    plain.begin(protect=False)
    plain.finish()
    plain.kind = None
    plain.ask(SET)
    plain.ask("C10141 000F 0000280000FF 07 00 0910" + NEW_SECRET.hex())
    for mechanism, sap in ((1, LLS), (3, 43), (4, 44), (5, 47), (6, 46)):
        talks.append(Traced(meter.talk(client=sap, server=17), hdlc))
        if mechanism == 1:
            c = Client(talks[-1], 1, secret=SECRET, gak=NEW_KEY, ic=2000)
            c.begin()
            c.begin(protect=False)
        else:
            passes(talks[-1], mechanism)
    for talk in talks:
        lines = talk.heard.text
        assert len(lines) >= 4 and not [text for text in lines if "octets that are no" in text]
        for line in lines:
            assert not shown(line), line


@pytest.mark.parametrize("hdlc", [False, True], ids=["wrapper", "hdlc"])
@pytest.mark.parametrize("kind", ["glo", "general-glo", "identified", "signed", "blocks"])
def test_no_trace_shows_what_is_protected_and_not_encrypted(kind, hdlc):
    """A secret that is read, were it readable, in an answer that is authenticated only."""
    c = General0(Traced(Meter().talk(client=FREE, server=17), hdlc), "glo", ic=9)
    request = bytes.fromhex("C00141 000F 0000280000FF 07 00")
    answer = bytes.fromhex("C4014100 0910") + NEW_SECRET
    trace = c.talk
    for apdu, sent in ((request, False), (answer, True)):
        if kind == "signed":
            apdu = b"\xdf" + c.fields() + field(apdu) + field(bytes(64))
        elif kind == "blocks":
            apdu = b"\xe0\xc1\0\1\0\0" + field(apdu)
        elif sent:
            head = {"glo": b"\xcc", "general-glo": b"\xdb\x08" + TITLE}
            head = head.get(kind, b"\xdd" + c.fields() + b"\1\0\0")
            apdu = head + field(b"\x10" + bytes(4) + apdu + bytes(12))
        else:
            apdu = c.protect(apdu, kind=kind, sc=A)
        unit = trace.unit(apdu, sent)
        (trace.trace.sent if sent else trace.trace.received)(unit, 0, len(unit))
    lines = trace.heard.text
    assert [text[:3] for text in lines] == ["RX:", "TX:"]
    for line in lines:
        assert not shown(line), line


class TCPTalk:
    """A client of a meter that runs: APDUs in wpdus over a connection."""

    def __init__(self, address, client, server=17):
        self.socket = socket.create_connection(address, 20)
        self.saps = client.to_bytes(2, "big") + server.to_bytes(2, "big")

    def say(self, request):
        apdu = bytes.fromhex(request)
        self.socket.sendall(b"\0\1" + self.saps + len(apdu).to_bytes(2, "big") + apdu)
        head = self.take(8)
        assert head[:6] == b"\0\1" + self.saps[2:] + self.saps[:2]
        return self.take(int.from_bytes(head[6:], "big")).hex().upper()

    def take(self, n):
        got = b""
        while len(got) < n:
            part = self.socket.recv(n - len(got))
            assert part, "closed"
            got += part
        return got


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_meter_that_runs_shows_no_key(runtime, request, tmp_path):
    """tools/meter.py with --trace and --state: what it prints, and who may read what it keeps."""
    if runtime == "micropython":
        request.getfixturevalue("micropython")
    definition = tmp_path / "small.toml"
    definition.write_text(that_runs())
    state = tmp_path / "state"
    meter = RunningMeter(
        runtime, "--definition", str(definition), "--trace", "--state", str(state), speed=1
    )
    try:
        address = meter.ports["wrapper"]
        c = Client(TCPTalk(address, FREE), dedicated=DEDICATED)
        c.server_title = b""
        everything(c)
        passes(TCPTalk(address, 46), 6)
        with pytest.raises(AssertionError):
            Client(TCPTalk(address, 47), 5, context=1, kind=None, guek=bytes(16)).open()
        talk = TCPTalk(address, FREE)
        talk.socket.sendall(b"\0\1\0" + GUEK + GAK)
        talk.socket.close()
        kept = [path for path in state.rglob("*") if path.is_file()]
        assert state.stat().st_mode & 0o077 == 0
        assert [path for path in kept if path.stat().st_mode & 0o077] == []
        # They are where they should be, and nowhere else.
        assert [path.name for path in kept if KEK in path.read_bytes()]
    finally:
        code = meter.stop()
    printed = meter.printed
    assert code == 0
    assert "RX: " in printed and "TX: " in printed
    for line in printed.splitlines() + meter.said.splitlines():
        assert not shown(line), line
