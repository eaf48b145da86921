# SPDX-License-Identifier: MIT
"""A meter gets its identity: records (tools/provision.py), what the firmware makes of them
(firmware/provisioning.py), and that nothing of it shows where it should not.

What a board does with a record is in test_deploy.py.
"""

import os
import re
import stat
import subprocess
import sys

import compile as compiling
import pytest
import records
import sheet as sheets
from bootstrap import Trouble
from dlms.server import Server
from running import (
    AARQ,
    GET_NAME,
    MANAGEMENT,
    PUBLIC,
    READING,
    ROOT,
    Running,
    Wrapper,
    aarq_with,
)

from firmware import app, provisioning, store
from firmware.ports import cpython

DEFINITION = os.path.join(ROOT, "firmware", "definitions", "residential.toml")
PROVISION = os.path.join(ROOT, "tools", "provision.py")
DISPLAY_SAP = 17
GET_SERIAL = bytes.fromhex("C001C100010000600100FF0200")
GET_ASSIGNMENT = bytes.fromhex("C001C100110000290000FF0200")
SET_SECRET = bytes.fromhex("C101C1000F0000280003FF0700")


@pytest.fixture(scope="module")
def module():
    return sheets.load(compiling.definition(DEFINITION))


@pytest.fixture
def record(module):
    return records.new("ABC", "42", module)


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
    for key in record.keys.values():
        found += [key.hex(), key.hex().upper(), repr(key)]
    return found


# --- Records --------------------------------------------------------------------------------


def test_what_a_record_has(record, module):
    assert record.name == "ABC0000000000042"
    assert record.devices[DISPLAY_SAP] == ("ABC000000002A-11", "42-17")
    # IEC 62056-5-3: three letters of the manufacturer, five octets that are unique.
    assert record.system_title == b"ABC" + (42).to_bytes(5, "big")
    assert set(record.secrets) == {(1, READING), (1, MANAGEMENT)}
    for secret in record.secrets.values():
        assert re.fullmatch(rb"[a-km-z2-9]{26}", secret)
    assert set(record.keys) == {"guek", "gak", "gbek", "kek"}
    assert all(len(key) == 16 for key in record.keys.values())
    other = records.new("ABC", "42", module)
    assert not set(record.keys.values()) & set(other.keys.values())
    assert not set(record.secrets.values()) & set(other.secrets.values())


def test_the_system_title_of_the_sheet_is_made_by_the_same_rule(module):
    name = module.DEVICES[0][3].decode()
    assert records.new(name[:3], name[3:], module).system_title == module.SYSTEM_TITLE


def test_a_record_is_kept_as_it_was(record, tmp_path):
    record.note = 'from the "first" bench \\ Zürich'
    path = records.save(record, str(tmp_path / "new" / "folder"))
    again = records.load(path)
    assert again.octets() == record.octets()
    assert again.note == record.note
    assert records.from_octets(record.octets()).octets() == record.octets()
    assert stat.S_IMODE(os.stat(path).st_mode) == 0o600
    assert stat.S_IMODE(os.stat(os.path.dirname(path)).st_mode) == 0o700
    with pytest.raises(Trouble, match="There is a record of this meter already"):
        records.save(record, os.path.dirname(path))


def test_a_damaged_record_is_refused_whatever_the_damage(record, tmp_path):
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
        records.new(flag_id, serial, module, release)


def test_the_largest_serial_number(module):
    record = records.new("ABC", "1099511627775", module)
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


def test_keys_show_when_asked_for_by_name(record, tmp_path):
    path = records.save(record, str(tmp_path))
    code, out, _err = provision("show", path, "--show-keys", "guek,lls:2")
    assert code == 0
    assert record.keys["guek"].hex().upper() in out
    assert record.secrets[1, READING].decode() in out
    for hidden in (record.keys["kek"].hex().upper(), record.secrets[1, MANAGEMENT].decode()):
        assert hidden not in out
    code, out, _err = provision("show", path, "--show-keys", "--json")
    assert all(key.hex().upper() in out for key in record.keys.values())
    code, out, err = provision("show", path, "--show-keys", "geuk")
    assert (code, out) == (1, "")
    assert err.startswith("There is no key geuk. There are: all, lls, guek, gak, gbek, kek, lls:1")


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
    (tmp_path / "x.toml").write_text("format = 2")
    code, out, err = provision("list", *folder)
    assert (code, len(out.splitlines())) == (1, 2)
    assert "x.toml is no provisioning record of format 1." in err
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
        self.record = record
        record.apply(self.model)
        self.model.start()
        self.server = Server(self.model)
        self.channel = self.server.channel()

    def ask(self, client, apdu, server=1):
        n = self.server.request(self.channel, client, server, apdu, 0, len(apdu))
        return bytes(self.channel.tx[self.channel.tx_pos : self.channel.tx_pos + n])

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
    for (_server, client), secret in record.secrets.items():
        assert not meter.opens(client, aarq_with(b"demo-reading"))
        assert not meter.opens(client, aarq_with(b"demo-management"))
        assert meter.opens(client, aarq_with(secret))
    # For what needs them: ciphering.
    assert device_record.system_title() == record.system_title
    for name, key in record.keys.items():
        assert device_record.key(name) == key


def test_a_secret_that_a_client_has_changed_stays(module, record, tmp_path):
    mine = b"only-i-know"
    storage = store.FileStorage(str(tmp_path / "state"))
    meter = Meter(module, load(tmp_path, record.octets()), storage)
    assert meter.opens(MANAGEMENT, aarq_with(record.secrets[1, MANAGEMENT]))
    set_secret = SET_SECRET + bytes((9, len(mine))) + mine
    assert meter.ask(MANAGEMENT, set_secret) == bytes.fromhex("C501C100")
    assert storage.save(meter.model.image)
    storage.close()

    storage = store.FileStorage(str(tmp_path / "state"))
    meter = Meter(module, load(tmp_path, record.octets()), storage)
    assert not meter.opens(MANAGEMENT, aarq_with(record.secrets[1, MANAGEMENT]))
    assert meter.opens(MANAGEMENT, aarq_with(mine))
    assert meter.text(MANAGEMENT, GET_NAME) == "ABC0000000000042"
    storage.close()

    # Until it gets another record.
    other = records.new("ABC", "43", module)
    storage = store.FileStorage(str(tmp_path / "state"))
    meter = Meter(module, load(tmp_path, other.octets()), storage)
    assert not meter.opens(MANAGEMENT, aarq_with(mine))
    assert meter.opens(MANAGEMENT, aarq_with(other.secrets[1, MANAGEMENT]))
    storage.close()


def refuses(meter):
    """It is to be provisioned: who it is can be read, and nobody gets in."""
    assert not meter.record.good
    assert meter.opens(PUBLIC, AARQ)
    assert meter.text(PUBLIC, GET_NAME) == "PMT0000000000000"
    assert meter.text(PUBLIC, GET_SERIAL) == "unprovisioned"
    for client in (READING, MANAGEMENT):
        for secret in (b"demo-reading", b"demo-management", b""):
            assert not meter.opens(client, aarq_with(secret))
        assert not meter.opens(client, AARQ)
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
    damaged = [b"", data[:5], data[:-1], data + b"\0", b"PMI2" + data[4:], bytes(len(data))]
    for k in range(len(data)):
        damaged.append(data[:k] + bytes((data[k] ^ 1 << k % 8,)) + data[k + 1 :])
    damaged.append(bytes(5000))
    for octets in damaged:
        assert not load(tmp_path, octets).good
    refuses(Meter(module, load(tmp_path, damaged[3])))


def test_a_right_crc_over_wrong_entries(record, tmp_path):
    import binascii

    def sealed(body):
        data = b"PMI1" + len(body).to_bytes(2, "big") + body
        return data + binascii.crc32(data).to_bytes(4, "big")

    wrong = [b"\x10", b"\x10\x10", b"\x03\x07" + bytes(7), b"\x01\x05" + bytes(5), b"\x09\xff"]
    for body in wrong:
        assert not load(tmp_path, sealed(body)).good
    assert load(tmp_path, sealed(b"\x63\x01x")).good  # what a later version adds is passed over


def test_a_record_for_another_definition(module, record, tmp_path):
    del record.devices[DISPLAY_SAP]
    with pytest.raises(Trouble, match="no name for the logical device of SAP 17"):
        records.fits(record, module)
    meter = Meter(module, load(tmp_path, record.octets()))
    refuses(meter)
    assert "does not fit the definition: it has no name for" in meter.record.message


def test_no_secret_for_an_association_is_not_its_demo_secret(module, record, tmp_path):
    secret = record.secrets.pop((1, READING))
    with pytest.raises(Trouble, match="no secret for client 2 at SAP 1"):
        records.fits(record, module)
    meter = Meter(module, load(tmp_path, record.octets()))
    for offered in (b"demo-reading", b"", secret):
        assert not meter.opens(READING, aarq_with(offered))
    assert meter.opens(MANAGEMENT, aarq_with(record.secrets[1, MANAGEMENT]))


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


# --- A meter on this PC ---------------------------------------------------------------------


@pytest.mark.parametrize("runtime", ["cpython", "micropython"])
def test_a_running_meter(runtime, module, tmp_path):
    record = records.new("ABC", "42", module)
    path = records.save(record, str(tmp_path))
    state = str(tmp_path / "state")
    options = ("--runtime", runtime, "--wrapper-tcp", "0", "--hdlc-tcp", "0")
    assert provision("write", path, "--state", state)[0] == 0
    with Running(*options, "--state", state) as meter:
        for kind in ("wrapper-tcp", "hdlc-tcp"):
            code, out, err = provision("check", path, "%s:%s" % (kind, meter.ports[kind]))
            assert code == 0, err
            assert len(out.splitlines()) == 4
            assert "client 1 at SAP 1 reads ABC0000000000042, serial number 42" in out
        other = records.save(records.new("ABC", "43", module), str(tmp_path))
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
    for name in ("NAME", "SERIAL_NUMBER", "SYSTEM_TITLE", "SECRET", "FIRST_KEY"):
        assert "_%s = const(%d)\n" % (name, getattr(records, name)) in text
    assert "_KEYS = %s" % str(records.KEYS).replace("'", '"') in text
    with open(os.path.join(ROOT, "firmware", "board_main.py")) as f:
        assert '_RECORD = "%s"' % records.ON_BOARD in f.read()
