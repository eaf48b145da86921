# SPDX-License-Identifier: MIT
"""Between a driver and its double: what passes, frame by frame, and what it means."""

import ipaddress

from plc import decode

PRIME = {
    0x1B: "get of the PHY", 0x1C: "its answer", 0x21: "registered", 0x24: "not registered",
    0x2B: "reset", 0x2C: "reset done", 0x2D: "get", 0x2E: "its answer", 0x2F: "get of a list",
    0x30: "its answer", 0x31: "set", 0x32: "its answer", 0x33: "CL_432 establish",
    0x34: "CL_432 established", 0x36: "CL_432 released", 0x37: "CL_432 data request",
    0x38: "CL_432 data indication", 0x39: "CL_432 data confirm",
}  # fmt: skip
G3 = {
    0x00: "status", 0x0A: "initialize", 0x0B: "data request", 0x0C: "discovery", 0x0E: "join",
    0x10: "reset", 0x11: "set", 0x12: "get", 0x16: "set of the MAC", 0x17: "get of the MAC",
    0x1E: "data confirm", 0x1F: "data indication", 0x21: "discovery done", 0x23: "joined",
    0x25: "made to leave", 0x26: "reset done", 0x27: "set done", 0x28: "its answer",
    0x2D: "set done", 0x2E: "its answer", 0x2F: "buffer", 0x30: "a network",
}  # fmt: skip
ST7580 = {
    0x08: "MIB write", 0x09: "done", 0x3C: "reset", 0x3D: "done", 0x3E: "it was reset",
    0x50: "data request", 0x51: "data confirm", 0x52: "data indication", 0x53: "not sent",
}  # fmt: skip
HDLC = {0x93: "SNRM", 0x73: "UA", 0x53: "DISC", 0x1F: "DM"}


class Tap:
    """found: [(who, octets, lines)], who being "meter" or "modem". Takes the place of the uart."""

    def __init__(self, uart, profile):
        self.uart = uart
        self.profile = profile
        self.parts = {"meter": bytearray(), "modem": bytearray()}
        self.found = []

    def any(self):
        return self.uart.any()

    def readinto(self, buf):
        n = self.uart.readinto(buf) or 0
        self._add("modem", bytes(buf[:n]))
        return n

    def write(self, buf, pos, n):
        n = self.uart.write(buf, pos, n) or 0
        self._add("meter", bytes(buf[pos : pos + n]))
        return n

    def _add(self, who, octets):
        part = self.parts[who]
        part += octets
        while True:
            n = self._whole(bytes(part))
            if not n:
                return
            frame = bytes(part[:n])
            del part[:n]
            self.found.append((who, frame, self._lines(frame)))

    def _whole(self, part):
        """Octets of the frame that part begins with; 0: it is not whole."""
        if not part:
            return 0
        if self.profile == "st7580":
            if part[0] in (0x02, 0x03):
                n = part[1] + 5 if len(part) > 1 else 1 << 16
            else:
                n = 2 if part[0] == 0x3F else 1
            return n if len(part) >= n else 0
        return part.find(b"\x7e", 1) + 1

    def _lines(self, frame):
        if self.profile == "st7580":
            return _local(frame)
        body = frame[1:-1].replace(b"\x7d\x5e", b"\x7e").replace(b"\x7d\x5d", b"\x7d")
        n = 1 if self.profile == "prime" else 2
        data = bytes((body[2] & 0x7F,)) + body[3:-n]
        names = PRIME if self.profile == "prime" else G3
        lines = ["USI  %s: %02X %s" % (
            "PRIME API" if self.profile == "prime" else "ADP", data[0], names.get(data[0], "")
        )]  # fmt: skip
        return lines + (_prime(data) if self.profile == "prime" else _g3(data))


def _prime(data):
    if data[0] not in (0x37, 0x38):
        return []
    k = 5 if data[0] == 0x37 else 7
    where = "to %s" % data[3:5].hex().upper()
    if data[0] == 0x38:
        where = "from %s %s" % (data[5:7].hex().upper(), where)
    lines = ["LLC  DSAP %02X, SSAP %02X, %s" % (data[1], data[2], where)]
    return lines + ["APDU  " + decode.apdu(data[k + 2 : -1])]


def _g3(data):
    if data[0] not in (0x0B, 0x1F):
        return []
    packet = data[6:] if data[0] == 0x0B else data[4:]
    source, destination = (ipaddress.IPv6Address(packet[k : k + 16]) for k in (8, 24))
    ports = [int.from_bytes(packet[k : k + 2], "big") for k in (40, 42)]
    saps = [int.from_bytes(packet[k : k + 2], "big") for k in (50, 52)]
    return [
        "IPv6  %s -> %s" % (source, destination),
        "UDP  %d -> %d, wrapper %d -> %d" % (*ports, *saps),
        "APDU  " + decode.apdu(packet[56:]),
    ]


def _local(frame):
    if frame[0] not in (0x02, 0x03):
        return [{0x3F: "status: it takes a frame", 0x06: "taken", 0x15: "refused"}[frame[0]]]
    lines = ["local frame  %02X %s" % (frame[2], ST7580.get(frame[2], ""))]
    at = {0x50: 4, 0x52: 7}.get(frame[2])
    if at is None:
        return lines
    hdlc = frame[at:-2]
    control = hdlc[5]
    name = HDLC.get(control) or (
        "RR" if control & 0x0F == 0x01 else "I" if not control & 1 else ""
    )
    lines.append("HDLC  %s" % name)
    if name == "I" and len(hdlc) > 14:
        lines.append("APDU  " + decode.apdu(hdlc[11:-3]))
    return lines
