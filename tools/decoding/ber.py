# SPDX-License-Identifier: MIT
"""BER (ITU-T X.690) for the tables of acse.py: tags of one octet, definite lengths.

A kind here reads contents: take(buf, pos, end, name) has buf[pos:end] to itself. Tagged puts a tag
and a length in front of them, so that a fault in the contents does not go beyond.
"""

from .node import Fault, Node
from .schema import (
    Broken,
    Kind,
    broken,
    length_size,
    listed,
    octets_of,
    opened,
    put_length,
    take_length,
)


class Contents(Kind):
    """What a tag and a length enclose. read(octets) gives the value, or raises ValueError; write
    is its reverse; shown: value -> text."""

    def __init__(self, type, read=bytes, write=bytes, shown=None):
        self.type = type
        self.read = read
        self.write = write
        self.shown = shown

    def take(self, buf, pos, end, name):
        node = Node(name, self, None, pos, end)
        octets = buf[pos:end]
        try:
            node.value = self.read(octets)
        except ValueError as e:
            node.value = octets
            node.error = Fault(str(e), pos)
        return node

    def text(self, node):
        return self.shown(node.value) if self.shown and node.error is None else ""

    def put(self, value):
        value, _ = opened(value)
        try:
            return self.write(value)
        except (AttributeError, OverflowError, TypeError):
            raise ValueError("%r is no %s" % (value, self.type)) from None


def read_integer(octets):
    if not octets:
        raise ValueError("no octets; expected those of an INTEGER")
    if len(octets) > 1 and octets[0] in (0, 0xFF) and (octets[0] ^ octets[1]) < 0x80:
        raise ValueError("an INTEGER with an octet more than it need; expected the fewest")
    return int.from_bytes(octets, "big", signed=True)


def write_integer(value):
    n = (value if value >= 0 else ~value).bit_length() // 8 + 1
    return value.to_bytes(n, "big", signed=True)


def read_bits(octets):
    if not octets or octets[0] > 7 or (octets[0] and len(octets) == 1):
        raise ValueError("no BIT STRING; expected the number of unused bits, 0 to 7, and the bits")
    bits = bin(int.from_bytes(b"\1" + octets[1:], "big"))[3:]
    used = len(bits) - octets[0]
    if "1" in bits[used:]:
        raise ValueError("unused bits of a BIT STRING are set; expected 0")
    return bits[:used]


def write_bits(value):
    if not isinstance(value, str) or set(value) - {"0", "1"}:
        raise ValueError("%r is no BIT STRING; expected text of 0 and 1" % (value,))
    unused = -len(value) % 8
    n = (len(value) + unused) // 8
    return bytes((unused,)) + int("1" + value + "0" * unused, 2).to_bytes(n + 1, "big")[1:]


def read_oid(octets):
    if not octets or octets[-1] & 0x80:
        raise ValueError("no OBJECT IDENTIFIER; expected octets of which the last is below 80")
    arcs = []
    n = 0
    first = True
    for octet in octets:
        if first and octet == 0x80:
            raise ValueError(
                "an arc of an OBJECT IDENTIFIER begins with 80; expected the fewest octets"
            )
        n = n << 7 | octet & 0x7F
        first = not octet & 0x80
        if first:
            arcs.append(n)
            n = 0
    root = min(arcs[0] // 40, 2)
    return ".".join(str(arc) for arc in (root, arcs[0] - 40 * root, *arcs[1:]))


def write_oid(value):
    try:
        arcs = [int(arc) for arc in value.split(".")]
        arcs[:2] = [40 * arcs[0] + arcs[1]]
    except (AttributeError, IndexError, ValueError):
        raise ValueError("%r is no OBJECT IDENTIFIER; expected 2.16.756..." % (value,)) from None
    out = b""
    for arc in arcs:
        part = bytes((arc & 0x7F,))
        while arc > 0x7F:
            arc >>= 7
            part = bytes((arc & 0x7F | 0x80,)) + part
        out += part
    return out


class Number(Contents):
    """INTEGER, or one of words: number -> name."""

    def __init__(self, type="INTEGER", words=None):
        super().__init__(type, read_integer, write_integer)
        self.words = words

    def take(self, buf, pos, end, name):
        node = super().take(buf, pos, end, name)
        if self.words and node.error is None and node.value not in self.words:
            node.error = Fault("%d is no %s; expected %s" % (
                node.value, name or self.type, listed(self.words)), pos)  # fmt: skip
        return node

    def text(self, node):
        return self.words.get(node.value, "") if self.words and node.error is None else ""

    def put(self, value):
        if self.words and isinstance(value, str):
            value = next((n for n, word in self.words.items() if word == value), value)
        return super().put(value)


class Tagged(Kind):
    """A tag and a length around contents; the node is that of the contents, from the tag on. form:
    the octets of each length from the outside in, where any is longer than it need be."""

    def __init__(self, tag, kind):
        self.tag = tag
        self.kind = kind
        self.type = kind.type
        self.secret = kind.secret

    def take(self, buf, pos, end, name):
        start = pos
        if pos >= end:
            raise broken(name, self, pos, end, "expected the tag %02X of %s, found the end" % (
                self.tag, self.type))  # fmt: skip
        if buf[pos] != self.tag:
            raise broken(name, self, pos, pos + 1, "0x%02X; expected the tag %02X of %s" % (
                buf[pos], self.tag, self.type), pos)  # fmt: skip
        n, pos, form = take_length(buf, pos + 1, end, name, self, start)
        after = pos + n
        try:
            node = self.kind.take(buf, pos, min(after, end), name)
        except Broken as e:
            node = e.node
        node.start = start
        node.end = max(node.end, min(after, end))
        if form or isinstance(node.form, tuple):
            node.form = (form or length_size(n), *(node.form or ()))
        if after > end:
            if node.error is None:
                node.error = Fault("", end)
            node.error = Fault("expected %s of %s, found %d and the end" % (
                octets_of(n), self.type, end - pos), end)  # fmt: skip
            raise Broken(node)
        return node

    def put(self, value):
        form = value.form if value.__class__ is Node else None
        if form:
            inner = Node(value.name, value.kind, value.value, 0, 0)
            inner.children = value.children
            inner.form = form[1:] or None
            value = inner
        contents = self.kind.put(value)
        return bytes((self.tag,)) + put_length(len(contents), form and form[0]) + contents


class Only(Kind):
    """Contents that are one Tagged and nothing else."""

    def __init__(self, tagged):
        self.tagged = tagged
        self.type = tagged.type
        self.secret = tagged.secret

    def take(self, buf, pos, end, name):
        node = self.tagged.take(buf, pos, end, name)
        if node.end < end and node.error is None:
            node.error = Fault("%s behind the end of %s; expected none" % (
                octets_of(end - node.end), self.type), node.end)  # fmt: skip
        return node

    def put(self, value):
        return self.tagged.put(value)


def explicit(tag, inner, kind):
    """An explicit tag around the universal one of a type."""
    return Tagged(tag, Only(Tagged(inner, kind)))
