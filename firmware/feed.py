# SPDX-License-Identifier: MIT
"""What the meter says of itself for programs, as lines that begin with 1E: octets of its links,
its state, answers to commands. tools/feeds has the lines and the commands.

    feed = Feed(port, n)                stands for the port from now on: links have it instead
    feed.begin(meter, links, watch, polled)     they are open; watch.ready: stdin has ended, or
                                        None; polled: a poller has the feed for stdin
    feed.turn(now_ms)                   between two requests: prints, and does what is asked
    feed.wait_ms()

What passes a link is noted in a buffer of n octets, made here, and printed by turn(): on the path
of a request nothing is allocated. What finds no room there is counted. Loaded only if the options
ask for a feed, and faults when the first of them comes.
"""

import binascii
import json

from dlms.prim import copy
from firmware.ports.console import Console
from micropython import const

_FORM = const(1)  # of the lines
_TICKS_MASK = const(0x3FFFFFFF)
_COUNT_MASK = const(0x3FFFFFFF)
_SECOND_MS = const(1000)
_BUSY_MS = const(10)
# Who polls stdin with the others hears of a command at once, else it is looked for so often.
_LOOK_MS = const(50)
# Octets of a line: with their digits they are less than a pipe takes at once.
_PIECE = const(1024)
_PEERS = const(16)  # over UDP

# A note: kind, link (u16), ms (u32), length (u16), octets.
_HEAD = const(9)
_OPENED = const(0x4F)
_CLOSED = const(0x43)
_RECEIVED = const(0x52)
_SENT = const(0x54)
_LOST = const(0x4C)
_FAULTS = "crc", "drop"  # kinds 0 and 1, and 46 when they are printed
_FAULT = const(0x46)

_EXCEPTION_RESPONSE = const(0xD8)
_CONFIRMED_SERVICE_ERROR = const(0x0E)
_AARE = const(0x61)
_RESULT_AT = const(17)  # of an AARE with a length of one octet
_AF_INET = const(2)


class Link:
    """stream: of a port, or the endpoint of UDP with the address of a peer. by: who has closed
    it, if it was not the meter. rest: octets of what is being written that are still to come."""

    def __init__(self, number, kind, stream, address):
        self.number = number
        self.kind = kind
        self.stream = stream
        self.address = address
        self.by = "meter"
        self.rest = 0


class Feed:
    def __init__(self, port, n):
        self._port = port
        self.ticks_ms = port.ticks_ms
        self._buf = bytearray(n)
        self._pos = self._end = 0
        self._lost = 0
        self._done = 0  # octets of the note at _pos that are printed
        self._last_number = 0
        self.links = []  # Link each
        self._doors = []  # (listener or endpoint, host, number, "tcp" or "udp")
        self._meter = None
        self._made = ()  # by links/make.py
        self._state_ms = 0
        self._state_due = False
        self._console = Console()
        self._commands = None
        self.faults = None
        self.ready = False  # there is something on stdin
        self.polled = False  # stdin is waited for with the links
        # Since the start, as 30 bits.
        self.counts = {"requests": 0, "refused": 0, "received": 0, "sent": 0, "lost": 0}

    def __getattr__(self, name):
        return getattr(self._port, name)

    # --- The port, as links see it --------------------------------------------------------------

    def listen(self, host, number):
        listener, number = self._port.listen(host, number)
        self._doors.append((listener, host, number, "tcp"))
        return listener, number

    def udp(self, host, number):
        endpoint, number = self._port.udp(host, number)
        self._doors.append((endpoint, host, number, "udp"))
        return endpoint, number

    def group(self, host, number, address):
        endpoint = self._port.group(host, number, address)
        self._doors.append((endpoint, "%d.%d.%d.%d" % tuple(address), number, "udp"))
        return endpoint

    def accept(self, listener):
        got = self._port.accept(listener)
        if got is not None:
            self._open(got[0], None, *self._door(listener), shown(got[1]))
        return got

    def connect(self, host, number):
        stream = self._port.connect(host, number)
        self._open(stream, None, "out-tcp", "", _place(host, number))
        return stream

    def close(self, stream):
        for door in self._doors:
            if door[0] is stream:
                self._doors.remove(door)
                break
        for link in self.links[:]:
            if link.stream is stream:
                self._shut(link)
        self._port.close(stream)

    def readinto(self, stream, buf):
        n = self._port.readinto(stream, buf)
        if n:
            link = self._link(stream)
            if n > 0:
                self._note(_RECEIVED, link.number, buf, 0, n)
            else:
                link.by = "peer" if n == -1 else "reset"
        return n

    def write(self, stream, buf, pos, n):
        link = self._link(stream)
        if self.faults is not None and not link.rest:
            k = self.faults.write(link, buf, pos, n)
            if k:
                return k
        k = self._port.write(stream, buf, pos, n)
        if k > 0:
            self._note(_SENT, link.number, buf, pos, k)
            link.rest = n - k
        elif k < 0:
            link.by = "reset"
        return k

    def recvfrom(self, endpoint, n):
        got = self._port.recvfrom(endpoint, n)
        if got is not None and len(got[0]):
            link = self._peer(endpoint, got[1])
            self._note(_RECEIVED, link.number, got[0], 0, len(got[0]))
        return got

    def sendto(self, endpoint, buf, pos, n, address):
        link = self._peer(endpoint, address)
        if self.faults is not None and self.faults.write(link, buf, pos, n):
            return True
        done = self._port.sendto(endpoint, buf, pos, n, address)
        if done:
            self._note(_SENT, link.number, buf, pos, n)
        return done

    def send_late(self, link, octets):
        """Send what a fault has kept, or changed; octets that are taken, -1: the link is gone."""
        n = len(octets)
        if link.address is None:
            n = self._port.write(link.stream, octets, 0, n)
        elif not self._port.sendto(link.stream, octets, 0, n, link.address):
            return -1
        if n > 0:
            self._note(_SENT, link.number, octets, 0, n)
        return n

    # --- Links ----------------------------------------------------------------------------------

    def _door(self, opened):
        """(kind, local address) of a listener or an endpoint."""
        for door in self._doors:
            if door[0] is opened:
                for link in self._made:
                    if link.name[-3:] == door[3] and link.number == door[2]:
                        return link.name, _place(door[1], door[2])
                return "out-" + door[3], _place(door[1], door[2])
        return "out-udp", ""

    def _link(self, stream):
        for link in self.links:
            if link.stream is stream:
                return link
        for made in self._made:
            if getattr(made, "stream", None) is stream:
                return self._open(stream, None, made.name, made.address, "")
        return self._open(stream, None, "serial", "", "")

    def _peer(self, endpoint, address):
        n = 0
        for link in self.links:
            if link.stream is endpoint:
                if link.address == address:
                    return link
                n += 1
        if n >= _PEERS:
            for link in self.links:
                if link.stream is endpoint:
                    self._shut(link)
                    break
        return self._open(endpoint, address, *self._door(endpoint), shown(address))

    def _open(self, stream, address, kind, local, peer):
        self._last_number = self._last_number % 0xFFFF + 1
        link = Link(self._last_number, kind, stream, address)
        self.links.append(link)
        # What a serial port is called may have any character.
        text = json.dumps({"kind": kind, "local": local, "peer": peer}).encode()
        self._note(_OPENED, link.number, text, 0, len(text))
        return link

    def _shut(self, link):
        self.links.remove(link)
        if self.faults is not None:
            self.faults.forget(link)
        by = link.by.encode()
        self._note(_CLOSED, link.number, by, 0, len(by))

    def number_of(self, made, place):
        """Of the link of a place of what links/make.py has made; 0: it is not open."""
        stream = getattr(place, "stream", None)
        for link in self.links:
            if stream is not None and link.stream is stream:
                return link.number
            if stream is None and link.address is not None and link.kind == made.name:
                if link.address == getattr(place, "address", None):
                    return link.number
        return 0

    # --- Notes ----------------------------------------------------------------------------------

    def _note(self, kind, number, octets, pos, n):
        """Nothing is allocated here."""
        if kind == _RECEIVED or kind == _SENT:
            name = "received" if kind == _RECEIVED else "sent"
            self.counts[name] = self.counts[name] + n & _COUNT_MASK
        lost = self._lost
        if self._end + 2 * _HEAD + n > len(self._buf):
            self._lost = min(lost + 1, 0xFFFF)
            self.counts["lost"] = self.counts["lost"] + 1 & _COUNT_MASK
            return
        if lost:
            self._lost = 0
            self._put(_LOST, lost, octets, 0, 0)
        self._put(kind, number, octets, pos, n)

    def _put(self, kind, number, octets, pos, n):
        buf = self._buf
        at = self._end
        ms = self.ticks_ms()
        buf[at] = kind
        buf[at + 1] = number >> 8
        buf[at + 2] = number & 0xFF
        buf[at + 3] = ms >> 24
        buf[at + 4] = ms >> 16 & 0xFF
        buf[at + 5] = ms >> 8 & 0xFF
        buf[at + 6] = ms & 0xFF
        buf[at + 7] = n >> 8
        buf[at + 8] = n & 0xFF
        copy(buf, at + _HEAD, octets, pos, n)
        self._end = at + _HEAD + n

    def note_fault(self, kind, link, octets):
        self._note(kind, link.number, octets, 0, len(octets))

    def _print(self):
        """Print a line of the note in front; False: nobody reads."""
        if not self._console.has_room():
            return False
        buf = self._buf
        at = self._pos
        kind = buf[at]
        number = buf[at + 1] << 8 | buf[at + 2]
        ms = buf[at + 3] << 24 | buf[at + 4] << 16 | buf[at + 5] << 8 | buf[at + 6]
        n = buf[at + 7] << 8 | buf[at + 8]
        at += _HEAD
        if kind == _LOST:
            self.say("L %d %d" % (ms, number))
        elif kind == _OPENED or kind == _CLOSED:
            self.say("%c %d %d %s" % (kind, ms, number, str(buf[at : at + n], "utf-8")))
        else:
            done = self._done
            k = min(n - done, _PIECE)
            text = str(binascii.hexlify(buf[at + done : at + done + k]), "ascii")
            more = "+" if done + k < n else ""
            if kind < len(_FAULTS):
                text = _FAULTS[kind] + " " + text
                kind = _FAULT
            self.say("%c %d %d %s%s" % (kind, ms, number, text, more))
            if more:
                self._done = done + k
                return True
        self._done = 0
        self._pos = at + n
        return True

    def say(self, text):
        self._port.out("\x1e" + text)

    # --- Turns ----------------------------------------------------------------------------------

    def begin(self, meter, links, watch, polled):
        from firmware.feed_commands import Commands

        self._meter = meter
        self._made = links
        server = meter.server
        self._request = server.request
        server.request = self.request
        minute, second = self.utc()
        text = '{"feed": %d, "runtime": "%s", "time": [%d, %d], "speed": %d}'
        self.say(
            "H %d " % self.ticks_ms() + text % (_FORM, self.NAME, minute, second, meter.speed)
        )
        for link in links:
            stream = getattr(link, "stream", None)
            if stream is not None:
                self._link(stream)
        self._commands = Commands(self, self._console, meter, watch)
        self.polled = polled
        self._state_ms = self.ticks_ms() - _SECOND_MS & _TICKS_MASK

    def request(self, channel, client_sap, server_sap, buf, pos, end, confirmed=1):
        """Server.request(), counted. Nothing is allocated here."""
        n = self._request(channel, client_sap, server_sap, buf, pos, end, confirmed)
        if n >= 0:
            counts = self.counts
            counts["requests"] = counts["requests"] + 1 & _COUNT_MASK
            if n and _refuses(channel.tx, channel.tx_pos):
                counts["refused"] = counts["refused"] + 1 & _COUNT_MASK
        return n

    def tell_state(self):
        self._state_due = True

    def turn(self, now_ms):
        if self._commands is None:
            return
        if self.faults is not None:
            self.faults.turn(now_ms)
        while self._pos < self._end:
            if not self._print():
                return
            if self._pos == self._end:
                self._pos = self._end = 0
                if self._lost:
                    self._put(_LOST, self._lost, self._buf, 0, 0)
                    self._lost = 0
        if now_ms - self._state_ms & _TICKS_MASK >= _SECOND_MS:
            self._state_ms = now_ms
            self._state_due = True
        if self._state_due and self._console.has_room():
            from firmware.feed_state import state

            self._state_due = False
            self.say("S %d %s" % (self.ticks_ms(), state(self, self._meter, self._made)))
        if self.ready or not self.polled:
            self.ready = False
            self._commands.read()
        self._commands.turn()

    def wait_ms(self):
        """How long nothing has to be done here."""
        if self._commands is None:
            return _SECOND_MS
        if self._end or self._state_due or self._commands.waits():
            return _BUSY_MS
        ms = _SECOND_MS if self.polled else _LOOK_MS
        return ms if self.faults is None else min(ms, self.faults.wait_ms())


def _refuses(buf, pos):
    """Is the APDU at buf[pos:] a refusal, or an AARE with one?"""
    tag = buf[pos]
    if tag != _AARE:
        return tag == _EXCEPTION_RESPONSE or tag == _CONFIRMED_SERVICE_ERROR
    pos += _RESULT_AT + (buf[pos + 1] & 0x7F if buf[pos + 1] & 0x80 else 0)
    return buf[pos] != 0


def _place(host, number):
    return ("[%s]:%d" if ":" in str(host) else "%s:%d") % (host, number)


def shown(address):
    """Of a peer, as a runtime has it: (host, number, ...), or a sockaddr of the unix port."""
    if isinstance(address, tuple):
        return _place(address[0], address[1])
    number = address[2] << 8 | address[3]
    if address[0] | address[1] << 8 == _AF_INET:
        return _place("%d.%d.%d.%d" % tuple(address[4:8]), number)
    return _place(
        ":".join(["%x" % (address[k] << 8 | address[k + 1]) for k in range(8, 24, 2)]), number
    )
