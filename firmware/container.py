# SPDX-License-Identifier: MIT
"""The container of a firmware image: what an Image transfer brings. Project-defined.

    "PMFW", format u8 (1), algorithm u8 (1), head_len u16 (from "PMFW" to the end of the signature)
    version u32      see version.py
    payload_len u32
    n u8, runtime    n octets of text: what it runs on, see runtime() of update.py
    hash             32 octets: SHA-256 of the payload
    signature        64 octets, r and s: ECDSA on P-256, of SHA-256 of all that is in front of it
    payload          files: n u8, path; length u32; content

Algorithm 1 is the two named here; others may get other numbers. Numbers have the highest octet
first. A path has letters, digits, - and _, dots and slashes, no part of it begins with a dot; it
leads from the folder of a slot. The image ends where the last file does. If slots are regions of
flash (regions.py) it has one file, a ROMFS; what leads there, head_len and the length of its path,
stays where it is, for the launcher of a meter is not updated.

verify() says what is wrong with one as the code of an event (meter/events.py): it is all that is
known of an image when nothing is. What is in it is believed after its signature only.
"""

from crypto import hashes
from dlms.axdr import get_u32
from firmware.ports import ciphers
from micropython import const

TRUNCATED = 100  # it ends before it should
DAMAGED = 101  # no image of a known format, or not the octets that were put together
WRONGLY_SIGNED = 102  # not by the maker
NOT_NEWER = 103
FOREIGN = 104  # for another runtime

_MAGIC = b"PMFW\x01\x01"
_HEAD_LEN_AT = const(6)
_VERSION_AT = const(8)
_PAYLOAD_LEN_AT = const(12)
_RUNTIME_AT = const(16)
_HASH_LEN = const(32)
_SIGNATURE_LEN = const(64)
_LONGEST_HEAD = const(255)
_LONGEST_FILE = const(0xFFFFFF)
_CHUNK = 512


class Image:
    """One in a file f, of `size` octets. code: 0, or why it has no head that could be read; then
    nothing else is there: version, runtime (octets), hash, signature, at (of the payload)."""

    def __init__(self, f, size):
        self._f = f
        self.size = size
        head = bytearray(_LONGEST_HEAD)
        f.seek(0)
        n = min(f.readinto(head), size)
        self.at = head[_HEAD_LEN_AT] << 8 | head[_HEAD_LEN_AT + 1]
        end = _RUNTIME_AT + 1 + head[_RUNTIME_AT] + _HASH_LEN + _SIGNATURE_LEN
        self.code = 0
        self.signature = b""
        known = min(n, _HEAD_LEN_AT)
        if head[:known] != _MAGIC[:known]:
            self.code = DAMAGED
        elif n <= _RUNTIME_AT:
            self.code = TRUNCATED
        elif end != self.at or end > _LONGEST_HEAD:
            self.code = DAMAGED
        elif size < end + get_u32(head, _PAYLOAD_LEN_AT):
            self.code = TRUNCATED
        elif size > end + get_u32(head, _PAYLOAD_LEN_AT):
            self.code = DAMAGED
        else:
            self.version = get_u32(head, _VERSION_AT)
            signature = end - _SIGNATURE_LEN
            self._signed = bytes(head[:signature])
            self.runtime = bytes(head[_RUNTIME_AT + 1 : signature - _HASH_LEN])
            self.hash = bytes(head[signature - _HASH_LEN : signature])
            self.signature = bytes(head[signature:end])

    def verify(self, number, runtime, key):
        """Generator: 0, or the code of what is wrong with it. number: that of the firmware that
        runs; key: x and y of the maker's, b"": nobody is trusted."""
        if self.code:
            return self.code
        digest = _new()
        left = self.size - self.at
        chunk = memoryview(bytearray(_CHUNK))
        self._f.seek(self.at)
        while left:
            n = self._f.readinto(chunk[: min(left, _CHUNK)])
            if not n:
                return TRUNCATED
            digest.update(chunk[:n])
            left -= n
            yield
        if digest.digest() != self.hash:
            return DAMAGED
        if not key or not (yield from self._is_signed(key)):
            return WRONGLY_SIGNED
        if self.runtime != runtime:
            return FOREIGN
        if self.version <= number:
            return NOT_NEWER
        at = self.at
        while at < self.size:
            path, at, n = self.file(at)
            if not is_path(path) or at + n > self.size:
                return DAMAGED
            at += n
            yield
        return 0

    def _is_signed(self, key):
        digest = _new()
        digest.update(self._signed)
        work = ciphers.work("P-256")
        work.verify(key, digest.digest(), self.signature)
        while work.step():
            yield
        return work.result

    def file(self, at):
        """(path, place of the content, its length) of the file whose entry is at `at`."""
        self._f.seek(at)
        n = self._f.read(1)[0]
        path = self._f.read(n)
        length = self._f.read(4)
        length = get_u32(length, 0) if len(length) == 4 else _LONGEST_FILE
        return path, at + 1 + n + 4, length

    def read(self, at, chunk):
        """Fill a memoryview from the image; False: it could not be done."""
        self._f.seek(at)
        return self._f.readinto(chunk) == len(chunk)


def _new():
    return hashes.new("sha256", ciphers.new_hash)


def is_path(path):
    """May a file of an image be called this (octets)?"""
    part = 0
    for c in path:
        if c == 0x2F:
            if not part:
                return False
            part = 0
            continue
        if c == 0x2E:
            if not part:
                return False
        elif not (0x30 <= c <= 0x39 or 0x61 <= c <= 0x7A or 0x41 <= c <= 0x5A or c in b"-_"):
            return False
        part += 1
    return part > 0
