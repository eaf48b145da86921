# SPDX-License-Identifier: MIT
"""lib/dlms/secured.py with the server: what policies and rights ask of requests and answers. The
client is secure.py; the objects are those of definitions/small.toml."""

import itertools
import subprocess
from pathlib import Path

import pytest
import tables
from dlms import ciphering, secured
from secure import AE, A, Client, E
from small import Meter
from tables import show

HERE = Path(__file__).parent
ASKS, A_BACK, AE_BACK, E_BACK, S_BACK, FREE = ("0001 0000603E%02XFF 02" % n for n in range(1, 7))
VALUE = "09020102"
GET = "C00141 %s 00"
SET = "C10141 %s 00 0902CAFE"
SCOPE_VIOLATED = "0D"
REFUSED = "!D80101"
SCS = {"plain": None, "authenticated": A, "encrypted": E, "both": AE}
SUITE_0 = (0x00, 0x20, 0x40, 0x60), (0x00, 0x04, 0x08, 0x0C)


def test_what_is_protected_is_seen_by_its_tag():
    seen = {t for t in range(256) if secured._PROTECTED[t >> 3] >> (t & 7) & 1}
    assert seen == {t for t in range(256) if ciphering.is_protected(t)} | {0xDD, 0xDF}


def test_general_protection_is_for_who_has_negotiated_it():
    kind = "general-glo"
    c = careful()
    c.talk.channel.last.conformance &= ~0x400000
    assert c.talk.say(c.protect(bytes.fromhex(GET % FREE), kind=kind).hex()) == "D80102"


def test_it_is_loaded_when_the_first_client_comes_that_needs_it():
    meter = Meter()
    t = meter.talk()
    t.open()
    t.say(GET % FREE)
    t.say("6200")
    assert meter.server.secured is None
    # Somebody whom there is no association for, and what is no AARQ.
    assert meter.talk(client=99).open().startswith("61")
    assert meter.talk(client=50, server=17).say("C8050000000000")[:2] == "D8"
    assert meter.server.secured is None
    careful(meter)
    assert meter.server.secured is not None


def careful(meter=None, **how):
    return Client((meter or Meter()).talk(client=50, server=17), **how).open()


def plain(c, apdu):
    """The answer to a request in plain text, and how it was protected: None, A, E or AE."""
    got = bytes.fromhex(c.talk.say(apdu))
    if got[0] >= 0xC8 and got[0] < 0xD8:
        return c.unprotect(got).hex().upper(), c.answer_sc
    return got.hex().upper(), None


def ask(c, apdu, sc):
    if sc is None:
        return plain(c, apdu)
    c.answer_sc = None
    return c.ask(apdu, sc=sc), c.answer_sc


# --- Rights: the request --------------------------------------------------------------------


@pytest.mark.parametrize("sc", SCS.values(), ids=SCS)
def test_what_rights_ask_of_a_request(sc):
    """?ae, of one access_mode for reading and writing."""
    c = careful()
    good = sc == AE
    assert ask(c, GET % ASKS, sc)[0] == "C40141" + (
        "00" + VALUE if good else "01" + SCOPE_VIOLATED
    )
    assert ask(c, SET % ASKS, sc)[0] == "C50141" + ("00" if good else SCOPE_VIOLATED)


# --- Rights: the answer ---------------------------------------------------------------------


@pytest.mark.parametrize("sc", SCS.values(), ids=SCS)
@pytest.mark.parametrize(
    "what, kinds", [(FREE, 0), (A_BACK, A), (AE_BACK, AE), (E_BACK, E)], ids=["", "a", "ae", "e"]
)
def test_an_answer_has_what_rights_and_request_ask(what, kinds, sc):
    c = careful()
    expected = (sc or 0) | kinds or None
    assert ask(c, GET % what, sc) == ("C4014100" + VALUE, expected)
    assert ask(c, SET % what, sc) == ("C5014100", expected)
    assert ask(c, GET % what, sc) == ("C40141000902CAFE", expected)


@pytest.mark.parametrize("sc", SCS.values(), ids=SCS)
def test_the_answer_of_a_method_too(sc):
    c = careful()
    reset = "C30141 007C 00002C0201FF 01 01 0F00"
    assert ask(c, reset, sc) == ("C701410000", (sc or 0) | A)


def test_a_list_has_the_union_of_what_its_members_ask():
    c = careful()
    listed = "C00341 %02X %s"

    def sc_of(*names):
        text = listed % (len(names), " 00 ".join(names) + " 00")
        got, sc = plain(c, text)
        assert got == "C40341%02X" % len(names) + ("00" + VALUE) * len(names)
        return sc

    assert sc_of(FREE) is None
    assert sc_of(FREE, A_BACK) == A
    assert sc_of(E_BACK, FREE) == E
    assert sc_of(A_BACK, FREE, E_BACK) == AE
    # And the next request starts anew.
    assert sc_of(FREE, FREE) is None


def test_a_member_that_is_refused_asks_for_nothing():
    c = careful()
    got, sc = plain(c, "C00341 02 %s 00 %s 00" % (FREE, ASKS))
    assert (got, sc) == ("C4034102" + "00" + VALUE + "01" + SCOPE_VIOLATED, None)


def test_all_blocks_of_a_long_answer_are_protected():
    c = careful(kind="glo")
    data = "0982012C" + "5A" * 300
    c.talk.meter.model.write(
        c.talk.meter.model.find_any(bytes.fromhex(AE_BACK.replace(" ", "")[:16]), 0),
        2, bytearray.fromhex(data), 0, 304,
    )  # fmt: skip
    c.talk.say("6200")
    c.open(initiate="01 000000 065F1F0400 7EFF1F 0080")
    whole, n, (got, sc) = "", 0, plain(c, GET % AE_BACK)
    while True:
        assert sc == AE and got.startswith("C40241"), (got, sc)
        n += 1
        block = bytes.fromhex(got)[9:]
        size = block[1] if block[0] == 0x81 else block[0]
        whole += block[-size:].hex().upper()
        if got[6:8] == "01":
            break
        got, sc = plain(c, "C00241 %08X" % n)
    assert whole == data and n > 2
    # The transfer is over, and what it asked for with it.
    assert plain(c, GET % FREE) == ("C4014100" + VALUE, None)


@pytest.mark.parametrize("sc", [None, A, E])
def test_nobody_goes_on_with_a_transfer_who_could_not_have_begun_it(sc):
    """Rights are looked at when an attribute is opened: its blocks are for the same client."""
    c = careful()
    c.talk.say("6200")
    c.open(initiate="01 000000 065F1F0400 7EFF1F 0080")
    assert c.ask("C10141 " + ASKS + " 00 0982012C" + "5A" * 300) == "C5014100"
    assert c.ask(GET % ASKS).startswith("C40241" + "00" + "00000001")
    got, answer_sc = ask(c, "C00241 00000001", sc)
    assert got == "C40241" + "01" + "00000001" + "0110"
    # What was begun is over; and with the same protection it goes on.
    assert c.ask("C00241 00000001").endswith("0110")
    assert c.ask(GET % ASKS).startswith("C40241" + "00" + "00000001")
    assert c.ask("C00241 00000001").startswith("C40241" + "00" + "00000002")
    # Something else that has less takes its place, and needs no more.
    assert ask(c, GET % FREE, sc)[0] == "C4014100" + VALUE


def test_protected_answers_keep_to_the_size_that_the_client_takes():
    """A plain request is answered under a tag, which takes its place."""
    for size in range(64, 140):
        c = careful()
        c.talk.say("6200")
        c.open(initiate="01 000000 065F1F0400 7EFF1F %04X" % size)
        c.ask("C10141 " + AE_BACK + " 00 0950" + "5A" * 80)
        assert len(c.talk.say(GET % AE_BACK)) <= 2 * size


@pytest.mark.parametrize("kind", ["glo", "general-glo", "ded"])
def test_a_client_that_takes_less_than_protection_does(kind):
    """Nothing is served; and where the rest is little, nothing is longer than that."""
    for size in range(12, 50):
        c = Client(Meter().talk(client=40, server=17), kind=kind,
                   dedicated=bytes(range(16)) if kind == "ded" else None)  # fmt: skip
        c.open(initiate="01 000000 065F1F0400 7EFF1F %04X" % size)
        room = size - 21 - (9 if kind == "general-glo" else 0)
        for request in (
            "C10141 " + FREE + " 00 0904CAFE0102",
            GET % FREE,
            GET % "000F 0000280000FF 02",
            "C00241 00000001",
            "C00341 02 %s 00 %s 00" % (FREE, FREE),
            "C30141 0040 00002B0001FF 01 01 1600",
        ):
            got = c.talk.say(c.protect(bytes.fromhex(request)).hex())
            assert room >= 12 or got == "D80104", (size, request)
            assert len(got) <= 2 * size


@pytest.mark.parametrize("what", [A_BACK, AE_BACK, E_BACK, S_BACK])
def test_where_answers_cannot_be_protected_nothing_is_said(what):
    """Without ciphering; and where a signature is asked for that this suite has not."""
    talk = Meter().talk(client=51, server=17)
    assert "A203020100" in talk.open(b"secret of small")
    assert talk.say(GET % FREE) == "C4014100" + VALUE
    assert talk.say(GET % what) == "C4014101" + SCOPE_VIOLATED
    if what != S_BACK:
        assert talk.say(SET % what) == "C50141" + SCOPE_VIOLATED
        assert talk.say("C30141 007C 00002C0201FF 01 01 0F00") == "C70141" + SCOPE_VIOLATED + "00"
    assert careful().ask(GET % S_BACK) == "C4014101" + SCOPE_VIOLATED


# --- Policy, version 1: bits ----------------------------------------------------------------


def with_policy(row_of, policy):
    """A meter whose Security setup had this policy when it was made."""
    first = Meter()
    row = first.model.rows(64)[row_of]
    first.model.put_int(row, 2, policy)
    return Meter(image=first.model.image)


def setups():
    """Of device two: index among the Security setups of 0.0.43.0.1 and of 0.0.43.0.20."""
    model = Meter().model
    return [model.objects[(row << 4) + 6] for row in model.rows(64)]


V1, V0 = setups().index(1), setups().index(20)


@pytest.mark.parametrize("policy", [r | q for r in SUITE_0[0] for q in SUITE_0[1]])
def test_every_policy_of_suite_0_with_every_request(policy):
    needs_request, needs_response = (policy >> 2 & 3) << 4, (policy >> 5 & 3) << 4
    c = Client(with_policy(V1, policy).talk(client=40, server=17)).open()
    for sc in SCS.values():
        got, answer_sc = ask(c, "C00141 0001 0000603C01FF 02 00", sc)
        if needs_request & ~(sc or 0):
            assert (got.lstrip("!"), answer_sc) == (REFUSED[1:], None), sc
        else:
            assert (got, answer_sc) == ("C4014100" + VALUE, (sc or 0) | needs_response or None)


@pytest.mark.parametrize("policy", [0x04, 0x08, 0x0C])
@pytest.mark.parametrize("sc", SCS.values(), ids=SCS)
def test_an_aarq_weaker_than_the_policy_opens_nothing(policy, sc):
    c = Client(with_policy(V1, policy).talk(client=40, server=17), sc=sc or AE)
    got = c.begin(protect=sc is not None)
    if (policy >> 2) << 4 & ~(sc or 0):
        assert got["result"] == 1 and got["diagnostic"] in (13, 14), got
    else:
        assert got["result"] == 0


def test_an_error_is_protected_as_an_answer_is():
    """A refused attribute is an answer, too; the exception-response has no protected form."""
    c = Client(with_policy(V1, 0x60).talk(client=40, server=17)).open()
    assert plain(c, "C00141 0001 0000603C01FF 09 00") == ("C401410104", AE)
    assert plain(c, "C00941 00")[0].startswith("D801")


SETUP_V1, SETUP_V0 = "0040 00002B0001FF", "0040 00002B0014FF"


def activate(c, setup, policy):
    return c.ask("C30141 " + setup + " 01 01 16%02X" % policy)


@pytest.mark.parametrize("old, new", list(itertools.product([0, 4, 0x24, 0x2C, 0x6C], repeat=2)))
def test_security_activate_only_strengthens(old, new):
    meter = with_policy(V1, old)
    c = Client(meter.talk(client=40, server=17)).open()
    good = old & new == old
    assert activate(c, SETUP_V1, new) == ("C701410000" if good else "C701410300")
    assert c.ask("C00141 " + SETUP_V1 + " 02 00") == "C401410016%02X" % (new if good else old)
    # It is what a restart finds.
    again = Client(Meter(image=meter.model.image).talk(client=40, server=17), ic=c.ic + 200).open()
    got, sc = ask(again, "C00141 0001 0000603C01FF 02 00", None)
    needs_request = (new if good else old) & 0x0C
    assert (got == REFUSED[1:]) == bool(needs_request)


# --- Policy, version 0: an enumeration ------------------------------------------------------


@pytest.mark.parametrize("policy", [0, 1, 2, 3])
def test_every_policy_of_version_0_with_every_request(policy):
    """0 none, 1 authenticated, 2 encrypted, 3 both: of requests and answers."""
    c = Client(with_policy(V0, policy).talk(client=52, server=17)).open()
    for sc in SCS.values():
        got, answer_sc = ask(c, "C00141 0001 0000603C01FF 02 00", sc)
        if policy << 4 & ~(sc or 0):
            assert (got.lstrip("!"), answer_sc) == (REFUSED[1:], None), sc
        else:
            assert (got, answer_sc) == ("C4014100" + VALUE, (sc or 0) | policy << 4 or None)


@pytest.mark.parametrize("old, new", list(itertools.product(range(4), range(6))))
def test_security_activate_of_version_0_only_strengthens(old, new):
    """1 and 2 are not stronger than one another: from either it goes to 3."""
    c = Client(with_policy(V0, old).talk(client=52, server=17)).open()
    good = new <= 3 and old & new == old
    assert activate(c, SETUP_V0, new) == ("C701410000" if good else "C701410300")
    assert c.ask("C00141 " + SETUP_V0 + " 02 00") == "C401410016%02X" % (new if good else old)
    if good and new:
        assert plain(c, "C00141 0001 0000603C01FF 02 00") == (REFUSED[1:], None)


# --- On MicroPython, with the heap locked ---------------------------------------------------


def test_nothing_is_allocated(micropython, tmp_path):
    """Rights that ask for protection, single and in lists, under a locked heap."""
    packed = tables.compile(str(HERE / "definitions/small.toml"))
    (tmp_path / "definition.py").write_text(show.module(packed))
    requests = [
        GET % ASKS,
        SET % ASKS,
        GET % AE_BACK,
        GET % S_BACK,
        "C00341 02 %s 00 %s 00" % (A_BACK, E_BACK),
        "C30141 007C 00002C0201FF 01 01 0F00",
    ]
    done = subprocess.run(
        [micropython, str(HERE / "device/ciphered.py"), str(tmp_path), "glo", "50"],
        input="\n".join(requests).replace(" ", "") + "\n",
        capture_output=True, text=True, timeout=60,
        env={"MICROPYPATH": ":".join(str(HERE.parent / p) for p in ("lib", ".")) + ":.frozen"},
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.upper().split() == [
        "C7014100",
        "C4014100" + VALUE,
        "C5014100",
        "C4014100" + VALUE,
        "C4014101" + SCOPE_VIOLATED,
        "C4034102" + ("00" + VALUE) * 2,
        "C701410000",
    ]
