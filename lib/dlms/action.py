# SPDX-License-Identifier: MIT
"""The ACTION service (IEC 62056-5-3, ACTION): normal, with-list, blocks in both directions.

Methods run once, in the order of the list, before the first octet of the answer leaves. Their
results and return data are gathered in the work buffer; a class module may instead offer its
return data as items of the stream (a single ACTION only).

A method that needs time or memory is a job (secured.py): it says _LATER, the same request comes
again until the job is done, and the answer is the job's. That is for a single ACTION, too.
"""

from dlms import exceptions
from dlms.axdr import (
    get_small_u32,
    is_list_of,
    length,
    length_size,
    put_length,
    put_u32,
    skip,
)
from dlms.prim import copy
from micropython import const

_ACTION_RESPONSE = const(0xC7)
_NORMAL = const(1)
_NEXT_PBLOCK = const(2)
_WITH_LIST = const(3)
_WITH_FIRST_PBLOCK = const(4)
_WITH_LIST_AND_FIRST_PBLOCK = const(5)
_WITH_PBLOCK = const(6)
_RESPONSE_NORMAL = const(1)
_RESPONSE_WITH_PBLOCK = const(2)
_RESPONSE_WITH_LIST = const(3)
_RESPONSE_NEXT_PBLOCK = const(4)

_TEMPORARY_FAILURE = const(2)
_LONG_ACTION_ABORTED = const(15)
_OTHER_REASON = const(250)
_TYPE_UNMATCHED = const(12)

_NULL_DATA = const(0)

_CONFORMANCE_BLOCK_TRANSFER_ACTION = const(0x000400)
_CONFORMANCE_MULTIPLE_REFERENCES = const(0x000200)

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)

# Of association.py.
_NO_TRANSFER = const(0)
_LONG_ACTION_REQUEST = const(3)
_LONG_ACTION_RESPONSE = const(4)
_ACTION_PBLOCK = const(2)
_ACTION_NEXT_PBLOCK = const(3)
_MORE = const(-1)
_MALFORMED = const(-2)

_CONFIRMED = const(0x40)

_LATER = const(-1)
_LOAD = const(8192)  # todo, see server.py


def request(a, buf, pos, end):
    """Serve the action-request buf[pos:end] in association a; returns the length of the reply."""
    if end - pos < 7:
        return exceptions.malformed(a.channel)
    choice = buf[pos + 1]
    iip = buf[pos + 2]
    pos += 3
    if choice == _WITH_PBLOCK:
        n = _request_block(a, iip, buf, pos, end)
    elif choice == _NEXT_PBLOCK:
        n = _next(a, iip, buf, pos, end)
    else:
        # A new request ends what runs.
        a.transfer = _NO_TRANSFER
        a.iip = iip
        if choice == _NORMAL:
            n = _normal(a, buf, pos, end)
        elif choice == _WITH_LIST:
            n = _with_list(a, buf, pos, end)
        elif choice == _WITH_FIRST_PBLOCK or choice == _WITH_LIST_AND_FIRST_PBLOCK:
            n = _first_request_block(a, choice == _WITH_LIST_AND_FIRST_PBLOCK, buf, pos, end)
        else:
            n = exceptions.choice(a.channel)
    # Service class unconfirmed: done, and nothing said.
    return n if n < 0 or iip & _CONFIRMED else 0


# --- One method -------------------------------------------------------------------------------


def _normal(a, buf, pos, end):
    at = pos + 10
    if end < at:
        return exceptions.malformed(a.channel)
    if buf[pos + 9] == 0:
        if at != end:
            return exceptions.malformed(a.channel)
    elif buf[pos + 9] != 1 or skip(buf, at, end) != end:
        return exceptions.malformed(a.channel)
    return _answer_one(a, buf, pos, buf, at, end, 0)


def _answer_one(a, names, at, buf, pos, end, out):
    """Run one method; its return data go to work[out:]."""
    s = a.stream
    s.n = 0
    result = invoke(a, names, at, buf, pos, end, out + 3)
    if result < 0:
        return _LATER
    work = a.work
    channel = a.channel
    if not result and s.n:
        # Return data as items, behind the fixed octets of the response.
        tx = channel.tx
        s.open_items()
        after = s.fill(tx, _HEADROOM, _HEADROOM + a.limit - 6)
        if s.result == 0:
            pos = _head(a, _RESPONSE_NORMAL, _HEADROOM - 6)
            tx[pos] = 0
            tx[pos + 1] = 1
            tx[pos + 2] = 0
            return channel.reply(_HEADROOM - 6, after)
        s.open_items()
        return _general_blocks(a, _RESPONSE_NORMAL, 6) or exceptions.too_long(channel)
    after = _put_result(work, out, result, s.out_pos)
    return _answer(a, _RESPONSE_NORMAL, out, after)


def invoke(a, names, at, buf, pos, end, out):
    """ACTION on the method that names[at:] names, with parameter buf[pos:end]; action_result, or
    _LATER.

    Return data go to work[out:]; a.stream.out_pos is their end.
    """
    a.stream.out_pos = out
    row = a.locate(names, at)
    if row < 0:
        return -1 - row
    return run(a, row, names[at + 8], buf, pos, end, out)


def run(a, row, method, buf, pos, end, out):
    """As invoke(), of an object's row."""
    s = a.stream
    s.out_pos = out
    result = a.may_invoke(row, method)
    if result:
        return result
    handler = a.model.handler_of(row)
    if handler is None:
        return _OTHER_REASON
    result = a.model.takes(row, method, buf, pos, end)
    if not result and a.model.is_off(row):
        result = _TEMPORARY_FAILURE
    if result:
        return result
    s.association = a
    s.row = s.found = row
    s.out = a.work
    if len(a.work) < out:
        return _OTHER_REASON
    if a.asks:
        result = a.method_done(s)
        if not result:
            handler.finish(a, row, method)
    else:
        result = handler.invoke(s, method, buf, pos, end)
        # Or a part is wanted: then the request comes again.
        if result < 0 and not a.server.todo & _LOAD:
            result = a.ask_method(row, method, buf, pos, end)
    if not result:
        a.model.edited(row, 0)
    return result


def _put_result(work, pos, result, data_end):
    """Write result and presence of return data, which begin at pos + 3; returns the end."""
    work[pos] = result
    if data_end == pos + 3:
        work[pos + 1] = 0
        return pos + 2
    work[pos + 1] = 1
    work[pos + 2] = 0
    return data_end


# --- Lists ------------------------------------------------------------------------------------


def _parse_names(buf, pos, end):
    """Position after a SEQUENCE OF method descriptors, or -1."""
    n = length(buf, pos, end)
    if n < 1:
        return -1
    pos += length_size(buf, pos) + 9 * n
    return pos if pos <= end else -1


def _with_list(a, buf, pos, end):
    if not a.conformance & _CONFORMANCE_MULTIPLE_REFERENCES:
        return exceptions.choice(a.channel)
    at = _parse_names(buf, pos, end)
    if at < 0 or not is_list_of(buf, at, end, length(buf, pos, end)):
        return exceptions.malformed(a.channel)
    return _answer_list(a, buf, pos, buf, at, end, 0)


def _answer_list(a, names, at, buf, pos, end, out):
    work = a.work
    n = length(names, at, len(names))
    # The shortest answer must have room before the first method runs.
    if out + 4 + 3 * n > len(work):
        return exceptions.too_long(a.channel)
    at += length_size(names, at)
    pos += length_size(buf, pos)
    after = put_length(work, out, n)
    while n:
        data_end = skip(buf, pos, end)
        # null-data stands for: no parameter
        first = data_end if buf[pos] == _NULL_DATA else pos
        s = a.stream
        s.n = 0
        # Keep room for the results that follow.
        result = invoke(a, names, at, buf, first, data_end, after + 3)
        if result < 0:
            # The next time what it needs may be loaded; what is a job never has the time.
            if a.asks:
                a.forget_job()
            result = _TEMPORARY_FAILURE
        if not result and (s.n or s.out_pos + 3 * n > len(work)):
            result = _OTHER_REASON
            s.out_pos = after + 3
        after = _put_result(work, after, result, s.out_pos)
        at += 9
        pos = data_end
        n -= 1
    return _answer(a, _RESPONSE_WITH_LIST, out, after)


# --- The answer -------------------------------------------------------------------------------


def _head(a, choice, pos):
    tx = a.channel.tx
    tx[pos] = _ACTION_RESPONSE
    tx[pos + 1] = choice
    tx[pos + 2] = a.iip
    return pos + 3


def _answer(a, choice, pos, end):
    """Send work[pos:end], in blocks if it must be."""
    channel = a.channel
    after = _HEADROOM
    n = end - pos
    if n + 3 <= a.limit:
        after = _head(a, choice, after)
        copy(channel.tx, after, a.work, pos, n)
        return channel.reply(_HEADROOM, after + n)
    a.stream.from_bytes(a, a.work, pos, end)
    n = _general_blocks(a, choice, 3)
    if n or not a.conformance & _CONFORMANCE_BLOCK_TRANSFER_ACTION:
        return n or exceptions.too_long(channel)
    # What the raw data of the blocks of a single ACTION begin with, is not settled in public
    # sources: here it is the whole Action-Response-With-Optional-Data, result included.
    a.transfer = _LONG_ACTION_RESPONSE
    a.block_number = 0
    return _response_block(a)


def _general_blocks(a, choice, n_head):
    """One APDU of any length, if the client has asked so: its first block, or 0."""
    if not a.window:
        return 0
    head = a.gbt.head
    head[0] = _ACTION_RESPONSE
    head[1] = choice
    head[2] = a.iip
    # Of return data alone: success, and that they are there.
    head[3] = 0
    head[4] = 1
    head[5] = 0
    return a.gbt.stream(a, n_head, False)


def _response_block(a):
    channel = a.channel
    tx = channel.tx
    s = a.stream
    a.block_number += 1
    room = a.limit - 8
    room -= 1 if room <= 0x80 else 2 if room <= 0x101 else 3
    after = s.fill(tx, _HEADROOM, _HEADROOM + room)
    n = after - _HEADROOM
    if s.result > 0 or (n == 0 and s.result):
        return _failed(a, _LONG_ACTION_ABORTED)
    start = _HEADROOM - 8 - (1 if n < 0x80 else 2 if n < 0x100 else 3)
    pos = _head(a, _RESPONSE_WITH_PBLOCK, start)
    tx[pos] = 1 if s.result == 0 else 0
    put_length(tx, put_u32(tx, pos + 1, a.block_number), n)
    if s.result == 0:
        a.transfer = _NO_TRANSFER
    return channel.reply(start, after)


def _next(a, iip, buf, pos, end):
    if end - pos != 4:
        return exceptions.malformed(a.channel)
    result = a.goes_on(_ACTION_NEXT_PBLOCK, iip)
    if not result and get_small_u32(buf, pos) != a.block_number:
        result = _LONG_ACTION_ABORTED  # no action_result says that the number is wrong
    a.iip = iip
    return _failed(a, result) if result else _response_block(a)


def _failed(a, result):
    """action-response-normal with a result; what runs is over."""
    a.transfer = _NO_TRANSFER
    channel = a.channel
    pos = _head(a, _RESPONSE_NORMAL, _HEADROOM)
    channel.tx[pos] = result
    channel.tx[pos + 1] = 0
    return channel.reply(_HEADROOM, pos + 2)


# --- Requests in blocks -----------------------------------------------------------------------


def _first_request_block(a, is_list, buf, pos, end):
    if not a.conformance & _CONFORMANCE_BLOCK_TRANSFER_ACTION:
        return exceptions.choice(a.channel)
    if is_list:
        if not a.conformance & _CONFORMANCE_MULTIPLE_REFERENCES:
            return exceptions.choice(a.channel)
        at = _parse_names(buf, pos, end)
    else:
        at = pos + 9
    if at < 0 or at >= end:
        return exceptions.malformed(a.channel)
    a.is_list = is_list
    a.block_number = 0
    if not a.keep(buf, pos, at):
        return _failed(a, _LONG_ACTION_ABORTED)
    a.transfer = _LONG_ACTION_REQUEST
    return _take_block(a, buf, at, end)


def _request_block(a, iip, buf, pos, end):
    result = a.goes_on(_ACTION_PBLOCK, iip)
    a.iip = iip
    return _failed(a, result) if result else _take_block(a, buf, pos, end)


def _take_block(a, buf, pos, end):
    before = a.raw_end
    taken = a.take_block(buf, pos, end)
    channel = a.channel
    if taken == _MALFORMED:
        return exceptions.malformed(channel)
    if taken == _MORE:
        after = put_u32(channel.tx, _head(a, _RESPONSE_NEXT_PBLOCK, _HEADROOM), a.block_number)
        return channel.reply(_HEADROOM, after)
    if taken:
        return _failed(a, _LONG_ACTION_ABORTED)
    work = a.work
    first = a.raw_pos
    last = a.raw_end
    if a.is_list:
        if not is_list_of(work, first, last, length(work, 0, first)):
            return _failed(a, _OTHER_REASON)
        return _answer_list(a, work, 0, work, first, last, last)
    if skip(work, first, last) != last:
        return _failed(a, _TYPE_UNMATCHED)
    if work[first] == _NULL_DATA:
        first = last
    n = _answer_one(a, work, 0, work, first, last, last)
    if n < 0:
        # This block comes again.
        a.transfer = _LONG_ACTION_REQUEST
        a.block_number -= 1
        a.raw_end = before
    return n
