# SPDX-License-Identifier: MIT
"""Gurux and dlms-cosem with every mechanism and every kind of protection that they have.

They are programs of their own, peers/*.py; see peer_sessions.py for who is who. The meter is the
small one with a clock, whose clients 40 to 48 have one mechanism each.
"""

import itertools

import pytest

pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    AUTHENTICATION_FAILURE,
    OTHER_REASON,
    READ_WRITE_DENIED,
    Expected,
    Refusal,
    RunningMeter,
    Twin,
    module_of,
    read_everything,
)
from secure import GAK, GBEK, GUEK, GUEKS, KEK, TITLE
from small import that_runs

GURUX, COSEM = "gurux_client.py", "dlms_cosem_client.py"
LINKS = pytest.mark.parametrize("link", ["wrapper", "hdlc"])

SECRET = b"secret of small".hex()
DEDICATED = bytes(range(16, 32)).hex()
NEW = bytes(range(0x40, 0x50))
SETUP = "0.0.43.0.1.255"
COUNTER = "0.0.43.1.1.255"
VALUE = "0.0.96.60.1.255"

GMAC = ("--mechanism", "gmac")
BOTH = (*GMAC, "--protect", "both")
# What a client is, and the options with which Gurux is it.
GURUX_CLIENTS = {
    "gmac, both": (40, BOTH),
    "gmac, authenticated": (40, (*GMAC, "--protect", "authenticated")),
    "gmac, encrypted": (40, (*GMAC, "--protect", "encrypted")),
    "gmac, dedicated key": (40, (*BOTH, "--dedicated", DEDICATED)),
    "gmac, general": (40, (*BOTH, "--general")),
    "gmac, general, dedicated key": (40, (*BOTH, "--general", "--dedicated", DEDICATED)),
    "gmac, policy of both": (41, BOTH),
    "gmac, policy of both, dedicated key": (41, (*BOTH, "--dedicated", DEDICATED)),
    "md5": (43, ("--mechanism", "md5", "--secret", SECRET)),
    "sha1": (44, ("--mechanism", "sha1", "--secret", SECRET)),
    "sha256": (46, ("--mechanism", "sha256", "--secret", SECRET)),
    "gmac, plain": (47, GMAC),
    "lls, both": (48, ("--mechanism", "lls", "--secret", SECRET, "--protect", "both")),
}
COSEM_CLIENTS = {
    "gmac, both": (40, ()),
    "gmac, challenge of 8": (40, ("--challenge", "8")),
    "gmac, challenge of 38": (40, ("--challenge", "38")),
    "gmac, policy of both": (41, ()),
}
PEERS = [(GURUX, what) for what in GURUX_CLIENTS] + [(COSEM, what) for what in COSEM_CLIENTS]
WHO = pytest.mark.parametrize(
    "program, what", PEERS, ids=[p.partition("_")[0] + " " + w for p, w in PEERS]
)
# What reading changes: counters, and whose client_system_title is shown.
CHANGING = ((1, COUNTER, 2), (64, SETUP, 4), (64, "0.0.43.0.2.255", 4))


def client_of(program, what):
    return (GURUX_CLIENTS if program == GURUX else COSEM_CLIENTS)[what]


@pytest.fixture(scope="module")
def small(tmp_path_factory):
    """Path of the definition."""
    path = tmp_path_factory.mktemp("definition") / "small.toml"
    path.write_text(that_runs())
    return str(path)


@pytest.fixture(scope="module")
def sees(small):
    return Expected(small)


@pytest.fixture(scope="module")
def values(small, tmp_path_factory):
    return Twin(module_of(small), str(tmp_path_factory.mktemp("twin")))


@pytest.fixture(scope="module")
def standing_small(small, request):
    """standing_small(runtime): a small meter that is only read."""
    running = {}

    def get(runtime):
        if runtime not in running:
            if runtime == "micropython":
                request.getfixturevalue("micropython")
            running[runtime] = RunningMeter(runtime, "--definition", small)
        return running[runtime]

    yield get
    codes = {runtime: (meter.stop(), meter.said) for runtime, meter in running.items()}
    assert codes == {runtime: (0, "") for runtime in running}


@pytest.fixture(scope="module")
def written_small(small):
    """A small meter that is written to, for tests that leave it usable."""
    meter = RunningMeter("cpython", "--definition", small)
    yield meter
    assert (meter.stop(), meter.said) == (0, "")


@pytest.fixture
def fresh_small(fresh, small):
    """fresh_small(runtime, options): one of the test's own."""
    return lambda runtime="cpython", options=(): fresh(runtime, ("--definition", small, *options))


@pytest.fixture
def secured(connect):
    """secured(program, meter, link, what): a peer as that client, open unless open=False."""
    # Each goes on far above where the last one has stopped: nothing is taken twice.
    counters = itertools.count(_COUNTERS[0], 5000)

    def get(program, meter, link, what, options=(), open=True, guek=None, gak=GAK, secret=None):
        sap, own = client_of(program, what)
        guek = guek or GUEKS.get(sap, GUEK)
        _COUNTERS[0] = next(counters)
        if what == "gmac, encrypted":
            # Which may not skip many: it goes on where the meter is, as it says to anybody.
            public = connect(GURUX, meter, link, (16, 17), secret="")
            _COUNTERS[0] = public.get(1, COUNTER, 2)["value"]
            public.ask("close")
        keys = ("--title", TITLE.hex(), "--guek", guek.hex(), "--gak", gak.hex())
        keys += ("--counter", str(_COUNTERS[0]))
        if secret is None:
            secret = own[own.index("--secret") + 1] if "--secret" in own else ""
        return connect(
            program, meter, link, (sap, 17), (*keys, *own, "--secret", secret, *options),
            secret, open,
        )  # fmt: skip

    yield get
    _COUNTERS[0] = next(counters)


_COUNTERS = [1]


# --- Reading --------------------------------------------------------------------------------


@WHO
@pytest.mark.parametrize("runtime, link", [("cpython", "wrapper"), ("micropython", "hdlc")])
def test_everything_is_read(runtime, link, program, what, standing_small, secured, sees, values):
    peer = secured(program, standing_small(runtime), link, what)
    association = (client_of(program, what)[0], 17)
    peer.has_negotiated(sees.associations[association])
    # What is read is the same for all, how it comes is not.
    every = 1 if runtime == "cpython" and what in ("gmac, both", "sha256") else 4
    n = read_everything(
        peer, association, sees, values, ("BitStringData",), every, changing=CHANGING
    )
    assert n > 20
    row = sees.associations[association]
    if row["application_context"] == 3:
        assert peer.get(64, row["security_setup"], 4)["value"] == TITLE.hex()
    released = peer.ask("release")
    assert released.get("reason", 0) == 0
    assert released.get("raw", "63__800100")[4:10] == "800100"
    peer.ask("close")


# --- Writing, acting ------------------------------------------------------------------------


@WHO
def test_set_and_act(program, what, written_small, secured):
    peer = secured(program, written_small, "hdlc", what)
    value = what.encode().hex()
    peer.set(1, VALUE, 2, "octet-string", value)
    assert peer.get(1, VALUE, 2)["value"] == value
    refused = peer.refused(
        "set", class_id=1, obis=VALUE, attribute=1, type="octet-string", value="00"
    )
    assert refused == {"kind": "data_access_result", "code": READ_WRITE_DENIED}
    # A weaker policy is refused, the same one is not.
    peer.act(64, "0.0.43.0.2.255", 1, "enum", 108)
    refused = peer.refused(
        "action", class_id=64, obis="0.0.43.0.2.255", method=1, type="enum", value=0
    )
    assert refused == {"kind": "action_result", "code": READ_WRITE_DENIED}
    assert peer.get(1, VALUE, 2)["value"] == value


SECURED = pytest.mark.parametrize("what", ["gmac, both", "gmac, general", "gmac, dedicated key"])


@SECURED
@LINKS
def test_blocks_both_ways(link, what, written_small, secured):
    options = ("--max-pdu", "128", "--max-send", "96")
    peer = secured(GURUX, written_small, link, what, options)
    value = bytes(range(200)) * 2
    assert peer.set(1, VALUE, 2, "octet-string", value.hex())["packets"] > 3
    answer = peer.get(1, VALUE, 2)
    assert answer["value"] == value.hex() and answer["packets"] > 3


@SECURED
def test_list(what, standing_small, secured):
    peer = secured(GURUX, standing_small("cpython"), "wrapper", what)
    names = [(1, VALUE, 2), (64, SETUP, 2), (64, SETUP, 3), (1, "0.0.42.0.0.255", 2)]
    attributes = [dict(class_id=c, obis=o, attribute=k) for c, o, k in names]
    values = peer.ask("get_list", attributes=attributes)["values"]
    assert values == ["0102", 0, 0, b"PMT0000000000001".hex()]


# --- Keys -----------------------------------------------------------------------------------

GUEK_ID, GBEK_ID, GAK_ID, KEK_ID = range(4)


def transfer(peer, *keys, kek=KEK):
    """key_transfer as Gurux puts it together."""
    peer.ask("transfer", obis=SETUP, kek=kek.hex(), keys=[[n, key.hex()] for n, key in keys])


@LINKS
@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_new_keys(runtime, link, fresh_small, secured):
    """The answer comes under the old keys; what follows is under the new ones."""
    meter = fresh_small(runtime)
    peer = secured(GURUX, meter, link, "gmac, both")
    gak = NEW[::-1]
    transfer(peer, (GUEK_ID, NEW), (GAK_ID, gak))
    refused = peer.refused("get", class_id=1, obis=VALUE, attribute=2)
    assert refused == {"kind": "exception_response", "state": 1, "service": 5}
    peer.ask("keys", guek=NEW.hex(), gak=gak.hex(), counter=0)
    assert peer.get(1, VALUE, 2)["value"] == "0102"
    peer.ask("release")
    peer.ask("close")
    peer = secured(COSEM, meter, link, "gmac, both", guek=NEW, gak=gak)
    assert peer.get(1, VALUE, 2)["value"] == "0102"
    peer.ask("release")
    peer.ask("close")
    # The old ones open nothing, and the new ones go on.
    refused = secured(GURUX, meter, link, "gmac, both", open=False).refused("open")
    assert (refused["result"], refused["diagnostic"]) == (1, AUTHENTICATION_FAILURE)


def test_a_new_master_key(fresh_small, secured):
    peer = secured(GURUX, fresh_small(), "wrapper", "gmac, both")
    transfer(peer, (KEK_ID, NEW), (GBEK_ID, GBEK))
    guek = NEW[::-1]
    for key, kek in ((guek, KEK), (NEW, NEW), (GBEK, NEW)):
        with pytest.raises(Refusal) as e:
            transfer(peer, (GUEK_ID, key), kek=kek)
        assert e.value.args[0] == {"kind": "action_result", "code": OTHER_REASON}
    transfer(peer, (GUEK_ID, guek), kek=NEW)
    peer.ask("keys", guek=guek.hex(), counter=0)
    assert peer.get(1, VALUE, 2)["value"] == "0102"


def test_a_stronger_policy(fresh_small, secured):
    meter = fresh_small()
    peer = secured(GURUX, meter, "wrapper", "gmac, both")
    peer.ask("activate", obis=SETUP, policy=0x6C)
    assert peer.get(64, SETUP, 2)["value"] == 0x6C
    other = secured(GURUX, meter, "wrapper", "gmac, authenticated", open=False)
    refused = other.refused("open")
    assert (refused["result"], refused["diagnostic"]) == (1, AUTHENTICATION_FAILURE)


# --- What must not get in -------------------------------------------------------------------


@LINKS
@pytest.mark.parametrize("program", [GURUX, COSEM], ids=["gurux", "dlms"])
@pytest.mark.parametrize("wrong", ["guek", "gak"])
def test_wrong_keys(wrong, program, link, standing_small, secured):
    meter = standing_small("cpython")
    peer = secured(program, meter, link, "gmac, both", open=False, **{wrong: NEW})
    refused = peer.refused("open")
    assert (refused["result"], refused["diagnostic"]) == (1, AUTHENTICATION_FAILURE)
    peer.ask("close")
    secured(program, meter, link, "gmac, both").get(1, VALUE, 2)


@pytest.mark.parametrize("what", ["md5", "sha1", "sha256"])
def test_wrong_secrets(what, standing_small, secured):
    """Pass 3 is refused, and the association is none."""
    meter = standing_small("cpython")
    peer = secured(GURUX, meter, "wrapper", what, open=False, secret="00" * 15)
    assert peer.refused("open") == {"kind": "action_result", "code": READ_WRITE_DENIED}
    refused = peer.refused("get", class_id=1, obis=VALUE, attribute=2)
    assert refused == {"kind": "exception_response", "state": 1, "service": 1}
    secured(GURUX, meter, "wrapper", what).get(1, VALUE, 2)


@LINKS
def test_a_counter_that_was_used(link, standing_small, secured):
    peer = secured(GURUX, standing_small("cpython"), link, "gmac, both")
    peer.get(1, VALUE, 2)
    counter = peer.ask("counter")["counter"]
    peer.ask("counter", counter=counter - 1)
    refused = peer.refused("get", class_id=1, obis=VALUE, attribute=2)
    assert refused == {"kind": "exception_response", "state": 1, "service": 6}
    peer.ask("counter", counter=counter)
    assert peer.get(1, VALUE, 2)["value"] == "0102"


def test_a_release_that_nobody_has_proved(standing_small, secured):
    """Where the policy asks for protection; the association goes on."""
    peer = secured(GURUX, standing_small("cpython"), "wrapper", "gmac, policy of both")
    assert peer.ask("release", protected=False)["raw"] == "6303800101"
    assert peer.get(1, VALUE, 2)["value"] == "0102"


def test_many_at_once(written_small, secured):
    """Three clients of two mechanisms, in turns."""
    meter = written_small
    peers = [
        secured(GURUX, meter, "wrapper", "gmac, policy of both"),
        secured(GURUX, meter, "wrapper", "sha256"),
        secured(COSEM, meter, "hdlc", "gmac, both"),
    ]
    for n in range(10):
        for k, peer in enumerate(peers):
            peer.set(1, VALUE, 2, "octet-string", "%02x%02x" % (k, n))
            assert peers[n % 3].get(1, VALUE, 2)["value"] == "%02x%02x" % (k, n)
