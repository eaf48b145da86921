# SPDX-License-Identifier: MIT
"""Targets over a power line: the station of each profile on a modem that says what the input wants
it to say. Beside whatever octets: M_sdus, packets and frames with right heads."""

import random

import small
from doubles.meters import CLIENT, OWN, packet
from plc import lon as plc_lon
from plc.meters import Made
from plc.network import Clock
from profiles.lon import LON

from firmware.links import plc
from firmware.ports import cpython
from fuzzing import lines, oracles
from fuzzing.octets import Octets, put

UP, DOWN, DATA, CONFIRM, FAULT = range(1, 6)
MASK = 0x3FFFFFFF
OPENING = small.aarq(None)
GET = lines.GET
LONG = lines.LONG
INITIATOR = 0xC00
DEFINITIONS = small.HERE / "definitions"


class Modem:
    """As lib/profiles/modems/README.md has it; its answers to attributes are `value`."""

    n_faults = n_lost = n_bad_crc = n_ok = n_bad = n_sent = n_repeated = 0
    delta_phase = min_delta_credit = 0
    is_repeater = False

    def __init__(self, max_data):
        self.max_data = max_data
        self.is_up = False
        self.buf = b""
        self.pos = self.end = self.source = self.destination = self.options = self.status = 0
        self.quality = -1
        self.initiator = INITIATOR
        self.events = []
        self.takes = 1  # what send(), set() and call() answer
        self.under_way = False
        self.value = b"\0\0\0\0"
        self.value_len = 4
        self.value_state = 0
        self.address = 5
        self.pan = 0x781D
        self.base_address = 0

    def open(self, now_ms):
        self.events.append((UP,))

    def poll(self, now_ms):
        if not self.events:
            return 0
        event, *about = self.events.pop(0)
        if event == UP:
            self.is_up = True
        elif event in (DOWN, FAULT):
            self.is_up = False
            self.status = about[0] if about else 0
            self.n_faults += event == FAULT
        elif event == CONFIRM:
            self.under_way = False
            self.status = about[0]
        elif event == DATA:
            # In front of it is what the modem said about it.
            self.source, self.destination, self.options, octets = about
            self.buf = bytearray(16) + octets
            self.pos, self.end = 16, len(self.buf)
        return event

    def send(self, buf, pos, end, destination, options):
        assert 0 <= pos < end <= len(buf), "what is sent is not there"
        if end - pos > self.max_data:
            return -1
        if self.under_way:
            return 0
        if self.takes == 1:
            self.under_way = True
            self.events.append((CONFIRM, 0))
        return self.takes

    def set(self, item, a, b):
        assert a >= 0 and b >= 0
        return self.takes or 1

    def call(self, position, n_positions, threshold):
        return self.takes or 1

    def read(self, attribute, index):
        self.value_state = 1
        return True

    def write(self, attribute, index, buf, pos, end):
        self.value_state = 1
        return True


class Bench:
    def __init__(self, station, modem, server):
        self.station, self.modem, self.server = station, modem, server
        self.now_ms = MASK - 60000
        station.open(self.now_ms)
        self.turn()

    def turn(self):
        n = 0
        while self.station.poll(self.now_ms) or self.server.todo:
            oracles.turn(self.server)
            n += 1
            assert n < 500, "poll() comes to no end"
        oracles.healthy(self.server)

    def passes(self, ms):
        self.now_ms = self.now_ms + ms & MASK
        self.turn()

    def says(self, o):
        """What a modem says that is none of data; False: it is another kind."""
        modem, kind = self.modem, o.u8() % 16
        if kind > 5:
            return False
        if kind == 0:
            modem.events.append((UP,))
        elif kind == 1:
            modem.events.append((o.one_of((DOWN, FAULT)), o.u8() % 7))
        elif kind == 2:
            modem.events.append((CONFIRM, o.u8() % 5))
        elif kind == 3:
            modem.takes = o.one_of((1, 0, -1))
        elif kind == 4:
            modem.value = o.take(16)
            modem.value_len = len(modem.value)
            modem.value_state = 2 + o.u8() % 2
        else:
            self.passes(o.u16() * o.one_of((1, 10, 100)))
            return True
        self.turn()
        return True

    def hears(self, octets, source=0, destination=0, options=0):
        self.modem.events.append((DATA, source, destination, options, bytearray(octets)))
        self.turn()


def session(bench, hear, *seeds):
    """The target: events, and hear(o) for what comes from the network."""

    def one(octets):
        o = Octets(octets)
        while o:
            if not bench.says(o):
                hear(o)
        bench.modem.takes = 1
        bench.passes(1000)
        oracles.legal(bench.server)

    one.seeds = list(seeds)
    return one


def made(name):
    meter = Made(DEFINITIONS / name)
    meter.model.random_fill = cpython.random_fill
    return meter


def target_sfsk():
    meter = made("sfsk.toml")
    meter.model.random = random.Random(1).randrange
    modem = Modem(242)
    station = plc.sfsk(meter, modem)
    meter.model.on_setup = lambda row: plc.configure_sfsk(meter.model, station)
    title = bytes(meter.model.system_title)[-6:]
    station.ciase.title = title
    bench = Bench(station, modem, meter.server)

    def hear(o):
        kind = o.u8() % 4
        source = o.one_of((INITIATOR, INITIATOR, 0xC01, 5))
        destination = o.one_of((0xFFF, 5, 0xFFC, 0xFFE, 0))
        credits = o.u8()
        if kind == 0:
            m_sdu = o.some()
        elif kind == 1:
            m_sdu = bytes((0x90, 1, o.one_of((1, 16, 0)))) + o.some()
        elif kind == 2:
            m_sdu = b"\x90\x00\x01" + o.some()
        else:
            # Register: this meter gets an address.
            rows = title + o.u16().to_bytes(2, "big")
            m_sdu = b"\x90\x00\x01\x1c" + b"CONCEN" + b"\1" + rows
        bench.hears(m_sdu, source, destination, credits)

    def app(apdu):
        return b"\xff\1\0\1\0\0" + put(apdu)

    def ci(text):
        return b"\xff\2\0\0\0" + put(bytes.fromhex(text))

    register = b"\xff\3\0\0\0\0\5"
    return session(
        bench, hear,
        ci("1D64000A0000") + b"\5\x0f\xff\1" * 3,
        register + app(OPENING) + app(GET) + app(LONG),
        register + ci("19" + title.hex()) + ci("1F00630002") + ci("390082") + b"\1\0\2\0",
        b"\xff\3\0\0\0\0\5" + ci("3A" + title.hex()) + ci("1E01" + title.hex() + "00"),
    )  # fmt: skip


def target_prime():
    meter = made("prime.toml")
    modem = Modem(1021)
    bench = Bench(plc.prime(meter, modem), modem, meter.server)

    def hear(o):
        source, destination = o.one_of((0, 1, 0x123)), o.one_of((0x123, 0xFFF, 5))
        saps = o.one_of((0x0110, 0x0101, 0xFF01, 0x0110)) if o.u8() & 0x80 == 0 else o.u16()
        bench.hears(o.some(), source, destination, saps)

    def app(apdu):
        return b"\xff\0\0\0\0" + put(apdu)

    return session(bench, hear, app(OPENING) + app(GET), app(OPENING) + app(LONG) + b"\4" + GET)


def target_g3():
    meter = made("g3.toml")
    modem = Modem(1280)
    bench = Bench(plc.g3(meter, modem), modem, meter.server)

    def hear(o):
        kind = o.u8()
        if kind & 0xF == 0:
            bench.hears(o.some(), -1, -1)
            return
        apdu = o.some()
        head = [1, o.one_of((16, 1, 0)), o.one_of((1, 0x7F, 2)), len(apdu)]
        if kind & 0x10:
            head[3] = o.u16()
        wpdu = b"".join(n.to_bytes(2, "big") for n in head) + apdu
        source, own = o.one_of((CLIENT, OWN)), o.one_of((OWN, CLIENT))
        octets = bytearray(packet(wpdu, source, own, (5000, o.one_of((4059, 1)))))
        if kind & 0x20:
            octets[o.u8() % len(octets)] ^= o.u8()
        bench.hears(octets, -1, -1)

    def app(apdu):
        return b"\xff\1" + put(apdu) + b"\0\0\0\0\0"

    return session(bench, hear, app(OPENING) + app(GET), app(OPENING) + app(LONG))


def target_st7580():
    meter = small.Meter()
    modem = Modem(255)
    bench = Bench(plc.st7580(meter, modem), modem, meter.server)

    def hear(o):
        bench.hears(o.some() if o.u8() & 7 == 0 else lines.a_frame(o))

    def said(control, info=b""):
        return bytes((0xFF, 1, 0, 0, control, 0)) + put(info)

    opening = said(lines.SNRM) + said(0x10, lines.LLC + lines.AARQ)
    return session(bench, hear, opening + said(0x32, lines.LLC + GET))


def lon_frames():
    """What a concentrator says to a meter: association, GETs, a release."""
    clock = Clock()
    line = plc_lon.Line(clock, 1)
    station = plc_lon.meter(line)
    head = plc_lon.Concentrator(line)
    line.connect(head.modem, station.modem)
    heard = []
    line.disturb = lambda source, node, content: heard.append((node, bytes(content))) or content
    for apdu in (small.aarq(None), GET, LONG, bytes.fromhex("6200")):
        head.ask((3, 2), apdu)
    return [content for node, content in heard if node is station.modem]


def target_lon():
    meter = small.Meter(DEFINITIONS / "lon.toml", handlers=None)
    modem = Modem(246)
    station = LON(meter.server.channel(), modem)
    plc.configure_lon(meter.model, station)
    bench = Bench(station, modem, meter.server)
    frames = lon_frames()

    def hear(o):
        kind = o.u8() % 4
        if kind == 0:
            octets = o.some()
        else:
            octets = bytearray(o.one_of(frames))
            for _ in range(kind - 1):
                at = o.u8() % len(octets)
                octets[at] ^= o.u8()
            octets += o.take(o.u8() % 4)
        bench.hears(octets)

    return session(
        bench, hear,
        *[b"\xff\0" + put(frame) for frame in frames],
        b"".join(b"\xff\1" + bytes((k, 0)) for k in range(len(frames))),
    )  # fmt: skip
