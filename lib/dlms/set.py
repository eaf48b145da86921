# SPDX-License-Identifier: MIT
"""The SET service (IEC 62056-5-3, SET): normal, with-list, and both in blocks.

A value is checked whole (rights, type, capacity, the class's own check) before an octet changes.
Blocks are gathered in the work buffer of the association behind the descriptors.
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
from dlms.descriptors import parse_descriptors, parse_selection
from dlms.undo import put, take
from micropython import const

_SET_RESPONSE = const(0xC5)
_NORMAL = const(1)
_WITH_FIRST_DATABLOCK = const(2)
_WITH_DATABLOCK = const(3)
_WITH_LIST = const(4)
_WITH_LIST_AND_FIRST_DATABLOCK = const(5)
_RESPONSE_NORMAL = const(1)
_RESPONSE_DATABLOCK = const(2)
_RESPONSE_LAST_DATABLOCK = const(3)
_RESPONSE_LAST_DATABLOCK_WITH_LIST = const(4)
_RESPONSE_WITH_LIST = const(5)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_SCOPE_VIOLATED = const(13)
_LONG_SET_ABORTED = const(17)
_OTHER_REASON = const(250)

_STRUCTURE = const(2)
_NULL_DATA = const(0)

_CONFORMANCE_ATTRIBUTE_0_SET = const(0x008000)
_CONFORMANCE_BLOCK_TRANSFER_SET = const(0x000800)
_CONFORMANCE_MULTIPLE_REFERENCES = const(0x000200)

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)

# Of association.py.
_NO_TRANSFER = const(0)
_LONG_SET = const(2)
_SET_BLOCK = const(1)
_MORE = const(-1)
_MALFORMED = const(-2)
_NO_ROOM = const(1)

_CONFIRMED = const(0x40)


def request(a, buf, pos, end):
    """Serve the set-request buf[pos:end] in association a; returns the length of the reply."""
    if end - pos < 8:
        return exceptions.malformed(a.channel)
    choice = buf[pos + 1]
    iip = buf[pos + 2]
    pos += 3
    if choice == _WITH_DATABLOCK:
        n = _next_block(a, iip, buf, pos, end)
    else:
        # A new request ends what runs.
        a.transfer = _NO_TRANSFER
        a.iip = iip
        if choice == _NORMAL:
            n = _normal(a, buf, pos, end)
        elif choice == _WITH_LIST:
            n = _with_list(a, buf, pos, end)
        elif choice == _WITH_FIRST_DATABLOCK or choice == _WITH_LIST_AND_FIRST_DATABLOCK:
            is_list = choice == _WITH_LIST_AND_FIRST_DATABLOCK
            n = _first_block(a, is_list, buf, pos, end)
        else:
            n = exceptions.choice(a.channel)
    # Service class unconfirmed: done, and nothing said.
    return n if iip & _CONFIRMED else 0


def _head(a, choice):
    channel = a.channel
    tx = channel.tx
    pos = _HEADROOM
    tx[pos] = _SET_RESPONSE
    tx[pos + 1] = choice
    tx[pos + 2] = a.iip
    return pos + 3


def _normal(a, buf, pos, end):
    at = parse_selection(buf, pos + 9, end)
    if at < 0 or skip(buf, at, end) != end:
        return exceptions.malformed(a.channel)
    dar = write(a, buf, pos, buf, at, end)
    after = _head(a, _RESPONSE_NORMAL)
    a.channel.tx[after] = dar
    return a.channel.reply(_HEADROOM, after + 1)


def write(a, names, at, buf, pos, end):
    """SET what the descriptor at names[at:] names to the Data buf[pos:end]; data_access_result."""
    row = a.locate(names, at)
    if row < 0:
        return -1 - row
    if names[at + 9]:
        # No class has an attribute that is written in parts.
        return _SCOPE_VIOLATED
    return assign(a, row, names[at + 8], buf, pos, end)


def assign(a, row, attribute, buf, pos, end):
    """As write(), of an object's row."""
    if attribute == 0:
        return _write_all(a, row, buf, pos, end)
    dar = a.may_write(row, attribute)
    if dar:
        return dar
    return take(a, row, attribute, buf, pos, end)


def _write_all(a, row, buf, pos, end):
    """Attribute 0: a structure of all attributes, null-data for those to leave alone."""
    if not a.conformance & _CONFORMANCE_ATTRIBUTE_0_SET:
        return _READ_WRITE_DENIED
    if not a.sees(row):
        return _OBJECT_UNDEFINED
    n = a.model.n_attributes(row)
    if buf[pos] != _STRUCTURE or buf[pos + 1] != n:
        return _TYPE_UNMATCHED
    undo = a.server.parts.get("dlms.undo")
    mark = 0 if undo is None else undo.end
    for store in range(2):
        at = pos + 2
        attribute = 1
        while attribute <= n:
            after = skip(buf, at, end)
            if after < 0:
                return _TYPE_UNMATCHED
            if buf[at] != _NULL_DATA:
                if store:
                    dar = put(a, row, attribute, buf, at, after)
                else:
                    dar = a.may_write(row, attribute)
                    if not dar:
                        dar = a.model.accepts(row, attribute, buf, at, after)
                if dar:
                    if undo is not None:
                        undo.restore(mark)
                    return dar
            at = after
            attribute += 1
        if at != end:
            return _TYPE_UNMATCHED
    return _SUCCESS


def _with_list(a, buf, pos, end):
    if not a.conformance & _CONFORMANCE_MULTIPLE_REFERENCES:
        return exceptions.choice(a.channel)
    at = parse_descriptors(buf, pos, end)
    if at < 0 or not is_list_of(buf, at, end, length(buf, pos, end)):
        return exceptions.malformed(a.channel)
    return _write_list(a, _RESPONSE_WITH_LIST, buf, pos, buf, at, end, -1)


def _write_list(a, choice, names, at, buf, pos, end, block_number):
    """SET a list; names[at:] and buf[pos:end] are sequences of the same count, both checked."""
    channel = a.channel
    n = length(names, at, len(names))
    if n > a.limit - 10:
        return exceptions.too_long(channel)
    at += length_size(names, at)
    pos += length_size(buf, pos)
    after = put_length(channel.tx, _head(a, choice), n)
    while n:
        data_end = skip(buf, pos, end)
        channel.tx[after] = write(a, names, at, buf, pos, data_end)
        after += 1
        at = parse_selection(names, at + 9, len(names))
        pos = data_end
        n -= 1
    if block_number >= 0:
        after = put_u32(channel.tx, after, block_number)
    return channel.reply(_HEADROOM, after)


# --- Blocks -----------------------------------------------------------------------------------


def _first_block(a, is_list, buf, pos, end):
    if not a.conformance & _CONFORMANCE_BLOCK_TRANSFER_SET:
        return exceptions.choice(a.channel)
    if is_list:
        if not a.conformance & _CONFORMANCE_MULTIPLE_REFERENCES:
            return exceptions.choice(a.channel)
        at = parse_descriptors(buf, pos, end)
    else:
        at = parse_selection(buf, pos + 9, end)
    if at < 0:
        return exceptions.malformed(a.channel)
    a.is_list = is_list
    a.block_number = 0
    if not a.keep(buf, pos, at):
        return _end(a, _LONG_SET_ABORTED, 1)
    a.transfer = _LONG_SET
    return _block(a, buf, at, end)


def _next_block(a, iip, buf, pos, end):
    dar = a.goes_on(_SET_BLOCK, iip)
    a.iip = iip
    if dar:
        n = get_small_u32(buf, pos + 1)
        return _end(a, dar, n if n >= 0 else 0)
    return _block(a, buf, pos, end)


def _block(a, buf, pos, end):
    taken = a.take_block(buf, pos, end)
    if taken == _MALFORMED:
        return exceptions.malformed(a.channel)
    if taken == _MORE:
        after = put_u32(a.channel.tx, _head(a, _RESPONSE_DATABLOCK), a.block_number)
        return a.channel.reply(_HEADROOM, after)
    block_number = get_small_u32(buf, pos + 1)
    if taken:
        dar = _LONG_SET_ABORTED if taken == _NO_ROOM else taken
        return _end(a, dar, block_number if block_number >= 0 else 0)
    work = a.work
    if a.is_list:
        if not is_list_of(work, a.raw_pos, a.raw_end, length(work, 0, a.raw_pos)):
            return _end(a, _OTHER_REASON, block_number)
        return _write_list(
            a,
            _RESPONSE_LAST_DATABLOCK_WITH_LIST,
            work,
            0,
            work,
            a.raw_pos,
            a.raw_end,
            block_number,
        )
    if skip(work, a.raw_pos, a.raw_end) != a.raw_end:
        return _end(a, _TYPE_UNMATCHED, block_number)
    return _end(a, write(a, work, 0, work, a.raw_pos, a.raw_end), block_number)


def _end(a, dar, block_number):
    """set-response-last-datablock; the transfer is over."""
    a.transfer = _NO_TRANSFER
    tx = a.channel.tx
    after = _head(a, _RESPONSE_LAST_DATABLOCK)
    tx[after] = dar
    return a.channel.reply(_HEADROOM, put_u32(tx, after + 1, block_number))
