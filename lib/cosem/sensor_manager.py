# SPDX-License-Identifier: MIT
"""Sensor manager (class_id 67, version 0; IEC 62056-6-2, 4.5.11).

Each second raw_value is held against raw_value_thresholds, and the value that processed_value
refers to against processed_value_thresholds; what has crossed one since the last look executes
the script of the same place in the actions, up or down (thresholds.py). capture_time is the time
at which a tick finds another raw_value than the one before (project-defined).

reset (uncertain: public texts have only its name) sets raw_value and status to zero, strings to
none; nothing has crossed a threshold then. Requests allocate nothing.
"""

from cosem import handler, slots, thresholds
from dlms.prim import copy
from micropython import const

_RAW_VALUE = const(7)
_STATUS = const(9)
_CAPTURE_TIME = const(10)
_RAW_VALUE_THRESHOLDS = const(11)
_RAW_VALUE_ACTIONS = const(12)
_PROCESSED_VALUE = const(13)
_PROCESSED_VALUE_THRESHOLDS = const(14)
_PROCESSED_VALUE_ACTIONS = const(15)

_RESET = const(1)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)


class Sensor:
    def __init__(self, model, row):
        self.row = row
        self.raw_value = thresholds.Monitored(model, row, _RAW_VALUE, True)
        self.raw = thresholds.Thresholds(model, row, _RAW_VALUE_THRESHOLDS, _RAW_VALUE_ACTIONS)
        self.value = thresholds.Monitored(model, row, _PROCESSED_VALUE)
        self.processed = thresholds.Thresholds(
            model, row, _PROCESSED_VALUE_THRESHOLDS, _PROCESSED_VALUE_ACTIONS
        )


class Handler(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self._sensors = []
        self.clock = None

    def start(self, row):
        sensor = Sensor(self.model, row)
        sensor.raw_value.is_new()  # but not what was saved
        self._sensors.append(sensor)
        if self.clock is None:
            self.clock = self.model.handler("clock")

    def tick(self, now):
        for sensor in self._sensors:
            self._look(sensor)

    def _look(self, sensor):
        if self.model.is_off(sensor.row):
            return
        new = sensor.raw_value.is_new()
        if new:
            self._stamp(sensor.row)
        if new or not sensor.raw.states:
            sensor.raw.hold(sensor.raw_value)
        sensor.processed.look(sensor.value)

    def _stamp(self, row):
        at = self.model.slot(row, _CAPTURE_TIME)
        if at >= 0 and self.clock is not None:
            copy(self.model.image, at + 1, self.clock.local, 0, 12)

    # --- Attributes and methods -------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        if attribute == _PROCESSED_VALUE:
            there = thresholds.target(self.model, row, buf, pos) >= 0
            return _SUCCESS if there else _OTHER_REASON
        if attribute == _RAW_VALUE_THRESHOLDS:
            return thresholds.check_numbers(buf, pos, end, self._of(row).raw_value.tag())
        if attribute == _PROCESSED_VALUE_THRESHOLDS:
            return thresholds.check_numbers(buf, pos, end, self._of(row).value.tag())
        return thresholds.check_count(buf, pos)

    def changed(self, row, attribute):
        sensor = self._of(row)
        if attribute >= _PROCESSED_VALUE:
            sensor.value.renew()
            sensor.processed.states = b""
        else:
            sensor.raw.states = b""

    def invoke(self, s, method, buf, pos, end):
        if method != _RESET:
            return _OBJECT_UNDEFINED
        slots.clear_value(self.model, s.row, _RAW_VALUE)
        slots.clear_value(self.model, s.row, _STATUS)
        sensor = self._of(s.row)
        sensor.raw.states = sensor.processed.states = b""
        return _SUCCESS

    def _of(self, row):
        for sensor in self._sensors:
            if sensor.row == row:
                return sensor
