# SPDX-License-Identifier: MIT
"""The check at the end of a record in flash: four octets, Fletcher's sums.

    seal(buf, n, write) -> 1 or 0    buf[n-4:n] is the check of buf[0:n-4]; write: it is made so

Two sums modulo 65535 of 16-bit words, low octet first, the first sum from 0x5A on: what is erased
and what is zero has none. n is even, and buf an object of its own (words lie at even addresses).
Every error in one word is found, and every one of two bits; a CRC-16 by viper takes four times as
long. Nothing is allocated.
"""

try:
    from firmware._seal_viper import seal
except (ImportError, AttributeError, SyntaxError, ValueError, NameError):
    # No viper in this runtime, or native code of another architecture.
    from firmware._seal_loop import seal

__all__ = ("seal",)
