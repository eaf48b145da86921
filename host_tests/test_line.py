# SPDX-License-Identifier: MIT
"""A line whose rate changes, that is half-duplex, or hears itself: over fakes of a runtime."""

import pytest
from firmware.links import line as line_module
from firmware.links import optical as optical_module
from firmware.links.line import Line
from optical import ACK, IDENTIFICATION, REQUEST, command
from optical import Line as Device
from test_iec62056_21 import OPERAND, REGISTER, SNRM
from test_links import Poller, Port
from test_links import Line as Wire

IDENTIFICATION_MS = len(IDENTIFICATION) * 10000 // 300


class Runtime:
    """Stands in for firmware/ports/lines."""

    def __init__(self):
        self.rates = []
        self.sending = False
        self.lost = 0
        self.switched = []

    def set_rate(self, stream, baud):
        self.rates.append(baud)

    def is_sending(self, stream):
        return self.sending

    def overruns(self, stream):
        lost, self.lost = self.lost, 0
        return lost

    def driver(self, number):
        runtime = self

        class Pin:
            def set(self, on):
                runtime.switched.append(on)

        return Pin()


class Cable:
    """A link, its time, and what goes over the wire."""

    def __init__(self, monkeypatch, *options, rate=300):
        self.runtime = Runtime()
        monkeypatch.setattr(line_module, "lines", self.runtime)
        self.wire = Wire()
        self.device = Device().device
        want = ["optical-uart", 1, 0, *options]
        self.link = Line(Port(), want, "UART1", self.wire, self.device, None, rate)
        self.link.open(Poller())
        self.now_ms = 5000

    def turn(self, octets=b""):
        if octets:
            self.wire.incoming.append(octets)
            self.link.ready = True
        self.link.poll(self.now_ms)

    def run(self, ms):
        """Octets that are written meanwhile."""
        before = len(self.wire.written)
        for _ in range(ms // 10):
            self.now_ms += 10
            self.link.ready = True
            self.turn()
        return self.wire.written[before:]


@pytest.fixture
def cable(monkeypatch):
    return Cable(monkeypatch)


def test_an_answer_and_the_one_after_it(cable):
    cable.turn(REQUEST)
    assert cable.run(250) == IDENTIFICATION
    assert cable.link.pace.leaving
    assert cable.run(IDENTIFICATION_MS) == b""
    assert not cable.link.pace.leaving


def test_the_rate_changes_when_all_has_left(cable):
    """ACK 2 Z 2 goes out at 300 baud; the rate is another after its last octet."""
    cable.turn(REQUEST)
    cable.run(250 + IDENTIFICATION_MS)
    cable.turn(ACK + b"252\r\n")
    assert cable.run(210) == ACK + b"252\r\n"
    assert cable.runtime.rates == []
    cable.run(180)
    assert cable.runtime.rates == []
    cable.run(30)
    assert cable.runtime.rates == [9600]
    n = len(cable.wire.written)
    cable.turn(SNRM)
    assert cable.wire.written[n:][5] == 0x73


def test_the_runtime_knows_better_when_all_has_left(cable):
    cable.turn(REQUEST)
    cable.run(250)
    cable.runtime.sending = True
    cable.run(IDENTIFICATION_MS + 500)
    assert cable.link.pace.leaving
    cable.runtime.sending = False
    cable.run(10)
    assert not cable.link.pace.leaving


def test_the_rate_changes_before_an_answer(cable):
    """Mode C: the option select was at 300 baud, what follows is at 9600."""
    cable.turn(REQUEST)
    cable.run(250 + IDENTIFICATION_MS)
    assert cable.runtime.rates == []
    cable.turn(ACK + b"051\r\n")
    assert cable.runtime.rates == [9600]
    assert cable.run(250) == OPERAND


def test_a_long_answer_in_parts(cable):
    """A part is handed over when the one before has left: 300 baud take their time."""
    cable.turn(REQUEST)
    cable.run(250 + IDENTIFICATION_MS)
    cable.turn(ACK + b"000\r\n")
    first = cable.run(250)
    assert first == b"\x02C.1.0(00000042)\r\n"
    assert cable.run(len(first) * 10000 // 300 - 60) == b""
    assert cable.run(100) == b"0-0:1.0.0(000101000000)\r\n"


def test_what_comes_while_something_leaves_waits(cable):
    cable.turn(REQUEST)
    cable.run(250)
    cable.turn(ACK + b"051\r\n")
    cable.run(IDENTIFICATION_MS - 100)
    assert cable.device.baud == 300
    cable.run(150)
    assert cable.device.baud == 9600


def test_how_long_the_loop_may_sleep(cable):
    cable.link.ready = False
    cable.run(6000)
    cable.link.ready = False
    assert cable.link.wait_ms() == 1000
    cable.turn(REQUEST)
    cable.link.ready = False
    assert cable.link.wait_ms() == 10
    cable.run(250)
    cable.link.ready = False
    assert cable.link.wait_ms() == 5


def test_a_line_without_a_rate(monkeypatch):
    """A pseudo-terminal: nothing takes time."""
    cable = Cable(monkeypatch, rate=0)
    cable.turn(REQUEST)
    assert cable.run(200) == IDENTIFICATION
    cable.turn(ACK + b"051\r\n")
    assert cable.run(210) == OPERAND
    assert cable.runtime.rates == []


def test_a_rate_that_the_line_has_not(cable, monkeypatch):
    def refuse(stream, baud):
        raise OSError(22)

    monkeypatch.setattr(cable.runtime, "set_rate", refuse)
    cable.turn(REQUEST)
    cable.run(250 + IDENTIFICATION_MS)
    cable.turn(ACK + b"050\r\n")
    cable.run(5000)
    assert cable.device.baud == 300, "the session has come to its end"


# --- Echo -----------------------------------------------------------------------------------


@pytest.fixture
def mirror(monkeypatch):
    return Cable(monkeypatch, "echo")


def test_what_was_sent_comes_back(mirror):
    mirror.turn(REQUEST)
    said = mirror.run(250)
    assert said == IDENTIFICATION
    for octet in said:
        mirror.turn(bytes([octet]))
        mirror.now_ms += 33
    assert mirror.link.pace.echo == 0
    mirror.turn(ACK + b"051\r\n")
    assert mirror.run(300) == OPERAND


def test_an_echo_in_one_piece_with_the_answer(mirror):
    mirror.turn(REQUEST)
    said = mirror.run(250)
    mirror.run(IDENTIFICATION_MS)
    mirror.turn(said + ACK + b"051\r\n")
    assert mirror.run(300) == OPERAND


def test_an_echo_that_does_not_come(mirror):
    """A head that does not reflect: what comes later is the client."""
    mirror.turn(REQUEST)
    mirror.run(250)
    mirror.run(IDENTIFICATION_MS + 150)
    assert mirror.link.pace.echo == 0
    mirror.turn(ACK + b"051\r\n")
    assert mirror.run(300) == OPERAND


def test_without_the_option_an_echo_is_heard(cable):
    cable.turn(REQUEST)
    said = cable.run(250)
    cable.turn(said)
    cable.run(IDENTIFICATION_MS + 2000)
    assert cable.wire.written.count(b"/PMT5") == 1
    assert b"\x02C.1.0" in cable.wire.written, "no option select: the readout"


# --- RS-485 ---------------------------------------------------------------------------------


def test_the_driver_is_on_while_something_leaves(monkeypatch):
    cable = Cable(monkeypatch, "rs-485")
    cable.turn(REQUEST)
    cable.run(190)
    assert cable.runtime.switched == []
    cable.run(20)
    assert cable.runtime.switched == [True]
    cable.run(IDENTIFICATION_MS - 30)
    assert cable.runtime.switched == [True]
    cable.run(50)
    assert cable.runtime.switched == [True, False]


# --- Overruns -------------------------------------------------------------------------------


def test_what_is_lost_is_counted(cable):
    cable.turn(REQUEST)
    cable.runtime.lost = 2
    cable.run(20)
    cable.runtime.lost = 1
    cable.run(20)
    assert cable.link.overruns == 3


def test_a_command_over_the_line(cable):
    cable.turn(REQUEST)
    cable.run(250 + IDENTIFICATION_MS)
    cable.turn(ACK + b"051\r\n")
    cable.run(300)
    cable.turn(command("R1", "1.8.0()"))
    assert cable.run(300) == REGISTER


def test_hdlc_on_a_two_wire_bus(monkeypatch):
    """As make_links() makes it of ("hdlc-uart", 1, 9600, "rs-485")."""
    runtime = Runtime()
    runtime.open_uart = lambda number, baud: wire
    monkeypatch.setattr(line_module, "lines", runtime)
    monkeypatch.setattr(optical_module, "lines", runtime)
    wire = Wire()
    hdlc = Device().hdlc
    want = ["hdlc-uart", 1, 9600, "rs-485"]
    link = optical_module.half_duplex(want, "UART1 9600", hdlc, Port(), None)
    assert link.profiles() == [hdlc] and (link.name, link.address) == ("hdlc-uart", "UART1 9600")
    link.open(Poller())
    wire.incoming.append(SNRM)
    link.poll(5000)
    assert wire.written[5] == 0x73 and runtime.switched == [True]
    link.poll(5000 + len(wire.written) * 10000 // 9600)
    assert runtime.switched == [True]
    link.poll(5020)
    assert runtime.switched == [True, False] and runtime.rates == []
    link.ready = False
    assert link.wait_ms() == 10


def test_an_optical_port_needs_its_part_of_the_definition():
    with pytest.raises(ValueError, match="no .optical."):
        optical_module.optical(["optical-pty", "x", 0], object(), None, None, False)
