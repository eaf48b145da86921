# SPDX-License-Identifier: MIT
"""AES-GCM (NIST SP 800-38D) of a message that is made in portions, in place: see gcm.py.

    s = Seal(g, iv, kinds, aad)           g: a gcm.GCM, or what stands for it; allocates 400 octets
    s.update(buf, pos, end)               the next octets of the message
    s.tag(out, pos, n)                    behind the last: the tag's first n octets

kinds: 1 authenticated, 2 encrypted, 3 both. Between two portions other messages may be protected,
by other keys too: what is shared with them is set up anew. A message is shorter than 2**24 octets.
"""

from crypto.gcm import GCM, _blocks, _stream, _table, _y, counters, ghash, put_tag, xor
from micropython import const

_AUTHENTICATED = const(1)
_ENCRYPTED = const(2)

_STREAM_LEN = const(64)
_ZEROS = bytes(16)


class Seal:
    def __init__(self, g, iv, kinds, aad):
        # Another key that has come in the meantime changes nothing here.
        self._g = GCM(g.aes)
        self._iv = bytes(iv)
        self._kinds = kinds
        self._saved = bytearray(16)
        self._g.start(aad)
        self._n = 0  # octets of the message so far
        self._n_aad = len(aad)
        self._open = len(aad) & 15  # of a block of GHASH that is not full
        if kinds & _ENCRYPTED:
            self._close()
        self._save()

    def _close(self):
        if self._open:
            self._open = ghash(_table, _y, self._open, _ZEROS, 0, 16 - self._open, -1)

    def _save(self):
        for i in range(16):
            self._saved[i] = _y[i]

    def _resume(self):
        self._g.start()
        xor(_y, 0, self._saved, 0, 16)

    def update(self, buf, pos, end):
        if self._kinds & _ENCRYPTED:
            self._crypt(buf, pos, end)
        self._n += end - pos
        if self._kinds & _AUTHENTICATED:
            self._resume()
            self._open = ghash(_table, _y, self._open, buf, pos, end, -1)
            self._save()

    def _crypt(self, buf, pos, end):
        g = self._g
        iv = g.iv
        for i in range(12):
            iv[i] = self._iv[i]
        at = self._n
        while pos < end:
            skip = at & 15
            n = end - pos
            if n > _STREAM_LEN - skip:
                n = _STREAM_LEN - skip
            n_blocks = (skip + n + 15) >> 4
            # The first block of the key stream is for the tag.
            counters(_stream, iv, (at >> 4) + 2, n_blocks)
            g.aes.encrypt(_blocks[n_blocks], _blocks[n_blocks])
            xor(buf, pos, _stream, skip, n)
            at += n
            pos += n

    def tag(self, out, pos, n):
        self._resume()
        n_aad = self._n_aad
        if self._kinds & _ENCRYPTED:
            self._close()
            # ghash() knows of no text here: its length in bits goes in by hand.
            bits = self._n << 3
            i = 15
            while bits:
                _y[i] ^= bits & 0xFF
                bits >>= 8
                i -= 1
        else:
            n_aad += self._n
        ghash(_table, _y, self._open, _ZEROS, 0, 0, n_aad)
        for i in range(12):
            self._g.iv[i] = self._iv[i]
        counters(_stream, self._g.iv, 1, 1)
        self._g.aes.encrypt(_blocks[1], _blocks[1])
        put_tag(_y, _stream, out, pos, n)
