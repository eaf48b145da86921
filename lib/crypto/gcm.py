# SPDX-License-Identifier: MIT
"""AES-GCM and GMAC (NIST SP 800-38D) for keys of 128 and 256 bits, in place, without allocating.

IVs have 12 octets: in DLMS the system title of who protects and the invocation counter
(IEC 62056-5-3). AES comes from the port: an object whose encrypt(src, dst) does whole blocks
in ECB mode, dst may be src. Counter mode and GHASH are made here, GHASH with a table of 16
multiples of H (Shoup), 256 octets of heap a key (320 in the form without viper).

    g = gcm.new(aes)                      what a key holds; with the AES object and two prefixes
                                          900 octets on a board of 32 bits
    g.set_key(aes)                        another key in the same place; its prefixes are made anew
    p = g.prefix(octets)                  what many messages authenticate first: security control
                                          and authentication key. Its GHASH is done here, once
    g.iv[0:12] = ...
    g.start(p)                            p or None
    g.aad(buf, pos, end)                  more of it, as often as wanted, from any buffer
    g.encrypt(buf, pos, end, tag, tag_pos, n)        -> the tag's first n octets at tag_pos
    g.decrypt(buf, pos, end, tag, tag_pos, n) -> 1   0: wrong tag, and nothing was changed
    g.crypt(buf, pos, end)                without a tag, either way; needs g.iv only

With pos == end, encrypt and decrypt make and check a tag over the additional data alone: GMAC, and
authentication only. n is 12 in DLMS, at most 16. A tag is checked before anything is decrypted,
and compared in a time that n alone decides. A message is shorter than 2**24 octets.

On a Cortex-M3 at 62.5 million instructions a second: a key 2 ms, 9 octets 0.5 ms, 1 KiB 9 ms.

Three forms: viper, loops (CircuitPython), and where the AES object has seal(iv, text, aad) ->
ciphertext and tag (CPython, by OpenSSL), that; this form allocates.
"""

from micropython import const

try:
    from crypto._gcm_viper import counters, copy, ghash, lengths, new_table, same, set_table, xor
except (ImportError, AttributeError, SyntaxError, ValueError, NameError):
    # No viper in this runtime, or native code of another architecture.
    from crypto._gcm_loop import counters, copy, ghash, lengths, new_table, same, set_table, xor

# So many blocks of key stream at a time, the first for the tag.
_N_BLOCKS = const(16)
_FIRST_LEN = const(240)
_STREAM_LEN = const(256)

# Of a prefix: GHASH of it with its last block open, GHASH of it all, its length.
_WHOLE = const(16)
_LENGTH = const(32)
_PREFIX_LEN = const(33)

# The key stream, of one message at a time whatever the key, and its first n blocks.
_stream = bytearray(_STREAM_LEN)
_blocks = tuple(memoryview(_stream)[: n * 16] for n in range(_N_BLOCKS + 1))


class GCM:
    def __init__(self, aes):
        self.iv = bytearray(12)
        self._y = bytearray(16)
        self._table = new_table()
        self.set_key(aes)

    def set_key(self, aes):
        y = self._y
        self.aes = aes
        xor(y, 0, y, 0, 16)
        aes.encrypt(y, y)
        set_table(self._table, y)
        self.start(None)

    def prefix(self, octets):
        """At most 255 octets, with this key. Allocates, and forgets a message that was begun.
        ValueError: there are more."""
        if len(octets) > 255:
            raise ValueError("a prefix of more than 255 octets")
        self.start(None)
        self.aad(octets, 0, len(octets))
        made = bytearray(_PREFIX_LEN)
        copy(made, 0, self._y, 0, 16)
        ghash(self._table, self._y, self._open, octets, 0, 0, 1)
        copy(made, _WHOLE, self._y, 0, 16)
        made[_LENGTH] = len(octets)
        return made

    def start(self, prefix):
        self._prefix = prefix  # with which the additional data ends so far, if with one
        self._n_aad = n = prefix[_LENGTH] if prefix else 0
        self._open = n & 15  # octets in its last block

    def aad(self, buf, pos, end):
        self._begin(0)
        self._n_aad += end - pos
        self._open = ghash(self._table, self._y, self._open, buf, pos, end, 0)

    def _begin(self, at):
        """The state of what start() was given, from one of its two places."""
        prefix = self._prefix
        if prefix:
            copy(self._y, 0, prefix, at, 16)
            self._prefix = None
            if at:
                self._open = 0
        elif not self._n_aad:
            xor(self._y, 0, self._y, 0, 16)

    def _tag(self, buf, pos, end):
        """The tag, but for the first block of key stream, to _y."""
        tab = self._table
        y = self._y
        self._begin(_WHOLE)
        if self._open:
            ghash(tab, y, self._open, buf, 0, 0, 1)
        if pos < end:
            ghash(tab, y, 0, buf, pos, end, 1)
        lengths(y, self._n_aad, end - pos)
        ghash(tab, y, 1, buf, 0, 0, 1)

    def _first(self, n):
        """The key stream of the tag and of the first n octets; n that it has."""
        if n > _FIRST_LEN:
            n = _FIRST_LEN
        n_blocks = (n + 31) >> 4
        counters(_stream, self.iv, 1, n_blocks)
        self.aes.encrypt(_blocks[n_blocks], _blocks[n_blocks])
        return n

    def _later(self, buf, pos, end):
        """Encrypt or decrypt what comes after the first octets."""
        pos += _FIRST_LEN
        counter = _N_BLOCKS + 1
        while pos < end:
            n = end - pos
            if n > _STREAM_LEN:
                n = _STREAM_LEN
            n_blocks = (n + 15) >> 4
            counters(_stream, self.iv, counter, n_blocks)
            self.aes.encrypt(_blocks[n_blocks], _blocks[n_blocks])
            xor(buf, pos, _stream, 0, n)
            counter += n_blocks
            pos += n

    def encrypt(self, buf, pos, end, tag, tag_pos, n):
        # From behind, so that the key stream of the tag is there at last.
        self.crypt(buf, pos, end)
        self._tag(buf, pos, end)
        xor(self._y, 0, _stream, 0, 16)
        copy(tag, tag_pos, self._y, 0, n)

    def decrypt(self, buf, pos, end, tag, tag_pos, n):
        self._tag(buf, pos, end)
        n_first = self._first(end - pos)
        xor(self._y, 0, _stream, 0, 16)
        if not same(self._y, 0, tag, tag_pos, n):
            return 0
        xor(buf, pos, _stream, 16, n_first)
        self._later(buf, pos, end)
        return 1

    def crypt(self, buf, pos, end):
        self._later(buf, pos, end)
        xor(buf, pos, _stream, 16, self._first(end - pos))


def new(aes):
    if hasattr(aes, "seal"):
        from crypto._gcm_host import GCM as Sealed

        return Sealed(aes)
    return GCM(aes)
