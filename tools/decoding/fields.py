# SPDX-License-Identifier: MIT
"""The kinds that the tables of apdu.py and acse.py are built of: xDLMS fields, descriptors, and
what is protected (IEC 62056-5-3, 7 and 8)."""

from . import shown
from .axdr import DATA
from .composed import Choice, Optional, Sequence, SequenceOf
from .names_apdu import (
    ACTION_RESULT,
    DATA_ACCESS_RESULT,
    class_name,
    member,
    words,
)
from .node import Fault, Node
from .schema import (
    Boolean,
    Broken,
    Fixed,
    Kind,
    OctetString,
    inside,
    missing,
    octets,
    opened,
)

_CONFORMANCE_BITS = 24
TAG_LEN = 12  # octets of an authentication tag
_AUTHENTICATED = 0x10
_HIDDEN = 0xA0  # encrypted, compressed

BOOLEAN = Boolean()
UNSIGNED8 = Fixed("Unsigned8", "B")
UNSIGNED16 = Fixed("Unsigned16", "H")
UNSIGNED32 = Fixed("Unsigned32", "I")
INTEGER8 = Fixed("Integer8", "b")
OCTETS = OctetString()
TITLE = OctetString(shown=shown.title)
KEY = OctetString(secret=True)
DATE_TIME = OctetString(shown=shown.maybe_date_time, sizes=(0, 12))
RESULT = Fixed("ENUMERATED", "B", DATA_ACCESS_RESULT)
ACTED = Fixed("ENUMERATED", "B", ACTION_RESULT)


def _invoke_id(value):
    text = "invoke-id %d, %s" % (value & 0x0F, "confirmed" if value & 0x40 else "unconfirmed")
    return text + (", high priority" if value & 0x80 else "")


def _long_invoke_id(value):
    text = "long-invoke-id %d, %s" % (
        value & 0xFFFFFF, "confirmed" if value & 0x40000000 else "unconfirmed")  # fmt: skip
    for bit, word in ((0x80000000, "high priority"), (0x10000000, "self-descriptive"),
                      (0x20000000, "break on error")):  # fmt: skip
        if value & bit:
            text += ", " + word
    return text


def _short_name(value):
    return "0x%04X" % value


def _security_control(value):
    kinds = [word for bit, word in ((0x10, "authenticated"), (0x20, "encrypted")) if value & bit]
    text = "suite %d, %s" % (value & 0x0F, " and ".join(kinds) or "not protected")
    if value & 0x40:
        text += ", broadcast key"
    return text + (", compressed" if value & 0x80 else "")


def block_control(value):
    text = "window %d" % (value & 0x3F)
    for bit, word in ((0x80, "last block"), (0x40, "streaming")):
        if value & bit:
            text += ", " + word
    return text


INVOKE_ID = Fixed("Invoke-Id-And-Priority", "B", shown=_invoke_id)
LONG_INVOKE_ID = Fixed("Long-Invoke-Id-And-Priority", "I", shown=_long_invoke_id)
SHORT_NAME = Fixed("ObjectName", "H", shown=_short_name)
CLASS_ID = Fixed("Cosem-Class-Id", "H", shown=class_name)


class EventTime(OctetString):
    """date-time of an event notification. uncertain: newer ASN.1 has its length, an older text has
    it without; both are read (form "bare": without), and written with it."""

    def take(self, buf, pos, end, name):
        if buf[pos : pos + 1] not in (b"\x00", b"\x0c") and pos + 12 <= end:
            bare = buf[pos : pos + 12]
            if shown.is_date_time(bare):
                node = Node(name, self, bare, pos, pos + 12)
                node.form = "bare"
                return node
        return super().take(buf, pos, end, name)

    def put(self, value):
        value, form = opened(value)
        return octets(value) if form == "bare" else super().put(value)


EVENT_TIME = EventTime(shown=shown.maybe_date_time, sizes=(0, 12))


class LogicalName(OctetString):
    """Six octets; encode() takes "1.0.1.8.0.255", too."""

    type = "Cosem-Object-Instance-Id"

    def octets(self, value):
        if isinstance(value, str) and "." in value:
            try:
                return bytes(int(part) for part in value.split("."))
            except ValueError:
                raise ValueError("%r is no logical name" % value) from None
        return super().octets(value)


NAME = LogicalName(6, shown=shown.logical_name)


def _attribute(node):
    return _described(node, "attribute-id", "attributes")


def _method(node):
    return _described(node, "method-id", "methods")


def _described(node, field, kind):
    """ "Register 1.0.1.8.0.255 value" """
    if len(node.children) < 3 or node.children[1].value is None:
        return ""
    class_id, name, index = node.children
    text = "%s %s" % (class_name(class_id.value) or "class %d" % class_id.value, name.text)
    if index.value is None:
        return text
    return "%s %s" % (text, member(class_id.value, index.value, kind) or "%s %d" % (
        field, index.value))  # fmt: skip


ATTRIBUTE = Sequence(
    "Cosem-Attribute-Descriptor",
    [("class-id", CLASS_ID), ("instance-id", NAME), ("attribute-id", INTEGER8)],
    _attribute,
)
METHOD = Sequence(
    "Cosem-Method-Descriptor",
    [("class-id", CLASS_ID), ("instance-id", NAME), ("method-id", INTEGER8)],
    _method,
)
SELECTION = Sequence(
    "Selective-Access-Descriptor", [("access-selector", UNSIGNED8), ("access-parameters", DATA)]
)
SELECTED = Sequence(
    "Cosem-Attribute-Descriptor-With-Selection",
    [("cosem-attribute-descriptor", ATTRIBUTE), ("access-selection", Optional(SELECTION))],
)
ATTRIBUTES = SequenceOf("Cosem-Attribute-Descriptor-With-Selection", SELECTED)
METHODS = SequenceOf("Cosem-Method-Descriptor", METHOD)
DATA_LIST = SequenceOf("Data", DATA)
GOT = Choice("Get-Data-Result", {0: ("data", DATA), 1: ("data-access-result", RESULT)})
BLOCK = Sequence(
    "DataBlock-SA",
    [("last-block", BOOLEAN), ("block-number", UNSIGNED32), ("raw-data", OCTETS)],
)
BLOCK_GOT = Sequence(
    "DataBlock-G",
    [
        ("last-block", BOOLEAN),
        ("block-number", UNSIGNED32),
        ("result", Choice("CHOICE", {0: ("raw-data", OCTETS), 1: ("data-access-result", RESULT)})),
    ],
)


class Conformance(Kind):
    """[APPLICATION 31] BIT STRING of 24 bits, in BER: 5F 1F 04 00 and three octets; old clients
    leave out the 1F (form 6). The value is a number, whose bit 23 is bit 0 of the Book; encode()
    takes a list of names, too."""

    type = "Conformance"
    _HEADS = {7: b"\x5f\x1f\x04\x00", 6: b"\x5f\x04\x00"}

    def take(self, buf, pos, end, name):
        for size, head in self._HEADS.items():
            if buf[pos : min(pos + len(head), end)] == head[: max(end - pos, 0)]:
                if pos + size > end:
                    raise missing(name, self, pos, end, size)
                value = int.from_bytes(buf[pos + size - 3 : pos + size], "big")
                node = Node(name, self, value, pos, pos + size)
                node.form = None if size == 7 else size
                return node
        at = next(k for k in range(4) if buf[pos + k] != self._HEADS[7][k])
        node = Node(name, self, None, pos, pos + at + 1)
        node.error = Fault("0x%02X; expected 5F 1F 04 00 and three octets of conformance"
                           % buf[pos + at], pos + at)  # fmt: skip
        raise Broken(node)

    def names(self, value):
        """The names of the bits that are set."""
        return [word for n, word in words(15, "conformance").items()
                if value >> (_CONFORMANCE_BITS - 1 - n) & 1]  # fmt: skip

    def text(self, node):
        return ", ".join(self.names(node.value)) if node.value is not None else ""

    def put(self, value):
        value, form = opened(value)
        if isinstance(value, (list, tuple)):
            bits = {word.partition(" ")[0]: n for n, word in words(15, "conformance").items()}
            unknown = [word for word in value if word.partition(" ")[0] not in bits]
            if unknown:
                known = ", ".join(bits)
                raise ValueError("no conformance bit %s; expected %s" % (unknown[0], known))
            numbers = {bits[word.partition(" ")[0]] for word in value}
            value = sum(1 << (_CONFORMANCE_BITS - 1 - n) for n in numbers)
        if not isinstance(value, int) or not 0 <= value < 1 << _CONFORMANCE_BITS:
            raise ValueError("%r is no conformance; expected 24 bits" % (value,))
        return self._HEADS[form or 7] + value.to_bytes(3, "big")


CONFORMANCE = Conformance()
SECURITY_CONTROL = Fixed("Unsigned8", "B", shown=_security_control)


class Ciphertext(Kind):
    """Octets up to the end: what is enciphered; the node gets what is in it as a child by
    ciphering.decipher()."""

    type = "OCTET STRING"

    def put(self, value):
        return bytes(opened(value)[0] or b"")


CIPHERTEXT = Ciphertext()
TAG = OctetString(TAG_LEN)


class Protected(Kind):
    """Security header, content, and a tag where the security control says that there is one. A
    content that is not enciphered is read as what it is; apdu: its kind."""

    type = "Ciphered-Content"
    apdu = None  # set by apdu.py

    def take(self, buf, pos, end, name, after=None):
        node = Node(name, self, None, pos, pos)
        try:
            for member, kind in (("security-control", SECURITY_CONTROL),
                                 ("invocation-counter", UNSIGNED32)):  # fmt: skip
                child = kind.take(buf, pos, end, member)
                node.children.append(child)
                pos = child.end
        except Broken as e:
            e.within(node)
            raise
        control = node.children[0]
        if control.value & 0x0F > 2:
            what = "suite %d; expected 0, 1 or 2" % (control.value & 0x0F)
            control.error = Fault(what, control.start)
        tag = TAG_LEN if control.value & _AUTHENTICATED else 0
        stop = max(pos, min(end, (after or end) - tag))
        content = Node("content", CIPHERTEXT, buf[pos:stop], pos, stop)
        node.children.append(content)
        if not control.value & _HIDDEN and pos < stop:
            inside(content, self.apdu, buf, pos, stop, "")
        try:
            if tag:
                node.children.append(TAG.take(buf, stop, end, "authentication-tag"))
        except Broken as e:
            e.within(node)
            raise
        node.end = end
        return node

    def take_part(self, buf, pos, end, name, after):
        return self.take(buf, pos, end, name, after)

    def named(self, node):
        return self.plain(node)

    def plain(self, node):
        return {child.name: child.value for child in node.children}

    def put(self, value):
        if value.__class__ is Node:
            value = {child.name: child for child in value.children}
        try:
            return b"".join((
                SECURITY_CONTROL.put(value["security-control"]),
                UNSIGNED32.put(value["invocation-counter"]),
                CIPHERTEXT.put(value["content"]),
                CIPHERTEXT.put(value.get("authentication-tag", b"")),
            ))  # fmt: skip
        except (KeyError, TypeError):
            raise ValueError(
                "%r; expected security-control, invocation-counter, content and, where it is"
                " authenticated, authentication-tag" % (value,)
            ) from None


PROTECTED = Protected()
