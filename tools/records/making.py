# SPDX-License-Identifier: MIT
"""Records for a definition: made, completed, and held against it."""

import datetime
import re
import secrets as strong
from typing import NamedTuple

import sheet as sheets
from bootstrap import Trouble
from tables import clash

from .record import CURVES, DEMO_FLAG_ID, KEYS, KINDS, Certificate, Record

# 32 letters and digits that nobody takes for others: five bits each.
ALPHABET = "abcdefghijkmnpqrstuvwxyz23456789"
SECRET_LEN = 26
_LEAST_SECRET_LEN = 8
_MOST_SAP = 0xFF
# Mechanisms with a shared secret, and what --show-keys calls it.
SECRETS = {1: "lls", 2: "hls", 3: "hls", 4: "hls", 6: "hls"}
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
        if a[3] in SECRETS:
            room = sheets.room(module, a[2], sheets.secret(module, a[2])) - 2
            found.append((module.DEVICES[a[1]][0], a[0], room, "%s:%d" % (SECRETS[a[3]], a[0])))
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
