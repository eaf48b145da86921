# SPDX-License-Identifier: MIT
"""Objects of a definition, as a client sees them, to the XML object list."""

import xml.etree.ElementTree as ET

from tables.notation import Typed, obis

from . import texts
from .layouts import LAYOUTS

_ASSOCIATION_LN = 15
_CURRENT = "0.0.40.0.0.255"
_OID = (2, 16, 756, 5, 8)  # of the DLMS UA; then 1: contexts, 2: mechanisms
_CONTEXTS, _MECHANISMS = 1, 2
_DLMS_VERSION = 6
_ASSOCIATED = 2
_READ_WRITE = 3
_AUTHENTICATED = 4  # of the octet of rights; and what older versions call 4 to 6
_SCRIPT_TABLE = 9
_DATED = ("time", "date", "moment")
_WITH_THREE_DIGITS = 3  # version of Association LN from which rights are octets


def text(d, association):
    """(XML, sentences about what is not in it)"""
    return _Export(d, association).text()


class _Export:
    def __init__(self, d, association):
        self.d = d
        self.association = association
        self.losses = []

    def text(self):
        objects = [
            o
            for o in self.association.device.objects
            if self.association.role in o.access and self.has_layout(o)
        ]
        versions = [o.version.version for o in objects if o.version.class_id == _ASSOCIATION_LN]
        self.by_bits = bool(versions) and versions[0] >= _WITH_THREE_DIGITS
        root = ET.Element("Objects")
        for o in objects:
            self.object(root, o)
        ET.indent(root)
        return ET.tostring(root, encoding="unicode", xml_declaration=True) + "\n", self.losses

    def lose(self, o, what):
        self.losses.append("%d %s: %s" % (o.version.class_id, obis(o.name), what))

    def has_layout(self, o):
        if o.version.class_id in LAYOUTS:
            return True
        self.lose(o, "%s has no place in the format" % o.version.name)
        return False

    def object(self, root, o):
        name, *members = LAYOUTS[o.version.class_id]
        element = ET.SubElement(root, "GXDLMS" + name)
        if self.association.short:
            _add(element, "SN", str(o.base_name))
        _add(element, "LN", obis(o.name))
        if o.version.version:
            _add(element, "Version", str(o.version.version))
        if o.note:
            _add(element, "Description", o.note)
        n = max(o.version.attributes)
        rights = o.access[self.association.role]
        suffix = "3" if self.by_bits else ""
        _add(element, "Access" + suffix, self.rights(o, rights[:n], False))
        _add(element, "MethodAccess" + suffix, self.rights(o, rights[n:], True))
        covered = {1}
        for member in members:
            self.member(element, o, member, None, covered)
        for k, cell in o.cells.items():
            if k not in covered and o.version.class_id != _ASSOCIATION_LN and said(cell):
                self.lose(o, "%s has no place in the format" % cell.attribute.name)

    def rights(self, o, octets, methods):
        if self.by_bits:
            return "".join("%04X" % (0x8000 | octet) for octet in octets)
        for octet in octets:
            if octet & 0xF8 and octet & _READ_WRITE:
                self.lose(o, "rights that ask for more than authentication: said as plain ones")
                break
        out = ""
        for octet in octets:
            mode = octet & _READ_WRITE
            if mode and octet & _AUTHENTICATED:
                mode = 2 if methods else mode + 3
            out += str(mode)
        return out

    def member(self, parent, o, m, value, covered):
        """One element. value: of the item that it is part of, or None in the object itself."""
        if m.of or (m.members and not m.item and not m.path and m.members[0].of):
            self.of_association(parent, o, m)
            return
        if m.members and not m.item:  # a group
            element = ET.SubElement(parent, m.name)
            for inner in m.members:
                self.member(element, o, inner, value, covered)
            if not len(element) or element.findtext("ObjectType") == "0":  # of no object
                parent.remove(element)
            return
        if value is None and m.path:
            cell = o.cells.get(m.path[0])
            if cell is None:
                return
            covered.add(m.path[0])
            t, v = reach(cell.type, cell.value, m.path[1:])
        elif m.path or value is not None:
            t, v = reach(*value, m.path)
        else:
            t, v = None, None
        if t is None and m.kind != "script-table":
            return
        if m.name is None:
            if v not in (0, m.kind):
                self.lose(o, "attribute_index %d has no place in the format" % v)
            return
        if m.item and m.kind not in ("rows", "certificates"):
            self.items(parent, o, m, t, v, covered)
        else:
            self.leaf(parent, o, m, t, v)

    def items(self, parent, o, m, t, v, covered):
        element = ET.SubElement(parent, m.name)
        t, v = (v.type, v.value) if isinstance(v, Typed) else (t, v)
        for one in v or ():
            if not m.members:
                self.leaf(element, o, m, t.element, one, m.item)
                continue
            item = ET.SubElement(element, m.item)
            for inner in m.members:
                self.member(item, o, inner, (t.element, one), covered)

    def leaf(self, parent, o, m, t, v, name=None):
        name = name or m.name
        if m.typed:
            typed(parent, name, t, v)
            return
        if m.kind in ("rows", "certificates"):
            ET.SubElement(parent, name)
            return
        if m.kind == "script-table":
            _add(parent, name, str(_SCRIPT_TABLE))
            return
        if m.kind == "type":
            _add(parent, name, str(v.type.tag if isinstance(v, Typed) else t.tag))
            return
        if m.kind == "repetition" and t.kind == "structure":
            element = ET.SubElement(parent, name)
            for part, n in zip(("Min", "Exponent", "Max"), v):
                _add(element, part, str(n))
            return
        kind = m.kind if m.kind not in (None, "repetition") else texts.kind_of(t)
        try:
            _add(parent, name, texts.write(v, kind, t))
        except ValueError as e:
            _add(parent, name, "")
            self.lose(o, "%s: %s" % (name, e))
            return
        for part in v if kind == "moment" else (v,):
            if kind in _DATED and len(part) > 4 and texts.loses_day_of_week(part):
                self.lose(o, "%s: the day of week has no place in the format" % name)

    def of_association(self, parent, o, m):
        if m.members:
            element = ET.SubElement(parent, m.name)
            for inner in m.members:
                self.of_association(element, o, inner)
            return
        a = self.association
        if obis(o.name) != _CURRENT:
            a = next((x for x in self.d.associations if x.object is o), None)
        _add(parent, m.name, self.about(a, o, m.of))

    def about(self, a, o, what):
        if what in ("ciphering", "secret"):  # a secret is not for others to read
            return ""
        if what == "security":
            return obis(a.security.name) if a and a.security else "0.0.0.0.0.0"
        if a is None:
            return "0"
        part = what.partition(".")
        if part[2]:
            number = a.application_context if part[0] == "context" else a.mechanism
            kind = _CONTEXTS if part[0] == "context" else _MECHANISMS
            return str((*_OID, kind, number)[int(part[2])])
        return str(
            {
                "client_sap": a.client_sap,
                "server_sap": a.device.sap,
                "conformance": sum(1 << k for k in range(24) if a.conformance & 0x800000 >> k),
                "max_receive": self.d.limits[3],
                "max_send": self.d.limits[2],
                "version": _DLMS_VERSION,
                "quality": 0,
                "status": _ASSOCIATED if a is self.association else 0,
            }[what]
        )


def _add(parent, name, text):
    ET.SubElement(parent, name).text = text or None


def said(cell):
    """Does an attribute have a value that is worth a word?"""
    if cell.stored == "computed":
        return False
    return bool(cell.value) and cell.value != cell.attribute.type.default()


def reach(t, v, path):
    """(type, value) of a part; (None, None): there is none."""
    for k in path:
        if isinstance(v, Typed):
            t, v = v.type, v.value
        if t.kind != "structure" or k >= len(t.fields):
            return None, None
        t, v = t.fields[k][1], v[k]
    return t, v


def typed(parent, name, t, v):
    """An element that says the type of its value."""
    if isinstance(v, Typed):
        t, v = v.type, v.value
    element = ET.SubElement(parent, name)
    if t.kind == "any" or t.tag == 0x00:
        return
    element.set("Type", str(t.tag))
    if t.kind == "array":
        for one in v:
            typed(element, "Item", t.element, one)
    elif t.kind == "structure":
        for (_, field), one in zip(t.fields, v):
            typed(element, "Item", field, one)
    elif t.tag == 0x09 and v and texts.is_text(v):
        element.set("UIType", str(0x0A))
        element.text = v.decode()
    elif t.tag == 0x09:
        element.text = texts.write(v, "hex", t) or None
    else:
        if isinstance(v, float):
            element.set("UIType", str(0x18))
        element.text = texts.write(v, texts.kind_of(t), t) or None
