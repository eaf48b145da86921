# SPDX-License-Identifier: MIT
"""HDLC of IEC 62056-46, the client's side, frame by frame: so that a case can say what is wrong,
and when. Link carries APDUs over it, with segments and windows."""

from .case import Verdict, fail, inapplicable
from .lines import Closed

SNRM, DISC, UA, DM, FRMR, UI = 0x93, 0x53, 0x73, 0x1F, 0x97, 0x13
RR, RNR = 0x11, 0x15
_POLL = 0x10
_U_NAMES = {0x83: "SNRM", 0x43: "DISC", 0x63: "UA", 0x0F: "DM", 0x87: "FRMR", 0x03: "UI"}
MAX_INFO_TX, MAX_INFO_RX, WINDOW_TX, WINDOW_RX = 5, 6, 7, 8
DEFAULTS = {MAX_INFO_TX: 128, MAX_INFO_RX: 128, WINDOW_TX: 1, WINDOW_RX: 1}
_PARAMETERS = {5: "max-info-tx", 6: "max-info-rx", 7: "window-tx", 8: "window-rx"}
_COMMAND_LLC, _RESPONSE_LLC = b"\xe6\xe6\x00", b"\xe6\xe7\x00"
_FLAG = b"\x7e"
_LEAST = 7  # format, two addresses, control, FCS
_MOST = 1 << 16  # octets without a frame


def crc(octets):
    """FCS of ISO/IEC 13239, low octet first."""
    x = 0xFFFF
    for octet in octets:
        x ^= octet
        for _ in range(8):
            x = x >> 1 ^ (0x8408 if x & 1 else 0)
    return (x ^ 0xFFFF).to_bytes(2, "little")


def address(upper, lower=None, length=1):
    """Octets of a server address: upper alone, or with lower in one or two octets each; of a
    client's, which has one."""
    highest = max(upper, lower or 0)
    if highest > (0x3FFF if length == 4 else 0x7F):
        inapplicable(
            "Address %d has no place in an HDLC address of length %d." % (highest, length)
        )
    if length == 1:
        return bytes((upper << 1 | 1,))
    if length == 2:
        return bytes((upper << 1, lower << 1 | 1))
    return bytes((upper >> 7 << 1, upper << 1 & 0xFE, lower >> 7 << 1, lower << 1 & 0xFE | 1))


def name(control):
    if not control & 1:
        return "I, N(S) %d, N(R) %d" % (control >> 1 & 7, control >> 5)
    if control & 3 == 1:
        return "%s %d" % ({1: "RR", 5: "RNR"}.get(control & 0x0F, "?"), control >> 5)
    return _U_NAMES.get(control & ~_POLL, "control %02X" % control)


def frame(destination, source, control, info=b"", segmented=False, kind=0xA0, length=0,
          hcs=0, fcs=0):  # fmt: skip
    """Octets with flags. kind: of format; length: more than it is; hcs, fcs: wrong bits."""
    n = 2 + len(destination) + len(source) + 1 + 2 + (len(info) + 2 if info else 0) + length
    head = bytes((kind | (8 if segmented else 0) | n >> 8, n & 0xFF)) + destination + source
    head += bytes((control,))
    check = bytes((crc(head)[0] ^ (hcs or (0 if info else fcs)), crc(head)[1]))
    octets = head + check
    if info:
        octets += info
        octets += bytes((crc(octets)[0] ^ fcs, crc(octets)[1]))
    return _FLAG + octets + _FLAG


def parameters(values, octets=None):
    """Information field of SNRM: {parameter: value}."""
    body = b""
    for number, value in values.items():
        n = octets or (4 if number >= WINDOW_TX else 1 if value < 0x100 else 2)
        body += bytes((number, n)) + value.to_bytes(n, "big")
    return b"\x81\x80" + bytes((len(body),)) + body


def negotiated(info):
    """What a UA says: all four parameters; those that it does not name have their defaults."""
    found = dict(DEFAULTS)
    if not info:
        return found
    if info[:2] != b"\x81\x80" or len(info) < 3 or info[2] != len(info) - 3:
        fail("The information field of UA is no list of parameters: %s." % info.hex(" "))
    at = 3
    while at + 2 <= len(info):
        n = info[at + 1]
        if at + 2 + n > len(info):
            fail("Parameter %d of UA is cut off." % info[at])
        if info[at] in found:
            found[info[at]] = int.from_bytes(info[at + 2 : at + 2 + n], "big")
        at += 2 + n
    return found


class Frame:
    """control, info, destination, source, segmented; final: its F bit."""

    def __init__(self, octets):
        if octets[0] & 0xF0 != 0xA0:
            fail("The frame format is %02X; expected type 3 (A)." % octets[0])
        if crc(octets[:-2]) != octets[-2:]:
            fail("The FCS of a frame of the meter is wrong.")
        self.segmented = bool(octets[0] & 8)
        at = 2
        both = []
        for _ in range(2):
            start = at
            while at < len(octets) - 3 and not octets[at] & 1:
                at += 1
            at += 1
            both.append(octets[start:at])
        self.destination, self.source = both
        self.control = octets[at]
        self.final = bool(self.control & _POLL)
        rest = octets[at + 1 : -2]
        self.info = b""
        if rest:
            if len(rest) < 3 or crc(octets[: at + 1]) != rest[:2]:
                fail("The HCS of a frame of the meter is wrong.")
            self.info = rest[2:]

    @property
    def name(self):
        return name(self.control)

    @property
    def is_i(self):
        return not self.control & 1

    @property
    def ns(self):
        return self.control >> 1 & 7

    @property
    def nr(self):
        return self.control >> 5


class Frames:
    """Frames to one server address and back; line: a player's Tap."""

    def __init__(self, line):
        self.line = line
        self.to = self.own = b""
        self._got = b""

    def addresses(self, server, client):
        self.to = server
        self.own = address(client)

    def send(self, control, info=b"", **how):
        octets = frame(how.pop("to", self.to), how.pop("own", self.own), control, info, **how)
        self.line.note("%s%s" % (name(control), ", S = 1" if how.get("segmented") else ""))
        self.line.write(octets)

    def receive(self, seconds=None):
        """The next Frame, or None if nothing comes in time."""
        seconds = self.line.patience_s if seconds is None else seconds
        while True:
            got = self._got.lstrip(_FLAG)
            if len(got) >= 2:
                n = (got[0] & 7) << 8 | got[1]
                if n < _LEAST:
                    self._got = b""
                    fail("What came is no frame: %s." % got[:16].hex(" "))
                if len(got) > n:
                    octets, self._got = got[:n], got[n:]
                    f = Frame(octets)
                    self.line.note("%s%s" % (f.name, ", S = 1" if f.segmented else ""))
                    if f.control & ~_POLL == UI & ~_POLL:
                        continue  # a notification, which nobody has asked for
                    if f.destination != self.own or f.source != self.to:
                        fail(
                            "The answer goes from %s to %s; expected from %s to %s."
                            % (f.source.hex(), f.destination.hex(), self.to.hex(), self.own.hex())
                        )
                    return f
            if len(self._got) > _MOST:
                self._got = b""
                fail("What comes is no frame, and does not end.")
            part = self.line.read(seconds)
            if not part:
                if got:
                    self._got = b""
                    fail("A frame has begun and does not go on: %s." % got.hex(" "))
                return None
            self._got += part

    def exchange(self, control, info=b"", **how):
        """A frame that has to be answered."""
        self.send(control, info, **how)
        f = self.receive()
        if f is None:
            fail("No answer to %s." % name(control))
        return f

    def silent(self):
        """Nothing comes, for as long as it takes to be sure; else the frame that came."""
        return self.receive(self.line.quiet_s)


class HDLCLink(Frames):
    """open(client, server), ask(apdu) -> apdu or None, as a WrapperLink has them."""

    kind = "hdlc"

    def __init__(self, line, lower=None, length=1):
        super().__init__(line)
        self.lower, self.length = lower, length
        self.agreed = dict(DEFAULTS)
        self.vs = self.vr = 0

    def open(self, client, server):
        self.addresses(address(server, self.lower, self.length), client)
        self._got = b""
        self.line.open()
        try:
            self.connect()
        except Closed:
            # A meter with one place has not seen yet that it is free.
            self.line.wait(1)
            self.line.open()
            self.connect()

    def connect(self, proposed=None, info=None):
        if info is None:
            info = parameters(proposed) if proposed else b""
        f = self.exchange(SNRM, info)
        if f.control & ~_POLL != UA & ~_POLL:
            fail("SNRM is answered with %s; expected UA." % f.name)
        self.learn(f)
        return f

    def learn(self, ua):
        """What was negotiated. Nonsense counts as nothing said: HDLC_NDM2NRM_P1 judges it."""
        try:
            self.agreed = negotiated(ua.info)
        except Verdict as e:
            self.line.note("%s As if it said nothing." % e)
            self.agreed = dict(DEFAULTS)
        self.vs = self.vr = 0

    @property
    def max_send(self):
        """Octets of information that the meter can receive."""
        return self.agreed[MAX_INFO_RX]

    def i_frame(self, info, poll=True, segmented=False, ns=None, nr=None, **how):
        """Send one; V(S) goes on unless N(S) is given."""
        control = (self.vr if nr is None else nr) << 5 | (self.vs if ns is None else ns) << 1
        if ns is None:
            self.vs = self.vs + 1 & 7
        self.send(control | (_POLL if poll else 0), info, segmented=segmented, **how)

    def rr(self, nr=None):
        self.send(RR | (self.vr if nr is None else nr) << 5)

    def ask(self, apdu, seconds=None):
        self.say(apdu)
        return self.hear(seconds)

    def say(self, apdu):
        """In segments, one a turn."""
        info = _COMMAND_LLC + apdu
        most = self.max_send
        while len(info) > most:
            self.i_frame(info[:most], segmented=True)
            info = info[most:]
            f = self.receive()
            if f is None:
                fail("A segment is not acknowledged.")
            if f.control & 0x1F != RR or f.nr != self.vs:
                fail("A segment is answered with %s; expected RR %d." % (f.name, self.vs))
        self.i_frame(info)

    def hear(self, seconds=None):
        """The APDU of an answer, all its segments; None: RR, which is no answer, or silence."""
        info = b""
        while True:
            f = self.receive(seconds)
            if f is None:
                return None
            if f.control & 0x0F == RR & 0x0F:
                if info:
                    fail("An answer in segments ends with RR.")
                return None
            if not f.is_i:
                fail("An I frame is answered with %s." % f.name)
            if f.ns != self.vr:
                fail("The answer has N(S) %d; expected %d." % (f.ns, self.vr))
            if f.nr != self.vs:
                fail("The answer has N(R) %d; expected %d." % (f.nr, self.vs))
            if len(f.info) > self.agreed[MAX_INFO_TX]:
                fail(
                    "An information field has %d octets; %d were negotiated."
                    % (len(f.info), self.agreed[MAX_INFO_TX])
                )
            self.vr = self.vr + 1 & 7
            info += f.info
            if not f.segmented:
                break
            if f.final:
                self.rr()
        if info[:3] != _RESPONSE_LLC:
            fail(
                "The LLC header of an answer is %s; expected E6 E7 00."
                % (info[:3].hex(" ") or "not there")
            )
        return info[3:]

    def next(self, seconds=None):
        """What the meter says behind what it has said: it has to be asked."""
        self.rr()
        return self.hear(seconds)

    def close(self):
        self.line.close()

    def disconnect(self):
        return self.exchange(DISC)


def describe(values):
    return ", ".join("%s %d" % (_PARAMETERS[k], v) for k, v in sorted(values.items()))
