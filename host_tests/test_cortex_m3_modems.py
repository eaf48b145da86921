# SPDX-License-Identifier: MIT
"""What a poll of a modem's driver costs on an emulated Cortex-M3 while there is nothing to do, its
UART included.
"""

import tomllib
from pathlib import Path

import images
import pytest
import qemu
from bootstrap import Trouble
from peer_sessions import missing

_TOML = Path(images.ROOT, "tools", "bench_budget.toml").read_text()
BUDGET = tomllib.loads(_TOML)["cortex-m3-modems"]
TOLERANCE = 1.05


@pytest.fixture(scope="module")
def figures():
    try:
        elf = images.image(qemu.BOARD)
    except Trouble as e:
        missing(str(e))
    with qemu.Chip(elf) as chip:
        lines = chip.run("from device import modems\nmodems.bench()").splitlines()
    return {name + "_us": float(value) for name, value in map(str.split, lines)}


@pytest.mark.parametrize("name", BUDGET)
def test_a_poll_with_nothing_to_do(figures, name):
    assert figures[name] <= BUDGET[name]["was"] * TOLERANCE
    assert figures[name] <= BUDGET[name]["goal"]
