# SPDX-License-Identifier: MIT
"""Every version of every interface class in one meter (every_class.py): each attribute and each
method, as a client that may do everything sees it.

What is tried comes from the class files: a value of the type is taken and read back; what is no
value of it (another tag, cut, too long, out of its range, an element missing, at any depth) is
refused and the image is as it was; so are parameters of methods. What a class does beyond that is
in the test of its module.
"""

import struct

import pytest
from every_class import CLASSES, VERSIONS, name_of, path
from fakes import Storage
from small import Meter
from tables.notation import CODES, FIXED, INTEGERS, TAGS, length

SUCCESS, READ_WRITE_DENIED, OBJECT_UNDEFINED = 0, 3, 4
OBJECT_UNAVAILABLE, TYPE_UNMATCHED, SCOPE_VIOLATED, OTHER_REASON = 11, 12, 13, 250
MALFORMED = -1
BOOLEAN, OCTET_STRING = TAGS["boolean"], TAGS["octet-string"]
VISIBLE_STRING, UTF8_STRING = TAGS["visible-string"], TAGS["utf8-string"]

# Computed attributes that have no value here, and why.
WITHOUT = {
    12: OBJECT_UNDEFINED,  # no association of short names is configured with this object,
    15: OBJECT_UNDEFINED,  # nor one of logical names
    30: OBJECT_UNAVAILABLE,  # no protection_object_list
}
# Attributes whose first value nobody may set again: it says that nothing is configured.
UNCONFIGURED = {
    (5, "period"), (5, "number_of_periods"), (15, "LLS_secret"), (15, "secret"),
    (21, "monitored_value"), (23, "device_address"), (40, "push_client_SAP"),
    (41, "TCP-UDP_port"), (41, "MSS"), (41, "nb_of_sim_conn"), (64, "client_system_title"),
    (67, "processed_value"), (71, "monitored_value"), (71, "threshold_normal"),
    (71, "threshold_emergency"),
}  # fmt: skip


class Client:
    """A client of a meter with all classes: results as numbers, values as octets."""

    def __init__(self):
        self.meter = Meter(path(values=False), handlers=None, storage=Storage())
        self.image = self.meter.model.image
        self.t = self.meter.talk(16)
        assert self.t.open(secret=None).startswith("61")

    def about(self, class_id, version, k):
        name = bytes(int(x) for x in name_of(class_id, version).split("."))
        return "%04X %s %02X" % (class_id, name.hex(), k)

    def get(self, class_id, version, k):
        """Octets of an attribute, or the data_access_result."""
        answer = bytes.fromhex(self.t.say("C001C1" + self.about(class_id, version, k) + "00"))
        out = b""
        while answer[:2] == b"\xc4\x02":
            if answer[8]:
                return answer[9]
            size = answer[9]
            at = 10 if size < 0x80 else 10 + (size & 0x7F)
            out += answer[at:]
            if answer[3]:
                return out
            answer = bytes.fromhex(self.t.say("C002C1" + answer[4:8].hex()))
        assert answer[:3] == b"\xc4\x01\xc1"
        return answer[4] if answer[3] else answer[4:]

    def set(self, class_id, version, k, data):
        """The data_access_result, or MALFORMED: an exception-response, for it is no APDU."""
        about = self.about(class_id, version, k)
        answer = bytes.fromhex(self.t.say("C101C1" + about + "00" + data.hex()))
        if answer[:1] == b"\xd8":
            return MALFORMED
        assert answer[:3] == b"\xc5\x01\xc1" and len(answer) == 4
        return answer[3]

    def act(self, class_id, version, k, data):
        about = self.about(class_id, version, k)
        data = "01" + data.hex() if data else "00"
        answer = bytes.fromhex(self.t.say("C301C1" + about + data))
        if answer[:1] == b"\xd8":
            return MALFORMED
        assert answer[:3] == b"\xc7\x01\xc1"
        return answer[3]


# --- What is a value of a type, and what is not -------------------------------------------------


def another(t, value):
    """A value of type t beside `value`, of the same length; None if there is none here."""
    if t.kind == "structure":
        for k, (_, field) in enumerate(t.fields):
            other = another(field, value[k])
            if other is not None:
                return value[:k] + [other] + value[k + 1 :]
    if t.kind != "simple" or t.tag not in INTEGERS:
        return None
    if t.ranges:
        return next(lo for lo, _ in t.ranges if lo != value)
    return value + 1 if value < (0x7F if t.lo is None else t.hi) else None


def of_another_type(t):
    """An encoding that no value of type t has."""
    if t.kind in ("any", "choice"):
        return b"\x63\x00"  # no tag of A-XDR
    return b"\x03\x01" if t.tag != BOOLEAN else b"\x11\x01"


def spoiled(t):
    """Encodings that are wrong in one place, at any depth: (what is wrong there, encoding)."""
    yield "another type", of_another_type(t)
    if t.kind == "structure":
        parts = [f.encode(f.default()) for _, f in t.fields]
        yield "an element missing", bytes((2, len(parts) - 1)) + b"".join(parts[:-1])
        yield "an element too many", bytes((2, len(parts) + 1)) + b"".join(parts) + b"\x00"
        for k, (name, field) in enumerate(t.fields):
            for what, data in spoiled(field):
                all_parts = parts[:k] + [data] + parts[k + 1 :]
                yield "%s: %s" % (name, what), bytes((2, len(parts))) + b"".join(all_parts)
    if t.kind == "array" and t.element.kind != "any":
        for what, data in spoiled(t.element):
            yield "an element: " + what, b"\x01\x01" + data
    if t.lo is not None:
        code = ">" + CODES[t.tag]
        outside = [("above its range", t.hi + 1), ("below its range", t.lo - 1)]
        outside += [("in a gap of its range", hi + 1) for _, hi in t.ranges[:-1]]
        for what, value in outside:
            try:
                yield what, bytes((t.tag,)) + struct.pack(code, value)
            except struct.error:
                pass  # no value of the tag
    if t.size is not None and t.tag in (OCTET_STRING, VISIBLE_STRING):
        yield "too long", bytes((t.tag, t.size + 1)) + b" " * (t.size + 1)
        yield "too short", bytes((t.tag, t.size - 1)) + b" " * (t.size - 1)


def wrong(t, data):
    """What is no value of type t: (what is wrong with it, encoding). data: one that is."""
    yield "cut", data[:-1]
    yield "octets after it", data + b"\x00"
    yield from spoiled(t)


def refusals(t, what):
    """The results for that. A range of numbers of two octets is the class's to look at."""
    wide = t.lo is not None and FIXED[t.tag] > 1 and "its range" in what
    return (OTHER_REASON,) if wide else (TYPE_UNMATCHED, MALFORMED)


@pytest.fixture(scope="module")
def client():
    return Client()


def shown(parameter):
    return "class-%d-v%d" % parameter


@pytest.mark.parametrize("which", VERSIONS, ids=shown)
def test_attributes(which, client):
    """Each is read; what may be written is, and reads as it was written."""
    attributes = CLASSES[which[0]].versions[which[1]].attributes
    for k, a in attributes.items():
        value = client.get(*which, k)
        if a.computed and value == WITHOUT.get(which[0]):
            continue
        assert isinstance(value, bytes), a.name
        if "w" not in a.access:
            assert client.set(*which, k, value) == READ_WRITE_DENIED, a.name
            continue
        refused = (which[0], a.name) in UNCONFIGURED
        assert (client.set(*which, k, value) == SUCCESS) != refused, a.name
        assert a.computed or client.get(*which, k) == value
        other = None if a.computed else another(a.type, a.type.default())
        if other is not None and not a.check:
            assert client.set(*which, k, a.type.encode(other)) == SUCCESS, a.name
            assert client.get(*which, k) == a.type.encode(other)
            assert client.set(*which, k, value) == SUCCESS, a.name
    assert client.get(*which, len(attributes) + 1) == OBJECT_UNDEFINED
    assert client.set(*which, len(attributes) + 1, b"\x00") == OBJECT_UNDEFINED


@pytest.mark.parametrize("which", VERSIONS, ids=shown)
def test_what_is_no_value_is_refused_and_changes_nothing(which, client):
    for k, a in CLASSES[which[0]].versions[which[1]].attributes.items():
        if "w" not in a.access:
            continue
        value = client.get(*which, k)
        before = bytes(client.image)
        for what, data in wrong(a.type, value):
            assert client.set(*which, k, data) in refusals(a.type, what), (a.name, what)
            assert bytes(client.image) == before, (a.name, what)
        assert client.get(*which, k) == value


@pytest.mark.parametrize("which", VERSIONS, ids=shown)
def test_longer_than_its_capacity(which, client):
    """A string or an array that its slot cannot hold: other-reason, nothing is cut off."""
    model = client.meter.model
    key = bytes.fromhex(client.about(*which, 0))[:8]
    row = model.find(0, key, 0)
    for k, a in CLASSES[which[0]].versions[which[1]].attributes.items():
        t = a.type
        if "w" not in a.access or a.computed:
            continue
        strings = t.kind == "simple" and t.tag in (OCTET_STRING, VISIBLE_STRING, UTF8_STRING)
        if strings and t.size is None and t.most is None:
            n = model.capacity(row, k)
            data = bytes((t.tag,)) + length(n) + b" " * n
            refused = (OTHER_REASON, TYPE_UNMATCHED)
        elif t.kind == "array" and t.element.kind != "any":
            element = t.element.encode(t.element.default())
            n = model.capacity(row, k) // len(element) + 1
            data = b"\x01" + length(n) + element * n
            refused = (OTHER_REASON,)
        else:
            continue
        before = bytes(client.image)
        assert client.set(*which, k, data) in refused, a.name
        assert bytes(client.image) == before


@pytest.mark.parametrize("which", VERSIONS, ids=shown)
def test_methods(which, client):
    """One that is not there, and what is no value of a parameter's type, are refused and change
    nothing. A class that only stores refuses all of them: other-reason."""
    v = CLASSES[which[0]].versions[which[1]]
    before = bytes(client.image)
    for k, m in v.methods.items():
        value = b"" if m.parameter is None else m.parameter.encode(m.parameter.default())
        for what, data in wrong(m.parameter, value) if value else ():
            refused = refusals(m.parameter, what) if v.module else (OTHER_REASON, MALFORMED)
            assert client.act(*which, k, data) in refused, (m.name, what)
        # A parameter that says nothing may be left out; another may not.
        if v.module and value and m.parameter.text != "integer(0)":
            assert client.act(*which, k, b"") == TYPE_UNMATCHED, m.name
        if not v.module:
            assert client.act(*which, k, value) == OTHER_REASON, m.name
    for k in (0, len(v.methods) + 1):
        assert client.act(*which, k, b"\x0f\x00") == OBJECT_UNDEFINED
    assert bytes(client.image) == before
