# SPDX-License-Identifier: MIT
"""What one call of tools/decode.py does: files and text in, what is explained out.

    run = Run(options, keys, names, ports, out)     options: those of tools/decode.py
    run.file(name), run.text(lines, "")             Trouble: there is nothing in it, and why
    run.end()

What a file is shows at its beginning. Of a file of any length one chunk is held, and of each link
what its Conversation keeps.
"""

import io
import os
import sys

from bootstrap import Trouble, say

from . import capture, show, trace
from .conversation import Conversation, Unit
from .pieces import field
from .xml import documents

_LINKS = 1024  # conversations at a time
_CHUNK = 1 << 16
_SNIFF = 4096
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
_DIGITS = "0123456789abcdefABCDEF*"
_OTHER = {"rx": "tx", "tx": "rx"}


class Run:
    """All that is decoded in one call."""

    def __init__(self, options, keys, names, ports, out):
        self.options = options
        self.keys = keys
        self.names = names
        self.ports = ports
        self.links = {}
        self.n_units = 0
        self.out = out
        self.side = {"client": "rx", "meter": "tx"}.get(options.of)  # what TX means
        self.undecided = []
        colour = options.colour == "always" or (
            options.colour == "auto" and out.isatty() and "NO_COLOR" not in os.environ
        )
        self.show = show.Text(out.write, colour, options.brief)
        self.live = out.isatty()  # somebody waits for each message

    # --- Input ----------------------------------------------------------------------------------

    def file(self, name):
        try:
            f = sys.stdin.buffer if name == "-" else open(name, "rb")
            head = f.peek(_SNIFF)[:_SNIFF]
        except OSError as e:
            raise Trouble("Cannot read %s (%s)." % (name, e.strerror)) from None
        said = "stdin" if name == "-" else name
        self.live = name == "-" or self.out.isatty()
        if not head:
            raise Trouble("%s is empty; expected a trace, hexadecimal, or a capture." % said)
        if capture.is_capture(head):
            self.capture(f, said)
            return
        codec = codec_of(head)
        if codec:
            self.text(lines_of(io.TextIOWrapper(f, codec, "replace")), said)
        else:
            self.raw(f)
        if name != "-":
            f.close()

    def text(self, lines, name):
        reader = trace.Reader()
        before = self.n_units
        for said in reader.read(lines):
            if not name:
                said.line = 0  # of the command line
            if said.kind == "dump" and capture.is_ethernet(said.octets):
                self.packet(said)
            else:
                self.said(said)
        self.decide()
        if reader.n_skipped and self.n_units > before:
            sentence = "Lines neither octets nor a trace: %d, the first in line %d: %.60s"
            say(show.plain(sentence % (reader.n_skipped, reader.n_first, reader.first)))
        elif reader.n_skipped:
            raise Trouble(
                "There are no octets in %s; expected hexadecimal, or lines as TX: 7E A0 ... "
                "Line %d is %.60r." % (name or "this", reader.n_first, reader.first)
            )

    def packet(self, said):
        packet = capture.Packet(said.line, None, said.octets, 0, 1)
        for inner in capture.Capture(None, None).packet(packet):
            self.said(inner)

    def raw(self, f):
        at = 0
        while True:
            octets = f.read1(_CHUNK)
            if not octets:
                break
            self.said(trace.Said(octets, (), None, None, at, "stream"))
            at += len(octets)

    def capture(self, f, name):
        c = capture.Capture(f, self.ports)
        before = self.n_units
        for said in c.read():
            self.said(said)
        if c.cut:
            say("%s: %s." % (name, c.cut))
        if self.n_units == before and not self.links:
            wanted = ", ".join(str(p) for p in self.ports or ["any"])
            sentence = "%s has nothing on port %s, in %s." % (name, wanted, packets(c.n_packets))
            if c.seen:
                sentence += " There are others: %s. Give one with --port." % counted(c.seen)
            if c.unread:
                sentence += " Of link types that are not known here: %s." % counted(c.unread)
            raise Trouble(sentence)

    # --- Conversations --------------------------------------------------------------------------

    def said(self, said):
        """A piece of the input, or several that have waited until it was clear who TX is."""
        if said.direction in ("TX", "RX"):
            if self.side is None:
                self.undecided.append(said)
                self.side = whose(said) or (
                    whose_all(self.undecided) if len(self.undecided) > 200 else None
                )
                if self.side is None and len(self.undecided) <= 200:
                    return
                self.decide()
                return
            said.direction = self.side if said.direction == "TX" else _OTHER[self.side]
        elif said.direction in ("client", "meter"):
            said.direction = "rx" if said.direction == "client" else "tx"
        elif self.undecided:
            self.undecided.append(said)
            return
        self.take(said)

    def decide(self):
        waiting, self.undecided = self.undecided, []
        if waiting and self.side is None:
            self.side = "rx"  # most traces are a client's
        for said in waiting:
            self.said(said)

    def take(self, said):
        link = self.links.get(said.link)
        if said.kind == "open" and link is not None:
            self.close(said.link)
            link = None
        if link is None:
            if said.kind == "close":
                return
            if len(self.links) >= _LINKS:
                self.close(next(iter(self.links)))
            link = self.links[said.link] = Conversation(
                self.keys, self.names, self.options.layer, turns=said.kind != "stream"
            )
        if said.kind == "close":
            self.close(said.link)
            return
        if said.trouble:
            self.print(link.lost(said.direction), said.line, said.link)
            self.trouble(said)
        if said.octets:
            whole = said.kind == "packet"
            units = link.octets(said.direction, said.octets, said.time, said.hidden, whole)
            for note in said.notes if units else ():
                units[0].layers.append(("note", note))
            self.print(units, said.line, said.link)

    def trouble(self, said):
        unit = Unit(field("line", 0, 0, error=said.trouble), b"", said.direction, said.time, ())
        self.print([unit], said.line, said.link)

    def close(self, link):
        self.print(self.links.pop(link).end(), 0, link)

    def end(self):
        for link in list(self.links):
            self.close(link)
        self.out.flush()
        if not self.n_units:
            raise Trouble("There is no message in it.")

    def print(self, units, line, link):
        for unit in units:
            self.n_units += 1
            unit.line = line
            unit.link = link
            if self.options.json:
                self.out.write(unit.json() + "\n")
            elif self.options.xml:
                self.xml(unit)
            else:
                self.show.unit(unit)
        if units and self.live:
            self.out.flush()

    def xml(self, unit):
        if unit.apdu is not None:
            for document in documents(unit.apdu, self.options.xml):
                self.out.write(document)


def whose(said):
    """What TX means, "rx" or "tx", if these octets tell."""
    units = Conversation(turns=False).octets(None, said.octets, None, said.hidden, True)
    for unit in units:
        if unit.direction and unit.error is None:
            return unit.direction if said.direction == "TX" else _OTHER[unit.direction]
    return None


def whose_all(waiting):
    return next(filter(None, map(whose, waiting)), "rx")


def packets(n):
    return "%d packet%s" % (n, "" if n == 1 else "s")


def counted(numbers):
    """ "4060 (2 packets), ..." of a Counter."""
    return ", ".join("%d (%s)" % (k, packets(n)) for k, n in numbers.most_common(5))


def codec_of(head):
    """Of a text that begins so; None: it is the octets of a line themselves. Text has no zeros,
    but that of Windows, where every other octet is one, and few other controls."""
    if head[:2] in _UTF_16:
        return "utf-16"
    for k, codec in enumerate(("utf-16-be", "utf-16-le")):
        if len(head) > 3 and not any(head[k::2]) and all(head[1 - k :: 2]):
            return codec
    controls = sum(x < 0x20 and x not in b"\t\n\r\x1b\x0c" for x in head)
    if b"\0" in head or controls > len(head) // 10:
        return None
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as e:
        if e.start < len(head) - 4:
            return None
    return "utf-8-sig"


def lines_of(f):
    """Lines; one without an end is cut, between two octets, so that memory stays what it is."""
    begun = ""
    while True:
        line = begun + f.readline(_CHUNK - len(begun))
        if not line:
            return
        digits = len(line) - len(line.rstrip(_DIGITS))
        begun = line[-1] if digits & 1 and len(line) == _CHUNK else ""
        yield line[:-1] if begun else line
