# SPDX-License-Identifier: MIT
"""The wrapper over UDP (IEC 62056-4-7): a datagram is a wpdu, and so is its answer.

An association belongs to the peer's address and port. There are a few places for peers: a new one
gets a place without an open association; if there is none, one in which nothing can be opened, so
that it hears so. All get silence while the port is locked, see dlms/guard.py.
"""

from micropython import const

_HEADER_LEN = const(8)
_VERSION = const(1)
_TICKS_MASK = const(0x3FFFFFFF)


class Place:
    def __init__(self, profile, trace):
        self.profile = profile
        self.trace = trace
        self.address = None
        self.heard_ms = 0


class Group:
    """What is sent to a multicast address."""

    def __init__(self, address, endpoint):
        self.address = address
        self.endpoint = endpoint
        self.ready = False


class Endpoint:
    gate = None
    told = None  # see tcp.py

    def __init__(self, port, name, host, number, profiles, traces=None, make_profile=None):
        """profiles: one a place, all with the same buffers; make_profile: makes one more, for
        what is sent to multicast addresses, and for who finds no place."""
        self.port = port
        self.name = name
        self.host = host
        self.number = number
        self.ready = False
        self.places = [Place(p, traces[i] if traces else None) for i, p in enumerate(profiles)]
        # One octet more than what is taken: a longer datagram is seen to be too long.
        self._longest = len(profiles[0].rx) + 1
        self._endpoint = None
        self._poller = None
        self._make_profile = make_profile
        self.crowd = None  # the profile for all groups
        self.door = None  # the place of those who find no other
        self.groups = []

    def open(self, poller):
        self._endpoint, self.number = self.port.udp(self.host, self.number)
        self._poller = poller
        poller.add(self._endpoint, self)

    @property
    def address(self):
        return ("[%s]:%d" if ":" in self.host else "%s:%d") % (self.host, self.number)

    def move(self, number):
        """To another port; its groups are left. False: that one cannot be had."""
        was = self._endpoint
        try:
            self._endpoint, self.number = self.port.udp(self.host, number)
        except OSError:
            return False
        self._poller.remove(was)
        self.port.close(was)
        self.ready = False
        self._poller.add(self._endpoint, self)
        self.join(())
        return True

    def profiles(self):
        profiles = [place.profile for place in self.places]
        if self.crowd is not None:
            profiles.append(self.crowd)
        return profiles

    def _one_more(self):
        profile = self._make_profile()
        if self.gate is not None:
            profile.channel.gate = self.gate
        return profile

    def join(self, addresses):
        """Hear what is sent to these multicast addresses (four octets each), and to no others.
        Nothing of it is answered."""
        for group in self.groups[:]:
            if group.address not in addresses:
                self._leave(group)
        known = [group.address for group in self.groups]
        for address in addresses:
            if address not in known:
                if self.crowd is None:
                    self.crowd = self._one_more()
                    self.crowd.answers = False
                try:
                    endpoint = self.port.group(self.host, self.number, address)
                except OSError:
                    self.port.out("%s cannot join %d.%d.%d.%d" % ((self.name,) + tuple(address)))
                    continue
                self.groups.append(Group(address, endpoint))
                self._poller.add(endpoint, self.groups[-1])

    def _leave(self, group):
        self._poller.remove(group.endpoint)
        self.port.close(group.endpoint)
        self.groups.remove(group)

    def poll(self, now_ms):
        waits = False
        for place in self.places:
            place.profile.tick(now_ms)
            if place.address is not None:
                # An answer that had to wait.
                self._send(place, now_ms)
                waits = waits or place.profile.waits()
        if self.door is not None:
            self._send(self.door, now_ms)
            waits = waits or self.door.profile.waits()
        # A request that waits is in the buffer of all: what is here by then is that client's.
        if waits or self.crowd is not None and self._hear(now_ms) or not self.ready:
            return
        # Once a report: a failed recvfrom costs an exception, the poller's next report does not.
        self.ready = False
        got = self.port.recvfrom(self._endpoint, self._longest)
        if got is None or not got[0]:
            return
        if self.gate is not None and self.gate.shut():
            return
        place = self._place(got[1], got[0], now_ms)
        if place is None:
            return
        place.heard_ms = now_ms
        end = len(got[0])
        if place.trace is not None:
            place.trace.received(got[0], 0, end)
        self._serve(place, got[0], end, now_ms)

    def _hear(self, now_ms):
        """What has come for many; True: it waits."""
        crowd = self.crowd
        crowd.tick(now_ms)
        crowd.transmit(now_ms)
        for group in self.groups:
            if group.ready and not crowd.waits():
                group.ready = False
                got = self.port.recvfrom(group.endpoint, self._longest)
                if got is not None and not (self.gate is not None and self.gate.shut()):
                    crowd.receive(got[0], 0, len(got[0]), now_ms)
        return crowd.waits()

    def _place(self, address, buf, now_ms):
        """The place of a peer; of a stranger a free one. None: there is none, or it is garbage.

        Nobody loses a place in which an association is open to a stranger.
        """
        free = None
        for place in self.places:
            if place.address == address:
                return place
            if not place.profile.channel.in_use() and (
                free is None
                or (now_ms - place.heard_ms) & _TICKS_MASK > (now_ms - free.heard_ms) & _TICKS_MASK
            ):
                free = place
        if len(buf) <= _HEADER_LEN or buf[0] or buf[1] != _VERSION:
            return None
        if free is None and self._make_profile is not None:
            if self.door is None:
                self.door = Place(self._one_more(), None)
                self.door.profile.channel.full = True
            free = self.door
        if free is None:
            return None
        free.profile.reset()
        if free.trace is not None:
            free.trace.begin()
        free.address = address
        return free

    def _serve(self, place, buf, end, now_ms):
        place.profile.receive(buf, 0, end, now_ms)
        self._send(place, now_ms)

    def _send(self, place, now_ms):
        profile = place.profile
        n = profile.transmit(now_ms)
        while n:
            if place.trace is not None:
                place.trace.sent(profile.out, profile.out_pos, n)
            self.port.sendto(self._endpoint, profile.out, profile.out_pos, n, place.address)
            n = profile.transmit(now_ms)

    def free(self):
        """A place whose profile has nothing to send; None: all have, or the port is locked."""
        if self.gate is not None and self.gate.shut():
            return None
        for place in self.places:
            if place.profile.waits():
                return None  # all share its buffer
        for place in self.places:
            if not place.profile.is_sending():
                return place
        return None

    def notify(self, address, client_sap, server_sap, buf, pos, n, now_ms):
        """Send the unsolicited APDU buf[pos:pos + n]; False: not now, or the network will not."""
        place = self.free()
        if place is None or not place.profile.notify(client_sap, server_sap, buf, pos, n):
            return False
        n = place.profile.transmit(now_ms)
        if place.trace is not None:
            place.trace.sent(place.profile.out, place.profile.out_pos, n)
        out = place.profile.out
        return self.port.sendto(self._endpoint, out, place.profile.out_pos, n, address)

    def wait_ms(self):
        ready = self.ready
        for group in self.groups:
            ready = ready or group.ready
        return 0 if ready else 1000

    def close(self):
        for group in self.groups[:]:
            self._leave(group)
        if self._endpoint is not None:
            self._poller.remove(self._endpoint)
            self.port.close(self._endpoint)
            self._endpoint = None
