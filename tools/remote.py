# SPDX-License-Identifier: MIT
"""A board that runs MicroPython, at a serial port: what deploying and provisioning ask of it.

    with Remote(port) as board:
        board.about()                    what runs there
        board.hashes(names)              {name: SHA-256 in hex, or None}
        board.write(name, data)          written, and read back as a hash
        board.start()                    reset, wait for the meter's `ready`

The REPL is mpremote's (its class SerialTransport): a serial device, /dev/pts/N, or socket://.
Whatever goes wrong is a Trouble whose text says what. Runs in build/venv, see in_venv().
"""

import contextlib
import glob
import hashlib
import io
import os
import re
import struct
import sys
import time

import bootstrap
from bootstrap import Trouble, say

READY = "ready"
PATIENCE_S = 10
START_S = 60
_CHUNK = 1024
_LEAST_CHUNK = 128
_TRIES = 2

_ABOUT = """
import os, sys
try:
    if not os.statvfs('')[0]:
        import _boot
except OSError:
    import _boot
i = sys.implementation
s = os.statvfs('')
print((i.name, tuple(i.version)[:3], getattr(i, '_mpy', 0), getattr(i, '_machine', ''),
    os.getcwd(), [p for p in sys.path], s[0], s[1], s[3]))
"""

_HASHES = """
import hashlib, binascii
def f(names):
    b = bytearray(512)
    m = memoryview(b)
    for n in names:
        try:
            with open(n, 'rb') as o:
                h = hashlib.sha256()
                while True:
                    k = o.readinto(b)
                    if not k:
                        break
                    h.update(m[:k])
            print(n, binascii.hexlify(h.digest()).decode())
        except OSError:
            print(n, '-')
"""

_WALK = """
import os
def w(p):
    try:
        l = list(os.ilistdir(p))
    except OSError:
        return
    for e in l:
        n = p + '/' + e[0]
        if e[1] == 0x4000:
            print('d', n)
            w(n)
        else:
            print('f', n)
"""


def in_venv():
    """Have the tools in build/venv, and go on there: mpremote is installed nowhere else."""
    bootstrap.provide("run")
    python = os.path.join(bootstrap.VENV, "bin", "python")
    if os.path.realpath(sys.prefix) != os.path.realpath(bootstrap.VENV):
        sys.stdout.flush()
        os.execv(python, [python, *sys.argv])


class About:
    """name, version, mpy (sys.implementation._mpy), machine, home (where the file system begins),
    path (sys.path), block, n_blocks, n_free."""

    def __init__(self, found):
        (
            self.name, self.version, self.mpy, self.machine, self.home, self.path, self.block,
            self.n_blocks, self.n_free,
        ) = found  # fmt: skip

    @property
    def arch(self):
        """Of native code, as mpy-cross names it; None: none that we know."""
        number = self.mpy >> 10 & 0x0F
        known = bootstrap.ARCHITECTURES
        return known[number] if number < len(known) else None

    def place(self, name):
        """Full name of a file where the file system begins."""
        return (self.home.rstrip("/") or "") + "/" + name

    def library(self):
        """Folder that modules are imported from."""
        library = self.place("lib")
        return library if library in self.path else self.home.rstrip("/")

    def text(self):
        version = ".".join(str(n) for n in self.version)
        return "%s %s on %s" % (self.name, version, self.machine or "a board without a name")


class Remote:
    def __init__(self, port, patience_s=PATIENCE_S):
        self.port = port
        self.patience_s = patience_s
        self._transport = None
        self._about = None

    def __enter__(self):
        self.connect()
        return self

    def __exit__(self, *_):
        self.close()

    def connect(self):
        from mpremote.transport_serial import SerialTransport

        if "://" not in self.port and not os.path.exists(self.port):
            raise Trouble("There is no port %s. %s" % (self.port, _ports()))
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                self._transport = SerialTransport(self.port, timeout=self.patience_s)
        except Exception as e:
            # mpremote, pyserial and the system each have their own.
            raise Trouble(
                "The port %s cannot be opened: nobody is there, another program has it, or this"
                " user may not use it (%s)." % (self.port, _last_line(e))
            ) from None
        self._enter()

    def _enter(self):
        """Stop what runs, and get to a fresh interpreter that takes commands."""
        silence = (
            "Nothing that speaks MicroPython's REPL answers at %s. Is it the right port, and does"
            " the board run MicroPython? Press its reset button and try again." % self.port
        )
        try:
            with contextlib.redirect_stdout(io.StringIO()):
                self._transport.enter_raw_repl(timeout_overall=self.patience_s)
        except Exception as e:
            self.close()
            raise _trouble(e, silence) from None

    def close(self):
        transport, self._transport = self._transport, None
        if transport is not None:
            with contextlib.suppress(Exception):
                if transport.in_raw_repl:
                    transport.exit_raw_repl()
            with contextlib.suppress(Exception):
                transport.close()

    # --- Asking

    @contextlib.contextmanager
    def _asking(self, what):
        from mpremote.transport import TransportExecError

        try:
            with contextlib.redirect_stdout(io.StringIO()):
                yield
        except TransportExecError as e:
            raise _refused(what, e.error_output) from None
        except OSError as e:
            if e.errno == 28:
                raise _full() from None
            raise _trouble(e, self._lost(what)) from None
        except Exception as e:
            raise _trouble(e, self._lost(what)) from None

    def _lost(self, what):
        return "The board at %s stopped answering while %s." % (self.port, what)

    def run(self, script, what):
        """What a script prints. what: for a sentence, as in 'while reading its files'."""
        with self._asking(what):
            return self._transport.exec(script).decode(errors="replace").replace("\r\n", "\n")

    def about(self):
        import ast

        if self._about is None:
            said = self.run(_ABOUT, "saying what it is")
            try:
                self._about = About(ast.literal_eval(said.strip()))
            except (ValueError, SyntaxError):
                raise Trouble("What answers at %s is no MicroPython." % self.port) from None
            if not self._about.block:
                raise Trouble(
                    "The board at %s has no file system; it needs one for what a meter keeps."
                    % self.port
                )
        return self._about

    def free(self):
        """Octets that the file system has left."""
        said = self.run(
            "import os\ns = os.statvfs('')\nprint(s[0] * s[3])", "saying its free room"
        )
        return int(said)

    def hashes(self, names):
        names = list(names)
        found = {}
        try:
            self.run(_HASHES, "preparing")
        except Trouble:
            # A firmware without hashlib: mpremote reads the files instead.
            for name in names:
                found[name] = self._read_hash(name)
            return found
        for k in range(0, len(names), 16):
            part = names[k : k + 16]
            said = self.run("f(%r)" % (part,), "reading its files")
            for line in said.splitlines():
                name, _, digest = line.rpartition(" ")
                found[name] = None if digest == "-" else digest
        return {name: found.get(name) for name in names}

    def _read_hash(self, name):
        with self._asking("reading %s" % name):
            if not self._transport.fs_exists(name):
                return None
            return self._transport.fs_hashfile(name, "sha256").hex()

    def walk(self, folder):
        """(files, folders) below a folder, those deep down first."""
        self.run(_WALK, "preparing")
        said = self.run("w(%r)" % folder, "listing its files").splitlines()[::-1]
        return (
            [line[2:] for line in said if line.startswith("f ")],
            [line[2:] for line in said if line.startswith("d ")],
        )

    # --- Changing

    def remove(self, names):
        script = "import os\nfor n in %r:\n try:\n  os.remove(n)\n except OSError:\n  pass"
        names = list(names)
        for k in range(0, len(names), 16):
            self.run(script % (names[k : k + 16],), "removing files")

    def remove_folders(self, names):
        script = "import os\nfor n in %r:\n try:\n  os.rmdir(n)\n except OSError:\n  pass"
        if names:
            self.run(script % (list(names),), "removing folders")

    def folder(self, name):
        script = "import os\ntry:\n os.mkdir(%r)\nexcept OSError as e:\n if e.errno != 17: raise"
        self.run(script % name, "making the folder %s" % name)

    def copy(self, name, data):
        """Write a file, without looking whether it has arrived."""
        chunk = _CHUNK if len(data) > _CHUNK else max(len(data), _LEAST_CHUNK)
        with self._asking("taking %s" % name):
            self._transport.fs_writefile(name, data, chunk_size=chunk)

    def write(self, name, data):
        """Write a file, and see that it is there as it should be."""
        for _ in range(_TRIES):
            self.copy(name, data)
            if self.hashes([name])[name] == hashlib.sha256(data).hexdigest():
                return
            say("The copy of %s was damaged on its way." % name)
        raise damaged([name])

    def replace(self, name, data):
        """As write(), but the old file stays until the new one is there, whole."""
        fresh = name + ".new"
        self.write(fresh, data)
        self.run(
            "import os\ntry:\n os.rename(%r, %r)\nexcept OSError:\n os.remove(%r)\n"
            " os.rename(%r, %r)" % (fresh, name, name, fresh, name),
            "putting %s in its place" % name,
        )

    # --- Starting

    def start(self, patience_s=START_S):
        """Reset the interpreter; lines that the meter says until it is ready, that one too."""
        transport = self._transport
        try:
            transport.exit_raw_repl()
            transport.read_until(1, b">>> ", timeout_overall=self.patience_s)
            transport.serial.write(b"\x04")
            lines = []
            limit = time.monotonic() + patience_s
            while time.monotonic() < limit:
                left = limit - time.monotonic()
                said = transport.read_until(1, b"\n", timeout=left, timeout_overall=left)
                line = said.decode(errors="replace").strip()
                if line and not line.startswith("MPY: "):
                    lines.append(line)
                if line == READY or line.startswith(READY + " "):
                    return lines
                if re.match(r"\w*(Error|Exception|Interrupt)\b", line):
                    raise Trouble(
                        "The meter does not start. The board said:\n    "
                        + "\n    ".join(lines[-8:])
                    )
        except Trouble:
            raise
        except Exception as e:
            raise _trouble(e, self._lost("starting")) from None
        finally:
            transport.in_raw_repl = False
        said = "It said:\n    " + "\n    ".join(lines[-8:]) if lines else "It said nothing."
        raise Trouble("The meter was not ready within %d s. %s" % (patience_s, said))


def damaged(names):
    return Trouble(
        "Damaged on the way to the board, %d times: %s. Is the cable good, and is nobody else"
        " using the port?" % (_TRIES, ", ".join(names))
    )


def _full():
    return Trouble(
        "The file system of the board is full. Remove what is not needed there, or let the meter"
        " run from a ROMFS image (ROMFS=1) if the firmware has one."
    )


def _refused(what, text):
    """Trouble from what an exception on the board says."""
    last = text.strip().splitlines()[-1:] or [""]
    if "ENOSPC" in last[0] or re.search(r"OSError: \(?-?28\b", last[0]):
        return _full()
    if "MemoryError" in last[0]:
        return Trouble("The board has not enough free memory for %s." % what)
    return Trouble("The board refused, while %s: %s" % (what, last[0]))


def _trouble(e, sentence):
    """What is worth knowing of an error of mpremote or pyserial goes with the sentence."""
    if isinstance(e, (struct.error, IndexError)) or not str(e):
        return Trouble(sentence)
    return Trouble("%s (%s)" % (sentence, _last_line(e)))


def _last_line(e):
    return (str(e).strip().splitlines() or [type(e).__name__])[-1][:120]


def _ports():
    import serial.tools.list_ports

    found = [p.device for p in serial.tools.list_ports.comports()]
    found += [p for p in glob.glob("/dev/ttyACM*") if p not in found]
    return "There are: %s." % ", ".join(sorted(found)) if found else "There is none at all."
