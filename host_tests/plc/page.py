# SPDX-License-Identifier: MIT
"""The parts of lib/profiles/sfsk.md that are made: table of states, budgets, examples.

python3 host_tests/plc/page.py      write them; test_sfsk_page.py sees that they are up to date
"""

import os
import sys

ROOT = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
PAGE = os.path.join(ROOT, "lib/profiles/sfsk.md")
if __name__ == "__main__":
    for _path in ("tools", "firmware/ports/shim", "", "lib", "host_tests"):
        sys.path.insert(0, os.path.join(ROOT, _path))

from profiles import ciase

from decoding.conversation import Conversation
from decoding.show import lines
from plc import budget
from plc.initiator import Initiator
from plc.meters import full
from plc.network import Clock
from plc.sfsk import Line

STATES = ("LOST", "NEW", "REPORTING", "DISCOVERED", "REGISTERED", "ADRIFT")
ACTIONS = ("", "slot drawn", "report dropped", "adopt", "forget")

AARQ = bytes.fromhex(
    "6036A1090607608574050801018A0207808B0760857405080201AC0A80083132333435363738"
    "BE10040E01000000065F1F0400FEFF1F00EF"
)
GET_REGISTER = bytes.fromhex("C001C100030100010800FF0200")
GET_LONG = bytes.fromhex("C001C100010000600109FF0200")
NEXT = bytes.fromhex("C002C100000001")
RLRQ = bytes.fromhex("6200")
# Octets of request and answer, the client awaiting 64 at most.
CONVERSATION = ((len(AARQ), 43), (len(GET_REGISTER), 9), (len(RLRQ), 5))
LONGEST = 64
_LINE_OCTETS = 34


def states():
    rows = ["| State | UP | DOWN | Discover | report left | Register | not addressed | reset |"]
    rows.append("|---|---|---|---|---|---|---|---|")
    for k, name in enumerate(STATES):
        cells = []
        for event in range(7):
            cell = ciase.TABLE[k * 7 + event]
            what = [ACTIONS[cell >> 4]] if cell >> 4 else []
            if cell & 15 != k:
                what.append(STATES[cell & 15])
            cells.append(", ".join(what))
        rows.append("| %s | %s |" % (name, " | ".join(cells)))
    return rows


def budgets():
    rows = ["| loss | repeaters | IC | tries | budget | expected |"]
    rows.append("|---|---|---|---|---|---|")
    for loss in (0.0, 0.1, 0.3):
        for repeaters in range(4):
            made = [budget.Exchange(a, b, LONGEST, repeaters, loss) for a, b in CONVERSATION]
            rows.append(
                "| %d %% | %d | %d | %s | %.1f s | %.1f s |"
                % (
                    100 * loss,
                    repeaters,
                    made[0].ic,
                    ", ".join(str(e.tries) for e in made),
                    sum(e.budget_ms for e in made) / 1000,
                    sum(e.expected_ms for e in made) / 1000,
                )
            )
    rounds, slots = budget.report_slots(200, 200)
    rows += [
        "",
        "200 meters, 200 time slots a Discover: %d Discovers, %d slots." % (rounds, slots),
    ]
    return rows


def conversation():
    """[(step, [(ms, frame), ...])]: first transmissions, as they are on the line."""
    clock = Clock()
    line = Line(clock, 1)
    conc = Initiator(line)
    meter = full(line, b"METER1")
    line.connect(conc.modem, meter.modem)
    seen = []
    transmit = line.transmit

    def noted(source, frame, ms):
        if frame.ic == frame.cc:
            seen.append((clock.now_ms, frame))
        transmit(source, frame, ms)

    line.transmit = noted
    steps = []

    def step(text, action):
        seen.clear()
        action()
        steps.append((text, list(seen)))

    step("Discover and report", lambda: conc.discover(4))
    step("Register: the meter gets address 005", lambda: conc.register({b"METER1": 5}))
    step("Ping", lambda: conc.ping(5, b"METER1"))
    for text, apdu in (
        ("AARQ and AARE: client 1", AARQ),
        ("GET of a register", GET_REGISTER),
        ("GET of 400 octets: a block a frame", GET_LONG),
        ("The next block", NEXT),
        ("RLRQ and RLRE", RLRQ),
    ):
        step(text, lambda a=apdu: conc.ask(5, a, client=1))
    return steps


def hex_lines(octets):
    """Rows of hexadecimal; of a long one its beginning and its end."""
    if len(octets) > 3 * _LINE_OCTETS:
        left = len(octets) - 30
        return ["%s (%d more) %s" % (_hex(octets[:26]), left, _hex(octets[-4:]))]
    return [_hex(octets[k : k + _LINE_OCTETS]) for k in range(0, len(octets), _LINE_OCTETS)]


def _hex(octets):
    return octets.hex(" ").upper()


def examples():
    rows = []
    said = Conversation(layer="mac_frame")
    for k, (text, frames) in enumerate(conversation()):
        rows += ["### A.%d %s" % (k + 1, text), "", "```"]
        for _ms, frame in frames:
            who = "initiator" if frame.source >= 0xC00 and frame.source < 0xE00 else "meter"
            for i, line in enumerate(hex_lines(frame.octets())):
                rows.append("%-10s %s" % (who if i == 0 else "", line))
            (unit,) = said.octets(None, frame.octets())
            for line in lines(unit):
                rows.append("%-10s     %s" % ("", line))
        rows += ["```", ""]
    return rows[:-1]


PARTS = {"states": states, "budgets": budgets, "examples": examples}


def made(text):
    """The page with its made parts as they have to be."""
    for name, part in PARTS.items():
        begin, end = "<!-- %s -->\n" % name, "<!-- end of %s -->" % name
        head, rest = text.split(begin)
        tail = rest.split(end)[1]
        text = head + begin + "\n".join(part()) + "\n" + end + tail
    return text


if __name__ == "__main__":
    with open(PAGE) as f:
        found = f.read()
    with open(PAGE, "w") as f:
        f.write(made(found))
