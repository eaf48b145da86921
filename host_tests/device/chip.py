# SPDX-License-Identifier: MIT
"""Tests on a board, started over its REPL; what they find is printed."""

import gc
import sys

_PORTION = 1024  # as board_main.py has it
_ASSOCIATIONS = 3


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
        return app.build(
            app.Tables("definition"),
            board_main.storage(wiring.STATE),
            port,
            converse.SEED,
            converse.START_MINUTE,
            speed=0,
            n_associations=_ASSOCIATIONS,
        )

    converse.open = lambda path: _Lines()
    complaints, n = converse.play(name, make_meter, link)
    for complaint in complaints:
        print("FAIL " + complaint)
    if not complaints:
        print("ok %s %d" % (name, n))


def bench(n_gets=50, rows=100, state=None):
    """The figures of bench.py, and how long ticks take.

    tick_us: one in which nothing is due. tick_second_us, tick_quarter_us: the longest part of a
    second, and of a quarter of an hour, when demand periods end and profiles capture.
    power_fail_us: the longest time that it takes to store everything when power fails.
    """
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
    gc.threshold(-1)
    figures = measured.run(1, n_gets, (rows,))
    program = measured.meter.program
    program.in_parts = True
    clock = program.clock
    clock.set_utc(clock.minute // 15 * 15 + 14, 40)
    figures.update({"tick_us": 0, "tick_second_us": 0, "tick_quarter_us": 0})
    # The first second finds out that the clock was set.
    program.tick(1000)
    for _ in range(300):
        second = clock.second
        ms = 100
        while ms or program.work is not None:
            # Every tick with a fresh heap: a collection that falls into one is not its own.
            gc.collect()
            t = ticks_us()
            program.tick(ms)
            us = since_us(t)
            ms = 0
            if clock.second == second:
                figures["tick_us"] = min(us, figures["tick_us"] or us)
            elif clock.second:
                figures["tick_second_us"] = max(us, figures["tick_second_us"])
            else:
                figures["tick_quarter_us"] = max(us, figures["tick_quarter_us"])
    figures["power_fail_us"] = 0
    for _ in range(20):
        for _ in range(7):
            program.tick(1000)
        while program.work is not None:
            program.tick(0)
        gc.collect()
        t = ticks_us()
        if not program.power_fails():
            raise ValueError("It could not be stored.")
        figures["power_fail_us"] = max(since_us(t), figures["power_fail_us"])
    print(json.dumps(figures))
