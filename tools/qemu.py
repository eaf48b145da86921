#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs firmware of an emulated board in QEMU.

    python3 tools/qemu.py SCRIPT.py     run a script on it, print what it says
    python3 tools/qemu.py               start the meter; its UART1 is a TCP port
    python3 tools/qemu.py --flash FILE --heap 98304
                                        the same with a flash that keeps what it has, and with
                                        updates of the firmware, after which it starts again

Time is counted in instructions (-icount): a program takes the same time in every run, 62.5
instructions a microsecond, whatever this machine does meanwhile.

CPython >= 3.11, standard library only.
"""

import argparse
import os
import socket
import subprocess
import sys
import tempfile

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import emulated
import images
from bootstrap import Trouble, as_command, say

PROGRAM = "qemu-system-arm"
MACHINE = "mps2-an385"
_PSRAM_LEN = 16 << 20
FLASH_LEN = 3 << 20  # of it: chip.Flash
BOARD = "MPS2_AN385"

# Starts the meter as boards/main.py does, with updates.
STARTS = "import _boot\nfrom firmware import launch\nlaunch.board()\n"

# The same without updates, to be weighed. What measures it is as little as can be: it takes heap
# itself. The collector believes old pointers on the stack; f() overwrites them.
_WEIGH = """
import gc
import time
f = lambda n: n and f(n - 1)
t = time.ticks_us()
from firmware import board_main
board = board_main.start(seed=1)
print("ready_us", time.ticks_diff(time.ticks_us(), t))
f(20)
gc.collect()
print("held", gc.mem_alloc())
print("free", gc.mem_free())
"""


def blank(path):
    """A file for the flash of a board that was never used."""
    with open(path, "wb") as f:
        f.write(b"\xff" * FLASH_LEN)
        f.truncate(_PSRAM_LEN)


class Chip(emulated.Board):
    """A running board. `address` is where its UART1 listens: (host, port).

    live: while it sleeps, its time passes as ours does, as a peer on a UART expects; else sleep
    takes no time here, and what is measured does not depend on this machine.
    flash: file of what its flash holds, see blank(), when the power comes and from then on; None:
    it is blank, and forgotten. port: of UART1; 0: any. When the chip is reset QEMU ends.
    """

    def __init__(self, elf, patience_s=60, uarts=1, live=False, flash=None, port=0):
        self._own = None
        if flash is None:
            self._own = tempfile.NamedTemporaryFile(prefix="picometer-", suffix=".flash")
            flash = self._own.name
            blank(flash)
        console, theirs = socket.socketpair()
        ports = [port] + [0] * (uarts - 1)
        listeners = [socket.create_server(("127.0.0.1", number)) for number in ports]
        self.address = listeners[0].getsockname()
        args = [
            PROGRAM,
            "-machine",
            MACHINE,
            "-display",
            "none",
            "-monitor",
            "null",
            "-semihosting",
        ]
        args += ["-icount", "shift=4,sleep=%s" % ("on" if live else "off"), "-kernel", elf]
        args += ["-machine", "memory-backend=psram", "-object"]
        args += ["memory-backend-file,id=psram,share=on,size=%d,mem-path=%s" % (_PSRAM_LEN, flash)]
        args += ["-chardev", "socket,id=console,fd=%d" % theirs.fileno()]
        args += ["-serial", "chardev:console"]
        for k, listener in enumerate(listeners):
            place = "socket,id=u%d,fd=%d" % (k, listener.fileno())
            args += ["-chardev", place + ",server=on,wait=off,nodelay=on"]
            args += ["-serial", "chardev:u%d" % k]
        fds = [theirs.fileno()] + [listener.fileno() for listener in listeners]
        try:
            process = subprocess.Popen(
                args, pass_fds=fds, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )  # fmt: skip
        except FileNotFoundError:
            raise Trouble(
                "%s is missing. Install it: apt install %s" % (PROGRAM, PROGRAM)
            ) from None
        theirs.close()
        for listener in listeners:
            listener.close()
        emulated.Board.__init__(self, process, console, patience_s)
        try:
            self.prompt()
        except BaseException:
            self.stop()
            raise

    def stop(self):
        emulated.Board.stop(self)
        if self._own:
            self._own.close()


def weigh(chip):
    """Start the meter of a chip: ready_us, octets of heap that are held and free, by name."""
    lines = [line.split() for line in chip.run(_WEIGH).splitlines()]
    return {w[0]: int(w[1]) for w in lines if w[0] in ("ready_us", "held", "free")}


def serve(elf, flash):
    """Run the meter as a board does, with updates; it is started again when it asks for that."""
    if not os.path.exists(flash):
        blank(flash)
    port = 0
    while True:
        with Chip(elf, live=True, flash=flash, port=port) as chip:
            chip.start(STARTS)
            for line in chip.wait_for("ready"):
                print(line)
            port = chip.address[1]
            print("ready at %s:%d, Ctrl-C ends it" % chip.address, flush=True)
            chip.process.wait()


def main(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--board", default=BOARD)
    parser.add_argument("--heap", type=int, help="octets")
    parser.add_argument("--flash", metavar="FILE", help="what keeps its flash, made if missing")
    parser.add_argument("script", nargs="?")
    options = parser.parse_args(args)
    try:
        elf = images.image(options.board, heap=options.heap)
        if options.flash:
            return serve(elf, options.flash)
        with Chip(elf, live=not options.script) as chip:
            if options.script:
                with open(options.script) as f:
                    print(chip.run(f.read()), end="")
                return 0
            chip.start("from firmware import board_main\nboard_main.run()")
            for line in chip.wait_for("ready"):
                print(line)
            print("ready at %s:%d, Ctrl-C ends it" % chip.address, flush=True)
            chip.process.wait()
    except Trouble as e:
        say(str(e))
        return 1
    return 0


if __name__ == "__main__":
    as_command(main)
