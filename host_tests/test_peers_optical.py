# SPDX-License-Identifier: MIT
"""The optical port of the running meter, on both runtimes, with clients that nobody here wrote:
the package iec62056-21 for readout and programming, Gurux for mode E and HDLC."""

import contextlib
import json
import os
import subprocess
import time

import pytest
from peer_sessions import PEERS, RUNTIMES, lines, missing
from peer_sessions import peers as peers  # a fixture
from running import Running
from small import HERE

DEFINITION = str(HERE / "definitions" / "optical.toml")
READOUT = [
    ["C.1.0", "00000042", None],
    ["1.8.0", "12345.678", "kWh"],
    ["1.8.0*1", "11000.000", "kWh"],
    ["1.7.0", "-0.250", "kW"],
    ["32.7.0", "230.1", "V"],
    ["1.4.0", "0.34", "kW"],
    ["C.1.2", "3x230_400 V _5-60 A_", None],
]


@contextlib.contextmanager
def program(python, name, *args):
    """ask(do, ...) of a peer's program."""
    process = subprocess.Popen(
        [python, os.path.join(PEERS, name), *args], stdin=subprocess.PIPE,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )  # fmt: skip

    def ask(do, **command):
        process.stdin.write(json.dumps({"do": do, **command}) + "\n")
        process.stdin.flush()
        for line in lines(process.stdout, time.monotonic() + 60):
            answer = json.loads(line)
            assert "error" not in answer, answer
            return answer
        raise AssertionError(process.stderr.read())

    try:
        yield ask
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()
        process.stderr.close()


@pytest.fixture(scope="module", params=RUNTIMES)
def port(request, tmp_path_factory, micropython):
    path = str(tmp_path_factory.mktemp("optical") / "port")
    with Running("--runtime", request.param, "--definition", DEFINITION, "--optical-pty", path,
                 "--start", "2026-11-21T18:00:00", "--speed", "0"):  # fmt: skip
        yield path


@pytest.fixture
def package(peers):
    if subprocess.run([peers, "-c", "import iec62056_21"], stderr=subprocess.DEVNULL).returncode:
        missing("the package iec62056-21 is not among the peers: make test installs it")


@pytest.fixture
def reader(peers, package, port):
    """The client of iec62056-21."""
    with program(peers, "iec62056_21_client.py", "--serial", port) as ask:
        yield ask


def test_a_readout(reader):
    for _ in range(2):
        said = reader("readout")
        assert said["manufacturer"] == "PMT"
        assert said["identification"] == "2PICOMETER", "it knows no mode E"
        assert said["rate"] == 9600
        found = {row[0]: row for row in said["lines"]}
        assert found.pop("0-0:1.0.0")[1].startswith("261121180")
        assert list(found.values()) == READOUT


def test_programming(reader):
    assert reader("program") == {"operand": "00000042", "rate": 9600}
    assert reader("read", address="1.8.0")["sets"] == [["1.8.0", "12345.678", "kWh"]]
    assert reader("write", address="C.13.0", value="x")["answer"] == "(ER03)"
    assert reader("password", password="wrong")["answer"] == "(ER0D)"
    assert reader("password", password="11111111")["answer"] == "ACK"
    assert reader("write", address="C.13.0", value="read me")["answer"] == "ACK"
    assert reader("read", address="C.13.0")["sets"] == [["C.13.0", "read me", None]]
    assert reader("write", address="C.50.5", value="1.23*kW")["answer"] == "ACK"
    assert reader("read", address="C.50.5")["sets"] == [["C.50.5", "1.23", "kW"]]
    reader("break")
    assert reader("readout")["rate"] == 9600


def gurux(peers, port, *args):
    return program(peers, "gurux_client.py", "--link", "hdlc", "--serial", port, "--mode-e", *args)


def test_mode_e(peers, port):
    """Sign-on, HDLC, an association, all objects, and back: twice."""
    for client, secret, n in (("16", "", 0), ("1", b"12345678".hex(), 20)):
        with gurux(peers, port, "--client", client, "--secret", secret, "--lower", "17") as ask:
            ask("open")
            value = ask("get", class_id=3, obis="1.0.1.8.0.255", attribute=2)["value"]
            assert value == 12345678
            assert len(ask("objects")["objects"]) > n
            ask("release")
            ask("close")


def test_settings_by_hdlc_count_at_the_next_sign_on(peers, package, port):
    """A client of mode E sets prop_baud; then the meter offers another rate."""
    management = ("--client", "1", "--secret", b"12345678".hex())
    for rate, z in ((3, "3"), (5, "5")):
        with gurux(peers, port, *management) as ask:
            ask("open")
            ask("set", class_id=19, obis="0.0.20.0.0.255", attribute=4, type="enum", value=rate)
            ask("close")
        with program(peers, "iec62056_21_client.py", "--serial", port) as ask:
            assert ask("readout")["rate"] == {"3": 2400, "5": 9600}[z]
