# SPDX-License-Identifier: MIT
"""AES-CCM (NIST SP 800-38C, RFC 3610) of a message in place; nothing is allocated but a key.

    c = ccm.CCM(aes, n_nonce, n_tag)      a key: its AES object, and 48 octets. nonces have 7 to 13
                                          octets, tags 4, 6 ... 16; ValueError: they do not
    c.nonce                               so many octets, to be set before each message
    c.encrypt(aad, aad_pos, aad_end, buf, pos, end, tag, tag_pos)
    c.decrypt(aad, aad_pos, aad_end, buf, pos, end, tag, tag_pos) -> 1
                                          0: wrong tag, and buf is as it was; the tag is compared
                                          in a time that its length alone decides

`aes` is an AES object of the port, for encryption only. Additional data has less than 0xFF00
octets; a message less than 2**16 with nonces of 13, else less than 2**24; -1 is answered for
longer ones, by both, and nothing is changed.
"""

from crypto.gcm import copy, put_tag, reveal, xor
from micropython import const

_BLOCK = const(16)
_LONGEST_AAD = const(0xFF00)
_HAS_AAD = const(0x40)


class CCM:
    def __init__(self, aes, n_nonce, n_tag):
        if not 7 <= n_nonce <= 13 or n_tag & 1 or not 4 <= n_tag <= _BLOCK:
            raise ValueError("length of a nonce or tag")
        self._aes = aes
        self._n_tag = n_tag
        self._q = 15 - n_nonce  # octets that say how long the message is
        self.nonce = bytearray(n_nonce)
        self._y = bytearray(_BLOCK)
        self._counter = bytearray(_BLOCK)
        self._stream = bytearray(_BLOCK)

    def _is_too_long(self, n_aad, n):
        return n_aad >= _LONGEST_AAD or n >> (16 if self._q == 2 else 24)

    def _digest(self, buf, pos, end):
        """Take octets, and the zeros that fill their last block, into the CBC-MAC in y."""
        y = self._y
        while pos < end:
            n = end - pos if end - pos < _BLOCK else _BLOCK
            xor(y, 0, buf, pos, n)
            self._aes.encrypt(y, y)
            pos += n

    def _mac(self, aad, aad_pos, aad_end, buf, pos, end):
        y = self._y
        n_aad = aad_end - aad_pos
        y[0] = (_HAS_AAD if n_aad else 0) | (self._n_tag - 2) << 2 | self._q - 1
        self._head(y, end - pos)
        self._aes.encrypt(y, y)
        if n_aad:
            # Its length takes the first two octets of its first block.
            y[0] ^= n_aad >> 8
            y[1] ^= n_aad & 0xFF
            n = n_aad if n_aad < _BLOCK - 2 else _BLOCK - 2
            xor(y, 2, aad, aad_pos, n)
            self._aes.encrypt(y, y)
            self._digest(aad, aad_pos + n, aad_end)
        self._digest(buf, pos, end)

    def _head(self, block, number):
        """The nonce and a number behind the first octet of a block."""
        n = _BLOCK - 1 - self._q
        copy(block, 1, self.nonce, 0, n)
        for i in range(_BLOCK - 1, n, -1):
            block[i] = number & 0xFF
            number >>= 8

    def _crypt(self, buf, pos, end):
        """Either way; the stream of the tag is left in _stream."""
        counter = self._counter
        stream = self._stream
        i = (end - pos + _BLOCK - 1) // _BLOCK
        end_of_last = end
        while i >= 0:
            counter[0] = self._q - 1
            self._head(counter, i)
            self._aes.encrypt(counter, stream)
            if i:
                at = pos + (i - 1) * _BLOCK
                xor(buf, at, stream, 0, end_of_last - at)
                end_of_last = at
            i -= 1

    def encrypt(self, aad, aad_pos, aad_end, buf, pos, end, tag, tag_pos):
        if self._is_too_long(aad_end - aad_pos, end - pos):
            return -1
        self._mac(aad, aad_pos, aad_end, buf, pos, end)
        self._crypt(buf, pos, end)
        put_tag(self._y, self._stream, tag, tag_pos, self._n_tag)
        return 1

    def decrypt(self, aad, aad_pos, aad_end, buf, pos, end, tag, tag_pos):
        if self._is_too_long(aad_end - aad_pos, end - pos):
            return -1
        self._crypt(buf, pos, end)
        self._mac(aad, aad_pos, aad_end, buf, pos, end)
        if reveal(self._y, self._stream, tag, tag_pos, self._n_tag, tag, tag_pos, 0):
            return 1
        self._crypt(buf, pos, end)
        return 0
