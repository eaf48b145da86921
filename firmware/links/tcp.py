# SPDX-License-Identifier: MIT
"""A TCP port that serves a fixed number of connections at once (IEC 62056-4-7: we listen).

One connection more than there are places for, or than `limit` allows, is closed at once. Peers
that vanished do not keep their places: the profile asks to close after its inactivity time-out.
While the port is locked nobody new comes in, see dlms/guard.py.
"""

from firmware.links.stream import Stream


class Listener:
    gate = None
    told = None  # TCP-UDP_port as it was last: another one is where to move

    def __init__(self, port, name, host, number, profiles, chunk_len, timed, traces=None):
        """profiles: one a place. traces: one a place, or None."""
        self.port = port
        self.name = name
        self.host = host
        self.number = number
        self.limit = len(profiles)
        self.ready = False
        self.places = [
            Stream(port, p, chunk_len, timed, traces[i] if traces else None)
            for i, p in enumerate(profiles)
        ]
        self._listener = None
        self._poller = None

    def open(self, poller):
        self._listener, self.number = self.port.listen(self.host, self.number)
        self._poller = poller
        poller.add(self._listener, self)

    @property
    def address(self):
        return ("[%s]:%d" if ":" in self.host else "%s:%d") % (self.host, self.number)

    def move(self, number):
        """To another port; who is connected stays. False: that one cannot be had."""
        was = self._listener
        try:
            self._listener, self.number = self.port.listen(self.host, number)
        except OSError:
            return False
        self._poller.remove(was)
        self.port.close(was)
        self.ready = False
        self._poller.add(self._listener, self)
        return True

    def profiles(self):
        return [place.profile for place in self.places]

    def poll(self, now_ms):
        if self.ready:
            self.ready = False
            self._accept(now_ms)
        if self.gate is not None and self.gate.shut():
            for place in self.places:
                place.detach()
            return
        for place in self.places:
            if place.stream is not None:
                place.poll(now_ms)

    def _accept(self, now_ms):
        # One a turn: the poller reports the listener again if more are waiting.
        got = self.port.accept(self._listener)
        if got is None:
            return
        free = self.free()
        if free is not None:
            free.attach(got[0], self._poller, now_ms)
        else:
            self.port.close(got[0])

    def free(self):
        """The place for one more connection, or None."""
        free = None
        n = 0
        for place in self.places:
            if place.stream is not None:
                n += 1
            elif free is None:
                free = place
        if self.gate is not None and self.gate.status:
            return None
        return free if n < self.limit else None

    def wait_ms(self):
        ms = 1000
        for place in self.places:
            n = place.wait_ms()
            if n < ms:
                ms = n
        return ms

    def close(self):
        for place in self.places:
            place.detach()
        if self._listener is not None:
            self._poller.remove(self._listener)
            self.port.close(self._listener)
            self._listener = None
