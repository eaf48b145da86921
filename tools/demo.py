#!/usr/bin/env python3
# SPDX-License-Identifier: MIT
"""Starts a meter, lets some hours pass in it, reads it with the Gurux client, and prints a table.

    python3 tools/demo.py [--hours 8] [--rows 12] [--link wrapper|hdlc] [--runtime ...] [--json]
    python3 tools/demo.py --profile NAME [--runtime ...] [--json]     a conversation of a profile:
                                             who sends what, decoded line by line (see demos/)

make demo gets what is needed first. The client is a program of its own in its own environment,
host_tests/peers/gurux_client.py: nothing of the meter is in it, and it learns the meter's objects
from the meter. With --json stdout has what was read, for programs. Progress goes to stderr.

CPython >= 3.11, standard library only; what --profile shows is decoded in build/venv.
"""

import sys

if sys.version_info < (3, 11):
    sys.exit("Python 3.11 or later is needed; this is %d.%d." % sys.version_info[:2])

import argparse
import contextlib
import datetime
import importlib
import json
import os
import re
import select
import signal
import subprocess
import tempfile
import time
import tomllib

sys.path.insert(0, os.path.dirname(os.path.abspath(__file__)))

from bootstrap import ROOT, Trouble, as_command, inside, say, step
from demos import PROFILES, Show

METER = os.path.join(ROOT, "tools", "meter.py")
CLIENT = os.path.join(ROOT, "host_tests", "peers", "gurux_client.py")
REGISTERS = os.path.join(ROOT, "lib", "cosem", "classes", "003_register.toml")

READING_CLIENT = 2
_SPEED = 3600  # an hour in a second
_READY_S = 120
_ANSWER_S = 60
_LOOK_S = 0.5

_DATA, _REGISTER, _EXTENDED_REGISTER, _DEMAND_REGISTER, _PROFILE, _CLOCK = 1, 3, 4, 5, 7, 8
_VALUE, _SCALER_UNIT, _BUFFER, _CAPTURE_OBJECTS = 2, 3, 2, 3
_DEMAND_SCALER_UNIT = 4
_NO_UNIT = 255

CLOCK = "0.0.1.0.0.255"
LOAD_PROFILE = "1.0.99.1.0.255"
IDENTIFICATION = [
    ("0.0.42.0.0.255", "logical device name"),
    ("0.0.96.1.0.255", "serial number"),
    ("0.0.96.1.1.255", "model"),
    ("0.0.96.1.2.255", "rating"),
    ("0.0.96.1.3.255", "year of manufacture"),
    ("1.0.0.2.0.255", "firmware"),
    ("0.0.0.2.1.255", "firmware version"),
]


def main(args):
    options = parser().parse_args(args)
    if options.profile:
        inside("run", "cryptography")  # the decoder explains what is said
        show_profile = Show(options.json)
        importlib.import_module("demos." + options.profile).run(show_profile, options)
        show_profile.end()
        return 0
    now = datetime.datetime.now(datetime.timezone.utc)
    options.start = now - datetime.timedelta(hours=options.hours)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    peer = peers_python()
    with contextlib.ExitStack() as stack:
        meter = stack.enter_context(Program("The meter", meter_arguments(options), signal.SIGINT))
        address = meter.wait_until_ready(options.link)
        client = stack.enter_context(
            Program("The client", client_arguments(peer, address, options))
        )
        found = read(client, options)
        found["meter"] = {"runtime": meter.runtime, "link": options.link}
        found["meter"]["address"] = "%s:%d" % address
    if options.json:
        print(json.dumps(found, indent=1))
    else:
        show(found, options.rows)
    return 0


def parser():
    p = argparse.ArgumentParser(description="Start a meter, read it with an independent client.")
    names = sorted(PROFILES)
    p.add_argument("--profile", choices=names, metavar="NAME", help="; ".join(
        "%s: %s" % (name, PROFILES[name]) for name in names))  # fmt: skip
    p.add_argument("--hours", type=hours, default=8, help="that pass before it is read (8)")
    p.add_argument("--rows", type=int, default=12, help="of the load profile to show (12)")
    p.add_argument("--link", choices=("wrapper", "hdlc"), default="wrapper")
    p.add_argument("--runtime", choices=("micropython", "cpython"))
    p.add_argument("--json", action="store_true", help="what was read, as JSON on stdout")
    return p


def hours(text):
    if not text.isdigit() or not 1 <= int(text) <= 200:
        raise argparse.ArgumentTypeError("%r is no number of hours (1..200)" % text)
    return int(text)


def peers_python():
    found = os.environ.get("PICOMETER_PEERS") or os.path.join(ROOT, "build/peers/bin/python")
    if os.path.isdir(found):
        found = os.path.join(found, "bin", "python")
    if not os.path.exists(found):
        raise Trouble(
            "The client that reads the meter is not installed (there is no %s).\n"
            "make demo gets it, and so does: python3 tools/bootstrap.py demo" % found
        )
    return found


def meter_arguments(options):
    args = [sys.executable, METER, "run", "--%s-tcp" % options.link, "0", "--speed", str(_SPEED)]
    args += ["--start", options.start.isoformat(timespec="minutes")]
    return args + (["--runtime", options.runtime] if options.runtime else [])


def client_arguments(peer, address, options):
    sheet = subprocess.run(
        [sys.executable, METER, "sheet", "--json"], stdout=subprocess.PIPE, text=True
    )
    if sheet.returncode:
        raise Trouble("The meter's connection sheet could not be had, see above.")
    for a in json.loads(sheet.stdout)["associations"]:
        if a["client_sap"] == READING_CLIENT:
            args = [peer, CLIENT, "--link", options.link, "--host", address[0]]
            args += ["--port", str(address[1]), "--client", str(a["client_sap"])]
            return args + ["--server", str(a["server_sap"]), "--secret", a["secret_hex"]]
    raise Trouble("The meter has no association for the reading client, %d." % READING_CLIENT)


# --- The two programs -----------------------------------------------------------------------


class Program:
    """A process that talks in lines, for as long as the context lasts."""

    def __init__(self, name, args, end_signal=None):
        self.name = name
        self.args = args
        self.end_signal = end_signal
        self.received = b""
        self.runtime = "MicroPython"

    def __enter__(self):
        self.errors = tempfile.TemporaryFile()
        try:
            self.process = subprocess.Popen(
                self.args, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self.errors
            )
        except OSError as e:
            raise Trouble("%s cannot be started: %s." % (self.name, e.strerror)) from None
        return self

    def __exit__(self, *_):
        if self.end_signal is not None and self.process.poll() is None:
            self.process.send_signal(self.end_signal)
        with contextlib.suppress(OSError):
            self.process.stdin.close()
        try:
            self.process.wait(15)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def line(self, timeout_s):
        """The next line that it says; Trouble if it says nothing more."""
        fd = self.process.stdout.fileno()
        deadline = time.monotonic() + timeout_s
        while b"\n" not in self.received:
            left = deadline - time.monotonic()
            if left <= 0 or not select.select([fd], [], [], left)[0]:
                raise Trouble("%s does not answer (%d s)." % (self.name, timeout_s))
            data = os.read(fd, 65536)
            if not data:
                raise Trouble("%s has ended before its time.%s" % (self.name, self.said()))
            self.received += data
        line, self.received = self.received.split(b"\n", 1)
        return line.decode("utf-8", "replace")

    def said(self):
        """The end of what it said on stderr, as a part of a sentence."""
        self.errors.seek(0)
        text = self.errors.read().decode("utf-8", "replace").strip().splitlines()[-6:]
        return " It said:\n    " + "\n    ".join(text) if text else ""

    def wait_until_ready(self, link):
        """The meter's address, once it can be read."""
        address = None
        with step("Starting a meter"):
            deadline = time.monotonic() + _READY_S
            line = ""
            while line != "ready":
                line = self.line(max(1, deadline - time.monotonic()))
                found = re.fullmatch(re.escape(link) + r"-tcp (\S+):(\d+)", line)
                if found:
                    address = found[1], int(found[2])
        if "cpython" in self.args:
            self.runtime = "CPython"
        elif "runs on CPython" in self.said():
            self.runtime = "CPython"
            say("There is no MicroPython here, or no mpy-cross: the meter runs on CPython.")
        return address

    def ask(self, do, **command):
        """One command to the client; Trouble if the meter, or the client, refuses."""
        command["do"] = do
        try:
            self.process.stdin.write(json.dumps(command).encode() + b"\n")
            self.process.stdin.flush()
        except OSError:
            raise Trouble("%s has ended before its time.%s" % (self.name, self.said())) from None
        answer = json.loads(self.line(_ANSWER_S))
        if "error" in answer:
            raise Trouble("The client could not %s: %s" % (do, json.dumps(answer["error"])))
        return answer


class Progress:
    """One line on stderr that says how far something is; on a terminal it is written over."""

    def __init__(self, text):
        self.text = text
        self.tty = sys.stderr.isatty()
        self.start = time.monotonic()
        self.last = None

    def __enter__(self):
        if not self.tty:
            say(self.text + " ...")
        return self

    def tell(self, text):
        if self.tty and text != self.last:
            say("\r\x1b[K%s ... %s" % (self.text, text), end="")
            self.last = text

    def __exit__(self, kind, *_):
        if kind is not None:
            if self.tty:
                say("")
        else:
            clear = "\r\x1b[K" if self.tty else ""
            say("%s%s: done, %.1f s" % (clear, self.text, time.monotonic() - self.start))


# --- Reading --------------------------------------------------------------------------------


def read(client, options):
    """Everything that is shown, as plain dicts and lists."""
    opened = client.ask("open")
    objects = client.ask("objects")["objects"]
    wait_for_rows(client, options)
    with step("Reading %d objects with Gurux" % len(objects)):
        units = unit_names()
        found = {
            "association": {"max_pdu": opened["max_pdu"], "objects": len(objects)},
            "identification": identification(client, objects),
            "clock": date_time(get(client, _CLOCK, CLOCK, _VALUE)),
            "registers": registers(client, objects, units),
            "load_profile": load_profile(client, objects, units),
        }
        client.ask("release")
        client.ask("close")
    return found


def get(client, class_id, obis, attribute):
    return client.ask("get", class_id=class_id, obis=obis, attribute=attribute)["value"]


def wait_for_rows(client, options):
    """Until so many hours have passed on the meter's clock."""
    n_hours = options.hours
    passed = 0.0
    # Twice as long as it takes at full speed, and some more for a slow machine.
    deadline = time.monotonic() + 60 + 20 * n_hours
    with Progress("Letting %d hours pass in the meter" % n_hours) as progress:
        while passed < n_hours:
            if time.monotonic() > deadline:
                raise Trouble("The meter's clock does not get on: %.1f hours passed." % passed)
            time.sleep(_LOOK_S)
            now = datetime.datetime.fromisoformat(date_time(get(client, _CLOCK, CLOCK, _VALUE)))
            passed = (now - options.start).total_seconds() / 3600
            progress.tell("%.1f" % passed)


def identification(client, objects):
    there = {(o["class_id"], o["obis"]) for o in objects}
    return [
        {"obis": obis, "name": name, "value": text(get(client, _DATA, obis, _VALUE))}
        for obis, name in IDENTIFICATION
        if (_DATA, obis) in there
    ]


def registers(client, objects, units):
    """All registers of all three kinds, with the scaler applied."""
    wanted = [
        o for o in objects if o["class_id"] in (_REGISTER, _EXTENDED_REGISTER, _DEMAND_REGISTER)
    ]
    commands = []
    for o in wanted:
        scaler_unit = _DEMAND_SCALER_UNIT if o["class_id"] == _DEMAND_REGISTER else _SCALER_UNIT
        for attribute in (_VALUE, scaler_unit):
            commands.append({"class_id": o["class_id"], "obis": o["obis"], "attribute": attribute})
    answers = client.ask("get_all", attributes=commands)["answers"]
    found = []
    for k, o in enumerate(wanted):
        value, scaler_unit = answers[2 * k], answers[2 * k + 1]
        for answer in (value, scaler_unit):
            if "error" in answer:
                raise Trouble("%s could not be read: %s" % (o["obis"], answer["error"]))
        scaler, unit = scaler_unit["value"]
        found.append(
            {"obis": o["obis"], "class_id": o["class_id"], "name": description(o),
             "raw": value["value"], "scaler": scaler, "unit": units.get(unit, str(unit)),
             "value": scaled(value["value"], scaler)})  # fmt: skip
    return found


def load_profile(client, objects, units):
    names = {(o["class_id"], o["obis"]): description(o) for o in objects}
    columns = []
    for class_id, name, attribute, _ in get(client, _PROFILE, LOAD_PROFILE, _CAPTURE_OBJECTS):
        obis = ".".join(str(octet) for octet in bytes.fromhex(name))
        column = {"obis": obis, "attribute": attribute, "name": names.get((class_id, obis), "")}
        column["unit"] = ""
        column["scaler"] = 0
        if class_id in (_REGISTER, _DEMAND_REGISTER):
            scaler_unit = _DEMAND_SCALER_UNIT if class_id == _DEMAND_REGISTER else _SCALER_UNIT
            column["scaler"], unit = get(client, class_id, obis, scaler_unit)
            column["unit"] = units.get(unit, str(unit))
        columns.append(column)
    answer = client.ask("by_entry", obis=LOAD_PROFILE, **{"from": 1, "to": 0})
    rows = []
    for row in answer["value"]:
        rows.append(
            [date_time(v) if c["obis"] == CLOCK else scaled(v, c["scaler"])
             for c, v in zip(columns, row)])  # fmt: skip
    return {"obis": LOAD_PROFILE, "columns": columns, "rows": rows}


def unit_names():
    """Symbols of the units by their number, from the class file of Register."""
    with open(REGISTERS, "rb") as f:
        enums = tomllib.load(f)["enums"]
    units = {int(k): v.split(" (")[0] for k, v in enums["unit"].items() if k.isdigit()}
    units[_NO_UNIT] = ""
    return units


def scaled(value, scaler):
    """value * 10**scaler as text, exactly: no binary fractions."""
    if not isinstance(value, int) or isinstance(value, bool):
        return str(value)
    if scaler >= 0:
        return str(value * 10**scaler)
    sign = "-" if value < 0 else ""
    digits = str(abs(value)).rjust(1 - scaler, "0")
    return sign + digits[:scaler] + "." + digits[scaler:]


def date_time(octets):
    """A 12-octet date-time as ISO 8601."""
    t = bytes.fromhex(octets)
    minutes = -int.from_bytes(t[9:11], "big", signed=True)
    sign = "-" if minutes < 0 else "+"
    zone = "%s%02d:%02d" % (sign, abs(minutes) // 60, abs(minutes) % 60)
    if t[9:11] == b"\x80\x00":
        zone = ""
    return "%04d-%02d-%02dT%02d:%02d:%02d%s" % (
        t[0] << 8 | t[1], t[2], t[3], t[5], t[6], t[7], zone)  # fmt: skip


def text(value):
    """An octet-string as text, if it is one."""
    with contextlib.suppress(ValueError, TypeError):
        decoded = bytes.fromhex(value).decode("ascii")
        if decoded.isprintable():
            return decoded
    return str(value)


def description(o):
    """What Gurux's table of OBIS codes says of an object."""
    return re.sub(r"\s+", " ", o["description"]).replace("Ch. 0 ", "").strip()


# --- Showing --------------------------------------------------------------------------------


def show(found, n_rows):
    m = found["meter"]
    print("Meter on %s, %s at %s, read with gurux-dlms as client %d: %d objects" % (
        m["runtime"], "HDLC over TCP" if m["link"] == "hdlc" else "wrapper over TCP",
        m["address"], READING_CLIENT, found["association"]["objects"]))  # fmt: skip
    heading("Identification")
    for row in found["identification"]:
        print("  %-12s  %-22s  %s" % (short(row["obis"]), row["name"], row["value"]))
    heading("Clock")
    print("  %-12s  %-22s  %s" % (short(CLOCK), "time", found["clock"].replace("T", "  ")))
    heading("Registers")
    for row in found["registers"]:
        print("  %-12s  %14s %-8s  %s" % (
            short(row["obis"]), row["value"], row["unit"], row["name"][:60]))  # fmt: skip
    profile = found["load_profile"]
    rows = profile["rows"]
    heading("Load profile %s: %d rows" % (short(LOAD_PROFILE), len(rows)))
    titles = [short(c["obis"]) for c in profile["columns"]]
    units = [c["unit"] for c in profile["columns"]]
    shown_rows = rows[-n_rows:] if n_rows > 0 else []
    table = [titles, units] + [[v[:19].replace("T", " ") for v in row] for row in shown_rows]
    widths = [max(len(row[k]) for row in table) for k in range(len(titles))]
    for k, row in enumerate(table):
        print("  " + "  ".join(v.rjust(w) for v, w in zip(row, widths)).rstrip())
        if k == 1 and len(rows) > len(shown_rows):
            print("  ... %d earlier ones" % (len(rows) - len(shown_rows)))


def heading(title):
    print("\n%s\n%s" % (title, "-" * len(title)))


def short(obis):
    return obis[:-4] if obis.endswith(".255") else obis


if __name__ == "__main__":
    as_command(main)
