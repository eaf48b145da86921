# SPDX-License-Identifier: MIT
"""Arithmetic of metrology: random-looking numbers, sines, roots and angles of integers.

The same on every runtime; nothing reaches 2**30 while the arguments keep to their ranges.
"""

from array import array

# 10000 * sin, every 3 degrees.
_SINE = array(
    "H",
    [
        0, 523, 1045, 1564, 2079, 2588, 3090, 3584, 4067, 4540, 5000, 5446, 5878, 6293, 6691, 7071,
        7431, 7771, 8090, 8387, 8660, 8910, 9135, 9336, 9511, 9659, 9781, 9877, 9945, 9986, 10000,
    ],
)  # fmt: skip


def mix(a, b, c):
    """30 bits that look random and depend on all of a, b and c (each below 2**30)."""
    x = a ^ 0x2545F491
    for _ in range(2):
        x = (x & 0x7FFF) * 0x6255 + (x >> 15) & 0x3FFFFFFF
        x ^= b
        x ^= (x & 0x1FFFF) << 13
        x ^= x >> 17
        x ^= (x & 0x1FFFFFF) << 5
        x = (x & 0x7FFF) * 0x5D45 + (x >> 15) & 0x3FFFFFFF
        x ^= c
        x ^= (x & 0x1FFFF) << 13
        x ^= x >> 17
        x ^= (x & 0x1FFFFFF) << 5
    return x


def sine(angle):
    """10000 * sin of an angle in 0.1 degree."""
    angle %= 3600
    sign = 1
    if angle >= 1800:
        angle -= 1800
        sign = -1
    if angle > 900:
        angle = 1800 - angle
    k = angle // 30
    value = _SINE[k]
    if angle % 30:
        value += (_SINE[k + 1] - value) * (angle % 30) // 30
    return sign * value


def _arcsine(value):
    """0.1 degree of 10000 * sin for 0..7072."""
    k = value * 16 // 7072
    while k and _SINE[k] > value:
        k -= 1
    while _SINE[k + 1] <= value:
        k += 1
    return 30 * k + 30 * (value - _SINE[k]) // (_SINE[k + 1] - _SINE[k])


def root(n):
    """Integer square root."""
    if n < 2:
        return n
    x = 1
    m = n
    while m > 3:
        m >>= 2
        x <<= 1
    # At most a factor of two too small; Newton's steps come down on the root from above.
    x = x + n // x >> 1
    while True:
        y = x + n // x >> 1
        if y >= x:
            return x
        x = y


def phase_angle(p, q, s):
    """phi of P and Q in 0.1 degree, -1799..1800; s is their root of squares."""
    if s == 0:
        return 0
    a = -p if p < 0 else p
    b = -q if q < 0 else q
    if b <= a:
        phi = _arcsine(b * 10000 // s) if b * 10000 // s < 7072 else 450
    else:
        phi = 900 - (_arcsine(a * 10000 // s) if a * 10000 // s < 7072 else 450)
    if p < 0:
        phi = 1800 - phi
    return -phi if q < 0 and phi < 1800 else phi


def power_factor(p, s):
    """P / S in 0.001, 1 without a load."""
    if not s:
        return 1000
    return p * 1000 // s if p >= 0 else -(-p * 1000 // s)
