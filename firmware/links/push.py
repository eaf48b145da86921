# SPDX-License-Identifier: MIT
"""The paths by which the meter sends unasked: what cosem/notifier.py hands over goes out through a
link that is open already.

    TCP    a free place of the wrapper-tcp link, on a connection that the meter opens. It stays
           for 5 s after that, for the next notification to the same destination, and for a client
           that opens an association on it: then it is a connection like any other
    UDP    the socket of the wrapper-udp link; nobody says whether it arrives
    HDLC   a UI frame on the first hdlc link where somebody can listen, when the line is free, or
           at an optical port while a client has a data link there (mode E, or direct HDLC); an
           APDU that is longer than an information field goes there in general blocks, a frame
           each, if its client may have them, else not at all. In its place a power line, while its
           network has an initiator that has registered the meter (project-defined: PLC has no
           transport_service)
    to an association    through the profile that it is open on

What a destination does, and what the notifier hears of it (tested from this table):

    has a name that nobody knows                broken, as soon as that is said
    has one that nobody answers for             broken after 20 s
    takes all octets                            gone
    refuses, or there is no way to it           broken, at once
    neither takes nor refuses the connection    broken after 20 s, and it is closed
    takes the connection, but not the octets    likewise
    closes before it has taken all              broken
    closes, or talks nonsense, after that       gone; if it was to confirm: is_lost()
    a line that is not free for 20 s            broken, and the frame is taken back
    a line that goes away, or a session that    broken
         ends at an optical port
    an APDU that is too long for a frame        never
    no such link, no place, nobody on the line  is_ready() is not true: nothing is tried

If the layer below is to confirm (push_operation_method 1), what was taken is gone only when it
has; tested from this table, too:

    TCP, all octets are acknowledged            gone, closed after that or not
         not within 20 s                        broken
         closed or reset before                 broken
         the port cannot say (unacknowledged()  gone after 2 s, or when the other side closes
         is -1)                                 in order before that; broken if it resets
    UDP  the socket has taken the datagram      gone
    HDLC the frame was written                  gone
    PLC  the modem has sent it                  gone
         it has not, or there is no initiator   broken
         any more

Uncertain, from memory alone: that TCP confirms what the other side has acknowledged, and that UDP
and the UI frames of HDLC confirm what they have sent, so that for them 1 is as 0. Project-defined:
what a port that cannot see acknowledgements takes for one.

A name is looked up for each connection and datagram, by the port: CPython's does it beside the
main loop, others wait for it, see ports/__init__.py; `look_up = false` in the limits of a
definition keeps names out. Nothing else waits. Loaded when something is to be sent; begin() and
tell() allocate.
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
_SETTLE_MS = const(2000)
_LLC_LEN = const(3)
_WITH_FRAMES = ("hdlc", "opti")  # links, by the first letters of their names
_TICKS_MASK = const(0x3FFFFFFF)


def split(destination):
    """(host, port number) of a destination, which push_setup.py has found good."""
    at = host_end(destination, 0, len(destination))
    number = int(destination[at + 1 :]) if at < len(destination) else _DEFAULT_PORT
    if destination[0] == ord("["):
        return destination[1 : at - 1].decode(), number
    return destination[:at].decode(), number


def is_name(host):
    """Does the host have to be looked up?"""
    return not (":" in host or host.replace(".", "").isdigit())


class Paths:
    """links: all of the meter; they are polled by the main loop, not here."""

    def __init__(self, port, poller, links):
        self.port = port
        self.poller = poller
        self.links = links
        self.now_ms = port.ticks_ms()
        self._since_ms = 0
        self._place = None  # the place of our connection, while it is there
        self._destination = None
        self._held = False  # begin() has been called, and stop() not yet
        self._lost = False  # our connection was closed meanwhile
        self._end = _BROKEN  # and what had become of the APDU then
        self._waiting = None  # what begin() has taken, until a connection or datagram has it
        self._host = self._number = None  # of the destination
        self._lookup = None  # while its host is looked up
        self._acknowledged = False  # the layer below is to confirm
        self._written = False  # all octets have been
        self._hdlc = None  # the stream on which begin() has put frames
        self._plc = None  # the station that has taken what begin() was given
        self._waits = False  # tell() has been asked

    def _link(self, name):
        for link in self.links:
            if link.name == name:
                return link
        return None

    def poll(self, now_ms):
        """Time has passed."""
        self.now_ms = now_ms
        if self._place is not None and not self._held and self._passed(_LINGER_MS):
            self._close()

    def _close(self):
        """We need our connection no more; whoever has an association on it goes on."""
        place = self._place
        if place is not None:
            self._place = place.on_end = None
            if not place.profile.channel.in_use():
                place.detach()

    def _ended(self, broken):
        """Our connection is being closed, by the other side or for what it has said."""
        self._lost = True
        self._end = _BROKEN
        if self._waiting is None and self._is_out():
            n = self._unacknowledged()
            if not n or n < 0 and not broken:
                self._end = _GONE
        self._waiting = None
        self._place.on_end = None
        self._place = None

    def _is_out(self):
        """Has the connection taken all that it was given?"""
        return not self._place.profile.is_sending() and self._place.is_written()

    def _unacknowledged(self):
        """Octets that the layer below has not confirmed and should; -1: nobody can say."""
        return self.port.unacknowledged(self._place.stream) if self._acknowledged else 0

    def _passed(self, ms):
        return (self.now_ms - self._since_ms) & _TICKS_MASK >= ms

    def is_idle(self):
        return self._place is None and self._hdlc is None and self._plc is None

    # --- Push ---------------------------------------------------------------------------------

    def is_ready(self, service):
        """Is there a path of this kind now?"""
        if service == _TCP:
            link = self._link("wrapper-tcp")
            return link is not None and (self._place is not None or link.free() is not None)
        if service == _UDP:
            link = self._link("wrapper-udp")
            return link is not None and link.free() is not None
        return self._station() is not None or self._line() is not None

    def begin(self, service, destination, acknowledged, client_sap, server_sap, buf, pos, n):
        """Send the APDU buf[pos:pos + n]; what becomes of it, busy: outcome() will say.
        acknowledged: the layer below is to confirm."""
        self._since_ms = self.now_ms
        self._held = True
        self._lost = self._written = False
        self._acknowledged = acknowledged
        if service != _TCP and service != _UDP:
            return self._by_hdlc(client_sap, server_sap, buf, pos, n)
        self._waiting = service, client_sap, server_sap, buf, pos, n
        if service == _UDP or destination != self._destination or self._place is None:
            if service == _TCP:
                self._close()
                self._destination = destination
            self._host, self._number = split(destination)
            if is_name(self._host):
                try:
                    self._lookup = self.port.look_up(self._host, ":" in self._by(service).host)
                except OSError:
                    return _BROKEN
        return self.outcome()

    def _by(self, service):
        return self._link("wrapper-tcp" if service == _TCP else "wrapper-udp")

    def _go_on(self):
        """Send what waits, if its host is known and there is a place."""
        service, client_sap, server_sap, buf, pos, n = self._waiting
        if self._lookup is not None:
            self._host = self.port.found(self._lookup)
            if self._host is None:
                return _BUSY
            self._lookup = None
            self._since_ms = self.now_ms
        link = self._by(service)
        if service == _UDP:
            to = self.port.address(self._host, self._number)
            sent = link.notify(to, client_sap, server_sap, buf, pos, n, self.now_ms)
            return _GONE if sent else _BROKEN
        place = self._place
        if place is None:
            place = link.free()
            if place is None:
                return _BUSY
            place.attach(self.port.connect(self._host, self._number), self.poller, self.now_ms)
            place.on_end = self._ended
            self._place = place
        # Not while somebody who has an association there is answered.
        if place.profile.notify(client_sap, server_sap, buf, pos, n):
            self._waiting = None
            place.ready = True
        return _BUSY

    def _by_hdlc(self, client_sap, server_sap, buf, pos, n):
        station = self._station()
        if station is not None:
            if n > station.capacity:
                return _NEVER
            if not station.notify(client_sap, server_sap, buf, pos, n):
                return _BROKEN
            self._plc = station
            return _BUSY
        stream = self._line() if self._hdlc is None else self._hdlc
        frames = _frames(stream)
        if frames is None:
            return _BROKEN
        if n + _LLC_LEN > frames.capacity:
            return _NEVER
        if not frames.notify(client_sap, server_sap, buf, pos, n, True):
            return _BROKEN
        self._hdlc = stream
        stream.ready = True
        return _BUSY

    def room(self):
        """Octets that an APDU has at most for the path that has just said never."""
        station = self._station()
        return _frames(self._line()).capacity - _LLC_LEN if station is None else station.capacity

    def outcome(self):
        """What has become of the one that begin() took."""
        if self._waiting is not None:
            try:
                code = self._go_on()
            except OSError:
                return _BROKEN
            if code != _BUSY:
                return code
        elif self._plc is not None:
            if not self._plc.is_notifying():
                return _GONE if self._plc.llc.note_good else _BROKEN
        elif self._hdlc is not None:
            frames = _frames(self._hdlc)
            if frames is None:
                return _BROKEN
            if frames.note_buf is None and self._hdlc.is_written():
                return _GONE
        elif self._place is None:
            return self._end
        elif self._is_out():
            n = self._unacknowledged()
            if not n:
                return _GONE
            if not self._written:
                self._written = True
                self._since_ms = self.now_ms
            if n < 0 and self._passed(_SETTLE_MS):
                return _GONE
        return _BROKEN if self._passed(_PATIENCE_MS) else _BUSY

    def is_lost(self):
        """Can nobody answer any more to the one that begin() took?"""
        return self._lost

    def stop(self, done):
        """Nothing more is expected of the one that begin() took; done: it is where it should."""
        if self._hdlc is not None:
            _hdlc_of(self._hdlc).note_buf = None
            self._hdlc = None
        if self._plc is not None:
            self._plc.llc.forget_note()
            self._plc = None
        if self._held and not done:
            self._close()
        self._held = False
        self._lookup = self._waiting = None
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
                if link.name[:4] not in _WITH_FRAMES:
                    profile = stream.profile
                    if getattr(profile, "channel", None) is not a.channel:
                        continue
                    if link.name[:4] == "plc-" and n > profile.capacity:
                        return _NEVER
                    took = profile.notify(a.client_sap, a.server_sap, buf, pos, n)
                else:
                    profile = _frames(stream)
                    if profile is None or all(x.channel is not a.channel for x in profile.links):
                        continue
                    if n + _LLC_LEN > profile.capacity:
                        return _NEVER
                    took = profile.notify(a.client_sap, a.server_sap, buf, pos, n, True)
                stream.ready = True
                return _GONE if took else _NOT_NOW
        return _BROKEN

    def _station(self):
        """The first power line with an initiator that hears what is sent unasked."""
        for link in self.links:
            if link.name[:4] == "plc-" and link.profile.can_notify():
                return link.profile
        return None

    def _line(self):
        """The first serial line, or connection in its place, where a frame can go."""
        for link in self.links:
            if link.name[:4] in _WITH_FRAMES:
                for stream in _streams(link):
                    frames = _frames(stream)
                    if frames is not None and frames.note_buf is None:
                        return stream
        return None


def _hdlc_of(stream):
    profile = getattr(stream.profile, "profile", stream.profile)  # what is behind links/line.py
    return getattr(profile, "hdlc", profile)  # what is behind that of an optical port


def _frames(stream):
    """The HDLC profile of what goes over a stream now; None: it is something else, or nothing."""
    if stream is None or stream.stream is None:
        return None
    profile = getattr(stream.profile, "profile", stream.profile)
    hdlc = _hdlc_of(stream)
    if hdlc is profile or profile.is_binary() and profile.is_linked():
        return hdlc
    return None


def _streams(link):
    """Of a listener its places, else the link itself."""
    return getattr(link, "places", None) or (link,)
