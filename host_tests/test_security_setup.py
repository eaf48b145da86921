# SPDX-License-Identifier: MIT
"""lib/cosem/security_setup.py: keys, policy, counters at rest. The client is secure.py."""

import pytest
from cryptography.hazmat.primitives import keywrap
from secure import GAK, GBEK, GUEK, KEK, SERVER_TITLE, TITLE, A, Client
from secure_general import KINDS, General12
from small import Meter
from suites import SuitesMeter

SETUP = "0040 00002B0001FF"
GET = "C00141 0001 0000603C01FF 02 00"
VALUE = "C401410009020102"
DENIED = "C701410300"
DONE = "C701410000"
REFUSED = "!D80101"
NEW = bytes(range(0x40, 0x50))
GUEK_ID, GBEK_ID, GAK_ID, KEK_ID = range(4)


def client(meter=None, sap=40, **how):
    return Client((meter or Meter()).talk(client=sap, server=17), **how)


def transfer(*keys, kek=KEK):
    """ACTION key_transfer of (key_id, key)."""
    text = "C30141 " + SETUP + " 02 01 01%02X" % len(keys)
    for key_id, key in keys:
        wrapped = keywrap.aes_key_wrap(kek, key)
        text += "0202 16%02X 09%02X" % (key_id, len(wrapped)) + wrapped.hex()
    return text


def activate(policy):
    return "C30141 " + SETUP + " 01 01 16%02X" % policy


def test_attributes():
    c = client().open()
    ask = "C00141 " + SETUP + " %02X 00"
    assert c.ask(ask % 2) == "C40141001600"
    assert c.ask(ask % 3) == "C40141001600"
    assert c.ask(ask % 4) == "C40141000908" + TITLE.hex().upper()
    assert c.ask(ask % 5) == "C40141000908" + SERVER_TITLE.hex().upper()
    assert c.ask(ask % 6) == "C40141000100"


def test_the_association_says_its_context():
    assert (
        client().open().ask("C00141 000F 0000280000FF 04 00") == "C401410009076085740508" + "0103"
    )


def test_keys_are_no_attributes():
    """Nothing that a client can read holds a key; nor does a repr, nor the words of an error."""
    meter = Meter()
    c = client(meter).open()
    for attribute in range(0, 12):
        got = c.ask("C00141 " + SETUP + " %02X 00" % attribute)
        for key in (GUEK, GBEK, GAK, KEK):
            assert key.hex().upper() not in got
    handler = meter.model.handler("security_setup")
    context = handler.context(meter.model.rows(64)[0])
    for thing in (handler, context, context.unicast, context.unicast.gcm, c.talk.meter.server):
        assert GUEK.hex() not in repr(thing) and repr(GUEK) not in repr(thing)


# --- Policy ---------------------------------------------------------------------------------


def test_a_stronger_policy_is_in_force_from_the_next_request_on():
    c = client().open()
    assert c.ask(activate(0x24)) == DONE  # authenticated, both ways
    assert c.talk.say(GET) == REFUSED[1:]
    assert c.ask(GET, sc=A) == VALUE
    assert c.ask(GET) == VALUE
    assert c.ask("C00141 " + SETUP + " 02 00") == "C40141001624"


@pytest.mark.parametrize("policy", [0x00, 0x04, 0x20, 0x48])
def test_a_policy_never_gets_weaker(policy):
    c = client().open()
    assert c.ask(activate(0x6C)) == DONE
    assert c.ask(activate(policy)) == DENIED
    assert c.ask("C00141 " + SETUP + " 02 00") == "C4014100166C"


@pytest.mark.parametrize("policy", [0x01, 0x02, 0x10, 0x80, 0xFF])
def test_policies_that_suite_0_cannot_keep(policy):
    c = client().open()
    assert c.ask(activate(policy)) == DENIED


# --- Keys -----------------------------------------------------------------------------------


def test_a_new_unicast_key():
    """The answer comes under the old key; then the new one counts. The client's counters begin
    at 0, those of the meter go on."""
    meter = Meter()
    c = client(meter).open()
    c.ic = 5000
    assert c.ask(transfer((GUEK_ID, NEW))) == DONE
    assert c.ask(GET).startswith("!D80105")
    c.guek, c.ic = NEW, 0
    assert c.ask(GET) == VALUE
    assert c.server_ics[-1] == max(c.server_ics) and len(set(c.server_ics)) == len(c.server_ics)
    # It is what a restart finds.
    image = meter.saved[-1]
    again = restarted(image)
    d = client(again, guek=NEW)
    d.ic = 1000
    assert d.open().ask(GET) == VALUE


def test_a_new_authentication_key_keeps_the_counters():
    c = client().open()
    before = c.ic
    assert c.ask(transfer((GAK_ID, NEW))) == DONE
    c.gak = NEW
    assert c.ask(GET, ic=before).startswith("!D80106")
    assert c.ask(GET) == VALUE
    assert len(set(c.server_ics)) == len(c.server_ics)


def test_a_new_authentication_key_is_that_of_a_dedicated_key_too():
    c = client(kind="ded", dedicated=bytes(range(16))).open()
    assert c.ask(transfer((GAK_ID, NEW))) == DONE
    assert c.ask(GET).startswith("!D80105")
    c.gak = NEW
    assert c.ask(GET) == VALUE
    assert len(set(c.server_ics)) == len(c.server_ics)


def test_the_same_key_again_keeps_its_counters():
    c = client().open()
    assert c.ask(transfer((GUEK_ID, GUEK))) == DONE
    assert c.ask(GET, ic=0).startswith("!D80106")
    assert c.ask(GET) == VALUE
    assert len(set(c.server_ics)) == len(c.server_ics)


def test_a_key_that_is_another_one_is_an_event():
    meter = Meter()
    events = []
    meter.model.event = events.append
    c = client(meter).open()
    assert c.ask(transfer((GAK_ID, GAK))) == DONE
    assert events == []
    assert c.ask(transfer((GBEK_ID, NEW), (KEK_ID, bytes(16)))) == DONE
    assert events == [48]


def test_all_keys_at_once():
    c = client().open()
    gbek, gak, kek = (bytes([n]) * 16 for n in (1, 2, 3))
    keys = (GUEK_ID, NEW), (GBEK_ID, gbek), (GAK_ID, gak), (KEK_ID, kek)
    assert c.ask(transfer(*keys)) == DONE
    c.guek, c.gak, c.ic = NEW, gak, 0
    assert c.ask(GET) == VALUE
    assert c.ask(GET, sc=0x70, key=GBEK, ic=0).startswith("!D80105")
    assert c.ask(transfer((GAK_ID, GAK), kek=KEK)) == "C70141FA00"
    assert c.ask(transfer((GAK_ID, GAK), kek=kek)) == DONE


@pytest.mark.parametrize(
    "request_, answer",
    [
        (transfer((GUEK_ID, NEW), kek=bytes(16)), "C70141FA00"),
        (transfer((GAK_ID, NEW), (GUEK_ID, NEW), kek=bytes(16)), "C70141FA00"),
        (transfer((4, NEW)), "C701410C00"),
        (transfer((GUEK_ID, bytes(32))), "C701410C00"),
        ("C30141 " + SETUP + " 02 01 0100", DONE),
        ("C30141 " + SETUP + " 02 00", "C701410C00"),
        ("C30141 " + SETUP + " 02 01 0101 0202 1600 0900", "C701410C00"),
    ],
)
def test_keys_that_are_not_taken_change_nothing(request_, answer):
    meter = Meter()
    c = client(meter).open()
    row = meter.model.rows(64)[0]
    at = meter.model.state(row, 0)
    before = bytes(meter.model.image[at : at + 128])
    assert c.ask(request_) == answer
    assert bytes(meter.model.image[at : at + 128]) == before
    assert c.ask(GET) == VALUE


@pytest.mark.parametrize(
    "kind, signs",
    [(kind, False) for kind in (*KINDS[:1], *KINDS[2:])]
    + [(kind, True) for kind in (*KINDS[:1], *KINDS[2:], "general-glo")],
)
def test_an_answer_that_takes_a_job_comes_under_the_old_keys(kind, signs):
    """General-ciphering and general-signing protect it between two requests."""
    c = General12(SuitesMeter(), 1, kind=kind).open()
    c.signs = signs
    gak = bytes(reversed(NEW))
    assert c.ask(transfer((GUEK_ID, NEW), (GAK_ID, gak))) == DONE
    c.guek, c.gak, c.ic = NEW, gak, 0
    assert c.ask(GET) == VALUE
    assert c.ask(GET) == VALUE


def test_a_broadcast_key_without_a_unicast_key():
    """What comes with it is done."""
    meter = Meter()
    at = meter.model.state(meter.model.rows(64)[0], 0)
    meter.model.image[at : at + 16] = bytes(16)
    c = client(Meter(image=meter.model.image), 48, mechanism=1, secret=b"secret of small")
    c.open(protect=False)
    c.guek, c.sc = GBEK, 0x70
    assert c.ask("C10101 0001 0000603C01FF 02 00 0902CAFE") == ""
    assert c.talk.say(GET) == "C401410009" + "02CAFE"


def test_one_bad_key_of_a_list_spoils_them_all():
    c = client().open()
    good, bad = keywrap.aes_key_wrap(KEK, NEW), bytes(24)
    text = "C30141 " + SETUP + " 02 01 0102 0202 1600 0918" + good.hex()
    assert c.ask(text + "0202 1602 0918" + bad.hex()) == "C70141FA00"
    assert c.ask(GET) == VALUE


# --- At rest --------------------------------------------------------------------------------


def restarted(image):
    meter = Meter()
    meter.model.image[:] = image
    for row in meter.model.rows(64):
        meter.model.handler_of(row).start(row)
    return meter


def test_an_orderly_end_keeps_counters_exact():
    meter = Meter()
    c = client(meter).open()
    c.ask(GET)
    meter.model.handler("security_setup").settle()
    d = client(restarted(bytes(meter.model.image)), ic=c.ic).open()
    assert d.ask(GET) == VALUE
    assert not set(c.server_ics) & set(d.server_ics)
    assert int.from_bytes(d.server_ics[0][1], "big") == len(c.server_ics)


def test_a_power_failure_skips_counters_and_repeats_none():
    meter = Meter()
    c = client(meter).open()
    sent = c.protect(bytes.fromhex(GET))
    c.talk.say(sent.hex())
    again = restarted(meter.saved[-1])
    # What anybody may read says where to go on.
    value = bytearray(600)
    row = again.model.find_any(b"\0\1\0\0\x2b\1\1\xff", 0)
    assert again.model.read(row, 2, value, 0, 16) == 5
    d = client(again, ic=int.from_bytes(value[1:5], "big")).open()
    assert c.ic < d.ic <= c.ic + 70
    assert d.talk.say(sent.hex()).startswith("D80106")
    assert not set(c.server_ics) & set(d.server_ics)


def test_without_room_to_save_nothing_is_answered_under_a_counter_that_may_come_again():
    """And the clients that need no counters are served as ever."""
    meter = Meter()
    meter.model.save = lambda: False
    c = client(meter)
    for _ in range(3):
        assert c.talk.say(c.aarq().hex()) in ("", REFUSED[1:]) or c.begin()["result"] == 1
    other = meter.talk(client=1)
    assert other.open().startswith("6129A109060760857405080101A203020100")
    meter.model.save = meter.save
    meter.model.handler("security_setup").tick(0)
    assert c.open().ask(GET) == VALUE


# --- Keys that are loaded -------------------------------------------------------------------


def loaded(meter):
    handler = meter.model.handler("security_setup")
    contexts = [handler.context(row) for row in meter.model.rows(64)[:2]]
    return [context is not None and context.loaded for context in contexts]


def test_keys_are_made_when_a_client_comes_and_kept_while_there_is_room():
    meter = Meter()
    assert loaded(meter) == [False, False]
    c = client(meter).open()
    assert loaded(meter) == [True, False]
    context = c.talk.channel.last.context
    assert context.broadcast is False, "nothing has come with it"
    client(meter, 41).open()
    assert loaded(meter) == [True, True]
    assert c.ask(GET) == VALUE


def test_keys_that_nobody_uses_make_room_and_their_counters_go_on():
    meter = Meter()
    del meter.server.associations[1:]
    meter.server._reserved = 0
    used = []
    ics = {40: 0, 41: 0}
    for sap in (40, 41, 40, 40, 41):
        c = client(meter, sap, ic=ics[sap]).open()
        assert loaded(meter) == [sap == 40, sap == 41]
        assert c.ask(GET) == VALUE
        request = c.protect(bytes.fromhex(GET)).hex()
        assert c.talk.say(request)
        assert c.talk.say(request) == "D80106%08X" % c.ic, "a repetition"
        used += [(sap, ic) for ic in c.server_ics]
        ics[sap] = c.ic
        c.talk.channel.release()
    assert len(set(used)) == len(used)


def test_a_key_of_another_object_can_be_transferred_while_it_is_not_loaded():
    meter = Meter()
    other = transfer((GUEK_ID, NEW)).replace("2B0001FF", "2B0002FF")
    assert client(meter).open().ask(other) == DONE
    assert loaded(meter) == [True, False]
    assert client(meter, 41, guek=NEW).open().ask(GET) == VALUE
