# SPDX-License-Identifier: MIT
"""cosem/ipv6_setup.py: lists of addresses, by SET and by method; and what is the network's own."""

import pytest
from fakes import CLOCK, Meter, array, enum, octets, struct_, u8

OTHER_REASON, TYPE_UNMATCHED, UNDEFINED, DENIED = 250, 12, 4, 3
ADD, REMOVE = 1, 2
UNICAST, MULTICAST, GATEWAY = 0, 1, 2
OBJECTS = (
    CLOCK
    + """
    {class = 48, obis = "0.0.25.7.0.255",
     primary_DNS_address = "0x20010DB8000000000000000000000053",
     capacity = {unicast_IPv6_addresses = "38 octets", multicast_IPv6_addresses = "38 octets",
     gateway_IPv6_addresses = "20 octets", neighbor_discovery_setup = "64 octets"}},
"""
)


def address(text):
    return octets(bytes.fromhex(text).ljust(16, b"\1"))


ONE, TWO, THREE = (address("20010DB8%02X" % n) for n in (1, 2, 3))
ALL, OTHERS = address("FF02"), address("FF05")


@pytest.fixture
def meter():
    m = Meter(OBJECTS)
    m.six = m.row(48, "0.0.25.7.0.255")
    return m


def act(meter, method, kind, data):
    return meter.act(meter.six, method, struct_(enum(kind), data))


def test_addresses_come_and_go(meter):
    assert act(meter, ADD, UNICAST, ONE) == 0
    assert act(meter, ADD, UNICAST, TWO) == 0
    assert meter.get(meter.six, 4) == array(ONE, TWO)
    assert act(meter, ADD, UNICAST, ONE) == OTHER_REASON  # it is there
    assert act(meter, ADD, UNICAST, THREE) == OTHER_REASON  # no room
    assert act(meter, REMOVE, UNICAST, ONE) == 0
    assert act(meter, REMOVE, UNICAST, ONE) == OTHER_REASON
    assert meter.get(meter.six, 4) == array(TWO)
    assert act(meter, ADD, MULTICAST, ALL) == 0
    assert act(meter, ADD, GATEWAY, ONE) == 0
    assert [meter.get(meter.six, k) for k in (5, 6)] == [array(ALL), array(ONE)]


@pytest.mark.parametrize(
    "method, data, result",
    [
        (ADD, struct_(enum(MULTICAST), ONE), OTHER_REASON),
        (ADD, struct_(enum(UNICAST), ALL), OTHER_REASON),
        (ADD, struct_(enum(GATEWAY), ALL), OTHER_REASON),
        (ADD, struct_(enum(3), ONE), OTHER_REASON),
        (REMOVE, struct_(enum(255), ONE), OTHER_REASON),
        (REMOVE, struct_(enum(UNICAST), ONE), OTHER_REASON),
        (ADD, struct_(enum(UNICAST), octets(bytes(15))), TYPE_UNMATCHED),
        (ADD, struct_(u8(UNICAST), ONE), TYPE_UNMATCHED),
        (ADD, ONE, TYPE_UNMATCHED),
        (ADD, b"", TYPE_UNMATCHED),
        (3, struct_(enum(UNICAST), ONE), UNDEFINED),
    ],
)
def test_methods_that_are_refused(meter, method, data, result):
    before = bytes(meter.model.image)
    assert meter.act(meter.six, method, data) == result
    assert bytes(meter.model.image) == before


@pytest.mark.parametrize(
    "attribute, data, result",
    [
        (4, array(ONE, TWO), 0),
        (4, array(), 0),
        (4, array(ONE, ONE), OTHER_REASON),
        (4, array(ALL), OTHER_REASON),
        (4, array(ONE, TWO, THREE), OTHER_REASON),
        (4, array(u8(1)), TYPE_UNMATCHED),
        (5, array(ALL, OTHERS), 0),
        (5, array(ONE), OTHER_REASON),
        (6, array(ONE), 0),
        (6, array(ALL), OTHER_REASON),
        (7, ONE, 0),
        (7, octets(bytes(15)), TYPE_UNMATCHED),
        (9, u8(63), 0),
        (9, u8(64), TYPE_UNMATCHED),
    ],
)
def test_sets(meter, attribute, data, result):
    before = meter.get(meter.six, attribute)
    assert meter.set(meter.six, attribute, data) == result
    assert meter.get(meter.six, attribute) == (before if result else data)


def test_what_is_the_networks_own(meter):
    meter.model.follows = (meter.six << 8 | 4,)
    assert act(meter, ADD, UNICAST, ONE) == OTHER_REASON
    assert act(meter, REMOVE, UNICAST, ONE) == OTHER_REASON
    assert meter.set(meter.six, 4, array(ONE)) == OTHER_REASON
    assert act(meter, ADD, GATEWAY, ONE) == 0
