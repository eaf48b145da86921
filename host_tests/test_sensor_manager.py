# SPDX-License-Identifier: MIT
"""cosem/sensor_manager.py: a sensor's raw and processed value cross their thresholds, over the
server.

The Sensor manager of definitions/timing.toml: above a raw value of 100 script 1, not above it
script 2; above 7000 W scripts 3 and 4.
"""

import pytest
from fakes import array, i8, i16, i32, octets, obis, struct_, u8, u16, u32
from timed import EXCEPTION, OTHER_REASON, TYPE_UNMATCHED, UNDEFINED, Timed, refuses, when

SENSOR = (67, "0.0.96.60.0")
RAW, STATUS, CAPTURE_TIME = 7, 9, 10
RAW_THRESHOLDS, RAW_ACTIONS, PROCESSED, THRESHOLDS, ACTIONS = 11, 12, 13, 14, 15


def script(n):
    return struct_(octets(obis("0.0.10.0.0.255")), u16(n))


def value(class_id, name, index):
    return struct_(u16(class_id), octets(obis(name + ".255")), i8(index))


class Talk(Timed):
    def raw(self, *numbers):
        """The sensor says so, a second each; the marks of the scripts."""
        return self._come(self.row(*SENSOR), RAW, numbers)

    def power(self, *numbers):
        return self._come(self.row(3, "1.0.1.7.0"), 2, numbers)

    def _come(self, row, attribute, numbers):
        self.said()
        marks = []
        for n in numbers:
            self.model.put_int(row, attribute, n)
            self.run(1)
            marks.append([m for _, m in self.said()])
        return marks


@pytest.fixture
def meter():
    return Talk()  # 2026-06-15 12:00:00


def test_the_raw_value_crosses_its_threshold(meter):
    assert meter.raw(100, 101, 500, 100, -5, 101) == [[], [1], [], [2], [], [1]]


def test_the_processed_value_crosses_its_own(meter):
    assert meter.power(7000, 7001, 9000, 0) == [[], [3], [], [4]]


def test_both_may_cross_in_the_same_second(meter):
    meter.model.put_int(meter.row(*SENSOR), RAW, 101)
    assert meter.power(9000) == [[1, 3]]


def test_what_is_there_at_the_start_has_crossed_nothing(meter):
    meter.model.put_int(meter.row(*SENSOR), RAW, 500)
    again = meter.off("2026-06-15 13:00:00")
    assert again.raw(500, 0) == [[], [2]]


def test_what_is_set_has_crossed_nothing(meter):
    assert meter.raw(50) == [[]]
    assert meter.set(*SENSOR, RAW_THRESHOLDS, array(i16(20), i16(200))) == 0
    both = array(struct_(script(1), script(2)), struct_(script(5), script(0)))
    assert meter.set(*SENSOR, RAW_ACTIONS, both) == 0
    assert meter.raw(50, 201, 0) == [[], [5], [2]]


def test_capture_time_is_when_another_value_came(meter):
    meter.raw(1)
    noon = when("2026-06-15 12:00:01")
    time = meter.octets(*SENSOR, CAPTURE_TIME)
    assert (time[:1], time[1:5], time[6:9]) == (b"\x19", noon[:4], noon[5:8])
    meter.raw(1, 1)
    assert meter.octets(*SENSOR, CAPTURE_TIME) == time
    meter.raw(2)
    assert meter.octets(*SENSOR, CAPTURE_TIME)[8] == time[8] + 3


def test_another_value_can_be_processed(meter):
    assert meter.set(*SENSOR, PROCESSED, value(1, "0.0.96.50.1", 2)) == 0
    assert meter.power(0, 9000) == [[], []]  # the threshold is of another type still
    assert meter.set(*SENSOR, THRESHOLDS, array(i16(-1))) == 0
    for number, marks in ((-1, []), (0, [3]), (-1, [4])):
        assert meter.set(1, "0.0.96.50.1", 2, i16(number)) == 0
        meter.run(1)
        assert [m for _, m in meter.said()] == marks


def test_a_sensor_that_is_switched_off_does_nothing_until_it_is_on(meter):
    meter.raw(0)
    meter.switch(b"sensor", False)
    assert meter.raw(500) == [[]]
    meter.switch(b"sensor", True)
    assert meter.raw(500) == [[1]]


def test_reset(meter):
    meter.raw(500)
    assert meter.act(*SENSOR, 1) == 0
    assert [meter.get(*SENSOR, k) for k in (RAW, STATUS)] == [0, 0]
    assert meter.raw(0, 101) == [[], [1]]


REFERENCES = {
    "no such object": (value(3, "1.0.1.7.9", 2), OTHER_REASON),
    "a computed attribute": (value(8, "0.0.1.0.0", 2), OTHER_REASON),
    "the logical name": (value(3, "1.0.1.7.0", 1), OTHER_REASON),
    "an element missing": (struct_(u16(3), octets(bytes(6))), TYPE_UNMATCHED),
}
NUMBERS = {
    "another type": (array(u8(1)), TYPE_UNMATCHED),
    "one of another type": (array(i16(1), i32(1)), TYPE_UNMATCHED),
    "no array": (i16(1), TYPE_UNMATCHED),
    "cut off": (array(i16(1))[:-1], EXCEPTION),
}
SCRIPTS = {
    "only up": (array(struct_(script(1))), TYPE_UNMATCHED),
    "a short name": (array(struct_(script(1), struct_(octets(b"1"), u16(1)))), TYPE_UNMATCHED),
    "no room": (array(*[struct_(script(1), script(2))] * 4), OTHER_REASON),
}
BAD = {
    RAW_THRESHOLDS: dict(NUMBERS, **{"no room": (array(*map(i16, range(4))), OTHER_REASON)}),
    RAW_ACTIONS: SCRIPTS,
    PROCESSED: REFERENCES,
    THRESHOLDS: dict(NUMBERS, **{"no room": (array(*map(u32, range(4))), OTHER_REASON)}),
    ACTIONS: SCRIPTS,
}


@pytest.mark.parametrize("attribute, name", [(k, name) for k in BAD for name in BAD[k]])
def test_bad_values_change_nothing(meter, attribute, name):
    data, result = BAD[attribute][name]
    refuses(meter, "set", *SENSOR, attribute, data, result)
    assert meter.raw(0, 101, 0) == [[], [1], [2]]


@pytest.mark.parametrize(
    "method, data, result", [(1, u8(0), TYPE_UNMATCHED), (2, b"\x0f\x00", UNDEFINED)]
)
def test_bad_actions_change_nothing(meter, method, data, result):
    refuses(meter, "act", *SENSOR, method, data, result)
