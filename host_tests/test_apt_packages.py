# SPDX-License-Identifier: MIT
"""tools/apt_packages.py, on a machine on which nothing is installed by it."""

import fcntl
import os

import bootstrap
import apt_packages
import pytest
from bootstrap import Trouble


def test_what_is_missing_is_said(monkeypatch):
    """With the command that gets it."""
    monkeypatch.setattr(apt_packages, "administrator", lambda: None)
    with pytest.raises(Trouble, match="apt install a-package another"):
        apt_packages.install({"no-such-program-here": "a-package another"})


def test_packages_are_installed_by_one_at_a_time(monkeypatch):
    """Files of tests run side by side, and dpkg refuses whoever comes second."""
    asked = []

    def command(args, why):
        asked.append(args[-2:])
        with open(os.path.join(bootstrap.BUILD, ".lock-packages")) as f, pytest.raises(OSError):
            fcntl.flock(f, fcntl.LOCK_EX | fcntl.LOCK_NB)

    monkeypatch.setattr(apt_packages, "administrator", lambda: [])
    monkeypatch.setattr(apt_packages, "command", command)
    with pytest.raises(Trouble, match="apt install a-package another"):
        apt_packages.install({"no-such-program-here": "a-package another"})
    assert asked == [["a-package", "another"]]
