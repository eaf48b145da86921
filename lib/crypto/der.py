# SPDX-License-Identifier: MIT
"""DER (X.690), as much as certificate.py and certificate_request.py need.

    element(buf, pos, end, tag) -> pos     where the content of an element with this tag begins
    after(buf, pos) -> pos                 of an element that element() took: where the next begins
    integer(buf, pos, end, out, at, n)     an INTEGER that is not negative, to n octets
    write(out, pos, tag, n) -> pos         tag and length; room() of them precede n octets
    signature(buf, pos, end, n) -> octets  ECDSA-Sig-Value to r and s of n octets each
    signature_len(rs), write_signature(out, pos, rs) -> pos   and back

Lengths are definite, of the shortest form, and at most 65535. What is not DER raises ValueError
and nothing else; reading never leaves buf[pos:end].
"""

from micropython import const

BOOLEAN = 0x01
INTEGER = 0x02
BIT_STRING = 0x03
OCTET_STRING = 0x04
OID = 0x06
SEQUENCE = 0x30
SET = 0x31

_LONG_FORM = const(0x80)
_ONE_OCTET = const(0x81)
_TWO_OCTETS = const(0x82)


def malformed():
    return ValueError("not DER")


def element(buf, pos, end, tag):
    """Its whole content lies before end."""
    if pos + 2 > end or buf[pos] != tag:
        raise malformed()
    n = buf[pos + 1]
    pos += 2
    if n == _ONE_OCTET and pos < end:
        n = buf[pos]
        pos += 1
        if n < _LONG_FORM:
            raise malformed()
    elif n == _TWO_OCTETS and pos + 1 < end:
        n = buf[pos] << 8 | buf[pos + 1]
        pos += 2
        if n < 0x100:
            raise malformed()
    elif n >= _LONG_FORM:
        raise malformed()
    if pos + n > end:
        raise malformed()
    return pos


def after(buf, pos):
    n = buf[pos + 1]
    if n < _LONG_FORM:
        return pos + 2 + n
    if n == _ONE_OCTET:
        return pos + 3 + buf[pos + 2]
    return pos + 4 + (buf[pos + 2] << 8 | buf[pos + 3])


def integer(buf, pos, end, out, at, n):
    """From its content buf[pos:end] to out[at:at + n]."""
    if pos >= end or buf[pos] & 0x80:
        raise malformed()
    if not buf[pos] and end - pos > 1:
        pos += 1
        if not buf[pos] & 0x80:
            raise malformed()
    if end - pos > n:
        raise malformed()
    for i in range(n):
        k = end - n + i
        out[at + i] = buf[k] if k >= pos else 0


def signature(buf, pos, end, n):
    at = element(buf, pos, end, SEQUENCE)
    if after(buf, pos) != end:
        raise malformed()
    rs = bytearray(2 * n)
    for k in range(2):
        content = element(buf, at, end, INTEGER)
        at = after(buf, at)
        integer(buf, content, at, rs, k * n, n)
    if at != end:
        raise malformed()
    return rs


def room(n):
    """Octets of a tag and the length n."""
    return 2 if n < _LONG_FORM else 3 if n < 0x100 else 4


def write(out, pos, tag, n):
    out[pos] = tag
    if n < _LONG_FORM:
        out[pos + 1] = n
    elif n < 0x100:
        out[pos + 1] = _ONE_OCTET
        out[pos + 2] = n
    else:
        out[pos + 1] = _TWO_OCTETS
        out[pos + 2] = n >> 8
        out[pos + 3] = n & 0xFF
    return pos + room(n)


def put(out, pos, octets):
    for octet in octets:
        out[pos] = octet
        pos += 1
    return pos


def _integer_start(rs, at, n):
    """Where the number rs[at:at + n] begins without its zeros; its last octet always counts."""
    end = at + n - 1
    while at < end and not rs[at]:
        at += 1
    return at


def _integer_len(rs, at, n):
    start = _integer_start(rs, at, n)
    return at + n - start + (rs[start] >> 7)


def _content_len(rs):
    n = len(rs) >> 1
    return 4 + _integer_len(rs, 0, n) + _integer_len(rs, n, n)


def signature_len(rs):
    n = _content_len(rs)
    return room(n) + n


def write_signature(out, pos, rs):
    n = len(rs) >> 1
    pos = write(out, pos, SEQUENCE, _content_len(rs))
    for at in (0, n):
        start = _integer_start(rs, at, n)
        pos = write(out, pos, INTEGER, _integer_len(rs, at, n))
        if rs[start] & 0x80:
            pos = put(out, pos, b"\0")
        pos = put(out, pos, rs[start : at + n])
    return pos
