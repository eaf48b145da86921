# SPDX-License-Identifier: MIT
"""lib/crypto on an emulated Cortex-M3 with a heap of 64 KiB: all vectors, and how long it takes.

What must not allocate runs with the heap locked; here, where integers of 30 bits would allocate.
"""

import json
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
GENERAL = """
import gc
from device import general_cases
gc.threshold(8192)
general_cases.%s()
"""
EXAMPLES = Path(images.ROOT, "host_tests/vectors/general.jsonl").read_text() + "end\n"
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


def test_signatures_and_agreed_keys(elf):
    """The jobs of dlms/general.py: what is made of the examples, how long a step takes at most,
    and how much heap is held."""
    with qemu.Chip(elf, patience_s=300) as chip:
        results = [line.split() for line in chip.run(GENERAL % "main", EXAMPLES).splitlines()]
        figures = [line.split() for line in chip.run(GENERAL % "bench", EXAMPLES).splitlines()]
    expected = [json.loads(line) for line in EXAMPLES.splitlines()[:-1]]
    assert [r[0] for r in results] == [v["id"] for v in expected]
    for v, (_id, printed, first, again, answer) in zip(expected, results, strict=True):
        assert "0:" + v["plain"] in (printed, first)
        assert again[:2] in ("5:", "6:")
        assert len(answer) > 60
    for v, (_id, request_us, answer_us, longest_us, held) in zip(expected, figures, strict=True):
        limit_us = 8_000_000 if v["suite"] == 2 else 3_000_000
        assert int(request_us) < limit_us and int(answer_us) < limit_us
        assert int(longest_us) <= 50_000
        assert int(held) <= (8192 if v["suite"] == 2 else 5120)
