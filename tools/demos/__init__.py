# SPDX-License-Identifier: MIT
"""Conversations of the communication profiles, shown to a person: make demo PROFILE=optical.

PROFILES is the table; a profile is a row of it and a module here that has run(show, options). The
module makes both sides talk, tells `show` who sends what, and raises Trouble if the result is not
what it has to be.
"""

import json
import os
import sys
import textwrap

from bootstrap import ROOT

# The modules play both sides with the meter's own code and what the tests have of the other one.
for _path in ("host_tests", "firmware/ports/shim", "", "lib"):
    _path = os.path.join(ROOT, _path) if _path else ROOT
    if _path not in sys.path:
        sys.path.append(_path)

# Name -> what is shown, for people; the module has the same name.
PROFILES = {
    "optical": "the running meter at its optical port: readout, programming, over to HDLC",
    "sfsk": "a street of meters on a power line, found, registered and read",
    "prime": "a meter behind a PRIME service node, octet by octet",
    "g3": "a meter behind a G3 modem: UDP and IPv6, octet by octet",
    "st7580": "a meter on a raw link of two ST7580, in a form of the project's own",
    "lon": "a meter on an ISO/IEC 14908 network, in messages of the project's own form",
}


class Show:
    """Prints a conversation as it goes on, or keeps it for JSON.

    about(text)                 what is seen here
    step(text)                  what happens now
    says(who, octets, *lines)   who sends these octets, and what they mean, line by line
    result(text)                what came of it
    """

    _HEX_A_LINE = 24
    _WIDTH = 88

    def __init__(self, as_json=False):
        self.as_json = as_json
        self.events = []

    def about(self, text):
        self._add({"about": text}, "\n".join(textwrap.wrap(text, self._WIDTH)))

    def step(self, text):
        self._add({"step": text}, "\n%s\n%s" % (text, "-" * len(text)))

    def says(self, who, octets, *lines):
        octets = bytes(octets)
        n = self._HEX_A_LINE
        rows = [octets[i : i + n].hex(" ").upper() for i in range(0, len(octets), n)]
        text = ["  %-8s %s" % (who if k == 0 else "", row) for k, row in enumerate(rows)]
        text += ["  %-8s   %s" % ("", line) for line in lines]
        self._add({"who": who, "hex": octets.hex(), "lines": list(lines)}, "\n".join(text))

    def result(self, text):
        self._add({"result": text}, "\n" + text)

    def end(self):
        if self.as_json:
            print(json.dumps(self.events, indent=1))

    def _add(self, event, text):
        self.events.append(event)
        if not self.as_json:
            print(text, flush=True)
