# SPDX-License-Identifier: MIT
"""The feed of a meter on a board, over the port of its REPL.

    with BoardFeed(feed, "/dev/ttyACM0") as board:
        board.relay(out)        until Ctrl-C, or the board is gone; commands go by feed.ask()
    with BoardFeed(None, "/dev/ttyACM0") as board:
        board.fileno()          for somebody who reads and writes it by himself

The meter is started again, with a feed, and once more, without one, when all is over.
"""

import contextlib
import time

import remote
from bootstrap import Trouble

# Octets that the meter may keep until they are read: what a small board has room for.
_LEN = 4096
_START = "from firmware import launch\nlaunch.board(feed=%d)\n" % _LEN
_WAIT_S = 0.2
_END_S = 5
_PROMPT = b"\x04>"  # of the raw REPL


class BoardFeed:
    def __init__(self, feed, port):
        self.feed = feed
        self._remote = remote.Remote(port)

    def __enter__(self):
        self._remote.connect()
        self._transport = self._remote._transport
        self._transport.exec_raw_no_follow(_START)
        self._serial = self._transport.serial
        self._serial.timeout = _WAIT_S
        if self.feed is not None:
            self.feed.attach(self._write)
        return self

    def fileno(self):
        return self._serial.fileno()

    def _write(self, octets):
        try:
            self._serial.write(octets)
        except Exception as e:  # of pyserial
            raise OSError(str(e)) from None

    def relay(self, out):
        """out(octets): takes what is not the feed's."""
        while True:
            try:
                octets = self._serial.read(self._serial.in_waiting or 1)
            except Exception as e:
                raise Trouble("The board at %s is gone (%s)." % (self._remote.port, e)) from None
            others = self.feed.read(octets)
            if others:
                out(others)

    def __exit__(self, *_):
        if self.feed is not None:
            self.feed.attach(None)
        with contextlib.suppress(Exception):
            # Ctrl-C ends the meter, which says what has not been said yet.
            self._serial.write(b"\x03")
            said = b""
            end = time.monotonic() + _END_S
            while _PROMPT not in said and time.monotonic() < end:
                octets = self._serial.read(self._serial.in_waiting or 1)
                said += octets if self.feed is None else self.feed.read(octets)
            # Out of the raw REPL, and a start as after power-up.
            self._serial.write(b"\x02\x04")
            self._serial.flush()
        self._remote.close()
