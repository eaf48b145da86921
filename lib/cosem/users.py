# SPDX-License-Identifier: MIT
"""add_user and remove_user of association objects (IEC 62056-6-2): changes of a user_list in RAM.

A user is a structure of user_id (unsigned) and user_name (visible-string): 02 02 11 id 0A n name.
Project-defined: an id that is in the list already, or no room, is other-reason; who is to be
removed has to be there with the same name, else the result is object-undefined. Nothing is
allocated.
"""

from cosem import elements
from dlms.axdr import length_size, skip
from dlms.prim import compare
from micropython import const

_SUCCESS = const(0)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)
_MOST = const(127)  # the count stays in one octet


def _find(image, at, end, user_id):
    at += 1 + length_size(image, at + 1)
    while at < end:
        if image[at + 3] == user_id:
            return at
        at = skip(image, at, end)
    return -1


def add(model, row, attribute, buf, pos, end):
    """Append the user buf[pos:end], of the right type; action_result."""
    at = model.own(row, attribute)
    if at < 0:
        return -1 - at
    image = model.image
    if _find(image, at, at + model.value_len(row, attribute), buf[pos + 3]) >= 0:
        return _OTHER_REASON
    return elements.add(model, row, attribute, buf, pos, end)


def remove(model, row, attribute, buf, pos, end):
    """Take out the user buf[pos:end], of the right type; action_result."""
    at = model.own(row, attribute)
    if at < 0:
        return -1 - at
    image = model.image
    n = model.value_len(row, attribute)
    found = _find(image, at, at + n, buf[pos + 3])
    less = end - pos
    if (
        found < 0
        or found + less > at + n
        or compare(image, found, buf, pos, less) != 0
        or image[at + 1] > _MOST
    ):
        return _OBJECT_UNDEFINED
    elements.remove(model, row, attribute, found)
    return _SUCCESS
