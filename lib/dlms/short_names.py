# SPDX-License-Identifier: MIT
"""Associations with short names (IEC 62056-5-3): which service answers, and the passes 3 and 4.

A part of the server, which is loaded when a client asks by a short name; what it imports comes
with it, but for write.py and action.py, parts of their own. See variables.py for what answers
what. Nothing is allocated.
"""

from dlms import exceptions, read
from dlms.variables import error, named
from micropython import const

_READ_REQUEST = const(0x05)
_WRITE_REQUEST = const(0x06)
_UNCONFIRMED_WRITE_REQUEST = const(0x16)
_READ_RESPONSE = const(0x0C)
_WRITE_RESPONSE = const(0x0D)

_VARIABLE_NAME = const(2)
_PARAMETERIZED_ACCESS = const(4)

_CONFORMANCE_READ = const(0x100000)
_CONFORMANCE_WRITE = const(0x080000)
_CONFORMANCE_UNCONFIRMED_WRITE = const(0x040000)

# Classes and values of the confirmedServiceError.
_VDE_STATE = const(2)
_NO_DLMS_CONTEXT = const(1)
_SERVICE = const(3)
_UNSUPPORTED = const(2)

_READ_WRITE_DENIED = const(3)

_REPLY_TO_HLS = const(0x88)
_OCTET_STRING = const(9)


def request(a, buf, pos, end):
    """Serve the APDU buf[pos:end] in association a; length of the reply, -1: it comes again."""
    tag = buf[pos]
    if tag == _READ_REQUEST:
        if a.conformance & _CONFORMANCE_READ:
            return read.request(a, buf, pos, end)
    elif tag == _WRITE_REQUEST:
        if a.conformance & _CONFORMANCE_WRITE:
            write = a.server.part("dlms.write")
            return -1 if write is None else write.request(a, buf, pos, end)
    elif tag == _UNCONFIRMED_WRITE_REQUEST:
        if a.conformance & _CONFORMANCE_UNCONFIRMED_WRITE:
            write = a.server.part("dlms.write")
            n = -1 if write is None else write.request(a, buf, pos, end)
            return n if n < 0 else 0
        return 0
    else:
        return exceptions.not_supported(a.channel, tag)
    return error(a.channel, tag, _SERVICE, _UNSUPPORTED)


# --- Pass 3 and 4 of high level security ----------------------------------------------------


def proof(a, buf, pos, end):
    """Where the length of f(StoC) is, if this is reply_to_HLS_authentication; else -1.

    It is read with its parameter, and f(CtoS) is the result; or written, and the client forgoes
    that.
    """
    if end - pos < 8 or buf[pos + 1] != 1:
        return -1
    if buf[pos] == _READ_REQUEST:
        good = buf[pos + 2] == _PARAMETERIZED_ACCESS
    else:
        good = buf[pos] == _WRITE_REQUEST and buf[pos + 2] == _VARIABLE_NAME and buf[pos + 5] == 1
    if not good or buf[pos + 6] != _OCTET_STRING:
        return -1
    return pos + 7 if named(a, buf, pos + 3) == a.row << 8 | _REPLY_TO_HLS else -1


def pass_4(channel, tag, start, end):
    """The answer to proof(): f(CtoS) is tx[start:end]; end -1: the client has not passed."""
    tx = channel.tx
    head = start - 5
    tx[head] = _READ_RESPONSE if tag == _READ_REQUEST else _WRITE_RESPONSE
    tx[head + 1] = 1
    if end < 0:
        tx[head + 2] = 1
        tx[head + 3] = _READ_WRITE_DENIED
        return channel.reply(head, head + 4)
    tx[head + 2] = 0
    if tag == _WRITE_REQUEST:
        return channel.reply(head, head + 3)
    tx[head + 3] = _OCTET_STRING
    tx[head + 4] = end - start
    return channel.reply(head, end)


def not_yet(channel, tag):
    """Anything else before pass 3."""
    if tag == _READ_REQUEST or tag == _WRITE_REQUEST:
        return error(channel, tag, _VDE_STATE, _NO_DLMS_CONTEXT)
    if tag == _UNCONFIRMED_WRITE_REQUEST:
        return 0
    return exceptions.no_association(channel, tag)
