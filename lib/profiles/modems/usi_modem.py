# SPDX-License-Identifier: MIT
"""A modem that speaks USI (usi.py): one request at a time, how it is started, watched, and started
again.

    OFF -> LOW (its reset pin is) -> BOOT -> what the driver does -> ... RUN
           ^---------- _fault(): no answer

It stays LOW for longer each time that it does not come to RUN. A request that is not answered is
sent again where that does no harm. The modem's attributes (the PIB of PRIME, the IB of G3) can be
read and written beside the data:

    read(id, index), write(id, index, buf, pos, end)   1: taken, 0: busy, -1: never
    value_state     0 nothing was asked, 1 it is under way, 2 done, 3 refused, or no answer
    value[:value_len]  octets as they came, high octet first, until the next read()
"""

from dlms.prim import copy
from micropython import const
from profiles.modems import more
from profiles.modems.usi import USI

_MODEM_CONFIRM = const(4)
_MODEM_FAULT = const(5)

_OFF = const(0)
_LOW = const(1)
_BOOT = const(2)
_FIRST = const(3)  # of the driver's own

_OK = const(0)
_NO_ANSWER = const(4)

_VALUE_UNDER_WAY = const(1)
_VALUE_DONE = const(2)
_VALUE_REFUSED = const(3)

_MESSAGES = const(4)  # that one poll takes at most
_LOW_MS = const(10)
_MIN_WAIT_MS = const(1000)
_MAX_WAIT_MS = const(32000)
_TICKS_MASK = const(0x3FFFFFFF)


class USIModem:
    """Counts, beside those of `usi`: n_sent, n_ok (data that has come), n_late (answers that
    nobody waits for), n_stray (messages that are not known), n_retries, n_no_answer, n_refused,
    n_faults."""

    boot_ms = 0  # from the end of a reset on

    def __init__(self, uart, reset, protocol, size, value_len):
        """reset: a pin, or None. size: the longest message; value_len: the longest attribute."""
        self.usi = USI(uart, protocol, size)
        self.reset_pin = reset
        self.buf = self.usi.rx
        self.pos = self.end = 0
        self.source = self.destination = self.options = self.status = 0
        self.quality = -1
        self.is_up = False
        self._phase = _OFF
        self._phase_ms = 0
        self._pause_ms = 0
        self._wait_ms = _MIN_WAIT_MS
        self._asked = self._answer = -1  # the command under way, and the one that answers it
        self._asked_n = self._tries = 0
        self._since_ms = self._limit_ms = 0
        self._data = bytearray(size)
        self._data_end = 0
        self._waiting = False  # _data[:_data_end] is not yet confirmed
        self._later = self._later_status = 0
        self._doubt = False  # it has not answered: before anything else, see whether it is there
        self._watching = False  # that is what it is asked
        self.value = bytearray(value_len)
        self.value_len = self.value_state = 0
        self._value_id = self._value_index = 0
        self._value_writes = False
        self.n_sent = self.n_ok = self.n_late = self.n_stray = 0
        self.n_retries = self.n_no_answer = self.n_refused = self.n_faults = 0

    # --- What a driver says ---------------------------------------------------------------------

    def _next(self, now_ms):
        """No request is under way: begin one, if there is one; returns an event."""
        return 0

    def _answers(self, asked, pos, end):
        """Is the message, with buf[pos:end] behind its command, the answer to what was asked, and
        not to something before?"""
        return True

    def _came(self, command, pos, end, now_ms):
        """A message that answers nothing, with buf[pos:end] behind its command; event."""
        return 0

    def _done(self, asked, result, pos, end, now_ms):
        """The request `asked` has come to its end: result 0, buf[pos:end] is the answer; 4: there
        is none. Event."""
        return 0

    # --- The modem ------------------------------------------------------------------------------

    def open(self, now_ms):
        self.usi.reset()
        self._asked = self._answer = -1
        self._later = 0
        self.is_up = self._waiting = False
        self._doubt = self._watching = False
        if self.value_state == _VALUE_UNDER_WAY:
            self.value_state = _VALUE_REFUSED
        if self.reset_pin is not None:
            self.reset_pin(0)
        self._enter(_LOW, now_ms)

    def _enter(self, phase, now_ms):
        self._phase = phase
        self._phase_ms = now_ms

    def _passed(self, now_ms):
        """Milliseconds in this phase."""
        return (now_ms - self._phase_ms) & _TICKS_MASK

    def _fault(self, now_ms):
        """Something is wrong with it: start again, after a pause that grows."""
        if not self.is_up and self.n_faults and self._wait_ms < _MAX_WAIT_MS:
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

    def _runs(self):
        """It has come to RUN, or at least it answers."""
        self._wait_ms = _MIN_WAIT_MS

    def _confirm(self, status):
        self._waiting = False
        self.status = status
        if status == _OK:
            self.n_sent = more(self.n_sent)
        else:
            self.n_refused = more(self.n_refused)
        return _MODEM_CONFIRM

    def poll(self, now_ms):
        if self._later:
            event = self._later
            self._later = 0
            self.status = self._later_status
            return event
        usi = self.usi
        left = _MESSAGES
        while left and usi.poll():
            left -= 1
            command = self.buf[2]
            if command == self._answer and self._answers(self._asked, 3, usi.end):
                asked = self._asked
                self._asked = self._answer = -1
                event = self._done(asked, _OK, 3, usi.end, now_ms)
            else:
                event = self._came(command, 3, usi.end, now_ms)
            if event:
                return event
        if self._asked >= 0:
            if (now_ms - self._since_ms) & _TICKS_MASK < self._limit_ms:
                return 0
            if self._tries > 1:
                self._tries -= 1
                self.n_retries = more(self.n_retries)
                self._since_ms = now_ms
                usi.reset()
                usi.send(self._asked_n)
                return 0
            asked = self._asked
            self._asked = self._answer = -1
            usi.reset()
            self.n_no_answer = more(self.n_no_answer)
            return self._done(asked, _NO_ANSWER, 0, 0, now_ms)
        phase = self._phase
        if phase >= _FIRST:
            return self._next(now_ms)
        if phase == _LOW:
            passed = self._passed(now_ms)
            if passed >= _LOW_MS and passed >= self._pause_ms:
                if self.reset_pin is not None:
                    self.reset_pin(1)
                self._enter(_BOOT, now_ms)
        elif phase == _BOOT and self._passed(now_ms) >= self.boot_ms:
            self._enter(_FIRST, now_ms)
        return 0

    def _request(self, command, end, answer, limit_ms, tries, now_ms):
        """Send the message command, usi.tx[3:end]. answer: the command that answers it; limit_ms:
        so long it may take; tries: how often it is sent at most."""
        self.usi.tx[2] = command
        self._asked = command
        self._answer = answer
        self._asked_n = end - 2
        self._tries = tries
        self._since_ms = now_ms
        self._limit_ms = limit_ms
        self.usi.send(end - 2)

    # --- Attributes -----------------------------------------------------------------------------

    def read(self, attribute, index=0):
        if self._phase < _FIRST or self.value_state == _VALUE_UNDER_WAY:
            return 0
        self._value_id = attribute
        self._value_index = index
        self._value_writes = False
        self.value_state = _VALUE_UNDER_WAY
        return 1

    def write(self, attribute, index, buf, pos, end):
        if not 0 < end - pos <= len(self.value):
            return -1
        if not self.read(attribute, index):
            return 0
        self._value_writes = True
        self.value_len = end - pos
        copy(self.value, 0, buf, pos, end - pos)
        return 1

    def _value_came(self, pos, n):
        """n octets at buf[pos:] are the value that was asked for; n < 0: refused."""
        if n < 0 or n > len(self.value):
            self.value_state = _VALUE_REFUSED
            return
        if not self._value_writes:
            copy(self.value, 0, self.buf, pos, n)
            self.value_len = n
        self.value_state = _VALUE_DONE
