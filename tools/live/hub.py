# SPDX-License-Identifier: MIT
"""State, lines, and what each browser has not seen of them yet.

    hub = Hub(facts)
    hub.set("display", {...})       the newest value of a key counts; one that is the same, not
    hub.add(line)                   a line of the conversation
    view = hub.open()               a browser; view.take() -> what is new as a dict, or None

Nothing here waits: a view whose browser reads too slowly misses its oldest lines, and is told how
many they were. Values it misses none of, for only the newest of each is kept.
"""

import collections

_KEPT = 500  # lines that a new browser gets, and that one may be behind


class View:
    def __init__(self, hub):
        self._hub = hub
        self._keys = set(hub.state)
        self._lines = collections.deque(hub.lines)
        self._more = {"facts": hub.facts}
        self.dropped = 0
        self.lost = 0  # in all
        self.wake = lambda: None

    def key(self, key):
        self._keys.add(key)
        self.wake()

    def line(self, line):
        if len(self._lines) >= _KEPT:
            self._lines.popleft()
            self.dropped += 1
            self.lost += 1
        self._lines.append(line)
        self.wake()

    def miss(self, n):
        """n lines were never made."""
        self.dropped += n
        self.lost += n
        self.wake()

    def tell(self, **what):
        """Something for this browser alone."""
        self._more.update(what)
        self.wake()

    def take(self):
        message, self._more = self._more, {}
        if self._keys:
            message["set"] = {key: self._hub.state[key] for key in self._keys}
            self._keys = set()
        if self._lines:
            message["talk"] = list(self._lines)
            self._lines.clear()
        if self.dropped:
            message["dropped"] = self.dropped
            self.dropped = 0
        return message or None


class Hub:
    def __init__(self, facts):
        self.facts = facts
        self.state = {}
        self.lines = collections.deque(maxlen=_KEPT)
        self.views = set()
        self.on_open = lambda: None

    def open(self):
        view = View(self)
        self.views.add(view)
        self.on_open()
        return view

    def close(self, view):
        self.views.discard(view)

    def set(self, key, value):
        if self.state.get(key, self) == value:
            return
        self.state[key] = value
        for view in self.views:
            view.key(key)

    def add(self, line):
        self.lines.append(line)
        for view in self.views:
            view.line(line)

    def miss(self, n):
        for view in self.views:
            view.miss(n)
