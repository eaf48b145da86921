# SPDX-License-Identifier: MIT
"""A client with high level security, for any runtime: GMAC with ciphering of suite 0, or SHA-256
in plain text.

    client = Client(ciphers, mechanism, title, server_title, guek=..., gak=..., secret=...)
    client.aarq(initiate_request)       what to send first
    client.reply(aare)                  pass 3, or b"" if the AARE is a refusal; client.initiate is
                                        the InitiateResponse
    client.is_open(answer)              has the meter proved itself in pass 4?
    client.protect(apdu), client.opened(octets)

Its cryptography is that of lib/crypto, under test elsewhere (host_tests/secure.py is a client
that owes nothing to it): what is shown with this one is that the meter serves on this runtime.
"""

from crypto import gcm, hashes

GMAC = 5
SHA256 = 6
_TAG_LEN = 12
_RLRQ = 0x62
_RLRE = 0x63
_EXCEPTION_RESPONSE = 0xD8
_GLO_INITIATE = 0x21
_ACCESS = 0xD9
_GENERAL_GLO = 0xDB
_PASS_3 = b"\xc3\x01\x41\x00\x0f\x00\x00\x28\x00\x00\xff\x01\x01\x09"
_PASS_4 = b"\xc7\x01\x41\x00\x01\x00\x09"


class Client:
    def __init__(self, ciphers, mechanism, title, server_title, guek=b"", gak=b"", secret=b""):
        self.ciphers = ciphers
        self.mechanism = mechanism
        self.title = title
        self.server_title = server_title
        self.secret = secret
        self.challenge = bytes(range(16))
        self.stoc = b""
        self.initiate = b""
        self.ic = 0
        if guek:
            self.gcm = gcm.new(ciphers.aes(guek))
            self.both = b"\x30" + gak
            self.proof = b"\x10" + gak

    # --- Protection: authenticated and encrypted

    def protect(self, apdu):
        """The APDU as it goes out; an RLRQ gets the InitiateRequest that proves whose it is."""
        if self.mechanism != GMAC:
            return apdu
        if apdu[0] == _RLRQ:
            inner = self.sealed(
                _GLO_INITIATE, b"\x01\x00\x00\x00\x06\x5f\x1f\x04\x00\x00\x00\x10\x00\x00"
            )
            body = b"\x80\x01\x00" + field(0xBE, field(4, inner))
            return field(_RLRQ, body)
        if apdu[0] == _ACCESS:
            # It has no tag for that.
            sealed = self.sealed(0, apdu)[1:]
            return bytes((_GENERAL_GLO, len(self.title))) + self.title + sealed
        return self.sealed(apdu[0] + 8, apdu)

    def sealed(self, tag, apdu):
        ic = self.counter()
        n = len(apdu)
        out = bytearray(apdu + bytes(_TAG_LEN))
        g = self.gcm
        g.iv[:] = self.title + ic
        self.start(self.both)
        g.encrypt(out, 0, n, out, n, _TAG_LEN)
        return field(tag, b"\x30" + ic + bytes(out))

    def counter(self):
        self.ic += 1
        return (self.ic - 1).to_bytes(4, "big")

    def opened(self, octets):
        """The plain answer. An exception-response comes as it is, an RLRE with its information
        deciphered."""
        if self.mechanism != GMAC or not octets or octets[0] == _EXCEPTION_RESPONSE:
            return octets
        if octets[0] == _RLRE:
            # 63 n 80 01 reason [BE n 04 n InitiateResponse]
            if octets[5:]:
                information = field(0xBE, field(4, self.opened(octets[9:])))
                octets = field(_RLRE, octets[2:5] + information)
            return octets
        if octets[0] == _GENERAL_GLO:
            octets = octets[1 + len(self.title) :]
        at = 2 if octets[1] < 0x80 else 2 + (octets[1] & 0x7F)
        body = bytearray(octets[at + 5 :])
        n = len(body) - _TAG_LEN
        g = self.gcm
        g.iv[:] = self.server_title + bytes(octets[at + 1 : at + 5])
        self.start(self.both)
        if octets[at] != 0x30 or n < 0 or not g.decrypt(body, 0, n, body, n, _TAG_LEN):
            return b"not protected as it should be: " + octets
        return bytes(body[:n])

    def start(self, authenticated):
        self.gcm.start()
        self.gcm.aad(authenticated, 0, len(authenticated))

    # --- The four passes

    def aarq(self, initiate):
        context = 1
        if self.mechanism == GMAC:
            context = 3
            initiate = self.sealed(_GLO_INITIATE, initiate)
        body = b"\xa1\x09\x06\x07\x60\x85\x74\x05\x08\x01" + bytes((context,))
        body += field(0xA6, field(4, self.title))
        body += b"\x8a\x02\x07\x80\x8b\x07\x60\x85\x74\x05\x08\x02" + bytes((self.mechanism,))
        body += field(0xAC, field(0x80, self.challenge)) + field(0xBE, field(4, initiate))
        return field(0x60, body)

    def reply(self, aare):
        fields = {}
        at = 2 if aare[1] < 0x80 else 2 + (aare[1] & 0x7F)
        while at < len(aare):
            n = aare[at + 1]
            fields[aare[at]] = aare[at + 2 : at + 2 + n]
            at += 2 + n
        if fields[0xA2] != b"\x02\x01\x00":
            return b""
        self.stoc = fields[0xAA][2:]
        self.initiate = self.opened(fields[0xBE][2:])
        if self.mechanism == GMAC:
            ic = self.counter()
            proof = b"\x10" + ic + self.gmac(self.title + ic, self.stoc)
        else:
            proof = self.digest(self.title, self.server_title, self.stoc, self.challenge)
        return self.protect(_PASS_3 + bytes((len(proof),)) + proof)

    def is_open(self, answer):
        answer = self.opened(answer)
        at = len(_PASS_4) + 1
        if answer[: at - 1] != _PASS_4:
            return False
        proof = answer[at:]
        if self.mechanism == GMAC:
            return proof[5:] == self.gmac(self.server_title + proof[1:5], self.challenge)
        return proof == self.digest(self.server_title, self.title, self.challenge, self.stoc)

    def gmac(self, iv, challenge):
        g = self.gcm
        tag = bytearray(_TAG_LEN)
        g.iv[:] = iv
        self.start(self.proof)
        g.aad(challenge, 0, len(challenge))
        g.encrypt(tag, 0, 0, tag, 0, _TAG_LEN)
        return bytes(tag)

    def digest(self, *parts):
        h = hashes.new("sha256", self.ciphers.new_hash)
        h.update(self.secret)
        for part in parts:
            h.update(part)
        return h.digest()


def of(meter, client, server, ciphers):
    """The client of an association of a meter, with keys and secret as the meter has them."""
    model = meter.model
    for config in model.configs:
        if config[0] == client and model.devices[config[1]][0] == server:
            break
    image = model.image
    keys = {}
    if config[8] >= 0:
        at = model.state(config[8], 0)
        keys["guek"] = bytes(image[at : at + 16])
        keys["gak"] = bytes(image[at + 64 : at + 80])
    else:
        at = model.slot(config[2], 7)
        keys["secret"] = bytes(image[at + 2 : at + 2 + image[at + 1]])
    title = b"CLI\0\0\0\0" + bytes((client,))
    return Client(ciphers, config[3], title, model.system_title, **keys)


def field(tag, octets):
    """Tag, length, octets; the length as BER and A-XDR both have it."""
    n = len(octets)
    size = (
        bytes((n,))
        if n < 0x80
        else b"\x81" + bytes((n,))
        if n < 0x100
        else b"\x82" + n.to_bytes(2, "big")
    )
    return bytes((tag,)) + size + octets
