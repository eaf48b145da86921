# SPDX-License-Identifier: MIT
"""A descriptor that a feed comes from, and its commands go to: a socket, or a serial port."""

import asyncio
import os

_CHUNK = 1 << 16
_MOST_WAITING = 1 << 16  # octets of commands that nobody takes


class Source:
    """Reads fd for a Feed from now on. on_end() is called when there is no more of it."""

    def __init__(self, fd, feed, on_end):
        self._fd = fd
        self._feed = feed
        self._on_end = on_end
        self._waiting = bytearray()
        self._loop = asyncio.get_running_loop()
        os.set_blocking(fd, False)
        self._loop.add_reader(fd, self._read)
        feed.attach(self._write)

    def _read(self):
        try:
            data = os.read(self._fd, _CHUNK)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            self._feed.read(data)
        else:
            self.close()
            self._on_end()

    def _write(self, data):
        if len(self._waiting) + len(data) > _MOST_WAITING:
            raise OSError("nobody takes commands")
        self._waiting += data
        self._flush()

    def _flush(self):
        try:
            while self._waiting:
                del self._waiting[: os.write(self._fd, self._waiting)]
        except BlockingIOError:
            self._loop.add_writer(self._fd, self._flush)
            return
        self._loop.remove_writer(self._fd)

    def close(self):
        self._loop.remove_reader(self._fd)
        self._loop.remove_writer(self._fd)
        self._feed.attach(None)
