# SPDX-License-Identifier: MIT
"""Frames of HDLC, format type 3 (IEC 62056-46): fields, check sequences, parameters.

find(octets, pos, final) -> end     of the frame that begins with the flag at pos; 0: more is
                                    needed for it; -1: there is none here
decode(octets) -> Frame             of a frame with its flags, whatever is wrong with it
"""

import functools

from .pieces import Piece, field, wrong  # first: it makes dlms findable

from dlms.prim import crc16

FLAG = 0x7E
_GOOD = 0xF0B8
_FORMAT = 0xA0
_SEGMENTED = 0x08
_LEAST = 9  # octets of a frame with its flags

_CONTROLS = {
    0x83: "SNRM", 0x43: "DISC", 0x63: "UA", 0x0F: "DM", 0x87: "FRMR", 0x03: "UI",
}  # fmt: skip
_COMMANDS = {"SNRM": True, "DISC": True, "UA": False, "DM": False, "FRMR": False}
_PARAMETERS = {
    0x05: "max-info-field-length-transmit",
    0x06: "max-info-field-length-receive",
    0x07: "window-size-transmit",
    0x08: "window-size-receive",
}
_RANGES = {0x05: (32, 2030), 0x06: (32, 2030), 0x07: (1, 7), 0x08: (1, 7)}
LLC = {b"\xe6\xe6\x00": "of a client", b"\xe6\xe7\x00": "of a server"}
# Addresses that mean more than one station, or none.
_ONE = {0x00: "no station", 0x7E: "calling station", 0x7F: "all stations"}
_TWO = {0x0000: "no station", 0x3FFE: "calling station", 0x3FFF: "all stations"}
_REASONS = (
    "W: the control field is undefined", "X: it has an information field and must not",
    "Y: the information field is too long", "Z: N(R) is invalid",
)  # fmt: skip


class Frame(Piece):
    """control: SNRM, I, RR ...; destination, source: (upper, lower or None); segmented, ns, nr,
    final; apdu: without the LLC header, or a segment of one; first: that header was there;
    parameters: of SNRM or UA, by tag; good: its check sequences are right."""

    label = "HDLC"
    control = ""
    destination = source = (None, None)
    segmented = final = first = good = False
    ns = nr = 0

    def __init__(self, node):
        self.node = node
        self.parameters = {}


def find(octets, pos, final=False):
    end = len(octets)
    if pos + 3 > end:
        return end if final and end - pos > 1 else 0
    if octets[pos + 1] & 0xF0 == _FORMAT:
        n = (octets[pos + 1] & 7) << 8 | octets[pos + 2]
        at = pos + n + 1
        if n >= _LEAST - 2:
            if at < end:
                if octets[at] == FLAG:
                    return at + 1
            elif not final:
                return 0
    # The length is wrong, or octets are missing: up to where the next frame begins.
    at = octets.find(b"\x7e", pos + 1)
    if at < 0:
        return end if final else 0
    if at + 1 < end and octets[at + 1] & 0xF0 == _FORMAT:
        return at if at + 2 < end and _begins(octets, at) else at + 1
    return at + 1


def _begins(octets, pos):
    """Does a good frame begin at pos?"""
    end = pos + 2 + ((octets[pos + 1] & 7) << 8 | octets[pos + 2])
    return end <= len(octets) and is_good(octets, pos, end)


def is_good(octets, pos, end):
    """Are octets[pos:end] a frame with flags, a right length and a right FCS?"""
    return (
        end - pos >= _LEAST
        and octets[pos] == FLAG == octets[end - 1]
        and ((octets[pos + 1] & 7) << 8 | octets[pos + 2]) == end - pos - 2
        and crc16(octets, pos + 1, end - 1, 0xFFFF) == _GOOD
    )


def _address(name, octets, pos, end):
    """((upper, lower), field) of the address at pos."""
    at = pos
    while at < end and not octets[at] & 1:
        at += 1
    if at >= end or at - pos > 3:
        error = "no octet with its lowest bit set; expected the last"
        return (None, None), field(name, pos, min(at, end), error=error)
    address, text, error = _read_address(bytes(octets[pos : at + 1]))
    return address, field(name, pos, at + 1, address[0], text, error)


@functools.lru_cache(1024)
def _read_address(octets):
    """((upper, lower), text, error) of the octets of an address."""
    part = [x >> 1 for x in octets]
    special = _ONE
    if len(part) == 1:
        (upper,), lower = part, None
        text = "%d" % upper
    elif len(part) == 3:
        return (None, None), "", "an address of 3 octets; expected 1, 2 or 4"
    else:
        upper, lower = part[0], part[-1]
        if len(part) == 4:
            upper, lower = upper << 7 | part[1], part[2] << 7 | lower
            special = _TWO
        text = "upper %d, lower %d" % (upper, lower)
    words = [special[x] for x in (upper, lower) if x in special]
    return (upper, lower), text + (": " + ", ".join(words) if words else ""), None


def decode(octets, hidden=()):
    end = len(octets)
    top = field("hdlc-frame", 0, end)
    f = Frame(top)
    add = top.children.append
    add(field("flag", 0, 1))
    closing = end > 1 and octets[-1] == FLAG
    stop = end - 1 if closing else end  # of all but the closing flag
    if stop < 4:
        wrong(top, "a frame of %d octets; expected 9 at least" % end)
        return f
    n = (octets[1] & 7) << 8 | octets[2]
    f.segmented = bool(octets[1] & _SEGMENTED)
    node = field(
        "frame-format", 1, 3, octets[1] << 8 | octets[2],
        "type 3, %s%d octets" % ("segmented, " if f.segmented else "", n),
    )  # fmt: skip
    add(node)
    if octets[1] & 0xF0 != _FORMAT:
        node.text = ""
        wrong(node, "format type %X; expected A, type 3" % (octets[1] >> 4))
    elif n != stop - 1:
        how = "before the closing flag" if closing else "and then nothing"
        wrong(node, "length %d, but there are %d octets %s" % (n, stop - 1, how))
    broken = node.error is not None
    cut = not closing and n > stop - 1
    if not closing and not broken:
        wrong(top, "no flag at the end; expected 7E behind octet %d" % (end - 1))
    f.destination, destination = _address("destination-address", octets, 3, stop)
    add(destination)
    if destination.error:
        return f
    f.source, source = _address("source-address", octets, destination.end, stop)
    add(source)
    if source.error:
        return f
    at = source.end
    if at - destination.end != destination.end - 3:
        f.is_command = destination.end - 3 > at - destination.end
    if at >= stop:
        wrong(top, "the frame ends; expected its control field at %d" % at)
        return f
    node = _control(f, octets[at], at)
    f.text = node.text
    add(node)
    at += 1
    # What is left: FCS, or HCS, information and FCS; of a frame that is cut off, maybe a part.
    left = stop - at + (2 if cut and stop - at > 1 else 0)
    if cut and left <= 4:
        return f
    if left < 2:
        wrong(top, "the frame ends; expected a check sequence at %d" % at)
        return f
    fcs_at = at + left - 2
    known = not any(1 <= k < stop for k in hidden)
    right = crc16(octets, 1, stop, 0xFFFF) == _GOOD
    f.good = right if known else not broken
    if left > 2:
        info_at = at + 2
        if left < 4:
            sentence = "%d octets behind the control field; expected HCS, information, FCS"
            wrong(top, sentence % left)
            return f
        good = any(1 <= k < info_at for k in hidden) or crc16(octets, 1, info_at, 0xFFFF) == _GOOD
        node = field("HCS", at, info_at, octets[at] | octets[at + 1] << 8, "right" if good else "")
        if not good:
            wrong(node, "HCS %s; expected %s" % (_hex(octets, at), _crc(octets, at)))
        add(node)
        if good or f.good:
            _information(f, octets, info_at, fcs_at, add)
        else:
            add(field("information", info_at, fcs_at, text="%d octets" % (fcs_at - info_at)))
        f.good = f.good and good
    if cut:
        return f
    node = field("FCS", fcs_at, stop, octets[fcs_at] | octets[fcs_at + 1] << 8)
    if not known:
        node.text = "hidden" if fcs_at in hidden else "not checked: octets are hidden"
    elif right:
        node.text = "right"
    else:
        wrong(node, "FCS %s; expected %s" % (_hex(octets, fcs_at), _crc(octets, fcs_at)))
    add(node)
    if closing:
        add(field("flag", stop, end))
    f.good = f.good and not broken
    return f


def _hex(octets, at):
    return "%02X %02X" % (octets[at], octets[at + 1])


def _crc(octets, at):
    crc = crc16(octets, 1, at, 0xFFFF) ^ 0xFFFF
    return "%02X %02X" % (crc & 0xFF, crc >> 8)


def _control(f, octet, at):
    f.control, text, error = _read_control(octet)
    f.final = bool(octet & 0x10)
    f.nr = octet >> 5
    f.ns = octet >> 1 & 7
    if f.control in _COMMANDS:
        f.is_command = _COMMANDS[f.control]
    return field("control", at, at + 1, octet, text, error)


@functools.cache
def _read_control(octet):
    """(name, text, error) of a control field."""
    mark = ", P/F" if octet & 0x10 else ""
    if not octet & 1:
        return "I", "I: N(S) %d, N(R) %d%s" % (octet >> 1 & 7, octet >> 5, mark), None
    if octet & 0x0F in (0x01, 0x05):
        name = "RR" if octet & 0x0F == 0x01 else "RNR"
        return name, "%s: N(R) %d%s" % (name, octet >> 5, mark), None
    name = _CONTROLS.get(octet & 0xEF, "")
    if name:
        return name, name + mark, None
    sentence = "control field %02X is undefined; expected I, RR, RNR, UI, SNRM, DISC, UA, DM or "
    return "", mark, sentence % octet + "FRMR"


def _information(f, octets, start, end, add):
    if f.control in ("I", "UI"):
        llc = bytes(octets[start : min(start + 3, end)])
        if llc in LLC:
            f.first = True
            if f.is_command is None:
                f.is_command = llc[1] == 0xE6
            add(field("LLC", start, start + 3, llc.hex(), LLC[llc]))
            start += 3
        f.apdu = (start, end)
        name = "segment" if f.segmented or not f.first else "information"
        add(field(name, start, end, text="%d octets" % (end - start)))
        return
    node = field("information", start, end)
    add(node)
    if f.control in ("SNRM", "UA"):
        _parameters(f, octets, start, end, node)
    elif f.control == "FRMR" and end - start == 3:
        _rejected(octets, start, node)
    elif f.control == "FRMR":
        wrong(node, "%d octets; expected 3: control field, V(S) and V(R), why" % (end - start))
    else:
        wrong(node, "%s has an information field; expected none" % (f.control or "this"))


def _parameters(f, octets, start, end, node):
    """81 80 length, then tag, length, value each."""
    if octets[start : start + 2] != b"\x81\x80" or end - start < 3:
        wrong(node, "%s; expected 81 80 and a length" % octets[start : start + 2].hex(" ").upper())
        return
    add = node.children.append
    add(field("format-identifier", start, start + 1, 0x81))
    add(field("group-identifier", start + 1, start + 2, 0x80))
    n = octets[start + 2]
    length = field("group-length", start + 2, start + 3, n)
    add(length)
    if n != end - start - 3:
        wrong(length, "length %d; expected %d" % (n, end - start - 3))
    at = start + 3
    while at < end:
        tag = octets[at]
        n = octets[at + 1] if at + 1 < end else 0
        stop = at + 2 + n
        if at + 2 > end or stop > end:
            error = "the field ends; expected %d octets of a value" % n
            add(field("parameter", at, end, error=error))
            return
        value = int.from_bytes(octets[at + 2 : stop], "big")
        name = _PARAMETERS.get(tag, "parameter %02X" % tag)
        p = field(name, at, stop, value, "%d" % value)
        if tag not in _PARAMETERS:
            wrong(p, "parameter %02X is unknown; expected 05, 06, 07 or 08" % tag)
        elif n not in (1, 2, 4):
            wrong(p, "a value of %d octets; expected 1, 2 or 4" % n)
        elif not _RANGES[tag][0] <= value <= _RANGES[tag][1]:
            wrong(p, "%d; expected %d to %d" % (value, *_RANGES[tag]))
        f.parameters[tag] = value
        add(p)
        at = stop


def _rejected(octets, start, node):
    add = node.children.append
    add(field("rejected-control-field", start, start + 1, octets[start]))
    x = octets[start + 1]
    add(field("V(S)-V(R)", start + 1, start + 2, x, "V(S) %d, V(R) %d" % (x >> 1 & 7, x >> 5)))
    # uncertain: the order of the bits; one public stack has them reversed.
    why = [text for k, text in enumerate(_REASONS) if octets[start + 2] >> k & 1]
    add(field("reason", start + 2, start + 3, octets[start + 2], "; ".join(why)))
