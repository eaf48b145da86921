# SPDX-License-Identifier: MIT
"""A meter with an optical port (definitions/optical.toml), and the octets that go over it.

line = Line()
assert line.ask(b"/?!\\r\\n") == b"/PMT5\\\\2PICOMETER\\r\\n"

Time is the test's own: run(ms) lets it pass in steps of ten milliseconds, in which the device is
treated as a link does, baud rate and all: `rates` are those that the octets were said at.
"""

import fakes
import small
from cosem.local_port import LocalPort

from profiles.hdlc import HDLC
from profiles.iec62056_21 import TariffDevice

DEFINITION = small.HERE / "definitions" / "optical.toml"
REQUEST = b"/?!\r\n"
IDENTIFICATION = b"/PMT5\\2PICOMETER\r\n"
SETUP_CLASS = 19
STEP_MS = 10

SOH, STX, ETX, EOT, ACK, NAK = b"\x01", b"\x02", b"\x03", b"\x04", b"\x06", b"\x15"
BREAK = b"\x01B0\x03q"


def bcc(octets):
    x = 0
    for octet in octets:
        x ^= octet
    return bytes([x])


def command(text, data=None, end=ETX):
    body = text.encode() + (b"" if data is None else STX + data.encode()) + end
    return SOH + body + bcc(body)


def block(data):
    """What is said in answer: STX data ETX BCC."""
    body = data.encode() + ETX
    return STX + body + bcc(body)


def with_parity(octets):
    return bytes(x | (bin(x).count("1") & 1) << 7 for x in octets)


class Line:
    """meter: a small.Meter; terms: of OPTICAL, by position, that are to be others."""

    def __init__(self, meter=None, parity=False, terms=(), definition=DEFINITION):
        self.meter = meter or small.Meter(definition, None, storage=fakes.Storage())
        optical = list(small.packed(definition)["OPTICAL"])
        for k, value in dict(terms).items():
            optical[k] = value
        server = self.meter.server
        self.channel = server.channel()
        self.channel.gate = server.guard.gate(optical[0])
        self.hdlc = HDLC(server, self.channel, 128)
        self.data = LocalPort(server, self.channel, optical)
        self.device = TariffDevice(self.hdlc, self.data, parity)
        self.now_ms = 1000
        self.rates = []

    def hear(self, octets):
        """Octets come in, as far as the device takes them."""
        buf = bytearray(octets)
        pos = 0
        while pos < len(buf):
            after = self.device.receive(buf, pos, len(buf), self.now_ms)
            if after == pos:
                break
            pos = after
        return len(buf) - pos

    def turn(self):
        """What a link does once: what is said."""
        said = b""
        device = self.device
        device.tick(self.now_ms)
        for _ in range(400):
            n = device.transmit(self.now_ms)
            if n:
                said += bytes(device.out[device.out_pos : device.out_pos + n])
                self.rates.append(device.baud)
            elif self.meter.server.todo:
                self.meter.server.work()
            else:
                return said
        raise AssertionError("it does not come to an end")

    def run(self, ms):
        """Let time pass; what is said meanwhile."""
        said = b""
        for _ in range(ms // STEP_MS):
            self.now_ms += STEP_MS
            said += self.turn()
        return said

    def ask(self, octets, ms=400):
        assert self.hear(octets) == 0
        return self.run(ms)

    def sign_on(self, option=None):
        """To WAITING, or on with an option select; what is said to that."""
        assert self.ask(REQUEST) == IDENTIFICATION
        return b"" if option is None else self.ask(ACK + option + b"\r\n")

    def program(self, password=None):
        """Into programming mode, with a command that has the password."""
        assert self.sign_on(b"051") == command("P0", "(00000042)")
        if password is not None:
            assert self.ask(command(*password)) == ACK

    def set(self, attribute, encoding):
        """A client has set an attribute of the IEC local port setup; the firmware hands it on."""
        (row,) = self.meter.model.rows(SETUP_CLASS)
        octets = bytes.fromhex(encoding)
        result = self.meter.model.write(row, attribute, octets, 0, len(octets))
        self.device.renew()
        return result
