# SPDX-License-Identifier: MIT
"""Invocation counters over power failures: none is used twice, and none is accepted twice.

A client (secure.py) goes through a day: associations, GET, SET, rekeying, orderly restarts. Power
is cut at every write of the storage in turn; then the meter starts again and the day goes on.
What the meter has protected is taken from its answers, which the client deciphers with keys of its
own. Counters are saved in portions of 6 here, so that a short day has many.
"""

import types

import pytest
from cosem.model import Model
from device.nor import NOR
from device.nor import PowerCut as FlashCut
from dlms import ciphering
from dlms.server import Server
from fakes import CLOCK
from secure import GAK, GBEK, GUEK, AE, Client
from small import HERE, Talk, aarq
from tables import compile as pack
from tables import definition as definitions
from tables import source
from test_security_setup import GAK_ID, GBEK_ID, GET, GUEK_ID, VALUE, transfer
from test_store import MemoryFiles
from test_store import PowerCut as FileCut

from firmware import app
from firmware.flash import FlashStorage
from firmware.ports import ciphers
from firmware.ports import cpython as port
from firmware.store import FileStorage

SET = "C10141 0001 0000603C01FF 02 00 0902%04X"
# The counter that the meter shows to anybody: Data 0.0.43.1.1.
GET_COUNTER = "C00141 0001 00002B0101FF 02 00"
PORTION = 6


def packed(text):
    t = pack(definitions.load_definition(source.Document(text, "small.toml")))
    d = types.SimpleNamespace(**{k.upper(): v for k, v in vars(t).items() if k[0] != "_"})
    d.HANDLERS = tuple(
        h if h in ("association_ln", "security_setup", "clock") else "" for h in d.HANDLERS
    )
    return d


TEXT = (HERE / "definitions/small.toml").read_text()


@pytest.fixture(scope="module")
def definition():
    return packed(TEXT)


@pytest.fixture
def small_portions(monkeypatch):
    whole = ciphering.ahead
    monkeypatch.setattr(ciphering, "ahead", lambda counter, n=PORTION: whole(counter, n))


UNCONFIRMED = "C10101 0001 0000603C01FF 02 00 09020102"


class Meter:
    """Model, server and storage, from its start to its end."""

    def __init__(self, definition, storage):
        storage.prepare(definition)
        self.storage = storage
        self.model = model = Model(definition)
        storage.load(model.image)
        model.aes, model.new_hash = ciphers.aes, ciphers.new_hash
        model.random_fill = port.random_fill
        model.save = lambda: storage.save(model.image)
        model.start()
        self.server = Server(model)

    def talk(self, client, server=17):
        return Talk(self, self.server.channel(), client, server)

    def stop(self):
        self.model.handler("security_setup").settle()
        assert self.storage.save(self.model.image)


class Witness(Client):
    """A client that knows which keys it has used with which counters, and what came back."""

    def __init__(self, seen, talk, **how):
        Client.__init__(self, talk, **how)
        self.seen = seen

    def ask(self, hex_, **how):
        apdu = self.protect(bytes.fromhex(hex_), **how)
        key = how.get("key") or self.guek
        got = bytes.fromhex(self.talk.say(apdu.hex()))
        if not got or got[0] == 0xD8:
            return "!" + got.hex().upper()
        self.seen.accepted(key, self.gak, apdu)
        text = self.unprotect(got)
        self.protected()
        return text.hex().upper()

    def protected(self):
        """What came since the last look was protected with the key that there is."""
        while self.server_ics:
            self.seen.used(self.guek, self.server_ics.pop(0)[1])


class Seen:
    """All that was ever protected, and all that was accepted."""

    def __init__(self):
        self.answers = set()
        self.requests = []

    def used(self, key, counter):
        assert (key, counter) not in self.answers, "counter %s again" % counter.hex()
        self.answers.add((key, counter))

    def accepted(self, key, gak, apdu):
        assert apdu not in [r[2] for r in self.requests]
        self.requests.append((key, gak, apdu))


class Day:
    """What the client does, step by step: it goes on with the step that power has interrupted."""

    def __init__(self, definition, start):
        self.definition = definition
        self.start = start  # () -> storage after a power failure
        self.seen = Seen()
        self.ic = 0
        self.keys = [(GUEK, GAK)]  # those that may be in force, the likeliest first
        self.gbek, self.gbek_ic = GBEK, 0
        self.step = 0
        self.meter = self.client = None
        self.starts = 0

    def begin(self):
        """Power comes: replay what was accepted before, and open an association."""
        self.starts += 1
        self.meter = Meter(self.definition, self.start())
        self.client = None
        before = self.ic
        tries = len(self.keys)
        self.again()
        # A portion is skipped at most; an AARQ for each key takes one, and pass 3 two.
        assert self.ic <= before + PORTION + tries + 2
        self.replay()

    def open(self):
        for guek, gak in list(self.keys):
            c = Witness(self.seen, self.meter.talk(40), guek=guek, gak=gak, ic=self.ic)
            aarq_ = c.aarq()
            self.ic = c.ic
            got = c.aare(bytes.fromhex(c.talk.say(aarq_.hex())))
            if got["result"]:
                c.talk.channel.release()
                continue
            c.server_title, c.stoc = got[0xA4][2:], got[0xAA][2:]
            self.seen.accepted(guek, gak, aarq_)
            c.protected()
            proof = c.f()
            self.ic = c.ic + 1
            assert c.finish(proof) == "ok"
            c.protected()
            self.client = c
            self.keys = [(guek, gak)]
            return
        raise AssertionError("no key opens an association any more")

    def replay(self):
        """Every request that was once accepted, in the association that is open."""
        for _key, _gak, apdu in self.seen.requests:
            if apdu[0] != 0x60:
                got = self.client.talk.say(apdu.hex())
                assert got.startswith("D801"), got
            else:
                other = self.meter.talk(40)
                got = other.say(apdu.hex())
                other.channel.release()
                assert "A203020100" not in got, got

    def go_on(self):
        if self.client is None:
            self.begin()
        while self.step < len(STEPS):
            STEPS[self.step](self)
            self.step += 1
        return self

    # --- Steps

    def get(self):
        self.ask(GET, VALUE[:-4])

    def set(self):
        self.ask(SET % (self.ic & 0xFFFF), "C5014100")

    def ask(self, text, wanted):
        self.client.ic = self.ic
        self.ic += 1
        assert self.client.ask(text).startswith(wanted)

    def broadcast(self):
        """A request under the broadcast key, which has counters of its own."""
        ic = self.gbek_ic
        self.gbek_ic += 1
        got = self.client.ask(UNCONFIRMED, key=self.gbek, sc=0x40 | AE, ic=ic)
        if got.startswith("!D8"):
            # After a power failure: those that were saved ahead are skipped.
            self.gbek_ic += PORTION
            got = self.client.ask(UNCONFIRMED, key=self.gbek, sc=0x40 | AE, ic=self.gbek_ic - 1)
        assert got in ("", "!")

    def guek(self):
        new = bytes([self.step]) * 16
        if self.keys[0][0] != new:
            self.keys.append((new, self.keys[0][1]))
            self.ask(transfer((GUEK_ID, new)), "C701410000")
        # The answer came under the old key; from now on there is the new one.
        self.keys = [(new, self.keys[0][1])]
        self.again()

    def gak(self):
        new = bytes([0x80 | self.step]) * 16
        if self.keys[0][1] != new:
            self.keys.append((self.keys[0][0], new))
            self.ask(transfer((GAK_ID, new)), "C701410000")
        self.keys = [(self.keys[0][0], new)]
        self.client.gak = new
        self.get()

    def gbek_(self):
        new = bytes([0x40 | self.step]) * 16
        self.ask(transfer((GBEK_ID, new)), "C701410000")
        self.gbek, self.gbek_ic = new, 0
        self.broadcast()

    def again(self):
        """Another association, as after a break of the connection."""
        if self.client is not None:
            self.client.talk.channel.release()
        public = self.meter.talk(16)
        assert public.say(aarq(None).hex()).startswith("6129A1090607608574050801")
        self.ic = max(self.ic, int(public.say(GET_COUNTER)[-8:], 16))
        public.channel.release()
        self.open()

    def rests(self):
        """Nobody is there: the meter lets go of security, and goes on where it was."""
        self.client.talk.channel.release()
        self.client = None
        self.meter.server.forget()
        assert self.meter.server.secured is None and not self.meter.model.handler("security_setup")
        most = self.ic + len(self.keys) + 2
        self.again()
        assert self.ic <= most, "no counter of the client is lost"
        self.replay()

    def orderly(self):
        self.meter.stop()
        counters = len(self.seen.answers)
        self.begin()
        assert len(self.seen.answers) > counters


STEPS = (
    [Day.get] * 7
    + [Day.broadcast, Day.set, Day.get, Day.guek]
    + [Day.get] * 6
    + [Day.orderly, Day.get, Day.set, Day.gak, Day.broadcast]
    + [Day.get, Day.rests, Day.get, Day.rests, Day.rests, Day.get, Day.get]
    + [Day.gbek_, Day.again, Day.guek, Day.get, Day.orderly, Day.broadcast]
    + [Day.get] * 5
)


def days(definition, fresh, again, cut, parts):
    """A day for each write, and each part of it that is done; returns (writes, starts)."""
    device = fresh()
    whole = Day(definition, lambda: again(device)).go_on()
    total = device.n_writes if hasattr(device, "n_writes") else device.n
    starts = 0
    for cut_at in range(total):
        for part in parts:
            day, device = one(definition, fresh, again, cut, cut_at, part)
            assert device.off, "power was not cut"
            assert day.step == len(STEPS) and day.starts > whole.starts
            starts += day.starts
    return total, starts


def one(definition, fresh, again, cut, cut_at, part):
    first = fresh()
    first.cut_at, first.part = cut_at, part
    devices = [first]
    day = Day(definition, lambda: again(devices[-1]))
    while True:
        try:
            return day.go_on(), first
        except cut:
            day.client = None
            device = fresh()
            if isinstance(device, MemoryFiles):
                device.data = first.data
            else:
                device.cells = first.cells
            devices.append(device)


def test_no_counter_comes_twice_over_power_cuts_of_files(definition, small_portions):
    total, starts = days(
        definition,
        MemoryFiles,
        lambda files: FileStorage("state", files),
        FileCut,
        (0, 4, 8),
    )
    print("3 cuts at each of %d writes, %d starts" % (total, starts))
    assert total > 60


def test_no_counter_comes_twice_over_power_cuts_of_flash(definition, small_portions):
    total, starts = days(
        definition,
        lambda: NOR(2 + 24, 512),
        FlashStorage,
        FlashCut,
        (3, -1),
    )
    print("2 cuts at each of %d operations, %d starts" % (total, starts))
    assert total > 60


# --- The whole meter ------------------------------------------------------------------------

START = 13675680


def started(definition, files):
    """A meter as main.py makes it."""
    storage = FileStorage("state", files)
    return app.build(definition, storage, port, 1, START, 0, 0)


@pytest.fixture(scope="module")
def with_clock():
    head, _, tail = TEXT.rpartition("[[objects]]")
    clock = '[[objects]]\ndevice = "one"\naccess = "all"\nlist = [%s]\n\n[[objects]]'
    return packed(head + clock % CLOCK.replace(",\n     ", ", ") + tail)


def client_of(meter, ic=0):
    return Client(Talk(meter, meter.server.channel(), 40, 17), ic=ic).open()


def counters(client):
    return [int.from_bytes(counter, "big") for _ded, counter in client.server_ics]


def test_an_orderly_end_loses_no_counter(with_clock):
    files = MemoryFiles()
    meter = started(with_clock, files)
    before = client_of(meter)
    assert before.ask(GET) == VALUE
    meter.close()
    meter = started(with_clock, files)
    after = client_of(meter, before.ic)
    assert after.ask(GET) == VALUE
    assert sorted(counters(before) + counters(after)) == list(range(8))


def test_a_crash_skips_a_portion_at_most(with_clock):
    files = MemoryFiles()
    before = client_of(started(with_clock, files))
    assert before.ask(GET) == VALUE
    meter = started(with_clock, MemoryFiles(files.data))
    after = client_of(meter, before.ic + 64)
    assert 4 <= min(counters(after)) <= 4 + 64
    assert after.ask(GET) == VALUE


def test_an_end_without_security_skips_a_portion_at_most(with_clock):
    """The counters of clients are exact; that of the meter was saved ahead."""
    files = MemoryFiles()
    meter = started(with_clock, files)
    before = client_of(meter)
    assert before.ask(GET) == VALUE
    before.talk.channel.release()
    meter.server.forget()
    assert meter.server.secured is None and meter.model.aes is None
    meter.close()
    after = client_of(started(with_clock, files), before.ic)
    assert after.ask(GET) == VALUE
    assert max(counters(before)) < min(counters(after)) <= max(counters(before)) + 64


def test_a_power_fail_signal_without_a_power_failure(with_clock):
    """Counters are exact in what was saved; the meter that goes on reserves others first."""
    files = MemoryFiles()
    meter = started(with_clock, files)
    c = client_of(meter)
    assert meter.program.power_down()
    for _ in range(3):
        assert c.ask(GET) == VALUE
    again = client_of(started(with_clock, MemoryFiles(files.data)), c.ic + 64)
    assert not set(counters(c)) & set(counters(again))


def test_an_instant_that_has_begun_ends_before_counters_are_saved(with_clock):
    """What is saved is never half of what happens at an instant."""
    meter = started(with_clock, MemoryFiles())
    meter.program.in_parts = True
    meter.program.tick(60000)
    assert meter.program.work is not None
    client_of(meter)
    assert meter.program.work is None
