# SPDX-License-Identifier: MIT
"""General-ciphering and general-signing of a client, for tests: written from the rules with the
package `cryptography`, and with nothing of lib/. Their kind may also be one of KINDS; signs: their
requests are signed first. Answers are taken apart strictly."""

import hashlib

from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.keywrap import aes_key_unwrap, aes_key_wrap
from secure import AE, KEK, SERVER_TITLE, A, Client, E, gcm, length, take_length
from suites import CURVES, SIZES, SigningClient, key, public, sign, verify

KINDS = ("identified", "broadcast", "wrapped", "one-pass", "static")
KEKS = {0: KEK, 1: KEK, 2: KEK + bytes.fromhex("112233445566778899AABBCCDDEEFF00")}


def point(suite, octets):
    """The public key of x and y."""
    n = SIZES[suite]
    x, y = int.from_bytes(octets[:n], "big"), int.from_bytes(octets[n:], "big")
    return ec.EllipticCurvePublicNumbers(x, y, CURVES[suite]).public_key()


def derive(suite, z, u, v):
    """The key for AES-GCM, of the suite's length."""
    name, algorithm, n = {
        1: ("sha256", "60857405080300", 16),
        2: ("sha384", "60857405080301", 32),
    }[suite]
    text = b"\0\0\0\1" + z + bytes.fromhex(algorithm) + u + v
    return hashlib.new(name, text).digest()[:n]


def field(octets):
    return length(len(octets)) + octets


class General:
    """Mixed into a client of suite 0 (General0) or of the others (General12)."""

    def prepare(self):
        self.signs = False
        self.meter_title = SERVER_TITLE
        self.kek = KEKS[self.suite]
        self.transaction = 1
        self.fresh_ic = 0
        self.content_key = bytes(range(0xA0, 0xB0)) * (2 if self.suite == 2 else 1)
        self.last_transaction = b""
        self.seen = []  # (key, counter) of all answers

    def agrees(self):
        return key(self.suite, "client agree")

    def server_agrees(self):
        return key(self.suite, "server agree").public_key()

    def server_signed(self, octets, signature):
        """InvalidSignature, or nothing."""
        verify(self.suite, "server sign", octets, signature)

    # --- Requests

    def fields(self, originator=None, recipient=None, date=b"", other=b"", transaction=None):
        if transaction is None:
            transaction = self.transaction.to_bytes(8, "big")
            self.transaction += 1
        self.last_transaction = transaction
        originator = self.title if originator is None else originator
        recipient = self.meter_title if recipient is None else recipient
        return b"".join(field(x) for x in (transaction, originator, recipient, date, other))

    def signed(self, apdu, fields=None):
        made = (fields or self.fields()) + field(apdu)
        return b"\xdf" + made + field(sign(self.suite, self.signer, made))

    def key_info(self, kind, transaction):
        """(key-info, key)"""
        if kind == "identified":
            return b"\1\0\0", self.guek
        if kind == "broadcast":
            return b"\1\0\1", self.guek[::-1]  # so the definitions have it
        if kind == "wrapped":
            return b"\1\1\0" + field(aes_key_wrap(self.kek, self.content_key)), self.content_key
        nonce = b""
        data = b""
        if kind == "one-pass":
            ephemeral = ec.generate_private_key(CURVES[self.suite])
            data = public(self.suite, ephemeral)
            data += sign(self.suite, self.signer, data)
            z = ephemeral.exchange(ec.ECDH(), self.server_agrees())
        else:
            nonce = field(transaction)
            z = self.agrees().exchange(ec.ECDH(), self.server_agrees())
        info = b"\1\2\1" + (b"\1" if kind == "one-pass" else b"\2") + field(data)
        return info, derive(self.suite, z, self.title + nonce, self.meter_title)

    def ciphered(self, apdu, kind, sc, ic, fields=None, info=None):
        fields = fields or self.fields()
        key_info, content_key = info or self.key_info(kind, self.last_transaction)
        iv = self.title + ic.to_bytes(4, "big")
        aad = bytes([sc]) + self.gak + fields
        body = apdu
        if sc & AE == E:
            body = gcm(content_key, iv, b"", apdu)[0]
        elif sc & AE == A:
            body += gcm(content_key, iv, aad + apdu)[1][:12]
        else:
            body, tag = gcm(content_key, iv, aad, apdu)
            body += tag[:12]
        content = bytes([sc]) + ic.to_bytes(4, "big") + body
        return b"\xdd" + fields + key_info + field(content)

    def protect(self, apdu, kind=None, sc=None, key=None, ic=None, signs=None, **how):
        """sc 0: not ciphered; kind None: as the client."""
        kind = kind or self.kind
        sc = self.sc if sc is None else sc
        if self.signs if signs is None else signs:
            apdu = self.signed(apdu)
        if not sc:
            return apdu
        if kind not in KINDS:
            return Client.protect(self, apdu, kind, sc, key, ic)
        if ic is None:
            if kind in ("identified", "broadcast"):
                ic, self.ic = self.ic, self.ic + 1
            else:
                ic, self.fresh_ic = self.fresh_ic, self.fresh_ic + 1
        return self.ciphered(apdu, kind, sc | self.suite, ic, **how)

    # --- Answers

    def take_fields(self, octets, at):
        """(transaction-id, end): an answer's fields from transaction-id on."""
        got = []
        for _ in range(5):
            n, at = take_length(octets, at)
            got.append(octets[at : at + n])
            at += n
        assert got[1:] == [self.meter_title, self.title, b"", b""]
        return got[0], at

    def answer_key(self, octets, at, transaction):
        """(key, end) of the key-info at octets[at:]."""
        assert octets[at] == 1
        choice = octets[at + 1]
        at += 2
        if choice == 0:
            assert octets[at] == 0
            return self.guek, at + 1
        if choice == 1:
            assert octets[at] == 0
            n, at = take_length(octets, at + 1)
            return aes_key_unwrap(self.kek, octets[at : at + n]), at + n
        assert choice == 2 and octets[at] == 1
        scheme = octets[at + 1]
        n, at = take_length(octets, at + 2)
        data, at = octets[at : at + n], at + n
        nonce = b""
        if scheme == 1:
            n = 2 * SIZES[self.suite]
            self.server_signed(data[:n], data[n:])
            z = self.agrees().exchange(ec.ECDH(), point(self.suite, data[:n]))
        else:
            assert scheme == 2 and not data
            nonce = field(transaction)
            z = self.agrees().exchange(ec.ECDH(), self.server_agrees())
        return derive(self.suite, z, self.meter_title + nonce, self.title), at

    def unprotect(self, octets):
        """The plain answer; answer_kinds: how it was protected, outermost first."""
        self.answer_kinds = []
        self.heard = len(octets)
        if octets[0] == 0xDD:
            octets = self._deciphered(octets)
        elif octets[0] != 0xDF:
            self.answer_kinds.append("%02X" % octets[0])
            octets = Client.unprotect(self, octets)
        if octets[0] == 0xDF:
            octets = self._verified(octets)
        assert octets[0] not in (0xDD, 0xDF)
        return octets

    def _verified(self, octets):
        transaction, at = self.take_fields(octets, 1)
        self.answer_transaction = transaction
        n, at = take_length(octets, at)
        content = octets[at : at + n]
        end = at + n
        n, at = take_length(octets, end)
        assert at + n == len(octets)
        self.server_signed(octets[1:end], octets[at:])
        self.answer_kinds.append("signed")
        return content

    def _deciphered(self, octets):
        transaction, at = self.take_fields(octets, 1)
        assert transaction == self.last_transaction
        fields = octets[1:at]
        start = at
        content_key, at = self.answer_key(octets, at, transaction)
        self.answer_info = octets[start:at]
        n, at = take_length(octets, at)
        assert at + n == len(octets)
        sc, ic, body = octets[at], octets[at + 1 : at + 5], octets[at + 5 :]
        assert sc & 0xCF == self.suite
        assert (content_key, ic) not in self.seen
        self.seen.append((content_key, ic))
        self.answer_sc = sc & AE
        iv = self.meter_title + ic
        aad = bytes([sc]) + self.gak + fields
        if sc & AE == E:
            text = gcm(content_key, iv, b"", body)[0]
        elif sc & AE == A:
            text = body[:-12]
            assert gcm(content_key, iv, aad + text)[1][:12] == body[-12:]
        else:
            text = gcm(content_key, iv, b"", body[:-12])[0]
            assert gcm(content_key, iv, aad, text)[1][:12] == body[-12:]
        self.answer_kinds.append("ciphered")
        return text


class General0(General, Client):
    """Suite 0."""

    def __init__(self, talk, kind="identified", **how):
        Client.__init__(self, talk, kind=kind, **how)
        self.prepare()


class General12(General, SigningClient):
    """Suites 1 and 2, mechanism 7."""

    def __init__(self, meter, suite, kind="identified", **how):
        SigningClient.__init__(self, meter, suite, kind=kind, **how)
        self.prepare()
