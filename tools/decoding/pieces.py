# SPDX-License-Identifier: MIT
"""Nodes of what is below the application layer: fields of frames, headers and messages."""

import os
import sys

from bootstrap import ROOT

from .node import Fault, Node
from .schema import Kind


# Sums and tables are the meter's own.
for _path in ("firmware/ports/shim", "lib"):
    _path = os.path.join(ROOT, _path)
    if _path not in sys.path:
        sys.path.append(_path)


class Field(Kind):
    type = "field"

    def text(self, node):
        return ""


FIELD = Field()


def field(name, start, end, value=None, text="", error=None):
    node = Node(name, FIELD, value, start, end)
    node._text = text  # not by its setter: most nodes of a trace are made here
    if error:
        node.error = Fault(error, start)
    return node


def wrong(node, sentence, at=None):
    """Say what is wrong with a node, unless something is already; at: its first octet if None."""
    if node.error is None:
        node.error = Fault(sentence, node.start if at is None else at)
    return node


class Piece:
    """What a decoder of a layer hands on.

    node        of the whole
    label, text   the layer and what it says, for a line
    is_command  it goes to a meter: True, False, or None where it does not say
    client, server    addresses for the application layer, or None
    apdu        (start, end) of what is for the application layer, or None
    inner       (layer, octets) of what is in it, of another layer, or None
    message     another line, or ""
    part        (number, more follow, start, end) of a segment of an APDU, or None
    """

    label = text = message = ""
    is_command = client = server = apdu = inner = part = None

    def __init__(self, node, label="", text=""):
        self.node = node
        self.label = label
        self.text = text
