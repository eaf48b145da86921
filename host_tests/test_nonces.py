# SPDX-License-Identifier: MIT
"""No system title, invocation counter and key together twice, whatever keys clients bring.

A state machine (hypothesis): clients of two Security setups have a few keys between them. They
transfer them, as global keys of either, back and forth; they come with them as dedicated keys, and
wrapped in their requests; between that the meter lets go of security when nobody needs it, is
restarted, and loses power at any save. All
that it protects is taken apart with keys that the client has, and looked at: a counter that comes
twice under one key, whatever that is used for, is found.
"""

import pytest
from dlms import ciphering
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule
from secure import GUEK, GUEKS, AE
from secure_general import General0
from small import Meter
from test_security_setup import DONE, GAK_ID, GET, GUEK_ID, VALUE, transfer

FREE, STRICT = 40, 41  # of Security setups 1 and 2
SETUPS = {FREE: "2B0001FF", STRICT: "2B0002FF"}
KEYS = [bytes([n]) * 16 for n in (0xA1, 0xA2, 0xA3)]
REFUSED = "C70141FA00"
PORTION = 4


class Cut(BaseException):
    """Power fails. (Jobs catch every Exception.)"""


class Sent:
    """What the meter has protected: keys with counters."""

    def __init__(self):
        self.all = set()

    def add(self, key, counter):
        assert (key, counter) not in self.all, "counter %s comes again" % counter.hex()
        self.all.add((key, counter))


class Witness(General0):
    """A client that tells which key the meter has used with which counter."""

    def __init__(self, sent, talk, **how):
        self.sent = sent
        General0.__init__(self, talk, **how)

    def unprotect(self, octets):
        text = General0.unprotect(self, octets)
        self.look()
        return text

    def finish(self, proof=None):
        got = General0.finish(self, proof)
        self.look()
        return got

    def look(self):
        for ded, counter in self.server_ics:
            self.sent.add(self.dedicated if ded else self.guek, counter)
        for key, counter in self.seen:
            self.sent.add(key, counter)
        self.server_ics, self.seen = [], []


class Clients(RuleBasedStateMachine):
    def __init__(self):
        super().__init__()
        self.whole = ciphering.ahead
        ciphering.ahead = lambda counter, n=PORTION: self.whole(counter, n)
        self.sent = Sent()
        # Those that may be in force, the likeliest first.
        self.keys = {FREE: [GUEK], STRICT: [GUEKS[STRICT]]}
        # Counters of clients, and transaction-ids: always above all that were used.
        self.n = 0
        self.cut_at, self.cut_after = -1, False
        self.image = None
        self.starts = 0

    def teardown(self):
        ciphering.ahead = self.whole

    @initialize()
    def power(self):
        """The meter starts, with what was saved last."""
        self.meter = Meter(image=self.image)
        self.meter.model.save = self.save
        self.client = None
        self.starts += 1
        self.n += 100

    def save(self):
        self.cut_at -= 1
        if self.cut_at == 0 and not self.cut_after:
            raise Cut
        self.image = bytes(self.meter.model.image)
        if self.cut_at == 0:
            raise Cut
        return True

    def come(self, sap, guek, **how):
        talk = self.meter.talk(sap, 17)
        c = Witness(self.sent, talk, guek=guek, ic=self.n, **how)
        c.fresh_ic = c.transaction = self.n
        got = c.begin()
        if got["result"]:
            talk.channel.release()
            self.leave(c)
            return None
        assert c.finish() == "ok"
        self.client = c
        return c

    def leave(self, c):
        self.n = max(self.n, c.ic, c.fresh_ic, c.transaction) + 1

    def lives(self, what, *of):
        """Do it, unless power fails meanwhile."""
        try:
            return what(*of)
        except Cut:
            self.client = None
            self.power()
            return None

    # --- What happens

    @rule(
        sap=st.sampled_from([FREE, STRICT]),
        kind=st.sampled_from(["glo", "ded", "wrapped", "identified"]),
        key=st.sampled_from(KEYS + [GUEK, GUEKS[STRICT]]),
    )
    def comes(self, sap, kind, key):
        """A client, perhaps with a key of its own."""
        if self.client is not None:
            self.leave(self.client)
            self.client.talk.channel.release()
            self.client = None
        dedicated = key if kind == "ded" else None
        starts = self.starts
        for guek in list(self.keys[sap]):
            c = self.lives(lambda g: self.come(sap, g, kind=kind, dedicated=dedicated), guek)
            if c is not None:
                c.content_key = key
                self.keys[sap] = [guek]
                return
        assert self.starts > starts, "nobody is shut out"

    @precondition(lambda self: self.client is not None)
    @rule(n=st.integers(1, 3 * PORTION))
    def gets(self, n):
        while n and self.client is not None:
            assert self.lives(self.client.ask, GET) in (VALUE, None)
            n -= 1

    @precondition(lambda self: self.client is not None)
    @rule(sap=st.sampled_from([FREE, STRICT]), key=st.sampled_from(KEYS), kept=st.booleans())
    def transfers(self, sap, key, kept):
        """A global key, to its own Security setup or the other one. kept: one that is there."""
        if kept:
            key = self.keys[sap][0]
        request = transfer((GUEK_ID, key)).replace(SETUPS[FREE], SETUPS[sap])
        c = self.client
        held = self.keys[sap]
        others = self.keys[STRICT if sap == FREE else FREE]
        got = self.lives(c.ask, request)
        if got is None:
            if key not in held:
                held.append(key)
            return
        if len(others) == 1:
            assert got == (REFUSED if key == others[0] else DONE)
        if got == DONE:
            self.keys[sap] = [key]
            if c.talk.client == sap:
                self.leave(c)
                c.guek = key

    @rule(leaves=st.booleans(), saves=st.booleans())
    def rests(self, leaves, saves):
        """Between two requests: what nobody needs is let go of; and the state may be saved."""
        if leaves and self.client is not None:
            self.leave(self.client)
            self.client.talk.channel.release()
            self.client = None
        server = self.meter.server
        server.forget()
        assert (server.secured is None) >= (self.client is None)
        assert server.rests()
        if saves:
            self.lives(self.save)

    @rule()
    def orderly(self):
        handler = self.meter.model.handler("security_setup")
        if handler is not None:
            handler.settle()
        self.image = bytes(self.meter.model.image)
        self.off()

    @rule()
    def cut(self):
        self.off()

    def off(self):
        if self.client is not None:
            self.leave(self.client)
        self.power()

    @rule(n=st.integers(1, 3), after=st.booleans())
    def will_be_cut(self, n, after):
        """Power fails at a save that is to come, before or after that has been done."""
        self.cut_at, self.cut_after = n, after


Clients.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestClients = Clients.TestCase


# --- Ways that are worth a look of their own -------------------------------------------------


def client(meter, sent, sap=FREE, **how):
    return Witness(sent, meter.talk(sap, 17), **how).open()


def test_a_key_that_comes_back():
    """K1, K2, K1."""
    meter, sent = Meter(), Sent()
    c = client(meter, sent, kind="glo")
    for key in (KEYS[0], KEYS[1], KEYS[0], KEYS[1], KEYS[0]):
        assert c.ask(transfer((GUEK_ID, key))) == DONE
        c.guek, c.ic = key, 0
        assert c.ask(GET) == VALUE
    assert len([k for k, _ in sent.all if k == KEYS[0]]) > 3


def test_a_key_that_goes_from_one_setup_to_another():
    meter, sent = Meter(), Sent()
    c = client(meter, sent, kind="glo")
    other = client(meter, sent, STRICT, kind="glo")
    assert other.ask(transfer((GUEK_ID, KEYS[0])).replace(SETUPS[FREE], SETUPS[STRICT])) == DONE
    assert c.ask(transfer((GUEK_ID, KEYS[0]))) == REFUSED
    assert c.ask(transfer((GUEK_ID, GUEKS[STRICT]))) == DONE, "free again"
    c.guek, c.ic = GUEKS[STRICT], 0
    other.guek, other.ic = KEYS[0], 0
    for _ in range(5):
        assert c.ask(GET) == other.ask(GET) == VALUE


@pytest.mark.parametrize("key", [KEYS[0], GUEK, GUEKS[STRICT]])
def test_one_dedicated_key_again_and_for_two(key):
    """Also one that is a global key, of this client or another."""
    meter, sent = Meter(), Sent()
    for _ in range(2):
        both = [
            client(meter, sent, sap, kind="ded", dedicated=key, ic=ic)
            for sap, ic in ((FREE, 50 * len(sent.all)), (STRICT, 50 * len(sent.all)))
        ]
        for c in both:
            assert c.ask(GET) == VALUE
            assert c.ask(GET, kind="glo") == VALUE
        for c in both:
            c.talk.channel.release()


@pytest.mark.parametrize("key", [KEYS[0], GUEK, GUEKS[STRICT]])
def test_one_wrapped_key_for_two(key):
    meter, sent = Meter(), Sent()
    for sap in (FREE, STRICT):
        c = client(meter, sent, sap, kind="glo")
        c.content_key = key
        for kind in ("wrapped", "glo", "identified"):
            assert c.ask(GET, kind=kind) == VALUE


def test_who_only_asks_has_no_counters_saved():
    """Nobody is there, anybody asks for an association again and again: not one write for that."""
    meter, sent = Meter(), Sent()
    client(meter, sent, kind="glo").talk.channel.release()
    meter.server.forget()
    saves = len(meter.saved)
    for _ in range(200):
        talk = meter.talk(FREE, 17)
        # Its protection is wrong, and takes no counter of the meter.
        wrong = Witness(sent, talk, guek=KEYS[0], kind="glo").begin()
        assert wrong["result"] == 1
        meter.forgive()
        talk.channel.release()
        meter.server.forget()
        assert meter.server.secured is None
    assert len(meter.saved) == saves


def test_a_client_that_comes_and_goes_has_its_counters_saved_once():
    meter, sent = Meter(), Sent()
    ic = 0
    for _ in range(20):
        c = client(meter, sent, kind="glo", ic=ic)
        assert c.ask(GET) == VALUE
        ic = c.ic
        c.talk.channel.release()
        saves = len(meter.saved)
        meter.server.forget()
        assert len(meter.saved) == saves
    # Saved is a portion twice, see security_setup.py.
    assert len(meter.saved) <= 2 * 20


def test_requests_of_before_security_was_let_go_of_are_not_taken_again():
    meter, sent = Meter(), Sent()
    c = client(meter, sent, kind="glo")
    before = [c.protect(bytes.fromhex(GET.replace(" ", ""))) for _ in range(3)]
    for apdu in before:
        assert not c.talk.say(apdu.hex()).startswith("D8")
    c.talk.channel.release()
    meter.server.forget()
    again = client(meter, sent, kind="glo", ic=c.ic)
    for apdu in before:
        assert again.talk.say(apdu.hex()).startswith("D80106")


def test_keys_that_wait_for_an_answer_nobody_hears_are_in_force():
    """The answer was being sealed when its client went: the counters of the old key go with it."""
    meter, sent = Meter(), Sent()
    c = client(meter, sent, kind="glo", ic=1000)
    context = c.talk.channel.last.context
    handler = meter.model.handler("security_setup")
    context.changed = 1  # GUEK
    meter.server.secured.waits = True
    at = meter.model.state(context.row, 0)
    meter.model.image[at : at + 16] = KEYS[0]
    c.talk.channel.release()
    meter.server.forget()
    assert meter.server.secured is None and handler.sleeps()
    assert client(meter, sent, guek=KEYS[0], kind="glo", ic=0).ask(GET) == VALUE


def test_counters_that_could_not_be_saved_are_not_asked_for_at_once():
    meter, sent = Meter(), Sent()
    asked = []
    meter.model.save = lambda: asked.append(1) and False
    for _ in range(5):
        talk = meter.talk(FREE, 17)
        assert Witness(sent, talk, kind="glo").begin()["result"]
        talk.channel.release()
        meter.forgive()
        meter.server.forget()
    assert len(asked) == 1 and meter.server.secured is not None
    meter.model.handler("security_setup").tick(0)
    meter.server.forget()
    assert meter.server.secured is None


def test_counters_that_others_have_used_meanwhile():
    """While a method was waited for; what it has done is answered."""
    meter, sent = Meter(), Sent()
    c = client(meter, sent, kind="glo")
    a = c.talk.channel.last
    apdu = bytearray(c.protect(bytes.fromhex(transfer((GAK_ID, KEYS[0])))))
    while a.code is None:
        assert meter.server.request(c.talk.channel, FREE, 17, apdu, 0, len(apdu)) < 0
        meter.server.work()
    key = a.context.unicast
    key.tx[:] = key.tx_end
    got = c.unprotect(bytes.fromhex(c.talk.say(apdu.hex())))
    assert got.hex().upper() == DONE


def test_a_meter_whose_setups_have_one_key_already():
    """From a definition or a record of before that was refused."""
    meter, sent = Meter(), Sent()
    for row in meter.model.rows(64)[:2]:
        at = meter.model.state(row, 0)
        meter.model.image[at : at + 16] = KEYS[0]
    both = [client(meter, sent, sap, guek=KEYS[0], kind="glo") for sap in (FREE, STRICT)]
    for c in both * 3:
        assert c.ask(GET, sc=AE) == VALUE
