# SPDX-License-Identifier: MIT
"""A meter with an optical port, under a locked heap. Runs on MicroPython, and on CPython.

    micropython signed_on.py FOLDER [parity]     `ms octets` on stdin, a line each

FOLDER holds definition.py of optical.toml. The octets (hexadecimal, or - for none) come in, so
much time passes, and what is said meanwhile is printed, - for nothing, with the baud rate.
"""

import sys

sys.path.append(sys.argv[1])

import definition
from cosem.local_port import LocalPort
from cosem.model import Model
from dlms.server import Server
from firmware import store
from profiles.hdlc import HDLC
from profiles.iec62056_21 import TariffDevice

try:
    from micropython import heap_lock, heap_unlock
except ImportError:

    def heap_lock():
        pass

    def heap_unlock():
        pass


STEP_MS = 10

model = Model(definition)
model.storage = store.RAMStorage()
model.save = lambda: True
server = Server(model)
model.start()
channel = server.channel()
server.keeps = True  # what is written is saved before it is acknowledged
hdlc = HDLC(server, channel, 128)
device = TariffDevice(hdlc, LocalPort(server, channel, definition.OPTICAL), "parity" in sys.argv)
out = bytearray(4096)


def turn(now_ms):
    """What a link does once, nothing allocated; octets that are said."""
    n_out = 0
    heap_lock()
    device.tick(now_ms)
    n = device.transmit(now_ms)
    while n:
        for i in range(n):
            out[n_out + i] = device.out[device.out_pos + i]
        n_out += n
        n = device.transmit(now_ms)
    heap_unlock()
    if server.fault is not None:
        raise server.fault
    while server.todo:
        server.work()
    return n_out


now = 0x3FFFFFFF - 3000
for line in sys.stdin:
    ms, octets = line.split()
    buf = bytearray(bytes(int(octets[i : i + 2], 16) for i in range(0, len(octets), 2))
                    if octets != "-" else b"")  # fmt: skip
    pos = 0
    heap_lock()
    while pos < len(buf):
        after = device.receive(buf, pos, len(buf), now)
        if after == pos:
            break
        pos = after
    heap_unlock()
    said = b""
    for _ in range(int(ms) // STEP_MS):
        now = now + STEP_MS & 0x3FFFFFFF
        said += bytes(memoryview(out)[: turn(now)])
    print("".join("%02x" % x for x in said) or "-", device.baud)
