# SPDX-License-Identifier: MIT
"""tools/class_page.py: the page of the interface classes, and the support table of the README."""

import os
import re

import class_page
import pytest
import tables

CLASSES = tables.load_classes()
# Their values are the meter program's and the clients': that is all they are for.
OF_VALUES = {1: "Data"}


def test_the_page_says_what_the_class_files_say(capsys):
    assert class_page.main(["--check"]) == 0, "run tools/class_page.py"


def test_a_page_that_is_old_is_seen_and_made_anew(tmp_path, monkeypatch, capsys):
    page = tmp_path / "README.md"
    monkeypatch.setattr(class_page, "PAGE", str(page))
    assert class_page.main(["--check"]) == 1
    assert "run tools/class_page.py" in "".join(capsys.readouterr())
    assert class_page.main([]) == 0 and class_page.main(["--check"]) == 0


def test_each_version_has_its_line():
    rows = re.findall(r"^\| (\d+) .*? \| (\d+)", class_page.text(), re.MULTILINE)
    assert sorted((int(c), int(v)) for c, v in rows) == sorted(
        (c.class_id, v) for c in CLASSES.values() for v in c.versions
    )


@pytest.fixture(scope="module")
def supported():
    """The README's cell of the classes that behave."""
    with open(os.path.join(class_page.ROOT, "README.md"), encoding="utf-8") as f:
        return re.search(r"^\| Interface classes, with behaviour \| (.*?) \|", f.read(), re.M)[1]


def test_the_readme_names_the_classes_that_behave(supported):
    """All of them, and no other; a version where not all of them do."""
    names = {c.name: c for c in CLASSES.values()}
    listed = [re.sub(r" \(.*?\)$", "", n) for n in re.split(r", (?![^(]*\))", supported)]
    found = {re.sub(r" v\d.*", "", n): n for n in listed}
    behaving = {n for n, c in names.items() if any(v.module for v in c.versions.values())}
    assert set(found) - set(OF_VALUES.values()) == behaving
    for name, entry in found.items():
        numbers = [int(n) for n in re.findall(r"\d+", entry.partition(" v")[2])]
        if " to " in entry:
            numbers = list(range(numbers[0], numbers[-1] + 1))
        modules = [n for n, v in names[name].versions.items() if v.module]
        if name not in OF_VALUES.values() and (
            numbers or len(modules) < len(names[name].versions)
        ):
            assert numbers == sorted(modules), name
