# SPDX-License-Identifier: MIT
"""The page's process, as tools/meter.py starts it: the meter's feed goes there as it is printed.

Nothing waits for it: lines that it does not take are kept up to a limit, and beyond that octets
and states are lost (a line of the feed says how many), but no answers, and not who comes and goes.
Standard library only.
"""

import contextlib
import ipaddress
import json
import os
import socket
import subprocess
import sys
import threading

import feeds
from bootstrap import Trouble, say

_PAGE = os.path.join(os.path.dirname(os.path.dirname(os.path.abspath(__file__))), "page.py")
_GRACE_S = 5
_LIMIT = 1 << 18
_MAY_BE_LOST = b"RTS"
WARNING = "Whoever reaches %s can see this meter, press its keys and inject faults."


def is_loopback(host):
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


class Page:
    """With the feed of a meter, for as long as the context lasts. host, port: where it is served;
    name: what else that host is called."""

    def __init__(self, feed, host, port, name):
        self._feed = feed
        self._host = host
        self._port = port
        self._name = name
        self._waiting = bytearray()
        self._lost = 0
        feed.tap(self._take)
        if not is_loopback(host):
            say(WARNING % name)

    def __enter__(self):
        self._socket, far = socket.socketpair()
        with far:
            self._child = subprocess.Popen(
                [sys.executable, _PAGE, "--feed", str(far.fileno())],
                stdin=subprocess.DEVNULL,
                pass_fds=[far.fileno()],
                start_new_session=True,
            )
        return self

    def begin(self, definition, sheet):
        """Tell it what there is to know; the address that it can be looked at."""
        about = {
            "definition": os.path.abspath(definition),
            "sheet": sheet,
            "host": self._host,
            "name": self._name,
            "port": self._port,
        }
        try:
            self._socket.sendall(json.dumps(about).encode() + b"\n")
            self._replies = self._socket.makefile("rb")
            word, _, rest = self._replies.readline().decode().strip().partition(" ")
        except OSError:
            word, rest = "", ""
        if word != "page":
            raise Trouble(rest or "The live page has not started.")
        threading.Thread(target=self._pass_commands, daemon=True).start()
        return rest

    def _pass_commands(self):
        with contextlib.suppress(OSError, ValueError):
            for line in self._replies:
                self._feed.pass_on(line)
        if self._child is not None:
            say("The live page has ended; the meter goes on.")

    def _take(self, line):
        """A line of the feed, with its mark and its end."""
        kind = line[1:2]
        if kind in _MAY_BE_LOST and len(self._waiting) + len(line) > _LIMIT:
            self._lost += 1
        else:
            if self._lost and len(self._waiting) < _LIMIT >> 1 and kind in _MAY_BE_LOST:
                ticks = line.split(b" ", 2)[1]
                self._waiting += b"%cL %s %d\n" % (feeds.MARK, ticks, self._lost)
                self._lost = 0
            self._waiting += line
        try:
            while self._waiting:
                del self._waiting[: self._socket.send(self._waiting, socket.MSG_DONTWAIT)]
        except BlockingIOError:
            pass
        except OSError:
            self._waiting.clear()  # it has ended

    def __exit__(self, *_):
        child, self._child = self._child, None
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        with contextlib.suppress(subprocess.TimeoutExpired):
            child.wait(_GRACE_S)
            return
        child.kill()
        child.wait()
