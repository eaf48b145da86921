# SPDX-License-Identifier: MIT
"""MicroPython boards: what is wired to pins, by the names in wiring.py. circuitpython/pins.py is
the same for CircuitPython; a PC has none.

    spi(baud) -> bus     ENERGY_SPI, ENERGY_CS; mode 3. transfer(buf): exchange octets in place
                         under /CS; False: it failed
    i2c() -> bus         DISPLAY_I2C, DISPLAY_ADDRESS. write(octets): False: nobody answers
    output(name) -> pin  set(on)
    button() -> button   BUTTON, to ground. pressed()
    contact(name)        as a button

ValueError: the wiring has no such thing. transfer, set and pressed take no memory.
"""

import wiring
from machine import I2C, SPI, Pin

_I2C_HZ = 400000


def wired(name):
    found = getattr(wiring, name, None)
    if found is None:
        raise ValueError("wiring.py has no %s." % name)
    return found


class _SPI:
    def __init__(self, baud):
        number, sck, mosi, miso = wired("ENERGY_SPI")
        self._cs = Pin(wired("ENERGY_CS"), Pin.OUT, value=1)
        settings = {"baudrate": baud, "polarity": 1, "phase": 1}
        try:
            self._spi = SPI(number, sck=Pin(sck), mosi=Pin(mosi), miso=Pin(miso), **settings)
        except TypeError:
            # Pins of an STM32's SPI cannot be chosen.
            self._spi = SPI(number, **settings)

    def transfer(self, buf):
        self._cs(0)
        try:
            self._spi.write_readinto(buf, buf)
        except OSError:
            return False
        finally:
            self._cs(1)
        return True


class _I2C:
    def __init__(self):
        number, scl, sda = wired("DISPLAY_I2C")
        self._address = wired("DISPLAY_ADDRESS")
        try:
            self._i2c = I2C(number, scl=Pin(scl), sda=Pin(sda), freq=_I2C_HZ)
        except TypeError:
            self._i2c = I2C(number, freq=_I2C_HZ)

    def write(self, octets):
        try:
            self._i2c.writeto(self._address, octets)
        except OSError:
            return False
        return True


class _Output:
    def __init__(self, name):
        self._pin = Pin(wired(name), Pin.OUT, value=0)

    def set(self, on):
        self._pin(1 if on else 0)


class _Button:
    def __init__(self, name="BUTTON"):
        self._pin = Pin(wired(name), Pin.IN, Pin.PULL_UP)

    def pressed(self):
        return not self._pin()


spi = _SPI
i2c = _I2C
output = _Output
button = contact = _Button
