# SPDX-License-Identifier: MIT
"""tools/decode_bench.py: that what it measures is what it says; the figures are make bench's."""

import json

import decode
import decode_bench


def units(path, capsys):
    decode.main(["--json", str(path)])
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def check(found):
    assert not any('"error"' in json.dumps(u) for u in found)
    text = " ".join(text for u in found for _, text in u["layers"])
    assert "aare: LN referencing, no ciphering, accepted" in text
    assert "-blocks: array of 200" in text


def write_session(path, *with_list):
    said = decode_bench.talk(*with_list)
    session = sum(3 * len(octets) + 13 for _, octets in decode_bench.frames(said))
    decode_bench.write_trace(path, session, *with_list)
    assert path.stat().st_size == session


def test_the_trace(tmp_path, capsys):
    write_session(tmp_path / "trace")
    check(units(tmp_path / "trace", capsys))


def test_the_trace_of_short_frames(tmp_path, capsys):
    write_session(tmp_path / "trace", False)
    found = units(tmp_path / "trace", capsys)
    assert len(found) == 46 and max(len(u["octets"]) for u in found) < 150
    assert not any('"error"' in json.dumps(u) for u in found)


def test_the_capture(tmp_path, capsys):
    path = tmp_path / "capture"
    decode_bench.write_capture(path, 100)
    check(units(path, capsys))
