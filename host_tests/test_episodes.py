# SPDX-License-Identifier: MIT
"""firmware/meter/episodes.py, lines.py, wiring.py, contacts.py: what lasts, on the full meter.

A household by a script (scripted.py) says what is so and for how long; counts, durations, times
and events have to be exactly that. Names and thresholds: IEC 62056-6-1 by obis.csv of the shared
reference, and what firmware/definitions/polyphase.toml says is the project's.
"""

import os
import types

import pytest
from conftest import ROOT
from fakes import CLOCK, define, u16, u32
from test_program import Constant, Meter, local
from test_store import MemoryFiles

from cosem.model import Model
from firmware.meter.ahead import Ahead
from firmware.meter.episodes import Episodes
from firmware.meter.program import Program
from firmware.meter.scripted import Scripted
from firmware.store import FileStorage

POLYPHASE = os.path.join(ROOT, "firmware", "definitions", "polyphase.toml")
START = "2026-06-01T10:05"  # 12:05 local time
FRAUD, DISCONNECT, QUALITY = "0.0.99.98.1", "0.0.99.98.2", "0.0.99.98.3"
FAILURES = "1.0.99.97.0"
L1, L2, L3, P1, P2, P3, CONTACTS, REVERSED, NEUTRAL, BYPASS = range(10)
PLACES = ("all", "l1", "l2", "l3", "any")
COUNT = dict(zip(PLACES, ("0.0.96.7.%d" % e for e in (0, 1, 2, 3, 21))))
LONG = dict(zip(PLACES, ("0.0.96.7.%d" % e for e in (5, 6, 7, 8, 9))))
TIME = dict(zip(PLACES, ("0.0.96.7.%d" % e for e in (10, 11, 12, 13, 14))))
LAST = dict(zip(PLACES, ("0.0.96.7.%d" % e for e in (15, 16, 17, 18, 19))))
TOTAL = dict(zip(PLACES, ("0.0.96.7.%d" % e for e in (143, 144, 145, 146, 147))))


@pytest.fixture(scope="session")
def polyphase():
    from tables import pack, show

    module = types.ModuleType("definition")
    exec(show.module(pack.compile(POLYPHASE)), module.__dict__)
    return module


class Full(Meter):
    """The full meter in a house to which the script happens."""

    def __init__(self, definition, script=(), start=START, files=None):
        storage = None if files is None else FileStorage("state", files)
        Meter.__init__(self, definition, start, Scripted(7, list(script)), storage)

    def run(self, seconds, how="step"):
        if how == "step":
            self.program.step(seconds)
        elif how == "ahead":
            Ahead(self.program).step(seconds)
        else:
            for _ in range(seconds):
                self.program.tick(1000)

    def counts(self, names):
        return {place: self.number(1, name) for place, name in names.items()}

    def seconds(self, names):
        return {place: self.number(3, name) for place, name in names.items()}

    def times(self):
        """When the last failures began; None: there was none."""
        found = {}
        for place, name in TIME.items():
            at = self.model.slot(self.row(1, name), 2) + 2
            time = self.model.image[at : at + 12]
            found[place] = None if time[0] == 0xFF else local(time)[11:]
        return found

    def codes(self, log):
        return [(time[11:], code) for time, code in self.log(log)]

    def set_number(self, name, value, octets=4):
        self.set(3, name, 2, u32(value) if octets == 4 else u16(value))

    def voltage(self, kind):
        """{phase: (count, seconds, tenths of a volt)} of those with a count."""
        d = {"sag": 32, "swell": 36, "cut": 40}[kind]
        found = {}
        for phase, c in ((1, 32), (2, 52), (3, 72)):
            n = self.number(1, "1.0.%d.%d.0" % (c, d))
            if n:
                name = "1.0.%d.%%d.0" % c
                found[phase] = n, self.number(3, name % (d + 1)), self.number(3, name % (d + 2))
        return found


def zeros(**others):
    return {**dict.fromkeys(PLACES, 0), **others}


# --- Voltages -----------------------------------------------------------------------------------

# Script; sags, swells, cuts of each phase; the log. Each time threshold is 60 s.
VOLTAGES = [
    ([(10, 100, L1, 2000)], {1: (1, 90, 2000)}, {}, {}, [("12:06:10", 76), ("12:06:40", 85)]),
    ([(10, 69, L1, 2000)], {}, {}, {}, []),
    ([(10, 70, L1, 2000)], {1: (1, 60, 2000)}, {}, {}, [("12:06:10", 76), ("12:06:10", 85)]),
    ([(10, 71, L1, 2000)], {1: (1, 61, 2000)}, {}, {}, [("12:06:10", 76), ("12:06:11", 85)]),
    ([(0, 300, L2, 2600)], {}, {2: (1, 300, 2600)}, {}, [("12:06:00", 80), ("12:10:00", 86)]),
    ([(0, 600, L3, 0)], {}, {}, {3: (1, 600, 0)}, [("12:06:00", 84), ("12:15:00", 87)]),
    (  # the lowest voltage counts, the sag is one
        [(0, 50, L1, 2000), (50, 80, L1, 1900), (80, 100, L1, 2010)],
        {1: (1, 100, 1900)}, {}, {}, [("12:06:00", 76), ("12:06:40", 85)],
    ),
    (  # from a sag into a cut: two things, the second one too short, and no voltage between
        [(0, 100, L1, 2000), (100, 130, L1, 100), (130, 200, L1, 2000)],
        {1: (2, 70, 2000)}, {}, {}, [("12:06:00", 76), ("12:08:20", 85)],
    ),
    (  # high, then missing
        [(0, 100, L2, 2700), (100, 200, L2, 1149)],
        {}, {2: (1, 100, 2700)}, {2: (1, 100, 1149)},
        [("12:06:00", 80), ("12:07:40", 83), ("12:08:20", 86)],
    ),
    (  # at the limit is within
        [(0, 100, L1, 2070), (0, 100, L2, 2530), (0, 100, L3, 1150)],
        {3: (1, 100, 1150)}, {}, {}, [("12:06:00", 78), ("12:06:40", 87)],
    ),
    (  # twice, and at the turn of the day
        [(42800, 43000, L1, 1900), (43100, 43200, L1, 1950)],
        {1: (2, 100, 1950)}, {}, {},
        [("23:59:20", 76), ("00:01:40", 85), ("00:04:20", 76), ("00:05:00", 85)],
    ),
]  # fmt: skip


@pytest.mark.parametrize("how", ["step", "ahead", "tick"])
@pytest.mark.parametrize("script, sags, swells, cuts, log", VOLTAGES)
def test_voltages_out_of_their_band(polyphase, script, sags, swells, cuts, log, how):
    seconds = max(line[1] for line in script) + 30
    if how == "tick" and seconds > 1000:
        seconds = 30  # the others have shown it
        sags = swells = cuts = {}
        log = []
    meter = Full(polyphase, script)
    # Nothing of the order of phases, which is another matter.
    meter.set_number("1.0.12.44.128", 100000)
    meter.run(seconds, how)
    assert meter.voltage("sag") == sags
    assert meter.voltage("swell") == swells
    assert meter.voltage("cut") == cuts
    assert meter.codes(QUALITY) == log


def test_limits_and_time_thresholds_that_a_client_sets_count_at_once(polyphase):
    meter = Full(polyphase, [(0, 1000, L1, 2150), (0, 1000, L2, 2450), (0, 1000, L3, 1300)])
    meter.run(200)
    assert meter.number(1, "1.0.72.32.0") == 1  # of the others, nothing yet
    meter.set_number("1.0.12.31.0", 2160, 2)
    meter.set_number("1.0.12.35.0", 2440, 2)
    meter.set_number("1.0.12.43.0", 5, 2)
    meter.set_number("1.0.12.44.0", 7, 2)
    meter.set_number("1.0.12.39.0", 1310, 2)
    meter.set_number("1.0.12.45.0", 9, 2)
    meter.run(20, "tick")
    # Seen a second later: time begins when it is so.
    assert [x for x in meter.codes(QUALITY) if x[1] in (76, 80, 84)] == [
        ("12:08:26", 76), ("12:08:28", 80), ("12:08:30", 84)]  # fmt: skip
    assert meter.number(1, "1.0.32.32.0") == meter.number(1, "1.0.52.36.0") == 1
    assert meter.number(1, "1.0.72.40.0") == 1


# --- Power failures -----------------------------------------------------------------------------

# 180 s are long.
FAILED = [(100, 200, L1, 0), (1000, 1300, L2, 0), (1200, 1500, L3, 50), (2000, 2400, L1, 0),
          (2100, 2200, L2, 0), (2100, 2300, L3, 0)]  # fmt: skip


@pytest.mark.parametrize("how", ["step", "ahead", "tick"])
def test_power_failures_by_phase(polyphase, how):
    meter = Full(polyphase, FAILED)
    meter.run(2500, how)
    assert meter.counts(COUNT) == zeros(l1=2, l2=2, l3=2, any=3, all=1)
    assert meter.counts(LONG) == zeros(l1=1, l2=1, l3=2, any=2)
    assert meter.seconds(LAST) == zeros(l1=400, l2=300, l3=200, any=400)
    assert meter.seconds(TOTAL) == zeros(l1=400, l2=300, l3=500, any=900)
    assert meter.times() == {"all": "12:40:00", "l1": "12:38:20", "l2": "12:40:00",
                             "l3": "12:40:00", "any": "12:38:20"}  # fmt: skip
    rows = [(local(end)[11:], local(begin)[11:], n) for end, begin, n in meter.rows(FAILURES)]
    assert rows == [("12:30:00", "12:21:40", 500), ("12:45:00", "12:38:20", 400)]


@pytest.mark.parametrize("threshold, long", [(0, 3), (100, 3), (101, 2), (400, 2), (501, 0)])
def test_the_threshold_of_long_failures(polyphase, threshold, long):
    meter = Full(polyphase, FAILED)
    meter.set_number("0.0.96.7.20", threshold)
    meter.run(2500)
    assert meter.number(1, LONG["any"]) == long == len(meter.rows(FAILURES))


@pytest.mark.parametrize("minutes", [600, -600])
def test_a_clock_that_is_set_during_a_failure_does_not_change_its_duration(polyphase, minutes):
    meter = Full(polyphase, [(100, 1000, L1, 0)])
    meter.run(400)
    meter.clock.adjust(meter.clock.minute + minutes, 17)
    meter.run(700)
    assert meter.seconds(LAST) == zeros(l1=900, any=900)
    assert meter.times()["l1"] == "12:06:40"
    (end, begin, seconds) = meter.rows(FAILURES)[0]
    assert local(begin)[11:] == "12:06:40" and seconds == 900
    shown = local(end)
    assert shown[11:13] == "22" if minutes > 0 else shown[11:13] == "02"


def test_the_meter_itself_without_power(polyphase):
    files = MemoryFiles()
    meter = Full(polyphase, files=files)
    meter.run(600)
    assert meter.program.power_down()
    again = Full(polyphase, start="2026-06-01T10:25", files=files)
    again.run(60)
    assert again.counts(COUNT) == zeros(all=1, l1=1, l2=1, l3=1, any=1)
    assert again.seconds(LAST) == dict.fromkeys(PLACES, 600)
    assert set(again.times().values()) == {"12:15:00"}
    assert [(local(e)[11:], local(b)[11:], n) for e, b, n in again.rows(FAILURES)] == [
        ("12:25:00", "12:15:00", 600)]  # fmt: skip
    assert again.program.power_down()
    # Too short to be a long one.
    third = Full(polyphase, start="2026-06-01T10:28", files=files)
    third.run(60)
    assert third.counts(COUNT) == zeros(all=2, l1=2, l2=2, l3=2, any=2)
    assert third.counts(LONG) == dict.fromkeys(PLACES, 1)
    assert len(third.rows(FAILURES)) == 1


def test_a_phase_that_fails_over_a_restart_fails_once(polyphase):
    files = MemoryFiles()
    meter = Full(polyphase, [(100, 10000, L2, 0)], files=files)
    meter.run(420)
    assert meter.program.power_down()
    # Ten minutes without power, and five more without L2.
    again = Full(polyphase, [(0, 300, L2, 0)], "2026-06-01T10:22", files)
    again.run(1000)
    assert again.counts(COUNT) == zeros(all=1, l1=1, l2=1, l3=1, any=1)
    assert again.seconds(LAST) == zeros(all=600, l1=600, l3=600, l2=1220, any=1220)
    assert again.times()["l2"] == "12:06:40" and again.times()["l1"] == "12:12:00"
    # Missing before and after is noted twice, as each life of the program sees it.
    assert [code for _, code in again.log(QUALITY) if code in (83, 86)] == [83, 83, 86]
    assert again.voltage("cut") == {2: (1, 620, 0)}


def test_power_that_goes_without_a_word_fails_from_the_last_time_that_was_stored(polyphase):
    files = MemoryFiles()
    meter = Full(polyphase, files=files)
    meter.run(1000)  # last stored at 12:15
    again = Full(polyphase, start="2026-06-01T10:30", files=files)
    again.run(10)
    assert again.seconds(LAST) == dict.fromkeys(PLACES, 900)
    assert again.times()["all"] == "12:15:00"


def test_a_clock_that_stood_still_or_went_back_gives_no_negative_duration(polyphase):
    files = MemoryFiles()
    meter = Full(polyphase, files=files)
    meter.run(1000)
    assert meter.program.power_down()
    again = Full(polyphase, start="2026-06-01T09:00", files=files)
    again.run(10)
    assert again.counts(COUNT) == dict.fromkeys(PLACES, 1)
    assert again.seconds(LAST) == dict.fromkeys(PLACES, 0)


def test_a_full_log_keeps_the_newest(polyphase):
    n = 103
    script = [(400 * k + 100, 400 * k + 300 + k, L1, 0) for k in range(n)]
    meter = Full(polyphase, script)
    meter.run(400 * n + 10)
    rows = meter.rows(FAILURES)
    assert [row[2] for row in rows] == list(range(203, 303))
    assert meter.number(1, LONG["any"]) == n


def test_a_log_that_was_cleared_says_so(polyphase):
    meter = Full(polyphase, [(100, 400, L1, 0)])
    meter.run(500)
    row = meter.row(7, FAILURES)
    assert len(meter.rows(FAILURES)) == 1
    assert meter.model.act(row, 1, b"\x0f\x00", 0, 2) == 0
    meter.run(2)
    assert meter.rows(FAILURES) == [] and meter.log("0.0.99.98.0")[-1][1] == 255


def test_a_log_that_cannot_be_written_is_no_end(polyphase):
    files = MemoryFiles()
    meter = Full(polyphase, [(100, 400, L1, 0)], files=files)
    meter.run(300)
    files.full = True
    meter.run(300)
    assert meter.seconds(LAST) == zeros(l1=300, any=300)
    assert meter.program.events.lost
    files.full = False
    meter.run(3600)
    assert meter.program.unsaved == 0
    assert [code for _, code in meter.log("0.0.99.98.0")].count(14) >= 1


# --- The case, and how the meter is wired -----------------------------------------------------


def test_contacts_of_the_case(polyphase):
    meter = Full(
        polyphase, [(100, 160, CONTACTS, 4), (160, 200, CONTACTS, 5), (300, 330, CONTACTS, 2)]
    )
    meter.run(180)
    assert meter.number(3, "0.0.96.20.2") == 80 and meter.number(3, "0.0.96.20.3") == 0
    meter.run(220)
    numbers = {e: meter.number(1, "0.0.96.20.%d" % e) for e in (0, 5, 15)}
    assert numbers == {0: 1, 5: 1, 15: 1}
    seconds = {e: meter.number(3, "0.0.96.20.%d" % e) for e in (2, 3, 7, 8, 17, 18)}
    assert seconds == {2: 100, 3: 100, 7: 40, 8: 40, 17: 30, 18: 30}
    assert meter.codes(FRAUD) == [
        ("12:06:40", 44), ("12:07:40", 40), ("12:08:20", 41), ("12:08:20", 45),
        ("12:10:00", 42), ("12:10:30", 43)]  # fmt: skip
    assert meter.number(1, "0.0.97.98.0") == 1 << 13


def test_a_cover_that_was_off_is_taken_to_have_stayed_so(polyphase):
    files = MemoryFiles()
    meter = Full(polyphase, [(100, 10000, CONTACTS, 1)], files=files)
    meter.run(400)
    assert meter.program.power_down()
    again = Full(polyphase, [(0, 50, CONTACTS, 1)], "2026-06-01T11:05", files)
    again.run(100)
    assert again.number(1, "0.0.96.20.5") == 1
    assert again.number(3, "0.0.96.20.8") == 300 + 3200 + 50
    assert [code for _, code in again.log(FRAUD)] == [40, 41]


# Script; log; codes; bits of the second alarm register.
WIRING = [
    ([(100, 200, P2, 30000)], DISCONNECT, [("12:06:50", 72), ("12:08:20", 73)], 0),
    ([(100, 109, P2, 30000)], DISCONNECT, [], 0),
    ([(100, 200, P1, 40000), (100, 200, P3, -40000)], DISCONNECT,
     [("12:06:50", 70), ("12:06:50", 74), ("12:08:20", 71), ("12:08:20", 75)], 0),
    ([(100, 200, REVERSED, 1)], QUALITY, [("12:06:50", 88)], 1 << 11),
    ([(100, 200, NEUTRAL, 200)], QUALITY, [("12:06:50", 90)], 1 << 9),
    ([(100, 200, NEUTRAL, 600)], QUALITY, [("12:06:50", 90), ("12:06:50", 89)], 1 << 9 | 1 << 8),
    ([(100, 200, L1, 2080), (100, 200, L2, 2520)], QUALITY, [("12:06:50", 90)], 1 << 9),
    ([(100, 200, P3, -30000)], FRAUD, [("12:07:40", 91)], 1 << 10),
]  # fmt: skip


@pytest.mark.parametrize("how", ["step", "ahead", "tick"])
@pytest.mark.parametrize("script, log, codes, bits", WIRING)
def test_what_is_wrong_around_the_meter(polyphase, script, log, codes, bits, how):
    meter = Full(polyphase, script)
    for name in ("43", "44", "45"):
        meter.set_number("1.0.12.%s.0" % name, 65535, 2)  # no word of voltages that are low
    meter.run(300, how)
    assert meter.codes(log) == codes
    wanted = 0 if log == DISCONNECT else bits
    assert meter.number(1, "0.0.97.98.1") & (1 << 8 | 1 << 10 | 1 << 11 | wanted) == wanted
    assert meter.number(1, "1.0.51.36.0") == codes.count(("12:06:50", 72))


def test_current_that_flows_past_an_open_disconnector(polyphase):
    meter = Full(polyphase, [(100, 200, BYPASS, 500)])
    meter.run(150)
    assert meter.codes(DISCONNECT) == []  # it is closed
    assert meter.model.act(meter.row(70, "0.0.96.3.10"), 1, b"\x0f\x00", 0, 2) == 0
    meter.run(30, "tick")
    assert meter.codes(DISCONNECT) == [("12:07:31", 62), ("12:07:41", 68)]
    assert meter.number(1, "0.0.97.98.1") == 1 << 12 | 1 << 1  # power up


def test_the_limits_of_wiring_are_live(polyphase):
    meter = Full(polyphase, [(100, 300, P2, 9000)])
    meter.run(200)
    assert meter.codes(DISCONNECT) == []
    meter.set_number("1.0.11.35.0", 30000)
    meter.set_number("1.0.11.44.0", 3)
    meter.run(20, "tick")
    assert meter.codes(DISCONNECT) == [("12:08:24", 72)]


def test_a_week_of_bad_voltage(polyphase):
    meter = Full(polyphase, [(0, 60 * 600, L2, 2000)])
    meter.run(604800 - 3600, "ahead")
    assert meter.number(1, "1.0.52.36.128") == 0
    meter.run(7200, "ahead")
    assert [meter.number(1, "1.0.%d.36.128" % c) for c in (32, 52, 72)] == [0, 1, 0]
    assert [code for _, code in meter.log(QUALITY)].count(93) == 1
    assert meter.number(1, "0.0.97.98.1") & 7 << 14 == 1 << 15


def test_quiet_minutes_are_skipped_and_nothing_is_missed(polyphase):
    """A day of an ordinary house; and limits so narrow that any minute may cross them."""
    meter = Full(polyphase)
    ahead = Ahead(meter.program)
    ahead.step(86400)
    assert ahead.skipped > 1200
    for name, value, octets in (("1.0.12.31.0", 2250, 2), ("1.0.11.35.0", 5000, 4),
                                ("1.0.12.35.128", 10, 4), ("1.0.2.35.0", 1000, 4)):  # fmt: skip
        meter = Full(polyphase)
        meter.set_number(name, value, octets)
        ahead = Ahead(meter.program)
        ahead.step(7200)
        assert ahead.skipped == 0


# --- States, and definitions that have less ---------------------------------------------------

IDLE, WAITS, LASTS = range(3)
# State; is it so; is its threshold reached -> state, has it begun, has it ended: the docstring's.
TABLE = [
    (IDLE, False, False, IDLE, 0, 0),
    (IDLE, False, True, IDLE, 0, 0),
    (IDLE, True, False, WAITS, 0, 0),
    (IDLE, True, True, LASTS, 1, 0),
    (WAITS, False, False, IDLE, 0, 0),
    (WAITS, False, True, IDLE, 1, 1),
    (WAITS, True, False, WAITS, 0, 0),
    (WAITS, True, True, LASTS, 1, 0),
    (LASTS, False, False, IDLE, 0, 1),
    (LASTS, False, True, IDLE, 0, 1),
    (LASTS, True, False, LASTS, 0, 0),
    (LASTS, True, True, LASTS, 0, 0),
]


class Heard:
    phases = 7

    def __init__(self):
        self.codes = []

    def later(self, code):
        self.codes.append(code)


@pytest.mark.parametrize("state, is_so, reached, then, begun, ended", TABLE)
def test_states(state, is_so, reached, then, begun, ended):
    model = types.SimpleNamespace(edits=0)
    e = Episodes(model, Heard())
    e.lines.append(2)
    e.codes.extend(bytes((1, 2, 0)))
    e.limits.append(0xFFFF)
    e.start()
    e._edits = 0
    e._least[0] = (0 if state == IDLE else 10) if reached else 11
    e._states[0] = state
    e._elapsed[0] = 5
    e.running = state != IDLE
    e.look([2300, 2300, 2000], 4 if is_so else 0, 5)
    assert e._states[0] == then
    assert e.events.codes == [1] * begun + [2] * ended
    assert e.changed == (state != then)
    assert e.running == (then != IDLE)


def test_a_meter_with_nothing_of_it_does_not_load_it(polyphase):
    model = Model(define(CLOCK))
    model.handler("clock").set_utc(13675680, 0)
    model.start()
    assert Program(model, Constant()).episodes is None


def data(data_type, source, more=""):
    return '{class = 1, obis = "1.0.0.0.%d", data_type = "%s", source = "%s"%s},' % (
        len(source), data_type, source, more)  # fmt: skip


def kept(n):
    return data("octet-string", "kept.episodes", ', value = "", capacity = {value = %d}' % n)


SAGS = data("unsigned", "sag.count_l1")


@pytest.mark.parametrize(
    "more, said",
    [
        (data("unsigned", "sag.count_l4"), "no such source"),
        (data("unsigned", "sag.often_l1"), "no such source"),
        (data("unsigned", "kept.all"), "no such source"),
        (data("octet-string[4]", "outage.time_l1"), "needs an octet-string of 12 octets"),
        (SAGS + kept(3), "needs an octet-string of 4 octets"),
    ],
)
def test_a_source_that_does_not_fit_is_said(more, said):
    model = Model(define(CLOCK + more))
    model.handler("clock").set_utc(13675680, 0)
    model.start()
    with pytest.raises(ValueError, match=said):
        Program(model, Constant())


@pytest.mark.parametrize("more", ["", kept(4)])
def test_a_small_definition_counts_what_it_has(more):
    model = Model(define(CLOCK + SAGS + more))
    model.handler("clock").set_utc(13675680, 0)
    model.start()
    source = Constant()
    program = Program(model, source)
    for k in range(300):
        source.volts = 2000 if k & 1 else 2300
        program.tick(1000)
    row = model.find(0, bytes((0, 1, 1, 0, 0, 0, len("sag.count_l1"), 255)), 0)
    assert model.get_int(row, 2) == 150
