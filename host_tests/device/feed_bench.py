# SPDX-License-Identifier: MIT
"""Measure what a line of the feed takes; prints one JSON object.

    micropython feed_bench.py [ROUNDS]

A line is noted on the path of a request, and printed after it, here to a null device: `feed_us`,
the least of the rounds.
"""

import json
import sys
import time

from firmware import ports
from firmware.feed import Feed

N = 100
REQUEST = bytearray(21)
ANSWER = bytearray(30)


class Watched:
    """The port, whose lines go nowhere."""

    def __init__(self):
        port = ports.current()
        self.ticks_ms = port.ticks_ms
        self._null = open("/dev/null", "wb", 0)

    def out(self, text):
        self._null.write((text + "\n").encode())

    def readinto(self, stream, buf):
        return len(REQUEST)

    def write(self, stream, buf, pos, n):
        return n


class Asked:
    """Commands that never come."""

    def read(self):
        pass

    turn = read


def ticks_us():
    return time.ticks_us() if hasattr(time, "ticks_us") else time.perf_counter_ns() // 1000


def lines(feed):
    """Microseconds of N requests and their answers."""
    t = ticks_us()
    for _ in range(N):
        feed.readinto(None, REQUEST)
        feed.write(None, ANSWER, 0, len(ANSWER))
        feed.turn(0)
    return ticks_us() - t


def main():
    feed = Feed(Watched(), 4096)
    feed._commands = Asked()
    lines(feed)
    rounds = int(sys.argv[1]) if len(sys.argv) > 1 else 5
    print(json.dumps({"feed_us": min([lines(feed) for _ in range(rounds)]) / N / 2}))


main()
