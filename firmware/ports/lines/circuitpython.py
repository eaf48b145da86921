# SPDX-License-Identifier: MIT
"""Serial lines of CircuitPython: busio.UART, which switches a transceiver itself (rs485_dir)."""

from firmware.ports import circuitpython as port


def open_uart(number, baud, even=False):
    return port.uart(number, baud, even)


def open_usb():
    return port.usb()


def driver(number):
    return None


def set_rate(stream, baud):
    stream.set_rate(baud)


def is_sending(stream):
    # What write() has waited for is in the hardware, but for the last few octets.
    return False


def overruns(stream):
    return stream.overruns()
