# SPDX-License-Identifier: MIT
"""cosem/envelope.py: how what is sent unasked is protected, and its confirmation; opened by a
client written from the rules (secure.py, secure_general.py)."""

import pushing
import pytest
import secure
import small
import suites
from cosem.notifier import Notifier
from cryptography.hazmat.primitives.keywrap import aes_key_wrap
from fakes import array, enum, octets, struct_
from pushing import (
    CONFIRMING, IDLE, NOT_NOW, REPEATING, TITLE, V0, V2, PushMeter, body, confirmation,
    destination, element, opened, protection,
)  # fmt: skip
from secure_general import General0, General12
from suites import SuitesMeter

CLIENT_40 = b"\x0f\x28"


@pytest.fixture
def m():
    """Pushes to client 40, whose policy is everything."""
    m = PushMeter()
    ready(m)
    return m


def context(m, obis):
    """Of a Security setup object, as it is from the first client on that needs it."""
    if m.server.secured is None:
        m.server.load("dlms.secured")
    return m.model.handler("security_setup").context(m.row(obis, 64))


def ready(m, sap=CLIENT_40):
    m.put(V2, 2, array(element(3, "1.0.1.8.0.255", version=2)))
    m.put(V2, 3, destination(b"127.0.0.1:4059"))
    m.put(V2, 9, sap)


def last(m):
    return m.paths.apdus[-1]


# --- By the security_policy ---------------------------------------------------------------------


def test_general_glo_by_the_policy(m):
    counters = []
    for _ in range(3):
        assert m.push(V2) == 0
        m.second()
        plain, good = opened(last(m))
        assert good and body(plain) == [5009]
        counters.append(last(m)[12:16])
    assert counters == sorted(set(counters))
    assert m.notifier.done == 3


def test_a_repetition_has_its_own_counter(m):
    m.paths.says = [pushing.BROKEN]
    m.push(V2)
    m.second(40)
    assert len(m.paths.sent) == 3 and len(set(m.paths.apdus)) == 3
    assert {opened(apdu) for apdu in m.paths.apdus} == {opened(last(m))}


def test_counters_are_saved_before_they_are_used(m):
    m.push(V2)
    m.second()
    assert m.saved == 2  # each portion twice, see security_setup.py
    for _ in range(62):
        m.push(V2)
        m.second()
    assert m.saved == 4


def test_what_waits_takes_the_key_of_when_it_leaves(m):
    m.paths.there = False
    m.push(V2)
    m.second()
    setup = m.row("0.0.43.0.1.255", 64)
    at = m.model.state(setup, 0)
    m.model.image[at : at + 16] = bytes(range(0x70, 0x80))
    handler = m.model.handler("security_setup")
    handler.context(setup).changed = 1
    handler.rekey(handler.context(setup))
    m.paths.there = True
    m.second()
    plain, good = opened(last(m), guek=bytes(range(0x70, 0x80)))
    assert good and body(plain) == [5009]


def test_no_key_is_given_up_in_the_end(m):
    at = m.model.state(m.row("0.0.43.0.1.255", 64), 0)
    m.model.image[at : at + 16] = bytes(16)
    m.push(V2)
    m.second()
    assert m.state(V2) == REPEATING
    m.second(100)
    assert m.paths.sent == [] and m.notifier.lost == 1 and m.state(V2) == IDLE


def test_no_counter_is_left(m):
    context(m, "0.0.43.0.1.255")
    handler = m.model.handler("security_setup")
    handler._tx[:] = handler._tx_end[:] = b"\xff\xff\xff\xfe"
    m.push(V2)
    m.second(100)
    assert m.paths.sent == [] and m.notifier.lost == 1


def test_a_policy_that_asks_for_signatures(m):
    """Not without parameters: the meter does not know for whom."""
    ready(m, b"\x0f\x29")
    context(m, "0.0.43.0.2.255").needs_response = 4
    assert m.push(V2) == 0
    m.second()
    assert m.paths.sent == [] and m.notifier.lost == 1
    context(m, "0.0.43.0.2.255").needs_response = 0
    assert m.push(V2) == 0
    m.second()
    assert m.notifier.done == 1


def test_rights_that_ask_for_protection(m):
    """What has to be protected goes out to who gets it protected, and to nobody else."""
    row = m.row("1.0.1.8.0.255", 3)
    n = m.notifier
    for push, sap, seen in ((V2, CLIENT_40, True), (V2, b"\x0f\x01", False)):
        ready(m, sap)
        assert n.envelope.become(m.row(push))
        a = n.envelope.client
        at = a._rights(row)
        access = bytearray(m.model.access)
        access[at + 1] |= 0x60
        m.model.access = bytes(access)
        m.push(push)
        m.second()
        plain = opened(last(m))[0] if seen else last(m)
        assert body(plain) == [5009 if seen else None]


# --- By parameters ------------------------------------------------------------------------------

IDENTIFIED = struct_(enum(0), enum(0))
WRAPPED = struct_(
    enum(1), struct_(enum(0), octets(aes_key_wrap(secure.KEK, bytes(range(0xA0, 0xB0)))))
)
CLIENT = b"CLI\0\0\0\0\7"
ID = b"\0\0\0\0\0\0\0\x11"


class Listener(General0):
    """Takes apart what has been sent to it."""

    def __init__(self, title=TITLE):
        General0.__init__(self, None)
        self.meter_title = title
        self.last_transaction = ID


@pytest.mark.parametrize("kind,sc", [(0, secure.A), (1, secure.E), (2, secure.AE)])
@pytest.mark.parametrize("key_info", [IDENTIFIED, WRAPPED], ids=["identified", "wrapped"])
def test_general_ciphering(m, kind, sc, key_info):
    context(m, "0.0.43.0.1.255").needs_response = 0
    m.put(V2, 10, array(protection(kind, key_info, CLIENT, ID)))
    listener = Listener()
    for _ in range(2):
        assert m.push(V2) == 0
        m.second()
        assert body(listener.unprotect(last(m))) == [5009]
        assert listener.answer_sc == sc and listener.answer_kinds == ["ciphered"]


KEY_INFO = struct_(enum(0), enum(0))
BAD_PARAMETERS = [
    [protection(2, IDENTIFIED)],  # for nobody
    [protection(2, IDENTIFIED, TITLE)],  # for itself
    [protection(2, IDENTIFIED, CLIENT, originator=b"somebody")],
    [protection(2, struct_(enum(0), enum(1)), CLIENT)],  # the broadcast key
    [protection(2, struct_(enum(1), struct_(enum(0), octets(b"12345678"))), CLIENT)],
    [protection(2, struct_(enum(2), struct_(octets(b"\2"), octets(b""))), CLIENT)],  # suite 0
    [protection(3, IDENTIFIED, CLIENT), protection(2, IDENTIFIED, CLIENT)],  # suite 0
    [protection(2, IDENTIFIED, CLIENT, transaction=b"x" * 33)],
    [protection(0, IDENTIFIED, CLIENT), protection(1, IDENTIFIED, CLIENT)],  # two of a kind
    [protection(1, IDENTIFIED, CLIENT)],  # less than the policy
    [protection(4, IDENTIFIED, CLIENT)],
]


@pytest.mark.parametrize("parameters", BAD_PARAMETERS)
def test_parameters_that_cannot_be_met(m, parameters):
    """Nothing leaves the meter; it is given up, and counted."""
    if m.set(V2, 10, array(*parameters)):
        return  # cannot even be set
    assert m.push(V2) == 0
    m.second(100)
    assert m.paths.sent == [] and m.notifier.lost == 1 and m.state(V2) == IDLE


# --- Signatures, and keys that are agreed: suite 1 ----------------------------------------------

PUSH = """
[[objects]]
class = "Push setup"
device = "one"
access = "all"
capacity = {push_object_list = "400 octets", send_destination_and_method = "64 octets", push_protection_parameters = "400 octets"}
list = [{obis = "0.4.25.9.0", push_client_SAP = 51}]
"""  # noqa: E501


class Signed(SuitesMeter):
    put, set, push, second, row, state = (
        PushMeter.put, PushMeter.set, PushMeter.push, PushMeter.second, PushMeter.row,
        PushMeter.state,
    )  # fmt: skip

    def __init__(self, path, rows):
        handlers = ("association_ln", "security_setup", "push_setup")
        super().__init__(path=path, rows=rows, handlers=handlers)
        self.clock.second = 0
        self.clock.local = bytearray(12)
        self.clock.advance = lambda ms: None
        self.paths = pushing.Paths()
        self.handler = self.model.handler("push_setup")
        self.notifier = Notifier(self.model, self.server, self.paths, 1000, True)
        self.handler.notifier = self.notifier


@pytest.fixture
def signed(tmp_path):
    text = suites.SUITES.read_text()
    path = tmp_path / "push.toml"
    device = text.split("[[device]]")[1].split('name = "')[1].split('"')[0]
    path.write_text(text + PUSH.replace('"one"', '"%s"' % device))
    return path


@pytest.fixture
def s(signed):
    rows = small.Meter(signed).model.rows(64)
    m = Signed(signed, {1: rows[0], 2: rows[1]})
    m.put(V2, 3, destination(b"127.0.0.1:4059"))
    m.put(V2, 2, array(element(1, "0.0.42.0.0.255", version=2)))
    return m


ONE_PASS = struct_(enum(2), struct_(octets(b"\2"), octets(b"")))
STATIC = struct_(enum(2), struct_(octets(b"\3"), octets(b"")))
LAYERS = {
    "signed": [(3, IDENTIFIED)],
    "signed, identified": [(3, IDENTIFIED), (2, IDENTIFIED)],
    "one-pass": [(2, ONE_PASS)],
    "static": [(2, STATIC)],
    "signed, one-pass": [(3, IDENTIFIED), (2, ONE_PASS)],
}


@pytest.mark.parametrize("layers", LAYERS.values(), ids=LAYERS)
def test_layers_of_suite_1(s, layers):
    parameters = [protection(kind, info, secure.TITLE, ID) for kind, info in layers]
    s.put(V2, 10, array(*parameters))
    assert s.push(V2) == 0
    for _ in range(400):
        s.second(turns=20)
        if s.paths.sent:
            break
    listener = General12(s, 1)
    listener.last_transaction = ID
    apdu = last(s)
    assert body(listener.unprotect(apdu)) != []
    assert ("signed" in listener.answer_kinds) == (layers[0][0] == 3)


# --- Confirmation -------------------------------------------------------------------------------


def confirmed(m):
    """The push waits for its confirmation; the APDU that has been sent."""
    m.put(V2, 11, enum(2))
    m.push(V2)
    m.second()
    assert m.state(V2) == CONFIRMING
    return last(m)


def glo(plain, ic, guek=secure.GUEK, title=CLIENT, sc=0x30):
    iv = title + ic.to_bytes(4, "big")
    aad = bytes([sc]) + secure.GAK
    text, tag = secure.gcm(guek, iv, aad, plain)
    content = bytes([sc]) + ic.to_bytes(4, "big") + text + tag[:12]
    return b"\xdb\x08" + title + bytes([len(content)]) + content


def test_a_confirmation_that_is_ciphered(m):
    plain, _ = opened(confirmed(m))
    assert m.talk(40).say(glo(confirmation(plain), 0).hex()) == ""
    m.second()
    assert m.state(V2) == IDLE and m.notifier.done == 1


def wrong_key(plain):
    return glo(confirmation(plain), 5, guek=bytes(16))


def wrong_number(plain):
    return glo(b"\x10\x40\0\0\x63\0", 5)


def not_ciphered(plain):
    return confirmation(plain)


def only_authenticated(plain):
    iv = CLIENT + bytes(4)
    text = confirmation(plain)
    tag = secure.gcm(secure.GUEK, iv, b"\x10" + secure.GAK + text)[1]
    content = b"\x10" + bytes(4) + text + tag[:12]
    return b"\xdb\x08" + CLIENT + bytes([len(content)]) + content


def come_back(plain):
    """As if the meter itself had sent it."""
    return glo(confirmation(plain), 70, title=TITLE)


def truncated(plain):
    return b"\xdb\x08CLI"


def something_else(plain):
    return glo(b"\xc0\x01\xc1" + bytes(10), 5)


@pytest.mark.parametrize(
    "made",
    [
        wrong_key,
        wrong_number,
        not_ciphered,
        only_authenticated,
        come_back,
        truncated,
        something_else,
    ],
)  # fmt: skip
def test_what_confirms_nothing(m, made):
    plain, _ = opened(confirmed(m))
    m.talk(40).say(made(plain).hex())
    m.second()
    assert m.state(V2) == CONFIRMING
    # The right one still counts.
    m.talk(40).say(glo(confirmation(plain), 100).hex())
    m.second()
    assert m.state(V2) == IDLE


def test_a_confirmation_of_another_client(m):
    plain, _ = opened(confirmed(m))
    m.talk(41).say(glo(confirmation(plain), 0).hex())
    m.talk(1).say(confirmation(plain).hex())
    m.second()
    assert m.state(V2) == CONFIRMING


def test_a_confirmation_twice_is_no_fault(m):
    ready(m, b"\x0f\x01")
    apdu = confirmed(m)
    t = m.talk(1)
    assert t.say(confirmation(apdu).hex()) == ""
    assert t.say(confirmation(apdu).hex()) == ""
    m.second()
    assert m.state(V2) == IDLE
    # After that nobody waits for one: it is a service that the meter does not know.
    assert t.say(confirmation(apdu).hex()) != ""


def test_a_confirmation_within_an_association(m):
    """Of a client that has opened one, plain and ciphered."""
    ready(m, b"\x0f\x01")
    t = m.talk(1)
    assert t.open(None).startswith("61")
    apdu = confirmed(m)
    assert t.say(confirmation(apdu).hex()) == ""
    m.second()
    assert m.state(V2) == IDLE
    ready(m)
    client = secure.Client(m.talk(40), kind="general-glo")
    client.meter_title = TITLE
    client.open()
    plain, _ = opened(confirmed(m))
    assert client.ask(confirmation(plain).hex()) == ""
    m.second()
    assert m.state(V2) == IDLE and m.notifier.done == 2


@pytest.mark.parametrize(
    "start,interval,after,wanted",
    [
        (None, 0, 10, True),
        (None, 3600, 10, False),
        (None, 3600, 3700, True),
        ("2026-01-01 00:00:00", 0, 10, True),
        ("2027-01-01 00:00:00", 0, 10, False),
    ],
)
def test_when_a_confirmation_is_asked_for(m, start, interval, after, wanted):
    from tables import dates

    ready(m, b"\x0f\x01")
    first = b"\x19" + dates.parse(start or "*", "date-time")
    m.put(V2, 12, struct_(first, b"\x06" + interval.to_bytes(4, "big")))
    at = m.model.slot(m.row(V2), 13)
    m.model.image[at + 1 : at + 13] = m.clock.local
    m.second(after)
    m.put(V2, 11, enum(2))
    m.push(V2)
    m.second()
    assert bool(last(m)[1] & 0x40) is wanted
    assert m.state(V2) == (CONFIRMING if wanted else IDLE)


# --- For associations ---------------------------------------------------------------------------


def posted(m, a, apdu):
    box = m.notifier.outbox
    at = box.open()
    box.buf[at : at + len(apdu)] = apdu
    m.notifier.post(a, at + len(apdu))


def association(m, client):
    return next(a for a in m.server.associations if a.state and a.client_sap == client)


def test_an_event_in_an_open_association(m):
    t = m.talk(1)
    t.open(None)
    a = association(m, 1)
    m.notifier.event(a, m.row("0.0.96.1.0.255", 1), 2)
    m.second()
    sap, apdu = m.paths.told[0]
    assert sap == 1 and apdu[:3] == b"\xc2\x01\x0c" and apdu[-4:] == b"\x09\x0242"
    assert m.notifier.done == 1 and m.notifier.is_idle()


def test_an_event_for_who_is_gone(m):
    """Released, or another client in its place: it is dropped and counted."""
    t = m.talk(1)
    t.open(None)
    m.paths.there = False
    m.notifier.event(association(m, 1), m.row("0.0.96.1.0.255", 1), 2)
    m.second()
    t.say("6200")
    m.paths.there = True
    m.second()
    assert m.paths.told == [] and m.notifier.lost == 1 and m.notifier.is_idle()


def test_an_event_goes_before_pushes_and_does_not_stop_them(m):
    t = m.talk(1)
    t.open(None)
    m.notifier.event(association(m, 1), m.row("0.0.96.1.0.255", 1), 2)
    m.push(V0)
    m.second(turns=1)
    m.second(turns=1)
    assert len(m.paths.told) == 1 and len(m.paths.sent) == 1


def test_an_event_that_nobody_takes(m):
    m.talk(1).open(None)
    m.paths.says = [NOT_NOW, pushing.BROKEN]
    m.notifier.event(association(m, 1), m.row("0.0.96.1.0.255", 1), 2)
    m.second()
    assert m.notifier.lost == 1 and len(m.paths.told) == 2


def test_ciphered_as_the_answers_of_the_association(m):
    client = secure.Client(m.talk(40))
    client.meter_title = TITLE
    client.open()
    a = association(m, 40)
    for apdu, tag in (
        (b"\xc2\x00" + bytes(9) + b"\0", 0xCA),
        (b"\x18\x00\x01\x02\x01\x08\x01\x00", 0x38),
        (b"\x0f\x00\x00\x00\x01\x00\x00", 0xDB),
    ):
        posted(m, a, apdu)
        m.second()
        sap, made = m.paths.told[-1]
        assert sap == 40 and made[0] == tag
        at = 1 if tag != 0xDB else 10
        n, at = secure.take_length(made, at)
        sc, ic, text = made[at], made[at + 1 : at + 5], made[at + 5 : -12]
        assert sc == 0x30 and at + n == len(made)
        iv = TITLE + ic
        aad = bytes([sc]) + secure.GAK
        plain = secure.gcm(secure.GUEK, iv, aad, text, True)[0]
        assert plain == apdu
        assert secure.gcm(secure.GUEK, iv, aad, plain)[1][:12] == made[-12:]


RIGHTS = {"anything": 0x03, "an encrypted request": 0x0B, "an encrypted answer": 0x43}
RIGHTS["a signed answer"] = 0x83


def asked(m, right, policy):
    """An event for client 40, with that right to the value and a policy of its kinds."""
    client = secure.Client(m.talk(40))
    client.meter_title = TITLE
    client.open()
    a = association(m, 40)
    a.possible_kinds = 7
    context(m, "0.0.43.0.1.255").needs_response = policy
    access = bytearray(m.model.access)
    access[a._rights(m.row("0.0.96.1.0.255", 1)) + 1] = RIGHTS[right]
    m.model.access = bytes(access)
    # Of the last request; another one may be waiting.
    a.protection, a.response_kinds = 1, 1
    m.notifier.event(a, m.row("0.0.96.1.0.255", 1), 2)
    assert (a.protection, a.response_kinds) == (1, 1)
    m.second()


@pytest.mark.parametrize("right", ["anything", "an encrypted request"])
def test_an_event_that_may_be_plain(right):
    """No policy; what a right wants of a request is no matter where nobody asks."""
    m = PushMeter()
    asked(m, right, 0)
    assert m.paths.told[-1][1].endswith(b"\x09\x0242")


@pytest.mark.parametrize(
    "right,policy,control",
    [("an encrypted answer", 0, 0x20), ("an encrypted answer", 1, 0x30), ("anything", 1, 0x10)],
)
def test_an_event_is_protected_as_right_and_policy_say(right, policy, control):
    m = PushMeter()
    asked(m, right, policy)
    apdu = m.paths.told[-1][1]
    n, at = secure.take_length(apdu, 1)
    assert apdu[0] == 0xCA and apdu[at] == control and at + n == len(apdu)


@pytest.mark.parametrize("right,policy", [("a signed answer", 0), ("anything", 4)])
def test_an_event_that_would_have_to_be_signed(right, policy):
    """It cannot be: it is not sent, and counted."""
    m = PushMeter()
    asked(m, right, policy)
    assert m.paths.told == [] and m.notifier.lost == 1 and m.notifier.is_idle()
