# SPDX-License-Identifier: MIT
# ruff: noqa: F821
"""The primitives of AES-GCM as MicroPython viper code. See gcm.py.

A block is four 32-bit words, the first octet on top; z0..z3 below. A table has 16 rows of four
words, row i being H times the four bits i, and 16 more of the same moved on by four bits, so that
an octet is one step. No value needs more than 32 bits, so that the same code is right where
viper's integers have 64. Only buffers that begin on the heap, and so are aligned, are taken by
words.
"""

import micropython

# What four bits that fall out at the end come back as at the top: 16 bits each.
_FOLD = bytearray(32)


@micropython.viper
def _make_fold(fold: ptr16):
    i = 0
    while i < 16:
        fold[i] = ((i << 7) ^ (i << 6) ^ (i << 5) ^ i) << 5
        i += 1


_make_fold(_FOLD)


@micropython.viper
def set_table(tab: ptr32, h: ptr8):
    z0 = uint(0)
    z1 = uint(0)
    z2 = uint(0)
    z3 = uint(0)
    i = 0
    while i < 4:
        z0 = (z0 << 8) | uint(h[i])
        z1 = (z1 << 8) | uint(h[i + 4])
        z2 = (z2 << 8) | uint(h[i + 8])
        z3 = (z3 << 8) | uint(h[i + 12])
        tab[i] = 0
        i += 1
    i = 8
    while i > 0:
        at = i << 2
        tab[at] = z0
        tab[at + 1] = z1
        tab[at + 2] = z2
        tab[at + 3] = z3
        out = int(z3) & 1
        z3 = (z3 >> 1) | ((z2 & 1) << 31)
        z2 = (z2 >> 1) | ((z1 & 1) << 31)
        z1 = (z1 >> 1) | ((z0 & 1) << 31)
        z0 = (z0 >> 1) ^ (uint(0xE1 * out) << 24)
        i = i >> 1
    i = 2
    while i < 16:
        j = 1
        while j < i:
            k = 0
            while k < 4:
                tab[((i + j) << 2) + k] = tab[(i << 2) + k] ^ tab[(j << 2) + k]
                k += 1
            j += 1
        i = i << 1
    fold = ptr16(_FOLD)
    i = 0
    while i < 64:
        z3 = uint(tab[i + 3])
        z2 = uint(tab[i + 2])
        z1 = uint(tab[i + 1])
        z0 = uint(tab[i])
        tab[i + 67] = (z3 >> 4) | ((z2 & 15) << 28)
        tab[i + 66] = (z2 >> 4) | ((z1 & 15) << 28)
        tab[i + 65] = (z1 >> 4) | ((z0 & 15) << 28)
        tab[i + 64] = (z0 >> 4) ^ (uint(fold[int(z3) & 15]) << 16)
        i += 4


def new_table():
    return bytearray(512)


@micropython.viper
def ghash(tab: ptr32, y: ptr8, n: int, buf: ptr8, pos: int, end: int, n_aad: int) -> int:
    fold = ptr16(_FOLD)
    while n < 0:
        # A message begins.
        n += 1
        y[n + 15] = 0
    n_text = end - pos
    # 0: close the block of additional data; 1: take buf; 2: the lengths have been taken.
    phase = 1
    if n_aad >= 0 and n > 0:
        phase = 0
    while True:
        if phase == 1:
            if n_aad >= 0 and pos >= end:
                phase = 2
                length = n_aad << 3
                i = 7
                while i > 3:
                    y[i] = int(y[i]) ^ length
                    length = length >> 8
                    i -= 1
                length = n_text << 3
                i = 15
                while i > 11:
                    y[i] = int(y[i]) ^ length
                    length = length >> 8
                    i -= 1
            else:
                while n < 16 and pos < end:
                    y[n] = int(y[n]) ^ int(buf[pos])
                    n += 1
                    pos += 1
                if n < 16 and (n == 0 or n_aad == -1):
                    return n
        if phase == 0:
            phase = 1
        z0 = uint(0)
        z1 = uint(0)
        z2 = uint(0)
        z3 = uint(0)
        i = 15
        while i >= 0:
            # The octet's lower four bits have been moved on by the upper ones in their table.
            b = int(y[i])
            t = (b >> 4) << 2
            low = ((b & 15) << 2) + 64
            out = int(z3) & 0xFF
            z3 = (z3 >> 8) | ((z2 & 0xFF) << 24)
            z3 ^= uint(tab[t + 3]) ^ uint(tab[low + 3])
            z2 = (z2 >> 8) | ((z1 & 0xFF) << 24)
            z2 ^= uint(tab[t + 2]) ^ uint(tab[low + 2])
            z1 = (z1 >> 8) | ((z0 & 0xFF) << 24)
            z1 ^= uint(tab[t + 1]) ^ uint(tab[low + 1])
            z0 = (z0 >> 8) ^ (uint(fold[out >> 4]) << 16) ^ (uint(fold[out & 15]) << 12)
            z0 ^= uint(tab[t]) ^ uint(tab[low])
            i -= 1
        i = 3
        while i >= 0:
            y[i] = z0
            y[i + 4] = z1
            y[i + 8] = z2
            y[i + 12] = z3
            z0 = z0 >> 8
            z1 = z1 >> 8
            z2 = z2 >> 8
            z3 = z3 >> 8
            i -= 1
        n = 0
        if phase == 2 or (n_aad < 0 and pos >= end):
            return 0


@micropython.viper
def counters(out: ptr8, iv: ptr8, first: int, n: int):
    at = 0
    while n > 0:
        i = 0
        while i < 12:
            out[at + i] = iv[i]
            i += 1
        out[at + 12] = 0
        out[at + 13] = first >> 16
        out[at + 14] = first >> 8
        out[at + 15] = first
        first += 1
        at += 16
        n -= 1


@micropython.viper
def xor(dst: ptr8, dpos: int, src: ptr8, spos: int, n: int):
    i = 0
    while i < n:
        dst[dpos + i] = int(dst[dpos + i]) ^ int(src[spos + i])
        i += 1


@micropython.viper
def nonce(iv: ptr8, title: ptr8, pos: int, buf: ptr8, at: int, out: ptr8, n: int):
    i = 0
    while i < 8:
        iv[i] = title[pos + i]
        i += 1
    while i < 12:
        iv[i] = buf[at + i - 8]
        i += 1
    counter = 1
    to = 0
    while counter <= n:
        i = 0
        while i < 12:
            out[to + i] = iv[i]
            i += 1
        out[to + 12] = 0
        out[to + 13] = 0
        out[to + 14] = 0
        out[to + 15] = counter
        counter += 1
        to += 16


@micropython.viper
def reveal(
    y: ptr8, stream: ptr8, tag: ptr8, at: int, n: int, buf: ptr8, pos: int, n_first: int
) -> int:
    d = 0
    i = 0
    while i < n:
        d |= int(y[i]) ^ int(stream[i]) ^ int(tag[at + i])
        i += 1
    if d != 0:
        return 0
    i = 0
    while i < n_first:
        buf[pos + i] = int(buf[pos + i]) ^ int(stream[16 + i])
        i += 1
    return 1


@micropython.viper
def put_tag(y: ptr8, stream: ptr8, tag: ptr8, pos: int, n: int):
    i = 0
    while i < n:
        tag[pos + i] = int(y[i]) ^ int(stream[i])
        i += 1


@micropython.viper
def copy(dst: ptr8, dpos: int, src: ptr8, spos: int, n: int):
    i = 0
    while i < n:
        dst[dpos + i] = src[spos + i]
        i += 1
