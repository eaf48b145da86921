# SPDX-License-Identifier: MIT
"""The meter on an emulated RP2040: it starts with the power, is read over UART0, loses its power.

The firmware is the image of RPI_PICO that tools/images.py makes and a board gets, nothing added.
Requests are served under a locked heap.
"""

import datetime
import os
import random
import socket
import struct
import subprocess
import time
from pathlib import Path

import pytest
import rp2040
from bootstrap import Trouble
from ports import rp2

pytest_plugins = ["peer_sessions"]

import updates
from peer_sessions import (
    DISPLAY,
    LOAD_PROFILE,
    MANAGEMENT,
    PUBLIC,
    SEED,
    STANDS_AT,
    Peer,
    Twin,
    minute_of,
    missing,
    read_everything,
    shown,
)

from firmware import journal
from firmware.files import Files

DOUBTFUL = 0x02  # clock status

START = """
from firmware import board_main
board_main.run(locked=True, speed=0, seed=%d, start=(%d, 0), state=%r)
"""


def built(flash=None):
    """The image for so much flash, if it is built or can be built here."""
    try:
        rp2040.emulator()
        return rp2040.image(flash)
    except Trouble as e:
        missing(str(e))


@pytest.fixture(scope="session")
def image():
    return built()


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


def test_the_file_for_the_drive_of_the_boot_rom(image):
    """UF2: blocks of 512 octets in order, for the RP2040, with what the emulator is given."""
    octets = Path(image).read_bytes()
    blocks = Path(image).with_suffix(".uf2").read_bytes()
    assert len(blocks) % 512 == 0
    n = len(blocks) // 512
    content = b""
    for k in range(n):
        block = blocks[k * 512 : (k + 1) * 512]
        head = struct.unpack("<8I", block[:32])
        assert head[:3] == (0x0A324655, 0x9E5D5157, 0x2000) and head[7] == 0xE48BFF56
        assert head[3:7] == (0x10000000 + 256 * k, 256, k, n)
        assert block[508:] == b"\x30\x6f\xb1\x0a"
        content += block[32 : 32 + 256]
    assert content[: len(octets)] == octets and len(content) - len(octets) < 256
    assert len(octets) < rp2040.STORAGE


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


@pytest.mark.parametrize("association", [PUBLIC, MANAGEMENT, DISPLAY], ids=shown)
def test_a_peer_reads_everything(standing, peers, expected, fresh_twin, association):
    secret = expected.secret(association)
    peer = Peer(peers, "gurux_client.py", standing, "hdlc", association, secret)
    peer.opened = peer.ask("open")
    every = 6 if association == MANAGEMENT else 1
    n = read_everything(peer, association, expected, fresh_twin, every=every, at_once=50)
    assert n > 10
    peer.ask("release")
    peer.ask("close")
    peer.end()


# --- A new firmware ---------------------------------------------------------------------------

LARGE = 4 << 20  # of flash: a Pico's own does not hold two slots
RUNTIME = "rp2 mpy6.3 armv6m romfs"
WHOLE = bool(os.environ.get("PICOMETER_ALL"))
FOLDER = "meter/.update"


class OnPico(updates.Updated):
    """A meter on the chip. It starts by itself when the power comes, and after a reset."""

    link = "hdlc"
    options = ("--timeout", "30", "--repeats", "8")
    patience_s = 900

    def __init__(self, peers, expected, flash):
        super().__init__(peers, expected)
        self.flash = flash
        self.meter = self
        self.chip = None
        self.start()

    def start(self):
        self.chip = rp2040.Chip(self.flash, live=True, patience_s=300, keep=True)
        self.ports = {"hdlc": self.chip.address}
        assert self.chip.wait_for("ready") == ["hdlc-uart UART0 9600"]

    def awake(self):
        if self.chip.process.poll() is not None:
            self.chip.stop()
            self.start()


def with_most_of(new, missing_blocks, micropython, folder):
    """What the flash of a board holds that has got an image but for these blocks."""
    block_size = updates.BLOCK_SIZE
    n = -(-len(new) // block_size)
    store = folder / "files" / FOLDER
    store.mkdir(parents=True)
    bits = "".join("0" if k in missing_blocks else "1" for k in range(n))
    bits = bits.ljust(-(-n // 8) * 8, "0")
    (store / "map").write_bytes(int(bits, 2).to_bytes(len(bits) // 8, "big"))
    j = journal.Journal(Files(), str(store / "journal"))
    j.status, j.size, j.block_size, j.identifier = updates.INITIATED, len(new), block_size, b"new"
    j.save()
    at = rp2.storage(LARGE)
    script = Path(__file__).parent / "device" / "littlefs.py"
    args = [micropython, "-X", "heapsize=64m", script, (LARGE - at) // 4096, folder / "files"]
    subprocess.run([str(a) for a in [*args, folder / "fs"]], check=True)
    flash = bytearray(rp2040.flashed(built(LARGE), (folder / "fs").read_bytes(), LARGE))
    for k in range(n):
        if k not in missing_blocks:
            block = new[k * block_size : (k + 1) * block_size]
            here = rp2.CODE_LEN + k * block_size
            flash[here : here + len(block)] = block
    return bytes(flash)


@pytest.mark.skipif(not WHOLE, reason="takes minutes: make test-long")
def test_gurux_updates_a_running_meter(micropython, peers, expected, tmp_path):
    """It sends the blocks that an earlier connection has not brought, for one takes seconds in the
    emulator; then the new firmware runs from its slot, and confirms itself."""
    new = updates.made(tmp_path / "two.pmf", 2, RUNTIME)
    last = -(-len(new) // updates.BLOCK_SIZE) - 1
    blocks = [0, 1, 300, 700, last]
    flash = tmp_path / "flash.bin"
    flash.write_bytes(with_most_of(new, blocks, micropython, tmp_path))
    m = OnPico(peers, expected, flash)
    try:
        m.client()
        assert (m.version(), m.status()) == ("1", updates.INITIATED)
        assert m.read(4) == 0
        m.send(new, blocks)
        assert m.read(4) == last + 1
        assert m.begin(3) == updates.VERIFIED
        assert m.activate() == updates.ACTIVATED
        assert m.version() == "2"
        assert m.chip.said() == ""
    finally:
        m.leave()
        m.chip.stop()


# --- Power cuts -------------------------------------------------------------------------------

# Through the end of a month, with captures of the load profile, the daily one and billing.
STARTS_AT = datetime.datetime(2026, 3, 31, 21, 38, tzinfo=datetime.timezone.utc)
MINUTES = 100
PRINTS = """
import time
from firmware import board_main
board = board_main.start(locked=True, speed=0, seed=%d, start=(%d, 0))
model = board.meter.model
program = board.meter.program
storage = model.storage
values = [model.find(0, bytes([0, c]) + bytes(map(int, o.split("."))), 0) for c, o in %r]

def say(*words):
    print(*words)
    time.sleep_ms(2)  # so that it has left the board before anything more happens

def saving(save, image):
    now = [model.get_int(row, 2) for row in values]
    done = save(image)
    if done:
        say("saved", program.clock.minute, *now)
    return done

def appending(k, ring, append, buf, pos):
    done = append(buf, pos)
    if done:
        say("row", k, ring.n)
    return done

def watch(k, ring):
    append = ring.append
    ring.append = lambda buf, pos: appending(k, ring, append, buf, pos)
    say("row", k, ring.n)

save = storage.save
storage.save = lambda image: saving(save, image)
for k, ring in enumerate(storage._rings[1:]):  # the first is the vault's
    watch(k, ring)
program.save()
say("begins")
for _ in range(%d):
    program.tick(60000)
"""
ENERGIES = [(3, "1.0.%d.8.0.255" % k) for k in (1, 2, 3, 4)]
COUNTERS = [(1, "0.0.96.%s.255" % k) for k in ("7.0", "15.0", "15.1", "2.0")]
POWER_FAILURES = len(ENERGIES)  # in VALUES
VALUES = ENERGIES + COUNTERS
# In the order of the definition, as storage has them: which of them are compared.
BILLING, LOG, LOAD, DAILY = 0, 1, 6, 7
PROFILES = {
    BILLING: "0.0.98.1.0.255",
    LOG: "0.0.99.98.0.255",
    LOAD: LOAD_PROFILE,
    DAILY: "1.0.99.2.0.255",
}

# (number of the write to flash, part of 256 that was done): in the first start of a board, and
# in operation, where every part of a save and of an append has its turn (make test-long: more).
FIRST = [(1, 128), (9, 200), (30, 256)]
PARTS = (0, 1, 90, 128, 200, 255, 256)
LATER = [(k, random.Random(k).choice(PARTS)) for k in range(2, 62, 7 if WHOLE else 14)]


class Cut:
    """What was confirmed before the power went."""

    def __init__(self, path, said):
        self.path = path
        self.saved = None
        self.rows = {}
        for words in (line.split() for line in said.splitlines()):
            if words and words[0] == "saved":
                self.saved = [int(w) for w in words[1:]]
            elif words and words[0] == "row":
                self.rows[int(words[1])] = int(words[2])


def client(chip, peers, expected):
    """The management client, connected over UART0. It says again what was lost while the meter has
    erased a sector, for instance with the first row of its log."""
    secret = expected.secret(MANAGEMENT)
    again = ("--timeout", "5", "--repeats", "4")
    peer = Peer(peers, "gurux_client.py", ChipMeter(chip), "hdlc", MANAGEMENT, secret, again)
    peer.ask("open")
    return peer


def rows_of(peer, obis):
    """Rows of a profile that captures the time first; without the clock's status."""
    rows = peer.get(7, obis, 2)["value"] or []
    return [[row[0][:-2], *row[1:]] for row in rows]


def starts(flash):
    """A board whose power has just come."""
    chip = rp2040.Chip(flash, live=True)
    try:
        assert chip.wait_for("ready") == ["hdlc-uart UART0 9600"]
    except BaseException:
        chip.stop()
        raise
    return chip


@pytest.fixture(scope="module")
def day(new, tmp_path_factory):
    """({write: flash}, {write: Cut}, flash): cuts in the first start, later ones, the end."""
    first = tmp_path_factory.mktemp("first")
    later = tmp_path_factory.mktemp("later")
    with rp2040.Chip(new) as chip:
        chip.order("cut", at=FIRST, folder=str(first))
        chip.wait_for("ready")
        begun = chip.order("figures")["cuts"]
        chip.interrupt()
        chip.prompt()
        chip.start(PRINTS % (SEED, minute_of(STARTS_AT), VALUES, MINUTES))
        before = "\n".join(chip.wait_for("begins")) + "\n"
        chip.order("cut", at=LATER, folder=str(later))
        chip.result()
        figures = chip.order("figures")
        chip.save(later / "end.bin")
    assert set(begun) == {str(k) for k, _ in FIRST}
    assert set(figures["cuts"]) == {str(k) for k, _ in LATER}, figures
    print("writes to flash: %d" % figures["writes"])
    cuts = {}
    for k, _ in LATER:
        cuts[k] = Cut(later / ("%d.bin" % k), before + figures["cuts"][str(k)])
    return {k: first / ("%d.bin" % k) for k, _ in FIRST}, cuts, later / "end.bin"


@pytest.fixture(scope="module")
def whole(day, peers, expected):
    """{number of the profile: its rows} of a board that has not lost its power before the end."""
    with starts(day[2]) as chip:
        peer = client(chip, peers, expected)
        rows = {k: rows_of(peer, obis) for k, obis in PROFILES.items()}
        peer.end()
    assert [len(rows[k]) for k in (BILLING, LOAD, DAILY)] == [1, MINUTES // 15 + 1, 1]
    return rows


@pytest.mark.parametrize("k", [k for k, _ in FIRST])
def test_power_is_cut_in_the_first_start(day, peers, expected, k):
    """The board starts as if nothing had been, or goes on."""
    with starts(day[0][k]) as chip:
        peer = client(chip, peers, expected)
        assert peer.get(3, "1.0.1.8.0.255", 2)["value"] == 0
        assert len(rows_of(peer, PROFILES[LOG])) in (1, 2, 3)
        peer.end()
        assert chip.said() == ""


@pytest.mark.parametrize("k", [k for k, _ in LATER])
def test_power_is_cut(day, whole, peers, expected, k):
    """The meter starts, with what was confirmed; rows are those that were, and none is missing."""
    cut = day[1][k]
    with starts(cut.path) as chip:
        peer = client(chip, peers, expected)
        minute, values = cut.saved[0], cut.saved[1:]
        found = [peer.get(c, obis, 2)["value"] for c, obis in VALUES]
        assert all(now >= before for now, before in zip(found, values)), (found, values)
        assert found[POWER_FAILURES] == values[POWER_FAILURES] + 1
        clock = bytes.fromhex(peer.get(8, "0.0.1.0.0.255", 2)["value"])
        assert utc_minute(clock) >= minute and clock[11] & DOUBTFUL
        for n, obis in PROFILES.items():
            rows = rows_of(peer, obis)
            assert len(rows) >= cut.rows[n], obis
            if n == BILLING and rows and rows[1:] == rows[:1]:
                # The end of the billing period was cut, and is done again in the same minute.
                del rows[1]
            # Behind what was known, the log has the failure itself.
            known = rows[: cut.rows[n]] if n == LOG else rows
            assert known == whole[n][: len(known)], obis
        peer.end()
        assert chip.said() == ""


def utc_minute(octets):
    """Of a date-time with a deviation: minutes since 2000-01-01 00:00 UTC."""
    year, month, day = octets[0] << 8 | octets[1], octets[2], octets[3]
    zone = datetime.timezone.utc
    moment = datetime.datetime(year, month, day, octets[5], octets[6], tzinfo=zone)
    return minute_of(moment) + int.from_bytes(octets[9:11], "big", signed=True)


# --- Noise on the line --------------------------------------------------------------------------

BUSY = """
from firmware import board_main
board = board_main.start(locked=True, speed=1800, seed=%d, start=(%d, 0))
while True:
    try:
        while True:
            board.turn()
    except KeyboardInterrupt:
        break
print(board.links[0].profile.dropped)
"""


def test_noise_and_octets_that_are_lost(new, peers, expected):
    """The meter saves all the time, while the line is full of octets that mean nothing."""
    noise = random.Random(SEED)
    with rp2040.Chip(new, live=True) as chip:
        chip.wait_for("ready")
        chip.interrupt()
        chip.prompt()
        chip.start(BUSY % (SEED, minute_of(STANDS_AT)))
        chip.wait_for("ready")
        sent = 0
        figures = chip.order("figures")
        limit = time.monotonic() + 300
        with socket.create_connection(chip.address) as line:
            # While a sector is erased the UART is not looked after, and its FIFO holds 32 octets.
            while sent < 2000 or not figures["overruns"]:
                octets = b"\x7e" + noise.randbytes(noise.randrange(60))
                line.sendall(octets)
                sent += len(octets)
                # So much waits on the line that it is never idle; in the end nothing does.
                room = 500 if sent < 2000 or not figures["overruns"] else 0
                while sent - figures["received"] > room:
                    assert time.monotonic() < limit, figures
                    time.sleep(0.05)
                    figures = chip.order("figures")
        peer = client(chip, peers, expected)
        assert peer.get(3, "1.0.1.8.0.255", 2)["value"] > 0
        peer.end()
        assert chip.said() == ""
        chip.interrupt()
        assert int(chip.result()) > 30
