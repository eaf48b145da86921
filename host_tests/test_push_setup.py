# SPDX-License-Identifier: MIT
"""Push setup: what can be set, what is refused (cosem/push_setup.py), and every transition of the
states of an object (cosem/notifier.py), over a path that does what the test says."""

import pushing
import pytest
from cosem import notifier
from cosem.push_setup import host_end
from fakes import array, enum, obis, octets, struct_, u16, u32
from pushing import (
    protection,
    ANY_TIME, BROKEN, BUSY, CONFIRMING, DELAY, GONE, HDLC, IDLE, NEVER, READY, REPEATING, SENDING,
    TCP, UDP, V0, V1, V2, WINDOW, PushMeter, body, confirmation, destination, element, window,
)  # fmt: skip
from tables import dates

OTHER_REASON, TYPE_UNMATCHED, OBJECT_UNAVAILABLE = 250, 12, 11
PUSHED, OPENED, CLOSED, DUE, TAKEN, SENT, DONE, FAILED, GIVEN_UP, RESET = range(10)
EVENTS = "PUSHED OPENED CLOSED DUE TAKEN SENT DONE FAILED GIVEN_UP RESET".split()
STATES = "IDLE WINDOW DELAY READY SENDING CONFIRMING REPEATING".split()

NIGHT = array(
    window(
        dates.parse("*-*-* 22:00:00", "date-time"),
        dates.parse("*-*-* 06:00:00", "date-time"),
    )
)


@pytest.fixture
def m():
    return PushMeter()


def ready(m, name=V2, service=TCP, objects=("1.0.1.8.0.255",)):
    """An object of version 2 that says what goes to whom."""
    m.put(name, 3, destination(b"127.0.0.1:4059", service))
    m.put(name, 2, array(*[element(3, x, version=2) for x in objects]))


# --- What can be set ----------------------------------------------------------------------------

GOOD = [b"", b"1.2.3.4", b"127.0.0.1:1", b"255.255.255.255:65535", b"0.0.0.0:4059", b"[::1]"]
GOOD += [b"[2001:db8::1]:4059", b"[::ffff:1.2.3.4]:9", b"[FE80::1]"]
NAMES = [b"meter", b"head-end.example", b"head-end.example:4059", b"4you.example:1", b"a", b"A.b9"]
NAMES += [b"1.2.3.x1", b"1-2.c3-d.e"]
BAD = [b"1.2.3", b"1.2.3.4.5", b"1.2.3.4:", b"1.2.3.256", b"1.2.3.4:65536", b"1.2.3.4:x"]
BAD += [b"1..2.3", b"1.2.3.4 ", b"[", b"[]", b"[::1", b"[::1]x", b"[::1]:", b"[g::1]", b"::1"]
BAD += [b":4059", b"1.2.3.4:4059:1", b"1234.1.1.1", b"1.2.3.4:000001", b"\xff" * 9]
BAD += [b"a..b", b".a", b"a.", b"-a", b"a-", b"a-.b", b"a.-b", b"a" * 64, b"a_b", b"a b", b"a.1b"]
BAD += [b"a:", b"a:x", b"a:65536", b"a:1:2", b"meter.:1", b"m\xc3\xa9ter"]


@pytest.mark.parametrize("service", [TCP, UDP])
@pytest.mark.parametrize("text", GOOD + NAMES)
def test_destinations(m, service, text):
    for name in (V0, V1, V2):
        m.put(name, 3, destination(text, service))
    if text:
        assert host_end(text, 0, len(text)) > 0


def test_a_long_label():
    text = b"a" * 63 + b".b:9"
    assert host_end(text, 0, len(text)) == 65
    assert host_end(b"a" + text, 0, len(text) + 1) == -1
    assert host_end(text, 0, len(text), False) == -1


@pytest.mark.parametrize("text", BAD)
def test_what_is_no_destination(m, text):
    before = m.get(V0, 3)
    for service in (TCP, UDP):
        assert m.set(V0, 3, destination(text, service)) == OTHER_REASON
    assert m.get(V0, 3) == before


@pytest.mark.parametrize("text", NAMES)
def test_names_that_the_definition_keeps_out(text):
    """look_up = false: a meter that must not wait for them."""
    m = PushMeter(look_up=0)
    for name in (V0, V1, V2):
        assert m.set(name, 3, destination(text)) == OTHER_REASON
        assert m.set(name, 3, destination(b"1.2.3.4")) == 0


@pytest.mark.parametrize("service", [2, 3, 4, 6, 7, 8, 200, 255])
def test_services_that_the_meter_has_not(m, service):
    assert m.set(V0, 3, destination(b"127.0.0.1", service)) == OTHER_REASON


@pytest.mark.parametrize("message", [1, 2, 128, 255])
def test_messages_that_the_meter_has_not(m, message):
    for service in (TCP, HDLC):
        assert m.set(V0, 3, destination(b"", service, message)) == OTHER_REASON


KEY = struct_(enum(0), enum(0))


def wrapped(kek_id):
    return struct_(enum(1), struct_(enum(kek_id), octets(b"")))


@pytest.mark.parametrize(
    "name,attribute,data,result",
    [
        (V2, 4, array(window(b"\xff\xff\x0d" + ANY_TIME[3:], ANY_TIME)), OTHER_REASON),
        (V2, 4, array(window(ANY_TIME, ANY_TIME), window(ANY_TIME, ANY_TIME)), 0),
        (V2, 4, array(window(b"", ANY_TIME)), TYPE_UNMATCHED),
        (V2, 4, array(*[window(ANY_TIME, ANY_TIME)] * 3), OTHER_REASON),
        (V2, 9, b"\x0f\x00", OTHER_REASON),
        (V2, 9, b"\x0f\x80", OTHER_REASON),
        (V1, 9, b"\x0f\x10", 0),
        (V2, 11, enum(3), TYPE_UNMATCHED),
        (V2, 11, enum(2), 0),
        (V2, 7, u16(3), TYPE_UNMATCHED),
        (V0, 7, u16(3), 0),
        (V2, 2, array(element(3, "1.0.1.8.0.255", version=1)), TYPE_UNMATCHED),
        (V1, 2, array(element(3, "1.0.1.8.0.255", version=0)), TYPE_UNMATCHED),
        (V0, 2, array(*[element(3, "1.0.1.8.0.255")] * 23), OTHER_REASON),
        (V0, 3, destination(b"", 9), TYPE_UNMATCHED),
        (V1, 2, array(element(3, "1.0.1.8.0.255", kind=3, version=1)), TYPE_UNMATCHED),
        (V2, 2, array(element(3, "1.0.1.8.0.255", kind=3, version=2)), TYPE_UNMATCHED),
        (V2, 10, array(protection(2, KEY)), 0),
        (V2, 10, array(protection(2, KEY), protection(4, KEY)), TYPE_UNMATCHED),
        (V2, 10, array(protection(2, struct_(enum(3), enum(0)))), TYPE_UNMATCHED),
        (V2, 10, array(protection(2, wrapped(0))), 0),
        (V2, 10, array(protection(2, wrapped(1))), TYPE_UNMATCHED),
    ],
)  # fmt: skip
def test_set(m, name, attribute, data, result):
    assert m.set(name, attribute, data) == result


# --- What is pushed, and what is not ------------------------------------------------------------


def test_push_of_each_version(m):
    ready(m)
    for name in (V0, V1, V2):
        assert m.push(name) == 0
    m.second()
    assert [sent[:4] for sent in m.paths.sent] == [
        (TCP, b"127.0.0.1:4059", 1, 1),
        (UDP, b"127.0.0.1:4059", 16, 1),
        (TCP, b"127.0.0.1:4059", 1, 1),
    ]
    assert [body(apdu) for apdu in m.paths.apdus] == [[b"PMT1000000000042", 5009], [b"42"], [5009]]
    # Each has its own long-invoke-id, and none is to be confirmed.
    assert [apdu[1:5].hex() for apdu in m.paths.apdus] == ["00000001", "00000002", "00000003"]
    assert (m.notifier.done, m.notifier.lost) == (3, 0)


def test_the_time_is_that_of_the_snapshot(m):
    m.paths.there = False
    m.push(V0)
    m.second()
    asked = bytes(m.clock.local)
    m.second(100)
    m.paths.there = True
    m.second()
    assert m.paths.apdus[0][5:18] == b"\x0c" + asked


def test_two_in_a_second_are_one(m):
    m.push(V0)
    m.push(V0)
    m.second()
    assert len(m.paths.sent) == 1


@pytest.mark.parametrize("hours", [-5, 5])
def test_the_clock_is_set_meanwhile(m, hours):
    """A delay goes on as it would have: the seconds that are left are counted, not a time."""
    ready(m)
    m.put(V2, 5, u16(20))
    m.push(V2)
    m.second(11)
    m.clock.set_utc(m.clock.minute + 60 * hours, 0)
    m.second(9)
    assert m.state(V2) == DELAY and not m.paths.sent
    m.second(1)
    assert m.state(V2) == IDLE and len(m.paths.sent) == 1


def test_time_that_passes_in_larger_steps(m):
    """A meter with --speed, or one that was busy."""
    ready(m)
    m.put(V2, 5, u16(600))
    m.push(V2)
    m.second()
    m.clock.advance(599000)
    m.second()
    assert len(m.paths.sent) == 1


def test_nothing_is_loaded_before_there_is_something():
    m = PushMeter(load=False)
    m.second(3)
    assert m.loads == 0
    m.push(V0)
    m.second()
    assert m.loads == 1 and len(m.paths.sent) == 1
    assert m.notifier.is_idle()


def test_no_room_to_load_it_is_tried_again():
    m = PushMeter(load=False)
    load = m.model.notifier
    m.model.notifier = lambda: None
    m.push(V0)
    m.second(2)
    m.model.notifier = load
    m.second()
    assert len(m.paths.sent) == 1


def spoil_destination(m):
    m.put(V2, 3, destination(b""))


def spoil_list(m):
    m.put(V2, 2, array())


def spoil_client(m):
    m.put(V2, 9, b"\x0f\x21")


def spoil_parameters(m):
    """A layer that is none, and two that cannot be one behind the other."""
    key_info = struct_(enum(0), enum(0))
    m.put(V2, 10, array(*[pushing.protection(0, key_info)] * 2))


def spoil_service(m):
    """The definition may say what a client cannot."""
    at = m.model.slot(m.row(V2), 3)
    m.model.image[at + 3] = 4


NOT_PUSHED = [spoil_destination, spoil_list]
GIVEN_UP_AT_ONCE = [spoil_client, spoil_service, spoil_parameters]


@pytest.mark.parametrize("spoil", NOT_PUSHED)
def test_what_is_not_complete_is_not_pushed(m, spoil):
    ready(m)
    spoil(m)
    assert m.push(V2) == OBJECT_UNAVAILABLE
    m.second()
    assert m.paths.sent == [] and m.notifier.lost == 0


@pytest.mark.parametrize("spoil", GIVEN_UP_AT_ONCE)
def test_what_cannot_be_done_is_given_up_and_counted(m, spoil):
    ready(m)
    spoil(m)
    assert m.push(V2) == 0
    m.second()
    assert m.paths.sent == [] and m.notifier.lost == 1 and m.state(V2) == IDLE


@pytest.mark.parametrize("spoil", NOT_PUSHED + GIVEN_UP_AT_ONCE)
def test_and_given_up_when_it_is_spoiled_meanwhile(m, spoil):
    """Between the mark and the notification; between that and the attempt."""
    ready(m)
    assert m.push(V2) == 0
    spoil(m)
    m.second()
    assert m.paths.sent == [] and m.notifier.lost == 1 and m.state(V2) == IDLE
    m = PushMeter()
    ready(m)
    m.paths.there = False
    m.push(V2)
    m.second()
    assert m.state(V2) == READY
    m.paths.there = True
    spoil(m)
    m.second()
    assert m.paths.sent == [] and m.notifier.lost == 1 and m.state(V2) == IDLE


@pytest.mark.parametrize(
    "port,service,good",
    [
        ("0.0.0.0.0.0", TCP, True),
        ("0.0.25.0.0.255", TCP, True),
        ("0.0.25.0.0.255", UDP, True),
        ("0.0.22.0.0.255", HDLC, True),
        ("0.0.22.0.0.255", TCP, False),
        ("0.0.25.0.0.255", HDLC, False),
        ("0.0.1.0.0.255", TCP, False),
        ("0.0.25.9.9.255", TCP, False),
    ],
)
def test_port_references(m, port, service, good):
    ready(m, service=service)
    m.put(V2, 8, octets(obis(port)))
    assert m.push(V2) == 0
    m.second()
    assert (m.notifier.done, m.notifier.lost) == ((1, 0) if good else (0, 1))


def test_unknown_methods(m):
    assert m.push(V0, 2) == m.push(V2, 3) == 4
    assert m.model.act(m.row(V0), 1, b"\x0f\x01", 0, 2) == TYPE_UNMATCHED


def test_by_a_script_and_by_a_schedule(m):
    script = m.row("0.0.10.0.108.255", 9)
    assert m.model.act(script, 1, u16(1), 0, 3) == 0
    m.second()
    assert len(m.paths.sent) == 1
    ready(m)
    schedule = m.model.handler("single_action_schedule")
    # 00:10 local time.
    m.clock.set_utc(13936920 + 12 * 60 + 9, 59)
    schedule.tick(m.clock.minute)
    m.clock.advance(1000)
    schedule.tick(m.clock.minute)
    m.second()
    assert len(m.paths.sent) == 2 and body(m.paths.apdus[1]) == [5009]


def test_by_a_register_monitor(m):
    monitor = m.model.handler("register_monitor")
    sent = []
    for energy in (5999, 6001, 7000, 10, 6500):
        assert m.set("1.0.1.8.0.255", 2, u32(energy), 3) == 0
        monitor.tick(m.clock.minute)
        m.second()
        sent.append(len(m.paths.sent))
    assert sent == [0, 1, 1, 1, 2]


# --- States ------------------------------------------------------------------------------------


class Watched:
    """A meter whose transitions are written down."""

    def __init__(self, monkeypatch, seen):
        event = notifier.Notifier._event

        def watched(self, k, what):
            seen.append((self.states[k], what))
            event(self, k, what)

        monkeypatch.setattr(notifier.Notifier, "_event", watched)


def scenario_window(m):
    """Closed: it waits; open: at once; closed again before it is sent."""
    m.put(V2, 4, NIGHT)
    m.push(V2)
    m.second(5)
    assert m.state(V2) == WINDOW and not m.paths.sent
    m.paths.there = False
    m.clock.set_utc(13936920 + 11 * 60, 0)
    m.second()
    assert m.state(V2) == READY
    m.clock.set_utc(13936920 + 20 * 60, 0)
    m.second()
    assert m.state(V2) == WINDOW
    m.clock.set_utc(13936920 + 11 * 60, 0)
    m.paths.there = True
    m.second()
    assert m.state(V2) == IDLE and m.notifier.done == 1


def scenario_random_delay(m):
    """The fake takes the longest one; within the window alone."""
    m.put(V2, 5, u16(20))
    m.push(V2)
    m.second()
    assert m.state(V2) == DELAY
    m.second(19)
    assert m.state(V2) == DELAY
    m.put(V2, 4, NIGHT)
    m.second()
    assert m.state(V2) == WINDOW
    m.put(V2, 4, array())
    m.second(20)
    assert m.state(V2) == DELAY
    m.second()
    assert m.state(V2) == IDLE and len(m.paths.sent) == 1


def scenario_retries(m):
    """10 s, then twice that, then given up; nothing of it blocks the next one."""
    m.paths.says = [BROKEN]
    m.push(V2)
    m.second()
    assert m.state(V2) == REPEATING and len(m.paths.sent) == 1
    m.second(9)
    assert len(m.paths.sent) == 1
    m.second(1)
    assert len(m.paths.sent) == 2
    m.second(19)
    assert len(m.paths.sent) == 2
    m.second(1)
    assert len(m.paths.sent) == 3
    assert m.state(V2) == IDLE and (m.notifier.done, m.notifier.lost) == (0, 1)
    assert len(set(m.paths.apdus)) == 1
    m.paths.says = [GONE]
    m.push(V2)
    m.second()
    assert m.notifier.done == 1 and m.paths.stopped[-1]


def scenario_too_long(m):
    m.paths.says = [NEVER]
    m.push(V2)
    m.second()
    assert m.state(V2) == IDLE and m.notifier.lost == 1 and len(m.paths.sent) == 1


def scenario_slow_path(m):
    m.paths.says = [BUSY]
    m.push(V2)
    m.second(5)
    assert m.state(V2) == SENDING and len(m.paths.sent) == 1
    m.paths.says = [GONE]
    m.second()
    assert m.state(V2) == IDLE and m.notifier.done == 1


def scenario_confirmed(m):
    m.put(V2, 11, enum(2))
    m.push(V2)
    m.second()
    assert m.state(V2) == CONFIRMING
    assert m.paths.apdus[0][1] == 0x40
    assert m.talk().say(confirmation(m.paths.apdus[0]).hex()) == ""
    m.second()
    assert m.state(V2) == IDLE and m.notifier.done == 1
    assert m.get(V2, 13) == b"\x19" + bytes(m.clock.local)


def scenario_not_confirmed(m):
    """30 s; then as if it had failed. The repetition has the same long-invoke-id."""
    m.put(V2, 11, enum(2))
    m.push(V2)
    m.second(30)
    assert m.state(V2) == CONFIRMING
    m.second(1)
    assert m.state(V2) == REPEATING
    m.second(10)
    assert m.state(V2) == CONFIRMING and len(set(m.paths.apdus)) == 1
    m.paths.lost = True
    m.second()
    assert m.state(V2) == REPEATING
    m.second(60)
    assert m.state(V2) == IDLE and m.notifier.lost == 1 and len(m.paths.sent) == 3


def scenario_no_key(m):
    """Counters that cannot be saved: tried again, as if the path were broken."""
    m.put(V2, 9, b"\x0f\x28")
    m.model.save = lambda: False
    m.push(V2)
    m.second()
    assert m.state(V2) == REPEATING and not m.paths.sent
    m.model.save = m.save
    m.second(10)
    assert m.state(V2) == IDLE and m.notifier.done == 1


def scenario_queue(m):
    """What waits goes after the first, without another delay."""
    m.put(V2, 5, u16(20))
    for _ in range(3):
        m.push(V2)
        m.second()
    assert m.state(V2) == DELAY and not m.paths.sent
    m.second(25)
    assert len(m.paths.sent) == 3 and m.state(V2) == IDLE
    assert [apdu[4] for apdu in m.paths.apdus] == [1, 2, 3]


def reset_in(state):
    def scenario(m):
        if state == WINDOW:
            m.put(V2, 4, NIGHT)
        elif state == DELAY:
            m.put(V2, 5, u16(20))
        elif state == READY:
            m.paths.there = False
        elif state == SENDING:
            m.paths.says = [BUSY]
        elif state == CONFIRMING:
            m.put(V2, 11, enum(2))
        elif state == REPEATING:
            m.paths.says = [BROKEN]
        m.push(V2)
        m.second()
        assert m.state(V2) == state
        assert m.push(V2, 2) == 0
        m.second()
        assert m.state(V2) == IDLE and m.notifier.is_idle()
        assert (m.notifier.done, m.notifier.lost) == (0, 0)

    scenario.__name__ = "scenario_reset_in_" + STATES[state]
    return scenario


def spoiled_while(state):
    """What makes it impossible comes while the notification is on its way."""

    def scenario(m):
        m.put(V2, 6, b"\x11\x00")
        if state == READY:
            m.paths.there = False
        elif state == CONFIRMING:
            m.put(V2, 11, enum(2))
        m.push(V2)
        m.second()
        assert m.state(V2) == state
        if state == READY:
            spoil_client(m)
            m.paths.there = True
        m.second(31)
        assert m.state(V2) == IDLE and m.notifier.lost == 1

    scenario.__name__ = "scenario_given_up_in_" + STATES[state]
    return scenario


def scenario_acknowledged(m):
    """push_operation_method 1: the path is told that the layer below is to confirm."""
    for method in (1, 0):
        m.put(V2, 11, enum(method))
        m.push(V2)
        m.second()
        assert m.paths.acknowledged == bool(method) and m.paths.apdus[-1][1] == 0
    m.push(V0)
    m.second()
    assert m.paths.acknowledged is False


def scenario_the_window_closes_while_it_is_protected(m):
    """Its turn has come: it goes, and one that fails then is repeated when the window opens."""
    seal = m.notifier.envelope.seal

    def slowly(row, plain):
        yield
        yield
        return (yield from seal(row, plain))

    m.notifier.envelope.seal = slowly
    m.paths.says = [BROKEN]
    m.push(V2)
    m.second(turns=1)
    assert m.state(V2) == SENDING
    m.put(V2, 4, NIGHT)
    m.second()
    assert m.state(V2) == REPEATING and len(m.paths.sent) == 1
    m.second(20)
    assert m.state(V2) == WINDOW and len(m.paths.sent) == 1
    m.put(V2, 4, array())
    m.paths.says = [GONE]
    m.second(5)
    assert m.state(V2) == IDLE and (m.notifier.done, m.notifier.lost) == (1, 0)


SCENARIOS = [f for name, f in sorted(globals().items()) if name.startswith("scenario_")]
SCENARIOS += [reset_in(s) for s in range(WINDOW, REPEATING + 1)]
SCENARIOS += [spoiled_while(READY), spoiled_while(CONFIRMING)]


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda f: f.__name__[9:])
def test_scenario(m, scenario):
    ready(m)
    scenario(m)


TRANSITIONS = [
    (state, event)
    for state in range(len(STATES))
    for event in range(len(EVENTS))
    if notifier.TRANSITIONS[state][event : event + 1] != b"."
]


@pytest.fixture(scope="module")
def seen():
    """(state, event) of all that happens in the scenarios."""
    found = []
    with pytest.MonkeyPatch.context() as patch:
        Watched(patch, found)
        for scenario in SCENARIOS:
            m = PushMeter()
            ready(m)
            scenario(m)
    return set(found)


@pytest.mark.parametrize("state,event", TRANSITIONS, ids=lambda n: None)
def test_every_transition_of_the_table_happens(seen, state, event):
    assert (state, event) in seen, (STATES[state], EVENTS[event])


@pytest.mark.parametrize("state", range(len(STATES)))
@pytest.mark.parametrize("event", range(len(EVENTS)))
def test_what_the_table_says_is_what_becomes_of_it(m, state, event):
    """And nothing else: a dot is no change."""
    assert len(notifier.TRANSITIONS[state]) == len(EVENTS)
    after = notifier.TRANSITIONS[state][event : event + 1]
    n = m.notifier
    n.states[2] = state
    n._event(2, event)
    assert n.states[2] == (state if after == b"." else int(after))


def test_nothing_else_happens(seen):
    """Events that change nothing: a second push while the first is under way."""
    without = {(s, e) for s, e in seen if (s, e) not in TRANSITIONS}
    assert {e for _, e in without} <= {PUSHED, RESET}


# --- No room -----------------------------------------------------------------------------------


@pytest.mark.parametrize("name,times,lost", [("_send", 1, 0), ("_hand_over", 1, 0)])
def test_no_room_for_an_attempt(m, monkeypatch, name, times, lost):
    """Before it has begun: with the next turn; after that: as if the path had broken."""
    real = getattr(m.notifier, name)
    left = [times]

    def full(*args):
        if left[0]:
            left[0] -= 1
            raise MemoryError
        return real(*args)

    monkeypatch.setattr(m.notifier, name, full)
    ready(m)
    m.push(V2)
    m.second(11)
    assert (m.notifier.done, m.notifier.lost, m.state(V2)) == (1, lost, IDLE)


# --- While one is on its way --------------------------------------------------------------------


def slowly(m, turns):
    """What protects a notification takes so many turns, as a signature does."""
    seal = m.notifier.envelope.seal

    def generator(row, plain):
        for _ in range(turns):
            yield
        return (yield from seal(row, plain))

    m.notifier.envelope.seal = generator


def test_another_client_s_is_made_while_one_is_protected(m):
    """Each goes to its own client."""
    ready(m)
    m.put(V2, 9, b"\x0f\x28")
    slowly(m, 2)
    m.push(V2)
    m.second(turns=1)
    assert m.state(V2) == SENDING
    m.push(V1)
    m.second(turns=20)
    assert [(sent[2], sent[4][0]) for sent in m.paths.sent] == [(40, 0xDB), (16, 0x0F)]
    assert m.notifier.done == 2


def test_another_client_s_is_made_while_one_is_confirmed(m):
    """It is still that client's confirmation that counts."""
    ready(m)
    m.put(V2, 11, enum(2))
    m.push(V2)
    m.second()
    assert m.state(V2) == CONFIRMING
    m.push(V1)
    m.second()
    assert m.talk(16).say(confirmation(m.paths.apdus[0]).hex()) != ""
    m.second()
    assert m.state(V2) == CONFIRMING
    assert m.talk().say(confirmation(m.paths.apdus[0]).hex()) == ""
    m.second()
    assert m.notifier.done == 2 and m.state(V2) == IDLE


@pytest.mark.parametrize("spoil", NOT_PUSHED + GIVEN_UP_AT_ONCE)
@pytest.mark.parametrize("state", [SENDING, CONFIRMING])
def test_spoiled_while_it_is_sent(m, state, spoil):
    """It goes where it was to go; what is set then is for the next one."""
    ready(m)
    if state == CONFIRMING:
        m.put(V2, 11, enum(2))
    m.paths.says = [BUSY]
    m.push(V2)
    m.second()
    spoil(m)
    m.push(V1)
    m.second()
    m.paths.says = [GONE]
    m.second()
    if state == CONFIRMING:
        assert m.state(V2) == CONFIRMING
        m.talk().say(confirmation(m.paths.apdus[0]).hex())
    m.second(2)
    assert m.notifier.done == 2 and m.state(V2) == IDLE


@pytest.mark.parametrize("spoil", NOT_PUSHED + GIVEN_UP_AT_ONCE)
def test_spoiled_while_it_is_protected(m, spoil):
    ready(m)
    slowly(m, 2)
    m.push(V2)
    m.second(turns=1)
    spoil(m)
    m.second(turns=5)
    m.second(40)
    assert m.state(V2) == IDLE and m.notifier.done + m.notifier.lost == 1
    assert [sent[:4] for sent in m.paths.sent] == [(TCP, b"127.0.0.1:4059", 1, 1)][
        : m.notifier.done
    ]


def test_while_a_function_control_has_it_off(m):
    ready(m)
    row = m.row(V2)
    m.model.off = bytearray(m.model.n_rows() + 7 >> 3)
    m.model.off[row >> 3] = 1 << (row & 7)
    assert m.push(V2) == m.handler.push(row) == 2 and m.push(V0) == 0
    assert waiting(m) == [V0]


# --- Power ---------------------------------------------------------------------------------------


def waiting(m):
    """Names of the objects for which the saved state says that something waits."""
    return [name for name in (V0, V1, V2) if m.model.image[m.model.state(m.row(name), 0)]]


def again(m):
    """The meter after a power failure, with the state of now."""
    n = PushMeter(load=False, image=m.model.image)
    n.second()
    return n


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda f: f.__name__[9:])
def test_the_state_says_what_waits(m, scenario):
    """After each second of all that can happen."""
    second = m.second

    def watched(n=1, turns=3):
        for _ in range(n):
            second(1, turns)
            box = m.notifier.outbox
            assert waiting(m) == [x for x in (V0, V1, V2) if box.find(0, m.row(x)) >= 0]

    m.second = watched
    ready(m)
    scenario(m)


def test_what_waited_is_pushed_after_a_power_failure(m):
    """Once, made anew: with the values of the start."""
    ready(m)
    m.paths.there = False
    for _ in range(3):
        m.push(V2)
        m.second()
    assert waiting(m) == [V2]
    assert m.set("1.0.1.8.0.255", 2, u32(777), 3) == 0
    n = again(m)
    assert [body(apdu) for apdu in n.paths.apdus] == [[777]] and waiting(n) == []
    assert again(n).loads == 0


def test_asked_for_in_the_second_of_the_failure(m):
    """Before the notification is made, the state says it already; after a reset no more."""
    ready(m)
    m.push(V2)
    m.push(V1)
    m.push(V2, 2)
    assert waiting(m) == [V1]
    m.push(V2)
    assert waiting(m) == [V1, V2]
    assert len(again(m).paths.sent) == 2
    m.second()
    assert waiting(m) == []


def test_reset_and_push_in_one_second(m):
    ready(m)
    m.paths.there = False
    m.push(V2)
    m.second()
    m.push(V2, 2)
    m.push(V2)
    m.second()
    assert waiting(m) == [V2] and m.notifier.outbox.n == 1


@pytest.mark.parametrize("spoil", NOT_PUSHED + GIVEN_UP_AT_ONCE)
def test_what_cannot_be_pushed_any_more_after_a_power_failure(m, spoil):
    ready(m)
    m.push(V2)
    spoil(m)
    n = again(m)
    assert n.paths.sent == [] and n.notifier.lost == 1 and waiting(n) == []


def test_what_had_to_make_room_waits_no_more(m):
    m.paths.there = False
    m.push(V1)
    m.second()
    for _ in range(15):
        m.push(V0)
        m.second()
    m.paths.there = True
    m.second()
    assert waiting(m) == [V0]


# --- Queue -------------------------------------------------------------------------------------


@pytest.mark.parametrize("keeps_oldest", [False, True])
def test_full(m, keeps_oldest):
    """512 octets, 47 octets each: what does not fit is counted, the rest goes in its order."""
    m.notifier.outbox.keeps_oldest = keeps_oldest
    m.paths.there = False
    for _ in range(15):
        m.push(V0)
        m.second()
    n = m.notifier.outbox.n
    assert n == 512 // (6 + 18 + 25) and m.notifier.lost == 15 - n
    m.paths.there = True
    m.second(n)
    ids = [apdu[4] for apdu in m.paths.apdus]
    assert ids == list(range(1, n + 1) if keeps_oldest else range(16 - n, 16))
    assert m.notifier.done == n and m.notifier.is_idle()


def test_one_that_does_not_fit_at_all(m):
    ready(m, objects=["1.0.1.8.%d.255" % (k % 10) for k in range(14)])
    m.notifier.outbox.limit = 60
    m.push(V2)
    m.second()
    assert m.notifier.lost == 1 and m.state(V2) == IDLE and m.paths.sent == []


LONG = ["1.0.1.8.%d.255" % (k % 10) for k in range(12)]


@pytest.mark.parametrize("limit,kept", [(55, True), (300, False)])
def test_nothing_older_goes_for_what_never_fits(m, limit, kept):
    """60 octets of values: an outbox of 55 has no room for them; one of 300 if another goes."""
    m.notifier.outbox.limit = limit
    m.paths.there = False
    for _ in range(1 if kept else 5):
        m.push(V0)
        m.second()
    n = m.notifier.outbox.n
    ready(m, objects=LONG)
    m.push(V2)
    m.second()
    box = m.notifier.outbox
    if kept:
        assert (box.n, m.notifier.lost, m.state(V2)) == (n, 1, IDLE)
    else:
        assert box.find(0, m.row(V2)) >= 0 and 0 < m.notifier.lost < n


def test_a_buffer_that_never_fits(m):
    """It is not written to the end to find that out."""
    profile = m.row("1.0.99.1.0.255", 7)
    for _ in range(10):
        assert m.model.act(profile, 2, b"\x0f\x00", 0, 2) == 0
    m.notifier.outbox.limit = 200
    m.paths.there = False
    m.push(V0)
    m.second()
    ready(m)
    m.put(V2, 2, array(element(7, "1.0.99.1.0.255", version=2)))
    m.push(V2)
    m.second()
    assert (m.notifier.outbox.n, m.notifier.lost) == (1, 1)
    # Its newest three rows do.
    m.put(V2, 2, array(element(7, "1.0.99.1.0.255", data_index=0xF003, version=2)))
    m.push(V2)
    m.second()
    assert (m.notifier.outbox.n, m.notifier.lost) == (2, 1)


def test_a_state_whose_notification_had_to_make_room(m):
    """Others have taken it out of the outbox: the object is idle again."""
    m.paths.there = False
    m.push(V1)
    m.second()
    assert m.state(V1) == READY
    for _ in range(15):
        m.push(V0)
        m.second()
    m.paths.there = True
    m.second(15)
    assert m.state(V1) == IDLE and m.notifier.is_idle()
    assert all(sent[2] == 1 for sent in m.paths.sent)


def test_one_destination_that_hangs_does_not_keep_others_out(m):
    """While it is repeated, others have the path; each has its turn."""
    ready(m)
    m.paths.says = [BROKEN]
    m.push(V2)
    m.second()
    assert m.state(V2) == REPEATING
    m.paths.says = [GONE]
    m.push(V0)
    m.second()
    assert m.notifier.done == 1 and m.state(V2) == REPEATING
    m.paths.there = False
    for name in (V0, V1, V2):
        m.push(name)
    m.second(60)
    m.paths.there = True
    m.second(3)
    assert len({sent[:4] for sent in m.paths.sent}) == 2 and m.notifier.is_idle()
