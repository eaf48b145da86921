# SPDX-License-Identifier: MIT
"""Limiter (class_id 71, version 0; IEC 62056-6-2, 4.5.9).

Each second monitored_value is held against threshold_active (thresholds.py). When it has been
above it for min_over_threshold_duration seconds on end, action_over_threshold is executed, once;
when it has then been not above it for min_under_threshold_duration, action_under_threshold.

threshold_active is a copy of threshold_normal, or, while emergency_profile_active is TRUE, of
threshold_emergency. It is TRUE from emergency_activation_time on for emergency_duration seconds,
if emergency_profile_id is in emergency_profile_group_id_list: by the clock, so also after a power
failure, and for the rest of a profile whose time has begun when it is set. An activation time of
which nothing is specified: never (project-defined).

Which of the two actions was the last is kept in the hidden slot `over` and saved; the durations
begin anew after a power failure, and do not see that the clock is set. Refused are thresholds of
another type than the value (type-unmatched), what is no number or finds no room in
threshold_active, a value that is not there, an activation time that is not complete
(other-reason). Ticks may allocate, requests do not.
"""

from cosem import calendar, handler, script_table, slots, thresholds
from dlms.axdr import get_u16
from dlms.prim import copy
from micropython import const

_MONITORED_VALUE = const(2)
_THRESHOLD_ACTIVE = const(3)
_THRESHOLD_NORMAL = const(4)
_THRESHOLD_EMERGENCY = const(5)
_MIN_OVER = const(6)
_MIN_UNDER = const(7)
_EMERGENCY_PROFILE = const(8)
_GROUP_ID_LIST = const(9)
_EMERGENCY_ACTIVE = const(10)
_ACTIONS = const(11)

_SUCCESS = const(0)
_OTHER_REASON = const(250)

# emergency_profile: 02 03 12 id 09 0C activation_time 06 duration. A group id: 12 id.
_ID_AT = const(3)
_TIME_AT = const(7)
_DURATION_AT = const(20)
_GROUP_ID_LEN = const(3)
# actions: 02 02 and two of 02 02 09 06 script_logical_name 12 script_selector.
_OVER_AT = const(2)
_UNDER_AT = const(15)

_FAR = const(0x3FFFFFFF)

# Events, see firmware/meter/events.py.
_LIMIT_EXCEEDED = const(65)
_LIMIT_KEPT = const(66)
_LIMIT_CHANGED = const(67)


class Limit:
    """What is known of an object between two ticks."""

    def __init__(self, model, row):
        self.row = row
        self.value = thresholds.Monitored(model, row, _MONITORED_VALUE)
        # Seconds on the other side, up to a time of the clock; -1: on that of the last action.
        self.elapsed = -1
        self._shifts = self._minute = self._second = 0
        self.is_new = True  # attributes were set
        self.is_emergency = False
        # The emergency profile, UTC; start -1: it is not to be; at: when it may begin or end next.
        self.start = -1
        self.end = self.start_s = self.end_s = 0
        self.at = _FAR

    def pass_time(self, clock):
        """Count the seconds since the last tick; one, if the clock was set."""
        if self.elapsed < 0:
            self.elapsed = 0
        elif clock.shifts != self._shifts:
            self.elapsed += 1
        else:
            self.elapsed += (clock.minute - self._minute) * 60 + clock.second - self._second
        self._shifts = clock.shifts
        self._minute = clock.minute
        self._second = clock.second


class Handler(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self._limits = []
        self.clock = None
        self._shifts = -1

    def start(self, row):
        self._limits.append(Limit(self.model, row))
        if self.clock is None:
            self.clock = self.model.handler("clock")

    def sleeps(self):
        if self.clock is None or self._shifts != self.clock.shifts:
            return False
        for limit in self._limits:
            if limit.elapsed >= 0 or limit.is_new or limit.at <= self.clock.minute:
                return False
            # What is not there is nothing to wait for, nor is there, for long, what is in ROM.
            if limit.value.row != -1 and not self._watch(limit):
                return False
        return True

    def due(self):
        return min([limit.at for limit in self._limits])

    def watches(self):
        return tuple([self._watch(limit) for limit in self._limits if limit.value.row >= 0])

    def _watch(self, limit):
        """One of watches(); None if the value is not there, or no unsigned number in the image."""
        model = self.model
        value = limit.value
        at = model.slot(limit.row, _THRESHOLD_ACTIVE)
        n = value.unsigned_len()
        if value.row < 0 or not n or at < 0 or model.image[at] != model.image[value.pos]:
            return None
        return value.pos + 1, at + 1, n, model.state(limit.row, 0)

    def resume(self, due):
        self._shifts = self.model.shifts
        for limit in self._limits:
            limit.is_new = False
            limit.is_emergency = slots.octet(self.model, limit.row, _EMERGENCY_ACTIVE) != 0
            self._load(limit)
            limit.at = due

    # --- Time -------------------------------------------------------------------------------

    def tick(self, now):
        # As short as can be: MicroPython takes heap for the frame of a longer function.
        if self.clock is None:
            return
        if self.clock.shifts != self._shifts:
            self._renew()
        for limit in self._limits:
            if limit.value.is_new() or limit.elapsed >= 0 or limit.is_new or limit.at <= now:
                self._look(limit)

    def _renew(self):
        """The clock was set: is it the time of an emergency profile?"""
        self._shifts = self.clock.shifts
        for limit in self._limits:
            limit.at = 0

    def _look(self, limit):
        if self.model.is_off(limit.row):
            limit.is_new = True  # for when it is on
            limit.elapsed = -1
            return
        if limit.is_new or limit.at <= self.clock.minute:
            self._choose(limit)
        limit.is_new = False
        if limit.value.is_there():
            self._compare(limit)

    def _choose(self, limit):
        """Make one of the two thresholds the active one."""
        model = self.model
        row = limit.row
        if limit.is_new:
            self._load(limit)
        emergency = self._is_emergency(limit)
        minute = self.clock.minute
        limit.at = limit.start if minute <= limit.start else limit.end
        if minute > limit.end or limit.start < 0:
            limit.at = _FAR
        if emergency == limit.is_emergency and not limit.is_new:
            return
        limit.is_new = True
        limit.is_emergency = emergency
        image = model.image
        image[model.slot(row, _EMERGENCY_ACTIVE) + 1] = 1 if emergency else 0
        attribute = _THRESHOLD_EMERGENCY if emergency else _THRESHOLD_NORMAL
        at = model.slot(row, _THRESHOLD_ACTIVE)
        n = model.value_len(row, attribute)
        if n <= model.capacity(row, _THRESHOLD_ACTIVE):
            buf = slots.source(model, row, attribute)
            copy(image, at, buf, slots.offset(model, row, attribute), n)
            slots.set_len(image, at, n)
        model.edited(row, 0)

    def _compare(self, limit):
        """Has the value been on the other side of the threshold for long enough?"""
        model = self.model
        row = limit.row
        value = limit.value
        against = model.slot(row, _THRESHOLD_ACTIVE)
        state = model.state(row, 0)
        is_number = value.buf[value.pos] == model.image[against]
        above = is_number and thresholds.is_above(value.buf, value.pos, model.image, against)
        if above == (model.image[state] != 0) or not is_number:
            limit.elapsed = -1
            return
        limit.pass_time(self.clock)
        duration = _MIN_OVER if above else _MIN_UNDER
        if limit.elapsed >= slots.double_long_unsigned(model, row, duration):
            limit.elapsed = -1
            model.image[state] = 1 if above else 0
            self._act(row, above)

    def _act(self, row, above):
        model = self.model
        if model.event is not None:
            model.event(_LIMIT_EXCEEDED if above else _LIMIT_KEPT)
        buf = slots.source(model, row, _ACTIONS)
        at = slots.offset(model, row, _ACTIONS) + (_OVER_AT if above else _UNDER_AT)
        script_table.run(model, row, buf, at, True)
        model.edited(row, 0)

    def _load(self, limit):
        """When is the emergency profile active?"""
        model = self.model
        buf = slots.source(model, limit.row, _EMERGENCY_PROFILE)
        at = slots.offset(model, limit.row, _EMERGENCY_PROFILE)
        clock = self.clock
        limit.start = -1
        if self._has_group(limit.row, buf, at + _ID_AT):
            limit.start = clock.minute_of(buf, at + _TIME_AT)
            limit.start_s = clock.last_second
            seconds = clock.last_second + slots.unsigned32(buf, at + _DURATION_AT)
            limit.end = limit.start + seconds // 60
            limit.end_s = seconds % 60

    def _has_group(self, row, buf, pos):
        """Is the id at buf[pos:] in emergency_profile_group_id_list?"""
        groups = slots.source(self.model, row, _GROUP_ID_LIST)
        at = slots.offset(self.model, row, _GROUP_ID_LIST)
        for k in range(groups[at + 1]):
            if get_u16(groups, at + 3 + k * _GROUP_ID_LEN) == get_u16(buf, pos):
                return True
        return False

    def _is_emergency(self, limit):
        clock = self.clock
        minute = clock.minute
        if limit.start < 0 or minute < limit.start or minute > limit.end:
            return False
        if minute == limit.start and clock.second < limit.start_s:
            return False
        return minute < limit.end or clock.second < limit.end_s

    # --- Attributes -------------------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        model = self.model
        if attribute == _MONITORED_VALUE:
            if thresholds.target(model, row, buf, pos) < 0:
                return _OTHER_REASON
        elif attribute == _EMERGENCY_PROFILE:
            pos += _TIME_AT
            if not calendar.is_unspecified(buf, pos):
                if self.clock is None or self.clock.minute_of(buf, pos) < 0:
                    return _OTHER_REASON
        elif attribute == _GROUP_ID_LIST:
            return thresholds.check_count(buf, pos)
        else:
            result = thresholds.check_number(buf, pos, self._of(row).value.tag())
            if result:
                return result
            if end - pos > model.capacity(row, _THRESHOLD_ACTIVE):
                return _OTHER_REASON
        return _SUCCESS

    def _of(self, row):
        for limit in self._limits:
            if limit.row == row:
                return limit

    def changed(self, row, attribute):
        model = self.model
        limit = self._of(row)
        limit.value.renew()
        limit.elapsed = -1
        limit.is_new = True
        if attribute == _THRESHOLD_NORMAL or attribute == _THRESHOLD_EMERGENCY:
            if model.event is not None:
                model.event(_LIMIT_CHANGED)
