# SPDX-License-Identifier: MIT
"""General block transfer of what nobody has asked for, and nobody acknowledges: an unconfirmed
APDU that is longer than what carries it (IEC 62056-5-3). See gbt.py for the blocks.

All blocks but the last stream, and nothing is sent again: who loses one has lost the APDU.

Uncertain: the window of such a block, which here is 0, for nothing is received.

Loaded when there is such an APDU. Allocates a block.
"""

from dlms.axdr import put_length, put_u16
from dlms.prim import copy
from micropython import const

_GENERAL_BLOCK_TRANSFER = const(0xE0)
_LAST_BLOCK = const(0x80)
_STREAMING = const(0x40)
_MOST_HEAD_LEN = const(9)
_HEADERS = const(32)  # room in front for those of a profile


def blocks(buf, pos, end, room):
    """Generator: (buffer, start, end) of each block of the APDU buf[pos:end]. room: octets that a
    block has at most, 10 or more. The buffer is one, and is written over."""
    block = bytearray(_HEADERS + room)
    number = 0
    while pos < end:
        n = min(room - _MOST_HEAD_LEN, end - pos)
        number += 1
        at = _HEADERS
        block[at] = _GENERAL_BLOCK_TRANSFER
        block[at + 1] = _LAST_BLOCK if pos + n == end else _STREAMING
        at = put_length(block, put_u16(block, put_u16(block, at + 2, number), 0), n)
        copy(block, at, buf, pos, n)
        yield block, _HEADERS, at + n
        pos += n
