# SPDX-License-Identifier: MIT
"""lib/profiles/sfsk.md: its table of states, its budgets and its examples are what is made of the
code; host_tests/plc/page.py writes them. And each example, said to a meter, is answered so."""

import re

from plc import page
from plc.meters import full
from plc.network import Clock
from plc.sfsk import Frame, Line


def test_the_made_parts_are_up_to_date():
    with open(page.PAGE) as f:
        text = f.read()
    assert page.made(text) == text, "python3 host_tests/plc/page.py writes it"


def test_the_examples_said_again_are_answered_so():
    """Only from the page: MAC frames of the initiator go to a meter, which answers as it says."""
    with open(page.PAGE) as f:
        blocks = re.findall(r"```\n(initiator .*?)```", f.read(), re.S)
    clock = Clock()
    line = Line(clock)
    meter = full(line, b"METER1")
    meter.station.ciase.random = lambda n: 0
    sent = []
    line.transmit = lambda source, frame, ms: (sent.append(frame), clock.after(ms, int))
    n = 0
    for block in blocks:
        said = []
        for row in block.splitlines():
            found = re.match(r"(initiator |meter     )? *((?:[0-9A-F]{2} ?)+)(\(.*)?$", row)
            if found and found[1]:
                said.append([found[1].strip(), bytes.fromhex(found[2]), bool(found[3])])
            elif found and said and row.startswith(" " * 11) and not row.startswith(" " * 15):
                said[-1][1] += bytes.fromhex(found[2])
        sent.clear()
        request = said[0][1]
        addresses = int.from_bytes(request[1:4], "big")
        frame = Frame(0, 0, 0, 0, addresses >> 12, addresses & 0xFFF, request[5:])
        meter.modem.is_up = True
        meter.modem.deliver(frame)
        clock.run(clock.now_ms + 3000)
        answers = [octets for who, octets, _ in said[1:]]
        assert len(sent) == len(answers)
        for frame, wanted in zip(sent, answers):
            assert frame.octets()[: len(wanted)] == wanted
            n += 1
    assert n == 7


def test_the_demo(capsys):
    """make demo PROFILE=sfsk: three meters found, registered, the last one read."""
    from demos import Show, sfsk

    show = Show(True)
    sfsk.run(show, None)
    said = {e["lines"][-1] for e in show.events if "who" in e}
    for title in ("METER1", "METER2", "METER3"):
        assert "CIASE  DiscoverReport: system title %s, no alarm" % title in said
    assert show.events[-1]["result"].startswith("METER3 has counted 123456 Wh.")
