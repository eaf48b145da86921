# SPDX-License-Identifier: MIT
"""tools/fuzz.py and its targets: the kept corpus plays through each of them, a few inputs more are
made by chance, and what is wrong is found, made small, written and played again.

Guided by coverage and for as long as wanted: make fuzz.
"""

import json
import os
import random
import subprocess
import sys

import pytest
from conftest import ROOT

sys.path.insert(0, os.path.join(ROOT, "tools"))

import fuzzing
from fuzzing import engine
from fuzzing.octets import Octets
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

SLOW = ("store_flash", "store_files")  # a start of a meter each
FEW, MANY = 8, 80


@pytest.mark.parametrize("name", fuzzing.TARGETS)
def test_the_kept_corpus_and_some_by_chance(name):
    player = engine.Player(name)
    known = [*engine.corpus(name), *player.one.seeds]
    assert known
    few = name in SLOW
    for octets in known[:FEW] if few else known:
        player.play(octets)
    r = random.Random(name)
    for _ in range(FEW if few else MANY):
        made = bytearray(r.choice(known))
        for _ in range(r.choice((1, 2, 8))):
            at = r.randint(0, len(made))
            made[at : at + r.randrange(2)] = r.randbytes(r.randrange(3))
        player.play(bytes(made))


@pytest.mark.parametrize("name", ["axdr", "acse", "hdlc", "wrapper_udp", "apdu", "g3"])
def test_anything(name):
    player = engine.Player(name)

    @settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck))
    @given(st.binary(max_size=fuzzing.TARGETS[name][1]))
    def plays(octets):
        player.play(octets)

    plays()


def test_the_corpus_is_of_targets_that_there_are():
    names = {name for name in os.listdir(fuzzing.CORPUS) if name != "README.md"}
    assert names <= set(fuzzing.TARGETS)
    for name in names:
        assert all(len(octets) <= 2000 for octets in engine.corpus(name))


def test_what_is_kept_reaches_something_new():
    short, same, longer = b"\x06\x09\x01A", b"\x06\x09\x01B", b"\x06\x01\x01\x01\x02\x00"
    kept = engine.fewest("axdr", [longer, same, short], 100)
    assert kept == [short, longer]
    assert engine.fewest("axdr", [longer, same, short], 4) == [short]


# --- Findings -------------------------------------------------------------------------------


class Broken:
    """It counts the inputs that begin with 01, and fails at the second of them that has 02."""

    seeds = []

    def __init__(self):
        self.n = 0

    def __call__(self, octets):
        o = Octets(octets)
        if o.u8() == 1:
            self.n += 1
        if self.n > 1 and 2 in octets:
            raise ValueError("two")
        while 0xEE in octets:
            pass  # hangs
        if 0xDD in octets:
            kept.append([0] * 50000)


kept = []


@pytest.fixture
def broken(monkeypatch):
    monkeypatch.setitem(fuzzing.TARGETS, "broken", ("", 100, 1000, "a broken one"))
    monkeypatch.setattr(fuzzing, "maker", lambda name: Broken)
    monkeypatch.setattr(engine, "HANG_S", 0.2)


INPUTS = [b"\0\7\7", b"\1\7\7\7", b"\3" * 40, b"\1\4\2\4", b"\5"]


def test_a_finding_is_made_small_and_found_again(broken, tmp_path):
    e = engine.replay("broken", INPUTS)
    assert isinstance(e, ValueError)
    path = engine.found("broken", INPUTS[:4], e, str(tmp_path))
    assert engine.read(path) == [b"\1", b"\1\2"]
    text = open(path).read()
    assert "# target: broken" in text and "tools/fuzz.py replay" in text
    assert engine.outcome(engine.replay("broken", engine.read(path))) == engine.outcome(e)


def test_what_is_right_is_no_finding(broken):
    assert engine.replay("broken", INPUTS[:3]) is None


def test_a_hang_is_a_finding(broken):
    assert isinstance(engine.replay("broken", [b"\0", b"\xee"]), engine.Hang)


def test_growth_is_a_finding(broken, monkeypatch):
    monkeypatch.setattr(engine, "CHECK_EVERY", 1)
    player = engine.Player("broken")
    for _ in range(3 * engine.N_CHECKS):
        player.weigh()
    with pytest.raises(engine.Growth):
        for _ in range(3 * engine.N_CHECKS):
            kept.append([object() for _ in range(2000)])
            player.weigh()
    kept.clear()


# --- The command ----------------------------------------------------------------------------


def fuzz(*args, timeout=120):
    return subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools", "fuzz.py"), *args],
        capture_output=True, text=True, timeout=timeout,
    )  # fmt: skip


def test_a_second_of_it_by_chance():
    got = fuzz(
        "--seconds", "1", "--target", "mbus_records", "--by-chance", "--json", "--seed", "1"
    )
    assert got.returncode == 0, got.stderr
    said = json.loads(got.stdout)
    assert said["findings"] == 0 and said["inputs"] > 100
    assert said["targets"][0]["guided"] is False


def test_a_second_of_it_guided_where_atheris_is():
    pytest.importorskip("atheris", reason="atheris is not installed (make fuzz does that)")
    got = fuzz("--seconds", "1", "--target", "sntp", "--json")
    assert got.returncode == 0, got.stderr
    row = json.loads(got.stdout)["targets"][0]
    assert row["guided"] and row["coverage"] > 0 and row["inputs"] > 100


@pytest.mark.parametrize(
    "args, words",
    [
        (("--target", "nonsense"), "There is no target nonsense"),
        (("--seconds", "0"), "--seconds"),
        (("replay", "/nonexistent"), "cannot be read"),
        (("replay", __file__), "does not say of which target"),
    ],
)
def test_what_it_cannot_do_it_says(args, words):
    got = fuzz(*args)
    assert got.returncode == 1 and words in got.stderr and "Traceback" not in got.stderr


def test_a_file_of_the_corpus_is_played_again(tmp_path):
    path = tmp_path / "axdr.txt"
    path.write_text("# target: axdr\n06 090141\n-\n")
    got = fuzz("replay", str(path))
    assert got.returncode == 0 and got.stdout == "axdr: 2 inputs, nothing wrong.\n"
    path.write_text("# target: axdr\nxyz\n")
    got = fuzz("replay", str(path))
    assert got.returncode == 1 and "hexadecimal" in got.stderr
