# SPDX-License-Identifier: MIT
"""The table of conversations that make demo PROFILE=... shows, and what Show makes of one."""

import importlib
import json

import pytest
from demos import PROFILES, Show


@pytest.mark.parametrize("name", sorted(PROFILES) or [None])
def test_each_profile_has_a_module(name):
    if name is not None:
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
