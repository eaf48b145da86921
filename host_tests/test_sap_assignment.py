# SPDX-License-Identifier: MIT
"""cosem/sap_assignment.py: SAPs are fixed by the definition."""

import pytest
from fakes import CLOCK, Meter, array, octets, struct_, u8, u16
from served import Served

OBJECTS = (
    CLOCK
    + """
    {class = 17, obis = "0.0.41.0.0.255", SAP_assignment_list = [[1, "TST0000000000001"]]},
"""
)


@pytest.mark.parametrize(
    "data, result",
    [
        (struct_(u16(1), octets(b"TST0000000000001")), 0),
        (struct_(u16(2), octets(b"TST0000000000001")), 3),
        (struct_(u16(0), octets(b"TST0000000000001")), 3),
        (struct_(u16(1), octets(b"TST0000000000002")), 3),
        (struct_(u16(1), octets(b"TST")), 3),
        (struct_(u8(1), octets(b"TST0000000000001")), 12),
        (struct_(u16(1), b"\x0a\x01A"), 12),
        (struct_(u16(1), b"\x09\x05A"), 12),
        (b"", 12),
    ],
)
def test_connect_logical_device(data, result):
    meter = Meter(OBJECTS)
    row = meter.row(17, "0.0.41.0.0.255")
    assert meter.act(row, 1, data) == result
    assert meter.read(row, 2) == [[1, b"TST0000000000001"]]
    assert meter.act(row, 2, data) == 4


def test_a_conversation():
    c = Served(OBJECTS)
    about = (17, "0.0.41.0.0.255")
    there = struct_(u16(1), octets(b"TST0000000000001"))
    assert c.get(*about, 2) == [[1, b"TST0000000000001"]]
    assert c.act(*about, 1, there) == 0
    assert c.act(*about, 1, struct_(u16(5), octets(b"TST0000000000005"))) == 3
    assert c.act(*about, 1, struct_(u16(1))) == 12
    assert c.set(*about, 2, array(there, there)) == 3
    assert c.get(*about, 2, client=17) == [[1, b"TST0000000000001"]]
