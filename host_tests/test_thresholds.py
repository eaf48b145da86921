# SPDX-License-Identifier: MIT
"""cosem/thresholds.py: which number is greater. What comes of it: test_register_monitor.py,
test_limiter.py, test_sensor_manager.py."""

import struct

from cosem import thresholds
from hypothesis import given
from hypothesis import strategies as st

NUMBERS = {
    0x05: ">i", 0x06: ">I", 0x0F: ">b", 0x10: ">h", 0x11: ">B", 0x12: ">H", 0x14: ">q",
    0x15: ">Q", 0x16: ">B", 0x17: ">f", 0x18: ">d",
}  # fmt: skip


@given(st.data())
def test_numbers_are_compared_as_they_are(data):
    tag = data.draw(st.sampled_from(sorted(NUMBERS)))
    n = struct.calcsize(NUMBERS[tag])
    x, y = (data.draw(st.binary(min_size=n, max_size=n)) for _ in range(2))
    a, b = (struct.unpack(NUMBERS[tag], octets)[0] for octets in (x, y))
    if a != a or b != b or a == b == 0:
        return  # no number, or the two zeros
    head = bytes((tag,))
    assert thresholds.is_above(b"?" + head + x, 1, head + y, 0) == (a > b)


def test_what_is_no_number_is_never_above():
    for tag in set(range(256)) - set(NUMBERS):
        octets = bytes((tag,)) + b"\x01" * 9
        assert not thresholds.is_above(octets, 0, octets, 0)
        assert not thresholds.is_number(tag)
