# SPDX-License-Identifier: MIT
"""The connection sheet: all that a client needs to know to read a meter, from its definition.

sheet(module, ports) gives it as a dict that json can write; text(sheet) as lines for a person.
"""

import hashlib
import importlib.util
import os

MECHANISMS = (
    "none", "lls", "hls", "hls_md5", "hls_sha1", "hls_gmac", "hls_sha256", "hls_ecdsa",
)  # fmt: skip
# Those that have a secret, in their association object.
WITH_SECRET = (1, 2, 3, 4, 6)
CONTEXTS = {1: "ln", 2: "sn", 3: "ln_ciphered", 4: "sn_ciphered"}
_PROTECTIONS = ("authenticated", "encrypted", "signed")
# certificate_entity and certificate_type of Security setup.
ENTITIES = ("server", "client", "authority", "other")
KINDS = ("sign", "agree", "tls", "other")
# In the order of the hidden state of Security setup; each has room for 32 octets there.
KEYS = ("guek", "gbek", "gak", "kek")
_KEY_ROOM = 32
_SUITE_2 = 2

_HDLC_SETUP = 23


def load(folder):
    """The generated module in a folder."""
    path = os.path.join(folder, "definition.py")
    spec = importlib.util.spec_from_file_location("definition_for_sheet", path)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


_PASSWORDS = ("p1", "p2", "w5")
# Attributes of IEC local port setup.
_DEVICE_ADDR = 6
_FIRST_PASSWORD = 7


def stored(module, row, attribute):
    """A-XDR of a stored attribute as the definition has it, or None."""
    o = module.OBJECTS[row * 16 : row * 16 + 16]
    if attribute > o[10] and attribute != secret(module, row):
        return None
    at = ((o[12] << 8 | o[13]) + attribute - 1) * 4
    entry = module.ATTRIBUTES[at : at + 4]
    memory = {1: module.ROM, 2: module.RAM}.get(entry[0] & 0x0F)
    if memory is None:
        return None
    slot = entry[2] << 8 | entry[3]
    n = memory[slot] << 8 | memory[slot + 1]
    return bytes(memory[slot + 2 : slot + 2 + n])


def state(module, row, j):
    """Octets of hidden state j of an object, as the definition has them."""
    o = module.OBJECTS[row * 16 : row * 16 + 16]
    at = ((o[12] << 8 | o[13]) + o[10] + j) * 4
    slot = module.ATTRIBUTES[at + 2] << 8 | module.ATTRIBUTES[at + 3]
    n = module.RAM[slot] << 8 | module.RAM[slot + 1]
    return bytes(module.RAM[slot + 2 : slot + 2 + n])


def room(module, row, attribute):
    """Octets of the longest encoding that an attribute in RAM can take; -1: it is not there."""
    o = module.OBJECTS[row * 16 : row * 16 + 16]
    at = ((o[12] << 8 | o[13]) + attribute - 1) * 4
    entry = module.ATTRIBUTES[at : at + 4]
    if entry[0] & 0x0F != 2:
        return -1
    shape = (entry[1] | (entry[0] & 0xC0) << 2) * 5
    return module.SHAPES[shape + 3] << 8 | module.SHAPES[shape + 4]


def secret(module, row):
    """Number of the slot with the secret of an association object: see Model.secret()."""
    o = module.OBJECTS[row * 16 : row * 16 + 16]
    class_id = o[0] << 8 | o[1]
    return {15: 7, 12: o[10] + 2}.get(class_id, 0)


def find(module, device, key):
    """Row of the object class_id + logical_name = key (8 octets) of a logical device, or -1."""
    for row in range(device[1], device[1] + device[2]):
        if module.OBJECTS[row * 16 : row * 16 + 8] == key:
            return row
    return -1


def octets(module, row, attribute):
    """Content of a stored octet-string, or None."""
    value = stored(module, row, attribute)
    if not value or value[0] not in (0x09, 0x0A):
        return None
    if value[1] < 0x80:
        return value[2:]
    return value[2 + (value[1] & 0x7F) :]


def first_row(module, class_id):
    for row in range(len(module.OBJECTS) // 16):
        if module.OBJECTS[row * 16] << 8 | module.OBJECTS[row * 16 + 1] == class_id:
            return row
    return -1


def sheet(module, ports):
    """ports: [kind, host or link, number]."""
    result = {
        "definition": module.NAME,
        "logical_device_name": module.DEVICES[0][3].decode("ascii", "replace"),
        "logical_devices": [
            {"server_sap": d[0], "logical_device_name": d[3].decode("ascii", "replace")}
            for d in module.DEVICES
        ],
        "ports": [port_entry(p) for p in ports],
    }
    if module.SYSTEM_TITLE:
        result["system_title"] = module.SYSTEM_TITLE.hex().upper()
    row = first_row(module, _HDLC_SETUP)
    if row >= 0:
        address = stored(module, row, 9)
        if address and address[0] == 0x12:
            result["hdlc_physical_address"] = address[1] << 8 | address[2]
            result["hdlc_address_lengths"] = [1, 2, 4]
    result["gateway"] = [
        {"network_id": g[0], "physical_device_address_hex": None if g[4] is None else g[4].hex()}
        for g in getattr(module, "GATEWAYS", ())
    ]
    if getattr(module, "OPTICAL", None):
        result["optical"] = optical(module)
    result["associations"] = [association(module, a) for a in module.ASSOCIATIONS]
    return result


def optical(module):
    """The optical port, by [optical] of the definition; passwords are demo ones."""
    row, _readout, flag, identification, mode, battery, _sap, clients = module.OPTICAL
    names = ("anybody", *_PASSWORDS)
    found = {"flag": flag.decode(), "identification": identification.decode(), "mode": chr(mode)}
    found["battery"] = bool(battery)
    address = octets(module, row, _DEVICE_ADDR)
    if address:
        found["device_address"] = address.decode()
    found["clients"] = {name: sap for name, sap in zip(names, clients) if sap >= 0}
    found["passwords"] = {
        name: (stored(module, row, attribute) or b"")[2:].decode()
        for attribute, name in enumerate(_PASSWORDS, _FIRST_PASSWORD)
        if name in found["clients"]
    }
    return found


def port_entry(port):
    kind, where, number = port
    if kind[-3:] in ("pty", "tty"):
        return {"kind": kind, "link": where}
    return {"kind": kind, "host": where, "port": number}


def association(module, a):
    """What a client of a row of ASSOCIATIONS needs to know. Keys and secrets are those of the
    definition: demo ones (a provisioned meter has others, see records.py)."""
    client_sap, device, row, mechanism, _conformance, max_pdu = a[:6]
    context, setup, pre_established = a[7:10]
    entry = {
        "client_sap": client_sap,
        "server_sap": module.DEVICES[device][0],
        "application_context": CONTEXTS[context],
        "application_context_id": context,
        "mechanism": MECHANISMS[mechanism],
        "mechanism_id": mechanism,
        "pre_established": bool(pre_established),
        "max_pdu": max_pdu,
    }
    known = octets(module, row, secret(module, row))
    if mechanism in WITH_SECRET and known:
        entry["secret_hex"] = known.hex().upper()
    if setup >= 0:
        entry.update(security(module, setup))
    return entry


def security(module, row):
    """What a Security setup object says, its keys as KEY_hex."""
    name = module.OBJECTS[row * 16 + 2 : row * 16 + 8]
    counter = bytes((0, 1, *name[:3], 1, *name[4:]))
    suite = stored(module, row, 3)[1]
    policy = stored(module, row, 2)[1]
    found = {
        "security_setup": obis(name),
        "security_suite": suite,
        "security_policy": policy,
        "security_policy_means": meaning(policy, module.OBJECTS[row * 16 + 8]),
        "system_title": module.SYSTEM_TITLE.hex().upper(),
    }
    if any(find(module, device, counter) >= 0 for device in module.DEVICES):
        found["invocation_counter"] = obis(counter[2:])
    keys = state(module, row, 0)
    for k, key in enumerate(KEYS):
        key_octets = keys[k * _KEY_ROOM : k * _KEY_ROOM + (32 if suite == _SUITE_2 else 16)]
        if any(key_octets):
            found[key + "_hex"] = key_octets.hex().upper()
    found["certificates"] = [
        certificate(ENTITIES[entity], KINDS[kind], title, der)
        for of, entity, kind, title, der, _private in getattr(module, "CERTIFICATES", ())
        if of == row
    ]
    return found


def certificate(entity, kind, title, der):
    return {
        "entity": entity,
        "kind": kind,
        "system_title": title.hex().upper(),
        "sha256": hashlib.sha256(der).hexdigest(),
        "certificate": der.hex().upper(),
    }


def meaning(policy, version):
    """{"requests": [...], "responses": [...]}: how they have to be protected."""
    if version == 0:
        policy = (policy & 3) << 2 | (policy & 3) << 5
    return {
        side: [word for k, word in enumerate(_PROTECTIONS) if policy >> first + k & 1]
        for side, first in (("requests", 2), ("responses", 5))
    }


def obis(name):
    return ".".join(str(octet) for octet in name)


def text(s):
    """The sheet as lines."""
    lines = ["Meter %s" % s["logical_device_name"]]
    if "system_title" in s:
        lines.append("  system title    %s" % s["system_title"])
    for d in s["logical_devices"]:
        lines.append("  logical device  SAP %d  %s" % (d["server_sap"], d["logical_device_name"]))
    if "hdlc_physical_address" in s:
        lines.append(
            "  HDLC address    upper: the SAP, lower: %d (or the SAP alone, in one octet)"
            % s["hdlc_physical_address"]
        )
    for p in s["ports"]:
        where = p["link"] if "link" in p else "%s port %s" % (p["host"], p["port"] or "any free")
        lines.append("  %-15s %s" % (p["kind"], where))
    if "optical" in s:
        o = s["optical"]
        words = ["anybody is client %d" % o["clients"]["anybody"]] * ("anybody" in o["clients"])
        words += [
            "%s %s is client %d" % (name, password or "(none yet)", o["clients"][name])
            for name, password in o["passwords"].items()
        ]
        lines.append("  optical port    mode %s: %s" % (o["mode"], ", ".join(words)))
    for g in s["gateway"]:
        address = g["physical_device_address_hex"]
        lines.append(
            "  gateway         network %d, %s"
            % (g["network_id"], "any device" if address is None else "device 0x" + address)
        )
    lines.append("  client  server  mechanism   secret")
    for a in s["associations"]:
        secret = bytes.fromhex(a.get("secret_hex", ""))
        shown = a.get("secret_note", "")
        if secret:
            readable = all(0x20 <= octet < 0x7F for octet in secret)
            shown = "%s%s" % ("%s  " % secret.decode() if readable else "", "hex " + secret.hex())
        mechanism = "(always open)" if a["pre_established"] else a["mechanism"]
        lines.append(
            "  %6d  %6d  %-10s  %s" % (a["client_sap"], a["server_sap"], mechanism, shown or "-")
        )
        if "security_setup" in a:
            lines += [" " * 18 + line for line in security_text(a)]
    return lines


def security_text(a):
    """How a client ciphers, as lines."""
    means = a["security_policy_means"]
    words = [
        "%s %s" % (side, " and ".join(kinds) or "in plain text") for side, kinds in means.items()
    ]
    if means["requests"] == means["responses"]:
        words = ["everything %s" % (" and ".join(means["requests"]) or "may be in plain text")]
    lines = [
        "suite %d, policy %02X: %s"
        % (a["security_suite"], a["security_policy"], ", ".join(words)),
        "keys in %s, counter in %s"
        % (a["security_setup"], a.get("invocation_counter", "no object")),
    ]
    if "key_note" in a:
        lines.append(a["key_note"])
    for key in KEYS:
        if key + "_hex" in a:
            lines.append("%-4s  %s" % (key.upper(), a[key + "_hex"]))
    for c in a["certificates"]:
        lines.append(
            "%-9s  %-5s  %-16s  SHA-256 %s..."
            % (c["entity"], c["kind"], c["system_title"] or "-", c["sha256"][:16])
        )
        if "private_key" in c:
            lines.append("  private key %s" % c["private_key"])
    return lines
