# SPDX-License-Identifier: MIT
"""Serial lines of a POSIX host: terminals, by their descriptor."""

import fcntl
import struct
import sys
import termios

# Linux: counts of a serial port, among them overruns of its hardware and of its buffer.
_TIOCGICOUNT = 0x545D
_ICOUNT = struct.Struct("20i")
_OVERRUN, _BUF_OVERRUN = 7, 10

_seen = {}


def open_uart(number, baud, even=False):
    raise ValueError("a PC has terminals, no UART %d" % number)


def open_usb():
    return None


def driver(number):
    return None


def set_rate(stream, baud):
    speed = getattr(termios, "B%d" % baud, None)
    if speed is None:
        raise OSError("%d is no baud rate of a terminal" % baud)
    try:
        settings = termios.tcgetattr(stream)
        settings[4] = settings[5] = speed
        termios.tcsetattr(stream, termios.TCSANOW, settings)
    except termios.error as e:
        raise OSError(*e.args)


def is_sending(stream):
    try:
        left = fcntl.ioctl(stream, termios.TIOCOUTQ, bytes(4))
    except OSError:
        return False
    return int.from_bytes(left, sys.byteorder) > 0


def overruns(stream):
    try:
        counts = _ICOUNT.unpack(fcntl.ioctl(stream, _TIOCGICOUNT, bytes(_ICOUNT.size)))
    except OSError:
        return 0  # no serial port, or no Linux
    n = counts[_OVERRUN] + counts[_BUF_OVERRUN]
    fd = stream.fileno()
    new = n - _seen.get(fd, n)
    _seen[fd] = n
    return new
