# SPDX-License-Identifier: MIT
"""Charge (class_id 113, version 0; IEC 62056-6-2, 4.6.4): what is taken from credits, and when.

    charge_type  0 consumption  charge_per_unit for each unit that the commodity has grown by
                 1 time         charge_per_unit for each period
                 2 payment      charge_per_unit for each payment, or (bit 0 of
                                charge_configuration) proportion / 10000 of it

charge_per_unit * 10**price_scale, in the unit of the account's currency, is the price of
10**commodity_scale units of the commodity (Wh, whatever the scaler of its register); of a period;
of a payment. The entry of charge_table is the one whose index is the active_mask of the first
Register activation of the logical device, else the one without an index, else nothing is due.
period is that of time, aligned as that of a demand; of consumption it says how often what is due
is collected (0: at once). collection.py does all that in ticks; here are values and methods.

Uncertain, and so project-defined:
  - the meaning of the scales and of index, see above; and that period 0 is never, for time.
  - with bit 1 of charge_configuration a charge is collected for ever, and
    total_amount_remaining stays; without, as long as there is some, which gets less.
  - total_amount_remaining cannot be changed with bit 1, nor become negative: other-reason.
  - update_unit_charge changes the entries of unit_charge_passive that have the same index, and
    adds the others; all or, where there is no room, none (other-reason).
  - unit_charge_passive becomes active once, when unit_charge_activation_time has come (nothing
    specified: never), and again when a new time was set.
  - collect: once more what is due for one period or payment; of consumption, and of a part of a
    payment, other-reason. It is done with the next second.
commodity_reference names a stored integer, or class 0. Scales, with those of the register and the
currency, must come to 10**-12 to 10**12, a period is below 2**24 s, or other-reason is said.
Nothing is allocated.

Hidden state `ledger`: 0-7 the remainder, in 10**-12 of an amount; 8-15 what is due and not
collected yet, signed; 16-23 the commodity when it was looked at last, at the end of the eight;
24-27 the period that was collected last (u32, 0: none); 28 flags: 1 the commodity is known, 2
unit_charge_passive has been activated; 29 how often `collect` was called and not done yet.
"""

from cosem import amounts, calendar, handler, slots
from dlms.axdr import get_u16
from dlms.prim import compare, copy, fill
from micropython import const

_TOTAL_AMOUNT_PAID = const(2)
_CHARGE_TYPE = const(3)
_UNIT_CHARGE_ACTIVE = const(5)
_UNIT_CHARGE_PASSIVE = const(6)
_UNIT_CHARGE_ACTIVATION_TIME = const(7)
_PERIOD = const(8)
_CHARGE_CONFIGURATION = const(9)
_LAST_COLLECTION_TIME = const(10)
_LAST_COLLECTION_AMOUNT = const(11)
_TOTAL_AMOUNT_REMAINING = const(12)
_PROPORTION = const(13)

_UPDATE_UNIT_CHARGE = const(1)
_ACTIVATE_PASSIVE_UNIT_CHARGE = const(2)
_COLLECT = const(3)
_UPDATE_TOTAL_AMOUNT_REMAINING = const(4)
_SET_TOTAL_AMOUNT_REMAINING = const(5)

_CONSUMPTION = const(0)
_PAYMENT = const(2)
# Of charge_configuration, whose first bit is the highest.
_PERCENTAGE = const(0x80)
_CONTINUOUS = const(0x40)

# A unit charge: 02 03 02 02 0F commodity_scale 0F price_scale 02 03 12 class class 09 06
# logical_name 0F attribute_index 01 n, and entries 02 02 09 length index 10 charge_per_unit.
_COMMODITY_SCALE_AT = const(5)
_PRICE_SCALE_AT = const(7)
_CLASS_AT = const(11)
_NAME_AT = const(15)
_INDEX_AT = const(22)
_TABLE_AT = const(23)

_NUMBER = const(24)
_FLAGS = const(28)
_KNOWN = const(1)
_ACTIVATED = const(2)
_ASKED = const(29)
_LEDGER_LEN = const(30)

_MOST_SCALE = const(12)
_WHOLE = const(10000)

_COMPUTED = const(0)
_REGISTER = const(3)
_DEMAND_REGISTER = const(5)
_INTEGERS = const(0x378060)  # a bit a tag: 05, 06, 0F, 10, 11, 12, 14, 15

_SUCCESS = const(0)
_TEMPORARY_FAILURE = const(2)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)


class Handler(handler.Handler):
    # --- Attributes -------------------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        good = True
        if attribute == _UNIT_CHARGE_PASSIVE:
            good = _is_table(buf, pos + _TABLE_AT) and self._is_chargeable(row, buf, pos)
        elif attribute == _UNIT_CHARGE_ACTIVATION_TIME:
            good = is_time(buf, pos + 2)
        elif attribute == _PERIOD:
            good = buf[pos + 1] == 0
        elif attribute == _PROPORTION:
            good = get_u16(buf, pos + 1) <= _WHOLE
        return _SUCCESS if good else _OTHER_REASON

    def changed(self, row, attribute):
        model = self.model
        if attribute == _UNIT_CHARGE_ACTIVATION_TIME:
            model.image[model.state(row, 0) + _FLAGS] &= ~_ACTIVATED
        elif attribute == _CHARGE_TYPE:
            # What comes from now on counts.
            forget(model, row)
        elif attribute == _PERIOD:
            fill(model.image, model.state(row, 0) + _NUMBER, 4, 0)
        self._touch()

    def _touch(self):
        account = self.model.handler("account")
        if account is not None:
            account.touch()

    def _is_chargeable(self, row, buf, pos):
        """Does commodity_reference name something, and do the scales fit?"""
        model = self.model
        device = slots.device_of(model, row)
        account = model.handler("account")
        currency = 0 if account is None else account.currency_scale(row)
        return scale(model, device, currency, buf, pos) >= -_MOST_SCALE

    # --- Methods ----------------------------------------------------------------------------

    def invoke(self, s, method, buf, pos, end):
        row = s.row
        if method == _UPDATE_UNIT_CHARGE:
            return self._update(row, buf, pos, end)
        if method == _ACTIVATE_PASSIVE_UNIT_CHARGE:
            if not activate(self.model, row):
                return _OTHER_REASON
        elif method == _COLLECT:
            result = self._ask(row)
            if result:
                return result
        elif method == _UPDATE_TOTAL_AMOUNT_REMAINING or method == _SET_TOTAL_AMOUNT_REMAINING:
            if not self._remain(row, method, buf, pos):
                return _OTHER_REASON
        else:
            return _OBJECT_UNDEFINED
        self._touch()
        return _SUCCESS

    def _update(self, row, buf, pos, end):
        model = self.model
        image = model.image
        if not _is_table(buf, pos):
            return _OTHER_REASON
        at = model.slot(row, _UNIT_CHARGE_PASSIVE)
        size = model.value_len(row, _UNIT_CHARGE_PASSIVE)
        table = at + _TABLE_AT
        added = n_added = 0
        e = pos + 2
        for _ in range(buf[pos + 1]):
            if find_entry(image, table, buf, e + 3) < 0:
                added += entry_len(buf, e)
                n_added += 1
            e += entry_len(buf, e)
        if size + added > model.capacity(row, _UNIT_CHARGE_PASSIVE):
            return _OTHER_REASON
        if image[table + 1] + n_added > 0x7F:
            return _OTHER_REASON
        e = pos + 2
        for _ in range(buf[pos + 1]):
            n = entry_len(buf, e)
            place = find_entry(image, table, buf, e + 3)
            if place < 0:
                place = at + size
                size += n
                image[table + 1] += 1
            copy(image, place, buf, e, n)
            e += n
        slots.set_len(image, at, size)
        return _SUCCESS

    def _ask(self, row):
        """Note that what is due is to be collected."""
        model = self.model
        kind = slots.octet(model, row, _CHARGE_TYPE)
        if kind == _CONSUMPTION or (kind == _PAYMENT and configuration(model, row) & _PERCENTAGE):
            return _OTHER_REASON
        at = model.state(row, 0) + _ASKED
        if model.image[at] == 0xFF:
            return _TEMPORARY_FAILURE
        model.image[at] += 1
        return _SUCCESS

    def _remain(self, row, method, buf, pos):
        """Change total_amount_remaining; False: it cannot be."""
        model = self.model
        image = model.image
        at = model.slot(row, _TOTAL_AMOUNT_REMAINING) + 1
        if configuration(model, row) & _CONTINUOUS:
            return False
        if method == _SET_TOTAL_AMOUNT_REMAINING:
            if buf[pos + 1] & 0x80:
                return False
            copy(image, at, buf, pos + 1, 4)
            return True
        return amounts.add(image, at, buf, pos + 1, 0)


# --- For whoever reads charges, too -----------------------------------------------------------


def configuration(model, row):
    """The octet of charge_configuration: its bit 0 is 0x80."""
    return slots.source(model, row, _CHARGE_CONFIGURATION)[
        slots.offset(model, row, _CHARGE_CONFIGURATION) + 2
    ]


def is_time(buf, pos):
    """Is the date-time a whole one, or nothing at all?"""
    if calendar.is_unspecified(buf, pos):
        return True
    return calendar.day_of(buf, pos) != calendar.never() and (
        calendar.check_time(buf, pos + 5) == 0 and calendar.deviation_ok(buf, pos + 9)
    )


def put_unspecified(image, at):
    """Write a date-time that says nothing at all."""
    fill(image, at, 12, 0xFF)
    image[at + 9] = 0x80
    image[at + 10] = 0


def activate(model, row):
    """unit_charge_passive becomes unit_charge_active; False: there is no room for it."""
    n = model.value_len(row, _UNIT_CHARGE_PASSIVE)
    if n > model.capacity(row, _UNIT_CHARGE_ACTIVE):
        return False
    image = model.image
    at = model.slot(row, _UNIT_CHARGE_ACTIVE)
    passive = model.slot(row, _UNIT_CHARGE_PASSIVE)
    if compare(image, at + _CLASS_AT, image, passive + _CLASS_AT, _TABLE_AT - _CLASS_AT):
        forget(model, row)
    copy(image, at, image, passive, n)
    slots.set_len(image, at, n)
    return True


def forget(model, row):
    """What the commodity was, and which period ran, is of no use any more: they begin anew."""
    at = model.state(row, 0)
    model.image[at + _FLAGS] &= ~_KNOWN
    fill(model.image, at + _NUMBER, 4, 0)


def commodity(model, device, buf, pos):
    """Row of the object that the unit charge buf[pos:] counts; -1: none can be, -2: none is
    named."""
    if not buf[pos + _CLASS_AT] | buf[pos + _CLASS_AT + 1]:
        return -2
    row = slots.find_object(model, device, buf, pos + _CLASS_AT, pos + _NAME_AT)
    index = buf[pos + _INDEX_AT]
    if row < 0 or index < 2 or index > model.n_attributes(row):
        return -1
    if model.kind(row, index) == _COMPUTED:
        return -1
    tag = slots.source(model, row, index)[slots.offset(model, row, index)]
    return row if tag < 24 and _INTEGERS >> tag & 1 else -1


def scale(model, device, currency_scale, buf, pos):
    """Exponent of ten of what one step of the commodity costs, charge_per_unit left out, in the
    amounts of the account; -100: there is none that fits."""
    row = commodity(model, device, buf, pos)
    if row == -1:
        return -100
    price = _signed(buf[pos + _PRICE_SCALE_AT]) - currency_scale
    e = price
    if row >= 0:
        e -= _signed(buf[pos + _COMMODITY_SCALE_AT])
        class_id = model.class_id(row)
        if _REGISTER <= class_id <= _DEMAND_REGISTER:
            k = 4 if class_id == _DEMAND_REGISTER else 3
            e += _signed(slots.source(model, row, k)[slots.offset(model, row, k) + 3])
    return e if -_MOST_SCALE <= e <= _MOST_SCALE else -100


def _signed(octet):
    return octet - 0x100 if octet & 0x80 else octet


def find_entry(buf, table, index, pos):
    """Position of the entry of the charge_table at buf[table:] whose index is the one that has
    its length at index[pos:]; -1."""
    e = table + 2
    for _ in range(buf[table + 1]):
        if buf[e + 3] == index[pos] and compare(buf, e + 4, index, pos + 1, index[pos]) == 0:
            return e
        e += entry_len(buf, e)
    return -1


def entry_len(buf, e):
    return 7 + buf[e + 3]


def charge_per_unit(buf, e):
    """Of an entry."""
    n = get_u16(buf, e + 5 + buf[e + 3])
    return n - 0x10000 if n & 0x8000 else n


def clear(model, row):
    """A new account begins. Nothing is allocated."""
    for attribute in (_TOTAL_AMOUNT_PAID, _LAST_COLLECTION_AMOUNT, _TOTAL_AMOUNT_REMAINING):
        slots.clear_value(model, row, attribute)
    put_unspecified(model.image, model.slot(row, _LAST_COLLECTION_TIME) + 1)
    activated = model.image[model.state(row, 0) + _FLAGS] & _ACTIVATED
    fill(model.image, model.state(row, 0), _LEDGER_LEN, 0)
    model.image[model.state(row, 0) + _FLAGS] = activated


def _is_table(buf, pos):
    """Is the charge_table, of the right type, short enough, and has no index twice?"""
    if buf[pos + 1] > 0x7F:
        return False
    e = pos + 2
    for _ in range(buf[pos + 1]):
        if buf[e + 3] > 0x7F or find_entry(buf, pos, buf, e + 3) != e:
            return False
        e += entry_len(buf, e)
    return True
