# SPDX-License-Identifier: MIT
"""Asks a server of the stack, in this process, for each request that there is in the tables of the
decoder, and hears whether it knows it: what is not served is an exception-response or a
confirmedServiceError that says so (lib/dlms/exceptions.py), whatever the request is about.
"""

import types

import tables
from decoding.apdu import TABLE, VARIABLES
from tables.source import Document

from . import code

code.on_path()

_DEFINITION = """name = "probe"
limits = {associations = 8, work_len = 512, max_send_pdu = 512, max_receive_pdu = 512}
[[device]]
name = "meter"
sap = 1
[access]
all = {client = "r w x"}
%(associations)s
[[objects]]
device = "meter"
access = "all"
list = [
    {class = 15, obis = "0.0.40.0.0", secret = "%(secret)s"},
    {class = 12, obis = "0.0.40.0.0", version = 4},
    {class = 64, obis = "0.0.43.0.1", keys = {guek = "0x000102030405060708090A0B0C0D0E0F"}},
    {class = 1, obis = "0.0.42.0.0", value = "octet-string:PMT0000000000001"},
]
"""
_ASSOCIATION = """[[association]]
device = "meter"
client_sap = %d
object = "0.0.40.0.0"
mechanism = %d
role = "client"
application_context = %d
conformance = %s
%s
"""
_LN, _SN, _CIPHERED, _LN_CIPHERED, _SN_CIPHERED, _LLS = range(16, 22)  # clients
_SECRET = "12345678"
_SETUP = 'security_setup = "0.0.43.0.1"\n'
_NOT_SHORT = ("get", "set", "action", "event-notification", "access")
_CONTEXT = "A1090607608574050801%02X"
_TITLE = "A60A04084142430000000001"
_BY_SECRET = "8A0207808B0760857405080201AC0A8008" + _SECRET.encode().hex()
_INITIATE = "BE10040E01000000065F1F0400%06X0400"
_ACCEPTED = b"\xa2\x03\x02\x01\x00\xa3\x05\xa1\x03\x02\x01\x00"
_ALL = 0x7EFFFF
_BODY = bytes(24)  # behind tag, choice and invoke-id: zeros are as good as anything
_TURNS = 64
_IIP = 0xC1  # invoke-id and priority
_ACCESS, _CONFIRMED = 0xD9, 0x40  # first octet of the long invoke-id and priority
_UNCONFIRMED_WRITE = 0x16
_AARQ, _RLRQ, _RLRQ_NORMAL, _RLRE = 0x60, 0x62, b"\x62\3\x80\1\0", b"\x63"
_LDN = b"\xfd\x08"  # short name of the value of the logical device name

_NO_SERVICE = (b"\xd8\x01\x02", b"\xd8\x02\x02", b"\x0e\x05\x03\x02", b"\x0e\x06\x03\x02")
# Tags of requests; with a confirmation that is expected. (What comes from a meter is no request.)
REQUESTS = {
    "logical names": (_LN, (0xC0, 0xC1, 0xC3, 0xD9)),
    "short names": (_SN, (0x05, 0x06)),
    "short names, with the global key": (_SN_CIPHERED, (0x25, 0x26, 0x36)),
    "short names, with a dedicated key": (_SN_CIPHERED, (0x45, 0x46, 0x56)),
    "with the global key": (_CIPHERED, (0xC8, 0xC9, 0xCB)),
    "with a dedicated key": (_CIPHERED, (0xD0, 0xD1, 0xD3)),
    "general": (_CIPHERED, (0xDB, 0xDC, 0xDD, 0xDF, 0xE0)),
}


def definition(words):
    short = [w for w in words if w not in _NOT_SHORT]
    rows = (
        (_LN, 1, 0, words, ""),
        (_SN, 2, 0, short, ""),
        (_CIPHERED, 3, 0, words, _SETUP + "pre_established = true"),
        (_LN_CIPHERED, 3, 0, words, _SETUP),
        (_SN_CIPHERED, 4, 0, short, _SETUP),
        (_LLS, 1, 1, words, ""),
    )
    parts = "".join(
        _ASSOCIATION % (sap, mechanism, context, str(names).replace("'", '"'), more)
        for sap, context, mechanism, names, more in rows
    )
    text = _DEFINITION % {"associations": parts, "secret": _SECRET}
    return tables.load_definition(Document(text, "probe"))


class Probe:
    def __init__(self, words):
        from cosem.model import Model
        from dlms.server import Server
        from firmware.ports import ciphers, cpython

        packed = tables.compile(definition(words))
        made = {k.upper(): v for k, v in vars(packed).items() if not k.startswith("_")}
        self.model = Model(types.SimpleNamespace(**made))
        self.model.random_fill = cpython.random_fill
        self.model.storage = None
        self.model.save = lambda: True
        self.model.aes = ciphers.aes
        self.model.new_hash = ciphers.new_hash
        self.server = Server(self.model)
        self.model.start()
        self.channels = {sap: self.server.channel() for sap in range(_LN, _LLS + 1)}

    def opens(self, sap, context, more=""):
        """Is an association opened by an AARQ with all conformance bits?"""
        body = bytes.fromhex(_CONTEXT % context + more + _INITIATE % _ALL)
        return _ACCEPTED in self.ask(sap, b"\x60" + bytes((len(body),)) + body)

    def ask(self, sap, octets):
        apdu = bytearray(octets)
        channel = self.channels[sap]
        for _ in range(_TURNS):
            n = self.server.request(channel, sap, 1, apdu, 0, len(apdu))
            if n >= 0:
                return bytes(channel.tx[channel.tx_pos : channel.tx_pos + n])
            self.server.work()
        return b""

    def releases(self):
        """Is an RLRQ answered, and the association gone?"""
        get = b"\xc0\1\xc1" + _BODY
        opened = self.ask(_LN, get)
        return self.ask(_LN, _RLRQ_NORMAL)[:1] == _RLRE and self.ask(_LN, get) != opened

    def serves(self, sap, head):
        """Is a request that begins so one that the server knows?"""
        answer = self.ask(sap, head + _BODY)
        return bool(answer) and not answer.startswith(_NO_SERVICE)

    def writes_unconfirmed(self):
        """Nobody answers such a request: is the value there afterwards?"""
        value = b"\x09\x10UNCONFIRMEDWRITE"
        request = bytes((_UNCONFIRMED_WRITE, 1, 2)) + _LDN + b"\1" + value
        self.ask(_SN, request)
        return value in self.ask(_SN, b"\x05\1\2" + _LDN)


def served(words):
    """[(kind of requests, name of the request, choice or "", is it served?)]"""
    probe = Probe(words)
    found = [("ACSE", TABLE[_AARQ][0], "", probe.opens(_LN, 1) and probe.opens(_SN, 2))]
    found.append(("ACSE", TABLE[_RLRQ][0], "", probe.releases()))
    probe.opens(_LN, 1)
    probe.opens(_SN_CIPHERED, 4, _TITLE)
    for kind, (sap, tags) in REQUESTS.items():
        for tag in tags:
            name, of = TABLE[tag]
            if sap == _SN:
                rows = [(bytes((tag, 1, n)), word) for n, word in VARIABLES.kind.words.items()]
            elif isinstance(of, dict):
                rows = [(bytes((tag, n, _IIP)), word) for n, (word, _) in of.items()]
            else:
                rows = [(bytes((tag, _CONFIRMED)) if tag == _ACCESS else bytes((tag,)), "")]
            found += [(kind, name, word, probe.serves(sap, head)) for head, word in rows]
    found.append(("short names", TABLE[_UNCONFIRMED_WRITE][0], "", probe.writes_unconfirmed()))
    return found


def opened(words):
    """{("context", n): bool, ("mechanism", n): bool or when} of what the server opens."""
    from dlms import hls

    probe = Probe(words)
    found = {
        ("context", 1): probe.opens(_LN, 1),
        ("context", 2): probe.opens(_SN, 2),
        ("context", 3): probe.opens(_LN_CIPHERED, 3, _TITLE),
        ("context", 4): probe.opens(_SN_CIPHERED, 4, _TITLE),
    }
    found["mechanism", 0] = found["context", 1]
    found["mechanism", 1] = probe.opens(_LLS, 1, _BY_SECRET)
    suite = types.SimpleNamespace(suite=1)
    model = types.SimpleNamespace(manufacturer_hls=None)
    hook = types.SimpleNamespace(manufacturer_hls=())
    for n in range(2, 8):
        found["mechanism", n] = hls.exists(n, model, None)
        if not found["mechanism", n] and hls.exists(n, model, suite):
            found["mechanism", n] = "in suites 1 and 2"
        elif not found["mechanism", n] and hls.exists(n, hook, None):
            found["mechanism", n] = "where the firmware has functions of the manufacturer"
    return found
