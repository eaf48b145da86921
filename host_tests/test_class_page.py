# SPDX-License-Identifier: MIT
"""tools/class_page.py: the page of the interface classes, and the support table of the README."""

import re

import class_page
import pytest
import tables

CLASSES = tables.load_classes()


def test_the_page_says_what_the_class_files_say(capsys):
    assert class_page.main(["--check"]) == 0, "run tools/class_page.py"


def test_a_page_that_is_old_is_seen_and_made_anew(tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(class_page, "PAGE", str(tmp_path / "page.md"))
    readme = tmp_path / "README.md"
    readme.write_text(
        "| classes | <!-- behave -->Clock<!-- end --> |\n| others | <!-- keep --><!-- end --> |\n"
    )
    monkeypatch.setattr(class_page, "README", str(readme))
    assert class_page.main(["--check"]) == 1
    assert "run tools/class_page.py" in "".join(capsys.readouterr())
    assert class_page.main([]) == 0 and class_page.main(["--check"]) == 0
    assert "Data, Register, " in readme.read_text() and "LTE monitoring" in readme.read_text()


def test_each_version_has_its_line():
    rows = re.findall(r"^\| (\d+) .*? \| (\d+)", class_page.text(), re.MULTILINE)
    assert sorted((int(c), int(v)) for c, v in rows) == sorted(
        (c.class_id, v) for c in CLASSES.values() for v in c.versions
    )


@pytest.mark.parametrize("behave", [True, False])
def test_the_names_in_the_readme(behave):
    """A class is in the list that its versions are for; with some of them named, or with all."""
    names = class_page.names(behave).split(", ")
    meant = {
        c.name.split(" (")[0]: {
            k for k, v in c.versions.items() if bool(v.module or c.class_id == 1) == behave
        }
        for c in CLASSES.values()
    }
    found = {}
    for name in names:
        name, some, versions = re.fullmatch(r"(.*?)( (v\d.*))?", name).groups()
        (c,) = (c for c in CLASSES.values() if c.name.split(" (")[0] == name)
        found[name] = {int(k) for k in re.findall(r"\d+", versions)} if some else set(c.versions)
    assert found == {name: versions for name, versions in meant.items() if versions}
    assert class_page.pages()[class_page.README].count(class_page.names(behave)) == 1


def test_what_nothing_is_behind_says_so():
    rows = [line.split(" | ") for line in class_page.text().splitlines() if line[:3] != "| c"]
    rows = [r for r in rows if r[0][:3] != "|--" and r[0][:2] == "| " and len(r) == 7]
    assert len(rows) == sum(len(c.versions) for c in CLASSES.values())
    modules = [v.module for c in CLASSES.values() for _, v in sorted(c.versions.items())]
    assert [r[5] for r in rows] == [""] + [m or "nothing" for m in modules[1:]]
