# SPDX-License-Identifier: MIT
"""Demand register (class_id 5, version 0; IEC 62056-6-2, 4.3.4).

The meter program adds energy; a period ends where the clock crosses a boundary of local time (see
clock.py). With number_of_periods n > 1 the demand slides: current_average_value is the energy of
the running period and of the n - 1 before it, over n * period; start_time_current is where
those begin. When a period ends current_average_value becomes last_average_value.

After power-up the running period goes on if it is still the same, else it is closed as it was;
the same when the clock is set. status is 0 for a whole period, else (project-defined) the sum of
1 not a whole period (next_period, reset, first period), 2 clock was set, 4 power failed.

All state is in the hidden slot `accumulator`, so it is saved with the values:
    0-5   energy of the running period, Ws (or vars, VAs), signed
    6     how many of the periods before it are known, up to number_of_periods - 1
    7     status bits of the running period
    8-11  number of the running period (u32), 0 none yet
    12..  energy of the periods before it, newest first, signed 4 octets each
Ticks may allocate; the methods shift octets and do not.
"""

from cosem import handler, slots
from dlms.axdr import put_u32
from dlms.prim import copy, fill
from micropython import const

_CURRENT_AVERAGE_VALUE = const(2)
_LAST_AVERAGE_VALUE = const(3)
_SCALER_UNIT = const(4)
_STATUS = const(5)
_CAPTURE_TIME = const(6)
_START_TIME_CURRENT = const(7)
_PERIOD = const(8)
_NUMBER_OF_PERIODS = const(9)

_RESET = const(1)
_NEXT_PERIOD = const(2)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

_KNOWN = const(6)
_FLAGS = const(7)
_NUMBER = const(8)
_PAST = const(12)
_PAST_LEN = const(4)
_MAX_PERIODS = const(15)
_STATE_LEN = const(68)

_PARTIAL = const(1)
_CLOCK_SET = const(2)
_POWER_FAILED = const(4)

_NUMBERS = b"\x06\x11\x12\x15"


class Handler(handler.Handler):
    """on_period(row) is called by a tick after a period has ended."""

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.rows = []
        self.clock = None
        self.on_period = None
        # Jumps of the clock that have been seen; -1 after power-up.
        self._shifts = -1

    def start(self, row):
        self.rows.append(row)
        if self.clock is None:
            self.clock = self.model.handler("clock")

    def add(self, row, quanta, seconds=0):
        """The program has measured this much energy (Ws, vars, VAs) in the running period."""
        at = self.model.state(row, 0)
        image = self.model.image
        _put(image, at, 6, _get(image, at, 6) + quanta)
        self._average(row)

    def _average(self, row):
        """current_average_value from what has been added."""
        model = self.model
        image = model.image
        at = model.state(row, 0)
        n = self._n_periods(row)
        total = _get(image, at, 6)
        for j in range(image[at + _KNOWN]):
            total += _get(image, at + _PAST + j * _PAST_LEN, _PAST_LEN)
        seconds = n * slots.double_long_unsigned(model, row, _PERIOD)
        scaler = slots.source(model, row, _SCALER_UNIT)[slots.offset(model, row, _SCALER_UNIT) + 3]
        if scaler & 0x80:
            scaler -= 0x100
        if scaler < 0:
            total *= 10**-scaler
        elif scaler:
            seconds *= 10**scaler
        if seconds:
            half = seconds // 2
            total = (total + half) // seconds if total >= 0 else -((half - total) // seconds)
            model.put_int(row, _CURRENT_AVERAGE_VALUE, total)

    def _n_periods(self, row):
        n = slots.long_unsigned(self.model, row, _NUMBER_OF_PERIODS)
        return n if n else 1

    # --- Periods ----------------------------------------------------------------------------

    def tick(self, now):
        flag = self.jump()
        for row in self.rows:
            if self.tick_one(row, flag) and self.on_period is not None:
                self.on_period(row)

    def jump(self):
        """What has made the clock jump since the last call: a bit of status, or 0."""
        flag = 0
        if self.clock is not None and self.clock.shifts != self._shifts:
            flag = _POWER_FAILED if self._shifts < 0 else _CLOCK_SET
            self._shifts = self.clock.shifts
        return flag

    def tick_one(self, row, flag):
        """tick() of one object, for who cannot take the time for all of them: has its period
        ended? flag: jump()."""
        if self.clock is None:
            return False
        image = self.model.image
        at = self.model.state(row, 0)
        period = slots.double_long_unsigned(self.model, row, _PERIOD)
        if not period:
            return False
        number = self.clock.period_number(period)
        before = slots.unsigned32(image, at + _NUMBER)
        if before == 0:
            image[at + _FLAGS] = _PARTIAL
            put_u32(image, at + _NUMBER, number)
            slots.put_now(self.model, row, _START_TIME_CURRENT, self.clock)
            return False
        image[at + _FLAGS] |= flag
        # In the hour that comes twice a long period just goes on; set back, it ends.
        ended = number > before or (number < before and flag != 0)
        if ended:
            self._close(row)
            put_u32(image, at + _NUMBER, number)
            # What began at a boundary is whole; after a jump it did not.
            image[at + _FLAGS] = flag
            self._average(row)
        return ended

    def _close(self, row):
        """End the running period; no allocation."""
        model = self.model
        image = model.image
        at = model.state(row, 0)
        current = model.slot(row, _CURRENT_AVERAGE_VALUE)
        last = model.slot(row, _LAST_AVERAGE_VALUE)
        size = model.value_len(row, _CURRENT_AVERAGE_VALUE)
        if model.value_len(row, _LAST_AVERAGE_VALUE) == size:
            copy(image, last, image, current, size)
        self._put_status(row, image[at + _FLAGS])
        slots.put_now(model, row, _CAPTURE_TIME, self.clock)
        known = self._n_periods(row) - 1
        if known > _MAX_PERIODS - 1:
            known = _MAX_PERIODS - 1
        if known:
            i = at + _PAST + known * _PAST_LEN - 1
            while i >= at + _PAST + _PAST_LEN:
                image[i] = image[i - _PAST_LEN]
                i -= 1
            _clip(image, at)
            if image[at + _KNOWN] < known:
                known = image[at + _KNOWN] + 1
        image[at + _KNOWN] = known
        fill(image, at, 6, 0)
        if not known:
            slots.clear_value(model, row, _CURRENT_AVERAGE_VALUE)
        self._put_start(row, known)

    def _put_start(self, row, known):
        """start_time_current: now, less the periods that are part of the running average."""
        clock = self.clock
        at = self.model.slot(row, _START_TIME_CURRENT)
        if clock is None or at < 0:
            return
        # A period longer than a day has no business with sliding.
        period = slots.double_long_unsigned(self.model, row, _PERIOD)
        back = period * known if period <= 86400 else 0
        second = clock.second - back % 60
        minute = clock.minute - back // 60
        if second < 0:
            second += 60
            minute -= 1
        clock.local_of(minute, second, self.model.image, at + 2)

    def _put_status(self, row, flags):
        at = self.model.slot(row, _STATUS)
        image = self.model.image
        if at >= 0:
            for tag in _NUMBERS:
                if image[at] == tag:
                    slots.clear_value(self.model, row, _STATUS)
                    image[at + self.model.value_len(row, _STATUS) - 1] = flags

    def _restart(self, row):
        """Forget everything and begin a period now; no allocation."""
        model = self.model
        at = model.state(row, 0)
        # The number of the period stays: it ends where it would have ended.
        fill(model.image, at, 6, 0)
        model.image[at + _KNOWN] = 0
        model.image[at + _FLAGS] = _PARTIAL
        fill(model.image, at + _PAST, _STATE_LEN - _PAST, 0)
        slots.clear_value(model, row, _CURRENT_AVERAGE_VALUE)
        slots.clear_value(model, row, _LAST_AVERAGE_VALUE)
        self._put_status(row, 0)
        slots.put_now(model, row, _CAPTURE_TIME, self.clock)
        slots.put_now(model, row, _START_TIME_CURRENT, self.clock)

    # --- Attributes and methods -------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        if attribute == _PERIOD:
            if slots.unsigned32(buf, pos + 1) == 0 or slots.unsigned32(buf, pos + 1) > 0x1FFFFF:
                return _OTHER_REASON
        elif attribute == _NUMBER_OF_PERIODS:
            n = buf[pos + 1] << 8 | buf[pos + 2]
            if n < 1 or n > _MAX_PERIODS:
                return _OTHER_REASON
        return _SUCCESS

    def changed(self, row, attribute):
        if attribute == _PERIOD or attribute == _NUMBER_OF_PERIODS:
            self._restart(row)
            # Another period has other numbers: the next tick begins to count.
            fill(self.model.image, self.model.state(row, 0) + _NUMBER, 4, 0)

    def invoke(self, s, method, buf, pos, end):
        row = s.row
        if method == _RESET:
            self._restart(row)
        elif method == _NEXT_PERIOD:
            at = self.model.state(row, 0)
            self.model.image[at + _FLAGS] |= _PARTIAL
            self._close(row)
            self.model.image[at + _FLAGS] = _PARTIAL
        else:
            return _OBJECT_UNDEFINED
        return _SUCCESS


def _get(buf, pos, n):
    """A signed number of n octets."""
    value = buf[pos] - 0x100 if buf[pos] & 0x80 else buf[pos]
    for i in range(pos + 1, pos + n):
        value = value << 8 | buf[i]
    return value


def _put(buf, pos, n, value):
    i = pos + n - 1
    while i >= pos:
        buf[i] = value & 0xFF
        value >>= 8
        i -= 1


def _clip(buf, at):
    """The six octets at buf[at:] as four octets at buf[at + _PAST:], held at the limits."""
    negative = buf[at] & 0x80
    sign = 0xFF if negative else 0
    to = at + _PAST
    if buf[at] != sign or buf[at + 1] != sign or (buf[at + 2] ^ sign) & 0x80:
        fill(buf, to, 4, 0 if negative else 0xFF)
        buf[to] = 0x80 if negative else 0x7F
    else:
        copy(buf, to, buf, at + 2, 4)
