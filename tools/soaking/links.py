# SPDX-License-Identifier: MIT
"""Links of the soak: ask(client, apdu) -> octets, or None: nothing came; garbage(), cut(), and the
channels() of the meter's server.

Wrapper and HDLC get octets, as from a link; S-FSK, PRIME, G3 and LON are the simulated networks of
host_tests/plc, with losses.
"""

import random

from device import converse
from plc import lon
from plc.initiator import Initiator
from plc.meters import Meter as OnSFSK
from plc.network import Clock
from plc.sfsk import Line as SFSKLine
from profiles.lon import LON
from profiles.wrapper import Wrapper

NAME = bytes.fromhex("C001C1000100002A0000FF0200")
LOSS = 0.05
SFSK_TITLE, METER, LON_PLACE = b"METER1", b"METER1", (3, 2)
TRIES, PATIENCE_MS, LATE_MS = 4, 8000, 20000  # of a request over a network


class Octets:
    """Wrapper over TCP or UDP, or HDLC."""

    def __init__(self, meter, kind, r):
        self.meter, self.kind, self.r = meter, kind, r
        self.link = "hdlc" if kind == "hdlc" else "wrapper"
        self.client = (
            converse.HDLCClient(meter) if kind == "hdlc" else converse.WrapperClient(meter)
        )
        if kind == "udp":
            self.client.profile = Wrapper(meter.server, meter.server.channel(), True)
        self.now_ms = 0

    def ask(self, client, apdu):
        self.now_ms = self.now_ms + 10 & 0x3FFFFFFF
        got = converse.ask(self.client, self.meter, (client, 1), self.link, apdu, self.now_ms)
        return bytes(got) if got else None

    def garbage(self):
        """Octets that mean nothing, or the beginning of something, and then silence."""
        octets = self.r.randbytes(self.r.choice((1, 7, 60, 300)))
        if self.r.random() < 0.5:
            octets = self.client.send(2, 1, NAME)[-1][: self.r.randrange(1, 12)] + octets
        converse.exchange(self.client.profile, [octets], self.now_ms, self.meter.server)
        self.cut()

    def cut(self):
        self.client.profile.reset()
        if self.link == "hdlc":
            self.client.who = None
            self.client.segmented = False
            self.client.apdu = b""

    def channels(self):
        profile = self.client.profile
        return [link.channel for link in profile.links] if self.kind == "hdlc" else [
            profile.channel
        ]  # fmt: skip


class Network:
    """One of the simulated ones; its clock is its own."""

    garbles = 0.0

    def begin(self, medium, seed):
        self.r = random.Random(seed)
        medium.disturb = self.disturb

    def disturb(self, source, node, content):
        return None if self.garbles and self.r.random() < self.garbles else content

    def garbage(self):
        self.garbles = 0.3

    def cut(self):
        self.garbles = 0.0


class SFSK(Network):
    def __init__(self, meter, seed):
        self.clock = Clock()
        self.line = SFSKLine(self.clock, seed)
        self.head = Initiator(self.line, tries=3)
        self.station = OnSFSK(self.line, SFSK_TITLE, meter)
        self.line.connect(self.head.modem, self.station.modem, LOSS)
        self.begin(self.line, seed)
        self.register()

    def register(self):
        for _ in range(30):
            self.head.register({SFSK_TITLE: 5})
            if self.station.ciase.address == 5:
                return
        raise AssertionError("the meter does not register")

    def ask(self, client, apdu):
        asked = self.head.n_asked
        got = self.head.ask(5, apdu, client=client)
        if self.head.n_asked > asked + 1:
            self.clock.run(self.clock.now_ms + LATE_MS)
        self.head.heard.clear()
        self.head.log.clear()
        if got is None and self.station.ciase.address != 5:
            self.register()
        return got

    def channels(self):
        return [self.station.channel]


class Mesh(Network):
    """PRIME or G3."""

    def __init__(self, of, meter, seed):
        self.clock = Clock()
        self.air = of.air(self.clock, seed)
        self.head = of.Head(self.air)
        self.station = of.meter(self.air, meter, METER)
        self.air.connect(self.head, self.station.station.modem, LOSS, burst=5)
        self.begin(self.air, seed)
        self.head.wait_for(METER)

    def ask(self, client, apdu):
        """As head.ask(), but octet for octet: what is ciphered has no invoke-id to be set."""
        head, clock = self.head, self.clock
        for k in range(TRIES):
            if METER not in head.places:
                clock.run(clock.now_ms + PATIENCE_MS)
                continue
            head.say(*head.places[METER], client, 1, apdu)
            if clock.run(clock.now_ms + PATIENCE_MS, lambda: head.heard):
                got = head.heard[0][2]
                if k:
                    clock.run(clock.now_ms + LATE_MS)  # the answer to the first one, late
                head.heard.clear()
                return got
        clock.run(clock.now_ms + LATE_MS)
        head.heard.clear()
        return None

    def channels(self):
        return [self.station.station.channel]


class OnLON(Network):
    def __init__(self, meter, seed):
        self.clock = Clock()
        self.line = lon.Line(self.clock, seed)
        modem = lon.Modem(self.line)
        station = LON(meter.server.channel(), modem)
        station.configure(LON_PLACE[1], LON_PLACE[0], 0)
        station.node.domain[:1] = lon.DOMAIN
        station.node.domain_code = 1
        self.station = lon.Station(self.line, station, modem, meter.server)
        self.head = lon.Concentrator(self.line, tries=4)
        self.line.connect(self.head.modem, modem, LOSS)
        self.begin(self.line, seed)

    def ask(self, client, apdu):
        got = self.head.ask(LON_PLACE, apdu, client, 1)
        self.head.heard.clear()
        return got or None

    def channels(self):
        return [self.station.station.channel]
