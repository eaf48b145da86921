# SPDX-License-Identifier: MIT
"""lib/dlms/general.py, identified.py, agreed.py, marks.py: general-ciphering and general-signing.

Vectors: vectors/general.jsonl (sources stand there). The client is secure_general.py.
"""

import json
import subprocess
import sys
from functools import lru_cache
from pathlib import Path

import pytest
import small
from cryptography.hazmat.primitives.asymmetric import ec, utils
from hypothesis import given, settings
from hypothesis import strategies as st
from secure import AE, A, E, gcm, take_length
from secure_general import General, General0, General12, field
from suites import (
    AGREE, CLIENT, CURVES, HASHES, ROWS, SERVER, SIGN, SIZES, SuitesMeter, public, sign,
)  # fmt: skip

HERE = Path(__file__).parent
LINES = (HERE / "vectors/general.jsonl").read_text() + "end\n"
VECTORS = {
    v["id"]: v for v in map(json.loads, (HERE / "vectors/general.jsonl").read_text().splitlines())
}


def unhex(octets):
    return bytes.fromhex(octets)


class Example(General):
    """The client of a vector."""

    def __init__(self, v):
        keys = {name: unhex(octets) for name, octets in v["keys"].items()}
        self.suite, self.title, self.keys = v["suite"], unhex(v["client"]), keys
        self.prepare()
        self.meter_title = unhex(v["server"])
        self.gak, self.guek = keys.get("ak"), keys.get("ek")
        self.kek = keys.get("kek")
        self.last_transaction = unhex(v["hex"])[2:10]

    def private(self, name):
        return ec.derive_private_key(int.from_bytes(self.keys[name], "big"), CURVES[self.suite])

    def agrees(self):
        return self.private("client_agrees_private")

    def server_agrees(self):
        return self.private("server_agrees").public_key()

    def server_signed(self, octets, signature):
        n = SIZES[self.suite]
        r, s = (int.from_bytes(part, "big") for part in (signature[:n], signature[n:]))
        made = utils.encode_dss_signature(r, s)
        self.private("server_signs").public_key().verify(
            made, octets, ec.ECDSA(HASHES[self.suite])
        )


PLAIN_ANSWER = bytes.fromhex("C401C100090105")


@pytest.fixture(scope="module")
def played(request):
    """What the meter on CPython makes of the examples, one after the other: see the script."""
    return play([sys.executable])


@pytest.fixture(scope="module")
def played_on_micropython(request):
    return play([request.getfixturevalue("micropython")])


def play(runtime):
    """{id: (what the first time, what the second time, the answer)}"""
    path = ":".join(str(HERE.parent / p) for p in ("lib", "."))
    if runtime[0] == sys.executable:
        path += ":" + str(HERE.parent / "firmware/ports/shim")
    done = subprocess.run(
        [*runtime, str(HERE / "device/general_cases.py")], input=LINES, capture_output=True,
        text=True, timeout=300,
        env={"MICROPYPATH": path + ":.frozen", "PYTHONPATH": path},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    return {line.split()[0]: line.split()[1:] for line in done.stdout.splitlines()}


# --- Published examples ---------------------------------------------------------------------


@pytest.mark.parametrize("name", list(VECTORS))
@pytest.mark.parametrize("runtime", ["played", "played_on_micropython"])
def test_examples(name, runtime, request):
    """Of the one-pass example the ciphertext is right and the printed tag is not: see `note`."""
    v = VECTORS[name]
    printed, first, second, answer = request.getfixturevalue(runtime)[name]
    if "hex_of_the_rule" in v:
        assert printed == "5:"
    else:
        assert printed == "0:" + v["plain"]
    assert first == ("0:" + v["plain"] if "hex_of_the_rule" in v else "-")
    lowest = "01234568" if "identified" in name else "00000001"
    assert second == ("5:" if "signing" in name else "6:" + lowest)
    c = Example(v)
    assert c.unprotect(unhex(answer)) == PLAIN_ANSWER
    assert c.answer_kinds == ["signed" if "signing" in name else "ciphered"]


def test_the_tag_of_the_rule():
    v = VECTORS["sec-gb-gc-onepass"]
    octets = unhex(v["hex_of_the_rule"])
    aad = b"\x31" + unhex(v["keys"]["ak"]) + octets[1:30]
    text, tag = gcm(unhex(v["keys"]["ek"]), unhex(v["client"]) + bytes(4), aad, unhex(v["plain"]))
    assert octets[-12 - len(text) :] == text + tag[:12]
    assert unhex(v["hex"])[-12 - len(text) : -12] == text
    assert octets[:-12] == unhex(v["hex"])[:-12]


# --- Conversations --------------------------------------------------------------------------

GET = "C00141 0001 0000603C01FF 02 00"
SET = "C10141 0001 0000603C01FF 02 00 "
VALUE = "C401410009020102"
FREE = 40  # of small.toml: suite 0, policy 0
STRICT = 41  # requests and answers authenticated and encrypted
WRONG = "!D80105"
REPLAYED = "!D80106"
REFUSED = "!D80101"
ORDERS = {
    1: 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551,
    2: int(
        "FFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFFC7634D81F4372DDF581A0DB248B0A77AECEC196ACCC52973",
        16,
    ),
}


def client(suite=0, kind="identified", sap=FREE, meter=None, **how):
    """An open association; from now on its requests come as `kind`."""
    if suite:
        c = General12(meter or SuitesMeter(), suite, kind="glo", **how)
    else:
        c = General0((meter or small.Meter()).talk(client=sap, server=17), kind="glo", **how)
    c.open()
    c.kind = kind
    return c


def say(c, octets, check=True):
    """The plain answer to a protected APDU; check: whose transaction-id is that of the last."""
    got = bytes.fromhex(c.talk.say(octets.hex()))
    if not check:
        c.last_transaction = octets[2 : 2 + octets[1]]
    return c.unprotect(got).hex().upper()


ALL = [
    (suite, kind)
    for suite in (0, 1, 2)
    for kind in ("identified", "wrapped", "one-pass", "static")
    if suite or kind in ("identified", "wrapped")
]


@pytest.mark.parametrize("sc", [A, E, AE])
@pytest.mark.parametrize("suite, kind", ALL)
def test_get_and_set(suite, kind, sc):
    c = client(suite, kind)
    assert c.ask(GET, sc=sc) == VALUE
    assert (c.answer_sc, c.answer_kinds) == (sc, ["ciphered"])
    assert c.ask(SET + "0904CAFE0102", sc=sc) == "C5014100"
    assert c.ask(GET, sc=sc) == "C40141000904CAFE0102"


@pytest.mark.parametrize("kind", ["identified", "wrapped", "one-pass", "static", "general-glo"])
@pytest.mark.parametrize("suite", [1, 2])
def test_signed_then_ciphered(suite, kind):
    c = client(suite, kind)
    assert c.ask(GET, signs=True) == VALUE
    assert c.answer_kinds == ["DB" if kind == "general-glo" else "ciphered", "signed"]
    assert c.ask(GET) == VALUE
    assert "signed" not in c.answer_kinds


@pytest.mark.parametrize("suite", [1, 2])
def test_signed_only(suite):
    c = client(suite)
    for _ in range(3):
        assert c.ask(GET, sc=0, signs=True) == VALUE
        assert c.answer_kinds == ["signed"]
        assert c.answer_transaction == c.last_transaction


@pytest.mark.parametrize("suite", [1, 2])
def test_ciphered_then_signed(suite):
    """The other order: the answer is signed first all the same."""
    c = client(suite, "wrapped")
    apdu = c.protect(bytes.fromhex(GET))
    ciphered = c.last_transaction
    apdu = c.signed(apdu)
    c.last_transaction = ciphered
    assert say(c, apdu) == VALUE
    assert c.answer_kinds == ["ciphered", "signed"]


@pytest.mark.parametrize("suite, kind", ALL)
def test_nobody_is_named_and_fields_that_mean_nothing(suite, kind):
    c = client(suite, kind)
    for how in (
        {"originator": b""},
        {"recipient": b""},
        {"date": b"now", "other": bytes(200)},
        {"transaction": b""},
        {"transaction": bytes(32)},
    ):
        fields = c.fields(**how)
        if "transaction" in how:
            c.last_transaction = how["transaction"]
        assert c.ask(GET, fields=fields) == VALUE


def test_a_broadcast_is_done_and_not_answered():
    c = client(kind="broadcast")
    unconfirmed = bytes.fromhex(SET.replace("C10141", "C10101") + "0904CAFE0102")
    request = c.protect(unconfirmed, kind="broadcast")
    assert c.talk.say(request.hex(), confirmed=4) == ""
    c.kind = "identified"
    assert c.ask(GET) == "C40141000904CAFE0102"


@pytest.mark.parametrize("suite, kind", [x for x in ALL if x[0] < 2])
def test_blocks_and_sizes(suite, kind):
    """No answer is longer than the client takes, whatever protects it."""
    c = client(suite, kind)
    value = "0982018A" + "5A" * 394
    assert c.ask(SET + value, kind="glo") == "C5014100"
    for size in (230, 250, 270, 300, 330, 400):
        c.kind = "glo"
        c.open(initiate="01 000000 065F1F0400 7EFF1F %04X" % size)
        c.kind = kind
        whole = ""
        got = c.ask(GET)
        n = 1
        while True:
            assert c.heard <= size
            assert got.startswith("C40241"), got
            last, block = got[6:8] == "01", bytes.fromhex(got)[9:]
            k, at = take_length(block, 0)
            assert len(block) == at + k
            whole += block[at:].hex().upper()
            if last:
                break
            got = c.ask("C00241 %08X" % n)
            n += 1
        assert whole == value


class Opens(General0):
    """In general-ciphering from the AARQ to the RLRQ."""

    def protect(self, apdu, kind=None, **how):
        return General0.protect(self, apdu, "identified", **how)


@pytest.mark.parametrize("transaction", [b"", b"12345678", bytes(32)])
def test_an_association_of_general_ciphering_alone(transaction):
    c = Opens(small.Meter().talk(client=STRICT, server=17))
    fields = General0.fields

    def named(**how):
        c.last_transaction = transaction
        return fields(c, transaction=transaction, **how)

    c.fields = named
    c.open()
    assert c.ask(GET) == VALUE
    rlrq = "62%02X800100BE%02X04%02X"
    for good in (False, True):
        body = c.protect(bytes.fromhex("01000000065F1F04007EFF1FFFFF"))
        if not good:
            body = body[:-1] + bytes([body[-1] ^ 1])
        n = len(body)
        got = c.talk.say(rlrq % (n + 7, n + 2, n) + body.hex())
        if good:
            answer = bytes.fromhex(got)
            assert answer[:5].hex() == "63%02x800100" % (len(answer) - 2)
            assert c.unprotect(answer[9:])[0] == 0x08
        else:
            assert got == WRONG[1:]
    assert c.ask(GET) == REFUSED


@pytest.mark.parametrize("suite, kind", ALL)
def test_pass_3_in_every_form(suite, kind):
    if suite:
        c = General12(SuitesMeter(), suite, kind="glo")
    else:
        c = General0(small.Meter().talk(client=STRICT, server=17), kind="glo")
    c.begin()
    c.kind, c.signs = kind, suite > 0
    got = c.finish(b"wrong")
    assert got == ("C701410300" if kind == "identified" and not suite else REFUSED)
    c.kind, c.signs = "glo", False
    c.challenge = bytes(reversed(c.challenge))
    c.begin()
    c.kind, c.signs = kind, suite > 0
    assert c.finish() == "ok"
    assert c.ask(GET) == VALUE


def test_an_exception_is_protected_too():
    c = client(1, "one-pass")
    assert c.ask("C0094100000000").startswith("D8")
    assert c.answer_kinds == ["ciphered"]


@pytest.mark.parametrize("suite, kind", ALL)
def test_what_is_inside_is_no_other_request(suite, kind):
    """Blocks, an AARQ, nothing at all: refused, and the association is as it was."""
    c = client(suite, kind)
    aarq = small.aarq(None).hex()
    for what, said in (("E0850001000000", "D8"), (aarq, "D8"), ("6200", "D8"), ("", "!D80105")):
        assert c.ask(what).startswith(said), what
        assert c.ask(GET) == VALUE


# --- Repetitions ----------------------------------------------------------------------------


def again(c, octets):
    return c.talk.say(octets.hex())


@pytest.mark.parametrize("suite, kind", ALL)
def test_what_was_said_once_is_not_heard_again(suite, kind):
    c = client(suite, kind)
    said = [c.protect(bytes.fromhex(SET + "0902000%d" % n)) for n in range(3)]
    answers = [say(c, octets, check=False) for octets in said]
    assert answers == ["C5014100"] * 3
    before = bytes(c.talk.meter.model.image)
    for octets in said:
        got = again(c, octets)
        lowest = c.ic if kind == "identified" else c.fresh_ic
        assert got == REPLAYED[1:] + "%08X" % lowest
    assert bytes(c.talk.meter.model.image) == before
    assert c.ask(GET) == "C401410009020002"


@pytest.mark.parametrize("suite, kind", [x for x in ALL if x[1] != "identified"])
def test_keys_that_begin_at_counter_0(suite, kind):
    """A client that does so lets its transaction-ids go up; what it said is not heard again."""
    c = client(suite, kind)
    said = []
    for n in range(3):
        said.append(c.protect(bytes.fromhex(SET + "0902000%d" % n), ic=0))
        assert say(c, said[-1]) == "C5014100"
    for octets in said:
        assert again(c, octets).startswith(REPLAYED[1:])
    # With neither of both.
    fields = c.fields(transaction=(1).to_bytes(8, "big"))
    assert again(c, c.protect(bytes.fromhex(GET), ic=0, fields=fields)).startswith(REPLAYED[1:])
    # What is encrypted only has nothing that proves its transaction-id.
    if kind != "static":
        assert again(c, c.protect(bytes.fromhex(GET), ic=0, sc=E)).startswith(REPLAYED[1:])


@pytest.mark.parametrize("length", [0, 9, 20])
def test_transaction_ids_that_are_no_numbers(length):
    c = client(0, "wrapped")
    for ic, good in ((0, True), (1, True), (1, False)):
        fields = c.fields(transaction=b"\xff" * length)
        c.last_transaction = b"\xff" * length
        octets = c.protect(bytes.fromhex(GET), ic=ic, fields=fields)
        assert (again(c, octets)[:2] == "DD") == good


def test_a_signed_request_needs_a_transaction_id_that_goes_up():
    c = client(1)
    for n, good in ((5, True), (5, False), (4, False), (6, True), (0, False)):
        fields = c.fields(transaction=n.to_bytes(8, "big"))
        got = again(c, c.signed(bytes.fromhex(GET), fields))
        assert got == WRONG[1:] if not good else got.startswith("DF")
    for transaction in (b"", b"\xff" * 9):
        fields = c.fields(transaction=transaction)
        assert again(c, c.signed(bytes.fromhex(GET), fields)) == WRONG[1:]


@pytest.mark.parametrize("kind", ["wrapped", "static", "one-pass", "signed"])
def test_power_fails_at_every_save(kind):
    """After any of them nothing that was taken before is taken again, and no counter of an answer
    comes twice with any key."""
    meter = SuitesMeter()
    c = client(1, "wrapped" if kind == "signed" else kind, meter=meter)
    said = []
    how = {"sc": 0, "signs": True} if kind == "signed" else {}
    for _ in range(70):
        octets = c.protect(bytes.fromhex(GET), **how)
        assert say(c, octets) == VALUE
        said.append((octets, len(meter.saved)))
    assert len(meter.saved) < 20, "a portion ahead, twice, and not each time"
    for n in range(1, len(meter.saved) + 1):
        other = SuitesMeter()
        other.model.image[:] = meter.saved[n - 1]
        other.model.start()
        d = client(1, c.kind, meter=other, ic=500)
        d.fresh_ic = d.transaction = 1000
        # What was heard and answered before there was another save.
        before = [octets for octets, n_saves in said if n_saves <= n]
        for octets in before:
            assert again(d, octets)[:4] == "D801"
        d.seen = c.seen[: len(before)]
        used = [ic for _key, ic in d.seen]
        assert d.ask(GET, **how) == VALUE
        assert kind == "signed" or d.seen[-1][1] not in used


def test_what_cannot_be_saved_is_not_taken():
    c = client(0, "wrapped")
    c.talk.meter.model.save = lambda: False
    octets = c.protect(bytes.fromhex(GET))
    assert again(c, octets) == REFUSED[1:]
    c.talk.meter.model.save = lambda: True
    assert say(c, octets) == VALUE


def test_the_last_counters_of_all():
    c = client(0, "wrapped")
    assert c.ask(GET) == VALUE
    c.fresh_ic = 0xFFFFFFFE
    assert c.ask(GET) == VALUE
    c.transaction = 0
    assert c.ask(GET, ic=0xFFFFFFFF).startswith(REPLAYED)
    c.transaction = 50
    key = c.talk.channel.last.context.unicast
    key.tx[:] = key.tx_end[:] = (0xFFFFFFFD - 2).to_bytes(4, "big")
    assert [c.ask(GET, ic=0) for _ in range(3)] == [VALUE, VALUE, REFUSED]


# --- Bad input ------------------------------------------------------------------------------


def requests(c, kind, suite):
    if kind == "signed":
        return c.protect(bytes.fromhex(SET + "0904CAFE0102"), sc=0, signs=True)
    return c.protect(bytes.fromhex(SET + "0904CAFE0102"), signs=kind == "both")


BAD = [(suite, kind) for suite, kind in ALL if suite < 2] + [(1, "signed"), (2, "signed")]


@pytest.mark.parametrize("suite, kind", BAD)
def test_a_flipped_bit_anywhere_is_refused_and_says_nothing(suite, kind):
    c = client(suite, "wrapped" if kind == "signed" else kind)
    model = c.talk.meter.model
    octets = requests(c, kind, suite)
    before = bytes(model.image)
    for at in range(1, len(octets)):
        for bit in (0x01, 0x80):
            bad = bytearray(octets)
            bad[at] ^= bit
            assert again(c, bad) == WRONG[1:], at
    assert bytes(model.image) == before
    assert say(c, octets) == "C5014100"


@pytest.mark.parametrize("suite, kind", BAD)
def test_truncated_and_prolonged(suite, kind):
    c = client(suite, "wrapped" if kind == "signed" else kind)
    octets = requests(c, kind, suite)
    for n in range(1, len(octets)):
        assert again(c, octets[:n]) == WRONG[1:]
    assert again(c, octets + b"\0") == WRONG[1:]
    assert say(c, octets) == "C5014100"


@pytest.mark.parametrize("suite, kind", BAD)
@pytest.mark.parametrize("whose", ["originator", "recipient"])
@pytest.mark.parametrize("title", [bytes(8), b"CLI\0\0\0\0\6", bytes(7), bytes(9)])
def test_titles_of_others(suite, kind, whose, title):
    c = client(suite, "wrapped" if kind == "signed" else kind)
    fields = c.fields(**{whose: title})
    if kind == "signed":
        octets = c.signed(bytes.fromhex(GET), fields)
    else:
        octets = c.protect(bytes.fromhex(GET), fields=fields)
    assert again(c, octets) == WRONG[1:]


@pytest.mark.parametrize(
    "info",
    ["00", "010002", "0100FF", "01010100", "010100", "01020100", "0102010100", "0102010300",
     "0102020101 00", "010201 0201 00", "0103 00", "0201 00", "01"],
)  # fmt: skip
@pytest.mark.parametrize("suite", [0, 1])
def test_keys_that_there_are_not(suite, info):
    c = client(suite)
    octets = c.protect(bytes.fromhex(GET), info=(bytes.fromhex(info), c.guek))
    assert again(c, octets) == WRONG[1:]
    assert c.ask(GET) == VALUE


@pytest.mark.parametrize("suite, kind", ALL)
def test_security_controls_that_there_are_not(suite, kind):
    c = client(suite, kind)
    for sc in (0x00, 0x80, 0xB0, 0x40, 0x70, 0x30 | (suite ^ 1), 0x3F):
        octets = c.ciphered(bytes.fromhex(GET), kind, sc or suite, 5)
        assert again(c, octets) == WRONG[1:]
    assert c.ask(GET, ic=5) == VALUE


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("which", ["zero r", "zero s", "n in r", "n in s", "short", "long"])
@pytest.mark.parametrize("where", ["signed", "one-pass"])
def test_signatures_that_are_none(suite, which, where):
    c = client(suite, "one-pass")
    n = SIZES[suite]
    order = ORDERS[suite].to_bytes(n, "big")

    def bad(signature):
        r, s = signature[:n], signature[n:]
        return {
            "zero r": bytes(n) + s, "zero s": r + bytes(n), "n in r": order + s,
            "n in s": r + order, "short": signature[:-1], "long": signature + b"\0",
        }[which]  # fmt: skip

    if where == "signed":
        made = c.fields() + field(bytes.fromhex(GET))
        octets = b"\xdf" + made + field(bad(sign(suite, c.signer, made)))
    else:
        info, key = c.key_info("one-pass", b"")
        data = info[-4 * n :]
        info = info[:4] + field(data[: 2 * n] + bad(data[2 * n :]))
        octets = c.protect(bytes.fromhex(GET), info=(info, key))
    assert again(c, octets) == WRONG[1:]
    assert c.ask(GET) == VALUE


@pytest.mark.parametrize("suite", [1, 2])
@pytest.mark.parametrize("point", ["off the curve", "zero", "prime"])
def test_ephemeral_keys_that_are_none(suite, point):
    """Signed as they should be."""
    c = client(suite, "one-pass")
    n = SIZES[suite]
    data = bytearray(public(suite, "client agree"))
    if point == "off the curve":
        data[-1] ^= 1
    elif point == "zero":
        data = bytearray(2 * n)
    else:
        data = bytearray(b"\xff" * n) + data[n:]
    info = b"\1\2\1\1" + field(bytes(data) + sign(suite, c.signer, bytes(data)))
    octets = c.protect(bytes.fromhex(GET), info=(info, bytes(32 if suite == 2 else 16)))
    assert again(c, octets) == WRONG[1:]
    assert c.ask(GET) == VALUE


def test_signatures_of_others():
    c = client(1)
    c.signer = "client agree"
    assert c.ask(GET, sc=0, signs=True) == WRONG
    assert c.ask(GET, kind="one-pass") == WRONG
    c.signer = "client sign"
    assert c.ask(GET, kind="one-pass") == VALUE


def test_signed_twice():
    c = client(1)
    assert again(c, c.signed(c.signed(bytes.fromhex(GET)))) == WRONG[1:]


def test_suite_0_signs_and_agrees_nothing():
    c = client(0)
    octets = b"\xdf" + c.fields() + field(bytes.fromhex(GET)) + field(bytes(64))
    assert again(c, octets) == WRONG[1:]
    for info in (b"\1\2\1\1" + field(bytes(128)), b"\1\2\1\2\0"):
        octets = c.protect(bytes.fromhex(GET), info=(info, bytes(16)))
        assert again(c, octets) == WRONG[1:]


MISSING = [
    # what the meter has not, and what it then says to whom
    ((CLIENT, SIGN), {"kind": "wrapped", "signs": True}, WRONG),
    ((CLIENT, SIGN), {"kind": "one-pass"}, WRONG),
    ((CLIENT, AGREE), {"kind": "static"}, WRONG),
    ((CLIENT, AGREE), {"kind": "one-pass"}, REFUSED),
    ((SERVER, AGREE), {"kind": "static"}, WRONG),
    ((SERVER, AGREE), {"kind": "one-pass"}, WRONG),
]


@pytest.mark.parametrize("missing, how, said", MISSING)
def test_certificates_that_are_not_there(missing, how, said):
    meter = SuitesMeter()
    c = client(1, meter=meter)
    vault = meter.model.vault
    assert vault.find(ROWS[1], *missing, None)
    assert vault.remove()
    assert c.ask(GET, **how) == said


@pytest.mark.parametrize("sc", [A, E])
@pytest.mark.parametrize("kind", ["identified", "wrapped"])
def test_requests_weaker_than_the_policy(kind, sc):
    c = client(0, kind, STRICT)
    octets = c.protect(bytes.fromhex(GET), sc=sc, ic=100)
    assert again(c, octets) == REFUSED[1:]
    assert c.ask(GET, ic=100) == VALUE


def test_a_policy_that_asks_for_signed_answers():
    """Whatever protects the request; a service-specific form cannot hold a signed answer."""
    meter = SuitesMeter()
    model = meter.model
    model.put_int(ROWS[1], 2, 0xE0)
    model.start()
    c = client(1, "glo", meter=meter)
    assert c.ask(GET) == VALUE
    assert c.answer_kinds == ["DB", "signed"]
    assert c.ask(GET, kind="wrapped") == VALUE
    assert c.answer_kinds == ["ciphered", "signed"]


@lru_cache(maxsize=None)
def lone():
    return client(1)


@settings(max_examples=300, deadline=None)
@given(st.sampled_from([0xDD, 0xDF]), st.binary(max_size=300))
def test_octets_of_no_meaning(tag, octets):
    assert again(lone(), bytes([tag]) + octets) == WRONG[1:]


@settings(max_examples=200, deadline=None)
@given(st.data())
def test_parts_that_are_out_of_place(data):
    c = lone()
    kind = data.draw(st.sampled_from(["identified", "wrapped", "one-pass", "static", "signed"]))
    octets = requests(c, kind, 1) if kind == "signed" else c.protect(bytes.fromhex(GET), kind=kind)
    cut = sorted(data.draw(st.lists(st.integers(1, len(octets)), min_size=2, max_size=2)))
    other = data.draw(st.binary(max_size=20))
    bad = octets[: cut[0]] + other + octets[cut[1] :]
    if bad != octets:
        assert again(c, bad) == WRONG[1:]
