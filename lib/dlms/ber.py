# SPDX-License-Identifier: MIT
"""BER (ITU-T X.690) as far as ACSE needs it: one-octet tags, definite lengths of up to 3 octets.

Functions take (buf, pos, end) and return positions or lengths; -1 says the octets are not BER.
Nothing is allocated.
"""


def length(buf, pos, end):
    """Length of the contents of the TLV at pos, if they lie within end; else -1."""
    if pos + 2 > end:
        return -1
    n = buf[pos + 1]
    head = 2
    if n >= 0x80:
        size = n & 0x7F
        if size == 0 or size > 2 or pos + 2 + size > end:
            return -1
        n = buf[pos + 2]
        if size == 2:
            n = n << 8 | buf[pos + 3]
        head += size
    return n if pos + head + n <= end else -1


def contents(buf, pos):
    """Position of the contents of the TLV at pos, whose length() has been found good."""
    n = buf[pos + 1]
    return pos + 2 + (n & 0x7F if n >= 0x80 else 0)


def put_header(buf, pos, tag, n):
    """Write tag and length n so that they end at pos; returns where they start."""
    if n >= 0x100:
        pos -= 2
        buf[pos] = n >> 8
        buf[pos + 1] = n & 0xFF
        pos -= 1
        buf[pos] = 0x82
    elif n >= 0x80:
        pos -= 1
        buf[pos] = n
        pos -= 1
        buf[pos] = 0x81
    else:
        pos -= 1
        buf[pos] = n
    pos -= 1
    buf[pos] = tag
    return pos
