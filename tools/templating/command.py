# SPDX-License-Identifier: MIT
"""Object lists of Gurux (GXDLMSDirector, its simulator, gurux-dlms) to definitions and back.

    python3 tools/meter.py export [--definition FILE] [--client SAP] FILE.xml
    python3 tools/meter.py import FILE.xml my_meter.toml

The list has the objects of one logical device as one client sees them: class, version, logical
name, access rights, and values. What the format has no place for, and what a definition does not
take, is said line by line and left out. A list that is written has no secrets, keys, certificates,
rows of profiles, and no other client's rights; one that is read may: templates of the simulator
have keys, and an ObjectList for each client. Registers that are like those of the reference meter
are fed by its simulated household. The names of elements are in layouts.py.

CPython >= 3.11, standard library only.
"""

import argparse
import os

import tables
from bootstrap import Trouble, say, step
from tables.notation import obis

from . import definition as making
from . import export, xml


def export_file(definition, path, client_sap=None, server_sap=None):
    """Write the list; returns sentences about what is not in it."""
    try:
        d = tables.compile(definition).definition
    except tables.TableError as e:
        raise Trouble(str(e)) from None
    a = association(d, client_sap, server_sap)
    text, losses = export.text(d, a)
    for device in d.devices:
        if device is not a.device:
            losses.append("logical device %d is not in it: --server %d" % (device.sap, device.sap))
    unseen = [o for o in a.device.objects if a.role not in o.access]
    if unseen:
        names = ", ".join("%d %s" % (o.version.class_id, obis(o.name)) for o in unseen)
        losses.append("client %d does not see %s" % (a.client_sap, names))
    try:
        with open(path, "w", encoding="utf-8") as f:
            f.write(text)
    except OSError as e:
        raise Trouble("Cannot write %s (%s)." % (path, e.strerror)) from None
    return losses


def association(d, client_sap, server_sap):
    """The one that is asked for; else of the first logical device the one that sees the most."""
    device = d.devices[0].sap if server_sap is None else server_sap
    found = [
        a for a in d.associations if a.device.sap == device and client_sap in (None, a.client_sap)
    ]
    if not found:
        known = ", ".join("%d of %d" % (a.client_sap, a.device.sap) for a in d.associations)
        raise Trouble("There is no such association; there are the clients %s." % known)
    return max(found, key=lambda a: sum(a.role in o.access for o in a.device.objects))


def import_file(path, toml):
    """Write a definition that compiles; returns sentences about what is not in it."""
    root = xml.read(path)
    if os.path.lexists(toml):
        raise Trouble("%s is there already. It stays." % toml)
    name = os.path.splitext(os.path.basename(toml))[0]
    with step("Making a definition of %s" % path):
        text, losses = making.text(root, name, os.path.basename(path))
    try:
        with open(toml, "x", encoding="utf-8") as f:
            f.write(text)
    except OSError as e:
        raise Trouble("Cannot write %s (%s)." % (toml, e.strerror)) from None
    return losses


def add_commands(commands, definition):
    """Their arguments."""
    as_it_is = {
        "description": __doc__.rpartition("\n\nCPython")[0],
        "formatter_class": argparse.RawDescriptionHelpFormatter,
    }
    text = "write its objects as an object list of Gurux (XML)"
    e = commands.add_parser("export", help=text, **as_it_is)
    e.add_argument("--definition", metavar="FILE", default=definition)
    e.add_argument("--client", type=int, metavar="SAP", help="as this one sees it (who sees most)")
    e.add_argument("--server", type=int, metavar="SAP", help="of this logical device (the first)")
    e.add_argument("file", metavar="FILE.xml")
    text = "make a definition of an object list of Gurux (XML)"
    i = commands.add_parser("import", help=text, **as_it_is)
    i.add_argument("file", metavar="FILE.xml")
    i.add_argument("toml", metavar="DEFINITION.toml", help="what is written; it must not be there")


def command(options):
    """The subcommands of tools/meter.py."""
    if options.command == "export":
        losses = export_file(options.definition, options.file, options.client, options.server)
        written = options.file
    else:
        losses = import_file(options.file, options.toml)
        written = options.toml
    for line in losses:
        say("  " + line)
    say("%s is written%s." % (written, ", without that" if losses else ""))
    return 0
