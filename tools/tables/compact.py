# SPDX-License-Identifier: MIT
"""What a definition has to say about Compact data: what is captured, and the room for it."""

COMPACT_DATA = 62
_PROFILE_GENERIC, _BUFFER = 7, 2
_OWN = (2, 5)  # compact_buffer and template_description
_RELATIVE = 0x1000  # data_index: a relative selection, from here
_MOST_COLUMNS = 127
_EMPTY = b"\x09\x00"  # an octet-string
_HEAD_LEN = 4  # of an octet-string: tag, and the longest length
_STRUCTURE_LEN = 2  # of a TypeDescription
_DATES, _ENTRIES = 1, 2  # restriction_type
_DATE_TIME_LEN = 12


def check(packer, o):
    """Everything that capture_objects names can be captured, or TableError. Nothing is yet."""
    for name, _ in o.version.state:
        o.state[name] = _EMPTY
    path = o.origin.get("capture_objects", o.path)
    value = o.cell("capture_objects").value
    if len(value) > _MOST_COLUMNS:
        message = "capture_objects has %d elements; expected at most %d"
        raise packer.error(path, message % (len(value), _MOST_COLUMNS))
    for column in value:
        target = packer.target(o, column, path, "capture_objects")
        index = column[2]
        if index not in target.cells:
            message = "capture_objects names attribute %d of %s; expected an index that it has"
            raise packer.error(path, message % (index, target.text))
        if target.version.class_id == COMPACT_DATA and index in _OWN:
            message = "capture_objects names %s of %s; expected something else"
            raise packer.error(path, message % (target.cells[index].attribute.name, target.text))
        if column[3] >= _RELATIVE:
            message = "data_index %d of %s; expected at most %d"
            raise packer.error(path, message % (column[3], target.text, _RELATIVE - 1))
        if len(column) > 4 and column[4][0]:
            _check_restriction(packer, path, target, index, *column[4])


def _check_restriction(packer, path, target, index, kind, typed):
    if target.version.class_id != _PROFILE_GENERIC or index != _BUFFER:
        message = "restriction of attribute %d of %s; expected the buffer of a profile"
        raise packer.error(path, message % (index, target.text))
    value = getattr(typed, "value", typed)
    dates = isinstance(value, list) and all(isinstance(v, bytes) for v in value)
    if kind == _DATES and dates and all(len(v) == _DATE_TIME_LEN for v in value):
        return
    if kind == _ENTRIES and isinstance(value, list) and not dates:
        return
    message = "restriction_type %d of %s with %r; expected 1 with two date-times, 2 with entries"
    raise packer.error(path, message % (kind, target.text, value))


def room(packer, o, name, column_len):
    """Octets of the slot for compact_buffer or template_description. column_len: see pack.py."""
    path = o.origin.get("capture_objects", o.path)
    index = o.version.attribute(name).index
    asked = o.asked.get(index)
    needed = _HEAD_LEN
    if name != "compact_buffer":
        needed += _STRUCTURE_LEN
    for column in o.cell("capture_objects").value:
        target = packer.target(o, column, path, "capture_objects")
        cell = target.cells[column[2]]
        if name != "compact_buffer":
            needed += _description_len(cell.type)
            continue
        size = column_len(cell, column[3])
        if size is None and asked is None:
            text = "%s attribute %d" % (target.text, column[2])
            message = "column %s has no fixed size; expected capacity of compact_buffer"
            raise packer.error(path, message % text)
        needed += size or 0
    if asked is None:
        return needed
    try:
        octets = (
            int(asked.partition(" octets")[0]) if isinstance(asked, str) else asked + _HEAD_LEN
        )
    except ValueError:
        octets = -1
    if octets < needed:
        message = "capacity %s = %r; expected at least %d" % (name, asked, needed - _HEAD_LEN)
        raise packer.error(packer.asked_path(o, o.version.attribute(name)), message)
    return octets


def _description_len(t):
    """Octets of the TypeDescription of the values of a type; of an open one the least."""
    if t.kind == "structure":
        return _STRUCTURE_LEN + sum(_description_len(f) for _, f in t.fields)
    return 3 + _description_len(t.element) if t.kind == "array" else 1
