# SPDX-License-Identifier: MIT
"""tools/decoding/names.py: what objects are called."""

import os

import pytest
import tables
from bootstrap import ROOT
from decoding import apdu, names_apdu
from decoding.names import Names, purpose, rows

DEFINITION = tables.load_definition(os.path.join(ROOT, "firmware/definitions/residential.toml"))


@pytest.mark.parametrize(
    "name, class_id, said",
    [
        ("1.0.1.8.0.255", 3, "active import +A energy register, total"),
        ("1.0.45.8.2.255", 3, "L2 reactive power QI, time integral 1 (since first start of "
         "measurement), rate (tariff) 2"),
        ("0.0.1.0.0.255", 8, "clock"),
        ("0.0.40.0.3.255", 15, "association (3)"),
        ("0.1.24.1.0.255", 72, "M-Bus client (1)"),
        ("0.0.96.8.4.255", 3, "time of operation of rate 4"),
        ("7.0.3.0.0.255", 3, ""),
        ("nonsense", None, ""),
        ("1.2.3", None, ""),
    ],
)  # fmt: skip
def test_by_obis(name, class_id, said):
    assert Names().obis(name, class_id) == said


def test_the_class_decides_between_two():
    name = (1, 0, 1, 4, 0, 255)
    assert purpose(name, 21) != purpose(name, 5)


def test_every_object_of_the_reference_meter_has_a_name():
    assert [
        o.text for o in DEFINITION.objects if not purpose(tuple(o.name), o.version.class_id)
    ] == []


def test_notes_of_a_definition_come_first():
    o = next(o for o in DEFINITION.objects if o.note)
    assert Names(DEFINITION).obis(o.name) == o.note


def test_every_row_fits_its_own_pattern():
    for row in rows():
        name = tuple(7 if group is None else min(group) for group in row.groups)
        assert len(name) == 6 and row.fits(name), row.name


def test_names_in_a_tree():
    node = apdu.decode(bytes.fromhex("C401C100020209060100010800FF1101"))
    Names().annotate(node)
    (text,) = [n.text for n in node.walk() if n.type == "octet-string"]
    assert text == "1.0.1.8.0.255: active import +A energy register, total"


def test_what_garbage_asks_for_is_not_kept_for_ever():
    for n in range(3000):
        assert names_apdu.member(20000 + n, 2) == ""
        purpose((n & 0xFF, 0, n >> 8, 1, 2, 3), n)
    for kept in (names_apdu.member, purpose):
        assert kept.cache_info().currsize <= 1024
