# SPDX-License-Identifier: MIT
"""The way of a request over LON allocates nothing: device/lon_line.py, on MicroPython, locks the
heap in every poll of driver and profile."""

import subprocess
import sys
from pathlib import Path

import pytest
import small
from doubles.mip_u61 import crc16, message
from test_lon import AARQ, GET_ENERGY, GET_LONG, LONG, SET_LONG, head
from test_lon_secure import PROTECTED, REFUSED, Client
from test_prime import get

HERE = Path(__file__).parent
ROOT = HERE.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return made(tmp_path_factory, "lon.toml")


@pytest.fixture(scope="module")
def protected(tmp_path_factory):
    return made(tmp_path_factory, "lon_secure.toml")


def made(tmp_path_factory, definition):
    folder = tmp_path_factory.mktemp("definition")
    subprocess.run(
        [sys.executable, ROOT / "tools/tables.py", HERE / "definitions" / definition]
        + ["-o", folder / "definition.py"],
        check=True,
        capture_output=True,
    )
    return folder


class Line:
    """A running device/lon_line.py, and a client that waits for its answers."""

    def __init__(self, micropython, folder):
        self.process = subprocess.Popen(
            [micropython, str(HERE / "device/lon_line.py"), str(folder)],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            env={"MICROPYPATH": "%s:%s" % (ROOT / "lib", ROOT)},
        )  # fmt: skip
        self.number = 0
        self.wire(message(0x50))

    def wire(self, octets):
        self.process.stdin.write(octets.hex() + "\n")
        self.process.stdin.flush()
        said = self.process.stdout.readline()
        assert said, self.process.stderr.read()
        return bytes.fromhex(said.strip())

    def say(self, octets):
        """As Bench.say() of test_lon.py."""
        self.number = self.number % 15 + 1
        said = self.wire(heard(self.number, octets)).replace(b"\x7e\x7e", b"\x7e")
        return said[12:-1] if said else None

    def close(self):
        self.process.stdin.close()
        self.process.wait(10)
        assert self.process.stderr.read() == ""
        self.process.stdout.close()
        self.process.stderr.close()


def play(micropython, folder, lines):
    """The LPDUs that the meter sends, a list for each line."""
    done = subprocess.run(
        [micropython, str(HERE / "device/lon_line.py"), str(folder)],
        input="\n".join(line.hex() for line in lines) + "\n",
        env={"MICROPYPATH": "%s:%s" % (ROOT / "lib", ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == "" and done.returncode == 0
    return [bytes.fromhex(line) for line in done.stdout.split("\n")[:-1]]


def heard(number, octets, kind=1):
    lpdu = bytes((0, kind << 4 | 9, 1, 0x85, 3, 0x82, 0x51, number)) + octets
    return message(0x1C, b"\x05" + lpdu + crc16(lpdu) + b"\x70\x80")


def test_from_reset_to_a_notification(micropython, folder):
    """Association, GET, SET in segments, GET in segments, counters, refusals, noise."""
    requests = [head(0, 1) + small.aarq(b"12345678"), head(0, 1) + GET_ENERGY]
    pieces = [SET_LONG[i : i + 90] for i in range(0, len(SET_LONG), 90)]
    requests += [
        head(2 | (8 if k < len(pieces) - 1 else 0), 1, number=k) + piece
        for k, piece in enumerate(pieces)
    ]
    requests += [head(0, 1) + GET_LONG]
    requests += [head(3, 1, number=k) for k in range(1, 6)]
    for class_id, e, n in ((130, 0, 6), (131, 1, 2), (132, 2, 11), (133, 3, 9)):
        for k in range(2, n + 1):
            requests.append(head(0, 1) + get(class_id, "0.0.34.%d.0" % e, k))
    requests += [head(4, 1) + GET_ENERGY, b"\x4d\x02\x01"]
    lines = [message(0x50)]
    lines += [heard(k % 15 + 1, request) for k, request in enumerate(requests)]
    lines += [lines[-1], heard(0x13, head(0, 1) + GET_ENERGY, 0), b"\x7e\x00\x7e" + bytes(50)]
    said = play(micropython, folder, lines)
    assert said[0] == message(0x50) + message(0x42)
    assert b"\x2d\x10\x01\x01\x61" in said[1]
    assert b"\xc4\x01\xc1\x00\x06\x00\x01\xe2\x40" in said[2]
    assert b"\xc5\x01\xc1\x00" in said[2 + len(pieces)]
    answer = b"".join(said[3 + len(pieces) : 9 + len(pieces)])
    assert all(LONG[k : k + 20] in answer for k in range(0, 60, 20))
    objects = said[9 + len(pieces) : 9 + len(pieces) + 24]
    assert all(b"\x2d\x10\x01\x01\xc4\x01\xc1\x00" in octets for octets in objects)
    assert said[-4] == said[-3] and said[-2:] == [b"", b""]


def test_protected_messages(micropython, protected):
    """A greeting, an association, a GET; what is damaged, played again, or in clear."""
    line = Line(micropython, protected)
    assert line.say(head(0) + AARQ) == REFUSED
    client = Client(line)
    client.greet()
    assert client.ask(AARQ)[:1] == b"\x61"
    message = client.sealed(head(PROTECTED), GET_ENERGY)
    assert client.opened(line.say(message))[1][:4] == b"\xc4\x01\xc1\x00"
    assert line.say(message) == REFUSED
    damaged = bytearray(client.sealed(head(PROTECTED), GET_ENERGY))
    damaged[9] ^= 1
    assert line.say(bytes(damaged)) == REFUSED
    line.close()
