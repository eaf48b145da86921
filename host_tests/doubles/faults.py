# SPDX-License-Identifier: MIT
"""Tests made of tables of faults, {name: (how often, what the driver says, what it counts)}: it
sends one SDU and hears one while the double does that; then it is as if nothing had been.
"""

from operator import attrgetter

from doubles.wire import CONFIRM, DATA, FAULT, NAMES

_MERGED = b"\x01" * 100  # comes together with what the modem answers


def play(name, row, here, send, hear, sdu, quiet_ms, merged_ms=(0, 300), each_s=None):
    """here: driver, double and bench, up; send(modem) and hear(double, sdu).

    quiet_ms: after so long, and when the driver is up, nothing is to come of the fault any more;
    merged_ms: from sending on until nothing is read, and as long as that is;
    each_s(double): what its network does meanwhile.
    """
    times, expected, counter = row
    modem, double, bench = here
    known = len(bench.events)
    count = attrgetter(counter) if counter else None
    before = count(modem) if count else -1
    if name == "split":
        double.uart.piece = 1
    double.faults[name] = times
    assert send(modem) == 1
    if name == "merged":
        bench.run(merged_ms[0])
        double.uart.held = True
        hear(double, _MERGED)
        bench.run(merged_ms[1])
        double.uart.held = False
    end = bench.passed_ms + quiet_ms
    for _ in range(quiet_ms // 1000 + 200):
        bench.run(1000)
        if each_s:
            each_s(double)
        if modem.is_up and bench.passed_ms >= end:
            break
    hear(double, sdu)
    assert bench.until(DATA, 500) == sdu
    assert _said(bench.events[known:]) == expected
    assert not times or name in double.happened
    assert not count or count(modem) > before
    double.uart.piece = 1 << 20
    bench.run(500)
    assert send(modem) == 1 and bench.until(CONFIRM, 1000) == 0


def _said(events):
    """Their names, with the status of a confirm; FAULT+ for several faults in a row."""
    said = []
    for _, _, event, what in events:
        if event == FAULT and said and said[-1].startswith("FAULT"):
            said[-1] = "FAULT+"
        elif event != DATA or what != _MERGED:
            said.append(NAMES[event] + (" %d" % what if event == CONFIRM else ""))
    return said
