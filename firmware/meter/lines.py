# SPDX-License-Identifier: MIT
"""The table of episodes.py, from a definition: which lines it has, and what they feed.

Sources are kind.field_place:

    kind             places                          what is so
    sag swell cut    l1 l2 l3                        a voltage is low, high, missing
    outage           all l1 l2 l3 any                power failure
    long_outage      all l1 l2 l3 any                as long as 0.0.96.7.20 says, or longer
    contact          terminal_cover field meter_cover
    over_current     l1 l2 l3
    bad_week         l1 l2 l3                        see quality.py

    field    object
    count    a number
    time     octet-string[12]: when the last one began
    last     seconds: how long the last one was; total: how long all were that have ended
    now      seconds: how long the present one is, and after that the last one
    peak     0.1 V: the lowest voltage of the last sag or cut, the highest one of the last swell

and kept.episodes is an octet-string that keeps what lasts over a restart. A line without a source
is there if its events have a cause: contacts, limits (wiring.py). A definition without any of
these sources does not load this module, and only the start needs it.
"""

from array import array

from cosem import slots
from firmware.meter.episodes import Episodes
from firmware.meter.sources import feed_of, limit_row, profile_of

_DISCONNECT_CONTROL = 70
_OUTPUT_STATE = 2
_VALUE = 2
_NO_ROW = 0xFFFF
_STATE_LEN = 4

_PHASES = "l1 l2 l3"
_FAILURES = "l1 l2 l3 any all"
_CONTACTS = "terminal_cover field meter_cover"
_FAILS, _STAYS = 1, 2  # flags, see episodes.py
_FIRST_BAD_WEEK = 22


# Kind, places, condition of each; events at begin and end: first number, step; flags; logical name
# of the time threshold.
_KINDS = (
    ("sag", _PHASES, b"\x00\x01\x02", None, None, 0, "1.0.12.43.0"),
    ("swell", _PHASES, b"\x03\x04\x05", None, None, 0, "1.0.12.44.0"),
    ("cut", _PHASES, b"\x06\x07\x08", None, None, 0, "1.0.12.45.0"),
    ("outage", _FAILURES, b"\x06\x07\x08\x09\x0a", None, None, _FAILS, None),
    ("long_outage", _FAILURES, b"\x06\x07\x08\x09\x0a", None, None, _FAILS, "0.0.96.7.20"),
    ("contact", _CONTACTS, b"\x0b\x0c\x0d", (40, 2), (41, 2), _STAYS, None),
    ("over_current", _PHASES, b"\x0e\x0f\x10", (70, 2), (71, 2), 0, "1.0.11.44.0"),
    ("unbalance", "", b"\x11", (90, 0), None, 0, "1.0.12.44.128"),
    ("reversed", "", b"\x12", (88, 0), None, 0, "1.0.12.44.128"),
    ("neutral", "", b"\x13", (89, 0), None, 0, "1.0.12.44.128"),
    ("export", "", b"\x14", (91, 0), None, 0, "1.0.2.44.0"),
    ("open", "", b"\x15", (68, 0), None, 0, "1.0.11.44.128"),
    ("bad_week", _PHASES, b"\x16\x17\x18", (92, 1), None, 0, None),
)
_FIELDS = "count time last total now peak".split()
_TIME = 1

# Counters of sources.py that a line of outages takes over: power_failures, phase_failures.
_COUNTERS = {"all": 0, "any": 10}

# Limits of wiring.py with scaler, and the kinds that each is for.
_LIMITS = (
    ("1.0.11.35.0", -3, "over_current"),
    ("1.0.11.35.128", -3, "open"),
    ("1.0.12.35.128", -1, "unbalance reversed"),
    ("1.0.12.35.129", -1, "neutral"),
    ("1.0.2.35.0", 0, "export"),
)


def make(model, sources, registers, events, contacts):
    """Episodes of a model. sources: those of these kinds; contacts: read() of contacts.py, or
    None."""
    wanted = {}
    kept = -1
    for name, row, attribute in sources:
        kind, _, x = name.partition(".")
        field, _, place = x.partition("_")
        if name == "kept.episodes":
            kept = row
        elif field in _FIELDS and place in _places(kind):
            wanted.setdefault((kind, place), []).append((name, row, attribute, field))
        else:
            raise ValueError(
                "The definition feeds an object from %s: this meter has no such source." % name
            )
    rows = [limit_row(model, name, scaler) for name, scaler, _ in _LIMITS]
    present = " ".join([_LIMITS[k][2] for k in range(len(rows)) if rows[k] != _NO_ROW]).split()
    if contacts is not None:
        present.append("contact")
    e = Episodes(model, events)
    for kind, places, conditions, begin, end, flags, threshold in _KINDS:
        for n, place in enumerate(places.split() or [""]):
            fed = wanted.get((kind, place), ())
            if not fed and kind not in present:
                continue
            line = len(e.lines)
            e.lines.append(conditions[n])
            for code in (begin, end):
                e.codes.append(code[0] + n * code[1] if code else 0)
            e.codes.append(flags)
            e.limits.append(limit_row(model, threshold, 0) if threshold else _NO_ROW)
            for name, row, attribute, field in fed:
                e.feeds.extend(_fed(model, name, row, attribute, _FIELDS.index(field)))
                e.feeds.append(line)
                if name == "long_outage.last_any":
                    e.log = profile_of(model, row, True)
                    e.log_line = line
                    events.profiles.append(e.log)
            if kind == "outage" and place in _COUNTERS:
                _take_over(registers, _COUNTERS[place], e.feeds, line)
    if contacts is not None:
        from firmware.meter.contacts import Contacts

        e.watchers.append(Contacts(contacts))
    if min(rows) != _NO_ROW:
        from firmware.meter.wiring import Wiring

        e.watchers.append(Wiring(model, array("H", rows), _output(model)))
    if e.lines and max(e.lines) >= _FIRST_BAD_WEEK:
        from firmware.meter.quality import Quality

        e.watchers.append(Quality(events))
    if kept >= 0:
        e.kept = _room(model, kept, _STATE_LEN * len(e.lines))
    e.start()
    return e


def _take_over(registers, counter, feeds, line):
    """Failures that the program counts at its start are counted by this line."""
    left = array("H")
    for k in range(0, len(registers.counts), 2):
        what, at = registers.counts[k], registers.counts[k + 1]
        if what >> 8 == counter:
            feeds.extend(array("H", [what & 0x0F, at, line]))
        else:
            left.extend(array("H", [what, at]))
    registers.counts = left


def _places(kind):
    for row in _KINDS:
        if row[0] == kind:
            return row[1].split()
    return ()


def _fed(model, name, row, attribute, field):
    """The first two numbers of a feed."""
    if field != _TIME:
        numbers = feed_of(model, name, row, attribute, 1, field)
        return array("H", [numbers[0] & 0xFF0F, numbers[1]])
    at = model.slot(row, attribute)
    if at < 0 or model.value_len(row, attribute) != 14:
        raise ValueError("Source %s needs an octet-string of 12 octets in RAM." % name)
    return array("H", [field << 8 | 12, at + 2])


def _room(model, row, n):
    """Position of the n octets of an octet-string that keeps the state: zeros, if it is new."""
    head = bytes((9, n)) if n < 128 else bytes((9, 0x81, n))
    size = len(head) + n
    at = model.slot(row, _VALUE)
    if at < 0 or model.capacity(row, _VALUE) < size:
        raise ValueError("Source kept.episodes needs an octet-string of %d octets." % n)
    if model.value_len(row, _VALUE) != size:
        model.image[at : at + size] = head + bytes(n)
        slots.set_len(model.image, at, size)
    return at + len(head)


def _output(model):
    """Position of output_state of the disconnector, 0: there is none."""
    for row in model.rows(_DISCONNECT_CONTROL):
        return model.slot(row, _OUTPUT_STATE) + 1
    return 0
