# SPDX-License-Identifier: MIT
"""Octets to a meter and back: a TCP connection or a serial port.

A line has open(), close(), write(octets), read(seconds) (b"": nothing came in time), settings()
(rate and parity, where there are some), wait(seconds), and quiet_s: how long nothing has to come
until it counts as silence. Closed: the other side has gone, or is not there.
"""

import contextlib
import os
import select
import socket
import time

_CHUNK = 4096
_FAREWELL_S = 1


class Closed(Exception):
    """Its text says what happened."""


def _reason(e):
    number = getattr(e, "errno", None)
    return os.strerror(number) if number and number > 0 else getattr(e, "strerror", None) or e


class TCP:
    quiet_s = 0.25

    def __init__(self, host, port, patience_s):
        self.where = (host, port)
        self.patience_s = patience_s
        self._socket = None

    def open(self):
        self.close()
        try:
            self._socket = socket.create_connection(self.where, self.patience_s)
            self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        except OSError as e:
            raise Closed(
                "There is no connection to %s port %d (%s)." % (*self.where, _reason(e))
            ) from None

    def close(self):
        """The meter is given a moment to see it: some have one place for connections."""
        s, self._socket = self._socket, None
        if s is None:
            return
        with contextlib.suppress(OSError):
            s.shutdown(socket.SHUT_WR)
            end = time.monotonic() + _FAREWELL_S
            while (left := end - time.monotonic()) > 0 and select.select([s], [], [], left)[0]:
                if not s.recv(_CHUNK):
                    break
        s.close()

    def write(self, octets):
        try:
            self._socket.sendall(octets)
        except (OSError, AttributeError):
            raise Closed("The meter has closed the connection.") from None

    def read(self, seconds):
        if self._socket is None:
            raise Closed("The meter has closed the connection.")
        try:
            if not select.select([self._socket], [], [], seconds)[0]:
                return b""
            octets = self._socket.recv(_CHUNK)
        except OSError as e:
            raise Closed("The connection is lost (%s)." % _reason(e)) from None
        if not octets:
            self.close()
            raise Closed("The meter has closed the connection.")
        return octets

    def settings(self, rate, parity=False):
        pass

    def wait(self, seconds):
        time.sleep(seconds)


class Serial:
    """device: a path, or an URL of pyserial. rate: of HDLC; a sign-on sets its own."""

    quiet_s = 0.7

    def __init__(self, device, rate, patience_s):
        self.device, self.rate, self.patience_s = device, rate, patience_s
        self._port = None

    def open(self):
        import serial

        self.close()
        try:
            self._port = serial.serial_for_url(self.device, self.rate, timeout=0)
            self._port.reset_input_buffer()
        except (OSError, ValueError, serial.SerialException) as e:
            raise Closed("%s cannot be opened (%s)." % (self.device, _reason(e))) from None

    def close(self):
        if self._port is not None:
            self._port.close()
            self._port = None

    def write(self, octets):
        try:
            self._port.write(octets)
            self._port.flush()
        except (OSError, AttributeError) as e:  # SerialException is an OSError
            raise Closed("%s cannot be written to (%s)." % (self.device, e)) from None

    def read(self, seconds):
        try:
            self._port.timeout = seconds
            octets = self._port.read(1)
            return octets + self._port.read(self._port.in_waiting) if octets else b""
        except (OSError, AttributeError, TypeError) as e:
            raise Closed("%s cannot be read (%s)." % (self.device, e)) from None

    def settings(self, rate, parity=False):
        """7E1 with parity, else 8N1. Pseudo-terminals have neither, which is no harm."""
        if os.path.realpath(self.device).startswith("/dev/pts/"):
            return
        try:
            self._port.baudrate = rate
            self._port.bytesize, self._port.parity = (7, "E") if parity else (8, "N")
        except Exception as e:  # termios.error is no OSError
            raise Closed("%s cannot be set to %d baud (%s)." % (self.device, rate, e)) from None

    def wait(self, seconds):
        time.sleep(seconds)
