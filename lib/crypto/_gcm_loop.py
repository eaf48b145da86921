# SPDX-License-Identifier: MIT
"""The primitives of AES-GCM as plain loops; only a new table is allocated. See gcm.py.

A block is five numbers: 16 bits, and four times 28, so that each is a small int on boards of 32
bits. A table is a list of 16 rows of five.
"""

# What four bits that fall out at the end come back as in the first 16.
_FOLD = tuple((i << 7 ^ i << 6 ^ i << 5 ^ i) << 5 for i in range(16))


def new_table():
    return [0] * 80


def set_table(tab, h):
    tab[40] = h[0] << 8 | h[1]
    half = 4  # halves of an octet: after 16 bits, seven of them make a number
    for k in range(41, 45):
        limb = 0
        for _ in range(7):
            limb = limb << 4 | (h[half >> 1] >> (0 if half & 1 else 4)) & 15
            half += 1
        tab[k] = limb
    at = 40
    while at > 5:
        to = at >> 1
        for k in range(4, 0, -1):
            tab[to + k] = tab[at + k] >> 1 | (tab[at + k - 1] & 1) << 27
        tab[to] = tab[at] >> 1 ^ 0xE100 * (tab[at + 4] & 1)
        at = to
    for i in (2, 4, 8):
        for j in range(1, i):
            for k in range(5):
                tab[(i + j) * 5 + k] = tab[i * 5 + k] ^ tab[j * 5 + k]


def ghash(tab, y, n, buf, pos, end, n_aad):
    while n < 0:
        # A message begins.
        n += 1
        y[n + 15] = 0
    n_text = end - pos
    # 0: close the block of additional data; 1: take buf; 2: the lengths have been taken.
    phase = 0 if n_aad >= 0 and n else 1
    while True:
        if phase == 0:
            phase = 1
        elif n_aad >= 0 and pos >= end:
            phase = 2
            n_aad <<= 3
            n_text <<= 3
            for i in range(7, 3, -1):
                y[i] ^= n_aad & 0xFF
                y[i + 8] ^= n_text & 0xFF
                n_aad >>= 8
                n_text >>= 8
        else:
            while n < 16 and pos < end:
                y[n] ^= buf[pos]
                n += 1
                pos += 1
            if n < 16 and (not n or n_aad == -1):
                return n
        z0 = z1 = z2 = z3 = z4 = 0
        for i in range(31, -1, -1):
            t = y[i >> 1]
            t = (t & 15 if i & 1 else t >> 4) * 5
            out = z4 & 15
            z4 = (z4 >> 4 | (z3 & 15) << 24) ^ tab[t + 4]
            z3 = (z3 >> 4 | (z2 & 15) << 24) ^ tab[t + 3]
            z2 = (z2 >> 4 | (z1 & 15) << 24) ^ tab[t + 2]
            z1 = (z1 >> 4 | (z0 & 15) << 24) ^ tab[t + 1]
            z0 = z0 >> 4 ^ _FOLD[out] ^ tab[t]
        y[0] = z0 >> 8
        y[1] = z0 & 0xFF
        i = 2
        while i < 16:
            # Two numbers are seven octets.
            y[i] = z1 >> 20
            y[i + 1] = z1 >> 12 & 0xFF
            y[i + 2] = z1 >> 4 & 0xFF
            y[i + 3] = (z1 & 15) << 4 | z2 >> 24
            y[i + 4] = z2 >> 16 & 0xFF
            y[i + 5] = z2 >> 8 & 0xFF
            y[i + 6] = z2 & 0xFF
            z1 = z3
            z2 = z4
            i += 7
        n = 0
        if phase == 2 or (n_aad < 0 and pos >= end):
            return 0


def counters(out, iv, first, n):
    for at in range(0, n << 4, 16):
        for i in range(12):
            out[at + i] = iv[i]
        out[at + 12] = 0
        out[at + 13] = first >> 16
        out[at + 14] = first >> 8 & 0xFF
        out[at + 15] = first & 0xFF
        first += 1


def xor(dst, dpos, src, spos, n):
    for i in range(n):
        dst[dpos + i] ^= src[spos + i]


def nonce(iv, title, pos, buf, at, out, n):
    for i in range(8):
        iv[i] = title[pos + i]
    for i in range(4):
        iv[8 + i] = buf[at + i]
    counters(out, iv, 1, n)


def reveal(y, stream, tag, at, n, buf, pos, n_first):
    d = 0
    for i in range(n):
        d |= y[i] ^ stream[i] ^ tag[at + i]
    if d:
        return 0
    xor(buf, pos, stream, 16, n_first)
    return 1


def put_tag(y, stream, tag, pos, n):
    for i in range(n):
        tag[pos + i] = y[i] ^ stream[i]


def copy(dst, dpos, src, spos, n):
    for i in range(n):
        dst[dpos + i] = src[spos + i]
