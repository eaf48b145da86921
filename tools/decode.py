#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Explains what goes over a line: hexadecimal, a trace, or a capture, as a tree of named fields.

    python3 tools/decode.py c001c100030100010800ff0200         octets
    python3 tools/decode.py trace.txt                          TX: 7E A0 ... of any program
    python3 tools/decode.py capture.pcapng                     UDP and TCP on port 4059, HDLC
    python3 tools/meter.py run --trace | python3 tools/decode.py -
    python3 tools/meter.py sheet --json | python3 tools/decode.py --sheet - capture.pcapng
    python3 tools/decode.py --json capture.pcapng | head -1    a message a line, for programs
    python3 tools/decode.py --xml simple trace.txt             APDUs as Gurux' translator says them

Layers are found: IEC 62056-21, HDLC, wrapper, the frames of PLC modems; segments, blocks and
general blocks are put together, what is protected is deciphered where keys are given. A line with
^ says what is wrong, at which octet, and what was expected there; decoding goes on behind it.
"""

import argparse
import gc
import io
import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
from bootstrap import Trouble, say

_KEYS = ("guek", "gbek", "gak", "kek", "dedicated")
_LINKS = 1024  # conversations at a time
_CHUNK = 1 << 16
_SNIFF = 4096
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")

EPILOG = """\
keys:
  Those of the reference meter: python3 tools/meter.py sheet --json > sheet.json, then --sheet
  sheet.json; of your own one its provisioning record with --record. A key by itself is read from
  a file (--guek guek.txt, hexadecimal) or from the environment (PICOMETER_GUEK, PICOMETER_GAK,
  PICOMETER_DEDICATED, ...), not from the command line, which every user of the machine can see.
  --title is the system title of who sends, for a trace that begins after the AARQ and AARE that
  have told it.

what a line of a trace may be:
  TX: 10:20:18 7E A0 07 ...    with time or without; Send/Received, ->/<-, client/meter, ...
  RX: /?!<CR><LF>              of an optical port
  0000  7e a0 07 03 ...        dumps of Wireshark, tcpdump -x, xxd, hexdump -C
  7EA00703.. 0x7e,0xa0 7e:a0   octets in any layout; ** are hidden ones
"""


def parser():
    p = argparse.ArgumentParser(
        prog="decode.py", description=__doc__, epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )  # fmt: skip
    p.add_argument("input", nargs="*", help="a file, - (stdin; so without any), or hexadecimal")
    group = p.add_argument_group("output")
    group.add_argument("--json", action="store_true", help="a line of JSON each message")
    group.add_argument("--xml", choices=("simple", "standard"),
                       help="XML of each APDU, in a vocabulary of Gurux' translator")  # fmt: skip
    group.add_argument("--brief", action="store_true", help="a line each layer, no trees")
    group.add_argument("--colour", choices=("auto", "always", "never"), default="auto")
    group = p.add_argument_group("names and layers")
    group.add_argument("--definition", help="a meter definition (TOML), for names of its objects")
    group.add_argument(
        "--layer",
        help="what the octets are, if it is not found rightly: hdlc, wrapper, 62056-21, llc, "
        "apdu, data, m_sdu, mac_frame, usi, local, mip, lon, ...",
    )
    group.add_argument(
        "--of", choices=("client", "meter"),
        help="whose trace it is: who says what TX is in front of (found, if not given)",
    )  # fmt: skip
    group.add_argument(
        "--port", action="append", default=[], metavar="N",
        help="of TCP and UDP in a capture (default 4059); more than once, or: any",
    )  # fmt: skip
    group = p.add_argument_group("keys")
    group.add_argument("--sheet", action="append", default=[], help="connection sheet (JSON) or -")
    group.add_argument("--record", action="append", default=[], help="provisioning record")
    for name in _KEYS:
        group.add_argument("--" + name, metavar="FILE", help="a file with this key, hexadecimal")
    group.add_argument("--title", action="append", default=[], help="system title, 16 digits")
    return p


def main(args):
    p = parser()
    options = p.parse_args(args)
    gc.set_threshold(100000)  # trees have no cycles
    bootstrap.inside("plugfest", "cryptography", "pcapng")
    from decoding.layers import LAYERS

    if options.layer and options.layer not in LAYERS:
        p.error("--layer %s: expected one of %s" % (options.layer, ", ".join(LAYERS)))
    ports = None if "any" in options.port else [port(p, text) for text in options.port] or [4059]
    keys = read_keys(options)
    names = read_names(options.definition)
    run = Run(options, keys, names, ports)
    inputs = options.input or ["-"]
    if inputs == ["-"] and "-" in options.sheet:
        p.error("stdin is the sheet already; name a file to decode")
    if inputs == ["-"] and sys.stdin.isatty():
        say("Paste a trace or hexadecimal, then Ctrl-D.")
    # Hexadecimal may have been given in several words.
    if all(not os.path.exists(text) and text != "-" for text in inputs):
        text = " ".join(inputs)
        if not looks_like_hex(text):
            raise Trouble("There is no file %s, and it is not hexadecimal." % inputs[0])
        run.text([text], "")
    else:
        for name in inputs:
            run.file(name)
    run.end()
    return 0


def port(p, text):
    if not text.isdecimal() or not 0 < int(text) < 1 << 16:
        p.error("--port %s: expected 1 to 65535, or any" % text)
    return int(text)


def looks_like_hex(text):
    return re.fullmatch(r"[0-9A-Fa-f\sx:,*-]+", text) is not None or " " in text


def read_keys(options):
    from decoding.keys import Keys, given

    keys = Keys()
    for path in options.sheet:
        if path == "-":
            try:
                keys.add_sheet(json.load(sys.stdin))
            except (ValueError, KeyError, TypeError, AttributeError):
                raise Trouble(
                    "stdin has no connection sheet; expected the JSON of meter.py sheet"
                ) from None
        else:
            keys.add_file(path)
    for path in options.record:
        keys.add_file(path)
    those = {name: given(name, getattr(options, name)) for name in _KEYS}
    if any(those.values()):
        for title in options.title or [None]:
            keys.add(title, **those)
    elif options.title:
        raise Trouble("--title is of use with a key only: --guek, or PICOMETER_GUEK.")
    return keys


def read_names(path):
    from decoding.names import Names

    if path is None:
        return Names()
    import tables

    try:
        return Names(tables.load_definition(path))
    except (tables.TableError, OSError) as e:
        raise Trouble("%s" % e) from None


class Run:
    """All that is decoded in one call."""

    def __init__(self, options, keys, names, ports):
        from decoding import show

        self.options = options
        self.keys = keys
        self.names = names
        self.ports = ports
        self.links = {}
        self.n_units = 0
        self.out = sys.stdout
        self.side = {"client": "rx", "meter": "tx"}.get(options.of)  # what TX means
        self.undecided = []
        colour = options.colour == "always" or (
            options.colour == "auto" and sys.stdout.isatty() and "NO_COLOR" not in os.environ
        )
        self.show = show.Text(self.out.write, colour, options.brief)

    # --- Input ----------------------------------------------------------------------------------

    def file(self, name):
        from decoding import capture

        try:
            f = sys.stdin.buffer if name == "-" else open(name, "rb")
            head = f.peek(_SNIFF)[:_SNIFF]
        except OSError as e:
            raise Trouble("Cannot read %s (%s)." % (name, e.strerror)) from None
        said = "stdin" if name == "-" else name
        if not head:
            raise Trouble("%s is empty; expected a trace, hexadecimal, or a capture." % said)
        if capture.is_capture(head):
            self.capture(f, said)
        elif is_binary(head):
            self.raw(f)
        elif head[:2] in _UTF_16:
            self.text(io.TextIOWrapper(f, "utf-16", "replace"), said)
        else:
            self.text((line.decode("utf-8", "replace") for line in lines_of(f)), said)
        if name != "-":
            f.close()

    def text(self, lines, name):
        from decoding import capture, trace

        reader = trace.Reader()
        before = self.n_units
        for said in reader.read(lines):
            if not name:
                said.line = 0  # of the command line
            if said.kind == "dump" and capture.is_ethernet(said.octets):
                self.packet(capture, said)
            else:
                self.said(said)
        self.decide()
        if reader.n_skipped and self.n_units > before:
            sentence = "Lines neither octets nor a trace: %d, the first in line %d: %.60s"
            say(sentence % (reader.n_skipped, reader.n_first, reader.first))
        elif reader.n_skipped:
            raise Trouble(
                "There are no octets in %s; expected hexadecimal, or lines as TX: 7E A0 ... "
                "Line %d is %.60r." % (name or "this", reader.n_first, reader.first)
            )

    def packet(self, capture, said):
        packet = capture.Packet(said.line, None, said.octets, 0, 1)
        for inner in capture.Capture(None, None).packet(packet):
            self.said(inner)

    def raw(self, f):
        from decoding.trace import Said

        at = 0
        while True:
            octets = f.read1(_CHUNK)
            if not octets:
                break
            self.said(Said(octets, (), None, None, at, "stream"))
            at += len(octets)

    def capture(self, f, name):
        from decoding.capture import Capture

        c = Capture(f, self.ports)
        before = self.n_units
        for said in c.read():
            self.said(said)
        if c.cut:
            say("%s: %s." % (name, c.cut))
        if self.n_units == before and not self.links:
            sentence = "%s has %d packets, and nothing on port %s."
            if c.seen:
                others = ", ".join("%d (%d packets)" % both for both in c.seen.most_common(5))
                sentence += " There are others: %s. Give one with --port." % others
            wanted = ", ".join(str(p) for p in self.ports or ["any"])
            raise Trouble(sentence % (name, c.n_packets, wanted))

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
        from decoding.conversation import Conversation

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
            if said.kind == "stream":
                self.print(link.lost(said.direction), said.line, said.link)
            self.trouble(said)
        if said.octets:
            whole = said.kind == "packet"
            units = link.octets(said.direction, said.octets, said.time, said.hidden, whole)
            for note in said.notes if units else ():
                units[0].layers.append(("note", note))
            self.print(units, said.line, said.link)

    def trouble(self, said):
        from decoding.conversation import Unit
        from decoding.pieces import field

        unit = Unit(field("line", 0, 0, error=said.trouble), b"", said.direction, said.time, ())
        unit.layers.append(("", said.trouble))
        self.print([unit], said.line, said.link)

    def close(self, link):
        self.print(self.links.pop(link).end(), 0, link)

    def end(self):
        for link in list(self.links):
            self.close(link)
        if not self.n_units:
            say("There is no message in it.")
        self.out.flush()

    def print(self, units, line, link):
        for unit in units:
            self.n_units += 1
            unit.line = line
            unit.link = link
            if self.options.json:
                self.out.write(json.dumps(unit.as_dict(), ensure_ascii=False) + "\n")
            elif self.options.xml:
                self.xml(unit)
            else:
                self.show.unit(unit)
        if units and not self.options.json and self.out.isatty():
            self.out.flush()

    def xml(self, unit):
        from decoding.xml import documents

        if unit.apdu is not None:
            for document in documents(unit.apdu, self.options.xml):
                self.out.write(document)


_OTHER = {"rx": "tx", "tx": "rx"}


def whose(said):
    """What TX means, "rx" or "tx", if these octets tell."""
    from decoding.conversation import Conversation

    units = Conversation(turns=False).octets(None, said.octets, None, said.hidden, True)
    for unit in units:
        if unit.direction and unit.error is None:
            return unit.direction if said.direction == "TX" else _OTHER[unit.direction]
    return None


def whose_all(waiting):
    return next(filter(None, map(whose, waiting)), "rx")


def is_binary(head):
    """Is it the octets of a line themselves? Text has no zeros, and few other controls."""
    controls = sum(x < 0x20 and x not in b"\t\n\r\x1b\x0c" for x in head)
    if head[:2] in _UTF_16:
        return False
    try:
        head.decode("utf-8")
    except UnicodeDecodeError as e:
        if e.start < len(head) - 4:
            return True
    return b"\0" in head or controls > len(head) // 10


def lines_of(f):
    """Lines; one without an end is cut, so that memory stays what it is."""
    while True:
        line = f.readline(_CHUNK)
        if not line:
            return
        yield line


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    bootstrap.as_command(main)
