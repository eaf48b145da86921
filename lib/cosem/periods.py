# SPDX-License-Identifier: MIT
"""Periods of local time: which one runs now. Used by profiles and demand registers; no allocation
for periods that divide a day, on any board."""


def period_number(clock, period):
    """Number of the period of this many seconds that runs now; a boundary is where it grows.

    Boundaries lie in local normal time if the period divides an hour: daylight saving does not
    matter there, and the hour that comes twice has its own. They lie in local time if it divides
    a day, else they are counted from 2000 in whole minutes.
    """
    deviation = clock.deviation if 3600 % period else clock.time_zone
    minute = clock.minute - deviation
    if 86400 % period == 0:
        # By day: 32-bit boards allocate ints of 30 bits, and seconds since 2000 will be.
        number = (minute % 1440 * 60 + clock.second) // period
        return minute // 1440 * (86400 // period) + number
    return (minute * 60 + clock.second) // period
