# SPDX-License-Identifier: MIT
"""The primitives over CPython's slices: fast there, strict about positions. See prim.py."""

from binascii import crc_hqx

from dlms._prim_loop import readable, same  # noqa: F401

_MIRROR = bytes(int("{:08b}".format(i)[::-1], 2) for i in range(256))


def copy(dst, dpos, src, spos, n):
    part = src[spos : spos + n]
    if len(part) != n or dpos + n > len(dst) or dpos < 0 or spos < 0:
        raise IndexError("copy outside of a buffer")
    dst[dpos : dpos + n] = part


def fill(dst, dpos, n, value):
    if n < 0 or dpos < 0 or dpos + n > len(dst):
        raise IndexError("fill outside of a buffer")
    dst[dpos : dpos + n] = bytes((value,)) * n


def find(table, first, n, key, kpos):
    lo = first
    hi = first + n
    wanted = bytes(key[kpos : kpos + 8])
    while lo < hi:
        mid = (lo + hi) >> 1
        at = mid << 4
        row = table[at : at + 8]
        if row == wanted:
            return mid
        if wanted < row:
            hi = mid
        else:
            lo = mid + 1
    return -1


def compare(a, apos, b, bpos, n):
    x = bytes(a[apos : apos + n])
    y = bytes(b[bpos : bpos + n])
    return (x > y) - (x < y)


def gap(a, apos, b, bpos):
    n = int.from_bytes(b[bpos : bpos + 4], "big") - int.from_bytes(a[apos : apos + 4], "big")
    return -1 if n < 0 else min(n, 0xFFFF)


def count(dst, dpos, src, spos):
    n = int.from_bytes(src[spos : spos + 4], "big") + 1
    dst[dpos : dpos + 4] = min(n, 0xFFFFFFFF).to_bytes(4, "big")


def xor(dst, dpos, src, spos, n):
    value = int.from_bytes(dst[dpos : dpos + n], "big") ^ int.from_bytes(
        src[spos : spos + n], "big"
    )
    dst[dpos : dpos + n] = value.to_bytes(n, "big")


def _mirror16(crc):
    return _MIRROR[crc & 0xFF] << 8 | _MIRROR[crc >> 8]


def crc16(buf, pos, end, crc):
    # crc_hqx runs the same polynomial with the bits the other way round.
    return _mirror16(crc_hqx(buf[pos:end].translate(_MIRROR), _mirror16(crc)))
