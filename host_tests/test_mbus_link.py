# SPDX-License-Identifier: MIT
"""firmware/links/mbus.py over a fake of a port: which line there is, its speed, and what becomes
of what the clients want when there is none. Running, over TCP and a terminal:
test_mbus_running.py."""

import types

import pytest
from doubles.water_meter import WaterMeter
from fakes import enum
from on_mbus import DEFINITION, DIAGNOSTIC, PORT, VOLUME, WATER, OnBus
from tables import definition, source
from test_links import Line, Poller, Port

from firmware.links import mbus, settings
from firmware.links.mbus import MBusPort
from firmware.ports.lines import cpython

CAPTURE = 3
HARDWARE_FAULT, TEMPORARY_FAILURE = 1, 2


class Lines(Port):
    """Lines with a slave at their end; opened: how, in order."""

    def __init__(self, slave=None):
        super().__init__()
        self.slave = slave
        self.opened = []
        self.refuses = False

    def _open(self, *how):
        if self.refuses:
            raise OSError(111)
        self.opened.append(how)
        return Line()

    def connect(self, host, number):
        return self._open("tcp", host, number)

    def open_fd(self, fd):
        return self._open("fd", fd)

    def write(self, line, buf, pos, n):
        n = super().write(line, buf, pos, n)
        if self.slave is not None and n > 0:
            line.incoming += self.slave.hear(bytes(buf[pos : pos + n]))
        return n


class Linked:
    def __init__(self, want, slave=None, address=5):
        # What a board's lines can do, this one's are told.
        self.rates = []
        mbus.lines = types.SimpleNamespace(
            open_uart=lambda *how: self.port._open("uart", *how),
            set_rate=lambda line, bauds: self.rates.append(bauds),
        )
        cpython.open_tty = lambda *how: self.port._open("tty", *how)
        self.on = OnBus(line=False)
        self.model = self.on.model
        self.model.image[self.model.slot(self.on.row(*WATER), 5) + 1] = address
        self.port = Lines(slave)
        meter = types.SimpleNamespace(
            model=self.model, server=self.on.server, terminals={"/dev/fixed": 7}
        )
        self.link = MBusPort(self.port, want, meter)
        self.poller = Poller()
        self.link.open(self.poller)
        self.now_ms = 0

    def run(self):
        """Until nothing is to be done any more; milliseconds that it took."""
        begin = self.now_ms
        while self.link.bus.is_busy():
            self.link.ready = bool(self.link.stream and self.link.stream.incoming)
            self.link.poll(self.now_ms)
            assert self.link.wait_ms() <= 10 or not self.link.bus.is_busy()
            self.now_ms += 10
        return self.now_ms - begin

    def capture(self):
        task = self.link.bus.begin(self.on.row(*WATER), CAPTURE, b"")
        self.run()
        return task.result


@pytest.fixture(autouse=True)
def lines():
    """Linked puts others in their place."""
    real = mbus.lines, cpython.open_tty
    yield
    mbus.lines, cpython.open_tty = real


@pytest.mark.parametrize(
    "want, first, opened",
    [
        (("tcp", "192.0.2.1", 10001), [], [("tcp", "192.0.2.1", 10001)]),
        (("tty", "/dev/bus", 300), *[[("tty", "/dev/bus", 2400, True)]] * 2),
        (("tty", "/dev/fixed", 2400), [("fd", 7)], [("fd", 7)]),
        (("uart", 1, 300), [("uart", 1, 2400, True)], [("uart", 1, 2400, True)]),
    ],
)
def test_the_line(want, first, opened):
    """A converter on TCP is called when there is something to say, another line is there."""
    linked = Linked(want, WaterMeter(5))
    assert linked.port.opened == first
    assert linked.capture() == 0
    assert linked.on.get(VOLUME) == 1234567
    assert linked.capture() == 0
    assert linked.port.opened == opened
    assert linked.link.address == "%s %s %d" % want
    linked.link.close()
    assert not linked.poller.owners


def test_another_speed():
    """comm_speed: a UART is opened anew with it; patience goes with it everywhere."""
    linked = Linked(("uart", 1, 2400))
    slow = linked.capture()
    assert slow == TEMPORARY_FAILURE
    times = []
    for code, bauds in ((0, 300), (9, 115200)):
        assert linked.on.set(PORT, 2, enum(code)) == 0
        settings.apply(linked.model, [linked.link])
        settings.apply(linked.model, [linked.link])
        assert linked.port.opened[-1] == ("uart", 1, bauds, True)
        linked.link.bus.begin(linked.on.row(*WATER), CAPTURE, b"")
        times.append(linked.run())
    assert len(linked.port.opened) == 3
    assert times[0] > 3 * 1300 > 3 * 300 > times[1] > 3 * 200


def test_another_speed_of_a_serial_port():
    """Its rate is set, from the start."""
    linked = Linked(("tty", "/dev/bus", 9600))
    assert linked.on.set(PORT, 2, enum(5)) == 0
    settings.apply(linked.model, [linked.link])
    assert linked.rates == [9600] and linked.port.opened == [("tty", "/dev/bus", 2400, True)]


def test_no_converter():
    linked = Linked(("tcp", "192.0.2.1", 10001), WaterMeter(5))
    linked.port.refuses = True
    assert linked.capture() == HARDWARE_FAULT
    # What nobody waits for is not kept for later: it comes again with its time.
    row = linked.on.row(*WATER)
    assert linked.model.act(row, CAPTURE, b"\x0f\0", 0, 2) == 0
    assert linked.link.bus.is_busy()
    assert linked.run() <= 20
    assert linked.model.handler("mbus_client").wanted == [0, 0]
    linked.port.refuses = False
    assert linked.capture() == 0


def test_the_converter_goes_meanwhile():
    linked = Linked(("tcp", "192.0.2.1", 10001))
    task = linked.link.bus.begin(linked.on.row(*WATER), CAPTURE, b"")
    linked.link.poll(0)
    linked.link.stream.incoming.append(None)
    linked.link.ready = True
    linked.link.poll(10)
    assert linked.link.stream is None
    linked.run()
    assert task.result == TEMPORARY_FAILURE
    linked.port.slave = WaterMeter(5)
    assert linked.capture() == 0


def test_frames_are_counted():
    slave = WaterMeter(5)
    linked = Linked(("uart", 1, 2400), slave)
    assert linked.capture() == 0
    counted = [linked.on.get(DIAGNOSTIC, k) for k in (6, 7, 8)]
    assert counted == [3, 3, 0]  # SND_NKE, REQ_UD2, REQ_UD1
    assert linked.on.get(DIAGNOSTIC, 4) == 1
    slave.fault, slave.faults_left = "noise", 1
    assert linked.capture() == 0
    assert [linked.on.get(DIAGNOSTIC, k) for k in (6, 7, 8)] == [7, 6, 1]
    slave.fault, slave.faults_left = "silent", -1
    assert linked.capture() == TEMPORARY_FAILURE
    assert [linked.on.get(DIAGNOSTIC, k) for k in (6, 7, 8)] == [10, 6, 1]
    assert linked.on.get(DIAGNOSTIC, 4) == 2


def test_a_fault_of_ours_ends_the_request_and_is_told():
    linked = Linked(("uart", 1, 2400), WaterMeter(5))
    linked.link.bus._capture = None
    linked.link.bus._steps = lambda row, method, octets: iter_that_raises()
    assert linked.capture() == 250
    assert isinstance(linked.on.server.fault, ZeroDivisionError)


def iter_that_raises():
    yield 1 // 0


@pytest.mark.parametrize(
    "link", ["[]", '["tcp"]', '["tcp", 1, "a"]', '["rs232", "a", 1]', '["uart", "a", 1]', "7"]
)
def test_definitions_that_are_refused(link):
    text = DEFINITION.read_text().replace('["tcp", "127.0.0.1", 4100]', link)
    with pytest.raises(source.TableError) as e:
        definition.load_definition(source.Document(text, "test.toml"))
    assert "link" in str(e.value)
