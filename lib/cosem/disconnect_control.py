# SPDX-License-Identifier: MIT
"""Disconnect control (class_id 70, version 0; IEC 62056-6-2, 4.5.8).

control_state: 0 disconnected, 1 connected, 2 ready for reconnection. output_state is TRUE in
state 1 only. The transitions of the Book, and which of them each control_mode has:

    a  remote_reconnect   0 -> 1        mode 0  none: always connected
    b  remote_disconnect  1 -> 0             1  b c d e f g
    c  remote_disconnect  2 -> 0             2  a b c e f g
    d  remote_reconnect   0 -> 2             3  b c d e   g
    e  manual_reconnect   2 -> 1             4  a b c e   g
    f  manual_disconnect  1 -> 2             5  b c d e f g h
    g  local_disconnect   1 -> 2             6  b c d e   g h
    h  local_reconnect    2 -> 1

Project-defined: a remote method that asks for what is so already (remote_disconnect in state 0;
remote_reconnect in state 1, or in state 2 where the mode has d) succeeds and does nothing. Any
other pair without a transition is refused: read-write-denied in mode 0, else other-reason. Set to
mode 0 the object goes to state 1. Mode 7 and above are refused: other-reason.

Remote is what a client asks for, by a script too, and what a schedule does. In a script that a
Limiter, Register monitor, Sensor manager or an account (supply.py) executes, remote_disconnect is
transition g, and succeeds in states 0 and 2 too, remote_reconnect is h, and succeeds in state 1
(project-defined: the Book has local causes, and no method for them).

Nothing is allocated. Events have the codes that European companion specifications use.
"""

from cosem import handler, slots
from micropython import const

_OUTPUT_STATE = const(2)
_CONTROL_STATE = const(3)
_CONTROL_MODE = const(4)

_REMOTE_DISCONNECT = const(1)
_REMOTE_RECONNECT = const(2)

_DISCONNECTED = const(0)
_CONNECTED = const(1)
_READY = const(2)

# Causes, in the order of the table.
_BY_REMOTE_RECONNECT = const(0)
_BY_REMOTE_DISCONNECT = const(1)
_BY_MANUAL_RECONNECT = const(2)
_BY_MANUAL_DISCONNECT = const(3)
_BY_LOCAL_DISCONNECT = const(4)
_BY_LOCAL_RECONNECT = const(5)

# A transition: cause, from, to, event. The letters are their places: a is 0.
_TRANSITIONS = (
    b"\x00\x00\x01\x3f"  # a: 63 remote connection
    b"\x01\x01\x00\x3e"  # b: 62 remote disconnection
    b"\x01\x02\x00\x3e"  # c
    b"\x00\x00\x02\x3b"  # d: 59 ready for manual reconnection
    b"\x02\x02\x01\x3d"  # e: 61 manual connection
    b"\x03\x01\x02\x3c"  # f: 60 manual disconnection
    b"\x04\x01\x02\x40"  # g: 64 local disconnection
    b"\x05\x02\x01\x45"  # h: 69 local reconnection
)
_TRANSITION_LEN = const(4)
# By mode, bit 0 for a to bit 7 for h.
_MODES = b"\x00\x7e\x77\x5e\x57\xfe\xde"
_LAST_MODE = const(6)
_D = const(0x08)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)


class Handler(handler.Handler):
    """on_output(row, connected) drives the relay: at boot, and whenever the output changes.

    It is called in the request too and must not allocate.
    """

    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self.rows = []
        self.on_output = None

    def start(self, row):
        self.rows.append(row)
        state = slots.octet(self.model, row, _CONTROL_STATE)
        if slots.octet(self.model, row, _CONTROL_MODE) == 0:
            state = _CONNECTED
        self._put_state(row, state)

    # --- Causes -----------------------------------------------------------------------------

    def manual_reconnect(self, row):
        """The customer has pressed the button (or moved the lever); True if something happened."""
        return self._happen(row, _BY_MANUAL_RECONNECT)

    def manual_disconnect(self, row):
        return self._happen(row, _BY_MANUAL_DISCONNECT)

    def local_disconnect(self, row):
        """A function of the meter (limiter, prepayment) wants the supply off."""
        return self._happen(row, _BY_LOCAL_DISCONNECT)

    def local_reconnect(self, row):
        return self._happen(row, _BY_LOCAL_RECONNECT)

    def is_connected(self, row):
        return slots.octet(self.model, row, _CONTROL_STATE) == _CONNECTED

    def invoke(self, s, method, buf, pos, end):
        row = s.row
        scripts = self.model.handler("script_table")
        local = scripts is not None and scripts.local
        if method == _REMOTE_DISCONNECT:
            cause = _BY_LOCAL_DISCONNECT if local else _BY_REMOTE_DISCONNECT
        elif method == _REMOTE_RECONNECT:
            cause = _BY_LOCAL_RECONNECT if local else _BY_REMOTE_RECONNECT
        else:
            return _OBJECT_UNDEFINED
        mode = slots.octet(self.model, row, _CONTROL_MODE)
        state = slots.octet(self.model, row, _CONTROL_STATE)
        if mode == 0 or mode > _LAST_MODE:
            return _READ_WRITE_DENIED
        if self._move(row, cause):
            return _SUCCESS
        if method == _REMOTE_DISCONNECT:
            done = state == _DISCONNECTED or (local and state == _READY)
        else:
            done = state == _CONNECTED or (not local and state == _READY and _MODES[mode] & _D)
        return _SUCCESS if done else _OTHER_REASON

    def _happen(self, row, cause):
        if not self._move(row, cause):
            return False
        self.model.edited(row, _CONTROL_STATE)
        return True

    def _move(self, row, cause):
        """Take the transition that this cause has in this mode and state, if there is one."""
        model = self.model
        mode = slots.octet(model, row, _CONTROL_MODE)
        if mode > _LAST_MODE:
            return False
        state = slots.octet(model, row, _CONTROL_STATE)
        allowed = _MODES[mode]
        t = 0
        while allowed:
            if allowed & 1 and _TRANSITIONS[t] == cause and _TRANSITIONS[t + 1] == state:
                self._put_state(row, _TRANSITIONS[t + 2])
                if model.event is not None:
                    model.event(_TRANSITIONS[t + 3])
                return True
            allowed >>= 1
            t += _TRANSITION_LEN
        return False

    def _put_state(self, row, state):
        model = self.model
        at = model.slot(row, _CONTROL_STATE)
        if at >= 0:
            model.image[at + 1] = state
        at = model.slot(row, _OUTPUT_STATE)
        if at >= 0:
            model.image[at + 1] = 1 if state == _CONNECTED else 0
        if self.on_output is not None:
            self.on_output(row, state == _CONNECTED)

    # --- Attributes -------------------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        if attribute == _CONTROL_MODE and buf[pos + 1] > _LAST_MODE:
            return _OTHER_REASON
        return _SUCCESS

    def changed(self, row, attribute):
        model = self.model
        if attribute == _CONTROL_MODE and slots.octet(model, row, _CONTROL_MODE) == 0:
            if not self.is_connected(row):
                self._put_state(row, _CONNECTED)
