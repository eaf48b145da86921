# SPDX-License-Identifier: MIT
"""Writes what the links of a feed carry."""

import queue
import threading

import feeds
from bootstrap import say

from . import talks

_WAITING = 20000
_PATIENCE_S = 2


class Capture:
    """Writes what the links of a feed carry, in a thread of its own: who reads the feed need not
    wait for that. What waits longer than _WAITING events for a file that is slow, such as a named
    pipe that nobody reads, is lost, and counted."""

    def __init__(self, file, keys=None, names=None, here=True):
        """keys, names: of decoding/. here: the meter is on this machine."""
        self.file = file
        self.keys = keys
        self.names = names
        self._here = here
        self._talks = {}
        self._interfaces = {}
        self._events = queue.SimpleQueue()
        self._lost = 0
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def take(self, event):
        """An event of the feed."""
        if isinstance(event, feeds.State) or self.file.ended:
            return
        if isinstance(event, feeds.Octets) and self._events.qsize() >= _WAITING:
            self._lost += 1
            return
        if self._lost:
            lost, self._lost = feeds.Lost(self._lost), 0
            self._events.put(lost)
        self._events.put(event)

    def close(self):
        """All has been taken."""
        self._events.put(None)
        self._thread.join(_PATIENCE_S)
        while self._thread.is_alive():
            left = self._events.qsize()
            say("The capture %s is being written: %d events are left." % (self.file.path, left))
            self._thread.join(_PATIENCE_S)
            if self._thread.is_alive() and self._events.qsize() >= left:
                say("The capture %s is not whole: nobody takes what is written." % self.file.path)
                return
        for talk in self._talks.values():
            talk.flush()
        self.file.close()

    def _work(self):
        while True:
            event = self._events.get()
            if event is None:
                return
            try:
                if not self.file.ended:
                    self._take(event)
            except Exception as e:
                # The capture is not worth the meter.
                say("A packet of the capture is missing: %r" % e)

    def _take(self, event):
        if isinstance(event, feeds.Octets):
            self._octets(event)
        elif isinstance(event, feeds.Opened):
            talk = self._talks[event.link] = talks.of(event.link, self, self._here)
            talk.open(event.time)
        elif isinstance(event, feeds.Closed):
            talk = self._talks.pop(event.link, None)
            if talk is not None:
                talk.close(event.time, event.by)
        elif isinstance(event, feeds.Lost):
            for talk in self._talks.values():
                talk.flush()
                talk.notes.append("before this %d lines of the feed were lost" % event.n)

    def interface(self, name, link_type, description):
        """The number of an interface, which is made when it is first asked for."""
        key = name, link_type
        if key not in self._interfaces:
            self._interfaces[key] = self.file.interface(name, link_type, description)
        return self._interfaces[key]

    def _octets(self, event):
        talk = self._talks.get(event.link)
        if talk is None:
            return
        if event.fault is None:
            talk.octets(event.time, event.sent, event.octets)
        elif event.fault == "drop":
            kept = event.octets.hex().upper()
            talk.notes.append("before this a fault kept %d octets: %s" % (len(kept) // 2, kept))
        else:
            talk.notes.append("a fault has spoilt the check")
