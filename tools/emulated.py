# SPDX-License-Identifier: MIT
"""The REPL of an emulated board: what qemu.py and rp2040.py have in common.

CPython >= 3.11, standard library only.
"""

import select
import time

from bootstrap import Trouble

_PROMPT = b">>> "
_RAW_PROMPT = b"raw REPL; CTRL-B to exit\r\n>"
_CTRL_A = b"\x01"
_CTRL_C = b"\x03"
_CTRL_D = b"\x04"
_CHUNK = 256


class Failed(Trouble):
    """A script ended with an exception; the text is its traceback."""


class Board:
    """process: the emulator, its stderr a pipe; console: socket of the REPL. stop() ends both."""

    def __init__(self, process, console, patience_s):
        self.process = process
        self.patience_s = patience_s
        self._console = console
        self._got = b""

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
        said = self.process.stderr.read()
        return said if isinstance(said, str) else said.decode(errors="replace")

    def prompt(self):
        """Wait for the REPL, and have it take scripts."""
        self._until(_PROMPT)
        self._say(b"\r" + _CTRL_C + _CTRL_C + _CTRL_A)
        self._until(_RAW_PROMPT)

    def interrupt(self):
        """Ctrl-C: ends what runs."""
        self._say(_CTRL_C)

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
                raise Trouble("The emulator has ended. %s%s" % (self._stderr(), last))
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
            data = self._console.recv(65536)
            if not data:
                break  # the emulator has ended
            self._got += data
        return self._got.decode(errors="replace").replace("\r\n", "\n")

    def rest(self):
        """What the script says until it ends, or the emulator does: power that fails."""
        while _CTRL_D not in self._got:
            if not select.select([self._console], [], [], self.patience_s)[0]:
                raise Trouble("The chip says nothing more. It said: %r" % self._got[-400:])
            data = self._console.recv(65536)
            if not data:
                break
            self._got += data
        return self._got.partition(_CTRL_D)[0].decode(errors="replace").replace("\r\n", "\n")

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
