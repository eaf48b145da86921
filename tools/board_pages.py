#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Fills the memory tables of the pages in boards/, between the marks that they have for it.

    python3 tools/board_pages.py [BOARD ...]

Octets of the code come from compiling it for the board's processor, those of the heap from the
figures of the Cortex-M3 (tools/bench_budget.toml), which is of 32 bits as the boards are.

CPython >= 3.11, standard library only.
"""

import os
import re
import sys
import tomllib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
import bundle
import compile as compiling
import images
from bootstrap import ROOT, Trouble, as_command, say

BEGIN = "<!-- sizes: filled by make sizes -->"
END = "<!-- end of sizes -->"

# What mpy-cross calls the processors of board.json.
ARCHITECTURES = {
    "rp2040": "armv6m",
    "rp2350": "armv7emsp",
    "stm32f4": "armv7emsp",
    "esp32": "xtensawin",
    "esp32s3": "xtensawin",
    "unix": "x64",
}


def pages(names=()):
    """{board: path of its page} of the pages that have marks."""
    found = {}
    for board in names or images.boards():
        path = os.path.join(images.BOARDS, board, "README.md")
        if os.path.exists(path) and BEGIN in read(path):
            found[board] = path
        elif names:
            raise Trouble("%s has no page with the marks %s ... %s." % (board, BEGIN, END))
    return found


def read(path):
    with open(path, encoding="utf-8") as f:
        return f.read()


def total(folder):
    return sum(
        os.path.getsize(os.path.join(where, name))
        for where, _folders, names in os.walk(folder)
        for name in names
        if name.endswith(".mpy")
    )


def stored(folder):
    """Octets of state and full profiles of the definition in a folder."""
    names = {}
    exec(read(os.path.join(folder, "definition.py")), names)
    rings = sum((row_len + 6) * capacity + 64 for _row, row_len, capacity in names["RINGS"])
    return rings + 2 * (names["PERSISTENT"] + 88)


def rows(board):
    """(what, where, octets) of a board's table."""
    constants = images.wiring(board)
    folder = compiling.definition(images.DEFINITION)
    state = constants["STATE"]
    if constants["PORT"] == "circuitpython":
        files = bundle.drive_files(board, images.DEFINITION)
        found = [("sources of the meter", "drive", sum(map(len, files.values())))]
        place = "drive"
    else:
        mcu = re.search(r'"mcu": "(\S+)"', read(os.path.join(images.BOARDS, board, "board.json")))
        arch = ARCHITECTURES[mcu.group(1)]
        compiler = bootstrap.mpy_cross()
        code = compiling.device_code(compiler, arch)
        tables = compiling.definition_mpy(compiler, folder)
        found = [
            ("lib/ and firmware/, for %s" % arch, "flash, or heap if not frozen", total(code)),
            ("definition of the reference meter", "the same", total(tables)),
        ]
        if constants["PORT"] != "unix":
            with open(os.path.join(ROOT, "tools", "bench_budget.toml"), "rb") as f:
                held = tomllib.load(f)["cortex-m3"]["held"]["was"]
            found.append(("the running meter, its code frozen (Cortex-M3)", "heap", held))
        place = "file system"
    where = place if state else "file system, if state is kept"
    found.append(("state and full profiles", where, stored(folder)))
    return found


def table(board):
    lines = ["| what | where | octets |", "|---|---|---|"]
    lines += ["| %s | %s | %s |" % (what, where, format(n, ",")) for what, where, n in rows(board)]
    return "\n".join(lines)


def fill(path, text):
    """Put a text between the marks; True if the page has changed."""
    page = read(path)
    head, _, rest = page.partition(BEGIN)
    _, end, tail = rest.partition(END)
    if not end:
        raise Trouble("%s has no %s." % (os.path.relpath(path, ROOT), END))
    new = "%s%s\n%s\n%s%s" % (head, BEGIN, text, END, tail)
    if new == page:
        return False
    with open(path, "w", encoding="utf-8") as f:
        f.write(new)
    return True


def main(args):
    try:
        if not bootstrap.mpy_cross():
            bootstrap.provide("run")
        for board, path in pages(args).items():
            if fill(path, table(board)):
                print("boards/%s/README.md: memory table filled" % board)
    except Trouble as e:
        say(str(e))
        return 1
    return 0


if __name__ == "__main__":
    as_command(main)
