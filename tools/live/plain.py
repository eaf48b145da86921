# SPDX-License-Identifier: MIT
"""Values in A-XDR as plain Python ones."""

import datetime

from decoding import axdr

_EPOCH = datetime.datetime(1970, 1, 1)


def plain(octets):
    """Numbers, bytes, None, lists. ValueError: these octets are no value."""
    return _value(axdr.decode_data(octets))


def _value(node):
    if node.error:
        raise ValueError(node.error)
    return [_value(child) for child in node.children] if node.children else node.value


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
