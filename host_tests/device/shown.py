# SPDX-License-Identifier: MIT
"""The display list on an SSD1306, over ports/pins.py. Runs on MicroPython.

    micropython shown.py

Prints the dots of the first character of the label, as they went to the display, and the value
after 100 turns under a locked heap.
"""

import sys

from energy_chip import Machine
from micropython import heap_lock, heap_unlock


class Wiring:
    DISPLAY_I2C = (1, 3, 2)
    DISPLAY_ADDRESS = 0x3C


machine = Machine()
sys.modules["machine"] = machine
sys.modules["wiring"] = Wiring

from firmware.drivers.ssd1306 import SSD1306  # noqa: E402
from firmware.meter.display import Display  # noqa: E402
from firmware.ports import pins  # noqa: E402


class Model:
    def read(self, row, attribute, buf, pos, limit):
        value = 1234567
        buf[0] = 6
        for k in range(4, 0, -1):
            buf[k] = value & 0xFF
            value >>= 8
        return 5


class Screen:
    """The real one, outside of the lock: drawing is not on the path of a request."""

    def __init__(self):
        self.screen = SSD1306(pins.i2c())

    def show(self, label, value, new):
        heap_unlock()
        self.screen.show(label, value, new)
        heap_lock()


entry = bytes((0, 1, 2, 0, 125, 1, 0, 5, 5)) + b"1.8.0kWh"
display = Display(Model(), (entry, entry), Screen())
heap_lock()
for k in range(100):
    display.turn(k * 500)
heap_unlock()
pages = [data for _address, data in machine.written if data[0] == 0x40]
page = pages[8]  # after those that clear it
for row in range(8):
    print("|" + "".join(["#" if page[1 + k] >> row & 1 else "." for k in range(16)]) + "|")
print(str(display.value, "ascii"))
