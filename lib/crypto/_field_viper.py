# SPDX-License-Identifier: MIT
# ruff: noqa: F821
"""Arithmetic modulo a prime as MicroPython viper code; nothing is allocated. See field.py.

Numbers are limbs of 16 bits, the lowest first: a product of two, and two more limbs, fit 32 bits.
Multiplication is Montgomery's. Modulo the primes of the curves, which end in 16 ones, the factor
of each step of the reduction is the lowest limb itself, and multiplying by the prime is a handful
of additions. No branch and no address depends on a number's value.

Loops are unrolled, and the first two arguments are not arguments: viper keeps its first two
variables in registers. Where something is subtracted, the carry is kept above zero. A function is
not larger than the jumps of a Cortex-M0, 2 KiB.
"""

import micropython
from micropython import const

_MUL = const(0)
_ADD = const(1)

# A modulus: how many limbs, minus its inverse modulo 2**16, its kind, 0, its limbs.
_REDUCTION = const(2)
_P256 = const(1)
_LIMBS = const(8)  # octets before the limbs

# The scratch: a product, and one limb; 24 zeros, the factors of a reduction, 24 zeros.
_FACTORS = const(98)
_SCRATCH_LEN = const(242)

_scratch = bytearray(_SCRATCH_LEN)


@micropython.viper
def _multiply(x: uint, carry: uint, w: ptr16, a: int, b: int, scratch: ptr16, size: int):
    """The product of the numbers at octets a and b of w."""
    pb = int(w) + b
    row = int(scratch)
    upper = row + size
    pt = row
    while pt < upper:
        ptr16(pt)[0] = 0
        ptr16(pt)[1] = 0
        ptr16(pt)[2] = 0
        ptr16(pt)[3] = 0
        pt += 8
    while row < upper:
        y = uint(ptr16(pb)[0])
        carry = uint(0)
        px = int(w) + a
        pt = row
        end_row = row + size
        while pt < end_row:
            x = uint(ptr16(px)[0]) * y + uint(ptr16(pt)[0]) + carry
            ptr16(pt)[0] = x
            carry = x >> 16
            x = uint(ptr16(px)[1]) * y + uint(ptr16(pt)[1]) + carry
            ptr16(pt)[1] = x
            carry = x >> 16
            x = uint(ptr16(px)[2]) * y + uint(ptr16(pt)[2]) + carry
            ptr16(pt)[2] = x
            carry = x >> 16
            x = uint(ptr16(px)[3]) * y + uint(ptr16(pt)[3]) + carry
            ptr16(pt)[3] = x
            carry = x >> 16
            px += 8
            pt += 8
        ptr16(pt)[0] = carry
        pb += 2
        row += 2


@micropython.viper
def _reduce(x: uint, carry: uint, modulus: ptr16, scratch: ptr16) -> int:
    """The product becomes its upper half, not reduced by the last modulus; what is above it."""
    size = int(modulus[0]) << 1
    row = int(scratch)
    upper = row + size
    kind = int(modulus[_REDUCTION])
    if kind == 0:
        extra = uint(0)
        while row < upper:
            y = (uint(ptr16(row)[0]) * uint(modulus[1])) & 0xFFFF
            carry = uint(0)
            px = int(modulus) + _LIMBS
            pt = row
            end_row = row + size
            while pt < end_row:
                x = uint(ptr16(px)[0]) * y + uint(ptr16(pt)[0]) + carry
                ptr16(pt)[0] = x
                carry = x >> 16
                x = uint(ptr16(px)[1]) * y + uint(ptr16(pt)[1]) + carry
                ptr16(pt)[1] = x
                carry = x >> 16
                x = uint(ptr16(px)[2]) * y + uint(ptr16(pt)[2]) + carry
                ptr16(pt)[2] = x
                carry = x >> 16
                x = uint(ptr16(px)[3]) * y + uint(ptr16(pt)[3]) + carry
                ptr16(pt)[3] = x
                carry = x >> 16
                px += 8
                pt += 8
            x = uint(ptr16(pt)[0]) + carry + extra
            ptr16(pt)[0] = x
            extra = x >> 16
            row += 2
        return int(extra)
    # Each factor is at px + 48; what comes of the lower half are factors.
    px = row + _FACTORS
    pt = row
    end_row = upper
    out = px + 48
    carry = uint(4)
    # 0x3FFFC; a constant of more than 16 bits is read from between the instructions by a
    # Cortex-M0, where frozen code may not be aligned for that.
    bias = uint(0xFFFF)
    bias = bias << 2
    while pt < upper + size:
        if kind == _P256:
            # p = 2**256 - 2**224 + 2**192 + 2**96 - 1
            while pt < end_row:
                x = uint(ptr16(pt)[0]) + carry + bias + uint(ptr16(px)[18]) + uint(ptr16(px)[12])
                x += uint(ptr16(px)[8]) - uint(ptr16(px)[10])
                ptr16(out)[0] = x
                carry = x >> 16
                x = uint(ptr16(pt)[1]) + carry + bias + uint(ptr16(px)[19]) + uint(ptr16(px)[13])
                x += uint(ptr16(px)[9]) - uint(ptr16(px)[11])
                ptr16(out)[1] = x
                carry = x >> 16
                x = uint(ptr16(pt)[2]) + carry + bias + uint(ptr16(px)[20]) + uint(ptr16(px)[14])
                x += uint(ptr16(px)[10]) - uint(ptr16(px)[12])
                ptr16(out)[2] = x
                carry = x >> 16
                x = uint(ptr16(pt)[3]) + carry + bias + uint(ptr16(px)[21]) + uint(ptr16(px)[15])
                x += uint(ptr16(px)[11]) - uint(ptr16(px)[13])
                ptr16(out)[3] = x
                carry = x >> 16
                px += 8
                pt += 8
                out += 8
        else:
            # p = 2**384 - 2**128 - 2**96 + 2**32 - 1
            while pt < end_row:
                x = uint(ptr16(pt)[0]) + carry + bias + uint(ptr16(px)[22]) - uint(ptr16(px)[18])
                x += uint(ptr16(px)[0]) - uint(ptr16(px)[16])
                ptr16(out)[0] = x
                carry = x >> 16
                x = uint(ptr16(pt)[1]) + carry + bias + uint(ptr16(px)[23]) - uint(ptr16(px)[19])
                x += uint(ptr16(px)[1]) - uint(ptr16(px)[17])
                ptr16(out)[1] = x
                carry = x >> 16
                x = uint(ptr16(pt)[2]) + carry + bias + uint(ptr16(px)[24]) - uint(ptr16(px)[20])
                x += uint(ptr16(px)[2]) - uint(ptr16(px)[18])
                ptr16(out)[2] = x
                carry = x >> 16
                x = uint(ptr16(pt)[3]) + carry + bias + uint(ptr16(px)[25]) - uint(ptr16(px)[21])
                x += uint(ptr16(px)[3]) - uint(ptr16(px)[19])
                ptr16(out)[3] = x
                carry = x >> 16
                px += 8
                pt += 8
                out += 8
        out = upper
        end_row = upper + size
    return int(carry) - 4


@micropython.viper
def _run(x: uint, carry: uint, program: ptr8, pos: int, end: int, w, modulus, scratch):
    limbs = int(ptr16(modulus))
    size = int(ptr16(limbs)[0]) << 1
    limbs += _LIMBS
    upper = int(ptr16(scratch)) + size
    top = upper + size
    base = int(ptr16(w))
    while pos < end:
        op = int(program[pos])
        a = int(program[pos + 2]) * size
        b = int(program[pos + 3]) * size
        pd = base + int(program[pos + 1]) * size
        pa = base + a
        pb = base + b
        pos += 4
        carry = uint(0)
        pt = upper
        if op == _MUL:
            _multiply(0, 0, w, a, b, scratch, size)
            carry = uint(_reduce(0, 0, modulus, scratch))
        elif op == _ADD:
            while pt < top:
                x = uint(ptr16(pa)[0]) + uint(ptr16(pb)[0]) + carry
                ptr16(pt)[0] = x
                carry = x >> 16
                x = uint(ptr16(pa)[1]) + uint(ptr16(pb)[1]) + carry
                ptr16(pt)[1] = x
                carry = x >> 16
                x = uint(ptr16(pa)[2]) + uint(ptr16(pb)[2]) + carry
                ptr16(pt)[2] = x
                carry = x >> 16
                x = uint(ptr16(pa)[3]) + uint(ptr16(pb)[3]) + carry
                ptr16(pt)[3] = x
                carry = x >> 16
                pa += 8
                pb += 8
                pt += 8
        else:
            # The difference, and if it is below zero, the modulus once more.
            carry = uint(1)
            while pt < top:
                x = uint(ptr16(pa)[0]) + 0xFFFF - uint(ptr16(pb)[0]) + carry
                ptr16(pt)[0] = x
                carry = x >> 16
                x = uint(ptr16(pa)[1]) + 0xFFFF - uint(ptr16(pb)[1]) + carry
                ptr16(pt)[1] = x
                carry = x >> 16
                x = uint(ptr16(pa)[2]) + 0xFFFF - uint(ptr16(pb)[2]) + carry
                ptr16(pt)[2] = x
                carry = x >> 16
                x = uint(ptr16(pa)[3]) + 0xFFFF - uint(ptr16(pb)[3]) + carry
                ptr16(pt)[3] = x
                carry = x >> 16
                pa += 8
                pb += 8
                pt += 8
            y = carry - 1
            carry = uint(0)
            px = limbs
            pt = upper
            while pt < top:
                x = uint(ptr16(pt)[0]) + (uint(ptr16(px)[0]) & y) + carry
                ptr16(pd)[0] = x
                carry = x >> 16
                x = uint(ptr16(pt)[1]) + (uint(ptr16(px)[1]) & y) + carry
                ptr16(pd)[1] = x
                carry = x >> 16
                x = uint(ptr16(pt)[2]) + (uint(ptr16(px)[2]) & y) + carry
                ptr16(pd)[2] = x
                carry = x >> 16
                x = uint(ptr16(pt)[3]) + (uint(ptr16(px)[3]) & y) + carry
                ptr16(pd)[3] = x
                carry = x >> 16
                pd += 8
                px += 8
                pt += 8
            continue
        # The modulus less, unless that is below zero.
        y = carry
        carry = uint(1)
        px = limbs
        pt = upper
        while pt < top:
            x = uint(ptr16(pt)[0]) + 0xFFFF - uint(ptr16(px)[0]) + carry
            ptr16(pd)[0] = x
            carry = x >> 16
            x = uint(ptr16(pt)[1]) + 0xFFFF - uint(ptr16(px)[1]) + carry
            ptr16(pd)[1] = x
            carry = x >> 16
            x = uint(ptr16(pt)[2]) + 0xFFFF - uint(ptr16(px)[2]) + carry
            ptr16(pd)[2] = x
            carry = x >> 16
            x = uint(ptr16(pt)[3]) + 0xFFFF - uint(ptr16(px)[3]) + carry
            ptr16(pd)[3] = x
            carry = x >> 16
            pd += 8
            px += 8
            pt += 8
        y = y + carry - 1
        pd -= size
        pt = upper
        while pt < top:
            x = uint(ptr16(pd)[0])
            ptr16(pd)[0] = x ^ ((x ^ uint(ptr16(pt)[0])) & y)
            x = uint(ptr16(pd)[1])
            ptr16(pd)[1] = x ^ ((x ^ uint(ptr16(pt)[1])) & y)
            x = uint(ptr16(pd)[2])
            ptr16(pd)[2] = x ^ ((x ^ uint(ptr16(pt)[2])) & y)
            x = uint(ptr16(pd)[3])
            ptr16(pd)[3] = x ^ ((x ^ uint(ptr16(pt)[3])) & y)
            pd += 8
            pt += 8


@micropython.viper
def _pick(w: ptr8, at: int, table: ptr8, first: int, n: int, size: int, index: int):
    i = 0
    while i < size:
        w[at + i] = 0
        i += 1
    k = 0
    while k < n:
        mask = ((k ^ index) - 1) >> 31
        i = 0
        while i < size:
            w[at + i] = int(w[at + i]) | (int(table[first]) & mask)
            first += 1
            i += 1
        k += 1


@micropython.viper
def _reverse(dst: ptr8, dpos: int, src: ptr8, spos: int, n: int):
    i = 0
    while i < n:
        dst[dpos + i] = src[spos + n - 1 - i]
        i += 1


def modulus(octets, kind):
    """What the functions below want to know of a modulus; octets with the highest first."""
    size = len(octets)
    low = octets[-2] << 8 | octets[-1]
    inverse = 1
    for _ in range(4):
        inverse = inverse * (2 - low * inverse) & 0xFFFF
    inverse = -inverse & 0xFFFF
    made = bytearray(_LIMBS + size)
    made[0] = size >> 1
    made[2] = inverse & 0xFF
    made[3] = inverse >> 8
    made[4] = kind
    _reverse(made, _LIMBS, octets, 0, size)
    return made


def numbers(n, m):
    return bytearray(n * (len(m) - _LIMBS))


def constants(w, at, m):
    size = len(m) - _LIMBS
    value = int.from_bytes(memoryview(m)[_LIMBS:], "little")
    r = (1 << size * 8) % value
    for number in (r * r % value, 0, r, 1):
        w[at * size : at * size + size] = number.to_bytes(size, "little")
        at += 1


def run(program, pos, end, w, m):
    _run(0, 0, program, pos, end, w, m, _scratch)


def load(w, at, m, buf, pos):
    size = len(m) - _LIMBS
    _reverse(w, at * size, buf, pos, size)


def store(w, at, m, buf, pos):
    size = len(m) - _LIMBS
    _reverse(buf, pos, w, at * size, size)


def pick(w, at, m, table, first, n, count, index):
    size = len(m) - _LIMBS
    _pick(w, at * size, table or w, first * size, n, count * size, index)


def is_zero(w, at, m):
    size = len(m) - _LIMBS
    return not any(memoryview(w)[at * size : at * size + size])


def clear(w):
    for secret in (w, _scratch):
        for i in range(len(secret)):
            secret[i] = 0
