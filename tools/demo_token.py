#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Makes a token of the project's test scheme (firmware/meter/demo_tokens.py), for a meter to play
with: anybody can.

    python3 tools/demo_token.py 500                   hexadecimal, for `enter` of Token gateway
    python3 tools/demo_token.py 500 --identifier 7    not the seconds since 1970

The amount is in the unit of the account (cents in the prepayment meter). It is good for one meter,
whose system title the definition gives, or --title.
"""

import argparse
import hashlib
import hmac
import os
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compile as compiling
import sheet as sheets
from bootstrap import ROOT, as_command

DEFAULT_DEFINITION = os.path.join(ROOT, "firmware", "definitions", "prepayment.toml")
_KEY = b"DEMO KEY OF TEST TOKENS"
_TAG_LEN = 8


def token(title, amount, identifier):
    octets = identifier.to_bytes(8, "big") + amount.to_bytes(4, "big")
    return octets + hmac.digest(_KEY, title + octets, hashlib.sha256)[:_TAG_LEN]


def number(most):
    def parse(text):
        if not text.isdecimal() or not 0 < int(text) <= most:
            raise argparse.ArgumentTypeError("%r is no number from 1 to %d" % (text, most))
        return int(text)

    return parse


def title(text):
    try:
        octets = bytes.fromhex(text)
    except ValueError:
        octets = b""
    if len(octets) != 8:
        raise argparse.ArgumentTypeError("%r is no system title (16 hexadecimal digits)" % text)
    return octets


def main(args):
    p = argparse.ArgumentParser(prog="demo_token.py", description="A token of the test scheme.")
    p.add_argument("amount", type=number((1 << 31) - 1))
    p.add_argument("--identifier", type=number((1 << 63) - 1), default=int(time.time()))
    p.add_argument("--definition", metavar="FILE", default=DEFAULT_DEFINITION)
    p.add_argument("--title", type=title, metavar="HEX", help="of a meter that is provisioned")
    options = p.parse_args(args)
    of = options.title
    if of is None:
        of = sheets.load(compiling.definition(options.definition)).SYSTEM_TITLE
    print(token(of, options.amount, options.identifier).hex().upper())
    return 0


if __name__ == "__main__":
    as_command(main)
