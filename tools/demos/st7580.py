# SPDX-License-Identifier: MIT
"""ST7580: what passes between a meter and its modem on a bench line. Both sides are played
here, octet by octet; lib/profiles/st7580.md explains them.
"""

from demos import modem


def run(show, options):
    modem.run(
        show,
        "st7580",
        "A client on the same line has read the meter: HDLC over a raw link, project-defined.",
    )
