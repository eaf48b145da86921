# SPDX-License-Identifier: MIT
"""Gurux as a client of short names: reads everything, writes, acts, with LLS and HLS.

It is a program of its own, peers/gurux_client.py; see peer_sessions.py. What it does not have, or
does otherwise: it cannot cipher a service of short names; long requests lose their names;
it reckons all attributes to be 8 apart, and does not know where most classes have their methods.
"""

import pytest

pytest.register_assert_rewrite("peer_sessions")
pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    AUTHENTICATION_FAILURE,
    OBJECT_UNDEFINED,
    OTHER_REASON,
    READ_WRITE_DENIED,
    RunningMeter,
    Twin,
    module_of,
    plain,
)
from secure import GAK, GUEK, TITLE
from short import SHORT_NAMES

GURUX = "gurux_client.py"
LLS = b"12345678".hex()
HLS = b"secret of small".hex()
KEYS = ("--title", TITLE.hex(), "--guek", GUEK.hex(), "--gak", GAK.hex())
CURRENT = "0.0.40.0.0.255"

# Client and server SAP, the object of the association, options.
CLIENTS = {
    "lls": (2, 1, "0.0.40.0.2.255", LLS, ()),
    "lls, blocks": (2, 1, "0.0.40.0.2.255", LLS, ("--max-pdu", "64")),
    "version 2": (4, 1, "0.0.40.0.5.255", LLS, ()),
    "version 0": (2, 18, CURRENT, LLS, ()),
    "md5": (43, 17, "0.0.40.0.5.255", HLS, ("--mechanism", "md5", *KEYS)),
    "sha1": (44, 17, "0.0.40.0.6.255", HLS, ("--mechanism", "sha1", *KEYS)),
    "sha256": (46, 17, "0.0.40.0.7.255", HLS, ("--mechanism", "sha256", *KEYS)),
    "gmac": (47, 17, "0.0.40.0.8.255", "", ("--mechanism", "gmac", *KEYS)),
}
EACH = pytest.mark.parametrize("what", CLIENTS)
LINKS = pytest.mark.parametrize("link", ["wrapper", "hdlc"])


@pytest.fixture(scope="module")
def tables():
    from tables import pack, show

    return show.as_json(pack.compile(str(SHORT_NAMES)))


@pytest.fixture(scope="module")
def twin(tmp_path_factory):
    return Twin(module_of(str(SHORT_NAMES)), str(tmp_path_factory.mktemp("twin")))


@pytest.fixture(scope="module")
def standing(request):
    """standing(runtime): a meter that is only read."""
    running = {}

    def get(runtime):
        if runtime not in running:
            if runtime == "micropython":
                request.getfixturevalue("micropython")
            running[runtime] = RunningMeter(runtime, "--definition", str(SHORT_NAMES))
        return running[runtime]

    yield get
    codes = {runtime: (meter.stop(), meter.said) for runtime, meter in running.items()}
    assert codes == {runtime: (0, "") for runtime in running}


_counters = iter(range(1, 1 << 30, 5000))


@pytest.fixture
def short(connect):
    """short(meter, link, what): Gurux as that client."""

    def get(meter, link, what, options=(), secret=None, open=True):
        client, server, _, known, own = CLIENTS[what]
        more = ("--counter", str(next(_counters))) if "--title" in own else ()
        options = ("--short", *own, *more, *options)
        secret = known if secret is None else secret
        return connect(GURUX, meter, link, (client, server), options, secret, open)

    return get


@EACH
@pytest.mark.parametrize("runtime, link", [("cpython", "wrapper"), ("micropython", "hdlc")])
def test_everything_is_read(runtime, link, what, standing, short, tables, twin):
    client, server, own, _, _ = CLIENTS[what]
    peer = short(standing(runtime), link, what)
    seen = [
        o
        for o in tables["objects"]
        if o["server_sap"] == server and str(client) in o["attributes"][0]["access"]
    ]
    version = next(o["version"] for o in seen if (o["class_id"], o["obis"]) == (12, own))
    listed = peer.ask("objects")["objects"]
    assert [(o["base_name"], o["class_id"], o["version"], o["obis"]) for o in listed] == [
        (
            o["base_name"],
            o["class_id"],
            version if (o["class_id"], o["obis"]) == (12, CURRENT) else o["version"],
            o["obis"],
        )
        for o in seen
    ]
    n = 0
    for o in seen:
        class_id, obis = o["class_id"], o["obis"]
        of = own if (class_id, obis) == (12, CURRENT) else obis
        if class_id == 15 and obis == CURRENT:
            continue  # the current association of clients that have logical names
        for a in o["attributes"]:
            k = a["index"]
            if "r" not in a["access"][str(client)] or class_id == 12 and (k > 4 or k == 3):
                continue
            if (class_id, obis, k) in ((1, "0.0.43.1.1.255", 2), (64, "0.0.43.0.1.255", 4)):
                continue  # moves with what is ciphered
            answer = peer.get(class_id, obis, k)
            # The logical name of the current association is its own.
            encoding = twin.value(server, class_id, obis if k == 1 else of, k)
            assert answer["raw"] == encoding, (class_id, obis, k)
            assert answer["value"] == plain(encoding), (class_id, obis, k)
            n += 1
    assert n > (3 if server == 18 else 30)
    assert peer.ask("release")["raw"][4:10] == "800100"
    peer.ask("close")


@LINKS
def test_set_and_act(link, fresh, short):
    peer = short(fresh("cpython", ("--definition", str(SHORT_NAMES))), link, "lls")
    peer.ask("objects")
    number, text = "0.0.96.50.2.255", "0.0.96.50.3.255"
    peer.set(1, text, 2, "octet-string", "CAFE")
    assert peer.get(1, text, 2)["value"] == "cafe"
    refused = peer.refused("set", class_id=1, obis=text, attribute=1, type="unsigned", value=1)
    assert refused == {"kind": "data_access_result", "code": READ_WRITE_DENIED}
    # The script writes 17.
    assert peer.get(1, number, 2)["value"] == 1000
    peer.act(9, "0.0.10.0.125.255", 1, "long-unsigned", 1)
    assert peer.get(1, number, 2)["value"] == 17
    command = dict(class_id=9, obis="0.0.10.0.125.255", method=1, type="long-unsigned", value=9)
    assert peer.refused("action", **command) == {"kind": "action_result", "code": OTHER_REASON}


@LINKS
def test_an_answer_in_blocks(link, fresh, short):
    meter = fresh("cpython", ("--definition", str(SHORT_NAMES)))
    peer = short(meter, link, "lls")
    peer.ask("objects")
    value = bytes(range(200)).hex()
    peer.set(1, "0.0.96.50.3.255", 2, "octet-string", value)
    peer.ask("release")
    peer.ask("close")
    peer = short(meter, link, "lls", ("--max-pdu", "64"))
    assert len(peer.ask("objects")["objects"]) == 18
    answer = peer.get(1, "0.0.96.50.3.255", 2)
    assert answer["value"] == value and answer["packets"] > 3


@LINKS
def test_lists(link, standing, short):
    peer = short(standing("cpython"), link, "lls")
    peer.ask("objects")
    names = [(1, "0.0.96.50.1.255", 2), (3, "1.0.1.8.0.255", 2), (12, CURRENT, 1)]
    attributes = [{"class_id": c, "obis": o, "attribute": k} for c, o, k in names]
    assert peer.ask("get_list", attributes=attributes)["values"] == [7, 5009, "0000280000ff"]


@pytest.mark.parametrize("what", ["lls", "md5", "sha1", "sha256"])
def test_a_wrong_secret(what, fresh, short):
    meter = fresh("cpython", ("--definition", str(SHORT_NAMES)))
    peer = short(meter, "wrapper", what, secret=b"87654321".hex(), open=False)
    refused = peer.refused("open")
    if what == "lls":
        assert (refused["result"], refused["diagnostic"]) == (1, AUTHENTICATION_FAILURE)
    else:
        assert refused == {"kind": "data_access_result", "code": READ_WRITE_DENIED}


def test_a_method_that_is_not_there(fresh, short):
    peer = short(fresh("cpython", ("--definition", str(SHORT_NAMES))), "wrapper", "lls")
    peer.ask("objects")
    # Association SN version 4 has no getlist_by_classid.
    command = dict(class_id=12, obis=CURRENT, method=1, type="unsigned", value=1)
    assert peer.refused("action", **command) == {"kind": "action_result", "code": OBJECT_UNDEFINED}
