# SPDX-License-Identifier: MIT
"""Targets with octets from a line: HDLC, wrapper, optical port, LLC layers."""

import optical
import small
from cosem.local_port import LocalPort
from dlms.prim import crc16
from plc.meters import Made
from profiles.hdlc import HDLC
from profiles.iec62056_21 import TariffDevice
from profiles.llc_432 import LLC432
from profiles.llc_hdlc import LLCHDLC
from profiles.wrapper import Wrapper

from fuzzing import oracles, seeds
from fuzzing.octets import Octets, put

SNRM, DISC, UI, RR = 0x93, 0x53, 0x13, 0x11
MASK = 0x3FFFFFFF
LLC = b"\xe6\xe6\x00"
GET = bytes.fromhex("C001C1000100002A0000FF0200")
LONG = bytes.fromhex("C001C1000F0000280000FF0200")
AARQ = small.aarq(b"12345678")
MOST = 4000  # octets that one input may bring out


def crc(octets):
    return (crc16(octets, 0, len(octets), 0xFFFF) ^ 0xFFFF).to_bytes(2, "little")


def frame(destination, source, control, info=b"", more=False):
    """An HDLC frame with right check sequences; addresses as they are on the line."""
    n = 2 + len(destination) + len(source) + 3 + (len(info) + 2 if info else 0)
    head = bytes((0xA0 | (8 if more else 0) | n >> 8 & 7, n & 0xFF)) + destination + source
    head += bytes((control,))
    body = head + crc(head)
    if info:
        body += info
        body += crc(body)
    return b"\x7e" + body + b"\x7e"


def address(o):
    """Of one, two or four octets, mostly that of the meter."""
    kind = o.u8() % 8
    if kind < 3:
        return (b"\x03", b"\x02\x23", b"\x00\x02\x00\x23")[kind]
    if kind < 5:
        return (b"\xff", b"\xfe\xff")[kind - 3]
    return o.take(kind - 4)


def a_frame(o):
    destination, source = address(o), o.one_of((b"\x03", b"\x21", b"\x05", b"\x01", b"\x41"))
    control = o.u8()
    more = bool(o.u8() & 1)
    info = o.some()
    return frame(destination, source, control, info, more)


def frames_in(octets):
    """What a station sent has to be frames, each whole."""
    while octets:
        assert octets[0] == 0x7E, "no flag: " + octets.hex()
        n = (octets[1] & 7) << 8 | octets[2]
        assert octets[1] & 0xF0 == 0xA0 and len(octets) >= n + 2, octets.hex()
        assert crc16(octets, 1, n + 1, 0xFFFF) == 0xF0B8, "FCS of " + octets.hex()
        assert octets[n + 1] == 0x7E
        octets = octets[n + 2 :] if octets[n + 2 : n + 3] == b"\x7e" or len(octets) == n + 2 else (
            octets[n + 1 :]
        )  # fmt: skip


class Line:
    """A profile, its server, and time."""

    def __init__(self, profile, server):
        self.profile = profile
        self.server = server
        self.now_ms = MASK - 60000  # it wraps soon

    def hear(self, octets):
        """Hand octets in, as a link does; what comes out."""
        buf = bytearray(octets)
        out = bytearray()
        pos = turns = 0
        while True:
            before = pos
            pos = self.profile.receive(buf, pos, len(buf), self.now_ms)
            assert before <= pos <= len(buf), "it has taken what was not there"
            n = self.profile.transmit(self.now_ms)
            while n:
                at = self.profile.out_pos
                assert 0 <= at and at + n <= len(self.profile.out)
                out += self.profile.out[at : at + n]
                n = self.profile.transmit(self.now_ms) if len(out) < MOST else 0
            if self.server.todo:
                oracles.turn(self.server)
            elif pos == before:
                break
            turns += 1
            assert turns < 2000 + 2 * len(buf), "it takes nothing, and says nothing"
        oracles.healthy(self.server)
        return bytes(out)

    def passes(self, ms):
        self.now_ms = self.now_ms + ms & MASK
        self.profile.tick(self.now_ms)


def target_hdlc():
    meter = small.Meter()
    server = meter.server
    hdlc = HDLC(server, server.channel(), 128, 7, connections=2)
    line = Line(hdlc, server)

    def one(octets):
        o = Octets(octets)
        while o:
            kind = o.u8() % 8
            if kind == 0:
                out = line.hear(o.some())
            elif kind < 5:
                out = line.hear(a_frame(o))
            elif kind == 5:
                out = line.hear(a_frame(o) + a_frame(o)[1:])
            elif kind == 6:
                line.passes(o.u16() * 4)
                out = line.hear(b"")
            else:
                if o.u8() & 1:
                    hdlc.reset()
                else:
                    hdlc.busy = not hdlc.busy
                out = b""
            frames_in(out)
        oracles.legal(server)
        meter.forgive()

    def said(control, info=b"", more=0):
        return bytes((1, 0, 0, control, more)) + put(info)

    opening = said(SNRM) + said(0x10, LLC + AARQ) + said(0x32, LLC + GET)
    one.seeds = [
        opening,
        opening + said(DISC),
        said(SNRM, bytes.fromhex("818014050200800602008007040000000108040000 0001")),
        said(SNRM) + said(0x10, (LLC + AARQ)[:20], 1) + said(0x12, (LLC + AARQ)[20:]),
        opening + said(0x54, LLC + LONG) + said(0x71) + said(0x91) + said(RR),
        said(UI, LLC + GET),
        opening + b"\x06\xff\xff" + said(RR),
        *[b"\0" + put(v) for v in seeds.vectors("hdlc") if len(v) < 250],
    ]
    return one


def wrapped(o):
    """A wpdu; its header mostly right."""
    kind = o.u8()
    client, sap = o.one_of((1, 2, 16, 40, 0)), o.one_of((1, 17, 2, 0x7F, 0))
    apdu = o.some()
    head = [1, client, sap, len(apdu)]
    if kind & 0x80:
        head[kind & 3] = o.u16()
    return b"".join(n.to_bytes(2, "big") for n in head) + apdu


def wrapper(udp):
    meter = small.Meter()
    server = meter.server
    profile = Wrapper(server, server.channel(), udp)
    profile.configure(60)
    line = Line(profile, server)

    def one(octets):
        o = Octets(octets)
        while o:
            kind = o.u8() % 8
            if kind == 0:
                out = line.hear(o.some())
            elif kind < 5:
                out = line.hear(wrapped(o))
            elif kind == 5:
                whole = wrapped(o)
                cut = o.u8() % (len(whole) + 1)
                line.hear(whole[:cut])
                out = b""
                if udp:
                    profile.end_of_datagram()
                else:
                    out = line.hear(whole[cut:])
            elif kind == 6:
                line.passes(o.u16() * 4)
                out = b""
            else:
                profile.answers = bool(o.u8() & 1) or not udp
                if o.u8() & 1:
                    profile.reset()
                out = b""
            if profile.closed:
                profile.reset()
            while out:
                assert out[:2] == b"\0\1" and len(out) >= 8, out.hex()
                n = out[6] << 8 | out[7]
                assert len(out) >= 8 + n
                oracles.answers(b"", out[8 : 8 + n])
                out = out[8 + n :]
        oracles.legal(server)
        meter.forgive()

    def said(apdu, client=0):
        return bytes((1, 0, client, 0)) + put(apdu)

    one.seeds = [
        said(AARQ) + said(GET),
        said(AARQ) + said(LONG) + said(bytes.fromhex("C002C100000001")),
        said(small.aarq(None), 2) + said(GET, 2),
        b"\5" + said(AARQ)[1:] + b"\5" + said(GET) + b"\4",
        *[b"\0" + put(v) for v in seeds.vectors("wrapper") if len(v) < 250],
    ]
    return one


def target_wrapper_tcp():
    return wrapper(False)


def target_wrapper_udp():
    return wrapper(True)


def target_iec62056_21():
    meter = small.Meter(optical.DEFINITION, None, storage=optical.fakes.Storage())
    server = meter.server
    settings = small.packed(optical.DEFINITION)["OPTICAL"]
    channel = server.channel()
    channel.gate = server.guard.gate(settings[0])
    hdlc = HDLC(server, channel, 128)
    device = TariffDevice(hdlc, LocalPort(server, channel, settings), False)
    line = Line(device, server)

    def one(octets):
        o = Octets(octets)
        while o:
            kind = o.u8() % 8
            if kind < 2:
                line.hear(o.some())
            elif kind < 5:
                body = o.some()
                if kind == 2:
                    body += b"\x03"
                line.hear(b"\x01" + body + optical.bcc(body))
            elif kind == 5:
                out = line.hear(a_frame(o))
                assert len(out) <= MOST + 2100
            elif kind == 6:
                n, ms = 1 + o.u8() % 16, o.u8() * 10
                for _ in range(n):
                    line.passes(ms)
                    line.hear(b"")
            else:
                if o.u8() & 1:
                    device.reset()
                else:
                    device.renew()
        oracles.legal(server)
        meter.forgive()

    def said(octets):
        return b"\0" + put(octets)

    def command(text):
        return b"\x02" + put(text)

    pause = b"\x06\x03\xff"
    sign_on = said(optical.REQUEST) + pause
    one.seeds = [
        sign_on + said(b"\x06050\r\n") + pause * 3,
        sign_on + said(b"\x06051\r\n") + pause + command(b"P1\x02(00000000)")
        + command(b"R1\x021.8.0()") + command(b"W1\x020.0.0(12345678)") + said(optical.BREAK),
        sign_on + said(b"\x06252\r\n") + pause + b"\x05\x00\x00\x93\x00\x00",
        said(b"/?00000042!\r\n") + pause + said(optical.NAK),
        *[said(v) for v in seeds.vectors("iec21") if len(v) < 250],
    ]  # fmt: skip
    return one


# --- LLC layers -----------------------------------------------------------------------------


def llc_target(of, heard, look, times, rest_ms):
    """A target: an LLC of S-FSK hears heard(o, llc), look() is at what it sends, so many times,
    and it rests for rest_ms(o)."""
    made = Made(small.HERE / "definitions/sfsk.toml")
    llc = of(made.server, made.server.channel(), 242)

    def one(octets):
        o = Octets(octets)
        now_ms = 0
        while o:
            buf = bytearray(heard(o, llc))
            at = llc.management(buf, 0, len(buf))
            assert 0 <= at <= max(len(buf), 3)
            llc.receive(buf, 0, len(buf), bool(o.u8() & 1), now_ms)
            for _ in range(times):
                oracles.turn(made.server)
                n = llc.transmit(now_ms)
                assert 0 <= n <= len(llc.out)
                if n:
                    look(bytes(llc.out[llc.out_pos : llc.out_pos + n]))
                    llc.sent(bool(o.u8() & 1))
            now_ms += rest_ms(o)
            llc.tick(now_ms)
            oracles.healthy(made.server)
        oracles.legal(made.server)

    return one


def target_llc_432():
    def heard(o, llc):
        kind = o.u8() % 4
        m_sdu = b""
        if kind:
            m_sdu = b"\x90" + bytes((o.one_of((1, 1, 0, 0xFF)), o.one_of((1, 16, 0, 2))))
        m_sdu += o.some()
        if kind == 3:
            llc.configure(o.u16())
        return m_sdu

    one = llc_target(LLC432, heard, lambda out: oracles.answers(b"", out[3:]), 3, lambda o: 1000)
    one.seeds = [
        b"".join(b"\1\0\0" + put(apdu) + b"\0\1\1\1" for apdu in (small.aarq(None), GET, LONG)),
        b"\0" + put(bytes.fromhex("9000011D64000A0000")) + b"\1",
    ]
    return one


def target_llc_hdlc():
    def heard(o, llc):
        return o.some() if o.u8() % 4 == 0 else a_frame(o)

    def said(control, info=b""):
        return bytes((1, 0, 0, control, 0)) + put(info) + b"\0\1\0"

    one = llc_target(LLCHDLC, heard, frames_in, 9, lambda o: 1000 * o.u8())
    one.seeds = [said(SNRM) + said(0x10, LLC + small.aarq(None)) + said(0x32, LLC + GET)]
    return one
