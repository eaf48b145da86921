# SPDX-License-Identifier: MIT
"""AES-GCM and GMAC (NIST SP 800-38D) for keys of 128 and 256 bits, in place, without allocating.

IVs have 12 octets: in DLMS the system title of who protects and the invocation counter
(IEC 62056-5-3). AES comes from the port: an object whose encrypt(src, dst) does whole blocks
in ECB mode, dst may be src. Counter mode and GHASH are made here, GHASH with a table of 16
multiples of H (Shoup), in viper code twice: also four bits on.

    g = gcm.new(aes)                      a key: its AES object, and 48 octets
    g.iv[0:12] = ...
    g.start(octets)                       a message, and what it authenticates first, if anything
    g.aad(buf, pos, end)                  more of that, in parts, from any buffers
    g.encrypt(buf, pos, end, tag, tag_pos, n)        -> the tag's first n octets at tag_pos
    g.decrypt(buf, pos, end, tag, tag_pos, n) -> 1   0: wrong tag, and nothing was changed
    g.crypt(buf, pos, end)                without a tag, either way; needs g.iv only
    g.seal(octets, title, title_pos, buf, at, pos, end)
                                          all of that at once: title and the four octets buf[at:]
                                          are the IV, 12 octets of tag go behind buf[pos:end]
    g.open(octets, title, title_pos, buf, at, pos, end) -> 1     0: wrong tag, nothing was changed
    g.begin(title, title_pos, buf, at)    the IV alone

All keys share the IV, the table and the key stream, some 750 octets: one message at a time,
whatever its key. The table is made anew when start() finds that of another key. seal() and open()
go on from the state of GHASH behind octets, if these are the object that they have had last, with
the same first octet: of what such an object holds only that may change (in DLMS, the security
control in front of an authentication key). There is at least that octet.

With pos == end, encrypt and decrypt make and check a tag over the additional data alone: GMAC, and
authentication only. n is 12 in DLMS, at most 16. A tag is checked before anything is decrypted,
and compared in a time that n alone decides. A message is shorter than 2**24 octets.

On a Cortex-M3 at 62.5 million instructions a second: 9 octets 0.8 ms, 1 KiB 10 ms;
0.2 ms more after another key.

Three forms: viper, loops (CircuitPython), and where the AES object has seal(iv, text, aad) ->
ciphertext and tag (CPython, by OpenSSL), that; this form allocates.
"""

from micropython import const

try:
    from crypto import _gcm_viper as _form
except (ImportError, AttributeError, SyntaxError, ValueError, NameError):
    # No viper in this runtime, or native code of another architecture.
    from crypto import _gcm_loop as _form

copy = _form.copy  # also for keywrap.py and sha2.py
counters = _form.counters
ghash = _form.ghash
nonce = _form.nonce
put_tag = _form.put_tag
reveal = _form.reveal
set_table = _form.set_table
xor = _form.xor

# So many blocks of key stream at a time, the first for the tag.
_N_BLOCKS = const(4)
_FIRST_LEN = const(48)
_STREAM_LEN = const(64)
_TAG_LEN = const(12)

_BEGINS = const(-16)  # for ghash(): a message does
# For ghash(), in place of the length of additional data.
_MORE = const(-1)  # more of them may follow
_CLOSED = const(-2)  # none do, and their last block is filled up

# Of one message at a time, whatever the key: the key stream and its first n blocks, the state of
# GHASH, and the table of the key with number _holder.
_stream = bytearray(_STREAM_LEN)
_blocks = tuple(memoryview(_stream)[: n * 16] for n in range(_N_BLOCKS + 1))
_y = bytearray(16)
_table = _form.new_table()
_holder = 0
_iv = bytearray(12)
# The object that seal() or open() has had last, and the state of GHASH behind it, with its first
# octet.
_octets = None
_behind = bytearray(17)


class GCM:
    iv = _iv
    _keys = 0  # that have been made

    def __init__(self, aes):
        GCM._keys = self._number = GCM._keys + 1 & 0xFFFFFF
        self.aes = aes
        # Octets of additional data, and of those in its last block.
        self._n_aad = self._open = 0

    def begin(self, title, title_pos, buf, at):
        nonce(_iv, title, title_pos, buf, at, _stream, 0)

    def start(self, octets=b""):
        global _holder, _octets
        if _holder != self._number:
            _octets = None
            xor(_y, 0, _y, 0, 16)
            self.aes.encrypt(_y, _y)
            set_table(_table, _y)
            _holder = self._number
        n = self._n_aad = len(octets)
        self._open = ghash(_table, _y, _BEGINS, octets, 0, n, _MORE)

    def aad(self, buf, pos, end):
        self._n_aad += end - pos
        self._open = ghash(_table, _y, self._open, buf, pos, end, _MORE)

    def _later(self, buf, pos, end):
        """Encrypt or decrypt what comes after the first octets."""
        pos += _FIRST_LEN
        counter = _N_BLOCKS + 1
        while pos < end:
            n = end - pos
            if n > _STREAM_LEN:
                n = _STREAM_LEN
            n_blocks = (n + 15) >> 4
            counters(_stream, _iv, counter, n_blocks)
            self.aes.encrypt(_blocks[n_blocks], _blocks[n_blocks])
            xor(buf, pos, _stream, 0, n)
            counter += n_blocks
            pos += n

    def encrypt(self, buf, pos, end, tag, tag_pos, n):
        # From behind, so that the key stream of the tag is there at last.
        if end - pos > _FIRST_LEN:
            self._later(buf, pos, end)
        xor(buf, pos, _stream, 16, _first(self.aes, end - pos))
        ghash(_table, _y, self._open, buf, pos, end, self._n_aad)
        put_tag(_y, _stream, tag, tag_pos, n)

    def decrypt(self, buf, pos, end, tag, tag_pos, n):
        # With the key stream of the tag that comes first.
        ghash(_table, _y, self._open, buf, pos, end, self._n_aad)
        n_first = _first(self.aes, end - pos)
        if not reveal(_y, _stream, tag, tag_pos, n, buf, pos, n_first):
            return 0
        if end - pos > _FIRST_LEN:
            self._later(buf, pos, end)
        return 1

    def crypt(self, buf, pos, end):
        self._later(buf, pos, end)
        xor(buf, pos, _stream, 16, _first(self.aes, end - pos))

    def seal(self, octets, title, title_pos, buf, at, pos, end):
        if octets is not _octets or octets[0] != _behind[16] or _holder != self._number:
            self._take(octets)
        n = end - pos
        if n > _FIRST_LEN:
            n = _FIRST_LEN
            nonce(_iv, title, title_pos, buf, at, _stream, 0)
            self._later(buf, pos, end)
        blocks = _blocks[n + 31 >> 4]
        nonce(_iv, title, title_pos, buf, at, blocks, n + 31 >> 4)
        self.aes.encrypt(blocks, blocks)
        xor(buf, pos, _stream, 16, n)
        copy(_y, 0, _behind, 0, 16)
        ghash(_table, _y, 0, buf, pos, end, len(octets))
        put_tag(_y, _stream, buf, end, _TAG_LEN)

    def open(self, octets, title, title_pos, buf, at, pos, end):
        if octets is not _octets or octets[0] != _behind[16] or _holder != self._number:
            self._take(octets)
        copy(_y, 0, _behind, 0, 16)
        ghash(_table, _y, 0, buf, pos, end, len(octets))
        n = end - pos
        if n > _FIRST_LEN:
            n = _FIRST_LEN
        blocks = _blocks[n + 31 >> 4]
        nonce(_iv, title, title_pos, buf, at, blocks, n + 31 >> 4)
        self.aes.encrypt(blocks, blocks)
        if not reveal(_y, _stream, buf, end, _TAG_LEN, buf, pos, n):
            return 0
        if end - pos > _FIRST_LEN:
            self._later(buf, pos, end)
        return 1

    def _take(self, octets):
        """Have the state of GHASH behind octets, with their last block filled up."""
        global _octets
        self.start(octets)
        ghash(_table, _y, self._open, octets, 0, 0, _CLOSED)
        copy(_behind, 0, _y, 0, 16)
        _behind[16] = octets[0]
        _octets = octets


def _first(aes, n):
    """The key stream of the tag and of the first n octets; n that it has."""
    if n > _FIRST_LEN:
        n = _FIRST_LEN
    n_blocks = (n + 31) >> 4
    counters(_stream, _iv, 1, n_blocks)
    blocks = _blocks[n_blocks]
    aes.encrypt(blocks, blocks)
    return n


def new(aes):
    if hasattr(aes, "seal"):
        from crypto._gcm_host import GCM as Sealed

        return Sealed(aes)
    return GCM(aes)
