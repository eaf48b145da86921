# SPDX-License-Identifier: MIT
"""The Write and UnconfirmedWrite services (IEC 62056-5-3): attributes, methods, lists, blocks.

A request is a list of names and a list of Data, one for each. A value is checked whole before an
octet changes. A method is run with the Data as its parameter (null-data: none), and what it
returns is dropped. A long request comes in blocks, each the octet-string of a Write of one:
together they are what comes after the tag of the whole request.
"""

from dlms.axdr import get_u16, is_list_of, length, length_size, put_length, put_u16, skip
from dlms.undo import take
from dlms.variables import error, named, specifications, wakes
from micropython import const

_WRITE_REQUEST = const(0x06)
_WRITE_RESPONSE = const(0x0D)

_PARAMETERIZED_ACCESS = const(4)
_WRITE_DATA_BLOCK_ACCESS = const(7)
_BLOCK_NUMBER = const(2)

_SERVICE = const(3)  # class of the confirmedServiceError
_OTHER = const(0)
_PDU_SIZE = const(1)
_UNSUPPORTED = const(2)

_TEMPORARY_FAILURE = const(2)
_OBJECT_UNDEFINED = const(4)
_SCOPE_VIOLATED = const(13)
_LONG_SET_ABORTED = const(17)

_NULL_DATA = const(0)
_OCTET_STRING = const(9)

_CONFORMANCE_BLOCK_TRANSFER_WRITE = const(0x000800)
_CONFORMANCE_MULTIPLE_REFERENCES = const(0x000200)

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)

# Of association.py.
_NO_TRANSFER = const(0)
_LONG_SET = const(2)
_SET_BLOCK = const(1)
_MORE = const(-1)
_NO_ROOM = const(1)

_METHOD = const(0x80)
_LATER = const(-1)
_ACTION = "dlms.action"  # part of the server


def request(a, buf, pos, end):
    """Serve the WriteRequest, or UnconfirmedWriteRequest, buf[pos:end] in association a; length of
    the reply, -1: later."""
    if end - pos >= 9 and buf[pos + 1] == 1 and buf[pos + 2] == _WRITE_DATA_BLOCK_ACCESS:
        return _block(a, buf, pos + 3, end)
    # A new request ends what runs.
    a.transfer = _NO_TRANSFER
    return _serve(a, buf, pos + 1, end, 0)


def _error(a, value):
    return error(a.channel, _WRITE_REQUEST, _SERVICE, value)


def _serve(a, buf, pos, end, out):
    """Do what buf[pos:end] says; return data go to work[out:]."""
    at = specifications(buf, pos, end)
    if at < 0:
        return _error(a, _UNSUPPORTED if at == -2 else _OTHER)
    n = length(buf, pos, end)
    if not is_list_of(buf, at, end, n):
        return _error(a, _OTHER)
    if n > 1 and not a.conformance & _CONFORMANCE_MULTIPLE_REFERENCES:
        return _error(a, _UNSUPPORTED)
    if wakes(a, buf, pos + length_size(buf, pos), n):
        return _LATER
    if _runs_method(a, buf, pos, at) and a.server.part(_ACTION) is None:
        return _LATER
    channel = a.channel
    if 4 + 2 * n > a.limit:
        # Before anything is written.
        return _error(a, _PDU_SIZE)
    tx = channel.tx
    tx[_HEADROOM] = _WRITE_RESPONSE
    after = put_length(tx, _HEADROOM + 1, n)
    pos += length_size(buf, pos)
    at += length_size(buf, at)
    last = n == 1
    while n:
        data_end = skip(buf, at, end)
        dar = _write(a, buf, pos, at, data_end, out)
        if dar < 0:
            if last:
                return _LATER
            if a.asks:
                a.forget_job()
            dar = _TEMPORARY_FAILURE
        if dar:
            tx[after] = 1
            after += 1
        tx[after] = dar
        after += 1
        pos += 3
        if buf[pos - 3] == _PARAMETERIZED_ACCESS:
            pos = skip(buf, pos + 1, end)
        at = data_end
        n -= 1
    return channel.reply(_HEADROOM, after)


def _runs_method(a, buf, pos, end):
    """Is a method among what the specifications buf[pos:end] name?"""
    pos += length_size(buf, pos)
    while pos < end:
        found = named(a, buf, pos + 1)
        if found >= 0 and found & _METHOD:
            return True
        pos = skip(buf, pos + 4, end) if buf[pos] == _PARAMETERIZED_ACCESS else pos + 3
    return False


def _write(a, buf, at, pos, end, out):
    """Write the Data buf[pos:end] to what the specification at buf[at:] names; data_access_result,
    or _LATER."""
    if buf[at] == _PARAMETERIZED_ACCESS:
        # No class has an attribute that is written in parts.
        return _SCOPE_VIOLATED
    found = named(a, buf, at + 1)
    if found < 0:
        return _OBJECT_UNDEFINED
    row = found >> 8
    if found & _METHOD:
        a.stream.n = 0
        if buf[pos] == _NULL_DATA:
            pos = end
        return a.server.part(_ACTION).run(a, row, found & 0x7F, buf, pos, end, out)
    dar = a.may_write(row, found & 0xFF)
    return dar or take(a, row, found & 0xFF, buf, pos, end)


# --- Blocks -----------------------------------------------------------------------------------


def _block(a, buf, pos, end):
    """write-data-block access: last_block, block_number; then one Data, the octets."""
    if not a.conformance & _CONFORMANCE_BLOCK_TRANSFER_WRITE:
        return _error(a, _UNSUPPORTED)
    n = length(buf, pos + 5, end)
    if (
        n < 0
        or buf[pos + 3] != 1
        or buf[pos + 4] != _OCTET_STRING
        or pos + 5 + length_size(buf, pos + 5) + n != end
    ):
        a.transfer = _NO_TRANSFER
        return _error(a, _OTHER)
    if get_u16(buf, pos + 1) == 1:
        a.begin_raw(_LONG_SET)
    dar = a.goes_on(_SET_BLOCK, a.iip)
    if dar:
        return _failed(a, dar)
    before = a.raw_end
    taken = a.take_raw(buf[pos], get_u16(buf, pos + 1), buf, end - n, n)
    if taken == _MORE:
        at = put_u16(a.channel.tx, _head(a, _BLOCK_NUMBER), a.block_number)
        return a.channel.reply(_HEADROOM, at)
    if taken:
        return _failed(a, _LONG_SET_ABORTED if taken == _NO_ROOM else taken)
    answer = _serve(a, a.work, 0, a.raw_end, a.raw_end)
    if answer < 0:
        # This block comes again.
        a.transfer = _LONG_SET
        a.block_number -= 1
        a.raw_end = before
    return answer


def _head(a, choice):
    tx = a.channel.tx
    tx[_HEADROOM] = _WRITE_RESPONSE
    tx[_HEADROOM + 1] = 1
    tx[_HEADROOM + 2] = choice
    return _HEADROOM + 3


def _failed(a, dar):
    """A response with one data-access-error; what runs is over."""
    a.transfer = _NO_TRANSFER
    pos = _head(a, 1)
    a.channel.tx[pos] = dar
    return a.channel.reply(_HEADROOM, pos + 1)
