# SPDX-License-Identifier: MIT
"""tools/page_bench.py: what it counts, in a run as short as can be, looked at by a WebSocket."""

import json

import page_bench
import pytest


def test_what_is_counted(monkeypatch, capsys):
    monkeypatch.setattr(page_bench, "TURNS", 1)
    monkeypatch.setattr(page_bench, "TURN_S", 1)
    monkeypatch.setattr(page_bench, "has_browser", lambda: False)
    page_bench.main(["--json"])
    found = json.loads(capsys.readouterr().out)
    assert set(found) == {key for key, _what, _unit in page_bench.ROWS} - {"first_paint_ms"}
    assert found["slower_percent"] == pytest.approx(
        found["meter_with_page_percent"] - found["meter_percent"]
    )
    # Each has been asked, and each process has done something.
    assert all(found[key] > 0 for key in found if key != "slower_percent")


def test_over_the_budget(monkeypatch, capsys):
    monkeypatch.setattr(page_bench, "measure", lambda: {"slower_percent": 6.0})
    assert page_bench.main(["--check"]) == 1
    assert "slower by" in capsys.readouterr().out
    assert page_bench.main([]) == 0
