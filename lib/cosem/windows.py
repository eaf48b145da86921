# SPDX-License-Identifier: MIT
"""Windows of time: arrays of start_time and end_time (communication_window of Push setup, class_id
40, IEC 62056-6-2; Auto connect and Auto answer have such arrays, too).

A field left open is that of now, and so is the date of a weekday: that of this week, Monday first.
Between the two instants that this gives the window is open, the last minute not included; if the
start is then the later one, and a date leaves something open, it is open before the end and from
the start on: 22:00 to 06:00 is the night, Sunday to Monday includes midnight. A start that says
nothing has always been, an end that says nothing never comes. Seconds are not looked at.

Project-defined: all of this; public texts say only that the fields may be left open. A day that
the month does not have is its last one. Nothing is allocated.
"""

from cosem import calendar
from micropython import const

_WINDOW_LEN = const(30)
_START_AT = const(4)  # 02 02 09 0C start_time
_END_AT = const(18)  # 09 0C end_time
_TIME_AT = const(5)
_ANY = const(0xFF)
_LAST = const(0xFE)
_DST_END = const(0xFD)
_DST_BEGIN = const(0xFE)


def is_open(src, at, clock):
    """Is one of the windows of the array src[at:] open? There is none: always."""
    n = src[at + 1]
    if not n or clock is None:
        return True
    at += 2
    local = clock.local
    now = _minute(local, 0, local, clock)
    while n:
        start = at + _START_AT
        end = at + _END_AT
        first = _minute(src, start, local, clock)
        last = _minute(src, end, local, clock)
        always = calendar.is_unspecified(src, start)
        begun = always or first <= now
        if calendar.is_unspecified(src, end):
            if begun:
                return True
        elif first <= last or always or is_fixed(src, start, end):
            if begun and now < last:
                return True
        elif begun or now < last:
            return True
        at += _WINDOW_LEN
        n -= 1
    return False


def is_fixed(src, start, end):
    """Are the dates at src[start:] and src[end:] complete?"""
    return calendar.check_date(src, start) == 0 and calendar.check_date(src, end) == 0


def _minute(buf, pos, local, clock):
    """Minutes of local time of the instant at buf[pos:], what is open in it as it is now."""
    number = day_of(buf, pos, local, clock)
    hour = buf[pos + _TIME_AT]
    minute = buf[pos + _TIME_AT + 1]
    if hour == _ANY:
        hour = local[5]
    if minute == _ANY:
        minute = local[6]
    return (number * 24 + hour) * 60 + minute


def day_of(buf, pos, local, clock):
    """Number of the day that the date at buf[pos:] is, what is open in it as on local[:5]."""
    year = buf[pos] << 8 | buf[pos + 1]
    month = buf[pos + 2]
    day = buf[pos + 3]
    weekday = buf[pos + 4]
    if year == 0xFFFF:
        year = local[0] << 8 | local[1]
    if month == _DST_BEGIN or month == _DST_END:
        return clock.dst_day(month == _DST_END, year)
    if month == _ANY:
        month = local[2]
    last = calendar.month_len(year, month)
    if day == _ANY:
        number = calendar.day_number(year, month, min(local[3], last))
        if weekday != _ANY:
            number += weekday - local[4]
    elif day > 31:
        number = calendar.day_number(year, month, last)
        if weekday != _ANY:
            number -= (calendar.weekday(number) - weekday) % 7
            number -= 0 if day == _LAST else 7
        elif day != _LAST:
            number -= 1
    else:
        number = calendar.day_number(year, month, min(day, last))
    return number
