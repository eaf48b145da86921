# SPDX-License-Identifier: MIT
"""A record: what it has, as octets for the meter, and as the text of its file."""

import base64
import binascii
from typing import NamedTuple

from bootstrap import Trouble
from tables import title_of

DEMO_FLAG_ID = "PMT"
KEYS = ("guek", "gbek", "gak", "kek")  # in the order of the entry

FORMAT = 2
MAGIC = b"PMI2"
NAME, SERIAL_NUMBER, SYSTEM_TITLE, SECRET, SETUP_KEYS, CERTIFICATE, MAKER = 1, 2, 3, 4, 5, 6, 7
# Of records of format 1: their magic, and their keys, which no meter has used.
MAGIC_1 = b"PMI1"
FIRST_KEY_1 = 16
KEYS_1 = ("guek", "gak", "gbek", "kek")
NAME_LEN = 16
TITLE_LEN = 8
ENTITIES = ("server", "client", "authority")
KINDS = ("sign", "agree")
CURVES = {1: "P-256", 2: "P-384"}  # by suite


class Certificate(NamedTuple):
    """certificate: DER; private_key: b"" but of the server."""

    server_sap: int
    logical_name: str
    entity: str
    kind: str
    title: bytes
    certificate: bytes
    private_key: bytes

    def __repr__(self):
        return "<certificate of %s %s>" % (self.entity, self.title.hex())


class Record:
    """flag_id, serial_number, system_title (octets), devices {sap: (name, serial_number)},
    secrets {(server_sap, client_sap): octets}, setups {(server_sap, logical_name): {key: octets}},
    certificates (list), maker (octets of his public key, b"": none), release, made, note."""

    def __init__(self, flag_id, serial_number):
        self.flag_id = flag_id
        self.serial_number = serial_number
        self.system_title = title_of(flag_id, serial_number)
        self.devices = {}
        self.secrets = {}
        self.setups = {}
        self.certificates = []
        self.maker = b""
        self.release = False
        self.made = ""
        self.note = ""

    @property
    def name(self):
        """The logical device name of the meter."""
        return self.devices[min(self.devices)][0]

    def __repr__(self):
        return "<record of %s>" % (self.name if self.devices else self.serial_number)

    def octets(self):
        """What is written to the meter."""
        body = b"".join(_entry(2, *entry) for entry in self._entries())
        for name, keys in sorted(self.setups.items()):
            octets = b"".join(keys[key] for key in KEYS)
            body += _entry(2, SETUP_KEYS, _setup(*name) + octets)
        for c in self.certificates:
            head = bytes((ENTITIES.index(c.entity), KINDS.index(c.kind)))
            head += c.title.ljust(TITLE_LEN, b"\0") + bytes((len(c.private_key),))
            content = _setup(*c[:2]) + head + c.private_key + c.certificate
            body += _entry(2, CERTIFICATE, content)
        if self.maker:
            body += _entry(2, MAKER, self.maker)
        return _sealed(MAGIC, body)

    def _entries(self):
        for sap, (name, serial) in sorted(self.devices.items()):
            yield NAME, sap.to_bytes(2, "big") + name.encode()
            yield SERIAL_NUMBER, sap.to_bytes(2, "big") + serial.encode()
        yield SYSTEM_TITLE, self.system_title
        for (server, client), secret in sorted(self.secrets.items()):
            yield SECRET, server.to_bytes(2, "big") + client.to_bytes(2, "big") + secret

    def check(self):
        return self.octets()[-4:].hex()

    def check_1(self, keys):
        """As check() was in format 1, with these keys."""
        body = b"".join(_entry(1, *entry) for entry in self._entries())
        for k, name in enumerate(KEYS_1):
            body += _entry(1, FIRST_KEY_1 + k, bytes.fromhex(keys[name]))
        return _sealed(MAGIC_1, body)[-4:].hex()

    def toml(self):
        lines = [
            "# Identity, secrets and keys of one meter. Whoever reads this can be its client:",
            "# keep it from others, and keep it; nobody can make it again.",
            "format = %d" % FORMAT,
            'made = "%s"' % self.made,
            "note = %s" % _quoted(self.note),
            "release = %s" % ("true" if self.release else "false"),
            'flag_id = "%s"' % self.flag_id,
            'serial_number = "%s"' % self.serial_number,
            'system_title = "%s"' % self.system_title.hex().upper(),
            *(['maker_key = "%s"' % self.maker.hex().upper()] if self.maker else []),
            'check = "%s"' % self.check(),
        ]
        for sap, (name, serial) in sorted(self.devices.items()):
            lines += ["", "[[device]]", "server_sap = %d" % sap]
            lines += ['logical_device_name = "%s"' % name, 'serial_number = "%s"' % serial]
        for (server, client), secret in sorted(self.secrets.items()):
            lines += ["", "[[secret]]", "server_sap = %d" % server, "client_sap = %d" % client]
            lines += ['text = "%s"' % secret.decode()]
        for (server, name), keys in sorted(self.setups.items()):
            lines += ["", "[[security_setup]]", "server_sap = %d" % server]
            lines += ['logical_name = "%s"' % name]
            lines += ['%s = "%s"' % (key, keys[key].hex().upper()) for key in KEYS]
        for c in self.certificates:
            lines += ["", "[[certificate]]", "server_sap = %d" % c.server_sap]
            lines += ['logical_name = "%s"' % c.logical_name]
            lines += ['entity = "%s"' % c.entity, 'kind = "%s"' % c.kind]
            lines += ['system_title = "%s"' % c.title.hex().upper()]
            lines += ['certificate = "%s"' % base64.b64encode(c.certificate).decode()]
            lines += ['private_key = "%s"' % c.private_key.hex().upper()]
        return "\n".join(lines) + "\n"


def _entry(n, tag, content):
    return bytes((tag,)) + len(content).to_bytes(n, "big") + content


def _sealed(magic, body):
    data = magic + len(body).to_bytes(2, "big") + body
    return data + binascii.crc32(data).to_bytes(4, "big")


def _setup(server_sap, logical_name):
    """SAP and logical name of a Security setup as octets."""
    return server_sap.to_bytes(2, "big") + bytes(
        [int(part) for part in (logical_name + ".255").split(".")][:6]
    )


def _quoted(text):
    return '"%s"' % "".join(
        c if c.isprintable() and c not in '"\\' else "\\u%04x" % ord(c) for c in text
    )


def from_table(t):
    """The record in a file, which has been read as TOML; None if it is not what was written."""
    try:
        record = Record(t["flag_id"], t["serial_number"])
        record.release = t["release"]
        record.made = t["made"]
        record.note = t["note"]
        record.maker = bytes.fromhex(t.get("maker_key", ""))
        for d in t["device"]:
            record.devices[d["server_sap"]] = (d["logical_device_name"], d["serial_number"])
        for s in t.get("secret", []):
            record.secrets[s["server_sap"], s["client_sap"]] = s["text"].encode("ascii")
        for s in t.get("security_setup", []):
            keys = {name: bytes.fromhex(s[name]) for name in KEYS}
            record.setups[s["server_sap"], s["logical_name"]] = keys
        for c in t.get("certificate", []):
            record.certificates.append(
                Certificate(
                    c["server_sap"],
                    c["logical_name"],
                    c["entity"],
                    c["kind"],
                    bytes.fromhex(c["system_title"]),
                    base64.b64decode(c["certificate"], validate=True),
                    bytes.fromhex(c["private_key"]),
                )
            )
        check = record.check() if t["format"] == FORMAT else record.check_1(t["keys"])
        good = (
            check == t["check"]
            and record.system_title == bytes.fromhex(t["system_title"])
            and all(len(d[0]) == NAME_LEN for d in record.devices.values())
        )
    except (KeyError, ValueError, TypeError, AttributeError, OverflowError, Trouble):
        return None
    return record if good else None


def from_octets(data):
    """The record in the octets that a meter reads; None if they are damaged."""
    crc = binascii.crc32(data[:-4]).to_bytes(4, "big")
    if data[:4] != MAGIC or len(data) != 10 + int.from_bytes(data[4:6], "big") or data[-4:] != crc:
        return None
    record = Record(DEMO_FLAG_ID, "0")
    names, serials = {}, {}
    at = 6
    while at < len(data) - 4:
        tag, n = data[at], int.from_bytes(data[at + 1 : at + 3], "big")
        content = data[at + 3 : at + 3 + n]
        sap = int.from_bytes(content[:2], "big")
        if tag == NAME:
            names[sap] = content[2:].decode("ascii", "replace")
        elif tag == SERIAL_NUMBER:
            serials[sap] = content[2:].decode("ascii", "replace")
        elif tag == SYSTEM_TITLE:
            record.system_title = content
        elif tag == SECRET:
            record.secrets[sap, int.from_bytes(content[2:4], "big")] = content[4:]
        elif tag == MAKER:
            record.maker = content
        elif tag == SETUP_KEYS:
            n_key = (n - 8) // len(KEYS)
            keys = {key: content[8 + k * n_key :][:n_key] for k, key in enumerate(KEYS)}
            record.setups[sap, _text(content[2:8])] = keys
        elif tag == CERTIFICATE:
            end = 19 + content[18]
            title = content[10:18] if any(content[10:18]) else b""
            record.certificates.append(
                Certificate(
                    sap, _text(content[2:8]), ENTITIES[content[8]], KINDS[content[9]], title,
                    content[end:], content[19:end],
                )
            )  # fmt: skip
        at += 3 + n
    if not names:
        return None
    record.devices = {sap: (name, serials.get(sap, "")) for sap, name in names.items()}
    record.flag_id = record.name[:3]
    record.serial_number = serials.get(min(names), "")
    return record


def _text(name):
    """A logical name as text, without the last part."""
    return ".".join(str(octet) for octet in name[:5])
