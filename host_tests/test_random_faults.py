# SPDX-License-Identifier: MIT
"""Ten thousand random operations a run, valid and invalid, against a simple model of a meter: GET,
SET, ACTION, lists, noise; time that passes, clocks that are set by years; restarts, power cuts in
any write, stores that are full. Each life of the meter is on another back end (back_ends.py).

The model knows what each value is; how many Ws have been consumed, and how many when the state was
saved last; which rows there are. What was under way when power failed is old or new, all else is
as it was acknowledged. The seed is printed; PICOMETER_SEED=n runs that one again.
"""

import os
import random
import struct
import types

from back_ends import BACK_ENDS, Cut
from cosem import slots
from small import HERE, packed
from test_program import Constant, utc

from firmware import app
from firmware.meter import household
from firmware.ports import cpython as port

OPERATIONS = 10_000
WATTS = 5417
PERIOD, ENTRIES = 900, 20
START = utc("2026-06-01T10:05")
FARTHEST = utc("2098-01-01T00:00")

NUMBER, TEXT, COUNT = "0001 0000603201FF", "0001 0000603202FF", "0001 0000603203FF"
TALLY = "0003 0100800800FF"  # set by a script, and reset
ENERGY, NAME, ERROR = "0003 0100010800FF", "0001 00002A0000FF", "0001 0000616100FF"
CLOCK, SCRIPTS = "0008 0000010000FF", "0009 00000A0064FF"
LOAD, LOG = "0007 0100630100FF", "0007 0000636200FF"
NOWHERE, OTHER_CLASS = "0001 0000630000FF", "0003 0000603201FF"
DENIED, UNDEFINED, INCONSISTENT, UNMATCHED, SCOPE, OTHER = 3, 4, 9, 12, 13, 250
TEMPORARY, HARDWARE = 2, 1
IMPOSSIBLE = "D80101"
MEMORY_ERROR = 1 << 10
DEFAULTS = {
    NUMBER: struct.pack(">BH", 0x12, 7),
    TEXT: b"\x09\x02\x01\x02",
    COUNT: struct.pack(">BI", 6, 5),
    TALLY: struct.pack(">BI", 6, 5),
}
SETTABLE = (NUMBER, TEXT, COUNT)
ZERO = b"\x06\0\0\0\0"
AARQ = "601DA109060760857405080101BE10040E01000000065F1F0400%sFFFF"
CONFORMANCE = "7EFF1F"


def definition():
    return types.SimpleNamespace(**packed(HERE / "definitions/faults.toml"))


class World:
    """A meter and its model."""

    def __init__(self, r):
        self.r = r
        self.back_end = None
        self.counts = dict.fromkeys(("operations", "cuts", "starts", "full", "refused", "set"), 0)
        self.begin()

    # --- Lives

    def begin(self):
        """A new meter, on another back end."""
        self.name = self.r.choice(sorted(BACK_ENDS))
        self.back_end = BACK_ENDS[self.name]()
        self.minute, self.second = START, 0
        self.values = dict(DEFAULTS)
        self.maybe = []  # of a value: what it may be after this power cut
        self.unheard = []  # likewise, until something is saved: what nobody was told of
        self.ws = 0
        self.saved = [0]  # Ws
        self.rows = []
        self.cleared = False
        self.worn = False
        self.start()
        while self.back_end.off():
            self.start_again()

    def start(self):
        back_end = self.back_end
        self.meter = None
        storage = back_end.storage()
        save = storage.save

        def spied(image):
            self.saved.append(self.total())
            done = save(image)
            self.saved = self.saved[-1:] if done else self.saved[:-1]
            if done:
                self.unheard = []
            return done

        storage.save = spied
        self.meter = app.build(self.definition, storage, port, 1, self.minute, self.second)
        self.counts["starts"] += 1
        self.server = self.meter.server
        self.model = self.meter.model
        self.channel = self.server.channel()
        self.say(AARQ % CONFORMANCE, "6129A109060760857405080101A203020100")

    def total(self):
        """Ws in the register and behind it, of the meter that runs or starts."""
        if self.meter is None:
            return None
        kept = self.meter.program.kept
        model = self.model
        return model.get_int(self.row(ENERGY), 2) * 3600 + (kept[0] << 8 | kept[1])

    def row(self, name):
        return self.model.find(0, bytes.fromhex(name), 0)

    def start_again(self):
        """Power comes back: what is there?"""
        before, saved = self.rows, self.saved
        expected = {k: [v] for k, v in self.values.items()}
        for name, value in self.maybe + self.unheard:
            expected[name].append(value)
        self.back_end = self.back_end.again()
        self.worn = False
        self.start()
        self.maybe, self.unheard = [], []
        if not self.back_end.keeps or (
            self.back_end.may_lose and self.meter.program.saved_minute < 0
        ):
            expected = {k: [v] for k, v in DEFAULTS.items()}
            saved = [0]
        for name, values in expected.items():
            found = self.value(name)
            assert found in values, (name, found.hex(), [v.hex() for v in values])
            self.values[name] = found
        self.ws = self.total()
        assert self.ws in saved or None in saved, (self.ws, saved)
        self.saved = [self.ws]
        found = self.stored_rows()
        if self.back_end.keeps_rows and self.back_end.keeps:
            # The ring's oldest row may have been torn by the one that was to replace it.
            gone = [d for d in range(len(before) + 1) if found[: len(before) - d] == before[d:]]
            new = len(found) - len(before) + gone[0]
            assert gone[0] <= new + 1 or self.cleared, (gone[0], new)
        else:
            assert found == []
        self.rows = found
        self.cleared = False

    def value(self, name):
        model, row = self.model, self.row(name)
        at = slots.offset(model, row, 2)
        return bytes(slots.source(model, row, 2)[at : at + model.value_len(row, 2)])

    def stored_rows(self):
        ring = self.model.handler("profile_generic").profiles[self.row(LOAD)].ring
        buf = bytearray(ring.row_len)
        out = []
        for k in range(ring.n):
            assert ring.read(k, buf, 0), "a row is damaged"
            out.append(bytes(buf[:19]))
        return out

    # --- Requests

    def ask(self, text):
        apdu = bytearray.fromhex(text.replace(" ", ""))
        while True:
            n = self.server.request(self.channel, 16, 1, apdu, 0, len(apdu))
            if self.server.todo:
                self.server.work()
            if n >= 0:
                break
        fault, self.server.fault = self.server.fault, None
        if fault is not None and not self.back_end.off():
            raise fault
        at = self.channel.tx_pos
        return bytes(self.channel.tx[at : at + n]).hex().upper()

    def say(self, text, *answers):
        if self.worn and self.server.unsaved:
            answers += (IMPOSSIBLE,)  # what came before, unconfirmed, cannot be saved
        got = self.ask(text)
        if not self.back_end.off():
            assert got.startswith(answers), (self.name, text, got, answers)
        return got

    def changes(self, text, good, name, value):
        """A request that sets a value."""
        refused = self.model.full
        self.maybe.append((name, value))
        if refused:
            answers = ("%s%02X" % (good[:-2], TEMPORARY),)
        elif self.worn:
            answers = (IMPOSSIBLE, good) if value == self.values[name] else (IMPOSSIBLE,)
        else:
            answers = (good,)
        got = self.say(text, *answers)
        if got == good and not self.back_end.off():
            self.values[name] = value
            self.counts["set"] += 1
        elif not self.back_end.off():
            self.counts["refused"] += 1

    # --- Operations: (weight, function)

    def some_value(self, name):
        r = self.r
        if name == NUMBER:
            return struct.pack(">BH", 0x12, r.choice([0, 1, 42, 43, 0x7FFF, 0xFFFF]))
        if name == COUNT:
            return struct.pack(">BI", 6, r.choice([0, 5, 1 << 30, 0xFFFFFFFF]))
        octets = r.randbytes(r.choice([0, 1, 2, 30, 60]))
        return bytes((9, len(octets))) + octets

    def get(self):
        name = self.r.choice([*self.values, ENERGY, CLOCK, NAME])
        got = self.say("C001C1 %s 02 00" % name, "C401C100")
        if name in self.values:
            assert got[8:] == self.values[name].hex().upper()
        elif name == ENERGY:
            assert got[8:] == "06%08X" % (self.ws // 3600)
        elif name == CLOCK:
            assert (self.clock.minute, self.clock.second) == (self.minute, self.second)

    def get_rows(self):
        got = self.say("C001C1 %s 02 00" % LOAD, "C401C10001")
        if not self.back_end.off():
            assert bytes.fromhex(got[12:]).count(b"\x02\x02\x09\x0c") == len(self.rows)
            assert got[12:] == b"".join(b"\x02\x02" + row for row in self.rows).hex().upper()

    def bad_get(self):
        what, result = self.r.choice([
            (NOWHERE + "02 00", UNDEFINED), (OTHER_CLASS + "02 00", INCONSISTENT),
            (NUMBER + "03 00", UNDEFINED), (NUMBER + "02 01 01 00", SCOPE),
        ])  # fmt: skip
        self.say("C001C1 " + what, "C401C101%02X" % result)

    def set(self):
        name = self.r.choice(SETTABLE)
        value = self.some_value(name)
        attribute = self.r.choice(["02 00", "02 00", "02 00", "00 00 0202 00"])
        text = "C101C1 %s %s %s" % (name, attribute, value.hex())
        self.changes(text, "C501C100", name, value)

    def set_list(self):
        """One of the two is refused."""
        name = self.r.choice(SETTABLE)
        value = self.some_value(name)
        text = "C104C1 02 %s 02 00 %s 02 00 02 %s 0900" % (name, NAME, value.hex())
        full = self.model.full
        self.maybe.append((name, value))
        if full:
            self.say(text, "C505C102%02X%02X" % (TEMPORARY, DENIED))
            return
        got = self.say(text, "C505C10200%02X" % DENIED, *[IMPOSSIBLE] * self.worn)
        if got != IMPOSSIBLE:
            self.values[name] = value

    def bad_set(self):
        full = self.model.full
        what, result = self.r.choice([
            (NUMBER + "02 00 11 05", UNMATCHED), (NUMBER + "02 00 1101", UNMATCHED),
            (NUMBER + "02 00 05 00000001", UNMATCHED), (TEXT + "02 00 12 0001", UNMATCHED),
            (TEXT + "02 00 0A 02 4142", UNMATCHED), (TEXT + "02 00 09 81 02 4142", UNMATCHED),
            (TEXT + "02 00 09 3D" + "55" * 61, OTHER),
            (TEXT + "02 00 02 01 09 00", UNMATCHED), (TALLY + "02 00 06 00000001", DENIED),
            (NAME + "02 00 09 00", DENIED), (ENERGY + "02 00 06 00000000", DENIED),
            (NUMBER + "01 00 0906 0000603201FF", DENIED), (NUMBER + "03 00 12 0001", UNDEFINED),
            (NOWHERE + "02 00 12 0001", UNDEFINED), (OTHER_CLASS + "02 00 12 0001", INCONSISTENT),
            (NUMBER + "02 01 01 00 12 0001", SCOPE),
            (CLOCK + "02 00 090C FFFF 06 01 FF 0A0000 00 8000 FF", OTHER),
            (CLOCK + "02 00 090C 07EA 0D 01 FF 0A0000 00 8000 FF", OTHER),
            (CLOCK + "02 00 090C 07EA 02 1E FF 0A0000 00 8000 FF", OTHER),
            (CLOCK + "02 00 090C 07EA 06 01 FF 180000 00 8000 FF", OTHER),
            (CLOCK + "02 00 090C 07EA 06 01 FF FF0000 00 8000 FF", OTHER),
            (CLOCK + "02 00 090C 07EA 06 01 FF 0A0000 00 2000 FF", OTHER),
            (CLOCK + "02 00 090B 07EA 06 01 FF 0A0000 00 8000", UNMATCHED),
            (CLOCK + "03 00 10 0349", OTHER), (CLOCK + "08 00 11 01", UNMATCHED),
        ])  # fmt: skip
        if full and result in (UNMATCHED, OTHER):
            result = TEMPORARY
        self.say("C101C1 " + what, "C501C1%02X" % result)

    def noise(self):
        """Octets that are no request, or a request of which some are others."""
        r = self.r
        if r.random() < 0.5:
            apdu = bytes((r.choice([0x60, 0xC0, 0xC1, 0xC3, 0xC8, 0xD9, 0xE0, r.randrange(256)]),))
            apdu += r.randbytes(r.randrange(30))
        else:
            apdu = bytearray.fromhex(("C101C1 %s 02 00 " % NUMBER).replace(" ", ""))
            apdu += self.some_value(NUMBER)
            apdu[r.randrange(2, len(apdu))] ^= 1 << r.randrange(8)
        if apdu[0] in (0x60, 0x62):
            apdu = b"\xc0" + bytes(apdu[1:])  # the association stays
        self.maybe.append((NUMBER, bytes(apdu[-3:])))
        got = self.ask(bytes(apdu).hex())
        if self.back_end.off():
            return
        if got[:2] in ("C5", "C7") and got[6:8] == "00" or len(got) == 0:
            # It was one that is good all the same.
            for name in self.values:
                if not got:
                    self.unheard.append((name, self.values[name]))
                self.values[name] = self.value(name)

    def script(self):
        k = self.r.randrange(1, 3)
        new = {NUMBER: struct.pack(">BH", 0x12, 41 + k)}
        if k == 2:
            new[TALLY] = struct.pack(">BI", 6, 9)
        self.method("C301C1 %s 01 01 12%04X" % (SCRIPTS, k), new)

    def reset(self):
        self.method("C301C1 %s 01 01 0F00" % TALLY, {TALLY: ZERO})

    def method(self, text, new):
        """What it has done stays, saved or not."""
        self.maybe += new.items()
        self.say(text, "C701C100", *[IMPOSSIBLE] * self.worn)
        if not self.back_end.off():
            self.values.update(new)

    def capture(self):
        self.say("C301C1 %s 02 01 0F00" % LOAD, "C701C1", *[IMPOSSIBLE] * self.worn)
        self.take_rows(1)

    def clear(self):
        if self.worn:
            return
        self.cleared = True
        self.say("C301C1 %s 01 01 0F00" % LOAD, "C701C100")
        if not self.back_end.off():
            self.rows = []
            self.cleared = False
            assert self.stored_rows() == []

    def bad_action(self):
        what, result = self.r.choice([
            (NOWHERE + "01 01 0F00", UNDEFINED), (TALLY + "02 01 0F00", UNDEFINED),
            (TALLY + "01 01 1100", UNMATCHED),
            (SCRIPTS + "01 01 120003", OTHER), (SCRIPTS + "01 01 1101", UNMATCHED),
            (NUMBER + "01 01 0F00", UNDEFINED),
        ])  # fmt: skip
        self.say("C301C1 " + what, "C701C1%02X00" % result)

    # --- Time

    @property
    def clock(self):
        return self.meter.program.clock

    def pass_time(self):
        seconds = self.r.choice([1, 1, 7, 60, 60, 600, 900, 3600])
        end = self.minute * 60 + self.second + seconds
        boundaries = end // PERIOD - (self.minute * 60 + self.second) // PERIOD
        self.meter.program.step(seconds)
        self.ws += WATTS * seconds
        self.minute, self.second = divmod(end, 60)
        if not self.back_end.off():
            assert self.total() == self.ws
            assert (self.clock.minute, self.clock.second) == (self.minute, self.second)
        self.take_rows(boundaries)

    def take_rows(self, most):
        """So many rows have been captured; fewer, if the store takes none."""
        if self.back_end.off():
            return
        found = self.stored_rows()
        was = self.rows
        for n in range(most, -1, -1):
            if found == (was + found[len(found) - n :])[-ENTRIES:]:
                break
        else:
            raise AssertionError((self.name, most, len(was), len(found)))
        assert n == most or self.worn, (self.name, n, most)
        for row in found[len(found) - n :]:
            assert struct.unpack(">I", row[15:19])[0] <= self.ws // 3600
        self.rows = found

    def set_clock(self):
        """By seconds, by days, by years: nothing is made up for, and no energy is lost."""
        r = self.r
        now = self.minute * 60 + self.second
        to = r.choice([now + 5, now - 5, now + 86400 * 40, now - 86400 * 40,
                       r.randrange(60, FARTHEST) * 60])  # fmt: skip
        to = max(3600, min(to, FARTHEST * 60))
        out = bytearray(12)
        self.clock.local_of(to // 60, to % 60, out, 0)
        # It is set, whether that can be saved or not; but not while the store is known to be full.
        full = self.model.full
        good = "C501C1%02X" % (TEMPORARY if full else 0)
        self.say("C101C1 %s 02 00 090C %s" % (CLOCK, out.hex()), good, *[IMPOSSIBLE] * self.worn)
        if not full and not self.back_end.off():
            self.minute, self.second = to // 60, to % 60
        if not self.back_end.off():
            n = len(self.stored_log())
            self.pass_time()
            # Two events, and whatever else that second brings.
            assert len(self.stored_log()) <= min(ENTRIES, n + 8)

    def stored_log(self):
        ring = self.model.handler("profile_generic").profiles[self.row(LOG)].ring
        return range(ring.n)

    # --- Power and wear

    def restart(self):
        """In good order; then nothing is lost."""
        if self.worn or self.back_end.device.cut_at >= 0:
            return
        assert self.meter.program.power_down()
        self.meter.close()
        self.saved = [self.ws]
        self.minute += self.r.choice([0, 1, 30])
        self.start_again()

    def plan_a_cut(self):
        """In one of the next writes."""
        back_end = self.back_end
        if not self.worn:
            back_end.cut(back_end.count() + self.r.randrange(8), self.r.choice(back_end.parts))

    def mend(self):
        if self.worn:
            self.wear()

    def wear(self):
        if self.back_end.device.cut_at >= 0 or not self.back_end.keeps:
            return
        self.worn = not self.worn
        self.back_end.wear(self.worn)
        self.counts["full"] += self.worn
        if not self.worn:
            # It finds that out with the next thing that it has to save.
            for _ in range(2):
                self.meter.program.step(3600)
                self.ws += WATTS * 3600
                self.minute += 60
            assert not self.meter.program.unsaved and not self.model.full
            self.rows = self.stored_rows()

    WEIGHTS = (
        (24, "get"), (2, "get_rows"), (6, "bad_get"), (22, "set"), (4, "set_list"),
        (12, "bad_set"), (8, "noise"), (4, "script"), (3, "reset"), (1, "capture"), (0.3, "clear"),
        (4, "bad_action"), (6, "pass_time"), (0.5, "set_clock"), (0.4, "restart"),
        (2, "plan_a_cut"), (0.3, "wear"), (1, "mend"), (0.3, "begin"),
    )  # fmt: skip

    def run(self, n):
        weights, names = zip(*self.WEIGHTS)
        for name in self.r.choices(names, weights, k=n):
            self.counts["operations"] += 1
            self.last = name
            try:
                getattr(self, name)()
            except Cut:
                assert self.back_end.off()
            while self.back_end.off():
                self.counts["cuts"] += 1
                try:
                    self.start_again()
                except Cut:
                    assert self.back_end.off()
            self.maybe = []


def test_ten_thousand_operations(monkeypatch, capsys):
    seed = int(os.environ.get("PICOMETER_SEED") or random.SystemRandom().randrange(1 << 32))
    monkeypatch.setattr(household, "Household", lambda seed: Constant(a_plus=WATTS))
    World.definition = definition()
    world = World(random.Random(seed))
    try:
        world.run(OPERATIONS)
    except BaseException:
        print("PICOMETER_SEED=%d, on %s, operation %d: %s"
              % (seed, world.name, world.counts["operations"], world.last))  # fmt: skip
        raise
    with capsys.disabled():
        print("\nseed %d: %s" % (seed, world.counts))
    assert world.counts["operations"] == OPERATIONS
    assert world.counts["cuts"] > 10 and world.counts["full"] > 5 and world.counts["refused"] > 10
