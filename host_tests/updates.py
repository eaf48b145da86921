# SPDX-License-Identifier: MIT
"""Gurux as the client of a meter that is updated by Image transfer: what tests of updates have in
common, on a PC (test_update_running.py) and on a chip (test_update_chip.py)."""

import os
import subprocess
import sys
import time

import image as tool
from peer_sessions import MANAGEMENT, ROOT, UPDATE, Peer, Refusal

TRANSFER = (18, "0.0.44.0.0.255")
VERSION = (1, "0.0.0.2.1.255", 2)
EVENTS = "0.0.99.98.0.255"
BLOCK_SIZE = 384
STATUS = 6
INITIATED, VERIFIED, NOT_VERIFIED, ACTIVATED, NOT_ACTIVATED = 1, 3, 4, 6, 7
TEMPORARY_FAILURE, OTHER_REASON = 2, 250
FAILED, TRUNCATED, DAMAGED, WRONGLY_SIGNED, NOT_NEWER, WENT_BACK = 51, 100, 101, 102, 103, 105
PATIENCE_S = 120


def made(path, number, runtime, *options):
    """An image of this firmware, made as a person does."""
    r = subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools", "image.py"), "make", "--version", str(number),
         "--for", runtime, "-o", str(path), *options],
        capture_output=True, text=True,
    )  # fmt: skip
    assert r.returncode == 0, r.stderr
    assert r.stdout == "%s\n" % path
    return path.read_bytes()


def small(number=2, runtime="cpython", key=None, files=None):
    """One without much in it, that a meter takes for good, but does not come up with."""
    files = files or {"firmware/__init__.py": b"", "firmware/main.py": b"raise ValueError('no')"}
    key = key or tool.load_key(tool.DEMO_KEY)
    return tool.container(number, runtime, tool.payload_of(files), key)


class Updated:
    """A meter and its client for updates. Whoever derives from it has a meter, with the interface
    of peer_sessions.RunningMeter."""

    link = "wrapper"
    options = ()
    patience_s = PATIENCE_S

    def __init__(self, peers, expected):
        self.peers, self.expected = peers, expected
        self.peer = self.meter = None

    def awake(self):
        """Start the meter again if it has asked for that, and nobody else does it."""

    def leave(self):
        if self.peer is not None:
            self.peer.end()
            self.peer = None

    def client(self, association=UPDATE):
        """Connected anew, as soon as the meter is there."""
        self.leave()
        limit = time.monotonic() + self.patience_s
        while True:
            self.awake()
            secret = self.expected.secret(association)
            self.peer = Peer(self.peers, "gurux_client.py", self.meter, self.link, association,
                             secret, self.options)  # fmt: skip
            try:
                self.peer.opened = self.peer.ask("open")
                return self.peer
            except Refusal:
                assert time.monotonic() < limit
                self.leave()
                time.sleep(0.2)

    def read(self, attribute):
        return self.peer.get(*TRANSFER, attribute)["value"]

    def version(self):
        return bytes.fromhex(self.peer.get(*VERSION)["value"]).decode()

    def status(self):
        return self.read(STATUS)

    def initiate(self, octets):
        name = b"\x09\x08firmware"
        size = b"\x06" + len(octets).to_bytes(4, "big")
        self.peer.act(*TRANSFER, 1, "structure", (b"\x02\x02" + name + size).hex())

    def send(self, octets, order=None):
        n = -(-len(octets) // BLOCK_SIZE)
        for k in order or range(n):
            block = octets[k * BLOCK_SIZE : (k + 1) * BLOCK_SIZE]
            data = b"\x02\x02\x06" + k.to_bytes(4, "big") + tool.reader.field(9, block)
            self.peer.act(*TRANSFER, 2, "structure", data.hex())

    def begin(self, method):
        """verify or activate: what takes time is answered with temporary-failure."""
        error = self.peer.refused("action", class_id=18, obis=TRANSFER[1], method=method,
                                  type="integer", value=0)  # fmt: skip
        assert error["code"] == TEMPORARY_FAILURE
        return self.ends()

    def ends(self, *on_the_way):
        limit = time.monotonic() + self.patience_s
        while self.status() in (2, *on_the_way):
            assert time.monotonic() < limit
            time.sleep(0.05)
        return self.status()

    def transfer(self, octets):
        self.initiate(octets)
        self.send(octets)
        return self.begin(3)

    def activate(self):
        """Until the meter is there again, with whatever firmware, and does not try any more."""
        error = self.peer.refused("action", class_id=18, obis=TRANSFER[1], method=4,
                                  type="integer", value=0)  # fmt: skip
        assert error["code"] == TEMPORARY_FAILURE
        limit = time.monotonic() + self.patience_s
        status = 5
        while status not in (ACTIVATED, NOT_ACTIVATED):
            assert time.monotonic() < limit
            time.sleep(0.5)
            try:
                self.client()
                status = self.status()
            except Refusal:
                pass  # it restarts
        return status

    def events(self):
        """Codes in the standard log."""
        self.client(MANAGEMENT)
        rows = self.peer.get(7, EVENTS, 2)["value"]
        self.client()
        return [row[1] for row in rows]

    def notes(self, *codes):
        """Until these are among the events: they are noted with the next second."""
        limit = time.monotonic() + self.patience_s
        while not set(codes) <= set(self.events()):
            assert time.monotonic() < limit, self.events()
            time.sleep(0.3)
