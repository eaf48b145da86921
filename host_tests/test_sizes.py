# SPDX-License-Identifier: MIT
"""tools/sizes.py and tools/last_commit.py: figures, and what has changed since the last commit."""

import subprocess
import sys

import last_commit
import pytest
import sizes
from bootstrap import ROOT, Trouble


def git(folder, *args):
    who = ("-c", "user.name=Test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    r = subprocess.run(["git", "-C", folder, *who, *args], capture_output=True, text=True)
    assert r.returncode == 0, r.stderr
    return r.stdout.strip()


@pytest.fixture
def repository(tmp_path):
    git(tmp_path, "init", "-q")
    (tmp_path / "lib").mkdir()
    (tmp_path / "lib" / "a.py").write_text("A = 1\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-qm", "One")
    return tmp_path


# --- Which commit ---------------------------------------------------------------------------


def test_no_repository(tmp_path):
    with pytest.raises(Trouble, match="this is not a git repository"):
        last_commit.choose(str(tmp_path))


def test_a_folder_in_somebody_elses_repository(repository):
    with pytest.raises(Trouble, match="this is not a git repository"):
        last_commit.choose(str(repository / "lib"))


def test_something_has_changed(repository):
    (repository / "lib" / "a.py").write_text("A = 2\n")
    head = git(repository, "rev-parse", "HEAD")
    assert last_commit.choose(str(repository)) == (head, "the last commit (%s)" % head[:7])


def test_nothing_has_changed(repository):
    with pytest.raises(Trouble, match="there is none before it"):
        last_commit.choose(str(repository))
    first = git(repository, "rev-parse", "HEAD")
    (repository / "lib" / "a.py").write_text("A = 2\n")
    git(repository, "commit", "-qam", "Two")
    (repository / "README.md").write_text("What is no code changes no figure.\n")
    before = (first, "the commit before the last one (%s)" % first[:7])
    assert last_commit.choose(str(repository)) == before


# --- Tables ---------------------------------------------------------------------------------


def result(*modules):
    return {
        "definition_mpy": 100,
        "modules": [{"module": m, "mpy": mpy, "ram": ram} for m, mpy, ram in modules],
        "running": {
            "tables": 1, "meter": 2, "links": 3, "later": 4, "total": 10, "budget": 20,
        },
        "heap_in_use": 30,
    }  # fmt: skip


def words(text):
    """The lines of a table by their first word."""
    return {line.split()[0]: line.split()[1:] for line in text.splitlines() if line.strip()}


def test_what_has_changed_stands_behind_each_figure():
    before = result(("kept", 100, 200), ("grown", 100, 200), ("gone", 50, 60), ("idle", 7, None))
    now = result(("kept", 100, 200), ("grown", 110, 180), ("fresh", 30, 40), ("idle", 9, None))
    rows = words(sizes.table(now, before))
    assert rows["kept"] == ["100", "200"]
    assert rows["grown"] == ["110", "+10", "180", "-20"]
    assert rows["fresh"] == ["30", "+30", "40", "+40"]
    assert rows["gone"] == ["0", "-50", "0", "-60"]
    assert rows["idle"] == ["9", "+2", "-"]
    assert rows["all"] == ["that", "this", "meter", "loads", "240", "-10", "420", "-40"]


def test_without_a_last_commit_there_are_figures_only():
    rows = words(sizes.table(result(("one", 100, 200)), {}))
    assert rows["one"] == ["100", "200"]


def test_the_chip():
    step = sizes.CHIP_STEPS[0][0]
    now = {"imports": [["one", 80], ["two", 16]], "steps": {step: 500}, "base": 256, "held": 900}
    before = {"imports": [["one", 96], ["old", 8]], "steps": {step: 510}, "base": 256, "held": 800}
    rows = words(sizes.chip_table(now, before))
    assert rows["one"] == ["80", "-16"]
    assert rows["two"] == ["16", "+16"]
    assert rows["old"] == ["0", "-8"]
    assert rows["2"] == ["modules", "96", "-8"]
    assert rows["the"][-2:] == ["500", "-10"]
    assert rows["heap"][-2:] == ["900", "+100"]


# --- As a person uses it --------------------------------------------------------------------


def test_run(micropython):
    r = subprocess.run(
        [sys.executable, "tools/sizes.py"], cwd=ROOT, capture_output=True, text=True, timeout=300
    )
    assert r.returncode == 0, r.stderr
    assert "all that this meter loads" in r.stdout
    last = r.stdout.splitlines()[-1]
    assert last.startswith(
        ("Changes since the ", "There is no last commit", "Nothing has changed")
    )
