# SPDX-License-Identifier: MIT
"""AES and curves by OpenSSL, with the package `cryptography`. Allocates. See __init__.py."""

import hashlib

try:
    from cryptography.exceptions import InvalidSignature
except ImportError:
    raise ImportError(
        "the Python package `cryptography` is missing (pip install cryptography)"
    ) from None
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes
from cryptography.hazmat.primitives.ciphers.aead import AESGCM


class _AES:
    def __init__(self, key):
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
    return _AES(key)


def new_hash(name):
    return hashlib.new(name)


class _Elliptic:
    def __init__(self, name):
        self._curve = {"P-256": ec.SECP256R1, "P-384": ec.SECP384R1}[name]()
        self._size = self._curve.key_size // 8
        digest = {"P-256": hashes.SHA256, "P-384": hashes.SHA384}[name]()
        self._algorithm = ec.ECDSA(utils.Prehashed(digest))

    def _expect(self, octets, n):
        if len(octets) != n * self._size:
            raise ValueError("length of a key, digest or signature")

    def _private(self, private):
        """ValueError: not a private key."""
        return ec.derive_private_key(int.from_bytes(private, "big"), self._curve)

    def _public(self, public):
        """ValueError: not on the curve."""
        n = self._size
        x = int.from_bytes(public[:n], "big")
        y = int.from_bytes(public[n:], "big")
        return ec.EllipticCurvePublicNumbers(x, y, self._curve).public_key()

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
        return self._octets(*utils.decode_dss_signature(signature))

    def verify(self, public, digest, signature):
        n = self._size
        self._expect(public, 2)
        self._expect(digest, 1)
        self._expect(signature, 2)
        r = int.from_bytes(signature[:n], "big")
        s = int.from_bytes(signature[n:], "big")
        try:
            self._public(public).verify(
                utils.encode_dss_signature(r, s), bytes(digest), self._algorithm
            )
        except (ValueError, InvalidSignature):
            return 0
        return 1

    def agree(self, private, public):
        self._expect(private, 1)
        self._expect(public, 2)
        try:
            return self._private(private).exchange(ec.ECDH(), self._public(public))
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
    return _Elliptic(name)
