# SPDX-License-Identifier: MIT
"""firmware/ports: connections that the meter opens, on each runtime that has sockets here."""

import os
import socket
import subprocess
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

CALL = """
import sys
from firmware import ports
port = ports.current()
number = int(sys.argv[1])

class Owner:
    ready = False

stream = port.connect("127.0.0.1", number)
poller = port.Poller()
owner = Owner()
poller.add(stream, owner)
poller.want_write(stream, True)
said, got, buf, turns = 0, b"", bytearray(16), 0
while turns < 50 and len(got) < 5:
    turns += 1
    poller.wait(1000)
    if said < 5:
        n = port.write(stream, b"ahoi!", said, 5 - said)
        said += max(n, 0)
        if said == 5:
            poller.want_write(stream, False)
    else:
        n = port.readinto(stream, buf)
        got += bytes(buf[:max(n, 0)])
    if n < 0:
        break
print(got.decode() or n)
port.close(stream)
"""


@pytest.fixture(params=["cpython", "micropython"])
def call(request, micropython, tmp_path):
    """Start CALL on a runtime, with a port number; what it prints."""
    script = tmp_path / "call.py"
    script.write_text(CALL)
    env = dict(os.environ, PYTHONPATH=ROOT + ":" + ROOT + "/lib:" + ROOT + "/firmware/ports/shim")
    program = [sys.executable]
    if request.param == "micropython":
        program = [micropython]
        env["MICROPYPATH"] = ROOT + ":" + ROOT + "/lib"

    def started(number):
        return subprocess.Popen(
            [*program, str(script), str(number)], stdout=subprocess.PIPE, env=env, cwd=ROOT
        )

    return started


def said(process):
    out, _ = process.communicate(timeout=60)
    return out.decode().strip()


def test_a_connection_that_somebody_takes(call):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = call(listener.getsockname()[1])
        s, _ = listener.accept()
        with s:
            got = b""
            while len(got) < 5:
                got += s.recv(16)
            s.sendall(got.upper())
            assert said(process) == "AHOI!"


def test_a_connection_that_nobody_takes(call):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        number = listener.getsockname()[1]
    assert said(call(number)) == "-1"
