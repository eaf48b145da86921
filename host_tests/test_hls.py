# SPDX-License-Identifier: MIT
"""lib/dlms/hls.py with the server: the four passes of every mechanism. The client is secure.py."""

import hmac

import pytest
from secure import SERVER_TITLE, TITLE, Client
from small import Meter

SECRET = b"secret of small"
CLIENTS = {3: 43, 4: 44, 6: 46, 5: 47}
NAMES = {3: "md5", 4: "sha1", 5: "gmac", 6: "sha256"}
GET_LDN = "C00141 0001 00002A0000FF 02 00"
NO_ASSOCIATION = "D80101"
MECHANISMS = pytest.mark.parametrize("mechanism", CLIENTS, ids=NAMES.get)


def client(mechanism, meter=None, **how):
    talk = (meter or Meter()).talk(client=CLIENTS[mechanism], server=17)
    return Client(talk, mechanism, context=1, kind=None, secret=SECRET, **how)


@MECHANISMS
def test_four_passes(mechanism):
    c = client(mechanism).open()
    assert c.ask(GET_LDN).startswith("C4014100")


@MECHANISMS
def test_the_aare_names_the_mechanism_and_challenges(mechanism):
    c = client(mechanism)
    got = c.begin()
    assert (got["result"], got["diagnostic"]) == (0, 14)
    assert got[0x88].hex() == "0780"
    assert got[0x89].hex() == "608574050802%02x" % mechanism
    assert c.server_title == (SERVER_TITLE if mechanism >= 5 else b"")
    assert len(c.stoc) == 16


@MECHANISMS
@pytest.mark.parametrize("n", [8, 9, 16, 17, 63, 64])
def test_challenges_of_every_length(mechanism, n):
    c = client(mechanism, challenge=bytes(range(n))).open()
    assert len(c.stoc) == max(16, n)


@MECHANISMS
@pytest.mark.parametrize("n", [1, 7, 65])
def test_challenges_too_short_or_too_long(mechanism, n):
    got = client(mechanism, challenge=bytes(n)).begin()
    assert (got["result"], got["diagnostic"]) == (1, 13)


@MECHANISMS
def test_challenges_are_never_the_same(mechanism):
    meter = Meter()
    assert len({client(mechanism, meter).begin()[0xAA] for _ in range(20)}) == 20


def test_who_stops_after_pass_2_keeps_nobody_out():
    meter = Meter()
    crowd = [client(6, meter) for _ in range(10)]
    for c in crowd:
        assert c.begin()["diagnostic"] == 14
    late = client(5, meter).open()
    assert late.ask(GET_LDN).startswith("C4014100")
    # Of the crowd, the last three have places, but for the one that the late client took.
    assert crowd[0].finish(crowd[0].f()).startswith("D8")


def test_who_begins_again_and_again_on_one_channel_takes_no_other_place():
    meter = Meter()
    honest = client(6, meter)
    honest.begin()
    channel = meter.server.channel()
    for mechanism in (3, 4, 5, 6) * 2:
        talk = meter.talk(client=CLIENTS[mechanism], server=17, channel=channel)
        other = Client(talk, mechanism, context=1, kind=None, secret=SECRET)
        assert other.begin()["diagnostic"] == 14
    assert honest.finish() == "ok"


@MECHANISMS
def test_nothing_else_is_served_before_pass_3(mechanism):
    c = client(mechanism)
    c.begin()
    for request in (
        GET_LDN,
        "C10141 0001 0000603C01FF 02 00 0900",
        "C30141 000F0000280001FF 01 01 0900",
        "C30141 000F0000280000FF 02 01 0900",
        "C30341 01 000F0000280000FF 01 01 0900",
        "C8 00",
    ):
        got = c.ask(request)
        assert got.startswith("D8"), (request, got)
    assert c.finish() == "ok"
    assert c.ask(GET_LDN).startswith("C4014100")


@pytest.mark.parametrize("left", [0, 1, 2, 3, 255, 256, 257])
def test_pass_4_has_two_counters(left):
    """f(CtoS) takes one, and its protection another one: so many are there before the first."""
    meter = Meter()
    c = Client(meter.talk(client=40, server=17))
    c.begin()
    (a,) = [a for a in meter.server.associations if a.state]
    key = a.context.unicast
    key.tx_end[:] = (int.from_bytes(key.tx, "big") + left).to_bytes(4, "big")
    assert c.finish() == "ok"


@MECHANISMS
@pytest.mark.parametrize("how", ["flipped", "short", "long", "none", "of the wrong challenge"])
def test_a_wrong_proof_ends_it(mechanism, how):
    meter = Meter()
    failures = []
    meter.server.on_authentication_failed = failures.append
    c = client(mechanism, meter)
    c.begin()
    proof = c.f()
    if how == "of the wrong challenge":
        c.stoc = c.challenge
        proof = c.f()
    proof = {
        "flipped": proof[:-1] + bytes([proof[-1] ^ 1]),
        "short": proof[:-1],
        "long": proof + b"\0",
        "none": b"",
    }.get(how, proof)
    assert c.finish(proof) == "C701410300"
    assert len(failures) == 1
    assert c.ask(GET_LDN) == NO_ASSOCIATION
    # And it can be tried anew, from pass 1.
    c.open()
    assert c.ask(GET_LDN).startswith("C4014100")


@MECHANISMS
def test_pass_3_of_another_association_is_no_proof(mechanism):
    """A proof that was heard on the line, for another challenge."""
    meter = Meter()
    first = client(mechanism, meter)
    first.begin()
    proof = first.f()
    assert first.finish(proof) == "ok"
    second = client(mechanism, meter)
    second.begin()
    assert second.finish(proof) == "C701410300"


@MECHANISMS
def test_reflecting_the_servers_challenge(mechanism):
    """The client's challenge is known before ours is; the same again can only be made by us."""
    meter = Meter()
    meter.model.random_fill = lambda buf: [buf.__setitem__(i, 0x55) for i in range(len(buf))]
    c = client(mechanism, meter, challenge=b"\x55" * 16)
    c.begin()
    assert c.finish() == "C701410300"


@MECHANISMS
def test_the_wrong_secret(mechanism):
    c = client(mechanism)
    c.secret = b"another secret"
    c.guek = bytes(16)
    c.begin()
    assert c.finish() == "C701410300"


@pytest.mark.parametrize("mechanism", [5, 6], ids=NAMES.get)
def test_mechanisms_that_need_the_clients_title(mechanism):
    c = client(mechanism)
    c.title = None
    got = c.begin()
    assert (got["result"], got["diagnostic"]) == (1, 3)


@MECHANISMS
def test_an_aarq_in_the_middle_begins_anew(mechanism):
    c = client(mechanism)
    c.begin()
    old = c.f()
    c.begin()
    assert c.finish(old) == "C701410300"


@MECHANISMS
def test_release_in_the_middle(mechanism):
    c = client(mechanism)
    c.begin()
    assert c.talk.say("6200") == "6303800100"
    assert c.ask(GET_LDN) == NO_ASSOCIATION


def test_gmac_counters_do_not_go_back():
    meter = Meter()
    c = client(5, meter).open()
    c.talk.channel.release()
    c.begin()
    c.ic = 0
    assert c.finish() == "C701410300"
    c.ic = 7
    c.open()


def test_secrets_are_in_no_repr():
    meter = Meter()
    c = client(6, meter)
    c.begin()
    for thing in (meter.model, meter.server, *meter.server.associations, *meter.model.handlers):
        assert "secret" not in repr(thing)


@pytest.mark.parametrize("mechanism", [3, 4, 6])
def test_a_secret_of_no_length_opens_nothing(mechanism):
    """As a provisioning record leaves it that gives none for a client."""
    meter = Meter()
    for config in meter.model.configs:
        if config[0] == CLIENTS[mechanism]:
            assert meter.model.put_bytes(config[2], 7, b"")
    c = client(mechanism, meter)
    c.secret = b""
    assert c.begin()["diagnostic"] == 14
    assert c.finish() == "C701410300"
    assert c.ask(GET_LDN) == NO_ASSOCIATION


# --- The manufacturer's mechanism -------------------------------------------------------------


def rotated(secret, first, second):
    """An example of a mechanism: nothing that anybody should use."""
    return hmac.new(secret, first + b"!" + second, "sha256").digest()[:24]


EXAMPLE = (
    lambda secret, client, server, stoc, ctos: rotated(secret, client + stoc, server + ctos),
    lambda secret, client, server, stoc, ctos: rotated(secret, server + ctos, client + stoc),
)


class Own(Client):
    def f(self, to_server=True):
        one, other = (self.title or bytes(8)) + self.stoc, SERVER_TITLE + self.challenge
        return rotated(self.secret, *((one, other) if to_server else (other, one)))


def own(meter, **how):
    talk = meter.talk(client=42, server=17)
    return Own(talk, 2, context=1, kind=None, secret=SECRET, **how)


def meter_with(hook):
    meter = Meter()
    meter.model.manufacturer_hls = hook
    return meter


def test_mechanism_2_is_not_there_unless_the_manufacturer_brings_it():
    got = own(Meter()).begin()
    assert (got["result"], got["diagnostic"]) == (1, 11)


@pytest.mark.parametrize("title", [TITLE, None], ids=["with a title", "without one"])
def test_mechanism_2_by_the_manufacturer(title):
    c = own(meter_with(EXAMPLE), title=title).open()
    assert c.ask(GET_LDN).startswith("C4014100")


def test_mechanism_2_without_a_title_knows_nothing_of_who_was_there_before():
    meter = meter_with(EXAMPLE)
    for title in (TITLE, None):
        c = own(meter, title=title).open()
        c.talk.say("6200")


def test_mechanism_2_with_a_wrong_proof():
    c = own(meter_with(EXAMPLE))
    for proof in (bytes(24), b"", bytes(32)):
        c.begin()
        assert c.finish(proof) == "C701410300"
        assert c.ask(GET_LDN) == NO_ASSOCIATION
    c.open()


@pytest.mark.parametrize("n, m", [(0, 0), (33, 33), (8, 9), (9, 8)])
def test_mechanism_2_whose_functions_do_not_keep_the_rule_opens_nothing(n, m):
    c = own(meter_with((lambda *_: bytes(n), lambda *_: bytes(m))))
    c.begin()
    assert c.finish(bytes(n)) == "C701410300"
