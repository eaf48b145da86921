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

A file is read by its owner only, is whole after every packet, and may be a named pipe. Runs in
build/venv, for it needs python-pcapng.
"""

import argparse
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import board_feed
import bootstrap
import feed as feeds
import packets
import sockets
from bootstrap import Trouble, as_command, say

bootstrap.inside("plugfest", "pcapng")

from pcapng import FileWriter, blocks
from pcapng.structs import EPBFlags

RAW = 101  # link types
HDLC, OPTICAL, PLC, SERIAL = 147, 148, 149, 150
_CLIENT, _METER = ("192.0.2.1", 4059), ("192.0.2.2", 4059)  # RFC 5737
_INBOUND, _OUTBOUND = 1, 2
_FLAG = 0x7E
_LONGEST = 2052  # a frame with its flags
_ACK, _NAK = 0x06, 0x15
_BLOCKS, _ENDS = b"\x01\x02", (b"\x03", b"\x04")  # SOH, STX; ETX, EOT


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
            n = self._file.write(block)
            block = block[n:]
            self._whole += n

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
        options = {"if_name": name, "if_description": description, "if_tsresol": b"\6"}
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

    def __init__(self, capture, link):
        self.capture = capture
        self.link = link
        self.notes = []

    def open(self, seconds):
        pass

    def octets(self, seconds, sent, octets):
        raise NotImplementedError

    def lost(self):
        """Octets are missing here."""

    def close(self, seconds, by):
        pass

    def write(self, seconds, octets, sent, comments=()):
        comments = [*self.notes, *comments]
        self.notes = []
        self.capture.file.packet(self.interface(), seconds, octets, sent, comments)


class OverIP(Talk):
    """TCP or UDP, with addresses."""

    def __init__(self, capture, link, local, peer):
        Talk.__init__(self, capture, link)
        self.local = local
        self.peer = peer
        self._tcp = None
        if link.kind.endswith("tcp"):
            self._out = link.kind.startswith("out-")
            ends = (local, peer) if self._out else (peer, local)
            self._tcp = packets.TCP(*ends, first=1000 * link.number)

    def interface(self):
        local = self.link.local if not self.link.kind.startswith("out-") else ""
        name = ("%s %s" % (self.link.kind, local)).strip()
        return self.capture.interface(name, RAW, "octets of sockets of the meter, in packets")

    def open(self, seconds):
        if self._tcp is not None:
            self._put(seconds, self._tcp.open(), self._out)

    def octets(self, seconds, sent, octets):
        if self._tcp is not None:
            self._put(seconds, self._tcp.data(sent == self._out, octets), sent)
        else:
            ends = (self.local, self.peer) if sent else (self.peer, self.local)
            self.write(seconds, packets.udp(*ends, octets), sent)

    def _put(self, seconds, made, sent):
        for packet in made:
            self.write(seconds, packet, sent)

    def close(self, seconds, by):
        if self._tcp is None:
            return
        by_client = (by == "meter" or by is None) == self._out
        made = self._tcp.reset(by_client) if by == "reset" else self._tcp.close(by_client)
        self._put(seconds, made, by != "peer")


class OverHDLC(Talk):
    """Frames; what is none goes where it stood."""

    link_type = HDLC
    what = "frames of HDLC"

    def __init__(self, capture, link):
        Talk.__init__(self, capture, link)
        self._rest = [b"", b""]  # of received, of sent octets: no whole frame yet
        self._since = [0, 0]
        if link.peer:
            self.notes.append("from %s" % link.peer)

    def interface(self):
        name = "%s %s" % (self.link.kind, self.link.local)
        return self.capture.interface(name, self.link_type, self.what)

    def octets(self, seconds, sent, octets):
        self.flush(not sent)
        whole, self._rest[sent] = frames(self._rest[sent] + octets)
        self._since[sent] = seconds
        for part in whole:
            self.write(seconds, part, sent, [] if part[0] == _FLAG else ["no frame"])

    def flush(self, sent):
        """The other side speaks: nothing more of this can come."""
        rest, self._rest[sent] = self._rest[sent], b""
        if rest.strip(b"\x7e"):
            comments = [] if rest == bytes((_ACK,)) else ["not whole"]
            self.write(self._since[sent], rest, sent, comments)

    def lost(self):
        self._rest = [b"", b""]

    def close(self, seconds, by):
        self.flush(False)
        self.flush(True)


class Optical(OverHDLC):
    """Messages of IEC 62056-21, and frames after mode E: each in an interface of its own."""

    link_type = OPTICAL
    what = "messages of IEC 62056-21, without parity bits"

    def octets(self, seconds, sent, octets):
        self.flush(not sent)
        self._since[sent] = seconds
        data = self._rest[sent] + octets
        while data:
            is_frame = data[0] == _FLAG and (len(data) < 2 or data[1] & 0xF0 in (0xA0, 0x70))
            if is_frame:
                whole, data = frames(data)
            else:
                whole, data = messages(data)
            for part in whole:
                self._message(seconds, sent, part)
            if not whole:
                break
        self._rest[sent] = data

    def _message(self, seconds, sent, part):
        if part[0] == _FLAG and len(part) > 2:
            hdlc = self.capture.interface(
                "%s %s, HDLC" % (self.link.kind, self.link.local), HDLC, OverHDLC.what
            )
            self.capture.file.packet(hdlc, seconds, part, sent, self.notes)
            self.notes = []
        else:
            self.write(seconds, bytes(x & 0x7F for x in part), sent)


class Line(Talk):
    """Octets, as they come."""

    def interface(self):
        name = ("%s %s" % (self.link.kind, self.link.local)).strip()
        if self.link.kind.startswith("plc-"):
            return self.capture.interface(name, PLC, "octets to and from a PLC modem")
        return self.capture.interface(name, SERIAL, "octets of a line")

    def octets(self, seconds, sent, octets):
        self.write(seconds, octets, sent)


def frames(octets):
    """(parts, rest): frames of HDLC (ISO/IEC 13239, format type 3) with both flags, and what was
    between them."""
    found = []
    at = 0
    while at < len(octets):
        flag = octets.find(_FLAG, at)
        if flag < 0:
            break
        if flag > at:
            found.append(octets[at:flag])
            at = flag
        while octets[at + 1 : at + 2] == b"\x7e":
            at += 1
        if len(octets) - at < 3:
            break
        n = ((octets[at + 1] & 7) << 8 | octets[at + 2]) + 2
        if octets[at + 1] & 0xF0 == 0xA0 and n > 8:
            if len(octets) - at < n:
                break
            if octets[at + n - 1] == _FLAG:
                found.append(octets[at : at + n])
                # Its last flag may be the first of the next one.
                at += n if octets[at + n : at + n + 1] in (b"\x7e", b"") else n - 1
                continue
        # Nothing begins with this flag.
        end = octets.find(_FLAG, at + 1)
        if end < 0:
            if len(octets) - at < _LONGEST:
                break
            end = len(octets)
        found.append(octets[at:end])
        at = end
    return found, octets[at:]


def messages(octets):
    """(parts, rest): messages of IEC 62056-21, with the parity bits that they have."""
    found = []
    while octets:
        plain = bytes(x & 0x7F for x in octets)
        n = 0
        if plain[0] in _BLOCKS:
            ends = [at for at in map(plain.find, _ENDS) if at >= 0]
            n = min(ends) + 2 if ends else 0  # its BCC
        elif plain[0] == _NAK or plain[0] == _ACK and plain[1:2] and not plain[1:2].isdigit():
            n = 1
        else:
            n = plain.find(b"\n") + 1
        if not n or n > len(octets):
            break
        found.append(octets[:n])
        octets = octets[n:]
    return found, octets


class Capture:
    """Writes what the links of a feed carry. explain: None, or explained.Explainer."""

    def __init__(self, file, here=True, explain=None):
        """here: the meter runs on this machine, and its sockets can be seen."""
        self.file = file
        self._here = here
        self._explain = explain
        self._talks = {}
        self._interfaces = {}

    def take(self, event):
        """An event of the feed."""
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
                talk.lost()
                talk.notes.append("before this %d lines of the feed were lost" % event.n)

    def interface(self, name, link_type, description):
        """The number of an interface, which is made when it is first asked for."""
        key = name, link_type
        if key not in self._interfaces:
            self._interfaces[key] = self.file.interface(name, link_type, description)
        return self._interfaces[key]

    def _talk(self, link):
        kind = link.kind
        if kind.startswith("hdlc-"):
            return OverHDLC(self, link)
        if kind.startswith("optical-"):
            return Optical(self, link)
        if kind.endswith(("-tcp", "-udp")):
            ends = sockets.ends(link, self._here)
            if ends is not None:
                return OverIP(self, link, *ends)
        return Line(self, link)

    def _octets(self, event):
        talk = self._talks.get(event.link)
        if talk is None:
            return
        if event.fault == "drop":
            talk.notes.append("before this a fault kept %d octets: %s"
                              % (len(event.octets), event.octets.hex().upper()))  # fmt: skip
            return
        if event.fault == "crc":
            talk.notes.append("a fault has spoilt the check")
            return
        talk.octets(event.time, event.sent, event.octets)


def main(args):
    p = argparse.ArgumentParser(
        prog="capture.py", description="Writes what goes over the links of a board's meter."
    )
    p.add_argument("--port", required=True, help="of the board's REPL: /dev/ttyACM0, socket://...")
    p.add_argument("file", metavar="FILE", help="pcapng, for Wireshark; or a named pipe")
    options = p.parse_args(args)
    feed = feeds.Feed()
    capture = Capture(File(options.file), here=False)
    feed.subscribe(capture.take)
    try:
        with board_feed.BoardFeed(feed, options.port) as board:
            say("The meter runs with a feed; Ctrl-C ends the capture.")
            board.relay(lambda octets: sys.stdout.write(octets.decode(errors="replace")))
    finally:
        capture.file.close()
    return 0


if __name__ == "__main__":
    as_command(main, code=0)
