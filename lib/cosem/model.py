# SPDX-License-Identifier: MIT
"""The object model: packed tables of a definition, and the image with the values at rest.

Implements the attribute and method access of IEC 62056-6-2 on the tables that tools/tables.py
makes. A value at rest is a slot: u16 length, then its A-XDR encoding. RAM holds the image; the
tables and the values that nobody changes stay where the definition is. After boot nothing here
allocates but put_bytes(), rows() and integers of 30 bits and more on 32-bit boards.
"""

from cosem.class_modules import ClassModules
from dlms import types
from dlms.axdr import get_u32
from dlms.prim import compare, copy, find
from dlms.stream import Stream
from micropython import const

# Fields of a row of the object table.
_ROW_SHIFT = const(4)
_ROW_VERSION = const(8)
_ROW_N_ATTRIBUTES = const(10)
_ROW_N_METHODS = const(11)
_ROW_FIRST_ENTRY = const(12)

# Fields of an attribute entry: kind and flags, shape, slot; and of a shape.
_ENTRY_SHIFT = const(2)
_ENTRY_SHAPE = const(1)
_ENTRY_SLOT = const(2)
_SHAPE_LEN = const(5)
_SHAPE_TYPE = const(1)
_SHAPE_CAPACITY = const(3)

_KIND = const(0x0F)
_COMPUTED = const(0)
_ROM = const(1)
_RAM = const(2)
_LOGICAL_NAME = const(3)
_CHECK = const(0x10)
_CHANGED = const(0x20)

_SUCCESS = const(0)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_SCOPE_VIOLATED = const(13)
_OTHER_REASON = const(250)

_ASSOCIATION_LN = const(15)
_SECRET = const(7)

_ITEM_MAX = const(384)
_NO_PARAMETER = const(0xFFFF)
_RANGE = const(0x83)  # of dlms/types.py

_INTEGER = const(0x0F)
_LONG = const(0x10)
_DOUBLE_LONG = const(0x05)
_LONG64 = const(0x14)
_OCTET_STRING = const(0x09)


class Model(ClassModules):
    """All objects of a definition, their values, and the handlers of their classes."""

    # Handed in by the firmware, with on_security() (of the class: room in an instance only then).
    aes = None  # see crypto/gcm.py
    new_hash = None  # see crypto/hashes.py
    manufacturer_hls = None  # see dlms/hls.py
    elliptic = None  # (name of a curve) -> new work of crypto/ec.py

    def __init__(self, definition):
        # For the start; whoever has made the meter may let go of it (None) after that.
        self.definition = definition
        self.limits = definition.LIMITS
        self.configs = definition.ASSOCIATIONS
        self.system_title = definition.SYSTEM_TITLE
        self.image = bytearray(definition.RAM)
        self.rom = definition.ROM
        self.objects = definition.OBJECTS
        self.attributes = definition.ATTRIBUTES
        self.shapes = definition.SHAPES
        self.methods = definition.METHODS
        self.types = definition.TYPES
        self.access = definition.ACCESS
        self.names = definition.NAMES
        self.members = definition.MEMBERS
        self.devices = definition.DEVICES
        self.longest_info = 2030  # information field that the buffers of all links hold
        # Counts SETs and ACTIONs: the meter program sees that something has changed.
        self.edits = 0
        # Handed in by the firmware.
        self.storage = None
        self.on_edit = None
        self.event = None
        self.random = None
        self.on_setup = None
        self.save = None  # () -> bool: the image is saved
        self.random_fill = None
        # Certificates and private keys, see firmware/vault.py; False: from open_vault() on.
        self.vault = None
        self.open_vault = None
        self.on_security = None  # called before dlms/secured.py begins its work
        # By the server: later(context) when keys have come.
        self.later = None
        # The server's pool, for association_status.
        self.associations = ()
        # Where an item of a class module is made that may not fit the reply (see dlms/stream.py).
        self.item = bytearray(_ITEM_MAX)
        # A stream of the model's own, for values that are read and methods that are run.
        self._stream = Stream(self)
        ClassModules.__init__(self, definition)

    # --- Where things are -------------------------------------------------------------------

    def find(self, device, buf, pos):
        """Row of the object class_id + logical_name = buf[pos:pos+8] of a device, or -1."""
        d = self.devices[device]
        return find(self.objects, d[1], d[2], buf, pos)

    def find_any(self, buf, pos):
        """As find(), in the first logical device that has the object."""
        for d in self.devices:
            row = find(self.objects, d[1], d[2], buf, pos)
            if row >= 0:
                return row
        return -1

    def named(self, device, buf, pos, after=-1):
        """First row after one of any class with the logical name buf[pos+2:pos+8], or -1."""
        d = self.devices[device]
        for row in range(d[1] if after < 0 else after + 1, d[1] + d[2]):
            at = (row << _ROW_SHIFT) + 2
            if compare(self.objects, at, buf, pos + 2, 6) == 0:
                return row
        return -1

    def rows(self, class_id):
        """Rows of all objects of a class (boot only)."""
        t = self.objects
        return [
            r
            for r in range(self.n_rows())
            if t[r << _ROW_SHIFT] << 8 | t[(r << _ROW_SHIFT) + 1] == class_id
        ]

    def n_rows(self):
        return len(self.objects) >> _ROW_SHIFT

    def class_id(self, row):
        at = row << _ROW_SHIFT
        return self.objects[at] << 8 | self.objects[at + 1]

    def version(self, row):
        return self.objects[(row << _ROW_SHIFT) + _ROW_VERSION]

    def n_attributes(self, row):
        return self.objects[(row << _ROW_SHIFT) + _ROW_N_ATTRIBUTES]

    def n_methods(self, row):
        return self.objects[(row << _ROW_SHIFT) + _ROW_N_METHODS]

    def entry(self, row, attribute):
        """Offset of the entry of an attribute (1..) in the attribute table."""
        at = (row << _ROW_SHIFT) + _ROW_FIRST_ENTRY
        first = self.objects[at] << 8 | self.objects[at + 1]
        return first + attribute - 1 << _ENTRY_SHIFT

    def kind(self, row, attribute):
        """0 computed, 1 in ROM, 2 in the image, 3 logical_name, 4 absent."""
        return self.attributes[self.entry(row, attribute)] & _KIND

    def shape(self, row, attribute):
        """Offset in shapes of what many attributes share: selectors, type, capacity."""
        e = self.entry(row, attribute)
        t = self.attributes
        return (t[e + _ENTRY_SHAPE] | (t[e] & 0xC0) << 2) * _SHAPE_LEN

    def selectors(self, row, attribute):
        """Access selectors of an attribute: bit n-1 for selector n."""
        return self.shapes[self.shape(row, attribute)]

    def type_at(self, row, attribute):
        """Offset of the type of an attribute in types."""
        at = self.shape(row, attribute) + _SHAPE_TYPE
        return self.shapes[at] << 8 | self.shapes[at + 1]

    def place(self, row, attribute):
        """Offset of the slot of an attribute, in the image or in ROM."""
        e = self.entry(row, attribute) + _ENTRY_SLOT
        return self.attributes[e] << 8 | self.attributes[e + 1]

    def slot(self, row, attribute):
        """Offset of the encoding of an attribute in the image; -1 if it is not there."""
        if self.kind(row, attribute) != _RAM:
            return -1
        return self.place(row, attribute) + 2

    def state(self, row, j):
        """Offset of hidden state j (0..) of an object in the image."""
        return self.slot(row, self.n_attributes(row) + 1 + j)

    def secret(self, row):
        """Number of the slot that has the secret of an association object, for slot() and the
        like: an attribute of Association LN, a hidden state of Association SN."""
        if self.class_id(row) == _ASSOCIATION_LN:
            return _SECRET
        return self.n_attributes(row) + 2

    def capacity(self, row, attribute):
        """Octets of the longest encoding that the slot of an attribute holds."""
        at = self.shape(row, attribute) + _SHAPE_CAPACITY
        return self.shapes[at] << 8 | self.shapes[at + 1]

    def value_len(self, row, attribute):
        """Octets of the stored encoding of an attribute; 0 if it is not stored."""
        kind = self.kind(row, attribute)
        at = self.place(row, attribute)
        if kind == _RAM:
            return self.image[at] << 8 | self.image[at + 1]
        if kind == _ROM:
            return self.rom[at] << 8 | self.rom[at + 1]
        return 0

    # --- Access without rights: scripts, captures, the meter program ------------------------

    def read(self, row, attribute, buf, pos, limit):
        """Write the A-XDR of an attribute at buf[pos:limit]; returns its end, or -1 - result."""
        if attribute < 1 or attribute > self.n_attributes(row):
            return -1 - _OBJECT_UNDEFINED
        s = self._stream
        dar = s.open_attribute(row, attribute)
        if dar:
            return -1 - dar
        pos = s.copy_all(buf, pos, limit)
        return pos if pos >= 0 else -1 - _OTHER_REASON

    def write(self, row, attribute, buf, pos, end):
        """Check the A-XDR buf[pos:end] against the attribute and take it; data_access_result."""
        dar = self.accepts(row, attribute, buf, pos, end)
        if dar:
            return dar
        return self.store(row, attribute, buf, pos, end)

    def accepts(self, row, attribute, buf, pos, end):
        """Would write() take this value? Changes nothing."""
        if attribute < 1 or attribute > self.n_attributes(row):
            return _OBJECT_UNDEFINED
        flags = self.attributes[self.entry(row, attribute)]
        kind = flags & _KIND
        if kind != _RAM and kind != _COMPUTED:
            return _READ_WRITE_DENIED
        tp = self.type_at(row, attribute)
        if types.check(self.types, tp, buf, pos, end) != end:
            return _TYPE_UNMATCHED
        if kind == _RAM and end - pos > self.capacity(row, attribute):
            return _OTHER_REASON
        if flags & _CHECK:
            return self.awake(row).check(row, attribute, buf, pos, end)
        return _SUCCESS

    def store(self, row, attribute, buf, pos, end):
        """Second half of write(): take a value that accepts() has passed."""
        flags = self.attributes[self.entry(row, attribute)]
        if flags & _KIND == _COMPUTED:
            dar = self.awake(row).set(row, attribute, buf, pos, end)
            if dar:
                return dar
        else:
            at = self.place(row, attribute)
            n = end - pos
            self.image[at] = n >> 8
            self.image[at + 1] = n & 0xFF
            copy(self.image, at + 2, buf, pos, n)
            if flags & _CHANGED:
                self.awake(row).changed(row, attribute)
        self.edited(row, attribute)
        return _SUCCESS

    def takes(self, row, method, buf, pos, end):
        """Is buf[pos:end] a parameter of this method? action_result.

        Where the class has the dummy integer(0), nothing at all is taken for it.
        """
        t = self.methods
        class_id = self.class_id(row)
        version = self.version(row)
        at = 0
        while t[at] << 8 | t[at + 1] != class_id or t[at + 2] != version:
            at += 4 + 2 * t[at + 3]
        at += 2 + 2 * method
        tp = t[at] << 8 | t[at + 1]
        if tp == _NO_PARAMETER:
            return _SUCCESS
        if pos == end:
            dummy = self.types[tp] == _RANGE and self.types[tp + 1] == _INTEGER
            return _SUCCESS if dummy else _TYPE_UNMATCHED
        return _SUCCESS if types.check(self.types, tp, buf, pos, end) == end else _TYPE_UNMATCHED

    def act(self, row, method, buf, pos, end):
        """Run a method, without return data; action_result.

        A method that runs others or reads (scripts and captures do) takes what it needs from its
        stream first.
        """
        handler = self.awake(row)
        if handler is None or method < 1 or method > self.n_methods(row):
            return _OBJECT_UNDEFINED
        result = self.takes(row, method, buf, pos, end)
        if result:
            return result
        s = self._stream
        s.association = None
        s.row = row
        s.n = 0
        s.out = b""
        s.out_pos = 0
        result = handler.invoke(s, method, buf, pos, end)
        if not result:
            self.edited(row, 0)
        return result

    def edited(self, row, attribute):
        """Say that a client or a script has changed something of an object."""
        self.edits = self.edits + 1 & 0xFFFFFF
        for a in self.associations:
            a.stream.edited(row, attribute)
        if self.on_edit is not None:
            self.on_edit(row, attribute)

    # --- Values as Python objects: the meter program ----------------------------------------

    def get_int(self, row, attribute):
        """The value of a stored integer, enum or boolean of up to 32 bits (64: program only)."""
        buf = self.image
        at = self.slot(row, attribute)
        if at < 0:
            buf = self.rom
            at = self.place(row, attribute) + 2
        tag = buf[at]
        n = self.value_len(row, attribute) - 1
        if n == 4:
            value = get_u32(buf, at + 1)
        else:
            value = 0
            for i in range(at + 1, at + 1 + n):
                value = value << 8 | buf[i]
        if (tag == _INTEGER or tag == _LONG or tag == _DOUBLE_LONG or tag == _LONG64) and buf[
            at + 1
        ] & 0x80:
            value -= 1 << (8 * n)
        return value

    def put_int(self, row, attribute, value):
        """Patch a stored integer in place: the tag stays, the value is clamped to the type."""
        at = self.slot(row, attribute)
        tag = self.image[at]
        n = self.value_len(row, attribute) - 1
        if tag == _INTEGER or tag == _LONG or tag == _DOUBLE_LONG or tag == _LONG64:
            top = (1 << (8 * n - 1)) - 1
            low = -top - 1
        else:
            top = (1 << (8 * n)) - 1
            low = 0
        value = top if value > top else low if value < low else value
        i = at + n
        while i > at:
            self.image[i] = value & 0xFF
            value >>= 8
            i -= 1

    def put_bytes(self, row, attribute, data):
        """Replace the content of a stored octet-string or visible-string of up to 127 octets."""
        at = self.slot(row, attribute)
        n = len(data)
        if n > 127 or n + 2 > self.capacity(row, attribute):
            return False
        self.image[at - 2] = 0
        self.image[at - 1] = n + 2
        self.image[at + 1] = n
        copy(self.image, at + 2, data, 0, n)
        return True
