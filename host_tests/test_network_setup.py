# SPDX-License-Identifier: MIT
"""cosem/link_setup.py: TCP-UDP setup and IPv4 setup."""

import pytest
from fakes import CLOCK, Meter, array, boolean, octets, u8, u16, u32

OTHER_REASON, TYPE_UNMATCHED, OBJECT_UNDEFINED = 250, 12, 4
ADD, DELETE, COUNT = 1, 2, 3

OBJECTS = (
    CLOCK
    + """
    {class = 41, obis = "0.0.25.0.0.255", "TCP-UDP_port" = 4059, IP_reference = "0.0.25.1.0.255",
     MSS = 576, nb_of_sim_conn = 2, inactivity_time_out = 180},
    {class = 42, obis = "0.0.25.1.0.255", DL_reference = "0.0.25.2.0.255", IP_address = 3232235777,
     multicast_IP_address = [], IP_options = [], subnet_mask = 4294967040,
     gateway_IP_address = 3232235777, use_DHCP_flag = false, primary_DNS_address = 0,
     secondary_DNS_address = 0, capacity = {multicast_IP_address = 2}},
"""
)


def ip(text):
    return u32(int.from_bytes(bytes(int(x) for x in text.split(".")), "big"))


@pytest.fixture
def meter():
    m = Meter(OBJECTS)
    m.tcp = m.row(41, "0.0.25.0.0.255")
    m.ipv4 = m.row(42, "0.0.25.1.0.255")
    return m


@pytest.mark.parametrize(
    "attribute, good, bad",
    [
        (2, u16(1), u16(0)),
        (3, octets(b"123456"), None),
        (4, u16(40), u16(39)),
        (5, u8(1), u8(0)),
        (6, u16(0), None),
    ],
)
def test_tcp_udp_setup(meter, attribute, good, bad):
    assert meter.set(meter.tcp, attribute, good) == 0
    if bad:
        assert meter.set(meter.tcp, attribute, bad) == OTHER_REASON
    assert meter.setups == [meter.tcp]
    assert meter.get(meter.tcp, attribute) == good


def test_tcp_udp_setup_has_no_methods(meter):
    assert meter.act(meter.tcp, 1) == OBJECT_UNDEFINED


@pytest.mark.parametrize("attribute", [3, 7, 9, 10])
def test_addresses_of_one_host(meter, attribute):
    for good in ("192.168.1.2", "0.0.0.0", "223.255.255.255"):
        assert meter.set(meter.ipv4, attribute, ip(good)) == 0
    for bad in ("0.0.0.1", "224.0.0.1", "255.255.255.255"):
        assert meter.set(meter.ipv4, attribute, ip(bad)) == OTHER_REASON
    assert meter.get(meter.ipv4, attribute) == ip("223.255.255.255")
    assert meter.setups == [meter.ipv4] * 3


def test_subnet_masks(meter):
    for good in ("255.255.255.0", "255.254.0.0", "0.0.0.0", "255.255.255.255"):
        assert meter.set(meter.ipv4, 6, ip(good)) == 0
    for bad in ("255.0.255.0", "0.0.0.1", "255.253.0.0"):
        assert meter.set(meter.ipv4, 6, ip(bad)) == OTHER_REASON


def test_the_flag(meter):
    assert meter.set(meter.ipv4, 8, boolean(True)) == 0
    assert meter.setups == [meter.ipv4]


def test_multicast_addresses_come_and_go(meter):
    a, b, c = (ip("239.0.0.%d" % n) for n in (1, 2, 3))
    assert meter.call(meter.ipv4, COUNT) == (0, u16(0))
    assert meter.act(meter.ipv4, ADD, a) == 0
    assert meter.act(meter.ipv4, ADD, b) == 0
    assert meter.get(meter.ipv4, 4) == array(a, b)
    assert meter.call(meter.ipv4, COUNT) == (0, u16(2))
    # No room, twice the same, no multicast address, no address.
    assert meter.act(meter.ipv4, ADD, c) == OTHER_REASON
    assert meter.act(meter.ipv4, DELETE, c) == OTHER_REASON
    assert meter.act(meter.ipv4, DELETE, a) == 0
    assert meter.act(meter.ipv4, ADD, b) == OTHER_REASON
    assert meter.act(meter.ipv4, ADD, ip("192.168.1.1")) == OTHER_REASON
    assert meter.act(meter.ipv4, ADD, u16(1)) == TYPE_UNMATCHED
    assert meter.get(meter.ipv4, 4) == array(b)
    assert meter.setups == [meter.ipv4] * 3


def test_a_list_of_multicast_addresses(meter):
    a, b = ip("224.0.0.1"), ip("239.255.255.255")
    assert meter.set(meter.ipv4, 4, array(a, b)) == 0
    assert meter.set(meter.ipv4, 4, array(a, a)) == OTHER_REASON
    assert meter.set(meter.ipv4, 4, array(ip("240.0.0.1"))) == OTHER_REASON
    assert meter.set(meter.ipv4, 4, array(a, b, ip("225.0.0.1"))) == OTHER_REASON
    assert meter.get(meter.ipv4, 4) == array(a, b)


def test_no_other_method(meter):
    assert meter.act(meter.ipv4, 4) == OBJECT_UNDEFINED


def test_what_is_the_networks_own(meter):
    """See firmware/links/interface.py, and test_interface_running.py."""
    meter.model.follows = (meter.ipv4 << 8 | 3,)
    before = meter.get(meter.ipv4, 3)
    assert meter.set(meter.ipv4, 3, ip("192.168.1.2")) == OTHER_REASON
    assert meter.get(meter.ipv4, 3) == before
    assert meter.set(meter.ipv4, 7, ip("192.168.1.1")) == 0
