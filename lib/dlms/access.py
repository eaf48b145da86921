# SPDX-License-Identifier: MIT
"""The ACCESS service (IEC 62056-5-3, ACCESS): gets, sets and actions in one list.

    D9  long_invoke_id_and_priority (4)  date_time  n specifications  n Data
    DA  the same (4)  date_time  00 | 01 n specifications  n Data  n (choice, result)

    1 get, 2 set, 3 action  descriptor         4 get, 5 set  descriptor  selector  Data

    long_invoke_id_and_priority, first octet: 0x10 self-descriptive (the answer repeats the
    specifications), 0x20 break on error, 0x40 confirmed; the last three are the identifier

Each is done when its turn comes, so that a get behind a set reads what was set. The answer to
each is its value, or null-data, and a result. What answers what else:

    no, or other, numbers of specifications and Data;    exception-response, other-reason;
      truncated; octets left over; nested too deep;        nothing is done
      a date_time of other than 0 or 12 octets
    a choice that does not exist                         service-not-supported; nothing is done
    no room for null-data and results alone              pdu-too-long; nothing is done
    a set with selection                                 scope-of-access-violated
    a get with selection that was not negotiated         scope-of-access-violated
    an attribute, or method, that needs a job, or code   temporary-failure
      that is not loaded
    a value that the answer has no room for              other-reason (a set or action is done)
    after an error, with break on error                  other-reason; not done
    Data of a get                                        not looked at
    not confirmed, whatever is wrong                     done, and silence

The answer is a walk of the Stream whose descriptors are the specifications; open_next() does what
they say. Where general block transfer has been negotiated, and the request has room in the work
buffer, an answer of any length is made as it goes out, and what it has not come to when that ends
is not done. Not so a protected one with sets or actions: that has to be there as a whole.

Uncertain: the answer to what was not done after an error, which is not settled in public sources;
and date_time of the answer, which here is the meter's time if the request has one and the client
may read the clock.

Nothing is allocated. A part of the server: it is there when a client needs it.
"""

from dlms import exceptions
from dlms.axdr import is_list_of, length, length_size, put_length, skip
from dlms.descriptors import quick as _quick
from dlms.prim import copy, fill
from micropython import const

_ACCESS_RESPONSE = const(0xDA)
_GET = const(1)
_ACTION = const(3)
_GET_WITH_SELECTION = const(4)
_SET_WITH_SELECTION = const(5)

# Of long_invoke_id_and_priority.
_SELF_DESCRIPTIVE = const(0x10)
_BREAK_ON_ERROR = const(0x20)
_CONFIRMED = const(0x40)

_HEAD_LEN = const(5)
_DATE_TIME_LEN = const(12)
_SPECIFICATION_LEN = const(10)
NAME_LEN = 10  # of one without selection, for Stream

_TEMPORARY_FAILURE = const(2)
_SCOPE_VIOLATED = const(13)
_OTHER_REASON = const(250)
_NEEDS_JOB = const(255)  # of stream.py
_LATER = const(-1)
_NOTHING = b"\x00"  # null-data

_CONFORMANCE_GENERAL_BLOCK_TRANSFER = const(0x200000)

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)
_NO_TRANSFER = const(0)  # of association.py

# Phases of stream.py, and no row.
_OPEN = const(1)
_BYTES = const(3)
_ITEMS = const(4)
_RUNNING = const(-1)

# What an answer is, beside its length and -1: too long, and to be made as it goes out; and to be
# made again step by step, for a step has failed as a whole.
_OVERFLOW = const(-2)
_BY_STEPS = const(-3)
_NO_ROW = const(-1)
_COMPUTED = const(0)  # kind of the attribute table, see cosem/model.py

# What sets, and what acts, where a list has that.
_SETS = "dlms.set"
_ACTS = "dlms.action"

_CLOCK = b"\x00\x08\x00\x00\x01\x00\x00\xff"
_TIME = const(2)

# Steps of the walk: n, specifications (both if they are to be repeated), n, each Data, results.
_COUNT = const(2)
_FIRST = const(3)

# In the work buffer, at Stream.results: what an error does; n; n times choice and result. Then
# come the return data of an action. Association.raw_pos is where the Data of the next
# specification is, raw_end the end of specifications.
_GOES_ON = const(0)
_BROKEN = const(1)


def request(a, buf, pos, end):
    """Serve the access-request buf[pos:end] in association a; length of the reply, -1: later."""
    if end - pos < 2:
        return exceptions.malformed(a.channel)
    # A new request ends what runs.
    a.transfer = _NO_TRANSFER
    n = _serve(a, buf, pos, end)
    # Service class unconfirmed: done, and nothing said.
    return n if n < 0 or buf[pos + 1] & _CONFIRMED else 0


def _serve(a, buf, pos, end):
    channel = a.channel
    flags = buf[pos + 1]
    first = pos + _HEAD_LEN
    if first >= end:
        return exceptions.malformed(channel)
    if buf[first] and buf[first] != _DATE_TIME_LEN:
        return exceptions.malformed(channel)
    first += 1 + buf[first]
    n = length(buf, first, end)
    if n < 1:
        return exceptions.malformed(channel)
    first += length_size(buf, first)
    at = first
    changes = False
    for _ in range(n):
        if at < end and buf[at] != _GET:
            if buf[at] != _GET_WITH_SELECTION:
                changes = True
        elif at + _SPECIFICATION_LEN <= end:
            at += _SPECIFICATION_LEN
            continue
        at = _after(buf, at, end)
        if at < 0:
            return exceptions.choice(channel) if at == -2 else exceptions.malformed(channel)
    if not is_list_of(buf, at, end, n):
        return exceptions.malformed(channel)
    if a.model.asleep and _wakes(a, buf, first, n):
        return _LATER
    if changes and (a.server.part(_SETS) is None or a.server.part(_ACTS) is None):
        return _LATER
    confirmed = a.confirmed and flags & _CONFIRMED
    streams = confirmed and a.conformance & _CONFORMANCE_GENERAL_BLOCK_TRANSFER
    if streams and changes:
        if a.context is not None:
            # It would have to be done twice, for its length comes first: see sealed.py.
            streams = 0
        elif a.gbt is None:
            # Later it may be too late: what has been done cannot be done again.
            return a.wants_transfer()
    after = _put_head(a, buf, pos)
    results = 0
    if streams and a.keep(buf, first, end):
        buf = a.work
        at -= first
        results = end - first
        first = 0
    else:
        streams = 0
    a.raw_end = at
    size = 1 if n < 0x80 else 2 if n < 0x100 else 3
    if results + 1 + size + 2 * n > len(a.work):
        return exceptions.too_long(channel)
    # The shortest answer must have room before anything is done.
    least = after + 2 * size + 3 * n
    if flags & _SELF_DESCRIPTIVE:
        least += size + a.raw_end - first
    room = _HEADROOM + a.limit
    if not streams:
        if least > room:
            return exceptions.too_long(channel)
    elif a.gbt is not None and a.limit > a.gbt.room:
        room = _HEADROOM + a.gbt.room
    _begin(a, buf, first, n, results, flags)
    answer = _answer(a, after, room, n, size, streams, not changes)
    if answer == _BY_STEPS:
        _begin(a, buf, first, n, results, flags)
        answer = _answer(a, after, room, n, size, streams, False)
    if answer != _OVERFLOW:
        return answer
    n_head = after - _HEADROOM
    copy(a.gbt.head, 0, channel.tx, _HEADROOM, n_head)
    _begin(a, buf, first, n, results, flags)
    a.stream.count = n + _FIRST + 1
    if not a.window:
        a.gbt.begin()
    answer = a.gbt.stream(a, n_head, True)
    if answer:
        return answer
    # Its protection takes the whole of it.
    if least > room:
        return exceptions.too_long(channel)
    _begin(a, buf, first, n, results, flags)
    return _answer(a, after, room, n, size, 0, False)


def _begin(a, buf, first, n, results, flags):
    """Begin the walk over n specifications at buf[first:]."""
    work = a.work
    work[results] = flags & _BREAK_ON_ERROR
    fill(work, put_length(work, results + 1, n), 2 * n, 0)
    a.raw_pos = a.raw_end + length_size(buf, a.raw_end)
    s = a.stream
    s.begin_names(a, buf, first, n, a.server.part("dlms.access"), results)
    s.bare = 1
    s.phase = _OPEN
    s.index = 0 if flags & _SELF_DESCRIPTIVE else _COUNT


def _after(buf, at, end):
    """Position after the specification at `at`; -1: malformed, -2: there is no such choice."""
    if at >= end:
        return -1
    choice = buf[at]
    if choice < _GET or choice > _SET_WITH_SELECTION:
        return -2
    at += _SPECIFICATION_LEN
    if choice >= _GET_WITH_SELECTION:
        return skip(buf, at + 1, end)
    return at if at <= end else -1


def _wakes(a, buf, at, n):
    """Has a class that one of n specifications needs to be woken first?"""
    model = a.model
    while n:
        row = a.locate(buf, at + 1)
        attribute = buf[at + 9]
        # A value at rest needs no class.
        if row >= 0 and (
            buf[at] != _GET
            or not 0 < attribute <= model.n_attributes(row)
            or model.kind(row, attribute) == _COMPUTED
        ):
            # What reads others finds all of them.
            if model.wakes(row, True):
                return True
        at = _after(buf, at, len(buf))
        n -= 1
    return False


def _put_head(a, buf, pos):
    """What the answer begins with; its end."""
    tx = a.channel.tx
    at = _HEADROOM + _HEAD_LEN
    after = 0
    if buf[pos + _HEAD_LEN]:
        row = a.model.find(a.device, _CLOCK, 0)
        if row >= 0 and not a.may_read(row, _TIME):
            # The tag of the time comes where the identifier ends, which is written over it.
            after = a.model.read(row, _TIME, tx, at - 1, at + 1 + _DATE_TIME_LEN)
    if after <= 0:
        tx[at] = 0
        after = at + 1
    tx[_HEADROOM] = _ACCESS_RESPONSE
    copy(tx, _HEADROOM + 1, buf, pos + 1, _HEAD_LEN - 1)
    tx[after] = 1 if buf[pos + 1] & _SELF_DESCRIPTIVE else 0
    return after + 1


def _answer(a, pos, room, n, size, streams, at_once):
    """Go through the walk, step by step if not at_once; what is written so far ends at pos."""
    s = a.stream
    channel = a.channel
    tx = channel.tx
    last = n + _FIRST
    while s.index <= last:
        s.count = last + 1 if at_once else s.index + 1
        s.result = _RUNNING
        left = room
        if not at_once and not streams and _FIRST <= s.index < last:
            # Of what comes behind, each value is null-data at least.
            left -= last - 1 - s.index + size + 2 * n
        after = s.fill(tx, pos, left)
        if s.result:
            if s.result < 0 and streams:
                if a.gbt is None:
                    return a.wants_transfer()
                if a.context is not None:
                    return _OVERFLOW
                s.count = last + 1
                if not a.window:
                    a.gbt.begin()
                return a.gbt.begins_with(a, tx, _HEADROOM, after)
            if at_once:
                return _BY_STEPS
            _record(s, s.index - _FIRST, s.result if s.result > 0 else _OTHER_REASON)
            s.pass_over()
            tx[pos] = 0
            after = pos + 1
        pos = after
    return channel.reply(_HEADROOM, pos)


# --- The walk, for Stream ---------------------------------------------------------------------


def quick(a, buf, pos, out, at, end):
    """The short way, of a get."""
    s = a.stream
    k = s.index - _FIRST
    data = a.raw_pos
    if k < 0 or pos == a.raw_end or buf[pos] != _GET or buf[data]:
        return -1
    work = a.work
    g = s.results
    if work[g] == _BROKEN:
        return -1
    at = _quick(a, buf, pos + 1, 0, out, at, end)
    if at >= 0:
        a.raw_pos = data + 1
        work[g + 1 + length_size(work, g + 1) + 2 * k] = _GET
    return at


def open_next(s):
    """Do what the next step of the walk says; 0 if there is a value to write, else its result."""
    a = s.association
    work = a.work
    n_at = s.results + 1
    results = n_at + length_size(work, n_at)
    n = length(work, n_at, results)
    k = s.index - _FIRST
    at = s.at
    s.sel_end = at
    if k == n:
        return _octets(s, work, n_at, results + 2 * n)
    if k < 0:
        if s.index == 1:
            return _octets(s, s.buf, s.first, a.raw_end)
        return _octets(s, work, n_at, results)
    buf = s.buf
    s.sel_end = _after(buf, at, a.raw_end)
    data = a.raw_pos
    a.raw_pos = skip(buf, data, len(buf))
    choice = buf[at]
    # With selection or without, the result is that of a get, or a set.
    work[results + 2 * k] = choice if choice <= _ACTION else choice - _ACTION
    if work[s.results] == _BROKEN:
        result = _OTHER_REASON
    elif choice == _ACTION:
        result = _act(a, s, buf, at + 1, data, results + 2 * n)
    elif choice == _GET or choice == _GET_WITH_SELECTION:
        result = _get(a, s, buf, at, choice == _GET_WITH_SELECTION)
    else:
        result = a.locate(buf, at + 1)
        if result < 0:
            result = -1 - result
        elif choice == _SET_WITH_SELECTION:
            # No class has an attribute that is written in parts.
            result = _SCOPE_VIOLATED
        else:
            result = _set(a, s, result, buf[at + 9], data)
    if result:
        _record(s, k, result)
    return result


def _octets(s, src, pos, end):
    """src[pos:end] is to be written."""
    s.row = _NO_ROW
    s.src = src
    s.src_pos = pos
    s.src_end = end
    s.phase = _BYTES
    return 0


def _record(s, k, result):
    """The k-th has failed."""
    work = s.association.work
    g = s.results
    work[g + 2 + length_size(work, g + 1) + 2 * k] = result
    if work[g] != _GOES_ON:
        work[g] = _BROKEN


def _get(a, s, buf, at, with_selection):
    s.selector = buf[at + _SPECIFICATION_LEN] if with_selection else 0
    s.sel_pos = at + _SPECIFICATION_LEN + 1 if with_selection else s.sel_end
    if with_selection and not (s.selector and a.may_select()):
        return _SCOPE_VIOLATED
    result = s.open_object(buf, at + 1)
    return result if result != _NEEDS_JOB else _TEMPORARY_FAILURE


def _set(a, s, row, attribute, data):
    part = a.server.part(_SETS)
    if part is None:
        return _TEMPORARY_FAILURE
    return part.assign(a, row, attribute, s.buf, data, a.raw_pos) or _octets(s, _NOTHING, 0, 1)


def _act(a, s, buf, at, data, out):
    """Return data go to work[out:]."""
    end = a.raw_pos
    if not buf[data]:
        # null-data stands for: no parameter
        data = end
    s.n = 0
    part = a.server.part(_ACTS)
    result = part.invoke(a, buf, at, buf, data, end, out) if part is not None else _LATER
    if result < 0:
        # The next time what it needs may be loaded; what is a job never has the time.
        if a.asks:
            a.forget_job()
        return _TEMPORARY_FAILURE
    if result:
        return result
    if s.n:
        s.k = 0
        s.phase = _ITEMS
        return 0
    if s.out_pos == out:
        return _octets(s, _NOTHING, 0, 1)
    return _octets(s, a.work, out, s.out_pos)
