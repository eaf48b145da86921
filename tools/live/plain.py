# SPDX-License-Identifier: MIT
"""Values in A-XDR as plain Python ones."""

import datetime

from decoding import axdr

_EPOCH = datetime.datetime(1970, 1, 1)
_DATE_TIME_LEN = 12
_HALF_A_DAY = 720  # the most that a deviation may be; 0x8000: not specified


def plain(octets):
    """Numbers, bytes, None, lists. ValueError: these octets are no value."""
    return _value(axdr.decode_data(octets))


def _value(node):
    if node.error:
        raise ValueError(node.error)
    return [_value(child) for child in node.children] if node.children else node.value


def ahead(octets):
    """How many minutes the time of a date-time is ahead of UTC, or None: it does not say."""
    if not isinstance(octets, bytes) or len(octets) != _DATE_TIME_LEN:
        return None
    deviation = int.from_bytes(octets[9:11], "big", signed=True)
    return -deviation if -_HALF_A_DAY <= deviation <= _HALF_A_DAY else None


def seconds(octets):
    """A date-time (12 octets) as seconds since 1970 in its own time, or None: it is not whole."""
    try:
        year, month, day, hour, minute, second = (
            octets[0] << 8 | octets[1], octets[2], octets[3], octets[5], octets[6],
            octets[7] if octets[7] < 60 else 0,
        )  # fmt: skip
        return int(
            (datetime.datetime(year, month, day, hour, minute, second) - _EPOCH).total_seconds()
        )
    except (ValueError, IndexError, TypeError):
        return None
