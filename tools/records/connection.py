# SPDX-License-Identifier: MIT
"""The connection sheet of the meter that has a record."""

import sheet as sheets

from .making import SECRETS, security_setups
from .record import KEYS


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
    if "optical" in s:
        # The meter takes those of the definition away, and only clients set others.
        s["optical"]["passwords"] = dict.fromkeys(s["optical"]["passwords"], "")
    for a in s["associations"]:
        kind = SECRETS.get(a["mechanism_id"])
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
