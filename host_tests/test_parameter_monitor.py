# SPDX-License-Identifier: MIT
"""cosem/parameter_monitor.py: who changes a parameter is seen, over the server.

Of definitions/timing.toml: version 1 watches threshold_normal of the Limiter, the entries of the
Schedule, and a number, with SHA-256 and a log; version 0 watches the number.
"""

import hashlib

import pytest
from fakes import array, enum, i8, i16, octets, obis, struct_, u8, u16, u32
from test_schedule import entry
from timed import EXCEPTION, OTHER_REASON, TYPE_UNMATCHED, UNDEFINED, Timed, refuses, when

MONITOR, OLD = (65, "0.0.16.2.0"), (65, "0.0.16.2.1")
LIMITER, SCHEDULE, NUMBER = (71, "0.0.17.0.0"), (10, "0.0.12.0.0"), (1, "0.0.96.50.1")
CHANGED, TIME, LIST, LIST_NAME, HASH, DIGEST, VALUES = 2, 3, 4, 5, 6, 7, 8
ADD, DELETE = 1, 2
NAME = obis("0.0.96.50.1.255")


def parameter(class_id, name, index):
    return struct_(u16(class_id), octets(obis(name + ".255")), i8(index))


class Talk(Timed):
    def log(self):
        """What the log has captured."""
        return [row[1] for row in self.get(7, "0.0.99.16.0", 2)]

    def digest(self):
        self.run(1)
        return self.get(*MONITOR, DIGEST)


@pytest.fixture
def meter():
    return Talk()  # 2026-06-15 12:00:00


# --- What is a change ---------------------------------------------------------------------------


def test_at_first_nothing_has_changed(meter):
    assert meter.get(*MONITOR, CHANGED) == [0, bytes(6), 0, None]
    assert meter.log() == []


def test_a_set_is_seen_with_its_value_and_time(meter):
    meter.run(5)
    assert meter.set(*NUMBER, 2, i16(-7)) == 0
    for monitor in (MONITOR, OLD):
        assert meter.get(*monitor, CHANGED) == [1, NAME, 2, -7]
        time, now = meter.octets(*monitor, TIME), when("2026-06-15 12:00:05")
        assert (time[:1], time[1:5], time[6:9]) == (b"\x19", now[:4], now[5:8])
    assert meter.log() == [[1, NAME, 2, -7]]


def test_each_change_is_a_row_of_the_log(meter):
    for n in (1, 2, 2):
        assert meter.set(*NUMBER, 2, i16(n)) == 0
    assert meter.set(*LIMITER, 4, u32(4000)) == 0
    assert meter.set(*LIMITER, 5, u32(4000)) == 0  # not on the list
    number, limit = [1, NAME, 2], [71, obis("0.0.17.0.0.255"), 4]
    assert meter.log() == [number + [1], number + [2], number + [2], limit + [4000]]
    assert meter.get(*OLD, CHANGED) == number + [2]


def test_a_method_that_changes_a_parameter_is_seen_another_is_not(meter):
    one = entry(1, "12:00:00")
    assert meter.act(*SCHEDULE, 3, struct_(u16(1), u16(9))) == 0  # there is nothing to delete
    assert meter.log() == []
    assert meter.act(*SCHEDULE, 2, one) == 0
    assert len(meter.log()) == 1
    assert meter.octets(*MONITOR, CHANGED).endswith(i8(2) + array(one))
    assert meter.act(*SCHEDULE, 2, one) == 0  # the same again
    assert len(meter.log()) == 1
    assert meter.act(*SCHEDULE, 3, struct_(u16(1), u16(1))) == 0
    assert meter.octets(*MONITOR, CHANGED).endswith(i8(2) + array())


def test_a_script_is_seen(meter):
    assert meter.act(*SCHEDULE, 2, entry(1, "12:00:00")) == 0
    assert meter.act(9, "0.0.10.0.0", 1, u16(8)) == 0  # sets the entries
    assert meter.octets(*MONITOR, CHANGED).endswith(i8(2) + array())


def test_what_is_refused_is_no_change(meter):
    assert meter.set(*NUMBER, 2, u16(1)) == TYPE_UNMATCHED
    assert meter.set(*SCHEDULE, 2, array(entry(0, "12:00:00"))) == OTHER_REASON
    assert meter.log() == []


def test_a_value_without_room_is_null_data(meter):
    three = array(*(entry(k, "12:00:00") for k in (1, 2, 3)))
    assert meter.set(*SCHEDULE, 2, three) == 0
    assert meter.get(*MONITOR, CHANGED) == [10, obis("0.0.12.0.0.255"), 2, None]


def test_it_survives_a_power_failure(meter):
    assert meter.set(*NUMBER, 2, i16(9)) == 0
    again = meter.off("2026-06-15 13:00:00")
    assert again.get(*MONITOR, CHANGED) == [1, NAME, 2, 9]
    assert again.log() == [[1, NAME, 2, 9]]


# --- All values, and their hash -----------------------------------------------------------------


def test_parameter_values_are_all_of_them(meter):
    two = array(entry(1, "12:00:00"), entry(2, "13:00:00"))
    assert meter.set(*SCHEDULE, 2, two) == 0
    assert meter.set(*NUMBER, 2, i16(5)) == 0
    assert meter.octets(*MONITOR, VALUES) == struct_(u32(3000), two, i16(5))


def test_a_long_value_comes_whole(meter):
    many = array(*(entry(k, "12:00:00") for k in range(1, 12)))
    assert len(many) > 500
    assert meter.set(*SCHEDULE, 2, many) == 0
    assert meter.octets(*MONITOR, VALUES) == struct_(u32(3000), many, i16(0))


@pytest.mark.parametrize("kind, name", [(0, "md5"), (1, "sha1"), (2, "sha256"), (3, "sha384")])
def test_the_digest_is_their_hash(meter, kind, name):
    assert meter.set(*MONITOR, HASH, enum(kind)) == 0
    for value in (1, 2):
        assert meter.set(*NUMBER, 2, i16(value)) == 0
        many = array(*(entry(k, "12:00:00") for k in range(1, 8 + value)))
        assert meter.set(*SCHEDULE, 2, many) == 0
        assert meter.digest() == hashlib.new(name, meter.octets(*MONITOR, VALUES)).digest()


@pytest.mark.parametrize("kind", [4, 5, 255])
def test_without_such_a_hash_or_room_for_it_the_digest_is_empty(meter, kind):
    assert len(meter.digest()) == 32
    assert meter.set(*MONITOR, HASH, enum(kind)) == 0
    assert meter.digest() == b""


def test_hashes_come_for_the_digest_and_go(meter):
    """As the firmware hands them in, where nobody needs security."""
    model = meter.model
    wanted = []
    new_hash, model.new_hash = model.new_hash, None

    def on_security(on):
        wanted.append(on)
        model.new_hash = new_hash if on else None

    model.on_security = on_security
    assert meter.set(*NUMBER, 2, i16(9)) == 0
    meter.run(1)
    assert wanted == [True, False]
    assert meter.digest() == hashlib.sha256(meter.octets(*MONITOR, VALUES)).digest()


def test_the_digest_of_no_parameters(meter):
    assert meter.set(*MONITOR, LIST, array()) == 0
    assert meter.octets(*MONITOR, VALUES) == struct_()
    assert meter.digest() == hashlib.sha256(struct_()).digest()


# --- The list -----------------------------------------------------------------------------------


def listed(meter, monitor=MONITOR):
    return [(c, index) for c, _name, index in meter.get(*monitor, LIST)]


def test_parameters_are_added_and_deleted(meter):
    assert meter.act(*MONITOR, ADD, parameter(71, "0.0.17.0.0", 5)) == 0
    assert listed(meter) == [(71, 4), (10, 2), (1, 2), (71, 5)]
    assert meter.set(*LIMITER, 5, u32(1)) == 0
    assert meter.act(*MONITOR, DELETE, parameter(10, "0.0.12.0.0", 2)) == 0
    assert listed(meter) == [(71, 4), (1, 2), (71, 5)]
    assert meter.act(*SCHEDULE, 2, entry(1, "12:00:00")) == 0
    assert meter.set(*NUMBER, 2, i16(2)) == 0
    assert [row[0::2] for row in meter.log()] == [[71, 5], [1, 2]]


def test_a_list_that_is_set_begins_with_the_values_of_now(meter):
    assert meter.act(*SCHEDULE, 2, entry(1, "12:00:00")) == 0
    assert meter.set(*MONITOR, LIST, array(parameter(10, "0.0.12.0.0", 2))) == 0
    assert meter.act(*SCHEDULE, 3, struct_(u16(5), u16(5))) == 0
    assert len(meter.log()) == 1
    assert meter.set(*NUMBER, 2, i16(2)) == 0
    assert len(meter.log()) == 1


def test_a_monitor_may_watch_itself(meter):
    assert meter.set(*MONITOR, LIST, array(parameter(65, "0.0.16.2.0", 5))) == 0
    assert meter.set(*MONITOR, LIST_NAME, octets(b"mine")) == 0
    assert meter.log() == [[65, obis("0.0.16.2.0.255"), 5, b"mine"]]


GOOD = parameter(71, "0.0.17.0.0", 5)
PARAMETERS = {
    "no such object": (parameter(71, "0.0.17.0.9", 4), OTHER_REASON),
    "another class": (parameter(3, "0.0.17.0.0", 2), OTHER_REASON),
    "no such attribute": (parameter(71, "0.0.17.0.0", 12), OTHER_REASON),
    "attribute 0": (parameter(71, "0.0.17.0.0", 0), OTHER_REASON),
    "attribute -1": (parameter(71, "0.0.17.0.0", -1), OTHER_REASON),
    "the logical name": (parameter(71, "0.0.17.0.0", 1), OTHER_REASON),
    "a computed attribute": (parameter(8, "0.0.1.0.0", 2), OTHER_REASON),
    "an element missing": (struct_(u16(71), octets(bytes(6))), TYPE_UNMATCHED),
    "a short name": (struct_(u16(71), octets(bytes(5)), i8(4)), TYPE_UNMATCHED),
    "another type": (struct_(u8(71), octets(bytes(6)), i8(4)), TYPE_UNMATCHED),
}
BAD = {name: (array(GOOD, data), result) for name, (data, result) in PARAMETERS.items()}
BAD.update({
    "twice": (array(GOOD, GOOD), OTHER_REASON),
    "no room": (array(*(parameter(71, "0.0.17.0.0", k) for k in range(2, 7))), OTHER_REASON),
    "no array": (GOOD, TYPE_UNMATCHED),
    "cut off": (array(GOOD)[:-1], EXCEPTION),
})  # fmt: skip


@pytest.mark.parametrize("name", BAD)
def test_bad_lists_change_nothing(meter, name):
    data, result = BAD[name]
    refuses(meter, "set", *MONITOR, LIST, data, result)
    if not name.startswith("no room"):  # there is less in the other one
        refuses(meter, "set", *OLD, LIST, data, result)


BAD_ACTIONS = {"add: " + name: (ADD, *case) for name, case in PARAMETERS.items()}
BAD_ACTIONS.update({
    "add: it is there": (ADD, parameter(1, "0.0.96.50.1", 2), OTHER_REASON),
    "delete: it is not there": (DELETE, GOOD, OTHER_REASON),
    "delete: nothing": (DELETE, b"", TYPE_UNMATCHED),
    "no such method": (3, GOOD, UNDEFINED),
})  # fmt: skip


@pytest.mark.parametrize("name", BAD_ACTIONS)
def test_bad_actions_change_nothing(meter, name):
    method, data, result = BAD_ACTIONS[name]
    refuses(meter, "act", *MONITOR, method, data, result)
    refuses(meter, "act", *OLD, method, data, result)


def test_a_list_without_room_takes_no_more(meter):
    assert meter.act(*MONITOR, ADD, GOOD) == 0
    refuses(meter, "act", *MONITOR, ADD, parameter(71, "0.0.17.0.0", 6), OTHER_REASON)
    refuses(meter, "act", *OLD, ADD, GOOD, OTHER_REASON)


@pytest.mark.parametrize(
    "attribute, data, result",
    [(LIST_NAME, octets(b"123456789"), OTHER_REASON), (LIST_NAME, u8(1), TYPE_UNMATCHED),
     (HASH, u8(1), TYPE_UNMATCHED), (VALUES, struct_(), None), (9, u8(1), None)],
)  # fmt: skip
def test_other_bad_values_change_nothing(meter, attribute, data, result):
    if result is None:
        assert meter.set(*MONITOR, attribute, data) != 0
    else:
        refuses(meter, "set", *MONITOR, attribute, data, result)
