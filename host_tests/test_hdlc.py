# SPDX-License-Identifier: MIT
"""profiles.hdlc: conversations between a client written here from the rules, and the server side.

Expected frames come from vectors/hdlc.jsonl (see "source" there), or frame() below makes them; its
CRC is the bit-by-bit form of ISO/IEC 13239. The 22 cases named test_ctt_... carry the names of the
public list of the conformance test's data link layer; what each does beyond its name is ours.
"""

import json
import os
import random
import re
import subprocess

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from profiles import hdlc_link
from profiles.hdlc import HDLC

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(HERE)

NDM, IDLE, RECEIVING, SENDING, REJECTED = range(5)
P = 0x10
SNRM, DISC, UA, DM, FRMR, UI = 0x93, 0x53, 0x73, 0x1F, 0x97, 0x13
LLC_IN, LLC_OUT = b"\xe6\xe6\x00", b"\xe6\xe7\x00"


def vectors(name):
    with open(os.path.join(HERE, "vectors", name)) as f:
        return [json.loads(line) for line in f]


# --- Frames, from the rules --------------------------------------------------------------------


def crc(data):
    register = 0xFFFF
    for octet in data:
        register ^= octet
        for _ in range(8):
            register = register >> 1 ^ (0x8408 if register & 1 else 0)
    register ^= 0xFFFF
    return bytes((register & 0xFF, register >> 8))


def address(upper, lower=None, n=None):
    if n is None:
        n = 1 if lower is None else 2
    if n == 1:
        return bytes((upper << 1 | 1,))
    if n == 2:
        return bytes((upper << 1, lower << 1 | 1))
    return bytes((upper >> 7 << 1, upper << 1 & 0xFE, lower >> 7 << 1, lower << 1 & 0xFE | 1))


def raw_frame(destination, source, control, info=b"", more=False):
    n = 2 + len(destination) + len(source) + 1 + 2 + (len(info) + 2 if info else 0)
    head = bytes((0xA0 | (8 if more else 0) | n >> 8, n & 0xFF)) + destination + source
    head += bytes((control,))
    body = head + crc(head)
    if info:
        body += info
        body += crc(body)
    return b"\x7e" + body + b"\x7e"


def frame(control, info=b"", client=16, server=None, more=False):
    """From the client."""
    return raw_frame(server or address(1, 17), address(client), control, info, more)


def i_frame(ns, nr, info=b"", poll=True, more=False, **kwargs):
    return frame(nr << 5 | ns << 1 | (P if poll else 0), info, more=more, **kwargs)


def rr(nr, poll=True, **kwargs):
    return frame(nr << 5 | 1 | (P if poll else 0), **kwargs)


def rnr(nr, poll=True, **kwargs):
    return frame(nr << 5 | 5 | (P if poll else 0), **kwargs)


class Frame:
    """Takes a frame apart; strict, so that it also checks what the server sends."""

    def __init__(self, octets):
        assert octets[0] == octets[-1] == 0x7E
        body = octets[1:-1]
        assert body[0] & 0xF0 == 0xA0
        assert (body[0] & 7) << 8 | body[1] == len(body)
        assert crc(body[:-2]) == body[-2:]
        self.more = bool(body[0] & 8)
        at = 2
        parts = []
        for _ in range(2):
            start = at
            while not body[at] & 1:
                at += 1
            at += 1
            parts.append(body[start:at])
        self.destination, self.source = parts
        self.control = body[at]
        self.info = b""
        if len(body) > at + 3:
            assert crc(body[: at + 1]) == body[at + 1 : at + 3]
            self.info = body[at + 3 : -2]
            assert self.info
        self.final = bool(self.control & P)
        self.nr = self.control >> 5
        self.ns = self.control >> 1 & 7
        if not self.control & 1:
            self.kind = "I"
        elif self.control & 0x0F == 1:
            self.kind = "RR"
        elif self.control & 0x0F == 5:
            self.kind = "RNR"
        else:
            known = {SNRM: "SNRM", DISC: "DISC", UA: "UA", DM: "DM", FRMR: "FRMR", UI: "UI"}
            self.kind = known[self.control | P]


class Channel:
    def __init__(self, max_pdu):
        self.max_pdu = self.max_receive_pdu = max_pdu
        self.tx = bytearray(40 + max_pdu)
        self.tx_pos = 40
        self.released = 0
        self.more = None

    def release(self):
        self.released += 1

    def in_use(self):
        return False


class Server:
    """Answers with the request, each octet inverted; or with what .answers holds."""

    def __init__(self, max_pdu=1024):
        self.max_pdu = max_pdu
        self.requests = []
        self.seen = []
        self.answers = []

    def channel(self, max_pdu=0):
        return Channel(max_pdu or self.max_pdu)

    def request(self, channel, client_sap, server_sap, buf, pos, end, flags):
        apdu = bytes(buf[pos:end])
        answer = self.answers.pop(0) if self.answers else bytes(b ^ 0xFF for b in apdu)
        if answer == "busy":
            return -1
        for k in range(pos, end):
            buf[k] = 0xDD  # a server may decipher in place
        self.requests.append(apdu)
        self.seen.append((client_sap, server_sap, flags))
        if answer is None:
            return 0
        channel.tx_pos = 35
        channel.tx[35 : 35 + len(answer)] = answer
        return len(answer)


class Talk:
    """A line to an HDLC server; say() gives the frames that come back."""

    def __init__(self, saps=(1, 16), max_pdu=1024, **kwargs):
        self.server = Server(max_pdu)
        self.channel = self.server.channel()
        self.hdlc = HDLC(self.server, self.channel, saps=saps, **kwargs)
        self.now = 0x3FFFFF00  # shortly before the ticks wrap
        self.link = self.hdlc.links[0]

    def octets(self, data, portion=None):
        back = []
        pos = 0
        while pos < len(data):
            end = len(data) if portion is None else min(len(data), pos + portion)
            pos = self.hdlc.receive(data, pos, end, self.now)
            back += self.flush()
        return back + self.flush()

    def flush(self):
        back = []
        while True:
            n = self.hdlc.transmit(self.now)
            if not n:
                return back
            back.append(bytes(self.hdlc.out[self.hdlc.out_pos : self.hdlc.out_pos + n]))

    def say(self, *frames):
        back = []
        for octets in frames:
            back += self.octets(octets)
        return [Frame(octets) for octets in back]

    def one(self, *frames):
        back = self.say(*frames)
        assert len(back) == 1, [f.kind for f in back]
        return back[0]

    def none(self, *frames):
        assert self.say(*frames) == []

    def wait(self, ms, step=10):
        back = []
        while ms > 0:
            self.now = (self.now + step) & 0x3FFFFFFF
            self.hdlc.tick(self.now)
            back += self.flush()
            ms -= step
        return [Frame(octets) for octets in back]

    def connect(self, info=b"", **kwargs):
        reply = self.one(frame(SNRM, info, **kwargs))
        assert reply.kind == "UA"
        return reply


def parameters(info_tx=None, info_rx=None, window_tx=None, window_rx=None, wide=False):
    """Of the client: its transmit is the server's receive."""
    body = b""
    for code, value in ((5, info_tx), (6, info_rx)):
        if value is not None:
            n = 2 if wide or value > 255 else 1
            body += bytes((code, n)) + value.to_bytes(n, "big")
    for code, value in ((7, window_tx), (8, window_rx)):
        if value is not None:
            body += bytes((code, 4)) + value.to_bytes(4, "big")
    return b"\x81\x80" + bytes((len(body),)) + body


def negotiated(info):
    """{5: .., 6: .., 7: .., 8: ..} as the server sees it."""
    assert info[:2] == b"\x81\x80" and info[2] == len(info) - 3
    values = {}
    at = 3
    while at < len(info):
        values[info[at]] = int.from_bytes(info[at + 2 : at + 2 + info[at + 1]], "big")
        at += 2 + info[at + 1]
    return values


# --- Vectors -----------------------------------------------------------------------------------

VECTORS = vectors("hdlc.jsonl")


@pytest.mark.parametrize("v", [v for v in VECTORS if "decoded" in v], ids=lambda v: v["id"])
def test_vectors_are_read_as_their_source_says(v):
    octets = bytes.fromhex(v["hex"])
    d = v["decoded"]
    f = Frame(octets)
    assert f.kind == d["control"]["type"]
    assert f.more == d["segmented"]
    assert f.final == d["control"]["pf"]
    for part, decoded in ((f.destination, d["dst"]), (f.source, d["src"])):
        assert part == address(decoded["upper"], decoded.get("lower"), decoded["len"])
    assert raw_frame(f.destination, f.source, f.control, f.info, f.more) == octets


@pytest.mark.parametrize(
    "v", [v for v in VECTORS if v["direction"] == "c2s" and "decoded" in v], ids=lambda v: v["id"]
)
def test_vectors_of_clients_are_taken(v):
    """In NDM: UA to SNRM, DM to everything else that polls, addressed rightly; UI is delivered."""
    d = v["decoded"]
    t = Talk(saps=(d["dst"]["upper"], 1), device_address=d["dst"].get("lower", 17))
    back = t.say(bytes.fromhex(v["hex"]))
    f = Frame(bytes.fromhex(v["hex"]))
    everybody = 0x7F in (d["dst"]["upper"], d["dst"].get("lower"))
    if f.kind == "UI":
        assert len(t.server.requests) == (2 if d["dst"]["upper"] == 0x7F else 1)
        assert t.server.requests[0] == f.info[3:]
    if everybody:
        assert back == []
    else:
        assert [b.kind for b in back] == ["UA" if f.kind == "SNRM" else "DM"]
        assert (back[0].destination, back[0].source) == (f.source, f.destination)


@pytest.mark.parametrize("v", [v for v in VECTORS if "expect" in v], ids=lambda v: v["id"])
def test_vectors_with_a_fault_are_not_answered(v):
    t = Talk(saps=(1, 74), device_address=17)
    assert t.say(bytes.fromhex(v["hex"])) == []
    assert t.wait(200) == []


@pytest.mark.parametrize(
    "v",
    [v for v in VECTORS if v["direction"] == "s2c" and v["decoded"]["control"]["type"] == "I"
     and v["id"] not in ("hdlc-pcap-10",)],
    ids=lambda v: v["id"],
)  # fmt: skip
def test_vectors_of_servers_are_made_octet_for_octet(v):
    octets = bytes.fromhex(v["hex"])
    f = Frame(octets)
    d = v["decoded"]
    rest = b""
    if v["id"] == "hdlc-pcap-08":
        rest = Frame(
            bytes.fromhex(next(o for o in VECTORS if o["id"] == "hdlc-pcap-10")["hex"])
        ).info
    t = Talk(saps=(d["src"]["upper"],), device_address=d["src"].get("lower", 17))
    kwargs = {"client": d["dst"]["upper"], "server": f.source}
    t.connect(**kwargs)
    t.link.va = f.ns
    t.link.vr = f.nr - 1 & 7
    t.server.answers = [f.info[3:] + rest]
    assert t.octets(i_frame(f.nr - 1 & 7, f.ns, LLC_IN + b"\xc0", **kwargs)) == [octets]
    if rest:
        last = next(o for o in VECTORS if o["id"] == "hdlc-pcap-10")
        poll = next(o for o in VECTORS if o["id"] == "hdlc-pcap-09")
        assert t.octets(bytes.fromhex(poll["hex"])) == [bytes.fromhex(last["hex"])]


def test_vectors_of_unnumbered_and_supervisory_frames_are_made_octet_for_octet():
    known = {v["id"]: bytes.fromhex(v["hex"]) for v in VECTORS}

    t = Talk(saps=(1,))
    assert t.octets(frame(SNRM, server=address(1))) == [known["hdlc-ua-noinfo"]]
    t.hdlc.busy = True
    assert t.octets(i_frame(0, 0, LLC_IN + b"\xc0", server=address(1)))[0][-4:-3] == b"\x15"
    t.hdlc.busy = False
    t.server.answers = [None]
    t.say(i_frame(0, 0, LLC_IN + b"\xc0", server=address(1)))
    t.hdlc.busy = True
    assert t.octets(i_frame(1, 0, LLC_IN + b"\xc0", server=address(1))) == [known["hdlc-c-rnr"]]

    t = Talk(saps=(1,))
    assert t.octets(rr(0, server=address(1))) == [known["hdlc-c-dm"]]

    t = Talk(saps=(1,), max_info=128)
    t.hdlc.configure(max_info_rx=62)
    ask = frame(SNRM, parameters(200, 128, 1, 1), client=48, server=address(1))
    assert t.octets(ask) == [known["hdlc-ua-jdlms1"]]

    t = Talk(saps=(1,), max_info=512)
    assert t.octets(frame(SNRM, parameters(154, 154, 1, 1))) == [known["hdlc-ua-u9n3"]]


# --- Conformance test cases: the data link layer -----------------------------------------------


def test_ctt_frame_p1():
    """A well-formed frame is answered."""
    assert Talk().connect().destination == address(16)


def test_ctt_frame_p2():
    """Many flags between frames, and one flag shared by two frames."""
    t = Talk()
    two = b"\x7e\x7e\x7e" + frame(SNRM) + rr(0)[1:] + b"\x7e\x7e"
    assert [Frame(o).kind for o in t.octets(two)] == ["UA", "RR"]


def test_ctt_frame_p3():
    """Pauses between octets, each shorter than the inter-octet time-out, do no harm."""
    t = Talk()
    back = []
    for octet in frame(SNRM):
        back += t.say(bytes((octet,)))
        t.wait(20)
    assert [f.kind for f in back] == ["UA"]


def test_ctt_frame_n1():
    """No opening flag: silence."""
    t = Talk()
    t.none(frame(SNRM)[1:])
    assert t.wait(100) == []
    t.connect()


def test_ctt_frame_n2():
    """No closing flag: silence, and the next frame is taken."""
    t = Talk()
    t.none(frame(SNRM)[:-1])
    assert t.wait(100) == []
    assert t.link.state == NDM
    t.connect()


def test_ctt_frame_n3():
    """Too short to be a frame."""
    t = Talk()
    t.none(
        b"\x7e\xa0\x05\x03\x21\x93\x7e", b"\x7e\xa0\x7e", b"\x7e\x7e", b"\x7e\xa0\x04\x93\x93\x7e"
    )
    assert t.wait(100) == []
    t.connect()


def test_ctt_frame_n4():
    """A format type that is not 3 (1010), check sequences right."""
    t = Talk()
    for kind in range(16):
        if kind == 0xA:
            continue
        body = bytes((kind << 4, 8)) + address(1, 17) + address(16) + b"\x93"
        t.none(b"\x7e" + body + crc(body) + b"\x7e")
    assert t.wait(100) == []
    t.connect()


def test_ctt_frame_n5():
    """A length that is not that of the frame, check sequences right."""
    t = Talk()
    for n in (7, 9, 10, 20, 0, 0x7FF):
        body = bytes((0xA0 | n >> 8, n & 0xFF)) + address(1, 17) + address(16) + b"\x93"
        t.none(b"\x7e" + body + crc(body) + b"\x7e")
        assert t.wait(100) == []
    t.connect()


def test_ctt_frame_n7():
    """A wrong HCS, the FCS right."""
    t = Talk()
    t.connect()
    body = bytearray(i_frame(0, 0, LLC_IN + b"\xc0")[1:-3])
    body[6] ^= 0x40
    t.none(b"\x7e" + bytes(body) + crc(body) + b"\x7e")
    assert t.wait(100) == [] and t.server.requests == []


def test_ctt_frame_n8():
    """A wrong FCS, the HCS right."""
    t = Talk()
    t.connect()
    octets = bytearray(i_frame(0, 0, LLC_IN + b"\xc0"))
    octets[-2] ^= 1
    t.none(bytes(octets))
    assert t.wait(100) == [] and t.server.requests == []
    assert t.hdlc.dropped == 1


@pytest.mark.parametrize("server", [address(1), address(1, 17), address(1, 17, 4)])
def test_ctt_address_p1(server):
    """Destinations of one, two and four octets; the answer comes from the address used."""
    reply = Talk().connect(server=server)
    assert reply.source == server


def test_ctt_address_n1():
    """A client's address of two octets."""
    Talk().none(raw_frame(address(1, 17), address(16, 1), SNRM))


def test_ctt_address_n4():
    """Destinations that do not exist: logical device, physical device."""
    t = Talk()
    t.none(frame(SNRM, server=address(2)), frame(SNRM, server=address(1, 18)))
    t.none(frame(SNRM, server=address(2, 17)), frame(SNRM, server=address(1, 18, 4)))


def test_ctt_address_n6():
    """Destinations of three octets, and of more than four."""
    t = Talk()
    for destination in (b"\x02\x00\x23", b"\x00\x02\x00\x22\x23", b"\x00\x02\x00\x00\x00\x23"):
        t.none(raw_frame(destination, address(16), SNRM))
    assert t.wait(100) == []


def test_ctt_address_n7():
    """Reserved addresses: no station; all stations and CALLING for anything but UI."""
    t = Talk()
    for server in (
        address(0), address(0, 17), address(1, 0), address(0, 0, 4),
        address(0x7F), address(0x7F, 17), address(1, 0x7F), address(0x3FFF, 17, 4),
        address(1, 0x3FFF, 4), address(1, 0x7E), address(1, 0x3FFE, 4),
    ):  # fmt: skip
        t.none(frame(SNRM, server=server))
    t.none(frame(SNRM, client=0), frame(SNRM, client=0x7F))


def test_ctt_ndm2nrm_p1():
    """Maximum information field lengths, up to 2030."""
    for ours in (32, 128, 2030):
        for asked in (32, 128, 500, 2030):
            t = Talk(max_info=ours)
            info = t.connect(parameters(asked, asked, 1, 1)).info
            assert negotiated(info) == {5: min(ours, asked), 6: min(ours, asked), 7: 1, 8: 1}


def test_ctt_ndm2nrm_p2():
    """Windows 1 to 7."""
    for ours in range(1, 8):
        for asked in range(1, 8):
            t = Talk(window=ours)
            info = t.connect(parameters(128, 128, asked, asked)).info
            assert negotiated(info) == {5: 128, 6: 128, 7: min(ours, asked), 8: min(ours, asked)}


def test_ctt_info_p1():
    """An I frame with a request is answered by an I frame."""
    t = Talk()
    t.connect()
    f = t.one(i_frame(0, 0, LLC_IN + b"\xc0\x01"))
    assert (f.kind, f.ns, f.nr, f.final, f.more) == ("I", 0, 1, True, False)
    assert f.info == LLC_OUT + b"\x3f\xfe"
    f = t.one(i_frame(1, 1, LLC_IN + b"\xc0\x02"))
    assert (f.ns, f.nr) == (1, 2)


def test_ctt_info_n1():
    """An information field longer than negotiated: FRMR with Y."""
    t = Talk(max_info=128)
    t.connect()
    f = t.one(i_frame(0, 0, LLC_IN + bytes(126)))
    assert (f.kind, f.info) == ("FRMR", b"\x10\x00\x04")
    assert t.server.requests == []


def test_ctt_info_n2():
    """N(R) acknowledges what was not sent: FRMR with Z."""
    t = Talk()
    t.connect()
    f = t.one(i_frame(0, 1, LLC_IN + b"\xc0"))
    assert (f.kind, f.info) == ("FRMR", b"\x30\x00\x08")
    assert t.server.requests == []


def test_ctt_info_n3():
    """N(S) is not the expected one: not taken, RR says which is expected."""
    t = Talk()
    t.connect()
    f = t.one(i_frame(1, 0, LLC_IN + b"\xc0"))
    assert (f.kind, f.nr) == ("RR", 0)
    assert t.server.requests == []
    assert t.one(i_frame(0, 0, LLC_IN + b"\xc0")).kind == "I"


def test_ctt_ndmop_n1():
    """An I frame in NDM."""
    t = Talk()
    assert t.one(i_frame(0, 0, LLC_IN + b"\xc0")).kind == "DM"
    assert t.server.requests == []


def test_the_ctt_list_is_complete():
    with open(__file__) as f:
        names = re.findall(r"^def test_ctt_(\w+)", f.read(), re.M)
    assert len(names) == len(set(names)) == 22


# --- The transition table ----------------------------------------------------------------------

EVENTS = ("SNRM", "DISC", "I", "RR", "RNR", "UI", "other", "time-out")

# (state, event): what a poll is answered with, and the state after it. Written out from the rules:
# the pairs that are not legal are those that give DM in NDM, and FRMR.
MATRIX = {
    NDM: ("UA IDLE", "DM NDM", "DM NDM", "DM NDM", "DM NDM", "DM NDM", "DM NDM", "- NDM"),
    IDLE: ("UA IDLE", "UA NDM", "I SENDING", "RR IDLE", "RR IDLE", "RR IDLE", "FRMR REJECTED",
           "- NDM"),
    RECEIVING: ("UA IDLE", "UA NDM", "I SENDING", "RR RECEIVING", "RR RECEIVING", "RR RECEIVING",
                "FRMR REJECTED", "- NDM"),
    SENDING: ("UA IDLE", "UA NDM", "I SENDING", "RR IDLE", "RR IDLE", "RR IDLE", "FRMR REJECTED",
              "- NDM"),
    REJECTED: ("UA IDLE", "UA NDM", "FRMR REJECTED", "FRMR REJECTED", "FRMR REJECTED",
               "FRMR REJECTED", "FRMR REJECTED", "- NDM"),
}  # fmt: skip
# What takes a link there: frames, and the N(S), N(R) that the client has then.
WAY = {
    NDM: ((), 0, 0),
    IDLE: ((frame(SNRM),), 0, 0),
    RECEIVING: ((frame(SNRM), i_frame(0, 0, LLC_IN + b"\xc0", more=True)), 1, 0),
    SENDING: ((frame(SNRM), i_frame(0, 0, LLC_IN + b"\xc0")), 1, 1),
    REJECTED: ((frame(SNRM), frame(0xFF)), 0, 0),
}


def arrive(state):
    t = Talk()
    t.server.answers = []
    way, ns, nr = WAY[state]
    t.say(*way)
    assert t.link.state == state
    t.channel.released = 0
    return t, ns, nr


def event_frame(name, ns, nr, poll):
    bit = P if poll else 0
    if name == "I":
        return i_frame(ns, nr, LLC_IN + b"\xc1", poll)
    if name in ("RR", "RNR"):
        return (rr if name == "RR" else rnr)(nr, poll)
    if name == "UI":
        return frame(0x03 | bit, LLC_IN + b"\xc1")
    return frame({"SNRM": 0x83, "DISC": 0x43, "other": 0x87}[name] | bit)


PAIRS = [(state, column) for state in MATRIX for column in range(8)]


def test_the_table_has_a_cell_for_each_pair():
    assert len(hdlc_link.TABLE) == 5 * 8
    assert len(PAIRS) == 40


@pytest.mark.parametrize("state, column", PAIRS)
def test_transition(state, column):
    reply, after = MATRIX[state][column].split()
    after = globals()[after]
    cell = hdlc_link.TABLE[state << 3 | column]
    assert cell & 15 in (15, after)
    t, ns, nr = arrive(state)
    if EVENTS[column] == "UI":
        t.server.answers = [None]
    if EVENTS[column] == "time-out":
        assert t.wait(121_000, 100) == []
    else:
        assert t.one(event_frame(EVENTS[column], ns, nr, True)).kind == reply
    assert t.link.state == after
    # The associations go with the link, and only then.
    action = cell >> 4
    dropped = state != NDM and action in (2, 3, 10)
    assert t.channel.released == (1 if dropped else 0)


@pytest.mark.parametrize("state, column", [p for p in PAIRS if EVENTS[p[1]] != "time-out"])
def test_without_a_poll_nothing_is_sent(state, column):
    t, ns, nr = arrive(state)
    t.none(event_frame(EVENTS[column], ns, nr, False))
    if EVENTS[column] in ("SNRM", "DISC"):
        assert t.link.state == state  # neither takes effect without its UA
    else:
        assert t.link.state == globals()[MATRIX[state][column].split()[1]]


@pytest.mark.parametrize("control", sorted(set(range(256)) - {0x13, 0x93, 0x53}))
def test_other_control_octets(control):
    """Each of the 256, in NRM, with P as it comes."""
    t = Talk()
    t.connect()
    back = t.say(frame(control))
    assert len(back) == (1 if control & P else 0)
    if control & 1 and control & 0x0F not in (1, 5) and control not in (0x03, 0x83, 0x43):
        assert t.link.state == REJECTED
        back = t.say(rr(0))
        assert back[0].info == bytes((control, 0, 1))


# --- Link set-up -------------------------------------------------------------------------------


def test_snrm_without_parameters_means_128_and_1():
    t = Talk(max_info=512, window=7)
    assert t.connect().info == b""
    assert (t.link.info_tx, t.link.info_rx, t.link.window_tx, t.link.window_rx) == (128, 128, 1, 1)


def test_ua_has_parameters_if_the_buffers_hold_less_than_the_default():
    assert negotiated(Talk(max_info=64).connect().info) == {5: 64, 6: 64, 7: 1, 8: 1}


def test_directions_are_those_of_the_sender():
    t = Talk(max_info=1000, window=7)
    info = t.connect(parameters(info_tx=300, info_rx=200, window_tx=5, window_rx=3)).info
    assert negotiated(info) == {5: 200, 6: 300, 7: 3, 8: 5}


def test_a_parameter_that_is_absent_has_its_default():
    t = Talk(max_info=1000, window=7)
    assert negotiated(t.connect(parameters(info_rx=200)).info) == {5: 200, 6: 128, 7: 1, 8: 1}
    assert negotiated(t.connect(b"\x81\x80\x00").info) == {5: 128, 6: 128, 7: 1, 8: 1}


def test_values_of_one_two_and_four_octets():
    t = Talk(max_info=1000, window=7)
    for info in (
        b"\x81\x80\x0c\x05\x01\xc8\x06\x01\x64\x07\x01\x03\x08\x01\x02",
        b"\x81\x80\x10\x05\x02\x00\xc8\x06\x02\x00\x64\x07\x02\x00\x03\x08\x02\x00\x02",
        b"\x81\x80\x18\x05\x04\0\0\0\xc8\x06\x04\0\0\0\x64\x07\x04\0\0\0\x03\x08\x04\0\0\0\x02",
    ):
        assert negotiated(t.connect(info).info) == {5: 100, 6: 200, 7: 2, 8: 3}


@pytest.mark.parametrize(
    "info",
    [
        b"\x00", b"\x81", b"\x81\x80", b"\x81\x80\x14\x05\x02", b"\x81\x80\x02\x05\x04",
        b"\x81\x81\x02\x05\x01", b"\x81\x80\x03\x05\x01\x00", b"\x81\x80\x03\x09\x01\x07",
        b"\x81\xc0\x03\x05\x01\x40", b"\x81\x80\x02\x05\x00",
    ],
)  # fmt: skip
def test_parameters_that_make_no_sense_leave_the_defaults(info):
    assert negotiated(Talk().connect(info).info) == {5: 128, 6: 128, 7: 1, 8: 1}


def test_large_values_are_limited():
    t = Talk(max_info=200, window=3)
    info = (
        b"\x81\x80\x18\x05\x04\xff\xff\xff\xff\x06\x04\x80\0\0\0"
        + b"\x07\x04\0\0\1\0\x08\x04\0\0\0\x08"
    )
    assert negotiated(t.connect(info).info) == {5: 200, 6: 200, 7: 3, 8: 3}


def test_user_information_behind_the_parameters_is_passed_over():
    t = Talk(max_info=200)
    info = parameters(64, 64) + b"\xc0\x02\x05\x01"
    assert negotiated(t.connect(info).info) == {5: 64, 6: 64, 7: 1, 8: 1}


def test_configure_counts_from_the_next_snrm_on():
    t = Talk(max_info=256, window=2)
    t.connect(parameters(2030, 2030, 7, 7))
    assert t.hdlc.configure(max_info_tx=100, max_info_rx=1000, window_tx=5, window_rx=6)
    assert (t.link.info_tx, t.link.info_rx, t.link.window_tx) == (256, 256, 2)
    info = t.connect(parameters(2030, 2030, 7, 7)).info
    assert negotiated(info) == {5: 100, 6: 256, 7: 5, 8: 6}


def test_configure_takes_all_or_nothing():
    t = Talk()
    for wrong in (
        {"max_info_tx": 31}, {"max_info_rx": 2031}, {"window_tx": 0}, {"window_rx": 8},
        {"inter_octet_ms": 19}, {"inter_octet_ms": 6001}, {"inactivity_s": 65536},
        {"device_address": 0}, {"device_address": 0x3FFE},
    ):  # fmt: skip
        assert not t.hdlc.configure(**dict({"inactivity_s": 60}, **wrong))
        assert t.hdlc.inactivity_s == (60 if "x" in wrong else 120)


def test_a_new_device_address_counts_at_once():
    t = Talk()
    assert t.hdlc.configure(device_address=300)
    t.none(frame(SNRM))
    t.connect(server=address(1, 300, 4))


def test_a_second_snrm_starts_anew():
    t = Talk()
    t.connect()
    t.say(i_frame(0, 0, LLC_IN + b"\xc0"))
    t.connect()
    assert t.channel.released == 1
    assert (t.link.vr, t.link.va, t.link.outstanding) == (0, 0, 0)
    assert t.one(i_frame(0, 0, LLC_IN + b"\xc0")).ns == 0


def test_after_disc_there_is_dm():
    t = Talk()
    t.connect()
    assert t.one(frame(DISC)).kind == "UA"
    assert t.channel.released == 1
    assert t.one(frame(DISC)).kind == "DM"
    assert t.one(rr(0)).kind == "DM"


def test_the_physical_link_goes():
    t = Talk()
    t.connect()
    t.say(i_frame(0, 0, LLC_IN + b"\xc0")[:9])
    t.hdlc.reset()
    assert t.channel.released == 1
    assert t.one(rr(0)).kind == "DM"


# --- Addresses ---------------------------------------------------------------------------------


def test_two_logical_devices_over_one_link_after_the_other():
    t = Talk()
    t.connect(server=address(1, 17))
    t.say(i_frame(0, 0, LLC_IN + b"\xc0"))
    t.say(frame(DISC))
    t.connect(server=address(16, 17))
    t.say(i_frame(0, 0, LLC_IN + b"\xc0", server=address(16, 17)))
    assert t.server.seen == [(16, 1, 1), (16, 16, 1)]


def test_another_client_gets_dm_while_the_only_link_is_taken():
    t = Talk()
    t.connect()
    assert t.one(frame(SNRM, client=1)).kind == "DM"
    assert t.one(frame(SNRM, server=address(16, 17))).kind == "DM"
    assert t.one(frame(DISC, client=1)).kind == "DM"
    assert t.one(i_frame(0, 0, LLC_IN + b"\xc0")).kind == "I"
    t.say(frame(DISC))
    t.connect(client=1)


def test_two_links_at_a_time_keep_apart():
    t = Talk(connections=2, window=7)
    t.connect(parameters(40, 40, 1, 1))
    t.connect(parameters(50, 50, 1, 1), client=1, server=address(16))
    a = t.one(i_frame(0, 0, LLC_IN + b"A" * 30, poll=True, more=True))
    assert a.kind == "RR"
    t.server.answers = [b"to B" * 20]
    b = t.one(i_frame(0, 0, LLC_IN + b"B", client=1, server=address(16)))
    assert (b.destination, b.source, b.more) == (address(1), address(16), True)
    a = t.one(i_frame(1, 0, b"A" * 5))
    assert t.server.requests == [b"B", b"A" * 35]
    assert a.info == LLC_OUT + b"\xbe" * 35
    b2 = t.one(rr(1, client=1, server=address(16)))
    assert b.info + b2.info == LLC_OUT + b"to B" * 20
    assert t.one(frame(SNRM, client=2)).kind == "DM"
    released = [link.channel.released for link in t.hdlc.links]
    t.say(frame(DISC))
    assert sorted(link.channel.released for link in t.hdlc.links) == sorted(released)[:-1] + [1]


def test_calling_device_means_this_device_while_it_calls():
    t = Talk()
    t.hdlc.calling = True
    assert t.connect(server=address(1, 0x7E)).source == address(1, 0x7E)
    t.hdlc.reset()
    t.connect(server=address(1, 0x3FFE, 4))


def test_a_sap_of_two_octets():
    t = Talk(saps=(1, 0x1234), device_address=0x1826)
    t.connect(server=address(0x1234, 0x1826, 4))
    t.say(i_frame(0, 0, LLC_IN + b"\xc0", server=address(0x1234, 0x1826, 4)))
    assert t.server.seen == [(16, 0x1234, 1)]


def test_the_saps_are_those_of_the_server_if_none_are_given():
    class Model:
        devices = ((5, 0, 0, b""), (20, 0, 0, b""))

    server = Server()
    server.model = Model
    assert HDLC(server, server.channel()).saps == (5, 20)


# --- UI ----------------------------------------------------------------------------------------


def test_broadcast_reaches_each_logical_device_and_is_not_answered():
    t = Talk(saps=(1, 16))
    t.none(frame(UI, LLC_IN + b"\xc1\x05", server=address(0x7F)))
    assert t.server.requests == [b"\xc1\x05"] * 2
    assert t.server.seen == [(16, 1, 4), (16, 16, 4)]
    t.none(frame(UI, LLC_IN + b"\xc1\x06", server=address(16, 0x3FFF, 4)))
    assert t.server.seen[2:] == [(16, 16, 4)]


@pytest.mark.parametrize("upper, n", [((0x7F,), 2), ((16, 0x3FFF, 4), 1)])
def test_ui_that_has_to_wait_comes_again(upper, n):
    """Each logical device has it once, as it has left it; and what comes next is served."""
    t = Talk(saps=(1, 16))
    t.server.answers = ["busy", None, "busy", "busy", None][: 2 if n == 1 else 5]
    t.none(frame(UI, LLC_IN + b"\xc1\x05", server=address(*upper)))
    for _ in range(4):
        assert t.flush() == []
    assert t.server.requests == [b"\xc1\x05"] * n
    assert t.server.seen == [(16, 1, 4), (16, 16, 4)][2 - n :]
    t.none(frame(UI, LLC_IN + b"\xc1\x06", server=address(0x7F)))
    assert t.server.requests[n:] == [b"\xc1\x06"] * 2


def test_ui_for_one_device():
    t = Talk()
    t.server.answers = [None, b"\xaa", None]
    t.none(frame(UI & ~P, LLC_IN + b"\xc1\x05"))
    f = t.one(frame(UI, LLC_IN + b"\xc0\x05"))
    assert (f.kind, f.info, f.final) == ("UI", LLC_OUT + b"\xaa", True)
    t.connect()
    assert t.one(frame(UI, LLC_IN + b"\xc1\x07")).kind == "RR"
    assert t.server.requests == [b"\xc1\x05", b"\xc0\x05", b"\xc1\x07"]
    assert {flags for _c, _s, flags in t.server.seen} == {4}


def test_ui_that_is_not_for_the_llc_sublayer():
    t = Talk()
    for info in (b"\xe6", LLC_IN, LLC_OUT + b"\xc0", b"\xe6\xe6\x01\xc0", b"\x01\x02\x03\x04"):
        t.none(frame(UI & ~P, info))
    assert t.server.requests == []


def test_ui_does_not_spoil_an_answer_under_way():
    """The channel has one buffer: while segments of an answer are still to be sent, UI is lost."""
    t = Talk()
    t.connect(parameters(64, 64, 1, 1))
    t.server.answers = [bytes(range(100))]
    first = t.one(i_frame(0, 0, LLC_IN + b"\xc0"))
    t.none(frame(UI & ~P, LLC_IN + b"\xc1"))
    last = t.one(rr(1))
    assert first.info + last.info == LLC_OUT + bytes(range(100))
    # The answer has been sent to its end: now UI is taken, and the answer cannot be repeated.
    t.server.answers = [None]
    t.none(frame(UI & ~P, LLC_IN + b"\xc1"))
    assert t.server.requests == [b"\xc0", b"\xc1"]
    assert t.one(rr(1)).kind == "RR"
    f = t.one(i_frame(1, 1, LLC_IN + b"\xc2"))
    assert (f.kind, f.ns) == ("I", 1)


def test_a_notification_waits_for_the_trigger():
    t = Talk()
    buf = bytearray(b"???" + b"\x0f\x01\x02")
    assert t.hdlc.notify(16, 1, buf, 3, 3)
    assert not t.hdlc.notify(16, 1, buf, 3, 3)
    assert t.wait(100) == []
    assert t.one(frame(UI, client=1)).kind == "DM"
    f = t.one(frame(UI))
    assert (f.kind, f.info, f.destination) == ("UI", LLC_OUT + b"\x0f\x01\x02", address(16))
    assert t.hdlc.note_buf is None
    t.connect()
    assert t.one(frame(UI)).kind == "RR"


@pytest.mark.parametrize("n", [1, 2, 4])
def test_a_notification_at_once(n):
    t = Talk(saps=(1,), device_address=17)
    t.hdlc.address_len = n
    buf = bytearray(b"???" + b"\x0f\x01\x02")
    t.none(frame(SNRM)[:5])
    assert t.hdlc.notify(16, 1, buf, 3, 3, at_once=True)
    assert t.flush() == []  # a frame is coming in
    (f,) = t.wait(100)
    assert f.source == address(1, 17 if n > 1 else None, n)
    assert (f.kind, f.info) == ("UI", LLC_OUT + b"\x0f\x01\x02")


def test_a_notification_must_fit_into_a_frame():
    t = Talk(max_info=64)
    assert not t.hdlc.notify(16, 1, bytearray(100), 3, 62)
    assert t.hdlc.notify(16, 1, bytearray(100), 3, 61)


# --- Requests and answers ----------------------------------------------------------------------


def test_a_segmented_request_and_a_segmented_answer():
    t = Talk(window=1)
    t.connect(parameters(40, 40, 1, 1))
    assert t.one(i_frame(0, 0, LLC_IN + b"a" * 37, more=True)).nr == 1
    assert t.one(i_frame(1, 0, b"b" * 40, more=True)).nr == 2
    t.server.answers = [bytes(range(90))]
    f = t.one(i_frame(2, 0, b"c"))
    assert t.server.requests == [b"a" * 37 + b"b" * 40 + b"c"]
    assert (f.more, f.ns, f.nr, len(f.info)) == (True, 0, 3, 40)
    assert f.info[:3] == LLC_OUT
    g = t.one(rr(1))
    assert (g.more, g.ns) == (True, 1)
    h = t.one(rr(2))
    assert (h.more, h.ns, len(h.info)) == (False, 2, 13)
    assert (f.info + g.info + h.info)[3:] == bytes(range(90))
    assert t.one(rr(3)).kind == "RR"


def test_a_window_of_frames_in_one_turn():
    t = Talk(window=3)
    t.connect(parameters(32, 32, 3, 3))
    t.none(
        i_frame(0, 0, LLC_IN + b"a" * 29, poll=False, more=True),
        i_frame(1, 0, b"b" * 32, poll=False, more=True),
    )
    t.server.answers = [bytes(150)]
    back = t.say(i_frame(2, 0, b"c", poll=True))
    assert [(f.ns, f.final, f.more) for f in back] == [
        (0, False, True), (1, False, True), (2, True, True)
    ]  # fmt: skip
    back = t.say(rr(3))
    assert [(f.ns, f.final, f.more) for f in back] == [(3, False, True), (4, True, False)]


def test_a_lost_frame_of_an_answer_is_sent_again_from_there():
    t = Talk(window=3)
    t.connect(parameters(32, 32, 3, 3))
    t.server.answers = [bytes(range(150))]
    first = t.say(i_frame(0, 0, LLC_IN + b"\xc0"))
    again = t.say(rr(1))
    assert [f.ns for f in again] == [1, 2, 3]
    assert again[0].info == first[1].info


def test_a_repeated_request_is_not_served_twice():
    t = Talk()
    t.connect()
    ask = i_frame(0, 0, LLC_IN + b"\xc0")
    a = t.octets(ask)
    assert t.octets(ask) == a
    assert len(t.server.requests) == 1
    # Acknowledged meanwhile: there is nothing left to repeat.
    t.say(rr(1))
    assert t.one(i_frame(0, 1, LLC_IN + b"\xc0")).kind == "RR"
    assert len(t.server.requests) == 1


def test_a_request_without_an_answer_is_acknowledged():
    t = Talk()
    t.connect()
    t.server.answers = [None]
    f = t.one(i_frame(0, 0, LLC_IN + b"\xc1"))
    assert (f.kind, f.nr) == ("RR", 1)


def test_a_lost_segment_of_a_request():
    t = Talk(window=3)
    t.connect(parameters(40, 40, 3, 3))
    t.none(i_frame(0, 0, LLC_IN + b"a" * 37, poll=False, more=True))
    f = t.one(i_frame(2, 0, b"c" * 40, poll=True))
    assert (f.kind, f.nr) == ("RR", 1)
    t.none(i_frame(1, 0, b"b" * 40, poll=False, more=True))
    t.server.answers = [b"ok"]
    assert t.one(i_frame(2, 0, b"c" * 40, poll=True)).kind == "I"
    assert t.server.requests == [b"a" * 37 + b"b" * 40 + b"c" * 40]


def test_client_not_ready_stops_the_answer():
    t = Talk()
    t.connect(parameters(32, 32, 1, 1))
    t.server.answers = [bytes(80)]
    t.one(i_frame(0, 0, LLC_IN + b"\xc0"))
    assert t.one(rnr(1)).kind == "RR"
    assert t.one(rnr(1)).kind == "RR"
    assert t.one(rr(1)).ns == 1


def test_a_busy_server_says_rnr_and_takes_the_request_later():
    t = Talk()
    t.connect()
    t.hdlc.busy = True
    ask = i_frame(0, 0, LLC_IN + b"\xc0")
    assert (t.one(ask).kind, t.one(rr(0)).kind, t.one(rnr(0)).kind) == ("RNR", "RNR", "RNR")
    t.hdlc.busy = False
    assert t.one(rr(0)).kind == "RR"
    assert t.one(ask).kind == "I"
    assert t.server.requests == [b"\xc0"]


def test_a_request_that_the_server_cannot_take_now():
    """request() < 0: the server has work to do; the frame stays in hand, and is asked again."""
    t = Talk()
    t.connect(parameters(40, 40, 1, 1))
    t.say(i_frame(0, 0, LLC_IN + b"a" * 37, more=True))
    t.server.answers = ["busy", "busy", "busy", b"ok"]
    t.none(i_frame(1, 0, b"b"))
    # What comes meanwhile waits: it is not even taken from the line.
    later = rr(1)
    assert t.hdlc.receive(later, 0, len(later), t.now) == 0
    (f,) = t.wait(30)
    assert (f.kind, f.nr, f.info) == ("I", 2, LLC_OUT + b"ok")
    assert t.server.requests[-1].endswith(b"ab")


def test_a_second_request_waits_until_the_first_is_answered():
    """Two requests in one window: the second is not acknowledged, the client repeats it."""
    t = Talk(window=2)
    t.connect(parameters(128, 128, 2, 2))
    t.none(i_frame(0, 0, LLC_IN + b"\xc0", poll=False))
    f = t.one(i_frame(1, 0, LLC_IN + b"\xc1", poll=True))
    assert (f.kind, f.nr, f.info) == ("I", 1, LLC_OUT + b"\x3f")
    f = t.one(i_frame(1, 1, LLC_IN + b"\xc1", poll=True))
    assert (f.nr, f.info) == (2, LLC_OUT + b"\x3e")


def test_a_client_that_asks_something_else_before_the_end():
    """The rest of the long answer is withdrawn; numbers go on where the client expects them."""
    t = Talk(window=3)
    t.connect(parameters(32, 32, 3, 3))
    t.server.answers = [bytes(300), b"new"]
    t.say(i_frame(0, 0, LLC_IN + b"\xc0"))
    f = t.one(i_frame(1, 2, LLC_IN + b"\xc1"))
    assert (f.ns, f.nr, f.info, f.more) == (2, 2, LLC_OUT + b"new", False)
    f = t.one(i_frame(2, 3, LLC_IN + b"\xc2"))
    assert (f.ns, f.nr) == (3, 3)


def test_llc_of_another_kind_is_acknowledged_and_dropped():
    t = Talk()
    t.connect()
    for ns, info in enumerate(
        (LLC_OUT + b"\xc0", b"\xe6\xe6\x03\xc0", b"\xc0\x01\x02\x03", LLC_IN)
    ):
        f = t.one(i_frame(ns, 0, info))
        assert (f.kind, f.nr) == ("RR", ns + 1)
    assert t.one(i_frame(4, 0, b"")).nr == 5
    assert t.server.requests == []


def test_a_request_longer_than_the_buffer_is_cut_and_marked():
    t = Talk(max_pdu=100)
    t.connect()
    t.say(i_frame(0, 0, LLC_IN + bytes(range(80)), more=True))
    t.say(i_frame(1, 0, bytes(80), more=True))
    t.server.answers = [b"\xd8\x01\x04"]
    f = t.one(i_frame(2, 0, bytes(80)))
    assert f.info == LLC_OUT + b"\xd8\x01\x04"
    assert t.server.requests == [bytes(range(80)) + bytes(20)]
    assert t.server.seen == [(16, 1, 3)]
    t.say(i_frame(3, 1, LLC_IN + b"\xc0"))
    assert t.server.seen[1] == (16, 1, 1)


def test_numbers_wrap():
    t = Talk()
    t.connect()
    for k in range(20):
        f = t.one(i_frame(k & 7, k & 7, LLC_IN + bytes((k,))))
        assert (f.kind, f.ns, f.nr) == ("I", k & 7, k + 1 & 7)


# --- FRMR --------------------------------------------------------------------------------------


def test_frmr_stays_until_snrm():
    t = Talk()
    t.connect()
    t.say(i_frame(0, 0, LLC_IN + b"\xc0"))
    f = t.one(frame(0xFF))
    assert (f.kind, f.info) == ("FRMR", b"\xff\x22\x01")
    assert t.one(i_frame(1, 1, LLC_IN + b"\xc0")).info == b"\xff\x22\x01"
    assert t.one(rr(1)).kind == "FRMR"
    t.connect()
    assert t.one(rr(0)).kind == "RR"


def test_frmr_ends_with_disc():
    t = Talk()
    t.connect()
    t.say(frame(0xFF))
    assert t.one(frame(DISC)).kind == "UA"


def test_frmr_without_a_poll_is_sent_with_the_next():
    t = Talk()
    t.connect()
    t.none(frame(0x87))
    assert t.one(rr(0)).info == b"\x87\x00\x01"


def test_information_in_a_supervisory_frame():
    t = Talk()
    t.connect()
    assert t.one(frame(0x11, b"x")).info == b"\x11\x00\x03"


@pytest.mark.parametrize("length", [129, 131, 132, 200, 500, 2030])
def test_information_longer_than_the_buffer(length):
    """Its check sequence counts all the same: FRMR if it is right, silence if it is not."""
    t = Talk(max_info=128)
    t.connect()
    octets = bytearray(i_frame(0, 0, bytes(length)))
    octets[-3] ^= 1
    assert t.octets(bytes(octets)) == []
    octets[-3] ^= 1
    octets[-1] = 0
    assert t.octets(bytes(octets)) == []
    assert t.wait(100) == []
    octets[-1] = 0x7E
    (back,) = t.octets(bytes(octets), portion=7)
    assert Frame(back).info == b"\x10\x00\x04"


def test_an_overlong_snrm_is_not_taken():
    t = Talk(max_info=128)
    t.none(frame(SNRM, bytes(200)))
    assert t.link.state == NDM


def test_nr_within_the_window_only():
    t = Talk(window=7)
    t.connect(parameters(32, 32, 7, 7))
    t.server.answers = [bytes(100)]
    assert len(t.say(i_frame(0, 0, LLC_IN + b"\xc0"))) == 4
    assert t.one(rr(5)).info == b"\xb1\x28\x08"


# --- Time --------------------------------------------------------------------------------------


def test_a_part_of_a_frame_is_dropped_after_the_inter_octet_time_out():
    t = Talk()
    octets = frame(SNRM)
    t.none(octets[:6])
    t.wait(40)
    t.none(octets[6:])
    t.wait(40)
    t.connect()


def test_the_inter_octet_time_out_can_be_set():
    t = Talk()
    assert t.hdlc.configure(inter_octet_ms=1000)
    octets = frame(SNRM)
    t.none(octets[:6])
    t.wait(900)
    assert t.one(octets[6:]).kind == "UA"


def test_a_late_caller_does_not_cut_frames():
    """One tick after a long pause, octets at once after it: they had been waiting."""
    t = Talk()
    octets = frame(SNRM)
    t.none(octets[:6])
    t.wait(500, 500)
    assert t.one(octets[6:]).kind == "UA"


def test_a_frame_swallowed_by_the_one_before_is_found_at_the_time_out():
    t = Talk()
    t.none(i_frame(0, 0, bytes(100))[:20] + frame(SNRM))
    (f,) = t.wait(100)
    assert f.kind == "UA"


def test_inactivity_ends_the_link_and_its_associations():
    t = Talk()
    assert t.hdlc.configure(inactivity_s=10)
    t.connect()
    t.wait(9_900)
    assert t.one(rr(0)).kind == "RR"
    t.wait(9_900)
    assert (t.link.state, t.channel.released) == (IDLE, 0)
    assert t.wait(200) == []
    assert (t.link.state, t.channel.released) == (NDM, 1)
    assert t.one(rr(0)).kind == "DM"


def test_inactivity_can_be_switched_off():
    t = Talk()
    assert t.hdlc.configure(inactivity_s=0)
    t.connect()
    t.wait(1_000_000, 1000)
    assert t.link.state == IDLE


def test_frames_for_others_do_not_keep_a_link():
    t = Talk()
    assert t.hdlc.configure(inactivity_s=10)
    t.connect()
    for _ in range(11):
        t.wait(1000)
        t.none(rr(0, server=address(1, 18)))
    assert t.link.state == NDM


# --- The stream of octets ----------------------------------------------------------------------

TALK = [
    frame(SNRM, parameters(64, 48, 3, 2)),
    i_frame(0, 0, LLC_IN + b"\x7e\xa0\x7e" + bytes(40), poll=False, more=True),
    i_frame(1, 0, b"\x7e" * 20),
    rr(2),
    rr(1),
    rr(2),
    i_frame(2, 3, LLC_IN + bytes(range(60, 90))),
    frame(0x13, LLC_IN + b"\xc1"),
    i_frame(2, 3, LLC_IN + bytes(range(60, 90))),
    i_frame(3, 4, bytes(150)),
    rr(0),
    frame(SNRM),
    frame(DISC),
    rr(0),
]


def new_talk():
    return Talk(max_info=64, window=7)


def plain():
    t = new_talk()
    return b"".join(o for f in TALK for o in t.octets(f)), t.server.requests


PLAIN = plain()


def test_the_conversation_has_everything():
    t = new_talk()
    kinds = [[f.kind for f in t.say(f)] for f in TALK]
    assert {k for back in kinds for k in back} == {"UA", "I", "RR", "FRMR", "DM"}


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_portions_make_no_difference(data):
    stream = b"".join(TALK)
    t = new_talk()
    back = b""
    pos = 0
    while pos < len(stream):
        end = min(len(stream), pos + data.draw(st.integers(1, 90)))
        while pos < end:
            pos = t.hdlc.receive(stream, pos, end, t.now)
            back += b"".join(t.flush())
    assert (back, t.server.requests) == PLAIN


def test_one_octet_at_a_time_and_all_at_once():
    for portion in (1, 2, None):
        t = new_talk()
        assert b"".join(t.octets(b"".join(TALK), portion)) == PLAIN[0]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(
        st.one_of(
            st.binary(max_size=12),
            st.lists(st.sampled_from([0x7E, 0xA0, 0xA8, 0x08, 0x21, 0x03])).map(bytes),
        ),
        min_size=len(TALK),
        max_size=len(TALK),
    ),
    st.integers(1, 100),
)
def test_garbage_between_frames(garbage, portion):
    t = new_talk()
    back = []
    for octets, noise in zip(TALK, garbage, strict=True):
        back += t.octets(noise + octets, portion)
        for _ in range(20):
            t.now = (t.now + 30) & 0x3FFFFFFF
            t.hdlc.tick(t.now)
            back += t.flush()
    assert (b"".join(back), t.server.requests) == PLAIN


@settings(max_examples=100, deadline=None)
@given(st.binary(max_size=300))
def test_any_octets_at_all(octets):
    t = Talk(max_info=32)
    t.octets(octets)
    t.wait(300)
    t.connect()


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 255), st.binary(max_size=80), st.booleans(), st.sampled_from(list(WAY)))
def test_any_frame_in_any_state(control, info, more, state):
    """Whatever comes in a good frame: at most one turn of answers, and SNRM always helps."""
    t, _ns, _nr = arrive(state)
    back = t.say(frame(control, info, more=more))
    if not control & P:
        assert back == []
    assert [f.final for f in back] in ([], [True])
    t.say(frame(SNRM))
    if t.link.state == IDLE:
        assert t.one(i_frame(0, 0, LLC_IN + b"\xc0")).kind == "I"


@pytest.mark.parametrize(
    "octets",
    [
        i_frame(0, 0, LLC_IN + b"\xc0\x01\xc1\x00\x08\x00\x00\x01\x00\x00\xff\x02\x00"),
        i_frame(0, 0, LLC_IN + b"\xc0\x01", server=address(1)),
        i_frame(0, 0, LLC_IN + b"\xc0\x01", server=address(1, 17, 4)),
        rr(0),
        frame(DISC),
        frame(SNRM, parameters(64, 64, 3, 3)),
    ],
)
def test_no_frame_with_one_wrong_bit_is_accepted(octets):
    t = Talk()
    t.connect()
    for bit in range(8 * len(octets)):
        wrong = bytearray(octets)
        wrong[bit >> 3] ^= 1 << (bit & 7)
        assert t.octets(bytes(wrong)) == [], bit
        assert t.wait(60, 30) == [], bit
        assert t.server.requests == []
        assert (t.link.state, t.link.vr, t.channel.released) == (IDLE, 0, 0), bit
        t.hdlc._forget()
    assert t.say(octets)


# --- A lossy line ------------------------------------------------------------------------------


class Client:
    """The primary station, from the rules: go-back-N, its own windows, polls after a time-out."""

    def __init__(self, talk, rng, loss, info_tx, info_rx, window_tx, window_rx):
        self.talk = talk
        self.rng = rng
        self.loss = loss
        self.vs = self.vr = 0
        for _ in range(200):
            back = self.line(
                [
                    frame(
                        SNRM,
                        parameters(info_tx, info_rx, window_tx, window_rx, rng.random() < 0.5),
                    )
                ]
            )
            if [f for f in back if f.kind == "UA"]:
                break
        values = negotiated([f for f in back if f.kind == "UA"][-1].info)
        self.info_rx, self.info_tx, self.window_rx, self.window_tx = (
            values[k] for k in (5, 6, 7, 8)
        )

    def line(self, frames):
        """Frames there, frames back; each may be lost, damaged or doubled."""
        back = []
        for octets in self.noise(frames):
            back += self.talk.octets(octets)
        self.talk.wait(90, 30)
        good = []
        for octets in self.noise(back):
            try:
                good.append(Frame(octets))
            except (AssertionError, IndexError, KeyError):
                pass
        return good

    def noise(self, frames):
        for octets in frames:
            dice = self.rng.random()
            if dice < self.loss:
                continue
            if dice < 1.5 * self.loss:
                at = self.rng.randrange(len(octets) * 8)
                wrong = bytearray(octets)
                wrong[at >> 3] ^= 1 << (at & 7)
                octets = bytes(wrong)
            elif dice < 2 * self.loss:
                yield octets
            yield octets

    def exchange(self, apdu):
        data = LLC_IN + apdu
        size = self.info_tx
        segments = [data[k : k + size] for k in range(0, len(data), size)]
        acked = 0
        answer = b""
        done = False
        for _turn in range(3000):
            frames = []
            window = segments[acked : acked + self.window_tx]
            if window and not (self.rng.random() < 0.1):
                for k, segment in enumerate(window):
                    last = k == len(window) - 1
                    more = acked + k < len(segments) - 1
                    frames.append(i_frame(self.vs + k & 7, self.vr, segment, last, more))
            else:
                frames.append(rr(self.vr) if self.rng.random() < 0.9 else rnr(self.vr))
            n_sent = len(window) if frames[0][6] & 1 == 0 else 0
            outstanding = max(n_sent, getattr(self, "ahead", 0))
            for f in self.line(frames):
                assert f.kind in ("I", "RR"), f.kind
                k = f.nr - self.vs & 7
                assert k <= outstanding
                acked += k
                self.vs = f.nr
                outstanding -= k
                if f.kind == "I":
                    assert len(f.info) <= self.info_rx
                    if f.ns == self.vr and not done:
                        self.vr = self.vr + 1 & 7
                        answer += f.info
                        done = not f.more
            self.ahead = outstanding
            if done:
                assert acked == len(segments)
                assert answer[:3] == LLC_OUT
                return answer[3:]
        raise AssertionError("no end")


@settings(max_examples=40, deadline=None)
@given(
    st.integers(0, 0xFFFFFFFF),
    st.sampled_from([0, 0.05, 0.2]),
    st.sampled_from([32, 33, 64, 128, 500, 2030]),
    st.sampled_from([32, 47, 128, 2030]),
    st.integers(1, 7),
    st.integers(1, 7),
    st.sampled_from([32, 128, 2030]),
    st.integers(1, 7),
)
def test_a_lossy_line_delivers_every_apdu(
    seed, loss, info_tx, info_rx, window_tx, window_rx, max_info, window
):
    rng = random.Random(seed)
    talk = Talk(max_info=max_info, window=window, max_pdu=4100)
    client = Client(talk, rng, loss, info_tx, info_rx, window_tx, window_rx)
    asked = []
    for _ in range(6):
        apdu = rng.randbytes(rng.choice([1, 2, 29, 30, 125, 126, 300, 2027, 2028, 4000]))
        answer = rng.randbytes(rng.choice([1, 29, 30, 125, 300, 2027, 4000]))
        talk.server.answers = [answer]
        asked.append(apdu)
        assert client.exchange(apdu) == answer
        assert talk.server.requests == asked


@pytest.mark.parametrize("window", range(1, 8))
def test_each_window_with_loss(window):
    rng = random.Random(window)
    talk = Talk(max_info=32, window=window)
    client = Client(talk, rng, 0.15, 32, 32, window, window)
    for _ in range(10):
        apdu = rng.randbytes(rng.randrange(1, 700))
        assert client.exchange(apdu) == bytes(b ^ 0xFF for b in apdu)
        assert talk.server.requests[-1] == apdu
    assert len(talk.server.requests) == 10


# --- On the device -----------------------------------------------------------------------------

ON_DEVICE = r"""
import sys, time, micropython
sys.path.insert(0, LIB)
from profiles.hdlc import HDLC

class Channel:
    max_pdu = max_receive_pdu = 600
    more = None
    def __init__(self):
        self.tx = bytearray(700)
        self.tx_pos = 40
    def release(self):
        pass
    def in_use(self):
        return False

class Server:
    n = 20
    def channel(self, max_pdu=0):
        return Channel()
    def request(self, channel, client, sap, buf, pos, end, flags):
        return self.n

server = Server()
h = HDLC(server, Channel(), max_info=128, window=3, saps=(1, 16), connections=2)
frames = [bytearray(bytes.fromhex(x)) for x in FRAMES]
lens = [len(f) for f in frames]
out = [0] * len(frames)

def talk(k, step):
    f = frames[k]
    end = lens[k]
    pos = 0
    n = 0
    while pos < end:
        stop = pos + step
        if stop > end:
            stop = end
        pos = h.receive(f, pos, stop, 1000)
        while h.transmit(1000):
            n += 1
    h.tick(1100)
    h.tick(1200)
    while h.transmit(1000):
        n += 1
    return n

def all(step):
    server.n = 20
    for k in range(len(frames)):
        if k == BIG:
            server.n = 500
        out[k] = talk(k, step)
    h.configure(max_info_tx=64, window_rx=2, inactivity_s=1)
    h.tick(9000)
    h.configure(max_info_tx=128, window_rx=3, inactivity_s=120)

note = bytearray(30)
def notes():
    h.notify(16, 1, note, 3, 20, True)
    return h.transmit(0)

all(1000)
notes()
micropython.heap_lock()
all(1000)
all(1)
all(7)
n = notes()
micropython.heap_unlock()
print("out", out, n)

h.reset()
talk(0, 1000)
asks = [bytearray(bytes.fromhex(x)) for x in ASKS]
server.n = 13
def run(count):
    for k in range(count):
        f = asks[k & 7]
        h.receive(f, 0, len(f), 0)
        while h.transmit(0):
            pass
run(100)
t = time.ticks_us()
micropython.heap_lock()
run(800)
micropython.heap_unlock()
t = time.ticks_diff(time.ticks_us(), t)
print("ns", t * 1000 // 800)
"""


def test_the_path_allocates_nothing(tmp_path, micropython):
    """heap_lock() makes every allocation an exception. Also prints the time of a round trip."""
    ask = LLC_IN + b"\xc0\x01\xc1\x00\x03\x01\x00\x01\x08\x00\xff\x02\x00\x00\x00"
    frames = [
        frame(SNRM, parameters(128, 128, 3, 3)),
        frame(SNRM, client=1, server=address(16)),
        i_frame(0, 0, ask),
        i_frame(1, 1, ask, more=True),
        i_frame(2, 1, ask[3:]),
        i_frame(3, 2, ask),  # answered in five segments
        rr(3), rr(3), rr(6), rr(7), rnr(7),
        i_frame(3, 2, ask),
        frame(UI, ask), frame(UI, ask, server=address(0x7F)), frame(UI),
        b"\x7e\xa7\xff\x7e" + rr(7), frame(0xFF), rr(0), i_frame(0, 0, bytes(300)),
        frame(SNRM, client=2), frame(DISC), frame(DISC), rr(0),
    ]  # fmt: skip
    asks = [i_frame(k, k, ask) for k in range(8)]
    assert len(asks[0]) == 30
    script = tmp_path / "hdlc_on_device.py"
    script.write_text(
        "LIB = %r\nFRAMES = %r\nASKS = %r\nBIG = 5\n"
        % (os.path.join(ROOT, "lib"), [f.hex() for f in frames], [f.hex() for f in asks])
        + ON_DEVICE
    )
    done = subprocess.run([micropython, str(script)], capture_output=True, text=True, timeout=60)
    assert done.returncode == 0, done.stdout + done.stderr
    print(done.stdout)
    assert done.stdout.startswith(
        "out [1, 1, 1, 1, 1, 3, 3, 3, 1, 1, 1, 1, 1, 0, 1, 1, 1, 1, 1, 1, 1, 1, 1] "
    )
