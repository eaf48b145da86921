# SPDX-License-Identifier: MIT
"""tools/page.py: the page of a board, by a serial port that a pseudo-terminal stands for."""

import asyncio
import contextlib
import os
import pty
import signal
import subprocess
import sys
import threading
import tty

import aiohttp
import pytest
import running
from doubles.fed import Fed
from fake_port import FakeBoard
from test_deploy import name_of

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


@contextlib.asynccontextmanager
async def browser(address):
    """The WebSocket of a page."""
    async with aiohttp.ClientSession() as session, asyncio.timeout(60):
        async with session.get(address) as answer:
            token = (await answer.text()).split('name="token" content="')[1].split('"')[0]
        origin = {"Origin": address.rstrip("/")}
        async with session.ws_connect(address + "live?token=" + token, headers=origin) as ws:
            yield ws


def test_a_board_by_its_debug_port(port):
    fed, name = port
    page = start("--port", name, "--page", "0")
    address = page.stdout.readline().removeprefix("page ").strip()
    fed.say("")  # noise of a REPL
    fed.begin()
    fed.open(1, "hdlc-uart", "", "UART0 9600")
    fed.state(display=["1.8.0", "000001.00 kWh"])

    async def look():
        async with browser(address) as ws:
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


def test_a_meter_that_is_started_with_a_feed(micropython):
    """On a board; when all is over it runs as before."""
    with FakeBoard(micropython) as board:
        deploy = [sys.executable, os.path.join(running.ROOT, "tools", "deploy.py")]
        args = ["--board", "MPS2_AN385", "--port", board.port]
        done = subprocess.run([*deploy, *args], capture_output=True, text=True)
        assert done.returncode == 0, done.stderr
        page = start("--port", board.port, "--start", "--page", "0")
        address = page.stdout.readline().removeprefix("page ").strip()
        assert address, page.stderr.read()

        async def look():
            async with browser(address) as ws:
                seen = {}
                while not (seen.get("meter", {}).get("clock") and seen.get("v:3/1.0.32.7.0/2")):
                    seen.update((await ws.receive_json()).get("set", {}))
                await asyncio.to_thread(name_of, board)
                while True:
                    for line in (await ws.receive_json()).get("talk", ()):
                        if "PMT1000000000001" in line["result"]:
                            return seen, line

        seen, line = asyncio.run(look())
        assert seen["meter"]["live"] and seen["meter"]["runtime"].startswith("MicroPython")
        assert (line["way"], line["link"]) == ("tx", "hdlc-uart")
        page.send_signal(signal.SIGINT)
        assert page.wait(running.PATIENCE_S) == 0, page.stderr.read()
        assert name_of(board) == "PMT1000000000001"


def test_a_board_without_a_feed(port):
    fed, name = port
    page = start("--port", name, "--page", "0")
    assert page.stdout.readline()[:5] == "page "
    assert "--start starts it so" in page.stderr.readline()
    page.terminate()
    assert page.wait(running.PATIENCE_S) == 0


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
