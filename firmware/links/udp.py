# SPDX-License-Identifier: MIT
"""The wrapper over UDP (IEC 62056-4-7): a datagram is a wpdu, and so is its answer.

An association belongs to the peer's address and port. There are a few places for peers; when a new
peer comes and all are taken, the one that has been quiet longest loses its associations.
"""

from micropython import const

_DATAGRAM_LEN = const(2048)
_TICKS_MASK = const(0x3FFFFFFF)


class Place:
    def __init__(self, profile, trace):
        self.profile = profile
        self.trace = trace
        self.address = None
        self.heard_ms = 0


class Endpoint:
    def __init__(self, port, name, host, number, profiles, traces=None):
        self.port = port
        self.name = name
        self.host = host
        self.number = number
        self.address = None
        self.ready = False
        self.places = [Place(p, traces[i] if traces else None) for i, p in enumerate(profiles)]
        self._endpoint = None
        self._poller = None

    def open(self, poller):
        self._endpoint, self.number = self.port.udp(self.host, self.number)
        self.address = "%s:%d" % (self.host, self.number)
        self._poller = poller
        poller.add(self._endpoint, self)

    def profiles(self):
        return [place.profile for place in self.places]

    def poll(self, now_ms):
        for place in self.places:
            place.profile.tick(now_ms)
        if not self.ready:
            return
        # Once a report: a failed recvfrom costs an exception, the poller's next report does not.
        self.ready = False
        got = self.port.recvfrom(self._endpoint, _DATAGRAM_LEN)
        if got is None or not got[0]:
            return
        place = self._place(got[1], now_ms)
        place.heard_ms = now_ms
        end = len(got[0])
        if place.trace is not None:
            place.trace.received(got[0], 0, end)
        self._serve(place, got[0], end, got[1], now_ms)

    def _place(self, address, now_ms):
        oldest = None
        for place in self.places:
            if place.address == address:
                return place
            if oldest is None or (
                oldest.address is not None
                and (
                    place.address is None
                    or (now_ms - place.heard_ms) & _TICKS_MASK
                    > (now_ms - oldest.heard_ms) & _TICKS_MASK
                )
            ):
                oldest = place
        oldest.profile.reset()
        oldest.address = address
        return oldest

    def _serve(self, place, buf, end, address, now_ms):
        profile = place.profile
        profile.receive(buf, 0, end, now_ms)
        n = profile.transmit(now_ms)
        while n:
            if place.trace is not None:
                place.trace.sent(profile.out, profile.out_pos, n)
            self.port.sendto(self._endpoint, profile.out, profile.out_pos, n, address)
            n = profile.transmit(now_ms)

    def wait_ms(self):
        return 0 if self.ready else 1000

    def close(self):
        if self._endpoint is not None:
            self._poller.remove(self._endpoint)
            self.port.close(self._endpoint)
            self._endpoint = None
