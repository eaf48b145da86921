# SPDX-License-Identifier: MIT
"""What the start of a FlashStorage needs: directory, heads of the rings, the state's last save.

flash.py says how things lie. Nothing of this is needed later: app.forget() drops it. It allocates.

Directory (two copies, one a block): "PMF1", fingerprint u32, octets of a block u32, blocks u16,
unit of programming u16, name of the definition in 44 octets, check (seal.py). It is written last
when the blocks are laid out, and erased first: with a right one everything else is right.
"""

from dlms.axdr import get_u32
from dlms.prim import copy, fill, xor
from firmware.fingerprint import fingerprint
from micropython import const

_BLOCK_COUNT = const(4)
_BLOCK_LEN = const(5)

_DIRECTORY_LEN = const(64)
_DIRECTORY_BLOCKS = const(2)
_NAME_AT = const(16)
_NAME_LEN = const(44)
_MAGIC = b"PMF1"

_ROW_OVERHEAD = const(11)
# Blocks of a ring beyond those that its rows fill: the one that is written, and one for records
# that were torn.
_SPARE = const(2)
_STATE_BLOCKS = const(32)  # more would only make the start longer

_SLOT_LEN = const(128)
_DATA_AT = const(6)
_DATA_LEN = const(118)
_EXTRA_LEN = const(64)
_COMMIT = const(0xFF)
_LARGE_UNIT = const(32)
_MAX_PAGES = const(250)
# Looking whether a block is blank reads so much at once.
_PIECE = const(512)


# --- Directory and layout -------------------------------------------------------------------


def prepare(s, definition, first, count, unit):
    block_len = s._block_len = s.device.ioctl(_BLOCK_LEN, 0)
    blocks = s.device.ioctl(_BLOCK_COUNT, 0) - first
    if count is None or count > blocks:
        count = blocks
    s._persistent = definition.PERSISTENT
    pages = (definition.PERSISTENT + _DATA_LEN - 1) // _DATA_LEN + 1
    if pages > _MAX_PAGES:
        raise OSError("The state of this definition has more than %d pages." % _MAX_PAGES)
    s._index = bytearray(2 * pages)
    small = unit if 2 <= unit < _LARGE_UNIT else 2
    if _SLOT_LEN % small:
        raise OSError("Flash that is programmed %d octets at once is not supported." % unit)
    sizes = [(r[1] + _ROW_OVERHEAD + small - 1) // small * small for r in definition.RINGS]
    n = max(sizes + [_SLOT_LEN + _DATA_LEN])
    work = bytearray(n + _SLOT_LEN)
    view = memoryview(work)
    s.work = work
    s._slot = view[0:_SLOT_LEN]
    # What an erased block is read to: whatever is to be written stays.
    s._look = view[n:]
    views = {size: view[0:size] for size in sizes}
    at = first + _DIRECTORY_BLOCKS
    s._places = {}
    for r, size in zip(definition.RINGS, sizes):
        per_block = block_len // size
        if not per_block:
            raise OSError("A row of %d octets does not fit a block of the flash." % r[1])
        blocks = (r[2] + per_block - 1) // per_block + _SPARE
        s._places[r[0]] = (s, at, per_block, blocks * per_block, views[size], size)
        at += blocks
    slots = block_len // _SLOT_LEN
    least = 2 * ((pages + 1 + slots - 1) // slots + 1)
    if first + count - at < least:
        raise OSError(
            "The flash has %d blocks of %d octets; this definition needs %d."
            % (count, block_len, at + least - first)
        )
    s._base = at
    s._blocks = min(first + count - at, _STATE_BLOCKS)
    _directory(s, definition, first, count, unit, view)


def _directory(s, definition, first, count, unit, view):
    view = view[0:_DIRECTORY_LEN]
    wanted = bytearray(_DIRECTORY_LEN)
    wanted[0:4] = _MAGIC
    for at, n, value in (
        (4, 4, fingerprint(definition)),
        (8, 4, s._block_len),
        (12, 2, count),
        (14, 2, unit),
    ):
        while n:
            n -= 1
            wanted[at + n] = value & 0xFF
            value >>= 8
    name = definition.NAME.encode()[:_NAME_LEN]
    wanted[_NAME_AT : _NAME_AT + len(name)] = name
    good = 0
    other = None
    for k in range(_DIRECTORY_BLOCKS):
        if s.fetch(first + k, 0, view, _DIRECTORY_LEN) and bytes(view[0:4]) == _MAGIC:
            if bytes(view[: _DIRECTORY_LEN - 4]) == bytes(wanted[: _DIRECTORY_LEN - 4]):
                good |= 1 << k
            else:
                other = bytes(view[_NAME_AT : _NAME_AT + _NAME_LEN]).rstrip(b"\0")
                other = (other.decode(), get_u32(s.work, 4))
    if not good:
        _lay_out(s, first, other)
    fresh = not good
    for k in range(_DIRECTORY_BLOCKS):
        if not good >> k & 1 and (fresh or s.erase(first + k)):
            copy(s.work, 0, wanted, 0, _DIRECTORY_LEN)
            if s.program(first + k, 0, view, _DIRECTORY_LEN) == 1:
                good |= 1 << k
    if not good:
        raise OSError("The flash cannot be written.")


def _lay_out(s, first, other):
    """Erase everything that is to be used: the directory first."""
    blank = _Blank(s)
    if other:
        s.message = (
            "This definition starts without stored state: the flash held that of another "
            "definition (%s, %08x), and was erased." % other
        )
    elif not blank.is_blank(first) or not blank.is_blank(first + 1):
        s.message = "The flash held no state of a meter, and was erased."
    for block in range(first, s._base + s._blocks):
        if not blank.is_blank(block) and not s.erase(block):
            raise OSError("Block %d of the flash cannot be erased." % block)


class _Blank:
    """Looks whether blocks are blank; a buffer for each would have the collector run each time."""

    def __init__(self, s):
        self.device = s.device
        self.block_len = s._block_len
        self.n = min(_PIECE, self.block_len)
        self.piece = bytearray(self.n)
        self.blank = b"\xff" * self.n

    def is_blank(self, block):
        for at in range(0, self.block_len, self.n):
            try:
                if self.device.readblocks(block, self.piece, at) or self.piece != self.blank:
                    return False
            except OSError:
                return False
        return True


# --- Rings ----------------------------------------------------------------------------------


class _Finder:
    """Looks at records of a ring; number and count of the last one that was good."""

    def __init__(self, ring):
        self.storage, self.base, self.per_block, self.total, self.view, self.size = ring._place
        self.blank = b"\xff" * self.size
        self.seq = self.count = 0

    def look(self, block, slot):
        """1: a good record, 0: a torn or damaged one, -1: none was written."""
        view = self.view
        if self.storage.fetch(self.base + block, slot * self.size, view, self.size):
            if view[0] >= 0x40:
                return 0
            self.seq = get_u32(self.storage.work, 0)
            self.count = view[4] << 16 | view[5] << 8 | view[6]
            return 1
        return -1 if view == self.blank else 0


def find(ring):
    """Find the newest row, and how many of those before it there are; see whether rows are gone.

    A row that is damaged among others that are not is seen when it is read.
    """
    f = _Finder(ring)
    newest = -1
    oldest = 0
    head = 0
    begins = []  # numbers of the first good rows of the blocks
    spoiled = []
    blocks = f.total // f.per_block
    for block in range(blocks):
        # The first record tells, and if it is damaged the one behind it.
        bad = 0
        for slot in range(f.per_block):
            found = f.look(block, slot)
            if found < 0:
                break
            if not found:
                bad += 1
            if found:
                begins.append(f.seq)
                if newest < 0 or f.seq < oldest:
                    oldest = f.seq
                # A clear() has the number of the row before it.
                if f.seq > newest or (f.seq == newest and block == head + 1):
                    newest = f.seq
                    head = block
                break
        # Power failures tear a record or two: not all of a block.
        if bad > 2 or bad == f.per_block > 1:
            spoiled.append(block)
    if newest < 0:
        if spoiled:
            _rows_damaged(f.storage)
        return
    # In that block, records were written up to somewhere.
    low = 1
    high = f.per_block
    while low < high:
        middle = low + high >> 1
        if f.look(head, middle) < 0:
            high = middle
        else:
            low = middle + 1
    slot = low - 1
    while f.look(head, slot) <= 0:
        slot -= 1
    ring.n = min(f.count, ring.capacity, f.seq + 1 - oldest)
    ring.first = f.seq + 1 - ring.n
    ring._shift = (head * f.per_block + low - f.seq - 1) % f.total
    # The block behind the newest row may have been about to be erased.
    damaged = ring.n < min(f.count, ring.capacity) or spoiled not in ([], [(head + 1) % blocks])
    # Is a whole block missing between the oldest row and the newest?
    begins = sorted([n for n in begins if n + f.per_block > ring.first])
    damaged = damaged or (ring.n > 0 and begins[0] > ring.first)
    for k in range(1, len(begins)):
        damaged = damaged or begins[k] - begins[k - 1] > f.per_block
    if damaged:
        _rows_damaged(f.storage)


def _rows_damaged(s):
    s.damaged = True
    s.message = (s.message + " Rows of a profile are damaged; the good ones are kept.").strip()


# --- State ----------------------------------------------------------------------------------


class _Chain:
    """The saves that follow one another from a block on.

    save     number of the last one with a commit, 0: there is none
    next     slot behind it
    index    {page: slot}
    ranges   {damaged slot that is needed: (first slot of its save, slot of its commit)}
    torn     something was written behind it
    broken   a save with a commit cannot be read
    """

    def __init__(self, s, start):
        self.s = s
        self.start = start
        self.save = self.next = self.highest = 0
        self.index = {}
        self.ranges = {}
        self.torn = self.broken = False
        pages = len(s._index) >> 1
        slots = s._block_len // _SLOT_LEN * (s._blocks >> 1)
        blank = b"\xff" * _SLOT_LEN
        save = None
        found = {}
        bad = []
        parity = 0
        begun = slot = 0
        while slot < slots:
            if s.fetch(s._block(start, slot), s._offset(slot), s._slot, _SLOT_LEN):
                number = get_u32(s.work, 0)
                page = s._slot[4]
                if save is None:
                    save = number
                if number == save + 1 and bad and bad[-1] == slot - 1 and found:
                    # Another save follows: the damaged slot was the commit of this one.
                    bad.pop()
                    if not self._commit(found, bad, _COMMIT, begun, slot - 1, pages, save):
                        return
                    found = {}
                    bad = []
                    parity = 0
                    begun = slot
                    save = number
                if number != save:
                    break  # left over from a chain before
                self.highest = number
                if page == _COMMIT:
                    missing = parity ^ s._slot[5]
                    if not self._commit(found, bad, missing, begun, slot, pages, save):
                        return
                    found = {}
                    bad = []
                    parity = 0
                    begun = slot + 1
                    save += 1
                else:
                    found[page] = slot
                    parity ^= page
            elif s._slot == blank:
                break
            else:
                bad.append(slot)
            slot += 1
        self.torn = bool(found or bad)

    def _commit(self, found, bad, missing, begun, slot, pages, save):
        if len(bad) == 1 and missing < pages and missing not in found:
            found[missing] = bad[0]
            self.ranges[bad[0]] = (begun, slot)
        elif bad:
            self.broken = True
            return False
        if not self.index and len(found) != pages:
            self.broken = True
            return False
        self.index.update(found)
        self.save = save
        self.next = slot + 1
        return True


def load(s, image):
    best = None
    broken = 0
    for start in range(s._blocks):
        # A chain begins with page 0; if that is damaged the next slot tells.
        for slot in range(2):
            if s.fetch(s._block(start, slot), s._offset(slot), s._slot, _SLOT_LEN):
                if s._slot[4] == slot:
                    chain = _Chain(s, start)
                    s._save = max(s._save, chain.highest)
                    if chain.broken:
                        broken = max(broken, chain.highest)
                    if chain.save and (best is None or chain.save > best.save):
                        best = chain
                break
    if broken:
        # There may be later saves behind it: their numbers must not come again.
        for slot in range(s._blocks * (s._block_len // _SLOT_LEN)):
            if s.fetch(s._block(0, slot), s._offset(slot), s._slot, _SLOT_LEN):
                s._save = max(s._save, get_u32(s.work, 0))
    if best is None:
        blank = _Blank(s)
        if not all(blank.is_blank(s._base + k) for k in range(s._blocks)):
            _damaged(s, "The stored values in the flash are damaged", "of its definition")
        return False
    if broken > best.save:
        _damaged(s, "The last values stored in the flash are damaged", "stored before")
    s._start = best.start
    s._next = best.next
    # Only with the number that comes next a save belongs to the chain.
    s._whole = best.torn or best.broken or s._save != best.save
    for page, slot in best.index.items():
        if not s.fetch(s._block(s._start, slot), s._offset(slot), s._slot, _SLOT_LEN):
            _repair(s, slot, best.ranges[slot])
            s._whole = True
        s._index[2 * page] = slot >> 8
        s._index[2 * page + 1] = slot & 0xFF
        at = page * _DATA_LEN
        if page == (len(s._index) >> 1) - 1:
            copy(s.extra, 0, s.work, _DATA_AT, _EXTRA_LEN)
        else:
            copy(image, at, s.work, _DATA_AT, min(_DATA_LEN, s._persistent - at))
    return True


def _damaged(s, what, which):
    s.damaged = True
    s.message = ("%s %s: the meter starts with those %s." % (s.message, what, which)).strip()


def _repair(s, slot, limits):
    """Make the data of a damaged slot in the work buffer, of those of its save and its commit."""
    work = s.work
    fill(work, _SLOT_LEN, _DATA_LEN, 0)
    for k in range(limits[0], limits[1] + 1):
        if k != slot:
            s.fetch(s._block(s._start, k), s._offset(k), s._slot, _SLOT_LEN)
            xor(work, _SLOT_LEN, work, _DATA_AT, _DATA_LEN)
    copy(work, _DATA_AT, work, _SLOT_LEN, _DATA_LEN)
