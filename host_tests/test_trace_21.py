# SPDX-License-Identifier: MIT
"""What --trace shows of an optical port: messages as text, then frames; no passwords."""

import pytest
from firmware.links.trace_21 import OpticalTrace, shown
from optical import ACK, NAK, REQUEST, block, command, with_parity
from test_iec62056_21 import SNRM
from test_links import Port


class Profile:
    binary = False

    def is_binary(self):
        return self.binary


@pytest.fixture
def trace():
    trace = OpticalTrace(Port(), Profile())
    trace.lines = trace._frames.port.said
    return trace


def received(trace, octets):
    trace.received(bytearray(octets), 0, len(octets))


def sent(trace, octets):
    trace.sent(bytearray(octets), 0, len(octets))


def test_messages(trace):
    for octet in with_parity(REQUEST):
        received(trace, bytes([octet]))
    sent(trace, b"/PMT5\\2PICOMETER\r\n")
    received(trace, ACK + b"050\r\n")
    sent(trace, block("1.8.0(2)"))
    received(trace, NAK)
    received(trace, ACK)
    sent(trace, ACK)
    assert trace.lines == [
        "RX: 10:20:18 /?!<CR><LF>",
        "TX: 10:20:18 /PMT5\\2PICOMETER<CR><LF>",
        "RX: 10:20:18 <ACK>050<CR><LF>",
        "TX: 10:20:18 <STX>1.8.0(2)<ETX><09>",
        "RX: 10:20:18 <NAK>",
        "RX: 10:20:18 <ACK>",
    ]


def test_frames_after_mode_e(trace):
    trace.profile.binary = True
    received(trace, SNRM)
    assert trace.lines == ["RX: 10:20:18 " + SNRM.hex(" ").upper()]


@pytest.mark.parametrize("what", ["P1", "P2", "P9", "W5"])
def test_passwords_do_not_show(what):
    assert shown(command(what, "(secret)")) == "<SOH>%s<STX>(**" % what


def test_what_is_no_password_shows():
    assert "(42)" in shown(command("P0", "(42)"))
    assert "C.1.0(x)" in shown(command("W1", "C.1.0(x)"))


def test_what_an_earlier_connection_has_left(trace):
    received(trace, b"/?")
    trace.begin()
    trace.profile.binary = True
    received(trace, SNRM[:5])
    trace.begin()
    received(trace, SNRM)
    assert trace.lines == ["RX: 10:20:18 " + SNRM.hex(" ").upper()]
