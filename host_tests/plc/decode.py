# SPDX-License-Identifier: MIT
"""What an M_sdu of S-FSK says, line by line, for people: the page's examples and the demo."""

from plc.sfsk import n_slots

_STATIONS = {0xFFC: "ALL-CONFIGURED", 0xFFE: "NEW", 0xFFF: "ALL-PHYSICAL"}
_APDUS = {
    0x0F: "DataNotification",
    0x60: "AARQ",
    0x61: "AARE",
    0x62: "RLRQ",
    0x63: "RLRE",
    0xC001: "GET-request-normal",
    0xC002: "GET-request-next",
    0xC101: "SET-request-normal",
    0xC301: "ACTION-request-normal",
    0xC401: "GET-response-normal",
    0xC402: "GET-response-with-datablock",
    0xC501: "SET-response-normal",
    0xC701: "ACTION-response-normal",
    0xD8: "exception-response",
}


_DATA = {
    0x06: "double-long-unsigned",
    0x09: "octet-string",
    0x11: "unsigned",
    0x12: "long-unsigned",
}


def _data(tag, octets):
    if tag != 0x09:
        return "%s %d" % (_DATA[tag], int.from_bytes(octets, "big"))
    text = octets[1:]
    return "%s %s" % (_DATA[tag], text.decode() if text.isalnum() else text.hex().upper())


def station(address):
    if 0xC00 <= address <= 0xDFF:
        return "%03X initiator" % address
    return "%03X %s" % (address, _STATIONS.get(address, "meter"))


def mac_frame(frame):
    """The octets of a MAC_Frame at the modem's boundary: credits, addresses, pad length, M_sdu."""
    head = bytes((frame.credits(),)) + (frame.source << 12 | frame.destination).to_bytes(3, "big")
    return head + b"\x00" + frame.data


def mac(frame):
    n = n_slots(len(frame.data))
    return "MAC  %s -> %s, IC %d CC %d DC %d, %d sub-frame%s" % (
        station(frame.source),
        station(frame.destination),
        frame.ic,
        frame.cc,
        frame.dc,
        n,
        "" if n == 1 else "s",
    )


def m_sdu(data):
    """The lines of LLC and what it carries."""
    lines = ["LLC  DL_Data, DSAP %02X, SSAP %02X" % (data[1], data[2])]
    if 0xFD in data[1:3] or data[1] == 0:
        return lines + ["CIASE  " + _ciase(data[3:])]
    return lines + ["APDU  " + apdu(data[3:])]


def _ciase(p):
    tag = p[0]
    if tag == 0x1D:
        text = "Discover: probability %d %%, %d time slots, initial credit %d, IC_equal_credit %d"
        return text % (p[1], p[2] << 8 | p[3], p[4], p[5])
    if tag == 0x1E:
        text = "DiscoverReport: system title %s, " % _title(p[2:8])
        return text + ("alarm %02X" % p[9] if p[8] else "no alarm")
    if tag == 0x1C:
        rows = [p[k : k + 8] for k in range(8, len(p), 8)]
        given = ", ".join("%s gets %03X" % (_title(r[:6]), r[6] << 8 | r[7]) for r in rows)
        return "Register by %s: %s" % (_title(p[1:7]), given)
    if tag in (0x19, 0x1A):
        return "%s: system title %s" % ("Ping" if tag == 0x19 else "Ping response", _title(p[1:7]))
    return "tag %02X" % tag


def _title(octets):
    return octets.decode("ascii") if octets.isalnum() else octets.hex().upper()


def apdu(p):
    name = _APDUS.get(p[0]) or _APDUS.get(p[0] << 8 | p[1], "tag %02X" % p[0])
    if p[0] == 0x61:
        return name + (": accepted" if bytes.fromhex("A203020100") in p else ": rejected")
    if p[0] in (0xC0, 0xC1, 0xC3) and p[1] == 1:
        obis = ".".join(str(k) for k in p[5:10])
        return "%s: class_id %d, %s, %d" % (name, p[3] << 8 | p[4], obis, p[11])
    if p[:2] == b"\xc0\x02":
        return "%s: block %d" % (name, int.from_bytes(p[3:7], "big"))
    if p[:2] == b"\xc4\x02":
        last = ", the last" if p[3] else ""
        return "%s: block %d%s" % (name, int.from_bytes(p[4:8], "big"), last)
    if p[:2] == b"\xc4\x01" and not p[3] and p[4] in _DATA:
        return "%s: %s" % (name, _data(p[4], p[5:]))
    if p[0] in (0xC4, 0xC5, 0xC7):
        return "%s: %s" % (name, "success" if not p[3] else "result %d" % p[3])
    return name
