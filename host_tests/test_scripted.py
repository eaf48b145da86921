# SPDX-License-Identifier: MIT
"""firmware/meter/scripted.py and tools/scripts.py: what happens to the house by a script.

Expected: the energies of the same house without a script, and what the script adds or takes away,
to the watt-second; the forms and mistakes that the header of tools/scripts.py names.
"""

import os
import random
import subprocess
import sys

import pytest
from conftest import ROOT
from test_ahead import RUNTIMES, report
from test_household import ENERGIES, VALUES

from firmware.meter.household import Household
from firmware.meter.scripted import Scripted

try:
    import scripts
except ImportError:
    sys.path.insert(0, os.path.join(ROOT, "tools"))
    import scripts
from bootstrap import Trouble

MINUTE = 13675680 + 150 * 1440  # a day in summer
POLYPHASE = os.path.join(ROOT, "firmware", "definitions", "polyphase.toml")


def totals(house, seconds, steps):
    """Energies of so many seconds, taken in steps of these sizes, one after the other."""
    found = [0] * len(ENERGIES)
    done = 0
    k = 0
    house.begin(MINUTE, MINUTE + 120)
    while done < seconds:
        n = min(steps[k % len(steps)], 60 - done % 60, seconds - done)
        house.take(n)
        for j in range(len(ENERGIES)):
            found[j] += house.quanta[j]
        done += n
        k += 1
        if done % 60 == 0:
            house.begin(MINUTE + done // 60, MINUTE + 120 + done // 60)
    return dict(zip(ENERGIES, found))


def values(house, seconds):
    totals(house, seconds, [60])
    house.measure()
    return dict(zip(VALUES, house.values))


SCRIPT = [[5, 17, 0, 0], [30, 95, 3, 1000], [61, 62, 4, -2500], [100, 170, 5, 700],
          [110, 130, 9, 40], [150, 300, 2, 1900]]  # fmt: skip


@pytest.mark.parametrize("seed", [1, 7])
def test_energies_in_steps_of_any_size_are_the_same(seed):
    whole = totals(Scripted(seed, SCRIPT), 600, [60])
    r = random.Random(seed)
    for steps in ([1], [7], [r.randrange(1, 60) for _ in range(50)]):
        assert totals(Scripted(seed, SCRIPT), 600, steps) == whole


def test_without_a_script_it_is_the_household():
    assert totals(Scripted(7, []), 600, [60]) == totals(Household(7), 600, [60])


def test_what_is_taken_besides_is_counted_to_the_watt_second():
    was = totals(Household(7), 600, [60])
    now = totals(Scripted(7, [[100, 215, 3, 5000]]), 600, [60])
    l1 = ("a_plus_l1", "a_minus_l1")
    more = sum((now[n] - was[n]) * s for n, s in zip(l1, (1, -1)))
    # Of the house's own ripple at most some watts more or less.
    assert abs(more - 115 * 5000) < 115 * 30
    assert now["a_plus_l2"] == was["a_plus_l2"] and now["a_plus_l3"] == was["a_plus_l3"]


def test_a_phase_that_has_failed_takes_and_feeds_nothing():
    now = totals(Scripted(7, [[0, 600, 1, 0]]), 600, [60])
    assert now["a_plus_l2"] == now["a_minus_l2"] == 0 != now["a_plus_l1"] + now["a_minus_l1"]


def test_what_flows_past_the_disconnector():
    house = Scripted(7, [[0, 600, 9, 500], [0, 600, 3, 9000]])
    house.supply(False)
    now = totals(house, 600, [60])
    assert now["a_plus"] == now["a_plus_l1"] == 600 * 500


def test_values_are_those_of_the_script():
    was = values(Household(7), 60)
    sag = values(Scripted(7, [[60, 90, 1, 1801]]), 60)
    assert (sag["u_l1"], sag["u_l2"], sag["u_l3"]) == (was["u_l1"], 1801, was["u_l3"])
    assert abs(sag["i_l2"] - sag["s_l2"] * 10000 // 1801) <= 1
    gone = values(Scripted(7, [[60, 90, 2, 0]]), 60)
    assert gone["u_l3"] == gone["i_l3"] == gone["p_l3"] == gone["s_l3"] == 0
    turned = values(Scripted(7, [[60, 90, 7, 1]]), 60)
    assert [turned["angle_u_l%d" % k] for k in (1, 2, 3)] == [0, 2400, 1200]
    for k in (1, 2, 3):
        phi = (was["angle_i_l%d" % k] - was["angle_u_l%d" % k]) % 3600
        assert (turned["angle_i_l%d" % k] - turned["angle_u_l%d" % k]) % 3600 == phi
    adrift = values(Scripted(7, [[60, 90, 8, 600]]), 60)
    assert abs(adrift["u_l1"] - (was["u_l1"] - 600)) < 5
    assert adrift["u_l2"] > was["u_l2"] + 200 and adrift["u_l3"] > was["u_l3"] + 200
    assert values(Scripted(7, [[61, 90, 8, 600]]), 60) == was


def test_steady_says_when_the_next_thing_happens():
    house = Scripted(7, [[100, 130, 0, 0], [110, 400, 1, 0]])
    found = []
    house.begin(MINUTE, MINUTE + 120)
    for _ in range(3):
        n = house.steady()
        found.append(n)
        house.take(n)
    assert found == [100, 10, 20]
    assert house.bounds is None


# --- The file ---------------------------------------------------------------------------------


def read(tmp_path, text):
    path = tmp_path / "script"
    path.write_text(text)
    return scripts.read(str(path))


def test_every_form(tmp_path):
    text = """
# what       for
0:00:10  0:00:05   voltage l1 180.5   # a sag
1:00:00  0:01:00   voltage all 0
0:00:01  0:00:01   terminal_cover
2:00:00  0:00:30   power l2 -30000
3:00:00  0:05:00   reversed
4:00:00  0:05:00   neutral 60
100:00:00  0:05:00 bypass 500
"""
    assert read(tmp_path, text) == [
        [1, 2, 6, 1], [10, 15, 0, 1805], [3600, 3660, 0, 0], [3600, 3660, 1, 0],
        [3600, 3660, 2, 0], [7200, 7230, 4, -30000], [10800, 11100, 7, 1],
        [14400, 14700, 8, 600], [360000, 360300, 9, 500]]  # fmt: skip


def test_contacts_may_be_open_together(tmp_path):
    text = "0:00:10 0:00:50 meter_cover\n0:00:20 0:00:10 field\n0:00:30 0:01:00 terminal_cover\n"
    assert read(tmp_path, text) == [
        [10, 20, 6, 4], [20, 30, 6, 6], [30, 60, 6, 5], [60, 90, 6, 1]]  # fmt: skip


MISTAKES = [
    ("0:00:10 reversed", "expected a time, how long, and what"),
    ("0:10 0:00:10 reversed", "0:10 is no time"),
    ("0:00:60 0:00:10 reversed", "0:00:60 is no time"),
    ("0:00:10 0:00:00 reversed", "is no length of time"),
    ("999999:00:00 0:00:01 reversed", "is no length of time"),
    ("0:00:10 0:00:10 voltage l4 200", "l4 is no phase"),
    ("0:00:10 0:00:10 voltage l1 501", "501 is no voltage"),
    ("0:00:10 0:00:10 voltage l1 -1", "-1 is no voltage"),
    ("0:00:10 0:00:10 voltage l1 1.23", "1.23 is no voltage"),
    ("0:00:10 0:00:10 voltage l1", "voltage l1 is unknown"),
    ("0:00:10 0:00:10 power l1 100001", "100001 is no power"),
    ("0:00:10 0:00:10 bypass 0", "0 is no power"),
    ("0:00:10 0:00:10 neutral 0", "0 is no voltage"),
    ("0:00:10 0:00:10 earthquake", "earthquake is unknown"),
    ("0:00:10 0:00:10 reversed now", "reversed now is unknown"),
    ("0:00:10 0:00:10 power l1 1\n0:00:15 0:00:10 power all 2", "overlap at 15 s"),
]


@pytest.mark.parametrize("text, said", MISTAKES)
def test_mistakes_in_a_script(tmp_path, text, said):
    with pytest.raises(Trouble) as e:
        read(tmp_path, text)
    assert said in str(e.value)


def test_a_file_that_is_not_there_is_said(tmp_path):
    program = os.path.join(ROOT, "tools", "meter.py")
    out = subprocess.run(
        [sys.executable, program, "run", "--runtime", "cpython", "--script", "nowhere"],
        capture_output=True, text=True, timeout=60,
    )  # fmt: skip
    assert out.returncode == 1 and "The script nowhere cannot be read" in out.stderr
    assert "Traceback" not in out.stderr


def test_every_runtime_comes_to_the_same(micropython, tmp_path):
    """The full meter and a bad day: all files of the state are the same in every octet."""
    script = tmp_path / "script"
    script.write_text(
        "0:10:03 0:01:30 voltage l1 180\n0:20:00 0:10:11 voltage l2 0\n"
        "0:25:00 0:02:00 voltage l1 0\n0:40:00 0:00:30 terminal_cover\n"
        "0:45:00 0:00:30 power l3 30000\n0:50:00 0:01:00 reversed\n"
    )
    reports = []
    states = []
    for runtime in RUNTIMES:
        state = tmp_path / runtime
        reports.append(
            report("--runtime", runtime, "--definition", POLYPHASE, "--state", str(state),
                   "--script", str(script), "--start", "2028-02-28", "--until", "2028-02-28T02:00")
        )  # fmt: skip
        files = [path for path in state.rglob("*") if path.is_file() and "lock" not in path.name]
        states.append({path.name: path.read_bytes() for path in files})
    assert reports[0] == reports[1]
    assert [name for name in states[0] if states[0][name] != states[1].get(name)] == []
    assert reports[0]["profiles"]["1.0.99.97.0"]["entries_in_use"] == 1
    assert reports[0]["profiles"]["0.0.99.98.1"]["entries_in_use"] == 2
