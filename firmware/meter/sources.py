# SPDX-License-Identifier: MIT
"""The sources of a definition (SOURCES): which object is fed from what. What the definition does
not have is not fed.

    energy.X   Register, whole Wh, varh, VAh: a_plus a_minus, r_plus r_minus, r_q1..r_q4, s_plus
               s_minus, a_plus_l1..l3, a_minus_l1..l3. A register that a Register activation lists
               counts while the active mask has it. Registers of one source share its remainder
               below one Wh: tariffs add up to their total exactly. r_plus is r_q1 + r_q2, r_minus
               r_q3 + r_q4.
    demand.X   Demand register, W or var: a_plus a_minus r_plus r_minus
    max.X      Extended register: the highest demand.X of the billing period, with capture_time
    inst.X     a value of metrology.py, or unix: seconds since 1970 UTC
    count.X    power_failures boots events program_changes billing_periods clock_changes
               failed_authentications notifications notifications_lost (sent unasked)
               phase_failures (power failures in any phase)
               metrology_faults (of an energy chip)
               plc_faults plc_damaged plc_refused plc_unanswered plc_lost plc_foreign (of a
               modem for power lines and its profile, see links/plc.py)
    status.profile1, status.profile2    status octet of the profile that captures the object
    event.X, status.error, status.alarm, status.alarm2    see events.py
    sag.X swell.X cut.X outage.X long_outage.X contact.X over_current.X bad_week.X
    kept.episodes    what lasts for a time, see lines.py
    push.alarm, push.start    this Push setup pushes when a bit of the alarm descriptor (register,
               if there is none) is set; when the meter has started, and its links are open
    token.demo  this Token gateway takes tokens of the test scheme, see demo_tokens.py

An unknown source, and one that does not fit its object, is a ValueError with a sentence.
Sources are looked up once, at boot; from then on they are tables of small numbers.

Only the start needs this module: connect() looks everything up once, and fills the tables of
registers.py and events.py.
"""

from array import array

from cosem import slots
from dlms.prim import compare
from firmware.meter.metrology import ENERGIES, VALUES
from micropython import const

_LOGS = "standard fraud disconnect power_quality communication"
_DEMANDS = "a_plus a_minus r_plus r_minus"
_COUNTS = (
    "power_failures boots events program_changes billing_periods clock_changes "
    "failed_authentications notifications notifications_lost metrology_faults phase_failures "
    "plc_faults plc_damaged plc_refused plc_unanswered plc_lost plc_foreign"
)
_BILLING_PERIODS = const(4)

_VALUE = const(2)
_CAPTURE_OBJECTS = const(3)
_CAPTURE_PERIOD = const(4)
_EXTENDED_CAPTURE_TIME = const(5)

_PROFILE_GENERIC = const(7)
_ROW_SHIFT = const(4)
# A capture object definition, after the two octets of the array.
_DEFINITION_LEN = const(18)

_SIGNED = b"\x0f\x10\x05\x14"
_UNSIGNED = b"\x16\x11\x12\x06\x15"
# What is added to the octets of a feed if its number is signed.
_SIGNED_FEED = const(0x10)

# Registers with the limits of the voltage (sag, swell, missing), and how long it has to last.
_VOLTAGE_LIMITS = (
    ("1.0.12.31.0", -1),
    ("1.0.12.35.0", -1),
    ("1.0.12.39.0", -1),
    ("1.0.12.43.0", 0),
    ("1.0.12.44.0", 0),
    ("1.0.12.45.0", 0),
)
_LIMITS_AT = const(6)
_NO_ROW = const(0xFFFF)
_DATA = const(1)
_REGISTER = const(3)
_SCALER_UNIT = const(3)
_LASTING = "sag swell cut outage long_outage contact over_current bad_week kept"

# Error and alarm registers: the event that says that one was cleared; codes that set a bit, and
# the bit of each, see events.py.
_BITS = {
    "status.error": (10, b"\x06\x07\x0c\x0d\x0e\x10\x0f", b"\x00\x01\x08\x09\x0a\x0b\x0c"),
    "status.alarm": (
        11,
        b"\x06\x07\x0c\x0d\x0e\x10\x0f\x28\x2a\x2c\x2e\x31\x32",
        b"\x00\x01\x08\x09\x0a\x0b\x0c\x0d\x0d\x0d\x0d\x0d\x0d",
    ),
    "status.alarm2": (
        11,
        b"\x01\x02\x52\x53\x54\x55\x56\x57\x59\x5a\x5b\x58\x44\x30\x5c\x5d\x5e\x9e",
        b"\x00\x01\x02\x03\x04\x05\x06\x07\x08\x09\x0a\x0b\x0c\x0d\x0e\x0f\x10\x12",
    ),
}
_ERRORS_CLEARED = const(10)

# From the alarm register to its companions: what is added to E of their logical names.
_ALARM_FILTER = const(10)
_ALARM_DESCRIPTOR = const(20)


def connect(model, sources, registers, events, contacts=None):
    """Fill the tables of Registers and Events; Episodes, if there is something for them to do,
    else None. contacts: see contacts.py. ValueError: a source does not fit."""
    names = ENERGIES.split() + ["r_plus", "r_minus"]
    values = VALUES.split()
    demands = _DEMANDS.split()
    counts = _COUNTS.split()
    later = []
    billed = []
    lasting = []
    phases = 0
    for name, row, attribute in sources:
        dot = name.find(".")
        kind = name[:dot]
        x = name[dot + 1 :]
        if kind == "energy" and x in names:
            feed = feed_of(model, name, row, attribute, 4, names.index(x))
            feed.append(row)
            registers.energies.extend(feed)
        elif name == "inst.unix":
            registers.unix = feed_of(model, name, row, attribute, 4, 0)[1]
        elif kind == "inst" and x in values:
            registers.values.extend(feed_of(model, name, row, attribute, 1, values.index(x)))
            if values.index(x) < 3:
                phases |= 1 << values.index(x)
        elif kind == "demand" and x in demands:
            if model.handler("demand_register") is None:
                raise ValueError("Source %s needs an object of class 5." % name)
            registers.demands.extend(array("H", [names.index(x), row]))
            registers.owed.extend(array("i", [0]))
        elif kind == "count" and x in counts:
            registers.counts.extend(feed_of(model, name, row, attribute, 1, counts.index(x)))
            if counts.index(x) == _BILLING_PERIODS:
                billed.append(row)
        elif kind == "max" and x in demands:
            later.append((name, names.index(x), row))
            billed.append(row)
        elif name == "status.profile1" or name == "status.profile2":
            feed = feed_of(model, name, row, attribute, 1, 0)
            profile = profile_of(model, row, False)
            if profile >= 0:
                registers.status.extend(array("H", [feed[1] + (feed[0] & 0x0F) - 1, profile]))
        elif name in _BITS:
            filter_ = descriptor = -1
            if _BITS[name][0] != _ERRORS_CLEARED:
                filter_ = _companion(model, row, _ALARM_FILTER)
                descriptor = _companion(model, row, _ALARM_DESCRIPTOR)
            events.registers.append((row, filter_, descriptor) + _BITS[name])
        elif name == "push.alarm":
            events.push_row = row
        elif name == "push.start":
            events.start_row = row
        elif name == "token.demo":
            from firmware.meter.demo_tokens import Scheme

            model.tokens = Scheme(model).check
        elif kind in _LASTING.split():
            lasting.append((name, row, attribute))
        elif kind == "event" and x in _LOGS.split():
            events.objects[_LOGS.split().index(x)] = row
        else:
            raise ValueError(
                "The definition feeds an object from %s: this meter has no such source." % name
            )
    t = registers.demands
    for name, quantum, row in later:
        k = 0
        while k < len(t) and t[k] != quantum:
            k += 2
        if k == len(t):
            raise ValueError("Source %s: the definition has no such demand." % name)
        feed_of(model, name, row, _VALUE, 1, 0)
        feed_of(model, name, row, _EXTENDED_CAPTURE_TIME, 0, 0)
        registers.maxima.extend(array("H", [t[k + 1], row]))
    for row in billed:
        if registers.billing < 0:
            registers.billing = profile_of(model, row, True)
    # One that shows no voltage has all three phases.
    events.phases = phases or events.phases
    for k in range(len(_VOLTAGE_LIMITS)):
        row = limit_row(model, *_VOLTAGE_LIMITS[k])
        events.voltage[_LIMITS_AT + 2 * k] = row >> 8
        events.voltage[_LIMITS_AT + 2 * k + 1] = row & 0xFF
    for k in range(len(events.objects)):
        if events.objects[k] >= 0:
            events.profiles[k] = profile_of(model, events.objects[k], True)
    if not lasting and contacts is None:
        return None
    from firmware.meter import lines

    return lines.make(model, lasting, registers, events, contacts)


def feed_of(model, name, row, attribute, least, what):
    """The two numbers of a feed; least: octets that it needs, 0 if it need not be an integer."""
    at = model.slot(row, attribute)
    if at < 0:
        raise ValueError("Source %s feeds an attribute that is not kept in RAM." % name)
    tag = bytes((model.image[at],))
    n = model.value_len(row, attribute) - 1
    if least and (n < least or (_SIGNED + _UNSIGNED).find(tag) < 0):
        raise ValueError("Source %s needs an integer of %d octets or more." % (name, least))
    if _SIGNED.find(tag) >= 0:
        n += _SIGNED_FEED
    return array("H", [what << 8 | n & 0xFF, at + 1])


def profile_of(model, row, on_demand):
    """Row of the profile that captures this object (without a period of its own), else -1."""
    key = row << _ROW_SHIFT
    for r in model.rows(_PROFILE_GENERIC):
        if on_demand and slots.double_long_unsigned(model, r, _CAPTURE_PERIOD):
            continue
        buf = slots.source(model, r, _CAPTURE_OBJECTS)
        at = slots.offset(model, r, _CAPTURE_OBJECTS)
        for j in range(buf[at + 1]):
            # 02 04 12 class class 09 06 logical_name
            o = at + 2 + j * _DEFINITION_LEN
            if compare(buf, o + 3, model.objects, key, 2) == 0:
                if compare(buf, o + 7, model.objects, key + 2, 6) == 0:
                    return r
    return -1


def limit_row(model, name, scaler):
    """Row of the Register with this scaler, or the Data, of this name, whose value is a number of
    up to 32 bits; FFFF: there is none."""
    name = bytes([int(x) for x in name.split(".")] + [255])
    scaler_unit = bytearray(8)
    for class_id in (_REGISTER, _DATA):
        row = model.find_any(bytes((0, class_id)) + name, 0)
        if row < 0 or not 2 <= model.value_len(row, _VALUE) <= 5:
            continue
        # 02 02 0F scaler 16 unit
        if class_id == _DATA or (
            model.read(row, _SCALER_UNIT, scaler_unit, 0, 8) > 0
            and scaler_unit[3] == scaler & 0xFF
        ):
            return row
    return _NO_ROW


def _companion(model, row, e):
    """Row of the object whose name has an E that is so much higher; -1 if it cannot serve."""
    key = bytearray(model.objects[row << 4 : (row << 4) + 8])
    key[6] += e
    row = model.find_any(key, 0)
    if row < 0 or model.slot(row, _VALUE) < 0:
        return -1
    return row if model.value_len(row, _VALUE) == 5 else -1
