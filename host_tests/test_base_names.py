# SPDX-License-Identifier: MIT
"""tools/tables/names.py: base_names given, reserved, assigned; what is refused, and where."""

import json

import pytest
import tables
from short import SHORT_NAMES
from tables import names, show
from tables.source import Document, TableError

TEXT = """name = "short"
[limits]
associations = 1
work_len = 512
max_send_pdu = 512
max_receive_pdu = 512
[[device]]
name = "one"
sap = 1
[access]
all = {everybody = "r w x"}
[[association]]
device = "one"
client_sap = 16
object = "0.0.40.0.0"
mechanism = 1
application_context = 2
role = "everybody"
conformance = ["read", "write"]
[[objects]]
device = "one"
access = "all"
list = [
{class = 1, obis = "0.0.42.0.0", value = "octet-string:PMT0000000000000"},
{class = "Association SN", obis = "0.0.40.0.0", secret = "12345678"},
%s
]
"""


@pytest.fixture(scope="module")
def classes():
    return tables.load_classes()


def build(text, classes):
    return tables.compile(tables.load_definition(Document(text, "synthetic.toml"), classes))


def test_reserved_given_and_assigned(classes):
    t = build(
        TEXT
        % """{class = 3, obis = "1.0.1.8.0", base_name = 0x0110, data_type = "long"},
{class = 1, obis = "0.0.96.1.0", value = "unsigned:1"},
{class = 1, obis = "0.0.96.1.1", value = "unsigned:1"},
{class = 9, obis = "0.0.10.0.125"}, {class = 17, obis = "0.0.41.0.0"},""",
        classes,
    )
    assert {o.text.split(" ", 1)[1].split()[-1]: o.base_name for o in t.definition.objects} == {
        "0.0.42.0.0.255": 0xFD00,
        "0.0.40.0.0.255": 0xFA00,
        "0.0.10.0.125.255": 0xFB00,
        "0.0.41.0.0.255": 0xFC00,
        "1.0.1.8.0.255": 0x0110,
        "0.0.96.1.0.255": 0x0100,  # fits in front of the register, which goes up to 0138
        "0.0.96.1.1.255": 0x0140,
    }


def test_no_names_overlap_and_all_are_found():
    t = tables.compile(str(SHORT_NAMES))
    for sap, first, n, _ in t.devices:
        taken = set()
        rows = [t.names[6 * r : 6 * r + 6] for r in range(first, first + n)]
        assert rows == sorted(rows)
        assert {int.from_bytes(r[2:4], "big") for r in rows} == set(range(first, first + n))
        for r in rows:
            o = t.definition.objects[int.from_bytes(r[2:4], "big")]
            assert int.from_bytes(r[:2], "big") == o.base_name and o.device.sap == sap
            place = int.from_bytes(r[4:6], "big")
            members = t.members[place + 1 : place + 1 + t.members[place]]
            assert members == names.members(o.version)
            own = set(range(o.base_name, o.base_name + 8 * len(members), 8))
            assert not own & taken
            taken |= own


def test_offsets_of_every_class(classes):
    """Each attribute and method is where its class file says, and nowhere else."""
    n = 0
    for c in classes.values():
        for v in c.versions.values():
            members = names.members(v)
            found = {}
            for k, a in v.attributes.items():
                found[a.sn // 8] = k
            for k, m in v.methods.items():
                found[m.sn // 8] = 0x80 | k
            assert len(found) == len(v.attributes) + len(v.methods), (c.class_id, v.version)
            assert {i: m for i, m in enumerate(members) if m} == found
            n += len(found)
    assert n == 1165


def test_without_short_names_there_are_no_tables(classes):
    text = (TEXT % '{class = "Association LN", obis = "0.0.40.0.0"},').replace(
        "application_context = 2", "application_context = 1"
    )
    t = build(text.replace('"read", "write"', '"get"'), classes)
    assert (t.names, t.members) == (b"", b"")
    assert all(o.base_name == 0 for o in t.definition.objects)


def test_the_secret_is_hidden(classes):
    t = build(TEXT % "", classes)
    o = t.definition.objects[1]
    at = t.offsets[o.row, ~1]
    assert t.ram[at : at + 12] == b"\0\x0a\x09\x0812345678" and at < t.persistent
    shown = show.as_json(t)
    assert shown["associations"][0]["secret"] == b"12345678".hex()
    assert "12345678" not in json.dumps(shown["objects"])


DATA = '{class = 1, obis = "0.0.96.1.0", base_name = %s, value = "unsigned:1"},'
BAD = [
    (DATA % "0x0104", "base_name 0x0104 of Data 0.0.96.1.0.255; expected a multiple of 8"),
    (DATA % "0xF9F8", "expected a multiple of 8, with its names below 0xFA00"),
    (DATA % "0xFB00", "expected a multiple of 8, with its names below 0xFA00"),
    (
        '{class = 3, obis = "1.0.1.8.0", base_name = 0x0100},\n' + DATA % "0x0128",
        "base_name 0x0100 of Register 1.0.1.8.0.255 overlaps Data 0.0.96.1.0.255 at 0x0128;",
    ),
    (
        '{class = 17, obis = "0.0.41.0.0", base_name = 0x0100},',
        "expected 0xFC00, which is reserved for it",
    ),
    (
        '{class = 1, obis = "0.0.96.{a}.{b}", value = "unsigned:1", each = '
        '[{a = "0..255"}, {b = "0..15"}]},',
        "no short names are left for Data",
    ),
]


@pytest.mark.parametrize("line, expected", BAD)
def test_an_error_names_the_line(classes, line, expected):
    text = TEXT % line
    with pytest.raises(TableError) as e:
        build(text, classes)
    assert expected in str(e.value) and "\n" not in str(e.value)
    wanted = text[: text.index(line.split("\n")[-1])].count("\n") + 1
    assert (
        e.value.line == wanted or "overlaps" in expected and e.value.line in (wanted, wanted - 1)
    )


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ('"read", "write"', '"read", "get"', "get of an association with short names; expected"),
        ("context = 2", "context = 5", "application_context 5; expected 1 (LN), 2 (SN), 3, 4"),
        ("context = 2", "context = 4", "no security_setup; expected"),
        ("context = 2", "context = 1", "one has no Association LN 0.0.40.0.0; expected"),
        ('object = "0.0.40.0.0"', 'object = "0.0.40.0.1"', "one has no Association SN 0.0.40.0.1"),
        ('"12345678"', '"%s"' % ("1" * 65), "secret of 65 octets with room for 64; expected"),
        ('"12345678"', "5", "secret: "),
    ],
)
def test_an_association_that_is_wrong(classes, old, new, expected):
    with pytest.raises(TableError) as e:
        build((TEXT % "").replace(old, new, 1), classes)
    assert expected in str(e.value)
