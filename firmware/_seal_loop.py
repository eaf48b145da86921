# SPDX-License-Identifier: MIT
"""The check of records in plain Python, for runtimes without viper. See seal.py."""


def seal(buf, n, write):
    end = n - 4
    a = 0x5A
    b = 0
    p = 0
    while p < end:
        stop = p + 256
        if stop > end:
            stop = end
        while p < stop:
            a += buf[p] | buf[p + 1] << 8
            b += a
            p += 2
        a = (a & 0xFFFF) + (a >> 16)
        b = (b & 0xFFFF) + (b >> 16)
    a = (a & 0xFFFF) + (a >> 16)
    b = (b & 0xFFFF) + (b >> 16)
    if write:
        buf[end] = a & 0xFF
        buf[end + 1] = a >> 8
        buf[end + 2] = b & 0xFF
        buf[end + 3] = b >> 8
        return 1
    if buf[end] | buf[end + 1] << 8 != a or buf[end + 2] | buf[end + 3] << 8 != b:
        return 0
    return 1
