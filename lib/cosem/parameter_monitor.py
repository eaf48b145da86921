# SPDX-License-Identifier: MIT
"""Parameter monitor (class_id 65, versions 0 and 1; IEC 62056-6-2, 4.5.10).

When a client or a script has set an attribute of parameter_list, or run a method that has changed
one (a CRC of it says so), changed_parameter and capture_time are those of now, and the parameter
monitor log, the Profile generic 0.b.99.16.e with the B and E of this object, captures a row. A
SET of the value that is there is a change, too (uncertain: public texts do not say). What the
meter measures and counts by itself is none, and no reason for another digest.

parameter_values of version 1 is a structure of the values in their order, and
parameter_value_digest is the hash of its encoding (uncertain: public texts say of the values),
made anew in the next second after a change; no octets where there is no such hash, or no room.

Project-defined: parameters are stored attributes of the same logical device; a value that finds
no room in changed_parameter is null-data there. Refused with other-reason are other attributes, a
parameter twice, more than 127 of them, to delete what is not there. Requests allocate nothing.
"""

from cosem import elements, handler, slots, thresholds
from dlms.prim import compare, copy, crc16
from micropython import const

_CHANGED_PARAMETER = const(2)
_CAPTURE_TIME = const(3)
_PARAMETER_LIST = const(4)
_HASH_ALGORITHM_ID = const(6)
_PARAMETER_VALUE_DIGEST = const(7)

_ADD_PARAMETER = const(1)
_DELETE_PARAMETER = const(2)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_OTHER_REASON = const(250)

_STRUCTURE = const(0x02)
_MAX = const(127)
_CRC_INIT = const(0xFFFF)

# A parameter: 02 03 12 class_id 09 06 logical_name 0F attribute_index; with 04 for 03, and its
# value behind it, it is a changed_parameter.
_PARAMETER_LEN = const(15)
_CLASS_AT = const(3)
_NAME_AT = const(7)
_INDEX_AT = const(14)
# The longest portion of a value that an item of parameter_values is.
_PORTION = const(256)

# The log: class_id 7, 0.b.99.16.e.255, and its method.
_LOG = b"\x00\x07\x00\x00\x63\x10\x00\xff"
_CAPTURE = const(2)
_ZERO = b"\x0f\x00"

# By hash_algorithm_id.
_HASHES = ("md5", "sha1", "sha256", "sha384", "sha512")


class Monitor:
    """What is known of an object: its log (row, -1: none), CRCs of its parameters, and whether
    the digest has to be made anew."""

    def __init__(self, row, log, n):
        self.row = row
        self.log = log
        self.crcs = bytearray(2 * n)
        self.is_stale = True


class Handler(handler.Handler):
    def __init__(self, model):
        handler.Handler.__init__(self, model)
        self._monitors = []
        self.clock = None
        self._noting = False
        model.on_parameter = self._edited

    def start(self, row):
        model = self.model
        log = bytearray(_LOG)
        log[3] = model.objects[(row << 4) + 3]
        log[6] = model.objects[(row << 4) + 6]
        log = model.find(slots.device_of(model, row), log, 0)
        room = max(model.capacity(row, _PARAMETER_LIST), model.value_len(row, _PARAMETER_LIST))
        monitor = Monitor(row, log, room // _PARAMETER_LEN)
        self._monitors.append(monitor)
        if self.clock is None:
            self.clock = model.handler("clock")
        self._take_crcs(monitor)

    def _of(self, row):
        for monitor in self._monitors:
            if monitor.row == row:
                return monitor

    # --- Changes ----------------------------------------------------------------------------

    def _edited(self, row, attribute):
        """Something of an object has changed (attribute 0: by a method). In the request."""
        if self._noting:
            return
        self._noting = True
        for monitor in self._monitors:
            self._compare(monitor, row, attribute)
        self._noting = False

    def _compare(self, monitor, row, attribute):
        model = self.model
        buf = slots.source(model, monitor.row, _PARAMETER_LIST)
        at = slots.offset(model, monitor.row, _PARAMETER_LIST)
        n = buf[at + 1]
        at += 2
        key = row << 4
        for k in range(n):
            index = buf[at + _INDEX_AT]
            if (
                (attribute == index or attribute == 0)
                and compare(buf, at + _NAME_AT, model.objects, key + 2, 6) == 0
                and compare(buf, at + _CLASS_AT, model.objects, key, 2) == 0
                and self._take_crc(monitor, k, row, index, attribute)
            ):
                monitor.is_stale = True
                self._note(monitor, buf, at, row, index)
            at += _PARAMETER_LEN

    def _note(self, monitor, buf, at, row, index):
        model = self.model
        image = model.image
        to = model.slot(monitor.row, _CHANGED_PARAMETER)
        if to >= 0:
            n = model.value_len(row, index)
            room = model.capacity(monitor.row, _CHANGED_PARAMETER) - _PARAMETER_LEN
            copy(image, to, buf, at, _PARAMETER_LEN)
            image[to + 1] = 4
            if n <= room:
                value = slots.source(model, row, index)
                copy(image, to + _PARAMETER_LEN, value, slots.offset(model, row, index), n)
            else:
                n = 1
                image[to + _PARAMETER_LEN] = 0
            slots.set_len(image, to, _PARAMETER_LEN + n)
        to = model.slot(monitor.row, _CAPTURE_TIME)
        if to >= 0 and self.clock is not None:
            copy(image, to + 1, self.clock.local, 0, 12)
        if monitor.log >= 0:
            model.act(monitor.log, _CAPTURE, _ZERO, 0, 2)
        model.edited(monitor.row, 0)

    def _take_crc(self, monitor, k, row, index, attribute):
        """Remember parameter k; has it changed, or was it set (attribute)?"""
        model = self.model
        buf = slots.source(model, row, index)
        at = slots.offset(model, row, index)
        crc = crc16(buf, at, at + model.value_len(row, index), _CRC_INIT)
        crcs = monitor.crcs
        changed = attribute or crcs[2 * k] != crc >> 8 or crcs[2 * k + 1] != crc & 0xFF
        crcs[2 * k] = crc >> 8
        crcs[2 * k + 1] = crc & 0xFF
        return changed

    def _take_crcs(self, monitor):
        buf = slots.source(self.model, monitor.row, _PARAMETER_LIST)
        at = slots.offset(self.model, monitor.row, _PARAMETER_LIST) + 2
        for k in range(buf[at - 1]):
            row = thresholds.target(self.model, monitor.row, buf, at)
            if row >= 0:
                self._take_crc(monitor, k, row, buf[at + _INDEX_AT], 0)
            at += _PARAMETER_LEN

    # --- Attributes -------------------------------------------------------------------------

    def check(self, row, attribute, buf, pos, end):
        if buf[pos + 1] > _MAX:
            return _OTHER_REASON
        first = pos + 2
        for at in range(first, end, _PARAMETER_LEN):
            if thresholds.target(self.model, row, buf, at) < 0:
                return _OTHER_REASON
            if _find(buf, first, at, buf, at) >= 0:
                return _OTHER_REASON
        return _SUCCESS

    def changed(self, row, attribute):
        monitor = self._of(row)
        monitor.is_stale = True
        self._take_crcs(monitor)

    def open(self, s):
        """parameter_values: its head, and portions of the values."""
        s.n = 1
        buf = slots.source(self.model, s.row, _PARAMETER_LIST)
        at = slots.offset(self.model, s.row, _PARAMETER_LIST) + 2
        for _k in range(buf[at - 1]):
            s.n += self._portions(s.row, buf, at)
            at += _PARAMETER_LEN
        return _SUCCESS

    def item(self, s, buf, pos):
        model = self.model
        names = slots.source(model, s.row, _PARAMETER_LIST)
        at = slots.offset(model, s.row, _PARAMETER_LIST) + 2
        n = names[at - 1]
        if s.k == 0:
            buf[pos] = _STRUCTURE
            buf[pos + 1] = n
            return pos + 2
        k = s.k - 1
        while n:
            portions = self._portions(s.row, names, at)
            if k < portions:
                return self._put(s.row, names, at, k * _PORTION, buf, pos)
            k -= portions
            at += _PARAMETER_LEN
            n -= 1
        return -1  # the list has changed meanwhile

    def _portions(self, monitor, names, at):
        """Number of items that a value is."""
        row = thresholds.target(self.model, monitor, names, at)
        if row < 0:
            return 1
        return (self.model.value_len(row, names[at + _INDEX_AT]) + _PORTION - 1) // _PORTION

    def _put(self, monitor, names, at, first, buf, pos):
        """Write one, from octet `first` of the value on."""
        model = self.model
        row = thresholds.target(model, monitor, names, at)
        if row < 0:
            buf[pos] = 0
            return pos + 1
        index = names[at + _INDEX_AT]
        n = min(model.value_len(row, index) - first, _PORTION)
        copy(buf, pos, slots.source(model, row, index), slots.offset(model, row, index) + first, n)
        return pos + n

    def tick(self, now):
        for monitor in self._monitors:
            if monitor.is_stale:
                monitor.is_stale = False
                if self.model.n_attributes(monitor.row) >= _PARAMETER_VALUE_DIGEST:
                    self._digest(monitor.row)

    def _digest(self, row):
        """Make parameter_value_digest. Allocates."""
        from crypto import hashes

        model = self.model
        at = model.slot(row, _PARAMETER_VALUE_DIGEST)
        if at < 0:
            return
        locked = model.new_hash is None and model.on_security is not None
        if locked:
            model.on_security(True)
        kind = slots.octet(model, row, _HASH_ALGORITHM_ID)
        try:
            digest = hashes.new(_HASHES[kind], model.new_hash or _no_hash)
        except (ValueError, IndexError):
            digest = None
        octets = b""
        if digest is not None:
            portion = bytearray(_PORTION)
            names = slots.source(model, row, _PARAMETER_LIST)
            first = slots.offset(model, row, _PARAMETER_LIST) + 2
            digest.update(bytes((_STRUCTURE, names[first - 1])))
            for k in range(names[first - 1]):
                name = first + k * _PARAMETER_LEN
                for j in range(self._portions(row, names, name)):
                    n = self._put(row, names, name, j * _PORTION, portion, 0)
                    digest.update(portion[:n])
            octets = digest.digest()
        if locked:
            model.on_security(False)
        if not model.put_bytes(row, _PARAMETER_VALUE_DIGEST, octets):
            model.put_bytes(row, _PARAMETER_VALUE_DIGEST, b"")
        model.edited(row, _PARAMETER_VALUE_DIGEST)

    # --- Methods ----------------------------------------------------------------------------

    def invoke(self, s, method, buf, pos, end):
        if method == _ADD_PARAMETER:
            result = self._add(s.row, buf, pos)
        elif method == _DELETE_PARAMETER:
            result = self._delete(s.row, buf, pos)
        else:
            return _OBJECT_UNDEFINED
        if not result:
            self.changed(s.row, _PARAMETER_LIST)
        return result

    def _add(self, row, buf, pos):
        model = self.model
        if thresholds.target(model, row, buf, pos) < 0:
            return _OTHER_REASON
        src = slots.source(model, row, _PARAMETER_LIST)
        at = slots.offset(model, row, _PARAMETER_LIST)
        if _find(src, at + 2, at + model.value_len(row, _PARAMETER_LIST), buf, pos) >= 0:
            return _OTHER_REASON
        return elements.add(model, row, _PARAMETER_LIST, buf, pos, pos + _PARAMETER_LEN)

    def _delete(self, row, buf, pos):
        model = self.model
        at = model.slot(row, _PARAMETER_LIST)
        if at < 0:
            return _READ_WRITE_DENIED
        image = model.image
        end = at + model.value_len(row, _PARAMETER_LIST)
        old = _find(image, at + 2, end, buf, pos)
        if old < 0:
            return _OTHER_REASON
        elements.remove(model, row, _PARAMETER_LIST, old)
        return _SUCCESS


def _find(names, at, end, buf, pos):
    """Position of the parameter buf[pos:] among those at names[at:end], or -1."""
    while at < end:
        if compare(names, at, buf, pos, _PARAMETER_LEN) == 0:
            return at
        at += _PARAMETER_LEN
    return -1


def _no_hash(name):
    return None
