# SPDX-License-Identifier: MIT
"""vectors/crypto.jsonl, and running device/crypto_cases.py over it on MicroPython."""

import json
import os
import subprocess
from pathlib import Path

ROOT = Path(__file__).parent.parent
_LINES = (ROOT / "host_tests/vectors/crypto.jsonl").read_text().splitlines()
VECTORS = [json.loads(line) for line in _LINES]
PATIENCE_S = 120


def of(*kinds):
    """The vectors of some kinds; there are some of each."""
    found = [v for v in VECTORS if v["kind"] in kinds]
    assert {v["kind"] for v in found} == set(kinds)
    return found


def name(v):
    return v["id"]


def as_input(vectors):
    return "".join(json.dumps(v) + "\n" for v in vectors) + "end\n"


def all_ok(vectors):
    """What crypto_cases.py says if nothing is wrong."""
    return ["ok " + v["id"] for v in vectors]


def run(micropython, *args, **kwargs):
    r = subprocess.run(
        [micropython, str(ROOT / "host_tests/device" / args[0]), *args[1:]],
        env={**os.environ, "MICROPYPATH": "%s:%s" % (ROOT / "lib", ROOT)},
        capture_output=True, text=True, timeout=PATIENCE_S, **kwargs,
    )  # fmt: skip
    assert r.returncode == 0, r.stdout + r.stderr
    return r.stdout.splitlines()


def on_micropython(micropython, form, vectors):
    """The lines that crypto_cases.py says there."""
    return run(micropython, "crypto_cases.py", form, input=as_input(vectors))
