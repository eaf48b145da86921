# SPDX-License-Identifier: MIT
"""How long the primitives of lib/crypto take on the runtime that runs this.

    micropython crypto_bench.py gcm

Prints lines of a name and a figure: microseconds, and the same in floors, a floor being the time
of copying one block by a primitive, taken in the same run. The heap is locked meanwhile.
"""

import gc
import sys
import time

try:
    from micropython import heap_lock, heap_unlock

    ticks_us = time.ticks_us

    def since_us(then):
        return time.ticks_diff(time.ticks_us(), then)

except ImportError:

    def heap_lock():
        pass

    heap_unlock = heap_lock
    ticks_us = time.perf_counter_ns

    def since_us(then):
        return (time.perf_counter_ns() - then) / 1000


def least(f, n, rounds=5):
    """Microseconds of one of n calls of f(n), the least of some rounds."""
    best = None
    for _ in range(rounds):
        gc.collect()
        heap_lock()
        t = ticks_us()
        f(n)
        us = since_us(t)
        heap_unlock()
        us /= n
        if best is None or us < best:
            best = us
    return best


class GCMBench:
    def __init__(self, port):
        from crypto import gcm

        self.copy = gcm.copy
        self.gcm = gcm.new(port.aes(bytes(range(16))))
        self.prefix = self.gcm.prefix(bytes(range(17)))
        self.buf = bytearray(1024 + 12)
        self.block = bytearray(16)
        self.n_text = 0

    def floor(self, n):
        copy = self.copy
        block = self.block
        buf = self.buf
        for _ in range(n):
            copy(block, 0, buf, 3, 16)

    def messages(self, n):
        g = self.gcm
        buf = self.buf
        end = self.n_text
        prefix = self.prefix
        for _ in range(n):
            g.start(prefix)
            g.encrypt(buf, 0, end, buf, end, 12)


def gcm(port, n=500):
    bench = GCMBench(port)
    floor = least(bench.floor, n)
    print("floor_us", floor)
    for bench.n_text in (9, 256, 1024):
        us = least(bench.messages, n // (1 + bench.n_text // 64) + 1)
        print("gcm_%d_us" % bench.n_text, us)
        print("gcm_%d_floors" % bench.n_text, us / floor)


def main(what, port=None):
    if port is None:
        from firmware import ports

        port = ports.current()
    {"gcm": gcm}[what](port)


if __name__ == "__main__":
    main(sys.argv[1])
