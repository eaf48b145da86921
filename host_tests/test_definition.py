# SPDX-License-Identifier: MIT
"""firmware/definitions/residential.toml: the reference meter has what it is meant to have.

OBIS codes and classes are those of IEC 62056-6-1; the budgets are the project's.
"""

import json
import os
import re
import sys

import pytest

try:
    import tables
except ImportError:
    sys.path.insert(0, os.path.join(os.path.dirname(__file__), "..", "tools"))
    import tables

from tables import command, show
from tables.notation import logical_name

ROOT = os.path.join(os.path.dirname(os.path.abspath(__file__)), "..")
RESIDENTIAL = os.path.join(ROOT, "firmware", "definitions", "residential.toml")
PUBLIC, READING, MANAGEMENT, BROADCAST, FIRMWARE, SHORT = 16, 2, 1, 6, 7, 8


@pytest.fixture(scope="module")
def packed():
    return tables.compile(RESIDENTIAL)


@pytest.fixture(scope="module")
def meter(packed):
    """All objects as --json prints them, by (server_sap, class_id, obis)."""
    objects = json.loads(json.dumps(show.as_json(packed)))["objects"]
    return {(o["server_sap"], o["class_id"], o["obis"]): o for o in objects}


def at(meter, class_id, obis, sap=1):
    return meter[sap, class_id, obis + ".255"]


def value(meter, class_id, obis, attribute, sap=1):
    return at(meter, class_id, obis, sap)["attributes"][attribute - 1]["value"]


def access(meter, class_id, obis, client, sap=1):
    """Rights as text: an attribute a word, methods behind '|'; None when not visible."""
    o = at(meter, class_id, obis, sap)
    if str(client) not in o["attributes"][0]["access"]:
        return None
    words = [a["access"][str(client)] or "-" for a in o["attributes"]]
    if o["methods"]:
        words += ["|", *[m["access"][str(client)] or "-" for m in o["methods"]]]
    return " ".join(words)


def test_there_are_two_logical_devices(packed):
    assert [(d[0], d[3]) for d in packed.devices] == [
        (1, b"PMT1000000000001"),
        (17, b"PMT1000000000002"),
    ]
    assert 170 <= packed.devices[0][2] <= 230
    assert packed.limits == (5, 560, 1024, 512, 512, 1024, 0, 1)


def test_it_is_small(packed):
    assert len(packed.ram) <= 8 * 1024
    module = sum(
        len(getattr(packed, n)) for n in "objects attributes types rom ram access".split()
    )
    assert module + sum(len(a[6]) for a in packed.associations) <= 30 * 1024


@pytest.mark.parametrize(
    "class_id, codes",
    [
        (1, "0.0.42.0.0 0.0.1.1.0 0.0.0.1.0 0.0.96.2.0 0.0.96.7.0 0.0.96.7.21 1.0.0.4.2"),
        (1, " ".join("0.0.96.1.%d" % e for e in range(11))),
        (1, "1.0.0.2.0 1.0.0.2.8 0.0.96.10.1 0.0.97.97.0 0.0.97.98.0 0.0.97.98.10 0.0.97.98.20"),
        (1, " ".join("0.0.96.11.%d" % e for e in range(5))),
        (3, " ".join("1.0.%d.8.%d" % (c, t) for c in (1, 2, 3, 4) for t in range(5))),
        (3, " ".join("1.0.%d.8.0" % c for c in (5, 6, 7, 8, 9, 10, 21, 22, 41, 42, 61, 62))),
        (3, " ".join("1.0.%d.7.0" % c for c in (1, 2, 3, 4, 9, 13, 14, 21, 31, 32, 33, 41, 51, 52,
                                                53, 61, 71, 72, 73, 91))),
        (3, "1.0.81.7.10 1.0.81.7.40 1.0.12.31.0 1.0.12.35.0 1.0.12.43.0 1.0.12.44.0 1.0.0.3.0"),
        (3, "0.0.96.8.0 0.0.96.6.3 1.0.0.8.0 1.0.0.8.4"),
        (4, " ".join("1.0.%d.6.%d" % (c, t) for c in (1, 2, 3, 4) for t in range(5))),
        (5, "1.0.1.4.0 1.0.2.4.0 1.0.3.4.0 1.0.4.4.0"),
        (7, "1.0.99.1.0 1.0.99.2.0 0.0.98.1.0"),
        (7, " ".join("0.0.99.98.%d" % e for e in range(5))),
        (9, "0.0.10.0.0 0.0.10.0.1 0.0.10.0.100 0.0.10.0.106"),
        (11, "0.0.11.0.0"), (20, "0.0.13.0.0"), (22, "0.0.15.0.0 0.0.15.0.1"), (71, "0.0.17.0.0"),
        (15, " ".join("0.0.40.0.%d" % e for e in range(9))),
        (64, " ".join("0.0.43.0.%d" % e for e in (1, 4, 5, 6, 7))),
        (1, " ".join("0.0.43.1.%d" % e for e in (1, 4, 5, 6, 7))),
        (6, "0.0.14.0.0"), (8, "0.0.1.0.0"), (17, "0.0.41.0.0"), (23, "0.0.22.0.0"),
        (41, "0.0.25.0.0"), (42, "0.0.25.1.0"), (70, "0.0.96.3.10"),
    ],
)  # fmt: skip
def test_the_management_device_has(meter, class_id, codes):
    missing = [code for code in codes.split() if (1, class_id, code + ".255") not in meter]
    assert missing == []


def test_versions_of_the_associations(meter):
    versions = {e: at(meter, 15, "0.0.40.0.%d" % e)["version"] for e in range(4)}
    assert versions == {0: 1, 1: 1, 2: 1, 3: 3}


def test_the_clients(packed):
    """client SAP, device, mechanism; context, e of Security setup 0.0.43.0.e, pre-established"""
    rows = packed.definition.objects
    clients = [
        (*a[:2], a[3], a[7], rows[a[8]].name[4] if a[8] >= 0 else None, a[9])
        for a in packed.associations
    ]
    assert clients == [
        (PUBLIC, 0, 0, 1, None, 0),
        (READING, 0, 1, 1, None, 0),
        (MANAGEMENT, 0, 5, 3, MANAGEMENT, 0),
        (3, 0, 6, 1, None, 0),
        (4, 0, 7, 3, 4, 0),
        (5, 0, 7, 3, 5, 0),
        (BROADCAST, 0, 0, 3, BROADCAST, 1),
        (FIRMWARE, 0, 5, 3, FIRMWARE, 0),
        (SHORT, 0, 1, 2, None, 0),
        (PUBLIC, 1, 0, 1, None, 0),
    ]
    get, set_, action, read, write = (1 << 23 - bit for bit in (19, 20, 23, 3, 4))
    for a in packed.associations:
        may = {get} if a[0] in (PUBLIC, READING, 3) else {get, set_, action}
        if a[0] == SHORT:
            may = {read, write}
        conformance = int.from_bytes(a[4], "big")
        assert {bit for bit in (get, set_, action, read, write) if conformance & bit} == may
        assert a[5] == 512


def test_security_setups(packed, meter):
    """Of each ciphering client its own, with the counter that anybody may read."""
    for a in packed.associations:
        if a[8] < 0:
            continue
        code = "0.0.43.%%d.%d" % a[0]
        setup = at(meter, 64, code % 0)
        assert setup["row"] == a[8]
        policy, suite = (setup["attributes"][k]["value"] for k in (1, 2))
        assert policy == 0x6C  # requests and answers, authenticated and encrypted
        assert suite == {4: 1, 5: 2}.get(a[0], 0)
        assert access(meter, 1, code % 1, PUBLIC) == "r r"
        assert access(meter, 64, code % 0, PUBLIC) is None
        reference = meter[1, 15, show.obis(packed.definition.objects[a[2]].name)]
        assert reference["attributes"][8]["value"] == logical_name(code % 0).hex()


def test_keys_are_labelled_as_demo_keys(packed):
    """Their octets are text that says so, and whose they are; no two are the same."""
    seen = set()
    for o in packed.definition.objects:
        if o.version.class_id != 64:
            continue
        assert "DEMO keys" in o.note
        room = o.state["keys"]
        for name, k in (("GUEK", 0), ("GBEK", 32), ("GAK", 64), ("KEK", 96)):
            key = room[k : k + 32].rstrip(b"\0")
            if key:
                n = 32 if o.cells[3].value == 2 else 16
                assert len(key) == n and key not in seen
                assert key.startswith(b"DEMO%4sCLIENT%02d" % (name.encode(), o.name[4]))
                seen.add(key)
            else:
                assert name == "GBEK"
    assert len(seen) == 3 * 5 + 2


def test_certificates_of_the_suites_that_have_some(packed):
    """A root, the meter's own pairs, and a client's certificates; kinds 0 sign, 1 agree."""
    rows = packed.definition.objects
    found = [
        (rows[row].name[4], entity, kind, title[:3])
        for row, entity, kind, title, _certificate, _private in packed.certificates
    ]
    own = [(0, 0, b"PMT"), (0, 1, b"PMT"), (1, 0, b"CLI"), (1, 1, b"CLI"), (2, 0, b"")]
    assert sorted(found) == [(e, *one) for e in (4, 5) for one in own]


def test_what_a_broadcast_and_a_firmware_update_may(meter):
    seen = {BROADCAST: set(), FIRMWARE: set()}
    for (sap, class_id, obis), o in meter.items():
        for client in seen:
            if sap == 1 and str(client) in o["attributes"][0]["access"]:
                seen[client].add(class_id)
    assert seen == {BROADCAST: {1, 8, 15, 17}, FIRMWARE: {1, 8, 15, 17, 18}}
    assert access(meter, 8, "0.0.1.0.0", BROADCAST) == "r rw r r r r r r r | - - - - - x"
    assert access(meter, 8, "0.0.1.0.0", FIRMWARE) == "r r r r r r r r r | - - - - - -"


@pytest.mark.parametrize(
    "class_id, obis, public, reading, management",
    [
        (1, "0.0.42.0.0", "r r", "r r", "r r"),
        (8, "0.0.1.0.0", "r r r r r r r r r | - - - - - -", "r r r r r r r r r | - - - - - -",
         "r rw rw r rw rw rw rw r | x x x x x x"),
        (3, "1.0.1.8.0", None, "r r r | -", "r r r | x"),
        (3, "1.0.12.31.0", None, "r r r | -", "r rw r | -"),
        (1, "0.0.97.98.10", None, "r r", "r rw"),
        (7, "1.0.99.1.0", None, "r r r r r r r r | - -", "r r rw rw rw rw r rw | x x"),
        (7, "0.0.99.98.0", None, "r r r r r r r r | - -", "r r r r r r r r | x x"),
        (9, "0.0.10.0.100", None, None, "r rw | x"),
        (22, "0.0.15.0.0", None, "r r r r", "r rw rw rw"),
        (70, "0.0.96.3.10", None, "r r r r | - -", "r r r rw | x x"),
        (15, "0.0.40.0.1", "r r r r r r - r r | - - - -", "r r r r r r - r r | - - - -",
         "r r r r r r - r r | x x x x"),
        (15, "0.0.40.0.3", None, "r r r r r r - r r r r | - - - - - -",
         "r r r r r r - r r rw r | x x x x x x"),
        (15, "0.0.40.0.2", None, "r r r r r r - r r | - - - -", "r r r r r r w r r | x x x x"),
        (64, "0.0.43.0.1", None, "r r r r r r | - - - - - - - -",
         "r r r r r r | x x x x x x x x"),
        (17, "0.0.41.0.0", "r r | -", "r r | -", "r r | -"),
        (23, "0.0.22.0.0", None, "r r r r r r r r r", "r rw rw rw rw rw rw rw rw"),
    ],
)  # fmt: skip
def test_access(meter, class_id, obis, public, reading, management):
    assert access(meter, class_id, obis, PUBLIC) == public
    assert access(meter, class_id, obis, READING) == reading
    assert access(meter, class_id, obis, MANAGEMENT) == management


def test_nobody_can_read_a_secret(meter):
    for (_, class_id, _), o in meter.items():
        if class_id == 15:
            assert all("r" not in rights for rights in o["attributes"][6]["access"].values())


def test_secrets_are_labelled_as_demo_secrets(packed):
    for a in packed.associations:
        if a[3] in (1, 6):
            o = packed.definition.objects[a[2]]
            known = o.state.get("secret")
            known = tables.expected_value(o, "secret") if known is None else known[2:]
            assert known.startswith(b"demo-")
            assert "DEMO secret" in o.note


def test_load_profile_1(packed, meter):
    o = at(meter, 7, "1.0.99.1.0")
    assert value(meter, 7, "1.0.99.1.0", 4) == 900
    assert (o["row"], 64, 3360) in packed.rings  # 35 days of quarters of an hour
    columns = value(meter, 7, "1.0.99.1.0", 3)
    assert len(columns) == 8
    assert columns[0] == [8, "0000010000ff", 2, 0]
    assert columns[2] == [3, "0100010800ff", 2, 0]


def test_the_rings(packed, meter):
    rings = {meter_row: (row_len, n) for meter_row, row_len, n in packed.rings}
    assert len(rings) == 9  # and the vault of certificates
    assert rings[at(meter, 7, "1.0.99.2.0")["row"]][1] == 400
    assert rings[at(meter, 7, "0.0.98.1.0")["row"]][1] == 24
    for e in range(5):
        assert rings[at(meter, 7, "0.0.99.98.%d" % e)["row"]] == (18, 100)
    vault = rings.pop(at(meter, 64, "0.0.43.0.4")["row"])
    assert vault[0] >= 768 and vault[1] > 20
    assert all(row_len + 2 <= 384 for row_len, _ in rings.values())


def test_billing_runs_on_the_first_of_the_month(meter):
    script, selector = value(meter, 22, "0.0.15.0.0", 2)
    assert (script, selector) == (logical_name("0.0.10.0.1").hex(), 1)
    assert value(meter, 22, "0.0.15.0.0", 4) == [["00000000", "ffffff01ff"]]
    actions = value(meter, 9, "0.0.10.0.1", 2)[0][1]
    zero = {"type": "integer", "value": 0}
    assert actions[0] == [2, 7, logical_name("0.0.98.1.0").hex(), 2, zero]
    assert sorted(a[2] for a in actions[1:]) == sorted(
        logical_name("1.0.%d.6.%d" % (c, t)).hex() for c in (1, 2, 3, 4) for t in range(5)
    )
    assert all(a[:2] == [2, 4] and a[3:] == [1, zero] for a in actions[1:])


def test_tariffs(meter):
    masks = value(meter, 6, "0.0.14.0.0", 3)
    registers = value(meter, 6, "0.0.14.0.0", 2)
    assert [bytes.fromhex(name) for name, _ in masks] == [b"RATE1", b"RATE2", b"RATE3", b"RATE4"]
    for tariff, (_, indexes) in enumerate(masks, 1):
        names = [bytes.fromhex(registers[i - 1][1]) for i in indexes]
        assert [name[4] for name in names] == [tariff] * 8
    assert sorted(i for _, indexes in masks for i in indexes) == list(range(1, 33))
    for tariff, (selector, actions) in enumerate(value(meter, 9, "0.0.10.0.100", 2), 1):
        rate = {"type": "octet-string", "value": (b"RATE%d" % tariff).hex()}
        assert (selector, actions) == (tariff, [[1, 6, logical_name("0.0.14.0.0").hex(), 4, rate]])
        # a new mask must fit
        assert at(meter, 6, "0.0.14.0.0")["attributes"][3]["capacity"] >= 2 + 5


def test_schedules_obey_their_type(meter):
    """Types of class 22: 1 one time; 2, 3 equal times; 4, 5 times that differ."""
    for (_, class_id, _), o in meter.items():
        if class_id == 22:
            kind, times = (o["attributes"][k]["value"] for k in (2, 3))
            assert kind != 1 or len(times) == 1
            assert kind not in (2, 3) or len({time for time, _ in times}) == 1


def test_the_clock_is_central_european(meter):
    values = [value(meter, 8, "0.0.1.0.0", k) for k in (3, 5, 6, 7, 8)]
    begin, end = "ffff03fe07020000008000ff", "ffff0afe07030000008000ff"
    assert values == [-60, begin, end, 60, True]


def test_sources(packed):
    known = re.compile(
        r"energy\.((a|r|s)_(plus|minus)|r_q[1-4]|a_(plus|minus)_l[123])|inst\.((u|i|p|q|s|pf)_l[123]"
        r"|i_n|[pq]_(plus|minus)|s_total|pf_total|freq|angle_[ui]_l[123]|unix)"
        r"|(demand|max)\.[ar]_(plus|minus)|status\.(error|alarm|profile[12])"
        r"|count\.(power_failures|phase_failures|billing_periods|program_changes|events|boots|clock_changes"
        r"|failed_authentications|notifications|notifications_lost)"
        r"|event\.(standard|fraud|disconnect|power_quality|communication)|push\.(alarm|start)"
    )
    for source, row, attribute in packed.sources:
        assert known.fullmatch(source), source
        if source.startswith("push."):
            assert packed.definition.objects[row].version.class_id == 40
            continue
        cell = packed.definition.objects[row].cells[attribute]
        assert cell.stored == "ram" and attribute == 2
        assert cell.persistent is not source.startswith("inst.")


def test_only_what_the_program_feeds_is_dynamic(packed):
    """An instantaneous value or an energy without a source would stand still."""
    fed = {row for _, row, _ in packed.sources}
    for o in packed.definition.objects:
        if o.version.class_id == 3 and o.name[0] == 1 and o.name[3] in (7, 8) and o.name[2]:
            assert o.row in fed, o.text


def test_the_display_shows_energy_and_power_to_everybody(meter):
    seen = {(c, obis) for (sap, c, obis) in meter if sap == 17}
    assert seen == {
        (1, "0.0.42.0.0.255"), (1, "0.0.96.1.0.255"), (3, "1.0.1.7.0.255"), (3, "1.0.1.8.0.255"),
        (3, "1.0.2.7.0.255"), (3, "1.0.2.8.0.255"), (8, "0.0.1.0.0.255"),
        (15, "0.0.40.0.0.255"), (15, "0.0.40.0.1.255"),
    }  # fmt: skip
    assert access(meter, 3, "1.0.1.8.0", PUBLIC, 17) == "r r r | -"


def test_names_agree(packed, meter):
    """The SAP assignment lists the devices; HDLC addresses are in their ranges."""
    listed = [[d[0], d[3].hex()] for d in packed.devices]
    assert value(meter, 17, "0.0.41.0.0", 2) == listed
    assert 16 <= value(meter, 23, "0.0.22.0.0", 9) <= 0x3FFD
    assert value(meter, 41, "0.0.25.0.0", 2) == 4059


def test_list_has_a_line_an_object(packed, capsys):
    assert command.main(["--list", RESIDENTIAL]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == len(packed.definition.objects) + 2
    assert any(re.search(r"Register +1\.0\.1\.8\.0\.255 .* energy\.a_plus$", x) for x in lines)


def test_json_is_json(packed, capsys):
    assert command.main(["--json", RESIDENTIAL]) == 0
    d = json.loads(capsys.readouterr().out)
    assert len(d["objects"]) == len(packed.definition.objects)
    assert d["associations"][1]["secret"] == b"demo-reading".hex()
