# SPDX-License-Identifier: MIT
"""Examples of a profile's page, lib/profiles/<name>.md, from a conversation that a test has.

They stand between two marks of the page. A test compares them with what was said now:

    pages.check("lon", [("### A.1 AARQ", [("client", octets, "what it means"), ...]), ...])

With PICOMETER_WRITE=1 in the environment the page gets them instead.
"""

import os
from pathlib import Path

PROFILES = Path(__file__).parent.parent / "lib/profiles"
BEGIN, END = "<!-- examples -->\n", "<!-- end -->\n"
A_LINE = 36


def text(examples):
    """Of [(heading, [(who, octets, note), ...]), ...]."""
    lines = []
    for heading, says in examples:
        lines += [heading, "", "```"]
        for who, octets, note in says:
            octets = bytes(octets)
            rows = [octets[i : i + A_LINE].hex(" ").upper() for i in range(0, len(octets), A_LINE)]
            lines += [
                "%-9s%s" % (who if k == 0 else "", row) for k, row in enumerate(rows or [""])
            ]
            if note:
                lines.append("%-9s%s" % ("", note))
        lines += ["```", ""]
    return "\n" + "\n".join(lines)


def check(name, examples):
    path = PROFILES / (name + ".md")
    page = path.read_text()
    before, rest = page.split(BEGIN)
    _, after = rest.split(END)
    now = before + BEGIN + text(examples) + END + after
    if os.environ.get("PICOMETER_WRITE"):
        path.write_text(now)
    else:
        assert page == now, "PICOMETER_WRITE=1 with this test writes %s.md anew" % name
