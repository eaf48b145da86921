#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Millions of requests to a meter, over all profiles, with faults, while it clocks a month.

    python3 tools/soak.py [--requests N] [--days N] [--seconds N] [--runtime cpython|micropython]
                          [--seed N] [--json]

On CPython one reference meter is asked over wrapper (TCP, UDP), HDLC, S-FSK, PRIME, G3 and LON at
once, and another one at its optical port, by all the clients that it has: in plain text, with
short names, pre-established, with the ciphers of suites 0, 1 and 2; lines are cut, octets mean
nothing, frames are lost, keys are wrong. On MicroPython (unix) a meter is asked over wrapper and
HDLC, each request with the heap locked. The meter's time is virtual, and passes as the requests
come. Not in it: notifications, updates, other definitions.

Looked at again and again: the heap, descriptors, files and octets of the state, associations that
are left; A+ is what its household has said to the last watt-second; no energy and no counter goes
back; the load profile has a row for each quarter of an hour; all values are of their types; and a
meter that starts with a copy of the files, as after a power failure, has all rows, no counter that
comes again, and nothing that is older than the look before. Exit code 1, and a sentence, when
something is not as it should be.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
import traceback

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
import compile as compiling
from bootstrap import ROOT, Trouble, say
from meter import DEFAULT_DEFINITION

SCRIPT = os.path.join(ROOT, "host_tests", "device", "soak.py")
REQUESTS, DAYS = 1_000_000, 30
LOOKS = 30
A_SESSION = 12  # requests of an association
# Sessions of a round, by link.
ROUND = (
    ("tcp", 6), ("udp", 4), ("hdlc", 6), ("sfsk", 1), ("prime", 1), ("g3", 1), ("lon", 1),
)  # fmt: skip
OPTICAL = 4
# What may be there more at the end than after a tenth of it: blocks on CPython's heap, octets on
# MicroPython's, descriptors.
MORE_BLOCKS, MORE_OCTETS, MORE_DESCRIPTORS = 3000, 4096, 0
SAY_EVERY_S = 10


class Progress:
    """A bar on a terminal, a line now and then elsewhere."""

    def __init__(self, total):
        from rich.console import Console
        from rich.progress import Progress as Bar
        from rich.progress import TextColumn

        self.total = total
        self.began = self.told = time.monotonic()
        console = Console(stderr=True)
        self.bar = None
        if console.is_terminal:
            columns = [*Bar.get_default_columns(), TextColumn("{task.fields[text]}")]
            self.bar = Bar(*columns, console=console, transient=True)
            self.task = self.bar.add_task("requests", total=total, text="")
            self.bar.start()

    def at(self, n, text):
        now = time.monotonic()
        if self.bar:
            self.bar.update(self.task, completed=n, text=text)
        elif now - self.told > SAY_EVERY_S:
            self.told = now
            say("{:,} of {:,} requests, {}".format(n, self.total, text))

    def end(self):
        if self.bar:
            self.bar.stop()


def grown(looks, name, more):
    """A sentence, if there is more and more: the end against a tenth of the way."""
    early = looks[max(1, len(looks) // 10) :][:3]
    late = looks[-3:]
    if len(looks) < 6:
        return None
    first, last = (sorted(look[name] for look in some)[len(some) // 2] for some in (early, late))
    if last - first > more:
        return "%s: %d at first, %d at the end" % (name, first, last)
    return None


def on_cpython(options):
    import soaking

    folder = tempfile.mkdtemp(prefix="picometer-soak-")
    world = looks = None
    began = time.monotonic()
    progress = Progress(options.requests)
    total_s = round(options.days * 86400)
    try:
        world = soaking.World(folder, options.seed)
        looks = []
        done = 0
        while done < options.requests:
            for name, n in ROUND:
                for _ in range(n):
                    world.session(name, A_SESSION)
            for _ in range(OPTICAL):
                world.at_the_optical_port()
            done = sum(world.count.values())
            over = time.monotonic() - began > options.seconds if options.seconds else False
            part = 1 if over else min(1, done / options.requests)
            pass_to(world, int(total_s * part))
            if part * LOOKS >= len(looks) + 1:
                looks.append(world.check())
            progress.at(done, "day %.1f" % (world.seconds / 86400))
            if over:
                break
        looks.append(world.check())
        world.end()
        wrong = (
            grown(looks, "heap_blocks", MORE_BLOCKS)
            or grown(looks, "descriptors", MORE_DESCRIPTORS)
            or grown(looks, "files", 0)
        )
    except soaking.Wrong as e:
        wrong = str(e)
    except Exception as e:  # of the stack: where it is from is what counts
        wrong = "%s: %s" % (type(e).__name__, e)
        traceback.print_exc()
    finally:
        progress.end()
        shutil.rmtree(folder, ignore_errors=True)
    return {
        "runtime": "cpython",
        "wrong": wrong,
        "seconds": round(time.monotonic() - began, 1),
        "by_link": world.count if world else {},
        "by_client": world.by_client if world else {},
        "faults": world.trouble if world else {},
        "looks": looks or [],
    }


def pass_to(world, seconds):
    """A day at a time: nothing of a month is held back."""
    while world.seconds < seconds:
        world.passes(min(86400, seconds - world.seconds))


def on_micropython(options):
    import soaking

    program = os.environ.get("MICROPYTHON") or bootstrap.get_micropython()[0]
    folder = compiling.definition(DEFAULT_DEFINITION)
    state = tempfile.mkdtemp(prefix="picometer-soak-")
    began = time.monotonic()
    progress = Progress(options.requests)
    looks, wrong = [], None
    path = ":".join(os.path.join(ROOT, part) for part in ("lib", "", "host_tests/device"))
    args = [program, "-X", "heapsize=4m", SCRIPT, folder, os.path.join(state, "state"),
            str(options.requests), str(round(options.days * 86400))]  # fmt: skip
    try:
        process = subprocess.Popen(
            args, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
            text=True, errors="replace", env={**os.environ, "MICROPYPATH": path + ":.frozen"},
        )  # fmt: skip
        said = []
        done = False
        with process:
            for line in process.stdout:
                if line.startswith("{"):
                    looks.append(json.loads(line))
                    progress.at(looks[-1]["requests"], "%d octets of heap" % looks[-1]["heap"])
                    if looks[-1]["ws"] != looks[-1]["played"]:
                        wrong = "A+ is %(ws)d Ws, and %(played)d Ws were played" % looks[-1]
                    if options.seconds and time.monotonic() - began > options.seconds:
                        process.kill()
                        done = True
                        break
                elif line.strip() == "done":
                    done = True
                else:
                    said.append(line.rstrip())
        if not done:
            wrong = wrong or "it has ended early: " + " / ".join(said[-4:])
        wrong = wrong or grown(looks, "heap", MORE_OCTETS)
        if not wrong and looks and looks[-1]["open"]:
            wrong = "%d associations are left" % looks[-1]["open"]
        octets, files = soaking.stored(state)
    finally:
        progress.end()
        shutil.rmtree(state, ignore_errors=True)
    return {
        "runtime": "micropython",
        "wrong": wrong,
        "seconds": round(time.monotonic() - began, 1),
        "state_octets": octets,
        "files": files,
        "looks": looks,
    }


def shown(figures):
    looks = figures["looks"]
    last = looks[-1] if looks else {}
    n = "{:,}".format(last.get("requests", 0))
    print("%s: %s requests in %.0f s" % (figures["runtime"], n, figures["seconds"]))
    for name, n in figures.get("by_link", {}).items():
        print("%12s  %s" % ("{:,}".format(n), name))
    for sap, n in figures.get("by_client", {}).items():
        print("%12s  client %d" % ("{:,}".format(n), sap))
    for name, n in figures.get("faults", {}).items():
        print("%12s  %s" % ("{:,}".format(n), name))
    for name in last:
        if name != "requests" and last[name] is not None:
            first = looks[min(len(looks) - 1, max(1, len(looks) // 10))][name]
            figure, first = ("{:,}".format(n) for n in (last[name], first))
            print("%12s  %s (after a tenth: %s)" % (figure, name.replace("_", " "), first))
    print("All is as it should be." if not figures["wrong"] else "Wrong: " + figures["wrong"])


def main(args):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--requests", type=int, default=REQUESTS, help="%(default)s")
    parser.add_argument("--days", type=float, default=DAYS, help="of meter time, %(default)s")
    parser.add_argument("--seconds", type=int, default=0, help="end after so many; 0: when done")
    parser.add_argument("--runtime", choices=("cpython", "micropython"), action="append",
                        help="cpython, unless others are named")  # fmt: skip
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--json", action="store_true", help="figures on stdout, all looks")
    options = parser.parse_args(args)
    if options.requests < 1 or options.days <= 0 or options.seconds < 0:
        raise Trouble("--requests and --days are more than 0, --seconds is not less.")
    bootstrap.inside("test", "rich", "cryptography", "pytest")
    both = {"cpython": on_cpython, "micropython": on_micropython}
    found = [both[name](options) for name in options.runtime or ["cpython"]]
    if options.json:
        json.dump(found, sys.stdout, indent=1)
        print()
    else:
        for figures in found:
            shown(figures)
    return 1 if any(figures["wrong"] for figures in found) else 0


if __name__ == "__main__":
    bootstrap.as_command(main)
