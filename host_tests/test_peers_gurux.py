# SPDX-License-Identifier: MIT
"""The Gurux client reads all of the reference meter, writes to it, and runs its methods.

Gurux runs as a program of its own, peers/gurux_client.py; see peer_sessions.py for who is who.
"""

import json
import os
import subprocess
import sys

import pytest

pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    ALARM_FILTER,
    AUTHENTICATION_FAILURE,
    CLOCK,
    DISCONNECTOR,
    DISPLAY,
    ENERGY,
    HDLC_SETUP,
    LOAD_PROFILE,
    MANAGEMENT,
    MECHANISM_NAME_REQUIRED,
    MESSAGE,
    NO_REASON_GIVEN,
    OBJECT_CLASS_INCONSISTENT,
    OBJECT_UNDEFINED,
    OTHER_REASON,
    PROVEN_READING,
    PUBLIC,
    READ_WRITE_DENIED,
    READING,
    RUNTIMES,
    ROOT,
    SERIAL_NUMBER,
    SUITE_1,
    SUITE_2,
    TARIFF_SCRIPTS,
    TARIFFS,
    TYPE_UNMATCHED,
    UPDATE,
    RunningMeter,
    encoding_of,
    moves,
    plain,
    read_everything,
    shown,
    tariff_scripts,
)

PROGRAM = "gurux_client.py"

# Runtime, link, association, options of the peer: HDLC addresses of 1, 2 and 4 octets, PDUs in one
# piece and in blocks.
READS = [
    ("cpython", "wrapper", PUBLIC, ()),
    ("cpython", "wrapper", READING, ()),
    ("cpython", "wrapper", MANAGEMENT, ("--max-pdu", "128")),
    ("cpython", "wrapper", DISPLAY, ()),
    ("cpython", "hdlc", PUBLIC, ("--lower", "17")),
    ("cpython", "hdlc", READING, ("--max-pdu", "128")),
    ("cpython", "hdlc", MANAGEMENT, ("--lower", "17", "--address-size", "4")),
    ("cpython", "hdlc", DISPLAY, ()),
    ("micropython", "wrapper", READING, ("--max-pdu", "128")),
    ("micropython", "hdlc", MANAGEMENT, ()),
    ("cpython", "wrapper", PROVEN_READING, ()),
    ("cpython", "hdlc", SUITE_1, ()),
    ("cpython", "wrapper", SUITE_2, ("--max-pdu", "200")),
    ("cpython", "wrapper", UPDATE, ()),
    ("micropython", "wrapper", SUITE_1, ("--max-pdu", "200")),
    ("micropython", "hdlc", SUITE_2, ()),
]


# --- Reading --------------------------------------------------------------------------------


@pytest.mark.parametrize("runtime, link, association, options", READS, ids=shown)
def test_every_attribute(runtime, link, association, options, standing, connect, expected, twin):
    peer = connect(PROGRAM, standing(runtime), link, association, options)
    peer.has_negotiated(expected.associations[association])
    read_everything(peer, association, expected, twin)
    peer.ask("release")
    peer.ask("close")


def test_lists(standing, connect, expected, twin):
    """GET with a list: everything that is readable, in lists, the answers in blocks of 128."""
    peer = connect(PROGRAM, standing("cpython"), "wrapper", READING, ("--max-pdu", "128"))
    names = [n for n in expected.readable(READING) if n[0] in (1, 3, 4, 5, 8) and not moves(n)]
    commands = [{"class_id": c, "obis": o, "attribute": k} for c, o, k in names]
    values = peer.ask("get_list", attributes=commands)["values"]
    assert values == [plain(encoding_of(n, READING, expected, twin)) for n in names]


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_profile(runtime, link, standing, connect, twin):
    peer = connect(PROGRAM, standing(runtime), link, READING, ("--max-pdu", "128"))
    rows = plain(twin.value(1, 7, LOAD_PROFILE, 2))
    assert len(rows) == 104
    assert peer.get(7, LOAD_PROFILE, 7)["value"] == 104

    assert peer.by_entry(LOAD_PROFILE, 1, 0) == rows
    assert peer.by_entry(LOAD_PROFILE, 1, 1) == rows[:1]
    assert peer.by_entry(LOAD_PROFILE, 10, 20) == rows[9:20]
    assert peer.by_entry(LOAD_PROFILE, 104, 104) == rows[-1:]
    assert peer.by_entry(LOAD_PROFILE, 105, 110) == []

    def by_range(first, last, columns=None):
        command = {"obis": LOAD_PROFILE, "from": first, "to": last, "columns": columns}
        return peer.ask("by_range", **command)["value"]

    def local(row):
        """Its capture time, as the meter's local time."""
        t = bytes.fromhex(row[0])
        return "%04d-%02d-%02dT%02d:%02d:%02d" % (t[0] << 8 | t[1], t[2], t[3], t[5], t[6], t[7])

    assert [local(row) for row in rows[3:8]] == [
        "2026-03-05T14:00:00", "2026-03-05T14:15:00", "2026-03-05T14:30:00",
        "2026-03-05T14:45:00", "2026-03-05T15:00:00"]  # fmt: skip
    # The meter's zone is CET: the same hour, said in UTC and in CET.
    assert by_range("2026-03-05T14:00:00+01:00", "2026-03-05T15:00:00+01:00") == rows[3:8]
    assert by_range("2026-03-05T13:00:00+00:00", "2026-03-05T14:00:00+00:00") == rows[3:8]
    assert by_range("2026-03-07T14:00:00+01:00", "2026-03-07T15:00:00+01:00") == []
    columns = [[8, CLOCK, 2], [3, ENERGY, 2]]
    some = by_range("2026-03-05T14:00:00+01:00", "2026-03-05T14:15:00+01:00", columns)
    assert some == [[row[0], row[2]] for row in rows[3:5]]


@pytest.mark.parametrize("association", [PUBLIC, READING, DISPLAY], ids=shown)
def test_nothing_else(association, standing, connect, expected):
    """What the object list does not allow is refused, attribute by attribute."""
    peer = connect(PROGRAM, standing("cpython"), "wrapper", association)
    listed = {(c, o): attributes for c, _, o, attributes, _ in expected.object_list(association)}
    names, results = [], []
    for (server_sap, class_id, obis), o in sorted(expected.objects.items()):
        if server_sap != association[1]:
            continue
        attributes = listed.get((class_id, obis))
        if attributes is None:
            names.append((class_id, obis, 2))
            results.append(OBJECT_UNDEFINED)
            continue
        for k, (mode, _) in attributes.items():
            if not mode & 1:
                names.append((class_id, obis, k))
                results.append(READ_WRITE_DENIED)
    commands = [{"class_id": c, "obis": o, "attribute": k} for c, o, k in names]
    answers = peer.ask("get_all", attributes=commands)["answers"]
    assert [a["error"]["code"] for a in answers] == results
    assert len(results) >= (2 if association == DISPLAY else 5)


# --- Writing --------------------------------------------------------------------------------


@pytest.mark.parametrize("association", [MANAGEMENT, SUITE_1, SUITE_2], ids=shown)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_set(runtime, association, fresh, connect):
    meter = fresh(runtime)
    manager = connect(PROGRAM, meter, "wrapper", association)
    reader = connect(PROGRAM, meter, "hdlc", READING)
    assert reader.get(1, MESSAGE, 2)["value"] == ""
    manager.set(1, MESSAGE, 2, "octet-string", b"Good morning".hex())
    assert manager.get(1, MESSAGE, 2)["value"] == b"Good morning".hex()
    assert reader.get(1, MESSAGE, 2)["value"] == b"Good morning".hex()
    manager.ask("release")
    manager.ask("close")
    manager = connect(PROGRAM, meter, "wrapper", association)
    assert manager.get(1, MESSAGE, 2)["value"] == b"Good morning".hex()


def test_set_refused(fresh, connect):
    meter = fresh()
    manager = connect(PROGRAM, meter, "wrapper", MANAGEMENT)

    def refused(class_id, obis, attribute, type_, value):
        command = {"class_id": class_id, "obis": obis, "attribute": attribute}
        answer = manager.refused("set", type=type_, value=value, **command)
        assert answer["kind"] == "data_access_result"
        return answer["code"]

    number = manager.get(1, SERIAL_NUMBER, 2)["raw"]
    assert refused(1, SERIAL_NUMBER, 2, "octet-string", "31") == READ_WRITE_DENIED
    assert manager.get(1, SERIAL_NUMBER, 2)["raw"] == number
    assert refused(1, MESSAGE, 2, "unsigned", 1) == TYPE_UNMATCHED
    assert refused(1, MESSAGE, 2, "octet-string", "41" * 65) == OTHER_REASON
    assert refused(1, "0.0.96.13.99.255", 2, "octet-string", "41") == OBJECT_UNDEFINED
    assert refused(1, MESSAGE, 3, "octet-string", "41") == OBJECT_UNDEFINED
    assert refused(3, MESSAGE, 2, "octet-string", "41") == OBJECT_CLASS_INCONSISTENT
    assert manager.get(1, MESSAGE, 2)["value"] == ""
    # The reading client has not negotiated SET at all.
    reader = connect(PROGRAM, meter, "hdlc", READING)
    command = {"class_id": 1, "obis": MESSAGE, "attribute": 2}
    answer = reader.refused("set", type="octet-string", value="41", **command)
    assert answer == {"kind": "exception_response", "state": 1, "service": 2}
    assert reader.get(1, MESSAGE, 2)["value"] == ""


def test_set_with_list(fresh, connect):
    """What can be written is written; for the rest Gurux reports the first refusal."""
    peer = connect(PROGRAM, fresh(), "hdlc", MANAGEMENT)
    one = {"class_id": 1, "obis": MESSAGE, "attribute": 2, "type": "octet-string", "value": "4142"}
    two = {"class_id": 1, "obis": ALARM_FILTER, "attribute": 2}
    two.update({"type": "double-long-unsigned", "value": 0x12345678})
    peer.ask("set_list", attributes=[one, two])
    assert peer.get(1, MESSAGE, 2)["value"] == "4142"
    assert peer.get(1, ALARM_FILTER, 2)["value"] == 0x12345678
    one["obis"] = SERIAL_NUMBER
    two["value"] = 5
    answer = peer.refused("set_list", attributes=[one, two])
    assert answer == {"kind": "data_access_result", "code": READ_WRITE_DENIED}
    assert peer.get(1, ALARM_FILTER, 2)["value"] == 5


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_blocks_both_ways(runtime, link, fresh, connect):
    options = ("--max-pdu", "128", "--max-send", "48")
    peer = connect(PROGRAM, fresh(runtime), link, MANAGEMENT, options)
    assert len(bytes.fromhex(peer.get(9, TARIFF_SCRIPTS, 2)["raw"])) == 126
    assert peer.set(9, TARIFF_SCRIPTS, 2, "array", tariff_scripts(11))["packets"] > 3
    answer = peer.get(9, TARIFF_SCRIPTS, 2)
    assert answer["raw"] == tariff_scripts(11)
    assert answer["packets"] > 1
    # preset_adjusting_time, then adjust_to_preset_time: a parameter of 44 octets, in blocks.
    now = peer.get(8, CLOCK, 2)["value"]
    preset = now[:8] + "ff" + "0e1e0000" + now[18:]  # 14:30
    first = now[:8] + "ff" + "00000000" + now[18:]
    last = now[:8] + "ff" + "17000000" + now[18:]
    times = "0203" + "".join("090c" + t for t in (preset, first, last))
    assert peer.act(8, CLOCK, 5, "structure", times)["packets"] > 1
    peer.act(8, CLOCK, 4)
    assert peer.get(8, CLOCK, 2)["value"][10:18] == "0e1e0000"


def test_hdlc_setup(fresh, connect):
    """What a client writes into IEC HDLC setup holds for the next connection.

    Not the window in which the meter sends: Gurux 1.0.203 loses count of answers in a window > 1.
    """
    meter = fresh()
    peer = connect(PROGRAM, meter, "hdlc", MANAGEMENT, ("--max-info", "300", "--window", "4"))
    assert peer.opened["hdlc"] == [128, 128, 1, 1]
    peer.set(23, HDLC_SETUP, 4, "unsigned", 3)
    for attribute in (5, 6):
        peer.set(23, HDLC_SETUP, attribute, "long-unsigned", 256)
    peer.ask("close")
    peer = connect(PROGRAM, meter, "hdlc", MANAGEMENT, ("--max-info", "300", "--window", "4"))
    assert peer.opened["hdlc"] == [256, 256, 3, 1]
    assert len(peer.ask("objects")["objects"]) > 150
    peer.set(9, TARIFF_SCRIPTS, 2, "array", tariff_scripts(1))


# --- Methods --------------------------------------------------------------------------------


@pytest.mark.parametrize("association", [MANAGEMENT, SUITE_1, SUITE_2], ids=shown)
@pytest.mark.parametrize("runtime", RUNTIMES)
def test_actions(runtime, association, fresh, connect):
    peer = connect(PROGRAM, fresh(runtime), "hdlc", association)
    # capture and reset of a profile
    assert peer.get(7, LOAD_PROFILE, 7)["value"] == 0
    peer.act(7, LOAD_PROFILE, 2)
    peer.act(7, LOAD_PROFILE, 2)
    assert peer.get(7, LOAD_PROFILE, 7)["value"] == 2
    now = peer.get(8, CLOCK, 2)["value"]
    assert [row[0] for row in peer.get(7, LOAD_PROFILE, 2)["value"]] == [now, now]
    peer.act(7, LOAD_PROFILE, 1)
    assert peer.get(7, LOAD_PROFILE, 2)["value"] == []
    # a script writes active_mask
    assert peer.get(6, TARIFFS, 4)["value"] == b"RATE1".hex()
    peer.act(9, TARIFF_SCRIPTS, 1, "long-unsigned", 3)
    assert peer.get(6, TARIFFS, 4)["value"] == b"RATE3".hex()
    # the disconnector opens and closes
    assert peer.get(70, DISCONNECTOR, 2)["value"] is True
    peer.act(70, DISCONNECTOR, 1)
    assert peer.get(70, DISCONNECTOR, 2)["value"] is False
    assert peer.get(70, DISCONNECTOR, 3)["value"] == 0
    peer.act(70, DISCONNECTOR, 2)
    assert peer.get(70, DISCONNECTOR, 2)["value"] is True


def test_register_reset(history_meter, connect):
    peer = connect(PROGRAM, history_meter, "hdlc", MANAGEMENT)
    assert peer.get(3, ENERGY, 2)["value"] > 1000
    peer.act(3, ENERGY, 1)
    assert peer.get(3, ENERGY, 2)["value"] == 0
    assert peer.get(3, "1.0.2.8.0.255", 2)["value"] > 0


def test_actions_refused(fresh, connect):
    meter = fresh()
    manager = connect(PROGRAM, meter, "wrapper", MANAGEMENT)

    def refused(class_id, obis, method, type_="integer", value=0):
        command = {"class_id": class_id, "obis": obis, "method": method}
        answer = manager.refused("action", type=type_, value=value, **command)
        assert answer["kind"] == "action_result"
        return answer["code"]

    assert refused(9, TARIFF_SCRIPTS, 1, "unsigned", 2) == TYPE_UNMATCHED
    assert refused(9, TARIFF_SCRIPTS, 1, "long-unsigned", 99) == OTHER_REASON
    assert refused(70, DISCONNECTOR, 3) == OBJECT_UNDEFINED
    assert refused(70, "0.0.96.3.11.255", 1) == OBJECT_UNDEFINED
    assert manager.get(6, TARIFFS, 4)["value"] == b"RATE1".hex()
    # The reading client has not negotiated ACTION at all.
    reader = connect(PROGRAM, meter, "hdlc", READING)
    answer = reader.refused("action", class_id=70, obis=DISCONNECTOR, method=1)
    assert answer == {"kind": "exception_response", "state": 1, "service": 2}
    assert reader.get(70, DISCONNECTOR, 2)["value"] is True


# --- Keys -----------------------------------------------------------------------------------

NEW = bytes(range(0x40, 0x50)).hex(), bytes(range(0x70, 0x80)).hex()


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("association", [MANAGEMENT, SUITE_1, SUITE_2], ids=shown)
def test_rekey(association, runtime, request, connect, expected, tmp_path):
    """Keys are transferred, or agreed, and are those of the meter after a restart."""
    if runtime == "micropython":
        request.getfixturevalue("micropython")
    setup = expected.associations[association]["security_setup"]
    link = "hdlc" if runtime == "cpython" else "wrapper"

    def again(keys=None):
        """The meter from its stored state, and the client with these keys."""
        meter = RunningMeter(runtime, "--state", str(tmp_path / "state"))
        secret = expected.secret(association)
        secret.update(keys or {})
        peer = connect(PROGRAM, meter, link, association, secret=secret, open=False)
        return meter, peer

    meter, peer = again()
    peer.ask("open")
    if association == MANAGEMENT:
        kek = expected.objects[(1, 64, setup)]["keys"]["kek"]
        guek, gak = NEW
        peer.ask("transfer", obis=setup, kek=kek, keys=[[0, guek], [2, gak]])
    else:
        guek, gak = peer.ask("agree", obis=setup, key_ids=[0, 2])["keys"]
    peer.ask("keys", guek=guek, gak=gak, counter=0)
    number = peer.get(1, SERIAL_NUMBER, 2)["value"]
    peer.ask("close")
    assert (meter.stop(), meter.said) == (0, "")

    # The counters of new keys begin at 0.
    meter, peer = again({"guek": guek, "gak": gak, "counter": "20"})
    peer.ask("open")
    assert peer.get(1, SERIAL_NUMBER, 2)["value"] == number
    peer.ask("close")
    assert (meter.stop(), meter.said) == (0, "")

    meter, peer = again()
    answer = peer.refused("open")
    assert (answer["result"], answer["diagnostic"]) == (1, AUTHENTICATION_FAILURE)
    peer.ask("close")
    assert (meter.stop(), meter.said) == (0, "")


# --- Associations ---------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_wrong_password(link, fresh, connect):
    meter = fresh()
    peer = connect(PROGRAM, meter, link, READING, secret="00112233", open=False)
    answer = peer.refused("open")
    assert (answer["result"], answer["diagnostic"]) == (1, AUTHENTICATION_FAILURE)
    answer = peer.refused("get", class_id=1, obis=SERIAL_NUMBER, attribute=2)
    assert answer == {"kind": "exception_response", "state": 1, "service": 1}
    peer.ask("close")
    peer = connect(PROGRAM, meter, link, READING, secret="", open=False)
    answer = peer.refused("open")
    assert (answer["result"], answer["diagnostic"]) == (1, MECHANISM_NAME_REQUIRED)
    peer.ask("close")
    peer = connect(PROGRAM, meter, link, (99, 1), secret="", open=False)
    answer = peer.refused("open")
    assert (answer["result"], answer["diagnostic"]) == (1, NO_REASON_GIVEN)
    peer.ask("close")
    # None of that keeps the right one out.
    connect(PROGRAM, meter, link, READING).get(1, SERIAL_NUMBER, 2)


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_again(link, standing, connect):
    """An AARQ in an open association opens it anew; after a release it takes another one."""
    peer = connect(PROGRAM, standing("cpython"), link, READING)
    number = peer.get(1, SERIAL_NUMBER, 2)
    again = peer.ask("associate")
    assert again["conformance"] == peer.opened["conformance"]
    assert peer.get(1, SERIAL_NUMBER, 2)["raw"] == number["raw"]
    peer.ask("release")
    answer = peer.refused("get", class_id=1, obis=SERIAL_NUMBER, attribute=2)
    assert answer == {"kind": "exception_response", "state": 1, "service": 1}
    peer.ask("associate")
    assert peer.get(1, SERIAL_NUMBER, 2)["raw"] == number["raw"]


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_many_at_once(runtime, standing, connect):
    """Four clients over TCP and one over HDLC, in the middle of one another's long answers."""
    meter = standing(runtime)
    clients = [
        connect(PROGRAM, meter, "wrapper", a, ("--max-pdu", "128"))
        for a in (PUBLIC, READING, MANAGEMENT, DISPLAY)
    ]
    clients.append(connect(PROGRAM, meter, "hdlc", READING))
    for client in clients:
        client.say("objects")
    answers = [client.hear()["raw"] for client in clients]
    assert len(set(answers)) == 4  # the reading client is there twice
    assert answers[1] == answers[4]
    name = [client.get(1, "0.0.42.0.0.255", 2)["value"] for client in clients]
    assert [bytes.fromhex(n)[-1:] for n in name] == [b"1", b"1", b"1", b"2", b"1"]


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_demo(link, peers):
    """make demo, as a script uses it."""
    found = demo(peers, "--json", "--hours", "1", "--runtime", "cpython", "--link", link)
    assert (found.returncode, "Traceback" in found.stderr) == (0, False), found.stderr
    read = json.loads(found.stdout)
    assert read["identification"][0]["value"] == "PMT1000000000001"
    assert read["association"]["objects"] > 150
    registers = {row["obis"]: row for row in read["registers"]}
    assert registers["1.0.32.7.0.255"]["unit"] == "V"
    assert 207 < float(registers["1.0.32.7.0.255"]["value"]) < 253
    rows = read["load_profile"]["rows"]
    assert len(rows) >= 4
    assert {row[0][14:19] for row in rows} == {"00:00", "15:00", "30:00", "45:00"}


def test_demo_without_peers(tmp_path):
    found = demo(str(tmp_path / "python"))
    assert (found.returncode, found.stdout) == (1, "")
    assert "make demo gets it" in found.stderr


def demo(peers, *args):
    return subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools", "demo.py"), *args],
        env={**os.environ, "PICOMETER_PEERS": peers},
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip


def test_serial_port(fresh, connect, tmp_path):
    """HDLC over a pseudo-terminal, which Gurux takes for a serial port."""
    port = str(tmp_path / "tty")
    meter = fresh("cpython", options=("--hdlc-pty", port))
    peer = connect(PROGRAM, meter, "hdlc", READING, ("--serial", port, "--lower", "17"))
    assert peer.get(1, SERIAL_NUMBER, 2)["value"] == b"1000000000001".hex()
    assert len(peer.ask("objects")["objects"]) > 150
    peer.ask("close")


# --- ACCESS ---------------------------------------------------------------------------------


def items_of(*rows):
    return [
        dict(zip(("what", "class_id", "obis", "method" if row[0] == "action" else "attribute",
                  "type", "value"), row)) for row in rows
    ]  # fmt: skip


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_access(runtime, link, fresh, connect):
    """Gets, sets and actions of the client that manages, protected by general-glo-ciphering."""
    manager = connect(PROGRAM, fresh(runtime), link, MANAGEMENT, ("--access", "--general"))
    got = manager.ask("access", items=items_of(
        ("get", 1, MESSAGE, 2),
        ("set", 1, MESSAGE, 2, "octet-string", b"Good morning".hex()),
        ("get", 1, MESSAGE, 2),
        ("set", 1, SERIAL_NUMBER, 2, "octet-string", "31"),
        ("get", 1, "0.0.96.13.99.255", 2),
        ("get", 70, DISCONNECTOR, 2),
        ("action", 70, DISCONNECTOR, 1, "integer", 0),
        ("get", 70, DISCONNECTOR, 2),
        ("action", 9, TARIFF_SCRIPTS, 5, "long-unsigned", 1),
    ))  # fmt: skip
    assert got["results"] == [0, 0, 0, READ_WRITE_DENIED, OBJECT_UNDEFINED, 0, 0, 0,
                              OBJECT_UNDEFINED]  # fmt: skip
    assert got["values"] == ["", None, b"Good morning".hex(), None, None, True, None, False, None]
    manager.ask("release")
    manager.ask("close")


def test_access_in_plain_text(standing, connect, expected, twin):
    """As many attributes as Gurux puts into a request; the reading client sets nothing."""
    peer = connect(PROGRAM, standing("cpython"), "hdlc", READING, ("--access",))
    names = [n for n in expected.readable(READING) if n[0] in (1, 3) and not moves(n)][:40]
    got = peer.ask("access", items=items_of(*[("get", *name) for name in names]))
    assert got["results"] == [0] * len(names)
    assert got["values"] == [plain(encoding_of(n, READING, expected, twin)) for n in names]
    got = peer.ask("access", items=items_of(("set", 1, MESSAGE, 2, "octet-string", "41")))
    assert got["results"] == [READ_WRITE_DENIED]
    peer.ask("close")
