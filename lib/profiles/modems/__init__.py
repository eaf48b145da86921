# SPDX-License-Identifier: MIT
"""Serial protocols of PLC modems, sans-IO. README.md says what a modem is to the profiles.

poll() returns one of these; modules have copies as private constants:

    0  nothing
    1  _MODEM_UP       it may send from now on
    2  _MODEM_DOWN     it may not; status says why
    3  _MODEM_DATA     buf[pos:end] has come, and is there until the next poll()
    4  _MODEM_CONFIRM  what send() has taken was sent (status 0) or not
    5  _MODEM_FAULT    the modem or the line to it has failed; it recovers by itself
"""

from micropython import const

_COUNT_MAX = const(0x3FFFFFF)


def more(n):
    """The counter n and one more; the highest stays."""
    return n + 1 if n < _COUNT_MAX else n
