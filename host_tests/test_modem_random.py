# SPDX-License-Identifier: MIT
"""Drivers of modems under anything: octets by chance, faults by chance, frames of chance from the
network. They say nothing wrong, do not stop, and are up again when it is over.

PICOMETER_ALL=1: ten times as many (make test-long).
"""

import os
import random
import struct

import pytest
import small
from doubles import amis49587, g3_adp, local_frames, prime_node, st7580, usi
from doubles.meters import CLIENT, OWN, G3Meter, PRIMEMeter, get, packet
from doubles.wire import CONFIRM, DATA, UP, Bench
from profiles.modems import amis49587 as amis49587_driver
from profiles.modems import g3_adp as g3_driver
from profiles.modems import prime_node as prime_driver
from profiles.modems import st7580 as st7580_driver

AARQ = small.aarq(b"12345678")
GET = get(3, "1.0.1.8.0", 2)
RLRQ = bytes.fromhex("6203800100")
SEEDS = range(40 if os.environ.get("PICOMETER_ALL") else 4)
LOCAL = [name for name in local_frames.FAULTS if name not in ("split", "merged", "silence")]
USI = [name for name in usi.FAULTS if name not in ("split", "merged", "silence")]


def amis():
    double = amis49587.Double()
    return amis49587_driver.Modem(double.uart, double.t_req, double.reset), double, LOCAL


def st():
    double = st7580.Double()
    return st7580_driver.Modem(double.uart, double.t_req, double.reset), double, LOCAL


def prime():
    double = prime_node.Double()
    return prime_driver.Modem(double.uart, double.reset, b"PRIME0000000001"), double, USI


def g3():
    double = g3_adp.Double()
    return g3_driver.Modem(double.uart, double.reset), double, USI


MAKERS = {"amis49587": amis, "st7580": st, "prime_node": prime, "g3_adp": g3}


class Chance:
    def __init__(self, name, seed):
        self.name = name
        self.random = random.Random("%s %d" % (name, seed))
        self.modem, self.double, self.faults = MAKERS[name]()
        # Octets by chance look like a status, too.
        self.double.strict = False
        self.bench = Bench((self.modem, self.double), step_ms=5)
        self.sent = self.confirmed = 0
        self.bench.open()

    def synchronize(self):
        if self.name == "amis49587" and self.double.config and not self.double.synchronized:
            self.double.synchronize(0xC00, 5)

    def hear(self, data):
        if self.name == "amis49587":
            self.double.hear(0xC00, 5, data)
        elif self.name == "prime_node":
            self.double.hear(1, 0x10, data, destination=self.random.choice((0x123, 0xFFF)))
        else:
            self.double.hear(data)

    def send(self):
        data = self.random.randbytes(self.random.randint(1, self.modem.max_data))
        destination = 0xC00 if self.name == "amis49587" else 0
        taken = self.modem.send(data, 0, len(data), destination, 0)
        assert taken in (0, 1)
        assert not taken or self.sent == self.confirmed, "one at a time"
        self.sent += taken

    def count(self):
        self.confirmed = sum(1 for e in self.bench.events if e[2] == CONFIRM)
        assert self.confirmed <= self.sent

    def step(self):
        chance = self.random.random
        if chance() < 0.3:
            self.double.faults[self.random.choice(self.faults)] = 1
        if chance() < 0.3:
            self.double.uart.to_host += self.random.randbytes(self.random.randint(1, 300))
        if chance() < 0.3:
            self.hear(self.random.randbytes(self.random.randint(1, 200)))
        if chance() < 0.5:
            self.send()
        self.double.uart.piece = self.random.choice((1, 3, 64, 1000))
        self.double.uart.room = self.random.choice((1, 5, 64, 1000))
        self.synchronize()
        self.bench.run(self.random.choice((5, 50, 500, 3000)))
        self.count()

    def recover(self):
        self.double.faults.clear()
        self.double.uart.piece = self.double.uart.room = 1 << 20
        for _ in range(200):
            self.synchronize()
            self.bench.run(500)
            if self.modem.is_up and self.sent == self.confirmed:
                break
            self.count()
        self.bench.run(20000)
        self.synchronize()
        self.bench.run(1000)


@pytest.mark.parametrize("name", MAKERS)
@pytest.mark.parametrize("seed", SEEDS)
def test_whatever_happens_it_comes_back(name, seed):
    it = Chance(name, seed)
    for _ in range(60):
        it.step()
    it.recover()
    it.count()
    assert it.modem.is_up
    assert it.sent == it.confirmed, "what was taken was confirmed"
    assert UP in [e[2] for e in it.bench.events]
    it.bench.events.clear()
    it.hear(b"\x01\x02\x03")
    assert it.bench.until(DATA, 1000) == b"\x01\x02\x03"
    it.send()
    assert it.bench.until(CONFIRM, 2000) == 0


# --- A meter behind them ------------------------------------------------------------------------


def a_packet(it, wpdu):
    if it.random() < 0.2:
        return it.randbytes(it.randint(0, 1280)) or b"\x00"
    found = bytearray(packet(wpdu, it.choice((CLIENT, OWN)), OWN, (5000, it.choice((4059, 1)))))
    if it.random() < 0.2:
        found[it.randrange(len(found))] ^= it.randint(1, 255)
    return bytes(found)


def an_apdu(it):
    made = bytearray(it.choice((AARQ, GET, GET, RLRQ, b"\xc0\x02\xc1\x00\x00\x00\x01")))
    for _ in range(it.choice((0, 0, 1, 3))):
        made[it.randrange(len(made))] ^= it.randint(1, 255)
    return bytes(made[: it.randint(1, len(made))]) if it.random() < 0.3 else bytes(made)


@pytest.mark.parametrize("seed", SEEDS)
def test_a_meter_on_prime_under_anything(seed):
    it = random.Random(seed)
    meter = PRIMEMeter().up()
    for _ in range(150):
        sap = it.choice((0, 1, 1, 1, 9, 0xFF))
        destination = it.choice((0x123, 0x123, 0xFFF, 5))
        meter.say(an_apdu(it), it.choice((0, 1, 16, 99)), sap, destination=destination)
        if it.random() < 0.1:
            meter.double.faults[it.choice(USI)] = 1
        meter.run(it.choice((2, 20, 500)))
    meter.double.faults.clear()
    meter.until(lambda: meter.modem.is_up, 200000).run(70000)
    assert meter.ask(AARQ)[:2] in ("61", "D8")
    assert meter.station.n_lost < 150


@pytest.mark.parametrize("seed", SEEDS)
def test_a_meter_on_g3_under_anything(seed):
    it = random.Random(seed)
    meter = G3Meter().up()
    for _ in range(150):
        apdu = an_apdu(it)
        head = struct.pack(">HHHH", it.choice((1, 1, 2)), it.choice((0, 1, 16)), 1, len(apdu))
        meter.double.hear(a_packet(it, head + apdu))
        if it.random() < 0.1:
            meter.double.faults[it.choice(USI)] = 1
        meter.run(it.choice((2, 20, 500)))
    meter.double.faults.clear()
    meter.until(lambda: meter.modem.is_up, 200000).run(70000)
    meter.station.reset()
    assert meter.ask(AARQ)[:2] == "61"
