# SPDX-License-Identifier: MIT
"""tools/bootstrap.py: what a program says that cannot have what it needs."""

import os
import subprocess
import sys

import bootstrap
import pytest

PROGRAM = """
import bootstrap
def environment(where, lists):
    raise %s
bootstrap.BUILD = %r
bootstrap.environment = environment
bootstrap.inside("run", "a_module_that_there_is_not")
"""


@pytest.mark.parametrize(
    "raised, code, said",
    [("bootstrap.Trouble('There is no network.')", 1, "There is no network.\n"),
     ("KeyboardInterrupt", 130, "")],
)  # fmt: skip
def test_a_program_without_its_packages(tmp_path, raised, code, said):
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM % (raised, str(tmp_path))],
        cwd=os.path.join(bootstrap.ROOT, "tools"), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stdout, done.stderr) == (code, "", said)


def test_packages_of_the_system_do_not_count(monkeypatch):
    """They are of any age: Debian 12 has a cryptography that does not read our PEM files."""
    monkeypatch.setattr(sys, "base_prefix", sys.prefix + "-system")
    assert bootstrap.have("json") and not bootstrap.have("json", "a_module_that_there_is_not")
    monkeypatch.setattr(sys, "base_prefix", sys.prefix)
    assert not bootstrap.have("json")
