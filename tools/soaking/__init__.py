# SPDX-License-Identifier: MIT
"""The meter that tools/soak.py asks: one reference meter on all its profiles at once, in one
process and in virtual time, clients on each of them, and what goes wrong there.

Its links: links.py; clients: clients.py. The optical port has a meter of its own (optical.toml).
"""

import gc
import os
import random
import shutil
import sys
import tempfile
import types

import fuzzing

fuzzing.paths()

import optical
import small
from plc import g3, prime

from firmware import app, store
from firmware.ports import cpython
from fuzzing import oracles, sessions, values
from soaking.clients import LOAD, PUBLIC, Secured, all_of
from soaking.links import SFSK, Mesh, Octets, OnLON

START_MINUTE = 13675680  # 2026-01-01 00:00 UTC
REFERENCE = sessions.OWN / "residential.toml"
ENERGY = bytes.fromhex("00030100010800FF")
GARBAGE, CUT, WRONG_KEY = 0.01, 0.02, 0.002  # shares of sessions
SURE = ("tcp", "udp", "hdlc")  # links that lose nothing
COUNTERS = (1, 4, 5, 6, 7)  # clients that cipher
MOST_BLOCKS = 12  # of one answer that a client fetches


# --- The world ----------------------------------------------------------------------------------


def stored(folder):
    """(octets, files) in a folder."""
    octets = n = 0
    for where, _folders, names in os.walk(folder):
        for name in names:
            octets += os.path.getsize(os.path.join(where, name))
            n += 1
    return octets, n


def counters(model, definition):
    """{name: row} of all that counts up."""
    found = {s[0] + " %d" % k: s[1] for k, s in enumerate(definition.SOURCES)
             if s[0].startswith(("energy.", "count."))}  # fmt: skip
    for client in COUNTERS:
        row = model.find(0, bytes((0, 1, 0, 0, 43, 1, client, 255)), 0)
        found["invocation counter of client %d" % client] = row
    return found


def captured_rows(model):
    """Of load profile 1."""
    return model.handler("profile_generic").profiles[model.find(0, LOAD, 0)].ring.n


class Wrong(Exception):
    """Something is not as it should be; the text says what."""


class World:
    """The meter, its links and clients. folder: for its state; plc: the networks, too. seconds: of
    meter time that have passed; played: watt-seconds of A+ that its household has said."""

    def __init__(self, folder, seed=1, plc=True):
        self.r = random.Random(seed)
        self.folder = folder
        definition = self.definition = types.SimpleNamespace(**small.packed(REFERENCE))
        self.storage = store.FileStorage(folder)
        self.meter = app.build(
            definition, self.storage, cpython, seed, START_MINUTE, 0, 0, n_associations=10
        )
        self.model, self.server = self.meter.model, self.meter.server
        self.program = self.meter.program
        self.requests = values.Requests(self.model)
        self.rings = definition.RINGS
        self.played = self.seconds = 0
        source = self.program.metrology
        take = source.take

        def counted(seconds):
            take(seconds)
            self.played += source.quanta[0]

        source.take = counted
        self.links = {kind: Octets(self.meter, kind, self.r) for kind in ("tcp", "udp", "hdlc")}
        if plc:
            self.links["sfsk"] = SFSK(self.meter, seed)
            self.links["prime"] = Mesh(prime, self.meter, seed)
            self.links["g3"] = Mesh(g3, self.meter, seed)
            self.links["lon"] = OnLON(self.meter, seed)
        self.clients, self.shares = zip(*all_of(self))
        self.optical = optical.Line(
            app.build(
                types.SimpleNamespace(**small.packed(sessions.OWN / "optical.toml")),
                store.RAMStorage(), cpython, seed, START_MINUTE, 0, 0,
            ),
            definition=sessions.OWN / "optical.toml",
        )  # fmt: skip
        self.count = dict.fromkeys((*self.links, "optical"), 0)
        self.by_client = {client.sap: 0 for client in self.clients}
        self.trouble = dict.fromkeys(("unanswered", "garbage", "cuts", "wrong keys", "refused"), 0)
        self.row = self.model.find(0, ENERGY, 0)
        self.counting = counters(self.model, definition)
        self.last = {}
        self.begin()

    def begin(self):
        """Each client comes once: what is loaded for it is there from then on, and does not grow
        later."""
        link = self.links["tcp"]
        for client in self.clients:
            if not (client.open(link) and client.knows(link)):
                raise Wrong("client %d does not come in" % client.sap)
            client.release(link)
            link.cut()

    # --- Requests

    def session(self, name, n):
        """An association over a link, n requests, and its end, whatever that is."""
        link, r = self.links[name], self.r
        (client,) = r.choices(self.clients, self.shares)
        wrong = r.random() < WRONG_KEY and client.secret != PUBLIC
        before = self.count[name]
        self.count[name] += 1
        opened = client.open(link, wrong)
        self.trouble["wrong keys"] += wrong
        if wrong and opened:
            raise Wrong("client %d came in with a wrong key" % client.sap)
        if opened:
            self.conversation(name, link, client, n)
        else:
            self.trouble["refused" if name in SURE else "unanswered"] += 1
            link.cut()
        self.by_client[client.sap] += self.count[name] - before

    def conversation(self, name, link, client, n):
        r = self.r
        for _ in range(n):
            apdu = client.request(r)
            for _ in range(MOST_BLOCKS):
                self.count[name] += 1
                got = client.ask(link, apdu)
                apdu = None if got is None else client.next_block(got)
                if apdu is None:
                    break
            if got is None:
                self.trouble["unanswered"] += 1
                if name in SURE:
                    raise Wrong("no answer over %s" % name)
                break
        self.count[name] += 1
        if client.knows(link) is False:
            raise Wrong("client %d hears another logical device name over %s" % (client.sap, name))
        chance = r.random()
        if chance < CUT:
            self.trouble["cuts"] += 1
            link.cut()
        elif chance < CUT + GARBAGE:
            self.trouble["garbage"] += 1
            link.garbage()
        else:
            self.count[name] += 1
            client.release(link)
            link.cut()

    def at_the_optical_port(self):
        """A readout, or a session of programming that reads a register; sometimes noise before."""
        line, r = self.optical, self.r
        noise = r.random() < 0.1
        if noise:
            line.ask(r.randbytes(r.randrange(1, 40)), 100)
            line.run(3000)
        if r.random() < 0.5:
            said = line.ask(b"/?!\r\n") + line.run(3000)
            good = b"\x03" in said or b"PMT" in said
        else:
            line.ask(b"/?!\r\n")
            line.ask(b"\x06051\r\n")
            said = line.ask(optical.command("R1", "C.1.0()"))
            good = b"\x02C.1.0(" in said
            line.ask(optical.BREAK)
        line.run(100)
        line.rates.clear()
        line.device.reset()
        self.count["optical"] += 1
        if not good:
            self.trouble["unanswered"] += 1
            if not noise:
                raise Wrong("the optical port says %r" % bytes(said))
        line.meter.program.step(1)
        oracles.healthy(line.meter.server)

    # --- Time

    def passes(self, seconds):
        self.program.step(seconds)
        self.seconds += seconds
        self.server.guard.tick(seconds * 1000)
        oracles.turn(self.server)
        oracles.healthy(self.server)

    # --- What has to be so

    def check(self):
        """Wrong, or a dictionary of figures."""
        model = self.model
        kept = self.program.kept
        energy = model.get_int(self.row, 2)
        total = energy * 3600 + (kept[0] << 8 | kept[1])
        if total != self.played:
            raise Wrong("A+ is %d Ws, and %d Ws were played" % (total, self.played))
        now = {name: model.get_int(row, 2) for name, row in self.counting.items()}
        now["invocation counter of the meter"] = counter = self.counter(model)
        for name, n in now.items():
            if n < self.last.get(name, 0):
                raise Wrong("%s has gone back from %d to %d" % (name, self.last[name], n))
        oracles.legal(self.server)
        oracles.consistent(model)
        rows = captured_rows(model)
        captured = self.seconds // 900
        capacity = next(c for row, _n, c in self.rings if row == model.find(0, LOAD, 0))
        if not captured <= rows <= captured + 1 and rows < capacity:
            raise Wrong("load profile 1 has %d rows after %d s" % (rows, self.seconds))
        self.after_a_power_failure(now, rows)
        self.last = now
        gc.collect()
        blocks = sys.getallocatedblocks()
        state, files = stored(self.folder)
        if state > self.most_stored():
            raise Wrong(
                "the state has %d octets, and should have %d" % (state, self.most_stored())
            )
        return {
            "days": round(self.seconds / 86400, 2),
            "requests": sum(self.count.values()),
            "energy_wh": energy,
            "rows": rows,
            "invocation_counter": counter,
            "heap_blocks": blocks,
            "descriptors": len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc") else None,
            "files": files,
            "state_octets": state,
        }

    def counter(self, model):
        counter = model.counter  # the next one, and the first that is not saved
        return 0 if counter is None else int.from_bytes(counter[0][:4], "big")

    def after_a_power_failure(self, now, rows):
        """What a meter finds that starts with the files as they are: no row less, no counter that
        comes again, nothing that is older than the look before."""
        with tempfile.TemporaryDirectory() as folder:
            shutil.copytree(self.folder, os.path.join(folder, "state"))
            storage = store.FileStorage(os.path.join(folder, "state"))
            meter = app.build(self.definition, storage, cpython, 1, START_MINUTE, 0, 0)
            found = {name: meter.model.get_int(row, 2) for name, row in self.counting.items()}
            beside = types.SimpleNamespace(meter=meter)
            link, client = Octets(meter, "tcp", self.r), Secured(beside, 1)
            next_one = found["invocation counter of client 1"]
            if next_one and client.open(link):
                raise Wrong("a restart takes a counter of client 1 that it has had")
            client.ic = next_one
            if not client.open(link):
                raise Wrong("a restart does not know client 1")
            found["invocation counter of the meter"] = self.counter(meter.model)
            if captured_rows(meter.model) < rows:
                raise Wrong("a restart finds %d rows of %d" % (captured_rows(meter.model), rows))
            meter.close()
        for name, n in found.items():
            least = now[name] if "invocation" in name else self.last.get(name, 0)
            if n < least:
                raise Wrong("a restart finds %s at %d, and it was %d" % (name, n, least))

    def most_stored(self):
        """Both snapshots, and all rows there can be, with what belongs to them."""
        rows = sum(64 + (row_len + 16) * (n + 2) for _row, row_len, n in self.rings)
        return rows + 2 * (len(self.model.image) + 1024)

    def end(self):
        """All links go: no association may be left."""
        for link in self.links.values():
            for channel in link.channels():
                channel.release()
        left = [a.client_sap for a in self.server.associations if a.state]
        if left:
            raise Wrong("associations are left: clients %s" % left)
        self.meter.close()
