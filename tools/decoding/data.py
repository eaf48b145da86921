# SPDX-License-Identifier: MIT
"""The kinds of Data (IEC 62056-5-3) but for compact-array, which is in compact.py; see axdr.py.

Tags, names and sizes are those of tools/tables/notation.py.
"""

import struct

from tables.notation import CODES, FIXED, NAMES, TAGS

from . import shown
from .node import Fault, Node
from .schema import (
    Broken,
    Kind,
    broken,
    elements,
    listed,
    missing,
    opened,
    put_counted,
    put_length,
    take_counted,
    take_length,
)
from .schema import octets as octets_

ARRAY = TAGS["array"]
STRUCTURE = TAGS["structure"]
BOOLEAN = TAGS["boolean"]
BIT_STRING = TAGS["bit-string"]
OCTET_STRING = TAGS["octet-string"]
VISIBLE_STRING = TAGS["visible-string"]
COMPACT_ARRAY = TAGS["compact-array"]
DONT_CARE = 0xFF  # a tag without a value; the meter's own tables have no use for it
DEEPEST = 32  # levels; the meter's own walker follows 10

ALL_TAGS = dict(TAGS, **{"dont-care": DONT_CARE})
ALL_NAMES = {tag: name for name, tag in ALL_TAGS.items()}


class Simple(Kind):
    """A type of a fixed size; unpack(buf, pos) gives a tuple with the value."""

    def __init__(self, tag):
        self.type = ALL_NAMES[tag]
        self.tag = tag
        self.size = FIXED.get(tag, 0)
        s = struct.Struct(">" + CODES[tag] if tag in CODES else "%ds" % self.size)
        self.unpack = s.unpack_from
        self.pack = s.pack
        self.shown = shown.DATES.get(self.type)

    def take(self, buf, pos, end, name):
        """The value without its tag."""
        after = pos + self.size
        if after > end:
            raise missing(name, self, pos, end, self.size)
        node = Node(name, self, self.unpack(buf, pos)[0] if self.size else None, pos, after)
        if self.tag == BOOLEAN:
            if node.value > 1:
                node.form = node.value
            node.value = node.value != 0
        return node

    def text(self, node):
        if self.shown and node.value is not None:
            return self.shown(node.value)
        return ""

    def plain(self, node):
        return self.type, node.value

    def put(self, value, tag=True):
        value, form = opened(value)
        head = bytes((self.tag,)) if tag else b""
        if not self.size:
            return head
        if self.tag == BOOLEAN:
            value = (form or 1) if value else 0
        if self.shown:
            value = octets_(value)
            if len(value) != self.size:
                raise ValueError("%r is no %s; expected %d octets" % (value, self.type, self.size))
        try:
            return head + self.pack(value)
        except (struct.error, OverflowError):
            raise ValueError("%r is no %s" % (value, self.type)) from None


class Float(Simple):
    """float32, float64. form of a node: the octets of a NaN, of which there are many."""

    def take(self, buf, pos, end, name):
        node = super().take(buf, pos, end, name)
        if node.value != node.value:
            node.form = buf[pos : node.end]
        return node

    def put(self, value, tag=True):
        if value.__class__ is Node and value.form and value.value != value.value:
            return (bytes((self.tag,)) if tag else b"") + value.form
        return super().put(value, tag)


class String(Simple):
    """octet-string, visible-string, utf8-string, bit-string: a length, and the value."""

    def take(self, buf, pos, end, name):
        start = pos
        n, pos, form = take_length(buf, pos, end, name, self, start)
        size = (n + 7) >> 3 if self.tag == BIT_STRING else n
        after = pos + size
        if after > end:
            e = missing(name, self, pos, end, size)
            e.node.start = start
            e.node.value = bytes(buf[pos:end])
            raise e
        node = Node(name, self, None, start, after)
        node.form = form
        octets = buf[pos:after]
        if self.tag == BIT_STRING:
            bits = bin(int.from_bytes(b"\1" + octets, "big"))[3:]
            node.value = bits[:n]
            if "1" in bits[n:]:
                node.error = Fault("bits are set behind the last of %d; expected 0" % n, after - 1)
        elif self.tag == OCTET_STRING:
            node.value = octets
        else:
            self.characters(node, octets, pos)
        return node

    def characters(self, node, octets, pos):
        codec = "ascii" if self.tag == VISIBLE_STRING else "utf-8"
        try:
            node.value = octets.decode(codec)
        except UnicodeDecodeError as e:
            node.value = octets
            node.error = Fault("0x%02X is no character of a %s" % (octets[e.start], self.type),
                               pos + e.start)  # fmt: skip

    def text(self, node):
        return shown.octet_string(node.value) if self.tag == OCTET_STRING and node.value else ""

    def put(self, value, tag=True):
        value, form = opened(value)
        n = None
        if self.tag == BIT_STRING:
            if not isinstance(value, str) or set(value) - {"0", "1"}:
                raise ValueError("%r is no bit-string; expected text of 0 and 1" % (value,))
            n = len(value)
            value += "0" * (-n % 8)
            octets = int("1" + value, 2).to_bytes(1 + len(value) // 8, "big")[1:]
        elif isinstance(value, str) and self.tag != OCTET_STRING:
            octets = value.encode("utf-8")
        else:
            octets = octets_(value)
        n = len(octets) if n is None else n
        return (bytes((self.tag,)) if tag else b"") + put_length(n, form) + octets


class Elements(Simple):
    """array, structure: a count, and the elements."""

    def text(self, node):
        return elements(node)

    def plain(self, node):
        return self.type, [child.kind.plain(child) for child in node.children]

    def put(self, value, tag=True):
        return bytes((self.tag,)) + put_counted(value, self, DATA.put)


class Unknown(Kind):
    type = "Data"


def _kinds():
    kinds = [None] * 256
    for tag in ALL_NAMES:
        if tag in (ARRAY, STRUCTURE):
            kinds[tag] = Elements(tag)
        elif tag == COMPACT_ARRAY:
            continue  # compact.py puts it here
        elif ALL_NAMES[tag].startswith("float"):
            kinds[tag] = Float(tag)
        elif tag in FIXED or tag == DONT_CARE:
            kinds[tag] = Simple(tag)
        else:
            kinds[tag] = String(tag)
    return kinds


def take_data(buf, pos, end, name="", depth=DEEPEST):
    """The Node of the Data at pos. As Kind.take()."""
    if pos >= end:
        raise broken(name, UNKNOWN, pos, end, "expected the tag of a Data, found the end")
    tag = buf[pos]
    kind = KINDS[tag]
    if kind is None:
        what = "0x%02X is no tag of a Data; expected %s" % (tag, listed(NAMES))
        raise broken(name, UNKNOWN, pos, pos + 1, what, pos)
    if tag != ARRAY and tag != STRUCTURE:
        try:
            node = kind.take(buf, pos + 1, end, name)
        except Broken as e:
            e.node.start = pos
            raise
        node.start = pos
        return node
    start = pos
    n, pos, form = take_length(buf, pos + 1, end, name, kind, start)
    node = Node(name, kind, None, start, pos)
    node.form = form
    if depth == 1:
        raise too_deep(node)
    return take_counted(node, n, buf, pos, end, take_data, depth - 1)


def too_deep(node):
    node.error = Fault("more than %d levels; nobody means that" % DEEPEST, node.start)
    return Broken(node)


class Data(Kind):
    """Any Data, for the tables."""

    type = "Data"

    @staticmethod
    def take(buf, pos, end, name):
        return take_data(buf, pos, end, name)

    def put(self, value):
        if value.__class__ is Node:
            return value.kind.put(value)
        if value is None:
            return b"\0"
        if isinstance(value, (tuple, list)) and value and isinstance(value[0], str):
            tag = ALL_TAGS.get(value[0])
            if tag is not None:
                return KINDS[tag].put(value[1] if len(value) > 1 else None)
        raise ValueError('%r is no Data; expected ("long-unsigned", 5) and the like' % (value,))


UNKNOWN = Unknown()
DATA = Data()
KINDS = _kinds()
