# SPDX-License-Identifier: MIT
"""Meters for simulated networks: the real profile, with the real server or with none behind it."""

import random
import types

import small
from profiles.llc_432 import LLC432
from profiles.sfsk import SFSK

from plc.sfsk import MASK, Modem

DEFINITION = small.HERE / "definitions/sfsk.toml"


class NoServer:
    """Of a meter that only registers: it knows its logical device, and answers nothing."""

    def __init__(self):
        self.model = types.SimpleNamespace(devices=((1, 0, 0),))
        self.todo = 0
        self.released = 0

    def channel(self):
        return types.SimpleNamespace(
            max_pdu=256, max_receive_pdu=256, tx=bytearray(320), more=None, release=self.release
        )

    def release(self):
        self.released += 1

    def request(self, *args):
        return 0


class Meter:
    """A station on a line.

    offset_ms  its ticks at the start: the clock of a real one wraps
    """

    def __init__(self, line, title, server=None, llc=LLC432, seed=None, offset_ms=0):
        self.line = line
        self.clock = line.clock
        self.title = title
        self.server = server or NoServer()
        self.channel = self.server.channel()
        self.modem = Modem(line)
        self.modem.host = self
        self.offset_ms = offset_ms
        self.random = random.Random(title if seed is None else seed)
        self.llc = llc(self.server, self.channel, self.modem.max_data)
        self.station = SFSK(self.channel, self.modem, self.llc, title, self.random.randrange)
        self.on = True
        self.station.open(self.ticks_ms())
        self.poll()

    def ticks_ms(self):
        return self.clock.now_ms + self.offset_ms & MASK

    @property
    def ciase(self):
        return self.station.ciase

    def poll(self):
        """As the main loop does, until there is nothing to do."""
        if not self.on:
            return
        station = self.station
        now = self.ticks_ms()
        while station.poll(now) or self.server.todo or station.mac._dirty:
            while self.server.todo:
                self.server.work()
        if station.ciase._planned:
            self.clock.after(station.ciase._at_ms - now & MASK, self.poll)

    def polls(self, every_ms):
        """Poll on and on, for what time brings."""
        self.poll()
        self.clock.after(every_ms, self.polls, every_ms)

    def power_off(self):
        self.on = False
        self.modem.reset_chip()
        self.modem.settings = {}
        self.modem.is_up = False

    def power_on(self):
        """A meter that starts: nothing is kept of its registration."""
        self.modem.reset_chip()
        self.llc = type(self.llc)(self.server, self.server.channel(), self.modem.max_data)
        self.channel = self.llc.channel
        self.station = SFSK(self.channel, self.modem, self.llc, self.title, self.random.randrange)
        self.on = True
        self.station.open(self.ticks_ms())
        self.poll()


def full(line, title, definition=DEFINITION, **options):
    """A meter with a server, and the model of a definition."""
    made = small.Meter(definition, handlers=None)
    meter = Meter(line, title, made.server, **options)
    meter.model = made.model
    return meter
