# SPDX-License-Identifier: MIT
"""SHA-256 and SHA-384 (FIPS 180-4), where the runtime's hashlib has none.

Objects are used as hashlib's: update(octets), then digest() once. hashes.py chooses. SHA-384's
compression is viper code where there is viper; it then takes about 600 octets of heap an object,
and 200 once. SHA-256, which nearly every hashlib has, is made of plain integers.
"""

from micropython import const

from crypto.gcm import copy
from crypto._sha2_loop import compress256, octets256, state256

try:
    from crypto._sha2_viper import compress512, octets384, state384
except (ImportError, AttributeError, SyntaxError, ValueError, NameError):
    # No viper in this runtime, or native code of another architecture.
    from crypto._sha2_loop import compress512, octets384, state384

_INITIAL_256 = (
    b"\x6a\x09\xe6\x67\xbb\x67\xae\x85\x3c\x6e\xf3\x72\xa5\x4f\xf5\x3a\x51\x0e\x52\x7f"
    b"\x9b\x05\x68\x8c\x1f\x83\xd9\xab\x5b\xe0\xcd\x19"
)
_INITIAL_384 = (
    b"\xcb\xbb\x9d\x5d\xc1\x05\x9e\xd8\x62\x9a\x29\x2a\x36\x7c\xd5\x07\x91\x59\x01\x5a"
    b"\x30\x70\xdd\x17\x15\x2f\xec\xd8\xf7\x0e\x59\x39\x67\x33\x26\x67\xff\xc0\x0b\x31"
    b"\x8e\xb4\x4a\x87\x68\x58\x15\x11\xdb\x0c\x2e\x0d\x64\xf9\x8f\xa7\x47\xb5\x48\x1d"
    b"\xbe\xfa\x4f\xa4"
)
_DIGEST_384 = const(48)


class Padded:
    """What all hashes of this family do: blocks, and the length behind the last one."""

    block_len = 64
    length_len = 8
    order = "big"

    def __init__(self):
        self._state = self._begin()
        self._block = bytearray(self.block_len)
        self._n = 0

    def update(self, octets):
        block = self._block
        fill = self._n % self.block_len
        left = len(octets)
        self._n += left
        pos = 0
        while left:
            n = min(left, self.block_len - fill)
            copy(block, fill, octets, pos, n)
            pos += n
            left -= n
            fill += n
            if fill == self.block_len:
                self._compress(block)
                fill = 0

    def digest(self):
        n_bits = self._n << 3
        self.update(b"\x80")
        self.update(bytes(-(self._n + self.length_len) % self.block_len))
        self.update(n_bits.to_bytes(self.length_len, self.order))
        return self._end()


class SHA256(Padded):
    def _begin(self):
        return state256(_INITIAL_256)

    def _compress(self, block):
        compress256(self._state, block, 0)

    def _end(self):
        return octets256(self._state)


class SHA384(Padded):
    block_len = 128
    length_len = 16

    def _begin(self):
        return state384(_INITIAL_384)

    def _compress(self, block):
        compress512(self._state, block, 0)

    def _end(self):
        return bytes(octets384(self._state)[:_DIGEST_384])
