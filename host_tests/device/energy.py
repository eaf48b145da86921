# SPDX-License-Identifier: MIT
"""The driver of the energy chip over ports/pins.py and the double. Runs on MicroPython.

    micropython energy.py REGISTERS     in hexadecimal, as METROLOGY of a definition has them

200 seconds of 10 ticks on L1, each taken and measured with the heap locked. Prints the
watt-seconds of a_plus_l1, the voltage of L1 in 0.1 V, and the faults.
"""

import sys
from binascii import unhexlify

from energy_chip import Chip, Machine
from micropython import heap_lock, heap_unlock


class Wiring:
    ENERGY_SPI = (0, 18, 19, 16)
    ENERGY_CS = 17


chip = Chip()
machine = Machine(chip)
machine.selects.append(17)
sys.modules["machine"] = machine
sys.modules["wiring"] = Wiring

from firmware.drivers.atm90e32 import ATM90E32, BAUD  # noqa: E402
from firmware.ports import pins  # noqa: E402


class Prompt:
    """The bus, with a heap for the double, which is no part of the board."""

    def __init__(self, bus):
        self.bus = bus
        self.locked = False

    def transfer(self, buf):
        if not self.locked:
            return self.bus.transfer(buf)
        heap_unlock()
        done = self.bus.transfer(buf)
        heap_lock()
        return done


bus = Prompt(pins.spi(BAUD))
driver = ATM90E32(bus, (45, 4, unhexlify(sys.argv[1])), bytearray(64))
total = 0
driver.take(1)
for _ in range(200):
    chip.count(0x81, 10)
    chip.word[0xD9] = 23004
    bus.locked = True
    heap_lock()
    driver.take(1)
    driver.measure()
    heap_unlock()
    bus.locked = False
    total += driver.quanta[8]
print(total, driver.values[0], driver.faults)
