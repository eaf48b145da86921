# SPDX-License-Identifier: MIT
"""The examples of vectors/general.jsonl, taken by lib/dlms/general.py. Runs on every runtime.

    micropython general_cases.py < VECTORS

Lines come on stdin up to `end`. Of each is printed: its id; what is made of it, with the tag that
was printed; with the tag of the rule, where that is another; of the same again; and the answer to
it, protected as it was. bench() prints instead how long request and answer take, and the longest
step of both, in microseconds; and the most heap that is held meanwhile.
"""

import gc
import json
import sys
import time

from crypto import ec
from dlms import certificates, general
from dlms.ciphering import Context, Key
from firmware.ports import ciphers

ANSWER = bytes.fromhex("C401C100090105")


class Model:
    """What the jobs need of one: keys, and sixteen octets of state."""

    vault = None

    def __init__(self, title, suite):
        self.system_title = title
        self.suite = suite
        self.image = bytearray(16)
        self.aes = ciphers.aes
        self.new_hash = ciphers.new_hash
        self.n = 0

    def elliptic(self, name):
        return ec.new(name, self.new_hash, ciphers.elliptic(name))

    def random_fill(self, buf):
        # Nothing is to be guessed here.
        for i in range(len(buf)):
            self.n = self.n * 1103515245 + 12345 & 0x3FFFFFFF
            buf[i] = self.n >> 16 & 0xFF

    def state(self, row, j):
        return 0

    def get_int(self, row, attribute):
        return self.suite

    def handler_of(self, row):
        return self

    def kek(self, context):
        return ciphers.aes(self.kek_octets)

    def tx(self, context):
        return context.unicast.tx

    def save(self):
        return True


class Association:
    certificate = b""
    protection = form = fields_pos = 0
    layer = fields = dedicated = None


class Steps:
    """Runs jobs. measured: each step's time and heap are looked at."""

    def __init__(self, measured=False):
        self.measured = measured
        self.longest_us = self.most = 0

    def run(self, job):
        while True:
            if self.measured:
                gc.collect()
                held = gc.mem_alloc()
                if held > self.most:
                    self.most = held
                then = time.ticks_us()
            try:
                next(job)
            except StopIteration as e:
                self._look(then if self.measured else 0)
                return e.value
            self._look(then if self.measured else 0)

    def _look(self, then):
        if self.measured:
            took = time.ticks_diff(time.ticks_us(), then)
            if took > self.longest_us:
                self.longest_us = took


def said(result):
    return "%d:%s" % (result[0], result[1].hex() if result[1] else "")


def side(v):
    """(association, context) of the meter of an example."""
    keys = {name: bytes.fromhex(octets) for name, octets in v["keys"].items()}
    a = Association()
    a.model = Model(bytes.fromhex(v["server"]), v["suite"])
    a.title = bytearray(bytes.fromhex(v["client"]))
    a.context = context = Context(0, v["suite"])
    context.loaded = True
    context.aad = bytearray(b"\0" + keys.get("ak", bytes(16)))
    tx_end = b"\xff\xff\xff\xfd"
    context.unicast = Key(
        ciphers.aes(keys.get("ek", bytes(16))), context.aad, bytearray(4), tx_end
    )
    context.unicast.rx_end[:] = tx_end
    if "kek" in keys:
        a.model.kek_octets = keys["kek"]
    certificates.own = lambda m, row, kind: keys.get(("server_signs", "server_agrees")[kind])
    certificates.public_key = lambda m, row, entity, kind, title: (
        keys.get(("client_signs", "client_agrees")[kind]) if title == bytes(a.title) else None
    )
    return a, context


def play(v):
    a, context = side(v)
    steps = Steps()

    def take(hex_):
        a.protection = 0
        return said(steps.run(general.peel(a, context, bytes.fromhex(hex_))))

    right = v.get("hex_of_the_rule", v["hex"])
    results = [take(v["hex"]), take(right) if right != v["hex"] else "-"]
    kept = (a.protection, a.form, a.fields, a.layer)
    results.append(take(right))
    a.protection, a.form, a.fields, a.layer = kept
    a.fields_pos = 1
    wrong, octets = steps.run(general.seal(a, context, ANSWER, a.protection))
    return results + [octets.hex() if not wrong else "-"]


def measure(v):
    a, context = side(v)
    octets = bytes.fromhex(v.get("hex_of_the_rule", v["hex"]))
    gc.collect()
    held = gc.mem_alloc()
    results = []
    # Time first: to look at the heap takes some.
    for steps in (Steps(), Steps(True)):
        a, context = side(v)
        for answers in (False, True):
            if answers:
                job = general.seal(a, context, ANSWER, a.protection)
            else:
                job = general.peel(a, context, octets)
            then = time.ticks_us()
            if steps.run(job)[0]:
                raise ValueError("refused")
            if not steps.measured:
                results.append(time.ticks_diff(time.ticks_us(), then))
    return results + [steps.longest_us, steps.most - held]


def lines():
    while True:
        line = sys.stdin.readline().strip()
        if line == "end":
            return
        yield json.loads(line)


def main():
    for v in lines():
        print(v["id"], " ".join(play(v)))


def bench():
    for v in lines():
        print(v["id"], *measure(v))


if __name__ == "__main__":
    main()
