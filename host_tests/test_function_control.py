# SPDX-License-Identifier: MIT
"""cosem/function_control.py: functions that are disabled by name, and what that takes from their
objects."""

import pytest
from fakes import CLOCK, Meter, array, boolean, i32, obis, octets, struct_, u8, u16
from served import Served

NAME = "0.0.44.1.0.255"
STATUS, FUNCTIONS = 2, 3
SET_STATUS, ADD, REMOVE = 1, 2, 3
TEMPORARY_FAILURE, READ_WRITE_DENIED, OBJECT_UNDEFINED = 2, 3, 4
TYPE_UNMATCHED, OTHER_REASON = 12, 250

REGISTER, PROFILE, SCRIPTS = (3, "1.0.1.8.0.255"), (7, "1.0.99.1.0.255"), (9, "0.0.10.0.0.255")
MONITOR, SCHEDULE = (21, "0.0.16.0.0.255"), (22, "0.0.15.0.0.255")

OBJECTS = (
    CLOCK
    + """
    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long", value = 5, scaler = 0,
     unit = "Wh", ram = ["value"]},
    {class = 1, obis = "0.0.96.1.0.255", data_type = "unsigned", value = 0, ram = ["value"]},
    {class = 7, obis = "1.0.99.1.0.255", capture_objects = ["8/0.0.1.0.0/2", "3/1.0.1.8.0/2"],
     capture_period = 60, sort_method = 1, profile_entries = 20},
    {class = 9, obis = "0.0.10.0.0.255", scripts = [
      [1, [[1, 1, "0.0.96.1.0.255", 2, {type = "unsigned", value = 1}]]],
      [2, [[2, 3, "1.0.1.8.0.255", 1, {type = "integer", value = 0}]]]]},
    {class = 21, obis = "0.0.16.0.0.255", thresholds = [{type = "double-long", value = 100}],
     monitored_value = [3, "1.0.1.8.0.255", 2],
     actions = [[["0.0.10.0.0.255", 1], ["0.0.10.0.0.255", 0]]]},
    {class = 22, obis = "0.0.15.0.0.255", executed_script = ["0.0.10.0.0.255", 1],
     values = {type = 1}, execution_time = ["12:05:00/*-*-*"]},
    {class = 122, obis = "0.0.44.1.0.255", function_list = [["load", [[7, "1.0.99.1.0.255"]]],
     ["tariff", [[9, "0.0.10.0.0.255"], [21, "0.0.16.0.0.255"]]], ["none", []]],
     capacity = {function_list = "250 octets"}},
    {class = 122, obis = "0.0.44.1.1.255", function_list = [["x", [[3, "1.0.1.8.0.255"]]]]},
"""
)
NAMES = ["load", "tariff", "none"]


def status(*pairs):
    return array(*(struct_(octets(name.encode()), boolean(on)) for name, on in pairs))


def function(name, *objects):
    parts = (struct_(u16(class_id), octets(obis(text))) for class_id, text in objects)
    return struct_(octets(name.encode()), array(*parts))


@pytest.fixture
def m():
    meter = Meter(OBJECTS)
    meter.object = meter.row(122, NAME)
    meter.set_local("2026-06-15 12:00:00")
    meter.tick = lambda: meter.model.tick(meter.clock.minute)
    meter.tick()
    return meter


def off(m):
    """Objects that are off, as (class_id, last octets of the name)."""
    model = m.model
    return [(model.class_id(r)) for r in range(model.n_rows()) if model.is_off(r)]


def enabled(m):
    return {name.decode(): bool(on) for name, on in m.read(m.object, STATUS)}


def switch(m, **functions):
    return m.act(m.object, SET_STATUS, status(*functions.items()))


# --- Which are enabled --------------------------------------------------------------------------


def test_all_are_at_first(m):
    assert enabled(m) == dict.fromkeys(NAMES, True) and off(m) == []


def test_disabled_and_enabled_again(m):
    assert switch(m, tariff=False) == 0
    assert enabled(m) == {"load": True, "tariff": False, "none": True} and off(m) == [9, 21]
    assert switch(m, load=False, none=False) == 0
    assert not any(enabled(m).values()) and off(m) == [7, 9, 21]
    assert switch(m, tariff=True, load=False) == 0
    assert enabled(m) == {"load": False, "tariff": True, "none": False} and off(m) == [7]
    assert switch(m, load=True, none=True) == 0 and off(m) == []


def test_said_twice_in_one_list(m):
    """The last one counts."""
    data = status(("load", False), ("load", True), ("tariff", True), ("tariff", False))
    assert m.act(m.object, SET_STATUS, data) == 0
    assert enabled(m) == {"load": True, "tariff": False, "none": True}


def test_all_or_nothing(m):
    assert switch(m, load=False, unknown=False) == OTHER_REASON
    assert m.act(m.object, SET_STATUS, status(("load", False), ("", False))) == OTHER_REASON
    assert enabled(m) == dict.fromkeys(NAMES, True)
    assert m.act(m.object, SET_STATUS, array(struct_(octets(b"load"), u8(0)))) == TYPE_UNMATCHED
    assert m.act(m.object, SET_STATUS, array()) == 0


def test_over_a_power_failure(m):
    switch(m, load=False)
    again = m.restart()
    again.object = m.object
    assert enabled(again)["load"] is False and off(again) == [7]


def test_an_object_of_two_functions(m):
    """Off while one of them is disabled; so with two objects of this class."""
    assert m.act(m.object, ADD, function("other", PROFILE)) == 0
    switch(m, load=False, other=False)
    switch(m, load=True)
    assert off(m) == [7]
    assert m.act(m.row(122, "0.0.44.1.1.255"), SET_STATUS, status(("x", False))) == 0
    assert off(m) == [3, 7]
    switch(m, other=True)
    assert off(m) == [3]


def test_the_longest_name(m):
    longest = "x" * 126
    assert m.set(m.object, FUNCTIONS, array(function(longest, REGISTER), function("y"))) == 0
    assert switch(m, **{longest: False, "y": False}) == OTHER_REASON and off(m) == []
    assert switch(m, **{longest: False}) == 0 and off(m) == [3]
    assert switch(m, y=False) == OTHER_REASON
    assert switch(m, **{longest: True}) == 0 and enabled(m) == {longest: True, "y": True}


def test_no_room_for_all_names(m):
    """127 octets: eleven names of ten, with their lengths, and none of seven."""
    functions = [function("function%02d" % k) for k in range(11)] + [function("seventh")]
    assert m.set(m.object, FUNCTIONS, array(*functions)) == 0
    for k in range(11):
        assert switch(m, **{"function%02d" % k: False}) == 0
    assert switch(m, seventh=False) == OTHER_REASON
    assert switch(m, function00=True) == 0 and switch(m, seventh=False) == 0
    assert [name for name, on in enabled(m).items() if on] == ["function00"]
    assert off(m) == []


# --- Which there are ----------------------------------------------------------------------------


def test_add_and_remove(m):
    assert m.act(m.object, ADD, function("new", REGISTER, PROFILE)) == 0
    assert list(enabled(m)) == [*NAMES, "new"] and enabled(m)["new"]
    switch(m, new=False, tariff=False)
    assert off(m) == [3, 7, 9, 21]
    assert m.act(m.object, REMOVE, octets(b"tariff")) == 0
    assert list(enabled(m)) == ["load", "none", "new"] and off(m) == [3, 7]
    assert m.act(m.object, REMOVE, octets(b"new")) == 0 and off(m) == []
    # What has gone is not disabled when it comes back.
    assert m.act(m.object, ADD, function("new", REGISTER)) == 0 and enabled(m)["new"]
    for name in (b"load", b"none", b"new"):
        assert m.act(m.object, REMOVE, octets(name)) == 0
    assert enabled(m) == {}


REFUSED = [
    (function("load"), OTHER_REASON),
    (function(""), OTHER_REASON),
    (function("x" * 127), OTHER_REASON),
    (struct_(b"\x09\x81\x80" + b"x" * 128, array()), OTHER_REASON),
    (function("new", (3, "1.0.1.8.9.255")), OBJECT_UNDEFINED),
    (function("new", (4, "1.0.1.8.0.255")), OBJECT_UNDEFINED),
    (function("new", (122, NAME)), READ_WRITE_DENIED),
    (function("new", *[PROFILE] * 20), OTHER_REASON),
    (struct_(octets(b"new"), array(u8(1))), TYPE_UNMATCHED),
]


@pytest.mark.parametrize("new,result", REFUSED)
def test_what_cannot_be_added(m, new, result):
    before = bytes(m.model.image)
    assert m.act(m.object, ADD, new) == result
    assert m.model.image == before


@pytest.mark.parametrize("name", [b"", b"loa", b"loads", b"LOAD"])
def test_what_cannot_be_removed(m, name):
    before = bytes(m.model.image)
    assert m.act(m.object, REMOVE, octets(name)) == OTHER_REASON
    assert m.act(m.object, REMOVE, b"\x09\x81\x80" + bytes(128)) == OTHER_REASON
    assert m.model.image == before


def test_the_list_is_set(m):
    """Who stays is as before, whatever its place and its objects; who comes is enabled."""
    switch(m, tariff=False, load=False)
    new = array(function("other", MONITOR), function("tariff", REGISTER))
    assert m.set(m.object, FUNCTIONS, new) == 0
    assert enabled(m) == {"other": True, "tariff": False} and off(m) == [3]
    assert m.set(m.object, FUNCTIONS, array()) == 0 and off(m) == []
    assert m.set(m.object, FUNCTIONS, array(function("load", PROFILE))) == 0
    assert enabled(m) == {"load": True}


@pytest.mark.parametrize("new,result", REFUSED[1:])
def test_what_cannot_be_in_the_list(m, new, result):
    before = bytes(m.model.image)
    assert m.set(m.object, FUNCTIONS, array(function("a"), new)) == result
    assert m.model.image == before


def test_a_name_stands_once_in_the_list(m):
    assert m.set(m.object, FUNCTIONS, array(function("a"), function("a"))) == OTHER_REASON


def test_a_list_that_nobody_can_change(m):
    """It lies in ROM; its functions can be switched all the same."""
    row = m.row(122, "0.0.44.1.1.255")
    if m.model.slot(row, FUNCTIONS) < 0:
        assert m.act(row, ADD, function("y")) == READ_WRITE_DENIED
        assert m.act(row, REMOVE, octets(b"x")) == READ_WRITE_DENIED
    assert m.act(row, SET_STATUS, status(("x", False))) == 0 and off(m) == [3]


# --- What that takes from the objects -----------------------------------------------------------


def test_methods(m):
    profile, scripts, register = (m.row(*x) for x in (PROFILE, SCRIPTS, REGISTER))
    assert m.act(profile, 2) == 0
    switch(m, load=False, tariff=False)
    assert m.act(profile, 2) == m.act(profile, 1) == TEMPORARY_FAILURE
    assert m.act(scripts, 1, u16(1)) == TEMPORARY_FAILURE
    assert m.act(profile, 1, u8(1)) == TYPE_UNMATCHED
    assert len(m.read(profile, 2)) == 1
    switch(m, load=True, tariff=True)
    m.act(m.row(122, "0.0.44.1.1.255"), SET_STATUS, status(("x", False)))
    # A script that comes to one.
    assert m.act(scripts, 1, u16(2)) == TEMPORARY_FAILURE and m.read(register, 2) == 5
    assert m.set(register, 2, i32(6)) == 0
    assert m.act(profile, 2) == 0 and [x[1] for x in m.read(profile, 2)] == [5, 6]


def pass_(m, seconds):
    for _ in range(seconds):
        m.clock.advance(1000)
        m.tick()


def test_a_profile_captures_no_rows(m):
    profile = m.row(*PROFILE)
    pass_(m, 130)
    n = len(m.read(profile, 2))
    assert n == 2
    switch(m, load=False)
    pass_(m, 600)
    assert len(m.read(profile, 2)) == n
    switch(m, load=True)
    pass_(m, 60)
    assert len(m.read(profile, 2)) == n + 1


def test_a_monitor_and_a_schedule(m):
    seen, register = m.row(1, "0.0.96.1.0.255"), m.row(*REGISTER)
    new = array(function("monitor", MONITOR), function("schedule", SCHEDULE))
    assert m.set(m.object, FUNCTIONS, new) == 0
    pass_(m, 1)
    switch(m, monitor=False, schedule=False)
    m.set(register, 2, i32(101))
    pass_(m, 400)
    assert m.read(seen, 2) == 0
    switch(m, monitor=True)
    pass_(m, 1)
    assert m.read(seen, 2) == 1
    m.set(seen, 2, u8(0))
    switch(m, schedule=True)
    pass_(m, 24 * 3600)
    assert m.read(seen, 2) == 1


def test_a_conversation():
    c = Served(OBJECTS)
    assert c.get(122, NAME, STATUS) == [[name.encode(), 1] for name in NAMES]
    assert c.act(122, NAME, SET_STATUS, status(("load", False))) == 0
    assert c.get(122, NAME, STATUS)[0] == [b"load", 0]
    assert c.act(*PROFILE, 2) == TEMPORARY_FAILURE
    assert c.get(*PROFILE, 7) == 0
    assert c.act(122, NAME, ADD, function("new", REGISTER)) == 0
    assert c.set(122, NAME, FUNCTIONS, array(), client=17) == READ_WRITE_DENIED
    assert c.set(122, NAME, STATUS, array()) == READ_WRITE_DENIED
    assert c.act(122, NAME, SET_STATUS, status(("load", True)), client=17) == 0
    assert c.act(*PROFILE, 2) == 0 and c.get(*PROFILE, 7) == 1
    assert c.act(122, NAME, REMOVE, octets(b"new")) == 0
    assert [x[0] for x in c.get(122, NAME, FUNCTIONS)] == [b"load", b"tariff", b"none"]
