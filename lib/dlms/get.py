# SPDX-License-Identifier: MIT
"""The GET service (IEC 62056-5-3, GET): normal, next, with-list; answers in blocks.

An answer is first written as if it fitted. If it does not, the request is kept in the work buffer
of the association, the stream starts again, and blocks go out. The data lie at _HEADROOM; the
header is written in front of them, so nothing is moved whatever its length.
"""

from dlms import exceptions
from dlms.axdr import get_small_u32, length, length_size, put_length, put_u32
from dlms.descriptors import parse_descriptors, parse_selection, quick
from micropython import const

_GET_RESPONSE = const(0xC4)
_NORMAL = const(1)
_NEXT = const(2)
_WITH_LIST = const(3)
_RESPONSE_NORMAL = const(1)
_RESPONSE_WITH_DATABLOCK = const(2)
_RESPONSE_WITH_LIST = const(3)

_OTHER_REASON = const(250)
_LONG_GET_ABORTED = const(15)
_DATA_BLOCK_NUMBER_INVALID = const(19)
_LATER = const(255)  # of stream.py
_ASLEEP = const(254)
_NO_METHOD = const(0)

_CONFORMANCE_GENERAL_BLOCK_TRANSFER = const(0x200000)
_CONFORMANCE_BLOCK_TRANSFER_GET = const(0x001000)
_CONFORMANCE_MULTIPLE_REFERENCES = const(0x000200)

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)

# Of association.py.
_NO_TRANSFER = const(0)
_LONG_GET = const(1)
_GET_NEXT = const(0)


def request(a, buf, pos, end):
    """Serve the get-request buf[pos:end] in association a; returns the length of the reply."""
    if end - pos < 7:
        return exceptions.malformed(a.channel)
    choice = buf[pos + 1]
    iip = buf[pos + 2]
    if choice == _NEXT:
        return _next(a, iip, buf, pos + 3, end)
    # A new request ends what runs.
    a.transfer = _NO_TRANSFER
    a.iip = iip
    pos += 3
    if choice == _NORMAL:
        if end - pos == 10:
            tx = a.channel.tx
            after = quick(a, buf, pos, buf[pos + 9], tx, _HEADROOM, a.limit + _HEADROOM - 4)
            if after >= 0:
                tx[_HEADROOM - 4] = _GET_RESPONSE
                tx[_HEADROOM - 3] = _RESPONSE_NORMAL
                tx[_HEADROOM - 2] = iip
                tx[_HEADROOM - 1] = 0
                a.channel.tx_pos = _HEADROOM - 4
                return after - (_HEADROOM - 4)
        if parse_selection(buf, pos + 9, end) != end:
            return exceptions.malformed(a.channel)
        return _answer(a, buf, pos, end, 0)
    if choice == _WITH_LIST:
        if not a.conformance & _CONFORMANCE_MULTIPLE_REFERENCES:
            return exceptions.choice(a.channel)
        if parse_descriptors(buf, pos, end) != end:
            return exceptions.malformed(a.channel)
        n = length(buf, pos, end)
        return _answer(a, buf, pos + length_size(buf, pos), end, n)
    return exceptions.choice(a.channel)


def _answer(a, buf, pos, end, count):
    channel = a.channel
    tx = channel.tx
    s = a.stream
    s.begin(a, buf, pos, count)
    head = 3 if count else 4
    after = s.fill(tx, _HEADROOM, _HEADROOM + a.limit - head)
    if s.result > 0:
        if s.result == _ASLEEP:
            return -1
        if s.result == _LATER:
            return a.ask_method(s.row, _NO_METHOD, buf, pos, pos)
        return _failed(a, s.result)
    if s.result:
        return _start_blocks(a, buf, pos, end, count)
    start = _HEADROOM - head
    tx[start] = _GET_RESPONSE
    tx[start + 2] = a.iip
    if count:
        tx[start + 1] = _RESPONSE_WITH_LIST
    else:
        tx[start + 1] = _RESPONSE_NORMAL
        tx[start + 3] = 0
    return channel.reply(start, after)


def _failed(a, dar):
    """get-response-normal with a data-access-result."""
    channel = a.channel
    tx = channel.tx
    pos = _HEADROOM
    tx[pos] = _GET_RESPONSE
    tx[pos + 1] = _RESPONSE_NORMAL
    tx[pos + 2] = a.iip
    tx[pos + 3] = 1
    tx[pos + 4] = dar
    return channel.reply(pos, pos + 5)


def _start_blocks(a, buf, pos, end, count):
    if a.model.asleep and (count or not buf[pos + 8]):
        # Of what comes in later blocks none may turn out to sleep.
        a.model.wants("")
        return -1
    if a.conformance & _CONFORMANCE_GENERAL_BLOCK_TRANSFER:
        # One APDU of any length, if the client has asked so, or has no other way.
        if a.window or not a.conformance & _CONFORMANCE_BLOCK_TRANSFER_GET:
            n = _start_general_blocks(a, buf, pos, end, count)
            if n:
                return n
    if not a.conformance & _CONFORMANCE_BLOCK_TRANSFER_GET or not a.keep(buf, pos, end):
        return exceptions.too_long(a.channel) if count else _failed(a, _OTHER_REASON)
    a.stream.begin(a, a.work, 0, count)
    a.transfer = _LONG_GET
    a.block_number = 0
    return _block(a)


def _start_general_blocks(a, buf, pos, end, count):
    if a.gbt is None:
        return a.wants_transfer()
    if not a.keep(buf, pos, end):
        return 0
    a.stream.begin(a, a.work, 0, count)
    if not a.window:
        a.gbt.begin()
    head = a.gbt.head
    head[0] = _GET_RESPONSE
    head[1] = _RESPONSE_WITH_LIST if count else _RESPONSE_NORMAL
    head[2] = a.iip
    head[3] = 0
    return a.gbt.stream(a, 3 if count else 4, True)


def _block(a):
    """The next block of the answer."""
    channel = a.channel
    tx = channel.tx
    s = a.stream
    a.block_number += 1
    # Header: tag, choice, iip, last_block, block_number, choice, and the length of the raw data.
    room = a.limit - 9
    room -= 1 if room <= 0x80 else 2 if room <= 0x101 else 3
    after = s.fill(tx, _HEADROOM, _HEADROOM + room)
    n = after - _HEADROOM
    if s.result > 0 or (n == 0 and s.result):
        dar = s.result if s.result > 0 else _LONG_GET_ABORTED
        return _abort(a, dar, a.block_number)
    start = _HEADROOM - 9 - (1 if n < 0x80 else 2 if n < 0x100 else 3)
    put_length(tx, _block_head(a, tx, start, s.result == 0, a.block_number, 0), n)
    if s.result == 0:
        a.transfer = _NO_TRANSFER
    return channel.reply(start, after)


def _block_head(a, tx, pos, last_block, block_number, choice):
    tx[pos] = _GET_RESPONSE
    tx[pos + 1] = _RESPONSE_WITH_DATABLOCK
    tx[pos + 2] = a.iip
    tx[pos + 3] = 1 if last_block else 0
    put_u32(tx, pos + 4, block_number)
    tx[pos + 8] = choice
    return pos + 9


def _abort(a, dar, block_number):
    """A last block with a data-access-result; the transfer is over."""
    a.transfer = _NO_TRANSFER
    channel = a.channel
    pos = _block_head(a, channel.tx, _HEADROOM, True, block_number, 1)
    channel.tx[pos] = dar
    return channel.reply(_HEADROOM, pos + 1)


def _next(a, iip, buf, pos, end):
    if end - pos != 4:
        return exceptions.malformed(a.channel)
    dar = a.goes_on(_GET_NEXT, iip)
    block_number = get_small_u32(buf, pos)
    if not dar and block_number != a.block_number:
        dar = _DATA_BLOCK_NUMBER_INVALID
    a.iip = iip
    if dar:
        return _abort(a, dar, block_number if block_number >= 0 else 0)
    return _block(a)
