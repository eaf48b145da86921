# SPDX-License-Identifier: MIT
"""Meters behind doubles of modems, and clients behind these: for tests, pages and demos. CPython
only, with what a bare Python has.
"""

import struct

import small
from cosem import g3_setup, prime_setup
from profiles.g3 import G3
from profiles.hdlc_client import HDLCClient
from profiles.llc_432 import LLC432
from profiles.llc_hdlc import LLCHDLC
from profiles.modems import g3_adp, prime_node, st7580
from profiles.prime import PRIME
from profiles.st7580 import RawLink
from profiles.wrapper import Wrapper

from doubles import g3_adp as g3_double
from doubles import prime_node as prime_double
from doubles import st7580 as st7580_double
from doubles.station import MASK, Station

ID = b"PRIME0000000001"
OWN = bytes.fromhex("FE80000000000000781D00FFFE000005")
CLIENT = bytes.fromhex("FE80000000000000781D00FFFE000000")
PORT = 50000
DATA, ANSWERED = 3, 4

GET = "C001C1%04X%sFF%02X00"


def get(class_id, obis, attribute):
    name = "".join("%02X" % int(part) for part in obis.split("."))
    return bytes.fromhex(GET % (class_id, name, attribute))


def action(class_id, obis, method):
    name = "".join("%02X" % int(part) for part in obis.split("."))
    return bytes.fromhex("C301C1%04X%sFF%02X010F00" % (class_id, name, method))


def set_(class_id, obis, attribute, value):
    name = "".join("%02X" % int(part) for part in obis.split("."))
    return bytes.fromhex("C101C1%04X%sFF%02X00" % (class_id, name, attribute)) + value


# --- PRIME --------------------------------------------------------------------------------------


class PRIMEMeter(Station):
    def __init__(self, **options):
        double = prime_double.Double()
        modem = prime_node.Modem(double.uart, double.reset, ID)
        super().__init__("prime.toml", modem, double, self.make, **options)

    def make(self, meter):
        channel = meter.server.channel()
        llc = LLC432(meter.server, channel, self.modem.max_data + 3)
        values = prime_setup.values(self.modem)
        values.apply(meter.model)
        return PRIME(channel, self.modem, llc, values)

    def up(self):
        return self.until(lambda: self.modem.is_up, 6000)

    def say(self, apdu, client=1, sap=1, **options):
        self.double.hear(sap, client, apdu, **options)

    def ask(self, apdu, client=1, limit_ms=5000):
        self.say(apdu, client)
        dst, src, address, data = self.answer(limit_ms)
        assert (dst, src, address) == (client, 1, 0)
        return data.hex().upper()

    def value(self, class_id, obis, attribute):
        found = self.ask(get(class_id, obis, attribute))
        assert found.startswith("C401C100"), found
        return found[8:]


# --- G3 -----------------------------------------------------------------------------------------


def summed(source, destination, datagram):
    octets = source + destination + struct.pack(">IHBB", len(datagram), 0, 0, 17) + datagram
    octets += b"\x00" * (len(octets) % 2)
    total = sum(struct.unpack(">%dH" % (len(octets) // 2), octets))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def packet(payload, source=OWN, destination=CLIENT, ports=(4059, 5000), wrong=0):
    datagram = struct.pack(">HHHH", ports[0], ports[1], 8 + len(payload), 0) + payload
    value = summed(source, destination, datagram) or 0xFFFF
    datagram = datagram[:6] + struct.pack(">H", value ^ wrong) + payload
    head = b"\x60\x00\x00\x00" + struct.pack(">HBB", len(datagram), 17, 64)
    return head + source + destination + datagram


class G3Meter(Station):
    def __init__(self, prefix=b"", **options):
        double = g3_double.Double()
        modem = g3_adp.Modem(double.uart, double.reset)
        self.prefix = prefix
        super().__init__("g3.toml", modem, double, self.make, **options)

    def make(self, meter):
        channel = meter.server.channel()
        values = g3_setup.values(self.modem)
        values.apply(meter.model)
        wrapper = Wrapper(meter.server, channel, udp=True)
        return G3(channel, self.modem, wrapper, self.prefix, values)

    def up(self):
        return self.until(lambda: self.modem.is_up, 10000)

    def say(self, apdu, client=1, sap=1, source=CLIENT, port=PORT, own=OWN, to=4059, **options):
        wpdu = struct.pack(">HHHH", 1, client, sap, len(apdu)) + apdu
        self.double.hear(packet(wpdu, source, own, (port, to)), **options)

    def ask(self, apdu, client=1, source=CLIENT, port=PORT, own=OWN, limit_ms=5000):
        self.say(apdu, client, 1, source, port, own)
        found = self.answer(limit_ms)
        wpdu = found[48:]
        assert wpdu[:8] == struct.pack(">HHHH", 1, 1, client, len(wpdu) - 8)
        assert found == packet(wpdu, own, source, (4059, port))
        return wpdu[8:].hex().upper()

    def value(self, class_id, obis, attribute):
        found = self.ask(get(class_id, obis, attribute))
        assert found.startswith("C401C100"), found
        return found[8:]


# --- ST7580 -------------------------------------------------------------------------------------


class Bench:
    """The client is on the left, the meter on the right."""

    def __init__(self, run=True, meter=None, client_sap=1):
        self.client_sap = client_sap
        self.doubles = [st7580_double.Double(), st7580_double.Double()]
        self.doubles[0].line, self.doubles[1].line = self.doubles[1], self.doubles[0]
        first = self.doubles[0]
        self.modems = [st7580.Modem(first.uart, first.t_req, first.reset), None]
        self.meter = meter or small.Meter()
        self.client = HDLCClient(1000, 60000)
        self.out = 0
        self.passed_ms = 0
        self.modems[0].open(0)
        self.restart()
        if run:
            self.run(2000)
            assert self.modems[0].is_up and self.modems[1].is_up

    def restart(self):
        """The meter begins, with what its modem has in its line."""
        double = self.doubles[1]
        self.modems[1] = st7580.Modem(double.uart, double.t_req, double.reset)
        channel = self.meter.server.channel()
        llc = LLCHDLC(self.meter.server, channel, self.modems[1].max_data)
        self.station = RawLink(channel, self.modems[1], llc)
        self.station.open(self.passed_ms & MASK)

    def turn(self):
        self.passed_ms += 2
        now = self.passed_ms & MASK
        for double in self.doubles:
            double.turn(self.passed_ms)
        while self.station.poll(now) or self.meter.server.todo:
            while self.meter.server.todo:
                self.meter.server.work()
        client, modem = self.client, self.modems[0]
        event = modem.poll(now)
        if event == DATA:
            client.receive(modem.buf, modem.pos, modem.end, now)
        client.tick(now)
        self.out = self.out or client.transmit(now)
        if self.out and modem.send(client.out, client.out_pos, client.out_pos + self.out, 0, 0):
            self.out = 0

    def run(self, ms):
        end = self.passed_ms + ms
        while self.passed_ms < end:
            self.turn()

    def ask(self, apdu, limit_ms=20000):
        client = self.client
        if client.owner is None:
            client.begin(self, self.client_sap, 1, 0)
        assert client.ask(apdu, 0, len(apdu), True)
        end = self.passed_ms + limit_ms
        while client.state != ANSWERED:
            assert self.passed_ms < end and client.state < 5, client.state
            self.turn()
        found = bytes(client.buf[client.pos : client.end]).hex().upper()
        client.taken()
        return found
