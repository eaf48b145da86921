# SPDX-License-Identifier: MIT
"""The meter on an emulated Cortex-M3 with a heap of 64 KiB: read by a peer, played, weighed, and
in trouble: power cuts, damaged and full flash, noise on the UART, no identity.

The firmware is what tools/images.py makes of the board MPS2_AN385, and runs in QEMU. All requests
are served under a locked heap.
"""

import contextlib
import random
import re
import socket
import time
import tomllib
from pathlib import Path

import bench
import compile as compiling
import identities
import images
import pytest
import qemu
import records
import running
import sheet as sheets
import sizes
from bootstrap import Trouble
from running import AARQ, GET_NAME, HDLC, aarq_with

pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    DISPLAY,
    ENERGY,
    MANAGEMENT,
    PUBLIC,
    READ_WRITE_DENIED,
    READING,
    SEED,
    SHORT,
    STANDS_AT,
    Peer,
    Twin,
    encoding_of,
    minute_of,
    missing,
    moves,
    read_everything,
    shown,
)

CONVERSATIONS = sorted((Path(__file__).parent / "conversations").glob("*.txt"))
BUDGET = tomllib.loads(Path(images.ROOT, "tools", "bench_budget.toml").read_text())["cortex-m3"]

DEFINITION = sheets.load(compiling.definition(images.DEFINITION))

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


@pytest.fixture(scope="session")
def roomy():
    """The same with a heap in which a player finds room, a client that ciphers, and what breaks
    the flash under the meter."""
    try:
        return images.image(qemu.BOARD, images.DEFINITION, sizes.CHIP_HEAP)
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


@pytest.mark.parametrize("association", [PUBLIC, READING, MANAGEMENT, DISPLAY], ids=shown)
def test_a_peer_reads_everything(meter, peers, expected, fresh_twin, association):
    peer = Peer(peers, "gurux_client.py", meter, "hdlc", association, expected.secret(association))
    peer.opened = peer.ask("open")
    assert read_everything(peer, association, expected, fresh_twin) > 10
    peer.ask("release")
    peer.ask("close")
    peer.end()


def test_a_peer_with_short_names(meter, peers, expected, fresh_twin):
    """What serves it finds room, makes way when it goes, and comes again: every 8th attribute of
    what it sees, and the object list in blocks."""
    client = str(SHORT[0])
    for _ in range(2):
        secret = expected.secret(SHORT)
        peer = Peer(peers, "gurux_client.py", meter, "hdlc", SHORT, secret, ("--short",))
        peer.ask("open")
        listed = peer.ask("objects")["objects"]
        assert len(listed) > 200
        names = [
            (o["class_id"], o["obis"], a["index"])
            for o in expected.tables["objects"]
            for a in o["attributes"]
            if o["server_sap"] == SHORT[1] and "r" in a["access"].get(client, "")
        ]
        for name in names[::8]:
            if name[0] not in (12, 15) and not moves(name):
                assert peer.get(*name)["raw"] == encoding_of(name, SHORT, expected, fresh_twin)
        message = (1, "0.0.96.13.0.255", 2)
        peer.set(*message, "octet-string", b"chip".hex())
        assert peer.get(*message)["value"] == b"chip".hex()
        peer.set(*message, "octet-string", "")
        peer.ask("release")
        peer.ask("close")
        peer.end()


def test_a_peer_uses_access(meter, peers, expected):
    """The service is loaded into what the heap has left, and goes again."""
    options = ("--access", "--general")
    for _ in range(2):
        secret = expected.secret(MANAGEMENT)
        peer = Peer(peers, "gurux_client.py", meter, "hdlc", MANAGEMENT, secret, options)
        peer.ask("open")
        items = [{"what": "get", "class_id": 3, "obis": ENERGY, "attribute": k} for k in (1, 2, 3)]
        items.append({**items[0], "what": "set", "type": "octet-string", "value": ""})
        got = peer.ask("access", items=items)
        assert got["results"] == [0, 0, 0, READ_WRITE_DENIED]
        assert got["values"][0] == "0100010800ff"
        peer.ask("release")
        peer.ask("close")
        peer.end()


@pytest.mark.parametrize("association", [READING, MANAGEMENT], ids=shown)
def test_a_peer_with_general_blocks(meter, peers, expected, association):
    """In windows of four, plain and ciphered: what is long is one APDU, made as it goes out. Then
    the snapshot of Compact data, and room for what comes next."""
    options = ("--gbt", "4", "--max-pdu", "200")
    for _ in range(2):
        secret = expected.secret(association)
        peer = Peer(peers, "gurux_client.py", meter, "hdlc", association, secret, options)
        peer.ask("open")
        assert len(peer.get(15, "0.0.40.0.0.255", 2)["raw"]) > 2 * 5000
        assert len(peer.get(7, "0.0.98.1.0.255", 3)["raw"]) == 2 * 524
        snapshot = bytes.fromhex(peer.get(62, "0.0.66.0.1.255", 2)["raw"])
        # template_id, the time with its length, four energies
        assert snapshot[:4] == bytes((9, 30, 1, 12)) and len(snapshot) == 32
        peer.ask("release")
        peer.ask("close")
        peer.end()


def test_no_figure_is_worse_than_in_the_budget_file(elf):
    figures = bench.measure_chip(images.DEFINITION)
    assert not bench.over_chip(figures, BUDGET)


def test_names_of_modules_are_not_on_the_heap(elf):
    with qemu.Chip(elf) as chip:
        qemu.weigh(chip)
        said = chip.run("import micropython\nmicropython.qstr_info()")
    assert int(re.search(r"n_qstr=(\d+)", said).group(1)) <= 2


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
@pytest.mark.parametrize("path", CONVERSATIONS, ids=lambda p: p.stem)
def test_conversations_with_the_heap_locked(roomy, path, link):
    with qemu.Chip(roomy) as chip:
        text = path.read_text()
        said = chip.run(
            "from device import chip\nchip.play(%r, %r)" % (path.name, link), text + "\nend\n"
        )
    assert re.fullmatch(r"ok %s \d+\n" % re.escape(path.name), said)


# --- Trouble with the flash (device/trouble.py) ------------------------------------------------


def trouble(chip, call):
    """What a function of device/trouble.py says: its lines, those with figures as dictionaries."""
    said = chip.run("from device import trouble\ntrouble." + call).splitlines()
    return [figures(line) if line.startswith("rows ") else line for line in said]


def figures(line):
    words, _, codes = line.partition(" codes ")
    words = words.split()
    found = dict(zip(words[::2], map(int, words[1::2])))
    return {**found, "codes": codes.split()}


def test_power_that_fails_in_a_write(roomy):
    """Whatever was being written: nothing goes back, and nothing is damaged."""
    lives = 14
    with qemu.Chip(roomy) as chip:
        before = trouble(chip, "live(0, 2)")[-1]
        for n in range(1, lives):
            chip.restart()
            # A start takes up to 70 operations, a quarter of an hour about 12.
            said = trouble(chip, "live(%d, 20, %d, %d)" % (20 * n, 9 + 12 * n, 9 * n))
            assert said.pop() == "cut"
            for line in said:
                assert isinstance(line, dict), line
                assert line["rows"] == line["good"] >= before["rows"]
                assert line["energy"] >= before["energy"]
                assert line["failed"] == 0 and "14" not in line["codes"]
                before = line
        chip.restart()
        (last,) = trouble(chip, "live(%d, 0)" % (20 * lives))
        assert last["rows"] >= before["rows"] > 12 and last["energy"] >= before["energy"]


def test_spoiled_rows(roomy):
    """The others are kept. A block is missed at the start, a row when it is read."""
    with qemu.Chip(roomy) as chip:
        assert trouble(chip, "spoil(60, 0, 0)")[-1] == "spoiled 53"
        chip.restart()
        message, line, *_ = trouble(chip, "live(60, 0)")
        assert message == "says Rows of a profile are damaged; the good ones are kept."
        assert line["good"] == 60 - 53
        assert line["codes"][-2:] == ["14", "2"]
    with qemu.Chip(roomy) as chip:
        assert trouble(chip, "spoil(10, 4, 3)")[-1] == "spoiled 3"
        chip.restart()
        line, after = trouble(chip, "live(10, 1)")
        assert (line["rows"], line["good"]) == (10, 7) and "14" not in line["codes"]
        assert (after["rows"], after["good"]) == (11, 8) and after["codes"].count("14") == 1


@pytest.mark.parametrize("state", [None, "/meter"], ids=["flash", "file system"])
def test_storage_that_takes_nothing_for_a_time(roomy, state):
    """Rows are lost and counted, clients are served, and it goes on as soon as it can."""
    with qemu.Chip(roomy) as chip:
        if state:
            chip.run("import _boot")
        said = trouble(chip, "fail(3, %r)" % state)
        middle = said.index("nothing is written")
        end = said.index("everything is written")
        assert said[middle - 1]["rows"] == 3 and said[middle - 1]["failed"] == 0
        lost = said[end - 2]
        assert lost["rows"] == 3 and lost["failed"] >= 3
        assert lost["energy"] > said[middle - 1]["energy"]
        # Bit 10 of the error register: non-volatile memory.
        assert said[end - 1] == "served 0x400"
        assert said[-2]["rows"] == said[-2]["good"] == 6
        assert said[-2]["failed"] == lost["failed"]
        assert said[-1] == "served 0x400"
        chip.restart()
        if not state:
            (line,) = trouble(chip, "live(9, 0)")
            assert line["rows"] == 6 and line["energy"] == said[-2]["energy"]


# --- Trouble on the UART -----------------------------------------------------------------------


def hdlc(chip, client=16):
    s = socket.create_connection(chip.address, timeout=running.PATIENCE_S)
    return s, HDLC(s.sendall, lambda: s.recv(4096), client)


UA = 0x73


def test_noise_on_the_uart(elf):
    """Garbage, parts of frames, frames with octets missing and too long ones: the next good
    request is answered."""
    r = random.Random(5)
    with qemu.Chip(elf, live=True) as chip:
        ChipMeter(chip)
        s, client = hdlc(chip)
        with s:
            assert client.connect() == UA
            assert client.ask(AARQ)[0] == 0x61
            good = client.ask(GET_NAME)
            assert good[:4] == bytes.fromhex("C401C100")
            frame = client.frame(0x10, b"\xe6\xe6\x00" + GET_NAME)
            missing = bytearray(frame)
            del missing[9:14]
            noises = (
                r.randbytes(3000),
                b"\x7e" * 2000,
                frame[: len(frame) // 2],
                bytes(missing),
                b"\x7e\xa7\xff" + client.address + r.randbytes(4000),
                b"".join(b"\x7e\xa0" + r.randbytes(r.randrange(40)) for _ in range(60)),
            )
            for noise in noises:
                s.sendall(noise)
                # Longer than the inter-octet time-out: what is left of it is given up.
                time.sleep(0.3)
                s.setblocking(False)
                with contextlib.suppress(BlockingIOError):
                    while s.recv(4096):
                        pass
                s.settimeout(running.PATIENCE_S)
                assert client.connect() == UA
                assert client.ask(AARQ)[0] == 0x61
                assert client.ask(GET_NAME) == good
        assert chip.said() == ""


def test_clients_that_cipher_come_and_go(elf):
    """What each brings finds room again, between others."""
    with qemu.Chip(elf, live=True) as chip:
        ChipMeter(chip)
        counter = 0
        for _ in range(8):
            s, plain = hdlc(chip)
            with s:
                assert plain.connect() == UA
                assert plain.ask(AARQ)[0] == 0x61
                plain.disconnect()
            s, link = hdlc(chip, MANAGEMENT[0])
            with s:
                assert link.connect() == UA
                secured = running.Secured(link, MANAGEMENT[0], counter).open()
                assert secured.ask(GET_NAME)[:4] == bytes.fromhex("C401C100")
                counter = secured.client.ic
                link.disconnect()
        assert chip.said() == ""


# --- Who it is ---------------------------------------------------------------------------------

RUN = "from firmware import board_main\nboard_main.run(locked=True)\n"
WRITE = "import _boot\nwith open('provisioning.bin', 'ab') as f: f.write(%r)\n"
PIECE = 512  # of a record, for a program is compiled on the chip
WITH_FILES = "import _boot\n"
REQUIRED = "import wiring\nwiring.PROVISIONING = True\n"


def write(chip, record):
    for at in range(0, len(record), PIECE):
        chip.run(WRITE % record[at : at + PIECE])
    # As on a board: it is reset after that.
    chip.restart()


def name_of(chip):
    s, client = hdlc(chip)
    with s:
        assert client.connect() == UA
        assert client.ask(AARQ)[0] == 0x61
        name = client.ask(GET_NAME)[6:].decode()
        client.disconnect()
    return name


def lets_in(chip, client_sap, secret):
    s, client = hdlc(chip, client_sap)
    with s:
        assert client.connect() == UA
        result = client.ask(aarq_with(secret))[17]
        client.disconnect()
    return result == 0


def proves_itself(chip, client_sap, sheet):
    """A client with the keys of a sheet."""
    s, client = hdlc(chip, client_sap)
    with s:
        assert client.connect() == UA
        found = running.Secured(client, client_sap, of=sheet).lets_in()
        client.disconnect()
    return found


@pytest.mark.parametrize("damaged", [False, True], ids=["missing", "damaged"])
def test_without_a_record_it_can_only_be_provisioned(elf, damaged):
    record = bytearray(identities.new("ABC", "42", DEFINITION).octets())
    record[40] ^= 1
    with qemu.Chip(elf, live=True) as chip:
        if damaged:
            write(chip, bytes(record))
        chip.start((WITH_FILES if damaged else REQUIRED) + RUN)
        said = "\n".join(chip.wait_for("ready to be provisioned"))
        assert ("is damaged" if damaged else "There is no provisioning record") in said
        assert "The meter can only be provisioned" in said
        assert name_of(chip) == "PMT0000000000000"
        assert not lets_in(chip, READING[0], b"demo-reading")
        assert not proves_itself(chip, MANAGEMENT[0], running.sheet())
        assert chip.said() == ""


def test_with_a_record(elf):
    record = identities.new("ABC", "42", DEFINITION)
    with qemu.Chip(elf, live=True) as chip:
        write(chip, record.octets())
        chip.start(WITH_FILES + RUN)
        chip.wait_for("ready")
        assert name_of(chip) == "ABC0000000000042"
        assert lets_in(chip, 2, record.secrets[1, 2])
        assert not lets_in(chip, 2, b"demo-reading")
        assert not proves_itself(chip, MANAGEMENT[0], running.sheet())
        own = records.sheet(record, DEFINITION, [], ["all"])
        assert proves_itself(chip, MANAGEMENT[0], own)
