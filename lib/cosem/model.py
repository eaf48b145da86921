# SPDX-License-Identifier: MIT
"""The object model: packed tables of a definition, and the image with the values at rest.

Implements the attribute and method access of IEC 62056-6-2 on the tables that tools/tables.py
makes. A value at rest is a slot: u16 length, then its A-XDR encoding. RAM holds the image; the
tables and the values that nobody changes stay where the definition is. After boot nothing here
allocates but put_bytes(), rows() and integers of 30 bits and more on 32-bit boards.

A late value is one that somebody may change and hardly anybody does: a list of scripts or
columns. It is in ROM until then. Its slot, in the room for all of them at the end of what is saved
of the image, is made when it is changed, and stays: u16 entry, u16 capacity, slot; then the next
one. What finds no room there is other-reason.
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
_LATE = const(5)
_CHECK = const(0x10)
_CHANGED = const(0x20)

_SUCCESS = const(0)
_HARDWARE_FAULT = const(1)
_READ_WRITE_DENIED = const(3)
_OBJECT_UNDEFINED = const(4)
_TYPE_UNMATCHED = const(12)
_OTHER_REASON = const(250)

_ASSOCIATION_LN = const(15)
_SECRET = const(7)

_LATE_HEAD = const(4)
_LENGTH_LEN = const(2)

_ITEM_MAX = const(384)

_INTEGER = const(0x0F)
_LONG = const(0x10)
_DOUBLE_LONG = const(0x05)
_LONG64 = const(0x14)


class Model(ClassModules):
    """All objects of a definition, their values, and the handlers of their classes."""

    # Handed in by the firmware, with on_security() (of the class: room in an instance only then).
    aes = None  # see crypto/gcm.py
    new_hash = None  # see crypto/hashes.py
    on_parameter = None  # by cosem/parameter_monitor.py: (row, attribute), as on_edit
    manufacturer_hls = None  # see dlms/hls.py
    tokens = None  # see token_gateway.py
    elliptic = None  # (name of a curve) -> new work of crypto/ec.py
    counter = None  # the meter's invocation counter, see security_setup.py
    follows = ()  # row << 8 | attribute, each: of the network, see firmware/links/interface.py
    images = None  # the store of cosem/image_transfer.py
    plc = None  # {profile: its station} of links over a power line, for the classes of PLC
    notifier = None  # () -> cosem/notifier.py, loaded now if need be; None: there is no room
    invoke_id = 0  # of the last notification
    on_executed = None  # (row, action_result): what the script of an object has come to
    counting = None  # by cosem/register_activation.py: a bit a row, set while a register counts

    def __init__(self, definition):
        # For the start; whoever has made the meter may let go of it (None) after that.
        self.definition = definition
        self.limits = definition.LIMITS
        self.configs = definition.ASSOCIATIONS
        self.system_title = definition.SYSTEM_TITLE
        self.image = bytearray(definition.RAM)
        self._late = definition.LATE
        self._late_end = definition.PERSISTENT
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
        self.full = False  # it could not be saved: nothing is written that would be lost
        self.random_fill = None
        # Certificates and private keys, see firmware/vault.py; False: from open_vault() on.
        self.vault = None
        self.open_vault = None
        # (wanted): called before dlms/secured.py begins its work, and when it has ended it.
        self.on_security = None
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
        e = self.entry(row, attribute)
        kind = self.attributes[e] & _KIND
        if kind == _LATE:
            return _ROM if self._find_late(e) < 0 else _RAM
        return kind

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
        t = self.attributes
        e = self.entry(row, attribute)
        if t[e] & _KIND == _LATE:
            at = self._find_late(e)
            if at >= 0:
                return at
        return t[e + _ENTRY_SLOT] << 8 | t[e + _ENTRY_SLOT + 1]

    def slot(self, row, attribute):
        """Offset of the encoding of an attribute in the image; -1 if it is not there."""
        t = self.attributes
        e = self.entry(row, attribute)
        kind = t[e] & _KIND
        if kind == _RAM:
            return (t[e + _ENTRY_SLOT] << 8 | t[e + _ENTRY_SLOT + 1]) + _LENGTH_LEN
        if kind == _LATE:
            at = self._find_late(e)
            if at >= 0:
                return at + _LENGTH_LEN
        return -1

    def own(self, row, attribute):
        """As slot(), for what is about to be changed: a late value comes to the image. If it
        cannot be there, -1 - data_access_result."""
        at = self.slot(row, attribute)
        if at >= 0:
            return at
        e = self.entry(row, attribute)
        if self.attributes[e] & _KIND != _LATE:
            return -1 - _READ_WRITE_DENIED
        at = ~self._find_late(e)
        n = self.capacity(row, attribute)
        image = self.image
        if at + _LATE_HEAD + _LENGTH_LEN + n > self._late_end:
            return -1 - _OTHER_REASON
        was = self.place(row, attribute)
        length = _LENGTH_LEN + self.value_len(row, attribute)
        image[at] = e >> 8
        image[at + 1] = e & 0xFF
        image[at + 2] = n >> 8
        image[at + 3] = n & 0xFF
        at += _LATE_HEAD
        copy(image, at, self.rom, was, length)
        return at + _LENGTH_LEN

    def _find_late(self, e):
        """Offset in the image of the slot of late entry e; ~ that of the end of all, if it is in
        ROM."""
        image = self.image
        at = self._late
        while at + _LATE_HEAD <= self._late_end:
            found = image[at] << 8 | image[at + 1]
            if found == e:
                return at + _LATE_HEAD
            if not found:
                break
            at += _LATE_HEAD + _LENGTH_LEN + (image[at + 2] << 8 | image[at + 3])
        return ~at

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
        """Would write() take this value? Changes none; room for a late one is taken here."""
        if attribute < 1 or attribute > self.n_attributes(row):
            return _OBJECT_UNDEFINED
        flags = self.attributes[self.entry(row, attribute)]
        kind = flags & _KIND
        if kind != _RAM and kind != _COMPUTED and kind != _LATE:
            return _READ_WRITE_DENIED
        tp = self.type_at(row, attribute)
        if types.check(self.types, tp, buf, pos, end) != end:
            return _TYPE_UNMATCHED
        if kind != _COMPUTED and end - pos > self.capacity(row, attribute):
            return _OTHER_REASON
        if flags & _CHECK:
            dar = self.awake(row).check(row, attribute, buf, pos, end)
            if dar:
                return dar
        if kind == _LATE and not self._is(row, attribute, buf, pos, end):
            at = self.own(row, attribute)
            if at < 0:
                return -1 - at
        return _SUCCESS

    def _is(self, row, attribute, buf, pos, end):
        """Is buf[pos:end] what ROM has of a late value that is still there?"""
        n = end - pos
        return (
            self.slot(row, attribute) < 0
            and n == self.value_len(row, attribute)
            and compare(self.rom, self.place(row, attribute) + _LENGTH_LEN, buf, pos, n) == 0
        )

    def store(self, row, attribute, buf, pos, end):
        """Second half of write(): take a value that accepts() has passed."""
        flags = self.attributes[self.entry(row, attribute)]
        if flags & _KIND == _COMPUTED:
            dar = self.awake(row).set(row, attribute, buf, pos, end)
            if dar:
                return dar
        else:
            # A late value that is still in ROM is the same.
            at = self.slot(row, attribute)
            if at >= 0:
                n = end - pos
                self.image[at - 2] = n >> 8
                self.image[at - 1] = n & 0xFF
                copy(self.image, at, buf, pos, n)
            if flags & _CHANGED and self.awake(row).changed(row, attribute):
                return _HARDWARE_FAULT
        self.edited(row, attribute)
        return _SUCCESS

    def edited(self, row, attribute):
        """Say that a client or a script has changed something of an object."""
        self.edits = self.edits + 1 & 0xFFFFFF
        for a in self.associations:
            a.stream.edited(row, attribute)
        if self.on_parameter is not None:
            self.on_parameter(row, attribute)
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
