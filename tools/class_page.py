#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes lib/cosem/classes/README.md: what there is of each version of each interface class, and
how sure the class file is of it; and in the README the names of the classes that behave, and of
those that nothing is behind.

    python3 tools/class_page.py            write them
    python3 tools/class_page.py --check    exit code 1 if they do not say what the files say

CPython >= 3.11, standard library only.
"""

import argparse
import os
import re
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import tables
from bootstrap import ROOT, say

README = os.path.join(ROOT, "README.md")
_BEHAVE = re.compile("(?<=<!-- behave -->).*?(?=<!-- end -->)")
_KEEP = re.compile("(?<=<!-- keep -->).*?(?=<!-- end -->)")
_DATA = 1  # its value is the meter program's and the clients': that is all it is for
PAGE = os.path.join(ROOT, "lib", "cosem", "classes", "README.md")
LEVELS = ("high", "medium", "low")
_HEAD = """# Interface classes

Made by `tools/class_page.py` of the files beside it, one a class. Each of %d classes in %d
versions can be an object of a definition: its attributes are read, set with their types and
ranges checked, and have their short names.

*Behaves* names the module in `lib/cosem` that acts on the values. "nothing": the class keeps its
configuration, and nothing is behind it; its methods answer other-reason. Of *attributes* those in
brackets are computed. *Confidence*: how well public sources bear the version out, as they are no
copies of the standard; then the attributes and methods (a2, m1) that are less certain than that.

| class | version | clause | attributes | methods | behaves | confidence |
|---|---|---|---|---|---|---|
"""


def less_certain(v):
    """Text of the attributes and methods that are less certain than their version."""
    found = {}
    for letter, members in (("a", v.attributes), ("m", v.methods)):
        for k, member in members.items():
            if LEVELS.index(member.confidence) > LEVELS.index(v.confidence):
                found.setdefault(member.confidence, []).append("%s%d" % (letter, k))
    return "".join(
        "; %s: %s" % (level, ", ".join(found[level])) for level in LEVELS[1:] if level in found
    )


def row(c, v):
    """The line of a version."""
    computed = sum(a.computed for a in v.attributes.values())
    return "| %d %s | %d%s | %s | %d%s | %s | %s | %s%s |\n" % (
        c.class_id,
        v.name,
        v.version,
        "" if v is c.current else ", older",
        v.clause,
        len(v.attributes),
        " (%d)" % computed if computed else "",
        len(v.methods) or "",
        v.module or ("" if c.class_id == _DATA else "nothing"),
        v.confidence,
        less_certain(v),
    )


def text():
    """The page."""
    classes = tables.load_classes()
    versions = [(c, v) for c in classes.values() for _, v in sorted(c.versions.items())]
    return _HEAD % (len(classes), len(versions)) + "".join(row(*which) for which in versions)


def names(behave):
    """The classes that behave, or do not, with their versions where not all of them are meant."""
    found = []
    for c in tables.load_classes().values():
        versions = sorted(c.versions.items())
        meant = [k for k, v in versions if bool(v.module or c.class_id == _DATA) == behave]
        if meant:
            name = c.name.split(" (")[0]
            some = len(meant) < len(versions)
            found.append(name + " " + " and ".join("v%d" % k for k in meant) if some else name)
    return ", ".join(found)


def pages():
    """{file: what it should say}"""
    with open(README, encoding="utf-8") as f:
        readme = _BEHAVE.sub(names(True), f.read())
    return {PAGE: text(), README: _KEEP.sub(names(False), readme)}


def main(arguments):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--check", action="store_true", help="write nothing; are they up to date?")
    options = p.parse_args(arguments)
    failed = 0
    for path, wanted in pages().items():
        there = ""
        if os.path.exists(path):
            with open(path, encoding="utf-8") as f:
                there = f.read()
        if there != wanted and options.check:
            say("%s: not up to date; run tools/class_page.py." % os.path.relpath(path, ROOT))
            failed = 1
        elif there != wanted:
            with open(path, "w", encoding="utf-8") as f:
                f.write(wanted)
    return failed


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
