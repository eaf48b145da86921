# SPDX-License-Identifier: MIT
"""What a source of energy and of instantaneous values offers to the meter program.

Write a driver of an energy chip as a subclass: fill self.quanta in take() and self.values in
measure(), nothing else. The program calls, always between requests and never on their path:

    begin(minute, local)   a minute of the meter's time begins: UTC and local, in minutes since
                           2000-01-01 00:00. Also after the clock was set. A chip ignores it.
    take(seconds)          put into quanta the energy since the call before. seconds is how long
                           that was by the meter's clock; a chip reads its own accumulators.
    measure()              put what is there now into values.
    supply(connected)      the disconnector has opened or closed: for sources that are simulated,
                           and for those that have its relay
    measures               False: values are not of now, and no reason for events
    steady()               seconds, 1 at least: for so long no voltage changes by much. Only a
                           source that is simulated, whose time is stepped, has it
    bounds                 of the same: what values keep to between two such changes: lowest and
                           highest voltage, highest current, unbalance in 0.1 %, exported power;
                           None: nobody knows
    contacts               None, or a function with the state of the case, see contacts.py

Signs and quadrants as in IEC 62053-23: active energy and power count positive when they come from
the network (import), reactive ones when the current lags (inductive load, import). Quadrant I is
P >= 0 and Q >= 0, II P < 0 and Q >= 0, III P < 0 and Q < 0, IV P >= 0 and Q < 0. The three
phases of the totals are summed with their signs before the direction is decided.

All numbers are ints below 2**30; nothing is lost by reading often, as the program keeps the
remainders below one watt-hour.
"""

from array import array

from micropython import const

# The order of quanta: watt-seconds, var-seconds or volt-ampere-seconds since the last take(),
# never negative. r_plus and r_minus are for the program to add up from the quadrants.
ENERGIES = (
    "a_plus a_minus r_q1 r_q2 r_q3 r_q4 s_plus s_minus "
    "a_plus_l1 a_plus_l2 a_plus_l3 a_minus_l1 a_minus_l2 a_minus_l3"
)
_N_ENERGIES = const(14)
_R_Q1 = const(2)
_R_Q3 = const(4)
_S_PLUS = const(6)
_A_PLUS_L1 = const(8)

# The order of values: 0.1 V, mA, W, var, VA; power factors in 0.001 with the sign of P; frequency
# in 0.01 Hz; angles in 0.1 degree, 0..3599, by which they lag behind the voltage of L1 (1200 is
# the voltage of L2; the current of an inductive load has the angle of its voltage plus phi).
# p_plus, p_minus, q_plus, q_minus are totals without sign.
VALUES = (
    "u_l1 u_l2 u_l3 i_l1 i_l2 i_l3 i_n p_l1 p_l2 p_l3 q_l1 q_l2 q_l3 s_l1 s_l2 s_l3 "
    "p_plus p_minus q_plus q_minus s_total pf_total pf_l1 pf_l2 pf_l3 freq "
    "angle_u_l1 angle_u_l2 angle_u_l3 angle_i_l1 angle_i_l2 angle_i_l3"
)
_N_VALUES = const(32)


class Metrology:
    """A source that measures nothing: the defaults, and a place for the numbers."""

    measures = True
    bounds = None
    contacts = None

    def __init__(self):
        self.quanta = array("i", [0] * _N_ENERGIES)
        self.values = array("i", [0] * _N_VALUES)

    def begin(self, minute, local):
        pass

    def take(self, seconds):
        q = self.quanta
        for k in range(_N_ENERGIES):
            q[k] = 0

    def measure(self):
        pass

    def supply(self, connected):
        pass

    def put_totals(self, active, reactive, apparent):
        """For chips that give signed totals: sort them into directions and quadrants."""
        q = self.quanta
        for k in range(_A_PLUS_L1):
            q[k] = 0
        back = 1 if active < 0 else 0
        q[back] = -active if back else active
        q[_S_PLUS + back] = apparent
        if reactive < 0:
            q[_R_Q3 + 1 - back] = -reactive
        else:
            q[_R_Q1 + back] = reactive

    def put_phase(self, phase, active):
        """The same for the active energy of a phase (0..2)."""
        q = self.quanta
        q[_A_PLUS_L1 + phase] = active if active > 0 else 0
        q[_A_PLUS_L1 + 3 + phase] = -active if active < 0 else 0
