# SPDX-License-Identifier: MIT
"""tools/compile.py: a definition is made anew when what it is made from has changed."""

import os

import compile as compiling
import pytest
from small import HERE


@pytest.fixture
def made(monkeypatch, tmp_path):
    """Folder of the module of a definition in tmp_path."""
    monkeypatch.setattr(compiling, "DEFINITIONS", str(tmp_path / "build"))
    path = tmp_path / "small.toml"
    path.write_bytes((HERE / "definitions/small.toml").read_bytes())
    return lambda: compiling.definition(str(path))


def test_the_same_is_made_once(made, tmp_path):
    folder = made()
    module = os.path.join(folder, "definition.py")
    before = os.stat(module).st_mtime_ns
    assert made() == folder and os.stat(module).st_mtime_ns == before


@pytest.mark.parametrize("name", ["a.pem", "certificates/a.pem"])
def test_a_certificate_that_has_changed(made, tmp_path, name):
    path = tmp_path / name
    path.parent.mkdir(exist_ok=True)
    path.write_text("one")
    first = made()
    path.write_text("two")
    assert made() != first
    path.write_text("one")
    assert made() == first


def test_a_definition_that_has_changed(made, tmp_path):
    first = made()
    with open(tmp_path / "small.toml", "a") as f:
        f.write("# changed\n")
    assert made() != first
