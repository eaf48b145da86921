# SPDX-License-Identifier: MIT
"""What links carry, on its way to be decoded: that takes longer than to read it, and the newest is
what people want to see. Who is too far behind leaves out the oldest, and says how many.

    backlog = Backlog(feed, talk, hub)
    backlog.put(event)              of a link: it comes and goes, octets, what was lost

Decodes in slices of the loop's time, so that values, keys and browsers never wait for it.
"""

import asyncio
import collections
import time

import feeds

MOST = 500  # events that wait
_SLICE_S = 0.01
_WPDU_HEAD = 8


class Backlog:
    def __init__(self, feed, talk, hub):
        self._feed = feed
        self._talk = talk
        self._hub = hub
        self._events = collections.deque()
        self._loop = asyncio.get_running_loop()

    def put(self, event):
        if not self._events:
            self._loop.call_soon(self._work)
        self._events.append(event)
        if len(self._events) > MOST:
            self._leave_out()

    def _leave_out(self):
        n = 0
        while len(self._events) > MOST // 2:
            event = self._events.popleft()
            if isinstance(event, feeds.Octets):
                n += _messages(event)
            else:
                self._do(event)
        self._talk.lost()
        self._hub.miss(n)

    def _work(self):
        end = time.monotonic() + _SLICE_S
        while self._events:
            self._do(self._events.popleft())
            if time.monotonic() >= end:
                break
        if self._events:
            self._loop.call_soon(self._work)

    def _do(self, event):
        try:
            self._TAKERS[type(event)](self, event)
        except Exception:
            # As in watcher.py: what is on the port of a board need not make sense.
            self._feed.garbage += 1

    def _octets(self, event):
        for line in self._talk.octets(event):
            self._hub.add(line)

    def _lost(self, event):
        self._talk.lost()
        self._hub.miss(event.n)

    _TAKERS = {
        feeds.Opened: lambda self, event: self._talk.open(event.link),
        feeds.Closed: lambda self, event: self._talk.close(event.link),
        feeds.Octets: _octets,
        feeds.Lost: _lost,
    }


def _messages(event):
    """How many lines they would have been: wpdus have their length in front."""
    n = pos = 0
    if event.link.kind.startswith("wrapper"):
        while pos + _WPDU_HEAD <= len(event.octets):
            pos += _WPDU_HEAD + int.from_bytes(event.octets[pos + 6 : pos + 8], "big")
            n += 1
    return n or 1
