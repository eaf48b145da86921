#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Drafts the tester's information file for the official conformance test tool of the DLMS UA: the
CTI (Conformance Test Information) of a meter, from its provisioning record and its definition.

    python3 tools/cti.py PMT1000000000042 --profile hdlc
    python3 tools/cti.py provisioning/PMT1000000000042.toml --definition my_meter.toml -o my.cti
    python3 tools/cti.py --demo --profile wrapper --host 192.0.2.10      with demo secrets

What a CTI has to say is public (the page of dlms.com on the CTI): manufacturer, FLAG id,
management logical device name, type, serial number; logical devices and application associations
with context, mechanism, conformance block, suite and security material; the communication profile
with its parameters; options, of which DoNotTest has to be empty for a certification.

uncertain: how it says so. The template (CTT 3.0) or specification (CTT 3.1) comes with the tool
and is not public, so the names of sections and keys, and the forms of values, are this project's:
the draft has all the values, to be put into the form that comes with the tool. Each section says
so.

The file has secrets, unless --without-secrets: only its owner can read it, and it does not
overwrite anything. Private keys are never in it.
"""

import argparse
import functools
import os
import sys

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compile as compiling
import records
import sheet as sheets
import tables
from bootstrap import ROOT, Trouble, as_command, say
from tables.notation import obis

DEFINITION = os.path.join(ROOT, "firmware", "definitions", "residential.toml")
PROFILES = ("hdlc", "wrapper")
_HDLC_SETUP, _TCP_UDP = 23, 41
_CONFORMANCE_OF = 15  # class that names the bits
_FILL_IN = "fill in"

_HEAD = """# CTI draft of {name}, made by tools/cti.py of definition {definition}{of}.
# {secrets}
# uncertain: names of sections and keys, and forms of values. The template or specification of the
# CTI comes with the CTT and is not public; put these values into its form.
# "{fill_in}" is what neither the record nor the definition knows.
"""
_SECRETS = (
    "SECRETS: this file has the keys and secrets of the meter. Keep it as you keep its record."
)
_NO_SECRETS = "Keys and secrets are left out."
_NOTES = {
    "Identification": "the names exactly as in the databases of the DLMS UA",
    "CommunicationProfile": "as the meter is set now; what is negotiated is in its setup object",
    "LogicalDevice": "SAP: upper HDLC address, or wPort",
    "Association": "conformance: what the meter grants, bit 0 first; keys in hexadecimal",
    "Options": "for a certification nothing may be left out: DoNotTest stays empty",
}


def parser():
    p = argparse.ArgumentParser(
        prog="cti.py", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    p.add_argument("record", nargs="?", help="its record: a file, a name, or a serial number")
    p.add_argument("--demo", action="store_true", help="no record: the demo secrets instead")
    p.add_argument("--folder", metavar="DIR", default=records.FOLDER, help="of the records")
    p.add_argument("--definition", metavar="FILE", default=DEFINITION)
    p.add_argument("--profile", choices=PROFILES, default="hdlc", help="of the tests (hdlc)")
    p.add_argument("--host", default=_FILL_IN, help="where the meter is, for the wrapper")
    p.add_argument("--port", help="serial port of the tester's PC, or TCP port of the meter")
    p.add_argument("--manufacturer", default=_FILL_IN, help="as in the database of members")
    p.add_argument("--type", default=_FILL_IN, help="type of the meter")
    p.add_argument(
        "--without-secrets", action="store_true", help="to be shown: keys are to be filled in, too"
    )
    p.add_argument("-o", "--output", metavar="FILE", help="(the logical device name, .cti)")
    return p


def main(arguments):
    p = parser()
    options = p.parse_args(arguments)
    if bool(options.record) == options.demo:
        p.error("expected a RECORD, or --demo")
    d, module = compiled(options.definition)
    record = None
    if options.record:
        record = records.load(records.find(options.record, options.folder))
        records.fits(record, module)
        s = records.sheet(record, module, [], "all")
    else:
        s = sheets.sheet(module, [])
    if options.without_secrets:
        hide(s)
    path = options.output or s["logical_device_name"] + ".cti"
    write(path, text(s, d, record, options))
    what = "no secrets" if options.without_secrets else "secrets"
    say("%s is written. It has %s: only you can read it." % (path, what))
    return 0


def hide(s):
    """Take secrets and keys from a sheet."""
    for a in s["associations"]:
        for name in ("secret_hex", *(key + "_hex" for key in sheets.KEYS)):
            if name in a:
                a[name] = _FILL_IN


@functools.lru_cache(maxsize=2)
def compiled(path):
    """(definition, generated module) of a TOML file."""
    try:
        d = tables.compile(path).definition
    except tables.TableError as e:
        raise Trouble(str(e)) from None
    return d, sheets.load(compiling.definition(path))


def write(path, text):
    try:
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    except FileExistsError:
        raise Trouble("%s is there already. It stays." % path) from None
    except OSError as e:
        raise Trouble("Cannot write %s (%s)." % (path, e.strerror)) from None
    with os.fdopen(fd, "w", encoding="utf-8") as f:
        f.write(text)


def text(s, d, record, options):
    """The draft."""
    out = _HEAD.format(
        name=s["logical_device_name"],
        definition=d.name,
        secrets=_NO_SECRETS if options.without_secrets else _SECRETS,
        of=" and its record" if record else ", with its DEMO secrets",
        fill_in=_FILL_IN,
    )
    for title, rows in sections(s, d, options):
        out += "\n[%s]\n# uncertain: the form; %s\n" % (title, _NOTES[title.split(" ")[0]])
        out += "".join("%s = %s\n" % (key, value) for key, value in rows)
    return out


def sections(s, d, options):
    serial = s.get("serial_number") or tables_value(d, "0.0.96.1.0.255")
    yield (
        "Identification",
        [
            ("Manufacturer", options.manufacturer),
            ("FlagID", s["logical_device_name"][:3]),
            ("ManagementLogicalDeviceName", s["logical_device_name"]),
            ("Type", options.type),
            ("SerialNumber", serial),
            ("SystemTitle", s.get("system_title", "")),
        ],
    )
    yield "CommunicationProfile", profile(s, d, options)
    for device in s["logical_devices"]:
        yield (
            "LogicalDevice %d" % device["server_sap"],
            [
                ("LogicalDeviceName", device["logical_device_name"]),
                ("ServerSAP", device["server_sap"]),
                ("Enable", "true"),
            ],
        )
    for a in s["associations"]:
        title = "Association %d of LogicalDevice %d" % (a["client_sap"], a["server_sap"])
        yield title, association(a, d)
    yield "Options", [("DoNotTest", "[]")]


def tables_value(d, name):
    """Text of an identifier of the management logical device, or "fill in"."""
    o = d.find(d.devices[0], 1, name)
    value = tables.expected_value(o, 2) if o else b""
    return (value.decode("ascii", "replace") if isinstance(value, bytes) else "") or _FILL_IN


def profile(s, d, options):
    if options.profile == "wrapper":
        o = next((o for o in d.devices[0].objects if o.version.class_id == _TCP_UDP), None)
        return [
            ("Profile", "TCP-UDP/IP"),
            ("Host", options.host),
            ("Port", options.port or (o.cells[2].value if o else _FILL_IN)),
            ("InactivityTimeOut_s", o.cells[6].value if o else _FILL_IN),
        ]
    o = next((o for o in d.devices[0].objects if o.version.class_id == _HDLC_SETUP), None)
    if o is None:
        raise Trouble("This definition has no IEC HDLC setup; expected --profile wrapper.")
    values = {cell.attribute.name: cell.value for cell in o.cells.values()}
    return [
        ("Profile", "HDLC"),
        ("SerialPort", options.port or _FILL_IN),
        ("OpeningMode", "direct HDLC" if "optical" not in s else "IEC 62056-21 mode E, or direct"),
        ("BaudRate", o.version.enums["comm_speed"][str(values["comm_speed"])]),
        ("LowerHDLCAddress", values["device_address"]),
        ("AddressLengths", "1, 2, 4"),
        ("WindowSizeTransmit", values["window_size_transmit"]),
        ("WindowSizeReceive", values["window_size_receive"]),
        ("MaxInfoFieldLengthTransmit", values["max_info_field_length_transmit"]),
        ("MaxInfoFieldLengthReceive", values["max_info_field_length_receive"]),
        ("InterOctetTimeOut_ms", values["inter_octet_time_out"]),
        ("InactivityTimeOut_s", values["inactivity_time_out"]),
    ]


@functools.lru_cache(maxsize=None)
def conformance_names():
    return tables.load_classes()[_CONFORMANCE_OF].enums["conformance"]


def association(a, d):
    """What the tester's client needs to open it."""
    row = next(
        x
        for x in d.associations
        if (x.client_sap, x.device.sap) == (a["client_sap"], a["server_sap"])
    )
    names = conformance_names()
    bits = [bit for bit in range(24) if row.conformance & 0x800000 >> bit]
    rows = [
        ("Enable", "true"),
        ("ClientSAP", a["client_sap"]),
        ("Referencing", "SN" if row.short else "LN"),
        ("ApplicationContext", a["application_context_id"]),
        ("Mechanism", "%d" % a["mechanism_id"]),
        ("PreEstablished", "true" if a["pre_established"] else "false"),
        ("ConformanceBlock", "%06X" % row.conformance),
        ("Conformance", ", ".join(names[str(bit)].split(" (")[0] for bit in bits)),
        ("MaxReceivePduSize", a["max_pdu"]),
        ("AssociationObject", obis(row.object.name)),
    ]
    if "secret_hex" in a:
        rows.append(("Secret", a["secret_hex"]))
    if "security_setup" in a:
        rows += security(a)
    return rows


def security(a):
    means = a["security_policy_means"]
    titles = [c["system_title"] for c in a["certificates"] if c["entity"] == "client"]
    rows = [
        ("SecuritySuite", a["security_suite"]),
        ("SecurityPolicy", "%02X" % a["security_policy"]),
        ("Requests", " and ".join(means["requests"]) or "plain"),
        ("Responses", " and ".join(means["responses"]) or "plain"),
        ("SecuritySetup", a["security_setup"]),
        ("InvocationCounter", a.get("invocation_counter", "no object")),
        ("ServerSystemTitle", a["system_title"]),
        ("ClientSystemTitle", next(iter(titles), _FILL_IN)),
    ]
    rows += [(key.upper(), a[key + "_hex"]) for key in sheets.KEYS if key + "_hex" in a]
    for c in a["certificates"]:  # no private key of the meter: a tester is a client
        word = "%s%sCertificate" % (c["entity"].capitalize(), c["kind"].capitalize())
        rows.append((word, c["certificate"]))
    if a["mechanism_id"] == 7:  # beside the authority's, see tools/authority.py
        rows.append(("ClientPrivateKeys", _FILL_IN))
    return rows


if __name__ == "__main__":
    as_command(main)
