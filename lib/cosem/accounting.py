# SPDX-License-Identifier: MIT
"""The accounting of one Account: which credit is in use, what payments become, and the supply.

It runs in ticks and may allocate. In the order of a tick: what time brings (activation, closure,
new prices, amounts that begin anew), what charges are due (collection.py), the states of the
credits (credit.py), the sums of the account, and the supply.

Sums, in the attributes of the account:
    current_credit_in_use            place in credit_reference_list from 0; uncertain: 255 for none
    available_credit                 the positive amounts that are selected or in use
    amount_to_clear                  0 or less: the amounts below 0 that are exhausted, what has to
                                     be paid back, and, out of credit, clearance_threshold
    aggregated_debt                  total_amount_remaining of the charges that come to an end
    low_credit_threshold             warning_threshold of the credit in use, 0: there is none
    next_credit_available_threshold  of the next credit, -2**31: there is none
    current_credit_status            low_credit: available_credit is below low_credit_threshold;
                                     selectable_credit_in_use: the one in use had to be confirmed
The account is out of credit when no credit is in use, and until available_credit has come to
clearance_threshold with one in use. What does not fit a double-long stays at its limits.

Payments: each credit that token_gateway_configuration names has its per cent of them, rounded
down. The rest goes to the credits in use or exhausted, those of the lowest priority first, then
to the others in that order. One with bit 2 of credit_configuration takes what has to be paid back
and no more, others take all if they have bit 4. What nobody takes makes the whole payment fail.
"""

from cosem import calendar, credit, slots
from cosem.collection import Collection
from cosem.supply import Supply
from dlms.axdr import put_u32
from micropython import const

# Attributes of Account.
_MODE_AND_STATUS = const(2)
_CURRENT_CREDIT_IN_USE = const(3)
_CURRENT_CREDIT_STATUS = const(4)
_AVAILABLE_CREDIT = const(5)
_AMOUNT_TO_CLEAR = const(6)
_CLEARANCE_THRESHOLD = const(7)
_AGGREGATED_DEBT = const(8)
_CREDIT_REFERENCE_LIST = const(9)
_TOKEN_GATEWAY_CONFIGURATION = const(12)
_ACCOUNT_ACTIVATION_TIME = const(13)
_ACCOUNT_CLOSURE_TIME = const(14)
_CURRENCY = const(15)
_LOW_CREDIT_THRESHOLD = const(16)
_NEXT_CREDIT_AVAILABLE_THRESHOLD = const(17)

_ACTIVATE_ACCOUNT = const(1)
_CLOSE_ACCOUNT = const(2)
_MODE_AT = const(3)  # of 02 02 16 account_mode 16 account_status
_STATUS_AT = const(5)
_PREPAYMENT = const(2)
_NEW = const(1)
_ACTIVE = const(2)
_NO_CREDIT = const(255)

# Attributes of Credit.
_CURRENT_CREDIT_AMOUNT = const(2)
_PRIORITY = const(4)
_WARNING_THRESHOLD = const(5)
_LIMIT = const(6)
_CREDIT_STATUS = const(8)
_PRESET_CREDIT_AMOUNT = const(9)
_CREDIT_AVAILABLE_THRESHOLD = const(10)
_PERIOD = const(11)

# credit_status.
_SELECTED = const(2)
_IN_USE = const(3)
_EXHAUSTED = const(4)
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

# current_credit_status.
_IN_CREDIT = const(0x80)
_LOW_CREDIT = const(0x40)
_NEXT_ENABLED = const(0x20)  # then selectable, selected
_SELECTABLE_IN_USE = const(0x04)
_OUT_OF_CREDIT = const(0x02)

# Flags of the ledger.
_RUNNING = const(1)
_OUT = const(2)
_LAST_RESET = const(1)  # in the ledger of a credit

_CREDIT = b"\x00\x70"
_LEAST = const(-0x80000000)
_MOST = const(0x7FFFFFFF)
_DAY = const(1440)


class Accounting:
    """
    row          of the Account
    touched      configuration or amounts have changed: all is looked at anew
    credits      rows by priority; places: that of each in credit_reference_list
    in_use       row of the credit in use, -1: there is none
    """

    def __init__(self, model, row):
        self.model = model
        self.row = row
        self.device = slots.device_of(model, row)
        self.touched = True
        self.credits = []
        self.places = []
        self.in_use = -1
        self.collection = Collection(self)
        self._clock = model.handler("clock")
        self._minute = -1
        self._date = bytearray(12)
        self._ledger = model.state(row, 0)
        self.supply = Supply(model, row, self.device)

    # --- Time -------------------------------------------------------------------------------

    def tick(self):
        image = self.model.image
        new_minute = self._clock is not None and self._clock.minute != self._minute
        if self.touched:
            self._load()
        if self._clock is not None and (new_minute or self.touched):
            self._at_minute()
        active = self.is_active()
        if active or image[self._ledger] & _RUNNING:
            if not image[self._ledger] & _RUNNING:
                image[self._ledger] |= _RUNNING
                self.collection.begin()
            if self.touched:
                self.select()
            self.collection.tick(not active)
            if not active:
                image[self._ledger] &= ~_RUNNING
                self.touched = True
        if self.touched:
            self.settle()
            self.touched = False
        if active:
            self._switch(new_minute)

    def _switch(self, new_minute):
        """The supply follows the credit, in prepayment mode."""
        model = self.model
        mode = model.image[model.slot(self.row, _MODE_AND_STATUS) + _MODE_AT]
        out = mode == _PREPAYMENT and model.image[self._ledger] & _OUT != 0
        self.supply.switch(out, new_minute)

    def is_active(self):
        at = self.model.slot(self.row, _MODE_AND_STATUS)
        return self.model.image[at + _STATUS_AT] == _ACTIVE

    def currency_scale(self):
        """Allocates nothing."""
        model = self.model
        at = slots.offset(model, self.row, _CURRENCY) + model.value_len(self.row, _CURRENCY)
        n = slots.source(model, self.row, _CURRENCY)[at - 3]
        return n - 0x100 if n & 0x80 else n

    def _load(self):
        model = self.model
        rows = self.rows_of(_CREDIT_REFERENCE_LIST, _CREDIT)
        order = [(slots.octet(model, r, _PRIORITY), k, r) for k, r in enumerate(rows)]
        order.sort()
        self.credits = [r for _priority, _k, r in order]
        self.places = [k for _priority, k, _r in order]
        self.collection.load()

    def rows_of(self, attribute, class_id):
        """Rows of the objects that a reference list of the account names, and that are there."""
        model = self.model
        buf = slots.source(model, self.row, attribute)
        at = slots.offset(model, self.row, attribute)
        rows = []
        for k in range(buf[at + 1]):
            name = at + 4 + 8 * k
            r = model.find(self.device, class_id + bytes(buf[name : name + 6]), 0)
            if r >= 0:
                rows.append(r)
        return rows

    def has_come(self, row, attribute):
        """Has the time that this attribute names come?"""
        model = self.model
        clock = self._clock
        buf = slots.source(model, row, attribute)
        minute = clock.minute_of(buf, slots.offset(model, row, attribute) + 2)
        return 0 <= minute and (minute, clock.last_second) <= (clock.minute, clock.second)

    def _at_minute(self):
        model = self.model
        clock = self._clock
        # What began between two minutes is seen a minute late; and what is set, at once.
        missed = clock.minute - self._minute
        first = clock.minute if self._minute < 0 or not 0 < missed <= _DAY else self._minute + 1
        self._minute = clock.minute
        status = model.image[model.slot(self.row, _MODE_AND_STATUS) + _STATUS_AT]
        if status == _NEW and self.has_come(self.row, _ACCOUNT_ACTIVATION_TIME):
            self._change(_ACTIVATE_ACCOUNT)
        elif status == _ACTIVE and self.has_come(self.row, _ACCOUNT_CLOSURE_TIME):
            self._change(_CLOSE_ACCOUNT)
        active = self.is_active()
        self.collection.at_minute(active)
        if active:
            for row in self.credits:
                if credit.configuration(model, row) & _RESETTABLE:
                    at = slots.offset(model, row, _PERIOD) + 1
                    if not calendar.is_unspecified(slots.source(model, row, _PERIOD), at):
                        for minute in range(first, clock.minute + 1):
                            self._begin_anew(row, minute)

    def _change(self, method):
        """As the methods of the account, at a time that it has been told."""
        model = self.model
        handler = model.handler("account")
        handler.change(self.row, method)
        model.edited(self.row, 0)

    def _begin_anew(self, row, minute):
        """Set the amount of a credit to its preset amount, if this minute is one of its period."""
        model = self.model
        date = self._date
        self._clock.local_of(minute, 0, date, 0)
        buf = slots.source(model, row, _PERIOD)
        at = slots.offset(model, row, _PERIOD) + 1
        for k in (5, 6):
            if buf[at + k] != 0xFF and buf[at + k] != date[k]:
                return
        year = date[0] << 8 | date[1]
        days = self._clock.dst_day(False, year), self._clock.dst_day(True, year)
        if not calendar.matches(buf, at, date, 0, *days):
            return
        local = minute - self._clock.deviation_at(minute)
        ledger = model.state(row, 0) + _LAST_RESET
        last = slots.unsigned32(model.image, ledger) - 1
        if last >= local and last - local <= _DAY:
            return
        put_u32(model.image, ledger, local + 1)
        model.put_int(row, _CURRENT_CREDIT_AMOUNT, model.get_int(row, _PRESET_CREDIT_AMOUNT))
        model.edited(row, 0)
        self.touched = True

    # --- Credits ----------------------------------------------------------------------------

    def select(self):
        """Bring the states of the credits up to date, and find the one in use."""
        model = self.model
        self.in_use = -1
        ahead = 0
        for row in self.credits:
            status = slots.octet(model, row, _CREDIT_STATUS)
            asks = _ASKS if credit.configuration(model, row) & _CONFIRM else 0
            threshold = model.get_int(row, _CREDIT_AVAILABLE_THRESHOLD)
            while True:
                conditions = asks
                if model.get_int(row, _CURRENT_CREDIT_AMOUNT) <= model.get_int(row, _LIMIT):
                    conditions |= _SPENT
                if self.in_use < 0:
                    conditions |= _TURN | _NEAR
                elif ahead <= threshold:
                    conditions |= _NEAR
                after = credit.next_status(status, conditions)
                if after < 0:
                    break
                status = after
                if status == _SELECTED or status == _IN_USE:
                    credit.give(model, row)
            model.put_int(row, _CREDIT_STATUS, status)
            if status == _IN_USE:
                self.in_use = row
            if status == _SELECTED or status == _IN_USE:
                ahead += model.get_int(row, _CURRENT_CREDIT_AMOUNT)

    def owed(self, row):
        """What has to be paid back of a credit."""
        model = self.model
        if not credit.configuration(model, row) & _PAY_BACK or not credit.is_given(model, row):
            return 0
        amount = model.get_int(row, _CURRENT_CREDIT_AMOUNT)
        return max(0, model.get_int(row, _PRESET_CREDIT_AMOUNT) - amount)

    def settle(self):
        """States and sums; of an account that is not active, sums alone."""
        model = self.model
        image = model.image
        account = self.row
        active = self.is_active()
        if active:
            self.select()
        else:
            self.in_use = -1
        available = to_clear = threshold = 0
        place = _NO_CREDIT
        following = -1
        bits = 0
        for k, row in enumerate(self.credits):
            amount = model.get_int(row, _CURRENT_CREDIT_AMOUNT)
            status = slots.octet(model, row, _CREDIT_STATUS)
            if (status == _SELECTED or status == _IN_USE) and amount > 0:
                available += amount
            if credit.configuration(model, row) & _PAY_BACK:
                to_clear -= self.owed(row)
            elif status == _EXHAUSTED and amount < 0:
                to_clear += amount
            if row == self.in_use:
                place = self.places[k]
                threshold = model.get_int(row, _WARNING_THRESHOLD)
                if credit.configuration(model, row) & _CONFIRM:
                    bits |= _SELECTABLE_IN_USE
            elif following < 0 and status < _IN_USE:
                following = row
        clearance = model.get_int(account, _CLEARANCE_THRESHOLD)
        flags = image[self._ledger] & ~_OUT
        if active and (self.in_use < 0 or (image[self._ledger] & _OUT and available < clearance)):
            flags |= _OUT
            bits |= _OUT_OF_CREDIT
            to_clear -= clearance
        image[self._ledger] = flags
        if available > 0:
            bits |= _IN_CREDIT
        if self.in_use >= 0 and available < threshold:
            bits |= _LOW_CREDIT
        low = _LEAST
        if following >= 0:
            low = model.get_int(following, _CREDIT_AVAILABLE_THRESHOLD)
            bits |= _NEXT_ENABLED >> slots.octet(model, following, _CREDIT_STATUS)
        model.put_int(account, _CURRENT_CREDIT_IN_USE, place)
        image[model.slot(account, _CURRENT_CREDIT_STATUS) + 2] = bits
        model.put_int(account, _AVAILABLE_CREDIT, available)
        model.put_int(account, _AMOUNT_TO_CLEAR, to_clear)
        model.put_int(account, _AGGREGATED_DEBT, self.collection.debt())
        model.put_int(account, _LOW_CREDIT_THRESHOLD, threshold)
        model.put_int(account, _NEXT_CREDIT_AVAILABLE_THRESHOLD, low)

    # --- Payments ---------------------------------------------------------------------------

    def pay(self, amount):
        """Put a payment to the credits, and collect what is due for it; False: nobody can take
        it, or the account is not active, and nothing is changed."""
        if not self.is_active() or amount <= 0:
            return False
        if self.touched:
            self._load()
            self.select()
        model = self.model
        parts = self._parts(amount)
        if sum(parts) != amount:
            return False
        for row, part in zip(self.credits, parts):
            model.put_int(row, _CURRENT_CREDIT_AMOUNT, part + self._amount(row))
        self.select()
        self.collection.paid(amount)
        self.settle()
        self._switch(True)
        return True

    def _amount(self, row):
        return self.model.get_int(row, _CURRENT_CREDIT_AMOUNT)

    def _parts(self, amount):
        """What of a payment each credit takes."""
        model = self.model
        parts = [0] * len(self.credits)
        rest = amount
        buf = slots.source(model, self.row, _TOKEN_GATEWAY_CONFIGURATION)
        at = slots.offset(model, self.row, _TOKEN_GATEWAY_CONFIGURATION)
        for j in range(buf[at + 1]):
            # 02 02 09 06 logical_name 11 proportion
            e = at + 2 + 12 * j
            row = model.find(self.device, _CREDIT + bytes(buf[e + 4 : e + 10]), 0)
            if row in self.credits:
                part = min(amount * buf[e + 11] // 100, self._room(row, 0), rest)
                parts[self.credits.index(row)] = part
                rest -= part
        for wanted in (True, False):
            for k in range(len(parts) - 1, -1, -1):
                row = self.credits[k]
                if (slots.octet(model, row, _CREDIT_STATUS) >= _IN_USE) is wanted:
                    part = min(rest, self._room(row, parts[k]))
                    parts[k] += part
                    rest -= part
        return parts

    def _room(self, row, part):
        """How much of a payment a credit takes, when it has had a part of it."""
        bits = credit.configuration(self.model, row)
        if bits & _PAY_BACK:
            return max(0, self.owed(row) - part)
        return _MOST - max(0, self._amount(row)) - part if bits & _FROM_TOKENS else 0
