#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""What the live page costs the meter, and how soon it is there.

    python3 tools/page_bench.py [--json] [--check]

Two reference meters on CPython, one with a page that somebody looks at, are asked 30 times a
second, in turns: 60 lines of the conversation a second. How much of its time the meter takes for
it, with the page and without, is counted by the system; what it has more is what it has become
slower by.
With playwright and Chromium (make test has them) the page is looked at with those, and the first
paint is what the browser says; else by a WebSocket. --check: exit code 1 when a figure is over its
budget in tools/bench_budget.toml.
"""

import argparse
import asyncio
import json
import os
import shutil
import signal
import socket
import statistics
import subprocess
import sys
import threading
import time
import tomllib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
from bench import BUDGET
from bootstrap import Trouble, as_command, step

bootstrap.inside("plugfest", "aiohttp", "cryptography", "serial")

import aiohttp
import reader

METER = os.path.join(os.path.dirname(os.path.abspath(__file__)), "meter.py")
RATE = 30
TURN_S = 2
TURNS = 5
ROWS = (
    ("meter_percent", "time that the meter takes at 30 requests a second", "%"),
    ("meter_with_page_percent", "  with a page, and somebody who looks", "%"),
    ("slower_percent", "  what it has become slower by", "%"),
    ("answer_us", "an answer takes, for the client", "us"),
    ("answer_with_page_us", "  with a page", "us"),
    ("page_percent", "time that the page's own process takes", "%"),
    ("first_paint_ms", "first paint in Chromium", "ms"),
)
_AARQ = bytes.fromhex("601DA109060760857405080101BE10040E01000000065F1F040000101D0400")
_GET = bytes.fromhex("C001C1000100002A0000FF0200")
_PUBLIC, _MANAGEMENT = 16, 1


class Meter:
    """A meter in a process of its own; ask() is a client's request."""

    def __init__(self, *more):
        self.process = subprocess.Popen(
            [sys.executable, METER, "run", "--runtime", "cpython", "--wrapper-tcp", "0", *more],
            stdout=subprocess.PIPE,
            text=True,
        )
        said = {}
        for line in self.process.stdout:
            word, _, rest = line.strip().partition(" ")
            said[word] = rest
            if word == "ready":
                break
        else:
            raise Trouble("The meter has not started.")
        self.page = said.get("page")
        host, _, port = said["wrapper-tcp"].rpartition(":")
        self._link = reader.Wrapper(socket.create_connection((host, int(port))))
        self._link.open(_PUBLIC, _MANAGEMENT)
        self._link.ask(_AARQ)
        self.answers_s = []
        self.meter_s = 0

    def child(self, is_page):
        """Number of the process of the page, or of the meter."""
        pid = self.process.pid
        with open("/proc/%d/task/%d/children" % (pid, pid)) as f:
            for child in f.read().split():
                with open("/proc/%s/cmdline" % child) as g:
                    if ("page.py" in g.read()) == is_page:
                        return int(child)
        raise Trouble("The meter has no such process.")

    def turn(self):
        """Ask for a while."""
        before = used_s(self.child(False))
        due = time.perf_counter()
        for _ in range(RATE * TURN_S):
            start = time.perf_counter()
            self._link.ask(_GET)
            self.answers_s.append(time.perf_counter() - start)
            due += 1 / RATE
            time.sleep(max(0, due - time.perf_counter()))
        self.meter_s += used_s(self.child(False)) - before

    def stop(self):
        self.process.send_signal(signal.SIGTERM)
        self.process.wait()


def used_s(pid):
    """Seconds that a process has been on a processor."""
    with open("/proc/%d/schedstat" % pid) as f:
        return int(f.read().split()[0]) / 1e9


# --- Who looks ------------------------------------------------------------------------------


def by_browser(address, ready, done, found):
    from playwright.sync_api import sync_playwright

    args = ["--no-sandbox"] if os.getuid() == 0 else []
    with sync_playwright() as p:
        browser = p.chromium.launch(executable_path=shutil.which("chromium"), args=args)
        page = browser.new_page()
        page.goto(address)
        page.wait_for_selector("#link[data-is=live]")
        found["first_paint_ms"] = page.evaluate(
            "performance.getEntriesByName('first-contentful-paint')[0].startTime"
        )
        ready.set()
        done.wait()
        browser.close()


def by_socket(address, ready, done, found):
    async def look():
        async with aiohttp.ClientSession() as session:
            async with session.get(address) as answer:
                token = (await answer.text()).split('name="token" content="')[1].split('"')[0]
            headers = {"Origin": address.rstrip("/")}
            url = address + "live?token=" + token
            async with session.ws_connect(url, headers=headers) as ws:
                ready.set()
                while not done.is_set():
                    await ws.receive()

    asyncio.run(look())


def has_browser():
    try:
        import playwright  # noqa: F401
    except ImportError:
        return False
    return bool(shutil.which("chromium"))


# --- Figures --------------------------------------------------------------------------------


def measure():
    found = {}
    ready, done = threading.Event(), threading.Event()
    plain = with_page = None
    try:
        plain = Meter()
        with_page = Meter("--page", "0")
        look = by_browser if has_browser() else by_socket
        watcher = threading.Thread(
            target=look, args=(with_page.page, ready, done, found), daemon=True
        )
        watcher.start()
        if not ready.wait(60):
            raise Trouble("The page cannot be looked at.")
        page_s = used_s(with_page.child(True))
        start = time.perf_counter()
        for _ in range(TURNS):
            plain.turn()
            with_page.turn()
        page_s = (used_s(with_page.child(True)) - page_s) / (time.perf_counter() - start)
    finally:
        done.set()
        for meter in (plain, with_page):
            if meter is not None:
                meter.stop()
    watcher.join(10)
    seconds = TURNS * TURN_S
    found["meter_percent"] = 100 * plain.meter_s / seconds
    found["meter_with_page_percent"] = 100 * with_page.meter_s / seconds
    found["slower_percent"] = 100 * (with_page.meter_s - plain.meter_s) / seconds
    found["answer_us"] = 1e6 * statistics.median(plain.answers_s)
    found["answer_with_page_us"] = 1e6 * statistics.median(with_page.answers_s)
    found["page_percent"] = 100 * page_s
    return found


def main(args):
    p = argparse.ArgumentParser(prog="page_bench.py", description="What the live page costs.")
    p.add_argument("--json", action="store_true", help="print the figures as JSON")
    p.add_argument("--check", action="store_true", help="exit code 1 beyond the budget")
    options = p.parse_args(args)
    with step("Looking at the live page of a meter"):
        found = measure()
    with open(BUDGET, "rb") as f:
        budget = tomllib.load(f)["page"]
    over = [key for key, most in budget.items() if found.get(key, 0) > most]
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        print("The live page, at %d lines of the conversation a second" % (2 * RATE))
        for key, what, unit in ROWS:
            if key in found:
                goal = "  (budget: %d)" % budget[key] if key in budget else ""
                print("  %-58s %8.1f %s%s" % (what, found[key], unit, goal))
    return 1 if over and options.check else 0


if __name__ == "__main__":
    as_command(main)
