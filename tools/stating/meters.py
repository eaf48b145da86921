# SPDX-License-Identifier: MIT
"""Definitions, as Markdown: associations, rights of each client, settings of the profiles."""

import functools
import glob
import os

import tables
from bootstrap import ROOT
from sheet import CONTEXTS, MECHANISMS
from tables.notation import obis, plain
from tables.show import protection_text, spans

DEFINITIONS = os.path.join(ROOT, "firmware", "definitions")
REFERENCE = "residential"
_LETTERS = "rw"
# The current association is another name of the client's own, and has its version.
_ASSOCIATIONS, _CURRENT = (12, 15), "0.0.40.0.0.255"
_POLICY, _SUITE = 2, 3  # attributes of Security setup

# Whose objects say how a profile is set, and the definition that has them.
SETTINGS = (
    ("HDLC", "firmware/definitions/residential.toml", (23,)),
    ("TCP-UDP/IP", "firmware/definitions/residential.toml", (41, 42, 43, 48)),
    ("Optical port", "firmware/definitions/optical.toml", (19, 23)),
    ("S-FSK", "firmware/definitions/sfsk.toml", (50, 51, 52, 55)),
    ("PRIME", "host_tests/definitions/prime.toml", (80, 82, 83, 86)),
    ("G3-PLC", "host_tests/definitions/g3.toml", (91, 92)),
    ("ISO/IEC 14908", "firmware/definitions/lon.toml", (130, 131)),
)
_SECRET = ("pass_p1", "pass_p2", "pass_w5", "mac_key_table")
_LONGEST = 80


def all_of_them():
    """{name: definition} of firmware/definitions."""
    return {
        os.path.splitext(os.path.basename(path))[0]: compiled(os.path.relpath(path, ROOT))
        for path in sorted(glob.glob(os.path.join(DEFINITIONS, "*.toml")))
    }


@functools.lru_cache(maxsize=None)
def compiled(path):
    return tables.compile(os.path.join(ROOT, path)).definition


def overview(meters):
    out = [
        "| definition | objects | classes | logical devices | clients |",
        "|---|---|---|---|---|",
    ]
    for name, d in meters.items():
        versions = {(o.version.class_id, o.version.version) for o in d.objects}
        clients = ["%d of %d" % (a.client_sap, a.device.sap) for a in d.associations]
        devices = ["%d (%s)" % (x.sap, x.name) for x in d.devices]
        out.append(
            "| `%s` | %d | %d | %s | %s |"
            % (name, len(d.objects), len(versions), ", ".join(devices), ", ".join(clients))
        )
    return [*out, ""]


def limits(d):
    """What an AARE says, and what is kept for it."""
    words = (
        "associations",
        "work_len",
        "max_send_pdu",
        "max_receive_pdu",
        "gbt_len",
        "outbox_len",
    )
    return ["%s %d" % pair for pair in zip(words, d.limits)]


def associations(d):
    out = [
        "| client | server | object | context | mechanism | Security setup | suite | policy"
        " | rights as |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for a in d.associations:
        out.append(
            "| %d | %d | %s | %s | %s | %s | %s | %s | %s |"
            % (
                a.client_sap, a.device.sap, obis(a.object.name),
                "%d %s" % (a.application_context, CONTEXTS[a.application_context]),
                "pre-established" if a.pre_established
                else "%d %s" % (a.mechanism, MECHANISMS[a.mechanism]),
                *security(a.security), a.role,
            )
        )  # fmt: skip
    return [*out, ""]


def security(o):
    """Of the Security setup of an association: name, suite, policy."""
    if o is None:
        return "", "", ""
    return obis(o.name), o.cells[_SUITE].value, "%02X" % o.cells[_POLICY].value


def conformance(d, names, code):
    """A row a bit: what it is, who of the clients is given it, and what looks at it."""
    clients = list(d.associations)
    head = "| bit | | " + " | ".join("%d/%d" % (a.client_sap, a.device.sap) for a in clients)
    out = [head + " | looked at in |", "|---|---|" + "---|" * len(clients) + "---|"]
    for bit, name in sorted(names.items()):
        marks = ["x" if a.conformance & 0x800000 >> bit else "" for a in clients]
        modules = ", ".join("`%s`" % m for m in code[bit])
        out.append("| %d | %s | %s | %s |" % (bit, name, " | ".join(marks), modules or "nothing"))
    return [*out, ""]


# --- Rights -----------------------------------------------------------------------------------


def rights(o, role):
    """Rights of a role on an object: letters, with the indexes where it is not all of them."""
    octets = o.access.get(role)
    if octets is None:
        return "-"
    v = o.version
    n = max(v.attributes)
    words = []
    for bit, letter in enumerate(_LETTERS):
        have = [k for k in v.attributes if octets[k - 1] >> bit & 1]
        if have:
            words.append(letter + ("" if len(have) == len(v.attributes) else ":" + spans(have)))
    act = [k for k in v.methods if octets[n + k - 1] & 1]
    if act:
        words.append("x" + ("" if len(act) == len(v.methods) else ":" + spans(act)))
    asked = sorted({protection_text(octet) for octet in octets} - {""})
    return " ".join(words + asked) or "sees it"


def objects(d):
    out = []
    for device in d.devices:
        clients = [a for a in d.associations if a.device is device]
        out += ["**Logical device %d, %s**" % (device.sap, device.name), ""]
        out.append(
            "| class | v | logical name | | %s |"
            % " | ".join("client %d" % a.client_sap for a in clients)
        )
        out.append("|---|---|---|---|" + "---|" * len(clients))
        for o in device.objects:
            own = o.version.class_id in _ASSOCIATIONS and obis(o.name) == _CURRENT
            out.append(
                "| %d %s | %s | %s | %s | %s |"
                % (
                    o.version.class_id, o.version.name.split(" (")[0],
                    "its own" if own else o.version.version, obis(o.name),
                    o.note.replace("|", "/"),
                    " | ".join(rights(o, a.role) for a in clients),
                )
            )  # fmt: skip
        out.append("")
    return out


# --- Settings ---------------------------------------------------------------------------------


def settings():
    out = []
    for name, path, class_ids in SETTINGS:
        d = compiled(path)
        out += ["**%s**, of `%s`" % (name, path), ""]
        out += ["| object | attribute | value |", "|---|---|---|"]
        for o in d.devices[0].objects:
            if o.version.class_id not in class_ids:
                continue
            for k, cell in o.cells.items():
                if k > 1 and cell.attribute.name not in _SECRET:
                    what = "%d %s" % (o.version.class_id, obis(o.name))
                    out.append("| %s | %d %s | %s |" % (what, k, cell.attribute.name, shown(cell)))
        out.append("")
    return out


def shown(cell):
    if cell.stored == "computed":
        return "the meter's, at run time"
    text = str(said(plain(cell.value)))
    return text if len(text) <= _LONGEST else text[: _LONGEST - 3] + "..."


def said(value):
    if isinstance(value, bytes):
        return "0x" + value.hex() if value else "empty"
    return [said(v) for v in value] if isinstance(value, list) else value
