# SPDX-License-Identifier: MIT
"""tools/statement.py: CONFORMANCE.md says what is so."""

import re

import pytest
import statement
import tables
from stating import code, meters, pages, probe

BITS = tables.load_classes()[15].enums["conformance"]
NAMES = {int(k): word.split(" (")[0] for k, word in BITS.items() if k.isdecimal()}
WORDS = [word for word in NAMES.values() if not word.startswith("reserved")]


@pytest.fixture(scope="module")
def text():
    return statement.text()


def test_the_page_says_what_is_so(text):
    with open(statement.PAGE, encoding="utf-8") as f:
        assert f.read() == text, "run tools/statement.py"


def test_a_page_that_is_old_is_seen_and_made_anew(text, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(statement, "PAGE", str(tmp_path / "page.md"))
    monkeypatch.setattr(statement, "text", lambda: text)
    assert statement.main(["--check"]) == 1
    assert "run tools/statement.py" in capsys.readouterr().err
    assert statement.main([]) == 0 and statement.main(["--check"]) == 0


def test_the_contents_lead_to_each_section(text):
    listed = re.findall(r"^- \[(.*)\]\(#(.*)\)$", text, re.MULTILINE)
    assert [title for title, _ in listed] == re.findall(r"^## (.*)$", text, re.MULTILINE)
    assert all(anchor == title.lower().replace(" ", "-") for title, anchor in listed)


def test_the_tables_have_as_many_cells_as_their_heads(text):
    width = None
    for line in text.splitlines():
        if not line.startswith("|"):
            width = None
            continue
        cells = len(re.findall(r"(?<!\\)\|", line))
        width = width or cells
        assert cells == width, line


def test_each_version_has_its_section(text):
    section = text.split("## Interface classes")[1].split("## Objects of")[0]
    found = {
        (int(part.split(" ", 1)[0]), int(n))
        for part in section.split("\n### ")[1:]
        for n in re.findall(r"^\*\*Version (\d+)\*\*", part, re.MULTILINE)
    }
    classes = tables.load_classes().values()
    assert found == {(c.class_id, v) for c in classes for v in c.versions}


def test_each_object_has_its_row(text):
    d = meters.compiled("firmware/definitions/residential.toml")
    section = text.split("## Objects of the reference meter")[1].split("## Left out")[0]
    assert len(re.findall(r"^\| \d", section, re.MULTILINE)) == len(d.objects)
    assert (
        "| 3 Register | 0 | 1.0.1.8.0.255 | active energy import, tariff 0 | - | r | r x |"
        in section
    )


# --- What is asked of the server ----------------------------------------------------------------


def test_no_service_is_claimed_that_is_refused():
    """A request that does not exist is heard as such: the questions can tell the difference."""
    p = probe.Probe(WORDS)
    assert p.opens(16, 1) and p.opens(17, 2)
    assert p.serves(16, bytes.fromhex("C001C1"))
    assert not p.serves(16, bytes.fromhex("C004C1"))  # no choice of GET
    assert not p.serves(16, bytes.fromhex("C2"))  # nothing that a client says
    assert not p.serves(16, bytes.fromhex("05"))  # short names, of a client of logical ones
    assert not p.serves(17, bytes.fromhex("C001C1"))


def test_what_is_not_granted_is_not_served():
    without = [w for w in WORDS if w not in ("set", "access", "write")]
    without.remove("unconfirmed-write")
    rows = {row[:3]: row[3] for row in probe.served(without)}
    assert rows["logical names", "get-request", "normal"]
    assert not rows["logical names", "set-request", "normal"]
    assert not rows["logical names", "access-request", ""]
    assert rows["short names", "readRequest", "variable-name"]
    assert not rows["short names", "writeRequest", "variable-name"]
    assert not rows["short names", "unconfirmedWriteRequest", ""]


def test_what_is_served_and_what_is_not():
    rows = {row[:3]: row[3] for row in probe.served(WORDS)}
    refused = {row for row, yes in rows.items() if not yes}
    assert refused == {  # what has no meaning there
        ("short names", "readRequest", "write-data-block-access"),
        ("short names", "writeRequest", "block-number-access"),
        ("short names", "writeRequest", "read-data-block-access"),
    }


def test_all_that_is_ciphered_is_asked_for():
    rows = {row[1]: row[3] for row in probe.served(WORDS)}
    names = {"glo", "ded", "general"}
    found = {name for name in rows if name.split("-")[0] in names and rows[name]}
    assert len(found) == 6 + 6 + 5  # of logical names, of short ones, and general


def test_an_association_that_stays_is_not_released(monkeypatch):
    p = probe.Probe(WORDS)
    assert p.opens(16, 1) and p.releases()
    assert p.opens(16, 1)
    monkeypatch.setattr(probe, "_RLRQ_NORMAL", bytes.fromhex("C001C1"))
    assert not p.releases()


def test_contexts_and_mechanisms():
    found = probe.opened(WORDS)
    assert all(found["context", n] is True for n in range(1, 5))
    assert [found["mechanism", n] is True for n in range(8)] == [
        True, True, False, True, True, True, True, False,
    ]  # fmt: skip
    assert found["mechanism", 7] == "in suites 1 and 2"


# --- What is read of the code -------------------------------------------------------------------


def test_bits_are_found_where_they_are_looked_at():
    found = code.conformance(NAMES)
    assert found[20] == ["lib/dlms/set.py"] and found[23] == ["lib/dlms/action.py"]
    assert found[22] == ["firmware/meter/running.py"]
    assert found[1] == ["lib/dlms/secured.py"]
    assert found[0] == found[7] == []


def test_what_a_meter_says_is_found_where_it_is_said():
    found = code.said({0x0F: "data-notification", 0x18: "informationReportRequest", 0xC0: "none"})
    assert "lib/dlms/notification.py" in found[0x0F] and found[0x18] == ["lib/dlms/report.py"]
    assert found[0xC0] == []


@pytest.mark.parametrize("name", pages.PROFILES)
def test_each_profile_says_what_it_leaves_out(name):
    title, _, rows = pages.profile(name)
    assert title and set(rows) == {"Implemented", "Left out"}
    assert "](" not in "".join(rows.values())


def test_what_no_standard_has_says_so():
    assert "IEC 62056-8-8" in pages.profile("lon")[1][0]
    assert pages.profile("st7580")[1] and not pages.profile("hdlc")[1]


def test_nothing_secret_is_shown(text):
    d = meters.compiled("firmware/definitions/residential.toml")
    for o in d.objects:
        for key in o.keys().values() if "keys" in o.state else ():
            assert key not in text.lower()
    for secret in ("demo-reading", "demo-sha-256", "demo-p2"):
        assert secret not in text and secret.encode().hex() not in text
