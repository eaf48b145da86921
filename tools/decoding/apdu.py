# SPDX-License-Identifier: MIT
"""Every APDU of IEC 62056-5-3, as tables; decode() and encode() work from the same ones.

The node of an APDU has the name of its CHOICE: "get-request-normal", "aarq", "initiateRequest",
"glo-get-request", "gateway-request". Octets before its members, tag and choice, are part of it.
"""

import threading

from .acse import APDUS as ACSE
from .acse import INFORMATION
from .axdr import DATA
from .composed import Choice, Default, Optional, Sequence, SequenceOf
from .fields import (
    ACTED,
    ATTRIBUTE,
    ATTRIBUTES,
    BLOCK,
    BLOCK_GOT,
    BOOLEAN,
    CONFORMANCE,
    DATA_LIST,
    DATE_TIME,
    EVENT_TIME,
    GOT,
    INTEGER8,
    INVOKE_ID,
    KEY,
    LONG_INVOKE_ID,
    METHOD,
    METHODS,
    OCTETS,
    PROTECTED,
    RESULT,
    SELECTION,
    SHORT_NAME,
    TITLE,
    UNSIGNED8,
    UNSIGNED16,
    UNSIGNED32,
    block_control,
)
from .names_apdu import (
    CONFIRMED_SERVICE,
    KEK_ID,
    KEY_ID,
    KEY_PARAMETERS,
    SERVICE_ERROR,
    SERVICE_ERRORS,
    STATE_ERROR,
)
from .node import Node
from .schema import Broken, Fixed, Kind, Null, OctetString, broken, leave, listed, octets_of

_DEEPEST = 8  # APDUs in APDUs
NULL = Null()


def service(type, *members):
    """A confirmed service's APDU: invoke-id-and-priority first."""
    return Sequence(type, [("invoke-id-and-priority", INVOKE_ID), *members])


# --- With logical names ---------------------------------------------------------------------

_LIST = ("attribute-descriptor-list", ATTRIBUTES)
_AT = ("cosem-attribute-descriptor", ATTRIBUTE)
_SELECTION = ("access-selection", Optional(SELECTION))
_NUMBER = ("block-number", UNSIGNED32)
_METHOD_AT = ("cosem-method-descriptor", METHOD)
_METHOD_LIST = ("cosem-method-descriptor-list", METHODS)
_ACTED = Sequence(
    "Action-Response-With-Optional-Data",
    [("result", ACTED), ("return-parameters", Optional(GOT))],
)

GET_REQUEST = {
    1: ("normal", service("Get-Request-Normal", _AT, _SELECTION)),
    2: ("next", service("Get-Request-Next", _NUMBER)),
    3: ("with-list", service("Get-Request-With-List", _LIST)),
}
GET_RESPONSE = {
    1: ("normal", service("Get-Response-Normal", ("result", GOT))),
    2: ("with-datablock", service("Get-Response-With-Datablock", ("result", BLOCK_GOT))),
    3: ("with-list", service("Get-Response-With-List",
                             ("result", SequenceOf("Get-Data-Result", GOT)))),
}  # fmt: skip
SET_REQUEST = {
    1: ("normal", service("Set-Request-Normal", _AT, _SELECTION, ("value", DATA))),
    2: ("with-first-datablock",
        service("Set-Request-With-First-Datablock", _AT, _SELECTION, ("datablock", BLOCK))),
    3: ("with-datablock", service("Set-Request-With-Datablock", ("datablock", BLOCK))),
    4: ("with-list", service("Set-Request-With-List", _LIST, ("value-list", DATA_LIST))),
    5: ("with-list-and-first-datablock",
        service("Set-Request-With-List-And-First-Datablock", _LIST, ("datablock", BLOCK))),
}  # fmt: skip
_RESULTS = ("result", SequenceOf("Data-Access-Result", RESULT))
SET_RESPONSE = {
    1: ("normal", service("Set-Response-Normal", ("result", RESULT))),
    2: ("datablock", service("Set-Response-Datablock", _NUMBER)),
    3: ("last-datablock", service("Set-Response-Last-Datablock", ("result", RESULT), _NUMBER)),
    4: ("last-datablock-with-list",
        service("Set-Response-Last-Datablock-With-List", _RESULTS, _NUMBER)),
    5: ("with-list", service("Set-Response-With-List", _RESULTS)),
}  # fmt: skip
_PBLOCK = ("pblock", BLOCK)
ACTION_REQUEST = {
    1: ("normal", service("Action-Request-Normal", _METHOD_AT,
                          ("method-invocation-parameters", Optional(DATA)))),
    2: ("next-pblock", service("Action-Request-Next-Pblock", _NUMBER)),
    3: ("with-list", service("Action-Request-With-List", _METHOD_LIST,
                             ("method-invocation-parameters", DATA_LIST))),
    4: ("with-first-pblock", service("Action-Request-With-First-Pblock", _METHOD_AT, _PBLOCK)),
    5: ("with-list-and-first-pblock",
        service("Action-Request-With-List-And-First-Pblock", _METHOD_LIST, _PBLOCK)),
    6: ("with-pblock", service("Action-Request-With-Pblock", _PBLOCK)),
}  # fmt: skip
ACTION_RESPONSE = {
    1: ("normal", service("Action-Response-Normal", ("single-response", _ACTED))),
    2: ("with-pblock", service("Action-Response-With-Pblock", _PBLOCK)),
    3: ("with-list", service("Action-Response-With-List", ("list-of-responses", SequenceOf(
        "Action-Response-With-Optional-Data", _ACTED)))),
    4: ("next-pblock", service("Action-Response-Next-Pblock", _NUMBER)),
}  # fmt: skip
EVENT_NOTIFICATION = Sequence("Event-Notification-Request", [
    ("time", Optional(EVENT_TIME)), _AT, ("attribute-value", DATA)])  # fmt: skip
DATA_NOTIFICATION = Sequence("Data-Notification", [
    ("long-invoke-id-and-priority", LONG_INVOKE_ID), ("date-time", DATE_TIME),
    ("notification-body", DATA)])  # fmt: skip

_SELECTED = [_AT, ("access-selection", SELECTION)]
ACCESS_SPECIFICATION = SequenceOf("Access-Request-Specification", Choice(
    "Access-Request-Specification", {
        1: ("access-request-get", Sequence("Access-Request-Get", [_AT])),
        2: ("access-request-set", Sequence("Access-Request-Set", [_AT])),
        3: ("access-request-action", Sequence("Access-Request-Action", [_METHOD_AT])),
        4: ("access-request-get-with-selection",
            Sequence("Access-Request-Get-With-Selection", _SELECTED)),
        5: ("access-request-set-with-selection",
            Sequence("Access-Request-Set-With-Selection", _SELECTED)),
    }))  # fmt: skip
ACCESS_REQUEST = Sequence("Access-Request", [
    ("long-invoke-id-and-priority", LONG_INVOKE_ID), ("date-time", DATE_TIME),
    ("access-request-specification", ACCESS_SPECIFICATION),
    ("access-request-list-of-data", DATA_LIST)])  # fmt: skip
ACCESS_RESPONSE = Sequence("Access-Response", [
    ("long-invoke-id-and-priority", LONG_INVOKE_ID), ("date-time", DATE_TIME),
    # uncertain: the form with the request's list
    ("access-request-specification", Optional(ACCESS_SPECIFICATION)),
    ("access-response-list-of-data", DATA_LIST),
    ("access-response-specification", SequenceOf("Access-Response-Specification", Choice(
        "Access-Response-Specification", {
            1: ("access-response-get", RESULT),
            2: ("access-response-set", RESULT),
            3: ("access-response-action", ACTED),
        })))])  # fmt: skip

# --- With short names -----------------------------------------------------------------------

_BLOCK16 = [("last-block", BOOLEAN), ("block-number", UNSIGNED16)]
_BLOCK16_RAW = [*_BLOCK16, ("raw-data", OCTETS)]
VARIABLES = SequenceOf("Variable-Access-Specification", Choice("Variable-Access-Specification", {
    2: ("variable-name", SHORT_NAME),
    4: ("parameterized-access", Sequence("Parameterized-Access", [
        ("variable-name", SHORT_NAME), ("selector", UNSIGNED8), ("parameter", DATA)])),
    5: ("block-number-access", UNSIGNED16),
    6: ("read-data-block-access", Sequence("Read-Data-Block-Access", _BLOCK16_RAW)),
    7: ("write-data-block-access", Sequence("Write-Data-Block-Access", _BLOCK16)),
}))  # fmt: skip
READ_RESPONSE = SequenceOf("ReadResponse", Choice("ReadResponse", {
    0: ("data", DATA),
    1: ("data-access-error", RESULT),
    2: ("data-block-result", Sequence("Data-Block-Result", _BLOCK16_RAW)),
    3: ("block-number", UNSIGNED16),
}))  # fmt: skip
WRITE_RESPONSE = SequenceOf("WriteResponse", Choice("WriteResponse", {
    0: ("success", NULL), 1: ("data-access-error", RESULT), 2: ("block-number", UNSIGNED16)
}))  # fmt: skip
_VARIABLES = ("variable-access-specification", VARIABLES)
_WRITE = [_VARIABLES, ("list-of-data", DATA_LIST)]

# --- Opening, errors, and what holds APDUs ---------------------------------------------------

_QOS = ("proposed-quality-of-service", Optional(INTEGER8))
INITIATE_REQUEST = Sequence("InitiateRequest", [
    ("dedicated-key", Optional(KEY)),
    ("response-allowed", Default(BOOLEAN, True)),
    _QOS,
    ("proposed-dlms-version-number", UNSIGNED8),
    ("proposed-conformance", CONFORMANCE),
    ("client-max-receive-pdu-size", UNSIGNED16),
])  # fmt: skip
INITIATE_RESPONSE = Sequence("InitiateResponse", [
    ("negotiated-quality-of-service", Optional(INTEGER8)),
    ("negotiated-dlms-version-number", UNSIGNED8),
    ("negotiated-conformance", CONFORMANCE),
    ("server-max-receive-pdu-size", UNSIGNED16),
    ("vaa-name", SHORT_NAME),
])  # fmt: skip
_SERVICE_ERROR = Choice("ServiceError", {
    n: (word, Fixed("ENUMERATED", "B", errors)) for n, (word, errors) in SERVICE_ERRORS.items()
})  # fmt: skip
CONFIRMED_SERVICE_ERROR = Choice(
    "ConfirmedServiceError", {n: (name, _SERVICE_ERROR) for n, name in CONFIRMED_SERVICE.items()}
)
EXCEPTION_RESPONSE = Sequence("Exception-Response", [
    ("state-error", Fixed("ENUMERATED", "B", STATE_ERROR)),
    ("service-error", Choice("CHOICE", {
        n: (word, UNSIGNED32 if word == "invocation-counter-error" else NULL)
        for n, word in SERVICE_ERROR.items()
    })),
])  # fmt: skip
GENERAL_BLOCK_TRANSFER = Sequence("General-Block-Transfer", [
    ("block-control", Fixed("Block-Control", "B", shown=block_control)),
    ("block-number", UNSIGNED16), ("block-number-ack", UNSIGNED16), ("block-data", OCTETS),
])  # fmt: skip
CIPHERED = OctetString(within=PROTECTED)
GENERAL_BY_TITLE = Sequence("General-Ciphering", [
    ("system-title", TITLE), ("ciphered-service", CIPHERED)])  # fmt: skip
_ADDRESSED = [
    ("transaction-id", OCTETS), ("originator-system-title", TITLE),
    ("recipient-system-title", TITLE), ("date-time", DATE_TIME), ("other-information", OCTETS),
]  # fmt: skip
KEY_INFO = Choice("Key-Info", {
    0: ("identified-key", Sequence("Identified-Key", [
        ("key-id", Fixed("ENUMERATED", "B", KEY_ID))])),
    1: ("wrapped-key", Sequence("Wrapped-Key", [
        ("kek-id", Fixed("ENUMERATED", "B", KEK_ID)), ("key-ciphered-data", OCTETS)])),
    2: ("agreed-key", Sequence("Agreed-Key", [
        ("key-parameters", OctetString(shown=lambda octets: KEY_PARAMETERS.get(
            int.from_bytes(octets, "big"), ""))),
        ("key-ciphered-data", OCTETS)])),
})  # fmt: skip
GENERAL_CIPHERING = Sequence("General-Ciphering", [
    *_ADDRESSED, ("key-info", Optional(KEY_INFO)), ("ciphered-content", CIPHERED)])  # fmt: skip


class Apdu(Kind):
    """Any APDU, whatever it is in. Its plain value is (name, plain value)."""

    type = "APDU"

    def take(self, buf, pos, end, name=""):
        if pos >= end:
            raise broken("apdu", self, pos, end, "expected an APDU, found the end")
        tag = buf[pos]
        table = TABLE.get(tag)
        start = pos
        pos += 1
        if table is None:
            what = "0x%02X is no tag of an APDU; expected one of 01 to 58, 60 to 63, C0 to E7"
            raise broken("apdu", self, start, pos, what % tag, start)
        name, kind = table
        if kind.__class__ is dict:
            if pos >= end:
                what = "expected the choice of %s, found the end" % name
                raise broken(name, self, start, end, what)
            found = kind.get(buf[pos])
            if found is None:
                choices = listed({n: word for n, (word, _) in kind.items()})
                what = "0x%02X is no choice of %s; expected %s" % (buf[pos], name, choices)
                raise broken(name, self, start, pos + 1, what, pos)
            name, kind = NAMED[tag, buf[pos]]
            pos += 1
        depth = getattr(_nested, "depth", 0)
        if depth >= _DEEPEST:
            raise broken(name, self, start, pos, "more than %d APDUs in each other" % _DEEPEST)
        _nested.depth = depth + 1
        try:
            node = kind.take(buf, pos, end, name)
        except Broken as e:
            e.node.start = start
            raise
        finally:
            _nested.depth = depth
        node.start = start
        return node

    def named(self, node):
        return node.name, node.plain()

    def put(self, value):
        if value.__class__ is Node:
            return encode(value.name, value)
        if not isinstance(value, tuple) or len(value) != 2:
            raise ValueError("%r is no APDU; expected (name, value)" % (value,))
        return encode(*value)


_nested = threading.local()
APDU = Apdu()
PROTECTED.apdu = INFORMATION.apdu = APDU
GENERAL_SIGNING = Sequence("General-Signing", [
    *_ADDRESSED, ("content", OctetString(within=APDU)), ("signature", OCTETS)])  # fmt: skip


class User(Kind):
    """What follows a gateway's prefix: an APDU, without a length."""

    type = "APDU"

    def take(self, buf, pos, end, name):
        node = Node(name, self, None, pos, pos)
        try:
            child = APDU.take(buf, pos, end)
        except Broken as e:
            e.within(node)
            raise
        node.children.append(child)
        node.end = child.end
        return node

    def plain(self, node):
        return APDU.named(node.children[0]) if node.children else None

    def put(self, value):
        return APDU.put(value.children[0] if value.__class__ is Node else value)


GATEWAY = Sequence("Gateway", [
    ("network-id", UNSIGNED8), ("physical-device-address", OCTETS), ("user-apdu", User()),
])  # fmt: skip

# tag -> (name, kind), or (name, {choice: (name, kind)})
TABLE = {
    0x01: ("initiateRequest", INITIATE_REQUEST),
    0x05: ("readRequest", Sequence("ReadRequest", [_VARIABLES])),
    0x06: ("writeRequest", Sequence("WriteRequest", _WRITE)),
    0x08: ("initiateResponse", INITIATE_RESPONSE),
    0x0C: ("readResponse", READ_RESPONSE),
    0x0D: ("writeResponse", WRITE_RESPONSE),
    0x0E: ("confirmedServiceError", CONFIRMED_SERVICE_ERROR),
    0x0F: ("data-notification", DATA_NOTIFICATION),
    0x16: ("unconfirmedWriteRequest", Sequence("UnconfirmedWriteRequest", _WRITE)),
    0x18: ("informationReportRequest", Sequence("InformationReportRequest", [
        ("current-time", Optional(OCTETS)), *_WRITE])),
    **ACSE,
    0xC0: ("get-request", GET_REQUEST),
    0xC1: ("set-request", SET_REQUEST),
    0xC2: ("event-notification-request", EVENT_NOTIFICATION),
    0xC3: ("action-request", ACTION_REQUEST),
    0xC4: ("get-response", GET_RESPONSE),
    0xC5: ("set-response", SET_RESPONSE),
    0xC7: ("action-response", ACTION_RESPONSE),
    0xD8: ("exception-response", EXCEPTION_RESPONSE),
    0xD9: ("access-request", ACCESS_REQUEST),
    0xDA: ("access-response", ACCESS_RESPONSE),
    0xDB: ("general-glo-ciphering", GENERAL_BY_TITLE),
    0xDC: ("general-ded-ciphering", GENERAL_BY_TITLE),
    0xDD: ("general-ciphering", GENERAL_CIPHERING),
    0xDF: ("general-signing", GENERAL_SIGNING),
    0xE0: ("general-block-transfer", GENERAL_BLOCK_TRANSFER),
    0xE6: ("gateway-request", GATEWAY),
    0xE7: ("gateway-response", GATEWAY),
}  # fmt: skip
# The service-specific forms: of tags up to 18 with 20 (glo) and 40 (ded) added, of C0 to C7 with 8
# and 10 added.
_SERVICES = (0x01, 0x05, 0x06, 0x08, 0x0C, 0x0D, 0x0E, 0x16, 0x18,
             0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC5, 0xC7)  # fmt: skip
for _tag in _SERVICES:
    _name = TABLE[_tag][0]
    TABLE[_tag + (0x20 if _tag < 0x20 else 0x08)] = ("glo-" + _name, CIPHERED)
    TABLE[_tag + (0x40 if _tag < 0x20 else 0x10)] = ("ded-" + _name, CIPHERED)

# (tag, choice) -> (name, kind), and name -> (octets in front, kind)
NAMED = {}
BY_NAME = {}
for _tag, (_name, _kind) in TABLE.items():
    if isinstance(_kind, dict):
        for _n, (_word, _k) in _kind.items():
            NAMED[_tag, _n] = (_name + "-" + _word, _k)
            BY_NAME[_name + "-" + _word] = (bytes((_tag, _n)), _k)
    else:
        BY_NAME[_name] = (bytes((_tag,)), _kind)


def decode(octets, start=0, end=None):
    """The Node of the APDU at octets[start:end]. Never raises: what is wrong, and octets behind
    the end of the APDU, are faults in the tree (Node.faults())."""
    octets = bytes(octets)
    end = len(octets) if end is None else min(end, len(octets))
    start = min(start, end)
    try:
        node = APDU.take(octets, start, end)
    except Broken as e:
        node = e.node
        leave(node, octets, node.end, end)
        return node
    if node.end < end:
        what = "%s behind the end of the APDU; expected none" % octets_of(end - node.end)
        leave(node, octets, node.end, end, what)
    return node


def encode(name, value=None):
    """Octets of an APDU of this name, as decode() names them; value: plain, as Node.plain() gives
    it, or a Node. Members that may be absent may be left out. ValueError says what does not fit.
    """
    if isinstance(name, Node):
        name, value = name.name, name
    if not isinstance(name, str) or name not in BY_NAME:
        raise ValueError("no APDU %s; expected one of %s" % (name, ", ".join(BY_NAME)))
    head, kind = BY_NAME[name]
    try:
        return head + kind.put(value)
    except ValueError as e:
        raise ValueError("%s: %s" % (name, e)) from None
