# SPDX-License-Identifier: MIT
"""The file system, as little of it as storage and updates need: on a PC, and on boards with
littlefs or FAT. Whoever starts a slot of firmware (launch.py) has this, too, so it is small.
Everything may allocate.
"""

import os

from micropython import const

_PRIVATE_FOLDER = const(0o700)
_PRIVATE_FILE = const(0o600)
_OTHERS = const(0o077)
_FOLDER = const(0x4000)  # of the mode of a file


def _opener(path, flags):
    return os.open(path, flags, _PRIVATE_FILE)


class Files:
    """What the rest of the firmware knows of files. Tests put in one that loses power."""

    def __init__(self, sync=True):
        self.syncs = sync
        # CPython makes files that only their owner can read; other runtimes have no rights.
        self._private = hasattr(os, "fchmod")

    def folder(self, path):
        """Make a folder and those above it, where they are missing."""
        try:
            os.stat(path)
            return
        except OSError:
            pass
        at = path.rfind("/")
        if at > 0:
            self.folder(path[:at])
        if self._private:
            os.mkdir(path, _PRIVATE_FOLDER)
        else:
            os.mkdir(path)

    def names(self, path):
        return sorted(os.listdir(path))

    def open(self, path):
        """A file for reading and writing in place, made if it is missing."""
        try:
            os.stat(path)
            mode = "r+b"
        except OSError:
            mode = "w+b"
        if self._private:
            return open(path, mode, 0, opener=_opener)
        return open(path, mode, 0)

    def create(self, path):
        """An empty file for reading and writing, whatever was there."""
        if self._private:
            return open(path, "w+b", 0, opener=_opener)
        return open(path, "w+b", 0)

    def clear(self, path):
        """Remove a file, or a folder with all that is in it, if it is there."""
        try:
            mode = os.stat(path)[0]
        except OSError:
            return
        if not mode & _FOLDER:
            os.remove(path)
            return
        for name in os.listdir(path):
            self.clear(path + "/" + name)
        os.rmdir(path)

    def sync(self, f):
        if self.syncs:
            f.flush()
            # MicroPython's flush() goes down to the disk by itself.
            if hasattr(os, "fsync"):
                os.fsync(f.fileno())

    def settle(self):
        """Everything that was written is on the disk, new names too."""
        if self.syncs and hasattr(os, "sync"):
            os.sync()

    def shared(self, path):
        """True if others may look into a folder."""
        return self._private and bool(os.stat(path)[0] & _OTHERS)

    def lock(self, path):
        """Keep another process out; returns what must stay referenced. OSError: it is in."""
        try:
            import fcntl
        except ImportError:
            return None
        if not hasattr(fcntl, "flock"):
            return None
        f = self.open(path)
        fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return f
