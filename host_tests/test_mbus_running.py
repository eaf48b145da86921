# SPDX-License-Identifier: MIT
"""An M-Bus under a running meter (definitions/heat.toml): the water meter of doubles/ is on a TCP
connection, as behind a level converter, and an installer asks over the wrapper."""

import os
import pty
import socket
import threading
import tty

import pytest
from doubles.water_meter import BCD_ID, WaterMeter
from fakes import enum, obis, u8, value
from on_mbus import DEFINITION, DIAGNOSTIC, PORT, VOLUME, WATER
from running import Running, Wrapper
from small import aarq


class Converter:
    """A port of TCP, and behind it a slave."""

    def __init__(self, slave):
        self.slave = slave
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.lines = []
        threading.Thread(target=self._serve, daemon=True).start()

    @property
    def address(self):
        return "%s:%d" % self.listener.getsockname()

    def _serve(self):
        while True:
            try:
                line = self.listener.accept()[0]
            except OSError:
                return
            self.lines.append(line)
            while True:
                try:
                    octets = line.recv(100)
                except OSError:
                    break
                if not octets:
                    break
                for piece in self.slave.hear(octets):
                    line.sendall(piece)

    def hang_up(self):
        self.lines[-1].shutdown(socket.SHUT_RDWR)
        self.lines[-1].close()

    def close(self):
        self.listener.close()


class Installer:
    def __init__(self, meter):
        self.wrapper = Wrapper(meter.connect("wrapper-tcp"), 2)
        assert self.wrapper.ask(aarq(b"demo-installer"))[:1] == b"\x61"

    def ask(self, head, what, index, tail):
        about = what[0].to_bytes(2, "big") + obis(what[1]) + bytes((index,))
        return self.wrapper.ask(bytes.fromhex(head) + about + tail)

    def get(self, what, attribute=2):
        answer = self.ask("C001C1", what, attribute, b"\0")
        return [answer[4]] if answer[3] else value(answer[4:])

    def set(self, what, attribute, data):
        return self.ask("C101C1", what, attribute, b"\0" + data)[3]

    def act(self, what, method, data=b"\x0f\0"):
        return self.ask("C301C1", what, method, b"\1" + data)[3]


def test_on_a_serial_port(tmp_path):
    """The slave is at the other end of a terminal."""
    master, terminal = pty.openpty()
    tty.setraw(master)
    slave = WaterMeter()

    def serve():
        while True:
            try:
                for piece in slave.hear(os.read(master, 100)):
                    os.write(master, piece)
            except OSError:
                return

    threading.Thread(target=serve, daemon=True).start()
    path = tmp_path / "heat.toml"
    line = '["tty", "%s", 2400]' % os.ttyname(terminal)
    path.write_text(DEFINITION.read_text().replace('["tcp", "127.0.0.1", 4100]', line))
    with Running("--definition", str(path), "--wrapper-tcp", "0", "--runtime", "cpython") as meter:
        client = Installer(meter)
        assert client.act(WATER, 1, u8(9)) == 0
        assert client.act(WATER, 3) == 0
        assert client.get(VOLUME) == slave.litres and slave.address == 9
        client.wrapper.socket.close()
        assert meter.stop() == 0 and "failed inside" not in meter.errors
    os.close(terminal)
    os.close(master)


@pytest.fixture
def converter():
    made = Converter(WaterMeter())
    yield made
    made.close()


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_water_meter_on_the_bus(converter, runtime, request):
    if runtime == "micropython":
        request.getfixturevalue("micropython")
    slave = converter.slave
    arguments = (
        "--definition",
        str(DEFINITION),
        "--wrapper-tcp",
        "0",
        "--mbus",
        converter.address,
    )
    with Running("--runtime", runtime, *arguments) as meter:
        client = Installer(meter)
        assert client.act(WATER, 1, u8(0)) == 0
        assert slave.address == 1 and client.get(WATER, 6) == BCD_ID
        assert client.act(WATER, 3) == 0
        assert client.get(VOLUME) == slave.litres and client.get(VOLUME, 3) == [-3, 13]
        sent, good, bad = (client.get(DIAGNOSTIC, k) for k in (6, 7, 8))
        assert sent == good >= 6 and bad == 0
        assert client.get(DIAGNOSTIC, 4) == 1
        # The converter hangs up: the next request has a connection of its own.
        converter.hang_up()
        slave.litres += 1
        assert client.act(WATER, 3) in (0, 2)
        assert client.act(WATER, 3) == 0
        assert client.get(VOLUME) == slave.litres and len(converter.lines) == 2
        # A slave that says nothing, at another speed.
        assert client.set(PORT, 2, enum(9)) == 0
        slave.fault = "silent"
        assert client.act(WATER, 3) == 2
        assert client.get(DIAGNOSTIC, 4) == 2
        slave.fault = None
        # No converter at all.
        converter.close()
        converter.hang_up()
        assert client.act(WATER, 3) in (1, 2)
        assert client.act(WATER, 3) in (1, 2)
        assert client.get(VOLUME) == slave.litres
        client.wrapper.socket.close()
        assert meter.stop() == 0 and "failed inside" not in meter.errors
