# SPDX-License-Identifier: MIT
"""From the lines of a feed to events, and from questions to commands.

feed = Feed()
feed.subscribe(take)        take(event) is called with each event, by the thread that reads
feed.read(octets)           what the meter has printed; returns what is not the feed's
feed.attach(write)          write(octets) gets to the meter's stdin
feed.tap(take)              take(line) is called with each line as it is, its mark and end
feed.pass_on(line)          a command of somebody else, who reads the answer by a tap
feed.ask("get 3 1.0.1.8.0.255 2") -> Answer      waits; not in the thread that reads
feed.send("press display", then)                 does not; then(answer) is called
"""

import binascii
import contextlib
import itertools
import json
import threading
import time

from .events import Answer, Begun, Closed, Link, Lost, Octets, Opened, State

MARK = 0x1E
TICKS = 1 << 30
PATIENCE_S = 5
_LINE_LIMIT = 1 << 20


class Feed:
    def __init__(self, clock=time.time, first=1):
        """first: the number of the first command."""
        self.links = {}  # those that are open, by number
        self.garbage = 0  # lines with the mark that could not be understood
        self._clock = clock
        self._takers = []
        self._taps = []
        self._events = []  # of the line in hand
        self._rest = b""
        self._ticks = None  # the last ones, and how many there have been in all
        self._ms = 0
        self._base = None  # time of ms 0
        self._halves = {}  # (kind, link): octets that are not whole yet
        self._write = None
        self._lock = threading.Lock()
        self._numbers = itertools.count(first)
        self._asked = {}  # number: [then, parts]

    def subscribe(self, take):
        self._takers.append(take)

    def tap(self, take):
        self._taps.append(take)

    def has_subscribers(self):
        return bool(self._takers or self._taps)

    def attach(self, write):
        """Commands go there from now on; None: there is no meter."""
        with self._lock:
            self._write = write
            asked, self._asked = self._asked, {}
        for then, _parts in asked.values():
            then(Answer({"error": "The meter has ended."}))

    # --- What the meter says ------------------------------------------------------------------

    def read(self, octets):
        """Take what the meter has printed; returns the lines in it that are not the feed's.

        A line that is not whole waits for its end, unless it cannot be one of the feed.
        """
        data = self._rest + octets
        others = []
        at = 0
        while at < len(data):
            end = data.find(b"\n", at)
            if data[at] != MARK:
                end = data.find(MARK, at)
                end = len(data) if end < 0 else end
                others.append(data[at:end])
            elif end < 0:
                break
            else:
                for take in self._taps:
                    take(data[at : end + 1])
                if self._takers or self._asked or not self._taps:
                    self._line(data[at + 1 : end].rstrip(b"\r"))
                end += 1
            at = end
        self._rest = data[at:] if len(data) - at < _LINE_LIMIT else b""
        return b"".join(others)

    def _line(self, line):
        try:
            kind, _, rest = line.decode().partition(" ")
            self._KINDS[kind](self, rest)
        except (LookupError, ValueError, TypeError, AttributeError):
            self.garbage += 1
        events, self._events = self._events, []
        for event in events:
            for take in self._takers:
                take(event)

    def _tell(self, event, ticks):
        event.ms = self._ms_of(int(ticks))
        event.time = self._base + event.ms / 1000
        self._events.append(event)

    def _ms_of(self, ticks):
        """The meter's milliseconds without the turns; keeps the time of this PC that they mean.

        The shortest way that a line has had is the best guess of what none would take.
        """
        now = self._clock()
        if self._ticks is None:
            self._base = now
            self._ticks = ticks
        passed = (ticks - self._ticks) % TICKS
        if passed >= TICKS >> 1:
            passed -= TICKS
        self._ticks = ticks
        self._ms += passed
        self._base = min(self._base, now - self._ms / 1000)
        return self._ms

    def _begun(self, rest):
        ticks, about = rest.split(" ", 1)
        self._ticks = None
        self._ms = 0
        self._ms_of(int(ticks))
        for link in list(self.links.values()):
            del self.links[link.number]
            self._tell(Closed(link), ticks)
        self._halves.clear()
        self._tell(Begun(json.loads(about)), ticks)

    def _opened(self, rest):
        ticks, number, about = rest.split(" ", 2)
        about = json.loads(about)
        link = Link(int(number), about["kind"], about["local"], about["peer"])
        self.links[link.number] = link
        self._tell(Opened(link), ticks)

    def _closed(self, rest):
        ticks, number, by = rest.split(" ")
        link = self.links.pop(int(number))
        self._tell(Closed(link, by), ticks)

    def _octets(self, sent, rest):
        fields = rest.split(" ")
        octets = self._whole((sent, fields[1]), fields[2])
        if octets is not None:
            self._tell(Octets(self._link(fields[1], fields[0]), sent, octets), fields[0])

    def _fault(self, rest):
        ticks, number, name, text = rest.split(" ")
        octets = self._whole((name, number), text)
        if octets is not None:
            self._tell(Octets(self._link(number, ticks), True, octets, name), ticks)

    def _link(self, number, ticks):
        """Of one whose opening line was lost, nothing more is known."""
        number = int(number)
        if number not in self.links:
            self.links[number] = Link(number, "unknown", "", "")
            self._tell(Opened(self.links[number]), ticks)
        return self.links[number]

    def _whole(self, key, text):
        """The octets of hex, with those of the lines before that they are the rest of; None: they
        go on with the next line."""
        octets = self._halves.pop(key, b"") + binascii.unhexlify(text.rstrip("+"))
        if not text.endswith("+"):
            return octets
        self._halves[key] = octets
        return None

    def _lost(self, rest):
        ticks, n = rest.split(" ")
        self._halves.clear()
        self._tell(Lost(int(n)), ticks)

    def _state(self, rest):
        ticks, values = rest.split(" ", 1)
        self._tell(State(json.loads(values)), ticks)

    def _value(self, rest):
        number, text = rest.split(" ")
        asked = self._asked.get(int(number))
        if asked is not None:
            asked[1].append(binascii.unhexlify(text))

    def _answer(self, rest):
        number, values = rest.split(" ", 1)
        with self._lock:
            asked = self._asked.pop(int(number), None)
        if asked is not None:
            asked[0](Answer(json.loads(values), b"".join(asked[1])))

    _KINDS = {
        "H": _begun,
        "O": _opened,
        "C": _closed,
        "R": lambda self, rest: self._octets(False, rest),
        "T": lambda self, rest: self._octets(True, rest),
        "F": _fault,
        "L": _lost,
        "S": _state,
        "V": _value,
        "A": _answer,
    }

    # --- What it is asked ---------------------------------------------------------------------

    def send(self, command, then=lambda answer: None):
        """Send a command; then(answer) is called by the thread that reads. Returns its number."""
        if "\n" in command or "\r" in command:
            raise ValueError("a command is one line")
        with self._lock:
            number = next(self._numbers)
            write = self._write
            if write is not None:
                self._asked[number] = [then, []]
                try:
                    write(b"%d %s\n" % (number, command.encode()))
                except OSError:
                    del self._asked[number]
                    write = None
        if write is None:
            then(Answer({"error": "There is no meter that takes commands."}))
        return number

    def pass_on(self, line):
        """A whole command, with its number and its end."""
        with self._lock, contextlib.suppress(OSError):
            if self._write is not None:
                self._write(line)

    def ask(self, command, timeout_s=PATIENCE_S):
        """Send a command and wait for its answer."""
        answers = []
        there = threading.Event()

        def then(answer):
            answers.append(answer)
            there.set()

        number = self.send(command, then)
        if not there.wait(timeout_s):
            with self._lock:
                self._asked.pop(number, None)
            return Answer({"error": "The meter has not answered within %g s." % timeout_s})
        return answers[0]
