# SPDX-License-Identifier: MIT
"""The primitives as plain loops that allocate nothing (CircuitPython). See prim.py."""


def copy(dst, dpos, src, spos, n):
    for i in range(n):
        dst[dpos + i] = src[spos + i]


def fill(dst, dpos, n, value):
    for i in range(dpos, dpos + n):
        dst[i] = value


def find(table, first, n, key, kpos):
    lo = first
    hi = first + n
    while lo < hi:
        mid = (lo + hi) >> 1
        at = mid << 4
        d = 0
        for i in range(8):
            d = key[kpos + i] - table[at + i]
            if d:
                break
        if not d:
            return mid
        if d < 0:
            hi = mid
        else:
            lo = mid + 1
    return -1


def readable(table, row, first, attribute, rights, access, protection):
    at = row - first << 1
    at = rights[at] << 8 | rights[at + 1]
    row <<= 4
    if at == 0xFFFF or attribute == 0 or attribute > table[row + 10]:
        return -1
    mode = access[at + attribute - 1]
    if not mode & 1 or mode > 0x1F or mode >> 2 & ~protection:
        return -1
    return (table[row + 12] << 8 | table[row + 13]) + attribute - 1 << 2


def compare(a, apos, b, bpos, n):
    for i in range(n):
        d = a[apos + i] - b[bpos + i]
        if d:
            return -1 if d < 0 else 1
    return 0


def gap(a, apos, b, bpos):
    high = (b[bpos] << 8 | b[bpos + 1]) - (a[apos] << 8 | a[apos + 1])
    low = (b[bpos + 2] << 8 | b[bpos + 3]) - (a[apos + 2] << 8 | a[apos + 3])
    if high < 0 or (high == 0 and low < 0):
        return -1
    if high > 1 or high + (low >> 16) > 0:
        return 0xFFFF
    return (high << 16) + low


def count(dst, dpos, src, spos):
    carry = 1
    for i in range(3, -1, -1):
        carry += src[spos + i]
        dst[dpos + i] = carry & 0xFF
        carry >>= 8
    if carry:
        for i in range(4):
            dst[dpos + i] = 0xFF


def same(a, apos, b, bpos, n):
    d = 0
    for i in range(n):
        d |= a[apos + i] ^ b[bpos + i]
    return 0 if d else 1


def xor(dst, dpos, src, spos, n):
    for i in range(n):
        dst[dpos + i] ^= src[spos + i]


def crc16(buf, pos, end, crc):
    for i in range(pos, end):
        x = (crc ^ buf[i]) & 0xFF
        x = (x ^ (x << 4)) & 0xFF
        crc = (crc >> 8) ^ (x << 8) ^ (x << 3) ^ (x >> 4)
    return crc
