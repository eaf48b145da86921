# SPDX-License-Identifier: MIT
"""The reference meter over S-FSK (firmware/definitions/sfsk.toml): its object list and all
attributes that the reading client may read, block by block through frames of 242 octets, against
what another channel says."""

import types

import pytest
import small
from fakes import value
from plc.initiator import Initiator, whole
from plc.meters import Meter
from plc.network import Clock
from plc.sfsk import Line

from firmware import app, store
from firmware.ports import cpython

DEFINITION = small.HERE.parent / "firmware/definitions/sfsk.toml"
START = 13675680
READING = 2
OBJECT_LIST = (15, bytes.fromhex("0000280000FF"), 2)
ASSOCIATION, COUNTERS = 15, 53


class Reading:
    """Client 2 at the meter, over the line with one repeater between, and beside it."""

    def __init__(self):
        clock = Clock()
        line = Line(clock, 1)
        packed = types.SimpleNamespace(**small.packed(DEFINITION))
        self.made = app.build(packed, store.RAMStorage(), cpython, 1, START, 0, 0)
        config = next(c for c in packed.ASSOCIATIONS if c[0] == READING)
        self.meter = Meter(line, b"METER1", self.made)
        between = Meter(line, b"METER2")
        self.conc = Initiator(line, ic=1)
        line.connect(self.conc.modem, between.modem)
        line.connect(between.modem, self.meter.modem)
        self.conc.register({b"METER1": 5})
        model = self.made.model
        at = model.slot(config[2], 7)
        secret = bytes(model.image[at + 2 : at + 2 + model.image[at + 1]])
        self.aarq = small.aarq(secret, "FEFF1F", 0xFFFF)
        assert self.ask(self.aarq)[:1] == b"\x61"
        channel = self.made.server.channel()
        self.beside = small.Talk(self.made, channel, READING, 1)
        assert self.beside.say(self.aarq.hex()).startswith("61")

    def ask(self, apdu):
        return self.conc.ask(5, apdu, client=READING)

    def over_the_line(self, apdu):
        return whole(self.ask, apdu)

    def directly(self, apdu):
        return whole(lambda a: bytes.fromhex(self.beside.say(a.hex())), apdu)


def get(class_id, name, attribute):
    return b"\xc0\x01\xc1" + class_id.to_bytes(2, "big") + name + bytes((attribute, 0))


@pytest.fixture(scope="module")
def reading():
    return Reading()


def test_every_attribute_of_every_object(reading):
    found = reading.over_the_line(get(*OBJECT_LIST))
    assert found == reading.directly(get(*OBJECT_LIST))
    objects = value(found[1:])
    assert len(objects) > 200 and {o[0] for o in objects} >= {50, 51, 52, 53, 55, 56}
    n = 0
    for class_id, _version, name, (attributes, _methods) in objects:
        for attribute, mode, *_ in attributes:
            if not mode & 1:
                continue
            request = get(class_id, bytes(name), attribute)
            over = reading.over_the_line(request)
            if class_id not in (ASSOCIATION, COUNTERS):  # which count what is asked
                assert over == reading.directly(request), (class_id, name, attribute)
            assert over[0] == 0, (class_id, bytes(name).hex(), attribute)
            n += 1
    assert n > 700
