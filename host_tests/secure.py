# SPDX-License-Identifier: MIT
"""A client that ciphers, for tests: written from the rules with the package `cryptography`, and
with nothing of lib/. Client(talk, ...).open() goes through the four passes; ask() protects a
request, and takes the answer apart strictly."""

import hashlib
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

GUEK = bytes(range(16))
SECOND_GUEK, THIRD_GUEK = bytes(range(0x20, 0x30)), bytes(range(0x30, 0x40))
# What the definitions have for clients of the second and third Security setup.
GUEKS = {41: SECOND_GUEK, 51: THIRD_GUEK, 52: THIRD_GUEK, 53: THIRD_GUEK, 54: THIRD_GUEK,
         57: THIRD_GUEK}  # fmt: skip
GAK = bytes(range(0xD0, 0xE0))
GBEK = bytes(range(15, -1, -1))
KEK = bytes(range(0, 256, 17))
SERVER_TITLE = b"PMT\0\0\0\0\1"
TITLE = b"CLI\0\0\0\0\7"
GLO = {
    0x01: 0x21,
    0xC0: 0xC8,
    0xC1: 0xC9,
    0xC3: 0xCB,
    0x08: 0x28,
    0xC4: 0xCC,
    0xC5: 0xCD,
    0xC7: 0xCF,
}
DED = {0xC0: 0xD0, 0xC1: 0xD1, 0xC3: 0xD3, 0xC4: 0xD4, 0xC5: 0xD5, 0xC7: 0xD7}
# Services of short names, and their answers.
for _tag in (0x05, 0x06, 0x16, 0x18, 0x0C, 0x0D, 0x0E):
    GLO[_tag] = _tag + 0x20
    DED[_tag] = _tag + 0x40
A, E, AE = 0x10, 0x20, 0x30


def gcm(key, iv, aad=b"", text=b"", decrypt=False):
    """(text the other way, tag of 16 octets). The tag is over the ciphertext."""
    if decrypt:
        text = Cipher(algorithms.AES(key), modes.CTR(iv + b"\0\0\0\2")).encryptor().update(text)
    cipher = Cipher(algorithms.AES(key), modes.GCM(iv)).encryptor()
    cipher.authenticate_additional_data(aad)
    out = cipher.update(text) + cipher.finalize()
    return (text if decrypt else out), cipher.tag


def length(n):
    return (
        bytes([n])
        if n < 128
        else b"\x81" + bytes([n])
        if n < 256
        else b"\x82" + n.to_bytes(2, "big")
    )


def take_length(octets, at):
    n = octets[at]
    if n < 0x80:
        return n, at + 1
    k = n & 0x7F
    return int.from_bytes(octets[at + 1 : at + 1 + k], "big"), at + 1 + k


class Client:
    """kind: "glo", "ded", "general-glo", "general-ded", or None for plain text; sc: A, E or AE;
    suite: 0, 1, or 2 with keys of 32 octets; guek: that of the client SAP if it is not said;
    meter_title: the system title of the meter."""

    meter_title = SERVER_TITLE  # the meter that is talked to
    PASS_3 = "C30141000F0000280000FF0101"
    PASS_4 = "C70141000100"

    def __init__(self, talk, mechanism=5, context=3, kind="glo", sc=AE, secret=b"", guek=None,
                 gak=GAK, title=TITLE, ic=0, dedicated=None, challenge=None, suite=0,
                 meter_title=SERVER_TITLE):  # fmt: skip
        self.talk, self.mechanism, self.context, self.kind, self.sc = (
            talk, mechanism, context, kind, sc,
        )  # fmt: skip
        self.guek = GUEKS.get(getattr(talk, "client", 0), GUEK) if guek is None else guek
        self.secret, self.gak, self.title, self.ic = secret, gak, title, ic
        self.suite, self.meter_title = suite, meter_title
        self.dedicated, self.dedicated_ic = dedicated, 0
        self.challenge = challenge or os.urandom(16)
        self.server_title = self.stoc = b""
        self.server_ics = []

    # --- Protection

    def seal(self, key, sc, ic, text):
        iv = self.title + ic.to_bytes(4, "big")
        if sc & AE == E:
            return gcm(key, iv, b"", text)[0]
        if sc & AE == A:
            return text + gcm(key, iv, bytes([sc]) + self.gak + text)[1][:12]
        out, tag = gcm(key, iv, bytes([sc]) + self.gak, text)
        return out + tag[:12]

    def protect(self, apdu, kind=None, sc=None, key=None, ic=None):
        kind = kind or self.kind
        sc = (self.sc if sc is None else sc) | self.suite
        ded = "ded" in kind
        if ic is None:
            ic = self.dedicated_ic if ded else self.ic
            if ded:
                self.dedicated_ic += 1
            else:
                self.ic += 1
        body = bytes([sc]) + ic.to_bytes(4, "big")
        body += self.seal(key or (self.dedicated if ded else self.guek), sc, ic, apdu)
        if kind.startswith("general"):
            head = bytes([0xDC if ded else 0xDB, 8]) + self.title
        else:
            head = bytes([(DED if ded else GLO)[apdu[0]]])
        return head + length(len(body)) + body

    def unprotect(self, octets):
        """The plain answer; strict in everything."""
        tag = octets[0]
        ded = tag == 0xDC or 0xD4 <= tag <= 0xD7 or 0x40 <= tag < 0x60
        at = 1
        if tag in (0xDB, 0xDC):
            assert octets[1:10] == b"\x08" + self.meter_title
            at = 10
        n, at = take_length(octets, at)
        assert at + n == len(octets)
        sc, ic = octets[at], octets[at + 1 : at + 5]
        self.server_ics.append((ded, ic))
        key = self.dedicated if ded else self.guek
        iv = self.meter_title + ic
        body = octets[at + 5 :]
        self.answer_sc = sc
        assert sc & 0x0F == self.suite
        if sc & AE == E:
            text = gcm(key, iv, b"", body)[0]
        elif sc & AE == A:
            text = body[:-12]
            assert gcm(key, iv, bytes([sc]) + self.gak + text)[1][:12] == body[-12:]
        else:
            text, _ = gcm(key, iv, b"", body[:-12])
            assert gcm(key, iv, bytes([sc]) + self.gak, text)[1][:12] == body[-12:]
        if tag not in (0xDB, 0xDC):
            assert (DED if ded else GLO)[text[0]] == tag
        return text

    def ask(self, hex_, **how):
        """The plain answer to a request, as hex; an answer in plain text has "!" in front."""
        apdu = bytes.fromhex(hex_)
        if self.kind:
            apdu = self.protect(apdu, **how)
        got = bytes.fromhex(self.talk.say(apdu.hex()))
        if not got:
            return ""
        if self.kind and got[0] not in (0xD8, 0x63):
            return self.unprotect(got).hex().upper()
        return ("!" if self.kind else "") + got.hex().upper()

    # --- The four passes

    def aarq(self, initiate="01 000000 065F1F0400 7EFF1F FFFF", protect=True):
        body = bytes.fromhex("A1090607608574050801") + bytes([self.context])
        if self.title is not None:
            body += bytes([0xA6, len(self.title) + 2, 4, len(self.title)]) + self.title
        value = self.secret if self.mechanism == 1 else self.challenge
        body += bytes.fromhex("8A0207808B07608574050802") + bytes([self.mechanism])
        body += bytes([0xAC, len(value) + 2, 0x80, len(value)]) + value
        initiate = bytes.fromhex(initiate)
        if self.dedicated:
            key = self.dedicated
            initiate = b"\x01\x01" + bytes([len(key)]) + key + initiate[2:]
        if self.context >= 3 and protect:
            kind = "general-glo" if self.kind and self.kind.startswith("general") else "glo"
            initiate = self.protect(initiate, kind=kind)
        body += bytes([0xBE, len(initiate) + 2, 0x04, len(initiate)]) + initiate
        return b"\x60" + length(len(body)) + body

    def aare(self, octets):
        """Its fields, by their tags, and "information" in plain text."""
        assert octets[0] == 0x61
        n, at = take_length(octets, 1)
        assert at + n == len(octets)
        fields = {}
        while at < len(octets):
            tag = octets[at]
            n, at = take_length(octets, at + 1)
            fields[tag] = octets[at : at + n]
            at += n
        assert list(fields) == sorted(fields, key=lambda tag: tag & 0x1F)
        fields["result"] = fields[0xA2][-1]
        fields["diagnostic"] = fields[0xA3][-1]
        information = fields[0xBE]
        assert information[0] == 4 and information[1] == len(information) - 2
        information = information[2:]
        if information[0] in (0x28, 0xDB, 0xDD):
            information = self.unprotect(information)
        fields["information"] = information
        return fields

    def begin(self, **options):
        """Pass 1 and 2; the fields of the AARE."""
        got = self.aare(bytes.fromhex(self.talk.say(self.aarq(**options).hex())))
        if 0xA4 in got:
            self.server_title = got[0xA4][2:]
        if 0xAA in got:
            assert got[0xAA][0] == 0x80 and got[0xAA][1] == len(got[0xAA]) - 2
            self.stoc = got[0xAA][2:]
        return got

    def f(self, to_server=True):
        """f(StoC) to say, f(CtoS) to expect."""
        first, second = (self.stoc, self.challenge) if to_server else (self.challenge, self.stoc)
        titles = (self.title, self.meter_title) if to_server else (self.meter_title, self.title)
        if self.mechanism == 3:
            return hashlib.md5(first + self.secret).digest()
        if self.mechanism == 4:
            return hashlib.sha1(first + self.secret).digest()
        if self.mechanism == 6:
            return hashlib.sha256(self.secret + titles[0] + titles[1] + first + second).digest()
        ic = self.ic.to_bytes(4, "big")
        self.ic += 1
        sc = bytes([A | self.suite])
        return sc + ic + gcm(self.guek, self.title + ic, sc + self.gak + first)[1][:12]

    def finish(self, proof=None):
        """Pass 3 and 4; the answer as hex, after f(CtoS) has been checked if there is one."""
        proof = self.f() if proof is None else proof
        got = self.ask(self.PASS_3 + "09%02X" % len(proof) + proof.hex())
        if not got.startswith(self.PASS_4 + "09"):
            return got
        answer = bytes.fromhex(got)[len(self.PASS_4) // 2 + 2 :]
        if self.mechanism == 5:
            assert answer[0] == A | self.suite and len(answer) == 17
            self.server_ics.append((False, answer[1:5]))
            aad = answer[:1] + self.gak + self.challenge
            assert answer[5:] == gcm(self.guek, self.meter_title + answer[1:5], aad)[1][:12]
        else:
            assert answer == self.f(to_server=False)
        return "ok"

    def open(self, **options):
        got = self.begin(**options)
        assert (got["result"], got["diagnostic"]) == (0, 14 if self.mechanism > 1 else 0), got
        if self.mechanism > 1:
            assert self.finish() == "ok"
        return self
