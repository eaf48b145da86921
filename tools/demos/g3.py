# SPDX-License-Identifier: MIT
"""G3: what passes between a meter and its modem, from reset to release. Both sides are played
here, octet by octet; lib/profiles/g3.md explains them.
"""

import os
import sys

from bootstrap import ROOT

for _path in ("firmware/ports/shim", "", "lib", "host_tests"):
    sys.path.insert(0, os.path.join(ROOT, _path))

from demos import modem


def run(show, options):
    modem.run(
        show, "g3", "The meter joined PAN 781D as 0005, was read over UDP and IPv6, and released."
    )
