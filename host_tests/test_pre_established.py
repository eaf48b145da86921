# SPDX-License-Identifier: MIT
"""Associations that are open from the start (lib/dlms/server.py): client 53 of suites.py's meter,
whose requests are protected with suite 0."""

from secure import Client
from suites import SuitesMeter

GET = "C00141 0001 0000603C01FF 02 00"
VALUE = "C401410009020102"
NO_ASSOCIATION = "D80101"
DECIPHERING_ERROR = "D80105"


def client(meter=None, **how):
    how.setdefault("kind", "general-glo")
    return Client((meter or SuitesMeter()).talk(client=53, server=17), 0, **how)


def test_the_first_request_is_served():
    c = client()
    assert c.ask(GET) == VALUE
    assert c.ask(GET) == VALUE


def test_what_the_title_says_is_proved_by_the_tag():
    assert client(title=b"OTHERONE").ask(GET) == VALUE


def test_a_title_has_to_be_said():
    """The forms without one are for those who have opened an association."""
    assert client(kind="glo").ask(GET) == "!" + DECIPHERING_ERROR


def test_and_is_known_from_then_on():
    c = client()
    assert c.ask(GET) == VALUE
    c.kind = "glo"
    assert c.ask(GET) == VALUE


def test_counters_are_looked_at():
    c = client()
    assert c.ask(GET) == VALUE
    c.ic = 0
    assert c.ask(GET).startswith("!D80106")


def test_a_wrong_key_takes_no_place():
    meter = SuitesMeter()
    for _ in range(5):
        assert client(meter, guek=bytes(16)).ask(GET) == "!" + DECIPHERING_ERROR
    assert not any(a.state for a in meter.server.associations)
    assert client(meter).ask(GET) == VALUE


def test_no_aarq_is_needed_and_none_is_taken():
    c = client()
    got = c.aare(bytes.fromhex(c.talk.say(c.aarq(protect=False).hex())))
    assert (got["result"], got["diagnostic"]) == (1, 1)
    assert c.ask(GET) == VALUE


def test_it_cannot_be_released_for_good():
    c = client()
    assert c.ask(GET) == VALUE
    assert c.talk.say("6200") == "6303800101", "not-finished"
    assert c.ask(GET) == VALUE
    assert c.talk.channel.in_use()


def test_nor_before_it_is_used():
    c = client()
    assert c.talk.say("6200") == "6303800101"
    assert not c.talk.channel.in_use()


def test_one_place_is_kept_for_those_who_have_a_key():
    meter = SuitesMeter()
    for _ in range(5):
        meter.talk(client=16, server=17).open(secret=None)
    assert client(meter).ask(GET) == VALUE


def test_when_all_are_taken():
    meter = SuitesMeter()
    first = [client(meter, ic=10 * k) for k in range(3)]
    assert [c.ask(GET) for c in first] == [VALUE] * 3
    assert client(meter, ic=90).ask(GET) == "!" + NO_ASSOCIATION
    first[0].talk.channel.release()
    assert client(meter, ic=90).ask(GET) == VALUE


def test_unconfirmed_service():
    c = client()
    assert c.ask("C10101 0001 0000603C01FF 02 00 09020304") == ""
    assert c.ask(GET) == "C401410009020304"


def test_a_first_request_that_does_not_come_again_lends_its_protection_to_nobody():
    """Unconfirmed, of a method that needs a job: as a broadcast frame brings it."""
    meter = SuitesMeter()
    assert client(meter).ask(GET) == VALUE
    talk = meter.talk(client=53, server=17)
    transfer = bytes.fromhex("C30141 0040 00002B0003FF 02 01 0101 0202 1600 0918" + "00" * 24)
    first = Client(talk, 0, kind="general-glo", ic=10).protect(transfer)
    assert meter.server.request(talk.channel, 53, 17, bytearray(first), 0, len(first), 0) == -1
    meter.server.work()
    # What is taken off a general-glo, and then a SET in plain text where the method was.
    forged = bytes(16) + bytes.fromhex("C10141 0001 0000603C01FF 02 00 091E") + bytes(42)
    assert talk.say(forged.hex()).startswith("D8")
    assert client(meter, ic=20).ask(GET) == VALUE
