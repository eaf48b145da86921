#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Runs the meter on this PC, or prints what a client needs to know of it.

    python3 tools/meter.py run [options]      until Ctrl-C; says `ready` when it can be read
    python3 tools/meter.py run --start 2026-01-01 --until 2027-01-01 [--json]    a year in seconds
    python3 tools/meter.py sheet [--json]     connection sheet of a definition
    python3 tools/meter.py export FILE.xml    its objects as an object list of Gurux
    python3 tools/meter.py import FILE.xml my_meter.toml    a definition from one

The options of `run` and the lines that it prints on stdout are stable; everything else that it has
to say goes to stderr. Without a port option it opens wrapper TCP and UDP 4059 and HDLC over TCP
4060, on the loopback address.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or later is needed; this is %d.%d." % sys.version_info[:2])

import argparse
import contextlib
import importlib.util
import json
import os
import socket
import subprocess

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

import bootstrap
import compile as compiling
import records
import scripts
import sheet as sheets
from arguments import endpoint, heap, port_number, serial_port, speed, start_time
from bootstrap import ROOT, Trouble, as_command, say
from feeds import Feed
from launcher import Launcher, Pty, Scratch, State, Update
from templating import command as templates

DEFAULT_DEFINITION = os.path.join(ROOT, "firmware", "definitions", "residential.toml")
OPTICAL_DEFINITION = os.path.join(ROOT, "firmware", "definitions", "optical.toml")
DEFAULT_LINKS = [["wrapper-tcp", 4059], ["wrapper-udp", 4059], ["hdlc-tcp", 4060]]
_FEED_LEN = 32768  # octets that the meter may keep for who reads slowly


def main(args):
    options = parser().parse_args(args)
    if options.command == "sheet":
        return print_sheet(options)
    if options.command in ("export", "import"):
        return templates.command(options)
    if options.json and not options.until:
        raise Trouble("--json prints what came of --until, which is not there.")
    if options.capture_keys and not options.capture:
        raise Trouble("--capture-keys is of use with --capture only.")
    return run(options)


def parser():
    p = argparse.ArgumentParser(
        prog="meter.py", description="The Picometer reference meter on this PC."
    )
    commands = p.add_subparsers(dest="command", required=True)
    r = commands.add_parser("run", help="run the meter until Ctrl-C")
    r.add_argument("--runtime", choices=("micropython", "cpython"))
    r.add_argument("--heap", type=heap, default="768k", help="MicroPython's heap (768k)")
    r.add_argument("--definition", metavar="FILE", default=DEFAULT_DEFINITION)
    r.add_argument(
        "--state", metavar="DIR", help="keep values, profiles, updates here (else forget)"
    )
    r.add_argument("--provision", metavar="RECORD", help="who it is, see tools/provision.py")
    r.add_argument("--host", default="127.0.0.1", help="address to bind to (127.0.0.1)")
    for name in ("wrapper-tcp", "wrapper-udp", "hdlc-tcp"):
        r.add_argument("--" + name, type=port_number, metavar="PORT", help="0: any free one")
    r.add_argument("--hdlc-pty", metavar="LINK", help="a serial port: LINK leads to it")
    r.add_argument(
        "--hdlc-tty", type=serial_port, metavar="PATH[:BAUD]", help="HDLC on this serial port"
    )
    r.add_argument(
        "--optical-pty", metavar="LINK", help="an optical port (IEC 62056-21): LINK leads to it"
    )
    r.add_argument("--optical-tty", metavar="PATH", help="likewise, on this serial port")
    r.add_argument(
        "--rs-485", action="store_true", help="RTS switches the transceiver of a serial port"
    )
    r.add_argument(
        "--echo", action="store_true", help="the head of the optical port hears what it sends"
    )
    r.add_argument(
        "--push", metavar="HOST:PORT", help="push to it by TCP, where no destination is set"
    )
    r.add_argument("--mbus", type=endpoint, metavar="HOST:PORT", help="where its M-Bus is, by TCP")
    r.add_argument("--speed", type=speed, default=1, metavar="N", help="N times faster than time")
    r.add_argument("--start", type=start_time, metavar="DATE", help="set its clock to it, UTC")
    r.add_argument(
        "--until", type=start_time, metavar="DATE", help="step its time up to there, then serve"
    )
    r.add_argument(
        "--json", action="store_true", help="after --until: print what came of it as JSON, and end"
    )
    r.add_argument(
        "--script", metavar="FILE", help="what happens to the household: see tools/scripts.py"
    )
    r.add_argument(
        "--capture", metavar="FILE", help="what goes over its links, as pcapng for Wireshark"
    )
    r.add_argument(
        "--capture-keys",
        metavar="FILE",
        action="append",
        nargs="?",
        const="",
        default=[],
        help="beside it what was ciphered in plain text: by its own keys, or those of a sheet"
        " (JSON) or a record",
    )
    r.add_argument("--trace", action="store_true", help="print every frame, without secrets")
    r.add_argument("--display", action="store_true", help="print what its display shows")
    r.add_argument(
        "--page", type=port_number, metavar="PORT", help="serve its live page there, see live/"
    )
    r.add_argument(
        "--page-host", default="127.0.0.1", metavar="HOST", help="address of the page (127.0.0.1)"
    )
    # For tests: a meter that does the same every time.
    r.add_argument("--seed", type=int, metavar="N", help=argparse.SUPPRESS)
    s = commands.add_parser("sheet", help="print what a client needs to know")
    s.add_argument("--json", action="store_true")
    s.add_argument("--definition", metavar="FILE", default=DEFAULT_DEFINITION)
    templates.add_commands(commands, DEFAULT_DEFINITION)
    return p


def print_sheet(options):
    module = sheets.load(compiling.definition(options.definition))
    links = [[kind, "127.0.0.1", number] for kind, number in DEFAULT_LINKS]
    s = sheets.sheet(module, links)
    text = json.dumps(s, indent=2) if options.json else "\n".join(sheets.text(s))
    try:
        print(text, flush=True)
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # whoever read it has seen enough
    except OSError as e:
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        raise Trouble("The sheet cannot be written (%s)." % e.strerror) from None
    return 0


def run(options):
    launcher = Launcher()
    host = numeric(options.host)
    links = [
        [kind, host, getattr(options, kind.replace("-", "_"))]
        for kind in ("wrapper-tcp", "wrapper-udp", "hdlc-tcp")
        if getattr(options, kind.replace("-", "_")) is not None
    ]
    wired = options.hdlc_pty or options.hdlc_tty or options.optical_pty or options.optical_tty
    if not links and not wired:
        links = [[kind, host, number] for kind, number in DEFAULT_LINKS]
    if (options.optical_pty or options.optical_tty) and options.definition == DEFAULT_DEFINITION:
        options.definition = OPTICAL_DEFINITION  # the same meter, with such a port
    folder = compiling.definition(options.definition)
    module = sheets.load(folder)
    behind = behind_it(options, module)
    if behind or options.hdlc_tty or options.optical_tty:
        bootstrap.inside("run", "serial")
    with contextlib.ExitStack() as stack:
        scratch = stack.enter_context(Scratch())
        state = os.path.join(scratch.path, "state")
        update = None
        if options.state:
            state = stack.enter_context(State(options.state)).path
            update = Update(state)
        pty = stack.enter_context(Pty(options.hdlc_pty, "--hdlc-pty"))
        ports = wired_ports(options, stack)
        if any(kind[:7] == "optical" for kind, *_ in ports) and not hasattr(module, "OPTICAL"):
            raise Trouble("This definition has no [optical], which an optical port needs.")
        program = runtime(options, folder)
        record, record_path = provisioning(options, module, state, scratch.path)
        shown = list(links)
        if pty.link:
            links.append(["hdlc-pty", pty.link, pty.master])
            shown.append(["hdlc-pty", pty.link, 0])
        links += ports
        shown += [[kind, name, number] for kind, name, number, *_options in ports]
        if record is None and record_path:
            lines = ["The provisioning record %s is damaged." % record_path]
        elif record is None:
            lines = sheets.text(sheets.sheet(module, shown))
        else:
            lines = records.sheet_text(records.sheet(record, module, shown))
        feed, page = subscribed(options, module, record, stack)
        lines += ["page " + page] if page else []
        if not options.json:
            launcher.out("\n".join(lines))
        terminals = descriptors(behind, stack) if "MICROPYPATH" in program[1] else {}
        firmware = {
            "definition": "definition",
            "links": links,
            "terminals": terminals,
            "state": state,
            "sync": bool(options.state),
            "provisioning": record_path,
            "update": update and update.folder,
            "push": options.push,
            "mbus": options.mbus,
            "speed": options.speed,
            "seed": options.seed,
            "script": options.script and scripts.read(options.script),
            "start": options.start,
            "until": options.until,
            "report": options.json,
            "progress": sys.stderr is not None and sys.stderr.isatty(),
            "trace": options.trace,
            "display": "terminal" if options.display else shown_by(feed, module),
            "feed": feed and _FEED_LEN,
            "watch_stdin": True,
        }
        fds = [*terminals.values(), *([pty.master] if pty.link else [])]
        fds += [fd for kind, _name, fd, *_options in ports if kind == "optical-pty"]
        code = launcher.run(program, firmware, fds, scratch.drop, update, feed)
        while launcher.again(code, update):
            say("The firmware is started again.")
            with Scratch() as scratch:
                record_path = provisioning(options, module, state, scratch.path)[1]
                firmware["provisioning"] = record_path
                code = launcher.run(program, firmware, fds, scratch.drop, update, feed)
        return code


def subscribed(options, module, record, stack):
    """The feed for those who want to see what the meter does, until the stack is left, None:
    nobody does; and the address of its page, or None."""
    feed = Feed()
    page = None
    if options.capture:
        bootstrap.inside("plugfest", "pcapng", "cryptography")
        from capturing.capture import Capture
        from capturing.file import File
        from decoding.keys import Keys
        from decoding.names import Names
        from tables import load_definition

        keys = Keys.read(*[path for path in options.capture_keys if path])
        if "" in options.capture_keys:
            keys.add_sheet(whole_sheet(module, record))
        names = Names(load_definition(options.definition))
        capture = Capture(File(options.capture), keys, names)
        stack.callback(capture.close)
        feed.subscribe(capture.take)
    if options.page is not None:
        from live.child import Page

        host = numeric(options.page_host, "--page-host")
        page = stack.enter_context(Page(feed, host, options.page, options.page_host)).begin(
            options.definition, whole_sheet(module, record)
        )
    return feed if feed.has_subscribers() else None, page


def whole_sheet(module, record):
    """With the keys of all clients."""
    if record is None:
        return sheets.sheet(module, [])
    return records.sheet(record, module, [], ("all",))


def shown_by(feed, module):
    """A display that nobody looks at but by way of the feed."""
    return "none" if feed and hasattr(module, "DISPLAY") else None


def behind_it(options, module):
    """[path, baud rate, even parity] of the serial ports on which the meter is the client."""
    found = [[w[2], w[3], False] for w in getattr(module, "GATEWAYS", ()) if w[1] == "hdlc-tty"]
    mbus = getattr(module, "MBUS", None)
    if mbus and mbus[0] == "tty" and not options.mbus:
        found.append([mbus[1], mbus[2], True])
    return found


def descriptors(ports, stack):
    """For MicroPython, which cannot open a serial port with a rate: they stay open, and as they
    are, as long as the stack."""
    for folder in ("firmware/ports/shim", "lib", ""):
        sys.path.append(os.path.join(ROOT, folder))
    from firmware.ports.lines.cpython import open_tty

    try:
        return {path: stack.enter_context(open_tty(path, *how)).fileno() for path, *how in ports}
    except OSError as e:
        raise Trouble(str(e)) from None


def wired_ports(options, stack):
    """Links of serial and optical ports, with descriptors that stay open as long as the stack."""
    found = []
    pty = stack.enter_context(Pty(options.optical_pty, "--optical-pty"))
    if pty.link:
        found.append(["optical-pty", pty.link, pty.master])
    if options.optical_tty or options.hdlc_tty:
        if options.runtime == "micropython":
            raise Trouble("MicroPython cannot change the rate of a serial port; CPython can.")
        options.runtime = "cpython"
    if options.optical_tty:
        found.append(["optical-tty", options.optical_tty, 0])
    if options.hdlc_tty:
        found.append(["hdlc-tty", *options.hdlc_tty])
    for link in found:
        if options.echo:
            link.append("echo")
        if options.rs_485 and link[0][-3:] == "tty":
            link.append("rs-485")
    return found


def provisioning(options, module, state, scratch):
    """(record, file for the firmware): of --provision, else of the folder of the state, else none.

    A damaged one in that folder is the firmware's to refuse: the sheet is the definition's then.
    """
    path = os.path.join(state, records.IN_STATE)
    if options.provision:
        record = records.load(records.find(options.provision, records.FOLDER))
        records.fits(record, module)
        path = os.path.join(scratch, "record")
        records.write_private(path, record.octets())
        return record, path
    if not os.path.exists(path):
        return None, None
    try:
        with open(path, "rb") as f:
            return records.from_octets(f.read()), path
    except OSError as e:
        raise Trouble("--state: cannot read %s (%s)." % (path, e.strerror)) from None


def runtime(options, folder):
    """(arguments, environment, folder) of the program that runs firmware/main, if the state is
    kept from one of the slots there. MicroPython looks for modules in the folder that it runs in
    before it looks elsewhere: it runs where there are none."""
    main = "firmware.launch" if options.state else "firmware.main"
    if options.runtime != "cpython":
        try:
            found = bootstrap.micropython()
            if not found or not bootstrap.mpy_cross():
                found = bootstrap.provide("run")
            compiler = bootstrap.mpy_cross()
            code = compiling.device_code(compiler, found[1])
            paths = [compiling.definition_mpy(compiler, folder), code]
            return (
                [found[0], "-X", "heapsize=" + options.heap, "-m", main],
                {"MICROPYPATH": ":".join(paths)},
                "/",
            )
        except Trouble as e:
            if options.runtime:
                raise
            say("%s\nThe meter runs on CPython instead." % e)
    paths = [folder, os.path.join(ROOT, "lib"), ROOT, os.path.join(ROOT, "firmware/ports/shim")]
    return [python(folder), "-P", "-m", main], {"PYTHONPATH": ":".join(paths)}, None


def python(folder):
    """A Python for the meter of a definition: this one, or that of build/venv if the meter ciphers
    and this one cannot. Neither can: the meter itself says so."""
    ciphers = any(a[3] > 1 or a[8] >= 0 for a in sheets.load(folder).ASSOCIATIONS)
    if not ciphers or importlib.util.find_spec("cryptography"):
        return sys.executable
    in_venv = os.path.join(bootstrap.VENV, "bin", "python")
    check = [in_venv, "-c", "import cryptography"]
    if os.path.exists(in_venv) and not subprocess.run(check, stderr=subprocess.DEVNULL).returncode:
        return in_venv
    return sys.executable


def numeric(host, option="--host"):
    """The address that a host name means; what is served binds to that one."""
    try:
        return socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)[0][4][0]
    except (OSError, UnicodeError):
        raise Trouble(
            "%s: %s is neither an address nor a name that is known." % (option, host)
        ) from None


if __name__ == "__main__":
    as_command(main, code=0)
