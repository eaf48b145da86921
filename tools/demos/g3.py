# SPDX-License-Identifier: MIT
"""G3: what passes between a meter and its modem, from reset to release. Both sides are played
here, octet by octet; lib/profiles/g3.md explains them.
"""

from demos import modem


def run(show, options):
    modem.run(
        show, "g3", "The meter joined PAN 781D as 0005, was read over UDP and IPv6, and released."
    )
