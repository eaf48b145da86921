# SPDX-License-Identifier: MIT
"""A running meter on an emulated Cortex-M3 is updated by Gurux over its optical head: its firmware
runs from a slot in the chip's flash, and says so; bad images are refused; a firmware that does not
come up is left for the one before; and the chip's power fails.

What the meter is updated to here has all of firmware/ that it loads, and takes lib/ from what is
frozen: that is a seventh of the octets. With PICOMETER_ALL=1 it is the whole image, as
tools/image.py makes it; boards/MPS2_AN385/README.md has what the heap holds.
"""

import contextlib
import os
import shutil

import image as tool
import images
import pytest
import qemu
import romfs
from bootstrap import Trouble

pytest_plugins = ["peer_sessions"]

import updates
from peer_sessions import missing
from updates import (
    OTHER_REASON,
    TRANSFER,
    ACTIVATED,
    BLOCK_SIZE,
    DAMAGED,
    FAILED,
    INITIATED,
    NOT_ACTIVATED,
    NOT_NEWER,
    NOT_VERIFIED,
    TRUNCATED,
    VERIFIED,
    WENT_BACK,
    WRONGLY_SIGNED,
    made,
)

from firmware import journal

ARCHITECTURE = "armv7em"
RUNTIME = "qemu mpy6.3 %s romfs" % ARCHITECTURE
WHOLE = bool(os.environ.get("PICOMETER_ALL"))
HEAP = 98304
READY, DONE = 17, 18  # event codes
# Of firmware/, what this board never loads.
NOT_HERE = ("firmware/main", "firmware/drivers/", "firmware/links/tcp", "firmware/links/udp",
            "firmware/links/ntp", "firmware/links/push", "firmware/links/outward",
            "firmware/links/trace", "firmware/ports/micropython", "firmware/ports/pins",
            "firmware/store", "firmware/rings", "firmware/provisioning", "firmware/folders",
            "firmware/meter/sender", "firmware/meter/fittings",
            "firmware/meter/display", "firmware/meter/pulse", "firmware/meter/demo_tokens",
            )  # fmt: skip


class OnChip(updates.Updated):
    """A meter whose flash is a file."""

    link = "hdlc"
    options = ("--timeout", "3", "--repeats", "8")

    def __init__(self, peers, expected, elf, flash):
        super().__init__(peers, expected)
        self.elf, self.flash = elf, flash
        self.chip = None
        self.ports = {}
        self.meter = self
        self.starts = 0
        self.said = ""
        self.start()

    def start(self):
        self.chip = qemu.Chip(self.elf, live=True, flash=self.flash)
        self.ports["hdlc"] = self.chip.address
        self.chip.start(qemu.STARTS)
        self.starts += 1

    def stop(self):
        """The power fails."""
        super().leave()
        if self.chip is not None:
            self.said += self.chip.said()
            self.chip.stop()
        self.chip = None

    def leave(self):
        """A line that stays says nothing of a client that has gone."""
        if self.peer is not None and self.peer.opened:
            with contextlib.suppress(updates.Refusal):
                self.peer.ask("close")
        super().leave()

    def awake(self):
        while self.chip.process.poll() is not None:
            self.stop()
            self.start()


def container(number, files, key=None):
    key = key or tool.load_key(tool.DEMO_KEY)
    payload = tool.payload_of({"firmware.romfs": romfs.image(files)})
    return tool.container(number, RUNTIME, payload, key)


def small(number, key=None, **files):
    """One that the meter takes for good, and cannot run."""
    return container(number, {"firmware/__init__.py": b"", "x": b"x" * 600, **files}, key)


@pytest.fixture(scope="module")
def elf():
    try:
        return images.image(qemu.BOARD, images.DEFINITION, HEAP)
    except Trouble as e:
        missing(str(e))


@pytest.fixture(scope="module")
def new(tmp_path_factory):
    """The image of version 2."""
    if WHOLE:
        return made(tmp_path_factory.mktemp("new") / "two.pmf", 2, RUNTIME)
    files = tool.micropython_files(2, ARCHITECTURE, None)
    kept = {
        name: octets
        for name, octets in files.items()
        if name.startswith("firmware/") and not name.startswith(NOT_HERE)
    }
    return container(2, kept)


@pytest.fixture
def updated(peers, expected, elf, tmp_path):
    running = []

    def get(flash=None):
        path = tmp_path / "flash.bin"
        if flash is None:
            qemu.blank(path)
        else:
            shutil.copy(flash, path)
        running.append(OnChip(peers, expected, elf, path))
        running[-1].client()
        return running[-1]

    yield get
    for meter in running:
        meter.stop()


def test_gurux_updates_a_running_meter(updated, new):
    m = updated()
    assert (m.version(), m.status()) == ("1", 0)
    m.initiate(new)
    n = -(-len(new) // BLOCK_SIZE)
    half = n // 2
    # Backwards, and some of them again.
    m.send(new, [*range(n - 1, half, -1), n - 1, n - 2])
    assert m.read(4) == 0
    m.stop()
    m.start()
    m.client()
    assert (m.version(), m.status()) == ("1", INITIATED)
    assert m.read(3) == "0" * (half + 1) + "1" * (n - half - 1)
    m.send(new, range(half + 1))
    assert m.read(4) == n
    assert m.begin(3) == VERIFIED
    (about,) = m.read(7)
    assert about[0] == len(new) and bytes.fromhex(about[1]) == b"firmware"
    assert m.activate() == ACTIVATED
    assert m.version() == "2"
    m.notes(READY, DONE)
    # And it stays so.
    m.stop()
    m.start()
    m.client()
    assert (m.version(), m.status()) == ("2", ACTIVATED)
    if not WHOLE:
        # What runs from the slot has room to verify the next one; with all of lib/ it has not.
        assert m.transfer(small(3)) == VERIFIED
    m.stop()
    assert "failed" not in m.said


# --- Refused, each with its status and its event ----------------------------------------------


def test_images_that_are_refused(updated):
    m = updated()
    good = small(2)
    other = tool.cryptography()[0].generate_private_key(tool.cryptography()[0].SECP256R1())
    for octets in (good[:-1], good[:-2] + b"yy", small(2, other), small(1)):
        assert m.transfer(octets) == NOT_VERIFIED
        error = m.peer.refused("action", class_id=18, obis=TRANSFER[1], method=4,
                               type="integer", value=0)  # fmt: skip
        assert error["code"] == OTHER_REASON
    m.notes(NOT_NEWER)
    codes = m.events()
    wanted = [TRUNCATED, DAMAGED, WRONGLY_SIGNED, NOT_NEWER]
    at = codes.index(FAILED)
    assert codes[at : at + 8] == [code for one in wanted for code in (FAILED, one)]
    assert m.version() == "1" and m.starts == 1


# --- What does not come up --------------------------------------------------------------------


def test_back_to_what_ran_before(updated):
    m = updated()
    broken = {"firmware/board_main.py": b"raise ValueError('no')"}
    assert m.transfer(small(2, **broken)) == VERIFIED
    assert m.activate() == NOT_ACTIVATED
    assert m.version() == "1"
    m.notes(WENT_BACK)
    # The first one, those that are counted, and that of before.
    assert m.starts == 1 + journal.STARTS + 1
    m.stop()
    assert m.said.count("The firmware in slot a has failed: ValueError('no',)") == journal.STARTS


# --- Power ------------------------------------------------------------------------------------

CONTENT = b"version 2 " * 300  # as device/updating.py has it
LIFE = "from device import updating\nupdating.life(%r, %d, %d)\n"


def lives(elf, flash, octets, cut):
    """Versions that were started until the update is done. cut: in which life the power fails, at
    which of its writes, and how many octets of that are done."""
    versions = []
    for k in range(6):
        at, part = cut[1:] if k == cut[0] else (-1, 0)
        with qemu.Chip(elf, flash=flash) as chip:
            chip.start(LIFE % (octets, at, part))
            said = chip.rest()
        versions += [int(line.split()[1]) for line in said.splitlines() if line[:4] == "runs"]
        assert (at < 0) == said.endswith(("restart\n", "done\n")), said
        if said.endswith("done\n"):
            return versions
    raise AssertionError("the update never ends: %s" % said)


# The first life has 49 writes to flash, the first one of the new version 8.
CUTS = [(0, k) for k in range(49)] + [(1, k) for k in range(8)]
SAMPLE = CUTS if WHOLE else [(0, 8), (0, 21), (0, 34), (0, 47), (1, 0), (1, 5)]


@pytest.mark.parametrize("life, at", SAMPLE)
def test_power_cuts(elf, tmp_path, life, at):
    """Everything is the old or the new firmware, and the update can be gone on with."""
    octets = container(2, {"content": CONTENT})
    flash = tmp_path / "flash.bin"
    qemu.blank(flash)
    versions = lives(elf, flash, octets, (life, at, (0, 90, 200, 4000)[at % 4]))
    assert versions == sorted(versions) and set(versions) == {1, 2}
