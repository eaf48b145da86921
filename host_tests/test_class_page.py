# SPDX-License-Identifier: MIT
"""tools/class_page.py: the page of the interface classes, and the support table of the README."""

import re

import class_page
import tables

CLASSES = tables.load_classes()


def test_the_page_says_what_the_class_files_say(capsys):
    assert class_page.main(["--check"]) == 0, "run tools/class_page.py"


def test_a_page_that_is_old_is_seen_and_made_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(class_page, "PAGE", str(tmp_path / "page.md"))
    readme = tmp_path / "README.md"
    readme.write_text("| classes | <!-- behave -->Clock<!-- end --> |\n")
    monkeypatch.setattr(class_page, "README", str(readme))
    assert class_page.main(["--check"]) == 1
    assert "run tools/class_page.py" in "".join(capsys.readouterr())
    assert class_page.main([]) == 0 and class_page.main(["--check"]) == 0
    assert "Data, Register, " in readme.read_text()


def test_each_version_has_its_line():
    rows = re.findall(r"^\| (\d+) .*? \| (\d+)", class_page.text(), re.MULTILINE)
    assert sorted((int(c), int(v)) for c, v in rows) == sorted(
        (c.class_id, v) for c in CLASSES.values() for v in c.versions
    )


def test_the_names_in_the_readme():
    names = class_page.names().split(", ")
    behaving = {c.name for c in CLASSES.values() if any(v.module for v in c.versions.values())}
    assert {re.sub(r" v\d.*", "", name) for name in names} == behaving | {"Data"}
    for name in names:
        _, some, versions = name.partition(" v")
        (c,) = (c for c in CLASSES.values() if c.name == name.split(" v")[0])
        having = {k for k, v in c.versions.items() if v.module}
        assert not some or {int(k) for k in re.findall(r"\d+", versions)} == having
    assert class_page.pages()[class_page.README].count(class_page.names()) == 1
