# SPDX-License-Identifier: MIT
"""The prepayment meter and a customer who uses Gurux: it understands all of the account, pays with
a token, and is told what came of it."""

from pathlib import Path

import pytest

pytest_plugins = ["peer_sessions"]

from demo_token import token
from peer_sessions import ROOT, RUNTIMES, Expected, Peer, RunningMeter

DEFINITION = str(Path(ROOT) / "firmware/definitions/prepayment.toml")
CUSTOMER = (2, 1)
CREDIT, EMERGENCY, GATEWAY = "0.0.19.10.0.255", "0.0.19.10.1.255", "0.0.19.40.0.255"
TITLE = b"PMT" + (1000000000003).to_bytes(5, "big")
PAYMENT = (111, 112, 113, 115)
RECEIVED, EXECUTED, INVALID = 8, 3, 6
OTHER_REASON, READ_WRITE_DENIED = 250, 3


@pytest.fixture(scope="module")
def paying():
    return Expected(DEFINITION)


@pytest.fixture(params=RUNTIMES)
def customer(request, peers, paying):
    if request.param == "micropython":
        request.getfixturevalue("micropython")
    meter = RunningMeter(request.param, "--definition", DEFINITION, speed=5)
    peer = Peer(peers, "gurux_client.py", meter, "wrapper", CUSTOMER, paying.secret(CUSTOMER))
    peer.ask("open")
    yield peer
    peer.ask("release")
    peer.ask("close")
    peer.end()
    assert (meter.stop(), meter.said) == (0, "")


def test_gurux_reads_all_of_the_account(customer, paying):
    seen = 0
    for o in customer.ask("objects")["objects"]:
        if o["class_id"] not in PAYMENT:
            continue
        assert o["version"] == 0
        for attribute, mode, _selectors in o["attributes"]:
            assert mode == 1
            answer = customer.get(o["class_id"], o["obis"], attribute)
            assert answer["understood"], (o, attribute)
            constant = paying.constant(CUSTOMER, o["class_id"], o["obis"], attribute)
            if constant is not None:
                assert answer["raw"] == constant
            seen += 1
    assert seen == 19 + 2 * 11 + 3 * 13 + 6


def test_gurux_pays_with_a_token(customer):
    def pay(octets):
        customer.act(115, GATEWAY, 1, "octet-string", octets.hex())
        while True:
            code = customer.get(115, GATEWAY, 6)["value"][0]
            if code != RECEIVED:
                return code

    before = customer.get(112, CREDIT, 2)["value"]
    assert before == 500
    assert pay(token(TITLE, 2000, 1)) == EXECUTED
    assert before + 1700 < customer.get(112, CREDIT, 2)["value"] <= before + 1800
    assert customer.get(115, GATEWAY, 4)["value"] == [b"credit".hex(), b"2000".hex()]
    assert pay(token(TITLE, 2000, 1)) == INVALID
    early = customer.refused("action", class_id=112, obis=EMERGENCY, method=3)
    assert (early["kind"], early["code"]) == ("action_result", OTHER_REASON)
    gift = {"class_id": 112, "obis": CREDIT, "method": 1, "type": "double-long", "value": 1000}
    assert customer.refused("action", **gift)["code"] == READ_WRITE_DENIED
