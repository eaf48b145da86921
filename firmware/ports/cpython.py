# SPDX-License-Identifier: MIT
"""CPython on a POSIX host. See ports/__init__.py for the interface. May allocate."""

import errno
import fcntl
import os
import select
import signal
import socket
import sys
import termios
import threading
import time
import uuid

NAME = "CPython %d.%d.%d" % sys.version_info[:3]

_TICKS_MASK = 0x3FFFFFFF
_EPOCH_2000 = 946684800


def ticks_ms():
    return time.monotonic_ns() // 1000000 & _TICKS_MASK


def utc():
    seconds = int(time.time()) - _EPOCH_2000
    return seconds // 60, seconds % 60


def time_of_day():
    return time.localtime()[3:6]


def random_fill(buf):
    buf[:] = os.urandom(len(buf))


def power_fail(handler):
    try:
        signal.signal(signal.SIGPWR, handler)
    except (AttributeError, ValueError):
        return False  # no such signal here; or this is not the main thread
    return True


def out(text):
    try:
        print(text, flush=True)
    except (OSError, ValueError):
        pass  # nobody reads any more; the meter goes on


def _open(kind, host, number):
    info = socket.getaddrinfo(host, number, type=kind)[0]
    s = socket.socket(info[0], kind)
    try:
        if kind == socket.SOCK_STREAM:
            s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind(info[4])
        if kind == socket.SOCK_STREAM:
            s.listen(4)
        s.setblocking(False)
    except OSError:
        s.close()
        raise
    return s, s.getsockname()[1]


def listen(host, number):
    return _open(socket.SOCK_STREAM, host, number)


def udp(host, number):
    return _open(socket.SOCK_DGRAM, host, number)


def group(host, number, address):
    s = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    try:
        s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        s.bind((socket.inet_ntoa(address), number))
        membership = address + socket.inet_aton(host)
        s.setsockopt(socket.IPPROTO_IP, socket.IP_ADD_MEMBERSHIP, membership)
        s.setblocking(False)
    except OSError:
        s.close()
        raise
    return s


def accept(listener):
    try:
        s, peer = listener.accept()
    except OSError:
        return None
    return _stream(s), peer


def connect(host, number):
    info = socket.getaddrinfo(host, number, type=socket.SOCK_STREAM)[0]
    s = socket.socket(info[0], socket.SOCK_STREAM)
    s.setblocking(False)
    code = s.connect_ex(info[4])
    if code not in (0, errno.EINPROGRESS):
        s.close()
        raise OSError(code, os.strerror(code))
    return _stream(s)


def _out(kind, host, far):
    """The address of a host that is bound to; of one that is bound to all, of what goes out to
    somebody far (nothing is sent). None: there is no such one."""
    try:
        octets = socket.inet_pton(kind, host)
        if any(octets):
            return host
        with socket.socket(kind, socket.SOCK_DGRAM) as s:
            s.connect((far, 9))
            return s.getsockname()[0]
    except OSError:
        return None


def interface(host):
    four = _out(socket.AF_INET, host, "192.0.2.1")
    six = _out(socket.AF_INET6, host, "2001:db8::1")
    node = uuid.getnode()
    # One with this bit is made up.
    mac = None if node >> 40 & 1 else node.to_bytes(6, "big")
    return four and (four,), six and socket.inet_pton(socket.AF_INET6, six.split("%")[0]), mac


def look_up(host, six):
    answer = []

    def ask():
        try:
            found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
            wanted = socket.AF_INET6 if six else socket.AF_INET
            answer.append(([f for f in found if f[0] == wanted] or found)[0][4][0])
        except (OSError, UnicodeError) as e:
            answer.append(OSError(str(e)))

    try:
        # A resolver that hangs does not keep the program from ending.
        threading.Thread(target=ask, daemon=True).start()
    except RuntimeError as e:
        raise OSError(str(e))
    return answer


def found(lookup):
    if lookup and isinstance(lookup[0], OSError):
        raise lookup[0]
    return lookup[0] if lookup else None


def unacknowledged(stream):
    if not sys.platform.startswith("linux"):
        return -1
    try:
        # SIOCOUTQ of a socket has the number of TIOCOUTQ.
        return int.from_bytes(fcntl.ioctl(stream, termios.TIOCOUTQ, bytes(4)), sys.byteorder)
    except OSError:
        return -1


def _stream(s):
    s.setblocking(False)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = s.makefile("rwb", 0)
    s.close()  # the stream holds it
    return stream


def address(host, number):
    return socket.getaddrinfo(host, number, type=socket.SOCK_DGRAM)[0][4]


def recvfrom(endpoint, n):
    try:
        return endpoint.recvfrom(n)
    except OSError:
        return None


def sendto(endpoint, buf, pos, n, address):
    try:
        endpoint.sendto(memoryview(buf)[pos : pos + n], address)
    except (OSError, TypeError):
        return False  # TypeError: an address of IPv6, and the endpoint has one of IPv4
    return True


def open_fd(fd):
    return open(fd, "r+b", buffering=0)


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
        n = stream.write(memoryview(buf)[pos : pos + n])
    except OSError:
        return -1
    return 0 if n is None else n


def close(stream):
    try:
        stream.close()
    except OSError:
        pass


class Poller:
    def __init__(self):
        self.poll = select.poll()
        self.owners = {}

    def add(self, stream, owner):
        self.owners[stream.fileno()] = owner
        self.poll.register(stream, select.POLLIN)

    def remove(self, stream):
        self.poll.unregister(stream)
        del self.owners[stream.fileno()]

    def want_write(self, stream, yes):
        self.poll.modify(stream, select.POLLOUT if yes else select.POLLIN)

    def wait(self, timeout_ms):
        for fd, _events in self.poll.poll(timeout_ms):
            self.owners[fd].ready = True
