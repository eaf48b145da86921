# SPDX-License-Identifier: MIT
"""What the charges of an account come to, and how it is taken from its credits.

Each second: the growth of a commodity since the last look times the price of the tariff that is in
force becomes due; and so does the charge of a period that has begun. What is due is kept in whole
amounts and a remainder in 10**-12 of one, rounded down, so that nothing is ever lost: at any time
the sum of all that became due is what was collected, what waits, and the remainder.

What is due is collected by priority of the charges, 1 before 2, those of one priority in the
order of charge_reference_list. It is taken from the credit in use, if credit_charge_configuration
is empty or has it with this charge, with bit 0 set while the supply is disconnected. Without a
credit in use the first one for which this holds goes below its limit. Else what is due waits. A
collection is not divided: a credit that has less left goes below its limit, and what follows is
taken from the next one. Bits 1 and 2, load limiting and friendly credit periods, are kept and not
looked at: the account knows of no such periods, so it collects as in all others.

A register that is unsigned and has fallen has gone round if it grew by less than 1/256 of its
range in that; else it was set, and what it lost is nobody's. A charge that is new to its account,
or has another commodity than before, begins with what is there.

Time: a period is collected when it begins. After a power failure all that began meanwhile are
collected, after the clock was set forward only the one that runs now; after it was set back none
before the last one is over, but if that is more than 31 days ahead, they are counted anew.

Payments: what max_provision allows in each max_provision_period (seconds, aligned as the period of
a demand; 0: no limit) to all charges of the account together, and no more; the rest is not due.

It runs in ticks and may allocate.
"""

from cosem import amounts, charge, slots
from dlms.axdr import get_u32, put_u32
from dlms.prim import compare, copy
from micropython import const

# Attributes of Account.
_CHARGE_REFERENCE_LIST = const(10)
_CREDIT_CHARGE_CONFIGURATION = const(11)
_MAX_PROVISION = const(18)
_MAX_PROVISION_PERIOD = const(19)

# Attributes of Credit, Charge, Register activation.
_TOTAL_AMOUNT_PAID = const(2)
_CHARGE_TYPE = const(3)
_PRIORITY = const(4)
_UNIT_CHARGE_ACTIVE = const(5)
_UNIT_CHARGE_ACTIVATION_TIME = const(7)
_PERIOD = const(8)
_LAST_COLLECTION_TIME = const(10)
_LAST_COLLECTION_AMOUNT = const(11)
_TOTAL_AMOUNT_REMAINING = const(12)
_PROPORTION = const(13)
_ACTIVE_MASK = const(4)

_CONSUMPTION = const(0)
_TIME = const(1)
_PAYMENT = const(2)
_PERCENTAGE = const(0x80)
_CONTINUOUS = const(0x40)
_WHEN_DISCONNECTED = const(0x80)  # bit 0 of collection_configuration

# The ledger of a charge, see charge.py.
_DUE = const(8)
_SEEN_END = const(24)
_NUMBER = const(24)
_FLAGS = const(28)
_KNOWN = const(1)
_ACTIVATED = const(2)
_ASKED = const(29)
# The ledger of an account, see account.py.
_PROVISION_NUMBER = const(2)
_PROVIDED = const(6)

_TABLE_AT = const(23)  # of a unit charge
_INDEX_AT = const(22)
_WHOLE = const(12)  # exponent of the remainder's unit
_PART = const(-4)  # exponent of a proportion
_MOST_BACK_S = const(2678400)
_MINUTE_S = const(60)
_LEAST = const(-0x80000000)
_MOST = const(0x7FFFFFFF)

_CREDIT = b"\x00\x70"
_CHARGE = b"\x00\x71"
_SIGNED = b"\x05\x0f\x10\x14"
_NO_INDEX = b"\x00"


class Due:
    """A charge, as its configuration says.

    row, kind (charge_type), period, ends (it has no continuous collection), ledger (its place in
    the image), scale (exponent of what a unit costs; below -12: it cannot be); of the commodity at
    (where its n octets are in the image, 0: it has none), seen (in the ledger) and signed. minute:
    of the last look at the period; table: its charge_table; waits: something is due."""


class Collection:
    """Of one Accounting. charges: a Due each, by priority."""

    def __init__(self, accounting):
        self.accounting = accounting
        self.model = accounting.model
        self.charges = None  # until load()
        self._metered = []  # those that have a commodity
        self._hurries = False  # one of them has to be looked at each second
        self._pairs = {}  # (credit, charge) -> collection_configuration
        self._clock = self.model.handler("clock")
        self._shifts = -1
        device = accounting.device
        masks = [r for r in self.model.rows(6) if slots.device_of(self.model, r) == device]
        # Where the image has the active_mask.
        self._mask = self.model.slot(masks[0], _ACTIVE_MASK) if masks else -1

    def load(self):
        """Read the configuration."""
        model = self.model
        account = self.accounting
        rows = account.rows_of(_CHARGE_REFERENCE_LIST, _CHARGE)
        order = [(slots.octet(model, r, _PRIORITY), k, r) for k, r in enumerate(rows)]
        order.sort()
        before = None if self.charges is None else [c.row for c in self.charges]
        for _priority, _k, r in order:
            if before is not None and r not in before:
                charge.forget(model, r)  # it was nobody's, or another account's
        self.charges = [self._due(r) for _priority, _k, r in order]
        self._metered = [c for c in self.charges if c.at]
        self._hurries = True
        self._pairs = {}
        buf = slots.source(model, account.row, _CREDIT_CHARGE_CONFIGURATION)
        at = slots.offset(model, account.row, _CREDIT_CHARGE_CONFIGURATION)
        for j in range(buf[at + 1]):
            # 02 03 09 06 credit_reference 09 06 charge_reference 04 03 bits
            e = at + 2 + 21 * j
            of = model.find(account.device, _CREDIT + bytes(buf[e + 4 : e + 10]), 0)
            what = model.find(account.device, _CHARGE + bytes(buf[e + 12 : e + 18]), 0)
            self._pairs[of, what] = buf[e + 20]

    def _due(self, row):
        model = self.model
        c = Due()
        c.row = row
        c.kind = slots.octet(model, row, _CHARGE_TYPE)
        c.period = slots.double_long_unsigned(model, row, _PERIOD)
        c.ends = not charge.configuration(model, row) & _CONTINUOUS
        c.ledger = model.state(row, 0)
        c.minute = -1
        c.waits = True
        image = model.image
        pos = model.slot(row, _UNIT_CHARGE_ACTIVE)
        c.table = pos + _TABLE_AT
        device = self.accounting.device
        c.scale = charge.scale(model, device, self.accounting.currency_scale(), image, pos)
        c.at = c.n = 0
        target = charge.commodity(model, device, image, pos)
        if target >= 0 and c.kind == _CONSUMPTION and c.scale >= -_WHOLE:
            index = image[pos + _INDEX_AT]
            if model.slot(target, index) >= 0:
                c.at = model.slot(target, index) + 1
                c.n = model.value_len(target, index) - 1
                c.signed = _SIGNED.find(bytes((image[c.at - 1],))) >= 0
                c.seen = c.ledger + _SEEN_END - c.n
        return c

    def is_due(self):
        """Between two minutes: has tick() anything to do?"""
        if self._hurries or (self._clock is not None and self._clock.shifts != self._shifts):
            return True
        image = self.model.image
        for c in self._metered:
            if compare(image, c.seen, image, c.at, c.n):
                return True
        return False

    def begin(self):
        """The account has become active: what was before is nobody's."""
        for c in self.charges:
            charge.forget(self.model, c.row)
            c.minute = -1

    def at_minute(self, active):
        """New prices whose time has come."""
        model = self.model
        for c in self.charges:
            flags = c.ledger + _FLAGS
            if model.image[flags] & _ACTIVATED:
                continue
            if self.accounting.has_come(c.row, _UNIT_CHARGE_ACTIVATION_TIME):
                if active:
                    # What has grown until now has the old price.
                    self._consume(c)
                model.image[flags] |= _ACTIVATED
                charge.activate(model, c.row)
                model.edited(c.row, 0)
                self.accounting.touched = True
        if self.accounting.touched:
            self.load()

    def tick(self, last):
        """Let become due what is, and collect it; last: the account has been closed."""
        clock = self._clock
        set_forward = False
        if clock is not None and clock.shifts != self._shifts:
            set_forward = self._shifts >= 0
            self._shifts = clock.shifts
            for c in self.charges:
                c.minute = -1
        self._hurries = False
        for c in self.charges:
            begun = 0
            if c.period and not last and clock is not None:
                if c.minute != clock.minute or c.period % _MINUTE_S:
                    c.minute = clock.minute
                    begun = self._begun(c, set_forward)
            if c.kind == _CONSUMPTION:
                self._consume(c)
            elif c.kind == _TIME and begun:
                self._grow(c, begun * self._price(c), c.scale)
            self._asked(c)
            at_once = c.kind != _CONSUMPTION or not c.period
            if c.waits and (at_once or begun or last):
                self._collect(c)
            if c.period % _MINUTE_S or (c.waits and at_once):
                self._hurries = True

    def _begun(self, c, set_forward):
        """How many periods have begun since the last look."""
        image = self.model.image
        number = self._clock.period_number(c.period)
        before = get_u32(image, c.ledger + _NUMBER)
        if number == before:
            return 0
        if number < before and (before - number) * c.period <= _MOST_BACK_S:
            return 0
        put_u32(image, c.ledger + _NUMBER, number)
        if not before or number < before:
            return 0
        return 1 if set_forward else number - before

    # --- What becomes due -------------------------------------------------------------------

    def _consume(self, c):
        """What the commodity has grown by since the last look."""
        image = self.model.image
        if not c.at:
            return
        seen = c.seen
        known = image[c.ledger + _FLAGS] & _KNOWN
        if known and compare(image, seen, image, c.at, c.n) == 0:
            return
        grown = 0
        if known:
            grown = amounts.get(image, c.at, c.n) - amounts.get(image, seen, c.n)
            if not c.signed:
                fell = compare(image, c.at, image, seen, c.n) < 0
                grown %= 1 << 8 * c.n
                if fell and grown >> 8 * c.n - 8:
                    grown = 0
        copy(image, seen, image, c.at, c.n)
        image[c.ledger + _FLAGS] |= _KNOWN
        if grown:
            self._grow(c, grown * self._price(c), c.scale)

    def _asked(self, c):
        """The method `collect`."""
        image = self.model.image
        n = image[c.ledger + _ASKED]
        if n:
            image[c.ledger + _ASKED] = 0
            self._grow(c, n * self._price(c), c.scale)

    def _price(self, c):
        """charge_per_unit in force."""
        image = self.model.image
        e = -1
        if self._mask >= 0:
            e = charge.find_entry(image, c.table, image, self._mask + 1)
        if e < 0:
            e = charge.find_entry(image, c.table, _NO_INDEX, 0)
        return charge.charge_per_unit(image, e) if e >= 0 else 0

    def _grow(self, c, value, scale):
        """value * 10**scale becomes due, but no more than what remains of a charge that ends."""
        if scale < -_WHOLE:
            return
        image = self.model.image
        total = value * 10 ** (scale + _WHOLE) + amounts.get(image, c.ledger, 8)
        whole = total // 10**_WHOLE
        rest = total - whole * 10**_WHOLE
        due = amounts.get(image, c.ledger + _DUE, 8)
        if c.ends:
            room = self.model.get_int(c.row, _TOTAL_AMOUNT_REMAINING) - due
            if whole >= room:
                whole = room
                rest = 0
        amounts.put(image, c.ledger, 8, rest)
        amounts.put(image, c.ledger + _DUE, 8, due + whole)
        c.waits = True

    def paid(self, amount):
        """A payment: what is due for it, and collected at once."""
        model = self.model
        image = model.image
        for c in self.charges:
            if c.kind != _PAYMENT:
                continue
            before = amounts.get(image, c.ledger + _DUE, 8)
            if charge.configuration(model, c.row) & _PERCENTAGE:
                self._grow(c, amount * slots.long_unsigned(model, c.row, _PROPORTION), _PART)
            else:
                self._grow(c, self._price(c), c.scale)
            due = amounts.get(image, c.ledger + _DUE, 8) - before
            amounts.put(image, c.ledger + _DUE, 8, before + self._provide(due))
            self._collect(c)

    def _provide(self, due):
        """How much of what is due for a payment max_provision allows."""
        model = self.model
        account = self.accounting.row
        most = slots.long_unsigned(model, account, _MAX_PROVISION)
        period = model.get_int(account, _MAX_PROVISION_PERIOD)
        if due <= 0 or not most or not period or self._clock is None:
            return due
        ledger = model.state(account, 0)
        number = self._clock.period_number(period)
        provided = 0
        if get_u32(model.image, ledger + _PROVISION_NUMBER) == number:
            provided = amounts.get(model.image, ledger + _PROVIDED, 8)
        put_u32(model.image, ledger + _PROVISION_NUMBER, number)
        due = max(0, min(due, most - provided))
        amounts.put(model.image, ledger + _PROVIDED, 8, provided + due)
        return due

    # --- What is collected ------------------------------------------------------------------

    def _payer(self, c):
        """The Purse that a charge is collected from now, None: it waits."""
        account = self.accounting
        for purse in account.purses if account.in_use is None else (account.in_use,):
            bits = self._pairs.get((purse.row, c.row), -1) if self._pairs else _WHEN_DISCONNECTED
            if bits >= 0 and (bits & _WHEN_DISCONNECTED or account.supply.is_connected()):
                return purse
        return None

    def _collect(self, c):
        """Take what is due from a credit."""
        model = self.model
        image = model.image
        due = amounts.get(image, c.ledger + _DUE, 8)
        remaining = model.get_int(c.row, _TOTAL_AMOUNT_REMAINING)
        if c.ends and due > remaining:
            due = remaining  # which has got less meanwhile
        purse = self._payer(c) if due else None
        part = 0
        if purse is not None:
            amount = purse.amount()
            part = max(amount - _MOST, min(amount - _LEAST, due))
        amounts.put(image, c.ledger + _DUE, 8, due - part)
        c.waits = due != part
        if not part:
            return
        purse.put(amount - part)
        if c.ends:
            model.put_int(c.row, _TOTAL_AMOUNT_REMAINING, remaining - part)
        paid = model.get_int(c.row, _TOTAL_AMOUNT_PAID)
        model.put_int(c.row, _TOTAL_AMOUNT_PAID, paid + part)
        model.put_int(c.row, _LAST_COLLECTION_AMOUNT, part)
        if self._clock is not None:
            at = model.slot(c.row, _LAST_COLLECTION_TIME) + 1
            copy(image, at, self._clock.local, 0, 12)
        self.accounting.moved = True
        if amount - part <= purse.limit:
            self.accounting.select()

    def debt(self):
        """total_amount_remaining of the charges that come to an end."""
        model = self.model
        return sum([model.get_int(c.row, _TOTAL_AMOUNT_REMAINING) for c in self.charges if c.ends])
