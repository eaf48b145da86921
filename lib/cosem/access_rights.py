# SPDX-License-Identifier: MIT
"""access_rights of an object in the form of a version of Association LN (class 15), in object_list
and in access_rights_list of Association SN. Nothing is allocated.
"""

from dlms.axdr import put_length
from micropython import const

_NULL_DATA = const(0x00)
_ARRAY = const(0x01)
_STRUCTURE = const(0x02)
_BOOLEAN = const(0x03)
_INTEGER = const(0x0F)
_ENUM = const(0x16)


def put(model, row, rights, version, buf, pos):
    """Write access_rights of the object at row at buf[pos:]; returns their end. rights: where they
    begin in model.access."""
    access = model.access
    n = model.n_attributes(row)
    buf[pos] = _STRUCTURE
    buf[pos + 1] = 2
    buf[pos + 2] = _ARRAY
    pos = put_length(buf, pos + 3, n)
    attribute = 1
    while attribute <= n:
        mode = access[rights]
        rights += 1
        buf[pos] = _STRUCTURE
        buf[pos + 1] = 3
        buf[pos + 2] = _INTEGER
        buf[pos + 3] = attribute
        buf[pos + 4] = _ENUM
        buf[pos + 5] = mode if version >= 3 else _attribute_mode(mode, version)
        pos = _put_selectors(buf, pos + 6, model.selectors(row, attribute))
        attribute += 1
    n = model.n_methods(row)
    buf[pos] = _ARRAY
    pos = put_length(buf, pos + 1, n)
    method = 1
    while method <= n:
        mode = access[rights]
        rights += 1
        buf[pos] = _STRUCTURE
        buf[pos + 1] = 2
        buf[pos + 2] = _INTEGER
        buf[pos + 3] = method
        buf[pos + 4] = _ENUM if version else _BOOLEAN
        buf[pos + 5] = mode if version >= 3 else _method_mode(mode, version)
        pos += 6
        method += 1
    return pos


def _put_selectors(buf, pos, mask):
    """access_selectors: null-data, or an array of the numbers in the mask."""
    if not mask:
        buf[pos] = _NULL_DATA
        return pos + 1
    buf[pos] = _ARRAY
    count = pos + 1
    buf[count] = 0
    pos += 2
    selector = 1
    while mask:
        if mask & 1:
            buf[count] += 1
            buf[pos] = _INTEGER
            buf[pos + 1] = selector
            pos += 2
        mask >>= 1
        selector += 1
    return pos


def _attribute_mode(mode, version):
    """access_mode of versions 0 to 2 for the bits of version 3."""
    rights = mode & 3
    # 4, 5, 6: the same rights, authenticated
    return rights + 3 if version and rights and mode & 4 else rights


def _method_mode(mode, version):
    if not mode & 1:
        return 0
    return 2 if version and mode & 4 else 1
