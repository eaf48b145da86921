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

import image as tool
import pytest

pytest_plugins = ["peer_sessions"]

import updates
from peer_sessions import ROOT, RunningMeter
from updates import (
    ACTIVATED,
    BLOCK_SIZE,
    DAMAGED,
    FAILED,
    INITIATED,
    NOT_ACTIVATED,
    NOT_NEWER,
    NOT_VERIFIED,
    OTHER_REASON,
    PATIENCE_S,
    TRANSFER,
    TRUNCATED,
    VERIFIED,
    WENT_BACK,
    WRONGLY_SIGNED,
    made,
    small,
)


class OnPC(updates.Updated):
    """A meter with a state, on one port."""

    def __init__(self, peers, expected, runtime, state):
        with socket.socket() as s:
            s.bind(("127.0.0.1", 0))
            self.port = s.getsockname()[1]
        super().__init__(peers, expected)
        self.runtime, self.state = runtime, state
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


@pytest.fixture
def updated(peers, expected, tmp_path, request):
    running = []

    def get(runtime="cpython"):
        if runtime == "micropython":
            request.getfixturevalue("micropython")
        running.append(OnPC(peers, expected, runtime, tmp_path / "state"))
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


def test_an_image_for_regions_of_flash(tmp_path):
    """It has one file, which begins as a ROMFS does; a PC's main is not in it."""
    image = tmp_path / "two.pmf"
    octets = made(image, 2, "rp2 mpy6.3 armv6m romfs")
    code, out, _err = run("show", image)
    assert code == 0
    assert re.search(r"^runtime    rp2 mpy6.3 armv6m romfs\nfiles      1, \d+ octets$", out, re.M)
    at = octets.index(b"firmware.romfs") + len(b"firmware.romfs") + 4
    assert octets[at : at + 3] == b"\xd2\xcd\x31"
    assert b"board_main.mpy" in octets and b"\x08main.mpy" not in octets


@pytest.mark.parametrize(
    "args, words",
    [
        (
            ("make", "--for", "rp2 mpy6.3 romfs"),
            "expected micropython, cpython, or the three words",
        ),
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
