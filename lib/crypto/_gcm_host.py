# SPDX-License-Identifier: MIT
"""AES-GCM where the AES object does all of it: seal(iv, text, aad). See gcm.py. Allocates."""


class GCM:
    iv = bytearray(12)

    def __init__(self, aes):
        self.aes = aes
        self._seal = aes.seal
        self._aad = b""

    def start(self, octets=b""):
        self._aad = bytes(octets)

    def aad(self, buf, pos, end):
        self._aad += buf[pos:end]

    def encrypt(self, buf, pos, end, tag, tag_pos, n):
        made = self._seal(self.iv, buf[pos:end], self._aad)
        buf[pos:end] = made[: end - pos]
        tag[tag_pos : tag_pos + n] = made[end - pos : end - pos + n]

    def decrypt(self, buf, pos, end, tag, tag_pos, n):
        # A short tag can only be made again and compared. Counter mode is the same both ways.
        n_text = end - pos
        text = self._seal(self.iv, buf[pos:end], b"")[:n_text] if n_text else b""
        made = self._seal(self.iv, text, self._aad)
        d = 0
        for i in range(n):
            d |= made[n_text + i] ^ tag[tag_pos + i]
        if d:
            return 0
        buf[pos:end] = text
        return 1

    def crypt(self, buf, pos, end):
        buf[pos:end] = self._seal(self.iv, buf[pos:end], b"")[: end - pos]
