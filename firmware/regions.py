# SPDX-License-Identifier: MIT
"""Slots of firmware that are regions of memory-mapped flash: boards whose code runs where it lies.

The interface is that of folders.py. An image comes into the region of the slot that does not run,
block for block where it belongs; nothing is left to be copied when it is installed. Its payload is
one file, a ROMFS (MicroPython 1.25) with all modules, which launch.py mounts: their code costs no
heap, what they define does.

The device is as flash.py has it, and a buffer. A sector is erased before the first octets of an
image come into it: if it is not blank, and no block of it counts. So power may fail at any write,
and a block that was torn can be sent again. What counts already cannot become something else:
whoever wants that begins again.

Of an image the launcher knows where it has its ROMFS, and it is never updated: the places of
head_len and of the first file do not change (container.py).
"""

from micropython import const

_BLOCK_LEN = const(5)
_ERASE = const(6)
_PAGE = const(256)  # what is programmed at once, on all boards; FF leaves what is there
_BLANK = b"\xff" * _PAGE
_HEAD_LEN_AT = const(6)
_ROMFS = b"\xd2\xcd\x31"
_MOUNT = "/slot"
_DAMAGED = const(101)  # event code, see meter/events.py


class Regions:
    """firsts: the first block of slot a and of b; count: blocks of each; cells: what the device
    holds, mapped."""

    kind = b" romfs"

    def __init__(self, device, cells, firsts, count):
        self._device = device
        self._cells = cells
        self._firsts = firsts
        self._sector = device.ioctl(_BLOCK_LEN, 0)
        self.longest = count * self._sector

    def _view(self, number):
        at = self._firsts[number - 1] * self._sector
        return self._cells[at : at + self.longest]

    def create(self, number):
        return _Region(self, number)

    open = create

    def clear(self, number):
        pass  # a sector is erased when something comes

    def write(self, f, at, octets, counts):
        sector = self._sector
        end = at + len(octets)
        view = self._view(f.number)
        base = at // sector * sector
        while base < end:
            if not _is_blank(view, base, base + sector) and not counts(base, base + sector):
                self._device.ioctl(_ERASE, self._firsts[f.number - 1] + base // sector)
            base += sector
        base = at // _PAGE * _PAGE
        while base < end:
            page = bytearray(_BLANK)
            first, last = max(at, base), min(end, base + _PAGE)
            page[first - base : last - base] = octets[first - at : last - at]
            block = self._firsts[f.number - 1] + base // sector
            self._device.writeblocks(block, page, base % sector)
            base += _PAGE
        if view[at:end] != octets:
            raise OSError(5)

    def install(self, image, number):
        yield
        _path, at, n = image.file(image.at)
        whole = at + n == image.size and bytes(self._view(number)[at : at + 3]) == _ROMFS
        return 0 if whole else _DAMAGED

    def mount(self, number):
        """Where the modules of a slot can be imported from. OSError: there is no ROMFS."""
        import vfs

        view = self._view(number)
        at = view[_HEAD_LEN_AT] << 8 | view[_HEAD_LEN_AT + 1]
        at += 1 + view[at] + 4
        vfs.mount(vfs.VfsRom(view[at:]), _MOUNT)
        return _MOUNT


class _Region:
    """One of them as a file that is only read."""

    def __init__(self, regions, number):
        self.number = number
        self._view = regions._view(number)
        self._at = 0

    def seek(self, at):
        self._at = at

    def read(self, n):
        octets = bytes(self._view[self._at : self._at + n])
        self._at += len(octets)
        return octets

    def readinto(self, buf):
        octets = self.read(len(buf))
        buf[: len(octets)] = octets
        return len(octets)

    def close(self):
        pass


def _is_blank(view, at, end):
    for k in range(at, end, _PAGE):
        if view[k : k + _PAGE] != _BLANK:
            return False
    return True


def of(place):
    """The slots that a board's wiring names: module, name and arguments of what makes the device,
    first block of slot a, of slot b, blocks of each. None: the board's MicroPython has no such
    device, or a ROMFS of its own there."""
    module, name, args, a, b, count = place
    make = getattr(__import__(module), name, None)
    device = make(*args) if make else None
    try:
        cells = memoryview(device)
    except TypeError:
        return None
    if cells[:3] == _ROMFS or len(cells) < (b + count) * device.ioctl(_BLOCK_LEN, 0):
        return None
    return Regions(device, cells, (a, b), count)
