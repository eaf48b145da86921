# SPDX-License-Identifier: MIT
"""firmware/update.py, container.py, journal.py, launch.py: images that come, are refused, are
installed and started, and the power that fails at every write of it.

The file system is that of test_store.py, which stops at a write; tools/image.py makes the images.
"""

import functools
import os
import shutil
import subprocess
import types

import image as tool
import pytest
from conftest import ROOT
from cryptography.hazmat.primitives.asymmetric import ec
from test_store import MemoryFiles, PowerCut

from firmware import journal, launch, update
from firmware.container import Image, is_path
from firmware.files import Files
from firmware.folders import Folders

FOLDER = "state/.update"
BLOCK_SIZE = 32
INITIATED, VERIFIED, NOT_VERIFIED, ACTIVATING, ACTIVATED, NOT_ACTIVATED = 1, 3, 4, 5, 6, 7
MEMORY_ERROR, READY, DONE, FAILED = 14, 17, 18, 51
TRUNCATED, DAMAGED, WRONGLY_SIGNED, NOT_NEWER, FOREIGN, WENT_BACK = 100, 101, 102, 103, 104, 105
RUNTIME = "cpython"


@functools.lru_cache(maxsize=None)
def key(name="maker"):
    number = int.from_bytes(name.encode(), "big")
    return ec.derive_private_key(number, ec.SECP256R1())


def files_of(number):
    """The files of a version, as they are in a slot."""
    return {
        "firmware/version.py": b"NUMBER = %d" % number,
        "firmware/main.py": b"main of %d " % number * 40,
        "dlms/empty.py": b"",
    }


@functools.lru_cache(maxsize=None)
def image(number=2, runtime=RUNTIME, signed_by="maker", files=None):
    payload = tool.payload_of(dict(files) if files else files_of(number))
    return tool.container(number, runtime, payload, key(signed_by))


class Meter:
    """What update.py wants of a meter, its model and its program; the store itself is `images`.
    test_regions.py has one with slots of another kind."""

    def __init__(self, files, number=1, maker="maker"):
        self.events = []
        self.event = self.events.append
        self.model = self.program = self.server = self
        self.fault = None
        self.saves = True
        self.reads = []
        self.associations = []
        self.sleeps = 0
        self.now_ms = 0
        self.number = number
        update.NUMBER = number
        maker = tool.public(key(maker)) if maker else b""
        self.images = update.Images(self, 5, files, FOLDER, self.slots(files), maker)

    @staticmethod
    def slots(files):
        return Folders(files, FOLDER)

    @staticmethod
    def image(number):
        return image(number)

    @staticmethod
    def started(files):
        """The version that the launcher starts, which has to be whole."""
        return version_in(files, starts(files))

    def n_rows(self):
        return 3

    def read(self, row, attribute, buf, pos, limit):
        self.reads.append(row)

    def sleep(self):
        self.sleeps += 1

    def save_now(self):
        return self.saves

    def pass_time(self, ms):
        """Turns of the main loop for so long; each takes 100 ms."""
        for _ in range(ms // 100):
            self.images.turn(self, self.now_ms)
            self.now_ms += 100

    def work(self):
        """Until what was started is done."""
        n = 0
        while self.images.is_busy():
            self.images.turn(self, self.now_ms)
            n += 1
            assert n < 10000
        return n

    # What a client does.

    def transfer(self, octets, size=None, order=None):
        size = len(octets) if size is None else size
        assert self.images.begin(b"new", size, BLOCK_SIZE)
        self.send(octets, order or range(self.images.n_blocks))

    def send(self, octets, order):
        for k in order:
            assert self.images.put(k, octets[k * BLOCK_SIZE : (k + 1) * BLOCK_SIZE])

    def verify(self):
        self.images.start(0)
        assert self.images.status == 2
        self.work()
        return self.images.status

    def bits(self):
        """The bit-string as text."""
        n = self.images.n_blocks
        buf = bytearray(80)
        text = ""
        for k in range(n + 511 >> 9):
            end = self.images.bits(buf, 3, k)
            text += "".join(format(octet, "08b") for octet in buf[3:end])
        return text[:n]


@pytest.fixture(autouse=True)
def number_of_the_firmware():
    before = update.NUMBER
    yield
    update.NUMBER = before


@pytest.fixture
def files():
    return MemoryFiles()


@pytest.fixture
def meter(files):
    return Meter(files)


def slot_of(files, path):
    return {
        name[len(path) + 1 :]: bytes(data)
        for name, data in files.data.items()
        if name.startswith(path + "/")
    }


def starts(files, number=1):
    """What the launcher starts: the folder. number: of the firmware beside it."""
    launch.Files, before = lambda: files, launch.Files
    launch.NUMBER, before_number = number, launch.NUMBER
    try:
        number = launch.slot(FOLDER)
        return FOLDER + launch.FOLDERS[number] if number else ""
    finally:
        launch.Files, launch.NUMBER = before, before_number


def gives_up(files):
    launch.Files, before = lambda: files, launch.Files
    try:
        launch.gave_up(FOLDER)
    finally:
        launch.Files = before


def version_in(files, path):
    """The version in a slot, which has to be whole; 1: no slot."""
    if not path:
        return 1
    found = slot_of(files, path)
    number = int(found["firmware/version.py"].split()[-1])
    assert found == files_of(number)
    return number


# --- Blocks ---------------------------------------------------------------------------------


def test_a_transfer_goes_on_after_a_restart(files, meter):
    octets = image()
    n = -(-len(octets) // BLOCK_SIZE)
    assert n > 16
    meter.transfer(octets, order=[0, 1, 9, n - 1])
    wanted = "".join("1" if k in (0, 1, 9, n - 1) else "0" for k in range(n))
    for _ in range(2):
        assert (meter.bits(), meter.images.first, meter.images.missing) == (wanted, 2, n - 4)
        assert meter.images.status == INITIATED
        meter = Meter(files)
    meter.send(octets, [k for k in range(n) if wanted[k] == "0"])
    assert (meter.images.first, meter.images.missing, meter.bits()) == (n, 0, "1" * n)
    assert meter.verify() == VERIFIED
    meter = Meter(files)
    assert meter.images.status == VERIFIED
    buf = bytearray(200)
    end = meter.images.about(buf, 1)
    assert buf[1:end].endswith(b"\x09\x03new\x09\x40" + meter.images._signature)
    assert len(meter.images._signature) == 64


def test_a_map_of_more_than_one_piece(files, meter):
    assert meter.images.begin(b"", 1000, 1)
    for k in (0, 511, 512, 999):
        assert meter.images.put(k, b"x")
    for again in (meter, Meter(files)):
        assert again.bits() == "1" + "0" * 510 + "11" + "0" * 486 + "1"
        assert again.images.bits(bytearray(80), 0, 1) == 61


def test_a_full_store(files, meter):
    files.full = True
    assert not meter.images.begin(b"new", 200, BLOCK_SIZE)
    assert (meter.images.status, meter.images.n_blocks) == (0, 0)
    files.full = False
    assert meter.images.begin(b"new", 100, BLOCK_SIZE)
    files.full = True
    assert not meter.images.put(0, bytes(BLOCK_SIZE))
    assert meter.images.missing == 4
    assert meter.events == [MEMORY_ERROR] * 2
    files.full = False
    assert meter.images.put(0, bytes(BLOCK_SIZE))


def test_the_disk_is_full_when_it_is_installed(files, meter):
    meter.transfer(image())
    assert meter.verify() == VERIFIED
    files.full = True
    meter.images.start(1)
    meter.work()
    assert meter.images.status == NOT_ACTIVATED and meter.events[-1] == MEMORY_ERROR
    assert slot_of(files, FOLDER + "/a") == {}, "what has been left takes room that others need"
    files.full = False
    assert starts(files) == "" and not Meter(files).images.wants_restart


def test_what_fails_otherwise_is_no_end_of_the_meter(files, meter, monkeypatch):
    meter.transfer(image())
    monkeypatch.setattr(Image, "verify", lambda *what: None.nothing)
    meter.images.start(0)
    meter.work()
    assert meter.images.status == NOT_VERIFIED and isinstance(meter.fault, AttributeError)


# --- What is refused ------------------------------------------------------------------------


def flipped(octets, at):
    return octets[:at] + bytes((octets[at] ^ 1,)) + octets[at + 1 :]


def named(path):
    return image(files=((path, b"x"),))


HEAD = 17 + len(RUNTIME)
REFUSED = {
    "cut off in its payload": (image()[:-1], TRUNCATED),
    "cut off in its signature": (image()[: HEAD + 40], TRUNCATED),
    "cut off in its head": (image()[:9], TRUNCATED),
    "one octet": (b"P", TRUNCATED),
    "no image": (b"something else that is long enough for a head", DAMAGED),
    "another format": (flipped(image(), 4), DAMAGED),
    "another algorithm": (flipped(image(), 5), DAMAGED),
    "a head of another length": (flipped(image(), 7), DAMAGED),
    "octets behind it": (image() + b"x", DAMAGED),
    "damaged in its payload": (flipped(image(), HEAD + 120), DAMAGED),
    "damaged in its hash": (flipped(image(), HEAD), DAMAGED),
    "damaged in its version": (flipped(image(), 11), WRONGLY_SIGNED),
    "damaged in its runtime": (flipped(image(), 17), WRONGLY_SIGNED),
    "damaged in its signature": (flipped(image(), HEAD + 40), WRONGLY_SIGNED),
    "signed by another": (image(signed_by="other"), WRONGLY_SIGNED),
    "older": (image(1), NOT_NEWER),
    "the oldest": (image(0), NOT_NEWER),
    "for another runtime": (image(runtime="rp2 mpy6.3 armv6m"), FOREIGN),
    "a file above its slot": (named("../a"), DAMAGED),
    "a file with a whole path": (named("/a"), DAMAGED),
    "a file without a name": (named(""), DAMAGED),
    "a file that is hidden": (named("a/.b"), DAMAGED),
    "a folder": (named("a/"), DAMAGED),
}


@pytest.mark.parametrize("what", REFUSED)
def test_refused(files, meter, what):
    octets, code = REFUSED[what]
    meter.transfer(octets)
    assert meter.verify() == NOT_VERIFIED
    assert meter.events == [FAILED, code]
    assert Meter(files).images.status == NOT_VERIFIED
    assert slot_of(files, FOLDER + "/a") == {} and starts(files) == ""
    # The next one is taken.
    meter.transfer(image())
    assert meter.verify() == VERIFIED


def test_a_payload_that_is_signed_and_makes_no_sense():
    """The maker's own mistake: a file that is longer than the image."""
    payload = tool.payload_of({"a": b"xyz"})[:-1]
    meter = Meter(MemoryFiles())
    meter.transfer(tool.container(2, RUNTIME, payload, key()))
    assert meter.verify() == NOT_VERIFIED and meter.events == [FAILED, DAMAGED]


@pytest.mark.parametrize("maker", ["other", ""])
def test_who_the_maker_is(files, maker):
    meter = Meter(files, maker=maker)
    meter.transfer(image())
    assert meter.verify() == NOT_VERIFIED and meter.events == [FAILED, WRONGLY_SIGNED]


def test_an_image_that_rots_after_it_was_verified(files, meter):
    meter.transfer(image())
    assert meter.verify() == VERIFIED
    files.data[FOLDER + "/image"][-3] ^= 4
    meter.images.start(1)
    meter.work()
    assert meter.images.status == NOT_ACTIVATED and meter.events == [READY, DAMAGED]
    assert starts(files) == ""


def test_paths():
    good = ["a", "a.py", "lib/a-b_c.mpy", "A1/b.c.d"]
    bad = ["", ".", "..", "a/../b", "/a", "a//b", "a/", ".a", "a b", "a\\b", "a\0", "\u00e9"]
    assert all(is_path(p.encode()) for p in good)
    assert not any(is_path(p.encode()) for p in bad)


# --- Activation -----------------------------------------------------------------------------


def installed(files, meter, number=2):
    meter.transfer(image(number))
    assert meter.verify() == VERIFIED
    meter.images.start(1)
    assert meter.images.status == ACTIVATING
    meter.work()
    meter.pass_time(500)
    assert not meter.images.wants_restart, "an answer may still be on its way"
    meter.pass_time(1000)
    assert meter.images.wants_restart and meter.images.status == ACTIVATING
    return meter


def confirmed(files, number):
    path = starts(files)
    assert version_in(files, path) == number
    meter = Meter(files, number)
    meter.pass_time(9000)
    assert meter.images.status == ACTIVATING
    meter.pass_time(2000)
    return meter


def test_an_update_from_its_beginning_to_its_end(files, meter):
    installed(files, meter)
    assert meter.events == [READY]
    meter = confirmed(files, 2)
    assert meter.images.status == ACTIVATED and meter.events == [DONE]
    assert meter.reads == [0, 1, 2], "the self-test reads everything"
    assert starts(files) == FOLDER + "/a"
    # Two more: the slots take turns.
    for number, path in ((3, "/b"), (4, "/a")):
        installed(files, meter, number)
        meter = confirmed(files, number)
        assert meter.images.status == ACTIVATED
        assert starts(files) == FOLDER + path
    meter.transfer(image(3))
    assert meter.verify() == NOT_VERIFIED and meter.events[-1] == NOT_NEWER


def test_what_is_not_verified_is_verified_before_it_is_activated(files, meter):
    meter.transfer(image())
    meter.images.start(1)
    assert meter.images.status == 2
    meter.work()
    assert meter.images.status == ACTIVATING and meter.events == [READY]
    meter.transfer(REFUSED["signed by another"][0])
    meter.images.start(1)
    meter.work()
    assert meter.images.status == NOT_VERIFIED


def test_three_starts_and_back(files, meter):
    installed(files, meter)
    for _ in range(3):
        assert version_in(files, starts(files)) == 2
    assert starts(files) == "" == starts(files)
    meter = Meter(files, 1)
    assert meter.images.status == NOT_ACTIVATED
    meter.pass_time(100)
    assert meter.events == [WENT_BACK]
    assert not Meter(files, 1).pass_time(200) and not meter.images.wants_restart


def test_back_to_the_slot_of_before(files, meter):
    installed(files, meter)
    meter = confirmed(files, 2)
    installed(files, meter, 3)
    assert [version_in(files, starts(files)) for _ in range(5)] == [3, 3, 3, 2, 2]


def test_a_firmware_that_does_not_pass_its_own_test(files, meter):
    installed(files, meter)
    assert version_in(files, starts(files)) == 2
    meter = Meter(files, 2)
    meter.saves = False
    meter.pass_time(12000)
    assert meter.images.wants_restart and meter.images.status == NOT_ACTIVATED
    assert starts(files) == ""


def test_a_firmware_that_cannot_read_its_objects(files, meter):
    installed(files, meter)
    starts(files)
    meter = Meter(files, 2)
    meter.read = None
    meter.pass_time(12000)
    assert meter.images.wants_restart and isinstance(meter.fault, TypeError)
    assert starts(files) == ""


def test_a_firmware_that_finds_no_room_to_read_its_objects(files, meter):
    """What it has loaded is let go of, and it tries again; not for ever."""
    installed(files, meter)
    starts(files)
    meter = Meter(files, 2)
    read = meter.read

    def full(row, *where):
        if row == 1 and not meter.sleeps:
            raise MemoryError
        read(row, *where)

    meter.read = full
    meter.pass_time(12000)
    assert meter.images.status == ACTIVATED and meter.reads == [0, 1, 2] and meter.rests
    installed(files, meter, 3)
    starts(files)
    meter = Meter(files, 3)
    meter.associations.append(types.SimpleNamespace(transfer=1))
    meter.read = full
    meter.pass_time(20000)
    assert meter.images.wants_restart and isinstance(meter.fault, MemoryError)
    assert not meter.sleeps


def test_a_firmware_that_is_not_what_the_image_said(files, meter):
    """Its own number is another one: it never confirms."""
    installed(files, meter)
    for _ in range(3):
        starts(files)
        meter = Meter(files, 7)
        meter.pass_time(12000)
        assert meter.images.wants_restart
    assert starts(files) == ""


def test_a_slot_that_cannot_be_imported(files, meter):
    installed(files, meter)
    assert starts(files)
    gives_up(files)
    assert starts(files) == ""


def test_a_confirmed_slot_that_cannot_be_imported_any_more(files, meter):
    installed(files, meter)
    meter = confirmed(files, 2)
    installed(files, meter, 3)
    confirmed(files, 3)
    gives_up(files)
    assert starts(files) == "", "what the meter was made with is always there"


def test_a_newer_firmware_beside_the_launcher(files, meter):
    installed(files, meter)
    confirmed(files, 2)
    assert starts(files, 2) == "" == starts(files, 1)


def test_a_start_that_cannot_be_counted(files, meter):
    installed(files, meter)
    files.full = True
    assert starts(files) == ""


def test_the_confirmation_cannot_be_stored(files, meter):
    installed(files, meter)
    starts(files)
    meter = Meter(files, 2)
    files.full = True
    meter.pass_time(12000)
    assert not meter.images.wants_restart and MEMORY_ERROR in meter.events
    files.full = False
    meter.pass_time(12000)
    assert meter.images.status == ACTIVATED
    assert starts(files) == FOLDER + "/a" and not journal_of(files).trial


# --- The journal ----------------------------------------------------------------------------


def journal_of(files):
    j = journal.Journal(files, FOLDER + launch.JOURNAL)
    j.load()
    return j


def test_the_journal_keeps_everything(files):
    j = journal_of(files)
    wanted = {name: k + 1 for k, name in enumerate(journal._FIELDS[1:])}
    for name, value in wanted.items():
        setattr(j, name, value)
    j.identifier = bytes(range(32))
    j.save()
    again = journal_of(files)
    assert {name: getattr(again, name) for name in wanted} == wanted
    assert again.identifier == bytes(range(32)) and again.sequence == 1
    assert len(files.data[FOLDER + "/journal"]) == 192


@pytest.mark.parametrize("at", range(96, 192, 5))
def test_a_journal_that_rots(files, at):
    """The place of the newest one is damaged: the one before counts."""
    j = journal_of(files)
    for number in (1, 2, 3):
        j.version = number
        j.save()
    files.data[FOLDER + "/journal"][at] ^= 0x10
    assert journal_of(files).version == 2


@pytest.mark.parametrize("name", ["active", "previous"])
def test_a_slot_that_there_is_not(files, name):
    """Its check is right: the one before counts all the same."""
    j = journal_of(files)
    j.version = 1
    j.save()
    setattr(j, name, 3)
    j.save()
    assert journal_of(files).version == 1 and starts(files) == ""


def test_a_write_that_fails_takes_the_same_place_again(files):
    j = journal_of(files)
    j.save()
    files.full = True
    for _ in range(3):
        with pytest.raises(OSError):
            j.save()
    files.full = False
    j.version = 9
    j.save()
    assert journal_of(files).version == 9 and journal_of(files).sequence == 2


# --- Power ----------------------------------------------------------------------------------


def client_updates(files, number, at_start, kind=Meter):
    """Whatever was done before: the launcher starts what it finds, and a client brings the meter
    to the next version. at_start(version) hears of each start."""
    for _ in range(8):
        running = kind.started(files)
        at_start(running)
        meter = kind(files, running)
        meter.pass_time(11000)
        if running == number:
            assert meter.images.status == ACTIVATED
            return
        if meter.images.wants_restart:
            continue
        octets = kind.image(number)
        if meter.images.status == INITIATED:
            have = meter.bits()
            meter.send(octets, [k for k in range(len(have)) if have[k] == "0"])
        elif meter.images.status != VERIFIED:
            meter.transfer(octets)
        if meter.images.status == INITIATED:
            assert meter.verify() == VERIFIED
        meter.images.start(1)
        meter.work()
        meter.pass_time(1500)
        assert meter.images.wants_restart
    raise AssertionError("the update never ends")


def before(number, kind=Meter):
    """Files of a meter that runs a version, in its slot."""
    files = MemoryFiles()
    for k in range(2, number + 1):
        client_updates(files, k, lambda version: None, kind)
    return files.data


def copied(data):
    return MemoryFiles({name: bytearray(octets) for name, octets in data.items()})


@pytest.mark.parametrize("old", [1, 2, 3])
def test_power_cuts_at_every_write(old):
    power_cuts(old, Meter)


def power_cuts(old, kind):
    """Everything is the old or the new firmware, and the update can be gone on with."""
    data = before(old, kind)
    whole = copied(data)
    client_updates(whole, old + 1, lambda version: None, kind)
    found = {old: 0, old + 1: 0}
    for cut_at in range(whole.n_writes):
        for part in (0, 4, 8):
            files = copied(data)
            files.cut_at, files.part = cut_at, part
            with pytest.raises(PowerCut):
                client_updates(files, old + 1, lambda version: None, kind)
            files = copied(files.data)
            versions = []
            client_updates(files, old + 1, versions.append, kind)
            assert versions == sorted(versions) and set(versions) <= {old, old + 1}
            found[versions[0]] += 1
    print("%d cut points: then %r ran" % (3 * whole.n_writes, found))
    assert all(found.values()) and sum(found.values()) == 3 * whole.n_writes


def test_power_that_fails_again_and_again_while_a_new_firmware_tries(files, meter):
    installed(files, meter)
    seen = []
    for _ in range(6):
        files.cut_at = files.n_writes + 1
        try:
            seen.append(version_in(files, starts(files)))
            Meter(files, seen[-1]).pass_time(12000)
        except PowerCut:
            pass
        files = copied(files.data)
    assert seen[:3] == [2, 2, 2] or seen[-1] == 2
    assert set(seen) <= {1, 2}


# --- What it runs on ------------------------------------------------------------------------


def test_what_an_image_has_to_be_for(monkeypatch):
    assert update.runtime() == b"cpython"
    system = types.SimpleNamespace(
        platform="rp2", implementation=types.SimpleNamespace(name="micropython", _mpy=0x1306)
    )
    monkeypatch.setattr(update, "sys", system)
    assert update.runtime() == b"rp2 mpy6.3 armv6m"
    system.implementation._mpy = 0x0306
    assert update.runtime() == b"rp2 mpy6.3 any"


def test_what_a_request_asks_the_store_allocates_nothing(micropython, tmp_path):
    """The files of MicroPython, under a locked heap; and a verification there."""
    script = os.path.join(ROOT, "host_tests", "device", "images.py")
    done = subprocess.run(
        [micropython, script, os.path.join(ROOT, "lib"), ROOT, str(tmp_path / "update")],
        capture_output=True, text=True,
    )  # fmt: skip
    bits = b"\x80" + bytes(62) + b"\x01\x80" + bytes(59) + b"\x01"
    about = b"\x02\x03\x06\x00\x00\x03\xe8\x09\x03new\x09\x00"
    assert done.stdout.splitlines() == [
        "True", "True", "True", "True", "True",
        "64 125 2 1 996",
        (bits + about).hex(),
        "event %d" % FAILED, "event %d" % DAMAGED, "4",
    ], done.stdout + done.stderr  # fmt: skip


# --- Boards ---------------------------------------------------------------------------------

MACHINE = """
class WDT:
    def __init__(self, timeout):
        print("watchdog", timeout)
def reset():
    print("reset")
"""
BOARD_MAIN = """
def run(update, dog):
    print("%s", update, dog is not None)
    %s
"""


@pytest.fixture
def board(tmp_path, micropython):
    """board(): boards/main.py on MicroPython, with a board_main that only says who it is; what it
    and its machine have said. board.slot(what it does): a slot that has been installed."""
    base = tmp_path / "base"
    state = tmp_path / "state"

    def put(folder, name, does):
        (folder / "firmware").mkdir(parents=True)
        (folder / "firmware" / "__init__.py").write_text("")
        (folder / "firmware" / "board_main.py").write_text(BOARD_MAIN % (name, does))

    def run():
        done = subprocess.run(
            [micropython, os.path.join(ROOT, "boards", "main.py")],
            capture_output=True, text=True, env={"MICROPYPATH": str(base)},
        )  # fmt: skip
        return (done.stdout + done.stderr).replace(str(tmp_path), "").splitlines()

    def slot(does):
        put(state / ".update" / "a", "slot", does)
        j = journal.Journal(Files(), str(state / ".update") + launch.JOURNAL)
        j.active = j.trial = 1
        j.left = journal.STARTS
        j.version = 2
        j.save()
        return j

    put(base, "base", "return False")
    for name in ("files", "journal", "launch", "version"):
        shutil.copy(os.path.join(ROOT, "firmware", name + ".py"), base / "firmware")
    (base / "wiring.py").write_text("STATE = %r\n" % str(state))
    (base / "machine.py").write_text(MACHINE)
    run.slot = slot
    run.wiring = base / "wiring.py"
    return run


BASE = ["base /state/.update False"]
WATCHED = ["watchdog 8000", "slot /state/.update True"]


def test_a_board_without_slots(board):
    assert board() == BASE
    board.wiring.write_text("STATE = None\n")
    assert board() == ["base None False"]
    board.wiring.write_text('STATE = ("chip", "Flash", 0, 128)\n')
    assert board() == ["base None False"]


def test_a_board_starts_a_slot_with_its_watchdog_on(board):
    j = board.slot("return False")
    assert board() == WATCHED
    j.load()
    assert j.left == journal.STARTS - 1
    j.trial = 0
    j.save()
    assert board() == ["slot /state/.update False"]


def test_a_board_that_wants_to_be_started_again(board):
    board.slot("return True")
    assert board() == [*WATCHED, "reset"]


def test_a_slot_that_fails_on_a_board(board):
    j = board.slot("raise ValueError('no')")
    failed = "The firmware in slot a has failed: ValueError('no',)"
    for _ in range(journal.STARTS):
        assert board() == [*WATCHED, failed, "reset"]
    assert board() == BASE
    j.load()
    assert (j.status, j.note) == (NOT_ACTIVATED, WENT_BACK)


def test_a_confirmed_slot_that_fails_on_a_board(board):
    j = board.slot("raise ValueError('no')")
    j.trial = 0
    j.save()
    assert board()[-2:] == [
        "The firmware in slot a has failed: ValueError('no',)",
        "reset",
    ]
    assert board() == BASE
