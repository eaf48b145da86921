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

import json
import os
import random
import signal
import subprocess
import sys
import time
import types

import pytest
import test_counters
import test_program
from back_ends import BACK_ENDS, NVM, Cut, Files
from conftest import ROOT
from cryptography.hazmat.primitives import keywrap
from fakes import octets as octet_string
from fakes import value
from secure import Client
from small import Talk, aarq
from test_program import local, utc

from dlms import ciphering
from dlms.axdr import skip
from firmware import app
from firmware.ports import cpython as port
from firmware.store import RAMStorage

ALL = bool(os.environ.get("PICOMETER_ALL"))
SAMPLE = 40  # cuts of each back end
ROT = 2  # flipped bits of each region
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


# --- A client's view of the meter ---------------------------------------------------------------


class Life:
    """The meter from one start to the next, and its client, who remembers."""

    def __init__(self, definition, back_end, memory, minute=START):
        self.back_end = back_end
        self.memory = memory
        self.meter = app.build(
            definition, back_end.storage(), port, 7, minute, 0, 0, update="state/.update"
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
    image = "0202 0905%s 06%08X" % (b"image".hex(), IMAGE_LEN)
    assert life.ask("C30141 %s 01 01 %s" % (IMAGE, image)) == "C701410000"


def send_block(number):
    def step(life):
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
    """What a client finds after the cut; then the meter does its work. True: the values were lost,
    where that may be."""
    life = Life(definition, back_end, memory, START + 600)
    lost = not back_end.keeps or (back_end.may_lose and life.meter.program.saved_minute < 0)
    before = whole.states[max(done, 0)]
    after = whole.states[min(done + 1, len(DAY))]
    if lost:
        # All begins anew, counters too; images are kept somewhere else.
        life.memory = Memory()
        first = dict(whole.states[0], energy=0)
        before = dict(first, image=before["image"])
        after = dict(first, image=after["image"])
    found = life.state()
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
    assert lost or not life.meter.storage.damaged or done < 0
    goes_on(life)
    return lost


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
    started = lost = 0
    for at, part in points:
        back_end = BACK_ENDS[name]()
        back_end.cut(at, part)
        memory = Memory()
        done = live(residential, back_end, memory)
        assert back_end.off(), "power was not cut"
        lost += check(residential, back_end.again(), memory, done, whole)
        started += done >= 0
    found = "nothing lost" if not lost else "%d times the values of the definition" % lost
    if not whole.back_end.keeps:
        found = "the values of the definition"
    with capsys.disabled():
        print(
            "\n%s: %d of %d power cuts tried, at %d writes of a day of %d steps (%d while it ran):"
            " %s, nothing torn" % (name, len(points), n, total, len(DAY), started, found)
        )


def test_ram_starts_as_the_definition_says(residential):
    """Nothing is kept: after any step the meter begins anew, with demo keys and no rows."""
    for k in range(len(DAY) + 1):
        back_end = BACK_ENDS["ram"]()
        life = Life(residential, back_end, Memory())
        for step in DAY[:k]:
            step(life)
        state = Life(residential, back_end, Memory()).state()
        assert (state["message"], state["load"], state["energy"]) == (b"", [], 0)


def test_images_are_in_files_whatever_keeps_the_state(residential, tmp_path):
    meter = app.build(residential, RAMStorage(), port, 7, START, update=str(tmp_path / "images"))
    assert meter.model.images.begin(b"image", 1000, 384) and meter.model.images.put(0, bytes(384))
    assert sorted(f.name for f in (tmp_path / "images").iterdir()) == ["image", "journal", "map"]


@pytest.mark.parametrize("name", [name for name in BACK_ENDS if BACK_ENDS[name].keeps])
def test_a_bit_that_flips(residential, capsys, name):
    """In every region of what is stored: what was acknowledged before may be gone, not mixed; it
    starts, and no counter comes twice where another copy has them."""
    whole = Witnessed(residential, BACK_ENDS[name]())
    r = random.Random(name)
    n = said = lost = 0
    names = sorted({region[0] for region in whole.back_end.regions()})
    for region in names:
        for _ in range(20 * ROT if ALL else ROT):
            back_end = whole.back_end.again()
            places = [p for p in back_end.regions() if p[0] == region and p[2] < p[3]]
            _, octets, first, last = r.choice(places)
            octets[r.randrange(first, last)] ^= 1 << r.randrange(8)
            back_end.device.strict = False
            found = rotten(residential, back_end, whole, region)
            n += 1
            said += found[0]
            lost += found[1]
    with capsys.disabled():
        print("\n%s: a bit flipped %d times in %s; %d rows lost, said %d times"
              % (name, n, ", ".join(names), lost, said))  # fmt: skip


def rotten(definition, back_end, whole, region):
    """Start on what has a flipped bit: is it said, and how many rows are lost?"""
    memory = Memory()
    pairs = [s["keys"] for s in whole.states]
    memory.keys = sorted(set(pairs), key=pairs.index)
    life = Life(definition, back_end, memory, START + 600)
    found = life.state()
    last = whole.states[-1]
    assert found["keys"] in pairs
    assert found["message"] in [s["message"] for s in whole.states]
    if region != "map":
        assert found["image"] in [s["image"] for s in whole.states]
    else:
        # A block more or less has come: it is sent again, or verification finds that it is not
        # there. Only bits of blocks count.
        assert found["image"][2] == "1601"
        come = bin(int(found["image"][0][4:], 16) >> 5).count("1")
        assert life.meter.model.images.missing == 3 - come
    lost = 0
    for rows in ("load", "billing"):
        good = [row for row in found[rows] if row is not None]
        if back_end.keeps_rows:
            assert good == [row for row in last[rows] if row in good]
            assert len(good) >= len(last[rows]) - 1
            lost += len(good) < len(last[rows])
    said = life.meter.storage.damaged
    goes_on(life)
    return said, lost


def test_times(residential):
    """The rows of the day are those that it should have."""
    whole = Witnessed(residential, Files())
    last = whole.states[-1]
    times = [local(row[2:14])[5:16] for row in last["load"]]
    assert times == ["06-30 22:45", "06-30 23:00", "06-30 23:15", "06-30 23:30", "06-30 23:45",
                     "07-01 00:00"]  # fmt: skip
    assert [local(row[2:14])[5:16] for row in last["billing"]] == ["06-30 23:01", "07-01 00:00"]
    assert last["periods"] == 2


# --- Energy -------------------------------------------------------------------------------------

# The order of metrology.py.
ENERGIES = [1, 2, 5, 6, 7, 8, 9, 10, 21, 41, 61, 22, 42, 62]
INTERVAL_S = 900  # of the shortest profile: values are stored with each capture
LIVES = 5


class Signal:
    """A poller: power fails while the main loop waits."""

    def __init__(self, meter):
        self.meter = meter

    def wait(self, ms):
        self.meter.power_fails()


def energies(meter):
    """Watt-seconds: registers, and what is below one Wh."""
    model = meter.model
    kept = meter.program.kept
    found = []
    for k, c in enumerate(ENERGIES):
        row = model.find(0, bytes((0, 3, 1, 0, c, 8, 0, 255)), 0)
        found.append(model.get_int(row, 2) * 3600 + (kept[2 * k] << 8 | kept[2 * k + 1]))
    return found


@pytest.mark.parametrize("signalled", [True, False])
@pytest.mark.parametrize("name", [name for name in BACK_ENDS if BACK_ENDS[name].keeps])
def test_energy_when_power_fails(residential, capsys, monkeypatch, name, signalled):
    """With a power-fail signal no watt-second is lost; without one, those since the last save, and
    that is at most the interval."""
    houses = []

    def household(seed, script):
        houses.append(test_program.Counting(seed))
        return houses[-1]

    monkeypatch.setattr(app, "household", household)
    r = random.Random(name)
    back_end = BACK_ENDS[name]()
    minute = START
    before = [0] * len(ENERGIES)
    lost_s = []
    for _ in range(LIVES):
        meter = app.build(residential, back_end.storage(), port, 7, minute, 0, 0)
        assert energies(meter) == before
        house = houses[-1]
        handed_out = [before]
        for _ in range(r.randrange(2, 1500)):
            meter.program.tick(1000)
            handed_out.append([b + n for b, n in zip(before, house.total)])
        if signalled:
            meter.wait(Signal(meter), 1000)
        minute += len(handed_out) // 60 + 5
        back_end = back_end.again()
        again = app.build(residential, back_end.storage(), port, 7, minute, 0, 0)
        before = energies(again)
        assert before in handed_out
        lost_s.append(len(handed_out) - 1 - max(
            k for k, e in enumerate(handed_out) if e == before))  # fmt: skip
        assert again.program.power_down()
        minute += 1
    assert max(lost_s) == 0 if signalled else 0 < max(lost_s) < INTERVAL_S + 1
    how = "with a signal" if signalled else "without"
    with capsys.disabled():
        print("\n%s, %s: power failed %d times; energy of at most %d s lost"
              % (name, how, LIVES, max(lost_s)))  # fmt: skip


def test_a_signal_while_the_meter_is_at_work_waits_until_it_is_idle(residential):
    back_end = Files()
    meter = app.build(residential, back_end.storage(), port, 7, START, 0, 0)
    meter.program.step(10)
    n = back_end.count()
    meter.power_fails()
    assert back_end.count() == n
    waited = []
    meter.wait(types.SimpleNamespace(wait=waited.append), 500)
    assert back_end.count() > n and waited == [500]
    # Another one says nothing new, and who still runs after a second has power.
    n = back_end.count()
    meter.wait(Signal(meter), 0)
    assert back_end.count() == n
    now = meter._last_ms
    meter.speed = 1
    meter.tick(now + 999)
    assert codes(meter) == [2]
    meter.tick(now + 1000)
    meter.tick(now + 2100)
    assert codes(meter) == [2, 1, 2]
    failures = meter.model.find(0, bytes((0, 1, 0, 0, 96, 7, 0, 255)), 0)
    assert meter.model.get_int(failures, 2) == 1
    # The next failure is one again.
    n = back_end.count()
    meter.wait(Signal(meter), 0)
    assert back_end.count() > n


def test_the_time_of_a_failure_that_was_signalled_is_exact(residential):
    back_end = Files()
    meter = app.build(residential, back_end.storage(), port, 7, START, 0, 0)
    meter.program.step(1234)
    meter.wait(Signal(meter), 0)
    again = app.build(residential, back_end.again().storage(), port, 7, START + 600, 0, 0)
    assert codes(again) == [2, 1, 2]
    time, code = events(again)[-2]
    assert (time[11:], code) == ("23:00:34", 1)


def test_sigpwr_is_the_signal_of_a_pc(residential, tmp_path):
    (tmp_path / "definition.py").write_text(residential.TEXT)
    paths = [str(tmp_path), *(os.path.join(ROOT, p) for p in ("lib", "", "firmware/ports/shim"))]
    options = {"definition": "definition", "links": [], "state": str(tmp_path / "state")}
    meter = subprocess.Popen(
        [sys.executable, "-m", "firmware.main"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=dict(os.environ, PYTHONPATH=os.pathsep.join(paths)),
        cwd=ROOT,
    )
    try:
        meter.stdin.write(json.dumps(options).encode() + b"\n")
        meter.stdin.flush()
        while meter.stdout.readline() != b"ready\n":
            assert meter.poll() is None
        slots = [p for p in (tmp_path / "state").rglob("*") if p.name in ("a", "b")]
        was = [p.read_bytes() for p in slots]
        # The main loop may not wait yet; then it stores before it does.
        meter.send_signal(signal.SIGPWR)
        for _ in range(600):
            if was != [p.read_bytes() for p in slots]:
                break
            time.sleep(0.1)
        else:
            raise AssertionError("Nothing was stored.")
        assert meter.poll() is None
    finally:
        meter.kill()
        meter.communicate()


def events(meter):
    """(time, code) of the standard event log."""
    row = meter.model.find(0, bytes((0, 7, 0, 0, 99, 98, 0, 255)), 0)
    ring = meter.model.handler("profile_generic").profiles[row].ring
    buf = bytearray(ring.row_len)
    found = []
    for k in range(ring.n):
        assert ring.read(k, buf, 0)
        found.append((local(buf[2:14]), buf[15]))
    return found


def codes(meter):
    return [code for _, code in events(meter)]


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
