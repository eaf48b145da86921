# SPDX-License-Identifier: MIT
"""The paths by which the meter sends unasked: what cosem/notifier.py hands over goes out through a
link that is open already.

    TCP    a free place of the wrapper-tcp link, on a connection that the meter opens. It stays
           for 5 s after that, for the next notification to the same destination, and for a client
           that opens an association on it: then it is a connection like any other
    UDP    the socket of the wrapper-udp link; nobody says whether it arrives
    HDLC   a UI frame on the first hdlc link where somebody can listen, when the line is free; an
           APDU that is longer than an information field goes there in general blocks, a frame
           each, if its client may have them, else not at all
    to an association    through the profile that it is open on

What a destination does, and what the notifier hears of it (tested from this table):

    takes all octets                            gone
    refuses, or there is no way to it           broken, at once
    neither takes nor refuses the connection    broken after 20 s, and it is closed
    takes the connection, but not the octets    likewise
    closes before it has taken all              broken
    closes, or talks nonsense, after that       gone; if it was to confirm: is_lost()
    a line that is not free for 20 s            broken, and the frame is taken back
    an APDU that is too long for a frame        never
    no such link, no place, nobody on the line  is_ready() is not true: nothing is tried

Nothing here waits. Loaded when something is to be sent; begin() and tell() allocate.
"""

from cosem.push_setup import host_end
from micropython import const

_TCP = const(0)
_UDP = const(1)

# What becomes of an APDU, see notifier.py.
_BUSY = const(0)
_GONE = const(1)
_BROKEN = const(2)
_NEVER = const(3)
_NOT_NOW = const(-1)

_DEFAULT_PORT = const(4059)
_PATIENCE_MS = const(20000)
_LINGER_MS = const(5000)
_LLC_LEN = const(3)
_TICKS_MASK = const(0x3FFFFFFF)


def split(destination):
    """(host, port number) of a destination, which push_setup.py has found good."""
    at = host_end(destination, 0, len(destination))
    number = int(destination[at + 1 :]) if at < len(destination) else _DEFAULT_PORT
    if destination[0] == ord("["):
        return destination[1 : at - 1].decode(), number
    return destination[:at].decode(), number


class Paths:
    """links: all of the meter; they are polled by the main loop, not here."""

    def __init__(self, port, poller, links):
        self.port = port
        self.poller = poller
        self.links = links
        self.now_ms = port.ticks_ms()
        self._since_ms = 0
        self._place = None  # the place of our connection
        self._destination = None
        self._stream = None  # of the place, while it is ours
        self._held = False  # begin() has been called, and stop() not yet
        self._lost = False  # our connection was closed meanwhile
        self._hdlc = None  # the stream whose profile has a notification
        self._waits = False  # tell() has been asked

    def _link(self, name):
        for link in self.links:
            if link.name == name:
                return link
        return None

    def poll(self, now_ms):
        """Time has passed."""
        self.now_ms = now_ms
        place = self._place
        if place is None:
            return
        if place.stream is not self._stream:
            self._lost = True
            self._place = self._stream = None
        elif self._passed(_LINGER_MS) and not self._held:
            self._close()

    def _close(self):
        """We need our connection no more; whoever has an association on it goes on."""
        if self._alive() and not self._place.profile.channel.in_use():
            self._place.detach()
        self._place = self._stream = None

    def _passed(self, ms):
        return (self.now_ms - self._since_ms) & _TICKS_MASK >= ms

    def is_idle(self):
        return self._place is None and self._hdlc is None

    # --- Push ---------------------------------------------------------------------------------

    def is_ready(self, service):
        """Is there a path of this kind now?"""
        if service == _TCP:
            link = self._link("wrapper-tcp")
            return link is not None and (self._alive() or link.free() is not None)
        if service == _UDP:
            link = self._link("wrapper-udp")
            return link is not None and link.free() is not None
        return self._line() is not None

    def begin(self, service, destination, client_sap, server_sap, buf, pos, n):
        """Send the APDU buf[pos:pos + n]; what becomes of it, busy: outcome() will say."""
        self._since_ms = self.now_ms
        self._held = True
        self._lost = False
        if service == _TCP:
            return self._by_tcp(destination, client_sap, server_sap, buf, pos, n)
        if service == _UDP:
            link = self._link("wrapper-udp")
            try:
                address = self.port.address(*split(destination))
            except OSError:
                return _BROKEN
            sent = link.notify(address, client_sap, server_sap, buf, pos, n, self.now_ms)
            return _GONE if sent else _BROKEN
        stream = self._line()
        if n + _LLC_LEN > stream.profile.capacity:
            return _NEVER
        if not stream.profile.notify(client_sap, server_sap, buf, pos, n, True):
            return _BROKEN
        self._hdlc = stream
        stream.ready = True
        return _BUSY

    def room(self):
        """Octets that an APDU has at most for the path that has just said never."""
        return self._line().profile.capacity - _LLC_LEN

    def _alive(self):
        """Is there a connection of ours that somebody may still listen on?"""
        return self._place is not None and self._place.stream is self._stream

    def _by_tcp(self, destination, client_sap, server_sap, buf, pos, n):
        if destination != self._destination:
            self._close()
        place = self._place
        if not self._alive():
            self._place = None
            place = self._link("wrapper-tcp").free()
            if place is None:
                return _BROKEN
            try:
                stream = self.port.connect(*split(destination))
            except OSError:
                return _BROKEN
            place.attach(stream, self.poller, self.now_ms)
            self._place = place
            self._stream = stream
            self._destination = destination
        if not place.profile.notify(client_sap, server_sap, buf, pos, n):
            return _BROKEN
        place.ready = True
        return _BUSY

    def outcome(self):
        """What has become of the one that begin() took."""
        if self._hdlc is not None:
            profile = self._hdlc.profile
            if self._hdlc.stream is None:
                self._hdlc = None
                return _BROKEN
            if profile.note_buf is None and self._hdlc.is_written():
                self._hdlc = None
                return _GONE
        elif not self._alive():
            return _BROKEN
        elif not self._place.profile.is_sending() and self._place.is_written():
            return _GONE
        return _BROKEN if self._passed(_PATIENCE_MS) else _BUSY

    def is_lost(self):
        """Can nobody answer any more to the one that begin() took?"""
        return self._lost or (self._place is not None and not self._alive())

    def stop(self, done):
        """Nothing more is expected of the one that begin() took; done: it is where it should."""
        if self._hdlc is not None:
            self._hdlc.profile.note_buf = None
            self._hdlc = None
        if self._held and not done:
            self._close()
        self._held = False
        self._since_ms = self.now_ms

    # --- Associations -------------------------------------------------------------------------

    def tell(self, a, buf, pos, n):
        """Send the APDU to the client of association a; what became of it, or not now."""
        if not self._waits:
            self._waits = True
            self._since_ms = self.now_ms
        code = self._tell(a, buf, pos, n)
        if code == _NOT_NOW and self._passed(_PATIENCE_MS):
            code = _BROKEN
        self._waits = code == _NOT_NOW
        return code

    def _tell(self, a, buf, pos, n):
        for link in self.links:
            if link.name == "wrapper-udp":
                for place in link.places:
                    if place.profile.channel is a.channel:
                        address = place.address
                        args = (address, a.client_sap, a.server_sap, buf, pos, n, self.now_ms)
                        return _GONE if link.notify(*args) else _NOT_NOW
                continue
            for stream in _streams(link):
                profile = stream.profile
                if link.name[:4] != "hdlc":
                    if profile.channel is not a.channel:
                        continue
                    took = profile.notify(a.client_sap, a.server_sap, buf, pos, n)
                elif all(x.channel is not a.channel for x in profile.links):
                    continue
                elif n + _LLC_LEN > profile.capacity:
                    return _NEVER
                else:
                    took = profile.notify(a.client_sap, a.server_sap, buf, pos, n, True)
                stream.ready = True
                return _GONE if took else _NOT_NOW
        return _BROKEN

    def _line(self):
        """The first serial line, or connection in its place, where a frame can go."""
        for link in self.links:
            if link.name[:4] == "hdlc":
                for stream in _streams(link):
                    if stream.stream is not None and stream.profile.note_buf is None:
                        return stream
        return None


def _streams(link):
    """Of a listener its places, else the link itself."""
    return getattr(link, "places", None) or (link,)
