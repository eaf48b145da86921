# SPDX-License-Identifier: MIT
"""tools/deploy.py as a person uses it: boards, and what goes wrong with them.

The board is fake_board.py: MicroPython's unix port with littlefs as its only file system, behind a
raw REPL that is played. No board that QEMU has starts main.py by itself, and its flash cannot be
made small or its firmware old; here both can, and what is copied there does run. That mpremote and
a real REPL go together is tested with the emulated Cortex-M3, at the end.
"""

import hashlib
import os
import re
import socket
import subprocess
import sys
import threading

import pytest
from fake_port import FakeBoard
from running import AARQ, GET_NAME, HDLC, ROOT

DEPLOY = os.path.join(ROOT, "tools", "deploy.py")
PROVISION = os.path.join(ROOT, "tools", "provision.py")
VENV = os.path.join(ROOT, "build", "venv", "bin", "python")
BOARD = "MPS2_AN385"
CHUNK = b"w(b'"


def tool(path, *args, timeout=120):
    r = subprocess.run(
        [sys.executable, path, *args], cwd=ROOT, capture_output=True, text=True, timeout=timeout
    )
    assert "Traceback" not in r.stderr.replace("Traceback (most recent call last):\n    File", "")
    return r


def deploy(board, *args):
    port = board if isinstance(board, str) else board.port
    return tool(DEPLOY, "--board", BOARD, "--port", port, *args)


def mpremote(board, *args):
    args = [VENV, "-m", "mpremote", "connect", board.port, *args]
    r = subprocess.run(args, capture_output=True, text=True, timeout=60)
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout


def name_of(board):
    """What the public client reads over the meter's UART."""
    with socket.create_connection(board.meter, 30) as s:
        hdlc = HDLC(s.sendall, lambda: s.recv(4096))
        assert hdlc.connect() == 0x73
        assert hdlc.ask(AARQ)[:1] == b"\x61"
        answer = hdlc.ask(GET_NAME)
        hdlc.disconnect()
    assert answer[:4] == bytes.fromhex("C401C100")
    return answer[6:].decode()


def spoiled(times):
    """Damages a certain octet of a certain file, so many times."""
    left = [times]

    def spoil(data):
        if left[0] and b"lib/dlms/acse.py" in data:
            left[0] -= 1
            return data.replace(b"lib/dlms/acse.py", b"lib/dlms/acsf.py", 1)
        return data

    return spoil


# --- What works -----------------------------------------------------------------------------


def test_a_board_becomes_a_meter_with_a_name(micropython, tmp_path):
    with FakeBoard(micropython) as board:
        r = deploy(board)
        assert r.returncode == 0, r.stderr
        assert r.stdout.splitlines()[-1] == "ready"
        assert "Found micropython 1." in r.stderr
        assert re.search(r"Copied \d+ files, \d+ KiB", r.stderr)
        assert "100 %" in r.stderr
        assert name_of(board) == "PMT1000000000001"

        # Nothing is copied twice.
        board.received = b""
        r = deploy(board)
        assert (r.returncode, r.stdout.splitlines()[-1]) == (0, "ready")
        assert "Nothing has changed: nothing is copied." in r.stderr
        assert CHUNK not in board.received

        # It gets an identity. A module that is not ours any more goes away.
        records = ["--folder", str(tmp_path)]
        for serial in ("42", "43"):
            made = tool(PROVISION, "new", "--flag", "ABC", "--serial", serial, *records)
            assert made.returncode == 0, made.stderr
        mpremote(board, "exec", "open('/lib/dlms/server.py', 'w').close()")
        r = deploy(board, "--provision", "42", *records)
        assert r.returncode == 0, r.stderr
        assert "Removed what is not of this version: 1 files." in r.stderr
        assert "The board has the identity of ABC0000000000042." in r.stderr
        assert name_of(board) == "ABC0000000000042"

        # Another one, written and checked by provision.py, over the UART.
        place = "hdlc-serial:socket://127.0.0.1:%d" % board.meter[1]
        r = tool(PROVISION, "write", "43", "--port", board.port, "--check", place, *records)
        assert r.returncode == 0, r.stderr
        assert "The board reads ABC0000000000043, serial number 43." in r.stderr
        assert "client 1 at SAP 1 reads ABC0000000000043, serial number 43" in r.stdout
        secrets = re.findall(r'= "(\w{26,})"', (tmp_path / "ABC0000000000043.toml").read_text())
        # Two secrets; four keys of each of five Security setups; four private keys.
        assert len(secrets) == 3 + 4 * 5 + 4
        assert not any(secret in r.stdout + r.stderr for secret in secrets)

        # Damaged: the meter only tells that it is to be provisioned, and deploy passes it on.
        spoil = "with open('/provisioning.bin', 'r+b') as f: f.seek(30); f.write(b'?')"
        mpremote(board, "exec", spoil)
        r = deploy(board)
        assert r.returncode == 0
        assert r.stdout.splitlines()[-1] == "ready to be provisioned"
        assert "(provisioning.bin) is damaged" in r.stderr
        assert name_of(board) == "PMT0000000000000"


def test_a_romfs_image(micropython):
    with FakeBoard(micropython, faults=["romfs=1024"]) as board:
        mpremote(board, "exec", "import os; os.mkdir('/lib'); os.mkdir('/lib/dlms')")
        mpremote(board, "exec", "open('/lib/dlms/__init__.py', 'w').close()")
        r = deploy(board, "--romfs")
        assert r.returncode == 0, r.stderr
        assert r.stdout.splitlines()[-1] == "ready"
        assert re.search(r"Wrote an image of \d+ files, \d+ KiB", r.stderr)
        assert "Removed from the file system, which goes before ROMFS: 1 files." in r.stderr
        assert name_of(board) == "PMT1000000000001"
        assert mpremote(board, "exec", "import dlms; print(dlms.__file__)").startswith("/rom/")

        r = deploy(board, "--romfs", "--no-start")
        assert r.returncode == 0, r.stderr
        assert "Nothing has changed: nothing is copied." in r.stderr


# --- What goes wrong ------------------------------------------------------------------------


def test_a_cable_that_fails_and_a_damaged_copy(micropython):
    with FakeBoard(micropython) as board:

        def dies(data):
            if b"lib/dlms/get.py" in data:
                board.dumb = True
            return data

        board.spoil = dies
        r = deploy(board, "--no-start", "--patience", "2")
        assert r.returncode == 1
        last = r.stderr.splitlines()[-1]
        assert re.search(
            r"The board at \S+ stopped answering while taking /lib/dlms/get.mpy", last
        )

        # The half of a meter does not start. Next time the rest comes, one file of it twice.
        board.dumb = False
        assert "main.py" not in mpremote(board, "ls", ":/")
        board.spoil = spoiled(1)
        mpremote(board, "rm", ":/lib/dlms/acse.mpy")
        r = deploy(board, "--no-start")
        assert r.returncode == 0, r.stderr
        assert "Damaged on the way, copied again: /lib/dlms/acse.mpy." in r.stderr
        assert "main.py" in mpremote(board, "ls", ":/")

        # If it is damaged each time, that is said, and the meter is not started.
        board.spoil = None
        mpremote(board, "rm", ":/lib/dlms/acse.mpy")
        board.spoil = spoiled(100)
        r = deploy(board)
        assert (r.returncode, r.stdout) == (1, "")
        last = r.stderr.splitlines()[-1]
        assert last.startswith("Damaged on the way to the board, 2 times: /lib/dlms/acse.mpy.")


@pytest.mark.parametrize(
    "fault, sentence",
    [
        ("version=1.24.0", "The board's firmware is MicroPython 1.24; at least 1.25 is needed."),
        ("mpy=%d" % (6 | 2 << 8 | 2 << 10), "takes version 6.2. Flash a firmware that fits"),
        ("mpy=5", "takes version 5.0."),
    ],
)
def test_a_firmware_that_does_not_fit(micropython, fault, sentence):
    with FakeBoard(micropython, faults=[fault]) as board:
        r = deploy(board)
        assert r.returncode == 1
        assert sentence in r.stderr
        assert CHUNK not in board.received


def test_a_full_file_system(micropython):
    with FakeBoard(micropython, n_blocks=12) as board:
        r = deploy(board)
        assert r.returncode == 1
        found = re.search(r"is full: the meter needs (\d+) KiB more there, and (\d+)", r.stderr)
        assert found and int(found[1]) > 100 and int(found[2]) < 48
        assert CHUNK not in board.received
        # Without that look ahead, the board says it itself.
        script = (
            "import sys; sys.path[:0] = %r\nimport remote\n"
            "with remote.Remote(%r) as b:\n b.write('/big', bytes(100000))"
            % ([os.path.join(ROOT, "tools")], board.port)
        )
        r = subprocess.run([VENV, "-c", script], capture_output=True, text=True, timeout=60)
        assert "Trouble: The file system of the board is full." in r.stderr


@pytest.mark.parametrize(
    "faults, args, sentence",
    [
        ([], ["--romfs"], "The board's firmware has no ROMFS"),
        (["romfs=32"], ["--romfs"], "and the board's ROMFS has room for 32 KiB."),
    ],
)
def test_no_room_in_romfs(micropython, faults, args, sentence):
    with FakeBoard(micropython, faults=faults) as board:
        r = deploy(board, *args)
        assert r.returncode == 1
        assert sentence in r.stderr


def test_a_port_that_does_not_answer(micropython):
    with FakeBoard(micropython, dumb=True) as board:
        r = deploy(board, "--patience", "1")
        assert r.returncode == 1
        assert "Nothing that speaks MicroPython's REPL answers at socket://" in r.stderr


def test_a_port_that_talks_of_something_else():
    with socket.create_server(("127.0.0.1", 0)) as server:

        def talk():
            s = server.accept()[0]
            s.sendall(b"login: ")
            while s.recv(100):
                s.sendall(b"Password: ")

        threading.Thread(target=talk, daemon=True).start()
        r = deploy("socket://127.0.0.1:%d" % server.getsockname()[1], "--patience", "1")
    assert r.returncode == 1
    assert "Nothing that speaks MicroPython's REPL answers at socket://" in r.stderr


def test_a_port_that_is_not_there():
    r = deploy("/dev/no-such-port")
    assert r.returncode == 1
    assert r.stderr.startswith("There is no port /dev/no-such-port. There ")
    r = deploy("socket://127.0.0.1:1")
    assert r.returncode == 1
    assert "The port socket://127.0.0.1:1 cannot be opened" in r.stderr


def test_a_board_that_nobody_knows():
    r = tool(DEPLOY, "--board", "NO_SUCH", "--port", "/dev/no-such-port")
    assert r.returncode == 1
    assert r.stderr.startswith("There is no board NO_SUCH. There are: ")
    assert tool(DEPLOY, "--board", BOARD).returncode == 2
    r = tool(DEPLOY, "--board", "UNIX", "--port", "/dev/no-such-port")
    assert r.returncode == 1
    assert "make run starts the meter" in r.stderr


def test_a_meter_that_does_not_start(micropython, tmp_path):
    with FakeBoard(micropython, faults=["slow-start"]) as board:
        r = deploy(board, "--start-patience", "2")
        assert r.returncode == 1
        assert "The meter was not ready within 2 s. It said nothing." in r.stderr
        # And one that ends with an exception.
        boot = "with open('/boot.py', 'w') as f: f.write('raise ValueError(1)')"
        mpremote(board, "exec", boot)
        r = deploy(board, "--start-patience", "30")
        assert r.returncode == 1
        assert "The meter does not start. The board said:" in r.stderr
        assert "ValueError: 1" in r.stderr


# --- A real REPL ----------------------------------------------------------------------------


class Wire:
    """A TCP port for the console of a chip in QEMU."""

    def __init__(self, chip):
        self.console = chip._console
        self.server = socket.create_server(("127.0.0.1", 0))
        self.port = "socket://127.0.0.1:%d" % self.server.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self):
        while True:
            s = self.server.accept()[0]
            s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            out = threading.Thread(target=self._pump, args=(self.console, s), daemon=True)
            out.start()
            self._pump(s, self.console)

    def _pump(self, source, dest):
        try:
            while data := source.recv(256):
                if source is not self.console:
                    source.setsockopt(socket.IPPROTO_TCP, socket.TCP_QUICKACK, 1)
                dest.sendall(data)
        except OSError:
            pass


ON_THE_CHIP = """
import sys
sys.path[:0] = [%r]
import remote
data = bytes(range(256)) * 40
with remote.Remote(%r) as board:
    about = board.about()
    print(about.name, about.arch, about.mpy & 0xFF, about.home, about.block)
    board.folder('/f')
    for _ in range(2):
        board.replace('/f/g', data)
    names = board.hashes(['/f/g', '/f/none'])
    print(names['/f/g'][:8], names['/f/none'], board.walk('/f'))
    fill = "b = bytes(4096)\\nwith open('/full', 'wb') as f:\\n for _ in range(118): f.write(b)"
    board.run(fill, "filling")
    print(board.free() < 30000)
    try:
        board.write('/f/h', data * 3)
    except remote.Trouble as e:
        print(e)
"""


def test_the_emulated_cortex_m3():
    """mpremote and a real REPL with raw paste, a real littlefs that gets full."""
    import bootstrap
    import images
    import qemu

    try:
        elf = images.image(qemu.BOARD)
    except bootstrap.Trouble as e:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(e))
    with qemu.Chip(elf, live=True) as chip:
        wire = Wire(chip)
        script = ON_THE_CHIP % (os.path.join(ROOT, "tools"), wire.port)
        r = subprocess.run([VENV, "-c", script], capture_output=True, text=True, timeout=120)
    assert r.stderr == ""
    said = r.stdout.splitlines()
    assert said[0] == "micropython armv7em 6 / 4096"
    digest = hashlib.sha256(bytes(range(256)) * 40).hexdigest()
    assert said[1] == "%s None (['/f/g'], [])" % digest[:8]
    assert said[2] == "True"
    assert said[3].startswith("The file system of the board is full.")
