# SPDX-License-Identifier: MIT
"""Serial lines of a POSIX host: its serial ports, by pyserial; pseudo-terminals, by their
descriptor, have nothing of all this."""

import fcntl
import io
import struct

# Linux: counts of a serial port, among them overruns of its hardware and of its buffer.
_TIOCGICOUNT = 0x545D
_ICOUNT = struct.Struct("20i")
_OVERRUN, _BUF_OVERRUN = 7, 10
_DEFAULT_BAUD = 9600


class Terminal(io.FileIO):
    """The octets of a serial port, which nobody else may open; line: the port, of pyserial."""

    def __init__(self, line):
        super().__init__(line.fileno(), "r+b", closefd=False)
        self.line = line
        self._counted = 0
        self.overruns()

    def close(self):
        super().close()
        self.line.close()

    def overruns(self):
        try:
            counts = _ICOUNT.unpack(fcntl.ioctl(self, _TIOCGICOUNT, bytes(_ICOUNT.size)))
        except OSError:
            return 0  # no serial port, or no Linux
        before = self._counted
        self._counted = counts[_OVERRUN] + counts[_BUF_OVERRUN]
        return self._counted - before


def open_tty(path, baud, even=False, rs485=False):
    """The serial port of a path, with eight bits and even parity, or none; baud: 0 is 9600.
    rs485: its driver switches a transceiver by RTS. OSError says why not."""
    import serial

    try:
        line = serial.Serial(
            path,
            baud or _DEFAULT_BAUD,
            parity=serial.PARITY_EVEN if even else serial.PARITY_NONE,
            timeout=0,
            inter_byte_timeout=0,  # VMIN 1: nothing to read is not the end
            exclusive=True,
        )
    except (OSError, ValueError) as e:
        raise OSError("%s cannot be used as a serial port (%s)." % (path, e)) from None
    try:
        if rs485:
            from serial.rs485 import RS485Settings

            line.rs485_mode = RS485Settings()
    except (OSError, ValueError) as e:
        line.close()
        raise OSError("%s cannot switch an RS-485 transceiver (%s)." % (path, e)) from None
    return Terminal(line)


def open_uart(number, baud, even=False):
    raise ValueError("a PC has terminals, no UART %d" % number)


def open_usb():
    return None


def driver(number):
    return None


def set_rate(stream, baud):
    try:
        stream.line.baudrate = baud
    except ValueError as e:
        raise OSError("%d is no baud rate of this serial port (%s)" % (baud, e)) from None


def is_sending(stream):
    try:
        return stream.line.out_waiting > 0
    except OSError:
        return False


def overruns(stream):
    return stream.overruns() if isinstance(stream, Terminal) else 0
