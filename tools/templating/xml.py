# SPDX-License-Identifier: MIT
"""An XML file as elements, read with care: no document type (so no entities), no more octets,
depth and elements than an object list has. Everything else that is wrong is a sentence."""

import xml.etree.ElementTree as ET
from xml.parsers import expat

from bootstrap import Trouble

MOST_OCTETS = 32 << 20
_MOST_ELEMENTS = 1 << 20
_DEEPEST = 64


class _Reader:
    def __init__(self, name):
        self.name = name
        self.builder = ET.TreeBuilder()
        self.depth = self.n = 0

    def start(self, tag, attributes):
        self.depth += 1
        self.n += 1
        if self.depth > _DEEPEST or self.n > _MOST_ELEMENTS:
            raise Trouble("%s: more elements than an object list has." % self.name)
        self.builder.start(tag, attributes)

    def end(self, tag):
        self.depth -= 1
        self.builder.end(tag)

    def doctype(self, *_):
        raise Trouble(
            "%s has a document type, with which entities come; it is not read." % self.name
        )


def read(path):
    """The root element of a file."""
    try:
        with open(path, "rb") as f:
            data = f.read(MOST_OCTETS + 1)
    except OSError as e:
        raise Trouble("Cannot read %s (%s)." % (path, e.strerror)) from None
    if len(data) > MOST_OCTETS:
        raise Trouble("%s is larger than %d MiB; no object list is." % (path, MOST_OCTETS >> 20))
    reader = _Reader(path)
    parser = expat.ParserCreate()
    parser.StartElementHandler = reader.start
    parser.EndElementHandler = reader.end
    parser.CharacterDataHandler = reader.builder.data
    parser.StartDoctypeDeclHandler = reader.doctype
    try:
        parser.Parse(data, True)
        return reader.builder.close()
    except (expat.ExpatError, LookupError) as e:
        what = expat.ErrorString(e.code) if isinstance(e, expat.ExpatError) else str(e)
        where = " in line %d" % e.lineno if isinstance(e, expat.ExpatError) else ""
        raise Trouble("%s is no XML: %s%s." % (path, what, where)) from None
