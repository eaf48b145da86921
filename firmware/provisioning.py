# SPDX-License-Identifier: MIT
"""Who this meter is: the record that tools/provision.py wrote for it, applied when it starts.

    record = load(path)               a record, also if there is no file or a damaged one
    record.apply(model)               after storage.load(), before model.start()
    record.message                    "", or what is wrong with it, as a sentence
    record.taken                      its secrets are new, and have to be saved before anybody asks
    record.name(), serial_number()    of the first logical device, as text
    record.system_title()             8 octets; None: the record has none

A file of octets: "PMI2", u16 length of the entries, the entries, CRC-32 of all that. An entry is
tag, u16 length, content:

    1 logical device name   u16 server SAP, 16 octets
    2 serial number         u16 server SAP, text
    3 system title          8 octets
    4 secret                u16 server SAP, u16 client SAP, octets: of LLS, and of HLS with one
    5 keys                  u16 server SAP, logical name of a Security setup (6); GUEK, GBEK, GAK,
                            KEK of 16 octets each, 32 with suite 2; which of all setups may be the
                            same: see cosem/key_places.py
    6 certificate           u16 server SAP, logical name of a Security setup; entity, kind, system
                            title (8) as vault.py has them; length of the private key, the private
                            key, the certificate
    7 maker                 64 octets, x and y: whose images of firmware it takes, see update.py

Names come from the record at every start. Secrets, keys and certificates are taken once: a client
may change them later, and what it wrote stays until another record comes; storage.extra keeps
which one that was. When power fails before that has been saved, all of them are taken again.
Keys that come again to a meter that has lost its state would come with counters from the
beginning: it needs a record with others (provision.py complete --rekey).

Without a record that is whole and fits, the meter says so in its names, and only lets clients in
that need no authentication: those of the definition have secrets that everybody knows.

Allocates at the start only: the short entries, and a certificate at a time. Later it has names.
"""

from binascii import crc32

from micropython import const

_NAME = const(1)
_SERIAL_NUMBER = const(2)
_SYSTEM_TITLE = const(3)
_SECRET = const(4)
_SETUP_KEYS = const(5)
_CERTIFICATE = const(6)
_MAKER = const(7)

_MAGIC = b"PMI2"
_MAGIC_1 = b"PMI1"
_HEAD = const(6)
_ENTRY_HEAD = const(3)
_LONGEST = const(2048)  # of the short entries together
_CHUNK = const(256)
_NAME_LEN = const(16)
_SETUP_LEN = const(8)  # SAP and logical name
_TITLE_AT = const(10)
_N_PRIVATE_AT = const(18)
_PRIVATE_AT = const(19)
_LENGTHS = {1: (18,), 3: (8,), 5: (8 + 64, 8 + 128), 7: (64,)}

# Place of the record's CRC in storage.extra, which the meter program leaves to others there.
_APPLIED = const(60)

_PUBLIC_CLIENT = const(16)
_SHARED_SECRET = (1, 2, 3, 4, 6)  # mechanisms
_DATA = const(1)
_SAP_ASSIGNMENT = const(17)
_SECURITY_SETUP = const(64)
_SECURITY_SUITE = const(3)
_KEY_ROOM = const(32)  # in the hidden state of Security setup, see cosem/security_setup.py
_N_KEYS = const(4)
_VALUE = const(2)
_LOCAL_PORT_SETUP = const(19)
_PASSWORDS = (7, 8, 9)
_SAP_ASSIGNMENT_LIST = const(2)

# class_id and logical name of the objects that say who a logical device is.
_NAME_OBJECT = b"\x00\x01\x00\x00\x2a\x00\x00\xff"
_SERIAL_OBJECT = b"\x00\x01\x00\x00\x60\x01\x00\xff"

_NOT_PROVISIONED = b"unprovisioned"


def load(path):
    """The record in a file; one that is not good if there is none."""
    data = b""
    message = ""
    try:
        with open(path, "rb") as f:
            data = _read(f)
    except OSError:
        message = "There is no provisioning record (%s)." % path
    except ValueError as e:
        message = "The provisioning record (%s) is %s." % (path, e.args[0])
    return Record(data, message, path)


def _damaged():
    return ValueError("damaged")


def _read(f):
    """The short entries of a whole record, and its CRC; ValueError says what else it is."""
    head = f.read(_HEAD)
    if head[0:4] == _MAGIC_1:
        raise ValueError("of an older kind, and has to be written again")
    if len(head) < _HEAD or head[0:4] != _MAGIC:
        raise _damaged()
    n = head[4] << 8 | head[5]
    crc = crc32(head)
    left = n
    while left:
        chunk = f.read(min(left, _CHUNK))
        if not chunk:
            raise _damaged()
        crc = crc32(chunk, crc)
        left -= len(chunk)
    tail = f.read(5)
    if len(tail) != 4 or crc & 0xFFFFFFFF != int.from_bytes(tail, "big"):
        raise _damaged()
    short = b""
    at = _HEAD
    while at < _HEAD + n:
        f.seek(at)
        head = f.read(_ENTRY_HEAD)
        k = head[1] << 8 | head[2]
        at += _ENTRY_HEAD + k
        if at > _HEAD + n or k not in _LENGTHS.get(head[0], (k,)):
            raise _damaged()
        if head[0] == _CERTIFICATE:
            content = f.read(min(k, _PRIVATE_AT))
            if k < _PRIVATE_AT or k < _PRIVATE_AT + content[_N_PRIVATE_AT]:
                raise _damaged()
        elif head[0] <= _MAKER:
            content = f.read(k)
            if head[0] <= _SERIAL_NUMBER and not _is_text(content[2:]):
                raise _damaged()
            short += head + content
        if len(short) > _LONGEST:
            raise _damaged()
    return short + tail


def _is_text(octets):
    """What names are made of, and are printed as."""
    for c in octets:
        if not 0x20 <= c < 0x7F:
            return False
    return True


class Unfit(Exception):
    """Record and definition do not go together; the text says why."""


class Record:
    """good: False if this meter is to be provisioned. The octets are nobody's to print."""

    def __init__(self, data, message="", path=None):
        self.message = message
        self.good = not message
        self.taken = False
        self._data = data
        self._path = path

    def _octets(self, tag, head=b""):
        """Content of the first entry of a tag that begins with head, without it; or None."""
        data = self._data
        at = 0
        while at < len(data) - 4:
            n = len(head)
            end = at + _ENTRY_HEAD + (data[at + 1] << 8 | data[at + 2])
            at += _ENTRY_HEAD
            if data[at - _ENTRY_HEAD] == tag and data[at : at + n] == head:
                return data[at + n : end]
            at = end
        return None

    def name(self):
        return (self._octets(_NAME) or b"  ")[2:].decode()

    def serial_number(self):
        return (self._octets(_SERIAL_NUMBER) or b"  ")[2:].decode()

    def system_title(self):
        return self._octets(_SYSTEM_TITLE)

    def maker(self):
        """The public key of who makes firmware for this meter; b"": the record has none."""
        return self._octets(_MAKER) or b"" if self.good else b""

    def apply(self, model):
        """Write it to the model's image; storage has loaded it, and nobody asks yet."""
        if self.good:
            try:
                self._fits(model)
                self._apply_certificates(model)
            except Unfit as e:
                self.good = False
                self.message = "The provisioning record does not fit the definition: %s" % e
            except OSError:
                self.good = False
                self.message = "The certificates of the provisioning record cannot be stored."
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
        self._forget_secrets()

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
            if a[3] in _SHARED_SECRET:
                _room(model, a[2], model.secret(a[2]), self._secret(model, a), "secret")
        places = []
        for row, setup in _setups(model):
            keys = self._octets(_SETUP_KEYS, setup)
            if keys is None or len(keys) != _N_KEYS * _key_len(model, row):
                raise Unfit("it has no keys for the Security setup %s." % _text(setup[2:]))
            n = len(keys) // _N_KEYS
            for k in range(_N_KEYS):
                places.append((row, k, keys[k * n : (k + 1) * n]))
        if places:
            from cosem.key_places import clash

            if clash(places, places):
                raise Unfit("two of its keys are the same.")

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

    # --- Secrets

    def _secret(self, model, association):
        """The secret for an association. None in the record: one of no length opens nothing."""
        sap = model.devices[association[1]][0]
        return self._octets(_SECRET, _u16(sap) + _u16(association[0])) or b""

    def _is_taken(self, model):
        extra = model.storage.extra
        return bytes(extra[_APPLIED : _APPLIED + 4]) == self._data[len(self._data) - 4 :]

    def _apply_secrets(self, model):
        if self._is_taken(model):
            return
        for a in model.configs:
            if a[3] in _SHARED_SECRET:
                _put(model, a[2], model.secret(a[2]), self._secret(model, a))
        for row, setup in _setups(model):
            keys = self._octets(_SETUP_KEYS, setup)
            n = _key_len(model, row)
            at = model.state(row, 0)
            for k in range(_N_KEYS):
                model.image[at : at + n] = keys[k * n : (k + 1) * n]
                at += _KEY_ROOM
        for row in model.rows(_LOCAL_PORT_SETUP):
            # Everybody knows those of the definition: there are none until a client sets some.
            for password in _PASSWORDS:
                _put(model, row, password, b"")
        model.storage.extra[_APPLIED : _APPLIED + 4] = self._data[len(self._data) - 4 :]
        self.taken = True

    def _forget_secrets(self):
        """They are in the image now, and in one place only."""
        kept = b""
        for tag in (_NAME, _SERIAL_NUMBER, _SYSTEM_TITLE, _MAKER):
            content = self._octets(tag)
            if content is not None:
                kept += bytes((tag, 0, len(content))) + content
        self._data = kept + bytes(4)

    # --- Certificates

    def _apply_certificates(self, model):
        """All that the vault has makes room for those of the record. OSError: it cannot."""
        vault = model.vault
        # A ring that is only in RAM has lost them.
        if vault is None or self._is_taken(model) and not vault.is_empty():
            return
        rows = _setups(model)
        for row, _setup in rows:
            while vault.nth(row, 0):
                if not vault.remove():
                    raise OSError
        with open(self._path, "rb") as f:
            head = f.read(_HEAD)
            at = _HEAD
            end = at + (head[4] << 8 | head[5])
            while at < end:
                f.seek(at)
                head = f.read(_ENTRY_HEAD)
                n = head[1] << 8 | head[2]
                content = f.read(n) if head[0] == _CERTIFICATE else b""
                for row, setup in rows:
                    if content[0:_SETUP_LEN] == setup:
                        _keep(vault, row, content)
                at += _ENTRY_HEAD + n


def _keep(vault, row, content):
    end = _PRIVATE_AT + content[_N_PRIVATE_AT]
    title = content[_TITLE_AT:_N_PRIVATE_AT]
    entity = content[_SETUP_LEN]
    kind = content[_SETUP_LEN + 1]
    if not vault.put(row, entity, kind, title, content[end:], content[_PRIVATE_AT:end]):
        raise OSError


def _setups(model):
    """(row, SAP and logical name) of the Security setup objects."""
    found = []
    for d in model.devices:
        for row in range(d[1], d[1] + d[2]):
            if model.class_id(row) == _SECURITY_SETUP:
                at = (row << 4) + 2
                found.append((row, _u16(d[0]) + bytes(model.objects[at : at + 6])))
    return found


def _key_len(model, row):
    return 32 if model.get_int(row, _SECURITY_SUITE) == 2 else 16


def _text(o):
    return "%d.%d.%d.%d.%d" % (o[0], o[1], o[2], o[3], o[4])


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
    obis = _text(o)
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
