# SPDX-License-Identifier: MIT
"""Provisioning records: identity, secrets, keys and certificates of one meter, as a file on the PC
and as the octets that firmware/provisioning.py reads.

The file is TOML, its name the logical device name, and only its owner can read it:

    format, made, note, release           release = true: made for a meter that leaves the bench
    flag_id, serial_number, system_title  three letters, decimal digits, 8 octets
    [[device]]          server_sap, logical_device_name, serial_number
    [[secret]]          server_sap, client_sap, text        of an association with a shared secret
    [[security_setup]]  server_sap, logical_name; guek, gbek, gak, kek: 16 octets, 32 with suite 2
    [[certificate]]     server_sap, logical_name of its Security setup; entity (server, client,
                        authority), kind (sign, agree), system_title, certificate (X.509, base64);
                        private_key: the meter's own
    check               CRC-32 of all that is written to the meter

A Record never shows secrets or keys by itself: they are in `secrets`, `setups`, `certificates`.
Records of format 1 had no Security setups: what they have is kept, complete() adds the rest.
"""

import base64
import binascii
import contextlib
import datetime
import glob
import os
import re
import secrets as strong
import stat
import tomllib
from typing import NamedTuple

import sheet as sheets
from bootstrap import ROOT, Trouble
from tables import clash, title_of

FOLDER = os.path.join(ROOT, "provisioning")
# Names of what is written: on a board, and in a meter's folder on a PC, where a dot keeps it apart
# from stored values.
ON_BOARD = "provisioning.bin"
IN_STATE = ".provisioning"
DEMO_FLAG_ID = "PMT"
KEYS = ("guek", "gbek", "gak", "kek")  # in the order of the entry

FORMAT = 2
MAGIC = b"PMI2"
NAME, SERIAL_NUMBER, SYSTEM_TITLE, SECRET, SETUP_KEYS, CERTIFICATE = 1, 2, 3, 4, 5, 6
# Of records of format 1: their magic, and their keys, which no meter has used.
MAGIC_1 = b"PMI1"
FIRST_KEY_1 = 16
KEYS_1 = ("guek", "gak", "gbek", "kek")
NAME_LEN = 16
TITLE_LEN = 8
ENTITIES = ("server", "client", "authority")
KINDS = ("sign", "agree")
CURVES = {1: "P-256", 2: "P-384"}  # by suite

# 32 letters and digits that nobody takes for others: five bits each.
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
SECRET_LEN = 26
_LEAST_SECRET_LEN = 8
_MOST_SAP = 0xFF
# Mechanisms with a shared secret, and what --show-keys calls it.
_SECRETS = {1: "lls", 2: "hls", 3: "hls", 4: "hls", 6: "hls"}
_VALUE = 2
_SECURITY_SETUP = 64
_SECURITY_SUITE = 3
_NAME_OBJECT = bytes.fromhex("000100002A0000FF")
_SERIAL_OBJECT = bytes.fromhex("00010000600100FF")


class Setup(NamedTuple):
    """A Security setup of a definition; clients: SAPs."""

    server_sap: int
    logical_name: str
    row: int
    suite: int
    clients: tuple

    @property
    def name(self):
        return self.server_sap, self.logical_name

    @property
    def key_len(self):
        return 32 if self.suite == 2 else 16


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
    certificates (list), release, made, note."""

    def __init__(self, flag_id, serial_number):
        self.flag_id = flag_id
        self.serial_number = serial_number
        self.system_title = title_of(flag_id, serial_number)
        self.devices = {}
        self.secrets = {}
        self.setups = {}
        self.certificates = []
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


# --- Making one -----------------------------------------------------------------------------


def flag(text):
    """A FLAG id as it was given, in capitals; Trouble if it is none."""
    if not re.fullmatch(r"[A-Za-z]{3}", text):
        raise Trouble(
            "%r is no FLAG id: three letters, as the DLMS User Association gives them to a"
            " manufacturer." % text
        )
    return text.upper()


def serial(text):
    if not re.fullmatch(r"\d{1,13}", text) or int(text) >= 1 << 40:
        raise Trouble(
            "%r is no serial number: 1 to 13 digits, less than 2**40 (the system title has five"
            " octets for it)." % text
        )
    return text


def new(flag_id, serial_number, module, release=False, note="", authority=None):
    """A record for a meter of this definition (its module), with fresh secrets and keys.
    authority: see complete()."""
    flag_id = flag(flag_id)
    if release and flag_id == DEMO_FLAG_ID:
        raise Trouble(
            "%s is the FLAG id of this project's demo meters; a meter that leaves the bench needs"
            " its manufacturer's own." % DEMO_FLAG_ID
        )
    record = Record(flag_id, serial(serial_number))
    record.release = release
    record.note = note
    record.made = datetime.datetime.now(datetime.timezone.utc).isoformat(timespec="seconds")
    number = int(serial_number)
    main = module.DEVICES[0][0]
    for sap, _first, _n, _name in module.DEVICES:
        if sap > _MOST_SAP:
            raise Trouble("The logical device of SAP %d: names can be made up to 255." % sap)
        if sap == main:
            record.devices[sap] = ("%s%013d" % (flag_id, number), serial_number)
        else:
            # No other meter's main device has a name with a hyphen.
            record.devices[sap] = (
                "%s%010X-%02X" % (flag_id, number, sap),
                "%s-%d" % (serial_number, sap),
            )
    complete(record, module, authority)
    return record


def complete(record, module, authority):
    """Add what a meter of this definition needs and the record lacks: names of what was added.

    authority: () -> authority.Authority; called only if there are certificates to be made.
    """
    added = []
    for server, client, room, _name in shared_secrets(module):
        if (server, client) not in record.secrets:
            n = min(SECRET_LEN, room)
            text = "".join(strong.choice(ALPHABET) for _ in range(n))
            record.secrets[server, client] = text.encode()
            added.append("secret of client %d" % client)
    for setup in security_setups(module):
        if setup.name not in record.setups:
            record.setups[setup.name] = {k: strong.token_bytes(setup.key_len) for k in KEYS}
            added.append("keys of %s" % setup.logical_name)
        for entity, kind, title in _wanted(record, setup):
            if not _has(record, setup, entity, kind, title):
                pair = _made(authority(), CURVES[setup.suite], entity, kind, title)
                key = pair.private_key if entity == "server" else b""
                record.certificates.append(
                    Certificate(*setup.name, entity, kind, title, pair.certificate, key)
                )
                added.append("certificate (%s, %s) of %s" % (entity, kind, setup.logical_name))
    fits(record, module)
    return added


def _wanted(record, setup):
    """(entity, kind, title) of the certificates for a Security setup."""
    if setup.suite not in CURVES:
        return []
    titles = [("server", record.system_title)]
    titles += [("client", client_title(client)) for client in setup.clients]
    return [("authority", "sign", b"")] + [
        (entity, kind, title) for entity, title in titles for kind in KINDS
    ]


def _made(authority, curve, entity, kind, title):
    """The authority.Pair for one of these."""
    if entity == "authority":
        return authority.root(curve)
    if entity == "server":
        return authority.issue(curve, kind, title)
    return authority.client(title, curve, kind)


def client_title(client_sap):
    """System title of the client that comes to a meter's test: of no manufacturer."""
    return b"CLI" + client_sap.to_bytes(5, "big")


def _has(record, setup, entity, kind, title):
    wanted = (*setup.name, entity, kind, title)
    return any(c[:5] == wanted for c in record.certificates)


def shared_secrets(module):
    """(server_sap, client_sap, octets of room for the secret, what --show-keys calls it) of
    associations that share one."""
    found = []
    for a in module.ASSOCIATIONS:
        if a[3] in _SECRETS:
            room = sheets.room(module, a[2], sheets.secret(module, a[2])) - 2
            found.append((module.DEVICES[a[1]][0], a[0], room, "%s:%d" % (_SECRETS[a[3]], a[0])))
    return found


def security_setups(module):
    """The Setups of a definition, in the order of rows."""
    found = []
    for sap, first, n, _name in module.DEVICES:
        for row in range(first, first + n):
            o = module.OBJECTS[row * 16 : row * 16 + 16]
            if int.from_bytes(o[:2], "big") == _SECURITY_SETUP:
                name = ".".join(str(octet) for octet in o[2:7])
                suite = sheets.stored(module, row, _SECURITY_SUITE)[1]
                clients = tuple(a[0] for a in module.ASSOCIATIONS if a[8] == row)
                found.append(Setup(sap, name, row, suite, clients))
    return found


def fits(record, module):
    """Trouble unless a meter of this definition takes the record, all of it."""
    for device in module.DEVICES:
        sap = device[0]
        if sap not in record.devices:
            raise Trouble("The record has no name for the logical device of SAP %d." % sap)
        for key, text in zip((_NAME_OBJECT, _SERIAL_OBJECT), record.devices[sap]):
            row = sheets.find(module, device, key)
            if row < 0:
                continue
            obis = ".".join(str(octet) for octet in key[2:7])
            room = sheets.room(module, row, _VALUE)
            if room < 0:
                raise Trouble(
                    "The definition %s does not let %s of SAP %d be changed: it has to say"
                    ' ram = ["value"] there.' % (module.NAME, obis, sap)
                )
            if len(text) + 2 > room:
                raise Trouble(
                    "%r is too long for %s of SAP %d in the definition %s."
                    % (text, obis, sap, module.NAME)
                )
    for server, client, room, _name in shared_secrets(module):
        secret = record.secrets.get((server, client))
        if secret is None:
            raise Trouble(
                "The record has no secret for client %d at SAP %d; %s"
                % (client, server, _COMPLETE % module.NAME)
            )
        if not _LEAST_SECRET_LEN <= len(secret) <= room:
            raise Trouble(
                "The definition %s has room for secrets of %d octets for client %d; %d to %d are"
                " needed." % (module.NAME, room, client, _LEAST_SECRET_LEN, len(secret))
            )
    setups = security_setups(module)
    for setup in setups:
        keys = record.setups.get(setup.name)
        if keys is None or len(keys["guek"]) != setup.key_len:
            raise Trouble(
                "The record has no keys of %d octets for the Security setup %s at SAP %d; %s"
                % (setup.key_len, setup.logical_name, setup.server_sap, _COMPLETE % module.NAME)
            )
        for entity, kind, title in _wanted(record, setup):
            if entity != "client" and not _has(record, setup, entity, kind, title):
                raise Trouble(
                    "The record has no certificate (%s, %s) for the Security setup %s; %s"
                    % (entity, kind, setup.logical_name, _COMPLETE % module.NAME)
                )
    kept = {s.name: record.setups[s.name] for s in setups}
    found = clash({name: _there(keys) for name, keys in kept.items()})
    if found:
        (name, role), (other, other_role) = found
        raise Trouble(
            "The record has one key as %s of the Security setup %s and as %s of %s: provision.py"
            " complete --rekey makes others." % (role, name[1], other_role, other[1])
        )


def _there(keys):
    """Those of a Security setup that are not zeros: these are none."""
    return {role: keys[role] for role in KEYS if any(keys[role])}


_COMPLETE = "it was made for another definition than %s: provision.py complete adds what it lacks."


# --- Files ----------------------------------------------------------------------------------


def save(record, folder):
    """Keep a new record; Trouble if there is one of this meter already. Returns the path."""
    path = os.path.join(folder, record.name + ".toml")
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        if os.path.lexists(path):
            raise Trouble("There is a record of this meter already: %s. It stays." % path)
        write_private(path, record.toml().encode())
    except OSError as e:
        raise Trouble("Cannot write %s (%s)." % (path, e.strerror)) from None
    return path


def replace(record, path):
    """Write a record that has become another one over its file."""
    try:
        write_private(path, record.toml().encode())
    except OSError as e:
        raise Trouble("Cannot write %s (%s)." % (path, e.strerror)) from None


def write_private(path, data):
    """A file that only its owner can read, there whole or not at all."""
    fresh = path + ".new"
    with contextlib.suppress(FileNotFoundError):
        os.remove(fresh)
    fd = os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(fd, "wb") as f:
        f.write(data)
        f.flush()
        os.fsync(f.fileno())
    os.replace(fresh, path)


def find(name, folder):
    """Path of a record: a path, or the logical device name or serial number in a folder."""
    for path in (name, os.path.join(folder, name), os.path.join(folder, name + ".toml")):
        if os.path.isfile(path):
            return path
    matches = []
    for path in paths(folder):
        with contextlib.suppress(Trouble):
            if load(path).serial_number == name:
                matches.append(path)
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise Trouble("More than one record has the serial number %s: %s." % (name, matches))
    raise Trouble("There is no record %s, neither as a file nor in %s." % (name, folder))


def paths(folder):
    return sorted(glob.glob(os.path.join(glob.escape(folder), "*.toml")))


def load(path):
    """The record in a file; Trouble if it is damaged, without showing what is in it."""
    try:
        with open(path, "rb") as f:
            text = f.read().decode()
        t = tomllib.loads(text)
    except OSError as e:
        raise Trouble("Cannot read the record %s (%s)." % (path, e.strerror)) from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError):
        raise Trouble("The record %s is damaged: it is no TOML any more." % path) from None
    if t.get("format") not in (1, FORMAT):
        raise Trouble("%s is no provisioning record of format %d." % (path, FORMAT))
    try:
        record = Record(t["flag_id"], t["serial_number"])
        record.release = t["release"]
        record.made = t["made"]
        record.note = t["note"]
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
        good = False
    if not good:
        raise Trouble("The record %s is damaged: it is not what was written." % path)
    return record


def shared(path):
    """True if others may read a file."""
    return bool(os.stat(path).st_mode & (stat.S_IRWXG | stat.S_IRWXO))


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


# --- The connection sheet -------------------------------------------------------------------


def sheet(record, module, ports, shown=()):
    """The sheet of the meter with this record. shown: secrets and keys to print, by name
    ("lls:CLIENT", "guek", "private", ...), or "all"."""
    s = sheets.sheet(module, ports)
    s["logical_device_name"] = record.name
    s["system_title"] = record.system_title.hex().upper()
    s["serial_number"] = record.serial_number
    for d in s["logical_devices"]:
        name = record.devices.get(d["server_sap"], (d["logical_device_name"],))[0]
        d["logical_device_name"] = name
    for a in s["associations"]:
        kind = _SECRETS.get(a["mechanism_id"])
        if kind is None:
            continue
        secret = record.secrets.get((a["server_sap"], a["client_sap"]))
        a.pop("secret_hex", None)
        name = "%s:%d" % (kind, a["client_sap"])
        if secret and (_is_shown(kind, shown) or _is_shown(name, shown)):
            a["secret_hex"] = secret.hex().upper()
        else:
            a["secret_note"] = "in the record (--show-keys %s)" % name
    s["security_setups"] = [
        _setup_entry(record, setup, shown) for setup in security_setups(module)
    ]
    for a in s["associations"]:
        if "security_setup" in a:
            _with_record(a, s)
    return s


def _with_record(association, s):
    """Of a client that ciphers: what is shown of the record, nothing of the definition."""
    association["system_title"] = s["system_title"]
    for name in KEYS:
        association.pop(name + "_hex", None)
    for setup in s["security_setups"]:
        if (setup["server_sap"], setup["logical_name"] + ".255") == (
            association["server_sap"],
            association["security_setup"],
        ):
            for name, key in setup["keys"].items():
                association[name + "_hex"] = key
            association["certificates"] = setup["certificates"]
    if "guek_hex" not in association:
        association["key_note"] = "keys in the record (--show-keys)"


def _setup_entry(record, setup, shown):
    keys = record.setups.get(setup.name, {})
    return {
        "server_sap": setup.server_sap,
        "logical_name": setup.logical_name,
        "security_suite": setup.suite,
        "clients": list(setup.clients),
        "keys": {name: keys[name].hex().upper() for name in KEYS if _is_shown(name, shown)},
        "certificates": [
            _certificate_entry(c, shown) for c in record.certificates if c[:2] == setup.name
        ],
    }


def _certificate_entry(c, shown):
    entry = sheets.certificate(c.entity, c.kind, c.title, c.certificate)
    if c.private_key and _is_shown("private", shown):
        entry["private_key"] = c.private_key.hex().upper()
    return entry


def _is_shown(name, shown):
    return name in shown or "all" in shown


def sheet_text(s):
    lines = sheets.text(s)
    if "serial_number" in s:
        lines.insert(1, "  serial number   %s" % s["serial_number"])
    return lines
