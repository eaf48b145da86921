# SPDX-License-Identifier: MIT
"""Tests on a board, started over its REPL; what they find is printed."""

import gc
import sys
import time

_DEPTH = 20
_PORTION = 1024  # as board_main.py has it
_ASSOCIATIONS = 3


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
    gc.threshold(_PORTION)
    import wiring
    from device import converse
    from firmware import app, board_main
    from firmware.ports import board as port

    def make_meter():
        definition = app.Tables("definition")
        definition.LIMITS = (_ASSOCIATIONS,) + definition.LIMITS[1:]
        storage = board_main.storage(wiring.STATE)
        meter = app.build(definition, storage, port, converse.SEED, converse.START_MINUTE, 0, 0)
        definition.shrink()
        return meter

    converse.open = lambda path: _Lines()
    complaints, n = converse.play(name, make_meter, link)
    for complaint in complaints:
        print("FAIL " + complaint)
    if not complaints:
        print("ok %s %d" % (name, n))


def bench(n_gets=50, rows=100, state=None):
    """The figures of bench.py; the shortest tick, the longest of a second and of a minute."""
    import json

    gc.threshold(_PORTION)
    from device.bench import Bench, since_us, ticks_us
    from firmware import app
    from firmware.ports import board as port

    if state == "flash":
        import chip
        import wiring
        from firmware.flash import FlashStorage

        storage = FlashStorage(chip.Flash(), *wiring.STATE[2:])
    else:
        from firmware import store

        if state:
            __import__("_boot")
        storage = store.FileStorage(state) if state else store.RAMStorage()
    definition = app.Tables("definition")
    definition.LIMITS = (1,) + definition.LIMITS[1:]
    measured = Bench(definition, storage, port)
    definition.shrink()
    gc.threshold(-1)
    figures = measured.run(1, n_gets, (rows,))
    program = measured.meter.program
    clock = program.clock
    for name in ("tick_us", "tick_second_us", "tick_minute_us"):
        figures[name] = 0
    for _ in range(1300):
        # Every tick with a fresh heap: a collection that falls into one is not its own.
        gc.collect()
        minute = clock.minute
        second = clock.second
        t = ticks_us()
        program.tick(100)
        us = since_us(t)
        name = "tick_us"
        if clock.minute != minute:
            name = "tick_minute_us"
        elif clock.second != second:
            name = "tick_second_us"
        if name == "tick_us":
            # The usual case. The program's second may begin apart from the clock's.
            figures[name] = min(us, figures[name] or us)
        elif us > figures[name]:
            figures[name] = us
    print(json.dumps(figures))
