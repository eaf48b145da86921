# SPDX-License-Identifier: MIT
"""What objects are called: by a meter's definition, by OBIS (IEC 62056-6-1), by their class.

    names = Names()                 obis.csv and the class files
    names = Names(definition)       tables.load_definition(): notes of its objects come first
    names.obis("1.0.1.8.0.255", 3)  "active import +A energy, total", or ""
    names.annotate(node)            adds to the text of each descriptor and logical name in a tree

obis.csv has patterns, purposes and class_ids of public sources; in a pattern a small letter is any
value, (a-b) and (a,b) are ranges; {e} in a purpose is the value of group E. Where it has no row of
its own for a measured value, the name is put together from those of its groups C, D and E.
"""

import csv
import functools
import os

FILE = os.path.join(os.path.dirname(os.path.abspath(__file__)), "obis.csv")
_GROUP_C, _GROUP_D, _GROUP_E = "value group C: ", "value group D: ", "value group E: "


class Row:
    def __init__(self, pattern, name, class_ids):
        self.name = name
        self.class_ids = {int(c) for c in class_ids.split(";") if c.isdecimal()}
        self.groups = [_group(text) for text in _split(pattern)]
        self.literal = sum(isinstance(g, frozenset) for g in self.groups)
        exact = [len(g) == 1 for g in self.groups if g is not None]
        self.weight = 2 * sum(exact) + len(exact)

    def fits(self, name):
        return all(g is None or n in g for g, n in zip(self.groups, name))


def _split(pattern):
    groups = []
    depth = 0
    part = ""
    for c in pattern + ".":
        depth += (c == "(") - (c == ")")
        if c == "." and not depth:
            groups.append(part)
            part = ""
        else:
            part += c
    return groups


def _group(text):
    """The values of a group; None: any."""
    if text.isalpha():
        return None
    values = set()
    for part in text.strip("()").split(","):
        low, _, high = part.partition("-")
        values.update(range(int(low), int(high or low) + 1))
    return frozenset(values)


@functools.cache
def rows():
    """By groups A and C: the rows that may fit."""
    with open(FILE, encoding="utf-8", newline="") as f:
        found = [Row(*row) for row in csv.reader(f) if row and not row[0].startswith("#")]
    return sorted(found, key=lambda row: -row.weight)


@functools.lru_cache(1024)  # bounded: names come over the line, and those of garbage do not end
def purpose(name, class_id=None):
    """Of six numbers, by obis.csv; "" if it has none."""
    fitting = [row for row in rows() if row.fits(name)]
    if class_id is not None:
        own = [r for r in fitting if class_id in r.class_ids]
        fitting = own + [r for r in fitting if class_id not in r.class_ids]
    for row in fitting:
        if not row.name.startswith("value group"):
            return _with_instance(row, name)
    parts = []
    for group in (_GROUP_C, _GROUP_D, _GROUP_E):
        row = next((r for r in fitting if r.name.startswith(group)), None)
        if row is not None:
            parts.append(row.name[len(group) :].replace("{e}", str(name[4])))
    return ", ".join(parts) if len(parts) > 1 else ""


def _with_instance(row, name):
    """Its name, and which one it is where the pattern leaves that open."""
    open_ = [n for k, n in enumerate(name) if row.groups[k] is None and k in (1, 4) and n]
    return row.name.replace("{e}", str(name[4])) + "".join(" (%d)" % n for n in open_)


class Names:
    def __init__(self, definition=None):
        self._notes = {}
        self._short = {}
        if definition is not None:
            for o in definition.objects:
                if o.note:
                    self._notes[tuple(o.name)] = o.note
                if o.base_name:
                    for members in (o.version.attributes, o.version.methods):
                        for member in members.values():
                            if member.sn is not None:
                                self._short[o.base_name + member.sn] = "%s %s" % (
                                    o.text,
                                    member.name,
                                )

    def obis(self, name, class_id=None):
        """name: text or six octets."""
        if isinstance(name, str):
            parts = name.split(".")
            name = tuple(int(p) for p in parts) if all(p.isdecimal() for p in parts) else ()
        name = tuple(name)
        if len(name) != 6:
            return ""
        return self._notes.get(name) or purpose(name, class_id)

    def annotate(self, node):
        for n in node.walk():
            if n.name == "instance-id":
                continue
            value = n.value
            if n.name == "variable-name":
                said = self._short.get(value)
                if said:
                    n.text = "0x%04X: %s" % (value, said)
            elif value.__class__ is bytes:
                if len(value) == 6 and value[5] == 0xFF:
                    said = self.obis(value)
                    if said:
                        n.text = "%s: %s" % (".".join(map(str, value)), said)
            elif (
                value is None
                and n.children
                and len(n.children) == 3
                and n.children[1].name == "instance-id"
            ):
                name = n.children[1].value
                if name is not None:
                    said = self.obis(name, n.children[0].value)
                    if said:
                        n.text = "%s: %s" % (n.text, said)
