# SPDX-License-Identifier: MIT
"""Reads what is to happen to a simulated household: tools/meter.py run --script FILE.

    # after          for            what
    0:10:00          0:01:30        voltage l1 180.0     l1, l2, l3 or all; 0: it has failed
    1:00:00          0:00:30        terminal_cover       it is off; so is meter_cover; field: there
                                                         is a strong magnetic one
    2:00:00          0:05:00        power l2 30000       W that are taken besides; below 0: fed
    3:00:00          0:05:00        reversed             the order of phases
    4:00:00          0:05:00        neutral 60.0         it is missing: displaced by so many volts
    5:00:00          0:05:00        bypass 500           W that flow past the disconnector

Times are hours, minutes and seconds since the start of the meter, whatever its clock is set to.
Two lines of the same kind and phase must not overlap; contacts are a kind each.
"""

import re

from bootstrap import Trouble

_PHASES = ("l1", "l2", "l3")
_CONTACTS = {"terminal_cover": 1, "field": 2, "meter_cover": 4}
_VOLTAGE, _POWER, _CONTACT, _REVERSED, _NEUTRAL, _BYPASS = 0, 3, 6, 7, 8, 9
_LONGEST = 2**30 - 1


def read(path):
    """[[start, end, what, value], ...] of firmware/meter/scripted.py. Trouble: not a script."""
    try:
        with open(path, encoding="utf-8") as f:
            text = f.read()
    except (OSError, UnicodeDecodeError) as e:
        raise Trouble("The script %s cannot be read (%s)." % (path, e)) from None
    found = []
    for n, line in enumerate(text.splitlines(), 1):
        words = line.split("#")[0].split()
        if words:
            try:
                found += _line(words)
            except ValueError as e:
                raise Trouble("%s:%d: %s" % (path, n, e)) from None
    return _apart(path, found)


def _line(words):
    if len(words) < 3:
        raise ValueError("expected a time, how long, and what")
    start, length = _seconds(words[0]), _seconds(words[1])
    if not length or start + length > _LONGEST:
        raise ValueError("%s after %s is no length of time" % (words[1], words[0]))
    what, *rest = words[2:]
    return [[start, start + length, kind, value] for kind, value in _kinds(what, rest)]


def _kinds(what, rest):
    if what in ("voltage", "power") and len(rest) == 2:
        if rest[0] not in (*_PHASES, "all"):
            raise ValueError("%s is no phase; expected l1, l2, l3 or all" % rest[0])
        value = _tenths(rest[1], 0, 500) if what == "voltage" else _watts(rest[1], -100000)
        first = _VOLTAGE if what == "voltage" else _POWER
        places = range(3) if rest[0] == "all" else [_PHASES.index(rest[0])]
        return [(first + k, value) for k in places]
    if what in _CONTACTS and not rest:
        return [(_CONTACT, _CONTACTS[what])]
    if what == "reversed" and not rest:
        return [(_REVERSED, 1)]
    if what == "neutral" and len(rest) == 1:
        return [(_NEUTRAL, _tenths(rest[0], 1, 200))]
    if what == "bypass" and len(rest) == 1:
        return [(_BYPASS, _watts(rest[0], 1))]
    raise ValueError(
        "%s is unknown; expected voltage PHASE V, power PHASE W, terminal_cover, meter_cover, "
        "field, reversed, neutral V, bypass W" % " ".join([what, *rest])
    )


def _seconds(text):
    found = re.fullmatch(r"(\d{1,6}):([0-5]\d):([0-5]\d)", text)
    if not found:
        raise ValueError("%s is no time; expected such as 0:10:00" % text)
    h, m, s = (int(x) for x in found.groups())
    return h * 3600 + m * 60 + s


def _tenths(text, least, most):
    if not re.fullmatch(r"\d{1,3}(\.\d)?", text) or not least <= float(text) <= most:
        raise ValueError("%s is no voltage; expected %d to %d" % (text, least, most))
    return round(float(text) * 10)


def _watts(text, least):
    if not re.fullmatch(r"-?\d{1,6}", text) or not least <= int(text) <= 100000:
        raise ValueError("%s is no power; expected %d to 100000" % (text, least))
    return int(text)


def _apart(path, lines):
    """Contacts that are open together become one number; anything else happens one by one."""
    contacts = [line for line in lines if line[2] == _CONTACT]
    others = [line for line in lines if line[2] != _CONTACT]
    edges = sorted({t for line in contacts for t in line[:2]})
    for start, end in zip(edges, edges[1:]):
        bits = 0
        for line in contacts:
            if line[0] <= start < line[1]:
                bits |= line[3]
        if bits:
            others.append([start, end, _CONTACT, bits])
    others.sort()
    last = {}
    for start, end, what, _value in others:
        if start < last.get(what, 0):
            raise Trouble("%s: two lines of one kind overlap at %d s." % (path, start))
        last[what] = end
    return others
