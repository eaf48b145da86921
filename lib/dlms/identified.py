# SPDX-License-Identifier: MIT
"""General-ciphering (IEC 62056-5-3, 5.3.4 and 5.3.6) with keys that the meter has: the unicast key
or the broadcast key. In place, and nothing is allocated, as in ciphering.py.

    DD  transaction-id  originator  recipient  date-time  other-information     each with a length
    01  00  key-id      01: there is key-info, 00: identified; 0 unicast, 1 broadcast
    length  security control  invocation counter (4)  octets [tag 12]

What is authenticated before the octets: security control, authentication key, and those five
fields with their lengths. The originator is the client and the recipient this meter, or neither is
named; date-time and other-information may be anything. The answer has the transaction-id of the
request and the unicast key.

Not taken: a security control without protection, compression (V.44 is not in this meter), and
a key that is said by its Key_Set bit, which general-ciphering does not have.

The functions with which general.py does the same for other keys are here, too.
"""

from dlms.axdr import length, length_size, put_length
from dlms.ciphering import take
from dlms.prim import compare, copy, count
from micropython import const

_GENERAL_CIPHERING = const(0xDD)
_PRESENT = const(1)
_IDENTIFIED_KEY = const(0)
_UNICAST = const(0)
_BROADCAST = const(1)

# Of ciphering.py: kinds, and what unprotect() says.
_AUTHENTICATED = const(1)
_ENCRYPTED = const(2)
_LATER = const(-1)
_NOT_POSSIBLE = const(1)
_WRONG = const(5)

# form, after those of ciphering.py.
_IDENTIFIED = const(5)

_TITLE_LEN = const(8)
_COUNTER_LEN = const(4)
_HEAD_LEN = const(5)  # security control and invocation counter
_TAG_LEN = const(12)
_LONGEST_TRANSACTION_ID = const(32)
_KEY_INFO_LEN = const(3)
# What profiles need in front of an APDU.
_HEADERS = const(32)


def is_here(buf, pos, end):
    """Is the APDU buf[pos:end] one for unprotect()? Of others, general.py knows."""
    if buf[pos] != _GENERAL_CIPHERING:
        return False
    at = pos + 1
    for _ in range(5):
        at = _after(buf, at, end)
        if at < 0:
            return True
    return at + 1 >= end or buf[at] != _PRESENT or buf[at + 1] == _IDENTIFIED_KEY


def unprotect(a, context, title, title_pos, buf, pos, end):
    """As ciphering.unprotect(); a.fields and a.fields_pos stay the place of the request's fields
    until the answer has been protected."""
    at = addressed(buf, pos + 1, end, title, title_pos, a.model.system_title)
    if at < 0 or at + 2 >= end or buf[at] != _PRESENT or buf[at + 1] != _IDENTIFIED_KEY:
        return _WRONG
    if buf[at + 2] == _UNICAST:
        key = context.unicast
    elif buf[at + 2] == _BROADCAST:
        key = context.broadcast
    else:
        return _WRONG
    content = content_of(context, buf, at + _KEY_INFO_LEN, end)
    if key is None or content < 0:
        return _WRONG
    kinds = buf[content] >> 4
    if context.needs_request & ~kinds & 3:
        return _NOT_POSSIBLE  # see ciphering.py
    if key is False:
        a.server.secured.wants_keys(context)
        return _LATER
    if kinds & _AUTHENTICATED:
        end -= _TAG_LEN
    if not decipher(key.gcm, context, title, title_pos, buf, pos + 1, at, content, end):
        return _WRONG
    wrong = take(a, context, key, buf, content, end)
    if not wrong:
        a.form = _IDENTIFIED
        a.fields = buf
        a.fields_pos = pos + 1
    return wrong


def overhead(a, kinds):
    """Octets that protect() adds at most."""
    if not kinds:
        return 0
    n = 1 + put_fields_len(a) + _KEY_INFO_LEN + 3 + _HEAD_LEN
    return n + _TAG_LEN if kinds & _AUTHENTICATED else n


def protect(a, context, title, kinds, buf, pos, end):
    """As ciphering.protect(). The APDU is moved up, if what comes in front would leave less than
    32 octets before it."""
    key = context.unicast
    if key is None or key.exhausted():
        return -1
    n = end - pos + _HEAD_LEN
    if kinds & _AUTHENTICATED:
        n += _TAG_LEN
    n_length = 1 if n < 0x80 else 2 if n < 0x100 else 3
    n_fields = put_fields_len(a)
    start = pos - _HEAD_LEN - n_length - _KEY_INFO_LEN - n_fields - 1
    if start < _HEADERS:
        _move_up(buf, pos, end, _HEADERS - start)
        end += _HEADERS - start
        start = _HEADERS
    buf[start] = _GENERAL_CIPHERING
    at = start + 1 + n_fields
    put_fields(a, title, buf, start + 1)
    buf[at] = _PRESENT
    buf[at + 1] = _IDENTIFIED_KEY
    buf[at + 2] = _UNICAST
    content = put_length(buf, at + _KEY_INFO_LEN, n)
    buf[content] = kinds << 4 | context.suite
    encipher(key.gcm, context, key.tx, title, buf, start + 1, at, content, end)
    a.plain_end = content + n
    return start


# --- Parts, for any key ---------------------------------------------------------------------


def _after(buf, pos, end):
    """Where the octet-string at pos ends, or -1."""
    n = length(buf, pos, end)
    if n < 0:
        return -1
    pos += length_size(buf, pos) + n
    return pos if pos <= end else -1


def addressed(buf, pos, end, client, client_pos, server):
    """The end of the five fields at pos, from transaction-id on, if they are of this client and
    for this meter, else -1."""
    if pos >= end or buf[pos] > _LONGEST_TRANSACTION_ID:
        return -1
    at = _after(buf, pos, end)
    if at < 0:
        return -1
    at = _titled(buf, at, end, client, client_pos)
    if at < 0:
        return -1
    at = _titled(buf, at, end, server, 0)
    if at < 0:
        return -1
    at = _after(buf, at, end)
    return _after(buf, at, end) if at >= 0 else -1


def _titled(buf, pos, end, title, title_pos):
    """The end of a system title that is this one or none, else -1."""
    if pos < end and buf[pos] == 0:
        return pos + 1
    if pos + 9 > end or buf[pos] != _TITLE_LEN:
        return -1
    return pos + 9 if compare(buf, pos + 1, title, title_pos, _TITLE_LEN) == 0 else -1


def content_of(context, buf, at, end):
    """Where the protected octets begin, whose length is at `at`, if their security control is one
    of this context; else -1."""
    n = length(buf, at, end)
    if n < _HEAD_LEN:
        return -1
    at += length_size(buf, at)
    if at + n != end:
        return -1
    kinds = buf[at] >> 4
    # Bits 2 and 3 of kinds are Key_Set and compression.
    if not 1 <= kinds <= 3 or buf[at] & 0x0F != context.suite:
        return -1
    n -= _HEAD_LEN + (_TAG_LEN if kinds & _AUTHENTICATED else 0)
    return at if n > 0 else -1


def decipher(g, context, title, title_pos, buf, fields, fields_end, content, end):
    """Check and decipher what comes after the counter at buf[content + 1:], up to end, where the
    tag is; 0: it is wrong."""
    kinds = buf[content] >> 4
    body = content + _HEAD_LEN
    g.begin(title, title_pos, buf, content + 1)
    if kinds == _ENCRYPTED:
        g.crypt(buf, body, end)
        return 1
    _additional(g, context, kinds, buf, fields, fields_end, content, end)
    if kinds == _AUTHENTICATED:
        body = end
    return g.decrypt(buf, body, end, buf, end, _TAG_LEN)


def encipher(g, context, counter, title, buf, fields, fields_end, content, end):
    """The other way, with the next counter, which is used up by that; buf[content] is the security
    control, and the tag goes to buf[end:]."""
    kinds = buf[content] >> 4
    body = content + _HEAD_LEN
    copy(buf, content + 1, counter, 0, _COUNTER_LEN)
    count(counter, 0, counter, 0)
    g.begin(title, 0, buf, content + 1)
    if kinds == _ENCRYPTED:
        g.crypt(buf, body, end)
        return
    _additional(g, context, kinds, buf, fields, fields_end, content, end)
    if kinds == _AUTHENTICATED:
        body = end
    g.encrypt(buf, body, end, buf, end, _TAG_LEN)


def _additional(g, context, kinds, buf, fields, fields_end, content, end):
    """What is authenticated in front of what is encrypted."""
    aad = context.aad
    aad[0] = buf[content]
    g.start(aad)
    g.aad(buf, fields, fields_end)
    if kinds == _AUTHENTICATED:
        g.aad(buf, content + _HEAD_LEN, end)


def put_fields_len(a):
    """How long put_fields() is."""
    return 1 + a.fields[a.fields_pos] + 9 + 9 + 2


def put_fields(a, title, buf, pos):
    """The five fields of an answer: the transaction-id of the request, the meter with its title,
    the client; returns their end."""
    n = 1 + a.fields[a.fields_pos]
    copy(buf, pos, a.fields, a.fields_pos, n)
    pos += n
    buf[pos] = _TITLE_LEN
    copy(buf, pos + 1, title, 0, _TITLE_LEN)
    pos += 9
    buf[pos] = _TITLE_LEN
    copy(buf, pos + 1, a.title, 0, _TITLE_LEN)
    pos += 9
    buf[pos] = 0
    buf[pos + 1] = 0
    return pos + 2


def _move_up(buf, pos, end, n):
    """buf[pos + n:end + n] = buf[pos:end]"""
    while end > pos:
        start = end - n if end - n > pos else pos
        copy(buf, start + n, buf, start, end - start)
        end = start
