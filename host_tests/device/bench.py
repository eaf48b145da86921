# SPDX-License-Identifier: MIT
"""Measure the request path of a meter; prints one JSON object.

    micropython bench.py DEFINITION_DIR STATE_DIR [ROUNDS]

Each figure is taken in rounds, in turn with a floor: find an object in the table of the meter and
copy five octets, called from a loop. Given are the least time of the rounds in microseconds, and
the median of the ratios to the floor of the same round. The heap is locked while time is taken,
and `heap` is what a whole long answer leaves or takes at most (must be 0 whatever the rows; of 10
and of 10,000 rows they are copies of one).
Ciphered requests are made before time is taken, and so are the counters that they use: these are
saved once in 64 requests, `counters_us`.
"""

import binascii
import gc
import json
import sys
import time

if "." in __name__:
    from device import client as clients
else:
    import client as clients

try:
    from micropython import heap_lock, heap_unlock

    ticks_us = time.ticks_us

    def since_us(then):
        return time.ticks_diff(time.ticks_us(), then)

    mem_alloc = gc.mem_alloc
except (ImportError, AttributeError):

    def heap_lock():
        pass

    heap_unlock = heap_lock
    ticks_us = time.perf_counter_ns

    def since_us(then):
        return (time.perf_counter_ns() - then) / 1000

    mem_alloc = None

CLIENT = 2
CIPHERING = 1
DEVICE = 1
MINUTE = 13675680  # 2026-01-01 00:00 UTC
ROWS = (100, 3000)
LONG = (10, 10000)
LOAD_ROW_LEN = 64  # of load profile 1
N_GETS = 2000
GENERAL_BY_GLO = 3  # of ciphering.py
KINDS = 3
N_PUSHES = 20
N_CIPHERED = 50  # at a time: fewer than the counters that are saved at once


def octets(text):
    return bytearray(binascii.unhexlify(text.replace(" ", "")))


def median(values):
    values = sorted(values)
    return values[len(values) // 2]


def with_long_profile(definition):
    """Have room for LONG rows in load profile 1."""
    definition.RINGS = tuple(
        [(r[0], r[1], LONG[1] if r[1] == LOAD_ROW_LEN else r[2]) for r in definition.RINGS]
    )


class Bench:
    def __init__(self, definition, storage, port):
        from dlms import prim
        from firmware import app
        from firmware.ports import ciphers

        self.prim = prim
        self.meter = app.build(definition, storage, port, 1, MINUTE, 0, 0)
        self.server = self.meter.server
        self.channel = self.server.channel()
        config = [a for a in definition.ASSOCIATIONS if a[0] == CLIENT and a[1] == 0][0]
        self.ciphered_config = [
            a for a in definition.ASSOCIATIONS if a[0] == CIPHERING and a[1] == 0
        ][0]
        self.ciphers = ciphers
        model = self.meter.model
        at = model.slot(config[2], 7)
        secret = bytes(model.image[at + 2 : at + 2 + model.image[at + 1]])
        body = octets("A109060760857405080101 8A020780 8B0760857405080201")
        body += bytes((0xAC, len(secret) + 2, 0x80, len(secret))) + secret
        body += octets("BE10040E01000000065F1F0400007E5F 0400")
        self.aarq = bytearray((0x60, len(body))) + body
        self.rlrq = octets("6200")
        self.get = octets("C001C1 0003 0100010800FF 02 00")
        names = [row for row in model.rows(3)][:20]
        self.list = octets("C003C114")
        for row in names:
            self.list += model.objects[row * 16 : row * 16 + 8] + b"\x02\x00"
        self.access = octets("D940000001 00 14")
        for row in names:
            self.access += b"\x01" + model.objects[row * 16 : row * 16 + 8] + b"\x02"
        self.access += b"\x14" + bytes(20)
        self.profile = model.find(0, octets("0007 0100630100FF"), 0)
        self.buffer = octets("C001C1 0007 0100630100FF 02 00")
        self.next = octets("C002C1 00000000")
        d = model.devices[0]
        self.floor_args = (model.objects, d[1], d[2], bytearray(self.get[3:11]), bytearray(16))
        self.image = model.image

    def say(self, apdu, client=CLIENT):
        n = self.server.request(self.channel, client, DEVICE, apdu, 0, len(apdu))
        while self.server.todo:
            self.server.work()
        if n < 0:
            return self.say(apdu, client)
        self.n = n
        return n

    def open_ciphered(self):
        """The association of the client that ciphers, on the same channel."""
        self.secure = clients.of(self.meter, CIPHERING, DEVICE, self.ciphers)
        initiate = octets("01000000065F1F0400007E1F 0400")
        self.say(bytearray(self.secure.aarq(initiate)), CIPHERING)
        self.say(bytearray(self.secure.reply(self.whole_reply())), CIPHERING)
        if not self.secure.is_open(self.whole_reply()):
            raise RuntimeError("the ciphered association was refused")

    def whole_reply(self):
        pos = self.channel.tx_pos
        return bytes(self.channel.tx[pos : pos + self.n])

    def ciphered(self, n):
        """(time of n ciphered GETs, time of saving the counters for them)."""
        secure = self.secure
        first = secure.ic
        apdus = [bytearray(secure.protect(bytes(self.get))) for _ in range(n)]
        server = self.server
        channel = self.channel
        handler = self.meter.model.handler("security_setup")
        context = server.secured.context_of(self.ciphered_config)
        counter = (first + n).to_bytes(4, "big")
        t = ticks_us()
        handler.reserve(context, context.unicast, counter)
        saving = since_us(t)
        end = len(apdus[0])
        gc.collect()
        heap_lock()
        t = ticks_us()
        for apdu in apdus:
            server.request(channel, CIPHERING, DEVICE, apdu, 0, end)
        took = since_us(t)
        heap_unlock()
        if channel.tx[channel.tx_pos] != 0xCC:
            raise RuntimeError("a ciphered GET was refused")
        return took, saving

    def reply(self):
        pos = self.channel.tx_pos
        return self.channel.tx[pos : pos + 12]

    def floor(self, n):
        find = self.prim.find
        copy = self.prim.copy
        table, first, count, key, out = self.floor_args
        image = self.image
        t = ticks_us()
        for _ in range(n):
            find(table, first, count, key, 0)
            copy(out, 4, image, 16, 5)
        return since_us(t)

    def gets(self, apdu, n):
        server = self.server
        channel = self.channel
        end = len(apdu)
        t = ticks_us()
        for _ in range(n):
            server.request(channel, CLIENT, DEVICE, apdu, 0, end)
        return since_us(t)

    def associations(self, n):
        t = ticks_us()
        for _ in range(n):
            self.say(self.aarq)
            self.say(self.rlrq)
        return since_us(t)

    def whole_profile(self):
        """Read load profile 1 to its end; the time. Sets self.octets and self.blocks."""
        next_ = self.next
        tx = self.channel.tx
        total = 0
        blocks = 0
        t = ticks_us()
        total += self.say(self.buffer)
        while True:
            blocks += 1
            pos = self.channel.tx_pos
            if tx[pos + 1] != 2 or tx[pos + 3]:
                break
            next_[5] = blocks >> 8
            next_[6] = blocks & 0xFF
            total += self.say(next_)
        us = since_us(t)
        self.octets = total
        self.blocks = blocks
        return us

    def fill(self, rows):
        handler = self.meter.model.handler("profile_generic")
        clock = self.meter.model.handler("clock")
        buf = bytearray(500)
        while True:
            self.meter.model.read(self.profile, 7, buf, 0, 16)
            have = buf[3] << 8 | buf[4]
            if have >= rows:
                return
            clock.set_utc(MINUTE + 15 * have, 0)
            handler.capture(self.profile)

    def run_ciphered(self, rounds, n_gets):
        """The same of ciphered GETs. A board has one place for associations here."""
        self.say(self.rlrq)
        self.open_ciphered()
        n = min(N_CIPHERED, n_gets // 5)  # a board has no room for many
        floors = []
        gets = []
        counters = []
        for _ in range(rounds):
            floors.append(self.floor(n_gets) / n_gets)
            # Several portions of counters a round.
            parts = [self.ciphered(n) for _ in range(max(1, n_gets // 200))]
            gets.append(min([part[0] for part in parts]) / n)
            counters.append(min([part[1] for part in parts]))
        self.say(bytearray(self.secure.protect(b"\x62\x00")), CIPHERING)
        self.secure = None
        gc.collect()
        self.say(self.aarq)
        return {
            "ciphered_get_us": min(gets),
            "ciphered_get_floors": median([get / floor for get, floor in zip(gets, floors)]),
            "counters_us": min(counters),
        }

    def push(self, n):
        """Time of n pushes of ten objects, made and protected for the client that ciphers: a call
        of this for each, with counters that have been saved."""
        from cosem.notifier import Notifier

        model = self.meter.model
        row = model.find(0, octets("0028 0004190900FF"), 0)
        notifier = Notifier(model, self.server, None, 16, False)
        envelope = notifier.envelope
        envelope.become(row)
        context = envelope.context
        handler = model.handler_of(context.row)
        if not context.loaded:
            handler.load(context)
        handler.reserve(context, context.unicast, context.unicast.rx)
        out = bytearray(640)
        gc.collect()
        heap_lock()
        t = ticks_us()
        for _ in range(n):
            end = notifier.put(row, out, 64, 600, 1, False)
            start = envelope.wrap(context, GENERAL_BY_GLO, KINDS, out, 64, end)
        took = since_us(t)
        heap_unlock()
        if start < 0 or end < 0 or out[start] != 0xDB:
            raise RuntimeError("a push was not made")
        notifier.close()
        return took

    def run(self, rounds, n_gets=N_GETS, n_rows=ROWS):
        """rounds of n_gets requests; then the profile when it has so many rows."""
        result = {"runtime": sys.implementation.name}
        if not self.say(self.aarq) or self.reply()[0] != 0x61:
            raise RuntimeError("the association was refused")
        self.say(self.get)
        assert self.reply()[:4] == b"\xc4\x01\xc1\x00"
        self.say(self.list)
        assert self.reply()[:5] == b"\xc4\x03\xc1\x14\x00"
        self.say(self.access)
        assert self.reply()[:8] == b"\xda\x40\x00\x00\x01\x00\x00\x14"
        names = ("get", "get_list_20", "access_20", "association")
        took = {"floor": [], "get": [], "get_list_20": [], "access_20": [], "association": []}
        for _ in range(rounds):
            gc.collect()
            heap_lock()
            floor = self.floor(n_gets)
            get = self.gets(self.get, n_gets)
            many = self.gets(self.list, n_gets // 10)
            access = self.gets(self.access, n_gets // 10)
            association = self.associations(n_gets // 10)
            heap_unlock()
            self.say(self.aarq)
            took["floor"].append(floor / n_gets)
            took["get"].append(get / n_gets)
            took["get_list_20"].append(many * 10 / n_gets)
            took["access_20"].append(access * 10 / n_gets)
            took["association"].append(association * 10 / n_gets)
        floors = took["floor"]
        result["floor_us"] = min(floors)
        for name in names:
            result[name + "_us"] = min(took[name])
            result[name + "_floors"] = median([x / f for x, f in zip(took[name], floors)])
        result.update(self.run_ciphered(rounds, n_gets))
        result["push_10_us"] = min([self.push(N_PUSHES) for _ in range(rounds)]) / N_PUSHES
        for rows in n_rows:
            self.fill(rows)
            self.whole_profile()
            read = [self.locked_profile() for _ in range(3)]
            best = min([one[0] for one in read])
            key = "profile_%d_" % rows
            result[key + "us_per_row"] = best / rows
            result[key + "us_per_block"] = best / self.blocks
            result[key + "octets"] = self.octets
            result[key + "blocks"] = self.blocks
            result[key + "heap"] = max([one[1] for one in read]) if mem_alloc else None
        if self.server.fault:
            raise self.server.fault
        return result

    def locked_profile(self):
        """whole_profile() with a locked heap: its time, and the heap that it has taken."""
        gc.collect()
        before = mem_alloc() if mem_alloc else 0
        heap_lock()
        us = self.whole_profile()
        heap_unlock()
        return us, mem_alloc() - before if mem_alloc else 0

    def run_long(self):
        """The heap that reading LONG rows takes, of a definition with_long_profile()."""
        model = self.meter.model
        if model.write(self.profile, 8, octets("06 %08X" % LONG[1]), 0, 5):
            raise RuntimeError("the profile is not that long")
        self.fill(1)
        ring = model.handler("profile_generic").profiles[self.profile].ring
        row = bytearray(ring.row_len)
        ring.read(0, row, 0)
        self.say(self.aarq)
        result = {}
        for rows in LONG:
            while ring.n < rows:
                ring.append(row, 0)
            if rows == LONG[0]:
                self.whole_profile()
            heap = self.locked_profile()[1]
            if self.octets < rows * 20:
                raise RuntimeError("rows are missing")
            result["profile_%d_heap" % rows] = heap if mem_alloc else None
        if self.server.fault:
            raise self.server.fault
        return result


def main(argv):
    sys.path.insert(0, argv[0])
    import definition
    from firmware import ports
    from firmware.store import FileStorage

    rounds = int(argv[2]) if len(argv) > 2 else 7
    with_long_profile(definition)
    measured = Bench(definition, FileStorage(argv[1]), ports.current())
    figures = measured.run(rounds)
    figures.update(measured.run_long())
    print(json.dumps(figures))


if __name__ == "__main__":
    main(sys.argv[1:])
