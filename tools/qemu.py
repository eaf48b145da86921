#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs firmware of an emulated board in QEMU.

    python3 tools/qemu.py [--board MPS2_AN385] SCRIPT.py     run a script on it, print what it says
    python3 tools/qemu.py [--board MPS2_AN385]               start the meter; its UART1 is a TCP port

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

import firmware
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
    """A running board. `address` is where its UART1 listens: (host, port)."""

    def __init__(self, elf, patience_s=60, uarts=1):
        self.patience_s = patience_s
        self._got = b""
        # QEMU comes to us with the console, so that none of it is lost; the UARTs wait for clients.
        waiting = socket.create_server(("127.0.0.1", 0))
        self._console = None
        self._listeners = [socket.create_server(("127.0.0.1", 0)) for _ in range(uarts)]
        self.address = self._listeners[0].getsockname()
        args = [PROGRAM, "-machine", MACHINE, "-display", "none", "-monitor", "null"]
        args += ["-icount", "shift=4,sleep=off", "-kernel", elf]
        args += ["-serial", "tcp:%s:%d" % waiting.getsockname()]
        for k, listener in enumerate(self._listeners):
            args += ["-chardev", "socket,id=u%d,fd=%d,server=on,wait=off" % (k, listener.fileno())]
            args += ["-serial", "chardev:u%d" % k]
        fds = [listener.fileno() for listener in self._listeners]
        try:
            self.process = subprocess.Popen(
                args, pass_fds=fds, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                stderr=subprocess.PIPE,
            )  # fmt: skip
        except FileNotFoundError:
            raise Trouble("%s is missing. Install it: apt install %s" % (PROGRAM, PROGRAM)) from None
        for listener in self._listeners:
            listener.close()
        try:
            waiting.settimeout(patience_s)
            try:
                self._console = waiting.accept()[0]
            except TimeoutError:
                raise Trouble("QEMU does not start." + self._stderr()) from None
            finally:
                waiting.close()
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
        if self._console is not None:
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
        """Wait until the script prints this line; the lines before it."""
        said = self._until(line.encode() + b"\r\n")
        return said.decode().replace("\r\n", "\n").splitlines()

    def result(self):
        """What the script has said, to its end. Failed: it ended with an exception."""
        out = self._until(_CTRL_D).decode(errors="replace").replace("\r\n", "\n")
        trouble = self._until(_CTRL_D).decode(errors="replace").replace("\r\n", "\n")
        self._until(b">")
        if trouble:
            raise Failed(out + trouble)
        return out

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
        with Chip(firmware.image(options.board, heap=options.heap)) as chip:
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
