# SPDX-License-Identifier: MIT
"""What a meter knows about its firmware over a restart: which slot runs, and how an image
transfer stands. The launcher (launch.py) reads and writes it, too, and is never updated: this
format does not change.

A file with two places of 96 octets, which are written in turn; the newer one counts that has a
right CRC, and slots that there are. Power may fail at any write: then the journal is the one
before, or the new one.

    "PMJ1", sequence u32, active, previous, trial, left, status, note, version u32 (of the active
    slot), previous_version u32, size u32, block_size u32, n_identifier, identifier (32),
    spare (29), CRC-32

    active, previous    0 the firmware that the meter was made with, 1 slot a, 2 slot b; previous
                        is what runs again when the active one does not come up
    trial, left         1: the active one has been installed and is not confirmed yet; how often it
                        may still be started
    status              image_transfer_status, see cosem/image_transfer.py
    note                code of an event that is to be noted at the next start, 0: none
    size, block_size, identifier    of the image that is transferred; size 0: none is
"""

import struct
from binascii import crc32

from micropython import const

_FORMAT = ">4sIBBBBBBIIIIB32s29s"
_LEN = const(92)  # of that; then the CRC
_PLACE = const(96)
_MAGIC = b"PMJ1"
_FIELDS = (
    "sequence", "active", "previous", "trial", "left", "status", "note", "version",
    "previous_version", "size", "block_size",
)  # fmt: skip

_SLOT_B = const(2)
_NOT_ACTIVATED = const(7)
_WENT_BACK = const(105)  # event code, see meter/events.py
STARTS = 3  # of a slot that is not confirmed


class Journal:
    """The fields above, as attributes; identifier: octets. files: see files.py."""

    def __init__(self, files, path):
        self._files = files
        self._path = path
        self.reset()

    def reset(self):
        for name in _FIELDS:
            setattr(self, name, 0)
        self.identifier = b""

    def load(self):
        """What was written last. OSError: the file cannot be read."""
        self.reset()
        f = self._files.open(self._path)
        for place in (0, _PLACE):
            octets = bytearray(_PLACE)
            f.seek(place)
            if f.readinto(octets) != _PLACE or octets[:4] != _MAGIC:
                continue
            fields = struct.unpack_from(_FORMAT, octets, 0)
            if octets[_LEN:] != _u32(crc32(octets[:_LEN])) or fields[1] <= self.sequence:
                continue
            if fields[2] > _SLOT_B or fields[3] > _SLOT_B:
                continue
            for k, name in enumerate(_FIELDS):
                setattr(self, name, fields[k + 1])
            self.identifier = fields[13][: fields[12]]
        f.close()

    def save(self):
        """OSError: it cannot be written, and is as before for whoever loads it."""
        self.sequence += 1
        values = [getattr(self, name) for name in _FIELDS]
        octets = struct.pack(_FORMAT, _MAGIC, *values, len(self.identifier), self.identifier, b"")
        f = self._files.open(self._path)
        try:
            f.seek(_PLACE * (self.sequence & 1))
            if f.write(octets + _u32(crc32(octets))) != _PLACE:
                raise OSError(28)
            self._files.sync(f)
        except OSError:
            # The next one takes the same place: the other one has what counts.
            self.sequence -= 1
            raise
        finally:
            f.close()

    def go_back(self):
        """The active slot is not what runs next; to be saved."""
        self.active = self.previous
        self.version = self.previous_version
        self.trial = self.left = 0
        self.status = _NOT_ACTIVATED
        self.note = _WENT_BACK


def _u32(n):
    return struct.pack(">I", n & 0xFFFFFFFF)
