# SPDX-License-Identifier: MIT
"""AES-GCM where the AES object does all of it: seal(iv, text, aad). See gcm.py. Allocates."""


class GCM:
    iv = bytearray(12)

    def __init__(self, aes):
        self.aes = aes
        self._seal = aes.seal
        self._aad = b""

    def begin(self, title, title_pos, buf, at):
        self.iv[:8] = title[title_pos : title_pos + 8]
        self.iv[8:] = buf[at : at + 4]

    def seal(self, octets, title, title_pos, buf, at, pos, end):
        iv = bytes(title[title_pos : title_pos + 8]) + buf[at : at + 4]
        made = self._seal(iv, buf[pos:end], bytes(octets))
        buf[pos : end + 12] = made[: end - pos + 12]

    def open(self, octets, title, title_pos, buf, at, pos, end):
        self.begin(title, title_pos, buf, at)
        self._aad = bytes(octets)
        return self.decrypt(buf, pos, end, buf, end, 12)

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
