# SPDX-License-Identifier: MIT
"""What prime.py, g3.py and st7580.py share: the steps of a conversation with a modem."""

from bootstrap import Trouble
from doubles import shown


_ABOUT = (
    "What goes over the serial line between a meter and its modem; the modem, and who is behind "
    "it, are played by a double of it (host_tests/doubles)."
)


def run(show, profile, result):
    show.about(_ABOUT)
    try:
        steps = shown.steps(profile)
    except AssertionError as e:
        raise Trouble("The conversation did not come to its end: %s" % e) from e
    for text, frames in steps:
        show.step(text)
        for who, octets, lines in frames:
            show.says(who, octets, *lines)
    show.result(result)
