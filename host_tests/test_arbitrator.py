# SPDX-License-Identifier: MIT
"""cosem/arbitrator.py: actors ask, the heaviest action is carried out, over the server.

The Arbitrator of definitions/timing.toml: actor 1 may ask for all four actions, which weigh 1
each; actor 2 for the first two (5, 3), actor 3 for the last two (5, 5). Action n is script n.
"""

import pytest
from fakes import array, boolean, octets, obis, struct_, u8, u16
from test_schedule import bits
from timed import DENIED, EXCEPTION, OTHER_REASON, TYPE_UNMATCHED, UNDEFINED, Timed, refuses

ARBITRATOR = (68, "0.0.96.3.20")
ACTIONS, PERMISSIONS, WEIGHTINGS, REQUESTS, OUTCOME = 2, 3, 4, 5, 6
REQUEST, RESET = 1, 2


def asks(actor, wanted):
    return struct_(u8(actor), bits(wanted))


def script(n, table="0.0.10.0.0"):
    return struct_(octets(obis(table + ".255")), u16(n))


class Talk(Timed):
    def ask_for(self, *requests):
        """Requests (actor, actions); of each, the action that is carried out."""
        done = []
        for actor, wanted in requests:
            self.said()
            assert self.act(*ARBITRATOR, REQUEST, asks(actor, wanted)) == 0
            marks = [m for _, m in self.said()]
            outcome = self.get(*ARBITRATOR, OUTCOME)
            assert marks == ([outcome] if outcome else [])
            done.append(outcome)
        return done


@pytest.fixture
def meter():
    return Talk()


@pytest.mark.parametrize(
    "requests, outcomes",
    [
        ([(1, "0100")], [2]),
        ([(1, "0110")], [2]),  # the same weight: the first
        ([(1, "0001"), (2, "0100")], [4, 2]),
        ([(2, "0100"), (1, "0001")], [2, 2]),  # 3 to 1
        ([(2, "1100"), (3, "0011"), (1, "0010")], [1, 1, 3]),  # 5 to 5, then 5 to 6
        ([(2, "1000"), (2, "0100")], [1, 2]),  # only its most recent request counts
        ([(3, "0010"), (3, "0000")], [3, 0]),  # taken back
        ([(3, "0010"), (1, "1000"), (3, "0000")], [3, 3, 1]),
        ([(1, "")], [0]),
        ([(1, "1")], [1]),
        ([(1, "000100001")], [4]),  # there is no action 9
    ],
)
def test_the_heaviest_action_is_carried_out(meter, requests, outcomes):
    assert meter.ask_for(*requests) == outcomes


def test_what_is_asked_for_without_permission_is_left_out(meter):
    assert meter.ask_for((2, "0111")) == [2]
    assert meter.get(*ARBITRATOR, REQUESTS) == ["0000", "0100", "0000"]


@pytest.mark.parametrize("wanted", ["0011", "0000111", "001"])
def test_a_request_for_nothing_that_is_permitted_is_denied(meter, wanted):
    meter.ask_for((2, "1000"))
    meter.said()
    refuses(meter, "act", *ARBITRATOR, REQUEST, asks(2, wanted), DENIED)
    assert meter.said() == []


def test_the_result_is_that_of_the_script(meter):
    assert meter.set(*ARBITRATOR, ACTIONS, array(script(9), script(1, "0.0.10.0.9"))) == 0
    assert meter.act(*ARBITRATOR, REQUEST, asks(1, "10")) == TYPE_UNMATCHED
    assert meter.act(*ARBITRATOR, REQUEST, asks(1, "01")) == OTHER_REASON


def test_requests_survive_a_power_failure(meter):
    meter.ask_for((2, "0100"))
    again = meter.off("2026-06-15 13:00:00")
    assert again.get(*ARBITRATOR, REQUESTS) == ["0000", "0100", "0000"]
    assert again.ask_for((1, "1000")) == [2]


def test_reset(meter):
    meter.ask_for((2, "0100"), (3, "0011"))
    assert meter.act(*ARBITRATOR, RESET) == 0
    assert meter.get(*ARBITRATOR, REQUESTS) == ["0000"] * 3
    assert meter.get(*ARBITRATOR, OUTCOME) == 0
    assert meter.ask_for((1, "1000")) == [1]


def test_other_actors_and_actions_begin_anew(meter):
    meter.ask_for((2, "0100"))
    assert meter.set(*ARBITRATOR, PERMISSIONS, array(bits("11111"), bits("00001"))) == 0
    assert meter.get(*ARBITRATOR, REQUESTS) == ["0000"] * 2
    assert meter.set(*ARBITRATOR, ACTIONS, array(*(script(n) for n in (4, 3, 2, 1, 5)))) == 0
    assert meter.get(*ARBITRATOR, REQUESTS) == ["00000"] * 2
    assert (
        meter.set(
            *ARBITRATOR, WEIGHTINGS, array(array(u16(2)), array(*map(u16, (0, 0, 0, 0, 0xFFFF))))
        )
        == 0
    )
    meter.said()
    for actor, wanted, mark in ((1, "10000", 4), (2, "00001", 5), (1, "11111", 5)):
        assert meter.act(*ARBITRATOR, REQUEST, asks(actor, wanted)) == 0
        assert [m for _, m in meter.said()] == [mark]


def test_a_table_of_weights_may_be_too_short(meter):
    assert meter.set(*ARBITRATOR, WEIGHTINGS, array(array(u16(1)))) == 0
    assert meter.ask_for((2, "1000"), (1, "0100"), (1, "1000")) == [0, 0, 1]


def test_a_script_may_ask_and_runs_a_script(meter):
    assert meter.act(9, "0.0.10.0.0", 1, u16(11)) == 0
    assert meter.said() == [("06-15 12:00:00", 2)]


BAD = {
    ACTIONS: {
        "no selector": (array(struct_(octets(bytes(6)))), TYPE_UNMATCHED),
        "a short name": (array(struct_(octets(bytes(5)), u16(1))), TYPE_UNMATCHED),
        "no room": (array(*[script(1)] * 6), OTHER_REASON),
        "cut off": (array(script(1))[:-1], EXCEPTION),
    },
    PERMISSIONS: {
        "booleans": (array(boolean(1)), TYPE_UNMATCHED),
        "no array": (bits("1111"), TYPE_UNMATCHED),
        "no room": (array(*[bits("1" * 40)] * 4), OTHER_REASON),
        "no room for requests": (array(*[bits("1")] * 5), OTHER_REASON),
        "128 bits": (array(bits("1" * 128)), OTHER_REASON),
    },
    WEIGHTINGS: {
        "octets": (array(array(u8(1))), TYPE_UNMATCHED),
        "one row": (array(u16(1)), TYPE_UNMATCHED),
        "no room": (array(*[array(*[u16(1)] * 4)] * 5), OTHER_REASON),
    },
}


@pytest.mark.parametrize("attribute, name", [(k, name) for k in BAD for name in BAD[k]])
def test_bad_tables_change_nothing(meter, attribute, name):
    data, result = BAD[attribute][name]
    meter.ask_for((2, "0100"))
    refuses(meter, "set", *ARBITRATOR, attribute, data, result)


BAD_ACTIONS = {
    "actor 0": (REQUEST, asks(0, "1000"), OTHER_REASON),
    "actor 4": (REQUEST, asks(4, "1000"), OTHER_REASON),
    "128 actions": (REQUEST, asks(1, "1" * 128), OTHER_REASON),
    "no actor": (REQUEST, struct_(bits("1000")), TYPE_UNMATCHED),
    "a wide actor": (REQUEST, struct_(u16(1), bits("1000")), TYPE_UNMATCHED),
    "no actions": (REQUEST, struct_(u8(1)), TYPE_UNMATCHED),
    "actions of another type": (REQUEST, struct_(u8(1), octets(b"\x80")), TYPE_UNMATCHED),
    "nothing": (REQUEST, b"", TYPE_UNMATCHED),
    "reset with a number": (RESET, u8(0), TYPE_UNMATCHED),
    "no such method": (3, b"\x0f\x00", UNDEFINED),
}


@pytest.mark.parametrize("name", BAD_ACTIONS)
def test_bad_actions_change_nothing(meter, name):
    method, data, result = BAD_ACTIONS[name]
    meter.ask_for((2, "0100"))
    meter.said()
    refuses(meter, "act", *ARBITRATOR, method, data, result)
    assert meter.said() == []
