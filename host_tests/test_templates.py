# SPDX-License-Identifier: MIT
"""tools/templating: object lists of Gurux. The library itself writes and reads them, in a
process of its own (peers/gurux_templates.py)."""

import json
import os
import subprocess
import sys

import meter as command
import pytest
import tables
from bootstrap import Trouble
from tables.notation import obis
from templating import command as templates
from templating import definition as making
from templating import layouts, texts, xml

pytest_plugins = ["peer_sessions"]

from peer_sessions import PEERS, ROOT, Peer, RunningMeter

DEFINITIONS = os.path.join(ROOT, "firmware", "definitions")
_CURRENT = "0.0.40.0.0.255"
RESIDENTIAL = os.path.join(DEFINITIONS, "residential.toml")
READING, SECRET = 2, "demo-reading"


def gurux(peers, *arguments):
    """What the library says: {(class_id, logical_name): object}, errors."""
    r = subprocess.run(
        [peers, os.path.join(PEERS, "gurux_templates.py"), *arguments],
        stdin=subprocess.DEVNULL, capture_output=True, text=True,
    )  # fmt: skip
    assert not r.returncode, r.stderr
    said = json.loads(r.stdout)
    found = {(o["class_id"], o["logical_name"]): o for o in said["objects"]}
    assert len(found) == len(said["objects"])
    return found, said["errors"]


def with_meter(definition, peers, *arguments, secret=SECRET):
    meter = RunningMeter("cpython", "--definition", str(definition))
    try:
        port = ("--port", str(meter.ports["wrapper"][1]))
        who = ("--client", str(READING), "--secret", secret)
        return gurux(peers, *arguments, *port, *who)
    finally:
        meter.stop()


# --- Written by us, read by Gurux -------------------------------------------------------------


@pytest.mark.parametrize("name, client", [("residential", 2), ("prepayment", 2)])
def test_gurux_finds_each_object(name, client, peers, tmp_path, capsys):
    definition, file = os.path.join(DEFINITIONS, name + ".toml"), str(tmp_path / "list.xml")
    losses = templates.export_file(definition, file, client_sap=client)
    found, errors = gurux(peers, "load", file)
    assert errors == []
    d = tables.compile(definition).definition
    a = templates.association(d, client, None)
    seen = [o for o in d.devices[0].objects if a.role in o.access]
    left_out = {line.split(":")[0] for line in losses if "has no place in the format" in line}
    for o in seen:
        key = (o.version.class_id, obis(o.name))
        if o.version.class_id not in layouts.LAYOUTS:
            assert key not in found and "%d %s" % key in left_out
            continue
        there = found.pop(key)
        n = max(o.version.attributes)
        rights = [octet & 3 for octet in o.access[a.role][:n]]
        assert there["version"] == o.version.version
        assert there["access"][:n] == rights and set(there["access"][n:]) <= {0, 1}
        assert there["description"] in (o.note, None if not o.note else o.note)
        if key[0] in (1, 3, 4):
            value = tables.expected_value(o, 2)
            given = there["values"][1]
            if isinstance(value, bytes):
                shown = value.decode() if value and texts.is_text(value) else value.hex()
                assert (given or "") == shown
            else:  # of an empty text Gurux makes a word
                assert given == (value if value != "" else "None")
        if key[0] in (3, 4):
            assert there["values"][2][1] == tables.expected_value(o, 3)[1]
    assert found == {}


# --- Written by Gurux, read by us -------------------------------------------------------------

# What is not the same in a meter made of the list of another one, (class_id, name, attributes).
_SUITES = "more than a list tells: certificates"
DIFFERENT = {
    (7, "0.0.99.98.0.255", (7,)): "the log of a meter that has just been made",
    (15, "0.0.40.0.5.255", (3, 4, 5, 6, 11)): _SUITES,
    (15, "0.0.40.0.6.255", (3, 4, 5, 6, 11)): _SUITES,
    (22, "0.0.15.0.0.255", (2,)): "a script table that the reading client does not see",
    (22, "0.0.15.0.1.255", (2,)): "a script table that the reading client does not see",
    (64, "0.0.43.0.4.255", (6,)): _SUITES,
    (64, "0.0.43.0.5.255", (6,)): _SUITES,
}


def test_a_meter_of_what_gurux_has_read(peers, tmp_path, capsys):
    file, toml = str(tmp_path / "list.xml"), str(tmp_path / "mine.toml")
    before, _ = with_meter(RESIDENTIAL, peers, "save", file)
    assert command.main(["import", file, toml]) == 0
    said = capsys.readouterr().err
    assert 'client 2: its secret is not in the list: it is "import-2"' in said
    after, _ = with_meter(toml, peers, "read", secret="import-2")
    assert list(after) == list(before) and len(after) > 200
    different = {}
    for key, o in before.items():
        for what in ("version", "access", "method_access"):
            assert o[what] == after[key][what], key
        pairs = zip(o["values"], after[key]["values"])
        changed = tuple(k for k, (a, b) in enumerate(pairs, 1) if a != b and not moves(key, k))
        if changed:
            different[(*key, changed)] = "?"
    assert set(different) == set(DIFFERENT)


def moves(key, attribute):
    """What the port that it listens on, and this moment, say."""
    return (key[0], attribute) in {(8, 2), (41, 2)}


@pytest.mark.parametrize("name", ["residential", "prepayment"])
def test_there_and_back(name, tmp_path, capsys):
    """What we have written, read, and written again, is the same but for what is said."""
    first, second = str(tmp_path / "1.xml"), str(tmp_path / "2.xml")
    toml = str(tmp_path / "between.toml")
    templates.export_file(os.path.join(DEFINITIONS, name + ".toml"), first, client_sap=2)
    losses = templates.import_file(first, toml)
    templates.export_file(toml, second, client_sap=2)
    a, b = (open(path, encoding="utf-8").read().splitlines() for path in (first, second))
    told = " ".join(losses)
    assert len(a) == len(b)
    for k, (one, other) in enumerate(zip(a, b)):
        if one != other:  # a script table that the client does not see, a suite with certificates
            name = next(x for x in reversed(a[: k + 1]) if x.startswith("    <LN>"))
            assert name.strip()[4:-5] in told or "AssociationLogicalName" in "".join(a[k - 40 : k])


# --- Texts ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "type_, kind, text, octets",
    [
        ("octet-string[12](date-time)", "time", "03/05/2026 13:00:00+01:00",
         "07ea0305040d000000ffc400"),
        ("octet-string[12](date-time)", "time", "03/05/2026 12:00:00Z",
         "07ea0305040c000000000000"),
        ("octet-string[12](date-time)", "time", "BEGIN/LASTDAY/* 02:00:00",
         "fffffefeff020000008000ff"),
        ("octet-string[12](date-time)", "time", "END/LASTDAY2/* *:*:*",
         "fffffdfdffffffffff8000ff"),
        ("octet-string[5](date)", "date", "12/25/*", "ffff0c19ff"),
        ("octet-string[4](time)", "clock", "06:30:00", "061e0000"),
        ("octet-string", "hex", "01 02 0A", "01020a"),
        ("octet-string[6]", "name", "0.0.96.1.0.255", "0000600100ff"),
        ("octet-string", "mac", "02:FC:00:00:00:01", "02fc00000001"),
        ("octet-string[16]", "ipv6", "2001:db8::1", "20010db8000000000000000000000001"),
    ],
)  # fmt: skip
def test_texts_of_octets(type_, kind, text, octets):
    t = tables.parse_type(type_)
    value = t.coerce(texts.read(text, kind, t))
    assert value.hex() == octets and texts.write(value, kind, t) == text


@pytest.mark.parametrize(
    "type_, kind, text, value",
    [
        ("integer", "factor", "0.001", -3),
        ("integer", "factor", "100.0", 2),
        ("bit-string[5]", "flags", "5", "10100"),
        ("double-long-unsigned", "ip", "192.0.2.10", 0xC000020A),
        ("boolean", "number", "1", True),
        ("array[unsigned]", "octets;", "01;05;0A", [1, 5, 10]),
        ("float32", "number", "1.5", 1.5),
    ],
)
def test_texts_of_values(type_, kind, text, value):
    t = tables.parse_type(type_)
    assert t.coerce(texts.read(text, kind, t)) == value
    assert texts.write(value, kind, t) == text


def test_gurux_of_the_west_says_its_offset_with_two_dashes():
    t = tables.parse_type("octet-string[12](date-time)")
    octets = t.coerce(texts.read("03/05/2026 12:00:00--5:30", "time", t))
    assert int.from_bytes(octets[9:11], "big", signed=True) == 330


# --- What is wrong in a list ------------------------------------------------------------------

DATA = """<Objects><GXDLMSData><LN>0.0.42.0.0.255</LN><Access>11</Access>
<Value Type="9" UIType="10">PMT1</Value></GXDLMSData>%s</Objects>"""


CLASSES = tables.load_classes()


def imported(tmp_path, text, name="mine"):
    """(losses, tables of the definition)"""
    file, toml = tmp_path / "list.xml", tmp_path / (name + ".toml")
    file.write_bytes(text if isinstance(text, bytes) else text.encode())
    losses = templates.import_file(str(file), str(toml))
    return losses, tables.compile(str(toml), CLASSES).definition


BROKEN = [
    (b"", "no element found"),
    (b"<Objects><a></Objects>", "mismatched tag"),
    (b"\x00\x01\x02", "not well-formed"),
    (b"<html></html>", "no object list"),
    (b'<?xml version="1.0" encoding="no-such"?><Objects/>', "unknown encoding"),
    (b'<!DOCTYPE a [<!ENTITY b "cc"><!ENTITY d "&b;&b;">]><Objects>&d;</Objects>',
     "document type"),
    (b'<!DOCTYPE a SYSTEM "file:///etc/passwd"><Objects/>', "document type"),
    (b"<Objects>" + b"<a>" * 100 + b"</a>" * 100 + b"</Objects>", "more elements"),
]  # fmt: skip


@pytest.mark.parametrize("data, sentence", BROKEN, ids=[b[1] for b in BROKEN])
def test_no_list(data, sentence, tmp_path):
    with pytest.raises(Trouble, match=sentence):
        imported(tmp_path, data)
    assert not (tmp_path / "mine.toml").exists()


def test_too_large(tmp_path, monkeypatch):
    monkeypatch.setattr(xml, "MOST_OCTETS", 1000)
    with pytest.raises(Trouble, match="larger"):
        imported(tmp_path, DATA % (" " * 1000))


OBJECT = "<GXDLMSRegister><LN>1.0.1.8.0.255</LN>%s</GXDLMSRegister>"
STRANGE = [
    ("<GXDLMSTariffPlan><LN>0.0.1.2.3.255</LN></GXDLMSTariffPlan>", "class is not known"),
    (OBJECT % "<Version>7</Version>", "version '7' is not known"),
    (OBJECT % "<Version>no</Version>", "version 'no' is not known"),
    ("<GXDLMSRegister><LN>1.0.1.8</LN></GXDLMSRegister>", "no logical name"),
    ("<GXDLMSRegister><LN>1.0.1.8.0.999</LN></GXDLMSRegister>", "no logical name"),
    (OBJECT % "<Access>1x1</Access>", "Access is not understood"),
    (OBJECT % "<Access>111</Access><Colour>red</Colour>", "Colour is not known"),
    (OBJECT % "<Access>111</Access><Scaler>3.7</Scaler>", "no power of ten"),
    (OBJECT % "<Access>111</Access><Unit>many</Unit>", "'many' is no number"),
    (OBJECT % '<Access>111</Access><Value Type="6">-1</Value>', "out of range"),
    (OBJECT % '<Access>111</Access><Value Type="77">1</Value>', "type 77 is unknown"),
    (OBJECT % '<Access>111</Access><Value Type="six">1</Value>', "Type 'six' is no number"),
    (OBJECT % "<Access>111</Access><Value>1</Value>", "has no type"),
    (OBJECT % "", "no rights are said"),
    ("<GXDLMSClock><LN>0.0.1.0.0.255</LN><Begin>sometime</Begin></GXDLMSClock>",
     "no date or time"),
    ("<GXDLMSData><LN>0.0.42.0.0.255</LN></GXDLMSData>", "comes twice"),
    ("<GXDLMSData><LN>0.0.43.1.1.255</LN><Access>11</Access><Value Type='17'>1</Value>"
     "</GXDLMSData><GXDLMSSecuritySetup><LN>0.0.43.0.1.255</LN></GXDLMSSecuritySetup>",
     "expected double-long-unsigned"),
    ("<GXDLMSProfileGeneric><LN>1.0.99.1.0.255</LN><Version>1</Version><Buffer><Row/></Buffer>"
     "</GXDLMSProfileGeneric>", "1 rows of its buffer"),
]  # fmt: skip


@pytest.fixture(scope="module")
def of_strange(tmp_path_factory):
    """What is said of all of them in one list, in which they have other names."""
    elements = [
        element.replace("1.0.1.8.0.255", "1.0.1.8.%d.255" % k)
        for k, (element, _) in enumerate(STRANGE)
    ]
    losses, d = imported(tmp_path_factory.mktemp("strange"), DATA % "".join(elements))
    assert d.devices[0].logical_device_name == b"PMT1"
    return losses


@pytest.mark.parametrize("k", range(len(STRANGE)), ids=[s[1] for s in STRANGE])
def test_what_is_not_understood_is_said(k, of_strange):
    element, sentence = STRANGE[k]
    name = "1.0.1.8.%d.255" % k if "1.0.1.8.0.255" in element else ""
    assert any(name in line and sentence in line for line in of_strange), of_strange


def test_a_list_without_associations_is_for_the_public_client(tmp_path):
    losses, d = imported(tmp_path, "<Objects/>")
    assert [a.client_sap for a in d.associations] == [16] and list(d.limits[2:4]) == [1024, 1024]
    assert "no association that can be had: client 16 may all" in losses
    assert "no clock 0.0.1.0.0.255: there is one" in losses
    assert "no logical device name 0.0.42.0.0.255: it is PMT9000000000001" in losses


def test_values_of_any_type(tmp_path):
    structure = (
        '<Value Type="2"><Item Type="17">5</Item><Item Type="1"><Item Type="18">1</Item>'
        '<Item Type="18">2</Item></Item><Item Type="9">0102</Item><Item/></Value>'
    )
    element = "<GXDLMSData><LN>0.0.96.50.1.255</LN><Access>11</Access>%s</GXDLMSData>"
    losses, d = imported(tmp_path, DATA % (element % structure))
    o = d.find(d.devices[0], 1, "0.0.96.50.1.255")
    assert o.cells[2].encoding().hex() == "0204110501021200011200020902010200"


def test_a_logical_device_name_of_many_digits(tmp_path):
    name = "PMT" + "9" * 5000
    _, d = imported(tmp_path, DATA.replace("PMT1", name) % "")
    assert d.devices[0].logical_device_name == name.encode()


def test_what_an_element_leaves_out_is_as_usual(tmp_path):
    """A structure of which one field is said."""
    element = "<GXDLMSPushSetup><LN>0.0.25.9.0.255</LN><Version>2</Version><Access>1</Access>"
    element += "<ConfirmationParametersInterval>60</ConfirmationParametersInterval>"
    _, d = imported(tmp_path, DATA % (element + "</GXDLMSPushSetup>"))
    value = tables.expected_value(d.find(d.devices[0], 40, "0.0.25.9.0.255"), 12)
    assert value == [bytes.fromhex("ffffffffffffffffff8000ff"), 60]


def test_texts_of_any_characters(tmp_path):
    """They are texts of TOML afterwards."""
    note = "quotes \" ' \\ and \x7f \n \u20ac"
    element = OBJECT % ("<Description>%s</Description><Access>111</Access>" % note)
    losses, d = imported(tmp_path, DATA % element, 'a "name"')
    assert d.find(d.devices[0], 3, "1.0.1.8.0.255").note == note and d.name == 'a "name"'


ASSOCIATION = """<GXDLMSAssociationLogicalName><LN>%s</LN><Version>1</Version>
<Access>111111011</Access><MethodAccess>1111</MethodAccess><ClientSAP>%d</ClientSAP>
<ServerSAP>1</ServerSAP><ApplicationContextName><ContextId>1</ContextId></ApplicationContextName>
<AuthenticationMechanismName><MechanismId>%d</MechanismId></AuthenticationMechanismName>
<Secret>%s</Secret></GXDLMSAssociationLogicalName>"""


def test_associations(tmp_path):
    """The one that has read the list has its rights, and a secret that is there; one with
    certificates cannot be had."""
    rows = ((_CURRENT, 2, 1, ""), ("0.0.40.0.1.255", 16, 0, ""), ("0.0.40.0.2.255", 2, 1, "3132"))
    rows += (("0.0.40.0.3.255", 4, 7, ""),)
    losses, d = imported(tmp_path, DATA % "".join(ASSOCIATION % row for row in rows), "one")
    assert {a.client_sap: a.role for a in d.associations} == {16: "other", 2: "client"}
    assert d.find(d.devices[0], 15, "0.0.40.0.2.255").cells[7].value == b"12"
    assert any("client 4: context 1, mechanism 7" in line for line in losses)
    rows = ((_CURRENT, 4, 7, ""), ("0.0.40.0.1.255", 16, 0, ""))
    losses, d = imported(tmp_path, DATA % "".join(ASSOCIATION % row for row in rows), "two")
    assert {a.client_sap: a.role for a in d.associations} == {16: "client"}
    assert "client 4 has read the list: all others get its rights" in losses


# --- Templates of the simulator: what each client sees, and keys ------------------------------

SEES = """<GXDLMSData><LN>0.0.42.0.0.255</LN><Access>11</Access></GXDLMSData>
<GXDLMSRegister><LN>1.0.1.8.0.255</LN><Access>%s</Access><MethodAccess>%s</MethodAccess>
</GXDLMSRegister>
<GXDLMSRegister><LN>1.0.2.8.0.255</LN><Access>111</Access></GXDLMSRegister>"""
WITH_LIST = """<GXDLMSAssociationLogicalName>
<LN>0.0.40.0.%d.255</LN><Version>2</Version>
<Access>11111111111</Access><MethodAccess>000000</MethodAccess><ObjectList>%s</ObjectList>
<ClientSAP>%d</ClientSAP><ServerSAP>1</ServerSAP>
<ApplicationContextName><ContextId>%d</ContextId></ApplicationContextName>
<AuthenticationMechanismName><MechanismId>%d</MechanismId></AuthenticationMechanismName>
<SecuritySetupReference>0.0.43.0.0.255</SecuritySetupReference>%s
<MultipleAssociationViews>1</MultipleAssociationViews></GXDLMSAssociationLogicalName>"""
ENERGY = """<GXDLMSRegister>
<LN>1.0.1.8.0.255</LN><Access>133</Access><MethodAccess>1</MethodAccess><Unit>30</Unit>%s
<Value Type="6">1234567</Value></GXDLMSRegister>"""
SETUP = """<GXDLMSSecuritySetup>
<LN>0.0.43.0.%d.255</LN><Version>1</Version><Access>111111</Access>
<SecurityPolicy>252</SecurityPolicy><SecuritySuite>0</SecuritySuite><SigningKey>MAoCAQE</SigningKey>
<Guek>000102030405060708090A0B0C0D0E0F</Guek><Gbek>000102030405060708090A0B0C0D0E0F</Gbek>
<Gak>D0 D1 D2 D3 D4 D5 D6 D7 D8 D9 DA DB DC DD DE DF</Gak></GXDLMSSecuritySetup>"""
USERS = "<Users><User><Id>7</Id><Name>Ann</Name></User></Users>"
SIMULATOR = (
    WITH_LIST % (1, SEES % ("111", "0"), 16, 1, 0, "<Users />")
    + WITH_LIST % (2, SEES % ("133", "1"), 1, 3, 5, "<Users />")
    + WITH_LIST % (3, SEES % ("111", "0"), 3, 1, 0, USERS)
    + ENERGY % ""
    + "<GXDLMSRegister><LN>1.0.9.9.0.255</LN><Access>111</Access></GXDLMSRegister>"
    + SETUP % 0
    + SETUP % 1
)
GUEK, GAK = "000102030405060708090a0b0c0d0e0f", "d0d1d2d3d4d5d6d7d8d9dadbdcdddedf"


@pytest.fixture(scope="module")
def simulated(tmp_path_factory):
    folder = tmp_path_factory.mktemp("simulator")
    return (*imported(folder, DATA % SIMULATOR), folder / "mine.toml")


def test_each_client_has_the_rights_of_its_own_list(simulated):
    _, d, _ = simulated
    roles = {a.client_sap: a.role for a in d.associations}
    energy = d.find(d.devices[0], 3, "1.0.1.8.0.255")
    assert energy.access[roles[16]].hex() == "01010100"
    assert energy.access[roles[1]].hex() == "01030301"
    assert d.find(d.devices[0], 3, "1.0.9.9.0.255").access == {}
    setup = d.find(d.devices[0], 64, "0.0.43.0.0.255")
    assert setup.access == {}
    for name in (_CURRENT, "0.0.40.0.2.255"):  # without which it would see no list at all
        assert roles[1] in d.find(d.devices[0], 15, name).access


def test_keys_and_users_of_a_template(simulated):
    _, d, _ = simulated
    setup = d.find(d.devices[0], 64, "0.0.43.0.0.255")
    keys = setup.keys()
    assert (keys["guek"], keys["gak"]) == (GUEK, GAK)
    assert keys["gbek"] not in (GUEK, "") and setup.cells[2].value == 252 & ~0x90
    assert d.find(d.devices[0], 64, "0.0.43.0.1.255").keys() == {}
    users = d.find(d.devices[0], 15, "0.0.40.0.3.255").cells[10]
    assert users.encoding().hex() == "0101020211070a03416e6e"


@pytest.mark.parametrize(
    "sentence",
    [
        "no current association 0.0.40.0.0.255: there is one",
        "client 16: GXDLMSRegister 1.0.2.8.0.255 of its ObjectList: is no object of the list",
        "0.0.43.0.0.255: gbek is the guek of 0.0.43.0.0.255, too; another one stands for it",
        "0.0.43.0.0.255: kek: not in the list",
        "0.0.43.0.0.255: its policy asks for signatures, which suite 0 has not",
        "0.0.43.0.1.255: no client has it: its keys are left out",
        "64 0.0.43.0.0.255: SigningKey is not known; it is left out",
        "3 1.0.9.9.0.255: no client sees it",
        "1 of 2 registers keep their values",
    ],
)
def test_what_a_template_loses_is_said(sentence, simulated):
    losses, _, _ = simulated
    assert any(sentence in line for line in losses), losses
    assert not any(GUEK.upper() in line.upper() or "MAoC" in line for line in losses)


def test_gurux_reads_a_meter_of_a_template(simulated, peers):
    """The public client sees what its list says, and the other one comes in with the keys."""
    _, _, toml = simulated
    meter = RunningMeter("cpython", "--definition", str(toml))
    keys = {"title": "434c490000000001", "counter": "1", "guek": GUEK, "gak": GAK}
    try:
        for client, how, mode in ((16, "", 1), (1, keys, 3)):
            peer = Peer(peers, "gurux_client.py", meter, "wrapper", (client, 1), how)
            peer.ask("open")
            objects = {o["obis"]: o for o in peer.ask("objects")["objects"]}
            assert objects["1.0.1.8.0.255"]["attributes"][1][1] == mode
            assert "0.0.43.0.0.255" not in objects and "1.0.9.9.0.255" not in objects
            assert peer.get(3, "1.0.1.8.0.255", 2)["value"] >= 1234567
            peer.end()
    finally:
        meter.stop()


def test_registers_are_fed_that_are_like_those_of_the_reference_meter(tmp_path):
    def sources(more, name):
        _, d = imported(tmp_path, DATA % (ENERGY % more), name)
        return d.find(d.devices[0], 3, "1.0.1.8.0.255").source

    assert sources("", "one") == "energy.a_plus"
    assert sources("<Scaler>1000</Scaler>", "two") is None  # in kWh


def test_nobody_knows_whose_rights_there_are(tmp_path):
    rows = (("0.0.40.0.1.255", 16, 0, ""), ("0.0.40.0.2.255", 2, 1, "3132"))
    losses, d = imported(tmp_path, DATA % "".join(ASSOCIATION % row for row in rows))
    assert {a.role for a in d.associations} == {"client"}
    assert "nobody knows who has read the list: all clients get its rights" in losses


def test_more_than_a_meter_holds(tmp_path, monkeypatch):
    many = "".join((OBJECT % "").replace("8.0.255", "8.%d.255" % k) for k in range(40))
    monkeypatch.setattr(making, "_MOST_OBJECTS", 20)
    with pytest.raises(Trouble, match="more than 20 objects"):
        imported(tmp_path, DATA % many)
    monkeypatch.undo()
    long = """<GXDLMSData><LN>0.0.96.1.%d.255</LN><Access>13</Access>
        <Value Type="9">%s</Value></GXDLMSData>"""
    many = "".join(long % (k, "00" * 1000) for k in range(70))
    with pytest.raises(Trouble, match="No definition comes of list.xml: ram has 7[0-9]+ octets"):
        imported(tmp_path, DATA % many, "two")


def test_more_than_can_be_repaired(tmp_path, monkeypatch):
    """Each of them is found when a definition is made of all."""
    counter = """<GXDLMSData><LN>0.0.43.1.%d.255</LN><Access>11</Access><Value Type="17">1</Value>
        </GXDLMSData><GXDLMSSecuritySetup><LN>0.0.43.0.%d.255</LN></GXDLMSSecuritySetup>"""
    many = "".join(counter % (k, k) for k in range(1, 6))
    monkeypatch.setattr(making, "_MOST_REPAIRS", 3)
    with pytest.raises(Trouble, match="more than 3 things .*: 1 0.0.43.1.[1-5].255: "):
        imported(tmp_path, DATA % many)


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "iso-8859-1"])
def test_encodings(encoding, tmp_path):
    head = '<?xml version="1.0" encoding="%s"?>' % encoding.removesuffix("-sig")
    element = OBJECT % "<Description>\u00c9nergie</Description><Access>111</Access>"
    _, d = imported(tmp_path, (head + DATA % element).encode(encoding))
    assert d.find(d.devices[0], 3, "1.0.1.8.0.255").note == "\u00c9nergie"


def test_rights(tmp_path):
    """Digits as older versions have them, octets as version 3 of Association LN."""
    digits = OBJECT % "<Access>135</Access><MethodAccess>2</MethodAccess>"
    _, d = imported(tmp_path, DATA % digits, "one")
    rights = d.find(d.devices[0], 3, "1.0.1.8.0.255").access["client"]
    assert rights.hex() == "01030605"
    octets = OBJECT % "<Access3>800180638023</Access3><MethodAccess3>8005</MethodAccess3>"
    _, d = imported(tmp_path, DATA % octets, "two")
    rights = d.find(d.devices[0], 3, "1.0.1.8.0.255").access["client"]
    assert rights.hex() == "01632305"


def test_a_secret_that_is_none_is_not_shown(tmp_path):
    losses, _ = imported(tmp_path, DATA % (ASSOCIATION % ("0.0.40.0.1.255", 2, 1, "open sesame")))
    assert "15 0.0.40.0.1.255: Secret: what it says is not understood" in losses
    assert not any("sesame" in line for line in losses)


def test_what_another_list_has_is_said(tmp_path):
    losses = templates.export_file(RESIDENTIAL, str(tmp_path / "list.xml"), client_sap=2)
    assert "logical device 17 is not in it: --server 17" in losses
    assert any(line.startswith("client 2 does not see 9 0.0.10.0.0.255,") for line in losses)


# --- Commands ---------------------------------------------------------------------------------


def test_what_is_there_stays(tmp_path):
    file = tmp_path / "list.xml"
    file.write_text("<Objects/>")
    (tmp_path / "mine.toml").write_text("kept")
    with pytest.raises(Trouble, match="It stays"):
        templates.import_file(str(file), str(tmp_path / "mine.toml"))
    assert (tmp_path / "mine.toml").read_text() == "kept"


def test_wrong_arguments(tmp_path):
    with pytest.raises(Trouble, match="There is no such association"):
        templates.export_file(RESIDENTIAL, str(tmp_path / "x.xml"), client_sap=99)
    with pytest.raises(Trouble, match="Cannot write"):
        templates.export_file(RESIDENTIAL, str(tmp_path / "no" / "x.xml"))
    with pytest.raises(Trouble, match="Cannot read"):
        templates.import_file(str(tmp_path / "none.xml"), str(tmp_path / "mine.toml"))
    with pytest.raises(Trouble, match="expected a readable file"):
        templates.export_file(str(tmp_path / "none.toml"), str(tmp_path / "x.xml"))


def test_as_a_command(tmp_path):
    r = subprocess.run(
        [sys.executable, os.path.join(ROOT, "tools", "meter.py"), "import", "none.xml", "x.toml"],
        cwd=tmp_path, capture_output=True, text=True,
    )  # fmt: skip
    assert r.returncode == 1 and r.stderr == "Cannot read none.xml (No such file or directory).\n"


def test_layouts_name_attributes_that_there_are():
    classes = tables.load_classes()
    for class_id, (_, *members) in layouts.LAYOUTS.items():
        known = {k for v in classes[class_id].versions.values() for k in v.attributes}
        assert {m.path[0] for m in members if m.path} <= known
