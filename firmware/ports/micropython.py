# SPDX-License-Identifier: MIT
"""MicroPython: the unix port now, boards with sockets by the same calls. See ports/__init__.py.

What needs no sockets is board.py's. socket is imported where it is used.
The unix port cannot tell which port number a bind to 0 got, so free numbers are tried by lot.
"""

import sys
import time

from firmware.ports.board import Poller, out, random_fill, ticks_ms, utc
from micropython import const

__all__ = ("Poller", "out", "random_fill", "ticks_ms", "utc")

_EADDRINUSE = const(98)
_EAGAIN = const(11)
_EINPROGRESS = const(115)
_EINVAL = const(22)
_IPPROTO_IP = const(0)
_IP_ADD_MEMBERSHIP = const(35)  # of Linux, where a port has no name for it
_IPPROTO_TCP = const(6)
_TCP_NODELAY = const(1)
_FIRST_PORT = const(20000)  # below the range that hosts take for outgoing connections
_N_PORTS = const(12768)
_TRIES = const(64)

NAME = "MicroPython " + ".".join([str(n) for n in sys.implementation.version[:3]])


def power_fail(handler):
    return False


def time_of_day():
    return time.localtime()[3:6]


def _bound(kind, host, number):
    import socket

    info = socket.getaddrinfo(host, number or _FIRST_PORT)[0]
    s = socket.socket(info[0], kind)
    try:
        if kind == socket.SOCK_STREAM:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(info[-1])
        if kind == socket.SOCK_STREAM:
            s.listen(4)
        s.setblocking(False)
    except OSError:
        s.close()
        raise
    return s


def _open(kind, host, number):
    if number:
        return _bound(kind, host, number), number
    lot = bytearray(2)
    for i in range(_TRIES):
        random_fill(lot)
        number = _FIRST_PORT + (lot[0] << 8 | lot[1]) % _N_PORTS
        try:
            return _bound(kind, host, number), number
        except OSError as e:
            if e.errno != _EADDRINUSE:
                raise
    raise OSError(_EADDRINUSE)


def listen(host, number):
    import socket

    return _open(socket.SOCK_STREAM, host, number)


def udp(host, number):
    import socket

    return _open(socket.SOCK_DGRAM, host, number)


def group(host, number, address):
    import socket

    try:
        interface = bytes([int(part) for part in host.split(".")])
    except ValueError:
        raise OSError(_EINVAL)
    info = socket.getaddrinfo("%d.%d.%d.%d" % tuple(address), number)[0]
    s = socket.socket(info[0], socket.SOCK_DGRAM)
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(info[-1])
        join = getattr(socket, "IP_ADD_MEMBERSHIP", _IP_ADD_MEMBERSHIP)
        s.setsockopt(_IPPROTO_IP, join, address + interface)
        s.setblocking(False)
    except OSError:
        s.close()
        raise
    return s


def accept(listener):
    try:
        stream, peer = listener.accept()
    except OSError:
        return None
    return _prompt(stream), peer


def connect(host, number):
    import socket

    info = socket.getaddrinfo(host, number)[0]
    stream = _prompt(socket.socket(info[0], socket.SOCK_STREAM))
    try:
        stream.connect(info[-1])
    except OSError as e:
        if e.errno != _EINPROGRESS:
            stream.close()
            raise
    return stream


def interface(host):
    try:
        import network

        wlan = network.WLAN(network.STA_IF)
        if wlan.isconnected():
            return wlan.ifconfig(), None, wlan.config("mac")
    except (ImportError, AttributeError, OSError, ValueError):
        pass  # the unix port, or a board without Wi-Fi
    return ((host,) if host != "0.0.0.0" else None), None, None


def look_up(host, six):
    return host


def found(lookup):
    return lookup


def unacknowledged(stream):
    return -1


def _prompt(stream):
    """A stream that never waits, neither for us nor for more to send."""
    stream.setblocking(False)
    try:
        stream.setsockopt(_IPPROTO_TCP, _TCP_NODELAY, 1)
    except OSError:
        pass
    return stream


def address(host, number):
    import socket

    return socket.getaddrinfo(host, number)[0][-1]


def recvfrom(endpoint, n):
    try:
        return endpoint.recvfrom(n)
    except OSError:
        return None


def sendto(endpoint, buf, pos, n, address):
    try:
        endpoint.sendto(memoryview(buf)[pos : pos + n], address)
    except OSError:
        return False
    return True


def open_fd(fd):
    return open(fd, "r+b")


def readinto(stream, buf):
    try:
        n = stream.readinto(buf)
    except OSError:
        return -2
    if n is None:
        return 0
    return n if n else -1


def write(stream, buf, pos, n):
    try:
        n = stream.write(buf, pos, n)
    except OSError as e:
        return 0 if e.errno == _EAGAIN else -1
    return 0 if n is None else n


def close(stream):
    try:
        stream.close()
    except OSError:
        pass
