# SPDX-License-Identifier: MIT
"""Communication port protection (class 124, version 0; IEC 62056-6-2, 4.4.12): closes a port under
attack. dlms/guard.py counts the attempts and asks here; the links ask it.

    protection_mode 0  locked: the port hears nobody, until a client on another port opens it
                    1  locked on failed attempts: when more have failed than are allowed, it is
                       locked for initial_lockout_time, then by each further one for
                       steepness_factor times as long, up to max_lockout_time (seconds)
                    2  unlocked: attempts are counted, and that is all
    protection_status  0 unlocked, 1 temporarily locked, 2 locked

Public sources give names, types, and these values; those of protection_status are less certain
than the rest. Project-defined: a failed attempt is what guard.py says, for protected APDUs within
an association prove nothing about an attack; a steepness_factor of 0 is 1; failed_attempts get
lower by those of a client that succeeds in the end, and 0 by reset, which unlocks the port too;
cumulative_failed_attempts only grow. A port has one protection, the first that names its setup
object. Locked means that octets are dropped and connections are closed; temporarily locked, that
this holds for whoever has no association with a secret or key open there: those go on.

The hidden state `lockout` is the seconds that are left. Nothing is allocated after the start.
"""

from cosem import slots
from cosem.handler import Handler as Base
from dlms.axdr import put_u32
from dlms.guard import lockout
from dlms.prim import compare
from micropython import const

_PROTECTION_MODE = const(2)
_ALLOWED_FAILED_ATTEMPTS = const(3)
_INITIAL_LOCKOUT_TIME = const(4)
_STEEPNESS_FACTOR = const(5)
_MAX_LOCKOUT_TIME = const(6)
_PORT_REFERENCE = const(7)
_PROTECTION_STATUS = const(8)
_FAILED_ATTEMPTS = const(9)
_CUMULATIVE_FAILED_ATTEMPTS = const(10)

_RESET = const(1)

_LOCKOUT = const(0)  # number of the hidden state

_MODE_LOCKED = const(0)
_MODE_ON_FAILED_ATTEMPTS = const(1)

_UNLOCKED = const(0)
_TEMPORARILY_LOCKED = const(1)
_LOCKED = const(2)

_MOST = const(0x3FFFFFFF)  # counts stop here, as slots.unsigned32() does

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)


class Handler(Base):
    """on_change() is called when the status of a port may be another one: guard.py's."""

    def __init__(self, model):
        Base.__init__(self, model)
        self.rows = []
        self.on_change = None

    def start(self, row):
        self.rows.append(row)
        self._settle(row)

    # --- What guard.py asks -------------------------------------------------------------------

    def find(self, setup):
        """Row of the protection whose port_reference names the object at row setup, or -1."""
        model = self.model
        for row in self.rows:
            buf = slots.source(model, row, _PORT_REFERENCE)
            at = slots.offset(model, row, _PORT_REFERENCE) + 2
            if compare(buf, at, model.objects, (setup << 4) + 2, 6) == 0:
                return row
        return -1

    def status(self, row):
        mode = slots.octet(self.model, row, _PROTECTION_MODE)
        if mode == _MODE_LOCKED:
            return _LOCKED
        if mode == _MODE_ON_FAILED_ATTEMPTS and self._left(row):
            return _TEMPORARILY_LOCKED
        return _UNLOCKED

    def failed(self, row):
        """An attempt has failed."""
        model = self.model
        self._add(row, _CUMULATIVE_FAILED_ATTEMPTS, 1)
        n = self._add(row, _FAILED_ATTEMPTS, 1)
        if slots.octet(model, row, _PROTECTION_MODE) == _MODE_ON_FAILED_ATTEMPTS:
            self._lock(
                row,
                lockout(
                    n,
                    slots.long_unsigned(model, row, _ALLOWED_FAILED_ATTEMPTS),
                    slots.double_long_unsigned(model, row, _INITIAL_LOCKOUT_TIME),
                    slots.octet(model, row, _STEEPNESS_FACTOR),
                    slots.double_long_unsigned(model, row, _MAX_LOCKOUT_TIME),
                ),
            )

    def passed(self, row, n):
        """A client has succeeded, after n attempts that failed."""
        self._add(row, _FAILED_ATTEMPTS, -n)

    def pass_time(self, seconds):
        """Seconds have passed; False: no lock is running."""
        running = False
        for row in self.rows:
            left = self._left(row)
            if left:
                running = True
                self._lock(row, left - seconds if left > seconds else 0)
        return running

    # --- The object ---------------------------------------------------------------------------

    def changed(self, row, attribute):
        self._settle(row)

    def invoke(self, s, method, buf, pos, end):
        if method != _RESET:
            return _OBJECT_UNDEFINED
        self._add(s.row, _FAILED_ATTEMPTS, -_MOST)
        self._lock(s.row, 0)
        return _SUCCESS

    def _left(self, row):
        return slots.unsigned32(self.model.image, self.model.state(row, _LOCKOUT))

    def _lock(self, row, seconds):
        put_u32(self.model.image, self.model.state(row, _LOCKOUT), seconds)
        self._settle(row)

    def _settle(self, row):
        """Show the status, and let those know who go by it."""
        model = self.model
        model.image[model.slot(row, _PROTECTION_STATUS) + 1] = self.status(row)
        if self.on_change is not None:
            self.on_change()

    def _add(self, row, attribute, n):
        """Add to a counter; its new value, 0 to _MOST."""
        model = self.model
        n += slots.double_long_unsigned(model, row, attribute)
        n = 0 if n < 0 else _MOST if n > _MOST else n
        put_u32(model.image, model.slot(row, attribute) + 1, n)
        return n
