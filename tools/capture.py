#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Captures of what goes over the links of a meter, as pcapng files, which Wireshark opens.

    python3 tools/meter.py run --capture FILE [--capture-keys [FILE]]      a meter on this PC
    python3 tools/capture.py --port /dev/ttyACM0 [--keys FILE] FILE        a board, by its REPL

What a link is decides what its packets are:

    wrapper-tcp, wrapper-udp, out-tcp, out-udp      TCP and UDP in IPv4 or IPv6 (LINKTYPE_RAW),
                    with the true addresses and ports; sequence numbers, the handshake and
                    checksums are made here, for a meter sees octets
    hdlc-..., and optical-... after mode E          frames of HDLC, with their flags: USER0 (147)
    optical-...     messages of IEC 62056-21, without parity bits: USER1 (148)
    plc-...         what goes to and comes from the modem, as it comes: USER2 (149)
    others          octets of a serial line, as they come: USER3 (150)

There is an interface for each local address. With keys there is one more, "deciphered": protected
APDUs in plain text, each a wpdu over UDP between the same addresses, or 192.0.2.1 (the client) and
192.0.2.2 (the meter) where there are none. Comments of packets say what a fault has done, what was
lost, and what an APDU is.

Wireshark shows octets on port 4059 unless it has a dissector of DLMS (a plug-in, or, in recent
versions, its own). That one is told of HDLC by Preferences, Protocols, DLT_USER: User 0 (DLT=147),
payload dissector dlms; or on the command line by
    -o 'uat:user_dlts:"User 0 (DLT=147)","dlms","0","","0",""'
Without one it may take a wpdu, which begins with 00 01, for something else that does:
    -d udp.port==4059,data -d tcp.port==4059,data

A file is read by its owner only, is whole after every packet, and may be a named pipe. Runs in
build/venv, for it needs python-pcapng.
"""

import argparse
import os
import queue
import struct
import sys
import threading

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import board_feed
import bootstrap
import feed as feeds
import packets
import sockets
from bootstrap import Trouble, as_command, say

bootstrap.inside("plugfest", "pcapng", "cryptography")

from decoding.conversation import Conversation
from decoding.keys import Keys
from decoding.names import Names
from pcapng import FileWriter, blocks
from pcapng.structs import EPBFlags

KEYS_HELP = "for a deciphered copy: a connection sheet (JSON), a provisioning record, or PEM"
RAW = 101  # link types
HDLC, OPTICAL, PLC, SERIAL = 147, 148, 149, 150
_CLIENT, _METER = ("192.0.2.1", 4059), ("192.0.2.2", 4059)  # RFC 5737
_INBOUND, _OUTBOUND = 1, 2
_DIRECTIONS = ("rx", "tx")
_WAITING = 20000
_PATIENCE_S = 2


class File:
    """A pcapng file that is written block by block. What cannot be written is said once."""

    def __init__(self, path):
        self.path = path
        try:
            fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
            if os.path.isfile(path):
                os.fchmod(fd, 0o600)
        except OSError as e:
            raise Trouble("The capture %s cannot be written (%s)." % (path, e.strerror)) from None
        self._file = os.fdopen(fd, "wb", buffering=0)
        self._whole = 0  # octets of blocks that are there
        self._section = blocks.SectionHeader(
            options={"shb_userappl": "Picometer", "shb_os": sys.platform}
        )
        self._block = bytearray()
        self._writer = None
        try:
            self._writer = FileWriter(self, self._section)
            self._out()
        except OSError as e:
            self._give_up(e)

    def write(self, octets):
        """Of the writer: a part of a block."""
        self._block += octets
        return len(octets)

    def _out(self):
        block, self._block = bytes(self._block), bytearray()
        while block:
            n = self._write(block)
            block = block[n:]
            self._whole += n

    def _write(self, block):
        return self._file.write(block)

    @property
    def ended(self):
        return self._file is None

    def _give_up(self, e):
        say("The capture %s ends here: it cannot be written (%s)." % (self.path, e.strerror))
        self.close()

    def _add(self, kind, **fields):
        if self._file is None:
            return None
        block = self._section.new_member(kind, **fields)
        whole = self._whole
        try:
            self._writer.write_block(block)
            self._out()
        except OSError as e:
            try:
                os.ftruncate(self._file.fileno(), whole)  # no half of a block
            except OSError:
                pass
            self._give_up(e)
        return block

    def interface(self, name, link_type, description):
        """Number of a new interface."""
        options = {"if_name": name, "if_description": description}
        block = self._add(blocks.InterfaceDescription, link_type=link_type, options=options)
        return 0 if block is None else block.interface_id

    def packet(self, interface, seconds, octets, sent, comments=()):
        us = max(0, round(seconds * 1000000))
        options = {"epb_flags": EPBFlags(_OUTBOUND if sent else _INBOUND)}
        if comments:
            options["opt_comment"] = list(comments)
        self._add(
            blocks.EnhancedPacket,
            interface_id=interface,
            timestamp_high=us >> 32,
            timestamp_low=us & 0xFFFFFFFF,
            packet_data=octets,
            options=options,
        )

    def close(self):
        if self._file is not None:
            try:
                self._file.close()
            except OSError:
                pass
            self._file = None


# --- What passes a link, as packets -----------------------------------------------------------


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


class Capture:
    """Writes what the links of a feed carry, in a thread of its own: who reads the feed need not
    wait for that. What waits longer than _WAITING events for a file that is slow, such as a named
    pipe that nobody reads, is lost, and counted."""

    def __init__(self, file, keys=None, names=None, here=True):
        """keys, names: of decoding/. here: the meter is on this machine."""
        self.file = file
        self.keys = keys
        self.names = names
        self._here = here
        self._talks = {}
        self._interfaces = {}
        self._events = queue.SimpleQueue()
        self._lost = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def take(self, event):
        """An event of the feed."""
        if isinstance(event, feeds.State) or self.file.ended:
            return
        if isinstance(event, feeds.Octets) and self._events.qsize() >= _WAITING:
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = feeds.Lost(self._lost), 0
            self._events.put(lost)
        self._events.put(event)

    def close(self):
        """All has been taken."""
        self._events.put(None)
        self._thread.join(_PATIENCE_S)
        while self._thread.is_alive():
            left = self._events.qsize()
            say("The capture %s is being written: %d events are left." % (self.file.path, left))
            self._thread.join(_PATIENCE_S)
            if self._thread.is_alive() and self._events.qsize() >= left:
                say("The capture %s is not whole: nobody takes what is written." % self.file.path)
                return
        for talk in self._talks.values():
            talk.flush()
        self.file.close()

    def _work(self):
        while True:
            event = self._events.get()
            if event is None:
                return
            try:
                if not self.file.ended:
                    self._take(event)
            except Exception as e:
                # The capture is not worth the meter.
                say("A packet of the capture is missing: %r" % e)

    def _take(self, event):
        if isinstance(event, feeds.Octets):
            self._octets(event)
        elif isinstance(event, feeds.Opened):
            talk = self._talks[event.link] = self._talk(event.link)
            talk.open(event.time)
        elif isinstance(event, feeds.Closed):
            talk = self._talks.pop(event.link, None)
            if talk is not None:
                talk.close(event.time, event.by)
        elif isinstance(event, feeds.Lost):
            for talk in self._talks.values():
                talk.flush()
                talk.notes.append("before this %d lines of the feed were lost" % event.n)

    def interface(self, name, link_type, description):
        """The number of an interface, which is made when it is first asked for."""
        key = name, link_type
        if key not in self._interfaces:
            self._interfaces[key] = self.file.interface(name, link_type, description)
        return self._interfaces[key]

    def _talk(self, link):
        kind = link.kind
        for start, talk in (("hdlc-", OverHDLC), ("optical-", Optical), ("plc-", OverPLC)):
            if kind.startswith(start):
                return talk(self, link)
        if kind.endswith(("-tcp", "-udp")):
            ends = sockets.ends(link, self._here)
            if ends is not None:
                return OverIP(self, link, *ends)
        return Line(self, link)

    def _octets(self, event):
        talk = self._talks.get(event.link)
        if talk is None:
            return
        if event.fault is None:
            talk.octets(event.time, event.sent, event.octets)
        elif event.fault == "drop":
            kept = event.octets.hex().upper()
            talk.notes.append("before this a fault kept %d octets: %s" % (len(kept) // 2, kept))
        else:
            talk.notes.append("a fault has spoilt the check")


def main(args):
    p = argparse.ArgumentParser(
        prog="capture.py", description="Writes what goes over the links of a board's meter."
    )
    p.add_argument("--keys", metavar="FILE", action="append", help=KEYS_HELP)
    p.add_argument("--port", required=True, help="of the board's REPL: /dev/ttyACM0, socket://...")
    p.add_argument("file", metavar="FILE", help="pcapng, for Wireshark; or a named pipe")
    options = p.parse_args(args)
    feed = feeds.Feed()
    keys = Keys.read(*options.keys) if options.keys else None
    capture = Capture(File(options.file), keys, Names(), here=False)
    feed.subscribe(capture.take)
    try:
        with board_feed.BoardFeed(feed, options.port) as board:
            say("The meter runs with a feed; Ctrl-C ends the capture.")
            board.relay(lambda octets: print(octets.decode(errors="replace"), end="", flush=True))
    finally:
        capture.close()
    return 0


if __name__ == "__main__":
    as_command(main, code=0)
