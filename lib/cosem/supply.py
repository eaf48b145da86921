# SPDX-License-Identifier: MIT
"""The supply of an account: disconnected when it is out of credit, and connected again.

Project-defined, as the Book leaves it to a meter:
  - with a Script table 0.b.10.0.106.255 (disconnect control; b is the account's) its script 1
    disconnects and 2 connects, as local causes where they name a Disconnect control; they may ask
    an Arbitrator. 2 is executed once when there is credit again; 1 when it is used up, and then
    each minute until it succeeds and as long as the supply is connected all the same.
  - without one, local_disconnect and local_reconnect of the Disconnect control 0.b.96.3.10.255, or
    of the first there is; each second, so that nobody connects it by hand. Its control_mode says
    what comes of it: in most it is ready for reconnection then, and somebody presses the button.
  - only a supply that the account has disconnected is connected again.
It runs in ticks and may allocate.
"""

from cosem import script_table, slots
from micropython import const

_CLASS_DISCONNECT_CONTROL = const(70)
_SCRIPT_TABLE = b"\x00\x09\x00\x00\x0a\x00\x6a\xff"
_DISCONNECT_CONTROL = b"\x00\x46\x00\x00\x60\x03\x0a\xff"
_B_AT = const(3)  # in class_id and logical_name
# Scripts 1 and 2, as script_logical_name and script_selector.
_SCRIPT = b"\x02\x02\x09\x06\x00\x00\x0a\x00\x6a\xff\x12\x00"
_SCRIPT_B_AT = const(5)

_DISCONNECTED = const(4)  # flag of the ledger of Account


class Supply:
    def __init__(self, model, row, device):
        self.model = model
        self._ledger = model.state(row, 0)
        self._row = row
        self._tried = False  # script 1 was executed in this minute
        self._b = b = model.objects[(row << 4) + _B_AT]
        self._scripts = _find(model, device, _SCRIPT_TABLE, b)
        self._control = _find(model, device, _DISCONNECT_CONTROL, b)
        if self._control < 0:
            for r in model.rows(_CLASS_DISCONNECT_CONTROL):
                if slots.device_of(model, r) == device:
                    self._control = r
                    break

    def is_connected(self):
        if self._control < 0:
            return True
        return self.model.handler("disconnect_control").is_connected(self._control)

    def switch(self, out, new_minute):
        """out: there is to be no supply; new_minute: what has failed may be tried again."""
        model = self.model
        flags = model.image[self._ledger]
        if out == (flags & _DISCONNECTED != 0) and not (out and self.is_connected()):
            return
        if self._scripts >= 0:
            if out and self._tried and not new_minute:
                return
            self._tried = out
            if self._execute(1 if out else 2) and out:
                return
        elif self._control >= 0:
            control = model.handler("disconnect_control")
            if out:
                control.local_disconnect(self._control)
            else:
                control.local_reconnect(self._control)
        model.image[self._ledger] = flags & ~_DISCONNECTED | (_DISCONNECTED if out else 0)

    def _execute(self, selector):
        script = bytearray(_SCRIPT)
        script[_SCRIPT_B_AT] = self._b
        script.append(selector)
        return script_table.run(self.model, self._row, script, 0, True)


def _find(model, device, key, b):
    """Row of the object with this class_id and logical_name, and this B; -1."""
    key = bytearray(key)
    key[_B_AT] = b
    return model.find(device, key, 0)
