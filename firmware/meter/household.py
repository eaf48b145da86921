# SPDX-License-Identifier: MIT
"""A simulated three-phase household with solar panels on the roof and a car or a boiler.

A source of metrology.py for meters without an energy chip. Everything follows from the seed and
the time alone, in integer arithmetic below 2**30: the same seed gives the same numbers on every
runtime, in steps of any size, and again after a restart or a clock that was set back.

    loads    standby, fridge, freezer, circulation pump in winter, lighting by sun and hour,
             breakfast, lunch and dinner, television, washing machine, dryer, dishwasher, kettle,
             and a car charged on three phases, or a boiler heated at night
    sun      at 50 degrees north and 15 east, with clouds by season, day, hour and minute
    network  voltages that move with the hour and drop with the load, a frequency that wanders, and
             on a few days a year some minutes of too little voltage on L2 or too much on L1

Power is constant within a minute but for a ripple of up to three per cent that sums up to nothing
over it. So a whole minute of energy is one multiplication, and yet whoever reads the meter every
second sees it move. begin() costs most: on a Cortex-M3 a few milliseconds, once a minute.
"""

from array import array

from firmware.meter.metrology import Metrology
from firmware.meter.numbers import mix, phase_angle, power_factor, root, sine
from firmware.meter.sky import Sky
from micropython import const

_DAY = const(1440)
_NEVER = const(9999)
_SAG_MINUTES = const(20)
_SWELL_MINUTES = const(16)

# What is switched in a day: capacity of the plan, and its numbers for each: from and to minute,
# power and reactive power, phase, duty.
_MAX_SWITCHED = const(20)
_PLAN_LEN = const(6)
# Part of the time that a thermostat heats, in 1/8; 8: no thermostat.
_ALWAYS = const(8)
_ALL_PHASES = const(3)

# The ripple, summed up over a minute: entry s+1 less entry s, -8..8, is the weight of second s.
_RIPPLE = (
    b"\x0f\x10\x16\x10\x0b\x09\x0f\x0b\x11\x0b\x08\x10\x16\x11\x10\x16\x1d\x1b\x18\x11"
    b"\x0a\x07\x07\x03\x07\x03\x06\x05\x03\x08\x08\x00\x01\x08\x00\x04\x07\x09\x0e\x08"
    b"\x0a\x0f\x0b\x06\x08\x0b\x06\x09\x0d\x09\x0e\x12\x0d\x12\x14\x15\x12\x13\x13\x17\x0f"
)
_RIPPLE_SHIFT = const(8)
_RIPPLE_MAX = const(8)

# Indices into quanta and values, in the order of metrology.py.
_N_ENERGIES = const(14)
_R_Q1 = const(2)
_R_Q3 = const(4)
_S_PLUS = const(6)
_A_PLUS_L1 = const(8)
_A_MINUS_L1 = const(11)
_U = const(0)
_I = const(3)
_I_N = const(6)
_P = const(7)
_Q = const(10)
_S = const(13)
_P_PLUS = const(16)
_Q_PLUS = const(18)
_S_TOTAL = const(20)
_PF_TOTAL = const(21)
_PF = const(22)
_FREQUENCY = const(25)
_ANGLE_U = const(26)
_ANGLE_I = const(29)


class Household(Metrology):
    """seed: 0..2**30-1, one a house. solar_w: peak of the panels, 0 for none. car: else a boiler;
    None lets the seed decide."""

    bounds = (2190, 2400, 63000, 60, 8000)  # see metrology.py

    def __init__(self, seed=1, solar_w=6000, car=None):
        Metrology.__init__(self)
        self.seed = seed & 0x3FFFFFFF
        self.car = bool(mix(self.seed, 1, 1) & 1) if car is None else car
        # By phase, of the minute that runs: power, its ripple, and the same for the totals.
        self._p = array("i", [0] * 3)
        self._q = array("i", [0] * 3)
        self._rp = array("i", [0] * 3)
        self._rq = array("i", [0] * 3)
        self._rate = array("i", [0] * _N_ENERGIES)
        self._ripple = array("i", [0] * _N_ENERGIES)
        self._at = 0
        self._connected = True
        # The plan of the day: what is switched on from when to when.
        self._day = -1
        self._n = 0
        self._plan = array("h", [0] * (_PLAN_LEN * _MAX_SWITCHED))
        self._sky = Sky(self.seed, solar_w)
        self._local = 0
        self._minute = 0
        self._sag = _NEVER
        self._swell = _NEVER

    # --- The plan of a day ------------------------------------------------------------------

    def _switch(self, start, length, watts, vars, phase, duty=_ALWAYS):
        if self._n < _MAX_SWITCHED and start < _DAY and start + length > 0:
            plan = self._plan
            k = _PLAN_LEN * self._n
            plan[k] = start
            plan[k + 1] = start + length
            plan[k + 2] = watts
            plan[k + 3] = vars
            plan[k + 4] = phase
            plan[k + 5] = duty
            self._n += 1

    def _make_plan(self, day):
        self._day = day
        self._n = 0
        a = mix(self.seed, day, 2)
        b = mix(self.seed, day, 3)
        # 2000-01-01 was a Saturday; Monday is 0.
        weekend = (day + 5) % 7 >= 5
        season = (day * 4 % 1461) // 4
        winter = season < 80 or season > 290
        away = b % 61 == 0
        if not away:
            self._switch(390 + a % 32 + 90 * weekend, 10 + a % 9, 1500, 0, 1, 6)
            self._switch(425 + a % 40 + 80 * weekend, 3, 2000, 0, 0)
            if weekend:
                self._switch(705 + b % 45, 35, 2600, 40, 1, 5)
            self._switch(955 + b % 50, 3, 2000, 0, 0)
            self._switch(1075 + (a >> 5) % 85, 28 + (a >> 9) % 35, 2500, 40, 1, 5)
            self._switch(1110 + (b >> 4) % 60, 200 + (b >> 8) % 80, 160, -25, 0)
            if (a >> 13) % 7 < 3 + weekend:
                wash = 540 + (a >> 16) % 600
                self._switch(wash, 18, 2100, 20, 2)
                self._switch(wash + 18, 55, 320, 240, 2)
                if winter:
                    self._switch(wash + 90, 75, 1900, 150, 2, 7)
            if (b >> 13) % 7 < 5:
                rinse = 1180 + (b >> 16) % 90
                self._switch(rinse, 14, 2000, 15, 2)
                self._switch(rinse + 14, 40, 90, 70, 2)
                self._switch(rinse + 54, 11, 2000, 15, 2)
        if winter:
            self._switch(330, 1050, 75, 55, 0)
        # What is charged or heated over midnight belongs to both days.
        for d in (day - 1, day):
            c = mix(self.seed, d, 4)
            start = (d - day) * _DAY
            if not self.car:
                self._switch(start + 1325 + c % 20, 100 + (c >> 5) % 120, 2000, 0, 2)
            elif c % 7 < 4:
                # Half of the people wait for the night tariff.
                start += 1322 if c & 0x100 else 1050 + (c >> 9) % 200
                self._switch(start, 40 + (c >> 17) % 140, 3680, -180, _ALL_PHASES)
        # They last over a quarter of an hour: also who looks only then sees them.
        c = mix(self.seed, day, 5)
        self._sag = 405 + (c >> 8) % 60 * 15 if c % 83 == 0 else _NEVER
        self._swell = 660 + (c >> 8) % 12 * 15 if c % 89 == 0 else _NEVER

    # --- What the meter program asks for ----------------------------------------------------

    def supply(self, connected):
        self._connected = connected

    def begin(self, minute, local):
        self._at = 0
        self._minute = minute
        self._local = local
        day = local // _DAY
        if day != self._day:
            self._make_plan(day)
        now = local % _DAY
        noise = mix(self.seed, minute, 9)
        p = self._p
        q = self._q
        # Standby, with the capacitors of small power supplies.
        p[0] = 62 + (noise & 15)
        p[1] = 38 + (noise >> 4 & 7)
        p[2] = 27 + (noise >> 7 & 7)
        q[0] = -34 - (noise >> 10 & 7)
        q[1] = -22
        q[2] = -18 - (noise >> 13 & 3)
        if (local + self.seed % 53) % 53 < 19:
            p[0] += 92
            q[0] += 64
        if (local + self.seed % 71) % 71 < 22:
            p[2] += 74
            q[2] += 51
        sun = self._sky.watts(minute)
        if sun < 250 and (375 < now < 510 or 960 < now < 1400):
            c = mix(self.seed, local // 20, 10)
            lamps = 30 + c % (70 if now < 510 or now > 1350 else 190)
            p[1] += lamps
            q[1] -= lamps >> 3
        plan = self._plan
        for n in range(self._n):
            k = _PLAN_LEN * n
            if plan[k] <= now < plan[k + 1]:
                duty = plan[k + 5]
                if duty < _ALWAYS and (mix(local, n, 11) & 7) >= duty:
                    continue
                phase = plan[k + 4]
                if phase < _ALL_PHASES:
                    p[phase] += plan[k + 2]
                    q[phase] += plan[k + 3]
                else:
                    for phase in range(3):
                        p[phase] += plan[k + 2]
                        q[phase] += plan[k + 3]
        if sun:
            # The inverter takes a little reactive power at high and gives some at low voltage.
            third = sun // 3
            kind = third >> 5 if noise & 0x10000 else -(third >> 6)
            for phase in range(3):
                p[phase] -= third
                q[phase] += kind
        if not self._connected:
            # The inverter has no network to feed either.
            for phase in range(3):
                p[phase] = q[phase] = 0
        self._settle()

    def _settle(self):
        """Rates of energy, and ripple, from power by phase."""
        p = self._p
        q = self._q
        rate = self._rate
        ripple = self._ripple
        for k in range(_N_ENERGIES):
            rate[k] = 0
            ripple[k] = 0
        p_all = q_all = rp_all = rq_all = 0
        for k in range(3):
            a = p[k]
            b = q[k]
            ra = a >> _RIPPLE_SHIFT if a >= 0 else -(-a >> _RIPPLE_SHIFT)
            rb = b >> _RIPPLE_SHIFT if b >= 0 else -(-b >> _RIPPLE_SHIFT)
            self._rp[k] = ra
            self._rq[k] = rb
            p_all += a
            q_all += b
            rp_all += ra
            rq_all += rb
            if a >= 0:
                rate[_A_PLUS_L1 + k] = a
                ripple[_A_PLUS_L1 + k] = ra
            else:
                rate[_A_MINUS_L1 + k] = -a
                ripple[_A_MINUS_L1 + k] = -ra
        s_all = root(p_all * p_all + q_all * q_all)
        back = 1 if p_all < 0 else 0
        if back:
            p_all = -p_all
            rp_all = -rp_all
        rate[back] = p_all
        ripple[back] = rp_all
        rate[_S_PLUS + back] = s_all
        ripple[_S_PLUS + back] = s_all >> _RIPPLE_SHIFT
        if q_all < 0:
            q_all = -q_all
            rq_all = -rq_all
            at = _R_Q3 + 1 - back
        else:
            at = _R_Q1 + back
        rate[at] = q_all
        ripple[at] = rq_all
        # No ripple in a minute where it could turn the direction of a total.
        if (
            p_all < _RIPPLE_MAX * (rp_all if rp_all >= 0 else -rp_all)
            or q_all < _RIPPLE_MAX * (rq_all if rq_all >= 0 else -rq_all)
        ):  # fmt: skip
            for k in range(_N_ENERGIES):
                ripple[k] = 0
            for k in range(3):
                self._rp[k] = self._rq[k] = 0

    def take(self, seconds):
        quanta = self.quanta
        rate = self._rate
        at = (self._at + seconds) % 60
        d = _RIPPLE[at] - _RIPPLE[self._at]
        self._at = at
        if d:
            ripple = self._ripple
            for k in range(_N_ENERGIES):
                quanta[k] = rate[k] * seconds + ripple[k] * d
        else:
            for k in range(_N_ENERGIES):
                quanta[k] = rate[k] * seconds

    def steady(self):
        """Too little or too much voltage begins and ends with a minute."""
        now = self._local % _DAY
        then = _DAY
        for start, length in ((self._sag, _SAG_MINUTES), (self._swell, _SWELL_MINUTES)):
            if start <= now < start + length:
                start += length
            if now < start < then:
                then = start
        return (then - now) * 60 - self._at

    def measure(self):
        v = self.values
        at = self._at
        w = _RIPPLE[at + 1] - _RIPPLE[at]
        # The voltage of ten minutes moves to that of the next ten.
        block = self._minute // 10
        part = self._minute % 10 * 6 + at // 10
        u_a = mix(self.seed, block, 12)
        u_b = mix(self.seed, block + 1, 12)
        now = self._local % _DAY
        p_all = q_all = 0
        x = y = 0
        for k in range(3):
            p = self._p[k] + self._rp[k] * w
            q = self._q[k] + self._rq[k] * w
            s = root(p * p + q * q)
            p_all += p
            q_all += q
            u = 2302 + (u_a & 31) + ((u_b & 31) - (u_a & 31)) * part // 60 - p // 92 + (w >> 2)
            u_a >>= 5
            u_b >>= 5
            if k == 1 and 0 <= now - self._sag < _SAG_MINUTES:
                u -= 340
            if k == 0 and 0 <= now - self._swell < _SWELL_MINUTES:
                u += 270
            i = s * 10000 // u
            v[_U + k] = u
            v[_I + k] = i
            v[_P + k] = p
            v[_Q + k] = q
            v[_S + k] = s
            v[_PF + k] = power_factor(p, s)
            phi = phase_angle(p, q, s)
            v[_ANGLE_U + k] = 1200 * k
            v[_ANGLE_I + k] = (1200 * k + phi) % 3600
            # The neutral carries the sum of the phasors; eighths keep the squares small.
            x += (i >> 3) * sine(v[_ANGLE_I + k] + 900) // 10000
            y += (i >> 3) * sine(v[_ANGLE_I + k]) // 10000
        v[_I_N] = root(x * x + y * y) << 3
        v[_P_PLUS] = p_all if p_all > 0 else 0
        v[_P_PLUS + 1] = -p_all if p_all < 0 else 0
        v[_Q_PLUS] = q_all if q_all > 0 else 0
        v[_Q_PLUS + 1] = -q_all if q_all < 0 else 0
        s = root(p_all * p_all + q_all * q_all)
        v[_S_TOTAL] = s
        v[_PF_TOTAL] = power_factor(p_all, s)
        v[_FREQUENCY] = 4997 + mix(self.seed, self._minute * 6 + at // 10, 13) % 7
