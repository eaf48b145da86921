# SPDX-License-Identifier: MIT
"""cosem/link_setup.py, IEC HDLC setup: ranges, and the firmware is told."""

import pytest
from fakes import CLOCK, Meter, enum, u8, u16

REFUSED = (12, 250)  # by its type where that has the range, else by the class

OBJECTS = (
    CLOCK
    + """
    {class = 23, version = 1, obis = "0.0.22.0.0.255", comm_speed = 5, window_size_transmit = 1,
     window_size_receive = 1, max_info_field_length_transmit = 128,
     max_info_field_length_receive = 128, inter_octet_time_out = 25, inactivity_time_out = 120,
     device_address = 16},
    {class = 23, version = 0, obis = "0.1.22.0.0.255", comm_speed = 5, window_size_transmit = 1,
     window_size_receive = 1, max_info_field_length_transmit = 128,
     max_info_field_length_receive = 128, inter_octet_time_out = 30, inactivity_time_out = 120,
     device_address = 16},
"""
)


@pytest.fixture
def meter():
    return Meter(OBJECTS)


@pytest.mark.parametrize(
    "attribute, make, good, bad",
    [
        (2, enum, (0, 9), (10, 255)),
        (3, u8, (1, 7), (0, 8)),
        (4, u8, (1, 7), (0, 8)),
        (5, u16, (32, 2030), (31, 2031)),
        (6, u16, (32, 2030), (31, 2031)),
        (7, u16, (20, 6000), (19, 6001)),
        (8, u16, (0, 65535), ()),
        (9, u16, (0x10, 0x3FFD), (0, 0x0F, 0x3FFE, 0x3FFF, 0xFFFF)),
    ],
)
def test_version_1(meter, attribute, make, good, bad):
    row = meter.row(23, "0.0.22.0.0.255")
    for n in good:
        assert meter.set(row, attribute, make(n)) == 0
        assert meter.setups.pop() == row
    for n in bad:
        assert meter.set(row, attribute, make(n)) in REFUSED
    assert meter.setups == []
    assert meter.read(row, attribute) == good[-1]


@pytest.mark.parametrize(
    "attribute, make, good, bad",
    [
        (5, u8, (32, 128), (31, 129)),
        (6, u8, (32, 128), (31, 129)),
        (7, u16, (20, 1000), (19, 1001)),
    ],
)
def test_version_0(meter, attribute, make, good, bad):
    row = meter.row(23, "0.1.22.0.0.255")
    for n in good:
        assert meter.set(row, attribute, make(n)) == 0
    for n in bad:
        assert meter.set(row, attribute, make(n)) in REFUSED
