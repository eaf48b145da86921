# SPDX-License-Identifier: MIT
"""Reads the class files, lib/cosem/classes/*.toml: one a class, every version in it."""

import copy
import os
import re

from . import source
from .notation import parse_type

FOLDER = os.path.join(os.path.dirname(__file__), "..", "..", "lib", "cosem", "classes")

_KINDS = ("static", "dynamic", "instance-specific")
_CONFIDENCE = ("high", "medium", "low")
# key -> (types, needed); unknown keys are errors, so that a slip of the pen is seen
_CLASS = {"class_id": (int, True), "name": (str, True), "cardinality": (str, True),
          "version": (list, True), "enums": (dict, False)}  # fmt: skip
_VERSION = {"version": (int, True), "name": (str, False), "clause": (str, True),
            "current": (bool, True), "confidence": (str, True), "module": (str, False),
            "state": (list, False), "attributes": (list, True),
            "methods": (list, False)}  # fmt: skip
_ATTRIBUTE = {"index": (int, True), "name": (str, True), "type": (str, True), "kind": (str, True),
              "access": (str, True), "sn": (int, False), "confidence": (str, False),
              "sn_confidence": (str, False), "enum": (str, False), "computed": (bool, False),
              "check": (bool, False), "changed": (bool, False), "patched": (bool, False),
              "volatile": (bool, False), "late": (bool, False),
              "selectors": (list, False)}  # fmt: skip
_METHOD = {"index": (int, True), "name": (str, True), "parameter": (str, True),
           "returns": (str, True), "mandatory": (bool, False), "optional": (bool, False),
           "sn": (int, False), "confidence": (str, False),
           "sn_confidence": (str, False)}  # fmt: skip
_STATE = {"name": (str, True), "size": (int, True)}


class Attribute:
    """index, name, type (notation.Type), kind static/dynamic/instance-specific, access (default:
    'r' or 'rw'), sn (offset from base_name, or None), confidence, sn_confidence, enum (name, or
    None). computed: its handler writes it; check, changed: the handler is asked before, told after
    a SET; patched: the handler changes it; volatile: not saved; late: hardly ever changed (see
    cosem/model.py); selectors: selective access."""

    def __init__(self, row, version):
        self.index = row["index"]
        self.name = row["name"]
        self.kind = row["kind"]
        self.access = row["access"]
        self.sn = row.get("sn")
        self.confidence = row.get("confidence", version.confidence)
        self.sn_confidence = row.get("sn_confidence", self.confidence)
        self.enum = row.get("enum")
        for flag in ("computed", "check", "changed", "patched", "volatile", "late"):
            setattr(self, flag, row.get(flag, False))
        self.selectors = row.get("selectors", [])


class Method:
    """index, name, parameter and returns (notation.Type, or None), mandatory, sn, confidence."""

    def __init__(self, row, version):
        self.index = row["index"]
        self.name = row["name"]
        self.mandatory = row.get("mandatory", False)
        self.sn = row.get("sn")
        self.confidence = row.get("confidence", version.confidence)
        self.sn_confidence = row.get("sn_confidence", self.confidence)


class Version:
    """A class in one version: class_id, version, name, clause, current, confidence, module,
    state (names and sizes of hidden slots), attributes and methods (dict by index)."""

    def attribute(self, name):
        return next((a for a in self.attributes.values() if a.name == name), None)


class InterfaceClass:
    """class_id, name, cardinality, versions (dict by number), enums (dict of dicts), file."""

    @property
    def current(self):
        return self.versions[max(self.versions, key=lambda v: (self.versions[v].current, v))]


def keys(document, path, table, known):
    """Checks the keys of a table against `known`: key -> (type, needed)."""
    if not isinstance(table, dict):
        raise document.error(path, "%r is no table; expected keys %s" % (table, ", ".join(known)))
    for key, value in table.items():
        if key not in known:
            message = "unknown key %s; expected one of %s" % (key, ", ".join(known))
            raise document.error((*path, key), message)
        wanted = known[key][0]
        if not isinstance(value, wanted) or (wanted is int and isinstance(value, bool)):
            message = "%s is %r; expected a value of type %s" % (key, value, wanted.__name__)
            raise document.error((*path, key), message)
    for key, (_, needed) in known.items():
        if needed and key not in table:
            raise document.error(path, "no %s; expected the key %s here" % (key, key))


def one_of(document, path, value, words):
    if value not in words:
        raise document.error(path, "%r is unknown; expected one of %s" % (value, ", ".join(words)))


def load_class(document):
    """InterfaceClass of a source.Document."""
    data = document.data
    keys(document, (), data, _CLASS)
    c = InterfaceClass()
    c.class_id = data["class_id"]
    c.name = data["name"]
    c.cardinality = data["cardinality"]
    c.file = document.file
    c.enums = data.get("enums", {})
    c.versions = {}
    if not 0 < c.class_id < 0x10000:
        raise document.error(("class_id",), "class_id is %d; expected 1 to 65535" % c.class_id)
    for n, table in enumerate(data["version"]):
        v = load_version(document, ("version", n), table, c)
        if v.version in c.versions:
            raise document.error(
                ("version", n, "version"),
                "version %d again; expected one table a version" % v.version,
            )
        c.versions[v.version] = v
    return c


def load_version(document, path, table, c):
    keys(document, path, table, _VERSION)
    one_of(document, (*path, "confidence"), table["confidence"], _CONFIDENCE)
    v = Version()
    v.class_id = c.class_id
    v.version = table["version"]
    v.name = table.get("name", c.name)
    v.clause = table["clause"]
    v.current = table["current"]
    v.confidence = table["confidence"]
    v.module = table.get("module", "")
    v.enums = c.enums
    v.state = []
    for n, row in enumerate(table.get("state", [])):
        keys(document, (*path, "state", n), row, _STATE)
        v.state.append((row["name"], row["size"]))
    v.attributes = {}
    for n, row in enumerate(table["attributes"]):
        where = (*path, "attributes", n)
        keys(document, where, row, _ATTRIBUTE)
        one_of(document, (*where, "kind"), row["kind"], _KINDS)
        one_of(document, (*where, "access"), row["access"], ("r", "rw", "w"))
        a = Attribute(row, v)
        follows(document, where, a.index, v.attributes)
        try:
            a.type = parse_type(row["type"])
        except ValueError as e:
            raise document.error((*where, "type"), str(e)) from None
        if not all(isinstance(s, int) and 1 <= s <= 8 for s in a.selectors):
            raise document.error(
                (*where, "selectors"), "%r; expected numbers 1 to 8" % a.selectors
            )
        if a.enum is not None and a.enum not in c.enums:
            raise document.error(
                (*where, "enum"), "no table [enums.%s]; expected it in this file" % a.enum
            )
        for flag in ("computed", "check", "changed", "patched"):
            if getattr(a, flag) and not v.module:
                message = "%s has %s = true; expected a module that does it" % (a.name, flag)
                raise document.error(where, message)
        if a.type.kind == "simple" or "w" in a.access:
            a.type = restrict(a.type, a.enum, c.enums)
        v.attributes[a.index] = a
    if 1 not in v.attributes or v.attributes[1].name != "logical_name":
        raise document.error((*path, "attributes"), "no logical_name; expected it as attribute 1")
    v.methods = {}
    for n, row in enumerate(table.get("methods", [])):
        where = (*path, "methods", n)
        keys(document, where, row, _METHOD)
        m = Method(row, v)
        follows(document, where, m.index, v.methods)
        for key in ("parameter", "returns"):
            try:
                setattr(m, key, None if row[key] == "none" else parse_type(row[key]))
            except ValueError as e:
                raise document.error((*where, key), str(e)) from None
        v.methods[m.index] = m
    return v


def follows(document, where, index, earlier):
    if index in earlier or (earlier and index < max(earlier)) or not 1 <= index <= 127:
        raise document.error((*where, "index"), "index %d; expected rising ones, 1 to 127" % index)


_NUMBERS = re.compile(r"[0-9]+(\.\.[0-9]+)?")


def restrict(t, name, enums):
    """The type of an attribute, or of a field of this name, where enums are restricted to the
    values of their table in the class file: that of the attribute, or of the field's name."""
    if t.kind in ("array", "structure", "choice"):
        t = copy.copy(t)
        if t.kind == "array":
            t.element = restrict(t.element, name, enums)
        t.fields = [(field, restrict(of, field, enums)) for field, of in t.fields]
        t.alternatives = [restrict(of, None, enums) for of in t.alternatives]
    elif t.tag == 0x16 and name in enums:
        ranges = ranges_of(enums[name])
        t = t.restricted(ranges) if ranges else t
    return t


def ranges_of(values):
    """(lo, hi) each, of a table of an enum, if it is certain (confidence high): it has numbers,
    and "first..last" for many. What is reserved is no value."""
    if "confidence" in values or not all(_NUMBERS.fullmatch(k) for k in values):
        return []
    ranges = []
    known = [k.split("..") for k, word in values.items() if word != "reserved"]
    for lo, hi in sorted((int(k[0]), int(k[-1])) for k in known):
        if ranges and lo == ranges[-1][1] + 1:
            lo = ranges.pop()[0]
        ranges.append((lo, hi))
    return ranges


def units(classes):
    """Names of units -> numbers, from the enumeration in the file of class Register."""
    names = {}
    for number, text in classes[3].enums["unit"].items():
        if number.isdecimal():
            names.setdefault(text.split(" (")[0], int(number))
    names["1"] = 255  # "no unit, unitless, count"
    return names


def load_classes(folder=FOLDER):
    """Dict class_id -> InterfaceClass of all files of a folder. Raises source.TableError."""
    classes = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith(".toml"):
            document = source.read(os.path.relpath(os.path.join(folder, name)))
            c = load_class(document)
            if c.class_id in classes:
                other = classes[c.class_id].file
                raise document.error(
                    ("class_id",),
                    "class %d is in %s too; expected one file a class" % (c.class_id, other),
                )
            classes[c.class_id] = c
    return classes
