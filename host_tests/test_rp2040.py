# SPDX-License-Identifier: MIT
"""The meter on an emulated RP2040: it starts with the power, is read over UART0, loses its power.

The firmware is the image of RPI_PICO that tools/images.py makes and a board gets, nothing added.
Requests are served under a locked heap.
"""

import pytest
import rp2040
from bootstrap import Trouble

pytest.register_assert_rewrite("peer_sessions")
pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    DISPLAY,
    MANAGEMENT,
    PUBLIC,
    SEED,
    STANDS_AT,
    Peer,
    Twin,
    association_name,
    minute_of,
    missing,
    read_everything,
)

START = """
from firmware import board_main
board_main.run(locked=True, speed=0, seed=%d, start=(%d, 0), state=%r)
"""


@pytest.fixture(scope="session")
def image():
    """The image, if it is built or can be built here."""
    try:
        rp2040.emulator()
        return rp2040.image()
    except Trouble as e:
        missing(str(e))


@pytest.fixture(scope="session")
def new(image, tmp_path_factory):
    """File of the flash of a board that was just flashed."""
    path = tmp_path_factory.mktemp("new") / "flash.bin"
    path.write_bytes(rp2040.flashed(image))
    return path


class ChipMeter:
    """A meter on the chip, with the interface of peer_sessions.RunningMeter."""

    def __init__(self, chip):
        self.chip = chip
        self.ports = {"hdlc": chip.address}


# --- Read over UART0 ------------------------------------------------------------------------


@pytest.fixture(scope="module")
def standing(new):
    """A meter whose clock stands; before it the frozen main has started one."""
    with rp2040.Chip(new, live=True) as chip:
        assert chip.wait_for("ready") == ["hdlc-uart UART0 9600"]
        chip.interrupt()
        chip.prompt()
        chip.start(START % (SEED, minute_of(STANDS_AT), "/standing"))
        chip.wait_for("ready")
        yield ChipMeter(chip)
        # What the meter says after `ready` is that a request has failed.
        assert chip.said() == ""


@pytest.fixture(scope="module")
def fresh_twin(history, tmp_path_factory):
    return Twin(history[0], str(tmp_path_factory.mktemp("twin") / "state"))


@pytest.mark.parametrize("association", [PUBLIC, MANAGEMENT, DISPLAY], ids=association_name)
def test_a_peer_reads_everything(standing, peers, expected, fresh_twin, association):
    secret = expected.secret(association)
    peer = Peer(peers, "gurux_client.py", standing, "hdlc", association, secret)
    peer.opened = peer.ask("open")
    assert read_everything(peer, association, expected, fresh_twin, at_once=100) > 10
    peer.ask("release")
    peer.ask("close")
    peer.end()
