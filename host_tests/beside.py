# SPDX-License-Identifier: MIT
"""A meter in this process, and lines to it for tools/conforming: time passes only where a client
waits, so that a run takes as long as its octets.

player(reference(), "hdlc") plays cases against the reference meter.
"""

import types

import small
from conforming.lines import Closed
from conforming.player import POLICY, Player
from conforming.target import Target

import sheet as sheets
from firmware import app, store
from firmware.links import make, settings
from firmware.ports import cpython
from cosem.local_port import LocalPort
from profiles.hdlc import HDLC
from profiles.iec62056_21 import TariffDevice
from profiles.wrapper import Wrapper

OPTICAL = small.HERE.parent / "firmware" / "definitions" / "optical.toml"
SMALL = small.HERE / "definitions" / "small.toml"
RESIDENTIAL = small.HERE.parent / "firmware" / "definitions" / "residential.toml"
START = 13675680
_STEP_MS = 500
_QUICK_MS = 20
_INFO_LEN = 256


class Line:
    """A connection of tools/conforming/lines.py to one profile of a meter; each open() is one."""

    quiet_s = 0.5

    def __init__(self, profile, server, tick=None):
        self.profile, self.server = profile, server
        self.tick = tick or (lambda ms: None)
        self.now_ms = 1000
        # An optical port reacts in time.
        self.step_ms = _QUICK_MS if hasattr(profile, "baud") else _STEP_MS
        self._out = b""
        self._in = b""
        self._up = False
        # What becomes of octets on their way, to the meter and from it: broken.py.
        self.inward = self.outward = lambda octets: octets

    # As firmware/links/settings.py sees a link.
    name = "hdlc-tcp"
    number = told = 0
    gate = None

    def profiles(self):
        return [self.profile]

    def open(self):
        self.profile.reset()
        self._in = self._out = b""
        self._up = True

    def close(self):
        if self._up:
            self.profile.reset()
        self._up = False

    def settings(self, rate, parity=False):
        pass

    def write(self, octets):
        if not self._up:
            raise Closed("The meter has closed the connection.")
        self._in += self.inward(octets)
        self._turn()

    def read(self, seconds):
        if not self._up:
            raise Closed("The meter has closed the connection.")
        if not self._out:
            self.wait(seconds, heard=True)
        octets, self._out = self._out, b""
        if not octets and self.profile.closed:
            self.close()
            raise Closed("The meter has closed the connection.")
        return octets

    def wait(self, seconds, heard=False):
        """Time passes; heard: until something is said."""
        end = self.now_ms + max(1, int(seconds * 1000))
        while self.now_ms < end and not (heard and self._out):
            step = min(self.step_ms, end - self.now_ms)
            self.now_ms += step
            self.tick(step)
            # A link looks after its profile more often than that.
            self.profile.tick(self.now_ms)
            self.profile.tick(self.now_ms)
            self._turn()

    def _turn(self):
        """What a link does, until neither side goes on."""
        stuck = 0
        while stuck < 3 and not self.profile.closed:
            pos = 0
            if self._in:
                buf = bytearray(self._in)
                pos = self.profile.receive(buf, 0, len(buf), self.now_ms)
                self._in = self._in[pos:]
            n = self.profile.transmit(self.now_ms)
            if n:
                at = self.profile.out_pos
                self._out += self.outward(bytes(self.profile.out[at : at + n]))
            elif self.server.todo:
                self.server.work()
            stuck = 0 if pos or n else stuck + 1
        if self.profile.closed:
            self._in = b""


def optical(meter, definition):
    """The profile of an optical port, as firmware/links/optical.py makes it."""
    hdlc = make._hdlc(meter, _INFO_LEN)
    hdlc.links[0].channel.gate = meter.server.guard.gate(definition.OPTICAL[0])
    data = LocalPort(meter.server, hdlc.links[0].channel, definition.OPTICAL)
    return TariffDevice(hdlc, data, False)


def profile_of(server, kind, info_len=_INFO_LEN):
    channel = server.channel()
    return Wrapper(server, channel) if kind == "wrapper" else HDLC(server, channel, info_len)


class Reference:
    """The meter of a definition with its program, as firmware/main.py makes it."""

    def __init__(self, definition=RESIDENTIAL):
        self.packed = packed = types.SimpleNamespace(**small.packed(definition))
        self.meter = app.build(packed, store.RAMStorage(), cpython, 1, START, 0, 0)
        self.description = sheets.sheet(packed, [])
        self.server = self.meter.server
        self._lines = {}

    def line(self, kind):
        if kind not in self._lines:
            if kind == "optical":
                profile = optical(self.meter, self.packed)
            elif kind == "hdlc":
                profile = make._hdlc(self.meter, _INFO_LEN)
            else:
                profile = profile_of(self.server, kind)
            self._lines[kind] = Line(profile, self.server, self._tick)
        return self._lines[kind]

    def _tick(self, ms):
        self.server.guard.tick(ms)
        if self.meter.setup_changed:
            self.meter.setup_changed = False
            settings.apply(
                self.meter.model, [self._lines["hdlc"]] if "hdlc" in self._lines else []
            )

    def passes(self, hours):
        """Time, with all that happens in it."""
        for _ in range(hours):
            self.meter.program.step(3600)
        return self

    def player(self, kind, may=POLICY, **how):
        target = Target(self.description)
        how.setdefault("over_tcp", kind == "wrapper")
        return Player(target, self.line(kind), kind, may, patience_s=1, **how)


class Small(Reference):
    """The meter of small.py. Its description has these clients, and the public one."""

    def __init__(self, server_sap, *clients, path=SMALL):
        self.meter = small.Meter(path)
        self.server = self.meter.server
        self._lines = {}
        self.description = sheets.sheet(types.SimpleNamespace(**small.packed(path)), [])
        self.description["associations"] = [
            a
            for a in self.description["associations"]
            if a["client_sap"] in (16, *clients) and a["server_sap"] == server_sap
        ]

    def _tick(self, ms):
        self.server.guard.tick(ms)
