# SPDX-License-Identifier: MIT
"""PRIME: what passes between a meter and its service node, from reset to release. Both
sides are played here, octet by octet; lib/profiles/prime.md explains them.
"""

from demos import modem


def run(show, options):
    modem.run(show, "prime", "PMT2000000000001 was registered, read over CL_432, and released.")
