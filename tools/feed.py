# SPDX-License-Identifier: MIT
"""The feed: what a running meter says of itself for programs, and how they ask it for more.

A meter whose options have "feed" (the octets that it may keep until they are read) prints lines
that begin with 1E (record separator) among its others, and takes commands as lines on its stdin.
On a board both go over the port of its REPL. firmware/feed.py is the meter's side.

Lines of the meter, their fields one space apart. T: its milliseconds, 0..2**30 - 1, which wrap.

    <1E>H T JSON        it begins: {"feed": 1, "runtime", "time": [minute, second] since 2000-01-01
                        UTC, "speed"}. Whatever was open before is closed
    <1E>O T LINK JSON   a link is open, its number LINK from now on: {"kind", "local", "peer"}.
                        kind: wrapper-tcp, wrapper-udp, hdlc-tcp, hdlc-pty, hdlc-tty, hdlc-uart,
                        hdlc-usb, optical-pty, optical-tty, optical-uart, plc-...; what the meter
                        opens itself: out-tcp (push, gateway). local, peer: "127.0.0.1:4059", or
                        "[::1]:4059", or the name of a serial port; "" if there is none, or none is
                        known. A peer over UDP has a link of its own from its first datagram on
    <1E>C T LINK BY     it is closed. BY: meter, peer, or reset (by the peer, or for an error)
    <1E>R T LINK HEX    octets that the meter has received. A datagram is a line. A "+" behind HEX:
                        the rest of these octets comes with the next line
    <1E>T T LINK HEX    octets that it has sent
    <1E>F T LINK NAME HEX   octets that a fault has kept from being sent (NAME: drop), or how they
                        would have been sent without one (crc)
    <1E>L T N           N lines could not be printed, for nobody read; they were here
    <1E>S T JSON        its state, once a second, see State
    <1E>V N HEX         a part of the value that command N has asked for
    <1E>A N JSON        the answer to command N, which ends it: {} or what it asks for; {"error":
                        "a sentence"}: nothing was done

Commands: a number N (of the asker, 1 to 99999999), a word, what belongs to it.

    N get CLASS OBIS ATTRIBUTE [ROWS [SAP]]    the value as A-XDR: 3 1.0.1.8.0.255 2. ROWS: only
                        the newest so many of a Profile generic's buffer; 0: all of it. SAP: of
                        this logical device, else of the first that has the object. No rights are
                        asked, but secrets (firmware/links/trace.py) are refused
    N press KEY         display: the next entry; disconnect, reconnect: manual_disconnect and
                        manual_reconnect of class 70, if its mode and state allow it
    N fault LINK crc K     the next K frames (HDLC, 62056-21) leave with a wrong check
    N fault LINK drop K    the next K frames, wpdus or datagrams do not leave
    N fault LINK delay MS  all leave so much later, until it is 0. LINK *: all that are open, and
                        that will be
    N fault LINK none   no more faults
    N state             a state line, now

What is no command is answered with an error too, as number 0 if it has none.

    feed = Feed()
    feed.subscribe(take)        take(event) is called with each event, by the thread that reads
    feed.read(octets)           what the meter has printed; returns what is not the feed's
    feed.attach(write)          write(octets) gets to the meter's stdin
    feed.tap(take)              take(line) is called with each line as it is, its mark and end
    feed.pass_on(line)          a command of somebody else, who reads the answer by a tap
    feed.ask("get 3 1.0.1.8.0.255 2") -> Answer      waits; not in the thread that reads
    feed.send("press display", then)                 does not; then(answer) is called

Standard library only, but for Port, the feed of a board, which needs pyserial.
"""

import binascii
import contextlib
import itertools
import json
import threading
import time

MARK = 0x1E
TICKS = 1 << 30
PATIENCE_S = 5
_LINE_LIMIT = 1 << 20


class Event:
    """Something that the meter has said. time: seconds since 1970 UTC, by this PC's clock, when
    it happened; ms: by the meter's, from its start on."""

    __slots__ = ("time", "ms")


class Begun(Event):
    """The meter's program has started: about is what it says of itself."""

    __slots__ = ("about",)

    def __init__(self, about):
        self.about = about


class Opened(Event):
    """link is a Link."""

    __slots__ = ("link",)

    def __init__(self, link):
        self.link = link


class Closed(Event):
    """by: meter, peer or reset; None: the meter's program has ended."""

    __slots__ = ("link", "by")

    def __init__(self, link, by=None):
        self.link = link
        self.by = by


class Octets(Event):
    """sent: by the meter. fault: None, or why they have not left: "drop"; "crc": others have,
    which come next."""

    __slots__ = ("link", "sent", "octets", "fault")

    def __init__(self, link, sent, octets, fault=None):
        self.link = link
        self.sent = sent
        self.octets = octets
        self.fault = fault


class Lost(Event):
    """n events are missing here."""

    __slots__ = ("n",)

    def __init__(self, n):
        self.n = n


class State(Event):
    """values: what the meter says of itself once a second,

    time          [minute, second] since 2000-01-01 00:00 UTC
    display       [label, value] as they are shown, or null: it has none
    associations  [{"link", "client", "server", "mechanism", "state": "open" or "pending",
                    "ciphered": true or false}], those that are not idle
    heap          [allocated, free] octets, or null: the runtime cannot say
    supply        null, or [{"connected", "state", "mode"}] of each Disconnect control
    counters      since the start, of 30 bits: {"requests", "refused" (answered by an exception, a
                  confirmedServiceError, or an AARE that rejects), "dropped" (frames that were
                  none), "received", "sent" (octets), "lost" (lines), "overruns"}
    """

    __slots__ = ("values",)

    def __init__(self, values):
        self.values = values


class Link:
    """number, kind, local, peer: as in the line that opens it."""

    __slots__ = ("number", "kind", "local", "peer")

    def __init__(self, number, kind, local, peer):
        self.number = number
        self.kind = kind
        self.local = local
        self.peer = peer


class Answer:
    """To a command. values: what the meter answers; octets: a value in A-XDR, or b""; error: None,
    or the sentence that says why not."""

    __slots__ = ("values", "octets", "error")

    def __init__(self, values, octets=b""):
        self.values = values
        self.octets = octets
        self.error = values.get("error")


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
