# SPDX-License-Identifier: MIT
"""SHA-2's compressions in plain integers, which allocate on boards. See sha2.py."""

from micropython import const

from crypto._sha2_k import K

_MASK32 = 0xFFFFFFFF
_MASK64 = 0xFFFFFFFFFFFFFFFF
_ROUNDS_512 = const(80)
_ROUNDS_256 = const(64)


def _words(octets, pos, n, size):
    return [
        int.from_bytes(octets[pos + i * size : pos + i * size + size], "big") for i in range(n)
    ]


def state384(initial):
    return _words(initial, 0, 8, 8)


def state256(initial):
    return _words(initial, 0, 8, 4)


def octets384(state):
    return b"".join([word.to_bytes(8, "big") for word in state])


def octets256(state):
    return b"".join([word.to_bytes(4, "big") for word in state])


def _add(state, a, b, c, d, e, f, g, h, mask):
    i = 0
    for word in (a, b, c, d, e, f, g, h):
        state[i] = (state[i] + word) & mask
        i += 1


def compress512(state, block, pos):
    mask = _MASK64
    w = _words(block, pos, 16, 8)
    a, b, c, d, e, f, g, h = state
    for t in range(_ROUNDS_512):
        at = t & 15
        if t > 15:
            x = w[(t + 1) & 15]
            x |= x << 64
            y = w[(t + 14) & 15]
            y |= y << 64
            w[at] += (x >> 1 ^ x >> 8 ^ (x & mask) >> 7) & mask
            w[at] += (y >> 19 ^ y >> 61 ^ (y & mask) >> 6) & mask
            w[at] = (w[at] + w[(t + 9) & 15]) & mask
        x = e | e << 64
        h += ((x >> 14 ^ x >> 18 ^ x >> 41) & mask) + (g ^ e & (f ^ g)) + w[at]
        h += int.from_bytes(K[t * 8 : t * 8 + 8], "big")
        d = (d + h) & mask
        x = a | a << 64
        h += ((x >> 28 ^ x >> 34 ^ x >> 39) & mask) + (a & b ^ c & (a ^ b))
        a, b, c, d, e, f, g, h = h & mask, a, b, c, d, e, f, g
    _add(state, a, b, c, d, e, f, g, h, mask)


def compress256(state, block, pos):
    mask = _MASK32
    w = _words(block, pos, 16, 4)
    a, b, c, d, e, f, g, h = state
    for t in range(_ROUNDS_256):
        at = t & 15
        if t > 15:
            x = w[(t + 1) & 15]
            x |= x << 32
            y = w[(t + 14) & 15]
            y |= y << 32
            w[at] += (x >> 7 ^ x >> 18 ^ (x & mask) >> 3) & mask
            w[at] += (y >> 17 ^ y >> 19 ^ (y & mask) >> 10) & mask
            w[at] = (w[at] + w[(t + 9) & 15]) & mask
        x = e | e << 32
        h += ((x >> 6 ^ x >> 11 ^ x >> 25) & mask) + (g ^ e & (f ^ g)) + w[at]
        h += int.from_bytes(K[t * 8 : t * 8 + 4], "big")
        d = (d + h) & mask
        x = a | a << 32
        h += ((x >> 2 ^ x >> 13 ^ x >> 22) & mask) + (a & b ^ c & (a ^ b))
        a, b, c, d, e, f, g, h = h & mask, a, b, c, d, e, f, g
    _add(state, a, b, c, d, e, f, g, h, mask)
