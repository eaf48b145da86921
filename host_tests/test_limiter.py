# SPDX-License-Identifier: MIT
"""cosem/limiter.py: a limit is exceeded and kept, normally and in an emergency, over the server.

The Limiter of definitions/timing.toml: 3000 W, 500 W in an emergency; after 10 seconds above it
disconnects, after 20 seconds not above it reconnects (control_mode 5).
"""

import pytest
import timed
from fakes import array, i8, i16, i32, octets, obis, struct_, u8, u16, u32
from timed import EXCEPTION, OTHER_REASON, TYPE_UNMATCHED, UNDEFINED, Timed, refuses, when

sleep = timed.sleep  # a fixture

LIMITER, OPEN, SUPPLY = (71, "0.0.17.0.0"), (71, "0.0.17.0.1"), (70, "0.0.96.3.10")
MONITORED, ACTIVE, NORMAL, EMERGENCY, MIN_OVER, MIN_UNDER = 2, 3, 4, 5, 6, 7
PROFILE, GROUPS, IS_EMERGENCY, ACTIONS = 8, 9, 10, 11
DISCONNECTED, CONNECTED, READY = 0, 1, 2
EXCEEDED, KEPT, CHANGED, LOCAL_OFF, LOCAL_ON = 65, 66, 67, 64, 69
NEVER = b"\xff" * 9 + b"\x80\x00\xff"


def monitored(class_id, name, index):
    return struct_(u16(class_id), octets(obis(name + ".255")), i8(index))


def script(n, table="0.0.10.0.106"):
    return struct_(octets(obis(table + ".255")), u16(n))


def profile(id, time, seconds):
    return struct_(u16(id), octets(when(time) if isinstance(time, str) else time), u32(seconds))


class Talk(Timed):
    def power(self, watts, seconds=0):
        """The power is this from now on; so many seconds pass."""
        self.model.put_int(self.row(3, "1.0.1.7.0"), 2, watts)
        self.run(seconds)

    def state(self):
        return self.get(*SUPPLY, 3)

    def happened(self):
        events, self.events[:] = list(self.events), []
        return events


@pytest.fixture
def meter():
    return Talk()  # 2026-06-15 12:00:00


# --- Normal -------------------------------------------------------------------------------------


def test_above_for_the_duration_disconnects_below_for_the_other_reconnects(meter):
    meter.power(3001, 10)
    assert meter.state() == CONNECTED
    meter.run(1)
    assert meter.state() == READY
    assert meter.happened() == [EXCEEDED, LOCAL_OFF]
    meter.power(3000, 20)
    assert meter.state() == READY
    meter.run(1)
    assert meter.state() == CONNECTED
    assert meter.happened() == [KEPT, LOCAL_ON]


def test_a_limit_that_is_reached_is_not_exceeded(meter):
    meter.power(3000, 60)
    assert meter.state() == CONNECTED


def test_a_moment_on_the_other_side_begins_the_duration_anew(meter):
    for _ in range(5):
        meter.power(5000, 10)
        meter.power(3000, 1)
    assert meter.happened() == []
    meter.power(5000, 11)
    for _ in range(5):
        meter.power(0, 20)
        meter.power(3001, 1)
    assert meter.happened() == [EXCEEDED, LOCAL_OFF]


def test_without_durations_it_happens_at_once(meter):
    assert meter.set(*LIMITER, MIN_OVER, u32(0)) == 0
    assert meter.set(*LIMITER, MIN_UNDER, u32(0)) == 0
    meter.power(3001, 1)
    assert meter.state() == READY
    meter.power(3000, 1)
    assert meter.state() == CONNECTED


def test_each_action_happens_once_for_each_time(meter):
    meter.power(9000, 300)
    meter.power(0, 300)
    meter.power(9000, 300)
    assert meter.happened() == [EXCEEDED, LOCAL_OFF, KEPT, LOCAL_ON, EXCEEDED, LOCAL_OFF]


def test_seconds_count_that_a_slow_loop_has_left_out(meter):
    meter.power(9000)
    meter.run(24, step=6)
    assert meter.happened() == [EXCEEDED, LOCAL_OFF]


def test_a_clock_that_is_set_lengthens_and_shortens_nothing(meter):
    meter.power(9000, 5)
    meter.set_clock("2026-06-15 18:00:00")
    meter.run(3)
    meter.set_clock("2026-06-15 10:00:00")
    assert meter.happened() == []
    meter.run(1)
    assert meter.happened() == [EXCEEDED, LOCAL_OFF]


def test_after_a_power_failure_it_remembers_what_it_has_done(meter):
    meter.power(9000, 11)
    again = meter.off("2026-06-15 13:00:00")
    again.power(0, 20)
    assert again.state() == READY
    again.run(1)
    assert again.state() == CONNECTED
    assert again.happened() == [KEPT, LOCAL_ON]


@pytest.mark.parametrize(
    "mode, off, on",
    [(0, CONNECTED, CONNECTED), (1, READY, READY), (2, READY, READY), (3, READY, READY),
     (4, READY, READY), (5, READY, CONNECTED), (6, READY, CONNECTED)],
)  # fmt: skip
def test_what_the_disconnector_allows(meter, mode, off, on):
    """Local disconnection (g) and reconnection (h) of disconnect_control.py."""
    assert meter.set(*SUPPLY, 4, b"\x16" + bytes((mode,))) == 0
    meter.power(9000, 11)
    assert meter.state() == off
    meter.power(0, 21)
    assert meter.state() == on


def test_a_script_that_fails_is_a_result_and_not_tried_again(meter):
    results = []
    limiter = meter.row(*LIMITER)
    meter.model.on_executed = lambda row, r: results.append(r) if row == limiter else None
    assert meter.set(*LIMITER, ACTIONS, struct_(script(7), script(1, "0.0.10.0.9"))) == 0
    meter.power(9000, 60)
    meter.power(0, 60)
    assert results == [OTHER_REASON, OTHER_REASON]


def test_another_limit_counts_from_the_next_second_on(meter):
    meter.power(2000, 60)
    assert meter.set(*LIMITER, NORMAL, u32(1000)) == 0
    meter.run(1)
    assert meter.get(*LIMITER, ACTIVE) == 1000
    meter.run(10)
    assert meter.happened() == [CHANGED, EXCEEDED, LOCAL_OFF]


def test_another_value_can_be_supervised(meter):
    """By a Limiter whose definition leaves the type of its thresholds open."""
    assert meter.set(*OPEN, NORMAL, u32(1)) == 0
    assert meter.set(*OPEN, MONITORED, monitored(1, "0.0.96.50.1", 2)) == 0
    meter.run(60)
    assert meter.happened() == [CHANGED]  # the threshold is of another type now
    assert meter.set(*OPEN, NORMAL, i16(-5)) == 0
    meter.run(1)
    assert meter.get(*OPEN, ACTIVE) == -5
    assert meter.happened() == [CHANGED, EXCEEDED, LOCAL_OFF]


def test_a_limiter_that_is_switched_off_does_nothing(meter):
    meter.power(9000, 5)
    meter.switch(b"limiter", False)
    meter.run(60)
    assert meter.happened() == []
    meter.switch(b"limiter", True)
    meter.run(10)
    assert meter.happened() == []
    meter.run(1)
    assert meter.happened() == [EXCEEDED, LOCAL_OFF]


# --- Emergency ----------------------------------------------------------------------------------


def seen(meter):
    return [meter.get(*LIMITER, k) for k in (IS_EMERGENCY, ACTIVE)]


OFF, ON = [0, 3000], [1, 500]


@pytest.mark.parametrize(
    "groups, id, time, seconds, at",
    [
        ([7], 7, "2026-06-15 12:05:30", 90, {0: OFF, 329: OFF, 330: ON, 419: ON, 420: OFF}),
        ([1, 7, 9], 7, "2026-06-15 12:00:00", 60, {1: ON, 59: ON, 60: OFF}),
        ([1, 9], 7, "2026-06-15 12:00:00", 60, {1: OFF, 59: OFF}),
        ([], 0, "2026-06-15 12:00:00", 60, {1: OFF, 59: OFF}),
        ([7], 7, "2026-06-15 11:59:00", 120, {1: ON, 59: ON, 60: OFF}),  # it has begun
        ([7], 7, "2026-06-15 11:00:00", 60, {1: OFF, 60: OFF}),  # it is over
        ([7], 7, "2026-06-15 12:01:00", 0, {59: OFF, 60: OFF, 61: OFF}),
        ([7], 7, "2026-06-15 12:01:00", 0xFFFFFFFF, {59: OFF, 60: ON, 86400: ON}),
        ([7], 7, NEVER, 0xFFFFFFFF, {1: OFF, 86400: OFF}),
    ],
)
def test_when_the_emergency_profile_is_active(meter, groups, id, time, seconds, at):
    assert meter.set(*LIMITER, GROUPS, array(*map(u16, groups))) == 0
    assert meter.set(*LIMITER, PROFILE, profile(id, time, seconds)) == 0
    past = 0
    for second, expected in at.items():
        meter.run(second - past, step=10 if second > 1000 else 1)
        past = second
        assert seen(meter) == expected, second


@pytest.fixture
def emergency(meter):
    """It begins in a minute, for an hour."""
    assert meter.set(*LIMITER, GROUPS, array(u16(7))) == 0
    assert meter.set(*LIMITER, PROFILE, profile(7, "2026-06-15 12:01:00", 3600)) == 0
    return meter


def test_in_an_emergency_less_is_too_much(emergency):
    emergency.power(1000, 60)
    assert emergency.happened() == []
    emergency.run(11)
    assert emergency.happened() == [EXCEEDED, LOCAL_OFF]
    emergency.run(3600)
    assert emergency.happened() == []
    emergency.run(9)
    assert emergency.happened() == [KEPT, LOCAL_ON]


def test_the_group_is_taken_away(emergency):
    emergency.run(60)
    assert seen(emergency) == ON
    assert emergency.set(*LIMITER, GROUPS, array()) == 0
    emergency.run(1)
    assert seen(emergency) == OFF


@pytest.mark.parametrize(
    "back, expected",
    [("2026-06-15 12:00:30", OFF), ("2026-06-15 12:30:00", ON), ("2026-06-15 13:01:00", OFF)],
)
@pytest.mark.parametrize("how", ["power failure", "clock set"])
def test_it_goes_by_the_clock(emergency, how, back, expected):
    emergency.run(90)
    if how == "clock set":
        emergency.set_clock(back)
    else:
        emergency = emergency.off(back)
    assert seen(emergency) == expected


def test_the_normal_threshold_may_be_set_meanwhile(emergency):
    emergency.run(90)
    assert emergency.set(*LIMITER, NORMAL, u32(4000)) == 0
    emergency.run(1)
    assert seen(emergency) == ON
    emergency.run(3600)
    assert seen(emergency) == [0, 4000]


# --- What is refused ----------------------------------------------------------------------------

BAD = {
    MONITORED: {
        "no such object": (monitored(3, "1.0.1.7.9", 2), OTHER_REASON),
        "another class": (monitored(1, "1.0.1.7.0", 2), OTHER_REASON),
        "no such attribute": (monitored(3, "1.0.1.7.0", 4), OTHER_REASON),
        "the logical name": (monitored(3, "1.0.1.7.0", 1), OTHER_REASON),
        "a computed attribute": (monitored(8, "0.0.1.0.0", 2), OTHER_REASON),
        "attribute -1": (monitored(3, "1.0.1.7.0", -1), OTHER_REASON),
        "an element missing": (struct_(u16(3), octets(bytes(6))), TYPE_UNMATCHED),
        "a short name": (struct_(u16(3), octets(bytes(5)), i8(2)), TYPE_UNMATCHED),
    },
    NORMAL: {
        "another type": (u16(3), TYPE_UNMATCHED),
        "signed": (i32(3), TYPE_UNMATCHED),
        "text": (octets(b"1234"), TYPE_UNMATCHED),
        "cut off": (u32(3)[:-1], EXCEPTION),
    },
    MIN_OVER: {"another type": (u16(3), TYPE_UNMATCHED), "negative": (i32(-3), TYPE_UNMATCHED)},
    PROFILE: {
        "no month": (profile(1, b"\x07\xea\xff\x01\xff" + bytes(4) + NEVER[-3:], 1), OTHER_REASON),
        "no hour": (profile(1, b"\x07\xea\x01\x01\xff" + NEVER[-7:], 1), OTHER_REASON),
        "30 February": (profile(1, b"\x07\xea\x02\x1e\xff" + bytes(7), 1), OTHER_REASON),
        "a short time": (struct_(u16(1), octets(NEVER[:11]), u32(1)), TYPE_UNMATCHED),
        "an element missing": (struct_(u16(1), octets(NEVER)), TYPE_UNMATCHED),
        "a short duration": (struct_(u16(1), octets(NEVER), u16(1)), TYPE_UNMATCHED),
    },
    GROUPS: {
        "of another type": (array(u8(1)), TYPE_UNMATCHED),
        "no room": (array(*[u16(1)] * 5), OTHER_REASON),
        "no array": (u16(1), TYPE_UNMATCHED),
    },
    ACTIONS: {
        "one": (struct_(script(1)), TYPE_UNMATCHED),
        "a short name": (struct_(script(1), struct_(octets(bytes(5)), u16(1))), TYPE_UNMATCHED),
        "no selector": (struct_(script(1), struct_(octets(bytes(6)))), TYPE_UNMATCHED),
    },
}
BAD[EMERGENCY], BAD[MIN_UNDER] = BAD[NORMAL], BAD[MIN_OVER]


@pytest.mark.parametrize("attribute, name", [(k, name) for k in BAD for name in BAD[k]])
def test_bad_values_change_nothing(meter, attribute, name):
    data, result = BAD[attribute][name]
    refuses(meter, "set", *LIMITER, attribute, data, result)
    meter.power(9000, 11)
    assert meter.happened() == [EXCEEDED, LOCAL_OFF]


@pytest.mark.parametrize(
    "data, result",
    [
        (u16(3), TYPE_UNMATCHED),
        (b"\0", TYPE_UNMATCHED),
        (octets(b"1"), TYPE_UNMATCHED),
        (u32(3), 0),
    ],
)
def test_a_threshold_of_any_type_has_that_of_the_value(meter, data, result):
    if result:
        refuses(meter, "set", *OPEN, NORMAL, data, result)
    else:
        assert meter.set(*OPEN, NORMAL, data) == 0


def of_what_is_gone(meter):
    """A definition may say that a Limiter supervises what is not there."""
    row = meter.row(*OPEN)
    meter.model.image[meter.model.slot(row, MONITORED) + 12] ^= 1  # in its logical name
    meter.model.handler("limiter").changed(row, MONITORED)


@pytest.mark.parametrize(
    "data, result",
    [(u16(3), 0), (u32(3), 0), (octets(b"1"), OTHER_REASON), (b"\x15" + bytes(8), OTHER_REASON)],
)
def test_without_a_value_a_threshold_is_any_number_that_fits(meter, data, result):
    of_what_is_gone(meter)
    if result:
        refuses(meter, "set", *OPEN, NORMAL, data, result)
    else:
        assert meter.set(*OPEN, NORMAL, data) == 0
    meter.power(9000, 5)
    assert EXCEEDED not in meter.happened()


def test_there_are_no_methods(meter):
    refuses(meter, "act", *LIMITER, 1, b"\x0f\x00", UNDEFINED)
