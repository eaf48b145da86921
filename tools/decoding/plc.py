# SPDX-License-Identifier: MIT
"""What lies below the application layer on power lines.

    m_sdu       LLC of IEC 61334-4-32: 90, DSAP, SSAP, APDU; or CIASE of IEC 61334-4-511
    mac_frame   of S-FSK (IEC 61334-5-1) as a modem has it: credits, addresses, pad length, M_sdu
    cl_432      data of PRIME's convergence sublayer, as a message of the PRIME API
    ipv6        with UDP and a wpdu, of G3
    lon         LPDUs of ISO/IEC 14908-1, with the project's own messages in them

lib/profiles/ says where these layouts are from and how certain they are.

    DECODERS    layer -> decode(octets) -> Piece
"""

import ipaddress

from . import hdlc
from .pieces import Piece, field, wrong  # first: it makes profiles findable

from profiles.ipv6_udp import checksum
from profiles.lon_frame import RESPONSE, SPDU
from profiles.lon_frame import Frame as LONFrame

_DL_DATA = 0x90
_CIASE_SAPS = (0x00, 0xFD)
_STATIONS = {0xFFC: "ALL-CONFIGURED", 0xFFE: "NEW", 0xFFF: "ALL-PHYSICAL"}
_LON_KINDS = ("TPDU", "SPDU", "AuthPDU", "APDU")
_TPDU = ("acknowledged", "repeated", "acknowledgement", "", "reminder", "reminder and message")
_SPDU = ("request", "", "response", "", "reminder", "reminder and message")
_LON_FLAGS = ((8, "more follows"), (4, "protected"), (2, "numbered"), (1, "pull"))


# --- LLC and CIASE --------------------------------------------------------------------------


def m_sdu(octets):
    node = field("l-pdu", 0, len(octets))
    p = Piece(node, "LLC")
    if len(octets) < 4 or octets[0] != _DL_DATA:
        wrong(node, "no DL_Data; expected 90, DSAP, SSAP and an APDU")
        return p
    dsap, ssap = octets[1:3]
    p.text = "DL_Data, DSAP %02X, SSAP %02X" % (dsap, ssap)
    node.children += [
        field("control", 0, 1, _DL_DATA, "DL_Data"),
        field("DSAP", 1, 2, dsap, "%02X" % dsap),
        field("SSAP", 2, 3, ssap, "%02X" % ssap),
    ]
    if dsap in _CIASE_SAPS or ssap == 0xFD:
        p.inner = ("ciase", octets[3:])
        return p
    p.apdu = (3, len(octets))
    # Which of them is the client's: the tag of the APDU says it.
    p.client, p.server = dsap, ssap
    return p


def is_m_sdu(octets):
    return len(octets) > 3 and octets[0] == _DL_DATA


def _title(octets):
    return octets.decode("ascii") if octets.isalnum() else octets.hex().upper()


def ciase(octets, title_len=6):
    """A CI-PDU. uncertain: all of the bodies, see lib/profiles/ciase.py."""
    end = len(octets)
    node = field("ci-pdu", 0, end)
    p = Piece(node, "CIASE")
    tag = octets[0] if octets else 0
    add = node.children.append
    add(field("tag", 0, min(1, end), tag, "%02X" % tag))
    layout = CIASE.get(tag)
    if layout is None:
        p.text = "tag %02X" % tag
        return (
            wrong(node, "tag %02X; expected %s" % (tag, ", ".join("%02X" % t for t in CIASE)))
            and p
        )
    name, parts = layout
    node.name = name
    at = 1
    numbers = []
    for part, size in parts:
        size = size or title_len
        if at + size > end:
            wrong(node, "the CI-PDU ends; expected %s, %d octets" % (part, size), min(at, end))
            break
        raw = octets[at : at + size]
        number = int.from_bytes(raw, "big")
        text = _title(raw) if part.endswith("title") else "%d" % number
        numbers.append(text)
        add(field(part, at, at + size, number, text))
        at += size
    else:
        p.text = _ciase_text(tag, octets, at, numbers, node, title_len)
        return p
    p.text = name
    return p


# tag: name, ((field, octets; 0: a system title), ...)
CIASE = {
    0x19: ("ping-request", (("system-title", 0),)),
    0x1A: ("ping-response", (("system-title", 0),)),
    0x1C: ("register", (("initiator-system-title", 0), ("count", 1))),
    0x1D: ("discover", (("response-probability", 1), ("allowed-time-slots", 2),
                        ("initial-credit", 1), ("IC-equal-credit", 1))),
    0x1E: ("discover-report", (("count", 1),)),
    0x1F: ("repeater-call", (("max-adr-mac", 2), ("nb-tslot-for-new", 1),
                             ("reception-threshold", 1))),
    0x39: ("clear-alarm", ()),
}  # fmt: skip


def _ciase_text(tag, octets, at, texts, node, title_len):
    add = node.children.append
    end = len(octets)
    if tag == 0x1D:
        text = "Discover: probability %s %%, %s time slots, initial credit %s, IC_equal_credit %s"
        return text % tuple(texts)
    if tag in (0x19, 0x1A):
        return "%s: system title %s" % ("Ping" if tag == 0x19 else "Ping response", texts[0])
    if tag == 0x1F:
        return "RepeaterCall: up to MAC address %s, %s slots for NEW, threshold %s" % tuple(texts)
    if tag == 0x39:
        if at < end:
            add(field("body", at, end, text="of uncertain form"))
        return "ClearAlarm"
    rows = []
    for _ in range(int(texts[-1])):
        start = at
        title = octets[at : at + title_len]
        at += title_len
        if tag == 0x1C:
            at += 2
            row = "%s gets %03X" % (_title(title), int.from_bytes(octets[at - 2 : at], "big"))
        else:
            flag = octets[at] if at < end else 0
            at += 2 if flag else 1
            row = "system title %s, " % _title(title)
            row += "alarm %02X" % octets[at - 1] if flag and at <= end else "no alarm"
        if at > end:
            wrong(
                node, "the CI-PDU ends; expected system %d of %s" % (len(rows) + 1, texts[-1]), end
            )
            break
        rows.append(row)
        add(field("system", start, at, text=row))
    if tag == 0x1C:
        return "Register by %s: %s" % (texts[0], ", ".join(rows))
    return "DiscoverReport: %s" % ", ".join(rows)


# --- S-FSK ----------------------------------------------------------------------------------


def station(address):
    if 0xC00 <= address <= 0xDFF:
        return "%03X initiator" % address
    return "%03X %s" % (address, _STATIONS.get(address, "meter"))


def mac_frame(octets):
    end = len(octets)
    node = field("mac-frame", 0, end)
    p = Piece(node, "MAC")
    if end < 6:
        wrong(node, "%d octets; expected credits, addresses, a pad length and an M_sdu" % end)
        return p
    credits = octets[0]
    ic, cc, dc = credits >> 5, credits >> 2 & 7, credits & 3
    source = octets[1] << 4 | octets[2] >> 4
    destination = (octets[2] & 15) << 8 | octets[3]
    n = (end - 5 + 8 + 35) // 36  # sub-frames of 36 octets, with 8 of the frame's own
    p.text = "%s -> %s, IC %d CC %d DC %d, %d sub-frame%s" % (
        station(source), station(destination), ic, cc, dc, n, "" if n == 1 else "s",
    )  # fmt: skip
    node.children += [
        field("credits", 0, 1, credits, "IC %d, CC %d, DC %d" % (ic, cc, dc)),
        field("addresses", 1, 4, None, "%s -> %s" % (station(source), station(destination))),
        field("pad-length", 4, 5, octets[4], "%d" % octets[4]),
    ]
    if 0xC00 <= source <= 0xDFF:
        p.is_command = True
    elif 0xC00 <= destination <= 0xDFF:
        p.is_command = False
    p.inner = ("hdlc" if octets[5] == 0x7E else "m_sdu", octets[5:])
    return p


def is_mac_frame(octets):
    if len(octets) < 9 or octets[4] >= 36:
        return False
    return octets[5] == _DL_DATA or hdlc.is_good(octets, 5, len(octets))


# --- PRIME -----------------------------------------------------------------------------------


def cl_432(octets):
    """Data request and indication; octets: of the message, from its command on."""
    node = field("cl-432-data", 0, len(octets))
    p = Piece(node, "LLC")
    at = 5 if octets[0] == 0x37 else 7
    if len(octets) < at + 3:
        wrong(node, "%d octets; expected LSAPs, addresses, a length and data" % len(octets))
        return p
    dsap, ssap = octets[1:3]
    where = "to %s" % octets[3:5].hex().upper()
    node.children += [
        field("destination-LSAP", 1, 2, dsap, "%02X" % dsap),
        field("source-LSAP", 2, 3, ssap, "%02X" % ssap),
        field("destination-address", 3, 5, None, octets[3:5].hex().upper()),
    ]
    p.is_command = octets[0] == 0x38
    p.client, p.server = (ssap, dsap) if p.is_command else (dsap, ssap)
    if p.is_command:
        where = "from %s %s" % (octets[5:7].hex().upper(), where)
        node.children.append(field("source-address", 5, 7, None, octets[5:7].hex().upper()))
    p.text = "DSAP %02X, SSAP %02X, %s" % (dsap, ssap, where)
    n = octets[at] << 8 | octets[at + 1]
    child = field("length", at, at + 2, n, "%d" % n)
    node.children.append(child)
    if n != len(octets) - at - 3:
        wrong(child, "length %d, but there are %d octets" % (n, len(octets) - at - 3))
    p.apdu = (at + 2, len(octets) - 1)
    return p


# --- IPv6 and UDP ---------------------------------------------------------------------------


def is_ipv6(octets):
    return len(octets) > 56 and octets[0] >> 4 == 6 and octets[6] == 17 and not checksum(
        octets, 0, len(octets)
    )  # fmt: skip


def ipv6(octets):
    end = len(octets)
    node = field("ipv6-packet", 0, end)
    p = Piece(node, "IPv6")
    if end < 48 or octets[0] >> 4 != 6:
        wrong(node, "no IPv6 packet; expected 6, and headers of 48 octets")
        return p
    source, destination = (ipaddress.IPv6Address(bytes(octets[k : k + 16])) for k in (8, 24))
    ports = [octets[k] << 8 | octets[k + 1] for k in (40, 42)]
    lengths = [octets[k] << 8 | octets[k + 1] for k in (4, 44)]
    p.text = "%s -> %s, UDP %d -> %d" % (source, destination, *ports)
    child = field("checksum", 46, 48, octets[46] << 8 | octets[47], "right")
    if octets[6] != 17:
        wrong(node, "next header %d; expected 17, UDP" % octets[6], 6)
        return p
    if checksum(octets, 0, end):
        wrong(child, "the checksum is wrong")
    node.children += [
        field("payload-length", 4, 6, lengths[0], "%d" % lengths[0]),
        field("source", 8, 24, str(source), str(source)),
        field("destination", 24, 40, str(destination), str(destination)),
        field("source-port", 40, 42, ports[0], "%d" % ports[0]),
        field("destination-port", 42, 44, ports[1], "%d" % ports[1]),
        field("length", 44, 46, lengths[1], "%d" % lengths[1]),
        child,
    ]
    if lengths[0] != end - 40:
        wrong(node.children[0], "length %d, but %d octets follow" % (lengths[0], end - 40))
    p.inner = ("wrapper", octets[48:])
    return p


# --- ISO/IEC 14908 --------------------------------------------------------------------------


def lon(octets):
    """An LPDU without its CRC. The messages in it are the project's own: lib/profiles/lon.py."""
    end = len(octets)
    node = field("lpdu", 0, end)
    p = Piece(node, "LON")
    f = LONFrame()
    if not f.read(octets, 0, end):
        wrong(node, "no LPDU; expected a header and an NPDU of version 0")
        p.text = "no frame"
        return p
    types = _TPDU if f.kind == 0 else _SPDU
    path = ", alternate path" if f.alternate else ""
    p.text = "node %d of subnet %d to node %d of subnet %d: %s, %s %d%s" % (
        f.source_node, f.source_subnet, f.node, f.subnet, _LON_KINDS[f.kind], types[f.type],
        f.number, path,
    )  # fmt: skip
    node.children.append(field("head", 0, f.at, text=p.text))
    apdu = octets[f.at : f.end]
    if len(apdu) >= 4:
        control = apdu[1]
        words = [word for bit, word in _LON_FLAGS if control & bit]
        n = 5 if control & 2 else 4
        text = "code %02X, client %d, server %d" % (apdu[0], apdu[2], apdu[3])
        if control & 2 and len(apdu) > 4:
            text += ", segment %d" % apdu[4]
        p.client, p.server = apdu[2], apdu[3]
        n_data = max(len(apdu) - n, 0)
        text = ", ".join([text, *words, "%d octets of an APDU" % n_data])
        p.message = text
        if f.kind == SPDU:
            p.is_command = f.type != RESPONSE
        node.children.append(field("message", f.at, f.at + min(n, len(apdu)), text=text))
        if n_data and not control & 6:
            p.apdu = (f.at + n, f.end)
        elif n_data:
            node.children.append(field("segment", f.at + n, f.end, text="%d octets" % n_data))
            if control & 6 == 2:
                p.part = (apdu[4], bool(control & 8), f.at + n, f.end)
    return p


DECODERS = {
    "m_sdu": m_sdu, "ciase": ciase, "mac_frame": mac_frame, "cl_432": cl_432, "ipv6": ipv6,
    "lon": lon,
}  # fmt: skip
