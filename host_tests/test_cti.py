# SPDX-License-Identifier: MIT
"""tools/cti.py: a draft of the tester's file for the official conformance test tool."""

import configparser
import os
import stat

import compile as compiling
import cti
import identities
import pytest
import records
import sheet as sheets
from bootstrap import Trouble
from test_provision import DEFINITION, SECURED


def read(path):
    """The draft, as an INI file would be read."""
    parser = configparser.ConfigParser(interpolation=None)
    parser.optionxform = str
    parser.read(path, encoding="utf-8")
    return parser


@pytest.fixture(scope="module")
def of_a_record(tmp_path_factory):
    """(record, path of the draft, draft)"""
    folder = tmp_path_factory.mktemp("records")
    record = identities.new("ABC", "42", sheets.load(compiling.definition(DEFINITION)))
    saved = records.save(record, str(folder))
    path = str(folder / "meter.cti")
    assert cti.main([saved, "--type", "P1", "-o", path]) == 0
    return record, path, read(path)


def test_it_says_whose_meter_it_is(of_a_record):
    record, path, draft = of_a_record
    assert dict(draft["Identification"]) == {
        "Manufacturer": "fill in",
        "FlagID": "ABC",
        "ManagementLogicalDeviceName": record.name,
        "Type": "P1",
        "SerialNumber": "42",
        "SystemTitle": record.system_title.hex().upper(),
    }


def test_it_has_all_devices_and_associations(of_a_record):
    record, path, draft = of_a_record
    module = sheets.load(compiling.definition(DEFINITION))
    wanted = {"Identification", "CommunicationProfile", "Options"}
    wanted |= {"LogicalDevice %d" % d[0] for d in module.DEVICES}
    wanted |= {
        "Association %d of LogicalDevice %d" % (a[0], module.DEVICES[a[1]][0])
        for a in module.ASSOCIATIONS
    }
    assert set(draft.sections()) == wanted
    assert draft["Options"]["DoNotTest"] == "[]"


def test_secrets_are_those_of_the_record(of_a_record):
    record, path, draft = of_a_record
    for (server, client), secret in record.secrets.items():
        section = draft["Association %d of LogicalDevice %d" % (client, server)]
        assert bytes.fromhex(section["Secret"]) == secret
    section = draft["Association 1 of LogicalDevice 1"]
    keys = record.setups[1, "0.0.43.0.1"]
    assert [bytes.fromhex(section[k.upper()]) for k in records.KEYS] == list(
        keys[k] for k in records.KEYS
    )
    assert (section["Mechanism"], section["SecuritySuite"]) == ("5", "0")
    assert section["ConformanceBlock"] == "60FE5D"
    assert section["SecurityPolicy"] == "6C" and "authenticated" in section["Requests"]
    # Nothing of the definition, whose secrets everybody knows.
    with open(path, encoding="utf-8") as f:
        text = f.read()
    assert b"demo".hex() not in text.lower() and "44454D4F" not in text


def test_private_keys_stay_with_the_meter(tmp_path):
    module = sheets.load(compiling.definition(SECURED))
    record = identities.new("ABC", "43", module)
    path = str(tmp_path / "meter.cti")
    saved = records.save(record, str(tmp_path))
    how = ["--definition", SECURED, "--profile", "wrapper", "-o", path]
    assert cti.main([saved, *how]) == 0
    with open(path, encoding="utf-8") as f:
        text = f.read().upper()
    private = [c.private_key.hex().upper() for c in record.certificates if c.private_key]
    assert private and not any(key in text for key in private)


def test_clients_that_sign_are_known_by_their_certificates(of_a_record):
    record, _, draft = of_a_record
    for client, suite in ((4, "1"), (5, "2")):
        section = draft["Association %d of LogicalDevice 1" % client]
        assert section["SecuritySuite"] == suite
        assert section["ClientSystemTitle"] == "434C49%010X" % client
        certificates = {c.certificate.hex().upper() for c in record.certificates}
        assert {section[k] for k in section if k.endswith("Certificate")} <= certificates
    assert draft["Association 1 of LogicalDevice 1"]["ClientSystemTitle"] == "fill in"


def test_a_draft_without_secrets(of_a_record, tmp_path):
    record, full, _ = of_a_record
    path = str(tmp_path / "shown.cti")
    saved = os.path.join(os.path.dirname(full), record.name + ".toml")
    assert cti.main([saved, "--without-secrets", "-o", path]) == 0
    with open(path, encoding="utf-8") as f:
        text = f.read()
    secrets = [*record.secrets.values(), *(k for s in record.setups.values() for k in s.values())]
    assert len(secrets) > 20 and not any(octets.hex().upper() in text for octets in secrets)
    section = read(path)["Association 1 of LogicalDevice 1"]
    assert section["GUEK"] == section["KEK"] == "fill in"
    assert "left out" in text.split("\n[")[0]


def test_only_its_owner_can_read_it_and_it_says_so(of_a_record, capsys):
    record, path, draft = of_a_record
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    with open(path, encoding="utf-8") as f:
        head = f.read().split("\n[")[0]
    assert "SECRETS" in head and "uncertain" in head


def test_each_section_says_how_sure_its_form_is(of_a_record):
    with open(of_a_record[1], encoding="utf-8") as f:
        sections = f.read().split("\n[")[1:]
    assert all("\n# uncertain: the form; " in section for section in sections)


def test_profiles(tmp_path):
    path = str(tmp_path / "wrapper.cti")
    assert cti.main(["--demo", "--profile", "wrapper", "--host", "192.0.2.10", "-o", path]) == 0
    assert dict(read(path)["CommunicationProfile"]) == {
        "Profile": "TCP-UDP/IP",
        "Host": "192.0.2.10",
        "Port": "4059",
        "InactivityTimeOut_s": "180",
    }
    path = str(tmp_path / "hdlc.cti")
    assert cti.main(["--demo", "-o", path]) == 0
    draft = read(path)["CommunicationProfile"]
    assert (draft["BaudRate"], draft["LowerHDLCAddress"]) == ("9600 baud", "17")
    assert draft["MaxInfoFieldLengthReceive"] == "128"


def test_what_is_there_stays(tmp_path):
    path = tmp_path / "meter.cti"
    path.write_text("kept")
    with pytest.raises(Trouble, match="It stays"):
        cti.main(["--demo", "-o", str(path)])
    assert path.read_text() == "kept"


def test_what_cannot_be(tmp_path, capsys):
    with pytest.raises(Trouble, match="expected --profile wrapper"):
        cti.main(["--demo", "--definition", SECURED, "-o", str(tmp_path / "x.cti")])
    with pytest.raises(Trouble, match="There is no record"):
        cti.main(["nobody", "--folder", str(tmp_path)])
    with pytest.raises(Trouble, match="Cannot write"):
        cti.main(["--demo", "-o", str(tmp_path / "no" / "x.cti")])
    with pytest.raises(Trouble, match="expected a readable file"):
        cti.main(["--demo", "--definition", str(tmp_path / "none.toml")])
    with pytest.raises(SystemExit):
        cti.main([])
    assert "expected a RECORD, or --demo" in capsys.readouterr().err
