#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Writes CONFORMANCE.md: what the stack implements, and what the reference meter has of it.

    python3 tools/statement.py            write it
    python3 tools/statement.py --check    exit code 1 if it does not say what is so

Nothing in it is typed in: requests are put to a server in this process, conformance bits come
from the constants of the code, classes from lib/cosem/classes, meters from firmware/definitions,
and what is left out from the pages of the profiles and the README.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
import tables
from bootstrap import ROOT, as_command, say

PAGE = os.path.join(ROOT, "CONFORMANCE.md")
_BITS_OF = 15  # Association LN names the conformance bits
_SECURITY_SETUP = 64
_SAID = (0x0F, 0xC2, 0x18, 0xD8, 0x0E)  # DataNotification, ... exceptions
_COMPRESSED = 0x80  # of the security control
_HEAD = """# Statement of conformance

Made by `tools/statement.py` of the code and its tables; do not edit it. It says what a client can
expect of a meter of this stack, in the words of the standards: IEC 62056-5-3 (application layer),
62056-6-2 (interface classes), and those of the profiles. What has been certified: nothing. How
sure public sources make a class is in [the page of the classes](lib/cosem/classes/README.md), and
of the clauses of a profile in its page.
"""


def section(title, *groups):
    lines = ["## " + title, ""]
    for group in groups:
        lines += group if isinstance(group, list) else [group, ""]
    return title, lines


def table(head, rows):
    out = ["| %s |" % " | ".join(head), "|%s" % ("---|" * len(head))]
    return [*out, *("| %s |" % " | ".join(str(c) for c in row) for row in rows), ""]


def sections():
    from stating import classes, code, meters, pages, probe

    found = meters.all_of_them()
    reference = found[meters.REFERENCE]
    bits = tables.load_classes()[_BITS_OF].enums["conformance"]
    names = {int(k): word.split(" (")[0] for k, word in bits.items() if k.isdecimal()}
    words = [word for word in names.values() if not word.startswith("reserved")]
    yield section(
        "Meters",
        "Definitions of `firmware/definitions`; `python3 tools/meter.py run --definition FILE`"
        " runs one. The reference meter is `%s`." % meters.REFERENCE,
        meters.overview(found),
    )
    yield section("Communication profiles", *profiles(pages))
    yield section(
        "Settings of the profiles",
        "As they are when a meter of the definition is made; a client that may write them changes"
        " them, and where the meter listens (port and address), a link of the program says.",
        meters.settings(),
    )
    yield section(
        "Associations",
        "Application contexts and mechanisms that the server opens an association with:",
        contexts(probe.opened(words)),
        "Those of the reference meter (%s):" % ", ".join(meters.limits(reference)),
        meters.associations(reference),
    )
    yield section(
        "Conformance block",
        "What an AARE grants is what the client proposes and the association has. The columns are"
        " the associations of the reference meter, client/server; the last one has the modules"
        " that look at the bit: where there is none, it changes nothing for the server.",
        meters.conformance(reference, names, code.conformance(names)),
    )
    yield section(
        "Services",
        "Each request was put to a server that has granted all bits. *yes*: it is served;"
        " *no*: the answer is service-not-supported.",
        table(
            ("with", "request", "choice", "served"),
            [(*row[:3], "yes" if row[3] else "no") for row in probe.served(words)],
        ),
        "What a meter says unasked, or in place of an answer; whom it says that to is in"
        " [lib/README.md](lib/README.md), What is sent unasked, and `lib/dlms/exceptions.py`.",
        table(("APDU", "said by"), said(code)),
    )
    yield section("Security", *security(found, code))
    yield section(
        "Interface classes",
        "*default*: the access that the class lets an attribute have; a definition narrows it."
        " *computed*: not stored, made when it is read. Types in the notation of the Book.",
        classes.lines(),
    )
    yield section(
        "Objects of the reference meter",
        "Rights: r, w of attributes, x of methods, of all or of the indexes behind the colon;"
        " -: the client does not see the object; ?ae, !ae: requests, responses have to be"
        " authenticated, encrypted.",
        meters.objects(reference),
    )
    yield section(
        "Left out",
        "From the support table of the [README](README.md).",
        table(("", "left out"), pages.left_out()),
    )


def profiles(pages):
    for name in pages.PROFILES:
        title, warnings, rows = pages.profile(name)
        said = ["[Its page](lib/profiles/%s.md)." % name, *warnings]
        yield ["### " + title, "", " ".join(said), "", *table(("", ""), rows.items())]


def said(code):
    from decoding.apdu import TABLE

    found = code.said({tag: TABLE[tag][0] for tag in _SAID})
    return [
        (TABLE[tag][0], ", ".join("`%s`" % m for m in found[tag]) or "nothing") for tag in _SAID
    ]


def contexts(opened):
    from sheet import CONTEXTS, MECHANISMS

    out = table(
        ("application context", "opened"),
        [("%d %s" % (n, word), yes(opened["context", n])) for n, word in CONTEXTS.items()],
    )
    rows = []
    for n, word in enumerate(MECHANISMS):
        rows.append(("%d %s" % (n, word), yes(opened["mechanism", n])))
    return out + table(("mechanism", "taken"), rows)


def yes(answer):
    return {True: "yes", False: "no"}.get(answer, answer)


def security(found, code):
    enums = tables.load_classes()[_SECURITY_SETUP].enums
    rows = []
    for n, word in enums["security_suite"].items():
        used = sorted(
            name
            for name, d in found.items()
            for o in d.objects
            if o.version.class_id == _SECURITY_SETUP and str(o.cells[3].value) == n
        )
        word = "; ".join(part for part in word.split("; ") if "compression" not in part)
        if word == "reserved":
            continue
        rows.append((n, word, ", ".join(dict.fromkeys(used)) or "no definition"))
    yield "Suites, as the class file has them, and the definitions with a Security setup of each:"
    yield table(("suite", "", "used by"), rows)
    if code.module("dlms.ciphering")["_SUITE_AND_COMPRESSED"] & _COMPRESSED:
        yield (
            "Compression (V.44), which suites 1 and 2 have besides, is left out: a security"
            " control has to have the suite and no more, so its bit is refused."
        )
    yield "How they are used: [lib/README.md](lib/README.md), Security and Cryptography."


def text():
    done = list(sections())
    toc = ["- [%s](#%s)" % (title, title.lower().replace(" ", "-")) for title, _ in done]
    lines = [_HEAD, *toc, ""]
    for _, body in done:
        lines += body
    return "\n".join(lines).rstrip() + "\n"


def main(arguments):
    p = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    p.add_argument("--check", action="store_true", help="write nothing; is it up to date?")
    options = p.parse_args(arguments)
    bootstrap.inside("plugfest", "cryptography")
    wanted, there = text(), ""
    if os.path.exists(PAGE):
        with open(PAGE, encoding="utf-8") as f:
            there = f.read()
    if there == wanted:
        return 0
    if options.check:
        say("CONFORMANCE.md: not up to date; run tools/statement.py.")
        return 1
    with open(PAGE, "w", encoding="utf-8") as f:
        f.write(wanted)
    return 0


if __name__ == "__main__":
    as_command(main)
