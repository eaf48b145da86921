# SPDX-License-Identifier: MIT
"""Paths for all tests: lib/, the root, tools/, and on CPython a module micropython.

The MicroPython that tests run programs on is the one of make test, or what MICROPYTHON names in
the environment.
"""

import glob
import os
import pty
import shutil
import sys
import tty

import pytest

ROOT = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))

for _path in ("tools", "firmware/ports/shim", "", "lib"):
    sys.path.insert(0, os.path.join(ROOT, _path) if _path else ROOT)

import bootstrap
import apt_packages

pytest.register_assert_rewrite("peer_sessions", "updates")

# Files that take minutes: where several processes share the files, these have to be begun first.
_LONG = (
    "test_rp2040.py", "test_counters.py", "test_update_running.py", "test_cortex_m3.py",
    "test_update_chip.py",
)  # fmt: skip

# Programs that do not flush what they say are to be found on any machine.
os.environ.pop("PYTHONUNBUFFERED", None)

if not os.environ.get("MICROPYTHON"):
    _found = bootstrap.micropython()
    if _found:
        os.environ["MICROPYTHON"] = _found[0]


def pytest_collection_modifyitems(items):
    items.sort(key=lambda item: item.path.name not in _LONG)


@pytest.fixture(scope="session")
def micropython():
    """Path of a MicroPython for the same tests on another runtime."""
    found = os.environ.get("MICROPYTHON")
    if not found:
        what = "no MicroPython here: make test gets one, or install micropython >= 1.25"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
    return found


@pytest.fixture(scope="session")
def tshark():
    """Wireshark's terminal program."""
    try:
        apt_packages.install({"tshark": "tshark"})
    except bootstrap.Trouble as e:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(e))
    return shutil.which("tshark")


@pytest.fixture(scope="session")
def stubs():
    """Folder of CircuitPython's stubs, in an environment of their own."""
    environment = os.path.join(bootstrap.BUILD, "circuitpython")
    try:
        with bootstrap.lock():
            bootstrap.environment(environment, ["host_tests/requirements_circuitpython.txt"])
    except bootstrap.Trouble as e:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(str(e))
    return glob.glob(os.path.join(environment, "lib", "python3*", "site-packages"))[0]


@pytest.fixture
def serial_line():
    """One end, and the path of a serial port that is the other."""
    master, slave = pty.openpty()
    tty.setraw(slave)
    yield master, os.ttyname(slave)
    os.close(master)
    os.close(slave)
