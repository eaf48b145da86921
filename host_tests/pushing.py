# SPDX-License-Identifier: MIT
"""The meter of definitions/push.toml, a path that does what a test says, a client's eyes; and what
a test of real paths needs."""

import socket
import struct
import types

import fakes
import pytest
import secure
from cosem.model import Model
from cosem.notifier import Notifier
from dlms.server import Server
from fakes import array, enum, i8, obis, octets, struct_, u16, u32
from firmware.ports import ciphers
from firmware.ports import cpython as port
from small import HERE, Talk, packed

BUSY, GONE, BROKEN, NEVER, NOT_NOW = 0, 1, 2, 3, -1
TCP, UDP, HDLC = 0, 1, 5
IDLE, WINDOW, DELAY, READY, SENDING, CONFIRMING, REPEATING = range(7)
V0, V1, V2 = "0.1.25.9.0.255", "0.2.25.9.0.255", "0.4.25.9.0.255"
TITLE = b"PMT" + (1000000000042).to_bytes(5, "big")
NULL = b"\0"
PATIENCE = 400  # turns
ANY_TIME = b"\xff" * 9 + b"\x80\x00\xff"


class Paths:
    """says: what becomes of the next ones, the last for all others. sent: what was handed over."""

    def __init__(self):
        self.there = True
        self.says = [GONE]
        self.sent = []
        self.told = []
        self.stopped = []
        self.lost = False

    def _says(self):
        return self.says.pop(0) if len(self.says) > 1 else self.says[0]

    def is_ready(self, service):
        return self.there

    def begin(self, service, destination, acknowledged, client, server, buf, pos, n):
        assert self.there and pos >= 32
        self.acknowledged = acknowledged
        self.sent.append((service, destination, client, server, bytes(buf[pos : pos + n])))
        return self._says()

    def outcome(self):
        return self._says()

    def tell(self, a, buf, pos, n):
        if not self.there:
            return NOT_NOW
        self.told.append((a.client_sap, bytes(buf[pos : pos + n])))
        return self._says()

    def stop(self, done):
        self.stopped.append(done)

    def is_lost(self):
        return self.lost

    def is_idle(self):
        return True

    @property
    def apdus(self):
        return [sent[-1] for sent in self.sent]


class PushMeter:
    """load: the notifier is there from the start. image: the state of before."""

    definition = "push.toml"

    def __init__(self, load=True, look_up=1, image=None):
        definition = types.SimpleNamespace(**packed(HERE / "definitions" / self.definition))
        self.optical = getattr(definition, "OPTICAL", None)
        self.model = model = Model(definition)
        model.limits = (*model.limits[:7], look_up)
        model.aes = ciphers.aes
        model.new_hash = ciphers.new_hash
        model.random_fill = port.random_fill
        model.random = lambda n: n - 1
        model.save = self.save
        model.storage = fakes.Storage()
        if image is not None:
            model.image[:] = image
        self.saved = 0
        self.server = Server(model)
        model.start()
        self.clock = model.handler("clock")
        # 2026-07-01 12:00 local time, a Wednesday.
        self.clock.set_utc(13936920, 0)
        self.handler = model.handler("push_setup")
        self.paths = Paths()
        self.loads = 0
        self.model.notifier = self.load
        if load:
            self.handler.notifier = self.load()

    def save(self):
        self.saved += 1
        return True

    def load(self):
        self.loads += 1
        limits = self.model.limits
        return Notifier(self.model, self.server, self.paths, limits[5], limits[6])

    @property
    def notifier(self):
        return self.handler.notifier

    def row(self, name, class_id=40):
        row = self.model.find_any(class_id.to_bytes(2, "big") + obis(name), 0)
        assert row >= 0, name
        return row

    def set(self, name, attribute, data, class_id=40):
        return self.model.write(self.row(name, class_id), attribute, data, 0, len(data))

    def put(self, name, attribute, data):
        assert self.set(name, attribute, data) == 0

    def get(self, name, attribute, class_id=40):
        buf = bytearray(2000)
        return bytes(buf[: self.model.read(self.row(name, class_id), attribute, buf, 0, 2000)])

    def push(self, name, method=1):
        return self.model.act(self.row(name), method, b"\x0f\x00", 0, 2)

    def second(self, n=1, turns=3):
        """n seconds pass, and after each of them some turns of the main loop."""
        for _ in range(n):
            self.clock.advance(1000)
            self.handler.tick(self.clock.minute)
            for _ in range(turns):
                if self.notifier is not None:
                    self.notifier.turn()

    def state(self, name):
        rows = self.handler.rows
        places = [int.from_bytes(rows[i : i + 2], "big") for i in range(0, len(rows), 2)]
        return self.notifier.states[places.index(self.row(name))]

    def talk(self, client=1, server=1):
        return Talk(self, self.server.channel(), client, server)


# --- What is written ----------------------------------------------------------------------------


def element(class_id, name, attribute=2, data_index=0, kind=0, limits=NULL, columns=(), version=0):
    parts = [u16(class_id), octets(obis(name)), i8(attribute), u16(data_index)]
    if version:
        parts.append(struct_(enum(kind), limits))
    if version == 2:
        parts.append(array(*columns))
    return struct_(*parts)


def destination(text, service=TCP, message=0):
    return struct_(enum(service), octets(text), enum(message))


def entries(first, last):
    return struct_(u32(first), u32(last))


def window(start, end):
    return struct_(octets(start), octets(end))


def protection(kind, key_info, recipient=b"", transaction=b"", originator=b""):
    options = [octets(x) for x in (transaction, originator, recipient, b"")]
    return struct_(enum(kind), struct_(*options, key_info))


# --- What has come ------------------------------------------------------------------------------


def opened(apdu, guek=secure.GUEK, gak=secure.GAK, title=TITLE):
    """The plain APDU in a general-glo, which has to be authenticated and encrypted."""
    assert apdu[0] == 0xDB and apdu[1] == 8 and apdu[2:10] == title
    n, at = secure.take_length(apdu, 10)
    assert at + n == len(apdu) and apdu[at] & 0x30 == 0x30
    iv = title + apdu[at + 1 : at + 5]
    aad = apdu[at : at + 1] + gak
    plain, tag = secure.gcm(guek, iv, aad, apdu[at + 5 : -12], True)
    return plain, secure.gcm(guek, iv, aad, plain)[1][:12] == apdu[-12:]


def body(apdu):
    """The values in a DataNotification."""
    assert apdu[0] == 0x0F
    return fakes.value(apdu[6 + apdu[5] :])


def confirmation(apdu):
    """That of a plain DataNotification."""
    return b"\x10" + apdu[1:5] + b"\0"


# --- Meters with links --------------------------------------------------------------------------


class Looped:
    """A main loop: turn() is one turn of it, links are polled there."""

    def until(self, what):
        for _ in range(PATIENCE):
            if what():
                return
            self.turn()
        raise AssertionError("it did not happen")

    def close(self):
        for link in self.links:
            link.close()


@pytest.fixture(name="listener")
def listening():
    with socket.create_server(("127.0.0.1", 0)) as s:
        s.setblocking(False)
        yield s


def address(s):
    return b"127.0.0.1:%d" % s.getsockname()[1]


def accepted(m, listener):
    found = []

    def there():
        try:
            found.append(listener.accept()[0])
        except BlockingIOError:
            return False
        return True

    m.until(there)
    found[0].setblocking(False)
    return found[0]


def received(m, s, n=8):
    """What comes, until n octets are there; b"" if the meter closes."""
    got = b""
    ended = []

    def enough():
        nonlocal got
        try:
            part = s.recv(4096)
        except BlockingIOError:
            return len(got) >= n
        got += part
        ended.extend([] if part else [1])
        return bool(ended) or len(got) >= n

    m.until(enough)
    return got


def wpdu(octets):
    version, source, to, n = struct.unpack(">HHHH", octets[:8])
    assert version == 1 and len(octets) == 8 + n
    return source, to, octets[8:]


def wrapped(client, server, apdu):
    return struct.pack(">HHHH", 1, client, server, len(apdu)) + apdu
