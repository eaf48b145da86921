# SPDX-License-Identifier: MIT
"""Paths for all tests: lib/, the root, tools/, and on CPython a module micropython."""

import os
import shutil
import sys

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

for _path in ("tools", "firmware/ports/shim", "", "lib"):
    sys.path.insert(0, os.path.join(ROOT, _path) if _path else ROOT)


@pytest.fixture(scope="session")
def micropython():
    """Path of a MicroPython for the same tests on another runtime."""
    found = os.environ.get("PICOMETER_MICROPYTHON") or os.path.join(
        ROOT, "build", "micropython", "micropython"
    )
    if not os.path.exists(found):
        found = shutil.which("micropython")
    if not found:
        pytest.skip("no MicroPython here: make test gets one, or install micropython >= 1.25")
    return found
