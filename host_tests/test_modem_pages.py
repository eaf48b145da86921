# SPDX-License-Identifier: MIT
"""lib/profiles/prime.md, g3.md and st7580.md: their clauses, their marks of certainty, and their
examples, which are what passes between a driver and its double; host_tests/doubles/page.py writes
these. And make demo, which shows the same. Of the other profiles' pages, clauses and marks.
"""

import json
import re
import subprocess
import sys

import pytest
from doubles import page


# Pages whose examples have tests of their own.
OTHERS = ("hdlc", "iec62056_21", "lon", "sfsk", "wrapper")


def text(profile):
    with open(page.path(profile)) as f:
        return f.read()


@pytest.mark.parametrize("profile", page.PROFILES)
def test_the_examples_are_up_to_date(profile):
    found = text(profile)
    assert page.made(profile, found) == found, "python3 host_tests/doubles/page.py writes it"


@pytest.mark.parametrize("profile", (*page.PROFILES, *OTHERS))
def test_the_clauses_are_those_of_62056_1_1(profile):
    clause = re.compile(r"^#+ (Annex [AB]|[0-9]+(?:\.[0-9]+)*) ", re.M)
    assert clause.findall(text(profile)) == clause.findall(text("wrapper"))


@pytest.mark.parametrize("profile", (*page.PROFILES, *OTHERS))
def test_every_clause_says_how_certain_it_is(profile):
    """From 4 to 8, where it says something: a, b or c in its heading."""
    found = text(profile)
    parts = re.split(r"^(#+ [0-9]+(?:\.[0-9]+)* .*)$", found, flags=re.M)[1:]
    for heading, body in zip(parts[::2], parts[1::2]):
        number = int(re.match(r"#+ (\d+)", heading)[1])
        if 4 <= number <= 8 and body.strip() not in ("", "None."):
            assert re.search(r"\([abc][:;)]", heading), heading


@pytest.mark.parametrize("profile", page.PROFILES)
def test_make_demo_shows_it(profile):
    done = subprocess.run(
        [sys.executable, "tools/demo.py", "--profile", profile, "--json"],
        capture_output=True, text=True, timeout=120, cwd=page.ROOT,
    )  # fmt: skip
    events = json.loads(done.stdout)
    assert "result" in events[-1], done.stderr
    assert {e["who"] for e in events if "who" in e} == {"meter", "modem"}
