# SPDX-License-Identifier: MIT
"""tools/page.py: the page of a board, by a serial port that a pseudo-terminal stands for."""

import asyncio
import os
import pty
import subprocess
import sys
import threading
import tty

import aiohttp
import pytest
import running
from doubles.fed import Fed

PAGE = os.path.join(running.ROOT, "tools", "page.py")


@pytest.fixture
def port():
    """(a double of a meter, the name of the serial port that it is on)"""
    master, slave = pty.openpty()
    tty.setraw(slave)
    with Fed() as fed:

        def carry(source, sink):
            try:
                while data := os.read(source, 4096):
                    os.write(sink, data)
            except OSError:
                pass  # one of them is gone

        for ends in ((fed.far, master), (master, fed.far)):
            threading.Thread(target=carry, args=ends, daemon=True).start()
        yield fed, os.ttyname(slave)
        fed.end()
    os.close(slave)


def start(*args):
    return subprocess.Popen(
        [sys.executable, PAGE, *args],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=running.ROOT,
    )


def test_a_board_by_its_debug_port(port):
    fed, name = port
    page = start("--port", name, "--page", "0")
    address = page.stdout.readline().removeprefix("page ").strip()
    fed.say("")  # noise of a REPL
    fed.begin()
    fed.open(1, "hdlc-uart", "", "UART0 9600")
    fed.state(display=["1.8.0", "000001.00 kWh"])

    async def look():
        async with aiohttp.ClientSession() as session, asyncio.timeout(30):
            async with session.get(address) as answer:
                text = await answer.text()
            token = text.split('name="token" content="')[1].split('"')[0]
            origin = {"Origin": address.rstrip("/")}
            async with session.ws_connect(address + "live?token=" + token, headers=origin) as ws:
                seen = {}
                while not (seen.get("display") and seen.get("links")):
                    seen.update((await ws.receive_json()).get("set", {}))
                await ws.send_json({"do": "key", "name": "display"})
                while "press display" not in fed.commands:
                    await asyncio.sleep(0.01)
                return seen

    seen = asyncio.run(look())
    assert seen["display"] == {"label": "1.8.0", "value": "000001.00 kWh"}
    assert seen["links"][0]["peer"] == "UART0 9600" and seen["meter"]["runtime"] == "a double"
    page.terminate()
    assert page.wait(running.PATIENCE_S) == 0
    assert page.stderr.read() == ""


@pytest.mark.parametrize(
    "args, sentence",
    [
        (
            ["--port", "/dev/no-such-port"],
            "--port: /dev/no-such-port cannot be used (No such file",
        ),
        (["--port", "/dev/null"], "--port: /dev/null cannot be used"),
        (["--port", "x", "--page", "65536"], "'65536' is no port (0..65535)"),
        ([], "one of the arguments --port"),
    ],
)
def test_what_cannot_be(args, sentence):
    page = start(*args)
    out, errors = page.communicate(timeout=running.PATIENCE_S)
    assert page.returncode in (1, 2) and out == ""
    assert sentence in errors and "Traceback" not in errors
