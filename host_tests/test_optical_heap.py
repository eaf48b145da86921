# SPDX-License-Identifier: MIT
"""Sessions at the optical port on MicroPython with the heap locked (device/signed_on.py), and the
same on CPython: sign-on, readout, passwords, registers read and written, HDLC and back."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from optical import ACK, BREAK, IDENTIFICATION, NAK, REQUEST, block, command, with_parity
from test_iec62056_21 import DISC, LINES, OPERAND, READOUT, REGISTER, SNRM, frame

HERE = Path(__file__).parent
ROOT = HERE.parent
PLAYER = HERE / "device/signed_on.py"
AARQ = bytes.fromhex("601DA109060760857405080101BE10040E01000000065F1F040000101D0400")
GET_NAME = bytes.fromhex("C001C1000100002A0000FF0200")
LLC = b"\xe6\xe6\x00"

# Said, what comes back, and at which rate the line is then.
SESSION = [
    (b"noise\x00\xff", b"", 300),
    (REQUEST, IDENTIFICATION, 300),
    (ACK + b"050\r\n", READOUT, 9600),
    (NAK, READOUT, 9600),
    (ACK, b"", 300),
    (b"/?00042!\r\n", IDENTIFICATION, 300),
    (ACK + b"041\r\n", OPERAND, 4800),
    (command("R1", "1.8.0()"), REGISTER, 4800),
    (command("R1", "C.50.1()"), block("(ER04)"), 4800),
    (command("P1", "(00000000)"), block("(ER0D)"), 4800),
    (command("P2", "(22222222)"), ACK, 4800),
    (command("R1", "C.50.1()"), block("C.50.1(7)"), 4800),
    (command("W1", "C.50.3(-32768)"), ACK, 4800),
    (command("W1", "C.50.3(-32769)"), block("(ER0C)"), 4800),
    (command("W1", "C.50.5(1.23*kW)"), ACK, 4800),
    (command("R1", "C.50.5()"), block("C.50.5(1.23*kW)"), 4800),
    (command("W1", "C.50.2(DEADBEEF)"), ACK, 4800),
    (command("R1", "C.50.2()"), block("C.50.2(DEADBEEF)"), 4800),
    (command("W1", "1.8.0(99999.999*kWh)"), ACK, 4800),
    (command("R1", "1.8.0()"), block("1.8.0(99999.999*kWh)"), 4800),
    (command("W1", "0-0:1.0.0(260302123456)"), ACK, 4800),
    (command("R1", "0-0:1.0.0()"), block("0-0:1.0.0(260302123456)"), 4800),
    (command("R1", "C.50.6()"), block("C.50.6(1)(2)"), 4800),
    (b"\x01R1\x03\x00", NAK, 4800),
    (NAK, block("C.50.6(1)(2)"), 4800),
    (BREAK, b"", 300),
    (REQUEST, IDENTIFICATION, 300),
    (ACK + b"252\r\n", ACK + b"252\r\n", 9600),
    (SNRM, None, 9600),
    (frame(0x10, LLC + AARQ), None, 9600),
    (frame(0x32, LLC + GET_NAME), None, 9600),
    (DISC, None, 300),
    (REQUEST, IDENTIFICATION, 300),
    (b"\x06999\r\n", None, 300),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("definition")
    subprocess.run(
        [sys.executable, ROOT / "tools/tables.py", HERE / "definitions/optical.toml"]
        + ["-o", made / "definition.py"],
        check=True,
        capture_output=True,
    )
    return made


def play(program, path, folder, session, *how):
    coded = with_parity if how else bytes
    is_frame = [said[:1] == b"\x7e" for said, _answer, _rate in session]
    lines = [
        "400 " + ((said if f else coded(said)).hex() or "-")
        for f, (said, _answer, _rate) in zip(is_frame, session)
    ]
    done = subprocess.run(
        [*program, str(PLAYER), str(folder), *how],
        input="\n".join(lines) + "\n",
        env=dict(os.environ, **path),
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == "" and done.returncode == 0
    found = [line.split() for line in done.stdout.splitlines()]
    assert len(found) == len(session)
    answers = []
    for f, (said, answer, rate), (octets, baud) in zip(is_frame, session, found):
        octets = b"" if octets == "-" else bytes.fromhex(octets)
        if answer is not None:
            assert octets == coded(answer), said
        assert int(baud) == rate, said
        answers.append(octets)
    return answers


def check(answers, coded=bytes):
    ua, aare, name, gone = answers[-6:-2]
    assert ua[5] == gone[5] == 0x73
    assert aare[11] == 0x61 and b"PMT0000000000001" in name
    # The clock has been set since.
    assert answers[-1] == coded(block(LINES.replace("000101000000", "260302123456").replace(
        "12345.678", "99999.999")))  # fmt: skip


@pytest.mark.parametrize("how", [[], ["parity"]], ids=["7-bit", "parity"])
def test_on_micropython_with_the_heap_locked(micropython, folder, how):
    path = {"MICROPYPATH": "%s:%s" % (ROOT / "lib", ROOT)}
    answers = play([micropython], path, folder, SESSION, *how)
    check(answers, with_parity if how else bytes)


def test_on_cpython(folder):
    path = {"PYTHONPATH": ":".join(str(ROOT / p) for p in ("lib", "", "firmware/ports/shim"))}
    check(play([sys.executable], path, folder, SESSION))
