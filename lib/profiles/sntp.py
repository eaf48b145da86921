# SPDX-License-Identifier: MIT
"""The time of an NTP server, by one question and its answer (RFC 5905, section 14: a client of the
simple protocol), without I/O. A packet is 48 octets, all numbers with the first octet first:

    0       leap indicator (2 bits; 3: the server's clock is not right), version (3), mode (3)
    1       stratum; 0: a kiss of death, whose code is at 12
    24..31  origin timestamp: in an answer the question's transmit timestamp
    40..47  transmit timestamp: seconds since 1900, and 1/2**32 of one

A client needs to say nothing of its own clock: eight octets that nobody can guess stand for its
transmit timestamp, and an answer that does not have them is not ours. With a shared secret both
end in a key identifier (4 octets) and a digest of key and packet (section 7.3): MD5, which
the text has, in the question; MD5 or SHA-1, by its length, in the answer. The digest is handed in:
digest(name, octets), of "md5" or "sha1". This allocates: it is no request's path.
"""

from dlms.prim import compare, copy, fill, same
from micropython import const

LEN = 48
_COOKIE_LEN = const(8)
_KEY_ID_LEN = const(4)
_MD5_LEN = const(16)
_SHA1_LEN = const(20)
_STRATUM = const(1)
_ORIGIN = const(24)
_TRANSMIT = const(40)

_CLIENT = const(0x23)  # version 4, mode 3
_MODE = const(0x07)
_SERVER = const(4)
_LEAP = const(0xC0)
_UNSYNCHRONIZED = const(15)  # the highest stratum that is none of it

# Results of check().
_GOOD = const(0)
_NOT_OURS = const(1)
_UNUSABLE = const(2)
_SLOWER = const(3)
_NEVER = const(4)

# 2000-01-01 in seconds since 1900, and since 2036-02-07, when they begin again.
_EPOCH = 3155673600
_ERA = 4294967296


def question(buf, cookie):
    """Write a question to buf; returns its length. cookie: 8 random octets."""
    fill(buf, 0, LEN, 0)
    buf[0] = _CLIENT
    copy(buf, _TRANSMIT, cookie, 0, _COOKIE_LEN)
    return LEN


def check(buf, n, cookie):
    """What came, of n octets, is: 0 an answer that tells the time; 1 nothing of ours; 2 of a
    server that does not know the time; 3 a wish to be asked less often (RATE), 4 or never (DENY,
    RSTR)."""
    if n < LEN or buf[0] & _MODE != _SERVER or compare(buf, _ORIGIN, cookie, 0, _COOKIE_LEN):
        return _NOT_OURS
    if not buf[_STRATUM]:
        code = bytes(buf[12:16])
        return _SLOWER if code == b"RATE" else _NEVER if code in (b"DENY", b"RSTR") else _UNUSABLE
    if buf[0] & _LEAP == _LEAP or buf[_STRATUM] > _UNSYNCHRONIZED:
        return _UNUSABLE
    return _GOOD if any(buf[_TRANSMIT:LEN]) else _UNUSABLE


def time(buf, later_ms):
    """(minute since 2000 UTC, second, millisecond): the transmit timestamp of an answer, and as
    much later."""
    seconds = int.from_bytes(bytes(buf[_TRANSMIT : _TRANSMIT + 4]), "big")
    if seconds < _EPOCH:
        seconds += _ERA
    ms = ((buf[_TRANSMIT + 4] << 8 | buf[_TRANSMIT + 5]) * 1000 >> 16) + later_ms
    seconds += ms // 1000 - _EPOCH
    return seconds // 60, seconds % 60, ms % 1000


# --- Shared secrets ---------------------------------------------------------------------------


def sign(buf, key_id, key, digest):
    """Put the MAC behind a question; returns its end. key_id: 4 octets; key: octets."""
    copy(buf, LEN, key_id, 0, _KEY_ID_LEN)
    copy(buf, LEN + _KEY_ID_LEN, digest("md5", key + bytes(buf[:LEN])), 0, _MD5_LEN)
    return LEN + _KEY_ID_LEN + _MD5_LEN


def is_signed(buf, n, key_id, key, digest):
    """Has an answer of n octets a good MAC under this key?"""
    at = LEN + _KEY_ID_LEN
    if n == at + _MD5_LEN:
        name = "md5"
    elif n == at + _SHA1_LEN:
        name = "sha1"
    else:
        return False
    if compare(buf, LEN, key_id, 0, _KEY_ID_LEN):
        return False
    return same(buf, at, digest(name, key + bytes(buf[:LEN])), 0, n - at) == 1
