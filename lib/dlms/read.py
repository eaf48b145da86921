# SPDX-License-Identifier: MIT
"""The Read service (IEC 62056-5-3, Read): variables, parameterized access, lists, blocks.

The answer is a SEQUENCE OF results, which the Stream writes. If it does not fit, the request is
kept in the work buffer of the association and the sequence goes out in blocks. Methods are run
before: the request and then their results are in the work buffer. read_by_logicalname of
Association SN is a walk of its own, of one Read alone: over the attributes that it asks for, with
null-data for each that the client may not read.
"""

from dlms import variables
from dlms.axdr import get_u16, length, length_size, put_length, put_u16, skip
from dlms.variables import error, named, quick, specifications, wakes
from micropython import const

_READ_REQUEST = const(0x05)
_READ_RESPONSE = const(0x0C)

_PARAMETERIZED_ACCESS = const(4)
_BLOCK_NUMBER_ACCESS = const(5)
_READ_DATA_BLOCK_ACCESS = const(6)
_DATA_BLOCK_RESULT = const(2)
_BLOCK_NUMBER = const(3)

_SERVICE = const(3)  # class of the confirmedServiceError
_OTHER = const(0)
_PDU_SIZE = const(1)
_UNSUPPORTED = const(2)

_TEMPORARY_FAILURE = const(2)
_LONG_GET_ABORTED = const(15)
_DATA_BLOCK_NUMBER_INVALID = const(19)
_OTHER_REASON = const(250)

_NULL_DATA = const(0)
_ARRAY = const(1)

_CONFORMANCE_BLOCK_TRANSFER_READ = const(0x001000)
_CONFORMANCE_MULTIPLE_REFERENCES = const(0x000200)
_CONFORMANCE_PARAMETERIZED_ACCESS = const(0x000020)

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)

# Of association.py. A long request is in the state that a long ActionRequest is in.
_NO_TRANSFER = const(0)
_LONG_GET = const(1)
_LONG_REQUEST = const(3)
_GET_NEXT = const(0)
_REQUEST_BLOCK = const(2)
_MORE = const(-1)
_NO_ROOM = const(1)
_LAST_NUMBER = const(0xFFFF)

_METHOD = const(0x80)
_RESULT_LEN = const(6)  # see variables.py
_LATER = const(-1)
_NEEDS_JOB = const(255)  # of stream.py
_ASLEEP = const(254)

# read_by_logicalname of Association SN, and an element of its parameter.
_ASSOCIATION_SN = const(12)
_READ_BY_LOGICALNAME = const(0x83)
_ELEMENT_LEN = const(15)


def request(a, buf, pos, end):
    """Serve the ReadRequest buf[pos:end] in association a; length of the reply, -1: later."""
    if end - pos == 5 and buf[pos + 1] == 1:
        tx = a.channel.tx
        after = quick(a, buf, pos + 2, tx, _HEADROOM, a.limit + _HEADROOM - 3)
        if after >= 0:
            a.transfer = _NO_TRANSFER
            tx[_HEADROOM - 3] = _READ_RESPONSE
            tx[_HEADROOM - 2] = 1
            tx[_HEADROOM - 1] = 0
            a.channel.tx_pos = _HEADROOM - 3
            return after - (_HEADROOM - 3)
    if end - pos >= 5 and buf[pos + 1] == 1:
        if buf[pos + 2] == _BLOCK_NUMBER_ACCESS:
            return _next(a, buf, pos + 3, end)
        if buf[pos + 2] == _READ_DATA_BLOCK_ACCESS:
            return _request_block(a, buf, pos + 3, end)
    # A new request ends what runs.
    a.transfer = _NO_TRANSFER
    return _serve(a, buf, pos + 1, end)


def _error(a, value):
    return error(a.channel, _READ_REQUEST, _SERVICE, value)


def _serve(a, buf, pos, end):
    """Answer the specifications buf[pos:end]."""
    after = specifications(buf, pos, end)
    if after != end:
        return _error(a, _UNSUPPORTED if after == -2 else _OTHER)
    n = length(buf, pos, end)
    if n > 1 and not a.conformance & _CONFORMANCE_MULTIPLE_REFERENCES:
        return _error(a, _UNSUPPORTED)
    at = pos + length_size(buf, pos)
    calls = 0
    while at < end:
        if buf[at] == _PARAMETERIZED_ACCESS:
            if not a.conformance & _CONFORMANCE_PARAMETERIZED_ACCESS:
                return _error(a, _UNSUPPORTED)
            found = named(a, buf, at + 1)
            if found >= 0 and found & _METHOD:
                calls += 1
            at = skip(buf, at + 4, end)
        else:
            at += 3
    s = a.stream
    if (calls or n > 1) and wakes(a, buf, pos + length_size(buf, pos), n):
        return _LATER
    if not calls:
        s.begin_names(a, buf, pos + length_size(buf, pos), n, variables, 0)
        return _answer(a, buf, pos, end)
    if buf is not a.work:
        if not a.keep(buf, pos, end):
            return _error(a, _PDU_SIZE)
        buf = a.work
        end -= pos
        pos = 0
    if end + _RESULT_LEN * calls > len(buf):
        return _error(a, _PDU_SIZE)
    at = pos + length_size(buf, pos)
    if n == 1 and _asks_by_logical_name(a, named(a, buf, at + 1)):
        return _by_logical_name(a, buf, at, end)
    action = a.server.part("dlms.action")
    if action is None or _run_all(a, action, buf, at, end, n, calls) < 0:
        return _LATER
    s.begin_names(a, buf, at, n, variables, end)
    return _answer(a, buf, pos, end)


# --- Methods ----------------------------------------------------------------------------------


def _run_all(a, action, work, at, end, n, calls):
    """Run the methods (calls of them) among n specifications at work[at:end]; their results go
    behind those. 0, or _LATER."""
    s = a.stream
    g = end
    while at < end:
        if work[at] != _PARAMETERIZED_ACCESS:
            at += 3
            continue
        pos = at + 4
        after = skip(work, pos, end)
        found = named(a, work, at + 1)
        if found >= 0 and found & _METHOD:
            if work[pos] == _NULL_DATA:
                pos = after
            calls -= 1
            s.n = 0
            result = action.run(a, found >> 8, found & 0x7F, work, pos, after, g + _RESULT_LEN)
            if result < 0:
                if n == 1:
                    return _LATER
                if a.asks:
                    a.forget_job()
                result = _TEMPORARY_FAILURE
            # Items go with no other variable, and room is kept for the results that follow.
            if not result and (s.n and n > 1 or s.out_pos + _RESULT_LEN * calls > len(work)):
                result = _OTHER_REASON
            if result:
                s.n = 0
                s.out_pos = g + _RESULT_LEN
            put_u16(work, g, at)
            work[g + 2] = result
            work[g + 3] = 1 if s.n else 0
            put_u16(work, g + 4, s.out_pos - g - _RESULT_LEN)
            g = s.out_pos
        at = after
    return 0


def _asks_by_logical_name(a, found):
    return (
        found >= 0
        and found & 0xFF == _READ_BY_LOGICALNAME
        and a.model.class_id(found >> 8) == _ASSOCIATION_SN
    )


def _by_logical_name(a, work, at, end):
    """read_by_logicalname: its parameter becomes descriptors, where it lies."""
    row = named(a, work, at + 1) >> 8
    result = a.may_invoke(row, _READ_BY_LOGICALNAME & 0x7F)
    at += 4
    if not result:
        result = a.model.takes(row, _READ_BY_LOGICALNAME & 0x7F, work, at, end)
    if result:
        return _failed(a, result)
    n = length(work, at + 1, end)
    if not n:
        after = _head(a, _HEADROOM, 0)
        a.channel.tx[after] = _ARRAY
        a.channel.tx[after + 1] = 0
        return a.channel.reply(_HEADROOM, after + 2)
    at += 1 + length_size(work, at + 1)
    # 02 03  12 class_id  09 06 logical_name  0F attribute_index
    to = 0
    k = n
    while k:
        for i in (3, 4, 7, 8, 9, 10, 11, 12, 14):
            work[to] = work[at + i]
            to += 1
        work[to] = 0
        to += 1
        at += _ELEMENT_LEN
        k -= 1
    a.raw_pos = a.raw_end = to
    a.stream.begin(a, work, 0, n)
    a.stream.bare = 1
    return _answer(a, work, 0, to)


# --- The answer -------------------------------------------------------------------------------


def _answer(a, buf, pos, end):
    """Send what the stream has begun, in blocks if it must be; buf[pos:end] are its names."""
    channel = a.channel
    s = a.stream
    after = s.fill(channel.tx, _HEADROOM, _HEADROOM + a.limit - 1)
    if s.result == _ASLEEP:
        return _LATER
    if s.result == _NEEDS_JOB:
        return a.ask_method(s.row, 0, buf, pos, pos)
    if s.result > 0:
        return _failed(a, s.result)
    if s.result == 0:
        channel.tx[_HEADROOM - 1] = _READ_RESPONSE
        return channel.reply(_HEADROOM - 1, after)
    # What has run methods, or came in blocks, lies in the work buffer already.
    again = buf is not a.work
    if again:
        if not a.keep(buf, pos, end):
            return _error(a, _PDU_SIZE)
        s.buf = a.work
        s.first -= pos
    s.rewind()
    if a.window:
        # One APDU of any length: the client has asked so.
        a.gbt.head[0] = _READ_RESPONSE
        n = a.gbt.stream(a, 1, again)
        if n:
            return n
    if not a.conformance & _CONFORMANCE_BLOCK_TRANSFER_READ:
        return _error(a, _PDU_SIZE)
    s.rewind()
    a.transfer = _LONG_GET
    a.block_number = 0
    return _block(a)


def _failed(a, dar):
    """A response with one data-access-error; what runs is over."""
    a.transfer = _NO_TRANSFER
    pos = _head(a, _HEADROOM, 1)
    a.channel.tx[pos] = dar
    return a.channel.reply(_HEADROOM, pos + 1)


def _head(a, pos, choice):
    tx = a.channel.tx
    tx[pos] = _READ_RESPONSE
    tx[pos + 1] = 1
    tx[pos + 2] = choice
    return pos + 3


def _block(a):
    """The next block of the answer."""
    channel = a.channel
    tx = channel.tx
    s = a.stream
    a.block_number += 1
    # Header: tag, count, choice, last_block, block_number, and the length of the raw data.
    room = a.limit - 6
    room -= 1 if room <= 0x80 else 2 if room <= 0x101 else 3
    after = s.fill(tx, _HEADROOM, _HEADROOM + room)
    n = after - _HEADROOM
    if s.result > 0 or (n == 0 and s.result) or a.block_number > _LAST_NUMBER:
        return _failed(a, s.result if s.result > 0 else _LONG_GET_ABORTED)
    start = _HEADROOM - 6 - (1 if n < 0x80 else 2 if n < 0x100 else 3)
    pos = _head(a, start, _DATA_BLOCK_RESULT)
    tx[pos] = 1 if s.result == 0 else 0
    put_length(tx, put_u16(tx, pos + 1, a.block_number), n)
    if s.result == 0:
        a.transfer = _NO_TRANSFER
    return channel.reply(start, after)


def _next(a, buf, pos, end):
    """block-number access: the client has received that block."""
    if end - pos != 2:
        return _error(a, _OTHER)
    dar = a.goes_on(_GET_NEXT, a.iip)
    if not dar and get_u16(buf, pos) != a.block_number:
        dar = _DATA_BLOCK_NUMBER_INVALID
    return _failed(a, dar) if dar else _block(a)


# --- Requests in blocks -----------------------------------------------------------------------


def _request_block(a, buf, pos, end):
    """read-data-block access: last_block, block_number, octets of the specifications."""
    if not a.conformance & _CONFORMANCE_BLOCK_TRANSFER_READ:
        return _error(a, _UNSUPPORTED)
    n = length(buf, pos + 3, end)
    if n < 0 or pos + 3 + length_size(buf, pos + 3) + n != end:
        a.transfer = _NO_TRANSFER
        return _error(a, _OTHER)
    if get_u16(buf, pos + 1) == 1:
        a.begin_raw(_LONG_REQUEST)
    dar = a.goes_on(_REQUEST_BLOCK, a.iip)
    if dar:
        return _failed(a, dar)
    before = a.raw_end
    taken = a.take_raw(buf[pos], get_u16(buf, pos + 1), buf, end - n, n)
    if taken == _MORE:
        at = put_u16(a.channel.tx, _head(a, _HEADROOM, _BLOCK_NUMBER), a.block_number)
        return a.channel.reply(_HEADROOM, at)
    if taken:
        return _failed(a, _LONG_GET_ABORTED if taken == _NO_ROOM else taken)
    answer = _serve(a, a.work, 0, a.raw_end)
    if answer < 0:
        # This block comes again.
        a.transfer = _LONG_REQUEST
        a.block_number -= 1
        a.raw_end = before
    return answer
