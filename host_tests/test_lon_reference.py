# SPDX-License-Identifier: MIT
"""The reference meter on a simulated ISO/IEC 14908 network that loses frames: a client reads
its object list and every attribute in it, and hears the same as beside the network.
"""

import small
from plc.lon import Concentrator, Line, on_line
from plc.network import Clock
from plc.reference import READING, Reference

DEFINITION = small.HERE.parent / "firmware/definitions/lon.toml"
METER = (3, 2)
ASSOCIATION, STATUS, DIAGNOSTIC = 15, 132, 133


def test_every_attribute_of_every_object():
    heads = []

    def over_a_network(made):
        line = Line(Clock(), 3)
        station = on_line(line, made)
        heads.append(Concentrator(line, tries=20))
        line.connect(heads[0].modem, station.modem, 0.05)
        return lambda apdu: heads[0].ask(METER, apdu, client=READING)

    classes, n = Reference(DEFINITION, over_a_network).compare((ASSOCIATION, STATUS, DIAGNOSTIC))
    assert len(classes) > 200 and set(classes) >= {26, 130, 131, 132, 133}
    assert n > 700 and heads[0].n_sent > n
