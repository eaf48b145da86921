# SPDX-License-Identifier: MIT
"""The check of records as MicroPython viper code. See seal.py."""

import micropython


@micropython.viper
def seal(buf: ptr8, n: int, write: int) -> int:  # noqa: F821
    p = int(buf)
    end = p + n - 4
    a = 0x5A
    b = 0
    while p < end:
        stop = p + 256
        if stop > end:
            stop = end
        # Four at a time, one after another, takes half as long.
        while p + 6 < stop:
            q = ptr16(p)  # noqa: F821
            a += q[0]
            b += a
            a += q[1]
            b += a
            a += q[2]
            b += a
            a += q[3]
            b += a
            p += 8
        while p < stop:
            a += ptr16(p)[0]  # noqa: F821
            b += a
            p += 2
        a = (a & 0xFFFF) + (a >> 16)
        b = (b & 0xFFFF) + (b >> 16)
    a = (a & 0xFFFF) + (a >> 16)
    b = (b & 0xFFFF) + (b >> 16)
    check = ptr16(end)  # noqa: F821
    if write:
        check[0] = a
        check[1] = b
    return 1 if int(check[0]) == a and int(check[1]) == b else 0
