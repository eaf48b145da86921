# SPDX-License-Identifier: MIT
"""CircuitPython boards: what is wired to pins. ports/pins.py says what each does.

There is no i2c(): the display's font is framebuf's, which CircuitPython does not have.
"""

import board
import busio
import digitalio
import wiring


def _pin(name):
    found = getattr(wiring, name, None)
    if found is None:
        raise ValueError("wiring.py has no %s." % name)
    return getattr(board, found)


class _SPI:
    def __init__(self, baud: "int"):
        _number, sck, mosi, miso = wiring.ENERGY_SPI
        self._cs = digitalio.DigitalInOut(_pin("ENERGY_CS"))
        self._cs.switch_to_output(True)
        self._spi = busio.SPI(getattr(board, sck), getattr(board, mosi), getattr(board, miso))
        while not self._spi.try_lock():
            pass
        # It is ours alone, and stays locked.
        self._spi.configure(baudrate=baud, polarity=1, phase=1)

    def transfer(self, buf: "bytearray"):
        self._cs.value = False
        try:
            self._spi.write_readinto(buf, buf)
        except OSError:
            return False
        finally:
            self._cs.value = True
        return True


class _Output:
    def __init__(self, name: "str"):
        self._pin = digitalio.DigitalInOut(_pin(name))
        self._pin.switch_to_output(False)

    def set(self, on: "bool"):
        self._pin.value = on


class _Button:
    def __init__(self, name: "str" = "BUTTON"):
        self._pin = digitalio.DigitalInOut(_pin(name))
        self._pin.switch_to_input(pull=digitalio.Pull.UP)

    def pressed(self):
        return not self._pin.value


spi = _SPI
output = _Output
button = contact = _Button
