# SPDX-License-Identifier: MIT
"""A client that opens associations, proves who it is, and ciphers: IEC 62056-5-3, written from the
rules with the package `cryptography`, and with nothing of lib/.

Client(talk, ...).open() goes through the four passes; ask() protects a request, and takes the
answer apart strictly: what is wrong with it, Wrong says. talk.say(hex) gives the answer in hex.
"""

import hashlib
import os

from cryptography.hazmat.primitives.ciphers import Cipher, algorithms, modes

from .case import Fail

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
TAG_LEN = 12
MD5, SHA1, GMAC, SHA256 = 3, 4, 5, 6
INITIATE = "01 000000 065F1F0400 7EFF1F FFFF"


class Wrong(Fail, AssertionError):
    """An answer is not what it has to be."""


def need(condition, why):
    if not condition:
        raise Wrong(why)


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
    need(at < len(octets), "An answer is cut off where a length has to be.")
    n = octets[at]
    if n < 0x80:
        return n, at + 1
    k = n & 0x7F
    return int.from_bytes(octets[at + 1 : at + 1 + k], "big"), at + 1 + k


class Client:
    """kind: "glo", "ded", "general-glo", "general-ded", or None for plain text; sc: A, E or AE;
    suite: 0, 1, or 2 with keys of 32 octets; meter_title: the system title of the meter."""

    PASS_3 = "C30141000F0000280000FF0101"
    PASS_4 = "C70141000100"
    user_id = None  # calling-AE-invocation-id

    def __init__(self, talk, mechanism, context, kind, sc=AE, secret=b"", guek=b"", gak=b"",
                 title=None, ic=0, dedicated=None, challenge=None, suite=0,
                 meter_title=b""):  # fmt: skip
        self.talk, self.mechanism, self.context, self.kind, self.sc = (
            talk, mechanism, context, kind, sc,
        )  # fmt: skip
        self.guek = guek
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
            return text + gcm(key, iv, bytes([sc]) + self.gak + text)[1][:TAG_LEN]
        out, tag = gcm(key, iv, bytes([sc]) + self.gak, text)
        return out + tag[:TAG_LEN]

    def protect(self, apdu, kind=None, sc=None, key=None, ic=None, suite=None):
        kind = kind or self.kind
        sc = (self.sc if sc is None else sc) | (self.suite if suite is None else suite)
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
        general = tag in (0xDB, 0xDC)
        ciphered = general or tag in GLO.values() or tag in DED.values()
        need(ciphered, "The answer %02X is not ciphered." % tag)
        at = 1
        if general:
            need(
                octets[1:10] == b"\x08" + self.meter_title,
                "The system title of the answer is not the meter's.",
            )
            at = 10
        n, at = take_length(octets, at)
        need(at + n == len(octets), "The length of a ciphered answer is not that of its octets.")
        need(n > 5, "A ciphered answer is too short.")
        sc, ic = octets[at], octets[at + 1 : at + 5]
        self.server_ics.append((ded, ic))
        key = self.dedicated if ded else self.guek
        need(key, "The answer is ciphered with a dedicated key that nobody has agreed on.")
        iv = self.meter_title + ic
        body = octets[at + 5 :]
        self.answer_sc = sc
        need(sc & 0x0F == self.suite, "The answer has security suite %d." % (sc & 0x0F))
        if sc & AE == E:
            text = gcm(key, iv, b"", body)[0]
        elif sc & AE == A:
            text = body[:-TAG_LEN]
            made = gcm(key, iv, bytes([sc]) + self.gak + text)[1][:TAG_LEN]
            need(made == body[-TAG_LEN:], "The tag of an authenticated answer is wrong.")
        else:
            text, _ = gcm(key, iv, b"", body[:-TAG_LEN])
            made = gcm(key, iv, bytes([sc]) + self.gak, text)[1][:TAG_LEN]
            need(made == body[-TAG_LEN:], "The tag of a ciphered answer is wrong.")
        if not general:
            need(
                (DED if ded else GLO).get(text[0]) == tag,
                "The answer %02X has the tag %02X around it." % (text[0], tag),
            )
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

    def aarq(self, initiate=INITIATE, protect=True):
        body = bytes.fromhex("A1090607608574050801") + bytes([self.context])
        if self.title is not None:
            body += bytes([0xA6, len(self.title) + 2, 4, len(self.title)]) + self.title
        if self.user_id is not None:
            body += b"\xa9\x03\x02\x01" + bytes([self.user_id])
        if self.mechanism:
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
        fields = aare_fields(octets)
        information = fields.get(0xBE, b"")
        if information:
            need(
                information[0] == 4 and information[1] == len(information) - 2,
                "The user-information of the AARE is no octet string.",
            )
            information = information[2:]
        if information[:1] in (b"\x28", b"\xdb", b"\xdd"):
            information = self.unprotect(information)
        fields["information"] = information
        return fields

    def begin(self, **options):
        """Pass 1 and 2; the fields of the AARE."""
        return self.take(bytes.fromhex(self.talk.say(self.aarq(**options).hex())))

    def take(self, octets):
        """The fields of an AARE, of which the client keeps what it needs."""
        got = self.aare(octets)
        if 0xA4 in got:
            self.server_title = got[0xA4][2:]
        if 0xAA in got:
            need(
                got[0xAA][:1] == b"\x80" and got[0xAA][1] == len(got[0xAA]) - 2,
                "The responding-authentication-value of the AARE is no charstring.",
            )
            self.stoc = got[0xAA][2:]
        return got

    def f(self, to_server=True):
        """f(StoC) to say, f(CtoS) to expect."""
        first, second = (self.stoc, self.challenge) if to_server else (self.challenge, self.stoc)
        titles = (self.title, self.meter_title) if to_server else (self.meter_title, self.title)
        if self.mechanism == MD5:
            return hashlib.md5(first + self.secret).digest()
        if self.mechanism == SHA1:
            return hashlib.sha1(first + self.secret).digest()
        if self.mechanism == SHA256:
            return hashlib.sha256(self.secret + titles[0] + titles[1] + first + second).digest()
        ic = self.ic.to_bytes(4, "big")
        self.ic += 1
        sc = bytes([A | self.suite])
        return sc + ic + gcm(self.guek, self.title + ic, sc + self.gak + first)[1][:TAG_LEN]

    def finish(self, proof=None):
        """Pass 3 and 4; the answer as hex, after f(CtoS) has been checked if there is one."""
        proof = self.f() if proof is None else proof
        got = self.ask(self.PASS_3 + "09%02X" % len(proof) + proof.hex())
        if not got.startswith(self.PASS_4 + "09"):
            return got
        answer = bytes.fromhex(got)[len(self.PASS_4) // 2 + 2 :]
        if self.mechanism == GMAC:
            need(
                len(answer) == 17 and answer[0] == A | self.suite,
                "f(CtoS) is no SC, counter and tag: %s." % answer.hex(" "),
            )
            self.server_ics.append((False, answer[1:5]))
            aad = answer[:1] + self.gak + self.challenge
            made = gcm(self.guek, self.meter_title + answer[1:5], aad)[1][:TAG_LEN]
            need(answer[5:] == made, "f(CtoS) of the meter is wrong.")
        else:
            need(answer == self.f(to_server=False), "f(CtoS) of the meter is wrong.")
        return "ok"

    def open(self, **options):
        got = self.begin(**options)
        need(
            (got["result"], got["diagnostic"]) == (0, 14 if self.mechanism > 1 else 0),
            "The AARE has result %d and diagnostic %d." % (got["result"], got["diagnostic"]),
        )
        if self.mechanism > 1:
            done = self.finish()
            need(done == "ok", "Pass 4 is %s." % (done or "silence"))
        return self


def aare_fields(octets):
    """{tag: content}, "result", "diagnostic" of an AARE; its lengths and order are checked."""
    need(
        octets[:1] == b"\x61", "The AARQ is answered with %s." % (octets[:3].hex(" ") or "silence")
    )
    n, at = take_length(octets, 1)
    need(at + n == len(octets), "The length of the AARE is not that of its octets.")
    fields = {}
    while at < len(octets):
        tag = octets[at]
        n, at = take_length(octets, at + 1)
        need(at + n <= len(octets), "Field %02X of the AARE is cut off." % tag)
        fields[tag] = octets[at : at + n]
        at += n
    need(
        list(fields) == sorted(fields, key=lambda tag: tag & 0x1F),
        "The fields of the AARE are not in their order.",
    )
    for tag, word in ((0xA1, "application context"), (0xA2, "result"), (0xA3, "diagnostic")):
        need(fields.get(tag), "The AARE has no %s." % word)
    fields["result"] = fields[0xA2][-1]
    fields["diagnostic"] = fields[0xA3][-1]
    fields["source"] = fields[0xA3][0]
    return fields
