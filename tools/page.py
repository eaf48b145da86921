#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Serves the live page of a board, by its debug port (the one of its REPL).

    python3 tools/page.py --port /dev/ttyACM0 [--start] [--definition FILE] [--page 8080]

The page of a meter on this PC: tools/meter.py run --page PORT. Says `page ADDRESS` when it can be
looked at; Ctrl-C ends it. The program of the board has a feed, `start(feed=2048)`, see
firmware/board_main.py; or --start starts it again with one, and once more, without, in the end.
"""

import argparse
import asyncio
import contextlib
import errno
import json
import os
import signal
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
from bootstrap import ROOT, Trouble, as_command, say

bootstrap.inside("plugfest", "aiohttp", "cryptography", "mpremote", "serial")

for _path in ("firmware/ports/shim", "lib", ""):
    sys.path.append(os.path.join(ROOT, _path))  # what hides secrets is the meter's own

import arguments
import compile as compiling
import feeds
import sheet as sheets
from decoding.keys import Keys
from live import facts, hub, server, source, talk, watcher
from live.child import WARNING, is_loopback

DEFINITION = os.path.join(ROOT, "firmware", "definitions", "residential.toml")
_BAUD = 115200  # USB has none
_NICENESS = 5  # the meter comes first
_SILENT_S = 5
_FIRST = 50000000  # number of a command; lower ones are the launcher's
_NO_FEED = (
    "Nothing that comes from %s is the feed of a meter. Its program has one with"
    " start(feed=2048); --start starts it so."
)


def parser():
    p = argparse.ArgumentParser(
        prog="page.py", description="The live page of a board, by its debug port."
    )
    where = p.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", metavar="DEVICE", help="serial port, such as /dev/ttyACM0")
    where.add_argument("--feed", type=int, metavar="FD", help=argparse.SUPPRESS)  # of meter.py
    p.add_argument("--start", action="store_true", help="start the meter there, with a feed")
    p.add_argument(
        "--definition", metavar="FILE", default=DEFINITION, help="what that meter is (residential)"
    )
    p.add_argument(
        "--page", type=arguments.port_number, default=8080, metavar="PORT", help="of it (8080)"
    )
    p.add_argument("--page-host", default="127.0.0.1", metavar="HOST", help="of it (127.0.0.1)")
    return p


def main(args):
    options = parser().parse_args(args)
    if options.feed is not None:
        return of_launcher(options.feed)
    return asyncio.run(of_board(options))


def of_launcher(fd):
    """The page of a meter that tools/live/child.py has started: a line with what there is to know
    comes first by this socket; what is answered is a line, too."""
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)  # it ends with the meter
    with contextlib.suppress(OSError):
        os.nice(_NICENESS)
    line = b""
    while not line.endswith(b"\n"):
        octet = os.read(fd, 1)
        if not octet:
            return 0
        line += octet
    about = json.loads(line)

    def tell(text):
        with contextlib.suppress(OSError):
            os.write(fd, text.encode() + b"\n")

    try:
        asyncio.run(serve(about, fd, lambda address: tell("page " + address)))
    except Trouble as e:
        tell("trouble %s" % e)
    return 0


def opened(options):
    """The port of the board; a context."""
    if options.start:
        from feeds.board import BoardFeed

        return BoardFeed(None, options.port)
    import serial

    try:
        return serial.Serial(options.port, _BAUD, exclusive=True)
    except OSError as e:
        why = os.strerror(e.errno) if e.errno else e
        raise Trouble("--port: %s cannot be used (%s)." % (options.port, why)) from None


async def of_board(options):
    port = opened(options)
    about = {
        "definition": options.definition,
        "host": options.page_host,
        "name": options.page_host,
        "port": options.page,
        "sheet": sheets.sheet(sheets.load(compiling.definition(options.definition)), []),
    }
    if not is_loopback(options.page_host):
        say(WARNING % options.page_host)
    with port, contextlib.suppress(asyncio.CancelledError):
        asyncio.get_running_loop().add_signal_handler(
            signal.SIGTERM, asyncio.current_task().cancel
        )
        await serve(about, port.fileno(), said, options.port)
        raise Trouble("The port %s is gone." % options.port)
    return 0


def said(address):
    print("page", address, flush=True)


async def serve(about, fd, ready, board=None):
    """Until the feed that comes from fd ends. about: {"definition": file, "host", "port", "name":
    of that host, "sheet": of the meter (tools/sheet.py), with the keys that open what it says}.
    board: the port that a board is at."""
    known = facts.load(about["definition"])
    known.public["name"] = about["sheet"]["logical_device_name"]
    keys = Keys()
    keys.add_sheet(about["sheet"])
    feed = feeds.Feed(first=_FIRST)
    everything = hub.Hub(known.public)
    watch = watcher.Watcher(known, feed, everything, talk.Talk(known, keys))
    page = server.Server(everything, watch.commands, about["name"])
    try:
        port = await page.start(about["host"], about["port"])
    except OSError as e:
        raise Trouble("--page: %s" % why_not(e, about["host"], about["port"])) from None
    ended = asyncio.Event()
    looking = asyncio.create_task(watch.look())
    try:
        source.Source(fd, feed, ended.set)
        host = "[%s]" % about["host"] if ":" in about["host"] else about["host"]
        ready("http://%s:%d/" % (host, port))
        if board:
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_SILENT_S):
                    await ended.wait()
            if not watch.heard and not ended.is_set():
                say(_NO_FEED % board)
        await ended.wait()
        watch.gone()
    finally:
        looking.cancel()
        await page.stop()


def why_not(e, host, port):
    """An OSError of a server's socket as a sentence."""
    if e.errno == errno.EADDRINUSE:
        return "port %d of %s is in use by another program." % (port, host)
    if e.errno == errno.EACCES:
        return "this user may not open port %d (ports below 1024 need rights)." % port
    if e.errno == errno.EADDRNOTAVAIL:
        return "%s is not an address of this machine." % host
    return "port %d of %s cannot be opened (%s)." % (port, host, e.strerror or e)


if __name__ == "__main__":
    as_command(main, code=0)
