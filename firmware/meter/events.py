# SPDX-License-Identifier: MIT
"""What a meter notes about itself: event codes, event logs, counters, alarm and error registers.

An event sets the event code object of its log and captures the log, a Profile generic that has
this object among its capture_objects. Codes and bits are the project's choice: numbers that
companion specifications of European meters commonly use, where those have one (uncertain: bits of
the second register). A bit of an alarm register is set if its alarm filter (E + 10) has it, and
then in its alarm descriptor (E + 20) too, where the definition has these objects.

    standard        1 power down, 2 power up, 3 daylight saving begins or ends, 4 clock set (the
                    old time is logged), 5 clock set (the new time), 6 clock invalid, 9 calendar
                    activated, 10 error register cleared, 11 alarm register cleared,
                    13 RAM error, 14 non-volatile memory error,
                    15 watchdog, 16 measurement error, 17 firmware ready, 18 firmware activated,
                    47 configuration changed, 48 global key changed, 51 firmware verification
                    failed, and why: 100 image truncated, 101 damaged, 102 wrongly signed,
                    103 not newer, 104 for another runtime; 105 new firmware did not come up:
                    the one of before runs again; 254 load profile cleared, 255 event log cleared
    fraud           40/41 terminal cover off/on, 42/43 strong field begins/ends, 44/45 meter cover
                    off/on, 46 association authentication failed, 49 deciphering failed,
                    50 replayed invocation counter, 91 current reversed: more export than allowed
    disconnect      59 ready for reconnection, 60/61 manual, 62/63 remote, 64/69 local
                    disconnection and reconnection, 65/66 limit exceeded/kept again, 67 limit
                    changed, 68 disconnector failed: current in spite of it, 70/71, 72/73, 74/75
                    current of L1, L2, L3 too high/no longer
    power_quality   76..78 voltage low on L1..L3, 79..81 high, 82..84 missing, 85..87 normal again,
                    88 phases reversed, 89 neutral missing, 90 asymmetry, 92..94 a week of bad
                    quality on L1..L3
    communication   140 no connection: what was to be sent is given up, 158 local communication

Where those come from that are not of a class of the standard:

    1, 2      power_up.py; the orderly end, a power-fail signal (running.py)
    6         a start whose clock has not run on, and nobody has said the time
    13        no room on the heap for what an instant had to do
    15        the chip says so of its last reset (ports/cause.py); never on an RP2040, whose
              resets all look like that
    40..45    contacts.py: pins of a board, a script of the household; other meters never
    46..50    the server, running.py: 49 and 50 once a minute at most
    68, 70..75, 88..91       wiring.py: a definition that has the limits (polyphase.toml)
    76..87    supervise() below, with limits and times of the definition
    92..94    quality.py: a definition that has a bad_week source
    140       sender.py; 158: an association at a serial port, once a minute at most

Numbers of companion specifications that this meter never makes, for it has nothing to make them
of: 7, 8 (battery), 12 (program memory: nothing checks the code of a runtime), 141..157 and 159
(modem, its SIM, its network and its calls), and those of M-Bus devices and valves.

Bits by event code; the error register has the first line only:

    alarm 1   0: 6, 1: 7, 8: 12, 9: 13, 10: 14, 11: 16, 12: 15;
              13: 40, 42, 44, 46, 49, 50
    alarm 2   0: 1, 1: 2, 2..4: 82..84, 5..7: 85..87, 8: 89, 9: 90, 10: 91, 11: 88, 12: 68, 13: 48,
              14..16: 92..94, 18: 158

A bit that is new in a descriptor pushes (source push.alarm); so may a Register monitor of it.

later() may be called on the path of a request and allocates nothing; note() captures at once.
"""

from array import array

from micropython import const

_LOGS = "standard fraud disconnect power_quality communication"
_STANDARD = const(0)
_FRAUD = const(1)
_DISCONNECT = const(2)
_POWER_QUALITY = const(3)
_COMMUNICATION = const(4)
_N_LOGS = const(5)

_ALARMS_CLEARED = const(11)
_MEMORY_ERROR = const(14)
_VOLTAGE_LOW = const(76)
_VOLTAGE_HIGH = const(79)
_VOLTAGE_MISSING = const(82)
_VOLTAGE_NORMAL = const(85)

# Limits of the voltage in 0.1 V where the definition has no objects with them (1.0.12.31.0 sag,
# 1.0.12.35.0 swell, 1.0.12.39.0 missing): ten per cent (EN 50160); missing below half. The times
# that a voltage has to last for an event (1.0.12.43.0, .44.0, .45.0) are 0 then.
_LOW = const(2070)
_HIGH = const(2530)
_MISSING = const(1150)
_USUAL = (_LOW, _HIGH, _MISSING, 0, 0, 0)
_NONE = const(0xFF)
_NO_ROW = const(0xFFFF)
_LIMITS_AT = const(6)
_N_LIMITS = const(6)
# What supervise() says of a phase.
_IS_LOW = const(0x001)
_IS_HIGH = const(0x008)
_IS_MISSING = const(0x040)

# Events that wait for the next second. More than that within a second are counted, not logged.
_N_WAITING = const(16)

_VALUE = const(2)
_CAPTURE = const(2)
_ZERO = b"\x0f\x00"


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
        # Object and log by number of the log: rows that sources.py finds; -1: there is none.
        self.objects = [-1] * _N_LOGS
        self.profiles = [-1] * _N_LOGS
        self._waiting = bytearray(_N_WAITING)
        self.n = 0
        # Error and alarm registers: rows of the register, its filter and its descriptor (-1: there
        # is none), the event when it was cleared, codes, and the bit of each.
        self.registers = []
        # What a new alarm pushes, and the start.
        self.push_row = self.start_row = -1
        # An event could not be captured.
        self.lost = 0
        # Phases that the meter has, a bit each.
        self.phases = 7
        # Which event the voltage of each phase has brought last; which one waits for its time;
        # rows of the objects with limits and times (sag, swell, missing), FF: there is none. In
        # one piece, for it takes no more room.
        self.voltage = bytearray([_VOLTAGE_NORMAL] * 6 + [_NONE] * 2 * _N_LIMITS)
        self.seconds = array("i", [0] * 3)  # that it has waited
        # Those limits, and the state of the model that they are of.
        self.limits = ()
        self.edits = -1

    def is_log(self, row):
        """Is this profile an event log?"""
        return row in self.profiles

    def later(self, code):
        """Note an event at the next second. Allocates nothing."""
        if self.n < _N_WAITING:
            self._waiting[self.n] = code
            self.n += 1
        else:
            self.lost += 1

    def supervise(self, values, seconds):
        """Note when a voltage, one of the first three values, has left its band for long enough,
        or is back in it. seconds: since the last look. Bits of what is so now, see episodes.py."""
        state = self.voltage
        if self.edits != self.model.edits:
            # A client may have set them; reading them each second would take longer than all else.
            self.edits = self.model.edits
            self.limits = tuple([self._limit(k) for k in range(_N_LIMITS)])
        for k in range(3):
            waits = state[3 + k]
            if waits != state[k]:
                # It has lasted up to now, whatever comes now.
                self.seconds[k] += seconds
                self._reach(k, waits)
        low = self.limits[0]
        high = self.limits[1]
        bits = 0
        for k in range(3):
            if not self.phases >> k & 1:
                continue
            u = values[k]
            code = _VOLTAGE_NORMAL
            if u < self.limits[2]:
                code = _VOLTAGE_MISSING
                bits |= _IS_MISSING << k
            elif u < low:
                code = _VOLTAGE_LOW
                bits |= _IS_LOW << k
            elif u > high:
                code = _VOLTAGE_HIGH
                bits |= _IS_HIGH << k
            if code != state[3 + k]:
                state[3 + k] = code
                self.seconds[k] = 0
                self._reach(k, code)
        return bits

    def _reach(self, k, code):
        """Note what the voltage of phase k is if it has been that for its time."""
        if (
            code == _VOLTAGE_NORMAL
            or self.seconds[k] >= self.limits[3 + (code - _VOLTAGE_LOW) // 3]
        ) and code != self.voltage[k]:
            self.voltage[k] = code
            self.later(code + k)

    def _limit(self, k):
        at = _LIMITS_AT + 2 * k
        row = self.voltage[at] << 8 | self.voltage[at + 1]
        if row == _NO_ROW:
            return _USUAL[k]
        return self.model.get_int(row, _VALUE)

    def flush(self):
        """Note what later() has kept."""
        k = 0
        while k < self.n:
            self.note(self._waiting[k])
            k += 1
        self.n = 0

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
        """Set the bits of an event in the error and alarm registers."""
        for row, filter_, descriptor, cleared, codes, bits in self.registers:
            k = 0
            while k < len(codes) and codes[k] != code:
                k += 1
            if k == len(codes):
                continue
            bit = bits[k]
            if filter_ >= 0 and not self._octet(filter_, bit) & 1 << (bit & 7):
                continue
            said = row if descriptor < 0 else descriptor
            new = not self._octet(said, bit) & 1 << (bit & 7)
            self._set(row, bit)
            self._set(descriptor, bit)
            if new and cleared == _ALARMS_CLEARED:
                if self.push_row >= 0:
                    self.model.awake(self.push_row).push(self.push_row)
                if self.on_alarm is not None:
                    self.on_alarm(said)

    def _octet(self, row, bit):
        """The octet of a value of 32 bits that has this bit."""
        return self.model.image[self.model.slot(row, _VALUE) + 4 - (bit >> 3)]

    def _set(self, row, bit):
        if row >= 0 and self.model.value_len(row, _VALUE) == 5:
            self.model.image[self.model.slot(row, _VALUE) + 4 - (bit >> 3)] |= 1 << (bit & 7)
