# SPDX-License-Identifier: MIT
"""firmware/links/plc.py: the whole meter, put together as it starts, behind the driver of
AMIS-49587 and a double of that modem, octet by octet; with TCP, UDP, HDLC and an optical port
beside it.

The meter's time is virtual; sockets are those of the loopback address.
"""

import os
import socket
import tty
import types

import pytest
import small
from doubles.amis49587 import Double
from test_iec62056_21 import ACK, REQUEST
from test_iec62056_21 import frame as hdlc_frame
from test_sfsk import AARQ, NAME, RLRQ

from firmware import app, store
from firmware.links import make
from firmware.links.push import Paths
from firmware.links.settings import apply
from firmware.meter import fittings
from firmware.ports import cpython

START = 13675680
OWN, INITIATOR, NEW, ALL_PHYSICAL = 5, 0xC00, 0xFFE, 0xFFF
LINKS = [
    ["wrapper-tcp", "127.0.0.1", 0],
    ["wrapper-udp", "127.0.0.1", 0],
    ["hdlc-tcp", "127.0.0.1", 0],
    ["plc-sfsk", 1, 38400],
]


class Poller:
    """The real one; the modem's UART is no socket."""

    def __init__(self):
        self.real = cpython.Poller()

    def add(self, stream, owner):
        if hasattr(stream, "fileno"):
            self.real.add(stream, owner)

    def remove(self, stream):
        if hasattr(stream, "fileno"):
            self.real.remove(stream)

    def want_write(self, stream, yes):
        self.real.want_write(stream, yes)

    def wait(self, timeout_ms):
        self.real.wait(0)


class Port:
    Poller = Poller

    def __init__(self, double):
        self.double = double
        self.now_ms = 0x3FFFF000  # ticks wrap soon
        self.said = []

    def __getattr__(self, name):
        return getattr(cpython, name)

    def ticks_ms(self):
        return self.now_ms & 0x3FFFFFFF

    def out(self, text):
        self.said.append(text)

    def uart(self, number, baud):
        assert number == 1
        return self.double.uart

    def readinto(self, stream, buf):
        if stream is self.double.uart:
            return stream.readinto(buf) or 0
        return cpython.readinto(stream, buf)

    def write(self, stream, buf, pos, n):
        if stream is self.double.uart:
            return stream.write(buf, pos, n) or 0
        return cpython.write(stream, buf, pos, n)

    def close(self, stream):
        if stream is not self.double.uart:
            cpython.close(stream)


class Pins:
    def __init__(self, double):
        self.pins = {"PLC_T_REQ": double.t_req, "PLC_RESET": double.reset}

    def output(self, name):
        return types.SimpleNamespace(set=self.pins[name])


class Running:
    def __init__(self, double, links=LINKS, definition="sfsk.toml"):
        self.double = double
        self.port = Port(self.double)
        definition = types.SimpleNamespace(**small.packed(small.HERE / "definitions" / definition))
        self.meter = app.build(
            definition, store.RAMStorage(), self.port, 1, START, 0, 1, n_associations=8
        )
        self.links = make.make_links(links, self.meter, self.port)
        self.poller = self.port.Poller()
        for link in self.links:
            link.open(self.poller)
        self.meter.connect(self.port, self.poller, self.links)
        self.plc = self.links[-1]
        self.title = bytes(self.meter.model.system_title[-6:])

    def run(self, ms):
        for _ in range(0, ms, 5):
            self.turn()

    def turn(self):
        """As loop() of main.py, and a modem that lives."""
        if self.meter.setup_changed:
            self.meter.setup_changed = False
            apply(self.meter.model, self.links)
        self.port.now_ms += 5
        self.poller.wait(0)
        self.double.turn(self.port.now_ms)
        for link in self.links:
            link.poll(self.port.ticks_ms())
        if self.meter.server.todo:
            self.meter.work(self.links, self.port.ticks_ms())
        self.meter.tick(self.port.ticks_ms())
        assert self.meter.server.fault is None

    def close(self):
        for link in self.links:
            link.close()
        self.meter.close()

    # What an initiator would do, at the modem's line.

    def sent(self):
        """M_sdus that the modem was given, with where they go."""
        found = [
            (int.from_bytes(f[1:4], "big") >> 12, int.from_bytes(f[1:4], "big") & 0xFFF, f[5:])
            for f in self.double.sent
        ]
        self.double.sent.clear()
        return found

    def hear(self, data, destination=ALL_PHYSICAL, source=INITIATOR):
        self.double.hear(source, destination, data)
        self.run(1500)

    def register(self):
        self.double.synchronize(INITIATOR, NEW)
        self.run(500)
        self.hear(b"\x90\x00\x01\x1d\x64\x00\x01\x00\x00")
        ((source, destination, report),) = self.sent()
        assert (source, destination) == (NEW, ALL_PHYSICAL)
        assert report == b"\x90\x00\xfd\x1e\x01" + self.title + b"\x00"
        self.hear(b"\x90\x00\x01\x1cCONC01\x01" + self.title + b"\x00\x05")

    def ask(self, apdu, client=1):
        self.hear(bytes((0x90, 1, client)) + apdu, OWN)
        ((source, destination, answer),) = self.sent()
        assert (source, destination) == (OWN, INITIATOR)
        assert answer[:3] == bytes((0x90, client, 1))
        return answer[3:]


@pytest.fixture
def running(monkeypatch):
    made = []

    double = Double()
    monkeypatch.setattr(fittings, "pins_of", lambda: Pins(double))
    made = Running(double)
    yield made
    made.close()


def test_from_reset_to_release(running):
    running.run(2000)
    assert running.double.config is not None, "configured"
    running.register()
    station = running.plc.profile
    assert station.ciase.address == OWN
    assert running.double.data_base[1] == bytes.fromhex("05 00 00 0C"), "own, and its initiator"
    assert running.ask(AARQ)[:1] == b"\x61"
    assert running.ask(NAME)[4:] == b"\x09\x10PMT1000000000001"
    assert running.ask(RLRQ)[:1] == b"\x63"


def test_all_links_at_once(running):
    """TCP, UDP, HDLC and the power line, each with an association of its own, in turns."""
    running.run(2000)
    running.register()
    assert running.ask(AARQ)[:1] == b"\x61"

    def wrapped(apdu):
        return bytes.fromhex("0001 0010 0001") + len(apdu).to_bytes(2, "big") + apdu

    public = small.aarq(None, "FEFF1F", 400)
    tcp = socket.create_connection(("127.0.0.1", running.links[0].number))
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.connect(("127.0.0.1", running.links[1].number))
    hdlc = socket.create_connection(("127.0.0.1", running.links[2].number))
    hdlc.send(bytes.fromhex("7EA0070321930F017E"))

    def heard(s):
        s.setblocking(False)
        for _ in range(400):
            running.turn()
            try:
                return s.recv(1000)
            except BlockingIOError:
                pass
        raise AssertionError("no answer")

    for s in (tcp, udp):
        s.send(wrapped(public))
        assert heard(s)[8:9] == b"\x61"
    assert heard(hdlc)[5] == 0x73, "UA"
    for _ in range(3):
        for s in (tcp, udp):
            s.send(wrapped(NAME))
            assert heard(s)[-16:] == b"PMT1000000000001"
        assert running.ask(NAME)[-16:] == b"PMT1000000000001"
    for s in (tcp, udp, hdlc):
        s.close()


def test_the_optical_port_tcp_udp_and_the_power_line_at_once(monkeypatch):
    """The reference meter: each has an association of its own, and all read in turns. The optical
    one signs on, goes over to HDLC, and reads a register again when it has disconnected."""
    double = Double()
    monkeypatch.setattr(fittings, "pins_of", lambda: Pins(double))
    client, device = os.openpty()
    tty.setraw(device)
    for end in (client, device):
        os.set_blocking(end, False)
    links = LINKS[:2] + [["optical-pty", "a pseudo-terminal", device], LINKS[-1]]
    running = Running(double, links, "../../firmware/definitions/optical.toml")
    sockets = []

    def heard(read, n=1):
        octets = b""
        for _ in range(2000):
            running.turn()
            try:
                octets += read(1000)
            except BlockingIOError:
                if len(octets) >= n:
                    return octets
        raise AssertionError("no answer but %r" % octets)

    def optical(octets, n=1):
        os.write(client, octets)
        return heard(lambda most: os.read(client, most), n)

    def over(s, apdu):
        s.send(bytes.fromhex("0001 0002 0001") + len(apdu).to_bytes(2, "big") + apdu)
        return heard(s.recv)[8:]

    def over_hdlc(control, apdu):
        return optical(hdlc_frame(control, b"\xe6\xe6\x00" + apdu, client=2), 12)[11:-3]

    try:
        running.run(2000)
        running.register()
        for kind, link in ((socket.SOCK_STREAM, 0), (socket.SOCK_DGRAM, 1)):
            s = socket.socket(socket.AF_INET, kind)
            s.connect(("127.0.0.1", running.links[link].number))
            s.setblocking(False)
            sockets.append(s)
        aarq = small.aarq(b"demo-reading", "FEFF1F", 239)
        name = bytes(running.meter.model.devices[0][3])
        assert running.ask(aarq, 2)[:1] == b"\x61"
        assert optical(REQUEST, 8)[:6] == b"/PMT5\\"
        assert optical(ACK + b"252\r\n", 6) == ACK + b"252\r\n"
        for s in sockets:
            assert over(s, aarq)[:1] == b"\x61"
        running.run(1000)
        assert optical(hdlc_frame(0x93, client=2), 9)[5] == 0x73, "UA"
        assert over_hdlc(0x10, aarq)[:1] == b"\x61"
        for k in range(3):
            assert running.ask(NAME, 2).endswith(name)
            for s in sockets:
                assert over(s, NAME).endswith(name)
            assert over_hdlc((0x32, 0x54, 0x76)[k], NAME).endswith(name)
        assert optical(hdlc_frame(0x53, client=2), 9)[5] == 0x73
        running.run(1000)
        assert optical(REQUEST, 8)[:6] == b"/PMT5\\"
        assert running.ask(NAME, 2).endswith(name)
    finally:
        for s in sockets:
            s.close()
        running.close()
        os.close(client)


def test_a_push_goes_to_the_initiator(running):
    """Push setup 0.1.25.9.0: transport_service 5 is the power line here."""
    running.run(2000)
    running.register()
    assert running.ask(AARQ)[:1] == b"\x61"
    invoke = bytes.fromhex("C301C100280001190900FF01010F00")
    running.hear(b"\x90\x01\x01" + invoke, OWN)
    running.run(3000)
    answer, (source, destination, note) = running.sent()
    assert answer[2] == bytes.fromhex("900101C701C10000")
    assert (source, destination) == (OWN, INITIATOR)
    assert note[:4] == b"\x90\x01\x01\x0f" and note.endswith(b"\x06\x00\x01\xe2\x40")


def test_a_client_sets_what_the_modem_has(running):
    running.run(2000)
    running.register()
    running.ask(AARQ)
    setting = bytes.fromhex("C101C100340000 1A0200FF0500 1200 4D".replace(" ", ""))
    assert running.ask(setting) == bytes.fromhex("C501C100")
    running.run(500)
    assert running.double.data_base[3] == b"\x4d\x00"


def test_a_locked_port_hears_nothing(running):
    running.run(2000)
    running.register()
    running.plc.gate.status = 2
    running.hear(b"\x90\x01\x01" + AARQ, OWN)
    assert running.sent() == []
    assert running.plc.profile.n_foreign == 1


def test_no_pins_no_modem(monkeypatch):
    monkeypatch.setattr(fittings, "pins_of", lambda: None)
    with pytest.raises(ValueError, match="pins"):
        Running(Double(), [["plc-sfsk", 1, 38400]])


def test_an_alarm_is_reported_and_cleared(running):
    """A bit of the alarm descriptor: a registered meter reports it, and ClearAlarm clears it."""
    running.run(2000)
    running.register()
    model = running.meter.model
    row = model.find_any(bytes.fromhex("0001 0000616214FF"), 0)
    assert model.write(row, 2, b"\x06\x00\x02\x01\x00", 0, 5) == 0
    running.run(500)
    assert running.double.data_base[0x0F][-1] & 0x80, "the pause of physical frames says so"
    discover = b"\x90\x00\x01\x1d\x64\x00\x01\x00\x00"
    for bit in (8, 17):
        running.hear(discover)
        ((source, _, report),) = running.sent()
        assert source == OWN and report[-2:] == bytes((1, bit + 1))
        edits = model.edits
        running.hear(b"\x90\x00\x01\x39\x00" + bytes((bit + 1,)))
        assert model.edits == edits + 1
    running.hear(discover)
    assert running.sent() == [] and running.plc.profile.ciase.alarm == 0
    assert bytes(model.image[model.slot(row, 2) :][:5]) == b"\x06\x00\x00\x00\x00"
    assert not running.double.data_base[0x0F][-1] & 0x80


def test_an_event_notification_goes_to_the_client_that_is_there(running):
    """firmware/links/push.py, tell(): what is sent to an association goes where it was opened."""
    running.run(2000)
    running.register()
    running.ask(AARQ)
    (a,) = (a for a in running.meter.server.associations if a.channel is not None)
    paths = Paths(running.port, running.poller, running.links)
    buf = bytearray(64)
    buf[10:14] = b"\xc2\x00\x00\x01"
    assert paths.tell(a, buf, 10, 4) == 1
    running.run(1500)
    assert running.sent() == [(OWN, INITIATOR, b"\x90\x01\x01\xc2\x00\x00\x01")]
    assert paths.tell(a, bytearray(400), 10, 300) == 3, "never: longer than a frame"
    running.plc.profile.ciase.event(6)
    assert paths.tell(a, buf, 10, 4) == 2, "broken: its association is gone"
