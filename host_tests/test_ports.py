# SPDX-License-Identifier: MIT
"""firmware/ports: connections that the meter opens, on each runtime that has sockets here."""

import os
import socket
import subprocess
import sys
import time

import pytest

from firmware.ports import cpython

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

CALL = """
import sys
from firmware import ports
port = ports.current()
number = int(sys.argv[1])
host = sys.argv[2]

class Owner:
    ready = False

if host[0].isalpha():
    lookup = port.look_up(host, False)
    host = port.found(lookup)
    while host is None:
        host = port.found(lookup)
stream = port.connect(host, number)
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
    """Start CALL on a runtime, with a port number and a host; what it prints."""
    script = tmp_path / "call.py"
    script.write_text(CALL)
    env = dict(os.environ, PYTHONPATH=ROOT + ":" + ROOT + "/lib:" + ROOT + "/firmware/ports/shim")
    program = [sys.executable]
    if request.param == "micropython":
        program = [micropython]
        env["MICROPYPATH"] = ROOT + ":" + ROOT + "/lib"

    def started(number, host="127.0.0.1"):
        args = [*program, str(script), str(number), host]
        return subprocess.Popen(args, stdout=subprocess.PIPE, env=env, cwd=ROOT)

    return started


def said(process):
    out, _ = process.communicate(timeout=60)
    return out.decode().strip()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_a_connection_that_somebody_takes(call, host):
    with socket.create_server(("127.0.0.1", 0)) as listener:
        process = call(listener.getsockname()[1], host)
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


def test_a_name_that_nobody_knows():
    """RFC 2606: no such name is ever given to anybody."""
    lookup = cpython.look_up("meter.invalid", False)
    with pytest.raises(OSError):
        while cpython.found(lookup) is None:
            time.sleep(0.01)


def test_a_name_with_addresses_of_both_kinds(monkeypatch):
    """That of the wanted kind; the other one if there is none."""
    both = [
        (socket.AF_INET6, 1, 6, "", ("::1", 0, 0, 0)),
        (socket.AF_INET, 1, 6, "", ("1.2.3.4", 0)),
    ]
    for six, known, address in (
        (False, both, "1.2.3.4"),
        (True, both, "::1"),
        (False, both[:1], "::1"),
        (True, both[1:], "1.2.3.4"),
    ):
        monkeypatch.setattr(socket, "getaddrinfo", lambda *_, known=known, **__: known)
        lookup = cpython.look_up("meter", six)
        while cpython.found(lookup) is None:
            time.sleep(0.01)
        assert cpython.found(lookup) == address


def test_an_address_of_the_other_kind():
    endpoint, _ = cpython.udp("127.0.0.1", 0)
    assert cpython.sendto(endpoint, b"1234", 0, 4, ("127.0.0.1", 9)) is True
    assert cpython.sendto(endpoint, b"1234", 0, 4, cpython.address("::1", 9)) is False
    cpython.close(endpoint)
