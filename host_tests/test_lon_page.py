# SPDX-License-Identifier: MIT
"""Annex A of lib/profiles/lon.md is what is said."""

import pages
from test_lon import AARQ, GET_ENERGY, Bench, head


def test_the_examples_of_the_page():
    bench = Bench()
    said = []

    def hear(source, node, content):
        if content not in [octets for _, octets, _ in said]:
            who = "client" if source is bench.head_end.modem else "meter"
            said.append((who, content, NOTES[len(said)]))
        return content

    bench.line.disturb = hear
    assert bench.ask(AARQ)[:1] == b"\x61"
    assert bench.ask(GET_ENERGY)
    assert bench.say(head(4) + GET_ENERGY)
    bench.lon.notify(1, 1, b"\x0f\0\0\0\1\0\0\0", 0, 8)
    bench.run(5000)
    pages.check(
        "lon",
        [
            ("### A.1 AARQ, AARE", said[:2]),
            ("### A.2 GET of 1.0.1.8.0", said[2:4]),
            ("### A.3 A protected message, which is refused", said[4:6]),
            ("### A.4 A notification, to whom the meter has heard last", said[6:]),
        ],
    )


NOTES = [
    "19: SPDU, to a node, domain of one octet; 01: request 1; 2D: application message; control 10",
    "21: response 1",
    "",
    "",
    "control 14",
    "control 14, and nothing behind it",
    "09: TPDU, to a node; 11: repeated, number 1; control 10, client 1, server 1",
]
