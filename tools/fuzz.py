#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Try inputs of all kinds on every decoder of the stack, and on whole sessions.

    python3 tools/fuzz.py [run] [--seconds N] [--target NAME ...] [--jobs N] [--json]
    python3 tools/fuzz.py replay FILE        play a finding, or inputs of the corpus, again
    python3 tools/fuzz.py keep [NAME ...]    what was found new goes to host_tests/corpus
    python3 tools/fuzz.py list               the targets, and what each is

run: each target gets a process, which takes a few seconds to start, and then an equal part of
the seconds, guided by coverage (atheris); where atheris cannot be installed, or with
--by-chance, inputs are made from the corpus by chance, and the table says so. What it found
stays in build/fuzz and is where the next run begins. A finding is an exception that escapes, an
input that takes 5 s, a heap that grows, an answer that is no APDU, an association or a value in
a state that there is not, or a secret in an answer. It is made small and written to build/fuzz;
the exit code is 1 then.
"""

import argparse
import json
import os
import re
import subprocess
import sys
import threading
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
import fuzzing
from bootstrap import ROOT, Trouble, say

FOLDER = os.path.join(ROOT, "build", "fuzz")
CHILD = os.path.join(ROOT, "tools", "fuzzing", "child.py")
SECONDS = 180
START_S = 60  # a process may take so long to begin, and to make a finding small
LONGEST_KEPT = 16 * 1024  # octets of a target's inputs in host_tests/corpus
FOUND = 77
SAY_EVERY_S = 10
_STATUS = re.compile(r"^#\d+\s+(\w+).*cov: (\d+) ft: (\d+) corp: (\d+)")


class Run:
    """One target in a process: what it says, as it comes."""

    def __init__(self, name, seconds, guided, seed):
        self.name = name
        self.guided = guided
        self.n = 0
        self.s = 0.0
        self.first = self.coverage = self.kept = None
        self.finding = self.path = None
        self.said = []
        self.began = time.monotonic()
        args = [sys.executable, CHILD, name, "%d" % seconds, FOLDER, str(seed)]
        self.process = subprocess.Popen(
            args + ([] if guided else ["random"]), cwd=ROOT, text=True, errors="replace",
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip
        self.readers = [
            threading.Thread(target=self.hear, daemon=True),
            threading.Thread(target=self.hear_coverage, daemon=True),
        ]
        for reader in self.readers:
            reader.start()

    def hear(self):
        for line in self.process.stdout:
            try:
                said = json.loads(line)
            except ValueError:
                continue
            self.n = said.get("n", self.n)
            self.s = said.get("s", self.s)
            self.finding = said.get("found", self.finding)
            self.path = said.get("path", self.path)

    def hear_coverage(self):
        for line in self.process.stderr:
            self.said = [*self.said[-20:], line.rstrip()]
            found = _STATUS.match(line)
            if found:
                self.coverage, self.kept = int(found[2]), int(found[4])
                if self.first is None and found[1] != "READ":
                    self.first = self.coverage
            elif line.startswith("stat::number_of_executed_units:"):
                self.n = int(line.split(":")[-1])

    def is_over(self, seconds):
        if self.process.poll() is None:
            if time.monotonic() - self.began < seconds + 2 * START_S:
                return False
            self.process.kill()
            self.finding = self.finding or "it does not end"
        for reader in self.readers:
            reader.join(5)
        code = self.process.wait()
        if code not in (0, FOUND) and not self.finding:
            self.finding = "exit code %d: %s" % (code, " / ".join(self.said[-6:]))
        return True

    def figures(self):
        new = self.coverage - self.first if self.coverage is not None and self.first else None
        return {
            "target": self.name,
            "inputs": self.n,
            "a_second": round(self.n / self.s) if self.s else 0,
            "guided": self.guided,
            "coverage": self.coverage,
            "new_coverage": new,
            "corpus": self.kept,
            "finding": self.finding,
            "replay": self.path and os.path.relpath(self.path, ROOT),
        }


def has_atheris():
    """Install it if it is not there; a sentence why not, or None."""
    try:
        import atheris  # noqa: F401

        return None
    except ImportError:
        pass
    try:
        with bootstrap.lock():
            bootstrap.environment(bootstrap.VENV, ["tools/requirements_fuzz.txt"])
        subprocess.run(
            [sys.executable, "-c", "import atheris"], check=True, capture_output=True, timeout=60
        )
        return None
    except (Trouble, subprocess.SubprocessError) as e:
        return "atheris cannot be had here (%s)" % str(e).splitlines()[0]


def names_of(wanted):
    for name in wanted or ():
        if name not in fuzzing.TARGETS:
            raise Trouble(
                "There is no target %s; these there are: %s" % (name, ", ".join(fuzzing.TARGETS))
            )
    return list(dict.fromkeys(wanted or fuzzing.TARGETS))


def table(rows, waiting, rich_table):
    t = rich_table(title=None)
    t.add_column("target")
    for name in ("inputs", "a second", "coverage", "new", "corpus"):
        t.add_column(name, justify="right")
    t.add_column("")
    for row in rows:
        t.add_row(
            row["target"], "{:,}".format(row["inputs"]), "{:,}".format(row["a_second"]),
            *["-" if row[k] is None else "{:,}".format(row[k])
              for k in ("coverage", "new_coverage", "corpus")],
            row["finding"][:60] if row["finding"] else "" if row["guided"] else "by chance",
        )  # fmt: skip
    if waiting:
        t.add_row("%d more" % waiting, *[""] * 6)
    return t


def run(options):
    bootstrap.inside("test", "rich", "cryptography", "pytest")
    from rich.console import Console
    from rich.live import Live
    from rich.table import Table

    names = names_of(options.target)
    if options.seconds < 1 or options.jobs < 1:
        raise Trouble("--seconds and --jobs are 1 or more.")
    why = None if options.by_chance else has_atheris()
    guided = not options.by_chance and why is None
    if why:
        say("%s: inputs are made from the corpus by chance, without coverage." % why)
    os.makedirs(FOLDER, exist_ok=True)
    each = max(1, options.seconds * options.jobs // len(names))
    console = Console(stderr=True)
    runs, going, waiting = [], [], list(names)
    told = time.monotonic()
    live = Live(console=console, auto_refresh=False) if console.is_terminal else None
    if live:
        live.start()
    try:
        while going or waiting:
            while waiting and len(going) < options.jobs:
                going.append(Run(waiting.pop(0), each, guided, options.seed))
                runs.append(going[-1])
            time.sleep(0.2)
            going = [one for one in going if not one.is_over(each)]
            if live:
                rows = [one.figures() for one in runs]
                live.update(table(rows, len(waiting), Table), refresh=True)
            elif time.monotonic() - told > SAY_EVERY_S:
                told = time.monotonic()
                text = ["%s %d" % (one.name, one.n) for one in going]
                say("%d of %d targets: %s" % (len(runs), len(names), ", ".join(text)))
    finally:
        if live:
            live.stop()
        for one in going:
            one.process.kill()
    rows = [one.figures() for one in runs]
    bad = [row for row in rows if row["finding"]]
    total = sum(row["inputs"] for row in rows)
    if options.json:
        json.dump({"inputs": total, "findings": len(bad), "targets": rows}, sys.stdout, indent=1)
        print()
    elif not live:
        Console(width=110).print(table(rows, 0, Table))
    say("%s inputs, %d findings." % ("{:,}".format(total), len(bad)))
    for row in bad:
        say("%s: %s" % (row["target"], row["finding"]))
        if row["replay"]:
            say("    again: python3 tools/fuzz.py replay %s" % row["replay"])
    return 1 if bad else 0


def target_of(path):
    """A finding says which in a remark; of the corpus it is the folder."""
    try:
        with open(path) as f:
            for line in f:
                if line.startswith("# target:"):
                    return line.split(":")[1].strip()
    except (OSError, UnicodeDecodeError) as e:
        raise Trouble("%s cannot be read (%s)." % (path, e)) from e
    name = os.path.basename(os.path.dirname(os.path.abspath(path)))
    if name not in fuzzing.TARGETS:
        raise Trouble("%s does not say of which target it is (# target: NAME)." % path)
    return name


def replay(options):
    bootstrap.inside("test", "cryptography", "pytest")
    import traceback

    from fuzzing import engine

    name = names_of([target_of(options.file)])[0]
    try:
        inputs = engine.read(options.file)
    except ValueError as e:
        raise Trouble("%s has a line that is not hexadecimal (%s)." % (options.file, e)) from e
    e = engine.replay(name, inputs)
    if e is None:
        print("%s: %d inputs, nothing wrong." % (name, len(inputs)))
        return 0
    traceback.print_exception(e)
    return 1


def keep(options):
    """Of what runs have found here, what reaches a line that nothing shorter does."""
    bootstrap.inside("test", "rich", "cryptography", "pytest")
    from fuzzing import engine

    for name in names_of(options.target):
        folder = os.path.join(FOLDER, "corpus", name)
        inputs = engine.corpus(name, "kept.txt")
        for file in sorted(os.listdir(folder)) if os.path.isdir(folder) else ():
            with open(os.path.join(folder, file), "rb") as f:
                inputs.append(f.read())
        kept = engine.fewest(name, list(dict.fromkeys(inputs)), LONGEST_KEPT)
        if kept:
            engine.write(os.path.join(fuzzing.CORPUS, name, "kept.txt"), kept)
        print("%s: %d of %d inputs" % (name, len(kept), len(inputs)))
    return 0


def list_targets(options):
    for name, (module, longest, renew, what) in fuzzing.TARGETS.items():
        print("%-18s %s" % (name, what))
    return 0


def main(args):
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    commands = parser.add_subparsers(dest="command")
    p = commands.add_parser("run", help="try inputs (the default)")
    p.add_argument("--seconds", type=int, default=SECONDS, help="in all, %(default)s")
    p.add_argument("--target", action="append", help="only this one; may be given several times")
    p.add_argument("--jobs", type=int, default=1, help="targets at a time, %(default)s")
    p.add_argument("--seed", type=int, default=0, help="0: another each time")
    p.add_argument("--by-chance", action="store_true", help="without coverage, but faster")
    p.add_argument("--json", action="store_true", help="figures on stdout")
    p.set_defaults(go=run)
    p = commands.add_parser("replay", help="play a finding again")
    p.add_argument("file")
    p.set_defaults(go=replay)
    p = commands.add_parser("keep", help="what was found new goes to host_tests/corpus")
    p.add_argument("target", nargs="*")
    p.set_defaults(go=keep)
    p = commands.add_parser("list", help="the targets")
    p.set_defaults(go=list_targets)
    if not args or args[0].startswith("-") and args[0] not in ("-h", "--help"):
        args = ["run", *args]
    options = parser.parse_args(args)
    return options.go(options)


if __name__ == "__main__":
    bootstrap.as_command(main)
