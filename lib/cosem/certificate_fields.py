# SPDX-License-Identifier: MIT
"""Certificates of the vault where they lie: what the attribute `certificates` of Security setup
shows of them (IEC 62056-6-2, 4.4.7), and the few fields that others look for.

    field(buf, pos, k) -> pos       element k of what is signed: SERIAL, ISSUER, SUBJECT, KEY
    content(buf, pos) -> pos        of an element; crypto.der.after(buf, pos) is its end
    is_short(buf, pos) -> bool      fits item(); longer ones are not taken
    begin(vault, s), item(vault, s, buf, pos) -> pos
                                    the attribute, for open() and item() of security_setup.py: an
                                    element has at most 384 octets; -1: it is longer

Whatever is in the vault was read by crypto/certificate.py before it got there, so that lengths and
order of the fields are right. Nothing is allocated.
"""

from crypto.der import after
from dlms.axdr import put_length
from dlms.prim import compare, copy
from micropython import const

SERIAL = 0
ISSUER = 2
SUBJECT = 4
KEY = 5

_VERSION = const(0xA0)
_EXTENSIONS = const(0xA3)
_DER_BOOLEAN = const(1)
_LONG_FORM = const(0x80)
_SUBJECT_ALT_NAME = b"\x06\x03\x55\x1d\x11"

_ARRAY = const(1)
_STRUCTURE = const(2)
_OCTET_STRING = const(9)
_ENUM = const(0x16)
# 384, without the tags and lengths of a structure of two enums and four octet-strings.
_MOST = const(362)


def content(buf, pos):
    n = buf[pos + 1]
    return pos + 2 if n < _LONG_FORM else pos + 2 + (n & 0x7F)


def field(buf, pos, k):
    """Of the certificate at buf[pos:]; the version is not counted, for it may be left out."""
    pos = content(buf, content(buf, pos))
    if buf[pos] == _VERSION:
        pos = after(buf, pos)
    while k:
        pos = after(buf, pos)
        k -= 1
    return pos


def _subject_alt_name(buf, pos):
    """Its GeneralNames, or -1."""
    end = after(buf, content(buf, pos))
    pos = after(buf, field(buf, pos, KEY))
    while pos < end and buf[pos] != _EXTENSIONS:
        pos = after(buf, pos)
    if pos >= end:
        return -1
    pos = content(buf, content(buf, pos))
    while pos < end:
        at = content(buf, pos)
        if compare(buf, at, _SUBJECT_ALT_NAME, 0, 5) == 0:
            at = after(buf, at)
            if buf[at] == _DER_BOOLEAN:
                at = after(buf, at)
            return content(buf, at)
        pos = after(buf, pos)
    return -1


def is_short(buf, pos):
    n = _size(buf, field(buf, pos, SERIAL)) + _size(buf, field(buf, pos, ISSUER))
    n += _size(buf, field(buf, pos, SUBJECT))
    at = _subject_alt_name(buf, pos)
    if at >= 0:
        n += _size(buf, at)
    return n <= _MOST


def _size(buf, pos):
    return after(buf, pos) - pos


def _put(out, at, buf, pos, end):
    n = end - pos
    out[at] = _OCTET_STRING
    at = put_length(out, at + 1, n)
    copy(out, at, buf, pos, n)
    return at + n


def begin(vault, s):
    # s.b, s.c: item s.c is record s.b of the vault.
    s.b = -1
    s.c = 0
    s.n = 1
    k = _next(vault, s.row, 0)
    while k >= 0:
        s.n += 1
        k = _next(vault, s.row, k + 1)


def _next(vault, row, k):
    """Go to the first certificate from record k (0..) on, and return where it is; -1: none."""
    while vault.nth(row, k):
        # A key pair that waits for its certificate is none.
        if vault.pos < vault.end:
            return k
        k += 1
    return -1


def item(vault, s, buf, pos):
    if s.k == 0:
        buf[pos] = _ARRAY
        return put_length(buf, pos + 1, s.n - 1)
    if s.k != s.c:
        s.c = s.k
        s.b += 1
    s.b = _next(vault, s.row, s.b)
    return _info(vault, buf, pos) if s.b >= 0 else -1


def _info(vault, out, at):
    """Names are shown as they are in DER, the serial number as the content of its INTEGER."""
    buf = vault.record
    pos = vault.pos
    if not is_short(buf, pos):
        return -1
    out[at] = _STRUCTURE
    out[at + 1] = 6
    out[at + 2] = _ENUM
    out[at + 3] = vault.entity
    out[at + 4] = _ENUM
    out[at + 5] = vault.kind
    serial = field(buf, pos, SERIAL)
    at = _put(out, at + 6, buf, content(buf, serial), after(buf, serial))
    name = field(buf, pos, ISSUER)
    at = _put(out, at, buf, name, after(buf, name))
    name = field(buf, pos, SUBJECT)
    at = _put(out, at, buf, name, after(buf, name))
    name = _subject_alt_name(buf, pos)
    if name < 0:
        return _put(out, at, buf, pos, pos)
    return _put(out, at, buf, name, after(buf, name))
