# SPDX-License-Identifier: MIT
"""The number of this firmware. It rises with each release: a meter takes no image whose number is
not above that of what it runs. tools/image.py may put another one into an image.
"""

from micropython import const

NUMBER = const(1)

_VALUE = const(2)

# Active firmware version: Data 1-0:0.2.0 is its identifier, 0.0.0.2.1 what we have the number in.
_OBJECT = b"\x00\x01\x00\x00\x00\x02\x01\xff"


def show(model):
    """Write it where a client reads it, if the definition has that in RAM."""
    row = model.find_any(_OBJECT, 0)
    if row >= 0 and model.slot(row, _VALUE) >= 0:
        model.put_bytes(row, _VALUE, str(NUMBER).encode())
