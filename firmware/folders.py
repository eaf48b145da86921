# SPDX-License-Identifier: MIT
"""Slots of firmware that are folders, beside the journal: a PC, and boards with a large file
system. update.py knows no more of a slot than this (regions.py has the other kind):

    kind                    what follows the runtime in an image for such slots, see update.py
    longest                 octets of an image
    create(number)          begin an image for the slot: a file that reads it. OSError
    open(number)            the same, as it was left
    write(f, at, octets, counts)   store a part of it, for good. OSError: it is not. counts(at,
                            end): has that part of the image octets that were stored and are to
                            stay?
    clear(number)           the slot needs nothing any more
    install(image, number)  generator: fill the slot with what was verified; 0, or why not, as the
                            code of an event

An image lies in a file of its own while it comes. Everything may allocate.
"""

from binascii import crc32

from firmware.launch import FOLDERS
from micropython import const

_IMAGE = "/image"
_LONGEST = const(4 << 20)
_CHUNK = const(512)
_MEMORY_ERROR = const(14)  # event code, see meter/events.py


class Folders:
    kind = b""
    longest = _LONGEST

    def __init__(self, files, folder):
        self._files = files
        self._folder = folder

    def create(self, number):
        return self._files.create(self._folder + _IMAGE)

    def open(self, number):
        return self._files.open(self._folder + _IMAGE)

    def write(self, f, at, octets, counts):
        f.seek(at)
        if f.write(octets) != len(octets):
            raise OSError(28)
        self._files.sync(f)

    def clear(self, number):
        self._files.clear(self._folder + FOLDERS[number])

    def install(self, image, number):
        folder = self._folder + FOLDERS[number]
        chunk = memoryview(bytearray(_CHUNK))
        at = image.at
        while at < image.size:
            path, at, n = image.file(at)
            if not (yield from self._copy(image, at, n, folder + "/" + path.decode(), chunk)):
                return _MEMORY_ERROR
            at += n
        self._files.settle()
        return 0

    def _copy(self, image, at, n, path, chunk):
        """Generator: copy n octets of the image to a file, and read it back; 1 if it has them."""
        self._files.folder(path[: path.rfind("/")])
        f = self._files.create(path)
        try:
            crc = [0, 0]
            end = at + n
            while at < end:
                piece = chunk[: min(end - at, _CHUNK)]
                if not image.read(at, piece) or f.write(piece) != len(piece):
                    return 0
                crc[0] = crc32(piece, crc[0])
                at += len(piece)
                yield
            self._files.sync(f)
            f.seek(0)
            while n:
                piece = chunk[: min(n, _CHUNK)]
                if f.readinto(piece) != len(piece):
                    return 0
                crc[1] = crc32(piece, crc[1])
                n -= len(piece)
                yield
            return crc[0] == crc[1]
        finally:
            f.close()
