# SPDX-License-Identifier: MIT
"""The APDUs of the ACSE (IEC 62056-5-3, 7.3; ISO/IEC 15954) as tables, in BER: AARQ, AARE, RLRQ,
RLRE. Their user-information is an xDLMS APDU."""

from . import shown
from .ber import (
    Contents,
    Number,
    Only,
    Tagged,
    explicit,
    read_bits,
    read_oid,
    write_bits,
    write_oid,
)
from .names_apdu import (
    ALGORITHMS,
    ASSOCIATION_RESULT,
    PROVIDER_DIAGNOSTIC,
    RELEASE_REQUEST_REASON,
    RELEASE_RESPONSE_REASON,
    USER_DIAGNOSTIC,
    words,
)
from .node import Fault, Node
from .schema import UNDECODED, Broken, Kind, inside, length_of, octets, octets_of

_OCTET_STRING = 0x04
_OBJECT_IDENTIFIER = 0x06
_INTEGER = 0x02
# 2.16.756.5.8: what the last two arcs are
_DLMS_UA = "2.16.756.5.8."
_CONTEXT, _MECHANISM, _ALGORITHM = 1, 2, 3
_CHALLENGES = [_DLMS_UA + "2.%d" % mechanism for mechanism in range(2, 8)]


def name_of(oid):
    """ "LN referencing, no ciphering" of 2.16.756.5.8.1.1, or ""."""
    if not oid.startswith(_DLMS_UA) or oid.count(".") != 6:
        return ""
    kind, arc = (int(part) for part in oid[len(_DLMS_UA) :].split("."))
    if kind == _CONTEXT:
        return words(15, "context_id").get(arc, "")
    if kind == _MECHANISM:
        return words(15, "mechanism_id").get(arc, "")
    return ALGORITHMS.get(arc, "") if kind == _ALGORITHM else ""


class Name(Contents):
    """OBJECT IDENTIFIER; encode() takes the last arc as a number, too."""

    def __init__(self, kind):
        super().__init__("OBJECT IDENTIFIER", read_oid, self.written, name_of)
        self.arc = kind

    def written(self, value):
        if isinstance(value, int):
            value = "%s%d.%d" % (_DLMS_UA, self.arc, value)
        return write_oid(value)


class Information(Kind):
    """OCTET STRING that holds an xDLMS APDU: in plain (name, value) of that, or octets."""

    type = "OCTET STRING"
    apdu = None  # set by apdu.py

    def take(self, buf, pos, end, name):
        node = Node(name, self, buf[pos:end], pos, end)
        inside(node, self.apdu, buf, pos, end, "")
        return node

    def plain(self, node):
        if len(node.children) == 1 and not node.faults():
            return self.apdu.named(node.children[0])
        return node.value

    def put(self, value):
        if value.__class__ is Node:
            value = value.value
        return self.apdu.put(value) if isinstance(value, tuple) else octets(value)


class Either(Kind):
    """CHOICE of Tagged: tag -> (name, kind)."""

    type = "CHOICE"

    def __init__(self, alternatives):
        self.alternatives = alternatives

    def take(self, buf, pos, end, name):
        node = Node(name, self, None, pos, pos)
        found = self.alternatives.get(buf[pos]) if pos < end else None
        if found is None:
            node.end = min(pos + 1, end)
            what = "0x%02X" % buf[pos] if pos < end else "the end"
            tags = ["%02X (%s)" % (tag, word) for tag, (word, _) in self.alternatives.items()]
            node.error = Fault("%s; expected %s" % (what, " or ".join(tags)), pos)
            raise Broken(node)
        try:
            node.children.append(found[1].take(buf, pos, end, found[0]))
        except Broken as e:
            e.within(node)
            raise
        node.end = node.children[0].end
        return node

    def text(self, node):
        return node.children[0].text if node.children else ""

    def plain(self, node):
        return {child.name: child.kind.plain(child) for child in node.children}

    def put(self, value):
        if value.__class__ is Node:
            value = {child.name: child for child in value.children}
        if isinstance(value, dict) and len(value) == 1:
            for name, kind in self.alternatives.values():
                if name in value:
                    return kind.put(value[name])
        raise ValueError("%r; expected {name: value} of %s" % (
            value, " or ".join(name for name, _ in self.alternatives.values())))  # fmt: skip


class Fields(Kind):
    """SEQUENCE of Tagged that may each be absent: (name, kind) in their order. needed: the names
    of those that may not."""

    def __init__(self, type, members, needed=()):
        self.type = type
        self.members = members
        self.needed = needed
        self.by_tag = {kind.tag: (k, name, kind) for k, (name, kind) in enumerate(members)}

    def take(self, buf, pos, end, name):
        node = Node(name, self, None, pos, end)
        last = -1
        try:
            while pos < end:
                order, member, kind = self.by_tag.get(buf[pos], (None, "", None))
                if kind is None:
                    child = self.unknown(buf, pos, end)
                else:
                    child = kind.take(buf, pos, end, member)
                    if order <= last and child.error is None:
                        child.error = Fault("%s here; expected it %s" % (
                            member, "once" if order == last else "before"), pos)  # fmt: skip
                    last = order
                node.children.append(child)
                pos = child.end
        except Broken as e:
            e.within(node)
            self.hide(node)
            raise
        for member in self.needed:
            if node.get(member) is None and node.error is None:
                node.error = Fault("no %s; expected it here" % member, pos)
        self.hide(node)
        return node

    def unknown(self, buf, pos, end):
        """A field that this APDU does not have."""
        n, after = length_of(buf, pos + 1, end)
        end = min(after + n, end) if n >= 0 else end
        child = Node("undecoded", UNDECODED, buf[pos:end], pos, end)
        tags = ["%02X (%s)" % (kind.tag, name) for name, kind in self.members]
        what = "0x%02X is no tag of %s; expected %s" % (buf[pos], self.type, ", ".join(tags))
        child.error = Fault(what, pos)
        return child

    def hide(self, node):
        """The password of the low level security is a secret, and so may be what comes with a
        mechanism that is missing or unknown; the challenge of a high level one is none."""
        mechanism = node.get("mechanism-name")
        value = node.get("calling-authentication-value")
        if value is not None and (mechanism is None or mechanism.value not in _CHALLENGES):
            for child in value.children:
                if child.kind is CHARACTERS:
                    child.kind = PASSWORD

    def plain(self, node):
        return {child.name: child.kind.plain(child) for child in node.children}

    def put(self, value):
        if value.__class__ is Node:
            value = {child.name: child for child in value.children}
        value = {} if value is None else value
        names = [name for name, _ in self.members]
        if not isinstance(value, dict):
            what = "%r is no %s; expected a dict of %s"
            raise ValueError(what % (value, self.type, ", ".join(names)))
        unknown = set(value) - set(names)
        if unknown:
            raise ValueError("no %s in %s; expected %s" % (
                sorted(unknown)[0], self.type, ", ".join(names)))  # fmt: skip
        out = b""
        for name, kind in self.members:
            if value.get(name) is not None:
                try:
                    out += kind.put(value[name])
                except ValueError as e:
                    raise ValueError("%s: %s" % (name, e)) from None
        return out


class Whole(Kind):
    """An ACSE APDU behind its tag, which apdu.py reads: a length, and the fields."""

    def __init__(self, tag, fields):
        self.tag = tag
        self.tagged = Tagged(tag, fields)
        self.type = fields.type

    def take(self, buf, pos, end, name):
        return self.tagged.take(buf, pos - 1, end, name)

    def put(self, value):
        return self.tagged.put(value)[1:]


class Secret(Contents):
    secret = True

    def text(self, node):
        return "%s, not shown" % octets_of(len(node.value))


def _characters(octets):
    text = octets.decode("ascii", "replace")
    return '"%s"' % text if octets.isascii() and text.isprintable() and text else ""


OCTETS = Contents("OCTET STRING", bytes, octets)
TITLE = Contents("AP-title", bytes, octets, shown.title)
BITS = Contents("BIT STRING", read_bits, write_bits)
CHARACTERS = Contents("GraphicString", bytes, octets, _characters)
PASSWORD = Secret("GraphicString", bytes, octets)
VERSION = Contents("BIT STRING", read_bits, write_bits,
                   lambda bits: "version 1" if bits[:1] == "1" else "")  # fmt: skip
REQUIREMENTS = Contents("BIT STRING", read_bits, write_bits,
                        lambda bits: "authentication" if bits[:1] == "1" else "")  # fmt: skip
INFORMATION = Information()
VALUE = Either({0x80: ("charstring", Tagged(0x80, CHARACTERS)),
                0x81: ("bitstring", Tagged(0x81, BITS))})  # fmt: skip
DIAGNOSTIC = Either({
    0xA1: ("acse-service-user",
           explicit(0xA1, _INTEGER, Number("Acse-Service-User", USER_DIAGNOSTIC))),
    0xA2: ("acse-service-provider",
           explicit(0xA2, _INTEGER, Number("Acse-Service-Provider", PROVIDER_DIAGNOSTIC))),
})  # fmt: skip

_VERSION = ("protocol-version", Tagged(0x80, VERSION))
_NAME = ("application-context-name", explicit(0xA1, _OBJECT_IDENTIFIER, Name(_CONTEXT)))
_LAST = [("implementation-information", Tagged(0xBD, CHARACTERS)),
         ("user-information", explicit(0xBE, _OCTET_STRING, INFORMATION))]  # fmt: skip


def _octets(name, tag, kind=OCTETS):
    return name, explicit(tag, _OCTET_STRING, kind)


def _integer(name, tag, kind=None):
    return name, explicit(tag, _INTEGER, kind or Number())


AARQ = Fields("AARQ", [
    _VERSION, _NAME,
    _octets("called-AP-title", 0xA2, TITLE), _octets("called-AE-qualifier", 0xA3),
    _integer("called-AP-invocation-id", 0xA4), _integer("called-AE-invocation-id", 0xA5),
    _octets("calling-AP-title", 0xA6, TITLE), _octets("calling-AE-qualifier", 0xA7),
    _integer("calling-AP-invocation-id", 0xA8), _integer("calling-AE-invocation-id", 0xA9),
    ("sender-acse-requirements", Tagged(0x8A, REQUIREMENTS)),
    ("mechanism-name", Tagged(0x8B, Name(_MECHANISM))),
    ("calling-authentication-value", Tagged(0xAC, Only(VALUE))),
    *_LAST,
], ("application-context-name",))  # fmt: skip
AARE = Fields("AARE", [
    _VERSION, _NAME,
    _integer("result", 0xA2, Number("Association-result", ASSOCIATION_RESULT)),
    ("result-source-diagnostic", Tagged(0xA3, Only(DIAGNOSTIC))),
    _octets("responding-AP-title", 0xA4, TITLE), _octets("responding-AE-qualifier", 0xA5),
    _integer("responding-AP-invocation-id", 0xA6), _integer("responding-AE-invocation-id", 0xA7),
    ("responder-acse-requirements", Tagged(0x88, REQUIREMENTS)),
    ("mechanism-name", Tagged(0x89, Name(_MECHANISM))),
    ("responding-authentication-value", Tagged(0xAA, Only(VALUE))),
    *_LAST,
], ("application-context-name", "result", "result-source-diagnostic"))  # fmt: skip
RLRQ = Fields("RLRQ", [
    ("reason", Tagged(0x80, Number("Release-request-reason", RELEASE_REQUEST_REASON))), _LAST[1],
])  # fmt: skip
RLRE = Fields("RLRE", [
    ("reason", Tagged(0x80, Number("Release-response-reason", RELEASE_RESPONSE_REASON))), _LAST[1],
])  # fmt: skip

# tag -> (name, kind), as in apdu.py
APDUS = {tag: (kind.type.lower(), Whole(tag, kind)) for tag, kind in (
    (0x60, AARQ), (0x61, AARE), (0x62, RLRQ), (0x63, RLRE))}  # fmt: skip
