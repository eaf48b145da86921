# SPDX-License-Identifier: MIT
"""A meter in a process of its own, as a user starts it, and as little of a client as tests need.

with Running("--runtime", "micropython", "--wrapper-tcp", "0") as meter:
    client = Wrapper(meter.connect("wrapper-tcp"))
    assert client.ask(AARQ)[:1] == b"\\x61"
"""

import functools
import os
import select
import signal
import socket
import subprocess
import sys
import time

import compile as compiling
import secure
import sheet as sheets
from dlms.prim import crc16

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
DEFAULT_DEFINITION = os.path.join(ROOT, "firmware", "definitions", "residential.toml")
METER = os.path.join(ROOT, "tools", "meter.py")
PORTS = ("wrapper-tcp", "wrapper-udp", "hdlc-tcp", "hdlc-pty", "optical-pty")
PATIENCE_S = 60  # a machine may be busy; nothing here is measured by it

PUBLIC = 16
READING = 2
MANAGEMENT = 1
HLS_READING = 3
SHORT = 8

# An AARQ without authentication, and GET of the clock's time and of the logical device name.
AARQ = bytes.fromhex("601DA109060760857405080101BE10040E01000000065F1F040000101D0400")
GET_TIME = bytes.fromhex("C001C100080000010000FF0200")
GET_NAME = bytes.fromhex("C001C1000100002A0000FF0200")


def aarq_with(secret):
    """An AARQ with low level security."""
    body = bytes.fromhex("A1090607608574050801018A0207808B0760857405080201")
    body += bytes((0xAC, 2 + len(secret), 0x80, len(secret))) + secret
    body += bytes.fromhex("BE10040E01000000065F1F0400FFFFFF0400")
    return bytes((0x60, len(body))) + body


# --- Clients that prove who they are, by the connection sheet -------------------------------


@functools.lru_cache(maxsize=None)
def sheet():
    """The connection sheet of the reference meter."""
    return sheets.sheet(sheets.load(compiling.definition(DEFAULT_DEFINITION)), [])


class Secured:
    """A client with high level security over a link that is up: ask() protects and checks."""

    def __init__(self, link, client_sap, counter=0, of=None):
        of = of or sheet()
        (a,) = (x for x in of["associations"] if x["client_sap"] == client_sap != PUBLIC)
        hex_ = {k[:-4]: bytes.fromhex(v) for k, v in a.items() if k.endswith("_hex")}
        keys = {k: hex_[k] for k in ("secret", "guek", "gak") if k in hex_}
        context = a["application_context_id"]
        kind = "glo" if context == 3 else None
        self.link = link
        self.client = secure.Client(
            self, a["mechanism_id"], context, kind, suite=a.get("security_suite", 0), **keys
        )
        self.client.ic = counter
        self.client.meter_title = bytes.fromhex(of["system_title"])

    def say(self, apdu):
        return self.link.ask(bytes.fromhex(apdu)).hex()

    def open(self):
        self.client.open()
        return self

    def lets_in(self):
        """Does the meter take it, and does it prove itself?"""
        try:
            self.open()
        except (AssertionError, IndexError):
            return False
        return True

    def ask(self, apdu):
        """The answer in plain text."""
        return bytes.fromhex(self.client.ask(apdu.hex()).lstrip("!"))


class Running:
    """tools/meter.py run with arguments; `ports` once it is ready."""

    def __init__(self, *args, wait=True, **kwargs):
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [sys.executable, METER, "run", *args],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            cwd=ROOT,
            **kwargs,
        )
        self.lines = []
        self.ports = {}
        self.errors = ""
        self.ready_s = 0
        self._text = b""
        if wait and not self.wait_for("ready"):
            self.stop()
            raise AssertionError("the meter did not start: " + self.errors)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.stop()

    def wait_for(self, start, patience_s=PATIENCE_S):
        """Read lines until one starts so; that line, or None if there is none."""
        limit = time.monotonic() + patience_s
        fd = self.process.stdout.fileno()
        while time.monotonic() < limit:
            line, newline, rest = self._text.partition(b"\n")
            if newline:
                self._text = rest
                line = line.decode()
                self.lines.append(line)
                word = line.partition(" ")[0]
                if word in PORTS:
                    self.ports[word] = line[len(word) + 1 :]
                if line.startswith(start):
                    self.ready_s = time.monotonic() - self.started
                    return line
                continue
            if not select.select([fd], [], [], 1)[0]:
                continue
            data = os.read(fd, 65536)
            if not data:
                return None
            self._text += data
        return None

    def connect(self, name):
        """A socket to one of the ports."""
        host, number = self.ports[name].rsplit(":", 1)
        kind = socket.SOCK_DGRAM if name == "wrapper-udp" else socket.SOCK_STREAM
        s = socket.socket(socket.AF_INET, kind)
        s.settimeout(PATIENCE_S)
        s.connect((host, int(number)))
        return s

    def stop(self, number=signal.SIGTERM):
        """End it; the exit code. What it said on stderr is in `errors`."""
        if self.process.poll() is None:
            self.process.send_signal(number)
        try:
            out, errors = self.process.communicate(timeout=PATIENCE_S)
            self._text += out or b""
            self.errors += (errors or b"").decode()
        except ValueError:
            self.process.wait(PATIENCE_S)  # its pipes are closed: somebody has been here before
        return self.process.returncode

    def rest(self):
        """Lines that nobody has waited for, after stop()."""
        return self._text.decode().splitlines()


class Wrapper:
    """One client over the wrapper, on a connected socket."""

    def __init__(self, s, client=PUBLIC, server=1):
        self.socket = s
        self.client = client
        self.server = server

    def wpdu(self, apdu):
        head = (1, self.client, self.server, len(apdu))
        return b"".join(n.to_bytes(2, "big") for n in head) + apdu

    def ask(self, apdu):
        """The answer to an APDU; b"" if the meter closes instead."""
        self.socket.sendall(self.wpdu(apdu))
        return self.answer()

    def answer(self):
        if self.socket.type == socket.SOCK_DGRAM:
            return self.socket.recv(4096)[8:]
        try:
            head = self.octets(8)
            return self.octets(head[6] << 8 | head[7]) if head else b""
        except ConnectionResetError:
            return b""

    def octets(self, n):
        got = b""
        while len(got) < n:
            part = self.socket.recv(n - len(got))
            if not part:
                return b""
            got += part
        return got


class HDLC:
    """One client over HDLC, in frames that it makes itself; send and receive are handed in."""

    def __init__(self, send, receive, client=PUBLIC, server=1):
        self.send = send
        self.receive = receive
        self.address = bytes((server << 1 | 1, client << 1 | 1))
        self._ns = self._nr = 0

    def frame(self, control, info=b""):
        n = 2 + 2 + 1 + 2 + (len(info) + 2 if info else 0)
        frame = self._with_crc(bytes((0xA0 | n >> 8, n & 0xFF)) + self.address + bytes((control,)))
        if info:
            frame = self._with_crc(frame + info)
        return b"\x7e" + frame + b"\x7e"

    @staticmethod
    def _with_crc(part):
        crc = crc16(part, 0, len(part), 0xFFFF) ^ 0xFFFF
        return part + bytes((crc & 0xFF, crc >> 8))

    def exchange(self, frame):
        """Send a frame, receive one."""
        self.send(frame)
        got = b""
        while len(got) < 3 or len(got) < ((got[1] & 7) << 8 | got[2]) + 2:
            got += self.receive()
        return got

    def connect(self):
        """SNRM; the control octet of the answer."""
        self._ns = self._nr = 0
        return self.exchange(self.frame(0x93))[5]

    def ask(self, apdu):
        """An APDU in one I frame; the answer's APDU, of all its segments."""
        n = self._ns
        self._ns = n + 1 & 7
        got = self.exchange(self.frame(self._nr << 5 | 0x10 | n << 1, b"\xe6\xe6\x00" + apdu))
        answer = got[8:-3]
        self._nr = self._nr + 1 & 7
        while got[1] & 8:
            got = self.exchange(self.frame(self._nr << 5 | 0x11))
            answer += got[8:-3]
            self._nr = self._nr + 1 & 7
        return answer[3:]

    def disconnect(self):
        return self.exchange(self.frame(0x53))[5]
