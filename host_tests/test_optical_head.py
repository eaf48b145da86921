# SPDX-License-Identifier: MIT
"""The running meter on a serial port of the PC, with an optical head between it and its client: a
line with two ends that must have the same baud rate, or what arrives is rubbish, that has eight
bits in which the meter makes a parity, and that reflects what the meter sends.
"""

import os
import pty
import select
import termios
import threading
import time
import tty

import pytest
from optical import ACK, BREAK, NAK, REQUEST, block, command, with_parity
from running import Running
from small import HERE
from test_iec62056_21 import DISC, SNRM

DEFINITION = str(HERE / "definitions" / "optical.toml")
IDENTIFICATION = b"/PMT5\\2PICOMETER\r\n"
OPERAND = command("P0", "(00000042)")
B300, B9600 = termios.B300, termios.B9600


class Head:
    """meter: path of the port that the meter opens. The client is this test: say(), hear()."""

    def __init__(self, echo=False):
        self.master, self.slave = pty.openpty()
        tty.setraw(self.slave)
        self.meter = os.ttyname(self.slave)
        self.echo = echo
        self.rate = B300  # of the client
        self.rubbish = 0  # octets that crossed at different rates
        self.heard = b""
        self._lock = threading.Lock()
        self._ended = False
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def close(self):
        self._ended = True
        self._thread.join(5)
        os.close(self.master)
        os.close(self.slave)

    def meter_rate(self):
        return termios.tcgetattr(self.master)[5]

    def _crossing(self, data):
        if self.meter_rate() == self.rate:
            return data
        self.rubbish += len(data)
        return bytes(x ^ 0x55 for x in data)

    def _serve(self):
        while not self._ended:
            if not select.select([self.master], [], [], 0.05)[0]:
                continue
            data = os.read(self.master, 4096)
            if self.echo:
                os.write(self.master, data)
            with self._lock:
                self.heard += self._crossing(data)

    def say(self, octets):
        os.write(self.master, self._crossing(octets))

    def hear(self, n, patience_s=30):
        """The next n octets."""
        limit = time.monotonic() + patience_s
        while len(self.heard) < n and time.monotonic() < limit:
            time.sleep(0.01)
        with self._lock:
            said, self.heard = self.heard[:n], self.heard[n:]
        return said

    def ask(self, octets, answer):
        """Say something in characters of seven bits; what comes back must be this."""
        self.say(with_parity(octets))
        assert self.hear(len(answer)) == with_parity(answer)

    def has_rate(self, rate, patience_s=10):
        """Does the meter's port come to have this rate? The client's is the same from now on."""
        limit = time.monotonic() + patience_s
        while self.meter_rate() != rate and time.monotonic() < limit:
            time.sleep(0.01)
        self.rate = rate
        return self.meter_rate() == rate


@pytest.fixture(params=[False, True], ids=["", "echo"])
def head(request):
    head = Head(request.param)
    options = ["--echo"] if request.param else []
    with Running("--definition", DEFINITION, "--optical-tty", head.meter, *options) as meter:
        yield head
        assert "fault" not in meter.errors
    head.close()


def test_a_session_and_another_one(head):
    """Programming mode at 9600 baud, HDLC, and each time back to 300."""
    assert head.meter_rate() == B300
    head.ask(REQUEST, IDENTIFICATION)
    head.say(with_parity(ACK + b"051\r\n"))
    assert head.has_rate(B9600)
    assert head.hear(len(OPERAND)) == with_parity(OPERAND)
    head.ask(command("R1", "1.8.0()"), block("1.8.0(12345.678*kWh)"))
    head.ask(NAK, block("1.8.0(12345.678*kWh)"))
    head.say(with_parity(BREAK))
    assert head.has_rate(B300)
    head.ask(REQUEST, IDENTIFICATION)
    # ACK 2 Z 2 comes back at 300 baud, to its last octet; then the rate changes.
    head.ask(ACK + b"252\r\n", ACK + b"252\r\n")
    assert head.has_rate(B9600)
    head.say(SNRM)
    ua = head.hear(3)
    ua += head.hear(ua[2] - 1)
    assert ua[5] == 0x73
    head.say(DISC)
    assert head.hear(9)[5] == 0x73
    assert head.has_rate(B300)
    head.ask(REQUEST, IDENTIFICATION)
    assert head.rubbish == 0 and head.heard == b""
