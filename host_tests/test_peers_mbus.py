# SPDX-License-Identifier: MIT
"""An M-Bus and an installer who uses Gurux: it puts the water meter of doubles/ on the bus, reads
all of the client, captures, and takes the meter off again."""

from pathlib import Path

import pytest

pytest_plugins = ["peer_sessions"]

from doubles.water_meter import BCD_ID, WaterMeter, manufacturer_id
from peer_sessions import ROOT, Expected, Peer, RunningMeter
from test_mbus_running import Converter

DEFINITION = str(Path(ROOT) / "firmware/definitions/heat.toml")
INSTALLER = (2, 1)
M_BUS_CLIENT = 72
WATER, VOLUME = "0.1.24.1.0.255", "0.1.24.2.1.255"
PORT = "0.0.24.6.0.255"
READ_WRITE_DENIED, OTHER_REASON = 3, 250


@pytest.fixture
def installer(peers):
    expected = Expected(DEFINITION)
    converter = Converter(WaterMeter())
    options = ("--definition", DEFINITION, "--mbus", converter.address)
    meter = RunningMeter("cpython", *options, speed=1)
    secret = expected.secret(INSTALLER)
    peer = Peer(peers, "gurux_client.py", meter, "wrapper", INSTALLER, secret)
    peer.ask("open")
    peer.ask("objects")
    peer.slave = converter.slave
    yield peer
    peer.ask("release")
    peer.ask("close")
    peer.end()
    assert (meter.stop(), meter.said) == (0, "")
    converter.close()


def test_gurux_and_a_water_meter(installer):
    def get(class_id, obis, attribute):
        answer = installer.get(class_id, obis, attribute)
        assert answer["understood"], (class_id, obis, attribute)
        return answer["value"]

    installer.act(M_BUS_CLIENT, WATER, 1, "unsigned", 7)
    assert installer.slave.address == 7
    assert [get(M_BUS_CLIENT, WATER, k) for k in range(2, 10)] == [
        "0000180600ff",
        [["0c", "13"], ["04", "6d"], ["02", "3b"], ["0d", "78"]],
        60,
        7,
        BCD_ID,
        manufacturer_id("PMT"),
        1,
        7,
    ]
    installer.act(M_BUS_CLIENT, WATER, 3, "integer", 0)
    assert get(4, VOLUME, 2) == installer.slave.litres
    assert get(4, VOLUME, 3) == [-3, 13]
    assert [get(M_BUS_CLIENT, WATER, k) for k in range(10, 15)] == [2, 0, 0, 0, 0]
    again = {"class_id": M_BUS_CLIENT, "obis": WATER, "method": 1, "type": "unsigned", "value": 8}
    assert installer.refused("action", **again)["code"] == OTHER_REASON
    key = {**again, "method": 7, "type": "octet-string", "value": "00" * 16}
    assert installer.refused("action", **key)["code"] == READ_WRITE_DENIED
    assert get(74, PORT, 2) == 3
    installer.act(M_BUS_CLIENT, WATER, 2, "integer", 0)
    assert installer.slave.address == 0 and get(M_BUS_CLIENT, WATER, 6) == 0
