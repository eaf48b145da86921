# SPDX-License-Identifier: MIT
"""Account (class_id 111, version 0; IEC 62056-6-2, 4.6.2): credits and charges of one contract.

account_status, and what changes it:

    activate_account  1 new    -> 2 active    or when account_activation_time comes
    close_account     2 active -> 3 closed    or when account_closure_time comes
    reset_account     2 active -> 1 new
    reset_account     3 closed -> 1 new

A method in another state is other-reason. Both times are a whole date-time, or nothing specified;
the methods write the time of what they do. While the account is active, accounting.py takes
charges from credits, puts tokens to them, selects them and switches the supply; when it is closed
what has been consumed until then is collected, and no more. A reset forgets all amounts, debts and
collections, and both times; configuration stays, and tokens that were used are still used.

Uncertain, and so project-defined: that what a method or a SET leads to (states of credits, sums,
the supply) comes with the next second; lists name objects that are there, each once, at most 16;
credit_charge_configuration and token_gateway_configuration name those of the lists; proportions
are per cent, together at most 100; the currency can be set while the account is not active, its
scale is -6 to 6; max_provision_period is not negative. All else: other-reason.

Hidden state `ledger`: 0 flags: 1 was active at the last look, 2 out of credit, 4 has disconnected
the supply; 1 spare; 2-5 the period of max_provision (u32, 0: none); 6-13 provided in it; 14-17 the
minute (UTC, u32) of the last look at the time, 0: none.
"""

from cosem import charge, credit, handler, slots
from cosem.accounting import Accounting
from dlms.prim import compare, copy, fill
from micropython import const

_MODE_AND_STATUS = const(2)
_CREDIT_REFERENCE_LIST = const(9)
_CHARGE_REFERENCE_LIST = const(10)
_CREDIT_CHARGE_CONFIGURATION = const(11)
_TOKEN_GATEWAY_CONFIGURATION = const(12)
_ACCOUNT_ACTIVATION_TIME = const(13)
_ACCOUNT_CLOSURE_TIME = const(14)
_CURRENCY = const(15)
_MAX_PROVISION_PERIOD = const(19)

_ACTIVATE_ACCOUNT = const(1)
_RESET_ACCOUNT = const(3)

_NEW = const(1)
_ACTIVE = const(2)
_CLOSED = const(3)
_STATUS_AT = const(5)  # of 02 02 16 account_mode 16 account_status
# By method and from: the account_status after it; 0: it is refused.
_TRANSITIONS = (
    b"\x02\x00\x00"  # activate_account
    b"\x00\x03\x00"  # close_account
    b"\x00\x01\x01"  # reset_account
)

_CREDIT = const(112)
_CHARGE = const(113)
_REFERENCE_LEN = const(8)  # 09 06 logical_name
_COLLECTION_LEN = const(21)  # 02 03, two references, 04 03 bits
_PROPORTION_LEN = const(12)  # 02 02, reference, 11 proportion
_MOST = const(16)
_LEDGER_LEN = const(18)

_MOST_SCALE = const(6)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

# Where _find() puts a key together: class_id and logical_name.
_KEY = bytearray(8)


class Handler(handler.Handler):
    """accounts: an Accounting an object."""

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.accounts = []

    def start(self, row):
        self.accounts.append(Accounting(self.model, row))

    def tick(self, now):
        for account in self.accounts:
            account.tick()

    def touch(self):
        """Something that accounts go by has changed: they look anew with the next second."""
        for account in self.accounts:
            account.touched = True

    def currency_scale(self, row):
        """Of the account that lists this charge, 0 if none does."""
        for account in self.accounts:
            if self._lists(account.row, _CHARGE_REFERENCE_LIST, row):
                return account.currency_scale()
        return 0

    def _lists(self, row, attribute, target):
        model = self.model
        buf = slots.source(model, row, attribute)
        at = slots.offset(model, row, attribute)
        return _has(buf, at, model.objects, (target << 4) + 2)

    # --- Attributes -------------------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        if attribute == _CREDIT_REFERENCE_LIST:
            good = self._are_there(row, attribute, _CREDIT, buf, pos)
        elif attribute == _CHARGE_REFERENCE_LIST:
            good = self._are_there(row, attribute, _CHARGE, buf, pos)
        elif attribute == _CREDIT_CHARGE_CONFIGURATION:
            good = self._are_known(row, buf, pos, _COLLECTION_LEN, 2)
        elif attribute == _TOKEN_GATEWAY_CONFIGURATION:
            good = self._are_known(row, buf, pos, _PROPORTION_LEN, 1)
            total = 0
            for at in range(pos + 2 + _PROPORTION_LEN, end + 1, _PROPORTION_LEN):
                total += buf[at - 1]
            good = good and total <= 100
        elif attribute == _CURRENCY:
            # 02 03 0C n name 0F scale 16 unit
            status = self._status(row)
            scale = buf[end - 3]
            good = status != _ACTIVE
            good = good and (scale <= _MOST_SCALE or scale >= 0x100 - _MOST_SCALE)
        elif attribute == _MAX_PROVISION_PERIOD:
            good = buf[pos + 1] < 0x80
        else:
            good = charge.is_time(buf, pos + 2)
        return _SUCCESS if good else _OTHER_REASON

    def _are_there(self, row, attribute, class_id, buf, pos):
        """Does a reference list name objects of this class, each once, and none of another
        account's?"""
        model = self.model
        device = slots.device_of(model, row)
        n = buf[pos + 1]
        if n > _MOST:
            return False
        for k in range(n):
            at = pos + 2 + k * _REFERENCE_LEN
            target = _find(model, device, class_id, buf, at + 2)
            if target < 0 or _count(buf, pos, buf, at + 2) > 1:
                return False
            for account in self.accounts:
                if account.row != row and self._lists(account.row, attribute, target):
                    return False
        return True

    def _are_known(self, row, buf, pos, size, n):
        """Do the elements buf[pos:], of so many octets, begin with n references, to credits (and
        charges) of the lists, and no two with the same?"""
        if buf[pos + 1] > 0x7F:
            return False
        for k in range(buf[pos + 1]):
            at = pos + 4 + k * size
            if not self._names(row, _CREDIT_REFERENCE_LIST, buf, at + 2):
                return False
            if n == 2 and not self._names(row, _CHARGE_REFERENCE_LIST, buf, at + 10):
                return False
            for j in range(k):
                if compare(buf, pos + 4 + j * size, buf, at, n * _REFERENCE_LEN) == 0:
                    return False
        return True

    def _names(self, row, attribute, buf, pos):
        """Is the logical name buf[pos:] in this reference list?"""
        model = self.model
        return _has(
            slots.source(model, row, attribute), slots.offset(model, row, attribute), buf, pos
        )

    def changed(self, row, attribute):
        self.touch()

    # --- Methods ----------------------------------------------------------------------------

    def _status(self, row):
        model = self.model
        return model.image[model.slot(row, _MODE_AND_STATUS) + _STATUS_AT]

    def invoke(self, s, method, buf, pos, end):
        if method > _RESET_ACCOUNT:
            return _OBJECT_UNDEFINED
        return _SUCCESS if self.change(s.row, method) else _OTHER_REASON

    def change(self, row, method):
        """Run a method; False: not in this state. Nothing is allocated."""
        model = self.model
        status = self._status(row)
        if not _NEW <= status <= _CLOSED:
            return False
        status = _TRANSITIONS[(method - 1) * 3 + status - 1]
        if not status:
            return False
        if method == _RESET_ACCOUNT:
            self._reset(row)
        else:
            times = _ACCOUNT_ACTIVATION_TIME + method - _ACTIVATE_ACCOUNT
            slots.put_now(model, row, times, model.handler("clock"))
        model.image[model.slot(row, _MODE_AND_STATUS) + _STATUS_AT] = status
        self.touch()
        return True

    def _reset(self, row):
        model = self.model
        device = slots.device_of(model, row)
        for attribute in (_CREDIT_REFERENCE_LIST, _CHARGE_REFERENCE_LIST):
            credits = attribute == _CREDIT_REFERENCE_LIST
            buf = slots.source(model, row, attribute)
            at = slots.offset(model, row, attribute)
            for k in range(buf[at + 1]):
                name = at + 4 + k * _REFERENCE_LEN
                target = _find(model, device, _CREDIT if credits else _CHARGE, buf, name)
                if target >= 0:
                    if credits:
                        credit.clear(model, target)
                    else:
                        charge.clear(model, target)
        for attribute in (_ACCOUNT_ACTIVATION_TIME, _ACCOUNT_CLOSURE_TIME):
            charge.put_unspecified(model.image, model.slot(row, attribute) + 2)
        at = model.state(row, 0)
        # That the supply was disconnected is not forgotten: the next active account connects it.
        disconnected = model.image[at] & 4
        fill(model.image, at, _LEDGER_LEN, 0)
        model.image[at] = disconnected


def _find(model, device, class_id, buf, name):
    """Row of the object of this class and name; -1."""
    _KEY[1] = class_id
    copy(_KEY, 2, buf, name, 6)
    return model.find(device, _KEY, 0)


def _count(buf, at, name, pos):
    """How often the reference list buf[at:] has a name."""
    n = 0
    for k in range(buf[at + 1]):
        if compare(buf, at + 4 + k * _REFERENCE_LEN, name, pos, 6) == 0:
            n += 1
    return n


def _has(buf, at, name, pos):
    return _count(buf, at, name, pos) > 0
