# SPDX-License-Identifier: MIT
"""lib/dlms/gbt_unasked.py: an APDU in blocks that nobody acknowledges. How they go out over HDLC
is in test_push_links.py."""

from blocks import Block
from dlms.gbt_unasked import blocks
from hypothesis import given
from hypothesis import strategies as st


@given(st.binary(min_size=1, max_size=900), st.integers(0, 5), st.integers(10, 200))
def test_they_are_the_apdu(apdu, pos, room):
    buf = bytes(pos) + apdu + b"#"
    got = b""
    last = False
    for number, (block, start, end) in enumerate(blocks(buf, pos, len(buf) - 1, room), 1):
        assert start >= 32 and end - start <= room and not last
        b = Block(bytes(block[start:end]))
        last = b.last
        assert (b.number, b.ack, b.window, b.streaming) == (number, 0, 0, not last)
        got += b.octets
    assert last and got == apdu


def test_octet_by_octet():
    """Control, block_number, block_number_ack, length, octets."""
    made = [bytes(b[start:end]).hex() for b, start, end in blocks(bytes(range(12)), 0, 12, 17)]
    assert made == ["e0400001000008" + "0001020304050607", "e080000200000408090a0b"]
