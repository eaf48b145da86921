# SPDX-License-Identifier: MIT
"""What may be capture_objects of Compact data (see compact_data.py). Nothing is allocated."""

from cosem import slots
from cosem.profile_columns import judge
from dlms.axdr import get_u16, length, length_size, skip
from micropython import const

_BUFFER = const(2)  # of Profile generic

_SUCCESS = const(0)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)

_PROFILE = const(7)
_OCTET_STRING = const(0x09)
_STRUCTURE = const(0x02)
_DATE_TIME_LEN = const(12)
_BY_DATE = const(1)
_BY_ENTRY = const(2)
_RELATIVE = const(0x1000)
_MOST_COLUMNS = const(127)


def check(model, row, buf, pos, end):
    """May the array of capture object definitions at buf[pos:end] be capture_objects?
    data_access_result."""
    n = length(buf, pos + 1, end)
    if n > _MOST_COLUMNS:
        return _OTHER_REASON
    pos += 1 + length_size(buf, pos + 1)
    device = slots.device_of(model, row)
    while n:
        captured = slots.find_object(model, device, buf, pos + 3, pos + 7)
        index = buf[pos + 14]
        result = judge(model, device, captured, index)
        if not result and get_u16(buf, pos + 16) >= _RELATIVE:
            result = _OTHER_REASON
        after = skip(buf, pos, end)
        if not result and buf[pos + 1] > 4 and buf[pos + 21]:
            if index != _BUFFER or model.class_id(captured) != _PROFILE:
                result = _OTHER_REASON
            else:
                result = _judge_restriction(buf[pos + 21], buf, pos + 22, after)
        if result:
            return result
        pos = after
        n -= 1
    return _SUCCESS


def clear(model, row):
    """Make compact_buffer and template_description octet-strings of no octets."""
    for j in range(2):
        slots.put_empty(model.image, model.state(row, j))


def _judge_restriction(kind, buf, pos, end):
    """data_access_result of the restriction_value at buf[pos:end]."""
    if kind != _BY_DATE and kind != _BY_ENTRY:
        return _OTHER_REASON
    if buf[pos] != _STRUCTURE:
        return _TYPE_UNMATCHED
    if kind == _BY_ENTRY:
        return _TYPE_UNMATCHED if buf[pos + 2] == _OCTET_STRING else _SUCCESS
    if end - pos != 2 + 2 * (2 + _DATE_TIME_LEN) or buf[pos + 3] != _DATE_TIME_LEN:
        return _TYPE_UNMATCHED
    return _SUCCESS
