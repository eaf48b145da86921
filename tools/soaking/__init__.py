# SPDX-License-Identifier: MIT
"""The meter that tools/soak.py asks: one reference meter on all its profiles at once, in one
process and in virtual time, clients on each of them, and what goes wrong there.

Its links: links.py. The optical port has a meter of its own (optical.toml).
"""

import gc
import os
import random
import sys
import types

import fuzzing

fuzzing.paths()

import optical
import small
from plc import g3, prime

from firmware import app, store
from firmware.ports import cpython
from fuzzing import oracles, sessions, values
from soaking.links import NAME, SFSK, Mesh, Octets, OnLON

START_MINUTE = 13675680  # 2026-01-01 00:00 UTC
REFERENCE = sessions.OWN / "residential.toml"
ENERGY, LOAD = bytes.fromhex("00030100010800FF"), bytes.fromhex("00070100630100FF")
MESSAGE = bytes.fromhex("00010000600D00FF02")
A_ROW = bytes.fromhex("0102 0204 0600000001 0600000001 120001 120000")
GARBAGE, CUT, WRONG_KEY = 0.01, 0.02, 0.002  # shares of sessions
SERVICES = (0x60, 0x62, 0xC0, 0xC1, 0xC3, 0xD9)
MOST_BLOCKS = 12  # of one answer that a client fetches


# --- Clients ------------------------------------------------------------------------------------


class Client:
    """One of the reference meter's, over any link."""

    def __init__(self, world, client, secret=None, secured=False):
        self.world, self.client = world, client
        self.secret, self.secured = secret, secured
        self.talk = None
        self.ic = 0

    def open(self, link, wrong=False):
        """True: it is open."""
        self.talk = None
        if not self.secured:
            secret = self.secret[:-1] + b"?" if wrong and self.secret else self.secret
            got = link.ask(self.client, small.aarq(secret, "FEFFFF"))
            return is_accepted(got)
        talk = sessions.clients.of(self.world.meter, self.client, 1, sessions.ciphers)
        talk.ic = self.ic
        if wrong:
            talk.gcm = sessions.clients.gcm.new(sessions.ciphers.aes(bytes(16)))
            talk.secret += b"?"
        got = link.ask(self.client, talk.aarq(sessions.INITIATE))
        done = False
        if is_accepted(got, 14):
            reply = talk.reply(got)
            answer = link.ask(self.client, reply) if reply else None
            done = bool(answer) and talk.is_open(answer)
        self.ic = talk.ic
        if done:
            self.talk = talk
        return done

    def ask(self, link, apdu):
        """The plain answer, None: there was none."""
        talk = self.talk
        octets = apdu
        if talk is not None and apdu[0] in SERVICES:
            octets = talk.protect(apdu)
            self.ic = talk.ic
        got = link.ask(self.client, octets)
        if got is None:
            return None
        if talk is not None and got[0] not in (0xD8, 0x63):
            got = talk.opened(got)
        if got[0] not in (0x61, 0x63):
            oracles.plain(apdu, got)
        return got


def is_accepted(aare, diagnostic=0):
    return bool(aare) and aare[0] == 0x61 and b"\xa2\x03\x02\x01\x00" in aare[:24]


# --- The world ----------------------------------------------------------------------------------


def stored(folder):
    """(octets, files) in a folder."""
    octets = n = 0
    for where, _folders, names in os.walk(folder):
        for name in names:
            octets += os.path.getsize(os.path.join(where, name))
            n += 1
    return octets, n


class Wrong(Exception):
    """Something is not as it should be; the text says what."""


class World:
    """The meter, its links and clients. folder: for its state; plc: the networks, too. seconds: of
    meter time that have passed; played: watt-seconds of A+ that its household has said."""

    def __init__(self, folder, seed=1, plc=True):
        self.r = random.Random(seed)
        self.folder = folder
        definition = types.SimpleNamespace(**small.packed(REFERENCE))
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
        self.clients = [
            Client(self, 16), Client(self, 2, b"demo-reading"), Client(self, 1, secured=True),
            Client(self, 3, secured=True),
        ]  # fmt: skip
        self.optical = optical.Line(
            app.build(
                types.SimpleNamespace(**small.packed(sessions.OWN / "optical.toml")),
                store.RAMStorage(), cpython, seed, START_MINUTE, 0, 0,
            ),
            definition=sessions.OWN / "optical.toml",
        )  # fmt: skip
        self.count = dict.fromkeys((*self.links, "optical"), 0)
        self.trouble = dict.fromkeys(("unanswered", "garbage", "cuts", "wrong keys", "refused"), 0)
        self.row = self.model.find(0, ENERGY, 0)
        self.last_energy = self.last_counter = 0
        self.blocks = []

    # --- Requests

    def session(self, name, n):
        """An association over a link, n requests, and its end, whatever that is."""
        link, r = self.links[name], self.r
        client = r.choice(self.clients)
        wrong = r.random() < WRONG_KEY
        self.count[name] += 1
        opened = client.open(link, wrong)
        if wrong and client.client != 16:
            self.trouble["wrong keys"] += 1
            if opened:
                raise Wrong("client %d came in with a wrong key" % client.client)
        if not opened:
            self.trouble["refused" if name in ("tcp", "udp", "hdlc") else "unanswered"] += 1
            link.cut()
            return
        for _ in range(n):
            self.count[name] += 1
            got = client.ask(link, self.request(client, r))
            if got is None:
                self.trouble["unanswered"] += 1
                if name in ("tcp", "udp", "hdlc"):
                    raise Wrong("no answer over %s" % name)
                break
            for _ in range(MOST_BLOCKS):
                if got is None or got[:2] != b"\xc4\x02" or got[3]:
                    break
                self.count[name] += 1
                got = client.ask(link, b"\xc0\x02\xc1" + got[4:8])
        got = client.ask(link, NAME)
        self.count[name] += 1
        if got is not None and (got[:2] + got[3:4] != b"\xc4\x01\x00" or len(got) != 22):
            raise Wrong("the logical device name over %s is %s" % (name, got.hex()))
        chance = r.random()
        if chance < CUT:
            self.trouble["cuts"] += 1
            link.cut()
        elif chance < CUT + GARBAGE:
            self.trouble["garbage"] += 1
            link.garbage()
        else:
            self.count[name] += 1
            client.ask(link, sessions.RELEASE)
            link.cut()
        client.talk = None

    def request(self, client, r):
        kind = r.randrange(10)
        if kind < 6:
            row = r.choice(self.requests.rows)
            attribute = r.randrange(1, self.model.n_attributes(row) + 1)
            return b"\xc0\x01\xc1" + self.requests.name(row) + bytes((attribute, 0))
        if kind == 6:
            return b"\xc0\x01\xc1" + LOAD + b"\x02\x01\x02" + A_ROW[2:]
        if kind == 7:
            text = r.randbytes(r.randrange(20))
            return b"\xc1\x01\xc1" + MESSAGE + b"\0\x09" + bytes((len(text),)) + text
        if kind == 8:
            rows = [r.choice(self.requests.rows) for _ in range(4)]
            names = b"".join(self.requests.name(row) + b"\x02\0" for row in rows)
            return b"\xc0\x03\xc1\x04" + names
        return NAME

    def at_the_optical_port(self):
        """A readout, or a session of programming that reads a register; sometimes noise before."""
        line, r = self.optical, self.r
        if r.random() < 0.1:
            line.ask(r.randbytes(r.randrange(1, 40)), 100)
            line.run(3000)
        if r.random() < 0.5:
            said = line.ask(b"/?!\r\n") + line.run(3000)
            good = b"\x03" in said or b"PMT" in said
        else:
            line.ask(b"/?!\r\n")
            line.ask(b"\x06051\r\n")
            said = line.ask(optical.command("R1", "C.1.0()"))
            good = True
            line.ask(optical.BREAK)
        line.run(100)
        line.rates.clear()
        line.device.reset()
        self.count["optical"] += 1
        if not good:
            self.trouble["unanswered"] += 1
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
        if energy < self.last_energy:
            raise Wrong("A+ has gone back")
        self.last_energy = energy
        counter = self.counter()
        if counter < self.last_counter:
            raise Wrong("the meter's invocation counter has gone back")
        self.last_counter = counter
        oracles.legal(self.server)
        oracles.consistent(model)
        profiles = model.handler("profile_generic").profiles
        rows = profiles[model.find(0, LOAD, 0)].ring.n
        captured = self.seconds // 900
        capacity = next(c for row, _n, c in self.rings if row == model.find(0, LOAD, 0))
        if not captured <= rows <= captured + 1 and rows < capacity:
            raise Wrong("load profile 1 has %d rows after %d s" % (rows, self.seconds))
        gc.collect()
        blocks = sys.getallocatedblocks()
        self.blocks.append(blocks)
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

    def counter(self):
        counter = self.model.counter  # the next one, and the first that is not saved
        return 0 if counter is None else int.from_bytes(counter[0][:4], "big")

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
