# SPDX-License-Identifier: MIT
"""Clock, links and medium of a simulated network.

A transmission is heard by each node to which there is a link, unless the link loses it, the node
itself transmits meanwhile, or another transmission that it hears overlaps. A link is of one
direction, so that both asymmetry and hidden nodes are a matter of which links there are.
"""

import heapq
import random


class Clock:
    """Events in the order of their time; of the same time, in the order they were made."""

    def __init__(self):
        self.now_ms = 0
        self._queue = []
        self._n = 0

    def at(self, time_ms, action, *args):
        self._n += 1
        heapq.heappush(self._queue, (time_ms, self._n, action, args))

    def after(self, ms, action, *args):
        self.at(self.now_ms + ms, action, *args)

    def step(self):
        """Run the next event; False: there is none."""
        if not self._queue:
            return False
        self.now_ms, _, action, args = heapq.heappop(self._queue)
        action(*args)
        return True

    def run(self, until_ms=None, done=None):
        """Run events up to a time, or until done() is true; whether it became so."""
        while done is None or not done():
            if not self._queue or until_ms is not None and self._queue[0][0] > until_ms:
                if until_ms is not None:
                    self.now_ms = max(self.now_ms, until_ms)
                return False
            self.step()
        return True


class Link:
    """One direction between two nodes: good or bad, as Gilbert and Elliott have it.

    loss   the share of frames that are lost in the long run: those of the bad state
    burst  how many steps it stays bad, in the mean
    """

    def __init__(self, chance, loss=0.0, burst=2.0):
        self.chance = chance
        self.loss = loss
        # Of one step: what stays of where it was. Bad stays bad with 1 - 1 / burst.
        self.memory = max(0.0, 1 - 1 / burst / (1 - loss)) if loss < 1 else 0.0
        self.bad = chance.random() < loss
        self.step = 0

    def loses(self, step):
        """Is what is sent in this step lost? Steps only grow."""
        kept = self.memory ** max(0, step - self.step)
        p = self.loss + (1 - self.loss) * kept if self.bad else self.loss * (1 - kept)
        if step != self.step:
            self.bad = self.chance.random() < p
            self.step = step
        return self.bad


class Transmission:
    def __init__(self, source, content, start_ms, end_ms):
        self.source = source
        self.content = content
        self.start_ms = start_ms
        self.end_ms = end_ms


class Medium:
    """What all share. Subclasses say what `collides`.

    step_ms   time of a step of the links
    keep_ms   time after which a transmission can overlap no more
    disturb   (source, node, content) -> content or None: tests lose and damage what they like
    """

    step_ms = 10
    keep_ms = 60000

    def __init__(self, clock, seed=0):
        self.clock = clock
        self.chance = random.Random(seed)
        self.nodes = []
        self.links = {}
        self.on_air = []
        self.disturb = None
        self.n_collisions = 0

    def add(self, node):
        self.nodes.append(node)
        return node

    def connect(self, a, b, loss=0.0, back=None, burst=2.0):
        """A link each way; back: the loss of the way from b to a, if it is another."""
        self.links[a, b] = Link(self.chance, loss, burst)
        self.links[b, a] = Link(self.chance, loss if back is None else back, burst)

    def cut(self, a, b):
        self.links.pop((a, b), None)
        self.links.pop((b, a), None)

    def is_free(self, node):
        """Carrier sense: does the node hear nobody?"""
        now = self.clock.now_ms
        return not any(
            t.end_ms > now and (t.source is node or (t.source, node) in self.links)
            for t in self.on_air
        )

    def transmit(self, source, content, ms):
        now = self.clock.now_ms
        sent = Transmission(source, content, now, now + ms)
        self.on_air = [t for t in self.on_air if t.end_ms > now - self.keep_ms]
        self.on_air.append(sent)
        self.clock.after(ms, self._ended, sent)

    def collides(self, one, other):
        """Does the one destroy the other where both are heard?"""
        return True

    def _ended(self, sent):
        overlapping = [
            t
            for t in self.on_air
            if t is not sent and t.start_ms < sent.end_ms and t.end_ms > sent.start_ms
        ]
        step = sent.start_ms // self.step_ms
        for node in self.nodes:
            link = self.links.get((sent.source, node))
            if link is None or any(t.source is node for t in overlapping):
                continue
            audible = [t for t in overlapping if (t.source, node) in self.links]
            if any(self.collides(t, sent) for t in audible):
                self.n_collisions += 1
                node.noise(sent.content)
                continue
            if link.loses(step):
                node.noise(sent.content)
                continue
            content = sent.content
            if self.disturb is not None:
                content = self.disturb(sent.source, node, content)
                if content is None:
                    continue
            node.hears(content)
