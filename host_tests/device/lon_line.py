# SPDX-License-Identifier: MIT
"""A meter on a LON, driver and all, under a locked heap: every poll. Runs on MicroPython.

    micropython lon_line.py FOLDER       octets of the serial line in hexadecimal on stdin, a line
                                         for each time that some come

FOLDER holds definition.py of lon.toml, or lon_secure.toml. Prints what the meter has written to
the line each time.
"""

import sys

from firmware.links import plc
from micropython import heap_lock, heap_unlock
from profiles.modems.mip_u61 import MIPU61
from served import definition, model, port, server


class UART:
    def __init__(self):
        self.came = bytearray(1024)
        self.n = self.at = 0
        self.out = bytearray(1024)
        self.n_out = 0

    def readinto(self, buf):
        k = 0
        while k < len(buf) and self.at < self.n:
            buf[k] = self.came[self.at]
            self.at += 1
            k += 1
        return k

    def write(self, buf, pos, n):
        for i in range(n):
            self.out[self.n_out] = buf[pos + i]
            self.n_out += 1
        return n


class Meter:
    pass


meter = Meter()
meter.model = model
meter.server = server
meter.lon = getattr(definition, "LON", None)
uart = UART()
station = plc.lon(meter, MIPU61(uart), port)
now = 0x3FFFFFFF - 200
station.open(now)
for line in sys.stdin:
    octets = bytes.fromhex(line.strip())
    uart.came[: len(octets)] = octets
    uart.n = len(octets)
    uart.at = 0
    for _ in range(20):
        heap_lock()
        station.poll(now)
        heap_unlock()
        if server.fault is not None:
            raise server.fault
        while server.todo:
            server.work()
        now = now + 10 & 0x3FFFFFFF
    print(bytes(uart.out[: uart.n_out]).hex() or "")
    uart.n_out = 0
