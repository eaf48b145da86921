# SPDX-License-Identifier: MIT
"""lib/dlms/ciphering.py with the server: protected APDUs of suite 0. The client is secure.py."""

import subprocess
from pathlib import Path

import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st
from secure import AE, GBEK, SERVER_TITLE, TITLE, A, Client, E
from small import Meter
from tables import show

HERE = Path(__file__).parent

FREE = 40  # client of Security setup 1: policy 0
STRICT = 41  # of Security setup 2: requests and answers authenticated and encrypted
GET = "C00141 0001 0000603C01FF 02 00"
SET = "C10141 0001 0000603C01FF 02 00 "
VALUE = "C401410009020102"
COUNTER = "C00141 0001 00002B0101FF 02 00"
WRONG = "!D80105"
REPLAYED = "!D80106"
REFUSED = "!D80101"


def client(sap=FREE, meter=None, **how):
    return Client((meter or Meter()).talk(client=sap, server=17), **how)


@pytest.mark.parametrize("sap", [FREE, STRICT])
@pytest.mark.parametrize("kind", ["glo", "general-glo", "ded", "general-ded"])
def test_get_and_set_in_every_form(sap, kind):
    key = bytes(range(16, 32)) if "ded" in kind else None
    c = client(sap, kind="glo" if "ded" in kind else kind, dedicated=key).open()
    c.kind = kind
    assert c.ask(GET) == VALUE
    assert c.answer_sc == AE
    assert c.ask(SET + "0904CAFE0102") == "C5014100"
    assert c.ask(GET) == "C40141000904CAFE0102"


@pytest.mark.parametrize("sc", [A, E, AE])
def test_the_answer_is_protected_as_the_request_was(sc):
    c = client().open()
    assert c.ask(GET, sc=sc) == VALUE
    assert c.answer_sc == sc


def test_plain_requests_where_no_policy_forbids_them():
    c = client().open()
    assert c.talk.say(GET) == VALUE


@pytest.mark.parametrize("sc", [None, A, E])
def test_requests_weaker_than_the_policy(sc):
    c = client(STRICT).open()
    if sc is None:
        assert c.talk.say(GET) == REFUSED[1:]
    else:
        assert c.ask(GET, sc=sc) == REFUSED
    assert c.ask(SET + "0904CAFE0102", sc=sc or A).startswith("!") if sc else True
    assert c.ask(GET) == VALUE


def test_long_answers_in_blocks():
    c = client(STRICT).open(initiate="01 000000 065F1F0400 7EFF1F 0080")
    data = "0982012C" + "5A" * 300
    first = "C10241 0001 0000603C01FF 02 00 00 00000001 50" + data[:160]
    assert c.ask(first) == "C5024100000001"
    rest = data[160:]
    n = 2
    while rest:
        part, rest = rest[:160], rest[160:]
        got = c.ask("C10341 %02X %08X %02X" % (not rest, n, len(part) // 2) + part)
        n += 1
    assert got == "C5034100%08X" % (n - 1)
    whole, got, n = "", c.ask(GET), 1
    while True:
        assert got.startswith("C40241"), got
        last, block = got[6:8] == "01", bytes.fromhex(got)[9:]
        size = block[1] if block[0] == 0x81 else block[0]
        whole += block[-size:].hex().upper()
        if last:
            break
        got = c.ask("C00241 %08X" % n)
        n += 1
    assert whole == data


def test_answers_never_exceed_the_size_that_the_client_takes():
    for size in range(64, 140):
        c = client(STRICT).open(initiate="01 000000 065F1F0400 7EFF1F %04X" % size)
        c.ask(SET + "0950" + "5A" * 80)
        apdu = c.protect(bytes.fromhex(GET))
        assert len(c.talk.say(apdu.hex())) <= 2 * size


def test_an_exception_is_plain_but_in_the_general_forms():
    c = client().open()
    assert c.ask("C00941 00") == "!D80103" or c.ask("C00941 00").startswith("!D8")
    c.kind = "general-glo"
    got = bytes.fromhex(c.talk.say(c.protect(bytes.fromhex("C0094100000000")).hex()))
    assert got[0] == 0xDB and c.unprotect(got)[0] == 0xD8


# --- Bad input ------------------------------------------------------------------------------


@pytest.mark.parametrize("sc", [A, AE])
@pytest.mark.parametrize("kind", ["glo", "general-glo"])
def test_a_flipped_bit_anywhere_is_refused_and_says_nothing(sc, kind):
    c = client(kind=kind, sc=sc).open()
    meter = c.talk.meter
    request = c.protect(bytes.fromhex(SET + "0904CAFE0102"))
    before = bytes(meter.model.image)
    for at in range(len(request)):
        for bit in (0x01, 0x80):
            bad = bytearray(request)
            bad[at] ^= bit
            got = c.talk.say(bad.hex())
            # Another tag may be another, plain service; it is refused as that.
            assert got.startswith("D801") or got.startswith("D802"), (at, bit, got)
            if at:
                assert got == WRONG[1:], (at, bit, got)
            assert bytes(meter.model.image) == before
    assert c.unprotect(bytes.fromhex(c.talk.say(request.hex()))).hex().upper() == "C5014100"


def test_every_truncation_is_refused():
    c = client().open()
    request = c.protect(bytes.fromhex(GET))
    for n in range(1, len(request)):
        assert c.talk.say(request[:n].hex()).startswith("D80105")
    # The outer length may be right and the tag short.
    for cut in range(1, 13):
        bad = bytearray(request[:-cut])
        bad[1] -= cut
        assert c.talk.say(bad.hex()) == WRONG[1:]
    assert c.ask(GET) == VALUE


def test_a_request_that_comes_again_is_not_done_again():
    c = client().open()
    request = c.protect(bytes.fromhex(SET + "0904CAFE0102"))
    c.talk.say(request.hex())
    edits = c.talk.meter.model.edits
    # It is told the lowest counter that is taken now.
    assert c.talk.say(request.hex()) == REPLAYED[1:] + "%08X" % c.ic
    assert c.talk.meter.model.edits == edits
    assert c.ask(GET) == "C40141000904CAFE0102"


def test_counters_may_skip_and_not_go_back():
    c = client().open()
    c.ic += 1000
    assert c.ask(GET) == VALUE
    c.ic -= 5
    assert c.ask(GET).startswith(REPLAYED)


def test_the_last_counter_is_never_taken():
    c = client().open()
    c.ic = 0xFFFFFFFE
    assert c.ask(GET) == VALUE
    assert c.ask(GET) == REPLAYED + "FFFFFFFF"
    assert c.ask(GET, ic=0) == REPLAYED + "FFFFFFFF"


@pytest.mark.parametrize(
    "how",
    [
        {"sc": 0x00}, {"sc": 0x31}, {"sc": 0x32}, {"sc": 0xB0}, {"sc": 0x3F},
        {"sc": 0x70},  # the broadcast key, but ciphered with the other
        {"key": bytes(16)},
    ],
)  # fmt: skip
def test_other_suites_keys_and_compression(how):
    c = client().open()
    if how.get("sc") == 0:
        body = b"\0" + c.ic.to_bytes(4, "big") + bytes.fromhex(GET)
        assert c.talk.say((b"\xc8" + bytes([len(body)]) + body).hex()) == WRONG[1:]
    else:
        assert c.ask(GET, **how) == WRONG
    assert c.ask(GET) == VALUE


def test_the_broadcast_key():
    c = client().open()
    unconfirmed = "C10101 0001 0000603C01FF 02 00 09020304"
    assert c.ask(unconfirmed, sc=0x70, key=GBEK, ic=5) == ""
    # Its counters are its own.
    assert c.ask(GET) == "C401410009020304"
    assert c.ask(unconfirmed, sc=0x70, key=GBEK, ic=5).startswith("!D80106")
    # Many meters have it: nobody reads with it, nor hears whether it was done.
    assert c.ask(GET, sc=0x70, key=GBEK, ic=6) == "!D80101"
    confirmed = unconfirmed.replace("C10101", "C10141").replace("0304", "0506")
    assert c.ask(confirmed, sc=0x70, key=GBEK, ic=7) == "!D80101"
    # One that ends before it says whether it is confirmed.
    for ic, short in enumerate(("C0", "C1", "C101", "C301"), 8):
        assert c.ask(short, sc=0x70, key=GBEK, ic=ic) == "!D80101"
    assert c.ask(GET) == "C401410009020304"


def test_another_system_title():
    c = client(kind="general-glo").open()
    c.title = b"OTHER..."
    assert c.ask(GET) == WRONG
    c.title = TITLE
    assert c.ask(GET) == VALUE


def test_the_wrong_service_inside():
    """A SET in the clothes of a GET."""
    c = client().open()
    request = bytearray(c.protect(bytes.fromhex(SET + "0904CAFE0102")))
    request[0] = 0xC8
    assert c.talk.say(request.hex()) == WRONG[1:]
    assert c.ask(GET) == VALUE


def test_dedicated_without_a_dedicated_key():
    c = client().open()
    c.dedicated = bytes(16)
    assert c.ask(GET, kind="ded") == WRONG
    assert c.ask(GET, kind="general-ded") == WRONG


def test_a_dedicated_key_ends_with_its_association():
    c = client(dedicated=bytes(range(16))).open()
    c.kind = "ded"
    assert c.ask(GET) == VALUE
    c.talk.channel.release()
    key, c.dedicated, c.kind = c.dedicated, None, "glo"
    c.open()
    c.dedicated, c.dedicated_ic = key, 0
    assert c.ask(GET, kind="ded") == WRONG


@pytest.mark.parametrize("n", [1, 15, 17, 32])
def test_a_dedicated_key_of_another_length(n):
    got = client(dedicated=bytes(n)).begin()
    assert (got["result"], got["diagnostic"]) == (1, 1)
    assert got["information"].hex() == "0e010604"


def test_a_dedicated_key_in_plain_text_is_ignored():
    c = client(dedicated=bytes(range(16)))
    c.open(protect=False)
    assert c.ask(GET, kind="ded") == WRONG
    assert c.ask(GET, kind="glo") == VALUE


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=60), st.sampled_from([0xC8, 0xC9, 0xCB, 0xD0, 0xDB, 0xDC, 0x21]))
def test_garbage_never_raises_and_never_gets_in(data, tag):
    c = OPEN[0] if OPEN else OPEN.append(client().open()) or OPEN[0]
    got = c.talk.say((bytes([tag]) + data).hex())
    assert got.startswith("D8")


OPEN = []


# --- Counters of the meter, and power failures ----------------------------------------------


def test_no_counter_is_used_twice():
    c = client(STRICT).open()
    for _ in range(300):
        c.ask(GET)
    assert len(set(c.server_ics)) == len(c.server_ics)


def test_the_counter_object_shows_what_is_taken_next():
    c = client().open()
    c.ask(GET)
    got = c.ask(COUNTER)
    assert got == "C401410006%08X" % c.ic


def test_power_failures_between_any_two_messages():
    """After each message the power goes; what was saved last is all that the meter knows."""
    used, taken = set(), []
    image = None
    ic = 0
    for n in range(40):
        meter = Meter()
        if image is not None:
            meter.model.image[:] = image
            for row in meter.model.rows(64):
                meter.model.handler_of(row).start(row)
        c = client(STRICT, meter, ic=ic)
        # As a client does that has read the counter object: it goes on where the meter is.
        row = meter.model.rows(64)[1]
        at = meter.model.state(row, 1) + 4
        c.ic = max(ic, int.from_bytes(meter.model.image[at : at + 4], "big"))
        c.open()
        for _ in range(n % 5):
            request = c.protect(bytes.fromhex(GET))
            c.unprotect(bytes.fromhex(c.talk.say(request.hex())))
            taken.append(request)
        assert not used & set(c.server_ics)
        used |= set(c.server_ics)
        ic = c.ic
        if meter.saved:
            image = meter.saved[-1]
        # Nothing that any meter of before has taken is taken again.
        for request in taken[-20:]:
            assert c.talk.say(request.hex()).startswith("D80106")


def test_a_dedicated_key_of_a_client_that_goes_at_once():
    """Its link is gone before a Key is made of it: nothing is, and nothing of it stays."""
    meter = Meter()
    dedicated = bytes(range(0x60, 0x70))
    c = Client(meter.talk(40, 17), kind="ded", dedicated=dedicated)
    aarq = bytearray(c.aarq())
    server, channel = meter.server, c.talk.channel
    while server.request(channel, 40, 17, bytearray(aarq), 0, len(aarq)) < 0:
        server.work()
    (a,) = (a for a in server.associations if a.channel is channel)
    assert a.n_dedicated == 16 and server.todo
    channel.release()
    server.work()
    assert a.dedicated is None and not a.n_dedicated and not server.todo
    assert dedicated not in bytes(a.work)


# --- On MicroPython, with the heap locked ---------------------------------------------------


@pytest.mark.parametrize("kind", ["glo", "ded", "identified"])
def test_nothing_is_allocated(micropython, tmp_path, kind):
    """GMAC and suite 0 on MicroPython: every request is served under a locked heap."""
    t = tables.compile(str(HERE / "definitions/small.toml"))
    (tmp_path / "definition.py").write_text(show.module(t))
    long = "0982012C" + "5A" * 300
    requests = [
        "C001410001000060" + "3C01FF0200",
        "C101410001000060" + "3C01FF0200" + "0904CAFE0102",
        "C00341020001000060" + "3C01FF0200" + "0001000060" + "3C01FF0200",
        "C102410001000060" + "3C01FF0200" + "00" + "00000001" + "50" + long[:160],
        "C1034100" + "00000002" + "50" + long[160:320],
        "C1034101" + "00000003" + "8190" + long[320:],
        "C001410001000060" + "3C01FF0200",
        "C0024100000001",
        "C30141004000002B0002FF01011600",
        "C00141004000002B0002FF0500",
    ]
    done = subprocess.run(
        [micropython, str(HERE / "device/ciphered.py"), str(tmp_path), kind],
        input="\n".join(requests) + "\n", capture_output=True, text=True, timeout=60,
        env={"MICROPYPATH": ":".join(str(HERE.parent / p) for p in ("lib", ".")) + ":.frozen"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    answers = done.stdout.split()
    assert answers[0] == "c7014100"
    assert answers[1:5] == [
        "c401410009020102", "c5014100", "c4034102000904cafe0102000904cafe0102",
        "c5024100000001",
    ]  # fmt: skip
    assert answers[5:7] == ["c5024100000002", "c503410000000003"]
    assert answers[7].startswith("c4024100") and answers[8].startswith("c40241")
    assert answers[9] == "c701410300"  # a weaker policy
    assert answers[10] == "c40141000908" + SERVER_TITLE.hex()
