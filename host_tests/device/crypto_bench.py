# SPDX-License-Identifier: MIT
"""How long the primitives of lib/crypto take on the runtime that runs this.

    micropython crypto_bench.py gcm|ec

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
        self.other = gcm.new(port.aes(bytes(range(16))))
        self.aad = bytes(range(17))
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
        aad = self.aad
        for _ in range(n):
            g.start()
            g.aad(aad, 0, 17)
            g.encrypt(buf, 0, end, buf, end, 12)

    def in_turn(self, n):
        """Half of the messages with either of two keys."""
        g, other = self.gcm, self.other
        for _ in range(n):
            self.gcm, self.other = self.other, self.gcm
            self.messages(1)
        self.gcm, self.other = g, other

    def received(self, n):
        """Encrypted and decrypted."""
        g = self.gcm
        buf = self.buf
        end = self.n_text
        aad = self.aad
        right = 0
        for _ in range(n):
            g.start()
            g.aad(aad, 0, 17)
            g.encrypt(buf, 0, end, buf, end, 12)
            g.start()
            g.aad(aad, 0, 17)
            right += g.decrypt(buf, 0, end, buf, end, 12)
        if right != n:
            raise ValueError("a tag was refused")


def gcm(port, n=500):
    from crypto import gcm as module

    gc.collect()
    before = gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
    t = ticks_us()
    key = module.new(port.aes(bytes(range(16))))
    print("gcm_key_us", since_us(t))
    gc.collect()
    print("gcm_key_heap", gc.mem_alloc() - before if hasattr(gc, "mem_alloc") else 0)
    del key
    bench = GCMBench(port)
    floor = least(bench.floor, n)
    print("floor_us", floor)
    for bench.n_text in (9, 256, 1024):
        us = least(bench.messages, n // (1 + bench.n_text // 64) + 1)
        print("gcm_%d_us" % bench.n_text, us)
        print("gcm_%d_floors" % bench.n_text, us / floor)
    bench.n_text = 9
    print("gcm_9_both_us", least(bench.received, n))
    print("gcm_9_in_turn_us", least(bench.in_turn, n))


class _Curve:
    """Work on one curve, measured; the longest step includes what a collection takes in it."""

    def __init__(self, name, port):
        from crypto import ec

        self.name = name.replace("-", "").lower()
        self.ec = ec
        self.size = ec.Curve(name).size
        self.work = ec.new(name, port.new_hash)

    def measure(self, what, *args):
        gc.collect()
        before = gc.mem_alloc() if hasattr(gc, "mem_alloc") else 0
        getattr(self.work, what)(*args)
        gc.collect()
        held = gc.mem_alloc() - before if hasattr(gc, "mem_alloc") else 0
        total = longest = 0
        more = 1
        while more:
            t = ticks_us()
            more = self.work.step()
            us = since_us(t)
            total += us
            longest = max(longest, us)
        for figure, value in (("us", total), ("step_us", longest), ("heap", held)):
            print("%s_%s_%s" % (self.name, what, figure), value)
        return self.work.result


def ec(port):
    for name in ("P-256", "P-384"):
        curve = _Curve(name, port)
        n = curve.size
        private = bytes(range(1, n + 1))
        digest = bytes(range(n, 2 * n))
        public = curve.measure("public_key", private)
        signature = curve.measure("sign", private, digest)
        if not curve.measure("verify", public, digest, signature):
            raise RuntimeError("its own signature was refused")
        curve.measure("agree", private, public)


def main(what, port=None):
    if port is None:
        from firmware.ports import ciphers as port
    {"gcm": gcm, "ec": ec}[what](port)


if __name__ == "__main__":
    main(sys.argv[1])
