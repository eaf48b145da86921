# SPDX-License-Identifier: MIT
"""What pages say of themselves: the table of clause 1 of each profile's page, and the support
table of the README. They are the places where what is left out is written down."""

import os
import re

from bootstrap import ROOT

PROFILES = ("hdlc", "wrapper", "iec62056_21", "sfsk", "prime", "g3", "lon", "st7580")
_ROW = re.compile(r"^\| (Implemented|Left out) \| (.*) \|$", re.MULTILINE)
_WARNING = re.compile(r"^(\*\*(?:This is not|Not) .*?\*\*)", re.MULTILINE)
_LINK = re.compile(r"\s*\(\[[^]]*\]\([^)]*\)[^)]*\)|\[([^]]*)\]\([^)]*\)")
_COMMENT = re.compile("<!--.*?-->")


def read(path):
    with open(os.path.join(ROOT, path), encoding="utf-8") as f:
        return f.read()


def plain(text):
    """Without links, and marks of what makes the text."""
    return _COMMENT.sub("", _LINK.sub(lambda m: m[1] or "", text)).strip()


def profile(name):
    """(title, [what it is not], {"Implemented": text, "Left out": text}) of a page."""
    text = read("lib/profiles/%s.md" % name)
    rows = {k: plain(v) for k, v in _ROW.findall(text)}
    return text.splitlines()[0].lstrip("# "), _WARNING.findall(text), rows


def left_out():
    """[(what, text)] of the column "not yet" of the support table."""
    table = read("README.md").split("| | supported | not yet |")[1].split("\n\n")[0]
    rows = [line.strip("|").split(" | ") for line in table.splitlines()[2:]]
    found = [(row[0].strip(), plain(row[-1])) for row in rows]
    return [(what, text) for what, text in found if text]
