# SPDX-License-Identifier: MIT
"""The primitives as MicroPython viper code. See prim.py."""

import micropython


@micropython.viper
def copy(dst: ptr8, dpos: int, src: ptr8, spos: int, n: int):  # noqa: F821
    to = int(dst) + dpos
    at = int(src) + spos
    n += to
    # Four at a time, one after another, takes half as long as with an index.
    end = n - 3
    while to < end:
        p = ptr8(to)  # noqa: F821
        q = ptr8(at)  # noqa: F821
        p[0] = q[0]
        p[1] = q[1]
        p[2] = q[2]
        p[3] = q[3]
        to += 4
        at += 4
    while to < n:
        ptr8(to)[0] = ptr8(at)[0]  # noqa: F821
        to += 1
        at += 1


@micropython.viper
def fill(dst: ptr8, dpos: int, n: int, value: int):  # noqa: F821
    to = int(dst) + dpos
    n += to
    end = n - 3
    while to < end:
        p = ptr8(to)  # noqa: F821
        p[0] = value
        p[1] = value
        p[2] = value
        p[3] = value
        to += 4
    while to < n:
        ptr8(to)[0] = value  # noqa: F821
        to += 1


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
def readable(
    table: ptr8,  # noqa: F821
    row: int,
    first: int,
    attribute: int,
    rights: ptr8,  # noqa: F821
    access: ptr8,  # noqa: F821
    protection: int,
) -> int:
    at = (row - first) << 1
    at = (int(rights[at]) << 8) | int(rights[at + 1])
    row = row << 4
    if at == 0xFFFF or attribute == 0 or attribute > int(table[row + 10]):
        return -1
    mode = int(access[at + attribute - 1])
    if mode & 1 == 0 or mode > 0x1F or (mode >> 2) & ~protection != 0:
        return -1
    return (((int(table[row + 12]) << 8) | int(table[row + 13])) + attribute - 1) << 2


@micropython.viper
def compare(a: ptr8, apos: int, b: ptr8, bpos: int, n: int) -> int:  # noqa: F821
    at = int(a) + apos
    to = int(b) + bpos
    n += at
    end = n - 3
    while at < end:
        p = ptr8(at)  # noqa: F821
        q = ptr8(to)  # noqa: F821
        if (p[0] ^ q[0]) | (p[1] ^ q[1]) | (p[2] ^ q[2]) | (p[3] ^ q[3]):
            break
        at += 4
        to += 4
    while at < n:
        d = int(ptr8(at)[0]) - int(ptr8(to)[0])  # noqa: F821
        if d < 0:
            return -1
        if d > 0:
            return 1
        at += 1
        to += 1
    return 0


@micropython.viper
def gap(a: ptr8, apos: int, b: ptr8, bpos: int) -> int:  # noqa: F821
    # Half by half: 32 bits and a sign are more than an int has on a board.
    high = (int(b[bpos]) << 8 | int(b[bpos + 1])) - (int(a[apos]) << 8 | int(a[apos + 1]))
    low = (int(b[bpos + 2]) << 8 | int(b[bpos + 3])) - (int(a[apos + 2]) << 8 | int(a[apos + 3]))
    if high < 0 or (high == 0 and low < 0):
        return -1
    if high > 1 or high + (low >> 16) > 0:
        return 0xFFFF
    return (high << 16) + low


@micropython.viper
def count(dst: ptr8, dpos: int, src: ptr8, spos: int):  # noqa: F821
    carry = 1
    i = 3
    while i >= 0:
        carry += int(src[spos + i])
        dst[dpos + i] = carry
        carry = carry >> 8
        i -= 1
    if carry != 0:
        while i < 3:
            i += 1
            dst[dpos + i] = 0xFF


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
    to = int(dst) + dpos
    at = int(src) + spos
    n += to
    end = n - 3
    while to < end:
        p = ptr8(to)  # noqa: F821
        q = ptr8(at)  # noqa: F821
        p[0] = p[0] ^ q[0]
        p[1] = p[1] ^ q[1]
        p[2] = p[2] ^ q[2]
        p[3] = p[3] ^ q[3]
        to += 4
        at += 4
    while to < n:
        ptr8(to)[0] = ptr8(to)[0] ^ ptr8(at)[0]  # noqa: F821
        to += 1
        at += 1


@micropython.viper
def crc16(buf: ptr8, pos: int, end: int, crc: int) -> int:  # noqa: F821
    while pos < end:
        x = (crc ^ int(buf[pos])) & 0xFF
        x = (x ^ (x << 4)) & 0xFF
        crc = (crc >> 8) ^ (x << 8) ^ (x << 3) ^ (x >> 4)
        pos += 1
    return crc
