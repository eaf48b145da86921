# SPDX-License-Identifier: MIT
"""cosem/slots.py: attributes where they lie, and how long they can get."""

import pytest
from cosem import slots
from fakes import CLOCK, Meter, obis

OBJECTS = (
    CLOCK
    + """
    {class = 1, obis = "0.0.96.1.0.255", data_type = "long-unsigned", value = 513,
     ram = ["value"]},
    {class = 1, obis = "0.0.96.1.1.255", data_type = "long-unsigned", value = 513},
    {class = 1, obis = "0.0.96.1.2.255", data_type = "octet-string", value = "abc",
     capacity = {value = 9}, ram = ["value"]},
    {class = 3, obis = "1.0.1.8.0.255", data_type = "double-long-unsigned", value = 4294967295,
     scaler = 0, unit = "Wh", ram = ["value"]},
"""
)


@pytest.fixture(scope="module")
def meter():
    return Meter(OBJECTS)


@pytest.mark.parametrize("name", ["0.0.96.1.0.255", "0.0.96.1.1.255"])
def test_in_the_image_or_in_rom(meter, name):
    row = meter.row(1, name)
    assert slots.long_unsigned(meter.model, row, 2) == 513
    buf = slots.source(meter.model, row, 2)
    at = slots.offset(meter.model, row, 2)
    assert bytes(buf[at : at + 3]) == b"\x12\x02\x01"


def test_a_large_number_is_held_at_the_largest_small_int(meter):
    row = meter.row(3, "1.0.1.8.0.255")
    assert slots.double_long_unsigned(meter.model, row, 2) == 2**30 - 1
    assert slots.unsigned32(b"\x3f\xff\xff\xff", 0) == 2**30 - 1
    assert slots.unsigned32(b"\x00\x01\x02\x03", 0) == 0x010203


@pytest.mark.parametrize(
    "class_id, name, attribute, n",
    [
        (8, "0.0.1.0.0.255", 1, 8),
        (8, "0.0.1.0.0.255", 2, 14),
        (8, "0.0.1.0.0.255", 4, 2),
        (3, "1.0.1.8.0.255", 2, 5),
        (3, "1.0.1.8.0.255", 3, 6),
        (1, "0.0.96.1.2.255", 2, 11),
    ],
)
def test_the_longest_encoding(meter, class_id, name, attribute, n):
    assert slots.longest(meter.model, meter.row(class_id, name), attribute) == n


def test_the_longest_element(meter):
    row = meter.row(3, "1.0.1.8.0.255")
    assert slots.longest_element(meter.model, row, 3, 1) == 2
    assert slots.longest_element(meter.model, row, 3, 2) == 2
    assert slots.longest_element(meter.model, row, 3, 3) == -1
    assert slots.longest_element(meter.model, row, 2, 1) == -1


def test_an_object_is_found_by_class_and_name_that_lie_apart(meter):
    buf = b"--\x00\x03--" + obis("1.0.1.8.0.255")
    row = meter.row(3, "1.0.1.8.0.255")
    assert slots.find_object(meter.model, 0, buf, 2, 6) == row
    assert slots.find_object(meter.model, -1, buf, 2, 6) == row
    assert slots.find_object(meter.model, 0, buf, 1, 6) == -1
    assert slots.device_of(meter.model, row) == 0
