# SPDX-License-Identifier: MIT
"""[optical] of a definition: what it becomes, and mistakes in it, as sentences with a line."""

import os

import compile as compiling
import identities
import pytest
import records
import sheet as sheets
import small
import tables
from bootstrap import ROOT
from optical import DEFINITION
from tables.source import TableError

REFERENCE = os.path.join(ROOT, "firmware", "definitions", "optical.toml")


def test_what_the_firmware_gets():
    packed = small.packed(DEFINITION)
    setup, readout, *rest = packed["OPTICAL"]
    rows = {o.row: (o.version.class_id, o.text.split()[-1])
            for o in tables.load_definition(str(DEFINITION)).objects}  # fmt: skip
    assert rows[setup] == (19, "0.0.20.0.0.255") and rows[readout] == (7, "0.0.21.0.0.255")
    assert rest == [b"PMT", b"PICOMETER", ord("E"), 0, 1, (16, 2, 1, -1)]


def test_the_reference_meter_has_none_and_one_with_a_port_has():
    assert small.packed(os.path.join(ROOT, "firmware/definitions/residential.toml"))[
        "OPTICAL"
    ] is (None)
    assert small.packed(REFERENCE)["OPTICAL"][6:] == (1, (2, 2, 1, -1))


@pytest.mark.parametrize(
    "old, new, expected",
    [
        ('flag = "PMT"', 'flag = "PM"', "flag 'PM'; expected three letters"),
        ('flag = "PMT"', 'flag = "pmt"', "flag 'pmt'; expected three letters"),
        ('flag = "PMT"', "flag = 5", "expected a value of type str"),
        ('"PICOMETER"', '"PICO/METER"', "expected 1 to 16 characters without / and !"),
        ('"PICOMETER"', '"' + "X" * 17 + '"', "expected 1 to 16 characters"),
        ('"PICOMETER"', '""', "expected 1 to 16 characters"),
        ('mode = "E"', 'mode = "D"', "expected"),
        ('setup = "0.0.20.0.0"', 'setup = "0.0.20.0.1"', "is no object of class 19"),
        ('setup = "0.0.20.0.0"', "", "no setup; expected"),
        ('readout = "0.0.21.0.0"', 'readout = "1.0.1.8.0"', "is no object of class 7 or 1"),
        ("anybody = 16", "anybody = 17", "anybody = 17; expected a client_sap"),
        ("p1 = 2", "p3 = 2", "unknown key p3"),
        ('mode = "E"', 'mode = "E"\nbattery = 1', "expected a value of type bool"),
        ('mode = "E"', 'mode = "E"\ndevice = "other"', "expected"),
    ],
)
def test_a_mistake(tmp_path, old, new, expected):
    text = DEFINITION.read_text()
    assert old in text
    path = tmp_path / "wrong.toml"
    path.write_text(text.replace(old, new, 1))
    with pytest.raises(TableError) as e:
        tables.compile(str(path))
    assert expected in str(e.value)
    where = text.replace(old, new, 1).splitlines()[e.value.line - 1]
    assert where == "[optical]" or where in new or new in where


def test_the_connection_sheet():
    """What a client needs to know; of a provisioned meter nobody knows the passwords."""
    module = sheets.load(compiling.definition(REFERENCE))
    s = sheets.sheet(module, [])
    assert s["optical"]["passwords"] == {"p1": "00000000", "p2": "demo-p2"}
    assert s["optical"]["clients"] == {"anybody": 2, "p1": 2, "p2": 1}
    line = "  optical port    mode E: anybody is client 2, p1 %s is client 2, p2 %s is client 1"
    assert line % ("00000000", "demo-p2") in sheets.text(s)
    s = records.sheet(identities.new("ABC", "42", module), module, [])
    assert line % ("(none yet)", "(none yet)") in sheets.text(s)
