# SPDX-License-Identifier: MIT
"""Frames between a host and its PLC modem, and what they carry for plc.py.

    local       modems of On Semi and ST: 02, length, command, data, sum. An AMIS-49587 counts
                all behind the length in it, an ST7580 the data
    usi         Microchip's firmware: PRIME API and G3 ADP
    mip         LON interfaces, MIP/U61

lib/profiles/modems/ says where these layouts are from and how certain they are.

    FINDERS     first octet -> ((layer, find), ...)     find(octets, pos) -> end of a good frame, 0
    DECODERS    layer -> decode(octets) -> Piece
"""

from .pieces import Piece, field, wrong  # first: it makes profiles findable

from profiles.modems.mip_u61 import crc16 as lon_crc
from profiles.modems.usi import Check, check_len

_PRIME = {
    0x1B: "get of the PHY", 0x1C: "its answer", 0x21: "registered", 0x24: "not registered",
    0x2B: "reset", 0x2C: "reset done", 0x2D: "get", 0x2E: "its answer", 0x2F: "get of a list",
    0x30: "its answer", 0x31: "set", 0x32: "its answer", 0x33: "CL_432 establish",
    0x34: "CL_432 established", 0x35: "CL_432 release", 0x36: "CL_432 released",
    0x37: "CL_432 data request", 0x38: "CL_432 data indication", 0x39: "CL_432 data confirm",
}  # fmt: skip
_G3 = {
    0x00: "status", 0x0A: "initialize", 0x0B: "data request", 0x0C: "discovery", 0x0E: "join",
    0x0F: "leave", 0x10: "reset", 0x11: "set", 0x12: "get", 0x16: "set of the MAC",
    0x17: "get of the MAC", 0x1E: "data confirm", 0x1F: "data indication",
    0x20: "network status", 0x21: "discovery done", 0x23: "joined", 0x25: "made to leave",
    0x26: "reset done", 0x27: "set done", 0x28: "its answer", 0x2D: "set done",
    0x2E: "its answer", 0x2F: "buffer", 0x30: "a network",
}  # fmt: skip
_AMIS = {
    0x10: "synchronized", 0x11: "desynchronize", 0x21: "reset", 0x41: "database request",
    0x42: "database confirm", 0x43: "database error", 0x50: "data indication",
    0x51: "data request", 0x52: "data confirm", 0x53: "frame with a bad CRC",
    0x61: "alarm indication", 0x71: "configuration", 0x72: "configuration confirm",
    0x73: "configuration error",
}  # fmt: skip
_ST7580 = {
    0x08: "MIB write", 0x09: "done", 0x0B: "refused", 0x0C: "MIB read", 0x0D: "its answer",
    0x3C: "reset", 0x3D: "done", 0x3E: "it was reset", 0x50: "data request",
    0x51: "data confirm", 0x52: "data indication", 0x53: "not sent",
}  # fmt: skip
_USI = {0x22: "", 0x23: "", 0x24: "", 0x25: "ADP", 0x26: "ADP, coordinator", 0x30: "PRIME API"}
_MIP = {
    0x12: "LPDU down", 0x1A: "LPDU up, mode 1", 0x1C: "LPDU up", 0x30: "error", 0x31: "error",
    0x42: "phase mode", 0x50: "reset",
}  # fmt: skip


# --- Local frames of modems -----------------------------------------------------------------


def find_local(octets, pos):
    n = len(octets) - pos
    for size in (3, 5):  # of what the length does not count: an AMIS-49587, an ST7580
        if n > 1 and octets[pos + 1] + size - 1 <= n and octets[pos + 1] + size > 5:
            end = pos + octets[pos + 1] + (2 if size == 3 else 5)
            if (
                end <= len(octets)
                and end - pos > 4
                and _sum(octets, pos + 1, end - 2) == (octets[end - 2] | octets[end - 1] << 8)
            ):
                return end
    return 0


def _sum(octets, pos, end):
    return sum(octets[pos:end]) & 0xFFFF


def local(octets):
    end = len(octets)
    node = field("local-frame", 0, end)
    p = Piece(node, "local frame")
    add = node.children.append
    if end == 1 or octets[0] == 0x3F:
        words = {0x3F: "status: it takes a frame", 0x06: "taken", 0x15: "refused"}
        p.label, p.text = "", words.get(octets[0], "%02X" % octets[0])
        node.text = p.text
        return p
    if end < 5:
        wrong(node, "%d octets; expected 02, length, command and a sum" % end)
        return p
    add(field("STX", 0, 1, octets[0], "sent again" if octets[0] == 3 else ""))
    is_st = octets[1] + 5 == end
    add(field("length", 1, 2, octets[1], "%d" % octets[1]))
    if not is_st and octets[1] + 2 != end:
        wrong(
            node.children[-1],
            "length %d, but there are %d octets behind it" % (octets[1], end - 2),
        )
    names = _ST7580 if is_st else _AMIS
    command = octets[2]
    p.text = ("%02X %s" % (command, names.get(command, ""))).strip()
    add(field("command", 2, 3, command, names.get(command, "")))
    if end > 5:
        add(field("data", 3, end - 2, text="%d octets" % (end - 5)))
    child = field("sum", end - 2, end, octets[-2] | octets[-1] << 8, "right")
    total = _sum(octets, 1, end - 2)
    if child.value != total:
        wrong(child, "%02X %02X; expected %02X %02X" % (
            octets[-2], octets[-1], total & 0xFF, total >> 8))  # fmt: skip
    add(child)
    if is_st:
        at = {0x50: 4, 0x52: 7}.get(command)
        if at is not None and end - 2 > at:
            p.inner = ("hdlc", octets[at:-2])
    elif command in (0x50, 0x51) and end > 11:
        p.inner = ("mac_frame", octets[3:-2])
    return p


# --- USI ------------------------------------------------------------------------------------


def _usi_body(octets, pos):
    """(what is between the flags, end) of a frame at pos; (None, 0) if it is not whole."""
    at = octets.find(b"\x7e", pos + 1)
    if at < pos + 5:
        return None, 0
    body = bytes(octets[pos + 1 : at])
    if b"\x7d" in body:
        body = body.replace(b"\x7d\x5e", b"\x7e").replace(b"\x7d\x5d", b"\x7d")
    return body, at + 1


def _usi_fields(body):
    """(length, protocol, octets of check) of the header."""
    n = body[0] << 2 | body[1] >> 6
    protocol = body[1] & 0x3F
    if protocol in (0x25, 0x26, 0x30) and body[2] & 0x80:
        n |= 0x400
    return n, protocol, check_len(protocol)


def _usi_check(body, protocol, end):
    check = Check(protocol)
    for octet in body[:end]:
        check.feed(octet)
    return bytes(check.octet(k) for k in range(check.n))


def find_usi(octets, pos):
    body, end = _usi_body(octets, pos)
    if body is None or len(body) < 4:
        return 0
    n, protocol, n_check = _usi_fields(body)
    if protocol not in _USI or len(body) != 2 + n + n_check:
        return 0
    return end if _usi_check(body, protocol, 2 + n) == body[2 + n :] else 0


def usi(octets):
    node = field("usi-frame", 0, len(octets))
    p = Piece(node, "USI")
    body, end = _usi_body(octets, 0)
    if body is None or len(body) < 4 or end != len(octets):
        wrong(node, "no frame; expected 7E, header, data, check and 7E")
        return p
    n, protocol, n_check = _usi_fields(body)
    inside = field("message", 0, len(body))
    inside.octets = body
    node.children.append(inside)
    add = inside.children.append
    name = _USI.get(protocol) or "protocol %02X" % protocol
    add(field("header", 0, 2, None, "%s, %d octets" % (name, n)))
    stop = len(body) - n_check
    if n != stop - 2:
        wrong(inside.children[0], "length %d, but there are %d octets" % (n, stop - 2))
    data = bytes((body[2] & 0x7F,)) + body[3:stop]
    names = _PRIME if protocol == 0x30 else _G3
    p.text = ("%s: %02X %s" % (name, data[0], names.get(data[0], ""))).strip()
    add(field("command", 2, 3, data[0], names.get(data[0], "")))
    if stop > 3:
        add(field("data", 3, stop, text="%d octets" % (stop - 3)))
    expected = _usi_check(body, protocol, stop)
    child = field("check", stop, len(body), None, "right")
    if expected != body[stop:]:
        wrong(child, "%s; expected %s" % (body[stop:].hex(" ").upper(), expected.hex(" ").upper()))
    add(child)
    if protocol == 0x30 and data[0] in (0x37, 0x38):
        p.inner = ("cl_432", data)
    elif protocol in (0x25, 0x26) and data[0] in (0x0B, 0x1F):
        p.inner = ("ipv6", data[6:] if data[0] == 0x0B else data[4:])
    return p


# --- MIP/U61 ---------------------------------------------------------------------------------


def find_mip(octets, pos):
    """7E 00, length, command, PDU, checksum; 7E is doubled."""
    if octets[pos + 1 : pos + 2] != b"\0":
        return 0
    body, at = _undoubled(octets, pos + 2)
    return at if body and not sum(body) & 0xFF else 0


def _undoubled(octets, pos):
    """(length, command, PDU, checksum, end) of the frame behind 7E 00."""
    body = bytearray()
    at = pos
    wanted = 2
    while len(body) < wanted:
        if at >= len(octets):
            return None, 0
        if octets[at] == 0x7E:
            if octets[at + 1 : at + 2] != b"\x7e":
                return None, 0
            at += 1
        body.append(octets[at])
        at += 1
        if len(body) == 1:
            wanted = 2 + body[0] if body[0] != 0xFF else 4
        elif len(body) == 4 and body[0] == 0xFF:
            wanted = 5 + (body[2] << 8 | body[3]) - 1
    return bytes(body), at


def mip(octets):
    end = len(octets)
    node = field("mip-frame", 0, end)
    p = Piece(node, "MIP/U61")
    body, at = _undoubled(octets, 2) if octets[:2] == b"\x7e\0" else (None, 0)
    head = 4 if body and body[0] == 0xFF else 2
    if body is None or len(body) <= head:
        wrong(node, "no frame; expected 7E 00, length, command, PDU and checksum")
        return p
    inside = field("message", 0, len(body))
    inside.octets = body
    node.children.append(inside)
    command = body[1]
    p.text = ("%02X %s" % (command, _MIP.get(command, ""))).strip()
    child = field("checksum", len(body) - 1, len(body), body[-1], "right")
    if sum(body) & 0xFF:
        wrong(child, "%02X; expected %02X" % (body[-1], -sum(body[:-1]) & 0xFF))
    inside.children += [
        field("length", 0, 1, body[0], "%d" % body[0]),
        field("command", 1, 2, command, _MIP.get(command, "")),
        field("PDU", head, len(body) - 1, text="%d octets" % (len(body) - 1 - head)),
        child,
    ]
    pdu = body[head:-1]
    if command == 0x12:
        p.is_command = False
        p.inner = ("lon", pdu)
    elif command == 0x1C and len(pdu) > 5:
        p.is_command = True
        at = len(pdu) - 4
        if lon_crc(pdu, 1, at) != pdu[at] << 8 | pdu[at + 1]:
            wrong(inside, "the CRC of the LPDU is wrong", head + at)
        p.inner = ("lon", pdu[1:at])
    return p


def status_len(octets, pos, end):
    """Octets of the status of a modem that says this frame: an ST7580's 2, an AMIS-49587's 4."""
    return 4 if octets[pos] != _FLAG and octets[pos + 1] + 2 == end - pos else 2


def next_start(layer, octets, pos):
    """Where something of a layer may begin, at pos or later."""
    starts = _LOCAL_STARTS if layer == "local" else (_FLAG,)
    return next((k for k in range(pos, len(octets)) if octets[k] in starts), len(octets))


def damaged(layer, octets, pos):
    """Where a frame ends whose check is wrong; 0: it may be not whole yet."""
    n = len(octets)
    if layer == "local":
        if pos + 1 >= n:
            return 0
        ends = [pos + octets[pos + 1] + k for k in (2, 5)]
        if ends[1] > n:
            return 0
        return next((end for end in ends if end == n or octets[end] in _LOCAL_STARTS), ends[0])
    if layer == "usi":
        return octets.find(b"\x7e", pos + 1) + 1
    at = octets.find(b"\x7e\x00", pos + 1)
    return at if at > 0 and octets[at - 1] != _FLAG else 0


# What a modem says between frames: taken, refused, its status.
STATUS = 0x3F
SINGLE = (0x06, 0x15, STATUS)
_FLAG = 0x7E
_LOCAL_STARTS = (0x02, 0x03, *SINGLE)
DECODERS = {"local": local, "usi": usi, "mip": mip}
FINDERS = {0x7E: (("usi", find_usi), ("mip", find_mip)), 0x02: (("local", find_local),)}
FINDERS[0x03] = FINDERS[0x02]
