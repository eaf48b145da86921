# SPDX-License-Identifier: MIT
"""Many requests to one meter on any runtime, over wrapper and HDLC, with faults: heap and values.

    soak.py DEFINITION_DIR STATE REQUESTS SECONDS

DEFINITION_DIR holds definition.py; STATE: a folder, or - for RAM. REQUESTS are spread over SECONDS
of meter time. Each request is served under a locked heap (converse.py). Prints lines of JSON:
"heap" is gc.mem_alloc() after a collection where there is that, "ws" what the meter has counted of
A+ and "played" what its household has said, both in watt-seconds. The last line says "done".
"""

import gc
import json
import sys

import converse

_LOOKS = 24
_SESSION = 20  # requests of an association
_SECURE = (1, 3, 7)  # clients
_A_PLUS = b"\x00\x03\x01\x00\x01\x08\x00\xff"
_NAME = b"\xc0\x01\xc1\x00\x01\x00\x00\x2a\x00\x00\xff\x02\x00"
_RLRQ = b"\x62\x03\x80\x01\x00"
_INITIATE = b"\x01\x00\x00\x00\x06\x5f\x1f\x04\x00\xfe\xff\xff\xff\xff"


class Chance:
    """The same numbers on all runtimes."""

    def __init__(self, seed):
        self.x = seed

    def below(self, n):
        self.x = self.x * 1103515245 + 12345 & 0x3FFFFFFF
        return (self.x >> 12) % n


class Soak:
    def __init__(self, definition, state):
        from firmware import app, ports
        from firmware.ports import ciphers
        from firmware.store import FileStorage, RAMStorage

        storage = RAMStorage() if state == "-" else FileStorage(state)
        port = ports.current()
        self.ciphers = ciphers
        self.meter = app.build(
            definition, storage, port, converse.SEED, converse.START_MINUTE, 0, 0
        )
        self.links = (converse.WrapperClient(self.meter), converse.HDLCClient(self.meter))
        self.played = 0
        self.ic = dict.fromkeys(_SECURE, 0)
        self.n = 0
        self.now_ms = 0
        self.chance = Chance(1)
        self.source = self.meter.program.metrology
        self.take = self.source.take
        self.source.take = self.counted
        model = self.meter.model
        self.row = model.find(0, _A_PLUS, 0)
        self.rows = [
            bytes(model.objects[r << 4 : (r << 4) + 8]) + bytes((2, 0))
            for r in range(model.n_rows())
        ]

    def counted(self, seconds):
        self.take(seconds)
        self.played += self.source.quanta[0]

    def say(self, k, client, apdu):
        self.n += 1
        self.now_ms = self.now_ms + 10 & 0x3FFFFFFF
        link = "hdlc" if k else "wrapper"
        got = converse.ask(self.links[k], self.meter, (client, 1), link, apdu, self.now_ms)
        fault = self.meter.server.fault
        if fault is not None:
            raise fault
        return got

    def cut(self, k):
        self.links[k].profile.reset()
        if k:
            self.links[1].who = None
            self.links[1].segmented = False
            self.links[1].apdu = b""

    def session(self):
        """Clients 1 and 7 with GMAC and ciphers, 3 with SHA-256, or 16, which needs none. The end
        of it is by chance."""
        below = self.chance.below
        k = below(2)
        secure = None
        client = 16
        if below(4):
            client = _SECURE[below(len(_SECURE))]
            secure = converse.clients.of(self.meter, client, 1, self.ciphers)
            secure.ic = self.ic[client]
            got = converse.opening(secure, lambda apdu: self.say(k, client, apdu), _INITIATE)
            self.ic[client] = secure.ic
            if not got or got[0] != 8:
                raise ValueError("no association: %r" % got)
        else:
            body = b"\xa1\x09\x06\x07\x60\x85\x74\x05\x08\x01\x01\xbe\x10\x04\x0e" + _INITIATE
            got = self.say(k, 16, bytes((0x60, len(body))) + body)
            if not got or got[0] != 0x61:
                raise ValueError("no association: %r" % got)
        for _ in range(_SESSION):
            apdu = b"\xc0\x01\xc1" + self.rows[below(len(self.rows))]
            if below(8) == 0:
                apdu = _NAME
            got = self.say(k, client, secure.protect(apdu) if secure else apdu)
            if secure:
                self.ic[client] = secure.ic
                got = secure.opened(got)
            if not got or got[0] != 0xC4:
                raise ValueError("no answer to %r: %r" % (apdu, got))
        end = below(10)
        if end == 0:
            converse.exchange(
                self.links[k].profile, [b"\x7e\xa0\x07garbage" + bytes(below(200))], self.now_ms,
                self.meter.server,
            )  # fmt: skip
        elif end > 2:
            self.say(k, client, secure.protect(_RLRQ) if secure else _RLRQ)
        if secure:
            self.ic[client] = secure.ic
        self.cut(k)

    def figures(self):
        program = self.meter.program
        gc.collect()
        return {
            "requests": self.n,
            "heap": gc.mem_alloc() if hasattr(gc, "mem_alloc") else -1,
            "played": self.played,
            "ws": self.meter.model.get_int(self.row, 2) * 3600
            + (program.kept[0] << 8 | program.kept[1]),
            "open": sum([1 for a in self.meter.server.associations if a.state]),
        }


def main(folder, state, requests, seconds):
    sys.path.insert(0, folder)
    import definition

    requests, seconds = int(requests), int(seconds)
    soak = Soak(definition, state)
    passed = 0
    for look in range(1, _LOOKS + 1):
        while soak.n < requests * look // _LOOKS:
            soak.session()
            to = seconds * soak.n // requests
            if to > passed:
                soak.meter.program.step(to - passed)
                soak.meter.server.guard.tick((to - passed) * 1000)
                passed = to
        print(json.dumps(soak.figures()))
    soak.meter.close()
    print("done")


main(*sys.argv[1:])
