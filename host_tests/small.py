# SPDX-License-Identifier: MIT
"""The small meter of definitions/small.toml, and a way to talk to its server APDU by APDU."""

import types
from functools import lru_cache
from pathlib import Path

import tables
from cosem.model import Model
from dlms.server import Server
from firmware.ports import ciphers
from firmware.ports import cpython as port

HERE = Path(__file__).parent
HANDLERS = ("association_ln", "security_setup", "port_protection", "data_protection")


@lru_cache(maxsize=None)
def packed(path):
    """The packed tables of a definition, as the generated module would hold them."""
    t = tables.compile(str(path))
    return {k.upper(): v for k, v in vars(t).items() if not k.startswith("_")}


class Talk:
    """A client SAP and a server SAP on one channel; say(hex) gives the reply in hex."""

    def __init__(self, meter, channel, client, server):
        self.meter, self.channel, self.client, self.server = meter, channel, client, server

    def say(self, request, confirmed=1):
        """The reply to an APDU (hex with spaces), as hex without spaces; empty: silence."""
        apdu = bytearray.fromhex(request.replace(" ", ""))
        while True:
            n = self.meter.server.request(
                self.channel, self.client, self.server, apdu, 0, len(apdu), confirmed
            )
            if n >= 0:
                break
            # As a link does: what has to be done is done, and the same octets come again.
            assert self.meter.server.todo
            self.meter.server.work()
        if self.meter.server.todo:
            self.meter.server.work()
        fault, self.meter.server.fault = self.meter.server.fault, None
        if fault:
            raise fault
        pos = self.channel.tx_pos
        assert pos >= 32, "room for headers"
        return bytes(self.channel.tx[pos : pos + n]).hex().upper()

    def open(self, secret=b"12345678", conformance="7EFF1F", max_pdu=0xFFFF):
        """An AARQ with LLS (or without authentication if secret is None); the AARE."""
        return self.say(aarq(secret, conformance, max_pdu).hex())


class Meter:
    """image: as it was saved, what a restart finds. storage: of profiles, if there are some."""

    def __init__(
        self, path=HERE / "definitions/small.toml", handlers=HANDLERS, image=None, storage=None
    ):
        definition = types.SimpleNamespace(**packed(path))
        if handlers is not None:
            definition.HANDLERS = tuple(h if h in handlers else "" for h in definition.HANDLERS)
        self.model = Model(definition)
        if image is not None:
            self.model.image[:] = image
        self.saved = []
        self.model.storage = storage
        self.model.aes = ciphers.aes
        self.model.new_hash = ciphers.new_hash
        self.model.random_fill = port.random_fill
        self.model.storage = storage
        self.model.save = self.save
        self.server = Server(self.model)
        self.model.start()

    def save(self):
        self.saved.append(bytes(self.model.image))
        return True

    def talk(self, client=1, server=1, channel=None):
        return Talk(self, channel or self.server.channel(), client, server)

    def forgive(self):
        """Forget who has failed to authenticate itself: for tests of something else."""
        for row in {config[2] for config in self.model.configs}:
            at = self.model.state(row, 0)
            self.model.image[at : at + 8] = bytes(8)

    def management(self, **options):
        """An open association of client 1."""
        t = self.talk()
        assert t.open(**options).startswith("6129A109060760857405080101A203020100")
        return t


CLOCK = """
[[objects]]
class = "Clock"
device = "two"
access = "all"
list = [
    {obis = "0.0.1.0.0", time_zone = -60, daylight_savings_deviation = 60, daylight_savings_enabled = true, clock_base = 1, daylight_savings_begin = "*-03-last sun 02:00:00", daylight_savings_end = "*-10-last sun 03:00:00"},
]
"""  # noqa: E501


def that_runs():
    """Text of the small meter's definition with what tools/meter.py needs more: a clock. And
    with what peers do not use unless it is negotiated: general protection, and blocks."""
    text = (HERE / "definitions/small.toml").read_text() + CLOCK
    for some in ('"get", "set", "action", "block', '"get", "set", "action"'):
        more = "" if "block" in some else '"block-transfer-with-get-or-read", '
        end = "" if "block" in some else "]"
        text = text.replace("[" + some + end, '["general-protection", ' + more + some + end)
    return text


def aarq(
    secret,
    conformance="7EFF1F",
    max_pdu=0xFFFF,
    context=1,
    mechanism=1,
    version=6,
    options="000000",
):
    body = bytes.fromhex("A1090607608574050801") + bytes([context])
    if secret is not None:
        body += bytes.fromhex("8A0207808B07608574050802") + bytes([mechanism])
        body += bytes([0xAC, len(secret) + 2, 0x80, len(secret)]) + secret
    # options: dedicated-key, response-allowed, quality of service
    initiate = bytes.fromhex("01" + options + "%02X" % version + "5F1F0400" + conformance)
    initiate += max_pdu.to_bytes(2, "big")
    body += bytes([0xBE, len(initiate) + 2, 0x04, len(initiate)]) + initiate
    return bytes([0x60, len(body)]) + body
