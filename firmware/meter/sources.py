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
               metrology_faults (of an energy chip)
    status.profile1, status.profile2    status octet of the profile that captures the object
    event.X, status.error, status.alarm    see events.py
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
    "failed_authentications notifications notifications_lost metrology_faults"
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

# D of the registers with the limits of the voltage: sag, swell, missing.
_VOLTAGE_LIMITS = b"\x1f\x23\x27"
_REGISTER = const(3)
_SCALER_UNIT = const(3)
_TENTHS = const(0xFF)

# From the alarm register to its companions: what is added to E of their logical names.
_ALARM_FILTER = const(10)
_ALARM_DESCRIPTOR = const(20)


def connect(model, sources, registers, events):
    """Fill the tables of Registers and Events. ValueError: a source does not fit."""
    names = ENERGIES.split() + ["r_plus", "r_minus"]
    values = VALUES.split()
    demands = _DEMANDS.split()
    counts = _COUNTS.split()
    later = []
    billed = []
    for name, row, attribute in sources:
        dot = name.find(".")
        kind = name[:dot]
        x = name[dot + 1 :]
        if kind == "energy" and x in names:
            feed = _feed(model, name, row, attribute, 4, names.index(x))
            feed.append(row)
            registers.energies.extend(feed)
        elif name == "inst.unix":
            registers.unix = _feed(model, name, row, attribute, 4, 0)[1]
        elif kind == "inst" and x in values:
            registers.values.extend(_feed(model, name, row, attribute, 1, values.index(x)))
        elif kind == "demand" and x in demands:
            if model.handler("demand_register") is None:
                raise ValueError("Source %s needs an object of class 5." % name)
            registers.demands.extend(array("H", [names.index(x), row]))
            registers.owed.extend(array("i", [0]))
        elif kind == "count" and x in counts:
            registers.counts.extend(_feed(model, name, row, attribute, 1, counts.index(x)))
            if counts.index(x) == _BILLING_PERIODS:
                billed.append(row)
        elif kind == "max" and x in demands:
            later.append((name, names.index(x), row))
            billed.append(row)
        elif name == "status.profile1" or name == "status.profile2":
            feed = _feed(model, name, row, attribute, 1, 0)
            profile = _profile_of(model, row, False)
            if profile >= 0:
                registers.status.extend(array("H", [feed[1] + (feed[0] & 0x0F) - 1, profile]))
        elif name == "status.error":
            events.error_row = row
        elif name == "status.alarm":
            events.alarm_row = row
            events.filter = _companion(model, row, _ALARM_FILTER)
            events.descriptor = _companion(model, row, _ALARM_DESCRIPTOR)
        elif name == "push.alarm":
            events.push_row = row
        elif name == "push.start":
            events.start_row = row
        elif name == "token.demo":
            from firmware.meter.demo_tokens import Scheme

            model.tokens = Scheme(model).check
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
        _feed(model, name, row, _VALUE, 1, 0)
        _feed(model, name, row, _EXTENDED_CAPTURE_TIME, 0, 0)
        registers.maxima.extend(array("H", [t[k + 1], row]))
    for row in billed:
        if registers.billing < 0:
            registers.billing = _profile_of(model, row, True)
    for k in range(len(_VOLTAGE_LIMITS)):
        row = _voltage_limit(model, _VOLTAGE_LIMITS[k])
        if row >= 0:
            events.voltage[3 + 2 * k] = row >> 8
            events.voltage[4 + 2 * k] = row & 0xFF
    for k in range(len(events.objects)):
        if events.objects[k] >= 0:
            events.profiles[k] = _profile_of(model, events.objects[k], True)


def _feed(model, name, row, attribute, least, what):
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


def _profile_of(model, row, on_demand):
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


def _voltage_limit(model, d):
    """Row of the Register 1.0.12.d.0 with a limit in 0.1 V; -1: there is none."""
    row = model.find_any(bytes((0, _REGISTER, 1, 0, 12, d, 0, 255)), 0)
    scaler_unit = bytearray(8)
    if row < 0 or model.read(row, _SCALER_UNIT, scaler_unit, 0, 8) < 0:
        return -1
    # 02 02 0F scaler 16 unit
    return row if scaler_unit[3] == _TENTHS and model.value_len(row, _VALUE) == 3 else -1


def _companion(model, row, e):
    """Row of the object whose name has an E that is so much higher; -1 if it cannot serve."""
    key = bytearray(model.objects[row << 4 : (row << 4) + 8])
    key[6] += e
    row = model.find_any(key, 0)
    if row < 0 or model.slot(row, _VALUE) < 0:
        return -1
    return row if model.value_len(row, _VALUE) == 5 else -1
