# SPDX-License-Identifier: MIT
"""Tests on a board, started over its REPL; what they find is printed."""

import gc
import sys

_PORTION = 2048  # as board_main.py has it
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


def long_profile():
    """The heap that reading a profile of 10 and of 10,000 rows takes, on flash."""
    import json

    gc.threshold(_PORTION)
    import chip
    from device import bench
    from firmware import app
    from firmware.flash import FlashStorage
    from firmware.ports import board as port

    definition = app.Tables("definition")
    definition.LIMITS = (1,) + definition.LIMITS[1:]
    bench.with_long_profile(definition)
    measured = bench.Bench(definition, FlashStorage(chip.Flash()), port)
    gc.threshold(-1)
    print(json.dumps(measured.run_long()))


def bench(n_gets=50, rows=100, state=None):
    """The figures of bench.py."""
    import json

    gc.threshold(_PORTION)
    from device.bench import Bench
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
    print(json.dumps(figures))
