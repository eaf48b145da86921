# SPDX-License-Identifier: MIT
"""Short names as MicroPython viper code. See names.py."""

import micropython


@micropython.viper
def resolve(
    names: ptr8,  # noqa: F821
    first: int,
    n: int,
    members: ptr8,  # noqa: F821
    buf: ptr8,  # noqa: F821
    pos: int,
    own: int,
) -> int:
    current = int(buf[pos])
    name = (current << 8) | int(buf[pos + 1])
    if current == 0xFA:
        name += own - 0xFA00
    lo = first
    hi = first + n
    while lo < hi:
        mid = (lo + hi) >> 1
        at = 6 * mid
        if ((int(names[at]) << 8) | int(names[at + 1])) <= name:
            lo = mid + 1
        else:
            hi = mid
    if lo == first:
        return -1
    at = 6 * lo - 6
    base = (int(names[at]) << 8) | int(names[at + 1])
    if current == 0xFA and base != own:
        return -1
    name -= base
    place = (int(names[at + 4]) << 8) | int(names[at + 5])
    if name & 7 != 0 or (name >> 3) >= int(members[place]):
        return -1
    member = int(members[place + 1 + (name >> 3)])
    if member == 0:
        return -1
    return (((int(names[at + 2]) << 8) | int(names[at + 3])) << 8) | member
