# SPDX-License-Identifier: MIT
"""Gurux with general block transfer, in windows of several sizes, plain and ciphered: everything
is read, each long answer being one APDU, and what is long is written in blocks.

It is a program of its own, peers/gurux_client.py; PROTOCOL.md beside it says what of Gurux does
not run. The meter is the reference meter, all of whose clients may have general block transfer.
"""

import shutil

import pytest

pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    DEFINITION,
    LOAD_PROFILE,
    MANAGEMENT,
    MESSAGE,
    READING,
    SEED,
    STANDS_AT,
    SUITE_1,
    SUITE_2,
    Expected,
    Peer,
    RunningMeter,
    Twin,
    minute_of,
    module_of,
    read_everything,
    shown,
)

_MINUTE_MS = 60000
_HISTORY_MINUTES = 12 * 60


@pytest.fixture(scope="module")
def definition(tmp_path_factory):
    folder = tmp_path_factory.mktemp("gbt")
    shutil.copytree(DEFINITION[: -len(".toml")], folder / "residential")
    with open(DEFINITION) as f:
        text = f.read()
    blocks = 'conformance = ["general-block-transfer", "'
    text = text.replace('conformance = ["', blocks)
    text = text.replace("gbt_len = 512", "gbt_len = 4096")
    assert text.count(blocks) >= 8 and "gbt_len = 4096" in text
    path = folder / "residential.toml"
    path.write_text(text)
    return str(path)


@pytest.fixture(scope="module")
def sees(definition):
    return Expected(definition)


@pytest.fixture(scope="module")
def state(definition, tmp_path_factory):
    """Storage of a meter that has run for half a day."""
    from firmware import app, ports, store

    folder = str(tmp_path_factory.mktemp("history"))
    start = minute_of(STANDS_AT) - _HISTORY_MINUTES - 1
    storage = store.FileStorage(folder)
    meter = app.build(module_of(definition), storage, ports.current(), SEED, start, 0, 0)
    for _ in range(_HISTORY_MINUTES):
        meter.program.tick(_MINUTE_MS)
    meter.close()
    return folder


@pytest.fixture(scope="module")
def values(definition, state, tmp_path_factory):
    folder = str(tmp_path_factory.mktemp("twin") / "state")
    shutil.copytree(state, folder)
    return Twin(module_of(definition), folder)


@pytest.fixture
def gurux(definition, sees, state, peers, tmp_path, request):
    """gurux(runtime, link, association, window, ...): Gurux, and a meter of its own."""
    ends = []

    def get(runtime, link, association, window, *options):
        if runtime == "micropython":
            request.getfixturevalue("micropython")
        folder = str(tmp_path / "state")
        shutil.copytree(state, folder)
        meter = RunningMeter(runtime, "--definition", definition, "--state", folder)
        ends.append(meter)
        options = ("--gbt", window, *options)
        secret = sees.secret(association)
        peer = Peer(peers, "gurux_client.py", meter, link, association, secret, options)
        ends.append(peer)
        peer.opened = peer.ask("open")
        peer.has_negotiated(sees.associations[association])
        return peer

    yield get
    meter, peer = ends
    peer.end()
    assert (meter.stop(), meter.said) == (0, "")


READS = [
    ("cpython", "wrapper", READING, "1", ()),
    ("cpython", "hdlc", MANAGEMENT, "5", ()),
    ("cpython", "wrapper", SUITE_2, "2", ()),
    ("micropython", "wrapper", MANAGEMENT, "63", ("--max-pdu", "200")),
    ("micropython", "hdlc", READING, "8", ("--max-pdu", "300")),
    ("micropython", "wrapper", SUITE_1, "5", ()),
]


@pytest.mark.parametrize("runtime, link, association, window, options", READS, ids=shown)
def test_every_attribute(runtime, link, association, window, options, gurux, sees, values):
    peer = gurux(runtime, link, association, window, *options)
    read_everything(peer, association, sees, values)
    assert len(peer.get(7, LOAD_PROFILE, 2)["raw"]) > 4096


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_what_is_long_is_written_in_blocks(runtime, link, gurux):
    peer = gurux(runtime, link, MANAGEMENT, "4", "--max-send", "48")
    text = bytes(range(0x20, 0x20 + 45)).hex()
    assert peer.set(1, MESSAGE, 2, "octet-string", text)["packets"] == 3
    assert peer.get(1, MESSAGE, 2)["value"] == text
    peer.ask("release")
