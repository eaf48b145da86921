# SPDX-License-Identifier: MIT
"""A modem that speaks local frames (stx.py): how it is started, watched, and started again.

    OFF -> LOW (its reset pin is) -> BOOT -> SETUP -> RUN
           ^---------- _fault(): no answer, or a wrong one

It stays LOW for longer each time that it does not come to RUN. One that is idle in RUN is asked
how it is each 10 s. A driver says what is to be sent (_setup, _next_request) and takes what comes
(_status, _frame, _done). Nothing is allocated beside the buffers of stx.py.
"""

from micropython import const
from profiles.modems import more
from profiles.modems.stx import Exchange

_MODEM_CONFIRM = const(4)
_MODEM_FAULT = const(5)
_NO_ANSWER = const(4)

_OFF = const(0)
_LOW = const(1)
_BOOT = const(2)
_SETUP = const(3)
_RUN = const(4)

_WATCH_MS = const(10000)
_MIN_WAIT_MS = const(1000)
_MAX_WAIT_MS = const(32000)
_TICKS_MASK = const(0x3FFFFFFF)


class LocalModem(Exchange):
    """Counts beside what Exchange does: n_faults."""

    reset_command = 0  # what resets it, if there is no pin
    low_ms = 10  # for how long that pin is low

    def __init__(self, uart, t_req, reset):
        """reset: a pin, or None."""
        Exchange.__init__(self, uart, t_req)
        self.reset_pin = reset
        self.is_up = False
        self._phase = _OFF
        self._phase_ms = 0
        self._pause_ms = 0  # for which it stays low, if that is longer
        self._wait_ms = _MIN_WAIT_MS
        self._waiting = False  # send() has taken something that is not yet confirmed
        self.n_faults = 0

    # --- What a driver says ---------------------------------------------------------------------

    def _boot(self, passed_ms, now_ms):
        """Called in BOOT: is it time for SETUP?"""
        return True

    def _setup(self, now_ms):
        """Begin what has to be said to a modem that was reset; _done() goes on with it."""

    def _next_request(self, now_ms):
        """Nothing is under way: begin a request; False: there is none."""
        return False

    def _done(self, asked, result, command, pos, end, now_ms):
        """The command that was asked has come to its end (0: how it is), by `command`, with the
        data buf[pos:end]; result 2: it is too busy, 4: no answer, 5: taken, and no answer. Event.
        """
        return 0

    # --- The modem ------------------------------------------------------------------------------

    def open(self, now_ms):
        self._drop()
        self.is_up = self._waiting = False
        if self.reset_pin is not None:
            self.reset_pin(0)
        self._enter_phase(_LOW, now_ms)

    def _enter_phase(self, phase, now_ms):
        self._phase = phase
        self._phase_ms = now_ms

    def _fault(self, now_ms):
        """Something is wrong with it: start again, after a pause that grows."""
        if self._phase != _RUN and self.n_faults and self._wait_ms < _MAX_WAIT_MS:
            self._wait_ms *= 2
        self._pause_ms = self._wait_ms
        self.n_faults = more(self.n_faults)
        waiting = self._waiting
        self.open(now_ms)
        self.status = _NO_ANSWER
        if not waiting:
            return _MODEM_FAULT
        self._later = _MODEM_FAULT
        self._later_status = _NO_ANSWER
        return _MODEM_CONFIRM

    def _runs(self, now_ms):
        """It has been set up."""
        self._wait_ms = _MIN_WAIT_MS
        self._enter_phase(_RUN, now_ms)

    def _next(self, now_ms):
        phase = self._phase
        if phase == _RUN:
            if not self._next_request(now_ms):
                if (now_ms - self._phase_ms) & _TICKS_MASK >= _WATCH_MS:
                    self._phase_ms = now_ms
                    self._ask_status(now_ms)
            return
        passed = (now_ms - self._phase_ms) & _TICKS_MASK
        if phase == _LOW:
            if passed >= self.low_ms and passed >= self._pause_ms:
                self._enter_phase(_BOOT, now_ms)
                if self.reset_pin is not None:
                    self.reset_pin(1)
                else:
                    self._request(self.reset_command, 0, -1, -1, 0, now_ms)
        elif phase == _BOOT:
            # The command may not have been answered: it shows later whether it was heard.
            if self._boot(passed, now_ms):
                self._enter_phase(_SETUP, now_ms)
        elif phase == _SETUP:
            self._setup(now_ms)

    def _ended(self, result, command, pos, end, now_ms):
        asked = self._asked
        self._asked = 0
        if self._phase == _BOOT:
            return 0
        return self._done(asked, result, command, pos, end, now_ms)
