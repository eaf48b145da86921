# SPDX-License-Identifier: MIT
"""A value as the text of an element, and back: what the type of an attribute says, or the kind of
a layout.

number    decimal; boolean 1 or 0; bit-string 0101
name      six octets with dots: octet-string[6]
time      12 octets as MM/DD/YYYY HH:MM:SS+01:00, * for what is not specified, BEGIN and END for a
          month in which daylight saving begins or ends, LASTDAY and LASTDAY2; date, clock: its
          halves. The day of week, hundredths and the status have no place in it
moment    a structure of a time and a date, likewise
hex       octets, "01 02 0A"; octets; an array of them, with semicolons
text      characters, one octet each; texts; several, with semicolons
factor    ten to the power of the value, "0.001"
flags     a bit-string as a number, its first bit the lowest
ip, ipv6, mac    addresses

read() raises ValueError with a sentence, write() too: for what has no place in such a text.
"""

import ipaddress
import re

from tables import dates
from tables.notation import NAMES, obis

_MONTHS = {"BEGIN": "begin", "END": "end"}
_DAYS = {"LASTDAY": "last", "LASTDAY2": "last2"}
_OFFSET = re.compile(r"(Z|[+-]-?\d{1,2}:\d\d)$")
_DATE = r"(\*|\d{1,2}|BEGIN|END)/(\*|\d{1,2}|LASTDAY2?)/(\*|\d{4})"
_CLOCK = r"(\*|\d{1,2}):(\*|\d{1,2}):(\*|\d{1,2})"
_NO_DEVIATION = b"\x80\x00"


def kind_of(t):
    """The kind that a type says, or None."""
    if t.format or t.tag in (0x19, 0x1A, 0x1B):
        return {"date-time": "time", "date": "date", "time": "clock"}[t.format or NAMES[t.tag]]
    if t.kind != "simple":
        return None
    if t.tag == 0x09:
        return "name" if t.size == 6 else "hex"
    if t.tag in (0x0A, 0x0C):
        return "text"
    return "number"


def read(text, kind, t):
    """What Type.coerce() of the type t takes. text: without blanks around it, not empty."""
    if kind == "number":
        return _number(text, t)
    if kind == "name":
        if (
            not re.fullmatch(r"(\d{1,3}\.){5}\d{1,3}", text)
            or max(map(int, text.split("."))) > 255
        ):
            raise ValueError("%r is no logical name" % text)
        return text
    if kind in ("time", "date", "clock"):
        return "0x" + _time(text, kind).hex()
    if kind == "moment":
        date_time = _time(text, "time")
        return ["0x" + date_time[5:9].hex(), "0x" + date_time[:5].hex()]
    if kind in ("hex", "mac"):
        return _octets(text)
    if kind == "octets;":
        return list(bytes.fromhex(_octets(text)[2:]))
    if kind == "text":
        if t.tag != 0x09 or (is_text(_latin(text)) and not text.startswith("0x")):
            return text
        return "0x" + _latin(text).hex()
    if kind == "texts;":
        return ["0x" + _latin(part).hex() for part in text.split(";")]
    if kind == "factor":
        return _exponent(text)
    if kind == "flags":
        n = _integer(text)
        size = t.size or max(n.bit_length(), 1)
        if n < 0 or n >> size:
            raise ValueError("%s does not fit into %d bits" % (text, size))
        return "".join(str(n >> k & 1) for k in range(size))
    try:
        if kind == "ip":
            return int(ipaddress.IPv4Address(text))
        return "0x" + ipaddress.IPv6Address(text).packed.hex()
    except ValueError:
        raise ValueError("%r is no address" % text) from None


def write(value, kind, t):
    """The text of a value; what is empty has an empty text."""
    if kind == "number":
        return str(int(value)) if not isinstance(value, (str, float)) else str(value)
    if kind == "name":
        return obis(value)
    if kind in ("time", "date", "clock"):
        return _said(value, kind)
    if kind == "moment":
        return _said(value[1] + value[0] + dates.UNSPECIFIED["date-time"][9:], "time")
    if kind == "hex":
        return " ".join("%02X" % octet for octet in value)
    if kind == "octets;":
        return ";".join("%02X" % octet for octet in value)
    if kind == "mac":
        return ":".join("%02X" % octet for octet in value)
    if kind == "text":
        return characters(value) if isinstance(value, bytes) else value
    if kind == "texts;":
        return ";".join(characters(v) for v in value)
    if kind == "factor":
        return "%.1f" % 10**value if value >= 0 else "%.*f" % (-value, 10.0**value)
    if kind == "flags":
        return str(sum(int(bit) << k for k, bit in enumerate(value)))
    return str(ipaddress.ip_address(value))


def is_text(octets):
    return all(0x20 <= octet < 0x7F for octet in octets)


def characters(octets):
    if not is_text(octets):
        raise ValueError("0x%s is no text" % octets.hex())
    return octets.decode()


def _latin(text):
    try:
        return text.encode("latin-1")
    except UnicodeEncodeError:
        raise ValueError("%r has characters that are no octets" % text) from None


def _integer(text):
    try:
        return int(text)
    except ValueError:
        raise ValueError("%r is no number" % text) from None


def _number(text, t):
    if t.tag == 0x03:
        return {"1": True, "true": True, "0": False, "false": False}.get(text.lower(), text)
    if t.tag == 0x04:
        return text
    if t.tag in (0x17, 0x18):
        try:
            return float(text)
        except ValueError:
            raise ValueError("%r is no number" % text) from None
    return _integer(text)


def _octets(text):
    digits = re.sub("[ ;:]", "", text)
    if not re.fullmatch("([0-9A-Fa-f]{2})*", digits):
        raise ValueError("%r is not hexadecimal" % text)
    return "0x" + digits.lower()


def _exponent(text):
    try:
        factor = float(text)
    except ValueError:
        raise ValueError("%r is no number" % text) from None
    for n in range(-127, 128):
        if 0 < factor and abs(factor / 10.0**n - 1) < 1e-6:
            return n
    raise ValueError("%s is no power of ten" % text)


def _time(text, kind):
    """Octets of a date-time, a date, or a time."""
    offset = _OFFSET.search(text)
    body = text[: offset.start()].strip() if offset else text
    date, clock = (
        re.fullmatch(_DATE + r"(?: .*)?", body),
        re.search("(?:^| )" + _CLOCK + "$", body),
    )
    wants = {"time": date and clock, "date": date, "clock": clock}
    if not wants[kind]:
        raise ValueError("%r is no date or time" % text)
    parts = []
    if kind != "clock":
        month, day, year = date.groups()
        month = _MONTHS.get(month, month.rjust(2, "0") if month != "*" else month)
        day = _DAYS.get(day, day.rjust(2, "0") if day != "*" else day)
        parts.append("%s-%s-%s" % (year, month, day))
    if kind != "date":
        parts.append(":".join(p.rjust(2, "0") if p != "*" else p for p in clock.groups()))
    octets = dates.parse(" ".join(parts), {"time": "date-time", "clock": "time"}.get(kind, kind))
    if kind == "time" and offset:
        octets = octets[:9] + _deviation(offset[1]) + b"\x00"
    return octets


def _deviation(text):
    """Minutes from local time to UTC, of an offset from UTC."""
    if text == "Z":
        return b"\x00\x00"
    hours, minutes = text.lstrip("+-").split(":")
    n = 60 * int(hours) + int(minutes)
    return (-n if text[0] == "+" else n).to_bytes(2, "big", signed=True)


def _said(octets, kind):
    text = ""
    if kind != "clock":
        year, month, day = int.from_bytes(octets[:2], "big"), octets[2], octets[3]
        text = "%s/%s/%s" % (
            {0xFF: "*", 0xFE: "BEGIN", 0xFD: "END"}.get(month, "%02d" % month),
            {0xFF: "*", 0xFE: "LASTDAY", 0xFD: "LASTDAY2"}.get(day, "%02d" % day),
            "*" if year == 0xFFFF else "%04d" % year,
        )
    if kind != "date":
        at = 0 if kind == "clock" else 5
        clock = ":".join("*" if n == 0xFF else "%02d" % n for n in octets[at : at + 3])
        text = (text + " " + clock).strip()
    if kind == "time" and octets[9:11] != _NO_DEVIATION and "*" not in text:
        minutes = -int.from_bytes(octets[9:11], "big", signed=True)
        text += "%s%02d:%02d" % ("-" if minutes < 0 else "+", *divmod(abs(minutes), 60))
        text = text.replace("+00:00", "Z")
    return text


def loses_day_of_week(octets):
    """Does a date, or date-time, have a day of week that its other parts do not tell?"""
    if octets[4] == 0xFF:
        return False
    return octets[:2] == b"\xff\xff" or octets[2] > 12 or octets[3] > 31
