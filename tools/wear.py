#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""How long the flash behind a meter lasts.

    python3 tools/wear.py [--definition FILE] [--days N] [--blocks N] [--block OCTETS] [--check]

Lets a meter live for some days of its own time over a NOR flash in memory
(host_tests/device/nor.py), counts what is programmed and erased, and says how many years that is.
Rows are those that the definition captures, values are saved as the program does it (each hour,
and before rows), and the household is simulated. The figures are held against [wear] of
tools/bench_budget.toml: write amplification is what is programmed for each octet that is a row, or
has changed. --check: exit code 1 when one is over its budget.

CPython >= 3.11, standard library only.
"""

import argparse
import os
import sys
import tomllib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compile as compiling
from bootstrap import ROOT, Trouble, as_command, say
from meter import DEFAULT_DEFINITION

BUDGET = os.path.join(ROOT, "tools", "bench_budget.toml")
CYCLES = 100_000  # erasures that a block is rated for
BLOCK_LEN = 4096
BLOCKS = 256
DAYS = 40
_MINUTE = 13675680  # 2026-01-01 00:00 UTC


class Counted:
    """A ring, and the octets of rows that were given to it."""

    def __init__(self, ring):
        self.ring = ring
        self.octets = 0
        ring_append = ring.append

        def append(buf, pos):
            self.octets += ring.row_len
            return ring_append(buf, pos)

        ring.append = append


def measure(definition, days=DAYS, blocks=BLOCKS, block_len=BLOCK_LEN):
    """What happens to the flash: a dictionary. definition: folder of the generated module."""
    for part in ("host_tests", "firmware/ports/shim", "", "lib"):
        path = os.path.join(ROOT, part) if part else ROOT
        if path not in sys.path:
            sys.path.insert(0, path)
    sys.path.insert(0, definition)
    from device.nor import NOR

    from firmware import app, ports
    from firmware.flash import FlashStorage
    from firmware.meter.ahead import Ahead

    tables = app.Tables("definition")
    sys.path.remove(definition)
    nor = NOR(blocks, block_len)
    storage = FlashStorage(nor)
    rings = []
    saves = [0, 0]  # how many, octets of the image and extra that each has changed
    ring, save = storage.ring, storage.save
    kept = bytearray()

    def ring_of(*args):
        rings.append(Counted(ring(*args)))
        return rings[-1].ring

    def save_image(image):
        now = bytes(image[: tables.PERSISTENT]) + bytes(storage.extra)
        if len(kept) == len(now):
            saves[1] += sum(a != b for a, b in zip(kept, now))
        kept[:] = now
        saves[0] += 1
        return save(image)

    storage.ring, storage.save = ring_of, save_image
    meter = app.build(tables, storage, ports.current(), 1, _MINUTE, 0, 0)
    step = Ahead(meter.program).step
    before = nor.programmed
    saves[:] = [0, 0]
    erased = list(nor.erases)
    for counted in rings:
        counted.octets = 0
    for _ in range(days):
        step(86400)
    erases = [a - b for a, b in zip(nor.erases, erased)]
    base, used = storage._base, storage._blocks
    # Rings are erased in turn: over years every block of one as often as the others.
    places = sorted(c.ring._place[1:4] for c in rings)
    year = 365.25 / days
    worst = 0.0
    for at, per_block, total in places:
        n = total // per_block
        worst = max(worst, sum(erases[at : at + n]) / n * year)
    state = sum(erases[base : base + used]) / used * year
    changed = saves[1] + sum(c.octets for c in rings)
    return {
        "days": days,
        "rows_a_day": sum(c.octets // c.ring.row_len for c in rings) / days,
        "saves_a_day": saves[0] / days,
        "changed_a_day": changed / days,
        "programmed_a_day": (nor.programmed - before) / days,
        "amplification": (nor.programmed - before) / changed,
        "state_erases_a_year": state,
        "ring_erases_a_year": worst,
        "years": CYCLES / max(state, worst),
        "blocks_used": base + used,
        "failed": storage.failed + meter.program.unsaved,
    }


def main(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--definition", default=DEFAULT_DEFINITION, help="TOML file of a meter")
    parser.add_argument("--days", type=int, default=DAYS)
    parser.add_argument("--blocks", type=int, default=BLOCKS, help="of the flash")
    parser.add_argument("--block", type=int, default=BLOCK_LEN, help="octets of a block")
    parser.add_argument("--check", action="store_true", help="fail when over the budget")
    options = parser.parse_args(args)
    with open(BUDGET, "rb") as f:
        budget = tomllib.load(f)["wear"]
    try:
        folder = compiling.definition(os.path.abspath(options.definition))
        f = measure(folder, options.days, options.blocks, options.block)
    except (Trouble, OSError) as e:
        say(str(e))
        return 1
    kib = options.blocks * options.block // 1024
    print("Flash of %d KiB in blocks of %d, over %d days" % (kib, options.block, f["days"]))
    print("%10d  blocks used" % f["blocks_used"])
    print("%10.1f  rows a day" % f["rows_a_day"])
    print("%10.1f  saves a day" % f["saves_a_day"])
    print("%10.0f  octets a day are rows, or changed in the image" % f["changed_a_day"])
    print("%10.0f  octets a day are programmed" % f["programmed_a_day"])
    bad = f["failed"] or f["amplification"] > budget["amplification"]
    bad = bad or f["years"] < budget["years"]
    print(
        "%10.2f  write amplification (budget: %g)" % (f["amplification"], budget["amplification"])
    )
    print("%10.1f  erasures a year of a block of the state" % f["state_erases_a_year"])
    print("%10.1f  erasures a year of a block of the busiest ring" % f["ring_erases_a_year"])
    print("%10.0f  years until a block has %d (goal: %d)" % (f["years"], CYCLES, budget["years"]))
    if bad:
        say("The flash is over its budget.")
    return 1 if bad and options.check else 0


if __name__ == "__main__":
    as_command(main)
