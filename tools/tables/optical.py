# SPDX-License-Identifier: MIT
"""What a definition says of the local port with the protocol of IEC 62056-21.

[optical]
device                             whose objects; the first one's, if not said
setup                              logical name of its IEC local port setup
readout                            logical name of the Profile generic whose capture_objects are
                                   the data readout, or of a Data with such an array; none if not
                                   said
flag                               three letters: the manufacturer
identification                     of the meter, up to 16 characters
mode                               "A", "B", "C" or "E"; E if not said
battery                            true: it has to be woken
anybody, p1, p2, w5                client_sap of the association whose rights whoever signs on
                                   has, and with each of the passwords of the setup object; none
                                   if not said
"""

import re

from .classes import keys, one_of

_OPTICAL = {"device": (str, False), "setup": (str, True), "readout": (str, False),
            "flag": (str, True), "identification": (str, True), "mode": (str, False),
            "battery": (bool, False), "anybody": (int, False), "p1": (int, False),
            "p2": (int, False), "w5": (int, False)}  # fmt: skip
_LOCAL_PORT_SETUP, _PROFILE_GENERIC, _DATA = 19, 7, 1
_CLIENTS = ("anybody", "p1", "p2", "w5")
_MODES = ("A", "B", "C", "E")


def optical(definition):
    """(row of the setup, row of the readout or -1, flag, identification, mode as its character,
    battery, server_sap, (client_sap or -1, ...)), or None. The objects have rows."""
    document = definition.document
    table = document.data.get("optical")
    if table is None:
        return None
    path = ("optical",)
    keys(document, path, table, _OPTICAL)
    names = [d.name for d in definition.devices]
    one_of(document, (*path, "device"), table.get("device", names[0]), names)
    device = definition.device(table.get("device", names[0]))

    def row(key, *class_ids):
        for class_id in class_ids:
            found = definition.find(device, class_id, table[key])
            if found is not None:
                return found.row
        raise document.error(
            (*path, key), "%s is no object of class %s of device %s" % (
                table[key], " or ".join(str(n) for n in class_ids), device.name))  # fmt: skip

    def client(key):
        if key not in table:
            return -1
        for a in definition.associations:
            if a.client_sap == table[key] and a.device is device and not a.short:
                return a.client_sap
        raise document.error(
            (*path, key), "%s = %d; expected a client_sap of device %s with logical names" % (
                key, table[key], device.name))  # fmt: skip

    if not re.fullmatch("[A-Z]{3}", table["flag"]):
        raise document.error((*path, "flag"), "flag %r; expected three letters" % table["flag"])
    if not re.fullmatch("[^/!\x00-\x1f\x7f-\uffff]{1,16}", table["identification"]):
        raise document.error(
            (*path, "identification"),
            "identification %r; expected 1 to 16 characters without / and !"
            % table["identification"],
        )
    one_of(document, (*path, "mode"), table.get("mode", "E"), _MODES)
    return (
        row("setup", _LOCAL_PORT_SETUP),
        row("readout", _PROFILE_GENERIC, _DATA) if "readout" in table else -1,
        table["flag"].encode(),
        table["identification"].encode(),
        ord(table.get("mode", "E")),
        int(table.get("battery", False)),
        device.sap,
        tuple(client(key) for key in _CLIENTS),
    )
