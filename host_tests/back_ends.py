# SPDX-License-Identifier: MIT
"""What a meter's state can be kept in, and how power fails there, for tests that cut it.

storage()            a new storage over what there is; its `files`: where images are kept
count()              writes so far; off(): power has failed
cut(at, part)        power fails in write number `at` (from 0), when `part` of it is done
again()              what is found after that, by the next start
wear(on)             nothing can be written any more: full, or worn out
regions()            what is stored, as (name, octets, first, last): for bits that flip

files      each write is done as it comes, in order: the worst that a file system may do
fat        sectors of 512 octets are written with sync() or close(), the length of the file last
littlefs   what was written counts from sync() or close() on, all of it at once
flash      raw flash; images in files beside it
nvm        room for two snapshots, octets that are written one by one
sector     nvm as the RP2040 has it: every write erases all of it
ram        nothing is kept but images, in files beside it
"""

from device.nor import NOR
from device.nor import PowerCut as FlashCut
from test_store import MemoryFile, MemoryFiles
from test_store import PowerCut as FileCut

from firmware.circuitpython.nvm import NVMStorage
from firmware.flash import FlashStorage
from firmware.store import FileStorage, RAMStorage

Cut = (FileCut, FlashCut)
_SECTOR = 512


def copied(data):
    return {name: bytearray(octets) for name, octets in data.items()}


class Files:
    """A file system."""

    keeps = True  # values
    keeps_rows = True
    may_lose = False  # a write that is torn takes what was there before
    parts = (0, 3, 8)  # eighths of a write that are done
    wears = ("full", "short")  # an error; half of a write is done, as its result says

    def __init__(self):
        self.device = self.files = MemoryFiles()

    def storage(self):
        return FileStorage("state", self.device)

    def cut(self, at, part):
        self.device.cut_at, self.device.part = at, part

    def count(self):
        return self.device.n_writes

    def off(self):
        return self.device.off

    def again(self):
        other = type(self)()
        other.device.data = copied(self.device.data)
        return other

    def wear(self, on, how="full"):
        setattr(self.device, how, on)

    def regions(self):
        for name, data in sorted(self.files.data.items()):
            kind = name.rpartition("/")[2]
            if kind in ("a", "b"):
                yield "heads of snapshots", data, 0, min(20, len(data))
                yield "values", data, 20, len(data) - 4
                yield "checks of snapshots", data, len(data) - 4, len(data)
            elif kind not in ("journal", "image", "map"):
                yield "heads of rings", data, 0, min(64, len(data))
                yield "rows", data, 64, len(data)
            else:
                yield kind, data, 0, len(data)


# --- File systems that cache --------------------------------------------------------------------


class CachedFile(MemoryFile):
    def close(self):
        self.files.sync(self)


class CachingFiles(MemoryFiles):
    """durable: what a power failure leaves."""

    def __init__(self):
        MemoryFiles.__init__(self)
        self.durable = {}

    def open(self, path):
        return CachedFile(self, self.data.setdefault(path, bytearray()))

    def allowed(self, n):
        # Of what goes to the cache: it can fail, and does not count.
        if self.off:
            raise FileCut
        if self.full:
            raise OSError(28)
        return n // 2 if self.short else n

    def create(self, path):
        self.data[path] = bytearray()
        return self.open(path)

    def clear(self, path):
        for name in [n for n in self.data if n == path or n.startswith(path + "/")]:
            if self.disk(1):
                del self.data[name]
                self.durable.pop(name, None)
            if self.off:
                raise FileCut

    def disk(self, n):
        """A write of the device; how much of it is done."""
        return MemoryFiles.allowed(self, n)

    def sync(self, f):
        for path, data in self.data.items():
            if data is f.data and self.durable.get(path) != data:
                self.store(path, data)

    def settle(self):
        for path, data in self.data.items():
            if self.durable.get(path) != data:
                self.store(path, data)


class FATFiles(CachingFiles):
    def store(self, path, data):
        durable = self.durable.setdefault(path, bytearray())
        size = len(durable)
        if len(data) < size:
            size = len(data)
            del durable[size:]
        new = bytearray(durable) + bytes(len(data) - len(durable))
        for at in range(0, len(data), _SECTOR):
            sector = data[at : at + _SECTOR]
            if new[at : at + _SECTOR] == sector:
                continue
            n = self.disk(len(sector))
            new[at : at + n] = sector[:n]
            durable[:] = new[:size]
            if self.off:
                raise FileCut
        if size < len(data):
            if self.disk(1):
                durable[:] = new
            if self.off:
                raise FileCut


class LittleFiles(CachingFiles):
    def store(self, path, data):
        if self.disk(1):
            self.durable[path] = bytearray(data)
        if self.off:
            raise FileCut


class FAT(Files):
    parts = (0, 3, 8)
    kind = FATFiles

    def __init__(self):
        self.device = self.files = self.kind()

    def again(self):
        other = type(self)()
        other.device.data = copied(self.device.durable)
        other.device.durable = copied(self.device.durable)
        return other


class LittleFS(FAT):
    parts = (0, 8)
    kind = LittleFiles


# --- Devices, with images in files beside them -------------------------------------------------


class Beside(MemoryFiles):
    """Files on the power of another device."""

    def __init__(self, device, data=None):
        self._device = device
        MemoryFiles.__init__(self, data)

    @property
    def off(self):
        return self._device.off

    @off.setter
    def off(self, off):
        pass

    def allowed(self, n):
        if self.off:
            raise FileCut
        if self.full:
            raise OSError(28)
        if not self._device.strikes():
            return n
        part = self._device.part
        return n if part < 0 else min(n, part)


class Flash(Files):
    parts = (0, 40, -1)  # octets
    wears = ("ignores", "fails", "stuck")  # see device/nor.py

    def __init__(self, cells=None, data=None):
        self.device = NOR(120, 4096, cells)
        self.files = Beside(self.device, data)

    def storage(self):
        storage = FlashStorage(self.device)
        storage.files = self.files
        return storage

    def count(self):
        return self.device.n

    def again(self):
        return Flash(bytearray(self.device.cells), copied(self.files.data))

    def wear(self, on, how="ignores"):
        if how == "fails":
            on = range(self.device.blocks if on else 0)
        setattr(self.device, how, on)
        self.files.full = bool(on)

    def regions(self):
        device = self.device
        cells, n = device.cells, device.block_len
        used = [b for b in range(device.blocks) if min(cells[b * n : b * n + n]) != 0xFF]
        for block in used:
            first = last = block * n
            for at in range(first, first + n):
                if cells[at] != 0xFF:
                    last = at + 1
            yield "directory" if block < 2 else "records", cells, first, last
            yield "erased", cells, last, first + n
        for name, data in sorted(self.files.data.items()):
            yield name.rpartition("/")[2], data, 0, len(data)


class ByteArray:
    """As nvm.ByteArray; power may fail in an assignment, after some eighths of it. erases: it is
    one sector, of which an assignment erases all before it writes it again."""

    def __init__(self, octets, erases):
        self.octets = octets
        self.erases = erases
        self.n = 0
        self.cut_at = -1
        self.part = 0
        self.off = False
        self.worn = False

    def __len__(self):
        return len(self.octets)

    def __getitem__(self, index):
        return self.octets[index]

    def strikes(self):
        self.n += 1
        self.off = self.n - 1 == self.cut_at
        return self.off

    def __setitem__(self, index, data):
        if self.off:
            raise FileCut
        if self.worn:
            raise RuntimeError("NVM write failed")
        if self.strikes():
            new = bytearray(self.octets)
            new[index] = data
            first = 0 if self.erases else index.start
            n = (len(new) if self.erases else len(data)) * max(self.part, 0) // 8
            if self.erases and self.part:
                self.octets[:] = b"\xff" * len(new)
            self.octets[first : first + n] = new[first : first + n]
            raise FileCut
        self.octets[index] = data


class NVM(Files):
    keeps_rows = False
    wears = ("worn",)
    size = 16384
    erases = False

    def __init__(self, octets=None, data=None):
        octets = bytearray(self.size) if octets is None else octets
        self.device = ByteArray(octets, self.erases)
        self.files = Beside(self.device, data)

    def storage(self):
        storage = NVMStorage(self.device)
        storage.files = self.files
        return storage

    def count(self):
        return self.device.n

    def again(self):
        return type(self)(bytearray(self.device.octets), copied(self.files.data))

    def wear(self, on, how="worn"):
        self.device.worn = self.files.full = on

    def regions(self):
        octets = self.device.octets
        for at in (0, len(octets) // 2):
            if octets[at : at + 4] == b"PMN1":
                last = at + 18 + (octets[at + 12] << 8 | octets[at + 13])
                for name, first, n in (
                    ("magic", 0, 4),
                    ("sequence", 4, 4),
                    ("fingerprint", 8, 4),
                    ("length", 12, 2),
                    ("check", 14, 4),
                ):
                    yield name, octets, at + first, at + first + n
                yield "pieces", octets, at + 18, last
        for name, data in sorted(self.files.data.items()):
            yield name.rpartition("/")[2], data, 0, len(data)


class Sector(NVM):
    may_lose = True
    parts = (0, -1, 5)  # -1: erased, and nothing written
    size = 4096
    erases = True


class RAM(NVM):
    keeps = False

    def storage(self):
        storage = RAMStorage()
        storage.files = self.files
        return storage

    def wear(self, on, how="worn"):
        self.files.full = on


BACK_ENDS = {
    "files": Files,
    "fat": FAT,
    "littlefs": LittleFS,
    "flash": Flash,
    "nvm": NVM,
    "sector": Sector,
    "ram": RAM,
}
