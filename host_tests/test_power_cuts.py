# SPDX-License-Identifier: MIT
"""The reference meter over power failures: a scripted day with a client, cut at every write.

The script (DAY) captures, sets, changes keys, ends billing periods; a step is a line. Over each
back end power is cut at every write of it, with the write done, not done, or torn; then the meter
starts again, and a client of its own finds out what there is. What was acknowledged is there; what
was under way is old or new; rows are those of a day without a cut; no invocation counter comes
twice, and the day goes on. Then single bits of what is stored are flipped, and the same is asked.

A sample of the cuts is tried, the same each time; PICOMETER_ALL=1 tries all. What was tried and
found is printed.
"""

import os
import random

import pytest
import test_counters
import test_program
from cryptography.hazmat.primitives import keywrap
from device.nor import NOR
from device.nor import PowerCut as FlashCut
from fakes import octets as octet_string
from fakes import value
from secure import Client
from small import Talk, aarq
from test_program import local, utc
from test_store import MemoryFiles
from test_store import PowerCut as FileCut

from dlms import ciphering
from dlms.axdr import skip
from firmware import app
from firmware.circuitpython.nvm import NVMStorage
from firmware.flash import FlashStorage
from firmware.ports import cpython as port
from firmware.store import FileStorage, RAMStorage

ALL = bool(os.environ.get("PICOMETER_ALL"))
SAMPLE = 90  # cuts of each back end
ROT = 30  # flipped bits
residential = test_program.residential  # fixtures
small_portions = test_counters.small_portions
pytestmark = pytest.mark.usefixtures("small_portions")  # of counters: a short day takes many
START = utc("2026-06-30T20:40")
GUEK, GAK = b"DEMOGUEKCLIENT01", b"DEMO GAKCLIENT01"
KEK = b"DEMO KEKCLIENT01"
GET = "C00141 %s 02 00"
MESSAGE = "0001 0000600D00FF"
LOAD, BILLING = "0007 0100630100FF", "0007 0000620100FF"
# What test_update.py goes on with: the installation, and the start of the other firmware.
IMAGE, IMAGE_LEN, BLOCK_LEN = "0012 00002C0000FF", 1000, 384
COUNTER = "0001 00002B0101FF"
Cut = (FileCut, FlashCut)


# --- Back ends: what is stored, and how power fails in it ---------------------------------------


class Files:
    """A file system."""

    keeps_rows = True
    parts = (0, 3, 8)  # eighths of a write that are done
    takes_images = True  # firmware/update.py keeps them in files

    def __init__(self):
        self.device = MemoryFiles()

    def storage(self):
        return FileStorage("state", self.device)

    def cut(self, at, part):
        self.device.cut_at, self.device.part = at, part

    def count(self):
        return self.device.n_writes

    def off(self):
        return self.device.off

    def again(self):
        other = type(self)()
        other.device.data = {name: bytearray(data) for name, data in self.device.data.items()}
        return other

    def rot(self, r):
        data = r.choice([d for _, d in sorted(self.device.data.items()) if d])
        data[r.randrange(len(data))] ^= 1 << r.randrange(8)


class Flash(Files):
    takes_images = False
    parts = (0, 40, -1)  # octets

    def __init__(self, cells=None):
        self.device = NOR(120, 4096, cells)

    def storage(self):
        return FlashStorage(self.device)

    def count(self):
        return self.device.n

    def again(self):
        return Flash(bytearray(self.device.cells))

    def rot(self, r):
        cells = self.device.cells
        used = [k for k in range(len(cells)) if cells[k] != 0xFF]
        cells[r.choice(used)] ^= 1 << r.randrange(8)


class ByteArray:
    """As nvm.ByteArray; power may fail in an assignment, after some eighths of it."""

    def __init__(self, octets):
        self.octets = octets
        self.n = 0
        self.cut_at = -1
        self.part = 0
        self.off = False

    def __len__(self):
        return len(self.octets)

    def __getitem__(self, index):
        return self.octets[index]

    def __setitem__(self, index, data):
        if self.off:
            raise FileCut
        self.n += 1
        if self.n - 1 == self.cut_at:
            self.off = True
            n = len(data) * self.part // 8
            self.octets[index.start : index.start + n] = data[:n]
            raise FileCut
        self.octets[index] = data


class NVM(Files):
    takes_images = False
    keeps_rows = False

    def __init__(self, octets=None):
        self.device = ByteArray(bytearray(16384) if octets is None else octets)

    def storage(self):
        return NVMStorage(self.device)

    def count(self):
        return self.device.n

    def again(self):
        return NVM(bytearray(self.device.octets))

    def rot(self, r):
        cells = self.device.octets
        used = [k for k in range(len(cells)) if cells[k]]
        cells[r.choice(used)] ^= 1 << r.randrange(8)


BACK_ENDS = {"files": Files, "flash": Flash, "nvm": NVM}


# --- A client's view of the meter ---------------------------------------------------------------


class Life:
    """The meter from one start to the next, and its client, who remembers."""

    def __init__(self, definition, back_end, memory, minute=START):
        self.back_end = back_end
        self.memory = memory
        update = "state/.update" if back_end.takes_images else None
        self.meter = app.build(
            definition, back_end.storage(), port, 7, minute, 0, 0, update=update
        )
        self.server = self.meter.server
        self.public = Talk(self, self.server.channel(), 16, 1)
        self.client = None

    def counter(self):
        """The next invocation counter that the meter takes from client 1: anybody may ask."""
        self.public.say(aarq(None).hex())
        answer = self.public.say(GET % COUNTER)
        self.public.channel.release()
        return int(answer[-8:], 16)

    def lets_in(self, guek, gak):
        ic = max(self.counter(), self.memory.ic)
        talk = Talk(self, self.server.channel(), 1, 1)
        title = bytes(self.meter.model.system_title)
        client = Client(talk, guek=guek, gak=gak, ic=ic, meter_title=title)
        got = client.aare(bytes.fromhex(talk.say(client.aarq().hex())))
        self.memory.ic = client.ic
        if got["result"]:
            talk.channel.release()
            return False
        client.server_title, client.stoc = got[0xA4][2:], got[0xAA][2:]
        assert client.finish() == "ok"
        self.client = client
        self.look()
        return True

    def look(self):
        self.memory.ic = self.client.ic
        while self.client.server_ics:
            self.memory.seen.used(self.client.guek, self.client.server_ics.pop(0)[1])

    def connect(self):
        """With the keys that may be in force; the pair that is."""
        if self.client is None:
            tried = [keys for keys in self.memory.keys if self.lets_in(*keys)]
            assert len(tried) == 1, "keys that open: %d" % len(tried)
            self.memory.keys = tried
        return self.memory.keys[0]

    def ask(self, text):
        self.connect()
        got = self.client.ask(text)
        self.look()
        return got

    def state(self):
        """What was set, rows, energies: as a client and a service technician see it."""
        model = self.meter.model
        keys = self.connect()
        message = value(bytes.fromhex(self.ask(GET % MESSAGE)[8:]))
        energies = [self.number(3, "01000108%02XFF" % t) for t in range(5)]
        assert energies[0] == sum(energies[1:]), "tariffs do not add up"
        assert model.handler("clock").minute >= START
        return {
            "image": [self.ask("C00141 %s %02X 00" % (IMAGE, k))[8:] for k in (3, 4, 6)],
            "keys": keys,
            "message": message,
            "load": self.rows(LOAD),
            "billing": self.rows(BILLING),
            "energy": energies[0],
            "periods": self.number(1, "0000000100FF"),
        }

    def number(self, class_id, name):
        key = bytes((0, class_id)) + bytes.fromhex(name)
        return self.meter.model.get_int(self.meter.model.find(0, key, 0), 2)

    def rows(self, name):
        model = self.meter.model
        row = model.find(0, bytes.fromhex(name), 0)
        ring = model.handler("profile_generic").profiles[row].ring
        out = []
        buf = bytearray(ring.row_len)
        for k in range(ring.n):
            if not ring.read(k, buf, 0):
                out.append(None)
                continue
            end = 14  # up to the time, the status, the energies
            while end < len(buf) and buf[end]:
                end = skip(buf, end, len(buf))
            out.append(bytes(buf[:end]))
        return out


class Memory:
    """What a client knows, over all starts of the meter."""

    def __init__(self):
        self.keys = [(GUEK, GAK)]
        self.ic = 0
        self.seen = test_counters.Seen()


# --- The day ------------------------------------------------------------------------------------


def time_passes(minutes):
    return lambda life: life.meter.program.step(60 * minutes)


def set_message(text):
    def step(life):
        data = octet_string(text).hex()
        assert life.ask("C10141 %s 02 00 %s" % (MESSAGE, data)) == "C5014100"

    return step


def set_key(key_id, key):
    def step(life):
        guek, gak = life.connect()
        new = (key, gak) if key_id == 0 else (guek, key)
        life.memory.keys = [(guek, gak), new]
        wrapped = keywrap.aes_key_wrap(KEK, key).hex()
        text = "C30141 0040 00002B0001FF 02 01 0101 0202 16%02X 0918 %s" % (key_id, wrapped)
        assert life.ask(text) == "C701410000"
        life.memory.keys = [new]
        life.client.talk.channel.release()
        life.client = None
        life.connect()

    return step


def end_billing(life):
    """By the script that the schedule executes, too."""
    assert life.ask("C30141 0009 00000A0001FF 01 01 120001") == "C701410000"


def begin_image(life):
    if life.back_end.takes_images:
        image = "0202 0905%s 06%08X" % (b"image".hex(), IMAGE_LEN)
        assert life.ask("C30141 %s 01 01 %s" % (IMAGE, image)) == "C701410000"


def send_block(number):
    def step(life):
        if life.back_end.takes_images:
            data = bytes([number]) * min(BLOCK_LEN, IMAGE_LEN - number * BLOCK_LEN)
            size = "82%04X" if len(data) > 255 else "81%02X"
            block = "0202 06%08X 09" % number + size % len(data) + data.hex()
            assert life.ask("C30141 %s 02 01 %s" % (IMAGE, block)) == "C701410000"

    return step


def orderly_end(life):
    assert life.meter.program.power_down()


DAY = [
    time_passes(6),
    set_message(b"first"),
    set_key(2, b"another gak key!"),
    time_passes(15),
    end_billing,
    set_message(b"second, and a longer one"),
    set_key(0, b"another guek key"),
    time_passes(70),  # midnight, and the end of the month
    begin_image,
    send_block(0),
    send_block(2),
    set_message(b""),
    orderly_end,
]


class Witnessed:
    """A day without a cut, and what there was after each step of it."""

    def __init__(self, definition, back_end):
        self.back_end = back_end
        life = Life(definition, back_end, Memory())
        self.states = [life.state()]
        self.writes = [back_end.count()]
        for step in DAY:
            step(life)
            self.states.append(life.state())
            self.writes.append(back_end.count())


def live(definition, back_end, memory):
    """The day up to the cut; the number of steps that were done, -1: not even the start."""
    done = -1
    try:
        life = Life(definition, back_end, memory)
        life.state()
        done = 0
        for step in DAY:
            step(life)
            life.state()
            done += 1
    except Cut:
        pass
    return done


def check(definition, back_end, memory, done, whole):
    """What a client finds after the cut; then the meter does its work."""
    life = Life(definition, back_end, memory, START + 600)
    found = life.state()
    before = whole.states[max(done, 0)]
    after = whole.states[min(done + 1, len(DAY))]
    for what in ("keys", "message", "image"):
        assert found[what] in (before[what], after[what]), (what, done)
    assert before["energy"] - 200 <= found["energy"] <= after["energy"]
    if back_end.keeps_rows:
        for name in ("load", "billing"):
            rows = found[name]
            assert len(before[name]) <= len(rows) <= len(after[name]), (name, done)
            assert rows == after[name][: len(rows)], (name, done)
        if found["load"]:
            # Registers are never behind rows.
            assert found["energy"] >= value(b"\x02\x01" + found["load"][-1][16:21])[0]
    assert before["periods"] <= found["periods"] <= after["periods"]
    assert not life.meter.storage.damaged or done < 0
    goes_on(life)


def goes_on(life):
    n = len(life.rows(LOAD))
    set_message(b"it goes on")(life)
    life.meter.program.step(900)
    assert len(life.rows(LOAD)) == n + 1
    assert life.state()["message"] == b"it goes on"


@pytest.mark.parametrize("name", BACK_ENDS)
def test_power_cut_at_every_write_of_a_day(residential, capsys, name):
    whole = Witnessed(residential, BACK_ENDS[name]())
    total = whole.back_end.count()
    parts = whole.back_end.parts
    points = [(at, part) for at in range(total) for part in parts]
    n = len(points)
    if not ALL:
        # Each part comes in its turn: the stride has no divisor with their number.
        stride = max(1, n // SAMPLE)
        points = points[:: stride + (stride % len(parts) == 0)]
    started = 0
    for at, part in points:
        back_end = BACK_ENDS[name]()
        back_end.cut(at, part)
        memory = Memory()
        done = live(residential, back_end, memory)
        assert back_end.off(), "power was not cut"
        check(residential, back_end.again(), memory, done, whole)
        started += done >= 0
    with capsys.disabled():
        print(
            "\n%s: %d of %d power cuts tried, at %d writes of a day of %d steps (%d while it ran):"
            " nothing lost, nothing torn" % (name, len(points), n, total, len(DAY), started)
        )


def test_ram_starts_as_the_definition_says(residential):
    """Nothing is kept: after any step the meter begins anew, with demo keys and no rows."""
    for k in range(len(DAY) + 1):
        memory = Memory()
        back_end = Files()
        back_end.storage = RAMStorage
        back_end.takes_images = False
        life = Life(residential, back_end, memory)
        for step in DAY[:k]:
            step(life)
        memory = Memory()
        state = Life(residential, back_end, memory).state()
        assert (state["message"], state["load"], state["energy"]) == (b"", [], 0)


@pytest.mark.parametrize("name", BACK_ENDS)
def test_a_bit_that_flips(residential, capsys, name):
    """Of all that is stored: what was acknowledged before may be gone, not mixed; it starts."""
    whole = Witnessed(residential, BACK_ENDS[name]())
    r = random.Random(name)
    said = lost = 0
    flips = 20 * ROT if ALL else ROT
    for _ in range(flips):
        back_end = whole.back_end.again()
        back_end.rot(r)
        memory = Memory()
        pairs = [s["keys"] for s in whole.states]
        memory.keys = sorted(set(pairs), key=pairs.index)
        life = Life(residential, back_end, memory, START + 600)
        found = life.state()
        last = whole.states[-1]
        assert found["keys"] in pairs and found["message"] in [s["message"] for s in whole.states]
        for rows in ("load", "billing"):
            good = [row for row in found[rows] if row is not None]
            if back_end.keeps_rows:
                assert good == [row for row in last[rows] if row in good]
                assert len(good) >= len(last[rows]) - 1
                lost += len(good) < len(last[rows])
        said += life.meter.storage.damaged
        goes_on(life)
    with capsys.disabled():
        print("\n%s: a bit flipped %d times; %d rows lost, said %d times"
              % (name, flips, lost, said))  # fmt: skip


def test_times(residential):
    """The rows of the day are those that it should have."""
    whole = Witnessed(residential, Files())
    last = whole.states[-1]
    times = [local(row[2:14])[5:16] for row in last["load"]]
    assert times == ["06-30 22:45", "06-30 23:00", "06-30 23:15", "06-30 23:30", "06-30 23:45",
                     "07-01 00:00"]  # fmt: skip
    assert [local(row[2:14])[5:16] for row in last["billing"]] == ["06-30 23:01", "07-01 00:00"]
    assert last["periods"] == 2


def newest_snapshot(back_end):
    """Where the one of files or nvm lies: (octets, first, last)."""
    if isinstance(back_end, NVM):
        octets = back_end.device.octets
        places = [at for at in (0, len(octets) // 2) if octets[at : at + 4] == b"PMN1"]
        at = max(places, key=lambda at: octets[at + 4 : at + 8])
        return octets, at, at + 18 + (octets[at + 12] << 8 | octets[at + 13])
    files = [data for name, data in back_end.device.data.items() if name[-2:] in ("/a", "/b")]
    data = max(files, key=lambda data: data[4:8])
    return data, 0, len(data)


@pytest.mark.parametrize("name", ["files", "nvm"])
def test_counters_do_not_go_back_when_the_newest_values_are_damaged(
    residential, name, monkeypatch
):
    """The values of the save before have reserved fewer of them."""
    whole = ciphering.ahead
    monkeypatch.setattr(ciphering, "ahead", lambda counter, n=16: whole(counter, n))
    for steps in range(1, 34, 3):
        back_end = BACK_ENDS[name]()
        memory = Memory()
        life = Life(residential, back_end, memory)
        keys = set(memory.keys)
        for step in DAY[:3]:
            step(life)
            life.state()
            keys.add(memory.keys[0])
        for _ in range(steps):
            life.ask(GET % MESSAGE)
        other = back_end.again()
        octets, first, last = newest_snapshot(other)
        octets[(first + last) // 2] ^= 4
        memory.keys = sorted(keys)
        life = Life(residential, other, memory, START + 600)
        life.state()
        assert memory.keys[0] in keys
        goes_on(life)
