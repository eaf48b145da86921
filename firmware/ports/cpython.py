# SPDX-License-Identifier: MIT
"""CPython on a POSIX host. See ports/__init__.py for the interface. May allocate."""

import hashlib
import os
import select
import socket
import sys
import time

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


class _AES:
    """AES by OpenSSL, from the package `cryptography`."""

    def __init__(self, key):
        from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
        from cryptography.hazmat.primitives.ciphers.aead import AESGCM

        cipher = Cipher(algorithms.AES(key), modes.ECB())
        self._encrypt = cipher.encryptor().update
        self._decrypt = cipher.decryptor().update
        # (iv, text, aad) -> ciphertext and tag
        self.seal = AESGCM(key).encrypt

    def encrypt(self, src, dst):
        dst[:] = self._encrypt(src)

    def decrypt(self, src, dst):
        dst[:] = self._decrypt(src)


def aes(key):
    """ImportError: the package `cryptography` is not installed."""
    return _AES(key)


def new_hash(name):
    return hashlib.new(name)


class _Elliptic:
    """A curve by OpenSSL, from the package `cryptography`."""

    def __init__(self, name):
        from cryptography.exceptions import InvalidSignature
        from cryptography.hazmat.primitives import hashes
        from cryptography.hazmat.primitives.asymmetric import ec, utils

        self._ec = ec
        self._utils = utils
        self._invalid = InvalidSignature
        self._curve = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1}[name]()
        self._size = self._curve.key_size // 8
        digest = {"P-256": hashes.SHA256, "P-384": hashes.SHA384}[name]()
        self._algorithm = ec.ECDSA(utils.Prehashed(digest))

    def _expect(self, octets, n):
        if len(octets) != n * self._size:
            raise ValueError("length of a key, digest or signature")

    def _private(self, private):
        """ValueError: not a private key."""
        return self._ec.derive_private_key(int.from_bytes(private, "big"), self._curve)

    def _public(self, public):
        """ValueError: not on the curve."""
        n = self._size
        x = int.from_bytes(public[:n], "big")
        y = int.from_bytes(public[n:], "big")
        return self._ec.EllipticCurvePublicNumbers(x, y, self._curve).public_key()

    def _octets(self, *numbers):
        return b"".join([number.to_bytes(self._size, "big") for number in numbers])

    def sign(self, private, digest, extra):
        self._expect(private, 1)
        self._expect(digest, 1)
        try:
            key = self._private(private)
        except ValueError:
            return None
        signature = key.sign(bytes(digest), self._algorithm)
        return self._octets(*self._utils.decode_dss_signature(signature))

    def verify(self, public, digest, signature):
        n = self._size
        self._expect(public, 2)
        self._expect(digest, 1)
        self._expect(signature, 2)
        r = int.from_bytes(signature[:n], "big")
        s = int.from_bytes(signature[n:], "big")
        try:
            self._public(public).verify(
                self._utils.encode_dss_signature(r, s), bytes(digest), self._algorithm
            )
        except (ValueError, self._invalid):
            return 0
        return 1

    def agree(self, private, public):
        self._expect(private, 1)
        self._expect(public, 2)
        try:
            return self._private(private).exchange(self._ec.ECDH(), self._public(public))
        except ValueError:
            return None

    def public_key(self, private):
        self._expect(private, 1)
        try:
            numbers = self._private(private).public_key().public_numbers()
        except ValueError:
            return None
        return self._octets(numbers.x, numbers.y)

    def generate(self, random_fill):
        private = bytearray(self._size)
        public = None
        while not public:
            random_fill(private)
            public = self.public_key(private)
        return bytes(private) + public


def elliptic(name):
    """ImportError: the package `cryptography` is not installed."""
    return _Elliptic(name)


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


def accept(listener):
    try:
        s = listener.accept()[0]
    except OSError:
        return None
    s.setblocking(False)
    s.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    stream = s.makefile("rwb", 0)
    s.close()  # the stream holds it
    return stream


def recvfrom(endpoint, n):
    try:
        return endpoint.recvfrom(n)
    except OSError:
        return None


def sendto(endpoint, buf, pos, n, address):
    try:
        endpoint.sendto(memoryview(buf)[pos : pos + n], address)
    except OSError:
        pass  # a datagram may be lost


def open_fd(fd):
    return open(fd, "r+b", buffering=0)


def readinto(stream, buf):
    try:
        n = stream.readinto(buf)
    except OSError:
        return -1
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
