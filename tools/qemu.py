#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs firmware of an emulated board in QEMU.

    python3 tools/qemu.py SCRIPT.py     run a script on it, print what it says
    python3 tools/qemu.py               start the meter; its UART1 is a TCP port

Time is counted in instructions (-icount): a program takes the same time in every run, 62.5
instructions a microsecond, whatever this machine does meanwhile.

CPython >= 3.11, standard library only.
"""

import argparse
import os
import select
import socket
import subprocess
import sys
import time

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import images
from bootstrap import Trouble, say

PROGRAM = "qemu-system-arm"
MACHINE = "mps2-an385"
BOARD = "MPS2_AN385"

_PROMPT = b">>> "
_RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
_CTRL_A = b"\x01"
_CTRL_D = b"\x04"
_CHUNK = 256


class Failed(Trouble):
    """A script ended with an exception; the text is its traceback."""


class Chip:
    """A running board. `address` is where its UART1 listens: (host, port).

    live: while it sleeps, its time passes as ours does, as a peer on a UART expects; else sleep
    takes no time here, and what is measured does not depend on this machine.
    """

    def __init__(self, elf, patience_s=60, uarts=1, live=False):
        self.patience_s = patience_s
        self._got = b""
        self._console, theirs = socket.socketpair()
        listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(uarts)]
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
        args += ["-chardev", "socket,id=console,fd=%d" % theirs.fileno()]
        args += ["-serial", "chardev:console"]
        for k, listener in enumerate(listeners):
            place = "socket,id=u%d,fd=%d" % (k, listener.fileno())
            args += ["-chardev", place + ",server=on,wait=off,nodelay=on"]
            args += ["-serial", "chardev:u%d" % k]
        fds = [theirs.fileno()] + [listener.fileno() for listener in listeners]
        try:
            self.process = subprocess.Popen(
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
        try:
            self._until(_PROMPT)
            self._say(b"\r\x03\x03" + _CTRL_A)
            self._until(_RAW_PROMPT)
        except BaseException:
            self.stop()
            raise

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def stop(self):
        self.process.kill()
        self.process.wait()
        self.process.stderr.close()
        self._console.close()

    def _stderr(self):
        self.process.kill()
        return self.process.stderr.read().decode(errors="replace")

    # --- Octets of the REPL

    def _say(self, data):
        for k in range(0, len(data), _CHUNK):
            self._console.sendall(data[k : k + _CHUNK])

    def _until(self, end):
        limit = time.monotonic() + self.patience_s
        while end not in self._got:
            left = limit - time.monotonic()
            if left <= 0 or not select.select([self._console], [], [], left)[0]:
                raise Trouble("The chip says nothing more. Its last words: %r" % self._got[-400:])
            data = self._console.recv(65536)
            if not data:
                last = self._got[-400:].decode("latin-1")
                raise Trouble("QEMU has ended. %s%s" % (self._stderr(), last))
            self._got += data
        at = self._got.index(end)
        found = self._got[:at]
        self._got = self._got[at + len(end) :]
        return found

    # --- Scripts

    def start(self, script):
        """Begin to run a script; wait_for() and result() hear what it says."""
        self._say(script.encode() + _CTRL_D)
        self._until(b"OK")

    def write(self, text):
        """For sys.stdin of the script that runs."""
        self._say(text.encode())

    def wait_for(self, line):
        """Wait until the script prints this line; the lines before it. Failed: it has ended."""
        lines = []
        while True:
            said = self._until(b"\n").decode(errors="replace").strip("\r")
            if said == line:
                return lines
            lines.append(said)
            if _CTRL_D.decode() in said:
                self._got = said.partition("\x04")[2].encode() + b"\n" + self._got
                raise Failed("\n".join(lines) + self._until(_CTRL_D).decode(errors="replace"))

    def said(self):
        """What the script has said since, without waiting."""
        while select.select([self._console], [], [], 0)[0]:
            self._got += self._console.recv(65536)
        return self._got.decode(errors="replace").replace("\r\n", "\n")

    def result(self):
        """What the script has said, to its end. Failed: it ended with an exception."""
        out = self._until(_CTRL_D).decode(errors="replace").replace("\r\n", "\n")
        trouble = self._until(_CTRL_D).decode(errors="replace").replace("\r\n", "\n")
        self._until(b">")
        if trouble:
            raise Failed(out + trouble)
        return out

    def restart(self):
        """A soft reset, between scripts: RAM is forgotten, what is in flash is not."""
        self._say(_CTRL_D)
        self._until(_RAW_PROMPT)

    def run(self, script, stdin=""):
        self.start(script)
        if stdin:
            self.write(stdin)
        return self.result()


def main(args):
    parser = argparse.ArgumentParser(description=__doc__.split("\n\n")[0])
    parser.add_argument("--board", default=BOARD)
    parser.add_argument("--heap", type=int, help="octets")
    parser.add_argument("script", nargs="?")
    options = parser.parse_args(args)
    try:
        elf = images.image(options.board, heap=options.heap)
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
    try:
        sys.exit(main(sys.argv[1:]))
    except KeyboardInterrupt:
        sys.exit(130)
