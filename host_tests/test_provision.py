# SPDX-License-Identifier: MIT
"""A meter gets its identity: records (tools/provision.py), what the firmware makes of them
(firmware/provisioning.py), and that nothing of it shows where it should not.

What a board does with a record is in test_deploy.py.
"""

import binascii
import os
import re
import stat
import subprocess
import sys
import types

import authority
import compile as compiling
import identities
import pytest
import records
import sheet as sheets
from bootstrap import Trouble
from crypto.certificate import Certificate
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from dlms.server import Server
import running
from running import (
    AARQ,
    GET_NAME,
    HLS_READING,
    MANAGEMENT,
    PUBLIC,
    READING,
    SHORT,
    ROOT,
    Running,
    Secured,
    Wrapper,
    aarq_with,
)

from secure import Client, take_length
from small import Talk
from suites import SigningClient
from test_store import MemoryFiles, PowerCut

from firmware import app, ports, provisioning, store
from firmware.ports import ciphers, cpython

DEFINITION = os.path.join(ROOT, "firmware", "definitions", "residential.toml")
# Security setups of every suite.
SECURED = os.path.join(ROOT, "host_tests", "definitions", "provisioned.toml")
PROVISION = os.path.join(ROOT, "tools", "provision.py")
DISPLAY_SAP = 17
GET_SERIAL = bytes.fromhex("C001C100010000600100FF0200")
GET_ASSIGNMENT = bytes.fromhex("C001C100110000290000FF0200")
SET_SECRET = bytes.fromhex("C10141000F0000280002FF0700")


@pytest.fixture(scope="module")
def module():
    return sheets.load(compiling.definition(DEFINITION))


@pytest.fixture(scope="module")
def secured():
    return sheets.load(compiling.definition(SECURED))


@pytest.fixture
def record(module):
    return identities.new("ABC", "42", module)


@pytest.fixture
def full(secured):
    return identities.new("ABC", "42", secured)


def provision(*args):
    r = subprocess.run(
        [sys.executable, PROVISION, *args], cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert "Traceback" not in r.stderr
    return r.returncode, r.stdout, r.stderr.strip()


def all_secrets(record):
    """Whatever must not show, in the forms that it could."""
    found = [s.decode() for s in record.secrets.values()]
    found += [s.hex() for s in record.secrets.values()]
    keys = [key for setup in record.setups.values() for key in setup.values()]
    for key in keys + [c.private_key for c in record.certificates if c.private_key]:
        found += [key.hex(), key.hex().upper(), repr(key)]
    return found


# --- Records --------------------------------------------------------------------------------


def test_what_a_record_has(record, module):
    assert record.name == "ABC0000000000042"
    assert record.devices[DISPLAY_SAP] == ("ABC000000002A-11", "42-17")
    # IEC 62056-5-3: three letters of the manufacturer, five octets that are unique.
    assert record.system_title == b"ABC" + (42).to_bytes(5, "big")
    assert set(record.secrets) == {(1, READING), (1, HLS_READING), (1, SHORT)}
    for secret in record.secrets.values():
        assert re.fullmatch(rb"[a-km-z2-9]{26}", secret)
    other = identities.new("ABC", "42", module)
    assert not set(record.secrets.values()) & set(other.secrets.values())


def test_the_system_title_of_the_sheet_is_made_by_the_same_rule(module):
    name = module.DEVICES[0][3].decode()
    assert identities.new(name[:3], name[3:], module).system_title == module.SYSTEM_TITLE


@pytest.mark.parametrize("which", ["record", "full"])
def test_a_record_is_kept_as_it_was(which, tmp_path, request):
    record = request.getfixturevalue(which)
    record.note = 'from the "first" bench \\ Zürich'
    record.maker = bytes(range(64)) if which == "full" else b""
    path = records.save(record, str(tmp_path / "new" / "folder"))
    again = records.load(path)
    assert again.octets() == record.octets()
    assert again.note == record.note
    assert records.from_octets(record.octets()).octets() == record.octets()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    with pytest.raises(Trouble, match="There is a record of this meter already"):
        records.save(record, os.path.dirname(path))


MAKER = bytes(range(64, 128))


def test_whose_firmware_a_meter_takes(record, module, tmp_path):
    """A meter with a record takes that of its maker there, and never that of the demo key."""
    for maker, found in ((MAKER, MAKER), (b"", b"")):
        record.maker = maker
        (tmp_path / "record").write_bytes(record.octets())
        taken = provisioning.load(str(tmp_path / "record"))
        storage = store.FileStorage(str(tmp_path / ("with" if maker else "without")))
        meter = app.build(module, storage, ports.current(), record=taken,
                          update=str(tmp_path / "update"))  # fmt: skip
        assert taken.maker() == found == meter.model.images._maker
        meter.close()
    assert provisioning.load(str(tmp_path / "nowhere")).maker() == b""


def test_a_maker_is_given_to_a_record(tmp_path):
    folder = ("--folder", str(tmp_path), "--definition", SECURED)
    code, _out, err = provision("new", "--flag", "ABC", "--maker-key", "0x12", *folder)
    assert code and "no public key" in err
    key = "0x" + MAKER.hex()
    code, out, err = provision(
        "new", "--flag", "ABC", "--serial", "7", "--maker-key", key, *folder
    )
    assert code == 0, err
    name = out.split()[0]
    assert records.load(records.find(name, str(tmp_path))).maker == MAKER
    other = "0x" + MAKER[::-1].hex()
    assert provision("complete", name, "--maker-key", other, *folder)[1] == "added: maker's key\n"
    assert records.load(records.find(name, str(tmp_path))).maker == MAKER[::-1]
    assert provision("complete", name, *folder)[1] == "It has all that it needs.\n"


@pytest.mark.parametrize("which", ["record", "full"])
def test_a_damaged_record_is_refused_whatever_the_damage(which, tmp_path, request):
    record = request.getfixturevalue(which)
    path = tmp_path / "r.toml"
    text = record.toml()
    lines = text.splitlines()
    for n, line in enumerate(lines):
        if not line or line.startswith(("#", "note", "made", "[")) or line == "release = false":
            continue
        for damage in (line[:-2], line[:-2] + "?" + line[-1], line[:-1] + "1", ""):
            if damage == line:
                continue
            path.write_text("\n".join(lines[:n] + [damage] + lines[n + 1 :]))
            with pytest.raises(Trouble) as e:
                records.load(str(path))
            assert "damaged" in str(e.value) or "format" in str(e.value)
            assert not any(secret in str(e.value) for secret in all_secrets(record))
    path.write_bytes(text.encode()[:300])
    with pytest.raises(Trouble, match="damaged"):
        records.load(str(path))
    path.write_bytes(b"\xff\xfe")
    with pytest.raises(Trouble, match="damaged"):
        records.load(str(path))


@pytest.mark.parametrize(
    "flag_id, serial, release, sentence",
    [
        ("AB", "1", False, "no FLAG id"),
        ("AB1", "1", False, "no FLAG id"),
        ("ABCD", "1", False, "no FLAG id"),
        ("PMT", "1", True, "demo meters"),
        ("pmt", "1", True, "demo meters"),
        ("ABC", "", False, "no serial number"),
        ("ABC", "12x", False, "no serial number"),
        ("ABC", "1099511627776", False, "no serial number"),
        ("ABC", "00000000000001", False, "no serial number"),
    ],
)
def test_what_a_record_cannot_have(flag_id, serial, release, sentence, module):
    with pytest.raises(Trouble, match=sentence):
        identities.new(flag_id, serial, module, release)


def test_the_largest_serial_number(module):
    record = identities.new("ABC", "1099511627775", module)
    assert record.name == "ABC1099511627775"
    assert record.system_title == b"ABC" + b"\xff" * 5
    assert record.devices[DISPLAY_SAP][0] == "ABCFFFFFFFFFF-11"


def test_nothing_shows_by_itself(record, tmp_path, module):
    path = records.save(record, str(tmp_path))
    (tmp_path / "r").write_bytes(record.octets())
    device_record = provisioning.load(str(tmp_path / "r"))
    shown = repr(record) + str(record) + repr(device_record) + str(device_record)
    shown += "\n".join(records.sheet_text(records.sheet(record, module, [])))
    code, out, err = provision("show", path)
    assert code == 0
    shown += out + err
    code, out, err = provision("list", "--folder", str(tmp_path))
    assert code == 0 and record.name in out
    shown += out + err
    assert not any(secret in shown for secret in all_secrets(record))


def test_keys_show_when_asked_for_by_name(secured, tmp_path):
    record = identities.new("ABC", "42", secured)
    path = records.save(record, str(tmp_path))
    show = "show", path, "--definition", SECURED
    code, out, _err = provision(*show, "--show-keys", "guek,lls:2")
    assert code == 0
    setups = record.setups.values()
    assert all(keys["guek"].hex().upper() in out for keys in setups)
    assert record.secrets[1, 2].decode() in out
    hidden = [keys["kek"].hex().upper() for keys in setups]
    hidden += [c.private_key.hex().upper() for c in record.certificates if c.private_key]
    assert not any(key in out for key in [*hidden, record.secrets[1, 3].decode()])
    code, out, _err = provision(*show, "--show-keys", "--json")
    assert all(key.hex().upper() in out for keys in setups for key in keys.values())
    assert all(key in out for key in hidden)
    assert record.secrets[1, 3].hex().upper() in out
    code, out, err = provision(*show, "--show-keys", "geuk")
    assert (code, out) == (1, "")
    assert err == (
        "There is no key geuk. There are: all, lls, hls, guek, gbek, gak, kek, private, hls:3,"
        " lls:2."
    )


def test_the_command_line(tmp_path):
    folder = ["--folder", str(tmp_path)]
    code, out, _err = provision("new", "--flag", "abc", "--serial", "007", "--release", *folder)
    assert (code, out.split()[0]) == (0, "ABC0000000000007")
    # The next one, and the same one in other words.
    assert provision("new", "--flag", "ABC", *folder)[1].split()[0] == "ABC0000000000008"
    code, _out, err = provision("new", "--flag", "ABC", "--serial", "7", *folder)
    assert code == 1 and "There is a record of this meter already" in err
    assert provision("show", "007", *folder)[0] == 0
    code, _out, err = provision("show", "9", *folder)
    assert code == 1 and err.startswith("There is no record 9, neither as a file nor in")
    assert provision("write", "008", *folder)[0] == 2
    state = ["--state", str(tmp_path / "state")]
    code, _out, err = provision("write", "008", *state, "--release", *folder)
    assert code == 1 and "is a record for the bench" in err
    assert not os.path.exists(tmp_path / "state")
    assert provision("write", "007", *state, "--release", *folder)[0] == 0
    code, _out, err = provision("write", "007", "--port", "/dev/no-such-port", *folder)
    assert code == 1 and err.startswith("There is no port /dev/no-such-port.")
    # Another file that is none does not stop the list.
    (tmp_path / "x.toml").write_text("format = 3")
    code, out, err = provision("list", *folder)
    assert (code, len(out.splitlines())) == (1, 2)
    assert "x.toml is no provisioning record of format 2." in err
    os.chmod(tmp_path / "ABC0000000000007.toml", 0o644)
    assert "Other users of this computer can read" in provision("show", "007", *folder)[2]


# --- The firmware ---------------------------------------------------------------------------


class Meter:
    """A model with a record applied as app.build() does, and a server for it."""

    def __init__(self, module, record, storage=None):
        from cosem.model import Model

        self.definition = type("definition", (), dict(vars(module)))
        self.model = Model(self.definition)
        self.model.storage = storage or store.RAMStorage()
        if storage is not None:
            storage.prepare(self.definition)
            storage.load(self.model.image)
        self.model.aes = ciphers.aes
        self.model.new_hash = ciphers.new_hash
        self.model.random_fill = cpython.random_fill
        self.model.save = lambda: True
        self.record = record
        record.apply(self.model)
        self.model.start()
        self.server = Server(self.model)
        self.channel = self.server.channel()

    def ask(self, client, apdu, server=1):
        n = -1
        apdu = bytearray(apdu)  # what comes again is as the server has left it
        while n < 0:
            if self.server.todo:
                self.server.work()
            n = self.server.request(self.channel, client, server, apdu, 0, len(apdu))
        return bytes(self.channel.tx[self.channel.tx_pos : self.channel.tx_pos + n])

    def secured(self, client, sheet):
        link = types.SimpleNamespace(ask=lambda apdu: self.ask(client, apdu))
        return Secured(link, client, of=sheet)

    def opens(self, client, aarq, server=1):
        answer = self.ask(client, aarq, server)
        return answer[:1] == b"\x61" and b"\xa2\x03\x02\x01\x00" in answer

    def text(self, client, apdu, server=1):
        answer = self.ask(client, apdu, server)
        assert answer[:4] == bytes.fromhex("C401C100"), answer
        return answer[6:].decode()


def load(tmp_path, data):
    path = tmp_path / "record"
    path.write_bytes(data)
    return provisioning.load(str(path))


def test_a_meter_with_a_record(module, record, tmp_path):
    device_record = load(tmp_path, record.octets())
    assert device_record.good
    meter = Meter(module, device_record)
    assert device_record.message == ""
    assert meter.opens(PUBLIC, AARQ)
    assert meter.text(PUBLIC, GET_NAME) == "ABC0000000000042"
    assert meter.text(PUBLIC, GET_SERIAL) == "42"
    assigned = meter.ask(PUBLIC, GET_ASSIGNMENT)
    assert b"\x12\x00\x01\x09\x10ABC0000000000042" in assigned
    assert b"\x12\x00\x11\x09\x10ABC000000002A-11" in assigned
    assert meter.opens(PUBLIC, AARQ, DISPLAY_SAP)
    assert meter.text(PUBLIC, GET_NAME, DISPLAY_SAP) == "ABC000000002A-11"
    assert meter.text(PUBLIC, GET_SERIAL, DISPLAY_SAP) == "42-17"
    assert not meter.opens(READING, aarq_with(b"demo-reading"))
    assert meter.opens(READING, aarq_with(record.secrets[1, READING]))
    demo = {**running.sheet(), "system_title": record.system_title.hex()}
    own = records.sheet(record, module, [], ["all"])
    for client in (MANAGEMENT, HLS_READING):
        assert not meter.secured(client, demo).lets_in()
        assert meter.secured(client, own).lets_in()
    assert device_record.system_title() == meter.model.system_title == record.system_title


def test_a_secret_that_a_client_has_changed_stays(module, record, tmp_path):
    mine = b"only-i-know"
    storage = store.FileStorage(str(tmp_path / "state"))
    meter = Meter(module, load(tmp_path, record.octets()), storage)
    sheet = records.sheet(record, module, [], ["all"])
    manager = meter.secured(MANAGEMENT, sheet).open()
    set_secret = SET_SECRET + bytes((9, len(mine))) + mine
    assert manager.ask(set_secret) == bytes.fromhex("C5014100")
    assert storage.save(meter.model.image)
    storage.close()

    storage = store.FileStorage(str(tmp_path / "state"))
    meter = Meter(module, load(tmp_path, record.octets()), storage)
    assert not meter.opens(READING, aarq_with(record.secrets[1, READING]))
    assert meter.opens(READING, aarq_with(mine))
    assert meter.text(READING, GET_NAME) == "ABC0000000000042"
    storage.close()

    # Until it gets another record.
    other = identities.new("ABC", "43", module)
    storage = store.FileStorage(str(tmp_path / "state"))
    meter = Meter(module, load(tmp_path, other.octets()), storage)
    assert not meter.opens(READING, aarq_with(mine))
    assert meter.opens(READING, aarq_with(other.secrets[1, READING]))
    storage.close()


def refuses(meter):
    """It is to be provisioned: who it is can be read, and nobody gets in."""
    assert not meter.record.good
    assert meter.opens(PUBLIC, AARQ)
    assert meter.text(PUBLIC, GET_NAME) == "PMT0000000000000"
    assert meter.text(PUBLIC, GET_SERIAL) == "unprovisioned"
    for client in (READING, MANAGEMENT):
        for secret in (b"demo-reading", b""):
            assert not meter.opens(client, aarq_with(secret))
        assert not meter.opens(client, AARQ)
    for client in (MANAGEMENT, HLS_READING):
        assert not meter.secured(client, running.sheet()).lets_in()
    assert meter.record.message.endswith(
        "The meter can only be provisioned: clients that authenticate themselves are refused."
    )


def test_no_record(module, tmp_path):
    meter = Meter(module, provisioning.load(str(tmp_path / "none")))
    refuses(meter)
    assert meter.record.message.startswith("There is no provisioning record (")


def test_the_log_says_that_there_is_no_record(module, tmp_path):
    def rows(record):
        definition = type("definition", (), dict(vars(module)))
        meter = app.build(definition, store.RAMStorage(), cpython, 1, 13675680, record=record)
        meter.program.tick(3000)
        while meter.program.work is not None:
            meter.program.tick(0)
        for ring in meter.storage._rings:
            buf = bytearray(ring.row_len)
            for k in range(ring.n):
                ring.read(k, buf, 0)
                yield bytes(buf)

    # Event 14, non-volatile memory error, as an unsigned.
    none = provisioning.load(str(tmp_path / "none"))
    assert any(b"\x11\x0e\x00" in row for row in rows(none))
    assert not any(b"\x11\x0e\x00" in row for row in rows(None))


def test_a_damaged_record(module, record, tmp_path):
    data = record.octets()
    assert load(tmp_path, data).good
    damaged = [b"", data[:5], data[:-1], data + b"\0", b"PMI3" + data[4:], bytes(len(data))]
    for k in range(len(data)):
        damaged.append(data[:k] + bytes((data[k] ^ 1 << k % 8,)) + data[k + 1 :])
    damaged.append(bytes(5000))
    for octets in damaged:
        assert not load(tmp_path, octets).good
    refuses(Meter(module, load(tmp_path, damaged[3])))


def test_a_right_crc_over_wrong_entries(record, tmp_path):
    def sealed(body):
        data = b"PMI2" + len(body).to_bytes(2, "big") + body
        return data + binascii.crc32(data).to_bytes(4, "big")

    wrong = [b"\x10", b"\x10\x00\x10", b"\x03\x00\x07" + bytes(7), b"\x01\x00\x05" + bytes(5)]
    wrong += [b"\x01\x00\x12\x00\x01" + b"\xff" * 16, b"\x02\x00\x03\x00\x01\n"]  # no text
    wrong += [b"\x09\x00\xff", b"\x05\x00\x08" + bytes(8), b"\x06\x00\x12" + bytes(18)]
    wrong += [b"\x06\x00\x13" + bytes(18) + b"\1", b"\x04\x08\x01" + bytes(0x801)]
    for body in wrong:
        assert not load(tmp_path, sealed(body)).good
    # What a later version adds is passed over.
    assert load(tmp_path, sealed(b"\x63\x00\x01x")).good


def test_a_record_for_another_definition(module, record, tmp_path):
    del record.devices[DISPLAY_SAP]
    with pytest.raises(Trouble, match="no name for the logical device of SAP 17"):
        records.fits(record, module)
    meter = Meter(module, load(tmp_path, record.octets()))
    refuses(meter)
    assert "does not fit the definition: it has no name for" in meter.record.message


@pytest.mark.parametrize(
    "place, other, good",
    [
        ((0, "guek"), (1, "guek"), False),
        ((0, "gbek"), (0, "guek"), False),
        ((0, "gak"), (1, "kek"), False),
        ((0, "kek"), (1, "kek"), True),
        ((0, "gak"), (1, "gak"), True),
    ],
)
def test_one_key_in_two_places(full, secured, tmp_path, place, other, good):
    """What encrypts is in one: see tools/tables/key_places.py."""
    keys = full.setups[SETUPS[other[0]]][other[1]]
    full.setups[SETUPS[place[0]]][place[1]] = keys
    on_meter = load(tmp_path, full.octets())
    meter = built(secured, store.RAMStorage(), on_meter)
    assert on_meter.good == good
    if good:
        records.fits(full, secured)
        assert keys_of(meter) == keys_in(full)
        return
    with pytest.raises(Trouble, match="one key as") as e:
        records.fits(full, secured)
    assert keys.hex() not in str(e.value).lower()
    assert "two of its keys are the same" in on_meter.message
    assert not any(keys_in(full)[n] in keys_of(meter) for n in (0, 1))


def test_no_secret_for_an_association_is_not_its_demo_secret(module, record, tmp_path):
    secret = record.secrets.pop((1, READING))
    with pytest.raises(Trouble, match="no secret for client 2 at SAP 1"):
        records.fits(record, module)
    meter = Meter(module, load(tmp_path, record.octets()))
    for offered in (b"demo-reading", b"", secret):
        assert not meter.opens(READING, aarq_with(offered))
    assert meter.secured(MANAGEMENT, records.sheet(record, module, [], ["all"])).lets_in()


def test_a_definition_that_keeps_its_names_in_rom(tmp_path, record):
    with open(DEFINITION) as f:
        text = f.read()
    old = tmp_path / "old.toml"
    in_ram = 'ram = ["value"], volatile = true, note = "COSEM logical'
    old.write_text(text.replace(in_ram, 'note = "COSEM logical'))
    module = sheets.load(compiling.definition(str(old)))
    with pytest.raises(Trouble, match=r"does not let 0.0.42.0.0 of SAP 1 be changed: .*ram = "):
        records.fits(record, module)
    meter = Meter(module, load(tmp_path, record.octets()))
    assert not meter.record.good
    assert "0.0.42.0.0 cannot be changed" in meter.record.message
    assert not meter.opens(READING, aarq_with(b"demo-reading"))


def test_passwords_of_an_optical_port_are_those_of_nobody(tmp_path):
    """Those of the definition everybody knows: a client has to set others."""
    path = os.path.join(ROOT, "firmware", "definitions", "optical.toml")
    module = sheets.load(compiling.definition(path))
    record = load(tmp_path, identities.new("ABC", "42", module).octets())
    model = Meter(module, record).model
    (row,) = model.rows(19)
    for attribute in (7, 8, 9):
        at = model.slot(row, attribute)
        assert model.image[at : at + 2] == b"\x09\x00"
        assert model.value_len(row, attribute) == 2


# --- Keys and certificates ------------------------------------------------------------------

SETUPS = (1, "0.0.43.0.1"), (1, "0.0.43.0.4"), (1, "0.0.43.0.5")


def test_what_a_record_has_for_security_setups(full, secured):
    assert set(full.secrets) == {(1, 2), (1, 3)}
    assert tuple(full.setups) == SETUPS
    keys = [key for setup in full.setups.values() for key in setup.values()]
    assert len(set(keys)) == 12
    assert [len(full.setups[name]["kek"]) for name in SETUPS] == [16, 16, 32]
    have = [(c.logical_name[-1], c.entity, c.kind, c.title.hex()) for c in full.certificates]
    own = full.system_title.hex()
    assert have == [
        (setup, entity, kind, title)
        for setup, client in (("4", "434c490000000004"), ("5", "434c490000000005"))
        for entity, kind, title in (
            ("authority", "sign", ""),
            ("server", "sign", own),
            ("server", "agree", own),
            ("client", "sign", client),
            ("client", "agree", client),
        )
    ]
    assert [bool(c.private_key) for c in full.certificates] == [
        c.entity == "server" for c in full.certificates
    ]
    # Another meter has other keys, and the same clients and authority.
    other = identities.new("ABC", "43", secured)
    for a, b in zip(full.certificates, other.certificates):
        assert (a.certificate == b.certificate) == (a.entity != "server")


def built(secured, storage, record=None):
    """A meter as main.py makes it, at a time when all certificates are valid."""
    definition = type("definition", (), dict(vars(secured)))
    meter = app.build(definition, storage, cpython, 1, 13675680, 0, 0, record=record)
    if meter.model.vault is False:
        meter.model.open_vault()
    return meter


def vault_of(meter):
    """[(row, entity, kind, title, certificate, private key)], in the order of the vault."""
    found = []
    vault = meter.model.vault
    for row in meter.model.rows(64):
        n = 0
        while vault.nth(row, n):
            certificate = bytes(vault.record[vault.pos : vault.end])
            title = vault.title() if any(vault.title()) else b""
            found.append((row, vault.entity, vault.kind, title, certificate, vault.private()))
            n += 1
    return found


def in_vault(record, secured):
    rows = {setup.name: setup.row for setup in records.security_setups(secured)}
    return sorted(
        (
            rows[c.server_sap, c.logical_name],
            records.ENTITIES.index(c.entity),
            records.KINDS.index(c.kind),
            *c[4:],
        )
        for c in record.certificates
    )


def keys_of(meter):
    model = meter.model
    at = [model.state(row, 0) for row in model.rows(64)]
    return [bytes(model.image[a : a + 128]) for a in at]


def keys_in(record):
    """As the image has them: GUEK, GBEK, GAK, KEK, 32 octets for each."""
    order = "guek", "gbek", "gak", "kek"
    return [
        b"".join(keys[name].ljust(32, b"\0") for name in order) for keys in record.setups.values()
    ]


def test_a_meter_takes_keys_and_certificates(full, secured, tmp_path):
    device_record = load(tmp_path, full.octets())
    meter = built(secured, store.RAMStorage(), device_record)
    assert device_record.good and device_record.taken
    assert sorted(vault_of(meter)) == in_vault(full, secured)
    assert keys_of(meter) == keys_in(full)
    # They are in one place: the record has only names any more.
    left = bytes(device_record._data)
    assert device_record.system_title() == full.system_title
    assert not any(key in left for keys in full.setups.values() for key in keys.values())


def test_a_client_of_the_record_comes_in(full, secured, tmp_path):
    meter = built(secured, store.RAMStorage(), load(tmp_path, full.octets()))
    keys = full.setups[SETUPS[0]]

    def client(sap, **how):
        talk = Talk(meter, meter.server.channel(), sap, 1)
        return Client(talk, meter_title=full.system_title, **how).open()

    c = client(1, guek=keys["guek"], gak=keys["gak"])
    assert c.ask("C00141 0001 00002A0000FF 02 00").startswith("C4014100")
    client(3, mechanism=6, context=1, kind=None, secret=full.secrets[1, 3])


class Signing(SigningClient):
    """A client by ECDSA, with what the authority and the record of a meter say."""

    def __init__(self, meter, record, client, suite):
        keys = record.setups[1, "0.0.43.0.%d" % client]
        self.record = record
        title = records.client_title(client)
        how = {"guek": keys["guek"], "gak": keys["gak"], "title": title, "challenge": bytes(32)}
        Client.__init__(
            self,
            Talk(meter, meter.server.channel(), client, 1),
            7,
            suite=suite,
            meter_title=record.system_title,
            **how,
        )
        self.certificate = None
        self.signer = identities.issuer().client(title, records.CURVES[suite], "sign").key

    def finish(self, proof=None):
        proof = self.f()
        got = self.ask("C30141 000F0000280000FF 01 01 09%02X" % len(proof) + proof.hex())
        assert got.startswith("C7014100010009")
        made = bytes.fromhex(got)[8:]
        n = len(made) // 2
        (own,) = [
            c.certificate
            for c in self.record.certificates
            if c.entity == "server"
            and c.kind == "sign"
            and c.logical_name[-1] == str(self.suite + 3)
        ]
        numbers = [int.from_bytes(part, "big") for part in (made[:n], made[n:])]
        x509.load_der_x509_certificate(own).public_key().verify(
            utils.encode_dss_signature(*numbers),
            self.f(to_server=False),
            ec.ECDSA({1: hashes.SHA256(), 2: hashes.SHA384()}[self.suite]),
        )
        return "ok"


@pytest.mark.parametrize("client, suite", [(4, 1), (5, 2)])
def test_a_client_with_a_certificate_comes_in(client, suite, module, record, tmp_path):
    """To the reference meter; not to one with the record of another meter's keys."""
    meter = built(module, store.RAMStorage(), load(tmp_path, record.octets()))
    c = Signing(meter, record, client, suite).open()
    assert c.ask("C00141 0001 00002A0000FF 02 00").startswith("C40141000910")
    # Again, after the vault and the ciphers have been let go of.
    c.talk.channel.release()
    meter.server.forget()
    assert meter.model.vault is False and meter.model.elliptic is None
    again = Signing(meter, record, client, suite)
    again.ic = c.ic
    again.open()
    demo = built(module, store.RAMStorage())
    with pytest.raises(AssertionError):
        Signing(demo, record, client, suite).open()


def test_certificates_that_a_client_has_changed_stay(full, secured, tmp_path):
    files = MemoryFiles()

    def start(record):
        return built(secured, store.FileStorage("state", files), load(tmp_path, record.octets()))

    meter = start(full)
    vault = meter.model.vault
    row = meter.model.rows(64)[1]
    assert vault.find(row, 1, 0, None) and vault.remove()
    assert vault.put(row, 3, 0, b"ABCDEFGH", b"imported")
    now = vault_of(meter)
    meter.close()
    meter = start(full)
    assert not meter.record.taken and vault_of(meter) == now
    meter.close()
    # Until it gets another record.
    other = identities.new("ABC", "43", secured)
    meter = start(other)
    assert meter.record.taken and sorted(vault_of(meter)) == in_vault(other, secured)


def test_storage_that_forgets_certificates_gets_them_again(full, secured, tmp_path):
    """As CircuitPython's: state in a few octets that stay, rings in RAM."""
    storage = store.RAMStorage()
    built(secured, storage, load(tmp_path, full.octets()))
    again = store.RAMStorage()
    again.extra[:] = storage.extra
    meter = built(secured, again, load(tmp_path, full.octets()))
    assert not meter.record.taken and sorted(vault_of(meter)) == in_vault(full, secured)


def test_power_fails_while_a_record_is_taken(full, secured, tmp_path):
    """After that, at any write: all of the record, or all of it at the next start."""
    first = identities.new("ABC", "41", secured)
    files = MemoryFiles()
    built(secured, store.FileStorage("state", files), load(tmp_path, first.octets())).close()
    before = {name: bytes(data) for name, data in files.data.items()}
    cut_at = 0
    while True:
        for part in (0, 4, 8):
            files = MemoryFiles({name: bytearray(data) for name, data in before.items()})
            files.cut_at, files.part = cut_at, part
            record = load(tmp_path, full.octets())
            try:
                built(secured, store.FileStorage("state", files), record)
            except PowerCut:
                pass
            cut = files.off
            files = MemoryFiles(files.data)
            meter = built(
                secured, store.FileStorage("state", files), load(tmp_path, full.octets())
            )
            assert meter.record.good
            assert sorted(vault_of(meter)) == in_vault(full, secured)
            assert keys_of(meter) == keys_in(full)
        if not cut:
            break
        cut_at += 1
    print("cut at each of %d writes" % cut_at)
    assert cut_at >= 28


class Full(store.FileStorage):
    """There is room for rings that were there before, and no more."""

    def ring(self, *args):
        made = store.FileStorage.ring(self, *args)
        self.files.full = True
        return made


def test_storage_without_room_for_certificates(full, secured, tmp_path):
    """They are not taken in part: nobody is let in."""
    record = load(tmp_path, full.octets())
    meter = built(secured, Full("state", MemoryFiles()), record)
    assert not record.good and "cannot be stored" in record.message
    assert [a[0] for a in meter.model.configs] == [16]
    assert keys_of(meter)[0] != keys_in(full)[0]


def test_a_record_without_keys_for_a_security_setup(full, secured, tmp_path):
    del full.setups[SETUPS[1]]
    with pytest.raises(Trouble, match="no keys of 16 octets for the Security setup 0.0.43.0.4"):
        records.fits(full, secured)
    meter = built(secured, store.RAMStorage(), load(tmp_path, full.octets()))
    assert not meter.record.good
    assert "it has no keys for the Security setup 0.0.43.0.4." in meter.record.message
    assert keys_of(meter)[0] != keys_in(full)[0]


def test_a_record_for_less_is_completed(full, module, secured, tmp_path):
    record = identities.new("ABC", "42", module)
    record.setups, record.certificates = {}, []
    del record.secrets[1, HLS_READING]
    with pytest.raises(Trouble, match="provision.py complete adds what it lacks"):
        records.fits(record, secured)
    secret = record.secrets[1, 2]
    added = records.complete(record, secured, identities.issuer)
    assert "keys of 0.0.43.0.4" in added and "secret of client 3" in added
    assert len(record.certificates) == 10 and record.secrets[1, 2] == secret
    assert records.complete(record, secured, identities.issuer) == []
    # As a command.
    path = records.save(record, str(tmp_path))
    args = "complete", path, "--definition", SECURED, "--folder", str(tmp_path)
    assert provision(*args)[1] == "It has all that it needs.\n"
    del record.setups[SETUPS[0]]
    records.replace(record, path)
    assert provision(*args)[1] == "added: keys of 0.0.43.0.1\n"
    again = records.load(path)
    assert SETUPS[0] in again.setups
    # A meter that has lost its counters gets other keys, and nothing else.
    assert len(provision(*args, "--rekey")[1].splitlines()) == 3
    rekeyed = records.load(path)
    assert rekeyed.certificates == again.certificates and rekeyed.secrets == again.secrets
    for name in SETUPS:
        assert not set(rekeyed.setups[name].values()) & set(again.setups[name].values())


FORMAT_1 = """
format = 1
made = "2026-01-01T00:00:00+00:00"
note = ""
release = false
flag_id = "ABC"
serial_number = "42"
system_title = "414243000000002A"
check = "{}"

[[device]]
server_sap = 1
logical_device_name = "ABC0000000000042"
serial_number = "42"

[[secret]]
server_sap = 1
client_sap = 2
text = "abcdefghijkmnpqrstuvwxyz23"

[keys]
guek = "00112233445566778899AABBCCDDEEFF"
gak = "11112233445566778899AABBCCDDEEFF"
gbek = "22112233445566778899AABBCCDDEEFF"
kek = "33112233445566778899AABBCCDDEEFF"
"""


def test_a_record_of_format_1(secured, tmp_path):
    """What it has stays; its keys were never used, for there was nothing to use them."""
    entries = b"\x01\x12\0\x01ABC0000000000042" + b"\x02\x04\0\x0142"
    entries += b"\x03\x08ABC\0\0\0\0\x2a" + b"\x04\x1e\0\x01\0\x02abcdefghijkmnpqrstuvwxyz23"
    for tag, first in ((16, "00"), (17, "11"), (18, "22"), (19, "33")):
        key = bytes.fromhex(first + "112233445566778899AABBCCDDEEFF")
        entries += bytes((tag, 16)) + key
    data = b"PMI1" + len(entries).to_bytes(2, "big") + entries
    data += binascii.crc32(data).to_bytes(4, "big")
    device_record = load(tmp_path, data)
    assert not device_record.good
    assert device_record.message.endswith("is of an older kind, and has to be written again.")
    path = tmp_path / "old.toml"
    path.write_text(FORMAT_1.format(data[-4:].hex()))
    record = records.load(str(path))
    assert record.secrets == {(1, 2): b"abcdefghijkmnpqrstuvwxyz23"} and not record.setups
    assert records.complete(record, secured, identities.issuer)
    records.replace(record, str(path))
    assert records.load(str(path)).octets() == record.octets()
    path.write_text(FORMAT_1.format("00000000"))
    with pytest.raises(Trouble, match="damaged"):
        records.load(str(path))


# --- Demo meters ----------------------------------------------------------------------------


def test_a_demo_meter_has_the_certificates_of_its_definition(full, secured, tmp_path):
    assert provision("demo", str(tmp_path / "d"), "--definition", SECURED)[0] == 0
    names = sorted(os.listdir(tmp_path / "d"))
    assert len(names) == 10
    for name in names:
        text = (tmp_path / "d" / name).read_text()
        assert text.startswith("DEMO ONLY. Everybody knows this key")
    with open(SECURED) as f:
        text = f.read()
    for suite, curve in ((1, "p256"), (2, "p384")):
        files = ", ".join('"d/%s"' % name for name in names if curve in name)
        here = "security_suite = %d" % suite
        text = text.replace(here, "%s, certificates = [%s]" % (here, files))
    (tmp_path / "demo.toml").write_text(text)
    demo = sheets.load(compiling.definition(str(tmp_path / "demo.toml")))
    assert len(demo.CERTIFICATES) == 10
    own = bytes.fromhex("504D54") + (1000000000001).to_bytes(5, "big")
    for _row, entity, kind, title, certificate, private in demo.CERTIFICATES:
        c = Certificate()
        assert c.read(certificate, 0, len(certificate)) == 0
        assert (c.title or b"") == title and (c.title == own) == (entity == 0) == bool(private)
        assert c.usage == 0x06 if entity == 2 else c.usage == (0x80, 0x08)[kind]
    meter = built(demo, store.RAMStorage())
    assert sorted(vault_of(meter)) == sorted(demo.CERTIFICATES)
    meter = built(demo, store.RAMStorage(), load(tmp_path, full.octets()))
    assert sorted(vault_of(meter)) == in_vault(full, demo)


def test_certificates_that_a_definition_cannot_have(tmp_path):
    assert provision("demo", str(tmp_path / "d"), "--definition", SECURED)[0] == 0
    with open(SECURED) as f:
        text = f.read()
    path = tmp_path / "wrong.toml"
    for here, name, sentence in (
        ("security_suite = 1", "d/none.pem", "d/none.pem: No such file"),
        ("security_suite = 1", "d/root-p384.pem", "has no key of the curve of security_suite 1"),
        ("security_policy = 0, keys", "d/root-p256.pem", "the curve of security_suite 0"),
        ("security_suite = 1", "wrong.toml", "has no certificate of at most 768 octets"),
    ):
        new = 'certificates = ["%s"], %s' % (name, here)
        path.write_text(text.replace(here, new))
        with pytest.raises(Trouble, match=sentence):
            compiling.definition(str(path))


# --- A meter on this PC ---------------------------------------------------------------------


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_running_meter(runtime, module, tmp_path):
    record = identities.new("ABC", "42", module)
    path = records.save(record, str(tmp_path))
    state = str(tmp_path / "state")
    options = ("--runtime", runtime, "--wrapper-tcp", "0", "--hdlc-tcp", "0")
    assert provision("write", path, "--state", state)[0] == 0
    with Running(*options, "--state", state) as meter:
        for kind in ("wrapper-tcp", "hdlc-tcp"):
            code, out, err = provision("check", path, "%s:%s" % (kind, meter.ports[kind]))
            assert code == 0, err
            assert len(out.splitlines()) == 7
            for client in (PUBLIC, READING, MANAGEMENT, HLS_READING, 7):
                text = "client %d at SAP 1 reads ABC0000000000042, serial number 42"
                assert text % client in out
        other = records.save(identities.new("ABC", "43", module), str(tmp_path))
        code, _out, err = provision("check", other, "hdlc-tcp:" + meter.ports["hdlc-tcp"])
        assert code == 1
        assert err == "This is another meter: ABC0000000000042, and not ABC0000000000043."
        assert meter.stop() == 0
        said = "\n".join(meter.lines) + meter.errors
        assert "Meter ABC0000000000042" in said
        assert not any(secret in said for secret in all_secrets(record))
        assert "demo" not in said

    # --provision goes before the folder's record, and leaves no file.
    before = sorted(os.listdir(state))
    with Running(*options[:4], "--state", state, "--provision", other) as meter:
        client = Wrapper(meter.connect("wrapper-tcp"))
        assert client.ask(AARQ)[:1] == b"\x61"
        assert client.ask(GET_NAME)[6:] == b"ABC0000000000043"
    assert sorted(os.listdir(state)) == before

    # Damaged on the disk.
    with open(os.path.join(state, ".provisioning"), "r+b") as f:
        f.seek(40)
        f.write(b"????")
    with Running(*options[:4], "--state", state, "--speed", "60") as meter:
        assert meter.lines[-1] == "ready to be provisioned"
        client = Wrapper(meter.connect("wrapper-tcp"), READING)
        assert b"\xa2\x03\x02\x01\x01" in client.ask(aarq_with(b"demo-reading"))
        client = Wrapper(meter.connect("wrapper-tcp"))
        assert client.ask(AARQ)[:1] == b"\x61"
        assert client.ask(GET_NAME)[6:] == b"PMT0000000000000"
        meter.stop()
        assert "is damaged. The meter can only be provisioned" in meter.errors


class Over:
    """secure.Client's way to a meter over a connection."""

    def __init__(self, wrapper):
        self.wrapper = wrapper

    def say(self, request):
        return self.wrapper.ask(bytes.fromhex(request)).hex().upper()


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_the_life_of_a_key(runtime, secured, tmp_path):
    """A running meter of suites 1 and 2 with a record: it makes a key pair and asks for a
    certificate, provision.py certifies, the meter imports; all of it is there after a restart."""
    record = identities.new("ABC", "42", secured)
    path = records.save(record, str(tmp_path))
    state = str(tmp_path / "state")
    options = ["--runtime", runtime, "--wrapper-tcp", "0", "--state", state]
    options += ["--definition", SECURED]
    assert provision("write", path, "--state", state, "--definition", SECURED)[0] == 0

    def client(meter, suite, ic=0):
        keys = record.setups[SETUPS[suite]]
        talk = Over(Wrapper(meter.connect("wrapper-tcp"), 3 + suite))
        how = {"suite": suite, "guek": keys["guek"], "gak": keys["gak"], "ic": ic}
        return Client(talk, meter_title=record.system_title, **how).open()

    def act(c, method, parameter):
        text = "C30141 0040 00002B000%dFF %02X 01" % (3 + c.suite, method) + parameter
        return bytes.fromhex(c.ask(text))

    def certificates(c):
        """The attribute, in blocks."""
        got = bytes.fromhex(c.ask("C00141 0040 00002B000%dFF 06 00" % (3 + c.suite)))
        data = b""
        while True:
            assert got[:3] == b"\xc4\x02\x41" and got[8] == 0
            n, at = take_length(got, 9)
            data += got[at:]
            if got[3]:
                return data
            got = bytes.fromhex(c.ask("C00241" + got[4:8].hex()))

    with Running(*options) as meter:
        c = client(meter, 1)
        # Five certificates: root, the meter's two, the client's two.
        before = certificates(c)
        assert before.startswith(b"\x01\x05\x02\x06")
        assert before.count(record.system_title.hex().upper().encode()) == 2
        assert act(c, 4, "1600") == bytes.fromhex("C701410000")
        answer = act(c, 5, "1600")
        assert answer[:6] == bytes.fromhex("C70141000100") and answer[6:8] == b"\x09\x81"
        (tmp_path / "request").write_bytes(answer[9:])
        args = [str(tmp_path / "request"), "--authority", identities.issuer().folder]
        code, out, _err = provision("certify", *args)
        assert code == 0
        made = authority.der_of(out)
        imported = act(c, 6, "0982%04X" % len(made) + made.hex())
        assert imported == bytes.fromhex("C701410000")
        now = certificates(c)
        assert now != before and now.startswith(b"\x01\x05\x02\x06")
        assert certificates(client(meter, 2)).startswith(b"\x01\x05\x02\x06")
        assert meter.stop() == 0
        said = "\n".join(meter.lines) + meter.errors
        assert not any(secret in said for secret in all_secrets(record))
    with Running(*options) as meter:
        assert certificates(client(meter, 1, c.ic)) == now


def test_without_a_record_the_demo_meter_is_what_it_was():
    with Running("--runtime", "cpython", "--wrapper-tcp", "0") as meter:
        assert meter.lines[-1] == "ready"
        client = Wrapper(meter.connect("wrapper-tcp"), READING)
        assert b"\xa2\x03\x02\x01\x00" in client.ask(aarq_with(b"demo-reading"))
        assert client.ask(GET_NAME)[6:] == b"PMT1000000000001"


@pytest.mark.parametrize(
    "place, sentence",
    [
        ("wrapper-tcp:127.0.0.1:1", "There is no talking to a meter at"),
        ("wrapper-tcp:127.0.0.1", "has no port number"),
        ("somewhere", "is no place of a meter"),
    ],
)
def test_a_place_where_no_meter_is(place, sentence, record, tmp_path):
    code, _out, err = provision("check", records.save(record, str(tmp_path)), place)
    assert code == 1 and sentence in err


# --- Copies of numbers ----------------------------------------------------------------------


def test_tools_and_firmware_agree_on_the_format():
    with open(os.path.join(ROOT, "firmware", "provisioning.py")) as f:
        text = f.read()
    names = "NAME SERIAL_NUMBER SYSTEM_TITLE SECRET SETUP_KEYS CERTIFICATE MAKER"
    for name in names.split():
        assert "_%s = const(%d)\n" % (name, getattr(records.record, name)) in text
    with open(os.path.join(ROOT, "firmware", "board_main.py")) as f:
        assert '_RECORD = "%s"' % records.ON_BOARD in f.read()
