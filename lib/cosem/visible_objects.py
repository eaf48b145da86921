# SPDX-License-Identifier: MIT
"""add_object and remove_object of Association LN (class 15, all versions; IEC 62056-6-2): what
clients have changed of the objects that an association sees, and of its rights to them.

Association SN has no such methods. A definition says with `capacity = {object_list = 8}` that an
association can be changed; its changes are the last hidden state of its object, saved with it:

    u16 row, u8 n, n access_modes (one an attribute, then one a method, as in ACCESS; n 0: removed)

prepare() copies what is in ROM of such an association: its table to RAM, and behind ACCESS there
is a copy of its changes, where that table finds their rights. Rights follow at once, for
associations that are open too. If several clients share the object, it is changed for all.

Project-defined, as public sources say little (action_result in decimal):

    no capacity in the definition                                   3
    an element that is not of the type of object_list              12
    an object that the logical device has not                       4
    another class, or another version, of that logical name         9
    attribute or method that the object has not, or named twice   250
    access_mode that this version of the class has not            250
    access_selectors that the attribute has not                   250
    no room                                                       250
    to remove what the association does not see                     4
    to remove its own object, or the logical device name            3

What is not named in access_rights may not be accessed. An object that is there already gets the
new rights. remove_object looks at class_id, version and logical_name alone. Both names of the
current association mean its object. Nothing but prepare() allocates.
"""

from cosem import slots
from dlms import types
from dlms.axdr import get_u16, length, length_size, put_u16, skip
from dlms.prim import compare, copy, fill
from micropython import const

_ASSOCIATION_LN = const(15)
_DATA = const(1)
_OBJECT_LIST = const(2)
_STATE = const(1)  # hidden state: the changes

# Fields of a row of ASSOCIATIONS in the definition.
_DEVICE = const(1)
_ROW = const(2)
_ACCESS = const(6)
_CHANGES = const(11)  # their room; then, where their copy begins in ACCESS

_CURRENT = b"\x00\x00\x28\x00\x00\xff"
_DEVICE_NAME = b"\x00\x00\x2a\x00\x00\xff"

# An element: 02 04 12 class_id 11 version 09 06 logical_name 02 02 attribute_access method_access.
_CLASS_AT = const(3)
_VERSION_AT = const(6)
_NAME_AT = const(9)
_RIGHTS_AT = const(15)
# One of attribute_access: 02 03 0F id 16 mode selectors; of method_access: 02 02 0F id 16 mode.
_ID_AT = const(3)
_MODE_AT = const(5)
_SELECTORS_AT = const(6)

_HEAD_LEN = const(3)
_HIDDEN = const(0xFFFF)
_ELEMENT_TYPE_AT = const(3)  # of the type of an array
_NULL_DATA = const(0)
_NOT_USED = const(0x02)  # of a method's access_mode

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OBJECT_CLASS_INCONSISTENT = const(9)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)


def prepare(model, row):
    """At the start: what an association object can change comes to RAM. Allocates."""
    configs = []
    for config in model.configs:
        if config[_ROW] == row and config[_CHANGES]:
            room = config[_CHANGES]
            config = list(config)
            config[_CHANGES] = len(model.access)
            config[_ACCESS] = bytearray(config[_ACCESS])
            config = tuple(config)
            model.access = bytearray(model.access) + bytearray(room)
        configs.append(config)
    model.configs = configs
    _apply(model, row)


def change(model, row, add, buf, pos, end):
    """add_object (else remove_object) of association object row; action_result."""
    config = None
    for c in model.configs:
        if c[_ROW] == row:
            config = c
    if config is None:
        return _OBJECT_UNDEFINED
    if not config[_CHANGES]:
        return _READ_WRITE_DENIED
    tp = model.type_at(row, _OBJECT_LIST) + _ELEMENT_TYPE_AT
    if types.check(model.types, tp, buf, pos, end) != end:
        return _TYPE_UNMATCHED
    device = config[_DEVICE]
    target = slots.find_object(model, device, buf, pos + _CLASS_AT, pos + _NAME_AT)
    if target < 0:
        other = model.named(device, buf, pos + _NAME_AT - 2) >= 0
        return _OBJECT_CLASS_INCONSISTENT if other else _OBJECT_UNDEFINED
    class_id = model.class_id(target)
    if class_id == _ASSOCIATION_LN and compare(buf, pos + _NAME_AT, _CURRENT, 0, 6) == 0:
        target = row
    if buf[pos + _VERSION_AT] != model.version(target):
        return _OBJECT_CLASS_INCONSISTENT
    if not add:
        at = target - model.devices[device][1] << 1
        if get_u16(config[_ACCESS], at) == _HIDDEN:
            return _OBJECT_UNDEFINED
        named = class_id == _DATA and compare(buf, pos + _NAME_AT, _DEVICE_NAME, 0, 6) == 0
        if target == row or named:
            return _READ_WRITE_DENIED
        return _keep(model, row, target, 0, buf, pos)
    result = _rights(model, row, target, buf, pos + _RIGHTS_AT, buf, -1)
    if result:
        return result
    n = model.n_attributes(target) + model.n_methods(target)
    return _keep(model, row, target, n, buf, pos + _RIGHTS_AT)


def _keep(model, row, target, n, buf, pos):
    """Replace what has been changed of an object: n octets of rights, from access_rights at
    buf[pos:]."""
    image = model.image
    begin = model.state(row, _STATE)
    index = model.n_attributes(row) + 1 + _STATE
    size = model.value_len(row, index)
    at = 0
    gone = 0
    while at < size:
        one = _HEAD_LEN + image[begin + at + 2]
        if get_u16(image, begin + at) == target:
            gone = one
            break
        at += one
    if size - gone + _HEAD_LEN + n > model.capacity(row, index):
        return _OTHER_REASON
    if gone:
        copy(image, begin + at, image, begin + at + gone, size - at - gone)
        size -= gone
    at = put_u16(image, begin + size, target)
    image[at] = n
    if n:
        fill(image, at + 1, n, 0)
        _rights(model, row, target, buf, pos, image, at + 1)
    slots.set_len(image, begin, size + _HEAD_LEN + n)
    _apply(model, row)
    return _SUCCESS


def _apply(model, row):
    """Have the tables say what the changes in the image do."""
    begin = model.state(row, _STATE)
    size = model.value_len(row, model.n_attributes(row) + 1 + _STATE)
    image = model.image
    for config in model.configs:
        if config[_ROW] == row:
            base = config[_CHANGES]
            access = config[_ACCESS]
            first = model.devices[config[_DEVICE]][1]
            copy(model.access, base, image, begin, size)
            at = 0
            while at < size:
                n = image[begin + at + 2]
                place = base + at + _HEAD_LEN if n else _HIDDEN
                put_u16(access, get_u16(image, begin + at) - first << 1, place)
                at += _HEAD_LEN + n


def _rights(model, row, target, buf, pos, out, at):
    """Judge access_rights, of the right type, at buf[pos:] for an object, and unless at is -1
    write them as access_modes to out[at:]; action_result."""
    version = model.version(row)
    n = model.n_attributes(target)
    end = len(buf)
    pos += 2
    for is_method in range(2):
        if is_method:
            at += n if at >= 0 else 0
            n = model.n_methods(target)
        count = length(buf, pos + 1, end)
        pos += 1 + length_size(buf, pos + 1)
        first = pos
        while count:
            which = buf[pos + _ID_AT]
            mode = _mode(buf[pos + _MODE_AT], version, is_method)
            if which < 1 or which > n or mode < 0 or _is_among(buf, first, pos, which):
                return _OTHER_REASON
            if not is_method and not _has(model, target, which, buf, pos + _SELECTORS_AT):
                return _OTHER_REASON
            if at >= 0:
                out[at + which - 1] = mode
            pos = skip(buf, pos, end)
            count -= 1
    return _SUCCESS


def _mode(mode, version, is_method):
    """The access_mode of version 3 for that of another one; -1: it is none."""
    if version >= 3:
        return -1 if is_method and mode & _NOT_USED else mode
    if is_method:
        if not version:
            return 1 if mode else 0
        return 5 if mode == 2 else mode if mode < 2 else -1
    if mode <= 3:
        return mode
    # 4, 5, 6: the same rights, authenticated, as access_rights.py has it
    return mode - 3 | 4 if version and mode <= 6 else -1


def _is_among(buf, pos, end, which):
    while pos < end:
        if buf[pos + _ID_AT] == which:
            return True
        pos = skip(buf, pos, len(buf))
    return False


def _has(model, row, attribute, buf, pos):
    """Has the attribute all access_selectors at buf[pos:]: null-data, or an array of integers?"""
    if buf[pos] == _NULL_DATA:
        return True
    mask = model.selectors(row, attribute)
    n = length(buf, pos + 1, len(buf))
    pos += 2 + length_size(buf, pos + 1)
    while n:
        selector = buf[pos]
        if selector < 1 or selector > 8 or not mask >> selector - 1 & 1:
            return False
        pos += 2
        n -= 1
    return True
