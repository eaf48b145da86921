# SPDX-License-Identifier: MIT
"""COSEM attribute descriptors with selection (IEC 62056-5-3, GET and SET): class_id, logical_name,
attribute_index, and the optional selective access behind them. Where they end, and the short way
to the value of one. Nothing is allocated.

What answers a selection that cannot be (results in decimal, and exception-responses):

    selector that the attribute has not     13
    selector 0                              13
    selection of a method's object          13
    selection that was not negotiated       13
    selection of attribute 0                3
    selection of an object that is not      4
    selection of an attribute that is not   4
    parameter of another type               12
    parameter that is cut                   D80103
    neither with nor without                D80103
    in a SET                                13
"""

from dlms.axdr import length, length_size, skip
from dlms.prim import copy, find, readable
from micropython import const

# Kinds of the attribute table, see cosem/model.py.
_KIND = const(0x0F)
_ROM = const(1)
_RAM = const(2)


def parse_selection(buf, pos, end):
    """Position after the optional selective access at pos, or -1."""
    if pos >= end:
        return -1
    if buf[pos] == 0:
        return pos + 1
    if buf[pos] != 1 or pos + 2 >= end:
        return -1
    return skip(buf, pos + 2, end)


def parse_descriptors(buf, pos, end):
    """Position after a SEQUENCE OF attribute descriptors with selection at pos, or -1."""
    n = length(buf, pos, end)
    if n < 1:
        return -1
    pos += length_size(buf, pos)
    while n:
        pos = parse_selection(buf, pos + 9, end)
        if pos < 0:
            return -1
        n -= 1
    return pos


def quick(a, buf, pos, selection, out, at, end):
    """The short way for what is asked most: one stored attribute, nothing special about it.

    Copies the value that the descriptor buf[pos:] names to out[at:end] and returns its end.
    -1: it is special (selection: a part of it), or refused; the Stream takes the long way and
    finds out why.

    variables.quick() ends with the same lines: a function of both would be one call more for each
    value that is read, 12 us of 277 for a GET on a Cortex-M3.
    """
    if selection:
        return -1
    model = a.model
    objects = model.objects
    first = a.first_row
    row = find(objects, first, a.n_rows, buf, pos)
    if row < 0 or row == a.alias:
        return -1
    e = readable(objects, row, first, buf[pos + 8], a.access, model.access, a.protection)
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
