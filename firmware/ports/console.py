# SPDX-License-Identifier: MIT
"""stdin and stdout, on a board the port of its REPL, for a program at the other end.

    console = Console()
    console.has_room() -> bool      stdout takes some thousand octets without waiting
    console.read() -> str | None    what has come on stdin, "" if nothing has; None: its end

A runtime that cannot poll them takes what is printed, and has nothing on stdin. Allocates.
"""

import select
import sys

from micropython import const

_MOST = const(256)  # characters at a time


class Console:
    def __init__(self):
        self._out = _poll_of(sys.stdout, select.POLLOUT)
        self._in = _poll_of(sys.stdin, select.POLLIN)
        self._ended = False

    def has_room(self):
        return self._out is None or bool(self._out.poll(0))

    def read(self):
        text = ""
        while self._in is not None and len(text) < _MOST and self._in.poll(0):
            try:
                more = _some()
            except (OSError, ValueError):
                more = "?"  # not even text
            if not more:
                self._ended = True
                self._in = None
            text += more
        return None if self._ended and not text else text


def _poll_of(stream, event):
    try:
        poll = select.poll()
        poll.register(stream, event)
        return poll
    except (OSError, ValueError, TypeError, AttributeError):
        return None


if sys.implementation.name == "cpython":
    import os

    def _some():
        return os.read(0, _MOST).decode("ascii", "replace")

else:

    def _some():
        # One at a time: more would be waited for.
        return sys.stdin.read(1)
