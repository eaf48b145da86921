#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Captures of what goes over the links of a meter, as pcapng files, which Wireshark opens.

    python3 tools/meter.py run --capture FILE [--capture-keys [FILE]]      a meter on this PC
    python3 tools/capture.py --port /dev/ttyACM0 [--keys FILE] FILE        a board, by its REPL

What a link is decides what its packets are:

    wrapper-tcp, wrapper-udp, out-tcp, out-udp      TCP and UDP in IPv4 or IPv6 (LINKTYPE_RAW),
                    with the true addresses and ports; sequence numbers, the handshake and
                    checksums are made here, for a meter sees octets
    hdlc-..., and optical-... after mode E          frames of HDLC, with their flags: USER0 (147)
    optical-...     messages of IEC 62056-21, without parity bits: USER1 (148)
    plc-...         what goes to and comes from the modem, as it comes: USER2 (149)
    others          octets of a serial line, as they come: USER3 (150)

There is an interface for each local address. With keys there is one more, "deciphered": protected
APDUs in plain text, each a wpdu over UDP between the same addresses, or 192.0.2.1 (the client) and
192.0.2.2 (the meter) where there are none. Comments of packets say what a fault has done, what was
lost, and what an APDU is.

Wireshark shows octets on port 4059 unless it has a dissector of DLMS (a plug-in, or, in recent
versions, its own). That one is told of HDLC by Preferences, Protocols, DLT_USER: User 0 (DLT=147),
payload dissector dlms; or on the command line by
    -o 'uat:user_dlts:"User 0 (DLT=147)","dlms","0","","0",""'
Without one it may take a wpdu, which begins with 00 01, for something else that does:
    -d udp.port==4059,data -d tcp.port==4059,data

A file is read by its owner only, is whole after every packet, and may be a named pipe. Runs in
build/venv, for it needs python-pcapng.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
from bootstrap import as_command, say

bootstrap.inside("plugfest", "pcapng", "cryptography")

import feeds
from capturing.capture import Capture
from capturing.file import File
from decoding.keys import Keys
from decoding.names import Names
from feeds.board import BoardFeed

KEYS_HELP = "for a deciphered copy: a connection sheet (JSON), a provisioning record, or PEM"


def main(args):
    p = argparse.ArgumentParser(
        prog="capture.py", description="Writes what goes over the links of a board's meter."
    )
    p.add_argument("--keys", metavar="FILE", action="append", help=KEYS_HELP)
    p.add_argument("--port", required=True, help="of the board's REPL: /dev/ttyACM0, socket://...")
    p.add_argument("file", metavar="FILE", help="pcapng, for Wireshark; or a named pipe")
    options = p.parse_args(args)
    feed = feeds.Feed()
    keys = Keys.read(*options.keys) if options.keys else None
    capture = Capture(File(options.file), keys, Names(), here=False)
    feed.subscribe(capture.take)
    try:
        with BoardFeed(feed, options.port) as board:
            say("The meter runs with a feed; Ctrl-C ends the capture.")
            board.relay(lambda octets: print(octets.decode(errors="replace"), end="", flush=True))
    finally:
        capture.close()
    return 0


if __name__ == "__main__":
    as_command(main, code=0)
