# SPDX-License-Identifier: MIT
"""MD5 (RFC 1321) and SHA-1 (FIPS 180-4), where the runtime's hashlib has none.

DLMS has them for authentication by mechanisms 3 and 4 of old meters; nothing else uses them. Plain
integers, which allocate on boards. Objects are used as hashlib's: update(octets), digest() once.
"""

from micropython import const

from crypto.sha2 import Padded

_MASK = 0xFFFFFFFF
_N_MD5 = const(64)
_N_SHA1 = const(80)

# Sines, as MD5 has them (RFC 1321, 3.4), and how far each round turns.
_SINES = (
    b"\xd7\x6a\xa4\x78\xe8\xc7\xb7\x56\x24\x20\x70\xdb\xc1\xbd\xce\xee\xf5\x7c\x0f\xaf"
    b"\x47\x87\xc6\x2a\xa8\x30\x46\x13\xfd\x46\x95\x01\x69\x80\x98\xd8\x8b\x44\xf7\xaf"
    b"\xff\xff\x5b\xb1\x89\x5c\xd7\xbe\x6b\x90\x11\x22\xfd\x98\x71\x93\xa6\x79\x43\x8e"
    b"\x49\xb4\x08\x21\xf6\x1e\x25\x62\xc0\x40\xb3\x40\x26\x5e\x5a\x51\xe9\xb6\xc7\xaa"
    b"\xd6\x2f\x10\x5d\x02\x44\x14\x53\xd8\xa1\xe6\x81\xe7\xd3\xfb\xc8\x21\xe1\xcd\xe6"
    b"\xc3\x37\x07\xd6\xf4\xd5\x0d\x87\x45\x5a\x14\xed\xa9\xe3\xe9\x05\xfc\xef\xa3\xf8"
    b"\x67\x6f\x02\xd9\x8d\x2a\x4c\x8a\xff\xfa\x39\x42\x87\x71\xf6\x81\x6d\x9d\x61\x22"
    b"\xfd\xe5\x38\x0c\xa4\xbe\xea\x44\x4b\xde\xcf\xa9\xf6\xbb\x4b\x60\xbe\xbf\xbc\x70"
    b"\x28\x9b\x7e\xc6\xea\xa1\x27\xfa\xd4\xef\x30\x85\x04\x88\x1d\x05\xd9\xd4\xd0\x39"
    b"\xe6\xdb\x99\xe5\x1f\xa2\x7c\xf8\xc4\xac\x56\x65\xf4\x29\x22\x44\x43\x2a\xff\x97"
    b"\xab\x94\x23\xa7\xfc\x93\xa0\x39\x65\x5b\x59\xc3\x8f\x0c\xcc\x92\xff\xef\xf4\x7d"
    b"\x85\x84\x5d\xd1\x6f\xa8\x7e\x4f\xfe\x2c\xe6\xe0\xa3\x01\x43\x14\x4e\x08\x11\xa1"
    b"\xf7\x53\x7e\x82\xbd\x3a\xf2\x35\x2a\xd7\xd2\xbb\xeb\x86\xd3\x91"
)
_TURNS = b"\x07\x0c\x11\x16\x05\x09\x0e\x14\x04\x0b\x10\x17\x06\x0a\x0f\x15"
_K_SHA1 = (0x5A827999, 0x6ED9EBA1, 0x8F1BBCDC, 0xCA62C1D6)


def _turn(x, n):
    return (x << n | x >> 32 - n) & _MASK


class _Words(Padded):
    """A state of 32-bit words, the first four of both hashes being the same."""

    def _begin(self):
        return [0x67452301, 0xEFCDAB89, 0x98BADCFE, 0x10325476]

    def _word(self, block, i):
        return int.from_bytes(block[i * 4 : i * 4 + 4], self.order)

    def _end(self):
        return b"".join([word.to_bytes(4, self.order) for word in self._state])

    def _add(self, words):
        self._state = [(x + y) & _MASK for x, y in zip(self._state, words)]


class MD5(_Words):
    order = "little"

    def _compress(self, block):
        w = [self._word(block, i) for i in range(16)]
        a, b, c, d = self._state
        for t in range(_N_MD5):
            if t < 16:
                f = d ^ b & (c ^ d)
                i = t
            elif t < 32:
                f = c ^ d & (b ^ c)
                i = t * 5 + 1
            elif t < 48:
                f = b ^ c ^ d
                i = t * 3 + 5
            else:
                f = c ^ (b | ~d & _MASK)
                i = t * 7
            f += a + w[i & 15] + int.from_bytes(_SINES[t * 4 : t * 4 + 4], "big")
            a = d
            d = c
            c = b
            b = (b + _turn(f & _MASK, _TURNS[t >> 4 << 2 | t & 3])) & _MASK
        self._add((a, b, c, d))


class SHA1(_Words):
    def _begin(self):
        return _Words._begin(self) + [0xC3D2E1F0]

    def _compress(self, block):
        w = [self._word(block, i) for i in range(16)]
        a, b, c, d, e = self._state
        for t in range(_N_SHA1):
            at = t & 15
            if t > 15:
                w[at] = _turn(w[at] ^ w[(t + 2) & 15] ^ w[(t + 8) & 15] ^ w[(t + 13) & 15], 1)
            if t < 20:
                f = d ^ b & (c ^ d)
            elif t < 40 or t >= 60:
                f = b ^ c ^ d
            else:
                f = b & c | d & (b | c)
            f += _turn(a, 5) + e + w[at] + _K_SHA1[t // 20]
            e = d
            d = c
            c = _turn(b, 30)
            b = a
            a = f & _MASK
        self._add((a, b, c, d, e))
