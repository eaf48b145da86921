# SPDX-License-Identifier: MIT
"""Kinds made of kinds, in A-XDR: SEQUENCE (OF), CHOICE, OPTIONAL, DEFAULT; see schema.py."""

from .node import Fault, Node
from .schema import (
    Broken,
    Kind,
    Null,
    broken,
    elements,
    listed,
    put_counted,
    take_counted,
    take_length,
)


class Sequence(Kind):
    """SEQUENCE of (name, kind), in this order. shown: node -> text."""

    def __init__(self, type, members, shown=None):
        self.type = type
        self.members = members
        self.shown = shown
        self.takes = [(name, kind.take) for name, kind in members]

    def take(self, buf, pos, end, name):
        node = Node(name, self, None, pos, pos)
        children = node.children
        try:
            for member, take in self.takes:
                child = take(buf, pos, end, member)
                children.append(child)
                pos = child.end
        except Broken as e:
            e.within(node)
            raise
        node.end = pos
        return node

    def text(self, node):
        return self.shown(node) if self.shown else ""

    def plain(self, node):
        return {child.name: child.kind.plain(child) for child in node.children}

    def put(self, value):
        if value.__class__ is Node:
            value = {child.name: child for child in value.children}
        if not isinstance(value, dict):
            raise ValueError(
                "%r is no %s; expected a dict of %s" % (value, self.type, self.names())
            )
        unknown = set(value) - {name for name, _ in self.members}
        if unknown:
            raise ValueError("no %s in %s; expected %s" % (
                sorted(unknown)[0], self.type, self.names()))  # fmt: skip
        out = []
        for name, kind in self.members:
            try:
                out.append(kind.put(value.get(name)))
            except ValueError as e:
                raise ValueError("%s: %s" % (name, e)) from None
        return b"".join(out)

    def names(self):
        return ", ".join(name for name, _ in self.members)


class SequenceOf(Kind):
    """SEQUENCE OF a kind: a count, and as many."""

    def __init__(self, type, kind):
        self.type = "SEQUENCE OF " + type
        self.kind = kind

    def take(self, buf, pos, end, name):
        start = pos
        n, pos, form = take_length(buf, pos, end, name, self, start)
        node = Node(name, self, None, start, pos)
        node.form = form
        return take_counted(node, n, buf, pos, end, self.kind.take)

    def text(self, node):
        return elements(node)

    def plain(self, node):
        return [child.kind.plain(child) for child in node.children]

    def put(self, value):
        return put_counted(value, self, self.kind.put)


class Choice(Kind):
    """CHOICE: a tag of one octet, and the kind of that tag. alternatives: tag -> (name, kind).

    Its plain value is {name: value}; the name alone where the kind is NULL.
    """

    def __init__(self, type, alternatives):
        self.type = type
        self.alternatives = alternatives
        self.words = {tag: name for tag, (name, _) in alternatives.items()}

    def take(self, buf, pos, end, name):
        if pos >= end:
            what = "expected the choice of %s, found the end" % self.type
            raise broken(name, self, pos, end, what)
        tag = buf[pos]
        if tag not in self.alternatives:
            what = "0x%02X is no choice of %s; expected %s" % (tag, self.type, listed(self.words))
            raise broken(name, self, pos, pos + 1, what, pos)
        alternative, kind = self.alternatives[tag]
        node = Node(name, self, None, pos, pos + 1)
        try:
            child = kind.take(buf, pos + 1, end, alternative)
        except Broken as e:
            e.within(node)
            raise
        node.children.append(child)
        node.end = child.end
        return node

    def text(self, node):
        if not node.children:
            return ""
        child = node.children[0]
        return child.text or child.name

    def plain(self, node):
        if not node.children:
            return None  # it is broken
        child = node.children[0]
        if isinstance(child.kind, Null):
            return child.name
        return {child.name: child.kind.plain(child)}

    def put(self, value):
        if value.__class__ is Node:
            value = {value.children[0].name: value.children[0]} if value.children else None
        if isinstance(value, str):
            value = {value: None}
        if isinstance(value, dict) and len(value) == 1:
            name, inner = next(iter(value.items()))
            for tag, (alternative, kind) in self.alternatives.items():
                if alternative == name:
                    return bytes((tag,)) + kind.put(inner)
        raise ValueError("%r is no %s; expected {name: value} of %s" % (
            value, self.type, ", ".join(self.words.values())))  # fmt: skip


class Optional(Kind):
    """OPTIONAL: an octet 00, or 01 and the value. The node is that of the value, from the octet
    on; the value None where it is absent."""

    type = "OPTIONAL"

    def __init__(self, kind):
        self.kind = kind
        self.absent = Absent(self)

    def take(self, buf, pos, end, name):
        if pos >= end:
            what = "expected 00 (absent) or 01 (present) of %s, found the end" % self.kind.type
            raise broken(name, self, pos, end, what)
        if not buf[pos]:
            return Node(name, self.absent, None, pos, pos + 1)
        try:
            node = self.kind.take(buf, pos + 1, end, name)
        except Broken as e:
            self.present(e.node, buf, pos)
            raise
        self.present(node, buf, pos)
        return node

    @staticmethod
    def present(node, buf, pos):
        node.start = pos
        if buf[pos] != 1 and node.error is None:
            node.error = Fault("0x%02X; expected 00 (absent) or 01 (present)" % buf[pos], pos)

    def put(self, value):
        if value is None or (value.__class__ is Node and value.kind is self.absent):
            return b"\0"
        return b"\1" + self.kind.put(value)


class Absent(Kind):
    """What is not there; value: what holds then."""

    def __init__(self, kind, value=None):
        self.type = kind.kind.type
        self.kind = kind.kind
        self.value = value

    def text(self, node):
        if self.value is None:
            return "absent"
        return "%s, the default" % self.kind.text(Node("", self.kind, self.value, 0, 0))

    def plain(self, node):
        return self.value


class Default(Optional):
    """DEFAULT: an octet 00, the value is the default; or 01 and the value."""

    def __init__(self, kind, default):
        self.kind = kind
        self.default = default
        self.absent = Absent(self, default)

    def take(self, buf, pos, end, name):
        node = super().take(buf, pos, end, name)
        if node.kind is self.absent:
            node.value = self.default
        return node

    def put(self, value):
        if value is None or (value.__class__ is not Node and value == self.default):
            return b"\0"
        return super().put(value)
