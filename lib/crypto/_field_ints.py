# SPDX-License-Identifier: MIT
"""Arithmetic modulo a prime in Python's integers, which allocate on boards. See field.py.

How long an operation takes depends on the numbers here: nothing that others can time should be
done with a secret key on a runtime without viper.
"""

from micropython import const

_MUL = const(0)
_ADD = const(1)


def modulus(octets, kind):
    return int.from_bytes(octets, "big"), len(octets)


def numbers(n, m):
    return [0] * n


def constants(w, at, m):
    # Nothing is scaled here.
    w[at] = 1
    w[at + 1] = 0
    w[at + 2] = 1
    w[at + 3] = 1


def run(program, pos, end, w, m):
    n = m[0]
    while pos < end:
        op = program[pos]
        a = w[program[pos + 2]]
        b = w[program[pos + 3]]
        if op == _MUL:
            a = a * b % n
        elif op == _ADD:
            a = (a + b) % n
        else:
            a = (a - b) % n
        w[program[pos + 1]] = a
        pos += 4


def load(w, at, m, buf, pos):
    w[at] = int.from_bytes(buf[pos : pos + m[1]], "big")


def store(w, at, m, buf, pos):
    buf[pos : pos + m[1]] = w[at].to_bytes(m[1], "big")


def pick(w, at, m, table, first, n, count, index):
    first += index * count
    for i in range(first, first + count):
        if table:
            w[at] = int.from_bytes(table[i * m[1] : i * m[1] + m[1]], "little")
        else:
            w[at] = w[i]
        at += 1


def is_zero(w, at, m):
    return not w[at]


def clear(w):
    for i in range(len(w)):
        w[i] = 0
