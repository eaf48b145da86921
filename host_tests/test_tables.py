# SPDX-License-Identifier: MIT
"""tools/tables.py: the Book's notation of types, class files, packing, and errors.

Expected octets are written out by hand from IEC 62056-5-3 (A-XDR, TypeDescription) and the layout
in the header of the generated module; the reader below takes nothing from the generator.
"""

import os
import re
import struct
import subprocess
import sys

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

try:
    import tables
except ImportError:
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
    import tables

from dlms import types as walker
from tables import command, dates, show
from tables.notation import Typed, logical_name, parse_type
from tables.source import Document, TableError

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
RESIDENTIAL = os.path.join(ROOT, "firmware", "definitions", "residential.toml")


@pytest.fixture(scope="module")
def classes():
    return tables.load_classes()


# --- An independent reader ------------------------------------------------------------------


def decode(data, pos=0):
    """(value, next position) of the A-XDR at pos; a bit-string as text, structures as lists."""
    tag = data[pos]
    pos += 1
    fixed = {3: "?", 5: ">i", 6: ">I", 13: "b", 15: "b", 16: ">h", 17: "B", 18: ">H", 20: ">q",
             21: ">Q", 22: "B", 23: ">f", 24: ">d", 28: "b", 29: ">h", 30: ">i", 31: "B",
             32: ">H", 33: ">I"}  # fmt: skip
    if tag == 0:
        return None, pos
    if tag in fixed:
        size = struct.calcsize(fixed[tag])
        return struct.unpack(fixed[tag], data[pos : pos + size])[0], pos + size
    if tag in (25, 26, 27):
        size = {25: 12, 26: 5, 27: 4}[tag]
        return data[pos : pos + size], pos + size
    n = data[pos]
    pos += 1
    if n & 0x80:
        n, pos = int.from_bytes(data[pos : pos + n - 0x80], "big"), pos + n - 0x80
    if tag in (1, 2):
        items = []
        for _ in range(n):
            item, pos = decode(data, pos)
            items.append(item)
        return items, pos
    if tag == 4:
        size = (n + 7) // 8
        return "".join("{:08b}".format(b) for b in data[pos : pos + size])[:n], pos + size
    text = data[pos : pos + n]
    return (text if tag == 9 else text.decode()), pos + n


def generated(text):
    module = {}
    exec(text, module)
    return module


def rows(module):
    """Of each object: row octets, {attribute: entry}, index of the entry after the attributes."""
    objects = module["OBJECTS"]
    out = []
    for _, first, n, _ in module["DEVICES"]:
        for row in range(first, first + n):
            r = objects[16 * row : 16 * row + 16]
            start = int.from_bytes(r[12:14], "big")
            entries = {k: entry(module, start + k - 1) for k in range(1, r[10] + 1)}
            out.append((r, entries, start + r[10]))
    return out


def entry(module, index):
    """(kind, selectors, type, slot, capacity)"""
    kind, shape, slot = struct.unpack_from(">BBH", module["ATTRIBUTES"], 4 * index)
    shape |= kind >> 6 << 8
    selectors, type_, capacity = struct.unpack_from(">BHH", module["SHAPES"], 5 * shape)
    return kind & 0x3F, selectors, type_, slot, capacity


def stored(module, cell):
    """Encoding in the slot of an attribute entry, or None when it is not in a slot."""
    kind, _, _, offset, capacity = cell
    if kind & 15 not in (1, 2):
        return None
    memory = module["ROM"] if kind & 15 == 1 else module["RAM"]
    n = int.from_bytes(memory[offset : offset + 2], "big")
    assert n <= capacity
    assert offset + 2 + capacity <= len(memory)
    return memory[offset + 2 : offset + 2 + n]


# --- Notation -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "text, expected",
    [
        ("double-long-unsigned", "06"),
        ("octet-string", "09"),
        ("octet-string[6]", "80 06"),
        ("octet-string[0..16]", "86 10"),
        ("octet-string[12](date-time)", "80 0c"),
        ("visible-string[4]", "84 04"),
        ("bit-string[24]", "85 18"),
        ("date-time", "19"),
        ("delta-integer", "1c"),
        ("structure{a:double-long-unsigned,b:delta-unsigned}", "02 02 06 1f"),
        ("unsigned(1..7)", "83 11 01 07"),
        ("integer(0)", "83 0f 00 00"),
        ("long(-900..900 s)", "10"),
        ("long-unsigned(32..2030)", "12"),
        ("unsigned(primary address)", "11"),
        ("structure{scaler:integer,unit:enum}", "02 02 0f 16"),
        ("array[long-unsigned]", "01 ffff 12"),
        ("array[array[long-unsigned]]", "01 ffff 01 ffff 12"),
        ("array[structure{SAP:long-unsigned,name:octet-string}]", "01 ffff 02 02 12 09"),
        ("CHOICE{long-unsigned,array[long-unsigned]}", "81 02 12 01 ffff 12"),
        ("CHOICE{any simple or complex data type}", "82"),
        ("CHOICE", "82"),
        ("CHOICE same type as monitored attribute", "82"),
        ("array[CHOICE same type as raw_value]", "01 ffff 82"),
        ("array[structure entry]", "01 ffff 82"),
        ("structure{C/D rule}", "82"),
        ("CHOICE{compact-array,array[CHOICE entry]}", "82"),
        # alternatives of one tag: fields of both
        ("CHOICE{a:structure{x:enum,y:long},b:structure{x:long,y:long}}", "02 02 81 02 16 10 10"),
        ("CHOICE{structure{x:enum},structure{x:enum,y:enum}}", "82"),
    ],
)
def test_a_type_has_its_description(text, expected):
    assert parse_type(text).description() == bytes.fromhex(expected)


@pytest.mark.parametrize(
    "text",
    ["", "word", "long-", "array", "array[long", "structure{a:long", "octet-string[6", "long[4]",
     "octet-string[256]", "array[long] x", "structure{a:}", "CHOICE{}", 7],
)  # fmt: skip
def test_what_is_no_type_is_refused(text):
    with pytest.raises(ValueError, match="expected"):
        parse_type(text)


CAPTURE_OBJECT = (
    "structure{class_id:long-unsigned,logical_name:octet-string[6],"
    "attribute_index:integer,data_index:long-unsigned}"
)


@pytest.mark.parametrize(
    "text, raw, expected",
    [
        ("long", -60, "10 ffc4"),
        ("boolean", True, "03 01"),
        ("enum", "0x10", "16 10"),
        ("octet-string", "RATE1", "09 05 5241544531"),
        ("octet-string", "0x0102", "09 02 0102"),
        ("octet-string[6]", "1.0.1.8.0", "09 06 0100010800ff"),
        ("bit-string", "101000001", "04 09 a080"),
        ("utf8-string", "\u00e5", "0c 02 c3a5"),
        ("float32", 1, "17 3f800000"),
        ("null-data", None, "00"),
        ("array[unsigned]", [0] * 128, "01 8180" + "1100" * 128),
        ("octet-string", "x" * 300, "09 82012c" + "78" * 300),
        (CAPTURE_OBJECT, "8/0.0.1.0.0/2", "02 04 120008 09060000010000ff 0f02 120000"),
        ("structure{a:unsigned,b:boolean}", {"b": True}, "02 02 1100 0301"),
        ("CHOICE{any}", "octet-string:a:b", "09 03 613a62"),
        ("CHOICE{any}", {"type": "array[unsigned]", "value": [1]}, "01 01 1101"),
        ("CHOICE{null-data,unsigned}", 7, "11 07"),
        ("octet-string[5](date)", "2026-01-31", "09 05 07ea011f06"),
        ("octet-string[4](time)", "22:00:00", "09 04 16000000"),
        ("octet-string[12](date-time)", "*-03-last sun 02:00:00", "090cffff03fe07020000008000ff"),
        ("octet-string[12](date-time)", "*", "090c ffffffffffffffffff8000ff"),
    ],
)
def test_a_value_has_its_encoding(text, raw, expected):
    t = parse_type(text)
    assert t.encode(t.coerce(raw)) == bytes.fromhex(expected)


@pytest.mark.parametrize(
    "text, raw",
    [
        ("unsigned", 256), ("unsigned", -1), ("unsigned", True), ("unsigned", "x"),
        ("unsigned(1..7)", 8), ("boolean", 1), ("octet-string[6]", "1.0.1.8"),
        ("octet-string[6]", "1.0.1.8.0.256"), ("octet-string[2]", "abc"),
        ("octet-string[0..2]", "abc"), ("octet-string", "0x0"), ("octet-string", 5),
        ("bit-string[7]", "101"), ("bit-string", "12"), ("array[long]", 5),
        ("structure{a:long}", [1, 2]), ("structure{a:long}", {"b": 1}), ("structure{a:long}", []),
        ("CHOICE{long,unsigned}", 5), ("CHOICE{any}", 5), ("CHOICE{long,unsigned}", "enum:1"),
        ("octet-string[5](date)", "2026-02-30"), ("octet-string[5](date)", "2026-01-31 mon"),
        ("octet-string[4](time)", "24:00:00"), ("octet-string[12](date-time)", "2026-01-31"),
        ("null-data", 1), ("float32", "x"), ("visible-string[3]", "ab"),
    ],
)  # fmt: skip
def test_a_value_that_does_not_fit_is_refused(text, raw):
    t = parse_type(text)
    with pytest.raises(ValueError, match="expected"):
        t.coerce(raw)


RANGES = {"integer": (-128, 127), "long": (-(2**15), 2**15 - 1), "enum": (0, 255),
          "double-long": (-(2**31), 2**31 - 1), "long64": (-(2**63), 2**63 - 1),
          "unsigned": (0, 255), "long-unsigned": (0, 65535),
          "double-long-unsigned": (0, 2**32 - 1), "long64-unsigned": (0, 2**64 - 1),
          "delta-integer": (-128, 127), "delta-long": (-(2**15), 2**15 - 1),
          "delta-double-long": (-(2**31), 2**31 - 1), "delta-unsigned": (0, 255),
          "delta-long-unsigned": (0, 65535),
          "delta-double-long-unsigned": (0, 2**32 - 1)}  # fmt: skip


def typed(text, values):
    return values.map(lambda v: (text, v))


def simple():
    bits = st.text("01", max_size=40)
    letters = st.text(max_size=200)
    return st.one_of(
        *[typed(t, st.integers(*limits)) for t, limits in RANGES.items()],
        typed("boolean", st.booleans()),
        typed("null-data", st.none()),
        typed("octet-string", st.binary(max_size=300)),
        typed("visible-string", letters),
        typed("utf8-string", letters),
        typed("bit-string", bits),
        bits.map(lambda v: ("bit-string[%d]" % len(v), v)),
        st.binary(max_size=255).map(lambda v: ("octet-string[%d]" % len(v), v)),
        typed("float64", st.floats(allow_nan=False)),
    )


def structure(members):
    fields = ",".join("f%d:%s" % (n, text) for n, (text, _) in enumerate(members))
    return "structure{%s}" % fields, [value for _, value in members]


def complex(of):
    arrays = st.tuples(of, st.integers(0, 3))
    return st.lists(of, min_size=1, max_size=5).map(structure) | arrays.map(
        lambda x: ("array[%s]" % x[0][0], [x[0][1]] * x[1])
    )


@settings(max_examples=200, deadline=None)
@given(st.recursive(simple(), complex, max_leaves=12))
def test_types_and_values_agree_with_a_decoder_and_with_the_meter_s_walker(sample):
    text, value = sample
    t = parse_type(text)
    data = t.encode(value)
    assert decode(data) == (value, len(data))
    types = t.description()
    assert walker.check(types, 0, data, 0, len(data)) == len(data)
    assert walker.skip_type(types, 0) == len(types)
    assert t.fixed_len() in (None, len(data))
    default = t.encode(t.default())
    assert walker.check(types, 0, default, 0, len(default)) == len(default)


@given(st.datetimes().filter(lambda d: d.year >= 1000))
def test_a_full_date_time_is_written_out(d):
    octets = dates.parse(d.strftime("%Y-%m-%d %H:%M:%S"), "date-time")
    assert struct.unpack(">HBBB", octets[:5]) == (d.year, d.month, d.day, d.isoweekday())
    assert tuple(octets[5:9]) == (d.hour, d.minute, d.second, 0)
    assert octets[9:] == b"\x80\x00\xff"


def test_open_values_keep_their_type():
    t = parse_type("CHOICE{any}")
    value = t.coerce("long:5")
    assert value == Typed(parse_type("long"), 5)
    assert t.coerce(value) == value


# --- Class files ----------------------------------------------------------------------------


def test_there_are_all_classes_of_the_book(classes):
    assert len(classes) == 98
    assert sum(len(c.versions) for c in classes.values()) == 129
    versions = [v for c in classes.values() for v in c.versions.values()]
    assert sum(len(v.attributes) for v in versions) == 958
    assert sum(len(v.methods) for v in versions) == 207
    for c in classes.values():
        assert os.path.basename(c.file).startswith("%03d_" % c.class_id)


def test_attribute_1_is_the_logical_name_everywhere(classes):
    for c in classes.values():
        for v in c.versions.values():
            a = v.attributes[1]
            assert (a.name, a.type.text, a.sn) == ("logical_name", "octet-string[6]", 0)
            assert list(v.attributes) == list(range(1, len(v.attributes) + 1))
            assert list(v.methods) == list(range(1, len(v.methods) + 1))


def test_an_enum_that_is_certain_is_restricted_to_its_values(classes):
    sort_method = classes[7].versions[1].attribute("sort_method")
    assert sort_method.type.description() == bytes((0x83, 0x16, 1, 6))
    # confidence low: not held against a client
    assert classes[67].versions[0].attribute("output_type").type.description() == b"\x16"
    # it has gaps
    mode = classes[29].versions[2].attribute("mode").type
    assert mode.description() == bytes((0x87, 0x16, 3, 0, 6, 101, 104, 200, 255))
    assert mode.coerce(104) == 104
    with pytest.raises(ValueError, match="expected 0 to 6, 101 to 104, 200 to 255"):
        mode.coerce(7)
    # fields, by their names, of what clients may set
    lists = classes[28].versions[2].attribute("list_of_allowed_callers").type
    assert lists.description() == b"\x01\xff\xff\x02\x02\x09\x83\x16\x00\x01"
    scripts = classes[9].versions[0].attribute("scripts").type
    assert b"\x83" not in scripts.description()
    # in an alternative of a CHOICE
    parameters = classes[30].versions[0].attribute("protection_parameters_get").type
    assert parameters.description().endswith(bytes.fromhex("0202 8102 83160000 09 09"))
    # units are for whoever reads them
    scaler_unit = classes[3].versions[0].attribute("scaler_unit")
    assert scaler_unit.type.description() == b"\x02\x02\x0f\x16"


def minimal(objects, access='all = {everybody = "r w x"}'):
    """A definition with a logical device name (line 22), an association, and these objects."""
    return """name = "synthetic"
[limits]
associations = 1
work_len = 512
max_send_pdu = 512
max_receive_pdu = 512
[[device]]
name = "one"
sap = 1
[access]
%s
[[association]]
device = "one"
client_sap = 16
object = "0.0.40.0.1"
mechanism = 0
role = "everybody"
conformance = ["get", "set"]
[[objects]]
device = "one"
access = "all"
list = [
{class = 1, obis = "0.0.42.0.0", value = "octet-string:PMT0000000000000"},
{class = "Association LN", obis = "0.0.40.0.1"},
%s
]
""" % (access, objects)


def build(text, classes):
    return tables.compile(tables.load_definition(Document(text, "synthetic.toml"), classes))


def test_every_version_of_every_class_can_be_an_object(classes):
    lines = ['{class = "Clock", obis = "0.0.9.0.0"},']
    for c in classes.values():
        for v in c.versions:
            more = ""
            if c.class_id == 7:
                more = ', profile_entries = 1, capture_objects = ["8/0.0.9.0.0/2"]'
            obis = "0.%d.9.%d.1" % (v, c.class_id)
            line = "{class = %d, version = %d, obis = '%s'%s},"
            lines.append(line % (c.class_id, v, obis, more))
    packed = build(minimal("\n".join(lines)), classes)
    module = generated(show.module(packed))
    device = packed.definition.devices[0]
    assert len(rows(module)) == 132
    for r, entries, _ in rows(module):
        class_id = int.from_bytes(r[:2], "big")
        v = classes[class_id].versions[r[8]]
        o = packed.definition.find(device, class_id, bytes(r[2:8]))
        assert r[10] == len(v.attributes) and r[11] == len(v.methods)
        assert module["HANDLERS"][r[9]] == v.module
        for k, cell in entries.items():
            a = v.attributes[k]
            kind = cell[0] & 15
            assert kind == 3 if k == 1 else kind == 0 if a.computed else kind in (1, 2)
            assert kind != 1 or "w" not in a.access
            assert bool(cell[0] & 0x10) == a.check and bool(cell[0] & 0x20) == a.changed
            assert cell[1] == sum(1 << (s - 1) for s in a.selectors)
            data = stored(module, cell)
            if data is not None:
                assert decode(data) == (tables.expected_value(o, k), len(data))
                assert walker.check(module["TYPES"], cell[2], data, 0, len(data)) == len(data)


# --- Packing --------------------------------------------------------------------------------


SMALL = """
{class = 3, obis = "1.0.2.8.0", data_type = "DLU", unit = "Wh", source = "energy.a_minus"},
{class = 3, obis = "1.0.1.8.0", data_type = "DLU", unit = "Wh", source = "energy.a_plus"},
{class = 3, obis = "1.0.32.7.0", data_type = "long-unsigned", unit = "V", source = "inst.u_l1"},
{class = 5, obis = "1.0.1.4.0", data_type = "DLU", period = 900, source = "demand.a_plus"},
{class = 1, obis = "0.0.96.1.0", value = "octet-string:12345", capacity = {value = 20}},
{class = "Clock", obis = "0.0.1.0.0"},
{class = 7, obis = "1.0.99.1.0", profile_entries = 100, row_len = 40,
 capacity = {capture_objects = 4},
 capture_objects = ["8/0.0.1.0.0/2", "3/1.0.1.8.0/2", "5/1.0.1.4.0/4/2"]},
""".replace(",\n cap", ", cap").replace("DLU", "double-long-unsigned")


@pytest.fixture(scope="module")
def small(classes):
    packed = build(minimal(SMALL), classes)
    return packed, generated(show.module(packed))


def find(module, class_id, name):
    """(row, row octets, entries, index after them) of an object."""
    key = class_id.to_bytes(2, "big") + logical_name(name)
    return next((n, *row) for n, row in enumerate(rows(module)) if row[0][:8] == key)


def test_the_module_holds_what_was_packed(small):
    packed, module = small
    for name in ("OBJECTS", "ATTRIBUTES", "SHAPES", "TYPES", "ROM", "RAM", "ACCESS", "PERSISTENT"):
        assert module[name] == getattr(packed, name.lower())
    assert module["NAME"] == "synthetic"
    assert module["LIMITS"] == (1, 512, 512, 512, 512, 512, 0, 1)
    assert module["DEVICES"] == ((1, 0, 9, b"PMT0000000000000"),)


def test_rows_are_sorted_by_class_id_and_logical_name(small):
    keys = [bytes(r[:8]) for r, _, _ in rows(small[1])]
    assert keys == sorted(keys) and len(set(keys)) == len(keys)


def test_a_register_by_hand(small):
    module = small[1]
    row, r, entries, _ = find(module, 3, "1.0.1.8.0")
    assert bytes(r[8:12]) == bytes((0, module["HANDLERS"].index("register"), 3, 1))
    assert entries[1][0] == 3
    assert entries[2][0] == 2 and entries[2][4] == 5
    assert stored(module, entries[2]) == bytes.fromhex("0600000000")
    assert module["TYPES"][entries[2][2]] == 6
    assert entries[3][0] & 15 == 1 and stored(module, entries[3]) == bytes.fromhex("02020f00161e")
    assert ("energy.a_plus", row, 2) in module["SOURCES"]


def test_instantaneous_values_are_not_saved(small):
    module = small[1]
    _, _, entries, _ = find(module, 3, "1.0.32.7.0")
    assert entries[2][0] == 2
    assert entries[2][3] >= module["PERSISTENT"]
    _, _, entries, _ = find(module, 3, "1.0.1.8.0")
    assert entries[2][3] + 2 + entries[2][4] <= module["PERSISTENT"]


def test_slots_of_ram_lie_side_by_side(small):
    packed, module = small
    cells = [c for _, entries, _ in rows(module) for c in entries.values()]
    for o, (_, _, after) in zip(packed.definition.objects, rows(module)):
        # One of no size is there where the definition gives it room.
        states = [name for name, size in o.version.state if size]
        cells += [entry(module, after + j) for j in range(len(states))]
    slots = sorted((c[3], c[3] + 2 + c[4]) for c in cells if c[0] & 15 == 2)
    assert slots[0][0] == 0 and slots[-1][1] == len(module["RAM"])
    assert all(a[1] == b[0] for a, b in zip(slots, slots[1:]))


def test_hidden_state_follows_the_attributes(small, classes):
    module = small[1]
    size = classes[5].versions[0].state[0][1]
    assert size >= 24
    after = find(module, 5, "1.0.1.4.0")[3]
    kind, selectors, _, offset, capacity = entry(module, after)
    assert (kind, selectors, capacity) == (2, 0, size)
    assert module["RAM"][offset : offset + 2 + size] == struct.pack(">H", size) + bytes(size)


def test_a_string_has_the_room_that_was_asked_for(small):
    module = small[1]
    _, _, entries, _ = find(module, 1, "0.0.96.1.0")
    assert entries[2][4] == 2 + 20
    assert stored(module, entries[2]) == b"\x09\x0512345"


def test_a_profile_has_a_ring_with_room_for_its_columns(small):
    module = small[1]
    row, _, entries, _ = find(module, 7, "1.0.99.1.0")
    assert module["RINGS"] == ((row, 40, 100),)  # 14 + 5 + 2 (unit), raised to 40
    assert entries[2][:2] == (0, 3)
    assert entries[3][4] == 2 + 4 * 18


def test_what_is_the_same_is_stored_once(small, classes):
    packed = small[0]
    more = '{class = 3, obis = "1.0.{c}.8.0", data_type = "double-long-unsigned", unit = "Wh", '
    bigger = build(minimal(SMALL + more + 'each = {c = "3..9"}},'), classes)
    assert len(bigger.definition.objects) == len(packed.definition.objects) + 7
    assert bigger.rom == packed.rom
    assert bigger.types == packed.types
    assert bigger.access == packed.access


def test_access_is_a_profile_an_object(classes):
    access = 'all = {everybody = "r:1-2 w:2 x:1", nobody = "r"}\nhidden = {nobody = "r"}'
    more = '{class = 3, obis = "1.0.1.8.0"}, {class = 3, obis = "1.0.2.8.0", access = "hidden"},'
    module = generated(show.module(build(minimal(more, access), classes)))
    table = module["ASSOCIATIONS"][0][6]
    assert len(table) == 2 * 4
    hidden = 2 * find(module, 3, "1.0.2.8.0")[0]
    assert table[hidden : hidden + 2] == b"\xff\xff"
    seen = 2 * find(module, 3, "1.0.1.8.0")[0]
    at = int.from_bytes(table[seen : seen + 2], "big")
    assert module["ACCESS"][at : at + 4] == bytes((1, 3, 0, 1))
    association = find(module, 15, "0.0.40.0.1")[0]
    assert module["ASSOCIATIONS"][0][:6] == (16, 0, association, 0, b"\0\0\0\x18", 512)
    assert module["ASSOCIATIONS"][0][7:] == (1, -1, 0, 0, 0)


def test_rights_say_how_requests_and_responses_are_protected(classes):
    access = 'all = {everybody = "r?a w:2!ae x:1?aes!aes", nobody = "r:3!s"}'
    more = '{class = 3, obis = "1.0.1.8.0"},'
    packed = build(minimal(more, access), classes)
    module = generated(show.module(packed))
    seen = 2 * find(module, 3, "1.0.1.8.0")[0]
    at = int.from_bytes(module["ASSOCIATIONS"][0][6][seen : seen + 2], "big")
    # access_mode of Association LN version 3; 2 and 3 of requests, 5 and 6 of responses, ...
    assert module["ACCESS"][at : at + 4] == bytes((0x05, 0x67, 0x05, 0xFD))
    assert module["ASSOCIATIONS"][0][10] == 7
    register = [o for o in show.as_json(packed)["objects"] if o["class_id"] == 3][0]
    assert [a["protection"] for a in register["attributes"]] == [
        {"16": "?a"}, {"16": "?a!ae"}, {"16": "?a"},
    ]  # fmt: skip
    assert register["methods"][0]["protection"] == {"16": "?aes!aes"}
    assert register["attributes"][1]["access"] == {"16": "rw"}


def test_an_association_with_keys_that_is_open_from_the_start(classes):
    text = minimal('{class = "Security setup", obis = "0.0.43.0.1"},').replace(
        "mechanism = 0",
        'mechanism = 0\napplication_context = 3\nsecurity_setup = "0.0.43.0.1"\n'
        "pre_established = true",
    )
    module = generated(show.module(build(text, classes)))
    assert module["ASSOCIATIONS"][0][7:] == (3, find(module, 64, "0.0.43.0.1")[0], 1, 0, 0)


def test_a_line_stands_for_many(classes):
    more = (
        '{class = 3, obis = "1.0.{c}.8.{t}", data_type = "long", value = "{t}", note = "{c}", '
        'each = [{c = [1, 2]}, {t = "0..2"}]}, '
        '{class = 3, obis = "1.0.{c}.7.0", source = "inst.u_l{l}", data_type = "long", '
        "each = {c = [32, 52], l = [1, 2]}},"
    )
    d = build(minimal(more), classes).definition
    one = d.devices[0]
    for c in (1, 2):
        for t in range(3):
            o = d.find(one, 3, "1.0.%d.8.%d" % (c, t))
            assert (tables.expected_value(o, "value"), o.note) == (t, str(c))
    assert d.find(one, 3, "1.0.52.7.0").source == "inst.u_l2"


def test_what_a_script_writes_is_in_ram(classes):
    more = (
        '{class = 1, obis = "0.0.96.13.0", value = "unsigned:0"}, '
        '{class = 9, obis = "0.0.10.0.1", scripts = [[1, ["1/1/0.0.96.13.0/2/unsigned:5"]]]},'
    )
    d = build(minimal(more, 'all = {everybody = "r"}'), classes).definition
    assert d.find(d.devices[0], 1, "0.0.96.13.0").cells[2].stored == "ram"
    assert d.find(d.devices[0], 9, "0.0.10.0.1").cells[2].stored == "rom"


def test_a_secret_and_a_counter_are_in_ram(classes):
    """Where a secret is compared, and a counter shown; nobody may write them."""
    more = (
        '{class = 1, obis = "0.0.43.1.3", value = "double-long-unsigned:0"}, '
        '{class = 1, obis = "0.0.43.1.4", value = "double-long-unsigned:0"}, '
        '{class = "Security setup", obis = "0.0.43.0.3"},'
    )
    text = minimal(more, 'all = {everybody = "r"}').replace("mechanism = 0", "mechanism = 1")
    d = build(text, classes).definition
    assert d.find(d.devices[0], 15, "0.0.40.0.1").cells[7].stored == "ram"
    assert d.find(d.devices[0], 1, "0.0.43.1.3").cells[2].stored == "ram"
    assert d.find(d.devices[0], 1, "0.0.43.1.4").cells[2].stored == "rom"
    with pytest.raises(tables.TableError, match="expected double-long-unsigned"):
        build(
            text.replace('0.0.43.1.3", value = "double-long-', '0.0.43.1.3", value = "'), classes
        )


def test_expected_value_knows_what_is_computed(small):
    d = small[0].definition
    clock = d.find(d.devices[0], 8, "0.0.1.0.0")
    for attribute in ("time", 10):
        with pytest.raises(LookupError):
            tables.expected_value(clock, attribute)
    assert tables.expected_value(clock, "logical_name") == bytes((0, 0, 1, 0, 0, 255))
    assert tables.expected_value(clock, "time_zone") == 0


# --- Errors: one line, with file and line -----------------------------------------------------


def line_of(text, part):
    return text[: text.index(part)].count("\n") + 1


REGISTER = '{class = 3, obis = "1.0.1.8.0", %s},'
PROFILE = '{class = 7, obis = "1.0.99.1.0", %s},'

# a line among the objects, and what the message says of it
BAD_LINES = [
    ('{class = 99999, obis = "1.0.1.8.0"},', "class 99999 is unknown; expected"),
    ('{class = "Registre", obis = "1.0.1.8.0"},', "class 'Registre' is unknown; expected"),
    ("{class = 3},", "no obis; expected"),
    ('{obis = "1.0.1.8.0"},', "no class; expected"),
    ('{class = 3, obis = "1.0.1.8"},', "'1.0.1.8' is no logical name; expected"),
    ('{class = 3, obis = "1.0.1.8.0.256"},', "is no logical name; expected"),
    ('{class = 3, obis = "1.0.{c}.8.0"},', "'1.0.{c}.8.0' is no logical name; expected"),
    ('{class = 3, obis = "1.0.1.8.{t}", each = {t = 5}},', 't is 5; expected a list, or "1..4"'),
    ('{class = 3, obis = "1.0.{c}.8.{t}", each = {c = [1], t = [1, 2]}},', "different length"),
    ('{class = 1, obis = "0.0.42.0.0"},', "Data 0.0.42.0.0.255 again; expected it once (line 23)"),
    ("5,", "5 is no table; expected {obis = ...}"),
    (REGISTER % "version = 1", "Register has no version 1; expected 0"),
    (REGISTER % "valu = 5", "class Register has no attribute valu; expected"),
    (REGISTER % "value = 5", "value: 5 does not tell its type; expected"),
    (REGISTER % 'data_type = "lnog", value = 5', "'lnog'; expected"),
    (REGISTER % 'data_type = "array[long]"', "value cannot be array[long]; expected"),
    (REGISTER % 'data_type = "unsigned", value = 256', "256 is out of range; expected unsigned"),
    (REGISTER % 'unit = "kWh"', "scaler_unit: 'kWh' does not fit; expected enum"),
    (REGISTER % "unit = 30", "unit is 30; expected a value of type str"),
    ('{class = 61, obis = "1.0.98.10.0", table_cell_values = "compact-array:1"},',
     "compact-array cannot be stored; expected"),
    (REGISTER % "volatile = 1", "volatile is 1; expected a value of type bool"),
    (REGISTER % 'device = "two"', "'two' is unknown; expected one of one"),
    (REGISTER % 'access = "none"', "'none' is unknown; expected one of all"),
    (REGISTER % 'logical_name = "x"', "has no attribute logical_name; expected"),
    (REGISTER % 'ram = ["status"]', "Register has no attribute status; expected"),
    (REGISTER % 'source = "energie.x"', "source energie.x is unknown; expected"),
    (REGISTER % 'source = "demand.x"', "does not feed Register; expected Demand register"),
    (REGISTER % 'source = "energy.x"', "feeds an integer, not CHOICE{"),
    (REGISTER % 'capacity = {value = 8}, data_type = "long"', "long has a fixed size; expected"),
    (REGISTER % 'capacity = {value = 2}, value = "octet-string:abc"', "room of 4 octets for"),
    (REGISTER % 'capacity = {value = "4 words"}, value = "octet-string:abc"', "'4 words' for"),
    ('{class = 8, obis = "0.0.1.0.0", time = "*"},', "time is computed; expected no value"),
    ('{class = 8, obis = "0.0.1.0.0", capacity = {time = 1}},', "time is not stored; expected"),
    ('{class = 8, obis = "0.0.1.0.0", clock_base = 6},', "6 is out of range; expected 0 to 5"),
    ('{class = 8, obis = "0.0.1.0.0", daylight_savings_begin = "x"},', "'x' is no date-time"),
    (PROFILE % "profile_entries = 1", "a row has 2 octets; expected 3 to 382"),
    (PROFILE % "row_len = 383, profile_entries = 1", "a row has 383 octets; expected"),
    (PROFILE % "row_len = 20", "profile_entries is 0; expected 1 or more"),
    (PROFILE % 'capture_objects = ["3/1.0.1.8.0/2"]', "names object 3 1.0.1.8.0.255; expected"),
    (PROFILE % 'capture_objects = ["15/0.0.40.0.1/40"]', "names attribute 40 of Associ"),
    (PROFILE % 'capture_objects = ["15/0.0.40.0.1/2"]', "attribute 2 has no fixed size; expected"),
    (PROFILE % 'row_len = 5, capture_objects = ["1/0.0.42.0.0/2"]', "row_len is 5; expected"),
    ('{class = 9, obis = "0.0.10.0.1", scripts = [[1, ["2/3/1.0.1.8.0/1/integer:0"]]]},',
     "script 1 names object 3 1.0.1.8.0.255; expected"),
    ('{class = 9, obis = "0.0.10.0.1", scripts = [[1, ["1/1/0.0.42.0.0/3/integer:0"]]]},',
     "script 1 names 3 of Data 0.0.42.0.0.255; expected"),
    ('{class = 22, obis = "0.0.15.0.1", executed_script = "0.0.10.0.1/1"},',
     "executed_script names object 9 0.0.10.0.1.255; expected"),
    ('{class = 6, obis = "0.0.14.0.0", mask_list = [["A", [1]]]},', "mask b'A' has [1]; expected"),
    ('{class = 111, obis = "0.0.19.0.0", credit_reference_list = ["0.0.19.10.0"]},',
     "credit_reference_list names object 112 0.0.19.10.0.255; expected"),
    ('{class = 111, obis = "0.0.19.0.0", charge_reference_list = ["0.0.19.20.0"]},',
     "charge_reference_list names object 113 0.0.19.20.0.255; expected"),
    ('{class = 3, obis = "1.0.1.8.0", source = "token.demo"},', "expected Token gateway"),
]  # fmt: skip


@pytest.mark.parametrize("line, expected", BAD_LINES)
def test_an_error_in_a_line_names_the_line(classes, line, expected):
    text = minimal("# a comment [[objects]] {\n" + line)
    with pytest.raises(TableError) as e:
        build(text, classes)
    assert expected in str(e.value) and "\n" not in str(e.value)
    assert (e.value.file, e.value.line) == ("synthetic.toml", line_of(text, line))


GATEWAY = "[[gateway]]\nnetwork_id = 1"
LINK = 'link = ["hdlc-uart", 1, 9600]\n'

# a place in a right definition, what stands there instead, what the message says, on which line
BAD_PLACES = [
    ("work_len = 512", "", "no work_len; expected", "[limits]"),
    ("work_len = 512", 'work_len = "512"', "expected a value of type int", "work_len"),
    ("work_len = 512", "work_len = 70000", "work_len is 70000; expected 1 to 65535", "work_len"),
    ("work_len = 512", "work_len = 512\nspeed = 96", "unknown key speed; expected", "speed"),
    ("sap = 1", "sap = 0", "sap is 0; expected 1 to 65535", "sap = 0"),
    ("sap = 1", "sap = ", "not TOML: Invalid value; expected TOML 1.0", "sap = "),
    ("sap = 1", "sap = 1\nsap = 2", "not TOML: Cannot overwrite a value; expected", "sap = 2"),
    ("mechanism = 0", "mechanism = 8", "mechanism 8; expected 0 to 7", "mechanism"),
    ("mechanism = 0", "mechanism = 1\npre_established = true", "expected 0: nobody", "mechanism"),
    ("mechanism = 0", "mechanism = 7", "no security_setup; expected", "[[association]]"),
    ('"0.0.40.0.1"', '"0.0.40.0.2"', "has no Association LN 0.0.40.0.2; expected", "object ="),
    ('"0.0.40.0.1"', '"ln"', "'ln' is no logical name; expected", "object ="),
    ('role = "everybody"', 'role = "x"', "role x is unknown; expected", "role ="),
    ('"get", "set"]', '"get",\n "put"]', "'put' is unknown; expected one of", '"put"'),
    ("[[association]]", "[[assoziation]]", "unknown key assoziation; expected", "[[assoziation]]"),
    ('"r w x"', '"rwx"', "right 'rwx' is not understood; expected", "all ="),
    ('"r w x"', '"r?ab"', "right 'r?ab' is not understood; expected", "all ="),
    ('"r w x"', '"r!a?a"', "right 'r!a?a' is not understood; expected", "all ="),
    ('"r w x"', '"r w!"', "right 'w!' is not understood; expected", "all ="),
    ('"r w x"', "5", "5; expected rights such as", "all ="),
    ('"0.0.42.0.0"', '"0.0.42.0.1"', "no Data object 0.0.42.0.0.255; expected", "[[device]]"),
    ("[[objects]]", '[[objects]]\nobis = "0.0.1.0.0"', "obis or each for a group", "[[objects]]"),
    ("[[objects]]", "[[objects]]\n[[objects]]", "no list; expected", "[[objects]]"),
    *(
        ("[[objects]]", "%s\n%s\n[[objects]]" % (GATEWAY, line), expected, at)
        for line, expected, at in (
            ("link = []", "link []; expected", "link"),
            ('link = ["lon", 1]', "link ['lon', 1]; expected", "link"),
            ('link = ["wrapper-tcp", "::1"]', "link ['wrapper-tcp', '::1']; expected", "link"),
            (LINK + "time_out = 0", "time_out 0; expected 1 to 600 seconds", "time_out"),
            (LINK + 'physical_device_address = "11"', "expected 0x and at most 16", "physical"),
            (LINK + "speed = 5", "unknown key speed; expected", "speed"),
            ("", "no link; expected", "[[gateway]]"),
        )
    ),
    *(
        ("[[objects]]", "[update]\n%s\n[[objects]]" % line, expected, at)
        for line, expected, at in (
            ("", "no maker_key; expected", "[update]"),
            ("maker_key = 5", "maker_key is 5; expected a value of type str", "maker_key"),
            ('maker_key = "0x%s"' % ("00" * 63), "expected 0x and 64 octets", "maker_key"),
            ('maker_key = "0x%s"\nkey = 1' % ("00" * 64), "unknown key key; expected", "key = 1"),
        )
    ),
    (
        "[[objects]]",
        "[[gateway]]\nnetwork_id = 256\n%s[[objects]]" % LINK,
        "network_id 256; expected 0 to",
        "network_id",
    ),
    ("[[objects]]", "[[objects]]\nunit = 5", "unit is 5; expected a value of type", "unit = 5"),
]


@pytest.mark.parametrize("old, new, expected, at", BAD_PLACES)
def test_an_error_elsewhere_names_its_line(classes, old, new, expected, at):
    text = minimal("").replace(old, new, 1)
    with pytest.raises(TableError) as e:
        build(text, classes)
    assert expected in str(e.value)
    assert e.value.line == line_of(text, at)


# --- A definition that includes another one -------------------------------------------------


@pytest.fixture
def included(tmp_path):
    """Write inner.toml and outer.toml, which includes it; the path of the outer one."""

    def write(outer, inner=None):
        (tmp_path / "inner.toml").write_text(minimal("") if inner is None else inner)
        (tmp_path / "outer.toml").write_text(outer)
        return tmp_path / "outer.toml"

    return write


MORE = """include = "inner.toml"
name = "outer"
[limits]
associations = 3
[access]
more = {everybody = "r w"}
[[objects]]
device = "one"
access = "more"
list = [
    {class = "Data", obis = "0.0.96.1.9", data_type = "unsigned"},
]
"""


def test_what_is_included_comes_first_and_both_count(classes, included):
    alone = tables.load_definition(included("", minimal("")).with_name("inner.toml"), classes)
    both = tables.load_definition(included(MORE), classes)
    assert both.name == "outer" != alone.name
    assert both.limits == (3, *alone.limits[1:])
    texts = [o.text for o in both.objects]
    assert sorted(texts) == sorted([*(o.text for o in alone.objects), "Data 0.0.96.1.9.255"])


@pytest.mark.parametrize(
    "old, new, expected, file, at",
    [
        ("unsigned", "unsignde", "unsignde", "outer.toml", "0.0.96.1.9"),
        ('access = "more"', 'access = "no"', "'no' is unknown", "outer.toml", 'access = "no"'),
        ("0.0.96.1.9", "0.0.42.0.0", "again; expected it once (line", "outer.toml", "0.0.42.0.0"),
        ("inner.toml", "outer.toml", "includes itself", "outer.toml", "include"),
        ("inner.toml", "other.toml", "there is no file", "outer.toml", "include"),
        ('"inner.toml"', "5", "expected the name of a file", "outer.toml", "include"),
        ("{everybody", "{everybody = 5, x", "expected", "outer.toml", "more ="),
    ],
)
def test_an_error_of_an_included_definition_names_file_and_line(
    classes, included, old, new, expected, file, at
):
    path = included(MORE.replace(old, new, 1))
    with pytest.raises(TableError) as e:
        tables.compile(path)
    assert expected in str(e.value)
    assert os.path.basename(e.value.file) == file
    assert e.value.line == line_of(path.read_text(), at)


def test_an_error_in_what_is_included_is_there(included):
    inner = minimal("").replace("[[objects]]", "[[objects]]\nunit = 5", 1)
    path = included(MORE, inner)
    with pytest.raises(TableError) as e:
        tables.compile(path)
    assert os.path.basename(e.value.file) == "inner.toml"
    assert e.value.line == line_of(inner, "unit = 5")


CLASS = """class_id = 9999
name = "Test"
cardinality = "0..n"
[[version]]
version = 0
clause = "1"
current = true
confidence = "high"
attributes = [
    {index = 1, name = "logical_name", type = "octet-string[6]", kind = "static", access = "r"},
    {index = 2, name = "value", type = "long", kind = "dynamic", access = "rw"},
]
methods = [
    {index = 1, name = "reset", parameter = "integer(0)", returns = "none", optional = true},
]
"""


@pytest.mark.parametrize(
    "old, new, expected, at",
    [
        ('"long"', '"lung"', "expected a type of the Blue Book", '"value"'),
        ('"rw"', '"wr"', "'wr' is unknown; expected one of r, rw, w", '"value"'),
        ("index = 2", "index = 1", "index 1; expected rising ones", '"value"'),
        ('"dynamic"', '"moving"', "'moving' is unknown; expected one of static", '"value"'),
        ('"rw"', '"rw", computed = true', "expected a module that does it", '"value"'),
        ('"rw"', '"rw", enum = "x"', "no table [enums.x]; expected", '"value"'),
        ('"rw"', '"rw", selectors = [9]', "expected numbers 1 to 8", '"value"'),
        ('"rw"', '"rw", flag = true', "unknown key flag; expected one of", '"value"'),
        ('"integer(0)"', '"integr"', "expected a type of the Blue Book", '"reset"'),
        ('"high"', '"sure"', "'sure' is unknown; expected one of high", "confidence"),
        ('clause = "1"', "", "no clause; expected", "[[version]]"),
        ('"logical_name"', '"name"', "no logical_name; expected it", "attributes ="),
        ("class_id = 9999", "class_id = 0", "class_id is 0; expected 1 to 65535", "class_id"),
    ],
)
def test_an_error_in_a_class_file_names_its_line(old, new, expected, at):
    text = CLASS.replace(old, new, 1)
    with pytest.raises(TableError) as e:
        tables.classes.load_class(Document(text, "test.toml"))
    assert expected in str(e.value)
    assert (e.value.file, e.value.line) == ("test.toml", line_of(text, at))


@given(st.text(max_size=60))
@settings(max_examples=200, deadline=None)
def test_any_text_in_a_line_is_read_or_refused(text):
    definition = minimal('{class = 3, obis = "1.0.1.8.0", note = "%s"},' % text)
    try:
        document = Document(definition, "synthetic.toml")
    except TableError as e:
        assert "expected" in str(e)
    else:
        assert document.place(["objects", 0, "list", 2, "note"])[1] == 25


TOKEN = re.compile(r'(?<=[=,:] )("[^"\n]*"|-?[0-9]+)|(?<=\[)("[^"\n]*"|-?[0-9]+)')
OTHERS = [
    "-1",
    "5",
    '"x"',
    "[]",
    "{}",
    "true",
    "1.5",
    "99999999999",
    '""',
    "[[1]]",
    '"*"',
    '"1/2"',
]
TOKENS = list(TOKEN.finditer(minimal(SMALL)))


@given(st.sampled_from(TOKENS), st.sampled_from(OTHERS))
@settings(max_examples=150, deadline=None)
def test_a_wrong_value_anywhere_makes_one_line_and_no_traceback(classes, token, other):
    text = minimal(SMALL)
    text = text[: token.start()] + other + text[token.end() :]
    try:
        build(text, classes)
    except TableError as e:
        assert "expected" in str(e) and "\n" not in str(e)


def test_the_scanner_knows_every_kind_of_line():
    text = '''a = 1 # [x]
"b c".d = """x
y"""
[e.f]
g = [1, # one
  {h = 'x]', i = [
    2]},
]
[[j]]
k = 1
[[j]]
[j.l]
m = 1979-05-27T07:32:00Z
n = "\\"]"
[[j.o]]
p = 1
'''.replace("[\n    2]},", "[ 2]},\n")
    lines = {path: n for path, (_file, n) in Document(text, "x").places.items()}
    expected = {("a",): 1, ("b c", "d"): 2, ("e", "f"): 4, ("e", "f", "g"): 5,
                ("e", "f", "g", 0): 5, ("e", "f", "g", 1, "h"): 6, ("e", "f", "g", 1, "i", 0): 6,
                ("j", 0, "k"): 10, ("j", 1): 11, ("j", 1, "l", "m"): 13, ("j", 1, "l", "n"): 14,
                ("j", 1, "o", 0, "p"): 16}  # fmt: skip
    assert {path: lines.get(path) for path in expected} == expected


# --- The command ------------------------------------------------------------------------------


def run(*arguments):
    program = os.path.join(ROOT, "tools", "tables.py")
    return subprocess.run([sys.executable, program, *arguments], capture_output=True, text=True)


def test_the_output_is_the_same_every_time(tmp_path):
    one, two = tmp_path / "one" / "definition.py", tmp_path / "two.py"
    assert command.main([RESIDENTIAL, "-o", str(one)]) == 0
    done = run(RESIDENTIAL, "-o", str(two))
    assert (done.returncode, done.stderr) == (0, "")
    assert one.read_bytes() == two.read_bytes()
    assert "GENERATED by tools/tables.py from residential.toml" in one.read_text()


def test_check_sees_a_file_that_is_not_up_to_date(tmp_path, capsys):
    out = tmp_path / "definition.py"
    assert command.main([RESIDENTIAL, "-o", str(out), "--check"]) == 1
    assert "not up to date" in capsys.readouterr().err
    assert not out.exists()
    assert command.main([RESIDENTIAL, "-o", str(out)]) == 0
    assert command.main([RESIDENTIAL, "-o", str(out), "--check"]) == 0
    out.write_text(out.read_text().replace("0", "1"))
    assert command.main([RESIDENTIAL, "-o", str(out), "--check"]) == 1


def test_an_error_is_one_line_and_exit_2(tmp_path):
    bad = tmp_path / "bad.toml"
    bad.write_text(minimal('{class = 3, obis = "1.0.1.8"},'))
    done = run(str(bad))
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("%s:25: '1.0.1.8' is no logical name; expected" % bad)
    assert done.stderr.count("\n") == 1


def test_a_file_that_is_not_there_is_an_error(tmp_path, capsys):
    assert command.main([str(tmp_path / "none.toml")]) == 2
    assert "none.toml:0: No such file" in capsys.readouterr().err


def test_whose_firmware_is_taken(classes):
    tables = build(minimal("") + '[update]\nmaker_key = "0x%s"\n' % ("0A1b" * 32), classes)
    module = {}
    exec(show.module(tables), module)
    assert module["MAKER"] == tables.maker == b"\x0a\x1b" * 32
    assert "MAKER" not in show.module(build(minimal(""), classes))


def test_gateways(classes):
    line = GATEWAY + '\nlink = ["wrapper-tcp", "192.0.2.9", 4059]\n'
    more = GATEWAY + "\n" + LINK + 'physical_device_address = "0x0011"\ntime_out = 60\n'
    tables = build(minimal("") + line + more, classes)
    assert tables.gateways == (
        (1, "wrapper-tcp", "192.0.2.9", 4059, None, 10),
        (1, "hdlc-uart", 1, 9600, b"\x00\x11", 60),
    )
    module = {}
    exec(show.module(tables), module)
    assert module["GATEWAYS"] == tables.gateways
    assert "GATEWAYS" not in show.module(build(minimal(""), classes))
