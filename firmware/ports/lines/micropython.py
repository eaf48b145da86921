# SPDX-License-Identifier: MIT
"""Serial lines of MicroPython: machine.UART. A terminal of the unix port has no rate."""

from firmware.ports import board
from micropython import const

# Wide enough for what arrives while flash is written or rubbish is collected.
_RX_LEN = const(512)


def open_uart(number, baud, even=False):
    line = board.uart(number, baud)
    if even:
        line.init(baud, parity=0, timeout=0)
        return line
    try:
        line.init(baud, rxbuf=_RX_LEN)
    except (TypeError, ValueError):
        pass  # a port whose buffer has one size
    return line


class _Driver:
    def __init__(self, pin):
        from machine import Pin

        self._pin = Pin(pin, Pin.OUT, value=0)

    def set(self, on):
        self._pin(1 if on else 0)


def driver(number):
    import wiring

    for entry in wiring.UARTS:
        if entry[0] == number and entry[3] is not None:
            return _Driver(entry[3])
    return None


def set_rate(stream, baud):
    if hasattr(stream, "init"):
        stream.init(baud)


def is_sending(stream):
    return hasattr(stream, "txdone") and not stream.txdone()


def overruns(stream):
    # No port counts them; a buffer that is full has lost some, or is about to.
    return 1 if hasattr(stream, "any") and stream.any() >= _RX_LEN - 1 else 0


def open_usb():
    try:
        from pyb import USB_VCP

        return USB_VCP(1)
    except ImportError:
        pass
    try:
        from usb import device
    except ImportError:
        return None
    return getattr(device, "meter", None)
