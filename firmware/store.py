# SPDX-License-Identifier: MIT
"""Storage behind a meter: rings of profile rows and a snapshot of its values.

Two back ends of one interface, which is all that the meter asks for (flash.py has a third one, for
raw flash):

    storage.prepare(definition)               once, before anything else
    storage.load(image) -> bool               True: image[0:PERSISTENT] and extra are as last saved
    storage.save(image) -> bool               False: it could not be written; the old one is kept
    storage.ahead(image, most) -> bool        if there is one: see flash.py
    storage.extra                             octets of the firmware's own, saved with the image
    storage.ring(row, row_len, capacity)      the rows of a profile, see rings.py
    storage.keeps                             True: what is saved outlives the program
    storage.message                           a sentence for the person who starts the meter
    storage.damaged                           True: something was stored and cannot be read; seen
                                              at the start, or when a row is read
    storage.failed                            rows that could not be written since the start
    storage.close()

In files, power may fail at any write. The snapshot alternates between two files; the newer one
with a right CRC counts. Each definition has a folder of its own, named by its fingerprint: the
state of another one stays where it is, unread. Everything here may allocate.
"""

from binascii import crc32

from dlms.axdr import get_u32
from firmware.files import Files
from firmware.fingerprint import fingerprint
from firmware.rings import FileRing, RAMRing, put
from micropython import const

_EXTRA_LEN = const(64)

# A snapshot: "PMS1", sequence u32, fingerprint u32, length of the image u32, length of the extra
# u16, 2 spare; image; extra; CRC-32 of all that.
_SNAPSHOT_HEAD = const(20)
_CHUNK = const(256)


# --- In RAM ---------------------------------------------------------------------------------


class RAMStorage:
    """Storage for tests and for meters that need not remember: it ends with the program."""

    message = ""
    damaged = False
    keeps = False

    def __init__(self):
        self.failed = 0
        self.extra = bytearray(_EXTRA_LEN)
        self._rings = []

    def prepare(self, definition):
        pass

    def load(self, image):
        return False

    def save(self, image):
        for ring in self._rings:
            ring.prepare()
        return True

    def ring(self, row, row_len, capacity):
        self._rings.append(RAMRing(self, row_len, capacity))
        return self._rings[-1]

    def close(self):
        pass


# --- In files -------------------------------------------------------------------------------


class FileStorage:
    """A folder: in it one a definition, with the files a and b and one a profile.

    OSError from the constructor, prepare() and ring(): the folder cannot be used at all.
    """

    keeps = True

    def __init__(self, path, files=None):
        self.message = ""
        self.damaged = False
        self.failed = 0
        self.extra = bytearray(_EXTRA_LEN)
        self._path = path[:-1] if len(path) > 1 and path[-1] == "/" else path
        self.files = Files() if files is None else files
        self._rings = []
        self._slots = None
        self._lock = None
        self.sequence = 0  # number of the newest snapshot; 0: there is none

    def prepare(self, definition):
        files = self.files
        self._fingerprint = fingerprint(definition)
        self._persistent = definition.PERSISTENT
        self._objects = definition.OBJECTS
        name = "".join(
            c if "a" <= c <= "z" or "0" <= c <= "9" else "-" for c in definition.NAME.lower()
        )
        name = "%s-%08x" % (name, self._fingerprint)
        files.folder(self._path)
        others = [n for n in files.names(self._path) if n[0] != "." and n != name]
        self._folder = self._path + "/" + name
        if others and name not in files.names(self._path):
            self.message = (
                "This definition starts without stored state: the state in %s belongs to another "
                "definition (%s) and is kept as it is." % (self._path, ", ".join(others))
            )
        files.folder(self._folder)
        if files.shared(self._path) and files.shared(self._folder):
            self.message = (
                self.message + " Other users of this computer can read the keys and values in %s."
                " chmod 700 keeps them out." % self._path
            ).strip()
        try:
            self._lock = files.lock(self._folder + "/lock")
        except OSError:
            raise OSError("Another meter uses %s." % self._folder)
        self._slots = (files.open(self._folder + "/a"), files.open(self._folder + "/b"))

    def ring(self, row, row_len, capacity):
        at = row << 4
        name = "".join(["%02x" % b for b in self._objects[at + 2 : at + 8]])
        # The row too: two logical devices may have a profile of the same name.
        path = "%s/%d-%s" % (self._folder, row, name)
        ring = FileRing(self, path, row_len, capacity)
        self._rings.append(ring)
        return ring

    def _check(self, f, chunk, view):
        """Sequence of the snapshot in a file, 0: there is none, -1: it is damaged or torn."""
        left = f.seek(0, 2)
        if not left:
            return 0
        wanted = _SNAPSHOT_HEAD + self._persistent + len(self.extra) + 4
        if left < wanted:
            return -1
        f.seek(0)
        sequence = 0
        crc = 0
        left = wanted - 4
        while left:
            n = min(left, _CHUNK)
            if f.readinto(view[0:n]) != n:
                return -1
            if left == wanted - 4:
                if (
                    chunk[0:4] != b"PMS1"
                    or get_u32(chunk, 8) != self._fingerprint
                    or get_u32(chunk, 12) != self._persistent
                ):
                    return -1
                sequence = get_u32(chunk, 4)
            crc = crc32(view[0:n], crc)
            left -= n
        if f.readinto(view[0:4]) != 4 or get_u32(chunk, 0) != crc & 0xFFFFFFFF:
            return -1
        return sequence

    def load(self, image):
        chunk = bytearray(_CHUNK)
        view = memoryview(chunk)
        a = self._check(self._slots[0], chunk, view)
        b = self._check(self._slots[1], chunk, view)
        newest = a if a > b else b
        if newest <= 0:
            # The very first snapshot may have been torn. Then no ring has a row that was captured
            # under another one, and starting from the definition is right, but it is said.
            if a < 0 or b < 0:
                self.damaged = True
                self.message = (
                    self.message + " The stored values in %s are damaged: the meter starts with "
                    "those of its definition." % self._folder
                ).strip()
            return False
        f = self._slots[0 if a == newest else 1]
        self.sequence = newest
        f.seek(_SNAPSHOT_HEAD)
        n = f.readinto(memoryview(image)[0 : self._persistent])
        return n == self._persistent and f.readinto(self.extra) == len(self.extra)

    def save(self, image):
        sequence = self.sequence + 1
        head = bytearray(_SNAPSHOT_HEAD)
        head[0:4] = b"PMS1"
        put(head, 4, sequence, 4)
        put(head, 8, self._fingerprint, 4)
        put(head, 12, self._persistent, 4)
        put(head, 16, len(self.extra), 2)
        part = memoryview(image)[0 : self._persistent]
        crc = crc32(self.extra, crc32(part, crc32(head)))
        tail = bytearray(4)
        put(tail, 0, crc, 4)
        # Odd numbers go to a, even ones to b: never over the newest.
        f = self._slots[(sequence & 1) ^ 1]
        try:
            f.seek(0)
            for piece in (head, part, self.extra, tail):
                if f.write(piece) != len(piece):
                    return False
            self.files.sync(f)
        except OSError:
            return False
        self.sequence = sequence
        return True

    def sync(self, on):
        """Whether what is written survives a power failure; if so, what has been written does."""
        self.files.syncs = on
        for f in self._slots:
            self.files.sync(f)
        for ring in self._rings:
            ring.sync()

    def close(self):
        for ring in self._rings:
            ring.close()
        if self._slots is not None:
            self._slots[0].close()
            self._slots[1].close()
        if self._lock is not None:
            self._lock.close()
