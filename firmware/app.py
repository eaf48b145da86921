# SPDX-License-Identifier: MIT
"""A meter put together: model, server, storage, program and clock, in the order that they need.

build() makes one; main.py gives it links and time. Two meters in one process are two calls. All of
it may allocate: what requests need is allocated here, once.
"""

import sys

from micropython import const

_TICKS_MASK = const(0x3FFFFFFF)
# Of fast time at most so much passes between two looks at the links.
_STEP_MS = const(60000)
_SECOND_MS = const(1000)
# Event codes, see meter/events.py.
_MEMORY_ERROR = const(14)
_AUTHENTICATION_FAILED = const(46)


class Meter:
    """model, server, program, storage; tick() makes the meter's time pass."""

    def __init__(self, model, server, program, storage, now_ms, speed):
        self.model = model
        self.server = server
        self.program = program
        self.storage = storage
        self.speed = speed
        self.record = None  # see build()
        # A client has changed a setup object; main.py hands it on to the links, and resets this.
        self.setup_changed = True
        self._last_ms = now_ms
        self._owed_ms = 0  # time of the meter that has not passed yet
        model.on_setup = self._set_up
        server.on_authentication_failed = self._refused

    def _set_up(self, row):
        self.setup_changed = True

    def _refused(self, association):
        self.model.event(_AUTHENTICATION_FAILED)

    def tick(self, now_ms):
        """Let the time pass that is due. now_ms: ticks of the port.

        With a speed that the processor cannot follow, what it cannot do is dropped rather than
        piled up: the clock runs as fast as it can.
        """
        self._owed_ms += ((now_ms - self._last_ms) & _TICKS_MASK) * self.speed
        self._last_ms = now_ms
        step_ms = self._owed_ms
        if step_ms > _STEP_MS:
            step_ms = _STEP_MS
            self._owed_ms = min(self._owed_ms, _STEP_MS + _SECOND_MS * self.speed)
        self._owed_ms -= step_ms
        if step_ms:
            self.program.tick(step_ms)

    def wait_ms(self):
        """How long nothing happens if nobody asks: until the next second of the meter."""
        if self._owed_ms >= _SECOND_MS:
            return 0
        if not self.speed:
            return _SECOND_MS
        return _SECOND_MS // self.speed or 1

    def close(self):
        """The orderly end: it is noted, and the state saved."""
        self.program.power_down()
        self.storage.close()


class Tables:
    """What a generated module defines, without the module: what only the start needs can go."""

    def __init__(self, name):
        module = __import__(name)
        for key in dir(module):
            if key[0] != "_":
                setattr(self, key, getattr(module, key))
        del sys.modules[name]

    def shrink(self):
        """Let go of the image's first content and of the sources; the meter is built."""
        self.RAM = b""
        self.SOURCES = ()


def build(
    definition, storage, port, seed=None, start_minute=None, start_second=0, speed=1, record=None
):
    """A meter, ready for links.

    definition    the generated module, or its Tables
    storage       see store.py
    port          see ports/__init__.py
    seed          int: the simulated household, the same for the same seed
    start_minute  UTC minutes since 2000-01-01 00:00; None: the port's clock
    speed         times faster than real time; 0: the clock stands
    record        who the meter is, see provisioning.py; None: who the definition says

    OSError: the storage cannot be used. ValueError: the definition does not fit this program.
    """
    from cosem.model import Model
    from dlms.server import Server
    from firmware.meter.household import Household
    from firmware.meter.program import Program

    storage.prepare(definition)
    model = Model(definition)
    model.storage = storage
    model.random = _Random(port).below
    storage.load(model.image)
    if record is not None:
        record.apply(model)
    model.start()
    clock = model.handler("clock")
    if clock is not None:
        minute = start_minute
        second = start_second
        if minute is None:
            minute, second = port.utc()
        clock.set_utc(minute, second)
    program = Program(model, Household(1 if seed is None else seed))
    server = Server(model)
    meter = Meter(model, server, program, storage, port.ticks_ms(), speed)
    meter.record = record
    if record is not None and not record.good:
        model.event(_MEMORY_ERROR)
    return meter


class _Random:
    """model.random: numbers that nobody can guess."""

    def __init__(self, port):
        self._port = port
        self._octets = bytearray(3)

    def below(self, n):
        """0..n - 1, n <= 65536."""
        self._port.random_fill(self._octets)
        return (self._octets[0] << 16 | self._octets[1] << 8 | self._octets[2]) % n
