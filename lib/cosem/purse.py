# SPDX-License-Identifier: MIT
"""A credit in the hands of its account: its configuration as numbers, read once for as long as it
stays the same, and what becomes of its amount. In ticks; it may allocate."""

from cosem import amounts, calendar, credit, slots
from dlms.axdr import put_u32
from micropython import const

# Attributes of Credit.
_CURRENT_CREDIT_AMOUNT = const(2)
_WARNING_THRESHOLD = const(5)
_LIMIT = const(6)
_CREDIT_STATUS = const(8)
_PRESET_CREDIT_AMOUNT = const(9)
_CREDIT_AVAILABLE_THRESHOLD = const(10)
_PERIOD = const(11)

# credit_status.
_SELECTED = const(2)
_IN_USE = const(3)
# credit_configuration.
_CONFIRM = const(0x40)
_PAY_BACK = const(0x20)
_RESETTABLE = const(0x10)
_FROM_TOKENS = const(0x08)
# Conditions of credit.py.
_SPENT = const(1)
_TURN = const(2)
_NEAR = const(4)
_ASKS = const(8)

_LAST_RESET = const(1)  # in the ledger
_MOST = const(0x7FFFFFFF)
_DAY = const(1440)


class Purse:
    """row; place in credit_reference_list, from 0; limit, warning, threshold (the credit available
    one), preset; asks: it has to be confirmed; pays_back: its preset amount has to be."""

    def __init__(self, model, row, place):
        self.model = model
        self.row = row
        self.place = place
        self.limit = model.get_int(row, _LIMIT)
        self.warning = model.get_int(row, _WARNING_THRESHOLD)
        self.threshold = model.get_int(row, _CREDIT_AVAILABLE_THRESHOLD)
        self.preset = model.get_int(row, _PRESET_CREDIT_AMOUNT)
        bits = credit.configuration(model, row)
        self.asks = bits & _CONFIRM != 0
        self.pays_back = bits & _PAY_BACK != 0
        self._takes = bits & _FROM_TOKENS != 0
        at = slots.offset(model, row, _PERIOD) + 1
        self._begins = bits & _RESETTABLE and not calendar.is_unspecified(
            slots.source(model, row, _PERIOD), at
        )
        self._amount = model.slot(row, _CURRENT_CREDIT_AMOUNT) + 1
        self._status = model.slot(row, _CREDIT_STATUS) + 1

    def amount(self):
        return amounts.get(self.model.image, self._amount, 4)

    def put(self, amount):
        amounts.put(self.model.image, self._amount, 4, amount)

    def status(self):
        return self.model.image[self._status]

    def counts(self):
        """Is it selected or in use?"""
        status = self.model.image[self._status]
        return status == _SELECTED or status == _IN_USE

    def select(self, turn, ahead):
        """Bring its status up to date. turn: no credit before it is in use; ahead: the amounts of
        those before it that are selected or in use."""
        image = self.model.image
        while True:
            conditions = _ASKS if self.asks else 0
            if self.amount() <= self.limit:
                conditions |= _SPENT
            if turn:
                conditions |= _TURN | _NEAR
            elif ahead <= self.threshold:
                conditions |= _NEAR
            status = credit.next_status(image[self._status], conditions)
            if status < 0:
                return
            image[self._status] = status
            if status == _SELECTED or status == _IN_USE:
                credit.give(self.model, self.row)

    def owed(self):
        """What has to be paid back."""
        if not self.pays_back or not credit.is_given(self.model, self.row):
            return 0
        return max(0, self.preset - self.amount())

    def room(self, part):
        """How much of a payment it takes, when it has had a part of it."""
        if self.pays_back:
            return max(0, self.owed() - part)
        return _MOST - max(0, self.amount()) - part if self._takes else 0

    def begin_anew(self, clock, first, date):
        """Make the amount the preset one, if a minute from the first one until now is one of its
        period; True: it was. date: room for a date."""
        if not self._begins:
            return False
        model = self.model
        at = self._last_due(clock, first - clock.deviation, date)
        ledger = model.state(self.row, 0) + _LAST_RESET
        last = slots.unsigned32(model.image, ledger) - 1
        if at < 0 or (last >= at and last - at <= _DAY):
            return False
        put_u32(model.image, ledger, at + 1)
        self.put(self.preset)
        model.edited(self.row, 0)
        return True

    def _last_due(self, clock, low, date):
        """The last minute of its period from low until now, of local time; -1: there is none."""
        buf = slots.source(self.model, self.row, _PERIOD)
        pos = slots.offset(self.model, self.row, _PERIOD) + 1
        hour = buf[pos + 5]
        minute = buf[pos + 6]
        high = clock.minute - clock.deviation
        while low <= high:
            midnight = high - high % _DAY
            at = midnight + _latest(high - midnight, hour, minute)
            if at < low:
                return -1
            if at >= midnight:
                calendar.put_date(at // _DAY, date, 0)
                year = date[0] << 8 | date[1]
                begin = clock.dst_day(False, year)
                if calendar.matches(buf, pos, date, 0, begin, clock.dst_day(True, year)):
                    return at
            high = midnight - 1
        return -1


def _latest(top, hour, minute):
    """The last minute of a day up to `top`, in this hour and minute (0xFF: any); < 0: none."""
    if hour != 0xFF:
        top = min(top, 60 * hour + 59)
    if minute != 0xFF:
        top -= (top - minute) % 60
    return top if hour == 0xFF or top >= 60 * hour else -1
