# SPDX-License-Identifier: MIT
"""ISO/IEC 14908: the medium's rules, a modem, a concentrator, and a repeater (agent).

A node sends when it hears nobody, after a random number of slots; what overlaps is lost. There is
no confirmation from the line. The concentrator's transactions are its own code, apart from
lib/profiles/lon_node.py.
"""

from collections import deque

import small
from firmware.links.plc import configure_lon
from plc.network import Medium
from profiles.lon import LON
from profiles.lon_frame import Frame

UP, DATA, CONFIRM = 1, 3, 4
BITS_PER_S = 3600
SLOT_MS = 20
SLOTS = 16
FRAME_MS = 30  # preamble, and the pause behind
DOMAIN = b"\x51"
VERSION, MORE, PROTECTED, NUMBERED, PULL = 0x10, 8, 4, 2, 1


def frame_ms(n):
    """The CRC included."""
    return FRAME_MS + (n + 2) * 8 * 1000 // BITS_PER_S


class Line(Medium):
    step_ms = 50


class Modem:
    """host: what is polled when something has happened."""

    max_data = 246

    def __init__(self, line):
        self.line = line
        self.host = None
        self.buf = b""
        self.pos = self.end = 0
        self.source = self.destination = self.options = self.status = 0
        self.quality = -1
        self.is_up = False
        self.n_ok = self.n_bad_crc = 0
        self._events = deque()
        self._sending = None
        line.add(self)

    def open(self, now_ms):
        self.is_up = True
        self._sending = None
        self._events.append((UP, b""))

    def poll(self, now_ms):
        if not self._events:
            return 0
        event, octets = self._events.popleft()
        self.status = 0
        self.buf, self.pos, self.end = octets, 0, len(octets)
        return event

    def send(self, buf, pos, end, destination, options):
        if end - pos > self.max_data:
            return -1
        if self._sending is not None:
            return 0
        self._sending = bytes(buf[pos:end])
        self._try()
        return 1

    def _try(self):
        slots = self.line.chance.randrange(1, SLOTS)
        self.line.clock.after(slots * SLOT_MS, self._access, slots)

    def _access(self, slots):
        if self._sending is None:
            return
        if not self.line.is_free(self):
            self._try()
            return
        ms = frame_ms(len(self._sending))
        self.line.transmit(self, self._sending, ms)
        self.line.clock.after(ms, self._left)

    def _left(self):
        self._sending = None
        self._events.append((CONFIRM, b""))
        self.wake()

    def noise(self, content):
        """Something that was no frame: the modem drops it."""
        self.n_bad_crc += 1

    def hears(self, content):
        self.n_ok += 1
        self._events.append((DATA, bytearray(content)))
        self.wake()

    def wake(self):
        if self.host is not None:
            self.host.poll()


class Station:
    """A meter: the profile on a modem, and time that passes for it."""

    def __init__(self, line, station, modem, server=None):
        self.clock = line.clock
        self.station = station
        self.server = server
        modem.host = self
        self.on = True
        station.open(self.ticks_ms())
        self.polls()

    def ticks_ms(self):
        return self.clock.now_ms + 0x3FFFF000 & 0x3FFFFFFF

    def poll(self):
        if not self.on:
            return
        while self.station.poll(self.ticks_ms()) or (self.server and self.server.todo):
            while self.server and self.server.todo:
                self.server.work()

    def polls(self, every_ms=50):
        self.poll()
        self.clock.after(every_ms, self.polls, every_ms)


def meter(line, mtu=102):
    """A meter of definitions/lon.toml at node 2 of subnet 3: a Station, which has `meter`."""
    return on_line(line, small.Meter(small.HERE / "definitions/lon.toml", handlers=None), mtu)


def on_line(line, made, mtu=102):
    """A meter that is made, where its definition puts it."""
    modem = Modem(line)
    lon = LON(made.server.channel(), modem, mtu)
    made.model.plc = {"lon": lon}
    configure_lon(made.model, lon)
    station = Station(line, lon, modem, made.server)
    station.meter = made
    station.modem = modem
    return station


class Concentrator:
    """Node 5 of subnet 1. Its calls let time pass. tries: of a request, with the same number."""

    def __init__(self, line, subnet=1, node=5, tries=6, mtu=102):
        self.line = line
        self.clock = line.clock
        self.modem = Modem(line)
        self.modem.host = self
        self.modem.open(0)
        self.subnet, self.node = subnet, node
        self.tries = tries
        self.room = mtu - 5
        self.number = 0
        self.heard = []
        self.n_sent = 0
        self.code = 0x2D

    def poll(self):
        while True:
            event = self.modem.poll(self.clock.now_ms)
            if not event:
                return
            if event == DATA:
                octets = bytes(self.modem.buf)
                f = Frame()
                if f.read(octets, 0, len(octets)):
                    self.heard.append((f, octets[f.at : f.end]))

    def lpdu(self, kind, to, pdu, apdu, alternate=0):
        """to: (subnet, node), a subnet, or six octets."""
        if isinstance(to, bytes):
            form, address = 3, b"\x00" + to
        elif isinstance(to, tuple):
            form, address = 2, bytes((to[0], to[1] | 0x80))
        else:
            form, address = 0, bytes((to,))
        head = bytes((alternate, kind << 4 | form << 2 | 1, self.subnet, self.node | 0x80))
        return head + address + DOMAIN + pdu + apdu

    def put(self, octets):
        while not self.modem.send(octets, 0, len(octets), 0, 0):
            assert self.clock.step()
        self.n_sent += 1

    def request(self, to, apdu):
        """The response's APDU, None: none came."""
        self.number = self.number % 15 + 1
        number = self.number
        begin = len(self.heard)

        def mine(entry):
            f, _ = entry
            return (
                f.kind == 1 and f.type == 2 and f.number == number
                and (f.subnet, f.node) == (self.subnet, self.node)
            )  # fmt: skip

        for k in range(self.tries):
            # The last ones take the alternate path.
            path = 0x40 if k >= self.tries - 2 else 0
            self.put(self.lpdu(1, to, bytes((number,)), apdu, path))
            limit = frame_ms(len(apdu) + 16) + frame_ms(120) + 2 * SLOTS * SLOT_MS + 200
            limit += (k + 1) * self.line.chance.randrange(SLOTS * SLOT_MS)
            if self.clock.run(
                self.clock.now_ms + limit, lambda: any(mine(h) for h in self.heard[begin:])
            ):
                return next(h[1] for h in self.heard[begin:] if mine(h))
        return None

    # --- The adaptation layer -------------------------------------------------------------------

    def head(self, flags, client, server, number=None):
        octets = bytes((self.code, VERSION | flags, client, server))
        return octets if number is None else octets + bytes((number,))

    def segments(self, apdu, client, server):
        if len(apdu) <= self.room:
            return [self.head(0, client, server) + apdu]
        pieces = [apdu[i : i + self.room] for i in range(0, len(apdu), self.room)]
        return [
            self.head(NUMBERED | (MORE if k < len(pieces) - 1 else 0), client, server, k) + piece
            for k, piece in enumerate(pieces)
        ]

    def ask(self, to, apdu, client=16, server=1):
        """The answer to an APDU; b"": it says nothing, None: no response at all."""
        response = None
        for segment in self.segments(apdu, client, server):
            response = self.request(to, segment)
            if response is None:
                return None
            if response[1] & PROTECTED:
                return "refused"
        answer = b""
        while True:
            flags = response[1]
            answer += response[5 if flags & NUMBERED else 4 :]
            if not flags & MORE:
                return answer
            number = response[4] + 1
            response = self.request(to, self.head(NUMBERED | PULL, client, server, number))
            if response is None:
                return None
            assert response[4] == number

    def tell(self, to, apdu, client=16, server=1, repeats=3):
        """Repeated, unconfirmed."""
        for segment in self.segments(apdu, client, server):
            self.number = self.number % 15 + 1
            for _ in range(repeats):
                self.put(self.lpdu(0, to, bytes((0x10 | self.number,)), segment))
                self.clock.run(self.clock.now_ms + frame_ms(120) + SLOTS * SLOT_MS)


class Agent:
    """A repeater that is the last hop: what comes to it behind a proxy header (4D, no hops left)
    it asks the target itself, and hands its response back.

        4D | 0 | tx control | address type 1 (node) << 5 | tx control | subnet | node | message
    """

    def __init__(self, line, subnet=1, node=9):
        self.asks = Concentrator(line, subnet, node)
        self.clock = line.clock
        self.modem = self.asks.modem
        self.modem.host = self
        self._last = None
        self.n_relayed = 0

    def poll(self):
        asks = self.asks
        begin = len(asks.heard)
        asks.poll()
        for f, apdu in asks.heard[begin:]:
            mine = (f.subnet, f.node) == (asks.subnet, asks.node)
            if mine and (f.kind, f.type) == (1, 0) and apdu[:2] == b"\x4d\x00":
                self.clock.after(1, self.relay, f.source_subnet, f.source_node, f.number, apdu)

    def relay(self, subnet, node, number, apdu):
        key = (subnet, node, number, apdu)
        if self._last is not None and self._last[0] == key:
            response = self._last[1]
        else:
            self._last = (key, None)
            target = (apdu[5], apdu[6] & 0x7F)
            response = self.asks.request(target, apdu[7:])
            self._last = (key, response)
            self.n_relayed += 1
        if response is None:
            return
        self.asks.put(self.asks.lpdu(1, (subnet, node), bytes((0x20 | number,)), response))


def proxied(target, message):
    """A message for a target, by way of an agent."""
    return bytes((0x4D, 0x00, 0x31, 1 << 5, 0x31, target[0], target[1])) + message
