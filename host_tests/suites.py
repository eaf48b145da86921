# SPDX-License-Identifier: MIT
"""A meter with suites 1 and 2 (definitions/suites.toml), its authorities, and clients that sign:
written with the package `cryptography`, and with nothing of lib/ but the meter itself."""

import datetime
import types
from functools import lru_cache

import fakes
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from secure import GAK, GUEK, SERVER_TITLE, TITLE, Client
from small import CLOCK, HERE, Meter

from firmware.ports import ciphers

SUITES = HERE / "definitions/suites.toml"
CURVES = {1: ec.SECP256R1(), 2: ec.SECP384R1()}
HASHES = {1: hashes.SHA256(), 2: hashes.SHA384()}
SIZES = {1: 32, 2: 48}
CLIENTS = {1: 51, 2: 52}
ROWS = {1: 13, 2: 14}  # of the Security setup objects
KEYS = {1: (GUEK, GAK), 2: (bytes(range(32)), bytes(range(0xD0, 0xF0)))}
SERVER, CLIENT, AUTHORITY = range(3)
SIGN, AGREE = 0, 1
NOW = datetime.datetime(2026, 6, 1)
FOREVER = datetime.datetime(9999, 12, 31, 23, 59, 59)


@lru_cache(maxsize=None)
def key(suite, name):
    """A key pair, one for each name; name: "ca", "server sign", "client agree", ..."""
    return ec.generate_private_key(CURVES[suite])


def private(suite, name):
    return key(suite, name).private_numbers().private_value.to_bytes(SIZES[suite], "big")


def public(suite, of):
    """x and y of a key pair, or of its name."""
    of = key(suite, of) if isinstance(of, str) else of
    n = of.public_key().public_numbers()
    return n.x.to_bytes(SIZES[suite], "big") + n.y.to_bytes(SIZES[suite], "big")


def sign(suite, of, octets):
    """r and s."""
    of = key(suite, of) if isinstance(of, str) else of
    r, s = utils.decode_dss_signature(of.sign(octets, ec.ECDSA(HASHES[suite])))
    return r.to_bytes(SIZES[suite], "big") + s.to_bytes(SIZES[suite], "big")


def verify(suite, of, octets, signature):
    """InvalidSignature, or nothing. of: as for sign()."""
    n = SIZES[suite]
    assert len(signature) == 2 * n
    r, s = (int.from_bytes(part, "big") for part in (signature[:n], signature[n:]))
    of = key(suite, of) if isinstance(of, str) else of
    of.public_key().verify(utils.encode_dss_signature(r, s), octets, ec.ECDSA(HASHES[suite]))


def name(text):
    return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, text)])


def certificate(suite, whose, title, kind=SIGN, issuer="ca", since=NOW, until=FOREVER, by=None,
                public_key=None):  # fmt: skip
    """DER of a certificate. title: 8 octets, or the name of an authority."""
    authority = isinstance(title, str)
    agrees = kind == AGREE and not authority
    usage = x509.KeyUsage(
        digital_signature=not agrees and not authority, content_commitment=False,
        key_encipherment=False, data_encipherment=False, key_agreement=agrees,
        key_cert_sign=authority, crl_sign=authority, encipher_only=False, decipher_only=False,
    )  # fmt: skip
    of = public_key or key(suite, whose).public_key()
    made = (
        x509.CertificateBuilder()
        .subject_name(name(title if authority else title.hex().upper()))
        .issuer_name(name(issuer))
        .public_key(of)
        .serial_number(x509.random_serial_number())
        .not_valid_before(since)
        .not_valid_after(until)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(of), False)
        .add_extension(usage, True)
    )
    if authority:
        made = made.add_extension(x509.BasicConstraints(True, None), True)
    signed = made.sign(by or key(suite, issuer), HASHES[suite])
    return signed.public_bytes(serialization.Encoding.DER)


@lru_cache(maxsize=None)
def held(suite):
    """What the meter has of a suite: (entity, kind, title, certificate, private key)."""
    return [
        (AUTHORITY, SIGN, bytes(8), certificate(suite, "ca", "ca"), b""),
        *[
            (SERVER, k, SERVER_TITLE, certificate(suite, "server " + n, SERVER_TITLE, k),
             private(suite, "server " + n))
            for k, n in ((SIGN, "sign"), (AGREE, "agree"))
        ],
        *[
            (CLIENT, k, TITLE, certificate(suite, "client " + n, TITLE, k), b"")
            for k, n in ((SIGN, "sign"), (AGREE, "agree"))
        ],
    ]  # fmt: skip


def that_runs(folder):
    """Path of a definition of this meter for tools/meter.py, with its certificates beside it."""
    (folder / "pem").mkdir()
    text = SUITES.read_text() + CLOCK.replace('"two"', '"one"')
    pem = serialization.Encoding.PEM
    for suite in (1, 2):
        names = []
        for entity, kind, _title, octets, _private in held(suite):
            made = x509.load_der_x509_certificate(octets).public_bytes(pem)
            if entity == SERVER:
                made += key(suite, "server " + ("sign", "agree")[kind]).private_bytes(
                    pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
                )
            names.append("pem/%d-%d-%d.pem" % (suite, entity, kind))
            (folder / names[-1]).write_bytes(made)
        wanted = "security_suite = %d, " % suite
        more = ", ".join('"%s"' % name for name in names)
        assert wanted in text
        text = text.replace(wanted, wanted + "certificates = [%s], " % more)
    path = folder / "suites.toml"
    path.write_text(text)
    return str(path)


class SuitesMeter(Meter):
    """With all that held() has, or what is left of it: leave_out(entity, kind) -> bool. rows: of
    the Security setup objects of the definition, by suite."""

    def __init__(self, leave_out=lambda entity, kind: False, elliptic=ciphers.work, rows=None,
                 path=SUITES, **options):  # fmt: skip
        super().__init__(path, **options)
        rows = rows or ROWS
        self.model.elliptic = elliptic
        self.model.vault = fakes.vault()
        # Valid certificates are looked at by the clock; nothing else of it is used here.
        self.minute = int((NOW - datetime.datetime(2000, 1, 1)).total_seconds()) // 60 + 60
        clock = types.SimpleNamespace(flags=0, minute=self.minute)
        self.clock = clock
        handler = self.model.handler
        self.model.handler = lambda name: clock if name == "clock" else handler(name)
        for suite in rows:
            for entity, kind, title, octets, secret in held(suite):
                if not leave_out(entity, kind):
                    assert self.model.vault.put(rows[suite], entity, kind, title, octets, secret)


class SigningClient(Client):
    """Mechanism 7. certificate: sent in the AARQ."""

    meters = "server sign"  # the meter's key pair, or its name

    def __init__(self, meter, suite, certificate=None, signer="client sign", **how):
        how.setdefault("challenge", bytes(range(32)))
        how["guek"], how["gak"] = how.get("guek", KEYS[suite][0]), how.get("gak", KEYS[suite][1])
        talk = meter.talk(client=CLIENTS[suite], server=17)
        super().__init__(talk, 7, suite=suite, **how)
        self.meter, self.certificate, self.signer = meter, certificate, signer

    def aarq(self, **options):
        octets = super().aarq(**options)
        if self.certificate is None:
            return octets
        # The calling-AE-qualifier comes behind the title.
        at = octets.index(b"\xa6\x0a\x04\x08" + self.title) + 12
        head = octets[: at - len(octets)]
        start = 2 if octets[1] < 0x80 else 3
        field = tlv(0xA7, tlv(0x04, self.certificate))
        return tlv(0x60, head[start:] + field + octets[at:])

    def f(self, to_server=True):
        parts = (self.title, self.meter_title, self.stoc, self.challenge)
        if not to_server:
            parts = (self.meter_title, self.title, self.challenge, self.stoc)
        text = b"".join(parts)
        return sign(self.suite, self.signer, text) if to_server else text

    def finish(self, proof=None):
        proof = self.f() if proof is None else proof
        got = self.ask(self.PASS_3 + "09%02X" % len(proof) + proof.hex())
        if not got.startswith(self.PASS_4 + "09"):
            return got
        answer = bytes.fromhex(got)[len(self.PASS_4) // 2 + 2 :]
        verify(self.suite, self.meters, self.f(to_server=False), answer)
        return "ok"


def tlv(tag, content):
    n = len(content)
    head = (
        bytes([n]) if n < 128 else bytes([0x81, n]) if n < 256 else b"\x82" + n.to_bytes(2, "big")
    )
    return bytes([tag]) + head + content
