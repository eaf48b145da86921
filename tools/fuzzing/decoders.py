# SPDX-License-Identifier: MIT
"""Targets that keep nothing: decoders of the stack, each against what its values mean."""

import io

import crypto_vectors
import fakes
import small
from crypto import certificate, der
from dlms import axdr, compact, types
from profiles import mbus_records, sntp

from firmware import container
from firmware.ports import ciphers
from fuzzing import oracles, seeds
from fuzzing.octets import Octets


def axdr_type(o, depth=0):
    """A type description, bounded; trusted by who reads it, so it is one."""
    kind = o.u8() % 10
    if kind == 0 and depth < 4:
        count = o.one_of((b"\xff\xff", b"\0\0", b"\0\1", b"\0\3"))
        return b"\x01" + count + axdr_type(o, depth + 1)
    if kind == 1 and depth < 4:
        n = o.u8() % 4
        return b"\x02" + bytes((n,)) + b"".join(axdr_type(o, depth + 1) for _ in range(n))
    if kind == 2 and depth < 4:
        n = o.u8() % 3 + 1
        return b"\x81" + bytes((n,)) + b"".join(axdr_type(o, depth + 1) for _ in range(n))
    if kind == 3:
        return b"\x82"
    if kind == 4:
        tag = o.one_of((b"\x16", b"\x11", b"\x0f"))
        return b"\x83" + tag + bytes((o.u8() % 8, 8 + o.u8() % 8))
    if kind == 5:
        return o.one_of((b"\x80", b"\x84", b"\x85", b"\x86")) + bytes((o.u8(),))
    return o.one_of([bytes((tag,)) for tag in range(0x22) if axdr.width(tag) != 0xFF and tag > 2])


def target_axdr():
    out = bytearray(2048)

    def one(octets):
        o = Octets(octets)
        description = axdr_type(o)
        buf = o.rest()
        end = len(buf)
        after = axdr.skip(buf, 0, end)
        assert -1 <= after <= end
        assert axdr.skip_type(buf, 0, end) <= end
        assert axdr.length(buf, 0, end) >= -1
        axdr.is_list_of(buf, 0, end, 3)
        if after >= 0:
            fakes_value(buf[:after])
            # One octet less is not the same value, unless it does not hold together.
            assert axdr.skip(buf, 0, after - 1) == -1
        found = types.check(description, 0, buf, 0, end)
        assert found == -1 or found == after, (found, after)
        if after > 0:
            at = compact.put_type(buf, 0, after, out, 0, len(out))
            assert -1 <= at <= len(out)
            if at > 0:
                # An empty array is described one deeper than it is.
                assert axdr.skip_type(out, 0, at, 11) == at

    one.seeds = [bytes((6,)) + data for data in seeds.data()]
    return one


def fakes_value(octets):
    """Whoever reads it otherwise comes to the same end; what is no text of bits is left."""
    if octets and 0x13 not in octets and 0xFF not in octets and 0x1A not in octets:
        if 0x1B not in octets:
            fakes.value(octets)


def target_acse():
    meter = small.Meter()
    channel = meter.server.channel()

    def one(octets):
        o = Octets(octets)
        client, device = o.one_of((1, 2, 16, 40, 41)), o.one_of((1, 1, 17, 2))
        while o:
            apdu = o.some()
            reply = oracles.ask(meter.server, channel, client, device, apdu)
            oracles.answers(apdu, reply)
        oracles.legal(meter.server)
        channel.release()
        meter.forgive()

    one.seeds = [bytes((0, 0, len(a))) + a for a in seeds.apdus() if len(a) < 250]
    return one


def target_certificate():
    def one(octets):
        buf = bytes(octets)
        c = certificate.Certificate()
        code = c.read(buf, 0, len(buf))
        assert 0 <= code < 256
        if code == certificate.OK:
            assert len(c.key) in (64, 96) and len(c.signature) == len(c.key)
            assert c.tbs[1] <= len(buf)
        try:
            der.element(buf, 0, len(buf), der.SEQUENCE)
        except ValueError:
            pass

    one.seeds = [bytes.fromhex(v["text"]) for v in crypto_vectors.of("certificate")]
    return one


def target_mbus_records():
    aes = ciphers.aes(bytes(range(16)))
    out = bytearray(64)

    def one(octets):
        buf = bytearray(octets)
        end = len(buf)
        record = mbus_records.Record()
        pos = n = 0
        while True:
            after = mbus_records.following(record, buf, pos, end)
            if after < 0:
                break
            assert pos < after <= end, "no progress"
            pos = after
            n += 1
            mbus_records.number(record, buf)
            mbus_records.text(record, buf)
            mbus_records.date_time(record, buf)
            mbus_records.scaler_unit(buf, record.vib, record.data)
        mbus_records.block_end(buf, 0, end)
        if end > 16:
            blocks = (end - 1) // 16
            mbus_records.decipher(aes, buf, 0, blocks * 16, blocks, bytes(8), 1)
        assert not any(out)

    one.seeds = seeds.mbus()
    return one


def target_container():
    def one(octets):
        image = container.Image(io.BytesIO(octets), len(octets))
        if image.code:
            return
        steps = image.verify(1, b"cpython", b"")
        try:
            while True:
                next(steps)
        except StopIteration as e:
            assert e.value, "it was not signed"
        at = image.at
        while at < image.size:
            path, at, n = image.file(at)
            container.is_path(path)
            at += n

    one.seeds = seeds.images()
    return one


def target_sntp():
    def one(octets):
        buf = bytearray(octets)
        cookie = bytes(range(8))
        code = sntp.check(buf, len(buf), cookie)
        if code == 0:
            sntp.time(buf, 0)

    answer = bytearray(48)
    answer[0] = 0x24
    answer[1] = 1
    answer[24:32] = bytes(range(8))
    answer[40:48] = bytes.fromhex("E900000000000000")
    one.seeds = [bytes(answer)]
    return one
