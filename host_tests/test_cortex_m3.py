# SPDX-License-Identifier: MIT
"""The meter on an emulated Cortex-M3 with a heap of 64 KiB: read by a peer, played, weighed.

The firmware is what tools/images.py makes of the board MPS2_AN385, and runs in QEMU. All requests
are served under a locked heap.
"""

import os
import re
import tomllib
from pathlib import Path

import bench
import images
import pytest
import qemu
from bootstrap import Trouble

pytest.register_assert_rewrite("peer_sessions")
pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    DISPLAY,
    MANAGEMENT,
    PUBLIC,
    READING,
    SEED,
    STANDS_AT,
    Peer,
    Twin,
    association_name,
    minute_of,
    missing,
    read_everything,
)

CONVERSATIONS = sorted((Path(__file__).parent / "conversations").glob("*.txt"))
BUDGET = tomllib.loads(Path(images.ROOT, "tools", "bench_budget.toml").read_text())["cortex-m3"]

START = """
from firmware import board_main
board_main.run(locked=True, speed=0, seed=%d, start=(%d, 0))
"""


@pytest.fixture(scope="session")
def elf():
    """The image, if it is built or can be built here."""
    try:
        return images.image(qemu.BOARD)
    except Trouble as e:
        missing(str(e))


class ChipMeter:
    """A meter on the chip, with the interface of peer_sessions.RunningMeter."""

    def __init__(self, chip):
        self.chip = chip
        chip.start(START % (SEED, minute_of(STANDS_AT)))
        self.said = chip.wait_for("ready")
        self.ports = {"hdlc": chip.address}


@pytest.fixture(scope="module")
def meter(elf):
    with qemu.Chip(elf, live=True) as chip:
        yield ChipMeter(chip)
        # What the meter says after `ready` is that a request has failed.
        assert chip.said() == ""


@pytest.fixture(scope="module")
def fresh_twin(history, tmp_path_factory):
    return Twin(history[0], str(tmp_path_factory.mktemp("twin") / "state"))


@pytest.mark.parametrize(
    "association", [PUBLIC, READING, MANAGEMENT, DISPLAY], ids=association_name
)
def test_a_peer_reads_everything(meter, peers, expected, fresh_twin, association):
    peer = Peer(peers, "gurux_client.py", meter, "hdlc", association, expected.secret(association))
    peer.opened = peer.ask("open")
    assert read_everything(peer, association, expected, fresh_twin) > 10
    peer.ask("release")
    peer.ask("close")
    peer.end()


def test_no_figure_is_worse_than_in_the_budget_file(elf):
    figures = bench.measure_chip(images.DEFINITION)
    assert not bench.over_chip(figures, BUDGET)


def test_names_of_modules_are_not_on_the_heap(elf):
    with qemu.Chip(elf) as chip:
        said = chip.run(
            "from device import chip\nchip.weigh(seed=1)\n"
            "import micropython\nmicropython.qstr_info()"
        )
    assert int(re.search(r"n_qstr=(\d+)", said).group(1)) <= 2


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda p: p.stem)
def test_conversations_with_the_heap_locked(elf, path, link):
    with qemu.Chip(elf) as chip:
        text = path.read_text()
        said = chip.run(
            "from device import chip\nchip.play(%r, %r)" % (path.name, link), text + "\nend\n"
        )
    assert re.fullmatch(r"ok %s \d+\n" % re.escape(path.name), said)


def test_no_board_here(tmp_path, monkeypatch):
    """What is missing is said, with the command that gets it."""
    monkeypatch.setattr(images, "administrator", lambda: None)
    with pytest.raises(Trouble, match="apt install a-package another"):
        images.install({"no-such-program-here": "a-package another"})
    assert not os.path.exists(tmp_path / "anything")
