# SPDX-License-Identifier: MIT
"""From metrology to the objects: energies, demands, maxima, instantaneous values, counters.

Which object a source feeds stands in tables of small numbers, which sources.py makes at the start.
"""

from array import array

from cosem import slots
from dlms.prim import copy
from micropython import const

# Quanta, in the order of metrology.py; the two sums follow.
_N_ENERGIES = const(14)
_R_Q1 = const(2)
_R_Q3 = const(4)
_R_PLUS = const(14)
_R_MINUS = const(15)
_WS_PER_WH = const(3600)

_VALUE = const(2)
_LAST_AVERAGE = const(3)
_EXTENDED_CAPTURE_TIME = const(5)
_DEMAND_CAPTURE_TIME = const(6)
_PERIOD = const(8)
_DATE_TIME_LEN = const(14)

_ACTIVATION = "register_activation"

# A date-time of which nothing is specified.
_NO_TIME = b"\xff\xff\xff\xff\xff\xff\xff\xff\xff\x80\x00\xff"

# The octets of a feed, and the bit behind them: the number is signed.
_OCTETS = const(0x0F)
_SIGNED_SHIFT = const(4)


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

    def __init__(self, model, metrology, kept):
        self.model = model
        self.metrology = metrology
        self.kept = kept
        self.billing = -1
        self.status = array("H")
        self.unix = 0
        # A feed is two numbers: what it is and its octets, 256 * what + octets; and the position
        # of the number in the image. 16 is added to the octets of a signed one.
        self.energies = array("H")  # and the row of the register
        self.values = array("H")
        self.counts = array("H")
        self.demands = array("H")  # quantum, row
        self.maxima = array("H")  # row of the demand, row
        self.owed = array("i")  # energy of each demand that give_demands() will hand over
        names = model.handler_names
        # Number of the handler; 0 is nobody's.
        self._activation = names.index(_ACTIVATION) if _ACTIVATION in names else 0
        self._demand = model.handler("demand_register")
        self._whole = array("i", [0] * (_N_ENERGIES + 2))

    # --- Energies ---------------------------------------------------------------------------

    def take(self, seconds):
        """Take the energy of the last seconds and put it where it belongs."""
        self.metrology.take(seconds)
        self.spread(self.metrology.quanta)

    def spread(self, quanta):
        """Put energy that was taken where it belongs."""
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
        t = self.demands
        for k in range(0, len(t), 2):
            j = t[k]
            if j == _R_PLUS:
                q = quanta[_R_Q1] + quanta[_R_Q1 + 1]
            elif j == _R_MINUS:
                q = quanta[_R_Q3] + quanta[_R_Q3 + 1]
            else:
                q = quanta[j]
            self.owed[k >> 1] += q
        if not moved:
            return
        whole[_R_PLUS] = whole[_R_Q1] + whole[_R_Q1 + 1]
        whole[_R_MINUS] = whole[_R_Q3] + whole[_R_Q3 + 1]
        t = self.energies
        image = self.model.image
        counting = self._counting()
        for k in range(0, len(t), 3):
            n = whole[t[k] >> 8]
            if n:
                row = t[k + 2]
                if counting is None or counting[row >> 3] >> (row & 7) & 1:
                    add(image, t[k + 1], t[k] & _OCTETS, n)

    def give_demands(self):
        """Hand over to the demand registers what has been taken."""
        for k in range(len(self.owed)):
            if self.owed[k]:
                self._demand.add(self.demands[2 * k + 1], self.owed[k])
                self.owed[k] = 0

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

    def _counting(self):
        """A bit a row, set while the register counts; None: all do."""
        activation = self.model.handlers[self._activation]
        if activation is not None:
            # A client may have set a mask in this second.
            activation.tick(0)
        return self.model.counting

    def measure(self):
        """Refresh the instantaneous values."""
        self.metrology.measure()
        values = self.metrology.values
        t = self.values
        image = self.model.image
        for k in range(0, len(t), 2):
            n = t[k] & 0xFF
            put(image, t[k + 1], n & _OCTETS, n >> _SIGNED_SHIFT, values[t[k] >> 8])

    def count(self, k, n):
        """Add to counter k, in the order of the sources."""
        t = self.counts
        for j in range(0, len(t), 2):
            if t[j] >> 8 == k:
                add(self.model.image, t[j + 1], t[j] & _OCTETS, n)

    # --- Maxima -----------------------------------------------------------------------------

    def period_ended(self, row):
        """A period of this demand register has ended: is its average the highest?"""
        model = self.model
        t = self.maxima
        counting = self._counting()
        last = model.get_int(row, _LAST_AVERAGE)
        at = model.slot(row, _DEMAND_CAPTURE_TIME)
        for m in range(0, len(t), 2):
            to = t[m + 1]
            if (
                t[m] == row
                and (counting is None or counting[to >> 3] >> (to & 7) & 1)
                and last > model.get_int(to, _VALUE)
            ):
                model.put_int(to, _VALUE, last)
                to = model.slot(to, _EXTENDED_CAPTURE_TIME)
                copy(model.image, to, model.image, at, _DATE_TIME_LEN)

    def reset_maxima(self):
        """A new billing period begins. Allocates nothing."""
        image = self.model.image
        t = self.maxima
        for m in range(0, len(t), 2):
            of = t[m + 1]
            at = self.model.slot(of, _VALUE) + 1
            put(image, at, self.model.value_len(of, _VALUE) - 1, 0, 0)
            at = self.model.slot(of, _EXTENDED_CAPTURE_TIME) + 2
            copy(image, at, _NO_TIME, 0, 12)
