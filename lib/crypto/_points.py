# SPDX-License-Identifier: MIT
"""Formulas of points and numbers, as programs of field.py: operation, result, operand, operand.

Points are projective, (X : Y : Z), infinity being (0 : 1 : 0). The formulas of Renes, Costello and
Batina (2016, algorithms 4 and 6, for a = -3) are complete: the same rows are right for all points,
equal ones, opposite ones and infinity too. What each row says stands beside it, and
host_tests/test_ec.py holds them against each other. Registers:

    0..2    X, Y, Z: the point that is worked on
    3..5    XQ, YQ, ZQ: what is added to it
    6..13   T0..T4, X3, Y3, Z3
    14      B: the curve's b
    15..18  SCALE, ZERO, ONE, UNSCALE: as constants() gives them
"""

# The double of the point.
DOUBLE = (
    b"\x00\x06\x00\x00"  # T0 = X * X
    b"\x00\x07\x01\x01"  # T1 = Y * Y
    b"\x00\x08\x02\x02"  # T2 = Z * Z
    b"\x00\x09\x00\x01"  # T3 = X * Y
    b"\x01\x09\x09\x09"  # T3 = T3 + T3
    b"\x00\x0a\x01\x02"  # T4 = Y * Z
    b"\x00\x0d\x00\x02"  # Z3 = X * Z
    b"\x01\x0d\x0d\x0d"  # Z3 = Z3 + Z3
    b"\x00\x0c\x0e\x08"  # Y3 = B * T2
    b"\x02\x0c\x0c\x0d"  # Y3 = Y3 - Z3
    b"\x01\x0b\x0c\x0c"  # X3 = Y3 + Y3
    b"\x01\x0c\x0b\x0c"  # Y3 = X3 + Y3
    b"\x02\x0b\x07\x0c"  # X3 = T1 - Y3
    b"\x01\x0c\x07\x0c"  # Y3 = T1 + Y3
    b"\x00\x0c\x0b\x0c"  # Y3 = X3 * Y3
    b"\x00\x0b\x0b\x09"  # X3 = X3 * T3
    b"\x01\x09\x08\x08"  # T3 = T2 + T2
    b"\x01\x08\x08\x09"  # T2 = T2 + T3
    b"\x00\x0d\x0e\x0d"  # Z3 = B * Z3
    b"\x02\x0d\x0d\x08"  # Z3 = Z3 - T2
    b"\x02\x0d\x0d\x06"  # Z3 = Z3 - T0
    b"\x01\x09\x0d\x0d"  # T3 = Z3 + Z3
    b"\x01\x0d\x0d\x09"  # Z3 = Z3 + T3
    b"\x01\x09\x06\x06"  # T3 = T0 + T0
    b"\x01\x06\x09\x06"  # T0 = T3 + T0
    b"\x02\x06\x06\x08"  # T0 = T0 - T2
    b"\x00\x06\x06\x0d"  # T0 = T0 * Z3
    b"\x01\x01\x0c\x06"  # Y = Y3 + T0
    b"\x01\x06\x0a\x0a"  # T0 = T4 + T4
    b"\x00\x0d\x06\x0d"  # Z3 = T0 * Z3
    b"\x02\x00\x0b\x0d"  # X = X3 - Z3
    b"\x00\x0d\x06\x07"  # Z3 = T0 * T1
    b"\x01\x0d\x0d\x0d"  # Z3 = Z3 + Z3
    b"\x01\x02\x0d\x0d"  # Z = Z3 + Z3
)

# The sum of the point and Q.
ADD = (
    b"\x00\x06\x00\x03"  # T0 = X * XQ
    b"\x00\x07\x01\x04"  # T1 = Y * YQ
    b"\x00\x08\x02\x05"  # T2 = Z * ZQ
    b"\x01\x09\x00\x01"  # T3 = X + Y
    b"\x01\x0a\x03\x04"  # T4 = XQ + YQ
    b"\x00\x09\x09\x0a"  # T3 = T3 * T4
    b"\x01\x0a\x06\x07"  # T4 = T0 + T1
    b"\x02\x09\x09\x0a"  # T3 = T3 - T4
    b"\x01\x0a\x01\x02"  # T4 = Y + Z
    b"\x01\x0b\x04\x05"  # X3 = YQ + ZQ
    b"\x00\x0a\x0a\x0b"  # T4 = T4 * X3
    b"\x01\x0b\x07\x08"  # X3 = T1 + T2
    b"\x02\x0a\x0a\x0b"  # T4 = T4 - X3
    b"\x01\x0b\x00\x02"  # X3 = X + Z
    b"\x01\x0c\x03\x05"  # Y3 = XQ + ZQ
    b"\x00\x0b\x0b\x0c"  # X3 = X3 * Y3
    b"\x01\x0c\x06\x08"  # Y3 = T0 + T2
    b"\x02\x0c\x0b\x0c"  # Y3 = X3 - Y3
    b"\x00\x0d\x0e\x08"  # Z3 = B * T2
    b"\x02\x0b\x0c\x0d"  # X3 = Y3 - Z3
    b"\x01\x0d\x0b\x0b"  # Z3 = X3 + X3
    b"\x01\x0b\x0b\x0d"  # X3 = X3 + Z3
    b"\x02\x0d\x07\x0b"  # Z3 = T1 - X3
    b"\x01\x0b\x07\x0b"  # X3 = T1 + X3
    b"\x00\x0c\x0e\x0c"  # Y3 = B * Y3
    b"\x01\x07\x08\x08"  # T1 = T2 + T2
    b"\x01\x08\x07\x08"  # T2 = T1 + T2
    b"\x02\x0c\x0c\x08"  # Y3 = Y3 - T2
    b"\x02\x0c\x0c\x06"  # Y3 = Y3 - T0
    b"\x01\x07\x0c\x0c"  # T1 = Y3 + Y3
    b"\x01\x0c\x07\x0c"  # Y3 = T1 + Y3
    b"\x01\x07\x06\x06"  # T1 = T0 + T0
    b"\x01\x06\x07\x06"  # T0 = T1 + T0
    b"\x02\x06\x06\x08"  # T0 = T0 - T2
    b"\x00\x07\x0a\x0c"  # T1 = T4 * Y3
    b"\x00\x08\x06\x0c"  # T2 = T0 * Y3
    b"\x00\x0c\x0b\x0d"  # Y3 = X3 * Z3
    b"\x01\x01\x0c\x08"  # Y = Y3 + T2
    b"\x00\x0b\x09\x0b"  # X3 = T3 * X3
    b"\x02\x00\x0b\x07"  # X = X3 - T1
    b"\x00\x0d\x0a\x0d"  # Z3 = T4 * Z3
    b"\x00\x07\x09\x06"  # T1 = T3 * T0
    b"\x01\x02\x0d\x07"  # Z = Z3 + T1
)

# The point becomes infinity.
INFINITY = (
    b"\x01\x00\x10\x10"  # X = ZERO + ZERO
    b"\x01\x01\x11\x10"  # Y = ONE + ZERO
    b"\x01\x02\x10\x10"  # Z = ZERO + ZERO
)

# XQ, YQ: scaled.
SCALE_Q = (
    b"\x00\x03\x03\x0f"  # XQ = XQ * SCALE
    b"\x00\x04\x04\x0f"  # YQ = YQ * SCALE
)

SCALE_B = b"\x00\x0e\x0e\x0f"  # B = B * SCALE

# ZQ: 1.
ONE_ZQ = b"\x01\x05\x11\x10"  # ZQ = ONE + ZERO

# T0 = 0 if Q is on the curve: y**2 = x**3 - 3 x + b.
EQUATION = (
    b"\x00\x06\x03\x03"  # T0 = XQ * XQ
    b"\x00\x06\x06\x03"  # T0 = T0 * XQ
    b"\x01\x07\x03\x03"  # T1 = XQ + XQ
    b"\x01\x07\x07\x03"  # T1 = T1 + XQ
    b"\x02\x06\x06\x07"  # T0 = T0 - T1
    b"\x01\x06\x06\x0e"  # T0 = T0 + B
    b"\x00\x07\x04\x04"  # T1 = YQ * YQ
    b"\x02\x06\x06\x07"  # T0 = T0 - T1
)

# X3 = T0 ** exponent: powers 1 to 3 of T0, and a start; then two bits of the exponent at a time.
POWERS = (
    b"\x00\x07\x06\x06"  # T1 = T0 * T0
    b"\x00\x08\x07\x06"  # T2 = T1 * T0
    b"\x01\x0b\x11\x10"  # X3 = ONE + ZERO
)
POWER = (
    b"\x00\x0b\x0b\x0b"  # X3 = X3 * X3
    b"\x00\x0b\x0b\x0b"  # X3 = X3 * X3
    b"\x00\x0b\x0b\x06"  # X3 = X3 * T0
    b"\x00\x0b\x0b\x0b"  # X3 = X3 * X3
    b"\x00\x0b\x0b\x0b"  # X3 = X3 * X3
    b"\x00\x0b\x0b\x07"  # X3 = X3 * T1
    b"\x00\x0b\x0b\x0b"  # X3 = X3 * X3
    b"\x00\x0b\x0b\x0b"  # X3 = X3 * X3
    b"\x00\x0b\x0b\x08"  # X3 = X3 * T2
)
POWER_LEN = 12
SQUARES_LEN = 8

# X, Y: those of the plane, unscaled; X3 is the inverse of Z.
AFFINE = (
    b"\x00\x00\x00\x0b"  # X = X * X3
    b"\x00\x00\x00\x12"  # X = X * UNSCALE
    b"\x00\x01\x01\x0b"  # Y = Y * X3
    b"\x00\x01\x01\x12"  # Y = Y * UNSCALE
)
# T0 = Z
TAKE_Z = b"\x01\x06\x02\x10"  # T0 = Z + ZERO

# Modulo the order. X = X mod n, whatever it was.
REDUCE_X = (
    b"\x00\x00\x00\x0f"  # X = X * SCALE
    b"\x00\x00\x00\x12"  # X = X * UNSCALE
)
# A signature: X is r, Y the digest, XQ the private key, T0 the nonce, X3 its inverse. Y: s.
SCALE_T0 = b"\x00\x06\x06\x0f"  # T0 = T0 * SCALE
UNSCALE_T0 = b"\x00\x06\x06\x12"  # T0 = T0 * UNSCALE
SIGN = (
    b"\x00\x00\x00\x0f"  # X = X * SCALE
    b"\x00\x01\x01\x0f"  # Y = Y * SCALE
    b"\x00\x03\x03\x0f"  # XQ = XQ * SCALE
    b"\x00\x00\x00\x03"  # X = X * XQ
    b"\x01\x01\x01\x00"  # Y = Y + X
    b"\x00\x01\x01\x0b"  # Y = Y * X3
    b"\x00\x01\x01\x12"  # Y = Y * UNSCALE
)
# X is r, Y the digest, X3 the inverse of s. XQ = Y / s, YQ = X / s.
VERIFY = (
    b"\x00\x00\x00\x0f"  # X = X * SCALE
    b"\x00\x01\x01\x0f"  # Y = Y * SCALE
    b"\x00\x03\x01\x0b"  # XQ = Y * X3
    b"\x00\x03\x03\x12"  # XQ = XQ * UNSCALE
    b"\x00\x04\x00\x0b"  # YQ = X * X3
    b"\x00\x04\x04\x12"  # YQ = YQ * UNSCALE
)
