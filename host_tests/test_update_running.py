# SPDX-License-Identifier: MIT
"""A running meter is updated by Gurux, and by tools/image.py: the new version runs and says so,
bad images are refused, a firmware that does not come up is left for the old one.

The client is a program of its own (peers/gurux_client.py); see peer_sessions.py. The new firmware
is this one under another number.
"""

import os
import re
import signal
import socket
import subprocess
import sys
import time

import image as tool
import pytest

pytest_plugins = ["peer_sessions"]

from peer_sessions import MANAGEMENT, ROOT, UPDATE, Peer, Refusal, RunningMeter

TRANSFER = (18, "0.0.44.0.0.255")
VERSION = (1, "0.0.0.2.1.255", 2)
EVENTS = "0.0.99.98.0.255"
BLOCK_SIZE = 384
STATUS = 6
INITIATED, VERIFIED, NOT_VERIFIED, ACTIVATED, NOT_ACTIVATED = 1, 3, 4, 6, 7
TEMPORARY_FAILURE, OTHER_REASON = 2, 250
FAILED, TRUNCATED, DAMAGED, WRONGLY_SIGNED, NOT_NEWER, WENT_BACK = 51, 100, 101, 102, 103, 105
PATIENCE_S = 120


def made(path, number, runtime, *options):
    """An image of this firmware, made as a person does."""
    r = subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools", "image.py"), "make", "--version", str(number),
         "--for", runtime, "-o", str(path), *options],
        capture_output=True, text=True,
    )  # fmt: skip
    assert r.returncode == 0, r.stderr
    assert r.stdout == "%s\n" % path
    return path.read_bytes()


def small(number=2, runtime="cpython", key=None, files=None):
    """One without much in it, that a meter takes for good, but does not come up with."""
    files = files or {"firmware/__init__.py": b"", "firmware/main.py": b"raise ValueError('no')"}
    key = key or tool.load_key(tool.DEMO_KEY)
    return tool.container(number, runtime, tool.payload_of(files), key)


class Updated:
    """A meter with a state, on one port, and Gurux as its client for updates."""

    def __init__(self, peers, expected, runtime, state):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        self.peers, self.expected, self.runtime, self.state = peers, expected, runtime, state
        self.peer = self.meter = None
        self.start()

    def start(self):
        options = ("--state", str(self.state), "--wrapper-tcp", str(self.port))
        self.meter = RunningMeter(self.runtime, *options, speed=1)

    def stop(self):
        self.leave()
        code = self.meter.stop()
        self.said = self.meter.said
        return code

    def kill(self):
        """The power fails: of the program of the meter, and of what has started it."""
        self.leave()
        pid = self.meter.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            (child,) = f.read().split()
        self.meter.process.kill()
        os.kill(int(child), signal.SIGKILL)
        self.meter.process.wait()

    def leave(self):
        if self.peer is not None:
            self.peer.end()
            self.peer = None

    def client(self, association=UPDATE):
        """Connected anew, as soon as the meter is there."""
        self.leave()
        limit = time.monotonic() + PATIENCE_S
        while True:
            secret = self.expected.secret(association)
            self.peer = Peer(self.peers, "gurux_client.py", self.meter, "wrapper", association,
                             secret)  # fmt: skip
            try:
                self.peer.ask("open")
                return self.peer
            except Refusal:
                assert time.monotonic() < limit
                self.leave()
                time.sleep(0.2)

    def read(self, attribute):
        return self.peer.get(*TRANSFER, attribute)["value"]

    def version(self):
        return bytes.fromhex(self.peer.get(*VERSION)["value"]).decode()

    def status(self):
        return self.read(STATUS)

    def initiate(self, octets):
        name = b"\x09\x08firmware"
        size = b"\x06" + len(octets).to_bytes(4, "big")
        self.peer.act(*TRANSFER, 1, "structure", (b"\x02\x02" + name + size).hex())

    def send(self, octets, order=None):
        n = -(-len(octets) // BLOCK_SIZE)
        for k in order or range(n):
            block = octets[k * BLOCK_SIZE : (k + 1) * BLOCK_SIZE]
            data = b"\x02\x02\x06" + k.to_bytes(4, "big") + tool.reader.field(9, block)
            self.peer.act(*TRANSFER, 2, "structure", data.hex())

    def begin(self, method):
        """verify or activate: what takes time is answered with temporary-failure."""
        error = self.peer.refused("action", class_id=18, obis=TRANSFER[1], method=method,
                                  type="integer", value=0)  # fmt: skip
        assert error["code"] == TEMPORARY_FAILURE
        return self.ends()

    def ends(self, *on_the_way):
        limit = time.monotonic() + PATIENCE_S
        while self.status() in (2, *on_the_way):
            assert time.monotonic() < limit
            time.sleep(0.05)
        return self.status()

    def transfer(self, octets):
        self.initiate(octets)
        self.send(octets)
        return self.begin(3)

    def activate(self):
        """Until the meter is there again, with whatever firmware, and does not try any more."""
        error = self.peer.refused("action", class_id=18, obis=TRANSFER[1], method=4,
                                  type="integer", value=0)  # fmt: skip
        assert error["code"] == TEMPORARY_FAILURE
        limit = time.monotonic() + PATIENCE_S
        status = 5
        while status not in (ACTIVATED, NOT_ACTIVATED):
            assert time.monotonic() < limit
            time.sleep(0.5)
            try:
                self.client()
                status = self.status()
            except Refusal:
                pass  # it restarts
        return status

    def events(self):
        """Codes in the standard log."""
        self.client(MANAGEMENT)
        rows = self.peer.get(7, EVENTS, 2)["value"]
        self.client()
        return [row[1] for row in rows]

    def notes(self, *codes):
        """Until these are among the events: they are noted with the next second."""
        limit = time.monotonic() + PATIENCE_S
        while not set(codes) <= set(self.events()):
            assert time.monotonic() < limit, self.events()
            time.sleep(0.3)


@pytest.fixture
def updated(peers, expected, tmp_path, request):
    running = []

    def get(runtime="cpython"):
        if runtime == "micropython":
            request.getfixturevalue("micropython")
        running.append(Updated(peers, expected, runtime, tmp_path / "state"))
        running[-1].client()
        return running[-1]

    yield get
    for meter in running:
        if meter.meter.process.poll() is None:
            meter.stop()


# --- From one version to the next -------------------------------------------------------------


def test_gurux_updates_a_running_meter(updated, tmp_path):
    octets = made(tmp_path / "two.pmf", 2, "micropython")
    m = updated("micropython")
    assert (m.version(), m.status()) == ("1", 0)
    m.initiate(octets)
    n = -(-len(octets) // BLOCK_SIZE)
    # Backwards, and some of them again.
    m.send(octets, [*range(n - 1, n // 2, -1), n - 1, n - 2])
    assert m.read(4) == 0
    m.kill()
    m.start()
    m.client()
    assert (m.version(), m.status()) == ("1", INITIATED)
    bits = m.read(3)
    assert bits == "0" * (n // 2 + 1) + "1" * (n - n // 2 - 1)
    m.send(octets, range(n // 2 + 1))
    assert m.read(4) == n
    assert m.begin(3) == VERIFIED
    (about,) = m.read(7)
    assert about[0] == len(octets) and bytes.fromhex(about[1]) == b"firmware"
    assert m.activate() == ACTIVATED
    assert m.version() == "2"
    m.notes(17, 18)
    # And it stays so.
    assert m.stop() == 0
    m.start()
    m.client()
    assert (m.version(), m.status()) == ("2", ACTIVATED)
    assert (m.state / ".update/a").is_dir()


def test_the_command_updates_a_running_meter(updated, tmp_path):
    made(tmp_path / "two.pmf", 2, "cpython")
    m = updated()
    m.leave()
    command = [sys.executable, os.path.join(ROOT, "tools", "image.py"), "send"]
    command += [str(tmp_path / "two.pmf"), "127.0.0.1:%d" % m.port]
    r = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert (r.returncode, r.stdout) == (0, "The meter runs version 2.\n"), r.stderr
    r = subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE_S)
    assert r.returncode == 1 and "refuses the image" in r.stderr and "Traceback" not in r.stderr


# --- Refused, each with its status and its event ----------------------------------------------


def test_images_that_are_refused(updated, tmp_path):
    m = updated()
    good = small()
    other = tool.cryptography()[0].generate_private_key(tool.cryptography()[0].SECP256R1())
    for octets, code in (
        (good[:-1], TRUNCATED),
        (good[:-2] + b"xx", DAMAGED),
        (small(key=other), WRONGLY_SIGNED),
        (small(1), NOT_NEWER),
    ):
        assert m.transfer(octets) == NOT_VERIFIED
        m.notes(FAILED, code)
        error = m.peer.refused("action", class_id=18, obis=TRANSFER[1], method=4,
                               type="integer", value=0)  # fmt: skip
        assert error["code"] == OTHER_REASON
    assert m.version() == "1"
    assert m.stop() == 0 and m.said == ""


# --- What does not come up --------------------------------------------------------------------


HANGS = b"""
def run(options):
    while True:
        pass
"""
ENDS = b"""
def run(options):
    return 3
"""


@pytest.mark.parametrize("what", ["raises", "ends", "no main"])
def test_back_to_what_ran_before(updated, what):
    files = {"firmware/__init__.py": b""}
    if what == "raises":
        files["firmware/main.py"] = b"raise ValueError('broken')"
    elif what == "ends":
        files["firmware/main.py"] = ENDS
    m = updated()
    assert m.transfer(small(files=files)) == VERIFIED
    assert m.activate() == NOT_ACTIVATED
    assert m.version() == "1"
    m.notes(WENT_BACK)
    assert m.stop() == 0
    starts = m.said.count("The firmware is started again.")
    assert starts == (4 if what == "ends" else 2)
    assert "Traceback" not in m.said


def test_a_firmware_that_hangs_is_ended(updated, monkeypatch):
    """The watchdog of a PC, with less patience."""
    m = updated()
    assert m.transfer(small(files={"firmware/__init__.py": b"", "firmware/main.py": HANGS}))
    m.stop()
    path = m.state / "launched.py"
    path.write_text(
        "import sys; sys.path.insert(0, %r)\n"
        "import launcher, meter; launcher._TRIAL_S = 1\n"
        "sys.exit(meter.main(sys.argv[1:]))\n" % os.path.join(ROOT, "tools")
    )
    monkeypatch.setattr("peer_sessions.os.path.join", joined(str(path)))
    m.start()
    monkeypatch.undo()
    m.client()
    assert m.activate() == NOT_ACTIVATED and m.version() == "1"
    m.stop()
    # Or more: on a busy machine a start may end before it was counted.
    assert m.said.count("has not confirmed itself within 1 s") >= 3


def joined(path):
    """os.path.join, for which tools/meter.py is another program."""
    join = os.path.join
    return lambda *parts: path if parts[-1] == "meter.py" else join(*parts)


# --- The tool ---------------------------------------------------------------------------------


def run(*args):
    r = subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools", "image.py"), *map(str, args)],
        capture_output=True, text=True,
    )  # fmt: skip
    assert "Traceback" not in r.stderr
    return r.returncode, r.stdout, r.stderr


def test_keys_are_made_once_and_are_their_owners(tmp_path):
    path = tmp_path / "maker.pem"
    code, out, _err = run("keys", path)
    assert code == 0 and re.fullmatch(r'maker_key = "0x[0-9A-F]{128}"\n', out)
    assert path.stat().st_mode & 0o777 == 0o600
    before = path.read_bytes()
    assert run("keys", path)[:2] == (0, out) and path.read_bytes() == before


def test_an_image_is_shown(tmp_path):
    keys = tmp_path / "maker.pem"
    run("keys", keys)
    image = tmp_path / "two.pmf"
    made(image, 7, "cpython", "--key", str(keys))
    code, out, _err = run("show", image, "--key", keys)
    assert code == 0
    assert re.search(r"^version    7\nruntime    cpython\nfiles      \d+, \d+ octets$", out, re.M)
    code, _out, err = run("show", image)
    assert code == 1 and "is not signed with this key" in err
    image.write_bytes(image.read_bytes()[:-9])
    assert "is truncated" in run("show", image, "--key", keys)[2]


@pytest.mark.parametrize(
    "args, words",
    [
        (("make", "--version", "0"), "no number of a version"),
        (("make", "--for", "here"), "expected micropython, cpython, or the three words"),
        (("make", "--for", "rp2 mpy6.3 z80"), "no processor that is known"),
        (("make", "--key", "/nowhere/maker.pem"), "Cannot read the key"),
        (("make", "--key", tool.__file__), "is no private key of P-256"),
        (("make", "--for", "cpython", "-o", "/proc/x/y"), "Cannot write"),
        (("show", "/nowhere/two.pmf"), "Cannot read"),
        (("show", tool.__file__), "is damaged, or no image of firmware"),
        (("send", tool.__file__, "nowhere"), "is no place"),
        (("send", tool.__file__, "127.0.0.1:1"), "no talking to a meter"),
        (("keys", "/proc/x/maker.pem"), "Cannot write"),
    ],
)
def test_mistakes(args, words):
    code, out, err = run(*args)
    assert code and out == "" and words in err


def test_the_help_teaches():
    code, out, _err = run("--help")
    assert code == 0
    for word in ("keys", "make", "show", "send", "maker_key", "--for", "firmware/version.py"):
        assert word in out
