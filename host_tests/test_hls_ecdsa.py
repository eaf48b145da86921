# SPDX-License-Identifier: MIT
"""Mechanism 7 (lib/dlms/hls.py, certificates.py) with the server: who signs, and with what. Meter
and client are of suites.py; signatures are made and verified by `cryptography`."""

import datetime

import pytest
from crypto import ec
from secure import GAK, SERVER_TITLE, THIRD_GUEK
from suites import (
    AUTHORITY, CLIENT, NOW, SERVER, SIGN, SIZES, SigningClient, SuitesMeter, certificate, held,
    key, sign,
)  # fmt: skip

from firmware.ports import ciphers

GET = "C00141 0001 0000603C01FF 02 00"
VALUE = "C401410009020102"
DENIED = "C701410300"
NO_ASSOCIATION = "D80101"
SUITES = pytest.mark.parametrize("suite", [1, 2], ids=["suite 1", "suite 2"])


@SUITES
def test_four_passes(suite):
    c = SigningClient(SuitesMeter(), suite).open()
    assert c.ask(GET) == VALUE


@SUITES
def test_the_aare_names_mechanism_and_title_and_challenges(suite):
    got = SigningClient(SuitesMeter(), suite).begin()
    assert (got["result"], got["diagnostic"]) == (0, 14)
    assert got[0x89].hex() == "60857405080207"
    assert got[0xA4][2:] == SERVER_TITLE
    assert 0xA5 not in got
    assert got[0xAA][1] == 32


@pytest.mark.parametrize("n, good", [(8, False), (31, False), (32, True), (64, True), (65, False)])
def test_challenges_have_32_to_64_octets(n, good):
    got = SigningClient(SuitesMeter(), 1, challenge=bytes(range(n))).begin()
    assert (got["result"], got["diagnostic"]) == ((0, 14) if good else (1, 13))


def test_nothing_else_is_served_before_pass_3():
    c = SigningClient(SuitesMeter(), 1)
    c.begin()
    assert c.ask(GET) == "!" + NO_ASSOCIATION
    assert c.finish() == "ok"
    assert c.ask(GET) == VALUE


# --- Wrong signatures


def wrong(c, proof):
    """The client gets no further with this proof, nor with the right one after it."""
    c.begin()
    right = c.f()
    assert c.finish(proof(right)) == DENIED
    # The association is gone: there is nobody who would decipher.
    got = c.talk.say("C00141 0001 0000603C01FF 02 00")
    assert got == NO_ASSOCIATION


@SUITES
def test_any_octet_of_a_signature_that_is_wrong(suite):
    for at in range(0, 2 * SIZES[suite], 13):
        wrong(
            SigningClient(SuitesMeter(), suite),
            lambda s, at=at: s[:at] + bytes([s[at] ^ 1]) + s[at + 1 :],
        )


@SUITES
@pytest.mark.parametrize("which", ["r", "s"])
@pytest.mark.parametrize("value", ["0", "n"])
def test_r_or_s_that_is_0_or_n(suite, which, value):
    from crypto import _p256, _p384

    n = SIZES[suite]
    number = bytes(n) if value == "0" else (_p256 if suite == 1 else _p384).ORDER
    wrong(
        SigningClient(SuitesMeter(), suite),
        lambda s: number + s[n:] if which == "r" else s[:n] + number,
    )


@pytest.mark.parametrize("n", [0, 1, 63, 65, 96])
def test_signatures_of_another_length(n):
    wrong(SigningClient(SuitesMeter(), 1), lambda s: bytes(n))


def test_a_signature_of_somebody_else():
    wrong(SigningClient(SuitesMeter(), 1, signer="somebody"), lambda s: s)


def test_a_signature_over_the_challenges_of_another_time():
    meter = SuitesMeter()
    c = SigningClient(meter, 1)
    c.begin()
    old = c.f()
    wrong(SigningClient(meter, 1, ic=10), lambda s: old)


def test_a_signature_that_the_meter_made_is_none_of_the_client():
    """Titles and challenges are in another order in pass 4."""
    c = SigningClient(SuitesMeter(), 1)
    wrong(c, lambda s: sign(1, "client sign", c.f(to_server=False)))


def test_the_meter_s_own_challenge_reflected():
    meter = SuitesMeter()
    meter.model.random_fill = lambda buf: buf.__setitem__(slice(None), bytes(range(len(buf))))
    wrong(SigningClient(meter, 1, challenge=bytes(range(32))), lambda s: s)


# --- Whose key


def test_a_client_without_a_certificate_in_the_meter():
    meter = SuitesMeter(leave_out=lambda entity, kind: entity == CLIENT)
    wrong(SigningClient(meter, 1), lambda s: s)


def test_a_meter_without_its_own_key():
    meter = SuitesMeter(leave_out=lambda entity, kind: entity == SERVER)
    wrong(SigningClient(meter, 1), lambda s: s)


def test_a_meter_without_a_vault():
    meter = SuitesMeter()
    meter.model.vault = None
    wrong(SigningClient(meter, 1), lambda s: s)


def test_a_certificate_that_has_expired():
    meter = SuitesMeter()
    meter.clock.minute = 0
    wrong(SigningClient(meter, 1), lambda s: s)


def test_a_clock_that_does_not_know_cannot_say_so():
    meter = SuitesMeter()
    meter.clock.minute = 0
    meter.clock.flags = 1
    SigningClient(meter, 1).open()


# --- Certificates in the AARQ


@SUITES
def test_a_certificate_that_the_client_sends(suite):
    meter = SuitesMeter(leave_out=lambda entity, kind: entity == CLIENT)
    sent = certificate(suite, "client sign", b"CLI\0\0\0\0\7")
    c = SigningClient(meter, suite, certificate=sent)
    got = c.begin()
    assert (got["result"], got["diagnostic"]) == (0, 14)
    # Ours comes back.
    ours = got[0xA5]
    assert ours.endswith(next(h[3] for h in held(suite) if h[:2] == (SERVER, SIGN)))
    assert c.finish() == "ok"
    assert c.ask(GET) == VALUE


def test_the_one_that_the_meter_has_is_not_verified_again():
    meter = SuitesMeter(leave_out=lambda entity, kind: entity == AUTHORITY)
    sent = next(h[3] for h in held(1) if h[:2] == (CLIENT, SIGN))
    SigningClient(meter, 1, certificate=sent).open()


@SUITES
def test_the_certificate_of_another_client_or_meter(suite):
    """By the same authority: it is no certificate of a client that this meter knows."""
    other = b"PMT\0\0\0\0\2"
    sent = certificate(suite, "client sign", other)
    wrong(SigningClient(SuitesMeter(), suite, certificate=sent, title=other), lambda s: s)
    # A new one of the client that it knows; and of anybody, where it knows nobody.
    sent = certificate(suite, "another pair", b"CLI\0\0\0\0\7")
    SigningClient(SuitesMeter(), suite, certificate=sent, signer="another pair").open()


def sends(octets, **how):
    meter = SuitesMeter(leave_out=lambda entity, kind: entity == CLIENT, **how)
    wrong(SigningClient(meter, 1, certificate=octets), lambda s: s)


def test_a_certificate_of_an_unknown_issuer():
    sends(certificate(1, "client sign", b"CLI\0\0\0\0\7", issuer="another"))


def test_a_certificate_that_only_says_it_is_of_our_authority():
    sends(certificate(1, "client sign", b"CLI\0\0\0\0\7", by=key(1, "somebody")))


def test_a_certificate_of_another_system_title():
    sends(certificate(1, "client sign", b"CLI\0\0\0\0\x08"))


def test_a_certificate_for_key_agreement():
    sends(certificate(1, "client sign", b"CLI\0\0\0\0\7", kind=1))


def test_a_certificate_of_the_past():
    until = NOW - datetime.timedelta(days=1)
    since = until - datetime.timedelta(days=365)
    sends(certificate(1, "client sign", b"CLI\0\0\0\0\7", since=since, until=until))


def test_a_certificate_of_the_future():
    sends(certificate(1, "client sign", b"CLI\0\0\0\0\7", since=NOW + datetime.timedelta(days=1)))


def test_a_certificate_of_the_other_suite():
    sends(certificate(2, "client sign", b"CLI\0\0\0\0\7"))


def test_what_is_no_certificate():
    sends(bytes.fromhex("30820102"))


def test_a_certificate_with_a_wrong_bit():
    good = certificate(1, "client sign", b"CLI\0\0\0\0\7")
    for at in range(0, len(good), 29):
        sends(good[:at] + bytes([good[at] ^ 0x10]) + good[at + 1 :])


# --- Where it is not to be had


def test_a_suite_without_signatures():
    c = SigningClient(SuitesMeter(), 1)
    c.suite = 0
    c.talk = c.meter.talk(client=54, server=17)
    c.guek, c.gak = THIRD_GUEK, GAK
    got = c.begin()
    assert (got["result"], got["diagnostic"]) == (1, 11)


def test_a_certificate_where_another_mechanism_is_wanted():
    c = SigningClient(SuitesMeter(), 1, certificate=b"30")
    c.talk = c.meter.talk(client=16, server=17)
    c.mechanism, c.context = 7, 1
    got = c.begin()
    assert (got["result"], got["diagnostic"]) == (1, 5)


# --- Meanwhile


def software(name):
    return ec.new(name, ciphers.new_hash, None)


def test_others_are_served_while_a_signature_is_verified():
    """By the software of the boards, in many steps; the request is asked again and again."""
    meter = SuitesMeter(elliptic=software)
    c = SigningClient(meter, 1)
    c.begin()
    proof = c.f()
    apdu = c.protect(
        bytes.fromhex("C30141 000F0000280000FF 01 01 09%02X" % len(proof) + proof.hex())
    )
    buf = bytearray(apdu)
    other = meter.talk(client=16, server=17)
    assert other.open(secret=None).startswith("61")
    steps = 0
    while True:
        n = meter.server.request(c.talk.channel, 51, 17, buf, 0, len(buf))
        if n >= 0:
            break
        meter.server.work()
        steps += 1
        if meter.server.todo == 128:
            assert other.say("C00141 0001 0000603C01FF 02 00") == VALUE
    assert steps > 200
    pos = c.talk.channel.tx_pos
    answer = c.unprotect(bytes(c.talk.channel.tx[pos : pos + n]))
    assert answer.hex().upper().startswith("C7014100010009")
    assert c.ask(GET) == VALUE


def test_a_client_that_goes_away_takes_its_job_with_it():
    meter = SuitesMeter(elliptic=software)
    c = SigningClient(meter, 1)
    c.begin()
    proof = c.f()
    buf = bytearray(
        c.protect(bytes.fromhex("C30141 000F0000280000FF 01 01 09%02X" % len(proof) + proof.hex()))
    )
    assert meter.server.request(c.talk.channel, 51, 17, buf, 0, len(buf)) == -1
    meter.server.work()
    assert meter.server.request(c.talk.channel, 51, 17, buf, 0, len(buf)) == -1
    c.talk.channel.release()
    meter.server.work()
    assert meter.server.todo == 0
    SigningClient(meter, 1, ic=20).open()
