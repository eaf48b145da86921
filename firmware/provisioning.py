# SPDX-License-Identifier: MIT
"""Who this meter is: the record that tools/provision.py wrote for it, applied when it starts.

    record = load(path)               a record, also if there is no file or a damaged one
    record.apply(model)               after storage.load(), before model.start()
    record.message                    "", or what is wrong with it, as a sentence
    record.name(), serial_number()    of the first logical device, as text
    record.system_title()             8 octets; None: the record has none
    record.key("guek")                16 octets, also "gak", "gbek", "kek"; None: it has none

A file of octets: "PMI1", u16 length of the entries, the entries, CRC-32 of all that. An entry is
tag, length, content:

    1 logical device name   u16 server SAP, 16 octets
    2 serial number         u16 server SAP, text
    3 system title          8 octets
    4 LLS secret            u16 server SAP, u16 client SAP, octets
    16 GUEK  17 GAK  18 GBEK  19 KEK      16 octets each

Names come from the record at every start. Secrets are taken once: a client may change them later,
and what it wrote stays until another record comes; storage.extra keeps which one that was.
Without a record that is whole and fits, the meter says so in its names, and only lets clients in
that need no authentication: those of the definition have secrets that everybody knows.

Allocates at the start only: the record, and what a few lists take.
"""

from binascii import crc32

from micropython import const

_NAME = const(1)
_SERIAL_NUMBER = const(2)
_SYSTEM_TITLE = const(3)
_SECRET = const(4)
_FIRST_KEY = const(16)
_KEYS = ("guek", "gak", "gbek", "kek")

_MAGIC = b"PMI1"
_HEAD = const(6)
_LONGEST = const(2048)
_NAME_LEN = const(16)
_LENGTHS = {3: 8, 16: 16, 17: 16, 18: 16, 19: 16}

# Place of the record's CRC in storage.extra, which the meter program leaves to others there.
_APPLIED = const(60)

_PUBLIC_CLIENT = const(16)
_LLS = const(1)
_DATA = const(1)
_SAP_ASSIGNMENT = const(17)
_SECURITY_SETUP = const(64)
_VALUE = const(2)
_SAP_ASSIGNMENT_LIST = const(2)
_SERVER_SYSTEM_TITLE = const(5)
_SECRET_ATTRIBUTE = const(7)

# class_id and logical name of the objects that say who a logical device is.
_NAME_OBJECT = b"\x00\x01\x00\x00\x2a\x00\x00\xff"
_SERIAL_OBJECT = b"\x00\x01\x00\x00\x60\x01\x00\xff"

_NOT_PROVISIONED = b"unprovisioned"


def load(path):
    """The record in a file; one that is not good if there is none."""
    try:
        with open(path, "rb") as f:
            data = f.read(_LONGEST + 1)
    except OSError:
        return Record(b"", "There is no provisioning record (%s)." % path)
    message = ""
    if not _is_whole(data):
        message = "The provisioning record (%s) is damaged." % path
        data = b""
    return Record(data, message)


def _is_whole(data):
    n = len(data)
    if n < _HEAD + 4 or n > _LONGEST or data[0:4] != _MAGIC:
        return False
    if n != _HEAD + 4 + (data[4] << 8 | data[5]):
        return False
    if crc32(data[0 : n - 4]) & 0xFFFFFFFF != int.from_bytes(data[n - 4 : n], "big"):
        return False
    at = _HEAD
    while at < n - 4:
        if at + 2 > n - 4 or at + 2 + data[at + 1] > n - 4:
            return False
        if data[at + 1] != _LENGTHS.get(data[at], data[at + 1]):
            return False
        if data[at] == _NAME and data[at + 1] != 2 + _NAME_LEN:
            return False
        at += 2 + data[at + 1]
    return True


class Unfit(Exception):
    """Record and definition do not go together; the text says why."""


class Record:
    """good: False if this meter is to be provisioned. The octets are nobody's to print."""

    def __init__(self, data, message=""):
        self.message = message
        self.good = not message
        self._data = data

    def _octets(self, tag, head=b""):
        """Content of the first entry of a tag that begins with head, without it; or None."""
        data = self._data
        at = _HEAD
        while at < len(data) - 4:
            end = at + 2 + data[at + 1]
            if data[at] == tag and data[at + 2 : at + 2 + len(head)] == head:
                return data[at + 2 + len(head) : end]
            at = end
        return None

    def name(self):
        return (self._octets(_NAME) or b"  ")[2:].decode()

    def serial_number(self):
        return (self._octets(_SERIAL_NUMBER) or b"  ")[2:].decode()

    def system_title(self):
        return self._octets(_SYSTEM_TITLE)

    def key(self, name):
        return self._octets(_FIRST_KEY + _KEYS.index(name))

    def apply(self, model):
        """Write it to the model's image; storage has loaded it, and nobody asks yet."""
        if self.good:
            try:
                self._fits(model)
            except Unfit as e:
                self.good = False
                self.message = "The provisioning record does not fit the definition: %s" % e
        if not self.good:
            self.message += (
                " The meter can only be provisioned: clients that authenticate themselves are"
                " refused."
            )
            model.configs = tuple(
                [a for a in model.configs if a[0] == _PUBLIC_CLIENT and a[3] == 0]
            )
        self._apply_names(model)
        if self.good:
            self._apply_secrets(model)

    # --- What the record must have, and the image room for

    def _fits(self, model):
        for d in model.devices:
            sap = _u16(d[0])
            name = self._octets(_NAME, sap)
            if name is None:
                raise Unfit("it has no name for the logical device of SAP %d." % d[0])
            for key, value in (
                (_NAME_OBJECT, name),
                (_SERIAL_OBJECT, self._octets(_SERIAL_NUMBER, sap)),
            ):
                row = _find(model, d, key)
                if row >= 0:
                    _room(model, row, _VALUE, value, "value")
        for row in model.rows(_SAP_ASSIGNMENT):
            _room(model, row, _SAP_ASSIGNMENT_LIST, None, "SAP_assignment_list")
        for a in model.configs:
            if a[3] == _LLS:
                _room(model, a[2], _SECRET_ATTRIBUTE, self._secret(model, a), "secret")

    # --- Names

    def _apply_names(self, model):
        for d in model.devices:
            sap = _u16(d[0])
            name = self._octets(_NAME, sap)
            serial = self._octets(_SERIAL_NUMBER, sap)
            if not self.good:
                name = d[3][0:3] + b"0" * (_NAME_LEN - 3)
                serial = _NOT_PROVISIONED
            _put(model, _find(model, d, _NAME_OBJECT), _VALUE, name)
            _put(model, _find(model, d, _SERIAL_OBJECT), _VALUE, serial)
            for row in model.rows(_SAP_ASSIGNMENT):
                _put_assigned(model, row, sap, name)
        title = self._octets(_SYSTEM_TITLE)
        if title is not None and self.good:
            model.system_title = title
            for row in model.rows(_SECURITY_SETUP):
                _put(model, row, _SERVER_SYSTEM_TITLE, title)

    # --- Secrets

    def _secret(self, model, association):
        """The secret for an association. None in the record: one of no length opens nothing."""
        sap = model.devices[association[1]][0]
        return self._octets(_SECRET, _u16(sap) + _u16(association[0])) or b""

    def _apply_secrets(self, model):
        extra = model.storage.extra
        crc = self._data[len(self._data) - 4 :]
        if bytes(extra[_APPLIED : _APPLIED + 4]) == crc:
            return
        for a in model.configs:
            if a[3] == _LLS:
                _put(model, a[2], _SECRET_ATTRIBUTE, self._secret(model, a))
        extra[_APPLIED : _APPLIED + 4] = crc


def _u16(n):
    return bytes((n >> 8, n & 0xFF))


def _find(model, device, key):
    """Row of the object of a logical device, or -1."""
    for row in range(device[1], device[1] + device[2]):
        if bytes(model.objects[row << 4 : (row << 4) + 8]) == key:
            return row
    return -1


def _room(model, row, attribute, value, name):
    o = model.objects[(row << 4) + 2 : (row << 4) + 8]
    obis = "%d.%d.%d.%d.%d" % (o[0], o[1], o[2], o[3], o[4])
    if model.slot(row, attribute) < 0:
        raise Unfit('%s cannot be changed; the definition has to say ram = ["%s"].' % (obis, name))
    if value is not None and len(value) + 2 > model.capacity(row, attribute):
        raise Unfit("%s has no room for %d octets." % (obis, len(value)))


def _put(model, row, attribute, value):
    if row >= 0 and value is not None and model.slot(row, attribute) >= 0:
        model.put_bytes(row, attribute, value)


def _put_assigned(model, row, sap, name):
    """Put a name in its place of SAP_assignment_list: 02 02 12 SAP 09 10 name."""
    at = model.slot(row, _SAP_ASSIGNMENT_LIST)
    if at < 0:
        return
    end = at + model.value_len(row, _SAP_ASSIGNMENT_LIST)
    found = bytes(model.image[at:end]).find(b"\x02\x02\x12" + sap + bytes((9, _NAME_LEN)))
    if found >= 0:
        at += found + 7
        model.image[at : at + _NAME_LEN] = name
