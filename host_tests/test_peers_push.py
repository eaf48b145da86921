# SPDX-License-Identifier: MIT
"""What the reference meter pushes, as gurux-dlms hears it on a port of its own, and as dlms-cosem
takes it apart; on CPython and on MicroPython. The meter is started with --push."""

import contextlib
import json
import os
import subprocess
import time

import pytest
from running import MANAGEMENT, Running, Secured, Wrapper, sheet

pytest_plugins = ["peer_sessions"]

from peer_sessions import PEERS, lines

PATIENCE_S = 60
LISTENER = os.path.join(PEERS, "gurux_listener.py")
PARSER = os.path.join(PEERS, "dlms_cosem_notification.py")
# 11:59:50 UTC of a day; the interval push comes at five minutes past the hour.
START = "2026-07-01T11:59:50"


def keys(client_sap=MANAGEMENT):
    (a,) = (
        a for a in sheet()["associations"] if a["client_sap"] == client_sap and "guek_hex" in a
    )
    return {"guek": a["guek_hex"], "gak": a["gak_hex"]}


class Listener:
    """Gurux on a port; hear() is the next notification."""

    def __init__(self, peers, ciphered=True):
        args = [peers, LISTENER, "--port", "0"]
        if ciphered:
            for name, value in keys().items():
                args += ["--" + name, value]
        self.process = subprocess.Popen(args, stdout=subprocess.PIPE)
        self.lines = lines(self.process.stdout, time.monotonic() + PATIENCE_S)
        self.port = json.loads(next(self.lines))["port"]

    def hear(self):
        return json.loads(next(self.lines))

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()


def parsed(peers, wpdu, ciphered=True):
    """The same as dlms-cosem has it."""
    asked = {"apdu": wpdu[16:], **(keys() if ciphered else {})}
    done = subprocess.run(
        [peers, PARSER], input=json.dumps(asked) + "\n", capture_output=True, text=True
    )
    return json.loads(done.stdout)


@pytest.fixture(params=["cpython", "micropython"])
def runtime(request, micropython):
    return request.param


@contextlib.contextmanager
def pushing(runtime, listener, *args):
    to = "127.0.0.1:%d" % listener.port
    with Running(
        "--runtime", runtime, "--wrapper-tcp", "0", "--push", to, "--start", START, *args
    ) as meter:
        yield meter


def name(octets):
    return bytes.fromhex(octets).decode()


def test_started_and_on_interval(runtime, peers):
    """Ciphered with the keys of client 1."""
    with Listener(peers) as listener, pushing(runtime, listener, "--speed", "60"):
        heard = listener.hear()
        assert [name(x) for x in heard["value"][1:]] == ["PMT1000000000001", "1000000000001"]
        assert heard["raw"][:16] == "00010001000100" + heard["raw"][14:16]
        assert heard["raw"][16:18] == "db"
        again = parsed(peers, heard["raw"])
        assert again["value"] == heard["value"] and again["id"] == 1 and not again["confirmed"]
        assert again["time"].startswith("2026-07-01 1")
        # On interval: time, serial number, six energies, power, alarms.
        heard = listener.hear()
        values = heard["value"]
        assert len(values) == 10 and name(values[1]) == "1000000000001"
        assert values[2] == sum(values[3:7]) and all(v >= 0 for v in values[2:])
        # Minute 5 of the hour, or what the random delay of at most 30 s has made of it.
        assert bytes.fromhex(values[0])[6] in (5, 6)
        again = parsed(peers, heard["raw"])
        assert again["value"] == values and again["id"] == 2


def test_by_a_client_plain_and_confirmed(runtime, peers):
    """The management client sets the object, runs its method, and reads when it was confirmed."""
    with Listener(peers, False) as listener, pushing(runtime, listener) as meter:
        assert "error" in listener.hear()  # the start's, ciphered: this one has no keys
        client = Secured(Wrapper(meter.connect("wrapper-tcp"), MANAGEMENT), MANAGEMENT).open()
        push = "0028 0004190900FF"

        def set_(attribute, data):
            apdu = "C101C1 %s %02X 00 %s" % (push, attribute, data)
            answer = client.ask(bytes.fromhex(apdu.replace(" ", "")))
            assert answer.hex() == "c501c100"

        # To client 16, in plain text and with its rights; confirmed; two objects.
        set_(9, "0F10")
        set_(11, "1602")
        set_(5, "120000")
        element = "0206 12%s 0906%s 0F02 120000 0202160000 0100"
        clock = element % ("0008", "0000010000FF")
        energy = element % ("0003", "0100010800FF")
        set_(2, "0102" + clock + energy)
        answer = client.ask(bytes.fromhex(("C301C1 %s 01 01 0F00" % push).replace(" ", "")))
        assert answer.hex() == "c701c10000"
        heard = listener.hear()
        # The public client may not read energies.
        assert heard["value"][1] is None and bytes.fromhex(heard["value"][0])[:2] == b"\x07\xea"
        again = parsed(peers, heard["raw"], False)
        assert again["value"] == heard["value"] and again["confirmed"]
        get = bytes.fromhex(("C001C1 %s 0D 00" % push).replace(" ", ""))
        deadline = time.monotonic() + PATIENCE_S
        while True:
            # When it has been confirmed, that is told.
            answer = client.ask(get)
            if answer[5:12].hex() != "07ea0101040000":
                break
            assert time.monotonic() < deadline
        assert answer[4] == 0x19 and answer[5:9].hex() == "07ea0701"


def test_what_cannot_be_a_destination(runtime):
    with Running(
        "--runtime", runtime, "--wrapper-tcp", "0", "--push", "somewhere:port", wait=False
    ) as meter:
        meter.process.wait(PATIENCE_S)
        meter.stop()
        assert meter.process.returncode == 1
        assert meter.errors == (
            "somewhere:port is no destination for this meter's Push setup objects.\n"
        )
