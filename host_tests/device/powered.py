# SPDX-License-Identifier: MIT
"""A meter on a power line, under a locked heap: every poll of the profile. Runs on MicroPython.

    micropython powered.py FOLDER [hdlc]     [address] M_sdu in hexadecimal on stdin, one a line

FOLDER holds definition.py of sfsk.toml. Each M_sdu comes from initiator C00 for the address in
front of it (FFF if there is none); `wait N` lets N ms pass. Prints what the modem was given.
"""

import sys

from firmware.links import plc
from micropython import heap_lock, heap_unlock
from served import channel, model, server  # noqa: F401

TICK_MS = 10


class Modem:
    max_data = 242
    is_up = True
    delta_phase = min_delta_credit = 0
    is_repeater = False
    initiator = 0xC00

    def __init__(self):
        self.buf = bytearray(self.max_data)
        self.pos = self.end = self.status = 0
        self.source = 0xC00
        self.destination = 0
        self.options = 0x24
        self.next = 1  # UP
        self.out = bytearray(self.max_data)
        self.n = 0
        self.n_sent = self.n_repeated = self.n_ok = self.n_bad = 0

    def open(self, now_ms):
        pass

    def set(self, item, a, b):
        return 1

    def call(self, place, n, threshold):
        return 1

    def poll(self, now_ms):
        event = self.next
        self.next = 0
        return event

    def send(self, buf, pos, end, destination, options):
        self.n = end - pos
        for i in range(self.n):
            self.out[i] = buf[pos + i]
        self.next = 4  # CONFIRM
        return 1


class Meter:
    pass


meter = Meter()
meter.model = model
meter.server = server
model.random = lambda n: 0
modem = Modem()
station = plc.sfsk(meter, modem, len(sys.argv) > 2)
now = 0x3FFFFFFF - 200


def run(ms):
    """Poll as the main loop does, and print what was sent."""
    global now
    while ms > 0:
        heap_lock()
        station.poll(now)
        heap_unlock()
        if server.fault is not None:
            raise server.fault
        while server.todo:
            server.work()
        if modem.n:
            print(bytes(modem.out[: modem.n]).hex())
            modem.n = 0
        now = now + TICK_MS & 0x3FFFFFFF
        ms -= TICK_MS


station.open(now)
run(300)
for line in sys.stdin:
    words = line.split()
    if words[0] == "wait":
        run(int(words[1]))
        continue
    data = bytes.fromhex(words[-1])
    modem.destination = int(words[0], 16) if len(words) > 1 else 0xFFF
    modem.buf[: len(data)] = data
    modem.end = len(data)
    modem.next = 3  # DATA
    run(300)
