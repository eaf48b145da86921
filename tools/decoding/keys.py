# SPDX-License-Identifier: MIT
"""Keys for ciphering.py: by the system title of the meter that has them, and never shown.

    keys = Keys.read(path, ...)     connection sheets (tools/meter.py sheet --json), provisioning
                                    records (TOML), PEM files with a certificate and a private key
    keys.add(guek=..., gak=..., title=...)     octets, or hexadecimal text

Trouble says which file, and what was expected; never what is in it.
"""

import base64
import binascii
import json
import os
import re
import tomllib

from bootstrap import Trouble
from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

NAMES = ("guek", "gbek", "gak", "kek", "dedicated")
_LENGTHS = (16, 32)
_CURVES = {32: ec.SECP256R1, 48: ec.SECP384R1}  # by the octets of a number
SIGN, AGREE = "sign", "agree"
_PRIVATE = re.compile(
    b"-----BEGIN [A-Z ]*PRIVATE KEY-----.*?-----END [A-Z ]*PRIVATE KEY-----", re.S
)


def given(name, value):
    """What an option --name says: what is in the file of that name, else the text itself; without
    it what PICOMETER_NAME of the environment says, or ""."""
    if value and os.path.isfile(value):
        try:
            with open(value, encoding="ascii", errors="replace") as f:
                return f.read().strip()
        except OSError as e:
            raise Trouble("--%s: %s cannot be read (%s)." % (name, value, e.strerror)) from None
    return value or os.environ.get("PICOMETER_" + name.upper(), "")


def octets(value, what, lengths):
    """Octets of octets or of hexadecimal text; Trouble does not repeat them."""
    try:
        value = bytes.fromhex(value) if isinstance(value, str) else bytes(value)
    except (TypeError, ValueError):
        raise Trouble("The %s is not hexadecimal." % what) from None
    if len(value) not in lengths:
        expected = " or ".join(str(n) for n in lengths)
        raise Trouble("The %s has %d octets; expected %s." % (what, len(value), expected))
    return value


class KeySet:
    """The keys of one Security setup: title of the meter, or None: of any; a key None: there is
    none."""

    def __init__(self, title, keys):
        self.title = title
        for name in NAMES:
            setattr(self, name, keys.get(name))

    def __repr__(self):
        there = [name.upper() for name in NAMES if getattr(self, name)]
        whose = self.title.hex().upper() if self.title else "any meter"
        return "<%s of %s>" % (", ".join(there) or "no keys", whose)


class Keys:
    def __init__(self):
        self.sets = []
        self.public = {}  # (title, "sign" or "agree") -> public keys
        self.private = {}  # (title, "sign" or "agree") -> private keys

    def __repr__(self):
        return "<keys of %d security setups, %d private keys>" % (
            len(self.sets),
            sum(map(len, self.private.values())),
        )

    def __bool__(self):
        return bool(self.sets or self.public or self.private)

    @classmethod
    def read(cls, *paths):
        keys = cls()
        for path in paths:
            keys.add_file(path)
        return keys

    def titles(self):
        """Every system title that is known."""
        known = [s.title for s in self.sets if s.title]
        known += [title for title, _ in (*self.public, *self.private)]
        return list(dict.fromkeys(known))

    # --- Keys of Security setups

    def add(self, title=None, **keys):
        """guek, gbek, gak, kek, dedicated; those that are None or "" are not there."""
        if title:
            title = octets(title, "system title", (8,))
        unknown = set(keys) - set(NAMES)
        if unknown:
            raise TypeError("no key %s" % sorted(unknown)[0])
        found = {n: octets(key, n.upper(), _LENGTHS) for n, key in keys.items() if key}
        if found:
            self.sets.append(KeySet(title or None, found))

    def add_file(self, path):
        try:
            with open(path, "rb") as f:
                data = f.read()
        except OSError as e:
            raise Trouble("Cannot read %s (%s)." % (path, e.strerror)) from None
        try:
            if b"-----BEGIN" in data:
                self.add_pem(data)
            elif data.lstrip()[:1] == b"{":
                self.add_sheet(json.loads(data))
            else:
                self.add_record(tomllib.loads(data.decode("utf-8")))
        except Trouble as e:
            raise Trouble("%s: %s" % (path, e)) from None
        except (ValueError, KeyError, TypeError, AttributeError):
            # What was wrong might repeat a key.
            raise Trouble(
                "%s is none of: a connection sheet (JSON), a provisioning record (TOML), "
                "certificate and private key (PEM)." % path
            ) from None

    def add_sheet(self, sheet):
        """A connection sheet, as tools/sheet.py makes it."""
        for a in sheet["associations"]:
            title = a.get("system_title") or sheet.get("system_title")
            keys = {name: a.get(name + "_hex") for name in NAMES}
            if not any(s.title and s.title.hex().upper() == title and self._same(s, keys)
                       for s in self.sets):  # fmt: skip
                self.add(title, **keys)
            for c in a.get("certificates", ()):
                private = bytes.fromhex(c.get("private_key", ""))
                self.add_certificate(bytes.fromhex(c["certificate"]), private)

    @staticmethod
    def _same(s, keys):
        return all((getattr(s, n) or b"").hex().upper() == (keys[n] or "") for n in NAMES)

    def add_record(self, record):
        """A provisioning record, as tools/records reads it."""
        for setup in record["security_setup"]:
            self.add(record["system_title"], **{name: setup.get(name) for name in NAMES})
        for c in record.get("certificate", ()):
            private = bytes.fromhex(c.get("private_key", ""))
            self.add_certificate(base64.b64decode(c["certificate"]), private)

    # --- Keys of certificates

    def add_pem(self, data):
        """Certificates, and the private keys that belong to them."""
        certificates = x509.load_pem_x509_certificates(data) if b"CERTIFICATE" in data else []
        privates = [serialization.load_pem_private_key(p, None) for p in _PRIVATE.findall(data)]
        if privates and not certificates:
            raise Trouble("A private key without its certificate: whose is it?")
        for certificate in certificates:
            own = [p for p in privates if p.public_key() == certificate.public_key()]
            self._certified(certificate, own[0] if own else None)

    def add_certificate(self, der, private=b""):
        """A certificate (DER), and the number of its private key, if there is one."""
        certificate = x509.load_der_x509_certificate(der)
        key = None
        if private:
            curve = certificate.public_key().curve
            key = ec.derive_private_key(int.from_bytes(private, "big"), curve)
        self._certified(certificate, key)

    def _certified(self, certificate, private):
        title, kinds = subject(certificate)
        if not isinstance(certificate.public_key(), ec.EllipticCurvePublicKey):
            raise Trouble("A certificate is not of an elliptic curve.")
        for kind in kinds:
            self.add_public(title, kind, certificate.public_key())
            if private is not None:
                self.add_private(title, kind, private)

    def add_public(self, title, kind, key):
        """key: a public key, or its x and y."""
        if isinstance(key, (bytes, bytearray)):
            key = point(key)
        if key is not None and key not in self.public.setdefault((title, kind), []):
            self.public[title, kind].append(key)

    def add_private(self, title, kind, key):
        """key: a private key, or its number."""
        if isinstance(key, (bytes, bytearray)):
            key = ec.derive_private_key(int.from_bytes(key, "big"), _CURVES[len(key)]())
        self.private.setdefault((title, kind), []).append(key)


def subject(certificate):
    """(system title, kinds) of a certificate in the profile of DLMS."""
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    try:
        title = binascii.unhexlify(names[0].value if names else "")
    except ValueError:
        title = b""
    try:
        usage = certificate.extensions.get_extension_for_class(x509.KeyUsage).value
    except x509.ExtensionNotFound:
        return title, (SIGN, AGREE)
    kinds = (SIGN,) * usage.digital_signature + (AGREE,) * usage.key_agreement
    return title, kinds


def point(octets):
    """The public key of x and y, or None."""
    n = len(octets) // 2
    if n not in _CURVES or len(octets) != 2 * n:
        return None
    try:
        return ec.EllipticCurvePublicKey.from_encoded_point(_CURVES[n](), b"\4" + octets)
    except ValueError:
        return None
