# SPDX-License-Identifier: MIT
"""Association loss in every state (lib/dlms/association.py): whatever runs, and however it ends.

The tests are made from the tables TRANSITIONS and CONTINUES: what is left, and what the next block
of a long transfer hears. Nothing that came in parts before the loss is ever carried out.
"""

import itertools

import pytest
from dlms import association
from profiles.hdlc import HDLC
from profiles.wrapper import Wrapper
from secure import Client
from small import Meter, aarq
from suites import SigningClient, SuitesMeter
from test_action import REGISTER, meter  # noqa: F401 (the fixture)
from test_association import ALWAYS_OPEN, EVENTS, GET_LDN, LDN, NO_ASSOCIATION, STATES
from test_hdlc import UI, frame, i_frame
from test_pre_established import GET as GET_FIXED
from test_pre_established import VALUE as VALUE_FIXED
from test_pre_established import client as pre_established

OCTETS = "0001 0000603203FF 02"
GET_OCTETS = "C001C1 " + OCTETS + " 00"
SECRET = b"12345678"
DISC, SNRM = 0x53, 0x93

# What runs: the request that begins it, the start of its answer, the block that comes next, and
# the rows and columns of CONTINUES.
RUNNING = {
    "NO_TRANSFER": (None, "", "C002C1 00000001", 0, 0),
    "LONG_GET": (GET_OCTETS, "C402C100", "C002C1 00000001", 1, 0),
    "LONG_SET": (
        "C102C1" + OCTETS + "00 00 00000001 03 0904AA", "C502C100000001",
        "C103C1 01 00000002 03 BBCCDD", 2, 1,
    ),
    "LONG_ACTION_REQUEST": (
        "C304C1" + REGISTER + "01 00 00000001 02 0903", "C704C100000001",
        "C306C1 01 00000002 03 AABBCC", 3, 2,
    ),
    "LONG_ACTION_RESPONSE": (
        "C301C1" + REGISTER + "01 01 0F00", "C702C100", "C302C1 00000001", 4, 3
    ),
}  # fmt: skip
# Which answer carries the result of each column of CONTINUES.
RESULTS = ("C402C101%s01%02X", "C503C1%02X%s", "C701C1%02X00", "C701C1%02X00")


def result_of(what, after):
    """What the next block of a transfer hears that is no more; after: the state."""
    if after != STATES["OPEN"]:
        return NO_ASSOCIATION
    block, column = RUNNING[what][2].replace(" ", ""), RUNNING[what][4]
    code = association.CONTINUES[0][column]
    number = block[6:14] if column == 0 else block[8:16]
    return (
        RESULTS[column] % ((number, code) if column == 0 else (code, number))
        if column < 2
        else RESULTS[column] % code
    )


# However an association ends: the event that it is, and how a client or a link brings it about.
CAUSES = {
    "its link is gone": ("ABORTED", lambda t: t.channel.release()),
    "it is released": ("RLRQ", lambda t: t.say("6200")),
    "an AARQ is accepted": ("ACCEPTED", lambda t: t.open(max_pdu=60)),
    "an AARQ is refused": ("REJECTED", lambda t: t.open(b"wrong")),
}


@pytest.mark.parametrize("what, cause", list(itertools.product(RUNNING, CAUSES)))
def test_what_runs(meter, what, cause):  # noqa: F811
    meter.double.returns = b"\x09\x50" + bytes(0x50)
    t = meter.management(max_pdu=60)
    assert t.say(SET_LONG) == "C501C100"
    request, answer, block, row, _ = RUNNING[what]
    if request:
        assert t.say(request).startswith(answer)
        (a,) = [a for a in meter.server.associations if a.state]
        assert a.transfer == row
    calls = list(meter.double.calls)
    event, bring_about = CAUSES[cause]
    after = association.TRANSITIONS[STATES["OPEN"]][EVENTS[event]]
    bring_about(t)
    assert [a.state for a in meter.server.associations if a.state] == [after] * (after > 0)
    assert t.say(block) == result_of(what, after)
    # It is as if nothing had been asked, and the next one is served like any other.
    assert meter.double.calls == calls
    if not after:
        t.open()
    assert t.say(GET_LDN) == LDN
    assert t.say("C001C1 0001 0000603201FF 02 00") == "C401C1001107"
    assert OLD in meter.management().say(GET_OCTETS)


OLD = "5A" * 80
SET_LONG = "C101C1 " + OCTETS + " 00 0950" + OLD


@pytest.mark.parametrize("cause", [cause for cause in CAUSES if CAUSES[cause][0] != "REJECTED"])
def test_blocks_of_general_block_transfer(cause):
    """An answer in blocks, of which one is here, and a request, of which one is there. (No client
    of this meter has a secret and these blocks: an AARQ is not refused.)"""
    event, bring_about = CAUSES[cause]
    for request in ("C00141 0001 0000603C02FF 02 00", "E0050001000005 C001410001"):
        m = SuitesMeter()
        t = m.talk(client=55, server=17)
        t.open = lambda t=t, max_pdu=59: t.say(aarq(None, max_pdu=max_pdu).hex())
        t.open()
        t.say("C10141 0001 0000603C02FF 02 00 0950" + OLD)
        assert t.say(request).startswith("E0")
        after = association.TRANSITIONS[STATES["OPEN"]][EVENTS[event]]
        bring_about(t)
        assert t.channel.more is None
        got = t.say("E0850002000100")
        if after:
            assert OLD[:20] not in got, "nothing of what ran"
        else:
            assert got == NO_ASSOCIATION
            t.open()
        assert t.say("C00141 0001 0000603C01FF 02 00").startswith("C40141")


@pytest.mark.parametrize("cause", CAUSES)
def test_hls_between_the_passes(cause):
    """PENDING: the challenge is as gone as the association."""
    m = Meter()
    c = Client(m.talk(client=43, server=17), 3, 1, None, secret=b"secret of small")
    c.begin()
    stoc, proof = c.stoc, c.f()
    event, bring_about = CAUSES[cause]
    if event == "ACCEPTED":
        c.begin()
        event = "PENDING"
    elif event == "REJECTED":
        assert c.talk.say(c.aarq().hex().replace("60857405080101", "60857405080102"))
    else:
        bring_about(c.talk)
    after = association.TRANSITIONS[STATES["PENDING"]][EVENTS[event]]
    assert [a.state for a in m.server.associations if a.state] == [after] * (after > 0)
    assert c.finish(proof) != "ok" and (after or c.stoc == stoc)
    c.open()
    assert c.ask("C00141 0001 00002A0000FF 02 00").startswith("C40141")


@pytest.mark.parametrize("event", ["RLRQ", "REJECTED", "ABORTED"])
def test_a_pre_established_one(event):
    c = pre_established()
    assert c.ask(GET_FIXED) == VALUE_FIXED
    after = association.TRANSITIONS[ALWAYS_OPEN][EVENTS[event]]
    if event == "RLRQ":
        assert c.talk.say("6200") == "6303800101"
    elif event == "REJECTED":
        assert c.aare(bytes.fromhex(c.talk.say(c.aarq(protect=False).hex())))["result"] == 1
    else:
        c.talk.channel.release()
    assert [a.state for a in c.talk.meter.server.associations if a.state] == [after] * (after > 0)
    assert c.ask(GET_FIXED) == VALUE_FIXED
    # Who has seen the title once knows it; where the place was given up it has to be said again.
    c.kind = "glo"
    assert c.ask(GET_FIXED) == VALUE_FIXED


def test_the_answer_of_a_job_is_for_nobody_else():
    """A proof is checked, a signature made, between requests; whose client has gone hears
    nothing, and the place is free."""
    m = SuitesMeter()
    c = SigningClient(m, 1)
    c.begin()
    proof = c.PASS_3 + "0940" + c.f().hex()
    apdu = bytearray(c.protect(bytes.fromhex(proof)))
    channel = c.talk.channel
    n = m.server.request(channel, 51, 17, apdu, 0, len(apdu))
    assert n == -1 and m.server.todo
    m.server.work()
    channel.release()
    while m.server.todo:
        m.server.work()
    assert not any(a.state for a in m.server.associations)
    assert m.server.request(channel, 51, 17, apdu, 0, len(apdu)) == 3
    assert m.server.fault is None


# --- The release rules of each profile -------------------------------------------------------


def wpdu(apdu, client=1, server=1):
    return b"".join(n.to_bytes(2, "big") for n in (1, client, server, len(apdu))) + apdu


class Wrapped:
    """Client 1 over the wrapper."""

    udp = False

    def __init__(self, meter):  # noqa: F811
        self.now = 0
        self.profile = Wrapper(meter.server, meter.server.channel(), self.udp)
        self.profile.configure(180)

    def ask(self, apdu, client=1, server=1):
        octets = wpdu(bytes.fromhex(apdu.replace(" ", "")), client, server)
        self.profile.receive(octets, 0, len(octets), self.now)
        n = self.profile.transmit(self.now)
        return bytes(self.profile.out[self.profile.out_pos : self.profile.out_pos + n])[8:].hex()

    def tell(self, apdu, client, server):
        """To all stations, or unconfirmed."""
        return self.ask(apdu, client, server)

    def wait(self, seconds):
        self.profile.tick(self.now)
        self.now += seconds * 1000
        self.profile.tick(self.now)
        if self.profile.closed:
            self.profile.reset()  # what firmware/links/stream.py does with that


class Datagrams(Wrapped):
    udp = True


class Framed(Wrapped):
    """Client 1 over HDLC, in one link."""

    def __init__(self, meter):  # noqa: F811
        self.now = 0
        self.profile = HDLC(meter.server, meter.server.channel())
        self.exchange(frame(SNRM, client=1))
        self.ns = 0

    def exchange(self, octets):
        back = []
        pos = 0
        while pos < len(octets):
            pos = self.profile.receive(octets, pos, len(octets), self.now)
            while n := self.profile.transmit(self.now):
                back.append(bytes(self.profile.out[:n]))
        return back

    def ask(self, apdu, client=1):
        apdu = b"\xe6\xe6\x00" + bytes.fromhex(apdu.replace(" ", ""))
        (got,) = self.exchange(i_frame(self.ns, self.ns, apdu, client=client))
        self.ns = self.ns + 1 & 7
        return got[11:-3].hex()

    def tell(self, apdu, client, server):
        apdu = b"\xe6\xe6\x00" + bytes.fromhex(apdu.replace(" ", ""))
        return self.exchange(frame(UI, apdu, client=client, server=bytes((server << 1 | 1,))))

    def disc(self):
        self.exchange(frame(DISC, client=1))

    def snrm(self):
        self.exchange(frame(SNRM, client=1))


PROFILES = {"TCP": Wrapped, "UDP": Datagrams, "HDLC": Framed}

# Profile, what happens, and whether the association is open after it.
RULES = [
    ("TCP", "RLRQ", lambda c: c.ask("6200"), False),
    ("TCP", "the connection is closed", lambda c: c.profile.reset(), False),
    ("TCP", "silence of 179 s", lambda c: c.wait(179), True),
    ("TCP", "silence of 180 s", lambda c: c.wait(180), False),
    ("UDP", "RLRQ", lambda c: c.ask("6200"), False),
    ("UDP", "the peer's place is given to another", lambda c: c.profile.reset(), False),
    ("UDP", "silence of 179 s", lambda c: c.wait(179), True),
    ("UDP", "silence of 180 s", lambda c: c.wait(180), False),
    ("HDLC", "RLRQ", lambda c: c.ask("6200"), False),
    ("HDLC", "DISC", lambda c: c.disc(), False),
    ("HDLC", "SNRM again", lambda c: c.snrm(), False),
    ("HDLC", "the line went", lambda c: c.profile.reset(), False),
    ("HDLC", "silence of 119 s", lambda c: c.wait(119), True),
    ("HDLC", "silence of 120 s", lambda c: c.wait(120), False),
]


def name(x):
    return "" if callable(x) else str(x)[:30]


@pytest.mark.parametrize("profile, what, happens, stays", RULES, ids=name)
def test_release(meter, profile, what, happens, stays):  # noqa: F811
    c = PROFILES[profile](meter)
    assert "a203020100" in c.ask(aarq(SECRET).hex())
    happens(c)
    assert any(a.state for a in meter.server.associations) == stays


# --- Unconfirmed associations ----------------------------------------------------------------


@pytest.mark.parametrize("profile", PROFILES)
def test_an_unconfirmed_association_ends_with_silence(meter, profile):  # noqa: F811
    """By UI before there is a link, in HDLC. Nothing is answered, and nothing stays for ever."""
    c = PROFILES[profile](meter)
    if profile == "HDLC":
        c.disc()
    c.tell(aarq(None, options="00010000").hex(), 16, 1)
    assert [a.client_sap for a in meter.server.associations if a.state] == [16]
    c.wait(119)
    assert any(a.state for a in meter.server.associations)
    c.wait(300)
    assert not any(a.state for a in meter.server.associations)


def test_a_frame_that_nobody_answers_opens_no_confirmed_association(meter):  # noqa: F811
    t = meter.talk(client=16)
    assert t.say(aarq(None).hex(), confirmed=0) == ""
    assert not any(a.state for a in meter.server.associations)
    assert t.say(aarq(None, options="00010000").hex(), confirmed=0) == ""
    assert [a.confirmed for a in meter.server.associations if a.state] == [False]


def test_hls_needs_answers(meter):  # noqa: F811
    """Pass 2 and pass 4 would not come: such an AARQ opens nothing, and takes no place."""
    t = meter.talk(client=43, server=17)
    assert t.say(aarq(bytes(16), mechanism=3, options="00010000").hex()) == ""
    assert not any(a.state for a in meter.server.associations)
    assert "A203020100A305A10302010E" in t.say(aarq(bytes(16), mechanism=3).hex())
