# SPDX-License-Identifier: MIT
"""MicroPython on a board without sockets: what a meter behind serial ports needs of a port.

ports/__init__.py says what each does. micropython.py adds sockets; a small heap holds no more than
is used. uart() opens a machine.UART; a read of it that fails is counted in `errors`.
"""

import os
import select
import time

from micropython import const

_TICKS_MASK = const(0x3FFFFFFF)
# A board without a clock that runs on begins at the time of this meter's reference data.
_FIRST_MINUTE = const(13675680)  # 2026-01-01 00:00 UTC
_EPOCH_2000 = const(946684800)

NAME = "MicroPython"

# Reads of a UART that failed, for an overrun or a framing error: where a port says so at all. What
# came is as good as noise on the line.
errors = 0


def ticks_ms():
    return time.ticks_ms() & _TICKS_MASK


def utc():
    try:
        seconds = time.time()
        if time.gmtime(0)[0] == 1970:
            seconds -= _EPOCH_2000
    except AttributeError:
        return _FIRST_MINUTE, 0
    minute = int(seconds) // 60
    if minute < _FIRST_MINUTE:
        return _FIRST_MINUTE, 0  # nobody has set it: an RP2040 begins in 2021
    return minute, int(seconds) % 60


def random_fill(buf):
    data = os.urandom(len(buf))
    for i in range(len(buf)):
        buf[i] = data[i]


def out(text):
    try:
        print(text)
    except OSError:
        pass  # nobody reads any more; the meter goes on


def uart(number, baud):
    """A stream over a UART, 8 data bits, no parity, that never waits. ValueError: none such."""
    from machine import UART

    import wiring

    # Only where the wiring says so: pins of an STM32's UART, for one, cannot be chosen.
    for entry in getattr(wiring, "UARTS", ()):
        if entry[0] == number and entry[1] is not None:
            from machine import Pin

            return UART(number, baud, tx=Pin(entry[1]), rx=Pin(entry[2]), timeout=0)
    return UART(number, baud, timeout=0)


def power_fail(handler):
    import wiring

    pin = getattr(wiring, "POWER_FAIL", None)
    if pin is None:
        return False
    from machine import Pin

    # Not a hard interrupt: the handler runs between two steps of the program.
    Pin(pin, Pin.IN, Pin.PULL_UP).irq(handler, Pin.IRQ_FALLING)
    return True


def readinto(stream, buf):
    global errors
    try:
        n = stream.readinto(buf)
    except OSError:
        errors += 1
        return 0
    return 0 if n is None else n


def write(stream, buf, pos, n):
    n = stream.write(buf, pos, n)
    return 0 if n is None else n


def close(stream):
    if hasattr(stream, "deinit"):
        stream.deinit()


class Poller:
    def __init__(self):
        self.poll = select.poll()
        self.streams = []
        self.owners = []

    def add(self, stream, owner):
        self.streams.append(stream)
        self.owners.append(owner)
        self.poll.register(stream, select.POLLIN)

    def remove(self, stream):
        self.poll.unregister(stream)
        i = self.streams.index(stream)
        self.streams.pop(i)
        self.owners.pop(i)

    def want_write(self, stream, yes):
        self.poll.modify(stream, select.POLLOUT if yes else select.POLLIN)

    def wait(self, timeout_ms):
        for item in self.poll.ipoll(timeout_ms):
            i = 0
            while self.streams[i] is not item[0]:
                i += 1
            self.owners[i].ready = True
