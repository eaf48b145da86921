# SPDX-License-Identifier: MIT
"""The conversations of conversations/ with the reference meter, on each runtime over each link.

On MicroPython the heap is locked while the meter serves (device/converse.py): the request path
allocates nothing, or these fail.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parent.parent
FILES = sorted((ROOT / "host_tests/conversations").glob("*.txt"))
PLAYER = ROOT / "host_tests/device/converse.py"


@pytest.fixture(scope="module")
def definition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("definition")
    subprocess.run(
        [
            sys.executable,
            ROOT / "tools/tables.py",
            ROOT / "firmware/definitions/residential.toml",
            "-o",
            folder / "definition.py",
        ],
        check=True,
        capture_output=True,
    )
    return folder


def play(command, path, definition, link, state):
    done = subprocess.run(
        command + [str(PLAYER), str(definition), link, state] + [str(f) for f in FILES],
        env=dict(os.environ, **path),
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.stderr == ""
    assert [line for line in done.stdout.splitlines() if not line.startswith("ok ")] == []
    # Nothing was passed over: a line and at least one exchange a file.
    lines = [line.split() for line in done.stdout.splitlines()]
    assert [line[1] for line in lines] == [str(f) for f in FILES]
    assert done.returncode == 0


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_on_cpython(definition, link):
    path = ":".join(str(ROOT / p) for p in ("lib", "", "firmware/ports/shim"))
    play([sys.executable], {"PYTHONPATH": path}, definition, link, "-")


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
@pytest.mark.parametrize("storage", ["ram", "files"])
def test_on_micropython_with_the_heap_locked(definition, micropython, tmp_path, link, storage):
    path = ":".join(str(ROOT / p) for p in ("lib", ""))
    state = "-" if storage == "ram" else str(tmp_path / "state")
    play([micropython, "-X", "heapsize=1M"], {"MICROPYPATH": path}, definition, link, state)


def test_player_finds_a_fault(definition, tmp_path):
    """The player itself: a reply that is not as wanted is reported, and fails."""
    wrong = tmp_path / "wrong.txt"
    wrong.write_text("as 16 1\n> C0 01 C1 00 01 00 00 2A 00 00 FF 02 00\n< C4 01\n")
    path = ":".join(str(ROOT / p) for p in ("lib", "", "firmware/ports/shim"))
    done = subprocess.run(
        [sys.executable, str(PLAYER), str(definition), "wrapper", "-", str(wrong)],
        env=dict(os.environ, PYTHONPATH=path),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 1
    assert "wanted C4 01" in done.stdout and "got D8 01 01" in done.stdout
