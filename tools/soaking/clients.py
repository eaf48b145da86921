# SPDX-License-Identifier: MIT
"""Clients of the soak: those of the reference meter, each over any of the links (links.py).

    open(link, wrong)     True: the association is open; wrong: with a key that is another's
    ask(link, apdu)       the plain answer, looked at; None: there was none
    request(r)            something to ask
    next_block(answer)    what asks for the rest of it, or None
    release(link)
    knows(link)           does the meter say its name?

A client that ciphers keeps its invocation counter from one association to the next.
"""

import short
import small
import suites
from conforming.client import Client as Independent
from cryptography.hazmat.primitives import serialization

from fuzzing import oracles, sessions
from soaking.links import NAME

LOAD = bytes.fromhex("00070100630100FF")
MESSAGE = bytes.fromhex("00010000600D00FF02")
A_ROW = bytes.fromhex("0204 0600000001 0600000001 120001 120000")
PEM = sessions.OWN / "residential"
CURVES = {1: "p256", 2: "p384"}
_RELEASE = 0x62
_PLAIN = (0x61, 0x62, 0x63, 0xD8)
_KEY_LEN, _GAK_AT = {0: 16, 1: 16, 2: 32}, 64  # in the hidden state of a Security setup
_NAME_WIDTH = 6  # of a row of NAMES, see lib/dlms/names.py
PUBLIC = None  # the secret of who has none


def is_accepted(aare):
    return bool(aare) and aare[0] == 0x61 and b"\xa2\x03\x02\x01\x00" in aare[:24]


class Client:
    """In plain text, with a secret or without."""

    def __init__(self, world, sap, secret=PUBLIC):
        self.world, self.sap, self.secret = world, sap, secret

    def open(self, link, wrong=False):
        secret = self.secret[:-1] + b"?" if wrong and self.secret else self.secret
        return is_accepted(link.ask(self.sap, self.aarq(secret)))

    def aarq(self, secret):
        return small.aarq(secret, "FEFFFF")

    def ask(self, link, apdu):
        got = link.ask(self.sap, self.protect(apdu))
        if got is None:
            return None
        if got[0] not in _PLAIN:
            got = self.opened(got)
        if got[0] not in (0x61, 0x63):
            oracles.plain(apdu, got)
        return got

    def protect(self, apdu):
        return apdu

    def opened(self, octets):
        return octets

    def request(self, r):
        requests, model = self.world.requests, self.world.model
        kind = r.randrange(10)
        if kind < 6:
            row = r.choice(requests.rows)
            attribute = r.randrange(1, model.n_attributes(row) + 1)
            return b"\xc0\x01\xc1" + requests.name(row) + bytes((attribute, 0))
        if kind == 6:
            return b"\xc0\x01\xc1" + LOAD + b"\x02\x01\x02" + A_ROW
        if kind == 7:
            text = r.randbytes(r.randrange(20))
            return b"\xc1\x01\xc1" + MESSAGE + b"\0\x09" + bytes((len(text),)) + text
        if kind == 8:
            rows = [r.choice(requests.rows) for _ in range(4)]
            names = b"".join(requests.name(row) + b"\x02\0" for row in rows)
            return b"\xc0\x03\xc1\x04" + names
        return NAME

    def next_block(self, answer):
        if answer[:2] == b"\xc4\x02" and not answer[3]:
            return b"\xc0\x02\xc1" + answer[4:8]
        return None

    def knows(self, link):
        """None: no answer."""
        got = self.ask(link, NAME)
        return None if got is None else got[:2] + got[3:4] == b"\xc4\x01\x00" and len(got) == 22

    def release(self, link):
        self.ask(link, sessions.RELEASE)


class Secured(Client):
    """GMAC and ciphers of suite 0, or SHA-256."""

    def __init__(self, world, sap):
        super().__init__(world, sap, b"")
        self.ic = 0

    def open(self, link, wrong=False):
        ciphers = sessions.ciphers
        talk = self.talk = sessions.clients.of(self.world.meter, self.sap, 1, ciphers)
        talk.ic = self.ic
        if wrong:
            talk.gcm = sessions.clients.gcm.new(ciphers.aes(bytes(16)))
            talk.secret += b"?"
        got = link.ask(self.sap, talk.aarq(sessions.INITIATE))
        reply = talk.reply(got) if is_accepted(got) else b""
        answer = link.ask(self.sap, reply) if reply else None
        self.ic = talk.ic
        return bool(answer) and talk.is_open(answer)

    def protect(self, apdu):
        made = self.talk.protect(apdu)
        self.ic = self.talk.ic
        return made

    def opened(self, octets):
        return self.talk.opened(octets)


class Ciphering(Client):
    """With keys of a suite, and cryptography of another package than the meter's."""

    def __init__(self, world, sap, suite):
        super().__init__(world, sap, b"")
        model = world.model
        config = next(c for c in model.configs if c[0] == sap)
        at, n = model.state(config[8], 0), _KEY_LEN[suite]
        guek, gak = (bytes(model.image[k : k + n]) for k in (at, at + _GAK_AT))
        self.keys = {
            "guek": guek, "gak": gak, "suite": suite, "title": b"CLI\0\0\0\0" + bytes((sap,)),
            "meter_title": bytes(model.system_title),
        }  # fmt: skip

    def say(self, request):
        """For the talk, which has hexadecimal."""
        return (self.link.ask(self.sap, bytes.fromhex(request)) or b"").hex()

    def protect(self, apdu):
        if apdu[0] != _RELEASE:
            return self.talk.protect(apdu)
        initiate = self.talk.protect(b"\x01" + sessions.INITIATE[1:])
        body = b"\x80\x01\x00\xbe" + bytes((len(initiate) + 2, 4, len(initiate))) + initiate
        return bytes((_RELEASE, len(body))) + body

    def opened(self, octets):
        self.talk.server_ics.clear()  # it keeps all that it has heard
        return self.talk.unprotect(octets)


class Signing(Ciphering):
    """ECDSA, with the keys that the demo meter knows it by."""

    def __init__(self, world, sap, suite):
        super().__init__(world, sap, suite)
        self.own = private_key("client-%d-%s-sign.pem" % (sap, CURVES[suite]))
        self.talk = Signed(self, 7, 3, "glo", challenge=world.r.randbytes(32), **self.keys)
        self.talk.meters = private_key("meter-%s-sign.pem" % CURVES[suite])

    def open(self, link, wrong=False):
        self.link = link
        self.talk.signer = self.talk.meters if wrong else self.own
        got = link.ask(self.sap, self.talk.aarq())
        if not is_accepted(got):
            return False
        self.talk.take(got)
        return self.talk.finish() == "ok"


class Signed(suites.SigningClient):
    """Its passes, of a client that the meter knows by a Security setup of its own."""

    certificate = None

    def __init__(self, *arguments, **how):
        Independent.__init__(self, *arguments, **how)


class Standing(Ciphering):
    """Of a pre-established association: nothing goes before its requests, which say its title."""

    def __init__(self, world, sap, suite=0):
        super().__init__(world, sap, suite)
        self.talk = Independent(self, 0, 3, "general-glo", **self.keys)

    def open(self, link, wrong=False):
        self.link, self.talk.guek = link, bytes(16) if wrong else self.keys["guek"]
        return bool(self.knows(link))

    def release(self, link):
        """It is always open."""


class Short(Client):
    """With short names."""

    def __init__(self, world, sap, secret):
        super().__init__(world, sap, secret)
        model = world.model
        rows = range(0, len(model.names), _NAME_WIDTH)
        names = {(model.names[k + 2] << 8 | model.names[k + 3]): k for k in rows}
        self.bases = [model.names[k] << 8 | model.names[k + 1] for k in rows]
        own = names[model.find(0, NAME[3:11], 0)]
        self.name = self.read((model.names[own] << 8 | model.names[own + 1]) + 8)

    def aarq(self, secret):
        return small.aarq(secret, short.PROPOSED, context=2)

    def read(self, *names):
        return bytes((5, len(names))) + b"".join(b"\2" + n.to_bytes(2, "big") for n in names)

    def request(self, r):
        names = [r.choice(self.bases) + 8 * r.randrange(12) & 0xFFFF for _ in range(4)]
        return self.read(*names[: r.choice((1, 1, 1, 4))])

    def next_block(self, answer):
        if answer[:3] == b"\x0c\x01\x02" and not answer[3]:
            return b"\5\1\5" + answer[4:6]
        return None

    def knows(self, link):
        got = self.ask(link, self.name)
        return None if got is None else got[:4] == b"\x0c\1\0\x09" and len(got) == 21


def private_key(name):
    text = (PEM / name).read_bytes()
    pem = text[text.index(b"-----BEGIN PRIVATE KEY") :]
    return serialization.load_pem_private_key(pem, None)


def all_of(world):
    """[(client, how often it comes)] of the reference meter."""
    return [
        (Client(world, 16), 250),
        (Client(world, 2, b"demo-reading"), 250),
        (Secured(world, 1), 250),
        (Secured(world, 3), 120),
        (Secured(world, 7), 60),
        (Short(world, 8, b"demo-short"), 60),
        (Standing(world, 6), 30),
        (Signing(world, 4, 1), 60),
        (Signing(world, 5, 2), 30),
    ]
