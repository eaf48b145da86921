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
import json
import os
import re
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
from bootstrap import Trouble, say

_KEYS = {
    "guek": "global unicast encryption key",
    "gbek": "global broadcast encryption key",
    "gak": "authentication key",
    "kek": "master key",
    "dedicated": "dedicated key",
}

EPILOG = """\
how to read a tree:
  5  10:20:19  client 16 -> server 1  !!
      14  00 03                class-id: 3: Register
      16  01 00                instance-id: 1.0
      18                       ^ expected 6 octets of Cosem-Object-Instance-Id, found 2 and the end
  At first the line or packet, its time, who says it to whom, and !! if there are ^ in it. Then for
  each field from which octet on, its octets (8 at most; ** are keys and passwords), the Book's
  name, value and meaning; ^: at octet 18 it goes wrong. What was deciphered or put together has
  octets of its own, counted from 0.

for programs (--json):
  Of a message: octets; layers, as --brief shows them; where it is known, line, link, time, client,
  server, direction (rx: to the meter). Of each field: name, type, start, end; where there are any,
  value, text, error (text, and at, the octet), children.
  What was left out is said on stderr. Exit code: 0, also with ^; 1: there was nothing to decode;
  2: asked for wrongly.

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
    form = group.add_mutually_exclusive_group()
    form.add_argument("--json", action="store_true", help="a line of JSON each message")
    form.add_argument("--xml", choices=("simple", "standard"),
                      help="XML of each APDU, in a vocabulary of Gurux' translator")  # fmt: skip
    form.add_argument("--brief", action="store_true", help="a line each layer, no trees")
    group.add_argument("--colour", choices=("auto", "always", "never"), default="auto")
    group = p.add_argument_group("names and layers")
    group.add_argument(
        "--definition", metavar="FILE", help="a meter definition (TOML), for names of its objects"
    )
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
    files = {"action": "append", "default": [], "metavar": "FILE"}
    group.add_argument("--sheet", help="connection sheet (JSON), or - for stdin", **files)
    group.add_argument("--record", help="provisioning record, or certificate and key", **files)
    for name, words in _KEYS.items():
        group.add_argument("--" + name, metavar="FILE", help="%s, hexadecimal" % words)
    group.add_argument("--title", action="append", default=[], metavar="HEX",
                       help="system title of who sends, 16 digits")  # fmt: skip
    return p


def main(args):
    if sys.stdout is None:
        raise Trouble("There is no stdout: it is closed.")
    if sys.stdin is None:
        sys.stdin = open(os.devnull)
    p = parser()
    options = p.parse_args(args)
    gc.set_threshold(100000)  # trees have no cycles
    bootstrap.inside("plugfest", "cryptography", "pcapng")
    from decoding.layers import LAYERS

    if options.layer and options.layer not in LAYERS:
        p.error("--layer %s: expected one of %s" % (options.layer, ", ".join(LAYERS)))
    inputs = options.input or ["-"]
    if not any(text.strip() for text in inputs):
        p.error("nothing is given; expected a file, - or hexadecimal")
    if "-" in inputs and "-" in options.sheet:
        p.error("stdin is the sheet already; name a file to decode")
    ports = None if "any" in options.port else [port(p, text) for text in options.port] or [4059]
    keys = read_keys(options)
    names = read_names(options.definition)
    from decoding.run import Run

    sys.stdout.reconfigure(errors="backslashreplace")  # whatever a terminal cannot show
    run = Run(options, keys, names, ports, sys.stdout)
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


def as_written(args):
    """main(), where what cannot be written is a sentence."""
    try:
        return main(args)
    except BrokenPipeError:
        raise
    except OSError as e:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what is left goes nowhere
        raise Trouble("Reading or writing has failed (%s)." % (e.strerror or e)) from None


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


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.default_int_handler)
    bootstrap.as_command(as_written)
