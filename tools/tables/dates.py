# SPDX-License-Identifier: MIT
"""Dates and times as people write them, to octets of the Blue Book: date-time 12, date 5, time 4.

"2026-01-31 06:00:00"         the day of week is worked out
"*-03-last sun 02:00:00"      last Sunday of March of any year; last2: second last
"*-begin-* 00:00:00"          month in which daylight saving begins (or: end)
"22:00:00"  "*:15:00"         a time; "*" alone: nothing is specified
"""

import datetime
import re

UNSPECIFIED = {
    "date-time": b"\xff" * 9
    + b"\x80\x00\xff",  # deviation 0x8000, clock status 0xFF: not specified
    "date": b"\xff" * 5,
    "time": b"\xff" * 4,
}
_DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_DATE = r"(\*|\d{4})-(\*|\d\d|begin|end)-(\*|\d\d|last2?)(?: (%s))?" % "|".join(_DAYS)
_TIME = r"(\*|\d\d):(\*|\d\d):(\*|\d\d)(?:\.(\d\d))?"


def _number(text, words, lo, hi):
    if text in words:
        return words[text]
    if not lo <= int(text) <= hi:
        raise ValueError
    return int(text)


def _date(found):
    year, month, day, weekday = found
    y = 0xFFFF if year == "*" else int(year)
    m = _number(month, {"*": 0xFF, "begin": 0xFE, "end": 0xFD}, 1, 12)
    d = _number(day, {"*": 0xFF, "last": 0xFE, "last2": 0xFD}, 1, 31)
    w = _DAYS.index(weekday) + 1 if weekday else 0xFF
    if y != 0xFFFF and m <= 12 and d <= 31:
        real = datetime.date(y, m, d).isoweekday()
        if w not in (0xFF, real):
            raise ValueError
        w = real
    return y.to_bytes(2, "big") + bytes((m, d, w))


def _time(found):
    hour, minute, second, hundredths = found
    any_ = {"*": 0xFF}
    s = _number(second, any_, 0, 59)
    h = int(hundredths) if hundredths else (0xFF if s == 0xFF else 0)
    return bytes((_number(hour, any_, 0, 23), _number(minute, any_, 0, 59), s, h))


def parse(text, format):
    """Octets of a text in the format "date-time", "date" or "time"; ValueError if it is none."""
    if text == "*":
        return UNSPECIFIED[format]
    pattern = {"date-time": _DATE + " " + _TIME, "date": _DATE, "time": _TIME}[format]
    found = re.fullmatch(pattern, text)
    try:
        if not found:
            raise ValueError
        groups = found.groups()
        if format == "time":
            return _time(groups)
        if format == "date":
            return _date(groups)
        return _date(groups[:4]) + _time(groups[4:]) + UNSPECIFIED["date-time"][9:]
    except ValueError:
        example = {"date-time": "*-03-last sun 02:00:00", "date": "*-*-01", "time": "22:00:00"}
        raise ValueError(
            '%r is no %s; expected one like "%s"' % (text, format, example[format])
        ) from None
