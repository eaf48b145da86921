# SPDX-License-Identifier: MIT
"""Token gateway (class_id 115, version 0; IEC 62056-6-2, 4.6.5): payments that come as tokens.

What a token is, the scheme says that the firmware hands in, model.tokens: a function (row of the
object, octets of the token) -> (status_code, amount, identifier, description), in ticks:

    status_code  2 it is good, 4 its form is wrong, 5 its authentication, 6 it is not for this
                 meter or not now
    amount       in the amounts of the account, above 0
    identifier   0 to 2**63 - 1, another one for each token; later tokens have higher ones
    description  a list of octet-strings, for token_description

None: this meter takes no tokens, and `enter` is object-unavailable.

`enter` keeps the token, with status 8 (received), and is a success; a second one before the first
has its result is temporary-failure, one that is empty or too long other-reason. With the next
second the token is checked, and paid to the account (accounting.py) whose D is less by 40. When
that is saved the result is shown: 3; 4, 5 or 6 as above; 6, too, for an identifier that was used;
7 if the account is not active, no credit can take it, or it cannot be saved, and then nothing has
happened. The 16 highest identifiers are remembered, and when there are so many, one below all of
these counts as used. So no token is taken twice, over power failures too.

A result is captured by the Profile generic 0.b.99.17.e (token transfer log), if it is 3 by
0.b.99.15.e (token credit history) too, where there are such; e is the D of the account. A power
failure in between may make two rows of one, not none.

Uncertain, and so project-defined: all that; status codes 0 to 2 are not shown, as they say less
than 3; data_value has no bits; token_delivery_method is 1 (local) by a local port, whose setup
object is of class 19; 0 (remote) by all other links, wherever the client is, and from a script;
and what the firmware says for tokens that it enters itself (Handler.enter(): 2 manual). `enter`
allocates nothing.

Hidden state `ledger`: 0 a token waits (1), or its result for the log (2); 1 spare; 2 how many
identifiers; 3.. 8 octets each, in no order.
"""

from cosem import amounts, handler, slots
from cosem.slots import set_len
from dlms.axdr import length_size
from dlms.prim import copy
from micropython import const

_TOKEN = const(2)
_TOKEN_TIME = const(3)
_TOKEN_DESCRIPTION = const(4)
_TOKEN_DELIVERY_METHOD = const(5)
_TOKEN_STATUS = const(6)

_ENTER = const(1)

_REMOTE = const(0)
_LOCAL = const(1)
_LOCAL_PORT_SETUP = const(19)

# status_code, and where it is: 02 02 16 status_code 04 0.
_VALIDATED = const(2)
_EXECUTED = const(3)
_INVALID = const(6)
_NOT_EXECUTED = const(7)
_RECEIVED = const(8)
_STATUS_AT = const(3)

_STATE = const(0)
_N_USED = const(2)
_USED = const(3)
_USED_LEN = const(8)
_MOST_USED = const(16)

# What a token is in, of the ledger.
_NONE = const(0)
_WAITS = const(1)
_TO_LOG = const(2)

_LOG = b"\x00\x07\x00\x00\x63\x11\x00\xff"  # a Profile generic, 0.b.99.17.e
_HISTORY = const(15)  # its D, of the token credit history
_B_AT = const(3)
_CAPTURE = const(2)
_ZERO = b"\x0f\x00"

_ACCOUNT = const(111)
_D_AT = const(5)  # in class_id and logical_name
_E_AT = const(6)
_FROM_ACCOUNT = const(40)  # what the D of a gateway is more than that of its account

_SUCCESS = const(0)
_TEMPORARY_FAILURE = const(2)
_OBJECT_UNDEFINED = const(4)
_OBJECT_UNAVAILABLE = const(11)
_OTHER_REASON = const(250)


class Handler(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.rows = []
        self._busy = True  # a token waits, or its result

    def start(self, row):
        self.rows.append(row)

    def invoke(self, s, method, buf, pos, end):
        if method != _ENTER:
            return _OBJECT_UNDEFINED
        a = s.association
        setup = -1 if a is None else a.channel.gate.setup
        local = setup >= 0 and self.model.class_id(setup) == _LOCAL_PORT_SETUP
        return self.enter(s.row, buf, pos, end, _LOCAL if local else _REMOTE)

    def enter(self, row, buf, pos, end, delivery_method):
        """Take the token buf[pos:end], an octet-string; action_result."""
        model = self.model
        image = model.image
        if model.tokens is None:
            return _OBJECT_UNAVAILABLE
        ledger = model.state(row, 0)
        if image[ledger + _STATE]:
            return _TEMPORARY_FAILURE
        n = end - pos
        if n <= 2 or n > model.capacity(row, _TOKEN):
            return _OTHER_REASON
        at = model.slot(row, _TOKEN)
        copy(image, at, buf, pos, n)
        set_len(image, at, n)
        slots.put_now(model, row, _TOKEN_TIME, model.handler("clock"))
        self._describe(row, b"")
        image[model.slot(row, _TOKEN_DELIVERY_METHOD) + 1] = delivery_method
        image[model.slot(row, _TOKEN_STATUS) + _STATUS_AT] = _RECEIVED
        image[ledger + _STATE] = _WAITS
        self._busy = True
        return _SUCCESS

    def tick(self, now):
        if not self._busy:
            return
        self._busy = False
        model = self.model
        for row in self.rows:
            at = model.state(row, 0) + _STATE
            if model.image[at] == _WAITS:
                if model.tokens is None:
                    self._busy = True
                    continue
                self._process(row)
            if model.image[at] == _TO_LOG:
                self._log(row)
                model.image[at] = _NONE
                model.edited(row, 0)

    def _process(self, row):
        """Check the token that waits, and pay it."""
        model = self.model
        at = model.slot(row, _TOKEN)
        octets = bytes(model.image[at : at + model.value_len(row, _TOKEN)])
        octets = octets[1 + length_size(octets, 1) :]
        code, amount, identifier, description = model.tokens(row, octets)
        self._describe(row, description)
        if code == _VALIDATED:
            code = self._pay(row, amount, identifier)
        self._show(row, code)

    def _show(self, row, code):
        image = self.model.image
        image[self.model.slot(row, _TOKEN_STATUS) + _STATUS_AT] = code
        image[self.model.state(row, 0) + _STATE] = _TO_LOG

    def _pay(self, row, amount, identifier):
        """Pay a good token, if that can be saved; its status_code."""
        model = self.model
        if self._is_used(row, identifier):
            return _INVALID
        account = self._account(row)
        if account is None:
            return _NOT_EXECUTED
        try:
            before = bytes(model.image)
        except MemoryError:
            return _NOT_EXECUTED
        if account.pay(amount):
            self._use(row, identifier)
            self._show(row, _EXECUTED)
            if model.save is None or model.save():
                return _EXECUTED
            model.image[:] = before
            account.touched = True
        return _NOT_EXECUTED

    def _log(self, row):
        model = self.model
        device = slots.device_of(model, row)
        key = bytearray(_LOG)
        key[_B_AT] = model.objects[(row << 4) + _B_AT]
        key[_E_AT] = model.objects[(row << 4) + _D_AT] - _FROM_ACCOUNT & 0xFF
        status = model.image[model.slot(row, _TOKEN_STATUS) + _STATUS_AT]
        for _ in range(2 if status == _EXECUTED else 1):
            log = model.find(device, key, 0)
            if log >= 0:
                model.act(log, _CAPTURE, _ZERO, 0, 2)
            key[_D_AT] = _HISTORY

    def _account(self, row):
        """The Accounting of the account that this gateway is of, or None."""
        model = self.model
        handler = model.handler("account")
        at = row << 4
        key = bytearray(model.objects[at : at + 8])
        if handler is None or key[_D_AT] < _FROM_ACCOUNT:
            return None
        key[1] = _ACCOUNT
        key[_D_AT] -= _FROM_ACCOUNT
        key[_E_AT] = 0
        found = model.find(slots.device_of(model, row), key, 0)
        for account in handler.accounts:
            if account.row == found:
                return account
        return None

    def _describe(self, row, description):
        """token_description becomes these octet-strings, as many as there is room for."""
        model = self.model
        image = model.image
        at = model.slot(row, _TOKEN_DESCRIPTION)
        size = 2
        image[at + 1] = 0
        for text in description:
            n = len(text)
            if n > 127 or size + 2 + n > model.capacity(row, _TOKEN_DESCRIPTION):
                break
            image[at + size] = 0x09
            image[at + size + 1] = n
            copy(image, at + size + 2, text, 0, n)
            image[at + 1] += 1
            size += 2 + n
        set_len(image, at, size)

    # --- Identifiers ------------------------------------------------------------------------

    def _used(self, row):
        image = self.model.image
        ledger = self.model.state(row, 0)
        at = ledger + _USED
        return [amounts.get(image, at + _USED_LEN * k, 8) for k in range(image[ledger + _N_USED])]

    def _is_used(self, row, identifier):
        used = self._used(row)
        return identifier in used or (len(used) == _MOST_USED and identifier < min(used))

    def _use(self, row, identifier):
        """Remember an identifier, instead of the lowest one where there is no room."""
        image = self.model.image
        used = self._used(row)
        k = len(used)
        if k == _MOST_USED:
            k = used.index(min(used))
        else:
            image[self.model.state(row, 0) + _N_USED] += 1
        at = self.model.state(row, 0) + _USED + _USED_LEN * k
        amounts.put(image, at, _USED_LEN, identifier)
