# SPDX-License-Identifier: MIT
"""Data of IEC 62056-5-3 in A-XDR: every type, compact-array among them.

decode_data(octets)             a Node; its type is the Book's word, its value a Python scalar; of
                                array, structure and compact-array the children are the elements
encode_data((type, value))      octets; as encode_data(("structure", [("long-unsigned", 5)]))

    boolean                 bool            bit-string              str of 0 and 1
    bcd, integers, enum     int             octet-string            bytes
    float32, float64        float           visible-, utf8-string   str (bytes, if it is none)
    null-data, dont-care    None            date-time, date, time   bytes
    array, structure        list of (type, value)
    compact-array           (description, [elements]); a description is a type's name,
                            ("structure", [descriptions]) or ("array", count, description); an
                            element is a plain value: of a structure or an array a list

Tags, names and sizes are those of tools/tables/notation.py.
"""

from . import compact
from .data import DATA, UNKNOWN
from .node import Node
from .schema import inside

__all__ = ("DATA", "compact", "decode_data", "encode_data")


def decode_data(octets, start=0, end=None, name="data"):
    """The Node of the Data at octets[start:end]. Never raises; what follows it is a fault."""
    octets = bytes(octets)
    end = len(octets) if end is None else min(end, len(octets))
    start = min(start, end)
    root = Node(name, UNKNOWN, None, start, start)
    inside(root, DATA, octets, start, end, name)
    node = root.children[0]
    node.children.extend(root.children[1:])
    node.end = max(child.end for child in root.children)
    return node


def encode_data(value):
    """Octets of (type, value), or of a Node. ValueError says what does not fit."""
    return DATA.put(value)
