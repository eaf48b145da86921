# SPDX-License-Identifier: MIT
"""The command line of tools/tables.py.

Exit 0: done; 1: --check found a file that is not up to date; 2: an error in the definition, in a
class file, or of the command line, said in one line.
"""

import argparse
import json
import os
import sys

from . import pack, show
from .source import TableError


def main(arguments):
    p = argparse.ArgumentParser(
        prog="tables.py", description="Pack a meter definition into tables."
    )
    p.add_argument("definition", help="TOML file, such as firmware/definitions/residential.toml")
    p.add_argument(
        "-o", "--output", help="module to write, such as build/definition/definition.py"
    )
    p.add_argument("--check", action="store_true", help="write nothing; is the output up to date?")
    p.add_argument("--list", action="store_true", help="print the objects, one a line")
    p.add_argument("--json", action="store_true", help="print objects, access, and values as JSON")
    options = p.parse_args(arguments)
    if options.check and not options.output:
        p.error("--check needs -o: the file to compare with")
    try:
        tables = pack.compile(options.definition)
    except TableError as e:
        print(e, file=sys.stderr)
        return 2
    try:
        if options.list:
            print(show.as_list(tables))
        if options.json:
            print(json.dumps(show.as_json(tables), indent=1))
    except BrokenPipeError:  # such as | head
        sys.stderr.close()
        return 0
    if options.output:
        failed = write(options, show.module(tables))
        if failed:
            return failed
    if options.output or not (options.list or options.json):
        print(show.sizes(tables), file=sys.stderr if options.json else sys.stdout)
    return 0


def write(options, text):
    try:
        with open(options.output, encoding="utf-8") as f:
            same = f.read() == text
    except (OSError, UnicodeDecodeError):
        same = False
    if options.check:
        if not same:
            message = "%s: not up to date; expected what tools/tables.py makes of %s"
            print(message % (options.output, options.definition), file=sys.stderr)
        return 0 if same else 1
    if same:
        return 0
    try:
        os.makedirs(os.path.dirname(options.output) or ".", exist_ok=True)
        with open(options.output, "w", encoding="utf-8") as f:
            f.write(text)
    except OSError as e:
        print("%s:0: %s; expected a file to write" % (options.output, e.strerror), file=sys.stderr)
        return 2
    return 0
