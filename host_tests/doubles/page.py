# SPDX-License-Identifier: MIT
"""The examples on the pages of profiles over modems: lib/profiles/prime.md, g3.md, st7580.md.

python3 host_tests/doubles/page.py      write them; test_modem_pages.py sees that they are current
"""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
if __name__ == "__main__":
    for _path in ("tools", "firmware/ports/shim", "", "lib", "host_tests"):
        sys.path.insert(0, os.path.join(ROOT, _path))

from plc.page import hex_lines

from doubles import shown

PROFILES = ("prime", "g3", "st7580")
BEGIN, END = "<!-- examples -->\n", "<!-- end of examples -->"


def path(profile):
    return os.path.join(ROOT, "lib/profiles/%s.md" % profile)


def examples(profile):
    rows = []
    for k, (text, frames) in enumerate(shown.steps(profile)):
        rows += ["### A.%d %s" % (k + 1, text), "", "```"]
        for who, octets, lines in frames:
            for i, line in enumerate(hex_lines(octets)):
                rows.append("%-8s %s" % (who if i == 0 else "", line))
            for line in lines:
                rows.append("%-8s     %s" % ("", line.rstrip()))
        rows += ["```", ""]
    return rows[:-1]


def made(profile, text):
    """The page with its examples as they have to be."""
    head, rest = text.split(BEGIN)
    return head + BEGIN + "\n".join(examples(profile)) + "\n" + END + rest.split(END)[1]


if __name__ == "__main__":
    for name in PROFILES:
        with open(path(name)) as f:
            found = f.read()
        with open(path(name), "w") as f:
            f.write(made(name, found))
