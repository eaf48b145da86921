# SPDX-License-Identifier: MIT
"""firmware/regions.py: updates into regions of mapped flash, whose power fails with that of the
files beside it (test_update.py has the meter, and what slots of any kind have to do)."""

import functools
import sys
import types

import pytest
import romfs
import test_update
from test_store import MemoryFiles, PowerCut
from test_update import (
    ACTIVATED,
    BLOCK_SIZE,
    DAMAGED,
    FAILED,
    FOLDER,
    FOREIGN,
    INITIATED,
    MEMORY_ERROR,
    NOT_ACTIVATED,
    NOT_VERIFIED,
    READY,
    RUNTIME,
    VERIFIED,
    files_of,
    key,
    starts,
    tool,
)

from firmware import container, folders, regions
from firmware.regions import Regions

SECTOR = 512
COUNT = 4
SLOTS = {"": 0, FOLDER + "/a": 1, FOLDER + "/b": 2}


class Flash:
    """NOR flash in the memory of files; it can be erased and programmed as long as they can."""

    def __init__(self, files):
        self.files = files
        self.cells = files.data.setdefault("flash", bytearray(b"\xff" * (2 * COUNT * SECTOR)))
        self.erased = []
        self.worn = False

    readblocks = None

    def ioctl(self, op, arg):
        if op == 5:
            return SECTOR
        assert op == 6
        self.erased.append(arg)
        self._change(arg * SECTOR, b"\xff" * SECTOR, False)

    def writeblocks(self, block, octets, offset):
        assert offset % 256 == len(octets) % 256 == 0 and offset + len(octets) <= SECTOR
        if not self.worn:
            self._change(block * SECTOR + offset, octets, True)

    def _change(self, at, octets, clears):
        n = self.files.allowed(len(octets))
        for k in range(n):
            self.cells[at + k] = octets[k] & (self.cells[at + k] if clears else 0xFF)
        if self.files.off:
            raise PowerCut


def flash_of(files):
    """The one that the slots are on."""
    if not hasattr(files, "flash"):
        files.flash = Flash(files)
    return files.flash


@functools.lru_cache(maxsize=None)
def image(number=2, runtime=RUNTIME + " romfs", content=None):
    content = content or (("firmware.romfs", romfs.image(files_of(number))),)
    return tool.container(number, runtime, tool.payload_of(dict(content)), key())


class Meter(test_update.Meter):
    image = staticmethod(image)

    @staticmethod
    def slots(files):
        flash = flash_of(files)
        return Regions(flash, memoryview(flash.cells), (0, COUNT), COUNT)

    @staticmethod
    def started(files):
        number = SLOTS[starts(files)]
        return mounted(files, number) if number else 1


def mounted(files, number):
    """The version in the ROMFS that a slot has, which has to be whole."""
    seen = []
    vfs = types.SimpleNamespace(VfsRom=bytes, mount=lambda rom, path: seen.append((rom, path)))
    sys.modules["vfs"] = vfs
    try:
        path = Meter.slots(files).mount(number)
    finally:
        del sys.modules["vfs"]
    ((rom, where),) = seen
    assert path == where
    (version,) = [k for k in range(2, 9) if rom.startswith(romfs.image(files_of(k)))]
    return version


@pytest.fixture
def files():
    return MemoryFiles()


@pytest.fixture
def meter(files):
    return Meter(files)


@pytest.fixture(autouse=True)
def number_of_the_firmware(monkeypatch):
    monkeypatch.setattr(test_update.update, "NUMBER", 1)


def update(files, meter, number):
    meter.transfer(image(number))
    assert meter.verify() == VERIFIED
    meter.images.start(1)
    meter.work()
    meter.pass_time(1500)
    assert meter.images.wants_restart
    assert Meter.started(files) == number
    meter = Meter(files, number)
    meter.pass_time(12000)
    assert meter.images.status == ACTIVATED
    return meter


# --- From one version to the next -------------------------------------------------------------


def test_the_slots_take_turns(files, meter):
    for number in (2, 3, 4):
        meter = update(files, meter, number)
    assert Meter.started(files) == 4
    # What the other slot has had is erased, each sector once, as blocks come into it.
    erased = flash_of(files).erased
    n = -(-len(image()) // SECTOR)
    assert erased == list(range(n))


def test_three_starts_and_back(files, meter):
    meter = update(files, meter, 2)
    meter.transfer(image(3))
    meter.images.start(1)
    meter.work()
    assert [Meter.started(files) for _ in range(5)] == [3, 3, 3, 2, 2]


def test_a_transfer_goes_on_after_a_restart(files, meter):
    octets = image()
    n = -(-len(octets) // BLOCK_SIZE)
    meter.transfer(octets, order=[n - 1, 0, 9, 9])
    wanted = "".join("1" if k in (0, 9, n - 1) else "0" for k in range(n))
    meter = Meter(files)
    assert meter.images.status == INITIATED and meter.bits() == wanted
    meter.send(octets, range(n))
    assert meter.verify() == VERIFIED
    assert Meter(files).images.about(bytearray(200), 0) > 64
    assert flash_of(files).erased == []


# --- Blocks on flash --------------------------------------------------------------------------


def test_what_counts_cannot_become_something_else(files, meter):
    octets = image()
    meter.transfer(octets, order=[0])
    assert meter.images.put(0, octets[:BLOCK_SIZE])
    assert not meter.images.put(0, b"\xff" * BLOCK_SIZE)
    assert meter.events == [MEMORY_ERROR]
    # Beside a block that counts, something that came when the power failed.
    flash_of(files).cells[BLOCK_SIZE] = 0
    assert not meter.images.put(1, b"\xff" * BLOCK_SIZE)
    # Whoever begins again, begins with erased sectors.
    meter.transfer(octets)
    assert meter.verify() == VERIFIED and flash_of(files).erased == [0]


def test_a_block_over_the_border_of_a_sector(files, meter):
    """The sector behind it is not erased under it when the next block comes."""
    flash = flash_of(files)
    flash.cells[:] = bytes(len(flash.cells))
    octets = bytes(range(1, 251)) * 5
    assert meter.images.begin(b"", len(octets), 100)
    for k in (5, 6, 4, 11, 10, 0, 1, 2, 3, 7, 8, 9, 12):
        assert meter.images.put(k, octets[100 * k : 100 * k + 100])
    assert flash.cells[: len(octets)] == octets
    assert sorted(flash.erased) == [0, 1, 2] and flash.erased[:2] == [0, 1]


def test_flash_that_takes_nothing(files, meter):
    flash_of(files).worn = True
    assert meter.images.begin(b"new", 200, BLOCK_SIZE)
    assert not meter.images.put(0, bytes(BLOCK_SIZE))
    assert meter.events == [MEMORY_ERROR] and meter.images.missing == 7


def test_an_image_for_folders_is_refused(files, meter):
    meter.transfer(test_update.image())
    assert meter.verify() == NOT_VERIFIED and meter.events == [FAILED, FOREIGN]


OTHERS = {
    "no ROMFS": (("firmware.romfs", b"something else"),),
    "two files": (("a", romfs.image({"a": b""})), ("b", b"")),
}


@pytest.mark.parametrize("what", OTHERS)
def test_a_payload_that_cannot_be_mounted(files, meter, what):
    meter.transfer(image(content=OTHERS[what]))
    assert meter.verify() == VERIFIED
    meter.images.start(1)
    meter.work()
    assert meter.images.status == NOT_ACTIVATED and meter.events == [READY, DAMAGED]
    assert starts(files) == ""


def test_an_image_that_rots_after_it_was_verified(files, meter):
    meter.transfer(image())
    assert meter.verify() == VERIFIED
    flash_of(files).cells[len(image()) - 3] ^= 4
    meter.images.start(1)
    meter.work()
    assert meter.images.status == NOT_ACTIVATED and meter.events == [READY, DAMAGED]


def test_copies_of_a_code_agree():
    assert regions._DAMAGED == test_update.update._DAMAGED == container.DAMAGED
    assert folders._MEMORY_ERROR == test_update.update._MEMORY_ERROR == MEMORY_ERROR


def test_longer_than_a_slot(meter):
    assert meter.images.longest == COUNT * SECTOR


# --- Power ------------------------------------------------------------------------------------


@pytest.mark.parametrize("old", [1, 3])
def test_power_cuts_at_every_write(old):
    test_update.power_cuts(old, Meter)


# --- What the wiring names --------------------------------------------------------------------


class Mapped(bytearray):
    def ioctl(self, op, arg):
        return SECTOR


@pytest.mark.parametrize(
    "content, has",
    [
        (b"\xff" * 2 * COUNT * SECTOR, True),
        (b"PMFW".ljust(2 * COUNT * SECTOR), True),
        (b"\xff" * (2 * COUNT * SECTOR - 1), False),
        (romfs.image({}).ljust(2 * COUNT * SECTOR), False),
        (None, False),
    ],
    ids=["blank", "an image of ours", "too small", "somebody's ROMFS", "no device"],
)
def test_what_the_wiring_names(monkeypatch, content, has):
    chip = types.ModuleType("chip")
    chip.Flash = lambda k: -22 if content is None else Mapped(content)
    monkeypatch.setitem(sys.modules, "chip", chip)
    found = regions.of(("chip", "Flash", (2,), 0, COUNT, COUNT))
    assert (found is not None) == has
    assert regions.of(("chip", "Other", (), 0, COUNT, COUNT)) is None
