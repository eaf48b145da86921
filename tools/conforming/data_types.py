# SPDX-License-Identifier: MIT
"""Does a value fit the type that a class file says? fits(node, type) gives "" or what is wrong.

node: of decoding.axdr.decode_data; type: of tables.notation, from lib/cosem/classes/*.toml. This
is not the walker of the meter (lib/dlms/types.py), so that it finds faults of that one.
"""

import datetime
import functools

from tables import classes
from tables.notation import NAMES

_DATE_LENS = {"date-time": 12, "date": 5, "time": 4}
_ANY, _ANY_YEAR, _NO_DEVIATION = 0xFF, 0xFFFF, -0x8000
_DST_END, _SECOND_LAST_DAY = 0xFD, 0xFD  # and above: the other words for months and days
_ARRAY, _STRUCTURE, _COMPACT = "array", "structure", "compact-array"


@functools.lru_cache(maxsize=None)
def book():
    """{class_id: InterfaceClass}"""
    return classes.load_classes()


def version(class_id, number):
    """tables.classes.Version, or None: nobody knows it."""
    c = book().get(class_id)
    return c and c.versions.get(number)


def fits(node, type, where="it"):
    """In a profile's row null-data stands for what did not change: those types are open."""
    if node.error is not None:
        return "%s: %s" % (where, node.error)
    if type.kind == "any":
        return next((str(e) for _, e in node.faults()), "")
    if type.kind == "choice":
        found = [fits(node, t, where) for t in type.alternatives]
        return "" if "" in found else "%s is %s; expected %s" % (where, node.type, type.text)
    if type.kind == "array":
        if node.type not in (_ARRAY, _COMPACT):
            return "%s is %s; expected array" % (where, node.type)
        if node.type == _COMPACT:
            return ""
        return _first(
            fits(child, type.element, "%s[%d]" % (where, n))
            for n, child in enumerate(node.children)
        )
    if type.kind == "structure":
        n = len(type.fields)
        if node.type != _STRUCTURE or len(node.children) != n:
            return "%s is %s of %d; expected structure of %d" % (
                where, node.type, len(node.children), n,
            )  # fmt: skip
        return _first(
            fits(child, t, "%s.%s" % (where, name))
            for child, (name, t) in zip(node.children, type.fields)
        )
    return _simple(node, type, where)


def _first(findings):
    return next((f for f in findings if f), "")


def _simple(node, type, where):
    if node.type != NAMES[type.tag]:
        return "%s is %s; expected %s" % (where, node.type, type.text)
    value = node.value
    if type.format:
        wrong = not_a(type.format, value)
        if wrong:
            return "%s is %s, %s" % (where, value.hex(" "), wrong)
    if type.size is not None and len(value) != type.size:
        return "%s has length %d; expected %d" % (where, len(value), type.size)
    if type.most is not None and len(value) > type.most:
        return "%s has length %d; expected at most %d" % (where, len(value), type.most)
    # Zero stands for nothing, where a structure has to be there and means none (7.3.10).
    if type.lo is not None and value != 0 and not type.lo <= value <= type.hi:
        return "%s is %s; expected %s to %s" % (where, value, type.lo, type.hi)
    return ""


def not_a(format, octets):
    """What is wrong with a date, time or date-time (IEC 62056-6-2, 4.1.6.1), or ""."""
    if len(octets) != _DATE_LENS[format]:
        return "which has %d octets; expected %s" % (len(octets), format)
    at = 0
    if format != "time":
        year = int.from_bytes(octets[:2], "big")
        month, day, weekday = octets[2:5]
        if not (1 <= month <= 12 or month >= _DST_END):
            return "whose month is %d" % month
        if not (1 <= day <= 31 or day >= _SECOND_LAST_DAY):
            return "whose day is %d" % day
        if not (1 <= weekday <= 7 or weekday == _ANY):
            return "whose day of week is %d" % weekday
        if year != _ANY_YEAR and month <= 12 and day <= 31:
            try:
                right = datetime.date(year, month, day).isoweekday()
            except ValueError:
                return "which is no day"
            if weekday not in (_ANY, right):
                return "whose day of week is %d; expected %d" % (weekday, right)
        at = 5
    if format != "date":
        for word, octet, most in zip(("hour", "minute", "second", "hundredths"), octets[at:],
                                     (23, 59, 59, 99)):  # fmt: skip
            if octet > most and octet != _ANY:
                return "whose %s is %d" % (word, octet)
    if format == "date-time":
        deviation = int.from_bytes(octets[9:11], "big", signed=True)
        if not -720 <= deviation <= 840 and deviation != _NO_DEVIATION:
            return "whose deviation is %d" % deviation
    return ""


def wrong_data(type):
    """A-XDR that does not fit the type, or None where everything does."""
    tags = {t.tag for t in ([type] if type.kind != "choice" else type.alternatives)}
    if type.kind == "any" or any(t.kind == "any" for t in type.alternatives):
        return None
    for tag, data in ((0x03, b"\x03\x01"), (0x1B, b"\x1b\1\2\3\0"), (0x18, b"\x18" + bytes(8))):
        if tag not in tags:
            return data
    return None
