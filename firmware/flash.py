# SPDX-License-Identifier: MIT
"""Storage in raw flash: the interface of store.py over a block device as MicroPython's ports have.

    readblocks(block, buf, offset), writeblocks(block, buf, offset): program only, nothing is
    erased; ioctl(4, 0): number of blocks, ioctl(5, 0): octets of one, ioctl(6, block): erase it.
    0 or None is success; other results and OSError are failures.

A block is what is erased at once. From the first one on:

    2 blocks   directory, twice: which definition all this belongs to (flash_start.py)
    rings      one after the other in the order of RINGS, two blocks more than `capacity` fills
    the rest   state

Ring. A row is one record: sequence number u32, rows since clear() u24, row, check (seal.py), at
even addresses. Records follow one another around the ring's blocks; the next block is erased when
the one before it is full, and has rows that are older than `capacity`. Where a row lies follows
from its number: every record that was torn or could not be written moves those after it by one,
and by how many they are moved now is `_shift`. A record without rows (twice, for one of them may
be damaged) is a clear().

State. The image and the extra are cut into pages of 118 octets. A save writes the pages that
differ from what the flash holds, and then a commit; only with that they count, those that were
written ahead() of it, too. Slot, 128 octets:
number of the save u32, page (0xFF: commit), parity, data, check. A commit's parity is all page
numbers of the save XORed and its data all their data, so that one damaged slot a save can be made
again. A chain of saves begins at a block's start with all pages, and goes on into the blocks after
it. When it has half of the blocks, or could not be written to its end, or its end was torn, the
next save begins another chain behind it; the old one is touched when that has a commit.

What was written is read back. After the start nothing is allocated. What the start alone needs
is in flash_start.py, which can be dropped after it.
"""

from dlms.prim import compare, copy, fill, xor
from firmware.seal import seal
from micropython import const

_EXTRA_LEN = const(64)

_ERASE = const(6)

_ROW_AT = const(7)
# A record is tried in so many places, and so many blocks.
_TRIES = const(3)
# Reading looks at so many records more than a block has.
_LOOKS = const(16)

_SLOT_LEN = const(128)
_DATA_AT = const(6)
_DATA_LEN = const(118)
_COMMIT = const(0xFF)

# Larger units of programming are filled up with FF, which leaves what is there as it is.
_LARGE_UNIT = const(32)

_DONE = const(1)
_SPENT = const(0)
_UNTOUCHED = const(-1)


class Ring:
    """See rings.py. _place: storage, first block, records a block, records, buffer, its length."""

    _buffer = None  # of the class: few are asked for one

    def __init__(self, place, row_len, capacity):
        self._place = place
        self.row_len = row_len
        self.capacity = capacity
        self.n = 0
        self.first = 0
        self._shift = 0

    def buffer(self):
        """Where read() makes a row, before it copies it out. An append() from there that fails
        leaves nothing in it: it is tried once."""
        self._buffer = memoryview(self._place[0].work)[_ROW_AT : _ROW_AT + self.row_len]
        return self._buffer

    def read(self, k, buf, pos):
        if k < 0 or k >= self.n:
            return False
        storage, base, per_block, total, record, size = self._place
        seq = self.first + k
        at = seq + self._shift
        work = storage.work
        looks = per_block + _LOOKS
        while looks:
            at %= total
            block = base + at // per_block
            try:
                if storage.device.readblocks(block, record, at % per_block * size):
                    break
            except OSError:
                break
            if seal(work, size, 0):
                off = (work[1] << 16 | work[2] << 8 | work[3]) - (seq & 0xFFFFFF)
                if off == 0:
                    copy(buf, pos, work, _ROW_AT, self.row_len)
                    return True
                if off > 0:
                    # It was moved by less than those that come now.
                    at -= off
                elif -off <= total >> 1:
                    break
                else:
                    at -= 1  # of the lap before, in a block that could not be erased
            else:
                # Damaged, or torn and no row at all: then it is before this.
                at -= 1
            looks -= 1
        storage.damaged = True
        return False

    def append(self, buf, pos):
        if not self._put(self.first + self.n, self.n + 1, buf, pos):
            self._place[0].failed += 1
            return False
        if self.n < self.capacity:
            self.n += 1
        else:
            self.first += 1
        return True

    def clear(self):
        if not self.n:
            return True
        end = self.first + self.n
        record = self._place[0].work
        # Its number is that of the last row: the next row gets one of its own.
        if not self._put(end - 1, 0, record, _ROW_AT):
            return False
        self._shift += 1
        self.first = end
        self.n = 0
        if self._put(end - 1, 0, record, _ROW_AT):
            self._shift += 1
        return True

    def _put(self, seq, count, buf, pos):
        """Write a record behind the last one; False: no place there takes it."""
        storage, base, per_block, total, record, size = self._place
        next_ = self.first + self.n
        work = storage.work
        shift = self._shift
        tries = _TRIES
        while tries:
            tries -= 1
            at = (next_ + shift) % total
            block = base + at // per_block
            at %= per_block
            if at == 0 and not storage.erase(block):
                shift += per_block
                continue
            work[0] = seq >> 24
            work[1] = seq >> 16 & 0xFF
            work[2] = seq >> 8 & 0xFF
            work[3] = seq & 0xFF
            work[4] = count >> 16
            work[5] = count >> 8 & 0xFF
            work[6] = count & 0xFF
            if buf is not work:
                copy(work, _ROW_AT, buf, pos, self.row_len)
            done = storage.program(block, at * size, record, size)
            if done == _DONE:
                self._shift = shift
                return True
            if done == _UNTOUCHED:
                return False
            shift += 1
            if at or buf is self._buffer:
                # In a block that was begun the place is spent, whatever comes of the others.
                self._shift = shift
            if buf is self._buffer:
                return False
        return False


class FlashStorage:
    """count blocks of a device from block `first` on; unit: octets that are programmed at once.

    OSError from prepare(): the device is too small, or cannot be written at all.
    """

    message = ""
    keeps = True

    def __init__(self, device, first=0, count=None, unit=1):
        self.device = device
        self.failed = 0
        self.damaged = False
        self.extra = bytearray(_EXTRA_LEN)
        self._page = bytearray(unit) if unit >= _LARGE_UNIT else None
        # What only the start needs: what of the device, later the places of the rings.
        self._places = first, count, unit
        # Of the state: blocks, where the chain begins among them, its slots, its last save.
        self._base = self._blocks = self._start = self._next = self._save = 0
        self._ahead = 0  # slots of the next save that have been written
        # The next save begins a chain.
        self._whole = True

    def prepare(self, definition):
        from firmware import flash_start

        first, count, unit = self._places
        flash_start.prepare(self, definition, first, count, unit)

    def load(self, image):
        from firmware import flash_start

        return flash_start.load(self, image)

    def ring(self, row, row_len, capacity):
        from firmware import flash_start

        ring = Ring(self._places.pop(row), row_len, capacity)
        if not self._places:
            self._places = None
        flash_start.find(ring)
        return ring

    def close(self):
        pass

    # --- The device

    def erase(self, block):
        """False: it failed; a look at the block's beginning tells, whatever the device says."""
        look = self._look
        try:
            if self.device.ioctl(_ERASE, block) or self.device.readblocks(block, look, 0):
                return False
        except OSError:
            return False
        return look[0] == 0xFF and not compare(look, 0, look, 1, _SLOT_LEN - 1)

    def fetch(self, block, at, view, n):
        """Read n octets, a check at their end, to work; False: they are not what was written.

        view: the memoryview of so many octets of work.
        """
        try:
            if self.device.readblocks(block, view, at):
                return False
        except OSError:
            return False
        return seal(self.work, n, 0)

    def program(self, block, at, view, n):
        """Write n octets of work, a check made at their end; done, spent (torn), or untouched."""
        work = self.work
        seal(work, n, 1)
        low = work[n - 4] << 8 | work[n - 3]
        high = work[n - 2] << 8 | work[n - 1]
        try:
            if self._page is None:
                self.device.writeblocks(block, view, at)
            else:
                self._program_units(block, at, n)
        except OSError:
            pass
        # Whatever it has said, this is what there is.
        if (
            self.fetch(block, at, view, n)
            and work[n - 4] << 8 | work[n - 3] == low
            and work[n - 2] << 8 | work[n - 1] == high
        ):
            return _DONE
        if work[0] == 0xFF and not compare(work, 0, work, 1, n - 1):
            return _UNTOUCHED
        return _SPENT

    def _program_units(self, block, at, n):
        page = self._page
        unit = len(page)
        done = 0
        while done < n:
            k = (at + done) % unit
            part = min(unit - k, n - done)
            fill(page, 0, unit, 0xFF)
            copy(page, k, self.work, done, part)
            self.device.writeblocks(block, page, at + done - k)
            done += part

    # --- State

    def ahead(self, image, most):
        """A save is about to come, and has less to do then: write up to so many of the pages that
        differ now. If one of them changes once more, the save begins another chain. True: there
        may be more."""
        n = self._ahead + most
        if not self._whole:
            self._put(image, self._start, self._next, False, most)
        return self._ahead == n

    def save(self, image):
        per_block = self._block_len // _SLOT_LEN
        if not self._whole and self._put(image, self._start, self._next, False):
            return True
        # Another chain. Where a block fails, it begins behind that.
        offset = (self._next + per_block - 1) // per_block
        pages = len(self._index) >> 1
        blocks = (pages + per_block) // per_block
        tries = blocks + 1
        while offset + blocks <= self._blocks and tries:
            if self._put(image, (self._start + offset) % self._blocks, 0, True):
                return True
            offset += 1
            tries -= 1
        return False

    def _put(self, image, start, slot, whole, most=0):
        """Write all pages, or those that differ, into slots of a chain, and the commit; most: at
        most so many pages, and no commit."""
        index = self._index
        work = self.work
        view = self._slot
        device = self.device
        base = self._base
        blocks = self._blocks
        per_block = self._block_len // _SLOT_LEN
        extra_page = (len(index) >> 1) - 1
        self._whole = True  # unless it comes to its end
        # A chain does not go on with the numbers of the one before: it may lie behind that.
        save = self._save + (2 if whole else 1)
        self._save = save
        parity = 0
        begun = slot
        if not whole:
            slot += self._ahead
        self._ahead = 0
        stop = slot + most if most else -1
        src = image
        part = _DATA_LEN
        at = -_DATA_LEN
        left = self._persistent + _DATA_LEN
        k = -2
        fill(work, _SLOT_LEN, _DATA_LEN, 0)  # behind the slot: what is XORed
        for done in range(0 if most else begun, 0 if most else slot):
            if not self.fetch(self._block(start, done), self._offset(done), view, _SLOT_LEN):
                return False
            xor(work, _SLOT_LEN, work, _DATA_AT, _DATA_LEN)
            parity ^= work[4]
        # The extra is of the time of the save.
        for page in range(extra_page if most else extra_page + 1):
            k += 2
            at += _DATA_LEN
            left -= _DATA_LEN
            if left < _DATA_LEN:
                part = left
                if page == extra_page:
                    src = self.extra
                    at = 0
                    part = _EXTRA_LEN
            if not whole:
                # As _block() and _offset(), which take longer: power may be about to fail.
                old = index[k] << 8 | index[k + 1]
                block = base + (start + old // per_block) % blocks
                try:
                    if not (
                        device.readblocks(block, view, old % per_block * _SLOT_LEN)
                        or compare(work, _DATA_AT, src, at, part)
                    ):
                        continue
                except OSError:
                    pass
                if old >= begun:
                    return False  # it was written ahead, and is another one now
            if part < _DATA_LEN:
                fill(work, _DATA_AT, _DATA_LEN, 0)
            copy(work, _DATA_AT, src, at, part)
            xor(work, _SLOT_LEN, work, _DATA_AT, _DATA_LEN)
            if not self._put_slot(start, slot, save, page, 0):
                return False
            index[k] = slot >> 8
            index[k + 1] = slot & 0xFF
            parity ^= page
            slot += 1
            if slot == stop:
                break
        if most:
            self._ahead = slot - begun
            self._save = save - 1
            self._whole = False
            return True
        if slot == begun:
            self._save = save - 1  # not used
            self._whole = False
            return True
        copy(work, _DATA_AT, work, _SLOT_LEN, _DATA_LEN)
        if not self._put_slot(start, slot, save, _COMMIT, parity):
            return False
        self._start = start
        self._next = slot + 1
        self._whole = False
        return True

    def _block(self, start, slot):
        """The block of the device that has a slot of the chain which begins at block `start`."""
        return self._base + (start + slot // (self._block_len // _SLOT_LEN)) % self._blocks

    def _offset(self, slot):
        return slot % (self._block_len // _SLOT_LEN) * _SLOT_LEN

    def _put_slot(self, start, slot, save, page, parity):
        """Write the data in the work buffer as a slot, the first one of a block when that has been
        erased; False: it failed, or the chain is full."""
        work = self.work
        work[0] = save >> 24
        work[1] = save >> 16 & 0xFF
        work[2] = save >> 8 & 0xFF
        work[3] = save & 0xFF
        work[4] = page
        work[5] = parity
        block = self._block(start, slot)
        at = self._offset(slot)
        if not at:
            if slot // (self._block_len // _SLOT_LEN) >= self._blocks >> 1:
                return False
            if not self.erase(block):
                return False
        return self.program(block, at, self._slot, _SLOT_LEN) == _DONE
