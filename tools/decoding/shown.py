# SPDX-License-Identifier: MIT
"""Values as text for people: dates, logical names, octets that are characters."""

_DAYS = ("", "Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
_MONTHS = {0xFF: "*", 0xFE: "begin", 0xFD: "end"}
_DAYS_OF_MONTH = {0xFF: "*", 0xFE: "last", 0xFD: "last2"}


def _number(n, words=None):
    return (words or {0xFF: "*"}).get(n, "%02d" % n)


def date(octets):
    """ "2026-01-31 Sat" of 5 octets, as tools/tables/dates.py reads it."""
    year = octets[0] << 8 | octets[1]
    text = "%s-%s-%s" % ("*" if year == 0xFFFF else "%04d" % year, _number(octets[2], _MONTHS),
                         _number(octets[3], _DAYS_OF_MONTH))  # fmt: skip
    return text + (" " + _DAYS[octets[4]] if 1 <= octets[4] <= 7 else "")


def time(octets):
    """ "06:00:00" of 4 octets, with the hundredths if there are any."""
    text = ":".join(_number(n) for n in octets[:3])
    return text + (".%02d" % octets[3] if octets[3] not in (0, 0xFF) else "")


def date_time(octets):
    """Of 12 octets: with the deviation from UTC as time is written elsewhere (its sign turned),
    and the clock status if it says anything."""
    text = "%s %s" % (date(octets[:5]), time(octets[5:9]))
    deviation = int.from_bytes(octets[9:11], "big", signed=True)
    if deviation != -0x8000:
        text += " UTC%s%02d:%02d" % ("-" if deviation > 0 else "+", *divmod(abs(deviation), 60))
    if octets[11] not in (0, 0xFF):
        text += " status 0x%02X" % octets[11]
    return text


DATES = {"date-time": date_time, "date": date, "time": time}


def is_date_time(octets):
    return (
        len(octets) == 12
        and (octets[2] in range(1, 13) or octets[2] >= 0xFD)
        and (octets[3] in range(1, 32) or octets[3] >= 0xFD)
        and (octets[4] in range(1, 8) or octets[4] == 0xFF)
        and (octets[5] < 24 or octets[5] == 0xFF)
        and (octets[6] < 60 or octets[6] == 0xFF)
        and (octets[7] < 60 or octets[7] == 0xFF)
        and (octets[8] < 100 or octets[8] == 0xFF)
    )


def logical_name(octets):
    return ".".join(map(str, octets))


def octet_string(octets):
    """What an octet-string most likely is: characters, a logical name, a date-time; or "" """
    if len(octets) > 1 and octets.isascii() and octets.decode("ascii").isprintable():
        return '"%s"' % octets.decode("ascii")
    if len(octets) == 6 and octets[5] == 0xFF:
        return logical_name(octets)
    if is_date_time(octets):
        return date_time(octets)
    return ""


def maybe_date_time(octets):
    return date_time(octets) if len(octets) == 12 else "not specified" if not octets else ""


def title(octets):
    """A system title: the manufacturer's letters, and the rest."""
    letters = octets[:3]
    if len(octets) == 8 and letters.isascii() and letters.isalpha():
        return "%s %s" % (letters.decode(), octets[3:].hex())
    return ""
