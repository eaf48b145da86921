# SPDX-License-Identifier: MIT
"""What a meter says in few octets, read by Gurux: Compact data, compressed and compact buffers.

The gurux-dlms of Python has no class for Compact data; it decodes the contents by the template as
a compact-array of one element. It leaves null-data to who has asked, so that is put together by
the reader of test_profile_compression.py from the octets that it got. It takes no delta types,
does not negotiate them, and gets none.
"""

import shutil
from pathlib import Path

import pytest

pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    ROOT,
    RUNTIMES,
    SEED,
    STANDS_AT,
    Peer,
    RunningMeter,
    minute_of,
    module_of,
)
from test_profile_compression import expand, known

DEFINITION = str(Path(ROOT) / "host_tests/definitions/compact.toml")
CLIENT, SECRET = (1, 1), b"compact".hex()
SNAPSHOT, IMPLIED, SCRIPTS = "0.0.66.0.0.255", "0.0.66.0.1.255", "0.0.10.0.109.255"
PLAIN, NULLS, DELTAS, COMPACT = ("1.0.99.%d.0.255" % d for d in (1, 2, 3, 4))
_HISTORY_MINUTES = 30 * 60
_MINUTE_MS = 60000


@pytest.fixture(scope="module")
def state(tmp_path_factory):
    """Storage of a meter that has run over a midnight, and 120 periods."""
    from firmware import app, ports, store

    folder = str(tmp_path_factory.mktemp("history"))
    start = minute_of(STANDS_AT) - _HISTORY_MINUTES - 1
    meter = app.build(
        module_of(DEFINITION), store.FileStorage(folder), ports.current(), SEED, start, 0, 0
    )
    for _ in range(_HISTORY_MINUTES):
        meter.program.tick(_MINUTE_MS)
    meter.close()
    return folder


@pytest.fixture(params=[(r, link) for r in RUNTIMES for link in ("wrapper", "hdlc")], ids="-".join)
def gurux(request, state, peers, tmp_path):
    runtime, link = request.param
    if runtime == "micropython":
        request.getfixturevalue("micropython")
    folder = str(tmp_path / "state")
    shutil.copytree(state, folder)
    meter = RunningMeter(runtime, "--definition", DEFINITION, "--state", folder)
    peer = Peer(peers, "gurux_client.py", meter, link, CLIENT, SECRET)
    peer.opened = peer.ask("open")
    yield peer
    peer.ask("release")
    peer.ask("close")
    peer.end()
    assert (meter.stop(), meter.said) == (0, "")


def captured(peer, name):
    template, contents = (peer.get(62, name, k)["value"] for k in (5, 2))
    (values,) = peer.ask("unpack", template=template, contents=contents)["value"]
    return values


def read_now(peer, name):
    """The values of what an object captures."""
    return [
        peer.get(c, ".".join(str(x) for x in bytes.fromhex(obis)), attribute)["value"]
        for c, obis, attribute, *_ in peer.get(62, name, 3)["value"]
    ]


def test_a_daily_snapshot(gurux):
    template_id, time, serial, energy, back, alarms = captured(gurux, SNAPSHOT)
    now = read_now(gurux, SNAPSHOT)
    assert template_id == 1 and serial == b"66".hex() and alarms == now[5]
    # Local midnight, and what the meter has counted until then.
    assert bytes.fromhex(time)[5:8] == bytes(3) and time != now[1]
    assert 0 < energy < now[3] and back <= now[4]
    before = gurux.get(62, SNAPSHOT, 2)["value"]
    gurux.act(9, SCRIPTS, 1, "long-unsigned", 1)
    assert gurux.get(62, SNAPSHOT, 2)["value"] != before
    assert captured(gurux, SNAPSHOT) == now
    gurux.act(62, SNAPSHOT, 1)
    assert gurux.get(62, SNAPSHOT, 2)["value"] == ""
    gurux.act(62, SNAPSHOT, 2)
    assert captured(gurux, SNAPSHOT) == now


def test_captured_by_reading(gurux):
    assert captured(gurux, IMPLIED) == read_now(gurux, IMPLIED)


def test_buffers_that_are_shorter_are_the_same_rows(gurux):
    for name in (PLAIN, NULLS, DELTAS, COMPACT):
        gurux.get(7, name, 3)
    plain, nulls, deltas, compact = (
        gurux.get(7, name, 2) for name in (PLAIN, NULLS, DELTAS, COMPACT)
    )
    rows = known(bytes.fromhex(plain["raw"]))
    assert len(rows) == 120 == len(plain["value"])
    assert expand(bytes.fromhex(nulls["raw"]), 0, 900) == rows
    assert not gurux.opened["conformance"] >> 17 & 1
    assert deltas["raw"] == nulls["raw"]
    # Gurux decodes a compact-array by itself.
    assert compact["value"] == plain["value"]
    sizes = [len(answer["raw"]) for answer in (plain, compact, nulls)]
    assert sizes == sorted(sizes, reverse=True)
