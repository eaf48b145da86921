# SPDX-License-Identifier: MIT
"""Targets that are conversations: clients with open associations, what they may say, and time."""

import types

import fakes
import secure
import secure_general
import short
import small
from device import client as clients
from suites import SuitesMeter

from firmware import app
from firmware.ports import ciphers
from firmware.ports import cpython as port
from firmware.store import RAMStorage
from fuzzing import oracles, seeds, values
from fuzzing.octets import Octets, put

START_MINUTE = 13675680  # 2026-01-01 00:00 UTC
DEFINITIONS = small.HERE / "definitions"
OWN = small.HERE.parent / "firmware/definitions"
RELEASE = bytes.fromhex("6203800100")
INITIATE = bytes.fromhex("01000000065F1F0400FEFFFFFFFF")
NOBODY = 16
IMAGE_EVERY = 20  # inputs between two looks at all slots


def program_meter(path, seed=1):
    """A meter with all that the program does, in RAM."""
    definition = types.SimpleNamespace(**small.packed(path))
    return app.build(definition, RAMStorage(), port, seed, START_MINUTE, 0, 0, n_associations=8)


class Party:
    """A client on a channel of its own."""

    title = b"CLI\0\0\0\0\7"

    def __init__(self, meter, client, device, secret=None, context=1):
        self.meter, self.client, self.device = meter, client, device
        self.channel = meter.server.channel()
        self.secret, self.context = secret, context
        self.short = not context & 1
        self.is_open = False

    def aarq(self):
        conformance = "1CFF3F" if self.short else "FEFFFF"
        return small.aarq(self.secret, conformance, context=self.context)

    def say(self, apdu, confirmed=1):
        return oracles.ask(
            self.meter.server, self.channel, self.client, self.device, apdu, confirmed
        )

    def open(self):
        got = self.say(self.aarq())
        self.is_open = got[:1] == b"\x61" and b"\xa2\x03\x02\x01\x00" in got[:24]
        return self

    def protect(self, apdu):
        return apdu

    def opened(self, apdu, reply):
        """The plain answer, looked at."""
        oracles.answers(apdu, reply)
        return reply

    def ask(self, apdu, confirmed=1):
        return self.opened(apdu, self.say(self.protect(apdu), confirmed))


class Secured(Party):
    """With high level security: GMAC and ciphering, or SHA-256."""

    def open(self):
        self.talk = clients.of(self.meter, self.client, self.device, ciphers)
        if hasattr(self, "ic"):
            self.talk.ic = self.ic
        got = self.say(self.talk.aarq(INITIATE))
        self.is_open = False
        if got[:1] == b"\x61":
            reply = self.talk.reply(got)
            self.is_open = bool(reply) and self.talk.is_open(self.say(reply))
        self.ic = self.talk.ic
        return self

    def protect(self, apdu):
        if not self.is_open or not apdu or apdu[0] not in (0x62, 0xC0, 0xC1, 0xC3, 0xD9):
            return apdu
        made = self.talk.protect(apdu)
        self.ic = self.talk.ic
        return made

    def opened(self, apdu, reply):
        oracles.answers(apdu, reply)
        if not reply or reply[0] not in (0xCC, 0xCD, 0xCF, 0xDB) or not self.is_open:
            return reply
        plain = self.talk.opened(reply)
        assert not plain.startswith(b"not protected"), plain
        oracles.answers(apdu, plain)
        return plain


def secrets_of(meter):
    """Keys and secrets that are no part of anything else."""
    model = meter.model
    found = set()
    for config in model.configs:
        if config[8] >= 0:
            at = model.state(config[8], 0)
            found |= {bytes(model.image[at + k : at + k + 16]) for k in range(0, 128, 16)}
        if config[3] and config[3] < 5:
            at = model.slot(config[2], model.secret(config[2]))
            n = model.image[at + 1]
            found.add(bytes(model.image[at + 2 : at + 2 + n]))
    return [octets for octets in found if len(octets) > 7 and any(octets)]


class Session:
    """An input is a row of (who, what); time passes in between."""

    def __init__(self, meter, parties):
        self.meter = meter
        self.server = meter.server
        self.model = meter.model
        self.program = getattr(meter, "program", None)
        self.parties = parties
        self.requests = [values.Requests(self.model, self.device_of(party)) for party in parties]
        self.secrets = secrets_of(meter)
        self.n = 0
        for party in parties:
            party.open()
            assert party.is_open, "client %d" % party.client

    def device_of(self, party):
        for k, device in enumerate(self.model.devices):
            if device[0] == party.device:
                return k
        raise AssertionError("no such logical device")

    def __call__(self, octets):
        o = Octets(octets)
        while o:
            k = o.u8()
            confirmed = 1 if k & 0xC0 != 0xC0 else 0
            # Mostly the second one, who may do the most.
            who = (k & 0x3F) % (2 * len(self.parties))
            who = who if who < len(self.parties) else min(1, len(self.parties) - 1)
            self.act(self.parties[who], self.requests[who], o, confirmed)
        oracles.legal(self.server)
        self.forgive()
        self.n += 1
        if self.n % IMAGE_EVERY == 0:
            oracles.consistent(self.model)

    def act(self, party, requests, o, confirmed):
        kind = o.u8() % 16
        if kind < 8:
            apdu = requests.short(o) if party.short else requests.apdu(o)
            reply = party.ask(apdu, confirmed)
        elif kind == 8:
            reply = party.ask(o.some(), confirmed)
        elif kind == 9:
            apdu = o.some()
            reply = party.say(apdu, confirmed)
            oracles.answers(apdu, reply)
        elif kind == 10:
            made = bytearray(party.protect(requests.apdu(o)))
            made[o.u8() % len(made)] ^= o.u8()
            reply = party.say(made, confirmed)
            oracles.answers(b"", reply)
        elif kind == 11:
            octets = o.some()
            control = o.u8()
            block = bytes((0xE0, control, 0, o.u8(), 0, o.u8())) + put(octets)
            reply = party.say(block, confirmed)
            oracles.answers(block, reply)
            n = 0
            while party.channel.more is not None and n < 70:
                if not self.server.more(party.channel):
                    oracles.turn(self.server)
                n += 1
            oracles.healthy(self.server)
        elif kind == 12:
            if o.u8() & 1:
                party.ask(RELEASE)
            else:
                party.channel.release()
            party.is_open = False
            reply = b""
            if o.u8() & 3:
                party.open()
        elif kind == 13:
            reply = b""
            self.passes(o.one_of((1, 59, 60, 61, 900, 3600)))
        elif kind == 14:
            reply = b""
            self.jumps(party, o)
        else:
            reply = party.say(party.aarq() if o.u8() & 1 else o.some(), confirmed)
            oracles.answers(b"", reply)
        if party.client == NOBODY and party.secret is None:
            oracles.no_secret(self.secrets, reply)

    def passes(self, seconds):
        if self.program is not None:
            self.program.step(seconds)
        else:
            clock = self.model.handler("clock")
            for _ in range(min(seconds, 120) if clock is not None else 0):
                clock.advance(1000)
                self.model.tick(clock.minute)
        self.server.guard.tick(seconds * 1000)
        oracles.turn(self.server)

    def jumps(self, party, o):
        """The clock is set, and a minute passes."""
        data = b"\x09\x0c" + values.date_time(o)
        party.ask(b"\xc1\1\xc1" + bytes.fromhex("00080000010000FF0200") + data)
        self.passes(61)

    def forgive(self):
        """Who has failed to authenticate may try again."""
        for row in {config[2] for config in self.model.configs}:
            at = self.model.state(row, 0)
            if at >= 0:
                self.model.image[at : at + 8] = bytes(8)
        for party in self.parties:
            if not party.is_open:
                party.open()

    @property
    def seeds(self):
        """The conversations' requests, by each client, and one of each kind."""
        n = len(self.parties)
        who = min(1, n - 1)
        found = [bytes((who, 8)) + put(a) for a in seeds.requests() if len(a) < 250]
        found += [bytes((k, kind)) + bytes(30) for k in range(n) for kind in range(16)]
        found += [bytes((k, 0, kind)) + bytes(30) for k in range(n) for kind in range(12)]
        parts = [bytes(range(j, j + 40)) for j in range(0, 99, 9)]
        return found + [bytes((k, 0)) + part for k in range(n) for part in parts]


# --- Targets --------------------------------------------------------------------------------


def target_session():
    meter = program_meter(OWN / "residential.toml")
    return Session(meter, [
        Party(meter, 16, 1),
        Secured(meter, 1, 1),
        Party(meter, 2, 1, b"demo-reading"),
        Secured(meter, 3, 1),
        Secured(meter, 7, 1),
        Party(meter, 8, 1, b"demo-short", 2),
    ])  # fmt: skip


def target_payment():
    meter = program_meter(OWN / "prepayment.toml")
    return Session(meter, [
        Party(meter, 16, 1), Secured(meter, 1, 1), Party(meter, 2, 1, b"demo-customer"),
    ])  # fmt: skip


def target_timing():
    meter = small.Meter(DEFINITIONS / "timing.toml", handlers=None, storage=fakes.Storage())
    meter.model.random = lambda n: 0
    clock = meter.model.handler("clock")
    clock.set_utc(START_MINUTE, 0)
    return Session(meter, [Party(meter, 1, 1, b"12345678")])


def target_apdu():
    meter = small.Meter(DEFINITIONS / "services.toml", handlers=None)
    return Session(meter, [
        Party(meter, 1, 1, b"12345678"), Party(meter, 2, 1, b"12345678", 2)
    ])  # fmt: skip


def target_short_names():
    meter = short.ShortMeter()
    return Session(meter, [
        Party(meter, 1, 1, b"12345678"), Party(meter, 2, 1, b"12345678", 2),
        Party(meter, 16, 1, None, 2), Party(meter, 5, 1, b"12345678", 2),
    ])  # fmt: skip


# --- Ciphered -------------------------------------------------------------------------------

KINDS = ("glo", "ded", "general-glo", "general-ded")
CONTROLS = (secure.AE, secure.A, secure.E)


class Ciphers:
    """One client; an input is a row of (how, content): protected rightly, or damaged then."""

    def __init__(self, meter, party, requests, kinds):
        self.meter, self.party, self.requests, self.kinds = meter, party, requests, kinds
        self.n = 0

    def __call__(self, octets):
        o = Octets(octets)
        party = self.party
        while o:
            how = o.u8()
            kind = self.kinds[o.u8() % len(self.kinds)]
            sc = o.one_of(CONTROLS)
            apdu = o.some() if how & 3 == 0 else self.requests.apdu(o)
            if how & 0x30 == 0x10:
                apdu = bytes((0xE0, 0x80 | o.u8() & 0x3F, 0, o.u8(), 0, o.u8())) + put(apdu[:127])
            try:
                made = bytearray(party.protect(apdu, kind=kind, sc=sc))
            except (KeyError, IndexError):
                continue  # no service that has a tag of that kind
            if how & 0x0C == 0x04:
                made[o.u8() % len(made)] ^= o.u8()
            elif how & 0x0C == 0x08:
                made = made[: o.u8() % (len(made) + 1)]
            elif how & 0xC0 == 0xC0:
                self.say(bytes(made))  # replayed
            reply = self.say(bytes(made))
            oracles.answers(b"", reply)
            untouched = how & 0x0C in (0, 0x0C) and how & 0xC0 != 0xC0
            if untouched and reply and reply[0] not in (0xD8, 0xE0, 0x63):
                plain = party.unprotect(reply)
                oracles.answers(apdu, plain)
        oracles.legal(self.meter.server)
        self.meter.forgive()
        self.n += 1
        if self.n % IMAGE_EVERY == 0:
            oracles.consistent(self.meter.model)
        if not self.alive():
            party.talk.channel.release()
            party.open()

    def say(self, octets):
        talk = self.party.talk
        return oracles.ask(self.meter.server, talk.channel, talk.client, talk.server, octets)

    def alive(self):
        return any(a.state == 2 for a in self.meter.server.associations)

    @property
    def seeds(self):
        found = [bytes((0, k, s)) + put(bytes.fromhex("C001C1000100002A0000FF0200"))
                 for k in range(len(self.kinds)) for s in range(3)]  # fmt: skip
        found += [bytes((1, k, 0)) + bytes((j,)) + bytes(30) for k in range(4) for j in range(12)]
        return found + [bytes((4, 0, 0)) + bytes(40), bytes((0xC1, 0, 0)) + bytes(40)]


def target_ciphered():
    meter = small.Meter(handlers=None, storage=fakes.Storage())
    talk = meter.talk(client=40, server=17)
    party = secure.Client(talk, dedicated=bytes(range(0x50, 0x60)))
    party.open()
    device = [d[0] for d in meter.model.devices].index(17)
    return Ciphers(meter, party, values.Requests(meter.model, device), KINDS)


def target_general():
    meter = SuitesMeter()
    party = secure_general.General12(meter, 1)
    party.open()
    device = [d[0] for d in meter.model.devices].index(17)
    return Ciphers(meter, party, values.Requests(meter.model, device), secure_general.KINDS)


# --- General block transfer -----------------------------------------------------------------


def target_gbt():
    meter = small.Meter(DEFINITIONS / "services.toml", handlers=None)
    party = Party(meter, 1, 1, b"12345678").open()
    requests = values.Requests(meter.model)
    server = meter.server

    def one(octets):
        o = Octets(octets)
        while o:
            head = o.u8()
            number, acknowledged = o.u16(), o.u16()
            if head & 0x40:
                number, acknowledged = number & 7, acknowledged & 7
            content = requests.apdu(o) if head & 0x20 else o.some()
            control = o.u8()
            block = bytes((0xE0, control)) + number.to_bytes(2, "big")
            block += acknowledged.to_bytes(2, "big") + values.length(len(content)) + content
            reply = party.say(block, 0 if head & 7 == 7 else 1)
            oracles.answers(block, reply)
            n = 0
            while party.channel.more is not None:
                got = server.more(party.channel)
                at = party.channel.tx_pos
                if got > 0:
                    oracles.answers(b"", bytes(party.channel.tx[at : at + got]))
                oracles.turn(server)
                n += 1
                assert n < 100, "more and more blocks"
            oracles.healthy(server)
            if head & 0x18 == 0x18:
                oracles.answers(b"", party.say(requests.apdu(o)))
        if not any(a.state == 2 for a in server.associations):
            party.open()
        oracles.legal(server)
        oracles.consistent(meter.model)

    get = bytes.fromhex("C001C1000100006032 04FF0200".replace(" ", ""))
    one.seeds = [
        b"\0\0\1\0\0" + put(get) + b"\x81",
        b"\0\0\1\0\0" + put(get[:5]) + b"\1" + b"\0\0\2\0\1" + put(get[5:]) + b"\x81",
        b"\0\0\1\0\0" + put(get) + b"\xc5" + b"\0\0\2\0\2" + put(b"") + b"\xc5",
        b"\x60\0\1\0\0" + bytes(20) + b"\x83",
    ]
    return one
