# SPDX-License-Identifier: MIT
"""From metrology to the objects: energies, demands, maxima, instantaneous values, counters.

The definition says which object a source feeds (SOURCES); what it does not have is not fed.

    energy.X   Register, whole Wh, varh, VAh: a_plus a_minus, r_plus r_minus, r_q1..r_q4, s_plus
               s_minus, a_plus_l1..l3, a_minus_l1..l3. A register that a Register activation lists
               counts while the active mask has it. Registers of one source share its remainder
               below one Wh: tariffs add up to their total exactly. r_plus is r_q1 + r_q2, r_minus
               r_q3 + r_q4.
    demand.X   Demand register, W or var: a_plus a_minus r_plus r_minus
    max.X      Extended register: the highest demand.X of the billing period, with capture_time
    inst.X     a value of metrology.py, or unix: seconds since 1970 UTC
    count.X    power_failures boots events program_changes billing_periods clock_changes
    status.profile1, status.profile2    status octet of the profile that captures the object
    event.X, status.error, status.alarm    see events.py

An unknown source, and one that does not fit its object, is a ValueError with a sentence.
Sources are looked up once, at boot; from then on they are tables of small numbers.
"""

from array import array

from cosem import slots
from dlms.prim import copy
from firmware.meter import events, metrology
from micropython import const

_COUNTS = "power_failures boots events program_changes billing_periods clock_changes"
_BILLING_PERIODS = const(4)

_DEMANDS = "a_plus a_minus r_plus r_minus"

# Quanta, in the order of metrology.py; the two sums follow.
_N_ENERGIES = const(14)
_R_Q1 = const(2)
_R_Q3 = const(4)
_R_PLUS = const(14)
_R_MINUS = const(15)
_WS_PER_WH = const(3600)

_VALUE = const(2)
_LAST_AVERAGE = const(3)
_CAPTURE_PERIOD = const(4)
_EXTENDED_CAPTURE_TIME = const(5)
_DEMAND_CAPTURE_TIME = const(6)
_PERIOD = const(8)
_DATE_TIME_LEN = const(14)

_PROFILE_GENERIC = const(7)

_SIGNED = b"\x0f\x10\x05\x14"
_UNSIGNED = b"\x16\x11\x12\x06\x15"

# A date-time of which nothing is specified.
_NO_TIME = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80\x00\xff"

# A feed: what, position in the image, octets, signed, row.
_FEED_LEN = const(5)


def add(image, at, n, value):
    """Add to the n octets at image[at]; wraps as a register does. No int gets large."""
    k = at + n - 1
    while value and k >= at:
        value += image[k]
        image[k] = value & 0xFF
        value >>= 8
        k -= 1


def put(image, at, n, signed, value):
    """Write a value, clamped to what n octets hold."""
    if n < 4:
        top = (1 << (8 * n - signed)) - 1
        low = -top - 1 if signed else 0
        value = top if value > top else low if value < low else value
    elif value < 0 and not signed:
        value = 0
    k = at + n
    while k > at:
        k -= 1
        image[k] = value & 0xFF
        value >>= 8


def _common(a, b):
    """Greatest common divisor."""
    while b:
        a, b = b, a % b
    return a if a >= 0 else -a


class Registers:
    """The sources of one meter.

    kept     28 octets: the remainders below a Wh, two octets an energy; saved with the image
    billing  row of the profile without a period that captures a maximum or count.billing_periods,
             -1 if there is none
    status   position of the octet and row of the profile, for status.profile1 and 2
    unix     position of inst.unix, 0 if there is none
    """

    def __init__(self, model, metrology, logs, kept):
        self.model = model
        self.metrology = metrology
        self.kept = kept
        self.billing = -1
        self.status = array("H")
        self.unix = 0
        self._energies = array("H")
        self._values = array("H")
        self._counts = array("H")  # counter, position, octets
        self._demands = array("H")  # quantum, row
        self._owed = array("i")  # energy of each demand that give_demands() will hand over
        self._maxima = array("H")  # row of the demand, row
        self._activation = model.handler("register_activation")
        self._demand = model.handler("demand_register")
        self._whole = array("i", [0] * (_N_ENERGIES + 2))
        self._resolve(model.definition.SOURCES, logs)
        if self._demand is not None:
            self._demand.on_period = self._on_period

    # --- Sources ----------------------------------------------------------------------------

    def _resolve(self, sources, logs):
        names = metrology.ENERGIES.split() + ["r_plus", "r_minus"]
        values = metrology.VALUES.split()
        demands = _DEMANDS.split()
        counts = _COUNTS.split()
        later = []
        billed = []
        for name, row, attribute in sources:
            dot = name.find(".")
            kind = name[:dot]
            x = name[dot + 1 :]
            if kind == "energy" and x in names:
                at, n, _ = self._place(name, row, attribute, 4)
                self._energies.extend(array("H", [names.index(x), at, n, 0, row]))
            elif name == "inst.unix":
                self.unix = self._place(name, row, attribute, 4)[0]
            elif kind == "inst" and x in values:
                at, n, signed = self._place(name, row, attribute, 1)
                self._values.extend(array("H", [values.index(x), at, n, signed, row]))
            elif kind == "demand" and x in demands:
                if self._demand is None:
                    raise ValueError("Source %s needs an object of class 5." % name)
                self._demands.extend(array("H", [names.index(x), row]))
                self._owed.append(0)
            elif kind == "count" and x in counts:
                at, n, _ = self._place(name, row, attribute, 1)
                self._counts.extend(array("H", [counts.index(x), at, n]))
                if counts.index(x) == _BILLING_PERIODS:
                    billed.append(row)
            elif kind == "max" and x in demands:
                later.append((name, names.index(x), row))
                billed.append(row)
            elif name == "status.profile1" or name == "status.profile2":
                at, n, _ = self._place(name, row, attribute, 1)
                profile = self._profile_of(row, False)
                if profile >= 0:
                    self.status.extend(array("H", [at + n - 1, profile]))
            elif not logs.source(name, row):
                raise ValueError(
                    "The definition feeds an object from %s: this meter has no such source." % name
                )
        for name, quantum, row in later:
            k = 0
            while k < len(self._demands) and self._demands[k] != quantum:
                k += 2
            if k == len(self._demands):
                raise ValueError("Source %s: the definition has no such demand." % name)
            self._place(name, row, _VALUE, 1)
            self._place(name, row, _EXTENDED_CAPTURE_TIME, 0)
            self._maxima.extend(array("H", [self._demands[k + 1], row]))
        for row in billed:
            if self.billing < 0:
                self.billing = self._profile_of(row, True)

    def _place(self, name, row, attribute, least):
        """Position of the number behind the tag, its octets, 1 if it is signed."""
        at = self.model.slot(row, attribute)
        if at < 0:
            raise ValueError("Source %s feeds an attribute that is not kept in RAM." % name)
        tag = bytes((self.model.image[at],))
        n = self.model.value_len(row, attribute) - 1
        if least and (n < least or (_SIGNED + _UNSIGNED).find(tag) < 0):
            raise ValueError("Source %s needs an integer of %d octets or more." % (name, least))
        return at + 1, n, 1 if _SIGNED.find(tag) >= 0 else 0

    def _profile_of(self, row, on_demand):
        """Row of the profile that captures this object (without a period of its own), else -1."""
        for r in self.model.rows(_PROFILE_GENERIC):
            if on_demand and slots.double_long_unsigned(self.model, r, _CAPTURE_PERIOD):
                continue
            if events.lists(self.model, r, 3, row):
                return r
        return -1

    # --- Energies ---------------------------------------------------------------------------

    def take(self, seconds):
        """Take the energy of the last seconds and put it where it belongs."""
        self.metrology.take(seconds)
        quanta = self.metrology.quanta
        kept = self.kept
        whole = self._whole
        moved = False
        for k in range(_N_ENERGIES):
            q = quanta[k]
            n = 0
            if q:
                at = k << 1
                q += kept[at] << 8 | kept[at + 1]
                if q >= _WS_PER_WH:
                    n = q // _WS_PER_WH
                    q -= n * _WS_PER_WH
                    moved = True
                kept[at] = q >> 8
                kept[at + 1] = q & 0xFF
            whole[k] = n
        t = self._demands
        for k in range(0, len(t), 2):
            j = t[k]
            if j == _R_PLUS:
                q = quanta[_R_Q1] + quanta[_R_Q1 + 1]
            elif j == _R_MINUS:
                q = quanta[_R_Q3] + quanta[_R_Q3 + 1]
            else:
                q = quanta[j]
            self._owed[k >> 1] += q
        if not moved:
            return
        whole[_R_PLUS] = whole[_R_Q1] + whole[_R_Q1 + 1]
        whole[_R_MINUS] = whole[_R_Q3] + whole[_R_Q3 + 1]
        t = self._energies
        image = self.model.image
        for k in range(0, len(t), _FEED_LEN):
            n = whole[t[k]]
            if n and self._counts_now(t[k + 4]):
                add(image, t[k + 1], t[k + 2], n)

    def give_demands(self):
        """Hand over to the demand registers what has been taken."""
        for k in range(len(self._owed)):
            if self._owed[k]:
                self._demand.add(self._demands[2 * k + 1], self._owed[k])
                self._owed[k] = 0

    def minutes(self):
        """Minutes between the earliest instants at which a demand period or a capture can be due,
        counted in UTC; 0: it may be any second."""
        clock = self.model.handler("clock")
        step = _common(15, clock.time_zone)
        step = _common(step, clock.dst_deviation)
        if self._demand is not None:
            for row in self._demand.rows:
                seconds = slots.double_long_unsigned(self.model, row, _PERIOD)
                if seconds % 60:
                    return 0
                step = _common(step, seconds // 60)
        profiles = self.model.handler("profile_generic")
        if profiles is not None:
            for row in profiles.profiles:
                seconds = profiles.profiles[row].period
                if seconds % 60:
                    return 0
                step = _common(step, seconds // 60)
        return step

    def _counts_now(self, row):
        return self._activation is None or self._activation.counts(row)

    def measure(self):
        """Refresh the instantaneous values."""
        self.metrology.measure()
        values = self.metrology.values
        t = self._values
        image = self.model.image
        for k in range(0, len(t), _FEED_LEN):
            put(image, t[k + 1], t[k + 2], t[k + 3], values[t[k]])

    def count(self, k, n):
        """Add to counter k, in the order of the sources."""
        t = self._counts
        for j in range(0, len(t), 3):
            if t[j] == k:
                add(self.model.image, t[j + 1], t[j + 2], n)

    # --- Maxima -----------------------------------------------------------------------------

    def _on_period(self, row):
        """A demand period has ended: is its average the highest?"""
        model = self.model
        t = self._maxima
        last = model.get_int(row, _LAST_AVERAGE)
        for m in range(0, len(t), 2):
            to = t[m + 1]
            if t[m] == row and self._counts_now(to) and last > model.get_int(to, _VALUE):
                model.put_int(to, _VALUE, last)
                at = model.slot(row, _DEMAND_CAPTURE_TIME)
                to = model.slot(to, _EXTENDED_CAPTURE_TIME)
                copy(model.image, to, model.image, at, _DATE_TIME_LEN)

    def reset_maxima(self):
        """A new billing period begins. Allocates nothing."""
        image = self.model.image
        t = self._maxima
        for m in range(0, len(t), 2):
            of = t[m + 1]
            at = self.model.slot(of, _VALUE) + 1
            put(image, at, self.model.value_len(of, _VALUE) - 1, 0, 0)
            at = self.model.slot(of, _EXTENDED_CAPTURE_TIME) + 2
            copy(image, at, _NO_TIME, 0, 12)
