# SPDX-License-Identifier: MIT
"""The client's side of IEC 62056-21 in octets: sign-on, option select, messages with a BCC; and a
line that signs on when it is opened, for HDLC of mode E."""

import re

from .case import expect, fail

SOH, STX, ETX, ACK, NAK = b"\x01", b"\x02", b"\x03", b"\x06", b"\x15"
RATES = {"0": 300, "1": 600, "2": 1200, "3": 2400, "4": 4800, "5": 9600, "6": 19200}
_START_RATE = 300
_LEFT_S = 2
_MOST = 1 << 18
_REACTION_S = 1.7  # at the latest after 1.5 s something is said
_IDENTIFICATION = re.compile(rb"/([A-Z]{2}[A-Za-z])([0-6A-F@])((?:\\.)*)([ -.0-~]{0,16})\r\n")
BREAK = SOH + b"B0" + ETX + b"q"


def bcc(octets):
    x = 0
    for octet in octets:
        x ^= octet
    return bytes((x,))


def command(text, data=None):
    """SOH C D STX data ETX BCC."""
    body = text.encode() + (b"" if data is None else STX + data.encode()) + ETX
    return SOH + body + bcc(body)


class Port:
    """tap: a player's Tap."""

    def __init__(self, tap, address=""):
        self.tap = tap
        self.address = address
        self.mode = self.identification = ""
        self.quiet_s = max(tap.quiet_s, _REACTION_S)

    def open(self):
        """What is left of a session before is waited for."""
        self.tap.open()
        self.tap.settings(_START_RATE, True)
        left, n = self.tap.read(self.quiet_s), 0
        while left and n < _MOST:
            n += len(left)
            left = self.tap.read(_LEFT_S)

    def hear(self, until, seconds=None):
        """Octets (of seven bits) up to where a pattern ends, or until nothing more comes."""
        got = b""
        while not re.search(until, got, re.S):
            part = self.tap.read(self.tap.patience_s if seconds is None else seconds)
            if not part:
                break
            got += bytes(octet & 0x7F for octet in part)
            if len(got) > _MOST:
                fail("What comes does not end.")
        return got

    def request(self, address=None, seconds=None):
        """A sign-on; what comes."""
        self.tap.settings(_START_RATE, True)
        address = self.address if address is None else address
        self.tap.write(b"/?" + address.encode() + b"!\r\n")
        return self.hear(rb"\r\n", seconds)

    def sign_on(self):
        """The identification message, taken apart. A session that has not ended is left."""
        for attempt in range(3):
            got = self.request(seconds=2)
            m = _IDENTIFICATION.fullmatch(got)
            if m:
                self.mode, self.identification = m[2].decode(), m[4].decode()
                self.binary = b"\\2" in m[3]
                return m
            if got:
                fail("The identification message is %r." % got[:40])
            self.tap.write(BREAK)
            self.tap.wait(2 + 10 * attempt)
        return fail("The sign-on is not answered.")

    def option(self, v, y):
        """ACK V Z Y, at the rate that the meter proposes."""
        self.tap.write(ACK + v.encode() + self.mode.encode() + y.encode() + b"\r\n")

    def agreed(self, parity=True):
        self.tap.settings(RATES.get(self.mode, _START_RATE), parity)

    def data_message(self, got):
        """The data between STX and ETX of a message whose BCC is right."""
        m = re.fullmatch(rb"\x02(.*)\x03(.)", got, re.S)
        expect(m, "It is no STX, data, ETX and BCC: %r." % got[:40])
        expect(bcc(got[1:-1]) == m[2], "The BCC is %02X; expected %02X." % (
            m[2][0], bcc(got[1:-1])[0]))  # fmt: skip
        return m[1]

    def message(self, seconds=None):
        return self.hear(rb"[\x02\x01].*[\x03\x04].|^[\x06\x15]", seconds)


class SignedOn:
    """A Tap whose open() goes through the sign-on to HDLC."""

    def __init__(self, tap, target):
        self._tap = tap
        self._address = target.optical.get("device_address", "")

    def __getattr__(self, name):
        return getattr(self._tap, name)

    def open(self):
        port = Port(self._tap, self._address)
        port.open()
        port.sign_on()
        hand_over(port)


def hand_over(port):
    port.option("2", "2")
    got = port.hear(rb"\r\n")
    expect(
        got == ACK + b"2" + port.mode.encode() + b"2\r\n",
        "ACK 2 %s 2 is answered with %r; expected the same." % (port.mode, got),
    )
    port.agreed(parity=False)
