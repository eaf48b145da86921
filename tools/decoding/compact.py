# SPDX-License-Identifier: MIT
"""compact-array (IEC 62056-5-3): a TypeDescription, and contents without tags; see axdr.py."""

from tables.notation import NAMES

from .data import (
    ALL_NAMES,
    ALL_TAGS,
    ARRAY,
    COMPACT_ARRAY,
    DEEPEST,
    KINDS,
    STRUCTURE,
    Elements,
    Simple,
    too_deep,
)
from .node import Fault, Node
from .schema import (
    Broken,
    Kind,
    broken,
    elements,
    leave,
    listed,
    octets_of,
    put_length,
    take_length,
)

# What a compact-array may hold that takes no octets: null-data, in numbers that mean nothing.
_NODES_AN_OCTET = 16
_NODES = 1024


class Description(Kind):
    """A TypeDescription: a tag; array 01, u16 count, element; structure 02, count, elements.

    The value of a node is None, but the number of elements of an array.
    """

    type = "TypeDescription"

    def take(self, buf, pos, end, name, depth=DEEPEST):
        if pos >= end:
            raise broken(name, self, pos, end, "expected a type, found the end")
        tag = buf[pos]
        kind = DESCRIBED[tag]
        if kind is None:
            what = "0x%02X is no type of a compact-array; expected %s" % (tag, listed(NAMES))
            raise broken(name, self, pos, pos + 1, what, pos)
        node = Node(name, kind, None, pos, pos + 1)
        if tag == ARRAY:
            head = 3
            n = 1
        elif tag == STRUCTURE:
            head = 2
            n = buf[pos + 1] if pos + 1 < end else 0
        else:
            return node
        if depth == 1:
            raise too_deep(node)
        if pos + head > end:
            node.end = end
            node.error = Fault("expected the number of elements, found the end", end)
            raise Broken(node)
        if tag == ARRAY:
            node.value = buf[pos + 1] << 8 | buf[pos + 2]
        pos += head
        try:
            for _ in range(n):
                child = self.take(buf, pos, end, "", depth - 1)
                node.children.append(child)
                pos = child.end
        except Broken as e:
            e.within(node)
            raise
        node.end = pos
        return node


class Described(Kind):
    """The kind of a node in a TypeDescription."""

    def __init__(self, tag):
        self.type = ALL_NAMES[tag]
        self.tag = tag

    def text(self, node):
        return "of %d" % node.value if node.value is not None else ""

    def plain(self, node):
        if self.tag == ARRAY and node.children:
            return self.type, node.value, node.children[0].kind.plain(node.children[0])
        if self.tag == STRUCTURE:
            return self.type, [child.kind.plain(child) for child in node.children]
        return self.type

    def put(self, value):
        return describe(self.plain(value))


def describe(description):
    """Octets of a type description."""
    if isinstance(description, str):
        tag = ALL_TAGS.get(description)
        if tag is not None and tag not in (ARRAY, STRUCTURE, COMPACT_ARRAY):
            return bytes((tag,))
    elif description[0] == "array" and len(description) == 3:
        return b"\x01" + description[1].to_bytes(2, "big") + describe(description[2])
    elif description[0] == "structure" and len(description) == 2:
        return bytes((2, len(description[1]))) + b"".join(map(describe, description[1]))
    raise ValueError("%r is no type of a compact-array" % (description,))


class CompactArray(Simple):
    """13: a TypeDescription, the number of octets, and the elements without their tags."""

    def take(self, buf, pos, end, name):
        start = pos
        node = Node(name, self, None, start, pos)
        try:
            description = DESCRIPTION.take(buf, pos, end, "contents-description")
        except Broken as e:
            e.within(node)
            raise
        node.children.append(description)
        pos = description.end
        try:
            n, pos, form = take_length(buf, pos, end, "array-contents", CONTENTS, pos)
        except Broken as e:
            e.within(node)
            raise
        contents = Node("array-contents", CONTENTS, None, description.end, pos)
        contents.form = form
        node.children.append(contents)
        first = pos
        stop = min(pos + n, end)
        budget = [_NODES + _NODES_AN_OCTET * (stop - first)]
        try:
            while pos < stop:
                child = element(description, buf, pos, stop, budget)
                contents.children.append(child)
                if child.end == pos:
                    child.error = Fault("an element without octets; expected none of those", pos)
                    break
                pos = child.end
        except Broken as e:
            contents.children.append(e.node)
            pos = e.node.end
        leave(contents, buf, pos, stop)
        contents.end = node.end = stop
        if first + n > end:
            contents.error = Fault("expected %s, found %d and the end" % (
                octets_of(n), end - first), end)  # fmt: skip
            raise Broken(node)
        return node

    def text(self, node):
        return elements(node.children[1]) if len(node.children) > 1 else ""

    def plain(self, node):
        if len(node.children) < 2:
            return self.type, None  # it is broken
        description, contents = node.children[:2]
        values = [untyped(child) for child in contents.children]
        return self.type, (description.kind.plain(description), values)

    def put(self, value, tag=True):
        form = None
        if value.__class__ is Node:
            description, contents = value.children[:2]
            octets = b"".join(map(put_element, contents.children))
            description = description.kind.put(description)
            form = contents.form
        else:
            try:
                description, values = value
                octets = b"".join(put_described(description, v) for v in values)
                description = describe(description)
            except (AttributeError, IndexError, KeyError, OverflowError, TypeError):
                what = "%r is no compact-array; expected (description, [elements])"
                raise ValueError(what % (value,)) from None
        return b"\x13" + description + put_length(len(octets), form) + octets


class Contents(Kind):
    type = "OCTET STRING"


def element(description, buf, pos, end, budget):
    """The Node of an element of the described type, at pos. Its kinds are those of Data."""
    budget[0] -= 1
    kind = KINDS[description.kind.tag]
    if budget[0] < 0:
        raise broken("", kind, pos, pos, "more elements than that many octets can mean")
    if not description.children:
        if kind.__class__ is not Elements:
            return kind.take(buf, pos, end, "")
        return Node("", kind, None, pos, pos)
    node = Node("", kind, None, pos, pos)
    repeated = description.children * (description.value if kind.tag == ARRAY else 1)
    try:
        for described in repeated:
            child = element(described, buf, pos, end, budget)
            node.children.append(child)
            pos = child.end
    except Broken as e:
        e.within(node)
        raise
    node.end = pos
    return node


def untyped(node):
    if node.kind.__class__ is Elements:
        return [untyped(child) for child in node.children]
    return node.value


def put_element(node):
    if node.kind.__class__ is Elements:
        return b"".join(map(put_element, node.children))
    return node.kind.put(node, False)


def put_described(description, value):
    if isinstance(description, str):
        return KINDS[ALL_TAGS[description]].put(value, False)
    if description[0] == "array":
        described = description[2:] * description[1]
    else:
        described = description[1]
    if len(value) != len(described):
        raise ValueError("%d elements; expected %d" % (len(value), len(described)))
    return b"".join(map(put_described, described, value))


DESCRIPTION = Description()
CONTENTS = Contents()
DESCRIBED = [Described(tag) if KINDS[tag] is not None else None for tag in range(256)]
KINDS[COMPACT_ARRAY] = CompactArray(COMPACT_ARRAY)
