# SPDX-License-Identifier: MIT
"""The reference meter with a store that takes nothing any more, in each step of the day of
test_power_cuts.py, over each back end: it goes on, refuses what it cannot keep, notes it, and when
there is room again nothing is missing but what was refused, and rows of that time."""

import pytest
import test_counters
import test_program
from back_ends import BACK_ENDS
from test_power_cuts import ALL, DAY, START, Life, Memory, end_billing, goes_on

residential = test_program.residential  # fixtures
small_portions = test_counters.small_portions
pytestmark = pytest.mark.usefixtures("small_portions")
ERRORS = 1 << 10  # non-volatile memory error, in the error register
# exception-response; SET: temporary-failure; methods: hardware-fault of the image.
REFUSALS = ("!D80101", "C5014102", "C701410200", "C701410100")
CASES = [
    (name, how) for name in BACK_ENDS if BACK_ENDS[name].keeps for how in BACK_ENDS[name].wears
]


class Watched(Life):
    """A life that remembers what its client has heard."""

    heard = ""

    def ask(self, text):
        self.heard = ""
        self.heard = Life.ask(self, text)
        return self.heard


def attempt(step, life):
    """Do a step; False: it was refused."""
    try:
        step(life)
    except AssertionError:
        assert life.heard in REFUSALS or step is DAY[-1], life.heard
        return False
    return True


def is_noted(life):
    return bool(life.number(1, "0000616100FF") & ERRORS)


def live_through(definition, name, how, k):
    """The day up to step k, that step in a store that takes nothing, and what is there after."""
    back_end = BACK_ENDS[name]()
    memory = Memory()
    life = Watched(definition, back_end, memory)
    for step in DAY[:k]:
        step(life)
    before = life.state()
    keys = list(memory.keys)
    back_end.wear(True, how)
    done = attempt(DAY[k], life)
    again = attempt(DAY[k], life) if DAY[k] is not end_billing else done
    program = life.meter.program
    program.step(3600)
    assert life.server.fault is None
    life.public.say("C00141 0008 0000010000FF 02 00")  # nobody: it answers
    kept = not program.unsaved and not life.meter.storage.failed
    assert is_noted(life) or kept
    back_end.wear(False, how)
    # It has been refused, not half done; and what has happened meanwhile is kept now.
    program.step(3600)
    assert not program.unsaved and not life.meter.model.full
    life.meter.model.handler("security_setup").tick(0)  # each minute: counters may be had again
    memory.keys = sorted({*keys, *memory.keys}, key=[*keys, *memory.keys].index)
    if life.client is not None:
        life.client.talk.channel.release()
        life.client = None
    found = life.state()
    if not done and not again:
        for what in ("message", "keys", "image"):
            assert found[what] == before[what], what
    for rows in ("load", "billing"):
        assert found[rows][: len(before[rows])] == before[rows]
    goes_on(life)
    last = life.state()
    assert program.power_down()
    life = Life(definition, back_end.again(), memory, START + 900)
    after = life.state()
    for what in ("keys", "message", "image", "energy", "periods"):
        assert after[what] == last[what], what
    if back_end.keeps_rows:
        assert (after["load"], after["billing"]) == (last["load"], last["billing"])
    return done, kept


@pytest.mark.parametrize("name, how", CASES)
def test_a_store_that_is_full_in_each_step_of_a_day(residential, capsys, name, how):
    steps = range(len(DAY)) if ALL else range(CASES.index((name, how)) % 3, len(DAY), 3)
    refused = kept = 0
    for k in steps:
        done, was_kept = live_through(residential, name, how, k)
        refused += not done
        kept += was_kept
    with capsys.disabled():
        print("\n%s, %s: %d steps of a day tried, %d refused, %d kept all the same"
              % (name, how, len(steps), refused, kept))  # fmt: skip


@pytest.mark.parametrize("name, how", CASES)
def test_it_starts_on_a_store_that_is_full(residential, name, how):
    back_end = BACK_ENDS[name]()
    memory = Memory()
    life = Life(residential, back_end, memory)
    for step in DAY[:10]:
        step(life)
    before = life.state()
    assert life.meter.program.power_down()
    back_end = back_end.again()
    back_end.wear(True, how)
    life = Life(residential, back_end, memory, START + 600)
    life.meter.program.step(3600)
    assert is_noted(life) and not life.meter.storage.damaged and life.server.fault is None
    back_end.wear(False, how)
    life.meter.program.step(3600)
    life.meter.model.handler("security_setup").tick(0)
    after = life.state()
    for what in ("keys", "message", "image", "periods"):
        assert after[what] == before[what], what
    if back_end.keeps_rows:
        assert after["load"][: len(before["load"])] == before["load"]
    goes_on(life)
