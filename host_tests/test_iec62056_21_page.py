# SPDX-License-Identifier: MIT
"""Annex A of lib/profiles/iec62056_21.md is what is said."""

import pages
from optical import ACK, BREAK, NAK, REQUEST, Line, command
from test_iec62056_21 import DISC, SNRM

IDENTIFIED = "PMT, Z = 5: 9600 baud, mode E"


def conversation(line, *says):
    """[(who, octets, note)] of (octets, what they mean, what the answer means)."""
    said = []
    for octets, note, answer in says:
        said.append(("client", octets, note))
        heard = line.ask(octets)
        if heard:
            said.append(("meter", heard, answer))
    return said


def test_the_examples_of_the_page():
    readout = conversation(
        Line(),
        (b"/?00042!\r\n", "/?00042! for the device 00000042", IDENTIFIED),
        (ACK + b"050\r\n", "ACK 050: readout at 9600 baud", "C.1.0(00000042) ... !"),
        (ACK, "ACK", ""),
    )
    programming = conversation(
        Line(),
        (REQUEST, "/?! for whoever is there", IDENTIFIED),
        (ACK + b"051\r\n", "ACK 051: programming mode", "P0 (00000042)"),
        (command("P1", "(11111111)"), "P1 (11111111)", "ACK"),
        (command("R1", "1.8.0()"), "R1 1.8.0()", "1.8.0(12345.678*kWh)"),
        (command("W1", "C.50.5(1.23*kW)"), "W1 C.50.5(1.23*kW)", "ACK"),
        (command("W1", "1.8.0(0)"), "W1 1.8.0(0)", "(ER03): read-write-denied"),
        (b"\x01R1\x021.8.0()\x03\x00", "R1 1.8.0(), BCC is wrong", "NAK"),
        (NAK, "NAK: the last answer again", "(ER03)"),
        (BREAK, "B0", ""),
    )
    line = Line(parity=True)
    coded = conversation(
        line,
        (bytes.fromhex("AF3F218D0A"), "/?! with even parity", "with even parity"),
        (bytes.fromhex("06B235B28D0A"), "ACK 252: HDLC at 9600 baud", "ACK 252 at 300 baud"),
        (SNRM, "SNRM, eight bits", "UA"),
        (DISC, "DISC", "UA; then 300 baud again"),
    )
    wrong = conversation(
        Line(),
        (REQUEST, "", ""),
        (ACK + b"060\r\n", "ACK 060: faster than was proposed", "the readout, at 300 baud"),
    )
    pages.check(
        "iec62056_21",
        [
            ("### A.1 Data readout, with a device address", readout),
            ("### A.2 Programming mode", programming),
            ("### A.3 Over to HDLC and back, on a line of eight bits", coded),
            ("### A.4 A wrong option select", wrong),
        ],
    )
