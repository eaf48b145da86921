# SPDX-License-Identifier: MIT
"""What lasts for a time: a voltage out of its band, a phase that has failed, an open cover.

A line of the table is a condition and what comes of it: events, and the objects that count it, and
say when it began and how long it was. lines.py makes the table at the start, of what a definition
has; a meter that has none of it does not load this. The condition of each line is a bit:

    0..2 voltage of L1..L3 low, 3..5 high, 6..8 missing: Events.supervise() gives them
    9 one is missing, 10 all are
    11.. what others look at: contacts.py, wiring.py, quality.py

    state    it is so                                          it is not
    IDLE     WAITS; its seconds count from 0                   -
    WAITS    LASTS when they reach the time threshold          IDLE
    LASTS    its seconds count                                 IDLE: it has ended, and is timed

With a threshold of 0 it lasts at once; with another one, what ends just when it is reached has
lasted. Reaching it counts and brings the event; the time of begin is that of the condition, by the
clock of then: who sets the clock moves the begin of what still waits. Seconds are those that have
passed, whatever the clock is set to meanwhile. Limits and thresholds are objects: what is SET
counts with the next look.

Over a restart (`kept`, an object of the definition) lines go on. Without power all phases have
failed, from the last time that was saved to the start; a contact that was open is taken to have
stayed so. What has no `kept` begins anew.

look() takes next to no time while nothing is so; it may allocate where something begins or ends.
"""

from array import array

from firmware.meter.registers import add, put
from micropython import const

_IDLE = const(0)
_WAITS = const(1)
_LASTS = const(2)

_CUT_SHIFT = const(6)
_ANY = const(0x200)
_ALL = const(0x400)
# Of these there is a magnitude: the highest voltage of a swell, else the lowest.
_N_VOLTAGES = const(9)
_FIRST_SWELL = const(3)
_FIRST_CUT = const(6)

# What a line feeds.
_COUNT = const(0)
_TIME = const(1)
_LAST = const(2)
_TOTAL = const(3)
_NOW = const(4)
_PEAK = const(5)

# Flags of a line: it is so while the meter has no power; what was so goes on meanwhile.
_FAILS = const(1)
_STAYS = const(2)

_NO_ROW = const(0xFFFF)
_VALUE = const(2)
_CAPTURE = const(2)
_ZERO = b"\x0f\x00"
_NEVER = const(0x3FFFFFFF)


class Episodes:
    """lines     condition of each; codes: events at its begin and end (0: none), and flags, three
              octets a line; limits: rows of time thresholds
    feeds     256 * field + octets, position in the image, line: three numbers
    watchers  who else knows conditions
    kept      position of the state in the image, 0: it is not kept
    log       row of the profile that is captured when line log_line ends
    changed   something has begun or ended since somebody looked here
    running   some line is not idle
    log_due   it is to be captured
    """

    def __init__(self, model, events):
        self.model = model
        self.events = events
        self.lines = bytearray()
        self.codes = bytearray()
        self.limits = array("H")
        self.feeds = array("H")
        self.watchers = []
        self.kept = 0
        self.log = self.log_line = -1
        self.changed = self.running = False
        self.log_due = False
        self._edits = -1

    def start(self):
        """The table is there. What was kept of a life before, goes on."""
        n = len(self.lines)
        self._states = bytearray(n)
        self._elapsed = array("i", [0] * n)
        self._peaks = array("H", [0] * n)
        self._least = array("i", [0] * n)
        if self.kept:
            image = self.model.image
            for k in range(n):
                at = self.kept + 4 * k
                self._states[k] = min(image[at] >> 6, _LASTS)
                self.running |= self._states[k] != _IDLE
                self._elapsed[k] = (
                    (image[at] & 0x3F) << 24
                    | image[at + 1] << 16
                    | image[at + 2] << 8
                    | image[at + 3]
                )

    def keep(self, seconds):
        """The image is about to be saved, so long after the last look."""
        if self.kept:
            for k in range(len(self.lines)):
                at = self.kept + 4 * k
                state = self._states[k]
                elapsed = min(self._elapsed[k] + seconds, _NEVER) if state != _IDLE else 0
                put(self.model.image, at, 4, 0, elapsed)
                self.model.image[at] |= state << 6

    # --- Limits -----------------------------------------------------------------------------

    def _refresh(self):
        """A client may have set them; reading them each second would take longer than all else."""
        self._edits = self.model.edits
        for k in range(len(self.limits)):
            self._least[k] = self.limit(self.limits[k])
        for watcher in self.watchers:
            watcher.refresh(self)

    def limit(self, row):
        """Value of an object; 0 if there is none."""
        return 0 if row == _NO_ROW else min(self.model.get_int(row, _VALUE), _NEVER)

    def is_calm(self, bounds):
        """Do values within these bounds (see metrology.py) leave all as it is?"""
        if self.running or self._edits != self.model.edits:
            return False
        for watcher in self.watchers:
            if not watcher.is_calm(bounds):
                return False
        return True

    def due(self):
        """Seconds from the last look until a time threshold is reached if all stays as it is."""
        n = _NEVER
        if self.running:
            for k in range(len(self.lines)):
                if self._states[k] == _WAITS:
                    n = min(n, self._least[k] - self._elapsed[k])
        return n

    # --- What is so -------------------------------------------------------------------------

    def look(self, values, bits, seconds):
        """Has something begun or ended? values: of metrology.py; bits: of their voltages;
        seconds: since the last look."""
        if self._edits != self.model.edits:
            self._refresh()
        missing = bits >> _CUT_SHIFT
        if missing:
            bits |= _ALL | _ANY if missing == self.events.phases else _ANY
        for watcher in self.watchers:
            bits |= watcher.look(values, missing, seconds)
        if bits or self.running:
            self._go_on(values, bits, seconds)

    def _go_on(self, values, bits, seconds):
        states = self._states
        elapsed = self._elapsed
        self.running = False
        for k in range(len(states)):
            line = self.lines[k]
            is_so = bits >> line & 1
            state = states[k]
            if state != _IDLE:
                elapsed[k] = min(elapsed[k] + seconds, _NEVER)
            elif is_so:
                state = _WAITS
                elapsed[k] = 0
                self._peaks[k] = values[line % 3]
            else:
                continue
            if is_so and line < _N_VOLTAGES:
                u = values[line % 3]
                is_swell = _FIRST_SWELL <= line < _FIRST_CUT
                if u > self._peaks[k] if is_swell else u < self._peaks[k]:
                    self._peaks[k] = u
            if state == _WAITS and elapsed[k] >= self._least[k]:
                state = _LASTS
                self._begin(k)
            if state == _LASTS:
                self._feed(k, _NOW, elapsed[k])
            if not is_so:
                if state == _LASTS:
                    self._end(k)
                state = _IDLE
            if state != states[k]:
                states[k] = state
                self.changed = True
            self.running |= state != _IDLE

    def _begin(self, k):
        code = self.codes[3 * k]
        if code:
            self.events.later(code)
        self._add(k, _COUNT, 1)
        at = self._place(k, _TIME)
        if at:
            clock = self.model.handler("clock")
            second = clock.second - self._elapsed[k]
            clock.local_of(clock.minute + second // 60, second % 60, self.model.image, at)

    def _end(self, k):
        code = self.codes[3 * k + 1]
        if code:
            self.events.later(code)
        self._feed(k, _LAST, self._elapsed[k])
        self._add(k, _TOTAL, self._elapsed[k])
        self._feed(k, _PEAK, self._peaks[k])
        if k == self.log_line:
            self.log_due = True

    def flush(self):
        """Capture the log of power failures, if one has ended."""
        if self.log_due:
            self.log_due = False
            if self.log >= 0 and self.model.act(self.log, _CAPTURE, _ZERO, 0, 2):
                self.events.lost += 1

    def power_was_off(self, seconds):
        """The meter has been without power for so long, at its end: the time of the model is."""
        for k in range(len(self.lines)):
            flags = self.codes[3 * k + 2]
            if self._states[k] == _IDLE and flags & _FAILS:
                self._states[k] = _WAITS
                self._elapsed[k] = 0
            if self._states[k] != _IDLE and flags:
                self._elapsed[k] = min(self._elapsed[k] + seconds, _NEVER)
                self.running = True

    # --- Objects ----------------------------------------------------------------------------

    def _place(self, k, field):
        """Where a line feeds this in the image, 0: nowhere."""
        t = self.feeds
        for j in range(0, len(t), 3):
            if t[j + 2] == k and t[j] >> 8 == field:
                return t[j + 1]
        return 0

    def _feed(self, k, field, value):
        t = self.feeds
        for j in range(0, len(t), 3):
            if t[j + 2] == k and t[j] >> 8 == field:
                put(self.model.image, t[j + 1], t[j] & 0xFF, 0, value)

    def _add(self, k, field, value):
        t = self.feeds
        for j in range(0, len(t), 3):
            if t[j + 2] == k and t[j] >> 8 == field:
                add(self.model.image, t[j + 1], t[j] & 0xFF, value)
