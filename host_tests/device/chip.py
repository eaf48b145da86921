# SPDX-License-Identifier: MIT
"""Tests on a board, started over its REPL; what they find is printed."""

import gc
import sys
import time

_DEPTH = 20


def _deep(n):
    return n and _deep(n - 1)


def used():
    """Octets of heap in use. The collector believes old pointers on the stack: overwrite them."""
    _deep(_DEPTH)
    gc.collect()
    return gc.mem_alloc()


def weigh(**options):
    """Start the meter of this board; octets of heap it holds, and how long it took."""
    del sys.modules["device.chip"], sys.modules["device"]
    before = time.ticks_us()
    __import__("_boot")
    from firmware import board_main

    board = board_main.start(**options)
    ready_us = time.ticks_diff(time.ticks_us(), before)
    print("ready_us", ready_us)
    print("held", used())
    print("free", gc.mem_free())
    return board


class _Lines:
    """The lines on stdin up to `end`, where converse.play() wants an open file."""

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def __iter__(self):
        while True:
            line = sys.stdin.readline()
            if line.strip() == "end":
                return
            yield line


def play(name, link):
    """Play the conversation that comes on stdin, as converse.py does."""
    from device import converse
    from firmware import app
    from firmware.ports import board as port
    from firmware.store import RAMStorage

    def make_meter():
        definition = app.Tables("definition")
        meter = app.build(
            definition, RAMStorage(), port, converse.SEED, converse.START_MINUTE, 0, 0
        )
        definition.shrink()
        return meter

    converse.open = lambda path: _Lines()
    complaints, n = converse.play(name, make_meter, link)
    for complaint in complaints:
        print("FAIL " + complaint)
    if not complaints:
        print("ok %s %d" % (name, n))
