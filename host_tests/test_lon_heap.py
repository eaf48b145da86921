# SPDX-License-Identifier: MIT
"""The way of a request over LON allocates nothing: device/lon_line.py, on MicroPython, locks the
heap in every poll of driver and profile."""

import subprocess
import sys
from pathlib import Path

import pytest
import small
from doubles.mip_u61 import crc16, message
from test_lon import GET_ENERGY, GET_LONG, LONG, SET_LONG, head
from test_prime import get

HERE = Path(__file__).parent
ROOT = HERE.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("definition")
    subprocess.run(
        [sys.executable, ROOT / "tools/tables.py", HERE / "definitions/lon.toml"]
        + ["-o", made / "definition.py"],
        check=True,
        capture_output=True,
    )
    return made


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
