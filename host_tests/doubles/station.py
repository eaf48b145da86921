# SPDX-License-Identifier: MIT
"""A meter with its server, a profile, a driver and the double of its modem, in virtual time."""

import small

MASK = 0x3FFFFFFF


class Station:
    """make(meter, modem) gives the profile's station; say() is how a client's APDU gets to the
    double, heard() what it has sent since."""

    def __init__(self, definition, modem, double, make, step_ms=2):
        self.meter = small.Meter(small.HERE / "definitions" / definition, handlers=None)
        self.modem, self.double = modem, double
        self.station = make(self.meter)
        self.meter.model.plc = {self.station.name: self.station}
        self.step_ms = step_ms
        self.passed_ms = 0
        self.station.open(self.now())

    def now(self):
        return self.passed_ms + 0x3FFFF000 & MASK

    def turn(self):
        self.passed_ms += self.step_ms
        self.double.turn(self.passed_ms)
        server = self.meter.server
        for _ in range(50):
            again = self.station.poll(self.now())
            while server.todo:
                server.work()
                again = True
            if not again:
                break
        assert server.fault is None

    def run(self, ms):
        end = self.passed_ms + ms
        while self.passed_ms < end:
            self.turn()
        return self

    def until(self, done, limit_ms):
        end = self.passed_ms + limit_ms
        while not done():
            assert self.passed_ms < end, "not in %d ms" % limit_ms
            self.turn()
        return self

    def answer(self, limit_ms=5000):
        """What the double sends next."""
        n = len(self.double.sent)
        self.until(lambda: len(self.double.sent) > n, limit_ms)
        return self.double.sent[-1]
