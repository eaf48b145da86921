# SPDX-License-Identifier: MIT
"""Meters for simulated networks: the real profile, with the real server or with none behind it."""

import functools
import random
import types
from pathlib import Path

import tables
from cosem.model import Model
from dlms.server import Server
from profiles.llc_432 import LLC432
from profiles.sfsk import SFSK

from firmware.links import plc
from firmware.ports import cpython
from plc.sfsk import MASK, Modem

DEFINITION = Path(__file__).parent.parent / "definitions/sfsk.toml"


@functools.lru_cache(maxsize=None)
def packed(path):
    """The packed tables of a definition, as the generated module would hold them."""
    names = vars(tables.compile(str(path)))
    return {k.upper(): v for k, v in names.items() if not k.startswith("_")}


class Made:
    """A model and its server, without ciphers."""

    def __init__(self, path):
        self.model = Model(types.SimpleNamespace(**packed(path)))
        self.model.random_fill = cpython.random_fill
        self.server = Server(self.model)
        self.model.start()


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

    made       has a model and a server, None: nothing is behind it
    offset_ms  its ticks at the start: the clock of a real one wraps
    """

    def __init__(self, line, title, made=None, hdlc=False, seed=None, offset_ms=0):
        self.line = line
        self.clock = line.clock
        self.title = title
        self.made = made
        self.hdlc = hdlc
        self.server = made.server if made else NoServer()
        self.model = made.model if made else None
        self.modem = Modem(line)
        self.modem.host = self
        self.offset_ms = offset_ms
        self.random = random.Random(title if seed is None else seed)
        if made:
            made.model.random = self.random.randrange
            made.model.on_setup = lambda row: plc.configure_sfsk(self.model, self.station)
        self.power_on()

    def power_on(self):
        """The firmware starts: nothing is kept of its registration."""
        if self.made:
            self.station = plc.sfsk(self.made, self.modem, self.hdlc)
            self.station.ciase.title = self.title
        else:
            channel = self.server.channel()
            llc = LLC432(self.server, channel, self.modem.max_data)
            self.station = SFSK(channel, self.modem, llc, self.title, self.random.randrange)
        self.on = True
        self.station.open(self.ticks_ms())
        self.poll()

    @property
    def llc(self):
        return self.station.llc

    @property
    def channel(self):
        return self.station.channel

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
        while station.poll(now) or self.server.todo or station.mac.dirty:
            while self.server.todo:
                self.server.work()
        if station.ciase.planned:
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


def full(line, title, definition=DEFINITION, **options):
    """A meter with a server, the model of a definition, and its setup objects at work."""
    return Meter(line, title, Made(definition), **options)
