# SPDX-License-Identifier: MIT
"""An update of the firmware, behind cosem/image_transfer.py: where the image is kept while it
comes, how it is verified and installed, and what happens after the restart.

A folder, .update in that of the state, has

    journal     see journal.py: which slot runs, how the transfer stands
    map         a bit for each block that has come, as in image_transferred_blocks_status

Beside it are two slots, a and b, and the octets that have come: in folders there (folders.py), or
in regions of flash (regions.py).

Power may fail at any write. A block counts when its bit is stored, after its octets are. The slot
that does not run is filled, read back and compared before the journal names it; from then on the
launcher starts it, three times at most, until it is confirmed: when it has run for ten seconds
with its links open, and can save its state. If it is not, the meter goes back by itself to what
ran before, which stays as it was.

What is verified: the container (container.py), whose signature has to be that of the maker. His
public key is the definition's (demo: everybody knows the private one), or that of the provisioning
record; a provisioned meter has no other.

Nothing here is done under a locked heap but bits(), about() and start(), which allocate nothing;
work is done by turn() in short steps, between two requests.
"""

import sys

from dlms.axdr import put_length, put_u32
from dlms.prim import copy
from firmware import journal
from firmware.launch import JOURNAL
from firmware.version import NUMBER
from micropython import const

# image_transfer_status.
_INITIATED = const(1)
_VERIFYING = const(2)
_VERIFIED = const(3)
_NOT_VERIFIED = const(4)
_ACTIVATING = const(5)
_ACTIVATED = const(6)
_NOT_ACTIVATED = const(7)

# Event codes, see meter/events.py.
_MEMORY_ERROR = const(14)
_READY = const(17)
_FIRMWARE_ACTIVATED = const(18)
_VERIFICATION_FAILED = const(51)
_DAMAGED = const(101)

_LONGEST_VALUE = const(512)  # of those that are read by the self-test
_VALUE = const(2)
_MAP_PIECE = const(64)
_TRIAL_MS = const(10000)
_TRIES = const(64)  # turns in which there is no room to read an object
_RESTART_MS = const(1000)
_TICKS_MASK = const(0x3FFFFFFF)

_DOUBLE_LONG_UNSIGNED = const(0x06)
_OCTET_STRING = const(0x09)

_ARCHITECTURES = (
    "any x86 x64 armv6 armv6m armv7m armv7em armv7emsp armv7emdp xtensa xtensawin rv32imc"
)


def runtime():
    """What an image has to be made for, to run here (octets): the kind of code, and whose."""
    mpy = getattr(sys.implementation, "_mpy", 0)
    if not mpy:
        return sys.implementation.name.encode()
    names = _ARCHITECTURES.split()
    architecture = mpy >> 10 & 0x0F
    name = names[architecture] if architecture < len(names) else str(architecture)
    return ("%s mpy%d.%d %s" % (sys.platform, mpy & 0xFF, mpy >> 8 & 3, name)).encode()


class Images:
    """The store of the Image transfer object in `row`. OSError: the folder cannot be used.

    wants_restart   the firmware is to be started again, and what needs it saved before
    longest         octets of an image
    """

    def __init__(self, model, row, files, folder, slots, maker):
        self.row = row
        self._model = model
        self._files = files
        self._folder = folder
        self._slots = slots
        self.longest = slots.longest
        self._runtime = runtime() + slots.kind
        self._maker = maker
        self._journal = j = journal.Journal(files, folder + JOURNAL)
        files.folder(folder)
        j.load()
        self.status = j.status
        self.size = self.block_size = self.n_blocks = self.missing = self.first = self.began = 0
        self._map = self._image = None
        self._signature = b""
        self._piece = bytearray(_MAP_PIECE)
        self._wanted = False  # a job: to verify, or to install what is verified
        self._activate = False  # what is verified is installed, too
        self._job = None
        self.wants_restart = False
        self._since_ms = -1
        if not j.trial:
            self._clear()
        if j.size:
            self._reopen()

    def _reopen(self):
        """Go on with the image of before the restart."""
        j = self._journal
        self._take(j.size, j.block_size)
        self._image = self._slots.open(self._spare())
        self._map = self._files.open(self._folder + "/map")
        self._map.seek(0)
        piece = self._map.read(_MAP_PIECE)
        left = self.n_blocks
        while piece:
            for octet in piece:
                if left < 8:
                    # Bits of blocks that there are not may have been damaged.
                    octet &= 0xFF00 >> max(left, 0)
                left -= 8
                while octet:
                    self.missing -= octet & 1
                    octet >>= 1
            piece = self._map.read(_MAP_PIECE)
        self._find_first()
        if self.status == _VERIFIED:
            self._signature = self._container().signature

    def _spare(self):
        """Number of the slot that does not run."""
        return 2 if self._journal.active == 1 else 1

    def _container(self):
        # Only loaded while an image is looked at.
        from firmware.container import Image

        return Image(self._image, self.size)

    def _clear(self):
        """What has been left in that slot takes room that others need."""
        try:
            self._slots.clear(self._spare())
        except OSError:
            self._model.event(_MEMORY_ERROR)

    def _take(self, size, block_size):
        self.size = size
        self.block_size = block_size
        self.n_blocks = self.missing = (size + block_size - 1) // block_size
        self.first = 0

    def close(self):
        for f in (self._image, self._map):
            if f is not None:
                f.close()
        self._image = self._map = None

    def _keep(self, status):
        """Save another status; OSError."""
        self._journal.status = self.status = status
        self._journal.save()

    # --- Blocks -----------------------------------------------------------------------------

    def begin(self, identifier, size, block_size):
        j = self._journal
        self.began = self.began + 1 & 0xFFFF
        self.close()
        try:
            # From here on there is no image, until there is an empty one.
            j.size = 0
            self.size = self.n_blocks = self.missing = self.first = 0
            self._keep(0)
            self._image = self._slots.create(self._spare())
            self._map = self._files.create(self._folder + "/map")
            left = (size + block_size - 1) // block_size + 7 >> 3
            while left:
                n = min(left, _MAP_PIECE)
                if self._map.write(bytes(n)) != n:
                    raise OSError(28)
                left -= n
            self._files.sync(self._map)
            j.size = size
            j.block_size = block_size
            j.identifier = identifier
            self._keep(_INITIATED)
        except OSError:
            self.status = j.status = j.size = 0
            self._model.event(_MEMORY_ERROR)
            return False
        self._take(size, block_size)
        return True

    def put(self, number, octets):
        try:
            at = number * self.block_size
            self._slots.write(self._image, at, octets, self._counts)
            if not self._has(number):
                self._mark(number)
                self.missing -= 1
                if number == self.first:
                    self._find_first()
        except OSError:
            self._model.event(_MEMORY_ERROR)
            return False
        return True

    def _counts(self, at, end):
        """Has this part of the image octets of a block that has come?"""
        for number in range(at // self.block_size, (end - 1) // self.block_size + 1):
            if self._has(number):
                return True
        return False

    def _octet(self, number):
        """The octet of the map that has the bit of a block."""
        self._map.seek(number >> 3)
        got = self._map.read(1)
        return got[0] if got else 0

    def _has(self, number):
        return self._octet(number) & 0x80 >> (number & 7)

    def _mark(self, number):
        octet = self._octet(number) | 0x80 >> (number & 7)
        self._map.seek(number >> 3)
        if self._map.write(bytes((octet,))) != 1:
            raise OSError(28)
        self._files.sync(self._map)

    def _find_first(self):
        """Go on to the first block that has not come."""
        k = self.first
        while k < self.n_blocks:
            octet = self._octet(k)
            if octet == 0xFF and k & 7 == 0:
                k += 8
            elif octet & 0x80 >> (k & 7):
                k += 1
            else:
                break
        self.first = min(k, self.n_blocks)

    def bits(self, buf, pos, k):
        n = min((self.n_blocks + 7 >> 3) - k * _MAP_PIECE, _MAP_PIECE)
        try:
            self._map.seek(k * _MAP_PIECE)
            if self._map.readinto(self._piece) < n:
                return -1
        except OSError:
            return -1
        copy(buf, pos, self._piece, 0, n)
        return pos + n

    def about(self, buf, pos):
        j = self._journal
        buf[pos] = 0x02
        buf[pos + 1] = 3
        buf[pos + 2] = _DOUBLE_LONG_UNSIGNED
        pos = put_u32(buf, pos + 3, self.size)
        pos = _put_octets(buf, pos, j.identifier)
        return _put_octets(buf, pos, self._signature)

    # --- Verification and installation --------------------------------------------------------

    def start(self, activate):
        self._wanted = True
        self._activate = activate
        self.status = _ACTIVATING if self.status == _VERIFIED else _VERIFYING

    def _verify(self):
        """Generator: is the image one that may be installed?"""
        image = self._container()
        code = yield from image.verify(NUMBER, self._runtime, self._maker)
        if code:
            self._keep(_NOT_VERIFIED)
            self._model.event(_VERIFICATION_FAILED)
            self._model.event(code)
            return
        self._signature = image.signature
        self._keep(_VERIFIED)
        self._model.event(_READY)
        if self._activate:
            self.status = _ACTIVATING
            yield from self._install()

    def _install(self):
        """Generator: fill the slot that does not run, and let the journal name it."""
        image = self._container()
        j = self._journal
        number = self._spare()
        self._clear()
        yield
        # What is installed must be what was verified, and nothing that has changed since.
        code = yield from image.verify(NUMBER, self._runtime, self._maker)
        code = _DAMAGED if code else (yield from self._slots.install(image, number))
        if code:
            self._clear()
            self._keep(_NOT_ACTIVATED)
            self._model.event(code)
            return
        j.previous = j.active
        j.previous_version = j.version
        j.active = number
        j.version = image.version
        j.trial = 1
        j.left = journal.STARTS
        try:
            self._keep(_ACTIVATING)
        except OSError:
            # Nothing of it is stored: what runs goes on.
            j.load()
            raise

    # --- Time -------------------------------------------------------------------------------

    def is_busy(self):
        return self._wanted or self._job is not None

    def turn(self, meter, now_ms):
        """Do the next step of what has to be done. now_ms: ticks."""
        if self._wanted:
            self._wanted = False
            self._job = self._install() if self.status == _ACTIVATING else self._verify()
        if self._job is not None:
            try:
                next(self._job)
                return
            except StopIteration:
                pass
            except Exception as e:
                # It cannot be read or written, and this may be the last that is known of it.
                installs = self.status >= _ACTIVATING
                if installs:
                    self._clear()
                self.status = _NOT_ACTIVATED if installs else _NOT_VERIFIED
                self._journal.status = self.status
                self._model.event(_MEMORY_ERROR)
                if not isinstance(e, OSError):
                    meter.server.fault = e
            self._job = None
            self._since_ms = -1
        j = self._journal
        if j.note:
            self._model.event(j.note)
            j.note = 0
            self._save()
        if not j.trial or self.wants_restart:
            return
        if self._since_ms < 0:
            self._since_ms = now_ms
        passed_ms = now_ms - self._since_ms & _TICKS_MASK
        if j.version != NUMBER:
            # It has been installed by this run, and waits until the answer has gone.
            self.wants_restart = passed_ms >= _RESTART_MS
        elif passed_ms >= _TRIAL_MS:
            self._job = self._end_trial(meter)

    def _end_trial(self, meter):
        """Generator: confirm this firmware, or go back."""
        well = yield from _is_well(meter)
        j = self._journal
        j.trial = j.left = 0
        if well:
            j.status = self.status = _ACTIVATED
            self._clear()
            self._model.event(_FIRMWARE_ACTIVATED)
        else:
            j.go_back()
            self.status = j.status
            self.wants_restart = True
        if not self._save():
            # It is started again, and has another try.
            j.trial = 1
            self._since_ms = -1

    def _save(self):
        try:
            self._journal.save()
        except OSError:
            self._model.event(_MEMORY_ERROR)
            return False
        return True


def _put_octets(buf, pos, octets):
    n = len(octets)
    buf[pos] = _OCTET_STRING
    pos = put_length(buf, pos + 1, n)
    copy(buf, pos, octets, 0, n)
    return pos + n


def _is_well(meter):
    """Generator: the test of a new firmware by itself. It can read all of its objects, one a turn,
    and save its state."""
    model = meter.model
    buf = bytearray(_LONGEST_VALUE)
    try:
        row = 0
        tries = _TRIES
        while row < model.n_rows():
            try:
                model.read(row, _VALUE, buf, 0, _LONGEST_VALUE)
                row += 1
                tries = _TRIES
            except MemoryError:
                tries -= 1
                if not tries:
                    raise
                # On a board: what was loaded for the rows before goes, if no answer needs it.
                if not any(a.transfer for a in meter.server.associations):
                    model.sleep()
                    meter.rests = True
            yield
    except Exception as e:
        meter.server.fault = e
        return False
    return meter.program.save_now()
