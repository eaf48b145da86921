# SPDX-License-Identifier: MIT
"""AES by aesio, one block at a time, and the hashes that hashlib has. See __init__.py."""

import hashlib

import aesio


class _AES:
    """aesio takes one block at a time."""

    def __init__(self, key: "bytes"):
        self._aes = aesio.AES(key, aesio.MODE_ECB)
        self._block = bytearray(16)

    def encrypt(self, src: "bytearray", dst: "bytearray"):
        block = self._block
        for at in range(0, len(src), 16):
            for i in range(16):
                block[i] = src[at + i]
            self._aes.encrypt_into(block, block)
            for i in range(16):
                dst[at + i] = block[i]

    def decrypt(self, src: "bytearray", dst: "bytearray"):
        block = self._block
        for at in range(0, len(src), 16):
            for i in range(16):
                block[i] = src[at + i]
            self._aes.decrypt_into(block, block)
            for i in range(16):
                dst[at + i] = block[i]


def aes(key: "bytes"):
    return _AES(key)


def new_hash(name: "str"):
    # It has these two and no more.
    if name == "sha1" or name == "sha256":
        return hashlib.new(name)
    return None


def elliptic(name: "str"):
    return None
