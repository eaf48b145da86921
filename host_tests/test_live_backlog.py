# SPDX-License-Identifier: MIT
"""tools/live/backlog.py: whoever says more than can be decoded is seen with the newest."""

import asyncio

import feeds
from live import backlog
from live.hub import Hub

LINK = feeds.Link(1, "wrapper-tcp", "127.0.0.1:4059", "127.0.0.1:50000")
OTHER = feeds.Link(2, "hdlc-tcp", "127.0.0.1:4060", "127.0.0.1:50001")
WPDU = b"\0\1\0\x10\0\1\0\x02\xc0\1"


class Talk:
    """Notes what it gets; a line for each event. Number 13 is more than it can take."""

    def __init__(self):
        self.said = []
        self.links = []

    def open(self, link):
        self.links.append(link)

    def close(self, link):
        self.links.remove(link)

    def lost(self):
        self.said.append("lost")

    def octets(self, event):
        if event.ms == 13:
            raise ValueError("13")
        self.said.append(event.ms)
        return [event.ms]


def octets(n, data=WPDU, link=LINK):
    event = feeds.Octets(link, False, data)
    event.ms = n
    return event


def run(*events):
    """(talk, view, feed) when all of these, that come at once, are done."""

    async def test():
        talk, hub, feed = Talk(), Hub({}), feeds.Feed()
        view = hub.open()
        waiting = backlog.Backlog(feed, talk, hub)
        for event in events:
            waiting.put(event)
        async with asyncio.timeout(20):
            while waiting._events:
                await asyncio.sleep(0.001)
        return talk, view, feed

    return asyncio.run(test())


def test_in_their_order():
    talk, view, feed = run(
        feeds.Opened(LINK), octets(1), octets(13), feeds.Lost(5), octets(2), feeds.Closed(LINK)
    )
    assert talk.said == [1, "lost", 2] and talk.links == [] and feed.garbage == 1
    assert view.take() == {"facts": {}, "talk": [1, 2], "dropped": 5}


def test_the_oldest_is_left_out_and_counted():
    n = 3 * backlog.MOST
    talk, view, _ = run(*[octets(100 + k) for k in range(n)])
    message = view.take()
    assert message["talk"] == list(range(100 + n - len(message["talk"]), 100 + n))
    assert message["dropped"] == n - len(message["talk"]) > 0
    assert len(message["talk"]) >= backlog.MOST // 2
    # What comes first after a gap is nothing that goes on.
    assert talk.said[talk.said.index(message["talk"][0]) - 1] == "lost"


def test_who_comes_and_goes_is_never_left_out():
    talk, _view, _ = run(
        feeds.Opened(LINK), feeds.Opened(OTHER), *[octets(k) for k in range(100, 1000)],
        feeds.Closed(LINK), *[octets(k, link=OTHER) for k in range(1000, 2000)],
    )  # fmt: skip
    assert talk.links == [OTHER]


def test_what_is_left_out_is_counted_as_it_would_have_been_shown():
    _, view, _ = run(
        octets(1, WPDU * 8), octets(2, WPDU[:9]), octets(3, WPDU * 3, OTHER),
        *[octets(100 + k) for k in range(backlog.MOST)],
    )  # fmt: skip
    message = view.take()
    assert message["dropped"] == 8 + 1 + 1 + backlog.MOST - len(message["talk"])


def test_decoding_leaves_room_for_all_else(monkeypatch):
    """Who reads the feed, and browsers, have their turn between two slices."""
    monkeypatch.setattr(backlog, "_SLICE_S", 0)

    async def test():
        talk, hub = Talk(), Hub({})
        waiting = backlog.Backlog(feeds.Feed(), talk, hub)
        turns = []
        for k in range(100, 110):
            waiting.put(octets(k))
        while waiting._events:
            turns.append(len(waiting._events))
            await asyncio.sleep(0)
        assert len(turns) > 2

    asyncio.run(test())
