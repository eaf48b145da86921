# SPDX-License-Identifier: MIT
"""A small certificate authority: two roots, P-256 and P-384, and what they sign, as X.509 in the
profile of DLMS (IEC 62056-5-3): the common name is the system title in hexadecimal digits, key
usage says digital signature or key agreement, and nothing runs out.

    authority = Authority(folder)
    authority.root("P-256")                       Pair of the root, which is made if there is none
    authority.issue("P-256", "sign", title)       Pair with a fresh key
    authority.client(title, "P-256", "sign")      Pair of a client, made once for all meters
    authority.certify(request)                    a certificate (PEM) for a PKCS#10 request

The folder has one file a key, root-p256.pem and client-4-p256-sign.pem: a certificate and its
private key, which only their owner can read. Needs the package `cryptography`.
"""

import base64
import datetime
import os
import re
import textwrap

import records
from bootstrap import Trouble
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

CURVES = {"P-256": (ec.SECP256R1, hashes.SHA256, 32), "P-384": (ec.SECP384R1, hashes.SHA384, 48)}
KINDS = ("sign", "agree", "tls")  # the last is for both
NAME = "Picometer"
# A meter's clock may be behind, or in a test somewhere else.
BEGIN = datetime.datetime(2020, 1, 1)
# RFC 5280, 4.1.2.5: it has no end that is known.
NEVER = datetime.datetime(9999, 12, 31, 23, 59, 59)


class Pair:
    """certificate: DER; private_key: octets of the number, None: it is somebody else's."""

    def __init__(self, certificate, private_key):
        self.certificate = certificate
        self.private_key = private_key

    def __repr__(self):
        return "<certificate and key>"

    @property
    def key(self):
        curve = x509.load_der_x509_certificate(self.certificate).public_key().curve
        return ec.derive_private_key(int.from_bytes(self.private_key, "big"), curve)

    def pem(self, remark=""):
        text = textwrap.dedent(remark) + armour("CERTIFICATE", self.certificate)
        return text + self.key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        ).decode("ascii")


def armour(what, der):
    lines = textwrap.wrap(base64.b64encode(der).decode("ascii"), 64)
    return "\n".join(["-----BEGIN %s-----" % what, *lines, "-----END %s-----" % what, ""])


def der_of(text):
    """Octets of the certificate in a PEM."""
    return x509.load_pem_x509_certificate(text.encode()).public_bytes(serialization.Encoding.DER)


def load(path):
    """The Pair in a file."""
    try:
        with open(path, "rb") as f:
            text = f.read()
        certificate = x509.load_pem_x509_certificate(text)
        key = serialization.load_pem_private_key(text, None)
        n = CURVES[curve_of(certificate.public_key())][2]
        if certificate.public_key() != key.public_key():
            raise ValueError
    except OSError as e:
        raise Trouble("Cannot read %s (%s)." % (path, e.strerror)) from None
    except (ValueError, TypeError, KeyError):
        raise Trouble("%s is no certificate with its private key." % path) from None
    number = key.private_numbers().private_value.to_bytes(n, "big")
    return Pair(certificate.public_bytes(serialization.Encoding.DER), number)


def curve_of(public_key):
    for name, row in CURVES.items():
        if isinstance(public_key, ec.EllipticCurvePublicKey) and isinstance(
            public_key.curve, row[0]
        ):
            return name
    raise KeyError("no curve of DLMS")


class Authority:
    """made: files that were made so far. remark: a text in them."""

    def __init__(self, folder, name=NAME, remark=""):
        self.folder = folder
        self.made = []
        self._name = name
        self._remark = remark

    def _kept(self, name, make):
        """The Pair in a file of the folder; it is made if there is none."""
        path = os.path.join(self.folder, name + ".pem")
        if not os.path.exists(path):
            pair = make()
            try:
                os.makedirs(self.folder, mode=0o700, exist_ok=True)
                records.write_private(path, pair.pem(self._remark).encode())
            except OSError as e:
                raise Trouble("Cannot write %s (%s)." % (path, e.strerror)) from None
            self.made.append(path)
        return load(path)

    def root(self, curve):
        return self._kept("root-%s" % short(curve), lambda: self._make_root(curve))

    def client(self, title, curve, kind):
        name = "client-%d-%s-%s" % (int.from_bytes(title[3:], "big"), short(curve), kind)
        return self._kept(name, lambda: self.issue(curve, kind, title))

    def meter(self, curve, kind, title):
        """Of a demo meter, whose keys are public: others have theirs in their records."""
        name = "meter-%s-%s" % (short(curve), kind)
        return self._kept(name, lambda: self.issue(curve, kind, title))

    def issue(self, curve, kind, title):
        key = ec.generate_private_key(CURVES[curve][0]())
        n = CURVES[curve][2]
        return Pair(
            self._sign(curve, kind, title.hex().upper(), key.public_key()),
            key.private_numbers().private_value.to_bytes(n, "big"),
        )

    def certify(self, request, kind="sign"):
        """request: DER or PEM. Trouble if it is none that a meter can have made."""
        try:
            load_ = x509.load_pem_x509_csr if b"-----" in request else x509.load_der_x509_csr
            csr = load_(request)
            title = csr.subject.get_attributes_for_oid(NameOID.COMMON_NAME)[0].value
            curve = curve_of(csr.public_key())
            good = csr.is_signature_valid and re.fullmatch("[0-9A-Fa-f]{16}", title)
        except Exception:  # the package has one for each thing that can be wrong
            good = False
        if not good:
            raise Trouble(
                "This is no request of a meter: PKCS#10, signed, its common name a system title in"
                " 16 hexadecimal digits, its key of P-256 or P-384."
            )
        return armour("CERTIFICATE", self._sign(curve, kind, title.upper(), csr.public_key()))

    def _make_root(self, curve):
        key = ec.generate_private_key(CURVES[curve][0]())
        name = "%s root %s" % (self._name, curve)
        usage = _usage(key_cert_sign=True, crl_sign=True)
        b = self._builder(name, name, key.public_key(), usage)
        b = b.add_extension(x509.BasicConstraints(ca=True, path_length=0), critical=True)
        return Pair(
            b.sign(key, CURVES[curve][1]()).public_bytes(serialization.Encoding.DER),
            key.private_numbers().private_value.to_bytes(CURVES[curve][2], "big"),
        )

    def _sign(self, curve, kind, name, public_key):
        root = self.root(curve)
        issuer = x509.load_der_x509_certificate(root.certificate)
        usage = _usage(digital_signature=kind != "agree", key_agreement=kind != "sign")
        b = self._builder(name, None, public_key, usage).issuer_name(issuer.subject)
        identifier = issuer.extensions.get_extension_for_class(x509.SubjectKeyIdentifier).value
        b = b.add_extension(
            x509.AuthorityKeyIdentifier.from_issuer_subject_key_identifier(identifier),
            critical=False,
        )
        return b.sign(root.key, CURVES[curve][1]()).public_bytes(serialization.Encoding.DER)

    def _builder(self, subject, issuer, public_key, usage):
        b = x509.CertificateBuilder().subject_name(_common_name(subject))
        if issuer is not None:
            b = b.issuer_name(_common_name(issuer))
        return (
            b.public_key(public_key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(BEGIN)
            .not_valid_after(NEVER)
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public_key), critical=False)
            .add_extension(usage, critical=True)
        )


def short(curve):
    return curve.lower().replace("-", "")


def _common_name(text):
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


def _usage(**bits):
    names = (
        "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
        "key_agreement", "key_cert_sign", "crl_sign", "encipher_only", "decipher_only",
    )  # fmt: skip
    return x509.KeyUsage(**{name: bits.get(name, False) for name in names})
