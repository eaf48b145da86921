#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""A CircuitPython board in a process: boot.py and code.py of a drive, over fakes of its modules.

    echo '{"stubs": ..., "board": "adafruit_feather_rp2040", "drive": ...}' | run.py

Keys of the options: stubs (folder of the packages), board (its id), drive (a folder), held (names
of pins with a pressed button), nvm (file of its octets; missing: the board has none), ticks
(where supervisor.ticks_ms starts), readonly (code cannot have the drive), no_usb (no second port).

What the program on the drive imports is a fake, a module cut down to what CircuitPython has of
it, or from the drive; everything else is an ImportError. Serial ports are TCP ports on loopback,
said on stdout as `fake UART TX 40000`. Ends when stdin ends, as if by Ctrl-C, and then says
`fake pystack N`: an estimate of the deepest that the calls were nested, in octets of a board.
"""

import _thread
import array
import binascii
import builtins
import collections
import errno
import gc
import hashlib
import io
import json
import math
import os
import random
import re
import select
import signal
import socket
import struct
import sys
import threading
import time
import tomllib
import traceback
import types

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))
sys.path.insert(1, os.path.dirname(sys.path[0]))

import energy_chip
import stubs

# What the core modules have, as those of CircuitPython 10: no stubs come for them.
CORE = {
    "array": (array, "array"),
    "binascii": (binascii, "a2b_base64 b2a_base64 crc32 hexlify unhexlify"),
    "collections": (collections, "OrderedDict deque namedtuple"),
    "errno": (errno, "EACCES EAGAIN EBADF ECONNRESET EEXIST EINVAL EIO ENOENT ENOSPC EPERM EPIPE"
                     " ETIMEDOUT"),
    "gc": (gc, "collect disable enable isenabled"),
    "io": (io, "BytesIO StringIO"),
    "json": (json, "dump dumps load loads"),
    "math": (math, "ceil cos exp floor log pi pow sin sqrt tan"),
    "random": (random, "choice getrandbits randint random randrange seed uniform"),
    "re": (re, "compile match search sub"),
    "struct": (struct, "calcsize pack pack_into unpack unpack_from"),
    "time": (time, "localtime mktime monotonic monotonic_ns sleep struct_time time"),
}  # fmt: skip

TICKS_TURN = 1 << 29
FLAGS = {"r": os.O_RDONLY}
# sizeof(mp_code_state_t) and what a try block takes, on a board of 32 bits.
FRAME = 40
OWN = ("code", "boot")


def say(*words):
    print("fake", *words, flush=True)


class Wire:
    """A serial port's other end: whoever connects to a TCP port. Octets wait in a buffer."""

    def __init__(self, name, room):
        self.name = name
        self.room = room
        self.buffer = bytearray()
        self.lost = 0
        self.peer = None
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.listener.setblocking(False)
        say(name, self.listener.getsockname()[1])

    def look(self):
        if self.peer is None:
            try:
                self.peer = self.listener.accept()[0]
                self.peer.setblocking(False)
            except OSError:
                return
        try:
            data = self.peer.recv(4096)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if not data:
            self.peer.close()
            self.peer = None
            return
        # What does not fit is lost, as in an overrun.
        self.lost += max(0, len(self.buffer) + len(data) - self.room)
        self.buffer += data[: self.room - len(self.buffer)]

    def send(self, data):
        if self.peer is not None:
            self.peer.setblocking(True)
            self.peer.sendall(data)
            self.peer.setblocking(False)

    def take(self, buf):
        n = min(len(buf), len(self.buffer))
        buf[:n] = self.buffer[:n]
        del self.buffer[:n]
        return n


class Board:
    def __init__(self, options):
        self.options = options
        self.drive = os.path.realpath(options["drive"])
        self.booted = False
        self.readonly = True
        self.usb_data = False
        self.pins = {}
        self.used = set()
        self.levels = {}  # of outputs
        self.edges = {}
        self.deepest = 0
        self.modules = {}
        self.make()

    # --- The file system

    def path(self, path):
        if re.search(r'["*:<>?|\\]', path):
            raise OSError(errno.EINVAL, "no name on FAT: " + path)
        return self.drive + "/" + path.lstrip("/")

    def writes(self):
        if self.readonly:
            raise OSError(errno.EROFS, "Read-only filesystem")

    def open(self, path, mode="r", buffering=-1):
        if "w" in mode or "+" in mode or "a" in mode:
            self.writes()
        if "b" not in mode:
            return io.open(self.path(path), mode, encoding="utf-8")
        return io.open(self.path(path), mode, 0)

    # --- Modules

    def make(self):
        board = self
        folder = self.options["stubs"]
        api, self.included = stubs.board(folder, self.options["board"])
        microcontroller_api = stubs.module(folder, "microcontroller")

        def add(name, fakes):
            made = stubs.strict_module(name, stubs.module(folder, name), fakes)
            if name.split(".")[0] in self.included or name == "micropython":
                self.modules[name] = made
            return made

        class Pin:
            def __init__(self):
                raise TypeError("pins cannot be made")

        Pin = stubs.strict_class(Pin, microcontroller_api.members["Pin"], "microcontroller.Pin")
        for name, kind in api.members.items():
            if kind is None and name != "board_id":
                pin = object.__new__(Pin)
                pin._name = name
                self.pins[name] = pin
        self.modules["board"] = stubs.strict_module(
            "board", api, {"board_id": self.options["board"], **self.pins}
        )

        def claim(pin):
            if not isinstance(pin, Pin):
                raise TypeError("pin must be of type Pin")
            if pin._name in board.used:
                raise ValueError("%s in use" % pin._name)
            board.used.add(pin._name)

        class UART:
            def __init__(
                self, tx=None, rx=None, *, rts=None, cts=None, rs485_dir=None,
                rs485_invert=False, baudrate=9600, bits=8, parity=None, stop=1, timeout=1,
                receiver_buffer_size=64,
            ):  # fmt: skip
                self._pins = [p for p in (tx, rx, rts, cts, rs485_dir) if p is not None]
                for pin in self._pins:
                    claim(pin)
                if timeout:
                    raise AssertionError("a UART that waits stops the meter")
                self.baudrate = baudrate
                self.timeout = timeout
                self._wire = Wire("UART " + tx._name, receiver_buffer_size)

            @property
            def in_waiting(self):
                self._wire.look()
                return len(self._wire.buffer)

            def readinto(self, buf):
                self._wire.look()
                return self._wire.take(buf) or None

            def write(self, buf):
                self._wire.send(bytes(buf))
                return len(buf)

            def deinit(self):
                for pin in self._pins:
                    board.used.discard(pin._name)

        class SPI:
            """The only device on it is a double of the energy chip; 320 ticks come each second."""

            def __init__(self, clock, MOSI=None, MISO=None, half_duplex=False):
                for pin in (clock, MOSI, MISO):
                    claim(pin)
                self._chip = energy_chip.Chip()
                self._started = time.monotonic()
                self._seconds = 0
                self._settings = None

            def try_lock(self):
                return True

            def configure(self, *, baudrate=100000, polarity=0, phase=0, bits=8):
                self._settings = polarity, phase, bits

            def write_readinto(self, out_buffer, in_buffer):
                if self._settings != (1, 1, 8) or board.levels["D10"]:
                    raise AssertionError("not mode 3, or without /CS")
                passed = int(time.monotonic() - self._started)
                self._chip.count(0x81, 320 * (passed - self._seconds))
                self._seconds = passed
                in_buffer[:] = out_buffer
                self._chip.exchange(in_buffer)

        add("busio", {"UART": UART, "SPI": SPI})

        class Serial:
            def __init__(self):
                self._wire = Wire("USB data", 256)
                self.timeout = None
                self.write_timeout = None

            @property
            def connected(self):
                self._wire.look()
                return self._wire.peer is not None

            @property
            def in_waiting(self):
                self._wire.look()
                return len(self._wire.buffer)

            def readinto(self, buf):
                if self.timeout is None and self.in_waiting < len(buf):
                    raise AssertionError("waits for ever")
                return self._wire.take(buf)

            def write(self, buf):
                if self.write_timeout is None:
                    raise AssertionError("may wait for ever")
                # Full pipes are part of life: never more than an endpoint's worth.
                if not self.connected:
                    return 0
                self._wire.send(bytes(buf[:64]))
                return min(64, len(buf))

            def reset_input_buffer(self):
                self._wire.buffer.clear()

        def enable(*, console=True, data=False):
            if board.booted:
                raise RuntimeError("Cannot change USB devices now")
            if data and board.options.get("no_usb"):
                raise RuntimeError("Too many endpoints")
            board.usb_data = data

        add("usb_cdc", {"Serial": Serial, "enable": enable, "data": None})

        class Runtime:
            def __init__(self):
                self.autoreload = True

        started = time.monotonic()
        first = self.options.get("ticks", TICKS_TURN - 65000)

        def ticks_ms():
            return (first + int((time.monotonic() - started) * 1000)) % TICKS_TURN

        supervisor = add("supervisor", {"Runtime": Runtime, "ticks_ms": ticks_ms})
        supervisor.runtime = supervisor.Runtime()

        class VfsFat:
            def __init__(self, block_device):
                raise TypeError("not here")

            @property
            def readonly(self):
                return board.readonly

        vfs = stubs.module(folder, "storage").members["VfsFat"]

        def getmount(mount_path):
            return object.__new__(stubs.strict_class(VfsFat, vfs, "storage.VfsFat"))

        def remount(mount_path, readonly=False, *, disable_concurrent_write_protection=False):
            if board.booted or board.options.get("readonly"):
                raise RuntimeError("Cannot remount path when visible via USB.")
            board.readonly = readonly

        add("storage", {"VfsFat": VfsFat, "getmount": getmount, "remount": remount})

        class ByteArray:
            def __len__(self):
                return len(self._octets)

            def __getitem__(self, index):
                return self._octets[index]

            def __setitem__(self, index, value):
                if isinstance(index, slice):
                    if len(range(*index.indices(len(self._octets)))) != len(value):
                        raise ValueError("Slice and value different lengths.")
                self._octets[index] = value
                with open(self._path, "wb") as f:
                    f.write(self._octets)

        ByteArray = stubs.strict_class(
            ByteArray, stubs.module(folder, "nvm").members["ByteArray"], "nvm.ByteArray"
        )
        nvm = None
        if self.options.get("nvm"):
            nvm = ByteArray()
            nvm._path = self.options["nvm"]
            with open(nvm._path, "rb") as f:
                nvm._octets = bytearray(f.read())
        reasons = stubs.module(folder, "microcontroller").members["ResetReason"].members
        reasons = types.SimpleNamespace(**{name: name for name in reasons if name.isupper()})
        cpu = types.SimpleNamespace(reset_reason=reasons.POWER_ON)
        made = add("microcontroller", {"nvm": nvm, "cpu": cpu})
        made.ResetReason = reasons
        made.Pin = Pin

        class DigitalInOut:
            def __init__(self, pin):
                claim(pin)
                self._name = pin._name

            def switch_to_input(self, pull=None):
                self._pull = pull

            def switch_to_output(self, value=False, drive_mode=None):
                board.levels[self._name] = value

            @property
            def value(self):
                # Without its resistor an open button says anything.
                return self._pull is not None and self._name not in board.options.get("held", ())

            @value.setter
            def value(self, on):
                if on != board.levels[self._name]:
                    board.edges[self._name] = board.edges.get(self._name, 0) + 1
                board.levels[self._name] = on

            def deinit(self):
                board.used.discard(self._name)

        class Pull:
            UP = object()
            DOWN = object()

        add("digitalio", {"DigitalInOut": DigitalInOut, "Pull": Pull})

        class AES:
            """One block at a time, in ECB mode."""

            def __init__(self, key, mode=0, IV=None, segment_size=8):
                if mode != 1:
                    raise NotImplementedError("aesio: this fake has ECB only")
                cipher = Cipher(algorithms.AES(bytes(key)), modes.ECB())
                self._encrypt = cipher.encryptor().update
                self._decrypt = cipher.decryptor().update

            def encrypt_into(self, src, dest):
                self._crypt(self._encrypt, src, dest)

            def decrypt_into(self, src, dest):
                self._crypt(self._decrypt, src, dest)

            def _crypt(self, update, src, dest):
                if len(src) != 16 or len(dest) != 16:
                    raise ValueError("ECB only operates on 16 bytes at a time")
                dest[:] = update(bytes(src))

        add("aesio", {"AES": AES, "MODE_ECB": 1})

        def new(name, data=b""):
            if name not in ("sha1", "sha256"):
                raise ValueError("Unsupported hash algorithm")
            return hashlib.new(name, data)

        add("hashlib", {"new": new})
        add("micropython", {"const": const})
        self.make_network(add, folder)
        self.make_core()

    def make_network(self, add, folder):
        board = self

        class Radio:
            def __init__(self):
                self._ssid = None

            def connect(
                self, ssid, password=b"", *, channel=0, bssid=None, authmode=(), timeout=None
            ):
                if ssid not in board.options.get("networks", {}):
                    raise ConnectionError("No network with that ssid")
                if board.options["networks"][ssid] != password:
                    raise ConnectionError("Authentication failure")
                self._ssid = ssid

            @property
            def connected(self):
                return self._ssid is not None

            @property
            def ipv4_address(self):
                return types.SimpleNamespace(__str__=None) if not self._ssid else Address()

            @property
            def ipv4_subnet(self):
                return Address("255.0.0.0") if self._ssid else None

            @property
            def ipv4_gateway(self):
                return Address("127.0.0.2") if self._ssid else None

            @property
            def ipv4_dns(self):
                return Address("127.0.0.3")

            @property
            def mac_address(self):
                return b"\x02\xfa\x4e\0\0\1"

        class Address:
            def __init__(self, text="127.0.0.1"):
                self._text = text

            def __str__(self):
                return self._text

        wifi = add("wifi", {"Radio": Radio})
        wifi.radio = wifi.Radio()

        class Socket:
            def __init__(self, real=None):
                self._real = real

            def _call(self, name, *args):
                try:
                    return getattr(self._real, name)(*args)
                except BlockingIOError:
                    raise OSError(errno.EAGAIN, "EAGAIN") from None

            def accept(self):
                real, address = self._call("accept")
                return Socket_(real), address

            def bind(self, address):
                self._call("bind", address)
                say("port", self._real.getsockname()[1])

            def listen(self, backlog):
                self._call("listen", backlog)

            def close(self):
                self._real.close()

            def recv_into(self, buffer, bufsize):
                return self._call("recv_into", buffer, bufsize)

            def recvfrom_into(self, buffer):
                return self._call("recvfrom_into", buffer)

            def send(self, bytes):
                return self._call("send", bytes)

            def sendto(self, bytes, address):
                return self._call("sendto", bytes, address)

            def setblocking(self, flag):
                self._real.setblocking(flag)

            def setsockopt(self, level, optname, value):
                self._call("setsockopt", level, optname, value)

        api = stubs.module(folder, "socketpool")
        Socket_ = stubs.strict_class(Socket, api.members["Socket"], "socketpool.Socket")

        class SocketPool:
            AF_INET = socket.AF_INET
            SOCK_STREAM = socket.SOCK_STREAM
            SOCK_DGRAM = socket.SOCK_DGRAM
            SOL_SOCKET = socket.SOL_SOCKET
            SO_REUSEADDR = socket.SO_REUSEADDR
            IPPROTO_TCP = socket.IPPROTO_TCP
            TCP_NODELAY = socket.TCP_NODELAY

            def __init__(self, radio):
                if radio is not wifi.radio:
                    raise ValueError("SocketPool wants wifi.radio")

            def socket(self, family=socket.AF_INET, type=socket.SOCK_STREAM, proto=0):
                return Socket_(socket.socket(family, type))

        add("socketpool", {"SocketPool": SocketPool})

        class Poll:
            """Of the objects that were registered, as MicroPython's: not of their numbers."""

            def __init__(self):
                self._poll = select.poll()
                self._objects = {}

            def register(self, stream, events=select.POLLIN | select.POLLOUT):
                self._objects[stream._real.fileno()] = stream
                self._poll.register(stream._real, events)

            def modify(self, stream, events):
                self._poll.modify(stream._real, events)

            def unregister(self, stream):
                del self._objects[stream._real.fileno()]
                self._poll.unregister(stream._real)

            def poll(self, timeout=-1):
                return [(self._objects[n], e) for n, e in self._poll.poll(timeout)]

        made = types.ModuleType("select")
        made.poll = Poll
        made.POLLIN, made.POLLOUT = select.POLLIN, select.POLLOUT
        made.POLLERR, made.POLLHUP = select.POLLERR, select.POLLHUP
        self.modules["select"] = made

    def make_core(self):
        for name, (real, names) in CORE.items():
            made = types.ModuleType(name)
            for key in names.split():
                setattr(made, key, getattr(real, key))
            if name in self.included or name == "gc":
                self.modules[name] = made

        made = types.ModuleType("sys")
        made.implementation = types.SimpleNamespace(name="circuitpython", version=(10, 0, 0))
        made.platform = "RP2040"
        made.modules = sys.modules
        made.path = sys.path
        made.stdin, made.stdout, made.stderr = sys.stdin, sys.stdout, sys.stderr
        made.exit, made.maxsize, made.byteorder = sys.exit, 2**31 - 1, "little"
        self.modules["sys"] = made

        # "uname chdir getcwd getenv listdir mkdir remove rename rmdir stat statvfs unlink utime
        # sync urandom sep" is all there is; these are what a meter could want of it.
        made = types.ModuleType("os")
        made.sep = "/"
        made.urandom = os.urandom
        made.sync = lambda: None
        made.getenv = self.getenv
        made.stat = lambda path: tuple(os.stat(self.path(path)))
        made.listdir = lambda path="/": os.listdir(self.path(path))
        made.mkdir = lambda path: (self.writes(), os.mkdir(self.path(path)))[1]
        made.remove = made.unlink = lambda path: (self.writes(), os.remove(self.path(path)))[1]
        self.modules["os"] = made

    def getenv(self, key, default=None):
        with open(self.drive + "/settings.toml", "rb") as f:
            return tomllib.load(f).get(key, default)

    # --- Running

    def ours(self, frame):
        return frame.f_code.co_filename.startswith(self.drive + "/")

    def hook(self):
        """From here on, what files of the drive import and open is the board's."""
        real_import = builtins.__import__
        real_open = builtins.open

        def importing(name, globals=None, locals=None, fromlist=(), level=0):
            if not self.ours(sys._getframe(1)):
                return real_import(name, globals, locals, fromlist, level)
            root = name.split(".")[0]
            if name in self.modules:
                return self.modules[name]
            for place in (self.drive, self.drive + "/lib"):
                if os.path.exists(place + "/" + root) or os.path.exists(place + "/%s.py" % root):
                    return real_import(name, globals, locals, fromlist, level)
            raise ImportError("no module named '%s'" % name)

        def opening(*args, **kwargs):
            if self.ours(sys._getframe(1)):
                return self.open(*args, **kwargs)
            return real_open(*args, **kwargs)

        builtins.__import__ = importing
        builtins.open = opening

    def measure(self):
        """Follow how deep calls are nested in the drive's files."""
        depth = [0]
        costs = {}

        def profile(frame, event, arg):
            if event not in ("call", "return"):
                return
            code = frame.f_code
            cost = costs.get(code)
            if cost is None:
                cost = 0
                if code.co_filename.startswith(self.drive + "/"):
                    words = code.co_stacksize + code.co_nlocals + len(code.co_cellvars)
                    cost = FRAME + 4 * words
                costs[code] = cost
            if event == "call":
                depth[0] += cost
                self.deepest = max(self.deepest, depth[0])
            else:
                depth[0] -= cost

        sys.setprofile(profile)

    def run_file(self, name):
        path = self.drive + "/" + name
        with io.open(path, encoding="utf-8") as f:
            code = compile(f.read(), path, "exec")
        try:
            exec(code, {"__name__": "__main__", "__file__": path})
            return True
        except Exception:
            traceback.print_exc(file=sys.stdout)
            return False

    def run(self):
        sys.path[:] = [self.drive, self.drive + "/lib"] + sys.path[1:]
        sys.dont_write_bytecode = True
        self.hook()
        self.measure()
        fine = self.run_file("boot.py")
        # What boot.py has imported is gone when code.py starts, and so are its pins.
        for name in [n for n, m in sys.modules.items() if self.drive in str(m)]:
            del sys.modules[name]
        self.used.clear()
        self.booted = True
        if "usb_cdc" in self.modules:
            cdc = self.modules["usb_cdc"]
            cdc.data = cdc.Serial() if self.usb_data else None
        say("booted", "meter" if not self.readonly else "pc")
        fine = self.run_file("code.py") and fine
        sys.setprofile(None)
        say("pystack", self.deepest)
        names = sorted(n for n, m in sys.modules.items() if self.drive in str(m))
        say("modules", *names)
        say("edges", *["%s=%d" % edge for edge in sorted(self.edges.items())])
        return 0 if fine else 1


def const(expr):
    return expr


def main():
    options = json.loads(sys.stdin.readline())

    def end():
        sys.stdin.read()
        _thread.interrupt_main()

    # Whoever runs this in the background may have it ignored.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    board = Board(options)
    threading.Thread(target=end, daemon=True).start()
    return board.run()


if __name__ == "__main__":
    sys.exit(main())
