# SPDX-License-Identifier: MIT
"""The table of conversations that make demo PROFILE=... shows, and what Show makes of one."""

import importlib
import json
import os
import subprocess
import sys

import pytest
from bootstrap import ROOT
from demos import PROFILES, Show


@pytest.mark.parametrize("name", sorted(PROFILES))
def test_each_profile_has_a_module(name):
    assert callable(importlib.import_module("demos." + name).run)


def conversation(show):
    show.step("A client asks")
    show.says("client", b"/?!\r\n", "request", "no address")
    show.result("It was heard.")
    show.end()


def test_a_conversation_as_text(capsys):
    conversation(Show())
    assert capsys.readouterr().out == (
        "\nA client asks\n-------------\n"
        "  client   2F 3F 21 0D 0A\n"
        "             request\n"
        "             no address\n"
        "\nIt was heard.\n"
    )


def test_a_conversation_as_json(capsys):
    conversation(Show(True))
    assert json.loads(capsys.readouterr().out) == [
        {"step": "A client asks"},
        {"who": "client", "hex": "2f3f210d0a", "lines": ["request", "no address"]},
        {"result": "It was heard."},
    ]


def test_the_optical_port():
    """The only one that runs a meter: what its client says is heard, and the energies agree."""
    r = subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools/demo.py"), "--profile", "optical",
         "--runtime", "cpython", "--json"],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert r.returncode == 0, r.stderr
    events = json.loads(r.stdout)
    said = [bytes.fromhex(e["hex"]) for e in events if e.get("who") == "meter"]
    assert said[0] == b"/PMT5\\2PICOMETER\r\n"
    assert said[1].startswith(b"\x02C.1.0(1000000000001)\r\n") and b"\r\n1.8.0(" in said[1]
    assert events[-1]["result"].startswith("Active energy import was ")


def demo(*args):
    return subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools/demo.py"), *args],
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_iso_iec_14908():
    """The others: test_sfsk_page.py, test_modem_pages.py."""
    r = demo("--profile", "lon", "--json")
    assert r.returncode == 0, r.stderr
    events = json.loads(r.stdout)
    assert {e["who"] for e in events if "who" in e} == {"conc.", "meter"}
    assert events[-1]["result"].startswith("The meter has counted 123456 Wh.")


def test_a_profile_that_there_is_not():
    r = demo("--profile", "smoke")
    assert r.returncode == 2
    assert all("'%s'" % name in r.stderr for name in PROFILES)
