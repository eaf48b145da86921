# SPDX-License-Identifier: MIT
"""Runs on MicroPython's unix port, and behaves as a board does at its serial port.

    micropython -X heapsize=4m fake_board.py BLOCKS UART_PORT [FAULT ...]

A raw REPL on stdin and stdout, boot.py and main.py at each reset, littlefs on a RAM disk of BLOCKS
times 4 KiB as the only file system, a module machine whose UART is a TCP connection to UART_PORT,
a module chip with a raw flash. What is executed, imported and stored is executed, imported and
stored by the real thing; only the dialogue of the REPL is played here.

FAULT: version=1.24.0, mpy=N, no-hashlib, romfs=KIB (a ROMFS of that size in RAM), frozen (a stack
of its own comes first), slow-start (main.py says nothing).
"""

# ruff: noqa: F821
import gc
import io
import os
import sys

import micropython
import vfs

_BLOCK = 4096
_WINDOW = 1024
_GET_FILENO = 10
_ERASED = b"\xff" * _BLOCK


@micropython.viper
def move(dst, dpos: int, src, spos: int, n: int):
    d = ptr8(dst)
    s = ptr8(src)
    for i in range(n):
        d[dpos + i] = s[spos + i]


class Disk:
    def __init__(self, n):
        self.data = bytearray(n * _BLOCK)

    # Without a slice: files that nobody closed are closed by the collector, under a locked heap.
    def readblocks(self, n, buf, offset=0):
        move(buf, 0, self.data, n * _BLOCK + offset, len(buf))

    def writeblocks(self, n, buf, offset=0):
        move(self.data, n * _BLOCK + offset, buf, 0, len(buf))

    def ioctl(self, op, arg):
        if op == 4:
            return len(self.data) // _BLOCK
        if op == 5:
            return _BLOCK
        return 0


class Rom(Disk):
    """A ROMFS partition that is a block device, as on the stm32 with external flash."""


class Flash(Disk):
    """The raw flash of the board MPS2_AN385: erased to FF, not a file system."""

    def __init__(self):
        super().__init__(128)
        for n in range(128):
            self.ioctl(6, n)

    def ioctl(self, op, arg):
        if op == 6:
            move(self.data, arg * _BLOCK, _ERASED, 0, _BLOCK)
        return super().ioctl(op, arg)


class Chip:
    def __init__(self):
        self._flash = Flash()

    def Flash(self):
        return self._flash


class Vfs:
    def __init__(self, rom):
        self.rom = rom
        for name in dir(vfs):
            if name[0] != "_":
                setattr(self, name, getattr(vfs, name))

    def rom_ioctl(self, op, arg=0):
        if op == 1:
            return 1
        return self.rom if op == 2 and arg == 0 else -22


class UART(io.IOBase):
    def __init__(self, number, baud, timeout=0):
        import socket

        self.socket = socket.socket()
        self.socket.connect(socket.getaddrinfo("127.0.0.1", UART_PORT)[0][-1])
        self.socket.setblocking(False)

    def readinto(self, buf):
        return self.socket.readinto(buf)

    def write(self, buf, pos=0, n=None):
        return self.socket.write(buf, pos, len(buf) if n is None else n)

    def ioctl(self, op, arg):
        # So poll() waits for the socket itself.
        return self.socket.fileno() if op == _GET_FILENO else 0

    def deinit(self):
        self.socket.close()


class Pin:
    OUT = 1
    IN = 0
    PULL_UP = 1

    def __init__(self, number, mode=0, pull=0, value=0):
        pass

    def value(self, level=None):
        return 0

    __call__ = on = off = value


class Machine:
    UART = UART
    Pin = Pin


class System:
    def __init__(self, version, mpy):
        self.implementation = Implementation(version, mpy)
        for name in ("path", "modules", "stdin", "stdout", "stderr", "platform", "byteorder"):
            setattr(self, name, getattr(sys, name))

    def print_exception(self, e):
        sys.print_exception(e)


class Implementation:
    def __init__(self, version, mpy):
        self.name = sys.implementation.name
        self.version = version
        self._mpy = mpy
        self._machine = "fake board with a PC"


UART_PORT = int(sys.argv[2])
faults = dict([f.split("=", 1) if "=" in f else (f, "") for f in sys.argv[3:]])
out = sys.stdout.buffer if hasattr(sys.stdout, "buffer") else sys.stdout
KEPT = dict(sys.modules)

version = sys.implementation.version[:3]
if "version" in faults:
    version = tuple([int(n) for n in faults["version"].split(".")])
mpy = int(faults.get("mpy", sys.implementation._mpy))
KEPT["sys"] = System(version, mpy)
KEPT["machine"] = Machine()
KEPT["chip"] = Chip()
rom = None
if "romfs" in faults:
    rom = Rom(int(faults["romfs"]) // 4)
    KEPT["vfs"] = Vfs(rom)

disk = Disk(int(sys.argv[1]))
vfs.VfsLfs2.mkfs(disk)
vfs.umount("/")
vfs.mount(vfs.VfsLfs2(disk), "/")


def say(data):
    out.write(data)


def reset():
    """What a soft reset leaves: files."""
    for name in list(sys.modules):
        del sys.modules[name]
    sys.modules.update(KEPT)
    gc.collect()
    if "no-hashlib" in faults:
        sys.modules["hashlib"] = 0
    if "frozen" in faults:
        sys.modules["dlms"] = Frozen()
    os.chdir("/")
    sys.path[:] = ["", ".frozen", "/lib"]
    if rom is not None:
        try:
            vfs.umount("/rom")
        except OSError:
            pass
        try:
            vfs.mount(vfs.VfsRom(memoryview(rom.data)), "/rom")
            sys.path.extend(["/rom", "/rom/lib"])
        except OSError:
            pass
    return {"__name__": "__main__"}


class Frozen:
    __file__ = "dlms/__init__.py"


def file_if_exists(name, names):
    try:
        with open(name) as f:
            text = f.read()
    except OSError:
        return
    if "slow-start" in faults and name == "main.py":
        text = "while True: pass"
    run(text, names, b"")


def run(text, names, end):
    """Execute; what it prints has gone to stdout itself."""
    try:
        exec(text, names)
        say(end)
    except KeyboardInterrupt:
        say(end + b"Traceback (most recent call last):\r\nKeyboardInterrupt: \r\n")
    except SystemExit:
        say(end)
    except BaseException as e:
        s = io.StringIO()
        sys.print_exception(e, s)
        say(end + s.getvalue().replace("\n", "\r\n").encode())
    say(end)


def paste():
    """Raw paste: text comes in windows, the next when the last was read."""
    sys.stdin.buffer.read(2)
    say(b"R\x01" + bytes((_WINDOW & 0xFF, _WINDOW >> 8)))
    text = bytearray()
    while True:
        c = sys.stdin.buffer.read(1)
        if c == b"\x04":
            say(c)
            return text
        text.extend(c)
        if len(text) % _WINDOW == 0:
            say(b"\x01")


def repl():
    raw = False
    while True:
        names = reset()
        file_if_exists("boot.py", names)
        if not raw:
            file_if_exists("main.py", names)
            say(b"MicroPython, played\r\n>>> ")
        else:
            say(b"raw REPL; CTRL-B to exit\r\n>")
        line = bytearray()
        while True:
            try:
                c = sys.stdin.buffer.read(1)
            except KeyboardInterrupt:
                continue
            if not c:
                return
            if c == b"\x01":
                raw = True
                line = bytearray()
                say(b"raw REPL; CTRL-B to exit\r\n>")
            elif c == b"\x02":
                raw = False
                line = bytearray()
                say(b"\r\nMicroPython, played\r\n>>> ")
            elif c == b"\x04":
                if not line:
                    say(b"OK\r\nMPY: soft reboot\r\n" if raw else b"\r\nMPY: soft reboot\r\n")
                    break
                say(b"OK")
                text = bytes(line).decode()
                line = bytearray()
                run(text, names, b"\x04")
                say(b">")
            elif raw and c == b"\x05":
                try:
                    text = paste()
                except KeyboardInterrupt:
                    say(b"\r\n>")
                    continue
                run(bytes(text).decode(), names, b"\x04")
                say(b">")
            elif raw and (line or c != b"\r"):
                line.extend(c)


repl()
