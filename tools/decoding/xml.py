# SPDX-License-Identifier: MIT
"""Trees as XML, in the two vocabularies of Gurux' translator: "simple" (values in attributes,
numbers in hexadecimal) and "standard" (COSEMpdu's names, values as text, numbers in decimal).

    to_xml(apdu.decode(octets), "simple")
    to_xml(node, "standard", secrets=True)      with passwords and dedicated keys, as Gurux does

    documents(unit.apdu, "simple")      one each: the APDU, and what it holds protected, signed, or
                                        in blocks, where that has been opened

What is wrong in a tree is a comment where it is wrong. host_tests/test_decoding_xml.py compares
all vectors with what gurux-dlms writes, and lists where that cannot be right.
"""

import re
import struct

from . import xml_names as names
from .apdu import BY_NAME

VOCABULARIES = ("simple", "standard")
_ACSE = ("aarq", "aare", "rlrq", "rlre")
_SERVICES = re.compile("(get|set|action)-(request|response)")
# Its elements have the prefix x, which XML wants to be declared: a name that nobody fetches.
_NAMESPACE = 'xmlns:x="http://www.dlms.com/COSEMpdu"'
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_IN_TEXT = str.maketrans({"&": "&amp;", "<": "&lt;", ">": "&gt;"})
_IN_QUOTES = {**_IN_TEXT, ord('"'): "&quot;", 9: "&#9;", 10: "&#10;", 13: "&#13;"}
_DIGITS = {
    "Unsigned8": 2, "Integer8": 2, "BOOLEAN": 2, "Cosem-Class-Id": 4, "Unsigned16": 4,
    "ObjectName": 4, "Unsigned32": 8, "Long-Invoke-Id-And-Priority": 8, "integer": 2, "bcd": 2,
    "long": 4, "double-long": 8, "long64": 16, "unsigned": 2, "enum": 2, "long-unsigned": 4,
    "double-long-unsigned": 8, "long64-unsigned": 16, "delta-integer": 2, "delta-long": 4,
    "delta-double-long": 8, "delta-unsigned": 2, "delta-long-unsigned": 4,
    "delta-double-long-unsigned": 8,
}  # fmt: skip
_FLOATS = {"float32": ">f", "float64": ">d"}
# Members in whose XML an APDU stands as such.
_SHOW_WHAT_THEY_HOLD = ("user-information", "user-apdu")
_WORDS = ("ENUMERATED", "Release-request-reason", "Release-response-reason")


def to_xml(node, vocabulary, secrets=False):
    """The XML of the tree of an APDU, as text with lines."""
    if vocabulary not in VOCABULARIES:
        raise ValueError("no vocabulary %r; expected simple or standard" % (vocabulary,))
    return _Writer(vocabulary == "simple", secrets).document(node)


def documents(node, vocabulary, secrets=False):
    """The XML of an APDU, then of those in it that its own XML has as octets only."""
    yield to_xml(node, vocabulary, secrets)
    for child in _within(node):
        yield to_xml(child, vocabulary, secrets)


def _within(node):
    for child in node.children:
        shown = node.name in _SHOW_WHAT_THEY_HOLD
        if child.name in BY_NAME and not shown:
            yield child
        yield from _within(child)


class _Writer:
    def __init__(self, simple, secrets):
        self.simple = simple
        self.secrets = secrets
        self.lines = []
        self.depth = 0
        self.told = set()  # of the faults, by their nodes

    def document(self, node):
        if self.simple:
            self.apdu(node)
            self.rest(node)
        else:
            root = "x:aCSE-APDU" if node.name in _ACSE else "x:xDLMS-APDU"
            self.lines = ['<?xml version="1.0" encoding="utf-8"?>', "<%s %s>" % (root, _NAMESPACE)]
            self.apdu(node)
            self.rest(node)
            self.lines.append("</%s>" % root)
        return "\n".join(self.lines) + "\n"

    # --- Elements

    def line(self, text):
        self.lines.append("  " * self.depth + text)

    def tag(self, name):
        return name if self.simple else "x:" + name

    def leaf(self, name, value):
        name, value = self.tag(name), _NO_XML.sub("\ufffd", value)
        if self.simple:
            self.line('<%s Value="%s" />' % (name, value.translate(_IN_QUOTES)))
        else:
            self.line("<%s>%s</%s>" % (name, value.translate(_IN_TEXT), name))

    def empty(self, name):
        self.line("<%s />" % self.tag(name))

    def inside(self, name, write, *arguments, n=None):
        """An element around what write() writes; n: how many there are."""
        name = self.tag(name)
        self.line("<%s%s>" % (name, ' Qty="%s" ' % n if n and self.simple else ""))
        self.depth += 1
        write(*arguments)
        self.depth -= 1
        self.line("</%s>" % name)

    def wrapped(self, standard, write, *arguments):
        """What only the standard vocabulary has an element around."""
        if self.simple or standard is None:
            write(*arguments)
        else:
            self.inside(standard, write, *arguments)

    def rest(self, node):
        """Faults of what has no element of its own."""
        for child, _ in node.faults():
            self.fault(child)

    def fault(self, node):
        if node.error is not None and id(node) not in self.told:
            self.told.add(id(node))
            text = _NO_XML.sub("\ufffd", str(node.error))
            self.line("<!-- %s -->" % re.sub("-(?=-)|-$", "- ", text))

    # --- APDUs

    def apdu(self, node):
        if node.name == "apdu":  # which is none
            self.fault(node)
            return
        service = _SERVICES.match(node.name)
        name = names.of_apdu(node.name, self.simple)
        if service and node.name != service[0]:
            outer = names.of_apdu(service[0], self.simple)
            self.inside(outer, self.inside, name, self.members, node)
        elif node.name in ("readRequest", "readResponse", "writeResponse"):
            rows = (
                node if node.name != "readRequest" else node.get("variable-access-specification")
            )
            rows = rows.children if rows is not None else []
            wrap = {"readRequest": "Variable-Access-Specification", "readResponse": "CHOICE"}
            wrap = wrap.get(node.name)
            self.inside(name, self.choices, rows, wrap, n="%02X" % len(rows))
        elif node.name == "confirmedServiceError":
            self.inside(name, self.service_error, node)
        elif node.name in ("access-request", "access-response"):
            self.inside(name, self.access, node)
        elif not node.children and isinstance(node.value, bytes):
            self.leaf(name, hexed(node.value))
        elif node.name.startswith(("glo-", "ded-")):  # deciphered: Gurux has the octets, too
            self.leaf(name, hexed(node.value))
        else:
            self.inside(name, self.members, node)
        self.fault(node)

    def members(self, node):
        for child in node.children:
            self.member(child, node)

    def member(self, node, parent):
        if node.type == "octets" and node.name == "undecoded":
            self.fault(node)
            return
        if is_absent(node):
            self.fault(node)
            return
        write = getattr(self, "_" + re.sub("[^a-z]", "_", node.name.lower()), None)
        if write is None or write(node, parent) is False:
            self.usual(node)
        if node.type not in names.DATA_TYPES:
            self.fault(node)

    def usual(self, node, name=None):
        name = names.of_member(name or node.name, self.simple)
        if node.type in names.DATA_TYPES:
            self.inside(name, self.data, node)
        elif node.type.startswith("SEQUENCE OF"):
            self.inside(name, self.items, node, n="%02X" % len(node.children))
        elif node.children and not isinstance(node.value, bytes):
            self.inside(name, self.members, node)
        else:
            self.leaf(name, self.text(node))

    def items(self, node):
        of = node.type[len("SEQUENCE OF ") :]
        for child in node.children:
            if of == "Data":
                self.wrapped("Data", self.data, child)
            elif of == "Data-Access-Result":
                self.leaf(names.of_member("data-access-result", self.simple), self.text(child))
            elif of == "Variable-Access-Specification":
                self.choices([child], of)
            elif of == "Cosem-Attribute-Descriptor-With-Selection" and self.simple:
                self.inside("AttributeDescriptorWithSelection", self.members, child)
            elif of == "Get-Data-Result":
                self.members(child)
            else:
                self.inside(names.of_member(of, False), self.members, child)
            self.fault(child)

    # --- Members that are not as usual; False: they are

    def _result(self, node, parent):
        if parent.name == "aare":
            self.leaf("AssociationResult" if self.simple else "result", self.number(node))
        elif node.type == "SEQUENCE OF Data-Access-Result":
            self.inside(self.word("result"), self.items, node, n="%d" % len(node.children))
        else:
            return False
        return None

    def _data_access_result(self, node, parent):
        word = "data-access-result"
        if self.simple and parent.type == "Get-Data-Result":
            word = "data-access-error"
        self.leaf(self.word(word), self.text(node))

    def _single_response(self, node, parent):
        self.wrapped("single-response", self.members, node)

    def _notification_body(self, node, parent):
        self.inside(self.word("notification-body"), self.inside, self.word("data-value"),
                    self.data, node)  # fmt: skip

    def _response_allowed(self, node, parent):
        if not self.simple:
            self.leaf("response-allowed", "true" if node.value else "false")
        elif not node.value:
            self.leaf("ResponseAllowed", "false")

    def _proposed_conformance(self, node, parent):
        bits = [word.split(" ")[0] for word in node.kind.names(node.value or 0)]
        name = names.of_member(node.name, self.simple)
        if self.simple:
            self.inside(name, self.bits, bits)
        else:
            self.leaf(name, " ".join(bits))

    _negotiated_conformance = _proposed_conformance

    def bits(self, words):
        for word in words:
            self.line('<ConformanceBit Name="%s" />' % names.camel(word))

    def _service_error(self, node, parent):
        word = node.children[0].name if node.children else node.text
        self.leaf(self.word("service-error"), names.camel(word) if self.simple else word)
        for child in node.children:
            if child.value is not None:  # the lowest counter that is taken
                self.usual(child)

    def _user_information(self, node, parent):
        if self.simple and node.children:
            self.apdu(node.children[0])
        elif self.secrets or not any(n.kind.secret and n.value for n in node.walk()):
            self.leaf(names.of_member(node.name, self.simple), hexed(node.value))
        else:
            self.leaf("user-information", "")

    def _user_apdu(self, node, parent):
        self.inside(self.word(node.name), self.apdu, node.children[0])

    def _calling_authentication_value(self, node, parent):
        of = node.children[0] if node.children else node
        shown = self.text(of)
        name = names.of_member(node.name, self.simple)
        if self.simple:
            self.leaf(name, shown)
        else:
            self.inside(name, self.leaf, of.name, shown)

    _responding_authentication_value = _calling_authentication_value

    def _application_context_name(self, node, parent):
        self.object_identifier(node, names.CONTEXTS)

    def _mechanism_name(self, node, parent):
        self.object_identifier(node, names.MECHANISMS)

    def object_identifier(self, node, words):
        last = str(node.value).rsplit(".", 1)[-1]
        known = words.get(int(last), last) if last.isdecimal() else last
        self.leaf(names.of_member(node.name, self.simple), known if self.simple else last)

    def word(self, name):
        return names.of_member(name, self.simple)

    # --- Short names, errors, ACCESS

    def choices(self, rows, wrap):
        """A CHOICE a row."""
        for row in rows:
            child = row.children[0] if row.children else row
            if child.type == "octets" or child is row:
                self.fault(child)
                continue
            if child.name in ("block-number-access", "read-data-block-access") and wrap:
                self.choice(child, wrap)
            else:
                self.wrapped(wrap, self.choice, child, wrap)
            self.fault(row)

    def choice(self, node, wrap):
        if node.type == "NULL":  # Gurux has no namespace here
            self.line("<Success />" if self.simple else "<success />")
        elif node.name == "block-number-access":
            self.inside(
                self.word(node.name), self.leaf, self.word("block-number"), self.text(node)
            )
        elif node.name == "data-access-error":
            word = "data-access-error" if self.simple or wrap else "data-access-result"
            self.leaf(self.word(word), self.text(node))
        else:
            self.usual(node)

    def service_error(self, node):
        service = node.children[0] if node.children else None
        error = service.children[0] if service is not None and service.children else None
        if error is None:
            return
        if self.simple:
            number = {"initiateError": 1, "read": 5, "write": 6}.get(service.name, 0)
            self.leaf("Service", "%02X" % number)
            self.inside(
                "ServiceError", self.leaf, names.camel(error.name), names.camel(error.text)
            )
        else:
            self.inside(service.name, self.leaf, error.name, error.text)

    def access(self, node):
        head = ("long-invoke-id-and-priority", "date-time")
        for child in node.children:
            if child.name in head:
                self.member(child, node)
        body = [child for child in node.children if child.name not in head]
        self.inside(self.word(node.name + "-body"), self.access_body, body, node)

    def access_body(self, body, node):
        for child in body:
            if child.type.endswith("-Specification") and not is_absent(child):
                self.inside(self.word(child.name), self.specifications, child,
                            n="%02X" % len(child.children))  # fmt: skip
            else:
                self.member(child, node)

    def specifications(self, node):
        word = node.type[len("SEQUENCE OF ") :]
        name = "_" + names.camel(word) if self.simple else word
        for row in node.children:
            self.inside(name, self.specification, row)

    def specification(self, row):
        for of in row.children:
            if of.children:
                self.usual(of)
            else:
                self.inside(self.word(of.name), self.leaf, self.word("result"), self.text(of))

    # --- Values

    def data(self, node):
        name = names.of_data(node.type, self.simple)
        if node.error is not None and node.value is None and not node.children:
            self.fault(node)
        elif node.type in ("array", "structure"):
            self.inside(name, self.elements, node, n="%02X" % len(node.children))
        elif node.type == "compact-array":
            self.inside(name, self.compact, node)
        elif node.value is None:
            self.empty(name)
        else:
            self.leaf(name, self.text(node))
        if node.error is not None and (node.value is not None or node.children):
            self.fault(node)

    def elements(self, node):
        for child in node.children:
            self.data(child)

    def compact(self, node):
        for child in node.children:
            write = self.description if child.name == "contents-description" else self.elements
            self.inside(self.word(child.name), write, child)

    def description(self, node):
        if node.error is not None:
            self.fault(node)
            return
        name = names.of_data(node.type, self.simple)
        if node.children:
            self.inside(name, self.descriptions, node)
        else:
            self.empty(name)

    def descriptions(self, node):
        for child in node.children:
            self.description(child)

    def text(self, node):
        value = node.value
        if value is None or (node.kind.secret and not self.secrets):
            return ""
        if node.type in _WORDS:
            return self.enumerated(node)
        if node.type == "BOOLEAN":
            return "%02X" % value if self.simple else "%d" % value
        if isinstance(value, bool):
            return "True" if value else "False"
        if node.type in _FLOATS:
            return struct.pack(_FLOATS[node.type], value).hex().upper()
        if node.type == "utf8-string":
            return " ".join("%02X" % octet for octet in str(value).encode())
        if isinstance(value, (bytes, bytearray)):
            return hexed(value)
        if not isinstance(value, int):
            return str(value)
        if node.name == "variable-name" and not self.simple:  # an Integer16 there
            return str(value - (value >> 15 << 16))
        return self.number(node)

    def number(self, node):
        value = node.value
        if not isinstance(value, int):
            return ""
        digits = _DIGITS.get(node.type, 2)
        if self.simple:
            return "%0*X" % (digits, value & (1 << 4 * digits) - 1)
        return str(value)

    def enumerated(self, node):
        """The word of a result, of an error, of a reason."""
        if not node.text or node.text.isdecimal():
            return self.number(node)
        return names.of_result(node.text, self.simple)


def hexed(octets):
    return octets.hex().upper() if isinstance(octets, (bytes, bytearray)) else ""


def is_absent(node):
    """Nothing on the line, and no NULL."""
    nothing = node.value is None and not node.children and node.error is None
    return nothing and node.type not in names.DATA_TYPES and node.type != "NULL"
