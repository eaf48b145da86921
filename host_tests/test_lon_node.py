# SPDX-License-Identifier: MIT
"""lib/profiles/lon_node.py: addresses, transactions, and what comes twice. Frames are put
together by hand, see test_lon_frame.py."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from profiles.lon_node import BODY, Node

MASK = 0x3FFFFFFF
UNIQUE = "0102030405FF"
# The domain is 51; the meter is node 2 of subnet 3, member 4 of group 7; node 5 of subnet 1 asks.
REQUEST = "00 19 0185 0382 51 05 2DAA"
RESPONSE = "00 19 0382 0185 51 25 "
ACKNOWLEDGED = "00 09 0185 0382 51 05 2DAA"
ACKNOWLEDGEMENT = "00 09 0382 0185 51 25"


class Talk:
    def __init__(self, start_ms=MASK - 500):
        self.node = node = Node(40)
        node.subnet, node.node, node.domain_code = 3, 2, 1
        node.domain[0] = 0x51
        node.unique[:] = bytes.fromhex(UNIQUE)
        node.groups[2], node.members[2] = 7, 4
        self.now = start_ms

    def say(self, octets):
        """The APDU that is handed on, None: none is."""
        octets = bytes.fromhex(octets)
        if not self.node.receive(octets, 0, len(octets), self.now):
            return None
        return octets[self.node.came.at : self.node.came.end].hex().upper()

    def answer(self, apdu="2DBB"):
        apdu = bytes.fromhex(apdu)
        self.node.out[BODY : BODY + len(apdu)] = apdu
        return self.node.respond(len(apdu))

    def goes(self):
        """The frame that is to be sent, "": none."""
        node = self.node
        if not node.poll(self.now):
            return ""
        octets = bytes(node.out[node.out_pos : node.out_pos + node.out_n])
        node.sent()
        return octets.hex().upper()

    def wait(self, ms):
        self.now = self.now + ms & MASK


def plain(octets):
    return octets.replace(" ", "").upper()


@pytest.fixture
def talk():
    return Talk()


def test_a_request_and_its_response(talk):
    assert talk.say(REQUEST) == "2DAA" and talk.node.wants
    assert talk.goes() == ""
    assert talk.answer()
    assert talk.goes() == plain(RESPONSE + "2DBB")
    assert talk.goes() == ""


def test_a_request_that_comes_again_hears_the_same(talk):
    talk.say(REQUEST)
    talk.answer()
    talk.goes()
    assert talk.say(REQUEST) is None
    assert talk.goes() == plain(RESPONSE + "2DBB")
    # The next one has another number.
    assert talk.say(REQUEST.replace("51 05", "51 06")) == "2DAA"


def test_a_request_that_comes_again_before_its_answer(talk):
    """It waits for the same answer."""
    talk.say(REQUEST)
    assert talk.say(REQUEST) is None
    assert talk.say("00 19 0186 0382 51 05 2DCC") is None, "one at a time"
    assert talk.node.n_lost == 2
    talk.answer()
    assert talk.goes() == plain(RESPONSE + "2DBB")
    assert talk.say("00 19 0186 0382 51 05 2DCC") == "2DCC"


def test_nothing_takes_the_place_of_a_request_that_waits(talk):
    """Unacknowledged messages, too; nor that of one which the host still works at."""
    unacknowledged = "00 31 0186 00 51 2DCC"
    talk.say(REQUEST)
    assert talk.say(unacknowledged) is None and talk.node.n_lost == 1
    assert talk.answer() and talk.goes() == plain(RESPONSE + "2DBB")
    talk.node.held = True
    assert talk.say(unacknowledged) is None
    assert talk.say("00 01 0186 00 51 17 2DCC") is None and talk.node.n_lost == 3
    talk.node.held = False
    assert talk.say("00 01 0186 00 51 17 2DCC") == "2DCC", "its repetition"


def test_a_number_that_comes_when_the_clock_of_rows_has_gone_round(talk):
    """Somebody has to call forget() in between."""
    talk.say(REQUEST)
    talk.answer()
    talk.goes()
    for _ in range(18):
        talk.wait(60000)
        talk.node.forget(talk.now)
    talk.wait((1 << 20) - 18 * 60000 & MASK)
    assert talk.say(REQUEST) == "2DAA"


def test_after_a_reset_nothing_of_before_is_sent(talk):
    talk.say(REQUEST)
    talk.answer()
    talk.node.reset()
    assert talk.goes() == ""
    talk.node.send(0, 0, 0, 2, talk.now)
    talk.node.reset()
    talk.wait(talk.node.repeat_ms)
    assert talk.goes() == "" and not talk.node.is_sending()


def test_an_answer_that_has_been_overwritten_is_not_given_to_others(talk):
    talk.say(REQUEST)
    talk.answer()
    talk.goes()
    talk.say("00 19 0186 0382 51 09 2DCC")
    talk.answer("2DDD")
    talk.goes()
    assert talk.say(REQUEST) is None and talk.goes() == ""


def test_a_number_may_be_used_again_after_its_time(talk):
    talk.say(REQUEST)
    talk.answer()
    talk.goes()
    talk.wait(talk.node.receive_ms + 32)
    assert talk.say(REQUEST) == "2DAA"


def test_what_nobody_answers_is_given_up(talk):
    """The server has crashed, or takes too long: others are served."""
    talk.say(REQUEST)
    talk.wait(talk.node.receive_ms + 32)
    assert talk.say("00 19 0186 0382 51 05 2DCC") == "2DCC"
    talk.answer("2DDD")
    assert talk.goes() == plain("00 19 0382 0186 51 25 2DDD")
    talk.say(REQUEST)
    talk.wait(talk.node.receive_ms + 32)
    talk.say("00 08 0185 0382 51 0500")
    talk.node.forget(talk.now)
    assert not talk.answer(), "too late"


def test_acknowledged_messages(talk):
    assert talk.say(ACKNOWLEDGED) == "2DAA" and not talk.node.wants
    assert talk.goes() == plain(ACKNOWLEDGEMENT)
    assert talk.say(ACKNOWLEDGED) is None
    assert talk.goes() == plain(ACKNOWLEDGEMENT)


def test_repeated_messages_are_heard_once(talk):
    for k in range(4):
        assert talk.say("00 01 0185 00 51 17 2DAA") == (None if k else "2DAA")
    assert talk.goes() == ""


def test_unacknowledged_messages_are_heard_each_time(talk):
    for _ in range(2):
        assert talk.say("00 31 0185 00 51 2DAA") == "2DAA"


@pytest.mark.parametrize(
    "who, octets, here",
    [
        ("the node", "00 31 0185 00 51 2DAA", True),
        ("its subnet", "00 31 0185 03 51 2DAA", True),
        ("another subnet", "00 31 0185 04 51 2DAA", False),
        ("another node", "00 39 0185 0383 51 2DAA", False),
        ("the node of another subnet", "00 39 0185 0482 51 2DAA", False),
        ("its group", "00 35 0185 07 51 2DAA", True),
        ("another group", "00 35 0185 08 51 2DAA", False),
        ("group 0", "00 35 0185 00 51 2DAA", False),
        ("another domain", "00 39 0185 0382 52 2DAA", False),
        ("a longer domain", "00 3A 0185 0382 510000 2DAA", False),
        ("its unique identifier", "00 3D 0185 00" + UNIQUE + "51 2DAA", True),
        ("the same in another domain", "00 3D 0185 00" + UNIQUE + "77 2DAA", True),
        ("another unique identifier", "00 3D 0185 00 0102030405FE 51 2DAA", False),
    ],
)
def test_who_is_meant(talk, who, octets, here):
    assert (talk.say(octets) is not None) == here


def test_a_node_without_an_address(talk):
    """Whoever has one, knows its identifier or broadcasts."""
    talk.node.subnet = talk.node.node = 0
    assert talk.say("00 39 0185 0080 51 2DAA") is None
    assert talk.say("00 1D 0185 00" + UNIQUE + "77 05 2DAA") == "2DAA"
    talk.answer()
    assert talk.goes() == plain("00 19 0080 0185 77 25 2DBB"), "in the domain of who asks"


def test_a_group_answers_as_its_member(talk):
    assert talk.say("00 15 0185 07 51 05 2DAA") == "2DAA"
    talk.answer()
    assert talk.goes() == plain("00 19 0302 0185 0704 51 25 2DBB")


@pytest.mark.parametrize(
    "what, octets",
    [
        ("a broadcast", "00 11 0185 00 51 05 2DAA"),
        ("a source without an address", "00 19 0080 0382 51 05 2DAA"),
    ],
)
def test_requests_that_cannot_be_answered(talk, what, octets):
    assert talk.say(octets) == "2DAA" and not talk.node.wants
    assert not talk.answer() and talk.goes() == ""


@pytest.mark.parametrize(
    "what, octets, counter",
    [
        ("authenticated", "00 19 0185 0382 51 85 2DAA", "n_missed"),
        ("a challenge", "00 29 0185 0382 51 45 2DAA", "n_missed"),
        ("a reminder", "00 09 0185 0382 51 45 2DAA", "n_missed"),
        ("a reminder of a request", "00 19 0185 0382 51 55 2DAA", "n_missed"),
        ("an acknowledgement", ACKNOWLEDGEMENT + "00", "n_late"),
        ("a response", "00 19 0185 0382 51 25 2DAA", "n_late"),
    ],
)
def test_what_is_dropped_is_counted(talk, what, octets, counter):
    if what == "an acknowledgement":
        octets = "00 09 0185 0382 51 25"
    assert talk.say(octets) is None
    assert getattr(talk.node, counter) == 1 and talk.goes() == ""


def test_more_sources_than_there_are_rows(talk):
    for node in range(8):
        assert talk.say("00 01 01 9%X 00 51 11 2DAA" % node) == "2DAA"
    assert talk.say("00 01 01 99 00 51 11 2DAA") is None
    assert talk.node.n_full == 1
    assert talk.say("00 01 01 93 00 51 12 2DAA") == "2DAA", "it has its row"
    talk.wait(talk.node.receive_ms + 32)
    assert talk.say("00 01 01 99 00 51 11 2DAA") == "2DAA"


def test_what_nobody_has_asked_for_goes_out_several_times(talk):
    node = talk.node
    node.out[BODY : BODY + 2] = b"\x2d\xee"
    assert node.send(2, 1, 5, 2, talk.now)
    frame = plain("00 09 0382 0185 51 11 2DEE")
    assert talk.goes() == frame
    for _ in range(node.repeats):
        assert talk.goes() == "" and not node.send(2, 1, 5, 2, talk.now)
        talk.wait(node.repeat_ms)
        assert talk.goes() == frame
    talk.wait(node.repeat_ms)
    assert talk.goes() == ""
    assert node.send(0, 0, 0, 2, talk.now), "the next one has the next number"
    assert talk.goes() == plain("00 01 0382 00 51 12 2DEE")


def test_a_request_is_more_than_the_rest_of_the_repetitions(talk):
    talk.node.send(0, 0, 0, 2, talk.now)
    talk.goes()
    assert talk.say(REQUEST) == "2DAA"
    talk.answer()
    assert talk.goes() == plain(RESPONSE + "2DBB")
    talk.wait(talk.node.repeat_ms)
    assert talk.goes() == ""


@given(st.lists(st.binary(max_size=24) | st.sampled_from((REQUEST, ACKNOWLEDGED)), max_size=30))
def test_whatever_comes_each_request_is_answered_once(frames):
    """Noise between good ones; what is handed on twice would be carried out twice."""
    talk = Talk()
    handed_on = 0
    for octets in frames:
        if isinstance(octets, str):
            if talk.say(octets) and talk.node.wants:
                handed_on += 1
                talk.answer()
        else:
            talk.say(octets.hex())
            talk.node.ignore()
        frame = talk.goes()
        assert not frame or len(frame) >= 2 * 6
    assert handed_on <= 1
