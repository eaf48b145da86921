# SPDX-License-Identifier: MIT
"""Rings: the rows of a profile, of one length, the oldest of which makes room for the newest.

    n, capacity, row_len     first: sequence number of the oldest row
    append(buf, pos) -> bool False: it could not be stored, and the ring is as before
    read(k, buf, pos) -> bool   k = 0 is the oldest; False: the row is damaged, or there is none
    clear() -> bool
    buffer()    room for a row, which read() and append() take, too; its content stays until the
                storage is used for something else, or such an append() fails

In a file, power may fail at any write. A row is one write, with its sequence number and a CRC: a
torn one is not there, and takes nothing with it but the oldest row of a full ring, which it was
to replace. What was damaged in any other way reads False and leaves the others as they are.

Nothing is allocated after the start, except that a ring in RAM takes its memory as it fills.
"""

from dlms.axdr import get_u32
from dlms.prim import copy, crc16
from micropython import const

# A ring in RAM grows by so many rows at a time, fewer if they are longer than this together.
_CHUNK_SHIFT = const(4)
_CHUNK_LEN = const(1024)

# A ring file: two headers in turn (the second one at 32), rows from 64.
#   "PMR1", generation u32, sequence number of the first row that counts u32, row_len u16,
#   capacity u32, CRC-16
# A row: sequence number u32, row, CRC-16.
_MAGIC = b"PMR1"
_HEADER_SHIFT = const(5)
_HEADER_LEN = const(20)
_ROWS_AT = const(64)
_ROW_OVERHEAD = const(6)


def put(buf, pos, value, n):
    """Write an unsigned of n octets."""
    while n:
        n -= 1
        buf[pos + n] = value & 0xFF
        value >>= 8


class RAMRing:
    """Rows in pieces of RAM that are taken as the ring fills, one ahead of need.

    prepare() takes the next piece; it is called between requests, so append() needs none in one.
    """

    def __init__(self, storage, row_len, capacity):
        self._storage = storage
        self.row_len = row_len
        self.capacity = capacity
        self.n = 0
        self.first = 0
        self._oldest = 0
        self._shift = _CHUNK_SHIFT
        while self._shift and row_len << self._shift > _CHUNK_LEN:
            self._shift -= 1
        self._chunks = [None] * ((capacity + (1 << self._shift) - 1) >> self._shift)
        self._spare = None
        self.prepare()

    def prepare(self):
        """Take the piece that will be needed next, unless there is one."""
        if self._spare is None and self._chunks[-1] is None:
            try:
                self._spare = bytearray(self.row_len << self._shift)
            except MemoryError:
                pass  # append() will say so if it is needed

    def buffer(self):
        return bytearray(self.row_len)

    def append(self, buf, pos):
        at = (self._oldest + self.n) % self.capacity
        chunk = self._chunks[at >> self._shift]
        if chunk is None:
            if self._spare is None:
                self.prepare()
            chunk = self._spare
            if chunk is None:
                self._storage.failed += 1
                return False
            self._spare = None
            self._chunks[at >> self._shift] = chunk
        copy(chunk, (at & (1 << self._shift) - 1) * self.row_len, buf, pos, self.row_len)
        if self.n < self.capacity:
            self.n += 1
        else:
            self.first += 1
            self._oldest = (self._oldest + 1) % self.capacity
        return True

    def read(self, k, buf, pos):
        if k < 0 or k >= self.n:
            return False
        at = (self._oldest + k) % self.capacity
        row = (at & (1 << self._shift) - 1) * self.row_len
        copy(buf, pos, self._chunks[at >> self._shift], row, self.row_len)
        return True

    def clear(self):
        self.first += self.n
        self.n = 0
        self._oldest = 0
        return True


class FileRing:
    """Rows in a file. All state is found by reading it once at the start."""

    def __init__(self, storage, path, row_len, capacity):
        self._storage = storage
        self.row_len = row_len
        self.capacity = capacity
        self._size = row_len + _ROW_OVERHEAD
        self._record = bytearray(self._size)
        self._header = bytearray(_HEADER_LEN)
        self._file = storage.files.open(path)
        self._generation = 0
        self.n = 0
        self.first = 0
        self._find()

    def _find(self):
        """Find header, newest and oldest row among what can still be read."""
        header = self._header
        base = 0
        for k in range(2):
            self._file.seek(k << _HEADER_SHIFT)
            if self._file.readinto(header) != _HEADER_LEN or header[0:4] != _MAGIC:
                continue
            crc = crc16(header, 0, _HEADER_LEN - 2, 0xFFFF) ^ 0xFFFF
            if crc != header[_HEADER_LEN - 2] << 8 | header[_HEADER_LEN - 1]:
                continue
            if get_u32(header, 4) > self._generation:
                self._generation = get_u32(header, 4)
                base = get_u32(header, 8)
        last = -1
        bad = 0
        size = self._file.seek(0, 2)
        stored = (size - _ROWS_AT) // self._size
        for slot in range(stored if stored < self.capacity else self.capacity):
            if self._fetch(slot):
                seq = get_u32(self._record, 0)
                if seq > last and seq % self.capacity == slot:
                    last = seq
            else:
                bad += 1
        # One torn row is what a power failure leaves; more is damage. So is a file that is empty,
        # or was not there, if this is not the first start.
        if bad > 1 or (not self._generation and (size or self._storage.sequence)):
            self._storage.damaged = True
            self._storage.message += " Rows of a profile are damaged; the good ones are kept."
        if last < base:
            self.first = base
        else:
            self.first = max(base, last - self.capacity + 1)
            self.n = last - self.first + 1
            # The oldest rows of the window may have been torn, or be older than a clear().
            while self.n and not self._fetch_row(0):
                self.first += 1
                self.n -= 1
        if not self._generation:
            self._write_header(self.first)

    def _write_header(self, base):
        generation = self._generation + 1
        header = self._header
        copy(header, 0, _MAGIC, 0, 4)
        put(header, 4, generation, 4)
        put(header, 8, base, 4)
        put(header, 12, self.row_len, 2)
        put(header, 14, self.capacity, 4)
        crc = crc16(header, 0, _HEADER_LEN - 2, 0xFFFF) ^ 0xFFFF
        put(header, _HEADER_LEN - 2, crc, 2)
        self._file.seek((generation & 1) << _HEADER_SHIFT)
        if self._file.write(header) != _HEADER_LEN:
            raise OSError(28)
        self.sync()
        self._generation = generation

    def _fetch(self, slot):
        """Read the record of a slot; False if it is torn or damaged."""
        size = self._size
        self._file.seek(_ROWS_AT + slot * size)
        if self._file.readinto(self._record) != size:
            return False
        crc = crc16(self._record, 0, size - 2, 0xFFFF) ^ 0xFFFF
        return crc >> 8 == self._record[size - 2] and crc & 0xFF == self._record[size - 1]

    def _fetch_row(self, k):
        seq = self.first + k
        r = self._record
        return (
            self._fetch(seq % self.capacity)
            and seq >> 24 == r[0]
            and seq >> 16 & 0xFF == r[1]
            and seq >> 8 & 0xFF == r[2]
            and seq & 0xFF == r[3]
        )

    def buffer(self):
        return bytearray(self.row_len)

    def append(self, buf, pos):
        seq = self.first + self.n
        size = self._size
        record = self._record
        put(record, 0, seq, 4)
        copy(record, 4, buf, pos, self.row_len)
        put(record, size - 2, crc16(record, 0, size - 2, 0xFFFF) ^ 0xFFFF, 2)
        try:
            self._file.seek(_ROWS_AT + seq % self.capacity * size)
            written = self._file.write(record)
            self.sync()
        except OSError:
            written = 0
        if written != size:
            self._storage.failed += 1
            return False
        if self.n < self.capacity:
            self.n += 1
        else:
            self.first += 1
        return True

    def read(self, k, buf, pos):
        if k < 0 or k >= self.n:
            return False
        try:
            if self._fetch_row(k):
                copy(buf, pos, self._record, 4, self.row_len)
                return True
        except OSError:
            pass
        self._storage.damaged = True
        return False

    def clear(self):
        # The numbers jump past the ring: even without a header no older row can come back.
        base = self.first + self.n + self.capacity
        try:
            self._write_header(base)
        except OSError:
            return False
        self.first = base
        self.n = 0
        return True

    def sync(self):
        self._storage.files.sync(self._file)

    def close(self):
        self._file.close()
