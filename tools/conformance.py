#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Plays a list of conformance cases against any DLMS/COSEM meter, and says what came of each.

    python3 tools/conformance.py                                 our reference meter, over all
    python3 tools/conformance.py tcp://192.0.2.7:4059 --description meter.json
    python3 tools/conformance.py /dev/ttyUSB0:9600 --client 1 --mechanism lls --secret secret.txt
    python3 tools/conformance.py --list

The description of a meter (who may associate, with which secrets and keys) is what
`tools/meter.py sheet --json` prints, as JSON or TOML; tools/conforming/target.py lists its keys.
The results are an HTML page, a file for JUnit, and with --json JSON on stdout; none has secrets:

    {"name", "places": [TARGET], "when", "seconds", "may",
     "verdicts": {"pass": N, "fail": N, "inconclusive": N, "not applicable": N},
     "cases": [{"id", "title", "group", "profile", "reference", "verdict", "why", "seconds"}]}

The exit code is 0 if nothing failed, 1 if something did, 2 if nothing could be played, or if
nothing came; 130 after Ctrl-C, which ends the run, and leaves the results until then.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or later is needed; this is %d.%d." % sys.version_info[:2])

import os

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap

if __name__ == "__main__":
    bootstrap.inside("plugfest", "rich", "serial", "cryptography")

import argparse
import datetime
import json
import re
import time

import conforming.groups as groups
from bootstrap import ROOT, Trouble, as_command, say
from conforming import junit, report
from conforming.case import FAIL, INCONCLUSIVE, PASS, VERDICTS
from conforming.explain import Scrub
from conforming.player import LEVELS, POLICY, WRITE, Player
from conforming.target import KEY_LENS, Target, described, octets, place
from decoding.keys import given

OUT = os.path.join(ROOT, "build", "conformance")
MECHANISMS = {"none": 0, "lls": 1, "md5": 3, "sha1": 4, "gmac": 5, "sha256": 6}
_CIPHERED = 3


def main(args):
    o = parser().parse_args(args)
    names = [name for text in o.only for name in text.split(",")]
    for name in names:
        if name not in groups.GROUPS:
            raise Trouble("--only: %s is none of %s." % (name, ", ".join(groups.GROUPS)))
    ids = [i for text in o.case for i in text.split(",")]
    if o.list:
        return show_list(names)
    known = [case.id for _, case in groups.listed()]
    for i in ids:
        of_0 = re.sub("^SYMSEC_[12]", "SYMSEC_0", i)
        if not i.startswith("COSEM_") and not any((k + "_").startswith(of_0 + "_") for k in known):
            raise Trouble("--case: there is no %s; --list names them all." % i)
    if o.may is None:
        o.may = LEVELS[WRITE if o.target else POLICY]
    if o.target:
        description = described(o.description) if o.description else {}
        add_association(description, o)
        return run(o, [place(text, o.patience) for text in o.target], description, names, ids)
    if o.description or o.client is not None:
        raise Trouble("A description is there, and no TARGET that it describes.")
    from conforming.own import OwnMeter

    with OwnMeter(o.definition) as meter:
        places = [place(text, o.patience) for text in meter.places]
        return run(o, places, meter.description, names, ids)


def parser():
    p = argparse.ArgumentParser(
        prog="conformance.py", formatter_class=argparse.RawDescriptionHelpFormatter,
        description=__doc__,
    )  # fmt: skip
    p.add_argument(
        "target", nargs="*", metavar="TARGET",
        help="tcp://HOST:PORT (wrapper), hdlc+tcp://HOST:PORT, /dev/ttyX[:BAUD] (HDLC),"
        " optical:/dev/ttyX[:BAUD] (sign-on), optical+tcp://HOST:PORT; several are played in turn;"
        " none: our reference meter is started",
    )  # fmt: skip
    w = p.add_argument_group("who is asked")
    w.add_argument(
        "--description", metavar="FILE", help="what is known of the meter: JSON or TOML"
    )
    w.add_argument("--client", type=number, metavar="SAP", help="or one client, with what follows")
    w.add_argument("--server", type=number, metavar="SAP", default=1)
    w.add_argument("--mechanism", choices=MECHANISMS, default="none")
    w.add_argument(
        "--secret", metavar="FILE",
        help="a file with that of LLS, MD5, SHA-1, SHA-256 (0x...: hex); or PICOMETER_SECRET of"
        " the environment: everybody sees the command line",
    )  # fmt: skip
    for key in ("guek", "gak", "kek"):
        w.add_argument("--" + key, metavar="FILE", help="a file with this key, hexadecimal")
    w.add_argument(
        "--suite", type=int, choices=KEY_LENS, default=0, help="security suite of the keys (0)"
    )
    w.add_argument("--title", metavar="HEX", help="system title of the meter")
    w.add_argument("--lower", type=number, metavar="N", help="lower address of HDLC")
    w.add_argument("--definition", metavar="FILE", help="of our meter, without a TARGET")
    c = p.add_argument_group("what is played")
    c.add_argument("--only", action="append", default=[], metavar="GROUP[,...]",
                   help=", ".join(groups.GROUPS))  # fmt: skip
    c.add_argument("--case", action="append", default=[], metavar="ID[,...]",
                   help="cases with these ids, or whose ids begin so (COSEM_8)")  # fmt: skip
    c.add_argument("--list", action="store_true", help="list the cases, and end")
    c.add_argument(
        "--may", choices=LEVELS,
        help="what may be done to the meter: read; write (values, put back; that is meant if"
        " nothing is said); keys (changed, and put back); policy (raised, for ever)",
    )  # fmt: skip
    c.add_argument("--patience", type=seconds, default=5.0, metavar="S", help="for an answer (5)")
    c.add_argument("--longest", type=seconds, default=130.0, metavar="S", help="silence (130)")
    r = p.add_argument_group("results")
    r.add_argument("--report", metavar="FILE", default=os.path.join(OUT, "report.html"))
    r.add_argument("--junit", metavar="FILE", default=os.path.join(OUT, "junit.xml"))
    r.add_argument("--json", action="store_true", help="print the results as JSON")
    r.add_argument("--full", action="store_true", help="all steps of cases that pass, too")
    return p


def number(text):
    if not text.isdecimal() or int(text) > 0x3FFF:
        raise argparse.ArgumentTypeError("%r is no address (0 to 16383)" % text)
    return int(text)


def seconds(text):
    try:
        value = float(text)
    except ValueError:
        value = 0
    if not 0.01 <= value <= 3600:
        raise argparse.ArgumentTypeError("%r is no time (0.01 to 3600 s)" % text)
    return value


def add_association(description, o):
    """What the options say of one client goes into the description."""
    if o.lower is not None:
        description["hdlc_physical_address"] = o.lower
    if o.title:
        description["system_title"] = o.title
        if len(octets(o.title, "--title")) != 8:
            raise Trouble("--title has not 8 octets.")
    secret = given("secret", o.secret)
    keys = {key: given(key, getattr(o, key)) for key in ("guek", "gak", "kek")}
    if o.client is None:
        if o.secret or o.guek:
            raise Trouble("A secret or a key is there, and no --client that it belongs to.")
        return
    entry = {"client_sap": o.client, "server_sap": o.server,
             "mechanism_id": MECHANISMS[o.mechanism], "application_context_id": 1}  # fmt: skip
    if secret:
        hex_ = secret[2:] if secret.startswith("0x") else secret.encode().hex()
        entry["secret_hex"] = octets(hex_, "--secret").hex()
    for key, value in keys.items():
        if value:
            if len(octets(value, "--" + key)) != KEY_LENS[o.suite]:
                raise Trouble("--%s has not %d octets." % (key, KEY_LENS[o.suite]))
            entry[key + "_hex"] = value
            entry["application_context_id"] = _CIPHERED
            entry["security_suite"] = o.suite
    needs = o.mechanism not in ("none", "gmac") and not secret
    if needs or o.mechanism == "gmac" and not (keys["guek"] and keys["gak"]):
        raise Trouble("--mechanism %s needs %s." % (o.mechanism, "--secret" if needs else
                                                   "--guek and --gak"))  # fmt: skip
    entries = description.setdefault("associations", [])
    if not entries:
        entries.append({"client_sap": 16, "server_sap": o.server})
    entries[:] = [e for e in entries if (e["client_sap"], e["server_sap"]) !=
                  (o.client, o.server)] + [entry]  # fmt: skip


def show_list(names):
    for group, case in groups.listed(names):
        print("%-12s %-22s %s" % (group, case.id, case.title))
    for group, id, title in (
        ("objects", "COSEM_X_Y", "Attributes of class X, version Y, of each association"),
        ("security", "SYMSEC_1, SYMSEC_2", "The cases of SYMSEC_0 with suites 1 and 2"),
    ):
        if not names or group in names:
            print("%-12s %-22s %s" % (group, id, title))
    return 0


def run(o, places, description, names, ids):
    """Play all, write what came of it; the exit code."""
    from conforming.terminal import Terminal

    target = Target(description)
    scrub = Scrub(target.secrets())
    began = time.monotonic()
    results = []
    with Terminal(scrub, quiet=o.json) as terminal, Interruptible() as whole:
        for kind, line, over_tcp in places:
            player = Player(
                target, line, kind, LEVELS.index(o.may), o.patience, o.longest,
                terminal.result, over_tcp,
            )  # fmt: skip
            player.on_case = terminal.case
            chosen = names or list(groups.GROUPS)
            if not o.target and kind == "optical":
                # HDLC behind it is that of another port.
                chosen = [name for name in chosen if name == "optical"]
            for result in groups.play(player, chosen, ids):
                results.append(result)
            terminal.place(kind)
    if whole.interrupted:
        say("Interrupted: what follows is of the cases that were played until then.")
    if not results:
        raise Trouble("No case was played: none of these belongs to such a place.")
    about = {
        "name": description.get("logical_device_name", "a meter"),
        "places": o.target or ["our reference meter"],
        "when": datetime.datetime.now().astimezone().strftime("%Y-%m-%d %H:%M %Z"),
        "seconds": time.monotonic() - began,
        "may": o.may,
    }
    n = report.tally(results)
    write(o.report, report.page(results, about, scrub, o.full))
    write(o.junit, junit.xml(results, scrub))
    if o.json:
        print(json.dumps(as_dict(results, about, n, scrub), indent=2))
    terminal.end("%s in %.0f s. Report: %s" % (report.outcome(n), about["seconds"],
                                               os.path.relpath(o.report)))  # fmt: skip
    if whole.interrupted:
        return 130
    if not any(step.kind == "came" for r in results for step in r.steps):
        say("Nothing has come from %s." % " or ".join(about["places"]))
        return 2
    if n[FAIL]:
        return 1
    return 0 if n[PASS] or not n[INCONCLUSIVE] else 2


class Interruptible:
    """Ctrl-C ends what is inside, no more."""

    interrupted = False

    def __enter__(self):
        return self

    def __exit__(self, kind, *_):
        self.interrupted = kind is KeyboardInterrupt
        return self.interrupted


def as_dict(results, about, n, scrub):
    cases = [r.as_dict() for r in results]
    for c in cases:
        c["why"] = scrub.text(c["why"])
    return {**about, "verdicts": {v: n[v] for v in VERDICTS}, "cases": cases}


def write(path, text):
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
        with open(path, "w", encoding="utf-8", errors="replace") as f:
            f.write(text)
    except OSError as e:
        raise Trouble("%s cannot be written (%s)." % (path, e.strerror)) from None


if __name__ == "__main__":
    as_command(main)
