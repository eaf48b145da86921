# SPDX-License-Identifier: MIT
"""Days, dates and date patterns of COSEM (IEC 62056-6-2, 4.1.6.1).

A day is a number: 0 is 2000-01-01, a Saturday. A date is five octets (year, year, month, day of
month, weekday 1 Monday .. 7 Sunday), a time four (hour, minute, second, hundredths). In a
pattern FF is "any", a day of month FE "last" and FD "second last", a month FE "when daylight
saving begins" and FD "when it ends". Pure functions on small integers and on octets in place:
nothing is allocated, so all of it may run on the request path.
"""

from micropython import const

_ANY = const(0xFF)
_LAST = const(0xFE)
_SECOND_LAST = const(0xFD)
_DST_BEGIN = const(0xFE)
_DST_END = const(0xFD)

# The day numbers that no calendar reaches: a rule that does not occur, "no such day".
_NEVER = const(-0x20000000)

# Days before the month, in a year of 365 days, in steps of one octet: days - 28 * (month - 1).
_BEFORE = b"\x00\x03\x03\x06\x08\x0b\x0d\x10\x13\x15\x18\x1a"
_LENGTH = b"\x1f\x1c\x1f\x1e\x1f\x1e\x1f\x1f\x1e\x1f\x1e\x1f"


def is_leap(year):
    return year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)


def month_len(year, month):
    """Days in the month (1..12)."""
    if month == 2 and is_leap(year):
        return 29
    return _LENGTH[month - 1]


def day_number(year, month, day):
    """Day number of a date of the Gregorian calendar; negative before 2000."""
    y = year - 2000
    n = y * 365 + (y + 3) // 4 - (y + 99) // 100 + (y + 399) // 400
    n += 28 * (month - 1) + _BEFORE[month - 1] + day - 1
    if month > 2 and is_leap(year):
        n += 1
    return n


def year_of(day):
    """Year in which the day with this number lies."""
    year = 2000 + day // 366
    while day_number(year + 1, 1, 1) <= day:
        year += 1
    return year


def weekday(day):
    """1 Monday .. 7 Sunday."""
    return (day + 5) % 7 + 1


def put_date(day, out, pos):
    """Write the five octets of the day with this number; return the position after them."""
    year = year_of(day)
    rest = day - day_number(year, 1, 1)
    month = 1
    while rest >= month_len(year, month):
        rest -= month_len(year, month)
        month += 1
    out[pos] = year >> 8
    out[pos + 1] = year & 0xFF
    out[pos + 2] = month
    out[pos + 3] = rest + 1
    out[pos + 4] = (day + 5) % 7 + 1
    return pos + 5


def check_date(buf, pos):
    """0 a complete date, 1 a date with wildcards, -1 no date.

    The weekday of a complete date may be left out; when it is there it must be the right one.
    """
    year = buf[pos] << 8 | buf[pos + 1]
    month = buf[pos + 2]
    day = buf[pos + 3]
    wday = buf[pos + 4]
    if month == 0 or (month > 12 and month < _DST_END):
        return -1
    if day == 0 or (day > 31 and day < _SECOND_LAST):
        return -1
    if wday == 0 or (wday > 7 and wday != _ANY):
        return -1
    if month <= 12 and day <= 31:
        if year == 0xFFFF:
            # 29 February occurs in some year, 30 February in none.
            return 1 if day <= month_len(2000, month) else -1
        if day > month_len(year, month):
            return -1
        if wday != _ANY and wday != weekday(day_number(year, month, day)):
            return -1
        return 0
    return 1


def check_time(buf, pos):
    """0 a complete time of day, 1 one with wildcards, -1 none. Hundredths may be left out."""
    hour = buf[pos]
    minute = buf[pos + 1]
    second = buf[pos + 2]
    hundredths = buf[pos + 3]
    if hour > 23 and hour != _ANY:
        return -1
    if minute > 59 and minute != _ANY:
        return -1
    if second > 59 and second != _ANY:
        return -1
    if hundredths > 99 and hundredths != _ANY:
        return -1
    if hour == _ANY or minute == _ANY or second == _ANY:
        return 1
    return 0


def windows_are_good(buf, pos):
    """Is every start_time and end_time of the array buf[pos:] (see windows.py), which is of the
    right type, a date-time?"""
    n = buf[pos + 1]
    if n > 127:
        return False
    pos += 6  # 02 02 09 0C
    for k in range(2 * n):
        if check_date(buf, pos) < 0 or check_time(buf, pos + 5) < 0:
            return False
        pos += 16 if k & 1 else 14
    return True


def day_of(buf, pos):
    """Day number of a complete date of the years 2000 to 2999, otherwise the day `never()`."""
    year = buf[pos] << 8 | buf[pos + 1]
    if year < 2000 or year > 2999 or check_date(buf, pos) != 0:
        return _NEVER
    return day_number(year, buf[pos + 2], buf[pos + 3])


def bound_of(buf, pos, high):
    """First (or, if high, last) day that fits a date with wildcards in a year 2000 to 2999."""
    year = buf[pos] << 8 | buf[pos + 1]
    month = buf[pos + 2]
    if month > 12:
        month = 12 if high else 1
    day = buf[pos + 3]
    last = month_len(year, month)
    if day == 0xFF:
        day = last if high else 1
    elif day > 31:
        day = last - (0xFE - day)
    return day_number(year, month, day)


def is_unspecified(buf, pos):
    """A date-time that says nothing: no daylight saving."""
    for i in range(9):
        if buf[pos + i] != 0xFF:
            return False
    return True


def never():
    """The number that stands for no day."""
    return _NEVER


def matches(buf, pos, date, dpos, dst_begin, dst_end):
    """Does the complete date at date[dpos:] fit the pattern at buf[pos:]?

    dst_begin, dst_end: the day numbers of the daylight saving changes of that year (or never()).
    A month FE or FD is that very day if the pattern leaves day and weekday open, else its month.
    A weekday beside FE or FD asks for the last or second last such weekday of the month; beside
    a day of month both must fit.
    """
    year = date[dpos] << 8 | date[dpos + 1]
    month = date[dpos + 2]
    day = date[dpos + 3]
    want = buf[pos] << 8 | buf[pos + 1]
    if want != 0xFFFF and want != year:
        return False
    want = buf[pos + 2]
    if want == _DST_BEGIN or want == _DST_END:
        n = dst_begin if want == _DST_BEGIN else dst_end
        n -= day_number(year, month, day)
        if buf[pos + 3] == _ANY and buf[pos + 4] == _ANY:
            return n == 0
        if n <= -day or n > month_len(year, month) - day:
            return False
    elif want != _ANY and want != month:
        return False
    wday = buf[pos + 4]
    if wday != _ANY and wday != date[dpos + 4]:
        return False
    want = buf[pos + 3]
    if want == _ANY:
        return True
    left = month_len(year, month) - day
    if want == _LAST:
        return left == 0 if wday == _ANY else left < 7
    if want == _SECOND_LAST:
        return left == 1 if wday == _ANY else left >= 7 and left < 14
    return want == day


def rule_is_fixed(buf, pos):
    """Does the daylight saving rule name one year?"""
    return buf[pos] != 0xFF or buf[pos + 1] != 0xFF


def check_rule(buf, pos):
    """0: a rule with one instant in every year (or in its year); -1: anything else.

    Twelve octets. Month, day, hour and minute must be there; a day may be FE or FD; a weekday
    beside a day of month means the first such weekday on or after it.
    """
    month = buf[pos + 2]
    day = buf[pos + 3]
    wday = buf[pos + 4]
    if month == 0 or month > 12 or day == 0 or (day > 31 and day < _SECOND_LAST) or day == _ANY:
        return -1
    if wday == 0 or (wday > 7 and wday != _ANY):
        return -1
    if day <= 31 and day > month_len(2000, month):
        return -1
    if rule_is_fixed(buf, pos) and (buf[pos] << 8 | buf[pos + 1]) < 2000:
        return -1
    if buf[pos + 5] > 23 or buf[pos + 6] > 59:
        return -1
    if check_time(buf, pos + 5) < 0 or not deviation_ok(buf, pos + 9):
        return -1
    return 0


def rule_day(buf, pos, year):
    """Day number of a rule that passed check_rule() in this year (a year in the rule wins)."""
    if rule_is_fixed(buf, pos):
        year = buf[pos] << 8 | buf[pos + 1]
    month = buf[pos + 2]
    day = buf[pos + 3]
    wday = buf[pos + 4]
    last = month_len(year, month)
    if day >= _SECOND_LAST:
        n = day_number(year, month, last)
        if wday == _ANY:
            return n if day == _LAST else n - 1
        n -= (weekday(n) - wday) % 7
        return n if day == _LAST else n - 7
    if day > last:
        # 29 February in a year of 365 days: the day before the first of March.
        day = last
    n = day_number(year, month, day)
    # With the year given the weekday says nothing more: check_date() has compared it.
    if wday != _ANY:
        n += (wday - weekday(n)) % 7
    return n


def deviation(buf, pos):
    """Deviation in minutes, -32768 when not specified."""
    n = buf[pos] << 8 | buf[pos + 1]
    return n - 0x10000 if n >= 0x8000 else n


def deviation_ok(buf, pos):
    """Is the deviation not specified, or within -720 .. 840 minutes either way?"""
    n = deviation(buf, pos)
    return n == -0x8000 or (n >= -840 and n <= 840)
