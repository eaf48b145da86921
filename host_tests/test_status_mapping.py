# SPDX-License-Identifier: MIT
"""cosem/status_mapping.py: what mapping_table may say of the bits of status_word."""

import types

import pytest
import tables
from fakes import HEAD, Meter, array, struct_, u8, u16, u32
from served import Served
from tables import definition, show, source

from firmware import app
from firmware.ports import cpython
from firmware.store import RAMStorage

STATUS_WORD, MAPPING_TABLE = 2, 3
COVER_OFF, FRAUD_BIT = 44, 13  # of firmware/meter/events.py
READ_WRITE_DENIED, TYPE_UNMATCHED, OTHER_REASON = 3, 12, 250
NAME = "0.0.96.5.%d.255"

# status_word, its bits
WORDS = [
    ('{type = "unsigned", value = 0}', 8),
    ('{type = "long-unsigned", value = 0}', 16),
    ('{type = "double-long-unsigned", value = 0}', 32),
    ('{type = "long64-unsigned", value = 0}', 64),
    ('{type = "bit-string", value = "10101"}', 5),
    ('{type = "octet-string", value = "0x0102"}', 16),
    ('{type = "visible-string", value = "abc"}', 24),
]
OBJECTS = "".join(
    """
    {class = 63, obis = "0.0.96.5.%d.255", status_word = %s,
     mapping_table = [1, {type = "long-unsigned", value = 100}],
     capacity = {mapping_table = "250 octets"}},
"""
    % (k, word)
    for k, (word, _) in enumerate(WORDS)
)


@pytest.fixture(scope="module")
def m():
    return Meter(OBJECTS)


@pytest.mark.parametrize("k,bits", [(k, bits) for k, (_, bits) in enumerate(WORDS)])
def test_a_mapping_has_no_more_entries_than_there_are_bits(m, k, bits):
    row = m.row(63, NAME % k)
    for n in (0, 1, bits):
        data = struct_(u8(2), array(*map(u16, range(n))))
        assert m.set(row, MAPPING_TABLE, data) == 0
        assert m.get(row, MAPPING_TABLE) == data
    assert m.set(row, MAPPING_TABLE, struct_(u8(2), array(*map(u16, range(bits + 1))))) == (
        OTHER_REASON
    )
    assert m.set(row, MAPPING_TABLE, struct_(u8(3), u16(0x10000 - bits))) == 0
    assert m.set(row, MAPPING_TABLE, struct_(u8(3), u16(0x10001 - bits))) == OTHER_REASON
    assert m.read(row, MAPPING_TABLE) == [3, 0x10000 - bits]


@pytest.mark.parametrize(
    "data", [struct_(u8(1), u32(1)), struct_(u8(1)), struct_(u16(1), u16(1)), u16(1)]
)
def test_no_mapping(m, data):
    assert m.set(m.row(63, NAME % 0), MAPPING_TABLE, data) == TYPE_UNMATCHED


def test_a_conversation():
    c = Served(OBJECTS)
    name = NAME % 2
    assert c.get(63, name, MAPPING_TABLE) == [1, 100]
    assert c.set(63, name, MAPPING_TABLE, struct_(u8(7), array(u16(3), u16(9)))) == 0
    assert c.get(63, name, MAPPING_TABLE, client=17) == [7, [3, 9]]
    assert c.set(63, name, MAPPING_TABLE, struct_(u8(7), u16(0)), client=17) == READ_WRITE_DENIED
    assert c.set(63, name, STATUS_WORD, u32(0)) == READ_WRITE_DENIED
    assert c.get(63, name, STATUS_WORD) == 0


def test_the_alarms_of_a_meter():
    """A source of the definition has the bits: those of events.py."""
    objects = """
    {class = 8, obis = "0.0.1.0.0.255"},
    {class = 63, obis = "0.0.96.5.0.255", source = "status.alarm",
     status_word = {type = "double-long-unsigned", value = 0},
     mapping_table = [1, {type = "long-unsigned", value = 100}]},
    """
    text = HEAD + objects.replace(",\n     ", ", ") + "]\n"
    packed = tables.compile(definition.load_definition(source.Document(text, "test.toml")))
    module = types.ModuleType("definition")
    exec(show.module(packed), module.__dict__)
    meter = app.build(module, RAMStorage(), cpython, 1, 13936920)
    model = meter.model
    (row,) = model.rows(63)
    before = model.get_int(row, STATUS_WORD)
    meter.program.event("fraud", COVER_OFF)
    assert model.get_int(row, STATUS_WORD) == before | 1 << FRAUD_BIT
