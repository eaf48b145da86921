# SPDX-License-Identifier: MIT
"""Octets out of capture files: pcapng and classic pcap, read as a stream.

    Capture(file, ports).read() -> yields Said, with link: a datagram, or what comes next of a TCP
    connection in order. Octets of serial lines, which a meter's own --capture has, are of no port.

Ethernet, with VLANs, Linux' cooked forms, loopback and bare IP; IPv4 and IPv6, fragments put
together; UDP; TCP with segments that come twice, late, or never. Memory is bounded: what waits for
a segment that is missing is given up, with a sentence, when more than _WAITING octets or
_SEGMENTS segments do.
"""

import struct
from collections import Counter, OrderedDict
from datetime import datetime, timezone

from bootstrap import Trouble

from .trace import Said

PORT = 4059
MAGIC_PCAPNG = b"\x0a\x0d\x0d\x0a"
_PCAP = {
    b"\xd4\xc3\xb2\xa1": ("<", 1e-6), b"\xa1\xb2\xc3\xd4": (">", 1e-6),
    b"\x4d\x3c\xb2\xa1": ("<", 1e-9), b"\xa1\xb2\x3c\x4d": (">", 1e-9),
}  # fmt: skip
_WAITING = 1 << 18
_SEGMENTS = 1 << 10
_FLOWS = 1024
_FRAGMENTS = 64
_LONGEST_PACKET = 1 << 18
_IPV4, _IPV6, _VLAN, _VLAN_2 = 0x0800, 0x86DD, 0x8100, 0x88A8
_TCP, _UDP = 6, 17
_SYN, _FIN, _RST = 0x02, 0x01, 0x04
# Link types.
_ETHERNET, _NULL, _LOOP, _COOKED, _COOKED_2, _RAW, _RAW_2, _IP4, _IP6 = (
    1, 0, 108, 113, 276, 101, 12, 228, 229,
)  # fmt: skip
# Where the IP packet begins behind each; of Ethernet it has to be looked for.
_LINK_TYPES = {
    _ETHERNET: None, _NULL: 4, _LOOP: 4, _COOKED: 16, _COOKED_2: 20, _RAW: 0, _RAW_2: 0, _IP4: 0,
    _IP6: 0,
}  # fmt: skip
_USER = range(147, 163)


def is_capture(octets):
    return octets[:4] == MAGIC_PCAPNG or octets[:4] in _PCAP


class Packet:
    __slots__ = (
        "number", "time", "octets", "missing", "link_type", "interface", "direction", "notes",
    )  # fmt: skip

    def __init__(
        self, number, time, octets, missing, link_type, interface="", direction=None, notes=()
    ):
        self.number = number
        self.time = time
        self.octets = octets
        self.missing = missing  # octets that the capture has left out
        self.link_type = link_type
        self.interface = interface
        self.direction = direction
        self.notes = notes  # comments


class Capture:
    """file: has read() and peek(); ports: numbers, or None for any. n_packets; seen: how often
    which port was, of those that were not wanted; unread: how often which link type was, of those
    that are not known; cut: "", or that the file ends within a packet."""

    def __init__(self, file, ports=(PORT,)):
        self.file = file
        self.ports = ports
        self.n_packets = 0
        self.seen = Counter()
        self.unread = Counter()
        self.cut = ""
        self._prefix = ""  # of the name of a link
        self._flows = OrderedDict()
        self._fragments = OrderedDict()

    def read(self):
        head = self.file.peek(4)[:4]
        packets = self._pcapng() if head == MAGIC_PCAPNG else self._pcap()
        for packet in packets:
            self.n_packets += 1
            yield from self.packet(packet)

    # --- Files ----------------------------------------------------------------------------------

    def _pcap(self):
        head = self.file.read(24)
        if len(head) < 24 or head[:4] not in _PCAP:
            raise Trouble("The file ends within its header; expected pcapng or pcap.")
        order, unit = _PCAP[head[:4]]
        link_type = struct.unpack(order + "I", head[20:24])[0] & 0xFFFF
        record = struct.Struct(order + "IIII")
        number = 0
        while True:
            head = self.file.read(16)
            if len(head) < 16:
                if head:
                    self.cut = "the file ends within the header of packet %d" % (number + 1)
                return
            number += 1
            seconds, fraction, n, length = record.unpack(head)
            if n > _LONGEST_PACKET:
                self.cut = "packet %d would have %d octets: the file is damaged there" % (
                    number,
                    n,
                )
                return
            octets = self.file.read(n)
            if len(octets) < n:
                self.cut = "the file ends within packet %d" % number
                if not octets:
                    return
            missing = max(length - len(octets), 0)
            yield Packet(number, seconds + fraction * unit, octets, missing, link_type)

    def _pcapng(self):
        from pcapng import FileScanner
        from pcapng.blocks import BasePacketBlock
        from pcapng.exceptions import PcapngException

        number = 0
        try:
            for block in FileScanner(self.file):
                if not isinstance(block, BasePacketBlock):
                    continue
                number += 1
                interface = block.interface
                octets = block.packet_data
                missing = max(getattr(block, "packet_len", len(octets)) - len(octets), 0)
                yield Packet(
                    number,
                    getattr(block, "timestamp", None),
                    octets,
                    missing,
                    interface.link_type,
                    interface.options.get("if_name", "") if hasattr(interface, "options") else "",
                    _direction(block),
                    _comments(block),
                )
        except (PcapngException, EOFError, struct.error, ValueError, KeyError, IndexError,
                AttributeError, TypeError, OverflowError, MemoryError) as e:  # fmt: skip
            self.cut = "the file ends, or is damaged, behind packet %d (%s)" % (
                number, str(e).strip() or e.__class__.__name__)  # fmt: skip

    # --- From packet to octets ------------------------------------------------------------------

    def packet(self, packet):
        """Yields Said of a Packet."""
        if packet.link_type in _USER:
            # "rx", "tx" are the meter's words: inbound is what it receives.
            yield self._said(packet, packet.octets, packet.direction, packet.interface)
            return
        self._prefix = "deciphered " if packet.interface == "deciphered" else ""
        found = _network(packet.octets, packet.link_type)
        if found is None:
            if packet.link_type not in _LINK_TYPES:
                self.unread[packet.link_type] += 1
            return
        octets, start = found
        version = octets[start] >> 4 if start < len(octets) else 0
        part = self._ipv4(octets, start) if version == 4 else self._ipv6(octets, start)
        if part is None:
            return
        source, destination, protocol, payload, stop = part
        if protocol == _UDP and len(payload) >= 8:
            ports = payload[0] << 8 | payload[1], payload[2] << 8 | payload[3]
            if self._wanted(ports):
                n = payload[4] << 8 | payload[5]
                data = payload[8 : n if n >= 8 else len(payload)]
                link, direction = self._link("UDP", source, destination, ports)
                if data:
                    yield self._said(packet, data, direction, link, n - 8 - len(data))
        elif protocol == _TCP and len(payload) >= 20:
            ports = payload[0] << 8 | payload[1], payload[2] << 8 | payload[3]
            if self._wanted(ports):
                yield from self._tcp(packet, source, destination, ports, payload)

    def _wanted(self, ports):
        if self.ports is None or ports[0] in self.ports or ports[1] in self.ports:
            return True
        if len(self.seen) < 4096:
            self.seen[min(ports)] += 1
        return False

    def _link(self, name, source, destination, ports):
        """(the connection's name, the meter's in front; direction)."""
        ends = "%s:%d" % (_shown(source), ports[0]), "%s:%d" % (_shown(destination), ports[1])
        own = self.ports or (PORT,)
        name = self._prefix + name
        to_meter = ports[1] in own if (ports[0] in own) != (ports[1] in own) else None
        if to_meter is None:
            first = min(ends)
            return "%s %s - %s" % (name, first, max(ends)), ("a" if ends[0] == first else "b")
        link = "%s %s - %s" % (name, *(ends if to_meter else ends[::-1]))
        return link, "rx" if to_meter else "tx"

    def _said(self, packet, octets, direction, link, missing=0, trouble=None):
        missing = max(missing, packet.missing if packet.link_type in _USER else 0)
        if missing > 0:
            trouble = "%d octets of this packet are not in the capture" % missing
        said = Said(
            bytes(octets), (), direction, _clock(packet.time), packet.number, "packet", trouble
        )
        said.link = link
        said.notes = packet.notes
        if link.startswith(("TCP", "deciphered TCP")):
            said.kind = "stream"
        return said

    def _ipv4(self, octets, at):
        head = (octets[at] & 15) * 4
        if len(octets) < at + 20 or head < 20:
            return None
        length = octets[at + 2] << 8 | octets[at + 3]
        # Segments that a network card is to make have no length yet.
        end = min(at + length, len(octets)) if length else len(octets)
        source, destination = octets[at + 12 : at + 16], octets[at + 16 : at + 20]
        protocol = octets[at + 9]
        payload = octets[at + head : end]
        offset = (octets[at + 6] & 0x1F) << 11 | octets[at + 7] << 3
        more = bool(octets[at + 6] & 0x20)
        if more or offset:
            key = (source, destination, protocol, octets[at + 4 : at + 6])
            payload = self._together(key, offset, more, payload)
            if payload is None:
                return None
        return source, destination, protocol, payload, end

    def _ipv6(self, octets, at):
        if len(octets) < at + 40 or octets[at] >> 4 != 6:
            return None
        length = octets[at + 4] << 8 | octets[at + 5]
        end = min(at + 40 + length, len(octets)) if length else len(octets)
        source, destination = octets[at + 8 : at + 24], octets[at + 24 : at + 40]
        following = octets[at + 6]
        pos = at + 40
        while following in (0, 43, 44, 60) and pos + 8 <= end:
            if following == 44:
                offset = (octets[pos + 2] << 8 | octets[pos + 3]) & 0xFFF8
                key = (source, destination, octets[pos], octets[pos + 4 : pos + 8])
                payload = self._together(key, offset, octets[pos + 3] & 1, octets[pos + 8 : end])
                if payload is None:
                    return None
                return source, destination, octets[pos], payload, end
            following, pos = octets[pos], pos + 8 + 8 * octets[pos + 1]
        return source, destination, following, octets[pos:end], end

    def _together(self, key, offset, more, payload):
        """The datagram of fragments, when all are there; else None."""
        parts = self._fragments.setdefault(key, {})
        parts[offset] = (payload, more)
        if sum(len(part) for part, _ in parts.values()) > _LONGEST_PACKET:
            del self._fragments[key]
            return None
        if len(self._fragments) > _FRAGMENTS:
            self._fragments.popitem(last=False)
        at = 0
        whole = b""
        while at in parts:
            part, more = parts[at]
            whole += part
            if not more:
                self._fragments.pop(key, None)
                return whole
            if not part:
                return None
            at += len(part)
        return None

    def _tcp(self, packet, source, destination, ports, segment):
        link, direction = self._link("TCP", source, destination, ports)
        flags = segment[13]
        data = segment[(segment[12] >> 4) * 4 :]
        number = int.from_bytes(segment[4:8], "big")
        key = (link, direction)
        stream = self._flows.get(key)
        if flags & _SYN:
            stream = self._flows[key] = _Stream(number + 1)
            if not flags & 0x10:
                said = self._said(packet, b"", direction, link)
                said.kind = "open"
                yield said
        elif stream is None:
            stream = self._flows[key] = _Stream(number)
        else:
            self._flows.move_to_end(key)
        if len(self._flows) > _FLOWS:
            self._flows.popitem(last=False)
        closed = flags & (_FIN | _RST)
        found = stream.take(number, data) if data else []
        for octets, lost in [*found, *stream.rest()] if closed else found:
            trouble = "%d octets of this connection are not in the capture" % lost
            yield self._said(packet, octets, direction, link, 0, trouble if lost else None)
        if closed:
            self._flows.pop(key, None)
            said = self._said(packet, b"", direction, link)
            said.kind = "close"
            yield said


class _Stream:
    """One direction of a TCP connection: octets in their order."""

    def __init__(self, number):
        self.number = number & 0xFFFFFFFF  # of the octet that comes next
        self.waiting = {}

    def take(self, number, data):
        """[(octets, how many were lost before them)] that have become whole."""
        gap = self._gap(number)
        if gap < 0:
            # Again, or with something new at its end.
            if -gap >= len(data):
                return []
            data = data[-gap:]
            gap = 0
        if gap:
            known = self.waiting.get(number, b"")
            if len(data) > len(known):
                self.waiting[number] = data
            n = sum(map(len, self.waiting.values()))
            return self.rest() if n > _WAITING or len(self.waiting) > _SEGMENTS else []
        found = [(data, 0)]
        self.number = self.number + len(data) & 0xFFFFFFFF
        found += self._ready()
        return found

    def _gap(self, number):
        return (number - self.number + 0x80000000 & 0xFFFFFFFF) - 0x80000000

    def _ready(self):
        found = []
        while self.waiting:
            number = min(self.waiting, key=self._gap)
            gap = self._gap(number)
            if gap > 0:
                break
            data = self.waiting.pop(number)[-gap:]
            if data:
                found.append((data, 0))
                self.number = self.number + len(data) & 0xFFFFFFFF
        return found

    def rest(self):
        """All that waits, over what is missing."""
        found = []
        while self.waiting:
            number = min(self.waiting, key=self._gap)
            gap = self._gap(number)
            if gap > 0:
                found.append((b"", gap))
                self.number = number
            found += self._ready()
        return found


def _direction(block):
    """rx: inbound, tx: outbound, of the flags of an enhanced packet block."""
    try:
        flags = block.options["epb_flags"]
        return (None, "rx", "tx", None)[int(flags) & 3]
    except (KeyError, AttributeError, TypeError, ValueError):
        return None


def _comments(block):
    try:
        return tuple(str(text) for text in block.options.get_all("opt_comment"))
    except (KeyError, AttributeError, TypeError, ValueError):
        return ()


def _network(octets, link_type):
    """(octets, where the IP packet begins), or None if there is none."""
    if link_type == _ETHERNET:
        at = 12
        while len(octets) >= at + 2:
            protocol = octets[at] << 8 | octets[at + 1]
            if protocol in (_VLAN, _VLAN_2):
                at += 4
                continue
            return (octets, at + 2) if protocol in (_IPV4, _IPV6) else None
        return None
    at = _LINK_TYPES.get(link_type)
    if at is None or len(octets) <= at or octets[at] >> 4 not in (4, 6):
        return None
    return octets, at


def _shown(address):
    if len(address) == 4:
        return "%d.%d.%d.%d" % tuple(address)
    import ipaddress

    return "[%s]" % ipaddress.IPv6Address(bytes(address))


def _clock(time):
    """HH:MM:SS.mmm, UTC."""
    if not time:
        return None
    try:
        return datetime.fromtimestamp(time, timezone.utc).strftime("%H:%M:%S.%f")[:-3]
    except (OverflowError, OSError, ValueError):
        return None


def is_ethernet(octets):
    """Is a dump the octets of an Ethernet frame with an IP packet in it?"""
    return (
        len(octets) > 34
        and octets[12:14] in (b"\x08\x00", b"\x86\xdd")
        and octets[14] >> 4 in (4, 6)
    )
