# SPDX-License-Identifier: MIT
"""What passes a link, as packets of a capture: a class for each kind of link."""

import struct

from decoding.conversation import Conversation

from . import packets, sockets

RAW = 101  # link types
HDLC, OPTICAL, PLC, SERIAL = 147, 148, 149, 150
_CLIENT, _METER = ("192.0.2.1", 4059), ("192.0.2.2", 4059)  # RFC 5737
_DIRECTIONS = ("rx", "tx")


class Talk:
    """What passes one link, for a capture. notes: comments of the next packet."""

    layer = None  # of decoding/layers.py, if it is known
    turns = True  # who speaks has let the other one finish

    def __init__(self, capture, link):
        self.capture = capture
        self.link = link
        self.notes = []
        self.conversation = Conversation(
            capture.keys, capture.names, layer=self.layer, turns=self.turns
        )

    def open(self, seconds):
        pass

    def octets(self, seconds, sent, octets):
        """They have passed."""
        for unit in self.conversation.octets(_DIRECTIONS[sent], octets, seconds):
            self.unit(unit)

    def unit(self, unit):
        """A message is whole."""
        self.write(unit.time, unit.octets, unit.direction == "tx", [explained(unit)])
        self.decipher(unit)

    def flush(self):
        """What is not whole will not be."""
        for unit in self.conversation.end():
            self.unit(unit)

    def close(self, seconds, by):
        self.flush()

    def name(self):
        return ("%s %s" % (self.link.kind, self.link.local)).strip()

    def write(self, seconds, octets, sent, comments):
        comments = [*self.notes, *comments]
        self.notes = []
        self.capture.file.packet(self.interface(), seconds, octets, sent, comments)

    def ends(self):
        return _METER, _CLIENT

    def decipher(self, unit):
        """Write what was protected in it in plain text."""
        if unit.apdu is None or unit.client is None:
            return
        for plain, text in opened(unit.apdu):
            sent = unit.direction == "tx"
            saps = (unit.server, unit.client) if sent else (unit.client, unit.server)
            wpdu = struct.pack(">HHHH", 1, *saps, len(plain)) + plain
            ends = self.ends() if sent else self.ends()[::-1]
            interface = self.capture.interface(
                "deciphered", RAW, "APDUs that were protected, in plain text, each a wpdu over UDP"
            )
            packet = packets.udp(*ends, wpdu)
            comments = ["of %s: %s" % (self.name(), text)]
            self.capture.file.packet(interface, unit.time, packet, sent, comments)


class OverIP(Talk):
    """TCP or UDP, with addresses."""

    turns = False

    def __init__(self, capture, link, local, peer):
        Talk.__init__(self, capture, link)
        self._ends = local, peer
        self._tcp = None
        self._is_ours = link.kind.startswith("out-")  # the connection
        if link.kind.endswith("tcp"):
            client, server = (local, peer) if self._is_ours else (peer, local)
            self._tcp = packets.TCP(client, server, first=1000 * link.number)

    def ends(self):
        return self._ends

    def interface(self):
        name = self.link.kind if self._is_ours else self.name()
        return self.capture.interface(name, RAW, "octets of sockets of the meter, in packets")

    def open(self, seconds):
        if self._tcp is not None:
            self._put(seconds, self._tcp.open(), self._is_ours, [])

    def octets(self, seconds, sent, octets):
        units = self.conversation.octets(_DIRECTIONS[sent], octets, seconds)
        comments = [explained(unit) for unit in units]
        if self._tcp is not None:
            made = self._tcp.data(sent == self._is_ours, octets)
        else:
            ends = self._ends if sent else self._ends[::-1]
            made = [packets.udp(*ends, octets)]
        self._put(seconds, made, sent, comments)
        for unit in units:
            self.decipher(unit)

    def _put(self, seconds, made, sent, comments):
        for packet in made[:-1]:
            self.write(seconds, packet, sent, [])
        self.write(seconds, made[-1], sent, comments)

    def flush(self):
        self.conversation.end()

    def close(self, seconds, by):
        if self._tcp is None:
            return
        by_client = (by != "peer" and by != "reset") == self._is_ours
        made = self._tcp.reset(by_client) if by == "reset" else self._tcp.close(by_client)
        self._put(seconds, made, by != "peer", [])


class OverHDLC(Talk):
    layer = "hdlc"

    def __init__(self, capture, link):
        self.turns = not link.peer  # not over TCP
        Talk.__init__(self, capture, link)
        if link.peer:
            self.notes.append("from %s" % link.peer)

    def interface(self):
        return self.capture.interface(self.name(), HDLC, "frames of HDLC")


class Optical(Talk):
    """Messages of IEC 62056-21, and frames after mode E: each in an interface of its own."""

    def unit(self, unit):
        if unit.name == "hdlc-frame":
            interface = self.capture.interface(self.name() + " HDLC", HDLC, "frames of HDLC")
            octets = unit.octets
        else:
            interface = self.interface()
            octets = bytes(x & 0x7F for x in unit.octets)
        sent = unit.direction == "tx"
        comments = [*self.notes, explained(unit)]
        self.notes = []
        self.capture.file.packet(interface, unit.time, octets, sent, comments)
        self.decipher(unit)

    def interface(self):
        what = "messages of IEC 62056-21, without parity bits"
        return self.capture.interface(self.name(), OPTICAL, what)


class OverPLC(Talk):
    def interface(self):
        return self.capture.interface(self.name(), PLC, "messages to and from a PLC modem")


class Line(Talk):
    """Octets, as they come."""

    def interface(self):
        return self.capture.interface(self.name(), SERIAL, "octets of a line")

    def octets(self, seconds, sent, octets):
        self.write(seconds, octets, sent, [])


def of(link, capture, here):
    """The Talk of a link. here: the meter is on this machine."""
    kind = link.kind
    for start, talk in (("hdlc-", OverHDLC), ("optical-", Optical), ("plc-", OverPLC)):
        if kind.startswith(start):
            return talk(capture, link)
    if kind.endswith(("-tcp", "-udp")):
        ends = sockets.ends(link, here)
        if ends is not None:
            return OverIP(capture, link, *ends)
    return Line(capture, link)


def explained(unit):
    """What a message is, in a line: its layers, and what is wrong with it."""
    faults = dict.fromkeys(fault for _node, fault in unit.faults())
    layers = [" ".join(filter(None, layer)) for layer in unit.layers]
    return "; ".join([*layers, *faults])


def opened(node):
    """(octets, how it was opened) of each APDU that was protected, below a node."""
    for child in node.children:
        if node.name == "content" and child.octets is not None:
            yield child.octets, node.text
        yield from opened(child)
