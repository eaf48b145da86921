# SPDX-License-Identifier: MIT
"""Variables, which is what short names name: what the services have in common that access them
(IEC 62056-5-3, Read, Write and UnconfirmedWrite).

A request is a list of variable access specifications:

    02  variable-name                       an attribute
    04  variable-name  selector  Data       parameterized access: a part of an attribute, or a
                                            method with its parameter (null-data: none)
    05  block-number                        the next block of an answer
    06  last-block  block-number  octets    a block of a long ReadRequest
    07  last-block  block-number            a block of a long WriteRequest, in its Data

What answers what, beside the data_access_result of each variable:

    malformed request                         confirmedServiceError, service: other
    service or choice that was not negotiated confirmedServiceError, service: unsupported
    answer that cannot be made short enough   confirmedServiceError, service: pdu-size
    not authenticated yet                     confirmedServiceError, vde-state: no-dlms-context
    a protected request that is wrong         exception-response, as with logical names
    an unconfirmed write, whatever is wrong   silence

and of one variable (data_access_result, decimal), where no two objects have names that overlap:
tools/tables.py refuses such a definition.

    a name that nobody has                    4
    a name between two attributes             4
    a name behind an object's last            4
    an object that the client does not see    4
    an attribute that it may not read         3
    a method, as a variable                   3
    a selector that the attribute has not     13
    selector 0 of an attribute                13
    a parameter of another type               12
    a write of a part                         13
    a write of what it may not write          3
    a write of another type                   12

Which selector comes with a method is not settled in public sources: any is taken. Methods that
are read run once, in their order, before the first octet of the answer leaves. Nothing is
allocated.
"""

from dlms.axdr import get_u16, length, length_size, skip
from dlms.names import resolve
from dlms.prim import copy, readable
from micropython import const

_CONFIRMED_SERVICE_ERROR = const(0x0E)

_VARIABLE_NAME = const(2)
_PARAMETERIZED_ACCESS = const(4)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_SCOPE_VIOLATED = const(13)

# Of server.py: where the body of a reply begins, in every channel.
_HEADROOM = const(64)

# Kinds of the attribute table, see cosem/model.py; phases of stream.py.
_KIND = const(0x0F)
_ROM = const(1)
_RAM = const(2)
_BYTES = const(3)
_ITEMS = const(4)
_NO_ROW = const(-1)

# Of a specification by name, for Stream.
NAME_LEN = 3

_METHOD = const(0x80)
_CURRENT = const(0xFA)
_NULL_DATA = b"\x00"

# A result of a method that was run, in the work buffer: position of its specification (2), result,
# 1 if its return data are items, length (2), return data.
_RESULT_LEN = const(6)


def error(channel, tag, error_class, value):
    """confirmedServiceError of a service; its choice is the tag of the request."""
    tx = channel.tx
    tx[_HEADROOM] = _CONFIRMED_SERVICE_ERROR
    tx[_HEADROOM + 1] = tag
    tx[_HEADROOM + 2] = error_class
    tx[_HEADROOM + 3] = value
    return channel.reply(_HEADROOM, _HEADROOM + 4)


def named(a, buf, pos):
    """What association a calls buf[pos:pos+2], as resolve() says it."""
    model = a.model
    return resolve(model.names, a.first_row, a.n_rows, model.members, buf, pos, a.own_name)


def wakes(a, buf, pos, n):
    """Are classes of the n specifications at buf[pos:] to be woken first? All are for several, and
    for methods, which may read and run others."""
    model = a.model
    if not model.asleep:
        return False
    if n == 1:
        found = named(a, buf, pos + 1)
        if found < 0:
            return False
        if not found & _METHOD:
            return model.wakes(found >> 8)
    model.wants("")
    return True


def specifications(buf, pos, end):
    """Position after a SEQUENCE OF specifications by name at pos; -1: malformed, -2: a choice
    that does not exist, or does not go with others."""
    n = length(buf, pos, end)
    if n < 1:
        return -1
    pos += length_size(buf, pos)
    while n:
        if pos + 3 > end:
            return -1
        choice = buf[pos]
        pos += 3
        if choice == _PARAMETERIZED_ACCESS:
            pos = skip(buf, pos + 1, end)
            if pos < 0:
                return -1
        elif choice != _VARIABLE_NAME:
            return -2
        n -= 1
    return pos


# --- A walk over specifications, for Stream -------------------------------------------------


def quick(a, buf, pos, out, at, end):
    """As descriptors.quick(), of the specification at buf[pos:]."""
    if buf[pos] != _VARIABLE_NAME:
        return -1
    model = a.model
    first = a.first_row
    found = resolve(model.names, first, a.n_rows, model.members, buf, pos + 1, a.own_name)
    if found < 0:
        return -1
    # A method's number is higher than that of any attribute.
    e = readable(
        model.objects, found >> 8, first, found & 0xFF, a.access, model.access, a.protection
    )
    if e < 0:
        return -1
    t = model.attributes
    kind = t[e] & _KIND
    if kind == _RAM:
        src = model.image
    elif kind == _ROM:
        src = model.rom
    else:
        return -1
    e = t[e + 2] << 8 | t[e + 3]
    n = src[e] << 8 | src[e + 1]
    if at + n > end:
        return -1
    copy(out, at, src, e + 2, n)
    return at + n


def open_next(s):
    """Open what the specification at s.at names; data_access_result. See Stream.begin_names()."""
    buf = s.buf
    at = s.at
    a = s.association
    found = named(a, buf, at + 1)
    with_parameter = buf[at] == _PARAMETERIZED_ACCESS
    s.sel_end = skip(buf, at + 4, len(buf)) if with_parameter else at + 3
    if found < 0:
        return _OBJECT_UNDEFINED
    if found & _METHOD:
        # Where its return data are items, s is as it has left it.
        return open_result(s) if with_parameter else _READ_WRITE_DENIED
    s.selector = buf[at + 3] if with_parameter else 0
    if with_parameter and not s.selector:
        return _SCOPE_VIOLATED
    s.sel_pos = at + 4 if with_parameter else at + 3
    row = found >> 8
    s.row = s.found = row
    if buf[at + 1] == _CURRENT and a.alias >= 0:
        s.found = a.alias
    s.attribute = found & 0xFF
    return s.open_part()


def open_result(s):
    """Open the return data of the method that the specification at s.at names; it has been run."""
    work = s.association.work
    g = s.results
    while get_u16(work, g) != s.at:
        g += _RESULT_LEN + get_u16(work, g + 4)
    if work[g + 2]:
        return work[g + 2]
    s.torn = 0
    if work[g + 3]:
        s.k = 0
        s.phase = _ITEMS
        return _SUCCESS
    n = get_u16(work, g + 4)
    s.row = _NO_ROW
    s.src = work if n else _NULL_DATA
    s.src_pos = g + _RESULT_LEN if n else 0
    s.src_end = s.src_pos + n if n else 1
    s.phase = _BYTES
    return _SUCCESS
