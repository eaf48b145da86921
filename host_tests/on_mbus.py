# SPDX-License-Identifier: MIT
"""The meter of firmware/definitions/heat.toml, clients that ask it APDU by APDU, and slaves on its
M-Bus (doubles/water_meter.py); time passes when nobody says anything.

meter = OnBus(WaterMeter())
meter.act(WATER, 1, u8(0))      an ACTION of client 2: action_result
meter.run(60)                   seconds pass
"""

import types
from pathlib import Path

import fakes
import small
from cosem.model import Model
from dlms.server import Server
from fakes import obis, value
from profiles.mbus import Master

from firmware.meter.mbus import Bus
from firmware.ports import ciphers
from firmware.ports import cpython as port

DEFINITION = Path(__file__).parent.parent / "firmware/definitions/heat.toml"

DENIED, UNDEFINED, TYPE_UNMATCHED, OTHER_REASON = 3, 4, 12, 250
HARDWARE_FAULT, TEMPORARY_FAILURE = 1, 2
INSTALLER = 2
WATER, HEAT = (72, "0.1.24.1.0.255"), (72, "0.2.24.1.0.255")
PORT, DIAGNOSTIC = (74, "0.0.24.6.0.255"), (77, "0.0.24.9.0.255")
VOLUME, TIME, FLOW, NUMBER = [(4, "0.1.24.2.%d.255" % e) for e in (1, 2, 3, 4)]


class Line:
    """What a master says goes to all slaves; what they say comes back, or time passes."""

    def __init__(self, *slaves):
        self.slaves = slaves
        self.master = Master()
        self.now_ms = 0
        self.said = []

    def turn(self):
        """Something happens. master.result says whether there is more to come."""
        master = self.master
        n = master.transmit(self.now_ms)
        if not n:
            self.now_ms += 50
            master.tick(self.now_ms)
            return
        frame = bytes(master.out[:n])
        self.said.append(frame)
        for slave in self.slaves:
            for piece in slave.hear(frame):
                self.now_ms += 5
                master.tick(self.now_ms)
                assert master.receive(piece, 0, len(piece), self.now_ms) == len(piece)

    def run(self):
        while self.master.result < 0:
            self.turn()
        return self.master.result


class OnBus:
    def __init__(self, *slaves, image=None, line=True, path=DEFINITION):
        self.model = Model(types.SimpleNamespace(**small.packed(path)))
        self.model.storage = fakes.Storage()
        self.model.aes = ciphers.aes
        self.model.new_hash = ciphers.new_hash
        self.model.random_fill = port.random_fill
        if image is not None:
            self.model.image[:] = image
        self.model.start()
        self.clock = self.model.handler("clock")
        self.clock.set_utc(13675680, 0)
        self.server = Server(self.model)
        self.line = Line(*slaves)
        self.bus = Bus(self.model, self.line.master, ciphers.aes)
        self.bus.port_row = self.row(*PORT)
        if line:
            self.model.handler("mbus_client").bus = self.bus
        self.talk = small.Talk(self, self.server.channel(), INSTALLER, 1)
        assert self.talk.open(b"demo-installer").startswith("61")
        self.model.tick(self.clock.minute)

    def off_and_on(self, *slaves):
        return OnBus(*(slaves or self.line.slaves), image=bytes(self.model.image))

    def pump(self):
        """As much as one turn of the main loop."""
        self.bus.turn()
        if self.bus.tasks:
            self.line.turn()
        self.bus.turn()
        if self.bus.fault:
            raise self.bus.fault

    def run(self, seconds):
        for _ in range(seconds):
            self.clock.advance(1000)
            self.model.tick(self.clock.minute)
            while self.bus.is_busy():
                self.pump()

    def row(self, class_id, name):
        row = self.model.find(0, class_id.to_bytes(2, "big") + obis(name), 0)
        assert row >= 0, "no such object"
        return row

    def ask(self, head, what, index, tail):
        about = what[0].to_bytes(2, "big") + obis(what[1]) + bytes((index,))
        apdu = bytearray(bytes.fromhex(head) + about + tail)
        server, talk = self.server, self.talk
        while True:
            n = server.request(talk.channel, talk.client, 1, apdu, 0, len(apdu), 1)
            if n >= 0:
                break
            server.work()
            self.pump()
        if server.fault:
            raise server.fault
        return bytes(talk.channel.tx[talk.channel.tx_pos : talk.channel.tx_pos + n])

    def get(self, what, attribute=2):
        answer = self.ask("C001C1", what, attribute, b"\0")
        return [answer[4]] if answer[3] else value(answer[4:])

    def all(self, what):
        n = self.model.n_attributes(self.row(*what))
        return [self.get(what, k) for k in range(1, n + 1)]

    def set(self, what, attribute, data):
        return self._result(self.ask("C101C1", what, attribute, b"\0" + data))

    def act(self, what, method, data=b"\x0f\x00"):
        return self._result(self.ask("C301C1", what, method, b"\1" + data if data else b"\0"))

    def trusted(self, what, method, data):
        """A method that client 2 has no right to, as a client has that nobody can listen to."""
        return self.model.act(self.row(*what), method, bytearray(data), 0, len(data))

    @staticmethod
    def _result(answer):
        return "exception-response" if answer[0] == 0xD8 else answer[3]
