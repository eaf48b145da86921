# SPDX-License-Identifier: MIT
"""What a decoder hands out: a tree of nodes, each with the octets that it stands for.

Ranges nest: a child lies within its parent, and the root within the octets that were decoded.
Where a node stands for other octets (deciphered, put together from blocks), it has them in
`octets`, and its range, and those of all below it, count in those.
"""

import json
from json.encoder import encode_basestring as quoted

encoded = json.JSONEncoder(ensure_ascii=False).encode


class Fault(str):
    """A sentence: what is wrong, and what was expected; at: the octet where it goes wrong."""

    def __new__(cls, sentence, at):
        fault = super().__new__(cls, sentence)
        fault.at = at
        return fault


class Node:
    """name       the Book's word, as "get-response-normal", "invoke-id-and-priority"; "" in a list
    value         int, bool, float, str, bytes, or None; None where the children are the value. An
                  octet string that holds an APDU has both: its octets, and the APDU as child
    text          for people: "1.0.1.8.0.255", "success", or ""
    type          the type's name, as "long-unsigned", "structure", "CHOICE"
    start, end    the octets that this is: octets[start:end]
    children      list of Node
    error         None, or a Fault
    octets        None, or the octets that start and end count in, if not those of the parent
    kind          the schema's type (schema.Kind)
    form          None, or how the octets differ from the usual form of this value: the size of a
                  length that is longer than it need be, the octet of a boolean; encode() keeps it
    """

    __slots__ = (
        "name", "kind", "value", "start", "end", "children", "error", "form", "octets", "_text",
    )  # fmt: skip

    def __init__(self, name, kind, value, start, end):
        self.name = name
        self.kind = kind
        self.value = value
        self.start = start
        self.end = end
        self.children = []
        self.error = self.form = self.octets = self._text = None

    @property
    def type(self):
        return self.kind.type

    @property
    def text(self):
        text = self._text
        return self.kind.text(self) if text is None else text

    @text.setter
    def text(self, text):
        self._text = text

    def __repr__(self):
        return "<Node %s %d:%d>" % (self.name or self.type, self.start, self.end)

    def __getitem__(self, name):
        """The child of this name, or of this number."""
        if isinstance(name, int):
            return self.children[name]
        for child in self.children:
            if child.name == name:
                return child
        raise KeyError(name)

    def get(self, *names):
        """The node at the end of a path of names, or None."""
        node = self
        for name in names:
            for child in node.children:
                if child.name == name:
                    node = child
                    break
            else:
                return None
        return node

    def walk(self):
        """This node and all below it, in the order of their octets."""
        nodes = [self]
        while nodes:
            node = nodes.pop()
            yield node
            nodes.extend(reversed(node.children))

    def faults(self):
        """(node, Fault) of all that is wrong in this tree."""
        return [(node, node.error) for node in self.walk() if node.error is not None]

    def plain(self):
        """The value as encode() takes it: dicts, lists, (type, value) of a Data, and scalars."""
        return self.kind.plain(self)

    def json(self):
        """An object of JSON, as text; octets are hexadecimal; secrets (a dedicated key, a
        password) are left out; own_octets: how many octets of its own the node counts in."""
        # Not by dicts: an encoder would take as long again, and traces are long.
        kind, value, children = self.kind, self.value, self.children
        out = '{"name": %s, "type": %s, "start": %d, "end": %d' % (
            quoted(self.name), quoted(kind.type), self.start, self.end)  # fmt: skip
        if value is None or kind.secret or (self.octets is not None and not children):
            pass
        elif value.__class__ is int:
            out += ', "value": %d' % value
        elif isinstance(value, (bytes, bytearray)):
            if not children:
                out += ', "value": "%s"' % value.hex()
        elif isinstance(value, float) and not abs(value) < float("inf"):
            out += ', "value": "%s"' % value  # JSON has neither infinity nor NaN
        else:
            out += ', "value": ' + encoded(value)
        text = self.text
        if text:
            out += ', "text": ' + quoted(text)
        if self.error is not None:
            out += ', "error": {"text": %s, "at": %d}' % (quoted(self.error), self.error.at)
        if self.octets is not None:
            out += ', "own_octets": %d' % len(self.octets)
        if children:
            out += ', "children": [%s]' % ", ".join([child.json() for child in children])
        return out + "}"
