# SPDX-License-Identifier: MIT
"""AES-CMAC (NIST SP 800-38B, RFC 4493) of a message in portions; nothing is allocated but a key.

    c = cmac.CMAC(aes)                    a key: its AES object, and 48 octets
    c.start()
    c.update(buf, pos, end)               the next octets of the message, any number of times
    c.tag(out, pos, n)                    the tag's first n octets, n at most 16
    c.matches(tag, pos, n) -> 1           instead: is it that? 0: no; in a time that n decides

`aes` is an AES object of the port, for encryption only. Other messages of other keys may be under
way at the same time.
"""

from crypto.gcm import copy, reveal, xor
from micropython import const

_BLOCK = const(16)
_R = const(0x87)  # the polynomial of a block of 128 bits
_ZEROS = bytes(_BLOCK)


def _double(block):
    """Multiply by x, in place."""
    carry = 0
    for i in range(_BLOCK - 1, -1, -1):
        octet = block[i] << 1 | carry
        block[i] = octet & 0xFF
        carry = octet >> 8
    block[_BLOCK - 1] ^= _R * carry


class CMAC:
    def __init__(self, aes):
        self._aes = aes
        self._k1 = k1 = bytearray(_BLOCK)
        aes.encrypt(k1, k1)
        _double(k1)
        self._k2 = bytearray(k1)
        _double(self._k2)
        self._y = bytearray(_BLOCK)
        self._n = 0  # octets in the open block

    def start(self):
        xor(self._y, 0, self._y, 0, _BLOCK)
        self._n = 0

    def update(self, buf, pos, end):
        y = self._y
        k = self._n
        while pos < end:
            if k == _BLOCK:
                # More comes: the open block is not the last.
                self._aes.encrypt(y, y)
                k = 0
            n = _BLOCK - k
            if n > end - pos:
                n = end - pos
            xor(y, k, buf, pos, n)
            pos += n
            k += n
        self._n = k

    def _finish(self):
        y = self._y
        if self._n == _BLOCK:
            xor(y, 0, self._k1, 0, _BLOCK)
        else:
            y[self._n] ^= 0x80
            xor(y, 0, self._k2, 0, _BLOCK)
        self._aes.encrypt(y, y)

    def tag(self, out, pos, n):
        self._finish()
        copy(out, pos, self._y, 0, n)
        self.start()

    def matches(self, tag, pos, n):
        self._finish()
        right = reveal(self._y, _ZEROS, tag, pos, n, tag, pos, 0)
        self.start()
        return right
