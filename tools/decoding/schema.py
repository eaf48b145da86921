# SPDX-License-Identifier: MIT
"""The mechanism of the tables in axdr.py, apdu.py and acse.py: types that are read and written.

A table is built of kinds, as ASN.1 is of types: OCTET STRING, BOOLEAN, ENUMERATED, numbers; those
made of types (SEQUENCE, CHOICE, ...) are in composed.py; both in A-XDR (IEC 61334-6) as IEC
62056-5-3 uses it. ber.py has those of BER. A kind

    take(buf, pos, end, name)   reads buf[pos:end]: a Node, whose end says how far it went
    put(value)                  the octets of a plain value or of a Node
    plain(node), text(node)     the plain value, the words for people

What is wrong becomes a Fault of the node that it is found in. Where reading can go on after it,
it does; where it cannot (octets are missing, no such choice), take() raises Broken with the node
as far as it came; each node around it takes that as a child and passes a Broken of its own on, up
to what has a length of its own, where reading goes on behind it. put() raises ValueError with a
sentence.
"""

import struct

from .node import Fault, Node


class Broken(Exception):
    """Reading cannot go on; node: what was read, with the fault in it."""

    def __init__(self, node):
        self.node = node

    def within(self, node):
        """The node that this happened in takes what was read as its last child."""
        node.children.append(self.node)
        node.end = max(node.end, self.node.end)
        self.node = node


def broken(name, kind, start, end, sentence, at=None, value=None):
    node = Node(name, kind, value, start, end)
    node.error = Fault(sentence, end if at is None else at)
    return Broken(node)


def octets_of(n):
    return "%d octet%s" % (n, "" if n == 1 else "s")


def missing(name, kind, pos, end, wanted):
    """Broken: wanted octets from pos were expected, but the end is nearer."""
    there = end - pos
    sentence = "expected %s of %s" % (octets_of(wanted), kind.type)
    sentence += ", found %d and the end" % there if there else ", found the end"
    return broken(name, kind, pos, end, sentence)


def elements(node):
    n = len(node.children)
    return "%d element%s" % (n, "" if n == 1 else "s")


def listed(words):
    """ "0 (data), 1 (data-access-result)" of a dict, for sentences."""
    some = ["%d (%s)" % item for item in list(words.items())[:12]]
    return ", ".join(some) + (", ..." if len(words) > 12 else "")


def take_counted(node, n, buf, pos, end, take, *more):
    """n elements, from pos on, become the children of a node; more: other arguments of take()."""
    children = node.children
    try:
        for k in range(n):
            if pos >= end:
                node.error = Fault("expected %d elements, found %d and the end" % (n, k), end)
                raise Broken(node)
            child = take(buf, pos, end, "", *more)
            children.append(child)
            pos = child.end
    except Broken as e:
        node.end = pos
        if e.node is not node:
            e.within(node)
        raise
    node.end = pos
    return node


def put_counted(value, kind, put):
    """Octets of the elements of a list or of a Node, behind their number."""
    form = None
    if value.__class__ is Node:
        form = value.form
        value = value.children
    if not isinstance(value, (list, tuple)):
        raise ValueError("%r is no %s; expected a list" % (value, kind.type))
    return put_length(len(value), form) + b"".join(map(put, value))


class Kind:
    """A type. secret: its value is not for JSON or people."""

    type = ""
    secret = False

    def text(self, node):
        return ""

    def take_part(self, buf, pos, end, name, after):
        """As take(), of what would go on to after."""
        return self.take(buf, pos, end, name)

    def plain(self, node):
        return node.value

    def put(self, value):
        raise NotImplementedError


class Undecoded(Kind):
    """Octets that nothing is known about."""

    type = "octets"

    def text(self, node):
        return octets_of(node.end - node.start)


UNDECODED = Undecoded()


def leave(node, buf, pos, end, sentence=None):
    """Add the octets buf[pos:end] to a node as what they are: not decoded."""
    if pos < end:
        rest = Node("undecoded", UNDECODED, buf[pos:end], pos, end)
        if sentence:
            rest.error = Fault(sentence, pos)
        node.children.append(rest)
        node.end = end


def inside(node, kind, buf, pos, end, name, after=None):
    """Read what an octet string holds: the fault of what is in it does not go beyond. after: where
    it would end, if the end is nearer."""
    try:
        if after is None:
            child = kind.take(buf, pos, end, name)
        else:
            child = kind.take_part(buf, pos, end, name, after)
    except Broken as e:
        child = e.node
    node.children.append(child)
    if child.end < end:
        said = child.faults()  # then the rest is what could not be read
        what = "%s behind the end; expected none" % octets_of(end - child.end)
        leave(node, buf, child.end, end, None if said else what)


# --- Lengths --------------------------------------------------------------------------------


def length_of(buf, pos, end):
    """(length, position after it) of the length at pos; (-1, where it is wrong) if it is none."""
    if pos >= end:
        return -1, end
    n = buf[pos]
    pos += 1
    if n < 0x80:
        return n, pos
    size = n & 0x7F
    if not 0 < size <= 4:
        return -1, pos - 1
    if pos + size > end:
        return -1, end
    return int.from_bytes(buf[pos : pos + size], "big"), pos + size


def length_size(n):
    return 1 if n < 0x80 else 1 + (n.bit_length() + 7) // 8


def put_length(n, form=None):
    """form: None, or the octets that the length takes, if more than it need."""
    size = max(form or 0, length_size(n))
    if size == 1:
        return bytes((n,))
    return bytes((0x7F + size,)) + n.to_bytes(size - 1, "big")


def take_length(buf, pos, end, name, kind, start):
    """(length, position after it, form); Broken if it is none."""
    n, after = length_of(buf, pos, end)
    if n < 0 and after == end:
        what = "expected the length of %s, found the end" % kind.type
        raise broken(name, kind, start, end, what)
    if n < 0:
        what = "0x%02X is no length; expected 00 to 7F, or 81 to 84 and as many octets"
        raise broken(name, kind, start, after, what % buf[after], after)
    return n, after, None if after - pos == length_size(n) else after - pos


def octets(value):
    """Octets of octets, or of hexadecimal text. A ValueError does not repeat what may be a key."""
    try:
        return bytes.fromhex(value) if isinstance(value, str) else bytes(memoryview(value))
    except (TypeError, ValueError):
        raise ValueError("expected octets, or hexadecimal text") from None


def opened(value):
    """(value, form) of a Node or a plain value."""
    return (value.value, value.form) if value.__class__ is Node else (value, None)


# --- Simple types ---------------------------------------------------------------------------


class Fixed(Kind):
    """A number of a fixed size; code: of struct. words: number -> name; other numbers are a fault.
    shown: number -> text."""

    def __init__(self, type, code, words=None, shown=None):
        self.type = type
        self.words = words
        self.shown = shown
        s = struct.Struct(">" + code)
        self.size = s.size
        self.unpack = s.unpack_from
        self.pack = s.pack

    def take(self, buf, pos, end, name):
        after = pos + self.size
        if after > end:
            raise missing(name, self, pos, end, self.size)
        value = self.unpack(buf, pos)[0]
        node = Node(name, self, value, pos, after)
        if self.words is not None and value not in self.words:
            what = "%d is no %s; expected %s" % (value, name or self.type, listed(self.words))
            node.error = Fault(what, pos)
        return node

    def text(self, node):
        if self.shown:
            return self.shown(node.value) if node.value is not None else ""
        return self.words.get(node.value, "") if self.words else ""

    def put(self, value):
        value, _ = opened(value)
        if self.words and isinstance(value, str):
            value = next((n for n, word in self.words.items() if word == value), value)
        try:
            return self.pack(value)
        except struct.error:
            raise ValueError("%r is no %s" % (value, self.type)) from None


class Boolean(Kind):
    type = "BOOLEAN"

    def take(self, buf, pos, end, name):
        if pos >= end:
            raise missing(name, self, pos, end, 1)
        node = Node(name, self, buf[pos] != 0, pos, pos + 1)
        if buf[pos] > 1:
            node.form = buf[pos]
        return node

    def text(self, node):
        return "" if node.value is None else "TRUE" if node.value else "FALSE"

    def put(self, value):
        value, form = opened(value)
        return bytes(((form or 1) if value else 0,))


class Null(Kind):
    type = "NULL"

    def take(self, buf, pos, end, name):
        return Node(name, self, None, pos, pos)

    def put(self, value):
        return b""


class OctetString(Kind):
    """OCTET STRING; size: octets, without a length before them. within: the kind of what it
    holds. shown: octets -> text. sizes: the lengths that it may have."""

    type = "OCTET STRING"

    def __init__(self, size=None, within=None, shown=None, sizes=None, secret=False):
        self.size = size
        self.within = within
        self.shown = shown
        self.sizes = sizes
        self.secret = secret

    def take(self, buf, pos, end, name):
        start = pos
        form = None
        n = self.size
        if n is None:
            n, pos, form = take_length(buf, pos, end, name, self, start)
        after = pos + n
        if after > end:
            e = missing(name, self, pos, end, n)
            e.node.start = start
            e.node.value = buf[pos:end]
            if self.within is not None and pos < end:
                inside(e.node, self.within, buf, pos, end, "", after)
            raise e
        node = Node(name, self, buf[pos:after], start, after)
        node.form = form
        if self.sizes and n not in self.sizes:
            expected = " or ".join(str(s) for s in self.sizes)
            node.error = Fault("%s; expected %s" % (octets_of(n), expected), start)
        if self.within is not None and n:
            inside(node, self.within, buf, pos, after, "")
        return node

    def text(self, node):
        if self.secret:
            return "%s, not shown" % octets_of(len(node.value or b""))
        if node.value is None or not self.shown:
            return ""
        return self.shown(node.value)

    def plain(self, node):
        if self.within is not None and len(node.children) == 1 and not node.faults():
            return self.within.named(node.children[0])
        return node.value

    def put(self, value):
        value, form = opened(value)
        octets = self.octets(value)
        if self.size is not None:
            if len(octets) != self.size:
                what = "%s of %s; expected %d" % (octets_of(len(octets)), self.type, self.size)
                raise ValueError(what)
            return octets
        return put_length(len(octets), form) + octets

    def octets(self, value):
        if isinstance(value, (tuple, dict)) and self.within is not None:
            return self.within.put(value)
        return octets(value)
