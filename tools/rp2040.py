#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs firmware of an RP2040 in an emulator, with its flash in a file.

    python3 tools/rp2040.py [FLASH]     start the meter; its UART0 is a TCP port

FLASH is a file that keeps what the flash holds; without it the board is new at every start. The
emulator is the npm package rp2040js, which goes to build/rp2040; rp2040/run.mjs drives it, and
rp2040/rom.c stands for the boot ROM that it has not.

CPython >= 3.11, standard library only.
"""

import argparse
import json
import os
import select
import shutil
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
import emulated
import images
import apt_packages
from bootstrap import BUILD, Trouble, command, as_command, say, stamp, stamped, step
from ports import rp2

BOARD = "RPI_PICO"
FLASH_LEN = rp2.FLASH_LEN
STORAGE = rp2.storage(FLASH_LEN)  # where the image ends at the latest and littlefs begins

HERE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "rp2040")
EMULATOR = os.path.join(BUILD, "rp2040")
PACKAGES = {
    "node": "nodejs",
    "npm": "npm",
    "arm-none-eabi-gcc": "gcc-arm-none-eabi",
}
_NODE_LEAST = 18


def emulator():
    """Have the emulator and its boot ROM in build/rp2040."""
    with bootstrap.lock("rp2040"):
        apt_packages.install(PACKAGES)
        version = command(["node", "--version"], "node does not run").strip()
        if int(version[1:].split(".")[0]) < _NODE_LEAST:
            raise Trouble(
                "Node.js %d or later is needed for the RP2040's emulator; this is %s."
                % (_NODE_LEAST, version)
            )
        os.makedirs(EMULATOR, exist_ok=True)
        names = ("package.json", "package-lock.json", "rom.c", "rom.ld")
        content = "".join(bootstrap.read("tools", "rp2040", name) for name in names)
        mark = os.path.join(EMULATOR, ".made")
        if stamped(mark, content):
            return
        for name in names[:2]:
            shutil.copyfile(os.path.join(HERE, name), os.path.join(EMULATOR, name))
        with step("Getting an emulator of the RP2040"):
            command(
                ["npm", "ci", "--loglevel=error", "--no-audit", "--no-fund", "--ignore-scripts"],
                "npm could not install rp2040js",
                cwd=EMULATOR,
            )
            elf = os.path.join(EMULATOR, "rom.elf")
            why = "The boot ROM cannot be built"
            command(
                [
                    "arm-none-eabi-gcc", "-mcpu=cortex-m0plus", "-mthumb", "-Os", "-Wall",
                    "-Wextra", "-Werror", "-ffreestanding", "-nostdlib",
                    "-fno-tree-loop-distribute-patterns", "-T", os.path.join(HERE, "rom.ld"),
                    os.path.join(HERE, "rom.c"), "-lgcc", "-o", elf,
                ],
                why,
            )  # fmt: skip
            rom = os.path.join(EMULATOR, "rom.bin")
            command(["arm-none-eabi-objcopy", "-O", "binary", elf, rom], why)
        stamp(mark, content)


def image(flash=None):
    """Path of what the flash of a board begins with. flash: its octets, None: a Pico's."""
    return images.image(BOARD, flash=flash)[: -len("uf2")] + "bin"


def flashed(program, storage=b"", flash=FLASH_LEN):
    """What the flash of a board holds: the image, and what its file system has had; else blank."""
    with open(program, "rb") as f:
        octets = f.read()
    return (octets.ljust(rp2.storage(flash), b"\xff") + storage).ljust(flash, b"\xff")


class Chip(emulated.Board):
    """A running board. `address` is where its UART0 listens: (host, port).

    flash: file of what its flash holds when the power comes.
    keep: what it holds when it is reset is written there. After a reset the emulator ends.
    live: the chip's time does not run ahead of ours, as a peer expects; else sleep takes none.
    """

    def __init__(self, flash, live=False, patience_s=60, keep=False):
        console, theirs = socket.socketpair()
        listener = socket.create_server(("127.0.0.1", 0))
        self.address = listener.getsockname()
        options = {
            "modules": EMULATOR,
            "rom": os.path.join(EMULATOR, "rom.bin"),
            "flash": str(flash),
            "console": theirs.fileno(),
            "uart": listener.fileno(),
            "live": live,
            "keep": keep,
        }
        process = subprocess.Popen(
            ["node", os.path.join(HERE, "run.mjs"), json.dumps(options)],
            pass_fds=(theirs.fileno(), listener.fileno()),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
            start_new_session=True,  # a Ctrl-C is for us
        )  # fmt: skip
        theirs.close()
        listener.close()
        emulated.Board.__init__(self, process, console, patience_s)

    def stop(self):
        emulated.Board.stop(self)
        self.process.stdin.close()
        self.process.stdout.close()

    def order(self, do, **more):
        """Have run.mjs do something; its figures."""
        self.process.stdin.write(json.dumps(dict(more, do=do)) + "\n")
        self.process.stdin.flush()
        limit = time.monotonic() + self.patience_s
        if select.select([self.process.stdout], [], [], limit - time.monotonic())[0]:
            line = self.process.stdout.readline()
            if line:
                return json.loads(line)
        raise Trouble("The emulator does not answer. %s" % self._stderr())

    def save(self, path):
        """Write what the flash holds now to a file."""
        self.order("flash", file=str(path))


def main(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("flash", nargs="?", help="file that keeps what the flash holds")
    options = parser.parse_args(args)
    try:
        emulator()
        program = image()
        path = options.flash or os.path.join(EMULATOR, "flash.bin")
        storage = b""
        if options.flash and os.path.exists(path):
            with open(path, "rb") as f:
                storage = f.read()[STORAGE:]
        with open(path, "wb") as f:
            f.write(flashed(program, storage))
        with Chip(path, live=True) as chip:
            for line in chip.wait_for("ready"):
                print(line)
            print("ready at %s:%d, Ctrl-C ends it" % chip.address, flush=True)
            try:
                chip.process.wait()
            except KeyboardInterrupt:
                if options.flash:
                    chip.interrupt()
                    chip.prompt()
                    chip.save(path)
                raise
    except Trouble as e:
        say(str(e))
        return 1
    return 0


if __name__ == "__main__":
    as_command(main)
