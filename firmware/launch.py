# SPDX-License-Identifier: MIT
"""Starts the firmware: that of a slot, or the one that the meter was made with, beside this file.

    python -m firmware.launch          on a PC: options as for main.py on stdin, with `update`
    board()                            on a board: boards/main.py, which is frozen

This launcher is never updated: an image goes to a slot, a folder or a region of flash that comes
first on the path, and has no part in starting itself. It counts the starts of a slot that is not
confirmed yet, and when they are used up, or the slot cannot be imported at all, what ran before
runs again.
"""

import sys

from firmware.files import Files
from firmware.journal import Journal
from firmware.version import NUMBER
from micropython import const

JOURNAL = "/journal"
# Slots that are folders, by their number in the journal; 0 has none.
FOLDERS = ("", "/a", "/b")
_WATCHDOG_MS = const(8000)
# Exit code of main.py that asks for another start.
RESTART = 64


def slot(folder):
    """Number of the slot that is to run, 0: none. Its start is counted before it happens."""
    journal = Journal(Files(), folder + JOURNAL)
    try:
        journal.load()
        if not journal.active:
            return 0
        if journal.trial:
            if journal.left:
                journal.left -= 1
            else:
                journal.go_back()
        elif journal.version <= NUMBER:
            # Somebody has put a newer firmware beside this launcher.
            journal.active = journal.version = 0
        else:
            return journal.active
        journal.save()
    except OSError:
        # What cannot be counted is not tried.
        if journal.trial:
            journal.go_back()
    return journal.active


def gave_up(folder):
    """The slot that slot() has named cannot be imported: what comes next is something else."""
    journal = Journal(Files(), folder + JOURNAL)
    journal.load()
    if not journal.trial:
        journal.previous = journal.previous_version = 0
    journal.go_back()
    journal.save()


def enter(path):
    """Import from a slot from now on, and forget what has come from beside this launcher."""
    sys.path.insert(0, path)
    for name in list(sys.modules):
        if name == "firmware" or name.startswith("firmware."):
            del sys.modules[name]


def board(feed=0):
    """The meter of a board until Ctrl-C, from the slot that is to run. Where there is a watchdog,
    it is on while that is not confirmed, and as long as the board is on then. feed: see
    board_main.py."""
    import wiring

    folder = wiring.STATE + "/.update" if isinstance(wiring.STATE, str) else None
    folder = getattr(wiring, "UPDATE", folder)
    number = slot(folder) if folder else 0
    journal = Journal(Files(), folder + JOURNAL) if number else None
    if number:
        journal.load()
    dog = _watchdog() if number and journal.trial else None
    try:
        if number:
            enter(_place(wiring, folder, number))
        from firmware import board_main

        # Older firmware in a slot has no feed.
        with_feed = {"feed": feed} if feed else {}
        again = board_main.run(update=folder, dog=dog, **with_feed)
    except Exception as e:
        if not number:
            raise
        print("The firmware in slot %s has failed: %r" % (" ab"[number], e))
        if not journal.trial:
            gave_up(folder)
        again = True
    if again:
        from machine import reset

        reset()


def _place(wiring, folder, number):
    """Where the modules of a slot are."""
    if hasattr(wiring, "SLOTS"):
        from firmware.regions import of

        slots = of(wiring.SLOTS)
        if slots is not None:
            return slots.mount(number)
    return folder + FOLDERS[number]


def _watchdog():
    try:
        from machine import WDT

        return WDT(timeout=_WATCHDOG_MS)
    except (ImportError, ValueError):
        return None  # this port has none, or none that is so patient


def main():
    import json

    options = json.loads(sys.stdin.readline())
    folder = options.get("update")
    number = slot(folder) if folder else 0
    path = folder + FOLDERS[number] if number else ""
    if path:
        enter(path)
    try:
        from firmware.main import run
    except Exception as e:
        if not path:
            raise
        print("The firmware in %s cannot be started: %r" % (path, e), file=sys.stderr)
        gave_up(folder)
        return RESTART
    return run(options)


if __name__ == "__main__":
    sys.exit(main())
