# SPDX-License-Identifier: MIT
"""Targets that begin with what is stored: a start over octets that have changed, a provisioning
record, an image that comes in blocks."""

import functools
import os
import struct
import tempfile
import types
from binascii import crc32

import back_ends
import image as images
import small
from cosem.model import Model
from dlms.server import Server
from test_store import MemoryFiles

from firmware import app, launch, provisioning
from firmware.ports import cpython as port
from fuzzing import oracles, sessions, values
from fuzzing.octets import Octets, put

FAULTS = small.HERE / "definitions/faults.toml"
PROVISIONED = small.HERE / "definitions/provisioned.toml"
HOURS = 3


def build(storage):
    definition = types.SimpleNamespace(**small.packed(FAULTS))
    return app.build(definition, storage, port, 1, sessions.START_MINUTE, 0, 0)


@functools.lru_cache(maxsize=None)
def lived(name):
    """A back end after a few hours of a meter's life, and where something is stored."""
    back_end = back_ends.BACK_ENDS[name]()
    meter = build(back_end.storage())
    for _ in range(4 * HOURS):
        meter.program.step(900)
        meter.program.save_now()
    meter.close()
    return back_end, [(kind, last - first) for kind, _, first, last in back_end.regions()]


def damaged(name):
    back_end, regions = lived(name)

    def one(octets):
        o = Octets(octets)
        there = back_end.again()
        places = list(there.regions())
        for _ in range(16):
            if not o:
                break
            kind, cells, first, last = places[o.u8() % len(places)]
            if last <= first or kind == "erased":
                continue  # the double takes no octet that is not erased
            at = first + o.u16() % (last - first)
            how = o.u8() & 3
            if how == 0:
                cells[at] ^= 1 << o.u8() % 8
            elif how == 1:
                cells[at] = o.u8()
            elif how == 2:
                n = min(o.u8(), last - at)
                cells[at : at + n] = bytes((o.one_of((0, 0xFF)),)) * n
            else:
                found = o.some()[: last - at]
                cells[at : at + len(found)] = found
        try:
            meter = build(there.storage())
        except OSError:
            return  # the storage cannot be used, and says so
        oracles.consistent(meter.model)
        meter.program.step(900)
        handler = meter.model.handler("profile_generic")
        for profile in handler.profiles.values():
            row = bytearray(profile.ring.row_len)
            for k in range(profile.ring.n):
                profile.ring.read(k, row, 0)
        assert meter.program.save_now(), "it is writable, and nothing can be saved"
        oracles.consistent(meter.model)

    one.seeds = [b""] + [bytes((k, j, j, how, 0xFF)) for k in range(len(regions))
                         for j in (0, 3) for how in range(4)]  # fmt: skip
    return one


def target_store_flash():
    return damaged("flash")


def target_store_files():
    return damaged("files")


# --- Provisioning records -------------------------------------------------------------------


def target_provisioning():
    packed = small.packed(PROVISIONED)
    folder = tempfile.TemporaryDirectory(prefix="picometer-fuzz-")
    path = os.path.join(folder.name, "record")

    def one(octets):
        o = Octets(octets)
        kind = o.u8()
        if kind == 0:
            data = o.rest()
        else:
            body = b""
            while o:
                tag = o.u8()
                content = o.some()
                if tag & 0x80:
                    content = bytes.fromhex("0001") + content
                if tag & 0x40:
                    content = content.ljust((18, 8, 72, 136, 64)[len(content) % 5], b"\x11")
                body += bytes((tag & 0x0F,)) + len(content).to_bytes(2, "big") + content
            data = b"PMI2" + len(body).to_bytes(2, "big") + body
            data += crc32(data).to_bytes(4, "big")
        with open(path, "wb") as f:
            f.write(data)
        record = provisioning.load(path)
        record.name(), record.serial_number(), record.system_title(), record.maker()
        model = Model(types.SimpleNamespace(**packed))
        model.storage = back_ends.RAMStorage()
        record.apply(model)
        assert record.good or record.message
        model.start()
        model.random_fill = port.random_fill
        oracles.consistent(model)
        server = Server(model)
        if not record.good:
            for config in model.configs:
                assert config[0] == 16 and config[3] == 0, "a client that needs a secret"
        oracles.legal(server)

    one.folder = folder
    one.seeds = [
        b"\0PMI2\0\0" + crc32(b"PMI2\0\0").to_bytes(4, "big"),
        b"\1\x81" + put(b"PMT0000000000001") + b"\x82" + put(b"42") + b"\3" + put(bytes(8)),
        b"\1\x84" + put(b"\0\1secret") + b"\x45" + put(bytes(8)) + b"\x47" + put(b""),
        b"\1\x86" + put(bytes(6) + b"\0\0" + bytes(8) + b"\0" + bytes(20)),
    ]
    return one


# --- The journal of the launcher ------------------------------------------------------------


def target_journal():
    files = MemoryFiles()
    fields = struct.Struct(">4sIBBBBBBIIIIB32s29s")  # of firmware/journal.py

    def place(o):
        """96 octets, mostly with a right CRC."""
        if o.u8() & 7 == 0:
            return o.take(96).ljust(96, b"\0")
        numbers = [o.u8(), *(o.u8() for _ in range(6)), *(o.u8() for _ in range(4)), o.u8()]
        body = fields.pack(b"PMJ1", *numbers, o.some()[:32], b"")
        return body + crc32(body).to_bytes(4, "big")

    def one(octets):
        o = Octets(octets)
        path = "u" + launch.JOURNAL
        files.data[path] = bytearray(place(o) + place(o))
        before, launch.Files = launch.Files, lambda: files
        try:
            for _ in range(4):
                number = launch.slot("u")
                assert 0 <= number < len(launch.FOLDERS), "slot %d" % number
                if number and o.u8() & 1:
                    launch.gave_up("u")
        finally:
            launch.Files = before

    one.seeds = [
        bytes((1, 1, 1, 0, 1, 3, 3, 0, 9, 0, 0, 0, 0, 0)) + b"\1\2\1\0" + bytes(20),
        bytes((1, 5, 2, 1, 0, 0, 6, 0, 9, 8, 0, 0, 3)) + put(b"abc") + bytes(30),
        bytes(200),
    ]
    return one


# --- Images ---------------------------------------------------------------------------------

TRANSFER = bytes.fromhex("001200002C0000FF")
INITIATE, BLOCK, VERIFY, ACTIVATE = range(1, 5)
MANY = 500


@functools.lru_cache(maxsize=None)
def an_image(number):
    files = {"firmware/main.py": b"raise ValueError('no')", "a.py": b""}
    key = images.load_key(images.DEMO_KEY)
    return images.container(number, "cpython", images.payload_of(files), key)


def target_image():
    storage = back_ends.BACK_ENDS["ram"]().storage()
    definition = types.SimpleNamespace(**small.packed(sessions.OWN / "residential.toml"))
    meter = app.build(
        definition, storage, port, 1, sessions.START_MINUTE, 0, 0, update="state/.update"
    )
    party = sessions.Secured(meter, 7, 1).open()
    assert party.is_open
    requests = values.Requests(meter.model)
    row = requests.model.find(0, TRANSFER, 0)
    size = meter.model.get_int(row, 2)
    now_ms = [0]

    def act(method, data):
        return party.ask(b"\xc3\1\xc1" + TRANSFER + bytes((method, 1)) + data)

    def turns(n):
        store = meter.model.images
        for _ in range(n):
            if not store.is_busy():
                break
            now_ms[0] += 1000
            store.turn(meter, now_ms[0])
            oracles.turn(meter.server)
        else:
            assert n < MANY, "it is busy for ever"
        oracles.healthy(meter.server)

    def one(octets):
        o = Octets(octets)
        whole = an_image(2)
        while o:
            kind = o.u8() % 10
            if kind == 0:
                whole = bytearray(an_image(o.u8() % 3))
                for _ in range(o.u8() % 4):
                    whole[o.u16() % len(whole)] ^= o.u8()
            elif kind == 1:
                n = len(whole) if o.u8() & 3 else o.u16()
                name = o.some()
                act(INITIATE, b"\2\2\x09" + put(name) + b"\6" + n.to_bytes(4, "big"))
            elif kind == 2:
                k = o.u8()
                part = bytes(whole[k * size : (k + 1) * size]) if o.u8() & 7 else o.some()
                number = b"\6" + k.to_bytes(4, "big")
                act(BLOCK, b"\2\2" + number + b"\x09" + values.length(len(part)) + part)
            elif kind == 3:
                for k in range(-(-len(whole) // size)):
                    part = bytes(whole[k * size : (k + 1) * size])
                    number = b"\6" + k.to_bytes(4, "big")
                    act(BLOCK, b"\2\2" + number + b"\x09" + values.length(len(part)) + part)
            elif kind == 4:
                act(VERIFY, b"\x0f\0")
            elif kind == 5:
                act(ACTIVATE, b"\x0f\0")
            elif kind == 6:
                turns(o.u8() % 8)
            elif kind == 7:
                turns(MANY)
            elif kind == 8:
                party.ask(b"\xc0\1\xc1" + TRANSFER + bytes((o.u8() % 9, 0)))
            else:
                act(o.u8() % 6, o.some())
        turns(MANY)
        oracles.legal(meter.server)
        if not party.is_open or not any(a.state == 2 for a in meter.server.associations):
            party.open()

    begin = b"\1\1" + put(b"x")
    one.seeds = [
        begin + b"\3\4\7\4\x08\6",
        begin + b"\3\4\7\4\7\5\7\5",
        begin + b"\2\0\1\2\1\1\2\2\1" + b"\x08\3\x08\7",
        b"\0\1\1\0\x20\x55" + begin + b"\3\4\7\4\7\5\7",
    ]
    return one
