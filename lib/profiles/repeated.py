# SPDX-License-Identifier: MIT
"""Is a request the one before it, said again? For profiles below which nothing numbers what is
sent, and answers get lost: llc_432.py, and the wrapper for datagrams.

IEC 62056-8-3 and 62056-4-7 leave the client alone there: it asks again, with the same octets, and
what it asks for would be done twice, a next block would end a transfer (see dlms/association.py),
an invocation counter be refused. Project-defined: what comes again from the same client, octet
for octet, with nothing in between, hears the same answer once more, and is not served again.

    GET, Read                    served again: it does no harm, and the value may be another one
    a next block, asked or sent  answered once more
    whatever is ciphered         answered once more, if it has a tag: nobody uses a counter twice
    SET, ACTION, ACCESS, Write,  answered once more, for 30 s; after that it is a new request. One
    AARQ, RLRQ                   that is meant twice within that time needs another invoke-id, or
                                 another request in between
    any other, and what was      served again
    refused

Nothing is allocated; what is kept is the request in the buffer where it came, and the answer in
channel.tx.
"""

from dlms.axdr import length_size
from dlms.prim import compare
from micropython import const

_NO = const(0)
_FOR_A_WHILE = const(1)
_AS_LONG_AS_NOTHING_ELSE_COMES = const(2)

_WHILE_MS = const(30000)
_TICKS_MASK = const(0x3FFFFFFF)
_TAG_LEN = const(12)

_READ_REQUEST = const(0x05)
_WRITE_REQUEST = const(0x06)
_WRITE_RESPONSE = const(0x0D)
_CONFIRMED_SERVICE_ERROR = const(0x0E)
_BLOCK_NUMBER_ACCESS = const(0x05)
_AARQ = const(0x60)
_AARE = const(0x61)
_RESULT_AT = const(15)  # in the octets of an AARE, see dlms/acse.py
_RLRQ = const(0x62)
_USER_INFORMATION = const(0xBE)
_GET_REQUEST = const(0xC0)
_SET_REQUEST = const(0xC1)
_ACTION_REQUEST = const(0xC3)
_SET_RESPONSE = const(0xC5)
_ACTION_RESPONSE = const(0xC7)
_EXCEPTION_RESPONSE = const(0xD8)
_ACCESS_REQUEST = const(0xD9)
_GENERAL_FIRST = const(0xDB)  # general-glo, general-ded, general-ciphering; DF: general-signing
_GENERAL_LAST = const(0xDF)


def _is_ciphered(tag):
    return 0x20 < tag < 0x60 or 0xC8 <= tag <= 0xD7 or _GENERAL_FIRST <= tag <= _GENERAL_LAST


def _kind(buf, pos, end):
    """How long the APDU buf[pos:end] counts as repeated."""
    if end - pos < 2:
        return _NO
    tag = buf[pos]
    kind = buf[pos + 1]
    if _is_ciphered(tag):
        return _AS_LONG_AS_NOTHING_ELSE_COMES
    if tag == _GET_REQUEST:
        goes_on = kind == 2
    elif tag == _READ_REQUEST:
        goes_on = end - pos > 2 and buf[pos + 2] == _BLOCK_NUMBER_ACCESS
    elif tag == _SET_REQUEST:
        goes_on = kind == 2 or kind == 3 or kind == 5
    else:
        goes_on = tag == _ACTION_REQUEST and (kind == 2 or 4 <= kind <= 6)
    if goes_on:
        return _AS_LONG_AS_NOTHING_ELSE_COMES
    if tag == _SET_REQUEST or tag == _ACTION_REQUEST or tag == _ACCESS_REQUEST:
        return _FOR_A_WHILE
    return _FOR_A_WHILE if tag == _WRITE_REQUEST or tag == _AARQ or tag == _RLRQ else _NO


def _open_end(buf, pos, end):
    """Where in the APDU buf[pos:end] what may have been deciphered in place begins; end: nowhere.
    It goes on to a tag."""
    if _is_ciphered(buf[pos]):
        return pos + 1
    if buf[pos] == _AARQ:
        at = pos + 2
        while at + 5 < end and buf[at + 1] < 0x80:
            if buf[at] == _USER_INFORMATION:
                return at + 5 if _is_ciphered(buf[at + 4]) else end
            at += 2 + buf[at + 1]
    return end


def is_repeated(rx, buf, pos, n, head):
    """Is buf[pos:pos + n], head octets and an APDU, the request rx[:n], whose answer is kept?"""
    end = pos + n
    if _kind(buf, pos + head, end) == _NO:
        return False
    k = _open_end(buf, pos + head, end) - pos
    if k == n:
        return compare(rx, 0, buf, pos, n) == 0
    tail = n - _TAG_LEN
    if tail < k or compare(rx, 0, buf, pos, k):
        return False
    return compare(rx, tail, buf, pos + tail, _TAG_LEN) == 0


def is_over(rx, n, head, ms):
    """Is what comes ms milliseconds after the request rx[:n] another one, whatever it is? To be
    asked by tick(), for ticks begin anew."""
    return (ms & _TICKS_MASK) > _WHILE_MS and _kind(rx, head, n) == _FOR_A_WHILE


def is_kept(tx, pos):
    """May the answer tx[pos:] be given once more? Not if it refuses: what was not done may be
    asked for again."""
    tag = tx[pos]
    if tag == _AARE:
        return tx[pos + 1 + length_size(tx, pos + 1) + _RESULT_AT] == 0
    if tag == _WRITE_RESPONSE and tx[pos + 1] == 1:
        return tx[pos + 2] == 0
    if (tag == _SET_RESPONSE or tag == _ACTION_RESPONSE) and tx[pos + 1] == 1:
        return tx[pos + 3] == 0
    return tag != _EXCEPTION_RESPONSE and tag != _CONFIRMED_SERVICE_ERROR
