# SPDX-License-Identifier: MIT
"""Values on their way out: from the image, from a class module, one or many, in blocks.

A Stream walks a list of COSEM attribute descriptors (IEC 62056-5-3, GET) and writes their values
into whatever room there is, as often as it is asked. It holds where it is as a few small ints, so
a profile of 100,000 rows takes what a register takes. It is made once for each association.

Atoms. What a class module writes as one item, and a stored value of up to 64 octets, is never
torn between two blocks unless it is longer than a block: the block just ends early. So a value
that changes between two blocks is the old one or the new one. Of a longer stored value that is
changed half-way, the model says so by edited(), and the transfer is aborted.
"""

from dlms.axdr import put_length, skip
from dlms.descriptors import quick
from dlms.prim import copy
from micropython import const

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_SCOPE_VIOLATED = const(13)
_LONG_GET_ABORTED = const(15)
_OTHER_REASON = const(250)
_TEMPORARY_FAILURE = const(2)
_LATER = const(255)  # no result: the class module needs a job first
_ASLEEP = const(254)  # no result: the class module has to be loaded first

_KIND = const(0x0F)
_COMPUTED = const(0)
_ROM = const(1)
_RAM = const(2)
_LOGICAL_NAME = const(3)
_LATE = const(5)

_STRUCTURE = const(2)

# phase: what is to be written next.
_COUNT = const(0)  # the number of descriptors (lists only)
_OPEN = const(1)  # the value of descriptor `index`, which is not open yet
_PART = const(2)  # the next attribute of an attribute 0 (or the only one), not open yet
_BYTES = const(3)  # what is left of src[src_pos:src_end]
_ITEMS = const(4)  # items k..n-1 of the class module
_NAME = const(5)  # the logical name
_HEAD = const(6)  # of the structure that an attribute 0 is

_RUNNING = const(-1)
# The octets are not those of an attribute.
_NO_ROW = const(-1)

# Longest stored value that is never torn.
_ATOM = const(64)
# Longest item of a class module.
_ITEM_MAX = const(384)


class Stream:
    """A walk over attribute descriptors, and the value that is being written.

    association  the association that asks, None inside the meter
    row, attribute, selector, buf, sel_pos, sel_end   what is asked (see cosem.handler)
    n, k         items of the value, and the next of them
    a, b, c, d   scratch ints of the class module
    out, out_pos   where a method writes its return data, never past the end of out
    result       -1: there is more to write; 0: all has been written; else the data_access_result
                 that ends the walk, or _LATER, or _ASLEEP
    """

    # Of a walk over short names, or that of ACCESS: the functions of variables.py, or access.py;
    # where in the work buffer the results of methods are; and 1: values without choice, null-data
    # for what is refused (without `variables`: in one array). They are of the class, and so
    # without room in each stream of a meter that has neither.
    variables = None
    results = 0
    bare = 0
    # Of the class, too: 1: what is read is taken apart, and comes without compression.
    plain = 0

    def __init__(self, model):
        self.model = model
        self.association = None
        self.row = self.found = self.attribute = self.selector = 0
        self.buf = model.rom
        self.sel_pos = self.sel_end = 0
        self.n = self.k = self.a = self.b = self.c = self.d = 0
        self.out = model.rom
        self.out_pos = 0
        self.phase = _OPEN
        self.first = 0  # position of the descriptors
        self.count = 0  # their number in a list, 0: one, or something else, and no list
        self.index = self.at = 0  # the next of them, and its position
        self.last_part = 0  # attribute 0: number of attributes; else 0
        self.src = model.rom
        self.src_pos = self.src_end = 0
        self.torn = 0  # octets of the current item that are written already
        self.result = 0

    # --- A walk over descriptors ------------------------------------------------------------

    def begin(self, association, buf, first, count):
        """Start with a list of count descriptors (class_id, logical_name, index, selection) at
        buf[first:], or with one that is no list (count 0).

        They have been parsed: selective access is whole. buf must stay until the end.
        """
        self.association = association
        self.buf = buf
        self.first = first
        self.count = count
        if self.variables is not None:
            self.variables = None
        if self.bare:
            self.bare = 0
        self.rewind()

    def make_room(self):
        """This stream is for short names, or ACCESS, too (boot only)."""
        self.variables = None
        self.results = self.bare = 0

    def begin_names(self, association, buf, first, count, variables, results):
        """As begin(), with count specifications that `variables` knows how to open: variables.py,
        access.py."""
        self.begin(association, buf, first, count)
        self.variables = variables
        self.results = results

    def edited(self, row, attribute):
        """An attribute has changed (0: any of the object): was half of it written?"""
        if (
            self.phase == _BYTES
            and self.row == row
            and (attribute == 0 or self.attribute == attribute)
        ):
            if self.torn:
                self.result = _LONG_GET_ABORTED
            elif self.src is not self.model.objects:
                # Its length may be another now, or its place.
                self._open_value()

    def rewind(self):
        """Back to the start: what was written so far goes out in another form."""
        self.index = 0
        self.at = self.first
        self.phase = _COUNT if self.count else _OPEN
        self.last_part = 0
        self.torn = 0
        self.result = _RUNNING

    def from_bytes(self, association, src, pos, end):
        """Start with octets that are there already (the results of ACTIONs)."""
        self.association = association
        self.index = self.count = 0
        self.last_part = 0
        self.result = _RUNNING
        self.src = src
        self.src_pos = pos
        self.src_end = end
        self.torn = 0
        self.row = _NO_ROW
        self.phase = _BYTES

    def fill(self, out, pos, end):
        """Write on, into out[pos:end]; returns the new end.

        Then result says that it is the end, or the room is used up.
        """
        start = pos
        if self.result > 0:
            return pos
        variables = self.variables
        bare = self.bare
        while True:
            phase = self.phase
            if phase == _OPEN:
                if self.index and self.index >= self.count:
                    self.result = 0
                    return pos
                if self.count:
                    if end - pos < 2 - bare:
                        return pos
                    at = pos + 1 - bare
                    if variables is None:
                        buf = self.buf
                        name = self.at
                        after = quick(self.association, buf, name, buf[name + 9], out, at, end)
                    else:
                        after = variables.quick(self.association, self.buf, self.at, out, at, end)
                    if after >= 0:
                        if at > pos:
                            out[pos] = 0
                        pos = after
                        self.at += 10 if variables is None else variables.NAME_LEN
                        self.index += 1
                        continue
                    dar = self._open_descriptor()
                    if dar:
                        if dar >= _ASLEEP:
                            if dar == _ASLEEP or variables is not None and self.count == 1:
                                self.result = dar
                                return pos
                            dar = _TEMPORARY_FAILURE
                        out[pos] = 0 if bare else 1
                        out[at] = 0 if bare else dar
                        pos = at + 1
                        self._next_descriptor()
                        continue
                    if at > pos:
                        out[pos] = 0
                    pos = at
                else:
                    dar = self._open_descriptor()
                    if dar:
                        self.result = dar
                        return pos
            elif phase == _HEAD:
                if end - pos < 2:
                    return pos
                out[pos] = _STRUCTURE
                out[pos + 1] = self.last_part
                pos += 2
                self.phase = _PART
            elif phase == _BYTES:
                n = self.src_end - self.src_pos
                if n > end - pos:
                    if n <= _ATOM and pos > start:
                        return pos
                    n = end - pos
                copy(out, pos, self.src, self.src_pos, n)
                pos += n
                self.src_pos += n
                if self.src_pos < self.src_end:
                    self.torn = 1
                    return pos
                self._next_part()
            elif phase == _ITEMS:
                pos = self._fill_items(out, pos, end, start)
                if self.phase == _ITEMS:
                    return pos
            elif phase == _NAME:
                if end - pos < 8 and pos > start:
                    return pos
                # In a block that has no room for a whole one it is torn.
                copy(out, pos, _NAME_HEAD, 0, 2)
                pos += 2
                self.src = self.model.objects
                self.src_pos = (self.found << 4) + 2
                self.src_end = self.src_pos + 6
                self.phase = _BYTES
            elif phase == _PART:
                dar = self.open_part()
                if dar == _ASLEEP:
                    self.result = dar
                    return pos
                if dar:
                    if end - pos < 1:
                        return pos
                    out[pos] = 0  # not accessible: null-data
                    pos += 1
                    self._next_part()
            else:
                if end - pos < 3 and (self.count > 127 or end == pos):
                    return pos
                if bare:
                    if end - pos < 6:
                        self.result = _OTHER_REASON
                        return pos
                    copy(out, pos, _BARE_HEAD, 0, 3)
                    pos += 3
                pos = put_length(out, pos, self.count)
                self.phase = _OPEN

    def _fill_items(self, out, pos, end, start):
        handler = self.model.handler_of(self.row)
        aside = self.model.item
        while self.k < self.n:
            if end - pos >= _ITEM_MAX and not self.torn:
                n = handler.item(self, out, pos)
                if n >= 0:
                    pos = n
            else:
                # It may not fit: it is made aside.
                n = handler.item(self, aside, 0)
                left = n - self.torn
                if left > end - pos:
                    if pos > start:
                        return pos
                    # Longer than a whole block: the rest is made again for the next one.
                    copy(out, pos, aside, self.torn, end - pos)
                    self.torn += end - pos
                    return end
                if n >= 0:
                    copy(out, pos, aside, self.torn, left)
                    pos += left
                    self.torn = 0
            if n < 0:
                self.result = _LONG_GET_ABORTED
                return pos
            self.k += 1
        self._next_part()
        return pos

    def _next_part(self):
        self.torn = 0
        if self.attribute < self.last_part:
            self.attribute += 1
            self.phase = _PART
        else:
            self._next_descriptor()

    def pass_over(self):
        """What is being written is left out."""
        self.torn = 0
        self._next_descriptor()

    def _next_descriptor(self):
        self.index += 1
        self.at = self.sel_end
        self.last_part = 0
        self.phase = _OPEN

    def _open_descriptor(self):
        """Open the value that the descriptor at `at` names; data_access_result."""
        if self.variables is not None:
            return self.variables.open_next(self)
        buf = self.buf
        at = self.at
        if buf[at + 9]:
            self.selector = buf[at + 10]
            self.sel_pos = at + 11
            self.sel_end = skip(buf, at + 11, len(buf))
        else:
            self.selector = 0
            self.sel_pos = self.sel_end = at + 10
        association = self.association
        if buf[at + 9] and not (self.selector and association.may_select()):
            return _SCOPE_VIOLATED
        return self.open_object(buf, at)

    def open_object(self, buf, at):
        """Open the attribute that buf[at:at + 9] names, with the selection that has been found."""
        association = self.association
        model = self.model
        row = model.find(association.device, buf, at)
        if row < 0:
            return association.undefined(buf, at)
        self.found = row
        if row == association.alias:
            row = association.row
        self.row = row
        attribute = buf[at + 8]
        if attribute == 0:
            unasked = self.bare and self.variables is None
            if self.selector or not (unasked or association.may_attribute_0_get()):
                return _READ_WRITE_DENIED
            if not association.sees(row):
                return _OBJECT_UNDEFINED
            self.last_part = model.n_attributes(row)
            self.attribute = 1
            self.phase = _HEAD
            return _SUCCESS
        self.attribute = attribute
        return self.open_part()

    def open_part(self):
        """Open attribute `attribute` of `row`, if the association may read it."""
        if self.association is not None:
            dar = self.association.may_read(self.row, self.attribute)
            if dar:
                return dar
        return self._open_value()

    def _open_value(self):
        model = self.model
        e = model.entry(self.row, self.attribute)
        t = model.attributes
        kind = t[e] & _KIND
        if self.selector:
            known = model.selectors(self.row, self.attribute)
            if self.selector > 8 or not known >> (self.selector - 1) & 1:
                return _SCOPE_VIOLATED
        if kind == _RAM or kind == _ROM or kind == _LATE:
            at = t[e + 2] << 8 | t[e + 3]
            if kind == _LATE:
                kind = model.kind(self.row, self.attribute)
                at = model.place(self.row, self.attribute)
            src = model.image if kind == _RAM else model.rom
            self.src = src
            self.src_pos = at + 2
            self.src_end = at + 2 + (src[at] << 8 | src[at + 1])
            self.phase = _BYTES
            return _SUCCESS
        if kind == _COMPUTED:
            self.k = 0
            self.n = 1
            self.phase = _ITEMS
            if self.association is None:
                return model.awake(self.row).open(self)
            if model.asleep and model.wakes(self.row):
                return _ASLEEP
            return model.handler_of(self.row).open(self)
        if kind == _LOGICAL_NAME:
            self.phase = _NAME
            return _SUCCESS
        return _OBJECT_UNDEFINED

    # --- One attribute, inside the meter ----------------------------------------------------

    def open_attribute(self, row, attribute, selector=0):
        """Start with one attribute, without rights; data_access_result. What a selector needs is
        in buf, sel_pos and sel_end already."""
        self.association = None
        self.index = self.count = 0
        self.last_part = self.torn = 0
        self.result = _RUNNING
        self.selector = selector
        self.row = self.found = row
        self.attribute = attribute
        return self._open_value()

    def open_items(self):
        """Start with the return data of a method that the class module writes as items."""
        self.index = self.count = 0
        self.last_part = self.torn = 0
        self.result = _RUNNING
        self.k = 0
        self.phase = _ITEMS

    def copy_all(self, out, pos, end):
        """Write the whole value; returns its end, or -1 if it does not fit or failed."""
        while self.result < 0:
            before = pos
            pos = self.fill(out, pos, end)
            if self.result < 0 and pos == before:
                return -1
        return pos if self.result == 0 else -1


_NAME_HEAD = b"\x09\x06"
_BARE_HEAD = b"\x01\x00\x01"  # one result, data, an array
