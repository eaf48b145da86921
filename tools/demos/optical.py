# SPDX-License-Identifier: MIT
"""The optical port: the running meter on a pseudo-terminal, and a client that signs on, takes the
readout, reads and writes in programming mode, and changes to HDLC. lib/profiles/iec62056_21.md
explains the messages.
"""

import os
import select
import signal
import sys
import tempfile
import time

from bootstrap import Trouble, step
from decoding.conversation import Conversation
from decoding.show import lines
from demo import METER, Program
from dlms.prim import crc16

ENERGY = "1.8.0"
PASSWORD, MESSAGE = "demo-p2", "Seen on %s"
# An association of client 2 with its secret, GET of the register of active energy, release.
SECRET = b"demo-reading"
GET_ENERGY = bytes.fromhex("C001C100030100010800FF0200")
_READY_S, _ANSWER_S, _QUIET_S = 120, 10, 0.4


_ABOUT = (
    "The reference meter, as tools/meter.py runs it, at an optical port on a pseudo-terminal, and "
    "a client. Its time goes 60 times as fast, so that energy is seen to grow. Rates are those "
    "that both sides would change to: a pseudo-terminal has none."
)


def run(show, options):
    show.about(_ABOUT)
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "port")
        args = [sys.executable, METER, "run", "--optical-pty", path, "--speed", "60"]
        args += ["--runtime", options.runtime] if options.runtime else []
        with Program("The meter", args, signal.SIGINT) as meter:
            with step("Starting a meter"):
                while meter.line(_READY_S) != "ready":
                    pass
            fd = os.open(path, os.O_RDWR | os.O_NOCTTY)
            try:
                converse(Client(show, fd))
            finally:
                os.close(fd)


def converse(client):
    show = client.show
    show.step("Sign-on, and the data readout (mode C)")
    client.sign_on("0", "0")
    sets = client.block()
    client.say(b"\x06")
    readout = next((line for line in sets if line.startswith(ENERGY + "(")), None)
    if readout is None:
        raise Trouble("There is no %s in the readout." % ENERGY)
    show.step("Programming mode")
    client.sign_on("0", "1")
    client.block()
    client.command("P2", "(%s)" % PASSWORD)
    client.expect(b"\x06")
    client.command("R1", ENERGY + "()")
    client.block()
    text = MESSAGE % time.strftime("%d %b")
    client.command("W1", "C.13.0(%s)" % text)
    client.expect(b"\x06")
    client.command("R1", "C.13.0()")
    if text not in client.block()[0]:
        raise Trouble("The message is not what was written.")
    client.command("B0")
    show.step("Over to HDLC (mode E)")
    client.sign_on("2", "2")
    client.expect(b"\x06252\r\n")
    value = client.read_by_hdlc()
    show.result(
        "Active energy import was %s in the readout and %.3f kWh over HDLC, a moment later."
        % (readout[len(ENERGY) + 1 : -1].replace("*", " "), value / 1000)
    )
    if value / 1000 < float(readout[len(ENERGY) + 1 :].split("*")[0]):
        raise Trouble("Energy has gone back.")


class Client:
    """The HHU's side; everything that is said is shown."""

    def __init__(self, show, fd):
        self.show = show
        self.fd = fd
        self.said = Conversation()
        self.ns = self.nr = 0

    def shown(self, who, direction, octets):
        """Show octets with what they mean: each field of a message, each layer of a frame."""
        means = []
        for unit in self.said.octets(direction, octets, whole=True):
            if unit.apdu is None and unit.name != "hdlc-frame":
                means.append("%s: %s" % (unit.name, unit.text))
                means += [n.text for n in unit.walk() if n.name == "data-set"]
            else:
                means += lines(unit)
        self.show.says(who, octets, *means)

    def say(self, octets):
        self.shown("client", "rx", octets)
        os.write(self.fd, octets)

    def hear(self):
        """What the meter says, until it is quiet."""
        said = b""
        wait_s = _ANSWER_S
        while select.select([self.fd], [], [], wait_s)[0]:
            said += os.read(self.fd, 4096)
            wait_s = _QUIET_S
        if not said:
            raise Trouble("The meter does not answer.")
        self.shown("meter", "tx", said)
        return said

    def expect(self, octets):
        said = self.hear()
        if said != octets:
            raise Trouble("The meter has said something else: %r" % said)

    def sign_on(self, protocol, option):
        time.sleep(_QUIET_S)
        self.say(b"/?!\r\n")
        rate = self.hear().decode("ascii")[4]
        self.say(("\x06" + protocol + rate + option + "\r\n").encode())

    def command(self, name, data=None):
        body = name.encode() + (b"\x02" + data.encode() if data is not None else b"") + b"\x03"
        self.say(b"\x01" + body + check(body))

    def block(self):
        """Lines of a data message or an answer."""
        said = self.hear()
        if check(said[1:-1]) != said[-1:]:
            raise Trouble("The block check of the meter's message is wrong.")
        text = said[said.index(b"\x02") + 1 : -2].decode("ascii")
        return [line for line in text.split("\r\n") if line]

    def frame(self, control, info=b""):
        """Say an HDLC frame; the information field of the answer."""
        n = 7 + (len(info) + 2 if info else 0)
        head = with_crc(bytes((0xA0, n, 0x03, 0x05, control)))
        self.say(b"\x7e" + (with_crc(head + info) if info else head) + b"\x7e")
        return self.hear()[8:-3]

    def apdu(self, apdu):
        control = self.nr << 5 | 0x10 | self.ns << 1
        answer = self.frame(control, b"\xe6\xe6\x00" + apdu)
        self.ns = self.ns + 1 & 7
        self.nr = self.nr + 1 & 7
        return answer[3:]

    def read_by_hdlc(self):
        self.frame(0x93)
        self.apdu(aarq())
        answer = self.apdu(GET_ENERGY)
        if answer[:4] != b"\xc4\x01\xc1\x00":
            raise Trouble("The meter does not tell its energy: %s" % answer.hex())
        self.frame(0x53)
        return int.from_bytes(answer[5:], "big")


def aarq():
    body = bytes.fromhex("A1090607608574050801018A0207808B0760857405080201")
    body += bytes((0xAC, 2 + len(SECRET), 0x80, len(SECRET))) + SECRET
    body += bytes.fromhex("BE10040E01000000065F1F040000101D0400")
    return bytes((0x60, len(body))) + body


def check(octets):
    """The block check character."""
    x = 0
    for octet in octets:
        x ^= octet
    return bytes((x,))


def with_crc(part):
    crc = crc16(part, 0, len(part), 0xFFFF) ^ 0xFFFF
    return part + bytes((crc & 0xFF, crc >> 8))
