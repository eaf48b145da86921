# SPDX-License-Identifier: MIT
"""lib/crypto on an emulated Cortex-M3 with a heap of 64 KiB: all vectors, and how long it takes.

What must not allocate runs with the heap locked; here, where integers of 30 bits would allocate.
"""

import tomllib
from pathlib import Path

import crypto_vectors
import images
import pytest
import qemu
from bootstrap import Trouble
from peer_sessions import missing

_TOML = Path(images.ROOT, "tools", "bench_budget.toml").read_text()
BUDGET = tomllib.loads(_TOML)["cortex-m3-crypto"]
TOLERANCE = 1.05
CASES = """
import gc
from device import crypto_cases
from firmware.ports import ciphers
gc.threshold(8192)
crypto_cases.main(%r, ciphers)
"""
BENCH = """
from device import crypto_bench
from firmware.ports import ciphers
for what in ("gcm", "ec"):
    crypto_bench.main(what, ciphers)
"""


@pytest.fixture(scope="module")
def elf():
    try:
        return images.image(qemu.BOARD)
    except Trouble as e:
        missing(str(e))


@pytest.fixture(scope="module")
def figures(elf):
    with qemu.Chip(elf) as chip:
        lines = chip.run(BENCH).splitlines()
    return {name: float(value) for name, value in map(str.split, lines)}


@pytest.mark.parametrize("form", ["own", "loop"])
def test_vectors(elf, form):
    with qemu.Chip(elf, patience_s=300) as chip:
        said = chip.run(CASES % form, crypto_vectors.as_input(crypto_vectors.VECTORS))
    assert said.splitlines() == crypto_vectors.all_ok(crypto_vectors.VECTORS)


@pytest.mark.parametrize("name", BUDGET)
def test_figures(figures, name):
    """Not worse than when the budget was last written, and as good as it has to be."""
    limits = BUDGET[name]
    assert figures[name] <= limits["was"] * TOLERANCE
    assert figures[name] <= limits.get("goal", figures[name])
