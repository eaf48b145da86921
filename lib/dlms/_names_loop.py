# SPDX-License-Identifier: MIT
"""Short names as a plain loop. See names.py."""


def resolve(names, first, n, members, buf, pos, own):
    name = buf[pos] << 8 | buf[pos + 1]
    current = buf[pos] == 0xFA
    if current:
        name += own - 0xFA00
    lo = first
    hi = first + n
    while lo < hi:
        mid = (lo + hi) >> 1
        at = 6 * mid
        if names[at] << 8 | names[at + 1] <= name:
            lo = mid + 1
        else:
            hi = mid
    if lo == first:
        return -1
    at = 6 * lo - 6
    base = names[at] << 8 | names[at + 1]
    if current and base != own:
        return -1
    name -= base
    place = names[at + 4] << 8 | names[at + 5]
    if name & 7 or name >> 3 >= members[place]:
        return -1
    member = members[place + 1 + (name >> 3)]
    if member == 0:
        return -1
    return (names[at + 2] << 8 | names[at + 3]) << 8 | member
