# SPDX-License-Identifier: MIT
"""The client jDLMS reads all of the reference meter, writes to it, and runs a method, with
HLS-GMAC and suite 0; and with short names.

It runs as a program of its own, peers/JdlmsClient.java, where a JDK is, and PICOMETER_JDLMS names
a folder with the jars of jDLMS and what it needs (org.openmuc:jdlms:1.8.0 and its dependencies).
Nothing here gets them, so elsewhere these tests are skipped, in CI too.
"""

import contextlib
import glob
import os
import shutil

import pytest

pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    DISCONNECTOR,
    MANAGEMENT,
    MESSAGE,
    OBJECT_UNDEFINED,
    PUBLIC,
    READ_WRITE_DENIED,
    READING,
    SERIAL_NUMBER,
    SHORT,
    TYPE_UNMATCHED,
    Peer,
    compare_object_list,
    encoding_of,
    moves,
    shown,
)

PROGRAM = "JdlmsClient.java"
ONE_FRAME = ("--challenge", "16")  # an AARQ that is one HDLC frame, see PROTOCOL.md
SHORT_NAMES = ("--short", "yes")
READS = [
    ("cpython", "wrapper", PUBLIC, ()),
    ("cpython", "hdlc", READING, ()),
    ("cpython", "wrapper", MANAGEMENT, ("--challenge", "64")),
    ("cpython", "hdlc", MANAGEMENT, ("--challenge", "8")),
    ("micropython", "wrapper", MANAGEMENT, ()),
]


@pytest.fixture(scope="session")
def java():
    """The start of a command line."""
    jars = os.environ.get("PICOMETER_JDLMS", "")
    if not shutil.which("java") or not shutil.which("javac"):
        pytest.skip("no JDK here: jDLMS needs one of Java 11 or later")
    if not glob.glob(os.path.join(jars, "jdlms-*.jar")):
        pytest.skip(
            "jDLMS, a third client beside those that make test gets, is not here: PICOMETER_JDLMS"
            " is to name a folder with org.openmuc:jdlms:1.8.0 and what it needs"
        )
    return ["java", "-cp", os.path.join(jars, "*")]


@pytest.fixture
def ask_with(java, expected):
    """ask_with(meter, link, association, options, ...): a peer, open unless open=False."""
    with contextlib.ExitStack() as stack:

        def get(meter, link, association, options=(), open=True, **more):
            secret = expected.secret(association)
            if more:
                secret.update(more)
            peer = Peer(java, PROGRAM, meter, link, association, secret, options)
            stack.callback(peer.end)
            if open:
                peer.ask("open")
            return peer

        yield get


@pytest.mark.parametrize("runtime, link, association, options", READS, ids=shown)
def test_every_attribute(runtime, link, association, options, standing, ask_with, expected, twin):
    peer = ask_with(standing(runtime), link, association, options)
    names = expected.readable(association)
    commands = [{"class_id": c, "obis": o, "attribute": k} for c, o, k in names]
    answers = peer.ask("get_all", attributes=commands)["answers"]
    assert len(answers) == len(names) > 5
    for name, answer in zip(names, answers):
        if name[0] == 15 and name[2] == 2:
            compare_object_list(answer["raw"], name[1], association, expected)
        elif not moves(name):
            assert answer["raw"] == encoding_of(name, association, expected, twin), name
    peer.ask("close")


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_set_and_act(link, fresh, ask_with):
    meter = fresh()
    peer = ask_with(meter, link, MANAGEMENT, ONE_FRAME)
    peer.set(1, MESSAGE, 2, "octet-string", b"Good morning".hex())
    assert peer.get(1, MESSAGE, 2)["raw"] == "090c" + b"Good morning".hex()
    peer.act(70, DISCONNECTOR, 1)
    assert peer.get(70, DISCONNECTOR, 2)["raw"] == "0300"

    def refused(do, obis, type_, **which):
        answer = peer.refused(do, class_id=1, obis=obis, type=type_, **which)
        return answer["code"]

    assert refused("set", SERIAL_NUMBER, "octet-string", attribute=2, value="31") == (
        READ_WRITE_DENIED
    )
    assert refused("set", MESSAGE, "unsigned", attribute=2, value=1) == TYPE_UNMATCHED
    assert refused("action", MESSAGE, "integer", method=1, value=0) == OBJECT_UNDEFINED
    peer.ask("close")
    peer = ask_with(meter, link, MANAGEMENT, ONE_FRAME)
    assert peer.get(70, DISCONNECTOR, 2)["raw"] == "0300"


@pytest.mark.parametrize("wrong", ["guek", "gak", "counter"])
def test_who_does_not_get_in(wrong, fresh, ask_with):
    """With a wrong key, or counters that begin at 1 again, as they do unless it is told."""
    meter = fresh()
    ask_with(meter, "wrapper", MANAGEMENT).ask("close")
    value = "1" if wrong == "counter" else "00" * 16
    peer = ask_with(meter, "wrapper", MANAGEMENT, open=False, **{wrong: value})
    assert peer.refused("open")["kind"] == "peer"
    peer = ask_with(meter, "wrapper", MANAGEMENT)
    assert peer.get(1, SERIAL_NUMBER, 2)["raw"].startswith("09")


def short_names(expected):
    """{(class_id, obis, attribute): its name} of what client 8 may read."""
    import tables

    client = str(SHORT[0])
    classes = tables.load_classes()
    found = {}
    for o in expected.tables["objects"]:
        offsets = classes[o["class_id"]].versions[o["version"]].attributes
        for a in o["attributes"]:
            if o["server_sap"] == SHORT[1] and "r" in a["access"].get(client, ""):
                name = o["base_name"] + offsets[a["index"]].sn
                found[o["class_id"], o["obis"], a["index"]] = name
    return found


@pytest.mark.parametrize("runtime, link", [("cpython", "wrapper"), ("micropython", "hdlc")])
def test_every_attribute_by_its_short_name(runtime, link, standing, ask_with, expected, twin):
    peer = ask_with(standing(runtime), link, SHORT, SHORT_NAMES)
    names = short_names(expected)
    # Buffers, and lists of objects: jDLMS has no blocks of Read.
    for name in [n for n in names if n[0] == 7 and n[2] == 2 or n[0] in (12, 15) and n[2] <= 3]:
        if name[2] > 1 and (name[0], name[2]) != (15, 3):
            del names[name]
    answers = peer.ask("get_all", attributes=[{"name": n} for n in names.values()])["answers"]
    assert len(answers) == len(names) > 700
    for name, answer in zip(names, answers):
        if moves(name):
            continue
        if name[0] == 12:
            of = name[1] if name[2] == 1 else "0.0.40.0.9.255"
            wanted = "020211000a00" if name[2] == 6 else twin.value(SHORT[1], 12, of, name[2])
            assert answer["raw"] == wanted, name
        else:
            assert answer["raw"] == encoding_of(name, SHORT, expected, twin), name
    peer.ask("close")


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_write_and_act_by_short_names(link, fresh, ask_with, expected):
    meter = fresh()
    peer = ask_with(meter, link, SHORT, SHORT_NAMES)
    names = short_names(expected)
    message, number = names[1, MESSAGE, 2], names[1, SERIAL_NUMBER, 2]
    morning = b"Good morning".hex()
    peer.ask("set", name=message, type="octet-string", value=morning)
    assert peer.ask("get", name=message)["raw"] == "090c" + morning
    for name, code in ((number, READ_WRITE_DENIED), (0xF000, OBJECT_UNDEFINED)):
        refused = peer.refused("set", name=name, type="octet-string", value="31")
        assert refused["code"] == code
    assert peer.refused("set", name=message, type="unsigned", value=1)["code"] == TYPE_UNMATCHED
    # change_secret of the current association, for the next one.
    peer.ask("action", name=0xFA40, type="octet-string", value=b"new".hex())
    peer.ask("close")
    peer = ask_with(meter, link, SHORT, SHORT_NAMES, open=False)
    assert peer.refused("open")["kind"] == "peer"
