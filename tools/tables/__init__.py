# SPDX-License-Identifier: MIT
"""From class files and a meter definition to packed tables.

source      TOML with line numbers, errors of one line
notation    the Book's notation of types: parse, encode, sizes, type descriptions
classes     lib/cosem/classes/*.toml
definition  firmware/definitions/*.toml: groups and lines expanded into objects
key_places  which keys may be the same
pack        objects to OBJECTS, ATTRIBUTES, TYPES, ROM, RAM, ACCESS, ... and the module's text
command     the command line
"""

from .classes import load_classes
from .definition import load_definition
from .key_places import clash
from .notation import parse_type
from .pack import compile, expected_value, title_of
from .source import TableError

__all__ = (
    "TableError",
    "clash",
    "compile",
    "expected_value",
    "load_classes",
    "load_definition",
    "parse_type",
    "title_of",
)
