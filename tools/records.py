# SPDX-License-Identifier: MIT
"""Provisioning records: identity, secrets and keys of one meter, as a file on the PC and as the
octets that firmware/provisioning.py reads.

The file is TOML, its name the logical device name, and only its owner can read it:

    format, made, note, release           release = true: made for a meter that leaves the bench
    flag_id, serial_number, system_title  three letters, decimal digits, 8 octets
    [[device]]     server_sap, logical_device_name, serial_number
    [[secret]]     server_sap, client_sap, text             of a low level security association
    [keys]         guek, gak, gbek, kek                     16 octets each (suite 0)
    check          CRC-32 of all that is written to the meter

A Record never shows secrets or keys by itself: they are in `secrets` and `keys`.
"""

import binascii
import contextlib
import datetime
import glob
import os
import re
import secrets as strong
import stat
import tomllib

import sheet as sheets
from bootstrap import ROOT, Trouble
from tables import title_of

FOLDER = os.path.join(ROOT, "provisioning")
# Names of what is written: on a board, and in a meter's folder on a PC, where a dot keeps it apart
# from stored values.
ON_BOARD = "provisioning.bin"
IN_STATE = ".provisioning"
DEMO_FLAG_ID = "PMT"
KEYS = ("guek", "gak", "gbek", "kek")
KEY_NAMES = {
    "guek": "global unicast encryption key",
    "gak": "global authentication key",
    "gbek": "global broadcast encryption key",
    "kek": "key encryption key (master key)",
}

FORMAT = 1
MAGIC = b"PMI1"
NAME, SERIAL_NUMBER, SYSTEM_TITLE, SECRET, FIRST_KEY = 1, 2, 3, 4, 16
KEY_LEN = 16
NAME_LEN = 16

# 32 letters and digits that nobody takes for others: five bits each.
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
SECRET_LEN = 26
_LEAST_SECRET_LEN = 8
_MOST_SAP = 0xFF
_LLS = 1
_SECRET_ATTRIBUTE = 7
_VALUE = 2
_NAME_OBJECT = bytes.fromhex("000100002A0000FF")
_SERIAL_OBJECT = bytes.fromhex("00010000600100FF")


class Record:
    """flag_id, serial_number, system_title (octets), devices {sap: (name, serial_number)},
    secrets {(server_sap, client_sap): octets}, keys {name: octets}, release, made, note."""

    def __init__(self, flag_id, serial_number):
        self.flag_id = flag_id
        self.serial_number = serial_number
        self.system_title = title_of(flag_id, serial_number)
        self.devices = {}
        self.secrets = {}
        self.keys = {}
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
        body = b""
        for sap, (name, serial) in sorted(self.devices.items()):
            body += _entry(NAME, sap.to_bytes(2, "big") + name.encode())
            body += _entry(SERIAL_NUMBER, sap.to_bytes(2, "big") + serial.encode())
        body += _entry(SYSTEM_TITLE, self.system_title)
        for (server, client), secret in sorted(self.secrets.items()):
            head = server.to_bytes(2, "big") + client.to_bytes(2, "big")
            body += _entry(SECRET, head + secret)
        for k, name in enumerate(KEYS):
            body += _entry(FIRST_KEY + k, self.keys[name])
        data = MAGIC + len(body).to_bytes(2, "big") + body
        return data + binascii.crc32(data).to_bytes(4, "big")

    def check(self):
        return self.octets()[-4:].hex()

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
        lines += ["", "[keys]"]
        lines += ['%s = "%s"' % (name, self.keys[name].hex().upper()) for name in KEYS]
        return "\n".join(lines) + "\n"


def _entry(tag, content):
    return bytes((tag, len(content))) + content


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


def new(flag_id, serial_number, module, release=False, note=""):
    """A record for a meter of this definition (its module), with fresh secrets and keys."""
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
    for server, client, room in lls_associations(module):
        n = min(SECRET_LEN, room)
        text = "".join(strong.choice(ALPHABET) for _ in range(n))
        record.secrets[server, client] = text.encode()
    for name in KEYS:
        record.keys[name] = strong.token_bytes(KEY_LEN)
    fits(record, module)
    return record


def lls_associations(module):
    """(server_sap, client_sap, octets of room for the secret) of those with low level security."""
    found = []
    for a in module.ASSOCIATIONS:
        if a[3] == _LLS:
            room = sheets.room(module, a[2], _SECRET_ATTRIBUTE) - 2
            found.append((module.DEVICES[a[1]][0], a[0], room))
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
    for server, client, room in lls_associations(module):
        secret = record.secrets.get((server, client))
        if secret is None:
            raise Trouble(
                "The record has no secret for client %d at SAP %d; it was made for another"
                " definition than %s." % (client, server, module.NAME)
            )
        if not _LEAST_SECRET_LEN <= len(secret) <= room:
            raise Trouble(
                "The definition %s has room for secrets of %d octets for client %d; %d to %d are"
                " needed." % (module.NAME, room, client, _LEAST_SECRET_LEN, len(secret))
            )


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
    if t.get("format") != FORMAT:
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
        for name in KEYS:
            record.keys[name] = bytes.fromhex(t["keys"][name])
        good = (
            record.check() == t["check"]
            and record.system_title == bytes.fromhex(t["system_title"])
            and all(len(key) == KEY_LEN for key in record.keys.values())
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
        tag, content = data[at], data[at + 2 : at + 2 + data[at + 1]]
        sap = int.from_bytes(content[:2], "big")
        if tag == NAME:
            names[sap] = content[2:].decode("ascii", "replace")
        elif tag == SERIAL_NUMBER:
            serials[sap] = content[2:].decode("ascii", "replace")
        elif tag == SYSTEM_TITLE:
            record.system_title = content
        elif tag == SECRET:
            record.secrets[sap, int.from_bytes(content[2:4], "big")] = content[4:]
        elif FIRST_KEY <= tag < FIRST_KEY + len(KEYS):
            record.keys[KEYS[tag - FIRST_KEY]] = content
        at += 2 + data[at + 1]
    if not names:
        return None
    record.devices = {sap: (name, serials.get(sap, "")) for sap, name in names.items()}
    record.flag_id = record.name[:3]
    record.serial_number = serials.get(min(names), "")
    return record


# --- The connection sheet -------------------------------------------------------------------


def sheet(record, module, ports, shown=()):
    """The sheet of the meter with this record. shown: secrets and keys to print, by name
    ("lls:CLIENT", "guek", ...), or "all"."""
    s = sheets.sheet(module, ports)
    s["logical_device_name"] = record.name
    s["system_title"] = record.system_title.hex().upper()
    s["serial_number"] = record.serial_number
    for d in s["logical_devices"]:
        name = record.devices.get(d["server_sap"], (d["logical_device_name"],))[0]
        d["logical_device_name"] = name
    for a in s["associations"]:
        if a["mechanism_id"] != _LLS:
            continue
        secret = record.secrets.get((a["server_sap"], a["client_sap"]))
        a.pop("secret_hex", None)
        if secret and (_is_shown("lls", shown) or _is_shown("lls:%d" % a["client_sap"], shown)):
            a["secret_hex"] = secret.hex().upper()
        else:
            a["secret_note"] = "in the record (--show-keys lls:%d)" % a["client_sap"]
    keys = {name: record.keys[name].hex().upper() for name in KEYS if _is_shown(name, shown)}
    if keys:
        s["keys"] = keys
    return s


def _is_shown(name, shown):
    return name in shown or "all" in shown


def sheet_text(s):
    lines = sheets.text(s)
    at = 1
    if "serial_number" in s:
        lines.insert(at, "  serial number   %s" % s["serial_number"])
    for name, key in s.get("keys", {}).items():
        lines.append("  %-5s %s  %s" % (name.upper(), key, KEY_NAMES[name]))
    return lines
