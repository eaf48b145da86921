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
from demo import METER, Program
from dlms.prim import crc16

RATES = (300, 600, 1200, 2400, 4800, 9600, 19200)
ENERGY = "1.8.0"
PASSWORD, MESSAGE = "demo-p2", "Seen on %s"
# An association of client 2 with its secret, GET of the register of active energy, release.
SECRET = b"demo-reading"
GET_ENERGY = bytes.fromhex("C001C100030100010800FF0200")
_READY_S, _ANSWER_S, _QUIET_S = 120, 10, 0.4
_CONTROLS = {0x93: "SNRM", 0x73: "UA", 0x53: "DISC", 0x1F: "DM"}


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
    client.sign_on("0", "0", "normal protocol, data readout")
    lines = client.block()
    client.say(b"\x06", "ACK: it has come well")
    readout = next((line for line in lines if line.startswith(ENERGY + "(")), None)
    if readout is None:
        raise Trouble("There is no %s in the readout." % ENERGY)
    show.step("Programming mode")
    client.sign_on("0", "1", "normal protocol, programming mode")
    client.block()
    client.command("P2", "(%s)" % PASSWORD, "password 2")
    client.expect(b"\x06", "ACK: client 1's rights from now on")
    client.command("R1", ENERGY + "()", "read active energy import")
    client.block()
    text = MESSAGE % time.strftime("%d %b")
    client.command("W1", "C.13.0(%s)" % text, "write the consumer message")
    client.expect(b"\x06", "ACK: it is stored")
    client.command("R1", "C.13.0()", "read it")
    if text not in client.block()[0]:
        raise Trouble("The message is not what was written.")
    client.command("B0", None, "break: the session is over, back to 300 baud")
    show.step("Over to HDLC (mode E)")
    client.sign_on("2", "2", "HDLC protocol, binary mode")
    client.expect(b"\x06252\r\n", "ACK 2 Z 2, confirmed at 300 baud; now both change the rate")
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
        self.ns = self.nr = 0

    def say(self, octets, *means):
        self.show.says("client", octets, *means)
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
        return said

    def expect(self, octets, means):
        said = self.hear()
        self.show.says("meter", said, means)
        if said != octets:
            raise Trouble("The meter has said something else: %r" % said)

    def sign_on(self, protocol, option, means):
        time.sleep(_QUIET_S)
        self.say(b"/?!\r\n", "request: any device, at 300 baud, 7E1")
        said = self.hear()
        text = said.decode("ascii")
        rate = RATES[int(text[4])]
        self.show.says(
            "meter", said, "identification: manufacturer %s" % text[1:4],
            "Z = %s: %d baud are possible" % (text[4], rate),
            "\\2: mode E, HDLC is possible" if text[5:7] == "\\2" else "no mode E",
            "identification %s" % text.partition("\\2")[2].strip(),
        )  # fmt: skip
        self.say(
            ("\x06" + protocol + text[4] + option + "\r\n").encode(),
            "ACK V Z Y: %s, at %d baud" % (means, rate),
        )

    def command(self, name, data, means):
        body = name.encode() + (b"\x02" + data.encode() if data is not None else b"") + b"\x03"
        shown = "%s: %s" % (name, means)
        self.say(b"\x01" + body + check(body), shown, *([data] if data else []))

    def block(self):
        """Lines of a data message or an answer."""
        said = self.hear()
        start = said.index(b"\x02")
        good = check(said[1:-1]) == said[-1:]
        lines = said[start + 1 : -2].decode("ascii").split("\r\n")
        lines = [line for line in lines if line]
        head = "SOH %s STX" % said[1:3].decode() if start else "STX"
        self.show.says(
            "meter", said, "%s, ETX, BCC %02X %s" % (head, said[-1], "fits" if good else "wrong"),
            *lines,
        )  # fmt: skip
        if not good:
            raise Trouble("The block check of the meter's message is wrong.")
        return lines

    def frame(self, control, info=b"", means=""):
        """Say an HDLC frame; the information field of the answer."""
        n = 7 + (len(info) + 2 if info else 0)
        head = with_crc(bytes((0xA0, n, 0x03, 0x05, control)))
        octets = b"\x7e" + (with_crc(head + info) if info else head) + b"\x7e"
        name = _CONTROLS.get(control) or "I frame %d" % self.ns
        self.say(octets, name + (": " + means if means else ""))
        said = self.hear()
        answer = said[8:-3]
        name = _CONTROLS.get(said[5]) or "I frame %d" % (said[5] >> 1 & 7)
        return said, name, answer

    def apdu(self, apdu, means):
        control = self.nr << 5 | 0x10 | self.ns << 1
        said, name, answer = self.frame(control, b"\xe6\xe6\x00" + apdu, means)
        self.ns = self.ns + 1 & 7
        self.nr = self.nr + 1 & 7
        return said, name, answer[3:]

    def read_by_hdlc(self):
        said, name, _ = self.frame(0x93, means="connect")
        self.show.says("meter", said, name + ": connected")
        said, name, aare = self.apdu(aarq(), "AARQ of client 2, with its secret")
        accepted = b"\xa2\x03\x02\x01\x00" in aare
        self.show.says(
            "meter", said, "%s: AARE, %s" % (name, "accepted" if accepted else "refused")
        )
        said, name, answer = self.apdu(GET_ENERGY, "GET 3/1.0.1.8.0.255, attribute 2")
        if answer[:4] != b"\xc4\x01\xc1\x00":
            raise Trouble("The meter does not tell its energy: %s" % answer.hex())
        value = int.from_bytes(answer[5:], "big")
        self.show.says("meter", said, "%s: GET response, %d Wh" % (name, value))
        said, name, _ = self.frame(0x53, means="disconnect")
        self.show.says("meter", said, name + ": disconnected; both are at 300 baud again")
        return value


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
