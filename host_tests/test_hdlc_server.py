# SPDX-License-Identifier: MIT
"""profiles.hdlc and dlms.server together: what one asks of the other, over the small meter.

test_hdlc.py tries the link with a server that is only a double; here is the real one, and the
client is the one of test_hdlc.py, which makes its frames from the rules.
"""

import pytest
from profiles.hdlc import HDLC
from small import Meter, aarq
from test_hdlc import LLC_IN, LLC_OUT, UI, P, Talk, address, frame, i_frame, parameters, rnr, rr

DISC = 0x53
BOOLEAN = "0001 0000603204FF 02"
LONG = "0001 0000603203FF 02"
VALUE = "0001 0000603201FF 02"
GET = "C001C1 %s 00"
SET = "C101C1 %s 00 %s"


class Steps:
    """A server that needs a few calls for a request, as one with slow cryptography would."""

    def __init__(self, server):
        self._server = server
        self.left = 0

    def __getattr__(self, name):
        return getattr(self._server, name)

    def request(self, *args):
        if self.left:
            self.left -= 1
            return -1
        return self._server.request(*args)


class Line(Talk):
    """A line to a meter; ask() is for one APDU, and joins and acknowledges its answer."""

    def __init__(self, info=(128, 128), window=1, connections=1, client=1, meter=None):
        self.meter = meter or Meter()
        for name in ("dlms.set", "dlms.action"):
            self.meter.server.load(name)  # nobody calls work() here
        self.server = Steps(self.meter.server)
        self.channel = self.server.channel()
        self.hdlc = HDLC(self.server, self.channel, window=window, connections=connections)
        self.now = 0
        self.link = self.hdlc.links[0]
        self.info = info
        self.window = window
        self.who = {"client": client, "server": address(1, 17)}
        self.ns = self.nr = 0

    def snrm(self):
        self.ns = self.nr = 0
        info = parameters(*self.info, self.window, self.window)
        return self.connect(info, **self.who)

    def send(self, hex_):
        """An APDU in as many segments as it needs; the frames that come back."""
        left = LLC_IN + bytes.fromhex(hex_)
        back = []
        while left:
            part, left = left[: self.info[0]], left[self.info[0] :]
            back += self.say(i_frame(self.ns, self.nr, part, more=bool(left), **self.who))
            self.ns = self.ns + 1 & 7
        return back

    def join(self, frames, whole=b""):
        """The APDU that these frames go on with; the client polls for the rest."""
        while True:
            frames = [f for f in frames if f.kind == "I"]
            if not frames:
                return whole.hex().upper()
            for f in frames:
                assert f.ns == self.nr
                self.nr = self.nr + 1 & 7
                whole += f.info
            if not frames[-1].more:
                assert whole[:3] == LLC_OUT
                return whole[3:].hex().upper()
            frames = self.say(rr(self.nr, **self.who))

    def ask(self, hex_):
        return self.join(self.send(hex_))

    def open(self, secret=b"12345678"):
        self.snrm()
        got = self.ask(aarq(secret).hex())
        assert "A203020100A305A103020100" in got
        return self


def test_everything_in_segments_of_32_octets():
    """AARQ and SET come in segments, AARE and the answer go out in segments."""
    t = Line(info=(32, 32)).open()
    data = "0982012C" + "5A" * 300
    assert t.ask(SET % (LONG, data)) == "C501C100"
    assert t.ask(GET % LONG) == "C401C100" + data


@pytest.mark.parametrize("window", [1, 2, 3, 7])
def test_a_long_answer_in_every_window(window):
    t = Line(info=(64, 64), window=window).open()
    data = "0982012C" + "A5" * 300
    assert t.ask(SET % (LONG, data)) == "C501C100"
    assert t.ask(GET % LONG) == "C401C100" + data


def test_a_lost_frame_of_a_window_is_sent_again():
    t = Line(info=(64, 64), window=3).open()
    data = "0982012C" + "A5" * 300
    t.ask(SET % (LONG, data))
    frames = t.send(GET % LONG)
    assert [f.ns for f in frames] == [t.nr, t.nr + 1 & 7, t.nr + 2 & 7]
    # The second is lost: only the first is acknowledged.
    t.nr = t.nr + 1 & 7
    again = t.say(rr(t.nr, **t.who))
    assert again[0].ns == t.nr and again[0].info == frames[1].info
    assert t.join(again, frames[0].info) == "C401C100" + data


def test_a_client_that_is_not_ready_gets_nothing_until_it_is():
    t = Line(info=(64, 64)).open()
    data = "0982012C" + "A5" * 300
    t.ask(SET % (LONG, data))
    (first,) = t.send(GET % LONG)
    nr = t.nr + 1 & 7
    assert [f.kind for f in t.say(rnr(nr, **t.who), rnr(nr, **t.who))] == ["RR", "RR"]
    (second,) = t.say(rr(nr, **t.who))
    assert (second.kind, second.ns) == ("I", nr)
    assert first.info[3:] == bytes.fromhex("C401C100" + data)[: len(first.info) - 3]


def test_a_server_that_has_work_to_do_answers_when_it_is_done():
    t = Line().open()
    t.server.left = 4
    ask = i_frame(t.ns, t.nr, LLC_IN + bytes.fromhex(SET % (VALUE, "1109")), **t.who)
    edits = t.meter.model.edits
    t.none(ask)
    (answer,) = t.wait(40)
    assert answer.info == LLC_OUT + bytes.fromhex("C501C100")
    assert t.meter.model.edits == edits + 1
    t.ns, t.nr = t.ns + 1 & 7, t.nr + 1 & 7
    assert t.ask(GET % VALUE) == "C401C1001109"


def test_a_frame_that_comes_twice_is_done_once():
    """The answer was lost, the client repeats its request: the value is not toggled twice."""
    t = Line().open()
    edits = t.meter.model.edits
    ask = i_frame(t.ns, t.nr, LLC_IN + bytes.fromhex(SET % (VALUE, "1109")), **t.who)
    (answer,) = t.say(ask)
    (again,) = t.say(ask)
    assert again.info == answer.info == LLC_OUT + bytes.fromhex("C501C100")
    assert t.meter.model.edits == edits + 1


def test_a_request_longer_than_all_buffers_is_refused_and_writes_nothing():
    t = Line().open()
    before = t.ask(GET % LONG)
    got = t.ask(SET % (LONG, "09820320" + "77" * 800))
    assert got.startswith("D8"), got
    assert t.ask(GET % LONG) == before


def test_disc_ends_the_association():
    t = Line().open()
    t.one(frame(DISC, **t.who))
    t.snrm()
    assert t.ask(GET % VALUE).startswith("D8")


def test_snrm_ends_the_association_too():
    t = Line().open()
    t.snrm()
    assert t.ask(GET % VALUE).startswith("D8")


def test_silence_ends_the_link_and_the_association():
    t = Line().open()
    t.wait(121_000, step=1000)
    assert t.one(rr(t.nr, **t.who)).kind == "DM"
    t.snrm()
    assert t.ask(GET % VALUE).startswith("D8")


def test_an_unconfirmed_request_in_a_ui_frame_takes_effect_without_an_answer():
    t = Line().open()
    t.none(frame(UI & ~P, LLC_IN + bytes.fromhex("C10181" + VALUE + "00 112A"), **t.who))
    assert t.ask(GET % VALUE) == "C401C100112A"


def test_two_clients_have_links_of_their_own():
    meter = Meter()
    t = Line(connections=2, meter=meter).open()
    other = {"client": 16, "server": address(1, 17)}
    assert t.one(frame(0x93, parameters(128, 128, 1, 1), **other)).kind == "UA"
    opening = LLC_IN + aarq(None)
    aare = t.one(i_frame(0, 0, opening, **other))
    assert b"\xa2\x03\x02\x01\x00" in aare.info
    assert t.ask(SET % (VALUE, "1107")) == "C501C100"
    reply = t.one(i_frame(1, 1, LLC_IN + bytes.fromhex(SET % (VALUE, "1108")), **other))
    assert reply.info[3:] != bytes.fromhex("C501C100")
    assert t.ask(GET % VALUE) == "C401C1001107"
    t.one(frame(DISC, **other))
    assert t.ask(GET % BOOLEAN) == "C401C1000301"


def test_wrong_llc_and_empty_requests_are_silent_and_harmless():
    t = Line().open()
    for info in (b"\xe6\xe7\x00" + bytes.fromhex(GET % VALUE), b"\xe6", LLC_IN):
        (f,) = t.say(i_frame(t.ns, t.nr, info, **t.who))
        t.ns = t.ns + 1 & 7
        if f.kind == "I":
            t.nr = t.nr + 1 & 7
            assert f.info[3:4] == b"\xd8"
        else:
            assert f.kind == "RR"
    assert t.ask(GET % VALUE) == "C401C1001107"
