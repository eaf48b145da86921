# SPDX-License-Identifier: MIT
"""tools/decoding/keys.py: keys of sheets, records and PEM files, and what is wrong with those."""

import json
import os

import compile as compiling
import identities
import pytest
import records
import sheet as sheets
from authority import Authority
from bootstrap import ROOT, Trouble
from decoding.keys import Keys

EK = "000102030405060708090A0B0C0D0E0F"
TITLE = bytes.fromhex("4D4D4D0000BC614E")


@pytest.fixture(scope="module")
def module():
    """Security setups of every suite."""
    path = os.path.join(ROOT, "host_tests", "definitions", "provisioned.toml")
    return sheets.load(compiling.definition(path))


@pytest.fixture(scope="module")
def record(module):
    return identities.new("ABC", "42", module)


def written(tmp_path, name, text):
    path = tmp_path / name
    path.write_text(text)
    return str(path)


def known(keys):
    """{(title, GUEK): (GBEK, GAK, KEK)} of all sets."""
    return {(s.title, s.guek): (s.gbek, s.gak, s.kek) for s in keys.sets}


def setups(record):
    return {
        (record.system_title, k["guek"]): (k["gbek"], k["gak"], k["kek"])
        for k in record.setups.values()
    }


def test_a_record(record, tmp_path):
    keys = Keys.read(written(tmp_path, "record.toml", record.toml()))
    assert known(keys) == setups(record)
    own = {c.title for c in record.certificates if c.private_key}
    assert own and {title for title, _ in keys.private} == own
    # that of the authority is for neither
    titles = {c.title for c in record.certificates if c.entity != "authority"}
    assert {title for title, _ in keys.public} == titles


def test_a_sheet_with_the_keys_of_a_record(record, module, tmp_path):
    text = json.dumps(records.sheet(record, module, [], ["all"]))
    keys = Keys.read(written(tmp_path, "sheet.json", text))
    assert known(keys).items() <= setups(record).items()
    assert len(keys.sets) == len(known(keys))  # each but once, whoever uses it
    assert record.system_title in keys.titles()
    shown = repr((keys, keys.sets)).upper()
    for of in record.setups.values():
        assert all(key.hex().upper() not in shown for key in of.values())


def test_a_sheet_of_a_definition(module, tmp_path):
    """Demo keys."""
    keys = Keys.read(written(tmp_path, "sheet.json", json.dumps(sheets.sheet(module, []))))
    assert keys.sets and all(s.guek and s.title == module.SYSTEM_TITLE for s in keys.sets)


def test_a_sheet_without_keys(record, module, tmp_path):
    keys = Keys.read(written(tmp_path, "s.json", json.dumps(records.sheet(record, module, []))))
    assert keys.sets == []


@pytest.mark.parametrize("curve", ["P-256", "P-384"])
def test_a_certificate_and_its_private_key(curve, tmp_path):
    pair = Authority(str(tmp_path)).client(TITLE, curve, "agree")
    keys = Keys.read(written(tmp_path, "client.pem", pair.pem()))
    ((where, (private,)),) = keys.private.items()
    assert where == (TITLE, "agree")
    assert private.private_numbers() == pair.key.private_numbers()
    assert list(keys.public) == [(TITLE, "agree")]
    assert str(private.private_numbers().private_value) not in repr(keys)


def test_keys_from_options():
    keys = Keys()
    keys.add(guek=EK, gak=bytes.fromhex(EK), gbek="", title=TITLE.hex())
    (found,) = keys.sets
    assert (found.title, found.guek, found.gbek) == (TITLE, bytes.fromhex(EK), None)
    keys.add(guek="", gak=None)
    assert len(keys.sets) == 1 and keys
    assert not Keys()


@pytest.mark.parametrize("keys, sentence", [
    ({"guek": EK[:-2]}, "The GUEK has 15 octets; expected 16 or 32."),
    ({"guek": "secret" * 6}, "The GUEK is not hexadecimal."),
    ({"guek": EK, "title": "4D4D4D"}, "The system title has 3 octets; expected 8."),
])  # fmt: skip
def test_options_that_are_none(keys, sentence):
    with pytest.raises(Trouble) as e:
        Keys().add(**keys)
    assert str(e.value) == sentence


SHEET = '{"associations": [{"guek_hex": "%s"}]}'


@pytest.mark.parametrize("text, sentence", [
    ("", "is none of: a connection sheet (JSON), a provisioning record (TOML)"),
    ("{", "is none of"),
    ("{}", "is none of"),
    ('{"associations": 5}', "is none of"),
    ("\xff", "is none of"),
    ("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n", "is none of"),
    (SHEET % EK[:20], "The GUEK has 10 octets; expected 16 or 32."),
    (SHEET % (EK[:20] + "xyz"), "The GUEK is not hexadecimal."),
    ('system_title = "4D"\n[[security_setup]]\nguek = "%s"' % EK, "The system title has 1 octet"),
])  # fmt: skip
def test_files_that_are_none(text, sentence, tmp_path):
    """Said with the name of the file, and without what is in it."""
    path = written(tmp_path, "file", text)
    with pytest.raises(Trouble) as e:
        Keys.read(path)
    assert sentence in str(e.value) and path in str(e.value)
    assert EK[:20] not in str(e.value)


def test_a_private_key_of_nobody(tmp_path):
    text = Authority(str(tmp_path)).client(TITLE, "P-256", "sign").pem()
    text = text[text.index("-----BEGIN PRIVATE KEY-----") :]
    with pytest.raises(Trouble, match="without its certificate"):
        Keys.read(written(tmp_path, "key.pem", text))


def test_no_such_file(tmp_path):
    with pytest.raises(Trouble, match="Cannot read .*missing"):
        Keys.read(str(tmp_path / "missing"))
