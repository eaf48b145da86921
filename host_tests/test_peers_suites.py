# SPDX-License-Identifier: MIT
"""Gurux with suites 1 and 2: it signs, agrees keys, and has certificates given and made.

It runs as a program of its own, peers/gurux_client.py; PROTOCOL.md beside it says what of Gurux
does not run, and what of it is used instead. The meter is that of suites.py.
"""

import datetime

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import serialization

pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    OTHER_REASON,
    READ_WRITE_DENIED,
    Expected,
    RunningMeter,
    Twin,
    module_of,
    read_everything,
)
from secure import SERVER_TITLE, TITLE
from suites import (
    CLIENTS,
    KEYS,
    NOW,
    SERVER,
    SIGN,
    SIZES,
    certificate,
    held,
    key,
    private,
    public,
    that_runs,
)

PROGRAM = "gurux_client.py"
VALUE = "0.0.96.60.1.255"
SETUPS = {1: "0.0.43.0.1.255", 2: "0.0.43.0.2.255"}
COUNTER = "0.0.43.1.1.255"
# The certificates begin to be valid at NOW.
START = NOW.replace(tzinfo=datetime.timezone.utc) + datetime.timedelta(days=1)
# What reading changes: counters, and whose client_system_title is shown.
CHANGING = ((1, COUNTER, 2), *((64, "0.0.43.0.%d.255" % n, 4) for n in (1, 2, 3)))
GUEK_ID, GBEK_ID, GAK_ID, KEK_ID = range(4)
SUITES = pytest.mark.parametrize("suite", [1, 2], ids=["suite 1", "suite 2"])
LINKS = pytest.mark.parametrize("link", ["wrapper", "hdlc"])


@pytest.fixture(scope="module")
def definition(tmp_path_factory):
    return that_runs(tmp_path_factory.mktemp("suites"))


@pytest.fixture(scope="module")
def sees(definition):
    return Expected(definition)


@pytest.fixture(scope="module")
def values(definition, tmp_path_factory):
    return Twin(module_of(definition), str(tmp_path_factory.mktemp("twin")), START)


@pytest.fixture
def start(definition, request):
    """start(runtime): a meter of the test's own, whose clock stands."""
    running = []

    def get(runtime="cpython"):
        if runtime == "micropython":
            request.getfixturevalue("micropython")
        running.append(RunningMeter(runtime, "--definition", definition, start=START))
        return running[-1]

    yield get
    for meter in running:
        assert (meter.stop(), meter.said) == (0, "")


@pytest.fixture
def signs(connect):
    """signs(meter, suite, ...): Gurux with an association by ECDSA, unless open=False."""
    counters = [1]

    def get(meter, suite, link="wrapper", options=(), open=True, signer="client sign",
            meter_key=None, keys=None):  # fmt: skip
        guek, gak = keys or KEYS[suite]
        counters[0] += 1000
        return connect(
            PROGRAM, meter, link, (CLIENTS[suite], 17),
            ("--mechanism", "ecdsa", "--protect", "both", "--suite", str(suite),
             "--title", TITLE.hex(), "--guek", guek.hex(), "--gak", gak.hex(),
             "--counter", str(counters[0]), "--signing-key", private(suite, signer).hex(),
             "--meter-signing-key", (meter_key or public(suite, "server sign")).hex(), *options),
            "", open,
        )  # fmt: skip

    return get


@SUITES
@pytest.mark.parametrize("runtime, link", [("cpython", "hdlc"), ("micropython", "wrapper")])
def test_everything_is_read(runtime, link, suite, start, signs, sees, values):
    peer = signs(start(runtime), suite, link)
    association = (CLIENTS[suite], 17)
    peer.has_negotiated(sees.associations[association])
    assert read_everything(peer, association, sees, values, changing=CHANGING) > 20
    assert peer.get(64, SETUPS[suite], 4)["value"] == TITLE.hex()
    assert peer.ask("release")["raw"][4:10] == "800100"
    peer.ask("close")


@SUITES
@LINKS
def test_set_and_act(link, suite, start, signs):
    peer = signs(start(), suite, link, ("--max-pdu", "160", "--max-send", "128"))
    value = bytes(range(200)) * 2
    assert peer.set(1, VALUE, 2, "octet-string", value.hex())["packets"] > 3
    answer = peer.get(1, VALUE, 2)
    assert answer["value"] == value.hex() and answer["packets"] > 3
    peer.ask("activate", obis=SETUPS[suite], policy=0x6C)
    assert peer.get(64, SETUPS[suite], 2)["value"] == 0x6C


@SUITES
def test_who_signs_with_another_key(suite, start, signs):
    """Pass 3 is refused; and Gurux does not take pass 4 for that of another meter."""
    meter = start()
    peer = signs(meter, suite, signer="client agree", open=False)
    assert peer.refused("open") == {"kind": "action_result", "code": READ_WRITE_DENIED}
    refused = peer.refused("get", class_id=1, obis=VALUE, attribute=2)
    assert refused == {"kind": "exception_response", "state": 1, "service": 1}
    peer.ask("close")
    peer = signs(meter, suite, meter_key=public(suite, "server agree"), open=False)
    assert peer.refused("open")["kind"] == "peer"
    peer.ask("close")
    assert signs(meter, suite).get(1, VALUE, 2)["value"] == "0102"


@SUITES
@LINKS
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_keys_are_agreed(runtime, link, suite, start, signs):
    """Both sides have the same: under the new ones everything goes on."""
    meter = start(runtime)
    peer = signs(meter, suite, link)
    guek, gak = peer.ask("agree", obis=SETUPS[suite], key_ids=[GUEK_ID, GAK_ID])["keys"]
    assert len(bytes.fromhex(guek)) == len(KEYS[suite][0])
    refused = peer.refused("get", class_id=1, obis=VALUE, attribute=2)
    assert refused == {"kind": "exception_response", "state": 1, "service": 5}
    peer.ask("keys", guek=guek, gak=gak, counter=0)
    assert peer.get(1, VALUE, 2)["value"] == "0102"
    peer.ask("release")
    peer.ask("close")
    keys = bytes.fromhex(guek), bytes.fromhex(gak)
    assert signs(meter, suite, link, keys=keys).get(1, VALUE, 2)["value"] == "0102"


def test_an_agreed_master_key(start, signs):
    """Under which a key is transferred then. Gurux wraps with keys of 16 octets alone."""
    peer = signs(start(), 1)
    kek, _ = peer.ask("agree", obis=SETUPS[1], key_ids=[KEK_ID, GBEK_ID])["keys"]
    new = bytes(range(0x40, 0x50)).hex()
    peer.ask("transfer", obis=SETUPS[1], kek=kek, keys=[[GUEK_ID, new]])
    peer.ask("keys", guek=new, counter=0)
    assert peer.get(1, VALUE, 2)["value"] == "0102"


@SUITES
def test_certificates_are_exported(suite, start, signs):
    peer = signs(start(), suite)
    listed = peer.get(64, SETUPS[suite], 6)["value"]
    assert [row[:2] for row in listed].count([SERVER, SIGN]) == 1
    assert len(listed) == len(held(suite))
    for entity, kind, title, octets, _ in held(suite):
        if entity > 1:
            continue  # Gurux names authorities by a title that they do not have
        got = peer.ask(
            "setup", obis=SETUPS[suite], call="exportCertificateByEntity",
            arguments=[entity, kind, title.hex()],
        )  # fmt: skip
        assert got["value"] == octets.hex()
    peer.ask(
        "setup", obis=SETUPS[suite], call="removeCertificateByEntity",
        arguments=[1, 1, TITLE.hex()],
    )  # fmt: skip
    assert len(peer.get(64, SETUPS[suite], 6)["value"]) == len(held(suite)) - 1


@SUITES
@LINKS
def test_a_new_key_of_the_meter(link, suite, start, signs):
    """It makes a key pair and asks for a certificate, which an authority gives; from then on it
    signs with that key."""
    meter = start()
    peer = signs(meter, suite, link)

    def call(name, *arguments):
        command = dict(obis=SETUPS[suite], call=name, arguments=list(arguments))
        return peer.ask("setup", **command)["value"]

    call("generateKeyPair", SIGN)
    asked = x509.load_der_x509_csr(bytes.fromhex(call("generateCertificate", SIGN)))
    assert asked.is_signature_valid
    names = [a.value for a in asked.subject]
    assert names == [SERVER_TITLE.hex().upper()]
    # Until it is there, the old key counts.
    made = certificate(suite, "", SERVER_TITLE, public_key=asked.public_key())
    stranger = certificate(suite, "", SERVER_TITLE, public_key=asked.public_key(),
                           by=key(suite, "a stranger"))  # fmt: skip
    answer = peer.refused(
        "setup", obis=SETUPS[suite], call="importCertificate", arguments=[stranger.hex()]
    )
    assert answer == {"kind": "action_result", "code": OTHER_REASON}
    call("importCertificate", made.hex())
    assert call("exportCertificateByEntity", SERVER, SIGN, SERVER_TITLE.hex()) == made.hex()
    peer.ask("release")
    peer.ask("close")
    point = asked.public_key().public_bytes(
        serialization.Encoding.X962, serialization.PublicFormat.UncompressedPoint
    )
    assert len(point) == 1 + 2 * SIZES[suite]
    peer = signs(meter, suite, link, meter_key=point[1:])
    assert peer.get(1, VALUE, 2)["value"] == "0102"
    peer.ask("close")
    other = signs(meter, suite, link, open=False)
    assert other.refused("open")["kind"] == "peer"
