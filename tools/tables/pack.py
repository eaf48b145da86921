# SPDX-License-Identifier: MIT
"""Packs a definition into the tables that the meter searches in place.

OBJECTS 16 octets a row, ATTRIBUTES 4 an entry, SHAPES (what many entries share) 5 a shape, NAMES
6 an object where there are short names, values as A-XDR in slots of ROM and RAM. The layout is
written out in the header of the generated module (show.py). Descriptions, ROM slots, and access
rights that are the same, or part of another, are stored once.
"""

import os
import re

from . import certificates, compact
from .classes import load_classes, one_of
from .definition import NO_FEEDS, at_obis, load_definition
from .fittings import Fittings
from .names import members
from .notation import obis, plain
from .optical import optical

COMPUTED, ROM, RAM, NAME, ABSENT, LATE = range(6)
_KINDS = {"computed": COMPUTED, "rom": ROM, "ram": RAM, "name": NAME, "late": LATE}
CHECK, CHANGED = 0x10, 0x20
_COMPRESSION = ("null-data", "delta", "compact-array")  # of a profile's buffer, from bit 0
_MOST_SHAPES = 1 << 10  # as many as an entry can number
_LENGTH_LEN = 2  # a row ends with the length of its columns
# The ring of a vault (firmware/vault.py): a head, the longest private key and certificate; more
# rows than there are records.
_SECURITY_SETUP = 64
_ASSOCIATION_LN, _OBJECT_LIST, _SECRET = 15, 2, 7
_NAME_LEN = 16  # of a logical device name, at most
_WITHOUT_SECRET = (0, 5, 7)  # mechanisms: none, GMAC, ECDSA
_DATA, _COUNTERS, _DOUBLE_LONG_UNSIGNED = 1, b"\0\0\x2b\1", 0x06
_CHANGE_HEAD_LEN = 3  # see lib/cosem/visible_objects.py
_ANY_RESPONSE = 7
_SHORT_HANDLER = "association_sn"
_VAULT_ROW_LEN = 19 + 48 + 768
_VAULT_ROWS = 24
_ITEM_MAX = (
    384  # octets of one item of a computed value: a row of a profile with its structure header
)


class Tables:
    """What the generated module holds, under the same names in lower case, and the definition."""


def compile(definition, classes=None):
    """Tables of a definition.Definition, or of the path of its file. Raises TableError."""
    if isinstance(definition, (str, os.PathLike)):
        definition = load_definition(definition, classes or load_classes())
    return Packer(definition).pack()


def expected_value(obj, attribute):
    """Initial value of an attribute (index or name) of an object, as a Python value: None, bool,
    int, float, bytes, str, or a list of these. LookupError: it is computed, or not there."""
    cell = obj.cell(attribute) if isinstance(attribute, str) else obj.cells.get(attribute)
    if cell is None or cell.stored == "computed":
        raise LookupError("%s has no stored attribute %s" % (obj.text, attribute))
    return plain(cell.value)


class Pool:
    """Octets in which each piece stands once, alone or inside a longer one."""

    def __init__(self, pieces):
        self.data = b""
        for piece in sorted(set(pieces), key=lambda p: (-len(p), p)):
            if self.data.find(piece) < 0:
                self.data += piece

    def offset(self, piece):
        return self.data.index(piece)


def u16(n):
    return n.to_bytes(2, "big")


def title_of(flag_id, serial_number):
    """The system title of a meter (IEC 62056-5-3, 4.1.3.4: three letters, then five octets that
    are unique): its FLAG id, and its serial number (digits)."""
    return flag_id.encode() + int(serial_number).to_bytes(5, "big")


class Packer:
    def __init__(self, definition):
        self.definition = definition
        self.document = definition.document

    def error(self, path, message):
        return self.document.error(path, message)

    def pack(self):
        d = self.definition
        self.patched = set()  # (row, attribute) that a script or the meter program writes
        for o in d.objects:
            self.references(o)
        self.security()
        for o in d.objects:
            for k, cell in o.cells.items():
                self.settle(o, k, cell)
        t = Tables()
        t.definition, t.name = d, d.name
        t.handlers = [""] + sorted({o.version.module for o in d.objects} - {""})
        self.slots(t)
        self.fits(t, "rom", "ram")
        versions = {(o.version.class_id, o.version.version): o.version for o in d.objects}
        parameters = [
            m.parameter.description()
            for v in versions.values()
            for m in v.methods.values()
            if m.parameter
        ]
        t.types = Pool(
            [c.type.description() for o in d.objects for c in o.cells.values()] + parameters
        )
        self.rows(t)
        self.methods(t, versions)
        self.names(t)
        t.short_handler = self.short_handler(t)
        self.access(t)
        t.types = t.types.data
        t.devices = []
        for device in d.devices:
            first = device.objects[0].row
            t.devices.append((device.sap, first, len(device.objects), device.logical_device_name))
        t.system_title = self.system_title(t)
        t.sources = [(o.source, o.row, 2) for o in d.objects if o.source]
        t.rings = [self.ring(o) for o in d.objects if o.version.module == "profile_generic"]
        t.rings += self.vault()
        t.compression = [(o.row, self.compression(o)) for o in d.objects if o.compression]
        t.certificates = self.certificates(t)
        t.gateways = tuple(d.gateways)
        t.mbus = d.mbus
        t.lon = d.lon
        t.fittings = Fittings(d)
        t.optical = optical(d)
        t.maker = d.maker
        t.limits = d.limits
        self.fits(t, "types", "attributes", "access", "members")
        return t

    def fits(self, t, *names):
        """Places in a table have 16 bits."""
        for name in names:
            if len(getattr(t, name)) > 0xFFFF:
                raise self.error(
                    (), "%s has %d octets; expected at most 65535" % (name, len(getattr(t, name)))
                )

    def target(self, o, value, path, what):
        """The object that (class_id, logical_name, ...) names in the device of o."""
        found = self.definition.find(o.device, value[0], value[1])
        if found is None:
            text = "%d %s" % (value[0], obis(value[1]))
            raise self.error(
                path, "%s names object %s; expected one of device %s" % (what, text, o.device.name)
            )
        return found

    def references(self, o):
        """Objects that values name must be there; what scripts write must be in RAM."""
        version = o.version
        if version.class_id == 9:
            path = o.origin.get("scripts", o.path)
            for script in o.cells[2].value:
                for service, class_id, name, index, _ in script[1]:
                    target = self.target(o, (class_id, name), path, "script %d" % script[0])
                    have = target.version.attributes if service == 1 else target.version.methods
                    if index not in have:
                        message = "script %d names %d of %s; expected an index that it has"
                        raise self.error(path, message % (script[0], index, target.text))
                    if service == 1:
                        self.patched.add((target.row, index))
        elif version.class_id == 22:
            name, selector = o.cells[2].value
            if any(name):
                path = o.origin.get("executed_script", o.path)
                target = self.target(o, (9, name), path, "executed_script")
                if selector not in [s[0] for s in target.cells[2].value]:
                    raise self.error(
                        path,
                        "script %d is not in %s; expected one of its" % (selector, target.text),
                    )
        elif version.class_id == compact.COMPACT_DATA:
            compact.check(self, o)
        elif version.class_id == 124:
            name = o.cell("port_reference").value
            if any(name) and all(name != x.name for x in o.device.objects):
                message = "port_reference names %s; expected an object of device %s, or zeros"
                path = o.origin.get("port_reference", o.path)
                raise self.error(path, message % (obis(name), o.device.name))
        elif version.class_id == 72:
            name = o.cell("mbus_port_reference").value
            if any(name):
                path = o.origin.get("mbus_port_reference", o.path)
                self.target(o, (74, name), path, "mbus_port_reference")
        elif version.class_id == 111:
            for k, class_id in ((9, 112), (10, 113)):
                what = version.attributes[k].name
                for name in o.cells[k].value:
                    self.target(o, (class_id, name), o.origin.get(what, o.path), what)
        elif version.class_id == 6:
            for value in o.cells[2].value:
                self.target(
                    o, value, o.origin.get("register_assignment", o.path), "register_assignment"
                )
            for name, indexes in o.cells[3].value:
                if not all(1 <= i <= len(o.cells[2].value) for i in indexes):
                    path = o.origin.get("mask_list", o.path)
                    raise self.error(
                        path,
                        "mask %r has %s; expected indexes of register_assignment, from 1"
                        % (name, indexes),
                    )

    def security(self):
        """What is compared or shown where it lies is in RAM: secrets, and the invocation counters
        0.0.43.1.e of Security setups 0.0.43.0.e."""
        for a in self.definition.associations:
            if a.mechanism not in _WITHOUT_SECRET and not a.short:
                self.patched.add((a.object.row, _SECRET))
        names = {
            o.name[4] for o in self.definition.objects if o.version.class_id == _SECURITY_SETUP
        }
        for o in self.definition.objects:
            is_counter = o.version.class_id == _DATA and o.name[:4] == _COUNTERS
            if is_counter and o.name[4] in names and o.name[5] == 0xFF:
                self.patched.add((o.row, 2))
                if o.cells[2].type.tag != _DOUBLE_LONG_UNSIGNED:
                    message = "value of %s is an invocation counter; expected double-long-unsigned"
                    raise self.error(o.origin.get("value", o.path), message % o.text)

    def settle(self, o, k, cell):
        """Where a cell is stored, and its capacity."""
        a = cell.attribute
        cell.persistent = False
        cell.capacity = 0
        cell.writable = any(
            x.device is o.device and o.access.get(x.role, b"\0" * 127)[k - 1] & 2
            for x in self.definition.associations
        )
        if cell.stored in ("computed", "name"):
            if k in o.asked and a.name not in [name for name, _ in o.version.state]:
                raise self.error(
                    self.asked_path(o, a), "%s is not stored; expected no capacity" % a.name
                )
            return
        fed = bool(o.source) and k == 2 and not o.source.startswith(NO_FEEDS)
        patched = a.patched or fed or k in o.ram or (o.row, k) in self.patched
        nothing = cell.type.encode(cell.value) == b"\0"
        dynamic = a.kind == "dynamic" and not nothing
        cell.stored = "ram" if cell.writable or patched or dynamic else "rom"
        cell.capacity = self.capacity(o, k, cell)
        if cell.stored == "ram":
            cell.persistent = not (
                o.volatile or a.volatile or (fed and o.source.startswith("inst."))
            )
            busy = fed or k in o.ram or (o.row, k) in self.patched
            if self.definition.late_len and a.late and cell.persistent and not busy:
                if cell.type.fixed_len() is None:
                    cell.stored = "late"

    def asked_path(self, o, attribute):
        path = o.origin.get("capacity", o.path)
        return (*path, attribute.name)

    def capacity(self, o, k, cell):
        now = len(cell.encoding())
        asked = o.asked.get(k)
        t = cell.type
        fixed = t.fixed_len()
        if fixed is not None:
            if asked is not None:
                raise self.error(
                    self.asked_path(o, cell.attribute),
                    "%s has a fixed size; expected no capacity" % t.text,
                )
            return fixed
        if cell.stored == "rom" and asked is None:
            return now
        if asked is None and t.kind == "simple" and not cell.value:
            return t.string_len(t.most or 16)
        if asked is None and t.kind == "array" and not cell.value:
            return 1 + 1 + 4 * t.element.fixed_len() if t.element.fixed_len() else 64
        if asked is None:
            return max(now, t.string_len(t.most)) if t.kind == "simple" and t.most else now
        room = self.room(cell, asked)
        if room is None:
            message = '%r for %s; expected a number of elements or characters, or "n octets"' % (
                asked,
                t.text,
            )
            raise self.error(self.asked_path(o, cell.attribute), message)
        if room < now:
            message = "room of %d octets for %s; expected %d, its value now" % (
                room,
                cell.attribute.name,
                now,
            )
            raise self.error(self.asked_path(o, cell.attribute), message)
        return room

    def room(self, cell, asked):
        """Octets of encoding for a capacity as the definition gives it, or None."""
        t = cell.type
        if isinstance(asked, str):
            word = asked.split(" ")
            return int(word[0]) if word[1:] == ["octets"] and word[0].isdecimal() else None
        if isinstance(asked, bool) or not isinstance(asked, int) or not 0 <= asked < 0x8000:
            return None
        if t.kind == "simple":
            return t.string_len(asked)
        if t.kind == "array":
            sizes = [len(t.element.encode(v)) for v in cell.value]
            one = t.element.fixed_len() or max(sizes, default=None)
            return (
                None
                if one is None
                else 1 + (1 if asked < 128 else 2 if asked < 256 else 3) + asked * one
            )
        return None

    def system_title(self, t):
        """Eight octets, by title_of() from the first logical device name, if that is a FLAG id
        and digits; else none."""
        name = t.devices[0][3].decode("ascii", "replace")
        if len(name) <= _NAME_LEN and name[3:].isdigit() and int(name[3:]) < 1 << 40:
            return title_of(name[:3], name[3:])
        return b""

    def state(self, o):
        """Names and sizes of the hidden states of an object."""
        if o.version.class_id == _ASSOCIATION_LN:
            room = self.changes(o)
            return [(name, room or size) for name, size in o.version.state if room or size]
        if o.version.class_id != compact.COMPACT_DATA:
            return [(name, o.room.get(name, size)) for name, size in o.version.state]
        return [(name, compact.room(self, o, name, column_len)) for name, _ in o.version.state]

    def changes(self, o):
        """Octets for what clients change of the objects that an association sees."""
        asked = o.asked.get(_OBJECT_LIST, 0)
        path = o.origin.get("capacity", o.path)
        if isinstance(asked, str) and re.fullmatch(r"\d+ octets", asked):
            n = int(asked.split()[0])
        elif isinstance(asked, int) and not isinstance(asked, bool):
            sizes = [
                max(x.version.attributes) + max(x.version.methods, default=0)
                for x in o.device.objects
            ]
            n = asked * (_CHANGE_HEAD_LEN + max(sizes))
        else:
            n = -1
        # An integer of a tuple in ROM is small, see show.py.
        if not 0 <= n < 0x1000:
            message = 'object_list %r; expected a number of objects, or "n octets" below 4096'
            raise self.error((*path, "object_list"), message % (asked,))
        if n:
            o.state["object_list"] = b""
        return n

    def slots(self, t):
        """RAM: persistent slots first, each in the order of rows, and behind them room for late
        ones. ROM: shared."""
        t.ram = b""
        t.offsets = {}  # (row, attribute, or ~j for hidden state j) -> offset in the RAM image
        for persistent in (True, False):
            for o in self.definition.objects:
                for k, cell in o.cells.items():
                    if cell.stored == "ram" and cell.persistent is persistent:
                        t.offsets[o.row, k] = len(t.ram)
                        t.ram += slot(cell.encoding(), cell.capacity)
                for j, (name, size) in enumerate(self.state(o)):
                    if persistent is not o.volatile:
                        t.offsets[o.row, ~j] = len(t.ram)
                        t.ram += slot(o.state.get(name, bytes(size)), size)
            if persistent:
                t.late = len(t.ram)
                t.ram += bytes(self.definition.late_len)
                t.persistent = len(t.ram)
        stored = {
            (o.row, k): slot(c.encoding(), len(c.encoding()) if c.stored == "late" else c.capacity)
            for o in self.definition.objects
            for k, c in o.cells.items()
            if c.stored in ("rom", "late")
        }
        pool = Pool(stored.values())
        t.rom = pool.data
        for where, octets in stored.items():
            t.offsets[where] = pool.offset(octets)

    def rows(self, t):
        t.objects = b""
        t.attributes = b""
        t.shapes = b""
        self.shapes = {}
        any_data = 0
        for o in self.definition.objects:
            v = o.version
            n = max(v.attributes)
            t.objects += o.key + bytes(
                (v.version, t.handlers.index(v.module), n, max(v.methods, default=0))
            )
            t.objects += u16(len(t.attributes) // 4) + u16(o.base_name)
            for k in range(1, n + 1):
                t.attributes += self.entry(t, o, k)
            for j, (_, size) in enumerate(self.state(o)):
                shape = self.shape(t, 0, any_data, size)
                t.attributes += self.bits(RAM, shape) + u16(t.offsets[o.row, ~j])

    def entry(self, t, o, k):
        cell = o.cells.get(k)
        if cell is None:
            return bytes((ABSENT, 0, 0, 0))
        a = cell.attribute
        kind = _KINDS[cell.stored]
        kind |= (CHECK if a.check else 0) | (CHANGED if a.changed else 0)
        selectors = sum(1 << (s - 1) for s in a.selectors)
        type_offset = t.types.offset(cell.type.description())
        shape = self.shape(t, selectors, type_offset, cell.capacity)
        return self.bits(kind, shape) + u16(t.offsets.get((o.row, k), 0))

    def methods(self, t, versions):
        """METHODS: of each class version that has some, the types of their parameters."""
        t.methods = b""
        for (class_id, version), v in sorted(versions.items()):
            n = max(v.methods, default=0)
            if not n:
                continue
            t.methods += u16(class_id) + bytes((version, n))
            for k in range(1, n + 1):
                m = v.methods.get(k)
                known = m is not None and m.parameter is not None
                t.methods += u16(t.types.offset(m.parameter.description()) if known else 0xFFFF)

    def names(self, t):
        """NAMES: of each device the objects by their base_names, in as many rows as OBJECTS has
        for it; MEMBERS: what their names are. Empty in a meter without short names."""
        t.names = t.members = b""
        d = self.definition
        if not any(a.short for a in d.associations):
            return
        of = {o.row: members(o.version) for o in d.objects}
        pool = Pool(bytes((len(m),)) + m for m in of.values())
        t.members = pool.data
        for device in d.devices:
            for o in sorted(device.objects, key=lambda o: (o.base_name, o.row)):
                m = of[o.row]
                place = pool.offset(bytes((len(m),)) + m)
                t.names += u16(o.base_name) + u16(o.row) + u16(place)

    def short_handler(self, t):
        """Number of the handler that only clients with short names see, that of Association SN;
        -1: others see it too, or there is none."""
        for o in self.definition.objects:
            if o.version.module == _SHORT_HANDLER and any(
                a.device is o.device and a.role in o.access and not a.short
                for a in self.definition.associations
            ):
                return -1
        return t.handlers.index(_SHORT_HANDLER) if _SHORT_HANDLER in t.handlers else -1

    def shape(self, t, selectors, type_offset, capacity):
        """Number of the shape; each stands once."""
        octets = bytes((selectors,)) + u16(type_offset) + u16(capacity)
        if octets not in self.shapes:
            self.shapes[octets] = len(self.shapes)
            t.shapes += octets
            if len(self.shapes) > _MOST_SHAPES:
                message = "the attributes have more than %d shapes (types, capacities)"
                raise self.error((), message % _MOST_SHAPES + "; expected fewer capacities")
        return self.shapes[octets]

    def bits(self, kind, shape):
        """First half of an entry: kind and flags with the high bits of the shape, its low bits."""
        return bytes((kind | shape >> 8 << 6, shape & 0xFF))

    def access(self, t):
        d = self.definition
        pool = Pool(octets for o in d.objects for octets in o.access.values())
        t.access = pool.data
        t.associations = []
        rights = len(t.access)
        for a in d.associations:
            table = b""
            responses = 0
            changes = 0 if a.short else self.changes(a.object)
            rights += changes
            if rights > 0xFFFF:
                message = "rights have %d octets, with room for changes; expected at most 65535"
                raise self.error(a.path, message % rights)
            for o in a.device.objects:
                for mode in o.access.get(a.role, b""):
                    responses |= mode >> 5
                table += u16(pool.offset(o.access[a.role]) if a.role in o.access else 0xFFFF)
            t.associations.append(
                (
                    a.client_sap,
                    d.devices.index(a.device),
                    a.object.row,
                    a.mechanism,
                    a.conformance.to_bytes(4, "big"),
                    a.max_pdu,
                    table,
                    a.application_context,
                    a.security.row if a.security else -1,
                    int(a.pre_established),
                    _ANY_RESPONSE if changes else responses,
                    changes,
                )
            )

    def ring(self, o):
        """(row, row_len, capacity) of a profile's storage."""
        path = o.origin.get("capture_objects", o.path)
        total = _LENGTH_LEN
        for value in o.cell("capture_objects").value:
            target = self.target(o, value, path, "capture_objects")
            column = target.cells.get(value[2])
            if column is None:
                message = "capture_objects names attribute %d of %s; expected an index that it has"
                raise self.error(path, message % (value[2], target.text))
            size = column_len(column, value[3])
            if size is None:
                text = "%s attribute %d" % (target.text, value[2])
                raise self.error(
                    path, "column %s has no fixed size; expected a stored attribute" % text
                )
            total += size
        row_len = max(total, o.row_len)
        if o.row_len and o.row_len < total:
            message = "row_len is %d; expected at least %d for the columns" % (o.row_len, total)
            raise self.error(o.origin["row_len"], message)
        if row_len == _LENGTH_LEN or row_len + 2 > _ITEM_MAX:
            message = "a row has %d octets; expected 3 to %d" % (row_len, _ITEM_MAX - 2)
            raise self.error(o.origin.get("row_len", path), message)
        capacity = o.cell("profile_entries").value
        if not 0 < capacity < 0x40000000:
            path = o.origin.get("profile_entries", at_obis(o))
            raise self.error(path, "profile_entries is %d; expected 1 or more" % capacity)
        return (o.row, row_len, capacity)

    def compression(self, o):
        """Bits of what cosem/profile_compression.py does with a profile's buffer."""
        path = o.origin["compression"]
        if o.version.module != "profile_generic":
            raise self.error(path, "compression of %s; expected it of a profile" % o.text)
        for word in o.compression:
            one_of(self.document, path, word, _COMPRESSION)
        if "compact-array" in o.compression and len(set(o.compression)) > 1:
            message = "compression %s of %s; expected compact-array alone"
            raise self.error(path, message % (" and ".join(o.compression), o.text))
        return sum(1 << _COMPRESSION.index(word) for word in set(o.compression))

    def certificates(self, t):
        """(row, entity, kind, title, certificate, private key) of demo meters' vaults."""
        found = []
        for o in self.definition.objects:
            for name in o.certificates:
                path = certificates.find(name, self.definition.document.files)
                suite = o.cell("security_suite").value
                try:
                    found.append((o.row, *certificates.read(path, suite, t.system_title)))
                except (OSError, ValueError) as e:
                    message = "certificates: %s: %s"
                    raise self.error(
                        o.origin["certificates"],
                        message % (name, getattr(e, "strerror", None) or e),
                    ) from None
        return found

    def vault(self):
        """The ring for certificates: of the first Security setup whose suite has some, for all."""
        for o in self.definition.objects:
            if o.version.class_id == _SECURITY_SETUP and o.cell("security_suite").value:
                return [(o.row, _VAULT_ROW_LEN, _VAULT_ROWS)]
        return []


def slot(encoding, capacity):
    return u16(len(encoding)) + encoding + bytes(capacity - len(encoding))


def column_len(cell, data_index):
    """Longest encoding of a captured attribute, or of its element data_index (from 1)."""
    if data_index == 0:
        if cell.stored == "name":
            return 8
        return cell.type.fixed_len() if cell.stored == "computed" else cell.capacity
    t = cell.type
    if t.kind == "structure" and data_index <= len(t.fields):
        return t.fields[data_index - 1][1].fixed_len()
    return t.element.fixed_len() if t.kind == "array" else None
