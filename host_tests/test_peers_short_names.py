# SPDX-License-Identifier: MIT
"""Gurux as a client of short names: reads everything, writes, acts, with LLS and HLS, a small
meter that has all versions of Association SN; and all of the reference meter.

It is a program of its own, peers/gurux_client.py; see peer_sessions.py. What it does not have, or
does otherwise: it cannot cipher a service of short names; long requests lose their names;
it reckons all attributes to be 8 apart, and does not know where most classes have their methods.
"""

import pytest

pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    AUTHENTICATION_FAILURE,
    CURRENT,
    LOAD_PROFILE,
    MESSAGE,
    OBJECT_UNDEFINED,
    OTHER_REASON,
    READ_WRITE_DENIED,
    SHORT,
    RunningMeter,
    Twin,
    encoding_of,
    module_of,
    moves,
    plain,
)
from secure import GAK, GUEK, TITLE
from short import SHORT_NAMES

GURUX = "gurux_client.py"
LLS = b"12345678".hex()
HLS = b"secret of small".hex()
KEYS = ("--title", TITLE.hex(), "--guek", GUEK.hex(), "--gak", GAK.hex())

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
def small_twin(tmp_path_factory):
    return Twin(module_of(str(SHORT_NAMES)), str(tmp_path_factory.mktemp("twin")))


@pytest.fixture(scope="module")
def small(request):
    """small(runtime): a meter that is only read."""
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
def test_everything_is_read(runtime, link, what, small, short, tables, small_twin):
    client, server, own, _, _ = CLIENTS[what]
    peer = short(small(runtime), link, what)
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
            encoding = small_twin.value(server, class_id, obis if k == 1 else of, k)
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
def test_lists(link, small, short):
    peer = short(small("cpython"), link, "lls")
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


# --- The reference meter ----------------------------------------------------------------------

OWN = "0.0.40.0.9.255"
READS = [
    ("cpython", "wrapper", ()),
    ("cpython", "hdlc", ("--max-pdu", "128")),
    ("micropython", "wrapper", ("--max-pdu", "128")),
    ("micropython", "hdlc", ()),
]


@pytest.fixture(scope="module")
def offsets():
    """(class_id, version) -> the class file's: where attributes and methods are."""
    import tables

    classes = tables.load_classes()
    return {(k, n): v for k, c in classes.items() for n, v in c.versions.items()}


def of_client(expected):
    """The objects that the client sees."""
    client = str(SHORT[0])
    return [
        o
        for o in expected.tables["objects"]
        if o["server_sap"] == SHORT[1] and client in o["attributes"][0]["access"]
    ]


@pytest.mark.parametrize("runtime, link, options", READS)
def test_all_of_the_reference_meter(
    runtime, link, options, standing, connect, expected, twin, offsets
):
    peer = connect(GURUX, standing(runtime), link, SHORT, ("--short", *options))
    peer.has_negotiated(expected.associations[SHORT])
    seen = of_client(expected)
    listed = peer.ask("objects")["objects"]
    assert [(o["class_id"], o["version"], o["obis"], o["base_name"]) for o in listed] == [
        (o["class_id"], o["version"], o["obis"], o["base_name"]) for o in seen
    ]
    names, commands = [], []
    for o in sorted(seen, key=lambda o: o["class_id"] == 7):
        sn = offsets[o["class_id"], o["version"]]
        # A buffer last: Gurux wants to know the capture_objects first.
        for a in sorted(o["attributes"], key=lambda a: o["class_id"] == 7 and a["index"] == 2):
            if "r" in a["access"][str(SHORT[0])]:
                k = a["index"]
                name = {"class_id": o["class_id"], "obis": o["obis"], "attribute": k}
                names.append((o["class_id"], o["obis"], k))
                commands.append({**name, "offset": sn.attributes[k].sn})
    answers = peer.ask("get_all", attributes=commands)["answers"]
    assert len(answers) == len(names) > 700
    for name, answer in zip(names, answers):
        assert "error" not in answer, (name, answer)
        if moves(name):
            continue
        class_id, obis, k = name
        if class_id == 15 and k == 2:
            assert answer["raw"].startswith("01")
        elif class_id == 12:
            of = obis if k == 1 else OWN
            wanted = "02021100" + "0a00" if k == 6 else twin.value(SHORT[1], 12, of, k)
            assert answer["raw"] == wanted, name
        else:
            assert answer["raw"] == encoding_of(name, SHORT, expected, twin), name
        if (class_id, k) != (15, 5) and (class_id, k) not in ((40, 12), (40, 13)):
            assert answer["value"] == plain(answer["raw"]), name


@LINKS
def test_methods_and_blocks_of_the_reference_meter(link, history_meter, connect, expected, twin):
    peer = connect(GURUX, history_meter, link, SHORT, ("--short", "--max-pdu", "128"))
    peer.ask("objects")

    def method(offset, parameter):
        """Of the current association, read with its parameter."""
        command = {"selection": "00" + parameter.replace(" ", ""), "offset": offset}
        return peer.get(12, CURRENT, 1, **command)

    # read_by_logicalname: the message, and all of the logical device name.
    wanted = "0203 120001 0906 0000600D00FF 0F02 0203 120001 0906 00002A0000FF 0F00"
    answer = method(0x30, "0102" + wanted)
    device = b"PMT1000000000001".hex()
    assert answer["value"] == ["", ["00002a0000ff", device]]
    # add_user, remove_user, by Write and by Read.
    user = "0202 1107 0A06 666974746572".replace(" ", "")
    method(0x70, user)
    assert peer.get(12, CURRENT, 5, offset=0x60)["value"] == [[7, "fitter"]]
    method(0x78, user)
    assert peer.get(12, CURRENT, 5, offset=0x60)["raw"] == "0100"
    # change of the secret, for the next association.
    method(0x40, "0903" + b"new".hex())
    peer.set(1, MESSAGE, 2, "octet-string", b"Good morning".hex())
    assert peer.get(1, MESSAGE, 2)["value"] == b"Good morning".hex()
    refused = peer.refused("set", class_id=3, obis="1.0.1.8.0.255", attribute=2,
                           type="double-long-unsigned", value=1)  # fmt: skip
    assert refused == {"kind": "data_access_result", "code": READ_WRITE_DENIED}
    answer = peer.get(7, LOAD_PROFILE, 2)
    assert answer["raw"] == twin.value(1, 7, LOAD_PROFILE, 2) and answer["packets"] > 20
    peer.ask("release")
    peer.ask("close")
    peer = connect(GURUX, history_meter, link, SHORT, ("--short",), open=False)
    assert peer.refused("open")["diagnostic"] == AUTHENTICATION_FAILURE
    peer.ask("close")
    peer = connect(GURUX, history_meter, link, SHORT, ("--short",), b"new".hex())
    attributes = [{"class_id": 1, "obis": MESSAGE, "attribute": 2}] * 3
    peer.ask("objects")
    assert peer.ask("get_list", attributes=attributes)["values"] == [b"Good morning".hex()] * 3
