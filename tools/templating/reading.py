# SPDX-License-Identifier: MIT
"""Elements of an object list to objects: class, name, rights, values as definitions say them."""

from bootstrap import Trouble
from tables import parse_type
from tables.notation import NAMES, TAGS, Typed, logical_name, obis
from tables.show import spans

from . import texts
from .layouts import LAYOUTS, READ_ONLY

_HEADER = ("SN", "LN", "Description", "Version", "Access", "Access3", "MethodAccess",
           "MethodAccess3")  # fmt: skip
_STRING, _DATE_TIME, _DATE, _TIME = 0x0A, 0x19, 0x1A, 0x1B
_DATED = {_DATE_TIME: "time", _DATE: "date", _TIME: "clock"}
# What digits of rights mean in bits of an octet: read, write, authenticated request.
_MODES = {0: 0, 1: 1, 2: 2, 3: 3, 4: 5, 5: 6, 6: 7}
_METHOD_MODES = {0: 0, 1: 1, 2: 5}
KEYS = ("guek", "gbek", "gak", "kek")  # of a Security setup
_MARKS = ((4, "a"), (8, "e"), (16, "s"))


class Found:
    """An object: version (classes.Version), name, note, rights (text), writes (attributes), values
    {attribute: what Type.coerce() takes}, association (what an Association object says, or a
    Security setup of its keys)."""

    def __init__(self, version, name):
        self.version = version
        self.name = name
        self.note = ""
        self.rights = "r"
        self.writes = set()
        self.values = {}
        self.association = {}


def objects(root, classes, names, losses):
    """Found objects of a file; what is not understood goes to losses."""
    there = root if root.tag.lower() == "objects" else root.find(".//Objects")
    if there is None:
        raise Trouble("That is no object list of Gurux: there is no element Objects.")
    for element in there:
        found = _Object(element, classes, names, losses).read()
        if found is not None:
            yield found


def split(element):
    """({name: text} of what each object begins with, the elements behind that)"""
    header, rest = {}, list(element)
    while rest and rest[0].tag in _HEADER and rest[0].tag not in header:
        header[rest[0].tag] = (rest[0].text or "").strip()
        rest.pop(0)
    return header, rest


def rights_of(v, header, lose):
    """(rights as a definition says them, the attributes that may be written)"""
    read, write, act = {}, {}, {}
    if not any(key in header for key in _HEADER[4:]):
        lose("no rights are said: it is read")
        return "r", set()
    for k, mode in enumerate(modes(header, "Access", _MODES, lose), 1):
        if k not in v.attributes:
            continue
        if mode & 1:
            read[k] = mode
        if mode & 2 and k > 1:
            write[k] = mode
    for k, mode in enumerate(modes(header, "MethodAccess", _METHOD_MODES, lose), 1):
        if mode & 1 and k in v.methods:
            act[k] = mode
    words = []
    for letter, which in (("r", read), ("w", write), ("x", act)):
        for mode in sorted({mode & ~3 for mode in which.values()}):
            indexes = [k for k, m in which.items() if m & ~3 == mode]
            words.append("%s:%s%s" % (letter, spans(indexes), marks(mode)))
    return " ".join(words), set(write)


def modes(header, name, digits, lose):
    """An octet of rights for each digit, or four of them."""
    try:
        if header.get(name + "3"):
            text = header[name + "3"]
            return [int(text[k : k + 4], 16) & 0xFF for k in range(0, len(text), 4)]
        return [digits[int(c)] for c in header.get(name, "")]
    except (KeyError, ValueError):
        lose("%s is not understood: there are none" % name)
        return []


class _Object:
    def __init__(self, element, classes, names, losses):
        self.element = element
        self.classes = classes
        self.class_id = names.get(element.tag)
        self.losses = losses
        self.where = element.tag

    def lose(self, what):
        self.losses.append("%s: %s" % (self.where, what))

    def read(self):
        header, rest = split(self.element)
        name = header.get("LN", "")
        self.where += " " + name
        if self.class_id is None:
            return self.lose("the class is not known here; it is left out")
        try:
            name = obis(logical_name(name))
        except ValueError:
            return self.lose("%r is no logical name; it is left out" % name)
        self.where = "%d %s" % (self.class_id, name)
        number = header.get("Version", "0")
        versions = self.classes[self.class_id].versions
        if number not in [str(n) for n in versions]:
            return self.lose("version %r is not known; it is left out" % number)
        found = self.found = Found(versions[int(number)], name)
        found.note = header.get("Description", "")
        found.rights, found.writes = rights_of(found.version, header, self.lose)
        parts = {}
        layout = (*LAYOUTS[self.class_id][1:], *READ_ONLY.get(self.class_id, ()))
        self.members(layout, rest, parts, None)
        for k, a in found.version.attributes.items():
            of = {path[1:]: raw for path, raw in parts.items() if path[0] == k}
            if of and not a.computed:
                self.value_of(found, a, of)
        return found

    def value_of(self, found, a, parts):
        raw = assembled(a.type, parts)
        try:
            a.type.coerce(raw)
        except ValueError as e:
            return self.lose("%s: %s; it is left out" % (a.name, e))
        found.values[a.index] = raw
        return None

    # --- Values

    def members(self, layout, elements, parts, t):
        """Into parts, {path: raw}; t: type of the item that they are of, or None: the object."""
        there = {}
        for e in elements:
            there.setdefault(e.tag, e)
        for m in layout:
            e = there.pop(m.name, None)
            if m.name is None and parts:
                parts[m.path] = m.kind
            elif e is not None:
                self.member(m, e, parts, t)
        for tag in there:
            self.lose("%s is not known; it is left out" % tag)

    def member(self, m, e, parts, t):
        if m.members and not m.item:
            inner = {}
            self.members(m.members, e, inner, t)
            parts.update(inner)
            return
        if m.of:
            self.of_association(m, e)
            return
        if m.kind in ("script-table", "type", "certificates"):
            return
        if m.kind == "rows":
            if len(e):
                self.lose("%d rows of its buffer are left out" % len(e))
            return
        t = self.type_at(m, t)
        if t is None:
            if len(e) or (e.text or "").strip():
                self.lose("%s is not of this version; it is left out" % m.name)
            return
        try:
            raw = self.value(m, e, t)
        except ValueError as error:
            self.lose("%s: %s; it is left out" % (m.name, error))
            return
        if raw is not None:
            parts[m.path] = raw

    def type_at(self, m, t):
        path = m.path
        if t is None:
            a = self.found.version.attributes.get(path[0])
            if a is None:
                return None
            t, path = a.type, path[1:]
        for k in path:
            if t.kind != "structure" or k >= len(t.fields):
                return t if t.kind == "any" else None
            t = t.fields[k][1]
        return t

    def value(self, m, e, t):
        """raw, or None: there is none."""
        if m.item:
            if t.kind != "array":
                raise ValueError("it is no array in this version")
            return [self.item(m, one, t.element) for one in e if one.tag == m.item]
        if m.typed:
            raw = typed(e)
            return raw if t.kind in ("any", "choice") else raw.get("value")
        if m.kind == "repetition" and len(e):
            return [int(one.text or 0) for one in e]
        return leaf(m, e, t)

    def item(self, m, e, t):
        if m.members:
            parts = {}
            self.members(m.members, e, parts, t)
            return assembled(t, parts)
        raw = typed(e) if m.typed else leaf(m, e, t)
        return as_raw(t.default()) if raw is None else raw

    def of_association(self, m, e):
        text = (e.text or "").strip()
        about = self.found.association
        try:
            if m.of == "object_list":
                about["object_list"] = [(one.tag, split(one)[0]) for one in e]
            elif m.of == "secret" or m.of in KEYS:
                about[m.of] = bytes.fromhex(text)
            elif m.of == "security":
                about["security"] = text
            elif m.of in ("context.6", "mechanism.6"):
                about[m.of[:-2]] = int(text or 0)
            elif "." not in m.of and m.of not in ("ciphering", "views"):
                about[m.of] = int(text or 0)
        except ValueError:
            shown = "what it says" if m.of == "secret" or m.of in KEYS else repr(text)
            self.lose("%s: %s is not understood" % (m.name, shown))


def marks(mode):
    """Protection that an octet of rights asks for."""
    out = ""
    for mark, bits in (("?", mode), ("!", mode >> 3)):
        letters = "".join(letter for bit, letter in _MARKS if bits & bit)
        out += mark + letters if letters else ""
    return out


def assembled(t, parts):
    """raw of a type, of {path: raw}; what is not there has its default."""
    if () in parts:
        return parts[()]
    if not parts or t.kind != "structure":
        return as_raw(t.default())
    return [
        assembled(field, {path[1:]: raw for path, raw in parts.items() if path[0] == k})
        for k, (_, field) in enumerate(t.fields)
    ]


def as_raw(value):
    """A value as Type.coerce() takes it and TOML can say it."""
    if isinstance(value, Typed):
        if value.value is None:
            return {"type": value.type.text}
        return {"type": value.type.text, "value": as_raw(value.value)}
    if isinstance(value, bytes):
        return "0x" + value.hex()
    return [as_raw(v) for v in value] if isinstance(value, list) else value


def leaf(m, e, t):
    text = (e.text or "").strip()
    if not text:
        return None
    kind = texts.kind_of(t) if m.kind in (None, "repetition") else m.kind
    if kind is None:
        raise ValueError("a text where %s is expected" % t.text)
    return texts.read(text, kind, t)


def typed(e):
    """{"type", "value"} of an element that says its type."""
    tag, text = number(e, "Type"), (e.text or "").strip()
    if not tag:
        if text:
            raise ValueError("%r has no type" % text)
        return {"type": "null-data"}
    if tag in (TAGS["array"], TAGS["structure"]):
        items = [typed(one) for one in e if one.tag == "Item"]
        kinds = [one["type"] for one in items]
        if tag == TAGS["structure"]:
            return {"type": "structure{%s}" % ",".join(kinds), "value": plain(items)}
        if len(set(kinds)) == 1:
            return {"type": "array[%s]" % kinds[0], "value": plain(items)}
        return {"type": "array[any]", "value": items}
    if tag not in NAMES:
        raise ValueError("type %d is unknown" % tag)
    t = parse_type(NAMES[tag])
    shown = number(e, "UIType") or tag
    if tag == TAGS["octet-string"] and shown in _DATED and text:
        value = texts.read(text, _DATED[shown], t)
    elif tag == TAGS["octet-string"] and shown == _STRING:
        value = texts.read(text, "text", t)
    elif text:
        value = texts.read(text, texts.kind_of(t), t)
    else:
        value = as_raw(t.default())
    return {"type": NAMES[tag], "value": value}


def plain(items):
    return [one.get("value", "") for one in items]  # of null-data: nothing


def number(e, name):
    text = e.get(name, "0")
    if not text.isdecimal():
        raise ValueError("%s %r is no number" % (name, text))
    return int(text)
