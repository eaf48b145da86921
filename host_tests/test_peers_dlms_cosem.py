# SPDX-License-Identifier: MIT
"""The client dlms-cosem reads all of the reference meter, writes to it, and runs its methods.

It runs as a program of its own, peers/dlms_cosem_client.py; see peer_sessions.py for who is who.
It has no SET or ACTION in blocks, no lists of them, and cannot decode bit-strings.
"""

import pytest

pytest_plugins = ["peer_sessions"]

from peer_sessions import (
    ALARM_FILTER,
    AUTHENTICATION_FAILURE,
    CLOCK,
    DISCONNECTOR,
    DISPLAY,
    LOAD_PROFILE,
    MANAGEMENT,
    MECHANISM_NAME_REQUIRED,
    MESSAGE,
    NO_REASON_GIVEN,
    OBJECT_CLASS_INCONSISTENT,
    OBJECT_UNDEFINED,
    OTHER_REASON,
    PUBLIC,
    READ_WRITE_DENIED,
    READING,
    RUNTIMES,
    SERIAL_NUMBER,
    TARIFF_SCRIPTS,
    TARIFFS,
    TYPE_UNMATCHED,
    encoding_of,
    plain,
    read_everything,
    shown,
)

PROGRAM = "dlms_cosem_client.py"

READS = [
    ("cpython", "wrapper", PUBLIC, ()),
    ("cpython", "wrapper", READING, ("--max-pdu", "128")),
    ("cpython", "wrapper", MANAGEMENT, ()),
    ("cpython", "wrapper", DISPLAY, ()),
    ("cpython", "hdlc", PUBLIC, ()),
    ("cpython", "hdlc", READING, ("--lower", "17")),
    ("cpython", "hdlc", MANAGEMENT, ("--max-pdu", "128")),
    ("cpython", "hdlc", DISPLAY, ("--lower", "17", "--address-size", "4")),
    ("micropython", "wrapper", MANAGEMENT, ("--max-pdu", "128")),
    ("micropython", "hdlc", READING, ()),
]


# --- Reading --------------------------------------------------------------------------------


@pytest.mark.parametrize("runtime, link, association, options", READS, ids=shown)
def test_every_attribute(runtime, link, association, options, standing, connect, expected, twin):
    peer = connect(PROGRAM, standing(runtime), link, association, options)
    peer.has_negotiated(expected.associations[association])
    read_everything(peer, association, expected, twin, ("BitStringData",))
    assert peer.ask("release")["reason"] == 0
    peer.ask("close")


def test_list(standing, connect, expected, twin):
    """One GET with a list of 20, its answer in blocks of 128; one of them cannot be read."""
    peer = connect(PROGRAM, standing("cpython"), "hdlc", READING, ("--max-pdu", "128"))
    names = [n for n in expected.readable(READING) if n[0] == 3][:19]
    commands = [{"class_id": c, "obis": o, "attribute": k} for c, o, k in names]
    commands.append({"class_id": 15, "obis": "0.0.40.0.2.255", "attribute": 7})
    values = peer.ask("get_list", attributes=commands)["values"]
    assert values[:19] == [plain(encoding_of(n, READING, expected, twin)) for n in names]
    assert values[19] == {"data_access_result": READ_WRITE_DENIED}


@pytest.mark.parametrize("runtime", RUNTIMES)
@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_profile(runtime, link, standing, connect, twin):
    peer = connect(PROGRAM, standing(runtime), link, READING, ("--max-pdu", "128"))
    rows = plain(twin.value(1, 7, LOAD_PROFILE, 2))
    assert len(rows) == 104

    assert peer.by_entry(LOAD_PROFILE, 1, 0) == rows
    assert peer.by_entry(LOAD_PROFILE, 10, 20) == rows[9:20]
    assert peer.by_entry(LOAD_PROFILE, 104, 104) == rows[-1:]

    def by_range(first, last):
        return peer.ask("by_range", obis=LOAD_PROFILE, **{"from": first, "to": last})["value"]

    # dlms-cosem says no day of week; without a zone it is the meter's local time.
    assert by_range("2026-03-05T14:00:00", "2026-03-05T15:00:00") == rows[3:8]
    assert by_range("2026-03-05T14:00:00+01:00", "2026-03-05T15:00:00+01:00") == rows[3:8]
    assert by_range("2026-03-05T13:00:00+00:00", "2026-03-05T14:00:00+00:00") == rows[3:8]
    assert by_range("2026-03-07T14:00:00", "2026-03-07T15:00:00") == []


# --- Writing, and methods -------------------------------------------------------------------


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_set(runtime, fresh, connect):
    meter = fresh(runtime)
    manager = connect(PROGRAM, meter, "hdlc", MANAGEMENT)
    reader = connect(PROGRAM, meter, "wrapper", READING)
    assert reader.get(1, MESSAGE, 2)["value"] == ""
    manager.set(1, MESSAGE, 2, "octet-string", b"Good morning".hex())
    manager.set(1, ALARM_FILTER, 2, "double-long-unsigned", 0x12345678)
    assert reader.get(1, MESSAGE, 2)["value"] == b"Good morning".hex()
    manager.ask("release")
    manager.ask("close")
    manager = connect(PROGRAM, meter, "hdlc", MANAGEMENT)
    assert manager.get(1, MESSAGE, 2)["value"] == b"Good morning".hex()
    assert manager.get(1, ALARM_FILTER, 2)["value"] == 0x12345678


def test_set_refused(fresh, connect):
    peer = connect(PROGRAM, fresh(), "wrapper", MANAGEMENT)

    def refused(class_id, obis, attribute, type_, value):
        command = {"class_id": class_id, "obis": obis, "attribute": attribute}
        answer = peer.refused("set", type=type_, value=value, **command)
        assert answer["kind"] == "data_access_result"
        return answer["code"]

    number = peer.get(1, SERIAL_NUMBER, 2)["raw"]
    assert refused(1, SERIAL_NUMBER, 2, "octet-string", "31") == READ_WRITE_DENIED
    assert peer.get(1, SERIAL_NUMBER, 2)["raw"] == number
    assert refused(1, MESSAGE, 2, "unsigned", 1) == TYPE_UNMATCHED
    assert refused(1, MESSAGE, 2, "octet-string", "41" * 65) == OTHER_REASON
    assert refused(1, MESSAGE, 3, "octet-string", "41") == OBJECT_UNDEFINED
    assert refused(3, MESSAGE, 2, "octet-string", "41") == OBJECT_CLASS_INCONSISTENT
    assert peer.get(1, MESSAGE, 2)["value"] == ""


@pytest.mark.parametrize("runtime", RUNTIMES)
def test_actions(runtime, fresh, connect):
    peer = connect(PROGRAM, fresh(runtime), "hdlc", MANAGEMENT)
    peer.act(7, LOAD_PROFILE, 2)
    assert peer.get(7, LOAD_PROFILE, 7)["value"] == 1
    now = peer.get(8, CLOCK, 2)["value"]
    assert [row[0] for row in peer.get(7, LOAD_PROFILE, 2)["value"]] == [now]
    peer.act(7, LOAD_PROFILE, 1)
    assert peer.get(7, LOAD_PROFILE, 7)["value"] == 0
    assert peer.get(6, TARIFFS, 4)["value"] == b"RATE1".hex()
    peer.act(9, TARIFF_SCRIPTS, 1, "long-unsigned", 3)
    assert peer.get(6, TARIFFS, 4)["value"] == b"RATE3".hex()
    peer.act(70, DISCONNECTOR, 1)
    assert peer.get(70, DISCONNECTOR, 2)["value"] is False
    peer.act(70, DISCONNECTOR, 2)
    assert peer.get(70, DISCONNECTOR, 2)["value"] is True

    def refused(class_id, obis, method, type_="integer", value=0):
        command = {"class_id": class_id, "obis": obis, "method": method}
        answer = peer.refused("action", type=type_, value=value, **command)
        assert answer["kind"] == "action_result"
        return answer["code"]

    assert refused(9, TARIFF_SCRIPTS, 1, "unsigned", 2) == TYPE_UNMATCHED
    assert refused(70, "0.0.96.3.11.255", 1) == OBJECT_UNDEFINED
    assert peer.get(6, TARIFFS, 4)["value"] == b"RATE3".hex()


# --- Associations ---------------------------------------------------------------------------


@pytest.mark.parametrize("link", ["wrapper", "hdlc"])
def test_wrong_password(link, fresh, connect):
    meter = fresh()
    wrong = [
        (READING, "00112233", AUTHENTICATION_FAILURE),
        (READING, "", MECHANISM_NAME_REQUIRED),
        ((99, 1), "", NO_REASON_GIVEN),
    ]
    for association, secret, diagnostic in wrong:
        peer = connect(PROGRAM, meter, link, association, secret=secret, open=False)
        answer = peer.refused("open")
        assert (answer["kind"], answer["result"]) == ("association", 1)
        assert answer["diagnostic"] == diagnostic
        peer.ask("close")
    connect(PROGRAM, meter, link, READING).get(1, SERIAL_NUMBER, 2)


def test_with_the_other_peer(standing, connect):
    """The two peers, three associations, two links, at the same time: they see the same."""
    meter = standing("cpython")
    gurux = connect("gurux_client.py", meter, "wrapper", READING, ("--max-pdu", "128"))
    reader = connect(PROGRAM, meter, "hdlc", READING, ("--max-pdu", "128"))
    manager = connect(PROGRAM, meter, "wrapper", MANAGEMENT)
    for peer in (gurux, reader, manager):
        peer.say("by_entry", obis=LOAD_PROFILE, **{"from": 1, "to": 0})
    answers = [peer.hear()["raw"] for peer in (gurux, reader, manager)]
    assert answers[0] == answers[1] == answers[2]
