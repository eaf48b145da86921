# SPDX-License-Identifier: MIT
"""Amounts of money and their like: the four octets of a double-long, where they lie.

A request may change amounts, and boards of 32 bits allocate ints of 30 bits and more: so add()
goes by halves, and is_less() by octets. get() and put() make ints, and are for ticks.
"""

from dlms.prim import compare


def add(a, apos, b, bpos, least=-0x8000):
    """a[apos:] += b[bpos:]; False, and nothing is changed, if the sum is no double-long; or, with
    least = 0, if it is negative."""
    low = (a[apos + 2] << 8 | a[apos + 3]) + (b[bpos + 2] << 8 | b[bpos + 3])
    high = _high(a, apos) + _high(b, bpos) + (low >> 16)
    if high < least or high > 0x7FFF:
        return False
    a[apos] = high >> 8 & 0xFF
    a[apos + 1] = high & 0xFF
    a[apos + 2] = low >> 8 & 0xFF
    a[apos + 3] = low & 0xFF
    return True


def _high(buf, pos):
    n = buf[pos] << 8 | buf[pos + 1]
    return n - 0x10000 if n & 0x8000 else n


def is_less(a, apos, b, bpos):
    """Is the double-long at a[apos:] less than the one at b[bpos:]?"""
    if (a[apos] ^ b[bpos]) & 0x80:
        return a[apos] & 0x80 != 0
    return compare(a, apos, b, bpos, 4) < 0


def get(buf, pos, n):
    """A signed number of n octets."""
    value = int.from_bytes(buf[pos : pos + n], "big")
    return value - (1 << 8 * n) if buf[pos] & 0x80 else value


def put(buf, pos, n, value):
    """What does not fit stays at the limits."""
    top = 1 << 8 * n - 1
    value = max(-top, min(top - 1, value))
    buf[pos : pos + n] = (value & (1 << 8 * n) - 1).to_bytes(n, "big")
