# SPDX-License-Identifier: MIT
"""The way of a request over S-FSK allocates nothing: device/powered.py, on MicroPython, locks the
heap in every poll of the profile."""

import subprocess
import sys
from pathlib import Path

import pytest
from fakes import obis
from test_sfsk import AARQ, LONG, NAME, RLRQ, hdlc

HERE = Path(__file__).parent
ROOT = HERE.parent


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    made = tmp_path_factory.mktemp("definition")
    subprocess.run(
        [sys.executable, ROOT / "tools/tables.py", HERE / "definitions/sfsk.toml"]
        + ["-o", made / "definition.py"],
        check=True,
        capture_output=True,
    )
    return made


def play(micropython, folder, lines, *how):
    done = subprocess.run(
        [micropython, str(HERE / "device/powered.py"), str(folder), *how],
        input="\n".join(lines) + "\n",
        env={"MICROPYPATH": "%s:%s" % (ROOT / "lib", ROOT)},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stderr == "" and done.returncode == 0
    return [bytes.fromhex(line) for line in done.stdout.split()]


def at(class_id, name, index):
    return class_id.to_bytes(2, "big") + obis(name) + bytes((index,))


def request(apdu):
    return "005 " + (b"\x90\x01\x01" + apdu).hex()


def test_from_discover_to_release(micropython, folder):
    """CIASE, an association, GET, GET in blocks, SET, methods, counters, a broadcast, release."""
    title = play(micropython, folder, ["9000011D6400010000"])[0][5:11]
    lines = ["9000011D6400010000", (b"\x90\x00\x01\x1cCONC01\x01" + title + b"\x00\x05").hex()]
    lines += ["005 " + (b"\x90\x00\x01\x19" + title).hex()]
    lines += ["9000011F00630002", "900001390082"]
    lines += ["9000011E01" + b"OTHER1".hex() + "00"]
    lines += [request(apdu) for apdu in (AARQ, NAME, LONG, b"\xc0\x02\xc1\x00\x00\x00\x01")]
    for class_id, name, attributes in (
        (50, "0.0.26.0.0.255", range(1, 16)),
        (51, "0.0.26.1.0.255", (2,)),
        (52, "0.0.26.2.0.255", range(2, 6)),
        (53, "0.0.26.3.0.255", range(2, 9)),
        (55, "0.0.26.5.0.255", (2, 3)),
        (56, "0.0.26.6.0.255", (2,)),
    ):
        for k in attributes:
            lines.append(request(b"\xc0\x01\xc1" + at(class_id, name, k) + b"\x00"))
    n_gets = 30
    setting = b"\xc1\x01\xc1" + at(52, "0.0.26.2.0.255", 2) + b"\x00\x12\x00\x4d"
    lines += [request(setting), request(b"\xc3\x01\xc1" + at(53, "0.0.26.3.0.255", 1) + b"\x00")]
    lines += ["FFF " + (b"\x90\xff\x01" + setting).hex(), "005 90", "C00 900101"]
    lines += [request(b"\xc3\x01\xc1" + at(51, "0.0.26.1.0.255", 1) + b"\x01\x12\x00\x00")]
    answers = play(micropython, folder, lines)
    assert answers[0][3:5] == b"\x1e\x01"
    assert answers[1] == b"\x90\x00\xfd\x1a" + title
    assert answers[2][3] == 0x61
    assert answers[3][7:] == b"\x09\x10PMT1000000000001"
    assert answers[4][3:5] == answers[5][3:5] == b"\xc4\x02"
    for answer in answers[6 : 6 + n_gets]:
        assert answer[3:7] == b"\xc4\x01\xc1\x00", answer.hex()
    assert answers[35][7:] == b"\x01\x01\x09\x06OTHER1"
    assert [a[3] for a in answers[36:]] == [0xC5, 0xC7, 0xC7]
    assert [a[6] for a in answers[36:]] == [0, 0, 0]


def test_the_hdlc_based_llc(micropython, folder):
    def ui(apdu):
        return hdlc(0x03, b"\xe6\xe6\x00" + apdu, b"\xce\xff", bytes((0x66 << 1 | 1,))).hex()

    discover = ui(b"\x1d\x64\x00\x01\x00\x00")
    title = play(micropython, folder, [discover], "hdlc")[0][14:22]
    lines = [discover, ui(b"\x1cCONC0001\x01" + title + b"\x00\x05")]
    lines += ["005 " + hdlc(0x93, client=b"\x03").hex()]
    for k, apdu in enumerate((AARQ, NAME, RLRQ)):
        lines.append(
            "005 " + hdlc(0x10 | k << 5 | k << 1, b"\xe6\xe6\x00" + apdu, client=b"\x03").hex()
        )
    answers = play(micropython, folder, lines, "hdlc")
    assert [a[5] for a in answers[1:]] == [0x73, 0x30, 0x52, 0x74]
    assert b"PMT1000000000001" in answers[3]
