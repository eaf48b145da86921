# SPDX-License-Identifier: MIT
"""What the classes that act by time and by values refuse, over the server: each of their values
with something in it replaced, left out, or one too many, parameters of methods likewise, and more
than there is room for. The answer is the right one, and no octet of the meter changes.

The cases are made of definitions/timing.toml and of the types in the class files.
"""

import pytest
import timed
import small
import tables
from dlms import types
from fakes import array, struct_, u16
from tables.notation import length
from test_activity_calendar import action, day
from test_schedule import entry
from timed import DEFINITION, DENIED, EXCEPTION, OTHER_REASON, TYPE_UNMATCHED, Timed

sleep = timed.sleep  # a fixture

NAMES = {
    6: "0.0.14.0.0", 8: "0.0.1.0.0", 9: "0.0.10.0.0", 10: "0.0.12.0.0", 11: "0.0.11.0.0",
    20: "0.0.13.0.0", 21: "0.0.16.0.0", 22: "0.0.15.0.0", 65: "0.0.16.2.0", 67: "0.0.96.60.0",
    68: "0.0.96.3.20", 70: "0.0.96.3.10", 71: "0.0.17.0.0",
}  # fmt: skip
CLASSES = tables.load_classes()
# In place of what is empty in the definition.
VALUES = {
    (10, 2): array(entry(1, "12:00:00"), entry(2, "13:00:00", special="0101")),
    (11, 2): array(struct_(u16(1), b"\x09\x05\xff\xff\x0c\x19\xff", b"\x11\x02")),
    (71, 9): array(u16(1)),
    (20, 9): array(day(1, action("00:00:00", 1), action("12:00:00", 2))),
}
# That may be written: the others hear read-write-denied.
RIGHTS = {"r": DENIED, "rw": TYPE_UNMATCHED, "w": TYPE_UNMATCHED}


def version(class_id):
    return next(v for v in CLASSES[class_id].versions.values() if v.current)


# --- A Data as a tree: (tag, its head and content, or its parts) --------------------------------


def parse(data, pos=0):
    """(tag, octets or list), and the position behind it. Lengths are short here."""
    tag = data[pos]
    if tag in (1, 2):
        parts = []
        n = data[pos + 1]
        pos += 2
        for _ in range(n):
            part, pos = parse(data, pos)
            parts.append(part)
        return (tag, parts), pos
    widths = {0: 0, 3: 1, 5: 4, 6: 4, 0x0F: 1, 0x10: 2, 0x11: 1, 0x12: 2, 0x16: 1, 0x19: 12}
    if tag in widths:
        end = pos + 1 + widths[tag]
        return (tag, data[pos + 1 : end]), end
    assert tag in (4, 9, 10) and data[pos + 1] < 128
    n = data[pos + 1]
    end = pos + 2 + (n + 7 >> 3 if tag == 4 else n)
    return (tag, data[pos + 1 : end]), end


def put(tree):
    tag, content = tree
    if tag in (1, 2):
        return bytes((tag,)) + length(len(content)) + b"".join(put(part) for part in content)
    return bytes((tag,)) + content


def changed(tree):
    """The tree with one thing in it changed, in all ways."""
    tag, content = tree
    yield (0, b"")
    yield (0x1C if tag != 0x1C else 0x1D, b"\0" if tag != 0x1C else b"\0\0")
    if tag in (9, 10):
        yield (tag, bytes((len(content),)) + content[1:] + b"\0")
        yield (tag, b"\0")
    if tag == 4:
        yield (tag, bytes((content[0] + 8,)) + content[1:] + b"\0")
    if tag in (1, 2):
        if tag == 2:
            yield (tag, content[:-1])
            yield (tag, [*content, (0x11, b"\0")])
        yield (3 - tag, content)
        for k, part in enumerate(content):
            for other in changed(part):
                yield (tag, content[:k] + [other] + content[k + 1 :])


# --- The cases ---------------------------------------------------------------------------------


def value_of(meter, class_id, k):
    return VALUES.get((class_id, k)) or meter.octets(class_id, NAMES[class_id], k)


def wrong(description, data):
    """What is made of data and is not of this type."""
    tree, end = parse(data)
    assert end == len(data) and put(tree) == data
    seen = set()
    for octets in map(put, changed(tree)):
        if types.check(description, 0, octets, 0, len(octets)) != len(octets):
            seen.add(octets)
    return sorted(seen)


def cases():
    """(class_id, attribute, data, result)"""
    meter = Timed()
    for class_id in NAMES:
        row = meter.row(class_id, NAMES[class_id])
        for k, a in version(class_id).attributes.items():
            data = value_of(meter, class_id, k)
            if k == 1 or a.computed and a.access == "r":
                yield class_id, k, b"\x09\x06" + bytes(6), DENIED
                continue
            tp = meter.model.type_at(row, k)
            for octets in wrong(meter.model.types[tp:], data):
                yield class_id, k, octets, RIGHTS[a.access]


CASES = list(cases())
ATTRIBUTES = sorted({case[:2] for case in CASES})


@pytest.fixture
def meter():
    return Timed()


def state(meter):
    return bytes(meter.model.image), meter.now()


@pytest.mark.parametrize("class_id, attribute", ATTRIBUTES)
def test_values_of_another_type(meter, class_id, attribute):
    before = state(meter)
    n = 0
    for c, k, data, result in CASES:
        if (c, k) == (class_id, attribute):
            assert meter.set(c, NAMES[c], k, data) == result, data.hex()
            n += 1
    assert n and state(meter) == before


@pytest.mark.parametrize("class_id, attribute", ATTRIBUTES)
def test_values_that_are_cut_off_or_too_long(meter, class_id, attribute):
    data = value_of(meter, class_id, attribute)
    if data is None or attribute == 1:
        return
    before = state(meter)
    for n in range(len(data)):
        assert meter.set(class_id, NAMES[class_id], attribute, data[:n]) == EXCEPTION
    assert meter.set(class_id, NAMES[class_id], attribute, data + b"\0") == EXCEPTION
    assert state(meter) == before


ARRAYS = [
    (c, k)
    for c in NAMES
    for k, a in version(c).attributes.items()
    if a.type.kind == "array" and a.access == "rw" and not a.computed
]


@pytest.mark.parametrize("class_id, attribute", ARRAYS)
def test_more_than_there_is_room_for(meter, class_id, attribute):
    (_, parts), _ = parse(value_of(meter, class_id, attribute))
    room = meter.model.capacity(meter.row(class_id, NAMES[class_id]), attribute)
    many = parts[:1]
    while len(put((1, many))) <= room:
        many.append(parts[0])
    before = state(meter)
    assert meter.set(class_id, NAMES[class_id], attribute, put((1, many))) == OTHER_REASON
    assert state(meter) == before


METHODS = [(c, m) for c in NAMES for m in version(c).methods if version(c).methods[m].parameter]


@pytest.mark.parametrize("class_id, method", METHODS)
def test_parameters_of_another_type(meter, class_id, method):
    kind = version(class_id).methods[method].parameter
    description = kind.description()
    good = bytes(kind.encode(kind.default()))
    before = state(meter)
    for data in [b"\0", b"\x1c\0", *wrong(description, good)]:
        if types.check(description, 0, data, 0, len(data)) == len(data):
            continue
        assert meter.act(class_id, NAMES[class_id], method, data) == TYPE_UNMATCHED, data.hex()
    assert state(meter) == before


def test_there_are_no_other_attributes_and_methods(meter):
    before = state(meter)
    for class_id, name in NAMES.items():
        v = version(class_id)
        for k in (max(v.attributes) + 1, 127, 255):
            assert meter.set(class_id, name, k, b"\x11\0") in (DENIED, 4)
        for m in (0, max(v.methods, default=0) + 1, 255):
            assert meter.act(class_id, name, m) in (DENIED, 4)
    assert state(meter) == before


def test_all_classes_are_there():
    packed = small.packed(DEFINITION)
    rows = {packed["OBJECTS"][at + 1] for at in range(0, len(packed["OBJECTS"]), 16)}
    assert set(NAMES) <= rows
