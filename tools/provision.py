#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Gives a meter its own identity: makes a record for it, keeps it, writes it, checks it.

    python3 tools/provision.py new --flag ABC --serial 42 [--release] [--note TEXT]
    python3 tools/provision.py write RECORD --port /dev/ttyACM0 [--check PLACE]     a board
    python3 tools/provision.py write RECORD --state DIR                             a meter on a PC
    python3 tools/provision.py check RECORD PLACE
    python3 tools/provision.py show RECORD [--show-keys [NAME,...]]
    python3 tools/provision.py list
    python3 tools/provision.py complete RECORD [--rekey] add what another definition needs
    python3 tools/provision.py authority                 make one for certificates, and show it
    python3 tools/provision.py certify REQUEST [--kind agree|tls] [-o FILE]
    python3 tools/provision.py demo FOLDER               public certificates of demo meters

RECORD is a file, or the logical device name or serial number of a record in the folder of records
(--folder, provisioning/ in this checkout unless said otherwise, which git ignores). PLACE is where
the meter can be read: wrapper-tcp:HOST:PORT, hdlc-tcp:HOST:PORT, hdlc-serial:DEVICE[:BAUD].

Secrets and keys are never printed unless --show-keys asks for them: all of them, or those named
(lls, lls:CLIENT, hls, hls:CLIENT, guek, gak, gbek, kek, private). tools/records says what a
record has, tools/authority.py what an authority is; its folder is `authority` in that of the
records. A REQUEST is a PKCS#10 that a meter has made, a file of DER or PEM; the certificate that
it is to import is written as PEM.

A meter that has lost what it stored (its flash was erased, or it has another definition) has lost
its invocation counters: under the keys of before, it would use them again. complete --rekey makes
other keys, which are then to be written to it.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or later is needed; this is %d.%d." % sys.version_info[:2])

import argparse
import hashlib
import json
import os
import re

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import compile as compiling
import reader
import records
import remote
import sheet as sheets
from bootstrap import ROOT, Trouble, as_command, have, say

DEFINITION = os.path.join(ROOT, "firmware", "definitions", "residential.toml")


def main(args):
    options = parser().parse_args(args)
    return options.run(options)


def parser():
    p = argparse.ArgumentParser(prog="provision.py", description="Who a meter is, and its keys.")
    commands = p.add_subparsers(required=True)
    common = argparse.ArgumentParser(add_help=False)
    common.add_argument("--folder", metavar="DIR", default=records.FOLDER, help="of the records")
    common.add_argument("--definition", metavar="FILE", default=DEFINITION)

    c = commands.add_parser("new", parents=[common], help="make a record")
    c.set_defaults(run=new)
    c.add_argument("--flag", required=True, metavar="ABC", help="the manufacturer's FLAG id")
    c.add_argument("--serial", metavar="N", help="serial number (default: the next one)")
    c.add_argument("--release", action="store_true", help="this meter leaves the bench")
    c.add_argument("--note", default="", help="a text for people")
    maker = {"type": maker_key, "default": b"", "metavar": "0x...", "dest": "maker"}
    c.add_argument("--maker-key", help="whose firmware it takes, see tools/image.py keys", **maker)

    c = commands.add_parser("show", parents=[common], help="print the connection sheet")
    c.set_defaults(run=show)
    c.add_argument("record")
    c.add_argument("--show-keys", nargs="?", const="all", default="", metavar="NAME,...")
    c.add_argument("--json", action="store_true")

    c = commands.add_parser("write", parents=[common], help="write a record to a meter")
    c.set_defaults(run=write)
    c.add_argument("record")
    where = c.add_mutually_exclusive_group(required=True)
    where.add_argument("--port", help="of a board: /dev/ttyACM0, socket://host:port, ...")
    where.add_argument("--state", metavar="DIR", help="of a meter on this PC (meter.py --state)")
    c.add_argument("--release", action="store_true", help="refuse what is not for release")
    c.add_argument("--check", metavar="PLACE", help="read the meter there afterwards")
    c.add_argument("--patience", type=float, default=remote.PATIENCE_S, help=argparse.SUPPRESS)

    c = commands.add_parser("check", parents=[common], help="read a meter, compare it")
    c.set_defaults(run=check)
    c.add_argument("record")
    c.add_argument("place")

    c = commands.add_parser("list", parents=[common], help="list the records")
    c.set_defaults(run=show_list)

    c = commands.add_parser("complete", parents=[common], help="add what a record lacks")
    c.set_defaults(run=complete)
    c.add_argument("record")
    c.add_argument("--rekey", action="store_true", help="other keys for all Security setups")
    c.add_argument("--maker-key", help="whose firmware it takes from now on", **maker)

    c = commands.add_parser("authority", parents=[common], help="make a certificate authority")
    c.set_defaults(run=make_authority)

    c = commands.add_parser("certify", parents=[common], help="sign a meter's request")
    c.set_defaults(run=certify)
    c.add_argument("request", metavar="REQUEST")
    c.add_argument("--authority", metavar="DIR", help="another one, such as that of demo meters")
    c.add_argument(
        "--kind", choices=("sign", "agree", "tls"), default="sign", help="what the key is for"
    )
    c.add_argument("-o", "--output", metavar="FILE", help="(default: standard output)")

    c = commands.add_parser("demo", parents=[common], help="make certificates of demo meters")
    c.set_defaults(run=demo)
    c.add_argument("into", metavar="FOLDER", help="such as firmware/definitions/residential")
    return p


def maker_key(text):
    if not re.fullmatch("0x([0-9A-Fa-f]{2}){64}", text):
        raise argparse.ArgumentTypeError("this is no public key: 0x and 64 octets, x and y")
    return bytes.fromhex(text[2:])


def module_of(options):
    return sheets.load(compiling.definition(options.definition))


def record_of(options):
    path = records.find(options.record, options.folder)
    if records.shared(path):
        say("Other users of this computer can read %s. chmod 600 keeps them out." % path)
    return records.load(path)


# --- The commands ---------------------------------------------------------------------------


def new(options):
    flag_id = records.flag(options.flag)
    serial = options.serial or next_serial(flag_id, options.folder)
    record = records.new(
        flag_id,
        serial,
        module_of(options),
        options.release,
        options.note,
        lambda: authority_of(options),
    )
    record.maker = options.maker
    for path in records.paths(options.folder):
        other = records.load(path)
        if other.system_title == record.system_title:
            raise Trouble(
                "There is a record of this meter already: %s. Its keys stay; to make others, put"
                " that file away first." % path
            )
    path = records.save(record, options.folder)
    print("%s  %s" % (record.name, path))
    return 0


def next_serial(flag_id, folder):
    """One more than the highest of this manufacturer."""
    highest = 0
    width = 1
    for path in records.paths(folder):
        record = records.load(path)
        if record.flag_id == flag_id:
            highest = max(highest, int(record.serial_number))
            width = max(width, len(record.serial_number))
    return "%0*d" % (width, highest + 1)


def show(options):
    record = record_of(options)
    module = module_of(options)
    s = records.sheet(record, module, [], names_of(options.show_keys, module))
    lines = records.sheet_text(s)
    folder = os.path.join(options.folder, AUTHORITY)
    if record.certificates and os.path.isdir(folder):
        lines.append("  The private keys of these clients are in %s." % folder)
    print(json.dumps(s, indent=2) if options.json else "\n".join(lines))
    return 0


def names_of(text, module):
    names = [n for n in text.split(",") if n]
    known = ["all", "lls", "hls", *records.KEYS, "private"]
    known += sorted({name for _server, _client, _room, name in records.shared_secrets(module)})
    for name in names:
        if name not in known:
            raise Trouble("There is no key %s. There are: %s." % (name, ", ".join(known)))
    return names


# --- Certificates ---------------------------------------------------------------------------

AUTHORITY = "authority"  # in the folder of records
DEMO = """\
    DEMO ONLY. Everybody knows this key: it is in the sources of Picometer.

"""


def authority_of(options, folder=None, **how):
    """The authority in the folder of records, or in another one."""
    if not have("cryptography"):
        remote.in_venv()
    import authority

    return authority.Authority(folder or os.path.join(options.folder, AUTHORITY), **how)


def complete(options):
    record = record_of(options)
    if options.rekey:
        record.setups.clear()
    added = records.complete(record, module_of(options), lambda: authority_of(options))
    if options.maker not in (b"", record.maker):
        record.maker = options.maker
        added.append("maker's key")
    if added:
        records.replace(record, records.find(options.record, options.folder))
    print("\n".join("added: " + what for what in added) or "It has all that it needs.")
    return 0


def make_authority(options):
    ca = authority_of(options)
    for curve in records.CURVES.values():
        root = ca.root(curve)
        print("%s  SHA-256 %s" % (curve, hashlib.sha256(root.certificate).hexdigest()))
    print("%s  %s" % ("made:" if ca.made else "in", ca.folder))
    return 0


def certify(options):
    try:
        with open(options.request, "rb") as f:
            request = f.read()
    except OSError as e:
        raise Trouble("Cannot read %s (%s)." % (options.request, e.strerror)) from None
    text = authority_of(options, options.authority).certify(request, options.kind)
    if options.output:
        records.write_private(options.output, text.encode())
    else:
        print(text, end="")
    return 0


def demo(options):
    """What a definition names in `certificates`, all with keys that are public."""
    module = module_of(options)
    ca = authority_of(options, options.into, name="Picometer demo", remark=DEMO)
    for setup in records.security_setups(module):
        curve = records.CURVES.get(setup.suite)
        if curve is None:
            continue
        ca.root(curve)
        for kind in records.KINDS:
            ca.meter(curve, kind, module.SYSTEM_TITLE)
            for client in setup.clients:
                ca.client(records.client_title(client), curve, kind)
    for path in ca.made:
        os.chmod(path, 0o644)
        print(path)
    return 0


# --- Meters ---------------------------------------------------------------------------------


def show_list(options):
    paths = records.paths(options.folder)
    if not paths:
        say("There are no records in %s." % options.folder)
    code = 0
    for path in paths:
        try:
            r = records.load(path)
        except Trouble as e:
            say(str(e))
            code = 1
            continue
        title = r.system_title.hex().upper()
        kind = "release" if r.release else "bench"
        line = "%s  serial %s  title %s  %s  %s  %s"
        print((line % (r.name, r.serial_number, title, kind, r.made, r.note)).rstrip())
    return code


def write(options):
    if options.port:
        remote.in_venv()
    record = record_of(options)
    module = module_of(options)
    records.fits(record, module)
    if options.release and (not record.release or record.flag_id == records.DEMO_FLAG_ID):
        raise Trouble(
            "%s is a record for the bench: make one with new --release, and the manufacturer's own"
            " FLAG id." % record.name
        )
    if options.port:
        write_board(record, options)
    else:
        write_state(record, options.state)
    if options.check:
        return check(options)
    print("\n".join(records.sheet_text(records.sheet(record, module, []))))
    return 0


def write_state(record, folder):
    path = os.path.join(folder, records.IN_STATE)
    try:
        os.makedirs(folder, mode=0o700, exist_ok=True)
        records.write_private(path, record.octets())
        with open(path, "rb") as f:
            same = f.read() == record.octets()
    except OSError as e:
        raise Trouble("Cannot write %s (%s)." % (path, e.strerror)) from None
    if not same:
        raise Trouble("%s is not what was written." % path)
    say("A meter that is started with --state %s is %s." % (folder, record.name))


def write_board(record, options):
    with remote.Remote(options.port, options.patience) as board:
        about = board.about()
        place = about.place(records.ON_BOARD)
        board.replace(place, record.octets())
        say("Written to the board: %s, compared by its hash." % place)
        read_back(board, record)
        if board.hashes([about.place("main.py")])[about.place("main.py")] is None:
            say("The board has no meter yet (no main.py): tools/deploy.py puts it there.")
            return
        say("Starting the meter ...")
        lines = board.start()
        if lines[-1] != remote.READY:
            raise Trouble(" ".join(lines[-2:]))
        say("The meter is ready.")


_READ_BACK = """
try:
    from firmware import provisioning
    r = provisioning.load(%r)
    print(r.name(), r.serial_number()) if r.good else print('damaged')
except ImportError:
    print('none')
"""


def read_back(board, record):
    """Let the firmware on the board say whose record it has."""
    said = board.run(_READ_BACK % records.ON_BOARD, "reading the record").strip()
    if said == "none":
        say("The board has no firmware yet that could read it back.")
    elif said != "%s %s" % (record.name, record.serial_number):
        raise Trouble("The firmware on the board cannot use the record: it reads %r." % said)
    else:
        say("The board reads %s, serial number %s." % tuple(re.split(r"\s+", said)))


def check(options):
    record = record_of(options)
    s = records.sheet(record, module_of(options), [], ("all",))
    place = options.place if "place" in options else options.check
    if place.startswith("hdlc-serial:"):
        remote.in_venv()
    for line in reader.check(s, place):
        print(line)
    return 0


if __name__ == "__main__":
    as_command(main)
