# SPDX-License-Identifier: MIT
"""tools/soak.py: some hours of a meter's life on all profiles, and that it finds what is wrong:
energy that is lost, what is left on the heap, rows and associations that should not be there.

Millions of requests, and a month: make soak.
"""

import json
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, os.path.join(ROOT, "tools"))

import soak
import soaking

CLIENTS = {str(sap) for sap in (1, 2, 3, 4, 5, 6, 7, 8, 16)}  # all of the reference meter
LINKS = ("tcp", "udp", "hdlc", "sfsk", "prime", "g3", "lon", "optical")


def run(*args, **environment):
    return subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools", "soak.py"), *args],
        capture_output=True, text=True, timeout=300, env={**os.environ, **environment},
    )  # fmt: skip


def test_some_hours_on_all_profiles():
    got = run("--requests", "3000", "--days", "0.5", "--json")
    assert got.returncode == 0, got.stdout + got.stderr
    (figures,) = json.loads(got.stdout)
    assert figures["wrong"] is None and set(figures["by_link"]) == set(LINKS)
    assert all(n > 10 for n in figures["by_link"].values())
    assert set(figures["by_client"]) == CLIENTS
    assert all(n > 10 for n in figures["by_client"].values())
    last = figures["looks"][-1]
    assert last["days"] == 0.5 and last["requests"] >= 3000 and 48 <= last["rows"] <= 49
    assert last["energy_wh"] > 0 and last["invocation_counter"] > 0


def test_on_micropython(micropython):
    got = run(
        "--requests", "1500", "--days", "0.5", "--runtime", "micropython", "--json",
        MICROPYTHON=micropython,
    )  # fmt: skip
    assert got.returncode == 0, got.stdout + got.stderr
    (figures,) = json.loads(got.stdout)
    last = figures["looks"][-1]
    assert last["requests"] >= 1500 and last["played"] == last["ws"] > 0 and last["open"] == 0
    assert last["heap"] == figures["looks"][4]["heap"]


# --- What it finds ------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def world(tmp_path_factory):
    world = soaking.World(str(tmp_path_factory.mktemp("state")), plc=False)
    for _ in range(6):
        world.session("tcp", 5)
    world.passes(3600)
    world.check()
    return world


def test_energy_that_is_lost(world):
    world.played += 1
    with pytest.raises(soaking.Wrong, match="were played"):
        world.check()
    world.played -= 1


def test_a_row_too_few(world):
    world.seconds += 1800
    with pytest.raises(soaking.Wrong, match="load profile 1 has 4|load profile 1 has 5"):
        world.check()
    world.seconds -= 1800


@pytest.mark.parametrize("name", ["energy.a_plus", "invocation counter of client 7",
                                  "invocation counter of the meter"])  # fmt: skip
def test_a_counter_that_goes_back(name, world):
    name = next(n for n in world.last if n.startswith(name))
    was = world.last[name]
    world.last[name] = was + (1 << 20)
    with pytest.raises(soaking.Wrong, match=name + " has gone back"):
        world.check()
    world.last[name] = was


def test_a_state_that_a_power_failure_would_take_back(world, tmp_path):
    """The files are those of an hour ago."""
    folder, world.folder = world.folder, str(tmp_path / "old")
    shutil.copytree(folder, world.folder)
    world.passes(3600)
    with pytest.raises(soaking.Wrong, match="a restart finds [0-9]+ rows of"):
        world.check()
    world.folder = folder
    world.check()


def test_a_counter_that_would_come_again(world, monkeypatch):
    found = world.counter
    monkeypatch.setattr(world, "counter", lambda m: found(m) + (m is world.model) * (1 << 16))
    with pytest.raises(soaking.Wrong, match="a restart finds invocation counter of the meter"):
        world.check()


def test_a_state_that_grows(world):
    path = os.path.join(world.folder, "more")
    with open(path, "wb") as f:
        f.write(bytes(world.most_stored()))
    with pytest.raises(soaking.Wrong, match="the state has"):
        world.check()
    os.remove(path)


def test_a_value_that_is_none(world):
    model = world.model
    at, source = model.slot(world.row, 2), model.image
    was, source[at] = source[at], 0x55
    with pytest.raises(AssertionError, match="no value of its type"):
        soaking.oracles.consistent(model)
    source[at] = was


def test_an_association_that_is_left(world):
    link = world.links["hdlc"]
    assert world.clients[1].open(link)
    channels = link.channels
    link.channels = list
    with pytest.raises(soaking.Wrong, match=r"clients \[2\]"):
        world.end()
    link.channels = channels
    link.cut()


LOOKS = [{"heap": 1000, "files": 3}] * 30


def test_what_grows():
    assert soak.grown(LOOKS, "heap", 100) is None
    rising = [{"heap": 1000 + 10 * k} for k in range(30)]
    assert soak.grown(rising, "heap", 100) == "heap: 1040 at first, 1280 at the end"
    assert soak.grown(rising, "heap", 300) is None
    steps = [{"heap": 1000 if k < 3 else 5000} for k in range(30)]  # at the beginning
    assert soak.grown(steps, "heap", 100) is None


@pytest.mark.parametrize("args", [("--requests", "0"), ("--days", "0"), ("--seconds", "-1")])
def test_what_makes_no_sense(args):
    got = run(*args)
    assert got.returncode == 1 and "more than 0" in got.stderr and "Traceback" not in got.stderr
