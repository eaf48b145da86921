# SPDX-License-Identifier: MIT
"""package.json and the manifests of lib/: they say what is there, and mip installs it."""

import json
import os
import subprocess
import sys

import bootstrap
import package
import pytest
from fake_port import FakeBoard

ROOT = package.ROOT


def test_they_are_up_to_date():
    assert package.stale() == []


def test_a_file_that_is_not_up_to_date_is_named(tmp_path):
    (tmp_path / "package.json").write_text("{}")
    assert "package.json" in package.stale(str(tmp_path))
    assert "lib/dlms/manifest.py" in package.stale(str(tmp_path))


def test_every_module_of_lib_is_installed_where_it_is_imported_from():
    with open(os.path.join(ROOT, "package.json")) as f:
        urls = json.load(f)["urls"]
    targets = {target for target, _source in urls}
    assert {"dlms/server.py", "cosem/model.py", "profiles/hdlc.py"} <= targets
    assert len(targets) == len(urls)
    for target, source in urls:
        assert source == "lib/" + target
        assert os.path.isfile(os.path.join(ROOT, source))
    assert not any("manifest" in target for target in targets)


def test_a_manifest_brings_what_its_package_imports():
    """The words that MicroPython's manifests know, with their meaning as far as it matters."""
    frozen = set()

    def execute(path):
        where = os.path.dirname(path)

        def require(name, library):
            assert library == "picometer"
            execute(os.path.join(ROOT, "lib", name, "manifest.py"))

        def freeze(name, files, base_path, opt):
            for file in files:
                full = os.path.normpath(os.path.join(where, base_path, name, file))
                assert os.path.isfile(full)
                frozen.add(os.path.relpath(full, ROOT))

        known = {
            "metadata": lambda **kwargs: None,
            "add_library": lambda name, place: None,
            "require": require,
            "package": freeze,
        }
        with open(path) as f:
            exec(f.read(), known)

    execute(os.path.join(ROOT, "lib", "cosem", "manifest.py"))
    assert {"lib/cosem/model.py", "lib/dlms/server.py"} <= frozen
    execute(os.path.join(ROOT, "lib", "profiles", "manifest.py"))
    assert "lib/profiles/hdlc.py" in frozen


def test_mip_installs_it(micropython, tmp_path):
    """mpremote's own mip reads package.json, from this checkout, and writes to a board."""
    python = os.path.join(bootstrap.VENV, "bin", "python")
    if subprocess.run([python, "-c", "import mpremote"], capture_output=True).returncode:
        pytest.skip("mpremote is not installed: make test gets it")
    # All of it takes long; what is installed is in package.json, and how is the same for each.
    with open(os.path.join(ROOT, "package.json")) as f:
        whole = json.load(f)
    few = [u for u in whole["urls"] if u[0] in ("dlms/__init__.py", "dlms/ber.py")]
    for _target, source in few:
        os.makedirs(tmp_path / os.path.dirname(source), exist_ok=True)
        with open(os.path.join(ROOT, source)) as f:
            (tmp_path / source).write_text(f.read())
    (tmp_path / "package.json").write_text(json.dumps({**whole, "urls": few}))
    with FakeBoard(micropython) as board:
        mpremote = [python, "-m", "mpremote", "connect", board.port]
        r = subprocess.run(
            [*mpremote, "mip", "install", "--target", "/lib", str(tmp_path / "package.json")],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert r.returncode == 0, r.stdout + r.stderr
        r = subprocess.run(
            [*mpremote, "exec", "import dlms.ber\nprint(dlms.ber.__file__)"],
            capture_output=True, text=True, timeout=60,
        )  # fmt: skip
        assert r.stdout.strip() == "/lib/dlms/ber.py", r.stdout + r.stderr


def test_the_tool_says_what_to_do():
    r = subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools", "package.py"), "--check"],
        capture_output=True, text=True,
    )  # fmt: skip
    assert (r.returncode, r.stderr) == (0, "")
