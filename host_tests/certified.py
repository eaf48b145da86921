# SPDX-License-Identifier: MIT
"""A meter of suites 0, 1 and 2 with a vault (definitions/certified.toml), and the authorities and
clients around it, made with `cryptography` and nothing of lib/.

    meter = Certified()            suite 1 and 2 have a root, an own key and certificate for
                                   signatures each, and that of a client
    c = meter.client(1)            an open association with GMAC under suite 1
    act(c, method, parameter)      (action_result, octets of the return data) of Security setup
"""

import datetime
import hashlib
import subprocess

import tables
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, utils
from cryptography.x509.oid import NameOID
from firmware.ports import ciphers
from firmware.store import RAMStorage
from firmware.vault import Vault
from secure import GAK, GUEK, SERVER_TITLE, THIRD_GUEK, TITLE, Client, length, take_length
from small import HERE, Meter
from tables import show

DEFINITION = HERE / "definitions/certified.toml"
NOW = datetime.datetime(2026, 6, 15)
RING = (0, 1100, 16)
EPOCH = datetime.datetime(2000, 1, 1)
CURVES = {1: ec.SECP256R1(), 2: ec.SECP384R1()}
HASHES = {1: hashes.SHA256(), 2: hashes.SHA384()}
DIGEST = {1: hashlib.sha256, 2: hashlib.sha384}
SIZE = {1: 32, 2: 48}
SERVER, CLIENT, AUTHORITY, OTHER = range(4)
SIGNS, AGREES, TLS = range(3)
KEYS = {1: (GUEK, GAK), 2: (GUEK * 2, GAK * 2), 0: (THIRD_GUEK, GAK)}
SAP = {1: 1, 2: 2, 0: 3}
OTHER_TITLE = b"CLI\0\0\0\0\x08"


def key(suite, number=None):
    if number is None:
        return ec.generate_private_key(CURVES[suite])
    return ec.derive_private_key(number, CURVES[suite])


def private_octets(k):
    return k.private_numbers().private_value.to_bytes((k.curve.key_size + 7) // 8, "big")


def public_octets(k):
    k = k.public_key() if hasattr(k, "public_key") else k
    form = serialization.PublicFormat.UncompressedPoint
    return k.public_bytes(serialization.Encoding.X962, form)[1:]


def public_key(suite, octets):
    return ec.EllipticCurvePublicKey.from_encoded_point(CURVES[suite], b"\4" + octets)


def sign(suite, k, octets):
    """r and s, as DLMS has them."""
    r, s = utils.decode_dss_signature(k.sign(octets, ec.ECDSA(HASHES[suite])))
    return r.to_bytes(SIZE[suite], "big") + s.to_bytes(SIZE[suite], "big")


def verify(suite, k, octets, signature):
    n = SIZE[suite]
    assert len(signature) == 2 * n
    der = utils.encode_dss_signature(
        int.from_bytes(signature[:n], "big"), int.from_bytes(signature[n:], "big")
    )
    public_key(suite, k).verify(der, octets, ec.ECDSA(HASHES[suite]))


def name(text):
    text = text.hex().upper() if isinstance(text, bytes) else text
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, text)])


class Authority:
    """parent: None for a root."""

    def __init__(self, suite, text="Example root", parent=None, **how):
        self.suite = suite
        self.key = key(suite)
        self.name = name(text)
        self.parent = parent
        self.der = (parent or self).issue(self.key, text, authority=True, **how)

    def issue(self, k, subject, usage=SIGNS, before=-1, after=365, authority=False, serial=None,
              alternative=None, algorithm=None, path_length=None):  # fmt: skip
        """A certificate as DER, from NOW + before until NOW + after days. usage: SIGNS, AGREES,
        TLS (both), or None: no such extension."""
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(self.name)
            .public_key(k.public_key() if hasattr(k, "public_key") else k)
            .serial_number(serial or x509.random_serial_number())
            .not_valid_before(NOW + datetime.timedelta(before))
            .not_valid_after(NOW + datetime.timedelta(after))
        )
        if usage is not None:
            builder = builder.add_extension(
                x509.KeyUsage(
                    usage in (SIGNS, TLS) and not authority, False, False, False,
                    usage in (AGREES, TLS) and not authority, authority, authority, False, False,
                ),
                critical=True,
            )  # fmt: skip
        if authority:
            builder = builder.add_extension(
                x509.BasicConstraints(True, path_length), critical=True
            )
        if alternative:
            names = x509.SubjectAlternativeName([x509.DNSName(alternative)])
            builder = builder.add_extension(names, critical=False)
        made = builder.sign(self.key, algorithm or HASHES[self.suite])
        return made.public_bytes(serialization.Encoding.DER)


class Provisioned:
    """What a meter has from its maker, whatever it runs on."""

    def provision(self, rows, own):
        """rows: of the Security setup objects of suites 1, 2 and 0."""
        self.rows = dict(zip((1, 2, 0), rows))
        self.ic = 0  # of clients, one after the other
        self.root, self.client_key, self.own_key = {}, {}, {}
        self.set_time(NOW)
        for suite in (1, 2):
            root = self.root[suite] = Authority(suite)
            theirs = self.client_key[suite] = key(suite)
            ours = self.own_key[suite] = key(suite)
            self.put(suite, AUTHORITY, SIGNS, b"", root.der)
            self.put(suite, CLIENT, SIGNS, TITLE, root.issue(theirs, TITLE))
            if own:
                made = root.issue(ours, SERVER_TITLE)
                self.put(suite, SERVER, SIGNS, SERVER_TITLE, made, private_octets(ours))

    def set_time(self, when):
        self.set_minutes(int((when - EPOCH).total_seconds()) // 60)

    def client(self, suite, **how):
        guek, gak = KEYS[suite]
        talk = self.talk(client=SAP[suite], server=1)
        self.ic += 1000
        how = dict(dict(suite=suite, guek=guek, gak=gak, ic=self.ic), **how)
        return Client(talk, **how).open()


class Certified(Provisioned, Meter):
    """own: without it the meter has no key; elliptic: of the model; ring: of its vault."""

    def __init__(self, own=True, elliptic=ciphers.work, ring=None):
        Meter.__init__(self, DEFINITION, ("association_ln", "security_setup", "clock"))
        self.model.elliptic = elliptic
        self.model.vault = self.vault = Vault(ring or RAMStorage().ring(*RING))
        rows = self.model.rows(64)
        for row in rows:
            self.model.handler_of(row).start(row)
        self.provision(rows, own)

    def put(self, suite, *record):
        assert self.vault.put(self.rows[suite], *record)

    def set_minutes(self, minutes):
        self.model.handler("clock").set_utc(minutes, 0)

    def records(self, suite):
        """(entity, kind, title, certificate, private key) of the vault."""
        vault = self.vault
        found = []
        while vault.nth(self.rows[suite], len(found)):
            certificate = bytes(vault.record[vault.pos : vault.end])
            found.append((vault.entity, vault.kind, vault.title(), certificate, vault.private()))
        return found


class Served(Provisioned):
    """The same on MicroPython, which serves with a locked heap; close() it in the end."""

    def __init__(self, micropython, folder, heap="400k"):
        t = tables.compile(str(DEFINITION))
        (folder / "definition.py").write_text(show.module(t))
        paths = ":".join(str(HERE.parent / part) for part in ("lib", "."))
        self.process = subprocess.Popen(
            [micropython, "-X", "heapsize=" + heap, str(HERE / "device/serve.py"), str(folder)],
            env={"MICROPYPATH": paths + ":.frozen"},
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )  # fmt: skip
        self.provision(Certified().rows.values(), True)

    def say(self, *words):
        self.process.stdin.write(" ".join(str(word) for word in words) + "\n")
        self.process.stdin.flush()
        return self.process.stdout.readline().strip()

    def put(self, suite, entity, kind, *parts):
        words = [octets.hex() or "-" for octets in (*parts, b"")][:3]
        assert self.say("put", self.rows[suite], entity, kind, *words) == "ok"

    def set_minutes(self, minutes):
        assert self.say("time", minutes) == "ok"

    def talk(self, client, server):
        return ServedTalk(self, client, server)

    def close(self):
        self.process.stdin.close()
        assert self.process.wait(60) == 0
        self.process.stdout.close()


class ServedTalk:
    def __init__(self, meter, client, server):
        self.meter, self.client, self.server = meter, client, server

    def say(self, request):
        got = self.meter.say(self.client, self.server, request.replace(" ", ""))
        assert got, "it has ended"
        return "" if got == "-" else got.upper()


def act(c, method, parameter):
    """ACTION of Security setup: (action_result, octets of the return data)."""
    text = "C30141 0040 00002B000%dFF %02X 01" % (c.suite or 3, method) + parameter.hex()
    got = bytes.fromhex(c.ask(text))
    assert got[:3] == b"\xc7\x01\x41" and len(got) >= 5
    if len(got) == 5:
        assert got[4] == 0
        return got[3], b""
    assert got[4:6] == b"\1\0"
    return got[3], got[6:]


def get(c, attribute):
    """Data of an attribute of Security setup, in blocks if they come."""
    got = bytes.fromhex(c.ask("C00141 0040 00002B000%dFF %02X 00" % (c.suite or 3, attribute)))
    if got[:4] == b"\xc4\x01\x41\0":
        return got[4:]
    data = b""
    while True:
        assert got[:3] == b"\xc4\x02\x41" and got[8] == 0
        n, at = take_length(got, 9)
        assert at + n == len(got)
        data += got[at:]
        if got[3]:
            return data
        got = bytes.fromhex(c.ask("C00241" + got[4:8].hex()))


def enum(value):
    return bytes([0x16, value])


def octet_string(octets):
    return b"\x09" + length(len(octets)) + octets


def structure(*parts):
    return bytes([2, len(parts)]) + b"".join(parts)


def array(*parts):
    return bytes([1, len(parts)]) + b"".join(parts)


def by_entity(entity, kind, title):
    return structure(enum(0), structure(enum(entity), enum(kind), octet_string(title)))


def by_serial(certificate):
    c = x509.load_der_x509_certificate(certificate)
    n = c.serial_number
    serial = n.to_bytes(n.bit_length() // 8 + 1, "big")
    issuer = c.issuer.public_bytes()
    return structure(enum(1), structure(octet_string(serial), octet_string(issuer)))


def content(answer):
    """Of an A-XDR octet-string."""
    n, at = take_length(answer, 1)
    assert answer[0] == 9 and at + n == len(answer)
    return answer[at:]
