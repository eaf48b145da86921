# SPDX-License-Identifier: MIT
"""cosem/disconnect_control.py: every mode, state and cause, from the table in its docstring.

The expected modes are written out here a second time, in the words of the Blue Book.
"""

import re

import pytest
from cosem import disconnect_control, script_table
from fakes import CLOCK, Meter, boolean, enum, obis, octets, struct_, u16
from served import Served

OUTPUT, STATE, MODE = 2, 3, 4
READ_WRITE_DENIED, TYPE_UNMATCHED, OTHER_REASON = 3, 12, 250

# control_mode: disconnection remote, manual, local; reconnection remote, manual, local.
MODES = {0: "", 1: "bc f g d e", 2: "bc f g a e", 3: "bc g d e", 4: "bc g a e", 5: "bc f g d e h",
         6: "bc g d e h"}  # fmt: skip

CAUSES = (
    "remote_reconnect",
    "remote_disconnect",
    "manual_reconnect",
    "manual_disconnect",
    "local_disconnect",
    "local_reconnect",
)

# Letter -> cause, from, to: as the docstring has them.
TABLE = {
    letter: (cause, int(before), int(after))
    for letter, cause, before, after in re.findall(
        r"^    ([a-h])  (\w+) +(\d) -> (\d)", disconnect_control.__doc__, re.M
    )
}
EVENTS = {"a": 63, "b": 62, "c": 62, "d": 59, "e": 61, "f": 60, "g": 64, "h": 69}

# Remote methods that find what they ask for, and succeed: (cause, mode, state).
DONE_ALREADY = {("remote_disconnect", mode, 0) for mode in range(1, 7)}
DONE_ALREADY |= {("remote_reconnect", mode, 1) for mode in range(1, 7)}
DONE_ALREADY |= {("remote_reconnect", mode, 2) for mode in (1, 3, 5, 6)}

LEGAL = {
    (cause, mode, before): (letter, after)
    for letter, (cause, before, after) in TABLE.items()
    for mode in MODES
    if letter in MODES[mode]
}
ALL = [(c, m, s) for c in CAUSES for m in MODES for s in (0, 1, 2)]
ILLEGAL = [x for x in ALL if x not in LEGAL]

OBJECTS = (
    CLOCK
    + """
    {class = 70, obis = "0.0.96.3.10.255", output_state = true, control_state = 1,
     control_mode = 1, ram = ["output_state", "control_state"]},
    {class = 9, obis = "0.0.10.0.106.255", scripts = [
     [1, [[2, 70, "0.0.96.3.10.255", 1, {type = "integer", value = 0}]]],
     [2, [[2, 70, "0.0.96.3.10.255", 2, {type = "integer", value = 0}]]]]},
"""
)


@pytest.fixture
def meter():
    m = Meter(OBJECTS)
    m.object = m.row(70, "0.0.96.3.10.255")
    m.control = m.model.handler("disconnect_control")
    m.outputs = []
    m.control.on_output = lambda row, on: m.outputs.append(on)
    return m


def put(meter, mode, state):
    model = meter.model
    model.image[model.slot(meter.object, STATE) + 1] = state
    model.image[model.slot(meter.object, OUTPUT) + 1] = state == 1
    model.image[model.slot(meter.object, MODE) + 1] = mode


def cause(meter, name):
    """Let it happen; True or action_result 0 means that it was taken."""
    if name.startswith("remote"):
        return meter.act(meter.object, 1 if name == "remote_disconnect" else 2)
    return 0 if getattr(meter.control, name)(meter.object) else OTHER_REASON


def test_the_table_is_whole():
    assert sorted(TABLE) == list("abcdefgh")
    assert {c for c, _, _ in TABLE.values()} == set(CAUSES)


@pytest.mark.parametrize("name, mode, state", sorted(LEGAL))
def test_transitions(meter, name, mode, state):
    letter, after = LEGAL[name, mode, state]
    put(meter, mode, state)
    assert cause(meter, name) == 0
    assert meter.read(meter.object, STATE) == after
    assert meter.read(meter.object, OUTPUT) == (after == 1)
    assert meter.outputs == [after == 1]
    assert meter.events == [EVENTS[letter]]
    assert meter.edits


@pytest.mark.parametrize("name, mode, state", ILLEGAL)
def test_what_is_no_transition_changes_nothing(meter, name, mode, state):
    put(meter, mode, state)
    if (name, mode, state) in DONE_ALREADY:
        expected = 0
    elif mode == 0 and name.startswith("remote"):
        expected = READ_WRITE_DENIED
    else:
        expected = OTHER_REASON
    assert cause(meter, name) == expected
    assert meter.read(meter.object, STATE) == state
    assert meter.outputs == [] and meter.events == []


# --- By scripts: remote, but for those of what supervises a value -----------------------------

SCRIPTS = ("remote_disconnect", "remote_reconnect")


@pytest.mark.parametrize("script", [1, 2])
@pytest.mark.parametrize("state", [0, 1, 2])
@pytest.mark.parametrize("mode", MODES)
def test_a_script_does_what_the_method_does(meter, mode, state, script):
    put(meter, mode, state)
    by_method = cause(meter, SCRIPTS[script - 1])
    expected = by_method, meter.read(meter.object, STATE), list(meter.events)
    put(meter, mode, state)
    meter.events.clear()
    result = meter.act(meter.row(9, "0.0.10.0.106.255"), 1, u16(script))
    assert (result, meter.read(meter.object, STATE), meter.events) == expected


@pytest.mark.parametrize("script", [1, 2])
@pytest.mark.parametrize("state", [0, 1, 2])
@pytest.mark.parametrize("mode", MODES)
def test_a_local_script_has_the_local_transitions(meter, mode, state, script):
    local = ("local_disconnect", "local_reconnect")[script - 1]
    letter, after = LEGAL.get((local, mode, state), ("", state))
    put(meter, mode, state)
    named = struct_(octets(obis("0.0.10.0.106.255")), u16(script))
    result = script_table.run(meter.model, meter.object, named, 0, True)
    assert meter.read(meter.object, STATE) == after
    assert meter.events == ([EVENTS[letter]] if letter else [])
    if mode == 0:
        assert result == READ_WRITE_DENIED
    else:
        # What is asked for is so now, or cannot be.
        assert result == (0 if (after == 1) == (script == 2) else OTHER_REASON)
    # And the next one is remote again.
    put(meter, 4, 1)
    assert meter.act(meter.row(9, "0.0.10.0.106.255"), 1, u16(1)) == 0
    assert meter.read(meter.object, STATE) == 0


def test_mode_0_is_always_connected(meter):
    put(meter, 4, 0)
    assert meter.set(meter.object, MODE, enum(0)) == 0
    assert meter.read(meter.object, STATE) == 1
    assert meter.outputs == [True]


@pytest.mark.parametrize("mode", range(1, 7))
def test_another_mode_leaves_the_state(meter, mode):
    put(meter, 4, 2)
    assert meter.set(meter.object, MODE, enum(mode)) == 0
    assert meter.read(meter.object, STATE) == 2
    assert meter.outputs == []


@pytest.mark.parametrize("mode", [7, 255])
def test_no_other_mode(meter, mode):
    assert meter.set(meter.object, MODE, enum(mode)) in (TYPE_UNMATCHED, OTHER_REASON)
    assert meter.read(meter.object, MODE) == 1


def test_after_power_up_the_output_is_as_it_was(meter):
    put(meter, 4, 1)
    assert meter.act(meter.object, 1) == 0
    again = meter.restart()
    assert again.read(meter.object, STATE) == 0
    assert not again.read(meter.object, OUTPUT)
    assert not again.model.handler("disconnect_control").is_connected(meter.object)


def test_no_other_method(meter):
    assert meter.act(meter.object, 3) == 4


def test_a_conversation():
    c = Served(OBJECTS)
    about = (70, "0.0.96.3.10.255")

    def state():
        return c.get(*about, OUTPUT), c.get(*about, STATE), c.get(*about, MODE)

    assert state() == (True, 1, 1)
    assert c.act(*about, 1) == 0 and state() == (False, 0, 1)
    assert c.act(*about, 2, client=17) == 0 and state() == (False, 2, 1)  # a button does the rest
    assert c.set(*about, MODE, enum(4), client=17) == READ_WRITE_DENIED
    assert c.set(*about, MODE, enum(4)) == 0
    assert c.act(*about, 2) == OTHER_REASON and state() == (False, 2, 4)
    assert c.act(*about, 1) == 0 and c.act(*about, 2) == 0 and state() == (True, 1, 4)
    assert c.act(*about, 1, u16(0)) == TYPE_UNMATCHED and state() == (True, 1, 4)
    assert c.set(*about, OUTPUT, boolean(False)) == READ_WRITE_DENIED
    assert c.set(*about, STATE, enum(0)) == READ_WRITE_DENIED
    assert c.set(*about, MODE, enum(0)) == 0
    assert c.act(*about, 1) == READ_WRITE_DENIED and state() == (True, 1, 0)
