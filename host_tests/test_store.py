# SPDX-License-Identifier: MIT
"""Storage: rings and snapshots, in RAM and in files, over damage and over power cuts.

The power cuts are injected under FileStorage: a file system in memory that stops at write number
n, with none, some or all of its octets done. After it the files are opened again, and everything
must be as before the interrupted call or as after it.
"""

import os
import stat
import subprocess
import types

import pytest
from conftest import ROOT

from firmware.store import FileStorage, Files, RAMStorage, fingerprint

OBJECTS = (
    b"\x00\x07\x01\x00\x63\x01\x00\xff" + bytes(8) + b"\x00\x07\x00\x00\x63\x62\x00\xff" + bytes(8)
)


def definition(name="Test meter", persistent=40, rings=((0, 8, 5), (1, 3, 4))):
    d = types.ModuleType("definition")
    d.NAME = name
    d.OBJECTS = OBJECTS
    d.ATTRIBUTES = b"attributes"
    d.SHAPES = b"shapes"
    d.TYPES = b"types"
    d.PERSISTENT = persistent
    d.RINGS = rings
    return d


def row(n, row_len=8):
    return bytes((n + k) & 0xFF for k in range(row_len))


def rows(ring):
    """All rows of a ring; None stands for one that reads False."""
    out = []
    for k in range(ring.n):
        buf = bytearray(ring.row_len + 2)
        out.append(bytes(buf[1:-1]) if ring.read(k, buf, 1) else None)
        assert buf[0] == buf[-1] == 0, "written beyond the row"
    return out


def append(ring, *numbers):
    for n in numbers:
        assert ring.append(b"\xee" + row(n, ring.row_len) + b"\xee", 1)


# --- A file system in memory ------------------------------------------------------------------


class PowerCut(BaseException):
    pass


class MemoryFile:
    def __init__(self, files, data):
        self.files = files
        self.data = data
        self.pos = 0

    def seek(self, pos, whence=0):
        self.pos = pos if whence == 0 else len(self.data) + pos
        return self.pos

    def readinto(self, buf):
        part = self.data[self.pos : self.pos + len(buf)]
        buf[: len(part)] = part
        self.pos += len(part)
        return len(part)

    def read(self, n):
        part = bytes(self.data[self.pos : self.pos + n])
        self.pos += len(part)
        return part

    def write(self, part):
        part = bytes(part)
        n = self.files.allowed(len(part))
        if self.pos > len(self.data):
            self.data.extend(bytes(self.pos - len(self.data)))
        self.data[self.pos : self.pos + n] = part[:n]
        self.pos += n
        if self.files.off:
            raise PowerCut
        return n

    def close(self):
        pass


class MemoryFiles:
    """Files that lose power at write number cut_at, after `part` eighths of its octets."""

    def __init__(self, data=None):
        self.data = {} if data is None else data
        self.folders = set()
        self.cut_at = -1
        self.part = 0
        self.n_writes = 0
        self.full = False
        self.short = False  # half of each write is done
        self.off = False

    def allowed(self, n):
        if self.off:
            raise PowerCut
        if self.full:
            raise OSError(28)
        self.n_writes += 1
        if self.n_writes - 1 == self.cut_at:
            self.off = True
            return n * self.part // 8
        return n // 2 if self.short else n

    def folder(self, path):
        self.folders.add(path)

    def names(self, path):
        return sorted(f[len(path) + 1 :] for f in self.folders if f.startswith(path + "/"))

    def open(self, path):
        return MemoryFile(self, self.data.setdefault(path, bytearray()))

    def create(self, path):
        self.change()
        self.data[path] = bytearray()
        return self.open(path)

    def clear(self, path):
        for name in [n for n in self.data if n == path or n.startswith(path + "/")]:
            self.change()
            del self.data[name]

    def change(self):
        """A change of names, which is done or not."""
        self.allowed(0)
        if self.off:
            raise PowerCut

    def sync(self, f):
        pass

    def settle(self):
        pass

    def shared(self, path):
        return False

    def lock(self, path):
        return None


def storage_on(files, **kwargs):
    storage = FileStorage("state", files)
    storage.prepare(definition(**kwargs))
    return storage


@pytest.fixture(params=["RAM", "memory files", "files"])
def storage(request, tmp_path):
    if request.param == "RAM":
        s = RAMStorage()
    elif request.param == "memory files":
        s = FileStorage("state", MemoryFiles())
    else:
        s = FileStorage(str(tmp_path / "state"))
    s.prepare(definition())
    yield s
    s.close()


# --- Rings, in every back end -----------------------------------------------------------------


def test_ring_fills_and_the_oldest_makes_room(storage):
    ring = storage.ring(0, 8, 5)
    assert (ring.n, ring.capacity, ring.row_len) == (0, 5, 8)
    append(ring, 1, 2, 3)
    assert rows(ring) == [row(1), row(2), row(3)]
    first = ring.first
    append(ring, 4, 5, 6, 7)
    assert rows(ring) == [row(3), row(4), row(5), row(6), row(7)]
    assert ring.first == first + 2


def test_ring_reads_nothing_outside(storage):
    ring = storage.ring(0, 8, 5)
    append(ring, 1)
    buf = bytearray(8)
    assert not ring.read(1, buf, 0)
    assert not ring.read(-1, buf, 0)
    assert buf == bytes(8)


def test_ring_clears(storage):
    ring = storage.ring(0, 8, 5)
    append(ring, *range(8))
    last = ring.first + ring.n
    assert ring.clear()
    assert ring.n == 0 and ring.first >= last
    append(ring, 9)
    assert rows(ring) == [row(9)]


def test_ring_of_one_row(storage):
    ring = storage.ring(1, 3, 1)
    append(ring, 1, 2)
    assert rows(ring) == [row(2, 3)]


def test_long_ring(storage):
    ring = storage.ring(0, 8, 100)
    append(ring, *range(250))
    assert rows(ring) == [row(n) for n in range(150, 250)]


# --- Files come back --------------------------------------------------------------------------


def test_rows_and_values_survive_a_restart():
    files = MemoryFiles()
    a = storage_on(files)
    image = bytearray(range(60))
    assert not a.load(image)
    a.extra[0] = 7
    append(a.ring(0, 8, 5), *range(7))
    append(a.ring(1, 3, 4), 1)
    assert a.save(image)
    b = storage_on(files)
    again = bytearray(60)
    assert b.load(again)
    assert again == bytes(range(40)) + bytes(20)
    assert b.extra[0] == 7
    ring = b.ring(0, 8, 5)
    assert rows(ring) == [row(n) for n in range(2, 7)]
    assert rows(b.ring(1, 3, 4)) == [row(1, 3)]
    append(ring, 7)
    assert rows(storage_on(files).ring(0, 8, 5)) == [row(n) for n in range(3, 8)]


def test_the_newest_of_many_snapshots_counts():
    files = MemoryFiles()
    s = storage_on(files)
    for n in range(9):
        assert s.save(bytearray([n] * 60))
        image = bytearray(60)
        assert storage_on(files).load(image)
        assert image[0] == n


def test_cleared_rows_stay_cleared():
    files = MemoryFiles()
    ring = storage_on(files).ring(0, 8, 5)
    append(ring, *range(9))
    ring.clear()
    ring = storage_on(files).ring(0, 8, 5)
    assert ring.n == 0
    append(ring, 1)
    assert rows(storage_on(files).ring(0, 8, 5)) == [row(1)]


def test_another_definition_leaves_the_state_alone():
    files = MemoryFiles()
    a = storage_on(files)
    assert a.message == ""
    a.save(bytearray([1] * 60))
    b = storage_on(files, persistent=41)
    assert not b.load(bytearray(60))
    assert "belongs to another definition" in b.message
    assert "test-meter-%08x" % fingerprint(definition()) in b.message
    b.save(bytearray([2] * 60))
    assert storage_on(files, persistent=41).message == ""
    # The first one finds its own again.
    image = bytearray(60)
    assert storage_on(files).load(image) and image[0] == 1


def test_fingerprint_sees_everything_that_moves_octets():
    prints = {
        fingerprint(d)
        for d in (
            definition(),
            definition(persistent=41),
            definition(rings=((0, 9, 5), (1, 3, 4))),
            definition(rings=((0, 8, 6), (1, 3, 4))),
        )
    }
    assert len(prints) == 4


# --- Damage -----------------------------------------------------------------------------------


def ring_file(files, n):
    return next(data for path, data in files.data.items() if "/%d-" % n in path)


@pytest.mark.parametrize("slot", range(5))
def test_a_damaged_row_takes_no_other_with_it(slot):
    for octet in range(14):
        for bit in (1, 0x80):
            files = MemoryFiles()
            append(storage_on(files).ring(0, 8, 5), *range(5))
            ring_file(files, 0)[64 + 14 * slot + octet] ^= bit
            ring = storage_on(files).ring(0, 8, 5)
            good = [row(n) for n in range(5) if n != slot]
            assert [r for r in rows(ring) if r is not None] == good
            append(ring, 5)
            assert rows(ring)[-1] == row(5)


def test_damage_while_running_reads_false():
    files = MemoryFiles()
    ring = storage_on(files).ring(0, 8, 5)
    append(ring, *range(5))
    ring_file(files, 0)[64 + 14 * 2 + 6] ^= 1
    assert not ring._storage.damaged
    assert rows(ring) == [row(0), row(1), None, row(3), row(4)]
    assert ring._storage.damaged


@pytest.mark.parametrize("missing", [False, True])
def test_an_emptied_file_is_damage(missing):
    def start():
        storage = storage_on(files)
        storage.load(bytearray(60))
        return storage, [storage.ring(n, 8, 5) for n in (0, 1)]

    files = MemoryFiles()
    # At the first start no file is there, and after it none has rows.
    for _ in range(2):
        storage, rings = start()
        assert not storage.damaged and not storage.message
        assert storage.save(bytearray(60))
    append(rings[0], 1, 2, 3)
    append(rings[1], 4, 5)
    if missing:
        del files.data[next(path for path in files.data if "/0-" in path)]
    else:
        del ring_file(files, 0)[:]
    storage, rings = start()
    assert storage.damaged
    assert "Rows of a profile are damaged; the good ones are kept." in storage.message
    assert [rows(ring) for ring in rings] == [[], [row(4), row(5)]]
    append(rings[0], 9)
    # Once said, it is a ring as any other.
    storage, rings = start()
    assert not storage.damaged and rows(rings[0]) == [row(9)]


def test_rows_survive_both_headers():
    files = MemoryFiles()
    append(storage_on(files).ring(0, 8, 5), *range(7))
    ring_file(files, 0)[0:64] = bytes(64)
    assert rows(storage_on(files).ring(0, 8, 5)) == [row(n) for n in range(2, 7)]


@pytest.mark.parametrize("length", [0, 10, 64, 70, 64 + 14, 64 + 14 * 3 + 5])
def test_a_file_that_was_cut_short_keeps_the_rest(length):
    files = MemoryFiles()
    append(storage_on(files).ring(0, 8, 5), *range(5))
    del ring_file(files, 0)[length:]
    ring = storage_on(files).ring(0, 8, 5)
    assert rows(ring) == [row(n) for n in range(max(0, (length - 64) // 14))]
    append(ring, 9)
    assert rows(ring)[-1] == row(9)


def test_one_damaged_snapshot_falls_back_to_the_other():
    files = MemoryFiles()
    s = storage_on(files)
    s.save(bytearray([1] * 60))
    s.save(bytearray([2] * 60))
    newest = next(d for p, d in files.data.items() if p.endswith("/b"))
    newest[30] ^= 1
    s = storage_on(files)
    image = bytearray(60)
    assert s.load(image) and image[0] == 1 and not s.damaged
    assert s.save(bytearray([3] * 60))
    s = storage_on(files)
    assert s.load(image) and image[0] == 3


def test_two_damaged_snapshots_are_said():
    files = MemoryFiles()
    s = storage_on(files)
    s.save(bytearray([1] * 60))
    s.save(bytearray([2] * 60))
    for path, data in files.data.items():
        if path.endswith(("/a", "/b")):
            data[30] ^= 1
    s = storage_on(files)
    image = bytearray([9] * 60)
    assert not s.load(image)
    assert image == bytearray([9] * 60)
    assert s.damaged and "damaged" in s.message


def test_a_full_disk_is_a_return_value():
    files = MemoryFiles()
    s = storage_on(files)
    ring = s.ring(0, 8, 5)
    append(ring, *range(5))
    assert s.save(bytearray([1] * 60))
    files.full = True
    assert not ring.append(row(9), 0)
    assert s.failed == 1
    assert not ring.clear()
    assert not s.save(bytearray([2] * 60))
    assert rows(ring) == [row(n) for n in range(5)]
    files.full = False
    append(ring, 5)
    assert rows(ring) == [row(n) for n in range(1, 6)]
    assert s.save(bytearray([3] * 60))


# --- Power cuts -------------------------------------------------------------------------------

# What is done in order: appends to two rings, clears, saves.
DAY = (
    [("append", 0, n) for n in range(4)]
    + [("save", 1), ("append", 1, 20), ("save", 2)]
    + [("append", 0, n) for n in range(4, 9)]
    + [("clear", 0), ("save", 3), ("append", 0, 30), ("append", 0, 31), ("append", 1, 21)]
    + [("append", 1, n) for n in range(22, 26)]
    + [("clear", 1), ("append", 1, 40), ("save", 4), ("save", 5)]
    + [("append", 0, n) for n in range(50, 57)]
)
RINGS = ((8, 5), (3, 4))


def do(step, storage, rings):
    if step[0] == "append":
        ring = rings[step[1]]
        return ring.append(row(step[2], ring.row_len), 0)
    if step[0] == "clear":
        return rings[step[1]].clear()
    storage.extra[3] = step[1]
    return storage.save(bytearray([step[1]] * 60))


def model_of(steps):
    """What must be there after these steps: rows of the two rings, number of the snapshot."""
    out = [[], []]
    saved = 0
    for step in steps:
        if step[0] == "append":
            out[step[1]] = (out[step[1]] + [row(step[2], RINGS[step[1]][0])])[-RINGS[step[1]][1] :]
        elif step[0] == "clear":
            out[step[1]] = []
        else:
            saved = step[1]
    return out, saved


def state(files):
    storage = storage_on(files)
    image = bytearray(60)
    saved = image[0] if storage.load(image) else 0
    assert image == bytearray([saved] * 40) + bytes(20), "a mixture"
    assert storage.extra[3] == saved, "a mixture"
    return [rows(storage.ring(n, *RINGS[n])) for n in (0, 1)], saved


def test_power_cut_at_every_write():
    files = MemoryFiles()
    storage = storage_on(files)
    rings = [storage.ring(n, *RINGS[n]) for n in (0, 1)]
    start = files.n_writes
    for step in DAY:
        assert do(step, storage, rings)
    total = files.n_writes
    assert state(files) == model_of(DAY)
    tried = 0
    for cut_at in range(total):
        for part in (0, 1, 4, 7, 8):
            files = MemoryFiles()
            files.cut_at = cut_at
            files.part = part
            done = 0
            try:
                storage = storage_on(files)
                rings = [storage.ring(n, *RINGS[n]) for n in (0, 1)]
                for step in DAY:
                    do(step, storage, rings)
                    done += 1
            except PowerCut:
                pass
            assert files.off
            found_rows, found = state(MemoryFiles(files.data))
            before_rows, before = model_of(DAY[:done])
            after_rows, after = model_of(DAY[: done + 1])
            assert found in (before, after)
            for n in (0, 1):
                # A torn row may have taken the one that it was to replace.
                old = [before_rows[n]]
                if len(before_rows[n]) == RINGS[n][1]:
                    old.append(before_rows[n][1:])
                assert found_rows[n] in old + [after_rows[n]], (cut_at, part, done)
            # And it goes on from there.
            files = MemoryFiles(files.data)
            storage = storage_on(files)
            storage.load(bytearray(60))
            rings = [storage.ring(n, *RINGS[n]) for n in (0, 1)]
            assert do(("append", 0, 99), storage, rings) and do(("save", 99), storage, rings)
            again_rows, again = state(files)
            assert again_rows[0] == (found_rows[0] + [row(99)])[-5:] and again == 99
            tried += 1
    print("power cuts tried: %d, at %d writes (%d to set up)" % (tried, total, start))


# --- A real folder ----------------------------------------------------------------------------


@pytest.mark.skipif(os.name != "posix", reason="files have no owner and rights here, as on POSIX")
def test_nobody_else_may_read(tmp_path):
    old = os.umask(0)
    try:
        path = tmp_path / "deep" / "state"
        s = FileStorage(str(path))
        s.prepare(definition())
        s.ring(0, 8, 5)
        s.save(bytearray(60))
        assert s.message == ""
        for folder, _, names in os.walk(tmp_path / "deep"):
            assert stat.S_IMODE(os.stat(folder).st_mode) == 0o700
            for name in names:
                assert stat.S_IMODE(os.stat(os.path.join(folder, name)).st_mode) == 0o600
        s.close()
    finally:
        os.umask(old)


@pytest.mark.skipif(os.name != "posix", reason="files have no locks here, as on POSIX")
def test_two_meters_do_not_share(tmp_path):
    a = FileStorage(str(tmp_path))
    a.prepare(definition())
    with pytest.raises(OSError, match="Another meter uses"):
        FileStorage(str(tmp_path)).prepare(definition())
    a.close()
    b = FileStorage(str(tmp_path))
    b.prepare(definition())
    b.close()


def test_real_files_come_back(tmp_path):
    for n in range(3):
        s = FileStorage(str(tmp_path) + "/", Files(sync=n == 1))
        s.prepare(definition())
        image = bytearray(60)
        assert s.load(image) == (n > 0)
        assert image[0] == n
        ring = s.ring(0, 8, 5)
        assert rows(ring) == [row(k) for k in range(n)]
        append(ring, n)
        assert s.save(bytearray([n + 1] * 60))
        s.close()


# --- MicroPython ------------------------------------------------------------------------------

SCRIPT = """
import sys
sys.path[:0] = [{lib!r}, {root!r}]
import micropython
from firmware.store import FileStorage, RAMStorage
class definition:
    NAME = "Test meter"
    OBJECTS = {objects!r}
    ATTRIBUTES = b"attributes"
    SHAPES = b"shapes"
    TYPES = b"types"
    PERSISTENT = 40
    RINGS = ((0, 8, 5), (1, 3, 4))
def reads(ring, buf):
    micropython.heap_lock()
    good = 0
    k = 0
    while k < ring.n + 1:
        if ring.read(k, buf, 2):
            good += 1
        k += 1
    micropython.heap_unlock()
    return good
for storage in (RAMStorage(), FileStorage({path!r})):
    storage.prepare(definition)
    image = bytearray(60)
    print(storage.load(image), image[0], storage.extra[5])
    ring = storage.ring(0, 8, 5)
    buf = bytearray(12)
    print(ring.n, reads(ring, buf))
    for n in range(7):
        assert ring.append(bytes([n] * 8), 0)
    print(ring.n, reads(ring, buf), buf[2])
    image[0] = 9
    storage.extra[5] = 4
    assert storage.save(image)
    storage.close()
"""


def test_micropython_reads_without_allocating(micropython, tmp_path):
    path = tmp_path / "ring.py"
    path.write_text(
        SCRIPT.format(
            lib=os.path.join(ROOT, "lib"),
            root=ROOT,
            objects=OBJECTS,
            path=str(tmp_path / "state"),
        )
    )
    for n in range(2):
        answer = subprocess.run(
            [micropython, str(path)], capture_output=True, text=True, timeout=60, check=False
        )
        assert answer.returncode == 0, answer.stdout + answer.stderr
        lines = answer.stdout.split("\n")
        assert lines[:3] == ["False 0 0", "0 0", "5 5 6"]
        assert lines[3:6] == (
            ["False 0 0", "0 0", "5 5 6"] if n == 0 else ["True 9 4", "5 5", "5 5 6"]
        )
    # CPython goes on with what MicroPython has left.
    s = FileStorage(str(tmp_path / "state"))
    s.prepare(definition())
    image = bytearray(60)
    assert s.load(image) and image[0] == 9
    assert rows(s.ring(0, 8, 5))[-1] == bytes([6] * 8)
    s.close()
