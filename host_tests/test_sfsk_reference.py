# SPDX-License-Identifier: MIT
"""The reference meter over S-FSK (firmware/definitions/sfsk.toml): its object list and all
attributes that the reading client may read, block by block through frames of 242 octets, against
what another channel says."""

import small
from plc.initiator import Initiator
from plc.meters import Meter
from plc.network import Clock
from plc.reference import READING, Reference
from plc.sfsk import Line

DEFINITION = small.HERE.parent / "firmware/definitions/sfsk.toml"
ASSOCIATION, COUNTERS = 15, 53


def over_a_repeater(made):
    line = Line(Clock(), 1)
    meter = Meter(line, b"METER1", made)
    between = Meter(line, b"METER2")
    conc = Initiator(line, ic=1)
    line.connect(conc.modem, between.modem)
    line.connect(between.modem, meter.modem)
    conc.register({b"METER1": 5})
    return lambda apdu: conc.ask(5, apdu, client=READING)


def test_every_attribute_of_every_object():
    classes, n = Reference(DEFINITION, over_a_repeater).compare((ASSOCIATION, COUNTERS))
    assert len(classes) > 200 and set(classes) >= {50, 51, 52, 53, 55, 56}
    assert n > 700
