# SPDX-License-Identifier: MIT
"""Targets on the PC: the decoder of APDUs, conversations, traces and captures, and the feed."""

import io
import json

import feeds
from decoding import apdu, capture, names_apdu, trace
from decoding.conversation import Conversation
from decoding.keys import Keys

from fuzzing import lines, seeds
from fuzzing.octets import Octets, put

TITLE = b"CLI\0\0\0\0\7"
MOST_NODES = 20000


def whole(node, octets):
    """Ranges nest, and the tree can be shown."""
    n = 0
    todo = [(node, octets)]
    while todo:
        one, of = todo.pop()
        own = one.octets if one.octets is not None else of
        assert 0 <= one.start <= one.end <= max(len(own), len(of)), (one, len(own))
        if one.error is not None:
            assert str(one.error) and 0 <= one.error.at <= max(len(own), len(of))
        at = one.start if one.octets is None else 0
        for child in one.children:
            if child.octets is None:
                assert child.start >= at or one.octets is not None, (one, child)
                assert one.octets is not None or child.end <= one.end, (one, child)
                at = child.end
            todo.append((child, own))
        n += 1
        assert n < MOST_NODES
    json.loads(node.json())


def read_class_files():
    """They are kept: what is seen to grow later is something else."""
    for class_id in names_apdu.class_files():
        names_apdu.class_file(class_id)


def target_decode_apdu():
    read_class_files()

    def one(octets):
        node = apdu.decode(octets)
        whole(node, octets)
        if not node.faults() and node.end == len(octets):
            # What is right is written again as it was.
            try:
                again = apdu.encode(node)
            except ValueError:
                return
            assert again == octets, again.hex()

    one.seeds = [a for a in seeds.apdus() if len(a) < 400]
    return one


def target_decode_conversation():
    read_class_files()
    keys = Keys()
    keys.add(TITLE, guek=bytes(range(16)), gak=bytes(range(0xD0, 0xE0)))

    def one(octets):
        o = Octets(octets)
        c = Conversation(keys)
        n = 0
        while o:
            kind = o.u8()
            direction = ("rx", "tx", None)[kind % 3]
            if kind & 0xC0 == 0:
                said = lines.a_frame(o)
            elif kind & 0xC0 == 0x40:
                said = lines.wrapped(o)
            else:
                said = o.some()
            for unit in c.octets(direction, said):
                whole(unit, unit.octets)
                n += len(unit.octets)
        for unit in c.end():
            whole(unit, unit.octets)
            n += len(unit.octets)
        assert n <= 8 * len(octets) + 64 * 300

    one.seeds = [
        *[b"\x80" + put(v) for name in ("hdlc", "wrapper", "iec21", "security", "general", "acse")
          for v in seeds.vectors(name) if len(v) < 250],
        b"\0\0\0\x93\0\0" + b"\0\0\0\x10\0" + put(lines.LLC + lines.AARQ),
        b"\x43\0\0\0" + put(lines.AARQ) + b"\x43\0\0\0" + put(lines.GET),
    ]  # fmt: skip
    return one


def target_decode_trace():
    def one(octets):
        said = list(trace.Reader().read(io.StringIO(octets.decode("latin-1"))))
        assert len(said) <= len(octets) + 1
        for one in said:
            assert len(one.octets) <= len(octets) + 8

    one.seeds = [
        b"TX: 10:20:18 7E A0 07 03 03 93 8C 11 7E\nRX: 7EA007030373 82F67E\n",
        b"client: C001C1000100002A0000FF0200\nmeter: C401C10009 ** **\n",
        b"0000  7e a0 07 03 03 93 8c 11 7e\n0010  00 01 02\n",
        b"RX: 10:20:18 /?!<CR><LF>\nTX: <ACK>050<CR><LF>\n",
        b"0x7e,0xa0 7e:a0\n\\x7e\\xa0\n",
    ]
    return one


def target_decode_capture():
    def one(octets):
        try:
            said = list(capture.Capture(io.BufferedReader(io.BytesIO(octets))).read())
        except capture.Trouble as e:
            assert str(e)
            return
        assert sum(len(one.octets) for one in said) <= len(octets) + 1024

    one.seeds = captures()
    return one


def captures():
    """An IPv4 UDP datagram and a TCP segment on port 4059, in pcap and pcapng."""
    wpdu = b"\0\1\0\x10\0\1" + len(lines.GET).to_bytes(2, "big") + lines.GET
    ports = b"\xc0\0" + (4059).to_bytes(2, "big")
    udp = ports + (8 + len(wpdu)).to_bytes(2, "big") + b"\0\0" + wpdu
    tcp = ports + bytes(4) + bytes(4) + b"\x50\x18\x20\0\0\0\0\0" + wpdu
    packets = []
    for protocol, payload in ((17, udp), (6, tcp)):
        n = 20 + len(payload)
        head = b"\x45\0" + n.to_bytes(2, "big") + bytes(4) + b"\x40" + bytes((protocol,))
        packets.append(head + b"\0\0\x7f\0\0\1\x7f\0\0\1" + payload)
    u32 = lambda n: n.to_bytes(4, "little")  # noqa: E731
    classic = b"\xd4\xc3\xb2\xa1\2\0\4\0" + bytes(8) + u32(65535) + u32(101)
    for packet in packets:
        classic += bytes(8) + u32(len(packet)) * 2 + packet
    section = b"\x4d\x3c\x2b\x1a\1\0\0\0" + b"\xff" * 8
    new = b"\x0a\x0d\x0d\x0a" + u32(12 + len(section)) + section + u32(12 + len(section))
    interface = b"\x65\0\0\0" + bytes(4)
    new += u32(1) + u32(12 + len(interface)) + interface + u32(12 + len(interface))
    for packet in packets:
        body = bytes(12) + u32(len(packet)) * 2 + packet + bytes(-len(packet) % 4)
        new += u32(6) + u32(12 + len(body)) + body + u32(12 + len(body))
    return [classic, new]


def target_feed():
    def one(octets):
        f = feeds.Feed()
        events = []
        f.subscribe(events.append)
        o = Octets(octets)
        while o:
            f.read(b"\x1e" + o.some() + b"\n" if o.u8() & 1 else o.some())
        assert len(events) <= len(octets) + 1

    one.seeds = [
        b"".join(b"\1" + put(line) for line in (
            b'H 5 {"feed": 1, "runtime": "x", "time": [1, 2], "speed": 1}',
            b'O 6 1 {"kind": "wrapper-tcp", "local": "127.0.0.1:4059", "peer": "[::1]:5"}',
            b"R 7 1 C001C1", b"T 8 1 C401C100+", b"F 9 1 drop 7EA0", b"L 9 3", b"C 9 1 peer",
            b'S 9 {"heap": 5}', b"V 9 1200", b'A 9 {"error": "no"}',
        )),
        b"\0" + put(b"ready\n\x1eR 7 1 00\n"),
    ]  # fmt: skip
    return one
