# SPDX-License-Identifier: MIT
"""lib/dlms/access.py: ACCESS with the server. The small meter (definitions/small.toml), and for
general block transfer that of suites.toml. What comes back is taken apart here, from the rules of
IEC 62056-5-3 alone."""

import json
import subprocess

import pytest
import tables
from hypothesis import given, settings
from hypothesis import strategies as st
from blocks import Blocks, block, meter_with
from secure import A, AE, Client
from small import HERE, Meter
from secure_general import General12
from suites import SUITES, SuitesMeter
from tables import show
from test_action import meter as meter_with_a_double  # noqa: F401


XDLMS = {
    v["id"]: bytes.fromhex(v["hex"])
    for v in map(json.loads, (HERE / "vectors/xdlms.jsonl").read_text().splitlines())
}

GET, SET, ACTION, GET_SELECTION, SET_SELECTION = range(1, 6)
SELF_DESCRIPTIVE, BREAK, CONFIRMED = 0x10, 0x20, 0x40

REGISTER = "0003 0100010800FF "
UNSIGNED = "0001 0000603201FF "
LONG_UNSIGNED = "0001 0000603202FF "
LONG = "0001 0000603203FF "  # octet-string with room for 400 octets
HIDDEN = "0001 0000603301FF "
WRITE_ONLY = "0001 0000603302FF "
CURRENT = "000F 0000280000FF "
NOWHERE = "0001 0000630101FF "
NULL = b"\0"
MALFORMED, NO_SUCH_CHOICE, TOO_LONG = "D80103", "D80102", "D80104"
FAILS = (2, 3, 4, 9, 12, 13, 250)


def length(n):
    return bytes([n]) if n < 128 else b"\x82" + n.to_bytes(2, "big")


def take_length(octets, at):
    n = octets[at]
    if n < 128:
        return n, at + 1
    size = n & 0x7F
    return int.from_bytes(octets[at + 1 : at + 1 + size], "big"), at + 1 + size


_WIDTHS = {0: 0, 3: 1, 5: 4, 6: 4, 15: 1, 16: 2, 17: 1, 18: 2, 20: 8, 21: 8, 22: 1}


def end_of(octets, at):
    """Where the Data at `at` ends."""
    tag = octets[at]
    at += 1
    if tag in _WIDTHS:
        return at + _WIDTHS[tag]
    n, at = take_length(octets, at)
    if tag in (1, 2):
        for _ in range(n):
            at = end_of(octets, at)
        return at
    assert tag in (4, 9, 10), tag
    return at + ((n + 7) // 8 if tag == 4 else n)


def spec(choice, name, index=2, selection=""):
    return bytes([choice]) + bytes.fromhex(name) + bytes([index]) + bytes.fromhex(selection)


def access(items, flags=CONFIRMED, identifier=5, date_time=b"", n_specs=None, n_data=None):
    """An access-request; items: [(specification, Data)]."""
    apdu = b"\xd9" + bytes([flags]) + identifier.to_bytes(3, "big")
    apdu += length(len(date_time)) + date_time
    apdu += length(len(items) if n_specs is None else n_specs) + b"".join(s for s, _ in items)
    return apdu + length(len(items) if n_data is None else n_data) + b"".join(d for _, d in items)


class Answer:
    """An access-response, taken apart strictly."""

    def __init__(self, octets, n, identifier=5):
        assert octets[:1] == b"\xda", octets.hex()
        self.flags = octets[1]
        assert int.from_bytes(octets[2:5], "big") == identifier
        size = octets[5]
        assert size in (0, 12)
        self.date_time = octets[6 : 6 + size]
        at = 6 + size
        self.specs = None
        assert octets[at] in (0, 1)
        at += 1
        if octets[at - 1]:
            count, at = take_length(octets, at)
            assert count == n
            start = at
            for _ in range(n):
                at += 10
                if octets[at - 10] > ACTION:
                    at = end_of(octets, at + 1)
            self.specs = octets[start:at]
        count, at = take_length(octets, at)
        assert count == n
        self.data = []
        for _ in range(n):
            end = end_of(octets, at)
            self.data.append(octets[at:end])
            at = end
        count, at = take_length(octets, at)
        assert count == n
        self.results = [(octets[k], octets[k + 1]) for k in range(at, at + 2 * n, 2)]
        assert at + 2 * n == len(octets)


def manager(meter=None, conformance="7EFF5F", **options):
    """An open association of client 1."""
    t = (meter or Meter()).talk()
    assert "A203020100" in t.open(conformance=conformance, **options)
    return t


def client(kind):
    """A client of suite 1, its association open; its requests come as `kind`."""
    c = General12(SuitesMeter(), 1, kind="glo")
    c.open(initiate=INITIATE)
    c.kind = kind
    return c


def fetch(blocks, apdu, in_blocks):
    """The answer to a request that comes in blocks, or at once."""
    if in_blocks:
        return blocks.ask(apdu)
    blocks.begin(0)
    got = blocks.say(apdu)
    if got[0][0] != 0xE0:
        return got[0]
    blocks.hear(got)
    return blocks.gather()


def ask(talk, items, **options):
    got = bytes.fromhex(talk.say(access(items, **options).hex()))
    return Answer(got, len(items), options.get("identifier", 5))


# --- What is asked, and what comes back -------------------------------------------------------


def test_two_gets():
    t = manager()
    got = t.say("D9 40000005 00 02 01 0003 0100010800FF 02 01 0001 0000603201FF 02 02 00 00")
    assert got == "DA40000005000002060000139111070201000100"


def test_each_has_its_own_result():
    t = manager()
    answer = ask(
        t,
        [
            (spec(GET, UNSIGNED), NULL),
            (spec(SET, UNSIGNED), b"\x11\x09"),
            (spec(GET, UNSIGNED), NULL),
            (spec(SET, UNSIGNED), b"\x12\x00\x09"),  # of another type
            (spec(GET, WRITE_ONLY), NULL),
            (spec(GET, NOWHERE), NULL),
            (spec(GET, REGISTER, 9), NULL),
            (spec(GET, "0003 0000603201FF"), NULL),  # another class
            (spec(ACTION, REGISTER, 7), NULL),
            (spec(SET, REGISTER, 1), b"\x09\x06\x01\x00\x01\x08\x00\xff"),
            (spec(GET, REGISTER, 3), NULL),
        ],
    )
    assert [d.hex() for d in answer.data] == [
        "1107", "00", "1109", "00", "00", "00", "00", "00", "00", "00", "02020f00161e",
    ]  # fmt: skip
    assert answer.results == [
        (GET, 0), (SET, 0), (GET, 0), (SET, 12), (GET, 3), (GET, 4), (GET, 4), (GET, 9),
        (ACTION, 4), (SET, 3), (GET, 0),
    ]  # fmt: skip


@pytest.mark.parametrize("identifier", [0, 5, 0xFFFFFF])
@pytest.mark.parametrize("flags", [0x40, 0xC0, 0x4F, 0x50, 0xF0])
def test_what_was_said_of_the_request_is_said_of_the_answer(flags, identifier):
    answer = ask(manager(), [(spec(GET, UNSIGNED), NULL)], flags=flags,
                 identifier=identifier)  # fmt: skip
    assert answer.flags == flags
    assert (answer.specs is None) == (not flags & SELF_DESCRIPTIVE)


def test_self_descriptive():
    items = [
        (spec(GET, UNSIGNED), NULL),
        (spec(GET_SELECTION, CURRENT, 2, "0900"), NULL),
        (spec(SET, UNSIGNED), b"\x11\x08"),
    ]
    answer = ask(manager(), items, flags=CONFIRMED | SELF_DESCRIPTIVE)
    assert answer.specs == b"".join(s for s, _ in items)
    assert [d for _, d in answer.results] == [0, 13, 0]


def test_break_on_error():
    """What comes after the first error is not done, and says other-reason."""
    t = manager()
    items = [
        (spec(SET, UNSIGNED), b"\x11\x01"),
        (spec(GET, NOWHERE), NULL),
        (spec(SET, UNSIGNED), b"\x11\x02"),
        (spec(GET, UNSIGNED), NULL),
        (spec(ACTION, REGISTER), NULL),
    ]
    answer = ask(t, items, flags=CONFIRMED | BREAK)
    assert answer.data == [NULL] * 5
    assert answer.results == [(SET, 0), (GET, 4), (SET, 250), (GET, 250), (ACTION, 250)]
    assert t.say("C001C1" + UNSIGNED + "0200") == "C401C1001101"
    answer = ask(t, items)
    assert answer.results == [(SET, 0), (GET, 4), (SET, 0), (GET, 0), (ACTION, 4)]
    assert t.say("C001C1" + UNSIGNED + "0200") == "C401C1001102"


def test_not_confirmed_it_is_done_in_silence():
    t = manager()
    assert t.say(access([(spec(SET, UNSIGNED), b"\x11\x2a")], flags=0).hex()) == ""
    assert t.say(access([(spec(9, UNSIGNED), NULL)], flags=0).hex()) == ""
    assert t.say("D900") == ""
    assert t.say("C001C1" + UNSIGNED + "0200") == "C401C100112A"


def test_attribute_0():
    """All attributes of an object, as in GET, if that has been negotiated."""
    t = manager()
    answer = ask(t, [(spec(GET, REGISTER, 0), NULL), (spec(GET, UNSIGNED), NULL)])
    assert answer.data[0].hex() == "020309060100010800ff060000139102020f00161e"
    assert answer.data[1].hex() == "1107"
    assert ask(t, [(spec(SET, UNSIGNED, 0), bytes.fromhex("02020011 05"))]).results == [(SET, 0)]
    assert t.say("C001C1" + UNSIGNED + "0200") == "C401C1001105"
    t.open(conformance="00005D")
    answer = ask(t, [(spec(GET, REGISTER, 0), NULL), (spec(SET, UNSIGNED, 0), NULL)])
    assert answer.results == [(GET, 3), (SET, 3)]


def test_selection():
    """By a list of class_ids and by one name, of the object list; and where it cannot be."""
    t = manager()
    answer = ask(
        t,
        [
            (spec(GET_SELECTION, CURRENT, 2, "02 0101 120003"), NULL),
            (spec(GET, UNSIGNED), NULL),
            (spec(GET_SELECTION, CURRENT, 2, "09 00"), NULL),
            (spec(GET_SELECTION, CURRENT, 2, "00 00"), NULL),
            (spec(GET_SELECTION, UNSIGNED, 2, "01 00"), NULL),
            (spec(SET_SELECTION, UNSIGNED, 2, "01 00"), b"\x11\x01"),
            (spec(SET_SELECTION, NOWHERE, 2, "01 00"), b"\x11\x01"),
        ],
    )
    assert answer.results == [(GET, 0), (GET, 0), *[(GET, 13)] * 3, (SET, 13), (SET, 4)]
    assert t.say("C001C1" + CURRENT + "02 01 02 0101 120003") == (
        "C401C100" + answer.data[0].hex().upper()
    )
    assert answer.data[1].hex() == "1107"
    t.open(conformance="00405B")  # without selective access
    answer = ask(t, [(spec(GET_SELECTION, CURRENT, 2, "02 0101 120003"), NULL)])
    assert answer.results == [(GET, 13)]


def test_access_alone():
    """It may be negotiated without any other service."""
    t = Meter().talk()
    t.open(conformance="000040")
    assert t.say("C001C1" + UNSIGNED + "0200") == "D80102"
    assert ask(t, [(spec(GET, UNSIGNED), NULL)]).data == [b"\x11\x07"]


def test_not_negotiated():
    t = Meter().talk()
    t.open(conformance="7EFFBF")
    assert t.say(access([(spec(GET, UNSIGNED), NULL)]).hex()) == "D80102"
    assert Meter().talk().say(access([(spec(GET, UNSIGNED), NULL)]).hex()) == "D80101"


def test_a_new_request_ends_a_long_one():
    t = manager(max_pdu=40)
    t.say("C101C1" + LONG + "0200 0981C8" + "55" * 200)
    assert t.say("C001C1" + LONG + "0200").startswith("C402C100")
    ask(t, [(spec(GET, UNSIGNED), NULL)])
    assert t.say("C002C100000001") == "C402C101000000010110"


def test_date_time():
    """This meter has no clock, and says no time; the reference meter does, see
    conversations/access.txt."""
    sent = bytes.fromhex("07E90B15050A1E00FF800000")
    answer = ask(manager(), [(spec(GET, UNSIGNED), NULL)], date_time=sent)
    assert answer.date_time == b""


# --- Methods ----------------------------------------------------------------------------------


@pytest.fixture
def meter(meter_with_a_double):  # noqa: F811
    return meter_with_a_double


def test_methods(meter):
    """With parameter and without, with return data and without, in their order."""
    t = manager(meter)
    meter.double.returns = b"\x09\x03abc"
    items = [
        (spec(ACTION, REGISTER, 1), b"\x0f\x05"),
        (spec(GET, UNSIGNED), NULL),
        (spec(ACTION, REGISTER, 1), NULL),
    ]
    answer = ask(t, items)
    assert answer.data == [b"\x09\x03abc", b"\x11\x07", b"\x09\x03abc"]
    assert answer.results == [(ACTION, 0), (GET, 0), (ACTION, 0)]
    assert meter.double.calls == ["0F05", ""]
    meter.double.returns = b""
    assert ask(t, items).data == [NULL, b"\x11\x07", NULL]
    meter.double.result = 2
    assert ask(t, items).results == [(ACTION, 2), (GET, 0), (ACTION, 2)]
    meter.double.calls.clear()
    assert ask(t, items, flags=CONFIRMED | BREAK).results == [
        (ACTION, 2),
        (GET, 250),
        (ACTION, 250),
    ]
    assert meter.double.calls == ["0F05"]


def test_return_data_as_items(meter):
    t = manager(meter)
    meter.double.items = [b"\x01\x02", b"\x11\x01", b"\x11\x02"]
    answer = ask(t, [(spec(ACTION, REGISTER, 1), NULL), (spec(GET, UNSIGNED), NULL)])
    assert answer.data == [b"\x01\x02\x11\x01\x11\x02", b"\x11\x07"]


def test_return_data_that_have_no_room(meter):
    """The method has run; only the client does not hear what it returned."""
    t = manager(meter, max_pdu=60)
    meter.double.returns = b"\x09\x50" + bytes(80)
    answer = ask(t, [(spec(ACTION, REGISTER, 1), NULL), (spec(GET, UNSIGNED), NULL)])
    assert answer.results == [(ACTION, 250), (GET, 0)]
    assert len(meter.double.calls) == 1


def test_a_method_whose_code_is_not_there(meter):
    """Nobody waits for it within a list; the next time it is there."""
    t = manager(meter)
    invoke = meter.double.invoke

    def wants(*of_it):
        return -1 if meter.model.part("dlms.report") is None else invoke(*of_it)

    meter.double.invoke = wants
    items = [(spec(ACTION, REGISTER, 1), NULL), G]
    assert ask(t, items).results == [(ACTION, 2), (GET, 0)]
    assert ask(t, items).results == [(ACTION, 0), (GET, 0)]


def test_a_method_that_needs_a_job():
    c = client("general-glo")
    items = [
        (spec(ACTION, "0040 00002B0001FF", 2), bytes.fromhex("0100")),
        (spec(GET, "0001 0000603C01FF"), NULL),
    ]
    answer = Answer(bytes.fromhex(c.ask(access(items).hex())), 2)
    assert answer.results == [(ACTION, 2), (GET, 0)]
    assert answer.data[1].hex() == "09020102"


# --- Bad input --------------------------------------------------------------------------------

G, S = (spec(GET, UNSIGNED), NULL), (spec(SET, UNSIGNED), b"\x11\x63")
DEEP = b"\x01\x01" * 10 + NULL

# What is wrong, the request, and what answers it.
OUTCOMES = [
    ("no specification", access([]), MALFORMED),
    ("a specification more", access([S, G, G], n_data=2), MALFORMED),
    ("more specifications than there are", access([S, G], n_specs=3), MALFORMED),
    ("a specification without Data", access([S, (spec(GET, UNSIGNED), b"")], n_data=1), MALFORMED),
    ("a Data more", access([S, (b"", NULL)], n_specs=1), MALFORMED),
    ("fewer Data than there are", access([S, G], n_data=1), MALFORMED),
    ("more Data than there are", access([S, G], n_data=3), MALFORMED),
    ("octets left over", access([S, G]) + b"\0", MALFORMED),
    ("choice 0", access([S, (spec(0, UNSIGNED), NULL)]), NO_SUCH_CHOICE),
    ("choice 6", access([S, (spec(6, UNSIGNED), NULL)]), NO_SUCH_CHOICE),
    ("choice 255", access([(spec(255, UNSIGNED), NULL), S]), NO_SUCH_CHOICE),
    ("Data nested too deep", access([S, (spec(SET, UNSIGNED), DEEP)]), MALFORMED),
    ("selection nested too deep",
     access([S, (spec(GET_SELECTION, CURRENT, 2, "01" + DEEP.hex()), NULL)]), MALFORMED),
    ("Data of an unknown type", access([S, (spec(SET, UNSIGNED), b"\x07\x00")]), MALFORMED),
    ("a count of a thousand million", bytes.fromhex("D94000000500 843B9ACA00") + G[0], MALFORMED),
    ("a count without end", bytes.fromhex("D94000000500 80") + G[0], MALFORMED),
    ("date_time of 11 octets", access([S], date_time=bytes(11)), MALFORMED),
    ("date_time of 13 octets", access([S], date_time=bytes(13)), MALFORMED),
    ("no room for the shortest answer", access([S] + [G] * 40), TOO_LONG),
]  # fmt: skip


@pytest.mark.parametrize("apdu, outcome", [o[1:] for o in OUTCOMES], ids=[o[0] for o in OUTCOMES])
def test_outcome(apdu, outcome):
    """One answer for the whole, nothing is done, and the association goes on."""
    t = manager(max_pdu=128)
    assert t.say(apdu.hex()) == outcome
    assert t.say((b"\xd9\0" + apdu[2:]).hex()) == ""
    assert t.say("C001C1" + UNSIGNED + "0200") == "C401C1001107"
    assert ask(t, [G]).data == [b"\x11\x07"]


def test_truncated_at_every_octet():
    t = manager()
    whole = access(
        [S, (spec(GET_SELECTION, CURRENT, 2, "02 0101 120003"), NULL), G], date_time=bytes(12)
    )
    for n in range(1, len(whole)):
        assert t.say(whole[:n].hex()) == MALFORMED, n
    assert t.say("C001C1" + UNSIGNED + "0200") == "C401C1001107"
    assert Answer(bytes.fromhex(t.say(whole.hex())), 3).results == [(SET, 0), (GET, 0), (GET, 0)]


@pytest.mark.parametrize("n", [127, 128, 200, 255, 256])
def test_many(n):
    """Counts in one octet, two and three, in forms that are longer than they need to be too."""
    c = Blocks(SuitesMeter(), max_pdu=1024)
    answer = Answer(c.ask(access([(spec(SET, FREE), NULL)] * (n - 1) + [SMALL_GET]), 400), n)
    assert answer.results == [(SET, 12)] * (n - 1) + [(GET, 0)]
    assert answer.data == [NULL] * (n - 1) + [bytes.fromhex("09020102")]
    t = manager()
    assert t.say("D9 40000005 00 8101" + G[0].hex() + "8200 01 00") == (
        "DA400000050000011107010100"
    )


def test_values_that_have_no_room_are_refused_alone():
    """Without general block transfer; and with break on error nothing comes behind them."""
    t = manager(max_pdu=100)
    t.say("C101C1" + LONG + "0200 0950" + "55" * 80)
    items = [G, (spec(GET, LONG), NULL), S, (spec(GET, UNSIGNED), NULL)]
    answer = ask(t, items)
    assert answer.results == [(GET, 0), (GET, 250), (SET, 0), (GET, 0)]
    assert answer.data[3] == S[1]
    assert ask(t, items, flags=CONFIRMED | BREAK).results[2] == (SET, 250)


@pytest.mark.parametrize("max_pdu", range(20, 60))
def test_no_answer_is_longer_than_the_client_takes(max_pdu):
    t = manager(max_pdu=max_pdu)
    items = [G, (spec(GET, REGISTER, 3), NULL), S, (spec(GET, CURRENT), NULL)]
    for flags in (CONFIRMED, CONFIRMED | SELF_DESCRIPTIVE):
        got = bytes.fromhex(t.say(access(items, flags=flags).hex()))
        assert len(got) <= max_pdu
        done = got[0] == 0xDA
        assert done or got.hex().upper() == TOO_LONG
        assert t.say("C001C1" + UNSIGNED + "0200")[-2:] == ("63" if done else "07")
        t.say("C101C1" + UNSIGNED + "02001107")
        if done:
            answer = Answer(got, 4)
            assert answer.results[2:] == [(SET, 0), (GET, 250)]


# --- Published --------------------------------------------------------------------------------


def test_published_requests():
    """Their objects are not there; but they are understood to their ends (vectors/xdlms.jsonl)."""
    t = manager()
    got = t.say(XDLMS["xdlms-access-req"].hex())
    assert got == "DA4000000000000400000000040104010402040204"
    got = t.say(XDLMS["xdlms-access-req-action"].hex())
    assert got == "DAC000010200000200000203040104"


def test_the_published_answer_is_of_the_form_of_ours():
    answer = Answer(XDLMS["xdlms-access-resp"], 4, identifier=0)
    assert answer.results == [(GET, 0), (GET, 0), (SET, 0), (SET, 0)]


# --- With protection --------------------------------------------------------------------------

INITIATE = "01 000000 065F1F0400 7EFF5F FFFF"
FREE = "0001 0000603C01FF"
ASKS, BACK_A, BACK_AE = ("0001 0000603E0%dFF" % k for k in (1, 2, 3))


@pytest.mark.parametrize("kind", ["general-glo", "general-ded"])
@pytest.mark.parametrize("sc", [A, AE])
def test_protected(kind, sc):
    c = Client(Meter().talk(client=40, server=17), kind=kind, dedicated=bytes(range(16)))
    c.open(initiate=INITIATE)
    c.sc = sc
    answer = Answer(bytes.fromhex(c.ask(access([(spec(GET, FREE), NULL)]).hex())), 1)
    assert answer.data == [bytes.fromhex("09020102")]


def test_the_policy_holds():
    c = Client(Meter().talk(client=41, server=17), kind="general-glo")
    c.open(initiate=INITIATE)
    apdu = access([(spec(GET, FREE), NULL)])
    assert c.talk.say(apdu.hex()) == "D80101"
    assert Answer(bytes.fromhex(c.ask(apdu.hex())), 1).results == [(GET, 0)]


def test_rights_that_ask_for_protection():
    """A set that asks for an authenticated and encrypted request, a value whose answer has to be;
    beside others that do not. A plain request gets an answer in general-glo-ciphering: there is no
    tag of a protected access-response."""
    c = Client(Meter().talk(client=50, server=17), kind="general-glo")
    c.open(initiate=INITIATE)
    items = [
        (spec(GET, ASKS), NULL),
        (spec(GET, BACK_AE), NULL),
        (spec(SET, ASKS), b"\x09\x01\x05"),
    ]
    answer = Answer(bytes.fromhex(c.ask(access(items).hex())), 3)
    assert answer.results == [(GET, 0), (GET, 0), (SET, 0)]
    got = bytes.fromhex(c.talk.say(access(items).hex()))
    assert got[0] == 0xDB
    answer = Answer(c.unprotect(got), 3)
    assert answer.results == [(GET, 13), (GET, 0), (SET, 13)]
    got = bytes.fromhex(c.talk.say(access(items[:1]).hex()))
    assert Answer(got, 1).results == [(GET, 13)]


@pytest.mark.parametrize("kind", ["identified", "wrapped", "one-pass", "static", "general-glo"])
@pytest.mark.parametrize("signs", [False, True])
def test_general_protection(kind, signs):
    c = client(kind)
    answer = Answer(bytes.fromhex(c.ask(access([(spec(GET, FREE), NULL)]).hex(), signs=signs)), 1)
    assert answer.data == [bytes.fromhex("09020102")]
    assert ("signed" in c.answer_kinds) == signs


# --- General block transfer -------------------------------------------------------------------

BIG = "0001 0000603C02FF"
BIG_GET = (spec(GET, BIG), NULL)
SMALL_GET = (spec(GET, FREE), NULL)


@pytest.mark.parametrize("flags", [CONFIRMED, CONFIRMED | SELF_DESCRIPTIVE])
@pytest.mark.parametrize("max_pdu", [24, 128, 500])
@pytest.mark.parametrize("in_blocks", [True, False])
def test_any_length_in_blocks(max_pdu, flags, in_blocks):
    """Asked for in blocks, or not; sets are done once, when their turn comes."""
    meter, value = meter_with(5000)
    c = Blocks(meter, max_pdu=max_pdu)
    items = [SMALL_GET, BIG_GET, (spec(SET, FREE), b"\x09\x01\x77"), SMALL_GET, BIG_GET,
             (spec(GET, NOWHERE), NULL)]  # fmt: skip
    answer = Answer(fetch(c, access(items, flags), in_blocks), 6)
    assert answer.data == [bytes.fromhex("09020102"), value, NULL, b"\x09\x01\x77", value, NULL]
    assert answer.results == [(GET, 0), (GET, 0), (SET, 0), (GET, 0), (GET, 0), (GET, 4)]
    if flags & SELF_DESCRIPTIVE:
        assert answer.specs == b"".join(s for s, _ in items)


def test_lost_blocks():
    meter, value = meter_with(5000)
    c = Blocks(meter, max_pdu=128, window=7)
    lost = {2, 3, 9, 20, 33}
    c.lose = lambda number: number in lost and not lost.discard(number)
    whole = c.ask(access([BIG_GET, SMALL_GET] * 3))
    assert Answer(whole, 6).data == [value, bytes.fromhex("09020102")] * 3


def test_what_was_not_come_to_is_not_done():
    """A client that goes away in the middle."""
    meter, _ = meter_with(5000)
    c = Blocks(meter, max_pdu=128, window=1)
    c.say(block(0x81, 1, 0, access([(spec(SET, FREE), b"\x09\x01\x77"), BIG_GET])))
    assert c.ask(bytes.fromhex("C00141" + FREE + "0200")).hex() == "c4014100090177"
    c.say(block(0x81, 1, 0, access([BIG_GET, (spec(SET, FREE), b"\x09\x01\x78")])))
    assert c.ask(bytes.fromhex("C00141" + FREE + "0200")).hex() == "c4014100090177"


def test_not_confirmed_all_of_it_is_done():
    """Nobody would fetch the blocks."""
    meter, _ = meter_with(5000)
    c = Blocks(meter, max_pdu=128, window=1)
    apdu = access([BIG_GET, (spec(SET, FREE), b"\x09\x01\x78")], flags=0)
    assert c.say(apdu) == []
    assert c.ask(bytes.fromhex("C00141" + FREE + "0200")).hex() == "c4014100090178"


@pytest.mark.parametrize("n", [500, 1000])
def test_a_long_request_in_blocks(n):
    """What the association can keep is answered in any length; else the answer is one that the
    meter's buffers take."""
    meter, _ = meter_with(1)
    c = Blocks(meter, max_pdu=512)
    value = b"\x09\x82" + n.to_bytes(2, "big") + bytes(k & 0xFF for k in range(n))
    answer = Answer(c.ask(access([(spec(SET, BIG), value), BIG_GET, BIG_GET, SMALL_GET] * 2)), 8)
    kept = n == 500
    assert [r for _, r in answer.results] == [0, 0, 0, 0, 0, 0, 0, 0] if kept else [
        0, 250, 250, 0, 0, 250, 250, 0
    ]  # fmt: skip
    assert answer.data[1] == answer.data[6] == (value if kept else NULL)
    assert c.ask(bytes.fromhex("C00141" + BIG + "0200"))[4:] == value


def secured_in_blocks(n):
    """A client of suite 1 that takes 256 octets at once, its blocks, and a value of n octets."""
    meter, value = meter_with(n)
    blocks = Blocks(meter, client=51, max_pdu=256)
    c = General12(meter, 1, kind="glo")
    c.talk = blocks.talk
    c.open(initiate="01 000000 065F1F0400 7EFF5F 0100")
    return c, blocks, value


@pytest.mark.parametrize("in_blocks", [True, False])
@pytest.mark.parametrize("kind", ["general-glo", "identified"])
def test_a_protected_answer_of_any_length(in_blocks, kind):
    """Gets alone: protected as it goes out."""
    c, blocks, value = secured_in_blocks(5000)
    c.kind = kind
    items = [BIG_GET, SMALL_GET, (spec(GET, NOWHERE), NULL), BIG_GET]
    for flags in (CONFIRMED, CONFIRMED | SELF_DESCRIPTIVE):
        answer = Answer(c.unprotect(fetch(blocks, c.protect(access(items, flags)), in_blocks)), 4)
        assert answer.data == [value, bytes.fromhex("09020102"), NULL, value]
        assert answer.results == [(GET, 0), (GET, 0), (GET, 4), (GET, 0)]


@pytest.mark.parametrize("in_blocks", [True, False])
@pytest.mark.parametrize("signs", [True, False])
def test_a_protected_answer_that_has_to_be_whole(in_blocks, signs):
    """Signed, or with a set among the gets: what has no room is refused alone."""
    c, blocks, value = secured_in_blocks(400)
    c.kind = "general-glo"
    items = [BIG_GET, SMALL_GET, BIG_GET, BIG_GET]
    if not signs:
        items[1] = (spec(SET, FREE), b"\x09\x00")
    whole = fetch(blocks, c.protect(access(items), signs=signs), in_blocks)
    answer = Answer(c.unprotect(whole), 4)
    fits = 0 if in_blocks else 250
    assert [r for _, r in answer.results] == [fits, 0, fits, 250]


# --- Anything ---------------------------------------------------------------------------------


def data(depth=3):
    leaf = st.one_of(
        st.just(NULL),
        st.binary(max_size=200).map(lambda o: b"\x09" + length(len(o)) + o),
        st.integers(0, 255).map(lambda k: bytes([0x11, k])),
        st.integers(0, 0xFFFF).map(lambda k: b"\x12" + k.to_bytes(2, "big")),
    )
    nested = st.lists(leaf, max_size=3).map(lambda d: bytes([2, len(d)]) + b"".join(d))
    return st.one_of(leaf, nested)


NAMES = [REGISTER, UNSIGNED, LONG_UNSIGNED, LONG, WRITE_ONLY, NOWHERE, CURRENT]
SPECS = st.builds(
    lambda choice, name, index, selector, selection: (
        spec(choice, name, index) + (bytes([selector]) + selection if choice > ACTION else b"")
    ),
    st.integers(1, 5), st.sampled_from(NAMES), st.integers(0, 4), st.integers(0, 3), data(),
)  # fmt: skip


@settings(max_examples=150, deadline=None)
@given(
    st.lists(st.tuples(SPECS, data()), min_size=1, max_size=14),
    st.sampled_from([0x40, 0x50, 0x60, 0xF0]),
    st.integers(60, 500),
)
def test_any_request_that_is_well_formed(items, flags, max_pdu):
    """Answered in its order, or too long; a value comes where there is no error, and none where
    there is one; after the first error nothing is done, if the client says so."""
    t = manager(max_pdu=max_pdu)
    got = bytes.fromhex(t.say(access(items, flags=flags).hex()))
    assert len(got) <= max_pdu
    if got.hex().upper() == TOO_LONG:
        return
    answer = Answer(got, len(items))
    broken = False
    for (specification, _), value, (choice, result) in zip(items, answer.data, answer.results):
        asked = specification[0]
        assert choice == (asked if asked < 4 else asked - 3)
        assert result in (0, *FAILS)
        assert value == NULL if result or choice == SET else True
        assert not broken or result == 250
        broken = broken or bool(flags & BREAK and result)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=60), st.integers(0, 70))
def test_any_octets_leave_it_usable(octets, at):
    t = manager()
    whole = access([G, S, (spec(GET_SELECTION, CURRENT, 2, "02 0101 120003"), NULL)])
    got = t.say((whole[: min(at, len(whole))] + octets or b"\xd9").hex())
    assert got == "" or got[:2] in ("DA", "D8")
    assert ask(t, [G]).results == [(GET, 0)]


def test_it_is_loaded_when_it_is_needed():
    meter = Meter()
    t = manager(meter)
    assert "dlms.access" not in meter.server.parts
    assert ask(t, [G]).results == [(GET, 0)]
    assert "dlms.access" in meter.server.parts
    meter.server.forget(True)
    assert ask(t, [G]).results == [(GET, 0)]


def test_classes_that_sleep_are_woken_for_what_needs_them():
    """Nothing but a value at rest is there without its class."""
    meter = Meter(HERE / "definitions/services.toml", handlers=None)
    t = manager(meter)
    assert t.say("6200").startswith("63")
    meter.server.forget()
    t.open(conformance="7EFF5F")
    assert meter.model.handler("association_ln") is None
    assert ask(t, [G, (spec(GET, CURRENT, 1), NULL), (spec(GET, NOWHERE), NULL)]).results == [
        (GET, 0), (GET, 0), (GET, 4)
    ]  # fmt: skip
    assert meter.model.handler("association_ln") is None
    assert "dlms.set" not in meter.server.parts and "dlms.action" not in meter.server.parts
    by_class = (spec(GET_SELECTION, CURRENT, 2, "02 0101 120003"), NULL)
    assert ask(t, [G, by_class, S]).results == [(GET, 0), (GET, 0), (SET, 0)]
    assert meter.model.handler("association_ln") is not None
    assert "dlms.set" in meter.server.parts


# --- On MicroPython -----------------------------------------------------------------------------


def test_nothing_is_allocated(micropython, tmp_path):
    """Fifty items in one answer, and in blocks, under a locked heap."""
    (tmp_path / "definition.py").write_text(show.module(tables.compile(str(SUITES))))
    root = HERE.parent
    done = subprocess.run(
        [micropython, str(HERE / "device/accessed.py"), str(tmp_path)],
        capture_output=True, text=True, timeout=60,
        env={"MICROPYPATH": ":".join(str(root / p) for p in ("lib", ".")) + ":.frozen"},
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    one, blocks = done.stdout.split()
    answer = Answer(bytes.fromhex(one), 50)
    assert answer.results == [(GET, 0), (SET, 0)] * 25
    # Each get shows what the set before it has written.
    shown = [b"\x09\x02\x01\x02"] + [bytes([9, 1, k]) for k in range(24)]
    assert answer.data == [d for value in shown for d in (value, NULL)]
    answer = Answer(bytes.fromhex(blocks), 50)
    assert answer.results == [(GET, 0)] * 50
    assert answer.data == [b"\x09\x82\x01\x2c" + b"\x55" * 300] * 50
