# SPDX-License-Identifier: MIT
"""Storage in microcontroller.nvm, for boards whose drive belongs to the PC.

Values are kept there, profiles only in RAM. A snapshot is what differs from the definition, for
nvm is small (4096 octets on the RP2040, one sector of its flash) and most of a meter's values
never change:

    "PMN1", sequence u32, fingerprint u32, length of what follows u16, CRC-32 of all that and it
    pieces of (offset u16, n u16, n octets): first the firmware's own octets, at offset FFFF, then
    those of the image

Where nvm has room for two snapshots they take turns, and power may fail at any write. Where it has
not, or is one sector of flash, of which a write erases all (RP2040), power that fails in those
milliseconds may lose the values. Then the meter has those of the definition, and counters that
begin anew, so keys should be changed; it notes that, unless all is erased, as on a board that
never had any. A snapshot that says the same as the last two is not written again, and one that is
too long is not saved: who has set something hears so.
Interface as in store.py; may allocate.
"""

from binascii import crc32

from dlms.axdr import get_u16, get_u32
from firmware.rings import RAMRing, put
from firmware.store import RAMStorage, fingerprint
from micropython import const

_HEAD = const(18)
_EXTRA_AT = const(0xFFFF)
# So much of each profile, or 16 rows: no heap holds all of it.
_RING_LEN = const(2048)
_RING_ROWS = const(16)
# Pieces closer than that are cheaper as one: each has a head of four octets.
_GAP = const(4)


class SmallStorage(RAMStorage):
    """Nothing is kept, and profiles have fewer rows than the definition gives them."""

    def ring(self, row, row_len, capacity):
        capacity = min(capacity, max(_RING_ROWS, _RING_LEN // row_len))
        self._rings.append(RAMRing(self, row_len, capacity))
        return self._rings[-1]


class NVMStorage(SmallStorage):
    """nvm: octets that stay, with slices for reading and writing (nvm.ByteArray)."""

    keeps = True

    def __init__(self, nvm):
        SmallStorage.__init__(self)
        self.message = ""
        self.damaged = False
        self._nvm = nvm
        self._half = len(nvm) >> 1
        self._sequence = 0
        self._newest = -1  # place of the last snapshot, -1: there is none
        self._written = None  # CRC of its pieces
        self._before = None  # and of those of the snapshot before

    def prepare(self, definition):
        self._fingerprint = fingerprint(definition)
        self._first = definition.RAM[0 : definition.PERSISTENT]

    # --- Reading

    def _check(self, at, size):
        """(sequence, pieces) of the snapshot at this place; 0: there is none, -1: damaged."""
        head = self._nvm[at : at + _HEAD]
        magic = head[0:4] == b"PMN1"
        n = get_u16(head, 12)
        pieces = self._nvm[at + _HEAD : at + _HEAD + n] if n <= size - _HEAD else b""
        if magic and get_u32(head, 14) == crc32(pieces, crc32(head[0:14])) & 0xFFFFFFFF:
            return (get_u32(head, 4), pieces) if self._is_ours(head) else (0, None)
        # One of the two marks may be what is damaged.
        return -1 if magic or self._is_ours(head) else 0, None

    def _is_ours(self, head):
        return get_u32(head, 8) == self._fingerprint

    def load(self, image):
        newest = None
        torn = False
        for at in (0, self._half):
            # One that needed more than half begins at 0 too.
            sequence, pieces = self._check(at, len(self._nvm) - at)
            torn = torn or sequence < 0
            if sequence > self._sequence:
                self._sequence = sequence
                self._newest = at
                newest = pieces
        if newest is None:
            if torn:
                self.damaged = True
                self.message = (
                    "The values stored in nvm are damaged: the meter starts with those of its "
                    "definition."
                )
            return False
        pos = 0
        while pos + 4 <= len(newest):
            at = get_u16(newest, pos)
            n = get_u16(newest, pos + 2)
            pos += 4
            if at == _EXTRA_AT:
                self.extra[0:n] = newest[pos : pos + n]
            else:
                image[at : at + n] = newest[pos : pos + n]
            pos += n
        self._written = crc32(newest)
        return True

    # --- Writing

    def _pieces(self, image):
        first = self._first
        extra_len = len(self.extra)
        while extra_len and not self.extra[extra_len - 1]:
            extra_len -= 1
        out = bytearray(4)
        put(out, 0, _EXTRA_AT, 2)
        put(out, 2, extra_len, 2)
        out += self.extra[0:extra_len]
        at = 0
        end = len(first)
        head = bytearray(4)
        while at < end:
            if image[at] == first[at]:
                at += 1
                continue
            start = at
            same = 0
            while at < end and same <= _GAP:
                same = same + 1 if image[at] == first[at] else 0
                at += 1
            put(head, 0, start, 2)
            put(head, 2, at - same - start, 2)
            out += head
            out += image[start : at - same]
        return out

    def save(self, image):
        SmallStorage.save(self, image)
        pieces = self._pieces(image)
        crc = crc32(pieces)
        if crc == self._written and crc == self._before:
            return True
        n = _HEAD + len(pieces)
        if n <= self._half:
            at = 0 if self._newest else self._half
        elif n <= len(self._nvm):
            at = 0
        else:
            return False
        snapshot = bytearray(_HEAD)
        snapshot[0:4] = b"PMN1"
        put(snapshot, 4, self._sequence + 1, 4)
        put(snapshot, 8, self._fingerprint, 4)
        put(snapshot, 12, len(pieces), 2)
        put(snapshot, 14, crc32(pieces, crc32(snapshot[0:14])) & 0xFFFFFFFF, 4)
        snapshot += pieces
        try:
            # In one assignment: each costs an erasure.
            self._nvm[at : at + n] = snapshot
        except (OSError, RuntimeError):
            return False
        self._sequence += 1
        self._newest = at
        # One that takes both places has none before it.
        self._before = crc if n > self._half else self._written
        self._written = crc
        return True
