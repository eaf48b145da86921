# SPDX-License-Identifier: MIT
"""AES key wrap (RFC 3394, with its default initial value): keys under a KEK, 16 or 32 octets.

    wrap(aes, buf, pos, end)           buf[pos + 8:end] is the key, buf[pos:end] becomes it wrapped
    unwrap(aes, buf, pos, end) -> 1    buf[pos:end] is a wrapped key, buf[pos + 8:end] becomes it
                                       0: wrong length, KEK or content; then no octet of it is left

A wrapped key has 8 octets more than the key: 24 or 40 in DLMS. It takes 16 to 64 octets of key,
in steps of 8. `aes` is an AES object of the port that has not been used in the other direction.
Nothing is allocated; the block below is shared, and is cleared before a return.
"""

from micropython import const

from crypto.gcm import copy, reveal, xor

_SEMIBLOCK = const(8)
_ROUNDS = const(6)
_MIN_LEN = const(24)
_MAX_LEN = const(72)

_INITIAL = b"\xa6\xa6\xa6\xa6\xa6\xa6\xa6\xa6"
_ZEROS = b"\0\0\0\0\0\0\0\0"
# A and R[i] of the RFC, side by side.
_block = bytearray(16)


def _length_is_wrong(n):
    return n < _MIN_LEN or n > _MAX_LEN or n & 7


def wrap(aes, buf, pos, end):
    """ValueError: not a length of a key."""
    if _length_is_wrong(end - pos):
        raise ValueError("length of a key")
    block = _block
    copy(block, 0, _INITIAL, 0, _SEMIBLOCK)
    t = 0
    for _ in range(_ROUNDS):
        at = pos + _SEMIBLOCK
        while at < end:
            t += 1
            copy(block, _SEMIBLOCK, buf, at, _SEMIBLOCK)
            aes.encrypt(block, block)
            block[7] ^= t
            copy(buf, at, block, _SEMIBLOCK, _SEMIBLOCK)
            at += _SEMIBLOCK
    copy(buf, pos, block, 0, _SEMIBLOCK)
    xor(block, 0, block, 0, 16)


def unwrap(aes, buf, pos, end):
    if _length_is_wrong(end - pos):
        return 0
    block = _block
    copy(block, 0, buf, pos, _SEMIBLOCK)
    t = _ROUNDS * ((end - pos >> 3) - 1)
    for _ in range(_ROUNDS):
        at = end - _SEMIBLOCK
        while at > pos:
            block[7] ^= t
            t -= 1
            copy(block, _SEMIBLOCK, buf, at, _SEMIBLOCK)
            aes.decrypt(block, block)
            copy(buf, at, block, _SEMIBLOCK, _SEMIBLOCK)
            at -= _SEMIBLOCK
    right = reveal(_INITIAL, _ZEROS, block, 0, _SEMIBLOCK, block, 0, 0)
    xor(block, 0, block, 0, 16)
    if not right:
        xor(buf, pos, buf, pos, end - pos)
    return right
