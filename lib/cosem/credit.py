# SPDX-License-Identifier: MIT
"""Credit (class_id 112, version 0; IEC 62056-6-2, 4.6.3): an amount, and what it is good for.

credit_status, and what changes it. Credits take their turn by priority, 1 before 2; those of one
priority in the order of credit_reference_list.

    A  0 enabled    -> 1 selectable   it is near, and has to be confirmed
    B  1 selectable -> 2 selected     invoke_credit
    C  2 selected   -> 3 in use       it is its turn
    D  3 in use     -> 4 exhausted    it is spent
    E  4 exhausted  -> 0 enabled      it is not spent any more
    F  1 selectable -> 0 enabled      it is not near any more
    G  2 selected   -> 0 enabled      it is not near any more
    H  3 in use     -> 0 enabled      it is not its turn any more
    I  0 enabled    -> 3 in use       it is its turn, and need not be confirmed
    J  0 enabled    -> 2 selected     it is near, and need not be confirmed

    spent   current_credit_amount is not above limit
    turn    no credit before it is in use
    near    turn, or the amounts of the credits before it that are selected or in use are together
            not above its credit_available_threshold
    confirm bit 1 of credit_configuration: it waits in state 1 for invoke_credit

The letters are those that public implementations know from the Book; uncertain: some of the
conditions. The rows are looked at in the order of _TRANSITIONS until none fits; accounting.py does
that in ticks, for each credit of an active account.

Uncertain, and so project-defined:
  - preset_credit_amount: a reserved or emergency credit that is selected or put into use for the
    first time since the account was reset is raised to it. What is missing of it after that has to
    be paid back where bit 2 of credit_configuration says so, and is never given a second time.
  - period: at such a minute the amount of a credit that is resettable (bit 3) becomes the preset
    amount. Nothing specified: never. Minutes without power, up to 62 days, are made up for.
  - invoke_credit in states 2 and 3 succeeds and does nothing; in 0 and 4 it is other-reason.
  - update_amount: a sum that is no double-long is other-reason.
Bits 0 (visual indication) and the type are for those who show them. Nothing is allocated.

Hidden state `ledger`: 0 the preset amount was given; 1-4 1 + local minute of the last reset.
"""

from cosem import amounts, calendar, handler, slots
from dlms.prim import copy, fill
from micropython import const

_CURRENT_CREDIT_AMOUNT = const(2)
_CREDIT_TYPE = const(3)
_CREDIT_CONFIGURATION = const(7)
_CREDIT_STATUS = const(8)
_PRESET_CREDIT_AMOUNT = const(9)
_PERIOD = const(11)

_UPDATE_AMOUNT = const(1)
_SET_AMOUNT_TO_VALUE = const(2)
_INVOKE_CREDIT = const(3)

_RESERVED = const(1)
_EMERGENCY = const(2)

_SELECTABLE = const(1)
_SELECTED = const(2)
_IN_USE = const(3)

# The table: from, to, the conditions that matter, and how they have to be. Conditions are 1 spent,
# 2 turn, 4 near, 8 to be confirmed.
_TRANSITIONS = (
    b"\x03\x04\x01\x01"  # D
    b"\x03\x00\x02\x00"  # H
    b"\x04\x00\x01\x00"  # E
    b"\x00\x03\x0a\x02"  # I
    b"\x00\x01\x0c\x0c"  # A
    b"\x00\x02\x0c\x04"  # J
    b"\x01\x00\x04\x00"  # F
    b"\x02\x03\x02\x02"  # C
    b"\x02\x00\x04\x00"  # G
)
_TRANSITION_LEN = const(4)

_GIVEN = const(0)

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)


class Handler(handler.Handler):
    def check(self, row, attribute, buf, pos, end):
        good = True
        if attribute == _PRESET_CREDIT_AMOUNT:
            good = buf[pos + 1] < 0x80
        elif attribute == _PERIOD:
            pos += 1
            good = calendar.check_date(buf, pos) >= 0 and calendar.check_time(buf, pos + 5) >= 0
        return _SUCCESS if good else _OTHER_REASON

    def changed(self, row, attribute):
        self._touch()

    def _touch(self):
        account = self.model.handler("account")
        if account is not None:
            account.touch()

    def invoke(self, s, method, buf, pos, end):
        model = self.model
        image = model.image
        row = s.row
        at = model.slot(row, _CURRENT_CREDIT_AMOUNT) + 1
        if method == _UPDATE_AMOUNT:
            if not amounts.add(image, at, buf, pos + 1):
                return _OTHER_REASON
        elif method == _SET_AMOUNT_TO_VALUE:
            copy(image, at, buf, pos + 1, 4)
        elif method == _INVOKE_CREDIT:
            status = slots.octet(model, row, _CREDIT_STATUS)
            if status == _SELECTABLE:
                image[model.slot(row, _CREDIT_STATUS) + 1] = _SELECTED
                give(model, row)
            elif status != _SELECTED and status != _IN_USE:
                return _OTHER_REASON
        else:
            return _OBJECT_UNDEFINED
        self._touch()
        return _SUCCESS


def next_status(status, conditions):
    """What the table makes of a credit_status; -1: it stays."""
    t = _TRANSITIONS
    for k in range(0, len(t), _TRANSITION_LEN):
        if t[k] == status and conditions & t[k + 2] == t[k + 3]:
            return t[k + 1]
    return -1


def give(model, row):
    """The credit is selected: it has its preset amount, once."""
    at = model.state(row, 0) + _GIVEN
    kind = slots.octet(model, row, _CREDIT_TYPE)
    if model.image[at] or (kind != _RESERVED and kind != _EMERGENCY):
        return
    model.image[at] = 1
    preset = slots.source(model, row, _PRESET_CREDIT_AMOUNT)
    pos = slots.offset(model, row, _PRESET_CREDIT_AMOUNT) + 1
    at = model.slot(row, _CURRENT_CREDIT_AMOUNT) + 1
    if amounts.is_less(model.image, at, preset, pos):
        copy(model.image, at, preset, pos, 4)


def configuration(model, row):
    """The octet of credit_configuration: its bit 0 is 0x80."""
    return slots.source(model, row, _CREDIT_CONFIGURATION)[
        slots.offset(model, row, _CREDIT_CONFIGURATION) + 2
    ]


def is_given(model, row):
    """Has it had its preset amount?"""
    return model.image[model.state(row, 0) + _GIVEN] != 0


def clear(model, row):
    """A new account begins: no amount, enabled, nothing given. Nothing is allocated."""
    slots.clear_value(model, row, _CURRENT_CREDIT_AMOUNT)
    slots.clear_value(model, row, _CREDIT_STATUS)
    fill(model.image, model.state(row, 0), 5, 0)
