# SPDX-License-Identifier: MIT
"""The accounting of one Account: which credit is in use, what payments become, and the supply.

It runs in ticks and may allocate. In the order of a tick: what time brings (activation, closure,
new prices, amounts that begin anew), what charges are due (collection.py), the states of the
credits (credit.py), the sums of the account, and the supply.

Sums, in the attributes of the account (uncertain: public texts have the names, and what one
implementation makes of them):
    current_credit_in_use            place in credit_reference_list from 0, 255: there is none
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

from cosem import amounts, slots
from cosem.collection import Collection
from cosem.purse import Purse
from cosem.supply import Supply
from dlms.axdr import get_u32, put_u32
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

_PRIORITY = const(4)  # of Credit
# credit_status.
_IN_USE = const(3)
_EXHAUSTED = const(4)

# current_credit_status.
_IN_CREDIT = const(0x80)
_LOW_CREDIT = const(0x40)
_NEXT_ENABLED = const(0x20)  # then selectable, selected
_SELECTABLE_IN_USE = const(0x04)
_OUT_OF_CREDIT = const(0x02)

# Flags of the ledger.
_RUNNING = const(1)
_OUT = const(2)
_DISCONNECTED = const(4)

_CREDIT = b"\x00\x70"
_LEAST = const(-0x80000000)
_LOOKED = const(14)  # in the ledger
_MOST_MISSED = const(89280)  # minutes: 62 days


class Accounting:
    """
    row        of the Account
    touched    configuration or amounts were changed from outside: all is looked at anew
    moved      amounts were changed: states and sums are to be settled
    purses     a Purse a credit, by priority
    in_use     that of the credit in use, or None
    """

    def __init__(self, model, row):
        self.model = model
        self.row = row
        self.device = slots.device_of(model, row)
        self.touched = True
        self.moved = False
        self.purses = []
        self.in_use = None
        self._ledger = model.state(row, 0)
        self._mode = model.slot(row, _MODE_AND_STATUS)
        self._clock = model.handler("clock")
        self._minute = -1
        self._date = bytearray(12)
        self.collection = Collection(self)
        self.supply = Supply(model, row, self.device)

    # --- Time -------------------------------------------------------------------------------

    def tick(self):
        image = self.model.image
        clock = self._clock
        new_minute = clock is not None and clock.minute != self._minute
        flags = image[self._ledger]
        if not (new_minute or self.touched or flags & (_OUT | _DISCONNECTED)):
            if not flags & _RUNNING or not self.collection.is_due():
                return
        if self.touched:
            self._load()
        if clock is not None and (new_minute or self.touched):
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
        if self.touched or self.moved:
            self.settle()
            self.touched = False
        if active:
            self._switch(new_minute)

    def _switch(self, new_minute):
        """The supply follows the credit, in prepayment mode."""
        image = self.model.image
        out = image[self._mode + _MODE_AT] == _PREPAYMENT and image[self._ledger] & _OUT != 0
        self.supply.switch(out, new_minute)

    def is_active(self):
        return self.model.image[self._mode + _STATUS_AT] == _ACTIVE

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
        self.purses = [Purse(model, r, k) for _priority, k, r in order]
        self.in_use = None
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
        clock = self._clock
        # What began between two minutes is seen a minute late; and what is set, at once.
        image = self.model.image
        last = get_u32(image, self._ledger + _LOOKED)
        first = clock.minute
        if 0 < last < first:
            first = max(last + 1, first - _MOST_MISSED)
        put_u32(image, self._ledger + _LOOKED, clock.minute)
        self._minute = clock.minute
        status = image[self._mode + _STATUS_AT]
        if status == _NEW and self.has_come(self.row, _ACCOUNT_ACTIVATION_TIME):
            self._change(_ACTIVATE_ACCOUNT)
        elif status == _ACTIVE and self.has_come(self.row, _ACCOUNT_CLOSURE_TIME):
            self._change(_CLOSE_ACCOUNT)
        active = self.is_active()
        self.collection.at_minute(active)
        if active:
            for purse in self.purses:
                if purse.begin_anew(clock, first, self._date):
                    self.touched = True

    def _change(self, method):
        """As the methods of the account, at a time that it has been told."""
        model = self.model
        model.handler("account").change(self.row, method)
        model.edited(self.row, 0)

    # --- Credits ----------------------------------------------------------------------------

    def select(self):
        """Bring the states of the credits up to date, and find the one in use."""
        self.in_use = None
        ahead = 0
        for purse in self.purses:
            purse.select(self.in_use is None, ahead)
            if purse.status() == _IN_USE:
                self.in_use = purse
            if purse.counts():
                ahead += purse.amount()

    def settle(self):
        """States and sums; of an account that is not active, sums alone."""
        self.moved = False
        model = self.model
        image = model.image
        active = self.is_active()
        if active:
            self.select()
        else:
            self.in_use = None
        used = self.in_use
        following = None
        available = to_clear = bits = 0
        for purse in self.purses:
            amount = purse.amount()
            status = purse.status()
            if amount > 0 and purse.counts():
                available += amount
            if purse.pays_back:
                to_clear -= purse.owed()
            elif status == _EXHAUSTED and amount < 0:
                to_clear += amount
            if following is None and status < _IN_USE:
                following = purse
        clearance = model.get_int(self.row, _CLEARANCE_THRESHOLD)
        flags = image[self._ledger]
        if active and (used is None or (flags & _OUT and available < clearance)):
            flags |= _OUT
            bits |= _OUT_OF_CREDIT
            to_clear -= clearance
        else:
            flags &= ~_OUT
        image[self._ledger] = flags
        if available > 0:
            bits |= _IN_CREDIT
        if used is not None:
            if available < used.warning:
                bits |= _LOW_CREDIT
            if used.asks:
                bits |= _SELECTABLE_IN_USE
        if following is not None:
            bits |= _NEXT_ENABLED >> following.status()
        image[model.slot(self.row, _CURRENT_CREDIT_IN_USE) + 1] = (
            used.place if used else _NO_CREDIT
        )
        image[model.slot(self.row, _CURRENT_CREDIT_STATUS) + 2] = bits
        self._put(_AVAILABLE_CREDIT, available)
        self._put(_AMOUNT_TO_CLEAR, to_clear)
        self._put(_AGGREGATED_DEBT, self.collection.debt())
        self._put(_LOW_CREDIT_THRESHOLD, used.warning if used else 0)
        self._put(_NEXT_CREDIT_AVAILABLE_THRESHOLD, following.threshold if following else _LEAST)

    def _put(self, attribute, value):
        amounts.put(self.model.image, self.model.slot(self.row, attribute) + 1, 4, value)

    # --- Payments ---------------------------------------------------------------------------

    def pay(self, amount):
        """Put a payment to the credits, and collect what is due for it; False: nobody can take
        it, or the account is not active, and nothing is changed. The supply follows with the next
        second."""
        if not self.is_active() or amount <= 0:
            return False
        if self.touched:
            self._load()
            self.select()
        parts = self._parts(amount)
        if sum(parts) != amount:
            return False
        for purse, part in zip(self.purses, parts):
            purse.put(purse.amount() + part)
        self.select()
        self.collection.paid(amount)
        self.settle()
        return True

    def _parts(self, amount):
        """What of a payment each credit takes."""
        model = self.model
        parts = [0] * len(self.purses)
        rest = amount
        buf = slots.source(model, self.row, _TOKEN_GATEWAY_CONFIGURATION)
        at = slots.offset(model, self.row, _TOKEN_GATEWAY_CONFIGURATION)
        for j in range(buf[at + 1]):
            # 02 02 09 06 logical_name 11 proportion
            e = at + 2 + 12 * j
            row = model.find(self.device, _CREDIT + bytes(buf[e + 4 : e + 10]), 0)
            for k, purse in enumerate(self.purses):
                if purse.row == row:
                    parts[k] = min(amount * buf[e + 11] // 100, purse.room(0), rest)
                    rest -= parts[k]
        for wanted in (True, False):
            for k in range(len(parts) - 1, -1, -1):
                purse = self.purses[k]
                if (purse.status() >= _IN_USE) is wanted:
                    part = min(rest, purse.room(parts[k]))
                    parts[k] += part
                    rest -= part
        return parts
