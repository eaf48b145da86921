# SPDX-License-Identifier: MIT
# ruff: noqa: F821, E741
"""SHA-384's compression as MicroPython viper code; it allocates nothing. See sha2.py.

A 64-bit word is two of 32 bits, the upper one first. Sums are made of 16-bit pieces, and only
what is stored is cut to 32 bits, so that the same code is right where integers have 64. No
function is larger than the jumps of a Cortex-M0, 2 KiB.
"""

import micropython

from crypto._sha2_k import K

# Words: 16 of the message, then the eight variables, a at (8 - round) & 7.
_work = bytearray(192)


@micropython.viper
def _begin(state: ptr32, w: ptr32, block: ptr8, pos: int):
    """The state, and 16 words of the message."""
    i = 0
    while i < 16:
        w[32 + i] = state[i]
        i += 1
    i = 0
    while i < 32:
        w[i] = (
            (uint(block[pos]) << 24)
            | (uint(block[pos + 1]) << 16)
            | (uint(block[pos + 2]) << 8)
            | uint(block[pos + 3])
        )
        pos += 4
        i += 1


@micropython.viper
def _next_words(w: ptr32):
    """The next 16 words: t0 and t1 gather the lower half, hi the upper one."""
    t = 0
    while t < 16:
        at = t << 1
        i = ((t + 1) & 15) << 1
        h = uint(w[i])
        l = uint(w[i + 1])
        x = ((l >> 1) | (h << 31)) ^ ((l >> 8) | (h << 24)) ^ ((l >> 7) | (h << 25))
        hi = ((h >> 1) | (l << 31)) ^ ((h >> 8) | (l << 24)) ^ (h >> 7)
        t0 = x & 0xFFFF
        t1 = (x >> 16) & 0xFFFF
        i = ((t + 14) & 15) << 1
        h = uint(w[i])
        l = uint(w[i + 1])
        x = ((l >> 19) | (h << 13)) ^ ((h >> 29) | (l << 3)) ^ ((l >> 6) | (h << 26))
        hi += ((h >> 19) | (l << 13)) ^ ((l >> 29) | (h << 3)) ^ (h >> 6)
        t0 += x & 0xFFFF
        t1 += (x >> 16) & 0xFFFF
        i = ((t + 9) & 15) << 1
        hi += uint(w[i])
        x = uint(w[i + 1])
        t0 += x & 0xFFFF
        t1 += x >> 16
        hi += uint(w[at])
        x = uint(w[at + 1])
        t0 += x & 0xFFFF
        t1 += x >> 16
        t1 += t0 >> 16
        w[at] = hi + (t1 >> 16)
        w[at + 1] = (t1 << 16) | (t0 & 0xFFFF)
        t += 1


@micropython.viper
def _rounds(w: ptr32, k: ptr8, t: int):
    """Sixteen rounds from t on."""
    end = t + 16
    # This way round, since conditional jumps of Xtensa do not reach over all of it.
    while True:
        if t == end:
            return
        at = (t & 15) << 1
        # T1 = h + S1(e) + ch(e, f, g) + K + W
        hi = uint(w[at])
        x = uint(w[at + 1])
        t0 = x & 0xFFFF
        t1 = x >> 16
        i = t << 3
        hi += (uint(k[i]) << 24) | (uint(k[i + 1]) << 16) | (uint(k[i + 2]) << 8) | uint(k[i + 3])
        t1 += (uint(k[i + 4]) << 8) | uint(k[i + 5])
        t0 += (uint(k[i + 6]) << 8) | uint(k[i + 7])
        e = 32 + (((12 - t) & 7) << 1)
        f = 32 + (((13 - t) & 7) << 1)
        g = 32 + (((14 - t) & 7) << 1)
        last = 32 + (((15 - t) & 7) << 1)
        h = uint(w[e])
        l = uint(w[e + 1])
        x = ((l >> 14) | (h << 18)) ^ ((l >> 18) | (h << 14)) ^ ((h >> 9) | (l << 23))
        hi += ((h >> 14) | (l << 18)) ^ ((h >> 18) | (l << 14)) ^ ((l >> 9) | (h << 23))
        t0 += x & 0xFFFF
        t1 += (x >> 16) & 0xFFFF
        x = uint(w[g])
        hi += x ^ (h & (uint(w[f]) ^ x))
        x = uint(w[g + 1])
        x = x ^ (l & (uint(w[f + 1]) ^ x))
        t0 += x & 0xFFFF
        t1 += x >> 16
        hi += uint(w[last])
        x = uint(w[last + 1])
        t0 += x & 0xFFFF
        t1 += x >> 16
        # d += T1: it is the next e
        i = 32 + (((11 - t) & 7) << 1)
        x = uint(w[i + 1])
        l = t0 + (x & 0xFFFF)  # noqa: E741
        x = t1 + (x >> 16) + (l >> 16)
        w[i] = uint(w[i]) + hi + (x >> 16)
        w[i + 1] = (x << 16) | (l & 0xFFFF)
        # T1 + S0(a) + maj(a, b, c): the next a
        e = 32 + (((8 - t) & 7) << 1)
        f = 32 + (((9 - t) & 7) << 1)
        g = 32 + (((10 - t) & 7) << 1)
        h = uint(w[e])
        l = uint(w[e + 1])
        x = ((l >> 28) | (h << 4)) ^ ((h >> 2) | (l << 30)) ^ ((h >> 7) | (l << 25))
        hi += ((h >> 28) | (l << 4)) ^ ((l >> 2) | (h << 30)) ^ ((l >> 7) | (h << 25))
        t0 += x & 0xFFFF
        t1 += (x >> 16) & 0xFFFF
        hi += (h & uint(w[f])) ^ (uint(w[g]) & (h ^ uint(w[f])))
        x = (l & uint(w[f + 1])) ^ (uint(w[g + 1]) & (l ^ uint(w[f + 1])))
        t0 += x & 0xFFFF
        t1 += x >> 16
        t1 += t0 >> 16
        w[last] = hi + (t1 >> 16)
        w[last + 1] = (t1 << 16) | (t0 & 0xFFFF)
        t += 1


@micropython.viper
def _finish(state: ptr32, w: ptr32):
    i = 0
    while i < 16:
        l = uint(state[i + 1])
        x = uint(w[33 + i])
        t0 = (l & 0xFFFF) + (x & 0xFFFF)
        t1 = (l >> 16) + (x >> 16) + (t0 >> 16)
        state[i] = uint(state[i]) + uint(w[32 + i]) + (t1 >> 16)
        state[i + 1] = (t1 << 16) | (t0 & 0xFFFF)
        i += 2


@micropython.viper
def _swap(dst: ptr8, src: ptr8, n: int):
    i = 0
    while i < n:
        dst[i] = src[i ^ 3]
        i += 1


def state384(initial):
    """State of eight 64-bit words, from its octets. Words are aligned: it begins on the heap."""
    state = bytearray(64)
    _swap(state, initial, 64)
    return state


def compress512(state, block, pos):
    w = _work
    _begin(state, w, block, pos)
    for t in range(0, 80, 16):
        if t:
            _next_words(w)
        _rounds(w, K, t)
    _finish(state, w)


def octets384(state):
    made = bytearray(64)
    _swap(made, state, 64)
    return made
