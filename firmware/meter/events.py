# SPDX-License-Identifier: MIT
"""What a meter notes about itself: event codes, event logs, counters, alarm and error registers.

An event sets the event code object of its log and captures the log, a Profile generic that has
this object among its capture_objects. Codes and bits are the project's choice: numbers that
companion specifications of European meters commonly use, where those have one. A bit of the
alarm register is set if the alarm filter (E + 10) has it, and then in the alarm descriptor
(E + 20) too, where the definition has these objects.

    standard        1 power down, 2 power up, 3 daylight saving begins or ends, 4 clock set (the
                    old time is logged), 5 clock set (the new time), 6 clock invalid, 9 calendar
                    activated, 10 error register cleared, 11 alarm register cleared,
                    12 program memory error, 13 RAM error, 14 non-volatile memory error,
                    15 watchdog, 16 measurement error, 17 firmware ready, 18 firmware activated,
                    47 configuration changed, 48 global key changed, 51 firmware verification
                    failed, and why: 100 image truncated, 101 damaged, 102 wrongly signed,
                    103 not newer, 104 for another runtime; 105 new firmware did not come up:
                    the one of before runs again; 254 load profile cleared, 255 event log cleared
    fraud           40/41 terminal cover off/on, 42/43 strong field begins/ends, 44/45 meter cover
                    off/on, 46 association authentication failed, 49 deciphering failed,
                    50 replayed invocation counter, 91 current reversed
    disconnect      59 ready for reconnection, 60/61 manual, 62/63 remote, 64/69 local
                    disconnection and reconnection, 65/66 limit exceeded/kept again, 67 limit
                    changed, 68 disconnector failed, 70..75 supervision of currents
    power_quality   76..78 voltage low on L1..L3, 79..81 high, 82..84 missing, 85..87 normal again,
                    88 phases reversed, 89 neutral missing, 90 asymmetry, 92..94 bad quality
    communication   140..159: 140 no connection, 141 modem failure, 144 registration failed, ...

later() may be called on the path of a request and allocates nothing; note() captures at once.
"""

from micropython import const

_LOGS = "standard fraud disconnect power_quality communication"
_STANDARD = const(0)
_FRAUD = const(1)
_DISCONNECT = const(2)
_POWER_QUALITY = const(3)
_COMMUNICATION = const(4)
_N_LOGS = const(5)

_MEMORY_ERROR = const(14)
_VOLTAGE_LOW = const(76)
_VOLTAGE_HIGH = const(79)
_VOLTAGE_MISSING = const(82)
_VOLTAGE_NORMAL = const(85)

# Limits of the voltage in 0.1 V where the definition has no objects with them (1.0.12.31.0 sag,
# 1.0.12.35.0 swell, 1.0.12.39.0 missing): ten per cent (EN 50160); missing below half.
_LOW = const(2070)
_HIGH = const(2530)
_MISSING = const(1150)
_NONE = const(0xFF)

# Events that wait for the next second. More than that within a second are counted, not logged.
_N_WAITING = const(16)

_VALUE = const(2)
_CAPTURE = const(2)
_ZERO = b"\x0f\x00"

# Bits of the error and alarm registers by event code.
_CODES = b"\x06\x07\x0c\x0d\x0e\x10\x0f"
_BITS = b"\x00\x01\x08\x09\x0a\x0b\x0c"
_FRAUD_BIT = const(13)


def log_of(code):
    """Number of the log that an event belongs in."""
    if 40 <= code <= 46 or code == 49 or code == 50 or code == 91:
        return _FRAUD
    if 59 <= code <= 75:
        return _DISCONNECT
    if 76 <= code <= 94:
        return _POWER_QUALITY
    if 140 <= code <= 159:
        return _COMMUNICATION
    return _STANDARD


class Events:
    """Logs of one meter. on_event(code), if set, hears of each one after it was captured, and
    on_alarm(row of the alarm descriptor, or register) of each that raises an alarm."""

    on_alarm = None

    def __init__(self, model):
        self.model = model
        self.on_event = None
        # Object and log by number of the log, filter and descriptor of the alarm register: rows
        # that sources.py finds; -1: the definition has none.
        self.objects = [-1] * _N_LOGS
        self.profiles = [-1] * _N_LOGS
        self._waiting = bytearray(_N_WAITING)
        self._n = 0
        self.error_row = -1
        self.alarm_row = -1
        self.filter = -1
        self.descriptor = -1
        # What a new alarm pushes, and the start.
        self.push_row = self.start_row = -1
        # An event could not be captured.
        self.lost = 0
        # Which event the voltage of each phase has brought last; rows of the objects with its
        # limits (sag, swell, missing), FF: there is none. In one piece, for it takes no more room.
        self.voltage = bytearray([_VOLTAGE_NORMAL] * 3 + [_NONE] * 6)
        # Those limits, and the state of the model that they are of.
        self._limits = ()
        self._edits = -1

    def is_log(self, row):
        """Is this profile an event log?"""
        for k in range(_N_LOGS):
            if self.profiles[k] == row:
                return True
        return False

    def later(self, code):
        """Note an event at the next second. Allocates nothing."""
        if self._n < _N_WAITING:
            self._waiting[self._n] = code
            self._n += 1
        else:
            self.lost += 1

    def supervise(self, values):
        """Note when a voltage, one of the first three values, leaves its band or is back in it."""
        if self.objects[_POWER_QUALITY] < 0:
            return
        state = self.voltage
        if self._edits != self.model.edits:
            # A client may have set them; reading them each second would take longer than all else.
            self._edits = self.model.edits
            self._limits = (self._limit(3, _LOW), self._limit(5, _HIGH), self._limit(7, _MISSING))
        low, high, missing = self._limits
        for k in range(3):
            u = values[k]
            code = _VOLTAGE_NORMAL
            if u < missing:
                code = _VOLTAGE_MISSING
            elif u < low:
                code = _VOLTAGE_LOW
            elif u > high:
                code = _VOLTAGE_HIGH
            if code != state[k]:
                state[k] = code
                self.later(code + k)

    def _limit(self, k, otherwise):
        state = self.voltage
        if state[k] == _NONE:
            return otherwise
        return self.model.get_int(state[k] << 8 | state[k + 1], _VALUE)

    def flush(self):
        """Note what later() has kept."""
        k = 0
        while k < self._n:
            self.note(self._waiting[k])
            k += 1
        self._n = 0

    def note(self, code, log=-1):
        """Set the event code object and capture the log; False if that failed."""
        if log < 0:
            log = log_of(code)
        self._raise(code)
        row = self.objects[log]
        if row < 0:
            return True
        self.model.put_int(row, _VALUE, code)
        done = True
        row = self.profiles[log]
        if row >= 0 and self.model.act(row, _CAPTURE, _ZERO, 0, 2):
            self.lost += 1
            done = False
            self._raise(_MEMORY_ERROR)
        if self.on_event is not None:
            self.on_event(code)
        return done

    def note_in(self, log, code):
        """note() in a log by its name."""
        return self.note(code, _LOGS.split().index(log))

    def _raise(self, code):
        """Set the bit of an event in the error and alarm registers."""
        bit = _CODES.find(bytes((code,)))
        if bit >= 0:
            bit = _BITS[bit]
            self._set(self.error_row, bit)
        elif code == 49 or (log_of(code) == _FRAUD and code & 1 == 0):
            bit = _FRAUD_BIT
        else:
            return
        if self.filter < 0 or self._octet(self.filter, bit) & 1 << (bit & 7):
            row = self.alarm_row if self.descriptor < 0 else self.descriptor
            new = row >= 0 and not self._octet(row, bit) & 1 << (bit & 7)
            self._set(self.alarm_row, bit)
            self._set(self.descriptor, bit)
            if new and self.push_row >= 0:
                self.model.handler("push_setup").push(self.push_row)
            if new and self.on_alarm is not None:
                self.on_alarm(row)

    def _octet(self, row, bit):
        """The octet of a value of 32 bits that has this bit."""
        return self.model.image[self.model.slot(row, _VALUE) + 4 - (bit >> 3)]

    def _set(self, row, bit):
        if row >= 0 and self.model.value_len(row, _VALUE) == 5:
            self.model.image[self.model.slot(row, _VALUE) + 4 - (bit >> 3)] |= 1 << (bit & 7)
