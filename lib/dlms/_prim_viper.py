# SPDX-License-Identifier: MIT
"""The primitives as MicroPython viper code. See prim.py."""

import micropython


@micropython.viper
def copy(dst: ptr8, dpos: int, src: ptr8, spos: int, n: int):  # noqa: F821
    i = 0
    while i < n:
        dst[dpos + i] = src[spos + i]
        i += 1


@micropython.viper
def fill(dst: ptr8, dpos: int, n: int, value: int):  # noqa: F821
    i = 0
    while i < n:
        dst[dpos + i] = value
        i += 1


@micropython.viper
def find(table: ptr8, first: int, n: int, key: ptr8, kpos: int) -> int:  # noqa: F821
    lo = first
    hi = first + n
    while lo < hi:
        mid = (lo + hi) >> 1
        at = mid << 4
        i = 0
        d = 0
        while i < 8:
            d = int(key[kpos + i]) - int(table[at + i])
            if d != 0:
                break
            i += 1
        if d == 0:
            return mid
        if d < 0:
            hi = mid
        else:
            lo = mid + 1
    return -1


@micropython.viper
def compare(a: ptr8, apos: int, b: ptr8, bpos: int, n: int) -> int:  # noqa: F821
    i = 0
    while i < n:
        d = int(a[apos + i]) - int(b[bpos + i])
        if d < 0:
            return -1
        if d > 0:
            return 1
        i += 1
    return 0


@micropython.viper
def same(a: ptr8, apos: int, b: ptr8, bpos: int, n: int) -> int:  # noqa: F821
    d = 0
    i = 0
    while i < n:
        d |= int(a[apos + i]) ^ int(b[bpos + i])
        i += 1
    return 1 if d == 0 else 0


@micropython.viper
def xor(dst: ptr8, dpos: int, src: ptr8, spos: int, n: int):  # noqa: F821
    i = 0
    while i < n:
        dst[dpos + i] = int(dst[dpos + i]) ^ int(src[spos + i])
        i += 1


@micropython.viper
def crc16(buf: ptr8, pos: int, end: int, crc: int) -> int:  # noqa: F821
    while pos < end:
        x = (crc ^ int(buf[pos])) & 0xFF
        x = (x ^ (x << 4)) & 0xFF
        crc = (crc >> 8) ^ (x << 8) ^ (x << 3) ^ (x >> 4)
        pos += 1
    return crc
