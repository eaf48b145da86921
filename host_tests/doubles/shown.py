# SPDX-License-Identifier: MIT
"""Conversations with modems, as tools/demos and the pages of the profiles show them: the meter of
a definition, its driver, the double of its modem, and a client behind that.

steps(profile)    [(what happens, [(who, octets, lines), ...]), ...]
"""

import small

from doubles.meters import Bench, G3Meter, PRIMEMeter, get
from doubles.tap import Tap

AARQ = small.aarq(b"12345678")
REGISTER = get(3, "1.0.1.8.0", 2)
NAME = get(1, "0.0.42.0.0", 2)
RLRQ = bytes.fromhex("6203800100")
_ASKED = (("AARQ and AARE: client 1", AARQ), ("GET of a register", REGISTER), ("Release", RLRQ))


class _Steps:
    def __init__(self, tap):
        self.tap = tap
        self.found = []

    def add(self, text, action):
        self.tap.found.clear()
        action()
        # What values the modem is asked for meanwhile is another matter.
        shown = [x for x in self.tap.found if not _is_value(x)]
        self.found.append((text, shown))


def _is_value(event):
    line = event[2][0]
    return " get" in line or " set" in line or line.endswith("its answer")


def _usi(meter, up):
    tap = Tap(meter.modem.usi.uart, "usi")
    meter.modem.usi.uart = tap
    steps = _Steps(tap)
    steps.add(up, meter.up)

    def ask(apdu):
        meter.ask(apdu)
        meter.run(200)

    for text, apdu in _ASKED:
        steps.add(text, lambda a=apdu: ask(a))
    return steps.found


def _st7580():
    bench = Bench(run=False)
    tap = Tap(bench.modems[1].uart, "local")
    bench.modems[1].uart = tap
    steps = _Steps(tap)
    steps.add("Reset, and its data link", lambda: bench.run(2000))
    for text, apdu in (("SNRM, AARQ", AARQ), ("GET of the logical device name", NAME)):
        steps.add(text, lambda a=apdu: bench.ask(a))
    return steps.found


def steps(profile):
    if profile == "prime":
        return _usi(PRIMEMeter(), "The network is found, the connection established")
    if profile == "g3":
        return _usi(G3Meter(), "A network is found and joined")
    return _st7580()
