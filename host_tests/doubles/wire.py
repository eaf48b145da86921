# SPDX-License-Identifier: MIT
"""A serial line between a driver and a double, a pin, and the time of both."""


class Pin:
    def __init__(self, value=1):
        self.value = value

    def __call__(self, value=None):
        if value is None:
            return self.value
        self.value = value


class Wire:
    """The host's end, as drivers want it: any, readinto, write. The double has to_host and
    from_host.

    piece: octets that one read hands out at most; room: octets that one write takes at most;
    held: nothing is handed out now, it comes together with what follows.
    """

    def __init__(self):
        self.to_host = bytearray()
        self.from_host = bytearray()
        self.piece = self.room = 1 << 20
        self.held = False
        self.written = self.read = 0

    def any(self):
        return 0 if self.held else len(self.to_host)

    def readinto(self, buf):
        n = min(self.any(), len(buf), self.piece)
        if not n:
            return None
        buf[:n] = self.to_host[:n]
        del self.to_host[:n]
        self.read += n
        return n

    def write(self, buf, pos, n):
        n = min(n, self.room)
        self.from_host += buf[pos : pos + n]
        self.written += n
        return n or None

    def heard(self):
        """All that the host has written since."""
        octets = bytes(self.from_host)
        self.from_host.clear()
        return octets


class Bench:
    """A driver and its double, or several, and a clock. Events are written down as (ms, driver,
    event, what was there then)."""

    def __init__(self, *pairs, step_ms=1, start_ms=0x3FFFF000):
        # The clock wraps soon.
        self.pairs = pairs
        self.step_ms = step_ms
        self.ticks = start_ms
        self.passed_ms = 0
        self.events = []

    def now(self):
        return self.ticks & 0x3FFFFFFF

    def open(self):
        for modem, _ in self.pairs:
            modem.open(self.now())

    def turn(self):
        self.ticks += self.step_ms
        self.passed_ms += self.step_ms
        for number, (modem, double) in enumerate(self.pairs):
            double.turn(self.passed_ms)
            for _ in range(20):
                event = modem.poll(self.now())
                if not event:
                    break
                self.events.append((self.passed_ms, number, event, self._what(modem, event)))
            else:
                raise AssertionError("poll() never comes to an end")

    def _what(self, modem, event):
        if event == DATA:
            return bytes(modem.buf[modem.pos : modem.end])
        return modem.status

    def run(self, ms):
        end = self.passed_ms + ms
        while self.passed_ms < end:
            self.turn()
        return self

    def until(self, event, limit_ms, number=0):
        """Run until a driver says so; what was there then."""
        known = len(self.events)
        end = self.passed_ms + limit_ms
        while self.passed_ms < end:
            self.turn()
            for found in self.events[known:]:
                if found[1:3] == (number, event):
                    return found[3]
            known = len(self.events)
        raise AssertionError("no event %d in %d ms, but %r" % (event, limit_ms, self.events[-5:]))

    def names(self, number=0):
        return [NAMES[e[2]] for e in self.events if e[1] == number]


NOTHING, UP, DOWN, DATA, CONFIRM, FAULT = range(6)
NAMES = ("", "UP", "DOWN", "DATA", "CONFIRM", "FAULT")
